//! DRED: data-regularised environment design.
//!
//! Garcin, Doran, Guo, Lucas and Albrecht, ICML 2024, arXiv 2402.03479. An agent that is trained on few levels learns them by heart;
//! one that is trained on levels of a generator's own taste drifts from the levels it is for. DRED adds levels, but such as a
//! model of the given ones makes, and lets both laws of the replay share the draws:
//!
//! P = (1 - rho_c) [(1 - eta) P_first + eta P_second] + rho_c P_staleness
//!
//! with P_first about the given levels alone, P_second about the whole buffer, and eta rising from 0 over the training.
//!
//! What the claim found: levels between the given ones keep the sign of the moss and close a third of the gap between an agent's own
//! levels and others; replay alone showed no gain on uniform draws at that size.
//!
//! The policy, its sizes and rates are ours (the authors' agent is recurrent and sees a few hundred million steps); so is the dense
//! autoencoder. Replay, buffer, mixture, schedule and the weights of the autoencoder's loss are theirs.

use crate::levels::{
    Grid, Learner, LevelBuffer, LevelGenerator, LevelSampler, Ppo, RandomEdits, Rules, Strategy, Vae, VaeTrainer,
};
use quadrat_core::{Area, Card, Choice, Error, Method, Progress, Result, Seed, Settings, checkpoint};

/// What makes the levels that are added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum Added {
    /// An autoencoder of the given levels, between two of them.
    Interpolated,
    /// Random edits of those just played that were easiest.
    Edited,
    /// None: replay of the given levels alone.
    Nothing,
}

/// Training on given levels and new ones like them.
///
/// ```
/// use quadrat_core::{Seed, Silent};
/// use quadrat_select::Dred;
/// use quadrat_select::levels::{Family, Ppo, Rules, VaeTrainer, draw_levels};
/// let levels = draw_levels(&[Family::Rooms], 6, 4, &mut Seed(1).rng(0))?;
/// let vae = VaeTrainer { latent: 4, hidden: 16, vae_steps: 20, ..VaeTrainer::default() };
/// let ppo = Ppo { environments: 4, moves: 32, ..Ppo::default() };
/// let rules = Rules { view: 5, walls_hide: false, limit: 40 };
/// let trained = Dred { vae, ..Dred::default() }.train(&levels, ppo, rules, 512, Seed(2), &Silent)?;
/// assert_eq!(trained.buffer.levels()[..4], levels);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct Dred {
    /// The replay of the given levels.
    #[param(flatten)]
    pub sampler: LevelSampler,
    /// What makes the levels that are added.
    #[param(default = Added::Interpolated)]
    pub added: Added,
    /// Levels that are made after each update and offered to the buffer.
    #[param(default = 36, from = 1)]
    pub offered: usize,
    /// The most levels in the buffer, the given ones counted.
    #[param(default = 4000, from = 1)]
    pub capacity: usize,
    /// Temperature of the law over the whole buffer, by rank.
    #[param(default = 1.0, above = 0)]
    pub buffer_beta: f64,
    /// Share of that law at the end of the training; it rises from 0.
    #[param(default = 1.0, from = 0, to = 1)]
    pub eta: f64,
    /// Edits of a level.
    #[param(default = 5, from = 1)]
    pub edits: usize,
    /// The autoencoder.
    #[param(flatten)]
    pub vae: VaeTrainer,
}

impl Method for Dred {
    const CARD: Card = Card {
        slug: "dred",
        aliases: &["plr", "vae-dred", "el-dred", "level-replay"],
        title: "DRED: data-regularised environment design with prioritised level replay",
        paper: "Garcin, Doran, Guo, Lucas and Albrecht, ICML 2024, arXiv 2402.03479",
        area: Area::Select,
        verbs: &["levels"],
        summary: "Which level an agent plays next, by how wrong its critic was on it and how long ago it was played; and new \
                  levels between the given ones, made by an autoencoder of them, so that the agent neither learns few levels \
                  by heart nor drifts to levels that never occur. The sampler serves any trainer that can tell a number for \
                  each level or example.",
        useful_when: "reinforcement learning on few levels, curriculum, level generation, procedural maps, zero-shot transfer, \
                      which example to train on next, hard examples first",
        cost: "a draw and an update of the sampler: O(log levels) comparisons, a few microseconds for thousands. Fitting the \
               autoencoder: steps x batch x cells x hidden; a level then takes some microseconds",
        params: Self::PARAMS,
    };
}

/// What a training leaves.
pub struct DredTrained {
    /// The agent.
    pub learner: Learner,
    /// The given levels, those that were added, and their scores.
    pub buffer: LevelBuffer,
}

/// Of the levels just played, those that edits start from.
const EASIEST: usize = 4;

impl Dred {
    /// Trains an agent for `steps` moves (whole updates; levels that are only offered are played in addition).
    ///
    /// # Errors
    /// No level, levels of several sizes, a capacity below their number, settings of which nothing can be made; cancelled.
    pub fn train(
        &self,
        levels: &[Grid],
        ppo: Ppo,
        rules: Rules,
        steps: usize,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<DredTrained> {
        let vae = match self.added {
            Added::Interpolated => Some(self.vae.fit(levels, seed.stream("vae"), progress)?),
            Added::Edited | Added::Nothing => None,
        };
        let mut buffer = self.buffer(levels, seed)?;
        let mut learner = ppo.start(rules, &mut buffer, seed.stream("agent"))?;
        let cycles = steps.div_ceil(ppo.steps());
        progress.begin("training the agent", Some(cycles as u64));
        for cycle in 0..cycles {
            checkpoint(progress)?;
            buffer.replay.set_eta(self.eta * cycle as f64 / cycles.saturating_sub(1).max(1) as f64)?;
            learner.update(&mut buffer)?;
            let seed = seed.stream("offered").stream(&cycle.to_string());
            let offered = self.offer(levels, &buffer, vae.as_ref(), seed)?;
            buffer.consider(offered, &learner, seed)?;
            buffer.updated();
            progress.advance(1);
        }
        Ok(DredTrained { learner, buffer })
    }

    /// The given levels with their replay, and room for others if some are to be added.
    ///
    /// # Errors
    /// No level, a capacity below their number, settings of which nothing can be made.
    pub fn buffer(&self, levels: &[Grid], seed: Seed) -> Result<LevelBuffer> {
        let seed = seed.stream("replay");
        let mut replay = if self.added == Added::Nothing {
            self.sampler.start(levels.len(), levels.len(), seed)?
        } else {
            let strategy = Strategy::GroundedValueL1;
            let second = LevelSampler { strategy, beta: self.buffer_beta, ..LevelSampler::default() };
            self.sampler.start_with(second, levels.len(), self.capacity, seed)?
        };
        // Said before the training, not at its end.
        replay.set_eta(self.eta)?;
        replay.set_eta(0.0)?;
        LevelBuffer::new(levels.to_vec(), replay)
    }

    /// `count` levels like `levels`, as the training would offer them to its buffer; each can be solved, and none is there yet.
    ///
    /// # Errors
    /// As [`train`](Self::train); [`Added::Nothing`]; where the generator gives nothing new any more.
    pub fn generate(&self, levels: &[Grid], count: usize, seed: Seed, progress: &dyn Progress) -> Result<Vec<Grid>> {
        match self.added {
            Added::Interpolated => {
                let vae = self.vae.fit(levels, seed.stream("vae"), progress)?;
                new_levels(&vae, levels, count, seed, progress)
            }
            Added::Edited => new_levels(&RandomEdits { edits: self.edits }, levels, count, seed, progress),
            Added::Nothing => Err(Error::input("added", "nothing", "name what makes levels: interpolated or edited")),
        }
    }

    fn offer(&self, levels: &[Grid], buffer: &LevelBuffer, vae: Option<&Vae<f32>>, seed: Seed) -> Result<Vec<Grid>> {
        let mut rng = seed.stream("new").rng(0);
        match (self.added, vae) {
            (Added::Interpolated, Some(vae)) => vae.generate(levels, self.offered, &mut rng),
            (Added::Edited, _) => match buffer.easiest(EASIEST) {
                parents if parents.is_empty() => Ok(Vec::new()),
                parents => RandomEdits { edits: self.edits }.generate(&parents, self.offered, &mut rng),
            },
            _ => Ok(Vec::new()),
        }
    }
}

/// `count` levels of a generator that can be solved and are not among `levels` nor twice among themselves.
///
/// # Errors
/// The generator's own; it made a hundred times as many, or ten thousand, without enough that are new and can be solved;
/// cancelled.
pub fn new_levels(
    generator: &dyn LevelGenerator,
    levels: &[Grid],
    count: usize,
    seed: Seed,
    progress: &dyn Progress,
) -> Result<Vec<Grid>> {
    let mut known: std::collections::HashSet<Grid> = levels.iter().cloned().collect();
    let (mut new, mut made) = (Vec::with_capacity(count), 0);
    let most = (100 * count).max(10_000);
    progress.begin("making levels", Some(count as u64));
    let mut rng = seed.stream("new levels").rng(0);
    while new.len() < count {
        checkpoint(progress)?;
        if made >= most {
            let got = format!("{} of {count} after {made} tries", new.len());
            let want = "too few are new and can be solved: ask for fewer, or give more and more varied levels";
            return Err(Error::input("new levels", got, want));
        }
        let batch = generator.generate(levels, (count - new.len()).max(64), &mut rng)?;
        made += batch.len();
        let fits = batch.into_iter().filter(|level| level.way().is_some() && known.insert(level.clone()));
        let before = new.len();
        new.extend(fits.take(count - before));
        progress.advance((new.len() - before) as u64);
    }
    Ok(new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::levels::{Family, UniformRandom, draw_levels};
    use quadrat_core::Silent;

    fn small() -> (Vec<Grid>, Dred, Ppo, Rules) {
        let levels = draw_levels(&[Family::Rooms, Family::Caves], 6, 6, &mut Seed(1).rng(0)).unwrap();
        let vae =
            VaeTrainer { latent: 8, hidden: 32, vae_steps: 150, batch: 12, vae_rate: 3e-3, ..VaeTrainer::default() };
        let dred = Dred { vae, offered: 12, capacity: 20, ..Dred::default() };
        let ppo = Ppo { environments: 4, moves: 64, first: 32, second: 16, ..Ppo::default() };
        (levels, dred, ppo, Rules { view: 5, walls_hide: false, limit: 40 })
    }

    /// The given levels stay, those that enter were solved once and can be solved, and the same seed gives the same bits whatever
    /// the threads.
    #[test]
    fn a_training_adds_levels_that_can_be_solved() {
        let (levels, dred, ppo, rules) = small();
        for added in [Added::Interpolated, Added::Edited, Added::Nothing] {
            let dred = Dred { added, ..dred };
            let run = || {
                let trained = dred.train(&levels, ppo, rules, 8 * 256, Seed(3), &Silent).unwrap();
                (
                    trained.learner.agent().clone(),
                    trained.buffer.levels().to_vec(),
                    trained.buffer.replay.state().clone(),
                )
            };
            let (agent, buffer, state) = run();
            assert_eq!(buffer[..6], levels);
            assert!(buffer.len() <= if added == Added::Nothing { 6 } else { 20 });
            assert!(added == Added::Nothing || buffer.len() > 6, "{added:?}: {}", buffer.len());
            for (level, known) in buffer.iter().zip(&state.levels).skip(6) {
                assert!(level.way().is_some() && known.best.is_some_and(|best| best > 0.0), "{added:?}\n{level}");
            }
            assert_eq!(state.eta, if added == Added::Nothing { state.eta } else { 1.0 });
            let two = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
            assert!(two.install(run) == (agent, buffer, state));
        }
    }

    #[test]
    fn new_levels_are_new_and_can_be_solved() {
        let (levels, dred, ..) = small();
        for added in [Added::Interpolated, Added::Edited] {
            let new = Dred { added, ..dred }.generate(&levels, 20, Seed(4), &Silent).unwrap();
            let all: std::collections::HashSet<&Grid> = levels.iter().chain(&new).collect();
            assert_eq!((new.len(), all.len()), (20, 26));
            assert!(new.iter().all(|level| level.way().is_some()));
        }
        assert_eq!(new_levels(&UniformRandom, &levels, 30, Seed(5), &Silent).unwrap().len(), 30);
        // Two cells have two headings too few.
        let two = [Grid::parse(">G\n").unwrap()];
        let error = new_levels(&UniformRandom, &two, 9, Seed(5), &Silent).unwrap_err().to_string();
        assert!(error.starts_with("new levels: got 7 of 9"), "{error}");
    }

    #[test]
    fn what_is_typed_becomes_the_settings() {
        let read = |params: &[(&str, &str)]| Dred::from_params(&params.iter().copied().collect());
        assert_eq!(read(&[]).unwrap(), Dred::default());
        for param in Dred::PARAMS {
            assert_eq!(read(&[(param.name, param.default)]).unwrap(), Dred::default(), "{}", param.name);
            assert!(read(&[(param.name, "no such value")]).is_err(), "{}", param.name);
        }
    }

    #[test]
    fn trainings_of_nothing_are_told() {
        let (levels, dred, ppo, rules) = small();
        let says = |dred: Dred, levels: &[Grid], words: &str| {
            let error = dred.train(levels, ppo, rules, 256, Seed(0), &Silent).err().unwrap().to_string();
            assert!(error.contains(words), "{error}");
        };
        says(dred, &[], "at least 1 level");
        says(Dred { added: Added::Nothing, ..dred }, &[], "at least 1 level");
        says(Dred { capacity: 5, ..dred }, &levels, "capacity: got 5");
        says(Dred { sampler: LevelSampler { staleness: 2.0, ..dred.sampler }, ..dred }, &levels, "staleness");
        says(Dred { eta: 2.0, added: Added::Edited, ..dred }, &levels, "eta");
        assert!(Dred { added: Added::Nothing, ..dred }.generate(&levels, 1, Seed(0), &Silent).is_err());
    }
}
