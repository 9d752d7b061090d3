//! Functions of every element: tanh, SiLU, GELU, the inverse tangent.
//!
//! burn calls the C library for each element and computes the function once more in the backward pass; that is most of a
//! small network's time. Here one loop over blocks runs a function of `scalar` in vectors.

use super::custom::{run, take, tensor, values};
use super::{scalar, threads};
use burn_tensor::{Tensor, activation};
use quadrat_numeric::vectorised;
use rayon::prelude::*;

/// Elements in a block: a buffer on the stack, well inside the first cache.
const BLOCK: usize = 1024;

/// `value` of every element, whose derivative is a function `slope` of the value itself; `None` where burn must do it
/// (another device or precision). Functions here should be without branches and always inlined.
fn by_value<const D: usize>(
    x: &Tensor<D>,
    value: impl Fn(f32) -> f32 + Sync,
    slope: impl Fn(f32) -> f32 + Send + Sync + 'static,
) -> Option<Tensor<D>> {
    let input = take(x, x.is_autodiff())?;
    let shape = x.shape();
    Some(run([input], |[x]| {
        let y = tensor(map(values(&x), value), shape.clone());
        let kept = y.clone();
        let pull = move |g: &[f32], _: [bool; 1]| {
            let by_input = map_pairs(
                values(&kept),
                g,
                #[inline(always)]
                |y, g| g * slope(y),
            );
            [Some(tensor(by_input, shape.clone()))]
        };
        (y, pull)
    }))
}

/// The first of `both` for every element; where a gradient may be asked for, the second, its derivative, is kept in the
/// place of the input: what both share is computed once. `None` as in [`by_value`].
fn with_derivative<const D: usize>(x: &Tensor<D>, both: impl Fn(f32) -> (f32, f32) + Sync) -> Option<Tensor<D>> {
    let input = take(x, x.is_autodiff())?;
    let (shape, tracked) = (x.shape(), x.is_autodiff());
    Some(run([input], |[x]| {
        let (y, slopes) = if tracked {
            map_both(values(&x), both)
        } else {
            let y = map(
                values(&x),
                #[inline(always)]
                |x| both(x).0,
            );
            (y, Vec::new())
        };
        let y = tensor(y, shape.clone());
        let pull = move |g: &[f32], _: [bool; 1]| {
            let by_input = map_pairs(
                &slopes,
                g,
                #[inline(always)]
                |slope, g| slope * g,
            );
            [Some(tensor(by_input, shape.clone()))]
        };
        (y, pull)
    }))
}

/// Both of `both` for every value.
fn map_both(x: &[f32], both: impl Fn(f32) -> (f32, f32) + Sync) -> (Vec<f32>, Vec<f32>) {
    let block = |x: &[f32], first: &mut [f32], second: &mut [f32]| {
        vectorised(
            #[inline(always)]
            || {
                for ((first, second), x) in first.iter_mut().zip(second).zip(x) {
                    (*first, *second) = both(*x);
                }
            },
        );
    };
    if threads::shared() && x.len() > 16 * BLOCK {
        let (mut first, mut second) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        let size = 16 * BLOCK;
        let outputs = first.par_chunks_mut(size).zip(second.par_chunks_mut(size));
        outputs.zip(x.par_chunks(size)).for_each(|((first, second), x)| block(x, first, second));
        return (first, second);
    }
    let (mut first, mut second) = (Vec::with_capacity(x.len()), Vec::with_capacity(x.len()));
    let mut buffers = [[0.0; BLOCK]; 2];
    for x in x.chunks(BLOCK) {
        let [one, two] = buffers.each_mut().map(|buffer| &mut buffer[..x.len()]);
        block(x, one, two);
        first.extend_from_slice(one);
        second.extend_from_slice(two);
    }
    (first, second)
}

/// `function` of every value.
fn map(x: &[f32], function: impl Fn(f32) -> f32 + Sync) -> Vec<f32> {
    // A slice beside itself: the optimiser sees one load.
    map_pairs(
        x,
        x,
        #[inline(always)]
        |x, _| function(x),
    )
}

/// `function` of every pair.
fn map_pairs(a: &[f32], b: &[f32], function: impl Fn(f32, f32) -> f32 + Sync) -> Vec<f32> {
    let block = |a: &[f32], b: &[f32], out: &mut [f32]| {
        vectorised(
            #[inline(always)]
            || {
                // Not `for_each`: that may become a function of its own, compiled without the wide vectors.
                for (out, (a, b)) in out.iter_mut().zip(a.iter().zip(b)) {
                    *out = function(*a, *b);
                }
            },
        );
    };
    if threads::shared() && a.len() > 16 * BLOCK {
        let mut out = vec![0.0; a.len()];
        let size = 16 * BLOCK;
        out.par_chunks_mut(size)
            .zip(a.par_chunks(size).zip(b.par_chunks(size)))
            .for_each(|(out, (a, b))| block(a, b, out));
        return out;
    }
    // Through a buffer, so that the output need not be cleared first.
    let mut out = Vec::with_capacity(a.len());
    let mut buffer = [0.0; BLOCK];
    for (a, b) in a.chunks(BLOCK).zip(b.chunks(BLOCK)) {
        let buffer = &mut buffer[..a.len()];
        block(a, b, buffer);
        out.extend_from_slice(buffer);
    }
    out
}

/// The hyperbolic tangent, within 3 units in the last place.
pub fn tanh<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    by_value(&x, scalar::tanh, |y| 1.0 - y * y).unwrap_or_else(|| activation::tanh(x))
}

/// x times the logistic function of x (SiLU, swish), to a relative error of 3e-7 in both tails.
pub fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    with_derivative(&x, scalar::silu).unwrap_or_else(|| activation::silu(x))
}

/// x times the normal distribution function of x: GELU in its exact form, to a relative error of 5e-7 in both tails.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    with_derivative(&x, scalar::gelu).unwrap_or_else(|| activation::gelu(x))
}

/// The inverse tangent, to a relative error of 2e-7.
pub fn atan<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    with_derivative(
        &x,
        #[inline(always)]
        |x| (scalar::atan(x), 1.0 / (1.0 + x * x)),
    )
    .unwrap_or_else(|| x.atan())
}

#[cfg(test)]
mod tests {
    use super::super::check::{differences, flat, noise, numbers, same};
    use super::*;
    use burn_tensor::{DType, Device};

    fn inputs() -> Vec<Vec<f32>> {
        let mut x: Vec<f32> = noise(40_000, 1).into_iter().map(|v| 5.0 * v).collect();
        x.extend([0.0, 1e-30, -1e-30, 20.0, -20.0, 1e4, -1e4]);
        vec![x]
    }

    #[test]
    fn values_and_gradients_are_burns() {
        same("tanh", &inputs(), |x| tanh(x[0].clone()), |x| activation::tanh(x[0].clone()));
        same("silu", &inputs(), |x| silu(x[0].clone()), |x| activation::silu(x[0].clone()));
        same("gelu", &inputs(), |x| gelu(x[0].clone()), |x| activation::gelu(x[0].clone()));
        same("atan", &inputs(), |x| atan(x[0].clone()), |x| x[0].clone().atan());
        let some = [noise(50, 3)];
        differences("gelu", &some, |x| gelu(x[0].clone()));
        differences("silu", &some, |x| silu(x[0].clone()));
        differences("tanh", &some, |x| tanh(x[0].clone()));
        differences("atan", &some, |x| atan(x[0].clone()));
    }

    #[test]
    fn other_precisions_are_burns_and_strided_tensors_are_read_in_order() {
        let x = flat(&noise(12, 2), &Device::flex());
        let double = x.clone().cast(DType::F64);
        assert_eq!(tanh(double.clone()).dtype(), DType::F64);
        assert_eq!(tanh(double.clone()).into_data(), activation::tanh(double).into_data());
        let square = x.reshape([3, 4]);
        assert_eq!(numbers(silu(square.clone().transpose())), numbers(silu(square).transpose()));
    }

    #[test]
    fn a_tensor_used_twice_gathers_both_gradients() {
        let twice = |x: &[Tensor<1>]| tanh(x[0].clone()) * tanh(x[0].clone());
        same("twice", &[noise(100, 5)], twice, |x| activation::tanh(x[0].clone()).square());
    }
}
