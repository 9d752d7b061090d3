//! Statistics of results: means, intervals, tests.

use crate::Seed;
use crate::distributions::{self, Tails, beta_quantile, student_quantile};

/// The arithmetic mean; NaN for no values.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The unbiased sample variance; NaN for fewer than two values.
pub fn variance(values: &[f64]) -> f64 {
    let m = mean(values);
    values.iter().map(|v| (v - m).powi(2)).sum::<f64>() / (values.len() as f64 - 1.0)
}

/// The sample standard deviation; NaN for fewer than two values.
pub fn standard_deviation(values: &[f64]) -> f64 {
    variance(values).sqrt()
}

/// The median (mean of the two middle values for an even count); NaN for no values. NaNs sort last.
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The `q`-quantile by linear interpolation between order statistics (Hyndman and Fan's type 7).
pub fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let at = q.clamp(0.0, 1.0) * last as f64;
    let (low, high) = (at.floor() as usize, at.ceil() as usize);
    sorted[low] + (at - low as f64) * (sorted[high] - sorted[low])
}

/// The `p`-quantile of the standard normal. Of a `p` near 1 use both tails:
/// [`distributions::normal_quantile`].
pub fn normal_quantile(p: f64) -> f64 {
    distributions::normal_quantile(Tails::below(p))
}

/// P(X > x) of chi-square with `df` degrees of freedom.
pub fn chi_square_tail(x: f64, df: f64) -> f64 {
    distributions::chi_square(x, df).above
}

/// The exact interval at the given level of a probability after `hits` of `n` trials (Clopper and Pearson 1934): both
/// ends are probabilities, the lower one 0 for no hit, the upper one 1 for no miss.
pub fn clopper_pearson(hits: usize, n: usize, level: f64) -> (f64, f64) {
    let tail = 0.5 - 0.5 * level;
    let end = |hits: usize, misses: usize, tails| beta_quantile(tails, hits as f64, misses as f64).0;
    let low = if hits == 0 { 0.0 } else { end(hits, n - hits + 1, Tails::below(tail)) };
    let high = if hits >= n { 1.0 } else { end(hits + 1, n - hits, Tails::above(tail)) };
    (low, high)
}

/// An estimate with its interval.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Interval {
    /// The point estimate.
    #[serde(deserialize_with = "number_or_nan")]
    pub mean: f64,
    /// Its standard error.
    #[serde(deserialize_with = "number_or_nan")]
    pub se: f64,
    /// Lower end.
    #[serde(deserialize_with = "number_or_nan")]
    pub low: f64,
    /// Upper end.
    #[serde(deserialize_with = "number_or_nan")]
    pub high: f64,
}

/// JSON has no NaN and no infinity: both are written as null, and null is read as NaN.
pub(crate) fn number_or_nan<'de, D: serde::Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(<Option<f64> as serde::Deserialize>::deserialize(from)?.unwrap_or(f64::NAN))
}

/// [`number_or_nan`] for a list.
pub(crate) fn numbers_or_nan<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<f64>, D::Error> {
    let values = <Vec<Option<f64>> as serde::Deserialize>::deserialize(from)?;
    Ok(values.into_iter().map(|v| v.unwrap_or(f64::NAN)).collect())
}

/// The t interval of a mean at the given level (0.95 for 95%).
///
/// `overlap` corrects for repetitions that share training rows, as the folds of a cross-validation do (Nadeau and
/// Bengio 2003): the ratio of test to training rows, 0 for independent repetitions. Fewer than two values give an
/// infinite interval, equal values one of width zero.
pub fn t_interval(values: &[f64], level: f64, overlap: f64) -> Interval {
    let (n, mean) = (values.len() as f64, mean(values));
    if values.len() < 2 {
        return Interval { mean, se: f64::INFINITY, low: f64::NEG_INFINITY, high: f64::INFINITY };
    }
    let se = (variance(values) * (1.0 / n + overlap)).sqrt();
    let reach = -se * student_quantile(Tails::below(0.5 - 0.5 * level), n - 1.0);
    Interval { mean, se, low: mean - reach, high: mean + reach }
}

/// The exact interval of the share of ones among zeros and ones; none for other values, or for none.
pub fn share_interval(values: &[f64], level: f64) -> Option<Interval> {
    if values.is_empty() || values.iter().any(|v| *v != 0.0 && *v != 1.0) {
        return None;
    }
    let (n, hits) = (values.len(), values.iter().filter(|v| **v == 1.0).count());
    let mean = hits as f64 / n as f64;
    let (low, high) = clopper_pearson(hits, n, level);
    Some(Interval { mean, se: (mean * (1.0 - mean) / n as f64).sqrt(), low, high })
}

/// The exact interval of a median between two order statistics, at least at the given level whatever the law (Thompson
/// 1936): infinite for fewer values than that takes, 6 at 95%. `se` is what a normal law with such an interval would have.
pub fn median_interval(values: &[f64], level: f64) -> Interval {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let n = sorted.len();
    let tail = 0.5 - 0.5 * level;
    // The most values that may be left out at either end.
    let cut = (0..n.div_ceil(2)).take_while(|k| distributions::binomial(*k as u64, n as u64, 0.5).below <= tail).last();
    let mean = median(values);
    match cut {
        Some(k) => {
            let (low, high) = (sorted[k], sorted[n - 1 - k]);
            Interval { mean, se: (high - low) / (2.0 * -normal_quantile(tail)), low, high }
        }
        None => Interval { mean, se: f64::INFINITY, low: f64::NEG_INFINITY, high: f64::INFINITY },
    }
}

/// The percentile bootstrap interval of a mean, from `resamples` resamples.
pub fn bootstrap_interval(values: &[f64], level: f64, resamples: usize, seed: Seed) -> Interval {
    bootstrap_test(values, level, resamples, seed).0
}

/// [`bootstrap_interval`], and the two-sided p of a mean of 0 from the same resamples (the shift method; Sakai 2006 and
/// Smucker et al. 2007 compare rankings so): how often the mean of a resample is as far from the sample's as that is from 0,
/// both counted with the sample itself, so that p is at least 1 / (`resamples` + 1). NaN for fewer than two values.
pub fn bootstrap_test(values: &[f64], level: f64, resamples: usize, seed: Seed) -> (Interval, f64) {
    let mean_of = mean(values);
    if values.len() < 2 || resamples < 2 {
        let interval = Interval { mean: mean_of, se: f64::INFINITY, low: f64::NEG_INFINITY, high: f64::INFINITY };
        return (interval, f64::NAN);
    }
    let means: Vec<f64> = (0..resamples)
        .map(|r| {
            let mut rng = seed.rng(r as u64);
            (0..values.len()).map(|_| values[rng.below(values.len())]).sum::<f64>() / values.len() as f64
        })
        .collect();
    let tail = 0.5 - 0.5 * level;
    let (low, high) = (quantile(&means, tail), quantile(&means, 1.0 - tail));
    // Sums in another order differ in their last digits.
    let as_far = means.iter().filter(|m| (*m - mean_of).abs() >= mean_of.abs() * (1.0 - 1e-12)).count();
    let p = (1 + as_far) as f64 / (1 + resamples) as f64;
    (Interval { mean: mean_of, se: standard_deviation(&means), low, high }, p)
}

/// How many times wider the spread over all halves of chains is than within a half: split R-hat (Gelman et al. 2013), 1
/// when all halves look alike. `chains` hold one quantity's draws, all of the same length.
///
/// NaN for fewer than four draws a chain and for draws that are not finite; 1 when no draw differs from another, infinite
/// when only the halves differ.
pub fn split_r_hat(chains: &[Vec<f64>]) -> f64 {
    let halves = halves(chains);
    if halves.is_empty() {
        return f64::NAN;
    }
    let (within, total) = spreads(&halves);
    if total == 0.0 { 1.0 } else { (total / within).sqrt() }
}

/// How many independent draws the draws of `chains` are worth for the mean of one quantity (Vehtari et al. 2021, with
/// Geyer's initial monotone sequence over halves of chains). All chains have the same length.
///
/// NaN for fewer than four draws a chain and for draws that are not finite; the number of draws when none differs from
/// another. At most the number of draws times its base-10 logarithm: antithetic chains are worth more than they count.
/// O(draws * lags until the correlation is lost).
pub fn effective_sample_size(chains: &[Vec<f64>]) -> f64 {
    let halves = halves(chains);
    let Some(n) = halves.first().map(|half| half.len()) else { return f64::NAN };
    let draws = (n * halves.len()) as f64;
    let (within, total) = spreads(&halves);
    if total == 0.0 {
        return draws;
    }
    let centred: Vec<Vec<f64>> = halves
        .iter()
        .map(|half| {
            let m = mean(half);
            half.iter().map(|v| v - m).collect()
        })
        .collect();
    // The correlation of draws `lag` apart: what the variance lacks, where between-chain spread counts as correlation.
    let correlation = |lag: usize| {
        let product = |half: &Vec<f64>| half[lag..].iter().zip(half).map(|(a, b)| a * b).sum::<f64>() / n as f64;
        let covariance = centred.iter().map(product).sum::<f64>() / halves.len() as f64;
        1.0 - (within - covariance) / total
    };
    // Sums of pairs are positive and fall for a reversible chain; what does not is noise.
    let (mut sum, mut least) = (0.0, f64::INFINITY);
    for pair in 0..n / 2 {
        let first = if pair == 0 { 1.0 } else { correlation(2 * pair) };
        let both = first + correlation(2 * pair + 1);
        if both.is_nan() || both <= 0.0 {
            break;
        }
        least = least.min(both);
        sum += least;
    }
    draws / (2.0 * sum - 1.0).max(1.0 / draws.log10())
}

/// The first and the last half of each chain, the middle draw of an odd number left out; none if halves are shorter than
/// two, differ in length or hold values that are not finite.
fn halves(chains: &[Vec<f64>]) -> Vec<&[f64]> {
    let n = chains.first().map_or(0, Vec::len);
    if n < 4 || chains.iter().any(|chain| chain.len() != n || chain.iter().any(|v| !v.is_finite())) {
        return Vec::new();
    }
    chains.iter().flat_map(|chain| [&chain[..n / 2], &chain[n - n / 2..]]).collect()
}

/// The mean variance within the parts, and the variance over all that also counts how their means differ.
fn spreads(parts: &[&[f64]]) -> (f64, f64) {
    let n = parts[0].len() as f64;
    let within = mean(&parts.iter().map(|part| variance(part)).collect::<Vec<f64>>());
    let between = variance(&parts.iter().map(|part| mean(part)).collect::<Vec<f64>>());
    (within, within * (n - 1.0) / n + between)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_intervals_of_a_share() {
        // scipy.stats.binomtest(k, n).proportion_ci(0.95, "exact").
        for (hits, n, low, high) in [
            (0, 20, 0.0, 0.168_433),
            (3, 20, 0.032_071, 0.378_927),
            (20, 20, 0.831_567, 1.0),
            (50, 1000, 0.037_335, 0.065_390),
            (5000, 10_000, 0.490_151, 0.509_849),
            (40, 40, 0.911_903, 1.0),
        ] {
            let found = clopper_pearson(hits, n, 0.95);
            assert!((found.0 - low).abs() < 1e-6 && (found.1 - high).abs() < 1e-6, "{hits} of {n}: {found:?}");
        }
        assert_eq!(clopper_pearson(0, 0, 0.95), (0.0, 1.0));
    }

    /// Exact coverage, summed over all outcomes: never below the level, and a little above it for many trials.
    #[test]
    fn exact_intervals_cover_at_least_as_often_as_they_say() {
        for n in [1_u64, 7, 40, 300] {
            let ends: Vec<_> = (0..=n).map(|k| clopper_pearson(k as usize, n as usize, 0.95)).collect();
            for share in 1..60 {
                let p = f64::from(share) / 61.0;
                let below = |k: u64| distributions::binomial(k, n, p).below;
                let probability = |k: u64| below(k) - if k == 0 { 0.0 } else { below(k - 1) };
                let covered: f64 =
                    (0..=n).filter(|k| (ends[*k as usize].0..=ends[*k as usize].1).contains(&p)).map(probability).sum();
                assert!(covered > 0.95 - 1e-9 && (n < 300 || covered < 0.985), "{n} {p}: {covered}");
            }
        }
    }

    /// Coverage is exact for a continuous law: 1 - 2 P(B < cut) with B of n coin tosses.
    #[test]
    fn exact_intervals_of_a_median() {
        let up_to = |n: u32| (1..=n).map(f64::from).collect::<Vec<f64>>();
        // The ranks of tables of the sign test at 95%.
        for (n, low, high) in
            [(6, 1.0, 6.0), (8, 1.0, 8.0), (9, 2.0, 8.0), (10, 2.0, 9.0), (20, 6.0, 15.0), (60, 22.0, 39.0)]
        {
            let found = median_interval(&up_to(n), 0.95);
            assert_eq!((found.low, found.high), (low, high), "{n}");
        }
        for n in [0, 1, 5] {
            assert_eq!(median_interval(&up_to(n), 0.95).high, f64::INFINITY, "{n}");
        }
        assert_eq!(median_interval(&[2.0; 6], 0.95).low, 2.0);
    }

    #[test]
    fn order_statistics() {
        let v = [3.0, 1.0, 2.0, 4.0];
        assert_eq!((median(&v), quantile(&v, 0.0), quantile(&v, 1.0), quantile(&v, 0.25)), (2.5, 1.0, 4.0, 1.75));
        assert!(median(&[]).is_nan() && variance(&[1.0]).is_nan());
    }

    #[test]
    fn intervals_cover_as_often_as_they_say() {
        // 2,000 intervals of 10 normal values. The t interval covers with probability 0.95: four standard errors
        // around it are 0.9305..0.9695. The percentile bootstrap is known to cover less on 10 values (about 0.90).
        let (mut t, mut bootstrap) = (0, 0);
        for i in 0..2000 {
            let mut rng = Seed(11).rng(i);
            let v: Vec<f64> = (0..10).map(|_| rng.normal()).collect();
            let a = t_interval(&v, 0.95, 0.0);
            let b = bootstrap_interval(&v, 0.95, 400, Seed(i));
            t += usize::from(a.low <= 0.0 && 0.0 <= a.high);
            bootstrap += usize::from(b.low <= 0.0 && 0.0 <= b.high);
        }
        assert!((1861..=1939).contains(&t), "{t}");
        assert!((1740..=1900).contains(&bootstrap), "{bootstrap}");
    }

    #[test]
    fn a_p_below_5_percent_is_as_rare_as_it_says() {
        // 1,000 samples of 30 normal values of mean 0: the shift method rejects some 6% at 5% (the mean is not studentised).
        // 3 to 9% is four standard errors around that.
        let p = |shift: f64, i: u64| {
            let mut rng = Seed(12).rng(i);
            let v: Vec<f64> = (0..30).map(|_| shift + rng.normal()).collect();
            bootstrap_test(&v, 0.95, 400, Seed(i)).1
        };
        let rejected = (0..1000).filter(|i| p(0.0, *i) < 0.05).count();
        assert!((30..=90).contains(&rejected), "{rejected}");
        assert!((0..20).all(|i| p(2.0, i) == 1.0 / 401.0));
        assert_eq!(bootstrap_test(&[0.0; 5], 0.95, 100, Seed(1)).1, 1.0);
        assert!(bootstrap_test(&[1.0], 0.95, 100, Seed(1)).1.is_nan());
    }

    #[test]
    fn an_overlap_widens_and_degenerate_samples_are_defined() {
        let v = [1.0, 2.0, 3.0];
        assert!(t_interval(&v, 0.95, 0.1).se > t_interval(&v, 0.95, 0.0).se);
        assert_eq!(t_interval(&[1.0], 0.95, 0.0).high, f64::INFINITY);
        let flat = t_interval(&[2.0; 4], 0.95, 0.0);
        assert_eq!((flat.low, flat.high), (2.0, 2.0));
    }

    /// Autoregressive chains of lag-one correlation `a`: of n draws (1 - a) / (1 + a) n count.
    fn autoregressive(a: f64, chains: u64, n: usize, seed: Seed) -> Vec<Vec<f64>> {
        let chain = |c| {
            let mut rng = seed.rng(c);
            let mut x = rng.normal();
            let mut next = || {
                x = a * x + (1.0 - a * a).sqrt() * rng.normal();
                x
            };
            (0..n).map(|_| next()).collect()
        };
        (0..chains).map(chain).collect()
    }

    #[test]
    fn effective_sizes_of_autoregressive_chains() {
        for a in [0.0, 0.5, 0.9, -0.3] {
            let chains = autoregressive(a, 4, 20_000, Seed(3));
            let expected = 80_000.0 * (1.0 - a) / (1.0 + a);
            let ess = effective_sample_size(&chains);
            // The estimate's own error is some 3% here; 20% is far outside.
            assert!((ess / expected - 1.0).abs() < 0.2, "{a}: {ess} {expected}");
            assert!((split_r_hat(&chains) - 1.0).abs() < 0.005, "{a}");
        }
        // Chains that stay apart are worth about as many draws as there are chains.
        let mut apart = autoregressive(0.0, 4, 1000, Seed(4));
        apart.iter_mut().enumerate().for_each(|(c, chain)| chain.iter_mut().for_each(|v| *v += 10.0 * c as f64));
        assert!(split_r_hat(&apart) > 5.0 && effective_sample_size(&apart) < 10.0);
    }

    #[test]
    fn diagnostics_of_degenerate_chains_are_defined() {
        assert!(split_r_hat(&[vec![1.0; 3]]).is_nan() && effective_sample_size(&[]).is_nan());
        assert!(split_r_hat(&[vec![1.0, f64::NAN, 2.0, 3.0]]).is_nan());
        assert_eq!((split_r_hat(&[vec![2.0; 9], vec![2.0; 9]]), effective_sample_size(&[vec![2.0; 10]])), (1.0, 10.0));
        assert_eq!(split_r_hat(&[vec![1.0; 4], vec![2.0; 4]]), f64::INFINITY);
        assert!(effective_sample_size(&[vec![1.0; 4], vec![2.0; 4]]) <= 4.0);
    }

    /// arviz 0.23.4: `rhat(x, method="split")` and `ess(x, method="mean")` of these made-up chains.
    #[test]
    fn diagnostics_of_another_library() {
        type Rule = fn(f64, f64) -> f64;
        let golden: [(Rule, f64, f64); 3] = [
            (
                |i, c| (0.7 * i * (c + 1.0)).sin() + 0.3 * (0.05 * i).cos() + 0.1 * c,
                1.004_191_640_455_411_6,
                417.933_258_869_003,
            ),
            (
                |i, c| (0.7 * i * (c + 1.0)).sin() + 0.002 * i * c + (0.37 * i * i).cos(),
                1.016_972_259_574_159_3,
                555.051_287_209_485_4,
            ),
            (|i, c| (0.11 * i + c).sin() + (0.37 * i * i).cos(), 0.997_886_496_865_776_1, 64.241_975_415_949),
        ];
        for (rule, r_hat, ess) in golden {
            let chain = |c: u32| (0..200).map(|i| rule(f64::from(i), f64::from(c))).collect();
            let chains: Vec<Vec<f64>> = (0..3).map(chain).collect();
            assert!((split_r_hat(&chains) - r_hat).abs() < 1e-9, "{}", split_r_hat(&chains));
            assert!((effective_sample_size(&chains) - ess).abs() < 1e-6 * ess, "{}", effective_sample_size(&chains));
        }
    }
}
