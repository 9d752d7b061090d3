//! From the means of rows to indices, with their errors.
//!
//! Both estimators end with rows whose means are m = E Y, q = E Y^2, e_1 .. e_d and t_1 .. t_d, and with
//! S_i = (e_i - p m^2) / V and T_i = t_i / V, where V = q - m^2. For Saltelli's rows e_i is a covariance already and p = 0;
//! for the product of pick and freeze p = 1.

use super::{Index, Input, OutputIndices};
use ndarray::{Array2, ArrayView2};
use quadrat_core::{Error, Progress, Result, Seed, checkpoint, stats};
use rayon::prelude::*;

/// Rows that a resample draws from together: few enough to stay in the processor's cache.
const BLOCK: usize = 1024;

pub(super) struct Moments<'a> {
    /// n x (2 + 2 d): m, q, e, t.
    pub rows: ArrayView2<'a, f64>,
    /// Whether e_i is E[Y Y'], with m^2 yet to be taken off.
    pub product: bool,
}

impl Moments<'_> {
    /// The indices. `shift` and `scale` are those that were taken off the output; with fewer than two `resamples` the
    /// errors are those of the delta method, otherwise of the bootstrap.
    pub fn indices(
        &self,
        inputs: &[Input],
        (shift, scale): (f64, f64),
        resamples: usize,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<OutputIndices> {
        let means = means(self.rows);
        let variance = variance(&means);
        // A constant leaves rounding errors only. Weighted terms can bring the difference q - m^2 to 0 or below by chance.
        let noise = 1e-13 * (shift / scale).abs().max(means[1].abs().sqrt());
        if variance <= noise * noise {
            let why = if self.product {
                "the estimate of the output's variance is not positive: the sample is too small, or the output's tails \
                 are too heavy; use more calls, or Saltelli's design"
                    .to_owned()
            } else {
                format!("the output is {shift} at every point: indices share out a variance that it lacks")
            };
            return Err(Error::numeric("Sobol' indices", why));
        }
        let values = self.values(&means);
        let errors = if resamples < 2 {
            let z = stats::normal_quantile(0.975);
            let errors = self.delta(&means, &values);
            values.iter().zip(errors).map(|(v, se)| (se, v - z * se, v + z * se)).collect()
        } else {
            let resampled = bootstrap_means(self.rows, resamples, seed, progress)?;
            let resampled: Vec<Vec<f64>> =
                resampled.rows().into_iter().map(|means| self.values(&means.to_vec())).collect();
            let error = |i: usize| {
                let values: Vec<f64> = resampled.iter().map(|values| values[i]).collect();
                let end = |q| stats::quantile(&values, q);
                (stats::standard_deviation(&values), end(0.025), end(0.975))
            };
            (0..values.len()).map(error).collect::<Vec<_>>()
        };
        let index = |i: usize| {
            let (se, low, high) = errors[i];
            Index { name: inputs[i % inputs.len()].name.clone(), value: values[i], se, low, high }
        };
        let d = inputs.len();
        Ok(OutputIndices {
            mean: shift + scale * means[0],
            variance: scale * scale * variance,
            first: (0..d).map(index).collect(),
            total: (d..2 * d).map(index).collect(),
        })
    }

    /// S_1 .. S_d, T_1 .. T_d.
    fn values(&self, means: &[f64]) -> Vec<f64> {
        let (v, d) = (variance(means), (means.len() - 2) / 2);
        let taken = if self.product { means[0] * means[0] } else { 0.0 };
        means[2..].iter().enumerate().map(|(i, e)| (e - if i < d { taken } else { 0.0 }) / v).collect()
    }

    /// Standard errors: each index is linear in the means to first order, so its error is that of a mean of
    /// (e - S q + 2 m (S - p) y) / V.
    fn delta(&self, means: &[f64], values: &[f64]) -> Vec<f64> {
        let (n, v, d) = (self.rows.nrows() as f64, variance(means), values.len() / 2);
        let mut squares = vec![0.0; values.len()];
        for row in self.rows.rows() {
            let (y, q) = (row[0] - means[0], row[1] - means[1]);
            for (i, (square, value)) in squares.iter_mut().zip(values).enumerate() {
                let p = if self.product && i < d { 1.0 } else { 0.0 };
                let term = row[2 + i] - means[2 + i] - value * q + 2.0 * means[0] * (value - p) * y;
                *square += (term / v).powi(2);
            }
        }
        squares.into_iter().map(|square| (square / (n * (n - 1.0))).sqrt()).collect()
    }
}

fn variance(means: &[f64]) -> f64 {
    means[1] - means[0] * means[0]
}

fn means(rows: ArrayView2<f64>) -> Vec<f64> {
    rows.columns().into_iter().map(|column| column.sum() / rows.nrows() as f64).collect()
}

/// Means over resamples of the rows with replacement, one resample a row.
///
/// A resample first draws how many of its rows come from each block, then draws those inside the block, which is the
/// same in law and reads memory in order.
fn bootstrap_means(
    rows: ArrayView2<f64>,
    resamples: usize,
    seed: Seed,
    progress: &dyn Progress,
) -> Result<Array2<f64>> {
    let (n, p) = rows.dim();
    let rows = rows.as_standard_layout();
    let Some(rows) = rows.as_slice() else { return Ok(Array2::zeros((resamples, p))) };
    let mut means = Array2::zeros((resamples, p));
    let Some(out) = means.as_slice_mut() else { return Ok(means) };
    progress.begin("bootstrap", Some(resamples as u64));
    out.par_chunks_mut(p).enumerate().try_for_each(|(resample, sums)| {
        checkpoint(progress)?;
        let mut rng = seed.rng(resample as u64);
        let mut from = vec![0_usize; n.div_ceil(BLOCK)];
        (0..n).for_each(|_| from[rng.below(n) / BLOCK] += 1);
        for (block, times) in rows.chunks(BLOCK * p).zip(from) {
            let size = block.len() / p;
            for _ in 0..times {
                let row = rng.below(size) * p;
                sums.iter_mut().zip(&block[row..row + p]).for_each(|(sum, v)| *sum += v);
            }
        }
        sums.iter_mut().for_each(|sum| *sum /= n as f64);
        progress.advance(1);
        Ok(())
    })?;
    Ok(means)
}
