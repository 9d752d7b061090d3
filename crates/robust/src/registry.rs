//! The list of resamplers: one line a method.

use crate::*;
use quadrat_core::{Card, Entry, Method, Params, Result};

const METHODS: &[Entry<dyn Resampler>] = &[
    of::<Smote>(),
    of::<SmoteNc>(),
    of::<SmoteN>(),
    of::<BorderlineSmote>(),
    of::<Adasyn>(),
    of::<Rcal>(),
    of::<TomekLinks>(),
    of::<EditedNearestNeighbours>(),
    of::<SmoteTomek>(),
    of::<SmoteEnn>(),
    of::<RandomOverSampling>(),
    of::<RandomUnderSampling>(),
];

const fn of<T: Resampler + Method + 'static>() -> Entry<dyn Resampler> {
    Entry { card: &T::CARD, build: |params| Ok(Box::new(T::from_params(params)?)) }
}

/// The cards of all resamplers.
pub fn cards() -> Vec<&'static Card> {
    METHODS.iter().map(|method| method.card).collect()
}

/// The resampler called `name` (slug or alias) with the given parameters; what is not given has the default that the
/// card states.
///
/// ```
/// use quadrat_core::Params;
/// let resampler = quadrat_robust::build("smote", &Params::from([("k", "3"), ("ratio", "0.5")]))?;
/// assert_eq!(resampler.card().slug, "smote");
/// assert!(quadrat_robust::build("smoet", &Params::none()).is_err());
/// # Ok::<(), quadrat_core::Error>(())
/// ```
///
/// # Errors
/// An unknown method or parameter (the nearest names are offered), a value that does not fit, or more than one of
/// `strategy`, `ratio`, `counts` and `percent`.
pub fn build(name: &str, params: &Params) -> Result<Box<dyn Resampler>> {
    Entry::find(METHODS, "resamplers", name, params)
}
