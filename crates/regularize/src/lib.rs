//! Regularise.
