//! Cross entropy of softmax outputs, with its gradient in one pass.
//!
//! Composed from a framework's operations it is a maximum, a difference, an exponential, a sum, a logarithm, a product
//! and a sum, each over the whole batch, and all of them again backwards. The gradient is only p sum(s) - s.

use super::custom::{run, take, tensor, values};
use super::{scalar, threads};
use burn_tensor::{Int, Tensor, TensorData, activation};
use quadrat_numeric::vectorised;

/// -sum_j s_j ln p_j for each row: `logits` give p by softmax, `targets` of the same shape (rows, classes) are the weights
/// s, which need not sum to 1. Returns one loss a row. A target of 0 costs nothing however small p is.
pub fn softmax_cross_entropy(logits: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
    let graph = logits.is_autodiff() || targets.is_autodiff();
    let ([rows, classes], same) = (logits.dims(), logits.dims() == targets.dims());
    let (Some(z), Some(s), true) = (take(&logits, graph), take(&targets, graph), same && classes > 0) else {
        return (activation::log_softmax(logits, 1) * targets).sum_dim(1).squeeze_dim::<1>(1).neg();
    };
    run([z, s], |[z, s]| {
        // e^(z - top), with the largest z of the row; and of each row the sum of these, ln of the sum of e^z, and the sum
        // of targets.
        let mut powers = values(&z).to_vec();
        let mut sums = Vec::with_capacity(rows);
        let mut losses = Vec::with_capacity(rows);
        vectorised(
            #[inline(always)]
            || {
                for row in powers.chunks_exact_mut(classes) {
                    let top = threads::top(row);
                    for z in row {
                        *z -= top;
                    }
                    sums.push((0.0, top, 0.0));
                }
                // All rows in one loop: what is left over behind a row's last whole vector would be done one by one.
                for power in &mut powers {
                    *power = scalar::exp(*power);
                }
                let rows = values(&z).chunks_exact(classes).zip(values(&s).chunks_exact(classes));
                for (((z, s), powers), (sum, total, weight)) in rows.zip(powers.chunks_exact(classes)).zip(&mut sums) {
                    *sum = threads::sum_of(powers, powers, |power, _| power);
                    let all = *total + sum.ln();
                    (*total, *weight) = (all, threads::sum_of(s, s, |s, _| s));
                    losses.push(threads::sum_of(z, s, |z, s| if s == 0.0 { 0.0 } else { s * (all - z) }));
                }
            },
        );
        let pull = move |g: &[f32], needed: [bool; 2]| {
            let (mut by_logits, mut by_targets) = (Vec::new(), Vec::new());
            let (z, s) = (values(&z), values(&s));
            if needed[0] {
                by_logits = powers.clone();
                vectorised(
                    #[inline(always)]
                    || {
                        let rows = by_logits.chunks_exact_mut(classes).zip(s.chunks_exact(classes));
                        for ((d, s), (g, (sum, _, weight))) in rows.zip(g.iter().zip(&sums)) {
                            let scale = weight / sum;
                            for (d, s) in d.iter_mut().zip(s) {
                                *d = (*d * scale - s) * g;
                            }
                        }
                    },
                );
            }
            if needed[1] {
                let rows = z.chunks_exact(classes).zip(g.iter().zip(&sums));
                by_targets = rows.flat_map(|(z, (g, (_, total, _)))| z.iter().map(move |z| (total - z) * g)).collect();
            }
            let shaped = |needed: bool, values| needed.then(|| tensor(values, [rows, classes]));
            [shaped(needed[0], by_logits), shaped(needed[1], by_targets)]
        };
        (tensor(losses, [rows]), pull)
    })
}

/// -ln p_t for each row of `logits` (rows, vocabulary), which give p by softmax, and its token t. A number that is no token
/// gives a loss that is not a number. Beside the logits nothing of their size is kept; their gradient is written once.
pub fn token_cross_entropy(logits: Tensor<2>, tokens: Vec<u32>) -> Tensor<1> {
    let [rows, vocabulary] = logits.dims();
    let fits = tokens.len() == rows && vocabulary > 0;
    let (Some(z), true) = (take(&logits, logits.is_autodiff()), fits) else {
        let at: Vec<i32> = tokens.iter().map(|&token| token as i32).collect();
        let at = Tensor::<2, Int>::from_data(TensorData::new(at, [rows, 1]), &logits.device());
        return activation::log_softmax(logits, 1).gather(1, at).neg().squeeze_dim(1);
    };
    run([z], |[z]| {
        // Of each row the largest z, and the sum of e^(z - top).
        let mut sums = Vec::with_capacity(rows);
        let mut losses = Vec::with_capacity(rows);
        vectorised(
            #[inline(always)]
            || {
                for (z, token) in values(&z).chunks_exact(vocabulary).zip(&tokens) {
                    let top = threads::top(z);
                    let sum = threads::sum_of(z, z, |z, _| scalar::exp(z - top));
                    losses.push(z.get(*token as usize).map_or(f32::NAN, |z| top + sum.ln() - z));
                    sums.push((top, sum));
                }
            },
        );
        let pull = move |g: &[f32], _: [bool; 1]| {
            let mut by_logits = values(&z).to_vec();
            vectorised(
                #[inline(always)]
                || {
                    let rows = by_logits.chunks_exact_mut(vocabulary).zip(&tokens);
                    for ((d, token), ((top, sum), g)) in rows.zip(sums.iter().zip(g)) {
                        let scale = 1.0 / sum;
                        for d in d.iter_mut() {
                            *d = scalar::exp(*d - top) * scale;
                        }
                        if let Some(d) = d.get_mut(*token as usize) {
                            *d -= 1.0;
                        }
                        for d in d {
                            *d *= g;
                        }
                    }
                },
            );
            [Some(tensor(by_logits, [rows, vocabulary]))]
        };
        (tensor(losses, [rows]), pull)
    })
}

/// A loss of each row of `scores` by a function that knows its own gradient: `of(row, scores, gradient)` returns the loss of a
/// row and writes its gradient at the row's scores, all of them. One pass over the scores, which are not computed with again
/// on the way back.
///
/// ```
/// use quadrat_nn::{Tensor, ops};
/// // -ln p of class 0.
/// let loss = |_, z: &[f32], d: &mut [f32]| {
///     let loss = ops::softmax_into(z, d) - z[0];
///     d[0] -= 1.0;
///     loss
/// };
/// let losses = ops::row_losses(Tensor::from_data([[0.0_f32, 0.0]], &Default::default()), loss);
/// assert!((losses.into_scalar::<f32>() - 2.0_f32.ln()).abs() < 1e-6);
/// ```
pub fn row_losses(scores: Tensor<2>, of: impl Fn(usize, &[f32], &mut [f32]) -> f32 + Sync) -> Tensor<1> {
    let [rows, width] = scores.dims();
    let wide = width.max(1);
    let of_all = |z: &[f32]| {
        let (mut losses, mut gradient) = (vec![0.0; rows], vec![0.0; rows * width]);
        let piece = threads::piece(rows);
        let outs = losses.chunks_mut(piece).zip(gradient.chunks_mut(piece * wide));
        let items: Vec<_> = z.chunks(piece * wide).zip(outs).enumerate().collect();
        threads::each(items, |(i, (z, (losses, gradient)))| {
            vectorised(
                #[inline(always)]
                || {
                    let rows = z.chunks_exact(wide).zip(losses).zip(gradient.chunks_exact_mut(wide));
                    for (row, ((z, loss), gradient)) in rows.enumerate() {
                        *loss = of(i * piece + row, z, gradient);
                    }
                },
            );
        });
        (losses, gradient)
    };
    match take(&scores, scores.is_autodiff()) {
        Some(z) => run([z], |[z]| {
            let (losses, gradient) = of_all(values(&z));
            let pull = move |g: &[f32], _: [bool; 1]| {
                let mut pulled = gradient.clone();
                vectorised(
                    #[inline(always)]
                    || {
                        for (d, g) in pulled.chunks_exact_mut(wide).zip(g) {
                            d.iter_mut().for_each(|d| *d *= g);
                        }
                    },
                );
                [Some(tensor(pulled, [rows, width]))]
            };
            (tensor(losses, [rows]), pull)
        }),
        // On other devices the numbers go there and back: what has this value and this slope is a straight line.
        None => {
            let (losses, gradient) = of_all(&crate::tensors::values_of(scores.clone().reshape([-1])));
            let device = scores.device();
            let losses = Tensor::from_data(TensorData::new(losses, [rows]), &device);
            let gradient = Tensor::from_data(TensorData::new(gradient, [rows, width]), &device);
            let moved = scores.clone() - scores.detach();
            losses + (moved * gradient).sum_dim(1).squeeze_dim(1)
        }
    }
}

/// The softmax of a row of scores, into `p` of the same length; returns the logarithm of the sum of all e^score.
#[inline(always)]
pub fn softmax_into(scores: &[f32], p: &mut [f32]) -> f32 {
    let top = threads::top(scores);
    for (p, z) in p.iter_mut().zip(scores) {
        *p = scalar::exp(z - top);
    }
    let sum = threads::sum_of(p, p, |p, _| p);
    let share = 1.0 / sum;
    for p in p {
        *p *= share;
    }
    top + sum.ln()
}

#[cfg(test)]
mod tests {
    use super::super::check::{differences, noise, same};
    use super::*;

    #[test]
    fn tokens_cost_what_their_one_hot_rows_cost() {
        for (rows, vocabulary) in [(1, 2), (7, 10), (64, 33), (5, 1000)] {
            let logits = [noise(rows * vocabulary, 1).into_iter().map(|v| 4.0 * v).collect::<Vec<f32>>()];
            let shaped = move |x: &[Tensor<1>]| x[0].clone().reshape([rows, vocabulary]);
            let tokens: Vec<u32> = (0..rows).map(|row| (row * 7 % vocabulary) as u32).collect();
            let own = tokens.clone();
            let ours = move |x: &[Tensor<1>]| token_cross_entropy(shaped(x), own.clone());
            let dense = move |x: &[Tensor<1>]| {
                let mut wanted = vec![0.0; rows * vocabulary];
                tokens.iter().enumerate().for_each(|(row, &token)| wanted[row * vocabulary + token as usize] = 1.0);
                let wanted = Tensor::from_data(TensorData::new(wanted, [rows, vocabulary]), &x[0].device());
                softmax_cross_entropy(shaped(x), wanted)
            };
            same("tokens", &logits, ours.clone(), dense);
            if vocabulary <= 10 {
                differences("tokens", &logits, ours);
            }
        }
    }

    #[test]
    fn losses_and_gradients_are_those_of_the_composed_form() {
        for (rows, classes) in [(1, 1), (7, 10), (64, 10), (5, 1000)] {
            let logits: Vec<f32> = noise(rows * classes, 1).into_iter().map(|v| 4.0 * v).collect();
            let targets: Vec<f32> = noise(rows * classes, 2).into_iter().map(|v| v.max(0.0)).collect();
            let shaped = move |x: &Tensor<1>| x.clone().reshape([rows, classes]);
            let ours = move |x: &[Tensor<1>]| softmax_cross_entropy(shaped(&x[0]), shaped(&x[1]));
            let burns = move |x: &[Tensor<1>]| {
                (activation::log_softmax(shaped(&x[0]), 1) * shaped(&x[1])).sum_dim(1).squeeze_dim::<1>(1).neg()
            };
            if classes > 1 {
                same("softmax", &[logits.clone(), targets.clone()], ours, burns);
            }
            // A sum over many classes has too few digits left for differences.
            if classes <= 10 {
                differences("softmax", &[logits, targets], ours);
            }
        }
    }

    #[test]
    fn far_logits_cost_their_difference_and_nothing_overflows() {
        let device = burn_tensor::Device::flex();
        let logits = Tensor::<2>::from_data([[1e4_f32, -1e4], [1e4, -1e4]], &device);
        let targets = Tensor::from_data([[1.0_f32, 0.0], [0.0, 1.0]], &device);
        assert_eq!(super::super::check::numbers(softmax_cross_entropy(logits, targets)), [0.0, 2e4]);
    }

    #[test]
    fn a_loss_that_knows_its_gradient_is_one_of_the_graph() {
        for (rows, classes) in [(1, 2), (7, 10), (64, 33)] {
            let logits = [noise(rows * classes, 1).into_iter().map(|v| 4.0 * v).collect::<Vec<f32>>()];
            let shaped = move |x: &[Tensor<1>]| x[0].clone().reshape([rows, classes]);
            let ours = move |x: &[Tensor<1>]| {
                row_losses(shaped(x), |row, z, d| {
                    let loss = softmax_into(z, d) - z[row % classes];
                    d[row % classes] -= 1.0;
                    loss
                })
            };
            let tokens: Vec<u32> = (0..rows).map(|row| (row % classes) as u32).collect();
            same("rows", &logits, ours, move |x| token_cross_entropy(shaped(x), tokens.clone()));
        }
    }
}
