//! The search: blocks of queries against blocks of rows, filtered by products and then measured.

use super::best::Best;
use super::exact::Exact;
use super::filter::{Filter, Scale};
use super::{Neighbours, Real};
use crate::gemm::{rows_times_rows, vectorised};
use crate::points::RowMajor;
use ndarray::ArrayView2;
use quadrat_core::{Progress, Result, checkpoint};
use rayon::prelude::*;
use std::sync::OnceLock;

/// Queries a task.
const QUERIES: usize = 256;
/// Base rows a product: a multiple of the products' widest kernel, 96.
const ROWS: usize = 960;

pub(super) fn scan<T: Real>(
    base: ArrayView2<T>,
    queries: ArrayView2<T>,
    own: Option<&[usize]>,
    k: usize,
    filter: &Filter,
    exact: &impl Exact,
    progress: &dyn Progress,
) -> Result<Neighbours> {
    let (n, rows) = (queries.nrows(), base.nrows());
    let (base, queries) = (RowMajor::of(base), RowMajor::of(queries));
    let single: Vec<f32> = filter.base(&base, true);
    let double: OnceLock<Vec<f64>> = OnceLock::new();
    let mut index = vec![u32::MAX; n * k];
    let mut squared = vec![f64::INFINITY; n * k];
    progress.begin("nearest neighbours", Some(n as u64));
    index.par_chunks_mut(QUERIES * k).zip(squared.par_chunks_mut(QUERIES * k)).enumerate().try_for_each_init(
        Vec::new,
        |products, (block, (index, squared))| {
            let first = block * QUERIES;
            let mut block = Block { first, own, k, index, squared, scanned: 0, measured: 0 };
            let mut by_single = Products::new(filter, &queries, first, block.len());
            while block.scanned < rows && !block.is_blurred() {
                checkpoint(progress)?;
                block.advance(&mut by_single, &single, products, exact);
            }
            if block.scanned < rows {
                // Without threads: a thread that waits here must not be handed a second block that waits here too.
                let double = double.get_or_init(|| filter.base(&base, false));
                let mut by_double = Products::new(filter, &queries, first, block.len());
                let mut products = Vec::new();
                while block.scanned < rows {
                    checkpoint(progress)?;
                    block.advance(&mut by_double, double, &mut products, exact);
                }
            }
            for (index, squared) in block.index.chunks_exact_mut(k).zip(block.squared.chunks_exact_mut(k)) {
                Best::new(index, squared).sort();
            }
            progress.advance((block.index.len() / k) as u64);
            Ok(())
        },
    )?;
    Ok(Neighbours { k, index, squared })
}

/// A block of queries placed for products: -2 x and a 1 against the base's lowered squared length.
struct Products<P> {
    left: Vec<P>,
    lowered: Vec<f64>,
    scale: f64,
    width: usize,
}

impl<P: Real> Products<P> {
    fn new<T: Real>(filter: &Filter, queries: &RowMajor<T>, first: usize, count: usize) -> Self {
        let width = queries.dim().1 + 1;
        let mut left = vec![P::zero_impl(); count * width];
        let lowered = left
            .chunks_exact_mut(width)
            .enumerate()
            .map(|(i, to)| {
                let lowered = filter.place(queries.row(first + i), to);
                to.iter_mut().for_each(|v| *v = P::nearest(-2.0 * (*v).into()));
                to[width - 1] = P::one_impl();
                lowered
            })
            .collect();
        let scale = if let Scale::Power(scale) = filter.scale { scale } else { 1.0 };
        Products { left, lowered, scale, width }
    }
}

/// A block of queries, its best rows so far and how much of the base it has seen.
struct Block<'a> {
    first: usize,
    own: Option<&'a [usize]>,
    k: usize,
    index: &'a mut [u32],
    squared: &'a mut [f64],
    scanned: usize,
    measured: usize,
}

impl Block<'_> {
    fn len(&self) -> usize {
        self.index.len() / self.k
    }

    /// Whether the filter lets so much pass that a sharper one pays.
    fn is_blurred(&self) -> bool {
        self.measured > self.len() * (self.scanned / 32 + 40 * self.k)
    }

    /// Looks at the next base rows.
    fn advance<P: Real>(&mut self, placed: &mut Products<P>, base: &[P], products: &mut Vec<P>, exact: &impl Exact) {
        let width = placed.width;
        let start = self.scanned;
        let rows = ROWS.min(base.len() / width - start);
        products.resize(QUERIES * ROWS, P::zero_impl());
        rows_times_rows(&placed.left, &base[start * width..(start + rows) * width], width, products);
        vectorised(
            #[inline(always)]
            || {
                for i in 0..self.len() {
                    self.sift(i, &products[i * rows..(i + 1) * rows], placed.lowered[i], placed.scale, exact);
                }
            },
        );
        self.scanned += rows;
    }

    /// Measures the rows whose bounds do not exclude them.
    #[inline(always)]
    fn sift<P: Real>(&mut self, i: usize, products: &[P], lowered: f64, scale: f64, exact: &impl Exact) {
        let query = self.first + i;
        let own = self.own.map(|own| own[query] as u32);
        let span = i * self.k..(i + 1) * self.k;
        let mut best = Best::new(&mut self.index[span.clone()], &mut self.squared[span]);
        let limit = |best: &Best| {
            let limit = exact.reach(best.worst(), scale) - lowered;
            P::nearest(limit + limit.abs() * 4.0 * P::UNIT)
        };
        let mut highest = limit(&best);
        for (chunk, values) in products.chunks(64).enumerate() {
            let mut least = [P::INFINITY; 16];
            let (lanes, rest) = values.as_chunks::<16>();
            for lane in lanes {
                for (least, v) in least.iter_mut().zip(lane) {
                    *least = v.smaller(*least);
                }
            }
            let least = least.iter().chain(rest).fold(P::INFINITY, |least, v| v.smaller(least));
            if least > highest {
                continue;
            }
            for (j, value) in values.iter().enumerate() {
                let row = (self.scanned + chunk * 64 + j) as u32;
                if *value <= highest && Some(row) != own {
                    self.measured += 1;
                    best.offer(exact.distance(query, row as usize), row);
                    highest = limit(&best);
                }
            }
        }
    }
}
