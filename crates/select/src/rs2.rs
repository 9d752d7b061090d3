//! RS2: a fresh random subset for every pass.
//!
//! Okanovic et al., "Repeated Random Sampling for Minimizing the Time-to-Accuracy of Learning", ICLR 2024
//! (arXiv 2305.18424). To train for a fraction r of the usual cost, every round (a shortened epoch) passes over another
//! random subset of m = r n rows, and the schedule of the learning rate is shortened to the steps that are really taken
//! ([`cosine`] over [`iterations`]). That beats most subsets that were chosen with care, and costs nothing to choose.
//!
//! Choices of ours where the paper and its code leave one: when a permutation has fewer rows left than a round needs,
//! the round takes them and is filled up from the next permutation, leaving rows that it already has for the rounds
//! that follow (the official code goes back to the head of the same permutation and is one row short). A stratified
//! round owes each class its exact share; chance decides which classes the first round rounds up, and what rounding keeps
//! back is paid in later rounds, so that no class is always short.

mod rounds;
#[cfg(test)]
mod tests;

pub use quadrat_numeric::learners::cosine;
pub use rounds::{Rounds, RoundsState};

use crate::{AskTell, Cost, Needs, Pool, Selection, Selector};
use quadrat_core::{Area, Card, Choice, Error, Method, Progress, Result, Seed, Settings, checkpoint};
use serde::{Deserialize, Serialize};

/// How the rows of a round are drawn. No draw repeats a row within a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RoundDraw {
    /// Every row once before any row twice, across rounds. The paper's strongest form.
    WithoutReplacement,
    /// Rounds independent of each other, all subsets alike.
    WithReplacement,
    /// Rounds independent of each other, with each class's share of the rows.
    Stratified,
    /// Rounds independent of each other, rows in proportion to their scores. RS2 around importance sampling: within a
    /// round rows are drawn one after the other without repeats, each in proportion to its probability among those
    /// left.
    Weighted,
}

/// One round as a selector; [`Rounds`] is the stream.
///
/// ```
/// use quadrat_core::{Seed, Silent};
/// use quadrat_select::{Pool, Rs2, Selector};
/// let chosen = Rs2::default().select(&Pool::of_rows(100), 10, Seed(1), &Silent)?;
/// assert_eq!(chosen.indices.len(), 10);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Settings)]
pub struct Rs2 {
    /// How the rows of a round are drawn.
    #[param(default = RoundDraw::WithoutReplacement)]
    pub draw: RoundDraw,
}

impl Method for Rs2 {
    const CARD: Card = Card {
        slug: "rs2",
        aliases: &["repeated-random"],
        title: "Repeated random subsets",
        paper: "Okanovic et al., ICLR 2024 (arXiv 2305.18424)",
        area: Area::Select,
        verbs: &["select", "order"],
        summary: "A fresh random subset for every shortened epoch; every row is seen once before any is seen twice. \
                  With `select` it gives the first round, with `order` the whole stream of row numbers for a trainer.",
        useful_when: "train faster on a fraction of the data in each epoch, a strong random baseline, an order of \
                      samples for an external trainer",
        cost: "time O(rows) for each permutation, that is O(1) a row drawn; memory 4 bytes a row",
        params: Self::PARAMS,
    };
}

impl Selector for Rs2 {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn needs(&self) -> Needs {
        let (classes, scores) = (self.draw == RoundDraw::Stratified, self.draw == RoundDraw::Weighted);
        Needs { classes, scores, ..Needs::default() }
    }

    fn cost(&self, rows: usize, _cols: usize, _budget: usize) -> Cost {
        Cost { operations: rows as f64, bytes: 4.0 * rows as f64 }
    }

    fn select(&self, pool: &Pool, budget: usize, seed: Seed, progress: &dyn Progress) -> Result<Selection> {
        pool.check(budget, self.needs())?;
        checkpoint(progress)?;
        let mut rounds = match (self.draw, &pool.scores) {
            (RoundDraw::Weighted, Some(scores)) => Rounds::weighted(&shares(scores)?, seed)?,
            _ => Rounds::new(pool.rows, self.draw, pool.classes.as_deref(), seed)?,
        };
        Ok(Selection::of(rounds.ask(budget)?))
    }
}

/// Scores as probabilities for [`Rounds::weighted`]: each divided by their sum.
///
/// # Errors
/// A score that is negative or not finite, and scores that are all 0.
pub fn shares(scores: &[f64]) -> Result<Vec<f64>> {
    if let Some((row, bad)) = scores.iter().enumerate().find(|(_, score)| !(**score >= 0.0 && score.is_finite())) {
        return Err(Error::input("score", format!("{bad} in row {row}"), "a row's weight is a number from 0 on"));
    }
    // Brought to at most 1 first: a sum of huge scores would be infinite.
    let most = scores.iter().copied().fold(0.0, f64::max);
    let sum: f64 = scores.iter().map(|score| score / most).sum();
    if most == 0.0 {
        return Err(Error::input("scores", "zeros", "some row must have a weight above 0"));
    }
    Ok(scores.iter().map(|score| score / most / sum).collect())
}

/// Steps that `rounds` rounds of `m` rows take in batches of `batch` (at least 1): what a schedule must span.
pub fn iterations(rounds: usize, m: usize, batch: usize, drop_last: bool) -> usize {
    let batch = batch.max(1);
    rounds * if drop_last { m / batch } else { m.div_ceil(batch) }
}
