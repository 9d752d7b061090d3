//! A few convolutions and a hidden layer.

use super::{images, rows};
use crate::forward::Forward;
use crate::{Inputs, Network, Spec};
use burn_tensor::{Tensor, activation};
use quadrat_core::Result;
use serde::{Deserialize, Serialize};

/// Convolutions 3x3 with stride 2 (`conv1`, `conv2`, …), each rectified and, if asked, batch-normalised, then a hidden
/// layer `fc1` with dropout and the outputs `fc2`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConvNet {
    /// Channels, height and width of an image.
    pub shape: [usize; 3],
    /// Output channels of each convolution.
    pub filters: Vec<usize>,
    /// Units of the hidden layer.
    pub hidden: usize,
    /// Outputs.
    pub outputs: usize,
    /// Batch-normalise after each convolution.
    pub norm: bool,
    /// Dropout rate after the hidden layer (site `fc1`).
    pub dropout: f32,
}

impl ConvNet {
    /// Two convolutions of 16 and 32 channels and 128 hidden units, without normalisation or dropout.
    pub fn new(shape: [usize; 3], outputs: usize) -> Self {
        ConvNet { shape, filters: vec![16, 32], hidden: 128, outputs, norm: false, dropout: 0.0 }
    }

    /// Numbers that the convolutions leave.
    fn flat(&self) -> usize {
        let halved = |n: usize| self.filters.iter().fold(n, |n, _| n.div_ceil(2));
        self.filters.last().copied().unwrap_or(self.shape[0]) * halved(self.shape[1]) * halved(self.shape[2])
    }
}

impl Network for ConvNet {
    fn inputs(&self) -> usize {
        self.shape.iter().product()
    }

    fn outputs(&self) -> usize {
        self.outputs
    }

    fn image(&self) -> Option<[usize; 3]> {
        Some(self.shape)
    }

    fn parameters(&self) -> Vec<Spec> {
        let mut specs = Vec::new();
        let mut channels = self.shape[0];
        for (i, &filters) in self.filters.iter().enumerate() {
            let name = format!("conv{}", i + 1);
            specs.push(Spec::conv(&name, channels, filters, 3));
            if self.norm {
                specs.extend(Spec::batch_norm(&format!("norm{}", i + 1), filters));
            } else {
                specs.push(Spec::bias(&name, filters));
            }
            channels = filters;
        }
        specs.extend(Spec::linear("fc1", self.flat(), self.hidden, std::f32::consts::SQRT_2));
        specs.extend(Spec::linear("fc2", self.hidden, self.outputs, 1.0));
        specs
    }

    fn grain(&self) -> usize {
        32
    }

    fn forward(&self, forward: &mut Forward, inputs: &Inputs) -> Result<Tensor<2>> {
        let mut x = images(inputs.numbers(), self.shape);
        for i in 1..=self.filters.len() {
            x = forward.conv2d(&format!("conv{i}"), x, 2, 1)?;
            if self.norm {
                x = forward.batch_norm(&format!("norm{i}"), x)?;
            }
            x = activation::relu(x);
        }
        let x = activation::relu(forward.linear("fc1", rows(x))?);
        let x = forward.dropout("fc1", x, self.dropout);
        forward.head("fc2", x)
    }
}
