//! Estimate from samples: trustworthy numbers from few of them.
//!
//! A method takes closures and plain arrays and returns estimates with their standard errors. Each has a file of its own
//! that reads as its paper; [`cards`] is the catalogue.

pub mod adaptive_data_analysis;
mod adaptive_iscv;
pub mod autoencoder_score;
pub mod chains;
pub mod expect;
pub mod functions;
mod generators;
pub mod inductive_bias;
mod laws;
pub mod perturbed_likelihood;
pub mod pretrain_mle_erm;
mod registry;
pub mod runs;
pub mod score;
pub mod sobol;

pub use adaptive_iscv::{
    AdaptiveIscv, Calls, Covariance, Expectations, Family, MultiEstimate, NormalMixture, Problem, Signed, by_point,
    ln_densities,
};
pub use generators::{Generated, GenerativeModel, Generator};
pub use laws::{Inputs, Law};
pub use registry::{build_generator, cards};
