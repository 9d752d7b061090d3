//! Confident learning: which labels are probably wrong, given probabilities from elsewhere.
//!
//! A class's threshold is the mean probability that its own rows give it. A row whose probability reaches the threshold of
//! another class than its own is counted as one of that class: so the confident joint estimates how often a label stands
//! for which class, whatever the probabilities' calibration, as long as each class's are of one kind. Brought to the
//! labels' own counts, it says how many rows of each label are suspects: those that give their label the least probability,
//! which alone tells how probably it is wrong where labels go wrong without regard to the row.
//!
//! Northcutt, Jiang, Chuang: Confident Learning: Estimating Uncertainty in Dataset Labels. JAIR 70 (2021), arXiv
//! 1911.00068, sections 3.1 (the joint) and 3.2 (prune by class).

use ndarray::{Array2, ArrayView2, Axis};
use quadrat_core::{Error, Result};
use rayon::prelude::*;

/// A row whose label looks wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Suspect {
    /// The row.
    pub row: usize,
    /// Its label.
    pub given: u32,
    /// The class that it looks like.
    pub proposed: u32,
    /// The label's own probability: the smaller, the more suspect.
    pub own: f64,
}

/// What confident learning makes of labels and probabilities.
#[derive(Debug, Clone, PartialEq)]
pub struct Suspects {
    /// The suspects, most suspect first: by their label's probability, then by row.
    pub ranked: Vec<Suspect>,
    /// The mean probability that the rows of each class give it; NaN for a class without rows.
    pub thresholds: Vec<f64>,
    /// How many rows are labelled as the row's class and look like the column's: the confident joint, brought to the
    /// counts of the labels.
    pub joint: Array2<f64>,
}

/// Rows that a thread looks at at a time.
const BLOCK: usize = 8192;

/// Ranks the labels by how probably they are wrong. `probabilities` has a row a label and a column a class, and must come
/// from models that did not see the row (out of fold).
///
/// Two passes over the rows, shared by the threads: O(rows x classes) time, and memory for the suspects and one number a
/// row.
///
/// ```
/// use ndarray::array;
/// let p = array![[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.95, 0.05], [0.2, 0.8], [0.1, 0.9], [0.3, 0.7], [0.9, 0.1]];
/// let p = ndarray::concatenate![ndarray::Axis(0), p, p];
/// let labels = [0, 0, 0, 0, 1, 1, 1, 1].repeat(2);
/// let found = quadrat_robust::suspects(p.view(), &labels)?;
/// assert_eq!(found.ranked.iter().map(|s| s.row).collect::<Vec<_>>(), [2, 7, 10, 15]);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
///
/// # Errors
/// Lengths that differ, no rows, a label without a column, numbers that are no probabilities.
pub fn suspects(probabilities: ArrayView2<f64>, labels: &[u32]) -> Result<Suspects> {
    check(probabilities, labels)?;
    let p = probabilities.as_standard_layout();
    let classes = p.ncols();
    let p = p.as_slice().ok_or_else(|| Error::numeric("probabilities", "not row by row"))?;
    let blocks = || p.par_chunks(BLOCK * classes).zip(labels.par_chunks(BLOCK));
    let sums = blocks().map(|(p, labels)| {
        let mut sums = vec![(0.0, 0usize); classes];
        for (p, label) in p.chunks_exact(classes).zip(labels) {
            sums[*label as usize].0 += p[*label as usize];
            sums[*label as usize].1 += 1;
        }
        sums
    });
    // Blocks are added in their order, so that threads change nothing.
    let sums = sums.collect::<Vec<_>>().into_iter().fold(vec![(0.0, 0usize); classes], |mut all, block| {
        all.iter_mut().zip(block).for_each(|(a, b)| *a = (a.0 + b.0, a.1 + b.1));
        all
    });
    let thresholds: Vec<f64> = sums.iter().map(|(sum, rows)| sum / *rows as f64).collect();
    let counts: Vec<usize> = sums.iter().map(|(_, rows)| *rows).collect();
    let looks = blocks().enumerate().map(|(block, (p, labels))| {
        let mut counted = vec![0usize; classes * classes];
        let mut others = Vec::new();
        for (at, (p, label)) in p.chunks_exact(classes).zip(labels).enumerate() {
            let proposed = likeliest(p);
            if let Some(like) = class_of(p, &thresholds, proposed) {
                counted[*label as usize * classes + like as usize] += 1;
            }
            if proposed != *label {
                let own = p[*label as usize];
                others.push(Suspect { row: block * BLOCK + at, given: *label, proposed, own });
            }
        }
        (counted, others)
    });
    let (mut counted, mut others) = (vec![0usize; classes * classes], Vec::new());
    for (block, suspects) in looks.collect::<Vec<_>>() {
        counted.iter_mut().zip(block).for_each(|(all, block)| *all += block);
        others.extend(suspects);
    }
    let joint = joint(&counted, &counts);
    let ranked = prune(others, &joint);
    Ok(Suspects { ranked, thresholds, joint })
}

/// The class whose threshold a row reaches; of several the most probable class of all.
fn class_of(p: &[f64], thresholds: &[f64], likeliest: u32) -> Option<u32> {
    // As much as sums of single precision may be off.
    const SLACK: f64 = 1e-6;
    let mut reached = (0..p.len()).filter(|class| p[*class] >= thresholds[*class] - SLACK);
    let first = reached.next()?;
    Some(if reached.next().is_some() { likeliest } else { first as u32 })
}

/// The most probable class, of equally probable ones the lowest.
pub(super) fn likeliest<'a>(p: impl IntoIterator<Item = &'a f64>) -> u32 {
    let best = |(at, top): (u32, f64), (i, v): (u32, &f64)| if *v > top { (i, *v) } else { (at, top) };
    (0..).zip(p).fold((0, f64::NEG_INFINITY), best).0
}

/// Labels against the classes that rows look like, each label's row brought to its count.
fn joint(counted: &[usize], counts: &[usize]) -> Array2<f64> {
    let classes = counts.len();
    let mut joint = Array2::from_shape_fn((classes, classes), |(i, j)| counted[i * classes + j] as f64);
    for (class, mut row) in joint.outer_iter_mut().enumerate() {
        row[class] = row[class].max(1.0);
        let scale = counts[class] as f64 / row.sum();
        row *= scale;
    }
    joint
}

/// Of each label as many rows as the joint says look like other classes: those that give the label the least probability
/// (ties: the earlier rows), among `others`, to which another class is likelier.
fn prune(mut others: Vec<Suspect>, joint: &Array2<f64>) -> Vec<Suspect> {
    let wanted = |label: usize| joint.row(label).sum() - joint[[label, label]];
    let mut left: Vec<usize> = (0..joint.nrows()).map(|label| wanted(label).round() as usize).collect();
    others.par_sort_unstable_by(|a, b| a.own.total_cmp(&b.own).then(a.row.cmp(&b.row)));
    others.retain(|suspect| {
        let left = &mut left[suspect.given as usize];
        let kept = *left > 0;
        *left = left.saturating_sub(1);
        kept
    });
    others
}

fn check(p: ArrayView2<f64>, labels: &[u32]) -> Result<()> {
    if p.nrows() != labels.len() || labels.is_empty() {
        let want = format!("one row a label, at least one; there are {} labels", labels.len());
        return Err(Error::input("probabilities", format!("{} rows", p.nrows()), want));
    }
    if let Some(row) = labels.iter().position(|label| *label as usize >= p.ncols()) {
        let want = format!("the probabilities have {} columns", p.ncols());
        return Err(Error::input(format!("label of row {row}"), labels[row], want));
    }
    let bad = |p: &f64| !(-1e-6..=1.0 + 1e-6).contains(p);
    let blocks: Vec<ArrayView2<f64>> = p.axis_chunks_iter(Axis(0), BLOCK).collect();
    let wrong = blocks
        .par_iter()
        .enumerate()
        .find_map_first(|(block, p)| p.outer_iter().position(|p| p.iter().any(bad)).map(|row| block * BLOCK + row));
    if let Some(row) = wrong {
        let got = p.row(row).iter().find(|p| bad(p)).copied().unwrap_or(f64::NAN);
        return Err(Error::input(format!("probabilities of row {row}"), got, "probabilities are from 0 to 1"));
    }
    Ok(())
}
