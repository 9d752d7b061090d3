//! Importance scores of rows, and coresets drawn by them.
//!
//! The question is always the same: which rows must be kept so that ||Ax||_p survives for all x at once? A row's score
//! says how large a share of ||Ax||_p^p it can have; rows are kept with probability in proportion to their score and
//! weighted by the inverse ([`ScoreSampler`]). The scores differ in sharpness and price:
//!
//! | score | what it is | cost for n rows, d columns |
//! |---|---|---|
//! | [`Uniform`], [`RowNorm`] | baselines without a guarantee | n d |
//! | [`Leverage`] | the share for p = 2 | n d^2 |
//! | [`RootLeverage`] | leverage^(p/2), an upper bound for p <= 2 | n d^2 |
//! | [`LewisWeights`] | leverage after the change of density that suits p | some ten times n d^2 |
//! | [`Sensitivity`] | the share itself | a convex problem a row |
//! | [`LevSens`] | leverage and sensitivity together | the same |
//!
//! Source: D. Woodruff and T. Yasuda, "Sharper bounds for l_p sensitivity sampling", ICML 2023 (arXiv 2306.00732), with
//! M. Cohen and R. Peng 2015 for Lewis weights, and A. Munteanu and S. Omlor 2024 for the sum of both scores at p <= 2.

mod leverage;
mod lewis;
mod lp;
mod sample;

pub use leverage::{Leverage, LeverageMode, RootLeverage};
pub use lewis::LewisWeights;
pub use lp::{LevSens, Sensitivity, SensitivityMode};
pub(crate) use sample::systematic;
pub use sample::{Draw, ScoreSampler, inclusion_probabilities, plan};

use ndarray::{ArrayView2, Axis};
use quadrat_core::{Error, Progress, Result, Seed};

/// A score for each row; larger means that the row matters more, 0 that it never needs to be kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// One a row, >= 0.
    pub values: Vec<f64>,
    /// The rank of the matrix, where the score has to find it.
    pub rank: Option<usize>,
    /// Figures of the run worth reporting, by name.
    pub notes: Vec<(String, String)>,
}

impl Scores {
    fn plain(values: Vec<f64>) -> Self {
        Scores { values, rank: None, notes: Vec::new() }
    }

    /// The sum of all scores: the number of rows that a sample needs grows with it.
    pub fn total(&self) -> f64 {
        self.values.iter().sum()
    }
}

/// A way to score the rows of a matrix.
pub trait RowScores: Send + Sync {
    /// The score's name, as on the command line.
    fn name(&self) -> &'static str;

    /// The power p of the norm that samples by this score preserve.
    fn p(&self) -> f64;

    /// Scores the rows of `a` (n x d, finite). Same matrix and seed give the same scores for any number of threads.
    fn scores(&self, a: ArrayView2<f64>, seed: Seed, progress: &dyn Progress) -> Result<Scores>;

    /// In how many rounds samples by this score are drawn from `n` rows, each rescoring what the last one kept.
    fn rounds(&self, _n: usize) -> usize {
        1
    }

    /// Floating-point operations for `n` rows of `d` columns, to an order of magnitude.
    fn operations(&self, n: usize, d: usize) -> f64;
}

/// All rows alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Uniform;

impl RowScores for Uniform {
    fn name(&self) -> &'static str {
        "uniform"
    }

    fn p(&self) -> f64 {
        2.0
    }

    fn scores(&self, a: ArrayView2<f64>, _: Seed, _: &dyn Progress) -> Result<Scores> {
        check(a, 2.0)?;
        Ok(Scores::plain(vec![1.0; a.nrows()]))
    }

    fn operations(&self, n: usize, _: usize) -> f64 {
        n as f64
    }
}

/// The p-th power of the row's l_p norm: simple, and blind to directions that few rows span.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RowNorm {
    /// The power, >= 1.
    pub p: f64,
}

impl Default for RowNorm {
    fn default() -> Self {
        RowNorm { p: 2.0 }
    }
}

impl RowScores for RowNorm {
    fn name(&self) -> &'static str {
        "row-norm"
    }

    fn p(&self) -> f64 {
        self.p
    }

    fn scores(&self, a: ArrayView2<f64>, _: Seed, _: &dyn Progress) -> Result<Scores> {
        check(a, self.p)?;
        // Scores only count up to a common factor, so the largest value may scale all powers into range.
        let top = a.iter().fold(0.0_f64, |top, v| top.max(v.abs()));
        if top == 0.0 {
            return Err(nothing_to_measure());
        }
        let power = |row: ndarray::ArrayView1<f64>| row.iter().map(|v| (v.abs() / top).powf(self.p)).sum();
        Ok(Scores::plain(a.axis_iter(Axis(0)).map(power).collect()))
    }

    fn operations(&self, n: usize, d: usize) -> f64 {
        20.0 * n as f64 * d as f64
    }
}

/// Refuses a power below 1, an empty matrix and values that are not finite.
pub(crate) fn check(a: ArrayView2<f64>, p: f64) -> Result<()> {
    if !(p >= 1.0 && p.is_finite()) {
        return Err(Error::input("p", p, "p must be finite and >= 1: below 1 the l_p ball is not convex"));
    }
    if a.is_empty() {
        let got = format!("{} rows, {} columns", a.nrows(), a.ncols());
        return Err(Error::input("points", got, "give at least one row and one column"));
    }
    for (row, values) in a.axis_iter(Axis(0)).enumerate() {
        if let Some((column, bad)) = values.iter().enumerate().find(|(_, v)| !v.is_finite()) {
            return Err(Error::input(format!("points, row {row}, column {column}"), bad, "values must be finite"));
        }
    }
    Ok(())
}

fn nothing_to_measure() -> Error {
    Error::input("points", "only zeros", "at least one value must differ from 0: the matrix has rank 0")
}

#[cfg(test)]
mod tests;
