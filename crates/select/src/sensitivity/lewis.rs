//! Lewis weights.

use super::{RowScores, Scores, check, nothing_to_measure};
use ndarray::{Array2, ArrayView2};
use quadrat_core::{Error, Progress, Result, Seed, checkpoint};
use quadrat_numeric::linalg::{product_squared_lengths, whitening};

/// Lewis weights: the w with `w_i = leverage_i(W^(1/2 - 1/p) A)`, equivalently
/// `w_i^(2/p) = a_i^T (A^T W^(1 - 2/p) A)^-1 a_i`. Their sum is the rank of A, and they bound the l_p sensitivities from
/// above by `d^max(0, p/2 - 1) w_i`.
///
/// Cost: 2 n d^2 operations an iteration; about 27 iterations for p = 1, more the further p is from 2.
///
/// ```
/// use ndarray::array;
/// use quadrat_core::{Seed, Silent};
/// use quadrat_select::{LewisWeights, RowScores};
/// let a = array![[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, -1.0], [0.1, 0.2]];
/// let lewis = LewisWeights { p: 1.0, ..LewisWeights::default() }.scores(a.view(), Seed(0), &Silent)?;
/// assert!((lewis.values[3] - 0.691894).abs() < 1e-6 && (lewis.total() - 2.0).abs() < 1e-7);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LewisWeights {
    /// The power, >= 1.
    pub p: f64,
    /// Stop when no weight changes by more than this factor (in logarithms).
    pub tol: f64,
    /// Give up, with an error, after so many iterations.
    pub max_iter: usize,
}

impl Default for LewisWeights {
    fn default() -> Self {
        LewisWeights { p: 1.0, tol: 1e-8, max_iter: 500 }
    }
}

impl RowScores for LewisWeights {
    fn name(&self) -> &'static str {
        "lewis"
    }

    fn p(&self) -> f64 {
        self.p
    }

    fn scores(&self, a: ArrayView2<f64>, _: Seed, progress: &dyn Progress) -> Result<Scores> {
        let found = self.solve(a, progress)?;
        let notes = vec![("Lewis iterations".to_owned(), found.iterations.to_string())];
        Ok(Scores { rank: Some(found.rank), values: found.weights, notes })
    }

    fn operations(&self, n: usize, d: usize) -> f64 {
        let factor = if self.p <= 2.0 { 1.0 - 0.5 * self.p } else { 1.0 - 2.0 / self.p };
        let iterations = if factor > 0.0 { (self.tol.ln() / factor.ln()).max(2.0) } else { 2.0 };
        4.0 * iterations * n as f64 * (d * d) as f64
    }
}

/// Lewis weights with the change of coordinates they stand for.
pub(super) struct Lewis {
    /// One a row, summing to the rank.
    pub weights: Vec<f64>,
    /// d x rank: `|a_i basis|^2 = w_i^(2/p)`.
    pub basis: Array2<f64>,
    pub rank: usize,
    pub iterations: usize,
}

impl LewisWeights {
    /// The weights by fixed-point iteration from `w = rank/n`.
    ///
    /// For p <= 2 it is `w <- (a^T (A^T W^(1-2/p) A)^-1 a)^(p/2)`, which converges with factor 1 - p/2 in the logarithm.
    /// For p > 2 that one slows down and oscillates from p = 4 on; the damped form, with exponent 2/p on the update, is
    /// `w <- leverage(W^(1/2 - 1/p) A)` and converges for every p, with factor 1 - 2/p.
    pub(super) fn solve(&self, a: ArrayView2<f64>, progress: &dyn Progress) -> Result<Lewis> {
        let p = self.p;
        check(a, p)?;
        let mut basis = whitening(a, None)?;
        let (n, rank) = (a.nrows(), basis.ncols());
        if rank == 0 {
            return Err(nothing_to_measure());
        }
        let exponent = 1.0 - 2.0 / p;
        let start = rank as f64 / n as f64;
        basis *= start.powf(-0.5 * exponent);
        let mut weights = vec![start; n];
        progress.begin("Lewis weights", None);
        let mut change = f64::INFINITY;
        for iteration in 1..=self.max_iter {
            checkpoint(progress)?;
            let mut lengths = product_squared_lengths(a, basis.view())?;
            for (length, &w) in lengths.iter_mut().zip(&weights) {
                *length = if p <= 2.0 { length.powf(0.5 * p) } else { w.powf(exponent) * *length };
            }
            // Rows of zeros get weight 0 at once and keep it.
            let moved = |(new, old): (&f64, &f64)| if *old > 0.0 && *new > 0.0 { (new / old).ln().abs() } else { 0.0 };
            change = lengths.iter().zip(&weights).map(moved).fold(0.0, f64::max);
            weights = lengths;
            if change < self.tol {
                return Ok(Lewis { weights, basis, rank, iterations: iteration });
            }
            let density: Vec<f64> = weights.iter().map(|w| if *w > 0.0 { w.powf(exponent) } else { 0.0 }).collect();
            basis = whitening(a, Some(&density))?;
            progress.advance(1);
        }
        Err(Error::numeric(
            "Lewis weights",
            format!(
                "not converged after {} iterations: the last one changed a weight by a factor of {:.3e} - 1; \
                 allow more iterations or a larger tolerance",
                self.max_iter,
                change.exp()
            ),
        ))
    }
}
