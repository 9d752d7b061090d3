//! Ridge regression.

use crate::{linalg, prepare};
use ndarray::{Array1, Array2, ArrayView2, Axis};
use quadrat_core::{Error, Result};

/// How strongly [`Ridge`] shrinks.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Penalty {
    /// The given strength, at least 0: the sum of squared residuals plus this times the sum of squared coefficients is
    /// minimised. At 0 that is least squares, of smallest length where coefficients are not unique.
    Fixed(f64),
    /// The best of 23 strengths by leave-one-out, from 1e-8 to 1e3 of the mean squared singular value.
    #[default]
    LeaveOneOut,
}

/// Ridge regression with an intercept that is not penalised, columns as they are (standardise them first where their
/// units differ).
///
/// Cost: rows x columns x min(rows, columns), for all strengths together.
///
/// ```
/// use ndarray::array;
/// use quadrat_numeric::learners::{Penalty, Ridge};
/// let (x, y) = (array![[0.0], [1.0], [2.0]], array![[1.0], [3.0], [5.0]]);
/// let line = Ridge { penalty: Penalty::Fixed(0.0) }.fit(x.view(), y.view())?;
/// assert!((line.predict(array![[10.0]].view())?[[0, 0]] - 21.0).abs() < 1e-12);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Ridge {
    /// How strongly to shrink.
    pub penalty: Penalty,
}

/// A linear map with an intercept.
#[derive(Debug, Clone, PartialEq)]
pub struct Linear {
    /// Columns x outputs.
    pub coefficients: Array2<f64>,
    /// One an output.
    pub intercept: Array1<f64>,
    /// The strength that was used.
    pub penalty: f64,
}

impl Linear {
    /// Outputs of each row: rows x outputs.
    ///
    /// # Errors
    /// Rows of another width.
    pub fn predict(&self, x: ArrayView2<f64>) -> Result<Array2<f64>> {
        Ok(linalg::product(x, self.coefficients.view())? + &self.intercept)
    }
}

impl Ridge {
    /// Fits the outputs `y`, one row a row of `x`.
    ///
    /// # Errors
    /// An empty table, values that are not finite, another number of rows in `y`, a strength that is negative or not
    /// finite.
    pub fn fit(&self, x: ArrayView2<f64>, y: ArrayView2<f64>) -> Result<Linear> {
        prepare::check("training table", x)?;
        prepare::check("outputs", y)?;
        if y.nrows() != x.nrows() {
            return Err(Error::input("outputs", y.nrows(), format!("the training table has {} rows", x.nrows())));
        }
        let (z, mean_z) = centred(x);
        let (y, mean_y) = centred(y);
        let (strengths, axes) = linalg::right_axes(z.view())?;
        let scores = linalg::product(z.view(), axes.view())?;
        let target = linalg::product(scores.t(), y.view())?;
        // Directions that are there only by rounding carry nothing.
        let floor = strengths.first().map_or(0.0, |s| s * x.nrows().max(x.ncols()) as f64 * f64::EPSILON);
        let inverse = |s: f64, penalty: f64| if s > floor { 1.0 / (s + penalty) } else { 0.0 };
        let along = |penalty: f64| {
            let mut c = target.clone();
            c.outer_iter_mut().zip(&strengths).for_each(|(mut row, s)| row *= inverse(*s, penalty));
            c
        };
        let n = z.nrows() as f64;
        // Leaving row i out changes its residual to r_i / (1 - h_i), where h_i is its leverage; the mean takes 1/n of it.
        let left_out = |penalty: f64| -> Result<f64> {
            let residual = &y - &linalg::product(scores.view(), along(penalty).view())?;
            let errors = scores.outer_iter().zip(residual.outer_iter()).map(|(score, residual)| {
                let leverage =
                    1.0 / n + score.iter().zip(&strengths).map(|(v, s)| v * v * inverse(*s, penalty)).sum::<f64>();
                residual.iter().map(|r| r * r).sum::<f64>() / (1.0 - leverage).max(1e-9).powi(2)
            });
            Ok(errors.sum())
        };
        let penalty = match self.penalty {
            Penalty::Fixed(penalty) if penalty >= 0.0 && penalty.is_finite() => penalty,
            Penalty::Fixed(penalty) => {
                return Err(Error::input("penalty", penalty, "it must be finite and at least 0"));
            }
            Penalty::LeaveOneOut => {
                let level = strengths.iter().sum::<f64>() / x.ncols() as f64;
                let level = if level > 0.0 { level } else { 1.0 };
                let mut best = (f64::INFINITY, level);
                for step in -16..=6 {
                    let penalty = level * 10.0_f64.powf(0.5 * f64::from(step));
                    let error = left_out(penalty)?;
                    if error < best.0 {
                        best = (error, penalty);
                    }
                }
                best.1
            }
        };
        let coefficients = axes.dot(&along(penalty));
        let intercept = mean_y - mean_z.dot(&coefficients);
        Ok(Linear { coefficients, intercept, penalty })
    }
}

fn centred(a: ArrayView2<f64>) -> (Array2<f64>, Array1<f64>) {
    let mean = a.sum_axis(Axis(0)) / a.nrows() as f64;
    (&a - &mean, mean)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{concatenate, s};
    use quadrat_core::Seed;

    fn table(rows: usize, columns: usize, seed: u64) -> (Array2<f64>, Array2<f64>) {
        let mut rng = Seed(seed).rng(0);
        let x = Array2::from_shape_simple_fn((rows, columns), || rng.normal());
        let y = x.slice(s![.., ..1]).to_owned() * 2.0 + Array2::from_shape_simple_fn((rows, 1), || 0.5 * rng.normal());
        (x, y + 4.0)
    }

    /// The penalty as extra rows of least squares, and as the normal equations say.
    #[test]
    fn solves_the_normal_equations_tall_and_wide() {
        for (n, d) in [(40, 5), (5, 12), (12, 12)] {
            let (x, y) = table(n, d, 1);
            for penalty in [1e-3, 1.0, 50.0] {
                let fit = Ridge { penalty: Penalty::Fixed(penalty) }.fit(x.view(), y.view()).unwrap();
                let residual = &y - &fit.predict(x.view()).unwrap();
                let slope = x.t().dot(&residual) - penalty * &fit.coefficients;
                assert!(slope.iter().all(|v| v.abs() < 1e-8), "{n} {d} {penalty}: {slope}");
                assert!(residual.sum().abs() < 1e-9);
            }
        }
    }

    #[test]
    fn without_a_penalty_it_is_least_squares_of_smallest_length() {
        let (x, y) = table(6, 10, 2);
        let fit = Ridge { penalty: Penalty::Fixed(0.0) }.fit(x.view(), y.view()).unwrap();
        assert!((&fit.predict(x.view()).unwrap() - &y).iter().all(|v| v.abs() < 1e-9));
        let (tall, y) = table(30, 3, 3);
        let twice = concatenate![Axis(1), tall, tall];
        let fit = Ridge { penalty: Penalty::Fixed(0.0) }.fit(twice.view(), y.view()).unwrap();
        for j in 0..3 {
            assert!((fit.coefficients[[j, 0]] - fit.coefficients[[j + 3, 0]]).abs() < 1e-9);
        }
    }

    /// Leaving rows out one by one gives what the formula gives.
    #[test]
    fn leave_one_out_chooses_what_refitting_would() {
        let (x, y) = table(12, 6, 4);
        let chosen = Ridge::default().fit(x.view(), y.view()).unwrap().penalty;
        let error = |penalty: f64| -> f64 {
            (0..12)
                .map(|out| {
                    let rows: Vec<usize> = (0..12).filter(|i| *i != out).collect();
                    let (a, b) = (x.select(Axis(0), &rows), y.select(Axis(0), &rows));
                    let fit = Ridge { penalty: Penalty::Fixed(penalty) }.fit(a.view(), b.view()).unwrap();
                    let left = fit.predict(x.slice(s![out..=out, ..])).unwrap();
                    (left[[0, 0]] - y[[out, 0]]).powi(2)
                })
                .sum()
        };
        let best = error(chosen);
        for step in [0.1, 0.3162277660168379, 3.1622776601683795, 10.0] {
            assert!(error(chosen * step) >= best - 1e-9, "{step}");
        }
    }

    #[test]
    fn odd_tables_have_defined_answers() {
        let (x, y) = table(10, 3, 5);
        let flat = Ridge::default().fit(Array2::ones((10, 3)).view(), y.view()).unwrap();
        assert!((flat.predict(x.view()).unwrap() - y.mean().unwrap()).iter().all(|v| v.abs() < 1e-12));
        let one = Ridge::default().fit(x.slice(s![..1, ..]), y.slice(s![..1, ..])).unwrap();
        assert!((one.predict(x.view()).unwrap() - y[[0, 0]]).iter().all(|v| v.abs() < 1e-12));
        assert!(Ridge::default().fit(x.view(), y.slice(s![..4, ..])).is_err());
        assert!(Ridge::default().fit((&x * f64::NAN).view(), y.view()).is_err());
        assert!(Ridge::default().fit(x.slice(s![..0, ..]), y.slice(s![..0, ..])).is_err());
        assert!(Ridge { penalty: Penalty::Fixed(-1.0) }.fit(x.view(), y.view()).is_err());
    }
}
