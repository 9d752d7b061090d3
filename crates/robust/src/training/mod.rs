//! Training on labels that are wrong, rare or few: methods that hook into a [`Trainer`](quadrat_nn::Trainer).
//!
//! - **Wrong labels.** [`Elr`] holds a network to what it said of each row before it began to memorise, and lists the labels
//!   that it doubts; [`GeneralisedCrossEntropy`] and [`Bootstrap`] are losses that a wrong label pulls less; [`Rcal`] learns
//!   features without labels first, and makes up for rare classes too.
//! - **Rare classes.** [`BatchFormer`] lets them learn from the other rows of a batch; [`LogitAdjustment`] (balanced softmax) and
//!   [`ClassBalanced`] make up for classes of few rows.
//! - **Classes that arrive in groups.** [`Ovor`] teaches a trained network new ones without the rows of the old;
//!   [`ClassStatistics`] does it without training.
//! - **Few labels.** [`PseudoLabel`], [`FixMatch`], [`FlexMatch`] and [`ShrinkMatch`] learn from rows without labels beside the labelled
//!   ones; [`SampleAdaptive`] makes those harder that teach nothing any more.

mod batchformer;
mod bootstrap;
mod class_balanced;
mod elr;
mod few;
mod generalised_cross_entropy;
mod last_layer;
mod logit_adjustment;
mod ovor;
mod rcal;

pub use batchformer::BatchFormer;
pub use bootstrap::{Bootstrap, Kind};
pub use class_balanced::ClassBalanced;
pub use elr::Elr;
pub use few::{FixMatch, FlexMatch, PseudoLabel, SampleAdaptive, ShrinkMatch, Shrunk, Views, shrink};
pub use generalised_cross_entropy::GeneralisedCrossEntropy;
pub use logit_adjustment::LogitAdjustment;
pub use ovor::{Around, ClassStatistics, Extended, Outliers, Ovor, Thresholds};
pub use rcal::Rcal;

use quadrat_core::{Card, Entry, Error, Method, Params, Result, Settings};
use quadrat_nn::{TrainMethod, hook};

const METHODS: &[Entry<dyn TrainMethod>] = &[
    hook::<Elr>(),
    hook::<GeneralisedCrossEntropy>(),
    hook::<Bootstrap>(),
    hook::<Rcal>(),
    hook::<BatchFormer>(),
    hook::<LogitAdjustment>(),
    hook::<ClassBalanced>(),
    hook::<PseudoLabel>(),
    hook::<FixMatch>(),
    hook::<FlexMatch>(),
    hook::<ShrinkMatch>(),
    hook::<SampleAdaptive>(),
];

/// The cards of all training methods, and of [`Ovor`], which trains by itself.
pub fn cards() -> Vec<&'static Card> {
    METHODS.iter().map(|method| method.card).chain([&Ovor::CARD]).collect()
}

/// The training method called `name` (slug or alias) with the given parameters; what is not given has its default.
///
/// ```
/// use quadrat_core::Params;
/// let hook = quadrat_robust::training::build("elr", &Params::from([("lambda", "1")]))?;
/// assert_eq!(hook.name(), "elr");
/// # Ok::<(), quadrat_core::Error>(())
/// ```
///
/// # Errors
/// An unknown method or parameter (the nearest names are offered), a value that does not fit, or [`Ovor`].
pub fn build(name: &str, params: &Params) -> Result<Box<dyn TrainMethod>> {
    if Ovor::CARD.is_called(name) {
        let want = "it goes on from a trained model: --extend MODEL, or Ovor::extend";
        return Err(Error::input("method", Ovor::CARD.slug, want));
    }
    Entry::find(METHODS, "training methods", name, params)
}

/// [`Ovor`] with the given parameters.
///
/// # Errors
/// An unknown parameter, or a value that does not fit.
pub fn build_extension(params: &Params) -> Result<Ovor> {
    Ovor::from_params(params)
}

/// How many training rows each class has.
fn class_counts(run: &quadrat_nn::Run<'_>, method: &str) -> Result<Vec<usize>> {
    let mut counts = vec![0; run.data.outputs()];
    for label in run.labels(method)? {
        counts[*label as usize] += 1;
    }
    Ok(counts)
}

/// That a loss and its gradient, in single precision, are those of `definition`.
#[cfg(test)]
fn slopes(
    scores: &[f32],
    definition: impl Fn(&[f64]) -> f64,
    of: impl Fn(&[f32], &mut [f32]) -> f32,
) -> std::result::Result<(), proptest::test_runner::TestCaseError> {
    let mut gradient = vec![0.0; scores.len()];
    let found = of(scores, &mut gradient);
    let wide: Vec<f64> = scores.iter().map(|z| f64::from(*z)).collect();
    proptest::prop_assert!((f64::from(found) - definition(&wide)).abs() < 1e-4);
    for k in 0..scores.len() {
        let at = |step: f64| {
            let mut wide = wide.clone();
            wide[k] += step;
            definition(&wide)
        };
        let slope = (at(1e-6) - at(-1e-6)) / 2e-6;
        proptest::prop_assert!((f64::from(gradient[k]) - slope).abs() < 1e-4, "{slope} {gradient:?}");
    }
    Ok(())
}
