//! What a reconstruction is trained on: values of the criteria and their derivatives by the network's weights.

use ndarray::{Array1, Array2, ArrayView2, Axis};
use quadrat_numeric::layers::{Layers, Real};

/// r(x) = keep x + gain net(x): a plain network, or one that only says how x is to be moved.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reconstruction<F> {
    pub net: Layers<F>,
    pub keep: F,
    pub gain: F,
}

/// Mean over rows of the summed squares, and its derivative by them.
fn mean_square<F: Real>(error: &Array2<F>) -> (F, Array2<F>) {
    let rows = F::from_f64(error.nrows() as f64);
    let sum = error.iter().fold(F::zero(), |sum, e| sum + *e * *e);
    (sum / rows, error.mapv(|e| (e + e) / rows))
}

impl<F: Real> Reconstruction<F> {
    /// r(x) - x.
    pub fn residual(&self, x: ArrayView2<F>) -> Array2<F> {
        let mut out = self.net.outputs(x);
        let keep = self.keep - F::one();
        out.zip_mut_with(&x, |o, x| *o = keep * *x + self.gain * *o);
        out
    }

    /// The change of r(x) - x along `direction`.
    pub fn residual_tangent(&self, x: ArrayView2<F>, direction: ArrayView2<F>) -> Array2<F> {
        let values = self.net.forward(x.to_owned());
        let mut out = self.net.tangents(&values, direction.to_owned()).pop().unwrap_or_else(|| direction.to_owned());
        let keep = self.keep - F::one();
        out.zip_mut_with(&direction, |o, v| *o = keep * *v + self.gain * *o);
        out
    }

    /// r of what the network was given in `values`.
    fn of(&self, values: &[Array2<F>]) -> Array2<F> {
        let mut out = values[values.len() - 1].clone();
        out.zip_mut_with(&values[0], |o, x| *o = self.keep * *x + self.gain * *o);
        out
    }

    /// E |r(x) - target|^2. Derivatives are added to `slope`.
    pub fn denoising(&self, x: Array2<F>, target: ArrayView2<F>, slope: &mut Layers<F>) -> F {
        let values = self.net.forward(x);
        let (loss, by_r) = mean_square(&(self.of(&values) - target));
        self.net.backward(&values, by_r * self.gain, slope);
        loss
    }

    /// E |r(x) - x|^2 + variance |J v|^2 for normal `directions` v, a row for each row of `x`, so that the penalty is
    /// variance |J|_F^2 in expectation (Hutchinson). J is the Jacobian of r.
    pub fn contractive_hutchinson(&self, x: Array2<F>, variance: F, directions: Array2<F>, slope: &mut Layers<F>) -> F {
        let values = self.net.forward(x);
        let tangents = self.net.tangents(&values, directions);
        let (loss, by_r) = mean_square(&(self.of(&values) - &values[0]));
        let (penalty, by_tangent) = mean_square(&self.of(&tangents));
        let by_tangent = by_tangent * (self.gain * variance);
        self.net.backward_tangents(&values, &tangents, by_r * self.gain, by_tangent, slope);
        loss + variance * penalty
    }

    /// E |r(x) - x|^2 + variance |J|_F^2 for one hidden layer of tanh, in closed form.
    ///
    /// With p = 1 - h^2 and J_net = W2' diag(p) W1' (weights are inputs x outputs):
    /// |J|^2 = keep^2 d + 2 keep gain p . m + gain^2 p' C p, where m_j = sum_i W1_ij W2_ji is what unit j adds to the trace
    /// and C = (W1'W1) o (W2 W2'). `encoder_only` takes |dh/dx|^2 instead: the first term and m are absent and W2 is
    /// the identity. O(h^2) a row.
    pub fn contractive_exact(&self, x: Array2<F>, variance: F, encoder_only: bool, slope: &mut Layers<F>) -> F {
        let values = self.net.forward(x);
        let (loss, by_r) = mean_square(&(self.of(&values) - &values[0]));
        let (w1, w2, h) = (&self.net.layers[0].0, &self.net.layers[1].0, &values[1]);
        let (keep, gain) = if encoder_only { (F::zero(), F::one()) } else { (self.keep, self.gain) };
        let (rows, two) = (F::from_f64(h.nrows() as f64), F::one() + F::one());
        let p = h.mapv(|h| F::one() - h * h);
        let inputs = w1.t().dot(w1);
        let outputs = if encoder_only { Array2::eye(h.ncols()) } else { w2.dot(&w2.t()) };
        let c = &inputs * &outputs;
        let trace = (&w1.t() * w2).sum_axis(Axis(1));
        let cp = p.dot(&c);

        let quadratic = (&p * &cp).sum() / rows;
        let linear = p.dot(&trace).sum() / rows;
        let constant = F::from_f64(w1.nrows() as f64) * keep * keep;
        let penalty = constant + two * keep * gain * linear + gain * gain * quadratic;

        // By p, and on to the units' sums: dp = -2 h p da.
        let weight = variance / rows;
        let mut by_sum = cp * (two * gain * gain) + &(&trace * (two * keep * gain));
        by_sum.zip_mut_with(h, |d, h| *d *= -two * *h * (F::one() - *h * *h) * weight);
        slope.layers[0].0 += &values[0].t().dot(&by_sum);
        slope.layers[0].1 += &by_sum.sum_axis(Axis(0));
        // By C, and on to the weights.
        let by_c = p.t().dot(&p) * (weight * gain * gain);
        slope.layers[0].0 += &(w1.dot(&(&by_c * &outputs)) * two);
        if !encoder_only {
            slope.layers[1].0 += &((&by_c * &inputs).dot(w2) * two);
            // By m.
            let by_trace: Array1<F> = p.sum_axis(Axis(0)) * (weight * two * keep * gain);
            slope.layers[0].0 += &(&w2.t() * &by_trace);
            slope.layers[1].0 += &(&w1.t() * &by_trace.insert_axis(Axis(1)));
        }
        self.net.backward(&values, by_r * self.gain, slope);
        loss + variance * penalty
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quadrat_core::Seed;
    use quadrat_numeric::layers::{Activation, Start};

    fn reconstruction(sizes: &[usize], skip: bool) -> Reconstruction<f64> {
        let net = Layers::random(sizes, Activation::Tanh, Start::Uniform, &mut Seed(1).rng(0));
        let (keep, gain) = if skip { (1.0, 0.3) } else { (0.0, 1.0) };
        Reconstruction { net, keep, gain }
    }

    /// Rows of three columns.
    fn rows(n: usize, seed: u64) -> Array2<f64> {
        let mut rng = Seed(seed).rng(0);
        Array2::from_shape_simple_fn((n, 3), || rng.normal())
    }

    /// Derivatives by every weight against central differences.
    fn check(r: &Reconstruction<f64>, loss: impl Fn(&Reconstruction<f64>, &mut Layers<f64>) -> f64) {
        let mut slope = r.net.zeros();
        loss(r, &mut slope);
        let h = 1e-6;
        let moved = |change: &dyn Fn(&mut Layers<f64>, f64)| {
            let of = |by: f64| {
                let mut other = r.clone();
                change(&mut other.net, by);
                loss(&other, &mut r.net.zeros())
            };
            (of(h) - of(-h)) / (2.0 * h)
        };
        for at in 0..r.net.layers.len() {
            for place in ndarray::indices(r.net.layers[at].0.dim()) {
                let difference = moved(&|net, by| net.layers[at].0[place] += by);
                let found = slope.layers[at].0[place];
                assert!((difference - found).abs() < 1e-7, "layer {at} weight {place:?}: {difference} {found}");
            }
            for place in 0..r.net.layers[at].1.len() {
                let difference = moved(&|net, by| net.layers[at].1[place] += by);
                let found = slope.layers[at].1[place];
                assert!((difference - found).abs() < 1e-7, "layer {at} bias {place}: {difference} {found}");
            }
        }
    }

    #[test]
    fn derivatives_agree_with_differences() {
        let (x, v) = (rows(7, 2), rows(7, 3));
        for skip in [false, true] {
            for sizes in [&[3, 3][..], &[3, 4, 3], &[3, 4, 5, 3]] {
                let r = reconstruction(sizes, skip);
                check(&r, |r, slope| r.denoising(&x + &v, x.view(), slope));
                check(&r, |r, slope| r.contractive_hutchinson(x.clone(), 0.4, v.clone(), slope));
            }
            let r = reconstruction(&[3, 5, 3], skip);
            for encoder_only in [false, true] {
                check(&r, |r, slope| r.contractive_exact(x.clone(), 0.4, encoder_only, slope));
            }
        }
    }

    /// The closed form is the sum of squares of the Jacobian that the tangents give, direction by direction.
    #[test]
    fn the_closed_form_is_the_jacobians_square() {
        let x = rows(6, 4);
        for skip in [false, true] {
            let r = reconstruction(&[3, 5, 3], skip);
            let values = r.net.forward(x.clone());
            let (mut whole, mut encoder) = (0.0, 0.0);
            for column in 0..3 {
                let mut direction = Array2::zeros((6, 3));
                direction.column_mut(column).fill(1.0);
                let tangents = r.net.tangents(&values, direction);
                whole += r.of(&tangents).mapv(|t| t * t).sum() / 6.0;
                encoder += tangents[1].mapv(|t| t * t).sum() / 6.0;
            }
            let slope = || r.net.zeros();
            let plain = r.denoising(x.clone(), x.view(), &mut slope());
            for (expected, encoder_only) in [(whole, false), (encoder, true)] {
                let loss = r.contractive_exact(x.clone(), 0.7, encoder_only, &mut slope());
                assert!((loss - plain - 0.7 * expected).abs() < 1e-12, "{skip} {encoder_only}");
            }
        }
    }
}
