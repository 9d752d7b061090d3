//! Private multiplicative weights: exponentially many questions over a finite domain.
//!
//! The practical form of the median mechanism of the STOC paper (Hardt and Rothblum 2010). A synthetic distribution p
//! over the domain X answers as long as it agrees with the sample; only where it does not, the sample answers, with
//! noise, and p learns from that answer by a multiplicative update. Each true update lowers KL(S || p) <= ln|X| by
//! T^2/16, so there are at most U = ceil(16 ln|X| / T^2) of them, however many questions are asked.
//!
//! The parts, on the scale of one question: compare |q(S) - q(p)| + Lap(4/(n e1)) with T + Lap(2/(n e1)), the latter
//! drawn anew after each update; above it a = q(S) + Lap(1/(n e1)) is the answer, and p_x becomes proportional to
//! p_x exp(-eta sign(q(p) - a) q(x)) with eta = T/4. From one update to the next that is 2 e1-private, over U updates
//! composed as zero-concentrated privacy (tighter than the advanced composition of the time). T = 16 ln(2k/beta)/(n e1)
//! makes all comparisons right to T/2. The certified width is our own composition of these standard parts: noise by a
//! union bound, then the transfer theorem of [`super::privacy`]; T is where it is narrowest.
//!
//! Those constants are for the worst case: below about a million rows the width is vacuous, which [`pmw_plan`] says. The
//! `heuristic` preset has T = 4/sqrt(n), eta = T/4, answers with Lap(1/sqrt(n)), and (our choice, as in Thresholdout's
//! experiment) comparisons with normal noise of standard deviation 1/sqrt(n); nothing is certified then.

use super::noise::Noise;
use super::privacy::{Privacy, certified_width, minimise};
use super::{Answer, Guarantee, Query, QueryMechanism, Reading, Source, answered, plan};
use quadrat_core::{Error, Result, Rng};
use serde::{Deserialize, Serialize};

/// The largest domain: a distribution over it is kept in memory and touched by every question.
const LARGEST: usize = 1 << 20;

/// What private multiplicative weights can certify.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PmwPlan {
    /// T.
    pub threshold: f64,
    /// U: how many questions the sample may answer.
    pub updates: u64,
    /// e1: privacy of one comparison run and of one answer.
    pub epsilon: f64,
    /// The certified half-width, at most 1.
    pub half_width: f64,
    /// Whether that promises nothing.
    pub vacuous: bool,
    /// Rows from which on it promises something (to about 1%).
    pub rows_needed: f64,
}

/// The certified width for `k` adaptive questions over a domain of `domain` elements on `n` rows, with probability
/// 1 - `beta`.
///
/// # Errors
/// As [`plan`](super::plan()); a domain of fewer than 2 or more than 2^20 elements.
pub fn pmw_plan(n: usize, k: u64, domain: usize, beta: f64) -> Result<PmwPlan> {
    plan::check(n, k, beta)?;
    check_domain(domain)?;
    let at = |n: f64| best(n, k as f64, domain as f64, beta);
    let (threshold, width) = at(n as f64);
    Ok(PmwPlan {
        threshold,
        updates: updates(domain as f64, threshold) as u64,
        epsilon: epsilon(n as f64, k as f64, threshold, beta),
        half_width: width.min(1.0),
        vacuous: width >= plan::VACUOUS,
        rows_needed: plan::smallest_rows(|n| at(n).1 < plan::VACUOUS),
    })
}

fn check_domain(size: usize) -> Result<()> {
    if (2..=LARGEST).contains(&size) {
        return Ok(());
    }
    let want = format!("use 2 to 2^20 = {LARGEST}: fewer columns, or columns of fewer values");
    Err(Error::input("elements of the domain", size, want))
}

/// U.
fn updates(domain: f64, threshold: f64) -> f64 {
    (16.0 * domain.ln() / threshold.powi(2)).ceil()
}

/// e1, from T = 2 x 8 ln(2k/beta)/(n e1).
fn epsilon(n: f64, k: f64, threshold: f64, beta: f64) -> f64 {
    16.0 * (2.0 * k / beta).ln() / (n * threshold)
}

/// The threshold whose certified width is narrowest, and that width.
fn best(n: f64, k: f64, domain: f64, beta: f64) -> (f64, f64) {
    minimise(1e-5, 10.0, |threshold| {
        let (u, e1) = (updates(domain, threshold), epsilon(n, k, threshold, beta));
        let privacy = Privacy { pure: Some(u * 2.0 * e1), rho: 0.5 * u * (2.0 * e1).powi(2) };
        certified_width(privacy, beta, |risk| {
            let unit = 1.0 / (n * e1);
            let drawn = Noise::Laplace.bound(2.0 * unit, u + 1.0, risk / 3.0);
            let compared = Noise::Laplace.bound(4.0 * unit, k, risk / 3.0);
            let given = Noise::Laplace.bound(unit, u, risk / 3.0);
            (threshold + drawn + compared).max(given)
        })
    })
}

/// Private multiplicative weights over the elements 0 to |X| - 1. A query has one value for each element.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pmw {
    /// Rows of the sample on each element.
    counts: Vec<u64>,
    threshold: f64,
    /// Scale of the noise on the threshold; 0 for none.
    drawn: f64,
    /// Noise on each comparison.
    compared: (Noise, f64),
    /// Scale of the noise on answers.
    given: f64,
    /// What is left of U.
    updates: u64,
    queries: Option<u64>,
    guarantee: Guarantee,
    asked: u64,
    that: Option<f64>,
    /// ln p up to a constant, and p; empty while p is uniform.
    #[serde(skip)]
    logs: Vec<f64>,
    #[serde(skip)]
    p: Vec<f64>,
}

impl Pmw {
    /// The certified mechanism for `queries` questions; `counts` says how many rows the sample has on each element.
    ///
    /// # Errors
    /// As [`pmw_plan`]; the constants may be vacuous without being an error: see [`Guarantee`].
    pub fn planned(counts: &[u64], queries: u64, beta: f64) -> Result<Self> {
        let n = rows(counts)?;
        plan::check(n, queries, beta)?;
        check_domain(counts.len())?;
        let (k, domain) = (queries as f64, counts.len() as f64);
        let (threshold, width) = best(n as f64, k, domain, beta);
        let unit = 1.0 / (n as f64 * epsilon(n as f64, k, threshold, beta));
        Ok(Pmw {
            counts: counts.to_vec(),
            threshold,
            drawn: 2.0 * unit,
            compared: (Noise::Laplace, 4.0 * unit),
            given: unit,
            updates: updates(domain, threshold) as u64,
            queries: Some(queries),
            guarantee: Guarantee::Certified { half_width: width.min(1.0), confidence: 1.0 - beta },
            asked: 0,
            that: None,
            logs: Vec::new(),
            p: Vec::new(),
        })
    }

    /// The heuristic preset.
    ///
    /// # Errors
    /// Fewer than 30 rows; a domain of fewer than 2 or more than 2^20 elements.
    pub fn heuristic(counts: &[u64]) -> Result<Self> {
        let n = rows(counts)?;
        plan::check(n, 1, 0.5)?;
        check_domain(counts.len())?;
        let unit = 1.0 / (n as f64).sqrt();
        let threshold = 4.0 * unit;
        Ok(Pmw {
            counts: counts.to_vec(),
            threshold,
            drawn: 0.0,
            compared: (Noise::Gaussian, unit),
            given: unit,
            updates: updates(counts.len() as f64, threshold) as u64,
            queries: None,
            guarantee: Guarantee::Heuristic { half_width: (threshold + 4.0 * unit).min(1.0) },
            asked: 0,
            that: None,
            logs: Vec::new(),
            p: Vec::new(),
        })
    }

    /// The synthetic distribution: one probability for each element. It may be published: it is made of answers.
    pub fn synthetic(&self) -> Vec<f64> {
        if self.p.is_empty() { vec![1.0 / self.counts.len() as f64; self.counts.len()] } else { self.p.clone() }
    }

    /// How many updates are left.
    pub fn updates_left(&self) -> u64 {
        self.updates
    }

    /// p_x <- p_x exp(-eta sign(q(p) - a) q(x)), on the logarithm.
    fn update(&mut self, values: &[f64], towards: f64) {
        let eta = self.threshold / 4.0;
        self.logs.resize(self.counts.len(), 0.0);
        self.logs.iter_mut().zip(values).for_each(|(log, q)| *log += eta * towards * q);
        let highest = self.logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        self.logs.iter_mut().for_each(|log| *log -= highest);
        self.p.clear();
        self.p.extend(self.logs.iter().map(|log| log.exp()));
        let total: f64 = self.p.iter().sum();
        self.p.iter_mut().for_each(|p| *p /= total);
    }
}

fn rows(counts: &[u64]) -> Result<usize> {
    let sum = counts.iter().try_fold(0u64, |sum, count| sum.checked_add(*count));
    sum.and_then(|n| usize::try_from(n).ok())
        .ok_or_else(|| Error::input("rows on the elements of the domain", "more than 2^64", "give counts of rows"))
}

fn dot(weights: impl Iterator<Item = f64>, values: &[f64]) -> f64 {
    weights.zip(values).map(|(weight, value)| weight * value).sum()
}

impl QueryMechanism for Pmw {
    fn name(&self) -> &'static str {
        "pmw"
    }

    fn rows(&self) -> usize {
        self.counts.len()
    }

    fn read(&self, query: &dyn Query) -> Result<Reading> {
        let values = query.values(0..self.counts.len())?;
        let n: u64 = self.counts.iter().sum();
        let mean = (dot(self.counts.iter().map(|count| *count as f64), &values) / n as f64).clamp(0.0, 1.0);
        let synthetic = if self.p.is_empty() {
            values.iter().sum::<f64>() / values.len() as f64
        } else {
            dot(self.p.iter().copied(), &values)
        };
        Ok(Reading { mean, reference: Some(synthetic.clamp(0.0, 1.0)), values })
    }

    fn step(&mut self, reading: &Reading, rng: &mut Rng) -> Result<Answer> {
        if self.updates == 0 {
            return Err(answered(self.name(), self.asked, "the answers that may come from the hold-out rows"));
        }
        if self.queries.is_some_and(|k| self.asked >= k) {
            return Err(answered(self.name(), self.asked, "the questions it was planned for"));
        }
        let (of_sample, of_p) = (reading.mean, reading.reference.unwrap_or(reading.mean));
        let (threshold, drawn) = (self.threshold, self.drawn);
        let that = *self.that.get_or_insert_with(|| threshold + Noise::Laplace.draw(drawn, rng));
        let (noise, scale) = self.compared;
        self.asked += 1;
        if (of_sample - of_p).abs() + noise.draw(scale, rng) <= that {
            return Ok(Answer { value: of_p, source: Source::Synthetic, spent: false, guarantee: self.guarantee });
        }
        let value = of_sample + Noise::Laplace.draw(self.given, rng);
        self.update(&reading.values, if of_p > value { -1.0 } else { 1.0 });
        self.updates -= 1;
        self.that = Some(threshold + Noise::Laplace.draw(drawn, rng));
        Ok(Answer { value: value.clamp(0.0, 1.0), source: Source::Holdout, spent: true, guarantee: self.guarantee })
    }

    fn remaining(&self) -> Option<u64> {
        Some(self.queries.map_or(self.updates, |k| self.updates.min(k - self.asked)))
    }

    fn guarantee(&self) -> Guarantee {
        self.guarantee
    }
}
