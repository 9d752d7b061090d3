//! npy and npz.
//!
//! A matrix of an npy file becomes columns `x0`, `x1`, ..., a vector the column `x`. Arrays of an npz file that share
//! their first dimension are columns (one dimension) or embeddings (two). Bytes stay as they are until asked for.

use crate::source::{Form, Source, Visit};
use crate::{Column, ColumnType, arrays, bytes, zip};
use arrow_array::builder::LargeStringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, BooleanArray, FixedSizeListArray, PrimitiveArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use ndarray::Array2;
use quadrat_core::{Error, Result, Silent};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// The columns of an npy or npz file.
pub(crate) struct Numpy {
    arrays: Vec<TableArray>,
    /// Which array each column is, and for a column of a matrix which of its columns.
    place: Vec<(usize, Option<usize>)>,
    columns: Vec<Column>,
    schema: SchemaRef,
    parts: Vec<Range<usize>>,
}

/// Parts of about this many bytes are decoded at a time.
const PART_BYTES: usize = 1 << 20;

impl Numpy {
    pub(crate) fn npy(file: &str, bytes: Vec<u8>, overrides: &[(String, ColumnType)]) -> Result<Self> {
        let array = TableArray::parse(bytes).map_err(|why| Error::data(file, None, why))?;
        let names = match array.width {
            None => vec![("x".to_owned(), (0, None))],
            Some(width) => (0..width).map(|c| (format!("x{c}"), (0, Some(c)))).collect(),
        };
        Numpy::new(file, vec![array], names, overrides)
    }

    pub(crate) fn npz(file: &str, bytes: &[u8], overrides: &[(String, ColumnType)]) -> Result<Self> {
        let mut arrays = Vec::new();
        let mut names: Vec<(String, (usize, Option<usize>))> = Vec::new();
        for zip::Entry { name, content } in zip::read(bytes).map_err(|why| Error::data(file, None, why))? {
            let name = name.strip_suffix(".npy").unwrap_or(&name).to_owned();
            let array =
                TableArray::parse(content).map_err(|why| Error::data(file, None, format!("array `{name}`: {why}")))?;
            if names.iter().any(|(other, _)| *other == name) {
                return Err(Error::data(file, None, format!("two arrays are called `{name}`; names must differ")));
            }
            names.push((name, (arrays.len(), None)));
            arrays.push(array);
        }
        Numpy::new(file, arrays, names, overrides)
    }

    fn new(
        file: &str,
        arrays: Vec<TableArray>,
        names: Vec<(String, (usize, Option<usize>))>,
        overrides: &[(String, ColumnType)],
    ) -> Result<Self> {
        let rows = arrays.first().map_or(0, |a| a.rows);
        if rows == 0 || names.is_empty() {
            return Err(Error::data(file, None, "there are no rows or no columns in it"));
        }
        if let Some(other) = arrays.iter().position(|a| a.rows != rows) {
            let (first, name, other) = (&names[0].0, &names[other].0, arrays[other].rows);
            let why =
                format!("array `{first}` has {rows} rows and `{name}` has {other}; all must have one entry a sample");
            return Err(Error::data(file, None, why));
        }
        let mut fields = Vec::new();
        let mut columns = Vec::new();
        let mut place = Vec::new();
        for (name, at) in names {
            let item = arrays[at.0].npy.kind.data_type();
            let data_type = match (arrays[at.0].width, at.1) {
                (Some(width), None) => match i32::try_from(width) {
                    Ok(width) => DataType::new_fixed_size_list(item, width, true),
                    Err(_) => return Err(Error::data(file, None, format!("array `{name}` is too wide"))),
                },
                _ => item,
            };
            let inferred = arrays::column_type(&data_type);
            let kind = overrides.iter().find(|(n, _)| *n == name).map_or(inferred, |(_, kind)| *kind);
            fields.push(Field::new(&name, data_type, true));
            columns.push(Column { name, kind });
            place.push(at);
        }
        let row_bytes: usize = arrays.iter().map(|a| a.npy.kind.bytes() * a.width.unwrap_or(1)).sum();
        let step = (PART_BYTES / row_bytes.max(1)).max(1);
        let parts = (0..rows).step_by(step).map(|from| from..rows.min(from + step)).collect();
        Ok(Numpy { arrays, place, columns, schema: Arc::new(Schema::new(fields)), parts })
    }

    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn column(&self, column: usize, rows: &[usize]) -> ArrayRef {
        let (array, within) = self.place[column];
        let array = &self.arrays[array];
        match (array.width, within) {
            (Some(width), None) => {
                let values = array.cells(rows.iter().flat_map(|&row| (0..width).map(move |c| (row, c))));
                let item = Arc::new(Field::new_list_field(array.npy.kind.data_type(), true));
                // The width was checked to fit 32 bits when the column was made.
                Arc::new(FixedSizeListArray::new(item, width as i32, values, None))
            }
            (_, within) => array.cells(rows.iter().map(|&row| (row, within.unwrap_or(0)))),
        }
    }
}

impl Source for Numpy {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn parts(&self) -> &[Range<usize>] {
        &self.parts
    }

    fn read(&self, part: usize, rows: Option<&[usize]>, columns: &[usize], form: Form, visit: Visit) -> Result<()> {
        let all: Vec<usize>;
        let rows = match rows {
            Some(rows) => rows,
            None => {
                all = self.parts[part].clone().collect();
                &all
            }
        };
        let decoded = columns.iter().map(|&c| self.column(c, rows));
        visit(match form {
            Form::Native => decoded.collect(),
            Form::Text => decoded.map(|array| arrays::to_text(&array)).collect(),
        })
    }

    fn line(&self, row: usize) -> u64 {
        row as u64 + 1
    }
}

/// Reads a matrix of numbers that stands beside a table: one row a sample, as an npy file (with .gz or .zst around it)
/// or an npz file with a single array.
///
/// # Errors
/// A file that is no such matrix, or whose number of rows is not `rows`.
pub fn read_embedding(path: &Path, rows: usize) -> Result<Array2<f32>> {
    let name = path.display().to_string();
    let error = |why: String| Error::data(&name, None, why);
    let bytes = bytes::read(path, &Silent)?;
    let mut bytes = bytes::decompress(&name, bytes, &Silent)?;
    if bytes.starts_with(b"PK") {
        let mut entries = zip::read(&bytes).map_err(error)?;
        match entries.pop().filter(|_| entries.is_empty()) {
            Some(entry) => bytes = entry.content,
            None => {
                return Err(error(
                    "it holds no array or several; write the embedding alone with numpy.save".to_owned(),
                ));
            }
        }
    }
    let array = TableArray::parse(bytes).map_err(error)?;
    let width =
        array.width.ok_or_else(|| error("a matrix with one row a sample is needed; found a vector".to_owned()))?;
    if array.rows != rows {
        return Err(error(format!("{} rows where the table has {rows}; there must be one row a sample", array.rows)));
    }
    let cells = array.cells((0..rows).flat_map(|row| (0..width).map(move |c| (row, c))));
    let numbers =
        arrays::to_f64(&cells).ok_or_else(|| error("a matrix of numbers is needed; found texts".to_owned()))?;
    let values = numbers.values().iter().map(|v| *v as f32).collect();
    Array2::from_shape_vec((rows, width), values).map_err(|e| error(e.to_string()))
}

/// One array: its bytes and how to read them.
pub(crate) struct NpyArray {
    bytes: Vec<u8>,
    start: usize,
    kind: Kind,
    pub(crate) shape: Vec<usize>,
    /// Columns first in memory.
    pub(crate) fortran: bool,
}

/// An array of a table.
struct TableArray {
    npy: NpyArray,
    rows: usize,
    /// Columns of a matrix; `None` for a vector.
    width: Option<usize>,
}

/// The type of an array's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    F2,
    F4,
    F8,
    I1,
    I2,
    I4,
    I8,
    U1,
    U2,
    U4,
    U8,
    Bool,
    /// Text of at most this many characters, four bytes each.
    Unicode(usize),
    /// Text of at most this many bytes.
    Ascii(usize),
}

impl Kind {
    fn parse(name: &str) -> Option<Kind> {
        Some(match name {
            "<f2" => Kind::F2,
            "<f4" => Kind::F4,
            "<f8" => Kind::F8,
            "|i1" | "<i1" => Kind::I1,
            "<i2" => Kind::I2,
            "<i4" => Kind::I4,
            "<i8" => Kind::I8,
            "|u1" | "<u1" => Kind::U1,
            "<u2" => Kind::U2,
            "<u4" => Kind::U4,
            "<u8" => Kind::U8,
            "|b1" | "<b1" => Kind::Bool,
            _ => match (name.strip_prefix("<U"), name.strip_prefix("|S")) {
                (Some(length), _) => Kind::Unicode(length.parse().ok()?),
                (_, Some(length)) => Kind::Ascii(length.parse().ok()?),
                _ => return None,
            },
        })
    }

    fn of(data_type: &DataType) -> Option<Kind> {
        Some(match data_type {
            DataType::Float16 => Kind::F2,
            DataType::Float32 => Kind::F4,
            DataType::Float64 => Kind::F8,
            DataType::Int8 => Kind::I1,
            DataType::Int16 => Kind::I2,
            DataType::Int32 => Kind::I4,
            DataType::Int64 => Kind::I8,
            DataType::UInt8 => Kind::U1,
            DataType::UInt16 => Kind::U2,
            DataType::UInt32 => Kind::U4,
            DataType::UInt64 => Kind::U8,
            DataType::Boolean => Kind::Bool,
            _ => return None,
        })
    }

    fn data_type(self) -> DataType {
        match self {
            Kind::F2 => DataType::Float16,
            Kind::F4 => DataType::Float32,
            Kind::F8 => DataType::Float64,
            Kind::I1 => DataType::Int8,
            Kind::I2 => DataType::Int16,
            Kind::I4 => DataType::Int32,
            Kind::I8 => DataType::Int64,
            Kind::U1 => DataType::UInt8,
            Kind::U2 => DataType::UInt16,
            Kind::U4 => DataType::UInt32,
            Kind::U8 => DataType::UInt64,
            Kind::Bool => DataType::Boolean,
            Kind::Unicode(_) | Kind::Ascii(_) => DataType::LargeUtf8,
        }
    }

    fn bytes(self) -> usize {
        match self {
            Kind::I1 | Kind::U1 | Kind::Bool => 1,
            Kind::F2 | Kind::I2 | Kind::U2 => 2,
            Kind::F4 | Kind::I4 | Kind::U4 => 4,
            Kind::F8 | Kind::I8 | Kind::U8 => 8,
            Kind::Unicode(length) => length.saturating_mul(4),
            Kind::Ascii(length) => length,
        }
    }

    fn name(self) -> String {
        match self {
            Kind::F2 => "<f2".to_owned(),
            Kind::F4 => "<f4".to_owned(),
            Kind::F8 => "<f8".to_owned(),
            Kind::I1 => "|i1".to_owned(),
            Kind::I2 => "<i2".to_owned(),
            Kind::I4 => "<i4".to_owned(),
            Kind::I8 => "<i8".to_owned(),
            Kind::U1 => "|u1".to_owned(),
            Kind::U2 => "<u2".to_owned(),
            Kind::U4 => "<u4".to_owned(),
            Kind::U8 => "<u8".to_owned(),
            Kind::Bool => "|b1".to_owned(),
            Kind::Unicode(length) => format!("<U{length}"),
            Kind::Ascii(length) => format!("|S{length}"),
        }
    }
}

impl NpyArray {
    /// Reads the header and checks that the bytes are as many as it says: nothing is allocated on its word.
    pub(crate) fn parse(bytes: Vec<u8>) -> std::result::Result<NpyArray, String> {
        let (length, from) = match bytes.as_slice() {
            [0x93, b'N', b'U', b'M', b'P', b'Y', 1, _, a, b, ..] => (usize::from(u16::from_le_bytes([*a, *b])), 10),
            [0x93, b'N', b'U', b'M', b'P', b'Y', 2 | 3, _, a, b, c, d, ..] => {
                (u32::from_le_bytes([*a, *b, *c, *d]) as usize, 12)
            }
            _ => return Err("not an npy file".to_owned()),
        };
        let start = from + length;
        let header =
            bytes.get(from..start).and_then(|h| std::str::from_utf8(h).ok()).ok_or("the header is cut short")?;
        let entry = |key: &str| header.split_once(key).map(|(_, rest)| rest.trim_start()).ok_or("damaged header");
        let descr = entry("'descr':")?;
        let name = descr.strip_prefix('\'').and_then(|d| d.split_once('\'')).map(|(name, _)| name);
        let kind = name.and_then(Kind::parse).ok_or_else(|| {
            let shown: String = descr.chars().take(20).collect();
            format!("elements of type {shown}...; use little-endian f2, f4, f8, i1 to i8, u1 to u8, bool or text")
        })?;
        let fortran = entry("'fortran_order':")?.starts_with("True");
        let shape = entry("'shape':")?.strip_prefix('(').and_then(|s| s.split_once(')')).ok_or("damaged header")?.0;
        let shape: Vec<usize> = shape
            .split(',')
            .map(str::trim)
            .filter(|n| !n.is_empty())
            .map(|n| n.parse().map_err(|_| "damaged header"))
            .collect::<std::result::Result<_, _>>()?;
        let needed = shape.iter().try_fold(kind.bytes(), |n, side| n.checked_mul(*side));
        if needed != Some(bytes.len() - start) {
            return Err(format!("{} bytes follow the header, which does not fit shape {shape:?}", bytes.len() - start));
        }
        Ok(NpyArray { bytes, start, kind, shape, fortran })
    }

    /// All elements in the order of memory: bytes as shares of 255, floats as they are.
    ///
    /// # Errors
    /// Elements of another type.
    pub(crate) fn pixels(&self) -> std::result::Result<Vec<f32>, String> {
        let data = &self.bytes[self.start..];
        Ok(match self.kind {
            Kind::U1 => data.iter().map(|b| f32::from(*b) / 255.0).collect(),
            Kind::F2 => data.as_chunks().0.iter().map(|b| half(u16::from_le_bytes(*b)).to_f32()).collect(),
            Kind::F4 => data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            Kind::F8 => data.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect(),
            other => return Err(format!("pixels of type {}; use u1 (bytes), f2, f4 or f8", other.name())),
        })
    }
}

impl TableArray {
    fn parse(bytes: Vec<u8>) -> std::result::Result<TableArray, String> {
        let npy = NpyArray::parse(bytes)?;
        let (rows, width) = match npy.shape.as_slice() {
            [rows] => (*rows, None),
            [rows, width] => (*rows, Some(*width)),
            shape => {
                return Err(format!(
                    "an array of {} dimensions; use a vector or a matrix, one row a sample",
                    shape.len()
                ));
            }
        };
        if width == Some(0) || npy.kind.bytes() == 0 {
            return Err("an array without columns or without characters".to_owned());
        }
        Ok(TableArray { npy, rows, width })
    }

    /// The elements at the given (row, column) places.
    fn cells(&self, places: impl Iterator<Item = (usize, usize)>) -> ArrayRef {
        let NpyArray { bytes, start, kind, fortran, .. } = &self.npy;
        let size = kind.bytes();
        let width = self.width.unwrap_or(1);
        let elements = places.map(|(row, column)| {
            let at = if *fortran { column * self.rows + row } else { row * width + column };
            &bytes[start + at * size..start + (at + 1) * size]
        });
        match kind {
            Kind::F2 => primitive::<Float16Type, 2>(elements, |b| half(u16::from_le_bytes(b))),
            Kind::F4 => primitive::<Float32Type, 4>(elements, f32::from_le_bytes),
            Kind::F8 => primitive::<Float64Type, 8>(elements, f64::from_le_bytes),
            Kind::I1 => primitive::<Int8Type, 1>(elements, i8::from_le_bytes),
            Kind::I2 => primitive::<Int16Type, 2>(elements, i16::from_le_bytes),
            Kind::I4 => primitive::<Int32Type, 4>(elements, i32::from_le_bytes),
            Kind::I8 => primitive::<Int64Type, 8>(elements, i64::from_le_bytes),
            Kind::U1 => primitive::<UInt8Type, 1>(elements, u8::from_le_bytes),
            Kind::U2 => primitive::<UInt16Type, 2>(elements, u16::from_le_bytes),
            Kind::U4 => primitive::<UInt32Type, 4>(elements, u32::from_le_bytes),
            Kind::U8 => primitive::<UInt64Type, 8>(elements, u64::from_le_bytes),
            Kind::Bool => Arc::new(elements.map(|b| Some(b != [0])).collect::<BooleanArray>()),
            Kind::Unicode(_) => {
                let mut texts = LargeStringBuilder::new();
                for bytes in elements {
                    let (quads, _) = bytes.as_chunks::<4>();
                    let text =
                        quads.iter().map(|q| u32::from_le_bytes(*q)).map(|c| char::from_u32(c).unwrap_or('\u{fffd}'));
                    texts.append_value(text.collect::<String>().trim_end_matches('\0'));
                }
                Arc::new(texts.finish())
            }
            Kind::Ascii(_) => {
                let mut texts = LargeStringBuilder::new();
                for bytes in elements {
                    texts.append_value(String::from_utf8_lossy(bytes).trim_end_matches('\0'));
                }
                Arc::new(texts.finish())
            }
        }
    }
}

fn primitive<'a, T: ArrowPrimitiveType, const N: usize>(
    elements: impl Iterator<Item = &'a [u8]>,
    read: impl Fn([u8; N]) -> T::Native,
) -> ArrayRef {
    let values = elements.map(|bytes| read(bytes.first_chunk().copied().unwrap_or([0; N])));
    Arc::new(PrimitiveArray::<T>::from_iter_values(values))
}

/// Half precision by its bits.
fn half(bits: u16) -> <Float16Type as ArrowPrimitiveType>::Native {
    <Float16Type as ArrowPrimitiveType>::Native::from_bits(bits)
}

/// Columns side by side as the bytes of an npy file: a vector if `vector` and there is one column of scalars, else a
/// matrix. Columns of different types become double precision, missing numbers NaN.
///
/// # Errors
/// The first column that has no place in such an array.
pub(crate) fn npy_bytes<'a>(columns: &[(&'a str, ArrayRef)], vector: bool) -> std::result::Result<Vec<u8>, &'a str> {
    let mut items = Vec::new();
    for (name, array) in columns {
        let (values, width) = match array.data_type() {
            DataType::FixedSizeList(_, width) if array.null_count() == 0 => {
                let list = array.as_fixed_size_list();
                let width = usize::try_from(*width).unwrap_or(0);
                (list.values().slice(list.value_offset(0) as usize, list.len() * width), width)
            }
            _ => (array.clone(), 1),
        };
        let kind = match Kind::of(values.data_type()) {
            Some(kind) if kind == Kind::F4 || values.null_count() == 0 => kind,
            Some(_) => Kind::F8,
            None if columns.len() == 1 && width == 1 => longest_text(&values).ok_or(*name)?,
            None => return Err(*name),
        };
        items.push((values, width, kind));
    }
    let same = items.windows(2).all(|pair| pair[0].2 == pair[1].2);
    let kind = items.first().filter(|_| same).map_or(Kind::F8, |first| first.2);
    let rows = columns.first().map_or(0, |(_, array)| array.len());
    let width: usize = items.iter().map(|(_, width, _)| width).sum();
    let shape = if vector && width == 1 { format!("({rows},)") } else { format!("({rows}, {width})") };
    let mut out = header(kind, &shape);
    let encoded: Vec<(Vec<u8>, usize)> =
        items.iter().map(|(values, width, _)| (element_bytes(values, kind), width * kind.bytes())).collect();
    for row in 0..rows {
        for (bytes, step) in &encoded {
            out.extend_from_slice(&bytes[row * step..(row + 1) * step]);
        }
    }
    Ok(out)
}

/// The head of an `.npy` file that holds a matrix of unsigned 32-bit integers; the numbers follow row by row, in
/// little-endian order. For matrices that are written as they are made.
pub fn npy_head(rows: usize, columns: usize) -> Vec<u8> {
    header(Kind::U4, &format!("({rows}, {columns})"))
}

/// Magic, version 1.0, and the header padded so that the data starts at a multiple of 64.
fn header(kind: Kind, shape: &str) -> Vec<u8> {
    let entries = format!("{{'descr': '{}', 'fortran_order': False, 'shape': {shape}, }}", kind.name());
    let length = (10 + entries.len() + 1).next_multiple_of(64) - 10;
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend_from_slice(&(length as u16).to_le_bytes());
    out.extend_from_slice(format!("{entries:<0$}\n", length - 1).as_bytes());
    out
}

/// The text type that holds all of a column's texts; `None` for columns of another type.
fn longest_text(array: &ArrayRef) -> Option<Kind> {
    if !matches!(arrays::column_type(array.data_type()), ColumnType::Text | ColumnType::Category) {
        return None;
    }
    let mut longest = 1;
    arrays::texts(array, &mut |text| longest = longest.max(text.map_or(0, |t| t.chars().count())));
    Some(Kind::Unicode(longest))
}

fn element_bytes(array: &ArrayRef, kind: Kind) -> Vec<u8> {
    macro_rules! whole {
        ($t:ty) => {
            array.as_primitive::<$t>().values().iter().flat_map(|v| v.to_le_bytes()).collect()
        };
    }
    match kind {
        Kind::F2 => whole!(Float16Type),
        Kind::F4 => {
            let values = array.as_primitive::<Float32Type>().iter();
            values.flat_map(|v| v.unwrap_or(f32::NAN).to_le_bytes()).collect()
        }
        Kind::F8 => {
            let values = arrays::to_f64(array);
            values.iter().flatten().flat_map(|v| v.unwrap_or(f64::NAN).to_le_bytes()).collect()
        }
        Kind::I1 => whole!(Int8Type),
        Kind::I2 => whole!(Int16Type),
        Kind::I4 => whole!(Int32Type),
        Kind::I8 => whole!(Int64Type),
        Kind::U1 => whole!(UInt8Type),
        Kind::U2 => whole!(UInt16Type),
        Kind::U4 => whole!(UInt32Type),
        Kind::U8 => whole!(UInt64Type),
        Kind::Bool => array.as_boolean().iter().map(|v| u8::from(v == Some(true))).collect(),
        Kind::Unicode(length) | Kind::Ascii(length) => {
            let mut out = Vec::new();
            arrays::texts(array, &mut |text| {
                let padded = text.unwrap_or_default().chars().chain(std::iter::repeat('\0')).take(length);
                out.extend(padded.flat_map(|c| u32::from(c).to_le_bytes()));
            });
            out
        }
    }
}
