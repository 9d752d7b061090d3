//! Draw samples from language models, with the law that a decoder claims to have.
//!
//! - [`LanguageModel`] is what all else is generic over; [`from_fn`] makes one of a closure.
//! - [`softmax`] turns a model's scores into the probabilities that draws are made with.

mod chat;
pub mod gguf;
mod llama;
pub mod matrix;
mod model;
mod open;
pub mod safetensors;
mod vocabulary;

pub use chat::{ChatTemplate, Message};
pub use gguf::Gguf;
pub use llama::Llama;
pub use model::{BoxedState, FromFn, LanguageModel, PrefixState, State, Tree, from_fn, log_softmax, softmax};
pub use open::{Opened, open};
pub use vocabulary::{Stream, Vocabulary};

/// The cards of all methods of this area.
pub fn cards() -> Vec<&'static quadrat_core::Card> {
    Vec::new()
}
