//! Attention: what each position takes from which.
//!
//! From a framework's operations a layer of attention is three slices, as many transpositions in memory, two products of
//! batches, a mask and a softmax, and all of it again backwards. Here queries, keys and values are read and their gradients
//! written where the linear layers before and after have them.

use super::custom::{run, take, tensor, values};
use super::{scalar, threads};
use crate::tensors::values_of;
use burn_tensor::{Tensor, TensorData, activation};
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use quadrat_numeric::vectorised;
use std::ops::Range;

/// Attention of each sequence to itself: `qkv` has a row for each of its `length` positions, sequence after sequence, with
/// the queries of all heads, then their keys, then their values. The result has a row of all heads' mixtures. If `causal`,
/// no position sees a later one. Keeps the weights, `length` squared numbers a head and sequence.
pub fn self_attention(qkv: Tensor<2>, length: usize, heads: usize, causal: bool) -> Tensor<2> {
    let [rows, triple] = qkv.dims();
    let (width, each) = (triple / 3, triple / 3 / heads.max(1));
    let fits = length > 0 && rows.is_multiple_of(length) && rows * each > 0 && triple == 3 * heads * each;
    let (Some(input), true) = (take(&qkv, qkv.is_autodiff()), fits) else {
        let [q, k, v] = split_heads(qkv, length, [heads; 3], each);
        return attention(q, k, v, causal, None);
    };
    let layout = Layout { length, heads, each };
    let scale = 1.0 / (each as f32).sqrt();
    let visible = move |row: usize| if causal { row % length + 1 } else { length };
    run([input], |[x]| {
        let mut weights = vec![0.0; rows * heads * length];
        let mut mixed = vec![0.0; rows * width];
        for (i, p) in weights.chunks_exact_mut(length * length).enumerate() {
            let part = |part| layout.read(values(&x), i, part, 3);
            let scores = MatMut::from_row_major_slice_mut(p, length, length);
            matmul(scores, Accum::Replace, part(0), part(1).transpose(), 1.0, Par::Seq);
            soften(p, length, scale, visible);
            layout.write(&mut mixed, i, 0, 1, square(p, length), part(2));
        }
        let pull = move |g: &[f32], _: [bool; 1]| {
            let mut by_qkv = vec![0.0; rows * triple];
            let mut by_scores = vec![0.0; length * length];
            for (i, p) in weights.chunks_exact(length * length).enumerate() {
                let part = |part| layout.read(values(&x), i, part, 3);
                let g = layout.read(g, i, 0, 1);
                layout.write(&mut by_qkv, i, 2, 3, square(p, length).transpose(), g);
                let out = MatMut::from_row_major_slice_mut(&mut by_scores, length, length);
                matmul(out, Accum::Replace, g, part(2).transpose(), 1.0, Par::Seq);
                soften_back(p, &mut by_scores, length, scale, visible);
                let by_scores = square(&by_scores, length);
                layout.write(&mut by_qkv, i, 0, 3, by_scores, part(1));
                layout.write(&mut by_qkv, i, 1, 3, by_scores.transpose(), part(0));
            }
            [Some(tensor(by_qkv, [rows, triple]))]
        };
        (tensor(mixed, [rows, width]), pull)
    })
}

/// Where heads lie in rows that hold one part (mixtures) or three (queries, keys, values) of all heads. Heads are numbered
/// sequence after sequence.
#[derive(Clone, Copy)]
struct Layout {
    length: usize,
    heads: usize,
    each: usize,
}

impl Layout {
    /// The rows of head `i`'s sequence in memory, their width, and the head's first column in one of so many parts.
    fn place(self, i: usize, part: usize, parts: usize) -> (Range<usize>, usize, usize) {
        let (sequence, head, width) = (i / self.heads, i % self.heads, self.heads * self.each * parts);
        let start = sequence * self.length * width;
        (start..start + self.length * width, width, (part * self.heads + head) * self.each)
    }

    fn read(self, x: &[f32], i: usize, part: usize, parts: usize) -> MatRef<'_, f32> {
        let (rows, width, column) = self.place(i, part, parts);
        MatRef::from_row_major_slice(&x[rows], self.length, width).subcols(column, self.each)
    }

    /// Writes the product of `a` and `b` to a head's columns.
    fn write(self, to: &mut [f32], i: usize, part: usize, parts: usize, a: MatRef<'_, f32>, b: MatRef<'_, f32>) {
        let (rows, width, column) = self.place(i, part, parts);
        let to = MatMut::from_row_major_slice_mut(&mut to[rows], self.length, width).subcols_mut(column, self.each);
        matmul(to, Accum::Replace, a, b, 1.0, Par::Seq);
    }
}

fn square(values: &[f32], side: usize) -> MatRef<'_, f32> {
    MatRef::from_row_major_slice(values, side, side)
}

/// Queries, keys and values of rows that hold all three side by side, each sequences x heads x positions x width per head;
/// `heads` counts those of each.
pub fn split_heads(qkv: Tensor<2>, length: usize, heads: [usize; 3], each: usize) -> [Tensor<4>; 3] {
    let rows = qkv.dims()[0];
    let first = [0, heads[0], heads[0] + heads[1]];
    [0, 1, 2].map(|i| {
        let part = qkv.clone().slice([0..rows, first[i] * each..(first[i] + heads[i]) * each]);
        part.reshape([rows / length.max(1), length, heads[i], each]).swap_dims(1, 2)
    })
}

/// Attention of the last positions, whose queries these are (sequences x heads x positions x width per head), to all that
/// have keys and values; a row for each position of each sequence, as [`self_attention`] has. There may be fewer heads of
/// keys and values, by which neighbouring heads of queries then look together (Ainslie et al. 2023). `bias` is added to the
/// scores (sequences x heads x positions x seen, each size or 1): distances, or the [`padding`] that nobody may see.
pub fn attention(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, causal: bool, bias: Option<Tensor<4>>) -> Tensor<2> {
    let [n, heads, length, each] = q.dims();
    let [_, groups, seen, _] = k.dims();
    // Heads of a group lie one behind the other: their positions are the rows of one product.
    let rows = heads / groups.max(1) * length;
    let scores = q.reshape([n, groups, rows, each]).matmul(k.swap_dims(2, 3)).reshape([n, heads, length, seen]);
    let scale = 1.0 / (each as f32).sqrt();
    let weights = match bias {
        Some(bias) => attention_weights(scores * scale + bias, 1.0, causal),
        None => attention_weights(scores, scale, causal),
    };
    let mixed = weights.reshape([n, groups, rows, seen]).matmul(v).reshape([n, heads, length, each]);
    mixed.swap_dims(1, 2).reshape([n * length, heads * each])
}

/// The bias that hides positions: `mask` is 1 for those that may be seen, 0 for others (sequences x positions).
pub fn padding(mask: Tensor<2>) -> Tensor<4> {
    let [n, seen] = mask.dims();
    ((mask - 1.0) * HIDDEN).reshape([n, 1, 1, seen])
}

/// Far below any score, far above what overflows.
const HIDDEN: f32 = 1e9;

/// Keys and values of the positions so far, for a decoder that asks position by position. Memory for all that will come is
/// there from the start and written in place.
pub(crate) struct Cache {
    sequences: usize,
    /// Heads of keys and values.
    groups: usize,
    /// Numbers that a head's keys take when all positions are there.
    room: usize,
    seen: usize,
    /// Sequence after sequence, head after head, position after position.
    keys: Vec<f32>,
    values: Vec<f32>,
}

impl Cache {
    /// For so many sequences of at most `capacity` positions.
    pub fn new(sequences: usize, groups: usize, each: usize, capacity: usize) -> Self {
        let room = capacity * each;
        let empty = || vec![0.0; sequences * groups * room];
        Cache { sequences, groups, room, seen: 0, keys: empty(), values: empty() }
    }

    /// Takes in the next positions' keys and values, and returns what [`attention`] of their queries to all positions so far
    /// is, each seeing itself and earlier ones. There must be room for them, and as many sequences as before.
    pub fn attend(&mut self, q: Tensor<4>, k: Tensor<4>, v: Tensor<4>) -> Tensor<2> {
        let ([_, heads, length, each], device) = (q.dims(), q.device());
        let [q, k, v] = [q, k, v].map(|part| values_of(part.reshape([-1])));
        for (all, new) in [(&mut self.keys, &k), (&mut self.values, &v)] {
            for (all, new) in all.chunks_exact_mut(self.room).zip(new.chunks_exact(length * each)) {
                all[self.seen * each..][..length * each].copy_from_slice(new);
            }
        }
        let (before, seen) = (self.seen, self.seen + length);
        self.seen = seen;
        // Heads of a group lie one behind the other, as in `attention`.
        let rows = heads / self.groups.max(1) * length;
        let (mut weights, mut mixed) = (vec![0.0; rows * seen], vec![0.0; q.len()]);
        let heads_of = q.chunks_exact(rows * each).zip(mixed.chunks_exact_mut(rows * each));
        let stores = self.keys.chunks_exact(self.room).zip(self.values.chunks_exact(self.room));
        for ((q, out), (k, v)) in heads_of.zip(stores) {
            let part = |all| MatRef::from_row_major_slice(all, seen, each);
            let (k, v) = (part(&k[..seen * each]), part(&v[..seen * each]));
            let scores = MatMut::from_row_major_slice_mut(&mut weights, rows, seen);
            matmul(scores, Accum::Replace, MatRef::from_row_major_slice(q, rows, each), k.transpose(), 1.0, Par::Seq);
            soften(&mut weights, seen, 1.0 / (each as f32).sqrt(), |row| before + row % length + 1);
            let weights = MatRef::from_row_major_slice(&weights, rows, seen);
            matmul(MatMut::from_row_major_slice_mut(out, rows, each), Accum::Replace, weights, v, 1.0, Par::Seq);
        }
        let mixed = Tensor::<4>::from_data(TensorData::new(mixed, [self.sequences, heads, length, each]), &device);
        mixed.swap_dims(1, 2).reshape([self.sequences * length, heads * each])
    }
}

/// The softmax of `scale` times the scores of `(n, heads, positions, seen)` over the last axis. If `causal`, the positions
/// are the last of those seen, and none attends to a later one. `scale` is above 0.
pub fn attention_weights(scores: Tensor<4>, scale: f32, causal: bool) -> Tensor<4> {
    let [n, heads, length, seen] = scores.dims();
    let fits = n * heads * length * seen > 0 && (!causal || length <= seen);
    let (Some(input), true) = (take(&scores, scores.is_autodiff()), fits) else {
        let hidden =
            if causal { hidden_future(length, seen, &scores) } else { Tensor::zeros([1; 4], &scores.device()) };
        return activation::softmax(scores * scale + hidden, 3);
    };
    let visible = move |row: usize| if causal { seen - length + row % length + 1 } else { seen };
    run([input], |[x]| {
        let mut p = values(&x).to_vec();
        soften(&mut p, seen, scale, visible);
        let p = tensor(p, [n, heads, length, seen]);
        let kept = p.clone();
        let pull = move |g: &[f32], _: [bool; 1]| {
            let mut by_scores = g.to_vec();
            soften_back(values(&kept), &mut by_scores, seen, scale, visible);
            [Some(tensor(by_scores, [n, heads, length, seen]))]
        };
        (p, pull)
    })
}

/// Scores to weights, row by row: the softmax of those `visible`, 0 for the others.
pub(super) fn soften(rows: &mut [f32], seen: usize, scale: f32, visible: impl Fn(usize) -> usize) {
    vectorised(
        #[inline(always)]
        || {
            for (i, row) in rows.chunks_exact_mut(seen).enumerate() {
                let (row, hidden) = row.split_at_mut(visible(i));
                hidden.fill(0.0);
                let top = threads::top(row);
                for v in row.iter_mut() {
                    *v = scalar::exp(scale * (*v - top));
                }
                let share = 1.0 / threads::sum_of(row, row, |v, _| v);
                for v in row {
                    *v *= share;
                }
            }
        },
    );
}

/// Gradients by the weights to gradients by the scores.
fn soften_back(weights: &[f32], gradient: &mut [f32], seen: usize, scale: f32, visible: impl Fn(usize) -> usize) {
    vectorised(
        #[inline(always)]
        || {
            for (i, (p, g)) in weights.chunks_exact(seen).zip(gradient.chunks_exact_mut(seen)).enumerate() {
                let p = &p[..visible(i)];
                let (g, hidden) = g.split_at_mut(p.len());
                hidden.fill(0.0);
                let mean = threads::sum_of(p, g, |p, g| p * g);
                for (g, p) in g.iter_mut().zip(p) {
                    *g = scale * p * (*g - mean);
                }
            }
        },
    );
}

/// A large negative score wherever a position would look at a later one.
fn hidden_future(length: usize, seen: usize, like: &Tensor<4>) -> Tensor<4> {
    let before = seen.saturating_sub(length);
    let score = |i: usize, j: usize| if j > before + i { -HIDDEN } else { 0.0 };
    let scores: Vec<f32> = (0..length).flat_map(|i| (0..seen).map(move |j| score(i, j))).collect();
    Tensor::from_data(TensorData::new(scores, [1, 1, length, seen]), &like.device())
}

#[cfg(test)]
mod tests {
    use super::super::check::{differences, distance, flat, noise, numbers, same};
    use super::*;
    use burn_tensor::Device;

    #[test]
    fn values_and_gradients_are_burns() {
        for (n, heads, length, seen, causal) in
            [(1, 1, 1, 1, true), (2, 3, 40, 40, true), (1, 2, 20, 50, true), (2, 1, 17, 33, false), (1, 2, 1, 9, true)]
        {
            let inputs = [noise(n * heads * length * seen, 4).into_iter().map(|v| 6.0 * v).collect::<Vec<f32>>()];
            let shaped = move |t: &[Tensor<1>]| t[0].clone().reshape([n, heads, length, seen]);
            let ours = move |t: &[Tensor<1>]| attention_weights(shaped(t), 0.4, causal).flatten::<1>(0, 3);
            let burns = move |t: &[Tensor<1>]| {
                let scores = shaped(t) * 0.4;
                let hidden = hidden_future(length, seen, &scores);
                activation::softmax(if causal { scores + hidden } else { scores }, 3).flatten::<1>(0, 3)
            };
            same("attention", &inputs, ours, burns);
            differences("attention", &inputs, ours);
        }
    }

    #[test]
    fn heads_side_by_side_are_the_composed_attention() {
        for (n, length, heads, each, causal) in [(1, 1, 1, 1, true), (2, 40, 3, 4, true), (1, 33, 2, 7, false)] {
            let inputs = [noise(n * length * 3 * heads * each, 6).into_iter().map(|v| 3.0 * v).collect::<Vec<f32>>()];
            let shaped = move |t: &[Tensor<1>]| t[0].clone().reshape([n * length, 3 * heads * each]);
            let ours = move |t: &[Tensor<1>]| self_attention(shaped(t), length, heads, causal).flatten::<1>(0, 1);
            let burns = move |t: &[Tensor<1>]| {
                let [q, k, v] = split_heads(shaped(t), length, [heads; 3], each);
                let scores = q.matmul(k.swap_dims(2, 3)) / (each as f32).sqrt();
                let hidden = hidden_future(length, length, &scores);
                let weights = activation::softmax(if causal { scores + hidden } else { scores }, 3);
                weights.matmul(v).swap_dims(1, 2).flatten::<1>(0, 3)
            };
            same("self-attention", &inputs, ours, burns);
            differences("self-attention", &inputs, ours);
        }
    }

    /// Every weight and mixture by its definition, in double precision.
    fn plain(
        [q, k, v]: [&[f32]; 3],
        [n, heads, groups, length, seen, each]: [usize; 6],
        bias: impl Fn(usize, usize, usize, usize) -> f64,
    ) -> Vec<f32> {
        let mut mixed = vec![0.0; n * length * heads * each];
        for (s, h, i) in (0..n).flat_map(|s| (0..heads).flat_map(move |h| (0..length).map(move |i| (s, h, i)))) {
            let at = |all: &[f32], heads: usize, head: usize, positions: usize, i: usize, c: usize| {
                f64::from(all[((s * heads + head) * positions + i) * each + c])
            };
            let group = h / (heads / groups);
            let score = |j: usize| {
                let dot: f64 =
                    (0..each).map(|c| at(q, heads, h, length, i, c) * at(k, groups, group, seen, j, c)).sum();
                (dot / (each as f64).sqrt() + bias(s, h, i, j)).exp()
            };
            let total: f64 = (0..seen).map(score).sum();
            for c in 0..each {
                let sum: f64 = (0..seen).map(|j| score(j) * at(v, groups, group, seen, j, c)).sum();
                mixed[((s * length + i) * heads + h) * each + c] = (sum / total) as f32;
            }
        }
        mixed
    }

    #[test]
    fn groups_biases_and_padding_follow_the_definition() {
        for (heads, groups) in [(4, 4), (4, 2), (6, 1)] {
            let (n, length, seen, each) = (2, 3, 5, 4);
            let sizes = [n, heads, groups, length, seen, each];
            let (q, k) = (noise(n * heads * length * each, 1), noise(n * groups * seen * each, 2));
            let v = noise(n * groups * seen * each, 3);
            let tensor =
                |v: &[f32], heads: usize, length: usize| flat(v, &Device::flex()).reshape([n, heads, length, each]);
            let ours = |causal: bool, bias: Option<Tensor<4>>| {
                let [k, v] = [&k, &v].map(|all| tensor(all, groups, seen));
                numbers(attention(tensor(&q, heads, length), k, v, causal, bias))
            };
            let near = |found: &[f32], bias: &dyn Fn(usize, usize, usize, usize) -> f64| {
                distance(found, &plain([&q, &k, &v], sizes, bias)) < 1e-6
            };
            assert!(near(&ours(false, None), &|_, _, _, _| 0.0));
            let future = |i: usize, j: usize| if j > seen - length + i { -1e9 } else { 0.0 };
            assert!(near(&ours(true, None), &|_, _, i, j| future(i, j)));
            let slopes = noise(heads * length * seen, 4);
            let bias = flat(&slopes, &Device::flex()).reshape([1, heads, length, seen]);
            let of = |h: usize, i: usize, j: usize| f64::from(slopes[(h * length + i) * seen + j]);
            assert!(near(&ours(true, Some(bias)), &|_, h, i, j| of(h, i, j) + future(i, j)));
            let mask = flat(&[1., 1., 1., 1., 0., 1., 1., 0., 0., 0.], &Device::flex()).reshape([2, 5]);
            let hidden = |s: usize, j: usize| if j >= [4, 2][s] { -1e9 } else { 0.0 };
            assert!(near(&ours(false, Some(padding(mask))), &|s, _, _, j| hidden(s, j)));
            // Position by position out of a cache.
            let mut cache = Cache::new(n, groups, each, seen);
            let some =
                |t: Tensor<4>, heads: usize, from: usize, to: usize| t.slice([0..n, 0..heads, from..to, 0..each]);
            let whole = flat(&noise(n * heads * seen * each, 5), &Device::flex()).reshape([n, heads, seen, each]);
            let [k, v] = [&k, &v].map(|all| tensor(all, groups, seen));
            let all = attention(whole.clone(), k.clone(), v.clone(), true, None).reshape([n, seen, heads * each]);
            for (from, to) in [(0, 2), (2, 3), (3, 5)] {
                let part = |t: &Tensor<4>, heads: usize| some(t.clone(), heads, from, to);
                let found = cache.attend(part(&whole, heads), part(&k, groups), part(&v, groups));
                let wanted = all.clone().slice([0..n, from..to, 0..heads * each]);
                assert!(distance(&numbers(found), &numbers(wanted)) < 1e-6);
            }
        }
    }

    #[test]
    fn huge_scores_and_not_a_number() {
        let of = |scores: [f32; 2]| {
            numbers(attention_weights(flat(&scores, &Device::flex()).reshape([1, 1, 1, 2]), 1.0, false))
        };
        assert_eq!(of([3e38, -3e38]), [1.0, 0.0]);
        assert_eq!(of([-1e30, -1e30]), [0.5, 0.5]);
        assert!(of([f32::NAN, 1.0]).iter().all(|p| p.is_nan()));
    }
}
