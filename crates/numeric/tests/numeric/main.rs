//! Tests of the numeric layer as its users see it.

#![allow(clippy::unwrap_used)] // Helpers of tests may panic, as tests may.

mod kmeans;
mod linalg;
mod neighbours;
