//! The fixed design: two samples A and B, and A with one column of B for each input.
//!
//! Saltelli et al., "Variance based sensitivity analysis of model output", Comput. Phys. Commun. 181 (2010): for each of
//! N base points the rows A, A_B^(1) .. A_B^(d), B, where A_B^(i) is A with input i of B. First order by their estimator
//! mean(f_B (f_{A_B^i} - f_A)) / V, total order by Jansen's (1999) mean((f_A - f_{A_B^i})^2) / 2 V, with V the variance over
//! A and B, and the mean of all runs taken off first: the choices and the order of rows of SALib, whose result files can
//! be read and which reads ours.
//!
//! The bootstrap resamples base points as if they were independent. Scrambled Sobol' points are better than that, so on
//! them the errors are on the safe side, the more so the smoother the model.

use super::moments::Moments;
use super::{Input, Model, SobolEstimate, check_inputs, check_outputs};
use ndarray::{Array2, ArrayView2, s};
use quadrat_core::{Error, Progress, Result, Seed, checkpoint};
use quadrat_numeric::low_discrepancy::{MAX_DIMS, Sobol};
use rayon::prelude::*;

/// Where the base points come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DesignPoints {
    /// Scrambled Sobol' points in 2 d dimensions.
    #[default]
    Scrambled,
    /// Independent points: the baseline.
    Independent,
}

/// The usual estimators on a fixed design.
///
/// ```
/// use quadrat_core::{Seed, Silent};
/// use quadrat_estimate::{Law, by_point};
/// use quadrat_estimate::sobol::{Input, Saltelli};
/// let input = |name: &str| Input { name: name.into(), law: Law::Uniform { min: 0.0, max: 1.0 } };
/// let inputs = [input("a"), input("b")];
/// let model = |x: ndarray::ArrayView2<f64>| Ok(by_point(x, 1, &|x: &[f64], y: &mut [f64]| y[0] = 2.0 * x[0] + x[1]));
/// let found = Saltelli { calls: 4000, ..Saltelli::default() }.estimate(&inputs, &model, Seed(1), &Silent)?;
/// assert!((found.outputs[0].first[0].value - 0.8).abs() < 0.05);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Saltelli {
    /// Runs of the model that may be used: N = calls / (d + 2), rounded down. Powers of two for N keep Sobol' points most
    /// even.
    pub calls: usize,
    /// Where the base points come from.
    pub points: DesignPoints,
    /// Bootstrap resamples; below 2 the errors are those of the delta method.
    pub resamples: usize,
}

impl Default for Saltelli {
    fn default() -> Self {
        Saltelli { calls: 4096, points: DesignPoints::Scrambled, resamples: 1000 }
    }
}

impl Saltelli {
    /// The inputs of all runs, N (d + 2) x d.
    ///
    /// # Errors
    /// No inputs, two of one name, laws that are none; fewer calls than two base points need; more than 512 inputs with
    /// scrambled points.
    pub fn design(&self, inputs: &[Input], seed: Seed) -> Result<Array2<f64>> {
        check_inputs(inputs)?;
        let d = inputs.len();
        let n = self.calls / (d + 2);
        if n < 2 {
            let want =
                format!("{d} inputs need at least {} runs, and some hundred times that to say much", 2 * (d + 2));
            return Err(Error::input("calls", self.calls, want));
        }
        if 2 * d > MAX_DIMS && self.points == DesignPoints::Scrambled {
            return Err(Error::input("inputs", d, format!("scrambled Sobol' points serve up to {}", MAX_DIMS / 2)));
        }
        let base = match self.points {
            DesignPoints::Scrambled => Sobol::scrambled(2 * d, seed.stream("scramble"))?.points(0, n)?,
            DesignPoints::Independent => {
                let rows = seed.stream("base points");
                let mut base = Array2::zeros((n, 2 * d));
                for (row, mut u) in base.rows_mut().into_iter().enumerate() {
                    let mut rng = rows.rng(row as u64);
                    // The middle of a cell of width 2^-53: never 0.
                    u.mapv_inplace(|_: f64| rng.uniform() + 0.5_f64.powi(54));
                }
                base
            }
        };
        let mut design = Array2::zeros((n * (d + 2), d));
        if let (Some(design), Some(base)) = (design.as_slice_mut(), base.as_slice()) {
            design.par_chunks_mut((d + 2) * d).zip(base.par_chunks(2 * d)).with_min_len(16).for_each(|(rows, u)| {
                let x: Vec<f64> = u.iter().enumerate().map(|(k, u)| inputs[k % d].law.at_uniform(*u)).collect();
                let (a, b) = x.split_at(d);
                for (run, row) in rows.chunks_exact_mut(d).enumerate() {
                    row.copy_from_slice(if run == d + 1 { b } else { a });
                    if (1..=d).contains(&run) {
                        row[run - 1] = b[run - 1];
                    }
                }
            });
        }
        Ok(design)
    }

    /// Runs the model on the design and estimates the indices of all its outputs.
    ///
    /// # Errors
    /// As [`Saltelli::design`] and [`indices_of_design`]; the model's own.
    pub fn estimate(
        &self,
        inputs: &[Input],
        model: &Model,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<SobolEstimate> {
        let design = self.design(inputs, seed)?;
        checkpoint(progress)?;
        let y = model(design.view())?;
        check_outputs(design.view(), &y)?;
        indices_of_design(inputs, y.view(), self.resamples, seed, progress)
    }
}

/// Sobol' indices from the outputs `y` (N (d + 2) x K) of the runs of a design, in its order.
///
/// # Errors
/// A number of rows that is no multiple of d + 2 or less than twice that; outputs that are not finite or do not vary.
pub fn indices_of_design(
    inputs: &[Input],
    y: ArrayView2<f64>,
    resamples: usize,
    seed: Seed,
    progress: &dyn Progress,
) -> Result<SobolEstimate> {
    check_inputs(inputs)?;
    let (d, runs) = (inputs.len(), y.nrows());
    check_rows(d, runs)?;
    if let Some(((row, output), value)) = y.indexed_iter().find(|(_, value)| !value.is_finite()) {
        let what = format!("output {} of run {}", output + 1, row + 1);
        return Err(Error::input(what, value, "outputs must be finite numbers"));
    }
    let n = runs / (d + 2);
    let output = |y: ndarray::ArrayView1<f64>| {
        checkpoint(progress)?;
        let mean = y.sum() / runs as f64;
        let mut rows = Array2::zeros((n, 2 + 2 * d));
        for (mut row, y) in rows.rows_mut().into_iter().zip(y.exact_chunks(d + 2)) {
            let (a, b) = (y[0] - mean, y[d + 1] - mean);
            row[0] = 0.5 * (a + b);
            row[1] = 0.5 * (a * a + b * b);
            for i in 0..d {
                let change = y[i + 1] - mean - a;
                row[2 + i] = b * change;
                row[2 + d + i] = 0.5 * change * change;
            }
        }
        let moments = Moments { rows: rows.view(), product: false };
        moments.indices(inputs, (mean, 1.0), resamples, seed.stream("bootstrap"), progress)
    };
    let outputs = y.columns().into_iter().map(output).collect::<Result<Vec<_>>>()?;
    let few = (n < 64).then(|| {
        format!(
            "{n} base points are too few for the intervals to be trusted: 64, that is {} runs, are a minimum",
            64 * (d + 2)
        )
    });
    Ok(SobolEstimate::of(runs, outputs, few.into_iter().collect()))
}

fn check_rows(d: usize, rows: usize) -> Result<()> {
    if rows.is_multiple_of(d + 2) && rows >= 2 * (d + 2) {
        return Ok(());
    }
    let want = format!("a design for {d} inputs has {} rows for each base point, and at least two of those", d + 2);
    Err(Error::input("rows", rows, want))
}

/// An error unless `x` is a design for these inputs in its own order: rows A, A with one input of B after the other, B,
/// for each base point. Whole base points may have changed places: that changes no estimate.
pub fn check_design(inputs: &[Input], x: ArrayView2<f64>) -> Result<()> {
    check_inputs(inputs)?;
    let d = inputs.len();
    if x.ncols() != d {
        return Err(Error::input("columns of the design", x.ncols(), format!("the problem has {d} inputs")));
    }
    check_rows(d, x.nrows())?;
    for base in 0..x.nrows() / (d + 2) {
        let start = base * (d + 2);
        let block = x.slice(s![start..start + d + 2, ..]);
        for ((run, i), value) in block.indexed_iter() {
            let expected = if run == i + 1 || run == d + 1 { block[[d + 1, i]] } else { block[[0, i]] };
            // NaN equals nothing.
            if *value != expected {
                return Err(Error::input(
                    format!("row {}, input `{}`", start + run + 1, inputs[i].name),
                    value,
                    format!(
                        "a design in its own order has {expected} there; give the rows in the order in which they were \
                         written, with every input unchanged"
                    ),
                ));
            }
            if inputs[i].law.ln_pdf(*value) == f64::NEG_INFINITY {
                let want = "it is impossible under the input's law; is this the problem that the design was made for?";
                return Err(Error::input(format!("row {}, input `{}`", start + run + 1, inputs[i].name), value, want));
            }
        }
    }
    Ok(())
}
