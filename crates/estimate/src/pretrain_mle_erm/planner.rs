//! Does pretraining pay on these rows, and what would pay next: labels or unlabelled rows?

use super::{Head, Latent, Representation, Target, check_widths};
use ndarray::{ArrayView2, Axis};
use quadrat_core::stats::{Interval, mean, t_interval};
use quadrat_core::{Error, Progress, Result, Rng, Seed, checkpoint};
use quadrat_numeric::check_finite;
use rayon::prelude::*;
use serde::Serialize;

/// Measures held-out risk for every number of unlabelled rows (m) and labels (n) on a grid, with and without
/// pretraining, over random splits of the labelled rows.
pub struct Planner<'a> {
    /// Phase 1.
    pub representation: &'a dyn Representation,
    /// Phase 2, on the representation's features.
    pub head: Head,
    /// What labels alone get: a head on the columns themselves. Tune it as well as the other.
    pub supervised: Head,
    /// m, ascending. Of m below the pool's size every split draws other rows.
    pub pool_sizes: Vec<usize>,
    /// n, ascending, from 2. Every split takes the first n of its training rows.
    pub label_sizes: Vec<usize>,
    /// Random splits, at least 2.
    pub repeats: usize,
    /// Share of the labelled rows that is held out.
    pub test_share: f64,
}

/// Held-out risks (mean squared error, or share of wrong classes).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RiskSurface {
    /// m, ascending.
    pub pool_sizes: Vec<usize>,
    /// n, ascending.
    pub label_sizes: Vec<usize>,
    /// With pretraining: `[m][n][split]`.
    pub pretrained: Vec<Vec<Vec<f64>>>,
    /// From labels alone: `[n][split]`.
    pub supervised: Vec<Vec<f64>>,
    /// Held-out rows over training rows, by which intervals are widened: splits share rows.
    pub overlap: f64,
}

/// The number of labels at which labels alone catch up.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BreakEven {
    /// n, interpolated on a logarithmic scale; 0 where pretraining is never ahead, infinite where it still is at the
    /// largest n.
    pub labels: f64,
    /// Its central 95% over resampled splits, which share rows: rather too narrow.
    pub interval: (f64, f64),
}

/// What the last step on the grid brought.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Doubling {
    /// The number before.
    pub from: usize,
    /// The number after.
    pub to: usize,
    /// By how much the held-out risk fell, with its 95% interval.
    pub gain: Interval,
}

/// Resamples behind an interval of a break-even.
const RESAMPLES: u64 = 500;

impl Planner<'_> {
    /// The largest size and its halves down to `least`, at most `steps` of them, ascending.
    pub fn halvings(largest: usize, least: usize, steps: usize) -> Vec<usize> {
        let halves = std::iter::successors(Some(largest), |n| Some(n.div_ceil(2)).filter(|half| half < n));
        let mut sizes: Vec<usize> = halves.take_while(|n| *n >= least).take(steps).collect();
        sizes.reverse();
        sizes
    }

    /// How many of so many labelled rows are held out.
    pub fn held_out(test_share: f64, labelled: usize) -> usize {
        ((test_share * labelled as f64).round() as usize).max(1)
    }

    /// Fits everything on every split. Labelled rows are not added to the pool; held-out rows are seen by nobody.
    ///
    /// Cost: (splits x pool sizes) representations and (splits x pool sizes x label sizes) heads.
    ///
    /// # Errors
    /// Columns that differ in number, values that are not finite; sizes out of order or beyond the rows; fewer than 2
    /// splits, labels to train on or classes; a share outside 0..1; what representation and heads say; the user's cancelling.
    pub fn plan(
        &self,
        unlabelled: ArrayView2<f64>,
        x: ArrayView2<f64>,
        y: &Target,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<RiskSurface> {
        check_widths(unlabelled, x)?;
        y.check(x.nrows())?;
        check_finite("labelled rows", x)?;
        let tests = self.check(unlabelled.nrows(), x.nrows())?;
        // Of the whole pool there is one representation.
        let (pool, whole) = (unlabelled.nrows(), self.pool_sizes.last() == Some(&unlabelled.nrows()));
        let of_pool = match whole {
            true => Some(self.representation.fit(unlabelled, seed.stream("whole pool"), progress)?),
            false => None,
        };
        progress.begin("splits", Some(self.repeats as u64));
        let split = |repeat: u64| -> Result<Risks> {
            checkpoint(progress)?;
            let mut rng = seed.stream("labelled rows").rng(repeat);
            let (test, train) = split(y, tests, &mut rng)?;
            let rows = |rows: &[usize]| (x.select(Axis(0), rows), y.take(rows));
            let (test_x, test_y) = rows(&test);
            let labelled: Vec<_> = self.label_sizes.iter().map(|n| rows(&train[..*n])).collect();
            let risks = |head: Head, latent: Option<&dyn Latent>| -> Result<Vec<f64>> {
                let features =
                    |x: ArrayView2<f64>| latent.map_or_else(|| Ok(x.to_owned()), |latent| latent.transform(x));
                let held_out = features(test_x.view())?;
                let risk = |(x, y): &(_, Target)| {
                    let x: &ndarray::Array2<f64> = x;
                    head.fit(features(x.view())?.view(), y)?.predict(held_out.view())?.loss(&test_y)
                };
                labelled.iter().map(risk).collect()
            };
            let mut drawn: Vec<usize> = (0..pool).collect();
            seed.stream("unlabelled rows").rng(repeat).shuffle(&mut drawn);
            let mut pretrained = Vec::with_capacity(self.pool_sizes.len());
            for (at, m) in self.pool_sizes.iter().enumerate() {
                let latent = match &of_pool {
                    Some(latent) if *m == pool => latent,
                    _ => {
                        let own = Seed(seed.stream("part of the pool").rng((repeat << 16) + at as u64).next_u64());
                        &self.representation.fit(unlabelled.select(Axis(0), &drawn[..*m]).view(), own, progress)?
                    }
                };
                pretrained.push(risks(self.head, Some(latent.as_ref()))?);
            }
            progress.advance(1);
            Ok(Risks { pretrained, supervised: risks(self.supervised, None)? })
        };
        let splits = (0..self.repeats as u64).into_par_iter().map(split).collect::<Result<Vec<_>>>()?;
        let (ms, ns) = (0..self.pool_sizes.len(), 0..self.label_sizes.len());
        let over = |of: &dyn Fn(&Risks) -> f64| splits.iter().map(of).collect::<Vec<f64>>();
        Ok(RiskSurface {
            pool_sizes: self.pool_sizes.clone(),
            label_sizes: self.label_sizes.clone(),
            pretrained: ms.map(|m| ns.clone().map(|n| over(&|split| split.pretrained[m][n])).collect()).collect(),
            supervised: ns.map(|n| over(&|split| split.supervised[n])).collect(),
            overlap: tests as f64 / (x.nrows() - tests) as f64,
        })
    }

    /// How many rows are held out, once it is clear that all numbers fit.
    fn check(&self, pool: usize, labelled: usize) -> Result<usize> {
        if !(self.test_share > 0.0 && self.test_share < 1.0) {
            return Err(Error::input("test share", self.test_share, "use a share between 0 and 1"));
        }
        if self.repeats < 2 {
            return Err(Error::input("repeats", self.repeats, "intervals need at least 2 splits"));
        }
        let tests = Self::held_out(self.test_share, labelled);
        let train = labelled.saturating_sub(tests);
        for (what, sizes, most) in [("pool sizes", &self.pool_sizes, pool), ("label sizes", &self.label_sizes, train)] {
            let fits = sizes.windows(2).all(|pair| pair[0] < pair[1])
                && sizes.first().is_some_and(|n| *n >= 2)
                && sizes.last().is_some_and(|n| *n <= most);
            if !fits {
                let want = format!("give ascending numbers from 2 to {most}, the rows there are to train on");
                return Err(Error::input(what, format!("{sizes:?}"), want));
            }
        }
        Ok(tests)
    }
}

/// Held-out risks on one split: with pretraining `[m][n]`, and from labels alone `[n]`.
struct Risks {
    pretrained: Vec<Vec<f64>>,
    supervised: Vec<f64>,
}

/// Held-out rows and training rows in random order; the first two training rows are of different classes, so that every
/// beginning can train a classifier.
fn split(y: &Target, tests: usize, rng: &mut Rng) -> Result<(Vec<usize>, Vec<usize>)> {
    let mut rows: Vec<usize> = (0..y.len()).collect();
    rng.shuffle(&mut rows);
    let mut train = rows.split_off(tests);
    if let Target::Classes { codes, .. } = y {
        let other = train.iter().position(|row| codes[*row] != codes[train[0]]);
        let Some(other) = other else {
            let want = "label more rows of the rarer classes, or hold out fewer";
            return Err(Error::input("labels", "a split whose training rows have one class", want));
        };
        train.swap(1, other);
    }
    Ok((rows, train))
}

impl RiskSurface {
    /// Held-out risk with pretraining on the `m`-th pool size and `n`-th label size (places on the grid, from 0; beyond
    /// it they panic like any index).
    pub fn risk(&self, m: usize, n: usize) -> Interval {
        t_interval(&self.pretrained[m][n], 0.95, self.overlap)
    }

    /// Held-out risk of labels alone at the `n`-th label size.
    pub fn supervised_risk(&self, n: usize) -> Interval {
        t_interval(&self.supervised[n], 0.95, self.overlap)
    }

    /// By how much pretraining lowers the risk, split by split.
    pub fn gap(&self, m: usize, n: usize) -> Interval {
        t_interval(&self.gaps(m, n), 0.95, self.overlap)
    }

    fn gaps(&self, m: usize, n: usize) -> Vec<f64> {
        self.supervised[n].iter().zip(&self.pretrained[m][n]).map(|(s, p)| s - p).collect()
    }

    /// Where labels alone catch up with pretraining on the `m`-th pool size.
    pub fn break_even(&self, m: usize, seed: Seed) -> BreakEven {
        let gaps: Vec<Vec<f64>> = (0..self.label_sizes.len()).map(|n| self.gaps(m, n)).collect();
        let splits = gaps.first().map_or(0, Vec::len);
        let at = |rows: &[usize]| {
            let mean = |gaps: &Vec<f64>| mean(&rows.iter().map(|row| gaps[*row]).collect::<Vec<_>>());
            crossing(&self.label_sizes, &gaps.iter().map(mean).collect::<Vec<_>>())
        };
        let stream = seed.stream("break-even");
        let resampled = |resample: u64| {
            let mut rng = stream.rng(resample);
            at(&(0..splits).map(|_| rng.below(splits)).collect::<Vec<_>>())
        };
        let mut found: Vec<f64> = (0..RESAMPLES).map(resampled).collect();
        found.sort_unstable_by(f64::total_cmp);
        // Infinite values do not interpolate: take order statistics.
        let end = |q: f64| found[((q * (found.len() - 1) as f64).round()) as usize];
        BreakEven { labels: at(&(0..splits).collect::<Vec<_>>()), interval: (end(0.025), end(0.975)) }
    }

    /// What the last step of n brought with pretraining on the whole pool; none where the grid has one n.
    pub fn more_labels(&self) -> Option<Doubling> {
        let last = self.pretrained.last()?;
        let (before, after) = (last.len().checked_sub(2)?, last.len() - 1);
        let gain = self.fall(&last[before], &last[after]);
        Some(Doubling { from: self.label_sizes[before], to: self.label_sizes[after], gain })
    }

    /// What the last step of m brought with all labels; none where the grid has one m.
    pub fn more_unlabelled(&self) -> Option<Doubling> {
        let (before, after) = (self.pretrained.len().checked_sub(2)?, self.pretrained.len() - 1);
        let gain = self.fall(self.pretrained[before].last()?, self.pretrained[after].last()?);
        Some(Doubling { from: self.pool_sizes[before], to: self.pool_sizes[after], gain })
    }

    fn fall(&self, before: &[f64], after: &[f64]) -> Interval {
        let falls: Vec<f64> = before.iter().zip(after).map(|(b, a)| b - a).collect();
        t_interval(&falls, 0.95, self.overlap)
    }
}

/// Where gaps that belong to ascending sizes fall to 0 for good.
fn crossing(sizes: &[usize], gaps: &[f64]) -> f64 {
    let Some(ahead) = gaps.iter().rposition(|gap| *gap > 0.0) else { return 0.0 };
    let Some(next) = gaps.get(ahead + 1) else { return f64::INFINITY };
    let share = gaps[ahead] / (gaps[ahead] - next);
    let [from, to] = [sizes[ahead], sizes[ahead + 1]].map(|n| (n as f64).ln());
    (from + share * (to - from)).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crossings_and_halvings() {
        let sizes = [10, 20, 40];
        for (gaps, expected) in [
            ([0.3, 0.2, 0.1], f64::INFINITY),
            ([-0.1, -0.1, 0.0], 0.0),
            ([0.1, -0.1, -0.2], 10.0 * 2.0_f64.sqrt()),
            ([-0.1, 0.1, -0.1], 20.0 * 2.0_f64.sqrt()),
            ([0.1, 0.2, 0.0], 40.0),
        ] {
            assert!(
                (crossing(&sizes, &gaps) - expected).abs() < 1e-9 || crossing(&sizes, &gaps) == expected,
                "{gaps:?}"
            );
        }
        assert_eq!(Planner::halvings(100, 10, 3), [25, 50, 100]);
        assert_eq!(Planner::halvings(9, 2, 9), [2, 3, 5, 9]);
        assert_eq!(Planner::halvings(1, 2, 9), Vec::<usize>::new());
        assert_eq!(Planner::halvings(0, 0, 9), [0]);
    }

    #[test]
    fn classifiers_can_be_trained_on_every_beginning() {
        let codes: Vec<u32> = (0..30).map(|i| u32::from(i % 10 == 0)).collect();
        let y = Target::Classes { codes: codes.clone(), count: 2 };
        for item in 0..200 {
            match split(&y, 9, &mut Seed(1).rng(item)) {
                Ok((test, train)) => {
                    assert_ne!(codes[train[0]], codes[train[1]]);
                    let mut all = [test, train].concat();
                    all.sort_unstable();
                    assert!(all.iter().copied().eq(0..30));
                }
                Err(error) => assert!(error.to_string().contains("one class")),
            }
        }
    }
}
