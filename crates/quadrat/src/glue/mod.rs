//! From a file's columns to what methods take, and back to a file.
//!
//! The layers below know either files ([`data`](crate::data)) or arrays (`select`, `robust`). Here a column gets its
//! part: class, feature, text, embedding, score, label.

#[cfg(feature = "robust")]
mod audited;
#[cfg(all(feature = "robust", feature = "regularize"))]
mod balanced;
mod columns;
#[cfg(feature = "estimate")]
pub mod held_out;
mod imputation;
#[cfg(feature = "robust")]
mod labelled;
#[cfg(feature = "regularize")]
mod learning;
mod missing;
#[cfg(feature = "select")]
mod pool;
#[cfg(feature = "select")]
mod questions;
#[cfg(feature = "retrieval")]
mod recommended;
#[cfg(feature = "select")]
mod tags;
mod target;

#[cfg(feature = "robust")]
pub use audited::Audited;
#[cfg(all(feature = "robust", feature = "regularize"))]
pub use balanced::balanced;
pub use columns::{ColumnUse, LeftOut, Nominal, Part, UsedColumn, WEIGHT, Wish};
pub use imputation::Imputation;
#[cfg(feature = "robust")]
pub use labelled::{LabelledColumns, Unseen, save_resampled};
#[cfg(feature = "regularize")]
pub use learning::{Encoder, Goal, NewValues, TargetScale, Wanted};
pub use missing::{OnMissing, without_gaps};
#[cfg(feature = "select")]
pub use pool::{PoolColumns, save_selection};
#[cfg(feature = "select")]
pub use questions::Questions;
#[cfg(feature = "retrieval")]
pub use recommended::{Known, Log, LogColumns};
pub use target::{MOST_CLASSES, Target, TargetKind};
