//! Prioritised level replay: which level to play next, by what playing it before has taught.
//!
//! Jiang, Grefenstette and Rocktaschel, ICML 2021, and its second law for levels that were added (Garcin et al., ICML 2024).
//! With scores s, and staleness c the number of draws since a level was last drawn,
//!
//! P = (1 - rho_c) [(1 - eta) P_first(s) + eta P_second(s')] + rho_c c / sum(c).

mod priority;
mod state;

pub use priority::Transform;
pub use state::{LevelState, Partial, ReplayState};

use priority::{Priority, SumTree};
use quadrat_core::{Choice, Error, Result, Seed, Settings};
use serde::{Deserialize, Serialize};

/// What makes a level worth playing: a mean over the steps of an episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// The size of the advantage, which is how wrong the critic was.
    #[param(name = "value-l1")]
    #[serde(rename = "value-l1")]
    ValueL1,
    /// The same, but 0 until a return above 0 was reached on the level, so that what cannot be solved does not count.
    #[param(name = "grounded-value-l1")]
    #[serde(rename = "grounded-value-l1")]
    GroundedValueL1,
    /// The advantage where it is above 0, else 0.
    PositiveValueLoss,
    /// The advantage, signed (the mean of its generalised estimate).
    SignedValueLoss,
    /// The size of the critic's error over one step.
    OneStepTd,
    /// The entropy of the policy, as a share of the greatest.
    PolicyEntropy,
    /// One less the gap between the two likeliest actions.
    MinMargin,
    /// One less the probability of the likeliest action.
    LeastConfidence,
    /// Any number of the trainer's own, such as a loss.
    Loss,
    /// Nothing: all levels alike.
    Uniform,
}

/// When levels that were never drawn come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Once a share `rho` of the levels was drawn, a replay comes with the probability of that share.
    Proportionate,
    /// Then, with the probability `replay`.
    Fixed,
}

/// Settings of prioritised level replay. [`start`](Self::start) makes a [`Replay`] of them.
///
/// ```
/// use quadrat_core::Seed;
/// use quadrat_select::levels::{Episode, LevelSampler, Steps};
/// let mut replay = LevelSampler::default().start(3, 3, Seed(1))?;
/// for _ in 0..3 {
///     let level = replay.ask();
///     // Play it, and say what the advantages were.
///     replay.tell(level, &Episode::whole(Steps::Advantages(&[0.3, -0.1 * level as f64])))?;
/// }
/// assert!((replay.weights()?.iter().sum::<f64>() - 1.0).abs() < 1e-12);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Settings, Serialize, Deserialize)]
pub struct LevelSampler {
    /// What makes a level worth playing.
    #[param(default = Strategy::ValueL1)]
    pub strategy: Strategy,
    /// How scores become probabilities.
    #[param(default = Transform::Rank)]
    pub transform: Transform,
    /// Temperature: the lower, the more often the highest scores.
    #[param(default = 0.1, above = 0, only = ("transform", &["rank", "power", "softmax"]))]
    pub beta: f64,
    /// Share of the draws that go to levels in proportion to how long ago they were drawn.
    #[param(default = 0.3, from = 0, to = 1)]
    pub staleness: f64,
    /// Weight of a new score against the old one.
    #[param(default = 1.0, above = 0, to = 1)]
    pub alpha: f64,
    /// When levels that were never drawn come.
    #[param(default = Schedule::Proportionate)]
    pub schedule: Schedule,
    /// Share of the levels that is drawn once before any is drawn again.
    #[param(default = 1.0, from = 0, to = 1)]
    pub rho: f64,
    /// Probability of a replay once that share was drawn.
    #[param(default = 0.5, from = 0, to = 1, only = ("schedule", &["fixed"]))]
    pub replay: f64,
}

/// What the steps of an episode, or of a part of it, told.
#[derive(Debug, Clone, Copy)]
pub enum Steps<'a> {
    /// The advantage at each step, by the values that the critic gave while playing.
    Advantages(&'a [f64]),
    /// The same as returns and values.
    Returns {
        /// What was reached from each step on, bootstrapped where the episode was cut.
        returns: &'a [f64],
        /// What the critic said.
        values: &'a [f64],
    },
    /// The critic's error over each one step.
    TdErrors(&'a [f64]),
    /// The probabilities of the actions at each step.
    Policies(&'a [Vec<f64>]),
    /// A number for each step.
    Losses(&'a [f64]),
}

/// What an episode on a level told.
#[derive(Debug, Clone, Copy)]
pub struct Episode<'a> {
    /// Step by step.
    pub steps: Steps<'a>,
    /// The sum of its rewards, where it is known: levels whose best is not above 0 do not count in
    /// [`Strategy::GroundedValueL1`].
    pub reward: Option<f64>,
    /// Whether it ended. Parts of an episode that goes on are put together, each step with the same weight.
    pub done: bool,
    /// Who played, where several play one level at a time.
    pub actor: usize,
}

impl<'a> Episode<'a> {
    /// An episode in one piece.
    pub fn whole(steps: Steps<'a>) -> Self {
        Episode { steps, reward: None, done: true, actor: 0 }
    }
}

/// The levels of a buffer by slot, with their scores, and the draws from them. Its [`state`](Self::state) is plain data, with
/// which it goes on exactly; draw number i depends on the seed, i, and what was told.
#[derive(Debug, Clone)]
pub struct Replay {
    state: ReplayState,
    first: Priority,
    second: Option<Priority>,
    /// Of each slot: 1 if it counts for staleness, the number of its last draw if so, 1 if it was never drawn.
    draws: SumTree<3>,
}

impl LevelSampler {
    /// A buffer of `levels` that nobody has played, which may grow to `capacity` by [`Replay::propose`].
    ///
    /// # Errors
    /// No level; a capacity below the number of levels or above 2^32; settings outside their ranges.
    pub fn start(self, levels: usize, capacity: usize, seed: Seed) -> Result<Replay> {
        ReplayState::new(self, levels, capacity, seed).resume()
    }

    /// As [`start`](Self::start), with a second law over the whole buffer, whose share eta is set by [`Replay::set_eta`]
    /// (0 at first); the first law and staleness are then about the first `levels` alone.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with(self, second: LevelSampler, levels: usize, capacity: usize, seed: Seed) -> Result<Replay> {
        ReplayState { second: Some(second), ..ReplayState::new(self, levels, capacity, seed) }.resume()
    }
}

impl Replay {
    /// What is to be kept to go on from here.
    pub fn state(&self) -> &ReplayState {
        &self.state
    }

    /// Number of levels in the buffer.
    pub fn len(&self) -> usize {
        self.state.levels.len()
    }

    /// Never: there is a level at least.
    pub fn is_empty(&self) -> bool {
        self.state.levels.is_empty()
    }

    /// The level to play next. O(log n).
    ///
    /// A level that was never drawn comes as the schedule says. Where all were drawn and none has a score yet, as when many
    /// environments start at once, it is any of them.
    pub fn ask(&mut self) -> usize {
        let mut rng = Seed(self.state.seed).stream("ask").rng(self.state.draws);
        let LevelSampler { schedule, rho, replay, staleness, .. } = self.state.sampler;
        let fresh = self.draws.sum(&FRESH);
        let drawn = 1.0 - fresh / self.len() as f64;
        let chance = if schedule == Schedule::Fixed { replay } else { drawn };
        let again = fresh == 0.0 || (drawn >= rho && rng.uniform() < chance);
        let counts = self.draws.sum(&stale(self.state.draws));
        let slot = if !again || (self.first.len() == 0 && fresh > 0.0) {
            self.draws.draw(&FRESH, rng.uniform())
        } else if self.first.len() == 0 {
            rng.below(self.len())
        } else if rng.uniform() < staleness && counts > 0.0 {
            self.draws.draw(&stale(self.state.draws), rng.uniform())
        } else {
            match &self.second {
                Some(second) if second.len() > 0 && rng.uniform() < self.state.eta => second.draw(&mut rng),
                _ => self.first.draw(&mut rng),
            }
        };
        self.state.draws += 1;
        self.state.levels[slot].drawn = Some(self.state.draws);
        self.place(slot);
        slot
    }

    /// What came of playing a level; returns its score, if it has one by now. O(steps + log n), and a move of at most 4 n bytes.
    ///
    /// # Errors
    /// An unknown level, no step, numbers that are not finite (the level is named), lists of different lengths, steps that do
    /// not tell what the strategy needs.
    pub fn tell(&mut self, level: usize, episode: &Episode<'_>) -> Result<Option<f64>> {
        let Some(known) = self.state.levels.get_mut(level) else {
            let want = format!("levels have the numbers 0 to {}", self.state.levels.len() - 1);
            return Err(Error::input("level", level, want));
        };
        let part = Partial::of(&self.state.sampler, self.state.second.as_ref(), level, episode)?;
        if let Some(reward) = episode.reward {
            known.best = Some(known.best.map_or(reward, |best| best.max(reward)));
        }
        let merged = match self.state.partial.iter().position(|old| (old.actor, old.level) == (part.actor, part.level))
        {
            Some(at) => self.state.partial.swap_remove(at).and(&part),
            None => part,
        };
        if episode.done {
            self.settle(&merged);
        } else {
            self.state.partial.push(merged);
        }
        Ok(self.state.levels[level].score)
    }

    /// To be called when the policy has changed: episodes that go on are scored by what was told of them, and what comes is
    /// counted apart, since the values that the parts were measured with are no longer those of the critic.
    pub fn updated(&mut self) {
        let mut parts = std::mem::take(&mut self.state.partial);
        parts.sort_by_key(|part| (part.level, part.actor));
        parts.iter().for_each(|part| self.settle(part));
    }

    /// Gives a level a score that was made elsewhere.
    ///
    /// # Errors
    /// An unknown level, a score that is not finite.
    pub fn set_score(&mut self, level: usize, score: f64) -> Result<()> {
        if level >= self.len() || !score.is_finite() {
            return Err(Error::input("score", format!("{score} for level {level}"), "give a number for a known level"));
        }
        self.state.levels[level].score = Some(score);
        self.place(level);
        Ok(())
    }

    /// Offers a new level, whose episode was played without learning from it; the slot that it got, if any. The score is that of
    /// the second law where there is one.
    ///
    /// A level enters if its score is above 0 and there is room, or if it is above the lowest of those that entered before it,
    /// whose slot it gets. The first levels stay.
    ///
    /// # Errors
    /// As [`tell`](Self::tell).
    pub fn propose(&mut self, episode: &Episode<'_>) -> Result<Option<usize>> {
        let slot = self.len();
        let part = Partial::of(&self.state.sampler, self.state.second.as_ref(), slot, episode)?;
        let mut level = LevelState { drawn: Some(self.state.draws), best: episode.reward, ..LevelState::default() };
        level.update(&part, &self.state.sampler, self.state.second.as_ref());
        let score = level.second.or(level.score).unwrap_or(0.0);
        if score <= 0.0 {
            return Ok(None);
        }
        let slot = if slot < self.state.capacity {
            slot
        } else {
            let law = self.second.as_ref().unwrap_or(&self.first);
            let lowest = law.upwards().find(|slot| *slot >= self.state.initial);
            let score_of = |slot: usize| self.state.levels[slot].second.or(self.state.levels[slot].score);
            match lowest {
                Some(lowest) if score_of(lowest) < Some(score) => lowest,
                _ => return Ok(None),
            }
        };
        if slot == self.len() {
            self.state.levels.push(level);
        } else {
            self.state.levels[slot] = level;
            self.state.partial.retain(|part| part.level != slot);
        }
        self.place(slot);
        Ok(Some(slot))
    }

    /// The share of the second law.
    ///
    /// # Errors
    /// Outside [0, 1].
    pub fn set_eta(&mut self, eta: f64) -> Result<()> {
        if !(0.0..=1.0).contains(&eta) {
            return Err(Error::input("eta", eta, "use 0 to 1"));
        }
        self.state.eta = eta;
        Ok(())
    }

    /// The probability of each slot in a replay; levels without a score have none. O(n).
    ///
    /// # Errors
    /// No level has a score.
    pub fn weights(&self) -> Result<Vec<f64>> {
        if self.first.len() == 0 {
            let want = "none has been played and told yet, so there is nothing to replay";
            return Err(Error::input("levels with a score", 0, want));
        }
        let mut weights = vec![0.0; self.len()];
        let by = stale(self.state.draws);
        let counts = self.draws.sum(&by);
        let staleness = if counts > 0.0 { self.state.sampler.staleness } else { 0.0 };
        let eta = self.second.as_ref().filter(|second| second.len() > 0).map_or(0.0, |_| self.state.eta);
        self.first.add((1.0 - staleness) * (1.0 - eta), &mut weights);
        if let Some(second) = &self.second {
            second.add((1.0 - staleness) * eta, &mut weights);
        }
        for (slot, weight) in weights.iter_mut().enumerate().filter(|_| staleness > 0.0) {
            let [counted, last, _] = self.draws.get(slot);
            *weight += staleness * (counted * by[0] + last * by[1]) / counts;
        }
        Ok(weights)
    }

    fn settle(&mut self, part: &Partial) {
        if let Some(level) = self.state.levels.get_mut(part.level) {
            level.update(part, &self.state.sampler, self.state.second.as_ref());
            self.place(part.level);
        }
    }

    /// Puts what the state says of a slot into the laws.
    fn place(&mut self, slot: usize) {
        let level = &self.state.levels[slot];
        let (initial, drawn) = (slot < self.state.initial, level.drawn.unwrap_or(0));
        let mut counted = 0.0;
        if let Some(score) = level.score
            && (initial || self.second.is_none())
        {
            self.first.set(slot, score);
            counted = 1.0;
        }
        if let (Some(score), Some(law)) = (level.second, &mut self.second) {
            law.set(slot, score);
        }
        let fresh = f64::from(u8::from(initial && level.drawn.is_none() && level.score.is_none()));
        self.draws.set(slot, [counted, counted * drawn as f64, fresh]);
    }
}

/// Picks of the three numbers of a slot: never drawn, and staleness after so many draws.
const FRESH: [f64; 3] = [0.0, 0.0, 1.0];
fn stale(draws: u64) -> [f64; 3] {
    [draws as f64, -1.0, 0.0]
}

#[cfg(test)]
mod tests;
