//! The combinations, and what is true of them.

use crate::Figure;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, array};
use quadrat_core::{Result, Seed, Silent, stats};
use quadrat_data::builtin;
use quadrat_diffusion::feynman_kac::Weighted;
use quadrat_diffusion::{Denoiser, FeynmanKac, Grid, Level, MixtureDenoiser, Schedule, Target};
use quadrat_numeric::mixture::{Covariances, Mixture};
use quadrat_numeric::particles::{Resampling, log_mean_exp, normalised};
use quadrat_numeric::transport::sliced_wasserstein1;

/// The grid of the plane: from -REACH to REACH in both directions, in cells of this width.
const REACH: f64 = 8.0;
const CELL: f64 = 0.05;
/// Samples and directions behind a sliced distance.
const DRAWN: usize = 1000;
const DIRECTIONS: usize = 16;
/// Difference of mean energies, in standard deviations of the exact one.
pub(super) const ENERGY: &str = "error of the mean energy/digits";

/// Noise from 20 to 0.02.
pub(super) fn schedule() -> Schedule {
    Schedule::Exploding { sigma: [0.02, 20.0] }
}

fn least() -> Level {
    schedule().level(schedule().times()[0])
}

/// Mixtures to powers, in the plane.
pub(super) struct Case {
    pub name: &'static str,
    models: Vec<(MixtureDenoiser, f64)>,
    modes: Array2<f64>,
    /// Centres of cells, and ln of the law there.
    cells: Array2<f64>,
    logs: Vec<f64>,
    /// What is true: each mode's mass, and ln Z.
    masses: Vec<f64>,
    pub log_z: f64,
}

fn spheres(weights: Array1<f64>, means: Array2<f64>, variances: Array1<f64>) -> Result<MixtureDenoiser> {
    MixtureDenoiser::new(Mixture { weights, means, covariances: Covariances::Spherical(variances) })
}

impl Case {
    /// The third power of three modes of different mass and width.
    pub fn annealed() -> Result<Case> {
        let modes = array![[-3.0, 0.0], [3.0, 0.0], [0.0, 4.0]];
        let model = spheres(array![0.6, 0.3, 0.1], modes.clone(), array![0.5, 0.25, 1.0])?;
        Case::new("annealed", vec![(model, 3.0)], modes)
    }

    /// Guidance of scale 2 between four modes, and three of them in other shares.
    pub fn guided() -> Result<Case> {
        let modes = array![[2.5, 2.5], [-2.5, 2.5], [-2.5, -2.5], [2.5, -2.5]];
        let without = spheres(array![0.4, 0.3, 0.2, 0.1], modes.clone(), array![0.6, 0.6, 0.6, 0.6])?;
        let with = spheres(array![0.5, 0.3, 0.2, 0.0001], modes.clone(), array![0.5, 0.3, 0.2, 0.4])?;
        Case::new("guided", vec![(without, -1.0), (with, 2.0)], modes)
    }

    /// Two mixtures whose modes lie near each other's, in other shares and widths.
    pub fn product() -> Result<Case> {
        let modes = array![[-3.0, 0.0], [3.0, 0.0], [0.0, 4.0]];
        let one = spheres(array![0.5, 0.3, 0.2], modes.clone(), array![0.5, 0.25, 0.8])?;
        let moved = array![[-2.5, 0.5], [3.0, 0.8], [0.5, 4.0]];
        let other = spheres(array![0.2, 0.3, 0.5], moved, array![0.4, 0.6, 0.3])?;
        Case::new("product", vec![(one, 1.0), (other, 1.0)], modes)
    }

    /// The square of three modes that are nearly alike.
    pub fn even() -> Result<Case> {
        let modes = array![[-3.0, 0.0], [3.0, 0.0], [0.0, 4.0]];
        let model = spheres(array![0.34, 0.33, 0.33], modes.clone(), array![0.5, 0.5, 0.5])?;
        Case::new("even", vec![(model, 2.0)], modes)
    }

    /// A normal law in one dimension.
    pub fn normal(variance: f64) -> Result<MixtureDenoiser> {
        spheres(array![1.0], array![[0.0]], array![variance])
    }

    fn new(name: &'static str, models: Vec<(MixtureDenoiser, f64)>, modes: Array2<f64>) -> Result<Case> {
        let side = (2.0 * REACH / CELL) as usize;
        let at = |i: usize| (i as f64 + 0.5) * CELL - REACH;
        let cells = Array2::from_shape_fn((side * side, 2), |(i, j)| at(if j == 0 { i / side } else { i % side }));
        let mut logs = vec![0.0; cells.nrows()];
        for (model, power) in &models {
            let all = model.log_density(cells.view(), &least())?;
            logs.iter_mut().zip(all).for_each(|(log, one)| *log += power * one);
        }
        let log_z = log_mean_exp(&logs) + (2.0 * REACH).powi(2).ln();
        let mut case = Case { name, models, modes, cells, logs, masses: Vec::new(), log_z };
        case.masses = case.mass_of_modes(case.cells.view(), &normalised(&case.logs));
        Ok(case)
    }

    /// The first model.
    pub fn model(&self) -> &MixtureDenoiser {
        &self.models[0].0
    }

    pub fn run(&self, method: &FeynmanKac, seed: Seed) -> Result<Weighted> {
        let terms = self.models.iter().map(|(model, power)| (model as &dyn Denoiser, *power)).collect();
        method.run(&Target::new(terms), &schedule(), &Grid::Karras, seed, &Silent)
    }

    /// A run's distance of mode masses and sliced Wasserstein distance; without the weights, where they are `ignored`.
    pub fn errors(&self, method: &FeynmanKac, ignored: bool, seed: Seed) -> Result<[f64; 2]> {
        let mut found = self.run(method, seed)?;
        if ignored {
            found.log_weights.fill(0.0);
        }
        let drawn = found.draw(DRAWN, seed)?;
        let exact = self.draw(DRAWN, seed.stream("exact"))?;
        let apart = sliced_wasserstein1(drawn.view(), exact.view(), DIRECTIONS, seed.stream("directions"))?;
        Ok([self.off(found.x.view(), &found.shares()), apart])
    }

    /// `n` draws of the law, uniform within a cell.
    pub fn draw(&self, n: usize, seed: Seed) -> Result<Array2<f64>> {
        let mut rng = seed.rng(0);
        let rows = Resampling::Multinomial.ancestors(&self.logs, n, &mut rng)?;
        let mut drawn = self.cells.select(Axis(0), &rows);
        drawn.mapv_inplace(|v| v + CELL * (rng.uniform() - 0.5));
        Ok(drawn)
    }

    /// Total variation between the masses of modes and what is true; at least the chance that nobody can see.
    pub fn off(&self, x: ArrayView2<f64>, shares: &[f64]) -> f64 {
        let found = self.mass_of_modes(x, shares);
        let apart: f64 = found.iter().zip(&self.masses).map(|(a, b)| (a - b).abs()).sum();
        (0.5 * apart).max(1e-4)
    }

    fn mass_of_modes(&self, x: ArrayView2<f64>, shares: &[f64]) -> Vec<f64> {
        let mut masses = vec![0.0; self.modes.nrows()];
        for (x, share) in x.outer_iter().zip(shares) {
            let far = |mode: ArrayView1<f64>| (&x - &mode).mapv(|v| v * v).sum();
            let near: Vec<f64> = self.modes.outer_iter().map(far).collect();
            let mode = (0..near.len()).min_by(|a, b| near[*a].total_cmp(&near[*b])).unwrap_or(0);
            masses[mode] += share;
        }
        masses
    }
}

/// What looks like a 3 and like an 8: the product of two kernel estimates over 8 x 8 digits, itself a mixture over all pairs.
pub(super) struct Digits {
    models: [MixtureDenoiser; 2],
    /// A row of each class, and the pair's weight.
    pairs: Vec<(usize, usize)>,
    logs: Vec<f64>,
}

/// Standard deviation of the kernels, for pixels from 0 to 1.
const BANDWIDTH: f64 = 0.3;

impl Digits {
    pub fn new() -> Result<Digits> {
        let (pixels, digits, names) = builtin::labelled("digits")?;
        let class = |name: &str| {
            let rows: Vec<usize> = (0..digits.len()).filter(|i| names[digits[*i] as usize] == name).collect();
            MixtureDenoiser::kernel(pixels.select(Axis(0), &rows).mapv(|v| v / 16.0).view(), BANDWIDTH)
        };
        let models = [class("3")?, class("8")?];
        let [threes, eights] = [0, 1].map(|i| &models[i].mixture().means);
        let variance = BANDWIDTH * BANDWIDTH + least().sigma.powi(2);
        let pairs: Vec<(usize, usize)> =
            (0..threes.nrows()).flat_map(|i| (0..eights.nrows()).map(move |j| (i, j))).collect();
        let apart = |(i, j): &(usize, usize)| (&threes.row(*i) - &eights.row(*j)).mapv(|v| v * v).sum();
        let logs = pairs.iter().map(|pair| -0.25 * apart(pair) / variance).collect();
        Ok(Digits { models, pairs, logs })
    }

    fn energy(&self, x: ArrayView2<f64>) -> Result<Vec<f64>> {
        let [one, other] = [self.models[0].log_density(x, &least())?, self.models[1].log_density(x, &least())?];
        Ok(one.iter().zip(other).map(|(a, b)| -a - b).collect())
    }

    fn draw(&self, n: usize, seed: Seed) -> Result<Array2<f64>> {
        let mut rng = seed.rng(0);
        let chosen = Resampling::Multinomial.ancestors(&self.logs, n, &mut rng)?;
        let [threes, eights] = [0, 1].map(|i| &self.models[i].mixture().means);
        let deviation = (0.5 * (BANDWIDTH * BANDWIDTH + least().sigma.powi(2))).sqrt();
        let mut x = Array2::zeros((n, threes.ncols()));
        for (mut row, pair) in x.outer_iter_mut().zip(chosen) {
            let (i, j) = self.pairs[pair];
            let middle = 0.5 * (&threes.row(i) + &eights.row(j));
            row.assign(&middle.mapv(|v| v + deviation * rng.normal()));
        }
        Ok(x)
    }

    /// How far each arm's mean energy is from that of many exact draws; `exact` is as many exact draws as there are particles.
    pub fn figures(&self, arms: [(&str, FeynmanKac); 2], exact: &str, seed: Seed) -> Result<Vec<Figure>> {
        let true_energy = self.energy(self.draw(20_000, seed.stream("truth"))?.view())?;
        let (mean, scale) = (stats::mean(&true_energy), stats::standard_deviation(&true_energy));
        let off = |found: f64| (found - mean).abs() / scale;
        let drawn = self.energy(self.draw(arms[0].1.particles, seed.stream("exact"))?.view())?;
        let mut figures = vec![(exact.to_owned(), ENERGY.to_owned(), off(stats::mean(&drawn)))];
        for (arm, method) in arms {
            let target = Target::product(&[&self.models[0], &self.models[1]], 1.0);
            let found = method.run(&target, &schedule(), &Grid::Karras, seed.stream(arm), &Silent)?;
            let energy = self.energy(found.x.view())?;
            let ignored = method.threshold == 0.0;
            let shares = if ignored { vec![1.0 / energy.len() as f64; energy.len()] } else { found.shares() };
            figures.push((arm.to_owned(), ENERGY.to_owned(), off(energy.iter().zip(shares).map(|(e, w)| e * w).sum())));
        }
        Ok(figures)
    }
}
