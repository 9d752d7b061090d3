//! KEEL's .dat written: ARFF's attributes with the range of each number and a line for the target, no quotation marks and
//! no texts, so that every word is a level and must be one that needs no marks. It is read as ARFF.

use crate::source::Form;
use crate::spell::{self, Spelt};
use crate::{ColumnType, Table, arff, arrays};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_schema::Field;
use quadrat_core::{Error, Result};
use std::collections::BTreeSet;

/// That the columns at `places` can be written; what they hold has been asked for ARFF.
pub(crate) fn check(table: &Table, places: &[usize]) -> Result<()> {
    for &at in places {
        let column = &table.columns()[at];
        let refused = |got: &str, why: String| {
            let what = format!("{}, column `{}`", table.name(), column.name);
            Error::input(what, got, format!("{why}; write .arff"))
        };
        name(&column.name).map_err(|why| refused("its name", why))?;
        if !matches!(column.kind, ColumnType::Integer | ColumnType::Float) {
            table.each_batch(at, Form::Native, |_, array| {
                let words = array.as_any_dictionary_opt().map_or(&array, |all| all.values());
                let mut wrong = None;
                let look = &mut |word: Option<&str>| wrong = wrong.take().or(word.and_then(|word| level(word).err()));
                spell::texts(words, look).map_err(|why| refused("a value", why))?;
                wrong.map_or(Ok(()), |why| Err(refused("a value", why)))
            })?;
        }
    }
    Ok(())
}

/// A name: one word.
fn name(name: &str) -> Spelt<&str> {
    match level(name) {
        Ok(word) if !word.contains(|c: char| c.is_whitespace() || matches!(c, '[' | ']')) => Ok(word),
        _ => Err(format!("KEEL's names are single words, and `{name}` is none: rename the column")),
    }
}

/// A level: what stands between two commas.
fn level(word: &str) -> Spelt<&str> {
    let marks = |c: char| c.is_control() || matches!(c, ',' | '{' | '}' | '%' | '\'' | '"');
    if word.trim() != word || word.is_empty() || word.contains(marks) || matches!(word, "?" | "<null>") {
        return Err(format!("KEEL has no quotation marks, which `{word}` needs"));
    }
    Ok(word)
}

/// A file of these columns.
pub(crate) fn bytes(columns: &[(&str, ArrayRef)], target: Option<&str>) -> Spelt<Vec<u8>> {
    let mut out = b"@relation rows\n".to_vec();
    // Of columns of words their cells.
    let mut words: Vec<Option<Vec<Option<String>>>> = Vec::new();
    for (column, array) in columns {
        out.extend_from_slice(format!("@attribute {} ", name(column)?).as_bytes());
        let kind = arrays::column_type(&Field::new(*column, array.data_type().clone(), true));
        if matches!(kind, ColumnType::Integer | ColumnType::Float) {
            out.extend_from_slice(if kind == ColumnType::Integer { b"integer" } else { b"real" });
            push_range(&mut out, array)?;
            words.push(None);
        } else {
            let mut cells: Vec<Option<String>> = Vec::with_capacity(array.len());
            spell::texts(array, &mut |text| cells.push(text.map(str::to_owned)))?;
            let mut levels = Vec::new();
            match array.as_any_dictionary_opt() {
                Some(all) => spell::texts(all.values(), &mut |text| levels.extend(text.map(str::to_owned)))?,
                None => levels.extend(cells.iter().flatten().collect::<BTreeSet<_>>().into_iter().cloned()),
            }
            levels.iter().try_for_each(|word| level(word).map(drop))?;
            out.extend_from_slice(format!("{{{}}}", levels.join(", ")).as_bytes());
            words.push(Some(cells));
        }
        out.push(b'\n');
    }
    if let Some(target) = target.filter(|target| columns.iter().any(|(name, _)| name == target)) {
        let inputs: Vec<&str> = columns.iter().map(|(name, _)| *name).filter(|name| *name != target).collect();
        out.extend_from_slice(format!("@inputs {}\n@outputs {target}\n", inputs.join(", ")).as_bytes());
    }
    out.extend_from_slice(b"@data\n");
    for row in 0..columns.first().map_or(0, |(_, array)| array.len()) {
        for (column, ((_, array), words)) in columns.iter().zip(&words).enumerate() {
            out.extend_from_slice(if column > 0 { b", " } else { b"" });
            let there = match words {
                None => arff::push_number(&mut out, array, row)?,
                Some(cells) => cells[row].as_deref().is_some_and(|word| {
                    out.extend_from_slice(word.as_bytes());
                    true
                }),
            };
            if !there {
                out.extend_from_slice(b"<null>");
            }
        }
        out.push(b'\n');
    }
    Ok(out)
}

/// The least and the greatest number, if any is finite.
fn push_range(out: &mut Vec<u8>, array: &ArrayRef) -> Spelt<()> {
    let Some(numbers) = arrays::to_f64(array) else { return Ok(()) };
    let finite = || (0..numbers.len()).filter(|row| numbers.is_valid(*row) && numbers.value(*row).is_finite());
    let by_value = |a: &usize, b: &usize| numbers.value(*a).total_cmp(&numbers.value(*b));
    if let (Some(least), Some(greatest)) = (finite().min_by(by_value), finite().max_by(by_value)) {
        out.extend_from_slice(b" [");
        spell::push_plain(out, array, least)?;
        out.extend_from_slice(b", ");
        spell::push_plain(out, array, greatest)?;
        out.push(b']');
    }
    Ok(())
}
