//! Inputs that are left out at random, so that a model of several learns to do without one.

use ndarray::Array2;
use quadrat_core::{Error, Result, Seed};
use quadrat_numeric::layers::Real;

/// Leaves out one kind of input, row by row, with probability p: its rows become zero, which is also what a missing one is when the
/// model is used. What is kept keeps its size: it is not divided by 1 - p, since rows with and without the input are both what the
/// model will meet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ModalityDropout {
    p: f64,
}

impl ModalityDropout {
    /// With probability `p`, 0 to 1.
    ///
    /// # Errors
    /// A `p` outside.
    pub fn new(p: f64) -> Result<ModalityDropout> {
        match (0.0..=1.0).contains(&p) {
            true => Ok(ModalityDropout { p }),
            false => Err(Error::input("dropout", p, "a probability is from 0 to 1")),
        }
    }

    /// Erases rows of `x`, which stand for `rows` of the data, and says which, for the way back. Whether row i is erased depends on the
    /// seed and i, not on the order of the batch.
    pub fn apply<F: Real>(&self, x: &mut Array2<F>, rows: &[u32], seed: Seed) -> Vec<bool> {
        let seed = seed.stream("modality dropout");
        let dropped: Vec<bool> = rows.iter().map(|row| seed.rng(u64::from(*row)).uniform() < self.p).collect();
        erase(x, &dropped);
        dropped
    }
}

/// Makes rows zero.
pub(super) fn erase<F: Real>(x: &mut Array2<F>, dropped: &[bool]) {
    for (mut row, _) in x.outer_iter_mut().zip(dropped).filter(|(_, dropped)| **dropped) {
        row.fill(F::zero());
    }
}
