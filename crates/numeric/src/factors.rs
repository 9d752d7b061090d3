//! Linear factor models x = mu + B z + e with z ~ N(0, I) and independent noise of its own variance in each column, and
//! their fit by the EM algorithm (factor analysis).

use crate::linalg::{self, cholesky, product, solve, solve_lower};
use crate::prepare;
use ndarray::{Array1, Array2, ArrayView2, Axis};
use quadrat_core::{Error, Progress, Result, checkpoint};

/// A factor model. All its Gaussian algebra is in r x r matrices (r factors, d columns): nothing here costs d^3.
#[derive(Debug, Clone, PartialEq)]
pub struct FactorModel {
    /// mu: the mean row, d values.
    pub mean: Vec<f64>,
    /// B: d x r.
    pub loadings: Array2<f64>,
    /// Variance of each column's noise, above 0: d values.
    pub noise: Vec<f64>,
}

impl FactorModel {
    /// B with each row divided by the variance of its column's noise.
    fn weighed(&self) -> Array2<f64> {
        let mut weighed = self.loadings.clone();
        weighed.outer_iter_mut().zip(&self.noise).for_each(|(mut row, v)| row /= *v);
        weighed
    }

    /// I + B' Psi^-1 B, the precision of z given x.
    fn precision(&self) -> Array2<f64> {
        Array2::eye(self.loadings.ncols()) + self.loadings.t().dot(&self.weighed())
    }

    /// E\[z | x\] of each row: rows x r. It is linear in x.
    ///
    /// # Errors
    /// Rows of another width than the model's.
    pub fn posterior_mean(&self, x: ArrayView2<f64>) -> Result<Array2<f64>> {
        let map = solve(self.precision().view(), self.weighed().t())?.reversed_axes();
        let offset = Array1::from(self.mean.clone()).dot(&map);
        Ok(product(x, map.view())? - &offset)
    }

    /// Mean over rows of ln p(x), in nats.
    ///
    /// # Errors
    /// Rows of another width than the model's.
    pub fn log_likelihood(&self, x: ArrayView2<f64>) -> Result<f64> {
        // |x|^2 in the model's metric is that of the noise less what the factors explain (Woodbury).
        let lower = cholesky(self.precision().view())?;
        let map = solve_lower(lower.view(), self.weighed().t())?;
        let offset = map.dot(&Array1::from(self.mean.clone()));
        let explained = product(x, map.t())? - &offset;
        let noise = |row: ndarray::ArrayView1<f64>| {
            row.iter().zip(&self.mean).zip(&self.noise).map(|((x, m), v)| (x - m) * (x - m) / v).sum::<f64>()
        };
        let squares: f64 =
            x.outer_iter().zip(explained.outer_iter()).map(|(row, e)| noise(row) - e.dot(&e)).sum::<f64>();
        Ok(-0.5 * (squares / x.nrows() as f64 + self.log_determinant(&lower) + self.ln_two_pi()))
    }

    fn log_determinant(&self, lower: &Array2<f64>) -> f64 {
        self.noise.iter().map(|v| v.ln()).sum::<f64>() + 2.0 * lower.diag().iter().map(|v| v.ln()).sum::<f64>()
    }

    fn ln_two_pi(&self) -> f64 {
        self.mean.len() as f64 * std::f64::consts::TAU.ln()
    }
}

/// Factor analysis: maximum likelihood by EM (Rubin and Thayer 1982) on the sample covariance, from the principal
/// components. EM is slow where a column's noise goes to 0 (Heywood cases): the likelihood settles long before the
/// parameters do.
///
/// Cost: rows x columns^2 once, then 4 columns^2 x rank a round. Memory: columns^2.
///
/// ```
/// use ndarray::Array2;
/// use quadrat_core::{Seed, Silent};
/// use quadrat_numeric::factors::FactorAnalysis;
/// let mut rng = Seed(1).rng(0);
/// let x = Array2::from_shape_simple_fn((200, 4), || rng.normal());
/// let fit = FactorAnalysis::new(1).fit(x.view(), &Silent)?;
/// assert_eq!(fit.model.posterior_mean(x.view())?.dim(), (200, 1));
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FactorAnalysis {
    /// Number of factors, from 1 to below the number of rows and of columns.
    pub rank: usize,
    /// Most rounds. Default 1,000.
    pub rounds: usize,
    /// Stop when a round adds less to the mean log likelihood of a row. Default 1e-8; below 0 all rounds are run.
    pub tolerance: f64,
}

/// What [`FactorAnalysis`] found.
#[derive(Debug, Clone, PartialEq)]
pub struct FittedFactors {
    /// The model.
    pub model: FactorModel,
    /// Mean log likelihood of a row before each round and after the last; never falls.
    pub path: Vec<f64>,
    /// Whether it stopped before the last round.
    pub converged: bool,
}

/// Smallest variance of a column's noise, as a share of the mean variance of a column: it keeps columns that are
/// constant, or that a factor explains altogether, from ending EM with a likelihood without bound.
const FLOOR: f64 = 1e-9;

impl FactorAnalysis {
    /// `rank` factors, at most 1,000 rounds, tolerance 1e-8.
    pub fn new(rank: usize) -> Self {
        FactorAnalysis { rank, rounds: 1000, tolerance: 1e-8 }
    }

    /// Fits the model to the rows of `x`.
    ///
    /// # Errors
    /// As [`check_rank`]; the user's cancelling.
    pub fn fit(&self, x: ArrayView2<f64>, progress: &dyn Progress) -> Result<FittedFactors> {
        check_rank(x, self.rank)?;
        let (mean, s) = linalg::covariance(x);
        let d = x.ncols();
        let level = s.diag().sum() / d as f64;
        let floor = FLOOR * level;
        // The start: principal components, and noise for what they leave of each column.
        let (values, axes) = linalg::symmetric_eigen(s.view())?;
        let rest = values[self.rank..].iter().sum::<f64>().max(0.0) / (d - self.rank) as f64;
        let loadings =
            Array2::from_shape_fn((d, self.rank), |(i, j)| axes[[i, j]] * (values[j] - rest).max(0.0).sqrt());
        let left = |b: &Array2<f64>| -> Vec<f64> {
            b.outer_iter().zip(s.diag()).map(|(row, v)| (v - row.dot(&row)).max(floor)).collect()
        };
        let mut model = FactorModel { mean, noise: left(&loadings), loadings };
        progress.begin("factor analysis", Some(self.rounds as u64));
        let (mut path, mut converged) = (Vec::new(), false);
        loop {
            checkpoint(progress)?;
            // E step. C: covariance of x with the posterior mean; V: the mean of E[z z' | x].
            let precision = model.precision();
            let map = solve(precision.view(), model.weighed().t())?; // E[z | x] = map (x - mu)
            let c = product(s.view(), map.t())?;
            path.push(model.mean_log_likelihood(&s, &precision, &c)?);
            let gained = path.len().checked_sub(2).map_or(f64::INFINITY, |last| path[last + 1] - path[last]);
            converged = converged || gained < self.tolerance;
            if converged || path.len() > self.rounds {
                return Ok(FittedFactors { model, path, converged });
            }
            let v = Array2::eye(self.rank) - map.dot(&model.loadings) + map.dot(&c);
            // M step.
            model.loadings = solve(v.view(), c.t())?.reversed_axes();
            let explained = (&model.loadings * &c).sum_axis(Axis(1));
            model.noise = s.diag().iter().zip(&explained).map(|(v, e)| (v - e).max(floor)).collect();
            progress.advance(1);
        }
    }
}

impl FactorModel {
    /// Mean log likelihood of rows with covariance `s` about the model's mean; `c` is s times the posterior map's
    /// transpose.
    fn mean_log_likelihood(&self, s: &Array2<f64>, precision: &Array2<f64>, c: &Array2<f64>) -> Result<f64> {
        let lower = cholesky(precision.view())?;
        // tr(C^-1 S) = tr(Psi^-1 S) - tr(Psi^-1 B M^-1 B' Psi^-1 S).
        let total: f64 = s.diag().iter().zip(&self.noise).map(|(s, v)| s / v).sum();
        let explained = (&self.weighed() * c).sum();
        Ok(-0.5 * (total - explained + self.log_determinant(&lower) + self.ln_two_pi()))
    }
}

/// That rows can be described by so many factors.
///
/// # Errors
/// Rows that are absent, not finite, all alike, or of a size whose square leaves double precision; `rank` of 0 or not
/// below the number of rows and of columns.
pub fn check_rank(x: ArrayView2<f64>, rank: usize) -> Result<()> {
    prepare::check_spread("rows", x)?;
    let (n, d) = x.dim();
    if rank == 0 || rank >= n.min(d) {
        let want = format!("use 1 to {}: it must be below the {n} rows and the {d} columns", n.min(d).max(1) - 1);
        return Err(Error::input("rank", rank, want));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use quadrat_core::{Rng, Seed, Silent};

    fn normal(rows: usize, columns: usize, rng: &mut Rng) -> Array2<f64> {
        Array2::from_shape_simple_fn((rows, columns), || rng.normal())
    }

    /// Rows of a model with noise of standard deviation 0.5 to 1.5.
    fn rows(n: usize, d: usize, r: usize, seed: u64) -> Array2<f64> {
        let mut rng = Seed(seed).rng(0);
        let b = normal(d, r, &mut rng);
        let scales = Array1::from_shape_fn(d, |j| 0.5 + j as f64 / d as f64);
        normal(n, r, &mut rng).dot(&b.t()) + normal(n, d, &mut rng) * &scales + 3.0
    }

    /// ln p by the dense covariance.
    fn dense(model: &FactorModel, x: ArrayView2<f64>) -> f64 {
        let c = model.loadings.dot(&model.loadings.t()) + Array2::from_diag(&Array1::from(model.noise.clone()));
        let lower = cholesky(c.view()).unwrap();
        let y = solve_lower(lower.view(), (&x - &Array1::from(model.mean.clone())).t()).unwrap();
        let squares = y.iter().map(|v| v * v).sum::<f64>() / x.nrows() as f64;
        let d = model.mean.len() as f64;
        -0.5 * (squares + 2.0 * lower.diag().iter().map(|v| v.ln()).sum::<f64>() + d * std::f64::consts::TAU.ln())
    }

    #[test]
    fn the_likelihood_never_falls_and_is_the_dense_one() {
        for (n, d, r) in [(300, 8, 2), (40, 10, 3), (6, 10, 2)] {
            let x = rows(n, d, r, 1);
            let fit = FactorAnalysis { rounds: 200, ..FactorAnalysis::new(r) }.fit(x.view(), &Silent).unwrap();
            for pair in fit.path.windows(2) {
                assert!(pair[1] >= pair[0] - 1e-9, "{n} {d}: {pair:?}");
            }
            let (last, own) = (fit.path.last().unwrap(), fit.model.log_likelihood(x.view()).unwrap());
            assert!((last - own).abs() < 1e-8 * own.abs(), "{last} {own}");
            assert!((dense(&fit.model, x.view()) - own).abs() < 1e-7 * own.abs().max(1.0), "{n} {d}");
        }
    }

    /// At a maximum the model's variances are the sample's, and C^-1 (S - C) C^-1 B = 0 (the likelihood equations).
    #[test]
    fn the_end_is_a_stationary_point() {
        let x = rows(400, 10, 2, 3);
        let tight = FactorAnalysis { rank: 2, rounds: 5000, tolerance: -1.0 };
        let model = tight.fit(x.view(), &Silent).unwrap().model;
        let (_, s) = linalg::covariance(x.view());
        let c = model.loadings.dot(&model.loadings.t()) + Array2::from_diag(&Array1::from(model.noise.clone()));
        for (a, b) in s.diag().iter().zip(c.diag()) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
        let inverse = solve(c.view(), Array2::eye(10).view()).unwrap();
        let slope = inverse.dot(&(&s - &c)).dot(&inverse).dot(&model.loadings);
        assert!(slope.iter().all(|v| v.abs() < 1e-5), "{slope}");
    }

    /// scikit-learn 1.9.1: `FactorAnalysis(r, tol=1e-13, max_iter=20000, svd_method="lapack").fit(x).score(x)` for x_ij =
    /// cos(j) sin(1.7 i) + sin(2 j) cos(0.9 i + 1) + 0.5 sin(2.3 i (j + 2) + j^2), i to 60, j to 8, counted from 1.
    #[test]
    fn scikit_learn_finds_the_same_likelihood() {
        let x = Array2::from_shape_fn((60, 8), |(i, j)| {
            let (i, j) = (i as f64 + 1.0, j as f64 + 1.0);
            let factors = j.cos() * (1.7 * i).sin() + (2.0 * j).sin() * (0.9 * i + 1.0).cos();
            factors + 0.5 * (2.3 * i * (j + 2.0) + j * j).sin()
        });
        for (rank, expected) in [(1, -7.1398055720966545), (2, -5.791217420155366)] {
            let tight = FactorAnalysis { rank, rounds: 3000, tolerance: -1.0 };
            let model = tight.fit(x.view(), &Silent).unwrap().model;
            let found = model.log_likelihood(x.view()).unwrap();
            assert!((found - expected).abs() < 1e-8 * expected.abs(), "{rank}: {found}");
        }
    }

    #[test]
    fn posterior_means_are_those_of_the_joint_normal() {
        let x = rows(30, 5, 2, 2);
        let model = FactorAnalysis::new(2).fit(x.view(), &Silent).unwrap().model;
        let c = model.loadings.dot(&model.loadings.t()) + Array2::from_diag(&Array1::from(model.noise.clone()));
        let centred = &x - &Array1::from(model.mean.clone());
        let direct = solve(c.view(), centred.t()).unwrap().t().dot(&model.loadings);
        let ours = model.posterior_mean(x.view()).unwrap();
        assert!((&direct - &ours).iter().all(|v| v.abs() < 1e-10));
        assert!(model.posterior_mean(x.slice(ndarray::s![.., ..4])).is_err());
    }

    #[test]
    fn odd_tables_have_defined_answers() {
        let x = rows(50, 5, 1, 5);
        let mut constant = x.clone();
        constant.column_mut(2).fill(7.0);
        let fit = FactorAnalysis::new(2).fit(constant.view(), &Silent).unwrap();
        assert!(fit.path.iter().all(|v| v.is_finite()) && fit.model.noise[2] > 0.0);
        let mut twice = x.clone();
        twice.column_mut(1).assign(&x.column(0));
        let fit = FactorAnalysis::new(2).fit(twice.view(), &Silent).unwrap();
        assert!(fit.model.posterior_mean(twice.view()).unwrap().iter().all(|v| v.is_finite()));
        for (x, rank) in [
            (x.clone(), 0),
            (x.clone(), 5),
            (x.slice(ndarray::s![..3, ..]).to_owned(), 3),
            (x.slice(ndarray::s![..1, ..]).to_owned(), 1),
            (x.slice(ndarray::s![..0, ..]).to_owned(), 1),
            (&x * f64::NAN, 2),
            (&x * f64::INFINITY, 2),
            (&x * 1e200, 2),
            (&x * 1e-200, 2),
            (&x * 0.0 + 3.0, 2),
        ] {
            assert!(FactorAnalysis::new(rank).fit(x.view(), &Silent).is_err(), "{rank} {}", x.nrows());
        }
    }
}
