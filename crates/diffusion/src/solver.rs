//! The named solvers, as plans.

use crate::plan::fitted;
use crate::{Corrector, First, Form, Grid, Plan, Relaxation, Schedule, Step};
use quadrat_core::{Choice, Error, Result};

/// A solver that has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Choice)]
pub enum Solver {
    /// Song, Meng, Ermon 2021; Euler's rule in σ/α is the same.
    Ddim,
    /// Ho, Jain, Abbeel 2020: DDIM with all of the noise; Euler's ancestral rule is the same.
    Ddpm,
    /// Heun's rule in σ/α (Karras et al. 2022): two calls a step.
    Heun,
    /// DPM-Solver-2, multistep (Lu et al. 2022).
    #[param(name = "dpm-2m")]
    Dpm2m,
    /// DPM-Solver-3, multistep.
    #[param(name = "dpm-3m")]
    Dpm3m,
    /// DPM-Solver-2, single-step: two calls a step.
    #[param(name = "dpm-2s")]
    Dpm2s,
    /// DPM-Solver-3, single-step: three calls a step.
    #[param(name = "dpm-3s")]
    Dpm3s,
    /// DPM-Solver++(2M), the midpoint rule (Lu et al. 2022).
    #[param(name = "dpmpp-2m")]
    Dpmpp2m,
    /// DPM-Solver++(2M), Heun's rule.
    #[param(name = "dpmpp-2m-heun")]
    Dpmpp2mHeun,
    /// DPM-Solver++(3M), of the third order.
    #[param(name = "dpmpp-3m")]
    Dpmpp3m,
    /// DPM-Solver++(2S): two calls a step.
    #[param(name = "dpmpp-2s")]
    Dpmpp2s,
    /// SDE-DPM-Solver++(2M), with all of the noise.
    #[param(name = "dpmpp-2m-sde")]
    Dpmpp2mSde,
    /// SDE-DPM-Solver++(3M), with all of the noise.
    #[param(name = "dpmpp-3m-sde")]
    Dpmpp3mSde,
    /// UniPC of order 2 with B₂ (Zhao et al. 2023).
    Unipc,
    /// UniPC of order 3 with B₂.
    #[param(name = "unipc-3")]
    Unipc3,
    /// DEIS of order 2 in log ρ (Zhang and Chen 2023): the same steps as DPM-Solver-2, multistep.
    Deis,
    /// DEIS of order 3: the same steps as DPM-Solver-3, multistep.
    #[param(name = "deis-3")]
    Deis3,
}

impl Solver {
    /// The solver on a grid, with so many calls of the model.
    ///
    /// # Errors
    /// No call, times that are given and do not fit (solvers of several calls a step take one for each step).
    pub fn plan(self, schedule: Schedule, grid: &Grid, calls: usize) -> Result<Plan> {
        if calls == 0 {
            return Err(Error::input("calls", 0, "at least 1"));
        }
        let multistep = |step: Step| Plan::uniform(schedule.clone(), grid.times(&schedule, calls)?, step);
        let plain = |form, order| multistep(Step::multistep(form, order, Relaxation::None));
        match self {
            Solver::Ddim => multistep(Step::FIRST),
            Solver::Ddpm => multistep(Step { eta: 1.0, ..Step::FIRST }),
            Solver::Heun => heun(schedule, grid, calls),
            Solver::Dpm2m | Solver::Deis => plain(Form::Noise, 2),
            Solver::Dpm3m | Solver::Deis3 => plain(Form::Noise, 3),
            Solver::Dpmpp2m => multistep(Step::multistep(Form::Data, 2, Relaxation::Bh2)),
            Solver::Dpmpp2mHeun => plain(Form::Data, 2),
            Solver::Dpmpp3m => plain(Form::Data, 3),
            Solver::Dpmpp2mSde => multistep(Step { eta: 1.0, ..Step::multistep(Form::Data, 2, Relaxation::Bh2) }),
            Solver::Dpmpp3mSde => multistep(Step { eta: 1.0, ..Step::multistep(Form::Data, 3, Relaxation::None) }),
            Solver::Dpm2s => single(schedule, grid, calls, Form::Noise, 2),
            Solver::Dpm3s => single(schedule, grid, calls, Form::Noise, 3),
            Solver::Dpmpp2s => single(schedule, grid, calls, Form::Data, 2),
            Solver::Unipc => unipc(schedule, grid, calls, 2),
            Solver::Unipc3 => unipc(schedule, grid, calls, 3),
        }
    }
}

/// A first-order step, and the trapezoid in σ/α as its corrector, for all steps but the last; of an even number of calls one is left,
/// and the step before the last does without.
fn heun(schedule: Schedule, grid: &Grid, calls: usize) -> Result<Plan> {
    let steps = calls / 2 + 1;
    let times = grid.times(&schedule, steps)?;
    let trapezoid =
        Step { form: Form::Noise, relaxation: Relaxation::Bh2, corrector: Corrector::Implicit, ..Step::FIRST };
    let corrected = (calls - steps).min(steps - 1);
    let step = |k| if k < corrected { trapezoid } else { Step::FIRST };
    let plan = Plan { schedule, times, steps: (0..steps).map(step).collect(), first: First::Ask };
    plan.check()?;
    Ok(plan)
}

/// A corrector of one order more at each step but the last; orders grow from 1.
fn unipc(schedule: Schedule, grid: &Grid, calls: usize, order: usize) -> Result<Plan> {
    let times = grid.times(&schedule, calls)?;
    let step = |k: usize| {
        let order = order.min(k);
        // Up to order 2 the authors' short-cut stands for the equations.
        let relaxation = if order <= 2 { Relaxation::Bh2 } else { Relaxation::None };
        let corrector = if k < calls { Corrector::Pseudo } else { Corrector::None };
        fitted(Step { corrector, ..Step::multistep(Form::Data, order, relaxation) }, k, times[k])
    };
    let steps = (1..=calls).map(step).collect();
    let plan = Plan { schedule, times, steps, first: First::Ask };
    plan.check()?;
    Ok(plan)
}

/// Rungs between the grid's levels, evenly in λ: a step of order 2 has one, of order 3 two, and starts again from the level above. What
/// is left of the calls makes one shorter step before the last, which goes to clean data.
fn single(schedule: Schedule, grid: &Grid, calls: usize, form: Form, order: usize) -> Result<Plan> {
    let (whole, rest) = ((calls - 1) / order, (calls - 1) % order);
    let mut sizes = vec![order; whole];
    sizes.extend((rest > 0).then_some(rest));
    let levels = grid.times(&schedule, sizes.len() + 1)?;
    let (mut times, mut steps) = (vec![levels[0]], Vec::with_capacity(calls));
    for (pair, size) in levels.windows(2).zip(sizes) {
        let [from, to] = [pair[0], pair[1]].map(|t| schedule.level(t).lambda());
        for rung in 1..=size {
            let lambda = from + (to - from) * rung as f64 / size as f64;
            times.push(if rung == size { pair[1] } else { schedule.time_of(lambda) });
            // A rung at h/2 with the midpoint rule, rungs at h/3 and 2h/3 with the last of them: the authors' forms.
            let (order, points) = if rung == 1 { (1, 0) } else { (2, 1) };
            let relaxation = if size == 2 { Relaxation::Bh2 } else { Relaxation::None };
            steps.push(Step { back: rung - 1, points, ..Step::multistep(form, order, relaxation) });
        }
    }
    times.push(0.0);
    steps.push(Step::FIRST);
    let plan = Plan { schedule, times, steps, first: First::Ask };
    plan.check()?;
    Ok(plan)
}

#[cfg(test)]
mod tests;
