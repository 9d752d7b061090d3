//! From normal points back to the cube, part by part, in double precision on plain numbers.

use super::{BOUND, Block, Flow, MARGIN, Monotone, STRETCH};
use ndarray::{Array2, ArrayView1, ArrayView2};
use quadrat_core::Result;
use quadrat_nn::Parameters;
use rayon::prelude::*;

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
        let point = |z: ArrayView1<f64>| -> Vec<f64> {
            let end = z.iter().enumerate().map(|(k, z)| {
                let z = if self.ends { Monotone::inverse(&heights[k * each..(k + 1) * each], *z) } else { *z };
                (z - shift[k]) / scale[k]
            });
            let mut x: Vec<f64> = end.collect();
            blocks.iter().rev().for_each(|block| block.undo(&mut x[..block.block.active]));
            // The logistic function, and from (0, 1) to the cube with its margin.
            let edge = 1.0 + MARGIN;
            x.into_iter().map(|v| edge * (2.0 / (1.0 + (-v).exp()) - 1.0)).collect()
        };
        let rows: Vec<ArrayView1<f64>> = z.rows().into_iter().collect();
        let found: Vec<Vec<f64>> = rows.into_par_iter().map(point).collect();
        quadrat_numeric::matrix(z.dim(), found.concat())
    }
}

impl Plain {
    /// Undoes the block on its coordinates.
    fn undo(&self, x: &mut [f64]) {
        x.reverse();
        let kept = self.block.kept();
        let mut hidden: Vec<f64> = x[..kept].to_vec();
        for (weight, bias) in &self.layers {
            let layer = weight.rows().into_iter().zip(bias);
            let sum = |row: ArrayView1<f64>| row.iter().zip(&hidden).map(|(w, h)| w * h).sum::<f64>();
            hidden = layer.map(|(row, bias)| (sum(row) + bias).tanh()).collect();
        }
        let n = x.len() - kept;
        for (i, reach) in self.reach.iter().enumerate() {
            let (a, b) = (hidden[i], hidden[n + i]);
            x[kept + i] = (x[kept + i] - reach * b) / (1.0 + f64::from(STRETCH) * a);
        }
        x.iter_mut().zip(self.shift.iter().zip(&self.scale)).for_each(|(x, (shift, scale))| *x = (*x - shift) / scale);
    }
}
