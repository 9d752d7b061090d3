//! The audit: how much of a test set is already in the training set.

use super::{check_both, similarity};
use ndarray::ArrayView2;
use quadrat_core::{Error, Progress, Result};
use quadrat_numeric::Metric;
use quadrat_numeric::neighbours::nearest_f32;
use std::collections::{BTreeMap, BTreeSet};

/// The similarity of each test row to the training row most similar to it: the cosine, from -1 to 1, or
/// 1 / (1 + Euclidean distance), above 0 and up to 1.
///
/// Cost: O(n m d) for n x d training and m x d test values, at the speed of a matrix product.
///
/// # Errors
/// No rows, widths that differ, values that are not finite, a row of zeros under the cosine; the user's cancelling.
///
/// ```
/// use ndarray::array;
/// use quadrat_numeric::Metric;
/// let (train, test) = (array![[1.0, 0.0], [0.0, 2.0]], array![[0.0, 1.0], [1.0, 1.0]]);
/// let near = quadrat_select::nn_similarity(train.view(), test.view(), Metric::Cosine, &quadrat_core::Silent)?;
/// assert_eq!(near[0], 1.0);
/// assert!((near[1] - 0.5_f64.sqrt()).abs() < 1e-12);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn nn_similarity(
    train: ArrayView2<f32>,
    test: ArrayView2<f32>,
    metric: Metric,
    progress: &dyn Progress,
) -> Result<Vec<f64>> {
    check_both(train, test, metric)?;
    let near = nearest_f32(train, test, None, 1, metric, progress)?;
    Ok(near.squared.into_iter().map(|distance| similarity(distance, metric)).collect())
}

/// A judgement: how relevant a document is to a query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Qrel {
    /// The query.
    pub query: usize,
    /// The document; numbers are shared by training and test judgements.
    pub document: usize,
    /// The grade.
    pub relevance: f64,
}

/// How many test queries ask for documents that training queries asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OverlapReport {
    /// Test queries with a relevant document.
    pub queries: usize,
    /// Those among them that overlap.
    pub overlapping: usize,
    /// `overlapping / queries`; 0 without queries.
    pub share: f64,
}

/// Relevance overlap: a test query overlaps when at least `min_overlap` of its relevant documents are relevant to a
/// training query. A document is relevant from the grade `threshold` on.
///
/// The paper's text asks for one such document (`min_overlap` 1); its published script counts from two on.
///
/// # Errors
/// A grade or threshold that is NaN; `min_overlap` of 0.
///
/// ```
/// use quadrat_select::{Qrel, overlap_report};
/// let judged = |query, document| Qrel { query, document, relevance: 1.0 };
/// let report = overlap_report(&[judged(0, 7)], &[judged(0, 7), judged(0, 8), judged(1, 9)], 1.0, 1)?;
/// assert_eq!((report.queries, report.overlapping, report.share), (2, 1, 0.5));
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn overlap_report(train: &[Qrel], test: &[Qrel], threshold: f64, min_overlap: usize) -> Result<OverlapReport> {
    if min_overlap == 0 {
        return Err(Error::input("min_overlap", 0, "use at least 1"));
    }
    if threshold.is_nan() || train.iter().chain(test).any(|judged| judged.relevance.is_nan()) {
        return Err(Error::input("relevance", "NaN", "grades and their threshold must be numbers"));
    }
    let relevant = |judged: &&Qrel| judged.relevance >= threshold;
    let known: BTreeSet<usize> = train.iter().filter(relevant).map(|judged| judged.document).collect();
    let mut shared: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for judged in test.iter().filter(relevant) {
        let documents = shared.entry(judged.query).or_default();
        if known.contains(&judged.document) {
            documents.insert(judged.document);
        }
    }
    let overlapping = shared.values().filter(|documents| documents.len() >= min_overlap).count();
    let share = if shared.is_empty() { 0.0 } else { overlapping as f64 / shared.len() as f64 };
    Ok(OverlapReport { queries: shared.len(), overlapping, share })
}
