//! Proximal policy optimisation on a stream of levels.
//!
//! Schulman et al. 2017, arXiv 1707.06347, with generalised advantages (Schulman et al. 2016, arXiv 1506.02438).

mod rehearsal;

pub use rehearsal::{Rehearsal, rehearse};

use super::agent::{Agent, Step, Student, Weights, softmax};
use super::grid::Grid;
use super::sampler::{Episode, Steps};
use super::world::{Action, Rules, Seen, World};
use ndarray::{Array2, ArrayView1, Axis};
use quadrat_core::{Error, Result, Rng, Seed, Settings};

/// Settings of the training.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct Ppo {
    /// Environments that are played side by side.
    #[param(default = 16, from = 1)]
    pub environments: usize,
    /// Moves of each between two updates.
    #[param(default = 128, from = 1)]
    pub moves: usize,
    /// Passes over the moves in an update.
    #[param(default = 4, from = 1)]
    pub epochs: usize,
    /// Steps of the optimiser in a pass.
    #[param(default = 4, from = 1)]
    pub batches: usize,
    /// Step size of Adam.
    #[param(default = 0.001, above = 0)]
    pub rate: f64,
    /// Discount of what comes later.
    #[param(default = 0.995, above = 0, to = 1)]
    pub gamma: f64,
    /// Trust in rewards against values: 1 takes what came, 0 the critic's word on the next step.
    #[param(default = 0.95, from = 0, to = 1)]
    pub lambda: f64,
    /// How far an action's probability may move in an update, as a share of itself.
    #[param(default = 0.2, above = 0)]
    pub clip: f64,
    /// Weight of the policy's entropy.
    #[param(default = 0.01, from = 0)]
    pub entropy: f64,
    /// Units of the first hidden layer.
    #[param(default = 128, from = 1)]
    pub first: usize,
    /// Units of the second hidden layer.
    #[param(default = 64, from = 1)]
    pub second: usize,
}

/// Weight of the value's error in the loss, and the longest slope, both as usual.
const VALUE: f64 = 0.5;
const LONGEST: f64 = 0.5;

/// What decides which levels are played.
pub trait Curriculum {
    /// The next level of an environment, and the number by which it will be told.
    ///
    /// # Errors
    /// The curriculum's own.
    fn next(&mut self) -> Result<(usize, Grid)>;

    /// What a level told: an episode, or a part of it that the end of the moves cut.
    ///
    /// # Errors
    /// The curriculum's own.
    fn played(&mut self, level: usize, episode: &Episode<'_>) -> Result<()>;
}

/// An agent in training, with its environments.
pub struct Learner {
    ppo: Ppo,
    rules: Rules,
    student: Student,
    places: Vec<Place>,
    seed: Seed,
    updates: u64,
}

/// An environment.
struct Place {
    world: World,
    level: usize,
    /// Of the episode so far.
    reward: f64,
}

/// A level that was played until before move `to`, or goes on after the last.
#[derive(Clone)]
struct Played {
    level: usize,
    to: usize,
    /// Return, if it ended.
    reward: Option<f64>,
}

/// Rows of an update: for each move of each environment (environments side by side) what was seen, done and got.
struct Moves {
    hot: Array2<u16>,
    action: Vec<usize>,
    log: Vec<f32>,
    value: Vec<f64>,
    reward: Vec<f64>,
    /// Worth of what would have come after an episode's end: 0, or the value where only the limit ended it.
    end: Vec<Option<f64>>,
}

impl Ppo {
    /// A new agent; each environment takes a level of the curriculum.
    ///
    /// # Errors
    /// As [`Rules::check`]; settings of which nothing can be made; the curriculum's own.
    pub fn start(self, rules: Rules, curriculum: &mut dyn Curriculum, seed: Seed) -> Result<Learner> {
        rules.check()?;
        for (what, count) in [
            ("environments", self.environments),
            ("moves", self.moves),
            ("epochs", self.epochs),
            ("batches", self.batches),
            ("first", self.first),
            ("second", self.second),
        ] {
            if count == 0 {
                return Err(Error::input(what, 0, "use at least 1"));
            }
        }
        let mut rng = seed.stream("agent").rng(0);
        let student = Student::new(Agent::random(&rules, [self.first, self.second], &mut rng));
        let place = |_| {
            let (level, grid) = curriculum.next()?;
            Ok(Place { world: World::new(rules, &grid)?, level, reward: 0.0 })
        };
        let places = (0..self.environments).map(place).collect::<Result<_>>()?;
        Ok(Learner { ppo: self, rules, student, places, seed, updates: 0 })
    }

    /// Moves of one update.
    pub fn steps(&self) -> usize {
        self.environments * self.moves
    }
}

impl Learner {
    /// The agent as it is now.
    pub fn agent(&self) -> &Agent<f32> {
        &self.student.agent
    }

    /// Plays, tells the curriculum, and learns. One thread; the same bits from the same seed.
    ///
    /// # Errors
    /// The curriculum's own.
    pub fn update(&mut self, curriculum: &mut dyn Curriculum) -> Result<()> {
        let (n, Ppo { moves, gamma, lambda, .. }) = (self.places.len(), self.ppo);
        let (played, last, told) = self.play(curriculum)?;
        let mut steps = Vec::with_capacity(n * moves);
        steps.resize(n * moves, Step { action: 0, log: 0.0, advantage: 0.0, target: 0.0 });
        for actor in 0..n {
            let of = |list: &[f64]| list.iter().skip(actor).step_by(n).copied().collect::<Vec<f64>>();
            let ends: Vec<Option<f64>> = played.end.iter().skip(actor).step_by(n).copied().collect();
            let values = of(&played.value);
            let advantages = advantages(&of(&played.reward), &values, &ends, last[actor], gamma, lambda);
            let mut from = 0;
            for Played { level, to, reward } in &told[actor] {
                if *to > from {
                    let steps = Steps::Advantages(&advantages[from..*to]);
                    let episode = Episode { steps, reward: *reward, done: reward.is_some(), actor };
                    curriculum.played(*level, &episode)?;
                }
                from = *to;
            }
            for (at, (advantage, value)) in advantages.iter().zip(&values).enumerate() {
                let row = at * n + actor;
                steps[row] = Step {
                    action: played.action[row],
                    log: played.log[row],
                    advantage: *advantage as f32,
                    target: (advantage + value) as f32,
                };
            }
        }
        self.learn(&played, &steps);
        self.updates += 1;
        Ok(())
    }

    /// The moves of all environments, the value of where each is at last, and the episodes of each.
    fn play(&mut self, curriculum: &mut dyn Curriculum) -> Result<(Moves, Vec<f64>, Vec<Vec<Played>>)> {
        let (n, moves, ones) = (self.places.len(), self.ppo.moves, self.rules.ones());
        let rows = n * moves;
        let mut played = Moves {
            hot: Array2::zeros((rows, ones)),
            action: Vec::with_capacity(rows),
            log: Vec::with_capacity(rows),
            value: Vec::with_capacity(rows),
            reward: Vec::with_capacity(rows),
            end: Vec::with_capacity(rows),
        };
        let mut told = vec![Vec::new(); n];
        let mut rng = self.seed.stream("actions").rng(self.updates);
        let mut sights = vec![Seen::Hidden; self.rules.view * self.rules.view];
        let (mut cut, mut finals) = (Vec::new(), Vec::new());
        for at in 0..moves {
            let mut hot = played.hot.slice_mut(ndarray::s![at * n..(at + 1) * n, ..]);
            for (place, mut hot) in self.places.iter().zip(hot.axis_iter_mut(Axis(0))) {
                place.world.observe(&mut sights, hot.as_slice_mut().unwrap_or(&mut []));
            }
            let outputs = self.student.agent.outputs(hot.view());
            for (actor, place) in self.places.iter_mut().enumerate() {
                let (action, log, value) = choose(outputs.row(actor), &mut rng);
                let outcome = place.world.act(Action::ALL[action]);
                place.reward += outcome.reward;
                let ends = outcome.ended || outcome.cut;
                if outcome.cut && !outcome.ended {
                    let first = finals.len();
                    finals.resize(first + ones, 0);
                    place.world.observe(&mut sights, &mut finals[first..]);
                    cut.push(at * n + actor);
                }
                played.action.push(action);
                played.log.push(log);
                played.value.push(value);
                played.reward.push(outcome.reward);
                played.end.push(ends.then_some(0.0));
                if ends {
                    told[actor].push(Played { level: place.level, to: at + 1, reward: Some(place.reward) });
                    let (level, grid) = curriculum.next()?;
                    place.world.reset(&grid);
                    (place.level, place.reward) = (level, 0.0);
                }
            }
        }
        for (place, told) in self.places.iter().zip(&mut told) {
            told.push(Played { level: place.level, to: moves, reward: None });
        }
        // Values of where the limit ended an episode, and of where each environment is now.
        let first = finals.len();
        finals.resize(first + n * ones, 0);
        for (place, hot) in self.places.iter().zip(finals[first..].chunks_exact_mut(ones)) {
            place.world.observe(&mut sights, hot);
        }
        let finals = Array2::from_shape_vec((cut.len() + n, ones), finals);
        let finals = finals.map_err(|e| Error::numeric("last views", e.to_string()))?;
        let values = self.student.agent.outputs(finals.view());
        let value = |row: usize| f64::from(values[[row, Action::ALL.len()]]);
        cut.iter().enumerate().for_each(|(at, row)| played.end[*row] = Some(value(at)));
        let last = (0..n).map(|actor| value(cut.len() + actor)).collect();
        Ok((played, last, told))
    }

    fn learn(&mut self, played: &Moves, steps: &[Step<f32>]) {
        let Ppo { epochs, batches, rate, clip, entropy, .. } = self.ppo;
        let mut order: Vec<usize> = (0..steps.len()).collect();
        let mut rng = self.seed.stream("batches").rng(self.updates);
        for _ in 0..epochs {
            rng.shuffle(&mut order);
            for batch in order.chunks(steps.len().div_ceil(batches)) {
                let hot = played.hot.select(Axis(0), batch);
                let mut steps: Vec<Step<f32>> = batch.iter().map(|row| steps[*row]).collect();
                standardise(&mut steps);
                let weights = Weights { clip, entropy, value: VALUE };
                self.student.learn(hot.view(), &steps, weights, rate, LONGEST);
            }
        }
    }

    /// One episode of the agent on each level, without learning: see [`rehearse`].
    ///
    /// # Errors
    /// As [`rehearse`].
    pub fn rehearse(&self, levels: &[Grid], seed: Seed) -> Result<Vec<Rehearsal>> {
        let Ppo { gamma, lambda, .. } = self.ppo;
        rehearse(&self.student.agent, &self.rules, levels, gamma, lambda, seed)
    }
}

/// An action by its probabilities, the logarithm of its probability, and the value.
fn choose(row: ArrayView1<f32>, rng: &mut Rng) -> (usize, f32, f64) {
    let policy = softmax(&std::array::from_fn::<f32, { Action::ALL.len() }, _>(|a| row[a]));
    let action = rng.weighted(&policy.map(f64::from));
    (action, policy[action].ln(), f64::from(row[Action::ALL.len()]))
}

/// Advantages with mean 0 and variance 1.
fn standardise(steps: &mut [Step<f32>]) {
    let n = steps.len() as f64;
    let mean = steps.iter().map(|step| f64::from(step.advantage)).sum::<f64>() / n;
    let square = steps.iter().map(|step| (f64::from(step.advantage) - mean).powi(2)).sum::<f64>() / n;
    let scale = 1.0 / (square.sqrt() + 1e-8);
    steps.iter_mut().for_each(|step| step.advantage = ((f64::from(step.advantage) - mean) * scale) as f32);
}

/// Generalised advantages (Schulman et al. 2016, equation 16) of moves in a row, which may be of several episodes: `ends` has,
/// where one ended, the worth of what would have come (0, or a value where only a limit ended it), and `last` is the value
/// after the last move. All lists have one length.
pub fn advantages(
    rewards: &[f64],
    values: &[f64],
    ends: &[Option<f64>],
    last: f64,
    gamma: f64,
    lambda: f64,
) -> Vec<f64> {
    let mut found = vec![0.0; rewards.len()];
    let (mut next, mut later) = (last, 0.0);
    for at in (0..rewards.len()).rev() {
        if let Some(worth) = ends[at] {
            (next, later) = (worth, 0.0);
        }
        later = rewards[at] + gamma * next - values[at] + gamma * lambda * later;
        found[at] = later;
        next = values[at];
    }
    found
}

#[cfg(test)]
mod tests;
