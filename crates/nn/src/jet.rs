//! Derivatives by the inputs, carried forward through the layers.
//!
//! burn differentiates once. What a loss needs of a network's derivatives by its inputs (the Laplacian of an equation's
//! solution, say) is therefore computed beside its values, as ordinary tensors: then one backward pass gives the exact
//! gradient of that loss by the parameters, at a fraction of what differentiating twice costs.

use crate::ops;
use burn_tensor::{Tensor, TensorData};

/// Values (rows x n) of n functions of a row's inputs, with their first derivatives and their Laplacians.
#[derive(Debug, Clone)]
pub struct Jet {
    /// The values.
    pub value: Tensor<2>,
    /// For each input the derivatives by it, shaped as the values; one row if they are the same for all rows.
    pub slopes: Vec<Tensor<2>>,
    /// The sum of second derivatives by each input; `None` is zero.
    laplacian: Option<Tensor<2>>,
}

impl Jet {
    /// The inputs themselves.
    pub fn of_inputs(x: Tensor<2>) -> Self {
        let width = x.dims()[1];
        let slope = |i: usize| {
            let unit = (0..width).map(|j| f32::from(u8::from(i == j))).collect();
            Tensor::from_data(TensorData::new::<f32, _>(unit, [1, width]), &x.device())
        };
        Jet { slopes: (0..width).map(slope).collect(), laplacian: None, value: x }
    }

    /// `weight` (outputs x inputs) times the functions, plus `bias`. Costs as much as that for every input and two more.
    pub fn linear(self, weight: &Tensor<2>, bias: &Tensor<1>) -> Self {
        let turned = |x: Tensor<2>| ops::linear(x, weight.clone(), None);
        Jet {
            value: ops::linear(self.value, weight.clone(), Some(bias.clone())),
            slopes: self.slopes.into_iter().map(turned).collect(),
            laplacian: self.laplacian.map(turned),
        }
    }

    /// The hyperbolic tangent of the functions.
    pub fn tanh(self) -> Self {
        let value = ops::tanh(self.value.clone());
        let first = value.clone().square().neg() + 1.0;
        let second = value.clone() * first.clone() * -2.0;
        self.through(value, first, second)
    }

    /// A function f of every value v, given f(v), f'(v) and f''(v).
    pub fn through(self, value: Tensor<2>, first: Tensor<2>, second: Tensor<2>) -> Self {
        let squares = self.slopes.iter().map(|slope| slope.clone().square()).reduce(|sum, square| sum + square);
        let bent = squares.map(|squares| second * squares);
        let carried = self.laplacian.map(|laplacian| first.clone() * laplacian);
        let laplacian = bent.into_iter().chain(carried).reduce(|sum, part| sum + part);
        let slopes = self.slopes.into_iter().map(|slope| first.clone() * slope).collect();
        Jet { value, slopes, laplacian }
    }

    /// The Laplacians, shaped as the values.
    pub fn laplacian(&self) -> Tensor<2> {
        self.laplacian.clone().unwrap_or_else(|| self.value.zeros_like())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::{differences, distance, flat, noise, numbers};
    use burn_tensor::Device;

    /// u = Σ_k c_k tanh(a_k·x + b_k) has the gradient Σ c_k (1 − t²) a_k and the Laplacian −2 Σ c_k t (1 − t²) |a_k|².
    #[test]
    fn one_layer_has_the_derivatives_of_its_closed_form() {
        let (rows, inputs, units) = (9, 3, 5);
        let (x, a, b, c) = (noise(rows * inputs, 1), noise(units * inputs, 2), noise(units, 3), noise(units, 4));
        let device = Device::flex();
        let tensor = |v: &[f32], n: usize| flat(v, &device).reshape([v.len() / n, n]);
        let jet = Jet::of_inputs(tensor(&x, inputs)).linear(&tensor(&a, inputs), &flat(&b, &device)).tanh();
        let jet = jet.linear(&tensor(&c, units), &flat(&[0.5], &device));
        let (mut value, mut slopes, mut laplacian) = (vec![0.5; rows], vec![vec![0.0; rows]; inputs], vec![0.0; rows]);
        for row in 0..rows {
            for k in 0..units {
                let a = &a[k * inputs..][..inputs];
                let t = (a.iter().zip(&x[row * inputs..]).map(|(a, x)| a * x).sum::<f32>() + b[k]).tanh();
                value[row] += c[k] * t;
                (0..inputs).for_each(|i| slopes[i][row] += c[k] * (1.0 - t * t) * a[i]);
                laplacian[row] -= 2.0 * c[k] * t * (1.0 - t * t) * a.iter().map(|a| a * a).sum::<f32>();
            }
        }
        assert!(distance(&numbers(jet.value.clone()), &value) < 1e-6);
        assert!(distance(&numbers(jet.laplacian()), &laplacian) < 1e-5);
        for (found, slopes) in jet.slopes.into_iter().zip(slopes) {
            assert!(distance(&numbers(found), &slopes) < 1e-6);
        }
    }

    /// Two layers: the Laplacian is the divergence of the slopes, and its gradient by every weight a difference quotient.
    #[test]
    fn laplacians_are_sums_of_second_differences_and_can_be_differentiated() {
        let (rows, units) = (6, 7);
        let jet = move |t: &[Tensor<1>]| {
            let jet = Jet::of_inputs(t[0].clone().reshape([rows, 2]));
            let jet = jet.linear(&t[1].clone().reshape([units, 2]), &t[2]).tanh();
            let jet = jet.linear(&t[3].clone().reshape([units, units]), &t[4]).tanh();
            jet.linear(&t[5].clone().reshape([1, units]), &t[6])
        };
        let inputs = [(2 * rows, 1), (2 * units, 2), (units, 3), (units * units, 4), (units, 5), (units, 6), (1, 7)]
            .map(|(n, seed)| noise(n, seed));
        let slope_at = |step: f32, i: usize| {
            let mut inputs = inputs.clone();
            inputs[0].iter_mut().skip(i).step_by(2).for_each(|x| *x += step);
            let inputs: Vec<_> = inputs.iter().map(|v| flat(v, &Device::flex())).collect();
            numbers(jet(&inputs).slopes.swap_remove(i))
        };
        let quotients = [0, 1].map(|i| {
            let (up, down) = (slope_at(0.01, i), slope_at(-0.01, i));
            up.iter().zip(&down).map(|(u, d)| (u - d) / 0.02).collect::<Vec<f32>>()
        });
        let sums: Vec<f32> = quotients[0].iter().zip(&quotients[1]).map(|(a, b)| a + b).collect();
        let plain: Vec<_> = inputs.iter().map(|v| flat(v, &Device::flex())).collect();
        assert!(distance(&numbers(jet(&plain).laplacian()), &sums) < 2e-3);
        // With the value, on which alone the last bias has an effect.
        differences("laplacian", &inputs, |t| (jet(t).laplacian() + jet(t).value).flatten(0, 1));
    }

    #[test]
    fn inputs_are_flat() {
        let jet = Jet::of_inputs(flat(&[1.0, 2.0, 3.0, 4.0], &Device::flex()).reshape([2, 2]));
        assert_eq!(numbers(jet.laplacian()), [0.0; 4]);
        assert_eq!(numbers(jet.slopes[1].clone()), [0.0, 1.0]);
    }
}
