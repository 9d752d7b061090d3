//! l_p regression.

use crate::convex::Affine;
use crate::sensitivity::check;
use ndarray::{Array1, Array2, ArrayView2, Axis};
use quadrat_core::{Error, Result};
use quadrat_numeric::linalg::{product, whitening};

/// The solution of an l_p regression.
#[derive(Debug, Clone, PartialEq)]
pub struct Regression {
    /// The coefficients: one a column; the shortest possible where columns depend on each other.
    pub x: Vec<f64>,
    /// `(sum_i w_i |a_i x - b_i|^p)^(1/p)`.
    pub norm: f64,
    /// No coefficients have a norm below `(1 - gap) norm`: what is certified by duality. Without meaning
    /// for an exact fit, where rounding is all that is left.
    pub gap: f64,
    /// Steps taken.
    pub iterations: usize,
}

/// Minimises `sum_i w_i |a_i x - b_i|^p` over x, for p >= 1; all w are 1 when none are given. Least absolute deviations
/// for p = 1, least squares for p = 2. There is no intercept unless `a` has a column of ones.
///
/// Given the weights of a coreset ([`crate::ScoreSampler`]) and its rows, this is the regression on the coreset.
///
/// p = 1 by a primal-dual interior-point method, other p by re-weighted least squares; both stop at a certified relative
/// gap of 1e-9. Cost: some 10 to 30 steps of n d^2 operations each, and two copies of `a`.
///
/// ```
/// use ndarray::array;
/// let a = array![[1.0, 0.0], [1.0, 1.0], [1.0, 2.0], [1.0, 3.0], [1.0, 4.0]];
/// let b = [1.0, 3.0, 5.0, 700.0, 9.0]; // 1 + 2 x, and one gross error that least absolute deviations ignore
/// let fit = quadrat_select::lp_regress(a.view(), &b, 1.0, None)?;
/// assert!((fit.x[0] - 1.0).abs() < 1e-6 && (fit.x[1] - 2.0).abs() < 1e-6);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
///
/// # Errors
/// p below 1 or not finite, lengths that differ, values that are not finite, negative weights, a matrix of zeros.
pub fn lp_regress(a: ArrayView2<f64>, b: &[f64], p: f64, weights: Option<&[f64]>) -> Result<Regression> {
    check(a, p)?;
    let n = a.nrows();
    for (what, length) in [("right-hand side", b.len()), ("weights", weights.map_or(n, <[f64]>::len))] {
        if length != n {
            return Err(Error::input(what, format!("{length} values"), format!("the matrix has {n} rows")));
        }
    }
    if let Some((row, bad)) = b.iter().enumerate().find(|(_, b)| !b.is_finite()) {
        return Err(Error::input(format!("right-hand side, row {row}"), bad, "values must be finite"));
    }
    if let Some((row, bad)) = weights.into_iter().flatten().enumerate().find(|(_, w)| !(w.is_finite() && **w >= 0.0)) {
        return Err(Error::input(format!("weight of row {row}"), bad, "weights must be finite and >= 0"));
    }
    // A weight w on the p-th power is a factor w^(1/p) on the row.
    let mut scaled: Array2<f64> = a.to_owned();
    let mut b = Array1::from(b.to_vec());
    if let Some(weights) = weights {
        for ((mut row, b), w) in scaled.axis_iter_mut(Axis(0)).zip(&mut b).zip(weights) {
            let factor = w.powf(1.0 / p);
            row *= factor;
            *b *= factor;
        }
    }
    // In coordinates y where the rows U = A M are orthonormal, from the least-squares solution y_0 = U^T b.
    let basis = whitening(scaled.view(), None)?;
    let u = product(scaled.view(), basis.view())?;
    let start = u.t().dot(&b);
    let offset = u.dot(&start) - &b;
    let problem = Affine::new(u.into_raw_vec_and_offset().0, offset.to_vec(), basis.ncols());
    let found = if p == 1.0 { problem.minimise_l1(1e-9) } else { problem.minimise_lp(p, 1e-9) };
    let x = basis.dot(&(start + Array1::from(found.y.clone())));
    Ok(Regression { x: x.to_vec(), norm: found.value, gap: found.gap(), iterations: found.iterations })
}
