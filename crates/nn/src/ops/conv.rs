//! Convolution of images by matrix products.
//!
//! burn's backward pass by the weight is a convolution with a kernel as large as the image, several times slower than it
//! need be. Here an image's patches become the columns of a matrix, in a buffer used again for the next image, and all
//! three products are matrix products; the weight's gradient adds up inside the product, never one an image.

mod transposed;

pub use transposed::conv_transpose2d;

use super::custom::{run, take, tensor, values};
use super::pattern::{Pattern, Rows};
use super::sparse::dense;
use super::threads;
use burn_tensor::Tensor;
use burn_tensor::module;
use burn_tensor::ops::ConvOptions;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use quadrat_numeric::vectorised;
use std::sync::Arc;

/// Below this density [`sparse_conv2d`] is quicker than [`conv2d`]. Measured forward and backward, 64 images of 64 x 14 x 14
/// to 64 channels by 3 x 3, one thread with 256-bit vectors, in ms (`bench/nn_ops.py`): dense 48; sparse 22 at density 0.05,
/// 28 at 0.1, 36 at 0.15, 42 at 0.2, 56 at 0.3.
pub const SPARSE_CONV_BELOW: f64 = 0.2;

/// Numbers in the buffer of patches, but for images of which one row needs more: 256 KiB, half of a second cache.
const STRIP: usize = 64 * 1024;

/// How a kernel goes over an image, down and across.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Pixels from one place of the kernel to the next.
    pub stride: [usize; 2],
    /// Zeros at each side of the image.
    pub padding: [usize; 2],
    /// Pixels from one number of the kernel to the next.
    pub dilation: [usize; 2],
}

impl Window {
    /// The same down and across, with a kernel of neighbours.
    pub fn new(stride: usize, padding: usize) -> Self {
        Window { stride: [stride; 2], padding: [padding; 2], dilation: [1; 2] }
    }

    /// With a kernel of every `dilation`-th pixel, which keeps the image's size if it is 3 x 3.
    pub fn dilated(dilation: usize) -> Self {
        Window { stride: [1; 2], padding: [dilation; 2], dilation: [dilation; 2] }
    }
}

/// The sizes of one convolution.
#[derive(Debug, Clone, Copy)]
struct Shape {
    images: usize,
    /// Input channels and height and width.
    input: [usize; 3],
    /// The same of the output.
    output: [usize; 3],
    kernel: [usize; 2],
    window: Window,
    groups: usize,
}

impl Shape {
    /// `None` where the sizes do not fit together; burn's own operation then says so.
    fn new(
        [images, c, h, w]: [usize; 4],
        [out, depth, kh, kw]: [usize; 4],
        window: Window,
        groups: usize,
    ) -> Option<Self> {
        let Window { stride, padding, dilation } = window;
        let size = |n: usize, k: usize, axis: usize| -> Option<usize> {
            let reach = dilation[axis] * k.checked_sub(1)? + 1;
            Some((n + 2 * padding[axis]).checked_sub(reach)?.checked_div(stride[axis])? + 1)
        };
        let fits = groups > 0 && c == depth * groups && out.is_multiple_of(groups) && kh * kw * c * out * images > 0;
        let output = [out, size(h, kh, 0)?, size(w, kw, 1)?];
        let sizes = Shape { images, input: [c, h, w], output, kernel: [kh, kw], window, groups };
        (fits && !dilation.contains(&0)).then_some(sizes)
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
        self.kernel == [1, 1] && self.window.stride == [1, 1] && self.window.padding == [0, 0]
    }

    /// Height and width of an image with its padding.
    fn padded(&self) -> [usize; 2] {
        [0, 1].map(|axis| self.input[axis + 1] + 2 * self.window.padding[axis])
    }

    /// Calls `row` with the places in a group's part of an image and in the same with zeros around it, row by row.
    fn pad_rows(&self, mut row: impl FnMut(usize, usize)) {
        let ([channels, h, w], [ph, pw]) = (self.input, self.padded());
        for c in 0..channels / self.groups {
            (0..h).for_each(|y| {
                row((c * h + y) * w, (c * ph + y + self.window.padding[0]) * pw + self.window.padding[1])
            });
        }
    }

    /// Rows of the output to whose patches the buffer is limited at a time, so that it stays in the second cache.
    fn strip(&self) -> usize {
        if self.pointwise() {
            self.output[1]
        } else {
            (STRIP / (self.patch() * self.output[2])).clamp(1, self.output[1])
        }
    }

    /// The strips of the output, as rows from and to.
    fn strips(&self) -> impl Iterator<Item = (usize, usize)> {
        let (strip, rows) = (self.strip(), self.output[1]);
        (0..rows).step_by(strip).map(move |from| (from, (from + strip).min(rows)))
    }

    /// For each row of the matrix of patches, that is each channel of a group and place in the kernel: calls `line` with
    /// its place in the matrix and that of its first number in the padded image.
    #[inline(always)]
    fn lines(&self, strip: (usize, usize), mut line: impl FnMut(usize, usize)) {
        let ([ph, pw], [kh, kw], [dy, dx]) = (self.padded(), self.kernel, self.window.dilation);
        let mut place = 0;
        for c in 0..self.input[0] / self.groups {
            for ky in 0..kh {
                for kx in 0..kw {
                    line(place, (c * ph + strip.0 * self.window.stride[0] + ky * dy) * pw + kx * dx);
                    place += (strip.1 - strip.0) * self.output[2];
                }
            }
        }
    }

    /// The matrix of patches (patch x positions) of a strip of a group's part of a padded image.
    fn columns(&self, image: &[f32], strip: (usize, usize), columns: &mut [f32]) {
        let (rows, width, stride) = (strip.1 - strip.0, self.output[2], self.window.stride[0] * self.padded()[1]);
        vectorised(
            #[inline(always)]
            || {
                self.lines(
                    strip,
                    #[inline(always)]
                    |place, first| {
                        let (to, from) = (&mut columns[place..], &image[first..]);
                        if self.window.stride[1] == 1 {
                            return merge(to, width, from, stride, [rows, width], |_, v| v);
                        }
                        for y in 0..rows {
                            let seen = from[y * stride..].iter().step_by(self.window.stride[1]);
                            to[y * width..][..width].iter_mut().zip(seen).for_each(|(c, v)| *c = *v);
                        }
                    },
                );
            },
        );
    }

    /// Adds the matrix of gradients by patches to the gradient by the padded image.
    fn add_columns(&self, columns: &[f32], strip: (usize, usize), image: &mut [f32]) {
        let (rows, width, stride) = (strip.1 - strip.0, self.output[2], self.window.stride[0] * self.padded()[1]);
        vectorised(
            #[inline(always)]
            || {
                self.lines(
                    strip,
                    #[inline(always)]
                    |place, first| {
                        let (to, from) = (&mut image[first..], &columns[place..]);
                        if self.window.stride[1] == 1 {
                            return merge(to, stride, from, width, [rows, width], |v, c| v + c);
                        }
                        for y in 0..rows {
                            let seen = to[y * stride..].iter_mut().step_by(self.window.stride[1]);
                            seen.zip(&from[y * width..][..width]).for_each(|(v, c)| *v += c);
                        }
                    },
                );
            },
        );
    }

    /// A group's part of an image with zeros around it, in the buffer if there are any. The zeros are never overwritten.
    fn pad<'a>(&self, image: &'a [f32], padded: &'a mut [f32]) -> &'a [f32] {
        if self.window.padding == [0, 0] {
            return image;
        }
        let w = self.input[2];
        self.pad_rows(|from, to| padded[to..to + w].copy_from_slice(&image[from..from + w]));
        padded
    }

    /// The matrix of patches of a strip: the image itself, or made in the buffer.
    fn patches<'a>(&self, image: &'a [f32], strip: (usize, usize), columns: &'a mut [f32]) -> Rows<'a> {
        let width = (strip.1 - strip.0) * self.output[2];
        if self.pointwise() {
            return Rows { values: image, stride: width, width };
        }
        let columns = &mut columns[..self.patch() * width];
        self.columns(image, strip, columns);
        Rows { values: columns, stride: width, width }
    }

    /// One image's output, added to what `out` holds.
    fn forward(&self, image: &[f32], kernel: &Kernel, buffers: &mut Buffers, out: &mut [f32]) {
        let (k, p, depth) = (self.patch(), self.positions(), self.output[0] / self.groups);
        let groups = image.chunks_exact(image.len() / self.groups).zip(out.chunks_exact_mut(depth * p));
        for (group, (image, out)) in groups.enumerate() {
            let image = self.pad(image, &mut buffers.image);
            for strip in self.strips() {
                let patches = self.patches(image, strip, &mut buffers.columns);
                let first = strip.0 * self.output[2];
                match kernel {
                    Kernel::Dense(weight) => {
                        let out = MatMut::from_row_major_slice_mut(out, depth, p).subcols_mut(first, patches.width);
                        let weight = matrix(&weight[group * depth * k..][..depth * k], depth, k);
                        let patches = matrix(patches.values, k, patches.width);
                        matmul(out, Accum::Add, weight, patches, 1.0, Par::Seq);
                    }
                    Kernel::Sparse(pattern, values, _) => pattern.add_times(values, patches, &mut out[first..], p),
                }
            }
        }
    }

    /// One image's output, for threads that have fewer images than there are threads: they share its strips.
    fn forward_in_strips(&self, image: &[f32], weight: &[f32], bias: &[f32], out: &mut [f32]) {
        let (k, p, width, depth) = (self.patch(), self.positions(), self.output[2], self.output[0]);
        let mut buffers = Buffers { columns: Vec::new(), ..Buffers::new(self) };
        let padded = self.pad(image, &mut buffers.image);
        let rows = if self.pointwise() { threads::piece(self.output[1]) } else { self.strip() };
        let strips: Vec<_> = (0..self.output[1]).step_by(rows).map(|y| (y, (y + rows).min(self.output[1]))).collect();
        let work = |strip: (usize, usize)| {
            let (first, count) = (strip.0 * width, (strip.1 - strip.0) * width);
            let mut columns = vec![0.0; if self.pointwise() { 0 } else { k * count }];
            let patches = if self.pointwise() {
                matrix(padded, k, p).subcols(first, count)
            } else {
                self.columns(padded, strip, &mut columns);
                matrix(&columns, k, count)
            };
            let mut part: Vec<f32> = bias.iter().flat_map(|b| std::iter::repeat_n(*b, count)).collect();
            let sums = MatMut::from_row_major_slice_mut(&mut part, depth, count);
            matmul(sums, Accum::Add, matrix(weight, depth, k), patches, 1.0, Par::Seq);
            (first, count, part)
        };
        threads::each_into(strips, work, |(first, count, part)| {
            let rows = out.chunks_exact_mut(p).zip(part.chunks_exact(count));
            rows.for_each(|(out, part)| out[first..first + count].copy_from_slice(part));
        });
    }

    /// Adds one image's gradient by the kernel to `by_weight`.
    fn add_by_weight(
        &self,
        image: &[f32],
        kernel: &Kernel,
        gradient: &[f32],
        buffers: &mut Buffers,
        by_weight: &mut [f32],
    ) {
        let (k, p, depth) = (self.patch(), self.positions(), self.output[0] / self.groups);
        let groups = image.chunks_exact(image.len() / self.groups).zip(gradient.chunks_exact(depth * p));
        for ((image, gradient), by_weight) in
            groups.zip(by_weight.chunks_exact_mut((kernel.len() / self.groups).max(1)))
        {
            let image = self.pad(image, &mut buffers.image);
            for strip in self.strips() {
                let patches = self.patches(image, strip, &mut buffers.columns);
                let first = strip.0 * self.output[2];
                match kernel {
                    Kernel::Dense(_) => {
                        let gradient = matrix(gradient, depth, p).subcols(first, patches.width);
                        let sum = MatMut::from_row_major_slice_mut(by_weight, depth, k);
                        let patches = matrix(patches.values, k, patches.width);
                        matmul(sum, Accum::Add, gradient, patches.transpose(), 1.0, Par::Seq);
                    }
                    Kernel::Sparse(pattern, ..) => {
                        let gradient = Rows { values: &gradient[first..], stride: p, width: patches.width };
                        pattern.add_outer(gradient, patches, by_weight);
                    }
                }
            }
        }
    }

    /// Writes one image's gradient by the image, over zeros.
    fn by_image(&self, kernel: &Kernel, gradient: &[f32], buffers: &mut Buffers, by_image: &mut [f32]) {
        let (k, p, depth) = (self.patch(), self.positions(), self.output[0] / self.groups);
        let groups = by_image.chunks_exact_mut(self.image() / self.groups).zip(gradient.chunks_exact(depth * p));
        for (group, (by_image, gradient)) in groups.enumerate() {
            let bare = self.window.padding == [0, 0];
            if !bare {
                buffers.by_image.fill(0.0);
            }
            for strip in self.strips() {
                let (first, count) = (strip.0 * self.output[2], (strip.1 - strip.0) * self.output[2]);
                let into = if self.pointwise() { &mut *by_image } else { &mut buffers.columns[..k * count] };
                match kernel {
                    Kernel::Dense(weight) => {
                        let into = MatMut::from_row_major_slice_mut(into, k, count);
                        let weight = matrix(&weight[group * depth * k..][..depth * k], depth, k);
                        let gradient = matrix(gradient, depth, p).subcols(first, count);
                        matmul(into, Accum::Replace, weight.transpose(), gradient, 1.0, Par::Seq);
                    }
                    Kernel::Sparse(pattern, _, by_column) => {
                        into.fill(0.0);
                        let gradient = Rows { values: &gradient[first..], stride: p, width: count };
                        pattern.add_transpose_times(by_column, gradient, into, count);
                    }
                }
                if !self.pointwise() {
                    let into = if bare { &mut *by_image } else { &mut buffers.by_image[..] };
                    self.add_columns(&buffers.columns, strip, into);
                }
            }
            if !bare {
                let w = self.input[2];
                self.pad_rows(|to, from| by_image[to..to + w].copy_from_slice(&buffers.by_image[from..from + w]));
            }
        }
    }
}

/// What patches are multiplied with: outputs x patch.
enum Kernel<'a> {
    /// All of it, one group of outputs after the other.
    Dense(&'a [f32]),
    /// Values at a pattern, in the order of rows and of columns; there is one group.
    Sparse(&'a Pattern, &'a [f32], Vec<f32>),
}

impl<'a> Kernel<'a> {
    fn sparse(pattern: &'a Pattern, values: &'a [f32]) -> Self {
        Kernel::Sparse(pattern, values, pattern.by_column(values))
    }

    fn len(&self) -> usize {
        match self {
            Kernel::Dense(values) | Kernel::Sparse(_, values, _) => values.len(),
        }
    }
}

/// What is used again for every image.
struct Buffers {
    /// The matrix of patches of a strip.
    columns: Vec<f32>,
    /// A group's part of an image with zeros around it.
    image: Vec<f32>,
    /// The gradient by that.
    by_image: Vec<f32>,
}

impl Buffers {
    fn new(shape: &Shape) -> Self {
        let [ph, pw] = shape.padded();
        let columns = if shape.pointwise() { 0 } else { shape.patch() * shape.strip() * shape.output[2] };
        let image = if shape.window.padding == [0, 0] { 0 } else { shape.input[0] / shape.groups * ph * pw };
        Buffers { columns: vec![0.0; columns], image: vec![0.0; image], by_image: vec![0.0; image] }
    }
}

/// `value` of what is there and the number from the other side, for `rows` rows of `width` numbers that start every
/// `to_stride` and `from_stride`. Eight columns at a time from top to bottom: rows are too short for a call each to copy.
#[inline(always)]
fn merge(
    to: &mut [f32],
    to_stride: usize,
    from: &[f32],
    from_stride: usize,
    [rows, width]: [usize; 2],
    value: impl Fn(f32, f32) -> f32,
) {
    let mut at = 0;
    while at + 8 <= width {
        for row in 0..rows {
            let to = to[row * to_stride + at..].first_chunk_mut::<8>();
            if let (Some(to), Some(from)) = (to, from[row * from_stride + at..].first_chunk::<8>()) {
                *to = std::array::from_fn(|lane| value(to[lane], from[lane]));
            }
        }
        at += 8;
    }
    if at + 4 <= width {
        for row in 0..rows {
            let to = to[row * to_stride + at..].first_chunk_mut::<4>();
            if let (Some(to), Some(from)) = (to, from[row * from_stride + at..].first_chunk::<4>()) {
                *to = std::array::from_fn(|lane| value(to[lane], from[lane]));
            }
        }
        at += 4;
    }
    for row in 0..rows {
        for at in at..width {
            let to = &mut to[row * to_stride + at];
            *to = value(*to, from[row * from_stride + at]);
        }
    }
}

fn matrix(values: &[f32], rows: usize, columns: usize) -> MatRef<'_, f32> {
    MatRef::from_row_major_slice(values, rows, columns)
}

/// Convolution of images `x` (images, channels, height, width) with `weight` (outputs, channels / groups, height, width):
/// the output at a position is the sum over the patch there, each side padded by zeros, plus the output's bias.
///
/// Sums over images, in the gradients by weight and bias, are the same bits for any number of threads. Panics as burn's
/// own convolution does where shapes do not fit together.
pub fn conv2d(x: Tensor<4>, weight: Tensor<4>, bias: Option<Tensor<1>>, window: Window, groups: usize) -> Tensor<4> {
    let graph = x.is_autodiff() || weight.is_autodiff() || bias.as_ref().is_some_and(|b| b.is_autodiff());
    let shape = Shape::new(x.dims(), weight.dims(), window, groups)
        .filter(|shape| bias.as_ref().is_none_or(|b| b.dims() == [shape.output[0]]));
    let zeros = || Tensor::zeros([weight.dims()[0]], &x.device());
    let inputs = (take(&x, graph), take(&weight, graph), take(&bias.clone().unwrap_or_else(zeros), graph));
    let (Some(shape), (Some(input), Some(kernel), Some(offset))) = (shape, inputs) else {
        let options = ConvOptions::new(window.stride, window.padding, window.dilation, groups);
        return module::conv2d(x, weight, bias, options);
    };
    run([input, kernel, offset], |[x, weight, bias]| {
        let out = forward(&shape, values(&x), &Kernel::Dense(values(&weight)), values(&bias));
        let ([c, h, w], [kh, kw], [channels, oh, ow]) = (shape.input, shape.kernel, shape.output);
        let pull = move |g: &[f32], needed: [bool; 3]| {
            let found = backward(&shape, values(&x), &Kernel::Dense(values(&weight)), g, needed);
            let [by_image, by_weight, by_bias] = found;
            [
                by_image.map(|v| tensor(v, [shape.images, c, h, w])),
                by_weight.map(|v| tensor(v, [channels, c / shape.groups, kh, kw])),
                by_bias.map(|v| tensor(v, [channels])),
            ]
        };
        (tensor(out, [shape.images, channels, oh, ow]), pull)
    })
}

/// [`conv2d`] in one group with a kernel (outputs x channels x `kernel`) that is 0 but for the `values` at the `pattern`
/// (outputs x the rest): patches are made as there, but nothing dead is stored or multiplied, forward or backward. Panics
/// as burn's own convolution does where shapes do not fit together.
pub fn sparse_conv2d(
    x: Tensor<4>,
    values: Tensor<1>,
    pattern: &Arc<Pattern>,
    kernel: [usize; 2],
    bias: Option<Tensor<1>>,
    window: Window,
) -> Tensor<4> {
    let graph = x.is_autodiff() || values.is_autodiff() || bias.as_ref().is_some_and(|b| b.is_autodiff());
    let full = [pattern.rows(), pattern.cols() / (kernel[0] * kernel[1]).max(1), kernel[0], kernel[1]];
    let shape = Shape::new(x.dims(), full, window, 1)
        .filter(|shape| shape.patch() == pattern.cols() && values.dims() == [pattern.alive()])
        .filter(|shape| bias.as_ref().is_none_or(|b| b.dims() == [shape.output[0]]));
    let zeros = || Tensor::zeros([pattern.rows()], &x.device());
    let inputs = (take(&x, graph), take(&values, graph), take(&bias.clone().unwrap_or_else(zeros), graph));
    let (Some(shape), (Some(input), Some(alive), Some(offset))) = (shape, inputs) else {
        return conv2d(x, dense(values, pattern).reshape(full), bias, window, 1);
    };
    let pattern = Arc::clone(pattern);
    run([input, alive, offset], |[x, alive, bias]| {
        let kernel = Kernel::sparse(&pattern, self::values(&alive));
        let out = forward(&shape, self::values(&x), &kernel, self::values(&bias));
        let ([c, h, w], [channels, oh, ow]) = (shape.input, shape.output);
        let pull = move |g: &[f32], needed: [bool; 3]| {
            let kernel = Kernel::sparse(&pattern, self::values(&alive));
            let [by_image, by_values, by_bias] = backward(&shape, self::values(&x), &kernel, g, needed);
            [
                by_image.map(|v| tensor(v, [shape.images, c, h, w])),
                by_values.map(|v| tensor(v, [pattern.alive()])),
                by_bias.map(|v| tensor(v, [channels])),
            ]
        };
        (tensor(out, [shape.images, channels, oh, ow]), pull)
    })
}

fn forward(shape: &Shape, x: &[f32], kernel: &Kernel, bias: &[f32]) -> Vec<f32> {
    let p = shape.positions();
    let size = shape.output[0] * p;
    if !threads::shared() {
        let mut buffers = Buffers::new(shape);
        let mut out = Vec::with_capacity(shape.images * size);
        for image in x.chunks_exact(shape.image()) {
            let start = out.len();
            bias.iter().for_each(|b| out.resize(out.len() + p, *b));
            shape.forward(image, kernel, &mut buffers, &mut out[start..]);
        }
        return out;
    }
    let mut out = vec![0.0; shape.images * size];
    if let (Kernel::Dense(weight), true) = (kernel, shape.images < rayon::current_num_threads() && shape.groups == 1) {
        let images = x.chunks_exact(shape.image()).zip(out.chunks_exact_mut(size));
        images.for_each(|(image, out)| shape.forward_in_strips(image, weight, bias, out));
        return out;
    }
    let images = threads::piece(shape.images);
    let pieces = out.chunks_mut(images * size).zip(x.chunks(images * shape.image())).collect();
    threads::each(pieces, |(out, x): (&mut [f32], &[f32])| {
        let mut buffers = Buffers::new(shape);
        for (out, image) in out.chunks_exact_mut(size).zip(x.chunks_exact(shape.image())) {
            out.chunks_exact_mut(p).zip(bias).for_each(|(out, b)| out.fill(*b));
            shape.forward(image, kernel, &mut buffers, out);
        }
    });
    out
}

/// Gradients by images, kernel and bias, those that are needed.
fn backward(shape: &Shape, x: &[f32], kernel: &Kernel, g: &[f32], needed: [bool; 3]) -> [Option<Vec<f32>>; 3] {
    let p = shape.positions();
    let mut by_image = vec![0.0; if needed[0] { x.len() } else { 0 }];
    let (mut by_weight, mut by_bias) = (vec![0.0; kernel.len()], vec![0.0; shape.output[0]]);

    let images = threads::piece(shape.images);
    let mut parts = by_image.chunks_mut(images * shape.image());
    let pieces = x.chunks(images * shape.image()).zip(g.chunks(images * shape.output[0] * p));
    let pieces = pieces.map(|(x, g)| (x, g, parts.next())).collect();
    let work = |(x, g, mut by_image): (&[f32], &[f32], Option<&mut [f32]>)| {
        let mut buffers = Buffers::new(shape);
        let mut by_weight = vec![0.0; if needed[1] { kernel.len() } else { 0 }];
        let mut by_bias = vec![0.0; if needed[2] { shape.output[0] } else { 0 }];
        for (i, (image, g)) in x.chunks_exact(shape.image()).zip(g.chunks_exact(shape.output[0] * p)).enumerate() {
            let by_image = by_image.as_mut().map(|all| &mut all[i * shape.image()..][..shape.image()]);
            if needed[1] {
                shape.add_by_weight(image, kernel, g, &mut buffers, &mut by_weight);
            }
            if let Some(by_image) = by_image {
                shape.by_image(kernel, g, &mut buffers, by_image);
            }
            by_bias.iter_mut().zip(g.chunks_exact(p)).for_each(|(sum, g)| *sum += threads::sum(g));
        }
        (by_weight, by_bias)
    };
    let add = |(weight, bias): (Vec<f32>, Vec<f32>)| {
        threads::add(&mut by_weight, &weight);
        threads::add(&mut by_bias, &bias);
    };
    threads::each_into(pieces, work, add);
    [needed[0].then_some(by_image), needed[1].then_some(by_weight), needed[2].then_some(by_bias)]
}

#[cfg(test)]
mod tests {
    use super::super::check::{self, differences, noise, same};
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
        let dilated = [
            ([2, 3, 9, 8], [4, 3, 3], [1, 1], [2, 2], [2, 2], 1),
            ([3, 4, 11, 10], [6, 3, 3], [1, 1], [3, 3], [3, 3], 2),
            ([1, 2, 12, 9], [3, 3, 2], [2, 1], [0, 4], [3, 4], 1),
        ];
        let near =
            table.map(|(images, kernel, stride, padding, groups)| (images, kernel, stride, padding, [1, 1], groups));
        for ([n, c, h, w], [out, kh, kw], stride, padding, dilation, groups) in near.into_iter().chain(dilated) {
            let window = Window { stride, padding, dilation };
            let inputs = [noise(n * c * h * w, 1), noise(out * c / groups * kh * kw, 2), noise(out, 3)];
            let x = move |x: &Tensor<1>| x.clone().reshape([n, c, h, w]);
            let k = move |x: &Tensor<1>| x.clone().reshape([out, c / groups, kh, kw]);
            let ours = move |t: &[Tensor<1>]| {
                let y = conv2d(x(&t[0]), k(&t[1]), Some(t[2].clone()), window, groups);
                y.flatten(0, 3)
            };
            let options = move || ConvOptions::new(stride, padding, dilation, groups);
            let burns = move |t: &[Tensor<1>]| {
                let y: Tensor<4> = module::conv2d(x(&t[0]), k(&t[1]), Some(t[2].clone()), options());
                y.flatten(0, 3)
            };
            let name = format!("{n} {c} {h}x{w} to {out} by {kh}x{kw}, {window:?} {groups}");
            same(&name, &inputs, ours, burns);
            let bare = move |t: &[Tensor<1>]| conv2d(x(&t[0]), k(&t[1]), None, window, groups).flatten(0, 3);
            let burns = move |t: &[Tensor<1>]| module::conv2d(x(&t[0]), k(&t[1]), None, options()).flatten(0, 3);
            same(&name, &inputs[..2], bare, burns);
        }
    }

    #[test]
    fn a_sparse_kernel_gives_what_its_dense_form_gives() {
        // Images, channels, height, width; outputs, kernel; stride, padding; one weight in so many alive.
        let table = [
            ([1, 1, 1, 1], [1, 1, 1], [1, 1], [0, 0], 1),
            ([3, 5, 8, 9], [7, 3, 3], [1, 1], [1, 1], 6),
            ([9, 4, 9, 11], [6, 3, 3], [2, 2], [1, 1], 3),
            ([2, 6, 13, 12], [4, 1, 1], [1, 1], [0, 0], 2),
            ([2, 3, 20, 20], [9, 5, 5], [1, 1], [2, 2], 20),
            ([2, 2, 4, 4], [3, 3, 3], [1, 1], [1, 1], 1000),
        ];
        for ([n, c, h, w], [out, kh, kw], stride, padding, one_in) in table {
            let cols = c * kh * kw;
            let alive: Vec<usize> = (0..out * cols).filter(|i| i * 7919 % 10_007 % one_in == 0).collect();
            let pattern = Arc::new(Pattern::from_indices(&alive, out, cols).unwrap());
            let inputs = [noise(n * c * h * w, 1), noise(alive.len(), 2), noise(out, 3)];
            let x = move |t: &[Tensor<1>]| t[0].clone().reshape([n, c, h, w]);
            let same_pattern = Arc::clone(&pattern);
            let ours = move |t: &[Tensor<1>]| {
                let (values, bias) = (t[1].clone(), Some(t[2].clone()));
                let window = Window { stride, padding, dilation: [1, 1] };
                sparse_conv2d(x(t), values, &same_pattern, [kh, kw], bias, window).flatten(0, 3)
            };
            let burns = move |t: &[Tensor<1>]| {
                let kernel = dense(t[1].clone(), &pattern).reshape([out, c, kh, kw]);
                let options = ConvOptions::new(stride, padding, [1, 1], 1);
                let y: Tensor<4> = module::conv2d(x(t), kernel, Some(t[2].clone()), options);
                y.flatten(0, 3)
            };
            same(&format!("{n} {c} {h}x{w} to {out} by {kh}x{kw}, one in {one_in}"), &inputs, ours, burns);
        }
    }

    #[test]
    fn threads_that_share_one_image_change_no_bit() {
        for ([c, h, w], [out, k], window) in [
            ([300, 33, 20], [40, 1], Window::new(1, 0)),
            ([128, 40, 31], [24, 3], Window::dilated(2)),
            ([3, 70, 64], [16, 7], Window::new(2, 3)),
        ] {
            let made = |threads: usize| {
                check::pool(threads).install(|| {
                    let of = |n, seed| check::flat(&noise(n, seed), &Default::default());
                    let x = of(c * h * w, 1).reshape([1, c, h, w]);
                    let kernel = of(out * c * k * k, 2).reshape([out, c, k, k]);
                    check::numbers(conv2d(x, kernel, Some(of(out, 3)), window, 1))
                })
            };
            assert_eq!(made(1), made(2), "{c} {k}");
        }
    }

    #[test]
    fn gradients_are_finite_differences_and_untracked_inputs_get_none() {
        let shape = |t: &[Tensor<1>]| (t[0].clone().reshape([2, 2, 5, 4]), t[1].clone().reshape([3, 2, 3, 3]));
        let inputs = [noise(80, 1), noise(54, 2), noise(3, 3)];
        differences("conv", &inputs, |t| {
            let (x, k) = shape(t);
            let window = Window { stride: [2, 1], ..Window::new(1, 1) };
            conv2d(x, k, Some(t[2].clone()), window, 1).flatten(0, 3)
        });
        let frozen = |t: &[Tensor<1>]| {
            let (x, k) = shape(t);
            conv2d(x.inner(), k, Some(t[2].clone()), Window::new(1, 1), 1).flatten(0, 3)
        };
        let (_, by) = super::super::check::gradients(&inputs, &frozen);
        assert!(by[0].is_empty() && by[1].len() == 54 && by[2].len() == 3);
    }
}
