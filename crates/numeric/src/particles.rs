//! Weighted particles: sums of weights that are kept as logarithms, and resampling.
//!
//! Resampling replaces K weighted particles by n unweighted ones, so that particle i is copied n wᵢ times in expectation. The schemes
//! differ in the scatter around that: n sorted points are thrown on [0, 1), and a particle gets those that fall on its share
//! (Douc, Cappé, Moulines, "Comparison of resampling schemes for particle filtering", ISPA 2005, arXiv cs/0507025).

use crate::elementary::exp_f64;
use crate::vectorised;
use quadrat_core::{Choice, Error, Result, Rng};

/// How particles are drawn by their weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Choice)]
pub enum Resampling {
    /// Independent draws.
    Multinomial,
    /// One point in each of n equal parts.
    Stratified,
    /// Points at equal distances, the first of them random.
    #[default]
    Systematic,
    /// ⌊n w⌋ copies of each, the rest by independent draws.
    Residual,
}

impl Resampling {
    /// The particles that `draws` new ones are copies of, in ascending order. Weights are logarithms, up to a constant; -∞ is a
    /// weight of 0.
    ///
    /// O(weights + draws); a million of each take some milliseconds, independent draws about ten times that.
    ///
    /// # Errors
    /// No weight, NaN or +∞ among them, all -∞.
    ///
    /// ```
    /// use quadrat_core::Seed;
    /// use quadrat_numeric::particles::Resampling;
    /// let halves = [0.5f64.ln(), f64::NEG_INFINITY, 0.5f64.ln()];
    /// assert_eq!(Resampling::Systematic.ancestors(&halves, 4, &mut Seed(1).rng(0))?, [0, 0, 2, 2]);
    /// # Ok::<(), quadrat_core::Error>(())
    /// ```
    pub fn ancestors(self, log_weights: &[f64], draws: usize, rng: &mut Rng) -> Result<Vec<usize>> {
        check(log_weights)?;
        let (weights, _) = scaled(log_weights);
        Ok(match self {
            Resampling::Multinomial => independent(&weights, draws, rng),
            Resampling::Stratified => {
                let points: Vec<f64> = (0..draws).map(|_| rng.uniform()).collect();
                // Point j lies at j + points[j].
                let below = |edge: f64| {
                    let part = edge as usize;
                    part + usize::from(points.get(part).is_some_and(|u| edge - part as f64 > *u))
                };
                spread(&weights, draws, below)
            }
            Resampling::Systematic => {
                let u = rng.uniform();
                spread(&weights, draws, |edge| {
                    // Rounded up without the call that `ceil` is on plain x86-64.
                    let whole = (edge - u).max(0.0) as i64;
                    whole as usize + usize::from(whole as f64 + u < edge)
                })
            }
            Resampling::Residual => residual(&weights, draws, rng),
        })
    }
}

/// ln of the mean of the weights; -∞ where all are 0 or there is none, NaN where one is.
pub fn log_mean_exp(log_weights: &[f64]) -> f64 {
    let (weights, top) = scaled(log_weights);
    if top == f64::NEG_INFINITY {
        return top;
    }
    top + (weights.iter().sum::<f64>() / weights.len() as f64).ln()
}

/// The weights, which sum to 1; all 0 where each logarithm is -∞, NaN where one is.
pub fn normalised(log_weights: &[f64]) -> Vec<f64> {
    let (mut weights, top) = scaled(log_weights);
    if top > f64::NEG_INFINITY || top.is_nan() {
        let total: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|w| *w /= total);
    }
    weights
}

/// The effective sample size (Σ w)² / Σ w²: 1 where one weight is all, their number where they are equal, 0 where all are 0.
pub fn effective(log_weights: &[f64]) -> f64 {
    let (weights, top) = scaled(log_weights);
    if top == f64::NEG_INFINITY {
        return 0.0;
    }
    let (sum, squares) = weights.iter().fold((0.0, 0.0), |(sum, squares), w| (sum + w, squares + w * w));
    sum * sum / squares
}

fn check(log_weights: &[f64]) -> Result<()> {
    if let Some(i) = log_weights.iter().position(|w| w.is_nan() || *w == f64::INFINITY) {
        let want = "logarithms of finite weights";
        return Err(Error::input("log weights", format!("{} at {i}", log_weights[i]), want));
    }
    if log_weights.iter().all(|w| *w == f64::NEG_INFINITY) {
        let got = if log_weights.is_empty() { "none".to_owned() } else { "weights that are all 0".to_owned() };
        return Err(Error::input("log weights", got, "at least one above -inf"));
    }
    Ok(())
}

/// The weights over the largest, and its logarithm. NaN and +∞ make it NaN.
fn scaled(log_weights: &[f64]) -> (Vec<f64>, f64) {
    let largest = log_weights.iter().fold(f64::NEG_INFINITY, |top, w| if *w > top { *w } else { top });
    let usable = largest < f64::INFINITY && !log_weights.iter().any(|w| w.is_nan());
    let top = if usable { largest } else { f64::NAN };
    let mut weights = vec![0.0; log_weights.len()];
    if top != f64::NEG_INFINITY {
        vectorised(|| weights.iter_mut().zip(log_weights).for_each(|(w, log)| *w = exp_f64(log - top)));
    }
    (weights, top)
}

/// Ancestors of `draws` points on [0, draws), of which `below` says how many lie under an edge: edges ascend.
fn spread(weights: &[f64], draws: usize, mut below: impl FnMut(f64) -> usize) -> Vec<usize> {
    let total: f64 = weights.iter().sum();
    let scale = draws as f64 / total;
    let (mut first, mut at, mut sum) = (vec![0; draws + 1], 0, 0.0);
    for (i, weight) in weights.iter().enumerate() {
        // Of those that begin at one place the last has copies, and so it is the one that stays written.
        first[at] = i;
        sum += weight;
        at = if sum >= total { draws } else { below(sum * scale).clamp(at, draws) };
    }
    first.truncate(draws);
    let mut ancestor = 0;
    for place in &mut first {
        ancestor = ancestor.max(*place);
        *place = ancestor;
    }
    first
}

/// Sorted uniform points: sums of exponential gaps over that of all.
fn independent(weights: &[f64], draws: usize, rng: &mut Rng) -> Vec<usize> {
    let mut sum = 0.0;
    let mut points: Vec<f64> = (0..=draws)
        .map(|_| {
            sum += rng.exponential();
            sum
        })
        .collect();
    let scale = draws as f64 / sum;
    points.iter_mut().for_each(|point| *point *= scale);
    let mut at = 0;
    spread(weights, draws, |edge| {
        while at < draws && points[at] < edge {
            at += 1;
        }
        at
    })
}

fn residual(weights: &[f64], draws: usize, rng: &mut Rng) -> Vec<usize> {
    let scale = draws as f64 / weights.iter().sum::<f64>();
    let mut counts: Vec<usize> = weights.iter().map(|w| (w * scale) as usize).collect();
    let rest = draws.saturating_sub(counts.iter().sum());
    if rest > 0 {
        let parts: Vec<f64> = weights.iter().map(|w| (w * scale).fract()).collect();
        independent(&parts, rest, rng).into_iter().for_each(|i| counts[i] += 1);
    }
    counts.iter().enumerate().flat_map(|(i, count)| std::iter::repeat_n(i, *count)).collect()
}

#[cfg(test)]
mod tests;
