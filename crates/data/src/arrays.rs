//! Arrow arrays as numbers, as text, as JSON; and new values as Arrow arrays.

use crate::{ColumnType, Values, cell, json};
use arrow_array::builder::LargeStringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::temporal_conversions as temporal;
use arrow_array::types::*;
use arrow_array::{
    Array, ArrayRef, BooleanArray, Float32Array, Float64Array, Int64Array, LargeStringArray, PrimitiveArray,
    StringArray, StringViewArray,
};
use arrow_schema::{DataType, TimeUnit};
use std::io::Write as _;
use std::sync::Arc;

/// What a column of an Arrow type is to us. The width of an embedding of variable-size lists is known only from the
/// rows: it is 0 here.
pub(crate) fn column_type(data_type: &DataType) -> ColumnType {
    use DataType::*;
    match data_type {
        Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | UInt64 => ColumnType::Integer,
        Float16 | Float32 | Float64 | Decimal128(..) => ColumnType::Float,
        Boolean => ColumnType::Boolean,
        Utf8 | LargeUtf8 | Utf8View => ColumnType::Text,
        Dictionary(_, value) if column_type(value) == ColumnType::Text => ColumnType::Category,
        FixedSizeList(item, width) if column_type(item.data_type()).is_numeric() => {
            ColumnType::Embedding(usize::try_from(*width).unwrap_or(0))
        }
        List(item) | LargeList(item) => match column_type(item.data_type()) {
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
        DataType::Decimal128(_, scale) => {
            let unit = 10f64.powi(i32::from(*scale));
            array.as_primitive::<Decimal128Type>().unary(|v| v as f64 / unit)
        }
        DataType::Boolean => array.as_boolean().iter().map(|v| v.map(f64::from)).collect(),
        _ => return None,
    })
}

/// Hands every cell to `each` as text: texts as they are, all else as JSON without quotation marks around it.
pub(crate) fn texts(array: &dyn Array, each: &mut dyn FnMut(Option<&str>)) {
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().iter().for_each(each),
        DataType::LargeUtf8 => array.as_string::<i64>().iter().for_each(each),
        DataType::Utf8View => array.as_string_view().iter().for_each(each),
        _ => {
            let mut out = Vec::new();
            for row in 0..array.len() {
                out.clear();
                if is_missing(array, row) {
                    each(None);
                    continue;
                }
                push_plain(&mut out, array, row);
                each(Some(&String::from_utf8_lossy(&out)));
            }
        }
    }
}

/// Every cell as text.
pub(crate) fn to_text(array: &ArrayRef) -> ArrayRef {
    let mut cells = LargeStringBuilder::new();
    texts(array, &mut |cell| cells.append_option(cell));
    Arc::new(cells.finish())
}

/// Whether a cell holds nothing; a dictionary may say so with its key or its value.
pub(crate) fn is_missing(array: &dyn Array, row: usize) -> bool {
    array.is_null(row)
        || matches!(array.data_type(), DataType::Null)
        || dictionary(array, row).is_some_and(|(values, key)| values.is_null(key))
}

fn dictionary(array: &dyn Array, row: usize) -> Option<(&ArrayRef, usize)> {
    let dictionary = array.as_any_dictionary_opt()?;
    let key = to_f64(&dictionary.keys().slice(row, 1)).filter(|k| k.is_valid(0))?.value(0) as usize;
    (key < dictionary.values().len()).then(|| (dictionary.values(), key))
}

/// Numbers, texts, dates and the like without quotation marks; `None` for everything that JSON writes in brackets.
fn push_scalar(out: &mut Vec<u8>, array: &dyn Array, row: usize) -> Option<Scalar> {
    macro_rules! number {
        ($t:ty) => {{
            let _ = write!(out, "{}", array.as_primitive::<$t>().value(row));
            Scalar::Number
        }};
    }
    macro_rules! float {
        ($t:ty) => {{
            let value = array.as_primitive::<$t>().value(row);
            let _ = write!(out, "{value:?}");
            if value.is_finite() { Scalar::Number } else { Scalar::NotFinite }
        }};
    }
    macro_rules! time {
        ($t:ty) => {{
            let value = array.as_primitive::<$t>().value_as_datetime(row)?;
            let _ = write!(out, "{value:?}");
            Scalar::Word
        }};
    }
    Some(match array.data_type() {
        DataType::Int8 => number!(Int8Type),
        DataType::Int16 => number!(Int16Type),
        DataType::Int32 => number!(Int32Type),
        DataType::Int64 => number!(Int64Type),
        DataType::UInt8 => number!(UInt8Type),
        DataType::UInt16 => number!(UInt16Type),
        DataType::UInt32 => number!(UInt32Type),
        DataType::UInt64 => number!(UInt64Type),
        DataType::Float16 => {
            let value = f32::from(array.as_primitive::<Float16Type>().value(row));
            let _ = write!(out, "{value:?}");
            if value.is_finite() { Scalar::Number } else { Scalar::NotFinite }
        }
        DataType::Float32 => float!(Float32Type),
        DataType::Float64 => float!(Float64Type),
        DataType::Decimal128(..) => {
            out.extend_from_slice(array.as_primitive::<Decimal128Type>().value_as_string(row).as_bytes());
            Scalar::Number
        }
        DataType::Decimal256(..) => {
            out.extend_from_slice(array.as_primitive::<Decimal256Type>().value_as_string(row).as_bytes());
            Scalar::Number
        }
        DataType::Boolean => {
            out.extend_from_slice(if array.as_boolean().value(row) { b"true" } else { b"false" });
            Scalar::Number
        }
        DataType::Utf8 => word(out, array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => word(out, array.as_string::<i64>().value(row)),
        DataType::Utf8View => word(out, array.as_string_view().value(row)),
        DataType::Binary => hex(out, array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => hex(out, array.as_binary::<i64>().value(row)),
        DataType::BinaryView => hex(out, array.as_binary_view().value(row)),
        DataType::FixedSizeBinary(_) => hex(out, array.as_fixed_size_binary().value(row)),
        DataType::Date32 => {
            let date = temporal::date32_to_datetime(array.as_primitive::<Date32Type>().value(row))?;
            let _ = write!(out, "{:?}", date.date());
            Scalar::Word
        }
        DataType::Date64 => time!(Date64Type),
        DataType::Timestamp(TimeUnit::Second, _) => time!(TimestampSecondType),
        DataType::Timestamp(TimeUnit::Millisecond, _) => time!(TimestampMillisecondType),
        DataType::Timestamp(TimeUnit::Microsecond, _) => time!(TimestampMicrosecondType),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => time!(TimestampNanosecondType),
        DataType::Dictionary(..) => {
            let (values, key) = dictionary(array, row)?;
            push_scalar(out, values, key)?
        }
        _ => return None,
    })
}

enum Scalar {
    /// Stands in JSON as it is.
    Number,
    /// A number that JSON cannot write.
    NotFinite,
    /// Stands in quotation marks.
    Word,
}

fn word(out: &mut Vec<u8>, text: &str) -> Scalar {
    out.extend_from_slice(text.as_bytes());
    Scalar::Word
}

fn hex(out: &mut Vec<u8>, bytes: &[u8]) -> Scalar {
    bytes.iter().for_each(|b| drop(write!(out, "{b:02x}")));
    Scalar::Word
}

/// A cell as text.
pub(crate) fn push_plain(out: &mut Vec<u8>, array: &dyn Array, row: usize) {
    if push_scalar(out, array, row).is_none() {
        push_json(out, array, row);
    }
}

/// A cell as JSON. Numbers that JSON cannot write and types without a form in it become null.
pub(crate) fn push_json(out: &mut Vec<u8>, array: &dyn Array, row: usize) {
    if is_missing(array, row) {
        return out.extend_from_slice(b"null");
    }
    let start = out.len();
    match push_scalar(out, array, row) {
        Some(Scalar::Number) => return,
        Some(Scalar::NotFinite) => {
            out.truncate(start);
            return out.extend_from_slice(b"null");
        }
        Some(Scalar::Word) => {
            let text = String::from_utf8_lossy(&out[start..]).into_owned();
            out.truncate(start);
            return json::push_text(out, &text);
        }
        None => {}
    }
    match array.data_type() {
        DataType::List(_) => push_list(out, &array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => push_list(out, &array.as_list::<i64>().value(row)),
        DataType::FixedSizeList(..) => push_list(out, &array.as_fixed_size_list().value(row)),
        DataType::Map(..) => push_list(out, &(Arc::new(array.as_map().value(row)) as ArrayRef)),
        DataType::Struct(fields) => {
            out.push(b'{');
            for (i, (field, column)) in fields.iter().zip(array.as_struct().columns()).enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                json::push_text(out, field.name());
                out.push(b':');
                push_json(out, column, row);
            }
            out.push(b'}');
        }
        _ => out.extend_from_slice(b"null"),
    }
}

fn push_list(out: &mut Vec<u8>, items: &ArrayRef) {
    out.push(b'[');
    for item in 0..items.len() {
        if item > 0 {
            out.push(b',');
        }
        push_json(out, items, item);
    }
    out.push(b']');
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
            push_plain(&mut text, array, row);
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
        return Ok(());
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
    Ok(())
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
        }
    }
}

/// New values as cells of a column of the given type: numbers rounded for a column of whole numbers, texts parsed to
/// what they spell. `None` when a value does not fit or the type is not one that values can be put into.
pub(crate) fn fit(values: &Values, to: &DataType) -> Option<ArrayRef> {
    macro_rules! whole {
        ($t:ty, $n:ty) => {{
            let round = |v: f64| Some(v.round() as $n).filter(|n| *n as f64 == v.round());
            Arc::new(PrimitiveArray::<$t>::from_iter(cells(values, round, |text| text.trim().parse().ok())?))
                as ArrayRef
        }};
    }
    let words = || cells(values, |v| Some(format!("{v:?}")), |text| Some(text.to_owned()));
    Some(match to {
        DataType::Int8 => whole!(Int8Type, i8),
        DataType::Int16 => whole!(Int16Type, i16),
        DataType::Int32 => whole!(Int32Type, i32),
        DataType::Int64 => whole!(Int64Type, i64),
        DataType::UInt8 => whole!(UInt8Type, u8),
        DataType::UInt16 => whole!(UInt16Type, u16),
        DataType::UInt32 => whole!(UInt32Type, u32),
        DataType::UInt64 => whole!(UInt64Type, u64),
        DataType::Float32 => {
            Arc::new(Float32Array::from(cells(values, |v| Some(v as f32), |text| text.trim().parse().ok())?))
        }
        DataType::Float64 => Arc::new(Float64Array::from(cells(values, Some, |text| text.trim().parse().ok())?)),
        DataType::Boolean => Arc::new(BooleanArray::from(cells(
            values,
            |v| if v == 0.0 || v == 1.0 { Some(v == 1.0) } else { None },
            |text| match text.trim() {
                "0" => Some(false),
                "1" => Some(true),
                text => cell::parse_boolean(text),
            },
        )?)),
        DataType::Utf8 => Arc::new(StringArray::from(words()?)),
        DataType::LargeUtf8 => Arc::new(LargeStringArray::from(words()?)),
        DataType::Utf8View => Arc::new(StringViewArray::from_iter(words()?)),
        _ => return None,
    })
}

fn cells<T>(
    values: &Values,
    number: impl Fn(f64) -> Option<T>,
    text: impl Fn(&str) -> Option<T>,
) -> Option<Vec<Option<T>>> {
    // A value that does not fit makes the outer option `None`; a missing one is an inner `None`.
    let read = |t: &str| text(t).map(Some);
    match values {
        Values::Float(v) => v.iter().map(|v| if v.is_nan() { Some(None) } else { number(*v).map(Some) }).collect(),
        Values::Integer(v) => v.iter().map(|v| read(&v.to_string())).collect(),
        Values::Text(v) => v.iter().map(|t| read(t)).collect(),
        Values::Category { codes, names } => codes.iter().map(|c| read(names.get(*c as usize)?)).collect(),
    }
}
