//! Writers of decoded batches.

use crate::dialect::{Dialect, push_field};
use crate::format::{Compression, Encoder, Format};
use crate::numpy::npy_bytes;
use crate::{arff, arrays, json, zip};
use arrow_array::{Array, ArrayRef, RecordBatch, new_empty_array};
use arrow_schema::{DataType, FieldRef, SchemaRef};
use arrow_select::concat::concat;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression as Codec, ZstdLevel};
use parquet::file::properties::WriterProperties;
use quadrat_core::{Error, Result};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// A file being written in some format.
pub(crate) struct Sink<'a> {
    path: &'a Path,
    schema: SchemaRef,
    writer: Writer<'a>,
}

enum Writer<'a> {
    Delimited(Encoder<&'a mut BufWriter<File>>, Dialect),
    /// With an array around the objects, and how many there are so far, or one a line.
    Json(Encoder<&'a mut BufWriter<File>>, Option<usize>),
    Parquet(Box<ArrowWriter<&'a mut BufWriter<File>>>),
    /// Batches so far of each column: numpy's headers say the number of rows, so they are written last.
    /// Batches so far of each column: the levels of texts stand before the rows.
    Arff(Encoder<&'a mut BufWriter<File>>, Vec<Vec<ArrayRef>>),
    Numpy(Encoder<&'a mut BufWriter<File>>, Format, Vec<Vec<ArrayRef>>),
}

impl<'a> Sink<'a> {
    pub(crate) fn new(
        format: Format,
        compression: Compression,
        schema: SchemaRef,
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
                let properties = WriterProperties::builder().set_compression(Codec::ZSTD(ZstdLevel::default())).build();
                let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties));
                Writer::Parquet(Box::new(writer.map_err(|e| refused(path, e))?))
            }
            Format::Arff => {
                let columns = vec![Vec::new(); schema.fields().len()];
                Writer::Arff(Encoder::new(file, compression).map_err(io)?, columns)
            }
            Format::Libsvm => return Err(refused(path, "libsvm is not written")),
            Format::Npy | Format::Npz => {
                let columns = vec![Vec::new(); schema.fields().len()];
                Writer::Numpy(Encoder::new(file, compression).map_err(io)?, format, columns)
            }
        };
        Ok(Sink { path, schema, writer })
    }

    /// Appends rows, one array a column.
    pub(crate) fn write(&mut self, batch: Vec<ArrayRef>) -> Result<()> {
        let path = self.path;
        let rows = batch.first().map_or(0, |array| array.len());
        let mut out = Vec::new();
        match &mut self.writer {
            Writer::Delimited(encoder, dialect) => {
                for row in 0..rows {
                    for (column, array) in batch.iter().enumerate() {
                        if column > 0 {
                            out.push(dialect.separator);
                        }
                        push_cell(&mut out, array, row, dialect);
                    }
                    out.push(b'\n');
                }
                encoder.write_all(&out).map_err(|e| Error::io(path, e))
            }
            Writer::Json(encoder, written) => {
                for row in 0..rows {
                    if let Some(written) = written {
                        out.extend_from_slice(if *written == 0 { b"[\n" } else { b",\n" });
                        *written += 1;
                    }
                    for (column, (array, field)) in batch.iter().zip(self.schema.fields()).enumerate() {
                        out.push(if column > 0 { b',' } else { b'{' });
                        json::push_text(&mut out, field.name());
                        out.push(b':');
                        arrays::push_json(&mut out, array, row);
                    }
                    out.extend_from_slice(if written.is_some() { b"}" } else { b"}\n" });
                }
                encoder.write_all(&out).map_err(|e| Error::io(path, e))
            }
            Writer::Parquet(writer) => {
                let batch = RecordBatch::try_new(self.schema.clone(), batch).map_err(|e| refused(path, e))?;
                writer.write(&batch).map_err(|e| refused(path, e))
            }
            Writer::Numpy(_, _, columns) | Writer::Arff(_, columns) => {
                columns.iter_mut().zip(batch).for_each(|(column, array)| column.push(array));
                Ok(())
            }
        }
    }

    pub(crate) fn finish(self) -> Result<()> {
        let path = self.path;
        match self.writer {
            Writer::Delimited(encoder, _) | Writer::Json(encoder, None) => {
                encoder.finish().map_err(|e| Error::io(path, e))
            }
            Writer::Json(mut encoder, Some(written)) => {
                let end: &[u8] = if written == 0 { b"[]\n" } else { b"\n]\n" };
                encoder.write_all(end).and_then(|()| encoder.finish()).map_err(|e| Error::io(path, e))
            }
            Writer::Parquet(writer) => writer.close().map(drop).map_err(|e| refused(path, e)),
            Writer::Arff(mut out, columns) => {
                let written = arff::bytes(&whole(path, &self.schema, &columns)?).map_err(|why| refused(path, why))?;
                out.write_all(&written).and_then(|()| out.finish()).map_err(|e| Error::io(path, e))
            }
            Writer::Numpy(mut out, format, columns) => {
                let whole = whole(path, &self.schema, &columns)?;
                let unfit = |name: &str| {
                    let want = if format == Format::Npy {
                        "all columns must be numbers"
                    } else {
                        "numbers, texts and embeddings"
                    };
                    refused(
                        path,
                        format!("column `{name}` does not fit into {format} ({want}); write .parquet or .jsonl"),
                    )
                };
                let written = if format == Format::Npy {
                    let bytes = npy_bytes(&whole, matches!(whole.as_slice(), [("x", _)])).map_err(unfit)?;
                    out.write_all(&bytes)
                } else {
                    let mut entries = Vec::new();
                    for column in whole {
                        let name = format!("{}.npy", column.0);
                        let vector = !matches!(column.1.data_type(), DataType::FixedSizeList(..));
                        entries.push(zip::Entry { name, content: npy_bytes(&[column], vector).map_err(unfit)? });
                    }
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
        Ok((field.name().as_str(), array))
    };
    columns.iter().zip(schema.fields()).map(column).collect()
}

/// A format's writer would not have it.
fn refused(path: &Path, why: impl std::fmt::Display) -> Error {
    Error::data(path.display().to_string(), None, why.to_string())
}

/// A missing value is an empty field, an empty text a quoted one.
fn push_cell(out: &mut Vec<u8>, array: &ArrayRef, row: usize, dialect: &Dialect) {
    if arrays::is_missing(array, row) {
        return;
    }
    let start = out.len();
    arrays::push_plain(out, array, row);
    let numeric = arrays::column_type(array.data_type()).is_numeric();
    if !numeric && !matches!(array.data_type(), DataType::Null) {
        let text = String::from_utf8_lossy(&out[start..]).into_owned();
        out.truncate(start);
        push_field(out, &text, dialect);
    }
}
