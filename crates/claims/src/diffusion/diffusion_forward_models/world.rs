//! Signals whose posterior is known.

use ndarray::{Array1, Array2, array};
use quadrat_core::{Result, Seed, stats};
use quadrat_diffusion::mmd::{Kernel, mmd2};
use quadrat_diffusion::{Level, MixtureDenoiser};
use quadrat_numeric::mixture::{Covariances, Mixture};

/// Noise of a projection.
const NOISE: f64 = 0.05;
/// Deviation of each of the four normal laws.
const SPREAD: f64 = 0.15;
/// Modes with less of the posterior than this do not count.
const LEAST: f64 = 0.05;

pub(super) struct World {
    pub name: &'static str,
    law: MixtureDenoiser,
}

/// A direction, what was measured along it, and another at a right angle.
pub(super) struct Context {
    pub phi: Array1<f64>,
    pub observed: f64,
    pub across: Array1<f64>,
}

/// Observations of signals: whose, along what, and how much; and the signals themselves, for the oracle.
pub(super) struct Rows {
    pub signals: Vec<usize>,
    pub parameters: Array2<f64>,
    pub observed: Array2<f64>,
    pub truth: Array2<f64>,
}

/// Observations of each signal.
pub(super) const EACH: usize = 3;

impl World {
    fn new(name: &'static str, means: Array2<f64>) -> Result<Self> {
        let mixture = Mixture {
            weights: array![0.3, 0.3, 0.2, 0.2],
            means,
            covariances: Covariances::Spherical(Array1::from_elem(4, SPREAD * SPREAD)),
        };
        Ok(World { name, law: MixtureDenoiser::new(mixture)? })
    }

    pub fn plane() -> Result<Self> {
        World::new("plane", array![[1.0, 0.6], [-1.0, 0.7], [-0.8, -1.0], [0.9, -1.1]])
    }

    pub fn space() -> Result<Self> {
        World::new("space", array![[1.0, 0.6, 0.9], [-1.0, 0.7, -0.8], [-0.8, -1.0, 1.0], [0.9, -1.1, -0.7]])
    }

    pub fn dims(&self) -> usize {
        self.law.mixture().means.ncols()
    }

    /// A unit vector.
    fn direction(&self, rng: &mut quadrat_core::Rng) -> Array1<f64> {
        let v: Array1<f64> = (0..self.dims()).map(|_| rng.normal()).collect();
        &v / v.dot(&v).sqrt()
    }

    pub fn rows(&self, n: usize, seed: Seed) -> Result<Rows> {
        let truth = self.law.sample(n, &Level::CLEAN, seed)?;
        let mut rows = Rows {
            signals: (0..n * EACH).map(|row| row / EACH).collect(),
            parameters: Array2::zeros((n * EACH, self.dims())),
            observed: Array2::zeros((n * EACH, 1)),
            truth,
        };
        for row in 0..n * EACH {
            let mut rng = seed.stream("observations").rng(row as u64);
            let phi = self.direction(&mut rng);
            rows.observed[[row, 0]] = phi.dot(&rows.truth.row(row / EACH)) + NOISE * rng.normal();
            rows.parameters.row_mut(row).assign(&phi);
        }
        Ok(rows)
    }

    /// One measurement of a fresh signal.
    pub fn context(&self, seed: Seed) -> Result<Context> {
        let signal = self.law.sample(1, &Level::CLEAN, seed.stream("signal"))?;
        let mut rng = seed.rng(0);
        let phi = self.direction(&mut rng);
        let observed = phi.dot(&signal.row(0)) + NOISE * rng.normal();
        let mut across = self.direction(&mut rng);
        across = &across - &(&phi * phi.dot(&across));
        across /= across.dot(&across).sqrt();
        Ok(Context { phi, observed, across })
    }

    pub fn posterior(&self, context: &Context) -> Result<MixtureDenoiser> {
        let row = context.phi.view().insert_axis(ndarray::Axis(0));
        self.law.given(row, array![context.observed].view(), NOISE)
    }

    /// Energy distance to draws of the posterior, share of its modes hit, and how far the context is missed.
    pub fn compare(
        &self,
        samples: &Array2<f64>,
        wanted: &Array2<f64>,
        exact: &MixtureDenoiser,
        context: &Context,
    ) -> Result<[f64; 3]> {
        let (distance, _) = mmd2(samples.view(), wanted.view(), &Kernel::Energy)?;
        let mixture = exact.mixture();
        let nearest = |row: ndarray::ArrayView1<f64>| {
            let off = |k: usize| (&mixture.means.row(k) - &row).mapv(|v| v * v).sum();
            (0..4).min_by(|a, b| off(*a).total_cmp(&off(*b))).unwrap_or(0)
        };
        let mut counts = [0usize; 4];
        samples.outer_iter().for_each(|row| counts[nearest(row)] += 1);
        let hit = |k: &usize| counts[*k] as f64 >= 0.2 * mixture.weights[*k] * samples.nrows() as f64;
        let modes: Vec<usize> = (0..4).filter(|k| mixture.weights[*k] > LEAST).collect();
        let share = modes.iter().filter(|k| hit(k)).count() as f64 / modes.len() as f64;
        let missed: Vec<f64> =
            samples.outer_iter().map(|row| (context.phi.dot(&row) - context.observed).abs()).collect();
        Ok([distance, share, stats::mean(&missed)])
    }
}
