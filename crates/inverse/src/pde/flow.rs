//! A density on a box that can be learnt and drawn from: KRnet.
//!
//! Tang, Wan and Liao (2020), as in the code of DAS (arXiv 2112.14038). Points of the cube \[−1, 1\]^d are stretched to the whole space and
//! taken to normal ones by blocks, each a normalisation and an affine coupling. After some blocks the last coordinate is left as it
//! is, as in the Knothe-Rosenblatt rearrangement; at the end each coordinate goes through a monotone function of its own. Every part
//! has an inverse in closed form, so that drawing costs a pass.
//!
//! The network's outputs are ln p and its gradient by the points: derivatives are carried forward beside the values, and one
//! backward pass gives the gradient of any function of them by the parameters. Where the source has rectifiers, these are
//! hyperbolic tangents, so that the gradient of p has no jumps. The last functions' second derivatives have some: the mean of |∇p|²
//! then changes as a jump moves, which no gradient at points sees. [`Flow::smooth`] does without them.

mod inverse;
mod monotone;
#[cfg(test)]
mod tests;

use monotone::Monotone;
use ndarray::{Array2, ArrayView2, s};
use quadrat_core::{Error, Result, Rng, Seed};
use quadrat_nn::ops::Coupling;
use quadrat_nn::{Forward, Init, Inputs, Jet, Network, Parameters, Role, Spec, Tensor, initialise, predict};

/// The network of a density on \[−1, 1\]^d.
#[derive(Debug, Clone, PartialEq)]
pub struct Flow {
    dims: usize,
    /// Blocks between two coordinates that are left as they are.
    blocks: usize,
    /// Units in each of the two hidden layers of a coupling.
    width: usize,
    /// Whether a monotone function of each coordinate ends it.
    ends: bool,
}

/// More coordinates than these make more stages than pay.
pub const MOST_DIMS: usize = 32;

/// Beyond the cube the density goes on for this much on each side.
const MARGIN: f64 = 0.01;
/// How much a coupling stretches or shrinks at most.
const STRETCH: f32 = 0.6;
/// Exponents of scales stay within this.
const BOUND: f32 = 5.0;
/// Rows of a pass: small arrays, many operations.
const GRAIN: usize = 2048;

/// Where a stage's block has its layers, and which coordinates it changes.
struct Block {
    name: String,
    /// Coordinates it acts on: the first so many.
    active: usize,
    /// Whether the last of these is left as it is afterwards.
    last: bool,
}

impl Block {
    /// Coordinates that say how the others are changed.
    fn kept(&self) -> usize {
        self.active.div_ceil(2)
    }
}

impl Flow {
    /// A density of `dims` coordinates with the source's six blocks a stage and 24 units.
    ///
    /// # Errors
    /// No dimension, or more than [`MOST_DIMS`].
    pub fn new(dims: usize) -> Result<Self> {
        if dims == 0 || dims > MOST_DIMS {
            let want = format!("1 to {MOST_DIMS} for a learnt density; method rad has no such bound");
            return Err(Error::input("dimensions", dims, want));
        }
        Ok(Flow { dims, blocks: 6, width: 24, ends: true })
    }

    /// The same without the monotone functions at its end: its gradient is smooth.
    ///
    /// # Errors
    /// As [`Flow::new`].
    pub fn smooth(dims: usize) -> Result<Self> {
        Ok(Flow { ends: false, ..Flow::new(dims)? })
    }

    fn stages(&self) -> Vec<Block> {
        let stage = |active: usize| {
            (0..self.blocks).map(move |i| Block {
                name: format!("of{active}.block{}", i + 1),
                active,
                last: i + 1 == self.blocks,
            })
        };
        (2..=self.dims).rev().flat_map(stage).collect()
    }

    /// ln p and its gradient at points of the cube (rows): rows x (1 + dims).
    ///
    /// # Errors
    /// Points of another dimension, or not finite.
    pub fn density(&self, parameters: &Parameters, x: ArrayView2<f32>) -> Result<Array2<f32>> {
        predict(self, parameters, x, &[])
    }

    /// Draws `n` points of the cube, with ln p at each; what falls outside is drawn anew. Point i draws from
    /// `seed.rng(i)` until it is inside.
    ///
    /// # Errors
    /// A density that has left the cube.
    pub fn draw(&self, parameters: &Parameters, n: usize, seed: Seed) -> Result<(Array2<f32>, Vec<f32>)> {
        let mut rngs: Vec<Rng> = (0..n as u64).map(|i| seed.rng(i)).collect();
        let mut x = Array2::zeros((n, self.dims));
        let mut open: Vec<usize> = (0..n).collect();
        for _ in 0..TRIES {
            let mut z = Array2::zeros((open.len(), self.dims));
            for (mut z, i) in z.rows_mut().into_iter().zip(&open) {
                z.iter_mut().for_each(|z| *z = rngs[*i].normal());
            }
            let found = self.inverse(parameters, z.view())?;
            let mut outside = Vec::new();
            for (found, i) in found.rows().into_iter().zip(open) {
                if found.iter().all(|v| v.abs() <= 1.0) {
                    x.row_mut(i).zip_mut_with(&found, |x, v| *x = *v as f32);
                } else {
                    outside.push(i);
                }
            }
            open = outside;
            if open.is_empty() {
                let ln_p = self.density(parameters, x.view())?.slice_move(s![.., 0]);
                return Ok((x, ln_p.to_vec()));
            }
        }
        let why = format!("{} of {n} points are outside the domain after {TRIES} tries: lower flow-rate", open.len());
        Err(Error::numeric("drawing from the learnt density", why))
    }

    /// Fresh parameters: nearly uniform on the cube.
    ///
    /// # Errors
    /// None that can be met: names differ.
    pub fn initialise(&self, seed: Seed) -> Result<Parameters> {
        initialise(self, seed)
    }

    /// A block on the first `active` columns; adds to the logarithm of the determinant (rows x 1).
    fn block(&self, forward: &Forward, block: &Block, x: Jet, ln_det: Jet) -> Result<(Jet, Jet)> {
        let (vars, name) = (forward.vars(), &block.name);
        let log_scale = vars.flat(&format!("{name}.norm.scale"))?.clamp(-BOUND, BOUND);
        let ln_det = ln_det.shifted(log_scale.clone().sum().unsqueeze());
        let layer = |i: usize| -> Result<(Tensor<2>, Tensor<1>)> {
            Ok((vars.get(&format!("{name}.fc{i}.weight"))?, vars.flat(&format!("{name}.fc{i}.bias"))?))
        };
        let (x, own) = x.coupling(Coupling {
            scale: log_scale.exp(),
            shift: vars.flat(&format!("{name}.norm.shift"))?,
            layers: [layer(1)?, layer(2)?, layer(3)?],
            reach: vars.flat(&format!("{name}.reach"))?.clamp(-BOUND, BOUND).exp(),
            stretch: STRETCH,
        })?;
        Ok((x.turned(|x| x.flip([1])), ln_det.plus(own)))
    }
}

/// How often a point may fall outside the cube.
const TRIES: usize = 1000;

/// Columns of all functions.
fn columns(x: &Jet, from: usize, to: usize) -> Jet {
    x.clone().turned(|x| {
        let rows = x.dims()[0];
        x.slice([0..rows, from..to])
    })
}

impl Network for Flow {
    fn inputs(&self) -> usize {
        self.dims
    }

    fn outputs(&self) -> usize {
        1 + self.dims
    }

    fn parameters(&self) -> Vec<Spec> {
        let mut all = Vec::new();
        // The logarithm of the logistic law's deviation, π/√3: the first normalisation makes uniform points of unit variance.
        let mut log_scale = -(std::f32::consts::PI / 3f32.sqrt()).ln();
        let mut norm = |name: &str, n: usize, all: &mut Vec<Spec>| {
            let scale = std::mem::take(&mut log_scale);
            all.push(Spec::new(format!("{name}.norm.scale"), &[n], Role::Scale, Init::Constant(scale)));
            all.push(Spec::new(format!("{name}.norm.shift"), &[n], Role::Scale, Init::Constant(0.0)));
        };
        for block in self.stages() {
            let (kept, name) = (block.kept(), &block.name);
            let moved = block.active - kept;
            norm(name, block.active, &mut all);
            all.extend(Spec::linear(&format!("{name}.fc1"), kept, self.width, 1.0));
            all.extend(Spec::linear(&format!("{name}.fc2"), self.width, self.width, 1.0));
            // Nearly nothing is changed at first.
            all.extend(Spec::linear(&format!("{name}.fc3"), self.width, 2 * moved, 0.02));
            all.push(Spec::new(format!("{name}.reach"), &[moved], Role::Scale, Init::Constant(0.0)));
        }
        norm("end", self.dims, &mut all);
        if self.ends {
            all.push(Monotone::spec("end.heights", self.dims));
        }
        all
    }

    fn grain(&self) -> usize {
        GRAIN
    }

    fn forward(&self, forward: &mut Forward, inputs: &Inputs) -> Result<Tensor<2>> {
        let x = inputs.numbers();
        // From the cube with its margin to (0, 1), then to the whole line by the logit ln y − ln(1 − y), whose slope is 1/(y(1 − y)).
        let width = 2.0 * (1.0 + MARGIN);
        let y = Jet::first_order(x).turned(|x| x / width);
        let half = Tensor::full([1, self.dims], 0.5, &y.value().device());
        let y = y.shifted(half);
        let rest = y.clone().turned(Tensor::neg).shifted(Tensor::ones([1, self.dims], &y.value().device()));
        let (ln_y, ln_rest) = (y.ln(), rest.ln());
        let slopes = ln_y.clone().plus(ln_rest.clone()).turned(|x| x.sum_dim(1).neg());
        let mut ln_det = slopes.turned(|x| x).shifted(constant(-(self.dims as f64) * width.ln(), &ln_y));
        let mut x = ln_y.plus(ln_rest.turned(Tensor::neg));
        let mut done: Option<Jet> = None;
        for block in self.stages() {
            (x, ln_det) = self.block(forward, &block, x, ln_det)?;
            if block.last {
                let last = columns(&x, block.active - 1, block.active);
                done = Some(match done {
                    Some(done) => last.beside(done),
                    None => last,
                });
                x = columns(&x, 0, block.active - 1);
            }
        }
        let z = match done {
            Some(done) => x.beside(done),
            None => x,
        };
        let log_scale = forward.vars().flat("end.norm.scale")?.clamp(-BOUND, BOUND);
        let z = z.turned(|z| z * log_scale.clone().exp().unsqueeze());
        let mut z = z.shifted(forward.vars().flat("end.norm.shift")?.unsqueeze());
        ln_det = ln_det.shifted(log_scale.sum().unsqueeze());
        if self.ends {
            let ln_slope;
            (z, ln_slope) = Monotone::apply(forward.vars().get("end.heights")?, z)?;
            ln_det = ln_det.plus(ln_slope);
        }
        let value = z.value();
        let normal = z.through(value.clone().square() * -0.5, value.clone().neg(), value.zeros_like());
        let ln_normal = constant(-0.5 * self.dims as f64 * std::f64::consts::TAU.ln(), &ln_det);
        let ln_p = normal.turned(|x| x.sum_dim(1)).plus(ln_det).shifted(ln_normal);
        let slopes = (0..self.dims).map(|k| ln_p.slope(k));
        Ok(Tensor::cat(std::iter::once(ln_p.value()).chain(slopes).collect(), 1))
    }
}

/// A number as a tensor to add to one column.
fn constant(v: f64, like: &Jet) -> Tensor<2> {
    Tensor::full([1, 1], v as f32, &like.value().device())
}
