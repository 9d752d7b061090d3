//! Training against an adversary.
//!
//! The policy's step is REINFORCE: games at parameters drawn from the adversary's weights, the gradient
//! E[(L - b) sum_t grad log pi(x_t | s_t)] + grad L, where L is the expected loss over the policy's own distribution of
//! answers (so that its gradient is exact) and b the mean loss of the other games at the same parameter. Adam, with a rate
//! that falls along half a cosine.
//!
//! The adversary holds particles theta_i, each with the offset l*_k of the least level that has it (in step 1: 0). Its
//! weights are a softmax of `sharpness` times the regrets l_i - l*_k, smoothed over steps: what entropy-regularised ascent
//! of the weights ends in. A tenth of the games is spread evenly, so that every estimate stays fresh. Where Theta is finite
//! the particles are all of it. Otherwise they climb the gradient E[(L - b) sum_t grad log f(y_t | x_t, theta)] + grad L
//! and are brought back to the boundary C(theta) = r by scaling, which needs no barrier; they stay within twice the norm of
//! the widest draw, since a policy cannot know of what is far outside its grid; those that the adversary does not use are
//! drawn anew.

use super::learned::{Board, features};
use super::network::{ANSWER, Adam, Network, draw};
use super::{Game, Grid, LearnedPolicy, QueryPolicy, QueryProblem, check_budget, mean_losses};
use quadrat_core::{Error, Progress, Result, Rng, Seed, Settings, checkpoint};
use rayon::prelude::*;

/// How a policy is trained.
///
/// ```
/// use quadrat_core::{Seed, Silent};
/// use quadrat_select::{AnswerTable, QueryPolicy, Trainer};
/// let table = AnswerTable::thresholds(3, &[0.0, 0.1])?;
/// let trained = Trainer { steps: 20, batch: 64, ..Trainer::default() }.train(&table, 2, Seed(1), &Silent)?;
/// assert!(trained.policy.next(&[], &mut Seed(2).rng(0))?.is_some());
/// assert!(trained.levels.iter().all(|level| level.worst < 0.9));
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Settings)]
pub struct Trainer {
    /// r_1 < ... < r_K. Default none: where Theta is finite its largest complexity and halves of it while there is
    /// something to find out, at most 6; else 0.1 T, 0.2 T, ... 1.6 T.
    pub levels: Vec<f64>,
    /// Of training: policy steps at each level of hardness. And at the end.
    #[param(default = 300, from = 1)]
    pub steps: usize,
    /// Of training: games a step.
    #[param(default = 512, from = 8)]
    pub batch: usize,
    /// Of training: hidden units of the network.
    #[param(default = 32, from = 1)]
    pub hidden: usize,
    /// Particles at each level, where Theta is not finite, at least 2.
    #[param(fixed = 64)]
    pub particles: usize,
    /// Adam's step size.
    #[param(fixed = 0.02)]
    pub rate: f64,
    /// How sharply the adversary looks at the largest regret, above 0, in units of 1/loss.
    #[param(fixed = 30.0)]
    pub sharpness: f64,
    /// Whether a query may be asked only once.
    pub no_repeat: bool,
    /// Games at each parameter when worst cases are measured, at least 1.
    #[param(fixed = 1000)]
    pub games: usize,
}

/// A level of hardness after training.
#[derive(Debug, Clone, PartialEq)]
pub struct Level {
    /// r_k.
    pub complexity: f64,
    /// l*_k: the least worst-case loss of any policy trained on the way.
    pub best: f64,
    /// Worst-case loss of the final policy.
    pub worst: f64,
}

/// What training leaves.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// pi*.
    pub policy: LearnedPolicy,
    /// pi_1 ... pi_K, each made for its level.
    pub specialists: Vec<LearnedPolicy>,
    /// What both can do.
    pub levels: Vec<Level>,
}

/// Games at one parameter in a step: the others give each its baseline.
const GROUP: usize = 8;
/// Share of the games that is spread evenly over the particles.
const EVEN: f64 = 0.1;
/// Weight of the newest estimate of a particle's loss.
const NEWEST: f64 = 0.2;
/// Parameters whose worst case is measured again with fresh games.
const FINALISTS: usize = 6;

struct Particle {
    theta: Vec<f64>,
    /// The complexity of its level.
    r: f64,
    /// How far from 0 it may go, where Theta is not finite.
    reach: f64,
    /// l* of its level.
    offset: f64,
    /// Estimate of the policy's loss here.
    loss: f64,
}

impl Trainer {
    /// Trains a policy of `budget` questions. Time O(K steps batch budget queries (grid + features x hidden)).
    ///
    /// # Errors
    /// A game of 0 questions, a setting out of its range, a problem that makes no grid ([`Grid::new`]); cancelled.
    pub fn train(
        &self,
        problem: &dyn QueryProblem,
        budget: usize,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Trained> {
        check_budget(budget)?;
        self.check()?;
        let budget = if self.no_repeat { budget.min(problem.queries()) } else { budget };
        let levels = self.levels_of(problem, budget)?;
        let grid = Grid::new(problem, &levels, seed.stream("grid"))?;
        let mut rng = seed.stream("network").rng(0);
        let network = Network::new(features(&grid), self.hidden, problem.queries(), problem.answers(), 3.0, &mut rng);
        let mut policy = LearnedPolicy { grid, budget, no_repeat: self.no_repeat, network };
        progress.begin("training", Some((self.steps * (levels.len() + 1)) as u64));

        // Step 1: the best policy for each level.
        let mut specialists = Vec::with_capacity(levels.len());
        for (k, r) in levels.iter().enumerate() {
            let seed = seed.stream("level").stream(&k.to_string());
            let mut particles = self.particles(problem, &[(*r, 0.0)], seed);
            self.descend(problem, &mut policy, &mut particles, seed, progress)?;
            specialists.push(policy.clone());
        }
        // l*_k and the warm start: any policy made so far may be the best for a level.
        let mut worst = Vec::with_capacity(levels.len());
        for (at, specialist) in specialists.iter().enumerate() {
            let seed = seed.stream("measure").stream(&at.to_string());
            worst.push(self.worst_cases(problem, specialist, &levels, seed, progress)?);
        }
        let best: Vec<f64> =
            (0..levels.len()).map(|k| worst.iter().map(|worst| worst[k]).fold(f64::INFINITY, f64::min)).collect();
        let regret = |worst: &Vec<f64>| worst.iter().zip(&best).map(|(w, b)| w - b).fold(0.0_f64, f64::max);
        let warm = (0..specialists.len()).rev().min_by(|a, b| regret(&worst[*a]).total_cmp(&regret(&worst[*b])));
        if let Some(warm) = warm {
            policy.clone_from(&specialists[warm]);
        }

        // Step 2: the least regret over all levels.
        let offsets: Vec<(f64, f64)> = levels.iter().copied().zip(best.iter().copied()).collect();
        let seed = seed.stream("regret");
        let mut particles = self.particles(problem, &offsets, seed);
        self.descend(problem, &mut policy, &mut particles, seed, progress)?;
        let worst = self.worst_cases(problem, &policy, &levels, seed.stream("measure"), progress)?;
        let levels = levels.iter().zip(best).zip(worst);
        let levels = levels.map(|((complexity, best), worst)| Level { complexity: *complexity, best, worst }).collect();
        Ok(Trained { policy, specialists, levels })
    }

    fn check(&self) -> Result<()> {
        for (what, value, least) in [
            ("particles", self.particles, 2),
            ("batch", self.batch, GROUP),
            ("steps", self.steps, 1),
            ("hidden", self.hidden, 1),
            ("games", self.games, 1),
        ] {
            if value < least {
                return Err(Error::input(what, value, format!("it must be at least {least}")));
            }
        }
        for (what, value) in [("rate", self.rate), ("sharpness", self.sharpness)] {
            if !(value > 0.0 && value.is_finite()) {
                return Err(Error::input(what, value, "it must be finite and above 0"));
            }
        }
        let positive = self.levels.iter().all(|r| *r > 0.0 && r.is_finite());
        if !(positive && self.levels.windows(2).all(|pair| pair[0] < pair[1])) {
            return Err(Error::input("levels", format!("{:?}", self.levels), "complexities above 0 must ascend"));
        }
        Ok(())
    }

    fn levels_of(&self, problem: &dyn QueryProblem, budget: usize) -> Result<Vec<f64>> {
        let Some(thetas) = problem.parameters() else {
            let usual = [0.1, 0.2, 0.4, 0.8, 1.6].map(|share| share * budget as f64);
            return Ok(if self.levels.is_empty() { usual.to_vec() } else { self.levels.clone() });
        };
        let hardness: Vec<f64> = thetas.iter().map(|theta| problem.complexity(theta)).collect();
        let hardest = hardness.iter().copied().filter(|c| c.is_finite()).fold(0.0_f64, f64::max);
        // A level counts if it has parameters that the one below has not, and more than one best answer.
        let members = |r: f64| hardness.iter().filter(|c| **c <= r * SLACK).count();
        let answers = |r: f64| {
            let inside = thetas.iter().zip(&hardness).filter(|(_, c)| **c <= r * SLACK);
            let mut best: Vec<usize> = inside.map(|(theta, _)| best_answer(problem, theta)).collect();
            best.sort_unstable();
            best.dedup();
            best.len()
        };
        let wanted = match self.levels.as_slice() {
            [] => (0..6).rev().map(|halves| hardest / f64::from(1 << halves)).collect(),
            given => given.to_vec(),
        };
        let mut levels: Vec<f64> = Vec::new();
        for r in wanted {
            if answers(r) > 1 && levels.last().is_none_or(|below| members(*below) < members(r)) {
                levels.push(r);
            }
        }
        if levels.is_empty() {
            let want = "no level has two parameters with different best answers: nothing can be learnt";
            return Err(Error::input("levels", format!("{:?}", self.levels), want));
        }
        Ok(levels)
    }

    /// All of Theta within the largest of `levels` (pairs of r and offset), each with the offset of the least level that
    /// has it; or draws at each level.
    fn particles(&self, problem: &dyn QueryProblem, levels: &[(f64, f64)], seed: Seed) -> Vec<Particle> {
        let particle = |theta, (r, offset): (f64, f64)| Particle { theta, r, reach: 0.0, offset, loss: f64::NAN };
        match problem.parameters() {
            Some(thetas) => {
                let placed = thetas.into_iter().filter_map(|theta| {
                    let c = problem.complexity(&theta);
                    let level = levels.iter().find(|(r, _)| c <= r * SLACK)?;
                    Some(particle(theta, *level))
                });
                placed.collect()
            }
            None => {
                let drawn = |(k, level): (usize, (f64, f64))| {
                    let mut rng = seed.stream("particles").rng(k as u64);
                    let thetas: Vec<Vec<f64>> = (0..self.particles).map(|_| problem.draw(level.0, &mut rng)).collect();
                    let reach = 2.0 * thetas.iter().map(|theta| norm(theta)).fold(0.0, f64::max);
                    thetas.into_iter().map(move |theta| Particle { reach, ..particle(theta, level) })
                };
                levels.iter().copied().enumerate().flat_map(drawn).collect()
            }
        }
    }

    /// `steps` steps of the policy against the adversary.
    fn descend(
        &self,
        problem: &dyn QueryProblem,
        policy: &mut LearnedPolicy,
        particles: &mut [Particle],
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<()> {
        let mut adam = Adam::new(&policy.network);
        self.estimate(problem, policy, particles, seed, progress)?;
        for step in 0..self.steps {
            checkpoint(progress)?;
            let (groups, chosen) = self.round(problem, policy, particles, seed, step);
            let mut slope = policy.network.zeros();
            groups.iter().for_each(|group| slope.add(&group.slope));
            let share = 1.0 / groups.len() as f32;
            slope.parts_mut().into_iter().flatten().for_each(|g| *g *= share);
            let done = step as f64 / self.steps as f64;
            let rate = self.rate * 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
            adam.step(&mut policy.network, &slope, rate as f32);
            self.answer_back(problem, particles, &groups, &chosen, seed, step);
            progress.advance(1);
        }
        Ok(())
    }

    /// First estimates of the particles' losses.
    fn estimate(
        &self,
        problem: &dyn QueryProblem,
        policy: &LearnedPolicy,
        particles: &mut [Particle],
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<()> {
        let thetas: Vec<Vec<f64>> = particles.iter().map(|p| p.theta.clone()).collect();
        let losses = mean_losses(problem, policy, &thetas, policy.budget, 32, seed.stream("first"), progress)?;
        particles.iter_mut().zip(losses).for_each(|(particle, loss)| particle.loss = loss);
        Ok(())
    }

    /// Games of one step, a group for each particle drawn.
    fn round(
        &self,
        problem: &dyn QueryProblem,
        policy: &LearnedPolicy,
        particles: &[Particle],
        seed: Seed,
        step: usize,
    ) -> (Vec<Group>, Vec<usize>) {
        let seed = seed.stream("step").stream(&step.to_string());
        let chosen = self.choose(particles, &mut seed.stream("choice").rng(0));
        let groups = chosen
            .par_iter()
            .enumerate()
            .map_init(
                || Tape::new(policy),
                |tape, (at, i)| tape.group(problem, &particles[*i].theta, &mut seed.rng(at as u64)),
            )
            .collect();
        (groups, chosen)
    }

    /// The particles of a step, by the adversary's weights: systematic draws, which have the least variance.
    fn choose(&self, particles: &[Particle], rng: &mut Rng) -> Vec<usize> {
        let regret = |p: &Particle| p.loss - p.offset;
        let most = particles.iter().map(regret).fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = particles.iter().map(|p| (self.sharpness * (regret(p) - most)).exp()).collect();
        let sum: f64 = weights.iter().sum();
        let even = EVEN / particles.len() as f64;
        let count = self.batch / GROUP;
        let start = rng.uniform();
        let (mut chosen, mut passed) = (Vec::with_capacity(count), 0.0);
        for (i, weight) in weights.iter().enumerate() {
            passed += ((1.0 - EVEN) * weight / sum + even) * count as f64;
            while chosen.len() < count && start + chosen.len() as f64 <= passed {
                chosen.push(i);
            }
        }
        chosen.resize(count, particles.len() - 1);
        chosen
    }

    /// The adversary's step.
    fn answer_back(
        &self,
        problem: &dyn QueryProblem,
        particles: &mut [Particle],
        groups: &[Group],
        chosen: &[usize],
        seed: Seed,
        step: usize,
    ) {
        for (group, i) in groups.iter().zip(chosen) {
            let loss = &mut particles[*i].loss;
            *loss += NEWEST * (group.loss - *loss);
        }
        // Complexities take longer than games: particles move in every fourth step.
        if problem.parameters().is_some() || step % 4 != 3 {
            return;
        }
        let length = 0.15 / (1.0 + step as f64 / 50.0).sqrt();
        particles.par_iter_mut().enumerate().for_each(|(i, particle)| {
            let mut slope = vec![0.0; particle.theta.len()];
            for (group, _) in groups.iter().zip(chosen).filter(|(_, of)| **of == i) {
                slope.iter_mut().zip(&group.theta_slope).for_each(|(sum, g)| *sum += g);
            }
            let (reach, size) = (norm(&slope), norm(&particle.theta));
            if reach == 0.0 {
                return;
            }
            let moved: Vec<f64> =
                particle.theta.iter().zip(&slope).map(|(t, g)| t + length * size * g / reach).collect();
            let c = problem.complexity(&moved);
            let scale = (c / particle.r).sqrt();
            // A step onto a tie is not taken, nor one that leads out of reach.
            if scale * norm(&moved) <= particle.reach {
                particle.theta = moved.into_iter().map(|t| t * scale).collect();
            }
        });
        // The particle that the adversary needs least starts afresh, with the benefit of the doubt.
        let regret = |p: &Particle| p.loss - p.offset;
        let (mut least, mut most) = (0, f64::NEG_INFINITY);
        for (i, particle) in particles.iter().enumerate() {
            most = most.max(regret(particle));
            least = if regret(particle) < regret(&particles[least]) { i } else { least };
        }
        let mut rng = seed.stream("afresh").rng(step as u64);
        let particle = &mut particles[least];
        particle.theta = problem.draw(particle.r, &mut rng);
        particle.loss = most + particle.offset;
    }

    /// The worst-case loss of a frozen policy at each level, by a fresh adversary.
    ///
    /// The estimate is made again, with fresh games, for those parameters alone that looked worst: the largest of many
    /// estimates is too large.
    fn worst_cases(
        &self,
        problem: &dyn QueryProblem,
        policy: &LearnedPolicy,
        levels: &[f64],
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Vec<f64>> {
        let one = |(k, r): (usize, &f64)| {
            let seed = seed.stream(&k.to_string());
            let mut particles = self.particles(problem, &[(*r, 0.0)], seed);
            if problem.parameters().is_none() {
                // The adversary alone moves.
                self.estimate(problem, policy, &mut particles, seed, progress)?;
                for step in 0..40 {
                    checkpoint(progress)?;
                    let (groups, chosen) = self.round(problem, policy, &particles, seed, step);
                    self.answer_back(problem, &mut particles, &groups, &chosen, seed, step);
                }
            }
            let thetas: Vec<Vec<f64>> = particles.into_iter().map(|p| p.theta).collect();
            worst_loss(problem, policy, &thetas, policy.budget, self.games, seed.stream("worst"), progress)
        };
        levels.iter().enumerate().map(one).collect()
    }
}

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// Complexities come from a numerical minimum: levels have a little room.
const SLACK: f64 = 1.02;

fn best_answer(problem: &dyn QueryProblem, theta: &[f64]) -> usize {
    let loss = |z: usize| problem.loss(z, theta);
    (0..problem.answers()).reduce(|best, z| if loss(z) < loss(best) { z } else { best }).unwrap_or(0)
}

/// The largest mean loss of a policy over `thetas`: a search with an eighth of the games each, then `games` fresh games for
/// each of the six that looked worst.
///
/// # Errors
/// As [`mean_losses`]; no parameter.
pub fn worst_loss(
    problem: &dyn QueryProblem,
    policy: &dyn QueryPolicy,
    thetas: &[Vec<f64>],
    budget: usize,
    games: usize,
    seed: Seed,
    progress: &dyn Progress,
) -> Result<f64> {
    if thetas.is_empty() {
        return Err(Error::input("parameters", "none", "a worst case needs at least one"));
    }
    let found = mean_losses(problem, policy, thetas, budget, games.div_ceil(8), seed.stream("search"), progress)?;
    let mut order: Vec<usize> = (0..thetas.len()).collect();
    order.sort_by(|a, b| found[*b].total_cmp(&found[*a]));
    let finalists: Vec<Vec<f64>> = order.iter().take(FINALISTS).map(|i| thetas[*i].clone()).collect();
    let again = mean_losses(problem, policy, &finalists, budget, games, seed.stream("again"), progress)?;
    Ok(again.into_iter().fold(f64::NEG_INFINITY, f64::max))
}

/// What a group of games at one parameter says.
pub(super) struct Group {
    /// Mean loss.
    pub loss: f64,
    /// Gradient of the expected loss by the weights.
    pub slope: Network,
    /// And by theta.
    pub theta_slope: Vec<f64>,
}

/// Memory of a group of games, used again and again.
pub(super) struct Tape<'a> {
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

#[cfg(test)]
mod tests;
