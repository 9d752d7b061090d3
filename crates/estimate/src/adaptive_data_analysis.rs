//! Valid answers from a hold-out set that is asked again and again.
//!
//! A hold-out set is honest once. After that, questions depend on earlier answers (which features to keep, which model
//! to tune, what to submit to the leaderboard next), and the sample's own noise leaks into the choice. The papers put a
//! mechanism between the analyst and the data: its answers hardly depend on any single row, so that what is true of the
//! sample stays true of the population.
//!
//! - Dwork, Feldman, Hardt, Pitassi, Reingold, Roth: Preserving Statistical Validity in Adaptive Data Analysis, STOC
//!   2015, arXiv 1411.2664: privacy gives validity; noise addition ([`NoiseAddition`]) and, for exponentially many
//!   questions on a finite domain, coordinated noise ([`Pmw`]; [`Median`] shows the idea).
//! - The same authors: Generalization in Adaptive Data Analysis and Holdout Reuse, NIPS 2015, arXiv 1506.02629, and the
//!   reusable holdout, Science 349 (2015): [`Thresholdout`].
//! - Blum, Hardt: The Ladder, ICML 2015, arXiv 1502.04585: [`Ladder`], for a leaderboard.
//! - Baselines: [`Naive`], [`Split`].
//!
//! Which one? [`plan()`] says what can be certified beforehand. Where that is nothing (below some ten thousand rows it
//! often is), Thresholdout and the Ladder with their authors' experimental constants still prevent most of the
//! overfitting; their answers say that their width is a rule of thumb ([`Guarantee::Heuristic`]).
//!
//! A mechanism is a state and two steps: [`QueryMechanism::read`] looks at the data and changes nothing,
//! [`QueryMechanism::step`] decides and never sees the data again. [`Holdout`] keeps one in memory; [`Ledger`] keeps it on
//! disk, where every answer is written down before it is given.
//!
//! ```
//! use quadrat_core::Seed;
//! use quadrat_estimate::adaptive_data_analysis::{Holdout, Source, Thresholdout};
//! // 500 training rows first, then 500 rows held out; a model that knows the training rows by heart.
//! let right: Vec<f64> = (0..1000).map(|row| f64::from(row < 500 || row % 2 == 0)).collect();
//! let mut holdout = Holdout::new(Thresholdout::experiment(500, 500, Some(10))?, Seed(1));
//! let answer = holdout.ask(&right)?;
//! assert_eq!(answer.source, Source::Holdout, "the training rows promise too much, so the hold-out rows answer");
//! assert!((answer.value - 0.5).abs() < 0.2 && holdout.remaining() == Some(9));
//! # Ok::<(), quadrat_core::Error>(())
//! ```
//!
//! Noise comes from a seed that the analyst must not know: who knows it can subtract the noise.

mod baselines;
mod holdout;
mod ladder;
mod ledger;
mod mechanism;
mod median;
mod noise;
mod noise_addition;
mod plan;
mod pmw;
mod privacy;
mod query;
#[cfg(test)]
mod tests;
mod thresholdout;

pub use baselines::{Naive, Split};
pub use holdout::Holdout;
pub use ladder::Ladder;
pub use ledger::{Entry, Header, Ledger, Recorded, secret_seed};
pub use mechanism::Mechanism;
pub use median::Median;
pub use noise::Noise;
pub use noise_addition::NoiseAddition;
pub use plan::{NoisePlan, Plan, VACUOUS, plan};
pub use pmw::{Pmw, PmwPlan, pmw_plan};
pub use privacy::{Privacy, certified_width, zcdp_epsilon};
pub use query::{Agreement, Bits, Each, Fingerprint, Query};
pub use thresholdout::Thresholdout;

use quadrat_core::{Area, Card, Choice, Error, Result, Rng, Settings};
use serde::{Deserialize, Serialize};

pub(crate) static CARD: Card = Card {
    slug: "adaptive-data-analysis",
    aliases: &["holdout", "reusable-holdout", "thresholdout"],
    title: "Reusable holdout: valid adaptive data analysis",
    paper: "Dwork, Feldman, Hardt, Pitassi, Reingold, Roth: Preserving Statistical Validity in Adaptive Data Analysis. \
            STOC 2015, arXiv 1411.2664; Thresholdout: NIPS 2015, arXiv 1506.02629; the Ladder: Blum and Hardt, ICML \
            2015, arXiv 1502.04585",
    area: Area::Estimate,
    verbs: &["holdout"],
    summary: "Stands between a team and its hold-out set: answers adaptively chosen questions with calibrated noise, \
              keeps the budget in a ledger on disk, says what each answer guarantees and when none is left.",
    useful_when: "the same test set or validation set is used again and again, overfitting the holdout, a leaderboard, \
                  how many more questions may be asked, p-hacking, feature selection on a holdout",
    cost: "time O(rows) a question, one bit a row where values are 0 and 1; O(domain) for pmw. A ledger is read once a \
           call: under a second for 100,000 answers",
    params: HoldoutSettings::PARAMS,
};

/// What answers, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct HoldoutSettings {
    /// What answers; on the command line this is `--method` of `quadrat holdout init`.
    #[param(default = MechanismKind::Thresholdout)]
    pub mechanism: MechanismKind,
    /// What is certified.
    #[param(flatten)]
    pub certified: Certified,
}

/// What a certificate covers.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct Certified {
    /// Questions that will be answered, where the guarantee depends on it.
    #[param(default = 100, from = 1)]
    pub queries: u64,
    /// Probability with which all certified answers are valid together.
    #[param(default = 0.95, above = 0, below = 1)]
    pub confidence: f64,
}

/// The mechanisms by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum MechanismKind {
    /// Compares the hold-out with the training rows.
    Thresholdout,
    /// Adds normal noise.
    Gaussian,
    /// Adds Laplace noise.
    Laplace,
    /// Answers only clear improvements.
    Ladder,
    /// Multiplicative weights over a finite domain.
    Pmw,
    /// The plain mean, without a guarantee.
    Naive,
    /// Fresh rows for every question.
    Split,
}

/// A mechanism that answers statistical queries.
pub trait QueryMechanism {
    /// Its name on the command line.
    fn name(&self) -> &'static str;

    /// How many values a query must have: rows, or elements of the domain.
    fn rows(&self) -> usize;

    /// What the mechanism needs to know of a query. Costs nothing of the budget: it must not leave the mechanism's side.
    ///
    /// # Errors
    /// A query that does not fit: too few values, or one outside its range.
    fn read(&self, query: &dyn Query) -> Result<Reading>;

    /// Decides on the answer and pays for it. The same state, reading and generator give the same answer.
    ///
    /// # Errors
    /// [`Error::Exhausted`] when the budget is spent; the state is unchanged then.
    fn step(&mut self, reading: &Reading, rng: &mut Rng) -> Result<Answer>;

    /// How many more answers are certain to be given; `None` where there is no limit.
    fn remaining(&self) -> Option<u64>;

    /// What every answer guarantees.
    fn guarantee(&self) -> Guarantee;

    /// [`QueryMechanism::read`], then [`QueryMechanism::step`].
    ///
    /// # Errors
    /// Those of both.
    fn answer(&mut self, query: &dyn Query, rng: &mut Rng) -> Result<Answer> {
        let reading = self.read(query)?;
        self.step(&reading, rng)
    }
}

/// What a mechanism read of a query.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reading {
    /// The mean over the hold-out rows.
    pub mean: f64,
    /// What it is compared with: for Thresholdout the mean over the training rows, for PMW the mean under its synthetic
    /// distribution, for the Ladder the standard deviation of the difference to the best submission.
    pub reference: Option<f64>,
    /// The values, where an answer that changes the state needs them.
    pub values: Vec<f64>,
}

impl Reading {
    /// A mean and nothing else.
    pub fn of(mean: f64) -> Self {
        Reading { mean, ..Reading::default() }
    }

    /// A mean and what it is compared with.
    pub fn compared(mean: f64, reference: f64) -> Self {
        Reading { mean, reference: Some(reference), values: Vec::new() }
    }
}

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The estimate of the population's mean, in the query's own range.
    pub value: f64,
    /// Where it comes from.
    pub source: Source,
    /// Whether it cost a part of the budget.
    pub spent: bool,
    /// How far it may be off.
    pub guarantee: Guarantee,
}

impl Answer {
    /// An answer about values in [0, 1], brought to the range that they were mapped from.
    pub fn in_range(self, (low, high): (f64, f64)) -> Answer {
        let scale = high - low;
        Answer { value: low + scale * self.value, guarantee: self.guarantee.scaled(scale), ..self }
    }
}

/// What an answer was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The training rows: they agree with the hold-out rows.
    Train,
    /// The hold-out rows.
    Holdout,
    /// PMW's synthetic distribution.
    Synthetic,
    /// The best submission before: this one is not clearly better.
    Unchanged,
}

/// What is promised of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Guarantee {
    /// All answers together are within `half_width` of the population's means with probability `confidence`, however
    /// the questions were chosen. (Of the Ladder: of the least loss of the population among all submissions so far.)
    Certified {
        /// Half the width of the interval.
        half_width: f64,
        /// For all answers together.
        confidence: f64,
    },
    /// A rule of thumb from the authors' experiments.
    Heuristic {
        /// Half the width of the interval.
        half_width: f64,
    },
    /// Nothing, once a question depends on an answer.
    None,
}

impl Guarantee {
    /// Half the width, where anything is said.
    pub fn half_width(self) -> Option<f64> {
        match self {
            Guarantee::Certified { half_width, .. } | Guarantee::Heuristic { half_width } => Some(half_width),
            Guarantee::None => None,
        }
    }

    fn scaled(self, scale: f64) -> Self {
        match self {
            Guarantee::Certified { half_width, confidence } => {
                Guarantee::Certified { half_width: scale * half_width, confidence }
            }
            Guarantee::Heuristic { half_width } => Guarantee::Heuristic { half_width: scale * half_width },
            Guarantee::None => Guarantee::None,
        }
    }
}

/// The error of a mechanism that has nothing left to give.
fn answered(name: &str, answers: u64, budget: &str) -> Error {
    Error::Exhausted {
        what: name.to_owned(),
        answered: answers,
        todo: format!(
            "{budget} are used up, and no further answer would be valid; collect fresh rows and begin a new hold-out set"
        ),
    }
}
