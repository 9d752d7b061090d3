//! Images to images at a given time: the usual network of diffusion models, small.

use super::{check_multiple, images, rows};
use crate::forward::Forward;
use crate::ops;
use crate::parameters::{Init, Role};
use crate::{Input, Inputs, Network, Spec};
use burn_tensor::{Tensor, TensorData, module, ops::InterpolateMode, ops::InterpolateOptions};
use quadrat_core::Result;
use serde::{Deserialize, Serialize};

/// Residual blocks at ever smaller sizes and back, with connections across (Ronneberger et al. 2015; Ho et al. 2020). A row
/// of inputs is an image; beside it stand its `time` (0 to 1), its `class` if there are any (`classes` itself stands for
/// "none"), and its `condition`, any numbers, if that has a width. A row of outputs is an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UNet {
    /// Channels, height and width of an image; height and width halve once for each of `levels`.
    pub shape: [usize; 3],
    /// Channels at full size, a multiple of 8; at least 16, for 8 groups of them are normalised, and of a channel alone that
    /// takes away what the time and the class have added.
    pub width: usize,
    /// Classes that an image may be asked for; 0 if none.
    pub classes: usize,
    /// Channels at full size, half size, … as multiples of `width`. Below the last there is one more size of as many.
    #[serde(default = "two")]
    pub levels: Vec<usize>,
    /// The sizes at which pixels attend to each other: 0 is full size, `levels.len()` the smallest. Costs the square of the
    /// pixels there.
    #[serde(default)]
    pub attention: Vec<usize>,
    /// Numbers in a `condition`; 0 if there is none.
    #[serde(default)]
    pub condition: usize,
}

/// Full and half size, with twice the channels, and quarter size below.
fn two() -> Vec<usize> {
    vec![1, 2]
}

/// A residual block: its name, its size as in [`UNet::attention`], its input and output channels.
type Block = (String, usize, usize, usize);

/// Groups of channels that are normalised together.
const GROUPS: usize = 8;

impl UNet {
    /// Full, half and quarter size, without classes, attention or a condition.
    pub fn new(shape: [usize; 3], width: usize) -> Self {
        UNet { shape, width, classes: 0, levels: two(), attention: Vec::new(), condition: 0 }
    }

    fn embedding(&self) -> usize {
        4 * self.width
    }

    /// Channels at a size; the smallest has as many as the one above.
    fn channels(&self, size: usize) -> usize {
        self.width * self.levels.get(size).or(self.levels.last()).copied().unwrap_or(1)
    }

    /// The blocks in order: down, in the middle, up.
    fn blocks(&self) -> [Vec<Block>; 3] {
        let (bottom, c) = (self.levels.len(), |size| self.channels(size));
        let above = |size: usize| if size == 0 { self.width } else { c(size - 1) };
        let down = (0..bottom).map(|size| (format!("down{}", size + 1), size, above(size), c(size)));
        let middle = (1..=2).map(|i| (format!("middle{i}"), bottom, above(bottom), c(bottom)));
        let up = (0..bottom).rev().map(|size| (format!("up{}", size + 1), size, c(size + 1) + c(size), c(size)));
        [down.collect(), middle.collect(), up.collect()]
    }

    /// Whether pixels attend to each other after this block.
    fn attends(&self, (name, size, ..): &Block) -> bool {
        self.attention.contains(size) && name != "middle2"
    }

    /// Sines and cosines of the time at octaves, the class and the condition, through two layers.
    fn conditions(&self, forward: &mut Forward, inputs: &Inputs) -> Result<Tensor<2>> {
        let time = inputs.other("time")? * 1000.0;
        let half = self.width / 2;
        let rate = |i| (-(1e4f32.ln()) * i as f32 / half as f32).exp();
        let rates = TensorData::new((0..half).map(rate).collect::<Vec<_>>(), [1, half]);
        let angles = time.clone() * Tensor::<2>::from_data(rates, &time.device());
        let waves = Tensor::cat(vec![angles.clone().sin(), angles.cos()], 1);
        let mut x = forward.linear("time1", waves)?;
        if self.classes > 0 {
            let class = forward.embedding("classes", inputs.whole("class")?)?;
            x = x + class.reshape([inputs.rows(), self.embedding()]);
        }
        if self.condition > 0 {
            x = x + forward.linear("condition", inputs.other("condition")?)?;
        }
        forward.linear("time2", ops::silu(x))
    }

    fn block(&self, forward: &mut Forward, block: &Block, x: Tensor<4>, conditions: &Tensor<2>) -> Result<Tensor<4>> {
        let name = &block.0;
        let h = ops::silu(forward.group_norm(&format!("{name}.norm1"), x.clone(), GROUPS)?);
        let h = forward.conv2d(&format!("{name}.conv1"), h, 1, 1)?;
        let told = forward.linear(&format!("{name}.told"), ops::silu(conditions.clone()))?;
        let [n, c] = told.dims();
        let h = h + told.reshape([n, c, 1, 1]);
        let h = ops::silu(forward.group_norm(&format!("{name}.norm2"), h, GROUPS)?);
        let h = forward.conv2d(&format!("{name}.conv2"), h, 1, 1)?;
        let shortcut = format!("{name}.shortcut");
        let x = if x.dims()[1] == c { x } else { forward.conv2d(&shortcut, x, 1, 0)? } + h;
        if self.attends(block) { self.attend(forward, &format!("{name}.attention"), x) } else { Ok(x) }
    }

    /// What every pixel takes from all others, added to it.
    fn attend(&self, forward: &mut Forward, name: &str, x: Tensor<4>) -> Result<Tensor<4>> {
        let [n, c, h, w] = x.dims();
        let pixels = forward.group_norm(&format!("{name}.norm"), x.clone(), GROUPS)?;
        let pixels = pixels.reshape([n, c, h * w]).swap_dims(1, 2).reshape([n * h * w, c]);
        let qkv = forward.linear(&format!("{name}.qkv"), pixels)?;
        // A head to every 64 channels, at least one; their number divides the channels, multiples of 8.
        let heads = (1..=(c / 64).max(1)).rev().find(|heads| c.is_multiple_of(*heads)).unwrap_or(1);
        let mixed = forward.linear(&format!("{name}.join"), ops::self_attention(qkv, h * w, heads, false))?;
        Ok(x + mixed.reshape([n, h * w, c]).swap_dims(1, 2).reshape([n, c, h, w]))
    }
}

/// The name of the step from a size to half of it.
fn halving(size: usize) -> String {
    match size {
        0 => "half".to_owned(),
        1 => "quarter".to_owned(),
        _ => format!("part{}", 2usize << size),
    }
}

impl Network for UNet {
    fn inputs(&self) -> usize {
        self.shape.iter().product()
    }

    fn others(&self) -> Vec<Input> {
        let mut others = vec![Input::numbers("time", 1)];
        others.extend((self.classes > 0).then(|| Input::whole("class", 1, self.classes + 1)));
        others.extend((self.condition > 0).then(|| Input::numbers("condition", self.condition)));
        others
    }

    fn outputs(&self) -> usize {
        self.inputs()
    }

    fn parameters(&self) -> Vec<Spec> {
        let (width, embedding) = (self.width, self.embedding());
        let mut specs = vec![Spec::conv("stem", self.shape[0], width, 3)];
        specs.extend(Spec::linear("time1", 2 * (width / 2), embedding, 1.0));
        specs.extend(Spec::linear("time2", embedding, embedding, 1.0));
        if self.classes > 0 {
            specs.push(Spec::new("classes", &[self.classes + 1, embedding], Role::Other, Init::Normal(0.02)));
        }
        if self.condition > 0 {
            specs.extend(Spec::linear("condition", self.condition, embedding, 1.0));
        }
        for block in self.blocks().iter().flatten() {
            let (name, _, from, to) = block;
            specs.extend(Spec::norm(&format!("{name}.norm1"), *from));
            specs.push(Spec::conv(&format!("{name}.conv1"), *from, *to, 3));
            specs.extend(Spec::linear(&format!("{name}.told"), embedding, *to, 1.0));
            specs.extend(Spec::norm(&format!("{name}.norm2"), *to));
            specs.push(Spec::conv(&format!("{name}.conv2"), *to, *to, 3));
            if from != to {
                specs.push(Spec::conv(&format!("{name}.shortcut"), *from, *to, 1));
            }
            if self.attends(block) {
                specs.extend(Spec::norm(&format!("{name}.attention.norm"), *to));
                specs.extend(Spec::linear(&format!("{name}.attention.qkv"), *to, 3 * to, 1.0));
                specs.extend(Spec::linear(&format!("{name}.attention.join"), *to, *to, 0.5));
            }
        }
        for size in 0..self.levels.len() {
            specs.push(Spec::conv(&halving(size), self.channels(size), self.channels(size), 3));
        }
        specs.extend(Spec::norm("norm", self.channels(0)));
        let size = [self.shape[0], self.channels(0), 3, 3];
        specs.push(Spec::new("last.weight", &size, Role::Weight, Init::Normal(0.02 / (width as f32).sqrt())));
        specs
    }

    fn grain(&self) -> usize {
        32
    }

    fn forward(&self, forward: &mut Forward, inputs: &Inputs) -> Result<Tensor<2>> {
        check_multiple("height", self.shape[1], 1 << self.levels.len())?;
        check_multiple("width of the image", self.shape[2], 1 << self.levels.len())?;
        check_multiple("width", self.width, GROUPS)?;
        let conditions = self.conditions(forward, inputs)?;
        let mut x = forward.conv2d("stem", images(inputs.numbers(), self.shape), 1, 1)?;
        let [down, middle, up] = self.blocks();
        let mut across = Vec::new();
        for (size, block) in down.iter().enumerate() {
            x = self.block(forward, block, x, &conditions)?;
            across.push(x.clone());
            x = forward.conv2d(&halving(size), x, 2, 1)?;
        }
        for block in &middle {
            x = self.block(forward, block, x, &conditions)?;
        }
        for (block, across) in up.iter().zip(across.into_iter().rev()) {
            x = self.block(forward, block, Tensor::cat(vec![doubled(x), across], 1), &conditions)?;
        }
        let x = ops::silu(forward.group_norm("norm", x, GROUPS)?);
        Ok(rows(forward.conv2d("last", x, 1, 1)?))
    }
}

/// Every pixel four times.
fn doubled(x: Tensor<4>) -> Tensor<4> {
    module::interpolate(x, InterpolateOptions::new(InterpolateMode::Nearest).with_scale_factor([2.0, 2.0]))
}
