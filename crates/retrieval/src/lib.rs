//! Find samples: exact indexes over texts and vectors, training of what ranks, and measures of what comes back.
//!
//! - [`Index`] finds documents by words ([`Bm25`], or weights of the user's: [`Impacts`]), [`VectorIndex`] by vectors. Both are folders to which a [`Writer`] or
//!   [`VectorWriter`] adds documents and from which it deletes them; what they return does not depend on that history.
//! - [`feedback`] asks again with words of what was found first.
//! - [`dense`] searches arrays of vectors, and mines the negatives that a retriever is trained with.
//! - [`training`] makes the vectors of questions and of documents that answer them lie near each other; [`losses`] is what it lowers.
//! - [`recommend`] learns what users will like from what they liked, and lists it.
//! - [`composed`] trains encoders of queries that are something and words about it, such as a picture and what should change.
//! - [`measures`] says how good a ranking is.
//!
//! Every search is exact: whatever its strategy, storage or number of threads, the same list comes back, and of equal scores the lower
//! number first.

mod analyse;
mod bm25;
pub mod composed;
pub mod dense;
pub mod feedback;
mod impacts;
mod index;
pub mod losses;
pub mod measures;
pub mod recommend;
pub mod rewrite;
mod set;
mod store;
pub mod training;
mod vectors;

pub use analyse::{Analyser, Stem, StopWords};
pub use bm25::{Bm25, Form};
pub use impacts::{Asked, Impacts, WeighedDocument};
pub use index::{Bound, Document, Hit, Index, Query, Search, Strategy, Weigh, Writer};
pub use set::Set;
pub use store::{Kind, Setup};
pub use vectors::{VectorIndex, VectorWriter};

/// The cards of all methods of this area.
pub fn cards() -> Vec<&'static quadrat_core::Card> {
    use quadrat_core::Method;
    let single = [&Bm25::CARD, &rewrite::LolPrf::CARD];
    let of_parts = [feedback::cards(), training::cards(), recommend::cards(), composed::cards()];
    single.into_iter().chain(of_parts.into_iter().flatten()).collect()
}
