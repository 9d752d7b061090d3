//! What a run leaves behind.

use quadrat_core::{Environment, Evidence, Finding, Scale, Verdict};
use serde::{Deserialize, Serialize};

/// A claim's run: when, where, what was measured, what follows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The method.
    pub slug: String,
    /// How large the run was.
    pub scale: Scale,
    /// The seed it started from.
    pub seed: u64,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// The machine and the build.
    pub environment: Environment,
    /// What follows; `None` at smoke scale, which gives no verdict.
    pub verdict: Option<Verdict>,
    /// Each expectation with what was measured.
    pub findings: Vec<Finding>,
    /// All figures.
    pub evidence: Evidence,
}

impl Record {
    /// Judges `evidence` and puts it on record.
    pub fn new(slug: &str, scale: Scale, seed: u64, seconds: f64, evidence: Evidence) -> Self {
        let (verdict, findings) = evidence.judge();
        let verdict = (scale != Scale::Smoke).then_some(verdict);
        let environment = Environment::here();
        Record { slug: slug.to_owned(), scale, seed, seconds, environment, verdict, findings, evidence }
    }
}
