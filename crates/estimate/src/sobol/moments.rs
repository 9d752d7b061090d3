//! From the means of rows to indices, with their errors.
//!
//! Every estimator ends with rows of terms of which only the means matter: m = E Y and q = E Y^2 in the first two columns,
//! then what an index needs: S = (e - p m^2) / (q - m^2). For Saltelli's rows e is a covariance already and p = 0; for the
//! product of pick and freeze p = 1.

use super::possible::contrasts;
use super::{Index, OutputIndices};
use ndarray::{Array2, ArrayView2, Axis};
use quadrat_core::distributions::{Tails, student_quantile};
use quadrat_core::{Error, Progress, Result, Seed, checkpoint, stats};
use quadrat_numeric::{RowMajor, matrix};
use rayon::prelude::*;

/// Rows that a resample draws from together: few enough to stay in the processor's cache.
const BLOCK: usize = 1024;
/// Standard errors by which the variance must exceed 0. An event that was seen four times does just that.
const CLEAR: f64 = 2.0;
/// Effective number of rows that must carry a term for its interval to be believed.
const CARRIERS: f64 = 10.0;

/// An index as a function of the columns' means.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ratio {
    /// Column of e.
    pub term: usize,
    /// Column of m.
    pub mean: usize,
    /// Column of q.
    pub square: usize,
    /// Whether e is E[Y Y'], with m^2 yet to be taken off.
    pub product: bool,
}

impl Ratio {
    fn value(&self, means: &[f64]) -> f64 {
        let squared = means[self.mean] * means[self.mean];
        (means[self.term] - if self.product { squared } else { 0.0 }) / (means[self.square] - squared)
    }

    /// By how much a row moves the index: the index is linear in the means to first order, so that its error is that of a
    /// mean of (e - S q + 2 m (S - p) y) / V.
    fn influence(&self, row: &[f64], means: &[f64], value: f64) -> f64 {
        let off = |column: usize| row[column] - means[column];
        let (m, p) = (means[self.mean], if self.product { 1.0 } else { 0.0 });
        let term = off(self.term) - value * off(self.square) + 2.0 * m * (value - p) * off(self.mean);
        term / (means[self.square] - m * m)
    }
}

/// How errors are estimated.
#[derive(Debug, Clone, Copy)]
pub(super) enum Errors<'a> {
    /// To first order, rows independent.
    Delta,
    /// From this many resamples of the rows, rows independent.
    Bootstrap(usize),
    /// From replicates that are independent of each other: the rows of each, in turn.
    Replicates(&'a [usize]),
}

/// Which ratios are what.
#[derive(Debug, Clone)]
pub(super) struct Asked<'a> {
    /// Names of the factors.
    pub names: &'a [String],
    /// How many of the ratios are first orders; totals follow, then pairs.
    pub firsts: usize,
    /// How many are total orders.
    pub totals: usize,
    /// Pairs of factors.
    pub pairs: Vec<(usize, usize)>,
    /// Whether factors depend on each other.
    pub dependent: bool,
}

pub(super) struct Moments<'a> {
    /// n x columns.
    pub rows: ArrayView2<'a, f64>,
    pub ratios: Vec<Ratio>,
    pub asked: Asked<'a>,
    /// What was taken off the output, and what it was divided by then.
    pub unit: (f64, f64),
}

impl Moments<'_> {
    /// The indices with their errors and what is doubtful about them.
    ///
    /// # Errors
    /// An output that does not vary, or whose variance is not clearly positive.
    pub fn indices(&self, errors: Errors, seed: Seed, progress: &dyn Progress) -> Result<(OutputIndices, Vec<String>)> {
        let means = means(self.rows);
        let mut warnings = Vec::new();
        warnings.extend(self.check_variance(&means)?);
        let values = self.values(&means);
        let p = self.ratios.len();
        // Standard errors, and half the width of a 95% interval in those; percentiles where they are bootstrapped.
        let (mut z, mut ends) = (stats::normal_quantile(0.975), Vec::new());
        let mut quantile: Box<dyn Fn(f64) -> f64> = Box::new(stats::normal_quantile);
        let se: Vec<f64> = match errors {
            Errors::Delta => self.delta(&means, &values[..p]),
            Errors::Bootstrap(resamples) => {
                let resampled = bootstrap_means(self.rows, resamples, seed, progress)?;
                let resampled: Vec<Vec<f64>> =
                    resampled.rows().into_iter().map(|means| self.values(&means.to_vec())).collect();
                let of = |i: usize| resampled.iter().map(|values| values[i]).collect::<Vec<f64>>();
                ends = (0..p).map(|i| [0.025, 0.975].map(|q| stats::quantile(&of(i), q))).collect();
                (0..values.len()).map(|i| stats::standard_deviation(&of(i))).collect()
            }
            Errors::Replicates(sizes) => {
                let df = sizes.len() as f64 - 1.0;
                z = student_quantile(Tails::below(0.975), df);
                quantile = Box::new(move |p| student_quantile(Tails::below(p), df));
                self.jackknife(sizes)
            }
        };
        let d = self.asked.names.len();
        let index = |i: usize, name: usize, with: Option<usize>| {
            let [low, high] = ends.get(i).copied().unwrap_or([values[i] - z * se[i], values[i] + z * se[i]]);
            let names = &self.asked.names;
            let with = with.map(|with| names[with].clone());
            Index { name: names[name].clone(), with, value: values[i], se: se[i], low, high }
        };
        let (firsts, totals) = (self.asked.firsts, self.asked.totals);
        let mut first: Vec<Index> = (0..firsts).map(|i| index(i, i % d, None)).collect();
        let mut total: Vec<Index> = (0..totals).map(|i| index(firsts + i, i % d, None)).collect();
        let pairs = self.asked.pairs.iter().enumerate();
        let second: Vec<Index> = pairs.map(|(at, (j, k))| index(firsts + totals + at, *j, Some(*k))).collect();
        warnings.extend(super::possible::impossible(&self.asked, &values, &se, &*quantile));
        warnings.extend(self.widen(&mut first, &mut total));
        let output = OutputIndices {
            mean: self.unit.0 + self.unit.1 * means[0],
            variance: self.unit.1 * self.unit.1 * variance(&means),
            first,
            total,
            second,
        };
        Ok((output, warnings))
    }

    /// An error unless the variance is clearly positive; a warning where that rests on few rows.
    fn check_variance(&self, means: &[f64]) -> Result<Option<String>> {
        let variance = variance(means);
        let (shift, scale) = self.unit;
        let fault = |why: String| Err(Error::numeric("Sobol' indices", why));
        // A constant leaves rounding errors only.
        let noise = 1e-13 * (shift / scale).abs().max(means[1].abs().sqrt());
        let weighted = self.ratios.iter().any(|ratio| ratio.product && ratio.mean == 0);
        if variance <= noise * noise && !weighted {
            return fault(format!("the output is {shift} at every point: indices share out a variance that it lacks"));
        }
        let n = self.rows.nrows() as f64;
        let off = |row: ndarray::ArrayView1<f64>| ((row[1] - means[1]) - 2.0 * means[0] * (row[0] - means[0])).powi(2);
        let se = (self.rows.rows().into_iter().map(off).sum::<f64>() / (n * (n - 1.0))).sqrt();
        let unit = scale * scale;
        // Weighted terms can bring q - m^2 to 0 or below by chance.
        if !(variance > CLEAR * se && variance > noise * noise) {
            return fault(format!(
                "the output's variance, {:.3e} with a standard error of {:.1e}, is not clearly positive: too few runs \
                 carry it (an output that is constant but for a rare corner, or heavy tails); use more calls{}",
                unit * variance,
                unit * se,
                if weighted { ", or Saltelli's design" } else { "" }
            ));
        }
        Ok((variance < 4.0 * CLEAR * se).then(|| {
            format!(
                "few runs carry the output's variance, which is known to +-{:.0}% only: intervals are rough",
                100.0 * CLEAR * se / variance
            )
        }))
    }

    /// The ratios, then their contrasts.
    fn values(&self, means: &[f64]) -> Vec<f64> {
        let mut values: Vec<f64> = self.ratios.iter().map(|ratio| ratio.value(means)).collect();
        values.extend(contrasts(&self.asked, &values));
        values
    }

    fn delta(&self, means: &[f64], values: &[f64]) -> Vec<f64> {
        let n = self.rows.nrows() as f64;
        let mut squares = Vec::new();
        let mut terms = Vec::new();
        for row in self.rows.rows() {
            let row = row.to_vec();
            terms.clear();
            terms.extend(self.ratios.iter().zip(values).map(|(ratio, value)| ratio.influence(&row, means, *value)));
            let more = contrasts(&self.asked, &terms);
            terms.extend(more);
            squares.resize(terms.len(), 0.0);
            squares.iter_mut().zip(&terms).for_each(|(square, term)| *square += term * term);
        }
        squares.into_iter().map(|square| (square / (n * (n - 1.0))).sqrt()).collect()
    }

    /// Standard errors from leaving out one replicate at a time.
    fn jackknife(&self, sizes: &[usize]) -> Vec<f64> {
        let mut start = 0;
        let sums: Vec<Vec<f64>> = sizes
            .iter()
            .map(|size| {
                let rows = self.rows.slice(ndarray::s![start..start + size, ..]);
                start += size;
                rows.sum_axis(Axis(0)).to_vec()
            })
            .collect();
        let all = self.rows.sum_axis(Axis(0));
        let without: Vec<Vec<f64>> = sums
            .iter()
            .zip(sizes)
            .map(|(sum, size)| {
                let left = (self.rows.nrows() - size) as f64;
                let means: Vec<f64> = all.iter().zip(sum).map(|(all, sum)| (all - sum) / left).collect();
                self.values(&means)
            })
            .collect();
        let r = sizes.len() as f64;
        let se = |i: usize| {
            let left_out: Vec<f64> = without.iter().map(|values| values[i]).collect();
            ((r - 1.0) / r).sqrt() * (r - 1.0).sqrt() * stats::standard_deviation(&left_out)
        };
        (0..without.first().map_or(0, Vec::len)).map(se).collect()
    }

    /// Where few rows carry an index, its interval may be far too narrow (of width 0 where none was seen): it is widened
    /// to what the other indices leave possible.
    fn widen(&self, first: &mut [Index], total: &mut [Index]) -> Option<String> {
        let carriers = |ratio: &Ratio| {
            let column = self.rows.column(ratio.term);
            let (sum, squares) = column.iter().fold((0.0, 0.0), |(s, q), e| (s + e.abs(), q + e * e));
            if squares > 0.0 { sum * sum / squares } else { 0.0 }
        };
        if self.ratios.iter().any(|ratio| ratio.product) {
            return None;
        }
        let mut widened = Vec::new();
        let most_of_first: Vec<f64> =
            total.iter().map(|total| if self.asked.dependent { 1.0 } else { total.high }).collect();
        let all = first.iter_mut().map(|index| ("first", index)).chain(total.iter_mut().map(|index| ("total", index)));
        for (i, (order, index)) in all.enumerate() {
            // An output that no run of this factor changed: the index is 0 as far as can be seen.
            let most = if order == "first" { most_of_first.get(i).copied().unwrap_or(1.0) } else { 1.0 };
            let inert = order == "total" && index.value == 0.0 || most == 0.0;
            if !inert && carriers(&self.ratios[i]) < CARRIERS {
                index.low = index.low.min(0.0);
                index.high = index.high.max(most);
                widened.push(format!("{order} of {}", index.name));
            }
        }
        (!widened.is_empty()).then(|| {
            format!(
                "fewer than {CARRIERS} base points carry these indices, so their intervals are widened to what is possible: {}",
                widened.join(", ")
            )
        })
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
    let rows = RowMajor::of(rows);
    let mut means = vec![0.0; resamples * p];
    progress.begin("bootstrap", Some(resamples as u64));
    means.par_chunks_mut(p).enumerate().try_for_each(|(resample, sums)| {
        checkpoint(progress)?;
        let mut rng = seed.rng(resample as u64);
        let mut from = vec![0_usize; n.div_ceil(BLOCK)];
        (0..n).for_each(|_| from[rng.below(n) / BLOCK] += 1);
        for (block, times) in rows.values().chunks(BLOCK * p).zip(from) {
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
    matrix((resamples, p), means)
}
