//! The user's own rows out again.

use crate::bytes::STANDARD;
use crate::delimited::Delimited;
use crate::dialect::{content, push_field};
use crate::encoding::Charset;
use crate::fit::fit;
use crate::format::{Compression, Encoder, Format};
use crate::jsonl::Jsonl;
use crate::levels::Levels;
use crate::numpy::Shape;
use crate::sink::{Sink, push_cell};
use crate::source::{Form, Source};
use crate::table::Body;
use crate::{Table, Values, json, spell};
use arrow_array::{Array, ArrayRef, LargeStringArray, new_null_array};
use arrow_schema::{DataType, Field, Schema};
use quadrat_core::{Error, Result, write_atomic};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

/// Writes the given rows of a table, in the given order, to a file whose ending says the format and the compression
/// around it ([`Format::of_path`]).
///
/// In the table's own format the rows are written as they are: bytes of a text file are copied, columns of a Parquet
/// file keep their types, and nothing is formatted anew. In another format all columns are converted and keep their
/// types as far as it has them (see the [crate](crate)). `added` columns come after the user's own. A row may be asked for more than once. The
/// file is whole or absent.
///
/// # Errors
/// A row past the end; an added column of another length, or with a name that the table has already; a type that the
/// output format cannot hold; a folder that does not exist.
pub fn write_selection(table: &Table, rows: &[usize], added: &[(String, Values)], path: &Path) -> Result<()> {
    for (name, values) in added {
        check_added(table, name, path)?;
        if values.len() != rows.len() {
            return Err(Error::input(
                format!("column `{name}`"),
                format!("{} values", values.len()),
                format!("{} rows are written", rows.len()),
            ));
        }
    }
    write(table, &Rows { kept: rows, added, synthetic: &[], made: 0 }, path)
}

/// Whether [`write_selection`] can add a column of this name to a table's rows in this file: for verbs to ask before their
/// work.
///
/// # Errors
/// A table that has a column of this name; a format that has no place for one.
pub fn check_added(table: &Table, name: &str, path: &Path) -> Result<()> {
    let what = || format!("{}, column to add", table.name());
    if table.columns().iter().any(|c| c.name == name) {
        let want = "the file has a column of this name: rename or drop it first";
        return Err(Error::input(what(), format!("`{name}`"), want));
    }
    if target(path, table.format())?.0 == Format::Libsvm {
        let want =
            "libsvm has a place for a label and features alone, and would make a feature of it; write .csv or .arff";
        return Err(Error::input(what(), format!("`{name}`"), want));
    }
    Ok(())
}

/// Writes the given rows of a table as they are (see [`write_selection`]), then synthetic rows.
///
/// `synthetic` has the columns that the method filled in, all of the same length; the cells of other columns are left
/// empty (null). New values fit their column's type in every format: whole numbers are rounded and kept within the
/// type's range, booleans are the nearer of the two in the file's own spelling, decimals are rounded to their scale,
/// single precision to its nearest value, and categories, dates and all else are values that the column has already.
///
/// # Errors
/// As [`write_selection`]; a synthetic value that its column's type cannot hold.
pub fn write_resampled(table: &Table, kept: &[usize], synthetic: &[(String, Values)], path: &Path) -> Result<()> {
    let made = synthetic.first().map_or(0, |(_, values)| values.len());
    for (name, values) in synthetic {
        table.column(name)?;
        if values.len() != made {
            return Err(Error::input(
                format!("column `{name}`"),
                format!("{} values", values.len()),
                format!("{made} rows are made"),
            ));
        }
    }
    write(table, &Rows { kept, added: &[], synthetic, made }, path)
}

/// Writes new rows alone, with those columns of a table that `values` has. They fit their columns' types (see
/// [`write_resampled`]). `added` columns come after them.
///
/// # Errors
/// As [`write_resampled`]; an added column with a name that the table has already.
pub fn write_made(table: &Table, values: &[(String, Values)], added: &[(String, Values)], path: &Path) -> Result<()> {
    let (format, compression) = target(path, table.format())?;
    let form = form(table, format);
    let mut fields = Vec::new();
    let mut made = Vec::new();
    for (name, values) in values {
        let array = fit(table, name, values, form)?;
        let field = table.source().schema().field(table.index(name)?).clone();
        fields.push(field.with_data_type(array.data_type().clone()).with_nullable(true));
        made.push(array);
    }
    for (name, values) in added {
        check_added(table, name, path)?;
        let array = values.to_array();
        fields.push(Field::new(name, array.data_type().clone(), true));
        made.push(array);
    }
    check_lengths(values.iter().chain(added))?;
    write_out(path, |file| {
        let mut sink =
            Sink::new(format, compression, Shape::Plain, Arc::new(Schema::new(fields)), table.target(), file, path)?;
        sink.write(made)?;
        sink.finish()
    })
}

/// All columns must have as many values as the first.
fn check_lengths<'a>(mut columns: impl Iterator<Item = &'a (String, Values)> + Clone) -> Result<()> {
    let rows = columns.clone().next().map_or(0, |(_, values)| values.len());
    match columns.find(|(_, values)| values.len() != rows) {
        Some((name, values)) => {
            let got = format!("{} values", values.len());
            Err(Error::input(format!("column `{name}`"), got, format!("the first has {rows}")))
        }
        None => Ok(()),
    }
}

/// The format and compression of an output; `own` where it is standard output and its name says nothing.
pub(crate) fn target(path: &Path, own: Format) -> Result<(Format, Compression)> {
    Format::check_output(path)?;
    if path == Path::new(STANDARD) { Ok((own, Compression::Plain)) } else { Format::of_path(path) }
}

/// Whether an output of this name is standard output: `-`, or `-.csv` and the like.
pub fn is_standard_output(path: &Path) -> bool {
    path.to_str().is_some_and(|name| name == STANDARD || name.starts_with("-.") && !name.contains(['/', '\\']))
}

/// [`write_atomic`], or a stream to standard output. A reader there that has gone away (`| head`) is no error.
fn write_out(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> Result<()>) -> Result<()> {
    if !is_standard_output(path) {
        return write_atomic(path, write);
    }
    let io = |e| Error::io("standard output", e);
    let mut out = BufWriter::with_capacity(PIECE, standard_output().map_err(io)?);
    let done = write(&mut out).and_then(|()| out.flush().map_err(io));
    // What a buffer still holds when its reader has gone would be written again when it is dropped.
    drop(out.into_parts());
    match done {
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// Standard output as a file, which is what the writers take.
#[cfg(unix)]
fn standard_output() -> std::io::Result<File> {
    use std::os::fd::AsFd;
    std::io::stdout().as_fd().try_clone_to_owned().map(File::from)
}

#[cfg(windows)]
fn standard_output() -> std::io::Result<File> {
    use std::os::windows::io::AsHandle;
    std::io::stdout().as_handle().try_clone_to_owned().map(File::from)
}

/// What to write.
struct Rows<'a> {
    kept: &'a [usize],
    added: &'a [(String, Values)],
    synthetic: &'a [(String, Values)],
    made: usize,
}

/// New columns beside the rows that are kept, and new rows under them: of each column its cells, `None` where they are
/// left empty.
struct New {
    added: Vec<ArrayRef>,
    synthetic: Vec<Option<ArrayRef>>,
}

impl New {
    fn of(table: &Table, rows: &Rows, form: Form) -> Result<New> {
        let values = |name: &str| rows.synthetic.iter().find(|(n, _)| n == name).map(|(_, values)| values);
        let synthetic = table
            .columns()
            .iter()
            .map(|c| values(&c.name).filter(|_| rows.made > 0).map(|v| fit(table, &c.name, v, form)).transpose());
        Ok(New {
            added: rows.added.iter().map(|(_, values)| values.to_array()).collect(),
            synthetic: synthetic.collect::<Result<_>>()?,
        })
    }
}

/// How cells are decoded to be written: from text to text, numbers keep their spelling, if it is the one that everybody
/// reads.
fn form(table: &Table, format: Format) -> Form {
    let plain = matches!(&*table.body, Body::Delimited(csv) if csv.is_plain());
    if plain && matches!(format, Format::Csv | Format::Tsv) { Form::Text } else { Form::Native }
}

fn write(table: &Table, rows: &Rows, path: &Path) -> Result<()> {
    if let Some(row) = rows.kept.iter().find(|row| **row >= table.rows()) {
        return Err(Error::input("row", row, format!("{} has {} rows, counted from 0", table.name(), table.rows())));
    }
    let (format, compression) = target(path, table.format())?;
    let own = matches!(&*table.body, Body::Delimited(_)) && format == table.format();
    let form = if own { Form::Text } else { form(table, format) };
    let new = New::of(table, rows, form)?;
    write_out(path, |file| {
        let io = |e| Error::io(path, e);
        match (&*table.body, format) {
            (Body::Delimited(csv), Format::Csv | Format::Tsv) if own => {
                let mut out = Encoder::new(file, compression).map_err(io)?;
                delimited_rows(table, csv, rows, &new, &mut out).and_then(|()| out.finish()).map_err(io)
            }
            (Body::Jsonl(jsonl), Format::Jsonl | Format::Json) => {
                let mut out = Encoder::new(file, compression).map_err(io)?;
                json_rows(table, jsonl, rows, &new, format, &mut out).and_then(|()| out.finish()).map_err(io)
            }
            _ => {
                let shape = match &*table.body {
                    // A matrix keeps its type when a column of another is put beside it.
                    Body::Numpy(numpy) if format == Format::Npy && format == table.format() => {
                        let own = numpy.schema().field(0).data_type();
                        let other = new.added.iter().any(|array| array.data_type() != own);
                        if other { Shape::Structured } else { numpy.shape() }
                    }
                    Body::Numpy(numpy) if format == table.format() => numpy.shape(),
                    _ => Shape::Plain,
                };
                let keeps = format.keeps_levels() || matches!(format, Format::Arff | Format::Keel);
                let levels = if keeps { Levels::of(table)? } else { Levels::none(table) };
                converted(
                    table,
                    rows,
                    &new,
                    form,
                    levels,
                    move |schema| Sink::new(format, compression, shape, schema, table.target(), file, path),
                    path,
                )
            }
        }
    })
}

/// Bytes are handed on in pieces of about this many.
const PIECE: usize = 1 << 18;

/// Collects small writes.
struct Pieces<W: Write> {
    out: W,
    charset: Charset,
    piece: Vec<u8>,
}

impl<W: Write> Pieces<W> {
    fn new(out: W, charset: Charset) -> Self {
        Pieces { out, charset, piece: Vec::with_capacity(PIECE + (1 << 12)) }
    }

    fn end_row(&mut self, line_end: &str) -> std::io::Result<()> {
        self.piece.extend_from_slice(line_end.as_bytes());
        if self.piece.len() < PIECE { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.write_all(&self.charset.encode(&self.piece)?)?;
        self.piece.clear();
        Ok(())
    }
}

/// A cell has no form in the file's text.
fn unfit(why: String) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, why)
}

/// The user's own rows byte by byte, added cells behind each, synthetic rows below; new cells are spelt as the file
/// spells its own, but without marks between thousands.
fn delimited_rows(table: &Table, csv: &Delimited, rows: &Rows, new: &New, out: impl Write) -> std::io::Result<()> {
    let (dialect, line_end) = (csv.dialect(), csv.line_end());
    let separator = dialect.separator;
    let mut out = Pieces::new(out, csv.charset());
    out.piece.extend_from_slice(csv.head().as_bytes());
    if dialect.header {
        for (name, _) in rows.added {
            out.piece.push(separator);
            push_field(&mut out.piece, name, dialect);
        }
        out.end_row(line_end)?;
    }
    let mut added = Vec::new();
    for (array, (_, values)) in new.added.iter().zip(rows.added) {
        added.push(with_decimal(array, values, csv.decimal(None))?);
    }
    let mut kept = csv.one_by_one();
    for (i, &row) in rows.kept.iter().enumerate() {
        let row = kept.row(table.row(row)).map_err(std::io::Error::other)?;
        out.piece.extend_from_slice(content(row).as_bytes());
        for array in &added {
            out.piece.push(separator);
            push_cell(&mut out.piece, array, i, dialect).map_err(unfit)?;
        }
        out.end_row(line_end)?;
    }
    let mut synthetic = Vec::new();
    for (place, (array, column)) in new.synthetic.iter().zip(csv.columns()).enumerate() {
        let values = rows.synthetic.iter().find(|(name, _)| *name == column.name).map(|(_, values)| values);
        synthetic.push(match (array, values) {
            (Some(array), Some(values)) => Some(with_decimal(array, values, csv.decimal(Some(place)))?),
            _ => None,
        });
    }
    for i in 0..rows.made {
        for (column, array) in synthetic.iter().enumerate() {
            if column > 0 {
                out.piece.push(separator);
            }
            if let Some(array) = array {
                push_cell(&mut out.piece, array, i, dialect).map_err(unfit)?;
            }
        }
        out.end_row(line_end)?;
    }
    out.flush()
}

/// New numbers with the file's own decimal sign.
fn with_decimal(array: &ArrayRef, values: &Values, decimal: char) -> std::io::Result<ArrayRef> {
    if decimal == '.' || !matches!(values, Values::Float(_)) {
        return Ok(array.clone());
    }
    let sign = decimal.to_string();
    let mut cells: Vec<Option<String>> = Vec::with_capacity(array.len());
    spell::texts(array, &mut |text| cells.push(text.map(|text| text.replace('.', &sign)))).map_err(unfit)?;
    Ok(Arc::new(LargeStringArray::from(cells)))
}

/// The user's own objects byte by byte with added keys before the last brace, synthetic objects below. What stands around
/// the objects of an array stays; objects of several lines are written in one, where one is to be on each line.
fn json_rows(
    table: &Table,
    jsonl: &Jsonl,
    rows: &Rows,
    new: &New,
    format: Format,
    out: impl Write,
) -> std::io::Result<()> {
    let lines = format == Format::Jsonl;
    let [head, between, tail] = if lines { ["", "\n", "\n"] } else { jsonl.frame() };
    let broken = lines && jsonl.format() != Format::Jsonl;
    let mut out = Pieces::new(out, jsonl.charset());
    out.piece.extend_from_slice(head.as_bytes());
    let mut compact = Vec::new();
    let mut kept = jsonl.one_by_one();
    for (i, &row) in rows.kept.iter().enumerate() {
        let row = kept.row(table.row(row)).map_err(std::io::Error::other)?;
        let mut object = jsonl.object(row);
        if broken {
            compact.clear();
            json::push_compact(&mut compact, object);
            object = std::str::from_utf8(&compact).unwrap_or(object);
        }
        // The row is one object, so the last brace closes it.
        let (members, rest) = object.split_at(object.rfind('}').unwrap_or(object.len()));
        let members = if jsonl.format() == Format::Jsonl { members } else { members.trim_end() };
        if i > 0 {
            out.end_row(between)?;
        }
        out.piece.extend_from_slice(members.as_bytes());
        let mut first = members.trim_start_matches(['\u{feff}', ' ', '\t']).trim_end() == "{";
        for ((name, _), array) in rows.added.iter().zip(&new.added) {
            if !std::mem::take(&mut first) {
                out.piece.push(b',');
            }
            json::push_text(&mut out.piece, name);
            out.piece.push(b':');
            spell::push_json(&mut out.piece, array, i).map_err(unfit)?;
        }
        out.piece.extend_from_slice(&object.as_bytes()[members.len()..object.len() - rest.len()]);
        out.piece.extend_from_slice(rest.as_bytes());
    }
    for i in 0..rows.made {
        if i + rows.kept.len() > 0 {
            out.end_row(between)?;
        }
        for (at, (column, array)) in table.columns().iter().zip(&new.synthetic).enumerate() {
            out.piece.push(if at > 0 { b',' } else { b'{' });
            json::push_text(&mut out.piece, &column.name);
            out.piece.push(b':');
            match array {
                Some(array) => spell::push_json(&mut out.piece, array, i).map_err(unfit)?,
                None => out.piece.extend_from_slice(b"null"),
            }
        }
        out.piece.push(b'}');
    }
    if !lines || rows.kept.len() + rows.made > 0 {
        out.piece.extend_from_slice(tail.as_bytes());
    }
    out.flush()
}

/// All columns decoded, and written in the output's format.
fn converted<'f>(
    table: &Table,
    rows: &Rows,
    new: &New,
    form: Form,
    mut levels: Levels,
    sink: impl FnOnce(Arc<Schema>) -> Result<Sink<'f>>,
    path: &Path,
) -> Result<()> {
    let mut fields: Vec<Field> = Vec::new();
    for (at, field) in table.source().schema().fields().iter().enumerate() {
        let mut field = levels.field(at, field);
        if form == Form::Text {
            field = field.with_data_type(DataType::LargeUtf8);
        }
        if rows.made > 0 {
            field = field.with_nullable(true);
        }
        fields.push(field);
    }
    let own = fields.len();
    let added = rows.added.iter().zip(&new.added);
    fields.extend(added.map(|((name, _), a)| Field::new(name, a.data_type().clone(), true)));
    let schema = Arc::new(Schema::new_with_metadata(fields, table.source().schema().metadata().clone()));
    let mut sink = sink(schema.clone())?;
    let mut done = 0;
    let columns: Vec<usize> = (0..own).collect();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    table.gather(rows.kept, &columns, form, folder, &mut |mut batch| {
        let length = batch.first().map_or(0, |array| array.len());
        levels.apply(&mut batch)?;
        batch.extend(new.added.iter().map(|array| array.slice(done, length)));
        done += length;
        sink.write(batch)
    })?;
    if rows.made > 0 {
        let cells = new.synthetic.iter().zip(&schema.fields()[..own]).map(|(array, field)| match array {
            Some(array) => array.clone(),
            None => new_null_array(field.data_type(), rows.made),
        });
        let mut made: Vec<ArrayRef> = cells.collect();
        levels.apply(&mut made)?;
        sink.write(made)?;
    }
    sink.finish()
}
