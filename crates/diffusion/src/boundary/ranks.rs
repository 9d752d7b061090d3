//! Agreement of two rankings.

use quadrat_core::stats;

/// Spearman's rank correlation, ties at the mean of their ranks; none for fewer than two values, lists of different length, or
/// where one of them is all ties.
///
/// ```
/// use quadrat_diffusion::boundary::rank_correlation;
/// assert_eq!(rank_correlation(&[1.0, 2.0, 9.0], &[0.1, 0.2, 0.3]), Some(1.0));
/// ```
pub fn rank_correlation(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.len() != b.len() || a.len() < 2 {
        return None;
    }
    let (a, b) = (ranks(a), ranks(b));
    let (middle_a, middle_b) = (stats::mean(&a), stats::mean(&b));
    let sum =
        |of: &dyn Fn(f64, f64) -> f64| -> f64 { a.iter().zip(&b).map(|(a, b)| of(a - middle_a, b - middle_b)).sum() };
    let scale = (sum(&|a, _| a * a) * sum(&|_, b| b * b)).sqrt();
    (scale > 0.0).then(|| sum(&|a, b| a * b) / scale)
}

/// Ranks from 0, ties at their mean.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    while first < order.len() {
        let alike = order[first..].iter().take_while(|i| values[**i] == values[order[first]]).count().max(1);
        let rank = first as f64 + 0.5 * (alike as f64 - 1.0);
        order[first..first + alike].iter().for_each(|i| ranks[*i] = rank);
        first += alike;
    }
    ranks
}
