//! Denoisers that are told something of each sample.

use crate::denoiser::check_dims;
use crate::{Denoiser, Level, Prediction};
use ndarray::{Array2, ArrayView2};
use quadrat_core::{Error, Result};

/// A model that becomes a denoiser once it has conditions.
pub trait Conditional: Sync {
    /// Numbers in a sample.
    fn dims(&self) -> usize;

    /// Numbers in a condition.
    fn condition(&self) -> usize;

    /// The denoiser of as many samples as there are conditions, each under its own.
    ///
    /// # Errors
    /// Conditions of another width, the model's own.
    fn given<'a>(&'a self, conditions: ArrayView2<'a, f64>) -> Result<Box<dyn Denoiser + 'a>>;
}

#[cfg(feature = "networks")]
impl Conditional for crate::NetworkDenoiser {
    fn dims(&self) -> usize {
        self.purpose().dims
    }

    fn condition(&self) -> usize {
        self.purpose().condition
    }

    fn given<'a>(&'a self, conditions: ArrayView2<'a, f64>) -> Result<Box<dyn Denoiser + 'a>> {
        Ok(Box::new(crate::NetworkDenoiser::given(self, conditions)?))
    }
}

/// A conditional model that is a function.
pub struct ConditionalFn<F> {
    sizes: [usize; 2],
    predict: F,
}

/// The conditional model that a closure is: the data prediction of samples under conditions, row by row; `sizes` are the numbers in a sample
/// and in a condition.
pub fn conditional_fn<F>(sizes: [usize; 2], predict: F) -> ConditionalFn<F>
where
    F: Fn(ArrayView2<f64>, ArrayView2<f64>, &Level) -> Result<Array2<f64>> + Sync,
{
    ConditionalFn { sizes, predict }
}

impl<F> Conditional for ConditionalFn<F>
where
    F: Fn(ArrayView2<f64>, ArrayView2<f64>, &Level) -> Result<Array2<f64>> + Sync,
{
    fn dims(&self) -> usize {
        self.sizes[0]
    }

    fn condition(&self) -> usize {
        self.sizes[1]
    }

    fn given<'a>(&'a self, conditions: ArrayView2<'a, f64>) -> Result<Box<dyn Denoiser + 'a>> {
        Ok(Box::new(Given { model: self, conditions }))
    }
}

struct Given<'a, F> {
    model: &'a ConditionalFn<F>,
    conditions: ArrayView2<'a, f64>,
}

impl<F> Denoiser for Given<'_, F>
where
    F: Fn(ArrayView2<f64>, ArrayView2<f64>, &Level) -> Result<Array2<f64>> + Sync,
{
    fn dims(&self) -> usize {
        self.model.sizes[0]
    }

    fn prediction(&self) -> Prediction {
        Prediction::Data
    }

    fn predict(&self, x: ArrayView2<f64>, at: &Level) -> Result<Array2<f64>> {
        check_dims(self.dims(), x)?;
        if x.nrows() != self.conditions.nrows() {
            let got = format!("{} for {} samples", self.conditions.nrows(), x.nrows());
            return Err(Error::input("conditions", got, "one for each sample"));
        }
        (self.model.predict)(x, self.conditions, at)
    }
}
