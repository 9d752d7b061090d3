//! The sheet's golden values and identities.

use super::*;
use crate::{Pool, Selector, lp_regress};
use ndarray::{Array2, array, concatenate};
use proptest::prelude::*;
use quadrat_core::{Params, Settings, Silent, stats};
use quadrat_numeric::Points;

fn golden() -> Array2<f64> {
    array![[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, -1.0], [0.1, 0.2]]
}

fn gaussian(n: usize, d: usize, seed: u64) -> Array2<f64> {
    let mut rng = Seed(seed).rng(0);
    Array2::from_shape_simple_fn((n, d), || rng.normal())
}

fn scores_of(scorer: &dyn RowScores, a: &Array2<f64>) -> Vec<f64> {
    scorer.scores(a.view(), Seed(1), &Silent).unwrap().values
}

fn sensitivity(p: f64) -> Sensitivity {
    Sensitivity { p, mode: SensitivityMode::Exact, floor: 0.0 }
}

fn lewis(p: f64) -> LewisWeights {
    LewisWeights { p, ..LewisWeights::default() }
}

fn assert_near(got: &[f64], want: &[f64], tolerance: f64, what: &str) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (g, w) in got.iter().zip(want) {
        assert!((g - w).abs() <= tolerance, "{what}: {got:?} instead of {want:?}");
    }
}

#[test]
fn golden_values() {
    let tau = [0.175621, 0.347198, 0.636049, 0.823224, 0.017909];
    assert_near(&scores_of(&Leverage::default(), &golden()), &tau, 6e-7, "leverage");
    assert_near(&scores_of(&sensitivity(2.0), &golden()), &tau, 6e-7, "sensitivity at p = 2");
    assert_near(&scores_of(&lewis(2.0), &golden()), &tau, 6e-7, "Lewis at p = 2");
    for (p, want) in [
        (1.0, [0.300770, 0.399083, 0.520508, 0.691894, 0.087746]),
        (1.5, [0.232539, 0.376989, 0.581376, 0.769005, 0.040091]),
        (3.0, [0.095296, 0.282471, 0.726721, 0.892095, 0.003418]),
    ] {
        assert_near(&scores_of(&lewis(p), &golden()), &want, 6e-7, &format!("Lewis at p = {p}"));
    }
    for (p, want) in [
        (1.0, [0.243902, 0.3125, 0.461538, 0.588235, 0.076923]),
        (1.5, [0.206401, 0.336516, 0.554193, 0.721349, 0.037887]),
        (3.0, [0.127086, 0.350541, 0.774984, 0.935362, 0.003687]),
        (4.0, [0.089391, 0.349733, 0.871933, 0.977556, 0.000732]),
    ] {
        assert_near(&scores_of(&sensitivity(p), &golden()), &want, 6e-7, &format!("sensitivity at p = {p}"));
    }
    let root: Vec<f64> = tau.iter().map(|t: &f64| t.sqrt()).collect();
    assert_near(&scores_of(&RootLeverage::default(), &golden()), &root, 2e-6, "root leverage");
    assert_eq!(scores_of(&RowNorm { p: 1.0 }, &golden())[3], 1.5, "norms are in units of the largest value");
}

/// The sheet's worst ratios of Lewis weight to sensitivity on the golden matrix.
#[test]
fn lewis_weights_bound_sensitivities_as_the_sheet_says() {
    for (p, worst) in [(1.0, 1.2771), (1.5, 1.1266)] {
        let bound = 2_f64.powf(1.0 - 0.5 * p);
        let (w, sigma) = (scores_of(&lewis(p), &golden()), scores_of(&sensitivity(p), &golden()));
        let ratio = w.iter().zip(&sigma).map(|(w, s)| w / s).fold(0.0, f64::max);
        assert!((ratio - worst).abs() < 1e-4 && ratio <= bound, "p {p}: {ratio}");
    }
}

#[test]
fn sensitivities_match_a_scan_of_all_angles() {
    for p in [1.0, 1.2, 1.5, 3.0, 6.0] {
        let a = gaussian(20, 2, 7);
        let found = scores_of(&sensitivity(p), &a);
        let mut scanned = vec![0.0_f64; 20];
        for step in 0..100_000 {
            let angle = std::f64::consts::PI * f64::from(step) / 100_000.0;
            let powers = a.dot(&array![angle.cos(), angle.sin()]).mapv(|r| r.abs().powf(p));
            let total = powers.sum();
            scanned.iter_mut().zip(&powers).for_each(|(s, power)| *s = s.max(power / total));
        }
        // The scan stays below the maximum by its step: second order where smooth, first order at the kinks of p = 1.
        assert_near(&found, &scanned, if p < 1.3 { 5e-5 } else { 1e-8 }, &format!("p = {p}"));
    }
}

/// The screened solver for p = 1 fixes most signs at this size; its certificate makes the value exact, which an
/// independent solver without screening confirms.
#[test]
fn screening_does_not_change_the_answer() {
    let mut a = gaussian(1500, 3, 3);
    a.row_mut(7).fill(300.0);
    a.row_mut(8).fill(0.0);
    let found = scores_of(&sensitivity(1.0), &a);
    assert_eq!(found[8], 0.0);
    for i in [0, 7, 100, 1499] {
        // 1/sigma is the l_1 regression of the other rows' values on the constraint a_i x = 1, put in as a heavy row.
        let heavy = 1e7;
        let with = concatenate![Axis(0), a, heavy * &a.slice(ndarray::s![i..=i, ..])];
        let mut b = vec![0.0; 1500];
        b.push(heavy);
        let fit = lp_regress(with.view(), &b, 1.0, None).unwrap();
        assert!((found[i] * fit.norm - 1.0).abs() < 1e-6, "row {i}: {} against {}", found[i], 1.0 / fit.norm);
    }
}

#[test]
fn approximate_sensitivities_are_near_and_never_above_the_bound() {
    let a = gaussian(1200, 3, 11);
    for p in [1.0, 1.5, 3.0] {
        let exact = scores_of(&sensitivity(p), &a);
        let rough = scores_of(&Sensitivity { mode: SensitivityMode::Approximate, ..sensitivity(p) }, &a);
        let bound = scores_of(&Sensitivity { mode: SensitivityMode::Bound, ..sensitivity(p) }, &a);
        let off: Vec<f64> = exact.iter().zip(&rough).map(|(e, r)| (r / e - 1.0).abs()).collect();
        assert!(stats::median(&off) < 0.25, "p {p}: {}", stats::median(&off));
        assert!(exact.iter().zip(&bound).all(|(e, b)| *e <= b * (1.0 + 1e-7)));
        assert!(rough.iter().zip(&bound).all(|(r, b)| r <= b));
    }
}

#[test]
fn leverage_keeps_its_digits_when_columns_nearly_depend() {
    // cond(A) = 1e8: orthonormal columns (from a well-conditioned factor) mixed by a matrix with singular values 1, 1e-8.
    let q = quadrat_numeric::linalg::orthonormal(gaussian(400, 2, 5).view()).unwrap();
    let a = q.dot(&array![[1.0, 1.0], [1e-8, -1e-8]]);
    let want: Vec<f64> = q.axis_iter(Axis(0)).map(|row| row.dot(&row)).collect();
    assert_near(&scores_of(&Leverage::default(), &a), &want, 1e-8, "cond 1e8");
    // Dependent columns: the pseudo-inverse, and the rank reported. Units of columns do not matter.
    let doubled = concatenate![Axis(1), gaussian(400, 2, 5), 1e-9 * &gaussian(400, 2, 5)];
    let found = Leverage::default().scores(doubled.view(), Seed(0), &Silent).unwrap();
    assert_eq!(found.rank, Some(2));
    assert_near(&found.values, &scores_of(&Leverage::default(), &gaussian(400, 2, 5)), 1e-9, "rank 2 of 4");
    let w = lewis(1.0).scores(doubled.view(), Seed(0), &Silent).unwrap();
    assert!(w.rank == Some(2) && (w.total() - 2.0).abs() < 1e-6);
}

#[test]
fn a_ridge_gives_the_effective_dimension_and_a_sketch_comes_near() {
    let a = gaussian(3000, 4, 9);
    let ridged = Leverage { ridge: 50.0, ..Leverage::default() }.scores(a.view(), Seed(0), &Silent).unwrap();
    let gram = a.t().dot(&a);
    // sum tau = trace(G (G + ridge)^-1): the trace by solving with Gauss's elimination would need a solver; for a nearly
    // isotropic Gram matrix the first-order expansion around its mean eigenvalue is good to the square of the spread.
    let mean = gram.diag().sum() / 4.0;
    assert!((ridged.total() - 4.0 * mean / (mean + 50.0)).abs() < 1e-3, "{}", ridged.total());
    let sketched = Leverage { mode: LeverageMode::Sketch { columns: 64 }, ridge: 0.0 };
    let (exact, rough) = (scores_of(&Leverage::default(), &a), scores_of(&sketched, &a));
    let off: Vec<f64> = exact.iter().zip(&rough).map(|(e, r)| (r / e - 1.0).abs()).collect();
    assert!(stats::median(&off) < 0.5, "{}", stats::median(&off));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Sums, inequalities between the scores, Lewis' fixed point, and invariance to a change of coordinates.
    #[test]
    fn identities(n in 5_usize..40, d in 1_usize..5, p in prop::sample::select(vec![1.0, 1.3, 1.5, 2.0, 3.0, 4.0]), seed in any::<u64>()) {
        let d = d.min(n);
        let a = gaussian(n, d, seed).mapv(|v| v * v.abs());
        let (tau, w, sigma) =
            (scores_of(&Leverage::default(), &a), scores_of(&lewis(p), &a), scores_of(&sensitivity(p), &a));
        let dims = d as f64;
        prop_assert!((tau.iter().sum::<f64>() - dims).abs() < 1e-9);
        prop_assert!((w.iter().sum::<f64>() - dims).abs() < 1e-6, "sum of Lewis weights {}", w.iter().sum::<f64>());
        let total: f64 = sigma.iter().sum();
        prop_assert!(total <= dims.powf((0.5 * p).max(1.0)) * (1.0 + 1e-7));
        if p <= 2.0 {
            prop_assert!(total >= dims.powf(0.5 * p) * (1.0 - 1e-7), "S {total}");
        }
        let beyond = (n as f64).powf((0.5 * p - 1.0).max(0.0));
        for i in 0..n {
            prop_assert!((0.0..=1.0 + 1e-9).contains(&sigma[i]));
            prop_assert!(sigma[i] <= beyond * tau[i].powf(0.5 * p) * (1.0 + 1e-7));
            prop_assert!(sigma[i] <= dims.powf((0.5 * p - 1.0).max(0.0)) * w[i] * (1.0 + 1e-7));
            if p < 2.0 {
                prop_assert!(w[i] <= dims.powf(1.0 - 0.5 * p) * sigma[i] * (1.0 + 1e-6));
            }
        }
        let mut scaled = a.clone();
        scaled.axis_iter_mut(Axis(0)).zip(&w).for_each(|(mut row, w)| row *= w.powf(0.5 - 1.0 / p));
        for (w, tau) in w.iter().zip(scores_of(&Leverage::default(), &scaled)) {
            prop_assert!((w - tau).abs() < 1e-8 * dims, "fixed point {w} {tau}");
        }
        let turned = a.dot(&(3.0 * Array2::eye(d) + 0.5 * gaussian(d, d, seed ^ 1)));
        for (one, other) in [
            (&tau, scores_of(&Leverage::default(), &turned)),
            (&w, scores_of(&lewis(p), &turned)),
            (&sigma, scores_of(&sensitivity(p), &turned)),
        ] {
            // Lewis weights stop at 1e-8 and sensitivities are certified to 1e-8; leverage is exact.
            for (a, b) in one.iter().zip(other) {
                prop_assert!((a - b).abs() < 3e-8, "{a} {b}");
            }
        }
    }

    /// Water-filling: the sum is m, larger scores have larger probabilities, and below the cap they are proportional.
    #[test]
    fn probabilities_sum_to_the_budget(
        scores in prop::collection::vec(prop_oneof![Just(0.0), 1e-6_f64..1.0, 1.0_f64..1e9], 1..60), share in 0.0_f64..1.0,
    ) {
        let positive = scores.iter().filter(|c| **c > 0.0).count();
        let m = 1 + (share * (scores.len() - 1) as f64) as usize;
        let q = inclusion_probabilities(&scores, m);
        prop_assert!((q.iter().sum::<f64>() - m.min(positive) as f64).abs() < 1e-9 * m as f64, "{q:?}");
        prop_assert!(q.iter().zip(&scores).all(|(q, c)| (0.0..=1.0).contains(q) && (*q == 0.0) == (*c == 0.0)));
        let rates: Vec<f64> = q.iter().zip(&scores).filter(|(q, _)| **q < 1.0 && **q > 0.0).map(|(q, c)| q / c).collect();
        for rate in &rates {
            prop_assert!((rate / rates[0] - 1.0).abs() < 1e-9);
        }
    }

    /// Systematic draws have exactly the size asked for, and no row twice.
    #[test]
    fn systematic_draws_have_the_size(n in 1_usize..200, m in 1_usize..200, seed in any::<u64>()) {
        let m = m.min(n);
        let mut rng = Seed(seed).rng(0);
        let a = Array2::from_shape_simple_fn((n, 1), || rng.normal().powi(5) + 1e-3);
        let sampler = ScoreSampler { scores: Box::new(RowNorm { p: 1.0 }), intercept: false, ..ScoreSampler::default() };
        let chosen = sampler.sample(a.view(), m, Seed(seed), &Silent).unwrap();
        prop_assert_eq!(chosen.indices.len(), m);
        prop_assert!(chosen.indices.windows(2).all(|pair| pair[0] < pair[1]));
        prop_assert!(chosen.weights.unwrap().iter().all(|w| *w >= 1.0 - 1e-12));
    }
}

/// All 2^10 outcomes of independent draws, weighted by their probability, average to ||Ax||_p^p exactly.
#[test]
fn poisson_samples_are_unbiased_over_all_outcomes() {
    let a = gaussian(10, 3, 2);
    let x = array![0.3, -1.0, 2.0];
    for p in [1.0, 1.5, 3.0] {
        let powers: Vec<f64> = a.dot(&x).iter().map(|r| r.abs().powf(p)).collect();
        let q = inclusion_probabilities(&scores_of(&sensitivity(p), &a), 4);
        let mut mean = 0.0;
        for outcome in 0_u32..1 << 10 {
            let (mut chance, mut estimate) = (1.0, 0.0);
            for i in 0..10 {
                let kept = outcome >> i & 1 == 1;
                chance *= if kept { q[i] } else { 1.0 - q[i] };
                estimate += if kept { powers[i] / q[i] } else { 0.0 };
            }
            mean += chance * estimate;
        }
        let truth: f64 = powers.iter().sum();
        assert!((mean / truth - 1.0).abs() < 1e-12, "{mean} {truth}");
    }
}

/// 1,500 samples of each kind (and of the rounds of root leverage) estimate ||Ax||_1 without bias: the mean lies within
/// five standard errors (one false alarm in about two million seeds each).
#[test]
fn every_draw_is_unbiased() {
    let a = gaussian(40, 2, 4).mapv(|v| v * v * v);
    let powers: Vec<f64> = a.dot(&array![1.0, -0.5]).iter().map(|r| r.abs()).collect();
    let truth: f64 = powers.iter().sum();
    type Make = fn() -> Box<dyn RowScores>;
    let makes: [Make; 2] = [|| Box::new(RowNorm { p: 1.0 }), || Box::new(RootLeverage { p: 1.0, rounds: Some(3) })];
    for (draw, make) in
        [Draw::Systematic, Draw::Poisson, Draw::WithReplacement].into_iter().flat_map(|d| makes.map(|m| (d, m)))
    {
        let sampler = ScoreSampler { scores: make(), draw, intercept: false };
        let estimate = |seed: u64| {
            let chosen = sampler.sample(a.view(), 8, Seed(seed), &Silent).unwrap();
            chosen.indices.iter().zip(chosen.weights.unwrap()).map(|(i, w)| w * powers[*i]).sum::<f64>()
        };
        let estimates: Vec<f64> = (0..1500).map(estimate).collect();
        let error = stats::standard_deviation(&estimates) / 1500_f64.sqrt();
        let off = (stats::mean(&estimates) - truth).abs();
        assert!(off < 5.0 * error, "{draw:?} {}: off by {off}, standard error {error}", sampler.scores.name());
    }
}

#[test]
fn regression_agrees_with_what_is_known() {
    // Least squares satisfies the normal equations; the median minimises absolute deviations, the midrange the largest.
    let a = gaussian(50, 3, 1);
    let b: Vec<f64> = gaussian(50, 1, 2).into_iter().collect();
    let w: Vec<f64> = (0..50).map(|i| f64::from(i % 4)).collect();
    let fit = lp_regress(a.view(), &b, 2.0, Some(&w)).unwrap();
    let residual = a.dot(&ndarray::arr1(&fit.x)) - ndarray::arr1(&b);
    assert!(a.t().dot(&(residual * ndarray::arr1(&w))).iter().all(|g| g.abs() < 1e-9));
    let ones = Array2::ones((5, 1));
    let values = [1.0, 2.0, 4.0, 8.0, 100.0];
    assert!((lp_regress(ones.view(), &values, 1.0, None).unwrap().x[0] - 4.0).abs() < 1e-6);
    assert!((lp_regress(ones.view(), &values, 60.0, None).unwrap().x[0] - 50.5).abs() < 2.0);
    // A weight of 2 is the same row twice.
    let twice = concatenate![Axis(0), a, a];
    let (b2, w2) = ([b.clone(), b.clone()].concat(), vec![2.0; 50]);
    for p in [1.0, 1.5, 4.0] {
        let (one, two) =
            (lp_regress(a.view(), &b, p, Some(&w2)).unwrap(), lp_regress(twice.view(), &b2, p, None).unwrap());
        assert!((one.norm / two.norm - 1.0).abs() < 1e-8 && one.gap <= 1e-9 && two.gap <= 1e-9);
    }
    // An exact fit is found exactly, dependent columns give the shortest solution.
    let exact = a.dot(&array![1.0, 2.0, 3.0]).to_vec();
    for p in [1.0, 1.5, 2.0, 4.0] {
        assert_near(&lp_regress(a.view(), &exact, p, None).unwrap().x, &[1.0, 2.0, 3.0], 1e-6, "exact fit");
    }
    let doubled = concatenate![Axis(1), ones, ones];
    assert_near(&lp_regress(doubled.view(), &[3.0; 5], 2.0, None).unwrap().x, &[1.5, 1.5], 1e-9, "shortest");
}

#[test]
fn bad_arguments_are_refused_and_odd_tables_have_an_answer() {
    let a = golden();
    let fails = |scorer: &dyn RowScores, a: &Array2<f64>| {
        scorer.scores(a.view(), Seed(0), &Silent).map(|_| ()).unwrap_err().to_string()
    };
    assert!(fails(&sensitivity(0.5), &a).starts_with("p: got 0.5; p must be finite and >= 1"));
    assert!(fails(&lewis(f64::NAN), &a).starts_with("p: got NaN"));
    assert!(fails(&RootLeverage { p: 3.0, rounds: None }, &a).starts_with("p: got 3"));
    assert!(fails(&Leverage { ridge: -1.0, ..Leverage::default() }, &a).starts_with("ridge"));
    let short = LewisWeights { max_iter: 2, ..lewis(1.0) };
    assert!(fails(&short, &a).contains("not converged after 2 iterations"));
    let scorers: [Box<dyn RowScores>; 9] = [
        Box::new(Uniform),
        Box::new(RowNorm::default()),
        Box::new(Leverage::default()),
        Box::new(Leverage { mode: LeverageMode::Sketch { columns: 16 }, ridge: 0.0 }),
        Box::new(RootLeverage::default()),
        Box::new(lewis(1.0)),
        Box::new(lewis(5.0)),
        Box::new(sensitivity(1.0)),
        Box::new(LevSens { sensitivity: sensitivity(3.0) }),
    ];
    for scorer in &scorers {
        let name = scorer.name();
        let mut bad = golden();
        bad[[2, 1]] = f64::INFINITY;
        assert!(fails(scorer.as_ref(), &bad).contains("row 2, column 1"), "{name}");
        assert!(fails(scorer.as_ref(), &Array2::zeros((0, 2))).contains("0 rows"), "{name}");
        if name != "uniform" {
            assert!(fails(scorer.as_ref(), &Array2::zeros((3, 2))).contains("rank 0"), "{name}");
        }
        // One row, wide tables, duplicates, a zero row, huge and tiny units.
        for odd in [
            array![[3.0, 4.0]],
            array![[1.0, 2.0, 3.0], [0.0, 1.0, 0.0]],
            array![[1.0, 1.0], [1.0, 1.0], [0.0, 0.0], [1.0, 2.0]],
            1e120 * golden(),
            1e-120 * golden(),
            golden() * array![1e100, 1e-100],
        ] {
            let found = scorer.scores(odd.view(), Seed(0), &Silent).unwrap_or_else(|e| panic!("{name} {odd}: {e}"));
            assert!(found.values.iter().all(|v| v.is_finite() && *v >= 0.0), "{name} {odd}: {:?}", found.values);
            let zero = odd.axis_iter(Axis(0)).position(|row| row.iter().all(|v| *v == 0.0));
            assert!(name == "uniform" || zero.is_none_or(|zero| found.values[zero] == 0.0), "{name}");
        }
    }
    // Rows with score 0 are never drawn, even when the budget asks for more.
    let padded = concatenate![Axis(0), golden(), Array2::<f64>::zeros((5, 2))];
    let chosen = ScoreSampler::default().sample(padded.view(), 8, Seed(0), &Silent).unwrap();
    assert_eq!(chosen.indices, [0, 1, 2, 3, 4]);
    assert!(chosen.notes.iter().any(|(name, _)| name == "rows drawn"));
    for budget in [0, 6] {
        assert!(ScoreSampler::default().sample(golden().view(), budget, Seed(0), &Silent).is_err());
    }
    assert!(ScoreSampler::default().select(&Pool::of_rows(5), 2, Seed(0), &Silent).is_err());
    let b = [0.0; 5];
    assert!(lp_regress(golden().view(), &b[..4], 1.0, None).is_err());
    assert!(lp_regress(golden().view(), &b, 1.0, Some(&[-1.0; 5])).is_err());
    assert!(lp_regress(golden().view(), &[f64::NAN; 5], 1.0, None).is_err());
    assert!(plan(0.9, 1.0, 2, 0.1).is_err() && plan(1.0, 0.0, 2, 0.1).is_err() && plan(1.0, 1.0, 2, 1.5).is_err());
    assert_eq!((plan(1.0, 2.0, 4, 0.5).unwrap(), plan(4.0, 4.0, 4, 0.5).unwrap()), (16, 32));
}

#[test]
fn results_are_the_same_for_any_number_of_threads() {
    let mut a = gaussian(3000, 4, 6);
    a.row_mut(17).fill(1e3);
    let pool = Pool::of_points(Points::F64(a));
    let on = |threads: usize| {
        let workers = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let scorers: [Box<dyn RowScores>; 3] = [
            Box::new(lewis(1.0)),
            Box::new(Sensitivity { mode: SensitivityMode::Approximate, ..sensitivity(1.5) }),
            Box::new(Leverage { mode: LeverageMode::Sketch { columns: 8 }, ridge: 0.0 }),
        ];
        let select =
            |scores| ScoreSampler { scores, ..ScoreSampler::default() }.select(&pool, 200, Seed(3), &Silent).unwrap();
        workers.install(|| scorers.map(select))
    };
    assert_eq!(on(1), on(3));
}

/// Rows on axes of their own: residuals that are exactly 0, and columns that rows of one group never touch.
#[test]
fn degenerate_rows_are_certified_too() {
    for (axes, n) in [(0, 160), (2, 160), (8, 160), (2, 1040)] {
        let d = 8;
        let mut a = gaussian(n, d, 21);
        for (i, mut row) in a.axis_iter_mut(Axis(0)).enumerate() {
            let (group, own) = (i % d, row[i % d]);
            row.iter_mut().enumerate().for_each(|(j, v)| *v = if group < axes || j < axes { 0.0 } else { *v });
            if group < axes {
                row[group] = own;
            }
        }
        let found = scores_of(&sensitivity(1.0), &a);
        // An axis of its own is shared by its rows alone: their sensitivities sum to 1.
        for axis in 0..axes {
            let sum: f64 = found.iter().skip(axis).step_by(d).sum();
            assert!((sum - 1.0).abs() < 1e-7, "{axes} axes, axis {axis}: {sum}");
        }
    }
}

/// A few large rows over many small ones: the optima for small rows are sparse, and the weights of the iterations span
/// more digits than a Gram matrix keeps.
#[test]
fn large_rows_over_small_ones_are_certified_too() {
    for (p, n) in [(1.0, 560), (1.5, 300), (3.0, 300), (4.0, 300)] {
        let mut a = gaussian(n, 8, 5) / 3000.0;
        a.slice_mut(ndarray::s![..8, ..]).assign(&Array2::eye(8));
        let found = scores_of(&sensitivity(p), &a);
        let bound = scores_of(&Sensitivity { mode: SensitivityMode::Bound, ..sensitivity(p) }, &a);
        assert!(found.iter().zip(&bound).all(|(sigma, w)| *sigma > 0.0 && *sigma <= w * (1.0 + 1e-7)), "p = {p}");
    }
}

/// A feature around 1,000, twenty of its deviations away in ten rows of 600 (the levers), and the response to it.
fn offset_table(seed: u64) -> Array2<f64> {
    let mut rng = Seed(seed).stream("offset").rng(0);
    let mut a = Array2::zeros((600, 2));
    for (i, mut row) in a.outer_iter_mut().enumerate() {
        row[0] = if i % 60 == 7 { 1020.0 } else { 1000.0 + rng.normal() };
        row[1] = 2.0 + 0.05 * row[0] + 0.5 * rng.normal();
    }
    a
}

#[test]
fn an_intercept_is_a_column_of_ones() {
    let a = offset_table(1);
    let by_hand = ndarray::concatenate![Axis(1), a, Array2::<f64>::ones((600, 1))];
    for score in ["sensitivity", "leverage", "lewis", "root-leverage", "lev-sens"] {
        let sampler = |intercept: &str| {
            let params = Params::from([("importance", score), ("intercept", intercept)]);
            ScoreSampler::from_params(&params).unwrap()
        };
        let select = |sampler: ScoreSampler, a: &Array2<f64>| {
            sampler.select(&Pool::of_points(Points::F64(a.clone())), 60, Seed(4), &Silent).unwrap()
        };
        let (on, hand) = (select(sampler("true"), &a), select(sampler("false"), &by_hand));
        assert_eq!((&on.indices, &on.weights), (&hand.indices, &hand.weights), "{score}");
        assert!(on.notes.iter().any(|(name, _)| name == "intercept"));
        // With the ones already there nothing is added to the space.
        let twice = select(sampler("true"), &by_hand);
        let (one, two) = (on.weights.unwrap(), twice.weights.unwrap());
        assert_eq!(twice.indices, on.indices, "{score}");
        assert!(one.iter().zip(&two).all(|(a, b)| (a / b - 1.0).abs() < 1e-6), "{score}");
    }
}

/// The rows that decide the slope are kept: of 10 levers, 60 rows of 600 and 40 seeds, with an intercept most, without
/// it few. The rates are far apart (about 400 draws each), so the bounds below never fail by chance.
#[test]
fn with_an_intercept_a_large_offset_hides_no_lever() {
    let kept = |intercept: bool| {
        let sampler = ScoreSampler { intercept, ..ScoreSampler::default() };
        let of_seed = |seed| {
            let pool = Pool::of_points(Points::F64(offset_table(seed)));
            let chosen = sampler.select(&pool, 60, Seed(seed), &Silent).unwrap();
            chosen.indices.iter().filter(|row| **row % 60 == 7).count()
        };
        (0..40).map(of_seed).sum::<usize>() as f64 / 400.0
    };
    let (with, without) = (kept(true), kept(false));
    assert!(with > 0.5 && without < 0.3, "{with} {without}");
}

/// Leverage with an intercept does not see offsets, however large: n copies of the same spread.
#[test]
fn offsets_of_any_size_leave_the_scores_alone() {
    let a = gaussian(400, 3, 11);
    let score = |offset: f64| {
        let ones = Array2::from_elem((400, 1), 1.0);
        let moved = ndarray::concatenate![Axis(1), &a + offset, ones];
        scores_of(&Leverage::default(), &moved)
    };
    let near = score(0.0);
    for (offset, digits) in [(1e3, 1e-8), (1e6, 1e-5)] {
        assert!(score(offset).iter().zip(&near).all(|(a, b)| (a - b).abs() < digits), "{offset}");
    }
}
