//! The words beside a query, one sentence a row, and their way into vectors and back.

use ndarray::{Array2, ArrayView2, Axis};
use quadrat_core::{Error, Result};
use quadrat_numeric::Csr;
use quadrat_numeric::layers::Real;

/// A sentence for each query. A bag without a known word, or a vector of zeros, is a missing one: its vector is zero, which is what
/// the encoder gets where there is no sentence.
#[derive(Debug, Clone)]
pub enum Sentences {
    /// Bags of words ([`Vocabulary::bags`](crate::training::Vocabulary::bags)).
    Bags(Csr),
    /// Vectors of the user's own, sentences x values.
    Vectors(Array2<f32>),
}

impl Sentences {
    /// No words at all, for so many queries.
    pub fn missing(queries: usize) -> Sentences {
        let mut bags = Csr::new(0);
        (0..queries).for_each(|_| bags.push_row([]));
        Sentences::Bags(bags)
    }

    /// Number of sentences.
    pub fn rows(&self) -> usize {
        match self {
            Sentences::Bags(bags) => bags.rows(),
            Sentences::Vectors(vectors) => vectors.nrows(),
        }
    }

    /// Values of a sentence: known words, or the length of its vector.
    pub fn width(&self) -> usize {
        match self {
            Sentences::Bags(bags) => bags.cols,
            Sentences::Vectors(vectors) => vectors.ncols(),
        }
    }

    /// Those of some rows, in their order.
    pub fn select(&self, rows: &[usize]) -> Sentences {
        match self {
            Sentences::Bags(bags) => {
                let mut some = Csr::new(bags.cols);
                for row in rows {
                    let (words, weights) = bags.row(*row);
                    some.push_row(words.iter().copied().zip(weights.iter().copied()));
                }
                Sentences::Bags(some)
            }
            Sentences::Vectors(vectors) => Sentences::Vectors(vectors.select(Axis(0), rows)),
        }
    }

    /// How many sentences say nothing.
    pub fn empty(&self) -> usize {
        (0..self.rows()).filter(|row| self.values(*row).all(|(_, value)| value == 0.0)).count()
    }

    pub(super) fn check_finite(&self) -> Result<()> {
        match (0..self.rows()).find(|row| self.values(*row).any(|(_, value)| !value.is_finite())) {
            Some(row) => {
                Err(Error::input(format!("sentence {row} (from 0)"), "a value that is not finite", "use finite values"))
            }
            None => Ok(()),
        }
    }

    /// The sentence's values with their places, at most those that are not zero.
    fn values(&self, row: usize) -> Box<dyn Iterator<Item = (usize, f32)> + '_> {
        match self {
            Sentences::Bags(bags) => {
                let (words, weights) = bags.row(row);
                Box::new(words.iter().map(|word| *word as usize).zip(weights.iter().copied()))
            }
            Sentences::Vectors(vectors) => Box::new(vectors.row(row).into_iter().copied().enumerate()),
        }
    }

    /// The vectors of some sentences: the sums of the rows of `table`, each times the sentence's value for it and `unit`.
    pub(super) fn embed<F: Real>(&self, table: ArrayView2<F>, unit: f64, rows: &[u32]) -> Array2<F> {
        let mut vectors = Array2::zeros((rows.len(), table.ncols()));
        for (row, mut vector) in rows.iter().zip(vectors.outer_iter_mut()) {
            for (place, value) in self.values(*row as usize) {
                vector.scaled_add(F::from_f64(unit * f64::from(value)), &table.row(place));
            }
        }
        vectors
    }

    /// The other way: adds to `table` the derivatives by it, from those by the vectors of [`embed`](Self::embed).
    pub(super) fn scatter<F: Real>(&self, unit: f64, rows: &[u32], slopes: ArrayView2<F>, table: &mut Array2<F>) {
        for (row, slope) in rows.iter().zip(slopes.outer_iter()) {
            for (place, value) in self.values(*row as usize) {
                table.row_mut(place).scaled_add(F::from_f64(unit * f64::from(value)), &slope);
            }
        }
    }
}
