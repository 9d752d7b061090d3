//! The methods in a table of K answers, with sampled gradients: what can be checked against exact equilibria.

use super::game::{check_beta, normalised};
use super::{RegularisedGame, Source, Way};
use crate::objective::{Group, Judged, Pull, log_sum_exp};
use quadrat_core::{Error, Result, Rng, Seed};

/// Learns a policy's logits from draws and verdicts alone, as a network would.
///
/// Every step draws `batch` pairs, the judge gives each a verdict, and Adam without momentum (β₁ = 0, β₂ = 0.999) takes one step
/// along Σᵢ wᵢ ∇ ln π(yᵢ); the rate falls to 0 over the last quarter. Offline methods draw as many pairs as there are answers
/// squared, twenty times, once, from the anchor.
///
/// ```
/// use ndarray::array;
/// use quadrat_core::Seed;
/// use quadrat_language::align::{RegularisedGame, TableLearner, Way};
/// let game = RegularisedGame::new(array![[0.5, 0.9], [0.1, 0.5]], vec![0.2, 0.8], 0.5)?;
/// let learnt = TableLearner::default().learn(&game, Way::OnlineIpo, Seed(1))?;
/// assert!(game.duality_gap(&learnt.policy)? < 0.01);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TableLearner {
    /// The anchor's share β in mixtures.
    pub beta: f64,
    /// Pairs a step.
    pub batch: usize,
    /// Steps.
    pub steps: usize,
    /// First learning rate, of the logits.
    pub rate: f64,
}

impl Default for TableLearner {
    /// β 0.125, 128 pairs, 1,000 steps at a rate of 0.03.
    fn default() -> Self {
        TableLearner { beta: 0.125, batch: 128, steps: 1000, rate: 0.03 }
    }
}

/// What was learnt.
#[derive(Debug, Clone, PartialEq)]
pub struct Learnt {
    /// The policy after the last step.
    pub policy: Vec<f64>,
    /// The policy after each tenth of the steps.
    pub path: Vec<Vec<f64>>,
}

/// Pairs of an offline set, as a multiple of the table's size.
const OFFLINE: usize = 20;

impl TableLearner {
    /// The policy that a method learns in a game, from the anchor on.
    ///
    /// # Errors
    /// Settings out of range, or an anchor that never gives some answer: logarithms of its probabilities are needed.
    pub fn learn(&self, game: &RegularisedGame, way: Way, seed: Seed) -> Result<Learnt> {
        self.check(game)?;
        let objective = way.objective(game.tau());
        let log_anchor: Vec<f64> = game.anchor().iter().map(|p| p.ln()).collect();
        let mut logits = log_anchor.clone();
        let mut squares = vec![0.0; logits.len()];
        let count = OFFLINE * logits.len() * logits.len();
        let kept = draw(game, [game.anchor(), game.anchor()], count, &mut seed.stream("offline").rng(0));
        let mut path = Vec::with_capacity(10);
        for step in 0..self.steps {
            let mut rng = seed.stream("steps").rng(step as u64);
            let policy = normalised(logits.clone());
            let pairs = match way.source(self.beta) {
                Source::Offline => (0..self.batch).map(|_| kept[rng.below(kept.len())]).collect(),
                Source::Online => draw(game, [&policy, &policy], self.batch, &mut rng),
                Source::Mixture { beta } => {
                    let mixture = game.mixture(&policy, beta)?;
                    let first = if way.draws_first_from_policy() { &policy } else { &mixture };
                    draw(game, [first, &mixture], self.batch, &mut rng)
                }
            };
            let whole = log_sum_exp(logits.iter().copied());
            let log_policy: Vec<f64> = logits.iter().map(|v| v - whole).collect();
            // Answers are their own sequences here: a pair names two rows of the table.
            let group = Group { policy: &log_policy, anchor: &log_anchor, judged: &pairs };
            self.step(&mut logits, &mut squares, &policy, &objective.pull(&group)?, step);
            if (step + 1) * 10 / self.steps > path.len() {
                path.push(normalised(logits.clone()));
            }
        }
        Ok(Learnt { policy: normalised(logits), path })
    }

    /// One step of Adam without momentum along Σ w ∇ ln π, whose entry y is w(y) − π(y) Σ w.
    fn step(&self, logits: &mut [f64], squares: &mut [f64], policy: &[f64], pull: &Pull, step: usize) {
        let all: f64 = pull.weights.iter().sum();
        let left = 1.0 - step as f64 / self.steps as f64;
        let rate = self.rate * (4.0 * left).min(1.0);
        let unbiased = 1.0 - 0.999_f64.powi(step as i32 + 1);
        for (y, logit) in logits.iter_mut().enumerate() {
            let gradient = pull.weights[y] - policy[y] * all;
            squares[y] = 0.999 * squares[y] + 0.001 * gradient * gradient;
            *logit -= rate * gradient / ((squares[y] / unbiased).sqrt() + 1e-8);
        }
    }

    fn check(&self, game: &RegularisedGame) -> Result<()> {
        check_beta(self.beta)?;
        if self.batch == 0 || self.steps == 0 {
            return Err(Error::input(
                "batch and steps",
                format!("{} and {}", self.batch, self.steps),
                "at least 1 each",
            ));
        }
        if !(self.rate.is_finite() && self.rate > 0.0) {
            return Err(Error::input("rate", self.rate, "a positive number"));
        }
        match game.anchor().iter().position(|p| *p == 0.0) {
            Some(y) => {
                Err(Error::input("anchor", format!("0 for answer {}", y + 1), "more: logits are learnt from it on"))
            }
            None => Ok(()),
        }
    }
}

/// Judged pairs of answers, each side from its law.
fn draw(game: &RegularisedGame, laws: [&[f64]; 2], pairs: usize, rng: &mut Rng) -> Vec<Judged> {
    let verdict = |_| {
        let [first, second] = laws.map(|law| rng.weighted(law));
        let preference = if rng.uniform() < game.preferences()[[first, second]] { 1.0 } else { 0.0 };
        Judged { first, second, preference }
    };
    (0..pairs).map(verdict).collect()
}
