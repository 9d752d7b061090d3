//! Every answer with fresh noise: the Laplace and the Gaussian mechanism (Dwork et al. 2006; in STOC 2015 the way to
//! about n^2 valid adaptive answers).
//!
//! a = clip(q(S) + noise, 0, 1). One row moves q(S) by at most 1/n, so noise of a scale far above 1/n hides every single
//! row and is still far below what matters. The scale comes from [`plan`](super::plan()): it balances the error that the
//! noise makes against the one that it prevents.

use super::noise::Noise;
use super::{Answer, Guarantee, Query, QueryMechanism, Reading, Source, answered, plan};
use quadrat_core::{Error, Result, Rng};
use serde::{Deserialize, Serialize};

/// Noise addition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoiseAddition {
    rows: usize,
    noise: Noise,
    scale: f64,
    queries: u64,
    guarantee: Guarantee,
    asked: u64,
}

impl NoiseAddition {
    /// For `queries` answers over `rows` rows, with the noise whose certified width at confidence 1 - `beta` is
    /// narrowest.
    ///
    /// # Errors
    /// As [`plan`](super::plan()).
    pub fn planned(noise: Noise, rows: usize, queries: u64, beta: f64) -> Result<Self> {
        plan::check(rows, queries, beta)?;
        let best = plan::noise_plan(noise, rows as f64, queries as f64, beta);
        Self::new(noise, rows, queries, best.scale, beta)
    }

    /// For `queries` answers with noise of a chosen scale (standard deviation, or b of Laplace noise).
    ///
    /// # Errors
    /// As [`plan`](super::plan()); a scale that is not a positive number.
    pub fn new(noise: Noise, rows: usize, queries: u64, scale: f64, beta: f64) -> Result<Self> {
        plan::check(rows, queries, beta)?;
        if !(scale > 0.0 && scale.is_finite()) {
            return Err(Error::input("scale of the noise", scale, "use a positive number, such as 0.01"));
        }
        let half_width = plan::noise_width(noise, rows as f64, queries as f64, scale, beta).min(1.0);
        let guarantee = Guarantee::Certified { half_width, confidence: 1.0 - beta };
        Ok(NoiseAddition { rows, noise, scale, queries, guarantee, asked: 0 })
    }

    /// The noise's scale.
    pub fn scale(&self) -> f64 {
        self.scale
    }
}

impl QueryMechanism for NoiseAddition {
    fn name(&self) -> &'static str {
        match self.noise {
            Noise::Laplace => "laplace",
            Noise::Gaussian => "gaussian",
        }
    }

    fn rows(&self) -> usize {
        self.rows
    }

    fn read(&self, query: &dyn Query) -> Result<Reading> {
        Ok(Reading::of(query.mean(0..self.rows)?))
    }

    fn step(&mut self, reading: &Reading, rng: &mut Rng) -> Result<Answer> {
        if self.asked >= self.queries {
            return Err(answered(self.name(), self.asked, "the questions it was planned for"));
        }
        self.asked += 1;
        let value = (reading.mean + self.noise.draw(self.scale, rng)).clamp(0.0, 1.0);
        Ok(Answer { value, source: Source::Holdout, spent: true, guarantee: self.guarantee })
    }

    fn remaining(&self) -> Option<u64> {
        Some(self.queries - self.asked)
    }

    fn guarantee(&self) -> Guarantee {
        self.guarantee
    }
}
