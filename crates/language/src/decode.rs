//! From a model's scores to tokens.
//!
//! [`Chain`] says how scores become a law: its steps stand in one fixed order, and each sees what the one before it left. [`Decoder`]
//! adds what may not be said ([`Blocker`]), [`generate`] draws token after token. The law of a step ([`Law`]) is a value, so that one
//! who drafts, checks or plans has the very law that is drawn from.

mod blockers;
mod chain;
mod filters;
mod generate;

pub use blockers::{Blocker, NoRepeat, Quotes};
pub use chain::{Chain, Decoder, Law};
pub use generate::{Continuation, Finish, Request, generate, stream};
