//! Claims of the methods that draw samples by diffusion.

#[cfg(feature = "networks")]
pub mod ambient_mixed_noise;
#[cfg(feature = "networks")]
pub mod diffusion_forward_models;
pub mod feynman_kac_correctors;
#[cfg(feature = "networks")]
pub mod minority_guidance;
#[cfg(feature = "networks")]
pub mod mmd_finetuning;
#[cfg(feature = "networks")]
pub mod optimal_boundary_conditions_sr;
pub mod solver_search_usf;
pub mod stsl_second_order_tweedie;
pub mod svdd;
