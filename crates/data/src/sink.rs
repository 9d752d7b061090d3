//! Writers of decoded batches.

use crate::dialect::{Dialect, push_field};
use crate::format::{Compression, Encoder, Format};
use crate::libsvm::{self, Layout};
use crate::numpy::{Named, Shape, npy_bytes};
use crate::parquet_sink::ParquetSink;
use crate::spell::{self, Spelt, plain_type};
use crate::{arff, json, keel, zip};
use arrow_array::{Array, ArrayRef, RecordBatch, new_empty_array};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use arrow_schema::{ArrowError, DataType, FieldRef, SchemaRef};
use arrow_select::concat::concat;
use quadrat_core::{Error, Result};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Rows are written at most so many at a time.
const LONGEST: usize = 1 << 16;

/// A file being written in some format.
pub(crate) struct Sink<'a> {
    path: &'a Path,
    schema: SchemaRef,
    /// The column that is to be predicted.
    target: Option<&'a str>,
    writer: Writer<'a>,
}

enum Writer<'a> {
    Delimited(Encoder<&'a mut BufWriter<File>>, Dialect),
    /// With an array around the objects, and how many there are so far, or one a line.
    Json(Encoder<&'a mut BufWriter<File>>, Option<usize>),
    Parquet(Box<ParquetSink<&'a mut BufWriter<File>>>),
    Arrow(Box<FileWriter<&'a mut BufWriter<File>>>),
    ArrowStream(Box<StreamWriter<&'a mut BufWriter<File>>>),
    /// Batches so far of each column: the levels of texts stand before the rows.
    Arff(Encoder<&'a mut BufWriter<File>>, Format, Vec<Vec<ArrayRef>>),
    /// Whether the next row is the first.
    Libsvm(Encoder<&'a mut BufWriter<File>>, Layout, bool),
    /// Batches so far of each column: numpy's headers say the number of rows, so they are written last.
    Numpy(Encoder<&'a mut BufWriter<File>>, Format, Shape, Vec<Vec<ArrayRef>>),
}

impl<'a> Sink<'a> {
    pub(crate) fn new(
        format: Format,
        compression: Compression,
        shape: Shape,
        schema: SchemaRef,
        target: Option<&'a str>,
        file: &'a mut BufWriter<File>,
        path: &'a Path,
    ) -> Result<Self> {
        let io = |e| Error::io(path, e);
        let writer = match format {
            Format::Csv | Format::Tsv => {
                let dialect = Dialect::plain(if format == Format::Csv { b',' } else { b'\t' });
                let mut header = Vec::new();
                for (column, field) in schema.fields().iter().enumerate() {
                    if column > 0 {
                        header.push(dialect.separator);
                    }
                    push_field(&mut header, field.name(), &dialect);
                }
                header.push(b'\n');
                let mut out = Encoder::new(file, compression).map_err(io)?;
                out.write_all(&header).map_err(io)?;
                Writer::Delimited(out, dialect)
            }
            Format::Jsonl => Writer::Json(Encoder::new(file, compression).map_err(io)?, None),
            Format::Json => Writer::Json(Encoder::new(file, compression).map_err(io)?, Some(0)),
            Format::Parquet => {
                Writer::Parquet(Box::new(ParquetSink::new(file, &schema).map_err(|e| refused(path, e))?))
            }
            // Compressed as Feather files are by default.
            Format::Arrow | Format::ArrowStream => {
                let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME));
                let options = options.map_err(|e| refused(path, e))?;
                if format == Format::Arrow {
                    let writer = FileWriter::try_new_with_options(file, &schema, options);
                    Writer::Arrow(Box::new(writer.map_err(|e| refused(path, e))?))
                } else {
                    let writer = StreamWriter::try_new_with_options(file, &schema, options);
                    Writer::ArrowStream(Box::new(writer.map_err(|e| refused(path, e))?))
                }
            }
            Format::Arff | Format::Keel => {
                let columns = vec![Vec::new(); schema.fields().len()];
                Writer::Arff(Encoder::new(file, compression).map_err(io)?, format, columns)
            }
            Format::Libsvm => {
                let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
                let layout = Layout::of(&names, target).map_err(|why| refused(path, why))?;
                Writer::Libsvm(Encoder::new(file, compression).map_err(io)?, layout, true)
            }
            Format::Npy | Format::Npz => {
                let columns = vec![Vec::new(); schema.fields().len()];
                Writer::Numpy(Encoder::new(file, compression).map_err(io)?, format, shape, columns)
            }
        };
        Ok(Sink { path, schema, target, writer })
    }

    /// Appends rows, one array a column.
    pub(crate) fn write(&mut self, batch: Vec<ArrayRef>) -> Result<()> {
        let path = self.path;
        let rows = batch.first().map_or(0, |array| array.len());
        if rows > LONGEST {
            return (0..rows).step_by(LONGEST).try_for_each(|from| {
                self.write(batch.iter().map(|array| array.slice(from, LONGEST.min(rows - from))).collect())
            });
        }
        let mut out = Vec::new();
        let schema = &self.schema;
        let plain = || batch.iter().zip(schema.fields()).map(|(array, field)| plain_type(field, array));
        let unfit =
            |column: usize, why: String| refused(path, format!("column `{}`: {why}", schema.field(column).name()));
        match &mut self.writer {
            Writer::Delimited(encoder, dialect) => {
                let batch: Vec<ArrayRef> = plain().collect();
                for row in 0..rows {
                    for (column, array) in batch.iter().enumerate() {
                        if column > 0 {
                            out.push(dialect.separator);
                        }
                        push_cell(&mut out, array, row, dialect).map_err(|why| unfit(column, why))?;
                    }
                    out.push(b'\n');
                }
                encoder.write_all(&out).map_err(|e| Error::io(path, e))
            }
            Writer::Json(encoder, written) => {
                let batch: Vec<ArrayRef> = plain().collect();
                for row in 0..rows {
                    if let Some(written) = written {
                        out.extend_from_slice(if *written == 0 { b"[\n" } else { b",\n" });
                        *written += 1;
                    }
                    for (column, (array, field)) in batch.iter().zip(schema.fields()).enumerate() {
                        out.push(if column > 0 { b',' } else { b'{' });
                        json::push_text(&mut out, field.name());
                        out.push(b':');
                        spell::push_json(&mut out, array, row).map_err(|why| unfit(column, why))?;
                    }
                    out.extend_from_slice(if written.is_some() { b"}" } else { b"}\n" });
                }
                encoder.write_all(&out).map_err(|e| Error::io(path, e))
            }
            Writer::Parquet(writer) => writer.write(&batch).map_err(|e| refused(path, e)),
            Writer::Arrow(writer) => {
                record(schema, batch).and_then(|batch| writer.write(&batch)).map_err(|e| refused(path, e))
            }
            Writer::ArrowStream(writer) => {
                record(schema, batch).and_then(|batch| writer.write(&batch)).map_err(|e| refused(path, e))
            }
            Writer::Libsvm(encoder, layout, first) => {
                for row in 0..rows {
                    let zeros = std::mem::take(first);
                    libsvm::push_row(&mut out, layout, &batch, row, zeros).map_err(|why| refused(path, why))?;
                }
                encoder.write_all(&out).map_err(|e| Error::io(path, e))
            }
            Writer::Numpy(.., columns) | Writer::Arff(.., columns) => {
                columns.iter_mut().zip(batch).for_each(|(column, array)| column.push(array));
                Ok(())
            }
        }
    }

    pub(crate) fn finish(self) -> Result<()> {
        let path = self.path;
        match self.writer {
            Writer::Delimited(encoder, _) | Writer::Json(encoder, None) | Writer::Libsvm(encoder, ..) => {
                encoder.finish().map_err(|e| Error::io(path, e))
            }
            Writer::Json(mut encoder, Some(written)) => {
                let end: &[u8] = if written == 0 { b"[]\n" } else { b"\n]\n" };
                encoder.write_all(end).and_then(|()| encoder.finish()).map_err(|e| Error::io(path, e))
            }
            Writer::Parquet(writer) => writer.finish().map_err(|e| refused(path, e)),
            Writer::Arrow(mut writer) => writer.finish().map_err(|e| refused(path, e)),
            Writer::ArrowStream(mut writer) => writer.finish().map_err(|e| refused(path, e)),
            Writer::Arff(mut out, format, columns) => {
                let columns = whole(path, &self.schema, &columns)?;
                let written = match format {
                    Format::Keel => keel::bytes(&columns, self.target),
                    _ => arff::bytes(&columns),
                };
                let written = written.map_err(|why| refused(path, why))?;
                out.write_all(&written).and_then(|()| out.finish()).map_err(|e| Error::io(path, e))
            }
            Writer::Numpy(mut out, format, shape, columns) => {
                let whole = whole(path, &self.schema, &columns)?;
                let written = if format == Format::Npy {
                    let vector = matches!(whole.as_slice(), [("x", _)]);
                    let bytes = npy_bytes(&whole, vector, shape == Shape::Structured).map_err(|e| refused(path, e))?;
                    out.write_all(&bytes)
                } else {
                    let entries = npz_entries(&whole, shape).map_err(|e| refused(path, e))?;
                    zip::write(&mut out, &entries)
                };
                written.and_then(|()| out.finish()).map_err(|e| Error::io(path, e))
            }
        }
    }
}

/// The columns by name, each in one piece.
fn whole<'s>(path: &Path, schema: &'s SchemaRef, columns: &[Vec<ArrayRef>]) -> Result<Vec<(&'s str, ArrayRef)>> {
    let column = |(batches, field): (&Vec<ArrayRef>, &'s FieldRef)| {
        let batches: Vec<&dyn Array> = batches.iter().map(|array| array.as_ref()).collect();
        let array = if batches.is_empty() {
            new_empty_array(field.data_type())
        } else {
            concat(&batches).map_err(|e| refused(path, e))?
        };
        Ok((field.name().as_str(), plain_type(field, &array)))
    };
    columns.iter().zip(schema.fields()).map(column).collect()
}

/// An array a column; but the columns that were a matrix are one again.
fn npz_entries(columns: &[Named], shape: Shape) -> std::result::Result<Vec<zip::Entry>, String> {
    let features = match shape {
        Shape::Features(from, width) => from..from + width,
        _ => 0..0,
    };
    let mut entries = Vec::new();
    let mut entry = |name: &str, columns: &[Named], vector: bool| {
        npy_bytes(columns, vector, false)
            .map(|content| entries.push(zip::Entry { name: format!("{name}.npy"), content }))
    };
    for (at, column) in columns.iter().enumerate() {
        if at == features.start && !features.is_empty() {
            entry("X", &columns[features.clone()], false)?;
        } else if !features.contains(&at) {
            entry(
                column.0,
                std::slice::from_ref(column),
                !matches!(column.1.data_type(), DataType::FixedSizeList(..)),
            )?;
        }
    }
    Ok(entries)
}

/// A format's writer would not have it.
fn refused(path: &Path, why: impl std::fmt::Display) -> Error {
    Error::data(path.display().to_string(), None, why.to_string())
}

fn record(schema: &SchemaRef, batch: Vec<ArrayRef>) -> std::result::Result<RecordBatch, ArrowError> {
    RecordBatch::try_new(schema.clone(), batch)
}

/// Appends a cell as a field. A missing value is an empty field, an empty text a quoted one.
pub(crate) fn push_cell(out: &mut Vec<u8>, array: &ArrayRef, row: usize, dialect: &Dialect) -> Spelt<()> {
    if spell::is_missing(array, row) {
        return Ok(());
    }
    let start = out.len();
    spell::push_plain(out, array, row)?;
    if !array.data_type().is_numeric() && *array.data_type() != DataType::Boolean {
        let text = String::from_utf8_lossy(&out[start..]).into_owned();
        out.truncate(start);
        push_field(out, &text, dialect);
    }
    Ok(())
}
