//! Products of tall matrices, in fixed blocks of rows.

use super::{BLOCK, PARTS};
use crate::gemm::vectorised;
use crate::points::{RowMajor, matrix};
use faer::linalg::matmul::matmul;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, MatMut, MatRef, Par};
use ndarray::{Array2, ArrayView2, s};
use quadrat_core::{Error, Result};
use rayon::prelude::*;

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
pub(super) fn centred_gram(x: ArrayView2<f64>, weights: Option<&[f64]>, mean: Option<&[f64]>) -> Array2<f64> {
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
pub(super) fn centred_gram_f32(x: ArrayView2<f32>, mean: &[f64]) -> Array2<f64> {
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
    let mut out = vec![0.0; n * m];
    out.par_chunks_mut((BLOCK * m).max(1)).enumerate().for_each(|(block, out)| block_product(a, block, b, out));
    matrix((n, m), out)
}

/// The squared length of each row of A x B, without storing the product: with B from [`whitening`](super::whitening), leverage scores.
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

pub(super) fn check_inner(a: ArrayView2<f64>, b: ArrayView2<f64>) -> Result<()> {
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
pub(super) fn with_ref<R>(a: ArrayView2<f64>, work: impl FnOnce(MatRef<f64>) -> R) -> R {
    work(MatRef::from_row_major_slice(RowMajor::of(a).values(), a.nrows(), a.ncols()))
}
