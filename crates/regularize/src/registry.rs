//! The list of methods: one line each.

use crate::*;
use quadrat_core::{Card, Entry, Error, Method, Params, Result, Settings};
use quadrat_nn::{TrainMethod, hook};

const METHODS: &[Entry<dyn TrainMethod>] = &[
    hook::<PsKd>(),
    hook::<WeightCompander>(),
    hook::<RandomPruning>(),
    no_hook::<RandomSparseSearch>(),
    no_hook::<TicketMaker>(),
    no_hook::<QuantNas>(),
    hook::<Sara>(),
    hook::<SelfTuningNetwork>(),
    hook::<Lora>(),
    hook::<LabelSmoothing>(),
    hook::<Mixup>(),
    hook::<Augment>(),
    hook::<RandAugment>(),
    hook::<InputNoise>(),
];

/// A method that is not part of a training: only its card is listed.
const fn no_hook<T: Method>() -> Entry<dyn TrainMethod> {
    let build = |_: &Params| {
        let want = "it is no hook of a training: see `quadrat show` for how to use it";
        Err(Error::input("method", format!("`{}`", T::CARD.slug), want))
    };
    Entry { card: &T::CARD, build }
}

/// The cards of all methods.
pub fn cards() -> Vec<&'static Card> {
    METHODS.iter().map(|method| method.card).collect()
}

/// The training hook called `name` (slug or alias) with the given parameters; what is not given has the default that
/// the card states.
///
/// ```
/// use quadrat_core::Params;
/// let hook = quadrat_regularize::build("ps-kd", &Params::from([("alpha", "0.5")]))?;
/// assert_eq!(hook.name(), "ps-kd");
/// assert!(quadrat_regularize::build("pskdd", &Params::none()).is_err());
/// # Ok::<(), quadrat_core::Error>(())
/// ```
///
/// # Errors
/// An unknown method (the nearest names are offered), one that is no hook, an unknown parameter, or a value that does
/// not fit.
pub fn build(name: &str, params: &Params) -> Result<Box<dyn TrainMethod>> {
    Entry::find(METHODS, "training methods", name, params)
}

/// The search for a sparse network with the given parameters: it comes before a training and is no hook of it.
///
/// # Errors
/// An unknown parameter, or a value that does not fit.
pub fn build_search(params: &Params) -> Result<RandomSparseSearch> {
    params.check_names(&RandomSparseSearch::CARD)?;
    RandomSparseSearch::from_params(params)
}
