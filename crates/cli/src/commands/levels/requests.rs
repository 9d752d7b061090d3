//! What a trainer says to the sampler, a JSON object a line, and what it is told.

use quadrat::select::levels::{Episode, LevelSampler, Replay, ReplayState, Steps};
use quadrat::{Error, Result, Seed};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::path::Path;

/// The levels' names by slot, and their replay: the file of `--state`.
#[derive(Serialize, Deserialize)]
pub struct StateFile {
    pub levels: Vec<String>,
    pub replay: ReplayState,
}

/// A sampler that knows its levels by name.
pub struct Named {
    names: Vec<String>,
    slots: HashMap<String, usize>,
    pub replay: Replay,
}

/// A line of the trainer's.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    /// Names of levels to play next, so many.
    ask: Option<usize>,
    /// How an episode on this level went.
    tell: Option<String>,
    /// A new level that was played once without learning from it.
    propose: Option<String>,
    /// The policy has changed.
    #[serde(default)]
    updated: bool,
    /// All probabilities.
    #[serde(default)]
    weights: bool,
    advantages: Option<Vec<f64>>,
    returns: Option<Vec<f64>>,
    values: Option<Vec<f64>>,
    td_errors: Option<Vec<f64>>,
    policies: Option<Vec<Vec<f64>>>,
    losses: Option<Vec<f64>>,
    #[serde(rename = "return")]
    reward: Option<f64>,
    #[serde(default = "yes")]
    done: bool,
    #[serde(default)]
    actor: usize,
}

fn yes() -> bool {
    true
}

/// The most levels that one line may ask for.
const MOST: usize = 1 << 20;

impl Named {
    pub fn new(names: Vec<String>, capacity: usize, sampler: LevelSampler, seed: Seed) -> Result<Self> {
        let replay = sampler.start(names.len(), capacity, seed)?;
        Ok(Named::of(names, replay))
    }

    /// Goes on from a file, if it is about levels of the folder and has the same settings.
    pub fn resume(file: StateFile, path: &Path, folder: &[String], fresh: &ReplayState) -> Result<Self> {
        let what = || path.display().to_string();
        let StateFile { levels, replay } = file;
        if replay.sampler != fresh.sampler || replay.seed != fresh.seed || replay.capacity != fresh.capacity {
            let got =
                format!("a sampler with seed {}, capacity {} and settings of its own", replay.seed, replay.capacity);
            return Err(Error::input(what(), got, "repeat that command to go on with it, or name another --state"));
        }
        if let Some(gone) = levels.iter().find(|name| folder.binary_search(name).is_err()) {
            let want = "it is a level of the state: put it back, or name another --state";
            return Err(Error::input(format!("--levels, `{gone}`"), "no such file", want));
        }
        if levels.len() != replay.levels.len() {
            return Err(Error::input(what(), "names and scores of different lengths", "start a new one"));
        }
        Ok(Named::of(levels, replay.resume()?))
    }

    fn of(names: Vec<String>, replay: Replay) -> Self {
        let slots = names.iter().cloned().enumerate().map(|(slot, name)| (name, slot)).collect();
        Named { names, slots, replay }
    }

    pub fn file(&self) -> StateFile {
        StateFile { levels: self.names.clone(), replay: self.replay.state().clone() }
    }

    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The answer to a line, and whether the policy has changed.
    pub fn answer(&mut self, line: &str) -> Result<(Value, bool)> {
        let request: Request = serde_json::from_str(line).map_err(|e| {
            Error::input("request", e, "write one JSON object a line; `quadrat levels sample --help` has them")
        })?;
        let kinds = [
            request.ask.is_some(),
            request.tell.is_some(),
            request.propose.is_some(),
            request.updated,
            request.weights,
        ];
        if kinds.iter().filter(|is| **is).count() != 1 {
            let want = "say one of ask, tell, propose, updated and weights in a line";
            return Err(Error::input("request", line.trim(), want));
        }
        if let Some(count) = request.ask {
            if !(1..=MOST).contains(&count) {
                return Err(Error::input("ask", count, format!("ask for 1 to {MOST} levels")));
            }
            let levels: Vec<String> = (0..count).map(|_| self.names[self.replay.ask()].clone()).collect();
            return Ok((json!({ "levels": levels }), false));
        }
        if request.updated {
            self.replay.updated();
            return Ok((json!({ "updated": true }), true));
        }
        if request.weights {
            let weights = self.replay.weights()?;
            let named: Map<String, Value> =
                self.names.iter().cloned().zip(weights.into_iter().map(Value::from)).collect();
            return Ok((json!({ "weights": named }), false));
        }
        let episode =
            Episode { steps: request.steps()?, reward: request.reward, done: request.done, actor: request.actor };
        if let Some(name) = &request.tell {
            let Some(slot) = self.slots.get(name) else {
                return Err(Error::input("tell", format!("`{name}`"), "name a level that was asked for"));
            };
            let score = self.replay.tell(*slot, &episode).map_err(|e| named(e, name))?;
            return Ok((json!({ "level": name, "score": score }), false));
        }
        let name = request.propose.clone().unwrap_or_default();
        self.propose(name, &episode)
    }

    fn propose(&mut self, name: String, episode: &Episode<'_>) -> Result<(Value, bool)> {
        if name.is_empty() || self.slots.contains_key(&name) {
            return Err(Error::input("propose", format!("`{name}`"), "name a level that is not there yet"));
        }
        if !episode.done {
            return Err(Error::input("propose", "an episode that goes on", "play it to its end"));
        }
        let slot = self.replay.propose(episode).map_err(|e| named(e, &name))?;
        let mut left = None;
        if let Some(slot) = slot {
            self.slots.insert(name.clone(), slot);
            if slot == self.names.len() {
                self.names.push(name.clone());
            } else {
                let old = std::mem::replace(&mut self.names[slot], name.clone());
                self.slots.remove(&old);
                left = Some(old);
            }
        }
        Ok((json!({ "level": name, "entered": slot.is_some(), "left": left }), false))
    }
}

/// The library counts levels; the trainer knows their names.
fn named(error: Error, name: &str) -> Error {
    match error {
        Error::Input { got, want, .. } => Error::Input { what: format!("level `{name}`"), got, want },
        other => other,
    }
}

impl Request {
    fn steps(&self) -> Result<Steps<'_>> {
        let (advantages, td_errors) = (self.advantages.as_deref().map(Steps::Advantages), self.td_errors.as_deref());
        let returns = match (&self.returns, &self.values) {
            (Some(returns), Some(values)) => Some(Steps::Returns { returns, values }),
            (None, None) => None,
            _ => return Err(Error::input("request", "one of returns and values", "give both, or advantages")),
        };
        let given = [
            advantages,
            returns,
            td_errors.map(Steps::TdErrors),
            self.policies.as_deref().map(Steps::Policies),
            self.losses.as_deref().map(Steps::Losses),
        ];
        let mut given = given.into_iter().flatten();
        match (given.next(), given.next()) {
            (Some(steps), None) => Ok(steps),
            (first, _) => {
                let got = if first.is_none() { "no steps" } else { "two kinds of steps" };
                let want = "give one of advantages, returns with values, td_errors, policies and losses";
                Err(Error::input("request", got, want))
            }
        }
    }
}
