//! Logit adjustment: scores learn beside what class counts say alone, so that rare classes are not given away.
//!
//! Menon, Jayasumana, Rawat, Jain, Veit and Kumar, "Long-tail learning via logit adjustment", ICLR 2021 (arXiv 2007.07314),
//! eq. 10: in training the scores are f(x) + τ ln π with class shares π; afterwards f(x) alone is used, which then answers as if
//! all classes were alike in number. With τ = 1 it is balanced softmax (Ren et al., "Balanced Meta-Softmax for Long-Tailed
//! Visual Recognition", NeurIPS 2020, arXiv 2007.10740, eq. 3), whose ln n differs from ln π by a constant that softmax does not
//! see. A class without a training row is left as it is.

use super::class_counts;
use ndarray::ArrayView2;
use quadrat_core::{Area, Card, Error, Method, Result, Settings};
use quadrat_nn::{Loss, Parameters, Piece, Run, Tensor, TrainMethod, tensor_of};

/// Logit adjustment, and balanced softmax at τ = 1.
#[derive(Debug, Clone, PartialEq, Settings)]
pub struct LogitAdjustment {
    /// How strongly class counts are made up for; 0 does nothing, 1 is balanced softmax.
    #[param(default = 1.0, from = 0)]
    pub tau: f32,
    /// τ ln π of each class; empty before a run.
    pub prior: Vec<f32>,
}

impl Method for LogitAdjustment {
    const CARD: Card = Card {
        slug: "logit-adjustment",
        aliases: &["balanced-softmax"],
        title: "Logit adjustment (balanced softmax)",
        paper: "Menon et al., ICLR 2021, arXiv 2007.07314; Ren et al., NeurIPS 2020, arXiv 2007.10740",
        area: Area::Robust,
        verbs: &["train"],
        summary: "Adds the logarithm of each class's share to its score in training only, so that the network answers as if all \
                  classes were alike in number.",
        useful_when: "my classes are imbalanced, long-tailed; rare classes are never predicted; balanced accuracy counts",
        cost: "none",
        params: Self::PARAMS,
    };
}

impl TrainMethod for LogitAdjustment {
    fn name(&self) -> &str {
        "logit-adjustment"
    }

    fn settings(&self) -> String {
        format!("tau={}", self.tau)
    }

    fn begin(&mut self, run: &Run<'_>, _: &mut Parameters) -> Result<()> {
        if !(self.tau >= 0.0 && self.tau.is_finite()) {
            return Err(Error::input("tau", self.tau, "0 or more"));
        }
        if run.loss != Loss::CrossEntropy {
            return Err(Error::input("logit-adjustment", run.loss, "cross-entropy, which it changes"));
        }
        let counts = class_counts(run, "logit-adjustment")?;
        let all: usize = counts.iter().sum();
        let share = |n: &usize| if *n == 0 { 0.0 } else { self.tau * (*n as f32 / all as f32).ln() };
        self.prior = counts.iter().map(share).collect();
        Ok(())
    }

    fn replaces_loss(&self) -> bool {
        true
    }

    fn row_losses(&self, piece: &Piece, outputs: &Tensor<2>) -> Result<Tensor<1>> {
        let prior = ArrayView2::from_shape((1, self.prior.len()), &self.prior);
        let prior = prior.map_err(|e| Error::numeric("logit-adjustment", e.to_string()))?;
        let moved = outputs.clone() + tensor_of(prior, true);
        Ok(piece.weigh(Loss::CrossEntropy.rows(moved, piece.targets.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;
    use quadrat_core::{Seed, Silent};
    use quadrat_nn::{Mlp, Samples, Trainer, predict};

    fn fit(method: Option<&mut LogitAdjustment>, samples: &Samples) -> quadrat_nn::Parameters {
        let trainer = Trainer { epochs: 100, batch: 50, rate: 0.2, seed: Seed(1), ..Trainer::default() };
        let mut methods: Vec<&mut dyn TrainMethod> = method.into_iter().map(|m| m as _).collect();
        trainer.fit(&Mlp::new(1, &[], 2), samples, None, &mut methods, &Silent).unwrap().parameters
    }

    /// A constant cannot tell the classes apart, nine rows of ten are of the first: plain training answers with that share,
    /// adjusted training with a half.
    #[test]
    fn what_class_counts_say_alone_is_left_to_them() {
        let samples = Samples::classes(Array2::zeros((100, 1)), (0..100).map(|i| u32::from(i % 10 == 0)).collect(), 2);
        let samples = samples.unwrap();
        let odds = |tau: Option<f32>| {
            let mut method = tau.map(|tau| LogitAdjustment { tau, ..LogitAdjustment::default() });
            let parameters = fit(method.as_mut(), &samples);
            let scores = predict(&Mlp::new(1, &[], 2), &parameters, Array2::zeros((1, 1)).view(), &[]).unwrap();
            f64::from(scores[[0, 0]] - scores[[0, 1]])
        };
        for (tau, ln_odds) in [(None, 9f64.ln()), (Some(0.0), 9f64.ln()), (Some(1.0), 0.0), (Some(0.5), 3f64.ln())] {
            assert!((odds(tau) - ln_odds).abs() < 0.05, "{tau:?}: {} for {ln_odds}", odds(tau));
        }
    }

    #[test]
    fn a_class_without_rows_and_wrong_settings_have_an_answer() {
        let inputs = Array2::from_shape_fn((20, 1), |(i, _)| i as f32);
        let samples = Samples::classes(inputs, (0..20).map(|i| i % 2).collect(), 3).unwrap();
        let network = Mlp::new(1, &[4], 3);
        let trainer = Trainer { epochs: 1, ..Trainer::default() };
        let mut absent = LogitAdjustment::default();
        trainer.fit(&network, &samples, None, &mut [&mut absent], &Silent).unwrap();
        assert_eq!((absent.prior[2], absent.prior[0]), (0.0, 0.5f32.ln()));
        let mut wrong = LogitAdjustment { tau: -1.0, ..absent.clone() };
        assert!(trainer.fit(&network, &samples, None, &mut [&mut wrong], &Silent).is_err());
        let focal = Trainer { loss: Loss::Focal { gamma: 2.0 }, ..trainer };
        assert!(focal.fit(&network, &samples, None, &mut [&mut absent], &Silent).is_err());
    }
}
