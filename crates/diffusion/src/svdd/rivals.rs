//! What else a user may do with as many calls of the model.

use super::engine::{Guided, Reward, Run, Value, logs};
use crate::ReverseKernel;
use quadrat_core::{Error, Progress, Result, Seed};
use quadrat_numeric::particles::{Resampling, effective};

/// The best of several of the model's own samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BestOf {
    /// Samples of which one is returned, the first of equals.
    pub candidates: usize,
}

impl BestOf {
    /// Draws `n` samples, each the best of so many.
    ///
    /// # Errors
    /// No sample, no candidate, rewards that are NaN or +inf (with their number) or too few, the model's and the
    /// reward's own, a cancelled run.
    pub fn draw<K: ReverseKernel>(
        &self,
        kernel: &K,
        reward: Reward<K::State>,
        n: usize,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Guided<K::State>> {
        if self.candidates == 0 {
            return Err(Error::input("candidates", 0, "at least 1"));
        }
        let mut run = Run::start(kernel, Value::PosteriorMean, reward, n * self.candidates, seed, progress)?;
        for step in 1..=kernel.steps() {
            if step < kernel.steps() { run.draw(1)? } else { run.step(1)? }
        }
        let best = |(group, values): (usize, &[f64])| {
            let first = (0..values.len()).fold(0, |best, i| if values[i] > values[best] { i } else { best });
            group * self.candidates + first
        };
        let kept: Vec<usize> = run.values.chunks(self.candidates).enumerate().map(best).collect();
        run.keep(&kept);
        Ok(run.end())
    }
}

/// Sequential Monte Carlo: particles that stand for p(x₀) exp(r(x₀)/α) together, weighed by how their values change at
/// each step.
///
/// As the number of particles grows it is exact whatever the values; for few of them samples become copies of each
/// other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Smc {
    /// Particles of a group.
    pub particles: usize,
    /// Temperature, above 0.
    pub alpha: f64,
}

impl Smc {
    /// Draws groups of particles that do not look at each other, and returns all particles, group after group. A group
    /// is resampled when its effective number falls below half of its particles, and at the end. Group g draws from
    /// `seed.stream("resample").rng(g)`.
    ///
    /// # Errors
    /// As [`Svdd::draw`](super::Svdd::draw).
    pub fn draw<K: ReverseKernel>(
        &self,
        kernel: &K,
        value: Value<K::State>,
        reward: Reward<K::State>,
        groups: usize,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Guided<K::State>> {
        let size = self.particles;
        if size == 0 {
            return Err(Error::input("particles", 0, "at least 1"));
        }
        if !(self.alpha > 0.0 && self.alpha.is_finite()) {
            return Err(Error::input("alpha", self.alpha, "a finite number above 0"));
        }
        let mut rngs: Vec<_> = (0..groups as u64).map(|g| seed.stream("resample").rng(g)).collect();
        let mut run = Run::start(kernel, value, reward, groups * size, seed, progress)?;
        // The values that were paid for: weights are products of exp((v' - v)/α) since the last resampling, which is
        // the first and the last value alone. Before any resampling nothing was.
        let mut paid = vec![0.0; groups * size];
        for step in 1..=kernel.steps() {
            run.step(1)?;
            let (mut kept, mut effectives) = (Vec::with_capacity(paid.len()), 0.0);
            for (group, rng) in rngs.iter_mut().enumerate() {
                let own = group * size..(group + 1) * size;
                let gains: Vec<f64> = own.clone().map(|i| run.values[i] - paid[i]).collect();
                let weights = logs(&gains, self.alpha);
                let left = effective(&weights);
                effectives += left;
                let forbidden = left == 0.0;
                run.forbidden += usize::from(forbidden);
                if !forbidden && (step == kernel.steps() || left < 0.5 * size as f64) {
                    let ancestors = Resampling::Systematic.ancestors(&weights, size, rng)?;
                    kept.extend(ancestors.iter().map(|a| own.start + a));
                    own.zip(&ancestors).for_each(|(i, a)| paid[i] = run.values[group * size + a]);
                } else {
                    kept.extend(own);
                }
            }
            run.ess.push(effectives / groups as f64);
            run.keep(&kept);
        }
        Ok(run.end())
    }
}
