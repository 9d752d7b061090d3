//! The adversary.
//!
//! It holds particles theta_i, each with the offset l*_k of the least level that has it (in step 1: 0). Its weights are a
//! softmax of `sharpness` times the regrets l_i - l*_k, smoothed over steps: what entropy-regularised ascent of the weights
//! ends in. A tenth of the games is spread evenly, so that every estimate stays fresh. Where Theta is finite the particles
//! are all of it. Otherwise they climb the gradient of the loss by theta and are brought back to the boundary C(theta) = r
//! by scaling, which needs no barrier; they stay within twice the norm of the widest draw, since a policy cannot know of
//! what is far outside its grid; those that the adversary does not use are drawn anew.

use super::Trainer;
use super::levels::SLACK;
use super::tape::{GROUP, Group, Tape};
use crate::learned_active::{LearnedPolicy, QueryPolicy, QueryProblem, mean_losses};
use quadrat_core::{Error, Progress, Result, Rng, Seed, checkpoint};
use rayon::prelude::*;

/// Share of the games that is spread evenly over the particles.
const EVEN: f64 = 0.1;
/// Weight of the newest estimate of a particle's loss.
const NEWEST: f64 = 0.2;
/// Parameters whose worst case is measured again with fresh games.
const FINALISTS: usize = 6;

/// A parameter that the adversary may choose.
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

impl Particle {
    fn regret(&self) -> f64 {
        self.loss - self.offset
    }
}

/// Who chooses parameters at which the policy's regret is large.
pub(super) struct Adversary<'a> {
    trainer: &'a Trainer,
    problem: &'a dyn QueryProblem,
    seed: Seed,
    particles: Vec<Particle>,
}

/// The games of a step: a group for each particle that was chosen.
pub(super) struct Round {
    pub groups: Vec<Group>,
    chosen: Vec<usize>,
}

impl<'a> Adversary<'a> {
    /// All of Theta within the largest of `levels` (pairs of r and offset), each with the offset of the least level that
    /// has it; or draws at each level.
    pub fn new(trainer: &'a Trainer, problem: &'a dyn QueryProblem, levels: &[(f64, f64)], seed: Seed) -> Self {
        let particle = |theta, (r, offset): (f64, f64)| Particle { theta, r, reach: 0.0, offset, loss: f64::NAN };
        let particles = match problem.parameters() {
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
                    let thetas: Vec<Vec<f64>> =
                        (0..trainer.particles).map(|_| problem.draw(level.0, &mut rng)).collect();
                    let reach = 2.0 * thetas.iter().map(|theta| norm(theta)).fold(0.0, f64::max);
                    thetas.into_iter().map(move |theta| Particle { reach, ..particle(theta, level) })
                };
                levels.iter().copied().enumerate().flat_map(drawn).collect()
            }
        };
        Adversary { trainer, problem, seed, particles }
    }

    /// First estimates of the policy's loss at the particles.
    pub fn look(&mut self, policy: &LearnedPolicy, progress: &dyn Progress) -> Result<()> {
        let thetas: Vec<Vec<f64>> = self.particles.iter().map(|p| p.theta.clone()).collect();
        let seed = self.seed.stream("first");
        let losses = mean_losses(self.problem, policy, &thetas, policy.budget, 32, seed, progress)?;
        self.particles.iter_mut().zip(losses).for_each(|(particle, loss)| particle.loss = loss);
        Ok(())
    }

    /// Games of the policy where the adversary wants them.
    pub fn play(&self, policy: &LearnedPolicy, step: usize) -> Round {
        let seed = self.seed.stream("step").stream(&step.to_string());
        let chosen = self.choose(&mut seed.stream("choice").rng(0));
        let groups = chosen
            .par_iter()
            .enumerate()
            .map_init(
                || Tape::new(policy),
                |tape, (at, i)| tape.group(self.problem, &self.particles[*i].theta, &mut seed.rng(at as u64)),
            )
            .collect();
        Round { groups, chosen }
    }

    /// The particles of a step, by the adversary's weights: systematic draws, which have the least variance.
    fn choose(&self, rng: &mut Rng) -> Vec<usize> {
        let Adversary { particles, trainer, .. } = self;
        let most = particles.iter().map(Particle::regret).fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = particles.iter().map(|p| (trainer.sharpness * (p.regret() - most)).exp()).collect();
        let sum: f64 = weights.iter().sum();
        let even = EVEN / particles.len() as f64;
        let count = trainer.batch / GROUP;
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

    /// The adversary's step: what the games said of its particles, and where these go.
    pub fn step(&mut self, Round { groups, chosen }: &Round, step: usize) {
        for (group, i) in groups.iter().zip(chosen) {
            let loss = &mut self.particles[*i].loss;
            *loss += NEWEST * (group.loss - *loss);
        }
        // Complexities take longer than games: particles move in every fourth step.
        if self.problem.parameters().is_none() && step % 4 == 3 {
            self.climb(groups, chosen, step);
            self.renew(step);
        }
    }

    /// Moves the particles up the gradient of the loss, along the boundary of their level.
    fn climb(&mut self, groups: &[Group], chosen: &[usize], step: usize) {
        let problem = self.problem;
        let length = 0.15 / (1.0 + step as f64 / 50.0).sqrt();
        self.particles.par_iter_mut().enumerate().for_each(|(i, particle)| {
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
    }

    /// The particle that the adversary needs least starts afresh, with the benefit of the doubt.
    fn renew(&mut self, step: usize) {
        let most = self.particles.iter().map(Particle::regret).fold(f64::NEG_INFINITY, f64::max);
        // The first of those that tie.
        let least = self.particles.iter_mut().reduce(|least, p| if p.regret() < least.regret() { p } else { least });
        let Some(particle) = least else { return };
        let mut rng = self.seed.stream("afresh").rng(step as u64);
        particle.theta = self.problem.draw(particle.r, &mut rng);
        particle.loss = most + particle.offset;
    }

    /// The worst-case loss of a frozen policy over the particles, once they had time to move.
    ///
    /// The estimate is made again, with fresh games, for those parameters alone that looked worst: the largest of many
    /// estimates is too large.
    pub fn worst(mut self, policy: &LearnedPolicy, progress: &dyn Progress) -> Result<f64> {
        if self.problem.parameters().is_none() {
            self.look(policy, progress)?;
            for step in 0..40 {
                checkpoint(progress)?;
                let round = self.play(policy, step);
                self.step(&round, step);
            }
        }
        let thetas: Vec<Vec<f64>> = self.particles.into_iter().map(|p| p.theta).collect();
        let seed = self.seed.stream("worst");
        worst_loss(self.problem, policy, &thetas, policy.budget, self.trainer.games, seed, progress)
    }
}

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|v| v * v).sum::<f64>().sqrt()
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
