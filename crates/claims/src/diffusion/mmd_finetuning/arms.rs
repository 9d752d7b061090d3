//! A trained network, and what is made of it.

use super::data::Set;
use super::{DPM, UNIPC};
use ndarray::Array2;
use quadrat_core::{Progress, Result, Seed, Within};
use quadrat_diffusion::mmd::{Finetuned, Identity, MmdFinetune};
use quadrat_diffusion::{Denoising, Grid, NetworkDenoiser, Noising, Plan, Schedule, Solver, integrate, noise};
use quadrat_numeric::transport::sliced_wasserstein1;

/// What was tuned.
#[derive(Default)]
pub(super) struct Rates {
    /// The grid of DDIM, DPM-Solver++ and UniPC at 3, 5 and 20 calls.
    pub grids: [[usize; 3]; 3],
    pub finetuning: f64,
    pub training: f64,
}

/// Where steps may lie.
pub(super) const GRIDS: [(&str, Grid); 4] =
    [("uniform", Grid::Uniform), ("quadratic", Grid::Quadratic), ("even in λ", Grid::LogSnr), ("Karras", Grid::Karras)];
/// Directions of the sliced distance.
const DIRECTIONS: usize = 100;
/// Rows of a step.
const BATCH: usize = 128;

pub(super) struct Arms<'a> {
    set: Set,
    rows: Array2<f64>,
    judged: Array2<f64>,
    pub network: NetworkDenoiser,
    iterations: usize,
    seed: Seed,
    progress: Within<'a>,
}

impl<'a> Arms<'a> {
    /// Trains the network.
    pub fn new(
        set: Set,
        [n, width, epochs, iterations]: [usize; 4],
        seed: Seed,
        progress: &'a dyn Progress,
    ) -> Result<Self> {
        let [rows, judged] = ["rows", "judged"].map(|name| set.draw(n, seed.stream(name)));
        let mut network = NetworkDenoiser::mlp(2, &[width; 3], seed.stream("network"))?;
        let progress = Within(progress);
        let course = Denoising { epochs, batch: BATCH, rate: 1e-3 };
        course.fit(&mut network, Noising::of(rows.view()), None, seed.stream("training"), &progress)?;
        Ok(Arms { set, rows, judged, network, iterations, seed, progress })
    }

    fn plan(&self, solver: &str, grid: usize, calls: usize) -> Result<Plan> {
        let solver = match solver {
            DPM => Solver::Dpmpp2m,
            UNIPC => Solver::Unipc,
            _ => Solver::Ddim,
        };
        solver.plan(Schedule::linear(), &GRIDS[grid].1, calls)
    }

    /// As many samples as rows to judge by; all arms from the same noise.
    pub fn samples(&self, network: &NetworkDenoiser, solver: &str, grid: usize, calls: usize) -> Result<Array2<f64>> {
        let (plan, seed) = (self.plan(solver, grid, calls)?, self.seed.stream("start"));
        integrate(&plan, network, noise(&plan, self.judged.nrows(), 2, seed), seed, &self.progress)
    }

    /// Rows of the law itself.
    pub fn fresh(&self) -> Array2<f64> {
        self.set.draw(self.judged.nrows(), self.seed.stream("fresh"))
    }

    /// How far samples are from the rows to judge by.
    pub fn off(&self, samples: &Array2<f64>) -> Result<f64> {
        sliced_wasserstein1(samples.view(), self.judged.view(), DIRECTIONS, self.seed.stream("directions"))
    }

    /// How far a solver ends.
    pub fn solved(&self, solver: &str, grid: usize, calls: usize) -> Result<f64> {
        self.off(&self.samples(&self.network, solver, grid, calls)?)
    }

    /// How far a network's DDIM ends.
    pub fn distance(&self, network: &NetworkDenoiser, grid: usize, calls: usize) -> Result<f64> {
        self.off(&self.samples(network, super::DDIM, grid, calls)?)
    }

    pub fn finetuned(&self, grid: usize, calls: usize, rate: f64) -> Result<Finetuned> {
        let method = MmdFinetune { iterations: self.iterations, batch: BATCH, rate, ..MmdFinetune::default() };
        let plan = self.plan(super::DDIM, grid, calls)?;
        let seed = self.seed.stream("finetuning").stream(&calls.to_string());
        method.fit(&self.network, &plan, &Identity, self.rows.view(), seed, &self.progress)
    }

    /// The network trained on, with 2 x calls steps for each of finetuning.
    pub fn trained_on(&self, calls: usize, rate: f64) -> Result<NetworkDenoiser> {
        let mut network = self.network.clone();
        let steps = 2 * calls * self.iterations;
        let course = Denoising { epochs: (steps * BATCH).div_ceil(self.rows.nrows()), batch: BATCH, rate };
        let seed = self.seed.stream("training on").stream(&calls.to_string());
        course.fit(&mut network, Noising::of(self.rows.view()), None, seed, &self.progress)?;
        Ok(network)
    }
}
