//! What runs of Quadrat's claims found, as `quadrat check --record results` wrote it: what `quadrat show` tells of them.

/// A list of summaries as JSON, one for each method and scale.
pub const SUMMARY: &str = include_str!("summary.json");
