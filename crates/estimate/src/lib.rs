//! Estimate from samples: trustworthy numbers from few of them.
//!
//! A method takes closures and plain arrays and returns estimates with their standard errors. Each has a file of its own
//! that reads as its paper; [`cards`] is the catalogue.

pub mod adaptive_data_analysis;
pub mod inductive_bias;
mod registry;

pub use registry::cards;
