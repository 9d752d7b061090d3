//! Draw samples from language models, with the law that a decoder claims to have.
//!
//! - [`LanguageModel`] is what all else is generic over; [`from_fn`] makes one of a closure.
//! - [`softmax`] turns a model's scores into the probabilities that draws are made with.
//! - [`objective`] holds the losses of whole sequences: likelihoods of several targets, preferences.
//! - [`align`] tunes a policy to a judge's preferences, and has the games that say where that should end.
//! - [`solve`] learns to write programs from solutions that a model finds itself.

pub mod align;
mod model;
pub mod objective;
#[cfg(feature = "networks")]
mod sequences;
pub mod solve;

pub use model::{BoxedState, FromFn, LanguageModel, PrefixState, State, Tree, from_fn, log_softmax, softmax};

use quadrat_core::{Card, Method};

/// The cards of all methods of this area.
pub fn cards() -> Vec<&'static Card> {
    vec![
        &align::OnlinePreferences::CARD,
        #[cfg(feature = "networks")]
        &solve::SelfSampling::CARD,
    ]
}
