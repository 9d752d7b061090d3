//! Draw samples from language models, with the law that a decoder claims to have.
//!
//! - [`LanguageModel`] is what all else is generic over; [`from_fn`] makes one of a closure, [`KneserNey`] of a text's n-grams.
#![cfg_attr(
    feature = "networks",
    doc = "- [`Pretrain`] trains a small transformer on a text, [`Trained`] is one that can be trained on."
)]
//! - [`open`] opens a model of Llama's family with its [`Vocabulary`] and [`ChatTemplate`]: a folder, or a `.gguf` file ([`Llama`]).
//! - [`decode`] turns scores into a law, and draws texts; [`speculate`] draws the same with fewer calls of the model.
//! - [`verify`] says whether a decoder's law is the target's.
//! - [`score`] says how likely a text is to a model.
//! - [`ariel`] makes points of sentences and sentences of points, by [`coder`], a range coder.
//! - [`objective`] holds the losses of whole sequences: likelihoods of several targets, preferences.
//! - [`align`] tunes a policy to a judge's preferences, and has the games that say where that should end.
//! - [`solve`] learns to write programs from solutions that a model finds itself.
//! - [`diversity`] measures how varied texts are, how much they repeat themselves and what they quote.
//! - [`masked`] draws texts from models that fill gaps, in any order.
//! - [`softmax`] turns a model's scores into the probabilities that draws are made with.

pub mod align;
pub mod ariel;
mod chance;
mod chat;
pub mod coder;
pub mod decode;
pub mod diversity;
pub mod gguf;
#[cfg(feature = "networks")]
mod hyperfit;
mod llama;
pub mod masked;
pub mod matrix;
mod model;
mod ngram;
pub mod objective;
mod open;
#[cfg(feature = "networks")]
mod pretrain;
pub mod safetensors;
mod score;
#[cfg(feature = "networks")]
mod sequences;
pub mod solve;
pub mod speculate;
#[cfg(feature = "networks")]
mod trained;
pub mod verify;
mod vocabulary;

pub use chance::Chance;
pub use chat::{ChatTemplate, Message};
pub use gguf::Gguf;
#[cfg(feature = "networks")]
pub use hyperfit::{Hyperfit, Hyperfitted};
pub use llama::Llama;
pub use model::{BoxedState, FromFn, LanguageModel, PrefixState, State, Tree, from_fn, log_softmax, softmax};
pub use ngram::KneserNey;
pub use open::{Opened, open};
#[cfg(feature = "networks")]
pub use pretrain::Pretrain;
pub use score::{Scored, score};
#[cfg(feature = "networks")]
pub use trained::{CONFIG, Course, Trained, WEIGHTS};
pub use vocabulary::{Stream, Vocabulary};

use quadrat_core::{Card, Method};

/// The cards of all methods of this area.
pub fn cards() -> Vec<&'static Card> {
    vec![
        &speculate::Spectr::CARD,
        &ariel::VolumeCoding::CARD,
        &align::OnlinePreferences::CARD,
        &masked::MaskedDecoding::CARD,
        #[cfg(feature = "networks")]
        &solve::SelfSampling::CARD,
        #[cfg(feature = "networks")]
        &Hyperfit::CARD,
    ]
}
