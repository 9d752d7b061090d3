//! The supernet that holds all choices, and one network of the space with real rounding.

use super::images::interpolation;
use super::quantizers::{Noise, draw, hwgq, lsq, lsq_start, noisy};
use super::space::{Genotype, Op, Place, Space, multiplications};
use burn_tensor::{Tensor, TensorData, activation};
use quadrat_core::{Error, Result};
use quadrat_nn::{Forward, Init, Inputs, Network, Parameters, Role, Spec, ops, ops::Window};
use serde::{Deserialize, Serialize};

/// How the supernet stands for rounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// By noise: one blend of the weights and their noisy copies.
    Noise(Noise),
    /// By rounding to each width, blended.
    Direct,
}

/// The network of a space, with all choices or with one.
pub(crate) enum Layers<'a> {
    /// Every layer is a mixture over its choices.
    Mixed(Mode),
    /// Every layer is what the genotype says.
    Chosen(&'a Genotype),
}

/// Images (3 x h x w, flattened) to images scale times as large.
pub(crate) struct Net<'a> {
    pub space: &'a Space,
    pub layers: Layers<'a>,
    pub height: usize,
    pub width: usize,
}

/// What pixels in [0, 1] are multiplied by: the steps of activations are made for the positive half of a unit normal.
const RANGE: f64 = 3.0;

/// What the layers' output is multiplied by before it is added to the interpolated image, which is nearly right as it
/// is. A constant, not small kernels: Adam would move their learned steps by many times their size.
const LACKING: f64 = 0.002;

/// The name of a layer's scores of choice.
pub(crate) fn alpha(layer: &str) -> String {
    format!("{layer}.alpha")
}

fn kernel(layer: &str, op: Op) -> String {
    format!("{layer}.{}x{}g{}", op.kernel, op.kernel, op.groups)
}

impl Net<'_> {
    /// Whether a layer is residual and normalised.
    fn residual(place: &Place) -> bool {
        place.from == place.to
    }

    fn layer(&self, forward: &mut Forward, place: &Place, x: Tensor<4>) -> Result<Tensor<4>> {
        let residual = Self::residual(place);
        let normed = if residual && self.space.adq {
            forward.batch_norm(&format!("{}.norm", place.name), x.clone())?
        } else {
            x.clone()
        };
        let y = match &self.layers {
            Layers::Chosen(genotype) => {
                let (op, bits) = self.space.chosen(genotype, place)?;
                self.rounded(forward, place, op, bits, normed)?
            }
            Layers::Mixed(_) if place.fixed.is_some() => {
                self.rounded(forward, place, Op { kernel: 1, groups: 1 }, 8, normed)?
            }
            Layers::Mixed(mode) => self.mixed(forward, place, *mode, normed)?,
        };
        if !residual {
            return Ok(y);
        }
        if !self.space.adq {
            return Ok(x + y);
        }
        // The deviation of each image over channels and pixels gives back the scale that the normalisation took.
        let [n, c, h, w] = x.dims();
        let flat = x.clone().reshape([n, c * h * w]);
        let centred = flat.clone() - flat.mean_dim(1);
        let deviation = (centred.square().sum_dim(1) / ((c * h * w).max(2) - 1) as f64 + 1e-12).sqrt();
        let slope = forward.vars().flat(&format!("{}.scale.slope", place.name))?;
        let offset = forward.vars().flat(&format!("{}.scale.offset", place.name))?;
        let factor = deviation * slope.unsqueeze() + offset.unsqueeze();
        Ok(x + y * factor.reshape([n, 1, 1, 1]))
    }

    /// Images at the large size by bicubic interpolation: nothing in it learns.
    fn interpolated(&self, image: &Tensor<4>) -> Tensor<4> {
        let matrix = |old: usize| {
            let new = old * self.space.scale;
            Tensor::<2>::from_data(TensorData::new(interpolation(old, new), [new, old]), &image.device()).unsqueeze()
        };
        matrix(self.height).matmul(image.clone()).matmul(matrix(self.width).transpose())
    }

    /// One convolution with really rounded weights and activations.
    fn rounded(&self, forward: &mut Forward, place: &Place, op: Op, bits: u8, x: Tensor<4>) -> Result<Tensor<4>> {
        let name = kernel(&place.name, op);
        let w = forward.vars().get::<4>(&name)?;
        let shape = w.dims();
        let steps = forward.vars().flat(&format!("{name}.step{bits}"))?;
        let w = lsq(w.reshape([shape[0], shape[1] * shape[2] * shape[3]]), steps, bits).reshape(shape);
        Ok(convolve(hwgq(x, bits), w, op))
    }

    /// Σ over ops of (Σ over bits p) conv(activations, weights), both blended over bits before the one convolution.
    fn mixed(&self, forward: &mut Forward, place: &Place, mode: Mode, x: Tensor<4>) -> Result<Tensor<4>> {
        let (ops, bits) = (self.space.ops_of(place), self.space.bits_of(place));
        let p = activation::softmax(forward.vars().flat(&alpha(&place.name))?, 0);
        let mut sum: Option<Tensor<4>> = None;
        for (o, op) in ops.iter().enumerate() {
            let own = p.clone().narrow(0, o * bits.len(), bits.len());
            let share = own.clone().sum();
            let name = kernel(&place.name, *op);
            let w = forward.vars().get::<4>(&name)?;
            let (w, a) = match mode {
                Mode::Noise(kind) => {
                    // f + Σ q = 1 with the plain copy's share f = 1/(B + 1).
                    let f = 1.0 / (bits.len() as f64 + 1.0);
                    let q = own / share.clone() * (1.0 - f);
                    let x = activation::relu(x.clone());
                    (blend(forward, w, &q, &bits, f, kind), blend(forward, x, &q, &bits, f, kind))
                }
                Mode::Direct => {
                    let q = own / share.clone();
                    let shape = w.dims();
                    let flat = w.reshape([shape[0], shape[1] * shape[2] * shape[3]]);
                    let (mut wq, mut aq) = (flat.zeros_like(), x.zeros_like());
                    for (b, bits) in bits.iter().enumerate() {
                        let steps = forward.vars().flat(&format!("{name}.step{bits}"))?;
                        let weight = q.clone().narrow(0, b, 1);
                        wq = wq + lsq(flat.clone(), steps, *bits) * weight.clone().unsqueeze();
                        aq = aq + hwgq(x.clone(), *bits) * weight.unsqueeze();
                    }
                    (wq.reshape(shape), aq)
                }
            };
            let y = convolve(a, w, *op) * share.unsqueeze();
            sum = Some(match sum {
                Some(sum) => sum + y,
                None => y,
            });
        }
        sum.ok_or_else(|| Error::input(&place.name, "no op", "at least one"))
    }
}

/// f t + Σ q_b N_b(t); in evaluation there is no noise.
fn blend(forward: &mut Forward, t: Tensor<4>, q: &Tensor<1>, bits: &[u8], f: f64, kind: Noise) -> Tensor<4> {
    if !forward.is_training() {
        return t;
    }
    let n = t.dims().iter().product();
    let mut sum = t.clone() * f;
    for (b, bits) in bits.iter().enumerate() {
        let noise = draw(kind, n, forward.rng());
        sum = sum + noisy(t.clone(), *bits, noise) * q.clone().narrow(0, b, 1).unsqueeze();
    }
    sum
}

fn convolve(x: Tensor<4>, w: Tensor<4>, op: Op) -> Tensor<4> {
    ops::conv2d(x, w, None, Window::new(1, op.kernel / 2), op.groups)
}

impl Network for Net<'_> {
    fn inputs(&self) -> usize {
        3 * self.height * self.width
    }

    fn outputs(&self) -> usize {
        self.inputs() * self.space.scale * self.space.scale
    }

    fn parameters(&self) -> Vec<Spec> {
        let mut specs = Vec::new();
        for place in self.space.places() {
            let chosen = match &self.layers {
                Layers::Chosen(genotype) => self.space.chosen(genotype, &place).ok(),
                Layers::Mixed(_) => None,
            };
            let ops = chosen.map_or_else(|| self.space.ops_of(&place), |(op, _)| vec![op]);
            let bits = chosen.map_or_else(|| self.space.bits_of(&place), |(_, bits)| vec![bits]);
            for op in &ops {
                let name = kernel(&place.name, *op);
                let shape = [place.to, place.from / op.groups, op.kernel, op.kernel];
                let fan = (shape[1] * op.kernel * op.kernel).max(1) as f32;
                specs.push(Spec::new(&name, &shape, Role::Weight, Init::Normal(1.0 / fan.sqrt())));
                for bits in &bits {
                    let step = Spec::new(format!("{name}.step{bits}"), &[place.to], Role::Other, Init::Constant(1.0));
                    specs.push(step);
                }
            }
            if matches!(self.layers, Layers::Mixed(_)) && place.fixed.is_none() {
                let n = ops.len() * bits.len();
                specs.push(Spec::new(alpha(&place.name), &[n], Role::Other, Init::Constant(0.0)));
            }
            if Self::residual(&place) && self.space.adq {
                specs.extend(Spec::batch_norm(&format!("{}.norm", place.name), place.to));
                specs.push(Spec::new(format!("{}.scale.slope", place.name), &[1], Role::Other, Init::Constant(1.5)));
                specs.push(Spec::new(format!("{}.scale.offset", place.name), &[1], Role::Other, Init::Constant(0.0)));
            }
        }
        specs
    }

    fn forward(&self, forward: &mut Forward, inputs: &Inputs) -> Result<Tensor<2>> {
        let n = inputs.rows();
        let (space, c) = (self.space, self.space.channels);
        let image = inputs.numbers().reshape([n, 3, self.height, self.width]);
        let interpolated = self.interpolated(&image);
        let repeated = Tensor::cat(vec![image * RANGE; c / 3], 1);
        let places = space.places();
        let (body, rest) = places.split_at(space.cells * space.body);
        let (mut x, mut cells) = (repeated.clone(), Vec::new());
        for cell in body.chunks(space.body) {
            for place in cell {
                x = self.layer(forward, place, x)?;
            }
            cells.push(x.clone());
        }
        let x = self.layer(forward, &rest[0], Tensor::cat(cells, 1))? + repeated;
        let x = shuffled(self.layer(forward, &rest[1], x)?, space.scale);
        let lacking = self.layer(forward, &rest[2], x)? * LACKING;
        Ok((interpolated + lacking).reshape([n, self.outputs()]))
    }
}

/// c r² channels of h x w pixels to c channels of r h x r w.
pub(crate) fn shuffled(x: Tensor<4>, r: usize) -> Tensor<4> {
    let [n, c, h, w] = x.dims();
    let x = x.reshape([n, c / (r * r), r, r, h, w]).permute([0, 1, 4, 2, 5, 3]);
    x.reshape([n, c / (r * r), h * r, w * r])
}

/// Give learned steps the start that fits the weights.
pub(crate) fn start_steps(space: &Space, parameters: &mut Parameters) -> Result<()> {
    for place in space.places() {
        for op in space.ops_of(&place) {
            let name = kernel(&place.name, op);
            if !parameters.has(&name) {
                continue;
            }
            let w = parameters.get(&name)?.values();
            for bits in [1u8, 2, 3, 4, 8, 16, 32] {
                let step = format!("{name}.step{bits}");
                if parameters.has(&step) {
                    parameters.get_mut(&step)?.set(&lsq_start(&w, place.to, bits))?;
                }
            }
        }
    }
    Ok(())
}

/// Expected bit operations of scores of choice over those at equal chances, and its gradient by the scores, layer by
/// layer; both by bits squared, as the final count.
pub(crate) fn expected_cost(space: &Space, place: &Place, alpha: &[f32], h: usize, w: usize) -> (f64, Vec<f64>) {
    let p = softmax(alpha);
    let bits = space.bits_of(place);
    let costs: Vec<f64> = space
        .ops_of(place)
        .into_iter()
        .flat_map(|op| {
            let macs = multiplications(place, op, h, w);
            bits.iter().map(move |b| macs * f64::from(*b).powi(2)).collect::<Vec<_>>()
        })
        .collect();
    let expected: f64 = p.iter().zip(&costs).map(|(p, c)| p * c).sum();
    let gradient = p.iter().zip(&costs).map(|(p, c)| p * (c - expected)).collect();
    (expected, gradient)
}

/// −Σ p ln p of the scores' softmax, and its gradient.
pub(crate) fn entropy(alpha: &[f32]) -> (f64, Vec<f64>) {
    let p = softmax(alpha);
    let h: f64 = p.iter().map(|p| if *p > 0.0 { -p * p.ln() } else { 0.0 }).sum();
    let gradient = p.iter().map(|p| if *p > 0.0 { -p * (p.ln() + h) } else { 0.0 }).collect();
    (h, gradient)
}

pub(crate) fn softmax(alpha: &[f32]) -> Vec<f64> {
    let top = alpha.iter().fold(f32::MIN, |top, a| top.max(*a));
    let e: Vec<f64> = alpha.iter().map(|a| f64::from(a - top).exp()).collect();
    let sum: f64 = e.iter().sum();
    e.into_iter().map(|e| e / sum).collect()
}
