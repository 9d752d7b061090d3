//! Feynman-Kac correctors: samples of what several models say together, with weights that make it exact.
//!
//! Skreta, Akhound-Sadegh, Ohanesian, Bondesan, Aspuru-Guzik, Doucet, Brekelmans, Tong, Neklyudov, "Feynman-Kac Correctors in
//! Diffusion: Annealing, Guidance, and Product of Experts", ICML 2025 (arXiv 2503.02819).
//!
//! A [`Target`] is a law that is stated: Π qᵢ^bᵢ exp(r), such as one model colder (q^b), the product of two, classifier-free guidance
//! or a model tilted by a reward. To add the scores Σ bᵢ ∇ ln qᵢ does not sample it, since at no level of noise are the noised laws'
//! powers the noised law of the powers. Particles that follow the added scores, and carry weights for the difference, do.
//!
//! It is computed for y = x/α, where all schedules are one: noise ρ = σ/α is added to the data and nothing drifts. With sᵢ the score
//! of qᵢ in y, S = Σ bᵢ sᵢ, c the part of the reward that counts at this level (0 at the noise, 1 at the end), z the noise that is
//! added on the way and v = ρ² falling, the law pᵥ ∝ Π qᵢ^bᵢ exp(c r) is kept by
//!
//! - dy = ((1 + z)/2 S + z/2 c ∇r) dv + √(z dv) · noise,
//! - d ln w = (|S|² - Σ bᵢ |sᵢ|² + c ⟨S, ∇r⟩)/2 dv + r dc.
//!
//! The paper states this case by case, with terms for the drift of the noising; here it has none. Π qᵢ^bᵢ is the same law in x and in
//! y but for a constant, while a reward sees y, which has the data's size at all levels.
//!
//! Choices of ours:
//! - Scores are what the data predictions Dᵢ say: sᵢ = (Dᵢ - y)/v, so that S pulls to D̄ = Σ bᵢ Dᵢ / Σ bᵢ. A step solves the equation
//!   for y exactly while D̄ is what it will be half-way, by the line through its last two values; the weight takes the mean of its
//!   rate at both ends. For one model that is DPM-Solver++(2M), with noise its stochastic form. The paper takes Euler's rule for both.
//!   For a mixture's third power, 100 such steps gave ln Z to 0.1 where 400 of Euler's were off by 0.5 to 0.8.
//! - z is 4, not the paper's 1 or 1/b. While all is noise, ln w is an integral of |y|²/v along the path; its exponential has a finite
//!   variance for z b/(b - 1) above 3 + √8 (or below 3 - √8), where b = Σ bᵢ is above 1: for z above 3.9 at b = 3. More noise is more
//!   of Langevin's motion, which wants more steps: with 200 of them a z of 16 was less accurate than 8.
//! - Resampled is where the effective sample size falls below a share of the particles; the paper does so at every step (share 1). At
//!   the last level nothing is resampled any more: weights are left as they are.
//! - The start is N(0, ρ²/Σ bᵢ), as the paper's: right where the noise is far wider than the data. What it lacks is not corrected.
//! - The end is the least level of the grid, not clean data: the law that the weights are right for.
//! - The authors' code clips weights, puts a floor below them, and resamples in part of the time only. All of these bias, none is here.
//!
//! What it cannot do: weights move no particle from mode to mode. Where the noise is low the modes are settled, and where the added
//! scores are nearly right, resampling adds more noise than it takes bias away.

mod island;
mod target;

pub use target::{Reward, Target};

use crate::{Grid, Level, Schedule};
use island::{Island, Step};
use ndarray::{Array2, Axis};
use quadrat_core::{Area, Card, Error, Method, Progress, Result, Seed, Settings, checkpoint};
use quadrat_numeric::particles::{Resampling, log_mean_exp, normalised};
use rayon::prelude::*;

/// Samples from a [`Target`].
#[derive(Debug, Clone, PartialEq, Settings)]
pub struct FeynmanKac {
    /// Particles of an island.
    #[param(default = 1024, from = 2)]
    pub particles: usize,
    /// Islands, which know nothing of each other until their weights are put together.
    #[param(default = 1, from = 1)]
    pub islands: usize,
    /// Steps from the noise to the least noise.
    #[param(default = 200, from = 1)]
    pub steps: usize,
    /// How particles are resampled.
    #[param(default = Resampling::Systematic)]
    pub resampling: Resampling,
    /// The share of the particles below which the effective sample size is when they are resampled. 0 is never and 1 at every step.
    #[param(default = 0.5, from = 0, to = 1)]
    pub threshold: f64,
    /// Noise added on the way (z). 0 solves an ordinary equation, where copies stay copies; 1 adds as much as the noising did.
    #[param(default = 4.0, from = 0)]
    pub noise: f64,
}

impl Method for FeynmanKac {
    const CARD: Card = Card {
        slug: "feynman-kac-correctors",
        aliases: &["feynman-kac", "fkc"],
        title: "Feynman-Kac correctors: combinations of diffusion models, sampled as stated",
        paper: "Skreta, Akhound-Sadegh, Ohanesian, Bondesan, Aspuru-Guzik, Doucet, Brekelmans, Tong, Neklyudov, Feynman-Kac Correctors \
                in Diffusion: Annealing, Guidance, and Product of Experts, ICML 2025, arXiv 2503.02819",
        area: Area::Diffusion,
        verbs: &["diffuse"],
        summary: "Weighted particles that sample a stated combination of diffusion models: a colder or hotter law, a product, guidance, a \
                  reward; with the effective sample size and the logarithm of the normalising constant.",
        useful_when: "combine two diffusion models, product of experts, lower the temperature of a model, classifier-free guidance that \
                      samples the law it claims, tilt by a reward with a gradient, sequential Monte Carlo, inference-time scaling",
        cost: "a call of each model a step and particle, and a few hundred nanoseconds for moving, weighing and resampling it",
        params: Self::PARAMS,
    };
}

/// Weighted samples, and how it went.
#[derive(Debug, Clone, PartialEq)]
pub struct Weighted {
    /// Samples of the data's size at the least level of noise, one a row.
    pub x: Array2<f64>,
    /// ln of each sample's weight; the weights' mean is 1.
    pub log_weights: Vec<f64>,
    /// Effective sample size after each step, before resampling: the sum over islands.
    pub ess: Vec<f64>,
    /// First particles that have a descendant left after each step: the sum over islands.
    pub unique: Vec<usize>,
    /// ln ∫ Π qᵢ^bᵢ exp(r) at the least level, for densities in the data's coordinates.
    pub log_z: f64,
    /// Calls of the models, each for all particles of an island.
    pub calls: usize,
}

impl Weighted {
    /// The weights, which sum to 1.
    pub fn shares(&self) -> Vec<f64> {
        normalised(&self.log_weights)
    }

    /// `n` samples of equal weight, by systematic resampling.
    ///
    /// # Errors
    /// Weights that are no longer those of a run.
    pub fn draw(&self, n: usize, seed: Seed) -> Result<Array2<f64>> {
        let rows = Resampling::Systematic.ancestors(&self.log_weights, n, &mut seed.stream("draw").rng(0))?;
        Ok(self.x.select(Axis(0), &rows))
    }
}

/// Samples that are moved at a time.
const BLOCK: usize = 256;

impl FeynmanKac {
    /// Runs the particles down the levels of `grid`.
    ///
    /// Particle i of island m draws from `seed.stream("island m").rng(i)`, resampling from `stream("resampling")` of that. Memory: a few
    /// copies of the particles.
    ///
    /// # Errors
    /// Settings out of range, a schedule or grid that is none, exponents whose sum is not above 0, a model's answer that is not
    /// finite (with step and term), samples that run away, the user's cancelling.
    ///
    /// ```
    /// use ndarray::array;
    /// use quadrat_core::{Seed, Silent};
    /// use quadrat_diffusion::{FeynmanKac, Grid, MixtureDenoiser, Schedule, Target};
    /// // Two modes of equal width, three quarters and one quarter; squared, nine tenths and one.
    /// let rows = array![[-3.0], [-3.0], [-3.0], [3.0]];
    /// let model = MixtureDenoiser::kernel(rows.view(), 0.5)?;
    /// let method = FeynmanKac { islands: 8, steps: 200, ..FeynmanKac::default() };
    /// let found = method.run(&Target::annealing(&model, 2.0), &Schedule::edm(), &Grid::Karras, Seed(1), &Silent)?;
    /// let left: f64 = found.shares().iter().zip(found.x.column(0)).filter(|(_, x)| **x < 0.0).map(|(w, _)| w).sum();
    /// assert!((left - 0.9).abs() < 0.1);
    /// # Ok::<(), quadrat_core::Error>(())
    /// ```
    pub fn run(
        &self,
        target: &Target,
        schedule: &Schedule,
        grid: &Grid,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Weighted> {
        self.check()?;
        target.check()?;
        schedule.check()?;
        // The last of the grid's times is clean data.
        let times = grid.times(schedule, self.steps + 1)?;
        let levels: Vec<Level> = times[..=self.steps].iter().map(|t| schedule.level(*t)).collect();
        progress.begin("steps", Some((self.steps * self.islands) as u64));
        let island = |m: usize| self.island(target, &levels, seed.stream(&format!("island {m}")), progress);
        let islands = (0..self.islands).into_par_iter().map(island).collect::<Result<Vec<_>>>()?;
        let views: Vec<_> = islands.iter().map(|island| island.y.view()).collect();
        let x = ndarray::concatenate(Axis(0), &views).map_err(|e| Error::numeric("feynman-kac", e.to_string()))?;
        let mut log_weights: Vec<f64> =
            islands.iter().flat_map(|m| m.log_weights.iter().map(move |w| w + m.log_z)).collect();
        let mean = log_mean_exp(&log_weights);
        log_weights.iter_mut().for_each(|w| *w -= mean);
        let sum = |k: usize| islands.iter().map(|island| island.trace[k].0).sum();
        let alive = |k: usize| islands.iter().map(|island| island.trace[k].1).sum();
        Ok(Weighted {
            x,
            log_weights,
            ess: (0..self.steps).map(sum).collect(),
            unique: (0..self.steps).map(alive).collect(),
            log_z: mean + target.log_start(&levels[0]),
            calls: (self.steps + 1) * target.terms() * self.islands,
        })
    }

    fn check(&self) -> Result<()> {
        for (what, got, least) in
            [("particles", self.particles, 2), ("steps", self.steps, 1), ("islands", self.islands, 1)]
        {
            if got < least {
                return Err(Error::input(what, got, format!("at least {least}")));
            }
        }
        if !(self.noise >= 0.0 && self.noise.is_finite()) {
            return Err(Error::input("noise", self.noise, "a finite number, at least 0"));
        }
        if !(0.0..=1.0).contains(&self.threshold) {
            return Err(Error::input("threshold", self.threshold, "a share of the particles, from 0 to 1"));
        }
        Ok(())
    }

    fn island(&self, target: &Target, levels: &[Level], seed: Seed, progress: &dyn Progress) -> Result<Island> {
        let mut island = Island::start(self.particles, target, &levels[0], seed);
        let ends = [&levels[0], &levels[self.steps]];
        let (mut half, mut before) = (0.0, 0.0);
        for (k, level) in levels.iter().enumerate() {
            checkpoint(progress)?;
            let share = target.share(level, ends);
            let mut look = target.look(&island.y, level, share).map_err(|e| at(&format!("level {k}"), e))?;
            if k > 0 {
                island.weigh(&look, half, 0.5 * (share - before));
                let few = island.note(k)? < self.threshold * self.particles as f64;
                if few && k < self.steps {
                    let ancestors = island.resample(self.resampling)?;
                    look.select(&ancestors);
                }
            }
            if let Some(next) = levels.get(k + 1) {
                let [v, w] = [level, next].map(|level| level.ratio().powi(2));
                (half, before) = (0.5 * (v - w), share);
                island.weigh(&look, half, 0.5 * (target.share(next, ends) - share));
                island.advance(look, &Step::new(target.exponent(), self.noise, v, w));
                island.stay_near(k + 1)?;
                progress.advance(1);
            }
        }
        Ok(island)
    }
}

/// Says where an error of numbers came up.
fn at(place: &str, error: Error) -> Error {
    match error {
        Error::Numeric { place: within, why } => Error::numeric("feynman-kac", format!("{place}: {within}: {why}")),
        other => other,
    }
}

#[cfg(test)]
mod tests;
