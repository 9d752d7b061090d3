//! From normal points back to the cube, part by part, in double precision on plain numbers, some points at a time.

use super::{BOUND, Block, Flow, MARGIN, Monotone, STRETCH};
use ndarray::{Array2, ArrayView1, ArrayView2, Axis};
use quadrat_core::Result;
use quadrat_nn::Parameters;
use quadrat_numeric::elementary::exp_f64;
use quadrat_numeric::vectorised;
use rayon::prelude::*;

/// Points that are undone together: the processor's instructions take several numbers.
const LANES: usize = 16;

/// A coordinate of as many points.
type Lanes = [f64; LANES];

/// A block's parameters as plain numbers.
struct Plain {
    block: Block,
    scale: Vec<f64>,
    shift: Vec<f64>,
    /// Kernels (outputs x inputs) and biases.
    layers: Vec<(Array2<f64>, Vec<f64>)>,
    reach: Vec<f64>,
}

impl Flow {
    /// The points that the flow takes to the normal points `z` (rows).
    pub(super) fn inverse(&self, parameters: &Parameters, z: ArrayView2<f64>) -> Result<Array2<f64>> {
        let wide =
            |name: &str| parameters.get(name).map(|p| p.values().into_iter().map(f64::from).collect::<Vec<f64>>());
        let bound = f64::from(BOUND);
        let factors = |name: &str| {
            let exp = |v: Vec<f64>| v.into_iter().map(|v| v.clamp(-bound, bound).exp()).collect::<Vec<f64>>();
            wide(name).map(exp)
        };
        let plain = |block: Block| -> Result<Plain> {
            let name = block.name.clone();
            let layer = |i: usize| -> Result<(Array2<f64>, Vec<f64>)> {
                let kernel = format!("{name}.fc{i}.weight");
                let shape = &parameters.get(&kernel)?.shape;
                let weight = quadrat_numeric::matrix((shape[0], shape[1]), wide(&kernel)?)?;
                Ok((weight, wide(&format!("{name}.fc{i}.bias"))?))
            };
            Ok(Plain {
                scale: factors(&format!("{name}.norm.scale"))?,
                shift: wide(&format!("{name}.norm.shift"))?,
                layers: (1..=3).map(layer).collect::<Result<_>>()?,
                reach: factors(&format!("{name}.reach"))?,
                block,
            })
        };
        let blocks: Vec<Plain> = self.stages().into_iter().map(plain).collect::<Result<_>>()?;
        let (scale, shift) = (factors("end.norm.scale")?, wide("end.norm.shift")?);
        let heights = if self.ends { parameters.get("end.heights")?.values() } else { Vec::new() };
        let each = heights.len() / self.dims;
        let some = |z: ArrayView2<f64>| -> Vec<f64> {
            let end = |k: usize| -> Lanes {
                std::array::from_fn(|lane| {
                    // Lanes without a point of their own repeat the first one.
                    let z = z[[if lane < z.nrows() { lane } else { 0 }, k]];
                    let z = if self.ends { Monotone::inverse(&heights[k * each..(k + 1) * each], z) } else { z };
                    (z - shift[k]) / scale[k]
                })
            };
            let mut x: Vec<Lanes> = (0..self.dims).map(end).collect();
            vectorised(
                #[inline(always)]
                || blocks.iter().rev().for_each(|block| block.undo(&mut x[..block.block.active])),
            );
            // The logistic function, and from (0, 1) to the cube with its margin.
            let edge = 1.0 + MARGIN;
            let place = |v: f64| edge * (2.0 / (1.0 + (-v).exp()) - 1.0);
            (0..z.nrows()).flat_map(|lane| x.iter().map(move |x| place(x[lane]))).collect()
        };
        let parts: Vec<ArrayView2<f64>> = z.axis_chunks_iter(Axis(0), LANES).collect();
        let found: Vec<Vec<f64>> = parts.into_par_iter().map(some).collect();
        quadrat_numeric::matrix(z.dim(), found.concat())
    }
}

/// To an absolute error of a few units in the last place of 1.
#[inline(always)]
fn tanh(x: f64) -> f64 {
    1.0 - 2.0 / (exp_f64(2.0 * x) + 1.0)
}

impl Plain {
    /// Undoes the block on its coordinates.
    #[inline(always)]
    fn undo(&self, x: &mut [Lanes]) {
        x.reverse();
        let kept = self.block.kept();
        let mut hidden: Vec<Lanes> = x[..kept].to_vec();
        for (weight, bias) in &self.layers {
            let layer = weight.rows().into_iter().zip(bias);
            let sum = |row: ArrayView1<f64>, bias: f64| -> Lanes {
                let mut sum = [bias; LANES];
                for (w, h) in row.iter().zip(&hidden) {
                    sum.iter_mut().zip(h).for_each(|(sum, h)| *sum += w * h);
                }
                sum
            };
            hidden = layer.map(|(row, bias)| sum(row, *bias).map(tanh)).collect();
        }
        let n = x.len() - kept;
        for (i, reach) in self.reach.iter().enumerate() {
            let by = hidden[i].iter().zip(&hidden[n + i]);
            for (x, (a, b)) in x[kept + i].iter_mut().zip(by) {
                *x = (*x - reach * b) / (1.0 + f64::from(STRETCH) * a);
            }
        }
        for (x, (shift, scale)) in x.iter_mut().zip(self.shift.iter().zip(&self.scale)) {
            x.iter_mut().for_each(|x| *x = (*x - shift) / scale);
        }
    }
}
