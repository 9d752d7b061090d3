//! p(z): what latent paths are like before anything is seen.

use super::given::Given;
use super::layers::HALF_LOG_TAU;
use ndarray::Array2;
use quadrat_core::{Choice, Result};
use quadrat_nn::Tensor;
use quadrat_numeric::linalg::{cholesky, solve_lower};
use serde::{Deserialize, Serialize};

/// The law of the latent paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice, Serialize, Deserialize)]
pub enum Prior {
    /// Standard normal and independent at every time, as q(z | x) is: a start from which few epochs lead on.
    Normal,
    /// Gaussian processes with a Cauchy kernel over the steps, one for each latent dimension: paths are smooth, and until q has
    /// narrowed a single draw has all the weight.
    Gp,
}

/// k(t, t') = 1.005 / (1 + (t − t')² / 7²) + 0.001 [t = t'], in steps.
fn kernel(length: usize) -> Array2<f64> {
    let away = |(a, b): (usize, usize)| (a as f64 - b as f64) / 7.0;
    Array2::from_shape_fn((length, length), |at| {
        1.005 / (1.0 + away(at).powi(2)) + if at.0 == at.1 { 0.001 } else { 0.0 }
    })
}

impl Prior {
    /// ln p(z) of paths z ((k series) x times x latent dimensions), without their padding.
    ///
    /// With the kernel's factor L the path L⁻¹z is white, and the first entries of it depend on the first entries of z alone: cutting
    /// both off at a series' length leaves exactly the density of the leading block. The authors' program counts padded steps.
    pub(super) fn log_density(self, given: &Given, k: usize, z: Tensor<3>) -> Result<Tensor<1>> {
        let [rows, t, width] = z.dims();
        let (white, log_scales) = match self {
            Prior::Normal => (z, vec![0.0; t]),
            Prior::Gp => {
                let factor = cholesky(kernel(t).view())?;
                let inverse = solve_lower(factor.view(), Array2::eye(t).view())?;
                let inverse: Vec<f32> = inverse.iter().map(|v| *v as f32).collect();
                let inverse = given.tensor(&inverse, [t, t, 1])?.reshape([t, t]);
                let by_time = z.swap_dims(0, 1).reshape([t, rows * width]);
                let white = inverse.matmul(by_time).reshape([t, rows, width]).swap_dims(0, 1);
                (white, factor.diag().iter().map(|v| v.ln() as f32).collect())
            }
        };
        let constant = |length: &usize| {
            let scales: f32 = log_scales[..*length].iter().sum();
            width as f32 * (-scales - *length as f32 * HALF_LOG_TAU)
        };
        let constants: Vec<f32> = given.lengths.iter().flat_map(|length| vec![constant(length); k]).collect();
        let constants = given.tensor(&constants, [rows, 1, 1])?.reshape([rows]);
        let squares = (white.square() * given.valid(k)?).sum_dims_squeeze::<1, usize>(&[1, 2]);
        Ok(constants - squares * 0.5)
    }
}
