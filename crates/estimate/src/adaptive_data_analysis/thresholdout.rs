//! Thresholdout: the training rows answer as long as the hold-out rows agree with them.
//!
//! The analyst knows the training rows anyway, so an answer from them gives nothing away. Only where they disagree with
//! the hold-out rows, that is where the analyst has begun to overfit, do the hold-out rows answer, with noise, and that
//! costs a part of the budget B. The comparison is the sparse-vector test of differential privacy: it is paid for by the
//! disagreements, not by the questions.
//!
//! Two sets of constants. *Theory* (arXiv 1506.02629, figure 1 and theorem 25): Laplace noise, a threshold that is drawn
//! anew after each disagreement, T = 3 tau/4 and sigma = tau/(96 ln(4 m/beta)). The theorem hides a constant, so the
//! width comes from our own composition: the mechanism is 2B/(sigma n)-private (their lemma 23), also as zero-concentrated
//! privacy; noise is bounded by a union bound; the transfer theorem of [`super::privacy`] does the rest. *Experiment* (the code of
//! the Science article): normal noise, T = 4/sqrt(n), sigma = 1/sqrt(n), a threshold drawn for each question, and no
//! budget. Set one: an analyst who knows the training labels can put training means at the threshold and read from which
//! rows answer on which side the hold-out means lie. At n = 1,000, 2,001 such questions gain 0.24 of accuracy on labels
//! that are coin flips; with a budget of 10, at most 0.05. For questions whose values spread less than about 1 these
//! constants are cautious.

use super::noise::Noise;
use super::privacy::{Privacy, certified_width, minimise};
use super::{Answer, Guarantee, Query, QueryMechanism, Reading, Source, answered, plan};
use quadrat_core::{Error, Result, Rng};
use serde::{Deserialize, Serialize};

/// Thresholdout over training rows followed by hold-out rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Thresholdout {
    train: usize,
    holdout: usize,
    /// T.
    threshold: f64,
    /// sigma.
    scale: f64,
    noise: Noise,
    /// m, where the guarantee depends on it.
    queries: Option<u64>,
    /// What is left of B.
    budget: Option<u64>,
    guarantee: Guarantee,
    asked: u64,
    /// The noisy threshold in force (theory only).
    that: Option<f64>,
}

impl Thresholdout {
    /// The authors' experiment: T = 4/sqrt(n), normal noise of standard deviation 1/sqrt(n) for n hold-out rows, and at
    /// most `budget` answers from them.
    ///
    /// # Errors
    /// No training rows; fewer than 30 hold-out rows.
    pub fn experiment(train: usize, holdout: usize, budget: Option<u64>) -> Result<Self> {
        let root = (holdout.max(1) as f64).sqrt();
        Self::custom(train, holdout, Noise::Gaussian, 4.0 / root, 1.0 / root, budget)
    }

    /// Constants of your own, without a certificate: `Laplace` draws as the paper's figure 1 does, `Gaussian` as the
    /// authors' experiment.
    ///
    /// # Errors
    /// As [`Thresholdout::experiment`]; a threshold or a scale that is negative or not finite.
    pub fn custom(
        train: usize,
        holdout: usize,
        noise: Noise,
        threshold: f64,
        scale: f64,
        budget: Option<u64>,
    ) -> Result<Self> {
        plan::check(holdout, 1, 0.5)?;
        if train == 0 {
            return Err(Error::input("training rows", 0, "Thresholdout compares with them: give at least 1"));
        }
        for (what, value) in [("threshold", threshold), ("scale of the noise", scale)] {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(Error::input(what, value, "use a finite number, at least 0"));
            }
        }
        // A disagreement is missed when it is below the threshold and the noise on it.
        let guarantee = Guarantee::Heuristic { half_width: (threshold + 4.0 * scale).min(1.0) };
        Ok(Thresholdout {
            train,
            holdout,
            threshold,
            scale,
            noise,
            queries: None,
            budget,
            guarantee,
            asked: 0,
            that: None,
        })
    }

    /// The paper's constants for `queries` questions of which up to `budget` overfit, at the tau whose certified width at
    /// confidence 1 - `beta` is narrowest.
    ///
    /// # Errors
    /// As [`Thresholdout::experiment`] and [`plan`](super::plan()); no budget.
    pub fn planned(train: usize, holdout: usize, queries: u64, budget: u64, beta: f64) -> Result<Self> {
        plan::check(holdout, queries, beta)?;
        if budget == 0 {
            return Err(Error::input("budget", 0, "allow at least 1 answer from the hold-out rows"));
        }
        let constants = |tau: f64| (0.75 * tau, tau / (96.0 * (4.0 * queries as f64 / beta).ln()));
        let width = |tau: f64| {
            let (threshold, scale) = constants(tau);
            certified(holdout, queries, budget, threshold, scale, beta)
        };
        let (tau, half_width) = minimise(1e-6, 100.0, width);
        let (threshold, scale) = constants(tau);
        let made = Self::custom(train, holdout, Noise::Laplace, threshold, scale, Some(budget))?;
        let guarantee = Guarantee::Certified { half_width: half_width.min(1.0), confidence: 1.0 - beta };
        Ok(Thresholdout { queries: Some(queries), guarantee, ..made })
    }

    /// T and sigma.
    pub fn constants(&self) -> (f64, f64) {
        (self.threshold, self.scale)
    }

    /// How many more answers may come from the hold-out rows.
    pub fn budget(&self) -> Option<u64> {
        self.budget
    }
}

/// The certified width of Laplace Thresholdout.
fn certified(n: usize, m: u64, budget: u64, threshold: f64, scale: f64, beta: f64) -> f64 {
    let (n, m, b) = (n as f64, m as f64, budget as f64);
    // From one disagreement to the next: the test is 1/(n sigma)-private, the answer as well.
    let each = 2.0 / (n * scale);
    let privacy = Privacy { pure: Some(b * each), rho: 0.5 * b * each * each };
    certified_width(privacy, beta, |risk| {
        let drawn = Noise::Laplace.bound(2.0 * scale, b + 1.0, risk / 3.0);
        let compared = Noise::Laplace.bound(4.0 * scale, m, risk / 3.0);
        let given = Noise::Laplace.bound(scale, b, risk / 3.0);
        (threshold + drawn + compared).max(given)
    })
}

impl QueryMechanism for Thresholdout {
    fn name(&self) -> &'static str {
        "thresholdout"
    }

    fn rows(&self) -> usize {
        self.train + self.holdout
    }

    fn read(&self, query: &dyn Query) -> Result<Reading> {
        let mean = query.mean(self.train..self.rows())?;
        Ok(Reading::compared(mean, query.mean(0..self.train)?))
    }

    fn step(&mut self, reading: &Reading, rng: &mut Rng) -> Result<Answer> {
        if self.budget == Some(0) {
            return Err(answered(self.name(), self.asked, "the answers that may come from the hold-out rows"));
        }
        if self.queries.is_some_and(|m| self.asked >= m) {
            return Err(answered(self.name(), self.asked, "the questions it was planned for"));
        }
        let (of_holdout, of_train) = (reading.mean, reading.reference.unwrap_or(reading.mean));
        let (threshold, sigma) = (self.threshold, self.scale);
        let bar = match self.noise {
            Noise::Laplace => {
                let that = *self.that.get_or_insert_with(|| threshold + Noise::Laplace.draw(2.0 * sigma, rng));
                that + Noise::Laplace.draw(4.0 * sigma, rng)
            }
            Noise::Gaussian => threshold + Noise::Gaussian.draw(sigma, rng),
        };
        self.asked += 1;
        let disagree = (of_holdout - of_train).abs() > bar;
        let (value, source) = if disagree {
            self.budget = self.budget.map(|left| left - 1);
            if self.noise == Noise::Laplace {
                self.that = Some(threshold + Noise::Laplace.draw(2.0 * sigma, rng));
            }
            ((of_holdout + self.noise.draw(sigma, rng)).clamp(0.0, 1.0), Source::Holdout)
        } else {
            (of_train, Source::Train)
        };
        Ok(Answer { value, source, spent: disagree, guarantee: self.guarantee })
    }

    fn remaining(&self) -> Option<u64> {
        let asked = self.queries.map(|m| m - self.asked);
        match (self.budget, asked) {
            (Some(budget), Some(asked)) => Some(budget.min(asked)),
            (budget, asked) => budget.or(asked),
        }
    }

    fn guarantee(&self) -> Guarantee {
        self.guarantee
    }
}
