//! Steps of optimisers on plain slices.
//!
//! A framework's step is one pass over memory for every operation in its formula, on one thread; these are one pass in
//! all, in chunks on the threads of the calling pool. Every element is on its own, so the number of threads changes no
//! bit. The formulas, down to the order of operations, are PyTorch's.

use super::threads;
use quadrat_numeric::vectorised;
use rayon::prelude::*;

/// Elements in a chunk: four arrays of it fit the second cache.
const CHUNK: usize = 16 * 1024;

/// One step of AdamW (Loshchilov and Hutter 2019): weights decay by `lr * weight_decay` apart from the gradient. `m` and
/// `v` are the running moments, zeros before the first step; `step` counts from 1. Elements beyond the shortest slice stay.
#[expect(clippy::too_many_arguments, reason = "the symbols of the formula")]
pub fn adamw(
    params: &mut [f32],
    grads: &[f32],
    m: &mut [f32],
    v: &mut [f32],
    step: u64,
    lr: f64,
    beta1: f64,
    beta2: f64,
    eps: f64,
    weight_decay: f64,
) {
    // Everything that is one number for all elements, in double precision; powf, since a step may exceed i32.
    let keep = (1.0 - lr * weight_decay) as f32;
    let size = (lr / (1.0 - beta1.powf(step as f64))) as f32;
    let root = (1.0 - beta2.powf(step as f64)).sqrt() as f32;
    let (beta2, rest1, rest2, eps) = (beta2 as f32, (1.0 - beta1) as f32, (1.0 - beta2) as f32, eps as f32);
    let chunk = |p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32]| {
        vectorised(
            #[inline(always)]
            || {
                for (((p, g), m), v) in p.iter_mut().zip(g).zip(m.iter_mut()).zip(v.iter_mut()) {
                    *m += (g - *m) * rest1;
                    *v = *v * beta2 + rest2 * (g * g);
                    *p = *p * keep - size * (*m / (v.sqrt() / root + eps));
                }
            },
        );
    };
    if threads::shared() {
        params
            .par_chunks_mut(CHUNK)
            .zip(grads.par_chunks(CHUNK))
            .zip(m.par_chunks_mut(CHUNK))
            .zip(v.par_chunks_mut(CHUNK))
            .for_each(|(((p, g), m), v)| chunk(p, g, m, v));
    } else {
        chunk(params, grads, m, v);
    }
}

/// One step of stochastic gradient descent with momentum: decay is added to the gradient, the buffer is `momentum` times
/// itself plus the gradient, and is the gradient in the `first` step. With `momentum` 0 the buffer is neither read nor
/// written and may be empty. Elements beyond the shortest slice stay.
#[expect(clippy::too_many_arguments, reason = "the symbols of the formula")]
pub fn sgd(
    params: &mut [f32],
    grads: &[f32],
    momentum_buffer: &mut [f32],
    lr: f64,
    momentum: f64,
    nesterov: bool,
    weight_decay: f64,
    first: bool,
) {
    let (lr, decay, momentum) = (lr as f32, weight_decay as f32, momentum as f32);
    if momentum == 0.0 {
        let chunk = |p: &mut [f32], g: &[f32]| {
            vectorised(
                #[inline(always)]
                || p.iter_mut().zip(g).for_each(|(p, g)| *p -= lr * (g + decay * *p)),
            );
        };
        if threads::shared() {
            params.par_chunks_mut(CHUNK).zip(grads.par_chunks(CHUNK)).for_each(|(p, g)| chunk(p, g));
        } else {
            chunk(params, grads);
        }
        return;
    }
    // How much of the gradient itself and of the buffer the parameters follow: numbers, for a branch would cost vectors.
    let (own, kept) = if nesterov { (1.0, momentum) } else { (0.0, 1.0) };
    let chunk = |p: &mut [f32], g: &[f32], b: &mut [f32]| {
        if first {
            b.fill(0.0);
        }
        vectorised(
            #[inline(always)]
            || {
                for ((p, g), b) in p.iter_mut().zip(g).zip(b.iter_mut()) {
                    let g = g + decay * *p;
                    *b = momentum * *b + g;
                    *p -= lr * (own * g + kept * *b);
                }
            },
        );
    };
    if threads::shared() {
        params
            .par_chunks_mut(CHUNK)
            .zip(grads.par_chunks(CHUNK))
            .zip(momentum_buffer.par_chunks_mut(CHUNK))
            .for_each(|((p, g), b)| chunk(p, g, b));
    } else {
        chunk(params, grads, momentum_buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{noise, pool};
    use super::*;

    #[test]
    fn adamw_steps_can_be_checked_by_hand() {
        // With a constant gradient both corrected moments stay 1 and 1: each step decays by 1 - 0.1 * 0.5 and moves by 0.1.
        let (mut p, mut m, mut v) = ([1.0_f32], [0.0], [0.0]);
        for (step, want) in [(1, 0.85), (2, 0.7075), (3, 0.572_125)] {
            adamw(&mut p, &[1.0], &mut m, &mut v, step, 0.1, 0.9, 0.999, 1e-8, 0.5);
            assert!((p[0] - want).abs() < 1e-6, "{p:?}");
        }
    }

    #[test]
    fn momentum_steps_can_be_checked_by_hand() {
        // Buffers 1, 1.5, 1.75; with Nesterov the steps are 1.5, 1.75, 1.875.
        for (nesterov, wants) in [(false, [0.9, 0.75, 0.575]), (true, [0.85, 0.675, 0.4875])] {
            let (mut p, mut b) = ([1.0_f32], [f32::NAN]);
            for (i, want) in wants.into_iter().enumerate() {
                sgd(&mut p, &[1.0], &mut b, 0.1, 0.5, nesterov, 0.0, i == 0);
                assert!((p[0] - want).abs() < 1e-6, "{p:?}");
            }
        }
        // Without momentum, decay is part of the gradient: 1 - 0.1 * (1 + 0.5).
        let mut p = [1.0_f32];
        sgd(&mut p, &[1.0], &mut [], 0.1, 0.0, false, 0.5, true);
        assert!((p[0] - 0.85).abs() < 1e-6);
    }

    #[test]
    fn steps_follow_the_plain_loop_on_any_number_of_threads() {
        let n = 3 * CHUNK + 7;
        let adam = |threads: usize| {
            let (mut p, mut m, mut v) = (noise(n, 1), vec![0.0; n], vec![0.0; n]);
            pool(threads).install(|| {
                for step in 1..4 {
                    adamw(&mut p, &noise(n, step), &mut m, &mut v, step as u64, 1e-2, 0.9, 0.99, 1e-8, 0.1);
                }
            });
            p
        };
        assert_eq!(adam(1), adam(2));
        let momentum = |threads: usize| {
            let (mut p, mut b) = (noise(n, 1), vec![0.0; n]);
            let step = |i| sgd(&mut p, &noise(n, i), &mut b, 1e-2, 0.9, true, 0.1, i == 1);
            pool(threads).install(|| (1..4).for_each(step));
            p
        };
        assert_eq!(momentum(1), momentum(2));
        let (adam, momentum) = (adam(1), momentum(1));
        for i in (0..n).step_by(997) {
            let start = f64::from(noise(n, 1)[i]);
            let (mut p, mut m, mut v) = (start, 0.0, 0.0);
            let (mut q, mut b) = (start, 0.0);
            for step in 1..4_usize {
                let g = f64::from(noise(n, step)[i]);
                m = 0.9 * m + 0.1 * g;
                v = 0.99 * v + 0.01 * g * g;
                let (first, second) = (m / (1.0 - 0.9_f64.powi(step as i32)), v / (1.0 - 0.99_f64.powi(step as i32)));
                p -= 1e-2 * 0.1 * p;
                p -= 1e-2 * first / (second.sqrt() + 1e-8);
                let g = g + 0.1 * q;
                b = if step == 1 { g } else { 0.9 * b + g };
                q -= 1e-2 * (g + 0.9 * b);
            }
            assert!((f64::from(adam[i]) - p).abs() < 1e-6, "{} {p}", adam[i]);
            assert!((f64::from(momentum[i]) - q).abs() < 1e-6, "{} {q}", momentum[i]);
        }
    }
}
