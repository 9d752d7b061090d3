//! A k-d tree (Friedman, Bentley and Finkel 1977) for nearest neighbours in few columns.

use crate::gemm::vectorised;
use crate::neighbours::{Best, Neighbours, Real, squared_distance};
use ndarray::ArrayView2;
use quadrat_core::{Progress, Result, checkpoint};
use rayon::prelude::*;

/// Most rows of a leaf.
const LEAF: usize = 32;
/// Queries a task.
const QUERIES: usize = 256;

/// [`crate::neighbours::nearest`] by a tree; arguments are checked there.
pub(crate) fn nearest<T: Real>(
    base: ArrayView2<T>,
    queries: ArrayView2<T>,
    own: Option<&[usize]>,
    k: usize,
    progress: &dyn Progress,
) -> Result<Neighbours> {
    let n = queries.nrows();
    progress.begin("nearest neighbours", Some(n as u64));
    let tree = Tree::build(base);
    let mut index = vec![u32::MAX; n * k];
    let mut squared = vec![f64::INFINITY; n * k];
    index.par_chunks_mut(QUERIES * k).zip(squared.par_chunks_mut(QUERIES * k)).enumerate().try_for_each_init(
        || (vec![0.0; base.ncols()], Vec::new()),
        |(query, stack), (block, (index, squared))| {
            checkpoint(progress)?;
            let count = index.len() / k;
            vectorised(
                #[inline(always)]
                || {
                    for (i, (index, squared)) in index.chunks_exact_mut(k).zip(squared.chunks_exact_mut(k)).enumerate()
                    {
                        let i = block * QUERIES + i;
                        query.iter_mut().zip(queries.row(i)).for_each(|(to, v)| *to = (*v).into());
                        let mut best = Best::new(index, squared);
                        tree.search(query, own.map(|own| own[i] as u32), stack, &mut best);
                        best.sort();
                    }
                },
            );
            progress.advance(count as u64);
            Ok(())
        },
    )?;
    Ok(Neighbours { k, index, squared })
}

/// Rows in leaf order. The tree is the shape of halving 0..n until at most LEAF rows are left: the two halves of the
/// rows of node i are those of nodes 2i + 1 and 2i + 2, so nodes need no links.
struct Tree {
    d: usize,
    rows: Vec<f64>,
    numbers: Vec<u32>,
    /// Lowest and highest value of each column, 2 d numbers a node.
    boxes: Vec<f64>,
}

impl Tree {
    fn build<T: Real>(base: ArrayView2<T>) -> Tree {
        let (n, d) = base.dim();
        let mut depth = 0;
        while n >> depth > LEAF {
            depth += 1;
        }
        let mut order: Vec<u32> = (0..n as u32).collect();
        let mut nodes = vec![Vec::new(); (2 << depth) - 1];
        let mut level: Vec<&mut [u32]> = vec![&mut order];
        let mut below: &mut [Vec<f64>] = &mut nodes;
        for height in (0..=depth).rev() {
            let (here, rest) = std::mem::take(&mut below).split_at_mut(level.len());
            below = rest;
            level = level
                .into_par_iter()
                .zip(here)
                .flat_map_iter(|(rows, bounds)| {
                    *bounds = bounds_of(base, rows);
                    let halves = (height > 0).then(|| split(base, rows, bounds));
                    halves.into_iter().flat_map(|(left, right)| [left, right])
                })
                .collect();
        }
        let rows = order.iter().flat_map(|&i| base.row(i as usize).into_iter().map(|v| (*v).into())).collect();
        Tree { d, rows, numbers: order, boxes: nodes.concat() }
    }

    #[inline(always)]
    fn search(&self, query: &[f64], own: Option<u32>, stack: &mut Vec<Visit>, best: &mut Best) {
        let d = self.d;
        // A box's computed distance may exceed that of a row inside by the roundings of both.
        let slack = 1.0 - (2 * d + 8) as f64 * f64::EPSILON;
        stack.push(Visit { node: 0, start: 0, end: self.numbers.len(), nearest: 0.0 });
        while let Some(Visit { node, start, end, nearest }) = stack.pop() {
            if nearest > best.worst() {
                continue;
            }
            let left = 2 * node + 1;
            if left * 2 * d >= self.boxes.len() {
                let rows = self.rows[start * d..end * d].chunks_exact(d);
                for (row, &number) in rows.zip(&self.numbers[start..end]) {
                    let squared = squared_distance(query, row);
                    if squared <= best.worst() && Some(number) != own {
                        best.offer(squared, number);
                    }
                }
                continue;
            }
            let middle = start + (end - start) / 2;
            let near = |node: usize| slack * distance_to_box(query, &self.boxes[node * 2 * d..][..2 * d]);
            let left = Visit { node: left, start, end: middle, nearest: near(left) };
            let right = Visit { node: left.node + 1, start: middle, end, nearest: near(left.node + 1) };
            // The nearer half is looked at first.
            if left.nearest <= right.nearest {
                stack.extend([right, left]);
            } else {
                stack.extend([left, right]);
            }
        }
    }
}

struct Visit {
    node: usize,
    start: usize,
    end: usize,
    nearest: f64,
}

#[inline(always)]
fn distance_to_box(query: &[f64], bounds: &[f64]) -> f64 {
    let (low, high) = bounds.split_at(query.len());
    let mut squared = 0.0;
    for ((q, low), high) in query.iter().zip(low).zip(high) {
        let outside = (low - q).max(q - high).max(0.0);
        squared += outside * outside;
    }
    squared
}

/// Lowest values of the columns, then highest.
fn bounds_of<T: Real>(base: ArrayView2<T>, rows: &[u32]) -> Vec<f64> {
    let d = base.ncols();
    let mut bounds = vec![f64::INFINITY; 2 * d];
    bounds[d..].fill(f64::NEG_INFINITY);
    let (low, high) = bounds.split_at_mut(d);
    for &i in rows {
        for ((v, low), high) in base.row(i as usize).into_iter().zip(&mut *low).zip(&mut *high) {
            let v: f64 = (*v).into();
            (*low, *high) = (low.min(v), high.max(v));
        }
    }
    bounds
}

/// Halves the rows at the median of the widest column.
fn split<'a, T: Real>(base: ArrayView2<T>, rows: &'a mut [u32], bounds: &[f64]) -> (&'a mut [u32], &'a mut [u32]) {
    let (low, high) = bounds.split_at(base.ncols());
    let width = |c: &usize| high[*c] - low[*c];
    let widest = (0..base.ncols()).reduce(|a, b| if width(&b) > width(&a) { b } else { a }).unwrap_or(0);
    let value = |i: u32| -> f64 { base[[i as usize, widest]].into() };
    let middle = rows.len() / 2;
    rows.select_nth_unstable_by(middle, |a, b| value(*a).total_cmp(&value(*b)).then(a.cmp(b)));
    rows.split_at_mut(middle)
}
