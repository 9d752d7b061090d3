//! The one density of problems whose inputs are normal scores: independent standard normals.

use ndarray::{Array2, ArrayView2};
use quadrat_core::Rng;
use std::f64::consts::PI;

/// The logarithm of the density at every row, one column for all targets.
pub(crate) fn ln_densities(x: ArrayView2<f64>) -> Array2<f64> {
    let height = -0.5 * x.ncols() as f64 * (2.0 * PI).ln();
    Array2::from_shape_fn((x.nrows(), 1), |(i, _)| height - 0.5 * x.row(i).dot(&x.row(i)))
}

/// Draws a row.
pub(crate) fn draw(rng: &mut Rng, x: &mut [f64]) {
    x.iter_mut().for_each(|x| *x = rng.normal());
}
