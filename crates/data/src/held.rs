//! Columns that are decoded once, when the file is opened: for formats whose rows are not spans of the text in one
//! spelling.

use crate::source::{Form, Source, Visit};
use crate::spell::to_text;
use crate::{Column, ColumnType, Reading, arrays};
use arrow_array::{ArrayRef, UInt64Array};
use arrow_schema::{Field, Schema, SchemaRef};
use arrow_select::take::take;
use quadrat_core::{Error, Result};
use std::ops::Range;
use std::sync::Arc;

pub(crate) struct Held {
    file: String,
    columns: Vec<Column>,
    arrays: Vec<ArrayRef>,
    /// The line of each row.
    lines: Vec<u64>,
    schema: SchemaRef,
    parts: Vec<Range<usize>>,
}

/// Rows are handed out so many at a time.
const PART_ROWS: usize = 1 << 14;

impl Held {
    /// `names` and `arrays` go together; there is a line for each row.
    pub(crate) fn new(
        file: &str,
        names: Vec<String>,
        arrays: Vec<ArrayRef>,
        lines: Vec<u64>,
        reading: &Reading,
    ) -> Result<Self> {
        if lines.is_empty() || names.is_empty() {
            return Err(Error::data(file, None, "the file has no rows or no columns"));
        }
        let mut sorted: Vec<&String> = names.iter().collect();
        sorted.sort_unstable();
        if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Error::data(file, None, format!("two columns are called `{}`; names must differ", twice[0])));
        }
        let fields: Vec<Field> =
            names.iter().zip(&arrays).map(|(name, array)| Field::new(name, array.data_type().clone(), true)).collect();
        let kind = |name: &str, array: &ArrayRef| -> ColumnType {
            let asked = reading.types.iter().find(|(column, _)| column == name).map(|(_, kind)| *kind);
            asked.unwrap_or_else(|| arrays::column_type(&Field::new(name, array.data_type().clone(), true)))
        };
        let columns =
            names.iter().zip(&arrays).map(|(name, array)| Column { name: name.clone(), kind: kind(name, array) });
        let columns = columns.collect();
        let rows = lines.len();
        let parts = (0..rows).step_by(PART_ROWS).map(|from| from..rows.min(from + PART_ROWS)).collect();
        Ok(Held { file: file.to_owned(), columns, arrays, lines, schema: Arc::new(Schema::new(fields)), parts })
    }

    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }
}

impl Source for Held {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn parts(&self) -> &[Range<usize>] {
        &self.parts
    }

    fn read(&self, part: usize, rows: Option<&[usize]>, columns: &[usize], form: Form, visit: Visit) -> Result<()> {
        let span = self.parts[part].clone();
        let places = rows.map(|rows| UInt64Array::from_iter_values(rows.iter().map(|row| *row as u64)));
        let mut batch = Vec::with_capacity(columns.len());
        for (array, field) in columns.iter().map(|&column| (&self.arrays[column], self.schema.field(column))) {
            let array = match &places {
                None => array.slice(span.start, span.len()),
                Some(places) => take(array, places, None).map_err(|e| Error::data(&self.file, None, e.to_string()))?,
            };
            batch.push(match form {
                Form::Native => array,
                Form::Text => to_text(field, &array).map_err(|why| Error::data(&self.file, None, why))?,
            });
        }
        visit(batch)
    }

    fn line(&self, row: usize) -> u64 {
        self.lines[row]
    }
}
