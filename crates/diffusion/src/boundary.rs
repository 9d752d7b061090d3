//! One start for all: the noise from which a conditional model restores best, chosen once.
//!
//! Ma, Yang, Yang, Fu, Liu, "Solving Diffusion ODEs with Optimal Boundary Conditions for Better Image Super-Resolution", ICLR 2024
//! (arXiv 2305.15357). A plan without noise makes of a start and a condition one sample, and some starts give better samples than others,
//! largely whatever the condition. So candidates are drawn, each is tried on reference pairs of a clean sample and its condition, and the one
//! whose samples end nearest to the clean ones is used for all that follows: few steps, no training, the same answer every time. It restores
//! a point and draws no samples of a posterior any more, and what its start leaves behind it leaves in every sample.
//!
//! Why it can work: where the law given a condition is normal with a covariance C that does not depend on it, the sample is
//! m(condition) + L x_T, so that starts rank alike for all conditions. Where a posterior has several modes they need not, and
//! [`BoundaryCondition::rank_stability`] says so. The chosen score is the least of many and owes part of that to luck: judge by other pairs.
//! With squared errors the choice drifts to samples that are too smooth: look at their sharpness too.
//!
//! Numbers of candidates and pairs are ours (the paper's ablations have not been seen). [`Strategy::Halving`] and the measure of stability
//! are ours too.

mod chosen;
mod conditional;
mod ranks;

pub use chosen::{BoundaryCondition, solve_from};
pub use conditional::{Conditional, ConditionalFn, conditional_fn};
pub use ranks::rank_correlation;

use crate::Plan;
use crate::minority::Distance;
use chosen::{check_pairs, check_plan, starts};
use ndarray::{ArrayView2, Axis};
use quadrat_core::{Area, Card, Choice, Error, Method, Progress, Result, Seed, Settings, stats};

/// Which candidates are tried on which pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum Strategy {
    /// All on all pairs, as in the paper.
    Full,
    /// All on two pairs, the better half on twice as many, and so on: a choice nearly as good for a fraction of the calls.
    Halving,
}

/// Search for the start of a conditional model.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct BoundarySearch {
    /// Starts that are tried.
    #[param(default = 256, from = 2)]
    pub candidates: usize,
    /// Reference pairs that are used, the first of those given; with fewer than 20 the choice owes much to luck.
    #[param(default = 20, from = 1)]
    pub pairs: usize,
    /// Which candidates are tried on which pairs.
    #[param(default = Strategy::Full)]
    pub strategy: Strategy,
}

impl Method for BoundarySearch {
    const CARD: Card = Card {
        slug: "optimal-boundary-conditions-sr",
        aliases: &["optimal-boundary-conditions", "boundary-search"],
        title: "Optimal boundary conditions",
        paper: "Ma, Yang, Yang, Fu, Liu: Solving Diffusion ODEs with Optimal Boundary Conditions for Better Image Super-Resolution. ICLR \
                2024, arXiv 2305.15357",
        area: Area::Diffusion,
        verbs: &["diffuse"],
        summary: "Chooses, once and on a few reference pairs, the start noise from which a conditional diffusion model restores best, and \
                  uses it for every input.",
        useful_when: "super-resolution, deblurring or restoration by diffusion differs from seed to seed, a good seed, golden noise, few \
                      steps, deterministic restoration",
        cost: "candidates x pairs x steps calls of the model, once (halving: about 2 candidates x log2(pairs) x steps); then steps calls a \
               sample",
        params: Self::PARAMS,
    };
}

/// Clean samples, and the condition of each.
#[derive(Debug, Clone, Copy)]
pub struct Pairs<'a> {
    /// What should come out.
    pub clean: ArrayView2<'a, f64>,
    /// What the model is told.
    pub conditions: ArrayView2<'a, f64>,
}

/// Stability below which one start for all is in doubt, and samples that are solved together.
const UNSTABLE: f64 = 0.3;
const BLOCK: usize = 512;

impl BoundarySearch {
    /// Chooses among candidates by their mean distance to the clean samples, each solved by the plan under the pairs' conditions.
    ///
    /// # Errors
    /// No pairs, or other numbers of clean samples and conditions; widths that are not the model's; values that are not finite; fewer than
    /// two candidates; a plan that draws noise; distances that are not finite; the model's own; a cancelled run.
    pub fn fit(
        &self,
        model: &dyn Conditional,
        plan: &Plan,
        pairs: Pairs,
        distance: Distance,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<BoundaryCondition> {
        if self.candidates < 2 {
            return Err(Error::input("candidates", self.candidates, "at least 2, to choose among"));
        }
        let among = check_pairs(model, pairs)?.min(self.pairs);
        if among == 0 {
            return Err(Error::input(
                "pairs",
                0,
                "at least one of a clean sample and its condition; 20 or more are better",
            ));
        }
        check_plan(plan)?;
        let search = Search { model, plan, pairs, distance, seed, progress };
        let mut alive: Vec<usize> = (0..self.candidates).collect();
        let mut found: Vec<Vec<f64>> = vec![Vec::new(); self.candidates];
        let mut next = if self.strategy == Strategy::Full { among } else { among.min(2) };
        let first = next;
        progress.begin("starts", Some((self.candidates * first) as u64));
        loop {
            let seen = found[alive[0]].len();
            for (candidate, distances) in alive.iter().zip(search.distances(&alive, seen..next)?) {
                found[*candidate].extend(distances);
            }
            alive.sort_by(|a, b| stats::mean(&found[*a]).total_cmp(&stats::mean(&found[*b])).then(a.cmp(b)));
            if next == among {
                break;
            }
            alive.truncate(alive.len().div_ceil(2));
            next = (2 * next).min(among);
            progress.begin("starts", Some((alive.len() * (next - found[alive[0]].len())) as u64));
        }
        let rank_stability = stability(&found, first);
        let unsure = rank_stability.is_some_and(|r| r < UNSTABLE);
        let warning = unsure.then(|| {
            "candidates do not rank alike on different inputs; a shared start is not supported by this model".to_owned()
        });
        let tried: Vec<usize> = found.iter().map(Vec::len).collect();
        Ok(BoundaryCondition {
            plan: plan.clone(),
            dims: model.dims(),
            seed: seed.0,
            index: alive[0],
            score: stats::mean(&found[alive[0]]),
            scores: found.iter().map(|distances| stats::mean(distances)).collect(),
            calls: tried.iter().sum::<usize>() * plan.calls(),
            tried,
            rank_stability,
            warning,
        })
    }
}

/// What a search is about.
struct Search<'a, 'p> {
    model: &'a dyn Conditional,
    plan: &'a Plan,
    pairs: Pairs<'p>,
    distance: Distance<'a>,
    seed: Seed,
    progress: &'a dyn Progress,
}

impl Search<'_, '_> {
    /// The distance of each of these candidates on each of these pairs; candidates that make a block together are solved together.
    fn distances(&self, candidates: &[usize], pairs: std::ops::Range<usize>) -> Result<Vec<Vec<f64>>> {
        let mut found = Vec::with_capacity(candidates.len());
        let (clean, conditions) = (self.pairs.clean, self.pairs.conditions);
        for some in candidates.chunks((BLOCK / pairs.len().max(1)).max(1)) {
            let each = starts(self.plan, self.model.dims(), self.seed, some);
            // Row i·pairs + j is candidate i under the j-th condition.
            let of_start: Vec<usize> = (0..some.len()).flat_map(|i| std::iter::repeat_n(i, pairs.len())).collect();
            let of_pair: Vec<usize> = (0..some.len()).flat_map(|_| pairs.clone()).collect();
            let (from, told) = (each.select(Axis(0), &of_start), conditions.select(Axis(0), &of_pair));
            let solved = solve_from(self.model, self.plan, from, told.view(), self.progress)?;
            let distances = self.distance.between(solved.view(), clean.select(Axis(0), &of_pair).view())?;
            found.extend(distances.chunks(pairs.len().max(1)).map(<[f64]>::to_vec));
            self.progress.advance(of_pair.len() as u64);
        }
        Ok(found)
    }
}

/// Rank correlation between the even and the odd ones of the first pairs.
fn stability(found: &[Vec<f64>], pairs: usize) -> Option<f64> {
    let half = |odd: usize| -> Vec<f64> {
        let of = |row: &Vec<f64>| row[..pairs].iter().skip(odd).step_by(2).sum();
        found.iter().map(of).collect()
    };
    if pairs < 2 { None } else { rank_correlation(&half(0), &half(1)) }
}

#[cfg(test)]
mod tests;
