//! Which weights of a layer are alive, and the products that touch only those.
//!
//! A product of a sparse matrix with one vector waits for memory at every number. With a batch the waiting is shared: the
//! batch is laid out so that one input's values of up to 64 samples lie side by side ([`Lanes`]), and every alive weight
//! is then multiplied with whole vectors. Sums have a fixed order, whatever the batch or the threads.

use super::threads;
use quadrat_core::{Error, Result};
use quadrat_numeric::vectorised;

/// The places of a matrix (rows x cols) that are alive, sorted by row and then by column: compressed sparse rows, and the
/// same by columns for products with the transpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    rows: usize,
    cols: usize,
    by_row: Half,
    by_col: Half,
    /// For each place in the order of columns, which one it is in the order of rows.
    place: Vec<u32>,
}

/// Lines of one direction: where each starts, and the other coordinate of each of its places.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Half {
    start: Vec<usize>,
    index: Vec<u32>,
}

impl Pattern {
    /// From a mask of rows x cols values, row by row.
    pub fn from_mask(mask: &[bool], rows: usize, cols: usize) -> Result<Self> {
        if rows.checked_mul(cols) != Some(mask.len()) {
            let want = format!("one value for each of {rows} x {cols} weights");
            return Err(Error::input("mask", format!("{} values", mask.len()), want));
        }
        let alive: Vec<usize> = (0..mask.len()).filter(|i| mask[*i]).collect();
        Self::from_indices(&alive, rows, cols)
    }

    /// From places row * cols + column, strictly ascending.
    pub fn from_indices(alive: &[usize], rows: usize, cols: usize) -> Result<Self> {
        let size = rows.checked_mul(cols).filter(|size| u32::try_from(*size).is_ok());
        let Some(size) = size else {
            return Err(Error::input("pattern", format!("{rows} x {cols} weights"), "at most 2^32 - 1"));
        };
        if let Some(pair) = alive.windows(2).find(|pair| pair[0] >= pair[1]) {
            let got = format!("{} before {}", pair[0], pair[1]);
            return Err(Error::input("indices of a pattern", got, "each once, in ascending order"));
        }
        if let Some(last) = alive.last().filter(|last| **last >= size) {
            return Err(Error::input("indices of a pattern", last, format!("below {rows} x {cols}")));
        }
        let coordinates = || alive.iter().map(|i| (i / cols, i % cols));
        let starts = |lines: usize, line: &mut dyn Iterator<Item = usize>| {
            let mut start = vec![0; lines + 1];
            line.for_each(|l| start[l + 1] += 1);
            (0..lines).for_each(|l| start[l + 1] += start[l]);
            start
        };
        let row_start = starts(rows, &mut coordinates().map(|(r, _)| r));
        let col_start = starts(cols, &mut coordinates().map(|(_, c)| c));
        let (mut next, mut row_index, mut place) = (col_start.clone(), vec![0; alive.len()], vec![0; alive.len()]);
        for (k, (r, c)) in coordinates().enumerate() {
            (row_index[next[c]], place[next[c]]) = (r as u32, k as u32);
            next[c] += 1;
        }
        let by_row = Half { start: row_start, index: coordinates().map(|(_, c)| c as u32).collect() };
        Ok(Pattern { rows, cols, by_row, by_col: Half { start: col_start, index: row_index }, place })
    }

    /// Rows: a layer's outputs.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns: a layer's inputs.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// How many places are alive.
    pub fn alive(&self) -> usize {
        self.place.len()
    }

    /// The share of places that are alive; 0 where there are none at all.
    pub fn density(&self) -> f64 {
        self.alive() as f64 / (self.rows * self.cols).max(1) as f64
    }

    /// Where each row's places start, and after the last where they end.
    pub fn row_start(&self) -> &[usize] {
        &self.by_row.start
    }

    /// Each place's column, row by row.
    pub fn col_index(&self) -> &[u32] {
        &self.by_row.index
    }

    /// Places row * cols + column, ascending.
    pub fn indices(&self) -> impl Iterator<Item = usize> + '_ {
        let row = |r: usize| self.by_row.index[self.by_row.start[r]..self.by_row.start[r + 1]].iter();
        (0..self.rows).flat_map(move |r| row(r).map(move |c| r * self.cols + *c as usize))
    }

    /// The values of a dense matrix (rows x cols) at the alive places.
    pub fn gather(&self, dense: &[f32]) -> Result<Vec<f32>> {
        self.check("dense matrix", dense.len(), self.rows * self.cols)?;
        Ok(self.indices().map(|i| dense[i]).collect())
    }

    /// Writes one value for each alive place into a dense matrix (rows x cols).
    pub fn scatter(&self, values: &[f32], dense: &mut [f32]) -> Result<()> {
        self.check("values of a pattern", values.len(), self.alive())?;
        self.check("dense matrix", dense.len(), self.rows * self.cols)?;
        self.indices().zip(values).for_each(|(i, v)| dense[i] = *v);
        Ok(())
    }

    fn check(&self, what: &str, got: usize, want: usize) -> Result<()> {
        if got == want { Ok(()) } else { Err(Error::input(what, format!("{got} values"), format!("{want}"))) }
    }

    /// The matrix of `values` times the inputs `x`, plus a number for each row.
    pub(super) fn times(&self, values: &[f32], x: &Lanes, plus: &[f32]) -> Lanes {
        self.by_row.times(values, x, plus)
    }

    /// The transpose of the matrix of `values` times `g`.
    pub(super) fn transpose_times(&self, values: &[f32], g: &Lanes) -> Lanes {
        self.by_col.times(&self.by_column(values), g, &vec![0.0; self.cols])
    }

    /// Values in the order of columns.
    pub(super) fn by_column(&self, values: &[f32]) -> Vec<f32> {
        self.place.iter().map(|k| values[*k as usize]).collect()
    }

    /// Adds the matrix of `values` times the matrix `x` to rows of `out` that begin every `stride` numbers.
    pub(super) fn add_times(&self, values: &[f32], x: Rows, out: &mut [f32], stride: usize) {
        self.by_row.add_times(values, x, out, stride);
    }

    /// The same with the transpose, of values [by columns](Pattern::by_column).
    pub(super) fn add_transpose_times(&self, by_column: &[f32], x: Rows, out: &mut [f32], stride: usize) {
        self.by_col.add_times(by_column, x, out, stride);
    }

    /// Adds to the sum of every alive place its row of `g` times its column's row of `x`.
    pub(super) fn add_outer(&self, g: Rows, x: Rows, sums: &mut [f32]) {
        let Half { start, index } = &self.by_row;
        vectorised(
            #[inline(always)]
            || {
                for r in 0..self.rows {
                    let places = start[r]..start[r + 1];
                    for (sum, c) in sums[places.clone()].iter_mut().zip(&index[places]) {
                        *sum += threads::sum_of(g.row(r), x.row(*c as usize), |g, x| g * x);
                    }
                }
            },
        );
    }

    /// At every alive place the sum over samples of the row's value in `g` times the column's in `x`.
    pub(super) fn outer(&self, g: &Lanes, x: &Lanes) -> Vec<f32> {
        let mut sums = vec![0.0; self.alive()];
        let mut rest = &mut sums[..];
        let mut pieces = Vec::new();
        for first in (0..self.rows).step_by(ROWS) {
            let last = (first + ROWS).min(self.rows);
            let (piece, after) = rest.split_at_mut(self.by_row.start[last] - self.by_row.start[first]);
            rest = after;
            pieces.push((first, last, piece));
        }
        threads::each(pieces, |(first, last, sums): (usize, usize, &mut [f32])| match g.lanes {
            8 => self.outer_rows::<8>(first, last, g, x, sums),
            16 => self.outer_rows::<16>(first, last, g, x, sums),
            32 => self.outer_rows::<32>(first, last, g, x, sums),
            _ => self.outer_rows::<64>(first, last, g, x, sums),
        });
        sums
    }

    fn outer_rows<const L: usize>(&self, first: usize, last: usize, g: &Lanes, x: &Lanes, sums: &mut [f32]) {
        let Half { start, index } = &self.by_row;
        vectorised(
            #[inline(always)]
            || {
                for (g, x) in g.blocks::<L>().zip(x.blocks::<L>()) {
                    for r in first..last {
                        let places = start[r]..start[r + 1];
                        let sums = &mut sums[start[r] - start[first]..start[r + 1] - start[first]];
                        let g = &g[r];
                        for (sum, c) in sums.iter_mut().zip(&index[places]) {
                            *sum += dot(g, &x[*c as usize]);
                        }
                    }
                }
            },
        );
    }
}

/// A matrix in a slice: rows of `width` numbers that begin every `stride`.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) values: &'a [f32],
    pub(super) stride: usize,
    pub(super) width: usize,
}

impl<'a> Rows<'a> {
    #[inline(always)]
    fn row(&self, i: usize) -> &'a [f32] {
        &self.values[i * self.stride..][..self.width]
    }
}

/// The dot product of whole lanes, in eight running sums that halve at the end.
#[inline(always)]
fn dot<const L: usize>(a: &[f32; L], b: &[f32; L]) -> f32 {
    let mut sums = [0.0_f32; 8];
    for (a, b) in a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let mut four = [0.0; 4];
    for lane in 0..4 {
        four[lane] = sums[lane] + sums[lane + 4];
    }
    (four[0] + four[2]) + (four[1] + four[3])
}

/// Rows in a piece of work.
const ROWS: usize = 128;

impl Half {
    fn times(&self, values: &[f32], x: &Lanes, plus: &[f32]) -> Lanes {
        let lines = self.start.len() - 1;
        let mut out =
            Lanes { batch: x.batch, width: lines, lanes: x.lanes, values: vec![0.0; x.count() * lines * x.lanes] };
        let mut pieces = Vec::new();
        for (block, out) in out.values.chunks_mut((lines * x.lanes).max(1)).enumerate() {
            for (piece, out) in out.chunks_mut(ROWS * x.lanes).enumerate() {
                pieces.push((block, piece * ROWS, out));
            }
        }
        threads::each(pieces, |(block, first, out): (usize, usize, &mut [f32])| match x.lanes {
            8 => self.times_block::<8>(values, x, block, first, plus, out),
            16 => self.times_block::<16>(values, x, block, first, plus, out),
            32 => self.times_block::<32>(values, x, block, first, plus, out),
            _ => self.times_block::<64>(values, x, block, first, plus, out),
        });
        out
    }

    fn add_times(&self, values: &[f32], x: Rows, out: &mut [f32], stride: usize) {
        vectorised(
            #[inline(always)]
            || {
                for (line, ends) in self.start.windows(2).enumerate() {
                    let places = ends[0]..ends[1];
                    if places.is_empty() {
                        continue;
                    }
                    let line = &mut out[line * stride..][..x.width];
                    let (values, index) = (&values[places.clone()], &self.index[places]);
                    let mut at = add_blocks::<64>(values, index, x, line, 0);
                    at = add_blocks::<16>(values, index, x, line, at);
                    at = add_blocks::<4>(values, index, x, line, at);
                    add_blocks::<1>(values, index, x, line, at);
                }
            },
        );
    }

    /// The lines from `first` on that `out` has room for, on one block of samples.
    fn times_block<const L: usize>(
        &self,
        values: &[f32],
        x: &Lanes,
        block: usize,
        first: usize,
        plus: &[f32],
        out: &mut [f32],
    ) {
        let Some(x) = x.blocks::<L>().nth(block) else { return };
        vectorised(
            #[inline(always)]
            || {
                for (line, out) in out.as_chunks_mut::<L>().0.iter_mut().enumerate() {
                    let line = first + line;
                    let places = self.start[line]..self.start[line + 1];
                    let mut sums = [plus[line]; L];
                    for (v, i) in values[places.clone()].iter().zip(&self.index[places]) {
                        let x = &x[*i as usize];
                        for lane in 0..L {
                            sums[lane] += v * x[lane];
                        }
                    }
                    *out = sums;
                }
            },
        );
    }
}

/// Adds the rows of `x` at `index` times `values` to a line, from `at` on, L numbers at a time; returns how far that goes.
#[inline(always)]
fn add_blocks<const L: usize>(values: &[f32], index: &[u32], x: Rows, line: &mut [f32], mut at: usize) -> usize {
    while let Some(out) = line[at..].first_chunk_mut::<L>() {
        let mut sums = *out;
        for (v, i) in values.iter().zip(index) {
            if let Some(x) = x.row(*i as usize)[at..].first_chunk::<L>() {
                for lane in 0..L {
                    sums[lane] += v * x[lane];
                }
            }
        }
        *out = sums;
        at += L;
    }
    at
}

/// A batch (samples x width) in blocks of `lanes` samples: each block is width x lanes, the last filled up with zeros.
#[derive(Debug, Clone)]
pub(super) struct Lanes {
    batch: usize,
    width: usize,
    lanes: usize,
    values: Vec<f32>,
}

impl Lanes {
    /// From rows, one a sample.
    pub(super) fn from_rows(rows: &[f32], batch: usize, width: usize) -> Self {
        let lanes = batch.next_power_of_two().clamp(8, 64);
        let mut values = vec![0.0; batch.div_ceil(lanes) * lanes * width];
        let blocks = values.chunks_mut((lanes * width).max(1)).zip(rows.chunks((lanes * width).max(1)));
        threads::each(blocks.collect(), |(block, rows): (&mut [f32], &[f32])| transpose(rows, width, block, lanes));
        Lanes { batch, width, lanes, values }
    }

    /// Back to rows.
    pub(super) fn into_rows(self) -> Vec<f32> {
        let size = (self.lanes * self.width).max(1);
        let mut rows = vec![0.0; self.batch * self.width];
        let blocks = rows.chunks_mut(size).zip(self.values.chunks(size)).collect();
        let (width, lanes) = (self.width, self.lanes);
        threads::each(blocks, |(rows, block): (&mut [f32], &[f32])| transpose(block, lanes, rows, width));
        rows
    }

    fn count(&self) -> usize {
        self.batch.div_ceil(self.lanes)
    }

    fn blocks<const L: usize>(&self) -> impl Iterator<Item = &[[f32; L]]> {
        self.values.chunks((L * self.width).max(1)).map(|block| block.as_chunks::<L>().0)
    }
}

/// Writes rows of `width` values as columns of rows of `height` values, in tiles so that both sides stay in the first
/// cache; columns or rows that the other side lacks are left out.
fn transpose(from: &[f32], width: usize, to: &mut [f32], height: usize) {
    const TILE: usize = 8;
    let (rows, columns) = ((from.len() / width.max(1)).min(height), (to.len() / height.max(1)).min(width));
    vectorised(
        #[inline(always)]
        || {
            for r in (0..rows).step_by(TILE) {
                for c in (0..columns).step_by(TILE) {
                    if r + TILE <= rows && c + TILE <= columns {
                        let mut tile = [[0.0; TILE]; TILE];
                        for (i, line) in tile.iter_mut().enumerate() {
                            line.copy_from_slice(&from[(r + i) * width + c..][..TILE]);
                        }
                        for j in 0..TILE {
                            let line: [f32; TILE] = std::array::from_fn(|i| tile[i][j]);
                            to[(c + j) * height + r..][..TILE].copy_from_slice(&line);
                        }
                        continue;
                    }
                    for i in r..(r + TILE).min(rows) {
                        for j in c..(c + TILE).min(columns) {
                            to[j * height + i] = from[i * width + j];
                        }
                    }
                }
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_its_mask_both_ways() {
        let mask = [true, false, true, false, false, false, false, true, true];
        let pattern = Pattern::from_mask(&mask, 3, 3).unwrap();
        assert_eq!(pattern, Pattern::from_indices(&[0, 2, 7, 8], 3, 3).unwrap());
        assert_eq!((pattern.row_start(), pattern.col_index()), (&[0, 2, 2, 4][..], &[0, 2, 1, 2][..]));
        assert_eq!((pattern.alive(), pattern.density()), (4, 4.0 / 9.0));
        assert_eq!(pattern.by_col.start, [0, 1, 2, 4]);
        assert_eq!((pattern.by_col.index.clone(), pattern.place.clone()), (vec![0, 2, 0, 2], vec![0, 2, 1, 3]));
        let mut dense = [0.0; 9];
        pattern.scatter(&[1.0, 2.0, 3.0, 4.0], &mut dense).unwrap();
        assert_eq!(dense, [1.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 3.0, 4.0]);
        assert_eq!(pattern.gather(&dense).unwrap(), [1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn what_does_not_fit_is_said() {
        assert!(Pattern::from_mask(&[true], 1, 2).is_err());
        assert!(Pattern::from_mask(&[], usize::MAX, 2).is_err());
        assert!(Pattern::from_indices(&[1, 1], 2, 2).is_err());
        assert!(Pattern::from_indices(&[4], 2, 2).is_err());
        assert!(Pattern::from_indices(&[], usize::MAX, 2).is_err());
        let pattern = Pattern::from_indices(&[0], 2, 2).unwrap();
        assert!(pattern.gather(&[0.0]).is_err() && pattern.scatter(&[], &mut [0.0; 4]).is_err());
        assert_eq!(Pattern::from_mask(&[], 0, 5).unwrap().density(), 0.0);
    }

    #[test]
    fn lanes_go_back_to_their_rows() {
        for (batch, width) in [(1, 1), (3, 5), (64, 9), (65, 17), (200, 8)] {
            let rows: Vec<f32> = (0..batch * width).map(|i| i as f32).collect();
            assert_eq!(Lanes::from_rows(&rows, batch, width).into_rows(), rows);
        }
    }
}
