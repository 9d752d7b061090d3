//! What must hold whatever the run.

use ndarray::{Array1, array};
use quadrat_core::{Evidence, Result, Seed};
use quadrat_select::levels::{Episode, Family, LevelSampler, ReplayState, Steps, advantages, slerp};

/// Draws behind the check of a frequency.
const DRAWS: usize = 4000;

pub(super) fn add(evidence: &mut Evidence, seed: Seed) -> Result<()> {
    let mut rng = seed.rng(0);
    // Scores 0.5, 0.1, 0.9, 0.3 and staleness 0, 3, 1, 2, up to a common factor of the scores.
    let scale = 0.1 + rng.uniform();
    for (beta, expected) in [(0.1, 0.749305), (1.0, 0.386), (0.3, 0.666884)] {
        let mut replay = LevelSampler { beta, ..LevelSampler::default() }.start(4, 4, seed)?;
        for (level, score) in [0.5, 0.1, 0.9, 0.3].iter().enumerate() {
            replay.tell(level, &Episode::whole(Steps::Advantages(&[score * scale])))?;
        }
        let mut state: ReplayState = replay.state().clone();
        state.draws = 4;
        state.levels.iter_mut().zip([4, 1, 3, 2]).for_each(|(level, drawn)| level.drawn = Some(drawn));
        let replay = state.resume()?;
        let weights = replay.weights()?;
        evidence.identity(&format!("probability of the highest score, beta {beta}"), weights[2], expected, 1e-6);
        evidence.identity(&format!("sum of probabilities, beta {beta}"), weights.iter().sum(), 1.0, 1e-12);
        let mut hits = 0.0;
        for draw in 0..DRAWS {
            let mut other = replay.state().clone();
            other.seed = rng.next_u64().wrapping_add(draw as u64);
            hits += f64::from(u8::from(other.resume()?.ask() == 2));
        }
        // Six standard errors: a false alarm once in 10^9.
        let tolerance = 6.0 * (expected * (1.0 - expected) / DRAWS as f64).sqrt();
        evidence.identity(&format!("share of draws, beta {beta}"), hits / DRAWS as f64, expected, tolerance);
    }

    let told: Vec<f64> = (0..12).map(|_| rng.normal()).collect();
    let mut whole = LevelSampler::default().start(1, 1, seed)?;
    let mut cut = whole.clone();
    let score = whole.tell(0, &Episode::whole(Steps::Advantages(&told)))?.unwrap_or(f64::NAN);
    let mut last = f64::NAN;
    for (from, to) in [(0, 3), (3, 4), (4, 12)] {
        let episode = Episode { done: to == 12, ..Episode::whole(Steps::Advantages(&told[from..to])) };
        last = cut.tell(0, &episode)?.unwrap_or(f64::NAN);
    }
    evidence.identity("score of an episode in three pieces and in one", last, score, 1e-12);

    let [rewards, values]: [Vec<f64>; 2] = [(); 2].map(|()| (0..6).map(|_| rng.normal()).collect());
    let ends = vec![None; 6];
    let gamma = 0.9;
    let whole = advantages(&rewards, &values, &ends, 0.7, gamma, 1.0)[0];
    let mut factor = 1.0;
    let mut sum = -values[0];
    for reward in &rewards {
        sum += factor * reward;
        factor *= gamma;
    }
    evidence.identity("advantage at lambda 1, and return less value", whole, sum + factor * 0.7, 1e-12);
    let step = advantages(&rewards, &values, &ends, 0.7, gamma, 0.0)[0];
    evidence.identity(
        "advantage at lambda 0, and error over one step",
        step,
        rewards[0] + gamma * values[1] - values[0],
        1e-12,
    );

    let point: Array1<f64> = slerp(array![1.0, 0.0, 0.0].view(), array![0.0, 2.0, 0.0].view(), 0.25);
    evidence.identity("slerp, first coordinate", point[0], 0.923880, 1e-6);
    evidence.identity("slerp, second coordinate", point[1], 0.765367, 1e-6);

    let mut unsolved = 0.0;
    for family in [Family::Rooms, Family::Corridors, Family::Caves, Family::Crossings] {
        for _ in 0..50 {
            unsolved += f64::from(u8::from(family.draw(7, &mut rng)?.way().is_none()));
        }
    }
    evidence.identity("levels of the families without a way", unsolved, 0.0, 0.0);
    Ok(())
}
