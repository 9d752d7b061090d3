//! Alignment: a policy tuned until no other one near its anchor is preferred to it.
//!
//! A judge says which of two answers is better ([`PreferenceModel`]); its preferences may be cyclic, so that no score explains them.
//! What is sought is the Nash equilibrium of the game in which two policies answer and each pays τ times its divergence from the
//! anchor ([`RegularisedGame`]). One objective, one stream of pairs: [`Way`] names the combinations.
//!
//! Calandriello, Guo, Munos, Rowland, Tang, Avila Pires, Richemond, Le Lan, Valko, Liu, Joshi, Zheng and Piot, "Human Alignment of
//! Large Language Models through Online Preference Optimisation", ICML 2024, arXiv 2403.08635. The paper's text was not at hand: its
//! equations are from knowledge of it, derived again, and checked by the tests of this folder.

mod game;
mod judge;
mod method;
#[cfg(feature = "networks")]
mod sequences;
mod table;
#[cfg(test)]
mod tests;

pub use game::RegularisedGame;
pub use judge::{BradleyTerry, Matrix, PreferenceModel, Question, Vote, asymmetry};
pub use method::{OnlinePreferences, Source, Way};
#[cfg(feature = "networks")]
pub use sequences::{Aligned, Step, Task, win_rate};
pub use table::{Learnt, TableLearner};
