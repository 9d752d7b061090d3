//! The error that a decent model makes: the default target of an estimate.

use super::{Rows, check_rows, median_distance};
use ndarray::{Array1, Array2, ArrayView2, Axis, concatenate};
use quadrat_core::{Error, Result, Seed};
use quadrat_numeric::linalg::{gram, product, symmetric_eigen};

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
    let (z, mean_z) = centred(features.of(train.x)?);
    let (y, mean_y) = centred(train.y.to_owned());
    let (strengths, axes) = symmetric_eigen(gram(z.view(), None)?.view())?;
    let scores = product(z.view(), axes.view())?;
    let target = product(scores.t(), y.view())?;
    let coefficients = |penalty: f64| {
        let mut c = target.clone();
        c.outer_iter_mut().zip(&strengths).for_each(|(mut row, s)| row /= s.max(0.0) + penalty);
        c
    };
    // Leaving row i out changes its residual to r_i / (1 - h_i), where h_i is its leverage; the mean takes 1/n of it.
    let left_out = |penalty: f64| -> Result<f64> {
        let residual = &y - &product(scores.view(), coefficients(penalty).view())?;
        let n = z.nrows() as f64;
        let errors = scores.outer_iter().zip(residual.outer_iter()).map(|(score, residual)| {
            let leverage =
                1.0 / n + score.iter().zip(&strengths).map(|(v, s)| v * v / (s.max(0.0) + penalty)).sum::<f64>();
            residual.iter().map(|r| r * r).sum::<f64>() / (1.0 - leverage).max(1e-9).powi(2)
        });
        Ok(errors.sum())
    };
    let level = strengths.iter().sum::<f64>() / strengths.len() as f64;
    let level = if level > 0.0 { level } else { 1.0 };
    let mut best = (f64::INFINITY, level);
    for step in -16..=6 {
        let penalty = level * 10.0_f64.powf(0.5 * f64::from(step));
        let error = left_out(penalty)?;
        if error < best.0 {
            best = (error, penalty);
        }
    }
    let unseen = features.of(test.x)? - &mean_z;
    let predicted = product(product(unseen.view(), axes.view())?.view(), coefficients(best.1).view())? + &mean_y;
    Ok((&predicted - &test.y).iter().map(|e| e * e).sum::<f64>() / predicted.len() as f64)
}

fn centred(mut a: Array2<f64>) -> (Array2<f64>, Array1<f64>) {
    let mean = a.sum_axis(Axis(0)) / a.nrows() as f64;
    a -= &mean;
    (a, mean)
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
