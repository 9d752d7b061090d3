//! Exact search among vectors: the rows with the largest inner products.
//!
//! Every query meets every row, in blocks that stay in the processor's cache; of each block only the scores above the k-th best
//! so far are looked at. Scores are [`products`](quadrat_numeric::products), whose bits depend on the two vectors alone: the answer is
//! the same for any number of threads and for a query alone or among others, and equal scores are ordered by the row's number, the
//! lowest first.
//!
//! - [`search`]: rows in single precision.
//! - [`Halves`]: rows in half precision, half the memory; the scores are those of the rounded vectors.
//! - [`Int8`]: beside the rows a byte a value; few rows are looked at in single precision, and the list is the same.
//! - [`mine`]: the hard negatives of training queries.
//!
//! Cosine similarity is the inner product of vectors of length 1: [`normalise`] them first.

mod best;
mod halves;
mod int8;
mod mine;
mod scan;
mod sieve;

pub use halves::Halves;
pub use int8::Int8;
pub use mine::mine;

use ndarray::{ArrayView2, ArrayViewMut2, CowArray, Ix2};
use quadrat_core::{Error, Progress, Result};
use scan::Stored;
use std::ops::Range;

/// The best rows of each query.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Found {
    /// Rows a query: what was asked for, or all that may be found if these are fewer.
    pub k: usize,
    /// Queries x `k`, row-major: numbers of rows, best first, the lowest first among equals.
    pub rows: Vec<u32>,
    /// Their scores.
    pub scores: Vec<f32>,
}

impl Found {
    /// Rows and scores of query `i`.
    pub fn of(&self, i: usize) -> (&[u32], &[f32]) {
        let span = i * self.k..(i + 1) * self.k;
        (&self.rows[span.clone()], &self.scores[span])
    }
}

/// The `k` rows with the largest inner products with each query.
///
/// `allowed` leaves out rows: bit `i % 64` of its word `i / 64` says whether row `i` may be found. No rows, or none allowed, give empty
/// lists; a `k` above their number gives all of them.
///
/// Cost: O(rows x queries x columns), shared by the threads; memory at most 64 bytes x `k` a query and thread, for 128 queries at a time.
///
/// # Errors
/// A `k` of 0; vectors of different lengths, or of none; values that are not finite, scores that single precision does not hold; an
/// `allowed` that is too short; more than 2^32 - 1 rows; the user's cancelling.
///
/// ```
/// use ndarray::array;
/// use quadrat_core::Silent;
/// use quadrat_retrieval::dense::search;
/// let rows = array![[1.0, 0.0], [0.0, 2.0], [1.0, 1.0], [0.0, 2.0]];
/// let found = search(rows.view(), array![[0.5, 1.0]].view(), 3, None, &Silent)?;
/// assert_eq!(found.of(0), (&[1, 3, 2][..], &[2.0, 2.0, 1.5][..]));
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn search(
    rows: ArrayView2<f32>,
    queries: ArrayView2<f32>,
    k: usize,
    allowed: Option<&[u64]>,
    progress: &dyn Progress,
) -> Result<Found> {
    let rows = Singles::new(&rows);
    scan::search(&rows.view(), queries, k, allowed, progress)
}

/// Makes the length of each row 1, so that inner products are cosines. A row of zeros stays one: its cosine to any other is 0.
pub fn normalise(mut rows: ArrayViewMut2<f32>) {
    for mut row in rows.rows_mut() {
        let length = row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        if length > 0.0 {
            row.mapv_inplace(|v| (f64::from(v) / length) as f32);
        }
    }
}

/// Rows in single precision, one behind the other.
struct Singles<'a>(CowArray<'a, f32, Ix2>);

struct View<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
}

impl<'a> Singles<'a> {
    fn new(rows: &'a ArrayView2<f32>) -> Self {
        Singles(rows.as_standard_layout())
    }

    fn view(&self) -> View<'_> {
        // In standard layout there is always a slice.
        View { values: self.0.as_slice().unwrap_or_default(), rows: self.0.nrows(), columns: self.0.ncols() }
    }
}

impl Stored for View<'_> {
    fn shape(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    fn block<'b>(&'b self, rows: Range<usize>, _room: &'b mut Vec<f32>) -> &'b [f32] {
        &self.values[rows.start * self.columns..rows.end * self.columns]
    }
}

/// That queries and `k` fit rows of so many columns.
fn check(queries: ArrayView2<f32>, columns: usize, k: usize) -> Result<()> {
    if k == 0 {
        return Err(Error::input("k", 0, "ask for at least 1 row"));
    }
    if columns == 0 || queries.ncols() != columns {
        let want = format!("rows have {columns} columns; both must have the same, at least 1");
        return Err(Error::input("columns of the queries", queries.ncols(), want));
    }
    match queries.indexed_iter().find(|(_, value)| !value.is_finite()) {
        Some(((query, column), value)) => Err(not_finite("query", query, column, *value)),
        None => Ok(()),
    }
}

fn not_finite(what: &str, row: usize, column: usize, value: f32) -> Error {
    Error::input(format!("{what} {row}, column {column} (from 0)"), value, "use finite values")
}

#[cfg(test)]
mod tests;
