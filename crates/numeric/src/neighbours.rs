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

mod best;
mod exact;
mod filter;
mod scan;

pub(crate) use best::Best;

use crate::prepare;
use exact::{Cosine, Euclidean, Plus};
use faer::traits::ComplexField;
use filter::{Filter, Scale};
use ndarray::ArrayView2;
use quadrat_core::{Choice, Error, Progress, Result};
use scan::scan;

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
