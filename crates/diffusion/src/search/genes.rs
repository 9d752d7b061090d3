//! How plans change: mutation and crossover, with the rates of the authors' program.

use crate::plan::fitted;
use crate::{Corrector, First, Form, Plan, Relaxation, Step};
use quadrat_core::Rng;

/// Chance that a decision of a step is drawn again.
const MUTATE: f64 = 0.3;
/// Chance that a step is added, and that one is removed.
const RESIZE: f64 = 0.2;
/// Standard deviation of a change of a linear relaxation.
const RELAX: f64 = 0.03;

/// What all children of a search have in common.
pub(super) struct Genes<'a> {
    pub calls: usize,
    pub spread: f64,
    pub mean: Option<&'a [f64]>,
}

impl Genes<'_> {
    /// A child of one plan, or of two: always a plan that can be run, with the search's number of calls.
    pub fn child(&self, parent: &Plan, other: Option<&Plan>, rng: &mut Rng) -> Plan {
        let mut child = parent.clone();
        if let Some(other) = other {
            cross(&mut child, other, rng);
        }
        self.mutate(&mut child, rng);
        self.resize(&mut child, rng);
        repair(&mut child);
        // λ too near to each other are all that can still be wrong.
        if child.check().is_ok() { child } else { parent.clone() }
    }

    fn mutate(&self, plan: &mut Plan, rng: &mut Rng) {
        if rng.uniform() < MUTATE {
            plan.first = match (rng.weighted(&[0.3, 0.3, 0.4]), self.mean) {
                (0, _) => First::Ask,
                (2, Some(mean)) => First::Mean(mean.to_vec()),
                _ => First::Noise,
            };
        }
        for k in 0..plan.steps.len() {
            if k > 0 && rng.uniform() < MUTATE {
                let moved = plan.times[k] * (1.0 + self.spread * rng.normal());
                if moved < plan.times[k - 1] && moved > plan.times[k + 1] {
                    plan.times[k] = moved;
                }
            }
            let step = &mut plan.steps[k];
            if rng.uniform() < MUTATE {
                step.form = [Form::Data, Form::Noise][rng.below(2)];
            }
            if rng.uniform() < MUTATE {
                step.order = 1 + rng.weighted(&[0.2, 0.4, 0.3, 0.1]);
                step.points = step.order - 1;
            }
            if rng.uniform() < MUTATE {
                // As few points as the order takes, or one more.
                step.points = step.order - 1 + rng.below(2);
            }
            if rng.uniform() < MUTATE {
                step.relaxation = match (rng.below(4), step.relaxation) {
                    (0, _) => Relaxation::None,
                    (1, _) => Relaxation::Bh1,
                    (2, _) => Relaxation::Bh2,
                    (_, Relaxation::Linear(c)) => Relaxation::Linear(c + RELAX * rng.normal()),
                    _ => Relaxation::Linear(RELAX * rng.normal()),
                };
            }
            if rng.uniform() < MUTATE {
                step.corrector = [Corrector::None, Corrector::Pseudo][rng.below(2)];
            }
        }
    }

    /// Adds and removes steps by chance, and then as many as the number of calls demands.
    fn resize(&self, plan: &mut Plan, rng: &mut Rng) {
        if rng.uniform() < RESIZE {
            split(plan, rng.below(plan.steps.len()));
        }
        if rng.uniform() < RESIZE && plan.steps.len() > 1 {
            join(plan, rng.below(plan.steps.len() - 1));
        }
        while plan.calls() > self.calls && plan.steps.len() > 1 {
            join(plan, rng.below(plan.steps.len() - 1));
        }
        // One step's only call is the first: it must be asked.
        if plan.steps.len() == 1 {
            plan.first = First::Ask;
        }
        while plan.calls() < self.calls {
            split(plan, rng.below(plan.steps.len()));
        }
    }
}

/// Takes each component from one of two plans of one length: times, the first answer, and either all steps or each step.
fn cross(child: &mut Plan, other: &Plan, rng: &mut Rng) {
    if other.steps.len() != child.steps.len() {
        return;
    }
    let coin = |rng: &mut Rng| rng.uniform() < 0.5;
    if coin(rng) {
        child.times.clone_from(&other.times);
    }
    if coin(rng) {
        child.first.clone_from(&other.first);
    }
    let each = coin(rng);
    let whole = coin(rng);
    for (step, other) in child.steps.iter_mut().zip(&other.steps) {
        if if each { coin(rng) } else { whole } {
            *step = *other;
        }
    }
}

/// Halves a step, in λ where that is finite.
fn split(plan: &mut Plan, k: usize) {
    let [from, to] = [plan.times[k], plan.times[k + 1]];
    let middle = if to == 0.0 {
        0.5 * from
    } else {
        let [a, b] = [from, to].map(|t| plan.schedule.level(t).lambda());
        plan.schedule.time_of(0.5 * (a + b))
    };
    plan.times.insert(k + 1, middle);
    plan.steps.insert(k, plan.steps[k]);
}

/// Removes the level at the end of step `k`, which is not the last.
fn join(plan: &mut Plan, k: usize) {
    plan.times.remove(k + 1);
    plan.steps.remove(k);
}

/// Lowers what steps cannot do where they stand.
fn repair(plan: &mut Plan) {
    let last = plan.steps.len();
    for k in 1..=last {
        let corrector = if k < last { plan.steps[k - 1].corrector } else { Corrector::None };
        let step = fitted(Step { corrector, ..plan.steps[k - 1] }, k, plan.times[k]);
        plan.steps[k - 1] = Step { corrector, ..step };
    }
}
