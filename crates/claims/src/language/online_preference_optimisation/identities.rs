//! What must hold whatever is drawn.

use crate::Trial;
use ndarray::array;
use quadrat_core::{Evidence, Result};
use quadrat_language::align::RegularisedGame;
use quadrat_language::objective::{Group, Judged, PreferenceLoss, Preferred, SequenceObjective};

/// Puts them on record.
pub fn identities(evidence: &mut Evidence, trial: &Trial) -> Result<()> {
    let cycle = array![[0.5, 0.9, 0.2], [0.1, 0.5, 0.7], [0.8, 0.3, 0.5]];
    let game = RegularisedGame::new(cycle.clone(), vec![0.6, 0.3, 0.1], 0.1)?;
    let nash = game.nash(1e-12)?;
    for (answer, value) in [0.4534849783, 0.1488411615, 0.3976738603].into_iter().enumerate() {
        evidence.identity(&format!("reference equilibrium, answer {}", answer + 1), nash[answer], value, 1e-9);
    }
    evidence.identity("its duality gap", game.duality_gap(&nash)?, 0.0, 1e-12);
    evidence.identity("offline IPO's gap there", game.duality_gap(&game.respond(game.anchor())?)?, 0.133417, 1e-6);
    evidence.identity("the anchor's, which is less", game.duality_gap(game.anchor())?, 0.122063, 1e-6);
    evidence.identity("IPO-MD's at beta 0.25", game.duality_gap(&game.mixture_point(0.25, 1e-12)?)?, 0.010804, 1e-6);

    // The gradient of online IPO over all pairs, times -tau/4, is that of self-play: pi (a - mean a), a = p(y > pi) - tau d(y).
    let mut rng = trial.seed.stream("identities").rng(0);
    let raw: Vec<f64> = (0..3).map(|_| rng.normal().exp()).collect();
    let policy: Vec<f64> = raw.iter().map(|p| p / raw.iter().sum::<f64>()).collect();
    let logs: Vec<f64> = policy.iter().map(|p| p.ln()).collect();
    let anchor: Vec<f64> = game.anchor().iter().map(|p| p.ln()).collect();
    let mut pull = [0.0; 3];
    let objective = Preferred { loss: PreferenceLoss::Ipo, tau: game.tau() };
    for first in 0..3 {
        for second in 0..3 {
            let judged = [Judged { first, second, preference: cycle[[first, second]] }];
            let own = objective.pull(&Group { policy: &logs, anchor: &anchor, judged: &judged })?;
            pull.iter_mut().zip(own.weights).for_each(|(sum, w)| *sum += policy[first] * policy[second] * w);
        }
    }
    let wins = game.against(&policy)?;
    let gain: Vec<f64> = (0..3).map(|y| wins[y] - game.tau() * (logs[y] - anchor[y])).collect();
    let mean: f64 = policy.iter().zip(&gain).map(|(p, a)| p * a).sum();
    for y in 0..3 {
        let name = format!("-tau/4 of online IPO's gradient is that of self-play, answer {}", y + 1);
        evidence.identity(&name, -game.tau() / 4.0 * pull[y], policy[y] * (gain[y] - mean), 1e-12);
    }
    Ok(())
}
