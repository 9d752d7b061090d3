//! Models that say what a noised sample was.

use crate::Level;
use ndarray::{Array2, ArrayView2, Zip};
use quadrat_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// What a model predicts of x = α x₀ + σ ε. All say the same in other words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Prediction {
    /// The data, E\[x₀ | x\].
    Data,
    /// The noise, E\[ε | x\].
    Noise,
    /// α ε - σ x₀, the velocity of schedules that preserve the variance (Salimans and Ho 2022).
    Velocity,
    /// ε - x₀, the velocity along straight paths (flow matching).
    Flow,
    /// The score ∇ ln p(x) = -E\[ε | x\] / σ.
    Score,
}

impl Prediction {
    /// The data prediction that a model's answer stands for.
    ///
    /// Nothing is clipped: a range of pixels is no range of tables.
    pub fn to_data(self, x: ArrayView2<f64>, mut answer: Array2<f64>, at: &Level) -> Array2<f64> {
        let Level { alpha, sigma, .. } = *at;
        let (of_x, of_answer) = match self {
            Prediction::Data => return answer,
            Prediction::Noise => (1.0 / alpha, -sigma / alpha),
            // With α² + σ² = 1 left out, since it may hold to a table's rounding only.
            Prediction::Velocity => {
                let length = alpha * alpha + sigma * sigma;
                (alpha / length, -sigma / length)
            }
            Prediction::Flow => {
                let sum = alpha + sigma;
                (1.0 / sum, -sigma / sum)
            }
            Prediction::Score => (1.0 / alpha, sigma * sigma / alpha),
        };
        Zip::from(&mut answer).and(x).for_each(|answer, x| *answer = of_x * x + of_answer * *answer);
        answer
    }
}

/// A model that says what noised samples were: a network, a formula, a closure.
///
/// Rows are samples. One row's answer must not depend on the other rows.
pub trait Denoiser: Sync {
    /// Numbers in a sample.
    fn dims(&self) -> usize;

    /// What [`predict`](Self::predict) answers.
    fn prediction(&self) -> Prediction;

    /// The model's answer for each row of `x`, all at one level: an array of the same shape.
    ///
    /// # Errors
    /// The model's own.
    fn predict(&self, x: ArrayView2<f64>, at: &Level) -> Result<Array2<f64>>;
}

impl<D: Denoiser + ?Sized> Denoiser for &D {
    fn dims(&self) -> usize {
        (**self).dims()
    }

    fn prediction(&self) -> Prediction {
        (**self).prediction()
    }

    fn predict(&self, x: ArrayView2<f64>, at: &Level) -> Result<Array2<f64>> {
        (**self).predict(x, at)
    }
}

/// A denoiser whose data prediction can be differentiated.
pub trait Differentiable: Denoiser {
    /// The data prediction D of each row, and the product of its Jacobian's transpose with a cotangent: of u(D) as rows,
    /// Σᵢ uᵢ ∂Dᵢ/∂x.
    ///
    /// # Errors
    /// The model's own, and `cotangent`'s.
    fn pull_back(
        &self,
        x: ArrayView2<f64>,
        at: &Level,
        cotangent: &mut dyn FnMut(&Array2<f64>) -> Result<Array2<f64>>,
    ) -> Result<(Array2<f64>, Array2<f64>)>;
}

/// A denoiser that is a function of samples and level.
pub struct FromFn<F> {
    dims: usize,
    prediction: Prediction,
    predict: F,
}

/// The denoiser that a closure is.
///
/// ```
/// use quadrat_diffusion::{Denoiser, Level, Prediction, denoiser_fn};
/// // Standard normal data: E[x₀ | x] = α x / (α² + σ²).
/// let normal = denoiser_fn(2, Prediction::Data, |x, at: &Level| {
///     Ok(&x * (at.alpha / (at.alpha * at.alpha + at.sigma * at.sigma)))
/// });
/// let level = Level { time: 0.5, alpha: 0.6, sigma: 0.8 };
/// assert!((normal.predict(ndarray::array![[1.0, 2.0]].view(), &level)?[[0, 1]] - 1.2).abs() < 1e-15);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn denoiser_fn<F>(dims: usize, prediction: Prediction, predict: F) -> FromFn<F>
where
    F: Fn(ArrayView2<f64>, &Level) -> Result<Array2<f64>> + Sync,
{
    FromFn { dims, prediction, predict }
}

impl<F> Denoiser for FromFn<F>
where
    F: Fn(ArrayView2<f64>, &Level) -> Result<Array2<f64>> + Sync,
{
    fn dims(&self) -> usize {
        self.dims
    }

    fn prediction(&self) -> Prediction {
        self.prediction
    }

    fn predict(&self, x: ArrayView2<f64>, at: &Level) -> Result<Array2<f64>> {
        (self.predict)(x, at)
    }
}

/// The data prediction of each row, once it is clear that it is one.
///
/// # Errors
/// Rows of another width than the model's, an answer of another shape or with values that are not finite, the model's own.
pub fn data_prediction(denoiser: &dyn Denoiser, x: ArrayView2<f64>, at: &Level) -> Result<Array2<f64>> {
    check_dims(denoiser.dims(), x)?;
    let answer = denoiser.predict(x, at)?;
    if answer.dim() != x.dim() {
        return Err(Error::input(
            "denoiser",
            format!("an answer of shape {:?}", answer.dim()),
            format!("{:?}", x.dim()),
        ));
    }
    let data = denoiser.prediction().to_data(x, answer, at);
    check_finite(&data, "what the denoiser says", at)?;
    // Solvers go through it as one slice.
    Ok(if data.is_standard_layout() { data } else { data.as_standard_layout().into_owned() })
}

/// That samples have the model's width.
pub(crate) fn check_dims(dims: usize, x: ArrayView2<f64>) -> Result<()> {
    if x.ncols() != dims {
        return Err(Error::input("samples", format!("{} numbers each", x.ncols()), format!("{dims}, as the model")));
    }
    Ok(())
}

/// That all values are finite, else the row and the level.
pub(crate) fn check_finite(values: &Array2<f64>, what: &str, at: &Level) -> Result<()> {
    match values.outer_iter().position(|row| !row.iter().all(|v| v.is_finite())) {
        None => Ok(()),
        Some(row) => {
            let why = format!("{what} at sample {row} and time {} (σ {}) is not finite", at.time, at.sigma);
            Err(Error::numeric("diffusion", why))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Schedule;
    use ndarray::array;

    #[test]
    fn all_predictions_say_the_same() {
        let (data, noise) = (array![[0.3, -1.0, 2.0]], array![[0.5, 0.25, -1.5]]);
        for schedule in [Schedule::linear(), Schedule::edm(), Schedule::Flow] {
            let at = schedule.level(0.4 * schedule.times()[1]);
            let x = at.alpha * &data + at.sigma * &noise;
            for (prediction, answer) in [
                (Prediction::Data, data.clone()),
                (Prediction::Noise, noise.clone()),
                (Prediction::Flow, &noise - &data),
                (Prediction::Score, &noise / -at.sigma),
                (Prediction::Velocity, at.alpha * &noise - at.sigma * &data),
            ] {
                let found = prediction.to_data(x.view(), answer, &at);
                let off = (&found - &data).iter().fold(0.0f64, |m, v| m.max(v.abs()));
                assert!(off < 1e-12, "{prediction:?} on {schedule:?}: off by {off}");
            }
        }
    }

    #[test]
    fn answers_are_looked_at() {
        let at = Schedule::linear().level(0.5);
        let x = array![[1.0, 2.0]];
        let wide = denoiser_fn(2, Prediction::Data, |_: ArrayView2<f64>, _: &Level| Ok(Array2::zeros((1, 3))));
        assert!(data_prediction(&wide, x.view(), &at).is_err());
        let nan = denoiser_fn(2, Prediction::Noise, |x: ArrayView2<f64>, _: &Level| Ok(&x * f64::NAN));
        assert!(data_prediction(&nan, x.view(), &at).unwrap_err().to_string().contains("sample 0"));
        assert!(data_prediction(&nan, array![[1.0]].view(), &at).is_err());
    }
}
