//! A chosen start at work.

use super::{BLOCK, Conditional, Pairs};
use crate::denoiser::check_dims;
use crate::{Plan, integrate};
use ndarray::{Array2, ArrayView2, Axis, s};
use quadrat_core::{Error, Progress, Result, Seed, Within, checkpoint};
use serde::{Deserialize, Serialize};

/// A chosen start, and how it was chosen. It belongs to the plan that it was chosen with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BoundaryCondition {
    /// The plan: schedule, solver and steps.
    pub plan: Plan,
    /// Numbers in a sample.
    pub dims: usize,
    /// Candidate i is normal, from `Seed(seed).stream("noise").rng(i)`, times the σ of the plan's first level.
    pub seed: u64,
    /// The chosen candidate.
    pub index: usize,
    /// Its mean distance on the reference pairs; too good by its luck.
    pub score: f64,
    /// The mean distance of each candidate on the pairs that it was tried on.
    pub scores: Vec<f64>,
    /// On how many pairs each was tried.
    pub tried: Vec<usize>,
    /// Rank correlation of the candidates' scores between the even and the odd ones of the pairs that all were tried on; none for a single
    /// pair or where a half cannot tell candidates apart.
    pub rank_stability: Option<f64>,
    /// Calls of the model, each for one sample.
    pub calls: usize,
    /// Why one start for all may be wrong here.
    pub warning: Option<String>,
}

impl BoundaryCondition {
    /// The start: one row.
    pub fn start(&self) -> Array2<f64> {
        starts(&self.plan, self.dims, Seed(self.seed), &[self.index])
    }

    /// The numbers of the `k` best candidates among those tried on all pairs, best first: to take turns, where the same traces in every
    /// sample would be seen.
    pub fn best(&self, k: usize) -> Vec<usize> {
        let most = self.tried.iter().copied().max().unwrap_or(0);
        let mut order: Vec<usize> = (0..self.scores.len()).filter(|i| self.tried[*i] == most).collect();
        order.sort_by(|a, b| self.scores[*a].total_cmp(&self.scores[*b]).then(a.cmp(b)));
        order.truncate(k);
        order
    }

    /// A sample for each condition, from the chosen start, and a warning where the plan is not the one it was chosen with: starts
    /// belong to a schedule, a solver and a number of steps.
    ///
    /// # Errors
    /// A model of another size, conditions that do not fit it, a plan that draws noise, the model's own, a cancelled run.
    pub fn solve(
        &self,
        model: &dyn Conditional,
        plan: &Plan,
        conditions: ArrayView2<f64>,
        progress: &dyn Progress,
    ) -> Result<(Array2<f64>, Option<String>)> {
        if model.dims() != self.dims {
            let want = format!("{}, those that the start was chosen for", self.dims);
            return Err(Error::input("model", format!("samples of {} numbers", model.dims()), want));
        }
        let rows = starts(plan, self.dims, Seed(self.seed), &[self.index]);
        let rows = rows.select(Axis(0), &vec![0; conditions.nrows()]);
        let solved = solve_from(model, plan, rows, conditions, progress)?;
        let another = (*plan != self.plan).then(|| {
            "the start was chosen with another plan: it may be no better than any other, choose it again".to_owned()
        });
        Ok((solved, another))
    }
}

/// Starts that are solved under conditions, row by row, in blocks.
///
/// # Errors
/// Other numbers of starts and conditions, widths that are not the model's, values that are not finite, a plan that draws noise, the
/// model's own, a cancelled run.
pub fn solve_from(
    model: &dyn Conditional,
    plan: &Plan,
    starts: Array2<f64>,
    conditions: ArrayView2<f64>,
    progress: &dyn Progress,
) -> Result<Array2<f64>> {
    check_pairs(model, Pairs { clean: starts.view(), conditions })?;
    check_plan(plan)?;
    let mut solved = starts;
    for start in (0..solved.nrows()).step_by(BLOCK) {
        checkpoint(progress)?;
        let rows = start..solved.nrows().min(start + BLOCK);
        let given = model.given(conditions.slice(s![rows.clone(), ..]))?;
        let block = solved.slice(s![rows.clone(), ..]).to_owned();
        let end = integrate(plan, &*given, block, Seed(0), &Within(progress))?;
        solved.slice_mut(s![rows, ..]).assign(&end);
    }
    Ok(solved)
}

/// Candidates by their numbers.
pub(super) fn starts(plan: &Plan, dims: usize, seed: Seed, candidates: &[usize]) -> Array2<f64> {
    let sigma = plan.times.first().map_or(1.0, |t| plan.schedule.level(*t).sigma);
    let stream = seed.stream("noise");
    let mut rows = Array2::zeros((candidates.len(), dims));
    for (mut row, candidate) in rows.outer_iter_mut().zip(candidates) {
        let mut rng = stream.rng(*candidate as u64);
        row.iter_mut().for_each(|v| *v = sigma * rng.normal());
    }
    rows
}

/// How many pairs there are, once it is clear that they fit the model.
pub(super) fn check_pairs(model: &dyn Conditional, Pairs { clean, conditions }: Pairs) -> Result<usize> {
    check_dims(model.dims(), clean)?;
    if clean.nrows() != conditions.nrows() {
        let got = format!("{} samples and {} conditions", clean.nrows(), conditions.nrows());
        return Err(Error::input("pairs", got, "a condition for each sample"));
    }
    if conditions.ncols() != model.condition() {
        let want = format!("{}, as the model takes", model.condition());
        return Err(Error::input("conditions", format!("{} numbers each", conditions.ncols()), want));
    }
    for (what, rows) in [("sample", clean), ("condition", conditions)] {
        if let Some(row) = rows.outer_iter().position(|row| row.iter().any(|v| !v.is_finite())) {
            return Err(Error::input(format!("{what} {row}"), "a value that is not finite", "finite numbers"));
        }
    }
    Ok(clean.nrows())
}

pub(super) fn check_plan(plan: &Plan) -> Result<()> {
    plan.check()?;
    if plan.is_stochastic() {
        return Err(Error::input(
            "plan",
            "one that draws noise",
            "a solver without: then a start says nothing (set eta to 0)",
        ));
    }
    Ok(())
}
