//! Matrix products of row-major slices, in the one form everything here needs: rows times rows.

use faer::linalg::matmul::matmul;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::traits::ComplexField;
use faer::traits::pulp::Arch;
use faer::{Accum, MatMut, MatRef, Par};

/// `out[i, j] = a_i . b_j` for the rows of `a` and `b`, all row-major with rows of `d` values. One thread: callers
/// split work into blocks of fixed size, so that the order of additions never depends on the number of threads.
pub(crate) fn rows_times_rows<T: ComplexField>(a: &[T], b: &[T], d: usize, out: &mut [T]) {
    let (m, n) = (a.len() / d, b.len() / d);
    let a = MatRef::from_row_major_slice(a, m, d);
    let b = MatRef::from_row_major_slice(b, n, d);
    let out = MatMut::from_row_major_slice_mut(&mut out[..m * n], m, n);
    matmul(out, Accum::Replace, a, b.transpose(), T::one_impl(), Par::Seq);
}

/// Adds X^T X to the lower triangle of the row-major d x d `sum`, for row-major rows of `d` values. One thread.
pub(crate) fn add_lower_gram(x: &[f64], d: usize, sum: &mut [f64]) {
    let x = MatRef::from_row_major_slice(x, x.len() / d.max(1), d);
    triangular::matmul(
        MatMut::from_row_major_slice_mut(sum, d, d),
        BlockStructure::TriangularLower,
        Accum::Add,
        x.transpose(),
        BlockStructure::Rectangular,
        x,
        BlockStructure::Rectangular,
        1.0,
        Par::Seq,
    );
}

/// Runs `work` compiled for the widest vectors this processor has (AVX2 where there is one). Loops inside must be
/// inlined into the closure to profit. Results are the same bits as without: no sum changes its order.
#[inline(always)]
pub fn vectorised<R>(work: impl FnOnce() -> R) -> R {
    Arch::new().dispatch(work)
}

/// |a - b|^2 in single precision with sixteen running sums, so that it vectorises.
#[inline(always)]
pub(crate) fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 16];
    let (a_blocks, a_rest) = a.as_chunks::<16>();
    let (b_blocks, b_rest) = b.as_chunks::<16>();
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..16 {
            let difference = a[lane] - b[lane];
            sums[lane] += difference * difference;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| (a - b) * (a - b)).sum();
    sums.iter().sum::<f32>() + rest
}
