//! Derivatives by the inputs, carried forward through the layers.
//!
//! burn differentiates once. What a loss needs of a network's derivatives by its inputs (the Laplacian of an equation's
//! solution, say) is therefore computed beside its values, as ordinary tensors: then one backward pass gives the exact
//! gradient of that loss by the parameters, at a fraction of what differentiating twice costs.
//!
//! Carried are first derivatives along some directions, and of the second order only what is asked for: sums of ∂ₐ∂ᵦ over
//! pairs of directions. The Laplacian is one such sum, a mixed derivative another.

use crate::forward::Activation;
use crate::ops;
use burn_tensor::{Tensor, TensorData, activation};
use quadrat_core::{Error, Result};
use std::sync::Arc;

/// Values (rows x n) of n functions of a row's inputs, with derivatives by these.
#[derive(Debug, Clone)]
pub struct Jet {
    /// The values.
    pub value: Tensor<2>,
    /// The derivatives along each direction, shaped as the values; one row if they are the same for all rows.
    pub slopes: Vec<Tensor<2>>,
    /// The second derivatives asked for; `None` is zero.
    seconds: Vec<Option<Tensor<2>>>,
    /// The pairs of directions that each of them is the sum over.
    sums: Arc<Vec<Vec<(usize, usize)>>>,
}

impl Jet {
    /// The inputs themselves, with the derivatives by each and the Laplacian: the sum of second derivatives by each.
    pub fn of_inputs(x: Tensor<2>) -> Self {
        let width = x.dims()[1];
        let unit = |i: usize| (0..width).map(|j| f32::from(u8::from(i == j))).collect();
        let directions: Vec<Vec<f32>> = (0..width).map(unit).collect();
        Jet::start(x, &directions, vec![(0..width).map(|i| (i, i)).collect()])
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
    /// assert!((number(jet.second(0)) + 2.0 * number(jet.value)).abs() < 1e-6);
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

    fn start(x: Tensor<2>, directions: &[Vec<f32>], sums: Vec<Vec<(usize, usize)>>) -> Self {
        let slope = |direction: &Vec<f32>| {
            Tensor::from_data(TensorData::new(direction.clone(), [1, direction.len()]), &x.device())
        };
        let slopes = directions.iter().map(slope).collect();
        Jet { slopes, seconds: vec![None; sums.len()], sums: Arc::new(sums), value: x }
    }

    /// The second derivatives of the `i`-th sum, shaped as the values; zero for one that was not asked for.
    pub fn second(&self, i: usize) -> Tensor<2> {
        self.seconds.get(i).cloned().flatten().unwrap_or_else(|| self.value.zeros_like())
    }

    /// The Laplacians of [`Jet::of_inputs`], shaped as the values.
    pub fn laplacian(&self) -> Tensor<2> {
        self.second(0)
    }

    /// A linear function of all values; `shifted` is what becomes of the values themselves.
    fn map(self, shifted: impl FnOnce(Tensor<2>) -> Tensor<2>, turned: impl Fn(Tensor<2>) -> Tensor<2>) -> Self {
        Jet {
            value: shifted(self.value),
            slopes: self.slopes.into_iter().map(&turned).collect(),
            seconds: self.seconds.into_iter().map(|second| second.map(&turned)).collect(),
            sums: self.sums,
        }
    }

    /// `weight` (outputs x inputs) times the functions, plus `bias`. Costs as much as that for the values, every direction and
    /// every sum.
    pub fn linear(self, weight: &Tensor<2>, bias: Option<&Tensor<1>>) -> Self {
        let turned = |x: Tensor<2>| ops::linear(x, weight.clone(), None);
        self.map(|x| ops::linear(x, weight.clone(), bias.cloned()), turned)
    }

    /// A function f of every value v, given f(v), f'(v) and f''(v).
    pub fn through(self, value: Tensor<2>, first: Tensor<2>, second: Tensor<2>) -> Self {
        let bent = self.products(&self, |squares| second.clone() * squares);
        let carried = self.seconds.into_iter().map(|q| q.map(|q| first.clone() * q));
        let seconds = bent.into_iter().zip(carried).map(|(a, b)| plus(a, b)).collect();
        let slopes = self.slopes.into_iter().map(|slope| first.clone() * slope).collect();
        Jet { value, slopes, seconds, sums: self.sums }
    }

    /// The products of both functions' values; one of them may have a single column, for all of the other's.
    pub fn times(&self, other: &Jet) -> Self {
        let cross = [self.products(other, |sum| sum), other.products(self, |sum| sum)];
        let [ab, ba] = cross;
        let scaled = |q: &Option<Tensor<2>>, by: &Tensor<2>| q.clone().map(|q| q * by.clone());
        let pairs = self.seconds.iter().zip(&other.seconds);
        let carried = pairs.map(|(a, b)| plus(scaled(a, &other.value), scaled(b, &self.value)));
        let seconds = carried.zip(ab.into_iter().zip(ba)).map(|(q, (ab, ba))| plus(q, plus(ab, ba))).collect();
        let slopes = self.slopes.iter().zip(&other.slopes);
        Jet {
            value: self.value.clone() * other.value.clone(),
            slopes: slopes.map(|(a, b)| a.clone() * other.value.clone() + self.value.clone() * b.clone()).collect(),
            seconds,
            sums: self.sums.clone(),
        }
    }

    /// Σ aₐ bᵦ over each sum's pairs, and what `then` makes of it.
    fn products(&self, other: &Jet, then: impl Fn(Tensor<2>) -> Tensor<2>) -> Vec<Option<Tensor<2>>> {
        let product = |(a, b): &(usize, usize)| self.slopes[*a].clone() * other.slopes[*b].clone();
        self.sums.iter().map(|pairs| pairs.iter().map(product).reduce(|sum, part| sum + part).map(&then)).collect()
    }

    /// An activation of the functions.
    ///
    /// # Errors
    /// One that is not smooth: it has no second derivative to carry.
    pub fn activate(self, activation: Activation) -> Result<Self> {
        Ok(match activation {
            Activation::Tanh => self.tanh(),
            Activation::Sin => self.sin(),
            Activation::Softplus => self.softplus(),
            Activation::Silu => self.silu(),
            Activation::Gelu => self.gelu(),
            Activation::Relu => {
                return Err(Error::input(
                    "activation",
                    "Relu",
                    "a smooth one, such as Tanh: second derivatives are needed",
                ));
            }
        })
    }

    /// The hyperbolic tangent of the functions.
    pub fn tanh(self) -> Self {
        let value = ops::tanh(self.value.clone());
        let first = value.clone().square().neg() + 1.0;
        let second = value.clone() * first.clone() * -2.0;
        self.through(value, first, second)
    }

    /// The sine of the functions (Sitzmann et al. 2020).
    pub fn sin(self) -> Self {
        let (sin, cos) = (self.value.clone().sin(), self.value.clone().cos());
        self.through(sin.clone(), cos, sin.neg())
    }

    /// ln(1 + eˣ) of the functions.
    pub fn softplus(self) -> Self {
        let value = activation::softplus(self.value.clone(), 1.0);
        let first = activation::sigmoid(self.value.clone());
        let second = first.clone() * (first.clone().neg() + 1.0);
        self.through(value, first, second)
    }

    /// x σ(x) of the functions.
    pub fn silu(self) -> Self {
        let x = self.value.clone();
        let s = activation::sigmoid(x.clone());
        let bend = s.clone() * (s.clone().neg() + 1.0);
        let first = s.clone() + x.clone() * bend.clone();
        let second = bend * (x * (s * -2.0 + 1.0) + 2.0);
        let value = ops::silu(self.value.clone());
        self.through(value, first, second)
    }

    /// x Φ(x) of the functions.
    pub fn gelu(self) -> Self {
        let x = self.value.clone();
        let density = (x.clone().square() * -0.5).exp()
            * (0.5 * std::f32::consts::FRAC_2_SQRT_PI * std::f32::consts::FRAC_1_SQRT_2);
        let below = ((x.clone() * std::f32::consts::FRAC_1_SQRT_2).erf() + 1.0) * 0.5;
        let first = below + x.clone() * density.clone();
        let second = density * (x.clone().square().neg() + 2.0);
        self.through(ops::gelu(x), first, second)
    }

    /// Layer normalisation of the functions, then `scale` and `shift`; `epsilon` is added to the variance.
    pub fn layer_norm(self, scale: &Tensor<1>, shift: &Tensor<1>, epsilon: f32) -> Self {
        let off = |x: Tensor<2>| x.clone() - x.mean_dim(1);
        let centred = self.map(off, off);
        let mean = |x: Tensor<2>| x.mean_dim(1);
        let variance = centred.times(&centred).map(|x| x.mean_dim(1) + epsilon, mean);
        let inverse = variance.value.clone().sqrt().recip();
        let (first, second) = (inverse.clone().powi_scalar(3) * -0.5, inverse.clone().powi_scalar(5) * 0.75);
        let normal = centred.times(&variance.through(inverse, first, second));
        let scaled = |x: Tensor<2>| x * scale.clone().unsqueeze();
        normal.map(|x| scaled(x) + shift.clone().unsqueeze(), scaled)
    }
}

/// The sum of what is not zero.
fn plus(a: Option<Tensor<2>>, b: Option<Tensor<2>>) -> Option<Tensor<2>> {
    a.into_iter().chain(b).reduce(|sum, part| sum + part)
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
        let jet = Jet::of_inputs(tensor(&x, inputs)).linear(&tensor(&a, inputs), Some(&flat(&b, &device))).tanh();
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
        assert!(distance(&numbers(jet.value.clone()), &value) < 1e-6);
        assert!(distance(&numbers(jet.laplacian()), &laplacian) < 1e-5);
        for (found, slopes) in jet.slopes.into_iter().zip(slopes) {
            assert!(distance(&numbers(found), &slopes) < 1e-6);
        }
    }

    /// The functions, their first and second derivatives at a point, by formulas in double precision.
    #[test]
    fn smooth_functions_have_their_own_derivatives() {
        type Smooth = fn(Jet) -> Jet;
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
            let cases: [(&str, Smooth, [f64; 3]); 5] = [
                ("tanh", Jet::tanh, [t, 1.0 - t * t, -2.0 * t * (1.0 - t * t)]),
                ("sin", Jet::sin, [x.sin(), x.cos(), -x.sin()]),
                ("softplus", Jet::softplus, [x.exp().ln_1p(), s, s * (1.0 - s)]),
                ("silu", Jet::silu, [x * s, s + x * s * (1.0 - s), s * (1.0 - s) * (2.0 + x * (1.0 - 2.0 * s))]),
                ("gelu", Jet::gelu, [x * below, below + x * d, d * (2.0 - x * x)]),
            ];
            for (name, function, wanted) in cases {
                let jet = function(Jet::of_inputs(flat(&[x as f32], &Device::flex()).reshape([1, 1])));
                let found =
                    [jet.value.clone(), jet.slopes[0].clone(), jet.laplacian()].map(|t| f64::from(numbers(t)[0]));
                for (found, wanted) in found.iter().zip(wanted) {
                    assert!((found - wanted).abs() < 2e-6, "{name} at {x}: {found} for {wanted}");
                }
            }
        }
    }

    /// Two layers with a normalisation between them: second derivatives, mixed and along slanted directions, are difference
    /// quotients of slopes, and their gradients by every weight difference quotients of them.
    #[test]
    fn second_derivatives_are_differences_of_slopes_and_can_be_differentiated() {
        type Smooth = fn(Jet) -> Jet;
        let (rows, units) = (6, 7);
        let directions = vec![vec![1.0, 0.0], vec![0.6, -0.8]];
        let sums = vec![vec![(0, 0)], vec![(0, 1)], vec![(0, 0), (1, 1)]];
        for (smooth, normal) in [(Jet::tanh as Smooth, false), (Jet::tanh, true), (Jet::silu, true), (Jet::gelu, false)]
        {
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
                numbers(jet(&tensors(&inputs)).slopes.swap_remove(b))
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
                (jet.second(0) + jet.second(1) + jet.value).flatten(0, 1)
            });
        }
    }

    #[test]
    fn inputs_are_flat_and_what_is_not_there_is_refused() {
        let x = || flat(&[1.0, 2.0, 3.0, 4.0], &Device::flex()).reshape([2, 2]);
        let jet = Jet::of_inputs(x());
        assert_eq!(numbers(jet.laplacian()), [0.0; 4]);
        assert_eq!(numbers(jet.slopes[1].clone()), [0.0, 1.0]);
        assert!(Jet::along(x(), &[vec![1.0]], Vec::new()).is_err());
        assert!(Jet::along(x(), &[vec![1.0, 0.0]], vec![vec![(0, 1)]]).is_err());
    }
}
