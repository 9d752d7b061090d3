//! faer's decompositions on the calling thread.
//!
//! faer's own entry points (`Mat::qr` and its like) use as many threads as a setting of the whole process says, which is
//! not ours to change: the program around us may use faer too. The functions below call what lies under them and say
//! `Par::Seq` themselves, so that results depend neither on that setting nor on the number of threads.

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor as llt;
use faer::linalg::evd::{self, ComputeEigenvectors};
use faer::linalg::lu::partial_pivoting::{factor as lu, solve as lu_solve};
use faer::linalg::qr::no_pivoting::factor as qr;
use faer::linalg::svd::{self, ComputeSvdVectors};
use faer::prelude::default;
use faer::{Mat, MatRef, Par};

/// Upper trapezoidal R of A = Q R: min(rows, columns) x columns.
pub(crate) fn qr_r(mut a: Mat<f64>) -> Mat<f64> {
    let (m, n) = a.shape();
    let size = m.min(n);
    let block = qr::recommended_block_size::<f64>(m, n);
    let mut coefficients = Mat::zeros(block, size);
    let mut memory = MemBuffer::new(qr::qr_in_place_scratch::<f64>(m, n, block, Par::Seq, default()));
    qr::qr_in_place(a.as_mut(), coefficients.as_mut(), Par::Seq, MemStack::new(&mut memory), default());
    Mat::from_fn(size, n, |i, j| if i <= j { a[(i, j)] } else { 0.0 })
}

/// Lower triangular L of A = L L^T, from the lower triangle of A; `None` when A is not positive definite.
pub(crate) fn cholesky_l(mut a: Mat<f64>) -> Option<Mat<f64>> {
    let n = a.nrows();
    let mut memory = MemBuffer::new(llt::cholesky_in_place_scratch::<f64>(n, Par::Seq, default()));
    let stack = MemStack::new(&mut memory);
    llt::cholesky_in_place(a.as_mut(), default(), Par::Seq, stack, default()).ok()?;
    Some(Mat::from_fn(n, n, |i, j| if i >= j { a[(i, j)] } else { 0.0 }))
}

/// X with A X = B, by LU with partial pivoting; not finite where A is singular.
pub(crate) fn lu_solved(mut a: Mat<f64>, mut b: Mat<f64>) -> Mat<f64> {
    let (n, k) = (a.nrows(), b.ncols());
    let (mut forward, mut backward) = (vec![0_usize; n], vec![0_usize; n]);
    let mut memory = MemBuffer::new(lu::lu_in_place_scratch::<usize, f64>(n, n, Par::Seq, default()));
    let stack = MemStack::new(&mut memory);
    let (_, order) = lu::lu_in_place(a.as_mut(), &mut forward, &mut backward, Par::Seq, stack, default());
    let mut memory = MemBuffer::new(lu_solve::solve_in_place_scratch::<usize, f64>(n, k, Par::Seq));
    // L (with ones on its diagonal) and U lie in the two triangles of `a`, and each solve reads its own.
    lu_solve::solve_in_place(a.as_ref(), a.as_ref(), order, b.as_mut(), Par::Seq, MemStack::new(&mut memory));
    b
}

/// Eigenvalues, ascending, and eigenvectors as columns of a symmetric A, from its lower triangle; `None` when the
/// iteration does not converge.
pub(crate) fn eigen(a: MatRef<f64>) -> Option<(Vec<f64>, Mat<f64>)> {
    let n = a.nrows();
    let (mut values, mut vectors) = (Diag::zeros(n), Mat::zeros(n, n));
    let scratch = evd::self_adjoint_evd_scratch::<f64>(n, ComputeEigenvectors::Yes, Par::Seq, default());
    let mut memory = MemBuffer::new(scratch);
    let stack = MemStack::new(&mut memory);
    evd::self_adjoint_evd(a, values.as_mut(), Some(vectors.as_mut()), Par::Seq, stack, default()).ok()?;
    Some(((0..n).map(|i| values[i]).collect(), vectors))
}

/// Singular values, largest first, and right singular vectors as columns; `None` when the iteration does not converge.
pub(crate) fn right_svd(a: MatRef<f64>) -> Option<(Vec<f64>, Mat<f64>)> {
    let (m, n) = a.shape();
    let size = m.min(n);
    let (mut values, mut u, mut v) = (Diag::zeros(size), Mat::zeros(m, size), Mat::zeros(n, size));
    let thin = ComputeSvdVectors::Thin;
    let mut memory = MemBuffer::new(svd::svd_scratch::<f64>(m, n, thin, thin, Par::Seq, default()));
    let stack = MemStack::new(&mut memory);
    svd::svd(a, values.as_mut(), Some(u.as_mut()), Some(v.as_mut()), Par::Seq, stack, default()).ok()?;
    Some(((0..size).map(|i| values[i]).collect(), v))
}
