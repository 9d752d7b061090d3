//! The papers' claims as programs.
//!
//! A claim is a function from a [`Trial`] to [`Evidence`](quadrat_core::Evidence); it measures, says what it expected, and
//! leaves the verdict to the statistics in `quadrat-core`. [`CLAIMS`] lists them all; [`Record`] is what a run leaves
//! behind under `results/`.

pub mod certify;
mod checkpoint;
mod claim;
pub mod diffusion;
pub mod estimate;
mod figures;
pub mod inverse;
pub mod language;
#[cfg(feature = "networks")]
mod networks;
mod pages;
mod record;
#[cfg(feature = "networks")]
pub mod regularize;
pub mod retrieval;
pub mod robust;
pub mod select;
mod trial;
mod tune;

pub use checkpoint::Checkpoint;
pub use claim::{CLAIMS, Claim, NEED_DATA, find};
pub use pages::{limit, measured};
pub use record::{Record, Replication, Summary, read_all, recorded};
pub use trial::{Figure, Repetitions, Scale, Trial};
