//! How well queries find their own targets.

use ndarray::{ArrayView2, Axis};
use quadrat_core::{Error, Result, stats};

/// How well queries find their own targets among all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recall {
    /// The share of the queries whose target is the best of all, among the first 10, and among the first 50.
    pub at: [f64; 3],
    /// The median rank of the target, 1 at best.
    pub median_rank: f64,
}

/// The rank of each query's own target, a row of `gallery`, by inner products: 1 and the number of rows that score higher, or as high
/// and stand before it.
///
/// # Errors
/// Not one own target for each query, or one that is not in the gallery; vectors of different lengths.
pub fn ranks(queries: ArrayView2<f32>, gallery: ArrayView2<f32>, own: &[u32]) -> Result<Vec<usize>> {
    if queries.ncols() != gallery.ncols() {
        return Err(Error::input(
            "values of a query",
            queries.ncols(),
            format!("the gallery's rows have {}", gallery.ncols()),
        ));
    }
    if own.len() != queries.nrows() {
        return Err(Error::input("own targets", own.len(), format!("one for each of {} queries", queries.nrows())));
    }
    if let Some(row) = own.iter().find(|row| **row as usize >= gallery.nrows()) {
        return Err(Error::input("own target", row, format!("the gallery has {} rows", gallery.nrows())));
    }
    let mut ranks = Vec::with_capacity(own.len());
    // Blocks bound the memory.
    for (queries, own) in queries.axis_chunks_iter(Axis(0), 256).zip(own.chunks(256)) {
        let scores = queries.dot(&gallery.t());
        for (scores, own) in scores.outer_iter().zip(own) {
            let own = *own as usize;
            let least = scores[own];
            let better =
                scores.iter().enumerate().filter(|(row, score)| **score > least || (**score == least && *row < own));
            ranks.push(1 + better.count());
        }
    }
    Ok(ranks)
}

/// Shares and median of [`ranks`], of which there must be one at least.
pub fn recall(ranks: &[usize]) -> Recall {
    let within = |k: usize| ranks.iter().filter(|rank| **rank <= k).count() as f64 / ranks.len() as f64;
    let median_rank = stats::median(&ranks.iter().map(|rank| *rank as f64).collect::<Vec<_>>());
    Recall { at: [within(1), within(10), within(50)], median_rank }
}
