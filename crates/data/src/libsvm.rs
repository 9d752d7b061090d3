//! libsvm's (svmlight's) rows: a label, then the features that are not 0 with their numbers.
//!
//! Columns are `label`, `qid` where rows have one, and `x1`, `x2`, ... up to the largest number (`x0` where numbers start
//! at 0). What a row leaves out is 0. Several labels of a row (`1,3`) stay a text.
//!
//! Written, the table's target comes first, or else its column `label`; `qid` keeps its place, and all other columns are
//! features: by their own numbers where they are called `x1`, `x2` and so on, else numbered from 1 in their order. Zeros
//! are left out, except in the first row, which shows how many features there are. Programs that read this format read
//! numbers and know no missing ones, so that others are refused.

use crate::held::Held;
use crate::source::Form;
use crate::spell::{self, Spelt};
use crate::{ColumnType, Format, Reading, Table, arrays, bytes, encoding};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt64Type};
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, LargeStringArray};
use arrow_schema::{DataType, Field};
use quadrat_core::{Error, Progress, Result, checkpoint};
use std::io::Write as _;
use std::sync::Arc;

pub(crate) fn parse(
    file: &str,
    bytes: Vec<u8>,
    reading: &Reading,
    notes: &mut Vec<String>,
    progress: &dyn Progress,
) -> Result<Held> {
    let (text, _) = encoding::decode(file, bytes, reading.encoding.as_deref(), notes)?;
    let mut labels: Vec<&str> = Vec::new();
    let mut queries: Vec<Option<i64>> = Vec::new();
    let mut lines: Vec<u64> = Vec::new();
    // Row, feature, value.
    let mut cells: Vec<(usize, usize, f64)> = Vec::new();
    for (line, content) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
        let error = |why: String| Error::data(file, line, why);
        if line % (1 << 16) == 0 {
            checkpoint(progress)?;
        }
        let mut words = content.split('#').next().unwrap_or_default().split_whitespace();
        let Some(label) = words.next() else { continue };
        if label.contains(':') {
            return Err(error(format!("found `{label}` where the row's label is expected")));
        }
        let mut query = None;
        let first = cells.len();
        for word in words {
            let pair = word.split_once(':').ok_or_else(|| error(format!("found `{word}`; write NUMBER:VALUE")))?;
            let wrong = || error(format!("found `{word}`; write NUMBER:VALUE, a whole number and a number"));
            if pair.0 == "qid" {
                query = Some(pair.1.parse().map_err(|_| wrong())?);
                continue;
            }
            let feature = pair.0.parse::<u32>().map_err(|_| wrong())? as usize;
            cells.push((lines.len(), feature, pair.1.parse().map_err(|_| wrong())?));
        }
        let mut given: Vec<usize> = cells[first..].iter().map(|cell| cell.1).collect();
        given.sort_unstable();
        if let Some(twice) = given.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(error(format!("feature {} is given twice", twice[0])));
        }
        labels.push(label);
        queries.push(query);
        lines.push(line);
    }
    let rows = lines.len();
    let from = usize::from(!cells.iter().any(|cell| cell.1 == 0));
    let width = cells.iter().map(|cell| cell.1 + 1).max().unwrap_or(from) - from;
    // A column takes some room of its own, however few its rows.
    let size = rows.checked_mul(width).filter(|size| size.saturating_add(width.saturating_mul(COLUMN)) <= MOST);
    let Some(mut dense) = size.and_then(bytes::zeros::<f64>) else {
        let why = format!(
            "{rows} rows of {width} features are {:.0} GB when zeros are written out; keep fewer features",
            rows as f64 * width as f64 * 8e-9
        );
        return Err(Error::data(file, None, why));
    };
    cells.iter().for_each(|&(row, feature, value)| dense[(feature - from) * rows + row] = value);
    drop(cells);
    let mut names = vec!["label".to_owned()];
    let mut arrays: Vec<ArrayRef> = vec![label_column(&labels)];
    if queries.iter().any(Option::is_some) {
        names.push("qid".to_owned());
        arrays.push(Arc::new(Int64Array::from(queries)));
    }
    names.extend((0..width).map(|feature| format!("x{}", feature + from)));
    let values = dense.chunks(rows.max(1)).take(width);
    arrays.extend(values.map(|column| Arc::new(Float64Array::from(column.to_vec())) as ArrayRef));
    Held::new(file, names, arrays, lines, reading)
}

/// More cells than this (16 GB) are refused.
const MOST: usize = 1 << 31;
/// The name and the array of a column take about as much as so many cells.
const COLUMN: usize = 25;

/// Whole numbers, numbers, or texts where a row has several labels or other ones.
fn label_column(labels: &[&str]) -> ArrayRef {
    let whole: std::result::Result<Vec<i64>, _> = labels.iter().map(|label| label.parse::<i64>()).collect();
    let numbers: std::result::Result<Vec<f64>, _> = labels.iter().map(|label| label.parse::<f64>()).collect();
    match (whole, numbers) {
        (Ok(whole), _) => Arc::new(Int64Array::from(whole)),
        (_, Ok(numbers)) => Arc::new(Float64Array::from(numbers)),
        _ => Arc::new(LargeStringArray::from_iter_values(labels)),
    }
}

/// What each column of a table is in a row.
pub(crate) struct Layout {
    label: usize,
    query: Option<usize>,
    /// Number and place of the features, in the order of their numbers.
    features: Vec<(u32, usize)>,
    /// Whether the numbers are the names'.
    named: bool,
}

impl Layout {
    pub(crate) fn of(names: &[&str], target: Option<&str>) -> Spelt<Layout> {
        let place = |name: &str| names.iter().position(|other| *other == name);
        let label = place(target.unwrap_or("label")).ok_or(
            "a row starts with its label, and no column is called `label`; say which one is to be predicted (--target), \
             or write .csv",
        )?;
        let query = place("qid").filter(|query| *query != label);
        let rest: Vec<usize> = (0..names.len()).filter(|at| *at != label && Some(*at) != query).collect();
        let number = |name: &str| -> Option<u32> {
            let digits = name.strip_prefix('x')?;
            digits.parse().ok().filter(|number: &u32| number.to_string() == digits)
        };
        let own: Option<Vec<u32>> = rest.iter().map(|at| number(names[*at])).collect();
        let named = own.is_some();
        let mut features: Vec<(u32, usize)> =
            own.unwrap_or_else(|| (1..).take(rest.len()).collect()).into_iter().zip(rest).collect();
        features.sort_unstable();
        Ok(Layout { label, query, features, named })
    }

    /// What the file does not say of its features.
    pub(crate) fn note(&self, names: &[&str]) -> Option<String> {
        let first: Vec<String> =
            self.features.iter().take(3).map(|(number, at)| format!("{number} is `{}`", names[*at])).collect();
        let more = if self.features.len() > 3 { " and so on in the file's order" } else { "" };
        (!self.named).then(|| format!("libsvm has no names: feature {}{more}", first.join(", ")))
    }
}

/// That the columns at `places` can be written, and what the file will not say of them.
pub(crate) fn check(table: &Table, places: &[usize]) -> Result<Option<String>> {
    let names: Vec<&str> = places.iter().map(|at| table.columns()[*at].name.as_str()).collect();
    let refused = |at: usize, got: String, why: &str| {
        let what = format!("{}, column `{}`", table.name(), table.columns()[at].name);
        Error::input(what, got, format!("libsvm does not hold it ({why}); write .csv or .arff"))
    };
    let layout = Layout::of(&names, table.target())
        .map_err(|why| Error::input(format!("{} as libsvm", table.name()), "no label", why))?;
    for (of_names, &at) in places.iter().enumerate() {
        let kind = table.columns()[at].kind;
        let label = of_names == layout.label;
        if !(kind.is_numeric() || label && matches!(kind, ColumnType::Text | ColumnType::Category)) {
            return Err(refused(at, format!("values of type {kind}"), "a label and features that are numbers"));
        }
        // Texts are labels to those who have a file with such ones.
        let own = label && table.format() == Format::Libsvm;
        table.each_batch(at, Form::Native, |_, array| {
            let mut word = Vec::new();
            (0..array.len()).try_for_each(|row| {
                word.clear();
                let held =
                    if label { push_label(&mut word, &array, row, own) } else { push_number(&mut word, &array, row) };
                held.map_err(|why| refused(at, "a value".to_owned(), &why))
            })
        })?;
        let whole = Some(of_names) == layout.query;
        if whole && kind != ColumnType::Integer {
            return Err(refused(at, format!("values of type {kind}"), "qid is a whole number"));
        }
    }
    Ok(layout.note(&names))
}

/// Appends a row. With `zeros` it names every feature.
pub(crate) fn push_row(out: &mut Vec<u8>, layout: &Layout, batch: &[ArrayRef], row: usize, zeros: bool) -> Spelt<()> {
    push_label(out, &batch[layout.label], row, true)?;
    if let Some(query) = layout.query {
        out.extend_from_slice(b" qid:");
        push_number(out, &batch[query], row)?;
    }
    for &(number, at) in &layout.features {
        let start = out.len();
        let _ = write!(out, " {number}:");
        let value = out.len();
        push_number(out, &batch[at], row)?;
        if !zeros && matches!(&out[value..], b"0" | b"0.0") {
            out.truncate(start);
        }
    }
    out.push(b'\n');
    Ok(())
}

/// A number; a boolean is 0 or 1.
fn push_number(out: &mut Vec<u8>, array: &ArrayRef, row: usize) -> Spelt<()> {
    if spell::is_missing(array, row) {
        return Err("it has no missing values: fill them in, or drop the rows".to_owned());
    }
    // All who read it read doubles.
    let exact = match array.data_type() {
        DataType::Int64 => is_exact(array.as_primitive::<Int64Type>().value(row).unsigned_abs()),
        DataType::UInt64 => is_exact(array.as_primitive::<UInt64Type>().value(row)),
        DataType::Boolean => {
            out.push(b'0' + u8::from(array.as_boolean().value(row)));
            return Ok(());
        }
        _ => true,
    };
    let start = out.len();
    spell::push_plain(out, array, row)?;
    match &out[start..] {
        _ if !exact => Err("its numbers are doubles, which do not hold all digits".to_owned()),
        b"NaN" => Err("it has no missing values: fill them in, or drop the rows".to_owned()),
        _ => Ok(()),
    }
}

/// Whether double precision holds a whole number.
fn is_exact(size: u64) -> bool {
    size == 0 || 64 - size.leading_zeros() - size.trailing_zeros() <= 53
}

/// A number, or several with commas between them; with `any` a word of another kind.
fn push_label(out: &mut Vec<u8>, array: &ArrayRef, row: usize, any: bool) -> Spelt<()> {
    if arrays::column_type(&Field::new("label", array.data_type().clone(), true)).is_numeric() {
        return push_number(out, array, row);
    }
    if spell::is_missing(array, row) {
        return Err("a row without a label".to_owned());
    }
    let start = out.len();
    spell::push_plain(out, array, row)?;
    let word = String::from_utf8_lossy(&out[start..]);
    let plain = !word.is_empty() && !word.contains(|c: char| c.is_whitespace() || matches!(c, ':' | '#'));
    let number = |part: &str| part.parse::<f64>().is_ok_and(|v| v.is_finite());
    if plain && (any || word.split(',').all(number)) {
        return Ok(());
    }
    Err(format!("labels are numbers, and one is `{word}`: number the classes"))
}
