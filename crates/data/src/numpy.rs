//! npy and npz.
//!
//! A matrix of an npy file becomes columns `x0`, `x1`, ..., a vector the column `x`, a vector of structured elements its
//! fields. Arrays of an npz file that share their first dimension are columns (one dimension) or embeddings (two); the
//! matrix that is called `X` beside other arrays, where scikit-learn keeps its features, becomes columns `X0`, `X1`, ...
//! Bytes stay as they are until asked for.

mod dtype;
mod numbers;
mod read;
mod write;

use crate::source::{Form, Source, Visit, columns_of};
use crate::spell::to_text;
use crate::{Column, ColumnType, arrays, bytes, zip};
use arrow_array::ArrayRef;
use arrow_array::cast::AsArray;
use arrow_schema::{Field, Schema, SchemaRef};
use ndarray::Array2;
pub(crate) use numbers::{npy_of, numbers};
use quadrat_core::{Error, Result, Silent};
use read::Cells;
pub(crate) use read::NpyArray;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
pub(crate) use write::{Named, digits_lost, holds, npy_bytes};
pub use write::{npy_head, write_arrays, write_matrix};

/// The columns of an npy or npz file.
pub(crate) struct Numpy {
    file: String,
    cells: Vec<Cells>,
    columns: Vec<Column>,
    schema: SchemaRef,
    parts: Vec<Range<usize>>,
    shape: Shape,
}

/// How the columns stood in the file, so that they can be written likewise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A vector of structured elements.
    Structured,
    /// Arrays of an npz, of which the columns from one place on for so many are a matrix `X`.
    Features(usize, usize),
    /// Anything else.
    Plain,
}

/// Parts of about this many bytes are decoded at a time.
const PART_BYTES: usize = 1 << 20;

impl Numpy {
    pub(crate) fn npy(file: &str, bytes: Vec<u8>, overrides: &[(String, ColumnType)]) -> Result<Self> {
        let error = |why: String| Error::data(file, None, why);
        let array = NpyArray::parse(bytes).map_err(error)?;
        let mut columns = array.columns().map_err(error)?;
        if array.is_structured() {
            return Numpy::new(file, columns, Shape::Structured, overrides);
        }
        if let [(name, cells)] = columns.as_mut_slice() {
            if cells.width.is_some() {
                columns = cells.apart().enumerate().map(|(c, cells)| (format!("x{c}"), cells)).collect();
            } else {
                "x".clone_into(name);
            }
        }
        Numpy::new(file, columns, Shape::Plain, overrides)
    }

    pub(crate) fn npz(file: &str, bytes: &[u8], overrides: &[(String, ColumnType)]) -> Result<Self> {
        let mut columns: Vec<(String, Cells)> = Vec::new();
        let mut shape = Shape::Plain;
        let entries = zip::read(bytes).map_err(|why| Error::data(file, None, why))?;
        let several = entries.len() > 1;
        for zip::Entry { name, content } in entries {
            let name = name.strip_suffix(".npy").unwrap_or(&name).to_owned();
            let error = |why: String| Error::data(file, None, format!("array `{name}`: {why}"));
            let array = NpyArray::parse(content).map_err(error)?;
            for (field, cells) in array.columns().map_err(error)? {
                match cells.width {
                    Some(width) if field.is_empty() && several && name == "X" && cells.item.kind.is_number() => {
                        shape = Shape::Features(columns.len(), width);
                        columns.extend(cells.apart().enumerate().map(|(c, cells)| (format!("X{c}"), cells)));
                    }
                    _ => columns.push((if field.is_empty() { name.clone() } else { field }, cells)),
                }
            }
        }
        Numpy::new(file, columns, shape, overrides)
    }

    fn new(file: &str, named: Vec<(String, Cells)>, shape: Shape, overrides: &[(String, ColumnType)]) -> Result<Self> {
        let rows = named.first().map_or(0, |(_, cells)| cells.rows);
        if rows == 0 {
            return Err(Error::data(file, None, "there are no rows or no columns in it"));
        }
        if let Some((other, cells)) = named.iter().find(|(_, cells)| cells.rows != rows) {
            let (first, found) = (&named[0].0, cells.rows);
            let why =
                format!("array `{first}` has {rows} rows and `{other}` has {found}; all must have one entry a sample");
            return Err(Error::data(file, None, why));
        }
        let mut fields = Vec::new();
        for (name, cells) in &named {
            let data_type =
                cells.data_type().map_err(|why| Error::data(file, None, format!("array `{name}`: {why}")))?;
            fields.push(Field::new(name, data_type, true));
        }
        let schema = Arc::new(Schema::new(fields));
        let columns = columns_of(file, &schema, overrides)?;
        let cells: Vec<Cells> = named.into_iter().map(|(_, cells)| cells).collect();
        let row_bytes: usize = cells.iter().map(|c| c.item.kind.bytes() * c.width.unwrap_or(1)).sum();
        let step = (PART_BYTES / row_bytes.max(1)).max(1);
        let parts = (0..rows).step_by(step).map(|from| from..rows.min(from + step)).collect();
        Ok(Numpy { file: file.to_owned(), cells, columns, schema, parts, shape })
    }

    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }

    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }
}

impl Source for Numpy {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn parts(&self) -> &[Range<usize>] {
        &self.parts
    }

    fn read(&self, part: usize, rows: Option<&[usize]>, columns: &[usize], form: Form, visit: Visit) -> Result<()> {
        let mut decoded: Vec<ArrayRef> = Vec::with_capacity(columns.len());
        for &column in columns {
            let cells = &self.cells[column];
            let array = match rows {
                Some(rows) => cells.decode(rows.iter().copied()),
                None => cells.decode(self.parts[part].clone()),
            };
            let array = array.and_then(|array| match form {
                Form::Native => Ok(array),
                Form::Text => to_text(self.schema.field(column), &array),
            });
            decoded.push(array.map_err(|why| {
                Error::data(&self.file, None, format!("column `{}`: {why}", self.columns[column].name))
            })?);
        }
        visit(decoded)
    }

    fn line(&self, row: usize) -> u64 {
        row as u64 + 1
    }
}

/// Reads a matrix of numbers that stands beside a table: one row a sample, as an npy file (with .gz or .zst around it)
/// or an npz file with a single array.
///
/// # Errors
/// A file that is no such matrix, or whose number of rows is not `rows`.
pub fn read_embedding(path: &Path, rows: usize) -> Result<Array2<f32>> {
    let found = read_matrix(path)?;
    match found.nrows() == rows {
        true => Ok(found),
        false => {
            let why = format!("{} rows where the table has {rows}; there must be one row a sample", found.nrows());
            Err(Error::data(path.display().to_string(), None, why))
        }
    }
}

/// Reads a matrix of numbers, one row a sample, from such a file.
///
/// # Errors
/// A file that is no such matrix.
pub fn read_matrix(path: &Path) -> Result<Array2<f32>> {
    let name = path.display().to_string();
    let error = |why: String| Error::data(&name, None, why);
    let bytes = bytes::read(path, &Silent)?;
    let mut bytes = bytes::decompress(&name, bytes, &Silent)?;
    if bytes.starts_with(b"PK") {
        let mut entries = zip::read(&bytes).map_err(error)?;
        match entries.pop().filter(|_| entries.is_empty()) {
            Some(entry) => bytes = entry.content,
            None => {
                return Err(error(
                    "it holds no array or several; write the embedding alone with numpy.save".to_owned(),
                ));
            }
        }
    }
    let columns = NpyArray::parse(bytes).and_then(|array| array.columns()).map_err(error)?;
    let [(_, Cells { width: Some(width), .. })] = columns[..] else {
        return Err(error("a matrix with one row a sample is needed; found a vector".to_owned()));
    };
    let cells = &columns[0].1;
    let rows = cells.rows;
    let lists = cells.decode(0..rows).map_err(error)?;
    let numbers = arrays::to_f64(lists.as_fixed_size_list().values())
        .ok_or_else(|| error("a matrix of numbers is needed; found texts or times".to_owned()))?;
    let values = numbers.values().iter().map(|v| *v as f32).collect();
    Array2::from_shape_vec((rows, width), values).map_err(|e| error(e.to_string()))
}
