//! What a network answers.

use quadrat_core::Choice;
use serde::{Deserialize, Serialize};

/// What a network is made to answer, F, and how that becomes the data prediction: D(z; ρ) = skip z + out F(in z; ln ρ / 4), of samples
/// z = x₀ + ρ ε.
///
/// All are trained to make (F - F*)² small, where F* is what F would be for the sample's own data; so each weighs the noise levels in
/// its own way, by 1/out² of the data prediction's error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Parametrisation {
    /// What is left of the data at little noise, the data at much, at unit variance throughout (Karras et al. 2022, table 1).
    Edm,
    /// The noise ε (Ho et al. 2020).
    Noise,
    /// The data.
    Data,
    /// α ε - σ x₀ of the schedule that preserves the variance (Salimans and Ho 2022).
    Velocity,
    /// ε - x₀ of straight paths (flow matching).
    Flow,
    /// The score of the schedule that preserves the variance, -ε/σ.
    Score,
}

/// The three factors of a parametrisation at one ρ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Weights {
    pub skip: f64,
    pub out: f64,
    pub input: f64,
}

impl Parametrisation {
    /// The factors at ρ for data of a standard deviation.
    pub(crate) fn weights(self, ratio: f64, deviation: f64) -> Weights {
        // Of the schedule that preserves the variance: α = 1/√(1 + ρ²), σ = ρ α.
        let alpha = 1.0 / (1.0 + ratio * ratio).sqrt();
        let (skip, out, input) = match self {
            Parametrisation::Edm => {
                let all = ratio * ratio + deviation * deviation;
                (deviation * deviation / all, ratio * deviation / all.sqrt(), 1.0 / all.sqrt())
            }
            Parametrisation::Noise => (1.0, -ratio, alpha),
            Parametrisation::Data => (0.0, 1.0, alpha),
            Parametrisation::Velocity => (alpha * alpha, -ratio * alpha, alpha),
            Parametrisation::Flow => (1.0 / (1.0 + ratio), -ratio / (1.0 + ratio), 1.0 / (1.0 + ratio)),
            Parametrisation::Score => (1.0, ratio * ratio * alpha, alpha),
        };
        Weights { skip, out, input }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Data prediction of the true answer is the data, for every parametrisation.
    #[test]
    fn each_says_the_data_in_its_own_words() {
        let (data, noise) = (0.7, -1.3);
        for ratio in [1e-3f64, 0.3, 1.0, 40.0] {
            let z = data + ratio * noise;
            let alpha = 1.0 / (1.0 + ratio * ratio).sqrt();
            let sigma = ratio * alpha;
            for (parametrisation, answer) in [
                (Parametrisation::Noise, noise),
                (Parametrisation::Data, data),
                (Parametrisation::Velocity, alpha * noise - sigma * data),
                (Parametrisation::Flow, noise - data),
                (Parametrisation::Score, -noise / sigma),
            ] {
                let Weights { skip, out, .. } = parametrisation.weights(ratio, 0.5);
                let found = skip * z + out * answer;
                assert!((found - data).abs() < 1e-9, "{parametrisation:?} at {ratio}: {found}");
            }
        }
    }

    /// Karras et al., table 1 and appendix B.6: inputs and targets have unit variance.
    #[test]
    fn edm_keeps_unit_variance() {
        for (ratio, deviation) in [(0.01, 0.5), (1.0, 0.5), (20.0, 2.0)] {
            let Weights { skip, out, input } = Parametrisation::Edm.weights(ratio, deviation);
            let variance = deviation * deviation + ratio * ratio;
            assert!((input * input * variance - 1.0).abs() < 1e-12);
            // F* = (x₀ - skip z)/out with x₀ and ε independent.
            let target = ((1.0 - skip) * deviation).powi(2) + (skip * ratio).powi(2);
            assert!((target / (out * out) - 1.0).abs() < 1e-12);
        }
    }
}
