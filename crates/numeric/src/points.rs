//! Rows of numbers in the precision they came in.

use crate::prepare;
use ndarray::{Array2, ArrayView2, Axis};
use quadrat_core::{Error, Result};
use rayon::prelude::*;
use std::borrow::Cow;

/// A matrix with one row a sample, in the precision it came in: embeddings are usually `f32`, columns of a table `f64`.
///
/// Either layout in memory will do (a matrix that other code transposed or took columns of is often column-major):
/// [`Points::to_f32`] and [`Points::to_f64`] always give rows that lie together.
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

    /// The rows in single precision, row-major; copies only when they are in double or column-major.
    pub fn to_f32(&self) -> Cow<'_, Array2<f32>> {
        match self {
            Points::F32(a) => borrowed_by_rows(a),
            Points::F64(a) => Cow::Owned(by_rows(a.mapv(|v| v as f32))),
        }
    }

    /// The rows in double precision, row-major; copies only when they are in single or column-major.
    pub fn to_f64(&self) -> Cow<'_, Array2<f64>> {
        match self {
            Points::F32(a) => Cow::Owned(by_rows(a.mapv(f64::from))),
            Points::F64(a) => borrowed_by_rows(a),
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

/// The matrix with its rows together in memory; copies only when they are not.
pub fn by_rows<T: Clone>(a: Array2<T>) -> Array2<T> {
    if a.is_standard_layout() { a } else { a.as_standard_layout().into_owned() }
}

/// `values`, row after row, as a matrix.
///
/// # Errors
/// Not as many values as rows times columns.
pub fn matrix<T>(shape: (usize, usize), values: Vec<T>) -> Result<Array2<T>> {
    Array2::from_shape_vec(shape, values).map_err(|e| Error::numeric("matrix", e.to_string()))
}

/// A matrix made row by row, in parallel: `fill` is given the number of a row and its values, all of them 0 yet.
pub fn filled<T: Copy + Default + Send + Sync>(
    (rows, columns): (usize, usize),
    fill: impl Fn(usize, &mut [T]) + Sync,
) -> Array2<T> {
    let mut values = vec![T::default(); rows * columns];
    let places = values.par_chunks_mut(columns.max(1)).enumerate().with_min_len(16);
    places.for_each(|(row, values)| fill(row, values));
    Array2::from_shape_fn((rows, columns), |(i, j)| values[i * columns + j])
}

/// The values of a matrix, row after row: borrowed where its rows lie together in memory, copied where not.
#[derive(Debug, Clone)]
pub struct RowMajor<'a, T: Clone> {
    values: Cow<'a, [T]>,
    shape: (usize, usize),
}

impl<'a, T: Clone> RowMajor<'a, T> {
    /// Of this matrix.
    pub fn of(x: ArrayView2<'a, T>) -> Self {
        let values = x.to_slice().map_or_else(|| Cow::Owned(x.iter().cloned().collect()), Cow::Borrowed);
        RowMajor { values, shape: x.dim() }
    }

    /// The matrix again.
    ///
    /// # Errors
    /// None: the values are those of a matrix of this shape.
    pub fn view(&self) -> Result<ArrayView2<'_, T>> {
        ArrayView2::from_shape(self.shape, &self.values).map_err(|e| Error::numeric("matrix", e.to_string()))
    }

    /// Rows and columns.
    pub fn dim(&self) -> (usize, usize) {
        self.shape
    }

    /// All values.
    #[inline(always)]
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// Row `i`; one past the end panics like any index.
    #[inline(always)]
    pub fn row(&self, i: usize) -> &[T] {
        &self.values[i * self.shape.1..(i + 1) * self.shape.1]
    }
}

impl<T: Clone> From<Array2<T>> for RowMajor<'_, T> {
    fn from(x: Array2<T>) -> Self {
        RowMajor { shape: x.dim(), values: Cow::Owned(by_rows(x).into_iter().collect()) }
    }
}

fn borrowed_by_rows<T: Clone>(a: &Array2<T>) -> Cow<'_, Array2<T>> {
    if a.is_standard_layout() { Cow::Borrowed(a) } else { Cow::Owned(a.as_standard_layout().into_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn a_matrix_is_read_row_after_row() {
        let a = array![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]];
        let turned = a.t().to_owned();
        for x in [a.view(), turned.t(), a.select(Axis(1), &[0, 1]).view()] {
            let rows = RowMajor::of(x);
            assert_eq!((rows.dim(), rows.row(1), rows.values().len()), ((3, 2), &[3.0, 4.0][..], 6));
        }
        assert_eq!(RowMajor::of(Array2::<f64>::zeros((0, 3)).view()).values(), [0.0; 0]);
        assert_eq!(matrix((3, 2), RowMajor::of(a.view()).values().to_vec()).unwrap(), a);
        assert!(matrix((2, 2), vec![1.0]).is_err());
        assert_eq!(filled((3, 2), |i, row: &mut [f64]| row.copy_from_slice(RowMajor::of(a.view()).row(i))), a);
        assert_eq!(filled((2, 0), |_, _: &mut [f64]| ()).dim(), (2, 0));
    }

    #[test]
    fn the_first_bad_value_is_named() {
        let good = Points::F64(array![[1.0, 2.0], [3.0, 4.0]]);
        assert!(good.check_finite("points").is_ok());
        let bad = Points::F32(array![[1.0, 2.0], [3.0, f32::NAN]]);
        let error = bad.check_finite("points").unwrap_err().to_string();
        assert!(error.starts_with("points, row 1, column 1: got NaN"), "{error}");
    }

    #[test]
    fn rows_lie_together_whatever_came_in() {
        let columns = Array2::from_shape_fn((3, 2), |(i, j)| (2 * i + j) as f64).select(Axis(1), &[1]);
        for a in [columns, array![[1.0, 2.0], [3.0, 4.0]].reversed_axes()] {
            for points in [Points::F64(a.clone()), Points::F32(a.mapv(|v| v as f32)), Points::F64(a.clone()).take(&[1])]
            {
                assert!(points.to_f64().is_standard_layout() && points.to_f32().is_standard_layout());
                assert_eq!(points.to_f64()[[0, 0]], f64::from(points.to_f32()[[0, 0]]));
            }
            assert_eq!(*Points::F64(a.clone()).to_f64(), a);
        }
    }

    #[test]
    fn conversion_borrows_when_it_can() {
        let points = Points::F64(array![[1.0, 2.0], [3.0, 4.0]]);
        assert!(matches!(points.to_f64(), Cow::Borrowed(_)));
        assert_eq!(points.to_f32()[[1, 0]], 3.0);
        assert_eq!(points.take(&[1, 1]).rows(), 2);
    }
}
