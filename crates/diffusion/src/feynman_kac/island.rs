//! Particles on their way: steps, weights, resampling.

use super::BLOCK;
use super::target::{Look, Target};
use crate::Level;
use ndarray::Array2;
use quadrat_core::{Error, Result, Rng, Seed};
use quadrat_numeric::particles::{Resampling, effective, log_mean_exp};
use rayon::prelude::*;

/// Standard deviations of the start beyond which no sample should be.
const FAR: f64 = 100.0;

/// What a step from v to a lower one does to a sample: y becomes D̄ + keep (y - D̄) + kick c ∇r, and noise of this deviation is added.
pub(super) struct Step {
    /// ln of v before over v after.
    pub length: f64,
    pub keep: f64,
    pub kick: f64,
    pub noise: f64,
}

impl Step {
    pub fn new(exponent: f64, z: f64, from: f64, to: f64) -> Self {
        // dy = -a (y - D̄) dv/v + √z dW, solved with D̄ fixed: z ∫ (to/u)^2a du is the variance.
        let (a, length) = (0.5 * (1.0 + z) * exponent, (from / to).ln());
        let m = 2.0 * a - 1.0;
        let spread = if (m * length).abs() < 1e-9 { length } else { -(-m * length).exp_m1() / m };
        Step { length, keep: (-a * length).exp(), kick: 0.5 * z * (from - to), noise: (z * to * spread).sqrt() }
    }
}

/// Particles that share their weights.
pub(super) struct Island {
    pub y: Array2<f64>,
    /// D̄ before the last step, and the step's length.
    last: Option<(Array2<f64>, f64)>,
    pub log_weights: Vec<f64>,
    /// The mean weight at all resamplings.
    pub log_z: f64,
    /// The first particle that each descends from, ascending.
    roots: Vec<usize>,
    /// Effective sample size and number of roots after each step.
    pub trace: Vec<(f64, usize)>,
    far: f64,
    rngs: Vec<Rng>,
    resampling: Rng,
}

impl Island {
    pub fn start(particles: usize, target: &Target, at: &Level, seed: Seed) -> Self {
        let deviation = at.ratio() / target.exponent().sqrt();
        let mut rngs: Vec<Rng> = (0..particles as u64).map(|i| seed.rng(i)).collect();
        let mut y = Array2::zeros((particles, target.dims()));
        for (mut row, rng) in y.outer_iter_mut().zip(&mut rngs) {
            row.iter_mut().for_each(|v| *v = deviation * rng.normal());
        }
        Island {
            y,
            last: None,
            log_weights: vec![0.0; particles],
            log_z: 0.0,
            roots: (0..particles).collect(),
            trace: Vec::new(),
            far: FAR * deviation,
            rngs,
            resampling: seed.stream("resampling").rng(0),
        }
    }

    /// Half a step of the weights: `half` of the fall of v, and of the rise of the reward's share.
    pub fn weigh(&mut self, look: &Look, half: f64, rise: f64) {
        self.log_weights.iter_mut().zip(&look.rate).for_each(|(w, rate)| *w += half * rate);
        if let Some((reward, _)) = &look.reward {
            self.log_weights.iter_mut().zip(reward).for_each(|(w, r)| *w += rise * r);
        }
    }

    /// Keeps the effective sample size, and returns it.
    pub fn note(&mut self, k: usize) -> Result<f64> {
        if let Some(i) = self.log_weights.iter().position(|w| !w.is_finite()) {
            let why =
                format!("the weight of particle {i} is not finite at level {k}: take more steps or milder exponents");
            return Err(Error::numeric("feynman-kac", why));
        }
        let ess = effective(&self.log_weights);
        let alive = 1 + self.roots.windows(2).filter(|pair| pair[0] != pair[1]).count();
        self.trace.push((ess, alive));
        Ok(ess)
    }

    /// Replaces particles by copies, and says of which.
    pub fn resample(&mut self, scheme: Resampling) -> Result<Vec<usize>> {
        let ancestors = scheme.ancestors(&self.log_weights, self.log_weights.len(), &mut self.resampling)?;
        self.log_z += log_mean_exp(&self.log_weights);
        self.log_weights.fill(0.0);
        self.y = copies(&self.y, &ancestors);
        self.last = self.last.take().map(|(towards, length)| (copies(&towards, &ancestors), length));
        self.roots = ancestors.iter().map(|i| self.roots[*i]).collect();
        Ok(ancestors)
    }

    pub fn advance(&mut self, look: Look, step: &Step) {
        let mut middle = look.towards.clone();
        if let Some((last, length)) = &self.last {
            let ahead = 0.5 * step.length / length;
            middle.zip_mut_with(last, |now, last| *now += ahead * (*now - last));
        }
        let d = self.y.ncols();
        let rows = self.y.as_slice_mut().unwrap_or_default().par_chunks_mut(BLOCK * d);
        let middle = middle.as_slice().unwrap_or_default().par_chunks(BLOCK * d);
        rows.zip(self.rngs.par_chunks_mut(BLOCK)).zip(middle).for_each(|((y, rngs), middle)| {
            y.iter_mut().zip(middle).for_each(|(y, middle)| *y = middle + step.keep * (*y - middle));
            if step.noise > 0.0 {
                for (row, rng) in y.chunks_mut(d).zip(rngs) {
                    row.iter_mut().for_each(|y| *y += step.noise * rng.normal());
                }
            }
        });
        if let Some((_, gradient)) = &look.reward {
            self.y.scaled_add(step.kick * look.share, gradient);
        }
        self.last = Some((look.towards, step.length));
    }

    /// That no sample has run away.
    pub fn stay_near(&self, k: usize) -> Result<()> {
        match self.y.outer_iter().position(|row| !row.iter().all(|y| y.abs() <= self.far)) {
            None => Ok(()),
            Some(i) => {
                let why = format!(
                    "particle {i} ran away at level {k}, to beyond {FAR} standard deviations of the start: the target may have no \
                     finite integral there (of normal laws of variances vᵢ, Σ bᵢ/vᵢ must be above 0); take milder exponents"
                );
                Err(Error::numeric("feynman-kac", why))
            }
        }
    }
}

/// Rows of an array in standard layout; `select` takes its elements one by one.
pub(super) fn copies(x: &Array2<f64>, rows: &[usize]) -> Array2<f64> {
    let d = x.ncols();
    let mut out = Array2::zeros((rows.len(), d));
    let (to, from) = (out.as_slice_mut().unwrap_or_default(), x.as_slice().unwrap_or_default());
    to.chunks_exact_mut(d).zip(rows).for_each(|(to, row)| to.copy_from_slice(&from[row * d..(row + 1) * d]));
    out
}
