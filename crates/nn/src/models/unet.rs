//! Images to images at a given time: the usual network of diffusion models, small.

use super::{check_multiple, images, rows};
use crate::forward::Forward;
use crate::ops;
use crate::parameters::{Init, Role};
use crate::{Network, Spec};
use burn_tensor::{Tensor, TensorData, module, ops::InterpolateMode, ops::InterpolateOptions};
use quadrat_core::Result;
use serde::{Deserialize, Serialize};

/// Residual blocks at full, half and quarter size and back, with connections across (Ronneberger et al. 2015; Ho et al.
/// 2020). A row of inputs is an image, then the time (0 to 1), then the class if there are any (`classes` itself stands
/// for "none"); a row of outputs is an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UNet {
    /// Channels, height and width of an image; height and width are multiples of 4.
    pub shape: [usize; 3],
    /// Channels at full size, a multiple of 8; twice as many below.
    pub width: usize,
    /// Classes that an image may be asked for; 0 if none.
    pub classes: usize,
}

/// Residual blocks: name, input and output channels as multiples of the width.
const BLOCKS: [(&str, usize, usize); 6] =
    [("down1", 1, 1), ("down2", 1, 2), ("middle1", 2, 2), ("middle2", 2, 2), ("up2", 4, 2), ("up1", 3, 1)];

impl UNet {
    fn image(&self) -> usize {
        self.shape.iter().product()
    }

    fn embedding(&self) -> usize {
        4 * self.width
    }

    /// Sines and cosines of the time at octaves, and the class, through two layers.
    fn conditions(&self, forward: &mut Forward, inputs: &Tensor<2>) -> Result<Tensor<2>> {
        let n = inputs.dims()[0];
        let time = inputs.clone().slice([0..n, self.image()..self.image() + 1]) * 1000.0;
        let half = self.width / 2;
        let rate = |i| (-(1e4f32.ln()) * i as f32 / half as f32).exp();
        let rates = TensorData::new((0..half).map(rate).collect::<Vec<_>>(), [1, half]);
        let angles = time * Tensor::<2>::from_data(rates, &inputs.device());
        let waves = Tensor::cat(vec![angles.clone().sin(), angles.cos()], 1);
        let mut x = forward.linear("time1", waves)?;
        if self.classes > 0 {
            let class = inputs.clone().slice([0..n, self.image() + 1..self.image() + 2]);
            x = x + forward.embedding("classes", class)?.reshape([n, self.embedding()]);
        }
        forward.linear("time2", ops::silu(x))
    }

    fn block(&self, forward: &mut Forward, name: &str, x: Tensor<4>, conditions: &Tensor<2>) -> Result<Tensor<4>> {
        let h = ops::silu(forward.group_norm(&format!("{name}.norm1"), x.clone(), 8)?);
        let h = forward.conv2d(&format!("{name}.conv1"), h, 1, 1)?;
        let told = forward.linear(&format!("{name}.told"), ops::silu(conditions.clone()))?;
        let [n, c] = told.dims();
        let h = h + told.reshape([n, c, 1, 1]);
        let h = ops::silu(forward.group_norm(&format!("{name}.norm2"), h, 8)?);
        let h = forward.conv2d(&format!("{name}.conv2"), h, 1, 1)?;
        let shortcut = format!("{name}.shortcut");
        let x = if x.dims()[1] == c { x } else { forward.conv2d(&shortcut, x, 1, 0)? };
        Ok(x + h)
    }
}

impl Network for UNet {
    fn inputs(&self) -> usize {
        self.image() + 1 + usize::from(self.classes > 0)
    }

    fn outputs(&self) -> usize {
        self.image()
    }

    fn parameters(&self) -> Vec<Spec> {
        let (width, embedding) = (self.width, self.embedding());
        let mut specs = vec![Spec::conv("stem", self.shape[0], width, 3)];
        specs.extend(Spec::linear("time1", 2 * (width / 2), embedding, 1.0));
        specs.extend(Spec::linear("time2", embedding, embedding, 1.0));
        if self.classes > 0 {
            specs.push(Spec::new("classes", &[self.classes + 1, embedding], Role::Other, Init::Normal(0.02)));
        }
        for (name, from, to) in BLOCKS {
            let (from, to) = (from * width, to * width);
            specs.extend(Spec::norm(&format!("{name}.norm1"), from));
            specs.push(Spec::conv(&format!("{name}.conv1"), from, to, 3));
            specs.extend(Spec::linear(&format!("{name}.told"), embedding, to, 1.0));
            specs.extend(Spec::norm(&format!("{name}.norm2"), to));
            specs.push(Spec::conv(&format!("{name}.conv2"), to, to, 3));
            if from != to {
                specs.push(Spec::conv(&format!("{name}.shortcut"), from, to, 1));
            }
        }
        specs.push(Spec::conv("half", width, width, 3));
        specs.push(Spec::conv("quarter", 2 * width, 2 * width, 3));
        specs.extend(Spec::norm("norm", width));
        let size = [self.shape[0], width, 3, 3];
        specs.push(Spec::new("last.weight", &size, Role::Weight, Init::Normal(0.02 / (width as f32).sqrt())));
        specs
    }

    fn grain(&self) -> usize {
        32
    }

    fn forward(&self, forward: &mut Forward, inputs: Tensor<2>) -> Result<Tensor<2>> {
        check_multiple("height", self.shape[1], 4)?;
        check_multiple("width of the image", self.shape[2], 4)?;
        check_multiple("width", self.width, 8)?;
        let n = inputs.dims()[0];
        let conditions = self.conditions(forward, &inputs)?;
        let image = images(inputs.slice([0..n, 0..self.image()]), self.shape);
        let x = forward.conv2d("stem", image, 1, 1)?;
        let full = self.block(forward, "down1", x, &conditions)?;
        let x = forward.conv2d("half", full.clone(), 2, 1)?;
        let half = self.block(forward, "down2", x, &conditions)?;
        let x = forward.conv2d("quarter", half.clone(), 2, 1)?;
        let x = self.block(forward, "middle1", x, &conditions)?;
        let x = self.block(forward, "middle2", x, &conditions)?;
        let x = self.block(forward, "up2", Tensor::cat(vec![doubled(x), half], 1), &conditions)?;
        let x = self.block(forward, "up1", Tensor::cat(vec![doubled(x), full], 1), &conditions)?;
        let x = ops::silu(forward.group_norm("norm", x, 8)?);
        Ok(rows(forward.conv2d("last", x, 1, 1)?))
    }
}

/// Every pixel four times.
fn doubled(x: Tensor<4>) -> Tensor<4> {
    module::interpolate(x, InterpolateOptions::new(InterpolateMode::Nearest).with_scale_factor([2.0, 2.0]))
}
