//! A built-in set that is read once and drawn from in every repetition.

use super::resized;
use ndarray::{Array2, Axis};
use quadrat_core::{Error, Result, Seed};
use quadrat_data::builtin;
use quadrat_nn::{Samples, Targets};

/// All rows of a set.
pub(super) struct Pool {
    x: Array2<f32>,
    y: Vec<u32>,
    classes: usize,
    /// Columns on scales of their own; pixels have one already.
    columns: bool,
}

impl Pool {
    /// Pixels go from 0 to 1; images of 28 pixels a side are made half as wide and high.
    pub(super) fn read(name: &str) -> Result<Self> {
        let (x, y, classes) = builtin::labelled(name)?;
        let x = x.mapv(|v| v as f32);
        let (x, columns) = match name {
            "mnist" | "fashion-mnist" => (resized(&(x / 255.0), 28, 14)?, false),
            "digits" => (x / 16.0, false),
            _ => (x, true),
        };
        Ok(Pool { x, y, classes: classes.len(), columns })
    }

    /// Rows to train on and others to test on, drawn at random. Columns are centred and scaled by the training rows.
    pub(super) fn draw(&self, train: usize, test: usize, seed: Seed) -> Result<(Samples, Samples)> {
        if train + test > self.y.len() {
            return Err(Error::input("rows", train + test, format!("at most {}", self.y.len())));
        }
        let rows = seed.stream("split").rng(0).sample(self.y.len(), train + test);
        let (a, b) = rows.split_at(train);
        let (mut x, mut test_x) = (self.x.select(Axis(0), a), self.x.select(Axis(0), b));
        if self.columns {
            for (mut a, mut b) in x.columns_mut().into_iter().zip(test_x.columns_mut()) {
                let (mean, deviation) = (a.mean().unwrap_or(0.0), a.std(0.0).max(1e-6));
                a.mapv_inplace(|v| (v - mean) / deviation);
                b.mapv_inplace(|v| (v - mean) / deviation);
            }
        }
        let labels = |rows: &[usize]| rows.iter().map(|row| self.y[*row]).collect();
        Ok((Samples::classes(x, labels(a), self.classes)?, Samples::classes(test_x, labels(b), self.classes)?))
    }
}

/// Gives this share of the labels any class, the right one included.
pub(super) fn add_noise(samples: &mut Samples, share: f64, seed: Seed) {
    if let Targets::Classes { labels, classes } = &mut samples.targets {
        let mut rng = seed.stream("noise").rng(0);
        for label in labels.iter_mut() {
            if rng.uniform() < share {
                *label = rng.below(*classes) as u32;
            }
        }
    }
}
