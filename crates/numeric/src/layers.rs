//! Dense layers: forward, backward and Adam, for the small networks of methods whose derivatives are written by hand.
//!
//! A batch is one row a sample. [`Layers::forward`] keeps what [`Layers::backward`] needs; a loss is whatever the caller
//! differentiates by the outputs, so one network serves regression, bounds on likelihoods and scores alike. One thread:
//! callers run independent networks, or batches in a fixed order, side by side.

use crate::elementary::tanh;
use crate::vectorised;
use ndarray::linalg::general_mat_mul;
use ndarray::{Array, Array1, Array2, ArrayView2, Axis, Dimension, NdFloat, Zip};
use quadrat_core::Rng;

/// Numbers that layers compute with: `f32` where speed is the point, `f64` where digits are.
pub trait Real: NdFloat {
    /// The nearest number of this kind.
    fn from_f64(value: f64) -> Self;
    /// The hyperbolic tangent of every value.
    fn tanh_all(values: &mut [Self]);
}

impl Real for f64 {
    fn from_f64(value: f64) -> Self {
        value
    }

    fn tanh_all(values: &mut [Self]) {
        values.iter_mut().for_each(|v| *v = v.tanh());
    }
}

impl Real for f32 {
    fn from_f64(value: f64) -> Self {
        value as f32
    }

    fn tanh_all(values: &mut [Self]) {
        vectorised(
            #[inline(always)]
            || values.iter_mut().for_each(|v| *v = tanh(*v)),
        );
    }
}

/// What hidden units do with their sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// max(v, 0).
    Relu,
    /// v where above 0, else v / 10.
    LeakyRelu,
    /// tanh v.
    Tanh,
}

impl Activation {
    fn apply<F: Real>(self, values: &mut Array2<F>) {
        let leak = F::from_f64(0.1);
        match self {
            Activation::Relu => values.mapv_inplace(|v| v.max(F::zero())),
            Activation::LeakyRelu => values.mapv_inplace(|v| v.max(leak * v)),
            Activation::Tanh => match values.as_slice_mut() {
                Some(values) => F::tanh_all(values),
                None => values.mapv_inplace(|v| v.tanh()),
            },
        }
    }

    /// Multiplies `delta` by the derivative, which the unit's own `value` gives.
    fn pull_back<F: Real>(self, delta: &mut Array2<F>, value: &Array2<F>) {
        let (zero, one, leak) = (F::zero(), F::one(), F::from_f64(0.1));
        match self {
            Activation::Relu => delta.zip_mut_with(value, |d, v| *d = if *v > zero { *d } else { zero }),
            Activation::LeakyRelu => delta.zip_mut_with(value, |d, v| *d = if *v > zero { *d } else { leak * *d }),
            Activation::Tanh => delta.zip_mut_with(value, |d, v| *d *= one - *v * *v),
        }
    }

    /// The same for a loss that reads the unit's `value` and its `tangent` phi'(v) dv: derivatives by the two become
    /// derivatives by the unit's sum v and by dv. For tanh phi'' = -2 phi phi'; the others have none.
    fn pull_back_tangent<F: Real>(
        self,
        by_value: &mut Array2<F>,
        by_tangent: &mut Array2<F>,
        value: &Array2<F>,
        tangent: &Array2<F>,
    ) {
        if self != Activation::Tanh {
            self.pull_back(by_value, value);
            self.pull_back(by_tangent, value);
            return;
        }
        let two = F::one() + F::one();
        let rule = |d: &mut F, e: &mut F, h: &F, t: &F| {
            let slope = F::one() - *h * *h;
            *d = slope * *d - two * *h * *t * *e;
            *e *= slope;
        };
        Zip::from(by_value).and(by_tangent).and(value).and(tangent).for_each(rule);
    }
}

/// How weights start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Normal of variance 2 / inputs (He et al. 2015), so that rectified units keep the variance of what they read;
    /// biases 0.
    He,
    /// Weights and biases uniform within 1 / root of the layer's inputs, the habit of the common frameworks.
    Uniform,
}

/// Weights (inputs x outputs) and biases of each layer, the last one linear. Derivatives and Adam's moments have the same
/// shapes.
#[derive(Debug, Clone, PartialEq)]
pub struct Layers<F> {
    /// Each layer's weights and biases.
    pub layers: Vec<(Array2<F>, Array1<F>)>,
    /// Of all layers but the last.
    pub activation: Activation,
}

impl<F: Real> Layers<F> {
    /// Random layers between the `sizes`, which begin with the inputs and end with the outputs.
    pub fn random(sizes: &[usize], activation: Activation, start: Start, rng: &mut Rng) -> Self {
        let layer = |pair: &[usize]| {
            let shape = (pair[0], pair[1]);
            let inputs = pair[0].max(1) as f64;
            match start {
                Start::He => {
                    let mut draw = || F::from_f64((2.0 / inputs).sqrt() * rng.normal());
                    (Array2::from_shape_simple_fn(shape, &mut draw), Array1::zeros(pair[1]))
                }
                Start::Uniform => {
                    let mut draw = || F::from_f64((2.0 * rng.uniform() - 1.0) / inputs.sqrt());
                    (Array2::from_shape_simple_fn(shape, &mut draw), Array1::from_shape_simple_fn(pair[1], &mut draw))
                }
            }
        };
        Layers { layers: sizes.windows(2).map(layer).collect(), activation }
    }

    /// The same shapes, all zeros.
    pub fn zeros(&self) -> Self {
        let zeros = |(w, b): &(Array2<F>, Array1<F>)| (Array2::zeros(w.raw_dim()), Array1::zeros(b.raw_dim()));
        Layers { layers: self.layers.iter().map(zeros).collect(), activation: self.activation }
    }

    /// The outputs of each row.
    pub fn outputs(&self, x: ArrayView2<F>) -> Array2<F> {
        let mut value: Option<Array2<F>> = None;
        for at in 0..self.layers.len() {
            value = Some(self.layer(at, value.as_ref().map_or(x, |value| value.view())));
        }
        value.unwrap_or_else(|| x.to_owned())
    }

    /// What each layer is given, and at last the outputs.
    pub fn forward(&self, x: Array2<F>) -> Vec<Array2<F>> {
        let (mut values, outputs) = self.forward_apart(x);
        values.push(outputs);
        values
    }

    /// What each layer is given, and the outputs apart from that.
    pub fn forward_apart(&self, x: Array2<F>) -> (Vec<Array2<F>>, Array2<F>) {
        let (mut given, mut value) = (Vec::with_capacity(self.layers.len()), x);
        for at in 0..self.layers.len() {
            let next = self.layer(at, value.view());
            given.push(std::mem::replace(&mut value, next));
        }
        (given, value)
    }

    /// The outputs of rows of zeros and a few ones, and what each layer but the first is given: `hot` (rows x ones) says
    /// where the ones are, below the number of inputs. The first layer is then a sum of `hot`'s columns many rows of
    /// weights, not a product with all of them.
    pub fn forward_hot(&self, hot: ArrayView2<u16>) -> (Vec<Array2<F>>, Array2<F>) {
        let Some((weights, bias)) = self.layers.first() else { return (Vec::new(), Array2::zeros((hot.nrows(), 0))) };
        let mut value = Array2::zeros((hot.nrows(), bias.len()));
        for (mut sum, hot) in value.outer_iter_mut().zip(hot.outer_iter()) {
            sum.assign(bias);
            hot.iter().for_each(|at| add(sum.as_slice_mut(), weights.row(usize::from(*at)).as_slice()));
        }
        if self.layers.len() > 1 {
            self.activation.apply(&mut value);
        }
        let mut given = Vec::with_capacity(self.layers.len());
        for at in 1..self.layers.len() {
            let next = self.layer(at, value.view());
            given.push(std::mem::replace(&mut value, next));
        }
        (given, value)
    }

    /// As [`backward`](Self::backward) for [`forward_hot`](Self::forward_hot): `values` is what it says layers are given.
    pub fn backward_hot(
        &self,
        hot: ArrayView2<u16>,
        values: &[Array2<F>],
        mut delta: Array2<F>,
        slope: &mut Layers<F>,
    ) {
        for at in (1..self.layers.len()).rev() {
            delta = self.below(at, &values[at - 1], delta, slope);
            self.activation.pull_back(&mut delta, &values[at - 1]);
        }
        let Some((to_weights, to_bias)) = slope.layers.first_mut() else { return };
        *to_bias += &delta.sum_axis(Axis(0));
        for (row, hot) in delta.outer_iter().zip(hot.outer_iter()) {
            hot.iter().for_each(|at| add(to_weights.row_mut(usize::from(*at)).as_slice_mut(), row.as_slice()));
        }
    }

    /// Adds layer `at`'s derivatives by its weights and biases, and returns those by what it was given.
    fn below(&self, at: usize, given: &Array2<F>, delta: Array2<F>, slope: &mut Layers<F>) -> Array2<F> {
        let (to_weights, to_bias) = &mut slope.layers[at];
        general_mat_mul(F::one(), &given.t(), &delta, F::one(), to_weights);
        *to_bias += &delta.sum_axis(Axis(0));
        delta.dot(&self.layers[at].0.t())
    }

    fn layer(&self, at: usize, x: ArrayView2<F>) -> Array2<F> {
        let (weights, bias) = &self.layers[at];
        let mut next = x.dot(weights);
        next += bias;
        if at + 1 < self.layers.len() {
            self.activation.apply(&mut next);
        }
        next
    }

    /// Adds to `slope` the derivatives of a loss by weights and biases, from its derivatives `delta` by the outputs of
    /// [`forward`](Self::forward) (`values` may do without the outputs themselves).
    pub fn backward(&self, values: &[Array2<F>], delta: Array2<F>, slope: &mut Layers<F>) {
        self.pull_back(values, delta, slope);
    }

    /// As [`backward`](Self::backward), and returns the derivatives by the inputs.
    pub fn backward_to_inputs(&self, values: &[Array2<F>], delta: Array2<F>, slope: &mut Layers<F>) -> Array2<F> {
        let delta = self.pull_back(values, delta, slope);
        self.layers.first().map_or_else(|| delta.clone(), |(weights, _)| delta.dot(&weights.t()))
    }

    /// How the values of [`forward`](Self::forward) change along `direction` (a row for each sample): the directional
    /// derivatives of what each layer is given, and at last of the outputs. Forward mode; costs as much as `forward`.
    pub fn tangents(&self, values: &[Array2<F>], direction: Array2<F>) -> Vec<Array2<F>> {
        let mut tangents = vec![direction];
        for (at, (weights, _)) in self.layers.iter().enumerate() {
            let mut next = tangents[at].dot(weights);
            if at + 1 < self.layers.len() {
                self.activation.pull_back(&mut next, &values[at + 1]);
            }
            tangents.push(next);
        }
        tangents
    }

    /// As [`backward`](Self::backward) for a loss of the outputs and of their [`tangents`](Self::tangents), with its
    /// derivatives by either: reverse mode over forward mode.
    pub fn backward_tangents(
        &self,
        values: &[Array2<F>],
        tangents: &[Array2<F>],
        by_outputs: Array2<F>,
        by_tangents: Array2<F>,
        slope: &mut Layers<F>,
    ) {
        let (mut delta, mut along) = (by_outputs, by_tangents);
        for (at, (weights, _)) in self.layers.iter().enumerate().rev() {
            let (to_weights, to_bias) = &mut slope.layers[at];
            general_mat_mul(F::one(), &values[at].t(), &delta, F::one(), to_weights);
            general_mat_mul(F::one(), &tangents[at].t(), &along, F::one(), to_weights);
            *to_bias += &delta.sum_axis(Axis(0));
            if at > 0 {
                delta = delta.dot(&weights.t());
                along = along.dot(&weights.t());
                self.activation.pull_back_tangent(&mut delta, &mut along, &values[at], &tangents[at]);
            }
        }
    }

    /// As [`backward`](Self::backward), and returns the derivatives by the sums of the first layer.
    fn pull_back(&self, values: &[Array2<F>], mut delta: Array2<F>, slope: &mut Layers<F>) -> Array2<F> {
        for (at, (weights, _)) in self.layers.iter().enumerate().rev() {
            let (to_weights, to_bias) = &mut slope.layers[at];
            general_mat_mul(F::one(), &values[at].t(), &delta, F::one(), to_weights);
            *to_bias += &delta.sum_axis(Axis(0));
            if at > 0 {
                delta = delta.dot(&weights.t());
                self.activation.pull_back(&mut delta, &values[at]);
            }
        }
        delta
    }
}

/// Adds `row` to `sum`, in plain memory as rows of whole arrays are.
fn add<F: Real>(sum: Option<&mut [F]>, row: Option<&[F]>) {
    if let (Some(sum), Some(row)) = (sum, row) {
        vectorised(
            #[inline(always)]
            || sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += *value),
        );
    }
}

/// Adam (Kingma and Ba 2015) with its authors' constants: 0.9, 0.999, 1e-8.
pub struct Adam<F> {
    first: Layers<F>,
    second: Layers<F>,
    steps: i32,
}

impl<F: Real> Adam<F> {
    /// At rest, for networks of `net`'s shape.
    pub fn new(net: &Layers<F>) -> Self {
        Adam { first: net.zeros(), second: net.zeros(), steps: 0 }
    }

    /// One step down the `slope`, and clears the slope for the next.
    pub fn step(&mut self, net: &mut Layers<F>, slope: &mut Layers<F>, rate: f64) {
        self.steps += 1;
        let moments = self.first.layers.iter_mut().zip(&mut self.second.layers);
        for ((w, g), (m, v)) in net.layers.iter_mut().zip(&mut slope.layers).zip(moments) {
            descend(&mut w.0, &mut g.0, &mut m.0, &mut v.0, rate, self.steps);
            descend(&mut w.1, &mut g.1, &mut m.1, &mut v.1, rate, self.steps);
        }
    }
}

/// Adam's rule for one array at step `steps` (from 1), with `first` and `second` 0 before the first; `slope` is zero afterwards. One
/// thread. All arrays must have one shape.
pub fn descend<F: Real, D: Dimension>(
    weights: &mut Array<F, D>,
    slope: &mut Array<F, D>,
    first: &mut Array<F, D>,
    second: &mut Array<F, D>,
    rate: f64,
    steps: i32,
) {
    let [a, b, tiny] = [0.9, 0.999, 1e-8].map(F::from_f64);
    let one = F::one();
    // Step size and root are corrected for starting at rest; as numbers of their own they cost no division a weight.
    let rate = F::from_f64(rate / (1.0 - 0.9_f64.powi(steps)));
    let root = F::from_f64(1.0 / (1.0 - 0.999_f64.powi(steps)).sqrt());
    let rule = |w: &mut F, g: &mut F, m: &mut F, v: &mut F| {
        *m = a * *m + (one - a) * *g;
        *v = b * *v + (one - b) * *g * *g;
        *w -= rate * *m / (v.sqrt() * root + tiny);
        *g = F::zero();
    };
    vectorised(
        #[inline(always)]
        || Zip::from(weights).and(slope).and(first).and(second).for_each(rule),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use quadrat_core::Seed;

    #[test]
    fn derivatives_agree_with_differences() {
        for activation in [Activation::Relu, Activation::LeakyRelu, Activation::Tanh] {
            let mut rng = Seed(1).rng(0);
            let x = Array2::from_shape_simple_fn((6, 3), || rng.normal());
            let net = Layers::<f64>::random(&[3, 5, 4, 2], activation, Start::Uniform, &mut rng);
            // Any smooth function of the outputs will do for a loss.
            let loss = |net: &Layers<f64>, x: &Array2<f64>| net.outputs(x.view()).mapv(|v| v.sin() + v * v).sum();
            let values = net.forward(x.clone());
            let mut slope = net.zeros();
            let to_x = net.backward_to_inputs(&values, values[3].mapv(|v| v.cos() + 2.0 * v), &mut slope);
            let h = 1e-6;
            let close = |up: f64, down: f64, derivative: f64| {
                assert!(((up - down) / (2.0 * h) - derivative).abs() < 1e-7, "{activation:?} {up} {down} {derivative}");
            };
            for at in 0..3 {
                for place in ndarray::indices(net.layers[at].0.dim()) {
                    let moved = |by: f64| {
                        let mut other = net.clone();
                        other.layers[at].0[place] += by;
                        loss(&other, &x)
                    };
                    close(moved(h), moved(-h), slope.layers[at].0[place]);
                }
                for place in 0..net.layers[at].1.len() {
                    let moved = |by: f64| {
                        let mut other = net.clone();
                        other.layers[at].1[place] += by;
                        loss(&other, &x)
                    };
                    close(moved(h), moved(-h), slope.layers[at].1[place]);
                }
            }
            for place in ndarray::indices(x.dim()) {
                let moved = |by: f64| {
                    let mut other = x.clone();
                    other[place] += by;
                    loss(&net, &other)
                };
                close(moved(h), moved(-h), to_x[place]);
            }
        }
    }

    #[test]
    fn tangents_and_their_derivatives_agree_with_differences() {
        for activation in [Activation::Relu, Activation::LeakyRelu, Activation::Tanh] {
            let mut rng = Seed(3).rng(0);
            let [x, along] = [0, 1].map(|_| Array2::from_shape_simple_fn((6, 3), || rng.normal()));
            let net = Layers::<f64>::random(&[3, 5, 4, 2], activation, Start::Uniform, &mut rng);
            let tangents = net.tangents(&net.forward(x.clone()), along.clone());
            let h = 1e-6;
            let difference =
                (net.outputs((&x + &(&along * h)).view()) - net.outputs((&x - &(&along * h)).view())) / (2.0 * h);
            assert!((&difference - &tangents[3]).iter().all(|e| e.abs() < 1e-8), "{activation:?}");

            // Any smooth function of outputs and tangents will do for a loss.
            let loss = |net: &Layers<f64>| {
                let values = net.forward(x.clone());
                let tangents = net.tangents(&values, along.clone());
                values[3].mapv(f64::sin).sum() + (&values[3] * &tangents[3]).sum() + tangents[3].mapv(|t| t * t).sum()
            };
            let values = net.forward(x.clone());
            let mut slope = net.zeros();
            let by_outputs = values[3].mapv(f64::cos) + &tangents[3];
            let by_tangents = &values[3] + &(2.0 * &tangents[3]);
            net.backward_tangents(&values, &tangents, by_outputs, by_tangents, &mut slope);
            for at in 0..3 {
                for place in ndarray::indices(net.layers[at].0.dim()) {
                    let moved = |by: f64| {
                        let mut other = net.clone();
                        other.layers[at].0[place] += by;
                        loss(&other)
                    };
                    let difference = (moved(h) - moved(-h)) / (2.0 * h);
                    assert!((difference - slope.layers[at].0[place]).abs() < 1e-7, "{activation:?} {at} {place:?}");
                }
                for place in 0..net.layers[at].1.len() {
                    let moved = |by: f64| {
                        let mut other = net.clone();
                        other.layers[at].1[place] += by;
                        loss(&other)
                    };
                    let difference = (moved(h) - moved(-h)) / (2.0 * h);
                    assert!((difference - slope.layers[at].1[place]).abs() < 1e-7, "{activation:?} {at} bias {place}");
                }
            }
        }
    }

    #[test]
    fn fast_tangents_are_tangents() {
        let mut values: Vec<f32> = (-20_000..=20_000).map(|i| i as f32 * 1e-3).collect();
        values.extend([
            0.0,
            -0.0,
            1e-30,
            -1e-30,
            1e-8,
            88.0,
            -1e30,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::MIN_POSITIVE,
        ]);
        let expected: Vec<f64> = values.iter().map(|v| f64::from(*v).tanh()).collect();
        f32::tanh_all(&mut values);
        for (value, expected) in values.iter().zip(expected) {
            let error = (f64::from(*value) - expected).abs();
            assert!(error <= 2.0 * f64::from(f32::EPSILON) * expected.abs(), "{value} {expected}");
        }
        let mut nan = [f32::NAN];
        f32::tanh_all(&mut nan);
        assert!(nan[0].is_nan());
    }

    /// Rows of ones and zeros, told by where the ones are, give what the dense rows give.
    #[test]
    fn few_ones_are_as_the_dense_rows() {
        let mut rng = Seed(3).rng(0);
        for sizes in [&[7, 5, 4, 2][..], &[7, 3]] {
            let net = Layers::<f64>::random(sizes, Activation::Tanh, Start::Uniform, &mut rng);
            let hot = Array2::from_shape_fn((6, 3), |(row, at)| [0, 3, 5][at] + ((row + at) % 2) as u16);
            let mut x = Array2::zeros((6, 7));
            for ((row, _), at) in hot.indexed_iter() {
                x[[row, usize::from(*at)]] = 1.0;
            }
            let values = net.forward(x);
            let (given, outputs) = net.forward_hot(hot.view());
            let delta = values[sizes.len() - 1].mapv(f64::cos);
            let (mut dense, mut few) = (net.zeros(), net.zeros());
            net.backward(&values, delta.clone(), &mut dense);
            net.backward_hot(hot.view(), &given, delta, &mut few);
            let near = |a: &Array2<f64>, b: &Array2<f64>| assert!((a - b).iter().all(|d| d.abs() < 1e-12));
            near(&outputs, &values[sizes.len() - 1]);
            for (few, dense) in few.layers.iter().zip(&dense.layers) {
                near(&few.0, &dense.0);
                near(&few.1.clone().insert_axis(Axis(0)), &dense.1.clone().insert_axis(Axis(0)));
            }
        }
    }

    /// The first steps by the formulas of the paper's algorithm 1.
    #[test]
    fn adam_steps_as_its_paper() {
        let mut rng = Seed(2).rng(0);
        let mut net = Layers::<f64>::random(&[1, 1], Activation::Relu, Start::He, &mut rng);
        let mut adam = Adam::new(&net);
        let (mut m, mut v, mut w) = (0.0, 0.0, net.layers[0].0[[0, 0]]);
        for step in 1..=5 {
            let g = 1.0 / f64::from(step) - 0.3;
            let mut slope = net.zeros();
            slope.layers[0].0[[0, 0]] = g;
            adam.step(&mut net, &mut slope, 0.01);
            assert_eq!(slope, net.zeros());
            m = 0.9 * m + 0.1 * g;
            v = 0.999 * v + 0.001 * g * g;
            let (m_hat, v_hat): (f64, f64) = (m / (1.0 - 0.9_f64.powi(step)), v / (1.0 - 0.999_f64.powi(step)));
            w -= 0.01 * m_hat / (v_hat.sqrt() + 1e-8);
            assert!((net.layers[0].0[[0, 0]] - w).abs() < 1e-12);
        }
    }
}
