//! Decompositions in double precision, for matrices that are tall: many rows, at most a few thousand columns.
//!
//! Everything that touches all rows is a product of fixed blocks of rows, so it runs at the speed of matrix products on
//! all threads and gives the same bits on any number of them. What is left is columns x columns and done on one thread.

mod pca;
mod products;
mod sketch;
mod truncated;

pub use pca::Pca;
pub use products::{gram, product, product_squared_lengths};
pub use sketch::sketch;
pub use truncated::{TruncatedSvd, truncated_svd};

use crate::{decompose, prepare};
use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
use faer::{Mat, MatRef, Par};
use ndarray::{Array2, ArrayView2, s};
use products::{centred_gram, check_inner};
use quadrat_core::{Error, Result};
use rayon::prelude::*;

/// Rows a product.
const BLOCK: usize = 1024;
/// Sums of products that are kept apart: the most threads a [`gram`] can use.
const PARTS: usize = 16;

fn to_faer(a: ArrayView2<f64>) -> Mat<f64> {
    Mat::from_fn(a.nrows(), a.ncols(), |i, j| a[[i, j]])
}

fn from_faer(a: MatRef<f64>) -> Array2<f64> {
    Array2::from_shape_fn((a.nrows(), a.ncols()), |(i, j)| a[(i, j)])
}

/// The upper triangular R of X = Q R, by QR of blocks of rows, then of their stacked R's until one is left (TSQR, Demmel
/// et al. 2012). Diagonal entries are >= 0. With fewer rows than columns, R has as many rows as X.
///
/// Cost: 2 x rows x columns^2. As accurate as a QR of the whole.
pub fn thin_r(x: ArrayView2<f64>) -> Array2<f64> {
    let (n, d) = x.dim();
    let rows = BLOCK.max(4 * d);
    let of_block = |block: usize| {
        let block = x.slice(s![block * rows..n.min((block + 1) * rows), ..]);
        from_faer(decompose::qr_r(to_faer(block)).as_ref())
    };
    let stacked: Vec<Array2<f64>> = (0..n.div_ceil(rows)).into_par_iter().map(of_block).collect();
    if stacked.len() > 1 {
        let views: Vec<ArrayView2<f64>> = stacked.iter().map(|a| a.view()).collect();
        return match ndarray::concatenate(ndarray::Axis(0), &views) {
            Ok(all) => thin_r(all.view()),
            Err(_) => Array2::zeros((0, d)),
        };
    }
    let mut r = stacked.into_iter().next().unwrap_or_else(|| Array2::zeros((0, d)));
    for (i, mut row) in r.outer_iter_mut().enumerate() {
        if row[i] < 0.0 {
            row.mapv_inplace(|v| -v);
        }
    }
    r
}

/// The lower triangular L with A = L L^T.
///
/// # Errors
/// `a` that is not square, or not positive definite to working precision.
pub fn cholesky(a: ArrayView2<f64>) -> Result<Array2<f64>> {
    check_square(a)?;
    let factor = decompose::cholesky_l(to_faer(a)).ok_or_else(|| {
        Error::numeric("Cholesky factor", "the matrix is not positive definite; add a small ridge to its diagonal")
    })?;
    Ok(from_faer(factor.as_ref()))
}

/// X with L X = B for a lower triangular L, such as that of [`cholesky`]; what is above its diagonal is not read.
///
/// Cost: rows^2 x columns of B, by blocks of its columns on all threads.
///
/// # Errors
/// `l` that is not square or has a 0 on its diagonal, `b` of another height.
///
/// ```
/// use ndarray::array;
/// use quadrat_numeric::linalg::solve_lower;
/// let x = solve_lower(array![[2.0, 0.0], [1.0, 4.0]].view(), array![[2.0], [9.0]].view())?;
/// assert_eq!(x, array![[1.0], [2.0]]);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn solve_lower(l: ArrayView2<f64>, b: ArrayView2<f64>) -> Result<Array2<f64>> {
    const COLUMNS: usize = 128;
    check_square(l)?;
    check_inner(l, b)?;
    if let Some(row) = l.diag().iter().position(|v| *v == 0.0 || !v.is_finite()) {
        return Err(Error::numeric("triangular system", format!("the diagonal's entry {row} is 0 or not finite")));
    }
    let factor = to_faer(l);
    let block = |block: usize| {
        let columns = block * COLUMNS..b.ncols().min((block + 1) * COLUMNS);
        let mut x = to_faer(b.slice(s![.., columns]));
        solve_lower_triangular_in_place(factor.as_ref(), x.as_mut(), Par::Seq);
        x
    };
    let blocks: Vec<Mat<f64>> = (0..b.ncols().div_ceil(COLUMNS)).into_par_iter().map(block).collect();
    Ok(Array2::from_shape_fn(b.raw_dim(), |(i, j)| blocks[j / COLUMNS][(i, j % COLUMNS)]))
}

/// X with A X = B, by LU with partial pivoting.
///
/// # Errors
/// `a` that is not square or is singular to working precision, `b` of another height.
pub fn solve(a: ArrayView2<f64>, b: ArrayView2<f64>) -> Result<Array2<f64>> {
    check_square(a)?;
    check_inner(a, b)?;
    let x = from_faer(decompose::lu_solved(to_faer(a), to_faer(b)).as_ref());
    if x.iter().all(|v| v.is_finite()) {
        return Ok(x);
    }
    Err(Error::numeric("linear system", "the matrix is singular; drop dependent columns or add a small ridge"))
}

/// Eigenvalues, largest first, and their eigenvectors as columns, of a symmetric matrix (its lower triangle is read).
/// Each vector's entry of largest magnitude is positive.
///
/// # Errors
/// `a` that is not square or holds values that are not finite.
pub fn symmetric_eigen(a: ArrayView2<f64>) -> Result<(Vec<f64>, Array2<f64>)> {
    check_square(a)?;
    prepare::check_finite("matrix", a)?;
    let eigen = decompose::eigen(to_faer(a).as_ref());
    let (mut values, vectors) = eigen.ok_or_else(|| Error::numeric("eigenvalues", "the iteration did not converge"))?;
    let d = a.nrows();
    values.reverse();
    Ok((values, signed(Array2::from_shape_fn((d, d), |(i, j)| vectors[(i, d - 1 - j)]))))
}

/// Squared singular values, largest first, and right singular vectors as columns (columns x min(rows, columns)): from the
/// Gram matrix of a tall matrix, by a thin decomposition of a wide one.
///
/// Cost: rows x columns x min(rows, columns).
///
/// # Errors
/// `x` without rows or columns or with a value that is not finite.
pub fn right_axes(x: ArrayView2<f64>) -> Result<(Vec<f64>, Array2<f64>)> {
    prepare::check("matrix", x)?;
    if x.nrows() >= x.ncols() {
        let (mut values, vectors) = symmetric_eigen(gram(x, None)?.view())?;
        values.iter_mut().for_each(|v| *v = v.max(0.0));
        return Ok((values, vectors));
    }
    let svd = decompose::right_svd(to_faer(x).as_ref());
    let (singular, right) = svd.ok_or_else(|| Error::numeric("singular values", "the iteration did not converge"))?;
    Ok((singular.iter().map(|s| s * s).collect(), signed(from_faer(right.as_ref()))))
}

/// The mean row, and the covariance of the columns divided by the number of rows.
pub(crate) fn covariance(x: ArrayView2<f64>) -> (Vec<f64>, Array2<f64>) {
    let mean = prepare::column_means(x);
    let covariance = centred_gram(x, None, Some(&mean)) / x.nrows().max(1) as f64;
    (mean, covariance)
}

/// Turns each column so that its entry of largest magnitude (the first among equals) is positive.
fn signed(mut vectors: Array2<f64>) -> Array2<f64> {
    for mut column in vectors.columns_mut() {
        let largest = column.iter().fold(0.0_f64, |m, v| if v.abs() > m.abs() { *v } else { m });
        if largest < 0.0 {
            column.mapv_inplace(|v| -v);
        }
    }
    vectors
}

fn check_square(a: ArrayView2<f64>) -> Result<()> {
    let (n, d) = a.dim();
    if n != d || n == 0 {
        return Err(Error::input("matrix", format!("{n} rows, {d} columns"), "it must be square and not empty"));
    }
    Ok(())
}

/// V (columns x rank) such that W^(1/2) X V has orthonormal columns that span those of W^(1/2) X: the squared lengths of
/// its rows are the leverage scores. The rank counts directions stronger than max(rows, columns) x 2^-52 of the
/// strongest, after every column was scaled to length 1.
///
/// The Gram matrix decides alone where its eigenvalues are within a factor of a million, so that squaring the condition
/// number costs at most some columns x 1e-10 of a leverage score; otherwise R of [`thin_r`] does.
///
/// Cost: rows x columns^2, twice that where the columns are nearly dependent.
///
/// # Errors
/// `x` without rows or columns or with a value that is not finite; weights that are negative, not finite or of another
/// number.
///
/// ```
/// use ndarray::array;
/// use quadrat_numeric::linalg::{product_squared_lengths, whitening};
/// let x = array![[1.0, 1.0], [1.0, 1.0], [0.0, 0.0]]; // rank 1
/// let v = whitening(x.view(), None)?;
/// let leverage = product_squared_lengths(x.view(), v.view())?;
/// assert!((leverage[0] - 0.5).abs() < 1e-12 && leverage[2] == 0.0);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn whitening(x: ArrayView2<f64>, weights: Option<&[f64]>) -> Result<Array2<f64>> {
    prepare::check("matrix", x)?;
    if let Some((row, weight)) = weights.into_iter().flatten().enumerate().find(|(_, w)| !(w.is_finite() && **w >= 0.0))
    {
        return Err(Error::input(format!("weight of row {row}"), weight, "weights must be finite and >= 0"));
    }
    let d = x.ncols();
    // Scaling by powers of two first keeps squares in range and costs no digit.
    let largest = prepare::largest(x, &vec![0.0; d]);
    let size = if largest == 0.0 || (1e-100..1e100).contains(&largest) { 1.0 } else { prepare::scale_to_one(largest) };
    let scaled = (size != 1.0).then(|| &x * size);
    let x = scaled.as_ref().map_or(x, |scaled| scaled.view());
    let gram = gram(x, weights)?;
    let lengths: Vec<f64> = gram.diag().iter().map(|v| v.sqrt()).collect();
    let inverse: Vec<f64> = lengths.iter().map(|l| if *l > 0.0 { 1.0 / l } else { 0.0 }).collect();
    let correlation = Array2::from_shape_fn((d, d), |(i, j)| gram[[i, j]] * inverse[i] * inverse[j]);
    let (mut values, mut vectors) = symmetric_eigen(correlation.view())?;
    if values[d - 1] < WELL_CONDITIONED * values[0] {
        let mut factor = match weights {
            None => thin_r(x),
            Some(weights) => {
                let mut copy = x.to_owned();
                copy.outer_iter_mut().zip(weights).for_each(|(mut row, w)| row.mapv_inplace(|v| v * w.sqrt()));
                thin_r(copy.view())
            }
        };
        factor.outer_iter_mut().for_each(|mut row| row.iter_mut().zip(&inverse).for_each(|(v, i)| *v *= i));
        let svd = decompose::right_svd(to_faer(factor.view()).as_ref());
        let (singular, right) =
            svd.ok_or_else(|| Error::numeric("singular values", "the iteration did not converge"))?;
        values = singular.iter().map(|s| s * s).collect();
        vectors = signed(from_faer(right.as_ref()));
    }
    let floor = (x.nrows().max(d) as f64 * f64::EPSILON).powi(2) * values.first().copied().unwrap_or(0.0);
    let rank = values.iter().filter(|v| **v > floor && **v > 0.0).count();
    Ok(Array2::from_shape_fn((d, rank), |(i, j)| vectors[[i, j]] * inverse[i] * size / values[j].sqrt()))
}

/// Smallest ratio of eigenvalues at which the Gram matrix is trusted alone.
const WELL_CONDITIONED: f64 = 1e-6;

/// An orthonormal basis of the columns of X, by whitening twice ("twice is enough").
///
/// # Errors
/// As [`whitening`].
pub fn orthonormal(x: ArrayView2<f64>) -> Result<Array2<f64>> {
    let once = product(x, whitening(x, None)?.view())?;
    product(once.view(), whitening(once.view(), None)?.view())
}
