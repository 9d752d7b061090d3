//! Clustering, nearest neighbours and decompositions.

use crate::Workload;

/// The workloads of the numeric layer.
pub fn workloads() -> Vec<Workload> {
    Vec::new()
}
