//! Columns as the bytes of arrays.

use super::dtype::{Kind, Unit};
use crate::spell::{self, is_missing};
use crate::zip::{self, Entry};
use crate::{ColumnType, arrays};
use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, Field};
use ndarray::{ArrayView2, ArrayViewD};
use quadrat_core::{Error, Result, write_atomic};
use std::io::Write;
use std::path::Path;

/// A column with its name.
pub(crate) type Named<'a> = (&'a str, ArrayRef);

/// Why columns are no array.
type Made<T> = std::result::Result<T, String>;

/// Elements of one type, so many a row.
struct Elements {
    values: ArrayRef,
    width: usize,
    kind: Kind,
}

/// Columns side by side as the bytes of an npy file: a vector if `vector` and there is one column, a matrix where all
/// are numbers, else (or if `structured`) a vector of structured elements. In a matrix, columns of different types
/// become double precision. Missing numbers become NaN in double precision, missing times no time, missing texts empty
/// ones.
///
/// # Errors
/// A column that has no place in such an array, or a value that would become another.
pub(crate) fn npy_bytes(columns: &[Named], vector: bool, structured: bool) -> Made<Vec<u8>> {
    let named = |name: &str, why: String| format!("column `{name}`: {why}");
    let mut items = Vec::new();
    for (name, array) in columns {
        items.push(Elements::of(array).map_err(|why| named(name, why))?);
    }
    let rows = columns.first().map_or(0, |(_, array)| array.len());
    let alone = items.len() == 1;
    let structured = structured || !alone && items.iter().any(|item| !item.kind.is_number());
    let mut out = if structured {
        let fields: Vec<String> = columns.iter().zip(&items).map(|((name, _), item)| field(name, item)).collect();
        header(&format!("[{}]", fields.join(", ")), &format!("({rows},)"))
    } else {
        let same = items.windows(2).all(|pair| pair[0].kind == pair[1].kind);
        if !same {
            items.iter_mut().for_each(|item| item.kind = Kind::F8);
        }
        let kind = items.first().map_or(Kind::F8, |first| first.kind);
        let width: usize = items.iter().map(|item| item.width).sum();
        let shape = if vector && width == 1 { format!("({rows},)") } else { format!("({rows}, {width})") };
        header(&format!("'{}'", kind.name()), &shape)
    };
    let mut encoded = Vec::new();
    for ((name, _), item) in columns.iter().zip(&items) {
        encoded.push((item.bytes().map_err(|why| named(name, why))?, item.width * item.kind.bytes()));
    }
    for row in 0..rows {
        for (bytes, step) in &encoded {
            out.extend_from_slice(&bytes[row * step..(row + 1) * step]);
        }
    }
    Ok(out)
}

/// Whether npy and npz hold a column of this type; if not, what to do.
pub(crate) fn holds(field: &Field) -> Made<()> {
    let kind = arrays::column_type(field);
    let fits = match field.data_type() {
        DataType::FixedSizeList(item, _) => Kind::of(item.data_type()).is_some_and(Kind::is_number),
        DataType::Dictionary(_, value) => {
            matches!(value.as_ref(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
        }
        DataType::FixedSizeBinary(_) => spell::extension(field) == Some("arrow.uuid"),
        other => Kind::of(other).is_some() || matches!(kind, ColumnType::Text | ColumnType::Category),
    };
    let plain = !matches!(spell::extension(field), Some(name) if !spell::in_text(name));
    if fits && plain {
        Ok(())
    } else {
        Err("numpy holds numbers, texts, embeddings and times without a zone".to_owned())
    }
}

impl Elements {
    fn of(array: &ArrayRef) -> Made<Elements> {
        let (values, width) = match array.data_type() {
            DataType::FixedSizeList(_, width) => {
                let list = array.as_fixed_size_list();
                if list.null_count() > 0 {
                    return Err("an embedding is missing, for which numpy has no sign".to_owned());
                }
                let width = usize::try_from(*width).unwrap_or(0);
                (list.values().slice(list.value_offset(0) as usize, list.len() * width), width)
            }
            _ => (array.clone(), 1),
        };
        let kind = match Kind::of(values.data_type()) {
            Some(kind @ (Kind::F4 | Kind::Datetime(_) | Kind::Timedelta(_))) => kind,
            Some(kind) if values.null_count() == 0 => kind,
            Some(_) => Kind::F8,
            None if width == 1 => longest_text(&values)?,
            None => return Err("an embedding of these types has no place in an array".to_owned()),
        };
        Ok(Elements { values, width, kind })
    }

    fn bytes(&self) -> Made<Vec<u8>> {
        let array = &self.values;
        macro_rules! whole {
            ($t:ty) => {
                array.as_primitive::<$t>().values().iter().flat_map(|v| v.to_le_bytes()).collect()
            };
        }
        Ok(match self.kind {
            Kind::F2 => whole!(Float16Type),
            Kind::F4 => {
                let values = array.as_primitive::<Float32Type>().iter();
                values.flat_map(|v| v.unwrap_or(f32::NAN).to_le_bytes()).collect()
            }
            Kind::F8 => doubles(array)?,
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
                spell::texts(array, &mut |text| {
                    let padded = text.unwrap_or_default().chars().chain(std::iter::repeat('\0')).take(length);
                    out.extend(padded.flat_map(|c| u32::from(c).to_le_bytes()));
                })?;
                out
            }
            Kind::Datetime(Unit::Day) => {
                let days = array.as_primitive::<Date32Type>().iter();
                days.flat_map(|v| v.map_or(i64::MIN, i64::from).to_le_bytes()).collect()
            }
            Kind::Datetime(_) | Kind::Timedelta(_) => {
                let data = array.to_data();
                let numbers = data.buffers().first().map_or(&[][..], |buffer| buffer.typed_data::<i64>());
                let numbers = &numbers[data.offset()..data.offset() + data.len()];
                let time = |(row, n): (usize, &i64)| if array.is_null(row) { i64::MIN } else { *n };
                numbers.iter().enumerate().map(time).flat_map(i64::to_le_bytes).collect()
            }
        })
    }
}

/// Numbers in double precision, if it has them all.
fn doubles(array: &ArrayRef) -> Made<Vec<u8>> {
    let values = arrays::to_f64(array).ok_or("there is no such number in numpy")?;
    // What is above 2^53 may have lost its last digits.
    let lost = |whole: Option<i128>, double: Option<f64>| match (whole, double) {
        (Some(whole), Some(double)) => double as i128 != whole,
        _ => false,
    };
    let row = match array.data_type() {
        DataType::Int64 => {
            let whole = array.as_primitive::<Int64Type>().iter().map(|v| v.map(i128::from));
            whole.zip(&values).position(|(w, d)| lost(w, d))
        }
        DataType::UInt64 => {
            let whole = array.as_primitive::<UInt64Type>().iter().map(|v| v.map(i128::from));
            whole.zip(&values).position(|(w, d)| lost(w, d))
        }
        _ => None,
    };
    if let Some(row) = row {
        let mut digits = Vec::new();
        spell::push_plain(&mut digits, array, row)?;
        let digits = String::from_utf8_lossy(&digits).into_owned();
        return Err(format!(
            "double precision, which numpy needs beside fractions and missing values, has no {digits}; write .npz, .arrow \
             or .parquet, and leave no value missing in an npz"
        ));
    }
    Ok(values.iter().flat_map(|v| v.unwrap_or(f64::NAN).to_le_bytes()).collect())
}

/// The text type that holds all of a column's texts.
fn longest_text(array: &ArrayRef) -> Made<Kind> {
    let text = |data_type: &DataType| matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let fits = match array.data_type() {
        DataType::Dictionary(_, value) => text(value),
        other => text(other),
    };
    if !fits {
        return Err(format!(
            "cells of type {} do not fit into numpy's arrays; write .parquet, .arrow or .jsonl",
            array.data_type()
        ));
    }
    let mut longest = 1;
    let mut cut = false;
    spell::texts(array, &mut |text| {
        longest = longest.max(text.map_or(0, |t| t.chars().count()));
        cut |= text.is_some_and(|t| t.ends_with('\0'));
    })?;
    if cut {
        return Err("a text ends with the character 0, which numpy cuts off; write .parquet or .arrow".to_owned());
    }
    Ok(Kind::Unicode(longest))
}

fn field(name: &str, item: &Elements) -> String {
    let name = name.replace(['\\', '\''], "_");
    match item.width {
        1 => format!("('{name}', '{}')", item.kind.name()),
        width => format!("('{name}', '{}', ({width},))", item.kind.name()),
    }
}

/// The head of an `.npy` file that holds a matrix of unsigned 32-bit integers; the numbers follow row by row, in
/// little-endian order. For matrices that are written as they are made.
pub fn npy_head(rows: usize, columns: usize) -> Vec<u8> {
    header(&format!("'{}'", Kind::U4.name()), &format!("({rows}, {columns})"))
}

/// An `.npy` file of a matrix in single precision. It appears whole or not at all.
///
/// # Errors
/// The file cannot be written.
pub fn write_matrix(path: &Path, rows: ArrayView2<f32>) -> Result<()> {
    write_atomic(path, |out| {
        let io = |e| Error::io(path, e);
        let head = header(&format!("'{}'", Kind::F4.name()), &format!("({}, {})", rows.nrows(), rows.ncols()));
        out.write_all(&head).map_err(io)?;
        rows.iter().try_for_each(|v| out.write_all(&v.to_le_bytes())).map_err(io)
    })
}

/// An `.npz` file of arrays of doubles with any number of axes, by name, in row-major order. It appears whole or not at all.
///
/// # Errors
/// The file cannot be written, or would be larger than 4 GiB.
pub fn write_arrays(path: &Path, arrays: &[(&str, ArrayViewD<f64>)]) -> Result<()> {
    let entry = |(name, array): &(&str, ArrayViewD<f64>)| {
        let shape: String = array.shape().iter().map(|side| format!("{side}, ")).collect();
        let mut content = header(&format!("'{}'", Kind::F8.name()), &format!("({})", shape.trim_end()));
        array.iter().for_each(|v| content.extend_from_slice(&v.to_le_bytes()));
        Entry { name: format!("{name}.npy"), content }
    };
    let entries: Vec<Entry> = arrays.iter().map(entry).collect();
    write_atomic(path, |out| zip::write(out, &entries).map_err(|e| Error::io(path, e)))
}

/// Magic, version, and the header padded so that the data starts at a multiple of 64.
pub(super) fn header(descr: &str, shape: &str) -> Vec<u8> {
    let entries = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}");
    let padded = |before: usize| (before + entries.len() + 1).next_multiple_of(64) - before;
    // Version 1.0 has two bytes for the header's length, 3.0 four and names in UTF-8.
    let (mut out, length) = if entries.is_ascii() && padded(10) <= usize::from(u16::MAX) {
        let length = padded(10);
        ([b"\x93NUMPY\x01\x00".as_slice(), &(length as u16).to_le_bytes()].concat(), length)
    } else {
        let length = padded(12);
        ([b"\x93NUMPY\x03\x00".as_slice(), &(length as u32).to_le_bytes()].concat(), length)
    };
    out.extend_from_slice(entries.as_bytes());
    out.resize(out.len() + length - entries.len() - 1, b' ');
    out.push(b'\n');
    out
}

/// The first column of whole numbers of 64 bits that double precision does not hold where numpy needs it: beside
/// fractions in a matrix, or where a value is missing.
pub(crate) fn digits_lost(array: &ArrayRef, mixed: bool) -> Made<()> {
    let whole = matches!(array.data_type(), DataType::Int64 | DataType::UInt64);
    let missing = (0..array.len()).any(|row| is_missing(array, row));
    if whole && (mixed || missing) { doubles(array).map(drop) } else { Ok(()) }
}
