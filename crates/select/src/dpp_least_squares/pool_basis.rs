//! Functions of a pool's features.

use super::features_at;
use crate::{Basis, Family};
use ndarray::Array2;
use quadrat_core::{Error, Result};

/// Which functions of a pool's features to fit in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolBasis {
    /// The features as they are.
    Raw,
    /// A constant and the features.
    Linear,
    /// All polynomials of total degree up to this.
    Polynomial(usize),
    /// Polynomials of the hyperbolic cross of this degree.
    Hyperbolic(usize),
}

impl PoolBasis {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let (name, degree) = text.split_once(':').unwrap_or((text, ""));
        let degree = degree.parse().ok().filter(|d| (1..=50).contains(d));
        match (name, degree) {
            ("raw", None) => Ok(PoolBasis::Raw),
            ("linear", None) => Ok(PoolBasis::Linear),
            ("polynomial", Some(d)) => Ok(PoolBasis::Polynomial(d)),
            ("hyperbolic", Some(d)) => Ok(PoolBasis::Hyperbolic(d)),
            _ => Err(Error::input(
                "basis",
                format!("`{text}`"),
                "use linear, raw, polynomial:D or hyperbolic:D with D from 1 to 50",
            )),
        }
    }

    /// The values of the functions, N x m. Features are first brought to [-1, 1], where Legendre products of them are
    /// far from dependent; that changes nothing of the space they span. Constant features add nothing and are left out.
    ///
    /// # Errors
    /// A basis of more than 10,000 functions.
    pub fn features(self, x: &Array2<f64>) -> Result<Array2<f64>> {
        if self == PoolBasis::Raw {
            return Ok(x.clone());
        }
        let ranges: Vec<(usize, f64, f64)> = (0..x.ncols())
            .map(|j| {
                let column = x.column(j);
                let low = column.iter().copied().fold(f64::INFINITY, f64::min);
                let high = column.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                (j, 0.5 * low + 0.5 * high, 0.5 * high - 0.5 * low)
            })
            .filter(|(_, _, half)| *half > 0.0)
            .collect();
        if ranges.is_empty() {
            return Ok(Array2::ones((x.nrows(), 1)));
        }
        let scaled = |i: usize, k: usize| {
            let (j, middle, half) = ranges[k];
            ((x[[i, j]] - middle) / half).clamp(-1.0, 1.0)
        };
        let basis = match self {
            PoolBasis::Hyperbolic(degree) => Basis::hyperbolic_cross(Family::Legendre, ranges.len(), degree)?,
            PoolBasis::Polynomial(degree) => Basis::total_degree(Family::Legendre, ranges.len(), degree)?,
            // Degree 1 in the order of the index sets, without the products of thousands of ones.
            PoolBasis::Raw | PoolBasis::Linear => {
                let last = ranges.len();
                let value = |(i, f)| if f == 0 { 1.0 } else { 3.0_f64.sqrt() * scaled(i, last - f) };
                return Ok(Array2::from_shape_fn((x.nrows(), last + 1), value));
            }
        };
        let scaled = Array2::from_shape_fn((x.nrows(), ranges.len()), |(i, k)| scaled(i, k));
        Ok(features_at(&basis, scaled.view()))
    }
}
