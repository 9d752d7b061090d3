//! Tables: read, write, select rows, add rows.

mod arrays;
pub mod builtin;
mod cell;
mod column;
mod delimited;
mod format;
mod json;
mod jsonl;
mod numpy;
mod parquet_file;
mod sink;
mod source;
mod table;
pub mod text;
mod write;
mod zip;

pub use column::{Column, ColumnType, Missing, Values};
pub use format::{Compression, Format};
pub use numpy::read_embedding;
pub use table::{Categories, Labels, Table};
pub use write::{write_resampled, write_selection};
