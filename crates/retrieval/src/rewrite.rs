//! Learned feedback for vectors: the first documents found are taken for relevant, and a rewriter that was trained makes a better
//! query of them.
//!
//! [`Rewriter`] is what is trained and then asked, [`LolPrf`] how. The paper rewrites by a transformer; here a query and its documents
//! are vectors already, and the rewriter is a learned form of Rocchio's rule that a processor trains in seconds. What the
//! method is about, that more feedback must not make a query worse, does not depend on the rewriter: [`comparative_hinge`] takes the
//! losses of any.

mod comparative;
mod lol_prf;
mod rewriter;
#[cfg(test)]
mod tests;

pub use comparative::{Comparison, comparative_hinge, feedback_sizes};
pub use lol_prf::{Learnt, LolPrf};
pub use rewriter::{Rewriter, search};
