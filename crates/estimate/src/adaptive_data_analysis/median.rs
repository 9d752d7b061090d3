//! The median mechanism, for looking at (Roth and Roughgarden 2010; the STOC paper's way to exponentially many answers).
//!
//! Keep every small data set that is consistent with the answers so far, and answer with their median. Where the
//! sample disagrees with the median by more than T, it answers itself, with noise, and the candidates that disagree with
//! that answer go: at least half of them, so that it happens at most log2(candidates) times. Keeping all candidates is
//! infeasible in general; [`Pmw`](super::Pmw) keeps a distribution in their stead and is checked against this one.

use super::noise::Noise;
use super::{Answer, Guarantee, Query, QueryMechanism, Reading, Source, answered, plan};
use quadrat_core::{Error, Result, Rng};

/// As many candidates, repetitions counted, are kept at most.
const MOST: f64 = 1e6;

/// The median mechanism over the elements 0 to |X| - 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Median {
    counts: Vec<u64>,
    /// Elements of each candidate, laid end to end.
    members: Vec<u32>,
    size: usize,
    threshold: f64,
    scale: f64,
    asked: u64,
}

impl Median {
    /// Candidates are all data sets of `size` rows; `counts` says how many rows the sample has on each element. Answers
    /// and comparisons carry Laplace noise of the given scale; nothing is certified.
    ///
    /// # Errors
    /// Fewer than 30 rows; more than 10^6 candidates; a threshold or scale that is negative or not finite.
    pub fn new(counts: &[u64], size: usize, threshold: f64, scale: f64) -> Result<Self> {
        plan::check(counts.iter().sum::<u64>() as usize, 1, 0.5)?;
        let candidates = (counts.len() as f64).powi(size.min(64) as i32);
        if size == 0 || candidates > MOST {
            let want = "use a data set size m >= 1 with |X|^m at most 10^6, or PMW";
            return Err(Error::input("candidates of the median mechanism", candidates, want));
        }
        for (what, value) in [("threshold", threshold), ("scale of the noise", scale)] {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(Error::input(what, value, "use a finite number, at least 0"));
            }
        }
        // All ascending sequences of elements, counted up like the digits of a number.
        let (mut members, mut now) = (Vec::new(), vec![0u32; size]);
        loop {
            members.extend_from_slice(&now);
            let Some(at) = now.iter().rposition(|element| (*element as usize) < counts.len() - 1) else { break };
            let next = now[at] + 1;
            now[at..].fill(next);
        }
        Ok(Median { counts: counts.to_vec(), members, size, threshold, scale, asked: 0 })
    }

    /// How many candidates are left.
    pub fn candidates(&self) -> usize {
        self.members.len() / self.size
    }

    fn means(&self, values: &[f64]) -> Vec<f64> {
        let mean = |rows: &[u32]| rows.iter().map(|row| values[*row as usize]).sum::<f64>() / self.size as f64;
        self.members.chunks(self.size).map(mean).collect()
    }
}

impl QueryMechanism for Median {
    fn name(&self) -> &'static str {
        "median"
    }

    fn rows(&self) -> usize {
        self.counts.len()
    }

    fn read(&self, query: &dyn Query) -> Result<Reading> {
        let values = query.values(0..self.counts.len())?;
        let n: u64 = self.counts.iter().sum();
        let mean = self.counts.iter().zip(&values).map(|(count, q)| *count as f64 * q).sum::<f64>() / n as f64;
        let mut means = self.means(&values);
        // The lower middle: the value of a candidate.
        let middle = means.len().saturating_sub(1) / 2;
        let reference = (!means.is_empty()).then(|| *means.select_nth_unstable_by(middle, f64::total_cmp).1);
        Ok(Reading { mean, reference, values })
    }

    fn step(&mut self, reading: &Reading, rng: &mut Rng) -> Result<Answer> {
        let Some(median) = reading.reference.filter(|_| !self.members.is_empty()) else {
            return Err(answered(self.name(), self.asked, "the candidates"));
        };
        self.asked += 1;
        let given = |value: f64, source, spent| Answer { value, source, spent, guarantee: Guarantee::None };
        if (reading.mean - median).abs() + Noise::Laplace.draw(self.scale, rng) <= self.threshold {
            return Ok(given(median, Source::Synthetic, false));
        }
        let value = (reading.mean + Noise::Laplace.draw(self.scale, rng)).clamp(0.0, 1.0);
        let means = self.means(&reading.values);
        let kept = self.members.chunks(self.size).zip(means);
        let kept = kept.filter(|(_, mean)| (mean - value).abs() <= 0.5 * self.threshold);
        self.members = kept.flat_map(|(rows, _)| rows.iter().copied()).collect();
        Ok(given(value, Source::Holdout, true))
    }

    fn remaining(&self) -> Option<u64> {
        None
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::None
    }
}
