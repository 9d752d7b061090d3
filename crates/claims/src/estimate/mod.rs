//! Claims of the estimation methods.

pub mod adaptive_data_analysis;
pub mod adaptive_iscv;
pub mod autoencoder_score;
pub mod inductive_bias;
pub mod perturbed_likelihood;
pub mod pretrain_mle_erm;

/// Spearman's rank correlation, for values without ties.
fn rank_correlation(a: &[f64], b: &[f64]) -> f64 {
    let ranks = |values: &[f64]| -> Vec<f64> {
        values.iter().map(|v| values.iter().filter(|other| *other < v).count() as f64).collect()
    };
    let (a, b) = (ranks(a), ranks(b));
    let n = a.len() as f64;
    1.0 - 6.0 * a.iter().zip(&b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>() / (n * (n * n - 1.0))
}
