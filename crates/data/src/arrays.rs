//! Arrow arrays as numbers and vectors, and new columns as Arrow arrays.

use crate::spell::{self, is_missing, push_plain};
use crate::{ColumnType, Values, json};
use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, LargeListArray, LargeStringArray};
use arrow_schema::{DataType, Field};
use arrow_select::take::take;
use std::sync::Arc;

/// What a column is to us. The width of an embedding of variable-size lists is known only from the rows: it is 0 here.
///
/// Numbers of an extension type (the months of a pandas period) are not for reckoning, except where they stand for
/// themselves (a tensor, a boolean of eight bits).
pub(crate) fn column_type(field: &Field) -> ColumnType {
    let kind = of_type(field.data_type());
    match spell::extension(field) {
        Some(name) if name != "arrow.bool8" && kind.is_numeric() => ColumnType::Other,
        _ => kind,
    }
}

fn of_type(data_type: &DataType) -> ColumnType {
    use DataType::*;
    match data_type {
        Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | UInt64 => ColumnType::Integer,
        Float16 | Float32 | Float64 | Decimal32(..) | Decimal64(..) | Decimal128(..) | Decimal256(..) => {
            ColumnType::Float
        }
        Boolean => ColumnType::Boolean,
        Utf8 | LargeUtf8 | Utf8View => ColumnType::Text,
        Dictionary(_, value) => match of_type(value) {
            ColumnType::Text | ColumnType::Integer | ColumnType::Float | ColumnType::Boolean => ColumnType::Category,
            kind => kind,
        },
        FixedSizeList(item, width) if column_type(item).is_numeric() => {
            ColumnType::Embedding(usize::try_from(*width).unwrap_or(0))
        }
        List(item) | LargeList(item) => match column_type(item) {
            ColumnType::Float => ColumnType::Embedding(0),
            ColumnType::Integer | ColumnType::Text => ColumnType::Tags,
            _ => ColumnType::Other,
        },
        _ => ColumnType::Other,
    }
}

/// A numeric array in double precision; `None` for other types.
pub(crate) fn to_f64(array: &dyn Array) -> Option<Float64Array> {
    macro_rules! cast {
        ($t:ty) => {
            array.as_primitive::<$t>().unary(|v| v as f64)
        };
    }
    macro_rules! decimal {
        ($t:ty, $scale:expr) => {{
            let unit = 10f64.powi(i32::from(*$scale));
            array.as_primitive::<$t>().unary(|v| v as f64 / unit)
        }};
    }
    Some(match array.data_type() {
        DataType::Int8 => cast!(Int8Type),
        DataType::Int16 => cast!(Int16Type),
        DataType::Int32 => cast!(Int32Type),
        DataType::Int64 => cast!(Int64Type),
        DataType::UInt8 => cast!(UInt8Type),
        DataType::UInt16 => cast!(UInt16Type),
        DataType::UInt32 => cast!(UInt32Type),
        DataType::UInt64 => cast!(UInt64Type),
        DataType::Float16 => array.as_primitive::<Float16Type>().unary(f64::from),
        DataType::Float32 => cast!(Float32Type),
        DataType::Float64 => array.as_primitive::<Float64Type>().clone(),
        DataType::Decimal32(_, scale) => decimal!(Decimal32Type, scale),
        DataType::Decimal64(_, scale) => decimal!(Decimal64Type, scale),
        DataType::Decimal128(_, scale) => decimal!(Decimal128Type, scale),
        DataType::Decimal256(..) => {
            let array = array.as_primitive::<Decimal256Type>();
            (0..array.len())
                .map(|row| array.is_valid(row).then(|| array.value_as_string(row).parse::<f64>().ok())?)
                .collect()
        }
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let values: ArrayRef = Arc::new(to_f64(dictionary.values())?);
            take(&values, dictionary.keys(), None).ok()?.as_primitive::<Float64Type>().clone()
        }
        DataType::Boolean => array.as_boolean().iter().map(|v| v.map(f64::from)).collect(),
        _ => return None,
    })
}

/// The list in a cell of vectors: numbers, or a text that holds a JSON array of them.
fn list(array: &ArrayRef, row: usize) -> Result<Float64Array, String> {
    const WANT: &str = "an embedding is a list of numbers";
    if is_missing(array, row) {
        return Err("the embedding is missing; leave the row out or fill it in".to_owned());
    }
    let items = match array.data_type() {
        DataType::FixedSizeList(..) => array.as_fixed_size_list().value(row),
        DataType::List(_) => array.as_list::<i32>().value(row),
        DataType::LargeList(_) => array.as_list::<i64>().value(row),
        _ => {
            let mut text = Vec::new();
            push_plain(&mut text, array, row)?;
            let numbers = json::numbers(&String::from_utf8_lossy(&text)).map(Float64Array::from);
            return numbers.ok_or_else(|| WANT.to_owned());
        }
    };
    to_f64(&items).ok_or_else(|| WANT.to_owned())
}

/// How many numbers the vector in a cell has.
pub(crate) fn width(array: &ArrayRef, row: usize) -> Result<usize, String> {
    match list(array, row)?.len() {
        0 => Err("the embedding has no numbers".to_owned()),
        width => Ok(width),
    }
}

/// Copies the vector in a cell.
pub(crate) fn vector(array: &ArrayRef, row: usize, target: &mut [f32]) -> Result<(), String> {
    // Copy single precision as it is: nearly all embeddings come that way.
    let single = match array.data_type() {
        DataType::FixedSizeList(..) => Some((array.as_fixed_size_list().values(), row * target.len(), target.len())),
        DataType::List(_) => {
            let span = array.as_list::<i32>().value_offsets();
            Some((array.as_list::<i32>().values(), span[row] as usize, (span[row + 1] - span[row]) as usize))
        }
        DataType::LargeList(_) => {
            let span = array.as_list::<i64>().value_offsets();
            Some((array.as_list::<i64>().values(), span[row] as usize, (span[row + 1] - span[row]) as usize))
        }
        _ => None,
    };
    if let Some((items, start, width)) = single
        && array.null_count() == 0
        && width == target.len()
        && let Some(items) = items.as_primitive_opt::<Float32Type>().filter(|items| items.null_count() == 0)
        && let Some(vector) = items.values().get(start..start + width)
    {
        target.copy_from_slice(vector);
        return finite(target);
    }
    let items = list(array, row)?;
    if items.len() != target.len() {
        return Err(format!("an embedding of {} numbers where the first row has {}", items.len(), target.len()));
    }
    if items.null_count() > 0 {
        return Err("a number of the embedding is missing".to_owned());
    }
    for (to, from) in target.iter_mut().zip(items.values()) {
        *to = *from as f32;
    }
    finite(target)
}

fn finite(vector: &[f32]) -> Result<(), String> {
    match vector.iter().position(|v| !v.is_finite()) {
        None => Ok(()),
        Some(at) => {
            Err(format!("number {} of the embedding is {}: correct it or leave the row out", at + 1, vector[at]))
        }
    }
}

impl Values {
    /// As an array of its own natural type; NaN becomes a missing value.
    pub(crate) fn to_array(&self) -> ArrayRef {
        match self {
            Values::Float(v) => Arc::new(v.iter().map(|v| (!v.is_nan()).then_some(*v)).collect::<Float64Array>()),
            Values::Integer(v) => Arc::new(Int64Array::from_iter_values(v.iter().copied())),
            Values::Text(v) => Arc::new(LargeStringArray::from_iter_values(v)),
            Values::Category { codes, names } => {
                Arc::new(codes.iter().map(|c| names.get(*c as usize).map(String::as_str)).collect::<LargeStringArray>())
            }
            Values::Vectors(vectors) => {
                let rows = vectors.outer_iter().map(|row| Some(row.to_vec().into_iter().map(Some)));
                Arc::new(LargeListArray::from_iter_primitive::<Float64Type, _, _>(rows))
            }
        }
    }
}
