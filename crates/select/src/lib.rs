//! Choose samples.
//!
//! Every method is a struct of parameters with defaults that implements [`Selector`]: one verb takes a [`Pool`] and a
//! budget and returns a [`Selection`]. A pool carries whatever is known of the rows; a method says which parts it reads
//! ([`Selector::needs`]) and what it will cost ([`Selector::cost`]) before it runs.

mod pool;

pub use pool::{Cost, Needs, Pool, Selection, Selector};
