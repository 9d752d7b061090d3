//! The hooks of the training loop. A training method implements those it needs and leaves the rest.
//!
//! Hooks compose: the loop calls each method in the order given. Whatever a method draws comes from a stream of its own
//! name, so that adding a method that changes nothing leaves a run bit-identical.

use crate::Network;
use crate::delta::Delta;
use crate::forward::{Forward, Tuning, Vars};
use crate::inputs::{Others, Rows};
use crate::loss::Loss;
use crate::ops;
use crate::parameters::Parameters;
use crate::samples::Samples;
use crate::source::Source;
use burn_tensor::Tensor;
use ndarray::{Array2, ArrayView2, Axis};
use quadrat_core::{Entry, Error, Method, Progress, Result, Rng, Seed};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;

/// What a method learns about a run before it starts.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// What is trained.
    pub network: &'a dyn Network,
    /// The training rows.
    pub data: &'a dyn Source,
    /// The loss.
    pub loss: Loss,
    /// Epochs.
    pub epochs: usize,
    /// Steps in an epoch.
    pub steps: usize,
    /// The method's own seed.
    pub seed: Seed,
}

impl Run<'_> {
    /// Mean loss and its gradient over these training rows, as [`gradients`](crate::gradients).
    ///
    /// # Errors
    /// The network's own.
    pub fn gradients(&self, parameters: &Parameters, rows: &[u32]) -> Result<(f64, Vec<Vec<f32>>)> {
        let batch = self.data.batch(At { epoch: 0, step: 0 }, rows)?;
        crate::gradients(self.network, parameters, self.loss, &batch, self.seed)
    }

    /// The training rows, for a method that must have them in memory.
    ///
    /// # Errors
    /// They are not.
    pub fn samples(&self, method: &str) -> Result<&Samples> {
        let lazy = || Error::input(method, "rows that are made batch by batch", "rows in memory");
        self.data.samples().ok_or_else(lazy)
    }

    /// That the target is classes, for a method that knows nothing else.
    ///
    /// # Errors
    /// It is not.
    pub fn needs_classes(&self, method: &str) -> Result<()> {
        let got = match self.loss {
            loss if loss.is_classification() => return Ok(()),
            Loss::Binary => "a target of labels",
            Loss::Tokens { .. } => "a target of tokens",
            Loss::Nothing => "no target",
            _ => "a target of numbers",
        };
        Err(Error::input(method, got, "it needs a target of classes"))
    }

    /// The class of every training row, for a method that must know them all.
    ///
    /// # Errors
    /// The target is no class, or rows have none.
    pub fn labels(&self, method: &str) -> Result<&[u32]> {
        self.needs_classes(method)?;
        let missing = || Error::input(method, "rows without classes", "a class for every training row");
        self.data.labels().ok_or_else(missing)
    }

    /// That the network takes rows of numbers, for a method that changes them.
    ///
    /// # Errors
    /// It takes none, but tokens, say.
    pub fn takes_numbers(&self, method: &str) -> Result<()> {
        match self.network.inputs() {
            0 => Err(Error::input(method, "a network that takes no rows of numbers", "inputs must be quantities")),
            _ => Ok(()),
        }
    }
}

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// Epoch, from 0.
    pub epoch: usize,
    /// Step of the whole run, from 0.
    pub step: usize,
}

/// One batch, before the network sees it.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Where the run is.
    pub at: At,
    /// Which rows of the training data these are; stable over the run.
    pub rows: Vec<u32>,
    /// The rows themselves.
    pub inputs: Array2<f32>,
    /// What belongs to them by name.
    pub others: Others,
    /// What the outputs should be: one-hot or soft classes, or values.
    pub targets: Array2<f32>,
    /// How much each row counts, if not all alike.
    pub weights: Option<Vec<f32>>,
    /// Whether inputs are mixtures of several rows: what the network says of them says nothing about one row.
    pub mixed: bool,
    /// Strengths and gates for each row, if a method tunes them.
    pub tuning: Option<BatchTuning>,
    /// The inputs before any method changed them, if one asks for them.
    pub plain: Option<Array2<f32>>,
}

/// [`Tuning`] of a whole batch, on plain arrays.
#[derive(Debug, Clone, Default)]
pub struct BatchTuning {
    /// Rows x hyperparameters: what feeds the gates of structured layers.
    pub gates: Option<Array2<f32>>,
    /// Dropout rate of each row at the named sites.
    pub dropout: Vec<(String, Vec<f32>)>,
}

impl<'a> From<&'a Batch> for Rows<'a> {
    fn from(batch: &'a Batch) -> Self {
        Rows::new(batch.inputs.view(), &batch.others)
    }
}

impl Batch {
    /// Rows that all count alike, as they are.
    pub fn new(at: At, rows: &[u32], inputs: Array2<f32>, targets: Array2<f32>) -> Self {
        let rows = rows.to_vec();
        let others = Others::new();
        Batch { at, rows, inputs, others, targets, weights: None, mixed: false, tuning: None, plain: None }
    }

    /// Mix each row, its target and its weight with another row's: share λ of its own and 1 − λ of the other's, one λ from
    /// Beta(`alpha`, `alpha`) for the batch and a permutation of its rows (Zhang et al. 2018, arXiv 1710.09412).
    pub fn mix(&mut self, alpha: f64, rng: &mut Rng) -> Mixture {
        let share = rng.symmetric_beta(alpha) as f32;
        let mut partners: Vec<usize> = (0..self.rows.len()).collect();
        rng.shuffle(&mut partners);
        let mixture = Mixture { share, partners };
        mixture.of(&mut self.inputs);
        mixture.of(&mut self.targets);
        if let Some(weights) = &mut self.weights {
            let others: Vec<f32> = mixture.partners.iter().map(|&row| weights[row]).collect();
            weights.iter_mut().zip(others).for_each(|(a, b)| *a = share * *a + (1.0 - share) * b);
        }
        self.mixed = true;
        mixture
    }

    /// What the network is given of some of its rows.
    pub(crate) fn part(&self, rows: &Range<usize>) -> Rows<'_> {
        Rows::from(self).part(rows.clone())
    }

    /// The losses of some of its rows, each times the row's weight.
    pub(crate) fn weigh(&self, losses: Tensor<1>, rows: &Range<usize>, tracked: bool) -> Tensor<1> {
        let Some(weights) = &self.weights else { return losses };
        let some = &weights[rows.clone()];
        match ArrayView2::from_shape((some.len(), 1), some) {
            Ok(some) => losses * crate::forward::tensor_of(some, tracked).reshape([-1]),
            Err(_) => losses,
        }
    }

    /// The tuning of one piece, for a gradient graph if `tracked`.
    pub(crate) fn tuning_of(&self, rows: &Range<usize>, tracked: bool) -> Option<Tuning> {
        let tuning = self.tuning.as_ref()?;
        let gates = tuning.gates.as_ref();
        Some(Tuning {
            gates: gates.map(|g| crate::forward::tensor_of(g.slice(ndarray::s![rows.clone(), ..]), tracked)),
            dropout: tuning.dropout.iter().map(|(site, r)| (site.clone(), r[rows.clone()].to_vec())).collect(),
        })
    }
}

/// How the rows of a batch were mixed.
#[derive(Debug, Clone, PartialEq)]
pub struct Mixture {
    /// The share of a row's own.
    pub share: f32,
    /// The other row of each, by its place in the batch.
    pub partners: Vec<usize>,
}

impl Mixture {
    /// Mix other rows of the same batch alike.
    pub fn of(&self, rows: &mut Array2<f32>) {
        let others = rows.select(Axis(0), &self.partners);
        rows.zip_mut_with(&others, |a, b| *a = self.share * *a + (1.0 - self.share) * b);
    }
}

/// The piece of a batch that one forward pass computes.
pub struct Piece<'a> {
    /// The batch.
    pub batch: &'a Batch,
    /// The piece's rows within the batch.
    pub rows: Range<usize>,
    /// The targets of these rows.
    pub targets: Tensor<2>,
}

impl Piece<'_> {
    /// A loss of each of the piece's rows, times the row's weight, by a function that knows its own gradient:
    /// `of(row of the batch, scores, gradient)`, as [`ops::row_losses`].
    pub fn losses(&self, outputs: &Tensor<2>, of: impl Fn(usize, &[f32], &mut [f32]) -> f32 + Sync) -> Tensor<1> {
        let first = self.rows.start;
        self.weigh(ops::row_losses(outputs.clone(), |row, scores, gradient| of(first + row, scores, gradient)))
    }

    /// Outputs as plain numbers, a row for each of the piece's.
    ///
    /// # Errors
    /// Outputs of another number of rows.
    pub fn scores(&self, outputs: &Tensor<2>) -> Result<Array2<f32>> {
        let values = crate::tensors::values_of(outputs.clone().inner().reshape([-1]));
        quadrat_numeric::matrix(outputs.dims().into(), values)
    }

    /// Losses of the piece's rows, each times the row's weight.
    pub fn weigh(&self, losses: Tensor<1>) -> Tensor<1> {
        let tracked = losses.is_autodiff();
        self.batch.weigh(losses, &self.rows, tracked)
    }
}

/// A training row whose label a method doubts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Suspect {
    /// The row of the training data.
    pub row: u32,
    /// Its label.
    pub given: u32,
    /// The class that it is taken for.
    pub proposed: u32,
    /// How sure that is, from 0 to 1.
    pub confidence: f32,
}

/// What a method must keep to go on after an interruption: numbers and arrays of numbers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MethodState {
    /// Single numbers.
    pub numbers: BTreeMap<String, f64>,
    /// Arrays.
    pub arrays: BTreeMap<String, Vec<f32>>,
}

/// A way to train: hooks into [`Trainer`](crate::Trainer).
#[allow(unused_variables)]
pub trait TrainMethod: Sync {
    /// The slug; also the name of the method's random stream and of its state in a checkpoint.
    fn name(&self) -> &str;

    /// Before the first step: check that the run fits, add parameters, restrict or replace them.
    fn begin(&mut self, run: &Run<'_>, parameters: &mut Parameters) -> Result<()> {
        Ok(())
    }

    /// Before the first epoch of a run that is not taken up again: what takes long, such as learning something else first.
    fn learn_first(&mut self, run: &Run<'_>, parameters: &mut Parameters, progress: &dyn Progress) -> Result<()> {
        Ok(())
    }

    /// Before each epoch: change the order in which rows are visited (rows may be missing or come twice).
    fn order(&mut self, epoch: usize, order: &mut Vec<u32>) -> Result<()> {
        Ok(())
    }

    /// Whether [`Batch::plain`] is to be kept.
    fn needs_plain(&self) -> bool {
        false
    }

    /// Before each step: change inputs, targets, or the tuning of the batch.
    fn prepare(&mut self, batch: &mut Batch) -> Result<()> {
        Ok(())
    }

    /// In each pass, training or not: replace parameters by functions of them.
    fn reparametrise(&self, vars: &mut Vars) -> Result<()> {
        Ok(())
    }

    /// Whether [`TrainMethod::row_losses`] takes the place of the run's loss; only one method's can.
    fn replaces_loss(&self) -> bool {
        false
    }

    /// The loss of each row, in training, in the place of the run's own; validation rows are judged by the run's.
    fn row_losses(&self, piece: &Piece, outputs: &Tensor<2>) -> Result<Tensor<1>> {
        Err(Error::input("method", self.name(), "one with a loss of its own"))
    }

    /// After each pass: change the loss of each row, or add to it. The batch's loss is the mean over its rows.
    fn loss(&self, forward: &mut Forward, piece: &Piece, outputs: &Tensor<2>, rows: Tensor<1>) -> Result<Tensor<1>> {
        Ok(rows)
    }

    /// Whether it learns from rows without labels beside the others.
    fn reads_unlabelled(&self) -> bool {
        false
    }

    /// Whether rows of a batch must be in one pass, because they look at each other. Operations then share the threads.
    fn whole_batch(&self) -> bool {
        false
    }

    /// Other outputs for the piece's rows, in training, after the network's pass: the loss is then taken of both, and the mean
    /// of the two counts.
    fn second_outputs(&self, forward: &mut Forward, piece: &Piece) -> Result<Option<Tensor<2>>> {
        Ok(None)
    }

    /// A loss of all rows of a batch together, such as one with the batch's other rows as negatives. It is added to the
    /// mean of the rows' losses, in training and of the validation rows, and costs a second forward pass.
    fn batch_loss(&self) -> Option<&dyn BatchLoss> {
        None
    }

    /// Whether [`TrainMethod::observe`] is to be called: outputs are only kept for those who look at them.
    fn observes(&self) -> bool {
        false
    }

    /// After the passes of a batch, before the step: look at the outputs (rows x outputs; scores, not probabilities).
    fn observe(&mut self, batch: &Batch, outputs: ArrayView2<f32>) -> Result<()> {
        Ok(())
    }

    /// Before the step: change gradients, one array a parameter (empty where there is none).
    fn gradients(&mut self, at: At, parameters: &Parameters, gradients: &mut [Vec<f32>]) -> Result<()> {
        Ok(())
    }

    /// After the step: change parameters.
    fn after_step(&mut self, at: At, parameters: &mut Parameters) -> Result<()> {
        Ok(())
    }

    /// After that: look at the network in evaluation mode, for which `model` computes, to tune what is not a parameter.
    fn end_step(&mut self, at: At, model: &mut dyn StepEnd) -> Result<()> {
        Ok(())
    }

    /// After each epoch: look at the network, which `model` evaluates.
    fn end_epoch(&mut self, epoch: usize, model: &mut dyn EpochEnd) -> Result<()> {
        Ok(())
    }

    /// After the last step: leave parameters that the plain network can use.
    fn finish(&mut self, parameters: &mut Parameters) -> Result<()> {
        Ok(())
    }

    /// What it was set to, in words: a checkpoint is refused by a training whose methods were set otherwise.
    fn settings(&self) -> String {
        String::new()
    }

    /// After a run: numbers that it found and that a user will want to see, by name.
    fn found(&self) -> Vec<(String, f64)> {
        Vec::new()
    }

    /// After a run: the rows whose labels it doubts, the surest first; none if it does not look for any.
    fn suspects(&self) -> Option<Vec<Suspect>> {
        None
    }

    /// Whether it works on what a network has learnt before, so that fresh parameters leave it nothing to do.
    fn fine_tunes(&self) -> bool {
        false
    }

    /// After a run that left these parameters: what the method changed, where that can be kept apart from the network.
    fn delta(&self, after: &Parameters) -> Result<Option<Delta>> {
        Ok(None)
    }

    /// What must be kept to go on later.
    fn save(&self) -> MethodState {
        MethodState::default()
    }

    /// Go on from what was kept.
    fn load(&mut self, state: MethodState, parameters: &mut Parameters) -> Result<()> {
        Ok(())
    }
}

/// The entry of a training method in an area's list of them.
pub const fn hook<T: TrainMethod + Method + 'static>() -> Entry<dyn TrainMethod> {
    Entry { card: &T::CARD, build: |params| Ok(Box::new(T::from_params(params)?)) }
}

/// A loss of a whole batch.
///
/// ```
/// use quadrat_core::Result;
/// use quadrat_nn::{Batch, BatchLoss, Tensor, ops};
///
/// /// InfoNCE (van den Oord et al. 2018): each row of a batch's first half is to be told from the others' twins by its own in the
/// /// second, as [`quadrat_nn::Pairs`] and [`quadrat_nn::TwoViews`] lay them out.
/// struct Contrast;
///
/// impl BatchLoss for Contrast {
///     fn of(&self, _: &Batch, outputs: Tensor<2>) -> Result<Tensor<1>> {
///         let [n, width] = outputs.dims();
///         let half = |from| outputs.clone().slice([from..from + n / 2, 0..width]);
///         let similar = half(0).matmul(half(n / 2).transpose());
///         Ok(ops::token_cross_entropy(similar, (0..n as u32 / 2).collect()).mean())
///     }
/// }
/// ```
pub trait BatchLoss: Sync {
    /// One number from the outputs of all rows of the batch (rows x outputs).
    ///
    /// # Errors
    /// A batch that it cannot judge.
    fn of(&self, batch: &Batch, outputs: Tensor<2>) -> Result<Tensor<1>>;
}

/// What a method can ask for after a step. Other methods' reparametrisations count, the asking method's own do not.
pub trait StepEnd {
    /// Mean loss of a batch in evaluation mode, and its gradient at the batch's gates (rows x hyperparameters), with the
    /// parameters held. Costs a forward pass, and half a backward one.
    fn gate_gradients(&mut self, batch: &Batch) -> Result<(f64, Array2<f32>)>;
    /// Mean loss of a batch in evaluation mode, at the batch's gates if it has any.
    fn loss(&mut self, batch: &Batch) -> Result<f64>;
    /// A copy of the parameters as the network computes with them, for a method that draws from it.
    fn in_effect(&mut self) -> Result<Parameters>;
}

/// What a method can ask for at the end of an epoch.
pub trait EpochEnd: StepEnd {
    /// Outputs of the network in evaluation mode for all training rows, in their order; what comes beside them is left out.
    fn training_outputs(&mut self) -> Result<Array2<f32>>;
    /// The parameters.
    fn parameters(&mut self) -> &mut Parameters;
}
