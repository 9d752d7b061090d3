//! Networks on burn.

pub mod ops;
