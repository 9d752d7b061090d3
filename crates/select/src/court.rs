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

use crate::{AskTell, Needs, Pool, RoundDraw, Rounds, Selection, Selector};
use ndarray::{Array2, Axis};
use quadrat_core::distributions::{Tails, student_quantile};
use quadrat_core::stats::{Interval, mean, t_interval};
use quadrat_core::{Error, Progress, Result, Seed, checkpoint};
use quadrat_numeric::impute::{Fill, Imputer};
use quadrat_numeric::learners::{Classifier, Learner, Mlp};
use quadrat_numeric::{Points, splits};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::time::Instant;

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

/// What a run shows of a method against random.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ruling {
    /// It is better.
    Better,
    /// It is worse, and so no better either.
    Worse,
    /// It is no better by more than the margin.
    NoBetter,
    /// Neither is shown.
    Undecided,
}

/// A method's standing at a budget.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Standing {
    /// The method's slug.
    pub method: String,
    /// Mean accuracy; NaN where the method refused.
    pub accuracy: f64,
    /// Accuracy minus that of static random subsets, over the same repetitions.
    pub minus_random: Interval,
    /// Accuracy minus that of fresh random subsets.
    pub minus_rs2: Interval,
    /// Mean seconds to choose.
    pub select_seconds: f64,
    /// Mean seconds to train.
    pub train_seconds: f64,
    /// What the run shows of it against random, by an interval that allows for the number of methods compared; `None` for
    /// random itself and where it did not choose.
    pub ruling: Option<Ruling>,
    /// The smallest difference from random that the run could have seen: one as large would have been found in four runs
    /// out of five.
    pub resolution: f64,
    /// Why it did not choose, where it did not.
    pub refused: Option<String>,
}

/// Rows to choose from and rows to measure on.
struct Split {
    pool: Case,
    x: Array2<f64>,
    y: Vec<u32>,
    test_x: Array2<f64>,
    test_y: Vec<u32>,
    classes: usize,
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

    /// The standings at a budget, best first; methods that refused come last.
    ///
    /// Differences are paired by repetition. Their 95% intervals allow for the rows that the repetitions share (Nadeau
    /// and Bengio 2003). What is shown against random is decided by an interval at the level 1 - 0.05 / methods
    /// (Bonferroni), for among twenty methods that all do nothing one would beat it at 95%: better or worse where it
    /// leaves 0 out, no better where it ends at or below the margin (an equivalence test on that side).
    pub fn judge(&self, trials: &[Trial], budget: usize) -> Vec<Standing> {
        let trials: Vec<&Trial> = trials.iter().filter(|t| t.budget == budget).collect();
        let mut methods: Vec<&str> = Vec::new();
        for trial in &trials {
            if !methods.contains(&trial.method.as_str()) {
                methods.push(&trial.method);
            }
        }
        let overlap = match self.apart {
            Apart::Times(_) => 0.0,
            Apart::Any | Apart::Groups(_) => self.test_share / (1.0 - self.test_share),
        };
        let rivals = methods.len().saturating_sub(2).max(1) as f64;
        let mut standings: Vec<Standing> = methods
            .iter()
            .map(|method| {
                let difference = |other| differences(&trials, method, other);
                let (random, level) = (difference(RANDOM), 1.0 - 0.05 / rivals);
                let strict = t_interval(&random, level, overlap);
                // A difference beyond the reach of the interval by that quantile is found in four runs out of five.
                let resolution = strict.high - strict.mean
                    + strict.se * student_quantile(Tails::below(0.8), (random.len().max(2) - 1) as f64);
                let mean_of = |part: fn(&Outcome) -> Option<f64>| {
                    let own = trials.iter().filter(|t| t.method == *method);
                    mean(&own.filter_map(|t| part(&t.outcome)).collect::<Vec<_>>())
                };
                Standing {
                    method: (*method).to_owned(),
                    accuracy: mean_of(Outcome::accuracy),
                    minus_random: t_interval(&random, 0.95, overlap),
                    minus_rs2: t_interval(&difference(FRESH), 0.95, overlap),
                    select_seconds: mean_of(|outcome| outcome.seconds().map(|(select, _)| select)),
                    train_seconds: mean_of(|outcome| outcome.seconds().map(|(_, train)| train)),
                    ruling: (*method != RANDOM && !random.is_empty()).then_some(if strict.low > 0.0 {
                        Ruling::Better
                    } else if strict.high < 0.0 {
                        Ruling::Worse
                    } else if strict.high <= self.margin {
                        Ruling::NoBetter
                    } else {
                        Ruling::Undecided
                    }),
                    resolution,
                    refused: trials.iter().find_map(|t| match &t.outcome {
                        Outcome::Refused(reason) if t.method == *method => Some(reason.clone()),
                        _ => None,
                    }),
                }
            })
            .collect();
        let rank = |s: &Standing| if s.accuracy.is_nan() { f64::NEG_INFINITY } else { s.accuracy };
        standings.sort_by(|a, b| rank(b).total_cmp(&rank(a)));
        standings
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

    /// Rows left to choose from, out of `rows`, once the test rows are set aside; where that differs from one repetition
    /// to the other, in the one that leaves least.
    ///
    /// # Errors
    /// A test share out of range, and no rows left; groups or times of another number of rows.
    pub fn rows_to_choose_from(&self, rows: usize, seed: Seed) -> Result<usize> {
        if !(self.test_share > 0.0 && self.test_share < 1.0) {
            return Err(Error::input("test share", self.test_share, "use a share above 0 and below 1"));
        }
        let given = match &self.apart {
            Apart::Any => rows,
            Apart::Groups(groups) => groups.len(),
            Apart::Times(times) => times.len(),
        };
        if given != rows {
            return Err(Error::input("groups or times", format!("{given} rows"), format!("the pool has {rows} rows")));
        }
        let left = match &self.apart {
            Apart::Any => rows - self.test_rows(rows).min(rows),
            Apart::Times(_) => self.sides(rows, seed)?.0.len(),
            Apart::Groups(_) => {
                let each = (0..self.repeats).map(|r| Ok(self.sides(rows, repetition(seed, r))?.0.len()));
                each.collect::<Result<Vec<_>>>()?.into_iter().min().unwrap_or(0)
            }
        };
        if left == 0 {
            return Err(Error::input("rows", rows, "there must be some to choose from and some to test on"));
        }
        Ok(left)
    }

    fn test_rows(&self, rows: usize) -> usize {
        ((self.test_share * rows as f64).round() as usize).max(1)
    }

    /// Rows to choose from and rows to test on.
    fn sides(&self, rows: usize, seed: Seed) -> Result<(Vec<usize>, Vec<usize>)> {
        let seed = seed.stream("split");
        let split = match &self.apart {
            Apart::Any => {
                let mut test: Vec<usize> = (0..rows).collect();
                seed.rng(0).shuffle(&mut test);
                let train = test.split_off(self.test_rows(rows).min(rows));
                return Ok((train, test));
            }
            Apart::Groups(groups) => splits::by_groups(groups, self.test_share, seed)?,
            Apart::Times(times) => splits::by_time(times, self.test_share)?,
        };
        Ok((split.train, split.test))
    }

    fn split(&self, case: &Case, seed: Seed, progress: &dyn Progress) -> Result<Split> {
        let (train, test) = self.sides(case.pool.rows, seed)?;
        let (mut pool, mut test) = (case.pool.take(&train), case.pool.take(&test));
        let mut raw = case.raw.as_ref().map(|raw| raw.take(&train));
        if let Some(how) = case.gaps {
            [pool.points, test.points] = filled([pool.points, test.points], how, progress)?;
            [raw, _] = filled([raw, None], how, progress)?;
            pool.check(1, needs(true))?;
            test.check(1, needs(true))?;
        }
        let parts = |pool: &Pool| {
            let points = pool.points.as_ref().map(|points| points.to_f64().into_owned()).unwrap_or_default();
            (points, pool.classes.clone().unwrap_or_default())
        };
        let ((x, y), (test_x, test_y)) = (parts(&pool), parts(&test));
        let classes = y.iter().chain(&test_y).max().map_or(0, |class| *class as usize + 1);
        Ok(Split { pool: Case { pool, raw, gaps: None }, x, y, test_x, test_y, classes })
    }

    fn choose<'a>(
        &self,
        selector: &'a dyn Selector,
        case: &Case,
        budget: usize,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Turn<'a>> {
        let raw = case.raw.as_ref().filter(|_| selector.needs().raw);
        let own = raw.map(|raw| Pool { points: Some(raw.clone()), ..case.pool.clone() });
        let method = selector.card().slug;
        let started = Instant::now();
        let pool = own.as_ref().unwrap_or(&case.pool);
        let choice = match selector.select(pool, budget, seed.stream(method), &Hushed(progress)) {
            Ok(selection) => Choice::Rows(selection),
            Err(Error::Cancelled) => return Err(Error::Cancelled),
            Err(reason) => Choice::Refused(reason.to_string()),
        };
        Ok(Turn { method, select_seconds: started.elapsed().as_secs_f64(), choice })
    }

    fn train(&self, turn: Turn, split: &Split, budget: usize, seed: Seed) -> Result<Outcome> {
        let started = Instant::now();
        let network = Mlp { epochs: (self.visits / budget).max(1), ..self.network };
        let seed = seed.stream("network");
        let classifier: Box<dyn Classifier> = match turn.choice {
            Choice::Refused(reason) => return Ok(Outcome::Refused(reason)),
            Choice::Rows(Selection { indices, weights, .. }) => {
                let x = split.x.select(Axis(0), &indices);
                let y: Vec<u32> = indices.iter().map(|row| split.y[*row]).collect();
                network.fit(x.view(), &y, split.classes, weights.as_deref(), seed)?
            }
            Choice::Fresh => {
                let mut rounds = Rounds::new(split.y.len(), RoundDraw::WithoutReplacement, None, seed.stream(FRESH))?;
                let mut round = |_| rounds.ask(budget);
                network.fit_rounds(split.x.view(), &split.y, split.classes, &mut round, seed)?
            }
        };
        let train_seconds = started.elapsed().as_secs_f64();
        let found = classifier.predict(split.test_x.view()).iter().zip(&split.test_y).filter(|(a, b)| a == b).count();
        let accuracy = found as f64 / split.test_y.len() as f64;
        Ok(Outcome::Trained { accuracy, select_seconds: turn.select_seconds, train_seconds })
    }
}

/// What no case can do without.
fn needs(points: bool) -> Needs {
    Needs { points, classes: true, ..Needs::default() }
}

fn repetition(seed: Seed, repeat: usize) -> Seed {
    seed.stream("repeat").stream(&repeat.to_string())
}

/// Points without NaN: what fills them is learnt from the first.
fn filled(points: [Option<Points>; 2], how: Fill, progress: &dyn Progress) -> Result<[Option<Points>; 2]> {
    // Embeddings and features from text have no gaps.
    if points.iter().flatten().any(|points| matches!(points, Points::F32(_))) {
        return Ok(points);
    }
    let [first, second] = points.map(|points| points.map(|points| points.to_f64().into_owned()));
    let Some(mut first) = first else { return Ok([None, second.map(Points::F64)]) };
    let imputer = Imputer::fit(first.view(), how);
    if let Some(column) = imputer.values.iter().position(|v| v.is_nan()) {
        let want = "leave the column out, or choose other rows to test on";
        return Err(Error::input(format!("column {column} of the points"), "no value in any row to choose from", want));
    }
    imputer.fill(&mut first, progress)?;
    let fill = |mut x: Array2<f64>| imputer.fill(&mut x, progress).map(|()| Points::F64(x));
    Ok([Some(Points::F64(first)), second.map(fill).transpose()?])
}

/// A choice on its way to the network.
struct Turn<'a> {
    method: &'a str,
    select_seconds: f64,
    choice: Choice,
}

enum Choice {
    Rows(Selection),
    Fresh,
    Refused(String),
}

/// Passes on that the job is to stop, but keeps a selector's own progress from the court's.
struct Hushed<'a>(&'a dyn Progress);

impl Progress for Hushed<'_> {
    fn cancelled(&self) -> bool {
        self.0.cancelled()
    }
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

/// Accuracy of `method` minus that of `other`, in the repetitions that heard both.
fn differences(trials: &[&Trial], method: &str, other: &str) -> Vec<f64> {
    let of = |name: &str, repeat| {
        trials.iter().find(|t| t.method == name && t.repeat == repeat).and_then(|t| t.outcome.accuracy())
    };
    let own = trials.iter().filter(|t| t.method == method);
    own.filter_map(|t| Some(t.outcome.accuracy()? - of(other, t.repeat)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cost, Needs, build};
    use quadrat_core::{Area, Card, Params, Silent};

    /// Always the rows of lowest number, or rows of class 0 only.
    struct Narrow;

    static NARROW: Card = Card {
        slug: "narrow",
        aliases: &[],
        title: "",
        paper: "",
        area: Area::Select,
        verbs: &["select"],
        summary: "",
        useful_when: "",
        cost: "",
        params: &[],
    };

    impl Selector for Narrow {
        fn card(&self) -> &'static Card {
            &NARROW
        }
        fn needs(&self) -> Needs {
            Needs::default()
        }
        fn cost(&self, _: usize, _: usize, _: usize) -> Cost {
            Cost { operations: 0.0, bytes: 0.0 }
        }
        fn select(&self, pool: &Pool, budget: usize, _: Seed, _: &dyn Progress) -> Result<Selection> {
            let classes = pool.classes.as_deref().unwrap();
            Ok(Selection::of((0..pool.rows).filter(|row| classes[*row] == 0).take(budget).collect()))
        }
    }

    /// Three classes in the plane that a network tells apart nearly always.
    fn case() -> Case {
        let mut rng = Seed(5).rng(0);
        let classes: Vec<u32> = (0..240).map(|i| i % 3).collect();
        let place = |i: usize, j: usize| f64::from(u8::from(classes[i] as usize == j));
        let x = Array2::from_shape_fn((240, 3), |(i, j)| place(i, j) + 0.2 * rng.normal());
        Case { pool: Pool::of_points(Points::F64(x)).with_classes(classes), raw: None, gaps: None }
    }

    fn court() -> Court {
        let network = Mlp { hidden: 8, batch: 8, learning_rate: 0.01, ..Mlp::default() };
        Court { budgets: vec![12, 30], repeats: 4, visits: 1200, network, ..Court::default() }
    }

    fn selectors() -> Vec<Box<dyn Selector>> {
        let named = |name| build(name, &Params::none()).unwrap();
        vec![named("random"), named("top-score"), Box::new(Narrow)]
    }

    fn hear(before: Vec<Trial>) -> Vec<Trial> {
        court().hear(&case(), &selectors(), before, Seed(1), &mut |_| Ok(()), &Silent).unwrap()
    }

    fn accuracies(mut trials: Vec<Trial>) -> Vec<(String, usize, usize, Option<f64>)> {
        trials.sort_by(|a, b| (&a.method, a.budget, a.repeat).cmp(&(&b.method, b.budget, b.repeat)));
        trials.into_iter().map(|t| (t.method, t.budget, t.repeat, t.outcome.accuracy())).collect()
    }

    #[test]
    fn a_selector_that_leaves_classes_out_loses_to_random_and_one_without_scores_refuses() {
        let trials = hear(Vec::new());
        assert_eq!(trials.len(), 2 * 4 * 4);
        for budget in court().budgets {
            let standings = court().judge(&trials, budget);
            let of = |name: &str| standings.iter().find(|s| s.method == name).unwrap();
            assert_eq!(of("narrow").ruling, Some(Ruling::Worse), "{standings:?}");
            assert_eq!((of("random").ruling, of("top-score").ruling), (None, None));
            assert!(of("random").accuracy > 0.8 && of("rs2").accuracy > 0.8, "{standings:?}");
            assert_eq!((of("random").minus_random.low, of("random").minus_random.high), (0.0, 0.0));
            assert!(of("top-score").refused.as_deref().unwrap().contains("scores"));
            assert_eq!(standings.last().map(|s| s.method.as_str()), Some("top-score"));
        }
    }

    /// By made-up accuracies: nothing is a win for random, and what a run could have seen is said.
    #[test]
    fn what_is_not_shown_stays_undecided() {
        let gain = |method: &str, repeat: usize| -> f64 {
            let noise = [1.0, -1.0, 0.5, -0.5, 0.2, -0.2, 0.8, -0.8][repeat % 8];
            match method {
                "better" => 0.1 + 0.01 * noise,
                "worse" => -0.1 + 0.01 * noise,
                "alike" => 0.001 * noise,
                "noisy" => 0.03 + 0.1 * noise,
                _ => 0.0,
            }
        };
        let methods = ["random", "rs2", "better", "worse", "alike", "noisy"];
        let trial = |method: &str, repeat| Trial {
            method: method.to_owned(),
            budget: 5,
            repeat,
            outcome: Outcome::Trained { accuracy: 0.6 + gain(method, repeat), select_seconds: 0.0, train_seconds: 0.0 },
        };
        let trials: Vec<Trial> = (0..8).flat_map(|repeat| methods.map(|method| trial(method, repeat))).collect();
        let standings = Court::default().judge(&trials, 5);
        let of = |name: &str| standings.iter().find(|s| s.method == name).unwrap();
        for (name, ruling) in [
            ("better", Ruling::Better),
            ("worse", Ruling::Worse),
            ("alike", Ruling::NoBetter),
            ("noisy", Ruling::Undecided),
        ] {
            assert_eq!(of(name).ruling, Some(ruling), "{:?}", of(name));
        }
        let (reach, seen) = (of("noisy").minus_random.high - of("noisy").minus_random.mean, of("noisy").resolution);
        assert!(seen > reach && seen < 3.0 * reach, "{seen} {reach}");
        let wide = Court { margin: 0.5, ..Court::default() }.judge(&trials, 5);
        assert_eq!(wide.iter().find(|s| s.method == "noisy").unwrap().ruling, Some(Ruling::NoBetter));
        // One repetition decides nothing.
        let once: Vec<Trial> = trials.into_iter().filter(|t| t.repeat == 0).collect();
        let alone = Court::default().judge(&once, 5);
        assert!(alone.iter().all(|s| s.method == "random" || s.ruling == Some(Ruling::Undecided)));
    }

    #[test]
    fn a_court_that_was_stopped_goes_on_and_threads_do_not_matter() {
        let whole = hear(Vec::new());
        let part: Vec<Trial> = whole.iter().step_by(3).cloned().collect();
        assert_eq!(accuracies(hear(part)), accuracies(whole.clone()));
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(accuracies(one.install(|| hear(Vec::new()))), accuracies(whole));
    }

    /// What fills a gap is learnt from the rows to choose from: other values on the other side change nothing.
    #[test]
    fn gaps_are_filled_by_rows_to_choose_from() {
        let with_gaps = |test: &[usize], value: f64| {
            let mut case = case();
            let mut x = case.pool.points.as_ref().unwrap().to_f64().into_owned();
            x.column_mut(1)
                .indexed_iter_mut()
                .for_each(|(row, v)| *v = if row % 5 == 0 { f64::NAN } else { row as f64 });
            test.iter().filter(|row| **row % 5 > 0).for_each(|row| x[[*row, 1]] = value);
            case.pool.points = Some(Points::F64(x));
            Case { gaps: Some(Fill::Median), ..case }
        };
        let groups: Vec<u32> = (0..240).map(|i| i / 10).collect();
        for apart in [Apart::Any, Apart::Groups(groups), Apart::Times((0..240).map(f64::from).collect())] {
            let court = Court { apart, ..court() };
            let (train, test) = court.sides(240, Seed(3)).unwrap();
            let split = |value| court.split(&with_gaps(&test, value), Seed(3), &Silent).unwrap();
            let (one, other) = (split(7.0), split(1e6));
            assert_eq!(one.x, other.x);
            let mut there: Vec<usize> = train.iter().copied().filter(|row| row % 5 > 0).collect();
            there.sort_unstable();
            let half = there.len() / 2;
            let median = (there[(there.len() - 1) / 2] + there[half]) as f64 / 2.0;
            for (at, row) in train.iter().enumerate().filter(|(_, row)| **row % 5 == 0) {
                assert_eq!(one.x[[at, 1]], median, "row {row}");
            }
            let gap = test.iter().position(|row| row % 5 == 0).unwrap();
            assert_eq!((one.test_x[[gap, 1]], other.test_x[[gap, 1]]), (median, median));
        }
        let heard = |case: &Case| court().hear(case, &selectors(), Vec::new(), Seed(1), &mut |_| Ok(()), &Silent);
        assert!(heard(&with_gaps(&[], 0.0)).is_ok());
        assert!(heard(&Case { gaps: None, ..with_gaps(&[], 0.0) }).is_err(), "a gap that nothing fills");
    }

    #[test]
    fn groups_and_times_stay_apart() {
        let groups: Vec<u32> = (0..240).map(|i| i % 12).collect();
        let by_groups = Court { apart: Apart::Groups(groups.clone()), ..court() };
        let mut seen = Vec::new();
        for repeat in 0..4 {
            let (train, test) = by_groups.sides(240, repetition(Seed(1), repeat)).unwrap();
            assert_eq!(train.len() + test.len(), 240);
            assert!(test.iter().all(|row| train.iter().all(|other| groups[*row] != groups[*other])));
            seen.push(test);
        }
        seen.dedup();
        assert!(seen.len() > 1, "each repetition draws its own groups");
        assert_eq!(by_groups.rows_to_choose_from(240, Seed(1)).unwrap(), 200);
        let by_time = Court { apart: Apart::Times((0..240).rev().map(f64::from).collect()), ..court() };
        assert_eq!(by_time.sides(240, Seed(1)).unwrap().1, (0..48).collect::<Vec<_>>());
        assert!(by_time.rows_to_choose_from(239, Seed(1)).unwrap_err().to_string().contains("239"));
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let refuse = |court: Court, case: &Case, selectors: &[Box<dyn Selector>]| {
            let heard = court.hear(case, selectors, Vec::new(), Seed(0), &mut |_| Ok(()), &Silent);
            heard.unwrap_err().to_string()
        };
        for (court, part) in [
            (Court { budgets: Vec::new(), ..court() }, "budgets"),
            (Court { budgets: vec![193], ..court() }, "1 to 192"),
            (Court { budgets: vec![0], ..court() }, "budget"),
            (Court { repeats: 1, ..court() }, "repetitions"),
            (Court { test_share: 1.0, ..court() }, "test share"),
            (Court { margin: -0.1, ..court() }, "margin"),
        ] {
            let error = refuse(court, &case(), &selectors());
            assert!(error.contains(part), "{error}");
        }
        let bare = Case { pool: Pool::of_rows(240), raw: None, gaps: None };
        assert!(refuse(court(), &bare, &selectors()).contains("points"));
        assert!(refuse(court(), &case(), &selectors()[1..]).contains("random"));
        let twice: Vec<_> = selectors().into_iter().chain(selectors()).collect();
        assert!(refuse(court(), &case(), &twice).contains("twice"));
    }
}
