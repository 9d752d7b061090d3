//! Networks: models, one training loop with hooks, losses, files.
//!
//! A [`Network`] says which [`Parameters`] it needs and computes with them by name; a [`Trainer`] trains it; a
//! [`TrainMethod`] changes how, through hooks. Everything random comes from seeded streams, and a run gives the same
//! bits whatever the number of threads.
//!
//! Tensors are burn's, on its pure Rust backend for processors. What that does slowly is done by [`ops`].

pub mod ops;
pub mod text;

mod checkpoint;
mod delta;
mod file;
mod forward;
mod gates;
mod heads;
mod inputs;
mod jet;
mod loss;
mod method;
mod models;
mod optimizer;
mod parameters;
mod samples;
mod source;
mod tensors;
mod train;
mod workers;

pub use burn_tensor::activation::sigmoid;
pub use burn_tensor::{Int, Tensor};
pub use checkpoint::{BERT, LLAMA, load_named, save_named};
pub use delta::{Change, Delta};
pub use file::{load_model, load_parameters, save_model, save_parameters};
pub use forward::{Activation, Forward, Tuning, Vars, tensor_of};
pub use heads::TrainingHead;
pub use inputs::{Entries, Input, Inputs, Others, Rows};
pub use jet::Jet;
pub use loss::Loss;
pub use method::{
    At, Batch, BatchLoss, BatchTuning, EpochEnd, MethodState, Mixture, Piece, Run, StepEnd, Suspect, TrainMethod, hook,
};
pub use models::{ConvNet, Decoder, Detector, Feed, Mlp, Model, Norm, Output, ResNet, Style, Transformer, UNet, Vit};
pub use optimizer::{Optimizer, Schedule};
pub use parameters::{Init, Parameter, Parameters, Role, Spec, Support};
pub use samples::{Samples, Targets};
pub use source::{Beside, Pairs, Source, TokenWindows, TwoViews};
pub use train::{
    Descent, Epoch, Fit, RateTest, RowLosses, Trainer, Training, accuracy, evaluate, features, gradients, initialise,
    mean_loss, pieces_that_pay, predict, pull_back,
};

use quadrat_core::Result;

/// A function with named parameters from rows of numbers (and of other inputs, if it declares any) to rows of numbers.
///
/// ```
/// use quadrat_core::{Result, Seed};
/// use quadrat_nn::{Forward, Inputs, Network, Spec, Tensor};
///
/// /// A straight line.
/// struct Line;
///
/// impl Network for Line {
///     fn inputs(&self) -> usize {
///         1
///     }
///     fn outputs(&self) -> usize {
///         1
///     }
///     fn parameters(&self) -> Vec<Spec> {
///         Spec::linear("line", 1, 1, 1.0).into()
///     }
///     fn forward(&self, forward: &mut Forward, inputs: &Inputs) -> Result<Tensor<2>> {
///         forward.linear("line", inputs.numbers())
///     }
/// }
/// assert_eq!(quadrat_nn::initialise(&Line, Seed(1))?.len(), 2);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub trait Network: Sync {
    /// Numbers in a row of inputs; 0 if all it takes has names.
    fn inputs(&self) -> usize;
    /// What it takes beside them, by name.
    fn others(&self) -> Vec<Input> {
        Vec::new()
    }
    /// Numbers in a row of outputs.
    fn outputs(&self) -> usize;
    /// The parameters it computes with, in a fixed order.
    fn parameters(&self) -> Vec<Spec>;
    /// The images that rows of inputs are, as channels, height and width; none if they are no images.
    fn image(&self) -> Option<[usize; 3]> {
        None
    }
    /// Rows of a batch that are work enough for a thread: many where a row is little work beside adding up gradients.
    fn grain(&self) -> usize {
        64
    }
    /// Outputs for rows of inputs.
    ///
    /// # Errors
    /// A configuration whose sizes do not fit, or a parameter that is missing.
    fn forward(&self, forward: &mut Forward, inputs: &Inputs) -> Result<Tensor<2>>;
}
