//! The learned policy: features of the belief, a softmax over queries, a softmax over answers.
//!
//! Choices of ours, the paper's network being unknown to us: a query's features are what its reply would tell about theta
//! (over all groups of the grid, and under each group alone), how certain the reply is, how often it was asked and how
//! far its replies agree; those of the game are the share of questions spent, the belief in each group, and the best
//! answer's chance. A policy is drawn from, not maximised: against an adversary it must not be foreseeable.

use super::belief::Belief;
use super::network::{ANSWER, Network, answer_features, draw, softmax};
use super::{Family, Game, Grid, QueryPolicy};
use quadrat_core::{Error, Result, Rng};
use serde::{Deserialize, Serialize};

/// A policy that a [`Trainer`](super::Trainer) made. Written with serde it is a small file that stands for itself: the
/// problem is not needed to play.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Saved", into = "Saved")]
pub struct LearnedPolicy {
    pub(super) grid: Grid,
    pub(super) budget: usize,
    pub(super) no_repeat: bool,
    pub(super) network: Network,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    questions: usize,
    no_repeat: bool,
    network: Network,
    grid: Grid,
}

impl From<LearnedPolicy> for Saved {
    fn from(LearnedPolicy { grid, budget, no_repeat, network }: LearnedPolicy) -> Self {
        Saved { questions: budget, no_repeat, network, grid }
    }
}

impl TryFrom<Saved> for LearnedPolicy {
    type Error = Error;

    fn try_from(Saved { questions, no_repeat, network, grid }: Saved) -> Result<Self> {
        let fits = network.fits(features(&grid), grid.queries(), grid.answers());
        if questions == 0 || !fits || network.hidden() == 0 {
            return Err(Error::input("policy", "weights that do not fit its grid", "the file is damaged"));
        }
        Ok(LearnedPolicy { grid, budget: questions, no_repeat, network })
    }
}

/// Features of a query.
pub(super) fn features(grid: &Grid) -> usize {
    6 + 2 * grid.groups()
}

impl LearnedPolicy {
    /// Number of queries it asks from.
    pub fn queries(&self) -> usize {
        self.grid.queries()
    }

    /// Number of answers it recommends from.
    pub fn answers(&self) -> usize {
        self.grid.answers()
    }

    /// Questions of a game, as it was trained for.
    pub fn questions(&self) -> usize {
        self.budget
    }

    pub(super) fn board(&self) -> Board<'_> {
        let (n, z) = (self.grid.queries(), self.grid.answers());
        Board {
            policy: self,
            belief: Belief::new(&self.grid),
            features: vec![0.0; n * features(&self.grid)],
            hidden: vec![0.0; self.network.hidden()],
            queries: vec![0.0; n],
            answer_features: vec![0.0; z * ANSWER],
            answers: vec![0.0; z],
        }
    }
}

impl QueryPolicy for LearnedPolicy {
    fn start(&self) -> Box<dyn Game + '_> {
        Box::new(self.board())
    }
}

/// A game of the learned policy, with all that training looks at.
pub(super) struct Board<'a> {
    policy: &'a LearnedPolicy,
    belief: Belief<'a>,
    /// [x][f].
    pub features: Vec<f32>,
    pub hidden: Vec<f32>,
    /// Probability of asking each query next, after [`Board::look`].
    pub queries: Vec<f32>,
    /// [z][2].
    pub answer_features: Vec<f32>,
    /// Probability of recommending each answer, after [`Board::conclude`].
    pub answers: Vec<f32>,
}

impl Board<'_> {
    /// The distribution of the next query. False when none is left.
    pub fn look(&mut self) -> bool {
        let Board { policy, belief, features: all, hidden, queries, .. } = self;
        if policy.no_repeat && belief.count.iter().all(|count| *count > 0) {
            return false;
        }
        belief.worth();
        belief.answers();
        let (groups, horizon) = (policy.grid.groups(), policy.budget as f32);
        let best = belief.chance.iter().fold(0.0_f32, |most, p| most.max(*p));
        let spent = belief.asked as f32 / horizon;
        for (x, row) in all.chunks_exact_mut(features(&policy.grid)).enumerate() {
            row[0] = 4.0 * belief.information()[x];
            for group in 0..groups {
                row[1 + group] = 4.0 * belief.information_in(group)[x];
                row[1 + groups + group] = belief.group[group];
            }
            let (count, expected) = (belief.count[x] as f32, belief.expected[x]);
            let mean = if count > 0.0 { belief.sum[x] / count } else { 0.0 };
            let (certain, agree) = match policy.grid.family() {
                Family::Bernoulli => ((2.0 * expected - 1.0).abs(), (2.0 * mean - 1.0).abs()),
                Family::Gaussian => (expected.abs().tanh(), mean.abs().tanh()),
            };
            let rest = [certain, count / horizon, if count > 0.0 { agree } else { 0.0 }, spent, best];
            row[1 + 2 * groups..].copy_from_slice(&rest);
        }
        policy.network.query_logits(all, hidden, queries);
        if policy.no_repeat {
            let asked = queries.iter_mut().zip(&belief.count).filter(|(_, count)| **count > 0);
            asked.for_each(|(logit, _)| *logit = f32::NEG_INFINITY);
        }
        softmax(queries);
        true
    }

    /// The distribution of the answer.
    pub fn conclude(&mut self) {
        let Board { policy, belief, answer_features: all, answers, .. } = self;
        belief.answers();
        for ((row, chance), risk) in all.chunks_exact_mut(ANSWER).zip(&belief.chance).zip(&belief.risk) {
            row.copy_from_slice(&answer_features(*chance, *risk));
        }
        policy.network.answer_logits(all, answers);
        softmax(answers);
    }
}

impl Game for Board<'_> {
    fn restart(&mut self) {
        self.belief.restart();
    }

    fn ask(&mut self, rng: &mut Rng) -> Option<usize> {
        self.look().then(|| draw(&self.queries, rng))
    }

    fn tell(&mut self, query: usize, reply: Option<f64>) -> Result<()> {
        self.belief.tell(query, reply)
    }

    fn recommend(&mut self, rng: &mut Rng) -> usize {
        self.conclude();
        draw(&self.answers, rng)
    }

    fn chances(&mut self) -> Vec<f64> {
        self.belief.answers();
        self.belief.chance.iter().map(|p| f64::from(*p)).collect()
    }
}
