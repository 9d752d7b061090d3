//! What follows from what was measured.

use super::{By, Evidence, Expectation, Relation, Role};
use crate::distributions::{Tails, normal_quantile, student_quantile};
use crate::stats::{self, Interval};
use serde::{Deserialize, Serialize};

/// The outcome of one expectation or of a whole claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The interval lies inside what was expected.
    Holds,
    /// The interval lies outside.
    DoesNotHold,
    /// The interval has both.
    Inconclusive,
    /// What the claim stands on was not shown to be there (of a whole claim only).
    NotTestable,
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Verdict::Holds => "holds",
            Verdict::DoesNotHold => "does not hold",
            Verdict::Inconclusive => "inconclusive",
            Verdict::NotTestable => "not testable here",
        })
    }
}

/// An expectation with what was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// What was expected.
    pub expectation: Expectation,
    /// How many paired repetitions.
    pub pairs: usize,
    /// The interval's level: 0.95, of an equivalence 0.9 (two one-sided 5% tests); nearer to 1 where Holm's correction for
    /// several primary expectations asks for it.
    pub level: f64,
    /// The difference (or value, or ratio) with its interval.
    pub measured: Interval,
    /// The smallest departure from the limit (a factor for ratios) that a run with this spread sees nine times in ten; of
    /// an equivalence the smallest limit.
    #[serde(deserialize_with = "stats::number_or_nan")]
    pub sees: f64,
    /// What follows.
    pub verdict: Verdict,
}

/// The values that an expectation is about, on the scale on which they are judged.
pub(super) struct Sample {
    pub(super) values: Vec<f64>,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    /// A mean (of logarithms, for ratios), by t.
    Mean,
    Median,
    /// A share of hits.
    Share,
}

impl Evidence {
    /// What follows for each expectation, and for the claim.
    ///
    /// A broken identity means that the claim does not hold. Where a gate was not shown to hold, the claim is not testable.
    /// Else it does not hold if one primary expectation does not, and holds if all do. Several primary expectations are
    /// judged with Holm's correction: the chance that any verdict of theirs is wrong stays below 2.5% in each direction.
    pub fn judge(&self) -> (Verdict, Vec<Finding>) {
        let mut findings: Vec<Finding> =
            self.expectations.iter().map(|e| self.find(e, &self.sample(e), tail(e.relation))).collect();
        self.correct(&mut findings);
        let of = |role| findings.iter().filter(move |f: &&Finding| f.expectation.role == role);
        let primary = || of(Role::Primary);
        let verdict = if self.exact.iter().any(|e| !e.holds()) {
            Verdict::DoesNotHold
        } else if of(Role::Gate).any(|f| f.verdict != Verdict::Holds) {
            Verdict::NotTestable
        } else if primary().any(|f| f.verdict == Verdict::DoesNotHold) {
            Verdict::DoesNotHold
        } else if primary().count() + self.exact.len() > 0 && primary().all(|f| f.verdict == Verdict::Holds) {
            Verdict::Holds
        } else {
            Verdict::Inconclusive
        };
        (verdict, findings)
    }

    /// Holm's step-down: all primary expectations at a level divided by how many are open; those decided are done, and the
    /// others are looked at again, among fewer.
    fn correct(&self, findings: &mut [Finding]) {
        let mut open: Vec<usize> =
            (0..findings.len()).filter(|i| findings[*i].expectation.role == Role::Primary).collect();
        while open.len() > 1 {
            for &i in &open {
                let e = &self.expectations[i];
                findings[i] = self.find(e, &self.sample(e), tail(e.relation) / open.len() as f64);
            }
            let before = open.len();
            open.retain(|i| findings[*i].verdict == Verdict::Inconclusive);
            if open.len() == before {
                return;
            }
        }
        if let [last] = open[..] {
            let e = &self.expectations[last];
            findings[last] = self.find(e, &self.sample(e), tail(e.relation));
        }
    }

    pub(super) fn sample(&self, e: &Expectation) -> Sample {
        let own = self.values(&e.arm, &e.metric);
        let scale = |v: f64| if e.by == By::Ratio { v.ln() } else { v };
        let values: Vec<f64> = match &e.against {
            None => own.iter().map(|(_, v)| scale(*v)).collect(),
            Some(rival) => {
                let theirs: std::collections::BTreeMap<u64, f64> = self.values(rival, &e.metric).into_iter().collect();
                own.iter().filter_map(|(seed, v)| theirs.get(seed).map(|t| scale(*v) - scale(*t))).collect()
            }
        };
        let binary = || !values.is_empty() && values.iter().all(|v| *v == 0.0 || *v == 1.0);
        let kind = match e.by {
            By::Mean if e.against.is_none() && e.overlap == 0.0 && binary() => Kind::Share,
            // Equal differences have no spread to judge by; the median's interval still asks how many there are.
            By::Mean | By::Ratio if values.windows(2).any(|pair| pair[0] != pair[1]) => Kind::Mean,
            _ => Kind::Median,
        };
        Sample { values, kind }
    }

    /// The finding when `tail` is left out at either end.
    fn find(&self, e: &Expectation, sample: &Sample, tail: f64) -> Finding {
        let Sample { values, kind } = sample;
        let level = 1.0 - 2.0 * tail;
        let (limit, n) = (limit(e), values.len() as f64);
        let within = matches!(e.relation, Relation::Within(_));
        // A miss in ten: on one side, or of an equivalence on either.
        let reach = if within { 0.05 } else { 0.1 };
        let (interval, sees) = match kind {
            Kind::Mean => {
                let found = stats::t_interval(values, level, e.overlap);
                let reach =
                    student_quantile(Tails::above(tail), n - 1.0) + student_quantile(Tails::above(reach), n - 1.0);
                (found, reach * found.se)
            }
            Kind::Median => {
                let found = stats::median_interval(values, level);
                (found, (normal_quantile(Tails::above(tail)) + normal_quantile(Tails::above(reach))) * found.se)
            }
            Kind::Share => {
                let found = stats::share_interval(values, level).unwrap_or(stats::t_interval(values, level, 0.0));
                (found, share_sees(limit, values.len(), e.relation, level))
            }
        };
        let verdict = decide(limit, e.relation, interval);
        let (measured, sees) = if e.by == By::Ratio {
            let Interval { mean, se, low, high } = interval;
            (Interval { mean: mean.exp(), se, low: low.exp(), high: high.exp() }, sees.exp())
        } else {
            (interval, sees)
        };
        Finding { expectation: e.clone(), pairs: values.len(), level, measured, sees, verdict }
    }
}

/// The share of wrong verdicts allowed in each direction: 2.5%, and for an equivalence 5% by each of its two tests.
pub(super) fn tail(relation: Relation) -> f64 {
    if matches!(relation, Relation::Within(_)) { 0.05 } else { 0.025 }
}

/// The limit on the scale of judging.
pub(super) fn limit(e: &Expectation) -> f64 {
    let (Relation::Above(limit) | Relation::Below(limit) | Relation::Within(limit)) = e.relation;
    if e.by == By::Ratio { limit.ln() } else { limit }
}

/// The smallest departure of a share from `limit` that the exact interval of `n` trials sees nine times in ten; infinite
/// where certainty itself would not be seen. By bisection, to a ten thousandth.
fn share_sees(limit: f64, n: usize, relation: Relation, level: f64) -> f64 {
    let room = if matches!(relation, Relation::Below(_)) { limit } else { 1.0 - limit };
    let enough = |d: f64| super::plan::share_power(limit, d, n, relation, level) >= 0.9;
    if room.is_nan() || room <= 0.0 || !enough(room) {
        return f64::INFINITY;
    }
    let (mut low, mut high) = (0.0, room);
    while high - low > 1e-4 {
        let middle = 0.5 * (low + high);
        if enough(middle) { high = middle } else { low = middle }
    }
    high
}

/// The verdict of an interval. NaN ends are inconclusive: nothing was measured.
pub(super) fn decide(limit: f64, relation: Relation, Interval { low, high, .. }: Interval) -> Verdict {
    let (inside, outside) = match relation {
        Relation::Above(_) => (low > limit, high <= limit),
        Relation::Below(_) => (high < limit, low >= limit),
        Relation::Within(_) => (low > -limit && high < limit, low >= limit || high <= -limit),
    };
    match (inside, outside) {
        (true, _) => Verdict::Holds,
        (_, true) => Verdict::DoesNotHold,
        _ => Verdict::Inconclusive,
    }
}
