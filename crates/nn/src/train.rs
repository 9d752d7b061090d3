//! The training loop.
//!
//! Every batch is split into a fixed number of pieces; each piece is a forward and a backward pass of its own, and their
//! gradients are added in order. The result depends on that number, never on how many threads there are.

mod average;
mod best;
mod descent;
mod evaluate;
mod hooks;
mod identity;
mod judge;
mod passes;
mod pull;
mod range;
mod settings;

pub(crate) use average::Average;
pub(crate) use best::Best;
pub use descent::{Descent, RowLosses};
pub use evaluate::{accuracy, evaluate, features, mean_loss, predict};
pub(crate) use identity::{Sum, differences, rows_told};
pub(crate) use judge::VALIDATION;
pub use passes::{gradients, pieces_that_pay};
pub use pull::pull_back;
pub use range::RateTest;
pub use settings::Trainer;

use crate::Network;
use crate::method::{At, Batch, MethodState, Run, TrainMethod};
use crate::optimizer::{self, Moments};
use crate::parameters::Parameters;
use crate::source::Source;
use crate::workers::Workers;
use evaluate::EVALUATED;
use hooks::Model;
use passes::{Done, Work, shorten};
use quadrat_core::{Error, Progress, Result, Seed, checkpoint};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One epoch as it went.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Epoch {
    /// From 1.
    pub epoch: usize,
    /// The learning rate at its end.
    pub rate: f64,
    /// Mean training loss during the epoch.
    pub train_loss: f64,
    /// Mean loss of the validation rows after it, with the parameters that would be returned: averaged ones, if an
    /// average is kept.
    pub validation_loss: Option<f64>,
    /// Share of validation rows whose class is right.
    pub validation_accuracy: Option<f64>,
    /// Mean of that share over the classes.
    pub validation_balanced_accuracy: Option<f64>,
}

/// A trained network's parameters and how they came about.
#[derive(Debug, Clone)]
pub struct Fit {
    /// The parameters, plain: whatever methods did to them is folded in.
    pub parameters: Parameters,
    /// One entry an epoch.
    pub curve: Vec<Epoch>,
    /// The epoch, from 1, whose parameters these are, where the best one was looked for.
    pub best: Option<usize>,
}

/// A training under way. [`Trainer::fit`] runs it to the end; step by step it can be saved and taken up again.
pub struct Training<'a, 'm> {
    trainer: &'a Trainer,
    network: &'a dyn Network,
    data: &'a dyn Source,
    methods: &'a mut [&'m mut dyn TrainMethod],
    workers: Workers,
    steps: usize,
    pub(crate) parameters: Parameters,
    pub(crate) moments: Moments,
    pub(crate) average: Average,
    pub(crate) best: Option<Best>,
    pub(crate) at: At,
    pub(crate) curve: Vec<Epoch>,
    /// What the run's bits depend on, and the validation rows once they are known.
    pub(crate) identity: BTreeMap<String, String>,
    gradients: Vec<Vec<f32>>,
}

impl<'a, 'm> Training<'a, 'm> {
    /// Check that everything fits and let the methods begin.
    ///
    /// # Errors
    /// Settings, samples or methods that do not fit together.
    pub fn begin(
        trainer: &'a Trainer,
        network: &'a dyn Network,
        mut parameters: Parameters,
        data: &'a dyn Source,
        methods: &'a mut [&'m mut dyn TrainMethod],
    ) -> Result<Self> {
        trainer.check(network, data)?;
        let steps = data.len().div_ceil(trainer.batch);
        let named: Vec<&dyn TrainMethod> = methods.iter().map(|method| &**method).collect();
        let identity = identity::identity(trainer, network, &parameters, data, &named);
        for method in methods.iter_mut() {
            method.begin(&run(trainer, network, data, method.name()), &mut parameters)?;
        }
        let replacing: Vec<&str> = methods.iter().filter(|m| m.replaces_loss()).map(|m| m.name()).collect();
        if replacing.len() > 1 {
            return Err(Error::input("methods", replacing.join(" and "), "only one that has a loss of its own"));
        }
        if !parameters.iter().any(|p| p.trainable) {
            let want = "at least one that is trained: what the methods freeze together is the whole network";
            return Err(Error::input("parameters", "all of them frozen", want));
        }
        Ok(Training {
            trainer,
            network,
            data,
            methods,
            workers: Workers::new(trainer.pieces.max(data.len().div_ceil(EVALUATED)))?,
            steps,
            parameters,
            moments: Moments::default(),
            average: Average::default(),
            best: None,
            at: At { epoch: 0, step: 0 },
            curve: Vec::new(),
            identity,
            gradients: Vec::new(),
        })
    }

    /// Whether all epochs are over, or no better one is expected.
    pub fn is_done(&self) -> bool {
        self.at.epoch >= self.trainer.epochs || self.is_out_of_patience()
    }

    /// How many epochs are over.
    pub fn epochs_done(&self) -> usize {
        self.at.epoch
    }

    /// The epochs so far.
    pub fn curve(&self) -> &[Epoch] {
        &self.curve
    }

    /// The parameters as they are now.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Visit all rows once.
    ///
    /// # Errors
    /// A loss that is not finite, a method's own error, cancelled.
    pub fn epoch(&mut self, validation: Option<&dyn Source>, progress: &dyn Progress) -> Result<()> {
        let epoch = self.at.epoch;
        if epoch == 0 {
            for method in self.methods.iter_mut() {
                let run = run(self.trainer, self.network, self.data, method.name());
                method.learn_first(&run, &mut self.parameters, progress)?;
            }
        }
        let mut order: Vec<u32> = (0..self.data.len() as u32).collect();
        self.trainer.seed.stream("order").rng(epoch as u64).shuffle(&mut order);
        for method in self.methods.iter_mut() {
            method.order(epoch, &mut order)?;
        }
        let (mut total, mut rate) = (0.0, self.trainer.rate);
        for rows in order.chunks(self.trainer.batch) {
            checkpoint(progress)?;
            rate = self.rate();
            total += self.step(rows, rate)? * rows.len() as f64;
            progress.advance(1);
        }
        self.at.epoch += 1;
        self.each(|method, model| method.end_epoch(epoch, model))?;
        let train_loss = total / order.len().max(1) as f64;
        let mut now = Epoch { epoch: epoch + 1, rate, train_loss, ..Epoch::default() };
        if let Some(rows) = validation {
            self.judge(rows, &mut now)?;
        }
        let held = now.validation_loss.map(|loss| format!(", held back {loss:.4}")).unwrap_or_default();
        progress.note(&format!("epoch {}, loss {train_loss:.4}{held}", epoch + 1));
        self.curve.push(now);
        Ok(())
    }

    /// The parameters that would be returned now: the average, if one is kept.
    fn returned(&self) -> Result<Parameters> {
        let mut parameters = self.parameters.clone();
        for (parameter, average) in parameters.iter_mut().zip(&self.average.values) {
            parameter.set(average)?;
        }
        Ok(parameters)
    }

    /// The learning rate of the next step.
    fn rate(&self) -> f64 {
        let all = (self.trainer.epochs * self.steps).max(1) as f64;
        self.trainer.rate * self.trainer.schedule.at(self.at.step as f64 / all)
    }

    /// One batch: passes, gradients, step. Returns its mean loss.
    fn step(&mut self, rows: &[u32], rate: f64) -> Result<f64> {
        let at = self.at;
        let mut batch = self.data.batch(at, rows)?;
        if self.methods.iter().any(|method| method.needs_plain()) {
            batch.plain = Some(batch.inputs.clone());
        }
        for method in self.methods.iter_mut() {
            method.prepare(&mut batch)?;
        }
        let mut done = self.passes(&batch)?;
        let loss = done.loss;
        if !loss.is_finite() {
            let why =
                format!("the loss is {loss} at step {}: lower the learning rate ({rate}) or clip gradients", at.step);
            return Err(Error::numeric("training", why));
        }
        if self.methods.iter().any(|method| method.observes()) {
            let outputs = done.outputs(batch.rows.len(), self.network)?;
            for method in self.methods.iter_mut().filter(|method| method.observes()) {
                method.observe(&batch, outputs.view())?;
            }
        }
        done.merge(&mut self.parameters, &mut self.gradients);
        for method in self.methods.iter_mut() {
            method.gradients(at, &self.parameters, &mut self.gradients)?;
        }
        if let Some(longest) = self.trainer.clip {
            shorten(&mut self.gradients, longest);
        }
        optimizer::apply(self.trainer.optimizer, rate, &mut self.parameters, &self.gradients, &mut self.moments);
        for method in self.methods.iter_mut() {
            method.after_step(at, &mut self.parameters)?;
        }
        self.each(|method, model| method.end_step(at, model))?;
        if let Some(decay) = self.trainer.average {
            self.average.keep(decay, &self.parameters);
        }
        self.at.step += 1;
        Ok(loss)
    }

    /// The passes of a batch's pieces.
    fn passes(&self, batch: &Batch) -> Result<Done> {
        let seed = self.trainer.seed.stream("passes").stream(&batch.at.step.to_string());
        let methods = self.methods.iter().map(|method| &**method as &dyn TrainMethod).collect();
        let (network, parameters, loss) = (self.network, &self.parameters, self.trainer.loss);
        Work { network, parameters, methods, loss, batch, seed }.run(&self.workers, self.trainer.pieces)
    }

    /// Call a hook of each method with the network as the other methods make it.
    fn each(&mut self, mut hook: impl FnMut(&mut dyn TrainMethod, &mut Model) -> Result<()>) -> Result<()> {
        for i in 0..self.methods.len() {
            let (before, rest) = self.methods.split_at_mut(i);
            let Some((method, after)) = rest.split_first_mut() else { break };
            let others = before.iter().chain(after.iter()).map(|m| &**m as &dyn TrainMethod).collect();
            let mut model = Model {
                workers: &self.workers,
                trainer: self.trainer,
                network: self.network,
                parameters: &mut self.parameters,
                data: self.data,
                at: self.at,
                methods: others,
            };
            hook(&mut **method, &mut model)?;
        }
        Ok(())
    }

    /// Return to the best epoch if one was looked for, and let the methods fold what they did into plain parameters.
    ///
    /// # Errors
    /// A method's own.
    pub fn finish(mut self) -> Result<Fit> {
        let best = self.return_to_best()?;
        if best.is_none() {
            self.parameters = self.returned()?;
        }
        for method in self.methods.iter_mut() {
            method.finish(&mut self.parameters)?;
        }
        Ok(Fit { parameters: self.parameters, curve: self.curve, best })
    }

    /// The methods' states by name, for a checkpoint.
    pub(crate) fn method_states(&self) -> Vec<(String, MethodState)> {
        self.methods.iter().map(|method| (method.name().to_owned(), method.save())).collect()
    }

    /// Give the methods their states back.
    pub(crate) fn restore_methods(&mut self, mut state: impl FnMut(&str) -> Result<MethodState>) -> Result<()> {
        for method in self.methods.iter_mut() {
            let kept = state(method.name())?;
            method.load(kept, &mut self.parameters)?;
        }
        Ok(())
    }
}

/// What a method is told of a run.
fn run<'a>(trainer: &Trainer, network: &'a dyn Network, data: &'a dyn Source, method: &str) -> Run<'a> {
    let steps = data.len().div_ceil(trainer.batch);
    Run { network, data, loss: trainer.loss, epochs: trainer.epochs, steps, seed: trainer.seed.stream(method) }
}

/// Fresh parameters of a network.
///
/// # Errors
/// Two parameters of one name.
pub fn initialise(network: &dyn Network, seed: Seed) -> Result<Parameters> {
    Parameters::new(network.parameters(), seed)
}
