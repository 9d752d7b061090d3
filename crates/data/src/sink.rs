//! Writers of decoded batches.

use crate::delimited::push_field;
use crate::format::{Compression, Encoder, Format};
use crate::numpy::npy_bytes;
use crate::{arrays, json, zip};
use arrow_array::{Array, ArrayRef, RecordBatch, new_empty_array};
use arrow_schema::{DataType, SchemaRef};
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
    Delimited(Encoder<&'a mut BufWriter<File>>, u8),
    Jsonl(Encoder<&'a mut BufWriter<File>>),
    Parquet(Box<ArrowWriter<&'a mut BufWriter<File>>>),
    /// Batches so far of each column: numpy's headers say the number of rows, so they are written last.
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
                let separator = if format == Format::Csv { b',' } else { b'\t' };
                let mut header = Vec::new();
                for (column, field) in schema.fields().iter().enumerate() {
                    if column > 0 {
                        header.push(separator);
                    }
                    push_field(&mut header, field.name(), separator);
                }
                header.push(b'\n');
                let mut out = Encoder::new(file, compression).map_err(io)?;
                out.write_all(&header).map_err(io)?;
                Writer::Delimited(out, separator)
            }
            Format::Jsonl => Writer::Jsonl(Encoder::new(file, compression).map_err(io)?),
            Format::Parquet => {
                let properties = WriterProperties::builder().set_compression(Codec::ZSTD(ZstdLevel::default())).build();
                let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties));
                Writer::Parquet(Box::new(writer.map_err(|e| refused(path, e))?))
            }
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
            Writer::Delimited(encoder, separator) => {
                for row in 0..rows {
                    for (column, array) in batch.iter().enumerate() {
                        if column > 0 {
                            out.push(*separator);
                        }
                        push_cell(&mut out, array, row, *separator);
                    }
                    out.push(b'\n');
                }
                encoder.write_all(&out).map_err(|e| Error::io(path, e))
            }
            Writer::Jsonl(encoder) => {
                for row in 0..rows {
                    for (column, (array, field)) in batch.iter().zip(self.schema.fields()).enumerate() {
                        out.push(if column > 0 { b',' } else { b'{' });
                        json::push_text(&mut out, field.name());
                        out.push(b':');
                        arrays::push_json(&mut out, array, row);
                    }
                    out.extend_from_slice(b"}\n");
                }
                encoder.write_all(&out).map_err(|e| Error::io(path, e))
            }
            Writer::Parquet(writer) => {
                let batch = RecordBatch::try_new(self.schema.clone(), batch).map_err(|e| refused(path, e))?;
                writer.write(&batch).map_err(|e| refused(path, e))
            }
            Writer::Numpy(_, _, columns) => {
                columns.iter_mut().zip(batch).for_each(|(column, array)| column.push(array));
                Ok(())
            }
        }
    }

    pub(crate) fn finish(self) -> Result<()> {
        let path = self.path;
        match self.writer {
            Writer::Delimited(encoder, _) | Writer::Jsonl(encoder) => encoder.finish().map_err(|e| Error::io(path, e)),
            Writer::Parquet(writer) => writer.close().map(drop).map_err(|e| refused(path, e)),
            Writer::Numpy(mut out, format, columns) => {
                let mut whole = Vec::new();
                for (batches, field) in columns.iter().zip(self.schema.fields()) {
                    let batches: Vec<&dyn Array> = batches.iter().map(|array| array.as_ref()).collect();
                    let array = if batches.is_empty() {
                        new_empty_array(field.data_type())
                    } else {
                        concat(&batches).map_err(|e| refused(path, e))?
                    };
                    whole.push((field.name().as_str(), array));
                }
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

/// A format's writer would not have it.
fn refused(path: &Path, why: impl std::fmt::Display) -> Error {
    Error::data(path.display().to_string(), None, why.to_string())
}

/// A missing value is an empty field, an empty text a quoted one.
fn push_cell(out: &mut Vec<u8>, array: &ArrayRef, row: usize, separator: u8) {
    if arrays::is_missing(array, row) {
        return;
    }
    let start = out.len();
    arrays::push_plain(out, array, row);
    let numeric = arrays::column_type(array.data_type()).is_numeric();
    if !numeric && !matches!(array.data_type(), DataType::Null) {
        let text = String::from_utf8_lossy(&out[start..]).into_owned();
        out.truncate(start);
        push_field(out, &text, separator);
    }
}
