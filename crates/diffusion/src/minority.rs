//! Rare samples: which rows a model takes for rare, and new rows that are.
//!
//! Um, Lee, Ye, "Don't Play Favorites: Minority Guidance for Diffusion Models", ICLR 2024 (arXiv 2301.12334). A denoiser pulls a noised
//! sample towards what is common; how far it ends from where it began is the sample's minority score ([`Scoring`]). Scores cut at their
//! quantiles are classes ([`quantile_labels`]), a classifier of noised samples learns them (`NoisyMlp`), and its gradient guides a sampler to
//! the rarest class, or to any other: a dial from common to rare.
//!
//! The paper's distance is LPIPS, whose weights we do not carry: [`Distance::Features`] takes any features. Its classifier is a head on a
//! network trained on ImageNet; here it is a multilayer perceptron on the rows. Labels may as well become the classes of a conditional
//! denoiser, guided without a classifier ([`ClassifierFree`](crate::guidance::ClassifierFree)). A denoiser that has learnt rows by heart finds
//! none of them rare: score rows that it was not trained on.

#[cfg(feature = "networks")]
mod classifier;
mod distance;
mod score;

#[cfg(feature = "networks")]
pub use classifier::{NoisyMlp, Teaching};
pub use distance::Distance;
pub use score::{Scores, Scoring};

use crate::Denoiser;
#[cfg(feature = "networks")]
use crate::Schedule;
use crate::guidance::{ClassifierGuidance, NoisyClassifier, check_class};
#[cfg(feature = "networks")]
use ndarray::ArrayView2;
use quadrat_core::{Area, Card, Error, Method, Result, Settings, stats};
#[cfg(feature = "networks")]
use quadrat_core::{Progress, Seed};

/// Guidance towards rare samples.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct MinorityGuidance {
    /// Classes that rows are put into by their scores, from common to rare (L; the paper's 100 are for 60,000 rows).
    #[param(default = 10, from = 2)]
    pub classes: usize,
    /// Strength of the guidance: 0 is the model alone, and with much samples leave the data.
    #[param(default = 3.5, from = 0)]
    pub weight: f64,
    /// Noises that a row's score is the mean of.
    #[param(default = 5, from = 1)]
    pub draws: usize,
    /// Share of the data in the noised rows that are scored (ᾱ); auto: where scores differ most, and still tell rows apart.
    #[param(none = "auto", above = 0, below = 1)]
    pub abar: Option<f64>,
    /// How often the classifier visits all rows.
    #[param(default = 100, from = 1)]
    pub epochs: usize,
}

impl Method for MinorityGuidance {
    const CARD: Card = Card {
        slug: "minority-guidance",
        aliases: &["minority", "minority-score"],
        title: "Minority guidance",
        paper: "Um, Lee, Ye: Don't Play Favorites: Minority Guidance for Diffusion Models. ICLR 2024, arXiv 2301.12334",
        area: Area::Diffusion,
        verbs: &["diffuse"],
        summary: "Ranks rows by how rare a diffusion model takes them to be, and draws new rows from the rare end.",
        useful_when: "generate rare samples, atypical rows, long tail, edge cases, outlier ranking by a diffusion model, curate a data set, \
                      samples look all alike",
        cost: "scores: draws x rows calls of the model; a classifier: three forward passes a row and epoch; sampling: one gradient of the \
               classifier beside each call",
        params: Self::PARAMS,
    };
}

impl MinorityGuidance {
    /// How rows are scored.
    pub fn scoring<'a>(&self, distance: Distance<'a>) -> Scoring<'a> {
        Scoring { abar: self.abar, draws: self.draws, distance }
    }

    /// Scores rows, cuts the scores into classes and teaches a classifier the classes.
    ///
    /// # Errors
    /// As [`Scoring::score`], [`quantile_labels`] and [`Teaching::teach`].
    #[cfg(feature = "networks")]
    pub fn fit(
        &self,
        denoiser: &dyn Denoiser,
        schedule: &Schedule,
        rows: ArrayView2<f64>,
        distance: Distance,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Guide> {
        let scores = self.scoring(distance).score(denoiser, schedule, rows, seed.stream("scores"), progress)?;
        let (labels, thresholds) = quantile_labels(&scores.scores, self.classes)?;
        let teaching = Teaching { epochs: self.epochs, ..Teaching::default() };
        let classifier =
            teaching.teach(schedule, rows, (&labels, self.classes), seed.stream("classifier"), progress)?;
        Ok(Guide { scores, labels, thresholds, classifier })
    }

    /// The denoiser that is guided to a class, or to the rarest.
    ///
    /// # Errors
    /// A class that the classifier does not know, a weight that is below 0 or not finite.
    pub fn guided<'a>(
        &self,
        denoiser: &'a dyn Denoiser,
        classifier: &'a dyn NoisyClassifier,
        class: Option<u32>,
    ) -> Result<ClassifierGuidance<'a>> {
        if !(self.weight >= 0.0 && self.weight.is_finite()) {
            return Err(Error::input("weight", self.weight, "a finite number of at least 0"));
        }
        let class = class.unwrap_or(classifier.classes().saturating_sub(1) as u32);
        check_class(classifier, class)?;
        Ok(ClassifierGuidance { denoiser, classifier, class, weight: self.weight, clip: None })
    }
}

/// What [`MinorityGuidance::fit`] learnt.
#[cfg(feature = "networks")]
#[derive(Debug, Clone)]
pub struct Guide {
    /// The rows' scores.
    pub scores: Scores,
    /// The class of each row, from common to rare.
    pub labels: Vec<u32>,
    /// The highest score of each class.
    pub thresholds: Vec<f64>,
    /// What tells the classes apart.
    pub classifier: NoisyMlp,
}

/// Classes by quantiles of scores, 0 for the lowest, and the highest score of each class as quantiles tell it: class c is above
/// threshold c - 1 and not above threshold c, so that a score at a threshold goes to the lower class.
///
/// # Errors
/// Fewer than 2 classes or more than scores, scores that are not finite or all the same, a class that no score falls into.
///
/// ```
/// let (labels, thresholds) = quadrat_diffusion::minority::quantile_labels(&[0.1, 0.4, 0.2, 0.3], 2)?;
/// assert_eq!((labels, thresholds), (vec![0, 1, 0, 1], vec![0.25, 0.4]));
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn quantile_labels(scores: &[f64], classes: usize) -> Result<(Vec<u32>, Vec<f64>)> {
    let n = scores.len();
    if classes < 2 {
        return Err(Error::input("classes", classes, "at least 2"));
    }
    if classes > n {
        return Err(Error::input("classes", format!("{classes} for {n} samples"), "no more classes than samples"));
    }
    if let Some(row) = scores.iter().position(|score| !score.is_finite()) {
        return Err(Error::input(format!("score of row {row}"), scores[row], "a finite number"));
    }
    if scores.iter().all(|score| *score == scores[0]) {
        return Err(Error::input("scores", "all the same", "scores that differ: thresholds would coincide"));
    }
    let thresholds: Vec<f64> = (1..=classes).map(|i| stats::quantile(scores, i as f64 / classes as f64)).collect();
    let inner = &thresholds[..classes - 1];
    let labels: Vec<u32> = scores.iter().map(|score| inner.iter().filter(|t| *t < score).count() as u32).collect();
    if let Some(class) = (0..classes as u32).find(|class| !labels.contains(class)) {
        let got = format!("none in class {class} of {classes}: many are alike there");
        return Err(Error::input("scores", got, "fewer classes"));
    }
    Ok((labels, thresholds))
}

#[cfg(test)]
mod tests;
