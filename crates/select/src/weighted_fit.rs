//! Weighted least squares in given features, with an estimate of its error.

use ndarray::{Array1, Array2, ArrayView2, Axis};
use quadrat_core::{Error, Result};
use quadrat_numeric::linalg;

/// Eigenvalues of G = 1/n sum w phi phi^T, largest first.
pub(crate) fn gram_eigenvalues(phi: ArrayView2<f64>, w: &[f64]) -> Result<Vec<f64>> {
    let n = phi.nrows() as f64;
    let scaled = Array2::from_shape_fn(phi.dim(), |(i, j)| phi[[i, j]] * (w[i] / n).sqrt());
    Ok(linalg::symmetric_eigen(scaled.t().dot(&scaled).view())?.0)
}

/// A weighted least-squares fit.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightedFit {
    /// Coefficients of the m functions.
    pub coefficients: Vec<f64>,
    /// Eigenvalues of G, smallest and largest: their ratio is the squared condition number of the fit.
    pub lambda: (f64, f64),
    /// Estimate of the error ||f - fit|| in L2(mu) by weighted leave-one-out residuals, somewhat pessimistic since it
    /// judges fits on one point fewer; NaN when every point is needed (as many points as functions).
    pub error: f64,
}

impl WeightedFit {
    /// Minimises sum w_i (y_i - phi_i c)^2 for features `phi` (n x m), weights `w` and values `y` (n each), by an
    /// orthonormal basis of the rows sqrt(w_i) phi_i. Time O(n m^2).
    ///
    /// # Errors
    /// Lengths that differ, values that are not finite, weights <= 0, or features of rank below m at these points.
    pub fn new(phi: ArrayView2<f64>, w: &[f64], y: &[f64]) -> Result<Self> {
        let (n, m) = phi.dim();
        if w.len() != n || y.len() != n {
            return Err(Error::input(
                "points",
                format!("{n} rows of features, {} weights, {} values", w.len(), y.len()),
                "give one of each a point",
            ));
        }
        if let Some(i) = (0..n).find(|&i| !(w[i] > 0.0 && w[i].is_finite() && y[i].is_finite())) {
            return Err(Error::input(
                format!("point {i}"),
                format!("weight {}, value {}", w[i], y[i]),
                "weights must be positive and values finite",
            ));
        }
        let rows = Array2::from_shape_fn((n, m), |(i, j)| phi[[i, j]] * w[i].sqrt());
        let target = Array1::from_shape_fn(n, |i| y[i] * w[i].sqrt());
        let q = linalg::orthonormal(rows.view())?;
        if q.ncols() < m {
            let got = format!("{n} points at which {m} functions have rank {}", q.ncols());
            return Err(Error::input("points", got, "add points or drop functions"));
        }
        // rows = q r with r = q^T rows, so the coefficients solve r c = q^T target.
        let projected = q.t().dot(&target);
        let coefficients = linalg::solve(q.t().dot(&rows).view(), projected.view().insert_axis(Axis(1)))?;
        let residual = &target - &q.dot(&projected);
        let mut squared = 0.0;
        for (r, q) in residual.iter().zip(q.outer_iter()) {
            let leverage = q.dot(&q);
            squared += (r / (1.0 - leverage).max(f64::EPSILON)).powi(2);
        }
        let error = if n > m { (squared / n as f64).sqrt() } else { f64::NAN };
        let eigenvalues = gram_eigenvalues(phi, w)?;
        Ok(WeightedFit {
            coefficients: coefficients.iter().copied().collect(),
            lambda: (eigenvalues[m - 1], eigenvalues[0]),
            error,
        })
    }
}
