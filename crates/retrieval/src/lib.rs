//! Find samples: exact indexes over texts and vectors, measures of what they return, and training of what ranks.

mod analyse;
mod bm25;
mod index;
pub mod measures;
mod set;

pub use analyse::{Analyser, StopWords};
pub use bm25::{Bm25, Form};
pub use index::{Bound, Document, Hit, Index, Kind, Query, Search, Strategy, Weigh, Writer};
pub use set::Set;
