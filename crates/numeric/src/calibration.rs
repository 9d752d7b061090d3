//! How far class probabilities can be trusted: as probabilities (NLL, Brier's score, calibration error) and as a ranking
//! of one's own errors (risk-coverage). Accuracy and ranking by class are in [`metrics`](crate::metrics).
//!
//! Probabilities are `n x K`, one row a sample, rows summing to 1 within 1e-3; labels are `n` classes from 0 to K - 1. A
//! row's prediction is its most probable class (the first where several tie), its *confidence* that probability. Sums
//! are in double precision and do not depend on the number of threads.
//!
//! # Errors
//! All functions refuse: no rows; as many labels as there are not rows; a label that is no column; and a row with a value
//! that is not finite or a probability below 0 or above 1, or a sum other than 1, by more than 1e-3. The first such row
//! is named, counted from 0.
//!
//! ```
//! use ndarray::array;
//! use quadrat_numeric::calibration::{Scheme, ece, temperature};
//! let sure = array![[0.9_f32, 0.1], [0.9, 0.1], [0.1, 0.9], [0.1, 0.9]];
//! let labels = [0, 1, 1, 1];
//! // Ninety percent sure, right three times in four.
//! assert!((ece(sure.view(), &labels, 10, Scheme::EqualWidth)? - 0.15).abs() < 1e-6);
//! // Divided by 2, the logits' confidence is 0.75.
//! let warmth = temperature(sure.mapv(f32::ln).view(), &labels)?;
//! assert!((warmth - 2.0).abs() < 1e-6);
//! # Ok::<(), quadrat_core::Error>(())
//! ```

use crate::points::RowMajor;
use ndarray::{Array2, ArrayView1, ArrayView2, s};
use quadrat_core::{Error, Result};
use rayon::prelude::*;
use std::cmp::Reverse;

/// Rows a parallel step: fixed, so that sums do not depend on the number of threads.
const CHUNK: usize = 4096;
/// How far from 1 a row may sum, and a probability lie outside 0 to 1.
const SLACK: f64 = 1e-3;
/// The most bins there can be.
const MOST_BINS: usize = 1_000_000;

/// Mean of -ln p(label), in nats; probabilities are held at least 1e-12 away from 0, so that one certain error costs 28
/// and not infinity. Reads the probabilities once.
///
/// # Errors
/// Those of the [module](self).
pub fn nll(probabilities: ArrayView2<f32>, labels: &[u32]) -> Result<f64> {
    mean(probabilities, labels, |row, label| -f64::from(row[label]).max(1e-12).ln())
}

/// Brier's score: mean over rows of the squared distance between probabilities and truth, summed over all classes (0
/// to 2). Reads the probabilities once.
///
/// # Errors
/// Those of the [module](self).
pub fn brier(probabilities: ArrayView2<f32>, labels: &[u32]) -> Result<f64> {
    mean(probabilities, labels, |row, label| {
        let squares: f64 = row.iter().map(|p| f64::from(*p).powi(2)).sum();
        squares + 1.0 - 2.0 * f64::from(row[label])
    })
}

/// Where the bins of confidences begin and end. A bin holds confidences above `lo` and up to `hi`; the first also 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Bin i of B is i/B to (i+1)/B, compared in single precision: a confidence written 0.3 is in the bin up to 3/10.
    EqualWidth,
    /// As many rows in each as can be: bin i ends at the ceil((i+1) n/B)-th smallest confidence, the last at 1. Rows of
    /// equal confidence share a bin, whatever their order, so bins are uneven or empty where many are equal.
    EqualMass,
}

/// A row of a reliability table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bin {
    /// Confidences are above this; those of the first bin may equal it (0).
    pub lo: f64,
    /// Confidences are at most this; 1 for the last bin.
    pub hi: f64,
    /// Number of rows in the bin.
    pub count: usize,
    /// Their mean confidence; NaN if there are none.
    pub confidence: f64,
    /// The share of them that is right; NaN if there are none.
    pub accuracy: f64,
}

/// The reliability table: `bins` bins in ascending order, empty ones included.
///
/// Cost: reads the probabilities once; [`Scheme::EqualMass`] also sorts the confidences. 8 bytes a row.
///
/// # Errors
/// Those of the [module](self); `bins` outside 1 to 1,000,000.
pub fn reliability(probabilities: ArrayView2<f32>, labels: &[u32], bins: usize, scheme: Scheme) -> Result<Vec<Bin>> {
    if bins == 0 || bins > MOST_BINS {
        return Err(Error::input("bins", bins, format!("use 1 to {MOST_BINS}; 10 and 15 are common")));
    }
    let outcomes = outcomes(probabilities, labels)?;
    let ends: Vec<f32> = match scheme {
        Scheme::EqualWidth => (1..=bins).map(|i| (i as f64 / bins as f64) as f32).collect(),
        Scheme::EqualMass => {
            let mut ascending: Vec<f32> = outcomes.iter().map(|o| o.confidence).collect();
            ascending.sort_unstable_by(f32::total_cmp);
            let n = ascending.len() as u128;
            let rank = |i: usize| (i as u128 * n).div_ceil(bins as u128) as usize;
            (1..bins).map(|i| ascending[rank(i) - 1].min(1.0)).chain([1.0]).collect()
        }
    };
    // Rounding may leave a confidence a little above 1: the last bin takes all that is left.
    let inner = &ends[..bins - 1];
    let mut tallies = vec![(0_usize, 0_usize, 0.0_f64); bins];
    for Outcome { confidence, right } in outcomes {
        let bin = match scheme {
            // Right but for rounding, so the walk is a step at most.
            Scheme::EqualWidth => {
                let mut bin = ((confidence * bins as f32) as usize).min(bins - 1);
                while bin > 0 && confidence <= inner[bin - 1] {
                    bin -= 1;
                }
                while bin < bins - 1 && confidence > inner[bin] {
                    bin += 1;
                }
                bin
            }
            Scheme::EqualMass => inner.partition_point(|end| *end < confidence),
        };
        let (count, hits, total) = &mut tallies[bin];
        *count += 1;
        *hits += usize::from(right);
        *total += f64::from(confidence);
    }
    let end = |i: usize| match scheme {
        Scheme::EqualWidth => i as f64 / bins as f64,
        Scheme::EqualMass => i.checked_sub(1).map_or(0.0, |i| f64::from(ends[i])),
    };
    let table = tallies.iter().enumerate().map(|(i, &(count, hits, total))| Bin {
        lo: end(i),
        hi: end(i + 1),
        count,
        confidence: total / count as f64,
        accuracy: hits as f64 / count as f64,
    });
    Ok(table.collect())
}

/// Expected calibration error: the mean over rows of |accuracy - mean confidence| of the row's bin, 0 to 1. Fewer bins
/// hide errors that cancel, more bins count noise as error: compare only figures with the same bins.
///
/// Cost and errors: those of [`reliability`].
pub fn ece(probabilities: ArrayView2<f32>, labels: &[u32], bins: usize, scheme: Scheme) -> Result<f64> {
    let gaps = gaps(probabilities, labels, bins, scheme)?;
    Ok(gaps.iter().map(|(count, gap)| count * gap).sum::<f64>() / labels.len() as f64)
}

/// Maximum calibration error: the largest |accuracy - mean confidence| of a bin with rows in it, 0 to 1. One row alone
/// in its bin can decide it; equal masses avoid that.
///
/// Cost and errors: those of [`reliability`].
pub fn mce(probabilities: ArrayView2<f32>, labels: &[u32], bins: usize, scheme: Scheme) -> Result<f64> {
    let gaps = gaps(probabilities, labels, bins, scheme)?;
    Ok(gaps.iter().map(|(_, gap)| *gap).fold(0.0, f64::max))
}

/// Number of rows and |accuracy - mean confidence| of each bin with rows in it.
fn gaps(probabilities: ArrayView2<f32>, labels: &[u32], bins: usize, scheme: Scheme) -> Result<Vec<(f64, f64)>> {
    let table = reliability(probabilities, labels, bins, scheme)?;
    let filled = table.iter().filter(|bin| bin.count > 0);
    Ok(filled.map(|bin| (bin.count as f64, (bin.accuracy - bin.confidence).abs())).collect())
}

/// Area under the risk-coverage curve: the mean over j = 1..n of the share of errors among the j most confident rows, 0
/// to 1. Low when the model is right, and when it is least sure where it is wrong. Rows of equal confidence keep their
/// order, which decides their contribution.
///
/// Cost: reads the probabilities once and sorts the confidences. 16 bytes a row.
///
/// # Errors
/// Those of the [module](self).
pub fn aurc(probabilities: ArrayView2<f32>, labels: &[u32]) -> Result<f64> {
    Ok(risk_coverage(probabilities, labels)?.0)
}

/// [`aurc`] less that of the best order of the same rows, all errors last (Geifman, Uziel and El-Yaniv 2019): what the
/// ranking costs, whatever the accuracy. 0 is best. Cost and errors as there.
pub fn excess_aurc(probabilities: ArrayView2<f32>, labels: &[u32]) -> Result<f64> {
    let (area, errors) = risk_coverage(probabilities, labels)?;
    let n = labels.len();
    let best: f64 = (1..=errors).map(|j| j as f64 / (n - errors + j) as f64).sum();
    Ok(area - best / n as f64)
}

/// The area and the number of errors.
fn risk_coverage(probabilities: ArrayView2<f32>, labels: &[u32]) -> Result<(f64, usize)> {
    // Confidences are positive: their bits are in the order of their values and leave one free for the outcome. Sorting
    // four bytes a row is twice as fast as sorting pairs.
    let key = |o: &Outcome| (o.confidence.to_bits() << 1) | u32::from(!o.right);
    let mut keys: Vec<u32> = outcomes(probabilities, labels)?.iter().map(key).collect();
    keys.sort_by_key(|key| Reverse(key >> 1));
    let (mut errors, mut area) = (0, 0.0);
    for (j, key) in keys.iter().enumerate() {
        errors += (key & 1) as usize;
        area += errors as f64 / (j + 1) as f64;
    }
    Ok((area / labels.len() as f64, errors))
}

/// Softmax of logits over a temperature, row by row: probabilities of the classes.
///
/// ```
/// use ndarray::array;
/// use quadrat_numeric::calibration::probabilities;
/// let p = probabilities(array![[0.0, 0.0], [1000.0, 0.0]].view(), 1.0);
/// assert_eq!(p, array![[0.5, 0.5], [1.0, 0.0]]);
/// ```
pub fn probabilities(logits: ArrayView2<f32>, temperature: f64) -> Array2<f32> {
    let mut p = logits.mapv(|z| (f64::from(z) / temperature) as f32);
    for mut row in p.outer_iter_mut() {
        let top = row.fold(f32::MIN, |top, &z| top.max(z));
        row.mapv_inplace(|z| (z - top).exp());
        let sum = row.sum();
        row.mapv_inplace(|v| v / sum);
    }
    p
}

/// The class with the largest score (logit or probability) in each row, the first of equals.
pub fn likeliest(scores: ArrayView2<f32>) -> Vec<u32> {
    let best = |row: ArrayView1<f32>| (0..row.len()).fold(0, |best, k| if row[k] > row[best] { k } else { best });
    scores.outer_iter().map(|row| best(row) as u32).collect()
}

/// The temperatures that [`temperature`] considers.
const TEMPERATURES: (f64, f64) = (0.01, 100.0);

/// Temperature scaling (Guo et al. 2017): the T > 0 for which softmax(logits / T) has the least NLL. Fit it on rows
/// that the model was not trained on. It changes no prediction, only confidences.
///
/// NLL is convex in 1/T, so its derivative changes sign once. Its zero is found in ln T by Newton's steps inside a bracket,
/// which is halved where a step would leave it or is not much shorter than the last. T is exact to about 1e-9 of itself, and held to 0.01 to 100: an end comes back
/// where every row is right (NLL falls as T does) or the logits say nothing about the labels.
///
/// Cost: about ten passes over the logits, no copy of them.
///
/// # Errors
/// Those of the [module](self) that are not about probabilities: `n x K` logits may be any finite numbers.
pub fn temperature(logits: ArrayView2<f32>, labels: &[u32]) -> Result<f64> {
    check_labels("logits", logits, labels)?;
    crate::check_finite("logits", logits)?;
    let (mut low, mut high) = (TEMPERATURES.0.ln(), TEMPERATURES.1.ln());
    // The slope in 1/T rises with 1/T: positive slopes ask for a higher T.
    if slope(logits, labels, high).0 >= 0.0 {
        return Ok(TEMPERATURES.1);
    }
    if slope(logits, labels, low).0 <= 0.0 {
        return Ok(TEMPERATURES.0);
    }
    let (mut at, mut last) = (0.0_f64, high - low);
    while high - low > 1e-10 {
        let (value, change) = slope(logits, labels, at);
        if value > 0.0 {
            low = at
        } else {
            high = at
        }
        let step = -value / change;
        if step.abs() < 1e-10 {
            break;
        }
        let next = at + step;
        // Either steps halve or the bracket does. NaN and infinity are not inside.
        let newton = next > low && next < high && step.abs() <= 0.5 * last;
        let next = if newton { next } else { 0.5 * (low + high) };
        last = (next - at).abs();
        at = next;
    }
    Ok(at.exp())
}

/// Of the mean NLL at temperature T = exp(`log_t`): its derivative in b = 1/T, the mean of E[z] - z_label, and how that
/// changes with ln T, the mean of -b Var[z]; E and Var over the softmax of b z.
fn slope(logits: ArrayView2<f32>, labels: &[u32], log_t: f64) -> (f64, f64) {
    let b = (-log_t).exp();
    let sums = chunks(logits, labels, |rows, labels| {
        let mut sums = (0.0, 0.0);
        for (z, label) in rows.outer_iter().zip(labels) {
            let top = z.iter().fold(f32::NEG_INFINITY, |top, v| top.max(*v));
            // Relative to the largest logit, so that nothing overflows.
            let (mut mass, mut first, mut second) = (0.0, 0.0, 0.0);
            for v in z {
                let v = f64::from(*v) - f64::from(top);
                let p = (b * v).exp();
                mass += p;
                first += p * v;
                second += p * v * v;
            }
            let expected = first / mass;
            sums.0 += expected - (f64::from(z[*label as usize]) - f64::from(top));
            sums.1 += (second / mass - expected * expected).max(0.0);
        }
        sums
    });
    let total = sums.iter().fold((0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1));
    (total.0 / labels.len() as f64, -b * total.1 / labels.len() as f64)
}

/// What became of a row.
#[derive(Clone, Copy)]
struct Outcome {
    confidence: f32,
    right: bool,
}

fn outcomes(probabilities: ArrayView2<f32>, labels: &[u32]) -> Result<Vec<Outcome>> {
    let found = checked(probabilities, labels, |row, label, confidence| {
        let right = row[label] == confidence && !row[..label].contains(&confidence);
        Outcome { confidence, right }
    })?;
    Ok(found.concat())
}

fn mean(probabilities: ArrayView2<f32>, labels: &[u32], loss: impl Fn(&[f32], usize) -> f64 + Sync) -> Result<f64> {
    let losses = checked(probabilities, labels, |row, label, _| loss(row, label))?;
    let sums = losses.iter().map(|chunk| chunk.iter().sum::<f64>());
    Ok(sums.sum::<f64>() / labels.len() as f64)
}

/// `each` of every row, its label and its greatest value, in chunks, after the checks that the module promises.
fn checked<T: Send>(
    probabilities: ArrayView2<f32>,
    labels: &[u32],
    each: impl Fn(&[f32], usize, f32) -> T + Sync,
) -> Result<Vec<Vec<T>>> {
    check_labels("probabilities", probabilities, labels)?;
    let of_chunk = |rows: ArrayView2<f32>, labels: &[u32]| {
        // Rows as slices: those that do not lie together are copied, chunk by chunk.
        let values = RowMajor::of(rows);
        let mut found = Vec::with_capacity(labels.len());
        for (at, (row, label)) in values.values().chunks_exact(rows.ncols()).zip(labels).enumerate() {
            let (mut sum, mut least, mut most) = (0.0, f32::INFINITY, f32::NEG_INFINITY);
            for p in row {
                sum += f64::from(*p);
                // Comparisons are one instruction each, `min` and `max` with their care for NaN several.
                least = if *p < least { *p } else { least };
                most = if *p > most { *p } else { most };
            }
            // A value that is not finite makes the sum so.
            let fits = (sum - 1.0).abs() <= SLACK && f64::from(least) >= -SLACK && f64::from(most) <= 1.0 + SLACK;
            if !fits {
                return Err(at);
            }
            found.push(each(row, *label as usize, most));
        }
        Ok(found)
    };
    let found = chunks(probabilities, labels, of_chunk).into_iter().enumerate();
    found.map(|(chunk, rows)| rows.map_err(|at| no_distribution(probabilities, chunk * CHUNK + at))).collect()
}

/// `work` on the rows and labels of each chunk, in parallel.
fn chunks<T: Send>(x: ArrayView2<f32>, labels: &[u32], work: impl Fn(ArrayView2<f32>, &[u32]) -> T + Sync) -> Vec<T> {
    let pairs = labels.par_chunks(CHUNK).enumerate();
    pairs.map(|(i, labels)| work(x.slice(s![i * CHUNK..i * CHUNK + labels.len(), ..]), labels)).collect()
}

fn check_labels(what: &str, x: ArrayView2<f32>, labels: &[u32]) -> Result<()> {
    let (n, classes) = x.dim();
    if n == 0 || n != labels.len() {
        let want = format!("there are {n} rows of {what}; give one label each for at least one");
        return Err(Error::input("labels", labels.len(), want));
    }
    match labels.par_iter().position_first(|label| *label as usize >= classes) {
        Some(row) => {
            let want = format!("there are {classes} columns of {what}; classes count from 0");
            Err(Error::input(format!("label of row {row}"), labels[row], want))
        }
        None => Ok(()),
    }
}

/// Says what is wrong with a row that is no distribution over the classes.
fn no_distribution(probabilities: ArrayView2<f32>, row: usize) -> Error {
    let values = probabilities.row(row);
    let place = |class: usize| format!("probabilities, row {row}, column {class}");
    if let Some(class) = values.iter().position(|p| !p.is_finite()) {
        return Error::input(place(class), values[class], "values must be finite");
    }
    if let Some(class) = values.iter().position(|p| (f64::from(*p) - 0.5).abs() > 0.5 + SLACK) {
        return Error::input(place(class), values[class], "probabilities lie between 0 and 1; softmax logits first");
    }
    let sum: f64 = values.iter().map(|p| f64::from(*p)).sum();
    let want = format!("a row must sum to 1 within {SLACK}; softmax logits first");
    Error::input(format!("probabilities, row {row}"), format!("a sum of {sum}"), want)
}

#[cfg(test)]
mod tests;
