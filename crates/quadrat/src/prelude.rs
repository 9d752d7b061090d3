//! What most programs need.

#[cfg(feature = "data")]
pub use crate::data::Table;
#[cfg(feature = "robust")]
pub use crate::robust::{Labelled, Resampled, Resampler};
#[cfg(feature = "select")]
pub use crate::select::{Pool, Selection, Selector};
#[cfg(feature = "data")]
pub use crate::{ColumnUse, Nominal, OnMissing};
pub use crate::{Error, Params, Progress, Result, Seed, Silent};
#[cfg(all(feature = "data", feature = "robust"))]
pub use crate::{LabelledColumns, save_resampled};
#[cfg(all(feature = "data", feature = "select"))]
pub use crate::{PoolColumns, save_selection};
