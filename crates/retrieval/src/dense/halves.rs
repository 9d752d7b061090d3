//! Rows in half precision.

use super::scan::{self, Stored};
use super::{Found, not_finite};
use half::f16;
use half::slice::HalfFloatSliceExt;
use ndarray::{Array2, ArrayView2};
use quadrat_core::{Progress, Result};
use std::ops::Range;

/// Rows rounded to 11 binary digits: 2 bytes a value. A block at a time becomes single precision again, and its scores are those of
/// the rounded vectors, exactly as [`search`](super::search) has them.
#[derive(Debug, Clone)]
pub struct Halves(Array2<f16>);

impl Halves {
    /// Rounds rows to half precision.
    ///
    /// # Errors
    /// A value that is not finite, or whose half is not: 65520 and above.
    pub fn of(rows: ArrayView2<f32>) -> Result<Self> {
        match rows.indexed_iter().find(|(_, value)| !f16::from_f32(**value).is_finite()) {
            Some(((row, column), value)) => Err(not_finite("row", row, column, *value)),
            None => Ok(Halves(rows.as_standard_layout().mapv(f16::from_f32))),
        }
    }

    /// The rounded rows.
    pub fn rows(&self) -> Array2<f32> {
        self.0.mapv(f16::to_f32)
    }

    /// [`search`](super::search) among the rounded rows; a block of rows in single precision more memory a thread.
    ///
    /// # Errors
    /// As [`search`](super::search).
    pub fn search(
        &self,
        queries: ArrayView2<f32>,
        k: usize,
        allowed: Option<&[u64]>,
        progress: &dyn Progress,
    ) -> Result<Found> {
        scan::search(self, queries, k, allowed, progress)
    }
}

impl Stored for Halves {
    fn shape(&self) -> (usize, usize) {
        self.0.dim()
    }

    fn block<'a>(&'a self, rows: Range<usize>, room: &'a mut Vec<f32>) -> &'a [f32] {
        let columns = self.0.ncols();
        let halves = self.0.as_slice().unwrap_or_default();
        room.resize(rows.len() * columns, 0.0);
        halves[rows.start * columns..rows.end * columns].convert_to_f32_slice(room);
        room
    }
}
