//! libsvm's (svmlight's) rows: a label, then the features that are not 0 with their numbers.
//!
//! Columns are `label`, `qid` where rows have one, and `x1`, `x2`, ... up to the largest number (`x0` where numbers start
//! at 0). What a row leaves out is 0. Several labels of a row (`1,3`) stay a text.

use crate::held::Held;
use crate::{Reading, bytes, encoding};
use arrow_array::{ArrayRef, Float64Array, Int64Array, LargeStringArray};
use quadrat_core::{Error, Progress, Result, checkpoint};
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
    let size = rows.checked_mul(width).filter(|size| *size <= MOST);
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
