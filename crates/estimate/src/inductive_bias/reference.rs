//! The error that a decent model makes: the default target of an estimate.

use super::{Rows, check_rows, median_distance};
use ndarray::{Array1, Array2, ArrayView2, Axis, concatenate};
use quadrat_core::{Error, Result, Seed};
use quadrat_numeric::learners::{Penalty, Ridge};
use quadrat_numeric::linalg::product;

/// Random features beside the inputs themselves.
const FEATURES: usize = 300;

/// The mean squared error on `test` of ridge regression on the inputs and 300 random Fourier features of them (Rahimi
/// and Recht 2007; length scale the median distance), its strength chosen by leave-one-out on `train`: what an hour of
/// ordinary work gets. Inputs are taken as they are: standardise them first.
///
/// Cost: rows x (columns + 300)^2.
///
/// # Errors
/// Shapes that differ, values that are not finite, fewer than 3 training rows, no test row.
pub fn reference_error(train: Rows, test: Rows, seed: Seed) -> Result<f64> {
    check_rows("training", train)?;
    check_rows("test", test)?;
    if train.x.nrows() < 3 || test.x.nrows() == 0 {
        let got = format!("{} and {}", train.x.nrows(), test.x.nrows());
        return Err(Error::input("training and test rows", got, "a reference model needs at least 3 and 1"));
    }
    let features = Features::random(train.x, seed);
    let fit = Ridge { penalty: Penalty::LeaveOneOut }.fit(features.of(train.x)?.view(), train.y)?;
    let predicted = fit.predict(features.of(test.x)?.view())?;
    Ok((&predicted - &test.y).iter().map(|e| e * e).sum::<f64>() / predicted.len() as f64)
}

/// cos(w . x / sigma + phase), with w standard normal: their products stand for the RBF kernel.
struct Features {
    directions: Array2<f64>,
    phases: Array1<f64>,
}

impl Features {
    fn random(x: ArrayView2<f64>, seed: Seed) -> Features {
        let sigma = median_distance(x);
        let mut rng = seed.stream("random features").rng(0);
        let directions = Array2::from_shape_simple_fn((x.ncols(), FEATURES), || rng.normal() / sigma);
        let phases = Array1::from_shape_simple_fn(FEATURES, || std::f64::consts::TAU * rng.uniform());
        Features { directions, phases }
    }

    fn of(&self, x: ArrayView2<f64>) -> Result<Array2<f64>> {
        let waves = (product(x, self.directions.view())? + &self.phases).mapv_into(f64::cos);
        concatenate(Axis(1), &[x, waves.view()]).map_err(|e| Error::numeric("random features", e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn learns_what_can_be_learnt_and_no_more() {
        let mut rng = Seed(1).rng(0);
        let x = Array2::from_shape_simple_fn((600, 3), || rng.normal());
        let smooth = x.map_axis(Axis(1), |row| (row[0] + 0.5 * row[1]).sin() + 2.0 * row[2]).insert_axis(Axis(1));
        let noise = Array2::from_shape_simple_fn((600, 1), || rng.normal());
        let error = |y: &Array2<f64>| {
            let (train, test) = (ndarray::s![..400, ..], ndarray::s![400.., ..]);
            let rows = |part| Rows { x: x.slice(part), y: y.slice(part) };
            reference_error(rows(train), rows(test), Seed(2)).unwrap()
        };
        assert!(error(&smooth) < 0.01, "{}", error(&smooth));
        // Pure noise: nothing better than its mean, up to sampling (variance of 200 squares: se 0.1).
        assert!((error(&noise) - 1.0).abs() < 0.5, "{}", error(&noise));
        let rows = Rows { x: x.slice(ndarray::s![..2, ..]), y: noise.slice(ndarray::s![..2, ..]) };
        assert!(reference_error(rows, rows, Seed(0)).is_err());
        // Constant columns and outputs.
        let (x, y) = (Array2::ones((10, 2)), Array2::ones((10, 1)));
        let rows = Rows { x: x.view(), y: y.view() };
        assert!(reference_error(rows, rows, Seed(0)).unwrap() < 1e-20);
    }
}
