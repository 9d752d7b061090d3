//! Claims of the estimation methods.

pub mod inductive_bias;
