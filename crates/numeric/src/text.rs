//! What turns texts into vectors.

use ndarray::Array2;
use quadrat_core::{Progress, Result, Seed};

/// Turns texts into vectors.
pub trait TextEncoder: std::fmt::Debug + Send + Sync {
    /// One row a text. Same texts and seed give the same rows, whatever the number of threads.
    ///
    /// # Errors
    /// No texts; whatever the encoder cannot do; cancelled.
    fn encode(&self, texts: &[String], seed: Seed, progress: &dyn Progress) -> Result<Encoded>;
}

/// Texts as vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    /// One row a text.
    pub rows: Array2<f32>,
    /// What a user should know of how they were made.
    pub notes: Vec<String>,
}
