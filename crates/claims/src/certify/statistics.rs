//! Tests that hold at any number of repetitions, what they would have found, and how many repetitions that takes.

use super::POWER;
use quadrat_core::distributions::{Tails, binomial, binomial_quantile, normal_quantile};

/// The two-sided p of `hits` in `n` trials of probability `p`: twice the smaller exact tail.
pub fn frequency_p(hits: u64, n: u64, p: f64) -> f64 {
    let at_least = if hits == 0 { 1.0 } else { binomial(hits - 1, n, p).above };
    (2.0 * binomial(hits, n, p).below.min(at_least)).min(1.0)
}

/// The smallest relative deviation from a probability `p` in either direction, up to 1, that [`frequency_p`] below
/// `alpha` would have found with probability [`POWER`]; none if even twice and never would have been missed.
pub fn frequency_finds(n: u64, p: f64, alpha: f64) -> Option<f64> {
    // Hits above so many are too many. Too few hits are too many misses.
    let too_many = |p: f64| binomial_quantile(Tails::above(0.5 * alpha), n, p);
    let (hits, misses) = (too_many(p)?, too_many(1.0 - p)?);
    let found = |by: f64| {
        let (more, less) = (p * (1.0 + by), p * (1.0 - by));
        let seen_more = more > 1.0 || binomial(hits, n, more).above >= POWER;
        seen_more && binomial(misses, n, 1.0 - less).above >= POWER
    };
    smallest(found)
}

/// The repetitions after which a relative deviation `by` from a probability `p` is found with probability [`POWER`]: as
/// the normal law has it, and some more, which the exact test needs at so small a level.
pub fn frequency_repetitions(p: f64, by: f64, alpha: f64) -> f64 {
    1.15 * reach(alpha).powi(2) * (1.0 - p) / (p * by * by)
}

/// The repetitions after which a deviation `by` of a mean is found with probability [`POWER`] by betting, where values
/// have this variance and are at most `bound`, in units of the mean.
pub fn mean_repetitions(variance: f64, bound: f64, by: f64, alpha: f64) -> f64 {
    let enough = |n: f64| {
        let moments = Moments { n, mean: 1.0, variance };
        moments.found(-by, bound, alpha) && moments.found(by, bound, alpha)
    };
    let mut n = 64.0;
    while !enough(n) && n < 1e6 {
        n *= 1.1;
    }
    n
}

/// How many standard errors a deviation must be to be found with probability [`POWER`].
fn reach(alpha: f64) -> f64 {
    normal_quantile(Tails::above(0.5 * alpha)) + normal_quantile(Tails::above(1.0 - POWER))
}

/// Bets on either side.
const BETS: usize = 7;

/// The bets: fractions of the wealth that is put on the next value being larger (positive) or smaller than 1. No bet can
/// lose more than all: a value is at least 0, and at most `bound`.
fn bets(bound: f64) -> impl Iterator<Item = f64> {
    let most = 0.95 / (bound - 1.0).max(0.1);
    (0..BETS).flat_map(move |i| {
        let half = 0.5_f64.powi(i as i32);
        [0.95 * half, -most.min(0.95) * half]
    })
}

/// The p of the law that independent values in [0, `bound`] have mean 1.
///
/// Someone who bets a fixed fraction of the wealth on each value keeps 1 on average if the mean is 1, whatever else the
/// law of the values is; so does a mixture of such bets. By Markov's inequality wealth of 1 / p or more then comes up with
/// probability at most p (Waudby-Smith and Ramdas 2024). O(values) for each of 14 bets.
pub fn mean_p(values: &[f64], bound: f64) -> f64 {
    let wealth: Vec<f64> = bets(bound).map(|bet| ln_wealth(values, bound, bet)).collect();
    let best = wealth.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = wealth.iter().map(|w| (w - best).exp()).sum();
    (wealth.len() as f64 / sum * (-best).exp()).min(1.0)
}

fn ln_wealth(values: &[f64], bound: f64, bet: f64) -> f64 {
    // A logarithm for each block: 32 factors between 0.05 and the bound stay well inside a double's range.
    let block = |values: &[f64]| values.iter().map(|v| 1.0 + bet * (v.min(bound) - 1.0)).product::<f64>().ln();
    values.chunks(32).map(block).sum()
}

/// The smallest relative deviation of the mean, up to 1, that [`mean_p`] below `alpha` would have found with probability
/// [`POWER`] among values like these.
pub fn mean_finds(values: &[f64], bound: f64, alpha: f64) -> Option<f64> {
    let (mean, variance) = (quadrat_core::stats::mean(values), quadrat_core::stats::variance(values));
    let moments = Moments { n: values.len() as f64, mean, variance };
    smallest(|by| moments.found(by, bound, alpha) && moments.found(-by, bound, alpha))
}

struct Moments {
    n: f64,
    mean: f64,
    variance: f64,
}

impl Moments {
    /// Whether the best bet would have won enough, had the values been such that their mean is 1 + `by`.
    fn found(&self, by: f64, bound: f64, alpha: f64) -> bool {
        let scale = (1.0 + by) / self.mean;
        let variance = self.variance * scale * scale;
        let needed = (2.0 * BETS as f64 / alpha).ln();
        let z = normal_quantile(Tails::above(1.0 - POWER));
        bets(bound).any(|bet| {
            // ln(1 + u) is u - u^2 / 2 or more, but for terms of the third order.
            let gain = bet * by - 0.5 * bet * bet * (variance + by * by);
            let spread = bet.abs() * variance.sqrt();
            self.n * gain - z * self.n.sqrt() * spread >= needed
        })
    }
}

/// The smallest number in (0, 1] from which on `found` says yes, if it does at 1.
fn smallest(found: impl Fn(f64) -> bool) -> Option<f64> {
    let (mut low, mut high) = (0.0, 1.0);
    if !found(high) {
        return None;
    }
    while high - low > 1e-3 * high {
        let middle = 0.5 * (low + high);
        if found(middle) { high = middle } else { low = middle }
    }
    Some(high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use quadrat_core::{Rng, Seed};

    const ALPHA: f64 = 1e-5;

    #[test]
    fn exact_frequencies() {
        // 2 * P(X <= 1) of 10 fair coins is 2 * 11 / 1024.
        assert!((frequency_p(1, 10, 0.5) - 22.0 / 1024.0).abs() < 1e-15);
        assert!((frequency_p(9, 10, 0.5) - 22.0 / 1024.0).abs() < 1e-15);
        assert_eq!((frequency_p(5, 10, 0.5), frequency_p(10, 10, 1.0), frequency_p(9, 10, 1.0)), (1.0, 1.0, 0.0));
    }

    /// Of frequencies that deviate by what is said to be found, 99 in 100 are found: of 1,000, five standard errors.
    #[test]
    fn stated_deviations_of_frequencies_are_found() {
        for (n, p) in [(4000, 0.25), (2000, 0.5), (9000, 0.1)] {
            let by = frequency_finds(n, p, ALPHA).unwrap();
            assert!((frequency_repetitions(p, by, ALPHA) / n as f64 - 1.0).abs() < 0.25, "{n} {p} {by}");
            for p_now in [p * (1.0 + by), p * (1.0 - by)] {
                let found = (0..1000).filter(|i| {
                    let mut rng = Seed(1).rng(*i);
                    let hits = (0..n).filter(|_| rng.uniform() < p_now).count() as u64;
                    frequency_p(hits, n, p) <= ALPHA
                });
                let found = found.count();
                assert!(found >= 974, "{n} {p} {by} {p_now}: {found}");
            }
        }
        assert_eq!(frequency_finds(5, 0.5, ALPHA), None);
    }

    type Law = fn(&mut Rng) -> f64;
    /// Values of mean 1 with their bound: a coin, rare large ones, small noise.
    const LAWS: [(Law, f64); 3] = [
        (|rng| if rng.uniform() < 1.0 / 3.0 { 3.0 } else { 0.0 }, 30.0),
        (|rng| if rng.uniform() < 0.1 { 10.0 } else { 0.0 }, 30.0),
        (|rng| 0.5 + rng.uniform(), 10.0),
    ];

    #[test]
    fn stated_deviations_of_means_are_found() {
        for (law, bound) in LAWS {
            let draw = |i: u64, n: usize| -> Vec<f64> {
                let mut rng = Seed(2).rng(i);
                (0..n).map(|_| law(&mut rng)).collect()
            };
            let by = mean_finds(&draw(0, 5000), bound, ALPHA).unwrap();
            for scale in [1.0 + by, 1.0 - by] {
                let found = (1..=200).filter(|i| {
                    let values: Vec<f64> = draw(*i, 5000).iter().map(|v| v * scale).collect();
                    mean_p(&values, bound) <= ALPHA
                });
                // 99 in 100 promised: of 200, five standard errors.
                let found = found.count();
                assert!(found >= 191, "{by} {scale}: {found}");
            }
            let planned = mean_repetitions(quadrat_core::stats::variance(&draw(0, 5000)), bound, by, ALPHA);
            assert!((planned / 5000.0 - 1.0).abs() < 0.3, "{planned}");
        }
    }

    /// At a level where false alarms can be counted: Markov's inequality leaves far fewer than 1 in 20.
    #[test]
    fn means_that_are_right_are_left_alone() {
        for (law, bound) in LAWS {
            let alarms = (0..1000).filter(|i| {
                let mut rng = Seed(3).rng(*i);
                let values: Vec<f64> = (0..300).map(|_| law(&mut rng)).collect();
                mean_p(&values, bound) <= 0.05
            });
            // At most 50 are due: four standard errors more.
            assert!(alarms.count() <= 78);
        }
        assert_eq!(mean_p(&[], 10.0), 1.0);
        assert!(mean_p(&[0.0; 4000], 30.0) < 1e-30 && mean_p(&[1e300; 40], 30.0) < 1e-30);
    }
}
