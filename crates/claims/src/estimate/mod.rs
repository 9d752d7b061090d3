//! Claims of the estimation methods.

pub mod adaptive_data_analysis;
pub mod adaptive_iscv;
pub mod autoencoder_score;
pub mod inductive_bias;
pub mod perturbed_likelihood;
pub mod pretrain_mle_erm;

use quadrat_core::{Evidence, stats};

/// A figure: arm, metric and value.
type Figure = (String, String, f64);

/// Puts the figures of all repetitions on record.
fn add(evidence: &mut Evidence, outcomes: Vec<(u64, Vec<Figure>)>) {
    for (repeat, figures) in outcomes {
        for (arm, metric, value) in figures {
            evidence.measure(&arm, &metric, repeat, value);
        }
    }
}

/// The slope of the least-squares line through y over x.
fn slope(x: &[f64], y: &[f64]) -> f64 {
    let (mx, my) = (stats::mean(x), stats::mean(y));
    let across: f64 = x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum();
    across / x.iter().map(|x| (x - mx) * (x - mx)).sum::<f64>()
}

/// Spearman's rank correlation, for values without ties.
pub(crate) fn rank_correlation(a: &[f64], b: &[f64]) -> f64 {
    let ranks = |values: &[f64]| -> Vec<f64> {
        values.iter().map(|v| values.iter().filter(|other| *other < v).count() as f64).collect()
    };
    let (a, b) = (ranks(a), ranks(b));
    let n = a.len() as f64;
    1.0 - 6.0 * a.iter().zip(&b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>() / (n * (n * n - 1.0))
}
