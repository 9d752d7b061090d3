//! Learn from imbalanced and imperfect samples.
//!
//! Resampling methods are structs of parameters with defaults that implement [`Resampler`]: one verb takes a
//! [`Labelled`] table and returns [`Resampled`] rows, each with its origin.

mod labelled;

pub use labelled::{Labelled, Origin, Resampled, Resampler};
