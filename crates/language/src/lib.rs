//! Draw samples from language models, with the law that a decoder claims to have.
//!
//! - [`LanguageModel`] is what all else is generic over; [`from_fn`] makes one of a closure.
//! - [`softmax`] turns a model's scores into the probabilities that draws are made with.

mod chance;
pub mod decode;
mod model;
mod ngram;
pub mod speculate;
pub mod verify;

pub use chance::Chance;
pub use model::{BoxedState, FromFn, LanguageModel, PrefixState, State, Tree, from_fn, log_softmax, softmax};
pub use ngram::KneserNey;

/// The cards of all methods of this area.
pub fn cards() -> Vec<&'static quadrat_core::Card> {
    vec![&<speculate::Spectr as quadrat_core::Method>::CARD]
}
