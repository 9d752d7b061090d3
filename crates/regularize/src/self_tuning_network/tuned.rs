//! What a self-tuning network knows of its strengths during a run and after it.

use super::hyper::{Hyper, Strength, softplus, softplus_inverse};
use super::{Strengths, response};
use ndarray::Array2;
use quadrat_core::{Error, Result, Seed};
use quadrat_nn::{MethodState, Parameters, Samples, Targets};

/// The strengths during a run and after it.
#[derive(Debug, Clone)]
pub struct Tuned {
    pub(super) hypers: Vec<Hyper>,
    /// Layers with a response.
    pub(super) layers: Vec<String>,
    pub(super) validation: Samples,
    /// Training rows that validate, ascending.
    pub(super) held: Vec<u32>,
    pub(super) seed: Seed,
    /// Free coordinates, then those of the scales: σ = softplus(s).
    pub(super) u: Vec<f64>,
    s: Vec<f64>,
    /// Adam's averages for u and s, one after the other.
    first: Vec<f64>,
    second: Vec<f64>,
    /// Training steps past the warm-up, and validation steps.
    pub(super) trained: u64,
    pub(super) validated: u64,
    schedule: Strengths,
    pub(super) best: Option<Best>,
}

/// The end of the epoch with the lowest validation loss.
#[derive(Debug, Clone, PartialEq)]
pub struct Best {
    /// Mean validation loss at the unperturbed strengths.
    pub loss: f64,
    /// Which epoch, from 1.
    pub epoch: usize,
    /// The strengths then.
    pub strengths: Vec<(Strength, f64)>,
    pub(super) parameters: Vec<(String, Vec<f32>)>,
}

impl Default for Tuned {
    fn default() -> Self {
        let targets = Targets::Values(Array2::zeros((0, 0)));
        let none = Samples::new(Array2::zeros((0, 0)), targets);
        Tuned::begin(Vec::new(), Vec::new(), none, Vec::new(), Seed(0))
    }
}

impl Tuned {
    pub(super) fn begin(
        hypers: Vec<Hyper>,
        layers: Vec<String>,
        validation: Samples,
        held: Vec<u32>,
        seed: Seed,
    ) -> Self {
        let h = hypers.len();
        let mut tuned = Tuned {
            u: hypers.iter().map(|hyper| hyper.free(hyper.value)).collect(),
            s: hypers.iter().map(|hyper| softplus_inverse(hyper.scale)).collect(),
            schedule: Strengths::of(hypers.iter().map(|hyper| hyper.strength.clone()).collect()),
            hypers,
            layers,
            validation,
            held,
            seed,
            first: vec![0.0; 2 * h],
            second: vec![0.0; 2 * h],
            trained: 0,
            validated: 0,
            best: None,
        };
        tuned.record(0);
        tuned
    }

    /// The strengths as they are now.
    pub fn strengths(&self) -> Vec<(Strength, f64)> {
        self.schedule.last()
    }

    /// Standard deviations σ of the free coordinates' perturbations.
    pub fn scales(&self) -> Vec<f64> {
        self.s.iter().map(|&s| softplus(s)).collect()
    }

    /// The values after every validation step; as a training method, a training with them and without tuning.
    pub fn schedule(&self) -> &Strengths {
        &self.schedule
    }

    /// The epoch with the lowest validation loss, if one is over.
    pub fn best(&self) -> Option<&Best> {
        self.best.as_ref()
    }

    /// Validation steps so far.
    pub fn validation_steps(&self) -> u64 {
        self.validated
    }

    /// Rows of the next validation step.
    pub(super) fn draw_validation(&self, batch: usize) -> Vec<u32> {
        let n = self.validation.len();
        let drawn = self.seed.stream("validation rows").rng(self.validated).sample(n, batch.min(n));
        drawn.into_iter().map(|row| row as u32).collect()
    }

    /// Standard normal perturbations, rows x hyperparameters; those of a whole batch are the same in all rows.
    pub(super) fn noise(&self, stream: &str, item: u64, rows: usize) -> Array2<f64> {
        let mut rng = self.seed.stream(stream).rng(item);
        let mut noise = Array2::from_shape_simple_fn((rows, self.hypers.len()), || rng.normal());
        for (mut column, hyper) in noise.columns_mut().into_iter().zip(&self.hypers) {
            if let (true, Some(&first)) = (hyper.strength.is_per_batch(), column.first()) {
                column.fill(first);
            }
        }
        noise
    }

    /// One step of Adam on u and s, from the loss's gradients at u and at the scales (through σ ε).
    ///
    /// # Errors
    /// A gradient that is not finite.
    pub(super) fn step(&mut self, to_u: &[f64], to_scales: &[f64], rates: [f64; 2], tau: f64) -> Result<()> {
        let h = self.u.len();
        self.validated += 1;
        let t = self.validated as i32;
        let (fade, fade_square) = (1.0 - BETA1.powi(t), 1.0 - BETA2.powi(t));
        for i in 0..2 * h {
            let j = i % h;
            let gradient = match i < h {
                true => to_u[j],
                // The entropy is Σ log σ and a constant; dσ/ds is the sigmoid of s.
                false => (to_scales[j] - tau / softplus(self.s[j])) / (1.0 + (-self.s[j]).exp()),
            };
            if !gradient.is_finite() {
                let why = "the validation loss has no finite gradient at it: lower the learning rates";
                return Err(Error::numeric(self.hypers[j].strength.to_string(), why));
            }
            let (first, second) = (&mut self.first[i], &mut self.second[i]);
            *first = BETA1 * *first + (1.0 - BETA1) * gradient;
            *second = BETA2 * *second + (1.0 - BETA2) * gradient * gradient;
            let change = (*first / fade) / ((*second / fade_square).sqrt() + 1e-8);
            let (free, rate) = if i < h { (&mut self.u[j], rates[0]) } else { (&mut self.s[j], rates[1]) };
            *free -= rate * change;
        }
        Ok(())
    }

    /// Note the strengths that hold from a step on.
    pub(super) fn record(&mut self, step: usize) {
        let values = self.hypers.iter().zip(&self.u).map(|(hyper, &u)| hyper.at(u) as f32).collect();
        if self.schedule.steps.last() == Some(&step) {
            self.schedule.values.pop();
        } else {
            self.schedule.steps.push(step);
        }
        self.schedule.values.push(values);
    }

    /// All parameters that the plain network will have, with the responses folded in at these gates.
    pub(super) fn plain(&self, parameters: &Parameters, gates: &[f32]) -> Result<Vec<(String, Vec<f32>)>> {
        let mut all = response::folded(parameters, &self.layers, gates)?;
        let others = parameters.iter().filter(|p| !response::is_added(&p.name, &self.layers));
        let others: Vec<_> = others.filter(|p| all.iter().all(|(name, _)| *name != p.name)).collect();
        all.extend(others.into_iter().map(|p| (p.name.clone(), p.values())));
        Ok(all)
    }

    pub(super) fn save(&self) -> MethodState {
        let mut state = MethodState::default();
        for (name, values) in [("u", &self.u), ("s", &self.s), ("first", &self.first), ("second", &self.second)] {
            state.numbers.extend(values.iter().enumerate().map(|(i, &v)| (format!("{name}.{i}"), v)));
        }
        state.numbers.insert("trained".to_owned(), self.trained as f64);
        state.numbers.insert("validated".to_owned(), self.validated as f64);
        for (row, (&step, values)) in self.schedule.steps.iter().zip(&self.schedule.values).enumerate() {
            state.numbers.insert(format!("schedule.{row}"), step as f64);
            state.arrays.entry("schedule".to_owned()).or_default().extend(values);
        }
        if let Some(best) = &self.best {
            state.numbers.insert("best.loss".to_owned(), best.loss);
            state.numbers.insert("best.epoch".to_owned(), best.epoch as f64);
            state.arrays.insert("best".to_owned(), best.strengths.iter().map(|(_, v)| *v as f32).collect());
            let parameters = best.parameters.iter();
            state.arrays.extend(parameters.map(|(name, values)| (format!("best/{name}"), values.clone())));
        }
        state
    }

    pub(super) fn load(&mut self, mut state: MethodState) -> Result<()> {
        let take = |name: &str| {
            let other = || Error::input("checkpoint of self-tuning-network", format!("no `{name}`"), "the same tuning");
            state.numbers.get(name).copied().ok_or_else(other)
        };
        for (name, values) in
            [("u", &mut self.u), ("s", &mut self.s), ("first", &mut self.first), ("second", &mut self.second)]
        {
            for (i, value) in values.iter_mut().enumerate() {
                *value = take(&format!("{name}.{i}"))?;
            }
        }
        (self.trained, self.validated) = (take("trained")? as u64, take("validated")? as u64);
        // None was written before the first step.
        let rows = state.arrays.remove("schedule").unwrap_or_default();
        self.schedule.values = rows.chunks(self.u.len().max(1)).map(<[f32]>::to_vec).collect();
        let steps = (0..self.schedule.values.len()).map(|row| take(&format!("schedule.{row}")));
        self.schedule.steps = steps.map(|step| step.map(|step| step as usize)).collect::<Result<_>>()?;
        self.best = None;
        if state.numbers.contains_key("best.loss") {
            let values = state.arrays.remove("best");
            let other = || Error::input("checkpoint of self-tuning-network", "no `best`", "the same tuning");
            let values = values.ok_or_else(other)?.into_iter().map(f64::from);
            self.best = Some(Best {
                loss: take("best.loss")?,
                epoch: take("best.epoch")? as usize,
                strengths: self.schedule.names.iter().cloned().zip(values).collect(),
                parameters: state
                    .arrays
                    .into_iter()
                    .filter_map(|(name, values)| Some((name.strip_prefix("best/")?.to_owned(), values)))
                    .collect(),
            });
        }
        Ok(())
    }
}

/// Adam's averages.
const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
