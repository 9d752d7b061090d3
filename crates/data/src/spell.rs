//! Cells of Arrow arrays in words: as plain text and as JSON.
//!
//! Every form reads back as the same value: numbers in their shortest digits, dates and times in ISO 8601 (an instant
//! with the offset of its zone, a duration as `PT90.5S`), bytes in hexadecimal digits, an UUID with its hyphens. What has
//! no form is an error, never a word that means something else. `arrow-cast` prints the same types but, among others,
//! turns what it cannot read into null, so that only the calendar (`chrono`) is another crate's here.

use crate::json;
use arrow_array::builder::LargeStringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::temporal_conversions as temporal;
use arrow_array::timezone::Tz;
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef, LargeStringArray};
use arrow_schema::{DataType, Field, IntervalUnit, TimeUnit};
use chrono::{NaiveDateTime, NaiveTime, Offset, SecondsFormat, TimeDelta};
use std::io::Write as _;
use std::sync::Arc;

/// Why a cell has no form in a text.
pub(crate) type Spelt<T> = std::result::Result<T, String>;

/// Hands every cell to `each` as text: texts as they are, all else as JSON without quotation marks around it.
pub(crate) fn texts(array: &dyn Array, each: &mut dyn FnMut(Option<&str>)) -> Spelt<()> {
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
                push_plain(&mut out, array, row)?;
                each(Some(&String::from_utf8_lossy(&out)));
            }
        }
    }
    Ok(())
}

/// Every cell of a column as text.
pub(crate) fn to_text(field: &Field, array: &ArrayRef) -> Spelt<ArrayRef> {
    let array = plain_type(field, array);
    let mut cells = LargeStringBuilder::new();
    texts(&array, &mut |cell| cells.append_option(cell))?;
    Ok(Arc::new(cells.finish()))
}

/// The name of a field's extension type.
pub(crate) fn extension(field: &Field) -> Option<&str> {
    field.metadata().get("ARROW:extension:name").map(String::as_str)
}

/// Whether the cells of an extension type mean in a text what their storage spells.
pub(crate) fn in_text(extension: &str) -> bool {
    matches!(extension, "arrow.uuid" | "arrow.json" | "arrow.bool8" | "arrow.fixed_shape_tensor")
}

/// A column whose field, not its array, says what the cells mean: identifiers become texts, all else stays.
pub(crate) fn plain_type(field: &Field, array: &ArrayRef) -> ArrayRef {
    match (extension(field), array.as_fixed_size_binary_opt()) {
        (Some("arrow.uuid"), Some(bytes)) if bytes.value_length() == 16 => {
            Arc::new(bytes.iter().map(|bytes| bytes.map(uuid)).collect::<LargeStringArray>())
        }
        _ => array.clone(),
    }
}

fn uuid(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(36);
    for (i, byte) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// Whether a cell holds nothing; a dictionary may say so with its key or its value.
pub(crate) fn is_missing(array: &dyn Array, row: usize) -> bool {
    array.is_null(row)
        || matches!(array.data_type(), DataType::Null)
        || dictionary(array, row).is_some_and(|(values, key)| values.is_null(key))
}

/// The values of a dictionary and which of them a cell is.
fn dictionary(array: &dyn Array, row: usize) -> Option<(&ArrayRef, usize)> {
    let dictionary = array.as_any_dictionary_opt()?;
    let key = key(dictionary.keys(), row)?;
    (key < dictionary.values().len()).then(|| (dictionary.values(), key))
}

/// A key of a dictionary.
pub(crate) fn key(keys: &dyn Array, row: usize) -> Option<usize> {
    if keys.is_null(row) {
        return None;
    }
    macro_rules! at {
        ($t:ty) => {
            usize::try_from(keys.as_primitive::<$t>().value(row)).ok()
        };
    }
    match keys.data_type() {
        DataType::Int8 => at!(Int8Type),
        DataType::Int16 => at!(Int16Type),
        DataType::Int32 => at!(Int32Type),
        DataType::Int64 => at!(Int64Type),
        DataType::UInt8 => at!(UInt8Type),
        DataType::UInt16 => at!(UInt16Type),
        DataType::UInt32 => at!(UInt32Type),
        DataType::UInt64 => at!(UInt64Type),
        _ => None,
    }
}

/// Numbers, texts, dates and the like without quotation marks; `None` for everything that JSON writes in brackets.
fn push_scalar(out: &mut Vec<u8>, array: &dyn Array, row: usize) -> Spelt<Option<Scalar>> {
    macro_rules! number {
        ($t:ty) => {
            number(out, array.as_primitive::<$t>().value(row))
        };
    }
    macro_rules! digits {
        ($t:ty) => {
            number(out, array.as_primitive::<$t>().value_as_string(row))
        };
    }
    Ok(Some(match array.data_type() {
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
            float(out, value, value.is_finite())
        }
        DataType::Float32 => {
            let value = array.as_primitive::<Float32Type>().value(row);
            float(out, value, value.is_finite())
        }
        DataType::Float64 => {
            let value = array.as_primitive::<Float64Type>().value(row);
            float(out, value, value.is_finite())
        }
        DataType::Decimal32(..) => digits!(Decimal32Type),
        DataType::Decimal64(..) => digits!(Decimal64Type),
        DataType::Decimal128(..) => digits!(Decimal128Type),
        DataType::Decimal256(..) => digits!(Decimal256Type),
        DataType::Boolean => number(out, array.as_boolean().value(row)),
        DataType::Utf8 => word(out, array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => word(out, array.as_string::<i64>().value(row)),
        DataType::Utf8View => word(out, array.as_string_view().value(row)),
        DataType::Binary => hex(out, array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => hex(out, array.as_binary::<i64>().value(row)),
        DataType::BinaryView => hex(out, array.as_binary_view().value(row)),
        DataType::FixedSizeBinary(_) => hex(out, array.as_fixed_size_binary().value(row)),
        DataType::Date32 => {
            let value = array.as_primitive::<Date32Type>().value(row);
            date(out, temporal::date32_to_datetime(value).ok_or_else(|| beyond(value))?)
        }
        DataType::Date64 => {
            let value = array.as_primitive::<Date64Type>().value(row);
            date(out, temporal::date64_to_datetime(value).ok_or_else(|| beyond(value))?)
        }
        DataType::Time32(TimeUnit::Second) => time::<Time32SecondType>(out, array, row)?,
        DataType::Time32(_) => time::<Time32MillisecondType>(out, array, row)?,
        DataType::Time64(TimeUnit::Microsecond) => time::<Time64MicrosecondType>(out, array, row)?,
        DataType::Time64(_) => time::<Time64NanosecondType>(out, array, row)?,
        DataType::Timestamp(TimeUnit::Second, zone) => instant::<TimestampSecondType>(out, array, row, zone)?,
        DataType::Timestamp(TimeUnit::Millisecond, zone) => instant::<TimestampMillisecondType>(out, array, row, zone)?,
        DataType::Timestamp(TimeUnit::Microsecond, zone) => instant::<TimestampMicrosecondType>(out, array, row, zone)?,
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => instant::<TimestampNanosecondType>(out, array, row, zone)?,
        DataType::Duration(TimeUnit::Second) => duration::<DurationSecondType>(out, array, row)?,
        DataType::Duration(TimeUnit::Millisecond) => duration::<DurationMillisecondType>(out, array, row)?,
        DataType::Duration(TimeUnit::Microsecond) => duration::<DurationMicrosecondType>(out, array, row)?,
        DataType::Duration(TimeUnit::Nanosecond) => duration::<DurationNanosecondType>(out, array, row)?,
        DataType::Interval(unit) => interval(out, array, row, *unit),
        DataType::Dictionary(..) => match dictionary(array, row) {
            Some((values, key)) => return push_scalar(out, values, key),
            None => return Err("its key is none of the dictionary's".to_owned()),
        },
        _ => return Ok(None),
    }))
}

enum Scalar {
    /// Stands in JSON as it is.
    Number,
    /// NaN, which is a missing value in JSON.
    NotANumber,
    Infinite,
    /// Stands in quotation marks.
    Word,
}

fn number(out: &mut Vec<u8>, value: impl std::fmt::Display) -> Scalar {
    let _ = write!(out, "{value}");
    Scalar::Number
}

fn float(out: &mut Vec<u8>, value: impl std::fmt::Debug + PartialEq, finite: bool) -> Scalar {
    let _ = write!(out, "{value:?}");
    #[allow(clippy::eq_op)] // only NaN differs from itself
    match (finite, value == value) {
        (true, _) => Scalar::Number,
        (false, true) => Scalar::Infinite,
        (false, false) => Scalar::NotANumber,
    }
}

fn word(out: &mut Vec<u8>, text: &str) -> Scalar {
    out.extend_from_slice(text.as_bytes());
    Scalar::Word
}

fn hex(out: &mut Vec<u8>, bytes: &[u8]) -> Scalar {
    bytes.iter().for_each(|b| drop(write!(out, "{b:02x}")));
    Scalar::Word
}

/// A date; with the time of day where a column of dates holds one.
fn date(out: &mut Vec<u8>, at: NaiveDateTime) -> Scalar {
    let _ = if at.time() == NaiveTime::MIN { write!(out, "{:?}", at.date()) } else { write!(out, "{at:?}") };
    Scalar::Word
}

fn time<T: ArrowTemporalType>(out: &mut Vec<u8>, array: &dyn Array, row: usize) -> Spelt<Scalar>
where
    i64: From<T::Native>,
{
    let array = array.as_primitive::<T>();
    let time = array.value_as_time(row).ok_or_else(|| format!("{:?} is no time of day", array.value(row)))?;
    let _ = write!(out, "{time:?}");
    Ok(Scalar::Word)
}

/// A time stamp, with the offset of its zone where it has one.
fn instant<T: ArrowTemporalType>(
    out: &mut Vec<u8>,
    array: &dyn Array,
    row: usize,
    zone: &Option<Arc<str>>,
) -> Spelt<Scalar>
where
    i64: From<T::Native>,
{
    let array = array.as_primitive::<T>();
    let far = || beyond(array.value(row));
    match zone {
        None => drop(write!(out, "{:?}", array.value_as_datetime(row).ok_or_else(far)?)),
        Some(name) => {
            let zone: Tz = name.parse().map_err(|_| format!("`{name}` is no time zone"))?;
            let at = array.value_as_datetime_with_tz(row, zone).ok_or_else(far)?;
            // Before there were zones, clocks differed by seconds too, which an offset in ISO 8601 cannot say.
            let text = if at.offset().fix().local_minus_utc() % 60 == 0 {
                at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
            } else {
                at.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true)
            };
            out.extend_from_slice(text.as_bytes());
        }
    }
    Ok(Scalar::Word)
}

fn duration<T: ArrowTemporalType>(out: &mut Vec<u8>, array: &dyn Array, row: usize) -> Spelt<Scalar>
where
    i64: From<T::Native>,
{
    let array = array.as_primitive::<T>();
    let duration: TimeDelta = array.value_as_duration(row).ok_or_else(|| beyond(array.value(row)))?;
    let _ = write!(out, "{duration}");
    Ok(Scalar::Word)
}

/// Months, days and a time apart, as they are kept.
fn interval(out: &mut Vec<u8>, array: &dyn Array, row: usize, unit: IntervalUnit) -> Scalar {
    let _ = match unit {
        IntervalUnit::YearMonth => write!(out, "P{}M", array.as_primitive::<IntervalYearMonthType>().value(row)),
        IntervalUnit::DayTime => {
            let value = array.as_primitive::<IntervalDayTimeType>().value(row);
            let (sign, milliseconds) = (sign(value.milliseconds), value.milliseconds.unsigned_abs());
            write!(out, "P{}DT{sign}{}.{:03}S", value.days, milliseconds / 1000, milliseconds % 1000)
        }
        IntervalUnit::MonthDayNano => {
            let value = array.as_primitive::<IntervalMonthDayNanoType>().value(row);
            let (sign, nanoseconds) = (sign(value.nanoseconds), value.nanoseconds.unsigned_abs());
            let (seconds, rest) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
            write!(out, "P{}M{}DT{sign}{seconds}.{rest:09}S", value.months, value.days)
        }
    };
    Scalar::Word
}

fn sign(value: impl Default + PartialOrd) -> &'static str {
    if value < Default::default() { "-" } else { "" }
}

fn beyond(value: impl std::fmt::Debug) -> String {
    format!("{value:?} of its units lie beyond the calendar, which ends after 262,142 years")
}

/// A cell as text.
pub(crate) fn push_plain(out: &mut Vec<u8>, array: &dyn Array, row: usize) -> Spelt<()> {
    match push_scalar(out, array, row)? {
        Some(_) => Ok(()),
        None => push_json(out, array, row),
    }
}

/// A cell as JSON; NaN becomes null.
pub(crate) fn push_json(out: &mut Vec<u8>, array: &dyn Array, row: usize) -> Spelt<()> {
    if is_missing(array, row) {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    let start = out.len();
    match push_scalar(out, array, row)? {
        Some(Scalar::Number) => return Ok(()),
        Some(Scalar::Infinite) => {
            return Err("JSON has no infinity; replace it, or write .csv, .parquet or .arrow".to_owned());
        }
        Some(Scalar::NotANumber) => {
            out.truncate(start);
            out.extend_from_slice(b"null");
            return Ok(());
        }
        Some(Scalar::Word) => {
            let text = String::from_utf8_lossy(&out[start..]).into_owned();
            out.truncate(start);
            json::push_text(out, &text);
            return Ok(());
        }
        None => {}
    }
    match array.data_type() {
        DataType::List(_) => push_list(out, &array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => push_list(out, &array.as_list::<i64>().value(row)),
        DataType::FixedSizeList(..) => push_list(out, &array.as_fixed_size_list().value(row)),
        DataType::ListView(_) => push_list(out, &array.as_list_view::<i32>().value(row)),
        DataType::LargeListView(_) => push_list(out, &array.as_list_view::<i64>().value(row)),
        DataType::Map(..) => push_list(out, &(Arc::new(array.as_map().value(row)) as ArrayRef)),
        DataType::Struct(fields) => {
            out.push(b'{');
            for (i, (field, column)) in fields.iter().zip(array.as_struct().columns()).enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                json::push_text(out, field.name());
                out.push(b':');
                push_json(out, column, row)?;
            }
            out.push(b'}');
            Ok(())
        }
        other => Err(format!("the type {other} has no form in a text")),
    }
}

fn push_list(out: &mut Vec<u8>, items: &ArrayRef) -> Spelt<()> {
    out.push(b'[');
    for item in 0..items.len() {
        if item > 0 {
            out.push(b',');
        }
        push_json(out, items, item)?;
    }
    out.push(b']');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::*;
    use arrow_buffer::{IntervalMonthDayNano, i256};
    use std::collections::HashMap;

    #[test]
    fn cells_read_back_as_what_they_were() {
        let cases: Vec<(ArrayRef, &str, &str)> = vec![
            (Arc::new(Int8Array::from(vec![-128])), "-128", "-128"),
            (Arc::new(UInt64Array::from(vec![u64::MAX])), "18446744073709551615", "18446744073709551615"),
            (Arc::new(Float64Array::from(vec![-0.0])), "-0.0", "-0.0"),
            (Arc::new(Float64Array::from(vec![5e-324])), "5e-324", "5e-324"),
            (Arc::new(Float64Array::from(vec![f64::NAN])), "NaN", "null"),
            (Arc::new(Float32Array::from(vec![0.1])), "0.1", "0.1"),
            (Arc::new(Decimal128Array::from(vec![-150]).with_precision_and_scale(9, 2).unwrap()), "-1.50", "-1.50"),
            (
                Arc::new(Decimal256Array::from(vec![i256::from(7)]).with_precision_and_scale(40, 3).unwrap()),
                "0.007",
                "0.007",
            ),
            (Arc::new(BooleanArray::from(vec![true])), "true", "true"),
            (Arc::new(StringArray::from(vec!["a\"b"])), "a\"b", r#""a\"b""#),
            (Arc::new(BinaryArray::from(vec![b"\x00\xff".as_slice()])), "00ff", "\"00ff\""),
            (Arc::new(Date32Array::from(vec![-1])), "1969-12-31", "\"1969-12-31\""),
            (Arc::new(Date64Array::from(vec![86_400_000])), "1970-01-02", "\"1970-01-02\""),
            (Arc::new(Time32SecondArray::from(vec![34_200])), "09:30:00", "\"09:30:00\""),
            (Arc::new(Time64NanosecondArray::from(vec![1])), "00:00:00.000000001", "\"00:00:00.000000001\""),
            (
                Arc::new(TimestampMicrosecondArray::from(vec![1_719_792_000_000_000])),
                "2024-07-01T00:00:00",
                "\"2024-07-01T00:00:00\"",
            ),
            (
                Arc::new(TimestampMicrosecondArray::from(vec![1_719_784_800_000_001]).with_timezone("Europe/Berlin")),
                "2024-07-01T00:00:00.000001+02:00",
                "\"2024-07-01T00:00:00.000001+02:00\"",
            ),
            (
                Arc::new(TimestampSecondArray::from(vec![-5_364_662_400]).with_timezone("Europe/Berlin")),
                "1800-01-01T00:00:00Z",
                "\"1800-01-01T00:00:00Z\"",
            ),
            (
                Arc::new(TimestampSecondArray::from(vec![0]).with_timezone("UTC")),
                "1970-01-01T00:00:00Z",
                "\"1970-01-01T00:00:00Z\"",
            ),
            (Arc::new(DurationMillisecondArray::from(vec![90_500])), "PT90.5S", "\"PT90.5S\""),
            (Arc::new(DurationNanosecondArray::from(vec![-500_000_000])), "-PT0.5S", "\"-PT0.5S\""),
            (
                Arc::new(IntervalMonthDayNanoArray::from(vec![IntervalMonthDayNano::new(14, -3, 1)])),
                "P14M-3DT0.000000001S",
                "\"P14M-3DT0.000000001S\"",
            ),
            (Arc::new(vec!["x"].into_iter().collect::<DictionaryArray<Int8Type>>()), "x", "\"x\""),
            (
                Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1), None])])),
                "[1,null]",
                "[1,null]",
            ),
        ];
        for (array, plain, json) in cases {
            let mut out = Vec::new();
            push_plain(&mut out, &array, 0).unwrap();
            assert_eq!(String::from_utf8(std::mem::take(&mut out)).unwrap(), plain, "{}", array.data_type());
            push_json(&mut out, &array, 0).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), json, "{}", array.data_type());
        }
    }

    #[test]
    fn what_has_no_form_is_an_error_and_not_another_value() {
        let far: ArrayRef = Arc::new(TimestampSecondArray::from(vec![i64::MAX]));
        assert!(push_plain(&mut Vec::new(), &far, 0).unwrap_err().contains("beyond the calendar"));
        let nowhere: ArrayRef = Arc::new(TimestampSecondArray::from(vec![0]).with_timezone("Mars/Olympus"));
        assert!(push_plain(&mut Vec::new(), &nowhere, 0).unwrap_err().contains("no time zone"));
        let late: ArrayRef = Arc::new(Time32SecondArray::from(vec![86_401]));
        assert!(push_json(&mut Vec::new(), &late, 0).unwrap_err().contains("no time of day"));
        let infinite: ArrayRef = Arc::new(Float32Array::from(vec![f32::INFINITY]));
        assert!(push_json(&mut Vec::new(), &infinite, 0).unwrap_err().contains("no infinity"));
        push_plain(&mut Vec::new(), &infinite, 0).unwrap();
    }

    #[test]
    fn an_uuid_has_hyphens() {
        let bytes: Vec<u8> = (0..16).collect();
        let array: ArrayRef = Arc::new(FixedSizeBinaryArray::try_from_iter([bytes].iter()).unwrap());
        let field = Field::new("u", DataType::FixedSizeBinary(16), true);
        let spelt = |field: &Field| to_text(field, &array).unwrap().as_string::<i64>().value(0).to_owned();
        assert_eq!(spelt(&field), "000102030405060708090a0b0c0d0e0f");
        let about = HashMap::from([("ARROW:extension:name".to_owned(), "arrow.uuid".to_owned())]);
        assert_eq!(spelt(&field.with_metadata(about)), "00010203-0405-0607-0809-0a0b0c0d0e0f");
    }
}
