//! Normalisation of groups, of rows, and of channels over a batch.
//!
//! Composed from single operations each of these writes the whole batch half a dozen times forward and more backward.
//! Here a group is read once for its moments and once more, still in the cache, for the result. Per channel the backward
//! pass needs two sums, of the gradient and of the gradient times the normalised input; everything else follows.

use super::custom::{run, take, tensor, values};
use super::threads;
use burn_tensor::Tensor;
use quadrat_numeric::vectorised;

/// Mean and biased variance.
#[inline(always)]
pub(super) fn moments(x: &[f32]) -> (f32, f32) {
    let n = x.len() as f32;
    let mean = threads::sum_of(x, x, |x, _| x) / n;
    (mean, threads::sum_of(x, x, |x, _| (x - mean) * (x - mean)) / n)
}

/// Group normalisation of images (images, channels, height, width): the channels of each of the `groups` are shifted and
/// scaled together to mean 0 and variance 1, then by the channel's own `weight` and `bias`; `eps` is added to the
/// variance. Panics as burn's own operations do where shapes do not fit together or groups do not divide the channels.
pub fn group_norm(x: Tensor<4>, groups: usize, weight: Tensor<1>, bias: Tensor<1>, eps: f64) -> Tensor<4> {
    let graph = x.is_autodiff() || weight.is_autodiff() || bias.is_autodiff();
    let [n, channels, h, w] = x.dims();
    let fits = groups > 0 && channels.is_multiple_of(groups) && n * channels * h * w > 0;
    let fits = fits && weight.dims() == [channels] && bias.dims() == [channels];
    let inputs = (take(&x, graph), take(&weight, graph), take(&bias, graph));
    let (Some(input), Some(scale), Some(shift), true) = (inputs.0, inputs.1, inputs.2, fits) else {
        let size = channels / groups.max(1) * h * w;
        let (value, _, _) = standardised(x.reshape([n * groups, size]), 1, eps);
        let channel = |v: Tensor<1>| v.reshape([1, channels, 1, 1]);
        return value.reshape([n, channels, h, w]) * channel(weight) + channel(bias);
    };
    let shape = GroupShape { channels, depth: channels / groups, size: h * w };
    run([input, scale, shift], |[x, weight, bias]| {
        let (y, kept) = shape.forward(values(&x), values(&weight), values(&bias), eps as f32);
        let pull = move |g: &[f32], needed: [bool; 3]| {
            let (by_x, by_weight, by_bias) = shape.backward(values(&x), values(&weight), &kept, g, needed[0]);
            [
                needed[0].then(|| tensor(by_x, [n, channels, h, w])),
                needed[1].then(|| tensor(by_weight, [channels])),
                needed[2].then(|| tensor(by_bias, [channels])),
            ]
        };
        (tensor(y, [n, channels, h, w]), pull)
    })
}

/// x minus its mean, over the root of its variance, along one axis, by burn's operations; and the two moments.
fn standardised<const D: usize>(x: Tensor<D>, axis: usize, eps: f64) -> (Tensor<D>, Tensor<D>, Tensor<D>) {
    let mean = x.clone().mean_dim(axis);
    let centred = x - mean.clone();
    let variance = centred.clone().square().mean_dim(axis);
    (centred / (variance.clone() + eps).sqrt(), mean, variance)
}

/// Groups of `depth` channels, each of `size` values.
#[derive(Debug, Clone, Copy)]
struct GroupShape {
    channels: usize,
    depth: usize,
    size: usize,
}

impl GroupShape {
    /// The output, and of each group the mean and one over the standard deviation.
    fn forward(&self, x: &[f32], weight: &[f32], bias: &[f32], eps: f32) -> (Vec<f32>, Vec<[f32; 2]>) {
        let group = self.depth * self.size;
        let mut y = vec![0.0; x.len()];
        let mut kept = vec![[0.0; 2]; x.len() / group];
        let groups = threads::piece(kept.len());
        let pieces = y.chunks_mut(groups * group).zip(kept.chunks_mut(groups)).enumerate().collect();
        threads::each(pieces, |(piece, (y, kept)): (usize, (&mut [f32], &mut [[f32; 2]]))| {
            let first = piece * groups;
            vectorised(
                #[inline(always)]
                || {
                    let x = x[first * group..].chunks_exact(group);
                    for (i, ((x, y), kept)) in x.zip(y.chunks_exact_mut(group)).zip(kept).enumerate() {
                        let (mean, variance) = moments(x);
                        let inverse = 1.0 / (variance + eps).sqrt();
                        *kept = [mean, inverse];
                        let channel = (first + i) * self.depth % self.channels;
                        let segments = x.chunks_exact(self.size).zip(y.chunks_exact_mut(self.size));
                        for ((x, y), (w, b)) in segments.zip(weight[channel..].iter().zip(&bias[channel..])) {
                            let scale = w * inverse;
                            for (y, x) in y.iter_mut().zip(x) {
                                *y = (x - mean) * scale + b;
                            }
                        }
                    }
                },
            );
        });
        (y, kept)
    }

    /// Gradients by the input (empty unless asked for), the weight and the bias.
    fn backward(
        &self,
        x: &[f32],
        weight: &[f32],
        kept: &[[f32; 2]],
        g: &[f32],
        input: bool,
    ) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
        let group = self.depth * self.size;
        let image = self.channels * self.size;
        let images = threads::piece(x.len() / image);
        let mut by_x = vec![0.0; if input { x.len() } else { 0 }];
        let (mut by_weight, mut by_bias) = (vec![0.0; self.channels], vec![0.0; self.channels]);
        let mut parts = by_x.chunks_mut(images * image);
        let pieces = x.chunks(images * image).zip(g.chunks(images * image)).enumerate();
        let pieces = pieces.map(|(i, (x, g))| (i * images * image / group, x, g, parts.next())).collect();
        let work = |(first, x, g, by_x): (usize, &[f32], &[f32], Option<&mut [f32]>)| {
            let (mut by_weight, mut by_bias) = (vec![0.0; self.channels], vec![0.0; self.channels]);
            let mut by_x = by_x.map(|by_x| by_x.chunks_exact_mut(group));
            vectorised(
                #[inline(always)]
                || {
                    let groups = x.chunks_exact(group).zip(g.chunks_exact(group)).zip(&kept[first..]);
                    for (i, ((x, g), [mean, inverse])) in groups.enumerate() {
                        let channel = (first + i) * self.depth % self.channels;
                        let weight = &weight[channel..channel + self.depth];
                        let sums = by_weight[channel..].iter_mut().zip(&mut by_bias[channel..]);
                        let segments = x.chunks_exact(self.size).zip(g.chunks_exact(self.size));
                        // Sums over the group of the gradient by the normalised input, and of its product with that.
                        let (mut plain, mut along) = (0.0, 0.0);
                        for (((x, g), w), (by_weight, by_bias)) in segments.zip(weight).zip(sums) {
                            let sum = threads::sum_of(g, g, |g, _| g);
                            let product = threads::sum_of(x, g, |x, g| (x - mean) * g) * inverse;
                            *by_bias += sum;
                            *by_weight += product;
                            plain += w * sum;
                            along += w * product;
                        }
                        let Some(by_x) = by_x.as_mut().and_then(|by_x| by_x.next()) else { continue };
                        let shift = plain / group as f32 * inverse;
                        let slope = along / group as f32 * inverse * inverse;
                        let segments = x.chunks_exact(self.size).zip(g.chunks_exact(self.size));
                        for (((x, g), d), w) in segments.zip(by_x.chunks_exact_mut(self.size)).zip(weight) {
                            let scale = w * inverse;
                            for ((d, x), g) in d.iter_mut().zip(x).zip(g) {
                                *d = g * scale - shift - (x - mean) * slope;
                            }
                        }
                    }
                },
            );
            (by_weight, by_bias)
        };
        threads::each_into(pieces, work, |(weight, bias)| {
            threads::add(&mut by_weight, &weight);
            threads::add(&mut by_bias, &bias);
        });
        (by_x, by_weight, by_bias)
    }
}

/// Layer normalisation over the last axis: each row to mean 0 and variance 1 (`eps` is added to the variance), then every
/// place by its own `weight` and `bias`. Panics as burn's own operations do where shapes do not fit together.
pub fn layer_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, bias: Tensor<1>, eps: f64) -> Tensor<D> {
    row_norm(x, weight, bias, eps, true)
}

/// Normalisation by the root mean square over the last axis (Zhang and Sennrich 2019): each row over the root of its mean
/// square (plus `eps`), then every place by its own `weight`. No mean is taken off. Panics as [`layer_norm`].
pub fn rms_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, eps: f64) -> Tensor<D> {
    let bias = weight.zeros_like();
    row_norm(x, weight, bias, eps, false)
}

/// [`layer_norm`] if `centred`, else without taking the mean off.
fn row_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, bias: Tensor<1>, eps: f64, centred: bool) -> Tensor<D> {
    let graph = x.is_autodiff() || weight.is_autodiff() || bias.is_autodiff();
    let (shape, width) = (x.shape(), weight.dims()[0]);
    let fits = x.dims().last() == Some(&width) && bias.dims() == [width] && shape.num_elements() > 0;
    let inputs = (take(&x, graph), take(&weight, graph), take(&bias, graph));
    let (Some(input), Some(scale), Some(shift), true) = (inputs.0, inputs.1, inputs.2, fits) else {
        let normal = match centred {
            true => standardised(x, D - 1, eps).0,
            false => x.clone() / (x.square().mean_dim(D - 1) + eps).sqrt(),
        };
        return normal * weight.unsqueeze() + bias.unsqueeze();
    };
    run([input, scale, shift], |[x, weight, bias]| {
        let (y, kept) = rows_forward(values(&x), values(&weight), values(&bias), eps as f32, centred);
        let output = shape.clone();
        let pull = move |g: &[f32], needed: [bool; 3]| {
            let (by_x, by_weight, by_bias) = rows_backward(values(&x), values(&weight), &kept, g, needed[0], centred);
            [
                needed[0].then(|| tensor(by_x, shape.clone())),
                needed[1].then(|| tensor(by_weight, [width])),
                needed[2].then(|| tensor(by_bias, [width])),
            ]
        };
        (tensor(y, output), pull)
    })
}

/// The output, and of each row the mean and one over the standard deviation.
fn rows_forward(x: &[f32], weight: &[f32], bias: &[f32], eps: f32, centred: bool) -> (Vec<f32>, Vec<[f32; 2]>) {
    let width = weight.len();
    let mut y = vec![0.0; x.len()];
    let mut kept = vec![[0.0; 2]; x.len() / width];
    let rows = threads::piece(kept.len());
    let pieces = y.chunks_mut(rows * width).zip(kept.chunks_mut(rows)).zip(x.chunks(rows * width)).collect();
    type Piece<'a> = ((&'a mut [f32], &'a mut [[f32; 2]]), &'a [f32]);
    threads::each(pieces, |((y, kept), x): Piece<'_>| {
        vectorised(
            #[inline(always)]
            || {
                for ((x, y), kept) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)).zip(kept) {
                    let square = || threads::sum_of(x, x, |x, _| x * x) / width as f32;
                    let (mean, variance) = if centred { moments(x) } else { (0.0, square()) };
                    let inverse = 1.0 / (variance + eps).sqrt();
                    *kept = [mean, inverse];
                    for ((y, x), (w, b)) in y.iter_mut().zip(x).zip(weight.iter().zip(bias)) {
                        *y = (x - mean) * inverse * w + b;
                    }
                }
            },
        );
    });
    (y, kept)
}

/// Gradients by the input (empty unless asked for), the weight and the bias.
fn rows_backward(
    x: &[f32],
    weight: &[f32],
    kept: &[[f32; 2]],
    g: &[f32],
    input: bool,
    centred: bool,
) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let width = weight.len();
    let rows = threads::piece(kept.len());
    let mut by_x = vec![0.0; if input { x.len() } else { 0 }];
    let (mut by_weight, mut by_bias) = (vec![0.0; width], vec![0.0; width]);
    let mut parts = by_x.chunks_mut(rows * width);
    let pieces = x.chunks(rows * width).zip(g.chunks(rows * width)).zip(kept.chunks(rows));
    let pieces = pieces.map(|piece| (piece, parts.next())).collect();
    type Piece<'a> = ((&'a [f32], &'a [f32]), &'a [[f32; 2]]);
    let work = |(((x, g), kept), by_x): (Piece<'_>, Option<&mut [f32]>)| {
        let (mut by_weight, mut by_bias) = (vec![0.0; width], vec![0.0; width]);
        let mut by_x = by_x.map(|by_x| by_x.chunks_exact_mut(width));
        // The normalised row, and its gradient.
        let (mut normal, mut slope) = (vec![0.0; width], vec![0.0; width]);
        vectorised(
            #[inline(always)]
            || {
                for ((x, g), [mean, inverse]) in x.chunks_exact(width).zip(g.chunks_exact(width)).zip(kept) {
                    for (n, x) in normal.iter_mut().zip(x) {
                        *n = (x - mean) * inverse;
                    }
                    for ((by_bias, by_weight), (g, n)) in
                        by_bias.iter_mut().zip(&mut by_weight).zip(g.iter().zip(&normal))
                    {
                        *by_bias += g;
                        *by_weight += g * n;
                    }
                    let Some(by_x) = by_x.as_mut().and_then(|by_x| by_x.next()) else { continue };
                    for (s, (g, w)) in slope.iter_mut().zip(g.iter().zip(weight)) {
                        *s = g * w;
                    }
                    let plain = if centred { threads::sum_of(&slope, &slope, |s, _| s) / width as f32 } else { 0.0 };
                    let along = threads::sum_of(&slope, &normal, |s, n| s * n) / width as f32;
                    for (d, (s, n)) in by_x.iter_mut().zip(slope.iter().zip(&normal)) {
                        *d = (s - plain - n * along) * inverse;
                    }
                }
            },
        );
        (by_weight, by_bias)
    };
    threads::each_into(pieces, work, |(weight, bias)| {
        threads::add(&mut by_weight, &weight);
        threads::add(&mut by_bias, &bias);
    });
    (by_x, by_weight, by_bias)
}

/// Batch normalisation of images (images, channels, height, width) by this batch's own statistics: each channel to mean 0
/// and variance 1 (biased; `eps` is added), then by its `weight` and `bias`. Also the means and biased variances, one a
/// channel, from which the caller keeps running ones. Panics as burn's own operations do where shapes do not fit together.
pub fn batch_norm(x: Tensor<4>, weight: Tensor<1>, bias: Tensor<1>, eps: f64) -> (Tensor<4>, Vec<f32>, Vec<f32>) {
    let graph = x.is_autodiff() || weight.is_autodiff() || bias.is_autodiff();
    let [n, channels, h, w] = x.dims();
    let fits = n * channels * h * w > 0 && weight.dims() == [channels] && bias.dims() == [channels];
    let inputs = (take(&x, graph), take(&weight, graph), take(&bias, graph));
    let (Some(input), Some(scale), Some(shift), true) = (inputs.0, inputs.1, inputs.2, fits) else {
        let rows = x.swap_dims(0, 1).reshape([channels, n * h * w]);
        let (value, mean, variance) = standardised(rows, 1, eps);
        let channel = |v: Tensor<1>| v.reshape([1, channels, 1, 1]);
        let value = value.reshape([channels, n, h, w]).swap_dims(0, 1);
        let numbers = |t: Tensor<2>| t.into_data().iter::<f32>().collect();
        return (value * channel(weight) + channel(bias), numbers(mean), numbers(variance));
    };
    let size = h * w;
    let count = (n * size) as f64;
    let (mut means, mut variances) = (Vec::new(), Vec::new());
    let y = run([input, scale, shift], |[x, weight, bias]| {
        let all = values(&x);
        means = channel_sums(all, all, channels, size, |_, x, _| x).iter().map(|s| (s / count) as f32).collect();
        let squares = |c: usize, x: f32, _| (x - means[c]) * (x - means[c]);
        variances = channel_sums(all, all, channels, size, squares).iter().map(|s| (s / count) as f32).collect();
        let inverse: Vec<f32> = variances.iter().map(|v| 1.0 / (v + eps as f32).sqrt()).collect();
        let rules: Vec<[f32; 3]> =
            (0..channels).map(|c| [means[c], values(&weight)[c] * inverse[c], values(&bias)[c]]).collect();
        let y = by_channel(all, all, &rules, size, |[mean, scale, shift], x, _| (x - mean) * scale + shift);
        let means = means.clone();
        let pull = move |g: &[f32], needed: [bool; 3]| {
            let all = values(&x);
            let plain = channel_sums(all, g, channels, size, |_, _, g| g);
            let along = channel_sums(all, g, channels, size, |c, x, g| (x - means[c]) * inverse[c] * g);
            let by_x = || {
                let rule = |c: usize| {
                    let scale = values(&weight)[c] * inverse[c];
                    let slope = scale * inverse[c] * (along[c] / count) as f32;
                    [means[c], scale, scale * (plain[c] / count) as f32, slope]
                };
                let rules: Vec<[f32; 4]> = (0..channels).map(rule).collect();
                let value =
                    |[mean, scale, shift, slope]: [f32; 4], x: f32, g: f32| g * scale - shift - (x - mean) * slope;
                by_channel(all, g, &rules, size, value)
            };
            let single = |sums: &[f64]| tensor(sums.iter().map(|s| *s as f32).collect(), [channels]);
            [
                needed[0].then(|| tensor(by_x(), [n, channels, h, w])),
                needed[1].then(|| single(&along)),
                needed[2].then(|| single(&plain)),
            ]
        };
        (tensor(y, [n, channels, h, w]), pull)
    });
    (y, means, variances)
}

/// For each channel the sum of `term` (channel, a, b) over all images.
fn channel_sums(
    a: &[f32],
    b: &[f32],
    channels: usize,
    size: usize,
    term: impl Fn(usize, f32, f32) -> f32 + Sync,
) -> Vec<f64> {
    let image = channels * size;
    let images = threads::piece(a.len() / image);
    let mut sums = vec![0.0; channels];
    let work = |(a, b): (&[f32], &[f32])| {
        let mut sums = vec![0.0; channels];
        vectorised(
            #[inline(always)]
            || {
                for (a, b) in a.chunks_exact(image).zip(b.chunks_exact(image)) {
                    let segments = a.chunks_exact(size).zip(b.chunks_exact(size));
                    for (c, (sum, (a, b))) in sums.iter_mut().zip(segments).enumerate() {
                        *sum += f64::from(threads::sum_of(a, b, |a, b| term(c, a, b)));
                    }
                }
            },
        );
        sums
    };
    let pieces = a.chunks(images * image).zip(b.chunks(images * image)).collect();
    threads::each_into(pieces, work, |part: Vec<f64>| sums.iter_mut().zip(part).for_each(|(s, p)| *s += p));
    sums
}

/// `value` of the channel's rule and each pair.
fn by_channel<R: Copy + Sync>(
    a: &[f32],
    b: &[f32],
    rules: &[R],
    size: usize,
    value: impl Fn(R, f32, f32) -> f32 + Sync,
) -> Vec<f32> {
    let image = rules.len() * size;
    let images = threads::piece(a.len() / image);
    let mut out = vec![0.0; a.len()];
    let pieces = out.chunks_mut(images * image).zip(a.chunks(images * image)).zip(b.chunks(images * image)).collect();
    threads::each(pieces, |((out, a), b): ((&mut [f32], &[f32]), &[f32])| {
        vectorised(
            #[inline(always)]
            || {
                let segments = out.chunks_exact_mut(size).zip(a.chunks_exact(size)).zip(b.chunks_exact(size));
                for (((out, a), b), rule) in segments.zip(rules.iter().cycle()) {
                    for (out, (a, b)) in out.iter_mut().zip(a.iter().zip(b)) {
                        *out = value(*rule, *a, *b);
                    }
                }
            },
        );
    });
    out
}

#[cfg(test)]
mod tests {
    use super::super::check::{differences, noise, numbers, same};
    use super::*;

    fn inputs(n: usize, channels: usize) -> [Vec<f32>; 3] {
        [noise(n, 1).into_iter().map(|v| 3.0 * v + 2.0).collect(), noise(channels, 2), noise(channels, 3)]
    }

    fn channel(v: &Tensor<1>, channels: usize) -> Tensor<4> {
        v.clone().reshape([1, channels, 1, 1])
    }

    #[test]
    fn groups_follow_the_composed_form() {
        for (n, channels, h, w, groups) in [(1, 2, 3, 3, 1), (5, 6, 7, 5, 3), (17, 4, 4, 4, 4), (2, 8, 1, 1, 2)] {
            let x = move |t: &Tensor<1>| t.clone().reshape([n, channels, h, w]);
            let ours = move |t: &[Tensor<1>]| {
                group_norm(x(&t[0]), groups, t[1].clone(), t[2].clone(), 1e-5).flatten::<1>(0, 3)
            };
            let burns = move |t: &[Tensor<1>]| {
                let rows = t[0].clone().reshape([n * groups, channels / groups * h * w]);
                let y = standardised(rows, 1, 1e-5).0.reshape([n, channels, h, w]);
                (y * channel(&t[1], channels) + channel(&t[2], channels)).flatten::<1>(0, 3)
            };
            let inputs = inputs(n * channels * h * w, channels);
            same("group norm", &inputs, ours, burns);
            differences("group norm", &inputs, ours);
        }
    }

    #[test]
    fn rows_follow_the_composed_form() {
        for (n, width) in [(1, 5), (13, 7), (64, 128)] {
            let ours = move |t: &[Tensor<1>]| {
                let x: Tensor<3> = t[0].clone().reshape([1, n, width]);
                layer_norm(x, t[1].clone(), t[2].clone(), 1e-5).flatten::<1>(0, 2)
            };
            let burns = move |t: &[Tensor<1>]| {
                let y = standardised(t[0].clone().reshape([n, width]), 1, 1e-5).0;
                (y * t[1].clone().unsqueeze() + t[2].clone().unsqueeze()).flatten::<1>(0, 1)
            };
            let inputs = inputs(n * width, width);
            same("layer norm", &inputs, ours, burns);
            differences("layer norm", &inputs, ours);
            let x = move |t: &[Tensor<1>]| t[0].clone().reshape([n, width]);
            let ours = move |t: &[Tensor<1>]| rms_norm(x(t), t[1].clone(), 1e-5).flatten::<1>(0, 1);
            let burns = move |t: &[Tensor<1>]| {
                let size = (x(t).square().mean_dim(1) + 1e-5).sqrt();
                (x(t) / size * t[1].clone().unsqueeze()).flatten::<1>(0, 1)
            };
            same("rms norm", &inputs[..2], ours, burns);
            differences("rms norm", &inputs[..2], ours);
        }
    }

    #[test]
    fn channels_over_a_batch_follow_the_composed_form_and_come_with_their_moments() {
        for (n, channels, h, w) in [(2, 1, 3, 1), (5, 3, 7, 5), (17, 4, 4, 4)] {
            let x = move |t: &Tensor<1>| t.clone().reshape([n, channels, h, w]);
            let ours =
                move |t: &[Tensor<1>]| batch_norm(x(&t[0]), t[1].clone(), t[2].clone(), 1e-5).0.flatten::<1>(0, 3);
            let moments = move |t: &Tensor<1>| {
                let rows = x(t).swap_dims(0, 1).reshape([channels, n * h * w]);
                standardised(rows, 1, 1e-5)
            };
            let burns = move |t: &[Tensor<1>]| {
                let y = moments(&t[0]).0.reshape([channels, n, h, w]).swap_dims(0, 1);
                (y * channel(&t[1], channels) + channel(&t[2], channels)).flatten::<1>(0, 3)
            };
            let inputs = inputs(n * channels * h * w, channels);
            same("batch norm", &inputs, ours, burns);
            differences("batch norm", &inputs, ours);
            let t = inputs.map(|v| super::super::check::flat(&v, &burn_tensor::Device::flex()));
            let (_, mean, variance) = batch_norm(x(&t[0]), t[1].clone(), t[2].clone(), 1e-5);
            let (_, want_mean, want_variance) = moments(&t[0]);
            let close =
                |a: Vec<f32>, b: Vec<f32>| a.iter().zip(&b).all(|(a, b)| (a - b).abs() <= 2e-6 * (1.0 + b.abs()));
            assert!(close(mean, numbers(want_mean)) && close(variance, numbers(want_variance)));
        }
    }
}
