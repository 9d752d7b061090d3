//! Derivatives by the inputs, carried forward through the layers.
//!
//! burn differentiates once. What a loss needs of a network's derivatives by its inputs (the Laplacian of an equation's
//! solution, say) is therefore computed beside its values, as ordinary tensors: then one backward pass gives the exact
//! gradient of that loss by the parameters, at a fraction of what differentiating twice costs.
//!
//! Carried are first derivatives along some directions, and of the second order only what is asked for: sums of ∂ₐ∂ᵦ over
//! pairs of directions. The Laplacian is one such sum, a mixed derivative another.

use crate::forward::Activation;
use crate::ops::coupling::{Coupling, coupling};
use crate::ops::jets::{self, Streams};
use burn_tensor::{Tensor, TensorData};
use quadrat_core::{Error, Result};
use std::sync::Arc;

/// Values (rows x n) of n functions of a row's inputs, with derivatives by these.
///
/// Values and derivatives lie in one array, stream below stream, so that a layer is one product of matrices.
#[derive(Debug, Clone)]
pub struct Jet {
    /// Streams x rows, by functions.
    stack: Tensor<2>,
    streams: Streams,
}

impl Jet {
    /// The inputs themselves, with the derivatives by each and the Laplacian: the sum of second derivatives by each.
    pub fn of_inputs(x: Tensor<2>) -> Self {
        let width = x.dims()[1];
        Jet::start(x, &units(width), vec![(0..width).map(|i| (i, i)).collect()])
    }

    /// The inputs themselves, with the first derivatives by each and none of the second order.
    pub fn first_order(x: Tensor<2>) -> Self {
        let width = x.dims()[1];
        Jet::start(x, &units(width), Vec::new())
    }

    /// The inputs themselves, with their derivatives along `directions` (each as many numbers as there are inputs) and, for
    /// each of `sums`, the sum of second derivatives along pairs of directions: `[(0, 1)]` is ∂₀∂₁.
    ///
    /// # Errors
    /// A direction of another length, or a pair of one that is not there.
    ///
    /// ```
    /// use quadrat_nn::{Jet, tensor_of};
    /// // sin of x + 2y, and its mixed derivative −2 sin.
    /// let at = tensor_of(ndarray::array![[0.1f32, 0.2]].view(), false);
    /// let weight = tensor_of(ndarray::array![[1.0f32, 2.0]].view(), false);
    /// let jet = Jet::along(at, &[vec![1.0, 0.0], vec![0.0, 1.0]], vec![vec![(0, 1)]])?.linear(&weight, None).sin();
    /// let number = |t: quadrat_nn::Tensor<2>| t.into_scalar::<f32>();
    /// assert!((number(jet.second(0)) + 2.0 * number(jet.value())).abs() < 1e-6);
    /// # Ok::<(), quadrat_core::Error>(())
    /// ```
    pub fn along(x: Tensor<2>, directions: &[Vec<f32>], sums: Vec<Vec<(usize, usize)>>) -> Result<Self> {
        let width = x.dims()[1];
        if let Some(direction) = directions.iter().find(|direction| direction.len() != width) {
            let got = format!("one of {} numbers", direction.len());
            return Err(Error::input("directions", got, format!("{width}, one for each input")));
        }
        if let Some((a, b)) = sums.iter().flatten().find(|(a, b)| *a.max(b) >= directions.len()) {
            let want = format!("two of {} directions, counted from 0", directions.len());
            return Err(Error::input("second derivatives", format!("along {a} and {b}"), want));
        }
        Ok(Jet::start(x, directions, sums))
    }

    /// The inputs themselves, with their derivatives along one direction, which is another for each row (rows x inputs).
    pub fn towards(x: Tensor<2>, directions: Tensor<2>) -> Self {
        let streams = Streams { rows: x.dims()[0], slopes: 1, sums: Arc::default() };
        Jet { stack: Tensor::cat(vec![x, directions], 0), streams }
    }

    fn start(x: Tensor<2>, directions: &[Vec<f32>], sums: Vec<Vec<(usize, usize)>>) -> Self {
        let [rows, width] = x.dims();
        let below: Vec<f32> = directions.iter().flat_map(|direction| direction.repeat(rows)).collect();
        let device = x.device();
        let mut all = vec![x];
        if !directions.is_empty() {
            all.push(Tensor::from_data(TensorData::new(below, [rows * directions.len(), width]), &device));
        }
        if !sums.is_empty() {
            all.push(Tensor::zeros([rows * sums.len(), width], &device));
        }
        Jet { stack: Tensor::cat(all, 0), streams: Streams { rows, slopes: directions.len(), sums: Arc::new(sums) } }
    }

    /// How many streams there are: the values, each direction, each sum.
    pub fn streams(&self) -> usize {
        self.streams.count()
    }

    fn stream(&self, i: usize) -> Tensor<2> {
        let (n, width) = (self.streams.rows, self.stack.dims()[1]);
        self.stack.clone().slice([i * n..(i + 1) * n, 0..width])
    }

    /// The values.
    pub fn value(&self) -> Tensor<2> {
        self.stream(0)
    }

    /// The derivatives along the `i`-th direction, shaped as the values; zero along one that is not there.
    pub fn slope(&self, i: usize) -> Tensor<2> {
        if i < self.streams.slopes { self.stream(1 + i) } else { self.value().zeros_like() }
    }

    /// The second derivatives of the `i`-th sum, shaped as the values; zero for one that was not asked for.
    pub fn second(&self, i: usize) -> Tensor<2> {
        let asked = i < self.streams.sums.len();
        if asked { self.stream(1 + self.streams.slopes + i) } else { self.value().zeros_like() }
    }

    /// The Laplacians of [`Jet::of_inputs`], shaped as the values.
    pub fn laplacian(&self) -> Tensor<2> {
        self.second(0)
    }

    /// What `turn` makes of all streams at once (streams x rows, by functions): a linear function of a row's numbers, without a
    /// constant, such as a choice of columns, their sum, or a multiple.
    pub fn turned(self, turn: impl FnOnce(Tensor<2>) -> Tensor<2>) -> Self {
        Jet { stack: turn(self.stack), streams: self.streams }
    }

    /// The functions plus constants, one row for all or one for each: derivatives stay.
    pub fn shifted(self, by: Tensor<2>) -> Self {
        let (value, width) = (self.value(), self.stack.dims()[1]);
        Jet { stack: self.stack.slice_assign([0..self.streams.rows, 0..width], value + by), streams: self.streams }
    }

    /// The functions of both, side by side.
    pub fn beside(self, other: Jet) -> Self {
        Jet { stack: Tensor::cat(vec![self.stack, other.stack], 1), streams: self.streams }
    }

    /// The sums of both's functions.
    pub fn plus(self, other: Jet) -> Self {
        Jet { stack: self.stack + other.stack, streams: self.streams }
    }

    /// `weight` (outputs x inputs) times the functions, plus `bias`. Costs as much as that for the values, every direction and
    /// every sum.
    pub fn linear(self, weight: &Tensor<2>, bias: Option<&Tensor<1>>) -> Self {
        let stack = jets::linear(self.stack, &self.streams, weight.clone(), bias.cloned());
        Jet { stack, streams: self.streams }
    }

    /// A function f of every value v, given f(v), f'(v) and f''(v).
    pub fn through(self, value: Tensor<2>, first: Tensor<2>, second: Tensor<2>) -> Self {
        let slopes = (0..self.streams.slopes).map(|i| first.clone() * self.slope(i));
        let seconds = (0..self.streams.sums.len()).map(|i| {
            let carried = first.clone() * self.second(i);
            self.product(&self, i).map_or(carried.clone(), |squares| carried + second.clone() * squares)
        });
        let stack = std::iter::once(value).chain(slopes).chain(seconds).collect();
        Jet { stack: Tensor::cat(stack, 0), streams: self.streams }
    }

    /// The products of both functions' values; one of them may have a single column, for all of the other's.
    pub fn times(&self, other: &Jet) -> Self {
        let (a, b) = (self.value(), other.value());
        let slopes = (0..self.streams.slopes).map(|i| self.slope(i) * b.clone() + a.clone() * other.slope(i));
        let seconds = (0..self.streams.sums.len()).map(|i| {
            let carried = self.second(i) * b.clone() + a.clone() * other.second(i);
            let cross = self.product(other, i).into_iter().chain(other.product(self, i));
            cross.fold(carried, |sum, part| sum + part)
        });
        let stack = std::iter::once(a.clone() * b.clone()).chain(slopes).chain(seconds).collect();
        Jet { stack: Tensor::cat(stack, 0), streams: self.streams.clone() }
    }

    /// Σ aₐ bᵦ over the `i`-th sum's pairs; none if it has none.
    fn product(&self, other: &Jet, i: usize) -> Option<Tensor<2>> {
        self.streams.sums[i].iter().map(|(a, b)| self.slope(*a) * other.slope(*b)).reduce(|sum, part| sum + part)
    }

    /// An activation of the functions.
    ///
    /// # Errors
    /// One that is not smooth: it has no second derivative to carry. Another precision or device than jets are computed on.
    pub fn activate(self, activation: Activation) -> Result<Self> {
        if activation == Activation::Relu {
            let want = "a smooth one, such as Tanh: its second derivative is zero, and second derivatives are needed";
            return Err(Error::input("activation", "Relu", want));
        }
        let wrong = || Error::input("jets", "another precision or device", "single precision on the processor");
        let stack = jets::bend(self.stack, &self.streams, activation).ok_or_else(wrong)?;
        Ok(Jet { stack, streams: self.streams })
    }

    /// An affine coupling of the functions, which carry first derivatives alone: what it makes of them, and the logarithm of its
    /// determinant (one function), without that of its scales.
    ///
    /// # Errors
    /// Second derivatives, shapes that do not fit, another precision or device than jets are computed on.
    pub fn coupling(self, with: Coupling) -> Result<(Self, Self)> {
        let width = self.stack.dims()[1];
        let wrong = || {
            Error::input("coupling", "layers that do not fit the functions", "as Coupling says, on first derivatives")
        };
        let both = Jet { stack: coupling(self.stack, &self.streams, with).ok_or_else(wrong)?, streams: self.streams };
        let columns = |jet: Jet, from: usize, to: usize| {
            jet.turned(|x| {
                let rows = x.dims()[0];
                x.slice([0..rows, from..to])
            })
        };
        Ok((columns(both.clone(), 0, width), columns(both, width, width + 1)))
    }

    /// The sine of the functions (Sitzmann et al. 2020).
    pub fn sin(self) -> Self {
        let (sin, cos) = (self.value().sin(), self.value().cos());
        self.through(sin.clone(), cos, sin.neg())
    }

    /// The natural logarithm of the functions.
    pub fn ln(self) -> Self {
        if let Some(stack) = jets::ln(self.stack.clone(), &self.streams) {
            return Jet { stack, streams: self.streams };
        }
        let (value, first) = (self.value().log(), self.value().recip());
        let second = first.clone().square().neg();
        self.through(value, first, second)
    }

    /// Layer normalisation of the functions, then `scale` and `shift`; `epsilon` is added to the variance.
    pub fn layer_norm(self, scale: &Tensor<1>, shift: &Tensor<1>, epsilon: f32) -> Self {
        let centred = self.turned(|x| x.clone() - x.mean_dim(1));
        let variance = centred.times(&centred).turned(|x| x.mean_dim(1));
        let inverse = (variance.value() + epsilon).sqrt().recip();
        let (first, second) = (inverse.clone().powi_scalar(3) * -0.5, inverse.clone().powi_scalar(5) * 0.75);
        let normal = centred.times(&variance.through(inverse, first, second));
        normal.turned(|x| x * scale.clone().unsqueeze()).shifted(shift.clone().unsqueeze())
    }
}

/// The directions of the axes.
fn units(width: usize) -> Vec<Vec<f32>> {
    (0..width).map(|i| (0..width).map(|j| f32::from(u8::from(i == j))).collect()).collect()
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
        let jet = Jet::of_inputs(tensor(&x, inputs)).linear(&tensor(&a, inputs), Some(&flat(&b, &device)));
        let jet = jet.activate(Activation::Tanh).unwrap();
        let jet = jet.linear(&tensor(&c, units), Some(&flat(&[0.5], &device)));
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
        assert!(distance(&numbers(jet.value()), &value) < 1e-6);
        assert!(distance(&numbers(jet.laplacian()), &laplacian) < 1e-5);
        for (i, slopes) in slopes.iter().enumerate() {
            assert!(distance(&numbers(jet.slope(i)), slopes) < 1e-6);
        }
    }

    /// The functions, their first and second derivatives at a point, by formulas in double precision.
    #[test]
    fn smooth_functions_have_their_own_derivatives() {
        let logistic = |x: f64| 1.0 / (1.0 + (-x).exp());
        let density = |x: f64| (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
        for i in -8..=8 {
            let x = 0.37 * f64::from(i);
            let (t, s, d) = (x.tanh(), logistic(x), density(x));
            // Φ by Simpson's rule.
            let steps = 2000;
            let h = (x + 12.0) / f64::from(steps);
            let weight = |k: i32| if k == 0 || k == steps { 1.0 } else { 2.0 + 2.0 * f64::from(k % 2) };
            let below: f64 = (0..=steps).map(|k| weight(k) * density(-12.0 + h * f64::from(k))).sum::<f64>() * h / 3.0;
            let cases: [(Activation, [f64; 3]); 5] = [
                (Activation::Tanh, [t, 1.0 - t * t, -2.0 * t * (1.0 - t * t)]),
                (Activation::Sin, [x.sin(), x.cos(), -x.sin()]),
                (Activation::Softplus, [x.exp().ln_1p(), s, s * (1.0 - s)]),
                (Activation::Silu, [x * s, s + x * s * (1.0 - s), s * (1.0 - s) * (2.0 + x * (1.0 - 2.0 * s))]),
                (Activation::Gelu, [x * below, below + x * d, d * (2.0 - x * x)]),
            ];
            for (function, wanted) in cases {
                let jet =
                    Jet::of_inputs(flat(&[x as f32], &Device::flex()).reshape([1, 1])).activate(function).unwrap();
                let found = [jet.value(), jet.slope(0), jet.laplacian()].map(|t| f64::from(numbers(t)[0]));
                for (found, wanted) in found.iter().zip(wanted) {
                    assert!((found - wanted).abs() < 2e-6, "{function:?} at {x}: {found} for {wanted}");
                }
            }
        }
    }

    /// Two layers with a normalisation between them: second derivatives, mixed and along slanted directions, are difference
    /// quotients of slopes, and their gradients by every weight difference quotients of them.
    #[test]
    fn second_derivatives_are_differences_of_slopes_and_can_be_differentiated() {
        let (rows, units) = (6, 7);
        let directions = vec![vec![1.0, 0.0], vec![0.6, -0.8]];
        let sums = vec![vec![(0, 0)], vec![(0, 1)], vec![(0, 0), (1, 1)]];
        use Activation::{Gelu, Silu, Sin, Softplus, Tanh};
        for (kind, normal) in [(Tanh, false), (Tanh, true), (Silu, true), (Gelu, false), (Sin, false), (Softplus, true)]
        {
            let smooth = move |jet: Jet| jet.activate(kind).unwrap();
            let (along, pairs) = (directions.clone(), sums.clone());
            let jet = move |t: &[Tensor<1>]| {
                let jet = Jet::along(t[0].clone().reshape([rows, 2]), &along, pairs.clone()).unwrap();
                let jet = smooth(jet.linear(&t[1].clone().reshape([units, 2]), Some(&t[2])));
                let jet = if normal { jet.layer_norm(&t[7], &t[8], 0.1) } else { jet };
                let jet = smooth(jet.linear(&t[3].clone().reshape([units, units]), Some(&t[4])));
                jet.linear(&t[5].clone().reshape([1, units]), Some(&t[6]))
            };
            let mut sizes = vec![2 * rows, 2 * units, units, units * units, units, units, 1];
            sizes.extend(if normal { vec![units; 2] } else { Vec::new() });
            let inputs: Vec<Vec<f32>> = sizes.iter().enumerate().map(|(i, n)| noise(*n, i + 1)).collect();
            let tensors = |inputs: &[Vec<f32>]| inputs.iter().map(|v| flat(v, &Device::flex())).collect::<Vec<_>>();
            let slope_at = |step: f32, a: usize, b: usize| {
                let mut inputs = inputs.clone();
                for (i, x) in inputs[0].iter_mut().enumerate() {
                    *x += step * directions[a][i % 2];
                }
                numbers(jet(&tensors(&inputs)).slope(b))
            };
            let quotient = |a: usize, b: usize| {
                let (up, down) = (slope_at(0.01, a, b), slope_at(-0.01, a, b));
                up.iter().zip(&down).map(|(u, d)| (u - d) / 0.02).collect::<Vec<f32>>()
            };
            let found = jet(&tensors(&inputs));
            for (i, pairs) in sums.iter().enumerate() {
                let mut wanted = vec![0.0; rows];
                for (a, b) in pairs {
                    wanted.iter_mut().zip(quotient(*a, *b)).for_each(|(sum, q)| *sum += q);
                }
                assert!(distance(&numbers(found.second(i)), &wanted) < 3e-3, "sum {i}");
            }
            // With the value, on which alone the last bias has an effect.
            differences("second", &inputs, move |t| {
                let jet = jet(t);
                (jet.second(0) + jet.second(1) + jet.slope(1) + jet.value()).flatten(0, 1)
            });
        }
    }

    #[test]
    fn inputs_are_flat_and_what_is_not_there_is_refused() {
        let x = || flat(&[1.0, 2.0, 3.0, 4.0], &Device::flex()).reshape([2, 2]);
        let jet = Jet::of_inputs(x());
        assert_eq!(numbers(jet.laplacian()), [0.0; 4]);
        assert_eq!(numbers(jet.slope(1)), [0.0, 1.0, 0.0, 1.0]);
        let towards = Jet::towards(x(), flat(&[1.0, 0.0, 0.0, 2.0], &Device::flex()).reshape([2, 2]));
        assert_eq!((numbers(towards.slope(0)), towards.streams()), (vec![1.0, 0.0, 0.0, 2.0], 2));
        assert!(Jet::along(x(), &[vec![1.0]], Vec::new()).is_err());
        assert!(Jet::along(x(), &[vec![1.0, 0.0]], vec![vec![(0, 1)]]).is_err());
    }
}
