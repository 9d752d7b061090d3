//! Dense detection: a class and a box for each of many places of an image, of which almost all are background.
//!
//! A [`Grid`] says where a detector looks and, with a [`Matcher`], what each place is to learn ([`Assignment`]). A [`DenseLoss`]
//! makes of a batch's outputs a loss and its gradient in one pass over the logits: [`SamplingFree`] keeps plain cross-entropy and
//! takes its two numbers from the data; [`Focal`], [`Ghm`], [`Ohem`] and [`BiasedSampling`] hold the background back by weights or by choice.
//! All share the boxes' loss ([`Regression`]). Nothing here needs a network; with the feature `networks` there is `detector`, which
//! trains one.

mod batch;
mod biased_sampling;
mod boxes;
#[cfg(feature = "networks")]
pub mod detector;
mod focal;
mod ghm;
mod matching;
mod ohem;
mod plain;
mod prior;
mod regression;
mod sampling_free;
#[cfg(test)]
mod tests;

pub use batch::{Dense, LossParts};
pub use biased_sampling::BiasedSampling;
pub use boxes::{Bounds, area, decode, encode, generalised_iou, iou, suppress};
pub use focal::Focal;
pub use ghm::Ghm;
pub use matching::{Assignment, Grid, Matcher, Object};
pub use ohem::Ohem;
pub use plain::DenseCrossEntropy;
pub use prior::{Head, Prior, bias, estimate_prior};
pub use regression::Regression;
pub use sampling_free::SamplingFree;

use quadrat_core::{Card, Entry, Error, Method, Params, Result};

/// A loss of many places of which few are foreground.
///
/// ```
/// use quadrat_core::Seed;
/// use quadrat_robust::detection::{Assignment, Dense, DenseCrossEntropy, DenseLoss, Regression};
///
/// // One image with two places and one class: an object at the first, background at the second.
/// let assignment = Assignment { labels: vec![1, 0], targets: vec![[0.0; 4]; 2], ..Assignment::default() };
/// let outputs = [0.0; 2 * (1 + 4)];
/// let batch = Dense::new(&outputs, &[&assignment], 1, Regression::SmoothL1 { beta: 0.11 }, Seed(0))?;
/// let mut gradient = vec![0.0; outputs.len()];
/// let parts = DenseCrossEntropy::default().forward_backward(&batch, &mut Vec::new(), &mut gradient)?;
/// // Two logits of 0 cost ln 2 each; the normaliser is one place of the foreground and one image.
/// assert!((parts.classes - 2.0_f64.ln()).abs() < 1e-6);
/// assert_eq!(gradient[..2], [-0.25, 0.25]);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub trait DenseLoss: std::fmt::Debug + Send + Sync {
    /// What it is.
    fn card(&self) -> &'static Card;

    /// The probability that every class of every place begins with.
    fn start(&self, prior: &Prior) -> f64;

    /// The least score of a detection. 0.05 is what programs have; scores that begin at the classes' share need less.
    fn threshold(&self, _prior: &Prior) -> f64 {
        0.05
    }

    /// The classes' loss; its gradient at every logit is written into `gradient`, which has the shape of the batch's outputs.
    /// `memory` is what the loss carries from step to step, empty at first.
    ///
    /// # Errors
    /// The method's own.
    fn classes(&self, batch: &Dense, memory: &mut Vec<f64>, gradient: &mut [f32]) -> Result<f64>;

    /// The weight of the classes' loss beside the boxes', a constant for the gradient.
    fn weight(&self, _classes: f64, _boxes: f64) -> f64 {
        1.0
    }

    /// Both losses of a batch, and the gradient of `boxes + weight * classes` at all outputs.
    ///
    /// Cost: one or two passes over the logits, shared by the threads; the same bits for any number of them.
    ///
    /// # Errors
    /// A gradient of another size; a loss that is not finite, with the image.
    fn forward_backward(&self, batch: &Dense, memory: &mut Vec<f64>, gradient: &mut [f32]) -> Result<LossParts> {
        if gradient.len() != batch.outputs().len() {
            let want = format!("{} numbers, as the outputs have", batch.outputs().len());
            return Err(Error::input("gradient", format!("{} numbers", gradient.len()), want));
        }
        batch.check_finite()?;
        let classes = self.classes(batch, memory, gradient)?;
        let boxes = batch.boxes(gradient);
        let weight = self.weight(classes, boxes);
        if weight != 1.0 {
            batch.each_block(gradient, |block| block.gradient.iter_mut().for_each(|d| *d *= weight as f32));
        }
        Ok(LossParts { classes, boxes, weight })
    }
}

const METHODS: &[Entry<dyn DenseLoss>] = &[
    of::<SamplingFree>(),
    of::<Focal>(),
    of::<Ghm>(),
    of::<Ohem>(),
    of::<BiasedSampling>(),
    of::<DenseCrossEntropy>(),
];

const fn of<T: DenseLoss + Method + 'static>() -> Entry<dyn DenseLoss> {
    Entry { card: &T::CARD, build: |params| Ok(Box::new(T::from_params(params)?)) }
}

/// The cards of all losses.
pub fn cards() -> Vec<&'static Card> {
    METHODS.iter().map(|method| method.card).collect()
}

/// The loss called `name` (slug or alias) with the given parameters; what is not given has its default.
///
/// ```
/// use quadrat_core::Params;
/// let loss = quadrat_robust::detection::build("focal", &Params::from([("gamma", "1.5")]))?;
/// assert_eq!(loss.card().slug, "focal");
/// # Ok::<(), quadrat_core::Error>(())
/// ```
///
/// # Errors
/// An unknown loss or parameter (the nearest names are offered), or a value that does not fit.
pub fn build(name: &str, params: &Params) -> Result<Box<dyn DenseLoss>> {
    Entry::find(METHODS, "losses of detectors", name, params)
}
