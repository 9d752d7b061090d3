//! Guidance: samples of one kind, by a denoiser made of others, which every solver takes.
//!
//! [`ClassifierGuidance`] adds the gradient of a classifier that was taught on noised samples (Dhariwal and Nichol 2021): the score becomes
//! ∇ ln p(x) + w ∇ ln p(class | x), that of p(x) p(class | x)ʷ up to a factor. [`ClassifierFree`] (Ho and Salimans 2022) goes beyond a
//! conditional denoiser, away from one without condition. Neither draws from a stated law but at w = 1: what is guided at every level is not
//! the noised form of what is guided at the last.

use crate::denoiser::{Denoiser, Prediction, check_dims, check_finite, data_prediction};
use crate::{Level, MixtureDenoiser};
use ndarray::{Array2, ArrayView2, Axis, Zip};
use quadrat_core::{Error, Result};
use quadrat_numeric::mixture::{Covariances, Mixture};

/// A classifier of noised samples.
pub trait NoisyClassifier: Sync {
    /// How many classes there are.
    fn classes(&self) -> usize;

    /// ln p(class | x) of each row, all at one level, and its gradient at x, an array of x's shape.
    ///
    /// # Errors
    /// The classifier's own.
    fn log_prob_grad(&self, x: ArrayView2<f64>, at: &Level, class: u32) -> Result<(Vec<f64>, Array2<f64>)>;
}

/// A denoiser that is pulled towards a class: D + σ²/α w ∇ ln p(class | x).
///
/// With the ancestral solver a step's mean moves by w ∇ ln p times the forward step's variance; the authors' code has the variance of the
/// reverse step there, which is nearly the same but at the last steps.
#[derive(Clone, Copy)]
pub struct ClassifierGuidance<'a> {
    /// The model.
    pub denoiser: &'a dyn Denoiser,
    /// What tells classes apart.
    pub classifier: &'a dyn NoisyClassifier,
    /// The class that is wanted.
    pub class: u32,
    /// w: 0 leaves the model alone, 1 is Bayes' rule, more is more of the class than there is.
    pub weight: f64,
    /// Least and most of the model's own prediction, before it is pulled: what pixels can be.
    pub clip: Option<[f64; 2]>,
}

impl Denoiser for ClassifierGuidance<'_> {
    fn dims(&self) -> usize {
        self.denoiser.dims()
    }

    fn prediction(&self) -> Prediction {
        Prediction::Data
    }

    fn predict(&self, x: ArrayView2<f64>, at: &Level) -> Result<Array2<f64>> {
        check_class(self.classifier, self.class)?;
        check_weight(self.weight)?;
        let mut data = data_prediction(self.denoiser, x, at)?;
        if let Some([low, high]) = self.clip {
            if !(low < high && (high - low).is_finite()) {
                return Err(Error::input(
                    "clip",
                    format!("{low} to {high}"),
                    "two finite numbers, the lower end first",
                ));
            }
            data.mapv_inplace(|v| v.clamp(low, high));
        }
        if self.weight == 0.0 || at.sigma == 0.0 {
            return Ok(data);
        }
        let (_, gradient) = self.classifier.log_prob_grad(x, at, self.class)?;
        if gradient.dim() != x.dim() {
            let got = format!("a gradient of shape {:?}", gradient.dim());
            return Err(Error::input("classifier", got, format!("{:?}, as the samples", x.dim())));
        }
        check_finite(&gradient, "the classifier's gradient", at)?;
        data.scaled_add(self.weight * at.sigma * at.sigma / at.alpha, &gradient);
        Ok(data)
    }
}

/// A denoiser beyond a conditional one: plain + w (conditional - plain).
#[derive(Clone, Copy)]
pub struct ClassifierFree<'a> {
    /// The model without a condition.
    pub plain: &'a dyn Denoiser,
    /// The model with it.
    pub conditional: &'a dyn Denoiser,
    /// w: 0 is the plain model, 1 the conditional one, more goes beyond. (Ho and Salimans count from the conditional one: theirs is w - 1.)
    pub weight: f64,
}

impl Denoiser for ClassifierFree<'_> {
    fn dims(&self) -> usize {
        self.conditional.dims()
    }

    fn prediction(&self) -> Prediction {
        Prediction::Data
    }

    fn predict(&self, x: ArrayView2<f64>, at: &Level) -> Result<Array2<f64>> {
        check_weight(self.weight)?;
        if self.weight == 0.0 {
            return data_prediction(self.plain, x, at);
        }
        let mut data = data_prediction(self.conditional, x, at)?;
        if self.weight != 1.0 {
            let (w, plain) = (self.weight, data_prediction(self.plain, x, at)?);
            Zip::from(&mut data).and(&plain).for_each(|with, without| *with = without + w * (*with - without));
        }
        Ok(data)
    }
}

/// The exact classifier of a mixture whose components belong to classes.
#[derive(Debug, Clone)]
pub struct MixtureClassifier {
    all: MixtureDenoiser,
    /// Of each class the logarithm of its share and its law; none for a class without weight.
    classes: Vec<Option<(f64, MixtureDenoiser)>>,
}

impl MixtureClassifier {
    /// The classifier of a mixture, of whose components each has a class.
    ///
    /// # Errors
    /// Another number of classes than of components.
    pub fn new(all: &MixtureDenoiser, class_of: &[u32]) -> Result<Self> {
        let Mixture { weights, means, covariances } = all.mixture();
        if class_of.len() != weights.len() {
            let want = format!("one for each of {} components", weights.len());
            return Err(Error::input("classes", format!("{} of them", class_of.len()), want));
        }
        let most = class_of.iter().max().map_or(0, |class| *class as usize + 1);
        let one = |class: usize| {
            let of: Vec<usize> = (0..class_of.len()).filter(|k| class_of[*k] as usize == class).collect();
            let weights = weights.select(Axis(0), &of);
            let share = weights.sum();
            if share <= 0.0 {
                return Ok(None);
            }
            let covariances = match covariances {
                Covariances::Spherical(v) => Covariances::Spherical(v.select(Axis(0), &of)),
                Covariances::Diagonal(v) => Covariances::Diagonal(v.select(Axis(0), &of)),
                Covariances::Shared(matrix) => Covariances::Shared(matrix.clone()),
                Covariances::Full(each) => Covariances::Full(of.iter().map(|k| each[*k].clone()).collect()),
            };
            let law = MixtureDenoiser::new(Mixture { weights, means: means.select(Axis(0), &of), covariances })?;
            Ok(Some((share.ln(), law)))
        };
        Ok(MixtureClassifier { all: all.clone(), classes: (0..most).map(one).collect::<Result<Vec<_>>>()? })
    }
}

impl NoisyClassifier for MixtureClassifier {
    fn classes(&self) -> usize {
        self.classes.len()
    }

    /// ln p(class | x) = ln share + ln p(x | class) - ln p(x), and the difference of two scores (α D - x)/σ².
    fn log_prob_grad(&self, x: ArrayView2<f64>, at: &Level, class: u32) -> Result<(Vec<f64>, Array2<f64>)> {
        check_dims(self.all.dims(), x)?;
        check_class(self, class)?;
        let Some((log_share, law)) = &self.classes[class as usize] else {
            return Err(Error::input("class", class, "a class with a component of some weight"));
        };
        if at.sigma <= 0.0 {
            return Err(Error::input("level", "clean data", "noised samples: σ above 0"));
        }
        let (of_class, of_all) = (law.log_density(x, at)?, self.all.log_density(x, at)?);
        let logs = of_class.iter().zip(&of_all).map(|(own, all)| log_share + own - all).collect();
        let apart = law.predict(x, at)? - self.all.predict(x, at)?;
        Ok((logs, apart * (at.alpha / (at.sigma * at.sigma))))
    }
}

/// That a classifier knows a class.
pub(crate) fn check_class(classifier: &dyn NoisyClassifier, class: u32) -> Result<()> {
    let classes = classifier.classes();
    if class as usize >= classes {
        return Err(Error::input("class", class, format!("0 to {}", classes.saturating_sub(1))));
    }
    Ok(())
}

fn check_weight(weight: f64) -> Result<()> {
    if !weight.is_finite() {
        return Err(Error::input("weight of the guidance", weight, "a finite number"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
