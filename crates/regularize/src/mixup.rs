//! Mixup: train on mixtures of two rows and of their targets.
//!
//! Zhang et al., "mixup: beyond empirical risk minimization", ICLR 2018 (arXiv 1710.09412): x = λ xᵢ + (1 − λ) xⱼ and the
//! same for targets, λ ~ Beta(α, α), one λ for a batch and j a permutation of its rows, as in the authors' program.

use ndarray::{Array2, Axis};
use quadrat_core::{Area, Card, Error, Method, Result, Rng, Seed, Settings};
use quadrat_nn::{Batch, Parameters, Run, TrainMethod};

/// Mixup.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct Mixup {
    /// Both parameters of the Beta law of shares: the smaller, the nearer mixtures are to one of their rows.
    #[param(default = 0.2, above = 0, to = 4)]
    pub alpha: f64,
    /// What is drawn from: a run sets it.
    pub seed: Seed,
}

impl Method for Mixup {
    const CARD: Card = Card {
        slug: "mixup",
        aliases: &[],
        title: "Mixup",
        paper: "Zhang, Cisse, Dauphin and Lopez-Paz, ICLR 2018, arXiv 1710.09412",
        area: Area::Regularize,
        verbs: &["train"],
        summary: "Trains on mixtures of two rows and of their targets.",
        useful_when: "my classifier overfits or is overconfident; some labels are wrong; rows are numbers or images",
        cost: "one pass over the batch's inputs",
        params: Self::PARAMS,
    };
}

impl TrainMethod for Mixup {
    fn name(&self) -> &str {
        "mixup"
    }

    fn settings(&self) -> String {
        format!("alpha={}", self.alpha)
    }

    fn begin(&mut self, run: &Run<'_>, _: &mut Parameters) -> Result<()> {
        if !(self.alpha > 0.0 && self.alpha <= 4.0) {
            return Err(Error::input("alpha", self.alpha, "above 0, at most 4"));
        }
        run.takes_numbers("mixup")?;
        if let Some(other) = run.network.others().first() {
            let got = format!("a network that also takes `{}`", other.name);
            return Err(Error::input("mixup", got, "a network of rows of numbers alone: only these are mixed"));
        }
        self.seed = run.seed;
        Ok(())
    }

    fn prepare(&mut self, batch: &mut Batch) -> Result<()> {
        let mut rng = self.seed.rng(batch.at.step as u64);
        let share = beta(self.alpha, &mut rng) as f32;
        let mut partners: Vec<usize> = (0..batch.rows.len()).collect();
        rng.shuffle(&mut partners);
        let mix = |rows: &mut Array2<f32>| {
            let others = rows.select(Axis(0), &partners);
            rows.zip_mut_with(&others, |a, b| *a = share * *a + (1.0 - share) * b);
        };
        mix(&mut batch.inputs);
        mix(&mut batch.targets);
        if let Some(weights) = &mut batch.weights {
            let others: Vec<f32> = partners.iter().map(|&row| weights[row]).collect();
            weights.iter_mut().zip(others).for_each(|(a, b)| *a = share * *a + (1.0 - share) * b);
        }
        batch.mixed = true;
        Ok(())
    }
}

/// A draw from Beta(α, α) by Jöhnk's rejection, in logarithms: powers of 1/α would underflow.
fn beta(alpha: f64, rng: &mut Rng) -> f64 {
    loop {
        let [x, y] = [rng.exponential(), rng.exponential()].map(|e| -e / alpha);
        if x.exp() + y.exp() <= 1.0 {
            return 1.0 / (1.0 + (y - x).exp());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quadrat_nn::{At, Samples};

    /// Mean 1/2 and variance 1 / (4 (2α + 1)) within five standard errors (that of the variance from the fourth moment,
    /// at most 1/16 − variance²): one alarm in a million.
    #[test]
    fn shares_have_the_moments_of_the_beta_distribution() {
        let n = 40_000;
        for alpha in [1e-3, 0.2, 1.0, 4.0] {
            let mut rng = Seed(5).rng(0);
            let shares: Vec<f64> = (0..n).map(|_| beta(alpha, &mut rng)).collect();
            let variance = 1.0 / (4.0 * (2.0 * alpha + 1.0));
            let mean = shares.iter().sum::<f64>() / n as f64;
            let found = shares.iter().map(|s| (s - 0.5).powi(2)).sum::<f64>() / n as f64;
            assert!((mean - 0.5).abs() < 5.0 * (variance / n as f64).sqrt(), "{alpha}: {mean}");
            assert!((found - variance).abs() < 5.0 * (0.25 * variance / n as f64).sqrt(), "{alpha}: {found}");
        }
    }

    #[test]
    fn inputs_and_targets_are_mixed_alike() {
        let inputs = Array2::from_shape_fn((6, 2), |(i, j)| if i % 2 == j { 1.0 } else { 0.0 });
        let samples = Samples::classes(inputs, (0..6).map(|i| i % 2).collect(), 2).unwrap();
        let mut batch = samples.batch(At { epoch: 0, step: 0 }, &[0, 1, 2, 3, 4, 5]);
        Mixup { alpha: 1.0, seed: Seed(1) }.prepare(&mut batch).unwrap();
        assert!(batch.mixed);
        assert_eq!(batch.inputs, batch.targets, "the same before, so the same after");
        assert!(batch.targets.outer_iter().all(|row| (row.sum() - 1.0).abs() < 1e-6));
        assert!(batch.targets.iter().any(|s| *s > 0.0 && *s < 1.0));
    }
}
