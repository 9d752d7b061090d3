//! Hard negatives: what a search returns and should not.

use super::search;
use ndarray::{Array2, ArrayView2, Axis};
use quadrat_core::{Error, Lists, Progress, Result, Within};

/// Queries of a block.
const BLOCK: usize = 128;

/// For each query the `k` best rows that are not relevant to it, best first, after the first `skip_top` of them, which may be
/// relevant without anybody having said so (STAR's static negatives: Zhan et al. 2021, section 4.1). `relevant` lists the rows of
/// each query.
///
/// Returns queries x `k`. Cost: as [`search`] for `k` + `skip_top` and the longest list of relevant rows; memory beside the result
/// that of one block of 128 queries.
///
/// # Errors
/// Another number of lists than queries; a query without relevant rows; a relevant row that is not there; fewer rows that are not
/// relevant than asked for; as [`search`].
///
/// ```
/// use ndarray::array;
/// use quadrat_core::{Lists, Silent};
/// let rows = array![[1.0, 0.0], [0.9, 0.1], [0.5, 0.5], [0.0, 1.0]];
/// let mut relevant = Lists::default();
/// relevant.push([0]);
/// let negatives = quadrat_retrieval::dense::mine(rows.view(), array![[1.0, 0.0]].view(), &relevant, 2, 0, &Silent)?;
/// assert_eq!(negatives, array![[1, 2]]);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn mine(
    rows: ArrayView2<f32>,
    queries: ArrayView2<f32>,
    relevant: &Lists,
    k: usize,
    skip_top: usize,
    progress: &dyn Progress,
) -> Result<Array2<u32>> {
    if relevant.len() != queries.nrows() {
        let want = format!("one for each of {} queries", queries.nrows());
        return Err(Error::input("lists of relevant rows", relevant.len(), want));
    }
    let relevant: Vec<Vec<u32>> = relevant.iter().map(sorted).collect();
    for (query, own) in relevant.iter().enumerate() {
        let Some(last) = own.last() else {
            return Err(Error::input(format!("query {query}"), "no relevant row", "each query needs at least one"));
        };
        if *last as usize >= rows.nrows() {
            let want = format!("rows are 0 to {}", rows.nrows().saturating_sub(1));
            return Err(Error::input(format!("relevant row of query {query}"), last, want));
        }
        let left = rows.nrows() - own.len();
        if left < skip_top || left - skip_top < k {
            let want = format!("for query {query} only {left} rows are not relevant, {skip_top} of them to be skipped");
            return Err(Error::input("negatives", k, want));
        }
    }
    let mut negatives = Vec::with_capacity(queries.nrows() * k);
    progress.begin("mining", Some(queries.nrows().div_ceil(BLOCK) as u64));
    for (queries, relevant) in queries.axis_chunks_iter(Axis(0), BLOCK).zip(relevant.chunks(BLOCK)) {
        let most = relevant.iter().map(Vec::len).max().unwrap_or(0);
        let found = search(rows, queries, k + skip_top + most, None, &Within(progress))?;
        for (query, own) in relevant.iter().enumerate() {
            let others = found.of(query).0.iter().filter(|row| own.binary_search(row).is_err());
            negatives.extend(others.skip(skip_top).take(k));
        }
        progress.advance(1);
    }
    Array2::from_shape_vec((queries.nrows(), k), negatives).map_err(|e| Error::numeric("negatives", e.to_string()))
}

fn sorted(rows: &[u32]) -> Vec<u32> {
    let mut rows = rows.to_vec();
    rows.sort_unstable();
    rows.dedup();
    rows
}
