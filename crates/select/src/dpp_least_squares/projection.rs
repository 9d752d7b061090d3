//! The projection determinantal point process of a space.

use crate::FeatureSpace;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, ArrayViewMut2};
use quadrat_core::{Error, Progress, Result, Rng, checkpoint};
use quadrat_numeric::{RowMajor, filled};

/// One draw of the projection DPP of `space`: m points with density det(phi_j(x_i))^2 / m! under mu^m, in order.
///
/// The chain rule with rejection: given points so far, x has density (|phi|^2 - |Q phi|^2) / (m - k), Q the projector on
/// their features; a draw from the Christoffel density is accepted with probability 1 - |Q phi|^2 / |phi|^2. That takes
/// m H_m draws in all and, on a pool of N rows, no work that grows with N.
pub(super) fn projection_dpp(
    space: &dyn FeatureSpace,
    rng: &mut Rng,
    mut points: ArrayViewMut2<f64>,
    progress: &dyn Progress,
) -> Result<()> {
    let m = space.len();
    let mut q: Vec<Array1<f64>> = Vec::with_capacity(m);
    let mut x = vec![0.0; space.dims()];
    let mut features = vec![0.0; m];
    for mut point in points.outer_iter_mut() {
        checkpoint(progress)?;
        // Each draw is accepted with probability (m - k) / m >= 1/m: 1000 m failures in a row never happen (e^-1000).
        let mut left = 1000 * m;
        let residual = loop {
            space.sample_christoffel(rng, &mut x);
            space.features(&x, &mut features);
            let phi = ArrayView1::from(&features);
            let norm = phi.dot(&phi);
            let mut residual = phi.to_owned();
            // Projecting twice keeps the basis orthonormal to rounding also for hundreds of functions.
            for _ in 0..2 {
                for direction in &q {
                    let along = direction.dot(&residual);
                    residual.scaled_add(-along, direction);
                }
            }
            let rest = residual.dot(&residual);
            if rng.uniform() * norm < rest {
                break residual / rest.sqrt();
            }
            left -= 1;
            if left == 0 {
                return Err(Error::numeric(
                    "determinantal sampling",
                    "the features are not orthonormal under their law",
                ));
            }
        };
        q.push(residual);
        point.assign(&ArrayView1::from(&x));
    }
    Ok(())
}

/// The features of a space at each of the `points` (n x dims): n x m.
pub fn features_at(space: &dyn FeatureSpace, points: ArrayView2<f64>) -> Array2<f64> {
    let points = RowMajor::of(points);
    filled((points.dim().0, space.len()), |i, phi| space.features(points.row(i), phi))
}
