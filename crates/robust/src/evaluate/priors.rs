//! Probabilities corrected for the shares of the classes.

use ndarray::{Array2, ArrayView2, Axis};
use quadrat_core::{Error, Result};

/// Probabilities (one column a class) of a classifier that learnt with classes in the shares `trained`, for rows whose
/// classes come in the shares `actual`: p' proportional to p * actual / trained.
///
/// With two classes this is p' = p b / (p b + 1 - p), where b is the actual odds of the class over those it was trained
/// with. Rows without probability for any class that actually occurs become NaN.
///
/// Errors: lengths that differ; a share that is not finite and above 0 (`actual` may be 0 for some classes).
///
/// ```
/// use ndarray::array;
/// // Trained on a balanced table; in the field one row in eleven is positive.
/// let p = quadrat_robust::correct_priors(array![[0.5, 0.5]].view(), &[0.5, 0.5], &[10.0 / 11.0, 1.0 / 11.0])?;
/// assert!((p[[0, 1]] - 1.0 / 11.0).abs() < 1e-12);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn correct_priors(probabilities: ArrayView2<f64>, trained: &[f64], actual: &[f64]) -> Result<Array2<f64>> {
    let classes = probabilities.ncols();
    for (what, shares, least) in [("trained shares", trained, f64::MIN_POSITIVE), ("actual shares", actual, 0.0)] {
        if shares.len() != classes {
            return Err(Error::input(what, shares.len(), format!("give one for each of the {classes} classes")));
        }
        if let Some(bad) = shares.iter().find(|s| !(**s >= least && s.is_finite())) {
            return Err(Error::input(what, bad, "shares must be finite and above 0"));
        }
    }
    let mut corrected = probabilities.to_owned();
    for mut row in corrected.axis_iter_mut(Axis(0)) {
        for ((p, trained), actual) in row.iter_mut().zip(trained).zip(actual) {
            *p *= actual / trained;
        }
        let total = row.sum();
        row /= total;
    }
    Ok(corrected)
}
