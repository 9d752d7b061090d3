//! Images as sequences of patches (Dosovitskiy et al. 2021), small.

use super::attention::{Block, PREFIX, Sight, Style};
use super::{check_multiple, images};
use crate::forward::Forward;
use crate::parameters::{Init, Role};
use crate::{Inputs, Network, Spec};
use burn_tensor::Tensor;
use quadrat_core::Result;
use serde::{Deserialize, Serialize};

/// Patches, each a linear map of its pixels plus a learned position, through transformer blocks; the mean over patches
/// goes to the outputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Vit {
    /// Channels, height and width of an image.
    pub shape: [usize; 3],
    /// Side of a patch, a divisor of height and width.
    pub patch: usize,
    /// Width of a representation; a multiple of `heads`.
    pub width: usize,
    /// Attention heads.
    pub heads: usize,
    /// Blocks.
    pub layers: usize,
    /// Outputs.
    pub outputs: usize,
    /// Keys and as many values that are learnt for the first blocks, which all their patches see beside each other's (prefix
    /// tuning, Li and Liang 2021): how many for each block; usually none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prompts: Vec<usize>,
}

impl Vit {
    /// Patches of 4 x 4, width 64, 4 heads, 4 blocks.
    pub fn new(shape: [usize; 3], outputs: usize) -> Self {
        Vit { shape, patch: 4, width: 64, heads: 4, layers: 4, outputs, prompts: Vec::new() }
    }

    fn block(&self) -> Block {
        Block { width: self.width, heads: self.heads, style: Style::default() }
    }

    fn grid(&self) -> [usize; 2] {
        [self.shape[1] / self.patch.max(1), self.shape[2] / self.patch.max(1)]
    }
}

impl Network for Vit {
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
        let [down, across] = self.grid();
        let pixels = self.shape[0] * self.patch * self.patch;
        let mut specs = Vec::from(Spec::linear("patches", pixels, self.width, 1.0));
        specs.push(Spec::new("positions", &[down * across, self.width], Role::Other, Init::Normal(0.02)));
        for i in 1..=self.layers {
            specs.extend(self.block().specs(&format!("block{i}")));
            if let Some(pairs) = self.prompts.get(i - 1).filter(|pairs| **pairs > 0) {
                let shape = [2 * pairs, self.width];
                specs.push(Spec::new(format!("block{i}.{PREFIX}"), &shape, Role::Other, Init::Normal(1.0)));
            }
        }
        specs.extend(Spec::norm("norm", self.width));
        specs.extend(Spec::linear("head", self.width, self.outputs, 1.0));
        specs
    }

    fn grain(&self) -> usize {
        32
    }

    fn forward(&self, forward: &mut Forward, inputs: &Inputs) -> Result<Tensor<2>> {
        check_multiple("height", self.shape[1], self.patch)?;
        check_multiple("width of the image", self.shape[2], self.patch)?;
        self.block().check()?;
        let n = inputs.rows();
        let ([c, _, _], [down, across], p) = (self.shape, self.grid(), self.patch);
        let patches = images(inputs.numbers(), self.shape).reshape([n, c, down, p, across, p]);
        let patches = patches.permute([0, 2, 4, 1, 3, 5]).reshape([n * down * across, c * p * p]);
        let x = forward.linear("patches", patches)?.reshape([n, down * across, self.width]);
        let mut x = x + forward.vars().get::<2>("positions")?.unsqueeze();
        for i in 1..=self.layers {
            x = self.block().apply(forward, &format!("block{i}"), x, Sight::whole(false, None))?;
        }
        let features = forward.layer_norm("norm", x)?.mean_dim(1).reshape([n, self.width]);
        forward.head("head", features)
    }
}
