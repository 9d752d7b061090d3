//! What a format can hold, asked before any work is done.

use crate::format::Format;
use crate::numpy::{self, digits_lost};
use crate::source::Form;
use crate::spell;
use crate::write::target;
use crate::{ColumnType, Table, keel, libsvm};
use arrow_schema::{DataType, Field, IntervalUnit};
use quadrat_core::{Error, Result};
use std::path::Path;

/// See [`Table::check_output`].
pub(crate) fn check(table: &Table, path: &Path, columns: &[&str]) -> Result<Vec<String>> {
    let (format, _) = target(path, table.format())?;
    let all = table.column_names();
    let columns = if columns.is_empty() { &all[..] } else { columns };
    let mut places = Vec::new();
    for name in columns {
        places.push(table.index(name)?);
    }
    let schema = table.source().schema();
    for &at in &places {
        let field = schema.field(at);
        let held = match format {
            Format::Arrow | Format::ArrowStream => Ok(()),
            Format::Parquet => parquet(field.data_type()),
            Format::Npy | Format::Npz => numpy::holds(field),
            Format::Csv | Format::Tsv | Format::Jsonl | Format::Json => text(field),
            Format::Arff | Format::Keel => arff(table.columns()[at].kind),
            Format::Libsvm => Ok(()),
        };
        held.map_err(|why| refused(table, at, format, &why))?;
    }
    match format {
        Format::Npy | Format::Npz => numpy_digits(table, &places, format)?,
        Format::Keel => keel::check(table, &places)?,
        Format::Libsvm => return Ok(libsvm::check(table, &places)?.into_iter().collect()),
        _ => {}
    }
    Ok(Vec::new())
}

fn refused(table: &Table, column: usize, format: Format, why: &str) -> Error {
    let field = table.source().schema().field(column);
    let kind = spell::extension(field).map_or_else(|| field.data_type().to_string(), str::to_owned);
    let want = format!("{format} does not hold it ({why}); write .arrow or another format that does");
    Error::input(format!("{}, column `{}`", table.name(), field.name()), format!("values of type {kind}"), want)
}

fn parquet(data_type: &DataType) -> std::result::Result<(), String> {
    let why = match data_type {
        DataType::Interval(IntervalUnit::MonthDayNano) => "an interval of months and nanoseconds",
        DataType::Union(..) => "values of several types",
        DataType::RunEndEncoded(..) => "runs",
        DataType::ListView(_) | DataType::LargeListView(_) => "views of lists",
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => {
            return parquet(item.data_type());
        }
        DataType::Struct(fields) if fields.is_empty() => "a group without fields",
        DataType::Struct(fields) => return fields.iter().try_for_each(|field| parquet(field.data_type())),
        DataType::Dictionary(_, value) => return parquet(value),
        _ => return Ok(()),
    };
    Err(why.to_owned())
}

/// Texts hold what has a form that reads back.
fn text(field: &Field) -> std::result::Result<(), String> {
    if let Some(name) = spell::extension(field).filter(|name| !spell::in_text(name)) {
        return Err(format!("a text would show how {name} is stored, not what it means"));
    }
    match field.data_type() {
        DataType::Union(..) | DataType::RunEndEncoded(..) => Err("it has no form in a text".to_owned()),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => text(item),
        DataType::Struct(fields) => fields.iter().try_for_each(|field| text(field)),
        _ => Ok(()),
    }
}

fn arff(kind: ColumnType) -> std::result::Result<(), String> {
    match kind {
        ColumnType::Tags | ColumnType::Embedding(_) | ColumnType::Other => {
            Err("numbers, texts and categories".to_owned())
        }
        _ => Ok(()),
    }
}

/// Whole numbers of 64 bits that numpy would have to write in double precision must survive it.
fn numpy_digits(table: &Table, places: &[usize], format: Format) -> Result<()> {
    let schema = table.source().schema();
    let type_of = |at: usize| schema.field(at).data_type();
    let numbers = places.iter().all(|&at| table.columns()[at].kind.is_numeric());
    let mixed = format == Format::Npy && numbers && places.windows(2).any(|pair| type_of(pair[0]) != type_of(pair[1]));
    for &at in places {
        if table.columns()[at].kind == ColumnType::Integer && matches!(type_of(at), DataType::Int64 | DataType::UInt64)
        {
            table.each_batch(at, Form::Native, |_, array| {
                digits_lost(&array, mixed).map_err(|why| refused(table, at, format, &why))
            })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_format_does_not_hold_is_named_with_its_column() {
        let jsonl = |text: &str| Table::from_bytes("a.jsonl", text.as_bytes().to_vec(), &[]).unwrap();
        let tags = jsonl("{\"x\":1,\"l\":[\"a\"]}\n{\"x\":2,\"l\":[]}\n");
        for name in ["a.csv", "a.tsv.gz", "a.jsonl", "a.parquet", "a.arrow", "a.arrows"] {
            tags.check_output(Path::new(name), &[]).unwrap();
        }
        for name in ["a.npy", "a.npz"] {
            let error = tags.check_output(Path::new(name), &[]).unwrap_err().to_string();
            assert!(error.contains("column `l`") && error.contains("write .arrow"), "{error}");
            tags.check_output(Path::new(name), &["x"]).unwrap();
        }
        assert!(tags.check_output(Path::new("a.docx"), &[]).is_err());
        assert!(tags.check_output(Path::new("a.csv"), &["z"]).is_err());

        let digits = "{\"id\":9007199254740993,\"f\":0.5}\n{\"id\":1,\"f\":1.5}\n";
        let error = jsonl(digits).check_output(Path::new("a.npy"), &[]).unwrap_err().to_string();
        assert!(error.contains("column `id`") && error.contains("9007199254740993"), "{error}");
        jsonl(digits).check_output(Path::new("a.npz"), &[]).unwrap();
        jsonl(digits).check_output(Path::new("a.npy"), &["id"]).unwrap();
        let missing = format!("{digits}{{\"f\":2.5}}\n");
        assert!(jsonl(&missing).check_output(Path::new("a.npz"), &[]).is_err());
    }
}
