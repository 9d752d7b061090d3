//! Levels with the replay that chooses among them, as a curriculum.

use super::grid::Grid;
use super::ppo::{Curriculum, Learner};
use super::sampler::{Episode, Replay, Steps};
use quadrat_core::{Error, Result, Seed};
use std::collections::BTreeMap;

/// Levels by slot. An environment is told of a level by a number that no other level ever gets, so that what it says of one that has
/// left is not taken for its successor's.
#[derive(Debug, Clone)]
pub struct LevelBuffer {
    /// Scores and draws, by slot.
    pub replay: Replay,
    levels: Vec<Grid>,
    /// The number of the level in each slot, and the other way about.
    numbers: Vec<usize>,
    slots: BTreeMap<usize, usize>,
    next: usize,
    /// Levels whose episodes ended since the last update, with return less value loss.
    ended: Vec<(Grid, f64)>,
}

impl LevelBuffer {
    /// A buffer whose slots are `levels`.
    ///
    /// # Errors
    /// A replay of another number of levels.
    pub fn new(levels: Vec<Grid>, replay: Replay) -> Result<Self> {
        if levels.len() != replay.len() {
            let got = format!("{} levels, and a replay of {}", levels.len(), replay.len());
            return Err(Error::input("levels", got, "give both the same number"));
        }
        let numbers: Vec<usize> = (0..levels.len()).collect();
        let slots = numbers.iter().map(|number| (*number, *number)).collect();
        Ok(LevelBuffer { replay, next: levels.len(), levels, numbers, slots, ended: Vec::new() })
    }

    /// The levels by slot.
    pub fn levels(&self) -> &[Grid] {
        &self.levels
    }

    /// Plays each of `levels` once without learning from it and offers it to the replay; how many entered.
    ///
    /// # Errors
    /// As [`Learner::rehearse`] and [`Replay::propose`].
    pub fn consider(&mut self, levels: Vec<Grid>, learner: &Learner, seed: Seed) -> Result<usize> {
        let episodes = learner.rehearse(&levels, seed)?;
        let mut entered = 0;
        for (level, episode) in levels.into_iter().zip(&episodes) {
            let steps = Steps::Advantages(&episode.advantages);
            let told = Episode { reward: Some(episode.reward), ..Episode::whole(steps) };
            let Some(slot) = self.replay.propose(&told)? else { continue };
            if slot == self.levels.len() {
                self.levels.push(level);
                self.numbers.push(self.next);
            } else {
                self.levels[slot] = level;
                self.slots.remove(&std::mem::replace(&mut self.numbers[slot], self.next));
            }
            self.slots.insert(self.next, slot);
            self.next += 1;
            entered += 1;
        }
        Ok(entered)
    }

    /// The `count` levels played since the last [`updated`](Self::updated) that were easiest: highest return less value loss.
    pub fn easiest(&self, count: usize) -> Vec<Grid> {
        let mut ended: Vec<&(Grid, f64)> = self.ended.iter().collect();
        ended.sort_by(|a, b| b.1.total_cmp(&a.1));
        ended.into_iter().take(count).map(|(level, _)| level.clone()).collect()
    }

    /// To be called when the policy has changed: see [`Replay::updated`].
    pub fn updated(&mut self) {
        self.replay.updated();
        self.ended.clear();
    }
}

impl Curriculum for LevelBuffer {
    fn next(&mut self) -> Result<(usize, Grid)> {
        let slot = self.replay.ask();
        Ok((self.numbers[slot], self.levels[slot].clone()))
    }

    fn played(&mut self, level: usize, episode: &Episode<'_>) -> Result<()> {
        let Some(slot) = self.slots.get(&level).copied() else { return Ok(()) };
        self.replay.tell(slot, episode)?;
        if let (Some(reward), Steps::Advantages(all)) = (episode.reward, episode.steps) {
            let loss = all.iter().map(|advantage| advantage.abs()).sum::<f64>() / all.len().max(1) as f64;
            self.ended.push((self.levels[slot].clone(), reward - loss));
        }
        Ok(())
    }
}
