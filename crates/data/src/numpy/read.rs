//! Bytes of arrays as columns.

use super::dtype::{Dtype, Header, Item, Kind, Unit};
use arrow_array::builder::LargeStringBuilder;
use arrow_array::types::*;
use arrow_array::{ArrayRef, ArrowPrimitiveType, BooleanArray, FixedSizeListArray, PrimitiveArray};
use arrow_schema::{DataType, Field};
use bytes::Bytes;
use std::sync::Arc;

/// Why bytes are no array that we read.
pub(super) type Parsed<T> = std::result::Result<T, String>;

/// One array: its bytes and how to read them.
pub(crate) struct NpyArray {
    /// The elements.
    data: Bytes,
    dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    /// Columns first in memory.
    pub(crate) fortran: bool,
}

impl NpyArray {
    /// Reads the header and checks that the bytes are as many as it says: nothing is allocated on its word.
    pub(crate) fn parse(bytes: Vec<u8>) -> Parsed<NpyArray> {
        NpyArray::parse_by(bytes, Header::parse)
    }

    /// The same of a file that may hold complex numbers: their parts are a last axis of 2, the next to each other in memory in either
    /// order. Also whether they are complex.
    pub(super) fn parse_parts(bytes: Vec<u8>) -> Parsed<(NpyArray, bool)> {
        let mut complex = false;
        let array = NpyArray::parse_by(bytes, |text| {
            let real = text.replace("c8'", "f4'").replace("c16'", "f8'");
            complex = real != text;
            let mut header = Header::parse(&real)?;
            header.shape.extend(complex.then_some(2));
            Ok(header)
        })?;
        Ok((array, complex))
    }

    fn parse_by(bytes: Vec<u8>, parse: impl FnOnce(&str) -> Parsed<Header>) -> Parsed<NpyArray> {
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
        let Header { dtype, fortran, shape } = parse(header)?;
        let needed = shape.iter().try_fold(dtype.bytes(), |n, side| n.checked_mul(*side));
        if needed != Some(bytes.len() - start) {
            return Err(format!("{} bytes follow the header, which does not fit shape {shape:?}", bytes.len() - start));
        }
        Ok(NpyArray { data: Bytes::from(bytes).slice(start..), dtype, shape, fortran })
    }

    /// All elements in the order of memory: bytes as shares of 255, floats as they are.
    ///
    /// # Errors
    /// Elements of another type.
    pub(crate) fn pixels(&self) -> Parsed<Vec<f32>> {
        const WANT: &str = "use u1 (bytes), f2, f4 or f8";
        let Dtype::Plain(Item { kind, big }) = self.dtype else {
            return Err(format!("pixels of a structured type; {WANT}"));
        };
        let data = &self.data;
        Ok(match kind {
            Kind::U1 => data.iter().map(|b| f32::from(*b) / 255.0).collect(),
            Kind::F2 => {
                data.as_chunks().0.iter().map(|b| half(u16::from_le_bytes(ordered(*b, big))).to_f32()).collect()
            }
            Kind::F4 => data.as_chunks().0.iter().map(|b| f32::from_le_bytes(ordered(*b, big))).collect(),
            Kind::F8 => data.as_chunks().0.iter().map(|b| f64::from_le_bytes(ordered(*b, big)) as f32).collect(),
            other => return Err(format!("pixels of type {}; {WANT}", other.name())),
        })
    }

    /// The columns that an array is: a vector one, a matrix one of lists, a structured vector its fields.
    pub(super) fn columns(&self) -> Parsed<Vec<(String, Cells)>> {
        let (rows, width) = match self.shape.as_slice() {
            [] => return Err("a single value; use a vector or a matrix, one row a sample".to_owned()),
            [rows] => (*rows, None),
            [rows, width] => (*rows, Some(*width)),
            shape => {
                return Err(format!(
                    "an array of {} dimensions; use a vector or a matrix, one row a sample: a.reshape(len(a), -1)",
                    shape.len()
                ));
            }
        };
        match (&self.dtype, width) {
            (Dtype::Plain(item), width) => {
                let size = item.kind.bytes();
                if width == Some(0) || size == 0 {
                    return Err("an array without columns or without characters".to_owned());
                }
                let (row, step) = if self.fortran { (size, rows * size) } else { (width.unwrap_or(1) * size, size) };
                Ok(vec![(
                    String::new(),
                    Cells { data: self.data.clone(), item: *item, rows, width, from: 0, row, step },
                )])
            }
            (Dtype::Structured(..), Some(_)) => {
                Err("a matrix of structured elements; use a vector, one element a sample".to_owned())
            }
            (Dtype::Structured(fields, bytes), None) => Ok(fields
                .iter()
                .map(|field| {
                    let cells = Cells {
                        data: self.data.clone(),
                        item: field.item,
                        rows,
                        width: field.width,
                        from: field.offset,
                        row: *bytes,
                        step: field.item.kind.bytes(),
                    };
                    (field.name.clone(), cells)
                })
                .collect()),
        }
    }

    pub(super) fn is_structured(&self) -> bool {
        matches!(self.dtype, Dtype::Structured(..))
    }
}

/// The cells of a column: where in the bytes each is.
#[derive(Clone)]
pub(super) struct Cells {
    data: Bytes,
    pub(super) item: Item,
    pub(super) rows: usize,
    /// Numbers in each cell, if they are lists.
    pub(super) width: Option<usize>,
    /// Where the first cell is, and the steps to the next row and to the next number of a list.
    from: usize,
    row: usize,
    step: usize,
}

impl Cells {
    /// The columns of a matrix one by one.
    pub(super) fn apart(&self) -> impl Iterator<Item = Cells> + '_ {
        (0..self.width.unwrap_or(1)).map(|c| Cells { width: None, from: self.from + c * self.step, ..self.clone() })
    }

    pub(super) fn data_type(&self) -> Parsed<DataType> {
        let item = self.item.kind.data_type();
        match self.width {
            None => Ok(item),
            Some(width) => match i32::try_from(width) {
                Ok(width) => Ok(DataType::new_fixed_size_list(item, width, true)),
                Err(_) => Err("it is too wide".to_owned()),
            },
        }
    }

    /// Decodes the cells of some rows.
    pub(super) fn decode(&self, rows: impl Iterator<Item = usize> + Clone) -> Parsed<ArrayRef> {
        let Some(width) = self.width else { return self.elements(rows.map(|row| self.from + row * self.row)) };
        let values =
            self.elements(rows.flat_map(|row| (0..width).map(move |c| self.from + row * self.row + c * self.step)))?;
        let item = Arc::new(Field::new_list_field(self.item.kind.data_type(), true));
        let width = i32::try_from(width).map_err(|_| "it is too wide")?;
        FixedSizeListArray::try_new(item, width, values, None)
            .map(|a| Arc::new(a) as ArrayRef)
            .map_err(|e| e.to_string())
    }

    /// The elements at the given places.
    fn elements(&self, places: impl Iterator<Item = usize>) -> Parsed<ArrayRef> {
        let Item { kind, big } = self.item;
        let size = kind.bytes();
        let elements = places.map(|at| &self.data[at..at + size]);
        Ok(match kind {
            Kind::F2 => primitive::<Float16Type, 2>(elements, big, |b| half(u16::from_le_bytes(b))),
            Kind::F4 => primitive::<Float32Type, 4>(elements, big, f32::from_le_bytes),
            Kind::F8 => primitive::<Float64Type, 8>(elements, big, f64::from_le_bytes),
            Kind::I1 => primitive::<Int8Type, 1>(elements, big, i8::from_le_bytes),
            Kind::I2 => primitive::<Int16Type, 2>(elements, big, i16::from_le_bytes),
            Kind::I4 => primitive::<Int32Type, 4>(elements, big, i32::from_le_bytes),
            Kind::I8 => primitive::<Int64Type, 8>(elements, big, i64::from_le_bytes),
            Kind::U1 => primitive::<UInt8Type, 1>(elements, big, u8::from_le_bytes),
            Kind::U2 => primitive::<UInt16Type, 2>(elements, big, u16::from_le_bytes),
            Kind::U4 => primitive::<UInt32Type, 4>(elements, big, u32::from_le_bytes),
            Kind::U8 => primitive::<UInt64Type, 8>(elements, big, u64::from_le_bytes),
            Kind::Bool => Arc::new(elements.map(|b| Some(b != [0])).collect::<BooleanArray>()),
            Kind::Unicode(_) => {
                let mut texts = LargeStringBuilder::new();
                for bytes in elements {
                    let quads = bytes.as_chunks::<4>().0.iter().map(|q| u32::from_le_bytes(ordered(*q, big)));
                    let text: Option<String> = quads.map(char::from_u32).collect();
                    texts.append_value(text.ok_or("a text holds what is no character")?.trim_end_matches('\0'));
                }
                Arc::new(texts.finish())
            }
            Kind::Ascii(_) => {
                let mut texts = LargeStringBuilder::new();
                for bytes in elements {
                    let text = std::str::from_utf8(bytes)
                        .map_err(|_| "bytes that are no text; a.astype('U') or save numbers")?;
                    texts.append_value(text.trim_end_matches('\0'));
                }
                Arc::new(texts.finish())
            }
            Kind::Datetime(unit @ (Unit::Week | Unit::Day)) => {
                let days = if unit == Unit::Week { 7 } else { 1 };
                let date = |n: i64| n.checked_mul(days).and_then(|n| i32::try_from(n).ok());
                Arc::new(times(elements, big, date)?.collect::<PrimitiveArray<Date32Type>>())
            }
            Kind::Datetime(unit) | Kind::Timedelta(unit) => {
                let (_, factor) = unit.in_arrow();
                let times: PrimitiveArray<Int64Type> = times(elements, big, |n| n.checked_mul(factor))?.collect();
                arrow_array::make_array(
                    arrow_array::Array::to_data(&times)
                        .into_builder()
                        .data_type(kind.data_type())
                        .build()
                        .map_err(|e| e.to_string())?,
                )
            }
        })
    }
}

/// Times by their numbers; numpy's lowest number is no time.
fn times<'a, T>(
    elements: impl Iterator<Item = &'a [u8]>,
    big: bool,
    convert: impl Fn(i64) -> Option<T>,
) -> Parsed<std::vec::IntoIter<Option<T>>> {
    let read = |bytes: &[u8]| match i64::from_le_bytes(ordered(first(bytes), big)) {
        i64::MIN => Ok(None),
        n => convert(n).map(Some).ok_or_else(|| format!("{n} of its units lie beyond what a table's times reach")),
    };
    Ok(elements.map(read).collect::<Parsed<Vec<_>>>()?.into_iter())
}

fn primitive<'a, T: ArrowPrimitiveType, const N: usize>(
    elements: impl Iterator<Item = &'a [u8]>,
    big: bool,
    read: impl Fn([u8; N]) -> T::Native,
) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::from_iter_values(elements.map(|bytes| read(ordered(first(bytes), big)))))
}

fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.first_chunk().copied().unwrap_or([0; N])
}

/// Bytes with the lowest first.
fn ordered<const N: usize>(mut bytes: [u8; N], big: bool) -> [u8; N] {
    if big {
        bytes.reverse();
    }
    bytes
}

/// Half precision by its bits.
fn half(bits: u16) -> <Float16Type as ArrowPrimitiveType>::Native {
    <Float16Type as ArrowPrimitiveType>::Native::from_bits(bits)
}
