//! What each position attends to.

use super::custom::{run, take, tensor, values};
use super::{scalar, threads};
use burn::tensor::{Tensor, TensorData, activation};
use quadrat_numeric::vectorised;

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
        vectorised(
            #[inline(always)]
            || {
                for (i, row) in p.chunks_exact_mut(seen).enumerate() {
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
        let p = tensor(p, [n, heads, length, seen]);
        let kept = p.clone();
        let pull = move |g: &[f32], _: [bool; 1]| {
            let mut by_scores = values(&kept).to_vec();
            vectorised(
                #[inline(always)]
                || {
                    let rows = by_scores.chunks_exact_mut(seen).zip(g.chunks_exact(seen)).enumerate();
                    for (i, (row, g)) in rows {
                        let (row, g) = (&mut row[..visible(i)], &g[..visible(i)]);
                        let mean = threads::sum_of(row, g, |p, g| p * g);
                        for (p, g) in row.iter_mut().zip(g) {
                            *p *= scale * (g - mean);
                        }
                    }
                },
            );
            [Some(tensor(by_scores, [n, heads, length, seen]))]
        };
        (p, pull)
    })
}

/// A large negative score wherever a position would look at a later one.
fn hidden_future(length: usize, seen: usize, like: &Tensor<4>) -> Tensor<4> {
    let before = seen.saturating_sub(length);
    let score = |i: usize, j: usize| if j > before + i { -1e9f32 } else { 0.0 };
    let scores: Vec<f32> = (0..length).flat_map(|i| (0..seen).map(move |j| score(i, j))).collect();
    Tensor::from_data(TensorData::new(scores, [1, 1, length, seen]), &like.device())
}

#[cfg(test)]
mod tests {
    use super::super::check::{differences, flat, noise, numbers, same};
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn values_and_gradients_are_burns() {
        for (n, heads, length, seen, causal) in
            [(1, 1, 1, 1, true), (2, 3, 5, 5, true), (1, 2, 3, 40, true), (2, 1, 17, 33, false), (1, 2, 1, 9, true)]
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
    fn huge_scores_and_not_a_number() {
        let of = |scores: [f32; 2]| {
            numbers(attention_weights(flat(&scores, &Device::flex()).reshape([1, 1, 1, 2]), 1.0, false))
        };
        assert_eq!(of([3e38, -3e38]), [1.0, 0.0]);
        assert_eq!(of([-1e30, -1e30]), [0.5, 0.5]);
        assert!(of([f32::NAN, 1.0]).iter().all(|p| p.is_nan()));
    }
}
