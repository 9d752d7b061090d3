//! Weak and strong views of rows: images, or numbers of any other kind.

use ndarray::Array2;
use quadrat_core::{Error, Result, Rng, Seed, Settings};
use quadrat_nn::{Batch, Run};
use quadrat_numeric::rand_augment::{move_plane, rand_augment};
use quadrat_numeric::{by_rows, matrix};
use rayon::prelude::*;
use std::ops::Range;

/// How rows are changed. Images (of a network that takes images, with numbers from 0 to 1) are shifted by up to an eighth of their
/// sides for a weak view; RandAugment, cut-out and a shift make a strong one. Other rows get noise; a strong view has three
/// times as much, another scale (1 plus or minus up to twice the noise) and gaps.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct Views {
    /// Operations of RandAugment in a strong view of an image.
    #[param(default = 2)]
    pub operations: usize,
    /// Mirror images left to right, every second one.
    #[param(default = false)]
    pub flip: bool,
    /// Standard deviation of the noise in a weak view of a row of numbers, whose columns have one of about 1.
    #[param(default = 0.1, from = 0, to = 100)]
    pub noise: f32,
    /// Share of the numbers that are set to 0, the mean, in a strong view.
    #[param(default = 0.2, from = 0, below = 1)]
    pub gaps: f32,
    /// The images' shape; found by a run.
    pub shape: Option<[usize; 3]>,
}

/// Changes one row: by the views, its values, its own stream, and memory to be used again.
type Change<'a> = &'a (dyn Fn(&Views, &mut [f32], &mut Rng, &mut Vec<f32>) + Sync);

impl Views {
    pub(in crate::training) fn begin(&mut self, run: &Run<'_>) -> Result<()> {
        if !(self.noise >= 0.0 && self.noise.is_finite()) {
            return Err(Error::input("noise", self.noise, "0 or more"));
        }
        if !(0.0..1.0).contains(&self.gaps) {
            return Err(Error::input("gaps", self.gaps, "0 to below 1"));
        }
        self.shape = run.network.image();
        Ok(())
    }

    pub(in crate::training) fn told(&self) -> String {
        format!("operations={} flip={} noise={} gaps={}", self.operations, self.flip, self.noise, self.gaps)
    }

    /// Changes some rows of a batch, each by a stream of its place.
    pub(super) fn each(&self, batch: &mut Batch, rows: Range<usize>, seed: &Seed, change: Change) -> Result<()> {
        let (all, width) = batch.inputs.dim();
        let mut values: Vec<f32> = by_rows(std::mem::take(&mut batch.inputs)).into_iter().collect();
        let some = values[rows.start * width..rows.end * width].par_chunks_mut(width.max(1));
        some.zip(rows).for_each_init(Vec::new, |scratch, (own, row)| {
            change(self, own, &mut seed.rng(row as u64), scratch);
        });
        batch.inputs = matrix((all, width), values)?;
        Ok(())
    }

    pub(super) fn weak(&self, row: &mut [f32], rng: &mut Rng) {
        match self.shape {
            Some(shape) => self.shift(row, shape, rng),
            None => row.iter_mut().for_each(|v| *v += self.noise * rng.normal() as f32),
        }
    }

    pub(in crate::training) fn strong(&self, row: &mut [f32], rng: &mut Rng, scratch: &mut Vec<f32>) {
        self.changed(row, rng, scratch);
        if let Some(shape) = self.shape {
            self.shift(row, shape, rng);
        }
    }

    /// A strong view before it is shifted.
    pub(super) fn changed(&self, row: &mut [f32], rng: &mut Rng, scratch: &mut Vec<f32>) {
        match self.shape {
            Some(shape) => rand_augment(row, shape, self.operations, 0.5, rng, scratch),
            None => {
                let scale = 1.0 + 2.0 * self.noise * (2.0 * rng.uniform() as f32 - 1.0);
                for v in row {
                    let noisy = scale * *v + 3.0 * self.noise * rng.normal() as f32;
                    *v = if (rng.uniform() as f32) < self.gaps { 0.0 } else { noisy };
                }
            }
        }
    }

    /// Moves an image by up to an eighth of its sides; what becomes free is black.
    fn shift(&self, image: &mut [f32], [_, h, w]: [usize; 3], rng: &mut Rng) {
        let mut by = |side: usize| rng.below(2 * (side / 8) + 1) as isize - (side / 8) as isize;
        let (down, right) = (by(h), by(w));
        let mirrored = self.flip && rng.below(2) == 1;
        let mut old = Vec::new();
        for plane in image.chunks_exact_mut((h * w).max(1)) {
            move_plane(plane, [h, w], [down, right], mirrored, &mut old);
        }
    }
}

/// Rows of a batch as they were before any method changed them.
pub(super) fn plain(batch: &Batch) -> Result<&Array2<f32>> {
    batch.plain.as_ref().ok_or_else(|| Error::input("batch", "no rows as they were", "a training that keeps them"))
}
