//! Where a solver's steps lie.

use crate::Schedule;
use quadrat_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// How the times of a solver's steps are spread.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grid {
    /// Evenly in time.
    Uniform,
    /// Evenly in the square root of the time.
    Quadratic,
    /// Evenly in λ.
    LogSnr,
    /// Evenly in (σ/α)^(1/7): Karras et al. 2022.
    Karras,
    /// Densest at the noisy end: [`Quadratic`](Self::Quadratic) reversed.
    Reversed,
    /// Times that are given (align-your-steps lists and the like), falling; 0 is added.
    Given(Vec<f64>),
}

/// The exponent of [`Grid::Karras`].
const RHO: f64 = 7.0;

impl Grid {
    /// `steps` + 1 falling times: `steps` levels from the schedule's noisiest to its least noisy, and 0, clean data.
    ///
    /// # Errors
    /// No step, given times that do not fall or are another number of them.
    ///
    /// ```
    /// use quadrat_diffusion::{Grid, Schedule};
    /// // k-diffusion 0.1.1's get_sigmas_karras(5, 0.02, 10.).
    /// let times = Grid::Karras.times(&Schedule::Exploding { sigma: [0.02, 10.0] }, 5)?;
    /// for (found, golden) in times.iter().zip([10.0, 3.28284931, 0.87233824, 0.16985810, 0.02, 0.0]) {
    ///     assert!((found - golden).abs() < 1e-6);
    /// }
    /// # Ok::<(), quadrat_core::Error>(())
    /// ```
    pub fn times(&self, schedule: &Schedule, steps: usize) -> Result<Vec<f64>> {
        if steps == 0 {
            return Err(Error::input("steps", 0, "at least 1"));
        }
        let [low, high] = schedule.times();
        let [low_level, high_level] = [low, high].map(|t| schedule.level(t));
        let between = |a: f64, b: f64, u: f64| a + (b - a) * u;
        let at = |u: f64| match self {
            Grid::Uniform | Grid::Given(_) => between(high, low, u),
            Grid::Quadratic => between(high.sqrt(), low.sqrt(), u).powi(2),
            Grid::Reversed => high + low - between(low.sqrt(), high.sqrt(), u).powi(2),
            Grid::LogSnr => schedule.time_of(between(high_level.lambda(), low_level.lambda(), u)),
            Grid::Karras => {
                let root = |ratio: f64| ratio.powf(1.0 / RHO);
                let ratio = between(root(high_level.ratio()), root(low_level.ratio()), u).powf(RHO);
                schedule.time_of(-ratio.ln())
            }
        };
        let mut times: Vec<f64> = match self {
            Grid::Given(times) => {
                if times.len() != steps {
                    let want = format!("{steps}, one a step (0 is added)");
                    return Err(Error::input("times", format!("{} of them", times.len()), want));
                }
                times.clone()
            }
            _ => (0..steps).map(|i| at(if steps == 1 { 0.0 } else { i as f64 / (steps - 1) as f64 })).collect(),
        };
        times.push(0.0);
        check_falling(&times)?;
        Ok(times)
    }
}

/// That times are finite, not below 0, and fall.
pub(crate) fn check_falling(times: &[f64]) -> Result<()> {
    match times.windows(2).position(|pair| !(pair[0] > pair[1] && pair[0].is_finite() && pair[1] >= 0.0)) {
        None => Ok(()),
        Some(i) => {
            let got = format!("{} and then {}", times[i], times[i + 1]);
            Err(Error::input("times", got, "finite numbers that fall, from the noise to the data"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_fall_from_end_to_end() {
        for schedule in [Schedule::linear(), Schedule::Cosine, Schedule::edm(), Schedule::Flow] {
            for grid in [Grid::Uniform, Grid::Quadratic, Grid::LogSnr, Grid::Karras, Grid::Reversed] {
                for steps in [1, 2, 5, 50] {
                    let times = grid.times(&schedule, steps).unwrap();
                    assert_eq!(times.len(), steps + 1);
                    let [low, high] = schedule.times();
                    assert!((times[0] / high - 1.0).abs() < 1e-9, "{grid:?} begins at {}", times[0]);
                    if steps > 1 {
                        assert!((times[steps - 1] / low - 1.0).abs() < 1e-6, "{grid:?} {schedule:?} {times:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn times_that_do_not_fall_are_refused() {
        let schedule = Schedule::linear();
        assert!(Grid::Uniform.times(&schedule, 0).is_err());
        for times in [vec![0.5, 0.5], vec![0.2, 0.5], vec![0.5, 0.0], vec![f64::NAN, 0.1], vec![0.5, -0.1]] {
            assert!(Grid::Given(times).times(&schedule, 2).is_err());
        }
        assert!(Grid::Given(vec![0.5]).times(&schedule, 2).is_err());
        assert_eq!(Grid::Given(vec![0.9, 0.3]).times(&schedule, 2).unwrap(), [0.9, 0.3, 0.0]);
    }
}
