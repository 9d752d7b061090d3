//! Claims of the estimation methods.

pub mod adaptive_data_analysis;
pub mod inductive_bias;
