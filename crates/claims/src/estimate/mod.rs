//! Claims of the estimation methods.

pub mod adaptive_iscv;
