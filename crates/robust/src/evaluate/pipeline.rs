//! A learner behind a resampler.

use crate::labelled::source;
use crate::{Labelled, Resampler};
use ndarray::ArrayView2;
use quadrat_core::{Error, Result, Seed, Silent};
use quadrat_numeric::learners::{Classifier, Learner};

/// A learner that resamples the rows it is given before it learns from them: whatever is predicted, also in
/// cross-validation, is never resampled, so no test row leaks into training.
///
/// Weights follow their rows; a synthetic row has its base's.
///
/// ```
/// use quadrat_core::Seed;
/// use quadrat_numeric::learners::{Classifier, Learner, Tree};
/// use quadrat_robust::{Pipeline, RandomOverSampling};
/// let pipeline = Pipeline::new(Box::new(RandomOverSampling::default()), Box::new(Tree::cart()));
/// let x = ndarray::array![[0.0], [1.0], [2.0], [3.0], [9.0]];
/// let model = pipeline.fit(x.view(), &[0, 0, 0, 0, 1], 2, None, Seed(1))?;
/// assert_eq!(model.predict(x.view()), [0, 0, 0, 0, 1]);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub struct Pipeline {
    /// What happens to the training rows.
    pub resampler: Box<dyn Resampler>,
    /// What learns from the result.
    pub learner: Box<dyn Learner>,
    /// Which columns are nominal, ascending, for resamplers that ask.
    pub categorical: Vec<usize>,
}

impl Pipeline {
    /// A pipeline for numeric columns.
    pub fn new(resampler: Box<dyn Resampler>, learner: Box<dyn Learner>) -> Self {
        Pipeline { resampler, learner, categorical: Vec::new() }
    }
}

impl Learner for Pipeline {
    fn name(&self) -> &'static str {
        self.resampler.card().slug
    }

    fn fit(
        &self,
        x: ArrayView2<f64>,
        y: &[u32],
        classes: usize,
        weights: Option<&[f64]>,
        seed: Seed,
    ) -> Result<Box<dyn Classifier>> {
        if let Some(weights) = weights.filter(|w| w.len() != y.len()) {
            return Err(Error::input("row weights", weights.len(), format!("there are {} rows", y.len())));
        }
        let data = Labelled {
            x: x.to_owned(),
            y: y.to_vec(),
            classes: (0..classes).map(|class| class.to_string()).collect(),
            columns: Vec::new(),
            categorical: self.categorical.clone(),
        };
        let resampled = self.resampler.resample(&data, seed.stream("pipeline resampling"), &Silent)?;
        let table = resampled.table(&data);
        let weights: Option<Vec<f64>> = weights.map(|w| resampled.origin.iter().map(|o| w[source(o)]).collect());
        self.learner.fit(table.x.view(), &table.y, classes, weights.as_deref(), seed.stream("pipeline learning"))
    }
}
