//! Reverse kernels: one step from noise towards data, in whatever world the data live.
//!
//! Methods that steer a model by choosing among its own draws need to know little of it: a step is drawn from a state
//! and from what the model says of that state. [`AncestralKernel`] is the step of continuous diffusion,
//! [`MaskedKernel`] that of masked tokens. What the model says is asked apart from the draws, for many states at once,
//! since it is what costs: all candidates of a state share one answer.

mod ancestral;
mod masked;

pub use ancestral::{AncestralKernel, on_rows, stack};
pub use masked::{MaskedKernel, Reveal};

use quadrat_core::{Result, Rng};

/// A model's way from noise to data, step by step.
pub trait ReverseKernel: Sync {
    /// A sample on its way.
    type State: Clone + Send + Sync;
    /// What the model says of a state.
    type Answer: Clone + Send + Sync;

    /// Steps from noise to data.
    fn steps(&self) -> usize;

    /// Whether step number `step` (from 0) draws anything. Candidates of one that does not are all alike.
    fn is_stochastic(&self, step: usize) -> bool;

    /// A sample before the first step.
    fn start(&self, rng: &mut Rng) -> Self::State;

    /// What the model says of each of `states`, all of which have done `done` steps. One state's answer must not depend
    /// on the others.
    ///
    /// # Errors
    /// The model's own, and answers that cannot be.
    fn ask(&self, states: &[Self::State], done: usize) -> Result<Vec<Self::Answer>>;

    /// A draw of step number `step` from a state.
    fn propose(&self, state: &Self::State, answer: &Self::Answer, step: usize, rng: &mut Rng) -> Self::State;

    /// What data the state comes to, by one guess: the posterior mean, or the likeliest token at each place.
    fn clean(&self, state: &Self::State, answer: &Self::Answer) -> Self::State;
}

#[cfg(test)]
mod tests;
