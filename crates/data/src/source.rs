//! What every reader offers to the table above it.

use arrow_array::ArrayRef;
use arrow_schema::SchemaRef;
use quadrat_core::Result;
use std::ops::Range;

/// How a column's cells are handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// In the column's own type.
    Native,
    /// As text, in the file's own spelling where the file is text.
    Text,
}

/// Takes batches of decoded columns.
pub(crate) type Visit<'a> = &'a mut dyn FnMut(Vec<ArrayRef>) -> Result<()>;

/// A file that can be decoded part by part and column by column. Parts are independent, so they are decoded in
/// parallel, and their borders depend on the file alone, so results don't depend on the number of threads.
pub(crate) trait Source: Send + Sync {
    /// Names and Arrow types of the columns.
    fn schema(&self) -> &SchemaRef;

    /// The rows of each part: together all rows, in order.
    fn parts(&self) -> &[Range<usize>];

    /// Decodes `columns` (ascending) of a part in one or more batches, in the order of the rows; only `rows`
    /// (ascending, distinct, within the part) where given.
    fn read(&self, part: usize, rows: Option<&[usize]>, columns: &[usize], form: Form, visit: Visit) -> Result<()>;

    /// The line (or row, in a file without lines) to name in an error about `row`; counts from 1.
    fn line(&self, row: usize) -> u64;
}
