//! Claims of the estimation methods.

pub mod adaptive_data_analysis;
pub mod adaptive_iscv;
pub mod inductive_bias;
pub mod pretrain_mle_erm;
