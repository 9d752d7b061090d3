//! A network's last layer on plain numbers, for methods that train it alone on features.

use ndarray::{Array1, Array2, ArrayView2, Axis};
use quadrat_core::{Error, Result};
use quadrat_nn::{Parameters, Run, ops};
use quadrat_numeric::matrix;

/// Weights (outputs x features) and biases; also a gradient or a velocity of these.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct LastLayer {
    pub weight: Array2<f32>,
    pub bias: Array1<f32>,
}

impl LastLayer {
    /// The name of a run's last layer.
    pub fn name(method: &str, run: &Run<'_>, parameters: &Parameters) -> Result<String> {
        let name = run.probe(parameters, |forward| forward.head_name().map(str::to_owned))?;
        name.ok_or_else(|| {
            Error::input(method, "a network without a last layer of its own", "a classifier on features")
        })
    }

    /// The layer of this name, without a bias if it has none.
    pub fn read(parameters: &Parameters, name: &str) -> Result<Self> {
        let kernel = parameters.get(&format!("{name}.weight"))?;
        let weight = matrix((kernel.shape[0], kernel.shape[1..].iter().product()), kernel.dense())?;
        let bias = format!("{name}.bias");
        let bias = if parameters.has(&bias) { parameters.get(&bias)?.dense() } else { vec![0.0; weight.nrows()] };
        Ok(LastLayer { weight, bias: Array1::from(bias) })
    }

    /// Into the parameters of this name.
    pub fn write(&self, parameters: &mut Parameters, name: &str) -> Result<()> {
        let flat: Vec<f32> = self.weight.iter().copied().collect();
        parameters.get_mut(&format!("{name}.weight"))?.set_dense(&flat)?;
        let bias = format!("{name}.bias");
        if parameters.has(&bias) {
            parameters.get_mut(&bias)?.set_dense(&self.bias.to_vec())?;
        }
        Ok(())
    }

    /// Scores of features, rows x outputs.
    pub fn scores(&self, features: ArrayView2<f32>) -> Array2<f32> {
        features.dot(&self.weight.t()) + &self.bias
    }

    /// The gradient where `at_scores` is that at the scores of `features`.
    pub fn gradient(features: ArrayView2<f32>, at_scores: ArrayView2<f32>) -> Self {
        LastLayer { weight: at_scores.t().dot(&features), bias: at_scores.sum_axis(Axis(0)) }
    }

    /// The gradient of the mean cross-entropy of these rows.
    pub fn cross_entropy(&self, features: ArrayView2<f32>, labels: &[u32]) -> Self {
        let scores = self.scores(features);
        let mut at_scores = Array2::zeros(scores.raw_dim());
        let share = 1.0 / labels.len().max(1) as f32;
        for ((mut d, z), label) in at_scores.outer_iter_mut().zip(scores.outer_iter()).zip(labels) {
            let mut p = vec![0.0; z.len()];
            ops::softmax_into(&z.to_vec(), &mut p);
            p[*label as usize] -= 1.0;
            d.iter_mut().zip(p).for_each(|(d, p)| *d = share * p);
        }
        Self::gradient(features, at_scores.view())
    }
}
