//! The foundation every other crate of Quadrat stands on.
//!
//! Nothing here knows a method. It holds what all methods share: how an error speaks ([`Error`]), where randomness
//! comes from ([`Seed`], [`Rng`]), how a long job reports and is stopped ([`Progress`]), how a method describes itself
//! ([`Card`]), how a file is written without ever being half-written ([`write_atomic`]), and how measurements become a
//! verdict ([`Evidence`], [`Verdict`]), and the probability laws under that ([`distributions`]).
//!
//! ```
//! use quadrat_core::{Seed, stats};
//! let mut rng = Seed(7).stream("demo").rng(0);
//! let draws: Vec<f64> = (0..1000).map(|_| rng.uniform()).collect();
//! assert!((stats::mean(&draws) - 0.5).abs() < 0.05);
//! ```

#[cfg(test)]
extern crate self as quadrat_core; // As what the derives make calls it.

mod card;
mod declared;
pub mod distributions;
mod environment;
mod error;
mod evidence;
mod file;
mod lists;
mod mapped;
mod params;
mod progress;
mod seed;
pub mod stats;
mod words;

pub use card::{Area, Card, find, nearest, search};
pub use declared::{Choice, Entry, Kind, Method, Named, Param, Settings};
pub use environment::Environment;
pub use error::{Error, Result};
pub use evidence::{
    By, Evidence, Exact, Expectation, Finding, Measurement, Need, Plan, Plot, Relation, Role, Series, Tuned, Verdict,
};
pub use file::{check_vacant, write_atomic, write_atomic_bytes, write_atomic_folder};
pub use lists::Lists;
pub use mapped::Mapped;
pub use params::Params;
pub use progress::{Progress, Silent, Within, checkpoint};
pub use quadrat_derive::{Choice, Settings};
pub use seed::{Rng, Seed};
pub use words::words;
