//! The papers' claims as programs.
//!
//! A claim is a function from a [`Trial`](quadrat_core::Trial) to [`Evidence`](quadrat_core::Evidence); it measures, says what it expected, and
//! leaves the verdict to the statistics in `quadrat-core`. [`CLAIMS`] lists them all; [`Record`] is what a run leaves
//! behind under `results/`.

mod claim;
pub mod estimate;
mod record;
#[cfg(feature = "networks")]
pub mod regularize;
pub mod robust;
pub mod select;

pub use claim::{CLAIMS, Claim, find};
pub use record::{Record, Summary, claims_markdown, read_all, recorded};
