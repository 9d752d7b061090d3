//! Noise schedules: how much is left of the data, and how much noise there is, at a time.
//!
//! A noised sample is x = α x₀ + σ ε. All that a solver sees of a schedule is α and σ; times are continuous (whole steps
//! are no identity of a level here), 0 is clean data and times grow with the noise.

use quadrat_core::{Error, Result};
use serde::{Deserialize, Serialize};
use std::f64::consts::FRAC_PI_2;

/// A level of noise: x = α x₀ + σ ε.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Level {
    /// The schedule's time; networks are told of it.
    pub time: f64,
    /// Share of the data.
    pub alpha: f64,
    /// Standard deviation of the noise.
    pub sigma: f64,
}

impl Level {
    /// Data without noise, at time 0.
    pub const CLEAN: Level = Level { time: 0.0, alpha: 1.0, sigma: 0.0 };

    /// λ = ln(α/σ), half the logarithm of the signal-to-noise ratio; infinite for clean data.
    pub fn lambda(&self) -> f64 {
        (self.alpha / self.sigma).ln()
    }

    /// σ/α: the noise on a sample that was scaled back to the data's size.
    pub fn ratio(&self) -> f64 {
        self.sigma / self.alpha
    }
}

/// A noise schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Variance preserving, the rate β growing linearly with the time from 0 to 1 (Ho et al. 2020; Song et al. 2021).
    Linear {
        /// β at time 0 and at time 1.
        beta: [f64; 2],
    },
    /// Variance preserving, √β growing linearly: latent diffusion's.
    ScaledLinear {
        /// β at time 0 and at time 1.
        beta: [f64; 2],
    },
    /// Variance preserving, α falling as a cosine (Nichol and Dhariwal 2021).
    Cosine,
    /// Variance exploding: α = 1 and the time is σ (Karras et al. 2022).
    Exploding {
        /// Least and most noise.
        sigma: [f64; 2],
    },
    /// Straight paths between noise and data: α = 1 - t, σ = t (flow matching, rectified flow).
    Flow,
    /// Variance preserving, from the cumulative products ᾱ of a trained network's steps: time k is its step k - 1, and ln α is
    /// linear between steps.
    Table {
        /// ᾱ of each step, falling.
        alpha_bar: Vec<f64>,
    },
}

/// The least and the most time of schedules that are singular at their ends.
const SHORT: f64 = 1e-3;
/// Where the cosine schedule is cut off, as DPM-Solver's authors do: α is 0 at time 1.
const COSINE_END: f64 = 0.9946;
/// The shift of the cosine schedule, its authors' value.
const COSINE_SHIFT: f64 = 0.008;

impl Schedule {
    /// β from 0.1 to 20: the continuous form of 1,000 steps from 10⁻⁴ to 0.02.
    pub fn linear() -> Self {
        Schedule::Linear { beta: [0.1, 20.0] }
    }

    /// β from 0.85 to 12: the continuous form of 1,000 steps from 0.00085 to 0.012.
    pub fn scaled_linear() -> Self {
        Schedule::ScaledLinear { beta: [0.85, 12.0] }
    }

    /// σ from 0.002 to 80, for data of standard deviation 0.5.
    pub fn edm() -> Self {
        Schedule::Exploding { sigma: [0.002, 80.0] }
    }

    /// Cumulative products of 1 - β.
    ///
    /// # Errors
    /// No step, β outside of (0, 1).
    pub fn from_betas(betas: &[f64]) -> Result<Self> {
        if betas.is_empty() {
            return Err(Error::input("betas", "none", "one for each step of the schedule"));
        }
        if let Some(beta) = betas.iter().find(|beta| !(**beta > 0.0 && **beta < 1.0)) {
            return Err(Error::input("betas", beta, "numbers above 0 and below 1"));
        }
        let mut product = 1.0;
        let alpha_bar = betas.iter().map(|beta| {
            product *= 1.0 - beta;
            product
        });
        Ok(Schedule::Table { alpha_bar: alpha_bar.collect() })
    }

    /// That its numbers make a schedule.
    ///
    /// # Errors
    /// Numbers that are not finite, or out of order.
    pub fn check(&self) -> Result<()> {
        let rising = |[low, high]: [f64; 2]| low > 0.0 && high > low && high.is_finite();
        match self {
            Schedule::Linear { beta } | Schedule::ScaledLinear { beta } if !rising(*beta) => {
                Err(Error::input("beta", format!("{beta:?}"), "two finite numbers above 0, the larger one last"))
            }
            Schedule::Exploding { sigma } if !rising(*sigma) => {
                Err(Error::input("sigma", format!("{sigma:?}"), "two finite numbers above 0, the larger one last"))
            }
            Schedule::Table { alpha_bar } => {
                let falls = alpha_bar.windows(2).all(|pair| pair[0] > pair[1]);
                let inside = alpha_bar.iter().all(|a| *a > 0.0 && *a < 1.0);
                if alpha_bar.is_empty() || !falls || !inside {
                    let want = "numbers between 0 and 1, one a step, each below the one before";
                    return Err(Error::input("alpha_bar", format!("{} numbers", alpha_bar.len()), want));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The least time that has a finite λ worth a step, and the most.
    pub fn times(&self) -> [f64; 2] {
        match self {
            Schedule::Linear { .. } | Schedule::ScaledLinear { .. } => [SHORT, 1.0],
            Schedule::Cosine => [SHORT, COSINE_END],
            Schedule::Exploding { sigma } => *sigma,
            Schedule::Flow => [SHORT, 1.0 - SHORT],
            Schedule::Table { alpha_bar } => [1.0, alpha_bar.len() as f64],
        }
    }

    /// The level at a time of 0 or more.
    pub fn level(&self, time: f64) -> Level {
        if time <= 0.0 {
            return Level::CLEAN;
        }
        match self {
            Schedule::Exploding { .. } => Level { time, alpha: 1.0, sigma: time },
            Schedule::Flow => Level { time, alpha: 1.0 - time, sigma: time },
            _ => {
                let log_alpha = self.log_alpha(time);
                // σ² = 1 - α² without the cancellation near 0.
                Level { time, alpha: log_alpha.exp(), sigma: (-(2.0 * log_alpha).exp_m1()).sqrt() }
            }
        }
    }

    /// ln α of the schedules that preserve the variance.
    fn log_alpha(&self, t: f64) -> f64 {
        match self {
            Schedule::Linear { beta: [low, high] } => -0.25 * t * t * (high - low) - 0.5 * t * low,
            Schedule::ScaledLinear { beta } => {
                let [a, b] = beta.map(f64::sqrt);
                let slope = b - a;
                // ∫ (a + s·slope)² ds from 0 to t.
                -0.5 * (a * a * t + a * slope * t * t + slope * slope * t * t * t / 3.0)
            }
            Schedule::Cosine => {
                let cosine = |t: f64| ((t + COSINE_SHIFT) / (1.0 + COSINE_SHIFT) * FRAC_PI_2).cos();
                (cosine(t) / cosine(0.0)).ln()
            }
            Schedule::Table { alpha_bar } => {
                let log = |k: usize| if k == 0 { 0.0 } else { 0.5 * alpha_bar[k - 1].ln() };
                let below = (t.floor() as usize).min(alpha_bar.len() - 1);
                log(below) + (t - below as f64) * (log(below + 1) - log(below))
            }
            Schedule::Exploding { .. } | Schedule::Flow => 0.0,
        }
    }

    /// The time of a λ, to about 12 digits.
    pub fn time_of(&self, lambda: f64) -> f64 {
        let ratio = (-lambda).exp();
        match self {
            Schedule::Exploding { .. } => ratio,
            Schedule::Flow => ratio / (1.0 + ratio),
            _ => {
                // λ falls with the time: halve the interval.
                let [mut low, mut high] = [0.0, self.times()[1]];
                for _ in 0..80 {
                    let middle = 0.5 * (low + high);
                    if self.level(middle).lambda() > lambda { low = middle } else { high = middle }
                }
                0.5 * (low + high)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Schedule> {
        let betas: Vec<f64> = (0..1000).map(|i| 1e-4 + (0.02 - 1e-4) * i as f64 / 999.0).collect();
        let table = Schedule::from_betas(&betas).unwrap();
        vec![Schedule::linear(), Schedule::scaled_linear(), Schedule::Cosine, Schedule::edm(), Schedule::Flow, table]
    }

    #[test]
    fn levels_follow_the_time_and_come_back() {
        for schedule in all() {
            schedule.check().unwrap();
            let [low, high] = schedule.times();
            let mut before = f64::INFINITY;
            for i in 0..=40 {
                let t = low + (high - low) * f64::from(i) / 40.0;
                let level = schedule.level(t);
                assert!(level.lambda() < before, "{schedule:?} at {t}");
                before = level.lambda();
                let again = schedule.time_of(level.lambda());
                assert!((again - t).abs() < 1e-9 * high, "{schedule:?}: {t} came back as {again}");
                if !matches!(schedule, Schedule::Exploding { .. } | Schedule::Flow) {
                    assert!((level.alpha.powi(2) + level.sigma.powi(2) - 1.0).abs() < 1e-14);
                }
            }
            assert_eq!(schedule.level(0.0), Level::CLEAN);
        }
    }

    /// ᾱ of diffusers 0.42.1's "linear", "scaled_linear" and "squaredcos_cap_v2" at 1,000 steps, in single precision there.
    #[test]
    fn tables_agree_with_diffusers() {
        let line = |i: usize, [a, b]: [f64; 2]| a + (b - a) * i as f64 / 999.0;
        let linear: Vec<f64> = (0..1000).map(|i| line(i, [1e-4, 0.02])).collect();
        let scaled: Vec<f64> = (0..1000).map(|i| line(i, [0.00085f64, 0.012].map(f64::sqrt)).powi(2)).collect();
        let bar = |t: f64| ((t + 0.008) / 1.008 * FRAC_PI_2).cos().powi(2);
        let cosine: Vec<f64> =
            (0..1000).map(|i| (1.0 - bar((i + 1) as f64 / 1e3) / bar(i as f64 / 1e3)).min(0.999)).collect();
        for (betas, golden) in [
            (linear, [0.99989998, 0.077796653, 4.0358304e-05]),
            (scaled, [0.99914998, 0.27633247, 0.0046600951]),
            (cosine, [0.99995869, 0.49228504, 2.428735e-09]),
        ] {
            let schedule = Schedule::from_betas(&betas).unwrap();
            for (step, golden) in [0.0, 500.0, 999.0].into_iter().zip(golden) {
                let found = schedule.level(step + 1.0).alpha.powi(2);
                assert!((found / golden - 1.0).abs() < 3e-5, "{found} for {golden}");
            }
        }
    }

    /// The continuous forms pass through the tables, up to the steps' size.
    #[test]
    fn continuous_forms_agree_with_their_tables() {
        let table = all().pop().unwrap();
        for step in [10.0, 250.0, 999.0] {
            let (a, b) = (table.level(step).lambda(), Schedule::linear().level(step / 1e3).lambda());
            assert!((a - b).abs() < 0.05, "{a} and {b} at {step}");
        }
    }

    #[test]
    fn what_makes_no_schedule_is_refused() {
        assert!(Schedule::from_betas(&[]).is_err());
        assert!(Schedule::from_betas(&[0.1, 1.0]).is_err());
        assert!(Schedule::from_betas(&[0.1, f64::NAN]).is_err());
        assert!(Schedule::Linear { beta: [0.0, 20.0] }.check().is_err());
        assert!(Schedule::Exploding { sigma: [1.0, 0.5] }.check().is_err());
        assert!(Schedule::Table { alpha_bar: vec![0.5, 0.6] }.check().is_err());
        assert!(Schedule::Table { alpha_bar: vec![] }.check().is_err());
    }
}
