//! Small images, a model of them, and real rare ones.

use super::{ANY, COMMON, KEPT, PLAIN, RAISED, REAL, figure};
use crate::Figure;
use ndarray::{Array2, ArrayView2, Axis, concatenate, s};
use quadrat_core::{Error, Progress, Result, Seed, Silent, Within, stats};
use quadrat_data::builtin;
use quadrat_diffusion::minority::{Distance, Guide};
use quadrat_diffusion::{
    Denoiser, Denoising, Grid, Level, MinorityGuidance, NetworkDenoiser, Noising, Prediction, Schedule, Solver,
    data_prediction, denoiser_fn, integrate, noise,
};
use quadrat_numeric::neighbours::{nearest, squared_distance};
use quadrat_numeric::outliers::local_outlier_factors;

pub(super) const DISTANCE: &str = "energy distance to real rare rows";
pub(super) const NEAREST: &str = "mean distance to 5 learnt rows";
pub(super) const LOF: &str = "mean local outlier factor";
pub(super) const SCORE: &str = "mean minority score";
pub(super) const PRECISION: &str = "precision";
const SIDE: usize = 28;
const POOLED: usize = 4;
const CLASSES: usize = 10;
/// Learnt rows behind local outlier factors, and their neighbours.
const BESIDE: usize = 2000;
const NEIGHBOURS: usize = 20;

/// All images, averaged, from -1 to 1.
pub(super) fn pixels() -> Result<Array2<f64>> {
    let (large, ..) = builtin::labelled("mnist")?;
    let side = SIDE / POOLED;
    let mut small = Array2::zeros((large.nrows(), side * side));
    for (mut to, from) in small.outer_iter_mut().zip(large.outer_iter()) {
        for (pixel, v) in from.iter().enumerate() {
            to[pixel / SIDE / POOLED * side + pixel % SIDE / POOLED] += v;
        }
    }
    Ok(small * (2.0 / (255.0 * (POOLED * POOLED) as f64)) - 1.0)
}

pub(super) struct Fitted {
    train: Array2<f64>,
    /// Real rare rows: those that draws are compared with, and others.
    rare: [Array2<f64>; 2],
    /// Squared distance of each learnt row to its third neighbour.
    radii: Vec<f64>,
    denoiser: NetworkDenoiser,
    method: MinorityGuidance,
    guide: Guide,
}

impl Fitted {
    pub(super) fn new(
        pixels: &Array2<f64>,
        rows: usize,
        hidden: usize,
        [epochs, taught]: [usize; 2],
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let mut order: Vec<usize> = (0..pixels.nrows()).collect();
        seed.stream("split").rng(0).shuffle(&mut order);
        let (train, held) = (pixels.select(Axis(0), &order[..rows]), pixels.select(Axis(0), &order[rows..2 * rows]));
        let far = distances(train.view(), held.view())?;
        let mut by_distance: Vec<usize> = (0..rows).collect();
        by_distance.sort_by(|a, b| far[*b].total_cmp(&far[*a]));
        // Rows took their places at random, so that turns halve the rare ones at random.
        let mut rarest = by_distance[..rows / 10].to_vec();
        rarest.sort_unstable();
        let halves = [0, 1].map(|half| rarest.iter().copied().skip(half).step_by(2).collect::<Vec<usize>>());
        let own: Vec<usize> = (0..rows).collect();
        let near = nearest(train.view(), train.view(), Some(&own), 3, &Silent)?;
        let radii = (0..rows).map(|i| near.of(i).1[2]).collect();
        let mut denoiser = NetworkDenoiser::mlp(train.ncols(), &[hidden; 3], seed.stream("network"))?;
        let course = Denoising { epochs, batch: 128, rate: 1e-3 };
        course.fit(&mut denoiser, Noising::of(train.view()), None, seed.stream("denoiser"), &Within(progress))?;
        let method = MinorityGuidance { classes: CLASSES, epochs: taught, ..MinorityGuidance::default() };
        let schedule = Schedule::linear();
        let guide =
            method.fit(&denoiser, &schedule, train.view(), Distance::L2, seed.stream("guide"), &Within(progress))?;
        Ok(Fitted { rare: halves.map(|half| held.select(Axis(0), &half)), train, radii, denoiser, method, guide })
    }

    /// What an arm draws, with its weight or factor.
    pub(super) fn draw(&self, arm: &str, value: f64, [draws, steps]: [usize; 2], seed: Seed) -> Result<Array2<f64>> {
        let plan = Solver::Ddpm.plan(Schedule::linear(), &Grid::LogSnr, steps)?;
        let dims = self.train.ncols();
        let by =
            |denoiser: &dyn Denoiser, n: usize| integrate(&plan, denoiser, noise(&plan, n, dims, seed), seed, &Silent);
        let method = MinorityGuidance { weight: value, ..self.method };
        let guided = |class| method.guided(&self.denoiser, &self.guide.classifier, class);
        match arm {
            PLAIN => by(&self.denoiser, draws),
            RAISED => {
                // The score times a factor: D becomes factor D + (1 - factor) x/α.
                let tempered = denoiser_fn(dims, Prediction::Data, |x: ArrayView2<f64>, at: &Level| {
                    Ok(value * data_prediction(&self.denoiser, x, at)? + &x * ((1.0 - value) / at.alpha))
                });
                by(&tempered, draws)
            }
            KEPT => {
                let many = by(&self.denoiser, 10 * draws)?;
                let scores = self.scores(many.view(), seed.stream("kept"))?;
                let mut order: Vec<usize> = (0..many.nrows()).collect();
                order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
                Ok(many.select(Axis(0), &order[..draws]))
            }
            COMMON => by(&guided(Some(0))?, draws),
            ANY => {
                let parts = (0..CLASSES as u32).map(|class| {
                    let part = draws / CLASSES;
                    let seed = seed.stream(&class.to_string());
                    integrate(&plan, &guided(Some(class))?, noise(&plan, part, dims, seed), seed, &Silent)
                });
                let parts = parts.collect::<Result<Vec<_>>>()?;
                let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
                concatenate(Axis(0), &views).map_err(|e| Error::numeric("draws", e.to_string()))
            }
            _ => by(&guided(None)?, draws),
        }
    }

    fn scores(&self, x: ArrayView2<f64>, seed: Seed) -> Result<Vec<f64>> {
        let method = MinorityGuidance { abar: Some(self.guide.scores.abar), ..self.method };
        Ok(method.scoring(Distance::L2).score(&self.denoiser, &Schedule::linear(), x, seed, &Silent)?.scores)
    }

    /// Energy distance to the real rare rows.
    pub(super) fn distance(&self, x: ArrayView2<f64>) -> f64 {
        let rare = self.rare[0].view();
        2.0 * apart(x, rare) - apart(x, x) - apart(rare, rare)
    }

    /// The figures of other real rare rows, as many as can be.
    pub(super) fn real(&self, seed: Seed) -> Result<Vec<Figure>> {
        self.figures(REAL, self.rare[1].view(), seed)
    }

    pub(super) fn figures(&self, arm: &str, x: ArrayView2<f64>, seed: Seed) -> Result<Vec<Figure>> {
        let beside = self.train.slice(s![..self.train.nrows().min(BESIDE), ..]);
        let both = concatenate(Axis(0), &[beside, x]).map_err(|e| Error::numeric("rows", e.to_string()))?;
        let factors = local_outlier_factors(both.view(), NEIGHBOURS, &Silent)?;
        let inside = x.outer_iter().filter(|row| {
            let row = row.to_vec();
            self.train.outer_iter().zip(&self.radii).any(|(learnt, radius)| {
                learnt.as_slice().is_some_and(|learnt| squared_distance(&row, learnt) <= *radius)
            })
        });
        let precision = inside.count() as f64 / x.nrows() as f64;
        Ok(vec![
            figure(arm, DISTANCE, self.distance(x)),
            figure(arm, NEAREST, stats::mean(&distances(self.train.view(), x)?)),
            figure(arm, LOF, stats::mean(&factors[beside.nrows()..])),
            figure(arm, SCORE, stats::mean(&self.scores(x, seed.stream("scores"))?)),
            figure(arm, PRECISION, precision),
        ])
    }
}

/// The mean distance of each row to the five nearest of `base`.
pub(super) fn distances(base: ArrayView2<f64>, rows: ArrayView2<f64>) -> Result<Vec<f64>> {
    let near = nearest(base, rows, None, 5, &Silent)?;
    Ok((0..rows.nrows()).map(|i| stats::mean(&near.of(i).1.iter().map(|s| s.sqrt()).collect::<Vec<f64>>())).collect())
}

/// The mean distance between rows of two sets.
fn apart(a: ArrayView2<f64>, b: ArrayView2<f64>) -> f64 {
    let b: Vec<Vec<f64>> = b.outer_iter().map(|row| row.to_vec()).collect();
    let of = |row: Vec<f64>| b.iter().map(|other| squared_distance(&row, other).sqrt()).sum::<f64>() / b.len() as f64;
    stats::mean(&a.outer_iter().map(|row| of(row.to_vec())).collect::<Vec<f64>>())
}
