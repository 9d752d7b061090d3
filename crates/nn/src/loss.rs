//! Losses: one value a row, so that methods can weigh, drop or replace rows before the mean.

use crate::ops;
use crate::tensors::values_of;
use burn_tensor::{Tensor, TensorData, activation};
use quadrat_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// What a network is trained to make small.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// −Σₖ sₖ log softmax(z)ₖ for targets s that may be soft.
    #[default]
    CrossEntropy,
    /// −Σₖ sₖ (1 − pₖ)^γ log pₖ (Lin et al. 2017): rows that are already right count less.
    Focal {
        /// γ ≥ 0; 0 is the cross-entropy.
        gamma: f32,
    },
    /// Cross-entropy of the next token, mean over positions: outputs are scores position by position, targets the token
    /// numbers. A position whose target is -1 does not count; where none does, the loss is 0.
    Tokens {
        /// How many different tokens there are.
        vocabulary: usize,
    },
    /// Mean over labels of −s log σ(z) − (1 − s) log(1 − σ(z)): each output is a label that a row has or has not.
    Binary,
    /// Mean over outputs of (z − s)².
    SquaredError,
    /// Mean over outputs of |z − s|.
    AbsoluteError,
    /// Mean over outputs of Huber's loss: (z − s)² / 2 up to a distance of δ, δ (|z − s| − δ / 2) beyond it (1964).
    Huber {
        /// δ > 0, in units of the targets.
        delta: f32,
    },
    /// Mean over outputs of the pinball loss max(τ (s − z), (τ − 1) (s − z)), least at the τ-quantile of s given the
    /// inputs (Koenker and Bassett 1978).
    Quantile {
        /// τ, between 0 and 1.
        share: f32,
    },
    /// 0 for every row: methods alone say what is made small.
    Nothing,
}

impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Loss::CrossEntropy => "cross-entropy",
            Loss::Focal { .. } => "the focal loss",
            Loss::Tokens { .. } => "the loss of tokens",
            Loss::Binary => "the loss of labels",
            Loss::SquaredError => "the squared error",
            Loss::AbsoluteError => "the absolute error",
            Loss::Huber { .. } => "Huber's loss",
            Loss::Quantile { .. } => "the pinball loss",
            Loss::Nothing => "no loss",
        })
    }
}

impl Loss {
    /// One value for each row of outputs and targets.
    pub fn rows(self, outputs: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
        match self {
            Loss::CrossEntropy => ops::softmax_cross_entropy(outputs, targets),
            Loss::Focal { gamma } => {
                let log_p = activation::log_softmax(outputs, 1);
                let weight = (log_p.clone().exp().neg() + 1.0).clamp_min(0.0).powf_scalar(gamma);
                (weight * log_p * targets).sum_dim(1).neg().squeeze_dim(1)
            }
            Loss::Tokens { vocabulary } => {
                let [n, length] = targets.dims();
                let device = targets.device();
                let numbers = values_of(targets.reshape([-1]));
                let known = |v: f32| if (0.0..vocabulary as f32).contains(&v) { v as u32 } else { u32::MAX };
                let skips = |v: &f32| *v == -1.0;
                let tokens = numbers.iter().map(|&v| if skips(&v) { 0 } else { known(v) }).collect();
                let losses = ops::token_cross_entropy(outputs.reshape([n * length, vocabulary]), tokens);
                let losses = losses.reshape([n, length]);
                if !numbers.iter().any(skips) {
                    return losses.mean_dim(1).squeeze_dim(1);
                }
                let mut shares = vec![0.0; n * length];
                for (shares, numbers) in shares.chunks_exact_mut(length).zip(numbers.chunks_exact(length)) {
                    let counted = numbers.iter().filter(|v| !skips(v)).count() as f32;
                    let places = shares.iter_mut().zip(numbers).filter(|(_, v)| !skips(v));
                    places.for_each(|(share, _)| *share = 1.0 / counted);
                }
                let shares = Tensor::from_data(TensorData::new(shares, [n, length]), &device);
                (losses * shares).sum_dim(1).squeeze_dim(1)
            }
            // Cross-entropy between the scores z and 0 of yes and no.
            Loss::Binary => {
                let [n, labels] = targets.dims();
                let (z, s) = (outputs.reshape([n * labels, 1]), targets.reshape([n * labels, 1]));
                let scores = Tensor::cat(vec![z.clone(), z.zeros_like()], 1);
                let wanted = Tensor::cat(vec![s.clone(), s.neg() + 1.0], 1);
                ops::softmax_cross_entropy(scores, wanted).reshape([n, labels]).mean_dim(1).squeeze_dim(1)
            }
            Loss::SquaredError => (outputs - targets).square().mean_dim(1).squeeze_dim(1),
            Loss::AbsoluteError => (outputs - targets).abs().mean_dim(1).squeeze_dim(1),
            // With c, the distance cut off at δ: c |z − s| − c² / 2.
            Loss::Huber { delta } => {
                let distance = (outputs - targets).abs();
                let near = distance.clone().clamp_max(delta);
                (near.clone() * distance - near.square() * 0.5).mean_dim(1).squeeze_dim(1)
            }
            Loss::Quantile { share } => {
                let above = targets - outputs;
                (above.clone() * share + above.neg().clamp_min(0.0)).mean_dim(1).squeeze_dim(1)
            }
            Loss::Nothing => Tensor::zeros([outputs.dims()[0]], &outputs.device()),
        }
    }

    /// That its numbers are in their ranges.
    pub(crate) fn check(self) -> Result<()> {
        let (what, got, want) = match self {
            Loss::Focal { gamma } if !(gamma >= 0.0 && gamma.is_finite()) => ("focal", gamma, "a gamma of at least 0"),
            Loss::Huber { delta } if !(delta > 0.0 && delta.is_finite()) => ("huber", delta, "a delta above 0"),
            Loss::Quantile { share } if !(share > 0.0 && share < 1.0) => ("quantile", share, "between 0 and 1"),
            _ => return Ok(()),
        };
        Err(Error::input(what, got, want))
    }

    /// Whether outputs are scores of classes.
    pub fn is_classification(self) -> bool {
        matches!(self, Loss::CrossEntropy | Loss::Focal { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn_tensor::Device;

    /// Loss and derivative of one output, by the graph.
    fn at(loss: Loss, output: f32, target: f32) -> (f32, f32) {
        let tensor = |v: f32| Tensor::<2>::from_data(TensorData::new(vec![v], [1, 1]), &Device::flex()).autodiff();
        let z = tensor(output).require_grad();
        let value = loss.rows(z.clone(), tensor(target));
        let slope = z.grad(&value.clone().sum().backward()).unwrap();
        (values_of(value.inner())[0], values_of(slope.reshape([-1]))[0])
    }

    #[test]
    fn losses_and_slopes_are_those_of_their_formulas() {
        let ln = |v: f32| v.ln();
        for (loss, z, s, value, slope) in [
            (Loss::Huber { delta: 1.0 }, 0.5, 0.0, 0.125, 0.5),
            (Loss::Huber { delta: 1.0 }, -3.0, 0.0, 2.5, -1.0),
            (Loss::Huber { delta: 0.5 }, 3.0, 1.0, 0.875, 0.5),
            (Loss::Quantile { share: 0.9 }, 1.0, 3.0, 1.8, -0.9),
            (Loss::Quantile { share: 0.9 }, 3.0, 1.0, 0.2, 0.1),
            (Loss::Binary, 0.0, 1.0, ln(2.0), -0.5),
            (Loss::Binary, ln(3.0), 0.0, ln(4.0), 0.75),
            (Loss::Binary, -200.0, 1.0, 200.0, -1.0),
            (Loss::SquaredError, 3.0, 1.0, 4.0, 4.0),
            (Loss::AbsoluteError, 3.0, 1.0, 2.0, 1.0),
        ] {
            let found = at(loss, z, s);
            assert!((found.0 - value).abs() < 1e-5 && (found.1 - slope).abs() < 1e-5, "{loss:?}: {found:?}");
        }
        for wrong in [Loss::Huber { delta: 0.0 }, Loss::Quantile { share: 1.0 }, Loss::Focal { gamma: f32::NAN }] {
            assert!(wrong.check().is_err());
        }
    }

    #[test]
    fn the_loss_of_tokens_is_the_mean_of_their_cross_entropies() {
        let device = Device::flex();
        let scores = vec![1.0f32, 2.0, 0.5, 0.0, 0.0, 0.0];
        let loss = |tokens: [f32; 2]| {
            let outputs = Tensor::from_data(TensorData::new(scores.clone(), [1, 6]), &device);
            let targets = Tensor::from_data(TensorData::new(tokens.to_vec(), [1, 2]), &device);
            values_of(Loss::Tokens { vocabulary: 3 }.rows(outputs, targets))[0]
        };
        let total: f32 = scores[..3].iter().map(|z| z.exp()).sum();
        let wanted = ((total.ln() - 0.5) + 3.0f32.ln()) / 2.0;
        assert!((loss([2.0, 1.0]) - wanted).abs() < 1e-6);
        // No token of the vocabulary: training then stops with an error about its loss.
        for foreign in [3.0, -2.0, f32::NAN] {
            assert!(loss([2.0, foreign]).is_nan());
        }
        assert!((loss([2.0, -1.0]) - (total.ln() - 0.5)).abs() < 1e-6);
        assert_eq!(loss([-1.0, -1.0]), 0.0);
    }
}
