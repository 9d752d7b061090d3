//! Claims of the methods for imbalanced and imperfect samples.

#[cfg(feature = "networks")]
pub mod batchformer;
#[cfg(feature = "networks")]
pub mod elr;
#[cfg(feature = "networks")]
mod few;
#[cfg(feature = "networks")]
pub mod ovor;
#[cfg(feature = "networks")]
pub mod rcal;
#[cfg(feature = "networks")]
pub mod saa;
#[cfg(feature = "networks")]
pub mod sampling_free;
#[cfg(feature = "networks")]
pub mod shrinkmatch;
pub mod smote;
#[cfg(feature = "networks")]
pub mod supnotmiwae;
