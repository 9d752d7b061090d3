//! A small network that detects: trained with any [`DenseLoss`] by the ordinary [`Trainer`](quadrat_nn::Trainer), and what it
//! finds.
//!
//! ```
//! use ndarray::Array2;
//! use quadrat_core::{Seed, Silent};
//! use quadrat_nn::{Detector, Loss, Trainer};
//! use quadrat_robust::detection::detector::{DenseTraining, Scenes, detect, grid, start};
//! use quadrat_robust::detection::{Matcher, Object, SamplingFree, estimate_prior};
//!
//! // Eight dark images of 32 x 32 pixels with a bright square in the middle.
//! let square = |i: usize| (8..24).contains(&(i / 32)) && (8..24).contains(&(i % 32));
//! let pixels = Array2::from_shape_fn((8, 32 * 32), |(_, i)| f32::from(u8::from(square(i))));
//! let object = Object { bounds: [8.0, 8.0, 24.0, 24.0], class: 0, crowd: false };
//! let network = Detector::new([1, 32, 32], Vec::new(), 1);
//! let assignments = vec![grid(&network).assign(&[object], Matcher::RETINANET)?; 8];
//! let (loss, prior) = (SamplingFree::default(), estimate_prior(&assignments, 1)?);
//!
//! let scenes = Scenes::new(&network, pixels.clone(), &assignments)?;
//! let mut method = DenseTraining::new(&network, &loss, &assignments);
//! let parameters = start(&network, &loss, &prior, Seed(1))?;
//! let trainer = Trainer { epochs: 60, batch: 4, rate: 3e-3, loss: Loss::Nothing, ..Trainer::default() };
//! let fit = trainer.fit_from(&network, parameters, &scenes, None, &mut [&mut method], &Silent)?;
//! let found = detect(&network, &fit.parameters, pixels.view(), 0.5)?;
//! assert!(quadrat_robust::detection::iou(found[0][0].bounds, object.bounds) > 0.5);
//! # Ok::<(), quadrat_core::Error>(())
//! ```

mod found;
#[cfg(test)]
mod tests;

pub use found::{Found, detect};

use super::{Assignment, Dense, DenseLoss, Grid, Head, Prior, Regression, bias};
use ndarray::Array2;
use quadrat_core::{Error, Result, Seed};
use quadrat_nn::{
    At, Batch, Detector, Loss, MethodState, Network, Parameters, Piece, Run, Samples, Source, Tensor, TrainMethod,
    initialise,
};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where a detector looks.
pub fn grid(network: &Detector) -> Grid {
    Grid { cells: network.cells(), stride: network.stride(), anchors: network.anchors.clone() }
}

/// The boxes' loss that belongs to the detector: smooth L1 beside anchors, overlap around points.
fn regression(network: &Detector) -> Regression {
    if network.anchors.is_empty() { Regression::Giou } else { Regression::SmoothL1 { beta: 0.11 } }
}

/// Fresh parameters; every class of every place begins with the probability that the loss wants.
///
/// # Errors
/// A probability that is no bias.
pub fn start(network: &Detector, loss: &dyn DenseLoss, prior: &Prior, seed: Seed) -> Result<Parameters> {
    let mut parameters = initialise(network, seed)?;
    let each = network.anchors.len().max(1) * network.classes;
    let bias = bias(loss.start(prior), each, Head::Sigmoid)?;
    parameters.get_mut("classes.out.bias")?.set(&bias)?;
    Ok(parameters)
}

/// Images to train on, whose targets are their assignments.
pub struct Scenes {
    samples: Samples,
    outputs: usize,
    /// Of all labels and boxes, so that a checkpoint of others is refused.
    sum: u64,
}

impl Scenes {
    /// `pixels` has an image in each row (channels x height x width, flat), and each has an assignment.
    ///
    /// # Errors
    /// No images, another number of assignments, pixels that are not finite.
    pub fn new(network: &Detector, pixels: Array2<f32>, assignments: &[Assignment]) -> Result<Self> {
        if assignments.len() != pixels.nrows() {
            let got = format!("{} for {} images", assignments.len(), pixels.nrows());
            return Err(Error::input("assignments", got, "one for each image"));
        }
        let targets = Array2::zeros((pixels.nrows(), 1));
        let numbers = assignments.iter().flat_map(|a| {
            a.labels.iter().map(|label| *label as u32).chain(a.targets.iter().flatten().map(|v| v.to_bits()))
        });
        // Fowler, Noll and Vo's hash.
        let sum = numbers.fold(0xcbf2_9ce4_8422_2325, |sum, v| (sum ^ u64::from(v)).wrapping_mul(0x100_0000_01b3));
        Ok(Scenes { samples: Samples::values(pixels, targets)?, outputs: network.outputs(), sum })
    }
}

impl Source for Scenes {
    fn len(&self) -> usize {
        self.samples.len()
    }

    fn outputs(&self) -> usize {
        self.outputs
    }

    fn batch(&self, at: At, rows: &[u32]) -> Result<Batch> {
        Ok(self.samples.batch(at, rows))
    }

    fn told(&self) -> String {
        format!("{} with places of the sum {:016x}", self.samples.told(), self.sum)
    }

    fn check(&self, loss: Loss) -> Result<()> {
        match loss {
            Loss::Nothing => self.samples.check(loss),
            other => Err(Error::input("loss", other, "no loss of rows: a detector has a loss of its places")),
        }
    }
}

/// A [`DenseLoss`] in the place of a trainer's loss (which is [`Loss::Nothing`]): a batch is one pass, whose loss all its
/// images share.
pub struct DenseTraining<'a> {
    loss: &'a dyn DenseLoss,
    assignments: &'a [Assignment],
    classes: usize,
    regression: Regression,
    seed: Seed,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The loss's own.
    memory: Vec<f64>,
    /// The classes' weight in the last step, and the largest.
    weight: f64,
    largest: f64,
}

impl<'a> DenseTraining<'a> {
    /// `assignments` are those of the [`Scenes`].
    pub fn new(network: &Detector, loss: &'a dyn DenseLoss, assignments: &'a [Assignment]) -> Self {
        let (classes, regression) = (network.classes, regression(network));
        DenseTraining { loss, assignments, classes, regression, seed: Seed(0), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TrainMethod for DenseTraining<'_> {
    fn name(&self) -> &str {
        self.loss.card().slug
    }

    fn settings(&self) -> String {
        format!("{:?}", self.loss)
    }

    fn begin(&mut self, run: &Run<'_>, _: &mut Parameters) -> Result<()> {
        self.seed = run.seed;
        Ok(())
    }

    fn whole_batch(&self) -> bool {
        true
    }

    fn replaces_loss(&self) -> bool {
        true
    }

    fn row_losses(&self, piece: &Piece, outputs: &Tensor<2>) -> Result<Tensor<1>> {
        let scores = piece.scores(outputs)?;
        let scores = scores.as_slice().ok_or_else(|| Error::numeric("outputs", "not row by row"))?;
        let assignment = |row: &u32| {
            let unknown = || Error::input("images", format!("row {row}"), "only those with an assignment");
            self.assignments.get(*row as usize).ok_or_else(unknown)
        };
        let each: Vec<&Assignment> =
            piece.batch.rows[piece.rows.clone()].iter().map(assignment).collect::<Result<_>>()?;
        let seed = self.seed.stream(&piece.batch.at.step.to_string());
        let batch = Dense::new(scores, &each, self.classes, self.regression, seed)?;
        let mut gradient = vec![0.0; scores.len()];
        let mut state = self.state();
        let parts = self.loss.forward_backward(&batch, &mut state.memory, &mut gradient)?;
        state.weight = parts.weight;
        state.largest = state.largest.max(parts.weight);
        // The trainer takes the mean over images.
        let (images, width) = (each.len() as f32, scores.len() / each.len().max(1));
        let first = piece.rows.start;
        Ok(piece.losses(outputs, |row, _, d| {
            let own = &gradient[(row - first) * width..(row - first + 1) * width];
            d.iter_mut().zip(own).for_each(|(d, own)| *d = images * own);
            parts.total() as f32
        }))
    }

    fn found(&self) -> Vec<(String, f64)> {
        let (name, state) = (self.name(), self.state());
        let weight = [("last", state.weight), ("largest", state.largest)];
        weight.map(|(which, v)| (format!("{name}: {which} weight of the classes' loss"), v)).into()
    }

    fn save(&self) -> MethodState {
        let state = self.state();
        let memory = state.memory.iter().enumerate().map(|(i, v)| (format!("memory {i:05}"), *v));
        let weights = [("weight".to_owned(), state.weight), ("largest".to_owned(), state.largest)];
        MethodState { numbers: memory.chain(weights).collect(), ..MethodState::default() }
    }

    fn load(&mut self, kept: MethodState, _: &mut Parameters) -> Result<()> {
        let number = |name: &str| kept.numbers.get(name).copied().unwrap_or(0.0);
        // Names are in the order of the numbers.
        let memory = kept.numbers.iter().filter(|(name, _)| name.starts_with("memory")).map(|(_, v)| *v).collect();
        self.state = Mutex::new(State { memory, weight: number("weight"), largest: number("largest") });
        Ok(())
    }
}
