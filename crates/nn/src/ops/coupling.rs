//! An affine coupling (Dinh et al. 2017, in the form of Tang, Wan and Liao 2020) of functions with their first derivatives.
//!
//! A flow is many of these on few columns; as operations of a framework most of their time would go into its bookkeeping. One
//! coupling is one operation here.

use super::custom::{run, take, tensor, values};
use super::jets::{self, Streams};
use super::linear::{by_input, by_weight, column_sums};
use burn_tensor::Tensor;

/// What a coupling computes with.
pub struct Coupling {
    /// What each function is multiplied by first (functions).
    pub scale: Tensor<1>,
    /// What is added then (functions).
    pub shift: Tensor<1>,
    /// Kernels (outputs x inputs) and biases of the three layers that see the kept functions; the last has two outputs for each
    /// function that is changed.
    pub layers: [(Tensor<2>, Tensor<1>); 3],
    /// How far each changed function is moved at most.
    pub reach: Tensor<1>,
    /// By what share each changed function is stretched or shrunk at most.
    pub stretch: f32,
}

/// Numbers of one array, streams x rows by `width`.
struct Parts {
    width: usize,
    kept: usize,
    hidden: [usize; 2],
}

/// What the backward pass needs of the forward one.
struct Passed {
    /// The functions after scale and shift.
    moved: Vec<f32>,
    /// The kept ones among them, and what the hidden layers made of them.
    fed: [Vec<f32>; 3],
    /// The layers' sums before their activation.
    sums: [Vec<f32>; 3],
    /// The last layer's activation: a and b.
    last: Vec<f32>,
}

/// Of functions z = scale x + shift the first are kept, and the others become z (1 + stretch tanh a) + reach tanh b, where a and b are
/// the layers' of the kept ones (hyperbolic tangents between them). The outcome has the kept ones, the others, and a column with the
/// logarithm of the changes' determinant, Σ ln(1 + stretch tanh a). `None` on other devices, in another precision, or for shapes
/// that do not fit.
pub(crate) fn coupling(x: Tensor<2>, streams: &Streams, with: Coupling) -> Option<Tensor<2>> {
    let Coupling { scale, shift, layers: [(w1, b1), (w2, b2), (w3, b3)], reach, stretch } = with;
    let [all, width] = x.dims();
    let parts = Parts { width, kept: w1.dims()[1], hidden: [w1.dims()[0], w2.dims()[0]] };
    let changed = width.checked_sub(parts.kept)?;
    let fits = scale.dims() == [width]
        && shift.dims() == [width]
        && reach.dims() == [changed]
        && w2.dims()[1] == parts.hidden[0]
        && w3.dims() == [2 * changed, parts.hidden[1]]
        && [b1.dims()[0], b2.dims()[0], b3.dims()[0]] == [parts.hidden[0], parts.hidden[1], 2 * changed];
    if !fits || !streams.sums.is_empty() || changed == 0 || parts.kept == 0 {
        return None;
    }
    let graph = x.is_autodiff() || scale.is_autodiff() || w1.is_autodiff();
    let inputs = [
        take(&x, graph)?,
        take(&scale, graph)?,
        take(&shift, graph)?,
        take(&w1, graph)?,
        take(&b1, graph)?,
        take(&w2, graph)?,
        take(&b2, graph)?,
        take(&w3, graph)?,
        take(&b3, graph)?,
        take(&reach, graph)?,
    ];
    let streams = streams.clone();
    Some(run(inputs, |given| {
        let numbers = given.each_ref().map(values);
        let passed = parts.forward(&numbers, &streams);
        let y = tensor(parts.outcome(&numbers, &passed, &streams, stretch), [all, width + 1]);
        let pull = move |g: &[f32], _: [bool; 10]| {
            let numbers = given.each_ref().map(values);
            let by = parts.backward(&numbers, &passed, &streams, stretch, g);
            let [h1, h2] = parts.hidden;
            let shapes = [
                vec![all, width],
                vec![width],
                vec![width],
                vec![h1, parts.kept],
                vec![h1],
                vec![h2, h1],
                vec![h2],
                vec![2 * changed, h2],
                vec![2 * changed],
                vec![changed],
            ];
            let mut shapes = shapes.into_iter();
            by.map(|by| shapes.next().map(|shape| tensor(by, shape)))
        };
        (y, pull)
    }))
}

impl Parts {
    fn forward(&self, [x, scale, shift, w1, b1, w2, b2, w3, b3, _]: &[&[f32]; 10], streams: &Streams) -> Passed {
        let (width, n) = (self.width, streams.rows);
        let mut moved = x.to_vec();
        for (i, row) in moved.chunks_exact_mut(width).enumerate() {
            row.iter_mut().zip(*scale).for_each(|(z, scale)| *z *= scale);
            if i < n {
                row.iter_mut().zip(*shift).for_each(|(z, shift)| *z += shift);
            }
        }
        let kept: Vec<f32> = moved.chunks_exact(width).flat_map(|row| row[..self.kept].iter().copied()).collect();
        let first = jets::affine(&kept, w1, b1, self.kept, n);
        let one = jets::tanh(&first, streams);
        let second = jets::affine(&one, w2, b2, self.hidden[0], n);
        let two = jets::tanh(&second, streams);
        let third = jets::affine(&two, w3, b3, self.hidden[1], n);
        let last = jets::tanh(&third, streams);
        Passed { moved, fed: [kept, one, two], sums: [first, second, third], last }
    }

    fn outcome(&self, [.., reach]: &[&[f32]; 10], passed: &Passed, streams: &Streams, stretch: f32) -> Vec<f32> {
        let (width, kept, n) = (self.width, self.kept, streams.rows);
        let changed = width - kept;
        let mut y = vec![0.0; passed.moved.len() / width * (width + 1)];
        let z = |stream: usize, i: usize| &passed.moved[(stream * n + i) * width..][..width];
        let ab = |stream: usize, i: usize| &passed.last[(stream * n + i) * 2 * changed..][..2 * changed];
        for i in 0..n {
            for stream in 0..streams.count() {
                let (z0, ab0) = (z(0, i), ab(0, i));
                let (zs, abs) = (z(stream, i), ab(stream, i));
                let out = &mut y[(stream * n + i) * (width + 1)..][..width + 1];
                out[..kept].copy_from_slice(&zs[..kept]);
                let mut ln_det = 0.0;
                for (j, reach) in reach.iter().enumerate() {
                    let factor = 1.0 + stretch * ab0[j];
                    let by = stretch * abs[j];
                    out[kept + j] = zs[kept + j] * factor + reach * abs[changed + j];
                    if stream == 0 {
                        ln_det += factor.ln();
                    } else {
                        out[kept + j] += z0[kept + j] * by;
                        ln_det += by / factor;
                    }
                }
                out[width] = ln_det;
            }
        }
        y
    }

    fn backward(
        &self,
        [x, scale, _, w1, _, w2, _, w3, _, reach]: &[&[f32]; 10],
        passed: &Passed,
        streams: &Streams,
        stretch: f32,
        g: &[f32],
    ) -> [Vec<f32>; 10] {
        let (width, kept, n) = (self.width, self.kept, streams.rows);
        let changed = width - kept;
        // By the scaled functions, and by a and b.
        let mut by_moved = vec![0.0; passed.moved.len()];
        let mut by_last = vec![0.0; passed.last.len()];
        let mut by_reach = vec![0.0; changed];
        for i in 0..n {
            let row = |stream: usize, width: usize| (stream * n + i) * width;
            for stream in 0..streams.count() {
                let gs = &g[row(stream, width + 1)..][..width + 1];
                by_moved[row(stream, width)..][..kept].copy_from_slice(&gs[..kept]);
                for (j, (reach, by_reach)) in reach.iter().zip(&mut by_reach).enumerate() {
                    let factor = 1.0 + stretch * passed.last[row(0, 2 * changed) + j];
                    let by = stretch * passed.last[row(stream, 2 * changed) + j];
                    let (z0, zs) = (row(0, width) + kept + j, row(stream, width) + kept + j);
                    let (a0, a) = (row(0, 2 * changed) + j, row(stream, 2 * changed) + j);
                    let (gy, gl) = (gs[kept + j], gs[width]);
                    by_moved[zs] += gy * factor;
                    *by_reach += gy * passed.last[a + changed];
                    by_last[a + changed] += gy * reach;
                    // The factor's own slope is that of the first stream.
                    by_last[a0] += stretch * gy * passed.moved[zs];
                    if stream == 0 {
                        by_last[a0] += stretch * gl / factor;
                    } else {
                        by_moved[z0] += gy * by;
                        by_last[a] += stretch * (gy * passed.moved[z0] + gl / factor);
                        by_last[a0] -= stretch * gl * by / (factor * factor);
                    }
                }
            }
        }
        let rows = g.len() / (width + 1);
        let [h1, h2] = self.hidden;
        let by_third = jets::tanh_back(&passed.sums[2], &by_last, streams);
        let by_second = jets::tanh_back(&passed.sums[1], &by_input(&by_third, w3, h2), streams);
        let by_first = jets::tanh_back(&passed.sums[0], &by_input(&by_second, w2, h1), streams);
        let by_kept = by_input(&by_first, w1, kept);
        for (by_moved, by_kept) in by_moved.chunks_exact_mut(width).zip(by_kept.chunks_exact(kept)) {
            by_moved.iter_mut().zip(by_kept).for_each(|(sum, part)| *sum += part);
        }
        let products: Vec<f32> = by_moved.iter().zip(*x).map(|(g, x)| g * x).collect();
        let mut by_x = by_moved.clone();
        by_x.chunks_exact_mut(width).for_each(|row| row.iter_mut().zip(*scale).for_each(|(g, scale)| *g *= scale));
        [
            by_x,
            column_sums(&products, width),
            column_sums(&by_moved[..n * width], width),
            by_weight(&by_first, &passed.fed[0], rows),
            column_sums(&by_first[..n * h1], h1),
            by_weight(&by_second, &passed.fed[1], rows),
            column_sums(&by_second[..n * h2], h2),
            by_weight(&by_third, &passed.fed[2], rows),
            column_sums(&by_third[..n * 2 * changed], 2 * changed),
            by_reach,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{noise, same};
    use super::*;
    use crate::{Activation, Jet};

    /// Values and gradients are those of the same coupling made of jets.
    #[test]
    fn it_is_the_coupling_of_jets() {
        for (rows, width, kept) in [(5, 2, 1), (7, 5, 3), (3, 3, 2)] {
            let (changed, hidden) = (width - kept, [6, 4]);
            let sizes = [
                rows * width,
                width,
                width,
                hidden[0] * kept,
                hidden[0],
                hidden[1] * hidden[0],
                hidden[1],
                2 * changed * hidden[1],
                2 * changed,
                changed,
            ];
            let inputs: Vec<Vec<f32>> = sizes.iter().enumerate().map(|(i, n)| noise(*n, i + 1)).collect();
            let shaped = move |t: &[Tensor<1>], i: usize, cols: usize| {
                let n = t[i].dims()[0];
                t[i].clone().reshape([n / cols, cols])
            };
            let given = move |t: &[Tensor<1>]| Coupling {
                scale: t[1].clone(),
                shift: t[2].clone(),
                layers: [
                    (shaped(t, 3, kept), t[4].clone()),
                    (shaped(t, 5, hidden[0]), t[6].clone()),
                    (shaped(t, 7, hidden[1]), t[8].clone()),
                ],
                reach: t[9].clone(),
                stretch: 0.6,
            };
            let all = |jet: Jet, ln_det: Jet| {
                let streams = jet.streams();
                let both = jet.beside(ln_det);
                let slopes = (0..streams - 1).map(|k| both.slope(k));
                Tensor::cat(std::iter::once(both.value()).chain(slopes).collect(), 0).flatten::<1>(0, 1)
            };
            let fused = move |t: &[Tensor<1>]| {
                let (jet, ln_det) = Jet::first_order(shaped(t, 0, width)).coupling(given(t)).unwrap();
                all(jet, ln_det)
            };
            let composed = move |t: &[Tensor<1>]| {
                let with = given(t);
                let x = Jet::first_order(shaped(t, 0, width)).turned(|x| x * with.scale.clone().unsqueeze());
                let x = x.shifted(with.shift.clone().unsqueeze());
                let columns = |x: &Jet, from: usize, to: usize| {
                    x.clone().turned(|x| {
                        let rows = x.dims()[0];
                        x.slice([0..rows, from..to])
                    })
                };
                let (kept, moved) = (columns(&x, 0, kept), columns(&x, kept, width));
                let mut hidden = kept.clone();
                for (weight, bias) in &with.layers {
                    hidden = hidden.linear(weight, Some(bias)).activate(Activation::Tanh).unwrap();
                }
                let one = Tensor::ones([1, changed], &with.reach.device());
                let factor = columns(&hidden, 0, changed).turned(|a| a * 0.6).shifted(one);
                let shift = columns(&hidden, changed, 2 * changed).turned(|b| b * with.reach.clone().unsqueeze());
                let ln_det = factor.clone().ln().turned(|x| x.sum_dim(1));
                all(kept.beside(moved.times(&factor).plus(shift)), ln_det)
            };
            same("coupling", &inputs, fused, composed);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let t = |n: usize| super::super::check::flat(&vec![0.1; n], &burn_tensor::Device::flex());
        let with = |reach: usize| Coupling {
            scale: t(2),
            shift: t(2),
            layers: [(t(4).reshape([4, 1]), t(4)), (t(16).reshape([4, 4]), t(4)), (t(8).reshape([2, 4]), t(2))],
            reach: t(reach),
            stretch: 0.6,
        };
        let x = || t(6).reshape([3, 2]);
        assert!(Jet::first_order(x()).coupling(with(1)).is_ok());
        assert!(Jet::first_order(x()).coupling(with(2)).is_err());
        assert!(Jet::of_inputs(x()).coupling(with(1)).is_err());
    }
}
