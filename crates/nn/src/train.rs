//! The training loop.
//!
//! Every batch is split into a fixed number of pieces; each piece is a forward and a backward pass of its own, and their
//! gradients are added in order. The result depends on that number, never on how many threads there are.

mod average;
mod best;
mod evaluate;
mod hooks;
mod identity;
mod passes;
mod range;

pub(crate) use average::Average;
pub(crate) use best::Best;
pub use evaluate::{accuracy, evaluate, features, mean_loss, predict};
pub(crate) use identity::differences;
pub use passes::{gradients, pieces_that_pay};
pub use range::RateTest;

use crate::Network;
use crate::loss::Loss;
use crate::method::{At, Batch, MethodState, Run, TrainMethod};
use crate::optimizer::{self, Moments, Optimizer, Schedule};
use crate::parameters::Parameters;
use crate::samples::{Samples, Targets};
use crate::workers::Workers;
use evaluate::{EVALUATED, predict_on, wrong_width};
use hooks::Model;
use passes::{Pass, merge, pass, pieces, shorten};
use quadrat_core::{Error, Progress, Result, Seed, checkpoint};
use quadrat_numeric::{calibration, check_finite, metrics};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How a network is trained.
///
/// Cost: for each row and epoch about three forward passes; memory for the parameters, their gradients, one (momentum)
/// or two (Adam) moments, and the activations of one batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Trainer {
    /// How often all rows are visited.
    pub epochs: usize,
    /// Rows in a batch; the last batch of an epoch may be smaller.
    pub batch: usize,
    /// The first learning rate.
    pub rate: f64,
    /// How it changes.
    pub schedule: Schedule,
    /// How gradients become steps.
    pub optimizer: Optimizer,
    /// What is made small.
    pub loss: Loss,
    /// The longest gradient (Euclidean norm over all parameters) that is not shortened.
    pub clip: Option<f32>,
    /// Keep an exponential moving average of the parameters with this decay, and return it instead of the last ones.
    /// It has no bias towards the beginning, so that it is right in a short run too.
    pub average: Option<f32>,
    /// With validation rows: return the parameters of the epoch in which their loss was least, and stop after so many
    /// epochs without a lower one. `None` goes to the end and returns what is there then.
    pub patience: Option<usize>,
    /// Pieces of a batch that run side by side, each on a thread of its own if there are enough ([`pieces_that_pay`]).
    /// Another number gives other rounding errors; the number of threads does not.
    pub pieces: usize,
    /// Everything random comes from it.
    pub seed: Seed,
}

impl Default for Trainer {
    /// 30 epochs of batches of 128, AdamW with a rate of 0.001 along a cosine, decay 0.01, two pieces, to the end.
    fn default() -> Self {
        Trainer {
            epochs: 30,
            batch: 128,
            rate: 1e-3,
            schedule: Schedule::Cosine,
            optimizer: Optimizer::adamw(0.01),
            loss: Loss::CrossEntropy,
            clip: None,
            average: None,
            patience: None,
            pieces: 2,
            seed: Seed(0),
        }
    }
}

/// The part of a run's identity that is known at its first epoch.
pub(crate) const VALIDATION: &str = "validation rows";

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

impl Trainer {
    /// Train from fresh parameters.
    ///
    /// # Errors
    /// Settings, samples or methods that do not fit together; a loss that is not finite; cancelled.
    ///
    /// ```
    /// use ndarray::array;
    /// use quadrat_core::{Seed, Silent};
    /// use quadrat_nn::{Mlp, Samples, Trainer, predict};
    /// let xor = Samples::classes(array![[0., 0.], [0., 1.], [1., 0.], [1., 1.]], vec![0, 1, 1, 0], 2)?;
    /// let network = Mlp::new(2, &[32], 2);
    /// let trainer = Trainer { epochs: 200, rate: 0.02, seed: Seed(1), ..Trainer::default() };
    /// let fit = trainer.fit(&network, &xor, None, &mut [], &Silent)?;
    /// let scores = predict(&network, &fit.parameters, xor.inputs.view(), &[])?;
    /// assert!((0..4).all(|i| (scores[[i, 1]] > scores[[i, 0]]) == (xor.labels().unwrap()[i] == 1)));
    /// # Ok::<(), quadrat_core::Error>(())
    /// ```
    pub fn fit(
        &self,
        network: &dyn Network,
        train: &Samples,
        validation: Option<&Samples>,
        methods: &mut [&mut dyn TrainMethod],
        progress: &dyn Progress,
    ) -> Result<Fit> {
        let parameters = Parameters::new(network.parameters(), self.seed.stream("parameters"))?;
        self.fit_from(network, parameters, train, validation, methods, progress)
    }

    /// Train on from `parameters`.
    ///
    /// # Errors
    /// As [`Trainer::fit`].
    pub fn fit_from(
        &self,
        network: &dyn Network,
        parameters: Parameters,
        train: &Samples,
        validation: Option<&Samples>,
        methods: &mut [&mut dyn TrainMethod],
        progress: &dyn Progress,
    ) -> Result<Fit> {
        let mut training = Training::begin(self, network, parameters, train, methods)?;
        progress.begin("training", Some((self.epochs * training.steps) as u64));
        while !training.is_done() {
            training.epoch(validation, progress)?;
        }
        training.finish()
    }
}

/// A training under way. [`Trainer::fit`] runs it to the end; step by step it can be saved and taken up again.
pub struct Training<'a, 'm> {
    trainer: &'a Trainer,
    network: &'a dyn Network,
    data: &'a Samples,
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
        data: &'a Samples,
        methods: &'a mut [&'m mut dyn TrainMethod],
    ) -> Result<Self> {
        trainer.check(network, data)?;
        let steps = data.len().div_ceil(trainer.batch);
        let named: Vec<&dyn TrainMethod> = methods.iter().map(|method| &**method).collect();
        let identity = identity::identity(trainer, network, &parameters, data, &named);
        for method in methods.iter_mut() {
            let seed = trainer.seed.stream(method.name());
            let run = Run { network, data, loss: trainer.loss, epochs: trainer.epochs, steps, seed };
            method.begin(&run, &mut parameters)?;
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
    pub fn epoch(&mut self, validation: Option<&Samples>, progress: &dyn Progress) -> Result<()> {
        let epoch = self.at.epoch;
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

    /// Figures of the validation rows, for the parameters that would be returned now; keeps these if they are the best.
    fn judge(&mut self, rows: &Samples, now: &mut Epoch) -> Result<()> {
        self.check_validation(rows)?;
        let shown = self.returned()?;
        let methods: Vec<&dyn TrainMethod> = self.methods.iter().map(|method| &**method).collect();
        let outputs = predict_on(&self.workers, self.network, &shown, rows.inputs.view(), &methods)?;
        let loss = mean_loss(self.trainer.loss, &outputs, rows);
        now.validation_loss = Some(loss);
        if let Some(labels) = rows.labels() {
            now.validation_accuracy = Some(accuracy(&outputs, labels));
            let said = calibration::likeliest(outputs.view());
            now.validation_balanced_accuracy = Some(metrics::balanced_accuracy(labels, &said)?);
        }
        self.keep_best(shown, loss);
        Ok(())
    }

    /// That these are the validation rows of the earlier epochs: curves and the best epoch compare them.
    fn check_validation(&mut self, rows: &Samples) -> Result<()> {
        let now = identity::rows(rows);
        if let Some(then) = self.identity.get(VALIDATION).filter(|then| **then != now) {
            return Err(Error::input(VALIDATION, now, format!("the earlier epochs had {then}")));
        }
        self.identity.insert(VALIDATION.to_owned(), now);
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
        let mut batch = self.data.batch(at, rows);
        for method in self.methods.iter_mut() {
            method.prepare(&mut batch)?;
        }
        let passes = self.passes(&batch)?;
        let loss: f64 = passes.iter().map(|pass| pass.loss).sum();
        if !loss.is_finite() {
            let why =
                format!("the loss is {loss} at step {}: lower the learning rate ({rate}) or clip gradients", at.step);
            return Err(Error::numeric("training", why));
        }
        let outputs = merge(&mut self.parameters, &mut self.gradients, passes, batch.rows.len(), self.network)?;
        for method in self.methods.iter_mut() {
            method.observe(&batch, outputs.view())?;
        }
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

    /// The passes of a batch's pieces, side by side.
    fn passes(&self, batch: &Batch) -> Result<Vec<Pass>> {
        let pieces = pieces(batch.rows.len(), self.trainer.pieces);
        let seed = self.trainer.seed.stream("passes").stream(&batch.at.step.to_string());
        let methods: Vec<&dyn TrainMethod> = self.methods.iter().map(|method| &**method).collect();
        self.workers.map(pieces.len(), &|i| {
            pass(self.network, &self.parameters, &methods, self.trainer.loss, batch, pieces[i].clone(), seed, i as u64)
        })
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
                inputs: self.data.inputs.view(),
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

impl Trainer {
    fn check(&self, network: &dyn Network, data: &Samples) -> Result<()> {
        let positive = |what: &str, n: usize| match n {
            0 => Err(Error::input(what, 0, "at least 1")),
            _ => Ok(()),
        };
        positive("epochs", self.epochs)?;
        positive("batch", self.batch)?;
        positive("pieces", self.pieces)?;
        if !(self.rate.is_finite() && self.rate > 0.0) {
            return Err(Error::input("learning rate", self.rate, "a positive number"));
        }
        if let Some(longest) = self.clip.filter(|longest| longest.is_nan() || *longest <= 0.0) {
            return Err(Error::input("clip", longest, "a positive length"));
        }
        if let Some(decay) = self.average.filter(|decay| !(0.0..1.0).contains(decay)) {
            return Err(Error::input("average", decay, "a decay of 0 to below 1"));
        }
        if self.patience == Some(0) {
            return Err(Error::input("patience", 0, "at least 1 epoch"));
        }
        self.loss.check()?;
        if network.inputs() != data.inputs.ncols() {
            return Err(wrong_width(network, data.inputs.ncols()));
        }
        check_finite("inputs", data.inputs.view())?;
        if self.loss.is_classification() != data.labels().is_some() {
            let got = format!("{:?}", self.loss);
            return Err(Error::input("loss", got, "a loss of classes for classes, of numbers for numbers"));
        }
        if let (Loss::Binary, Targets::Values(values)) = (self.loss, &data.targets)
            && let Some(v) = values.iter().find(|v| !(0.0..=1.0).contains(*v))
        {
            return Err(Error::input("targets", v, "0 to 1 for each label"));
        }
        let outputs = match self.loss {
            Loss::Tokens { vocabulary } => data.outputs() * vocabulary,
            _ => data.outputs(),
        };
        if network.outputs() != outputs {
            let got = format!("a network with {} outputs", network.outputs());
            return Err(Error::input("outputs", got, format!("the samples need {outputs}")));
        }
        Ok(())
    }
}

/// Fresh parameters of a network.
///
/// # Errors
/// Two parameters of one name.
pub fn initialise(network: &dyn Network, seed: Seed) -> Result<Parameters> {
    Parameters::new(network.parameters(), seed)
}
