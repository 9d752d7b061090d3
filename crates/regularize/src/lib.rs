//! Regularise what learns from samples: its targets, its weights, which weights it has, how strongly it is held back.
//!
//! Most methods here are hooks of `quadrat_nn`'s training loop ([`TrainMethod`](quadrat_nn::TrainMethod)): pass them to
//! [`Trainer::fit`](quadrat_nn::Trainer::fit), alone or together. Searches ([`RandomSparseSearch`]) return a network to
//! be trained. [`build`] makes a hook from its name and parameters as text.

mod augment;
mod density;
mod frozen;
mod input_noise;
mod label_smoothing;
mod lora;
mod masks;
mod mixup;
mod ps_kd;
mod quantnas;
mod rand_augment;
mod random_pruning;
mod random_sparse_search;
mod registry;
mod sara;
mod search;
mod self_tuning_network;
mod ticket_reprogramming;
mod weight_compander;

pub use augment::Augment;
pub use density::{Draw, Layer, Rule, counts, densities, layers, random_mask};
pub use input_noise::InputNoise;
pub use label_smoothing::LabelSmoothing;
pub use lora::{Adapted, Lora};
pub use masks::{FixedMask, SPARSE_BELOW};
pub use mixup::Mixup;
pub use ps_kd::{Growth, Predictions, PsKd, Teacher};
pub use quantnas::{
    Choice, Enlarger, Genotype, Mode, Noise, Op, Place, QuantNas, QuantReport, SearchEpoch, Space, hwgq, lsq, psnr_y,
    resize,
};
pub use rand_augment::RandAugment;
pub use random_pruning::RandomPruning;
pub use random_sparse_search::{Found, Kept, RandomSparseSearch, Score, Sparsity, subnetwork, weights};
pub use registry::{build, build_search, cards};
pub use sara::{Memory, Pick, Sara, Select, Selected, nuclear_subgradient};
pub use search::{SearchReport, random_search};
pub use self_tuning_network::{Best, Hyper, SelfTuningNetwork, Strength, Strengths, Tuned, Validation, Variant};
pub use ticket_reprogramming::{
    LinearProbe, Mapping, Prompt, Rewind, Ticket, TicketMaker, VisualPrompt, global_masks, upstream_accuracy,
};
pub use weight_compander::{Compander, Start, WeightCompander};

use quadrat_core::{Error, Result};
use quadrat_nn::Samples;

/// The class of each sample.
///
/// # Errors
/// Samples of numbers.
pub fn classes_of(samples: &Samples) -> Result<&[u32]> {
    samples.labels().ok_or_else(|| Error::input("targets", "numbers", "samples with classes"))
}
