//! Self-tuning networks: regularisation strengths learnt by gradient while the network trains.
//!
//! MacKay, Vicol, Lorraine, Duvenaud and Grosse, "Self-Tuning Networks: Bilevel Optimization of Hyperparameters using
//! Structured Best-Response Functions", ICLR 2019 (arXiv 1903.03088). The best weights are a function of the strengths,
//! w*(λ). Every layer carries a cheap approximation of that function,
//!
//! > y = W₀ x + b₀ + (V u) ⊙ (W₁ x) + (C u) ⊙ b₁,
//!
//! with u the strengths in free coordinates. Training steps perturb u row by row, u_i = u + σ ⊙ ε_i, regularise row i as
//! u_i says and fit all of W₀, b₀, V, C, W₁, b₁: so the layers learn how weights answer to strengths near u. Validation
//! steps, without any regularisation, follow the validation loss's gradient through that answer to u and to the scales σ
//! (minus τ times the entropy of the perturbation, which keeps σ from collapsing). The network that remains is an
//! ordinary one, and the values along the way are a schedule.
//!
//! A strength between two ends is low + (high − low) σ(u), one without an upper end low + softplus(u); σ = softplus(s).
//! Dropout, input noise, label smoothing, and shift and cutout of images (in whole pixels: the loss has no gradient by
//! them, and needs none) differ from row to row; a weight decay, λ/2 ‖W‖² of the weights that answer
//! to the batch's mean gates, is drawn once a batch.
//!
//! [`Variant::Centred`] feeds u_i − u to the gates instead of u_i, and V, C start at zero, so that at u the network is
//! exactly W₀ x + b₀: the first of the two changes of Delta-STN (Bae and Grosse, NeurIPS 2020, arXiv 2010.13514). It is the
//! default: fed by u itself, a network that starts from a dropout of 0.6 collapsed in all three repeats of a first experiment
//! (validation loss 1.4 against 0.46), a centred one in none. The
//! second, a response that is linearised and fitted in a pass of its own while W₀ and b₀ see the unperturbed u, is not
//! here; nor are whole-number hyperparameters and the authors' patience (the trainer's epochs end the run).
//!
//! Chosen here: the authors' programs use a learning rate of 0.003 (0.01 for small networks) for u over hundreds of
//! epochs; [`SelfTuningNetwork::rate`] is 0.03, for runs of tens. They warm up for five epochs, we for one.

mod hyper;
mod response;
mod strengths;
#[cfg(test)]
mod tests;
mod tuned;

pub use hyper::{Hyper, Strength};
pub use strengths::Strengths;
pub use tuned::{Best, Tuned};

use ndarray::{Array2, Axis};
use quadrat_core::{Area, Card, Choice, Error, Kind, Method, Result, Settings};
use quadrat_nn::{
    At, Batch, EpochEnd, Forward, MethodState, Parameters, Piece, Run, Samples, StepEnd, Targets, Tensor, TrainMethod,
    Vars,
};
use std::ops::Bound::Excluded;

/// What the gates are fed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum Variant {
    /// u_i, as in the paper.
    Plain,
    /// u_i − u, as in Delta-STN: the default.
    Centred,
}

/// The rows whose loss the strengths are to make small; they are not trained on.
#[derive(Debug, Clone, PartialEq)]
pub enum Validation {
    /// These.
    Rows(Samples),
    /// This share of the training rows, drawn at random and left out of training.
    Share(f64),
}

const SHARE: Kind = Kind::Number { range: (Excluded(0.0), Excluded(1.0)), or: None };

impl Validation {
    /// A share, as it is typed.
    fn of_share(text: &str) -> Result<Validation> {
        let share = text.parse().ok().filter(|share| *share > 0.0 && *share < 1.0);
        share
            .map(Validation::Share)
            .ok_or_else(|| Error::input("validation", format!("`{text}`"), "use a number, above 0 and below 1"))
    }
}

/// Self-tuning network.
///
/// ```
/// use quadrat_core::{Seed, Silent};
/// use quadrat_nn::{Mlp, Samples, Trainer};
/// use quadrat_regularize::{Hyper, SelfTuningNetwork};
/// let inputs = ndarray::Array2::from_shape_fn((60, 2), |(i, j)| ((i * (j + 1)) % 7) as f32);
/// let samples = Samples::classes(inputs, (0..60).map(|i| (i % 7 > 3) as u32).collect(), 2)?;
/// let hypers = vec![Hyper::dropout("fc1"), Hyper { value: 0.2, ..Hyper::input_noise() }];
/// let mut method = SelfTuningNetwork { hypers, ..SelfTuningNetwork::default() };
/// let trainer = Trainer { epochs: 5, batch: 8, seed: Seed(1), ..Trainer::default() };
/// trainer.fit(&Mlp::new(2, &[16], 2), &samples, None, &mut [&mut method], &Silent)?;
/// assert_eq!(method.tuned.schedule().last().len(), 2);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, Settings)]
pub struct SelfTuningNetwork {
    /// What to tune, joined by +: dropout (every site), dropout:SITE, noise, smoothing, decay, shift and cutout of images
    /// (shares of a side; not square: shift:CxHxW); each may start at =VALUE.
    #[param(name = "tune", default = vec![Hyper::dropout("*")], parse = Hyper::parse_all, text = "dropout")]
    pub hypers: Vec<Hyper>,
    /// Share of the training rows left out to tune on.
    #[param(default = Validation::Share(0.2), parse = Validation::of_share, kind = SHARE, text = "0.2")]
    pub validation: Validation,
    /// What the gates are fed.
    #[param(default = Variant::Centred)]
    pub variant: Variant,
    /// Training steps before each round of validation steps.
    #[param(default = 2, from = 1)]
    pub train_steps: usize,
    /// Validation steps in a round.
    #[param(default = 1, from = 1)]
    pub valid_steps: usize,
    /// Epochs before the first round.
    #[param(default = 1)]
    pub warmup: usize,
    /// Rows of a validation step; all if there are fewer.
    #[param(default = 128, from = 1)]
    pub batch: usize,
    /// Learning rate (Adam) of the free coordinates u.
    #[param(default = 0.03, from = 0, to = 1e3)]
    pub rate: f64,
    /// Learning rate (Adam) of the scales; at 0 they stay and validation steps do not perturb.
    #[param(default = 0.003, from = 0, to = 1e3)]
    pub scale_rate: f64,
    /// Weight τ of the perturbation's entropy.
    #[param(default = 0.001, from = 0, to = 1e3)]
    pub tau: f64,
    /// Return the parameters at the end of the epoch with the lowest validation loss instead of the last ones. (They are
    /// the parameters themselves, not the trainer's average of them. Not together with methods that reparametrise.)
    #[param(default = true)]
    pub keep_best: bool,
    /// How the tuning went; empty before a run.
    pub tuned: Tuned,
}

impl Method for SelfTuningNetwork {
    const CARD: Card = Card {
        slug: "self-tuning-network",
        aliases: &["stn", "self-tuning"],
        title: "Self-tuning network",
        paper: "MacKay, Vicol, Lorraine, Duvenaud and Grosse, ICLR 2019, arXiv 1903.03088; centred gates from Bae and \
                Grosse, NeurIPS 2020, arXiv 2010.13514",
        area: Area::Regularize,
        verbs: &["train"],
        summary: "Tunes dropout rates, noise, shift and cutout of inputs, label smoothing and weight decay by gradients of \
                  the validation loss while the network trains, in one run, and records how they changed.",
        useful_when: "I have several regularisation strengths to set and can afford one or two trainings, not fifty; \
                      which dropout rate should each layer have; tune hyperparameters without a search",
        cost: "about twice the time of a training step, and one validation step of half that after every two; twice the \
               kernels' memory with their moments; nothing after training",
        params: Self::PARAMS,
    };
}

impl SelfTuningNetwork {
    fn check(&self, run: &Run<'_>) -> Result<()> {
        let at_least_one =
            [("train-steps", self.train_steps), ("valid-steps", self.valid_steps), ("batch", self.batch)];
        for (what, value) in at_least_one {
            if value == 0 {
                return Err(Error::input(what, value, "at least 1"));
            }
        }
        for (what, value) in [("rate", self.rate), ("scale-rate", self.scale_rate), ("tau", self.tau)] {
            if !(value.is_finite() && value >= 0.0) {
                return Err(Error::input(what, value, "a number of 0 or more"));
            }
        }
        if self.warmup >= run.epochs {
            let got = format!("{} epochs of a run of {}", self.warmup, run.epochs);
            return Err(Error::input("warmup", got, "fewer than the run has: nothing would be tuned"));
        }
        Ok(())
    }

    /// The validation rows, and which training rows they are, ascending.
    fn held_out(&self, run: &Run<'_>) -> Result<(Samples, Vec<u32>)> {
        let data = run.samples("self-tuning-network")?;
        let rows = match &self.validation {
            Validation::Rows(rows) => rows,
            Validation::Share(share) => {
                let n = data.len();
                let k = (share * n as f64).round() as usize;
                if !(share.is_finite() && (1..n).contains(&k)) {
                    let want = format!("a share that leaves rows to train on and to validate on, of {n}");
                    return Err(Error::input("validation", share, want));
                }
                let drawn = run.seed.stream("held out").rng(0).sample(n, k);
                let mut held: Vec<u32> = drawn.into_iter().map(|row| row as u32).collect();
                held.sort_unstable();
                return Ok((data.select(&held), held));
            }
        };
        if rows.is_empty() {
            return Err(Error::input("validation", "no rows", "at least one row that is not trained on"));
        }
        if rows == data {
            return Err(Error::input("validation", "the training rows", "rows that are not trained on"));
        }
        let shape = |samples: &Samples| (samples.inputs.ncols(), samples.outputs(), samples.labels().is_some());
        if shape(rows) != shape(data) {
            let told = |s: &Samples| {
                let kind = if matches!(s.targets, Targets::Classes { .. }) { "classes" } else { "values" };
                format!("rows of {} numbers with {} {kind}", s.inputs.ncols(), s.outputs())
            };
            return Err(Error::input("validation", told(rows), format!("training has {}", told(data))));
        }
        if let Some(((row, column), v)) = rows.inputs.indexed_iter().find(|(_, v)| !v.is_finite()) {
            let got = format!("{v} in row {row}, column {column}");
            return Err(Error::input("validation", got, "inputs must be finite"));
        }
        Ok((rows.clone(), Vec::new()))
    }

    /// What the gates are fed at the unperturbed u.
    fn centre(&self) -> Vec<f32> {
        let u = self.tuned.u.iter();
        u.map(|&u| if self.variant == Variant::Centred { 0.0 } else { u as f32 }).collect()
    }

    /// What the gates are fed at perturbations ε (rows x hyperparameters).
    fn gates(&self, noise: &Array2<f64>) -> Array2<f32> {
        let (centre, scales) = (self.centre(), self.tuned.scales());
        Array2::from_shape_fn(noise.dim(), |(i, j)| centre[j] + (scales[j] * noise[[i, j]]) as f32)
    }

    /// One validation step.
    fn validate(&mut self, at: At, model: &mut dyn StepEnd) -> Result<()> {
        let rows = self.tuned.draw_validation(self.batch);
        let mut batch = self.tuned.validation.batch(at, &rows);
        let noise = match self.scale_rate > 0.0 {
            true => self.tuned.noise("validation", self.tuned.validated, rows.len()),
            false => Array2::zeros((rows.len(), self.tuned.u.len())),
        };
        batch.tuning.get_or_insert_default().gates = Some(self.gates(&noise));
        let (_, gradients) = model.gate_gradients(&batch)?;
        let gradients = gradients.mapv(f64::from);
        let to_u = gradients.sum_axis(Axis(0)).to_vec();
        let to_scales = (gradients * &noise).sum_axis(Axis(0)).to_vec();
        self.tuned.step(&to_u, &to_scales, [self.rate, self.scale_rate], self.tau)?;
        self.tuned.record(at.step + 1);
        Ok(())
    }
}

impl TrainMethod for SelfTuningNetwork {
    fn name(&self) -> &str {
        "self-tuning-network"
    }

    fn settings(&self) -> String {
        let rows = match &self.validation {
            Validation::Rows(rows) => format!("{} rows", rows.len()),
            Validation::Share(share) => share.to_string(),
        };
        format!(
            "tune={:?} validation={rows} variant={:?} train-steps={} valid-steps={} warmup={} batch={} rate={} \
             scale-rate={} tau={} keep-best={}",
            self.hypers,
            self.variant,
            self.train_steps,
            self.valid_steps,
            self.warmup,
            self.batch,
            self.rate,
            self.scale_rate,
            self.tau,
            self.keep_best
        )
    }

    fn begin(&mut self, run: &Run<'_>, parameters: &mut Parameters) -> Result<()> {
        self.check(run)?;
        let sites = run.dropout_sites(parameters)?;
        let hypers = hyper::expand(&self.hypers, &sites)?;
        hypers.iter().try_for_each(|hyper| hyper.strength.check(run, &sites))?;
        let (validation, held) = self.held_out(run)?;
        let layers = response::add(parameters, hypers.len(), self.variant, run.seed)?;
        self.tuned = Tuned::begin(hypers, layers, validation, held, run.seed);
        Ok(())
    }

    fn order(&mut self, _: usize, order: &mut Vec<u32>) -> Result<()> {
        order.retain(|row| self.tuned.held.binary_search(row).is_err());
        Ok(())
    }

    fn prepare(&mut self, batch: &mut Batch) -> Result<()> {
        let (step, rows) = (batch.at.step as u64, batch.rows.len());
        let noise = self.tuned.noise("training", step, rows);
        let scales = self.tuned.scales();
        let mut rng = self.tuned.seed.stream("strengths").rng(step);
        for (j, hyper) in self.tuned.hypers.iter().enumerate() {
            let value = |i: usize| hyper.at(self.tuned.u[j] + scales[j] * noise[[i, j]]) as f32;
            hyper.strength.apply(batch, &(0..rows).map(value).collect::<Vec<_>>(), &mut rng)?;
        }
        batch.tuning.get_or_insert_default().gates = Some(self.gates(&noise));
        Ok(())
    }

    fn reparametrise(&self, vars: &mut Vars) -> Result<()> {
        match (vars.is_training(), self.variant) {
            (false, Variant::Plain) => response::replace(vars, &self.tuned.layers, &self.centre()),
            _ => Ok(()),
        }
    }

    fn loss(&self, forward: &mut Forward, piece: &Piece, _: &Tensor<2>, mut rows: Tensor<1>) -> Result<Tensor<1>> {
        let is_decay = |hyper: &Hyper| hyper.strength == Strength::WeightDecay;
        let Some(j) = self.tuned.hypers.iter().position(is_decay) else { return Ok(rows) };
        let gates = piece.batch.tuning.as_ref().and_then(|tuning| tuning.gates.as_ref());
        let Some(mean) = gates.and_then(|gates| gates.mean_axis(Axis(0))) else { return Ok(rows) };
        // The decay is the same for all rows, so the mean of its column is its own gate.
        let u = self.tuned.u[j] + f64::from(mean[j] - self.centre()[j]);
        let decay = 0.5 * self.tuned.hypers[j].at(u) as f32;
        for layer in &self.tuned.layers {
            let gained = response::gained(forward.vars(), layer, &mean.to_vec())?;
            rows = rows + forward.vars().plus(&format!("{layer}.weight"), gained)?.square().sum() * decay;
        }
        Ok(rows)
    }

    fn gradients(&mut self, _: At, parameters: &Parameters, gradients: &mut [Vec<f32>]) -> Result<()> {
        for layer in &self.tuned.layers {
            // A method that began after this one may have pruned it.
            response::check_whole(parameters.get(&format!("{layer}.weight"))?)?;
            if gradients[parameters.position(&format!("{layer}.gate.weight"))?].is_empty() {
                let want = "every kernel must be that of a linear or convolution layer that the forward pass meets";
                return Err(Error::input("self-tuning-network", format!("kernel `{layer}.weight`, not used"), want));
            }
        }
        Ok(())
    }

    fn end_step(&mut self, at: At, model: &mut dyn StepEnd) -> Result<()> {
        if at.epoch < self.warmup {
            return Ok(());
        }
        self.tuned.trained += 1;
        if self.tuned.trained.is_multiple_of(self.train_steps as u64) {
            for _ in 0..self.valid_steps {
                self.validate(at, model)?;
            }
        }
        Ok(())
    }

    fn end_epoch(&mut self, epoch: usize, model: &mut dyn EpochEnd) -> Result<()> {
        let rows: Vec<u32> = (0..self.tuned.validation.len() as u32).collect();
        let mut batch = self.tuned.validation.batch(At { epoch, step: 0 }, &rows);
        let centre = self.centre();
        batch.tuning.get_or_insert_default().gates =
            Some(Array2::from_shape_fn((rows.len(), centre.len()), |(_, j)| centre[j]));
        let loss = model.loss(&batch)?;
        if self.tuned.best.as_ref().is_none_or(|best| loss < best.loss) {
            let parameters = match self.keep_best {
                true => self.tuned.plain(model.parameters(), &centre)?,
                false => Vec::new(),
            };
            self.tuned.best = Some(Best { loss, epoch: epoch + 1, strengths: self.tuned.strengths(), parameters });
        }
        Ok(())
    }

    fn finish(&mut self, parameters: &mut Parameters) -> Result<()> {
        let last = response::folded(parameters, &self.tuned.layers, &self.centre())?;
        parameters.remove(|name| response::is_added(name, &self.tuned.layers));
        let best = self.tuned.best.as_ref().filter(|_| self.keep_best).map(|best| &best.parameters);
        for (name, values) in best.unwrap_or(&last) {
            parameters.get_mut(name)?.set(values)?;
        }
        Ok(())
    }

    /// The strengths of the network that is returned.
    fn found(&self) -> Vec<(String, f64)> {
        let best = self.tuned.best().filter(|_| self.keep_best).map(|best| best.strengths.clone());
        let strengths = best.unwrap_or_else(|| self.tuned.strengths());
        strengths.into_iter().map(|(strength, value)| (strength.to_string(), value)).collect()
    }

    fn save(&self) -> MethodState {
        self.tuned.save()
    }

    fn load(&mut self, state: MethodState, _: &mut Parameters) -> Result<()> {
        self.tuned.load(state)
    }
}
