//! Rows as the methods that measure distances read them: single precision, contiguous.

use ndarray::{Array1, ArrayView2};
use quadrat_core::{Error, Result};
use quadrat_numeric::{Points, RowMajor};
use rayon::prelude::*;
use std::borrow::Cow;

/// Rows a block of parallel loops: fixed, so that no result depends on the number of threads.
pub(crate) const BLOCK: usize = 2048;

/// Contiguous rows in single precision: both ways of making them see to it that they are row-major.
pub(crate) struct Rows<'a>(RowMajor<'a, f32>);

impl<'a> Rows<'a> {
    /// The points up to a shift, which distances do not see: columns in double precision are centred before they are
    /// rounded, so that a large offset (a year, a time stamp) does not swallow the differences.
    pub(crate) fn centred(points: &'a Points) -> Result<Self> {
        let rows = match points {
            Points::F32(values) => RowMajor::of(values.view()),
            Points::F64(_) => {
                let values = points.to_f64();
                let mean = column_means(values.view());
                RowMajor::from((&*values - &mean).mapv(|v| v as f32))
            }
        };
        Rows(rows).checked()
    }

    /// The points scaled to length 1 (rows of zeros stay zeros): the dot product of two rows is their cosine.
    pub(crate) fn unit(points: &'a Points) -> Result<Self> {
        let mut values = points.to_f64().into_owned();
        for mut row in values.rows_mut() {
            // The largest entry first: squares of the quotients neither overflow nor vanish.
            let largest = row.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
            if largest > 0.0 {
                row /= largest;
                let norm = row.dot(&row).sqrt();
                row /= norm;
            }
        }
        Ok(Rows(RowMajor::from(values.mapv(|v| v as f32))))
    }

    /// Squares of distances must stay far from the end of single precision.
    fn checked(self) -> Result<Self> {
        const LIMIT: f32 = 1e18;
        let values = self.0.values().iter().enumerate();
        if let Some((place, value)) = values.into_iter().find(|(_, v)| v.abs() > LIMIT || v.is_nan()) {
            let columns = self.0.dim().1;
            let what = format!("points, row {}, column {}", place / columns, place % columns);
            return Err(Error::input(what, value, format!("values must be at most {LIMIT:e}; rescale the column")));
        }
        Ok(self)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.dim().0
    }

    pub(crate) fn view(&self) -> Result<ArrayView2<'_, f32>> {
        self.0.view()
    }

    /// Row `i`.
    pub(crate) fn row(&self, i: usize) -> &[f32] {
        self.0.row(i)
    }

    /// The mean row.
    pub(crate) fn mean(&self) -> Result<Array1<f32>> {
        Ok(column_means(self.0.view()?).mapv(|m| m as f32))
    }
}

fn column_means<T: Copy + Into<f64>>(x: ArrayView2<T>) -> Array1<f64> {
    let rows = x.nrows().max(1) as f64;
    let mut means = Array1::<f64>::zeros(x.ncols());
    for row in x.rows() {
        // Divided before adding: the sum of large values does not overflow.
        means.iter_mut().zip(row).for_each(|(mean, v)| *mean += (*v).into() / rows);
    }
    means
}

/// The place of the largest value, the first of equals; blocks in parallel. `None` for no values.
pub(crate) fn first_largest(values: &[f64]) -> Option<usize> {
    let better = |a: (usize, f64), b: (usize, f64)| if b.1 > a.1 || (b.1 == a.1 && b.0 < a.0) { b } else { a };
    let blocks = values.par_chunks(BLOCK).enumerate();
    let best = blocks
        .filter_map(|(block, values)| values.iter().enumerate().map(|(j, v)| (block * BLOCK + j, *v)).reduce(better));
    best.reduce_with(better).map(|(place, _)| place)
}

/// Reading a pool's points, for methods that need them.
pub(crate) fn points(pool: &crate::Pool) -> Result<&Points> {
    pool.points.as_ref().ok_or_else(|| Error::input("points", "nothing", "this method needs embeddings or features"))
}

/// Its scores, for methods that need them.
pub(crate) fn scores(pool: &crate::Pool) -> Result<&[f64]> {
    pool.scores.as_deref().ok_or_else(|| Error::input("scores", "nothing", "this method needs a score for each row"))
}

/// Its classes, for what needs them.
pub(crate) fn classes(pool: &crate::Pool) -> Result<&[u32]> {
    pool.classes.as_deref().ok_or_else(|| Error::input("classes", "nothing", "give a class for each row"))
}

/// Scores, or 1 for every row when there are none.
pub(crate) fn scores_or_one(pool: &crate::Pool) -> Cow<'_, [f64]> {
    pool.scores.as_deref().map_or_else(|| Cow::Owned(vec![1.0; pool.rows]), Cow::Borrowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Axis, array};

    #[test]
    fn a_large_offset_does_not_swallow_differences() {
        let points = Points::F64(array![[1e12, 0.0], [1e12 + 1.0, 0.0], [1e12 + 2.0, 3.0]]);
        let rows = Rows::centred(&points).unwrap();
        assert_eq!((rows.row(0), rows.row(2)), (&[-1.0, -1.0][..], &[1.0, 2.0][..]));
        assert!(Rows::centred(&Points::F64(array![[1e300], [-1e300]])).is_err());
    }

    #[test]
    fn columns_that_were_taken_out_are_rows_again() {
        let whole = array![[1.0, 7.0, 2.0], [3.0, 7.0, 5.0], [8.0, 7.0, -1.0]];
        let taken = whole.select(Axis(1), &[0, 2]);
        assert!(!taken.is_standard_layout(), "what dropping a constant column leaves is column-major");
        let rows = |points: &Points| -> Vec<f32> {
            let (centred, unit) = (Rows::centred(points).unwrap(), Rows::unit(points).unwrap());
            (0..3).flat_map(|i| [centred.row(i), unit.row(i)].concat()).collect()
        };
        let plain = Points::F64(array![[1.0, 2.0], [3.0, 5.0], [8.0, -1.0]]);
        assert_eq!(rows(&Points::F64(taken.clone())), rows(&plain));
        assert_eq!(rows(&Points::F32(taken.mapv(|v| v as f32))), rows(&Points::F32(plain.to_f32().into_owned())));
    }

    #[test]
    fn unit_rows_of_any_size() {
        let points = Points::F64(array![[3e-200, 4e-200], [3e200, -4e200], [0.0, 0.0]]);
        let rows = Rows::unit(&points).unwrap();
        assert_eq!((rows.row(0), rows.row(1), rows.row(2)), (&[0.6, 0.8][..], &[0.6, -0.8][..], &[0.0, 0.0][..]));
    }

    #[test]
    fn the_first_of_equals_is_largest() {
        let mut values = vec![0.0; 3 * BLOCK];
        assert_eq!(first_largest(&values), Some(0));
        values[BLOCK + 3] = 1.0;
        values[BLOCK + 5] = 1.0;
        assert_eq!(first_largest(&values), Some(BLOCK + 3));
        assert_eq!(first_largest(&[]), None);
    }
}
