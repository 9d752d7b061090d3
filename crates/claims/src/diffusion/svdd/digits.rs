//! Handwritten digits, an exact model of them, and rewards of images.

use ndarray::{Array2, ArrayView1, s};
use quadrat_core::{Result, Seed, Silent, stats};
use quadrat_data::builtin;
use quadrat_diffusion::svdd::{BestOf, Guided};
use quadrat_diffusion::{AncestralKernel, Grid, Level, MixtureDenoiser, Plan, Schedule, Solver, stack};
use quadrat_numeric::learners::{Classifier, Forest, Learner};
use std::collections::{BTreeMap, BTreeSet};

/// Fewer runs, a forest's chance of a 3, ink in the middle.
pub(super) const REWARDS: [&str; 3] = [RUNS, "a 3", INK];
pub(super) const INK: &str = "ink";
const RUNS: &str = "runs";
const SIDE: usize = 8;
/// Standard deviation around each digit; pixels go from -1 to 1.
const BANDWIDTH: f64 = 0.2;
const TREES: usize = 30;
/// The model's own samples behind the unit of each reward.
const UNIT: usize = 400;

pub(super) struct Digits {
    denoiser: MixtureDenoiser,
    plan: Plan,
    forest: Box<dyn Classifier>,
    /// Mean and deviation of each reward under the model.
    units: Vec<[f64; 2]>,
}

impl Digits {
    /// The first rows, in a random order, make the model, the last half teach the forest.
    pub(super) fn new(rows: usize, steps: usize, seed: Seed) -> Result<Self> {
        let (pixels, y, _) = builtin::labelled("digits")?;
        let mut order: Vec<usize> = (0..y.len()).collect();
        seed.stream("order").rng(0).shuffle(&mut order);
        let x: Array2<f64> = pixels.select(ndarray::Axis(0), &order) / 8.0 - 1.0;
        let denoiser = MixtureDenoiser::kernel(x.slice(s![..rows, ..]), BANDWIDTH)?;
        let half = y.len() / 2;
        let labels: Vec<u32> = order[half..].iter().map(|row| y[*row]).collect();
        let forest = Forest { trees: TREES, ..Forest::default() };
        let forest = forest.fit(x.slice(s![half.., ..]), &labels, 10, None, seed.stream("forest"))?;
        let plan = Solver::Ddpm.plan(Schedule::linear(), &Grid::LogSnr, steps)?;
        let mut digits = Digits { denoiser, plan, forest, units: Vec::new() };
        for reward in REWARDS {
            let of = |x: &[Vec<f64>]| Ok(digits.reward(reward, x));
            let own = BestOf { candidates: 1 }.draw(&digits.kernel()?, &of, UNIT, seed.stream("unit"), &Silent)?;
            digits.units.push([stats::mean(&own.rewards), stats::standard_deviation(&own.rewards)]);
        }
        Ok(digits)
    }

    pub(super) fn kernel(&self) -> Result<AncestralKernel<'_>> {
        AncestralKernel::new(&self.denoiser, &self.plan)
    }

    pub(super) fn reward(&self, name: &str, x: &[Vec<f64>]) -> Vec<f64> {
        match name {
            RUNS => x.iter().map(|image| -runs(image)).collect(),
            INK => x.iter().map(|image| stats::mean(&image[3 * SIDE..5 * SIDE])).collect(),
            _ => self.forest.probabilities(stack(x).view()).column(3).to_vec(),
        }
    }

    fn unit(&self, reward: &str) -> [f64; 2] {
        REWARDS.iter().zip(&self.units).find(|(name, _)| **name == reward).map_or([0.0, 1.0], |(_, unit)| *unit)
    }

    pub(super) fn deviation(&self, reward: &str) -> f64 {
        self.unit(reward)[1]
    }

    /// A reward in deviations from the model's own mean.
    pub(super) fn standard(&self, reward: &str, value: f64) -> f64 {
        let [mean, deviation] = self.unit(reward);
        (value - mean) / deviation
    }

    /// The mean of the model's log-density.
    pub(super) fn log_likelihood(&self, x: &[Vec<f64>]) -> Result<f64> {
        Ok(stats::mean(&self.denoiser.log_density(stack(x).view(), &Level::CLEAN)?))
    }

    /// What samples are worth by a goal, in deviations: the median, or the mean where copies count as the model's mean,
    /// which is 0.
    pub(super) fn worth(&self, goal: &str, reward: &str, drawn: &Guided<Vec<f64>>) -> Result<f64> {
        if goal == super::MEDIAN {
            return Ok(self.standard(reward, quantile(&drawn.rewards, 0.5)));
        }
        let mut best = BTreeMap::new();
        for (x, r) in drawn.samples.iter().zip(&drawn.rewards) {
            let most = best.entry(self.nearest(x)).or_insert(f64::NEG_INFINITY);
            *most = r.max(*most);
        }
        Ok(best.values().map(|r| self.standard(reward, *r)).sum::<f64>() / drawn.samples.len() as f64)
    }

    /// How many of the model's digits samples are nearest to, to a sample.
    pub(super) fn different(&self, x: &[Vec<f64>]) -> f64 {
        x.iter().map(|x| self.nearest(x)).collect::<BTreeSet<usize>>().len() as f64 / x.len() as f64
    }

    /// The nearest of the model's digits.
    fn nearest(&self, x: &[f64]) -> usize {
        let off = |mean: ArrayView1<f64>| mean.iter().zip(x).map(|(m, x)| (m - x).powi(2)).sum::<f64>();
        let all: Vec<f64> = self.denoiser.mixture().means.outer_iter().map(off).collect();
        (0..all.len()).fold(0, |best, k| if all[k] < all[best] { k } else { best })
    }
}

/// Runs of ink and paper in the thresholded image, along rows and along columns: what a code by runs takes.
fn runs(image: &[f64]) -> f64 {
    let ink = |row: usize, column: usize| image[row * SIDE + column] > 0.0;
    let changes = (0..SIDE).flat_map(|i| (1..SIDE).map(move |j| (i, j)));
    changes
        .map(|(i, j)| usize::from(ink(i, j - 1) != ink(i, j)) + usize::from(ink(j - 1, i) != ink(j, i)))
        .sum::<usize>() as f64
}

/// A quantile between order statistics, in a straight line.
pub(super) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = share * (sorted.len() as f64 - 1.0);
    let (below, above) = (at.floor() as usize, at.ceil() as usize);
    sorted[below] + (at - at.floor()) * (sorted[above] - sorted[below])
}
