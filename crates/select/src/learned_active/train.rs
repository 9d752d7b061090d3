//! Training against an adversary: the two steps of the paper ([`Trainer::train`]).
//!
//! Both minimise the largest loss over parameters, less an offset each: the policy goes down the gradient of games
//! (`tape`) at parameters that an adversary chooses (`adversary`), by Adam with a rate that falls along half a cosine, and
//! the adversary answers.

mod adversary;
mod levels;
mod tape;
#[cfg(test)]
mod tests;

pub use adversary::worst_loss;

use super::learned::features;
use super::network::{Adam, Network};
use super::{Grid, LearnedPolicy, QueryProblem, check_budget};
use adversary::Adversary;
use quadrat_core::{Error, Progress, Result, Seed, Settings, checkpoint};
use tape::GROUP;

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
        progress.begin("training", Some((self.steps * (levels.len() + 1)) as u64));

        // Step 1: pi_k = argmin l(pi, Theta^(r_k)), each started from the one before.
        let mut policy = self.untrained(problem, &levels, budget, seed)?;
        let mut specialists = Vec::with_capacity(levels.len());
        for (k, r) in levels.iter().enumerate() {
            let seed = seed.stream("level").stream(&k.to_string());
            self.minimise(problem, &mut policy, &[(*r, 0.0)], seed, progress)?;
            specialists.push(policy.clone());
        }

        // l*_k: any policy made so far may be the best for a level.
        let mut worst = Vec::with_capacity(levels.len());
        for (k, specialist) in specialists.iter().enumerate() {
            let seed = seed.stream("measure").stream(&k.to_string());
            worst.push(self.worst_cases(problem, specialist, &levels, seed, progress)?);
        }
        let best: Vec<f64> =
            (0..levels.len()).map(|k| worst.iter().map(|worst| worst[k]).fold(f64::INFINITY, f64::min)).collect();

        // Step 2: pi* = argmin max over k of (l(pi, Theta^(r_k)) - l*_k), started from the specialist with the least such
        // regret, the last of those that tie.
        let regret = |worst: &Vec<f64>| worst.iter().zip(&best).map(|(w, b)| w - b).fold(0.0_f64, f64::max);
        let warm = (0..specialists.len()).rev().min_by(|a, b| regret(&worst[*a]).total_cmp(&regret(&worst[*b])));
        if let Some(warm) = warm {
            policy.clone_from(&specialists[warm]);
        }
        let offsets: Vec<(f64, f64)> = levels.iter().copied().zip(best.iter().copied()).collect();
        let seed = seed.stream("regret");
        self.minimise(problem, &mut policy, &offsets, seed, progress)?;

        let worst = self.worst_cases(problem, &policy, &levels, seed.stream("measure"), progress)?;
        let levels = levels.iter().zip(best).zip(worst);
        let levels = levels.map(|((complexity, best), worst)| Level { complexity: *complexity, best, worst }).collect();
        Ok(Trained { policy, specialists, levels })
    }

    /// argmin over pi of max over k of (l(pi, Theta^(r_k)) - offset_k) for the pairs `levels` of r_k and offset_k: steps of
    /// the policy against the adversary's.
    fn minimise(
        &self,
        problem: &dyn QueryProblem,
        policy: &mut LearnedPolicy,
        levels: &[(f64, f64)],
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<()> {
        let mut adam = Adam::new(&policy.network);
        let mut adversary = Adversary::new(self, problem, levels, seed);
        adversary.look(policy, progress)?;
        for step in 0..self.steps {
            checkpoint(progress)?;
            let round = adversary.play(policy, step);
            let mut slope = policy.network.zeros();
            round.groups.iter().for_each(|group| slope.add(&group.slope));
            let share = 1.0 / round.groups.len() as f32;
            slope.parts_mut().into_iter().flatten().for_each(|g| *g *= share);
            let done = step as f64 / self.steps as f64;
            let rate = self.rate * 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
            adam.step(&mut policy.network, &slope, rate as f32);
            adversary.step(&round, step);
            progress.advance(1);
        }
        Ok(())
    }

    /// l(pi, Theta^(r_k)) of a frozen policy for each level, by a fresh adversary.
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
            Adversary::new(self, problem, &[(*r, 0.0)], seed).worst(policy, progress)
        };
        levels.iter().enumerate().map(one).collect()
    }

    /// A policy with random weights.
    fn untrained(
        &self,
        problem: &dyn QueryProblem,
        levels: &[f64],
        budget: usize,
        seed: Seed,
    ) -> Result<LearnedPolicy> {
        let grid = Grid::new(problem, levels, seed.stream("grid"))?;
        let mut rng = seed.stream("network").rng(0);
        let network = Network::new(features(&grid), self.hidden, problem.queries(), problem.answers(), 3.0, &mut rng);
        Ok(LearnedPolicy { grid, budget, no_repeat: self.no_repeat, network })
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
}
