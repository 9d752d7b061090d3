//! From measurements to a verdict.
//!
//! A claim is a program that measures and says beforehand what it expects ([`Expectation`]); it never judges. The one
//! routine that judges is [`Evidence::judge`]: paired differences over seeds, a t interval (with a bootstrap interval
//! beside it), the exact interval for a share of hits, an equivalence test for claims of "no difference".

use crate::stats::{self, Interval};
use crate::{Progress, Seed};
use serde::{Deserialize, Serialize};

/// How large a claim is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// Seconds: proves that the program works, gives no verdict.
    Smoke,
    /// At most two minutes on two cores.
    Quick,
    /// At most fifteen minutes on two cores.
    Full,
}

impl std::fmt::Display for Scale {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Scale::Smoke => "smoke",
            Scale::Quick => "quick",
            Scale::Full => "full",
        })
    }
}

/// What a claim's program is given.
#[derive(Clone, Copy)]
pub struct Trial<'a> {
    /// All randomness comes from here.
    pub seed: Seed,
    /// How large to run.
    pub scale: Scale,
    /// Where to report.
    pub progress: &'a dyn Progress,
}

impl Trial<'_> {
    /// The value for this scale.
    pub fn at<T>(&self, smoke: T, quick: T, full: T) -> T {
        match self.scale {
            Scale::Smoke => smoke,
            Scale::Quick => quick,
            Scale::Full => full,
        }
    }
}

/// One measured figure: `arm` is the method or baseline, `seed` numbers the repetition; figures with the same metric
/// and seed are paired.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// Method or baseline.
    pub arm: String,
    /// What was measured, with its unit or data set ("accuracy", "auc/phoneme").
    pub metric: String,
    /// The repetition.
    pub seed: u64,
    /// The figure.
    #[serde(deserialize_with = "stats::number_or_nan")]
    pub value: f64,
}

/// What an expectation says of the difference between two arms (or of one arm's value).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Relation {
    /// Above the margin.
    Above(f64),
    /// Below the margin.
    Below(f64),
    /// Inside +- the margin (an equivalence claim).
    Within(f64),
}

/// What a claim expects, said before it is measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Expectation {
    /// In words, as the paper or the sheet has it.
    pub says: String,
    /// The metric.
    pub metric: String,
    /// The arm in question.
    pub arm: String,
    /// The arm it is compared with, pair by pair; `None` judges the arm's own value.
    pub against: Option<String>,
    /// What is expected.
    pub relation: Relation,
    /// Whether the verdict rests on it (otherwise it is only reported).
    pub decides: bool,
    /// Overlap of training rows between repetitions (see [`stats::t_interval`]); 0 when independent.
    pub overlap: f64,
}

/// An identity that must hold to a tolerance: |left - right| <= tolerance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exact {
    /// What is compared.
    pub name: String,
    /// One side.
    #[serde(deserialize_with = "stats::number_or_nan")]
    pub left: f64,
    /// The other.
    #[serde(deserialize_with = "stats::number_or_nan")]
    pub right: f64,
    /// How far they may be apart.
    pub tolerance: f64,
}

impl Exact {
    /// Whether it holds; NaN never does.
    pub fn holds(&self) -> bool {
        (self.left - self.right).abs() <= self.tolerance
    }
}

/// A curve with optional error bars.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// (x, y, lower end, upper end); without error bars the ends equal y.
    pub points: Vec<[f64; 4]>,
}

/// A picture of the evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plot {
    /// What it shows.
    pub title: String,
    /// Label and unit of x.
    pub x: String,
    /// Label and unit of y.
    pub y: String,
    /// Whether x is drawn on a logarithmic scale.
    pub log_x: bool,
    /// Whether y is drawn on a logarithmic scale.
    pub log_y: bool,
    /// The curves.
    pub series: Vec<Series>,
}

/// What a claim's program returns.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Evidence {
    /// What the paper says, in our words.
    pub paper: String,
    /// The experiment here, in a sentence or two.
    pub experiment: String,
    /// All figures.
    pub rows: Vec<Measurement>,
    /// What was expected beforehand.
    pub expectations: Vec<Expectation>,
    /// Identities that must hold.
    pub exact: Vec<Exact>,
    /// Pictures.
    pub plots: Vec<Plot>,
    /// What else a reader must know, such as how baselines were tuned.
    pub notes: Vec<String>,
}

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
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Verdict::Holds => "holds",
            Verdict::DoesNotHold => "does not hold",
            Verdict::Inconclusive => "inconclusive",
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
    /// The difference (or value) with its interval: 95%, and 90% for an equivalence (two one-sided 5% tests). By t, but of
    /// an arm's own values that are all 0 or 1 the exact one: 40 hits of 40 are no proof of certainty.
    pub measured: Interval,
    /// The percentile bootstrap interval beside it, at the same level.
    pub bootstrap: Interval,
    /// What follows.
    pub verdict: Verdict,
}

impl Evidence {
    /// Adds a figure.
    pub fn measure(&mut self, arm: &str, metric: &str, seed: u64, value: f64) {
        self.rows.push(Measurement { arm: arm.into(), metric: metric.into(), seed, value });
    }

    /// Expects `arm` to differ from `against` by `relation`, pair by pair; the verdict rests on it.
    pub fn expect(&mut self, says: &str, metric: &str, arm: &str, against: Option<&str>, relation: Relation) {
        self.expectations.push(Expectation {
            says: says.into(),
            metric: metric.into(),
            arm: arm.into(),
            against: against.map(str::to_owned),
            relation,
            decides: true,
            overlap: 0.0,
        });
    }

    /// Like [`Evidence::expect`], only reported: the verdict does not rest on it.
    pub fn report(&mut self, says: &str, metric: &str, arm: &str, against: Option<&str>, relation: Relation) {
        self.expect(says, metric, arm, against, relation);
        if let Some(last) = self.expectations.last_mut() {
            last.decides = false;
        }
    }

    /// Adds an identity.
    pub fn identity(&mut self, name: &str, left: f64, right: f64, tolerance: f64) {
        self.exact.push(Exact { name: name.into(), left, right, tolerance });
    }

    /// The values of an arm by repetition, in order of the repetition's number.
    pub fn values(&self, arm: &str, metric: &str) -> Vec<(u64, f64)> {
        let mut found: Vec<(u64, f64)> =
            self.rows.iter().filter(|r| r.arm == arm && r.metric == metric).map(|r| (r.seed, r.value)).collect();
        found.sort_by_key(|(seed, _)| *seed);
        found
    }

    /// What follows for each expectation, and for the claim: a broken identity or a deciding expectation that does not
    /// hold means that the claim does not hold here; it holds when all deciding expectations do.
    pub fn judge(&self) -> (Verdict, Vec<Finding>) {
        let findings: Vec<Finding> = self.expectations.iter().map(|e| self.find(e)).collect();
        let deciding = || findings.iter().filter(|f| f.expectation.decides);
        let broken = self.exact.iter().any(|e| !e.holds());
        let verdict = if broken || deciding().any(|f| f.verdict == Verdict::DoesNotHold) {
            Verdict::DoesNotHold
        } else if deciding().count() + self.exact.len() > 0 && deciding().all(|f| f.verdict == Verdict::Holds) {
            Verdict::Holds
        } else {
            Verdict::Inconclusive
        };
        (verdict, findings)
    }

    fn find(&self, expectation: &Expectation) -> Finding {
        let own = self.values(&expectation.arm, &expectation.metric);
        let values: Vec<f64> = match &expectation.against {
            None => own.iter().map(|(_, v)| *v).collect(),
            Some(rival) => {
                let theirs: std::collections::BTreeMap<u64, f64> =
                    self.values(rival, &expectation.metric).into_iter().collect();
                own.iter().filter_map(|(seed, v)| theirs.get(seed).map(|t| v - t)).collect()
            }
        };
        let level = if matches!(expectation.relation, Relation::Within(_)) { 0.90 } else { 0.95 };
        let own_share = expectation.against.is_none() && expectation.overlap == 0.0;
        let share = if own_share { stats::share_interval(&values, level) } else { None };
        let measured = share.unwrap_or_else(|| stats::t_interval(&values, level, expectation.overlap));
        let bootstrap = stats::bootstrap_interval(&values, level, 2000, Seed(0).stream("bootstrap"));
        let verdict = decide(expectation.relation, measured);
        Finding { expectation: expectation.clone(), pairs: values.len(), measured, bootstrap, verdict }
    }
}

/// The verdict of an interval. NaN ends are inconclusive: nothing was measured.
fn decide(relation: Relation, Interval { low, high, .. }: Interval) -> Verdict {
    let (inside, outside) = match relation {
        Relation::Above(margin) => (low > margin, high <= margin),
        Relation::Below(margin) => (high < margin, low >= margin),
        Relation::Within(margin) => (low > -margin && high < margin, low >= margin || high <= -margin),
    };
    match (inside, outside) {
        (true, _) => Verdict::Holds,
        (_, true) => Verdict::DoesNotHold,
        _ => Verdict::Inconclusive,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(relation: Relation, differences: &[f64]) -> Evidence {
        let mut e = Evidence::default();
        for (seed, d) in differences.iter().enumerate() {
            e.measure("ours", "accuracy", seed as u64, 0.5 + d);
            e.measure("random", "accuracy", seed as u64, 0.5);
        }
        e.expect("ours is better", "accuracy", "ours", Some("random"), relation);
        e
    }

    #[test]
    fn verdicts_follow_the_interval() {
        let up = [0.04, 0.05, 0.06, 0.05];
        let down = up.map(|d: f64| -d);
        let none = [0.001, -0.001, 0.0, 0.0];
        let wide = [0.5, -0.4, 0.3, -0.2];
        for (relation, differences, expected) in [
            (Relation::Above(0.0), up, Verdict::Holds),
            (Relation::Above(0.0), down, Verdict::DoesNotHold),
            (Relation::Above(0.0), wide, Verdict::Inconclusive),
            (Relation::Above(0.1), up, Verdict::DoesNotHold),
            (Relation::Below(0.0), down, Verdict::Holds),
            (Relation::Below(0.0), up, Verdict::DoesNotHold),
            (Relation::Within(0.01), none, Verdict::Holds),
            (Relation::Within(0.01), up, Verdict::DoesNotHold),
            (Relation::Within(0.01), wide, Verdict::Inconclusive),
        ] {
            let (verdict, findings) = evidence(relation, &differences).judge();
            assert_eq!(verdict, expected, "{relation:?} {differences:?}");
            assert_eq!(findings[0].pairs, 4);
        }
    }

    #[test]
    fn shares_are_judged_by_exact_intervals() {
        let judge = |hits: usize, n: usize, relation: Relation| {
            let mut e = Evidence::default();
            (0..n).for_each(|i| e.measure("ours", "covered", i as u64, if i < hits { 1.0 } else { 0.0 }));
            e.expect("covers", "covered", "ours", None, relation);
            e.judge()
        };
        let (verdict, findings) = judge(40, 40, Relation::Above(0.95));
        assert_eq!(verdict, Verdict::Inconclusive);
        let Interval { mean, low, high, .. } = findings[0].measured;
        assert!(mean == 1.0 && (low - 0.911_903).abs() < 1e-6 && high == 1.0, "{:?}", findings[0].measured);
        assert_eq!(judge(40, 40, Relation::Above(0.9)).0, Verdict::Holds);
        assert_eq!(judge(100, 100, Relation::Above(0.95)).0, Verdict::Holds);
        assert_eq!(judge(0, 40, Relation::Above(0.5)).0, Verdict::DoesNotHold);
        assert_eq!(judge(0, 3, Relation::Below(0.5)).0, Verdict::Inconclusive);
    }

    #[test]
    fn broken_identities_decide_and_reports_do_not() {
        let mut e = evidence(Relation::Above(0.0), &[0.04, 0.05, 0.06]);
        e.report("something else", "accuracy", "ours", Some("random"), Relation::Below(0.0));
        assert_eq!(e.judge().0, Verdict::Holds);
        e.identity("sum of leverages = rank", f64::NAN, 2.0, 1e-9);
        assert_eq!(e.judge().0, Verdict::DoesNotHold);
    }

    #[test]
    fn nothing_measured_is_inconclusive() {
        assert_eq!(Evidence::default().judge().0, Verdict::Inconclusive);
        let mut e = evidence(Relation::Above(0.0), &[0.1]);
        assert_eq!(e.judge().0, Verdict::Inconclusive, "one pair gives no interval");
        e.expect("absent arm", "accuracy", "nobody", None, Relation::Above(0.0));
        assert_eq!(e.judge().1[1].pairs, 0);
    }

    /// The false-alarm rate of "holds" under no difference is 2.5%; 2,000 trials, four standard errors.
    #[test]
    fn verdicts_err_as_rarely_as_stated() {
        let mut holds = 0;
        for i in 0..2000 {
            let mut rng = Seed(3).rng(i);
            let d: Vec<f64> = (0..10).map(|_| rng.normal()).collect();
            holds += usize::from(decide(Relation::Above(0.0), stats::t_interval(&d, 0.95, 0.0)) == Verdict::Holds);
        }
        assert!((22..=78).contains(&holds), "{holds}");
    }
}
