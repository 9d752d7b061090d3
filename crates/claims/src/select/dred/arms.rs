//! The ways to choose and to make levels.

use super::{MOSS, PATTERNS, Plan, Tuned, WALLS};
use crate::Figure;
use crate::trial::Quiet;
use quadrat_core::{Progress, Result, Rng, Seed, checkpoint};
use quadrat_select::levels::{
    Curriculum, Episode, Grid, Learner, LevelBuffer, LevelGenerator, LevelSampler, Likeness, Ppo, RandomEdits,
    Strategy, UniformRandom, pattern_divergence,
};
use quadrat_select::{Added, Dred};

/// An arm of the experiment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Arm {
    Uniform,
    Replay,
    Interpolated,
    Shuffled,
    Random,
    Edits,
    Easiest,
}

/// What a training left.
pub(super) struct Trained {
    pub learner: Learner,
    /// Levels beside the given ones.
    pub added: Vec<Grid>,
}

impl Arm {
    pub const MAIN: [Arm; 3] = [Arm::Uniform, Arm::Replay, Arm::Interpolated];
    pub const OTHERS: [Arm; 4] = [Arm::Shuffled, Arm::Random, Arm::Edits, Arm::Easiest];
    pub const ALL: [Arm; 7] =
        [Arm::Uniform, Arm::Replay, Arm::Interpolated, Arm::Shuffled, Arm::Random, Arm::Edits, Arm::Easiest];

    pub fn name(self) -> &'static str {
        match self {
            Arm::Uniform => "uniform draws",
            Arm::Replay => "replay by value loss",
            Arm::Interpolated => "VAE-DRED",
            Arm::Shuffled => "replay with scores shuffled",
            Arm::Random => "random tiles",
            Arm::Edits => "edits without support",
            Arm::Easiest => "EL-DRED",
        }
    }

    /// Trains an agent on the levels `given`.
    pub fn train(
        self,
        plan: &Plan,
        given: &[Grid],
        tuned: Tuned,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Trained> {
        let ppo = Ppo { rate: tuned.rate, ..plan.ppo };
        let beta = if matches!(self, Arm::Interpolated | Arm::Easiest) { tuned.dred } else { tuned.plr };
        let sampler = LevelSampler { beta, ..LevelSampler::default() };
        let usual = Dred { sampler, vae: plan.vae, offered: OFFERED, ..Dred::default() };
        let by_dred = |dred: Dred| {
            let quiet = Quiet(progress);
            let trained = dred.train(given, ppo, plan.rules, plan.steps, seed, &quiet)?;
            let added = trained.buffer.levels()[given.len()..].to_vec();
            Ok(Trained { learner: trained.learner, added })
        };
        match self {
            Arm::Uniform => {
                let sampler = LevelSampler { strategy: Strategy::Uniform, staleness: 0.0, ..sampler };
                by_dred(Dred { added: Added::Nothing, sampler, ..usual })
            }
            Arm::Replay => by_dred(Dred { added: Added::Nothing, ..usual }),
            Arm::Interpolated => by_dred(usual),
            Arm::Easiest => by_dred(Dred { added: Added::Edited, ..usual }),
            Arm::Shuffled => {
                let replay = sampler.start(given.len(), given.len(), seed.stream("replay"))?;
                let mut buffer = LevelBuffer::new(given.to_vec(), replay)?;
                let learner = cycles(plan, ppo, &mut buffer, seed, progress, |buffer, _, rng| {
                    buffer.updated();
                    shuffle(buffer, rng)
                })?;
                Ok(Trained { learner, added: Vec::new() })
            }
            Arm::Edits => {
                // One law over the whole buffer: what is given has no more weight than what is added.
                let sampler = LevelSampler { strategy: Strategy::GroundedValueL1, ..sampler };
                let replay = sampler.start(given.len(), usual.capacity, seed.stream("replay"))?;
                let mut buffer = LevelBuffer::new(given.to_vec(), replay)?;
                let learner = cycles(plan, ppo, &mut buffer, seed, progress, |buffer, learner, rng| {
                    let parents = buffer.easiest(4);
                    if !parents.is_empty() {
                        let new = RandomEdits { edits: usual.edits }.generate(&parents, OFFERED, rng)?;
                        buffer.consider(new, learner, Seed(rng.next_u64()))?;
                    }
                    buffer.updated();
                    Ok(())
                })?;
                let added = buffer.levels()[given.len()..].to_vec();
                Ok(Trained { learner, added })
            }
            Arm::Random => {
                let mut fresh = Fresh { like: given[..1].to_vec(), rng: seed.stream("random tiles").rng(0) };
                let learner = cycles(plan, ppo, &mut fresh, seed, progress, |_, _, _| Ok(()))?;
                let added = UniformRandom.generate(given, 300, &mut seed.stream("seen").rng(0))?;
                Ok(Trained { learner, added })
            }
        }
    }
}

/// Levels offered to a buffer after an update.
const OFFERED: usize = 16;

/// The updates of a training, with what is done `after` each.
fn cycles<C: Curriculum>(
    plan: &Plan,
    ppo: Ppo,
    curriculum: &mut C,
    seed: Seed,
    progress: &dyn Progress,
    after: impl Fn(&mut C, &Learner, &mut Rng) -> Result<()>,
) -> Result<Learner> {
    let mut learner = ppo.start(plan.rules, curriculum, seed.stream("agent"))?;
    for cycle in 0..plan.steps.div_ceil(ppo.steps()) {
        checkpoint(progress)?;
        learner.update(curriculum)?;
        after(curriculum, &learner, &mut seed.stream("after").rng(cycle as u64))?;
    }
    Ok(learner)
}

/// Gives every level the score of another, whichever.
fn shuffle(buffer: &mut LevelBuffer, rng: &mut Rng) -> Result<()> {
    let scored = |(slot, level): (usize, &quadrat_select::levels::LevelState)| Some((slot, level.score?));
    let scores: Vec<(usize, f64)> = buffer.replay.state().levels.iter().enumerate().filter_map(scored).collect();
    let mut values: Vec<f64> = scores.iter().map(|(_, score)| *score).collect();
    rng.shuffle(&mut values);
    scores.iter().zip(values).try_for_each(|((slot, _), score)| buffer.replay.set_score(*slot, score))
}

/// A new random level for every episode.
struct Fresh {
    like: Vec<Grid>,
    rng: Rng,
}

impl Curriculum for Fresh {
    fn next(&mut self) -> Result<(usize, Grid)> {
        let level = UniformRandom.generate(&self.like, 1, &mut self.rng)?.pop();
        Ok((0, level.unwrap_or_else(|| self.like[0].clone())))
    }

    fn played(&mut self, _level: usize, _episode: &Episode<'_>) -> Result<()> {
        Ok(())
    }
}

/// How like the given levels others are.
pub(super) fn likeness(arm: &str, levels: &[Grid], given: &[Grid]) -> Vec<Figure> {
    let like = Likeness::of(levels);
    let figures = [(MOSS, like.moss_distance), (WALLS, like.walls), (PATTERNS, pattern_divergence(levels, given))];
    figures.map(|(metric, value)| (arm.to_owned(), metric.to_owned(), value)).into()
}
