//! Claims of the methods that draw from language models and align them.

pub mod online_preference_optimisation;
#[cfg(feature = "networks")]
pub mod self_sampled_solutions;
