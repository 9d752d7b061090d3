//! Draw samples from language models, with the law that a decoder claims to have.
//!
//! - [`LanguageModel`] is what all else is generic over; [`from_fn`] makes one of a closure.
//! - [`ariel`] makes points of sentences and sentences of points, by [`coder`], a range coder.
//! - [`diversity`] measures how varied texts are, how much they repeat themselves and what they quote.
//! - [`softmax`] turns a model's scores into the probabilities that draws are made with.

pub mod ariel;
pub mod coder;
pub mod diversity;
mod model;

pub use model::{BoxedState, FromFn, LanguageModel, PrefixState, State, Tree, from_fn, log_softmax, softmax};

/// The cards of all methods of this area.
pub fn cards() -> Vec<&'static quadrat_core::Card> {
    use quadrat_core::Method;
    vec![&ariel::VolumeCoding::CARD]
}
