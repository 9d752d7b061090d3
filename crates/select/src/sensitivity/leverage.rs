//! Leverage scores, exact and by a sketch, and their powers.

use super::{RowScores, Scores, check, nothing_to_measure};
use ndarray::{Array2, ArrayView2, Axis, concatenate};
use quadrat_core::{Error, Progress, Result, Seed, checkpoint};
use quadrat_numeric::linalg::{product_squared_lengths, sketch, thin_r, whitening};

/// How leverage scores are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LeverageMode {
    /// All digits: from the Gram matrix where that is well conditioned, otherwise from an orthogonal factorisation.
    #[default]
    Exact,
    /// From a sparse sketch of the matrix and a random projection (Drineas et al. 2012, with four non-zeros a column as
    /// in Nelson and Nguyen 2013): within a relative standard deviation of `sqrt(2 / columns)`, for many columns of A.
    Sketch {
        /// Columns of the random projection, at least 1; 16 is usual.
        columns: usize,
    },
}

/// Leverage scores: `tau_i = a_i^T (A^T A + ridge I)^+ a_i`, between 0 and 1. Without a ridge their sum is the rank of A,
/// and they are the l_2 sensitivities; with one it is the effective dimension.
///
/// Columns may be dependent (the pseudo-inverse is used and the rank reported) and badly scaled.
///
/// Cost: exact, 4 n d^2 operations and no copy of A, twice that where columns nearly depend on each other; sketch, about
/// 2 n d (4 + columns) + d^3.
///
/// ```
/// use ndarray::array;
/// use quadrat_core::{Seed, Silent};
/// use quadrat_select::{Leverage, RowScores};
/// let a = array![[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, -1.0], [0.1, 0.2]];
/// let tau = Leverage::default().scores(a.view(), Seed(0), &Silent)?;
/// assert!((tau.values[3] - 0.823224).abs() < 1e-6 && (tau.total() - 2.0).abs() < 1e-12);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Leverage {
    /// Exact or by a sketch.
    pub mode: LeverageMode,
    /// Added to every eigenvalue of the Gram matrix; >= 0.
    pub ridge: f64,
}

impl RowScores for Leverage {
    fn name(&self) -> &'static str {
        "leverage"
    }

    fn p(&self) -> f64 {
        2.0
    }

    fn scores(&self, a: ArrayView2<f64>, seed: Seed, progress: &dyn Progress) -> Result<Scores> {
        check(a, 2.0)?;
        if !(self.ridge >= 0.0 && self.ridge.is_finite()) {
            return Err(Error::input("ridge", self.ridge, "use a finite number >= 0"));
        }
        checkpoint(progress)?;
        let basis = match self.mode {
            LeverageMode::Exact => self.basis(a)?,
            LeverageMode::Sketch { columns: 0 } => return Err(Error::input("columns", 0, "use at least 1")),
            LeverageMode::Sketch { .. } => {
                let (n, d) = (a.nrows(), a.ncols() as f64);
                let size = (4.0 * d * (1.0 + d.ln())).ceil() as usize;
                if size < n { self.basis(sketch(a, size, 4, seed)?.view())? } else { self.basis(a)? }
            }
        };
        let rank = basis.ncols();
        if rank == 0 {
            return Err(nothing_to_measure());
        }
        let values = match self.mode {
            LeverageMode::Sketch { columns } if columns < rank => {
                let (mut rng, scale) = (seed.stream("projection").rng(0), (columns as f64).sqrt().recip());
                let normal = Array2::from_shape_simple_fn((rank, columns), || scale * rng.normal());
                product_squared_lengths(a, basis.dot(&normal).view())?
            }
            _ => product_squared_lengths(a, basis.view())?,
        };
        Ok(Scores { values: values.iter().map(|tau| tau.min(1.0)).collect(), rank: Some(rank), notes: Vec::new() })
    }

    fn operations(&self, n: usize, d: usize) -> f64 {
        let (n, d) = (n as f64, d as f64);
        match self.mode {
            LeverageMode::Exact => 4.0 * n * d * d + 20.0 * d * d * d,
            LeverageMode::Sketch { columns } => {
                n * d * (8.0 + 2.0 * columns as f64) + 40.0 * d * d * d * (1.0 + d.ln())
            }
        }
    }
}

impl Leverage {
    /// B (d x rank) with `B B^T = (A^T A + ridge I)^+`, so that `tau_i = |a_i B|^2`.
    fn basis(&self, a: ArrayView2<f64>) -> Result<Array2<f64>> {
        if self.ridge == 0.0 {
            return whitening(a, None);
        }
        // A ridge is d more rows; the triangular factor stands for all the others.
        let rows = concatenate(Axis(0), &[thin_r(a).view(), (Array2::eye(a.ncols()) * self.ridge.sqrt()).view()]);
        let rows = rows.map_err(|e| Error::numeric("ridge", e.to_string()))?;
        whitening(rows.view(), None)
    }
}

/// Root leverage: `tau_i^(p/2)` for 1 <= p <= 2, an upper bound of the l_p sensitivities at the price of leverage.
///
/// Samples are drawn in rounds, each rescoring what the last one kept: the excess over the rows asked for shrinks doubly
/// exponentially (the paper's recursion for about d rows; its dependence on the error is not verified).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RootLeverage {
    /// The power, from 1 to 2.
    pub p: f64,
    /// Rounds; `None` for log log n, at most 4.
    pub rounds: Option<usize>,
}

impl Default for RootLeverage {
    fn default() -> Self {
        RootLeverage { p: 1.0, rounds: None }
    }
}

impl RowScores for RootLeverage {
    fn name(&self) -> &'static str {
        "root-leverage"
    }

    fn p(&self) -> f64 {
        self.p
    }

    fn scores(&self, a: ArrayView2<f64>, seed: Seed, progress: &dyn Progress) -> Result<Scores> {
        check(a, self.p)?;
        if self.p > 2.0 {
            return Err(Error::input("p", self.p, "root leverage is for p from 1 to 2; use lev-sens or lewis above"));
        }
        let mut found = Leverage::default().scores(a, seed, progress)?;
        found.values.iter_mut().for_each(|tau| *tau = tau.powf(0.5 * self.p));
        Ok(found)
    }

    fn rounds(&self, n: usize) -> usize {
        let by_size = (n.max(3) as f64).log2().log2().ceil() as usize;
        self.rounds.unwrap_or(by_size.clamp(1, 4)).max(1)
    }

    fn operations(&self, n: usize, d: usize) -> f64 {
        Leverage::default().operations(n, d)
    }
}
