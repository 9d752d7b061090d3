//! Rows of numbers in the precision they came in.

use crate::prepare;
use ndarray::{Array2, Axis};
use quadrat_core::Result;
use std::borrow::Cow;

/// A matrix with one row a sample, row-major, in the precision it came in: embeddings are usually `f32`, columns of a
/// table `f64`.
#[derive(Debug, Clone, PartialEq)]
pub enum Points {
    /// Single precision.
    F32(Array2<f32>),
    /// Double precision.
    F64(Array2<f64>),
}

impl Points {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        match self {
            Points::F32(a) => a.nrows(),
            Points::F64(a) => a.nrows(),
        }
    }

    /// Number of columns.
    pub fn cols(&self) -> usize {
        match self {
            Points::F32(a) => a.ncols(),
            Points::F64(a) => a.ncols(),
        }
    }

    /// The rows in single precision; copies only when they are in double.
    pub fn to_f32(&self) -> Cow<'_, Array2<f32>> {
        match self {
            Points::F32(a) => Cow::Borrowed(a),
            Points::F64(a) => Cow::Owned(a.mapv(|v| v as f32)),
        }
    }

    /// The rows in double precision; copies only when they are in single.
    pub fn to_f64(&self) -> Cow<'_, Array2<f64>> {
        match self {
            Points::F32(a) => Cow::Owned(a.mapv(f64::from)),
            Points::F64(a) => Cow::Borrowed(a),
        }
    }

    /// The given rows, in the given order. Rows past the end are an error of the caller's and panic like any index.
    pub fn take(&self, rows: &[usize]) -> Points {
        match self {
            Points::F32(a) => Points::F32(a.select(Axis(0), rows)),
            Points::F64(a) => Points::F64(a.select(Axis(0), rows)),
        }
    }

    /// An error that names the first row and column (counted from 0) that is NaN or infinite, or that would overflow
    /// in single precision.
    pub fn check_finite(&self, what: &str) -> Result<()> {
        match self {
            Points::F32(a) => prepare::check_finite(what, a.view()),
            Points::F64(a) => prepare::check_finite(what, a.view()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn the_first_bad_value_is_named() {
        let good = Points::F64(array![[1.0, 2.0], [3.0, 4.0]]);
        assert!(good.check_finite("points").is_ok());
        let bad = Points::F32(array![[1.0, 2.0], [3.0, f32::NAN]]);
        let error = bad.check_finite("points").unwrap_err().to_string();
        assert!(error.starts_with("points, row 1, column 1: got NaN"), "{error}");
    }

    #[test]
    fn conversion_borrows_when_it_can() {
        let points = Points::F64(array![[1.0, 2.0], [3.0, 4.0]]);
        assert!(matches!(points.to_f64(), Cow::Borrowed(_)));
        assert_eq!(points.to_f32()[[1, 0]], 3.0);
        assert_eq!(points.take(&[1, 1]).rows(), 2);
    }
}
