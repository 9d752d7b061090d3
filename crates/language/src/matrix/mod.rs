//! Matrices of weights, used where they lie in a checkpoint's file.
//!
//! What a model of a billion weights costs at each token is reading them, so they are never copied: a row is unpacked into the first
//! level of the cache when its turn comes, four rows at a time, and meets all tokens that are there before the next rows follow. An
//! output is the sum of `lanes`, whatever else is computed beside it: its bits depend on the row and on the token's own vector, not on
//! how many tokens came together nor on how many threads there are.

mod formats;
pub(crate) mod lanes;
#[cfg(test)]
mod tests;

pub use formats::Format;

use lanes::{Kernel, LANES, Lanes, padded, sum};
use quadrat_core::Mapped;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;

/// Rows whose sums stay in registers beside those of [`TOKENS`] tokens.
const ROWS: usize = 4;
const TOKENS: usize = 3;
/// Rows that one thread does in one go.
const BLOCK: usize = 12 * ROWS;
/// Numbers of as many tokens as stay in the second level of the cache while rows pass.
const RESIDENT: usize = 1 << 16;

/// A part of a mapped file.
#[derive(Debug, Clone)]
pub struct Part {
    file: Arc<Mapped>,
    range: Range<usize>,
}

impl Part {
    /// The bytes of `file` in a range, if it has them.
    pub fn new(file: &Arc<Mapped>, range: Range<usize>) -> Option<Part> {
        file.get(range.clone()).map(|_| Part { file: file.clone(), range })
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.file[self.range.clone()]
    }
}

/// A matrix of weights, one row an output.
#[derive(Debug, Clone)]
pub struct Matrix {
    part: Part,
    format: Format,
    rows: usize,
    cols: usize,
}

impl Matrix {
    /// Rows of `cols` numbers that lie in a file; `None` where they would not fill the part, or rows are no whole blocks.
    pub fn new(part: Part, format: Format, [rows, cols]: [usize; 2]) -> Option<Matrix> {
        let blocks = cols.is_multiple_of(format.values()).then(|| cols / format.values())?;
        let bytes = rows.checked_mul(blocks)?.checked_mul(format.bytes())?;
        (bytes == part.range.len()).then_some(Matrix { part, format, rows, cols })
    }

    /// Rows and columns.
    pub fn shape(&self) -> [usize; 2] {
        [self.rows, self.cols]
    }

    /// Writes the numbers of a row, which must be there.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        lanes::run(Row { matrix: self, row, out });
    }

    fn bytes(&self, row: usize) -> &[u8] {
        let width = self.cols / self.format.values() * self.format.bytes();
        &self.part.bytes()[row * width..][..width]
    }

    /// `out[t]` (a number each row) = row . `x[t]`, for as many tokens t as `x` has vectors.
    pub fn product(&self, x: &[f32], out: &mut [f32]) {
        let (rows, tokens) = (self.rows, x.len() / self.cols.max(1));
        if tokens <= 1 {
            return self.blocks(x, out);
        }
        let mut blocked = vec![0.0; rows * tokens];
        self.blocks(x, &mut blocked);
        out.par_chunks_mut(rows.max(1)).take(tokens).enumerate().for_each(|(token, out)| {
            for (out, block) in out.chunks_mut(BLOCK).zip(blocked.chunks(BLOCK * tokens)) {
                let width = out.len();
                out.copy_from_slice(&block[token * width..][..width]);
            }
        });
    }

    /// [`product`](Matrix::product), the outputs of each block of rows together.
    fn blocks(&self, x: &[f32], out: &mut [f32]) {
        let tokens = x.len() / self.cols.max(1);
        let work = out.par_chunks_mut((BLOCK * tokens).max(1)).enumerate();
        work.for_each_init(
            || vec![0.0; ROWS * self.cols],
            |unpacked, (block, out)| lanes::run(Block { matrix: self, first: block * BLOCK, x, out, unpacked }),
        );
    }
}

/// The numbers of a row.
struct Row<'a> {
    matrix: &'a Matrix,
    row: usize,
    out: &'a mut [f32],
}

impl Kernel for Row<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        self.matrix.format.unpack(lanes, self.matrix.bytes(self.row), self.out);
    }
}

/// The products of a few rows with all tokens.
struct Block<'a> {
    matrix: &'a Matrix,
    first: usize,
    x: &'a [f32],
    /// Tokens x rows.
    out: &'a mut [f32],
    /// Room for [`ROWS`] rows.
    unpacked: &'a mut [f32],
}

impl Kernel for Block<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Block { matrix, first, x, out, unpacked } = self;
        let cols = matrix.cols.max(1);
        let rows = out.len() / (x.len() / cols).max(1);
        let resident = (RESIDENT / cols / TOKENS).max(1) * TOKENS;
        for (x, out) in x.chunks(resident * cols).zip(out.chunks_mut(resident * rows)) {
            for at in (0..rows).step_by(ROWS) {
                let here = ROWS.min(rows - at);
                for (row, unpacked) in unpacked.chunks_exact_mut(cols).take(here).enumerate() {
                    matrix.format.unpack(lanes, matrix.bytes(first + at + row), unpacked);
                }
                for (x, out) in x.chunks(TOKENS * cols).zip(out.chunks_mut(TOKENS * rows)) {
                    let w = &unpacked[..here * cols];
                    match (here, x.len() / cols) {
                        (ROWS, TOKENS) => tile::<L, ROWS, TOKENS>(lanes, w, x, cols, &mut out[at..], rows),
                        (ROWS, 2) => tile::<L, ROWS, 2>(lanes, w, x, cols, &mut out[at..], rows),
                        (ROWS, 1) => tile::<L, ROWS, 1>(lanes, w, x, cols, &mut out[at..], rows),
                        _ => single(lanes, w, x, cols, &mut out[at..], rows),
                    }
                }
            }
        }
    }
}

/// The products of `R` rows with `T` tokens; `out` has a token's every `stride` numbers.
#[inline(always)]
fn tile<L: Lanes, const R: usize, const T: usize>(
    lanes: L,
    w: &[f32],
    x: &[f32],
    cols: usize,
    out: &mut [f32],
    stride: usize,
) {
    let w: [_; R] = std::array::from_fn(|row| w[row * cols..][..cols].as_chunks::<LANES>());
    let x: [_; T] = std::array::from_fn(|token| x[token * cols..][..cols].as_chunks::<LANES>());
    let mut sums = [[lanes.load(&[0.0; LANES]); T]; R];
    for at in 0..cols / LANES {
        let x: [_; T] = std::array::from_fn(|token| lanes.load(&x[token].0[at]));
        for (w, sums) in w.iter().zip(&mut sums) {
            let w = lanes.load(&w.0[at]);
            for (x, sum) in x.iter().zip(sums) {
                *sum = lanes.mul_add(w, *x, *sum);
            }
        }
    }
    for (row, ((_, w), sums)) in w.into_iter().zip(&mut sums).enumerate() {
        for (token, ((_, x), total)) in x.iter().zip(sums).enumerate() {
            if !w.is_empty() {
                *total = lanes.mul_add(lanes.load(&padded(w)), lanes.load(&padded(x)), *total);
            }
            out[token * stride + row] = sum(lanes.store(*total));
        }
    }
}

/// The same for the few last rows of a matrix.
#[inline(always)]
fn single<L: Lanes>(lanes: L, w: &[f32], x: &[f32], cols: usize, out: &mut [f32], stride: usize) {
    for (row, w) in w.chunks_exact(cols).enumerate() {
        for (token, x) in x.chunks_exact(cols).enumerate() {
            out[token * stride + row] = lanes::dot(lanes, w, x);
        }
    }
}
