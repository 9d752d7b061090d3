//! Samples with a high reward, without its gradient: at every step a few candidates, of which the promising ones are
//! kept.
//!
//! Li et al., "Derivative-Free Guidance in Continuous and Discrete Diffusion Models with Soft Value-Based Decoding"
//! (arXiv 2408.08252). The soft value of a state is v(x) = α ln E\[exp(r(x₀)/α) | x\], where the rest of the way is the
//! model's own. If every step were drawn in proportion to p(x' | x) exp(v(x')/α), the end would follow p(x₀)
//! exp(r(x₀)/α) exactly: high rewards, as natural as that leaves them. [`Svdd`] draws M candidates from the model's
//! step and keeps one in proportion to exp(v/α), which comes to the same as M grows. Samples do not look at each other.
//!
//! The value is seldom known. [`Value::PosteriorMean`] takes the reward of what the model guesses the data to be; that
//! is too sure early on, and rewards overshoot at the price of naturalness, so look at a likelihood beside the reward.
//! [`Value::Given`] is any function, such as a learnt one.
//!
//! Beyond the paper: what the model was asked for a candidate's value is what the next step starts from, so that
//! posterior means cost M calls a step and not M + 1; and steps that draw nothing have one candidate.
//!
//! [`Smc`] and [`BestOf`] are the rivals, on the same engine.

mod engine;
mod rivals;

pub use engine::{Guided, Promise, Reward, Value, reward_deviation};
pub use rivals::{BestOf, Smc};

use crate::ReverseKernel;
use engine::{Run, logs};
use quadrat_core::{Area, Card, Error, Method, Progress, Result, Rng, Seed, Settings};
use quadrat_numeric::particles::{Resampling, effective, normalised};
use rayon::prelude::*;

/// Soft value-based decoding.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct Svdd {
    /// Candidates of each sample at a step (M).
    #[param(default = 10, from = 1)]
    pub candidates: usize,
    /// Temperature in the reward's unit: 0 keeps the best candidate, more stays nearer to the model's own samples.
    #[param(default = 0.0, from = 0)]
    pub alpha: f64,
    /// Whether unpromising samples are replaced by copies of others at every step (SVDD-R); alpha must be above 0.
    #[param(default = false)]
    pub replace: bool,
}

impl Method for Svdd {
    const CARD: Card = Card {
        slug: "svdd",
        aliases: &["soft-value-decoding", "svdd-r"],
        title: "SVDD: soft value-based decoding in diffusion",
        paper: "Li, Zhao, Wang, Scalia, Eraslan, Nair, Biancalani, Regev, Levine, Uehara: Derivative-Free Guidance in Continuous and \
                Discrete Diffusion Models with Soft Value-Based Decoding. 2024, arXiv 2408.08252",
        area: Area::Diffusion,
        verbs: &["diffuse"],
        summary: "Samples of a diffusion model, continuous or of masked tokens, with a high reward by any program: several candidates at \
                  each step, of which one is kept by how promising it looks.",
        useful_when: "guide a diffusion model by a black-box reward, no gradient, simulator or score as objective, optimise generated \
                      designs and keep them natural, reward-guided sampling, inference-time alignment",
        cost: "steps x samples x candidates calls of the model and of the reward (a sample's candidates in one batch with all others); \
               memory samples x candidates",
        params: Self::PARAMS,
    };
}

impl Svdd {
    /// Draws `n` samples. Sample i draws from `seed.stream("samples").rng(i)`, replacement at step k from
    /// `seed.stream("replace").rng(k)`.
    ///
    /// # Errors
    /// No sample, no candidate, an alpha that is below 0 or not finite, replacement at alpha 0, several candidates of a
    /// kernel that draws nothing, values or rewards that are NaN or +inf (with their number) or too few, the model's
    /// and the reward's own, a cancelled run.
    ///
    /// ```
    /// use ndarray::array;
    /// use quadrat_core::{Seed, Silent};
    /// use quadrat_diffusion::{AncestralKernel, Grid, MixtureDenoiser, Schedule, Solver};
    /// use quadrat_diffusion::svdd::{Svdd, Value};
    /// // Data about -1 and 1; what lies further to the right is better.
    /// let denoiser = MixtureDenoiser::kernel(array![[-1.0], [1.0]].view(), 0.2)?;
    /// let plan = Solver::Ddpm.plan(Schedule::linear(), &Grid::LogSnr, 20)?;
    /// let kernel = AncestralKernel::new(&denoiser, &plan)?;
    /// let reward = |x: &[Vec<f64>]| Ok(x.iter().map(|x| x[0]).collect());
    /// let svdd = Svdd { alpha: 0.1, ..Svdd::default() };
    /// let found = svdd.draw(&kernel, Value::PosteriorMean, &reward, 20, Seed(1), &Silent)?;
    /// assert!(found.rewards.iter().all(|r| *r > 0.0));
    /// # Ok::<(), quadrat_core::Error>(())
    /// ```
    pub fn draw<K: ReverseKernel>(
        &self,
        kernel: &K,
        value: Value<K::State>,
        reward: Reward<K::State>,
        n: usize,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Guided<K::State>> {
        self.check()?;
        if self.candidates > 1 && !(0..kernel.steps()).any(|step| kernel.is_stochastic(step)) {
            let want = "1 with a solver that draws no noise: all candidates would be alike (set eta above 0)";
            return Err(Error::input("candidates", self.candidates, want));
        }
        let mut run = Run::start(kernel, value, reward, n, seed, progress)?;
        for step in 0..kernel.steps() {
            let candidates = if kernel.is_stochastic(step) { self.candidates } else { 1 };
            run.step(candidates)?;
            let each = run.values.par_chunks(candidates).zip(&mut run.rngs);
            let choices: Vec<Choice> = each.map(|(values, rng)| choose(values, self.alpha, rng)).collect();
            run.forbidden += choices.iter().filter(|choice| choice.forbidden).count();
            let kept: Vec<usize> = choices.iter().enumerate().map(|(i, c)| i * candidates + c.kept).collect();
            run.keep(&kept);
            if self.replace {
                self.replace(&mut run, seed.stream("replace").rng(step as u64))?;
            } else {
                run.ess.push(choices.iter().map(|choice| choice.effective).sum::<f64>() / n as f64);
            }
        }
        Ok(run.end())
    }

    /// Resamples across the batch, in proportion to exp(v/α).
    fn replace<K: ReverseKernel>(&self, run: &mut Run<K>, mut rng: Rng) -> Result<()> {
        let weights = logs(&run.values, self.alpha);
        run.ess.push(effective(&weights));
        if weights.iter().any(|w| *w > f64::NEG_INFINITY) {
            let kept = Resampling::Systematic.ancestors(&weights, weights.len(), &mut rng)?;
            run.keep(&kept);
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        if self.candidates == 0 {
            return Err(Error::input("candidates", 0, "at least 1"));
        }
        if !(self.alpha >= 0.0 && self.alpha.is_finite()) {
            return Err(Error::input("alpha", self.alpha, "a finite number of at least 0"));
        }
        if self.replace && self.alpha == 0.0 {
            let want = "an alpha above 0 with `replace`: with 0 all samples would become copies of the best";
            return Err(Error::input("alpha", 0, want));
        }
        Ok(())
    }
}

/// Which of a sample's candidates is kept.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Choice {
    kept: usize,
    /// The effective number of candidates.
    effective: f64,
    /// Whether all were forbidden.
    forbidden: bool,
}

/// One of the candidates in proportion to exp(v/α); where all are forbidden, any.
fn choose(values: &[f64], alpha: f64, rng: &mut Rng) -> Choice {
    let weights = logs(values, alpha);
    let forbidden = weights.iter().all(|w| *w == f64::NEG_INFINITY);
    let kept = match (forbidden, values.len()) {
        (_, 1) => 0,
        (true, among) => rng.below(among),
        (false, _) => rng.weighted(&normalised(&weights)),
    };
    Choice { kept, effective: effective(&weights), forbidden }
}

#[cfg(test)]
mod tests;
