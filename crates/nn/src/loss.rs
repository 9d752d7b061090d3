//! Losses: one value a row, so that methods can weigh, drop or replace rows before the mean.

use crate::ops;
use crate::tensors::values_of;
use burn::tensor::{Tensor, TensorData, activation};
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
    /// numbers.
    Tokens {
        /// How many different tokens there are.
        vocabulary: usize,
    },
    /// Mean over outputs of (z − s)².
    SquaredError,
    /// Mean over outputs of |z − s|.
    AbsoluteError,
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
                let wanted = one_hot(targets, vocabulary);
                let losses = ops::softmax_cross_entropy(outputs.reshape([n * length, vocabulary]), wanted);
                losses.reshape([n, length]).mean_dim(1).squeeze_dim(1)
            }
            Loss::SquaredError => (outputs - targets).square().mean_dim(1).squeeze_dim(1),
            Loss::AbsoluteError => (outputs - targets).abs().mean_dim(1).squeeze_dim(1),
        }
    }

    /// Whether outputs are scores of classes.
    pub fn is_classification(self) -> bool {
        matches!(self, Loss::CrossEntropy | Loss::Focal { .. })
    }
}

/// A row of zeros and a one for each token. The row of a number that is no token is not a number, and so is its loss.
fn one_hot(tokens: Tensor<2>, vocabulary: usize) -> Tensor<2> {
    let device = tokens.device();
    let numbers = values_of(tokens.reshape([-1]));
    let mut rows = vec![0.0; numbers.len() * vocabulary];
    for (row, number) in rows.chunks_exact_mut(vocabulary.max(1)).zip(&numbers) {
        let known = (0.0..vocabulary as f32).contains(number);
        row[if known { *number as usize } else { 0 }] = if known { 1.0 } else { f32::NAN };
    }
    Tensor::from_data(TensorData::new(rows, [numbers.len(), vocabulary]), &device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

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
        for foreign in [3.0, -1.0, f32::NAN] {
            assert!(loss([2.0, foreign]).is_nan());
        }
    }
}
