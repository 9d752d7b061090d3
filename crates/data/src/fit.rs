//! New values made to fit their column.
//!
//! A method works in double precision and knows no types. What it puts into a column of the user's file follows one rule
//! a type: whole numbers are rounded and kept within the type's range, booleans are the nearer of the two, decimals are
//! rounded to their scale, single and half precision to their nearest value, and a category, a date or anything else is
//! a value that the column has already.

use crate::source::Form;
use crate::spell;
use crate::{Column, ColumnType, Missing, Table, Values, cell};
use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BooleanArray, FixedSizeListArray, Int64Array, LargeListArray,
    LargeStringArray, ListArray, PrimitiveArray, UInt32Array,
};
use arrow_buffer::{OffsetBuffer, i256};
use arrow_schema::{ArrowError, DataType};
use arrow_select::concat::concat;
use arrow_select::take::take;
use ndarray::Array2;
use quadrat_core::{Error, Result};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// Values for new rows of a column of the table, in the column's own type or spelt as its file spells them.
pub(crate) fn fit(table: &Table, name: &str, values: &Values, form: Form) -> Result<ArrayRef> {
    let at = table.index(name)?;
    let field = table.source().schema().field(at);
    let misfit = |why: &str| {
        let what = format!("{}, column `{name}`", table.name());
        Error::input(what, format!("new values for its type {}", field.data_type()), why)
    };
    let fitted = match values {
        Values::Float(numbers) if table.columns()[at].kind == ColumnType::Boolean && form == Form::Text => {
            return booleans(table, name, numbers);
        }
        Values::Float(v) => numbers(v, field.data_type()),
        Values::Integer(v) => whole(v, field.data_type()),
        Values::Text(_) => text(values, field.data_type()),
        Values::Vectors(vectors) => lists(vectors, field.data_type()),
        // Spelt as the file spells them; the empty name stands for a missing value.
        Values::Category { .. } if form == Form::Text => text(values, &DataType::LargeUtf8),
        Values::Category { codes, names } => match text(values, field.data_type()) {
            Some(texts) if !names.iter().any(String::is_empty) => Some(texts),
            _ => return existing(table, at, codes, names),
        },
    };
    let fitted = fitted.ok_or_else(|| misfit("only numbers and the column's own values can be put into it"))?;
    match form {
        Form::Native => Ok(fitted),
        Form::Text if *fitted.data_type() == DataType::LargeUtf8 => Ok(fitted),
        Form::Text => spell::to_text(field, &fitted).map_err(|why| misfit(&why)),
    }
}

/// Numbers in a column's type; NaN is a missing value. `None` for a type that holds no numbers.
fn numbers(values: &[f64], to: &DataType) -> Option<ArrayRef> {
    // Conversions to whole numbers saturate.
    macro_rules! rounded {
        ($t:ty, $n:ty) => {
            primitive::<$t>(values, |v| v.round() as $n)
        };
    }
    macro_rules! decimal {
        ($t:ty, $n:ty, $precision:expr, $scale:expr) => {{
            let most = (10 as $n).pow(u32::from(*$precision)) - 1;
            let unit = 10f64.powi(i32::from(*$scale));
            let scaled = primitive_of::<$t>(values, |v| ((v * unit).round() as $n).clamp(-most, most));
            Arc::new(scaled.with_data_type(to.clone())) as ArrayRef
        }};
    }
    Some(match to {
        DataType::Int8 => rounded!(Int8Type, i8),
        DataType::Int16 => rounded!(Int16Type, i16),
        DataType::Int32 => rounded!(Int32Type, i32),
        DataType::Int64 => rounded!(Int64Type, i64),
        DataType::UInt8 => rounded!(UInt8Type, u8),
        DataType::UInt16 => rounded!(UInt16Type, u16),
        DataType::UInt32 => rounded!(UInt32Type, u32),
        DataType::UInt64 => rounded!(UInt64Type, u64),
        DataType::Float16 => primitive::<Float16Type>(values, <Float16Type as ArrowPrimitiveType>::Native::from_f64),
        DataType::Float32 => primitive::<Float32Type>(values, |v| v as f32),
        DataType::Float64 => primitive::<Float64Type>(values, |v| v),
        DataType::Decimal32(precision, scale) => decimal!(Decimal32Type, i32, precision, scale),
        DataType::Decimal64(precision, scale) => decimal!(Decimal64Type, i64, precision, scale),
        DataType::Decimal128(precision, scale) => decimal!(Decimal128Type, i128, precision, scale),
        DataType::Decimal256(precision, scale) => {
            let unit = 10f64.powi(i32::from(*scale));
            let most = 10i128.pow(u32::from(*precision).min(38)) - 1;
            let scaled = primitive_of::<Decimal256Type>(values, |v| {
                i256::from_i128(((v * unit).round() as i128).clamp(-most, most))
            });
            Arc::new(scaled.with_data_type(to.clone()))
        }
        DataType::Boolean => {
            Arc::new(values.iter().map(|v| (!v.is_nan()).then_some(*v >= 0.5)).collect::<BooleanArray>())
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            let spelt = values.iter().map(|v| (!v.is_nan()).then(|| format!("{v:?}")));
            words(&spelt.collect::<LargeStringArray>(), to)?
        }
        _ => return None,
    })
}

fn primitive<T: ArrowPrimitiveType>(values: &[f64], make: impl Fn(f64) -> T::Native) -> ArrayRef {
    Arc::new(primitive_of::<T>(values, make))
}

fn primitive_of<T: ArrowPrimitiveType>(values: &[f64], make: impl Fn(f64) -> T::Native) -> PrimitiveArray<T> {
    values.iter().map(|v| (!v.is_nan()).then(|| make(*v))).collect()
}

/// Whole numbers in a column's type: as they are where it has 64 bits, else like other numbers.
fn whole(values: &[i64], to: &DataType) -> Option<ArrayRef> {
    match to {
        DataType::Int64 => Some(Arc::new(Int64Array::from(values.to_vec()))),
        _ => numbers(&values.iter().map(|v| *v as f64).collect::<Vec<_>>(), to),
    }
}

/// Texts in a column of texts; an empty one is a missing value.
fn text(values: &Values, to: &DataType) -> Option<ArrayRef> {
    let made = values.to_array();
    let made = made.as_string_opt::<i64>()?;
    words(&made.iter().map(|text| text.filter(|text| !text.is_empty())).collect(), to)
}

/// Vectors in a column of lists, or of texts that hold JSON lists.
fn lists(vectors: &Array2<f64>, to: &DataType) -> Option<ArrayRef> {
    let flat: Vec<f64> = vectors.iter().copied().collect();
    let width = vectors.ncols();
    let lengths = std::iter::repeat_n(width, vectors.nrows());
    Some(match to {
        DataType::FixedSizeList(item, size) if usize::try_from(*size) == Ok(width) => {
            let items = numbers(&flat, item.data_type())?;
            Arc::new(FixedSizeListArray::try_new(item.clone(), *size, items, None).ok()?)
        }
        DataType::List(item) => {
            let items = numbers(&flat, item.data_type())?;
            Arc::new(ListArray::try_new(item.clone(), OffsetBuffer::from_lengths(lengths), items, None).ok()?)
        }
        DataType::LargeList(item) => {
            let items = numbers(&flat, item.data_type())?;
            Arc::new(LargeListArray::try_new(item.clone(), OffsetBuffer::from_lengths(lengths), items, None).ok()?)
        }
        _ => {
            let spelt = vectors.outer_iter().map(|row| Some(format!("{:?}", row.to_vec())));
            words(&spelt.collect::<LargeStringArray>(), to)?
        }
    })
}

fn words(texts: &LargeStringArray, to: &DataType) -> Option<ArrayRef> {
    Some(match to {
        DataType::Utf8 => Arc::new(texts.iter().collect::<arrow_array::StringArray>()),
        DataType::LargeUtf8 => Arc::new(texts.clone()),
        DataType::Utf8View => Arc::new(texts.iter().collect::<arrow_array::StringViewArray>()),
        _ => return None,
    })
}

/// Numbers of a column of booleans as the nearer of the two, in the spelling that the file has for it.
fn booleans(table: &Table, name: &str, values: &[f64]) -> Result<ArrayRef> {
    let spelt = table.categories(name, Missing::Keep)?.names;
    let of = |truth| spelt.iter().find(|word| cell::parse_boolean(word.trim()) == Some(truth)).map(|w| w.trim());
    // A file that has only one of the two spells the other in the same manner.
    let like = of(true).or(of(false)).and_then(|word| word.chars().next()).is_some_and(char::is_uppercase);
    let all = of(true).or(of(false)).is_some_and(|word| word.chars().all(char::is_uppercase));
    let other = |lower: &str, first: &str, upper: &str| match (like, all) {
        (_, true) => upper.to_owned(),
        (true, _) => first.to_owned(),
        _ => lower.to_owned(),
    };
    let words = [
        of(false).map_or_else(|| other("false", "False", "FALSE"), str::to_owned),
        of(true).map_or_else(|| other("true", "True", "TRUE"), str::to_owned),
    ];
    let spelt = values.iter().map(|v| (!v.is_nan()).then(|| words[usize::from(*v >= 0.5)].as_str()));
    Ok(Arc::new(spelt.collect::<LargeStringArray>()))
}

/// Values that the column has already, by their names: each is copied from the first row that has it.
fn existing(table: &Table, column: usize, codes: &[u32], names: &[String]) -> Result<ArrayRef> {
    let Column { name, .. } = &table.columns()[column];
    let of_rows = table.categories(name, Missing::Keep)?;
    let mut first: HashMap<&str, usize> = HashMap::new();
    for (row, code) in of_rows.codes.iter().enumerate() {
        first.entry(&of_rows.names[*code as usize]).or_insert(row);
    }
    let mut rows = Vec::with_capacity(names.len());
    for name in names {
        rows.push(first.get(name.as_str()).copied());
    }
    let mut wanted: Vec<usize> = rows.iter().flatten().copied().collect();
    wanted.sort_unstable();
    let mut found = Vec::new();
    table.gather(&wanted, &[column], Form::Native, Path::new("."), &mut |batch| {
        found.extend(batch);
        Ok(())
    })?;
    let found: Vec<&dyn Array> = found.iter().map(|array| array.as_ref()).collect();
    let failed = |e: ArrowError| Error::data(table.name(), None, format!("column `{name}`: {e}"));
    let values = concat(&found).map_err(failed)?;
    let mut places = Vec::with_capacity(codes.len());
    for &code in codes {
        let row = rows.get(code as usize).copied().flatten().ok_or_else(|| {
            let got = names.get(code as usize).map_or_else(|| code.to_string(), |name| format!("`{name}`"));
            Error::input(
                format!("{}, column `{name}`", table.name()),
                got,
                "a new row takes a value that the column has",
            )
        })?;
        places.push(wanted.partition_point(|w| *w < row) as u32);
    }
    take(&values, &UInt32Array::from(places), None).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_their_type() {
        let values = [0.4, 0.5, -7.6, 1e300, f64::NAN];
        let spelt = |to: DataType| {
            let array = numbers(&values, &to).unwrap();
            assert_eq!(array.data_type(), &to);
            let mut texts = Vec::new();
            spell::texts(&array, &mut |text| texts.push(text.unwrap_or("-").to_owned())).unwrap();
            texts.join(" ")
        };
        for (to, expected) in [
            (DataType::Int64, "0 1 -8 9223372036854775807 -"),
            (DataType::Int8, "0 1 -8 127 -"),
            (DataType::UInt8, "0 1 0 255 -"),
            (DataType::UInt64, "0 1 0 18446744073709551615 -"),
            (DataType::Float32, "0.4 0.5 -7.6 inf -"),
            (DataType::Float16, "0.39990234 0.5 -7.6015625 inf -"),
            (DataType::Boolean, "false true false true -"),
            (DataType::Decimal128(5, 1), "0.4 0.5 -7.6 9999.9 -"),
            (DataType::Decimal64(4, 0), "0 1 -8 9999 -"),
            (DataType::Decimal256(50, 2), "0.40 0.50 -7.60 999999999999999999999999999999999999.99 -"),
            (DataType::Utf8, "0.4 0.5 -7.6 1e300 -"),
        ] {
            assert_eq!(spelt(to.clone()), expected, "{to}");
        }
        assert!(numbers(&values, &DataType::Date32).is_none());
        assert_eq!(whole(&[i64::MAX], &DataType::Int64).unwrap().as_primitive::<Int64Type>().value(0), i64::MAX);
    }

    #[test]
    fn booleans_and_categories_are_the_files_own() {
        let table = |csv: &str| Table::from_bytes("a.csv", csv.as_bytes().to_vec(), &[]).unwrap();
        let spelt = |csv: &str| {
            let made = fit(&table(csv), "b", &Values::Float(vec![0.51, 0.49, f64::NAN]), Form::Text).unwrap();
            let made = made.as_string::<i64>();
            assert!(made.is_null(2));
            [made.value(0).to_owned(), made.value(1).to_owned()]
        };
        assert_eq!(spelt("b\nTrue\nFalse\n"), ["True", "False"]);
        assert_eq!(spelt("b\nTRUE\n"), ["TRUE", "FALSE"]);
        assert_eq!(spelt("b\nFalse\n"), ["True", "False"]);
        assert_eq!(spelt("b\n false\n"), ["true", "false"]);

        let t = table("n,c\n1.50,x\n2,y\n");
        let category =
            |names: [&str; 2]| Values::Category { codes: vec![1, 0], names: names.map(str::to_owned).into() };
        let made = fit(&t, "n", &category(["2", "1.50"]), Form::Text).unwrap();
        assert_eq!(made.as_string::<i64>().value(0), "1.50");
        let made = fit(&t, "c", &category(["y", "new"]), Form::Native).unwrap();
        assert_eq!(made.as_string::<i64>().value(0), "new");
        let error = fit(&t, "n", &category(["2", "3"]), Form::Native).unwrap_err().to_string();
        assert!(error.contains("column `n`") && error.contains("`3`"), "{error}");
    }
}
