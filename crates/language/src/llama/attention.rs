//! Attention of tokens to the rows that they see: softmax(q k / sqrt D) v, several heads of queries to one of keys and values.

use crate::matrix::lanes::{self, Kernel, LANES, Lanes, add_scaled, dot};
use quadrat_numeric::elementary::exp;
use rayon::prelude::*;

/// What a token sees: the first rows of the cache, and more of them in the order of its path.
#[derive(Debug, Clone, Default)]
pub(super) struct Sight {
    pub first: usize,
    pub path: Vec<usize>,
}

impl Sight {
    fn len(&self) -> usize {
        self.first + self.path.len()
    }

    #[inline(always)]
    fn rows(&self) -> impl Iterator<Item = usize> {
        (0..self.first).chain(self.path.iter().copied())
    }
}

/// Sizes of the heads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heads {
    /// Heads of queries.
    pub heads: usize,
    /// Heads of keys and values.
    pub groups: usize,
    /// Numbers of a head.
    pub head: usize,
}

/// `out[t]` for the queries of every token; `keys` and `values` are the cache's rows.
pub(super) fn attend(sizes: Heads, queries: &[f32], keys: &[f32], values: &[f32], sights: &[Sight], out: &mut [f32]) {
    let width = sizes.heads / sizes.groups * sizes.head;
    let work = out.par_chunks_mut(width).zip(queries.par_chunks(width)).enumerate();
    work.for_each_init(Vec::new, |scores, (at, (out, queries))| {
        let (sight, group) = (&sights[at / sizes.groups], at % sizes.groups);
        lanes::run(Group { sizes, queries, keys, values, sight, group, scores, out });
    });
}

/// One token's heads that share keys and values.
struct Group<'a> {
    sizes: Heads,
    queries: &'a [f32],
    keys: &'a [f32],
    values: &'a [f32],
    sight: &'a Sight,
    group: usize,
    scores: &'a mut Vec<f32>,
    out: &'a mut [f32],
}

impl Kernel for Group<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Group { sizes, queries, keys, values, sight, group, scores, out } = self;
        let (head, seen) = (sizes.head, sight.len());
        let of = |row: usize| (row * sizes.groups + group) * head..(row * sizes.groups + group + 1) * head;
        let scale = 1.0 / (head as f32).sqrt();
        scores.clear();
        scores.resize(queries.len() / head * seen, 0.0);
        for (at, row) in sight.rows().enumerate() {
            let key = &keys[of(row)];
            for (query, scores) in queries.chunks_exact(head).zip(scores.chunks_exact_mut(seen)) {
                scores[at] = dot(lanes, query, key) * scale;
            }
        }
        for scores in scores.chunks_exact_mut(seen) {
            softmax(scores);
        }
        out.fill(0.0);
        for (at, row) in sight.rows().enumerate() {
            let value = &values[of(row)];
            for (out, scores) in out.chunks_exact_mut(head).zip(scores.chunks_exact(seen)) {
                add_scaled(lanes, scores[at], value, out);
            }
        }
    }
}

#[inline(always)]
fn softmax(scores: &mut [f32]) {
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for score in &mut *scores {
        *score = exp(*score - most);
    }
    let (chunks, rest) = scores.as_chunks::<LANES>();
    let mut sums = lanes::padded(rest);
    for chunk in chunks {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *sum += value;
        }
    }
    let share = 1.0 / lanes::sum(sums);
    scores.iter_mut().for_each(|score| *score *= share);
}
