//! Plans: what a solver does at every step, as data.
//!
//! Liu, Ning, Yang, Wang, "A Unified Sampling Framework for Solver Searching of Diffusion Probabilistic Models", ICLR 2024
//! (arXiv 2312.07243) found that the known solvers are points of one space: at each step a time to go to, whether noise or data is
//! extrapolated, the order of the Taylor series, how its derivatives are estimated, from which state to start, and whether the
//! step is corrected. A [`Plan`] is such a point: it can be saved, changed, searched, and says beforehand how many calls of the network
//! it takes.

use crate::grid::check_falling;
use crate::{Level, Schedule};
use quadrat_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// What is extrapolated over a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// The data prediction.
    Data,
    /// The noise prediction.
    Noise,
}

/// A factor on the estimate of the first derivative, with u = h for noise and u = -h for data. Solvers that look different differ
/// in it alone.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relaxation {
    /// None: the Taylor series.
    None,
    /// u²/2 / (eᵘ - 1 - u): UniPC's B₁.
    Bh1,
    /// u (eᵘ - 1)/2 / (eᵘ - 1 - u): UniPC's B₂, and the midpoint rules.
    Bh2,
    /// 1 + c h.
    Linear(f64),
}

/// What is done with the model's answer at the end of a step, beside going on from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Corrector {
    /// Nothing.
    None,
    /// The step is done again with that answer as one more point, an order higher. Costs no call.
    Pseudo,
    /// The same, and the model is asked again at the corrected state: one more call.
    Implicit,
}

/// What stands for the model's answer at the first, noisiest level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum First {
    /// The model is asked.
    Ask,
    /// The sample is all noise, which is nearly so: saves a call.
    Noise,
    /// The data are at their mean, which is given: saves a call.
    Mean(Vec<f64>),
}

/// One step of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What is extrapolated.
    pub form: Form,
    /// How many states before the last one the step starts from: 0 for multistep forms.
    pub back: usize,
    /// Terms of the Taylor series, from 1.
    pub order: usize,
    /// Points, beside the start, from which derivatives are estimated: at least `order` - 1.
    pub points: usize,
    /// The factor on the first derivative.
    pub relaxation: Relaxation,
    /// Whether the step is corrected.
    pub corrector: Corrector,
    /// Fresh noise, as a share of what the forward process would give: 0 solves the ordinary equation, 1 is ancestral (DDIM's η).
    pub eta: f64,
}

impl Step {
    /// A step of the first order without noise: DDIM's.
    pub const FIRST: Step = Step {
        form: Form::Data,
        back: 0,
        order: 1,
        points: 0,
        relaxation: Relaxation::None,
        corrector: Corrector::None,
        eta: 0.0,
    };

    /// A multistep rule of this order, its derivatives from as few points as that takes.
    pub fn multistep(form: Form, order: usize, relaxation: Relaxation) -> Self {
        Step { form, order, points: order.saturating_sub(1), relaxation, ..Step::FIRST }
    }
}

/// A solver: where its steps lie and what each does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The schedule that the times belong to.
    pub schedule: Schedule,
    /// Falling times, one more than steps. The last is 0 where the plan ends at clean data.
    pub times: Vec<f64>,
    /// What each step does.
    pub steps: Vec<Step>,
    /// What stands for the first answer.
    pub first: First,
}

/// The highest order of a Taylor series.
pub const MOST_ORDER: usize = 4;
/// λ nearer to each other than this make derivatives worthless.
const NEAR: f64 = 1e-6;

impl Plan {
    /// A plan whose steps are all the same but for what cannot be yet, or pays no more: orders and points are lowered to what
    /// the history holds, and the step to clean data is of the first order, which is exact.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn uniform(schedule: Schedule, times: Vec<f64>, step: Step) -> Result<Self> {
        let steps = (1..times.len()).map(|k| fitted(step, k, times[k])).collect();
        let plan = Plan { schedule, times, steps, first: First::Ask };
        plan.check()?;
        Ok(plan)
    }

    /// Calls of the model that it takes.
    pub fn calls(&self) -> usize {
        let again = self.steps.iter().filter(|step| step.corrector == Corrector::Implicit).count();
        self.steps.len() + again - usize::from(self.first != First::Ask)
    }

    /// Whether it draws noise on the way.
    pub fn is_stochastic(&self) -> bool {
        self.steps.iter().any(|step| step.eta > 0.0)
    }

    /// The levels at its times.
    pub fn levels(&self) -> Vec<Level> {
        self.times.iter().map(|t| self.schedule.level(*t)).collect()
    }

    /// That it can be run, for any model.
    ///
    /// # Errors
    /// Times that do not fall, λ too near to each other, orders and points beyond the history, a corrector at the last step, a step to
    /// clean data that is not of the first order, noise in a noise form: each with the step's number, from 1.
    pub fn check(&self) -> Result<()> {
        self.schedule.check()?;
        check_falling(&self.times)?;
        if self.steps.is_empty() || self.times.len() != self.steps.len() + 1 {
            let got = format!("{} times and {} steps", self.times.len(), self.steps.len());
            return Err(Error::input("plan", got, "at least one step, and one more time than steps"));
        }
        let lambdas: Vec<f64> = self.levels().iter().map(Level::lambda).collect();
        if let Some(i) = lambdas.windows(2).position(|pair| (pair[1] - pair[0]).is_nan() || pair[1] - pair[0] < NEAR) {
            let got = format!("{} and {}", self.times[i], self.times[i + 1]);
            return Err(Error::input(
                "times",
                got,
                format!("λ that differ by {NEAR} or more, in the schedule's order"),
            ));
        }
        self.steps.iter().enumerate().try_for_each(|(k, step)| self.check_step(k, step))
    }

    fn check_step(&self, k: usize, step: &Step) -> Result<()> {
        let refuse = |what: &str, got: String, want: String| {
            Err(Error::input("plan", format!("{what} {got} at step {}", k + 1), want))
        };
        let last = k + 1 == self.steps.len();
        if step.back > k {
            return refuse("a start", format!("{} states back", step.back), format!("at most {k}"));
        }
        if step.order == 0 || step.order > MOST_ORDER.min(k + 1) {
            let most = MOST_ORDER.min(k + 1);
            return refuse("order", step.order.to_string(), format!("1 to {most}: there are {} answers", k + 1));
        }
        if step.points + 1 < step.order || step.points > k {
            let want = format!("{} to {k} points", step.order - 1);
            return refuse("derivatives from", step.points.to_string(), want);
        }
        if !(0.0..=1.0).contains(&step.eta) {
            return refuse("eta", step.eta.to_string(), "0 (no noise) to 1 (ancestral)".into());
        }
        if step.eta > 0.0 && (step.form == Form::Noise || step.corrector != Corrector::None) {
            return refuse(
                "noise",
                step.eta.to_string(),
                "steps that draw noise have the data form and no corrector".into(),
            );
        }
        if last && step.corrector != Corrector::None {
            return refuse("a corrector", "at the last step".into(), "none: nothing follows that would use it".into());
        }
        if self.times[k + 1] == 0.0 && (step.order > 1 || step.form == Form::Noise) {
            let want = "the data form and order 1: that is exact, all else is infinite".to_owned();
            return refuse("to clean data", format!("order {} in the {:?} form", step.order, step.form), want);
        }
        match step.relaxation {
            Relaxation::Linear(c) if !c.is_finite() => {
                refuse("linear relaxation", c.to_string(), "a finite number".into())
            }
            _ => Ok(()),
        }
    }
}

/// A step as step number `k` (from 1) to time `to` can do it.
pub(crate) fn fitted(step: Step, k: usize, to: f64) -> Step {
    if to == 0.0 {
        return Step { eta: step.eta, ..Step::FIRST };
    }
    let order = step.order.min(k);
    Step { order, points: step.points.clamp(order - 1, k - 1), back: step.back.min(k - 1), ..step }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Grid;

    fn plan() -> Plan {
        let schedule = Schedule::linear();
        let times = Grid::LogSnr.times(&schedule, 6).unwrap();
        Plan::uniform(schedule, times, Step::multistep(Form::Data, 3, Relaxation::None)).unwrap()
    }

    #[test]
    fn plans_go_through_json() {
        let mut plan = plan();
        plan.first = First::Mean(vec![0.5, -1.0]);
        plan.steps[2].relaxation = Relaxation::Linear(0.1);
        let text = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
    }

    #[test]
    fn calls_are_counted_beforehand() {
        let mut plan = plan();
        assert_eq!(plan.calls(), 6);
        plan.first = First::Noise;
        assert_eq!(plan.calls(), 5);
        plan.steps[1].corrector = Corrector::Implicit;
        plan.steps[2].corrector = Corrector::Pseudo;
        assert_eq!(plan.calls(), 6);
    }

    #[test]
    fn what_cannot_be_run_is_refused() {
        type Change = fn(&mut Plan);
        plan().check().unwrap();
        let wrong: &[(&str, Change)] = &[
            ("times that rise", |plan| plan.times.swap(1, 2)),
            ("a time twice", |plan| plan.times[1] = plan.times[0]),
            ("too near", |plan| plan.times[1] = plan.times[0] * (1.0 - 1e-9)),
            ("no step", |plan| plan.steps.clear()),
            ("an order too high", |plan| plan.steps[0].order = 2),
            ("order 5", |plan| plan.steps[4].order = 5),
            ("order 0", |plan| plan.steps[4].order = 0),
            ("too few points", |plan| plan.steps[4].points = 1),
            ("too many points", |plan| plan.steps[1].points = 2),
            ("a start before the first", |plan| plan.steps[1].back = 2),
            ("a corrector at the end", |plan| plan.steps[5].corrector = Corrector::Pseudo),
            ("order 2 to clean data", |plan| plan.steps[5] = Step::multistep(Form::Data, 2, Relaxation::None)),
            ("noise form to clean data", |plan| plan.steps[5].form = Form::Noise),
            ("eta above 1", |plan| plan.steps[1].eta = 1.5),
            ("eta NaN", |plan| plan.steps[1].eta = f64::NAN),
            ("noise in the noise form", |plan| {
                plan.steps[1].eta = 0.5;
                plan.steps[1].form = Form::Noise;
            }),
            ("relaxation", |plan| plan.steps[3].relaxation = Relaxation::Linear(f64::INFINITY)),
        ];
        for (what, change) in wrong {
            let mut plan = plan();
            change(&mut plan);
            assert!(plan.check().is_err(), "{what}");
        }
    }
}
