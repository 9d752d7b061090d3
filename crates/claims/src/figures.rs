//! What the claims' figures and pictures share.

use quadrat_core::{Evidence, stats};

/// A place of a curve: the mean of an arm's figures with its 95% interval; `overlap` as for [`stats::t_interval`].
pub(crate) fn point(evidence: &Evidence, arm: &str, metric: &str, at: f64, overlap: f64) -> [f64; 4] {
    let values: Vec<f64> = evidence.values(arm, metric).into_iter().map(|(_, v)| v).collect();
    let found = stats::t_interval(&values, 0.95, overlap);
    [at, found.mean, found.low, found.high]
}

/// The slope of the least-squares line through y over x.
pub(crate) fn slope(x: &[f64], y: &[f64]) -> f64 {
    let (mx, my) = (stats::mean(x), stats::mean(y));
    let across: f64 = x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum();
    across / x.iter().map(|x| (x - mx) * (x - mx)).sum::<f64>()
}
