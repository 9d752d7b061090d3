//! Mixup: train on mixtures of two rows and of their targets.
//!
//! Zhang et al., "mixup: beyond empirical risk minimization", ICLR 2018 (arXiv 1710.09412): x = λ xᵢ + (1 − λ) xⱼ and the
//! same for targets, λ ~ Beta(α, α), one λ for a batch and j a permutation of its rows, as in the authors' program.

use quadrat_core::{Area, Card, Error, Method, Result, Seed, Settings};
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
        batch.mix(self.alpha, &mut self.seed.rng(batch.at.step as u64));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;
    use quadrat_nn::{At, Samples};

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
