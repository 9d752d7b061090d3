//! Is a decoder's law the target's?
//!
//! Two answers, for two kinds of decoders.
//!
//! - [`prove`] goes through all choices of a decoder that asks for them at a [`Chance`](crate::Chance), and compares the law of what
//!   comes out with the target's to the last digits. It runs the program itself, step by step over all texts: for small models.
//! - [`test()`] draws from any sampler, with a number of draws that was planned ([`Test::plan`]) to catch a difference of a stated size
//!   with a stated probability, and a stated rate of false alarms. It looks at the most probable beginnings of texts ([`Cells`]), so
//!   the vocabulary may be large.
//!
//! What goes wrong in practice is small and looks right: probabilities reported for drafts that were drawn otherwise, a filter on one
//! side only, a residual left out. The tests of this module are a collection of such decoders, and each must be caught.

mod cells;
mod enumerate;
mod power;

pub use cells::Cells;
pub use enumerate::{Proof, branches, prove};
pub use power::{Report, Test, test};

#[cfg(test)]
mod tests;
#[cfg(test)]
mod zoo;
