//! A network for numbers.

use super::Standard;
use crate::layers::{Activation, Adam, Layers, Start};
use crate::prepare;
use ndarray::{Array2, ArrayView2, Axis};
use quadrat_core::{Error, Result, Seed};

/// Layers of rectified units under a linear one, trained by Adam (Kingma and Ba 2015) on the mean squared error over
/// rows and outputs, in shuffled mini-batches, on columns that are standardised inside ([`Standard`]).
///
/// Weights and biases start uniform within 1 / root of the layer's inputs, the habit of the common frameworks. Time
/// O(epochs * rows * (columns * width + depth * width^2 + width * outputs)).
///
/// ```
/// use ndarray::array;
/// use quadrat_numeric::learners::MlpRegressor;
/// let (x, y) = (array![[0.0], [1.0], [2.0], [3.0]], array![[0.0], [1.0], [1.0], [0.0]]);
/// let net = MlpRegressor { epochs: 500, learning_rate: 0.01, ..MlpRegressor::default() };
/// let error = &net.fit(x.view(), y.view(), quadrat_core::Seed(0))?.predict(x.view()) - &y;
/// assert!(error.iter().all(|e| e.abs() < 0.1));
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MlpRegressor {
    /// Units of each hidden layer, at least 1. Default 64.
    pub width: usize,
    /// Layers from hidden units to hidden units, so one less than there are hidden layers. Default 0.
    pub depth: usize,
    /// Passes over the rows, at least 1. Default 100.
    pub epochs: usize,
    /// Rows of a mini-batch, at least 1. Default 32.
    pub batch: usize,
    /// Adam's step size, above 0. Default 1e-3.
    pub learning_rate: f64,
}

impl Default for MlpRegressor {
    fn default() -> Self {
        MlpRegressor { width: 64, depth: 0, epochs: 100, batch: 32, learning_rate: 1e-3 }
    }
}

/// The mean squared error of a batch; its derivatives are added to `slope`.
fn loss(net: &Layers<f64>, z: Array2<f64>, y: &Array2<f64>, slope: &mut Layers<f64>) -> f64 {
    let (values, outputs) = net.forward_apart(z);
    let mut delta = outputs - y;
    let loss = delta.iter().map(|d| d * d).sum::<f64>() / delta.len() as f64;
    delta *= 2.0 / delta.len() as f64;
    net.backward(&values, delta, slope);
    loss
}

/// What an [`MlpRegressor`] learnt.
pub struct FittedRegressor {
    standard: Standard,
    layers: Layers<f64>,
}

impl FittedRegressor {
    /// Outputs of each row: rows x outputs. Rows must have the columns of the fitted table: fewer are an error of the
    /// caller's and panic like any index.
    pub fn predict(&self, x: ArrayView2<f64>) -> Array2<f64> {
        self.layers.outputs(self.standard.apply(x).view())
    }
}

impl MlpRegressor {
    /// Learns the outputs `y` (one row a row of `x`).
    ///
    /// # Errors
    /// An empty table, values that are not finite, another number of rows in `y`, parameters out of range.
    pub fn fit(&self, x: ArrayView2<f64>, y: ArrayView2<f64>, seed: Seed) -> Result<FittedRegressor> {
        self.check()?;
        prepare::check("training table", x)?;
        prepare::check("outputs", y)?;
        if y.nrows() != x.nrows() {
            return Err(Error::input("outputs", y.nrows(), format!("the training table has {} rows", x.nrows())));
        }
        let standard = Standard::fit(x, &vec![1.0; x.nrows()]);
        let z = standard.apply(x);
        let mut sizes = vec![x.ncols()];
        sizes.resize(self.depth + 2, self.width);
        sizes.push(y.ncols());
        let mut rng = seed.stream("network weights").rng(0);
        let mut layers = Layers::random(&sizes, Activation::Relu, Start::Uniform, &mut rng);
        let (mut adam, mut slope) = (Adam::new(&layers), layers.zeros());
        let mut rows: Vec<usize> = (0..x.nrows()).collect();
        for epoch in 0..self.epochs {
            seed.stream("network batches").rng(epoch as u64).shuffle(&mut rows);
            for batch in rows.chunks(self.batch) {
                loss(&layers, z.select(Axis(0), batch), &y.select(Axis(0), batch), &mut slope);
                adam.step(&mut layers, &mut slope, self.learning_rate);
            }
        }
        Ok(FittedRegressor { standard, layers })
    }

    fn check(&self) -> Result<()> {
        for (what, value) in [("width", self.width), ("epochs", self.epochs), ("batch", self.batch)] {
            if value == 0 {
                return Err(Error::input(what, value, "it must be at least 1"));
            }
        }
        if !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) {
            return Err(Error::input("learning_rate", self.learning_rate, "it must be finite and above 0"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_agree_with_differences() {
        let mut rng = Seed(1).rng(0);
        let z = Array2::from_shape_simple_fn((6, 3), || rng.normal());
        let y = Array2::from_shape_simple_fn((6, 2), || rng.normal());
        let net = Layers::random(&[3, 5, 2], Activation::Relu, Start::Uniform, &mut rng);
        let mut slope = net.zeros();
        loss(&net, z.clone(), &y, &mut slope);
        let h = 1e-6;
        for place in ndarray::indices(net.layers[1].0.dim()) {
            let moved = |by: f64| {
                let mut other = net.clone();
                other.layers[1].0[place] += by;
                loss(&other, z.clone(), &y, &mut net.zeros())
            };
            let difference = (moved(h) - moved(-h)) / (2.0 * h);
            assert!((difference - slope.layers[1].0[place]).abs() < 1e-7, "{place:?}");
        }
    }

    #[test]
    fn the_seed_decides_and_bad_arguments_are_errors() {
        let mut rng = Seed(2).rng(0);
        let x = Array2::from_shape_simple_fn((40, 3), || rng.normal());
        let y = x.map_axis(Axis(1), |row| (row[0] * row[1]).sin()).insert_axis(Axis(1));
        let net = MlpRegressor { width: 32, depth: 1, epochs: 300, learning_rate: 2e-3, ..MlpRegressor::default() };
        let of = |seed| net.fit(x.view(), y.view(), Seed(seed)).unwrap().predict(x.view());
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        let error = (&of(1) - &y).mapv(|e| e * e).mean().unwrap();
        assert!(error < 0.01, "{error} of a variance of about a third");
        for net in [
            MlpRegressor { width: 0, ..net },
            MlpRegressor { epochs: 0, ..net },
            MlpRegressor { batch: 0, ..net },
            MlpRegressor { learning_rate: f64::NAN, ..net },
        ] {
            assert!(net.fit(x.view(), y.view(), Seed(0)).is_err(), "{net:?}");
        }
        assert!(net.fit(x.view(), y.slice(ndarray::s![..3, ..]), Seed(0)).is_err());
        assert!(net.fit(x.slice(ndarray::s![..0, ..]), y.slice(ndarray::s![..0, ..]), Seed(0)).is_err());
        assert!(net.fit(x.view(), (&y * f64::NAN).view(), Seed(0)).is_err());
    }
}
