//! The policy's gradient from a group of games at one parameter.
//!
//! E[(L - b) sum_t grad log pi(x_t | s_t)] + grad L, where L is the expected loss over the policy's own distribution of
//! answers (so that its gradient is exact) and b the mean loss of the other games at the same parameter. The same by theta:
//! E[(L - b) sum_t grad log f(y_t | x_t, theta)] + grad L.

use crate::learned_active::learned::{Board, features};
use crate::learned_active::network::{ANSWER, Network, draw};
use crate::learned_active::{Game, LearnedPolicy, QueryProblem};
use quadrat_core::Rng;

/// Games at one parameter in a step: the others give each its baseline.
pub(super) const GROUP: usize = 8;

/// What a group of games at one parameter says.
pub(in crate::learned_active) struct Group {
    /// Mean loss.
    pub loss: f64,
    /// Gradient of the expected loss by the weights.
    pub slope: Network,
    /// And by theta.
    pub theta_slope: Vec<f64>,
}

/// Memory of a group of games, used again and again.
pub(in crate::learned_active) struct Tape<'a> {
    policy: &'a LearnedPolicy,
    board: Board<'a>,
    /// [game][t][x][f], [game][t][x], and what was asked and heard.
    features: Vec<f32>,
    queries: Vec<f32>,
    asked: Vec<(usize, f64)>,
    /// [game][z][2] and [game][z].
    answer_features: Vec<f32>,
    answers: Vec<f32>,
    losses: Vec<f64>,
    slope: Vec<f32>,
    means: Vec<f64>,
    costs: Vec<f32>,
}

impl<'a> Tape<'a> {
    pub fn new(policy: &'a LearnedPolicy) -> Self {
        let (n, z, steps) = (policy.queries(), policy.answers(), GROUP * policy.budget);
        Tape {
            policy,
            board: policy.board(),
            features: vec![0.0; steps * n * features(&policy.grid)],
            queries: vec![0.0; steps * n],
            asked: vec![(0, 0.0); steps],
            answer_features: vec![0.0; GROUP * z * ANSWER],
            answers: vec![0.0; GROUP * z],
            losses: vec![0.0; GROUP],
            slope: vec![0.0; n.max(z)],
            means: vec![0.0; n],
            costs: vec![0.0; z],
        }
    }

    /// Plays a group of games at `theta` and returns the gradients.
    pub fn group(&mut self, problem: &dyn QueryProblem, theta: &[f64], rng: &mut Rng) -> Group {
        let family = problem.family();
        self.means.iter_mut().enumerate().for_each(|(x, mean)| *mean = problem.mean(theta, x));
        self.costs.iter_mut().enumerate().for_each(|(z, cost)| *cost = problem.loss(z, theta) as f32);
        let (n, z, budget) = (self.policy.queries(), self.policy.answers(), self.policy.budget);
        let width = n * features(&self.policy.grid);
        for game in 0..GROUP {
            self.board.restart();
            for t in 0..budget {
                let at = game * budget + t;
                // Without repeats the budget is at most N, so that a query is always left.
                self.board.look();
                self.features[at * width..][..width].copy_from_slice(&self.board.features);
                self.queries[at * n..][..n].copy_from_slice(&self.board.queries);
                let x = draw(&self.board.queries, rng);
                let y = family.sample(self.means[x], rng);
                self.asked[at] = (x, y);
                // The grid was made from this problem: its replies fit.
                let _ = self.board.tell(x, Some(y));
            }
            self.board.conclude();
            self.answer_features[game * z * ANSWER..][..z * ANSWER].copy_from_slice(&self.board.answer_features);
            self.answers[game * z..][..z].copy_from_slice(&self.board.answers);
            let cost = self.board.answers.iter().zip(&self.costs).map(|(q, cost)| f64::from(q * cost)).sum();
            self.losses[game] = cost;
        }
        self.gradients(problem, theta)
    }

    fn gradients(&mut self, problem: &dyn QueryProblem, theta: &[f64]) -> Group {
        let network = &self.policy.network;
        let (n, z, budget) = (self.policy.queries(), self.policy.answers(), self.policy.budget);
        let width = n * features(&self.policy.grid);
        let total: f64 = self.losses.iter().sum();
        let mut group =
            Group { loss: total / GROUP as f64, slope: network.zeros(), theta_slope: vec![0.0; theta.len()] };
        let share = 1.0 / GROUP as f64;
        for game in 0..GROUP {
            // L - b with the mean of the other games: L - (total - L) / (m - 1).
            let advantage = share * (self.losses[game] - (total - self.losses[game]) / (GROUP - 1) as f64);
            for t in 0..budget {
                let at = game * budget + t;
                let (x, y) = self.asked[at];
                let slope = &mut self.slope[..n];
                // d log pi(x) / d logit = [x] - pi.
                slope.iter_mut().zip(&self.queries[at * n..]).for_each(|(s, p)| *s = -(advantage as f32) * p);
                slope[x] += advantage as f32;
                let features = &self.features[at * width..][..width];
                network.query_backward(features, slope, &mut self.board.hidden, &mut group.slope);
                let score = advantage * problem.family().score(self.means[x], y);
                problem.grad_mean(theta, x, score, &mut group.theta_slope);
            }
            let (slope, q) = (&mut self.slope[..z], &self.answers[game * z..][..z]);
            let loss = self.losses[game] as f32;
            let by_answer = slope.iter_mut().zip(q).zip(&self.costs);
            by_answer.for_each(|((s, q), cost)| *s = share as f32 * q * (cost - loss));
            let features = &self.answer_features[game * z * ANSWER..][..z * ANSWER];
            network.answer_backward(features, slope, &mut group.slope);
            for (z, q) in q.iter().enumerate() {
                problem.grad_loss(z, theta, share * f64::from(*q), &mut group.theta_slope);
            }
        }
        group
    }
}
