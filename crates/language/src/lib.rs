//! Draw samples from language models, with the law that a decoder claims to have.
//!
//! - [`LanguageModel`] is what all else is generic over; [`from_fn`] makes one of a closure.
//! - [`masked`] draws texts from models that fill gaps, in any order.
//! - [`softmax`] turns a model's scores into the probabilities that draws are made with.

pub mod masked;
mod model;

pub use model::{BoxedState, FromFn, LanguageModel, PrefixState, State, Tree, from_fn, log_softmax, softmax};

/// The cards of all methods of this area.
pub fn cards() -> Vec<&'static quadrat_core::Card> {
    vec![&<masked::MaskedDecoding as quadrat_core::Method>::CARD]
}
