//! Linear layers of which most weights are dead, or most are frozen.

use super::custom::{plain, run, take, tensor, values};
use super::linear::{affine, by_input, column_sums};
use super::pattern::{Lanes, Pattern};
use super::threads;
use burn_tensor::{IndexingUpdateOp, Int, Tensor, TensorData};
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use std::sync::Arc;

/// Below this density [`sparse_linear`] is quicker than the dense [`linear`](super::linear()). Measured forward and
/// backward, 1024 inputs to 1024 outputs, batch 128, one thread with 256-bit vectors, in ms (`bench/nn_ops.py`): dense 18;
/// sparse 5.5 at density 0.05, 9.2 at 0.1, 18.8 at 0.2, 25.7 at 0.25, 32 at 0.3.
pub const SPARSE_BELOW: f64 = 0.2;

/// Above this density the weight's gradient at a pattern is cheaper by way of the dense gradient, a block of rows at a
/// time: that takes 4 to 5 ms for 1024 x 1024 weights and a batch of 128, the places alone 3 ms for each tenth alive.
const DENSE_GRADIENT: f64 = 0.1;

/// x W^T + bias for a weight W (outputs x inputs) that is 0 but for the `values` at the `pattern`: `x` is (batch, inputs),
/// the result (batch, outputs). Nothing dead is stored or computed, forward or backward. Panics as burn's own matrix
/// product does where shapes do not fit together.
pub fn sparse_linear(x: Tensor<2>, values: Tensor<1>, pattern: &Arc<Pattern>, bias: Option<Tensor<1>>) -> Tensor<2> {
    let bias = bias.unwrap_or_else(|| Tensor::zeros([pattern.rows()], &x.device()));
    let graph = x.is_autodiff() || values.is_autodiff() || bias.is_autodiff();
    let fits = x.dims()[1] == pattern.cols() && values.dims() == [pattern.alive()] && bias.dims() == [pattern.rows()];
    let inputs = (take(&x, graph), take(&values, graph), take(&bias, graph));
    let (Some(input), Some(weight), Some(offset), true) = (inputs.0, inputs.1, inputs.2, fits) else {
        return x.matmul(dense(values, pattern).transpose()) + bias.unsqueeze();
    };
    let (batch, pattern) = (x.dims()[0], Arc::clone(pattern));
    let (rows, cols) = (pattern.rows(), pattern.cols());
    run([input, weight, offset], |[x, weight, bias]| {
        let x = Lanes::from_rows(self::values(&x), batch, cols);
        let y = pattern.times(self::values(&weight), &x, self::values(&bias)).into_rows();
        let pull = move |g: &[f32], needed: [bool; 3]| {
            let lanes = (needed[0] || needed[1]).then(|| Lanes::from_rows(g, batch, rows));
            let lanes = lanes.as_ref();
            let by_x = |g| pattern.transpose_times(self::values(&weight), g).into_rows();
            [
                lanes.filter(|_| needed[0]).map(|g| tensor(by_x(g), [batch, cols])),
                lanes.filter(|_| needed[1]).map(|g| tensor(pattern.outer(g, &x), [pattern.alive()])),
                needed[2].then(|| tensor(column_sums(g, rows), [rows])),
            ]
        };
        (tensor(y, [batch, rows]), pull)
    })
}

/// x W^T + bias for a dense `weight` W (outputs x inputs) that is frozen but for the `values` at the `pattern`, which the
/// caller keeps equal to the weight's own there ([`Pattern::scatter`]). Only they get a gradient, and no dense gradient is
/// ever whole in memory. Panics as burn's own matrix product does where shapes do not fit together.
pub fn patterned_linear(
    x: Tensor<2>,
    weight: Tensor<2>,
    values: Tensor<1>,
    pattern: &Arc<Pattern>,
    bias: Option<Tensor<1>>,
) -> Tensor<2> {
    let bias = bias.unwrap_or_else(|| Tensor::zeros([pattern.rows()], &x.device()));
    let graph = x.is_autodiff() || values.is_autodiff() || bias.is_autodiff();
    let (rows, cols) = (pattern.rows(), pattern.cols());
    let fits = x.dims()[1] == cols
        && weight.dims() == [rows, cols]
        && values.dims() == [pattern.alive()]
        && bias.dims() == [rows];
    let frozen = weight.inner();
    let inputs = (take(&x, graph), take(&values, graph), take(&bias, graph), plain(&frozen), fits);
    let (Some(input), Some(alive), Some(offset), Some(weight), true) = inputs else {
        // A difference of 0 that carries the values' gradient.
        let moved = dense(values.clone() - values.detach(), pattern);
        return x.matmul((frozen + moved).transpose()) + bias.unsqueeze();
    };
    let (batch, pattern) = (x.dims()[0], Arc::clone(pattern));
    run([input, alive, offset], |[x, _, bias]| {
        let y = affine(self::values(&x), self::values(&weight), self::values(&bias), cols);
        let pull = move |g: &[f32], needed: [bool; 3]| {
            [
                needed[0].then(|| tensor(by_input(g, self::values(&weight), cols), [batch, cols])),
                needed[1].then(|| tensor(sampled(g, self::values(&x), batch, &pattern), [pattern.alive()])),
                needed[2].then(|| tensor(column_sums(g, rows), [rows])),
            ]
        };
        (tensor(y, [batch, rows]), pull)
    })
}

/// The gradient by the weight at the pattern's places alone.
fn sampled(g: &[f32], x: &[f32], batch: usize, pattern: &Pattern) -> Vec<f32> {
    let (rows, cols) = (pattern.rows(), pattern.cols());
    if pattern.density() <= DENSE_GRADIENT {
        return pattern.outer(&Lanes::from_rows(g, batch, rows), &Lanes::from_rows(x, batch, cols));
    }
    const ROWS: usize = 128;
    let (g, x) = (MatRef::from_row_major_slice(g, batch, rows), MatRef::from_row_major_slice(x, batch, cols));
    let mut sums = Vec::with_capacity(pattern.alive());
    let work = |first: usize| {
        let count = ROWS.min(rows - first);
        let mut block = vec![0.0; count * cols];
        let out = MatMut::from_row_major_slice_mut(&mut block, count, cols);
        matmul(out, Accum::Replace, g.subcols(first, count).transpose(), x, 1.0, Par::Seq);
        let ends = pattern.row_start()[first..=first + count].windows(2);
        let lines = block.chunks_exact(cols.max(1)).zip(ends);
        let at = |(line, ends)| {
            let (line, ends): (&[f32], &[usize]) = (line, ends);
            pattern.col_index()[ends[0]..ends[1]].iter().map(move |c| line[*c as usize])
        };
        lines.flat_map(at).collect::<Vec<f32>>()
    };
    threads::each_into((0..rows).step_by(ROWS).collect(), work, |part| sums.extend(part));
    sums
}

/// The dense matrix, by burn's own operations.
pub(super) fn dense(values: Tensor<1>, pattern: &Pattern) -> Tensor<2> {
    let device = values.device();
    let indices: Vec<i64> = pattern.indices().map(|i| i as i64).collect();
    let indices = Tensor::<1, Int>::from_data(TensorData::new(indices, [pattern.alive()]), &device);
    let zeros = Tensor::<1>::zeros([pattern.rows() * pattern.cols()], &device);
    zeros.scatter(0, indices, values, IndexingUpdateOp::Add).reshape([pattern.rows(), pattern.cols()])
}

#[cfg(test)]
mod tests {
    use super::super::check::{differences, noise, same};
    use super::*;

    fn pattern(rows: usize, cols: usize, one_in: usize) -> Arc<Pattern> {
        let mask: Vec<bool> = (0..rows * cols).map(|i| (i * 7919 + i / 13) % one_in == 0).collect();
        Arc::new(Pattern::from_mask(&mask, rows, cols).unwrap())
    }

    #[test]
    fn both_layers_are_the_dense_product_of_the_masked_weight() {
        for (batch, rows, cols, one_in) in
            [(1, 1, 1, 1), (3, 5, 7, 2), (8, 300, 20, 9), (70, 33, 129, 20), (128, 40, 50, 3), (5, 4, 6, 100)]
        {
            let pattern = &pattern(rows, cols, one_in);
            let inputs = [noise(batch * cols, 1), noise(pattern.alive(), 2), noise(rows, 3)];
            let x = move |t: &[Tensor<1>]| t[0].clone().reshape([batch, cols]);
            let masked = |t: &[Tensor<1>]| {
                let y = x(t).matmul(dense(t[1].clone(), pattern).transpose()) + t[2].clone().unsqueeze();
                y.flatten::<1>(0, 1)
            };
            let sparse =
                |t: &[Tensor<1>]| sparse_linear(x(t), t[1].clone(), pattern, Some(t[2].clone())).flatten::<1>(0, 1);
            same("sparse", &inputs, sparse, masked);

            let weight = noise(rows * cols, 4);
            let whole = |t: &[Tensor<1>]| {
                let mut weight = weight.clone();
                let values = super::super::check::numbers(t[1].clone());
                pattern.scatter(&values, &mut weight).unwrap();
                super::super::check::flat(&weight, &t[0].device()).inner().reshape([rows, cols])
            };
            let patterned = |t: &[Tensor<1>]| {
                let y = patterned_linear(x(t), whole(t), t[1].clone(), pattern, Some(t[2].clone()));
                y.flatten::<1>(0, 1)
            };
            let burns = |t: &[Tensor<1>]| {
                let moved = dense(t[1].clone() - t[1].clone().detach(), pattern);
                let weight: Tensor<2> = whole(t);
                let y = x(t).matmul((weight.autodiff() + moved).transpose()) + t[2].clone().unsqueeze();
                y.flatten::<1>(0, 1)
            };
            same("patterned", &inputs, patterned, burns);
            differences("sparse", &inputs, sparse);
        }
    }
}
