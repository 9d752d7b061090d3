//! Arrow IPC: files (Feather version 2) and streams.
//!
//! Of a file only the footer, the dictionaries and the heads of the batches are kept; a question decodes the columns it
//! needs, batch by batch. A stream has no footer and may change its dictionaries on the way: it is decoded when it is
//! opened and held.
//!
//! The lengths in damaged files are not believed: a span must lie within the bytes, and a compressed buffer may not
//! claim to become larger than its compression can make it.

use crate::bytes::room_for;
use crate::origin::{Origin, guarded};
use crate::source::{Form, Source, Visit, columns_of, settle_widths};
use crate::spell::to_text;
use crate::{Column, ColumnType};
use arrow_array::{ArrayRef, RecordBatch, UInt64Array};
use arrow_buffer::Buffer;
use arrow_ipc::convert::fb_to_schema;
use arrow_ipc::reader::{read_dictionary, read_footer_length, read_record_batch};
use arrow_ipc::{Block, CompressionType, Message, MetadataVersion, root_as_footer, root_as_message};
use arrow_schema::{ArrowError, DataType, FieldRef, SchemaRef};
use arrow_select::take::take;
use parquet::file::reader::{ChunkReader, Length};
use quadrat_core::{Error, Result};
use std::collections::HashMap;
use std::ops::Range;

pub(crate) struct ArrowFile {
    file: String,
    schema: SchemaRef,
    columns: Vec<Column>,
    parts: Vec<Range<usize>>,
    batches: Batches,
}

enum Batches {
    /// Where each batch is in the file.
    Places { origin: Origin, blocks: Vec<Block>, dictionaries: HashMap<i64, ArrayRef> },
    /// The batches of a stream.
    Held(Vec<RecordBatch>),
}

/// What the first bytes of a file say.
pub(crate) const MAGIC: &[u8] = b"ARROW1";

/// A step of reading; guarded, since the crates' code panics on some damage.
type Step<T> = std::result::Result<T, ArrowError>;

const NAME: &str = "Arrow";

impl ArrowFile {
    /// Opens a file by its footer, or decodes a stream.
    pub(crate) fn open(file: &str, origin: Origin, overrides: &[(String, ColumnType)]) -> Result<Self> {
        let input = origin.open()?;
        let length = input.len();
        let span = |start: u64, length: usize| input.get_bytes(start, length).map_err(|e| ipc(&e));
        let start = guarded(file, NAME, || span(0, length.min(MAGIC.len() as u64) as usize))?;
        if start.starts_with(b"FEA1") {
            let why = "Feather version 1 is not read; write the file anew: pyarrow.feather.write_feather(table, path)";
            return Err(Error::data(file, None, why));
        }
        let (schema, lengths, batches) = if start.as_ref() == MAGIC {
            guarded(file, NAME, || Self::file(&origin, &span, length))?
        } else {
            let bytes = guarded(file, NAME, || span(0, length as usize))?;
            guarded(file, NAME, || Self::stream(&Buffer::from(bytes)))?
        };
        let mut parts = Vec::new();
        let mut rows = 0usize;
        for length in lengths {
            let impossible = || Error::data(file, None, "a batch declares an impossible number of rows");
            let end = usize::try_from(length).ok().and_then(|n| rows.checked_add(n)).ok_or_else(impossible)?;
            parts.push(rows..end);
            rows = end;
        }
        if rows == 0 || schema.fields().is_empty() {
            return Err(Error::data(file, None, "the file has no rows or no columns"));
        }
        let mut columns = columns_of(file, &schema, overrides)?;
        let arrow = ArrowFile { file: file.to_owned(), schema, columns: Vec::new(), parts, batches };
        settle_widths(&arrow, &mut columns)?;
        Ok(ArrowFile { columns, ..arrow })
    }

    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The schema, each batch's rows, and where the batches are.
    fn file(
        origin: &Origin,
        span: &impl Fn(u64, usize) -> Step<bytes::Bytes>,
        length: u64,
    ) -> Step<(SchemaRef, Vec<i64>, Batches)> {
        let short = || ipc(&"the file is cut short");
        let end = length.checked_sub(10).ok_or_else(short)?;
        let tail: [u8; 10] = span(end, 10)?.as_ref().try_into().map_err(|_| short())?;
        let footer_length = read_footer_length(tail)?;
        let footer = span(end.checked_sub(footer_length as u64).ok_or_else(short)?, footer_length)?;
        let footer = root_as_footer(&footer).map_err(|e| ipc(&e))?;
        let schema = footer.schema().ok_or_else(|| ipc(&"the footer has no schema"))?;
        if !schema.endianness().equals_to_target_endianness() {
            return Err(ipc(&"its numbers have the other byte order; write it anew on this kind of machine"));
        }
        let schema = SchemaRef::new(fb_to_schema(schema));
        let mut dictionaries = HashMap::new();
        for block in footer.dictionaries().iter().flatten() {
            let bytes = block_bytes(block, span)?;
            let (message, body) = parts_of(&bytes, block)?;
            let batch = message.header_as_dictionary_batch().ok_or_else(|| ipc(&"a dictionary is missing"))?;
            check_sizes(batch.data(), &body)?;
            read_dictionary(&body, batch, &schema, &mut dictionaries, &message.version())?;
        }
        let mut lengths = Vec::new();
        let mut blocks = Vec::new();
        for block in footer.recordBatches().iter().flatten() {
            let head = usize::try_from(block.metaDataLength()).map_err(|e| ipc(&e))?;
            let head = span(u64::try_from(block.offset()).map_err(|e| ipc(&e))?, head)?;
            let batch = message_of(&head)?.header_as_record_batch().ok_or_else(|| ipc(&"a batch is missing"))?;
            check_rows(&batch, block.bodyLength(), &schema)?;
            lengths.push(batch.length());
            blocks.push(*block);
        }
        let origin = match origin {
            Origin::Path(path) => Origin::Path(path.clone()),
            Origin::Memory(bytes) => Origin::Memory(bytes.clone()),
        };
        Ok((schema, lengths, Batches::Places { origin, blocks, dictionaries }))
    }

    /// Decodes a stream: a schema, then dictionaries and batches.
    fn stream(bytes: &Buffer) -> Step<(SchemaRef, Vec<i64>, Batches)> {
        let mut schema: Option<SchemaRef> = None;
        let mut dictionaries = HashMap::new();
        let mut batches: Vec<RecordBatch> = Vec::new();
        let mut at = 0usize;
        while let Some((head, start)) = head_at(bytes, at)? {
            let message = root_as_message(&bytes[head..start]).map_err(|e| ipc(&e))?;
            let length = usize::try_from(message.bodyLength()).ok().filter(|n| *n <= bytes.len() - start);
            let length = length.ok_or_else(|| ipc(&"a message is cut short"))?;
            let body = bytes.slice_with_length(start, length);
            at = start + length;
            match (&schema, message.header_as_schema(), message.header_as_record_batch()) {
                (None, Some(found), _) => {
                    if !found.endianness().equals_to_target_endianness() {
                        return Err(ipc(&"its numbers have the other byte order"));
                    }
                    schema = Some(SchemaRef::new(fb_to_schema(found)));
                }
                (Some(schema), _, Some(batch)) => {
                    check_sizes(Some(batch), &body)?;
                    let version = message.version();
                    batches.push(read_record_batch(&body, batch, schema.clone(), &dictionaries, None, &version)?);
                }
                (Some(schema), ..) => {
                    let batch = message.header_as_dictionary_batch().ok_or_else(|| ipc(&"an unknown message"))?;
                    check_sizes(batch.data(), &body)?;
                    read_dictionary(&body, batch, schema, &mut dictionaries, &message.version())?;
                }
                (None, ..) => return Err(ipc(&"it does not start with a schema")),
            }
        }
        let schema = schema.ok_or_else(|| ipc(&"it is neither a file nor a stream of Arrow"))?;
        let lengths = batches.iter().map(|batch| batch.num_rows() as i64).collect();
        Ok((schema, lengths, Batches::Held(batches)))
    }

    fn batch(&self, part: usize, columns: &[usize]) -> Step<RecordBatch> {
        match &self.batches {
            Batches::Held(batches) => batches[part].project(columns),
            Batches::Places { origin, blocks, dictionaries } => {
                let input = origin.open().map_err(|e| ipc(&e))?;
                let block = &blocks[part];
                let bytes = block_bytes(block, &|start, length| input.get_bytes(start, length).map_err(|e| ipc(&e)))?;
                let (message, body) = parts_of(&bytes, block)?;
                let batch = message.header_as_record_batch().ok_or_else(|| ipc(&"a batch is missing"))?;
                check_sizes(Some(batch), &body)?;
                let version: MetadataVersion = message.version();
                read_record_batch(&body, batch, self.schema.clone(), dictionaries, Some(columns), &version)
            }
        }
    }
}

fn ipc(why: &dyn std::fmt::Display) -> ArrowError {
    ArrowError::IpcError(why.to_string())
}

/// The bytes of a message, head and body.
fn block_bytes(block: &Block, span: &impl Fn(u64, usize) -> Step<bytes::Bytes>) -> Step<Buffer> {
    let head = usize::try_from(block.metaDataLength()).map_err(|e| ipc(&e))?;
    let body = usize::try_from(block.bodyLength()).map_err(|e| ipc(&e))?;
    let start = u64::try_from(block.offset()).map_err(|e| ipc(&e))?;
    let length = head.checked_add(body).ok_or_else(|| ipc(&"a batch has an impossible length"))?;
    span(start, length).map(Buffer::from)
}

/// A message's head, and its body.
fn parts_of<'a>(bytes: &'a Buffer, block: &Block) -> Step<(Message<'a>, Buffer)> {
    let head = block.metaDataLength() as usize;
    Ok((message_of(&bytes[..head])?, bytes.slice(head)))
}

/// The message whose head these bytes are: its length, with a marker before it except in old files, then itself.
fn message_of(bytes: &[u8]) -> Step<Message<'_>> {
    let marked = bytes.starts_with(&[0xff; 4]);
    let message = bytes.get(if marked { 8 } else { 4 }..).ok_or_else(|| ipc(&"a message is cut short"))?;
    root_as_message(message).map_err(|e| ipc(&e))
}

/// Where the head of a stream's next message starts and ends; nothing at the end of the stream.
fn head_at(bytes: &[u8], at: usize) -> Step<Option<(usize, usize)>> {
    let word = |at: usize| -> Option<u32> { bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes) };
    let (start, length) = match (word(at), word(at + 4)) {
        (Some(u32::MAX), Some(length)) => (at + 8, length),
        (Some(length), _) => (at + 4, length),
        (None, _) if at == bytes.len() && at > 0 => return Ok(None),
        (None, _) => return Err(ipc(&"the stream is cut short")),
    };
    match start + length as usize {
        end if end == start => Ok(None),
        end if end <= bytes.len() => Ok(Some((start, end))),
        _ => Err(ipc(&"a message is cut short")),
    }
}

/// Refuses a batch whose rows are not those of its first column, or more than its bytes can hold: answers are made room
/// for before a batch is decoded.
fn check_rows(batch: &arrow_ipc::RecordBatch, body: i64, schema: &SchemaRef) -> Step<()> {
    let rows = batch.length();
    if batch.nodes().is_none_or(|nodes| nodes.iter().next().is_none_or(|column| column.length() != rows)) {
        return Err(ipc(&"a batch has not the rows that its columns have"));
    }
    let packed = match batch.compression().map(|compression| compression.codec()) {
        None => 1,
        Some(codec) => most_packed(codec) as i64,
    };
    // Neither needs a bit a row, as all others do.
    let light = |field: &FieldRef| matches!(field.data_type(), DataType::Null | DataType::RunEndEncoded(..));
    let most = if schema.fields().iter().all(light) { i64::from(u32::MAX) } else { body.saturating_mul(8 * packed) };
    if rows > most {
        return Err(ipc(&"a batch declares more rows than its bytes can hold"));
    }
    Ok(())
}

/// Bytes that one byte can become: LZ4 gives at most 255, Zstandard a block of 128 KiB for four.
fn most_packed(codec: CompressionType) -> usize {
    if codec == CompressionType::LZ4_FRAME { 255 } else { 1 << 15 }
}

/// Refuses buffers that lie outside the body, or that claim to decompress to more than they can.
fn check_sizes(batch: Option<arrow_ipc::RecordBatch>, body: &Buffer) -> Step<()> {
    let batch = batch.ok_or_else(|| ipc(&"a dictionary has no values"))?;
    let compression = batch.compression().map(|compression| compression.codec());
    for buffer in batch.buffers().iter().flatten() {
        let (start, length) = (usize::try_from(buffer.offset()), usize::try_from(buffer.length()));
        let span = start.ok().zip(length.ok()).and_then(|(start, length)| body.get(start..start.checked_add(length)?));
        let span = span.ok_or_else(|| ipc(&"a buffer lies outside its batch"))?;
        let Some(codec) = compression else { continue };
        let Some((claim, packed)) = span.split_first_chunk::<8>() else { continue };
        let claim = i64::from_le_bytes(*claim);
        let possible =
            usize::try_from(claim.max(0)).ok().filter(|n| *n <= (packed.len() + 64).saturating_mul(most_packed(codec)));
        if !possible.is_some_and(room_for::<u8>) {
            return Err(ipc(&"a compressed buffer claims an impossible size"));
        }
    }
    Ok(())
}

impl Source for ArrowFile {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn parts(&self) -> &[Range<usize>] {
        &self.parts
    }

    fn read(&self, part: usize, rows: Option<&[usize]>, columns: &[usize], form: Form, visit: Visit) -> Result<()> {
        let Range { start, end } = self.parts[part];
        let batch = guarded(&self.file, NAME, || self.batch(part, columns))?;
        if batch.num_rows() != end - start {
            return Err(Error::data(
                &self.file,
                None,
                "damaged Arrow: a batch has not the rows that its head declares",
            ));
        }
        let mut arrays = batch.columns().to_vec();
        if let Some(rows) = rows.filter(|rows| rows.len() < end - start) {
            let places = UInt64Array::from_iter_values(rows.iter().map(|row| (row - start) as u64));
            for array in &mut arrays {
                *array = take(array, &places, None).map_err(|e| Error::data(&self.file, None, e.to_string()))?;
            }
        }
        if form == Form::Text {
            for (array, &column) in arrays.iter_mut().zip(columns) {
                let text = to_text(self.schema.field(column), array);
                *array = text.map_err(|why| Error::data(&self.file, None, why))?;
            }
        }
        visit(arrays)
    }

    fn line(&self, row: usize) -> u64 {
        row as u64 + 1
    }
}
