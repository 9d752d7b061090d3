//! Layers on values and their derivatives together, as [`Jet`](crate::Jet) carries them.
//!
//! All streams lie one below the other in one array: the values of all rows, then the derivatives along each direction, then the
//! sums of second derivatives. A linear layer is then one product of matrices, and an activation one pass over memory, forward
//! and backward.

use super::custom::{run, take, tensor, values};
use super::linear::{by_input, by_weight, column_sums};
use super::{scalar, threads};
use crate::forward::Activation;
use burn_tensor::Tensor;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use quadrat_numeric::vectorised;
use std::sync::Arc;

/// How the streams lie.
#[derive(Debug, Clone)]
pub(crate) struct Streams {
    /// Rows of each stream.
    pub rows: usize,
    /// First derivatives.
    pub slopes: usize,
    /// Pairs of directions that each second derivative is the sum over.
    pub sums: Arc<Vec<Vec<(usize, usize)>>>,
}

impl Streams {
    /// How many there are.
    pub fn count(&self) -> usize {
        1 + self.slopes + self.sums.len()
    }
}

/// All streams times the kernel (outputs x inputs); the bias is added to the values alone, since it has no derivative.
pub(crate) fn linear(x: Tensor<2>, streams: &Streams, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    let ([all, cols], [rows, own_cols], n) = (x.dims(), weight.dims(), streams.rows);
    let bias = bias.unwrap_or_else(|| Tensor::zeros([rows], &x.device()));
    let graph = x.is_autodiff() || weight.is_autodiff() || bias.is_autodiff();
    let fits = cols == own_cols && bias.dims() == [rows] && all * rows * cols > 0;
    let inputs = (take(&x, graph), take(&weight, graph), take(&bias, graph));
    let (Some(input), Some(kernel), Some(offset), true) = (inputs.0, inputs.1, inputs.2, fits) else {
        let y = x.matmul(weight.transpose());
        let shifted = y.clone().slice([0..n, 0..rows]) + bias.unsqueeze();
        return y.slice_assign([0..n, 0..rows], shifted);
    };
    run([input, kernel, offset], |[x, w, bias]| {
        let y = affine(values(&x), values(&w), values(&bias), cols, n);
        let pull = move |g: &[f32], needed: [bool; 3]| {
            [
                needed[0].then(|| tensor(by_input(g, values(&w), cols), [all, cols])),
                needed[1].then(|| tensor(by_weight(g, values(&x), all), [rows, cols])),
                needed[2].then(|| tensor(column_sums(&g[..n * rows], rows), [rows])),
            ]
        };
        (tensor(y, [all, rows]), pull)
    })
}

/// All rows of `cols` numbers times the kernel, with the bias in the first `n`.
pub(super) fn affine(x: &[f32], w: &[f32], bias: &[f32], cols: usize, n: usize) -> Vec<f32> {
    let (all, rows) = (x.len() / cols.max(1), bias.len());
    let mut y = vec![0.0; all * rows];
    y[..n * rows].chunks_exact_mut(rows).for_each(|row| row.copy_from_slice(bias));
    let out = MatMut::from_row_major_slice_mut(&mut y, all, rows);
    let [left, right] = [(x, all), (w, rows)].map(|(m, rows)| MatRef::from_row_major_slice(m, rows, cols));
    matmul(out, Accum::Add, left, right.transpose(), 1.0, Par::Seq);
    y
}

/// The hyperbolic tangents of all streams.
pub(super) fn tanh(x: &[f32], streams: &Streams) -> Vec<f32> {
    forward(x, streams, tanh_curve)
}

/// The gradient by what [`tanh`] was given.
pub(super) fn tanh_back(x: &[f32], g: &[f32], streams: &Streams) -> Vec<f32> {
    backward(x, g, streams, tanh_curve)
}

/// Elements in a block: what its buffers take stays in the first cache.
const BLOCK: usize = 256;

/// An activation with its first three derivatives at every number of a block.
type Curve = [[f32; BLOCK]; 4];

/// A smooth activation f of all streams: f(v) of the values, f'(v) J of slopes, f'(v) q + f''(v) Σ JₐJᵦ of second derivatives.
/// `None` for one that is not smooth, and on other devices or in another precision.
pub(crate) fn bend(x: Tensor<2>, streams: &Streams, activation: Activation) -> Option<Tensor<2>> {
    let curve: fn(&[f32], &mut Curve) = match activation {
        Activation::Tanh => tanh_curve,
        Activation::Sin => |v, out| fill(v, out, |x| [x.sin(), x.cos(), -x.sin(), -x.cos()]),
        Activation::Softplus => |v, out| {
            fill(v, out, |x| {
                let s = 1.0 / (1.0 + scalar::exp(-x));
                let bend = s * (1.0 - s);
                [x.max(0.0) + scalar::exp(-x.abs()).ln_1p(), s, bend, bend * (1.0 - 2.0 * s)]
            });
        },
        Activation::Silu => |v, out| {
            fill(
                v,
                out,
                #[inline(always)]
                |x| {
                    let (value, first) = scalar::silu(x);
                    let s = 1.0 / (1.0 + scalar::exp(-x));
                    let (bend, tilt) = (s * (1.0 - s), 1.0 - 2.0 * s);
                    [value, first, bend * (2.0 + x * tilt), bend * (tilt * (3.0 + x * tilt) - 2.0 * x * bend)]
                },
            );
        },
        Activation::Gelu => |v, out| {
            fill(
                v,
                out,
                #[inline(always)]
                |x| {
                    const ROOT: f32 = 0.398_942_3; // 1 / sqrt(2 pi)
                    let (value, first) = scalar::gelu(x);
                    let density = ROOT * scalar::exp(-0.5 * x * x);
                    [value, first, density * (2.0 - x * x), density * x * (x * x - 4.0)]
                },
            );
        },
        Activation::Relu => return None,
    };
    through(x, streams, curve)
}

/// The natural logarithm of all streams. `None` as for [`bend`].
pub(crate) fn ln(x: Tensor<2>, streams: &Streams) -> Option<Tensor<2>> {
    through(x, streams, |v, out| {
        fill(v, out, |x| {
            let first = 1.0 / x;
            [x.ln(), first, -first * first, 2.0 * first * first * first]
        });
    })
}

fn tanh_curve(v: &[f32], out: &mut Curve) {
    fill(
        v,
        out,
        #[inline(always)]
        |x| {
            let t = scalar::tanh(x);
            let first = 1.0 - t * t;
            [t, first, -2.0 * t * first, first * (6.0 * t * t - 2.0)]
        },
    );
}

fn through(x: Tensor<2>, streams: &Streams, curve: fn(&[f32], &mut Curve)) -> Option<Tensor<2>> {
    let shape = x.dims();
    let input = take(&x, x.is_autodiff())?;
    let streams = streams.clone();
    Some(run([input], |[x]| {
        let y = forward(values(&x), &streams, curve);
        let pull = move |g: &[f32], _: [bool; 1]| [Some(tensor(backward(values(&x), g, &streams, curve), shape))];
        (tensor(y, shape), pull)
    }))
}

/// `f` of every number; always inlined, so that the loop is one of vectors where `f` has no branch.
#[inline(always)]
fn fill(v: &[f32], out: &mut Curve, f: impl Fn(f32) -> [f32; 4]) {
    let [a, b, c, d] = out;
    vectorised(
        #[inline(always)]
        || {
            for ((((v, a), b), c), d) in v.iter().zip(a).zip(b).zip(c).zip(d) {
                [*a, *b, *c, *d] = f(*v);
            }
        },
    );
}

/// A block of every stream: where it begins, and its length.
fn blocks(len: usize, streams: &Streams) -> (usize, impl Iterator<Item = (usize, usize)>) {
    let size = len / streams.count();
    (size, (0..size).step_by(BLOCK).map(move |at| (at, BLOCK.min(size - at))))
}

fn forward(x: &[f32], streams: &Streams, curve: fn(&[f32], &mut Curve)) -> Vec<f32> {
    let mut y = vec![0.0; x.len()];
    let mut f = [[0.0; BLOCK]; 4];
    let mut bent = [0.0; BLOCK];
    let (size, blocks) = blocks(x.len(), streams);
    let second = 1 + streams.slopes;
    for (at, n) in blocks {
        let of = |stream: usize| &x[stream * size + at..][..n];
        curve(of(0), &mut f);
        y[at..at + n].copy_from_slice(&f[0][..n]);
        vectorised(
            #[inline(always)]
            || {
                for k in 1..second {
                    product(&mut y[k * size + at..][..n], &f[1], of(k));
                }
                for (m, pairs) in streams.sums.iter().enumerate() {
                    bent[..n].fill(0.0);
                    pairs.iter().for_each(|(a, b)| add_product(&mut bent[..n], of(1 + a), of(1 + b)));
                    let out = &mut y[(second + m) * size + at..][..n];
                    product(out, &f[1], of(second + m));
                    add_product(out, &f[2], &bent);
                }
            },
        );
    }
    y
}

/// The gradient by the inputs: of f(v) it is f', of f'J by v it is f''J, and so on; a pair (a, a) counts twice, as a square does.
fn backward(x: &[f32], g: &[f32], streams: &Streams, curve: fn(&[f32], &mut Curve)) -> Vec<f32> {
    let mut by = vec![0.0; x.len()];
    let mut f = [[0.0; BLOCK]; 4];
    let (mut bent, mut sum, mut turned) = ([0.0; BLOCK], [0.0; BLOCK], [0.0; BLOCK]);
    let (size, blocks) = blocks(x.len(), streams);
    let second = 1 + streams.slopes;
    for (at, n) in blocks {
        let of = |stream: usize| &x[stream * size + at..][..n];
        let got = |stream: usize| &g[stream * size + at..][..n];
        curve(of(0), &mut f);
        vectorised(
            #[inline(always)]
            || {
                // What reaches the values by f'' (in `sum`), then by f' and f'''.
                sum[..n].fill(0.0);
                for k in 1..second {
                    product(&mut by[k * size + at..][..n], &f[1], got(k));
                    add_product(&mut sum[..n], got(k), of(k));
                }
                let mut by_values = [0.0; BLOCK];
                product(&mut by_values[..n], &f[1], got(0));
                for (m, pairs) in streams.sums.iter().enumerate() {
                    let (q, gq) = (of(second + m), got(second + m));
                    bent[..n].fill(0.0);
                    product(&mut turned[..n], &f[2], gq);
                    for (a, b) in pairs {
                        add_product(&mut bent[..n], of(1 + a), of(1 + b));
                        add_product(&mut by[(1 + a) * size + at..][..n], &turned, of(1 + b));
                        add_product(&mut by[(1 + b) * size + at..][..n], &turned, of(1 + a));
                    }
                    product(&mut by[(second + m) * size + at..][..n], &f[1], gq);
                    add_product(&mut sum[..n], gq, q);
                    product(&mut turned[..n], &f[3], gq);
                    add_product(&mut by_values[..n], &turned, &bent);
                }
                add_product(&mut by_values[..n], &f[2], &sum);
                threads::add(&mut by[at..at + n], &by_values[..n]);
            },
        );
    }
    by
}

/// out = a b, as far as `out` goes.
#[inline(always)]
fn product(out: &mut [f32], a: &[f32], b: &[f32]) {
    for (out, (a, b)) in out.iter_mut().zip(a.iter().zip(b)) {
        *out = a * b;
    }
}

/// out += a b, as far as `out` goes.
#[inline(always)]
fn add_product(out: &mut [f32], a: &[f32], b: &[f32]) {
    for (out, (a, b)) in out.iter_mut().zip(a.iter().zip(b)) {
        *out += a * b;
    }
}
