//! Transposed convolution: what a convolution does with its gradient, as a layer.

use super::{Buffers, Kernel, Shape, Window, backward, forward};
use crate::ops::custom::{run, take, tensor, values};
use crate::ops::threads;
use burn_tensor::Tensor;
use burn_tensor::module;
use burn_tensor::ops::ConvTransposeOptions;

/// The transpose of [`conv2d`](super::conv2d) by `weight` (inputs, outputs, height, width), plus the output's bias: each pixel of `x`
/// (images, inputs, height, width) adds the kernel times itself to the output, at every `stride`-th place.
///
/// A side of n pixels becomes (n - 1) stride - 2 padding + dilation (kernel - 1) + 1 + `more`, so that stride 2, padding 1 and one more
/// double it by a kernel of 3. Panics as burn's own does where shapes do not fit together.
pub fn conv_transpose2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    window: Window,
    more: usize,
) -> Tensor<4> {
    let graph = x.is_autodiff() || weight.is_autodiff() || bias.as_ref().is_some_and(|b| b.is_autodiff());
    let ([n, inputs, h, w], [_, outputs, kh, kw]) = (x.dims(), weight.dims());
    let side = |n: usize, k: usize, axis: usize| -> Option<usize> {
        let Window { stride, padding, dilation } = window;
        let whole = n.checked_sub(1)? * stride[axis] + dilation[axis] * k.checked_sub(1)? + 1 + more;
        whole.checked_sub(2 * padding[axis])
    };
    let sides = side(h, kh, 0).zip(side(w, kw, 1));
    let shape = sides
        .and_then(|(oh, ow)| Shape::new([n, outputs, oh, ow], weight.dims(), window, 1))
        .filter(|shape| shape.output == [inputs, h, w])
        .filter(|_| bias.as_ref().is_none_or(|b| b.dims() == [outputs]));
    let zeros = || Tensor::zeros([outputs], &x.device());
    let taken = (take(&x, graph), take(&weight, graph), take(&bias.clone().unwrap_or_else(zeros), graph));
    let (Some(shape), (Some(input), Some(kernel), Some(offset))) = (shape, taken) else {
        let Window { stride, padding, dilation } = window;
        return module::conv_transpose2d(
            x,
            weight,
            bias,
            ConvTransposeOptions::new(stride, padding, [more; 2], dilation, 1),
        );
    };
    run([input, kernel, offset], |[x, weight, bias]| {
        let out = spread(&shape, values(&x), values(&weight), values(&bias));
        let [outputs, oh, ow] = shape.input;
        let pull = move |g: &[f32], needed: [bool; 3]| {
            let kernel = Kernel::Dense(values(&weight));
            let by_x = needed[0].then(|| forward(&shape, g, &kernel, &vec![0.0; inputs]));
            let [_, by_weight, _] = backward(&shape, g, &kernel, values(&x), [false, needed[1], false]);
            let by_bias = needed[2].then(|| {
                let mut sums = vec![0.0; outputs];
                for image in g.chunks_exact(shape.image()) {
                    sums.iter_mut().zip(image.chunks_exact(oh * ow)).for_each(|(sum, g)| *sum += threads::sum(g));
                }
                sums
            });
            [
                by_x.map(|v| tensor(v, [n, inputs, h, w])),
                by_weight.map(|v| tensor(v, [inputs, outputs, kh, kw])),
                by_bias.map(|v| tensor(v, [outputs])),
            ]
        };
        (tensor(out, [n, outputs, oh, ow]), pull)
    })
}

/// Each pixel's kernel added up.
fn spread(shape: &Shape, x: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f32> {
    let (image, seen) = (shape.image(), shape.output[0] * shape.positions());
    let mut out = vec![0.0; shape.images * image];
    let images = threads::piece(shape.images);
    let pieces = out.chunks_mut(images * image).zip(x.chunks(images * seen)).collect();
    threads::each(pieces, |(out, x): (&mut [f32], &[f32])| {
        let (mut buffers, kernel) = (Buffers::new(shape), Kernel::Dense(weight));
        for (out, x) in out.chunks_exact_mut(image).zip(x.chunks_exact(seen)) {
            shape.by_image(&kernel, x, &mut buffers, out);
            let channels = out.chunks_exact_mut(image / bias.len()).zip(bias);
            channels.for_each(|(out, b)| out.iter_mut().for_each(|v| *v += b));
        }
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::{differences, noise, same};

    #[test]
    fn values_and_gradients_are_burns() {
        // Images, inputs, height, width; outputs, kernel; window; more.
        let table = [
            ([1, 1, 1, 1], [1, 1, 1], Window::new(1, 0), 0),
            ([2, 3, 5, 4], [4, 3, 3], Window::new(2, 1), 1),
            ([17, 2, 3, 6], [3, 3, 3], Window::new(1, 1), 0),
            ([2, 4, 4, 4], [2, 2, 2], Window::new(2, 0), 0),
            ([1, 2, 4, 5], [3, 3, 3], Window::dilated(2), 0),
            ([1, 2, 4, 5], [3, 3, 2], Window { stride: [3, 1], ..Window::new(1, 0) }, 0),
        ];
        for ([n, c, h, w], [out, kh, kw], window, more) in table {
            let inputs = [noise(n * c * h * w, 1), noise(c * out * kh * kw, 2), noise(out, 3)];
            let of = move |t: &[Tensor<1>]| {
                (t[0].clone().reshape([n, c, h, w]), t[1].clone().reshape([c, out, kh, kw]), Some(t[2].clone()))
            };
            let ours = move |t: &[Tensor<1>]| {
                let (x, k, b) = of(t);
                conv_transpose2d(x, k, b, window, more).flatten(0, 3)
            };
            let burns = move |t: &[Tensor<1>]| {
                let (x, k, b) = of(t);
                let Window { stride, padding, dilation } = window;
                let options = ConvTransposeOptions::new(stride, padding, [more; 2], dilation, 1);
                let y: Tensor<4> = module::conv_transpose2d(x, k, b, options);
                y.flatten(0, 3)
            };
            same(&format!("{n} {c} {h}x{w} to {out} by {kh}x{kw}, {window:?}"), &inputs, ours, burns);
        }
        let inputs = [noise(24, 1), noise(54, 2), noise(3, 3)];
        differences("transposed", &inputs, |t| {
            let (x, k) = (t[0].clone().reshape([2, 2, 3, 2]), t[1].clone().reshape([2, 3, 3, 3]));
            conv_transpose2d(x, k, Some(t[2].clone()), Window::new(2, 1), 1).flatten(0, 3)
        });
    }
}
