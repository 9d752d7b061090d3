//! The fixed design: two samples A and B, and mixtures of both for each factor.
//!
//! Saltelli et al., "Variance based sensitivity analysis of model output", Comput. Phys. Commun. 181 (2010): for each of
//! N base points the rows A, A_B^(1) .. A_B^(d), B, where A_B^(i) is A with input i of B. First order by their estimator
//! mean(f_B (f_{A_B^i} - f_A)) / V, total order by Jansen's (1999) mean((f_A - f_{A_B^i})^2) / 2 V, with V the variance over
//! A and B, and the mean of all runs taken off first: the choices and the order of rows of SALib, whose result files can
//! be read and which reads ours. Second order needs B_A^(i) as well (Saltelli 2002); other designs are in `layout`.
//!
//! Two kinds of interval. One scramble of Sobol' points (the default) gives the least error, but nothing in it tells how
//! small that is: the bootstrap resamples base points as if they were independent, and the errors it reports are too
//! large, on smooth models 1.1 to 9.5 times as large, so that its 95% intervals cover in 99 to 100% of cases. Several
//! scrambles (`scrambles`) are independent replicates, whose scatter is the error itself: t intervals over 4 of them cover
//! in 95 to 98% of cases, at 2.8 times the error that one scramble of as many runs has, because each replicate is the
//! smaller for it.
//!
//! A base point one of whose runs has no finite output is left out, counted and said: the indices are then those of the
//! model where it answers.

use super::layout::{Layout, Orders, Run, Source};
use super::moments::{Asked, Errors, Moments};
use super::{Factors, Model, SobolEstimate, check_outputs};
use ndarray::{Array2, ArrayView2, Axis, s};
use quadrat_core::{Error, Progress, Result, Seed, Settings, checkpoint};
use quadrat_numeric::low_discrepancy::{MAX_DIMS, Sobol};
use quadrat_numeric::{RowMajor, filled, matrix};
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
/// use quadrat_estimate::sobol::{Factors, Input, Saltelli};
/// let input = |name: &str| Input { name: name.into(), law: Law::Uniform { min: 0.0, max: 1.0 } };
/// let factors = Factors::of(&[input("a"), input("b")])?;
/// let model = |x: ndarray::ArrayView2<f64>| Ok(by_point(x, 1, &|x: &[f64], y: &mut [f64]| y[0] = 2.0 * x[0] + x[1]));
/// let found = Saltelli { calls: 4000, ..Saltelli::default() }.estimate(&factors, &model, Seed(1), &Silent)?;
/// assert!((found.outputs[0].first[0].value - 0.8).abs() < 0.05);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Settings)]
pub struct Saltelli {
    /// Runs of the model that may be used; a base point takes g + 1 to 2 g + 2 of them for g factors. Powers of two for
    /// the number of base points keep Sobol' points most even.
    #[param(fixed = 4096)]
    pub calls: usize,
    /// Where the base points come from.
    #[param(fixed = DesignPoints::Scrambled)]
    pub points: DesignPoints,
    /// Indices to estimate, which decide on the runs of a base point for g inputs or groups.
    #[param(name = "order", default = Orders::FirstAndTotal, text = "both")]
    pub orders: Orders,
    /// Independent scrambles that the runs are shared out to; from 2 on, intervals come from their scatter.
    #[param(default = 1, from = 1)]
    pub scrambles: usize,
    /// Bootstrap resamples behind the intervals; 0 for the delta method. They serve one scramble.
    #[param(default = 1000)]
    pub resamples: usize,
}

impl Saltelli {
    /// Runs of one base point.
    ///
    /// # Errors
    /// Second-order indices that cannot be.
    pub fn runs_of_a_point(&self, factors: &Factors) -> Result<usize> {
        Ok(Layout::new(self.orders, factors)?.width())
    }

    /// The inputs of all runs, one a row: those of a base point together, scramble after scramble.
    ///
    /// # Errors
    /// Fewer calls than two base points a scramble need; more than 512 inputs with scrambled points; second-order indices
    /// that cannot be.
    pub fn design(&self, factors: &Factors, seed: Seed) -> Result<Array2<f64>> {
        let layout = Layout::new(self.orders, factors)?;
        let (d, width) = (factors.inputs().len(), layout.width());
        if self.scrambles == 0 {
            return Err(Error::input("scrambles", 0, "use 1, or 4 and more for intervals from their scatter"));
        }
        let n = self.calls / (width * self.scrambles);
        if n < 2 {
            let least = 2 * width * self.scrambles;
            let scrambles =
                if self.scrambles > 1 { format!(" in {} scrambles", self.scrambles) } else { String::new() };
            let want = format!(
                "{} factors{scrambles} need at least {least} runs, and some hundred times that to say much",
                factors.count()
            );
            return Err(Error::input("calls", self.calls, want));
        }
        if 2 * d > MAX_DIMS && self.points == DesignPoints::Scrambled {
            return Err(Error::input("inputs", d, format!("scrambled Sobol' points serve up to {}", MAX_DIMS / 2)));
        }
        let rows = n * width * self.scrambles;
        let mut design = vec![0.0; rows * d];
        for (scramble, part) in design.chunks_exact_mut(n * width * d).enumerate() {
            let base = self.base_points(n, d, scramble, seed)?;
            let base = RowMajor::of(base.view());
            let points = part.par_chunks_mut(width * d).zip(base.values().par_chunks(2 * d)).with_min_len(16);
            points.for_each(|(rows, u)| fill(factors, &layout, u, rows));
        }
        matrix((rows, d), design)
    }

    /// Points of [0, 1]^2d, of A and of B.
    fn base_points(&self, n: usize, d: usize, scramble: usize, seed: Seed) -> Result<Array2<f64>> {
        let of = |seed: Seed| if scramble == 0 { seed } else { seed.stream(&scramble.to_string()) };
        match self.points {
            DesignPoints::Scrambled => Sobol::scrambled(2 * d, of(seed.stream("scramble")))?.points(0, n),
            DesignPoints::Independent => {
                let rows = of(seed.stream("base points"));
                let mut base = Array2::zeros((n, 2 * d));
                for (row, mut u) in base.rows_mut().into_iter().enumerate() {
                    let mut rng = rows.rng(row as u64);
                    // The middle of a cell of width 2^-53: never 0.
                    u.mapv_inplace(|_: f64| rng.uniform() + 0.5_f64.powi(54));
                }
                Ok(base)
            }
        }
    }

    /// Runs the model on the design and estimates the indices of all its outputs.
    ///
    /// # Errors
    /// As [`Saltelli::design`] and [`Saltelli::indices`]; the model's own.
    pub fn estimate(
        &self,
        factors: &Factors,
        model: &Model,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<SobolEstimate> {
        let design = self.design(factors, seed)?;
        checkpoint(progress)?;
        let y = model(design.view())?;
        check_outputs(design.view(), &y)?;
        self.indices(factors, y.view(), seed, progress)
    }

    /// Sobol' indices from the outputs `y` (a row a run, a column an output) of the runs of a design, in its order. The
    /// number of calls is that of the rows; NaN stands for a run without an answer.
    ///
    /// # Errors
    /// A number of rows that no design has; outputs that do not vary, or whose variance is not clearly positive; too few
    /// base points with an answer to all their runs.
    pub fn indices(
        &self,
        factors: &Factors,
        y: ArrayView2<f64>,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<SobolEstimate> {
        let layout = Layout::new(self.orders, factors)?;
        let (width, runs) = (layout.width(), y.nrows());
        self.check_rows(factors, &layout, runs)?;
        let n = runs / width;
        let sound = |base: usize| y.slice(s![base * width..(base + 1) * width, ..]).iter().all(|y| y.is_finite());
        let kept: Vec<usize> = (0..n).filter(|base| sound(*base)).collect();
        let sizes: Vec<usize> = (0..self.scrambles)
            .map(|scramble| kept.iter().filter(|base| **base * self.scrambles / n == scramble).count())
            .filter(|size| *size > 0)
            .collect();
        if kept.len() < 2 || (self.scrambles > 1 && sizes.len() < 2) {
            let why = format!(
                "{} of {n} base points have a finite output for each of their {width} runs: nothing can be said from so \
                 few",
                kept.len()
            );
            return Err(Error::numeric("Sobol' indices", why));
        }
        let mut warnings = Vec::new();
        if kept.len() < n {
            warnings.push(format!(
                "{} of {n} base points are left out, because a run of theirs has no finite output: the indices are those of \
                 the model where it answers",
                n - kept.len()
            ));
        }
        if kept.len() < 64 {
            warnings.push(format!(
                "{} base points are too few for the intervals to be trusted: 64, that is {} runs, are a minimum",
                kept.len(),
                64 * width
            ));
        }
        let errors = match (self.scrambles, self.resamples) {
            (2.., _) => Errors::Replicates(&sizes),
            (_, ..2) => Errors::Delta,
            (_, resamples) => Errors::Bootstrap(resamples),
        };
        let (mut outputs, several) = (Vec::new(), y.ncols() > 1);
        for (k, y) in y.columns().into_iter().enumerate() {
            checkpoint(progress)?;
            let mean = match kept.len() == n {
                true => y.sum() / runs as f64,
                false => {
                    let sum: f64 = kept.iter().map(|base| y.slice(s![base * width..(base + 1) * width]).sum()).sum();
                    sum / (kept.len() * width) as f64
                }
            };
            let rows = filled((kept.len(), layout.columns()), |at, row| {
                let off: Vec<f64> = y.slice(s![kept[at] * width..]).iter().take(width).map(|y| y - mean).collect();
                layout.terms(&off, row);
            });
            let asked = Asked {
                names: factors.names(),
                firsts: layout.firsts(),
                totals: layout.totals(),
                pairs: layout.pairs().collect(),
                dependent: factors.dependent(),
            };
            let moments = Moments { rows: rows.view(), ratios: layout.ratios(), asked, unit: (mean, 1.0) };
            let (output, doubts) = moments.indices(errors, seed.stream("bootstrap"), progress)?;
            outputs.push(output);
            let of = if several { format!("output {}: ", k + 1) } else { String::new() };
            warnings.extend(doubts.into_iter().map(|doubt| format!("{of}{doubt}")));
        }
        Ok(SobolEstimate::of(runs, n - kept.len(), outputs, warnings))
    }

    fn check_rows(&self, factors: &Factors, layout: &Layout, rows: usize) -> Result<()> {
        let (width, scrambles) = (layout.width(), self.scrambles.max(1));
        if rows.is_multiple_of(width * scrambles) && rows >= 2 * width * scrambles {
            return Ok(());
        }
        let parts = if scrambles > 1 { format!(", in {scrambles} parts of equal size") } else { String::new() };
        let want = format!(
            "a design for {} factors has {width} rows for each base point{parts}, and at least two of those",
            factors.count()
        );
        Err(Error::input("rows", rows, want))
    }

    /// An error unless `x` is a design for these factors in its own order. Whole base points of one scramble may have
    /// changed places: that changes no estimate.
    ///
    /// # Errors
    /// Another number of columns or rows; a row that is not what its place says; a value that its input's law rules out.
    pub fn check_design(&self, factors: &Factors, x: ArrayView2<f64>) -> Result<()> {
        let d = factors.inputs().len();
        if x.ncols() != d {
            return Err(Error::input("columns of the design", x.ncols(), format!("the problem has {d} inputs")));
        }
        let layout = Layout::new(self.orders, factors)?;
        self.check_rows(factors, &layout, x.nrows())?;
        let width = layout.width();
        for (base, block) in x.axis_chunks_iter(Axis(0), width).enumerate() {
            // What A and B have in each input: of the runs A and B themselves, or of the first that shows it.
            let mut drawn = [vec![None; d], vec![None; d]];
            let ends = [0, width - 1].into_iter().filter(|at| matches!(layout.runs[*at], Run::A | Run::B));
            for at in ends.chain(0..width) {
                for (input, value) in block.row(at).iter().enumerate() {
                    let place = |problem: String| {
                        let what = format!("row {}, input `{}`", base * width + at + 1, factors.inputs()[input].name);
                        Error::input(what, value, problem)
                    };
                    let seen = match layout.source(layout.runs[at], input, factors) {
                        Source::A => &mut drawn[0][input],
                        Source::B => &mut drawn[1][input],
                        Source::Fresh => &mut None,
                    };
                    let expected = *seen.get_or_insert(*value);
                    // NaN equals nothing.
                    if *value != expected {
                        return Err(place(format!(
                            "a design in its own order has {expected} there; give the rows in the order in which they were \
                             written, with every input unchanged"
                        )));
                    }
                    if value.is_nan() || factors.law(input).ln_pdf(*value) == f64::NEG_INFINITY {
                        return Err(place(
                            "it is impossible under the input's law; is this the problem that the design was made for?"
                                .into(),
                        ));
                    }
                }
            }
        }
        Ok(())
    }
}

/// The rows of one base point from its numbers `u` for A and B.
fn fill(factors: &Factors, layout: &Layout, u: &[f64], rows: &mut [f64]) {
    let d = factors.inputs().len();
    let ((a, z_a), (b, z_b)) = (factors.at_uniform(&u[..d]), factors.at_uniform(&u[d..]));
    for (run, row) in layout.runs.iter().zip(rows.chunks_exact_mut(d)) {
        let (base, other) = match run {
            Run::A | Run::Ab(_) => (&a, &b),
            Run::B | Run::Ba(_) => (&b, &a),
        };
        row.copy_from_slice(base);
        if let Run::Ab(factor) | Run::Ba(factor) = run {
            factors.members(*factor).iter().for_each(|input| row[*input] = other[*input]);
        }
        match run {
            Run::Ab(factor) if factors.dependent() => factors.draw_given(*factor, true, &z_a, &z_b, row),
            Run::Ba(factor) if factors.dependent() => factors.draw_given(*factor, false, &z_a, &z_b, row),
            _ => {}
        }
    }
}
