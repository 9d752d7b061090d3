//! The training loop.
//!
//! Every batch is split into a fixed number of pieces; each piece is a forward and a backward pass of its own, and their
//! gradients are added in order. The result depends on that number, never on how many threads there are.

use crate::forward::{Forward, Vars, tensor_of};
use crate::gates;
use crate::loss::Loss;
use crate::method::{At, Batch, EpochEnd, MethodState, Piece, Run, StepEnd, TrainMethod};
use crate::optimizer::{self, Moments, Optimizer, Schedule};
use crate::parameters::Parameters;
use crate::samples::Samples;
use crate::tensors::values_of;
use crate::workers::Workers;
use crate::{Network, Spec};
use ndarray::{Array2, ArrayView2, s};
use quadrat_core::{Error, Progress, Result, Seed, checkpoint};
use quadrat_numeric::{calibration, check_finite};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::ops::Range;

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
    pub average: Option<f32>,
    /// Pieces of a batch that run side by side. Another number gives other rounding errors.
    pub pieces: usize,
    /// Everything random comes from it.
    pub seed: Seed,
}

impl Default for Trainer {
    /// 30 epochs of batches of 128, AdamW with a rate of 0.001 along a cosine, decay 0.01, two pieces.
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
            pieces: 2,
            seed: Seed(0),
        }
    }
}

/// One epoch as it went.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// From 1.
    pub epoch: usize,
    /// The learning rate at its end.
    pub rate: f64,
    /// Mean training loss during the epoch.
    pub train_loss: f64,
    /// Mean loss of the validation rows after it.
    pub validation_loss: Option<f64>,
    /// Share of validation rows whose class is right.
    pub validation_accuracy: Option<f64>,
}

/// A trained network's parameters and how they came about.
#[derive(Debug, Clone)]
pub struct Fit {
    /// The parameters, plain: whatever methods did to them is folded in.
    pub parameters: Parameters,
    /// One entry an epoch.
    pub curve: Vec<Epoch>,
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
    pub(crate) average: Vec<Vec<f32>>,
    pub(crate) at: At,
    pub(crate) curve: Vec<Epoch>,
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
        for method in methods.iter_mut() {
            let seed = trainer.seed.stream(method.name());
            let run = Run { network, data, loss: trainer.loss, epochs: trainer.epochs, steps, seed };
            method.begin(&run, &mut parameters)?;
        }
        Ok(Training {
            trainer,
            network,
            data,
            methods,
            workers: Workers::new(trainer.pieces)?,
            steps,
            parameters,
            moments: Moments::default(),
            average: Vec::new(),
            at: At { epoch: 0, step: 0 },
            curve: Vec::new(),
            gradients: Vec::new(),
        })
    }

    /// Whether all epochs are over.
    pub fn is_done(&self) -> bool {
        self.at.epoch >= self.trainer.epochs
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
        let (mut validation_loss, mut validation_accuracy) = (None, None);
        if let Some(rows) = validation {
            let outputs = self.outputs(rows.inputs.view())?;
            validation_loss = Some(mean_loss(self.trainer.loss, &outputs, rows));
            validation_accuracy = rows.labels().map(|labels| accuracy(&outputs, labels));
        }
        self.curve.push(Epoch { epoch: epoch + 1, rate, train_loss, validation_loss, validation_accuracy });
        Ok(())
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
        self.keep_average();
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

    /// Outputs in evaluation mode, methods included.
    fn outputs(&self, inputs: ArrayView2<f32>) -> Result<Array2<f32>> {
        let methods: Vec<&dyn TrainMethod> = self.methods.iter().map(|method| &**method).collect();
        predict_on(&self.workers, self.network, &self.parameters, inputs, &methods)
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

    /// Move the average of the parameters towards them.
    fn keep_average(&mut self) {
        let Some(decay) = self.trainer.average else { return };
        let now = self.parameters.iter().map(|p| p.values());
        if self.average.iter().map(Vec::len).ne(self.parameters.iter().map(|p| p.len())) {
            self.average = now.collect();
            return;
        }
        for (kept, now) in self.average.iter_mut().zip(now) {
            for (kept, now) in kept.iter_mut().zip(now) {
                *kept = decay * *kept + (1.0 - decay) * now;
            }
        }
    }

    /// Let the methods fold what they did into plain parameters.
    ///
    /// # Errors
    /// A method's own.
    pub fn finish(mut self) -> Result<Fit> {
        for (parameter, average) in self.parameters.iter_mut().zip(&self.average) {
            parameter.set(average)?;
        }
        for method in self.methods.iter_mut() {
            method.finish(&mut self.parameters)?;
        }
        Ok(Fit { parameters: self.parameters, curve: self.curve })
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
        if network.inputs() != data.inputs.ncols() {
            return Err(wrong_width(network, data.inputs.ncols()));
        }
        check_finite("inputs", data.inputs.view())?;
        if self.loss.is_classification() != data.labels().is_some() {
            let got = format!("{:?}", self.loss);
            return Err(Error::input("loss", got, "a loss of classes for classes, of numbers for numbers"));
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

impl Samples {
    /// The batch of these rows.
    pub fn batch(&self, at: At, rows: &[u32]) -> Batch {
        let at_rows: Vec<usize> = rows.iter().map(|&r| r as usize).collect();
        let inputs = self.inputs.select(ndarray::Axis(0), &at_rows);
        Batch { at, rows: rows.to_vec(), inputs, targets: self.wanted(rows), mixed: false, tuning: None }
    }
}

/// What comes out of one pass.
struct Pass {
    /// The piece's share of the batch's mean loss.
    loss: f64,
    outputs: Vec<f32>,
    gradients: Vec<Option<Vec<f32>>>,
    statistics: Vec<(usize, Vec<f32>)>,
}

/// Forward and backward over the given rows of a batch.
#[allow(clippy::too_many_arguments)]
fn pass(
    network: &dyn Network,
    parameters: &Parameters,
    methods: &[&dyn TrainMethod],
    loss: Loss,
    batch: &Batch,
    rows: Range<usize>,
    seed: Seed,
    item: u64,
) -> Result<Pass> {
    let leaves = Vars::new(parameters, true);
    let mut vars = leaves.clone();
    for method in methods {
        method.reparametrise(&mut vars)?;
    }
    let tuning = batch.tuning_of(&rows, true);
    let mut forward = Forward::training(&vars, seed, item, tuning.as_ref());
    let inputs = tensor_of(batch.inputs.slice(s![rows.clone(), ..]), true);
    let targets = tensor_of(batch.targets.slice(s![rows.clone(), ..]), true);
    let outputs = network.forward(&mut forward, inputs)?;
    let mut losses = loss.rows(outputs.clone(), targets.clone());
    let piece = Piece { batch, rows, targets };
    for method in methods {
        losses = method.loss(&mut forward, &piece, &outputs, losses)?;
    }
    let mean = losses.sum() / batch.rows.len() as f32;
    let mut gradients = mean.backward();
    let gradient_of = |leaf: &burn::tensor::Tensor<1>| leaf.grad_remove(&mut gradients).map(values_of);
    let gradients = leaves.tensors().iter().map(gradient_of).collect();
    let loss = f64::from(values_of(mean.inner()).first().copied().unwrap_or(f32::NAN));
    let outputs = values_of(outputs.inner().reshape([-1]));
    Ok(Pass { loss, outputs, gradients, statistics: forward.into_statistics() })
}

/// Add the passes' gradients and average their statistics into the parameters, in order; join their outputs.
fn merge(
    parameters: &mut Parameters,
    gradients: &mut Vec<Vec<f32>>,
    mut passes: Vec<Pass>,
    rows: usize,
    network: &dyn Network,
) -> Result<Array2<f32>> {
    gradients.resize(parameters.len(), Vec::new());
    for (i, gradient) in gradients.iter_mut().enumerate() {
        let mut parts = passes.iter_mut().filter_map(|pass| pass.gradients[i].take());
        *gradient = parts.next().unwrap_or_default();
        for part in parts {
            gradient.par_chunks_mut(CHUNK).zip(part.par_chunks(CHUNK)).for_each(|(sum, part)| {
                sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
            });
        }
    }
    let momentum = STATISTICS_MOMENTUM / passes.len().max(1) as f32;
    let met = passes.first().map_or(0, |pass| pass.statistics.len());
    for j in 0..met {
        let place = passes[0].statistics[j].0;
        if let Some(parameter) = parameters.iter_mut().nth(place) {
            parameter.update(|running| {
                running.iter_mut().for_each(|r| *r *= 1.0 - STATISTICS_MOMENTUM);
                for pass in &passes {
                    running.iter_mut().zip(&pass.statistics[j].1).for_each(|(r, new)| *r += momentum * new);
                }
            });
        }
    }
    let joined: Vec<f32> = passes.into_iter().flat_map(|pass| pass.outputs).collect();
    shaped(rows, network, joined)
}

/// Weight of a new batch in running statistics.
const STATISTICS_MOMENTUM: f32 = 0.1;

/// Numbers that one thread adds at a time.
const CHUNK: usize = 1 << 16;

/// Shorten gradients that are longer than `longest`, all by one factor.
fn shorten(gradients: &mut [Vec<f32>], longest: f32) {
    let square = |v: &f32| f64::from(*v) * f64::from(*v);
    let norm = gradients.iter().flatten().map(square).sum::<f64>().sqrt() as f32;
    if norm > longest {
        gradients.iter_mut().flatten().for_each(|v| *v *= longest / norm);
    }
}

/// Mean loss of a batch and its gradient with respect to every trainable parameter (one array each, empty where nothing
/// reaches it), in training mode and without methods: for methods that need a gradient of their own.
///
/// # Errors
/// The network's own.
pub fn gradients(
    network: &dyn Network,
    parameters: &Parameters,
    loss: Loss,
    batch: &Batch,
    seed: Seed,
) -> Result<(f64, Vec<Vec<f32>>)> {
    let workers = Workers::new(rayon::current_num_threads())?;
    let pieces = pieces(batch.rows.len(), 2);
    let passes = workers
        .map(pieces.len(), &|i| pass(network, parameters, &[], loss, batch, pieces[i].clone(), seed, i as u64))?;
    let total = passes.iter().map(|pass| pass.loss).sum();
    let mut sums = Vec::new();
    merge(&mut parameters.clone(), &mut sums, passes, batch.rows.len(), network)?;
    Ok((total, sums))
}

/// `n` rows in at most `pieces` ranges of nearly equal length.
fn pieces(n: usize, pieces: usize) -> Vec<Range<usize>> {
    let pieces = pieces.min(n).max(1);
    (0..pieces).map(|i| i * n / pieces..(i + 1) * n / pieces).collect()
}

/// Outputs (scores, rows x outputs) of a network in evaluation mode, with methods that are not folded in yet.
///
/// # Errors
/// Inputs of another width or that are not finite, or the network's own.
pub fn predict(
    network: &dyn Network,
    parameters: &Parameters,
    inputs: ArrayView2<f32>,
    methods: &[&dyn TrainMethod],
) -> Result<Array2<f32>> {
    if inputs.ncols() != network.inputs() {
        return Err(wrong_width(network, inputs.ncols()));
    }
    check_finite("inputs", inputs)?;
    predict_on(&Workers::new(rayon::current_num_threads())?, network, parameters, inputs, methods)
}

/// Outputs of plain parameters for all rows in one pass on this thread: for many small networks side by side.
///
/// # Errors
/// As [`predict`].
pub fn evaluate(network: &dyn Network, parameters: &Parameters, inputs: ArrayView2<f32>) -> Result<Array2<f32>> {
    if inputs.ncols() != network.inputs() {
        return Err(wrong_width(network, inputs.ncols()));
    }
    let vars = Vars::new(parameters, false);
    let outputs = network.forward(&mut Forward::evaluation(&vars, None), tensor_of(inputs, false))?;
    shaped(inputs.nrows(), network, values_of(outputs.reshape([-1])))
}

/// The network's last hidden representation of all rows (what it taps as `features`), rows x width.
///
/// # Errors
/// As [`predict`], or a network that taps none.
pub fn features(network: &dyn Network, parameters: &Parameters, inputs: ArrayView2<f32>) -> Result<Array2<f32>> {
    if inputs.ncols() != network.inputs() {
        return Err(wrong_width(network, inputs.ncols()));
    }
    let workers = Workers::new(rayon::current_num_threads())?;
    let all = in_blocks(&workers, inputs, &|rows| {
        let vars = Vars::new(parameters, false);
        let mut forward = Forward::evaluation(&vars, None);
        network.forward(&mut forward, tensor_of(rows, false))?;
        let none = || Error::input("network", "no features", "its forward pass must tap `features`");
        Ok(values_of(forward.tapped("features").ok_or_else(none)?.reshape([-1])))
    })?;
    let width = all.len() / inputs.nrows().max(1);
    let wrong = |e| Error::numeric("features", format!("{e}"));
    Array2::from_shape_vec((inputs.nrows(), width), all).map_err(wrong)
}

fn wrong_width(network: &dyn Network, got: usize) -> Error {
    Error::input("inputs", format!("rows of {got} numbers"), format!("the network takes {}", network.inputs()))
}

fn shaped(rows: usize, network: &dyn Network, outputs: Vec<f32>) -> Result<Array2<f32>> {
    let wrong = |e| Error::numeric("network", format!("its outputs do not have the size it says: {e}"));
    Array2::from_shape_vec((rows, network.outputs()), outputs).map_err(wrong)
}

/// Rows that are evaluated at a time.
const EVALUATED: usize = 256;

fn predict_on(
    workers: &Workers,
    network: &dyn Network,
    parameters: &Parameters,
    inputs: ArrayView2<f32>,
    methods: &[&dyn TrainMethod],
) -> Result<Array2<f32>> {
    let outputs = in_blocks(workers, inputs, &|rows| {
        let mut vars = Vars::new(parameters, false);
        for method in methods {
            method.reparametrise(&mut vars)?;
        }
        let mut forward = Forward::evaluation(&vars, None);
        Ok(values_of(network.forward(&mut forward, tensor_of(rows, false))?.reshape([-1])))
    })?;
    shaped(inputs.nrows(), network, outputs)
}

/// What `work` makes of blocks of rows, side by side, joined in order.
fn in_blocks(
    workers: &Workers,
    inputs: ArrayView2<f32>,
    work: &(impl Fn(ArrayView2<f32>) -> Result<Vec<f32>> + Sync),
) -> Result<Vec<f32>> {
    let n = inputs.nrows();
    let block = |i: usize| work(inputs.slice(s![i * EVALUATED..((i + 1) * EVALUATED).min(n), ..]));
    Ok(workers.map(n.div_ceil(EVALUATED), &block)?.concat())
}

/// Mean loss of outputs against the samples' targets.
pub fn mean_loss(loss: Loss, outputs: &Array2<f32>, samples: &Samples) -> f64 {
    let rows: Vec<u32> = (0..samples.len() as u32).collect();
    let losses = loss.rows(tensor_of(outputs.view(), false), tensor_of(samples.wanted(&rows).view(), false));
    let losses = values_of(losses);
    losses.iter().map(|&v| f64::from(v)).sum::<f64>() / losses.len().max(1) as f64
}

/// Share of rows whose largest output is the one wanted.
pub fn accuracy(outputs: &Array2<f32>, labels: &[u32]) -> f64 {
    let right = calibration::likeliest(outputs.view()).into_iter().zip(labels).filter(|(said, label)| said == *label);
    right.count() as f64 / labels.len().max(1) as f64
}

/// The network at the end of a step or an epoch.
struct Model<'a> {
    workers: &'a Workers,
    trainer: &'a Trainer,
    network: &'a dyn Network,
    parameters: &'a mut Parameters,
    inputs: ArrayView2<'a, f32>,
    methods: Vec<&'a dyn TrainMethod>,
}

impl Model<'_> {
    /// Mean loss of a batch in so many pieces, and its gradient at the gates if asked for.
    fn evaluated(&self, batch: &Batch, parts: usize, tracked: bool) -> Result<(f64, Vec<f32>)> {
        let pieces = pieces(batch.rows.len(), parts);
        let loss = self.trainer.loss;
        let found = self.workers.map(pieces.len(), &|i| {
            gates::pass(self.network, self.parameters, &self.methods, loss, batch, pieces[i].clone(), tracked)
        })?;
        let (losses, gradients): (Vec<f64>, Vec<Vec<f32>>) = found.into_iter().unzip();
        Ok((losses.iter().sum(), gradients.concat()))
    }
}

impl StepEnd for Model<'_> {
    fn gate_gradients(&mut self, batch: &Batch) -> Result<(f64, Array2<f32>)> {
        let (loss, gradients) = self.evaluated(batch, self.trainer.pieces, true)?;
        let rows = batch.rows.len();
        let wrong = |e| Error::numeric("gates", format!("{e}"));
        let gradients = Array2::from_shape_vec((rows, gradients.len() / rows.max(1)), gradients).map_err(wrong)?;
        Ok((loss, gradients))
    }

    fn loss(&mut self, batch: &Batch) -> Result<f64> {
        Ok(self.evaluated(batch, batch.rows.len().div_ceil(EVALUATED), false)?.0)
    }
}

impl EpochEnd for Model<'_> {
    fn training_outputs(&mut self) -> Result<Array2<f32>> {
        predict_on(self.workers, self.network, self.parameters, self.inputs, &self.methods)
    }

    fn parameters(&mut self) -> &mut Parameters {
        self.parameters
    }
}

/// Fresh parameters of a network.
///
/// # Errors
/// Two parameters of one name.
pub fn initialise(network: &dyn Network, seed: Seed) -> Result<Parameters> {
    let specs: Vec<Spec> = network.parameters();
    Parameters::new(specs, seed)
}
