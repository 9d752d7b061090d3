//! Claims of the estimation methods.

pub mod adaptive_data_analysis;
pub mod adaptive_iscv;
pub mod autoencoder_score;
pub mod inductive_bias;
pub mod perturbed_likelihood;
pub mod pretrain_mle_erm;

use crate::figures::point;
use quadrat_core::{Evidence, Plot, Series};

/// A curve of means with their 95% intervals: `metric` gives the metric's name at each place.
fn curve(evidence: &Evidence, arm: &str, places: &[f64], metric: impl Fn(f64) -> String) -> Series {
    let points = places.iter().map(|at| point(evidence, arm, &metric(*at), *at, 0.0));
    Series { name: arm.to_owned(), points: points.filter(|p| !p[1].is_nan()).collect() }
}

/// A picture; `log` says which axes are logarithmic.
fn plot(title: &str, x: &str, y: &str, log: (bool, bool), mut series: Vec<Series>) -> Plot {
    if log.1 {
        // An interval below 0 has no place on such an axis.
        series.iter_mut().flat_map(|s| &mut s.points).for_each(|p| p[2] = p[2].max(1e-3 * p[1].abs()));
    }
    Plot { title: title.into(), x: x.into(), y: y.into(), log_x: log.0, log_y: log.1, series }
}

/// Spearman's rank correlation, for values without ties.
#[cfg(feature = "networks")]
pub(crate) fn rank_correlation(a: &[f64], b: &[f64]) -> f64 {
    let ranks = |values: &[f64]| -> Vec<f64> {
        values.iter().map(|v| values.iter().filter(|other| *other < v).count() as f64).collect()
    };
    let (a, b) = (ranks(a), ranks(b));
    let n = a.len() as f64;
    1.0 - 6.0 * a.iter().zip(&b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>() / (n * (n * n - 1.0))
}
