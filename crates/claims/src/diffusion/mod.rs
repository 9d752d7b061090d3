//! Claims of the methods that draw samples by diffusion.

pub mod feynman_kac_correctors;
pub mod solver_search_usf;
pub mod svdd;
