//! Find samples: exact indexes over texts and vectors, measures of what they return, and training of what ranks.

mod analyse;
mod bm25;
pub mod dense;
pub mod feedback;
mod index;
pub mod losses;
pub mod measures;
mod set;
mod store;
pub mod training;
mod vectors;

pub use analyse::{Analyser, StopWords};
pub use bm25::{Bm25, Form};
pub use index::{Bound, Document, Hit, Index, Query, Search, Strategy, Weigh, Writer};
pub use set::Set;
pub use store::{Kind, Setup};
pub use vectors::{VectorIndex, VectorWriter};

/// The cards of all methods of this area.
pub fn cards() -> Vec<&'static quadrat_core::Card> {
    use quadrat_core::Method;
    std::iter::once(&Bm25::CARD).chain(feedback::cards()).chain(training::cards()).collect()
}
