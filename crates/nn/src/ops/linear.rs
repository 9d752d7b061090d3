//! The dense linear layer.
//!
//! burn multiplies by the weight's transpose, so that its gradient comes out transposed and is turned back number by
//! number; in a wide layer that takes as long as the products. Here all three products are written where they belong.

use super::custom::{run, take, tensor, values};
use super::threads;
use burn_tensor::Tensor;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

/// x W^T + bias: `x` is (batch, inputs), `weight` (outputs, inputs), `bias` (outputs), the result (batch, outputs). Panics
/// as burn's own matrix product does where shapes do not fit together.
pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    let ([batch, cols], [rows, own_cols]) = (x.dims(), weight.dims());
    let bias = bias.unwrap_or_else(|| Tensor::zeros([rows], &x.device()));
    let graph = x.is_autodiff() || weight.is_autodiff() || bias.is_autodiff();
    let fits = cols == own_cols && bias.dims() == [rows] && batch * rows * cols > 0;
    let inputs = (take(&x, graph), take(&weight, graph), take(&bias, graph));
    let (Some(input), Some(kernel), Some(offset), true) = (inputs.0, inputs.1, inputs.2, fits) else {
        return x.matmul(weight.transpose()) + bias.unsqueeze();
    };
    run([input, kernel, offset], |[x, w, bias]| {
        let y = affine(values(&x), values(&w), values(&bias), cols);
        let pull = move |g: &[f32], needed: [bool; 3]| {
            [
                needed[0].then(|| tensor(by_input(g, values(&w), cols), [batch, cols])),
                needed[1].then(|| tensor(by_weight(g, values(&x), batch), [rows, cols])),
                needed[2].then(|| tensor(column_sums(g, rows), [rows])),
            ]
        };
        (tensor(y, [batch, rows]), pull)
    })
}

/// x W^T + bias for rows of `cols` values.
pub(super) fn affine(x: &[f32], w: &[f32], bias: &[f32], cols: usize) -> Vec<f32> {
    let batch = x.len() / cols.max(1);
    let mut y = bias.repeat(batch);
    let out = MatMut::from_row_major_slice_mut(&mut y, batch, bias.len());
    let (x, w) = (MatRef::from_row_major_slice(x, batch, cols), MatRef::from_row_major_slice(w, bias.len(), cols));
    matmul(out, Accum::Add, x, w.transpose(), 1.0, Par::Seq);
    y
}

/// g W: the gradient by the input.
pub(super) fn by_input(g: &[f32], w: &[f32], cols: usize) -> Vec<f32> {
    let rows = w.len() / cols.max(1);
    let batch = g.len() / rows.max(1);
    let mut product = vec![0.0; batch * cols];
    let out = MatMut::from_row_major_slice_mut(&mut product, batch, cols);
    let (g, w) = (MatRef::from_row_major_slice(g, batch, rows), MatRef::from_row_major_slice(w, rows, cols));
    matmul(out, Accum::Replace, g, w, 1.0, Par::Seq);
    product
}

/// g^T x: the gradient by the weight.
pub(super) fn by_weight(g: &[f32], x: &[f32], batch: usize) -> Vec<f32> {
    let (rows, cols) = (g.len() / batch, x.len() / batch);
    let mut product = vec![0.0; rows * cols];
    let out = MatMut::from_row_major_slice_mut(&mut product, rows, cols);
    let (g, x) = (MatRef::from_row_major_slice(g, batch, rows), MatRef::from_row_major_slice(x, batch, cols));
    matmul(out, Accum::Replace, g.transpose(), x, 1.0, Par::Seq);
    product
}

/// The sum of every column of rows of `width` values.
pub(super) fn column_sums(rows: &[f32], width: usize) -> Vec<f32> {
    let mut sums = vec![0.0; width];
    rows.chunks_exact(width.max(1)).for_each(|row| threads::add(&mut sums, row));
    sums
}

#[cfg(test)]
mod tests {
    use super::super::check::{differences, noise, same};
    use super::*;

    #[test]
    fn values_and_gradients_are_burns() {
        for (batch, rows, cols) in [(1, 1, 1), (3, 5, 7), (1, 40, 30), (70, 33, 129), (128, 300, 20)] {
            let inputs = [noise(batch * cols, 1), noise(rows * cols, 2), noise(rows, 3)];
            let x = move |t: &[Tensor<1>]| t[0].clone().reshape([batch, cols]);
            let w = move |t: &[Tensor<1>]| t[1].clone().reshape([rows, cols]);
            let ours = move |t: &[Tensor<1>]| linear(x(t), w(t), Some(t[2].clone())).flatten::<1>(0, 1);
            let burns =
                move |t: &[Tensor<1>]| (x(t).matmul(w(t).transpose()) + t[2].clone().unsqueeze()).flatten::<1>(0, 1);
            same("linear", &inputs, ours, burns);
            differences("linear", &inputs, ours);
            let ours = move |t: &[Tensor<1>]| linear(x(t), w(t), None).flatten::<1>(0, 1);
            let burns = move |t: &[Tensor<1>]| x(t).matmul(w(t).transpose()).flatten::<1>(0, 1);
            same("linear without bias", &inputs[..2], ours, burns);
        }
    }
}
