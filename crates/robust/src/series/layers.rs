//! Small networks over time: convolutions, where the paper has transformers; it leaves the networks open.

use super::given::{CODE, Given};
use quadrat_core::Result;
use quadrat_nn::{Activation, Forward, Spec, Tensor, ops};

/// ½ ln 2π.
pub(super) const HALF_LOG_TAU: f32 = 0.918_938_5;

/// Residual convolutions of three taps over time, spaced 1, 2, 4, … steps apart.
#[derive(Clone, Copy)]
pub(super) struct Temporal {
    pub name: &'static str,
    pub inputs: usize,
    pub width: usize,
    pub layers: usize,
    pub outputs: usize,
}

impl Temporal {
    pub fn specs(self) -> Vec<Spec> {
        let Temporal { name, inputs, width, layers, outputs } = self;
        let mut specs: Vec<Spec> = Spec::linear(&format!("{name}.in"), inputs + CODE, width, 1.0).into();
        specs.extend((0..layers).flat_map(|i| Spec::linear(&format!("{name}.{i}"), 3 * width, width, 1.0)));
        specs.extend(Spec::linear(&format!("{name}.out"), width, outputs, 1.0));
        specs
    }

    /// Hidden states of series of `inputs` numbers at each time; each of the given series comes `k` times.
    fn hidden(self, forward: &mut Forward, given: &Given, k: usize, x: Tensor<3>) -> Result<Tensor<3>> {
        let valid = given.valid(k)?;
        let x = Tensor::cat(vec![x, given.code(k)?], 2);
        let mut h = ops::tanh(linear(forward, &format!("{}.in", self.name), x)?) * valid.clone();
        for i in 0..self.layers {
            let away = 1 << i;
            let taps = vec![shifted(&h, away, true), h.clone(), shifted(&h, away, false)];
            let change = linear(forward, &format!("{}.{i}", self.name), Tensor::cat(taps, 2))?;
            h = (h + ops::tanh(change)) * valid.clone();
        }
        Ok(h)
    }

    /// `outputs` numbers at each time.
    pub fn path(self, forward: &mut Forward, given: &Given, k: usize, x: Tensor<3>) -> Result<Tensor<3>> {
        let h = self.hidden(forward, given, k, x)?;
        linear(forward, &format!("{}.out", self.name), h)
    }

    /// `outputs` numbers for each series, from the mean over its times.
    pub fn whole(self, forward: &mut Forward, given: &Given, k: usize, x: Tensor<3>) -> Result<Tensor<2>> {
        let h = self.hidden(forward, given, k, x)?;
        let mean = h.sum_dim(1) / given.valid(k)?.sum_dim(1);
        forward.head(&format!("{}.out", self.name), mean.squeeze_dim::<2>(1))
    }
}

/// A linear layer at each time.
pub(super) fn linear(forward: &mut Forward, name: &str, x: Tensor<3>) -> Result<Tensor<3>> {
    let [n, t, width] = x.dims();
    let y = forward.linear(name, x.reshape([n * t, width]))?;
    let outputs = y.dims()[1];
    Ok(y.reshape([n, t, outputs]))
}

/// What stood so many times earlier or later; zeros where there is nothing.
fn shifted(h: &Tensor<3>, away: usize, earlier: bool) -> Tensor<3> {
    let [n, t, width] = h.dims();
    if away >= t {
        return h.zeros_like();
    }
    let nothing = h.clone().slice([0..n, 0..away, 0..width]).zeros_like();
    match earlier {
        true => Tensor::cat(vec![nothing, h.clone().slice([0..n, 0..t - away, 0..width])], 1),
        false => Tensor::cat(vec![h.clone().slice([0..n, away..t, 0..width]), nothing], 1),
    }
}

/// Independent normals: series x times x width.
pub(super) struct Normals {
    pub mean: Tensor<3>,
    pub deviation: Tensor<3>,
}

impl Normals {
    /// From twice as many numbers; deviations are at least `least`.
    pub fn of(numbers: Tensor<3>, least: f32) -> Self {
        let [n, t, both] = numbers.dims();
        let mean = numbers.clone().slice([0..n, 0..t, 0..both / 2]);
        let raw = numbers.slice([0..n, 0..t, both / 2..both]);
        Normals { mean, deviation: Activation::Softplus.apply(raw) * (1.0 - least) + least }
    }

    /// ln of the density at x, where `counts` is 1; 0 elsewhere. One number a series.
    pub fn log_density(&self, x: Tensor<3>, counts: Tensor<3>) -> Tensor<1> {
        let z = (x - self.mean.clone()) / self.deviation.clone();
        let each = (z.square() * 0.5 + self.deviation.clone().log() + HALF_LOG_TAU).neg();
        (each * counts).sum_dims_squeeze::<1, usize>(&[1, 2])
    }

    /// A draw that carries the gradient: mean + deviation x noise.
    pub fn draw(&self, noise: Tensor<3>) -> Tensor<3> {
        self.mean.clone() + self.deviation.clone() * noise
    }

    /// Each series k times.
    pub fn repeated(&self, k: usize) -> Self {
        Normals { mean: repeated(&self.mean, k), deviation: repeated(&self.deviation, k) }
    }
}

fn repeated(x: &Tensor<3>, k: usize) -> Tensor<3> {
    let [n, t, width] = x.dims();
    x.clone().unsqueeze_dim::<4>(1).repeat_dim(1, k).reshape([n * k, t, width])
}
