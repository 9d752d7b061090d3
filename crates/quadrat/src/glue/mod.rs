//! From a file's columns to what methods take, and back to a file.
//!
//! The layers below know either files ([`data`](crate::data)) or arrays (`select`, `robust`). Here a column gets its
//! part: class, feature, text, embedding, score, label.

#[cfg(feature = "robust")]
mod labelled;
#[cfg(feature = "regularize")]
mod learning;
#[cfg(feature = "select")]
mod pool;
#[cfg(feature = "select")]
mod questions;
#[cfg(feature = "select")]
mod tags;

#[cfg(feature = "robust")]
pub use labelled::{LabelledColumns, Nominal, Unseen, save_resampled};
#[cfg(feature = "regularize")]
pub use learning::{Encoder, Wanted};
#[cfg(feature = "select")]
pub use pool::{PoolColumns, save_selection};
#[cfg(feature = "select")]
pub use questions::Questions;

use crate::Result;
use crate::data::Table;

/// The numeric columns to use: those named, else all that are numeric and not `taken` by another part.
fn features<'a>(table: &'a Table, named: &'a [String], taken: &[&str]) -> Result<Vec<&'a str>> {
    if !named.is_empty() {
        named.iter().try_for_each(|name| table.column(name).map(drop))?;
        return Ok(named.iter().map(String::as_str).collect());
    }
    let free = |name: &&str| !taken.contains(name) && !table.others().contains(name);
    Ok(table.numeric_columns().into_iter().filter(free).collect())
}
