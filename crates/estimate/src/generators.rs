//! Methods that learn the law of rows and draw new rows from it.

use ndarray::{Array2, ArrayView2};
use quadrat_core::{Progress, Result, Seed};

/// Learns from rows and draws new ones.
pub trait Generator: Send + Sync {
    /// `rows` new rows with the columns and units of `x`. Same seed, same rows, whatever the number of threads.
    ///
    /// # Errors
    /// What the method says of rows it cannot learn from; the user's cancelling.
    fn draw(&self, x: ArrayView2<f64>, rows: usize, seed: Seed, progress: &dyn Progress) -> Result<Generated>;
}

/// New rows and what is to be known of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Generated {
    /// One a row, with the columns of what was learnt from.
    pub rows: Array2<f64>,
    /// The law that they are draws of, in words.
    pub law: String,
    /// Figures by name, as `effective sample size`.
    pub figures: Vec<(String, f64)>,
    /// What makes the rows less than they seem.
    pub warnings: Vec<String>,
}

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
