//! The distances themselves, measured pair by pair.

use super::{Real, squared_distance};
use crate::points::RowMajor;
use ndarray::ArrayView2;
use rayon::prelude::*;

/// A direct measure of pairs, and how far its values reach in the filter's squared distances.
pub(super) trait Exact: Sync {
    fn distance(&self, query: usize, row: usize) -> f64;
    /// No pair whose `distance` is at most `best` has a true squared distance beyond this among the filter's rows in
    /// exact arithmetic, when these are scaled by `scale`.
    fn reach(&self, best: f64, scale: f64) -> f64;
}

pub(super) struct Euclidean<'a, T: Clone> {
    pub base: RowMajor<'a, T>,
    pub queries: RowMajor<'a, T>,
}

impl<'a, T: Real> Euclidean<'a, T> {
    pub fn new(base: ArrayView2<'a, T>, queries: ArrayView2<'a, T>) -> Self {
        Euclidean { base: RowMajor::of(base), queries: RowMajor::of(queries) }
    }
}

impl<T: Real> Exact for Euclidean<'_, T> {
    #[inline(always)]
    fn distance(&self, query: usize, row: usize) -> f64 {
        squared_distance(self.queries.row(query), self.base.row(row))
    }

    #[inline(always)]
    fn reach(&self, best: f64, scale: f64) -> f64 {
        // At most d + 3 roundings, all of terms of one sign.
        best * scale * scale * (1.0 + (self.base.dim().1 + 8) as f64 * f64::EPSILON)
    }
}

/// Adding something positive only takes rows further away: what excludes a row by its numbers still does.
pub(super) struct Plus<'a, T: Clone, F> {
    pub numbers: Euclidean<'a, T>,
    pub extra: F,
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

pub(super) struct Cosine<'a> {
    rows: Euclidean<'a, f32>,
    base_lengths: Vec<f64>,
    query_lengths: Vec<f64>,
}

impl<'a> Cosine<'a> {
    pub fn new(base: ArrayView2<'a, f32>, queries: ArrayView2<'a, f32>) -> Self {
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
        let (a, b) = (self.rows.queries.row(query), self.rows.base.row(row));
        let mut sums = [0.0_f64; 4];
        for (a, b) in a.chunks(4).zip(b.chunks(4)) {
            a.iter().zip(b).zip(&mut sums).for_each(|((a, b), sum)| *sum += f64::from(*a) * f64::from(*b));
        }
        (1.0 - ((sums[0] + sums[1]) + (sums[2] + sums[3])) / lengths).max(0.0)
    }

    #[inline(always)]
    fn reach(&self, best: f64, _: f64) -> f64 {
        // |a - b|^2 = 2 (1 - cos) for unit rows, and at most 1 when either row is zero.
        2.0 * best + (4 * self.rows.base.dim().1 + 32) as f64 * f64::EPSILON
    }
}
