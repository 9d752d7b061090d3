//! Exact nearest neighbours.
//!
//! Two ways to the same answer. Up to `TREE_COLUMNS` columns a k-d tree leaves out most of the base. Beyond that a
//! tree leaves out little, and a matrix product is the fastest way to look at every pair: blocks of queries times blocks
//! of base rows give, in single precision, a *lower bound* of every squared distance (the product less its worst
//! rounding error, on rows that were centred and scaled first). A base row whose bound exceeds the k-th best distance so
//! far is out; the few others are measured directly in double precision. Where single precision cannot tell rows apart
//! (distant tight clusters) a block of queries goes on in double.
//!
//! Either way the distances are [`squared_distance`]s and the order is by distance, then row number: bit for bit what the
//! double loop over all pairs finds.

use crate::gemm::{rows_times_rows, vectorised};
use crate::prepare;
use faer::traits::ComplexField;
use ndarray::{ArrayView2, CowArray, Ix2};
use quadrat_core::{Choice, Error, Progress, Result, checkpoint};
use rayon::prelude::*;
use std::sync::OnceLock;

/// How near two rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Choice)]
pub enum Metric {
    /// Squared Euclidean distance.
    #[default]
    Euclidean,
    /// One less the cosine of the angle between the rows; 1 when either row is all zeros.
    Cosine,
}

/// The nearest rows of each query.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbours {
    /// Neighbours a query.
    pub k: usize,
    /// Queries x `k`, row-major: row numbers of the base, nearest first, lower numbers first among equals.
    pub index: Vec<u32>,
    /// Their squared Euclidean distances, or 1 - cos.
    pub squared: Vec<f64>,
}

impl Neighbours {
    /// Neighbours and distances of query `i`.
    pub fn of(&self, i: usize) -> (&[u32], &[f64]) {
        let span = i * self.k..(i + 1) * self.k;
        (&self.index[span.clone()], &self.squared[span])
    }

    /// Number of queries.
    pub fn len(&self) -> usize {
        self.index.len() / self.k.max(1)
    }

    /// Whether there are no queries.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }
}

/// The `k` rows of `base` nearest to each row of `queries`, by Euclidean distance.
///
/// `own[i]` is the row of `base` that query `i` itself is, to be left out. Values beyond 1e90 or all below 1e-90 are
/// scaled by a power of two first, so that squares neither overflow nor vanish; reported squares may then be infinite or
/// 0 while the order is right.
///
/// Cost: O(base x queries x columns) at the speed of a single-precision matrix product (about O(queries x log base) for
/// few columns). Memory: 4 bytes a value of `base` and 12 bytes a neighbour (few columns: 8 bytes a value).
///
/// # Errors
/// An empty `base`, widths that differ, values that are not finite, `k` of 0 or more than there are rows (without the
/// query itself), `own` of another length or pointing past the end, the user's cancelling.
///
/// ```
/// use ndarray::array;
/// use quadrat_core::Silent;
/// let x = array![[0.0], [1.0], [5.0]];
/// let near = quadrat_numeric::neighbours::nearest(x.view(), x.view(), Some(&[0, 1, 2]), 1, &Silent)?;
/// assert_eq!((near.index, near.squared), (vec![1, 0, 1], vec![1.0, 1.0, 16.0]));
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn nearest(
    base: ArrayView2<f64>,
    queries: ArrayView2<f64>,
    own: Option<&[usize]>,
    k: usize,
    progress: &dyn Progress,
) -> Result<Neighbours> {
    check(base, queries, own, k)?;
    let zero = vec![0.0; base.ncols()];
    let largest = prepare::largest(base, &zero).max(prepare::largest(queries, &zero));
    if largest == 0.0 || (SMALLEST..LARGEST).contains(&largest) {
        return euclidean(base, queries, own, k, progress);
    }
    let scale = prepare::scale_to_one(largest);
    let mut near = euclidean((&base * scale).view(), (&queries * scale).view(), own, k, progress)?;
    near.squared.iter_mut().for_each(|s| *s = *s / scale / scale);
    Ok(near)
}

/// [`nearest`] by squared Euclidean distance plus `extra(query, row)`, which must be finite and at least 0. The distances
/// reported include it. For columns that are compared rather than subtracted: `extra` is only asked for pairs that the
/// numbers alone do not exclude, so it may cost as much as a distance.
///
/// # Errors
/// As [`nearest`], and values of 1e90 or more, whose squares have no common scale with `extra`.
///
/// ```
/// use ndarray::array;
/// use quadrat_core::Silent;
/// let (x, kind) = (array![[0.0], [1.0], [2.0]], [7, 8, 7]);
/// let other_kind = |query: usize, row: usize| if kind[query] == kind[row] { 0.0 } else { 9.0 };
/// let near = quadrat_numeric::neighbours::nearest_plus(x.view(), x.view(), Some(&[0, 1, 2]), 1, other_kind, &Silent)?;
/// assert_eq!((near.index, near.squared), (vec![2, 0, 0], vec![4.0, 10.0, 4.0]));
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn nearest_plus(
    base: ArrayView2<f64>,
    queries: ArrayView2<f64>,
    own: Option<&[usize]>,
    k: usize,
    extra: impl Fn(usize, usize) -> f64 + Sync,
    progress: &dyn Progress,
) -> Result<Neighbours> {
    check(base, queries, own, k)?;
    let zero = vec![0.0; base.ncols()];
    let largest = prepare::largest(base, &zero).max(prepare::largest(queries, &zero));
    if largest >= LARGEST {
        return Err(Error::input("largest value", largest, "use values below 1e90: rescale the column"));
    }
    let filter = Filter::of(base, queries);
    scan(base, queries, own, k, &filter, &Plus { numbers: Euclidean::new(base, queries), extra }, progress)
}

/// [`nearest`] for rows in single precision, by either metric. Distances are still computed and reported in double.
///
/// # Errors
/// As [`nearest`].
pub fn nearest_f32(
    base: ArrayView2<f32>,
    queries: ArrayView2<f32>,
    own: Option<&[usize]>,
    k: usize,
    metric: Metric,
    progress: &dyn Progress,
) -> Result<Neighbours> {
    check(base, queries, own, k)?;
    match metric {
        // Squares of any single-precision value are well within double precision.
        Metric::Euclidean => euclidean(base, queries, own, k, progress),
        Metric::Cosine => {
            let exact = Cosine::new(base, queries);
            let filter = Filter { centre: vec![0.0; base.ncols()], scale: Scale::UnitLength };
            scan(base, queries, own, k, &filter, &exact, progress)
        }
    }
}

/// |a - b|^2, added up in four interleaved sums: the one definition of distance of this module.
#[inline(always)]
pub fn squared_distance<T: Copy + Into<f64>>(a: &[T], b: &[T]) -> f64 {
    let mut sums = [0.0_f64; 4];
    let (a_blocks, a_rest) = a.as_chunks::<4>();
    let (b_blocks, b_rest) = b.as_chunks::<4>();
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..4 {
            let difference = a[lane].into() - b[lane].into();
            sums[lane] += difference * difference;
        }
    }
    for (lane, (a, b)) in a_rest.iter().zip(b_rest).enumerate() {
        let difference = (*a).into() - (*b).into();
        sums[lane] += difference * difference;
    }
    (sums[0] + sums[1]) + (sums[2] + sums[3])
}

fn check<T: Copy + Into<f64> + Sync>(
    base: ArrayView2<T>,
    queries: ArrayView2<T>,
    own: Option<&[usize]>,
    k: usize,
) -> Result<()> {
    prepare::check("base", base)?;
    let (n, d) = base.dim();
    if u32::try_from(n).is_err() {
        return Err(Error::input("base", format!("{n} rows"), "use fewer than 2^32"));
    }
    if queries.ncols() != d {
        return Err(Error::input("queries", format!("{} columns", queries.ncols()), format!("the base has {d}")));
    }
    prepare::check_finite("queries", queries)?;
    if let Some(own) = own {
        if own.len() != queries.nrows() {
            let want = format!("give one for each of the {} queries", queries.nrows());
            return Err(Error::input("own rows", own.len(), want));
        }
        if let Some(past) = own.iter().find(|row| **row >= n) {
            return Err(Error::input("own row", past, format!("the base has {n} rows")));
        }
    }
    let available = n - usize::from(own.is_some());
    if k == 0 || k > available {
        return Err(Error::input("number of neighbours", k, format!("use 1 to {available}, the rows to choose from")));
    }
    Ok(())
}

fn euclidean<T: Real>(
    base: ArrayView2<T>,
    queries: ArrayView2<T>,
    own: Option<&[usize]>,
    k: usize,
    progress: &dyn Progress,
) -> Result<Neighbours> {
    if base.ncols() <= TREE_COLUMNS {
        return crate::tree::nearest(base, queries, own, k, progress);
    }
    scan(base, queries, own, k, &Filter::of(base, queries), &Euclidean::new(base, queries), progress)
}

/// Between these, squares neither vanish nor overflow, and no more do those of the scale that brings them to 1.
const SMALLEST: f64 = 1e-90;
const LARGEST: f64 = 1e90;

/// Up to how many columns the tree is the faster way.
const TREE_COLUMNS: usize = 8;

/// The k best so far, as a heap with the worst on top.
pub(crate) struct Best<'a> {
    index: &'a mut [u32],
    squared: &'a mut [f64],
}

impl<'a> Best<'a> {
    /// Of slices of length k, filled with `u32::MAX` and infinity at first.
    pub(crate) fn new(index: &'a mut [u32], squared: &'a mut [f64]) -> Self {
        Best { index, squared }
    }

    /// The distance that a new row must not exceed.
    #[inline(always)]
    pub(crate) fn worst(&self) -> f64 {
        self.squared[0]
    }

    /// Takes the row in, in place of the worst, if it is better.
    #[inline(always)]
    pub(crate) fn offer(&mut self, squared: f64, row: u32) {
        if (squared, row) < (self.squared[0], self.index[0]) {
            self.sink(squared, row, self.index.len());
        }
    }

    /// Puts a pair at the top of the heap of the first `len` and lets it sink to its place.
    #[inline(always)]
    fn sink(&mut self, squared: f64, row: u32, len: usize) {
        let mut at = 0;
        loop {
            let pair = |i: usize| (self.squared[i], self.index[i]);
            let (left, right) = (2 * at + 1, 2 * at + 2);
            if left >= len {
                break;
            }
            let worse = if right < len && pair(right) > pair(left) { right } else { left };
            if pair(worse) <= (squared, row) {
                break;
            }
            (self.squared[at], self.index[at]) = pair(worse);
            at = worse;
        }
        (self.squared[at], self.index[at]) = (squared, row);
    }

    /// Turns the heap into a list, best first.
    pub(crate) fn sort(mut self) {
        for last in (1..self.index.len()).rev() {
            let (squared, row) = (self.squared[last], self.index[last]);
            (self.squared[last], self.index[last]) = (self.squared[0], self.index[0]);
            self.sink(squared, row, last);
        }
    }
}

/// A direct measure of pairs, and how far its values reach in the filter's squared distances.
trait Exact: Sync {
    fn distance(&self, query: usize, row: usize) -> f64;
    /// No pair whose `distance` is at most `best` has a true squared distance beyond this among the filter's rows in
    /// exact arithmetic, when these are scaled by `scale`.
    fn reach(&self, best: f64, scale: f64) -> f64;
}

struct Euclidean<'a, T> {
    base: CowArray<'a, T, Ix2>,
    queries: CowArray<'a, T, Ix2>,
}

impl<'a, T: Real> Euclidean<'a, T> {
    fn new(base: ArrayView2<'a, T>, queries: ArrayView2<'a, T>) -> Self {
        Euclidean { base: contiguous(base), queries: contiguous(queries) }
    }
}

impl<T: Real> Exact for Euclidean<'_, T> {
    #[inline(always)]
    fn distance(&self, query: usize, row: usize) -> f64 {
        squared_distance(row_of(&self.queries, query), row_of(&self.base, row))
    }

    #[inline(always)]
    fn reach(&self, best: f64, scale: f64) -> f64 {
        // At most d + 3 roundings, all of terms of one sign.
        best * scale * scale * (1.0 + (self.base.ncols() + 8) as f64 * f64::EPSILON)
    }
}

/// Adding something positive only takes rows further away: what excludes a row by its numbers still does.
struct Plus<'a, T, F> {
    numbers: Euclidean<'a, T>,
    extra: F,
}

impl<T: Real, F: Fn(usize, usize) -> f64 + Sync> Exact for Plus<'_, T, F> {
    #[inline(always)]
    fn distance(&self, query: usize, row: usize) -> f64 {
        self.numbers.distance(query, row) + (self.extra)(query, row)
    }

    #[inline(always)]
    fn reach(&self, best: f64, scale: f64) -> f64 {
        self.numbers.reach(best, scale)
    }
}

struct Cosine<'a> {
    rows: Euclidean<'a, f32>,
    base_lengths: Vec<f64>,
    query_lengths: Vec<f64>,
}

impl<'a> Cosine<'a> {
    fn new(base: ArrayView2<'a, f32>, queries: ArrayView2<'a, f32>) -> Self {
        let lengths = |x: ArrayView2<f32>| -> Vec<f64> {
            let length = |i: usize| x.row(i).iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
            (0..x.nrows()).into_par_iter().map(length).collect()
        };
        Cosine { base_lengths: lengths(base), query_lengths: lengths(queries), rows: Euclidean::new(base, queries) }
    }
}

impl Exact for Cosine<'_> {
    #[inline(always)]
    fn distance(&self, query: usize, row: usize) -> f64 {
        let lengths = self.query_lengths[query] * self.base_lengths[row];
        if lengths == 0.0 {
            return 1.0;
        }
        let (a, b) = (row_of(&self.rows.queries, query), row_of(&self.rows.base, row));
        let mut sums = [0.0_f64; 4];
        for (a, b) in a.chunks(4).zip(b.chunks(4)) {
            a.iter().zip(b).zip(&mut sums).for_each(|((a, b), sum)| *sum += f64::from(*a) * f64::from(*b));
        }
        (1.0 - ((sums[0] + sums[1]) + (sums[2] + sums[3])) / lengths).max(0.0)
    }

    #[inline(always)]
    fn reach(&self, best: f64, _: f64) -> f64 {
        // |a - b|^2 = 2 (1 - cos) for unit rows, and at most 1 when either row is zero.
        2.0 * best + (4 * self.rows.base.ncols() + 32) as f64 * f64::EPSILON
    }
}

fn contiguous<T: Copy>(x: ArrayView2<T>) -> CowArray<T, Ix2> {
    if x.is_standard_layout() { x.into() } else { x.as_standard_layout().into_owned().into() }
}

#[inline(always)]
fn row_of<'a, T>(x: &'a CowArray<T, Ix2>, row: usize) -> &'a [T] {
    let d = x.ncols();
    x.as_slice().map_or(&[], |all| &all[row * d..(row + 1) * d])
}

/// Single or double precision.
pub(crate) trait Real: ComplexField + Copy + PartialOrd + Into<f64> {
    /// Half a unit in the last place of 1.
    const UNIT: f64;
    /// The smallest normal number.
    const TINY: f64;
    const INFINITY: Self;
    fn nearest(value: f64) -> Self;
    fn smaller(self, other: Self) -> Self;
}

impl Real for f32 {
    const UNIT: f64 = f32::EPSILON as f64 / 2.0;
    const TINY: f64 = f32::MIN_POSITIVE as f64;
    const INFINITY: f32 = f32::INFINITY;
    #[inline(always)]
    fn nearest(value: f64) -> f32 {
        value as f32
    }
    #[inline(always)]
    fn smaller(self, other: f32) -> f32 {
        if self < other { self } else { other }
    }
}

impl Real for f64 {
    const UNIT: f64 = f64::EPSILON / 2.0;
    const TINY: f64 = f64::MIN_POSITIVE;
    const INFINITY: f64 = f64::INFINITY;
    #[inline(always)]
    fn nearest(value: f64) -> f64 {
        value
    }
    #[inline(always)]
    fn smaller(self, other: f64) -> f64 {
        if self < other { self } else { other }
    }
}

/// How rows are made fit for products in low precision.
struct Filter {
    centre: Vec<f64>,
    scale: Scale,
}

enum Scale {
    /// A power of two that brings all values into -1..1.
    Power(f64),
    /// Each row to length 1.
    UnitLength,
}

impl Filter {
    /// For Euclidean distances: centred at the base's mean, scaled into -1..1.
    fn of<T: Real>(base: ArrayView2<T>, queries: ArrayView2<T>) -> Filter {
        let centre = prepare::column_means(base);
        let largest = prepare::largest(base, &centre).max(prepare::largest(queries, &centre));
        // Smaller rows are all 0 to the filter, and measured: the square of a larger scale would overflow.
        Filter { centre, scale: Scale::Power(prepare::scale_to_one(largest.max(SMALLEST))) }
    }

    /// The row as the filter sees it, rounded, into `to`; returns its lowered squared length.
    ///
    /// Let x, y be two true rows (centred, scaled), X, Y what is stored of them in precision P with unit u, and v = 2^-53
    /// the unit of double precision, in which they are placed. Placing is off by at most (d / 2 + 5) v and storing by
    /// u, as shares of |x|, so |X - Y|^2 differs from |x - y|^2 by at most 4.1 (u + (d / 2 + 5) v) (|x|^2 + |y|^2). The
    /// product of d + 1 terms is off by at most 1.01 (d + 1) u (2 |X||Y| + |Y|^2) in whatever order it is added up, so
    /// by 2.1 (d + 1) u (|x|^2 + |y|^2); the squared lengths by (d + 3) v and one u. Together that is less than
    /// ((2.5 d + 32) u + (3.5 d + 32) v) (|x|^2 + |y|^2), gradual underflow apart. Lowering both squared lengths by that
    /// share makes |X|^2 + |Y|^2 - 2 X.Y, as computed, a lower bound of |x - y|^2.
    fn place<T: Real, P: Real>(&self, row: &[T], to: &mut [P]) -> f64 {
        let scale = match self.scale {
            Scale::Power(scale) => scale,
            Scale::UnitLength => {
                let length = row.iter().map(|v| (*v).into().powi(2)).sum::<f64>().sqrt();
                if length > 0.0 { 1.0 / length } else { 0.0 }
            }
        };
        let mut squared = 0.0;
        for ((to, v), c) in to.iter_mut().zip(row).zip(&self.centre) {
            let placed = ((*v).into() - c) * scale;
            squared += placed * placed;
            *to = P::nearest(placed);
        }
        let d = row.len() as f64;
        squared * (1.0 - (2.5 * d + 32.0) * P::UNIT - (3.5 * d + 32.0) * f64::UNIT) - 8.0 * d * P::TINY
    }

    /// The base for products: each row followed by its lowered squared length.
    fn base<T: Real, P: Real>(&self, x: &CowArray<T, Ix2>, parallel: bool) -> Vec<P> {
        let d = x.ncols();
        let mut placed = vec![P::zero_impl(); x.nrows() * (d + 1)];
        let place = |(row, to): (usize, &mut [P])| {
            let squared = self.place(row_of(x, row), to);
            // Rounding to nearest may raise it by half a unit: the share above has room for it.
            to[d] = P::nearest(squared);
        };
        if parallel {
            placed.par_chunks_exact_mut(d + 1).enumerate().for_each(place);
        } else {
            placed.chunks_exact_mut(d + 1).enumerate().for_each(place);
        }
        placed
    }
}

/// Queries a task.
const QUERIES: usize = 256;
/// Base rows a product: a multiple of the products' widest kernel, 96.
const ROWS: usize = 960;

fn scan<T: Real>(
    base: ArrayView2<T>,
    queries: ArrayView2<T>,
    own: Option<&[usize]>,
    k: usize,
    filter: &Filter,
    exact: &impl Exact,
    progress: &dyn Progress,
) -> Result<Neighbours> {
    let n = queries.nrows();
    let (base, queries) = (contiguous(base), contiguous(queries));
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
            while block.scanned < base.nrows() && !block.is_blurred() {
                checkpoint(progress)?;
                block.advance(&mut by_single, &single, products, exact);
            }
            if block.scanned < base.nrows() {
                // Without threads: a thread that waits here must not be handed a second block that waits here too.
                let double = double.get_or_init(|| filter.base(&base, false));
                let mut by_double = Products::new(filter, &queries, first, block.len());
                let mut products = Vec::new();
                while block.scanned < base.nrows() {
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
    fn new<T: Real>(filter: &Filter, queries: &CowArray<T, Ix2>, first: usize, count: usize) -> Self {
        let width = queries.ncols() + 1;
        let mut left = vec![P::zero_impl(); count * width];
        let lowered = left
            .chunks_exact_mut(width)
            .enumerate()
            .map(|(i, to)| {
                let lowered = filter.place(row_of(queries, first + i), to);
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
