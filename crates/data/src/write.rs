//! The user's own rows out again.

use crate::delimited::{Delimited, push_field};
use crate::format::{Compression, Encoder, Format};
use crate::jsonl::Jsonl;
use crate::sink::Sink;
use crate::source::Form;
use crate::table::Body;
use crate::{ColumnType, Table, Values, arrays, json};
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
    let (format, compression) = Format::of_path(path)?;
    let fields: Vec<Field> = columns.iter().map(|(name, _)| Field::new(name, DataType::Float64, true)).collect();
    let arrays = columns.iter().map(|(_, values)| Values::Float(values.clone()).to_array()).collect();
    write_atomic(path, |file| {
        let mut sink = Sink::new(format, compression, Arc::new(Schema::new(fields)), file, path)?;
        sink.write(arrays)?;
        sink.finish()
    })
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
    let (format, compression) = Format::of_path(path)?;
    write_atomic(path, |file| {
        let io = |e| Error::io(path, e);
        match (&table.body, format) {
            (Body::Delimited(csv), Format::Csv | Format::Tsv) if format == table.format() => {
                let mut out = Encoder::new(file, compression).map_err(io)?;
                delimited_rows(table, csv, rows, &mut out).and_then(|()| out.finish()).map_err(io)
            }
            (Body::Jsonl(jsonl), Format::Jsonl) => {
                let mut out = Encoder::new(file, compression).map_err(io)?;
                jsonl_rows(table, jsonl, rows, &mut out).and_then(|()| out.finish()).map_err(io)
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
    piece: Vec<u8>,
}

impl<W: Write> Pieces<W> {
    fn new(out: W) -> Self {
        Pieces { out, piece: Vec::with_capacity(PIECE + (1 << 12)) }
    }

    fn end_row(&mut self, line_end: &str) -> std::io::Result<()> {
        self.piece.extend_from_slice(line_end.as_bytes());
        if self.piece.len() < PIECE { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.write_all(&self.piece)?;
        self.piece.clear();
        Ok(())
    }
}

/// The user's own rows byte by byte, added cells behind each, synthetic rows below.
fn delimited_rows(table: &Table, csv: &Delimited, rows: &Rows, out: impl Write) -> std::io::Result<()> {
    let (separator, line_end) = (csv.separator(), csv.line_end());
    let mut out = Pieces::new(out);
    out.piece.extend_from_slice(csv.header().as_bytes());
    for (name, _) in rows.added {
        out.piece.push(separator);
        push_field(&mut out.piece, name, separator);
    }
    out.end_row(line_end)?;
    for (i, &row) in rows.kept.iter().enumerate() {
        out.piece.extend_from_slice(csv.row(row).as_bytes());
        for (_, values) in rows.added {
            out.piece.push(separator);
            push_cell(&mut out.piece, values, i, ColumnType::Float, separator);
        }
        out.end_row(line_end)?;
    }
    let columns: Vec<_> = table.columns().iter().map(|c| (c.kind, rows.synthetic(&c.name))).collect();
    for i in 0..rows.made {
        for (column, (kind, values)) in columns.iter().enumerate() {
            if column > 0 {
                out.piece.push(separator);
            }
            if let Some(values) = values {
                push_cell(&mut out.piece, values, i, *kind, separator);
            }
        }
        out.end_row(line_end)?;
    }
    out.flush()
}

/// A new value as a field. A missing one is an empty field.
fn push_cell(out: &mut Vec<u8>, values: &Values, i: usize, kind: ColumnType, separator: u8) {
    match values {
        Values::Float(v) if v[i].is_nan() => {}
        Values::Float(v) => push_number(out, v[i], kind),
        Values::Integer(v) => out.extend_from_slice(v[i].to_string().as_bytes()),
        Values::Text(_) | Values::Category { .. } => {
            if let Some(text) = values.text(i).filter(|t| !t.is_empty()) {
                push_field(out, text, separator);
            }
        }
    }
}

/// The user's own lines byte by byte with added keys before the last brace, synthetic objects below.
fn jsonl_rows(table: &Table, jsonl: &Jsonl, rows: &Rows, out: impl Write) -> std::io::Result<()> {
    let mut out = Pieces::new(out);
    for (i, &row) in rows.kept.iter().enumerate() {
        let line = jsonl.row(row);
        // The line is one object, so the last brace closes it.
        let (members, rest) = line.split_at(line.rfind('}').unwrap_or(line.len()));
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
        out.piece.extend_from_slice(rest.as_bytes());
        out.end_row("\n")?;
    }
    for i in 0..rows.made {
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
        out.end_row("\n")?;
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
    // From text to text, numbers keep their spelling.
    let delimited = |f| matches!(f, Format::Csv | Format::Tsv);
    let form = if delimited(table.format()) && delimited(format) { Form::Text } else { Form::Native };
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
