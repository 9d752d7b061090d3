//! Pre-activation residual network (He et al. 2016, "Identity mappings in deep residual networks").

use super::images;
use crate::forward::Forward;
use crate::{Inputs, Network, Spec};
use burn_tensor::{Tensor, activation};
use quadrat_core::Result;
use serde::{Deserialize, Serialize};

/// A 3x3 stem, stages of residual blocks whose width doubles and whose side halves from stage to stage, the mean over
/// positions, and a linear layer. A block is twice normalise, rectify, convolve 3x3, added to its input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResNet {
    /// Channels, height and width of an image.
    pub shape: [usize; 3],
    /// Channels of the first stage.
    pub width: usize,
    /// Blocks of each stage.
    pub blocks: Vec<usize>,
    /// Outputs.
    pub outputs: usize,
}

/// A block's name, input and output channels, and stride.
type Block = (String, usize, usize, usize);

impl ResNet {
    /// Three stages of one block, 16 to 64 channels.
    pub fn new(shape: [usize; 3], outputs: usize) -> Self {
        ResNet { shape, width: 16, blocks: vec![1, 1, 1], outputs }
    }

    fn plan(&self) -> Vec<Block> {
        let mut channels = self.width;
        let mut plan = Vec::new();
        for (stage, &blocks) in self.blocks.iter().enumerate() {
            for block in 0..blocks {
                let width = self.width << stage;
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                plan.push((format!("stage{}.{}", stage + 1, block + 1), channels, width, stride));
                channels = width;
            }
        }
        plan
    }

    fn last_width(&self) -> usize {
        self.plan().last().map_or(self.width, |&(_, _, width, _)| width)
    }

    fn block(&self, forward: &mut Forward, (name, from, to, stride): &Block, x: Tensor<4>) -> Result<Tensor<4>> {
        let h = activation::relu(forward.batch_norm(&format!("{name}.norm1"), x.clone())?);
        let shortcut = if from == to && *stride == 1 {
            x
        } else {
            forward.conv2d(&format!("{name}.shortcut"), h.clone(), *stride, 0)?
        };
        let h = forward.conv2d(&format!("{name}.conv1"), h, *stride, 1)?;
        let h = activation::relu(forward.batch_norm(&format!("{name}.norm2"), h)?);
        Ok(shortcut + forward.conv2d(&format!("{name}.conv2"), h, 1, 1)?)
    }
}

impl Network for ResNet {
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
        let mut specs = vec![Spec::conv("stem", self.shape[0], self.width, 3)];
        for (name, from, to, stride) in self.plan() {
            specs.extend(Spec::batch_norm(&format!("{name}.norm1"), from));
            specs.push(Spec::conv(&format!("{name}.conv1"), from, to, 3));
            specs.extend(Spec::batch_norm(&format!("{name}.norm2"), to));
            specs.push(Spec::conv(&format!("{name}.conv2"), to, to, 3));
            if from != to || stride != 1 {
                specs.push(Spec::conv(&format!("{name}.shortcut"), from, to, 1));
            }
        }
        specs.extend(Spec::batch_norm("norm", self.last_width()));
        specs.extend(Spec::linear("fc", self.last_width(), self.outputs, 1.0));
        specs
    }

    fn grain(&self) -> usize {
        32
    }

    fn forward(&self, forward: &mut Forward, inputs: &Inputs) -> Result<Tensor<2>> {
        let mut x = forward.conv2d("stem", images(inputs.numbers(), self.shape), 1, 1)?;
        for block in &self.plan() {
            x = self.block(forward, block, x)?;
        }
        let x = activation::relu(forward.batch_norm("norm", x)?);
        let [n, c, h, w] = x.dims();
        let features = x.reshape([n, c, h * w]).mean_dim(2).reshape([n, c]);
        forward.head("fc", features)
    }
}
