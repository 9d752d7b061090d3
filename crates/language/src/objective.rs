//! One shape for all losses of whole sequences: what a loss says of their log-probabilities, and how it pulls at each.
//!
//! Maximum likelihood on several targets, preferences between two completions and policy gradients differ in what they know of
//! the sequences of a group (one prompt's completions, one task's solutions), not in what they do to a model: each has
//!
//! > ∇ loss = Σᵢ wᵢ ∇ ln π(yᵢ)
//!
//! with weights w that depend on ln π(y) and on what is known, and are held while the gradient is taken. So an objective returns
//! the loss and the weights, in double precision, and whoever owns the model back-propagates Σᵢ wᵢ ln π(yᵢ): a network in one
//! pass over the group however many pairs it has, a table in a line. ln π(y) is the sum over the sequence's tokens, not their
//! mean, which would be another game.

mod preference;
mod targets;
#[cfg(test)]
mod tests;

pub(crate) use preference::check_tau;
pub use preference::{NashMdPg, PreferenceLoss, Preferred, all_pairs};
pub use targets::Targets;

use quadrat_core::{Error, Result};

/// Sequences that belong together, as an objective sees them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Group<'a> {
    /// ln π(yᵢ) of each under the policy that learns.
    pub policy: &'a [f64],
    /// ln μ(yᵢ) of each under the anchor that it is held to; empty where an objective has none.
    pub anchor: &'a [f64],
    /// Who was compared with whom; empty where an objective compares nobody.
    pub judged: &'a [Judged],
}

/// Two sequences of a group, by their places, and what a judge said of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// The one.
    pub first: usize,
    /// The other.
    pub second: usize,
    /// p(first ≻ second), the probability that the first is preferred: 1 or 0 for a verdict, in between for a known one.
    pub preference: f64,
}

/// What an objective says of a group.
#[derive(Debug, Clone, PartialEq)]
pub struct Pull {
    /// The loss.
    pub loss: f64,
    /// wᵢ with ∇ loss = Σᵢ wᵢ ∇ ln π(yᵢ).
    pub weights: Vec<f64>,
}

/// A loss of the log-probabilities of whole sequences.
///
/// ```
/// use quadrat_language::objective::{Group, SequenceObjective, Targets};
/// // Marginal likelihood of three solutions pulls most at the one that is likeliest already.
/// let pull = Targets::Mml.pull(&Group { policy: &[-1.0, -2.5, -0.3], ..Group::default() })?;
/// assert!(pull.weights[2] < pull.weights[0] && pull.weights[0] < pull.weights[1]);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub trait SequenceObjective: Sync {
    /// The loss of a group and its pull at each sequence.
    ///
    /// # Errors
    /// An empty group, log-probabilities that are not finite, or too little known of the group for this objective.
    fn pull(&self, group: &Group<'_>) -> Result<Pull>;
}

impl Group<'_> {
    /// That the policy gives every sequence a probability.
    fn check(&self) -> Result<()> {
        if self.policy.is_empty() {
            return Err(Error::input("sequences", "none", "at least one in a group"));
        }
        finite("ln π", self.policy, "the policy gives the sequence no probability; drop it")
    }

    /// That each sequence has an anchor, and pairs are of this group.
    fn check_judged(&self) -> Result<()> {
        self.check()?;
        if self.anchor.len() != self.policy.len() {
            let got = format!("{} for {} sequences", self.anchor.len(), self.policy.len());
            return Err(Error::input("ln μ", got, "one for each sequence"));
        }
        finite("ln μ", self.anchor, "the anchor gives zero probability to a sampled completion; smooth it")?;
        if self.judged.is_empty() {
            return Err(Error::input("judged pairs", "none", "at least one: draw 2 completions or more of a prompt"));
        }
        self.judged.iter().try_for_each(|pair| pair.check(self.policy.len()))
    }

    /// d(yᵢ) = ln π(yᵢ) − ln μ(yᵢ).
    fn log_ratio(&self, i: usize) -> f64 {
        self.policy[i] - self.anchor[i]
    }
}

impl Judged {
    fn check(&self, sequences: usize) -> Result<()> {
        if self.first >= sequences || self.second >= sequences {
            let got = format!("places {} and {}", self.first, self.second);
            return Err(Error::input("judged pair", got, format!("places below {sequences}, the group's size")));
        }
        if !(0.0..=1.0).contains(&self.preference) {
            return Err(Error::input("preference", self.preference, "a probability, from 0 to 1"));
        }
        Ok(())
    }
}

fn finite(what: &str, values: &[f64], want: &str) -> Result<()> {
    match values.iter().position(|v| !v.is_finite()) {
        Some(i) => {
            Err(Error::input(format!("{what} of sequence {}", i + 1), values[i], format!("a finite number: {want}")))
        }
        None => Ok(()),
    }
}

/// ln Σᵢ e^vᵢ; `-inf` of nothing.
pub(crate) fn log_sum_exp(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let most = values.clone().fold(f64::NEG_INFINITY, f64::max);
    if most == f64::NEG_INFINITY { most } else { most + values.map(|v| (v - most).exp()).sum::<f64>().ln() }
}
