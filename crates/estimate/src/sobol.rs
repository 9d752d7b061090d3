//! Sobol' indices: which inputs an output's variance comes from.
//!
//! With independent inputs, S_i = Var(E[Y | X_i]) / Var(Y) is the share of the variance that input i explains on its own
//! (first order), and T_i = E[Var(Y | all but X_i)] / Var(Y) the share in which it has any part (total order). Two ways to
//! estimate them from any model that turns rows of inputs into rows of outputs:
//!
//! - [`Saltelli`]: the usual fixed design on scrambled Sobol' points, with the estimators of Saltelli et al. (2010) and
//!   Jansen (1999): N (d + 2) runs for first and total order, 2 d + 2 a base point with second order. The runs can be done
//!   elsewhere and their outputs handed in ([`Saltelli::indices`]).
//! - [`SobolIscv`]: the expectations behind the indices by [`AdaptiveIscv`](crate::AdaptiveIscv), which asks for its runs in
//!   rounds.
//!
//! Indices are of [`Factors`]: inputs alone, or groups of them, independent or coupled. Every index comes with a standard
//! error and a 95% interval. Estimates near zero may be negative and are not clipped: clipping would bias them. Estimates
//! that are impossible beyond chance are named in the warnings.

mod design;
mod factors;
mod iscv;
mod layout;
mod moments;
mod possible;

#[cfg(test)]
mod tests;

pub use design::{DesignPoints, Saltelli};
pub use factors::Factors;
pub use iscv::SobolIscv;
pub use layout::Orders;

use crate::laws::Law;
use ndarray::{Array2, ArrayView2};
use quadrat_core::{Choice, Error, Result, Settings};
use serde::Serialize;

/// A named input of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// Its name.
    pub name: String,
    /// Its law.
    pub law: Law,
}

/// How indices are estimated, as a user says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Settings)]
pub struct SobolSettings {
    /// Of `estimate sobol`: how its points are chosen.
    #[param(default = Way::Saltelli)]
    pub method: Way,
    /// The fixed design, whose resamples serve the other way too.
    #[param(flatten)]
    pub saltelli: Saltelli,
}

/// The ways to estimate indices, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum Way {
    /// Fixed design; files or a program.
    Saltelli,
    /// Asks a program in rounds.
    AdaptiveIscv,
}

/// A model: rows of inputs (n x d, in the inputs' own units) to rows of outputs (n x K), NaN where a run has no answer. Run
/// rows in parallel inside; [`by_point`](crate::by_point) does for a function of one row.
pub type Model<'a> = dyn Fn(ArrayView2<f64>) -> Result<Array2<f64>> + Sync + 'a;

/// An index of one factor, or of a pair of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Index {
    /// The factor: an input or a group of them.
    pub name: String,
    /// The other factor of a pair.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub with: Option<String>,
    /// The estimate; it may lie outside 0 to 1 by chance.
    pub value: f64,
    /// Its standard error.
    pub se: f64,
    /// Lower end of the 95% interval.
    pub low: f64,
    /// Upper end of the 95% interval.
    pub high: f64,
}

/// The indices of one output.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OutputIndices {
    /// Mean of the output.
    pub mean: f64,
    /// Variance of the output.
    pub variance: f64,
    /// First-order indices, one a factor, if asked for.
    pub first: Vec<Index>,
    /// Total-order indices, one a factor, if asked for.
    pub total: Vec<Index>,
    /// Second-order indices, one a pair of factors, if asked for: what both explain together beyond their first orders.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub second: Vec<Index>,
}

/// Sobol' indices of all outputs of a model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SobolEstimate {
    /// Runs of the model that the estimate rests on.
    pub calls: usize,
    /// Base points left out, because a run of theirs had no finite output.
    pub left_out: usize,
    /// The indices, output by output.
    pub outputs: Vec<OutputIndices>,
    /// What makes the result doubtful.
    pub warnings: Vec<String>,
}

impl SobolEstimate {
    fn of(calls: usize, left_out: usize, outputs: Vec<OutputIndices>, mut warnings: Vec<String>) -> SobolEstimate {
        warnings.extend(wide(&outputs, calls));
        SobolEstimate { calls, left_out, outputs, warnings }
    }
}

/// Half the width of an interval from which on an index says little.
const WIDE: f64 = 0.1;

/// A warning where an interval is too wide to tell inputs apart, with the number of calls that would narrow it.
fn wide(outputs: &[OutputIndices], calls: usize) -> Option<String> {
    let all = outputs.iter().flat_map(|output| output.first.iter().chain(&output.total));
    let widest = all.map(|index| 0.5 * (index.high - index.low)).fold(0.0, f64::max);
    (widest > WIDE).then(|| {
        let needed = calls as f64 * (widest / WIDE).powi(2);
        format!(
            "the sample is too small to tell much: an index is known to no better than +-{widest:.2}; about {needed:.0} \
             calls would bring that to +-{WIDE}"
        )
    })
}

/// Inputs must be there, with names of their own and laws that are laws.
fn check_inputs(inputs: &[Input]) -> Result<()> {
    if inputs.is_empty() {
        return Err(Error::input("inputs", 0, "give at least one"));
    }
    for (i, input) in inputs.iter().enumerate() {
        if inputs[..i].iter().any(|other| other.name == input.name) {
            return Err(Error::input("inputs", format!("`{}` twice", input.name), "give each a name of its own"));
        }
        input.law.checked()?;
    }
    Ok(())
}

/// What a model returned must be one row for each row it was given.
fn check_outputs(x: ArrayView2<f64>, y: &Array2<f64>) -> Result<()> {
    if y.nrows() != x.nrows() || y.ncols() == 0 {
        let want = format!("return {} rows of at least one output", x.nrows());
        return Err(Error::input("model", format!("{} rows of {} outputs", y.nrows(), y.ncols()), want));
    }
    Ok(())
}
