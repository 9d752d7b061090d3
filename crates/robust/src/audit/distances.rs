//! Rows that nearly coincide with another, and rows that are far from all others.

use super::{Cells, Field, Finding, Records, Trouble, p_value};
use ndarray::Array2;
use quadrat_core::{Progress, Result, stats};
use quadrat_numeric::neighbours::nearest;
use rayon::prelude::*;
use std::collections::HashSet;

/// The chance of a finding where rows lie as any do, each of the two.
const FALSE_ALARMS: f64 = 0.001;

/// Neighbours of a row.
const K: usize = 5;

/// Distances are exact up to so many operations; beyond, rows are compared with a part of the others.
const MOST: usize = 400_000_000_000;

/// Fewer rows have no typical distance.
const FEWEST: usize = 50;

/// Rows of a class with fewer are far from others because there are few.
const SMALL_CLASS: usize = 20;

/// Columns of numbers of which at most every second value repeats: the others are steps, not measures.
fn measures(records: &Records, rows: &[usize]) -> Vec<usize> {
    let fine = |field: &Field| {
        let different: HashSet<u64> = rows.iter().map(|row| field.key(*row)).collect();
        matches!(field.cells, Cells::Numbers(_)) && 2 * different.len() > rows.len()
    };
    (0..records.fields.len()).into_par_iter().filter(|c| fine(&records.fields[*c])).collect()
}

/// What distances among `distinct` rows tell. Numbers are compared on the scale of their quartiles, and a missing one is
/// the column's median.
pub(super) fn look(
    records: &Records,
    distinct: &[usize],
    progress: &dyn Progress,
) -> Result<(Vec<Finding>, Vec<String>)> {
    let fine = measures(records, distinct);
    if distinct.len() < FEWEST || fine.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let x = scaled(records, &fine, distinct);
    let n = distinct.len();
    // Every `apart`-th row is one that all are compared with.
    let apart = (2 * n * fine.len()).div_ceil((MOST / n).max(1));
    let base: Vec<usize> = (0..n).step_by(apart).collect();
    let own = (apart == 1).then(|| (0..n).collect::<Vec<usize>>());
    // A row among those that others are compared with is its own nearest one.
    let k = K + usize::from(apart > 1);
    progress.begin("distances between rows", None);
    let near = nearest(x.select(ndarray::Axis(0), &base).view(), x.view(), own.as_deref(), k, progress)?;
    let distance = |i: usize, k: usize| {
        let itself = usize::from(apart > 1 && i.is_multiple_of(apart));
        near.of(i).1[(k - 1 + itself).min(near.k - 1)].sqrt()
    };
    let mut findings = Vec::new();
    let mut notes = Vec::new();
    if apart == 1 {
        findings.extend(near_copies(records, distinct, &fine, &near.index, near.k, &distance));
    } else {
        notes.push(format!(
            "distances: every row was compared with {} of {n}; near copies were not looked for",
            base.len()
        ));
    }
    findings.extend(far(records, distinct, &distance));
    Ok((findings, notes))
}

/// Numbers about their medians in units of the distance between the quartiles, or of the deviation where that is 0.
fn scaled(records: &Records, fields: &[usize], rows: &[usize]) -> Array2<f64> {
    let columns: Vec<Vec<f64>> = fields
        .par_iter()
        .map(|c| {
            let mut values = records.encoded(&[*c], rows).column(0).to_vec();
            let (low, middle, high) =
                (stats::quantile(&values, 0.25), stats::median(&values), stats::quantile(&values, 0.75));
            let spread = if high > low { (high - low) / 1.349 } else { stats::standard_deviation(&values) };
            let spread = if spread > 0.0 && spread.is_finite() { spread } else { 1.0 };
            values.iter_mut().for_each(|v| *v = ((*v - middle) / spread).clamp(-1e30, 1e30));
            values
        })
        .collect();
    Array2::from_shape_fn((rows.len(), fields.len()), |(i, j)| columns[j][i])
}

/// Pairs of rows that are much nearer to each other than either is to its next neighbours, and equal in all columns that
/// are no measures.
///
/// Among rows that lie evenly in `d` dimensions, the `d`-th power of nearest distance over fifth-nearest follows a beta law
/// (1, 4), whatever the density; `d` is estimated from these ratios themselves (Facco, d'Errico, Rodriguez and Laio,
/// Scientific Reports 7, 2017), by their median, which near copies do not move.
fn near_copies(
    records: &Records,
    distinct: &[usize],
    fine: &[usize],
    index: &[u32],
    k: usize,
    distance: &impl Fn(usize, usize) -> f64,
) -> Option<Finding> {
    // Where the density changes fast the law is off, but not by so much.
    const NEARLY_EQUAL: f64 = 0.1;
    // In fewer dimensions neighbours come as near as one likes by chance.
    const FEWEST_MEASURES: usize = 3;
    if fine.len() < FEWEST_MEASURES {
        return None;
    }
    let n = distinct.len();
    let ratios: Vec<f64> = (0..n)
        .map(|i| (i, distance(i, K)))
        .map(|(i, far)| if far > 0.0 { distance(i, 1) / far } else { 1.0 })
        .collect();
    // The median of a beta law (1, 4).
    let middle = 1.0 - 0.5_f64.powf(1.0 / (K as f64 - 1.0));
    let d = (middle.ln() / stats::median(&ratios).ln()).clamp(1.0, fine.len() as f64);
    let threshold = (FALSE_ALARMS / (n as f64 * (K as f64 - 1.0))).powf(1.0 / d).min(NEARLY_EQUAL);
    let others: Vec<&Field> =
        (0..records.fields.len()).filter(|c| !fine.contains(c)).map(|c| &records.fields[c]).collect();
    let mut found: Vec<(f64, usize, usize)> = (0..n)
        .filter(|i| ratios[*i] < threshold)
        .map(|i| (ratios[i], distinct[i], distinct[index[i * k] as usize]))
        .filter(|(_, a, b)| others.iter().all(|field| field.key(*a) == field.key(*b)))
        .collect();
    found.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let contradict = found.iter().filter(|(_, a, b)| records.y[*a] != records.y[*b]).count();
    let across =
        if contradict > 0 { format!(", {contradict} of them to a row of another class") } else { String::new() };
    (!found.is_empty()).then(|| Finding {
        trouble: Trouble::NearCopies,
        columns: Vec::new(),
        count: found.len(),
        rows: found.iter().map(|(_, row, _)| *row).collect(),
        said: format!("{} nearly equal to another{across}", if found.len() == 1 { "1 row is".to_owned() } else { format!("{} rows are", found.len()) }),
        sure: format!(
            "nearer than {threshold:.2} of the distance to the {K}th neighbour, which at most one file in {:.0} reaches by chance \
             ({d:.1} dimensions)",
            1.0 / FALSE_ALARMS
        ),
    })
}

/// Rows whose fifth neighbour is farther than the tail of all such distances goes on to.
///
/// The logarithms of the distances in the upper tenth fall off exponentially (Hill 1975, as tails of any power do), at a rate
/// taken from the spacings of the 10th to the 1st percentile from above, so that the farthest have no say in it; the
/// chance of a row so far or farther, among all, is that of a Pareto law with an estimated rate.
fn far(records: &Records, distinct: &[usize], distance: &impl Fn(usize, usize) -> f64) -> Option<Finding> {
    let n = distinct.len();
    let counts = records.counts();
    let mut order: Vec<(f64, usize)> = (0..n)
        .filter(|i| counts[records.y[distinct[*i]] as usize] >= SMALL_CLASS)
        .map(|i| (distance(i, K).max(1e-300).ln(), distinct[i]))
        .collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let (last, first) = (order.len() / 10, (order.len() / 100).max(2));
    // A rate from fewer spacings is worth nothing.
    const SPACINGS: usize = 10;
    if last < first + SPACINGS {
        return None;
    }
    let spacings = (first..last).map(|i| i as f64 * (order[i - 1].0 - order[i].0));
    let rate = spacings.sum::<f64>() / (last - first) as f64;
    let used = (last - first) as f64;
    if rate <= 0.0 {
        return None;
    }
    let start = order[last - 1].0;
    let chance = |log: f64| last as f64 * (1.0 + (log - start) / (rate * used)).powf(-used);
    let found = order.iter().take_while(|(log, _)| chance(*log) <= FALSE_ALARMS).count();
    (found > 0).then(|| {
        let typical = stats::median(&order.iter().map(|(log, _)| *log).collect::<Vec<f64>>());
        let are = if found == 1 { "row is" } else { "rows are" };
        Finding {
            trouble: Trouble::Outliers,
            columns: Vec::new(),
            count: found,
            rows: order[..found].iter().map(|(_, row)| *row).collect(),
            said: format!(
                "{found} {are} far from all others, the farthest {:.1} times as far from its {K}th neighbour as usual",
                (order[0].0 - typical).exp()
            ),
            sure: format!("p = {} for the farthest, by the tail of the distances", p_value(chance(order[0].0))),
        }
    })
}
