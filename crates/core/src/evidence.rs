//! From measurements to a verdict.
//!
//! A claim is a program that measures and says beforehand what it expects ([`Expectation`]); it never judges. How many
//! repetitions it takes follows from a pilot ([`Evidence::plan`]), and the one routine that judges is [`Evidence::judge`].

mod judge;
mod plan;

pub use judge::{Finding, Verdict};
pub use plan::{Need, Plan};

use crate::stats;
use serde::{Deserialize, Serialize};

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

/// What an expectation says of the difference between two arms (or of one arm's value). The limit is in the figure's
/// unit; where ratios are judged ([`By::Ratio`]) it is a factor, and `Within(f)` means from 1/f to f.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Relation {
    /// Above the limit. A limit below zero says "not worse by more": non-inferiority.
    Above(f64),
    /// Below the limit.
    Below(f64),
    /// Inside +- the limit: equivalence, where both directions count.
    Within(f64),
}

/// What is judged of a figure that varies from repetition to repetition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// The mean of the differences, by t: for figures that are about as often above as below, such as accuracies. An
    /// arm's own values that are all 0 or 1 are judged as a share, by the exact interval.
    #[default]
    Mean,
    /// The geometric mean of the ratios, by t on logarithms: for errors, distances and times, which are positive and
    /// skewed.
    Ratio,
    /// The median of the differences, by the exact interval between order statistics: whatever the law, also where a run
    /// may collapse. Needs 6 repetitions.
    Median,
}

/// What an expectation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The verdict rests on it.
    Primary,
    /// It is only reported.
    Reported,
    /// What must be so for the claim to be testable at all, such as a model that works.
    Gate,
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<String>,
    /// What is expected.
    pub relation: Relation,
    /// What is judged.
    #[serde(default)]
    pub by: By,
    /// What it is for.
    pub role: Role,
    /// The smallest departure from the limit that matters (a factor for ratios): repetitions are planned to see it nine
    /// times in ten. For an equivalence the limit itself is what matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matters: Option<f64>,
    /// Overlap of training rows between repetitions (see [`stats::t_interval`]); 0 when independent.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub overlap: f64,
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

impl Expectation {
    /// Judges something else than the mean.
    pub fn by(&mut self, by: By) -> &mut Self {
        self.by = by;
        self
    }

    /// Plans for this smallest departure from the limit.
    pub fn matters(&mut self, departure: f64) -> &mut Self {
        self.matters = Some(departure);
        self
    }
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

/// How an arm's parameter was chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tuned {
    /// The arm.
    pub arm: String,
    /// The parameter.
    pub parameter: String,
    /// All values that were tried, each as often as every other, in ascending order.
    pub tried: Vec<f64>,
    /// The one that was best.
    pub chosen: f64,
}

impl Tuned {
    /// Whether the best value was at an end of those tried, so that a better one may lie beyond.
    pub fn at_edge(&self) -> bool {
        self.tried.len() > 1 && (self.tried.first() == Some(&self.chosen) || self.tried.last() == Some(&self.chosen))
    }
}

/// What a claim's program returns.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Evidence {
    /// What the paper says, in our words.
    pub paper: String,
    /// The experiment here, in a sentence or two.
    pub experiment: String,
    /// All figures.
    #[serde(with = "rows")]
    pub rows: Vec<Measurement>,
    /// What was expected beforehand. Not written with the rest: findings hold it.
    #[serde(skip)]
    pub expectations: Vec<Expectation>,
    /// How many repetitions were planned, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plans: Vec<Plan>,
    /// What was tuned, for which arm.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tuned: Vec<Tuned>,
    /// Identities that must hold.
    pub exact: Vec<Exact>,
    /// Pictures.
    pub plots: Vec<Plot>,
    /// What else a reader must know, such as how baselines were tuned.
    pub notes: Vec<String>,
}

impl Evidence {
    /// What the paper says, and what is done here.
    pub fn new(paper: impl Into<String>, experiment: impl Into<String>) -> Self {
        Evidence { paper: paper.into(), experiment: experiment.into(), ..Evidence::default() }
    }

    /// Adds a figure.
    pub fn measure(&mut self, arm: &str, metric: &str, seed: u64, value: f64) {
        self.rows.push(Measurement { arm: arm.into(), metric: metric.into(), seed, value });
    }

    /// Expects `arm` to differ from `against` by `relation`, pair by pair; the verdict rests on it. A claim has one such
    /// expectation, or few: several are judged with Holm's correction.
    pub fn expect(
        &mut self,
        says: &str,
        metric: &str,
        arm: &str,
        against: Option<&str>,
        relation: Relation,
    ) -> &mut Expectation {
        let (says, metric, arm, against) = (says.into(), metric.into(), arm.into(), against.map(str::to_owned));
        let (by, role, matters, overlap) = (By::Mean, Role::Primary, None, 0.0);
        let at = self.expectations.len();
        self.expectations.push(Expectation { says, metric, arm, against, relation, by, role, matters, overlap });
        &mut self.expectations[at]
    }

    /// Like [`Evidence::expect`], only reported: the verdict does not rest on it.
    pub fn report(
        &mut self,
        says: &str,
        metric: &str,
        arm: &str,
        against: Option<&str>,
        relation: Relation,
    ) -> &mut Expectation {
        let said = self.expect(says, metric, arm, against, relation);
        said.role = Role::Reported;
        said
    }

    /// Like [`Evidence::expect`], but what must be so for the claim to be testable here.
    pub fn gate(
        &mut self,
        says: &str,
        metric: &str,
        arm: &str,
        against: Option<&str>,
        relation: Relation,
    ) -> &mut Expectation {
        let said = self.expect(says, metric, arm, against, relation);
        said.role = Role::Gate;
        said
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

    /// Figures and curves to six significant digits, as they are kept on record and judged.
    pub fn rounded(mut self) -> Self {
        self.rows.iter_mut().for_each(|row| row.value = six_digits(row.value));
        let points = self.plots.iter_mut().flat_map(|plot| &mut plot.series).flat_map(|series| &mut series.points);
        points.flatten().for_each(|v| *v = six_digits(*v));
        self
    }
}

fn six_digits(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}

/// Measurements as one list of values for each arm and metric.
mod rows {
    use super::Measurement;
    use crate::stats;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// The values of the repetitions `seeds`, which are left out where they count from 0.
    #[derive(Serialize, Deserialize)]
    struct Group {
        arm: String,
        metric: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seeds: Option<Vec<u64>>,
        #[serde(deserialize_with = "stats::numbers_or_nan")]
        values: Vec<f64>,
    }

    pub fn serialize<S: Serializer>(rows: &[Measurement], to: S) -> Result<S::Ok, S::Error> {
        let mut groups: Vec<(&str, &str, Vec<u64>, Vec<f64>)> = Vec::new();
        let mut place = std::collections::HashMap::new();
        for row in rows {
            let at = *place.entry((&row.arm, &row.metric)).or_insert(groups.len());
            if at == groups.len() {
                groups.push((&row.arm, &row.metric, Vec::new(), Vec::new()));
            }
            groups[at].2.push(row.seed);
            groups[at].3.push(row.value);
        }
        to.collect_seq(groups.into_iter().map(|(arm, metric, seeds, values)| {
            let counted = seeds.iter().enumerate().all(|(i, seed)| *seed == i as u64);
            Group { arm: arm.into(), metric: metric.into(), seeds: (!counted).then_some(seeds), values }
        }))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Measurement>, D::Error> {
        let mut rows = Vec::new();
        for Group { arm, metric, seeds, values } in Vec::<Group>::deserialize(from)? {
            let seeds = seeds.unwrap_or_else(|| (0..values.len() as u64).collect());
            if seeds.len() != values.len() {
                let wrong = format!("{arm}, {metric}: {} seeds for {} values", seeds.len(), values.len());
                return Err(serde::de::Error::custom(wrong));
            }
            let row = |(seed, value)| Measurement { arm: arm.clone(), metric: metric.clone(), seed, value };
            rows.extend(seeds.into_iter().zip(values).map(row));
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests;
