//! Guidance by the exact covariance.

use super::{Place, Run};
use crate::{Denoiser, Level, Prediction};
use ndarray::{Array1, Array2, ArrayView2, Axis};
use quadrat_core::Result;
use quadrat_numeric::linalg::solve;
use quadrat_numeric::operator::adjoint;

/// The denoiser given the measurement, as if what is known of the data at a level were normal: mean z̄ and covariance
/// C = σ²/α times the Jacobian.
///
/// z̄ + C B' (noise² I + B C B')⁻¹ (y - A D(z̄)), where B is the Jacobian of A D. Any solver can take it.
pub(super) struct Given<'a> {
    pub run: &'a Run<'a>,
    pub at: Place,
}

impl Denoiser for Given<'_> {
    fn dims(&self) -> usize {
        self.run.dims()
    }

    fn prediction(&self) -> Prediction {
        Prediction::Data
    }

    fn predict(&self, x: ArrayView2<f64>, level: &Level) -> Result<Array2<f64>> {
        let (run, at) = (self.run, Place { level: *level, ..self.at });
        let m = run.y.len();
        let mut data = Array2::default((0, 0));
        // Rows of B, and of B C.
        let (mut seen, mut spread) = (Vec::with_capacity(m), Vec::with_capacity(m));
        for j in 0..m {
            let unit = Array2::from_shape_fn((1, m), |(_, i)| f64::from(u8::from(i == j)));
            let row = adjoint(run.op(), unit.view())?;
            let (told, product) = run.pull(x, &at, &mut |data| {
                let all = Array2::from_shape_fn((x.nrows(), row.ncols()), |(_, k)| row[[0, k]]);
                let u = run.problem.codec.decode_pull(data.view(), all.view())?;
                seen.push(u.clone());
                Ok(u)
            })?;
            data = told;
            spread.push(product * (level.sigma * level.sigma / level.alpha));
        }
        let left = run.left(data.view())?;
        let noise = run.problem.measurement.noise;
        for (i, mut mean) in data.outer_iter_mut().enumerate() {
            let across = Array2::from_shape_fn((m, m), |(j, k)| seen[j].row(i).dot(&spread[k].row(i)));
            let total = 0.5 * (&across + &across.t()) + noise * noise * Array2::<f64>::eye(m);
            let weights: Array1<f64> = solve(total.view(), left.row(i).insert_axis(Axis(1)))?.column(0).to_owned();
            for (weight, spread) in weights.iter().zip(&spread) {
                mean.scaled_add(*weight, &spread.row(i));
            }
        }
        Ok(data)
    }
}
