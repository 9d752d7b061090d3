//! The standings: what the trials say of each method.

use super::{Apart, Court, FRESH, Outcome, RANDOM, Trial};
use quadrat_core::distributions::{Tails, student_quantile};
use quadrat_core::stats::{Interval, mean, t_interval};
use serde::Serialize;

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

impl Court {
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
}

/// Accuracy of `method` minus that of `other`, in the repetitions that heard both.
fn differences(trials: &[&Trial], method: &str, other: &str) -> Vec<f64> {
    let of = |name: &str, repeat| {
        trials.iter().find(|t| t.method == name && t.repeat == repeat).and_then(|t| t.outcome.accuracy())
    };
    let own = trials.iter().filter(|t| t.method == method);
    own.filter_map(|t| Some(t.outcome.accuracy()? - of(other, t.repeat)?)).collect()
}
