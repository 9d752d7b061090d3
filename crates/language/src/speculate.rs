//! Speculative decoding with one draft or many: exact samples of a slow model in fewer of its calls.
//!
//! A cheap model drafts continuations, the slow one scores all of them in one call, and a [`DraftSelector`] decides at each position
//! which token comes: as often as it can one that was drafted, and always by the slow model's own law. Sun, Suresh, Ro, Beirami, Jain
//! and Yu, "SpecTr: Fast Speculative Decoding via Optimal Transport", NeurIPS 2023 (arXiv 2310.15141): at one position this is
//! transport between k drafts X_1, ..., X_k, independent from the draft's law p, and Y from the target's law q, at a cost of 1 where
//! Y is not among them.
//!
//! - [`MaximalCoupling`]: one draft, the rule of Leviathan et al. and Chen et al. 2023.
//! - [`KSeq`]: the paper's, within 1 - (1 - 1/k)^k of the best possible, in time that is linear in the vocabulary.
//! - [`OtmExact`]: the best possible, for small vocabularies.
//! - [`Recursive`]: each draft is tried against what the earlier ones left (SpecInfer; Sequoia where drafts differ).
//! - [`optimal_acceptance`]: what the best rule would reach, in any vocabulary, without having it.
//! - [`Speculator`] is the loop; [`plan`](fn@plan) says beforehand what drafts would be worth.
//!
//! p must be the law that drafts were really drawn from, after all settings: a loop draws and reports from the same [`Law`].
//!
//! [`Law`]: crate::decode::Law

mod drafters;
mod k_seq;
mod laws;
mod maximal;
mod optimal;
mod plan;
mod recursive;
mod speculator;

pub use drafters::{lookup, recent};
pub use k_seq::{KSeq, k_seq_rho};
pub use maximal::MaximalCoupling;
pub use optimal::{OtmExact, optimal_acceptance};
pub use plan::{Plan, Planned, plan};
pub use recursive::Recursive;
pub use speculator::{Rule, Spectr, Speculated, Speculator};

use crate::Chance;
use quadrat_core::Result;

/// What a rule chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Selection {
    /// The token that comes.
    pub token: u32,
    /// Which draft was accepted; none where the token was drawn from what the drafts left.
    pub accepted: Option<usize>,
}

/// A rule that chooses the next token among drafts, or beside them, by the target's law.
pub trait DraftSelector: Send + Sync {
    /// Chooses. `p` and `q` are the laws of draft and target over the vocabulary, `drafts` what was drawn from `p` (with replacement,
    /// where [`replaces`](DraftSelector::replaces) says so), `room` is kept from call to call.
    ///
    /// # Errors
    /// Laws of different lengths, that do not sum to 1 within 1e-6, or with entries that are negative or NaN; a draft that `p` gives
    /// no probability; more drafts or tokens than the rule can take.
    fn select(
        &self,
        p: &[f64],
        q: &[f64],
        drafts: &[u32],
        chance: &mut dyn Chance,
        room: &mut Vec<f64>,
    ) -> Result<Selection>;

    /// The probability that one of `k` drafts is accepted.
    ///
    /// # Errors
    /// As for [`select`](DraftSelector::select).
    fn acceptance(&self, p: &[f64], q: &[f64], k: usize) -> Result<f64>;

    /// Whether drafts are independent, so that a token may come twice, or each is drawn from the tokens that those before it left.
    fn replaces(&self) -> bool {
        true
    }

    /// The most drafts at one position that the rule can take.
    fn most(&self) -> usize {
        usize::MAX
    }
}

#[cfg(test)]
mod tests;
