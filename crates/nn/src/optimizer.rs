//! The step from gradients to parameters, and how its size changes over a run.

use crate::ops::step;
use crate::parameters::Parameters;
use quadrat_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// How gradients become steps. Weight decay acts on kernels only (`Parameter::decay`), never on biases or scales.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Optimizer {
    /// Stochastic gradient descent with momentum; decay is added to the gradient.
    Sgd {
        /// Share of the last step that is kept.
        momentum: f64,
        /// Look ahead along the momentum.
        nesterov: bool,
        /// λ of λw added to the gradient.
        weight_decay: f64,
    },
    /// Adam with decoupled decay (Loshchilov and Hutter 2019).
    AdamW {
        /// Decay of the mean of gradients.
        beta1: f64,
        /// Decay of the mean of their squares.
        beta2: f64,
        /// λ: weights shrink by rate·λ a step.
        weight_decay: f64,
    },
}

impl Optimizer {
    /// Nesterov momentum 0.9 with this decay.
    pub fn sgd(weight_decay: f64) -> Self {
        Optimizer::Sgd { momentum: 0.9, nesterov: true, weight_decay }
    }

    /// Adam's usual averages with this decoupled decay.
    pub fn adamw(weight_decay: f64) -> Self {
        Optimizer::AdamW { beta1: 0.9, beta2: 0.999, weight_decay }
    }
}

/// The learning rate over a run, as a multiple of the first one.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// Always the same.
    #[default]
    Constant,
    /// Half a cosine from 1 to 0 over the run.
    Cosine,
    /// Along a line from 1 to 0 over the run.
    Linear,
    /// 1, then along a line to 0 over the last `share` of the run: for a last iterate that no longer moves about.
    Late {
        /// Above 0, at most 1.
        share: f64,
    },
    /// √(share / (share + fraction)): as the inverse root of the step, once `share` of the run is over. Behind a warm-up of w
    /// of the run, a share of w / (1 − w) is Vaswani et al.'s (2017).
    InverseRoot {
        /// The fraction after which the rate has fallen to 1/√2.
        share: f64,
    },
    /// Along a line from 0 to 1 in this share of the run, then another schedule over the rest.
    WarmUp {
        /// Above 0, below 1.
        share: f64,
        /// What follows.
        then: Box<Schedule>,
    },
    /// Times `factor` at each of these fractions of the run.
    Steps {
        /// Fractions of the run, ascending.
        at: Vec<f64>,
        /// What the rate is multiplied with there.
        factor: f64,
    },
}

impl Schedule {
    /// Tenfold down at half and at three quarters of the run.
    pub fn halves() -> Self {
        Schedule::Steps { at: vec![0.5, 0.75], factor: 0.1 }
    }

    /// This schedule behind a warm-up over a share of the run.
    pub fn warmed_up(self, share: f64) -> Self {
        Schedule::WarmUp { share, then: Box::new(self) }
    }

    /// That its numbers are in their ranges.
    pub(crate) fn check(&self) -> Result<()> {
        match self {
            Schedule::WarmUp { share, then } if *share > 0.0 && *share < 1.0 => then.check(),
            Schedule::WarmUp { share, .. } => Err(Error::input("warm-up", share, "a share of the run between 0 and 1")),
            Schedule::Late { share } if !(*share > 0.0 && *share <= 1.0) => {
                Err(Error::input("late decay", share, "a share of the run above 0 and at most 1"))
            }
            Schedule::InverseRoot { share } if !(*share > 0.0 && share.is_finite()) => {
                Err(Error::input("inverse root", share, "a positive share of the run"))
            }
            _ => Ok(()),
        }
    }

    /// The multiple at this fraction (0..1) of the run.
    pub fn at(&self, fraction: f64) -> f64 {
        match self {
            Schedule::Constant => 1.0,
            Schedule::Linear => 1.0 - fraction.clamp(0.0, 1.0),
            Schedule::Late { share } => ((1.0 - fraction) / share).clamp(0.0, 1.0),
            Schedule::InverseRoot { share } => (share / (share + fraction.max(0.0))).sqrt(),
            Schedule::WarmUp { share, .. } if fraction < *share => fraction.max(0.0) / share,
            Schedule::WarmUp { share, then } => then.at((fraction - share) / (1.0 - share)),
            Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * fraction.clamp(0.0, 1.0)).cos()),
            Schedule::Steps { at, factor } => factor.powi(at.iter().filter(|&&f| fraction >= f).count() as i32),
        }
    }
}

/// What an optimiser remembers of each parameter: one moment (momentum) or two (Adam).
#[derive(Debug, Clone, Default)]
pub(crate) struct Moments {
    pub first: Vec<Vec<f32>>,
    pub second: Vec<Vec<f32>>,
    /// Steps taken by each parameter since its moments were zero.
    pub steps: Vec<u64>,
}

impl Moments {
    /// Zeros for each trainable parameter; moments of the right size stay.
    pub fn fit(&mut self, parameters: &Parameters, optimizer: Optimizer) {
        let adam = matches!(optimizer, Optimizer::AdamW { .. });
        self.first.resize(parameters.len(), Vec::new());
        self.second.resize(parameters.len(), Vec::new());
        self.steps.resize(parameters.len(), 0);
        for (i, parameter) in parameters.iter().enumerate() {
            let n = if parameter.trainable { parameter.len() } else { 0 };
            if self.first[i].len() != n {
                self.first[i] = vec![0.0; n];
                self.second[i] = vec![0.0; if adam { n } else { 0 }];
                self.steps[i] = 0;
            }
        }
    }
}

/// One step of every trainable parameter along its gradient.
pub(crate) fn apply(
    optimizer: Optimizer,
    rate: f64,
    parameters: &mut Parameters,
    gradients: &[Vec<f32>],
    moments: &mut Moments,
) {
    moments.fit(parameters, optimizer);
    for (i, parameter) in parameters.iter_mut().enumerate() {
        let gradient = &gradients[i];
        if !parameter.trainable || gradient.is_empty() {
            continue;
        }
        let rate = rate * f64::from(parameter.rate);
        let decays = if parameter.decay { 1.0 } else { 0.0 };
        let (first, second) = (&mut moments.first[i], &mut moments.second[i]);
        moments.steps[i] += 1;
        let t = moments.steps[i];
        parameter.update(|values| match optimizer {
            Optimizer::Sgd { momentum, nesterov, weight_decay } => {
                step::sgd(values, gradient, first, rate, momentum, nesterov, decays * weight_decay, t == 1);
            }
            Optimizer::AdamW { beta1, beta2, weight_decay } => {
                step::adamw(values, gradient, first, second, t, rate, beta1, beta2, 1e-8, decays * weight_decay);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_start_at_one_and_fall() {
        for schedule in [Schedule::Cosine, Schedule::halves()] {
            assert_eq!(schedule.at(0.0), 1.0);
            assert!(schedule.at(0.6) < 0.5 && schedule.at(1.0) <= 0.0100001);
        }
        assert!((Schedule::halves().at(0.5) - 0.1).abs() < 1e-12);
    }

    #[test]
    fn schedules_follow_their_formulas() {
        // Vaswani et al.: min(s^-1/2, s w^-3/2), with its largest value 1 after w = 4,000 of 20,000 steps.
        let vaswani = Schedule::InverseRoot { share: 0.25 }.warmed_up(0.2);
        let by_step = |step: f64| (step.powf(-0.5)).min(step * 4e3f64.powf(-1.5)) * 4e3f64.sqrt();
        for step in [1.0, 1e3, 3.999e3, 4e3, 5e3, 2e4] {
            assert!((vaswani.at(step / 2e4) - by_step(step)).abs() < 1e-12, "{step}");
        }
        for (schedule, at, wanted) in [
            (Schedule::Linear, 0.25, 0.75),
            (Schedule::Late { share: 0.25 }, 0.75, 1.0),
            (Schedule::Late { share: 0.25 }, 0.9, 0.4),
            (Schedule::Linear.warmed_up(0.5), 0.25, 0.5),
            (Schedule::Linear.warmed_up(0.5), 0.75, 0.5),
            (Schedule::Constant.warmed_up(0.1), 0.0, 0.0),
            (Schedule::Cosine.warmed_up(0.2), 0.6, 0.5),
        ] {
            assert!((schedule.at(at) - wanted).abs() < 1e-12, "{schedule:?}");
            assert!(schedule.check().is_ok());
        }
        let wrong =
            [Schedule::Linear.warmed_up(0.0), Schedule::Linear.warmed_up(1.0), Schedule::InverseRoot { share: 0.0 }];
        assert!(Schedule::Late { share: 0.0 }.check().is_err());
        assert!(wrong.iter().chain([&wrong[2].clone().warmed_up(0.5)]).all(|schedule| schedule.check().is_err()));
    }
}
