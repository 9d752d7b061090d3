//! Decompositions in double precision, for matrices that are tall: many rows, at most a few thousand columns.
//!
//! Everything that touches all rows is a product of fixed blocks of rows, so it runs at the speed of matrix products on
//! all threads and gives the same bits on any number of them. What is left is columns x columns and done on one thread.

use crate::gemm::vectorised;
use crate::sparse::Csr;
use crate::{decompose, prepare};
use faer::linalg::matmul::matmul;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
use faer::{Accum, Mat, MatMut, MatRef, Par};
use ndarray::{Array2, ArrayView2, s};
use quadrat_core::{Error, Result, Seed};
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

/// X^T W X, where W is the diagonal of `weights` (all 1 without).
///
/// Cost: rows x columns^2. Memory: 16 results.
///
/// # Errors
/// `weights` of another length than there are rows.
///
/// ```
/// use ndarray::array;
/// let x = array![[1.0, 2.0], [3.0, 4.0]];
/// assert_eq!(quadrat_numeric::linalg::gram(x.view(), None)?, array![[10.0, 14.0], [14.0, 20.0]]);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn gram(x: ArrayView2<f64>, weights: Option<&[f64]>) -> Result<Array2<f64>> {
    if let Some(weights) = weights.filter(|w| w.len() != x.nrows()) {
        return Err(Error::input("weights", weights.len(), format!("give one for each of the {} rows", x.nrows())));
    }
    Ok(centred_gram(x, weights, None))
}

/// X^T W X of the rows less `mean`.
fn centred_gram(x: ArrayView2<f64>, weights: Option<&[f64]>, mean: Option<&[f64]>) -> Array2<f64> {
    let (n, d) = x.dim();
    let blocks = n.div_ceil(BLOCK);
    let part = |part: usize| {
        let mut sum = vec![0.0; d * d];
        let mut copy = vec![0.0; BLOCK * d];
        for block in part * blocks / PARTS..(part + 1) * blocks / PARTS {
            let rows = x.slice(s![block * BLOCK..n.min((block + 1) * BLOCK), ..]);
            let m = rows.nrows();
            let left = &mut copy[..m * d];
            for (i, (to, row)) in left.chunks_exact_mut(d.max(1)).zip(rows.outer_iter()).enumerate() {
                to.iter_mut().zip(row).for_each(|(to, v)| *to = *v);
                if let Some(mean) = mean {
                    to.iter_mut().zip(mean).for_each(|(to, m)| *to -= m);
                }
                if let Some(weights) = weights {
                    let root = weights[block * BLOCK + i].sqrt();
                    to.iter_mut().for_each(|to| *to *= root);
                }
            }
            let left = MatRef::from_row_major_slice(left, m, d);
            let sum = MatMut::from_row_major_slice_mut(&mut sum, d, d);
            matmul(sum, Accum::Add, left.transpose(), left, 1.0, Par::Seq);
        }
        sum
    };
    let parts: Vec<Vec<f64>> = (0..PARTS).into_par_iter().map(part).collect();
    let at = |i: usize, j: usize| parts.iter().map(|p| p[i.min(j) * d + i.max(j)]).sum();
    Array2::from_shape_fn((d, d), |(i, j)| at(i, j))
}

/// X^T X of the rows less `mean`, in single precision within a block.
fn centred_gram_f32(x: ArrayView2<f32>, mean: &[f64]) -> Array2<f64> {
    let (n, d) = x.dim();
    let blocks = n.div_ceil(BLOCK);
    let mean: Vec<f32> = mean.iter().map(|m| *m as f32).collect();
    let part = |part: usize| {
        let mut sum = vec![0.0_f64; d * d];
        let mut product = vec![0.0_f32; d * d];
        let mut copy = vec![0.0_f32; BLOCK * d];
        for block in part * blocks / PARTS..(part + 1) * blocks / PARTS {
            let rows = x.slice(s![block * BLOCK..n.min((block + 1) * BLOCK), ..]);
            let m = rows.nrows();
            let left = &mut copy[..m * d];
            for (to, row) in left.chunks_exact_mut(d.max(1)).zip(rows.outer_iter()) {
                to.iter_mut().zip(row).zip(&mean).for_each(|((to, v), m)| *to = v - m);
            }
            let left = MatRef::from_row_major_slice(left, m, d);
            triangular::matmul(
                MatMut::from_row_major_slice_mut(&mut product, d, d),
                BlockStructure::TriangularUpper,
                Accum::Replace,
                left.transpose(),
                BlockStructure::Rectangular,
                left,
                BlockStructure::Rectangular,
                1.0,
                Par::Seq,
            );
            sum.iter_mut().zip(&product).for_each(|(sum, v)| *sum += f64::from(*v));
        }
        sum
    };
    let parts: Vec<Vec<f64>> = (0..PARTS).into_par_iter().map(part).collect();
    let at = |i: usize, j: usize| parts.iter().map(|p| p[i.min(j) * d + i.max(j)]).sum();
    Array2::from_shape_fn((d, d), |(i, j)| at(i, j))
}

/// A x B for a tall A, by blocks of rows.
///
/// # Errors
/// Inner sizes that differ.
pub fn product(a: ArrayView2<f64>, b: ArrayView2<f64>) -> Result<Array2<f64>> {
    check_inner(a, b)?;
    let (n, m) = (a.nrows(), b.ncols());
    let mut out = Array2::zeros((n, m));
    if let Some(out) = out.as_slice_mut().filter(|_| m > 0) {
        out.par_chunks_mut(BLOCK * m).enumerate().for_each(|(block, out)| block_product(a, block, b, out));
    }
    Ok(out)
}

/// The squared length of each row of A x B, without storing the product: with B from [`whitening`], leverage scores.
///
/// # Errors
/// Inner sizes that differ.
pub fn product_squared_lengths(a: ArrayView2<f64>, b: ArrayView2<f64>) -> Result<Vec<f64>> {
    check_inner(a, b)?;
    let (n, m) = (a.nrows(), b.ncols());
    let mut lengths = vec![0.0; n];
    if m > 0 {
        lengths.par_chunks_mut(BLOCK).enumerate().for_each_init(
            || vec![0.0; BLOCK * m],
            |rows, (block, lengths)| {
                block_product(a, block, b, &mut rows[..lengths.len() * m]);
                vectorised(
                    #[inline(always)]
                    || {
                        for (length, row) in lengths.iter_mut().zip(rows.chunks_exact(m)) {
                            let (lanes, rest) = row.as_chunks::<8>();
                            let mut sums = [0.0; 8];
                            lanes.iter().for_each(|v| sums.iter_mut().zip(v).for_each(|(s, v)| *s += v * v));
                            *length = sums.iter().sum::<f64>() + rest.iter().map(|v| v * v).sum::<f64>();
                        }
                    },
                );
            },
        );
    }
    Ok(lengths)
}

fn check_inner(a: ArrayView2<f64>, b: ArrayView2<f64>) -> Result<()> {
    if a.ncols() != b.nrows() {
        let want = format!("the matrix before it has {} columns", a.ncols());
        return Err(Error::input("factor", format!("{} rows", b.nrows()), want));
    }
    Ok(())
}

/// Block `block` of the rows of A, times B.
fn block_product(a: ArrayView2<f64>, block: usize, b: ArrayView2<f64>, out: &mut [f64]) {
    let rows = a.slice_move(s![block * BLOCK..a.nrows().min((block + 1) * BLOCK), ..]);
    let out = MatMut::from_row_major_slice_mut(out, rows.nrows(), b.ncols());
    with_ref(rows, |rows| with_ref(b, |b| matmul(out, Accum::Replace, rows, b, 1.0, Par::Seq)));
}

/// A view of the array as faer's; copies an array whose rows are not contiguous.
fn with_ref<R>(a: ArrayView2<f64>, work: impl FnOnce(MatRef<f64>) -> R) -> R {
    let copy = a.as_standard_layout();
    let values = copy.as_slice().unwrap_or_default();
    work(MatRef::from_row_major_slice(values, a.nrows(), a.ncols()))
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

fn check_dims<T: Copy + Into<f64> + Sync>(x: ArrayView2<T>, dims: usize) -> Result<()> {
    prepare::check("points", x)?;
    if dims == 0 || dims > x.ncols() {
        return Err(Error::input("dimensions", dims, format!("use 1 to {}, the number of columns", x.ncols())));
    }
    Ok(())
}

/// Principal components.
#[derive(Debug, Clone, PartialEq)]
pub struct Pca {
    /// The mean row.
    pub mean: Vec<f64>,
    /// Columns x dims: orthonormal directions, strongest first, the entry of largest magnitude positive.
    pub components: Array2<f64>,
    /// Variance along each (divided by rows - 1), largest first.
    pub variances: Vec<f64>,
    /// Sum of the variances of all columns.
    pub total_variance: f64,
}

impl Pca {
    /// The `dims` strongest directions of the rows of `x`.
    ///
    /// Cost: rows x columns^2 + columns^3; rows^2 x columns where there are fewer rows than columns.
    ///
    /// # Errors
    /// `x` without rows or columns or with a value that is not finite; `dims` outside 1..=columns.
    ///
    /// ```
    /// use ndarray::array;
    /// let pca = quadrat_numeric::linalg::Pca::fit(array![[0.0, 0.0], [2.0, 2.0], [4.0, 4.0]].view(), 1)?;
    /// assert!((pca.variances[0] - 8.0).abs() < 1e-12);
    /// # Ok::<(), quadrat_core::Error>(())
    /// ```
    pub fn fit(x: ArrayView2<f64>, dims: usize) -> Result<Pca> {
        check_dims(x, dims)?;
        let (n, d) = x.dim();
        let mean = prepare::column_means(x);
        if n < d && dims <= n {
            let centred = &x - &ndarray::ArrayView1::from(&mean);
            let (values, vectors) = right_axes(centred.view())?;
            let values: Vec<f64> = values.iter().map(|v| v / (n.max(2) - 1) as f64).collect();
            let total_variance = values.iter().sum();
            return Ok(Pca::of(mean, values, vectors, dims, total_variance));
        }
        let gram = centred_gram(x, None, Some(&mean));
        Pca::of_gram(mean, gram, n, dims)
    }

    /// As [`Pca::fit`] for rows in single precision, in about half the time: blocks of rows are multiplied in single
    /// precision, once for each pair of columns, and added in double, so that variances are right to about 1e-6.
    ///
    /// # Errors
    /// As [`Pca::fit`].
    pub fn fit_f32(x: ArrayView2<f32>, dims: usize) -> Result<Pca> {
        check_dims(x, dims)?;
        let mean = prepare::column_means(x);
        let gram = centred_gram_f32(x, &mean);
        Pca::of_gram(mean, gram, x.nrows(), dims)
    }

    fn of_gram(mean: Vec<f64>, gram: Array2<f64>, rows: usize, dims: usize) -> Result<Pca> {
        let covariance = gram / (rows.max(2) - 1) as f64;
        let (values, vectors) = symmetric_eigen(covariance.view())?;
        Ok(Pca::of(mean, values, vectors, dims, covariance.diag().sum()))
    }

    fn of(mean: Vec<f64>, mut values: Vec<f64>, vectors: Array2<f64>, dims: usize, total_variance: f64) -> Pca {
        values.truncate(dims);
        values.iter_mut().for_each(|v| *v = v.max(0.0));
        Pca { mean, components: vectors.slice(s![.., ..dims]).to_owned(), variances: values, total_variance }
    }

    /// Coordinates of rows along the components: rows x dims.
    ///
    /// # Errors
    /// Rows of another width.
    pub fn transform(&self, x: ArrayView2<f64>) -> Result<Array2<f64>> {
        let mut coordinates = product(x, self.components.view())?;
        let offset = ndarray::ArrayView1::from(&self.mean).dot(&self.components);
        coordinates.outer_iter_mut().for_each(|mut row| row -= &offset);
        Ok(coordinates)
    }
}

/// A truncated singular value decomposition A = U S V^T.
#[derive(Debug, Clone, PartialEq)]
pub struct TruncatedSvd {
    /// Rows x dims: U S, the rows' coordinates. Each column's entry of largest magnitude in V is positive.
    pub coordinates: Array2<f32>,
    /// Singular values, largest first; 0 beyond the rank.
    pub singular: Vec<f64>,
}

/// Power iterations of [`truncated_svd`]: text has slowly falling singular values.
const POWER: usize = 4;
/// Directions beyond those asked for that make the asked ones accurate.
const OVERSAMPLE: usize = 10;

/// The `dims` strongest singular directions by randomised subspace iteration (Halko, Martinsson and Tropp 2011,
/// algorithm 4.4, on the side of the columns).
///
/// Cost: 5 passes of non-zeros x (dims + 10), each out and back. Memory: 16 (dims + 10) bytes for each column that has a
/// non-zero.
///
/// # Errors
/// An empty matrix, a column number past the end, values that are not finite, `dims` outside 1..=columns.
pub fn truncated_svd(a: &Csr, dims: usize, seed: Seed) -> Result<TruncatedSvd> {
    let n = a.rows();
    if n == 0 || dims == 0 || dims > a.cols {
        let want = format!("use 1 to {}, the number of columns, of at least one row", a.cols);
        return Err(Error::input("dimensions", dims, want));
    }
    if let Some(column) = a.indices.iter().find(|c| **c as usize >= a.cols) {
        return Err(Error::input("column", column, format!("the matrix has {} columns", a.cols)));
    }
    if let Some(value) = a.values.iter().find(|v| !v.is_finite()) {
        return Err(Error::input("matrix", value, "values must be finite"));
    }
    // Hashed text uses few of its columns: number those.
    let mut number = vec![u32::MAX; a.cols];
    let mut used = 0;
    for &column in &a.indices {
        if number[column as usize] == u32::MAX {
            number[column as usize] = used;
            used += 1;
        }
    }
    let columns: Vec<u32> = a.indices.iter().map(|c| number[*c as usize]).collect();
    let sparse = Compact { a, columns, used: used as usize };
    let width = (dims + OVERSAMPLE).min(sparse.used).min(n);
    let mut singular = vec![0.0; dims];
    let mut coordinates = Array2::zeros((n, dims));
    if width == 0 {
        return Ok(TruncatedSvd { coordinates, singular });
    }
    let stream = seed.stream("truncated svd");
    let mut basis = Array2::zeros((sparse.used, width));
    for (i, mut row) in basis.outer_iter_mut().enumerate() {
        let mut rng = stream.rng(i as u64);
        row.iter_mut().for_each(|v| *v = rng.normal());
    }
    for _ in 0..=POWER {
        basis = sparse.there_and_back(&basis);
        if basis.iter().all(|v| *v == 0.0) {
            return Ok(TruncatedSvd { coordinates, singular });
        }
        basis = orthonormal(basis.view())?;
    }
    let (values, vectors) = symmetric_eigen(sparse.product_gram(&basis).view())?;
    let kept = dims.min(values.len());
    let directions = signed(product(basis.view(), vectors.slice(s![.., ..kept]))?);
    singular.iter_mut().zip(&values).for_each(|(s, v)| *s = v.max(0.0).sqrt());
    if let Some(out) = coordinates.as_slice_mut() {
        out.par_chunks_mut(dims).enumerate().with_min_len(64).for_each_init(
            || vec![0.0; kept],
            |sum, (i, out)| {
                sparse.row_product(i, &directions, sum);
                out.iter_mut().zip(sum).for_each(|(out, v)| *out = *v as f32);
            },
        );
    }
    Ok(TruncatedSvd { coordinates, singular })
}

/// A sparse matrix with its used columns numbered from 0.
struct Compact<'a> {
    a: &'a Csr,
    columns: Vec<u32>,
    used: usize,
}

impl Compact<'_> {
    fn row(&self, i: usize) -> impl Iterator<Item = (usize, f64)> {
        let span = self.a.indptr[i]..self.a.indptr[i + 1];
        let values = self.a.values[span.clone()].iter().map(|v| f64::from(*v));
        self.columns[span].iter().map(|c| *c as usize).zip(values)
    }

    /// Row i times a dense matrix.
    #[inline(always)]
    fn row_product(&self, i: usize, z: &Array2<f64>, sum: &mut [f64]) {
        let (width, z) = (z.ncols(), z.as_slice().unwrap_or_default());
        sum.fill(0.0);
        for (column, value) in self.row(i) {
            sum.iter_mut().zip(&z[column * width..][..width]).for_each(|(s, z)| *s += value * z);
        }
    }

    /// A^T A Z. Threads share out the columns of Z, not the rows of A: no two ever write to the same place.
    fn there_and_back(&self, z: &Array2<f64>) -> Array2<f64> {
        const SLAB: usize = 16;
        let slabs: Vec<Array2<f64>> = (0..z.ncols().div_ceil(SLAB))
            .into_par_iter()
            .map(|slab| {
                let span = slab * SLAB..z.ncols().min((slab + 1) * SLAB);
                let width = span.len();
                let from = z.slice(s![.., span]).as_standard_layout().into_owned();
                let mut to = vec![0.0; self.used * width];
                let mut sum = vec![0.0; width];
                vectorised(
                    #[inline(always)]
                    || {
                        for i in 0..self.a.rows() {
                            self.row_product(i, &from, &mut sum);
                            for (column, value) in self.row(i) {
                                let to = &mut to[column * width..][..width];
                                to.iter_mut().zip(&sum).for_each(|(to, s)| *to += value * s);
                            }
                        }
                    },
                );
                Array2::from_shape_vec((self.used, width), to).unwrap_or_default()
            })
            .collect();
        let views: Vec<ArrayView2<f64>> = slabs.iter().map(|a| a.view()).collect();
        ndarray::concatenate(ndarray::Axis(1), &views).unwrap_or_default().as_standard_layout().into_owned()
    }

    /// (A Z)^T (A Z).
    fn product_gram(&self, z: &Array2<f64>) -> Array2<f64> {
        let (n, width) = (self.a.rows(), z.ncols());
        let part = |part: usize| {
            let (first, last) = (part * n / PARTS, (part + 1) * n / PARTS);
            let mut sum = Array2::zeros((width, width));
            for start in (first..last).step_by(BLOCK) {
                let mut rows = Array2::zeros((BLOCK.min(last - start), width));
                for (i, mut row) in rows.outer_iter_mut().enumerate() {
                    if let Some(row) = row.as_slice_mut() {
                        self.row_product(start + i, z, row);
                    }
                }
                sum += &centred_gram(rows.view(), None, None);
            }
            sum
        };
        let parts: Vec<Array2<f64>> = (0..PARTS).into_par_iter().map(part).collect();
        parts.iter().fold(Array2::zeros((width, width)), |sum, part| sum + part)
    }
}

/// A sparse embedding of the rows (CountSketch with `nonzeros` = 1; OSNAP, Nelson and Nguyen 2013, beyond): `rows` rows
/// whose Gram matrix is about that of `x`. Each row of `x` is added to `nonzeros` different rows of the sketch with
/// random signs, divided by the root of `nonzeros`.
///
/// Cost: nonzeros x values of `x`. Memory: 4 x nonzeros bytes a row of `x`.
///
/// # Errors
/// `nonzeros` outside 1..=`rows`; `x` with values that are not finite or without rows.
///
/// ```
/// use quadrat_core::Seed;
/// let x = ndarray::Array2::from_elem((1000, 2), 1.0);
/// let small = quadrat_numeric::linalg::sketch(x.view(), 50, 1, Seed(1))?;
/// assert_eq!(small.dim(), (50, 2));
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn sketch(x: ArrayView2<f64>, rows: usize, nonzeros: usize, seed: Seed) -> Result<Array2<f64>> {
    prepare::check("matrix", x)?;
    if nonzeros == 0 || nonzeros > rows || rows > 1 << 31 {
        return Err(Error::input("non-zeros", nonzeros, format!("use 1 to {rows}, the number of sketch rows")));
    }
    let (n, d) = x.dim();
    let stream = seed.stream("sketch");
    // For each row of x its places in the sketch, the sign in the lowest bit.
    let mut places = vec![0_u32; n * nonzeros];
    places.par_chunks_exact_mut(nonzeros).enumerate().for_each(|(i, places)| {
        let mut rng = stream.rng(i as u64);
        for (place, to) in places.iter_mut().zip(rng.sample(rows, nonzeros)) {
            *place = (to as u32) << 1 | (rng.next_u64() >> 63) as u32;
        }
    });
    let mut starts = vec![0; rows + 1];
    places.iter().for_each(|p| starts[(p >> 1) as usize + 1] += 1);
    (0..rows).for_each(|r| starts[r + 1] += starts[r]);
    let mut next = starts.clone();
    let mut sources = vec![(0_u32, false); places.len()];
    for (at, place) in places.iter().enumerate() {
        let to = (place >> 1) as usize;
        sources[next[to]] = ((at / nonzeros) as u32, place & 1 == 1);
        next[to] += 1;
    }
    let scale = 1.0 / (nonzeros as f64).sqrt();
    let mut out = Array2::zeros((rows, d));
    if let Some(out) = out.as_slice_mut() {
        out.par_chunks_exact_mut(d).enumerate().for_each(|(r, out)| {
            for &(source, negative) in &sources[starts[r]..starts[r + 1]] {
                let sign = if negative { -scale } else { scale };
                out.iter_mut().zip(x.row(source as usize)).for_each(|(out, v)| *out += sign * v);
            }
        });
    }
    Ok(out)
}
