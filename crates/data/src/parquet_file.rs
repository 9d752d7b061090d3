//! Parquet, streamed by row group.
//!
//! Only the footer is kept. Every question reads the columns it needs, row group by row group, and a selection reads
//! the file once more and decodes the chosen rows alone, so that a file may be larger than memory.

use crate::arrays;
use crate::source::{Form, Source, Visit};
use crate::{Column, ColumnType};
use arrow_array::Array;
use arrow_schema::SchemaRef;
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use quadrat_core::{Error, Result};
use std::cell::Cell;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

pub(crate) struct ParquetFile {
    file: String,
    origin: Origin,
    metadata: ArrowReaderMetadata,
    columns: Vec<Column>,
    parts: Vec<Range<usize>>,
}

/// Where the bytes are.
pub(crate) enum Origin {
    Path(PathBuf),
    Memory(Bytes),
}

/// Rows decoded at a time.
const BATCH: usize = 8192;

impl ParquetFile {
    /// Reads the footer.
    pub(crate) fn open(file: &str, origin: Origin, overrides: &[(String, ColumnType)]) -> Result<Self> {
        let input = origin.open()?;
        let metadata = guarded(file, || ArrowReaderMetadata::load(&input, ArrowReaderOptions::new()))?;
        let mut parts = Vec::new();
        let mut rows = 0usize;
        for group in metadata.metadata().row_groups() {
            let length = usize::try_from(group.num_rows()).ok().and_then(|n| rows.checked_add(n));
            let end =
                length.ok_or_else(|| Error::data(file, None, "a row group declares an impossible number of rows"))?;
            parts.push(rows..end);
            rows = end;
        }
        if rows == 0 || metadata.schema().fields().is_empty() {
            return Err(Error::data(file, None, "the file has no rows or no columns"));
        }
        let mut names: Vec<&String> = metadata.schema().fields().iter().map(|f| f.name()).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Error::data(file, None, format!("two columns are called `{}`; names must differ", twice[0])));
        }
        let columns = metadata.schema().fields().iter().map(|field| {
            let inferred = arrays::column_type(field.data_type());
            let kind = overrides.iter().find(|(name, _)| name == field.name()).map_or(inferred, |(_, kind)| *kind);
            Column { name: field.name().clone(), kind }
        });
        let columns = columns.collect();
        let mut parquet = ParquetFile { file: file.to_owned(), origin, metadata, columns, parts };
        for column in 0..parquet.columns.len() {
            if parquet.columns[column].kind == ColumnType::Embedding(0) {
                parquet.columns[column].kind = ColumnType::Embedding(parquet.first_width(column)?);
            }
        }
        Ok(parquet)
    }

    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The width of the first row's list, 0 when it has none.
    fn first_width(&self, column: usize) -> Result<usize> {
        let mut width = 0;
        let first = self.parts.iter().position(|part| !part.is_empty()).unwrap_or(0);
        self.read(first, Some(&[0]), &[column], Form::Native, &mut |batch| {
            width = batch.first().filter(|a| !a.is_empty()).and_then(|a| arrays::width(a, 0).ok()).unwrap_or(0);
            Ok(())
        })?;
        Ok(width)
    }
}

impl Source for ParquetFile {
    fn schema(&self) -> &SchemaRef {
        self.metadata.schema()
    }

    fn parts(&self) -> &[Range<usize>] {
        &self.parts
    }

    fn read(&self, part: usize, rows: Option<&[usize]>, columns: &[usize], form: Form, visit: Visit) -> Result<()> {
        let damaged = |why: &str| Error::data(&self.file, None, format!("damaged Parquet: {why}"));
        let Range { start, end } = self.parts[part];
        let mask = ProjectionMask::roots(self.metadata.parquet_schema(), columns.iter().copied());
        let mut builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(self.origin.open()?, self.metadata.clone())
                .with_row_groups(vec![part])
                .with_projection(mask)
                .with_batch_size(BATCH);
        if let Some(rows) = rows {
            let ranges = rows.chunk_by(|a, b| a + 1 == *b).map(|run| run[0] - start..run[run.len() - 1] + 1 - start);
            builder = builder.with_row_selection(RowSelection::from_consecutive_ranges(ranges, end - start));
        }
        let mut left = rows.map_or(end - start, <[usize]>::len);
        let mut batches = guarded(&self.file, || builder.build())?;
        while let Some(batch) = guarded(&self.file, || Ok(batches.next().transpose()?))? {
            left = left.checked_sub(batch.num_rows()).ok_or_else(|| damaged("more rows than the footer declares"))?;
            let arrays = batch.columns().iter();
            visit(match form {
                Form::Native => arrays.cloned().collect(),
                Form::Text => arrays.map(arrays::to_text).collect(),
            })?;
        }
        if left > 0 {
            return Err(damaged("fewer rows than the footer declares"));
        }
        Ok(())
    }

    fn line(&self, row: usize) -> u64 {
        row as u64 + 1
    }
}

thread_local! {
    /// Whether this thread is in a step that [`guarded`] runs.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic of this thread, now, would be caught and become an error. The reader of Parquet panics on some damaged
/// files; a program that does not want to see the message of such a panic asks this in its panic hook.
pub fn panic_becomes_error() -> bool {
    GUARDED.get()
}

/// Runs a step of the Parquet reader. It panics on some damaged files (an unknown type in the footer, a page that does
/// not decode), which must be an error to us like any other damage.
fn guarded<T>(file: &str, step: impl FnOnce() -> parquet::errors::Result<T>) -> Result<T> {
    let outside = GUARDED.replace(true);
    let done = catch_unwind(AssertUnwindSafe(step));
    GUARDED.set(outside);
    let why = match done {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(e)) => e.to_string(),
        Err(_) => "the content contradicts itself".to_owned(),
    };
    Err(Error::data(file, None, format!("not a readable Parquet file: {why}")))
}

impl Origin {
    /// A reader of its own: readers that share a file handle would move each other's place in it.
    fn open(&self) -> Result<Input> {
        match self {
            Origin::Path(path) => File::open(path).map(Input::File).map_err(|e| Error::io(path, e)),
            Origin::Memory(bytes) => Ok(Input::Memory(bytes.clone())),
        }
    }
}

/// Bytes for the Parquet reader, which trusts the footer's offsets: spans past the end are refused here before anything
/// is allocated for them.
enum Input {
    File(File),
    Memory(Bytes),
}

impl Length for Input {
    fn len(&self) -> u64 {
        match self {
            Input::File(file) => file.metadata().map_or(0, |m| m.len()),
            Input::Memory(bytes) => bytes.len() as u64,
        }
    }
}

impl ChunkReader for Input {
    type T = Box<dyn Read>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(match self {
            Input::File(file) => {
                let mut file = file.try_clone()?;
                file.seek(SeekFrom::Start(start))?;
                Box::new(std::io::BufReader::new(file))
            }
            Input::Memory(bytes) => Box::new(std::io::Cursor::new(bytes.slice(bytes.len().min(start as usize)..))),
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        if start.checked_add(length as u64).is_none_or(|end| end > self.len()) {
            return Err(ParquetError::EOF(format!("{length} bytes at {start} lie past the end of the file")));
        }
        match self {
            Input::Memory(bytes) => Ok(bytes.slice(start as usize..start as usize + length)),
            Input::File(file) => {
                let mut file = file.try_clone()?;
                file.seek(SeekFrom::Start(start))?;
                let mut bytes = Vec::with_capacity(length);
                file.take(length as u64).read_to_end(&mut bytes)?;
                if bytes.len() < length {
                    return Err(ParquetError::EOF("the file was cut short while it was read".to_owned()));
                }
                Ok(bytes.into())
            }
        }
    }
}
