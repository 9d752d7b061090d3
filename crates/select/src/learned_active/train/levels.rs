//! The levels of hardness r_1 < ... < r_K.

use super::Trainer;
use crate::learned_active::QueryProblem;
use quadrat_core::{Error, Result};

/// Complexities come from a numerical minimum: levels have a little room.
pub(super) const SLACK: f64 = 1.02;

impl Trainer {
    /// Those given or usual that make a difference.
    pub(super) fn levels_of(&self, problem: &dyn QueryProblem, budget: usize) -> Result<Vec<f64>> {
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
}

fn best_answer(problem: &dyn QueryProblem, theta: &[f64]) -> usize {
    let loss = |z: usize| problem.loss(z, theta);
    (0..problem.answers()).reduce(|best, z| if loss(z) < loss(best) { z } else { best }).unwrap_or(0)
}
