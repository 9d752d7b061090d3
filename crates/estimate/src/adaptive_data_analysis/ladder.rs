//! The Ladder: a leaderboard that moves only for what is clearly better.
//!
//! A submission's loss is shown only if it beats the best one so far by a margin; otherwise the best one so far is shown
//! again. Who probes the board with variations of the same submission therefore hears nothing but the same number.
//!
//! Two margins. A fixed step eta: a loss below R - eta becomes R, rounded to a multiple of eta. Or none to choose
//! (the default, and the authors' code): the margin is s/sqrt(n), where s is the standard deviation of the difference
//! between the losses of this submission and those of the best one, and R is the loss itself, rounded to 1/n (which
//! changes nothing for losses of 0 and 1). A difference that is a tie but for rounding errors is a tie.
//!
//! The width of the fixed step is certified by counting, as in the paper's proof but with our own count: the board shows
//! non-increasing sequences of at most V = ceil(1/eta) + 1 values, of which there are C(t + V, V) after t submissions, so
//! that all submissions that could ever be made up to the k-th number at most C(k + V, V + 1). By Hoeffding's inequality
//! all their losses are within eps = sqrt((ln 2 + ln C(k + V, V + 1) - ln beta)/(2 n)) of the population's, and the board
//! is within eta of the least loss on the sample. For the margin without a step the paper has no such bound.

use super::privacy::minimise;
use super::{Answer, Guarantee, Query, QueryMechanism, Reading, Source, answered, plan};
use quadrat_core::{Error, Result, Rng, stats};
use serde::{Deserialize, Serialize};

/// By how much a submission must be better.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Step {
    /// By one standard error of the difference.
    Auto,
    /// By eta.
    Fixed(f64),
}

/// The Ladder. Values of queries are losses: lower is better.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ladder {
    rows: usize,
    step: Step,
    /// Whether `Step::Auto` rounds to 1/n.
    round: bool,
    queries: Option<u64>,
    guarantee: Guarantee,
    asked: u64,
    /// R; none before the first submission.
    best: Option<f64>,
    /// The losses of the submission that set R (`Step::Auto` only).
    losses: Vec<f64>,
}

impl Ladder {
    /// The parameter-free Ladder over `rows` rows; `round` rounds R to 1/n.
    ///
    /// # Errors
    /// Fewer than two rows.
    pub fn auto(rows: usize, round: bool) -> Result<Self> {
        if rows < 2 {
            return Err(Error::input("hold-out rows", rows, "a standard deviation needs at least 2"));
        }
        // Two standard errors of a mean of values in [0, 1].
        let guarantee = Guarantee::Heuristic { half_width: (1.0 / (rows as f64).sqrt()).min(1.0) };
        let step = Step::Auto;
        Ok(Ladder { rows, step, round, queries: None, guarantee, asked: 0, best: None, losses: Vec::new() })
    }

    /// The Ladder with step `eta`, certified for `queries` submissions with probability 1 - `beta`.
    ///
    /// # Errors
    /// As [`plan`](super::plan()); `eta` outside (0, 1].
    pub fn fixed(rows: usize, eta: f64, queries: u64, beta: f64) -> Result<Self> {
        plan::check(rows, queries, beta)?;
        if !(eta > 0.0 && eta <= 1.0) {
            return Err(Error::input("step of the ladder", eta, "use a number above 0 and at most 1, such as 0.01"));
        }
        let half_width = width(rows, eta, queries, beta).min(1.0);
        let guarantee = Guarantee::Certified { half_width, confidence: 1.0 - beta };
        let step = Step::Fixed(eta);
        let (queries, losses) = (Some(queries), Vec::new());
        Ok(Ladder { rows, step, round: true, queries, guarantee, asked: 0, best: None, losses })
    }

    /// The Ladder with the step whose certified width is narrowest.
    ///
    /// # Errors
    /// As [`plan`](super::plan()).
    pub fn planned(rows: usize, queries: u64, beta: f64) -> Result<Self> {
        plan::check(rows, queries, beta)?;
        let (eta, _) = minimise(1e-3, 1.0, |eta| width(rows, eta, queries, beta));
        Self::fixed(rows, eta, queries, beta)
    }
}

/// The certified width of step eta.
fn width(n: usize, eta: f64, k: u64, beta: f64) -> f64 {
    let values = (1.0 / eta).ceil() + 1.0;
    // ln C(k + V, V + 1), by its product.
    let count: f64 = (0..=values as u64).map(|i| ((k as f64 + values - i as f64) / (i as f64 + 1.0)).ln()).sum();
    eta + ((2f64.ln() + count.max(0.0) - beta.ln()) / (2.0 * n as f64)).sqrt()
}

/// How near to a tie a difference counts as one.
const TIE: f64 = 1e-12;

impl QueryMechanism for Ladder {
    fn name(&self) -> &'static str {
        "ladder"
    }

    fn rows(&self) -> usize {
        self.rows
    }

    fn read(&self, query: &dyn Query) -> Result<Reading> {
        let Step::Auto = self.step else { return Ok(Reading::of(query.mean(0..self.rows)?)) };
        let values = query.values(0..self.rows)?;
        let mean = stats::mean(&values);
        let differences: Vec<f64> = values.iter().zip(&self.losses).map(|(now, best)| now - best).collect();
        let reference = self.best.map(|_| stats::standard_deviation(&differences));
        Ok(Reading { mean, reference, values })
    }

    fn step(&mut self, reading: &Reading, _: &mut Rng) -> Result<Answer> {
        if self.queries.is_some_and(|k| self.asked >= k) {
            return Err(answered(self.name(), self.asked, "the submissions it was planned for"));
        }
        self.asked += 1;
        let n = self.rows as f64;
        let (margin, grid) = match self.step {
            Step::Fixed(eta) => (eta, 1.0 / eta),
            Step::Auto => (reading.reference.unwrap_or(0.0) / n.sqrt(), n),
        };
        let better = self.best.is_none_or(|best| reading.mean < best - margin - TIE);
        if better {
            let round = self.round || self.step != Step::Auto;
            let shown = if round { (reading.mean * grid).round() / grid } else { reading.mean };
            self.best = Some(shown.min(1.0));
            self.losses.clone_from(&reading.values);
        }
        let (value, source) = match self.best {
            Some(best) if better => (best, Source::Holdout),
            Some(best) => (best, Source::Unchanged),
            None => (reading.mean, Source::Holdout),
        };
        Ok(Answer { value, source, spent: better, guarantee: self.guarantee })
    }

    fn remaining(&self) -> Option<u64> {
        self.queries.map(|k| k - self.asked)
    }

    fn guarantee(&self) -> Guarantee {
        self.guarantee
    }
}
