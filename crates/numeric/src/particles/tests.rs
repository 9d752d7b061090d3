use super::*;
use proptest::prelude::*;
use quadrat_core::{Seed, stats};

const ALL: [Resampling; 4] =
    [Resampling::Multinomial, Resampling::Stratified, Resampling::Systematic, Resampling::Residual];

fn counts(ancestors: &[usize], k: usize) -> Vec<usize> {
    let mut counts = vec![0; k];
    ancestors.iter().for_each(|a| counts[*a] += 1);
    counts
}

proptest! {
    #[test]
    fn copies_are_sorted_and_come_of_particles_with_weight(
        logs in proptest::collection::vec(prop_oneof![4 => -30.0..30.0f64, 1 => Just(f64::NEG_INFINITY)], 1..40),
        draws in 0usize..60, seed: u64, shift in -1e3..1e3f64,
    ) {
        prop_assume!(logs.iter().any(|w| w.is_finite()));
        let shares = normalised(&logs);
        prop_assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        for scheme in ALL {
            let found = scheme.ancestors(&logs, draws, &mut Seed(seed).rng(0)).unwrap();
            prop_assert_eq!(found.len(), draws);
            prop_assert!(found.is_sorted());
            prop_assert!(found.iter().all(|a| logs[*a].is_finite()));
            for (count, share) in counts(&found, logs.len()).into_iter().zip(&shares) {
                let expected = draws as f64 * share;
                let off = (count as f64 - expected).abs();
                match scheme {
                    Resampling::Systematic => prop_assert!(off < 1.0 + 1e-9, "{count} for {expected}"),
                    Resampling::Stratified => prop_assert!(off < 2.0 + 1e-9, "{count} for {expected}"),
                    Resampling::Residual => prop_assert!(count as f64 > expected - 1.0 - 1e-9),
                    Resampling::Multinomial => {}
                }
            }
        }
        // A constant factor changes nothing but the mean.
        let moved: Vec<f64> = logs.iter().map(|w| w + shift).collect();
        prop_assert!((log_mean_exp(&moved) - log_mean_exp(&logs) - shift).abs() < 1e-9);
        prop_assert!((effective(&moved) - effective(&logs)).abs() < 1e-6);
        let squares: f64 = shares.iter().map(|w| w * w).sum();
        prop_assert!((effective(&logs) * squares - 1.0).abs() < 1e-9);
    }
}

/// Mean counts over 20,000 runs against n w: the counts' own scatter gives the standard error, and five of them are one alarm in
/// 1.7 million; 20 looks.
#[test]
fn copies_are_as_many_as_weights_say() {
    let shares = [0.05, 0.31, 0.24, 0.0, 0.4];
    let logs = shares.map(|w: f64| w.ln() + 7.0);
    let (runs, draws) = (20_000, 7);
    for scheme in ALL {
        let found: Vec<Vec<f64>> = (0..runs)
            .map(|run| {
                let found = scheme.ancestors(&logs, draws, &mut Seed(11).rng(run)).unwrap();
                counts(&found, shares.len()).into_iter().map(|c| c as f64).collect()
            })
            .collect();
        for (i, share) in shares.iter().enumerate() {
            let column: Vec<f64> = found.iter().map(|run| run[i]).collect();
            let error = stats::standard_deviation(&column) / (runs as f64).sqrt();
            let off = (stats::mean(&column) - draws as f64 * share).abs();
            assert!(off <= 5.0 * error + 1e-12, "{scheme:?}, particle {i}: off by {off}, standard error {error}");
        }
    }
}

/// Independent draws are multinomial: their counts' covariance is n (wᵢ δᵢⱼ - wᵢ wⱼ), within five standard errors.
#[test]
fn independent_draws_scatter_as_such() {
    let shares = [0.2f64, 0.5, 0.3];
    let logs = shares.map(f64::ln);
    let (runs, draws) = (20_000, 5);
    for (i, j) in [(0, 0), (1, 1), (0, 1), (1, 2)] {
        let products: Vec<f64> = (0..runs)
            .map(|run| {
                let found = Resampling::Multinomial.ancestors(&logs, draws, &mut Seed(12).rng(run)).unwrap();
                let counts = counts(&found, 3);
                let off = |i: usize| counts[i] as f64 - draws as f64 * shares[i];
                off(i) * off(j)
            })
            .collect();
        let exact = draws as f64 * (if i == j { shares[i] } else { 0.0 } - shares[i] * shares[j]);
        let error = stats::standard_deviation(&products) / (runs as f64).sqrt();
        assert!((stats::mean(&products) - exact).abs() < 5.0 * error, "({i}, {j})");
    }
}

/// With one point a part each ancestor is that of the point: the inverse of the cumulative weights, taken one by one.
#[test]
fn points_find_the_shares_they_fall_on() {
    let mut rng = Seed(3).rng(0);
    let logs: Vec<f64> = (0..50).map(|_| 2.0 * rng.normal()).collect();
    let shares = normalised(&logs);
    let on = |point: f64| {
        let mut left = point;
        shares.iter().position(|w| {
            left -= w;
            left < 0.0
        })
    };
    for draws in [1, 7, 50, 200] {
        let at = |j: usize, u: f64| on((j as f64 + u) / draws as f64).unwrap();
        let u = Seed(4).rng(0).uniform();
        let systematic: Vec<usize> = (0..draws).map(|j| at(j, u)).collect();
        assert_eq!(Resampling::Systematic.ancestors(&logs, draws, &mut Seed(4).rng(0)).unwrap(), systematic);
        let mut rng = Seed(4).rng(0);
        let stratified: Vec<usize> = (0..draws).map(|j| at(j, rng.uniform())).collect();
        assert_eq!(Resampling::Stratified.ancestors(&logs, draws, &mut Seed(4).rng(0)).unwrap(), stratified);
    }
}

#[test]
fn what_is_no_weight_is_refused() {
    let none = f64::NEG_INFINITY;
    for scheme in ALL {
        for (logs, says) in [
            (vec![], "none"),
            (vec![none, none], "all 0"),
            (vec![0.0, f64::NAN], "NaN at 1"),
            (vec![0.0, 1.0, f64::INFINITY], "inf at 2"),
        ] {
            let error = scheme.ancestors(&logs, 3, &mut Seed(1).rng(0)).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        assert_eq!(scheme.ancestors(&[-5000.0], 3, &mut Seed(1).rng(0)).unwrap(), [0, 0, 0]);
        assert!(scheme.ancestors(&[1.0, 2.0], 0, &mut Seed(1).rng(0)).unwrap().is_empty());
        // Equal weights and as many draws.
        if scheme != Resampling::Multinomial {
            assert_eq!(scheme.ancestors(&[0.0; 6], 6, &mut Seed(2).rng(0)).unwrap(), [0, 1, 2, 3, 4, 5]);
        }
    }
    assert_eq!((log_mean_exp(&[none]), effective(&[none, none])), (none, 0.0));
    assert_eq!((log_mean_exp(&[]), effective(&[]), normalised(&[none])), (none, 0.0, vec![0.0]));
    assert!(log_mean_exp(&[0.0, f64::NAN]).is_nan() && effective(&[f64::INFINITY, 0.0]).is_nan());
    assert!((log_mean_exp(&[1000.0, 1000.0 + 3f64.ln()]) - 1000.0 - 2f64.ln()).abs() < 1e-12);
}

/// The last point may lie so near to the end that n - u is rounded to n - 1.
#[test]
fn no_draw_is_lost_to_rounding() {
    let logs: Vec<f64> = (0..1000).map(|i| -f64::from(i % 7)).collect();
    for seed in 0..200 {
        for scheme in ALL {
            assert_eq!(scheme.ancestors(&logs, 999, &mut Seed(seed).rng(0)).unwrap().len(), 999);
        }
    }
}
