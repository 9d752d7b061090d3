//! Measured digits, an exact model of digits, and exact draws of what the measurement leaves open.

use crate::Figure;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, s};
use quadrat_core::{Result, Seed, Within, stats};
use quadrat_data::builtin;
use quadrat_diffusion::inverse::{Identity, Inverse, Measurement, Way};
use quadrat_diffusion::{Grid, MixtureDenoiser, Schedule, Solver};
use quadrat_numeric::linalg::{cholesky, solve, solve_lower};
use quadrat_numeric::operator::{LinearOp, Mask, Separable};

pub(super) const SIDE: usize = 8;
/// Standard deviation around each digit, and of the measurement's noise; pixels go from -1 to 1.
const WIDTH: f64 = 0.15;
pub(super) const NOISE: f64 = 0.1;
/// Exact draws that samples are compared with.
const EXACT: usize = 100;

/// What is measured: means of 2 x 2 pixels, or half of the pixels.
pub(super) const TASKS: [&str; 2] = ["fewer pixels", "missing pixels"];

/// How an arm samples.
#[derive(Clone, Copy)]
pub(super) struct Arm {
    pub name: &'static str,
    pub way: Way,
    pub solver: Solver,
    pub steps: usize,
}

/// Digits that make the model, and others.
pub(super) struct Digits {
    pub denoiser: MixtureDenoiser,
    others: Array2<f64>,
    operators: [Box<dyn LinearOp + Send>; 2],
}

impl Digits {
    pub fn new(rows: usize, seed: Seed) -> Result<Self> {
        let (pixels, _, _) = builtin::labelled("digits")?;
        let mut order: Vec<usize> = (0..pixels.nrows()).collect();
        seed.stream("order").rng(0).shuffle(&mut order);
        let x = pixels.select(Axis(0), &order) / 8.0 - 1.0;
        let mut places: Vec<usize> = (0..SIDE * SIDE).collect();
        seed.stream("mask").rng(0).shuffle(&mut places);
        places.truncate(SIDE * SIDE / 2);
        Ok(Digits {
            denoiser: MixtureDenoiser::kernel(x.slice(s![..rows, ..]), WIDTH)?,
            others: x.slice(s![rows.., ..]).to_owned(),
            operators: [
                Box::new(Separable::downsample([1, SIDE, SIDE], 2)?),
                Box::new(Mask::new(SIDE * SIDE, places)?),
            ],
        })
    }

    /// A digit that is not in the model, measured.
    pub fn measured(&self, task: usize, seed: Seed) -> Result<Measured<'_>> {
        let op = self.operators[task].as_ref();
        let mut rng = seed.stream("measured").rng(0);
        let truth = self.others.row(rng.below(self.others.nrows())).to_owned();
        let matrix = op.forward(Array2::eye(op.inputs()).view())?.reversed_axes();
        let y = matrix.dot(&truth).mapv(|v| v + NOISE * rng.normal());
        let posterior = Posterior::new(&self.denoiser.mixture().means, matrix, &y, WIDTH, NOISE)?;
        let exact = posterior.draw(EXACT, seed.stream("exact"))?;
        Ok(Measured { denoiser: &self.denoiser, op, y: y.to_vec(), truth, posterior, exact })
    }
}

pub(super) struct Measured<'a> {
    denoiser: &'a MixtureDenoiser,
    op: &'a dyn LinearOp,
    y: Vec<f64>,
    truth: Array1<f64>,
    posterior: Posterior,
    exact: Array2<f64>,
}

pub(super) const ENERGY: &str = "energy distance";
pub(super) const MEAN: &str = "error of the posterior mean";
pub(super) const TRUTH: &str = "squared error";
pub(super) const RESIDUAL: &str = "residual in units of the noise";

impl Measured<'_> {
    /// `n` samples of an arm: all figures.
    pub fn figures(
        &self,
        arm: &Arm,
        n: usize,
        seed: Seed,
        progress: &dyn quadrat_core::Progress,
    ) -> Result<Vec<(&'static str, f64)>> {
        let plan = arm.solver.plan(Schedule::linear(), &Grid::Uniform, arm.steps)?;
        let measurement = Measurement { op: self.op, y: &self.y, noise: NOISE };
        let codec = Identity { dims: SIDE * SIDE };
        let problem = Inverse { measurement, denoiser: self.denoiser, codec: &codec, plan: &plan };
        let found = problem.solve(&arm.way, n, seed, &Within(progress))?;
        self.judged(found.samples.view())
    }

    /// The same for exact draws: what nothing can be better than.
    pub fn floor(&self, n: usize, seed: Seed) -> Result<Vec<(&'static str, f64)>> {
        self.judged(self.posterior.draw(n, seed)?.view())
    }

    fn judged(&self, x: ArrayView2<f64>) -> Result<Vec<(&'static str, f64)>> {
        let mean = x.mean_axis(Axis(0)).unwrap_or_default();
        let off = |a: &Array1<f64>, b: &Array1<f64>| (a - b).mapv(|v| v * v).mean().unwrap_or(f64::NAN);
        let y = ArrayView1::from(&self.y);
        let left = self.op.forward(x)?;
        let residuals: Vec<f64> = left
            .outer_iter()
            .map(|left| (&left - &y).mapv(|v| v * v).mean().unwrap_or(f64::NAN).sqrt() / NOISE)
            .collect();
        Ok(vec![
            (ENERGY, energy_distance(x, self.exact.view())),
            (MEAN, off(&mean, &self.posterior.mean()).sqrt()),
            (TRUTH, x.outer_iter().map(|x| off(&x.to_owned(), &self.truth)).sum::<f64>() / x.nrows() as f64),
            (RESIDUAL, stats::mean(&residuals)),
        ])
    }
}

pub(super) fn figure(arm: &str, what: &str, task: usize, value: f64) -> Figure {
    (arm.to_owned(), metric(what, task), value)
}

pub(super) fn metric(what: &str, task: usize) -> String {
    format!("{what}/{}", TASKS[task])
}

/// 2 E|a - b| - E|a - a'| - E|b - b'|, over all pairs.
fn energy_distance(a: ArrayView2<f64>, b: ArrayView2<f64>) -> f64 {
    let apart = |a: ArrayView2<f64>, b: ArrayView2<f64>| {
        let each = a.outer_iter().map(|a| {
            b.outer_iter().map(|b| a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()).sum::<f64>()
        });
        each.sum::<f64>() / (a.nrows() * b.nrows()) as f64
    };
    2.0 * apart(a, b) - apart(a, a) - apart(b, b)
}

/// The law of the data given a measurement, for normal laws of one width around rows: a normal law around each row moved to the
/// measurement, all of one shape.
pub(super) struct Posterior {
    centres: Array2<f64>,
    shares: Vec<f64>,
    /// L with L L' the covariance.
    root: Array2<f64>,
}

impl Posterior {
    pub fn new(rows: &Array2<f64>, matrix: Array2<f64>, y: &Array1<f64>, width: f64, noise: f64) -> Result<Self> {
        let (square, d) = (width * width, rows.ncols());
        let seen = square * matrix.dot(&matrix.t()) + noise * noise * Array2::<f64>::eye(matrix.nrows());
        let gain = solve(seen.view(), (square * &matrix).view())?;
        let off = y - &rows.dot(&matrix.t());
        let lower = cholesky(seen.view())?;
        let white = solve_lower(lower.view(), off.t())?;
        let logs: Vec<f64> = white.columns().into_iter().map(|w| -0.5 * w.dot(&w)).collect();
        let covariance = square * Array2::<f64>::eye(d) - square * matrix.t().dot(&gain);
        let root = cholesky((0.5 * (&covariance + &covariance.t())).view())?;
        Ok(Posterior { centres: rows + &off.dot(&gain), shares: quadrat_numeric::particles::normalised(&logs), root })
    }

    pub fn mean(&self) -> Array1<f64> {
        Array1::from(self.shares.clone()).dot(&self.centres)
    }

    pub fn draw(&self, n: usize, seed: Seed) -> Result<Array2<f64>> {
        let mut x = Array2::zeros((n, self.centres.ncols()));
        for (i, mut row) in x.outer_iter_mut().enumerate() {
            let mut rng = seed.rng(i as u64);
            let centre = self.centres.row(rng.weighted(&self.shares));
            let e = Array1::from_shape_simple_fn(centre.len(), || rng.normal());
            row.assign(&(&centre + &self.root.dot(&e)));
        }
        Ok(x)
    }
}
