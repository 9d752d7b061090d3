//! The user's own rows out again.

use crate::bytes::STANDARD;
use crate::delimited::Delimited;
use crate::dialect::{Dialect, push_field};
use crate::encoding::Charset;
use crate::format::{Compression, Encoder, Format};
use crate::jsonl::Jsonl;
use crate::sink::Sink;
use crate::source::Form;
use crate::table::Body;
use crate::{Column, ColumnType, Table, Values, arrays, json};
use arrow_array::{ArrayRef, new_null_array};
use arrow_schema::{DataType, Field, Schema};
use quadrat_core::{Error, Result, write_atomic};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

/// Writes the given rows of a table, in the given order, to a file whose ending says the format (csv, tsv, jsonl,
/// ndjson, parquet, npy, npz; text formats and npy also with .gz or .zst).
///
/// In the table's own format the rows are written as they are: bytes of a text file are copied, columns of a Parquet
/// file keep their types, and nothing is formatted anew. In another format all columns are converted and keep their
/// types as far as it has them. `added` columns come after the user's own. A row may be asked for more than once. The
/// file is whole or absent.
///
/// # Errors
/// A row past the end; an added column of another length, or with a name that the table has already; a type that the
/// output format cannot hold; a folder that does not exist.
pub fn write_selection(table: &Table, rows: &[usize], added: &[(String, Values)], path: &Path) -> Result<()> {
    for (name, values) in added {
        if table.columns().iter().any(|c| c.name == *name) {
            let what = format!("{}, column to add", table.name());
            return Err(Error::input(
                what,
                format!("`{name}`"),
                "the file has a column of this name: rename or drop it first",
            ));
        }
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

/// Writes the given rows of a table as they are (see [`write_selection`]), then synthetic rows.
///
/// `synthetic` has the columns that the method filled in, all of the same length; the cells of other columns are left
/// empty (null). Numbers are written with as many digits as it takes to read the same number again. A column of whole
/// numbers may receive fractions: with `round` they are rounded, else text formats take them as they are and in
/// Parquet, npy and npz the column's type becomes double precision.
///
/// # Errors
/// As [`write_selection`]; a synthetic value that its column's type cannot hold.
pub fn write_resampled(
    table: &Table,
    kept: &[usize],
    synthetic: &[(String, Values)],
    round: bool,
    path: &Path,
) -> Result<()> {
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
    let mut synthetic = synthetic.to_vec();
    for (name, values) in &mut synthetic {
        if let Values::Float(values) = values
            && round
            && table.column(name)?.kind == ColumnType::Integer
        {
            values.iter_mut().for_each(|v| *v = v.round());
        }
    }
    write(table, &Rows { kept, added: &[], synthetic: &synthetic, made }, path)
}

/// Writes columns of numbers that belong to no table, in the format that the file's ending says. The file is whole or
/// absent.
///
/// # Errors
/// Columns of different lengths; a folder that does not exist.
pub fn write_columns(columns: &[(String, Vec<f64>)], path: &Path) -> Result<()> {
    let rows = columns.first().map_or(0, |(_, values)| values.len());
    if let Some((name, values)) = columns.iter().find(|(_, values)| values.len() != rows) {
        let got = format!("{} values", values.len());
        return Err(Error::input(format!("column `{name}`"), got, format!("the first has {rows}")));
    }
    let (format, compression) = target(path, Format::Csv)?;
    let fields: Vec<Field> = columns.iter().map(|(name, _)| Field::new(name, DataType::Float64, true)).collect();
    let arrays = columns.iter().map(|(_, values)| Values::Float(values.clone()).to_array()).collect();
    write_out(path, |file| {
        let mut sink = Sink::new(format, compression, Arc::new(Schema::new(fields)), file, path)?;
        sink.write(arrays)?;
        sink.finish()
    })
}

/// The format and compression of an output; `own` where it is standard output and its name says nothing.
fn target(path: &Path, own: Format) -> Result<(Format, Compression)> {
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

impl Rows<'_> {
    fn synthetic(&self, name: &str) -> Option<&Values> {
        self.synthetic.iter().find(|(n, _)| n == name).map(|(_, values)| values)
    }
}

fn write(table: &Table, rows: &Rows, path: &Path) -> Result<()> {
    if let Some(row) = rows.kept.iter().find(|row| **row >= table.rows()) {
        return Err(Error::input("row", row, format!("{} has {} rows, counted from 0", table.name(), table.rows())));
    }
    let (format, compression) = target(path, table.format())?;
    write_out(path, |file| {
        let io = |e| Error::io(path, e);
        match (&table.body, format) {
            (Body::Delimited(csv), Format::Csv | Format::Tsv) if format == table.format() => {
                let mut out = Encoder::new(file, compression).map_err(io)?;
                delimited_rows(table, csv, rows, &mut out).and_then(|()| out.finish()).map_err(io)
            }
            (Body::Jsonl(jsonl), Format::Jsonl | Format::Json) => {
                let mut out = Encoder::new(file, compression).map_err(io)?;
                json_rows(table, jsonl, rows, format, &mut out).and_then(|()| out.finish()).map_err(io)
            }
            _ => converted(table, rows, format, compression, file, path),
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

/// The user's own rows byte by byte, added cells behind each, synthetic rows below; new cells are spelt as the file
/// spells its own, but without marks between thousands.
fn delimited_rows(table: &Table, csv: &Delimited, rows: &Rows, out: impl Write) -> std::io::Result<()> {
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
    let float = Cell { kind: ColumnType::Float, decimal: csv.decimal(None), dialect };
    for (i, &row) in rows.kept.iter().enumerate() {
        out.piece.extend_from_slice(csv.row(row).as_bytes());
        for (_, values) in rows.added {
            out.piece.push(separator);
            float.push(&mut out.piece, values, i);
        }
        out.end_row(line_end)?;
    }
    let cell = |(place, column): (usize, &Column)| {
        let cell = Cell { kind: column.kind, decimal: csv.decimal(Some(place)), dialect };
        (cell, rows.synthetic(&column.name))
    };
    let columns: Vec<_> = table.columns().iter().enumerate().map(cell).collect();
    for i in 0..rows.made {
        for (column, (cell, values)) in columns.iter().enumerate() {
            if column > 0 {
                out.piece.push(separator);
            }
            if let Some(values) = values {
                cell.push(&mut out.piece, values, i);
            }
        }
        out.end_row(line_end)?;
    }
    out.flush()
}

/// How new values of a column are spelt in a delimited file.
struct Cell<'a> {
    kind: ColumnType,
    decimal: char,
    dialect: &'a Dialect,
}

impl Cell<'_> {
    /// A new value as a field. A missing one is an empty field.
    fn push(&self, out: &mut Vec<u8>, values: &Values, i: usize) {
        match values {
            Values::Float(v) if v[i].is_nan() => {}
            Values::Float(v) if self.decimal == '.' => push_number(out, v[i], self.kind),
            Values::Float(v) => {
                let mut number = Vec::new();
                push_number(&mut number, v[i], self.kind);
                let number = String::from_utf8_lossy(&number).replace('.', self.decimal.encode_utf8(&mut [0; 4]));
                push_field(out, &number, self.dialect);
            }
            Values::Integer(v) => out.extend_from_slice(v[i].to_string().as_bytes()),
            Values::Text(_) | Values::Category { .. } => {
                if let Some(text) = values.text(i).filter(|t| !t.is_empty()) {
                    push_field(out, text, self.dialect);
                }
            }
        }
    }
}

/// The user's own objects byte by byte with added keys before the last brace, synthetic objects below. What stands around
/// the objects of an array stays; objects of several lines are written in one, where one is to be on each line.
fn json_rows(table: &Table, jsonl: &Jsonl, rows: &Rows, format: Format, out: impl Write) -> std::io::Result<()> {
    let lines = format == Format::Jsonl;
    let [head, between, tail] = if lines { ["", "\n", "\n"] } else { jsonl.frame() };
    let broken = lines && jsonl.format() != Format::Jsonl;
    let mut out = Pieces::new(out, jsonl.charset());
    out.piece.extend_from_slice(head.as_bytes());
    let mut compact = Vec::new();
    for (i, &row) in rows.kept.iter().enumerate() {
        let mut object = jsonl.row(row);
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
        for (name, values) in rows.added {
            if !std::mem::take(&mut first) {
                out.piece.push(b',');
            }
            json::push_text(&mut out.piece, name);
            out.piece.push(b':');
            push_value(&mut out.piece, values, i, ColumnType::Float);
        }
        out.piece.extend_from_slice(object[members.len()..object.len() - rest.len()].as_bytes());
        out.piece.extend_from_slice(rest.as_bytes());
    }
    for i in 0..rows.made {
        if i + rows.kept.len() > 0 {
            out.end_row(between)?;
        }
        for (at, column) in table.columns().iter().enumerate() {
            out.piece.push(if at > 0 { b',' } else { b'{' });
            json::push_text(&mut out.piece, &column.name);
            out.piece.push(b':');
            match rows.synthetic(&column.name) {
                Some(values) => push_value(&mut out.piece, values, i, column.kind),
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

/// A new value as JSON; a category's name is a number or boolean in a column of those.
fn push_value(out: &mut Vec<u8>, values: &Values, i: usize, kind: ColumnType) {
    match values {
        Values::Float(v) if !v[i].is_finite() => out.extend_from_slice(b"null"),
        Values::Float(v) => push_number(out, v[i], kind),
        Values::Integer(v) => out.extend_from_slice(v[i].to_string().as_bytes()),
        Values::Text(_) | Values::Category { .. } => match values.text(i) {
            Some(text) if kind.is_numeric() && json::is_scalar(text) => out.extend_from_slice(text.as_bytes()),
            Some("") if kind != ColumnType::Text => out.extend_from_slice(b"null"),
            Some(text) => json::push_text(out, text),
            None => out.extend_from_slice(b"null"),
        },
    }
}

/// The shortest digits that read back as the same number; without a point among whole numbers.
fn push_number(out: &mut Vec<u8>, value: f64, kind: ColumnType) {
    let digits = if kind == ColumnType::Integer && value.fract() == 0.0 && value.abs() < 1e15 {
        format!("{value:.0}")
    } else {
        format!("{value:?}")
    };
    out.extend_from_slice(digits.as_bytes());
}

/// All columns decoded, brought into the output's types, and written in the output's format.
fn converted(
    table: &Table,
    rows: &Rows,
    format: Format,
    compression: Compression,
    file: &mut BufWriter<File>,
    path: &Path,
) -> Result<()> {
    // From text to text, numbers keep their spelling, if it is the one that everybody reads.
    let plain = matches!(&table.body, Body::Delimited(csv) if csv.is_plain());
    let form = if plain && matches!(format, Format::Csv | Format::Tsv) { Form::Text } else { Form::Native };
    let mut fields: Vec<Field> = Vec::new();
    for field in table.source().schema().fields() {
        let mut field = field.as_ref().clone();
        if form == Form::Text {
            field = field.with_data_type(DataType::LargeUtf8);
        }
        if rows.made > 0 {
            field = field.with_nullable(true);
            if form == Form::Native && rows.synthetic(field.name()).is_some_and(|v| v.widens(field.data_type())) {
                field = field.with_data_type(DataType::Float64);
            }
        }
        fields.push(field);
    }
    let own = fields.len();
    let added: Vec<ArrayRef> = rows.added.iter().map(|(_, values)| values.to_array()).collect();
    fields.extend(rows.added.iter().zip(&added).map(|((name, _), a)| Field::new(name, a.data_type().clone(), true)));
    let schema = Arc::new(Schema::new_with_metadata(fields, table.source().schema().metadata().clone()));
    let mut sink = Sink::new(format, compression, schema.clone(), file, path)?;
    let mut done = 0;
    table.gather(rows.kept, form, &mut |mut batch| {
        let length = batch.first().map_or(0, |array| array.len());
        for (array, field) in batch.iter_mut().zip(schema.fields()) {
            if array.data_type() != field.data_type()
                && let Some(widened) = arrays::to_f64(array)
            {
                *array = Arc::new(widened);
            }
        }
        batch.extend(added.iter().map(|array| array.slice(done, length)));
        done += length;
        sink.write(batch)
    })?;
    if rows.made > 0 {
        let made = schema.fields()[..own]
            .iter()
            .map(|field| match rows.synthetic(field.name()) {
                None => Ok(new_null_array(field.data_type(), rows.made)),
                Some(values) => arrays::fit(values, field.data_type()).ok_or_else(|| {
                    let why = format!(
                        "column `{}`: a synthetic value does not fit its type {}",
                        field.name(),
                        field.data_type()
                    );
                    Error::data(table.name(), None, why)
                }),
            })
            .collect::<Result<_>>()?;
        sink.write(made)?;
    }
    sink.finish()
}

impl Values {
    /// A text or category's name.
    fn text(&self, i: usize) -> Option<&str> {
        match self {
            Values::Text(v) => v.get(i).map(String::as_str),
            Values::Category { codes, names } => codes.get(i).and_then(|c| names.get(*c as usize)).map(String::as_str),
            _ => None,
        }
    }

    /// Whether these are fractions for a column of whole numbers.
    fn widens(&self, column: &DataType) -> bool {
        arrays::column_type(column) == ColumnType::Integer
            && matches!(self, Values::Float(v) if v.iter().any(|v| v.is_finite() && v.fract() != 0.0))
    }
}
