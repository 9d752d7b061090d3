//! The selection court: every selector on the same rows, against choosing at random.
//!
//! Papers on subset selection compare with a baseline of their choice on data of their choice. Here the data are the
//! user's and two baselines are always heard: a static random subset, and RS2 (Okanovic et al., ICLR 2024), which
//! draws a fresh random subset for every pass. Each repetition splits the rows anew into a pool and a test part; every
//! selector chooses from the same pool; the same network is trained on each choice, with the same number of gradient
//! steps; and the time it took to choose is charged beside the time to train.
//!
//! Twenty methods that all do nothing are no proof that random is best: what is not shown stays undecided, with the
//! smallest difference that the run could have seen ([`Ruling`]).
//!
//! RS2 spends what a subset of the budget's size spends on training, but reads every label in the course of it. Where
//! labels are what costs, it is not a rival but a ceiling.

mod sides;
mod standings;
#[cfg(test)]
mod tests;
mod turn;

pub use standings::{Ruling, Standing};

use crate::{Needs, Pool, Selector};
use quadrat_core::{Error, Progress, Result, Seed, checkpoint};
use quadrat_numeric::Points;
use quadrat_numeric::impute::Fill;
use quadrat_numeric::learners::Mlp;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use turn::{Choice, Turn};

/// The name under which static random subsets are heard; a selector of this name must be among those given.
pub const RANDOM: &str = "random";
/// The name under which fresh random subsets are heard; the court provides them.
pub const FRESH: &str = "rs2";

/// How selectors are compared.
///
/// ```
/// use quadrat_core::{Params, Seed, Silent};
/// use quadrat_numeric::Points;
/// use quadrat_select::{Case, Court, Pool, build};
/// # let mut rng = Seed(1).rng(0);
/// # let classes: Vec<u32> = (0..120).map(|i| i % 3).collect();
/// # let x = ndarray::Array2::from_shape_fn((120, 2), |(i, _)| f64::from(classes[i]) + 0.3 * rng.normal());
/// let case = Case { pool: Pool::of_points(Points::F64(x)).with_classes(classes), raw: None, gaps: None };
/// let selectors = [build("random", &Params::none())?, build("k-center", &Params::none())?];
/// let court = Court { budgets: vec![9], repeats: 2, visits: 500, ..Court::default() };
/// let trials = court.hear(&case, &selectors, Vec::new(), Seed(1), &mut |_| Ok(()), &Silent)?;
/// let rows = court.judge(&trials, 9);
/// assert_eq!(rows.len(), 3); // random, k-center and rs2
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Court {
    /// Rows to choose, each at least 1 and at most the rows left to choose from.
    pub budgets: Vec<usize>,
    /// Repetitions, each with a split, a selection and a network of its own; at least 2, for there are no intervals
    /// from one. Default 10.
    pub repeats: usize,
    /// Share of the rows that only measure, above 0 and below 1. Default 0.2.
    pub test_share: f64,
    /// The network that is trained on every choice; its `epochs` are set so that it sees `visits` rows.
    pub network: Mlp,
    /// Rows that a training run sees, counted with repetition: the same for every method and budget. Default 200,000.
    pub visits: usize,
    /// A gain of accuracy that is not worth having: a method shown to gain no more is [`Ruling::NoBetter`]. At least 0.
    /// Default 0.01.
    pub margin: f64,
    /// Which rows only measure. Default: any.
    pub apart: Apart,
}

/// Which rows only measure.
#[derive(Debug, Clone, Default)]
pub enum Apart {
    /// Any, drawn anew in each repetition.
    #[default]
    Any,
    /// Whole groups, drawn anew in each repetition: of each row its group.
    Groups(Vec<u32>),
    /// The latest rows, the same in each repetition: of each row its time. Intervals then tell of chance in choosing and
    /// training, not of other rows to measure on.
    Times(Vec<f64>),
}

impl Default for Court {
    fn default() -> Self {
        Court {
            budgets: Vec::new(),
            repeats: 10,
            test_share: 0.2,
            network: Mlp::default(),
            visits: 200_000,
            margin: 0.01,
            apart: Apart::Any,
        }
    }
}

/// What is known of the rows.
#[derive(Debug, Clone)]
pub struct Case {
    /// All rows, with points and classes.
    pub pool: Pool,
    /// The same points before they were scaled, for methods whose answer is about the numbers themselves
    /// ([`Needs::raw`](crate::Needs)); none: they get the pool's.
    pub raw: Option<Points>,
    /// What takes the place of NaN among the points, learnt in each repetition from the rows to choose from. None: there
    /// must be no NaN.
    pub gaps: Option<Fill>,
}

/// A method's turn at a budget in a repetition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// The method's slug.
    pub method: String,
    /// Rows it was to choose.
    pub budget: usize,
    /// The repetition, from 0.
    pub repeat: usize,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a method's turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The network trained on its choice.
    Trained {
        /// Share of the test rows whose class the network found.
        accuracy: f64,
        /// Seconds to choose, with all threads.
        select_seconds: f64,
        /// Seconds to train, on one thread.
        train_seconds: f64,
    },
    /// The method could not choose from these rows.
    Refused(String),
}

impl Outcome {
    fn accuracy(&self) -> Option<f64> {
        match self {
            Outcome::Trained { accuracy, .. } => Some(*accuracy),
            Outcome::Refused(_) => None,
        }
    }

    fn seconds(&self) -> Option<(f64, f64)> {
        match self {
            Outcome::Trained { select_seconds, train_seconds, .. } => Some((*select_seconds, *train_seconds)),
            Outcome::Refused(_) => None,
        }
    }
}

impl Court {
    /// Hears every selector at every budget in every repetition, and fresh random subsets beside them.
    ///
    /// `trials` are those heard before: they are not heard again, so that a court that was stopped goes on. `keep` gets
    /// all trials so far after each budget of each repetition. Trials depend on the seed only, save for their seconds.
    ///
    /// # Errors
    /// No points or classes, a budget out of range, fewer than two repetitions, no selector called `random`, two of one
    /// name, what `keep` returns, and cancelling. A selector that refuses is no error but an [`Outcome`].
    pub fn hear(
        &self,
        case: &Case,
        selectors: &[Box<dyn Selector>],
        mut trials: Vec<Trial>,
        seed: Seed,
        keep: &mut dyn FnMut(&[Trial]) -> Result<()>,
        progress: &dyn Progress,
    ) -> Result<Vec<Trial>> {
        self.check(case, selectors, seed)?;
        let total = self.repeats * self.budgets.len() * (selectors.len() + 1);
        progress.begin("hearing selectors", Some(total as u64));
        for repeat in 0..self.repeats {
            let seed = repetition(seed, repeat);
            let split = self.split(case, seed, progress)?;
            for &budget in &self.budgets {
                let heard = |method: &str| {
                    trials.iter().any(|t| (t.method.as_str(), t.budget, t.repeat) == (method, budget, repeat))
                };
                let due: Vec<_> = selectors.iter().filter(|selector| !heard(selector.card().slug)).collect();
                let mut turns = Vec::with_capacity(due.len() + 1);
                // One after the other, so that the seconds are each method's own.
                for selector in due {
                    checkpoint(progress)?;
                    turns.push(self.choose(selector.as_ref(), &split.pool, budget, seed, progress)?);
                }
                if !heard(FRESH) {
                    turns.push(Turn { method: FRESH, select_seconds: 0.0, choice: Choice::Fresh });
                }
                progress.advance((selectors.len() + 1 - turns.len()) as u64);
                let new: Vec<Trial> = turns
                    .into_par_iter()
                    .map(|turn| {
                        checkpoint(progress)?;
                        let (method, outcome) = (turn.method.to_owned(), self.train(turn, &split, budget, seed)?);
                        progress.advance(1);
                        Ok(Trial { method, budget, repeat, outcome })
                    })
                    .collect::<Result<_>>()?;
                trials.extend(new);
                keep(&trials)?;
            }
        }
        Ok(trials)
    }

    fn check(&self, case: &Case, selectors: &[Box<dyn Selector>], seed: Seed) -> Result<()> {
        // Gaps are filled later, and looked at then.
        let points = case.gaps.is_none() || case.pool.points.is_none();
        case.pool.check(1, needs(points))?;
        if let Some(raw) = case.raw.as_ref().filter(|raw| raw.rows() != case.pool.rows) {
            return Err(Error::input("raw points", raw.rows(), format!("the pool has {} rows", case.pool.rows)));
        }
        let left = self.rows_to_choose_from(case.pool.rows, seed)?;
        if self.budgets.is_empty() {
            return Err(Error::input("budgets", "none", "give at least one"));
        }
        if let Some(bad) = self.budgets.iter().find(|budget| **budget == 0 || **budget > left) {
            return Err(Error::input("budget", bad, format!("use 1 to {left}, the rows left beside the test rows")));
        }
        if !(self.margin >= 0.0 && self.margin < 1.0) {
            return Err(Error::input("margin", self.margin, "use a difference of accuracy from 0 to below 1"));
        }
        if self.repeats < 2 {
            return Err(Error::input("repetitions", self.repeats, "intervals need at least 2"));
        }
        let mut names: Vec<&str> = selectors.iter().map(|selector| selector.card().slug).collect();
        names.push(FRESH);
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Error::input("selectors", format!("`{}` twice", pair[0]), "name each once"));
        }
        if !names.contains(&RANDOM) {
            return Err(Error::input("selectors", "no `random`", "all are compared with it: add it"));
        }
        Ok(())
    }
}

/// What no case can do without.
fn needs(points: bool) -> Needs {
    Needs { points, classes: true, ..Needs::default() }
}

fn repetition(seed: Seed, repeat: usize) -> Seed {
    seed.stream("repeat").stream(&repeat.to_string())
}
