//! The leading singular values of a sparse matrix.

use super::products::centred_gram;
use super::{BLOCK, PARTS, orthonormal, product, signed, symmetric_eigen};
use crate::gemm::vectorised;
use crate::points::{RowMajor, by_rows, matrix};
use crate::sparse::Csr;
use ndarray::{Array2, ArrayView2, Axis, concatenate, s};
use quadrat_core::{Error, Result, Seed};
use rayon::prelude::*;

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
    if width == 0 {
        return Ok(TruncatedSvd { coordinates: Array2::zeros((n, dims)), singular });
    }
    let stream = seed.stream("truncated svd");
    let mut basis = Array2::zeros((sparse.used, width));
    for (i, mut row) in basis.outer_iter_mut().enumerate() {
        let mut rng = stream.rng(i as u64);
        row.iter_mut().for_each(|v| *v = rng.normal());
    }
    for _ in 0..=POWER {
        basis = sparse.there_and_back(&basis)?;
        if basis.iter().all(|v| *v == 0.0) {
            return Ok(TruncatedSvd { coordinates: Array2::zeros((n, dims)), singular });
        }
        basis = orthonormal(basis.view())?;
    }
    let (values, vectors) = symmetric_eigen(sparse.product_gram(&basis)?.view())?;
    let kept = dims.min(values.len());
    let directions = signed(product(basis.view(), vectors.slice(s![.., ..kept]))?);
    singular.iter_mut().zip(&values).for_each(|(s, v)| *s = v.max(0.0).sqrt());
    let directions = RowMajor::of(directions.view());
    let mut coordinates = vec![0.0; n * dims];
    coordinates.par_chunks_mut(dims).enumerate().with_min_len(64).for_each_init(
        || vec![0.0; kept],
        |sum, (i, out)| {
            sparse.row_product(i, &directions, sum);
            out.iter_mut().zip(sum).for_each(|(out, v)| *out = *v as f32);
        },
    );
    Ok(TruncatedSvd { coordinates: matrix((n, dims), coordinates)?, singular })
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
    fn row_product(&self, i: usize, z: &RowMajor<f64>, sum: &mut [f64]) {
        sum.fill(0.0);
        for (column, value) in self.row(i) {
            sum.iter_mut().zip(z.row(column)).for_each(|(s, z)| *s += value * z);
        }
    }

    /// A^T A Z. Threads share out the columns of Z, not the rows of A: no two ever write to the same place.
    fn there_and_back(&self, z: &Array2<f64>) -> Result<Array2<f64>> {
        const SLAB: usize = 16;
        let slabs: Vec<Array2<f64>> = (0..z.ncols().div_ceil(SLAB))
            .into_par_iter()
            .map(|slab| {
                let span = slab * SLAB..z.ncols().min((slab + 1) * SLAB);
                let width = span.len();
                let from = RowMajor::of(z.slice(s![.., span]));
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
                matrix((self.used, width), to)
            })
            .collect::<Result<_>>()?;
        let views: Vec<ArrayView2<f64>> = slabs.iter().map(|a| a.view()).collect();
        let all = concatenate(Axis(1), &views).map_err(|e| Error::numeric("sparse product", e.to_string()))?;
        Ok(by_rows(all))
    }

    /// (A Z)^T (A Z).
    fn product_gram(&self, z: &Array2<f64>) -> Result<Array2<f64>> {
        let (n, width) = (self.a.rows(), z.ncols());
        let z = RowMajor::of(z.view());
        let part = |part: usize| {
            let (first, last) = (part * n / PARTS, (part + 1) * n / PARTS);
            let mut sum = Array2::zeros((width, width));
            for start in (first..last).step_by(BLOCK) {
                let mut rows = vec![0.0; BLOCK.min(last - start) * width];
                for (i, row) in rows.chunks_exact_mut(width).enumerate() {
                    self.row_product(start + i, &z, row);
                }
                sum += &centred_gram(matrix((rows.len() / width, width), rows)?.view(), None, None);
            }
            Ok(sum)
        };
        let parts: Vec<Array2<f64>> = (0..PARTS).into_par_iter().map(part).collect::<Result<_>>()?;
        Ok(parts.iter().fold(Array2::zeros((width, width)), |sum, part| sum + part))
    }
}
