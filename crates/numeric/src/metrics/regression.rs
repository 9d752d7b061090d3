//! Predictions of numbers.

use super::same_length;
use quadrat_core::{Error, Result};

/// Mean of |truth − prediction|.
///
/// # Errors
/// Lists of different lengths, or empty ones.
pub fn mean_absolute_error(truth: &[f64], predicted: &[f64]) -> Result<f64> {
    mean(truth, predicted, |t, p| (t - p).abs())
}

/// Root of the mean of (truth − prediction)².
///
/// # Errors
/// Lists of different lengths, or empty ones.
pub fn root_mean_squared_error(truth: &[f64], predicted: &[f64]) -> Result<f64> {
    // Errors are divided by the largest, whose square can be beyond what a number holds.
    same_length(truth.len(), predicted.len())?;
    let largest = truth.iter().zip(predicted).map(|(t, p)| (t - p).abs()).fold(0.0, f64::max);
    if largest == 0.0 || !largest.is_finite() {
        return Ok(largest);
    }
    Ok(largest * mean(truth, predicted, |t, p| ((t - p) / largest).powi(2))?.sqrt())
}

/// Share of the truth's variance that is explained: 1 − Σ (t − p)² / Σ (t − mean t)². At most 1; 0 is as good as the
/// truth's own mean. Where the truth is one number throughout there is nothing to explain: 1 for predictions that are
/// all right, else 0, as scikit-learn says it.
///
/// ```
/// use quadrat_numeric::metrics::r2;
/// assert!((r2(&[1.0, 2.0, 3.0], &[1.0, 2.0, 4.0])? - 0.5).abs() < 1e-12);
/// assert_eq!(r2(&[3.7, 3.7], &[3.7, 3.9])?, 0.0);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
///
/// # Errors
/// Lists of different lengths, or empty ones.
pub fn r2(truth: &[f64], predicted: &[f64]) -> Result<f64> {
    let rest = root_mean_squared_error(truth, predicted)?;
    if truth.iter().all(|t| *t == truth[0]) {
        return Ok(if rest == 0.0 { 1.0 } else { 0.0 });
    }
    let first = truth[0];
    let middle = first + truth.iter().map(|t| t - first).sum::<f64>() / truth.len() as f64;
    let spread = root_mean_squared_error(truth, &vec![middle; truth.len()])?;
    Ok(1.0 - (rest / spread).powi(2))
}

/// Mean of max(τ (t − p), (τ − 1) (t − p)), which is least if p is the τ-quantile of t; at ½ it is half the mean absolute
/// error.
///
/// # Errors
/// Lists of different lengths, empty ones, or a share τ that is not between 0 and 1.
pub fn pinball(truth: &[f64], predicted: &[f64], share: f64) -> Result<f64> {
    if !(share > 0.0 && share < 1.0) {
        return Err(Error::input("quantile", share, "between 0 and 1"));
    }
    mean(truth, predicted, |t, p| (share * (t - p)).max((share - 1.0) * (t - p)))
}

fn mean(truth: &[f64], predicted: &[f64], loss: impl Fn(f64, f64) -> f64) -> Result<f64> {
    same_length(truth.len(), predicted.len())?;
    Ok(truth.iter().zip(predicted).map(|(t, p)| loss(*t, *p)).sum::<f64>() / truth.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRUTH: [f64; 7] = [3.0, -0.5, 2.0, 7.0, 4.2, 2.0, -3.5];
    const PREDICTED: [f64; 7] = [2.5, 0.0, 2.0, 8.0, 4.0, 1.0, -3.0];

    #[test]
    fn figures_are_those_of_scikit_learn() {
        // mean_absolute_error, root_mean_squared_error, r2_score, mean_pinball_loss of scikit-learn 1.9.
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} {b}");
        near(mean_absolute_error(&TRUTH, &PREDICTED).unwrap(), 0.528571429);
        near(root_mean_squared_error(&TRUTH, &PREDICTED).unwrap(), 0.631325137);
        near(r2(&TRUTH, &PREDICTED).unwrap(), 0.958564943);
        for (share, golden) in [(0.1, 0.281428571), (0.5, 0.264285714), (0.9, 0.247142857)] {
            near(pinball(&TRUTH, &PREDICTED, share).unwrap(), golden);
        }
    }

    #[test]
    fn a_constant_truth_has_an_answer() {
        assert_eq!(r2(&[3.7; 10], &[3.7; 10]).unwrap(), 1.0);
        assert_eq!(r2(&[3.7; 10], &[3.699; 10]).unwrap(), 0.0);
        assert_eq!(r2(&[1.0], &[5.0]).unwrap(), 0.0, "one row is constant");
    }

    #[test]
    fn large_and_shifted_numbers_keep_their_figures() {
        let shifted: Vec<f64> = TRUTH.iter().map(|t| t + 2f64.powi(40)).collect();
        let said: Vec<f64> = PREDICTED.iter().map(|p| p + 2f64.powi(40)).collect();
        assert!((r2(&shifted, &said).unwrap() - r2(&TRUTH, &PREDICTED).unwrap()).abs() < 1e-3);
        let large = |v: &[f64]| v.iter().map(|v| v * 1e200).collect::<Vec<_>>();
        assert!((r2(&large(&TRUTH), &large(&PREDICTED)).unwrap() - r2(&TRUTH, &PREDICTED).unwrap()).abs() < 1e-12);
    }

    #[test]
    fn bad_input_is_refused() {
        assert!(r2(&[], &[]).is_err() && mean_absolute_error(&[1.0], &[]).is_err());
        assert!(root_mean_squared_error(&[], &[]).is_err());
        for share in [0.0, 1.0, f64::NAN] {
            assert!(pinball(&[1.0], &[1.0], share).is_err());
        }
    }
}
