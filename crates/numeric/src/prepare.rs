//! Checks and transformations that clustering and neighbours share: products of rows are only accurate on rows that are
//! centred and neither huge nor tiny.

use ndarray::{ArrayView1, ArrayView2, s};
use quadrat_core::{Error, Result};
use rayon::prelude::*;

/// Rows a parallel step: fixed, so that sums do not depend on the number of threads.
const CHUNK: usize = 4096;

/// The rows in chunks.
fn chunks<'a, T: Sync>(x: &'a ArrayView2<'a, T>) -> impl IndexedParallelIterator<Item = ArrayView2<'a, T>> {
    let n = x.nrows();
    (0..n.div_ceil(CHUNK)).into_par_iter().map(move |c| x.slice(s![c * CHUNK..n.min((c + 1) * CHUNK), ..]))
}

/// That there are rows and columns, and [`check_finite`].
pub(crate) fn check<T: Copy + Into<f64> + Sync>(what: &str, x: ArrayView2<T>) -> Result<()> {
    let (n, d) = x.dim();
    if n == 0 || d == 0 {
        let got = format!("{n} rows, {d} columns");
        return Err(Error::input(what, got, "there must be at least one row and one column"));
    }
    check_finite(what, x)
}

/// That every value of a table is finite.
///
/// # Errors
/// Names `what` with the first row and column (counted from 0) of which that is not true.
pub fn check_finite<T: Copy + Into<f64> + Sync>(what: &str, x: ArrayView2<T>) -> Result<()> {
    let bad = |row: ArrayView1<T>| row.iter().map(|v| (*v).into()).enumerate().find(|(_, v)| !v.is_finite());
    let first = chunks(&x).enumerate().find_map_first(|(chunk, rows)| {
        let at = rows.outer_iter().position(|row| row.iter().any(|v| !(*v).into().is_finite()))?;
        Some(chunk * CHUNK + at)
    });
    match first.and_then(|row| bad(x.row(row)).map(|(column, value)| (row, column, value))) {
        None => Ok(()),
        Some((row, column, value)) => Err(Error::input(
            format!("{what}, row {row}, column {column}"),
            value,
            "values must be finite; remove the row or fill the value in",
        )),
    }
}

/// [`check`], and that the rows are not all alike and of a size whose squares stay in double precision.
pub(crate) fn check_spread(what: &str, x: ArrayView2<f64>) -> Result<()> {
    check(what, x)?;
    let size = largest(x, &column_means(x));
    let magnitude = largest(x, &vec![0.0; x.ncols()]);
    if x.outer_iter().all(|row| row == x.row(0)) {
        return Err(Error::input(what, "rows that are all alike", "rows must differ for a model of them"));
    }
    if !(size > 1e-100 && magnitude < 1e100) {
        let got = format!("values up to {magnitude:e}, {size:e} from their column's mean");
        return Err(Error::input(what, got, "bring columns to an ordinary size first: use other units or standardise"));
    }
    Ok(())
}

/// The mean of each column; 0 for a column whose sum overflows.
pub(crate) fn column_means<T: Copy + Into<f64> + Sync>(x: ArrayView2<T>) -> Vec<f64> {
    let sums: Vec<Vec<f64>> = chunks(&x)
        .map(|rows| {
            let mut sum = vec![0.0; x.ncols()];
            for row in rows.outer_iter() {
                sum.iter_mut().zip(row).for_each(|(s, v)| *s += (*v).into());
            }
            sum
        })
        .collect();
    let mut mean = vec![0.0; x.ncols()];
    for sum in sums {
        mean.iter_mut().zip(sum).for_each(|(m, s)| *m += s);
    }
    let n = x.nrows() as f64;
    mean.into_iter().map(|m| m / n).map(|m| if m.is_finite() { m } else { 0.0 }).collect()
}

/// The largest |value - centre| of any column.
pub(crate) fn largest<T: Copy + Into<f64> + Sync>(x: ArrayView2<T>, centre: &[f64]) -> f64 {
    let of_rows = |rows: ArrayView2<T>| {
        let of_row =
            |row: ArrayView1<T>| row.iter().zip(centre).map(|(v, c)| ((*v).into() - c).abs()).fold(0.0, f64::max);
        rows.outer_iter().map(of_row).fold(0.0, f64::max)
    };
    chunks(&x).map(of_rows).reduce(|| 0.0, f64::max)
}

/// The power of two that brings `largest` to 1/2..1; 1 for 0. Exact to multiply and divide by.
pub(crate) fn scale_to_one(largest: f64) -> f64 {
    if largest == 0.0 {
        return 1.0;
    }
    // Past 2^1021 either way the power itself would not be a normal number; there the result is merely near 1.
    2.0_f64.powi((-1 - largest.log2().floor() as i32).clamp(-1021, 1021))
}
