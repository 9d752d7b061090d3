//! Targets with noise, and the way of derivatives through it.

use super::{Noise, Uncertainty};
use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, Axis};
use quadrat_core::Result;
use quadrat_numeric::points::matrix;
use quadrat_numeric::{RowMajor, vectorised};
use rayon::prelude::*;

/// What keeps the deviation of a constant row away from 0.
const EPSILON: f32 = 1e-5;
/// Rows whose products one thread computes.
const BLOCK: usize = 64;

/// A row's number, and where its f^, g and A go.
type Place<'a> = (usize, ((&'a mut [f32], &'a mut [f32]), &'a mut [f32]));

/// Blurred targets, batch x dims, and what their derivatives need.
pub(super) struct Blurred {
    /// f^.
    pub rows: Array2<f32>,
    /// The deviation of all values of f^, and their mean.
    pub sigma: f64,
    mean: f64,
    /// g.
    white: Array2<f32>,
    /// A, times its scale.
    factors: Array2<f32>,
    /// One over the deviation that each row of g was divided by.
    inverse: Vec<f32>,
}

impl Blurred {
    /// Shapes must fit, with two columns at least.
    pub fn of(scales: &Uncertainty, targets: ArrayView2<f32>, noise: &Noise) -> Result<Self> {
        let (n, d) = targets.dim();
        let (alpha, beta) = (scales.alpha_scale as f32, scales.beta_scale as f32);
        let [targets, a, b] = [targets, noise.factors.view(), noise.terms.view()].map(RowMajor::of);
        let [mut rows, mut white, mut factors] = [(); 3].map(|()| vec![0.0_f32; n * d]);
        let places = rows.par_chunks_mut(d).zip(white.par_chunks_mut(d)).zip(factors.par_chunks_mut(d)).enumerate();
        // Of each row one over its deviation, and the sums of its blurred values and of their squares.
        let of_row = |(i, ((rows, white), factors)): Place| {
            vectorised(
                #[inline(always)]
                || {
                    let (target, a, b) = (targets.row(i), a.row(i), b.row(i));
                    let mean = sum(target, |v| v) / d as f32;
                    let squares = sum(target, |v| (v - mean) * (v - mean));
                    // Two divisors, as in the authors' program: d - 1 for the noise, d for g.
                    let deviation = (squares / (d - 1) as f32).sqrt();
                    let inverse = 1.0 / (squares / d as f32 + EPSILON).sqrt();
                    let outputs = rows.iter_mut().zip(white.iter_mut()).zip(factors.iter_mut());
                    for (((row, white), factor), ((t, a), b)) in outputs.zip(target.iter().zip(a).zip(b)) {
                        *white = (t - mean) * inverse;
                        *factor = alpha * (1.0 + deviation * a);
                        *row = *factor * *white + beta * (mean + deviation * b);
                    }
                    (inverse, f64::from(sum(rows, |v| v)), f64::from(sum(rows, |v| v * v)))
                },
            )
        };
        let sums: Vec<(f32, f64, f64)> = places.with_min_len(16).map(of_row).collect();
        let count = (n * d) as f64;
        let mean = sums.iter().map(|(_, sum, _)| sum).sum::<f64>() / count;
        let squares: f64 = sums.iter().map(|(_, _, squares)| squares).sum();
        let sigma = ((squares - count * mean * mean).max(0.0) / (count - 1.0)).sqrt();
        let [rows, white, factors] = [rows, white, factors].map(|values| matrix((n, d), values));
        let (rows, white, factors) = (rows?, white?, factors?);
        Ok(Blurred {
            rows,
            sigma,
            mean,
            white,
            factors,
            inverse: sums.into_iter().map(|(inverse, _, _)| inverse).collect(),
        })
    }

    /// Turns derivatives by f^ (but for sigma's part) into those by the targets; `by_sigma` is the derivative by sigma.
    pub fn back(&self, by_sigma: f64, to: &mut Array2<f32>) {
        let (n, d) = to.dim();
        let spread = self.sigma * ((n * d) as f64 - 1.0);
        let pull = if spread > 0.0 { (by_sigma / spread) as f32 } else { 0.0 };
        let mean = self.mean as f32;
        let [rows, white, factors] = [&self.rows, &self.white, &self.factors].map(|matrix| RowMajor::of(matrix.view()));
        let of_row = |(i, to): (usize, &mut [f32])| {
            vectorised(
                #[inline(always)]
                || {
                    let white = white.row(i);
                    for ((to, factor), row) in to.iter_mut().zip(factors.row(i)).zip(rows.row(i)) {
                        *to = factor * (*to + pull * (row - mean));
                    }
                    // g has its own mean and deviation taken out, and so has what comes back.
                    let common = sum(to, |v| v) / d as f32;
                    let along = product(to, white) / d as f32;
                    to.iter_mut().zip(white).for_each(|(to, g)| *to = self.inverse[i] * (*to - common - along * g));
                },
            );
        };
        // What a product made has its rows one behind the other.
        let to = to.as_slice_mut().unwrap_or_default();
        to.par_chunks_mut(d).enumerate().with_min_len(16).for_each(of_row);
    }
}

/// Matrix product in blocks of rows, which threads share.
pub(super) fn times(a: ArrayView2<f32>, b: ArrayView2<f32>) -> Array2<f32> {
    let mut out = Array2::zeros((a.nrows(), b.ncols()));
    let blocks = out.axis_chunks_iter_mut(Axis(0), BLOCK).zip(a.axis_chunks_iter(Axis(0), BLOCK));
    let blocks: Vec<_> = blocks.collect();
    blocks.into_par_iter().for_each(|(mut out, a)| general_mat_mul(1.0, &a, &b, 0.0, &mut out));
    out
}

/// With sixteen running sums, so that it vectorises.
#[inline(always)]
fn sum(values: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [0.0_f32; 16];
    let (blocks, rest) = values.as_chunks::<16>();
    for block in blocks {
        sums.iter_mut().zip(block).for_each(|(sum, v)| *sum += of(*v));
    }
    sums.iter().sum::<f32>() + rest.iter().map(|v| of(*v)).sum::<f32>()
}

#[inline(always)]
fn product(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 16];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    for (a, b) in a.iter().zip(b) {
        sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += a * b);
    }
    sums.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}
