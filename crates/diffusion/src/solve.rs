//! Plans at work.

use crate::coefficients::{Update, compile};
use crate::denoiser::{check_dims, check_finite, data_prediction};
use crate::plan::{Corrector, First, Form};
use crate::{Denoiser, Level, Plan};
use ndarray::Array2;
use quadrat_core::{Error, Progress, Result, Rng, Seed, checkpoint};
use rayon::prelude::*;

/// Solves from noise to data by a plan: `x` are samples at the plan's first level, one a row; what comes back are samples at its last.
///
/// Sample i draws its noise, where a step has any, from `seed.stream("steps").rng(i)`. One pass over samples and answers a step,
/// beside the model's calls.
///
/// # Errors
/// A plan that cannot be run, samples of another width than the model's or not finite, an answer that is not finite (with the
/// sample and the time), the model's own, or a cancelled run.
///
/// ```
/// use quadrat_core::{Seed, Silent};
/// use quadrat_diffusion::{Grid, Level, Prediction, Schedule, Solver, denoiser_fn, integrate, noise};
/// // Data N(3, 0.5²) in one dimension, ten calls of the exact denoiser.
/// let denoiser = denoiser_fn(1, Prediction::Data, |x, at: &Level| {
///     let gain = at.alpha * 0.25 / (at.alpha.powi(2) * 0.25 + at.sigma.powi(2));
///     Ok(x.mapv(|x| 3.0 + gain * (x - at.alpha * 3.0)))
/// });
/// let plan = Solver::Dpmpp2m.plan(Schedule::linear(), &Grid::LogSnr, 10)?;
/// let data = integrate(&plan, &denoiser, noise(&plan, 500, 1, Seed(1)), Seed(1), &Silent)?;
/// assert!((data.mean().unwrap() - 3.0).abs() < 0.1);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn integrate(
    plan: &Plan,
    denoiser: &dyn Denoiser,
    x: Array2<f64>,
    seed: Seed,
    progress: &dyn Progress,
) -> Result<Array2<f64>> {
    let mut path = Path::start(plan, x, seed)?;
    progress.begin("steps", Some(plan.steps.len() as u64));
    while path.level().is_some() {
        checkpoint(progress)?;
        path.step(denoiser)?;
        progress.advance(1);
    }
    Ok(path.end())
}

/// Samples that are all noise, at a plan's first level: sample i from `seed.stream("noise").rng(i)`.
pub fn noise(plan: &Plan, rows: usize, dims: usize, seed: Seed) -> Array2<f64> {
    noise_rows(rows, dims, plan.times.first().map_or(1.0, |t| plan.schedule.level(*t).sigma), seed)
}

/// Normal rows of standard deviation `sigma`: row i from `seed.stream("noise").rng(i)`.
pub(crate) fn noise_rows(rows: usize, dims: usize, sigma: f64, seed: Seed) -> Array2<f64> {
    let stream = seed.stream("noise");
    let mut x = Array2::zeros((rows, dims));
    x.as_slice_mut().unwrap_or_default().par_chunks_mut(dims.max(1)).enumerate().for_each(|(i, row)| {
        let mut rng = stream.rng(i as u64);
        row.iter_mut().for_each(|v| *v = sigma * rng.normal());
    });
    x
}

/// Samples on their way through a plan: for what looks at them, or moves them, between steps.
pub struct Path<'a> {
    plan: &'a Plan,
    levels: Vec<Level>,
    updates: Vec<(Update, Option<Update>)>,
    /// Steps done.
    done: usize,
    states: Vec<Array2<f64>>,
    /// Data predictions, and noise predictions where a step needs them.
    data: Vec<Array2<f64>>,
    noise: Vec<Array2<f64>>,
    seed: Seed,
    rngs: Vec<Rng>,
}

/// States and answers before the last that no step looks at any more.
const HISTORY: usize = crate::plan::MOST_ORDER + 2;

impl<'a> Path<'a> {
    /// The samples at the plan's first level.
    ///
    /// # Errors
    /// A plan that cannot be run, samples that are not finite.
    pub fn start(plan: &'a Plan, x: Array2<f64>, seed: Seed) -> Result<Self> {
        let (updates, levels) = (compile(plan)?, plan.levels());
        check_finite(&x, "the start", &levels[0])?;
        let x = x.as_standard_layout().into_owned();
        Ok(Path {
            plan,
            levels,
            updates,
            done: 0,
            states: vec![x],
            data: Vec::new(),
            noise: Vec::new(),
            seed: seed.stream("steps"),
            rngs: Vec::new(),
        })
    }

    /// The level that the next step starts from; `None` at the end.
    pub fn level(&self) -> Option<&Level> {
        self.levels.get(self.done).filter(|_| self.done < self.updates.len())
    }

    /// The samples as they are.
    pub fn state(&self) -> &Array2<f64> {
        &self.states[self.done]
    }

    /// The samples, to be moved.
    pub fn state_mut(&mut self) -> &mut Array2<f64> {
        &mut self.states[self.done]
    }

    /// The samples at the end.
    pub fn end(mut self) -> Array2<f64> {
        self.states.swap_remove(self.done)
    }

    /// One step: asks the model, corrects the step before where the plan says so, and goes on. Returns the data prediction that it went
    /// on from.
    ///
    /// # Errors
    /// As [`integrate`].
    pub fn step(&mut self, denoiser: &dyn Denoiser) -> Result<&Array2<f64>> {
        check_dims(denoiser.dims(), self.state().view())?;
        let Some(&at) = self.level() else {
            return Err(Error::input("step", format!("after {} steps", self.done), "the plan is at its end"));
        };
        let k = self.done;
        let answer = match (&self.plan.first, k) {
            (First::Noise, 0) => Array2::zeros(self.state().raw_dim()),
            (First::Mean(mean), 0) if mean.len() != denoiser.dims() => {
                let got = format!("{} numbers", mean.len());
                return Err(Error::input(
                    "mean of the first answer",
                    got,
                    format!("{}, as the model", denoiser.dims()),
                ));
            }
            (First::Mean(mean), 0) => Array2::from_shape_fn(self.state().raw_dim(), |(_, j)| mean[j]),
            _ => data_prediction(denoiser, self.state().view(), &at)?,
        };
        self.note(answer, &at);
        if let Some(corrector) = k.checked_sub(1).and_then(|before| self.updates[before].1.clone()) {
            self.states[k] = self.apply(&corrector);
            if self.plan.steps[k - 1].corrector == Corrector::Implicit {
                let again = data_prediction(denoiser, self.state().view(), &at)?;
                self.data.pop();
                self.noise.pop();
                self.note(again, &at);
            }
        }
        let update = self.updates[k].0.clone();
        let mut next = self.apply(&update);
        if update.noise > 0.0 {
            self.stir(&mut next, update.noise);
        }
        self.states.push(next);
        self.done += 1;
        if let Some(old) = self.done.checked_sub(HISTORY) {
            self.states[old] = Array2::default((0, 0));
            self.data[old] = Array2::default((0, 0));
            self.noise.get_mut(old).into_iter().for_each(|noise| *noise = Array2::default((0, 0)));
        }
        Ok(&self.data[k])
    }

    /// Keeps an answer, in the forms that the plan needs.
    fn note(&mut self, data: Array2<f64>, at: &Level) {
        if self.plan.steps.iter().any(|step| step.form == Form::Noise) {
            let mut noise = self.state().clone();
            noise.zip_mut_with(&data, |x, data| *x = (*x - at.alpha * data) / at.sigma);
            self.noise.push(noise);
        }
        self.data.push(data);
    }

    /// base · state + Σ weight · answer.
    fn apply(&self, update: &Update) -> Array2<f64> {
        let answers = if update.form == Form::Data { &self.data } else { &self.noise };
        let (start, terms) = (flat(&self.states[update.start]), &update.terms);
        let mut next = Array2::zeros(self.states[update.start].raw_dim());
        let sum = |(chunk, out): (usize, &mut [f64])| {
            let of = |values: &'_ [f64]| chunk * CHUNK..(chunk * CHUNK + CHUNK).min(values.len());
            let base = update.base;
            out.iter_mut().zip(&start[of(start)]).for_each(|(out, x)| *out = base * x);
            for (answer, weight) in terms {
                let answer = flat(&answers[*answer]);
                out.iter_mut().zip(&answer[of(answer)]).for_each(|(out, f)| *out += weight * f);
            }
        };
        let flat = next.as_slice_mut().unwrap_or_default();
        if flat.len() > SERIAL {
            flat.par_chunks_mut(CHUNK).enumerate().for_each(sum)
        } else {
            flat.chunks_mut(CHUNK).enumerate().for_each(sum)
        }
        next
    }

    fn stir(&mut self, x: &mut Array2<f64>, deviation: f64) {
        if self.rngs.is_empty() {
            self.rngs = (0..x.nrows()).map(|i| self.seed.rng(i as u64)).collect();
        }
        let width = x.ncols().max(1);
        let rows = x.as_slice_mut().unwrap_or_default().par_chunks_mut(width);
        rows.zip(&mut self.rngs).for_each(|(row, rng)| row.iter_mut().for_each(|v| *v += deviation * rng.normal()));
    }
}

/// Numbers that are summed at a time, and the most that are worth no second thread.
const CHUNK: usize = 4096;
const SERIAL: usize = 1 << 15;

/// Arrays here are contiguous: [`Path::start`] and the solver's own are made so, a denoiser's is put in order by arithmetic.
fn flat(x: &Array2<f64>) -> &[f64] {
    x.as_slice().unwrap_or_default()
}
