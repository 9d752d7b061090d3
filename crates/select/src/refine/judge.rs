//! Who judges rows when the user brings no trainer.

use super::Update;
use crate::Pool;
use crate::rows::points;
use ndarray::{Array2, ArrayView2, Axis};
use quadrat_core::{Choice, Result, Seed, stats};
use quadrat_numeric::learners::{Learner, Softmax};
use std::borrow::Cow;

/// What judges rows when the user brings no trainer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum JudgeBy {
    /// The pool's scores; nothing where there are none, which leaves kMQ.
    Scores,
    /// How surely a model of the other half of the rows finds their class, which moves the budget towards easy
    /// clusters: for pools with wrong labels.
    ///
    /// The log-probability of each row's given class under a softmax regression trained on the other half of the rows
    /// drawn so far, so that no row is its own witness. A cluster's weight is then in proportion to one over the
    /// perplexity of its labels. The paper's perplexity scorer has the other sign, and its better scorer asks a trusted
    /// judge; with nothing to trust but the labels themselves, a region where they contradict each other is likelier to
    /// be junk than to be worth more of it.
    Classes,
}

/// Who scores rows when the user brings no trainer.
pub(super) enum Judge<'a> {
    Scores(Vec<f64>),
    Classes { x: Cow<'a, Array2<f64>>, y: &'a [u32], classes: usize },
}

impl<'a> Judge<'a> {
    pub fn of(pool: &'a Pool, update: Update, by: JudgeBy) -> Result<Option<Self>> {
        if by == JudgeBy::Classes {
            let Some(y) = pool.classes.as_deref() else { return Ok(None) };
            let classes = y.iter().max().map_or(0, |top| *top as usize + 1);
            return Ok(Some(Judge::Classes { x: points(pool)?.to_f64(), y, classes }));
        }
        let Some(scores) = &pool.scores else { return Ok(None) };
        // The multiplicative update needs the scores' own zero.
        if update == Update::Multiplicative {
            return Ok(Some(Judge::Scores(scores.clone())));
        }
        let (mean, spread) = (stats::mean(scores), stats::standard_deviation(scores));
        let unit = if spread > 0.0 { spread } else { 1.0 };
        Ok(Some(Judge::Scores(scores.iter().map(|s| (s - mean) / unit).collect())))
    }

    pub fn describe(&self) -> &'static str {
        match self {
            Judge::Scores(_) => "the pool's scores",
            Judge::Classes { .. } => {
                "log-probability of the given class by softmax regression on the other half of the rows"
            }
        }
    }

    /// One score for each of `rows`, all of those drawn so far.
    pub fn scores(&self, rows: &[usize], seed: Seed) -> Result<Vec<f64>> {
        match self {
            Judge::Scores(scores) => Ok(rows.iter().map(|row| scores[*row]).collect()),
            Judge::Classes { x, y, classes } => {
                let x = x.select(Axis(0), rows);
                let y: Vec<u32> = rows.iter().map(|row| y[*row]).collect();
                cross_fitted(x.view(), &y, *classes, seed)
            }
        }
    }
}

/// The log-probability of each row's class under a model of the other half of the rows.
fn cross_fitted(x: ArrayView2<f64>, y: &[u32], classes: usize, seed: Seed) -> Result<Vec<f64>> {
    let mut scores = vec![0.0; y.len()];
    let mut order: Vec<usize> = (0..y.len()).collect();
    seed.rng(y.len() as u64).shuffle(&mut order);
    let (one, other) = order.split_at(order.len() / 2);
    for (witnesses, judged) in [(one, other), (other, one)] {
        if witnesses.is_empty() {
            continue; // A single row has nobody else to ask: 0, as for a certainty.
        }
        let labels: Vec<u32> = witnesses.iter().map(|i| y[*i]).collect();
        let judge = Softmax::default().fit(x.select(Axis(0), witnesses).view(), &labels, classes, None, seed)?;
        let probabilities = judge.probabilities(x.select(Axis(0), judged).view());
        // A class the witnesses do not have is not impossible: it is rarer than one in their number.
        let least = 1.0 / (witnesses.len() + classes) as f64;
        for (p, i) in probabilities.axis_iter(Axis(0)).zip(judged) {
            scores[*i] = p[y[*i] as usize].max(least).ln();
        }
    }
    Ok(scores)
}
