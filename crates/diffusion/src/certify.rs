//! Certificates: a solver against laws that are known.
//!
//! Any sampler can be looked at, as long as it takes a denoiser, starts and a number of calls ([`Subject`]): a solver of ours, or a
//! closure around another library's.

use crate::{Denoiser, Grid, MixtureDenoiser, Schedule, Solver, integrate};
use ndarray::{Array2, array};
use quadrat_core::{Choice, Progress, Result, Seed, Silent, checkpoint, stats};
use quadrat_numeric::mixture::{Covariances, Mixture};
use serde::Serialize;

/// A sampler: from a denoiser, starts at the schedule's noisiest level and a number of calls to samples.
pub type Subject<'a> = dyn Fn(&dyn Denoiser, &Schedule, &Array2<f64>, usize, Seed) -> Result<Array2<f64>> + Sync + 'a;

/// A law, and how far it holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Item {
    /// What was looked at.
    pub law: String,
    /// What was found.
    pub measured: f64,
    /// The range in which the law holds.
    pub allowed: [f64; 2],
}

impl Item {
    /// Whether it holds.
    pub fn holds(&self) -> bool {
        self.allowed[0] <= self.measured && self.measured <= self.allowed[1]
    }
}

/// What was found of a sampler.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Certificate {
    /// The sampler.
    pub solver: String,
    /// The laws.
    pub items: Vec<Item>,
}

impl Certificate {
    /// Whether all laws hold.
    pub fn certified(&self) -> bool {
        self.items.iter().all(Item::holds)
    }
}

/// The order that a solver is known to have; `None` for those that draw noise.
fn order(solver: Solver) -> Option<f64> {
    Some(match solver {
        Solver::Ddim => 1.0,
        Solver::Heun | Solver::Dpm2m | Solver::Dpm2s | Solver::Dpmpp2m | Solver::Dpmpp2mHeun => 2.0,
        Solver::Dpmpp2s | Solver::Deis => 2.0,
        Solver::Dpm3m | Solver::Dpm3s | Solver::Dpmpp3m | Solver::Unipc | Solver::Deis3 => 3.0,
        // 4 once its first steps, of lower orders, count for nothing.
        Solver::Unipc3 => 3.0,
        Solver::Ddpm | Solver::Dpmpp2mSde | Solver::Dpmpp3mSde => return None,
    })
}

/// Puts a solver of ours through the laws.
///
/// # Errors
/// A cancelled run.
///
/// ```
/// use quadrat_core::{Seed, Silent};
/// use quadrat_diffusion::{Solver, certify::certify};
/// assert!(certify(Solver::Dpmpp2m, Seed(1), &Silent)?.certified());
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn certify(solver: Solver, seed: Seed, progress: &dyn Progress) -> Result<Certificate> {
    let subject = |denoiser: &dyn Denoiser, schedule: &Schedule, starts: &Array2<f64>, calls: usize, seed: Seed| {
        integrate(&solver.plan(schedule.clone(), &Grid::LogSnr, calls)?, denoiser, starts.clone(), seed, &Silent)
    };
    let items = match order(solver) {
        Some(order) => follows_the_equation(&subject, order, seed, progress)?,
        None => keeps_the_law(&subject, seed, progress)?,
    };
    Ok(Certificate { solver: solver.name().to_owned(), items })
}

/// Variances of the normal law, and its mean, on which the equation has a closed solution.
const VARIANCE: f64 = 0.25;
const MEAN: f64 = 0.5;

fn normal() -> Result<MixtureDenoiser> {
    MixtureDenoiser::new(Mixture {
        weights: array![1.0],
        means: array![[MEAN]],
        covariances: Covariances::Spherical(array![VARIANCE]),
    })
}

/// Samplers without noise: the closed solution of one normal law, the order of convergence towards it, and the same end from a start
/// whatever stands beside it.
///
/// # Errors
/// The subject's own, or a cancelled run.
pub fn follows_the_equation(subject: &Subject, order: f64, seed: Seed, progress: &dyn Progress) -> Result<Vec<Item>> {
    // So little noise at the end that the last step adds nothing to the error, and so much at the start that warm-up steps of lower
    // order, where predictions hardly change, add nothing either.
    let schedule = Schedule::Exploding { sigma: [1e-6, 1000.0] };
    let denoiser = normal()?;
    let top = schedule.level(1000.0);
    let starts = Array2::from_shape_fn((64, 1), |(i, _)| MEAN + top.sigma * (i as f64 - 31.5) / 16.0);
    let shrink = (VARIANCE / (VARIANCE + top.sigma * top.sigma)).sqrt();
    let exact = starts.mapv(|x| MEAN + shrink * (x - MEAN));
    let error = |calls: usize| {
        checkpoint(progress)?;
        let found = subject(&denoiser, &schedule, &starts, calls, seed)?;
        Ok(largest(&found, &exact))
    };
    let [few, many] = [error(81)?, error(161)?];
    let measured = (few / many).ln() / (161.0f64 / 81.0).ln();
    let alone = subject(&denoiser, &schedule, &starts.slice(ndarray::s![7..8, ..]).to_owned(), 20, seed)?;
    let beside = subject(&denoiser, &schedule, &starts, 20, seed)?;
    Ok(vec![
        item("largest error at one normal law, 161 calls", many, [0.0, if order < 1.5 { 0.05 } else { 0.01 }]),
        // Where the leading error happens to be small the order shows as higher: no fault.
        item("order of convergence there", measured, [order - 0.4, order + 1.5]),
        item("a sample's change when others stand beside it", (alone[[0, 0]] - beside[[7, 0]]).abs(), [0.0, 1e-12]),
    ])
}

/// Samplers with noise: mean and variance of one normal law, and the weight of the first of two modes, from 20,000 samples. Ranges are four
/// standard errors, and a hundredth of the figure for the steps' own error: all three together raise a false alarm in fewer than one
/// of 5,000 runs.
///
/// # Errors
/// The subject's own, or a cancelled run.
pub fn keeps_the_law(subject: &Subject, seed: Seed, progress: &dyn Progress) -> Result<Vec<Item>> {
    const SAMPLES: usize = 20_000;
    const CALLS: usize = 200;
    let schedule = Schedule::Exploding { sigma: [1e-3, 20.0] };
    let top = schedule.level(20.0);
    let n = SAMPLES as f64;
    let denoiser = normal()?;
    let found = subject(&denoiser, &schedule, &denoiser.sample(SAMPLES, &top, seed.stream("one"))?, CALLS, seed)?;
    checkpoint(progress)?;
    let values: Vec<f64> = found.iter().copied().collect();
    let (mean, variance) = (stats::mean(&values), stats::standard_deviation(&values).powi(2));
    let modes = MixtureDenoiser::new(Mixture {
        weights: array![0.3, 0.7],
        means: array![[-2.0], [2.0]],
        covariances: Covariances::Spherical(array![0.1, 0.1]),
    })?;
    let found = subject(&modes, &schedule, &modes.sample(SAMPLES, &top, seed.stream("two"))?, CALLS, seed)?;
    let below = found.iter().filter(|x| **x < 0.0).count() as f64 / n;
    let about = |value: f64, error: f64| [value - 4.0 * error - 0.01 * value, value + 4.0 * error + 0.01 * value];
    Ok(vec![
        item("mean of one normal law", mean, about(MEAN, (VARIANCE / n).sqrt())),
        item("its variance", variance, about(VARIANCE, VARIANCE * (2.0 / n).sqrt())),
        item("weight of the first of two modes", below, about(0.3, (0.21 / n).sqrt())),
    ])
}

fn item(law: &str, measured: f64, allowed: [f64; 2]) -> Item {
    Item { law: law.to_owned(), measured, allowed }
}

fn largest(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_solvers_of_ours_are_certified() {
        for solver in Solver::CHOICES {
            let certificate = certify(solver.value, Seed(1), &Silent).unwrap();
            assert!(certificate.certified(), "{certificate:#?}");
        }
    }

    /// Faults that pass for solvers: too few digits of the order, noise left out or doubled, samples that look at each other.
    #[test]
    fn faults_are_found() {
        let second = |denoiser: &dyn Denoiser, schedule: &Schedule, x: &Array2<f64>, calls: usize, seed: Seed| {
            integrate(
                &Solver::Dpmpp2m.plan(schedule.clone(), &Grid::LogSnr, calls)?,
                denoiser,
                x.clone(),
                seed,
                &Silent,
            )
        };
        assert!(!follows_the_equation(&second, 3.0, Seed(1), &Silent).unwrap()[1].holds());
        let scaled = |denoiser: &dyn Denoiser, schedule: &Schedule, x: &Array2<f64>, calls: usize, seed: Seed| {
            Ok(second(denoiser, schedule, x, calls, seed)? * 1.05)
        };
        assert!(!follows_the_equation(&scaled, 2.0, Seed(1), &Silent).unwrap()[0].holds());
        let mixed = |denoiser: &dyn Denoiser, schedule: &Schedule, x: &Array2<f64>, calls: usize, seed: Seed| {
            let centre = x.mean().unwrap();
            second(denoiser, schedule, &(x - 1e-6 * centre), calls, seed)
        };
        assert!(!follows_the_equation(&mixed, 2.0, Seed(1), &Silent).unwrap()[2].holds());
        for eta in [0.0, 0.6] {
            // Noise of another size than the step takes away: what is left out here would be put in.
            let faulty = |denoiser: &dyn Denoiser, schedule: &Schedule, x: &Array2<f64>, calls: usize, seed: Seed| {
                let mut plan = Solver::Ddpm.plan(schedule.clone(), &Grid::LogSnr, calls)?;
                plan.steps.iter_mut().for_each(|step| step.eta = eta);
                let quiet = integrate(&plan, denoiser, x.clone(), seed, &Silent)?;
                Ok(quiet * (1.0 + 0.1 * eta) - 0.05 * (1.0 - eta))
            };
            let items = keeps_the_law(&faulty, Seed(1), &Silent).unwrap();
            assert!(items.iter().any(|item| !item.holds()), "{items:#?}");
        }
    }
}
