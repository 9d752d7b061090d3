//! How many repetitions a verdict takes.

use super::judge::{Kind, limit, tail};
use super::{By, Evidence, Expectation, Relation, Role};
use crate::distributions::{Tails, binomial, chi_square_quantile, normal, student_quantile};
use crate::stats;
use serde::{Deserialize, Serialize};

/// The chance of a verdict that a plan asks for, where the truth departs from the limit by what matters.
const POWER: f64 = 0.9;
/// More repetitions than this are never planned.
const CEILING: usize = 1_000_000;

/// What an expectation needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Need {
    /// The expectation, in its words.
    pub says: String,
    /// The standard deviation that is reckoned with: the upper end of the pilot's one-sided 80% interval, since a small
    /// pilot that happens to vary little would promise too much (Browne 1995). Of logarithms for ratios; 0 for a share,
    /// whose spread follows from its limit.
    pub spread: f64,
    /// The smallest departure from the limit that matters.
    pub matters: f64,
    /// How many repetitions see it nine times in ten; none where a million would not do.
    pub repetitions: Option<usize>,
    /// How often the repetitions that are run see it.
    pub power: f64,
}

/// How many repetitions are run, decided before the first of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The part of the experiment.
    pub name: String,
    /// Repetitions of the pilot, on seeds of its own; its figures are not among the evidence.
    pub pilot: usize,
    /// The most repetitions that the scale has time for.
    pub most: usize,
    /// How many are run.
    pub repetitions: usize,
    /// What each expectation needs that decides.
    pub needs: Vec<Need>,
}

impl Evidence {
    /// Plans the part called `name` from the figures of a pilot of `runs` repetitions: as many as the most demanding of the
    /// expectations that decide and that the pilot has figures of, at least as many as the pilot, at most `most`. Without
    /// such an expectation `most`.
    pub fn plan(&self, name: &str, pilot: &Evidence, runs: usize, most: usize) -> Plan {
        let primary = self.expectations.iter().filter(|e| e.role == Role::Primary).count();
        let asks = |e: &Expectation| match (e.role, e.relation, e.matters) {
            (Role::Reported, ..) => None,
            (_, Relation::Within(_), _) => Some(limit(e)),
            (_, _, Some(d)) => Some(if e.by == By::Ratio { d.ln().abs() } else { d.abs() }),
            _ => None,
        };
        let design = |e: &Expectation| {
            let sample = pilot.sample(e);
            let departure = asks(e).filter(|_| !sample.values.is_empty())?;
            let several = if e.role == Role::Primary { primary as f64 } else { 1.0 };
            let spread = if sample.kind == Kind::Share { 0.0 } else { upper_deviation(&sample.values) };
            let kind = if e.by == By::Median { Kind::Median } else { sample.kind };
            let level = 1.0 - 2.0 * tail(e.relation) / several;
            Some(Design { expectation: e.clone(), kind, spread, departure, level })
        };
        let designs: Vec<Design> = self.expectations.iter().filter_map(design).collect();
        let needed: Vec<Option<usize>> = designs.iter().map(Design::repetitions).collect();
        let wanted = needed.iter().map(|n| n.unwrap_or(most)).max().unwrap_or(most);
        let repetitions = wanted.max(runs).min(most.max(1));
        let needs = designs.iter().zip(needed).map(|(d, needed)| Need {
            says: d.expectation.says.clone(),
            spread: d.spread,
            matters: if d.expectation.by == By::Ratio { d.departure.exp() } else { d.departure },
            repetitions: needed,
            power: d.power(repetitions),
        });
        Plan { name: name.to_owned(), pilot: runs, most, repetitions, needs: needs.collect() }
    }
}

/// An expectation with all that its power depends on.
struct Design {
    expectation: Expectation,
    kind: Kind,
    spread: f64,
    departure: f64,
    level: f64,
}

impl Design {
    /// The chance that `n` repetitions decide as they should.
    fn power(&self, n: usize) -> f64 {
        let Design { expectation: e, kind, spread, departure, level } = self;
        let one_side = match kind {
            Kind::Share => return share_power(limit(e), *departure, n, e.relation, *level),
            Kind::Mean => t_power(departure / (spread * (1.0 / n as f64 + e.overlap).sqrt()), n, *level),
            Kind::Median => sign_power(departure / spread, n, *level),
        };
        // An equivalence must be seen from both sides.
        if matches!(e.relation, Relation::Within(_)) { (2.0 * one_side - 1.0).max(0.0) } else { one_side }
    }

    fn repetitions(&self) -> Option<usize> {
        let mut high = 2;
        while self.power(high) < POWER {
            high *= 2;
            if high > CEILING {
                return None;
            }
        }
        let mut low = high / 2;
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.power(middle) < POWER { low = middle } else { high = middle }
        }
        Some(high)
    }
}

/// The upper end of the one-sided 80% interval of the standard deviation of normal values.
fn upper_deviation(values: &[f64]) -> f64 {
    let df = values.len() as f64 - 1.0;
    if df < 1.0 {
        return f64::INFINITY;
    }
    stats::standard_deviation(values) * (df / chi_square_quantile(Tails::below(0.2), df)).sqrt()
}

/// The chance that the t interval of `n` values lies beyond a point from which the mean is `shift` standard errors away:
/// the noncentral t law in the normal approximation of Johnson and Kotz, good to a hundredth.
fn t_power(shift: f64, n: usize, level: f64) -> f64 {
    if n < 2 || shift.is_nan() {
        return 0.0;
    }
    let df = n as f64 - 1.0;
    let t = student_quantile(Tails::above(0.5 - 0.5 * level), df);
    if shift.is_infinite() {
        return 1.0;
    }
    normal((shift - t * (1.0 - 0.25 / df)) / (1.0 + 0.5 * t * t / df).sqrt()).below
}

/// The chance that the exact interval of the median of `n` normal values lies beyond a point `shift` standard deviations
/// away from it.
fn sign_power(shift: f64, n: usize, level: f64) -> f64 {
    let tail = 0.5 - 0.5 * level;
    let beyond = normal(shift).below;
    let cut = (0..n.div_ceil(2)).take_while(|k| binomial(*k as u64, n as u64, 0.5).below <= tail).last();
    // The interval's end is beyond the point when at most `cut` values are on the other side.
    cut.map_or(0.0, |k| binomial(k as u64, n as u64, 1.0 - beyond).below)
}

/// The chance that the exact interval of a share, of `n` trials, decides for a truth that departs from the limit by
/// `departure`.
pub(super) fn share_power(limit: f64, departure: f64, n: usize, relation: Relation, level: f64) -> f64 {
    let ends = |hits: usize| stats::clopper_pearson(hits, n, level);
    let at_most = |hits: usize, p: f64| if hits == 0 { 0.0 } else { binomial(hits as u64 - 1, n as u64, p).below };
    match relation {
        Relation::Above(_) => 1.0 - at_most(fewest(n, |hits| ends(hits).0 > limit), (limit + departure).min(1.0)),
        Relation::Below(_) => at_most(fewest(n, |hits| ends(hits).1 >= limit), (limit - departure).max(0.0)),
        // Of a share, "within" is said of nothing.
        Relation::Within(_) => 0.0,
    }
}

/// The fewest hits of `n` for which something is so that stays so for more; n + 1 where it never is.
fn fewest(n: usize, so: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, n + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        if so(middle) { high = middle } else { low = middle + 1 }
    }
    low
}
