//! Episodes of an agent that learns nothing from them.

use super::{advantages, choose};
use crate::levels::agent::Agent;
use crate::levels::grid::Grid;
use crate::levels::world::{Action, Rules, Seen, World};
use ndarray::{Array2, Axis};
use quadrat_core::{Error, Result, Rng, Seed};

/// An episode that nothing was learnt from.
#[derive(Debug, Clone, PartialEq)]
pub struct Rehearsal {
    /// Generalised advantages, step by step.
    pub advantages: Vec<f64>,
    /// Sum of rewards: above 0 if the goal was reached.
    pub reward: f64,
    /// What was seen: ones' places, a row a step.
    pub seen: Array2<u16>,
}

/// One episode of `agent` on each level, its actions drawn by their probabilities.
///
/// # Errors
/// As [`Rules::check`].
pub fn rehearse(
    agent: &Agent<f32>,
    rules: &Rules,
    levels: &[Grid],
    gamma: f64,
    lambda: f64,
    seed: Seed,
) -> Result<Vec<Rehearsal>> {
    let ones = rules.ones();
    let mut sights = vec![Seen::Hidden; rules.view * rules.view];
    let mut worlds = levels.iter().map(|level| World::new(*rules, level)).collect::<Result<Vec<_>>>()?;
    let mut tracks: Vec<Track> = levels.iter().map(|_| Track::default()).collect();
    // A level's actions depend on the level's number alone, not on which others are still going on.
    let mut draws: Vec<Rng> = (0..levels.len() as u64).map(|level| seed.stream("rehearsal").rng(level)).collect();
    let mut going: Vec<usize> = (0..levels.len()).collect();
    while !going.is_empty() {
        let mut hot = Array2::zeros((going.len(), ones));
        for (level, mut row) in going.iter().zip(hot.axis_iter_mut(Axis(0))) {
            if let Some(row) = row.as_slice_mut() {
                worlds[*level].observe(&mut sights, row);
                tracks[*level].seen.extend_from_slice(row);
            }
        }
        let outputs = agent.outputs(hot.view());
        let mut rows = outputs.axis_iter(Axis(0));
        going.retain(|level| {
            let (track, Some(row)) = (&mut tracks[*level], rows.next()) else { return false };
            let (action, _, value) = choose(row, &mut draws[*level]);
            if track.cut {
                track.last = value;
                return false;
            }
            let outcome = worlds[*level].act(Action::ALL[action]);
            track.values.push(value);
            track.rewards.push(outcome.reward);
            track.ends.push(outcome.ended.then_some(0.0));
            // Where only the limit ends it, the value of what would come is still to be seen.
            track.cut = outcome.cut;
            !outcome.ended
        });
    }
    let rehearsal = |mut track: Track| {
        track.seen.truncate(track.rewards.len() * ones);
        let seen = Array2::from_shape_vec((track.rewards.len(), ones), track.seen);
        Ok(Rehearsal {
            advantages: advantages(&track.rewards, &track.values, &track.ends, track.last, gamma, lambda),
            reward: track.rewards.iter().sum(),
            seen: seen.map_err(|e| Error::numeric("views", e.to_string()))?,
        })
    };
    tracks.into_iter().map(rehearsal).collect()
}

/// An episode as it goes.
#[derive(Default)]
struct Track {
    seen: Vec<u16>,
    rewards: Vec<f64>,
    values: Vec<f64>,
    ends: Vec<Option<f64>>,
    cut: bool,
    last: f64,
}
