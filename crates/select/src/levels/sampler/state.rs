//! What a replay remembers, as plain data.

use super::{Episode, LevelSampler, Priority, Replay, Steps, Strategy, SumTree};
use quadrat_core::{Error, Result, Seed};
use serde::{Deserialize, Serialize};

/// Everything that a [`Replay`] goes on from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplayState {
    /// The settings.
    pub sampler: LevelSampler,
    /// Those of the second law.
    pub second: Option<LevelSampler>,
    /// The second law's share.
    pub eta: f64,
    /// Seed of the draws.
    pub seed: u64,
    /// Draws so far.
    pub draws: u64,
    /// Levels that were there at first, and stay.
    pub initial: usize,
    /// The most levels.
    pub capacity: usize,
    /// The levels by slot.
    pub levels: Vec<LevelState>,
    /// Episodes that go on.
    pub partial: Vec<Partial>,
}

/// What is known of a level.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct LevelState {
    /// Its score; none before an episode ended.
    pub score: Option<f64>,
    /// Its score in the second law.
    pub second: Option<f64>,
    /// The number of its last draw, from 1; none before the first.
    pub drawn: Option<u64>,
    /// The best return of an episode.
    pub best: Option<f64>,
}

/// A part of an episode that goes on: sums over its steps for either law.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Partial {
    /// Who plays.
    pub actor: usize,
    /// On which level.
    pub level: usize,
    /// Steps so far.
    pub steps: usize,
    /// Sum for the score.
    pub sum: f64,
    /// Sum for the score in the second law.
    pub second: f64,
}

impl ReplayState {
    pub(super) fn new(sampler: LevelSampler, initial: usize, capacity: usize, seed: Seed) -> Self {
        ReplayState {
            sampler,
            second: None,
            eta: 0.0,
            seed: seed.0,
            draws: 0,
            initial,
            capacity,
            levels: vec![LevelState::default(); initial],
            partial: Vec::new(),
        }
    }

    /// Goes on from this state. O(n log n).
    ///
    /// # Errors
    /// A state that no replay can have; see [`LevelSampler::start`].
    pub fn resume(self) -> Result<Replay> {
        if self.initial == 0 {
            return Err(Error::input("levels", 0, "give at least 1 level"));
        }
        if self.capacity < self.initial || self.capacity > u32::MAX as usize {
            let want = format!("the {} levels there are at first must fit; at most 2^32 - 1", self.initial);
            return Err(Error::input("capacity", self.capacity, want));
        }
        [Some(&self.sampler), self.second.as_ref()].into_iter().flatten().try_for_each(LevelSampler::check)?;
        let numbers = self.levels.iter().flat_map(|level| [level.score, level.second, level.best]).flatten();
        let sums = self.partial.iter().flat_map(|part| [part.sum, part.second]);
        let fits = (self.initial..=self.capacity).contains(&self.levels.len())
            && (0.0..=1.0).contains(&self.eta)
            && numbers.chain(sums).all(f64::is_finite)
            && self.partial.iter().all(|part| part.level < self.levels.len() && part.steps > 0)
            && self.levels.iter().all(|level| level.drawn.is_none_or(|drawn| drawn <= self.draws));
        if !fits {
            let want = "levels, numbers and draws do not go together: start a new one";
            return Err(Error::input("state", "what no replay leaves behind", want));
        }
        let law = |sampler: &LevelSampler| Priority::new(sampler.transform, sampler.beta);
        let (first, second) = (law(&self.sampler), self.second.as_ref().map(law));
        let levels = self.levels.len();
        let mut replay = Replay { state: self, first, second, draws: SumTree::default() };
        // The last first, so that the tree grows once.
        (0..levels).rev().for_each(|slot| replay.place(slot));
        Ok(replay)
    }
}

impl LevelSampler {
    fn check(&self) -> Result<()> {
        let inside = |what: &str, value: f64, open: bool| {
            let fits = (0.0..=1.0).contains(&value) && !(open && value == 0.0);
            let want = if open { "use a number above 0, at most 1" } else { "use 0 to 1" };
            if fits { Ok(()) } else { Err(Error::input(what, value, want)) }
        };
        if !(self.beta > 0.0 && self.beta.is_finite()) {
            return Err(Error::input("beta", self.beta, "use a number above 0"));
        }
        inside("staleness", self.staleness, false)?;
        inside("alpha", self.alpha, true)?;
        inside("rho", self.rho, false)?;
        inside("replay", self.replay, false)
    }
}

impl LevelState {
    /// Takes the scores of an episode.
    pub(super) fn update(&mut self, part: &Partial, first: &LevelSampler, second: Option<&LevelSampler>) {
        let solved = self.best.is_some_and(|best| best > 0.0);
        let merge = |old: Option<f64>, sum: f64, sampler: &LevelSampler| {
            let grounded = sampler.strategy == Strategy::GroundedValueL1 && !solved;
            let new = if grounded { 0.0 } else { sum / part.steps as f64 };
            Some(old.map_or(new, |old| (1.0 - sampler.alpha) * old + sampler.alpha * new))
        };
        self.score = merge(self.score, part.sum, first);
        if let Some(second) = second {
            self.second = merge(self.second, part.second, second);
        }
    }
}

impl Partial {
    /// The sums over the steps of `episode` that the strategies need.
    pub(super) fn of(
        first: &LevelSampler,
        second: Option<&LevelSampler>,
        level: usize,
        episode: &Episode<'_>,
    ) -> Result<Self> {
        let (sum, steps) = first.strategy.sum(level, &episode.steps)?;
        let second = second.map_or(Ok(0.0), |law| law.strategy.sum(level, &episode.steps).map(|(sum, _)| sum))?;
        if episode.reward.is_some_and(|reward| !reward.is_finite()) {
            let got = format!("{:?}", episode.reward);
            return Err(Error::input(format!("return on level {level}"), got, "give a finite number"));
        }
        Ok(Partial { actor: episode.actor, level, steps, sum, second })
    }

    pub(super) fn and(self, other: &Partial) -> Partial {
        let (sum, second) = (self.sum + other.sum, self.second + other.second);
        Partial { steps: self.steps + other.steps, sum, second, ..*other }
    }
}

impl Strategy {
    /// The sum over the steps, and their number.
    fn sum(self, level: usize, steps: &Steps<'_>) -> Result<(f64, usize)> {
        use Strategy::{GroundedValueL1, LeastConfidence, Loss, MinMargin, OneStepTd, PolicyEntropy};
        use Strategy::{PositiveValueLoss, SignedValueLoss, Uniform, ValueL1};
        let place = format!("level {level}");
        let advantage = |advantage: f64| match self {
            ValueL1 | GroundedValueL1 => advantage.abs(),
            PositiveValueLoss => advantage.max(0.0),
            SignedValueLoss => advantage,
            _ => 0.0,
        };
        let by_value = matches!(self, ValueL1 | GroundedValueL1 | PositiveValueLoss | SignedValueLoss | Uniform);
        let (sum, count): (f64, usize) = match *steps {
            Steps::Advantages(all) if by_value => (all.iter().map(|a| advantage(*a)).sum(), all.len()),
            Steps::Returns { returns, values } if by_value => {
                if returns.len() != values.len() {
                    let got = format!("{} returns and {} values", returns.len(), values.len());
                    return Err(Error::input(place, got, "give one of each a step"));
                }
                (returns.iter().zip(values).map(|(r, v)| advantage(r - v)).sum(), values.len())
            }
            Steps::TdErrors(all) if self == OneStepTd => (all.iter().map(|e| e.abs()).sum(), all.len()),
            Steps::Losses(all) if self == Loss => (all.iter().sum(), all.len()),
            Steps::Policies(all) if matches!(self, PolicyEntropy | MinMargin | LeastConfidence) => {
                let each = all.iter().map(|policy| self.doubt(&place, policy));
                (each.sum::<Result<f64>>()?, all.len())
            }
            Steps::Advantages(all) | Steps::TdErrors(all) | Steps::Losses(all) if self == Uniform => (0.0, all.len()),
            Steps::Policies(all) if self == Uniform => (0.0, all.len()),
            _ => {
                let needs = match self {
                    OneStepTd => "the critic's errors over one step",
                    PolicyEntropy | MinMargin | LeastConfidence => "the probabilities of the actions",
                    Loss => "losses",
                    _ => "advantages, or returns and values",
                };
                let want = format!("the strategy {} needs {needs}", quadrat_core::Choice::name(self));
                return Err(Error::input(place, "steps of another kind", want));
            }
        };
        if count == 0 {
            return Err(Error::input(place, "no steps", "tell at least 1 step"));
        }
        if !sum.is_finite() {
            return Err(Error::input(place, "a number that is not finite", "the trainer may have diverged"));
        }
        Ok((sum, count))
    }

    /// How unsure a policy is, 0 to 1.
    fn doubt(self, place: &str, policy: &[f64]) -> Result<f64> {
        let whole = policy.iter().sum::<f64>();
        if policy.len() < 2 || whole.is_nan() || (whole - 1.0).abs() >= 1e-3 || policy.iter().any(|p| *p < 0.0) {
            let got = format!("{policy:?}");
            return Err(Error::input(place, got, "give probabilities of at least 2 actions that sum to 1"));
        }
        let (mut first, mut second) = (0.0_f64, 0.0_f64);
        for p in policy {
            second = second.max(p.min(first));
            first = first.max(*p);
        }
        Ok(match self {
            Strategy::PolicyEntropy => {
                let entropy: f64 = policy.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum();
                entropy / (policy.len() as f64).ln()
            }
            Strategy::MinMargin => 1.0 - (first - second),
            _ => 1.0 - first,
        })
    }
}
