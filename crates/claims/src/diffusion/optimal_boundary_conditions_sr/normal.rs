//! A normal law, of which all is known: what a start adds, and what it costs.

use super::{CHOSEN, MEAN, RANDOM, SHARED, STABILITY, squares};
use crate::Figure;
use ndarray::{Array2, Axis, s};
use quadrat_core::{Evidence, Result, Seed, Silent, stats};
use quadrat_diffusion::boundary::{Conditional, Pairs, conditional_fn, solve_from};
use quadrat_diffusion::minority::Distance;
use quadrat_diffusion::{BoundarySearch, Grid, Level, Schedule, Solver, noise};
use quadrat_numeric::linalg::{cholesky, solve};

pub(super) const ERROR: &str = "normal law: squared error of a number";
pub(super) const NEAR: &str = "normal law: share within 5% of the best shared start";
/// The normal law has images of this side.
const SIDE: usize = 8;

/// Digits' normal law, its exact posterior, and all starts' exact expected errors.
struct Normal {
    prior: Array2<f64>,
    pooled: Array2<f64>,
    gain: Array2<f64>,
    posterior: Array2<f64>,
}

const NOISE: f64 = 0.05;

impl Normal {
    fn new() -> Result<Self> {
        let (pixels, ..) = quadrat_data::builtin::labelled("digits")?;
        let pixels = pixels / 8.0 - 1.0;
        let n = pixels.nrows() as f64;
        let centred = &pixels - &(pixels.sum_axis(Axis(0)) / n);
        let dims = SIDE * SIDE;
        let prior = centred.t().dot(&centred) / (n - 1.0) + 0.02 * Array2::<f64>::eye(dims);
        let half = SIDE / 2;
        let pooled = Array2::from_shape_fn((half * half, dims), |(k, i)| {
            f64::from(u8::from(i / SIDE / 2 * half + i % SIDE / 2 == k)) / 4.0
        });
        let across = pooled.dot(&prior);
        let spread = across.dot(&pooled.t()) + NOISE * NOISE * Array2::<f64>::eye(half * half);
        let gain = solve(spread.view(), across.view())?.reversed_axes();
        let posterior = &prior - &gain.dot(&across);
        Ok(Normal { prior, pooled, gain, posterior })
    }

    fn model(&self) -> impl Conditional + '_ {
        let dims = SIDE * SIDE;
        conditional_fn([dims, dims / 4], move |x, seen, at: &Level| {
            let noised = at.alpha * at.alpha * &self.posterior + at.sigma * at.sigma * Array2::<f64>::eye(dims);
            let gain = solve(noised.view(), (at.alpha * &self.posterior).view())?;
            let mean = seen.dot(&self.gain.t());
            Ok(&mean + &(&x - &(at.alpha * &mean)).dot(&gain))
        })
    }
}

/// The exact expected errors of the start chosen among `candidates`, of the best of them and of random ones.
pub(super) fn figures(candidates: usize, seed: Seed) -> Result<Vec<Figure>> {
    let law = Normal::new()?;
    let (model, dims) = (law.model(), SIDE * SIDE);
    let way = Solver::Ddim.plan(Schedule::linear(), &Grid::LogSnr, 6)?;
    let root = cholesky(law.prior.view())?;
    let mut rng = seed.stream("pairs").rng(0);
    let clean = Array2::from_shape_simple_fn((100, dims), || rng.normal()).dot(&root.t());
    let seen = clean.dot(&law.pooled.t()).mapv(|v| v + NOISE * rng.normal());
    let search = BoundarySearch { candidates, pairs: 100, ..BoundarySearch::default() };
    let pairs = Pairs { clean: clean.view(), conditions: seen.view() };
    let starts = seed.stream("starts");
    let chosen = search.fit(&model, &way, pairs, Distance::Pairs(&squares), starts, &Silent)?;
    // Means have no offset: under a condition of zeros a sample is L x_T, from a start of zeros it is m(condition).
    let none = Array2::zeros((candidates, dims / 4));
    let added = solve_from(&model, &way, noise(&way, candidates, dims, starts), none.view(), &Silent)?;
    let means = solve_from(&model, &way, Array2::zeros((dims / 4, dims)), Array2::eye(dims / 4).view(), &Silent)?;
    let off = Array2::<f64>::eye(dims) - means.t().dot(&law.pooled);
    let missed = off.dot(&law.prior).dot(&off.t()).diag().sum() + NOISE * NOISE * means.mapv(|v| v * v).sum();
    let expected: Vec<f64> = added.outer_iter().map(|row| (row.dot(&row) + missed) / dims as f64).collect();
    let least = expected.iter().copied().fold(f64::INFINITY, f64::min);
    let arms = [
        (CHOSEN, expected[chosen.index]),
        (SHARED, least),
        (RANDOM, stats::mean(&expected)),
        (MEAN, missed / dims as f64),
    ];
    let mut found: Vec<Figure> = arms.into_iter().map(|(arm, v)| (arm.to_owned(), ERROR.to_owned(), v)).collect();
    let near = f64::from(u8::from(expected[chosen.index] < 1.05 * least));
    found.push((CHOSEN.to_owned(), NEAR.to_owned(), near));
    let stability = chosen.rank_stability.unwrap_or(f64::NAN);
    found.push((CHOSEN.to_owned(), format!("normal law: {STABILITY}"), stability));
    Ok(found)
}

/// Of a linear model what a start adds does not depend on the condition.
pub(super) fn identity(evidence: &mut Evidence, seed: Seed) -> Result<()> {
    let law = Normal::new()?;
    let (model, dims) = (law.model(), SIDE * SIDE);
    let way = Solver::Ddim.plan(Schedule::linear(), &Grid::LogSnr, 6)?;
    let mut rng = seed.rng(0);
    let given = Array2::from_shape_simple_fn((2, dims / 4), || rng.normal());
    let from = noise(&way, 2, dims, seed);
    let solved = |start: usize, condition: usize| {
        let rows = from.slice(s![start..=start, ..]).to_owned();
        solve_from(&model, &way, rows, given.slice(s![condition..=condition, ..]), &Silent)
    };
    let apart = (solved(0, 0)? - solved(1, 0)?) - (solved(0, 1)? - solved(1, 1)?);
    let largest = apart.iter().fold(0.0f64, |most, v| most.max(v.abs()));
    evidence.identity(
        "normal law: what two starts differ by under two conditions, largest difference",
        largest,
        0.0,
        1e-9,
    );
    Ok(())
}
