//! Series on the scale of a network, as rows of samples.

use ndarray::{Array2, ArrayView2};
use quadrat_core::{Error, Result};
use quadrat_nn::{Samples, Targets};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// One series as a user has it.
#[derive(Debug, Clone, Copy)]
pub struct Series<'a> {
    /// T times that rise strictly.
    pub times: &'a [f64],
    /// T x channels; NaN where nothing was observed.
    pub values: ArrayView2<'a, f64>,
}

/// What a model must know of the series that it is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shape {
    /// Channels D.
    pub channels: usize,
    /// Classes C.
    pub classes: usize,
    /// Times T of the longest series; shorter ones are padded.
    pub length: usize,
    /// The number 0 of each channel on the model's scale, which fills holes where a method fills them with 0.
    pub zeros: Vec<f32>,
}

impl Shape {
    /// Of series on this scale, of so many classes, the longest of `length` times.
    pub fn of(scale: &Scale, classes: usize, length: usize) -> Self {
        let zeros = scale.means.iter().zip(&scale.deviations).map(|(mean, deviation)| (-mean / deviation) as f32);
        Shape { channels: scale.means.len(), classes, length, zeros: zeros.collect() }
    }
}

/// Each channel's mean and deviation over what was observed (holes do not count), and the unit of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    /// Means by channel.
    pub means: Vec<f64>,
    /// Standard deviations by channel; 1 where all values are the same.
    pub deviations: Vec<f64>,
    /// The median time from one measurement to the next; 1 if all series have a single time.
    pub step: f64,
}

impl Scale {
    /// Learns it from training series, whose channels have these names. Costs a pass over the values.
    ///
    /// # Errors
    /// No series, a channel that is never observed, times that do not rise strictly, an infinite value, other channels than names.
    pub fn fit(series: &[Series], names: &[String]) -> Result<Self> {
        if series.is_empty() {
            return Err(Error::input("series", "none", "at least one to learn from"));
        }
        check(series, names.len())?;
        let (mut means, mut deviations) = (Vec::new(), Vec::new());
        for (c, name) in names.iter().enumerate() {
            let seen = || series.iter().flat_map(|one| one.values.column(c)).filter(|v| !v.is_nan());
            let n = seen().count() as f64;
            if n == 0.0 {
                let want = "a value in at least one training series: leave the channel out";
                return Err(Error::input(format!("channel `{name}`"), "no value at all", want));
            }
            let mean = seen().sum::<f64>() / n;
            let deviation = (seen().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n).sqrt();
            means.push(mean);
            deviations.push(if deviation > 0.0 { deviation } else { 1.0 });
        }
        let mut steps: Vec<f64> =
            series.iter().flat_map(|one| one.times.windows(2).map(|pair| pair[1] - pair[0])).collect();
        steps.sort_by(f64::total_cmp);
        let step = steps.get(steps.len() / 2).copied().unwrap_or(1.0);
        Ok(Scale { means, deviations, step })
    }

    /// Series as samples of a [`Model`](super::Model): standardised values with 0 in holes and in padding, and beside them `mask`
    /// (1 where observed), `time` (steps since the series began), `length`, and `row`, the place that draws depend on. `labels` are
    /// the classes, below the number beside them.
    ///
    /// # Errors
    /// As [`Scale::fit`], but for channels that are never observed; no series; labels that do not fit.
    pub fn samples(&self, series: &[Series], labels: Option<(&[u32], usize)>) -> Result<Samples> {
        let (n, d) = (series.len(), self.means.len());
        check(series, d)?;
        let length = series.iter().map(|one| one.times.len()).max().unwrap_or(0);
        let (mut values, mut mask) = (Array2::zeros((n, length * d)), Array2::<f32>::zeros((n, length * d)));
        let mut time = Array2::<f32>::zeros((n, length));
        for (i, one) in series.iter().enumerate() {
            for ((t, c), v) in one.values.indexed_iter().filter(|(_, v)| !v.is_nan()) {
                values[[i, t * d + c]] = ((v - self.means[c]) / self.deviations[c]) as f32;
                mask[[i, t * d + c]] = 1.0;
            }
            for (t, at) in time.row_mut(i).iter_mut().enumerate() {
                *at = ((one.times[t.min(one.times.len() - 1)] - one.times[0]) / self.step) as f32;
            }
        }
        let lengths = Array2::from_shape_fn((n, 1), |(i, _)| series[i].times.len() as u32);
        let samples = match labels {
            Some((labels, classes)) => Samples::classes(values, labels.to_vec(), classes)?,
            None => Samples::new(values, Targets::Values(Array2::zeros((n, 1)))),
        };
        let rows = Array2::from_shape_fn((n, 1), |(i, _)| i as u32);
        samples.with("mask", mask)?.with("time", time)?.with("length", lengths)?.with("row", rows)
    }

    /// The first `length` times of a row of T x channels numbers, in the user's units.
    pub fn raw(&self, row: &[f32], length: usize) -> Array2<f64> {
        let d = self.means.len();
        Array2::from_shape_fn((length, d), |(t, c)| f64::from(row[t * d + c]) * self.deviations[c] + self.means[c])
    }
}

/// That all series have so many channels, times that rise strictly, and no infinite value.
fn check(series: &[Series], channels: usize) -> Result<()> {
    for (i, one) in series.iter().enumerate() {
        let what = |rest: &str| format!("series {i}{rest}");
        let (times, d) = one.values.dim();
        if d != channels {
            return Err(Error::input(what(""), format!("{d} channels"), format!("{channels}, as the others")));
        }
        if times == 0 || times != one.times.len() {
            let got = format!("{times} rows of values at {} times", one.times.len());
            return Err(Error::input(what(""), got, "at least one, and as many times"));
        }
        if let Some(t) = (1..times).find(|t| one.times[*t].partial_cmp(&one.times[t - 1]) != Some(Ordering::Greater)) {
            let got = format!("{} after {}", one.times[t], one.times[t - 1]);
            return Err(Error::input(what(", times"), got, "times that rise strictly"));
        }
        if let Some(((t, c), v)) = one.values.indexed_iter().find(|(_, v)| v.is_infinite()) {
            return Err(Error::input(
                what(&format!(", time {t}, channel {c}")),
                v,
                "a finite value, or NaN for a hole",
            ));
        }
    }
    Ok(())
}
