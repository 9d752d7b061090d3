//! Work in pieces that depend on the size of the problem alone, so that sums over pieces are the same bits for any number
//! of threads.

use quadrat_numeric::vectorised;
use rayon::prelude::*;

/// At most so many pieces of a batch: what more threads could share, against a partial sum in memory for each.
const PIECES: usize = 8;

/// Rows or images in a piece of a batch of `n`.
pub(super) fn piece(n: usize) -> usize {
    n.div_ceil(PIECES).max(1)
}

/// Whether the pool that called has threads to share work with. Most callers run in pools of one thread.
pub(super) fn shared() -> bool {
    rayon::current_num_threads() > 1
}

/// `work` on every item, and `take` for every result in order.
pub(super) fn each_into<I: Send, T: Send>(items: Vec<I>, work: impl Fn(I) -> T + Sync, take: impl FnMut(T)) {
    if shared() && items.len() > 1 {
        let results: Vec<T> = items.into_par_iter().map(&work).collect();
        results.into_iter().for_each(take);
    } else {
        items.into_iter().map(work).for_each(take);
    }
}

/// `work` on every item.
pub(super) fn each<I: Send>(items: Vec<I>, work: impl Fn(I) + Sync) {
    each_into(items, work, |()| ());
}

/// Adds `part` to `sum`.
pub(super) fn add(sum: &mut [f32], part: &[f32]) {
    vectorised(
        #[inline(always)]
        || sum.iter_mut().zip(part).for_each(|(s, p)| *s += p),
    );
}

/// The sum of values.
pub(super) fn sum(values: &[f32]) -> f32 {
    vectorised(
        #[inline(always)]
        || sum_of(values, values, |v, _| v),
    )
}

/// The sum of `term` over pairs of slices of one length, in sixteen running sums so that it vectorises where the caller is.
#[inline(always)]
pub(super) fn sum_of(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    // Of unequal lengths the remainders would be paired wrongly.
    debug_assert_eq!(a.len(), b.len());
    let mut sums = [0.0_f32; 16];
    let (a_blocks, a_rest) = a.as_chunks::<16>();
    let (b_blocks, b_rest) = b.as_chunks::<16>();
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..16 {
            sums[lane] += term(a[lane], b[lane]);
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| term(*a, *b)).sum();
    sums.iter().sum::<f32>() + rest
}

/// The largest value, passing over what is not a number; sixteen running maxima, so that it vectorises where the caller is.
#[inline(always)]
pub(super) fn top(values: &[f32]) -> f32 {
    let larger = |top: f32, v: f32| if v > top { v } else { top };
    let mut tops = [f32::NEG_INFINITY; 16];
    let (blocks, rest) = values.as_chunks::<16>();
    for block in blocks {
        for lane in 0..16 {
            tops[lane] = larger(tops[lane], block[lane]);
        }
    }
    tops.into_iter().chain(rest.iter().copied()).fold(f32::NEG_INFINITY, larger)
}
