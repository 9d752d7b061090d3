//! Steps of continuous diffusion.

use super::ReverseKernel;
use crate::coefficients::{Update, compile};
use crate::{Denoiser, First, Level, Plan, Step, data_prediction};
use ndarray::{Array2, ArrayView2};
use quadrat_core::{Error, Result, Rng};

/// The steps of a plan of the first order: x' = a x + b x̂₀ + s z, where z is fresh noise. With all of the noise (η =
/// 1) it is DDPM's ancestral step, with less DDIM's.
///
/// ```
/// use quadrat_diffusion::{AncestralKernel, Grid, MixtureDenoiser, ReverseKernel, Schedule, Solver};
/// let denoiser = MixtureDenoiser::kernel(ndarray::array![[0.0, 1.0]].view(), 0.1)?;
/// let plan = Solver::Ddpm.plan(Schedule::linear(), &Grid::LogSnr, 20)?;
/// let kernel = AncestralKernel::new(&denoiser, &plan)?;
/// // The step to clean data draws nothing.
/// assert!(kernel.is_stochastic(18) && !kernel.is_stochastic(19));
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub struct AncestralKernel<'a> {
    denoiser: &'a dyn Denoiser,
    levels: Vec<Level>,
    updates: Vec<Update>,
}

impl<'a> AncestralKernel<'a> {
    /// The steps of `plan` with a denoiser.
    ///
    /// # Errors
    /// A plan that cannot be run, or whose steps look at more than the state they start from; a sample of no number.
    pub fn new(denoiser: &'a dyn Denoiser, plan: &Plan) -> Result<Self> {
        let updates = compile(plan)?.into_iter().map(|(update, _)| update).collect();
        let plain = |step: &Step| *step == Step { eta: step.eta, ..Step::FIRST };
        if plan.first != First::Ask || !plan.steps.iter().all(plain) {
            let want = "steps of the first order in the data form, each from the state before, as `ddpm` has them";
            return Err(Error::input("plan", "steps that need more than a state", want));
        }
        if denoiser.dims() == 0 {
            return Err(Error::input("denoiser", "samples of 0 numbers", "at least 1"));
        }
        Ok(AncestralKernel { denoiser, levels: plan.levels(), updates })
    }
}

impl ReverseKernel for AncestralKernel<'_> {
    type State = Vec<f64>;
    type Answer = Vec<f64>;

    fn steps(&self) -> usize {
        self.updates.len()
    }

    fn is_stochastic(&self, step: usize) -> bool {
        self.updates[step].noise > 0.0
    }

    fn start(&self, rng: &mut Rng) -> Vec<f64> {
        (0..self.denoiser.dims()).map(|_| self.levels[0].sigma * rng.normal()).collect()
    }

    fn ask(&self, states: &[Vec<f64>], done: usize) -> Result<Vec<Vec<f64>>> {
        let data = data_prediction(self.denoiser, stack(states).view(), &self.levels[done])?;
        Ok(data.outer_iter().map(|row| row.to_vec()).collect())
    }

    fn propose(&self, state: &Vec<f64>, data: &Vec<f64>, step: usize, rng: &mut Rng) -> Vec<f64> {
        let update = &self.updates[step];
        let weight: f64 = update.terms.iter().map(|(_, weight)| weight).sum();
        let mean = state.iter().zip(data).map(|(x, data)| update.base * x + weight * data);
        if update.noise > 0.0 { mean.map(|m| m + update.noise * rng.normal()).collect() } else { mean.collect() }
    }

    fn clean(&self, _: &Vec<f64>, data: &Vec<f64>) -> Vec<f64> {
        data.clone()
    }
}

/// Samples as the rows of an array.
pub fn stack(states: &[Vec<f64>]) -> Array2<f64> {
    let mut rows = Array2::zeros((states.len(), states.first().map_or(0, Vec::len)));
    rows.outer_iter_mut().zip(states).for_each(|(mut row, state)| {
        row.iter_mut().zip(state).for_each(|(out, v)| *out = *v);
    });
    rows
}

/// A reward of an array's rows as one of samples.
pub fn on_rows<F: Fn(ArrayView2<f64>) -> Result<Vec<f64>> + Sync>(
    reward: F,
) -> impl Fn(&[Vec<f64>]) -> Result<Vec<f64>> + Sync {
    move |states: &[Vec<f64>]| reward(stack(states).view())
}
