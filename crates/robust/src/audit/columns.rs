//! Columns that say nothing, or say the class outright.

use super::out_of_fold::predict;
use super::{Cells, Field, Finding, Records, Trouble, p_value};
use ndarray::Array2;
use quadrat_core::distributions::binomial;
use quadrat_core::stats::clopper_pearson;
use quadrat_core::{Progress, Result, Seed};
use quadrat_numeric::learners::{Learner, Tree};
use quadrat_numeric::metrics::{Split, stratified_folds};
use rayon::prelude::*;
use std::collections::HashMap;

/// A column tells the class outright if it alone is right, class by class, in so many of the rows not seen.
const OUTRIGHT: f64 = 0.97;

/// All other columns together must be wrong this many times as often: else the task is easy, and no column leaks.
const TIMES: f64 = 5.0;

/// And they must be wrong so often.
const HARD: f64 = 0.02;

/// Fewer other columns are not enough to say that the task is hard without this one.
const OTHERS: usize = 3;

/// Columns with one value in all rows.
pub(super) fn constant(records: &Records) -> Option<Finding> {
    let same = |field: &Field| (1..records.rows()).all(|row| field.key(row) == field.key(0));
    let columns: Vec<usize> = (0..records.fields.len()).filter(|c| same(&records.fields[*c])).collect();
    let empty = columns.iter().filter(|c| records.fields[**c].lacks(0)).count();
    let also = if empty > 0 { format!(", {empty} of them without any value") } else { String::new() };
    (!columns.is_empty()).then(|| Finding {
        trouble: Trouble::Constant,
        count: columns.len(),
        rows: Vec::new(),
        said: format!("{} the same in all rows{also}", records.named(&columns)),
        sure: "counted".to_owned(),
        columns,
    })
}

/// Columns that only number or name the rows.
pub(super) fn identifiers(records: &Records) -> Option<Finding> {
    let names = &records.identifiers;
    (!names.is_empty()).then(|| Finding {
        trouble: Trouble::Identifier,
        columns: Vec::new(),
        count: names.len(),
        rows: Vec::new(),
        said: format!(
            "{} number or name the rows: nothing can be learnt from that",
            names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        ),
        sure: "by their values; no method here reads them unless they are named".to_owned(),
    })
}

/// Columns that tell the class outright although all others together do not come near, or one that is the class in another
/// spelling although no other column tells the class.
///
/// The column alone (a tree of a few splits; a name's most frequent class) and the best model of all columns that do not
/// tell the class outright are compared on the rows that they did not see, by the exact sign test of the rows in which one
/// is right and the other wrong. That says that the column is far better, not that it is a leak: it may be the one thing
/// that matters.
pub(super) fn leaks(records: &Records, seed: Seed, progress: &dyn Progress) -> Result<Option<Finding>> {
    let folds = stratified_folds(&records.y, 2.min(records.rows()), seed.stream("leaks"))?;
    progress.begin("what each column tells alone", Some(records.fields.len() as u64));
    let alone = |field: &Field| {
        progress.advance(1);
        right(records, field, &folds)
    };
    let alone: Vec<Vec<bool>> = records.fields.par_iter().map(alone).collect::<Result<_>>()?;
    let outright: Vec<usize> = (0..alone.len()).filter(|c| by_class(records, &alone[*c]) >= OUTRIGHT).collect();
    let others: Vec<usize> = (0..alone.len()).filter(|c| !outright.contains(c)).collect();
    if outright.is_empty() || others.len() < OTHERS {
        return Ok(None);
    }
    let all: Vec<usize> = (0..records.rows()).collect();
    let rest = predict(records, &others, &all, seed, progress)?;
    let rest: Vec<bool> = rest.right(&records.y);
    let error = |right: &[bool]| 1.0 - by_class(records, right);
    let far_better = |c: &usize| {
        let (column, rest_wrong) = (error(&alone[*c]), error(&rest));
        rest_wrong >= TIMES * column && rest_wrong >= HARD && sign_test(&alone[*c], &rest) <= 0.001
    };
    let mut columns: Vec<usize> = outright.iter().copied().filter(far_better).collect();
    let respelt = columns.is_empty() && outright.len() == 1 && spells(records, &records.fields[outright[0]]);
    if respelt {
        columns.clone_from(&outright);
    }
    let Some(best) = columns.iter().min_by(|a, b| error(&alone[**a]).total_cmp(&error(&alone[**b]))) else {
        return Ok(None);
    };
    let percent = |right: &[bool]| 100.0 * right.iter().filter(|right| **right).count() as f64 / right.len() as f64;
    let hits = alone[*best].iter().filter(|right| **right).count();
    let (low, high) = clopper_pearson(hits, records.rows(), 0.95);
    let sure = match respelt {
        true => "each class has values of its own, far from the others'; as the other columns tell the class too, it may be \
                 an honest one"
            .to_owned(),
        false => format!(
            "p = {} against the other columns (sign test); a column that is simply the one that matters looks the same",
            p_value(sign_test(&alone[*best], &rest))
        ),
    };
    Ok(Some(Finding {
        trouble: Trouble::Leak,
        count: columns.len(),
        rows: Vec::new(),
        said: format!(
            "{} alone tells the class in {:.1}% of the rows not seen (95%: {:.1} to {:.1}%), all {} other columns together in \
             {:.1}%: was it known before the class was?",
            records.named(&columns),
            percent(&alone[*best]),
            100.0 * low,
            100.0 * high,
            others.len(),
            percent(&rest),
        ),
        sure,
        columns,
    }))
}

/// Whether a column is the class in another spelling: each class has its own values, and classes are at least as far from
/// each other as the values of any one.
fn spells(records: &Records, field: &Field) -> bool {
    let mut spans: HashMap<u32, (f64, f64)> = HashMap::new();
    for (row, class) in records.y.iter().enumerate() {
        let value = match &field.cells {
            Cells::Numbers(values) if values[row].is_nan() => return false,
            Cells::Numbers(values) => values[row],
            Cells::Names(codes) => f64::from(codes[row]),
        };
        let span = spans.entry(*class).or_insert((value, value));
        *span = (span.0.min(value), span.1.max(value));
    }
    let mut spans: Vec<(f64, f64)> = spans.into_values().collect();
    spans.sort_by(|a, b| a.0.total_cmp(&b.0));
    let widest = spans.iter().map(|(low, high)| high - low).fold(0.0, f64::max);
    // Names have no distances: each class must have one.
    let named = matches!(field.cells, Cells::Names(_));
    (!named || widest == 0.0) && spans.windows(2).all(|pair| pair[1].0 - pair[0].1 >= widest && pair[1].0 > pair[0].1)
}

/// In which rows a column alone is right, learnt from the other half.
fn right(records: &Records, field: &Field, folds: &[Split]) -> Result<Vec<bool>> {
    let mut right = vec![false; records.rows()];
    for fold in folds {
        let said = match &field.cells {
            Cells::Names(codes) => by_name(records, codes, fold),
            Cells::Numbers(values) => by_number(records, values, fold)?,
        };
        fold.test.iter().zip(said).for_each(|(row, class)| right[*row] = class == records.y[*row]);
    }
    Ok(right)
}

/// Each name's most frequent class (of equally frequent ones the lower); a name not seen is of no class.
fn by_name(records: &Records, codes: &[u32], fold: &Split) -> Vec<u32> {
    let mut counts: HashMap<u32, Vec<usize>> = HashMap::new();
    for row in &fold.train {
        let counts = counts.entry(codes[*row]).or_insert_with(|| vec![0; records.classes.len()]);
        counts[records.y[*row] as usize] += 1;
    }
    let most = |counts: &Vec<usize>| (0..counts.len()).max_by_key(|c| (counts[*c], usize::MAX - c)).unwrap_or(0) as u32;
    let most: HashMap<u32, u32> = counts.iter().map(|(name, counts)| (*name, most(counts))).collect();
    fold.test.iter().map(|row| most.get(&codes[*row]).copied().unwrap_or(u32::MAX)).collect()
}

/// A tree of a few splits; that a number is missing is a value below all others.
fn by_number(records: &Records, values: &[f64], fold: &Split) -> Result<Vec<u32>> {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let missing = if least.is_finite() { least - 1.0 - least.abs() } else { 0.0 };
    let column = |rows: &[usize]| {
        Array2::from_shape_fn((rows.len(), 1), |(i, _)| {
            let value = values[rows[i]];
            if value.is_nan() { missing } else { value }
        })
    };
    let labels: Vec<u32> = fold.train.iter().map(|row| records.y[*row]).collect();
    let depth = records.classes.len().ilog2() as usize + 3;
    let tree = Tree { min_leaf: 2.0, max_depth: Some(depth), ..Tree::cart() };
    let model = tree.fit(column(&fold.train).view(), &labels, records.classes.len(), None, Seed(0))?;
    Ok(model.predict(column(&fold.test).view()))
}

/// The mean over classes of the share of their rows that are right.
fn by_class(records: &Records, right: &[bool]) -> f64 {
    let counts = records.counts();
    let mut hits = vec![0usize; counts.len()];
    records.y.iter().zip(right).filter(|(_, right)| **right).for_each(|(class, _)| hits[*class as usize] += 1);
    let shares = hits.iter().zip(&counts).filter(|(_, n)| **n > 0).map(|(hits, n)| *hits as f64 / *n as f64);
    shares.sum::<f64>() / counts.iter().filter(|n| **n > 0).count() as f64
}

/// How probable it is that the first is right, and the second wrong, so often by chance.
fn sign_test(first: &[bool], second: &[bool]) -> f64 {
    let count = |a: &[bool], b: &[bool]| a.iter().zip(b).filter(|(a, b)| **a && !**b).count() as u64;
    let (better, worse) = (count(first, second), count(second, first));
    if better == 0 { 1.0 } else { binomial(better - 1, better + worse, 0.5).above }
}
