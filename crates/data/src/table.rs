//! A file of samples, and its columns on demand.

mod matrix;
mod names;
mod parts;

pub use names::{Categories, Labels};

use crate::arrow_file::ArrowFile;
use crate::cell::Codes;
use crate::content::Content;
use crate::delimited::Delimited;
use crate::format::Format;
use crate::held::Held;
use crate::jsonl::Jsonl;
use crate::numpy::Numpy;
use crate::origin::Origin;
use crate::parquet_file::{self, Parquet};
use crate::rows::PART_BYTES;
use crate::source::Source;
use crate::view::View;
use crate::{Column, ColumnType, Reading, arff, builtin, bytes, holds, libsvm, refused, zip};
use quadrat_core::{Error, Progress, Result, Silent, nearest};
use std::path::Path;
use std::sync::Arc;

/// A file of samples: one row a sample, columns decoded when they are asked for.
///
/// Decoded columns come in the order of the file's rows; the file itself stays open and is read again, or is kept where
/// it is short or had to be unpacked, so that the user's rows can be written as they were. See the [crate](crate) for
/// the formats.
#[derive(Clone)]
pub struct Table {
    name: String,
    format: Format,
    columns: Vec<Column>,
    pub(crate) body: Arc<Body>,
    notes: Vec<String>,
    pub(crate) codes: Codes,
    pub(crate) view: Option<Arc<View>>,
    pub(crate) excluded: Vec<String>,
    pub(crate) target: Option<String>,
    progress: Arc<dyn Progress + Send>,
}

pub(crate) enum Body {
    Delimited(Delimited),
    Jsonl(Jsonl),
    Parquet(Parquet),
    Arrow(ArrowFile),
    Numpy(Numpy),
    Held(Held),
}

impl Body {
    /// A Parquet or Arrow file.
    fn columnar(name: &str, format: Format, origin: Origin, overrides: &[(String, ColumnType)]) -> Result<Body> {
        if format == Format::Parquet {
            return Ok(Body::Parquet(Parquet::open(name, vec![(name.to_owned(), origin)], overrides)?));
        }
        Ok(Body::Arrow(ArrowFile::open(name, origin, overrides)?))
    }
}

impl Table {
    /// Opens a file, whose format its ending (csv, tsv, jsonl, ndjson, parquet, npy, npz; with .gz or .zst around it)
    /// or its first bytes tell, or a built-in set by `builtin:NAME`.
    ///
    /// `overrides` gives columns another type than the inferred one.
    ///
    /// # Errors
    /// A file that cannot be read, is no table of its format, or has no rows; an override of an unknown column or one
    /// that the column's values contradict.
    pub fn open(name: &str, overrides: &[(String, ColumnType)]) -> Result<Table> {
        Table::open_with(name, &Reading::typed(overrides), Arc::new(Silent))
    }

    /// [`Table::open`] with all that can be said about how to read the file. It reports to `progress` and stops when
    /// that says so, as do all later reads and writes of the table's rows.
    ///
    /// # Errors
    /// As [`Table::open`], and [`Error::Cancelled`].
    pub fn open_with(name: &str, reading: &Reading, progress: Arc<dyn Progress + Send>) -> Result<Table> {
        let overrides = &reading.types;
        if let Some(set) = name.strip_prefix("builtin:") {
            let table = builtin::find(set)?.table(overrides)?;
            let codes = Codes::new(&reading.missing_codes);
            return Ok(Table { name: name.to_owned(), codes, progress, ..table });
        }
        refused::by_name(name)?;
        if name == bytes::STANDARD {
            let content = Content::Memory(bytes::read(Path::new(name), &*progress)?);
            return Table::parse("standard input", content, reading, progress);
        }
        if let Some(files) = parquet_file::files(name)? {
            let origins = files.into_iter().map(|path| (path.display().to_string(), Origin::Path(path))).collect();
            let parquet = Parquet::open(name, origins, overrides)?;
            return Table::new(name, Format::Parquet, Body::Parquet(parquet), reading, Vec::new(), progress);
        }
        let path = Path::new(name);
        let format = reading.format.or_else(|| Format::of_path(path).ok().map(|(format, _)| format));
        if let Some(format) = format.filter(|format| format.keeps_levels() && path.is_file()) {
            let origin = Origin::Path(path.to_path_buf());
            let body = Body::columnar(name, format, origin, overrides)?;
            return Table::new(name, format, body, reading, Vec::new(), progress);
        }
        let content = Content::open(path, reading.encoding.as_deref(), &*progress)?;
        Table::parse(name, content, reading, progress)
    }

    /// Opens another file, which reports to the same progress as this one.
    ///
    /// # Errors
    /// As [`Table::open_with`].
    pub fn open_beside(&self, name: &str) -> Result<Table> {
        Table::open_with(name, &Reading::default(), Arc::clone(&self.progress))
    }

    /// A table from a file's content; `name` is what messages call it, and its ending tells the format.
    ///
    /// # Errors
    /// As [`Table::open`].
    pub fn from_bytes(name: &str, bytes: Vec<u8>, overrides: &[(String, ColumnType)]) -> Result<Table> {
        Table::parse(name, Content::Memory(bytes), &Reading::typed(overrides), Arc::new(Silent))
    }

    fn parse(name: &str, content: Content, reading: &Reading, progress: Arc<dyn Progress + Send>) -> Result<Table> {
        let overrides = &reading.types;
        let content = match content {
            Content::Memory(bytes) => Content::Memory(bytes::decompress(name, bytes, &*progress)?),
            disk => disk,
        };
        refused::by_content(name, content.head())?;
        if let Content::Memory(bytes) = &content
            && bytes.starts_with(b"PK\x03\x04")
            && Format::by_name(name) != Some(Format::Npz)
            && let Some((inner, content)) = zip::only_file(name, bytes)?
        {
            let told = Reading { format: reading.format.or(Format::by_name(&inner)), ..reading.clone() };
            return Table::parse(name, Content::Memory(content), &told, progress);
        }
        let mut notes = Vec::new();
        let mut format = match reading.format {
            Some(format) => format,
            None => {
                let format = Format::of_content(name, content.head())?;
                if Format::by_name(name).is_none() && format == Format::Csv {
                    notes.push(format!("{name} is read as {format}; say otherwise with --format"));
                }
                format
            }
        };
        let body = match format {
            Format::Csv | Format::Tsv => {
                Body::Delimited(Delimited::parse(name, content, format, reading, &mut notes, &*progress, PART_BYTES)?)
            }
            Format::Jsonl | Format::Json => {
                let jsonl = Jsonl::parse(name, content, format, reading, &mut notes, &*progress, PART_BYTES)?;
                if Format::by_name(name).is_some_and(|promised| promised != jsonl.format()) {
                    notes.push(format!("{name} is read as {}", jsonl.format()));
                }
                format = jsonl.format();
                Body::Jsonl(jsonl)
            }
            other => {
                let bytes = content.into_memory(&*progress)?;
                match other {
                    Format::Npy => Body::Numpy(Numpy::npy(name, bytes, overrides)?),
                    Format::Npz => Body::Numpy(Numpy::npz(name, &bytes, overrides)?),
                    Format::Libsvm => Body::Held(libsvm::parse(name, bytes, reading, &mut notes, &*progress)?),
                    Format::Arff | Format::Keel => {
                        Body::Held(arff::parse(name, bytes, reading, &mut notes, &*progress)?)
                    }
                    _ => Body::columnar(name, format, Origin::Memory(bytes.into()), overrides)?,
                }
            }
        };
        Table::new(name, format, body, reading, notes, progress)
    }

    fn new(
        name: &str,
        format: Format,
        body: Body,
        reading: &Reading,
        notes: Vec<String>,
        progress: Arc<dyn Progress + Send>,
    ) -> Result<Table> {
        let columns = match &body {
            Body::Delimited(csv) => csv.columns().to_vec(),
            Body::Jsonl(jsonl) => jsonl.columns().to_vec(),
            Body::Parquet(parquet) => parquet.columns().to_vec(),
            Body::Arrow(arrow) => arrow.columns().to_vec(),
            Body::Numpy(numpy) => numpy.columns().to_vec(),
            Body::Held(held) => held.columns().to_vec(),
        };
        let codes = Codes::new(&reading.missing_codes);
        let body = Arc::new(body);
        let table = Table {
            name: name.to_owned(),
            format,
            columns,
            body,
            notes,
            codes,
            view: None,
            excluded: Vec::new(),
            target: None,
            progress,
        };
        for (column, _) in &reading.types {
            table.index(column)?;
        }
        Ok(table)
    }

    /// The file's name as the user gave it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file's format.
    pub fn format(&self) -> Format {
        self.format
    }

    /// What was assumed or skipped when the file was read, a sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.parts().last().map_or(0, |part| part.end)
    }

    /// Names and types of all columns, in the file's order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The names of all columns, in the file's order.
    pub fn column_names(&self) -> Vec<&str> {
        self.columns.iter().map(|c| c.name.as_str()).collect()
    }

    /// The names of the columns that [`Table::numeric`] reads, in the file's order.
    pub fn numeric_columns(&self) -> Vec<&str> {
        self.names_where(ColumnType::is_numeric)
    }

    /// The columns of a built-in set that are neither features nor the target (`split`, a name, a text); none of a file.
    pub fn others(&self) -> &'static [&'static str] {
        let set = self.name.strip_prefix("builtin:").and_then(|set| builtin::find(set).ok());
        set.map_or(&[], |set| set.others)
    }

    /// The names of the columns of whole numbers, in the file's order.
    pub fn integer_columns(&self) -> Vec<&str> {
        self.names_where(|kind| kind == ColumnType::Integer)
    }

    fn names_where(&self, fits: impl Fn(ColumnType) -> bool) -> Vec<&str> {
        self.columns.iter().filter(|c| fits(c.kind)).map(|c| c.name.as_str()).collect()
    }

    /// A column's name and type.
    ///
    /// # Errors
    /// An unknown name: the nearest ones are offered.
    pub fn column(&self, name: &str) -> Result<&Column> {
        self.index(name).map(|at| &self.columns[at])
    }

    /// Whether the named columns, all the table's if none is named, can be written to a file of this name: for verbs to
    /// ask before their work. Gives what the file will not say, a sentence each.
    ///
    /// # Errors
    /// A name whose ending is none that is written, or a column of a type or with values that the format does not hold;
    /// the error says which does.
    pub fn check_output(&self, path: &Path, columns: &[&str]) -> Result<Vec<String>> {
        holds::check(self, path, columns)
    }

    /// The line (row, in formats without lines) to name in a message about `row`; counts from 1.
    pub fn line(&self, row: usize) -> u64 {
        self.source().line(self.row(row))
    }

    pub(crate) fn source(&self) -> &dyn Source {
        match &*self.body {
            Body::Delimited(csv) => csv,
            Body::Jsonl(jsonl) => jsonl,
            Body::Parquet(parquet) => parquet,
            Body::Arrow(arrow) => arrow,
            Body::Numpy(numpy) => numpy,
            Body::Held(held) => held,
        }
    }

    /// A column's place, or an error that offers the nearest names.
    pub(crate) fn index(&self, name: &str) -> Result<usize> {
        self.columns.iter().position(|c| c.name == name).ok_or_else(|| {
            let near = nearest(name, self.columns.iter().map(|c| c.name.as_str()));
            Error::input(
                format!("{}, column", self.name),
                format!("`{name}`"),
                format!("did you mean {}?", near.join(" or ")),
            )
        })
    }

    fn missing(&self, row: usize, column: usize) -> Error {
        self.error(row, column, "the value is missing; fill it in, leave the row out, or leave the column out")
    }

    fn error(&self, row: usize, column: usize, why: &str) -> Error {
        Error::data(&self.name, self.line(row), format!("column `{}`: {why}", self.columns[column].name))
    }
}
