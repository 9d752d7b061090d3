//! A network that never sees the pixel it answers for.
//!
//! Two branches begin with a convolution whose centre is cut out, (2d − 1) x (2d − 1) for a dilation d of 2 and of 3. All that
//! follows moves by multiples of d, so that no path leads back to the pixel itself: what reaches an output are the offsets within
//! [`Dbsn::reach`] that are no multiple of d in both directions, of one branch or the other. Normalisation over the picture would
//! break that; there is none.
//!
//! DBSNl of Lee, Son, Lee: AP-BSN (CVPR 2022, arXiv 2203.11799); convolutions are padded with zeros.

use quadrat_core::{Error, Result, Seed};
use quadrat_nn::ops::{self, Window};
use quadrat_nn::{Activation, Forward, Init, Inputs, Network, Parameters, Role, Spec, Tensor, initialise};
use serde::{Deserialize, Serialize};

/// The sizes of a blind-spot network. The official one has base 128 and 9 modules: 3.66 million numbers in colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dbsn {
    /// Channels of a picture: 1 (grey) or 3.
    pub channels: usize,
    /// Channels within, an even number.
    pub base: usize,
    /// Residual modules of each branch.
    pub modules: usize,
}

/// The dilations of the branches.
const DILATIONS: [usize; 2] = [2, 3];

impl Dbsn {
    /// That the sizes are possible.
    ///
    /// # Errors
    /// No channel, an odd base or none, no module.
    pub fn check(&self) -> Result<()> {
        if self.channels == 0 {
            return Err(Error::input("channels", 0, "at least 1"));
        }
        if self.base == 0 || self.base % 2 == 1 {
            return Err(Error::input("base", self.base, "an even number of channels, at least 2"));
        }
        if self.modules == 0 {
            return Err(Error::input("modules", 0, "at least 1"));
        }
        Ok(())
    }

    /// How far away a pixel may be and still count: further ones change nothing. 29 for the official network.
    pub fn reach(&self) -> usize {
        DILATIONS.into_iter().map(|d| d - 1 + d * self.modules).max().unwrap_or(0)
    }

    /// Whether the pixel at this offset can count: the two lattices, without the pixel itself.
    pub fn sees(&self, offset: [isize; 2]) -> bool {
        DILATIONS.into_iter().any(|d| {
            let (step, far) = (d as isize, (d - 1 + d * self.modules) as isize);
            offset.iter().all(|v| v.abs() <= far) && offset.iter().any(|v| v % step != 0)
        })
    }

    /// Multiplications of one answer for one pixel.
    pub fn work(&self) -> usize {
        self.parameters()
            .iter()
            .filter(|spec| spec.role == Role::Weight)
            .map(|spec| spec.shape.iter().product::<usize>())
            .sum()
    }

    /// Fresh parameters.
    ///
    /// # Errors
    /// As [`Dbsn::check`].
    pub fn fresh(&self, seed: Seed) -> Result<Parameters> {
        self.check()?;
        initialise(&self.on([1, 1]), seed)
    }

    /// The network for pictures of this height and width; parameters are the same for all.
    pub fn on(&self, [height, width]: [usize; 2]) -> Framed {
        Framed { net: *self, shape: [self.channels, height, width] }
    }

    /// Uniform with the variance that rectifiers keep (He et al. 2015), what modules add and the answer less: in a few hundred steps
    /// that learns what takes PyTorch's usual start thousands. What the few units of the tail see is about the same everywhere;
    /// they start above 0, or half of them would never answer.
    fn parameters(&self) -> Vec<Spec> {
        let mut specs = Vec::new();
        let mut layer = |name: &str, from: usize, to: usize, kernel: usize, gain: f32| {
            let start = if ["join", "tail1", "tail2"].contains(&name) { 0.5 } else { 0.0 };
            let init = Init::Uniform(gain * (3.0 / (from * kernel * kernel) as f32).sqrt());
            specs.push(Spec::new(format!("{name}.weight"), &[to, from, kernel, kernel], Role::Weight, init));
            specs.push(Spec::new(format!("{name}.bias"), &[to], Role::Bias, Init::Constant(start)));
        };
        let (kept, added) = (2.0_f32.sqrt(), (1.0 / self.modules as f32).sqrt());
        let base = self.base;
        layer("head", self.channels, base, 1, kept);
        for d in DILATIONS {
            layer(&format!("branch{d}.masked"), base, base, 2 * d - 1, kept);
            layer(&format!("branch{d}.mix1"), base, base, 1, kept);
            layer(&format!("branch{d}.mix2"), base, base, 1, kept);
            for i in 1..=self.modules {
                layer(&format!("branch{d}.module{i}.dilated"), base, base, 3, kept);
                layer(&format!("branch{d}.module{i}.mix"), base, base, 1, added);
            }
            layer(&format!("branch{d}.last"), base, base, 1, kept);
        }
        layer("join", 2 * base, base, 1, kept);
        layer("tail1", base, base / 2, 1, kept);
        layer("tail2", base / 2, base / 2, 1, kept);
        layer("tail3", base / 2, self.channels, 1, 1.0);
        specs
    }

    /// Sets the centres of the masked kernels to zero. They count for nothing in any pass; this is for files that others read.
    ///
    /// # Errors
    /// Parameters of another network.
    pub fn mask(&self, parameters: &mut Parameters) -> Result<()> {
        for d in DILATIONS {
            let kernel = parameters.get_mut(&format!("branch{d}.masked.weight"))?;
            let size = (2 * d - 1) * (2 * d - 1);
            kernel.update(|values| values.iter_mut().skip(size / 2).step_by(size).for_each(|v| *v = 0.0));
        }
        Ok(())
    }
}

/// A [`Dbsn`] on pictures of one size: a row of inputs and of outputs is a picture (channels x height x width).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Framed {
    net: Dbsn,
    shape: [usize; 3],
}

impl Framed {
    fn branch(&self, forward: &mut Forward, x: Tensor<4>, d: usize) -> Result<Tensor<4>> {
        let name = |layer: &str| format!("branch{d}.{layer}");
        let mut x = relu(masked(forward, &name("masked"), x, d)?);
        for layer in ["mix1", "mix2"] {
            x = relu(conv(forward, &name(layer), x, 1)?);
        }
        for i in 1..=self.net.modules {
            let inner = relu(conv(forward, &name(&format!("module{i}.dilated")), x.clone(), d)?);
            x = x + conv(forward, &name(&format!("module{i}.mix")), inner, 1)?;
        }
        Ok(relu(conv(forward, &name("last"), x, 1)?))
    }
}

impl Network for Framed {
    fn inputs(&self) -> usize {
        self.shape.iter().product()
    }

    fn outputs(&self) -> usize {
        self.inputs()
    }

    fn parameters(&self) -> Vec<Spec> {
        self.net.parameters()
    }

    fn image(&self) -> Option<[usize; 3]> {
        Some(self.shape)
    }

    fn grain(&self) -> usize {
        4096usize.div_ceil(self.shape[1] * self.shape[2])
    }

    fn forward(&self, forward: &mut Forward, inputs: &Inputs) -> Result<Tensor<2>> {
        let [channels, height, width] = self.shape;
        let (n, x) = (inputs.rows(), inputs.numbers());
        let x = relu(conv(forward, "head", x.reshape([n, channels, height, width]), 1)?);
        let [two, three] = DILATIONS.map(|d| self.branch(forward, x.clone(), d));
        let mut x = Tensor::cat(vec![two?, three?], 1);
        for layer in ["join", "tail1", "tail2"] {
            x = relu(conv(forward, layer, x, 1)?);
        }
        Ok(conv(forward, "tail3", x, 1)?.reshape([n, self.outputs()]))
    }
}

fn relu(x: Tensor<4>) -> Tensor<4> {
    Activation::Relu.apply(x)
}

/// A convolution that keeps the size.
fn conv(forward: &Forward, name: &str, x: Tensor<4>, dilation: usize) -> Result<Tensor<4>> {
    let weight = forward.vars().get::<4>(&format!("{name}.weight"))?;
    let bias = forward.vars().flat(&format!("{name}.bias"))?;
    let window = if weight.dims()[2] == 1 { Window::new(1, 0) } else { Window::dilated(dilation) };
    Ok(ops::conv2d(x, weight, Some(bias), window, 1))
}

/// A convolution with a (2d − 1) x (2d − 1) kernel without its centre, whatever is stored there.
fn masked(forward: &Forward, name: &str, x: Tensor<4>, d: usize) -> Result<Tensor<4>> {
    let weight = forward.vars().get::<4>(&format!("{name}.weight"))?;
    let bias = forward.vars().flat(&format!("{name}.bias"))?;
    let side = 2 * d - 1;
    let [to, from, ..] = weight.dims();
    let mut seen = vec![1.0_f32; side * side];
    seen[side * side / 2] = 0.0;
    let seen = Tensor::<1>::from_data(&seen[..], &weight.device()).reshape([1, 1, side, side]);
    let weight = weight * seen.expand([to, from, side, side]);
    Ok(ops::conv2d(x, weight, Some(bias), Window::new(1, d - 1), 1))
}

#[cfg(test)]
mod tests;
