//! A test by draws whose power is known beforehand.

use super::Cells;
use quadrat_core::distributions::{Tails, chi_square, chi_square_quantile, ln_gamma};
use quadrat_core::{Error, Progress, Result, Seed, checkpoint};
use rayon::prelude::*;
use serde::Serialize;

/// What a test by draws is to tell, and how surely.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Test {
    /// The difference that is to be caught, as total variation between the laws on the cells.
    pub variation: f64,
    /// With what probability it is to be caught.
    pub power: f64,
    /// With what probability a decoder that is right is called wrong.
    pub false_alarms: f64,
    /// Draws, where they are not to be planned: so for tokens that are rare, whose loss is a small variation.
    pub draws: Option<usize>,
}

impl Default for Test {
    fn default() -> Self {
        Test { variation: 0.05, power: 0.99, false_alarms: 1e-6, draws: None }
    }
}

/// What a test found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Cells that were counted, small ones as one.
    pub cells: usize,
    /// Draws.
    pub draws: usize,
    /// Pearson's statistic.
    pub statistic: f64,
    /// The probability of one as large or larger, if the laws are the same.
    pub p: f64,
    /// What was asked for.
    pub test: Test,
}

impl Report {
    /// Whether the decoder's law is not the target's.
    pub fn refutes(&self) -> bool {
        self.p < self.test.false_alarms
    }
}

/// The least number of draws that a cell is expected to get: smaller ones are counted together, since the far tail of Pearson's
/// statistic is that of chi-square only where no cell is small.
const LEAST: f64 = 10.0;

impl Test {
    /// How many draws it takes with these cells, unless their number was given.
    ///
    /// Two laws whose total variation is v differ by at least (2v)^2 in chi-square's measure, sum (p - q)^2 / q (by Cauchy and
    /// Schwarz), so that n draws have a statistic with a noncentrality of at least 4 n v^2: the least n whose power is enough.
    ///
    /// # Errors
    /// Numbers that are not within (0, 1).
    pub fn plan(&self, cells: &Cells) -> Result<usize> {
        for (name, value) in [("variation", self.variation), ("power", self.power), ("false alarms", self.false_alarms)]
        {
            if !(value > 0.0 && value < 1.0) {
                return Err(Error::input(name, value, "a number between 0 and 1"));
            }
        }
        if let Some(draws) = self.draws {
            return Ok(draws);
        }
        let degrees = cells.probabilities().len().saturating_sub(1).max(1) as f64;
        let noncentrality = noncentrality(degrees, self.false_alarms, self.power);
        Ok((noncentrality / (4.0 * self.variation * self.variation)).ceil() as usize)
    }
}

/// The noncentrality that chi-square needs to exceed its quantile with probability `power`.
fn noncentrality(degrees: f64, false_alarms: f64, power: f64) -> f64 {
    let critical = chi_square_quantile(Tails::above(false_alarms), degrees);
    let (mut low, mut high) = (0.0, 1.0);
    while exceeds(critical, degrees, high) < power {
        high *= 2.0;
    }
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if exceeds(critical, degrees, middle) < power { low = middle } else { high = middle }
    }
    high
}

/// P(X > x) of chi-square with a noncentrality: a Poisson mixture of central ones.
fn exceeds(x: f64, degrees: f64, noncentrality: f64) -> f64 {
    let half = 0.5 * noncentrality;
    // All terms that matter lie within twelve deviations of the mean.
    let reach = 12.0 * half.sqrt() + 12.0;
    let (from, to) = ((half - reach).max(0.0) as u64, (half + reach) as u64);
    let term = |j: u64| {
        let j = j as f64;
        let weight = (j * half.ln() - half - ln_gamma(j + 1.0)).exp();
        weight * chi_square(x, degrees + 2.0 * j).above
    };
    (from..=to).map(term).sum()
}

/// Draws as many texts as planned, and compares how often they fell into each cell with the target's probabilities.
///
/// `sampler` gets a seed and returns the tokens after the prompt, at least as many as the cells tell apart unless the text is over.
/// Draw i gets the seed `seed.stream("verify").rng(i).next_u64()`; draws are independent of each other and of threads.
///
/// # Errors
/// What the sampler says; numbers out of range; fewer than two cells; cancelling.
pub fn test(
    cells: &Cells,
    test: Test,
    seed: Seed,
    progress: &dyn Progress,
    sampler: impl Fn(u64) -> Result<Vec<u32>> + Sync,
) -> Result<Report> {
    let draws = test.plan(cells)?;
    progress.begin("draws", Some(draws as u64));
    let stream = seed.stream("verify");
    let one = |i: usize| {
        if i.is_multiple_of(64) {
            checkpoint(progress)?;
        }
        let text = sampler(stream.rng(i as u64).next_u64())?;
        progress.advance(1);
        Ok(cells.find(&text))
    };
    let found: Vec<usize> = (0..draws).into_par_iter().map(one).collect::<Result<_>>()?;
    let mut counts = vec![0.0; cells.probabilities().len()];
    found.into_iter().for_each(|cell| counts[cell] += 1.0);
    let expected: Vec<f64> = cells.probabilities().iter().map(|p| p * draws as f64).collect();
    judge(&counts, &expected, test, draws)
}

/// Pearson's statistic over cells of which the small ones are one. What fell into a cell of probability 0 refutes by itself.
fn judge(counts: &[f64], expected: &[f64], test: Test, draws: usize) -> Result<Report> {
    let impossible = counts.iter().zip(expected).any(|(count, expected)| *count > 0.0 && *expected == 0.0);
    let mut pooled: Vec<(f64, f64)> = Vec::new();
    let mut small = (0.0, 0.0);
    for (&count, &expected) in counts.iter().zip(expected) {
        if expected >= LEAST {
            pooled.push((count, expected));
        } else {
            small = (small.0 + count, small.1 + expected);
        }
    }
    if small.1 >= LEAST {
        pooled.push(small);
    } else if let Some(least) = pooled.iter_mut().min_by(|a, b| a.1.total_cmp(&b.1)) {
        *least = (least.0 + small.0, least.1 + small.1);
    }
    if pooled.len() < 2 {
        let want = "at least 2 that are expected to be drawn 10 times: more cells, or a smaller difference to catch";
        return Err(Error::input("cells", pooled.len(), want));
    }
    let statistic = pooled.iter().map(|(count, expected)| (count - expected).powi(2) / expected).sum();
    let p = if impossible { 0.0 } else { chi_square(statistic, pooled.len() as f64 - 1.0).above };
    let statistic = if impossible { f64::INFINITY } else { statistic };
    Ok(Report { cells: pooled.len(), draws, statistic, p, test })
}
