//! Parquet, streamed by row group: one file, or several with the same columns.
//!
//! Only the footers are kept. Every question reads the columns it needs, row group by row group, and a selection reads
//! the files once more and decodes the chosen rows alone, so that they may be larger than memory.

use crate::origin::{Origin, guarded};
use crate::source::{Form, Source, Visit, columns_of, settle_widths};
use crate::spell::to_text;
use crate::{Column, ColumnType};
use arrow_schema::SchemaRef;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
};
use quadrat_core::{Error, Result};
use rayon::prelude::*;
use std::ops::Range;
use std::path::{Path, PathBuf};

pub(crate) struct Parquet {
    files: Vec<ParquetFile>,
    columns: Vec<Column>,
    /// Of each row group its file, its number there and its rows.
    groups: Vec<(usize, usize)>,
    parts: Vec<Range<usize>>,
}

struct ParquetFile {
    name: String,
    origin: Origin,
    metadata: ArrowReaderMetadata,
}

/// Rows decoded at a time.
const BATCH: usize = 8192;

impl Parquet {
    /// Reads the footers.
    pub(crate) fn open(name: &str, origins: Vec<(String, Origin)>, overrides: &[(String, ColumnType)]) -> Result<Self> {
        let files: Vec<Result<ParquetFile>> =
            origins.into_par_iter().map(|(name, origin)| ParquetFile::open(name, origin)).collect();
        let files = files.into_iter().collect::<Result<Vec<_>>>()?;
        let (mut groups, mut parts) = (Vec::new(), Vec::new());
        let mut rows = 0usize;
        for (at, file) in files.iter().enumerate() {
            for (group, about) in file.metadata.metadata().row_groups().iter().enumerate() {
                let length = usize::try_from(about.num_rows()).ok().and_then(|n| rows.checked_add(n));
                let impossible = || Error::data(&file.name, None, "a row group declares an impossible number of rows");
                let end = length.ok_or_else(impossible)?;
                groups.push((at, group));
                parts.push(rows..end);
                rows = end;
            }
        }
        let Some((first, others)) = files.split_first() else {
            return Err(Error::data(name, None, "there is no Parquet file"));
        };
        if rows == 0 || first.metadata.schema().fields().is_empty() {
            return Err(Error::data(name, None, "the file has no rows or no columns"));
        }
        others.iter().try_for_each(|other| agree(first, other))?;
        let columns = columns_of(&first.name, first.metadata.schema(), overrides)?;
        let mut parquet = Parquet { files, columns, groups, parts };
        let mut columns = std::mem::take(&mut parquet.columns);
        settle_widths(&parquet, &mut columns)?;
        parquet.columns = columns;
        Ok(parquet)
    }

    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }
}

impl ParquetFile {
    fn open(name: String, origin: Origin) -> Result<Self> {
        let input = origin.open()?;
        let metadata = guarded(&name, "Parquet", || ArrowReaderMetadata::load(&input, ArrowReaderOptions::new()))?;
        Ok(ParquetFile { name, origin, metadata })
    }
}

/// Files that are one table have the same columns in the same order.
fn agree(first: &ParquetFile, other: &ParquetFile) -> Result<()> {
    let (ours, theirs) = (first.metadata.schema().fields(), other.metadata.schema().fields());
    let differ = |why: String| {
        let why = format!("{why}; files that are read as one table must have the same columns in the same order");
        Err(Error::data(&other.name, None, why))
    };
    for (our, their) in ours.iter().zip(theirs) {
        if our.name() != their.name() {
            return differ(format!("there is a column `{}` where {} has `{}`", their.name(), first.name, our.name()));
        }
        if our.data_type() != their.data_type() {
            let (name, our, their) = (our.name(), our.data_type(), their.data_type());
            return differ(format!("column `{name}` is of type {their} where {} has {our}", first.name));
        }
    }
    if ours.len() != theirs.len() {
        return differ(format!("there are {} columns where {} has {}", theirs.len(), first.name, ours.len()));
    }
    Ok(())
}

/// The Parquet files that a folder or a pattern with `*`, `?` and `[...]` means, by their paths in order; nothing for
/// the name of a single file.
pub(crate) fn files(name: &str) -> Result<Option<Vec<PathBuf>>> {
    let path = Path::new(name);
    let mut found = Vec::new();
    if path.is_dir() {
        collect(path, &mut found)?;
    } else if !path.exists() && name.contains(['*', '?', '[']) {
        let wrong = |e: &dyn std::fmt::Display| Error::input("pattern of files", format!("`{name}`"), e.to_string());
        for entry in glob::glob(name).map_err(|e| wrong(&e))? {
            let entry = entry.map_err(|e| wrong(&e))?;
            if entry.is_dir() { collect(&entry, &mut found)? } else { found.push(entry) }
        }
        if let Some(other) = found.iter().find(|path| !is_parquet(path)) {
            let want = "a pattern joins Parquet files; open others one by one";
            return Err(Error::input("pattern of files", format!("`{name}`, {}", other.display()), want));
        }
    } else {
        return Ok(None);
    }
    if found.is_empty() {
        return Err(Error::input("file name", format!("`{name}`"), "there is no Parquet file (.parquet, .pq) in it"));
    }
    found.sort_unstable();
    Ok(Some(found))
}

fn is_parquet(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ["parquet", "pq"].iter().any(|known| ending.eq_ignore_ascii_case(known)))
}

/// The Parquet files in a folder and its folders, but for those that other programs hide by a dot or an underscore.
fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let io = |e| Error::io(folder, e);
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with(['.', '_']) {
            continue;
        }
        if path.is_dir() {
            if name.contains('=') {
                let want =
                    "folders that hold a column's values in their names are not read: write the column into the files";
                return Err(Error::input("folder", path.display(), want));
            }
            collect(&path, found)?;
        } else if is_parquet(&path) {
            found.push(path);
        }
    }
    Ok(())
}

impl Source for Parquet {
    fn schema(&self) -> &SchemaRef {
        self.files[0].metadata.schema()
    }

    fn parts(&self) -> &[Range<usize>] {
        &self.parts
    }

    fn read(&self, part: usize, rows: Option<&[usize]>, columns: &[usize], form: Form, visit: Visit) -> Result<()> {
        let (file, group) = self.groups[part];
        let file = &self.files[file];
        let damaged = |why: &str| Error::data(&file.name, None, format!("damaged Parquet: {why}"));
        let Range { start, end } = self.parts[part];
        let mut left = rows.map_or(end - start, <[usize]>::len);
        let mask = ProjectionMask::roots(file.metadata.parquet_schema(), columns.iter().copied());
        let mut builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(file.origin.open()?, file.metadata.clone())
                .with_row_groups(vec![group])
                .with_projection(mask)
                // An array keeps the room that it was given for a whole batch, so that few rows should not ask for more.
                .with_batch_size(BATCH.min(left.max(1)));
        if let Some(rows) = rows {
            let ranges = rows.chunk_by(|a, b| a + 1 == *b).map(|run| run[0] - start..run[run.len() - 1] + 1 - start);
            builder = builder.with_row_selection(RowSelection::from_consecutive_ranges(ranges, end - start));
        }
        let mut batches = guarded(&file.name, "Parquet", || builder.build())?;
        while let Some(batch) = guarded(&file.name, "Parquet", || batches.next().transpose())? {
            left = left.checked_sub(batch.num_rows()).ok_or_else(|| damaged("more rows than the footer declares"))?;
            let arrays = batch.columns().iter();
            visit(match form {
                Form::Native => arrays.cloned().collect(),
                Form::Text => {
                    let fields = columns.iter().map(|&c| self.schema().field(c));
                    let texts = arrays.zip(fields).map(|(array, field)| to_text(field, array));
                    texts.collect::<std::result::Result<_, _>>().map_err(|why| Error::data(&file.name, None, why))?
                }
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
