//! Claims of the selection methods.

pub mod diversify_conquer;
pub mod dpp_least_squares;
pub mod dred;
pub mod interp_extrap_split;
pub mod lasso_mtrl;
pub mod learned_active;
pub mod mig;
pub mod rs2;
pub mod sensitivity_sampling;
