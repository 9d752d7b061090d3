//! Writing Parquet.
//!
//! Types stay what they are: the Arrow schema goes along, and file-level keys stand both in it and in the footer, where
//! other readers look. Two things are done by hand. A column of categories gets all its levels, in order, as its
//! dictionary page: the writer of `parquet` makes a dictionary of the values it meets, which loses levels that no row has
//! and their order, and that page is where pandas looks for both. And seconds become milliseconds, since Parquet has no
//! unit for them and others would read bare numbers.

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef, PrimitiveArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, ArrowWriterOptions, compute_leaves,
};
use parquet::arrow::{ArrowSchemaConverter, ArrowWriter};
use parquet::basic::{Compression as Codec, Encoding, ZstdLevel};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, KeyValue};
use parquet::file::page_index::offset_index::{OffsetIndexMetaData, PageLocation};
use parquet::file::properties::WriterProperties;
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedFileWriter, SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;
use rayon::prelude::*;
use std::io::Write;
use std::sync::Arc;

/// Rows of a row group, and bytes after which it ends earlier.
const GROUP_ROWS: usize = 1 << 20;
const GROUP_BYTES: usize = 1 << 27;

/// Rows of a page of categories.
const PAGE_ROWS: usize = 20_000;

/// A dictionary with more bytes is left to the usual writer, which gives up on it, as others do.
const MOST_LEVEL_BYTES: usize = 1 << 20;

type Written<T> = parquet::errors::Result<T>;

/// A Parquet file being written.
pub(crate) struct ParquetSink<W: Write + Send> {
    file: SerializedFileWriter<W>,
    factory: ArrowRowGroupWriterFactory,
    schema: SchemaRef,
    /// The columns of the row group that is being filled, and its rows.
    group: Vec<Column>,
    rows: usize,
}

enum Column {
    Leaves(Vec<ArrowColumnWriter>),
    Categories(Categories),
}

impl<W: Write + Send> ParquetSink<W> {
    pub(crate) fn new(out: W, schema: &Schema) -> Written<Self> {
        let keys = schema.metadata().iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
        let mut keys: Vec<KeyValue> = keys.collect();
        keys.sort_by(|a, b| a.key.cmp(&b.key));
        let properties = WriterProperties::builder()
            .set_compression(Codec::ZSTD(ZstdLevel::default()))
            .set_key_value_metadata((!keys.is_empty()).then_some(keys))
            .build();
        let schema = Arc::new(writable(schema));
        // A date of 64 bits is a date in Parquet; the Arrow schema says how wide it was.
        let dates = schema.fields().iter().map(|field| match field.data_type() {
            DataType::Date64 => field.as_ref().clone().with_data_type(DataType::Date32),
            _ => field.as_ref().clone(),
        });
        let descr = ArrowSchemaConverter::new().convert(&Schema::new(dates.collect::<Vec<_>>()))?;
        let options = ArrowWriterOptions::new().with_properties(properties).with_parquet_schema(descr);
        let writer = ArrowWriter::try_new_with_options(out, schema.clone(), options)?;
        let (file, factory) = writer.into_serialized_writer()?;
        Ok(ParquetSink { file, factory, schema, group: Vec::new(), rows: 0 })
    }

    /// Appends rows, one array a column.
    pub(crate) fn write(&mut self, batch: &[ArrayRef]) -> Written<()> {
        if self.group.is_empty() {
            self.begin(batch)?;
        }
        let fields = self.schema.fields();
        self.group.par_iter_mut().zip(batch).zip(&fields[..]).try_for_each(|((column, array), field)| {
            let array = in_type(array, field)?;
            match column {
                Column::Categories(column) => column.push(&array),
                Column::Leaves(writers) => {
                    writers.iter_mut().zip(compute_leaves(field, &array)?).try_for_each(|(w, leaf)| w.write(&leaf))
                }
            }
        })?;
        self.rows += batch.first().map_or(0, |array| array.len());
        if self.rows >= GROUP_ROWS || self.group.iter().map(Column::bytes).sum::<usize>() >= GROUP_BYTES {
            self.end()?;
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Written<()> {
        self.end()?;
        self.file.close().map(drop)
    }

    fn begin(&mut self, batch: &[ArrayRef]) -> Written<()> {
        let leaves = self.factory.create_column_writers(self.file.flushed_row_groups().len())?;
        let descr = self.file.schema_descr();
        let mut of_field: Vec<Vec<ArrowColumnWriter>> = self.schema.fields().iter().map(|_| Vec::new()).collect();
        let mut descriptions: Vec<Option<ColumnDescPtr>> = vec![None; of_field.len()];
        for (leaf, writer) in leaves.into_iter().enumerate() {
            let field = descr.get_column_root_idx(leaf);
            of_field[field].push(writer);
            descriptions[field] = Some(descr.column(leaf));
        }
        let columns = of_field.into_iter().zip(descriptions).zip(batch);
        self.group = columns
            .map(|((writers, descr), array)| match (Levels::of(array), descr) {
                (Some(levels), Some(descr)) => Column::Categories(Categories { descr, levels, keys: Vec::new() }),
                _ => Column::Leaves(writers),
            })
            .collect();
        self.rows = 0;
        Ok(())
    }

    fn end(&mut self) -> Written<()> {
        if self.group.is_empty() {
            return Ok(());
        }
        let chunks: Vec<Written<Chunk>> = std::mem::take(&mut self.group).into_par_iter().map(Column::close).collect();
        let mut group = self.file.next_row_group()?;
        for chunk in chunks {
            match chunk? {
                Chunk::Leaves(leaves) => {
                    leaves.into_iter().try_for_each(|leaf| leaf.append_to_row_group(&mut group))?
                }
                Chunk::Categories(bytes, closed) => group.append_column(&bytes::Bytes::from(bytes), *closed)?,
            }
        }
        group.close().map(drop)
    }
}

enum Chunk {
    Leaves(Vec<ArrowColumnChunk>),
    Categories(Vec<u8>, Box<ColumnCloseResult>),
}

impl Column {
    fn close(self) -> Written<Chunk> {
        match self {
            Column::Leaves(writers) => {
                writers.into_iter().map(ArrowColumnWriter::close).collect::<Written<_>>().map(Chunk::Leaves)
            }
            Column::Categories(column) => {
                column.close().map(|(bytes, closed)| Chunk::Categories(bytes, Box::new(closed)))
            }
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Column::Leaves(writers) => writers.iter().map(ArrowColumnWriter::memory_size).sum(),
            Column::Categories(column) => 4 * column.keys.len(),
        }
    }
}

/// The levels of a column of categories as a dictionary page holds them.
struct Levels {
    plain: Vec<u8>,
    count: usize,
}

impl Levels {
    /// `None` for arrays that are no categories and for dictionaries that are too large to be one page.
    fn of(array: &ArrayRef) -> Option<Levels> {
        let values = array.as_any_dictionary_opt()?.values();
        let (mut plain, mut count) = (Vec::new(), 0);
        let mut push = |text: Option<&str>| {
            let text = text.unwrap_or_default();
            plain.extend_from_slice(&(text.len() as u32).to_le_bytes());
            plain.extend_from_slice(text.as_bytes());
            count += 1;
        };
        match values.data_type() {
            DataType::Utf8 => values.as_string::<i32>().iter().for_each(&mut push),
            DataType::LargeUtf8 => values.as_string::<i64>().iter().for_each(&mut push),
            DataType::Utf8View => values.as_string_view().iter().for_each(&mut push),
            _ => return None,
        }
        (plain.len() <= MOST_LEVEL_BYTES).then_some(Levels { plain, count })
    }
}

/// A column of categories of a row group.
struct Categories {
    descr: ColumnDescPtr,
    levels: Levels,
    /// The level of each row; one past the last for a missing value.
    keys: Vec<u32>,
}

impl Categories {
    /// Appends rows; all batches of a table have the same dictionary.
    fn push(&mut self, array: &ArrayRef) -> Written<()> {
        let dictionary = array.as_any_dictionary_opt();
        let keys = dictionary.ok_or_else(|| ParquetError::General("a column of categories changed its type".into()))?;
        let keys = keys.keys();
        let missing = self.levels.count as u32;
        let key = |row| crate::spell::key(keys, row).map_or(missing, |key| key as u32);
        self.keys.extend((0..array.len()).map(key));
        Ok(())
    }

    /// The pages, dictionary first, and what the footer says of them.
    fn close(self) -> Written<(Vec<u8>, ColumnCloseResult)> {
        let Categories { descr, levels, keys } = self;
        let nullable = descr.max_def_level() > 0;
        let missing = levels.count as u32;
        let mut out = TrackedWrite::new(Vec::new());
        let mut pages = SerializedPageWriter::new(&mut out);
        let dictionary = |buf| Page::DictionaryPage {
            buf,
            num_values: levels.count as u32,
            encoding: Encoding::PLAIN,
            is_sorted: false,
        };
        let mut sizes = vec![pages.write_page(compressed(&levels.plain, dictionary)?)?];
        let width = (u32::BITS - missing.saturating_sub(1).leading_zeros()).max(1);
        let mut locations = Vec::new();
        let mut nulls = 0;
        for (page, keys) in keys.chunks(PAGE_ROWS).enumerate() {
            let mut body = Vec::new();
            if nullable {
                let present: Vec<u32> = keys.iter().map(|key| u32::from(*key != missing)).collect();
                nulls += present.iter().filter(|present| **present == 0).count() as u64;
                let bits = packed(&present, 1);
                body.extend_from_slice(&(bits.len() as u32).to_le_bytes());
                body.extend_from_slice(&bits);
            }
            body.push(width as u8);
            let present: Vec<u32> = keys.iter().copied().filter(|key| *key != missing).collect();
            if !present.is_empty() {
                body.extend_from_slice(&packed(&present, width));
            }
            let data = |buf| Page::DataPage {
                buf,
                num_values: keys.len() as u32,
                encoding: Encoding::RLE_DICTIONARY,
                def_level_encoding: Encoding::RLE,
                rep_level_encoding: Encoding::RLE,
                statistics: None,
            };
            let size = pages.write_page(compressed(&body, data)?)?;
            locations.push(PageLocation {
                offset: size.offset as i64,
                compressed_page_size: size.compressed_size as i32,
                first_row_index: (page * PAGE_ROWS) as i64,
            });
            sizes.push(size);
        }
        pages.close()?;
        let total = |size: fn(&parquet::column::page::PageWriteSpec) -> usize| sizes.iter().map(size).sum::<usize>();
        let metadata = ColumnChunkMetaData::builder(descr)
            .set_compression(Codec::ZSTD(ZstdLevel::default()))
            .set_encodings(vec![Encoding::PLAIN, Encoding::RLE, Encoding::RLE_DICTIONARY])
            .set_num_values(keys.len() as i64)
            .set_total_compressed_size(total(|size| size.compressed_size) as i64)
            .set_total_uncompressed_size(total(|size| size.uncompressed_size) as i64)
            .set_dictionary_page_offset(Some(0))
            .set_data_page_offset(locations.first().map_or(0, |first| first.offset))
            .set_statistics(Statistics::byte_array(None, None, None, Some(nulls), false))
            .build()?;
        let bytes = out.into_inner()?;
        let closed = ColumnCloseResult {
            bytes_written: bytes.len() as u64,
            rows_written: keys.len() as u64,
            metadata,
            bloom_filter: None,
            column_index: None,
            offset_index: Some(OffsetIndexMetaData {
                page_locations: locations,
                unencoded_byte_array_data_bytes: None,
            }),
        };
        Ok((bytes, closed))
    }
}

/// A page with its body compressed.
fn compressed(body: &[u8], page: impl FnOnce(bytes::Bytes) -> Page) -> Written<CompressedPage> {
    let packed = zstd::bulk::compress(body, 1).map_err(|e| ParquetError::External(Box::new(e)))?;
    Ok(CompressedPage::new(page(packed.into()), body.len()))
}

/// Numbers of `width` bits as one bit-packed run of Parquet's hybrid encoding.
fn packed(values: &[u32], width: u32) -> Vec<u8> {
    let groups = values.len().div_ceil(8);
    let mut out = Vec::with_capacity(groups * width as usize + 5);
    let mut header = (groups as u64) << 1 | 1;
    while header >= 0x80 {
        out.push(header as u8 | 0x80);
        header >>= 7;
    }
    out.push(header as u8);
    let (mut bits, mut held) = (0u64, 0);
    for &value in values.iter().chain(std::iter::repeat_n(&0, groups * 8 - values.len())) {
        bits |= u64::from(value) << held;
        held += width;
        while held >= 8 {
            out.push(bits as u8);
            bits >>= 8;
            held -= 8;
        }
    }
    out
}

/// The schema in types that Parquet and its readers know.
fn writable(schema: &Schema) -> Schema {
    let fields = schema.fields().iter().map(|field| {
        let data_type = match field.data_type() {
            DataType::Timestamp(TimeUnit::Second, zone) => DataType::Timestamp(TimeUnit::Millisecond, zone.clone()),
            DataType::Time32(TimeUnit::Second) => DataType::Time32(TimeUnit::Millisecond),
            other => other.clone(),
        };
        field.as_ref().clone().with_data_type(data_type)
    });
    Schema::new_with_metadata(fields.collect::<Vec<Field>>(), schema.metadata().clone())
}

/// A column in its field's type.
fn in_type(array: &ArrayRef, field: &Field) -> Written<ArrayRef> {
    let unfit = |what: &str| ParquetError::General(format!("column `{}` holds {what}", field.name()));
    Ok(match (array.data_type(), field.data_type()) {
        (DataType::Timestamp(TimeUnit::Second, _), to) => {
            let seconds = array.as_primitive::<TimestampSecondType>();
            let far = || unfit("a time beyond the years that milliseconds reach");
            let milliseconds = seconds.iter().map(|s| s.map(|s| s.checked_mul(1000).ok_or_else(far)).transpose());
            let array: PrimitiveArray<TimestampMillisecondType> = milliseconds.collect::<Written<_>>()?;
            Arc::new(array.with_data_type(to.clone()))
        }
        (DataType::Time32(TimeUnit::Second), _) => Arc::new(
            array.as_primitive::<Time32SecondType>().unary::<_, Time32MillisecondType>(|s| s.saturating_mul(1000)),
        ),
        (DataType::Date64, _) => {
            let whole = array.as_primitive::<Date64Type>().iter().flatten().all(|v| v % 86_400_000 == 0);
            if !whole {
                return Err(unfit("a date with a time of day, which a date in Parquet cannot have; write .arrow"));
            }
            array.clone()
        }
        _ => array.clone(),
    })
}
