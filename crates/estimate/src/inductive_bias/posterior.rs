//! The kernel space: a Gaussian process that fits the training rows, and the exact law of its test error.

use super::quadratic_form::QuadraticForm;
use super::{Bias, HypothesisSampler, Means, Unit};
use ndarray::{Array2, ArrayView2, Axis, concatenate, s};
use quadrat_core::{Error, Progress, Result, Seed, checkpoint, stats};
use quadrat_numeric::linalg::{cholesky, gram, product, solve_lower, symmetric_eigen};
use rayon::prelude::*;

/// A space of functions: those of a Gaussian process with this covariance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kernel {
    /// exp(-|a - b|^2 / (2 sigma^2)): smooth functions of length scale `sigma`, above 0.
    Rbf {
        /// The length scale, in the units of the inputs.
        sigma: f64,
    },
    /// 1 + a . b: linear functions whose weights and intercept are standard normal.
    Linear,
}

impl Kernel {
    /// The covariance of every row of `a` with every row of `b`.
    fn matrix(self, a: ArrayView2<f64>, b: ArrayView2<f64>) -> Result<Array2<f64>> {
        let mut k = product(a, b.t())?;
        match self {
            Kernel::Linear => k += 1.0,
            Kernel::Rbf { sigma } => {
                let lengths = |x: ArrayView2<f64>| x.map_axis(Axis(1), |row| row.dot(&row));
                let (left, right) = (lengths(a), lengths(b));
                let scale = -0.5 / (sigma * sigma);
                for (mut row, length) in k.outer_iter_mut().zip(&left) {
                    row.zip_mut_with(&right, |v, other| *v = (scale * (length + other - 2.0 * *v).max(0.0)).exp());
                }
            }
        }
        Ok(k)
    }
}

/// The median distance between two rows of `x` (1,000 rows, evenly spaced, where there are more): the usual length
/// scale of a kernel on data that nobody has looked at. Where more than half of the pairs coincide, the mean distance;
/// 1 where all do.
///
/// ```
/// use ndarray::array;
/// let sigma = quadrat_estimate::inductive_bias::median_distance(array![[0.0], [1.0], [3.0]].view());
/// assert_eq!(sigma, 2.0);
/// ```
pub fn median_distance(x: ArrayView2<f64>) -> f64 {
    const MOST: usize = 1000;
    let n = x.nrows().min(MOST);
    let row = |i: usize| x.row(i * x.nrows() / n);
    let distance = |i: usize, j: usize| (&row(i) - &row(j)).mapv(|v| v * v).sum().sqrt();
    let distances: Vec<f64> = (0..n).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| distance(i, j)).collect();
    let middle = stats::median(&distances);
    let fallback = stats::mean(&distances);
    [middle, fallback].into_iter().find(|sigma| sigma.is_finite() && *sigma > 0.0).unwrap_or(1.0)
}

/// Rows with their outputs: inputs n x d, outputs n x k.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// Inputs.
    pub x: ArrayView2<'a, f64>,
    /// Outputs.
    pub y: ArrayView2<'a, f64>,
}

/// A Gaussian process conditioned on training rows, seen through its mean squared error on test rows.
#[derive(Debug, Clone, PartialEq)]
pub struct GpPosterior {
    form: QuadraticForm,
    /// Mean squared error on the test rows of the process's mean, the best single function that it offers.
    pub mean_error: f64,
    /// Mean squared error of its mean on the training rows: well above 0 when no function of the space fits them.
    pub training_error: f64,
    /// What was added to the diagonal of the training rows' covariance, besides the noise, to factor it.
    pub jitter: f64,
}

/// The variance that least squares leaves in the outputs, each brought back to its degrees of freedom; 0 where there are
/// no more rows than columns, for then linear functions fit them all. The `noise` under which linear functions fit.
///
/// # Errors
/// As [`GpPosterior::new`].
pub fn residual_variance(train: Rows) -> Result<f64> {
    let (n, free) = (train.x.nrows(), train.x.ncols() + 1);
    if n <= free {
        return Ok(0.0);
    }
    let first = Rows { x: train.x.slice(s![..1, ..]), y: train.y.slice(s![..1, ..]) };
    let fit = GpPosterior::new(Kernel::Linear, 0.0, train, first)?;
    Ok(fit.training_error * n as f64 / (n - free) as f64)
}

/// Training rows beyond which the covariance, 8 n^2 bytes, is refused.
pub const MOST_ROWS: usize = 20_000;

impl GpPosterior {
    /// Conditions the process on `train` and looks at it on `test`. `noise` is the variance of what training outputs
    /// have beyond the function, 0 for functions that go through them. No training rows are allowed: then the process is
    /// not conditioned.
    ///
    /// Cost: n^3 / 3 + n^2 n_t + n n_t^2 + 9 n_t^3 operations for n training and n_t test rows, 8 (n + n_t)^2 bytes.
    ///
    /// # Errors
    /// Shapes that differ, no test row or output, values that are not finite, more than [`MOST_ROWS`] rows; `sigma` not
    /// above 0, `noise` below 0; a covariance that is not positive definite even with a hundredth of its trace added.
    pub fn new(kernel: Kernel, noise: f64, train: Rows, test: Rows) -> Result<GpPosterior> {
        check(kernel, noise, train, test)?;
        let (n, k) = train.y.dim();
        let mut covariance = kernel.matrix(test.x, test.x)?;
        let mut mean = Array2::zeros(test.y.raw_dim());
        let (mut jitter, mut training_error) = (0.0, 0.0);
        if n > 0 {
            let (factor, added) = factor(kernel.matrix(train.x, train.x)?, noise)?;
            let across = kernel.matrix(train.x, test.x)?;
            // L^-1 [K_X* | Y], then m = V^T L^-1 Y and C = K_** - V^T V.
            let both = concatenate(Axis(1), &[across.view(), train.y]);
            let both = both.map_err(|e| Error::numeric("covariance", e.to_string()))?;
            let solved = solve_lower(factor.view(), both.view())?;
            let (v, u) = solved.view().split_at(Axis(1), test.x.nrows());
            mean = product(v.t(), u)?;
            covariance -= &gram(v, None)?;
            // What is left at the training rows is (noise + jitter) K^-1 Y.
            let weights = solve_upper(&factor, u.to_owned());
            training_error = weights.iter().map(|w| w * w).sum::<f64>() * (noise + added).powi(2) / (n * k) as f64;
            jitter = added;
        }
        let miss = mean - test.y;
        let mean_error = miss.iter().map(|v| v * v).sum::<f64>() / miss.len() as f64;
        let (values, vectors) = symmetric_eigen(covariance.view())?;
        let misses: Vec<f64> =
            product(vectors.t(), miss.view())?.outer_iter().map(|row| row.iter().map(|v| v * v).sum()).collect();
        Ok(GpPosterior { form: QuadraticForm::of_error(&values, &misses, k), mean_error, training_error, jitter })
    }

    /// The law of the test error.
    pub fn law(&self) -> &QuadraticForm {
        &self.form
    }

    /// The information needed to reach a test error of `eps`, by the saddlepoint: no sampling, and exact to about a
    /// hundredth however far in the tail.
    ///
    /// # Errors
    /// `eps` not above 0.
    pub fn required_bias_exact(&self, eps: f64, unit: Unit) -> Result<Bias> {
        super::check_eps(eps)?;
        let log_probability = self.form.log_cdf(eps);
        Ok(Bias {
            eps,
            value: unit.of_nats(-log_probability),
            unit,
            interval: None,
            means: Means::Saddlepoint,
            ks_distance: None,
            extrapolated: false,
            above_median: log_probability > 0.5_f64.ln(),
        })
    }

    /// [`GpPosterior::required_bias_exact`] for several errors.
    ///
    /// # Errors
    /// As there.
    pub fn curve(&self, eps: &[f64], unit: Unit) -> Result<Vec<Bias>> {
        eps.par_iter().map(|eps| self.required_bias_exact(*eps, unit)).collect()
    }
}

impl HypothesisSampler for GpPosterior {
    /// Test errors of functions drawn from the process. They are drawn in the eigenvectors' coordinates, where
    /// h = m + C^(1/2) z needs no matrix product.
    fn sample_losses(&self, n: usize, seed: Seed, progress: &dyn Progress) -> Result<Vec<f64>> {
        const BLOCK: usize = 64;
        let stream = seed.stream("gaussian process");
        let mut losses = vec![0.0; n];
        losses.par_chunks_mut(BLOCK).enumerate().try_for_each(|(block, losses)| {
            checkpoint(progress)?;
            for (i, loss) in losses.iter_mut().enumerate() {
                *loss = self.form.draw(&mut stream.rng((block * BLOCK + i) as u64));
            }
            Ok(())
        })?;
        Ok(losses)
    }
}

/// The Cholesky factor of K + (noise + jitter) I with the least jitter of 1e-8, 1e-7 ... 1e-2 of the mean diagonal that
/// makes it one, and that jitter.
fn factor(mut k: Array2<f64>, noise: f64) -> Result<(Array2<f64>, f64)> {
    let n = k.nrows();
    let level = k.diag().sum() / n as f64;
    let diagonal = k.diag().to_owned();
    let mut last = None;
    for exponent in (2..=8).rev() {
        let jitter = level * 10.0_f64.powi(-exponent);
        k.diag_mut().assign(&(&diagonal + (noise + jitter)));
        match cholesky(k.view()) {
            Ok(factor) => return Ok((factor, jitter)),
            Err(error) => last = Some(error),
        }
    }
    let error = last.map_or_else(String::new, |error| error.to_string());
    let want = "it is not positive definite even with a hundredth of its trace added; scale the features";
    Err(Error::numeric("covariance of the training rows", format!("{want} ({error})")))
}

/// X with L^T X = B, by back substitution; B is narrow.
fn solve_upper(l: &Array2<f64>, mut b: Array2<f64>) -> Array2<f64> {
    for i in (0..l.nrows()).rev() {
        let (mut above, mut rest) = b.view_mut().split_at(Axis(0), i);
        let mut own = rest.row_mut(0);
        own /= l[[i, i]];
        for (mut row, factor) in above.outer_iter_mut().zip(l.slice(s![i, ..i])) {
            row.scaled_add(-factor, &own);
        }
    }
    b
}

fn check(kernel: Kernel, noise: f64, train: Rows, test: Rows) -> Result<()> {
    if let Kernel::Rbf { sigma } = kernel
        && !(sigma > 0.0 && sigma.is_finite())
    {
        return Err(Error::input("sigma", sigma, "the length scale must be finite and above 0"));
    }
    if !(noise >= 0.0 && noise.is_finite()) {
        return Err(Error::input("noise", noise, "the variance must be finite and at least 0"));
    }
    super::check_rows("training", train)?;
    super::check_rows("test", test)?;
    let shape = |rows: Rows| format!("{} columns and {} outputs", rows.x.ncols(), rows.y.ncols());
    if (train.x.ncols(), train.y.ncols()) != (test.x.ncols(), test.y.ncols()) {
        return Err(Error::input("test rows", shape(test), format!("the training rows have {}", shape(train))));
    }
    if test.x.nrows() == 0 {
        return Err(Error::input("test rows", 0, "give at least one"));
    }
    for (what, rows) in [("training rows", train.x.nrows()), ("test rows", test.x.nrows())] {
        if rows > MOST_ROWS {
            let want = format!("use at most {MOST_ROWS}: their covariance takes 8 bytes for each pair; draw a subset");
            return Err(Error::input(what, rows, want));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, array};
    use quadrat_core::Silent;
    use quadrat_numeric::special::log_noncentral_chi_square_cdf;

    fn rows(n: usize, d: usize, seed: u64) -> (Array2<f64>, Array2<f64>) {
        let mut rng = Seed(seed).rng(0);
        let x = Array2::from_shape_simple_fn((n, d), || rng.normal());
        let y = x.sum_axis(Axis(1)).mapv(f64::sin).insert_axis(Axis(1));
        (x, y)
    }

    fn of((x, y): &(Array2<f64>, Array2<f64>)) -> Rows<'_> {
        Rows { x: x.view(), y: y.view() }
    }

    fn posterior(kernel: Kernel, train: &(Array2<f64>, Array2<f64>), test: &(Array2<f64>, Array2<f64>)) -> GpPosterior {
        GpPosterior::new(kernel, 0.0, of(train), of(test)).unwrap()
    }

    const UNIT: Kernel = Kernel::Rbf { sigma: 1.0 };

    /// One test point and one output: e is lambda times a non-central chi-square with one degree of freedom.
    #[test]
    fn one_test_point_has_a_closed_form() {
        let (train, test) = (rows(5, 2, 1), rows(1, 2, 2));
        let gp = posterior(UNIT, &train, &test);
        // The posterior by textbook formulas, with the inverse of a 5 x 5 matrix.
        let mut k = UNIT.matrix(train.0.view(), train.0.view()).unwrap();
        k.diag_mut().mapv_inplace(|v| v + 1e-8);
        let across = UNIT.matrix(train.0.view(), test.0.view()).unwrap();
        let solved = quadrat_numeric::linalg::solve(k.view(), across.view()).unwrap();
        let mean = solved.t().dot(&train.1)[[0, 0]];
        let variance = 1.0 - across.t().dot(&solved)[[0, 0]];
        assert!((gp.law().scales[0] - variance).abs() < 1e-9);
        assert!((gp.law().shifts[0] - (mean - test.1[[0, 0]]).powi(2)).abs() < 1e-9);
        for at in [0.01, 0.1, 1.0, 3.0] {
            let eps = at * gp.law().mean();
            let exact = log_noncentral_chi_square_cdf(eps / variance, 1.0, gp.law().shifts[0] / variance);
            let got = gp.required_bias_exact(eps, Unit::Nats).unwrap().value;
            assert!((got + exact).abs() < 0.06 * exact.abs().max(0.5), "{at}: {got} {exact}");
        }
    }

    #[test]
    fn without_training_rows_the_process_is_its_prior() {
        let none = (Array2::zeros((0, 3)), Array2::zeros((0, 1)));
        let test = rows(12, 3, 3);
        let gp = posterior(UNIT, &none, &test);
        let k = UNIT.matrix(test.0.view(), test.0.view()).unwrap();
        let (values, _) = symmetric_eigen(k.view()).unwrap();
        for (scale, value) in gp.law().scales.iter().zip(&values) {
            assert!((scale - value / 12.0).abs() < 1e-14);
        }
        let variance: f64 = test.1.iter().map(|y| y * y).sum::<f64>() / 12.0;
        assert!((gp.mean_error - variance).abs() < 1e-12);
        assert!((gp.law().mean() - 1.0 - variance).abs() < 1e-12, "trace of C over n_t, and the bias of m = 0");
    }

    #[test]
    fn draws_are_those_of_the_functions_themselves() {
        let (train, test) = (rows(30, 4, 4), rows(20, 4, 5));
        let gp = posterior(UNIT, &train, &test);
        // The authors' way: h = m + C^(1/2) z at the test points. Means of 20,000 draws each agree to five standard
        // errors (false alarm: one in a million).
        let mut k = UNIT.matrix(train.0.view(), train.0.view()).unwrap();
        k.diag_mut().mapv_inplace(|v| v + 1e-8);
        let across = UNIT.matrix(train.0.view(), test.0.view()).unwrap();
        let solved = quadrat_numeric::linalg::solve(k.view(), across.view()).unwrap();
        let mean = solved.t().dot(&train.1);
        let mut c = UNIT.matrix(test.0.view(), test.0.view()).unwrap() - across.t().dot(&solved);
        c.diag_mut().mapv_inplace(|v| v + 1e-10);
        let root = cholesky(c.view()).unwrap();
        let direct: Vec<f64> = (0..20_000)
            .map(|i| {
                let mut rng = Seed(6).rng(i);
                let z = Array1::from_shape_simple_fn(20, || rng.normal());
                let h = root.dot(&z) + mean.column(0);
                (&h - &test.1.column(0)).mapv(|e| e * e).sum() / 20.0
            })
            .collect();
        let ours = gp.sample_losses(20_000, Seed(7), &Silent).unwrap();
        let se = (stats::variance(&direct) / 20_000.0 + stats::variance(&ours) / 20_000.0).sqrt();
        assert!((stats::mean(&direct) - stats::mean(&ours)).abs() < 5.0 * se);
        assert!((stats::mean(&ours) - gp.law().mean()).abs() < 5.0 * se);
        assert!((stats::variance(&ours) / gp.law().variance() - 1.0).abs() < 0.1);
    }

    /// Outputs that the process itself made: more training rows lower the information needed, on average over 20 tasks.
    #[test]
    fn training_rows_of_its_own_lower_the_bias() {
        let mean_bias = |n: usize| {
            let of = |task: u64| {
                let mut rng = Seed(100 + task).rng(0);
                let x = Array2::from_shape_simple_fn((60, 2), || rng.normal());
                let mut k = UNIT.matrix(x.view(), x.view()).unwrap();
                k.diag_mut().mapv_inplace(|v| v + 1e-8);
                let z = Array2::from_shape_simple_fn((60, 1), || rng.normal());
                let y = cholesky(k.view()).unwrap().dot(&z);
                let take = |range: std::ops::Range<usize>| {
                    (x.slice(s![range.clone(), ..]).to_owned(), y.slice(s![range, ..]).to_owned())
                };
                let gp = posterior(UNIT, &take(0..n), &take(40..60));
                gp.required_bias_exact(0.02, Unit::Nats).unwrap().value
            };
            (0..20).map(of).sum::<f64>() / 20.0
        };
        let biases: Vec<f64> = [0, 5, 10, 20, 40].into_iter().map(mean_bias).collect();
        assert!(biases.is_sorted_by(|a, b| a > b), "{biases:?}");
    }

    #[test]
    fn interpolation_leaves_no_training_error_and_noise_does() {
        let (train, test) = (rows(40, 3, 8), rows(10, 3, 9));
        assert!(posterior(UNIT, &train, &test).training_error < 1e-8);
        // Linear functions cannot go through 40 points of a sine: the training error says so.
        let linear = posterior(Kernel::Linear, &train, &test);
        assert!(linear.training_error > 0.1, "{}", linear.training_error);
        let variance = residual_variance(of(&train)).unwrap();
        assert!((variance - linear.training_error * 40.0 / 36.0).abs() < 1e-12);
        assert_eq!(residual_variance(of(&rows(4, 3, 8))).unwrap(), 0.0);
        // The residual is that of the posterior mean at the training rows.
        let again = posterior(UNIT, &train, &train);
        assert!((again.mean_error - again.training_error).abs() < 1e-9);
        let noisy = GpPosterior::new(UNIT, 0.3, of(&train), of(&train)).unwrap();
        assert!((noisy.mean_error - noisy.training_error).abs() < 1e-9 && noisy.training_error > 1e-3);
    }

    #[test]
    fn duplicates_constant_columns_and_extreme_scales_are_defined() {
        let mut train = rows(30, 3, 10);
        train.0.column_mut(2).fill(5.0);
        let first = train.0.row(0).to_owned();
        train.0.row_mut(1).assign(&first);
        for scale in [1.0, 1e-150, 1e150] {
            for kernel in [Kernel::Rbf { sigma: scale }, Kernel::Rbf { sigma: 1.0 }, Kernel::Linear] {
                let scaled = (&train.0 * scale, train.1.clone());
                let made = GpPosterior::new(kernel, 0.0, of(&scaled), of(&scaled));
                match made {
                    Ok(gp) => assert!(!gp.required_bias_exact(0.5, Unit::Nats).unwrap().value.is_nan()),
                    Err(error) => assert!(!error.to_string().is_empty()),
                }
            }
        }
        assert_eq!(median_distance(Array2::zeros((5, 2)).view()), 1.0);
        assert_eq!(median_distance(Array2::zeros((1, 2)).view()), 1.0);
        assert_eq!(median_distance(array![[0.0], [0.0], [0.0], [0.0], [10.0]].view()), 4.0);
    }

    #[test]
    fn bad_arguments_are_errors() {
        let (x, y) = rows(6, 2, 11);
        let good = Rows { x: x.view(), y: y.view() };
        let (nan, short, wide) = (&x * f64::NAN, y.slice(s![..3, ..]), Array2::zeros((6, 3)));
        let cases = [
            (Kernel::Rbf { sigma: 0.0 }, 0.0, good, good, "sigma"),
            (UNIT, -1.0, good, good, "noise"),
            (UNIT, 0.0, Rows { x: nan.view(), ..good }, good, "training inputs, row 0"),
            (UNIT, 0.0, good, Rows { y: short, ..good }, "test outputs: got 3"),
            (UNIT, 0.0, good, Rows { x: wide.view(), ..good }, "test rows: got 3 columns"),
            (UNIT, 0.0, good, Rows { x: x.slice(s![..0, ..]), y: y.slice(s![..0, ..]) }, "test rows: got 0"),
            (UNIT, 0.0, good, Rows { y: y.slice(s![.., ..0]), ..good }, "outputs"),
        ];
        for (kernel, noise, train, test, part) in cases {
            let error = GpPosterior::new(kernel, noise, train, test).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        let gp = GpPosterior::new(UNIT, 0.0, good, good).unwrap();
        for eps in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(gp.required_bias_exact(eps, Unit::Bits).is_err());
        }
    }
}
