//! The matrices, and the scores that are compared on them.

use ndarray::{Array2, ArrayView2, Axis};
use quadrat_core::{Progress, Result, Seed, Silent};
use quadrat_select::{
    LevSens, Leverage, LewisWeights, RootLeverage, RowNorm, RowScores, ScoreSampler, Scores, Sensitivity,
    SensitivityMode, Uniform,
};

pub(super) fn gaussian(n: usize, d: usize, seed: Seed) -> Array2<f64> {
    let mut rng = seed.rng(0);
    Array2::from_shape_simple_fn((n, d), || rng.normal())
}

/// Gaussian directions with lengths from Pareto's law of index 1.5.
pub(super) fn heavy_tailed(n: usize, d: usize, seed: Seed) -> Array2<f64> {
    let mut a = gaussian(n, d, seed);
    let mut rng = seed.rng(1);
    a.axis_iter_mut(Axis(0)).for_each(|mut row| row *= (1.0 - rng.uniform()).powf(-1.0 / 1.5));
    a
}

/// The d unit vectors on top of small Gaussian rows, which together weigh as much as one of them at p = 1.
pub(super) fn coherent(n: usize, d: usize, seed: Seed) -> Array2<f64> {
    let mut a = gaussian(n, d, seed) / n as f64;
    a.slice_mut(ndarray::s![..d, ..]).assign(&Array2::eye(d));
    a
}

/// Sensitivities on a sample of rows, as one has them in practice; exact where that sample would be all rows.
pub(super) fn approximate(p: f64) -> Sensitivity {
    Sensitivity { p, mode: SensitivityMode::Approximate, ..Sensitivity::default() }
}

/// Scores computed once and drawn from many times.
#[derive(Clone)]
pub(super) struct Known {
    pub p: f64,
    pub scores: Scores,
}

impl RowScores for Known {
    fn name(&self) -> &'static str {
        "known"
    }

    fn p(&self) -> f64 {
        self.p
    }

    fn scores(&self, _: ArrayView2<f64>, _: Seed, _: &dyn Progress) -> Result<Scores> {
        Ok(self.scores.clone())
    }

    fn operations(&self, n: usize, _: usize) -> f64 {
        n as f64
    }
}

pub(super) fn drawn_by(p: f64, scores: Scores) -> ScoreSampler {
    ScoreSampler { scores: Box::new(Known { p, scores }), intercept: false, ..ScoreSampler::default() }
}

/// The samplers that are compared. Leverage at p != 2 is drawn by as it is, and weighted for p. Sensitivities are found
/// once and serve both scores that are made of them; root leverage scores anew in each of its rounds.
pub(super) fn samplers(a: ArrayView2<f64>, p: f64, seed: Seed) -> Result<Vec<(&'static str, ScoreSampler)>> {
    let scores = |of: &dyn RowScores| of.scores(a, seed, &Silent);
    let (leverage, sensitivity) = (scores(&Leverage::default())?, scores(&approximate(p))?);
    let together = LevSens::of(p, sensitivity.clone(), &leverage);
    let mut all = vec![
        ("uniform", drawn_by(p, scores(&Uniform)?)),
        ("row norm", drawn_by(p, scores(&RowNorm { p })?)),
        ("leverage", drawn_by(p, leverage)),
        ("sensitivity", drawn_by(p, sensitivity)),
        ("Lewis", drawn_by(p, scores(&LewisWeights { p, ..LewisWeights::default() })?)),
        ("leverage and sensitivity", drawn_by(p, together)),
    ];
    if p <= 2.0 {
        let scores = Box::new(RootLeverage { p, rounds: None });
        all.push(("root leverage", ScoreSampler { scores, intercept: false, ..ScoreSampler::default() }));
    }
    Ok(all)
}
