//! Claims of the language methods.

pub mod masked_diffusion_fhs;
