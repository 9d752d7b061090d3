//! The likelihood with Z on fixed points: p(x) = 1/M sum_m N(x; f(z_m), s^2 I).

use super::Prior;
use super::training::Networks;
use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView1, ArrayView2, Axis};
use quadrat_core::stats::normal_quantile;
use quadrat_numeric::RowMajor;
use quadrat_numeric::vectorised;

/// Points of the open unit cube, as points of Z.
pub(super) fn points(cube: &Array2<f64>, prior: Prior) -> Array2<f32> {
    cube.mapv(|u| match prior {
        Prior::Normal => normal_quantile(u) as f32,
        Prior::Uniform => (2.0 * u - 1.0) as f32,
    })
}

/// Adds the derivatives of minus the mean log-likelihood of the rows `x`.
pub(super) fn slopes(networks: &Networks, points: &Array2<f32>, x: ArrayView2<f32>, slopes: &mut Networks) {
    let (rows, columns) = x.dim();
    let precision = networks.sigma().powi(-2);
    let (values, centres) = networks.decoder.forward_apart(points.clone());
    // Column by column, so that distances vectorise over the centres; differences, since products of rows lose the digits
    // that a small s asks for.
    let transposed = RowMajor::of(centres.t());
    let mut shares = Array2::zeros((rows, points.nrows()));
    let mut misses = 0.0;
    let mut share = vec![0.0; points.nrows()];
    for (row, mut of_row) in x.outer_iter().zip(shares.outer_iter_mut()) {
        share.fill(0.0);
        squared_distances(&transposed, row, &mut share);
        let least = share.iter().copied().fold(f32::INFINITY, f32::min);
        let (mut total, mut weighted) = (0.0, 0.0);
        for value in share.iter_mut() {
            let distance = *value;
            *value = (-0.5 * precision * (distance - least)).exp();
            total += *value;
            weighted += *value * distance;
        }
        of_row.iter_mut().zip(&share).for_each(|(to, value)| *to = value / total);
        misses += f64::from(weighted / total);
    }
    // By f(z_m): sum_i r_im (f(z_m) - x_i) / s^2.
    let weight = precision / rows as f32;
    let mut delta = centres * &shares.sum_axis(Axis(0)).insert_axis(Axis(1));
    general_mat_mul(-weight, &shares.t(), &x, weight, &mut delta);
    networks.decoder.backward(&values, delta, &mut slopes.decoder);
    *slopes.log_sigma() += columns as f32 - precision * (misses / rows as f64) as f32;
}

/// ln p of each row, in the networks' units.
pub(super) fn log_densities(networks: &Networks, points: &Array2<f32>, x: ArrayView2<f32>) -> Vec<f64> {
    let columns = x.ncols() as f64;
    let sigma = f64::from(networks.sigma());
    let centres = networks.decoder.outputs(points.view());
    let transposed = RowMajor::of(centres.t());
    let constant = (points.nrows() as f64).ln() + 0.5 * columns * (std::f64::consts::TAU * sigma * sigma).ln();
    let mut distances = vec![0.0_f32; points.nrows()];
    let one = |row: ArrayView1<f32>| {
        distances.fill(0.0);
        squared_distances(&transposed, row, &mut distances);
        let logs: Vec<f64> = distances.iter().map(|d| -0.5 * f64::from(*d) / (sigma * sigma)).collect();
        log_sum_exp(&logs) - constant
    };
    x.outer_iter().map(one).collect()
}

/// Adds |x - centre|^2 for each centre, given column by column.
fn squared_distances(transposed: &RowMajor<f32>, x: ArrayView1<f32>, sums: &mut [f32]) {
    vectorised(
        #[inline(always)]
        || {
            for (column, at) in (0..transposed.dim().0).zip(x) {
                sums.iter_mut().zip(transposed.row(column)).for_each(|(sum, c)| *sum += (at - c) * (at - c));
            }
        },
    );
}

/// ln of the sum of exponentials, without overflow.
pub(super) fn log_sum_exp(logs: &[f64]) -> f64 {
    let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    most + logs.iter().map(|log| (log - most).exp()).sum::<f64>().ln()
}
