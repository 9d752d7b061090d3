//! Weighted least squares from determinantal designs (Nouy and Michel, arXiv 2312.14057).
//!
//! A fit in an m-dimensional space needs points at which the features are as good as orthonormal: the empirical Gram
//! matrix G = 1/n sum w(x_i) phi(x_i) phi(x_i)^T must be near the identity. Independent points need n of order m log m
//! for that, even from the best density (the Christoffel density |phi|^2 / m, weight w* = m / |phi|^2). Points that
//! repel each other need fewer: a projection determinantal point process (DPP) gives m points of the same marginal
//! density that never crowd, and independent repetitions of it keep E G = I.
//!
//! What the paper leaves to the reader is decided so: a number of points that is no multiple of m is filled up with
//! independent draws of the Christoffel density (for m < n < 2m that is exactly volume-rescaled sampling with w*); the
//! constants of the paper's theorems were not used. Boosting (Haberstich, Nouy and Perrin, Mathematics of Computation
//! 2022), a rival of the repeated DPP, goes on top of any sampler: of several designs the one with G nearest to the
//! identity, and of its points only those that stability needs.
//!
//! What the claim found: as promised against independent points; but where the error is mostly noise in the labels and
//! little of it misfit, as on the diabetes table, rows chosen greedily for the largest determinant and fitted without
//! weights had a third of the excess error for as many labels.

mod design;
mod pool_basis;
mod projection;
#[cfg(test)]
mod tests;

pub use design::{Design, DesignSampler};
pub use pool_basis::PoolBasis;
pub use projection::features_at;

use crate::{Cost, FeatureSpace, FinitePool, Needs, Pool, Selection, Selector};
use ndarray::{Array1, Array2};
use quadrat_core::{Area, Card, Choice, Error, Method, Progress, Result, Seed, Settings, checkpoint};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// How the points are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum Sampler {
    /// As many independent DPPs as fit, the rest from the Christoffel density. w = w*.
    RepeatedDpp,
    /// Independently from the Christoffel density. w = w*.
    Christoffel,
    /// One DPP, the rest uniformly. Volume-rescaled sampling with reference mu: m points of the DPP, the rest from mu,
    /// w = 1.
    Volume,
    /// One DPP, the rest from the Christoffel density. Volume-rescaled sampling with that density as reference, w = w*.
    VolumeChristoffel,
    /// Independently and uniformly: the baseline. From mu, w = 1.
    MonteCarlo,
}

/// A design on the rows of a pool: the selector of this method.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct PoolDesign {
    /// Functions of the features to fit in: linear (with a constant), polynomial:D (total degree D), hyperbolic:D
    /// (fewer interactions) or raw (the features themselves).
    #[param(default = PoolBasis::Linear, text = "linear", parse = PoolBasis::parse)]
    pub basis: PoolBasis,
    /// How rows are drawn.
    #[param(default = Sampler::RepeatedDpp)]
    pub sampler: Sampler,
    /// Redraw until the smallest eigenvalue of the Gram matrix is at least 1 minus this number between 0 and 1; none
    /// for no condition; auto tries for 0.5 from four points a function on, and else takes the best of its draws. As in
    /// [`DesignSampler`]; `None` is automatic, with a note where no draw reaches 0.5.
    #[param(none = "auto", parse = condition)]
    pub condition: Option<Option<f64>>,
    /// Draws before giving up on the condition.
    #[param(default = 100, from = 1)]
    pub max_tries: usize,
    /// Go on drawing until so many different rows came: true for as many as the budget, or a number. Points of high
    /// leverage come again and again. `Some(None)` is as many as the budget.
    #[param(none = "false", parse = distinct)]
    pub distinct: Option<Option<usize>>,
    /// Candidate designs in each draw, of which the one with the Gram matrix nearest to the identity is kept.
    #[param(default = 1, from = 1)]
    pub boost: usize,
    /// Leave out points afterwards as long as the condition holds: fewer rows than the budget, as stable.
    #[param(default = false)]
    pub prune: bool,
}

/// Redraw until the smallest eigenvalue is at least 1 less this; `none` for no condition.
fn condition(text: &str) -> Result<Option<f64>> {
    let usable = |delta: &f64| (1e-6..=1.0 - 1e-6).contains(delta);
    match (text, text.parse().ok().filter(usable)) {
        ("none", _) => Ok(None),
        (_, Some(delta)) => Ok(Some(delta)),
        _ => Err(Error::input("condition", format!("`{text}`"), "use auto, none or a number between 0 and 1")),
    }
}

/// How many different rows; `true` for as many as the budget.
fn distinct(text: &str) -> Result<Option<usize>> {
    match (text, text.parse()) {
        ("true", _) => Ok(None),
        (_, Ok(count @ 1..)) => Ok(Some(count)),
        _ => Err(Error::input("distinct", format!("`{text}`"), "use true, false or a whole number, at least 1")),
    }
}

impl Method for PoolDesign {
    const CARD: Card = Card {
        slug: "dpp-least-squares",
        aliases: &["dpp", "design"],
        title: "Weighted least squares from determinantal designs",
        paper: "Nouy, Michel: Weighted least-squares approximation with determinantal point processes and generalized \
                volume sampling, 2023, arXiv 2312.14057",
        area: Area::Select,
        verbs: &["select"],
        summary: "Chooses which of many expensive experiments to run so that a weighted linear fit in given features \
                  is nearly as good as one on all of them; returns the weights of the fit.",
        useful_when: "choose which experiments, simulations or labels to buy, design of experiments, few measurements \
                      for a regression, optimal design, active learning for linear models, polynomial surrogate",
        cost: "time O(rows m^2 + tries m^3 log m) for m basis functions, memory O(rows m)",
        params: Self::PARAMS,
    };
}

impl Selector for PoolDesign {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn needs(&self) -> Needs {
        Needs { points: true, raw: true, ..Needs::default() }
    }

    fn weighs(&self) -> bool {
        true
    }

    fn cost(&self, rows: usize, cols: usize, budget: usize) -> Cost {
        // The budget bounds the number of functions, and so the cost of any basis that will run.
        let (n, m) = (rows as f64, (cols as f64 + 1.0).max(1.0).min(budget as f64));
        Cost { operations: 8.0 * n * m * m + 10.0 * m.powi(3) * m.ln().max(1.0), bytes: 24.0 * n * m }
    }

    /// Functions that depend on others on these rows (the square of a yes/no column, say) add nothing to the space and
    /// are left out. The weights are those of the fit, scaled so that weighted sums over the selection estimate sums over the pool for the
    /// samplers with w*. A row that was drawn more than once comes once, with the sum of its weights, so fewer rows than
    /// the budget may come back.
    fn select(&self, pool: &Pool, budget: usize, seed: Seed, progress: &dyn Progress) -> Result<Selection> {
        pool.check(budget, self.needs())?;
        let points = crate::rows::points(pool)?;
        let distinct = self.distinct.map(|wanted| wanted.unwrap_or(budget));
        if let Some(wanted) = distinct.filter(|wanted| *wanted > pool.rows) {
            return Err(Error::input("distinct", wanted, format!("use at most {}, the number of rows", pool.rows)));
        }
        let functions = self.basis.features(&points.to_f64())?;
        enough_for(budget, &functions, seed, progress)?;
        progress.begin("orthonormal functions", None);
        let space = FinitePool::span(functions.view(), None)?;
        checkpoint(progress)?;
        let automatic = (budget >= 4 * space.len()).then_some(0.5);
        let condition = self.condition.unwrap_or(automatic);
        let PoolDesign { sampler, max_tries, boost, prune, .. } = *self;
        let sampler = DesignSampler { sampler, condition, max_tries, boost, prune, distinct };
        let design = match self.condition {
            Some(_) => sampler.design(&space, budget, seed, progress)?,
            None => sampler.best(&space, budget, seed, progress)?,
        };
        let mut selection = Selection { weights: Some(Vec::new()), ..Selection::default() };
        let mut place = HashMap::new();
        let weights = selection.weights.get_or_insert_default();
        for (row, w) in design.points.column(0).iter().zip(&design.weights) {
            let weight = w * pool.rows as f64 / design.weights.len() as f64;
            match place.entry(*row as usize) {
                Entry::Occupied(at) => weights[*at.get()] += weight,
                Entry::Vacant(at) => {
                    selection.indices.push(*at.key());
                    at.insert(weights.len());
                    weights.push(weight);
                }
            }
        }
        selection.notes = vec![
            ("functions".into(), space.len().to_string()),
            ("smallest eigenvalue of the Gram matrix".into(), format!("{:.3}", design.lambda_min)),
            ("draws".into(), design.tries.to_string()),
            ("distinct rows".into(), selection.indices.len().to_string()),
        ];
        if design.weights.len() > budget {
            selection.notes.push(("rows drawn until so many differed".into(), design.weights.len().to_string()));
        }
        if let Some(delta) = condition.filter(|delta| design.lambda_min < 1.0 - delta) {
            let why = format!(
                "the best of {} draws; none reached a smallest eigenvalue of {:.3}, from which a fit is called stable: \
                 more rows or a smaller basis would",
                design.tries,
                1.0 - delta
            );
            selection.notes.push(("condition".into(), why));
        }
        Ok(selection)
    }
}

/// That `budget` points are enough for the space that the columns of `functions` span, if that can be told before the
/// space is computed: more than `budget` rows that depend on no others mean more functions than that.
fn enough_for(budget: usize, functions: &Array2<f64>, seed: Seed, progress: &dyn Progress) -> Result<()> {
    let (n, m) = functions.dim();
    if m <= budget {
        return Ok(());
    }
    // What is left of a row of length 1 outside the others: far above rounding, so that nothing is refused by mistake.
    const CLEARLY: f64 = 1e-6;
    let mut basis: Vec<Array1<f64>> = Vec::with_capacity(budget + 1);
    for row in seed.stream("rank").rng(0).sample(n, n.min(4 * budget + 64)) {
        checkpoint(progress)?;
        let mut rest = functions.row(row).to_owned();
        let length = rest.dot(&rest).sqrt();
        for _ in 0..2 {
            for direction in &basis {
                let along = direction.dot(&rest);
                rest.scaled_add(-along, direction);
            }
        }
        let left = rest.dot(&rest).sqrt();
        if left > CLEARLY * length {
            basis.push(rest / left);
        }
        if basis.len() > budget {
            let got = format!("{budget} rows for a basis of {m} functions");
            let want = format!(
                "more than {budget} of them are independent on these rows (at most {}), and a fit needs a row for each: \
                 raise the budget, name fewer --features or choose a smaller --basis",
                m.min(n)
            );
            return Err(Error::input("budget", got, want));
        }
    }
    Ok(())
}
