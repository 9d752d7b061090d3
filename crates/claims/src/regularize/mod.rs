//! Claims of `quadrat-regularize`.

pub mod ps_kd;
pub mod quantnas;
pub mod random_pruning;
pub mod random_sparse_search;
pub mod sara;
pub mod self_tuning_network;
pub mod ticket_reprogramming;
pub mod weight_compander;
