//! What every model that makes rows can do.

use ndarray::{Array2, ArrayView2};
use quadrat_core::{Result, Seed};

/// A law that rows can be drawn from.
pub trait GenerativeModel: Sync {
    /// Columns of a row.
    fn columns(&self) -> usize;

    /// `rows` independent draws, one a row; the same seed gives the same rows whatever the number of threads.
    fn sample(&self, rows: usize, seed: Seed) -> Array2<f64>;

    /// The natural logarithm of the density at each row of `x`, where the model has one; `seed` is for models that
    /// estimate theirs.
    ///
    /// # Errors
    /// Columns that differ in number, and values that are not finite.
    fn log_density(&self, _x: ArrayView2<f64>, _seed: Seed) -> Result<Option<Vec<f64>>> {
        Ok(None)
    }
}
