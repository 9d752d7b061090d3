//! Rows made fit for products in single precision, and back.

use super::Clustering;
use super::assignment::{State, lowered_norm};
use crate::neighbours::Metric;
use crate::prepare;
use ndarray::{Array2, ArrayView2};
use quadrat_core::Result;
use rayon::prelude::*;

/// The rows, made fit for single-precision products: centred on their mean and scaled by a power of two into -1..1
/// (cosine: scaled to length 1 each).
pub(super) struct Rows {
    pub values: Vec<f32>,
    /// |x|^2 of each row, a little less than true.
    pub norms: Vec<f32>,
    pub d: usize,
    pub mean: Vec<f64>,
    pub scale: f64,
    pub unit: bool,
}

impl Rows {
    pub fn prepare(x: ArrayView2<f32>, metric: Metric) -> Result<Rows> {
        prepare::check("points", x)?;
        let (n, d) = x.dim();
        let unit = metric == Metric::Cosine;
        let mean = if unit { vec![0.0; d] } else { prepare::column_means(x) };
        let scale = prepare::scale_to_one(prepare::largest(x, &mean));
        let mut values = vec![0.0_f32; n * d];
        values.par_chunks_exact_mut(d).enumerate().for_each(|(i, to)| {
            to.iter_mut().zip(x.row(i)).zip(&mean).for_each(|((to, v), m)| *to = ((f64::from(*v) - m) * scale) as f32);
            if unit {
                to_unit_length(to);
            }
        });
        let norms = values.par_chunks_exact(d).map(lowered_norm).collect();
        Ok(Rows { values, norms, d, mean, scale, unit })
    }

    pub fn len(&self) -> usize {
        self.norms.len()
    }

    pub fn row(&self, i: usize) -> &[f32] {
        &self.values[i * self.d..][..self.d]
    }

    pub fn gather(&self, rows: &[usize]) -> Vec<f32> {
        rows.iter().flat_map(|&i| self.row(i)).copied().collect()
    }

    pub fn subset(&self, rows: &[usize]) -> Rows {
        let norms = rows.iter().map(|&i| self.norms[i]).collect();
        Rows { values: self.gather(rows), norms, d: self.d, mean: Vec::new(), scale: self.scale, unit: self.unit }
    }

    /// Back to the user's place and scale.
    pub fn clustering(&self, state: State) -> Clustering {
        let d = self.d;
        let k = state.centroids.values.len() / d;
        let scale = if self.unit { 1.0 } else { self.scale };
        let centroids = Array2::from_shape_fn((k, d), |(i, j)| {
            (f64::from(state.centroids.values[i * d + j]) / scale + self.mean[j]) as f32
        });
        let report = |i: usize| {
            let squared = f64::from(state.squared[i]);
            match self.unit {
                false => squared / scale / scale,
                true if self.norms[i] <= 0.0 => 1.0,
                true => 0.5 * squared,
            }
        };
        let all: Vec<f64> = (0..self.len()).map(report).collect();
        Clustering {
            centroids,
            squared: all.iter().map(|s| s.min(f64::from(f32::MAX)) as f32).collect(),
            inertia: all.iter().sum(),
            assignment: state.assignment,
            iterations: state.iterations,
            converged: state.converged,
        }
    }
}

pub(super) fn to_unit_length(row: &mut [f32]) {
    let length = row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    if length > 0.0 {
        row.iter_mut().for_each(|v| *v = (f64::from(*v) / length) as f32);
    }
}
