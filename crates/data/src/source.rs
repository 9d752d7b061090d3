//! What every reader offers to the table above it.

use crate::{Column, ColumnType, arrays};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{Schema, SchemaRef};
use quadrat_core::{Error, Result};
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

/// The columns of a typed file. Names must differ.
pub(crate) fn columns_of(file: &str, schema: &Schema, overrides: &[(String, ColumnType)]) -> Result<Vec<Column>> {
    let mut names: Vec<&String> = schema.fields().iter().map(|f| f.name()).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(Error::data(file, None, format!("two columns are called `{}`; names must differ", twice[0])));
    }
    let columns = schema.fields().iter().map(|field| {
        let inferred = arrays::column_type(field);
        let kind = overrides.iter().find(|(name, _)| name == field.name()).map_or(inferred, |(_, kind)| *kind);
        Column { name: field.name().clone(), kind }
    });
    Ok(columns.collect())
}

/// Gives embeddings of lists of variable size the width of the first row's list, 0 when it has none.
pub(crate) fn settle_widths(source: &dyn Source, columns: &mut [Column]) -> Result<()> {
    let first = source.parts().iter().position(|part| !part.is_empty()).unwrap_or(0);
    for (at, column) in columns.iter_mut().enumerate().filter(|(_, c)| c.kind == ColumnType::Embedding(0)) {
        let mut width = 0;
        source.read(first, Some(&[0]), &[at], Form::Native, &mut |batch| {
            width = batch.first().filter(|a| !a.is_empty()).and_then(|a| arrays::width(a, 0).ok()).unwrap_or(0);
            Ok(())
        })?;
        column.kind = ColumnType::Embedding(width);
    }
    Ok(())
}
