//! Claims of the methods that draw from language models, code and align them.

#[cfg(feature = "networks")]
pub mod ariel_volume_coding;
#[cfg(feature = "networks")]
pub mod hyperfitting;
pub mod masked_diffusion_fhs;
pub mod online_preference_optimisation;
#[cfg(feature = "networks")]
pub mod self_sampled_solutions;
pub mod spectr;
