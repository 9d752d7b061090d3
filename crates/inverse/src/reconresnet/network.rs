//! The network: down, residual blocks, up.

use ndarray::Array2;
use quadrat_core::{Error, Result};
use quadrat_nn::ops::{self, Window};
use quadrat_nn::{Forward, Init, Inputs, Int, Network, Role, Spec, Tensor, sigmoid, tensor_of};
use serde::{Deserialize, Serialize};

/// Images of one channel to images from 0 to 1 (Johnson et al. 2016's transformer with spatial dropout).
///
/// Reflected border of 3 and a 7 x 7 convolution; `down` times a 3 x 3 convolution at every second pixel, which doubles the channels;
/// `blocks` times x + \[3 x 3, 3 x 3\](x) with reflected borders; `down` transposed convolutions back; 7 x 7 to one channel, and the
/// logistic function. Behind every convolution but the last the channels of each image are normalised, and rectified with a slope that
/// is learnt (PReLU, one number a layer), but not behind a block's second. Between a block's two layers whole channels are dropped.
///
/// The authors' convolutions have biases that the normalisation behind them takes off again; here only the last has one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Regularised {
    /// Height and width, multiples of 2^`down`.
    pub shape: [usize; 2],
    /// Channels at full size.
    pub features: usize,
    /// How often the size is halved.
    pub down: usize,
    /// Residual blocks.
    pub blocks: usize,
    /// Share of channels that a block drops in training.
    pub dropout: f32,
}

impl Regularised {
    /// Channels at the smallest size.
    fn widest(&self) -> usize {
        self.features << self.down
    }

    fn block(&self, forward: &mut Forward, name: &str, x: Tensor<4>) -> Result<Tensor<4>> {
        let h = layer(forward, &format!("{name}.one"), reflected(x.clone(), 1), Window::new(1, 0))?;
        let h = dropped(forward, h, self.dropout);
        Ok(x + normal(forward.conv2d(&format!("{name}.two"), reflected(h, 1), 1, 0)?))
    }
}

impl Network for Regularised {
    fn inputs(&self) -> usize {
        self.shape[0] * self.shape[1]
    }

    fn outputs(&self) -> usize {
        self.inputs()
    }

    fn image(&self) -> Option<[usize; 3]> {
        Some([1, self.shape[0], self.shape[1]])
    }

    fn parameters(&self) -> Vec<Spec> {
        let mut specs = vec![Spec::conv("first", 1, self.features, 7), slope("first")];
        for size in 0..self.down {
            let name = format!("down{}", size + 1);
            let from = self.features << size;
            specs.extend([Spec::conv(&name, from, 2 * from, 3), slope(&name)]);
        }
        let wide = self.widest();
        for block in 1..=self.blocks {
            let one = format!("block{block}.one");
            specs.extend([Spec::conv(&one, wide, wide, 3), slope(&one)]);
            specs.push(Spec::conv(&format!("block{block}.two"), wide, wide, 3));
        }
        for size in (0..self.down).rev() {
            let name = format!("up{}", size + 1);
            let to = self.features << size;
            specs.extend([transposed(&name, 2 * to, to), slope(&name)]);
        }
        specs.extend([Spec::conv("last", self.features, 1, 7), Spec::bias("last", 1)]);
        specs
    }

    fn grain(&self) -> usize {
        1
    }

    fn forward(&self, forward: &mut Forward, inputs: &Inputs) -> Result<Tensor<2>> {
        check(self.shape, self.down)?;
        let [h, w] = self.shape;
        let x = inputs.numbers().reshape([inputs.rows(), 1, h, w]);
        let mut x = layer(forward, "first", reflected(x, 3), Window::new(1, 0))?;
        for size in 1..=self.down {
            x = layer(forward, &format!("down{size}"), x, Window::new(2, 1))?;
        }
        for block in 1..=self.blocks {
            x = self.block(forward, &format!("block{block}"), x)?;
        }
        for size in (1..=self.down).rev() {
            x = doubled(forward, &format!("up{size}"), x)?;
        }
        let x = sigmoid(forward.conv2d("last", reflected(x, 3), 1, 0)?);
        Ok(x.reshape([inputs.rows(), h * w]))
    }
}

/// That an image can be halved so often and leaves something to reflect.
pub(super) fn check(shape: [usize; 2], down: usize) -> Result<()> {
    let by = 1 << down;
    if shape.iter().any(|side| !side.is_multiple_of(by) || *side < 4 * by) {
        let got = format!("{} x {}", shape[0], shape[1]);
        return Err(Error::input("image", got, format!("sides that are multiples of {by}, at least {}", 4 * by)));
    }
    Ok(())
}

/// A convolution, normalised and rectified.
pub(super) fn layer(forward: &mut Forward, name: &str, x: Tensor<4>, window: Window) -> Result<Tensor<4>> {
    let x = normal(forward.convolve(name, x, window)?);
    rectified(forward, name, x)
}

/// Twice the size by a transposed convolution, normalised and rectified.
pub(super) fn doubled(forward: &mut Forward, name: &str, x: Tensor<4>) -> Result<Tensor<4>> {
    let x = normal(forward.conv_transpose2d(name, x, Window::new(2, 1), 1)?);
    rectified(forward, name, x)
}

/// The kernel of [`doubled`]: inputs x outputs x 3 x 3.
pub(super) fn transposed(name: &str, from: usize, to: usize) -> Spec {
    // At every second place of each axis: of nine numbers of the kernel a pixel meets two and a quarter on average.
    let deviation = (2.0 / (from as f32 * 2.25)).sqrt();
    Spec::new(format!("{name}.weight"), &[from, to, 3, 3], Role::Weight, Init::Normal(deviation))
}

/// The slope below 0 of a layer's rectifier.
pub(super) fn slope(name: &str) -> Spec {
    Spec::new(format!("{name}.slope"), &[1], Role::Other, Init::Constant(0.25))
}

/// Each channel of each image to mean 0 and variance 1.
fn normal(x: Tensor<4>) -> Tensor<4> {
    let (channels, device) = (x.dims()[1], x.device());
    ops::group_norm(x, channels, Tensor::ones([channels], &device), Tensor::zeros([channels], &device), 1e-5)
}

/// max(x, 0) + slope min(x, 0).
fn rectified(forward: &mut Forward, name: &str, x: Tensor<4>) -> Result<Tensor<4>> {
    let slope = forward.vars().flat(&format!("{name}.slope"))?;
    Ok(x.clone().clamp_min(0.0) + x.clamp_max(0.0) * slope.reshape([1, 1, 1, 1]))
}

/// Whole channels set to 0 in training, each with probability `rate`; the others are scaled up.
pub(super) fn dropped(forward: &mut Forward, x: Tensor<4>, rate: f32) -> Tensor<4> {
    if !forward.is_training() || rate <= 0.0 {
        return x;
    }
    let [n, channels, ..] = x.dims();
    let kept = 1.0 / (1.0 - rate);
    let rng = forward.rng();
    let mask = Array2::from_shape_simple_fn((n, channels), || if rng.uniform() < f64::from(rate) { 0.0 } else { kept });
    x.clone() * tensor_of(mask.view(), x.is_autodiff()).reshape([n, channels, 1, 1])
}

/// A border of `by` pixels that mirrors the image at its outermost ones.
fn reflected(x: Tensor<4>, by: usize) -> Tensor<4> {
    let [.., h, w] = x.dims();
    let device = x.device();
    let places = |side: usize| {
        let places: Vec<i32> = (0..side + 2 * by).map(|i| mirror(i as isize - by as isize, side) as i32).collect();
        Tensor::<1, Int>::from_ints(&places[..], &device)
    };
    x.select(2, places(h)).select(3, places(w))
}

/// The pixel that place `i` outside mirrors; the outermost pixels are not repeated.
pub(super) fn mirror(i: isize, side: usize) -> usize {
    let period = 2 * (side.max(2) as isize - 1);
    let i = i.rem_euclid(period);
    if i < side as isize { i as usize } else { (period - i) as usize }
}
