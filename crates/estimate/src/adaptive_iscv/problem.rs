//! What is to be estimated.

use ndarray::{Array2, ArrayView2};
use quadrat_core::{Result, Rng};
use quadrat_numeric::{RowMajor, filled};

/// Expectations I_j = E[phi_j(X)] for X of density f_j on R^d, j = 1 .. J, all functions known together.
///
/// [`Expectations`] makes one from closures.
pub trait Problem: Sync {
    /// d.
    fn dim(&self) -> usize;

    /// J.
    fn targets(&self) -> usize;

    /// phi_j at every row of `x` (n x d), as n x J. Called once a round with all its points, and never at a point where
    /// every density is zero: run the points in parallel here.
    fn values(&self, x: ArrayView2<f64>) -> Result<Array2<f64>>;

    /// ln f_j at every row of `x`, as n x J, or as n x 1 when all targets share one density; minus infinity outside the
    /// support. Densities must be normalised.
    fn ln_densities(&self, x: ArrayView2<f64>) -> Result<Array2<f64>>;

    /// Draws a point from f_j into `x` (d numbers).
    fn draw(&self, target: usize, rng: &mut Rng, x: &mut [f64]);

    /// What errors and warnings call a target.
    fn name(&self, target: usize) -> String {
        format!("target {}", target + 1)
    }

    /// Whether phi_j may be zero everywhere, so that a first round of zeros is no error.
    fn may_vanish(&self, _target: usize) -> bool {
        false
    }
}

/// A [`Problem`] of closures over single points, which are called in parallel.
///
/// ```
/// use quadrat_core::{Seed, Silent};
/// use quadrat_estimate::{AdaptiveIscv, Expectations};
/// // E[X^2] and E[X^4] of a standard normal.
/// let problem = Expectations {
///     dim: 1,
///     targets: 2,
///     values: |x: &[f64], phi: &mut [f64]| {
///         phi[0] = x[0].powi(2);
///         phi[1] = x[0].powi(4);
///     },
///     ln_density: |_target: usize, x: &[f64]| -0.5 * x[0] * x[0] - 0.5 * (2.0 * std::f64::consts::PI).ln(),
///     draw: |_target: usize, rng: &mut quadrat_core::Rng, x: &mut [f64]| x[0] = rng.normal(),
///     shared: true,
/// };
/// let estimate = AdaptiveIscv::default().estimate(&problem, &[1.0, 1.0 / 9.0], Seed(1), &Silent)?;
/// assert!((estimate.value[1] - 3.0).abs() < 5.0 * estimate.std_err[1]);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub struct Expectations<V, L, D> {
    /// d.
    pub dim: usize,
    /// J.
    pub targets: usize,
    /// Writes all phi_j of a point.
    pub values: V,
    /// ln f_j of a point.
    pub ln_density: L,
    /// Draws a point from f_j.
    pub draw: D,
    /// Whether all targets share one density: it is then asked for target 0 only.
    pub shared: bool,
}

impl<V, L, D> Problem for Expectations<V, L, D>
where
    V: Fn(&[f64], &mut [f64]) + Sync,
    L: Fn(usize, &[f64]) -> f64 + Sync,
    D: Fn(usize, &mut Rng, &mut [f64]) + Sync,
{
    fn dim(&self) -> usize {
        self.dim
    }

    fn targets(&self) -> usize {
        self.targets
    }

    fn values(&self, x: ArrayView2<f64>) -> Result<Array2<f64>> {
        Ok(by_point(x, self.targets, &self.values))
    }

    fn ln_densities(&self, x: ArrayView2<f64>) -> Result<Array2<f64>> {
        let columns = if self.shared { 1 } else { self.targets };
        let fill = |x: &[f64], ln: &mut [f64]| {
            ln.iter_mut().enumerate().for_each(|(target, ln)| *ln = (self.ln_density)(target, x));
        };
        Ok(by_point(x, columns, &fill))
    }

    fn draw(&self, target: usize, rng: &mut Rng, x: &mut [f64]) {
        (self.draw)(target, rng, x);
    }
}

/// `fill` for every row of `x`, in parallel, into rows of `columns` numbers.
pub fn by_point(x: ArrayView2<f64>, columns: usize, fill: &(impl Fn(&[f64], &mut [f64]) + Sync)) -> Array2<f64> {
    let x = RowMajor::of(x);
    filled((x.dim().0, columns), |i, out| fill(x.row(i), out))
}
