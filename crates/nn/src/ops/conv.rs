//! Convolution of images by matrix products.
//!
//! burn's backward pass by the weight is a convolution with a kernel as large as the image, several times slower than it
//! need be. Here an image's patches become the columns of a matrix, in a buffer used again for the next image, and all
//! three products are matrix products; the weight's gradient adds up inside the product, never one an image.

use super::custom::{run, take, tensor, values};
use super::threads;
use burn::tensor::Tensor;
use burn::tensor::module;
use burn::tensor::ops::ConvOptions;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use quadrat_numeric::vectorised;

/// The sizes of one convolution.
#[derive(Debug, Clone, Copy)]
struct Shape {
    images: usize,
    /// Input channels and height and width.
    input: [usize; 3],
    /// The same of the output.
    output: [usize; 3],
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    groups: usize,
}

impl Shape {
    /// `None` where the sizes do not fit together; burn's own operation then says so.
    fn new(
        [images, c, h, w]: [usize; 4],
        [out, depth, kh, kw]: [usize; 4],
        stride: [usize; 2],
        padding: [usize; 2],
        groups: usize,
    ) -> Option<Self> {
        let size = |n: usize, k: usize, axis: usize| -> Option<usize> {
            Some((n + 2 * padding[axis]).checked_sub(k)?.checked_div(stride[axis])? + 1)
        };
        let fits = groups > 0 && c == depth * groups && out.is_multiple_of(groups) && kh * kw * c * out * images > 0;
        let output = [out, size(h, kh, 0)?, size(w, kw, 1)?];
        fits.then_some(Shape { images, input: [c, h, w], output, kernel: [kh, kw], stride, padding, groups })
    }

    fn image(&self) -> usize {
        self.input.iter().product()
    }

    fn positions(&self) -> usize {
        self.output[1] * self.output[2]
    }

    /// Numbers in a patch: input channels of a group times the kernel.
    fn patch(&self) -> usize {
        self.input[0] / self.groups * self.kernel[0] * self.kernel[1]
    }

    /// Whether the image is already the matrix of its patches.
    fn pointwise(&self) -> bool {
        self.kernel == [1, 1] && self.stride == [1, 1] && self.padding == [0, 0]
    }

    /// Columns `from..to` of row `row` of the output whose input at kernel column `kx` exists, and the first's input.
    fn run(&self, kx: usize) -> (usize, usize, usize) {
        let (stride, padding) = (self.stride[1], self.padding[1]);
        let from = padding.saturating_sub(kx).div_ceil(stride).min(self.output[2]);
        let to = (self.input[2] + padding).saturating_sub(kx).div_ceil(stride).clamp(from, self.output[2]);
        (from, to, (from * stride + kx).saturating_sub(padding))
    }

    /// For each row of the matrix of patches, that is each channel of a group and place in the kernel, and each row of
    /// the output: calls `segment` with the place in the matrix, the columns `from..to` that see the image, and the place
    /// in the group's part of the image of the first of them.
    #[inline(always)]
    fn segments(&self, mut segment: impl FnMut(usize, usize, usize, usize)) {
        let [channels, h, w] = self.input;
        let [_, oh, ow] = self.output;
        let mut place = 0;
        for c in 0..channels / self.groups {
            for ky in 0..self.kernel[0] {
                for kx in 0..self.kernel[1] {
                    let (from, to, first) = self.run(kx);
                    for oy in 0..oh {
                        let y = (oy * self.stride[0] + ky).wrapping_sub(self.padding[0]);
                        if y < h {
                            segment(place, from, to, (c * h + y) * w + first);
                        } else {
                            segment(place, 0, 0, 0);
                        }
                        place += ow;
                    }
                }
            }
        }
    }

    /// The matrix of patches (patch x positions) of a group's part of an image.
    fn columns(&self, image: &[f32], columns: &mut [f32]) {
        let (ow, stride) = (self.output[2], self.stride[1]);
        vectorised(
            #[inline(always)]
            || {
                self.segments(|place, from, to, first| {
                    let row = &mut columns[place..place + ow];
                    row[..from].fill(0.0);
                    row[to..].fill(0.0);
                    if from < to && stride == 1 {
                        row[from..to].copy_from_slice(&image[first..first + to - from]);
                    } else {
                        let seen = image[first..].iter().step_by(stride);
                        row[from..to].iter_mut().zip(seen).for_each(|(c, v)| *c = *v);
                    }
                });
            },
        );
    }

    /// Adds the matrix of gradients by patches to the gradient by the image.
    fn add_columns(&self, columns: &[f32], image: &mut [f32]) {
        let (ow, stride) = (self.output[2], self.stride[1]);
        vectorised(
            #[inline(always)]
            || {
                self.segments(|place, from, to, first| {
                    let row = &columns[place..place + ow][from..to];
                    if stride == 1 {
                        image[first..first + row.len()].iter_mut().zip(row).for_each(|(v, c)| *v += c);
                    } else {
                        image[first..].iter_mut().step_by(stride).zip(row).for_each(|(v, c)| *v += c);
                    }
                });
            },
        );
    }

    /// One image's output, added to what `out` holds.
    fn forward(&self, image: &[f32], weight: &[f32], columns: &mut [f32], out: &mut [f32]) {
        let (k, p, depth) = (self.patch(), self.positions(), self.output[0] / self.groups);
        let groups = image.chunks_exact(image.len() / self.groups).zip(weight.chunks_exact(depth * k));
        for ((image, weight), out) in groups.zip(out.chunks_exact_mut(depth * p)) {
            let patches = if self.pointwise() {
                image
            } else {
                self.columns(image, columns);
                &*columns
            };
            let (weight, patches) = (matrix(weight, depth, k), matrix(patches, k, p));
            matmul(MatMut::from_row_major_slice_mut(out, depth, p), Accum::Add, weight, patches, 1.0, Par::Seq);
        }
    }

    /// Adds one image's gradient by the weight to `by_weight` and, where they are asked for, by the image to `by_image`.
    fn backward(
        &self,
        image: &[f32],
        weight: &[f32],
        gradient: &[f32],
        columns: &mut [f32],
        by_weight: Option<&mut [f32]>,
        by_image: Option<&mut [f32]>,
    ) {
        let (k, p, depth) = (self.patch(), self.positions(), self.output[0] / self.groups);
        let part = image.len() / self.groups;
        let gradients = || gradient.chunks_exact(depth * p).map(|gradient| matrix(gradient, depth, p));
        if let Some(by_weight) = by_weight {
            let groups = image.chunks_exact(part).zip(by_weight.chunks_exact_mut(depth * k));
            for ((image, by_weight), gradient) in groups.zip(gradients()) {
                let patches = if self.pointwise() {
                    image
                } else {
                    self.columns(image, columns);
                    &*columns
                };
                let sum = MatMut::from_row_major_slice_mut(by_weight, depth, k);
                matmul(sum, Accum::Add, gradient, matrix(patches, k, p).transpose(), 1.0, Par::Seq);
            }
        }
        if let Some(by_image) = by_image {
            let groups = by_image.chunks_exact_mut(part).zip(weight.chunks_exact(depth * k));
            for ((by_image, weight), gradient) in groups.zip(gradients()) {
                let into = if self.pointwise() { &mut *by_image } else { &mut *columns };
                let into = MatMut::from_row_major_slice_mut(into, k, p);
                matmul(into, Accum::Replace, matrix(weight, depth, k).transpose(), gradient, 1.0, Par::Seq);
                if !self.pointwise() {
                    self.add_columns(columns, by_image);
                }
            }
        }
    }

    /// A buffer for the matrix of patches.
    fn buffer(&self) -> Vec<f32> {
        vec![0.0; if self.pointwise() { 0 } else { self.patch() * self.positions() }]
    }
}

fn matrix(values: &[f32], rows: usize, columns: usize) -> MatRef<'_, f32> {
    MatRef::from_row_major_slice(values, rows, columns)
}

/// Convolution of images `x` (images, channels, height, width) with `weight` (outputs, channels / groups, height, width):
/// the output at a position is the sum over the patch there, each side padded by `padding` zeros, plus the output's bias.
///
/// Sums over images, in the gradients by weight and bias, are the same bits for any number of threads. Panics as burn's
/// own convolution does where shapes do not fit together.
pub fn conv2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    stride: [usize; 2],
    padding: [usize; 2],
    groups: usize,
) -> Tensor<4> {
    let graph = x.is_autodiff() || weight.is_autodiff() || bias.as_ref().is_some_and(|b| b.is_autodiff());
    let shape = Shape::new(x.dims(), weight.dims(), stride, padding, groups)
        .filter(|shape| bias.as_ref().is_none_or(|b| b.dims() == [shape.output[0]]));
    let zeros = || Tensor::zeros([weight.dims()[0]], &x.device());
    let inputs = (take(&x, graph), take(&weight, graph), take(&bias.clone().unwrap_or_else(zeros), graph));
    let (Some(shape), (Some(input), Some(kernel), Some(offset))) = (shape, inputs) else {
        return module::conv2d(x, weight, bias, ConvOptions::new(stride, padding, [1, 1], groups));
    };
    run([input, kernel, offset], |[x, weight, bias]| {
        let out = forward(&shape, values(&x), values(&weight), values(&bias));
        let [channels, oh, ow] = shape.output;
        let pull = move |g: &[f32], needed: [bool; 3]| backward(&shape, &x, &weight, g, needed);
        (tensor(out, [shape.images, channels, oh, ow]), pull)
    })
}

fn forward(shape: &Shape, x: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f32> {
    let p = shape.positions();
    let size = shape.output[0] * p;
    if !threads::shared() {
        let mut columns = shape.buffer();
        let mut out = Vec::with_capacity(shape.images * size);
        for image in x.chunks_exact(shape.image()) {
            let start = out.len();
            bias.iter().for_each(|b| out.resize(out.len() + p, *b));
            shape.forward(image, weight, &mut columns, &mut out[start..]);
        }
        return out;
    }
    let mut out = vec![0.0; shape.images * size];
    let images = threads::piece(shape.images);
    let pieces = out.chunks_mut(images * size).zip(x.chunks(images * shape.image())).collect();
    threads::each(pieces, |(out, x): (&mut [f32], &[f32])| {
        let mut columns = shape.buffer();
        for (out, image) in out.chunks_exact_mut(size).zip(x.chunks_exact(shape.image())) {
            out.chunks_exact_mut(p).zip(bias).for_each(|(out, b)| out.fill(*b));
            shape.forward(image, weight, &mut columns, out);
        }
    });
    out
}

fn backward(
    shape: &Shape,
    x: &burn_flex::FlexTensor,
    weight: &burn_flex::FlexTensor,
    g: &[f32],
    needed: [bool; 3],
) -> [Option<burn_flex::FlexTensor>; 3] {
    let [c, h, w] = shape.input;
    let p = shape.positions();
    let (x, weight) = (values(x), values(weight));
    let mut by_image = vec![0.0; if needed[0] { x.len() } else { 0 }];
    let (mut by_weight, mut by_bias) = (vec![0.0; weight.len()], vec![0.0; shape.output[0]]);

    let images = threads::piece(shape.images);
    let mut parts = by_image.chunks_mut(images * shape.image());
    let pieces = x.chunks(images * shape.image()).zip(g.chunks(images * shape.output[0] * p));
    let pieces = pieces.map(|(x, g)| (x, g, parts.next())).collect();
    let work = |(x, g, mut by_image): (&[f32], &[f32], Option<&mut [f32]>)| {
        let mut columns = shape.buffer();
        let mut by_weight = vec![0.0; if needed[1] { weight.len() } else { 0 }];
        let mut by_bias = vec![0.0; if needed[2] { shape.output[0] } else { 0 }];
        for (i, (image, g)) in x.chunks_exact(shape.image()).zip(g.chunks_exact(shape.output[0] * p)).enumerate() {
            let by_image = by_image.as_mut().map(|all| &mut all[i * shape.image()..][..shape.image()]);
            let by_weight = needed[1].then_some(&mut by_weight[..]);
            shape.backward(image, weight, g, &mut columns, by_weight, by_image);
            by_bias.iter_mut().zip(g.chunks_exact(p)).for_each(|(sum, g)| *sum += threads::sum(g));
        }
        (by_weight, by_bias)
    };
    let add = |(weight, bias): (Vec<f32>, Vec<f32>)| {
        threads::add(&mut by_weight, &weight);
        threads::add(&mut by_bias, &bias);
    };
    threads::each_into(pieces, work, add);
    [
        needed[0].then(|| tensor(by_image, [shape.images, c, h, w])),
        needed[1].then(|| {
            let [kh, kw] = shape.kernel;
            tensor(by_weight, [shape.output[0], c / shape.groups, kh, kw])
        }),
        needed[2].then(|| tensor(by_bias, [shape.output[0]])),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::check::{differences, noise, same};
    use super::*;

    #[test]
    fn values_and_gradients_are_burns_for_every_kind_of_shape() {
        // Images, channels, height, width; outputs, kernel; stride, padding; groups.
        let table = [
            ([1, 1, 1, 1], [1, 1, 1], [1, 1], [0, 0], 1),
            ([2, 3, 8, 8], [4, 1, 1], [1, 1], [0, 0], 1),
            ([2, 4, 8, 6], [6, 1, 1], [1, 1], [0, 0], 2),
            ([3, 2, 7, 5], [3, 1, 1], [2, 2], [0, 0], 1),
            ([17, 3, 9, 11], [5, 3, 3], [1, 1], [1, 1], 1),
            ([9, 4, 9, 11], [6, 3, 3], [2, 2], [1, 1], 2),
            ([2, 2, 13, 12], [4, 5, 5], [1, 1], [2, 2], 1),
            ([2, 2, 13, 12], [4, 5, 5], [2, 1], [0, 2], 2),
            ([1, 3, 5, 5], [2, 3, 3], [1, 1], [0, 0], 1),
            ([2, 3, 4, 3], [2, 3, 1], [1, 2], [3, 2], 1),
            ([1, 2, 3, 3], [2, 5, 5], [1, 1], [3, 3], 1),
            ([1, 2, 2, 2], [2, 1, 5], [1, 1], [0, 4], 1),
            ([3, 4, 6, 6], [4, 3, 3], [1, 1], [1, 1], 4),
        ];
        for ([n, c, h, w], [out, kh, kw], stride, padding, groups) in table {
            let inputs = [noise(n * c * h * w, 1), noise(out * c / groups * kh * kw, 2), noise(out, 3)];
            let x = move |x: &Tensor<1>| x.clone().reshape([n, c, h, w]);
            let k = move |x: &Tensor<1>| x.clone().reshape([out, c / groups, kh, kw]);
            let ours = move |t: &[Tensor<1>]| {
                let y = conv2d(x(&t[0]), k(&t[1]), Some(t[2].clone()), stride, padding, groups);
                y.flatten(0, 3)
            };
            let options = move || ConvOptions::new(stride, padding, [1, 1], groups);
            let burns = move |t: &[Tensor<1>]| {
                let y: Tensor<4> = module::conv2d(x(&t[0]), k(&t[1]), Some(t[2].clone()), options());
                y.flatten(0, 3)
            };
            let name = format!("{n} {c} {h}x{w} to {out} by {kh}x{kw}, {stride:?} {padding:?} {groups}");
            same(&name, &inputs, ours, burns);
            let bare = move |t: &[Tensor<1>]| conv2d(x(&t[0]), k(&t[1]), None, stride, padding, groups).flatten(0, 3);
            let burns = move |t: &[Tensor<1>]| module::conv2d(x(&t[0]), k(&t[1]), None, options()).flatten(0, 3);
            same(&name, &inputs[..2], bare, burns);
        }
    }

    #[test]
    fn gradients_are_finite_differences_and_untracked_inputs_get_none() {
        let shape = |t: &[Tensor<1>]| (t[0].clone().reshape([2, 2, 5, 4]), t[1].clone().reshape([3, 2, 3, 3]));
        let inputs = [noise(80, 1), noise(54, 2), noise(3, 3)];
        differences("conv", &inputs, |t| {
            let (x, k) = shape(t);
            conv2d(x, k, Some(t[2].clone()), [2, 1], [1, 1], 1).flatten(0, 3)
        });
        let frozen = |t: &[Tensor<1>]| {
            let (x, k) = shape(t);
            conv2d(x.inner(), k, Some(t[2].clone()), [1, 1], [1, 1], 1).flatten(0, 3)
        };
        let (_, by) = super::super::check::gradients(&inputs, &frozen);
        assert!(by[0].is_empty() && by[1].len() == 54 && by[2].len() == 3);
    }
}
