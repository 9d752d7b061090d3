//! Classes of series with holes: a model that fills them many times, and the fillings that it is compared with.
//!
//! [`Scale`] learns each channel's mean and deviation from what was observed and turns series into
//! [`Samples`](quadrat_nn::Samples); a [`SeriesMethod`] of some [`Shape`] is a [`Model`], which [`Model::fit`] trains,
//! [`Model::probabilities`] asks for classes and [`Model::impute`] for draws of what the holes hold.
//!
//! ```
//! use ndarray::{Array2, array};
//! use quadrat_core::{Params, Seed, Silent};
//! use quadrat_nn::Trainer;
//! use quadrat_robust::series::{Model, Scale, Series, Shape, build};
//! // Rising and falling series; every third value is missing.
//! let values: Vec<Array2<f64>> = (0..40).map(|i| Array2::from_shape_fn((6, 1), |(t, _)| {
//!     if (t + i) % 3 == 0 { f64::NAN } else { (if i % 2 == 0 { 1.0 } else { -1.0 }) * (t as f64 - 2.5) + (i % 7) as f64 / 9.0 }
//! })).collect();
//! let times = [0., 1., 2., 3., 4., 5.];
//! let series: Vec<Series> = values.iter().map(|v| Series { times: &times, values: v.view() }).collect();
//! let labels: Vec<u32> = (0..40).map(|i| i % 2).collect();
//! let scale = Scale::fit(&series, &["height".to_owned()])?;
//! let samples = scale.samples(&series, Some((&labels, 2)))?;
//! let method = build("supnotmiwae", &Params::from([("width", "8"), ("latent", "2"), ("k", "3"), ("test-j", "3")]))?;
//! let model = Model::new(method, Shape::of(&scale, 2, 6));
//! let trainer = Trainer { epochs: 20, batch: 10, rate: 0.01, seed: Seed(1), ..Trainer::default() };
//! let fit = model.fit(&trainer, &samples, None, &Silent)?;
//! let p = model.probabilities(&fit.parameters, &samples, Seed(2))?;
//! assert!(p[[0, 0]] > 0.5 && p[[1, 1]] > 0.5);
//! # Ok::<(), quadrat_core::Error>(())
//! ```

mod bound;
mod fillings;
mod given;
mod gru_d;
mod layers;
mod model;
mod obs_dropout;
mod prior;
mod scale;
mod supnotmiwae;
#[cfg(test)]
mod tests;

pub use bound::{bound, effective_draws};
pub use fillings::{Fill, Filled};
pub use gru_d::GruD;
pub use model::{Model, SeriesMethod};
pub use obs_dropout::{Kept, obs_dropout};
pub use prior::Prior;
pub use scale::{Scale, Series, Shape};
pub use supnotmiwae::{Complete, SupNotMiwae};

use quadrat_core::{Card, Entry, Method, Params, Result, Settings};

const METHODS: &[Entry<SeriesMethod>] = &[
    Entry {
        card: &SupNotMiwae::CARD,
        build: |p| Ok(Box::new(SeriesMethod::SupNotMiwae(SupNotMiwae::from_params(p)?))),
    },
    Entry { card: &GruD::CARD, build: |p| Ok(Box::new(SeriesMethod::GruD(GruD::from_params(p)?))) },
    filling(&fillings::ZERO, |p| filled(Fill::Zero, p)),
    filling(&fillings::MEAN, |p| filled(Fill::Mean, p)),
    filling(&fillings::FORWARD, |p| filled(Fill::Forward, p)),
    filling(&fillings::FORWARD_MASK, |p| filled(Fill::ForwardMask, p)),
];

const fn filling(card: &'static Card, build: fn(&Params) -> Result<Box<SeriesMethod>>) -> Entry<SeriesMethod> {
    Entry { card, build }
}

fn filled(fill: Fill, params: &Params) -> Result<Box<SeriesMethod>> {
    Ok(Box::new(SeriesMethod::Filled(fill, Filled::from_params(params)?)))
}

/// The cards of all methods for series.
pub fn cards() -> Vec<&'static Card> {
    METHODS.iter().map(|method| method.card).collect()
}

/// The method called `name` (slug or alias) with the given parameters; what is not given has its default.
///
/// # Errors
/// An unknown method or parameter (the nearest names are offered), or a value that does not fit.
pub fn build(name: &str, params: &Params) -> Result<SeriesMethod> {
    Entry::find(METHODS, "methods for series", name, params).map(|method| *method)
}
