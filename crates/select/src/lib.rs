//! Choose samples.
//!
//! Every method is a struct of parameters with defaults that implements [`Selector`]: one verb takes a [`Pool`] and a
//! budget and returns a [`Selection`]. A pool carries whatever is known of the rows; a method says which parts it reads
//! ([`Selector::needs`]) and what it will cost ([`Selector::cost`]) before it runs.

mod graph;
pub mod greedy;
mod pool;
mod random;
mod registry;
mod stratified;
mod top_score;

pub use graph::{LabelGraph, Normalise};
pub use pool::{Cost, Needs, Pool, Selection, Selector};
pub use random::Random;
pub use registry::{build, cards};
pub use stratified::{Allocation, Stratified};
pub use top_score::TopScore;
