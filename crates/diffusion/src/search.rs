//! Solver search: the best samples that a number of calls can buy.
//!
//! Liu, Ning, Yang, Wang, "A Unified Sampling Framework for Solver Searching of Diffusion Probabilistic Models", ICLR 2024
//! (arXiv 2312.07243). All known solvers are points of one space ([`Plan`]); S³ looks for better ones by evolution: parents among the
//! best plans so far, components crossed, every decision of every step mutated with some probability. A predictor of a plan's score, fitted to
//! the scores so far, chooses which children are worth a true look.
//!
//! What is ours: the search stays at one number of calls. Scores are errors of end points to a fine solution from the same noises
//! ([`EndPoints`]), smooth and cheap where the paper has the FID of 1,000 samples; any closure will do. The predictor is a kernel ridge
//! regression on a plan's decisions where the paper has a light network, whose settings were not to be found. It is off unless asked for: where
//! a score costs little, as here, plans were better without it (the claim's record has the figures). A plan of the paper's
//! implementation may also extrapolate DPM-Solver-v3's form, which needs statistics of the network and is left out.

mod genes;
mod predictor;

use crate::{Denoiser, Grid, Plan, Schedule, Solver, integrate};
use genes::Genes;
use ndarray::Array2;
use predictor::Predictor;
use quadrat_core::{
    Area, Card, Choice, Error, Method, Progress, Result, Rng, Seed, Settings, Silent, checkpoint, stats,
};
use rayon::prelude::*;
use std::collections::HashSet;

/// Look for the solver that draws the best samples with a given number of model calls.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct SolverSearch {
    /// Calls of the model that a plan may take; the paper searches 3 to 12.
    #[param(default = 5, from = 1, to = 50)]
    pub calls: usize,
    /// Plans that are truly scored, the named solvers on all grids among them.
    #[param(default = 400, from = 1)]
    pub evaluations: usize,
    /// Parents are drawn among so many of the best.
    #[param(default = 15, from = 1)]
    pub parents: usize,
    /// Chance that a child has two parents.
    #[param(default = 0.3, from = 0, to = 1)]
    pub crossover: f64,
    /// Standard deviation of a time's mutation, as a share of it.
    #[param(default = 0.06, above = 0, to = 1)]
    pub spread: f64,
    /// Children that a predictor looks at for each that is scored; 1 does without it.
    #[param(default = 1, from = 1)]
    pub children: usize,
}

impl Method for SolverSearch {
    const CARD: Card = Card {
        slug: "solver-search-usf",
        aliases: &["solver-search", "usf"],
        title: "Solver search (USF, S³)",
        paper: "Liu, Ning, Yang, Wang, \"A Unified Sampling Framework for Solver Searching of Diffusion Probabilistic Models\", ICLR 2024, arXiv 2312.07243",
        area: Area::Diffusion,
        verbs: &["diffuse"],
        summary: "Finds the solver, step by step, that draws the best samples with a given number of model calls.",
        useful_when: "sampling takes too many steps; which sampler and how many steps; a diffusion model is too slow; fewer network calls",
        cost: "evaluations x calls model calls for each noise; no call of a network where the data's own kernel mixture stands for it.",
        params: Self::PARAMS,
    };
}

/// A plan with its score; lower is better.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// The plan.
    pub plan: Plan,
    /// Its score.
    pub score: f64,
    /// The named solver and grid, if it is one.
    pub name: Option<String>,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// All plans that were scored, best first.
    pub scored: Vec<Scored>,
    /// The best score after each evaluation, in the order of the search.
    pub path: Vec<f64>,
}

impl Found {
    /// The best plan.
    pub fn best(&self) -> Option<&Scored> {
        self.scored.first()
    }

    /// The best that has a name.
    pub fn best_named(&self) -> Option<&Scored> {
        self.scored.iter().find(|scored| scored.name.is_some())
    }
}

/// Children that are scored together.
const TOGETHER: usize = 16;

/// Grids that named solvers are tried on.
const GRIDS: [(&str, Grid); 5] = [
    ("uniform", Grid::Uniform),
    ("quadratic", Grid::Quadratic),
    ("log-snr", Grid::LogSnr),
    ("karras", Grid::Karras),
    ("reversed", Grid::Reversed),
];

/// Every named solver without noise on every grid, at this number of calls.
///
/// # Errors
/// A schedule that is none.
pub fn named_plans(schedule: &Schedule, calls: usize) -> Result<Vec<(String, Plan)>> {
    schedule.check()?;
    let all = Solver::CHOICES.iter().flat_map(|solver| GRIDS.iter().map(move |grid| (solver, grid)));
    // With few calls a solver may have no plan on a grid: levels too near to each other.
    let plans = all.filter_map(|(solver, (name, grid))| {
        let plan = solver.value.plan(schedule.clone(), grid, calls).ok()?;
        (!plan.is_stochastic()).then(|| (format!("{} {name}", solver.name), plan))
    });
    Ok(plans.collect())
}

impl SolverSearch {
    /// Searches plans on `schedule`; `score` says how bad one is, and may be NaN or infinite for one that fails. `mean` is that of
    /// the data, where plans may take it for the first answer.
    ///
    /// # Errors
    /// Parameters out of range, an error of `score`, no plan with a finite score, or a cancelled run.
    pub fn search(
        &self,
        schedule: &Schedule,
        mean: Option<&[f64]>,
        score: &(dyn Fn(&Plan) -> Result<f64> + Sync),
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Found> {
        self.check()?;
        let stream = seed.stream("search");
        let mut state = State { scored: Vec::new(), path: Vec::new(), seen: HashSet::new() };
        progress.begin("plans", Some(self.evaluations as u64));
        let mut named = named_plans(schedule, self.calls)?;
        named.truncate(self.evaluations);
        for batch in named.chunks(TOGETHER) {
            state.add(
                batch.iter().map(|(name, plan)| (Some(name.clone()), plan.clone())).collect(),
                score,
                progress,
            )?;
        }
        let genes = Genes { calls: self.calls, spread: self.spread, mean };
        for round in 0.. {
            let left = self.evaluations.saturating_sub(state.scored.len()).min(TOGETHER);
            if left == 0 || state.scored.is_empty() {
                break;
            }
            let mut rng = stream.rng(round);
            let children = self.children(&state, &genes, left, &mut rng);
            if children.is_empty() {
                break;
            }
            state.add(children.into_iter().map(|plan| (None, plan)).collect(), score, progress)?;
        }
        let State { mut scored, path, .. } = state;
        scored.sort_by(|a, b| a.score.total_cmp(&b.score));
        if !scored.first().is_some_and(|best| best.score.is_finite()) {
            return Err(Error::numeric("solver search", "no plan has a finite score"));
        }
        Ok(Found { scored, path })
    }

    fn check(&self) -> Result<()> {
        for (name, value) in [
            ("calls", self.calls),
            ("evaluations", self.evaluations),
            ("parents", self.parents),
            ("children", self.children),
        ] {
            if value == 0 {
                return Err(Error::input(name, 0, "at least 1"));
            }
        }
        if !(0.0..=1.0).contains(&self.crossover) {
            return Err(Error::input("crossover", self.crossover, "0 to 1"));
        }
        if !(self.spread > 0.0 && self.spread <= 1.0) {
            return Err(Error::input("spread", self.spread, "above 0 and at most 1"));
        }
        Ok(())
    }

    /// `count` children of the best that were not seen before: the most promising of many, by the predictor.
    fn children(&self, state: &State, genes: &Genes, count: usize, rng: &mut Rng) -> Vec<Plan> {
        let mut order: Vec<&Scored> = state.scored.iter().filter(|scored| scored.score.is_finite()).collect();
        order.sort_by(|a, b| a.score.total_cmp(&b.score));
        order.truncate(self.parents);
        if order.is_empty() {
            return Vec::new();
        }
        let mut seen = HashSet::new();
        let mut children = Vec::new();
        // Small spaces run out of plans: do not try for ever.
        for _ in 0..20 * count * self.children {
            let parent = order[rng.below(order.len())];
            let other = (rng.uniform() < self.crossover).then(|| &order[rng.below(order.len())].plan);
            let child = genes.child(&parent.plan, other, rng);
            if !state.seen.contains(&key(&child)) && seen.insert(key(&child)) {
                children.push(child);
            }
            if children.len() == count * self.children {
                break;
            }
        }
        let predictor = if self.children > 1 { Predictor::fit(&state.scored) } else { None };
        if let Some(predictor) = predictor {
            let mut ranked: Vec<(f64, Plan)> =
                children.into_par_iter().map(|child| (predictor.score(&child), child)).collect();
            ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
            children = ranked.into_iter().map(|(_, child)| child).collect();
        }
        children.truncate(count);
        children
    }
}

/// A search under way.
struct State {
    scored: Vec<Scored>,
    path: Vec<f64>,
    seen: HashSet<String>,
}

impl State {
    /// Scores plans side by side, and keeps them in their order.
    fn add(
        &mut self,
        plans: Vec<(Option<String>, Plan)>,
        score: &(dyn Fn(&Plan) -> Result<f64> + Sync),
        progress: &dyn Progress,
    ) -> Result<()> {
        checkpoint(progress)?;
        let count = plans.len() as u64;
        let scores = plans.par_iter().map(|(_, plan)| score(plan)).collect::<Result<Vec<f64>>>()?;
        for ((name, plan), score) in plans.into_iter().zip(scores) {
            let score = if score.is_nan() { f64::INFINITY } else { score };
            self.seen.insert(key(&plan));
            self.path.push(self.path.last().copied().unwrap_or(f64::INFINITY).min(score));
            self.scored.push(Scored { plan, score, name });
        }
        progress.advance(count);
        progress.note(&format!("best {:.4}", self.path.last().copied().unwrap_or(f64::INFINITY)));
        Ok(())
    }
}

/// What tells plans apart.
fn key(plan: &Plan) -> String {
    format!("{:?}", (&plan.times, &plan.steps, &plan.first))
}

/// The error of end points: from fixed noises, the root of the mean squared difference of a plan's samples to those of a fine solution.
pub struct EndPoints<'a> {
    denoiser: &'a dyn Denoiser,
    starts: Array2<f64>,
    ends: Array2<f64>,
}

/// Calls of the fine solution.
const FINE: usize = 200;

impl<'a> EndPoints<'a> {
    /// Noises at the schedule's first level, and where DPM-Solver++(3M) takes them in 200 calls.
    ///
    /// # Errors
    /// No noise, a schedule that is none, the model's own.
    pub fn new(denoiser: &'a dyn Denoiser, schedule: &Schedule, noises: usize, seed: Seed) -> Result<Self> {
        if noises == 0 {
            return Err(Error::input("noises", 0, "at least 1"));
        }
        let plan = Solver::Dpmpp3m.plan(schedule.clone(), &Grid::Karras, FINE)?;
        let starts = crate::noise(&plan, noises, denoiser.dims(), seed);
        let ends = integrate(&plan, denoiser, starts.clone(), seed, &Silent)?;
        Ok(EndPoints { denoiser, starts, ends })
    }

    /// The error of a plan; infinite where it runs away.
    ///
    /// # Errors
    /// A plan that cannot be run.
    pub fn score(&self, plan: &Plan) -> Result<f64> {
        plan.check()?;
        match integrate(plan, self.denoiser, self.starts.clone(), Seed(0), &Silent) {
            Ok(found) => {
                Ok(stats::mean(&found.iter().zip(&self.ends).map(|(a, b)| (a - b) * (a - b)).collect::<Vec<_>>())
                    .sqrt())
            }
            Err(Error::Numeric { .. }) => Ok(f64::INFINITY),
            Err(other) => Err(other),
        }
    }
}

#[cfg(test)]
mod tests;
