//! What claims that train networks share: rows of built-in sets, and figures.

use ndarray::{Array2, Axis};
use quadrat_core::{Error, Result, Seed};
use quadrat_data::builtin;
use quadrat_nn::{Network, Parameters, Samples, Targets, predict};
use quadrat_numeric::calibration::{self, Scheme};
use quadrat_regularize::classes_of;

/// Rows to train on and rows to test on, drawn from a built-in set. Pixels go from 0 to 1; other columns are centred and
/// scaled by the training rows.
pub(crate) fn split(name: &str, train: usize, test: usize, seed: Seed) -> Result<(Samples, Samples)> {
    let (x, y, classes) = builtin::labelled(name)?;
    if train + test > y.len() {
        let want = format!("`{name}` has {} rows", y.len());
        return Err(Error::input("rows", format!("{train} and {test}"), want));
    }
    let mut rows: Vec<usize> = (0..y.len()).collect();
    seed.stream("split").rng(0).shuffle(&mut rows);
    let (train_rows, rest) = rows.split_at(train);
    let part = |rows: &[usize]| x.select(Axis(0), rows);
    let (mut a, mut b) = (part(train_rows), part(&rest[..test]));
    match name {
        "mnist" | "fashion-mnist" => [&mut a, &mut b].into_iter().for_each(|x| *x /= 255.0),
        "digits" => [&mut a, &mut b].into_iter().for_each(|x| *x /= 16.0),
        _ => {
            for (mut a, mut b) in a.columns_mut().into_iter().zip(b.columns_mut()) {
                let (mean, deviation) = (a.mean().unwrap_or(0.0), a.std(0.0).max(1e-12));
                a.mapv_inplace(|v| (v - mean) / deviation);
                b.mapv_inplace(|v| (v - mean) / deviation);
            }
        }
    }
    let samples = |x: Array2<f64>, rows: &[usize]| {
        let labels = rows.iter().map(|row| y[*row]).collect();
        Samples::classes(x.mapv(|v| v as f32), labels, classes.len())
    };
    Ok((samples(a, train_rows)?, samples(b, &rest[..test])?))
}

/// Share of wrong rows, NLL, ECE of 15 bins, AURC and its excess.
pub(crate) fn figures(p: &Array2<f32>, labels: &[u32]) -> Result<[(&'static str, f64); 5]> {
    let wrong = 1.0 - quadrat_nn::accuracy(p, labels);
    Ok([
        ("error", wrong),
        ("nll", calibration::nll(p.view(), labels)?),
        ("ece", calibration::ece(p.view(), labels, 15, Scheme::EqualWidth)?),
        ("aurc", calibration::aurc(p.view(), labels)?),
        ("excess aurc", calibration::excess_aurc(p.view(), labels)?),
    ])
}

/// Share of test rows whose class is right.
pub(crate) fn accuracy(network: &dyn Network, parameters: &Parameters, test: &Samples) -> Result<f64> {
    let scores = predict(network, parameters, test.inputs.view(), &[])?;
    Ok(quadrat_nn::accuracy(&scores, classes_of(test)?))
}

/// Pixels a side of [`long_tail`]'s images.
pub(crate) const LONG_TAIL_SIDE: usize = 14;

/// Rows of a built-in set of images with a long tail (`rows` of the commonest class, `ratio` times fewer of the rarest), `test`
/// balanced test rows of each class, and the classes from the commonest to the rarest, in an order that is drawn.
pub(crate) fn long_tail(
    name: &str,
    rows: usize,
    ratio: f64,
    test: usize,
    seed: Seed,
) -> Result<(Samples, Samples, Vec<u32>)> {
    let (pool, rest) = split(name, 6_000, 6_000, seed)?;
    let mut order: Vec<u32> = (0..pool.outputs() as u32).collect();
    seed.stream("classes").rng(0).shuffle(&mut order);
    let chosen = |from: &Samples, count: &dyn Fn(usize) -> usize| -> Result<Samples> {
        let labels = from.labels().unwrap_or_default();
        let mut rows = Vec::new();
        for (rank, class) in order.iter().enumerate() {
            let own = (0..).zip(labels).filter(|(_, label)| *label == class).map(|(row, _)| row);
            rows.extend(own.take(count(rank)));
        }
        let some = from.select(&rows);
        Ok(some.with_inputs(resized(&some.inputs, 28, LONG_TAIL_SIDE)?))
    };
    let tail = |rank: usize| {
        let share = ratio.powf(-(rank as f64) / (order.len() - 1) as f64);
        ((rows as f64 * share).round() as usize).max(1)
    };
    let (train, balanced) = (chosen(&pool, &tail)?, chosen(&rest, &|_| test)?);
    let wanted: usize = (0..order.len()).map(tail).sum();
    if train.len() != wanted || balanced.len() != test * order.len() {
        let got = format!("{} and {} rows", train.len(), balanced.len());
        return Err(Error::numeric("long tail", format!("a draw has too few rows of a class: {got}")));
    }
    Ok((train, balanced, order))
}

/// Of these classes the shares of test rows that are said rightly.
pub(crate) fn class_shares(said: &[u32], test: &Samples, classes: &[u32]) -> Vec<f64> {
    let labels = test.labels().unwrap_or_default();
    let right = |class: &u32| {
        let own = said.iter().zip(labels).filter(|(_, label)| *label == class);
        own.clone().filter(|(said, label)| said == label).count() as f64 / own.count() as f64
    };
    classes.iter().map(right).collect()
}

/// Square grey images of `from` pixels a side (one a row) at `to` pixels a side.
pub(crate) fn resized(images: &Array2<f32>, from: usize, to: usize) -> Result<Array2<f32>> {
    let wrong = |e| Error::numeric("images", format!("{e}"));
    let mut all = Vec::with_capacity(images.nrows() * to * to);
    for image in images.outer_iter() {
        let square = image.to_owned().into_shape_with_order((1, from, from)).map_err(wrong)?;
        all.extend(quadrat_data::images::resize(square, (to, to)));
    }
    Array2::from_shape_vec((images.nrows(), to * to), all).map_err(wrong)
}

/// A built-in set of square images at `to` pixels a side, pixels from 0 to 1.
pub(crate) fn images(name: &str, to: usize) -> Result<Samples> {
    let (x, y, classes) = builtin::labelled(name)?;
    let side = x.ncols().isqrt();
    let white = if name == "digits" { 16.0 } else { 255.0 };
    let pixels = x.mapv(|v| (v / white) as f32);
    Samples::classes(if side == to { pixels } else { resized(&pixels, side, to)? }, y, classes.len())
}

/// Parts of so many rows each, drawn without overlap.
pub(crate) fn parts<const N: usize>(all: &Samples, sizes: [usize; N], seed: Seed) -> [Samples; N] {
    let mut rows: Vec<u32> = (0..all.len() as u32).collect();
    seed.stream("split").rng(0).shuffle(&mut rows);
    let mut rest = &rows[..];
    sizes.map(|size| {
        let (part, others) = rest.split_at(size.min(rest.len()));
        rest = others;
        all.select(part)
    })
}

/// A built-in set that is read once and drawn from in every repetition.
pub(crate) struct Pool {
    x: Array2<f32>,
    y: Vec<u32>,
    classes: usize,
    /// Columns on scales of their own; pixels have one already.
    columns: bool,
}

impl Pool {
    /// Pixels go from 0 to 1; images of 28 pixels a side are made half as wide and high.
    pub(crate) fn read(name: &str) -> Result<Self> {
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
    pub(crate) fn draw(&self, train: usize, test: usize, seed: Seed) -> Result<(Samples, Samples)> {
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
pub(crate) fn add_noise(samples: &mut Samples, share: f64, seed: Seed) {
    if let Targets::Classes { labels, classes } = &mut samples.targets {
        let mut rng = seed.stream("noise").rng(0);
        for label in labels.iter_mut() {
            if rng.uniform() < share {
                *label = rng.below(*classes) as u32;
            }
        }
    }
}
