//! Least squares with an l1 penalty: sparse coefficients.
//!
//! `minimise 1/2 |A x - b|^2 + lambda |x|_1`, with no intercept and no scaling of columns. (Other libraries divide the
//! squares by the number of rows n: their penalty is lambda / n.) At a solution every column correlates with the residual
//! by at most lambda, `|a_j . (b - A x)| <= lambda`, and by exactly lambda, with the coefficient's sign, where x_j is not 0.
//!
//! Two ways to it:
//!
//! | | use it for | cost |
//! |---|---|---|
//! | [`Lasso`] | one penalty, many rows | rows x columns a check, rows x (columns in use) a pass |
//! | [`lasso_path`] | all penalties, few rows, exact answers | rows x columns a breakpoint, some 2 x rows of these |
//!
//! The first is coordinate descent (Friedman, Hastie and Tibshirani, 2010), stopped by its duality gap. The second is the
//! homotopy method of Osborne, Presnell and Turlach (2000), also known as LARS with the Lasso modification (Efron et al.,
//! 2004): solutions are linear in lambda between breakpoints, so that the breakpoints are the whole path. Its end at
//! lambda = 0 is [`basis_pursuit`], the shortest x in the l1 norm with A x = b.
//!
//! Penalties that differ between columns need no option: with lambda c_j on column j, scale it by 1 / c_j and the
//! coefficient that comes back too.

mod active;
mod path;

pub use path::{Knot, LassoPath, basis_pursuit, lasso_path};

use crate::gemm::vectorised;
use crate::prepare;
use active::Active;
use ndarray::ArrayView2;
use quadrat_core::{Error, Result};

/// Coordinate descent at one penalty.
///
/// ```
/// use ndarray::array;
/// use quadrat_numeric::Lasso;
/// let fit = Lasso { lambda: 1.0, ..Lasso::default() }.fit(array![[1.0, 0.0], [0.0, 1.0]].view(), &[3.0, -0.5])?;
/// assert_eq!(fit.x, [2.0, 0.0]); // soft thresholding
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lasso {
    /// The penalty, at least 0, in the unit of `a_j . b`: from `max_j |a_j . b|` on all coefficients are 0.
    pub lambda: f64,
    /// Stop once the duality gap is at most this share of `1/2 |b|^2`.
    pub tol: f64,
    /// Most passes over the columns in use.
    pub max_iter: usize,
}

impl Default for Lasso {
    fn default() -> Self {
        Lasso { lambda: 1.0, tol: 1e-8, max_iter: 10_000 }
    }
}

/// A solution and what is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct LassoFit {
    /// One coefficient a column.
    pub x: Vec<f64>,
    /// How far the objective may be above its minimum, as a share of `1/2 |b|^2`: above `tol` if `max_iter` passes were
    /// not enough.
    pub gap: f64,
    /// Passes over the columns in use.
    pub iterations: usize,
}

/// A and b scaled by powers of two to numbers near 1, with each column of A contiguous.
struct Problem {
    rows: usize,
    /// Columns one after the other.
    columns: Vec<f64>,
    b: Vec<f64>,
    /// Coefficients of the user's problem are these times those of the scaled one; penalties are scaled by the other.
    coefficient: f64,
    penalty: f64,
}

impl Problem {
    fn new(a: ArrayView2<f64>, b: &[f64]) -> Result<Self> {
        prepare::check("matrix", a)?;
        let (n, p) = a.dim();
        if b.len() != n {
            return Err(Error::input(
                "right-hand side",
                format!("{} values", b.len()),
                format!("the matrix has {n} rows"),
            ));
        }
        if let Some((row, bad)) = b.iter().enumerate().find(|(_, b)| !b.is_finite()) {
            return Err(Error::input(format!("right-hand side, row {row}"), bad, "values must be finite"));
        }
        let of_a = prepare::scale_to_one(prepare::largest(a, &vec![0.0; p]));
        let of_b = prepare::scale_to_one(b.iter().fold(0.0, |most: f64, v| most.max(v.abs())));
        let columns = a.columns().into_iter().flatten().map(|v| v * of_a).collect();
        let b = b.iter().map(|v| v * of_b).collect();
        Ok(Problem { rows: n, columns, b, coefficient: of_a / of_b, penalty: of_a * of_b })
    }

    fn len(&self) -> usize {
        self.columns.len() / self.rows
    }

    fn column(&self, j: usize) -> &[f64] {
        &self.columns[j * self.rows..(j + 1) * self.rows]
    }

    /// a_j . v for all columns.
    fn correlations(&self, v: &[f64], out: &mut [f64]) {
        vectorised(
            #[inline(always)]
            || out.iter_mut().zip(self.columns.chunks_exact(self.rows)).for_each(|(out, column)| *out = dot(column, v)),
        );
    }
}

fn check_penalty(lambda: f64) -> Result<()> {
    if lambda >= 0.0 && lambda.is_finite() {
        return Ok(());
    }
    Err(Error::input("lambda", lambda, "the penalty must be finite and at least 0"))
}

/// a . b in eight running sums, so that it vectorises.
#[inline(always)]
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0; 8];
    a.iter().zip(b).for_each(|(a, b)| (0..8).for_each(|lane| sums[lane] += a[lane] * b[lane]));
    sums.iter().sum::<f64>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f64>()
}

#[inline(always)]
fn axpy(scale: f64, a: &[f64], out: &mut [f64]) {
    out.iter_mut().zip(a).for_each(|(out, a)| *out += scale * a);
}

impl Lasso {
    /// The solution for `a` (n rows, one column a coefficient) and `b` (n values).
    ///
    /// Columns come into use when they break the conditions of optimality; passes go over those in use only. At the end
    /// the equations of the support are solved exactly, where that keeps all signs and narrows the gap.
    ///
    /// # Errors
    /// A penalty or tolerance that is negative or not finite; an empty matrix; lengths that differ; values that are not
    /// finite.
    pub fn fit(&self, a: ArrayView2<f64>, b: &[f64]) -> Result<LassoFit> {
        check_penalty(self.lambda)?;
        if !(self.tol >= 0.0 && self.tol.is_finite()) {
            return Err(Error::input("tol", self.tol, "the tolerance must be finite and at least 0"));
        }
        let problem = Problem::new(a, b)?;
        let mut descent = Descent::new(&problem, self.lambda * problem.penalty);
        let enough = self.tol * descent.unit;
        let mut gap = descent.gap_over_all();
        while gap > enough && descent.passes < self.max_iter {
            descent.enlist();
            // Tighter than asked for, so that what the columns outside leave over is what decides.
            descent.pass_until(0.3 * enough, self.max_iter);
            gap = descent.gap_over_all();
        }
        if let Some(polished) = descent.polished().filter(|polished| polished.1 < gap) {
            (descent.x, gap) = polished;
        }
        let x = descent.x.iter().map(|x| x * problem.coefficient).collect();
        Ok(LassoFit { x, gap: gap / descent.unit, iterations: descent.passes })
    }
}

struct Descent<'a> {
    problem: &'a Problem,
    lambda: f64,
    /// 1/2 |b|^2, or 1 if that is 0.
    unit: f64,
    squares: Vec<f64>,
    x: Vec<f64>,
    residual: Vec<f64>,
    correlations: Vec<f64>,
    /// Columns in use, ascending.
    used: Vec<usize>,
    passes: usize,
}

impl<'a> Descent<'a> {
    fn new(problem: &'a Problem, lambda: f64) -> Self {
        let half = 0.5 * dot(&problem.b, &problem.b);
        Descent {
            problem,
            lambda,
            unit: if half > 0.0 { half } else { 1.0 },
            squares: (0..problem.len()).map(|j| dot(problem.column(j), problem.column(j))).collect(),
            x: vec![0.0; problem.len()],
            residual: problem.b.clone(),
            correlations: vec![0.0; problem.len()],
            used: Vec::new(),
            passes: 0,
        }
    }

    /// Columns whose coefficient is not 0, or that correlate by more than lambda.
    fn enlist(&mut self) {
        let wanted = |j: &usize| self.x[*j] != 0.0 || self.correlations[*j].abs() > self.lambda;
        self.used = (0..self.x.len()).filter(wanted).collect();
    }

    fn pass_until(&mut self, enough: f64, max_iter: usize) {
        /// Passes between looks at the gap.
        const LOOK: usize = 10;
        loop {
            let mut moved = false;
            for _ in 0..LOOK {
                moved |= self.pass();
                self.passes += 1;
            }
            let largest = self.used.iter().map(|j| dot(self.problem.column(*j), &self.residual).abs());
            let largest = largest.fold(0.0, f64::max);
            if self.gap(largest) <= enough || !moved || self.passes >= max_iter {
                return;
            }
        }
    }

    /// Each coefficient in use to its best value, the others fixed; whether any changed.
    fn pass(&mut self) -> bool {
        let Descent { problem, lambda, squares, x, residual, used, .. } = self;
        vectorised(
            #[inline(always)]
            || {
                let mut moved = false;
                for &j in used.iter().filter(|j| squares[**j] > 0.0) {
                    let column = problem.column(j);
                    let pull = dot(column, residual) + squares[j] * x[j];
                    let new = pull.signum() * (pull.abs() - *lambda).max(0.0) / squares[j];
                    let step = x[j] - new;
                    if step != 0.0 {
                        axpy(step, column, residual);
                        x[j] = new;
                        moved = true;
                    }
                }
                moved
            },
        )
    }

    fn gap_over_all(&mut self) -> f64 {
        self.problem.correlations(&self.residual, &mut self.correlations);
        let largest = self.correlations.iter().fold(0.0, |most: f64, c| most.max(c.abs()));
        self.gap(largest)
    }

    /// The objective less that of the dual point, the residual shrunk until no column correlates by more than lambda.
    fn gap(&self, largest: f64) -> f64 {
        let squares = dot(&self.residual, &self.residual);
        let shrink = if largest > self.lambda { self.lambda / largest } else { 1.0 };
        let l1: f64 = self.x.iter().map(|x| x.abs()).sum();
        let primal = 0.5 * squares + self.lambda * l1;
        let dual = shrink * dot(&self.residual, &self.problem.b) - 0.5 * shrink * shrink * squares;
        (primal - dual).max(0.0)
    }

    /// The exact solution on the support and its gap, if the support's columns are independent and all signs stay.
    fn polished(&self) -> Option<(Vec<f64>, f64)> {
        let mut active = Active::new(self.problem.rows);
        let support: Vec<usize> = (0..self.x.len()).filter(|j| self.x[*j] != 0.0).collect();
        if support.len() > self.problem.rows || !support.iter().all(|j| active.push(self.problem.column(*j))) {
            return None;
        }
        let signs: Vec<f64> = support.iter().map(|j| self.x[*j].signum()).collect();
        let (least_squares, slope) = (active.least_squares(&self.problem.b), active.slope(&signs));
        let mut exact = Descent::new(self.problem, self.lambda);
        for (((j, sign), x), d) in support.iter().zip(&signs).zip(least_squares).zip(slope) {
            exact.x[*j] = x - self.lambda * d;
            if exact.x[*j] * sign <= 0.0 {
                return None;
            }
            axpy(-exact.x[*j], self.problem.column(*j), &mut exact.residual);
        }
        let gap = exact.gap_over_all();
        Some((exact.x, gap))
    }
}

#[cfg(test)]
mod tests;
