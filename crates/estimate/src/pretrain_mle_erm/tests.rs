//! Identities and properties of both phases, and the answers to bad input.

use super::*;
use ndarray::{Array1, Axis, array, s};
use proptest::prelude::*;
use quadrat_core::{Rng, Silent, stats};
use quadrat_numeric::linalg::{Pca, symmetric_eigen};

fn normal(rows: usize, columns: usize, rng: &mut Rng) -> Array2<f64> {
    Array2::from_shape_simple_fn((rows, columns), || rng.normal())
}

/// Rows of a factor model and numbers that hang on the factors.
fn factors(n: usize, b: &Array2<f64>, noise: f64, rng: &mut Rng) -> (Array2<f64>, Vec<f64>) {
    let z = normal(n, b.ncols(), rng);
    let y = z.sum_axis(Axis(1)).mapv(|v| v + noise * rng.normal()).to_vec();
    (z.dot(&b.t()) + normal(n, b.nrows(), rng), y)
}

/// Rows in three clouds; classes are clouds, of which two share a class.
fn clouds(n: usize, d: usize, rng: &mut Rng) -> (Array2<f64>, Target) {
    let centres = Array2::from_shape_fn((3, d), |(k, j)| if j % 3 == k { 3.0 } else { 0.0 });
    let of: Vec<usize> = (0..n).map(|_| rng.below(3)).collect();
    let x = Array2::from_shape_fn((n, d), |(i, j)| centres[[of[i], j]] + rng.normal());
    (x, Target::Classes { codes: of.iter().map(|k| u32::from(*k == 2)).collect(), count: 2 })
}

#[test]
fn the_closed_form_is_stationary() {
    for (n, d, r) in [(60, 5, 2), (200, 4, 1), (8, 12, 3)] {
        let mut rng = Seed(1).rng(0);
        let b = normal(d, r, &mut rng);
        let x = factors(n, &b, 0.5, &mut rng).0 + 2.0;
        let model = Ppca { rank: r }.model(x.view()).unwrap();
        let of = |model: &FactorModel| model.log_likelihood(x.view()).unwrap();
        let h = 1e-5;
        for place in ndarray::indices(model.loadings.dim()) {
            let moved = |by: f64| {
                let mut other = model.clone();
                other.loadings[place] += by;
                of(&other)
            };
            assert!(((moved(h) - moved(-h)) / (2.0 * h)).abs() < 1e-6, "{n} {d} {r} {place:?}");
        }
        let noise = |by: f64| of(&FactorModel { noise: vec![model.noise[0] + by; d], ..model.clone() });
        assert!(((noise(h) - noise(-h)) / (2.0 * h)).abs() < 1e-6);
        let mean = |by: f64| of(&FactorModel { mean: model.mean.iter().map(|m| m + by).collect(), ..model.clone() });
        assert!(((mean(h) - mean(-h)) / (2.0 * h)).abs() < 1e-6);
    }
}

/// numpy: profile likelihood and noise of the eigenvalues of `numpy.cov(x.T, bias=True)`, for x_ij = sin(0.7 i j) + 0.5
/// cos(0.3 i^2 + j) + (2 for odd j where 3 divides i), i to 40, j to 6, counted from 1. (scikit-learn's `PCA.score` divides
/// by n - 1 and is not quite at the maximum.)
#[test]
fn numpy_finds_the_same_likelihood() {
    let x = Array2::from_shape_fn((40, 6), |(i, j)| {
        let (i, j) = (i as f64 + 1.0, j as f64 + 1.0);
        let extra = if i % 3.0 == 0.0 { 2.0 * (j % 2.0) } else { 0.0 };
        (0.7 * i * j).sin() + 0.5 * (0.3 * i * i + j).cos() + extra
    });
    for (rank, likelihood, noise) in [
        (1, -8.007772810842692, 0.6429917875381537),
        (2, -7.718636230474914, 0.46022504002694076),
        (3, -7.573012187446835, 0.34764577890455417),
    ] {
        let model = Ppca { rank }.model(x.view()).unwrap();
        assert!((model.log_likelihood(x.view()).unwrap() - likelihood).abs() < 1e-10, "{rank}");
        assert!((model.noise[0] - noise).abs() < 1e-12, "{rank}");
        // Single precision agrees to its digits.
        let pca = Pca::fit_f32(x.mapv(|v| v as f32).view(), rank).unwrap();
        let single = Ppca::of_components(&pca, 40).log_likelihood(x.view()).unwrap();
        assert!((single - likelihood).abs() < 1e-5, "{rank}: {single}");
    }
}

/// Fewer rows than columns: the thin decomposition finds what the whole covariance has.
#[test]
fn wide_tables_take_the_thin_route() {
    let mut rng = Seed(2).rng(0);
    let x = normal(10, 30, &mut rng);
    let model = Ppca { rank: 4 }.model(x.view()).unwrap();
    let centred = &x - &x.mean_axis(Axis(0)).unwrap();
    let (values, _) = symmetric_eigen((centred.t().dot(&centred) / 10.0).view()).unwrap();
    let rest = values[4..].iter().sum::<f64>() / 26.0;
    assert!((model.noise[0] - rest).abs() < 1e-10);
    let lengths = model.loadings.map_axis(Axis(0), |c| c.dot(&c));
    for (length, value) in lengths.iter().zip(&values) {
        assert!((length - (value - rest)).abs() < 1e-9);
    }
}

#[test]
fn rotations_and_renumbering_change_no_prediction() {
    let mut rng = Seed(3).rng(0);
    let b = normal(12, 3, &mut rng);
    let (pool, _) = factors(300, &b, 0.5, &mut rng);
    let (x, y) = factors(20, &b, 0.5, &mut rng);
    let new = factors(50, &b, 0.5, &mut rng).0;
    let model = Ppca { rank: 3 }.model(pool.view()).unwrap();
    let (_, turn) = symmetric_eigen(normal(3, 3, &mut rng).view()).unwrap();
    let turned = FactorModel { loadings: model.loadings.dot(&turn), ..model.clone() };
    let y = Target::Numbers(y);
    for head in [Head::Ols, Head::Ridge(Some(3.0)), Head::Ridge(None)] {
        let of = |model: &FactorModel| -> Vec<f64> {
            let head = head.fit(model.transform(x.view()).unwrap().view(), &y).unwrap();
            match head.predict(model.transform(new.view()).unwrap().view()).unwrap() {
                Target::Numbers(values) => values,
                Target::Classes { .. } => panic!("numbers"),
            }
        };
        for (a, b) in of(&model).iter().zip(of(&turned)) {
            assert!((a - b).abs() < 1e-10, "{head:?}");
        }
    }
    let (pool, _) = clouds(400, 6, &mut rng);
    let (x, y) = clouds(30, 6, &mut rng);
    let mixture = GaussianMixture::new(3).fit(pool.view(), Seed(1), &Silent).unwrap().mixture;
    let order = [2, 0, 1];
    let renumbered = Mixture {
        weights: mixture.weights.select(Axis(0), &order),
        means: mixture.means.select(Axis(0), &order),
        covariances: match &mixture.covariances {
            quadrat_numeric::mixture::Covariances::Spherical(v) => {
                quadrat_numeric::mixture::Covariances::Spherical(v.select(Axis(0), &order))
            }
            _ => panic!("spherical"),
        },
    };
    for head in [Head::ClusterTable, Head::Logistic(Some(1.0))] {
        let of = |mixture: &Mixture| {
            let z = mixture.transform(x.view()).unwrap();
            head.fit(z.view(), &y).unwrap().predict(mixture.transform(pool.view()).unwrap().view()).unwrap()
        };
        assert_eq!(of(&mixture), of(&renumbered), "{head:?}");
    }
}

/// The mean excess risk of least squares with an intercept on normal rows: v ((n + 1)(n - 2) / (n (n - d - 2)) - 1) for
/// residual variance v. 300 repetitions; three standard errors, once in 370.
#[test]
fn least_squares_pays_what_theory_says() {
    let (n, d, sd) = (30, 6, 0.7);
    let excess: Vec<f64> = (0..300)
        .map(|i| {
            let mut rng = Seed(4).rng(i);
            let x = normal(n, d, &mut rng);
            let y = x.column(0).mapv(|v| 2.0 * v + sd * rng.normal()).to_vec();
            let FittedHead::Linear(map) = Head::Ols.fit(x.view(), &Target::Numbers(y)).unwrap() else {
                panic!("linear")
            };
            let mut miss = map.coefficients.column(0).to_owned();
            miss[0] -= 2.0;
            miss.dot(&miss) + map.intercept[0].powi(2)
        })
        .collect();
    let (n, d) = (n as f64, d as f64);
    let theory = sd * sd * ((n + 1.0) * (n - 2.0) / (n * (n - d - 2.0)) - 1.0);
    let found = stats::t_interval(&excess, 0.95, 0.0);
    assert!((found.mean - theory).abs() < 3.0 * found.se, "{found:?} {theory}");
}

#[test]
fn few_labels_suffice_on_the_right_features() {
    let mut rng = Seed(5).rng(0);
    let b = normal(40, 3, &mut rng);
    let (pool, _) = factors(1000, &b, 0.3, &mut rng);
    let (x, y) = factors(15, &b, 0.3, &mut rng);
    let (new, truth) = factors(2000, &b, 0.0, &mut rng);
    let (y, truth) = (Target::Numbers(y), Target::Numbers(truth));
    let alone = Head::Ridge(None).fit(x.view(), &y).unwrap().predict(new.view()).unwrap().loss(&truth).unwrap();
    for kind in [Kind::Ppca, Kind::Fa] {
        let representation = kind.of_size(3);
        let method = PretrainThenFit { representation: representation.as_ref(), head: Head::Ols };
        let predictor = method.fit(pool.view(), x.view(), &y, Seed(1), &Silent).unwrap();
        let risk = predictor.risk(new.view(), &truth).unwrap();
        assert!(risk < 0.5 * alone, "{kind:?} {risk} {alone}");
        assert!((predictor.excess_risk(new.view(), &truth, &truth).unwrap() - risk).abs() < 1e-12);
    }
    let (pool, _) = clouds(900, 9, &mut rng);
    let (x, y) = clouds(9, 9, &mut rng);
    let (new, truth) = clouds(2000, 9, &mut rng);
    let representation = Kind::Gmm.of_size(3);
    let method = PretrainThenFit { representation: representation.as_ref(), head: Head::ClusterTable };
    let predictor = method.fit(pool.view(), x.view(), &y, Seed(1), &Silent).unwrap();
    assert!(predictor.risk(new.view(), &truth).unwrap() < 0.1);
    assert!(predictor.excess_risk(new.view(), &truth, &truth).unwrap() < 0.1);
}

#[test]
fn sizes_are_found_without_labels() {
    let mut rng = Seed(6).rng(0);
    let b = 1.5 * normal(15, 3, &mut rng);
    let (x, _) = factors(600, &b, 0.3, &mut rng);
    let (three, _) = clouds(600, 9, &mut rng);
    for (kind, x) in [(Kind::Ppca, &x), (Kind::Fa, &x), (Kind::Contrastive, &x), (Kind::Gmm, &three)] {
        let choose = |x: ArrayView2<f64>, given| kind.choose(x, given, Seed(1), &Silent);
        let found = choose(x.view(), None).unwrap();
        assert_eq!((found.size, found.at_limit()), (3, false), "{kind:?}");
        assert_eq!(choose(x.view(), Some(3)).unwrap(), found, "{kind:?}");
        for other in [2, 4] {
            assert!(choose(x.view(), Some(other)).unwrap().criterion > found.criterion, "{kind:?} {other}");
        }
        assert!(choose((x * f64::NAN).view(), None).is_err());
        assert!(choose(x.slice(s![..1, ..]), None).is_err());
        assert!(choose(x.slice(s![.., ..1]), None).is_err());
    }
}

/// One noise variance and loadings of unequal size: standardised columns have noise of unequal size, which factors of one
/// noise mistake for factors. numpy's BIC of the eigenvalues of such columns: 3 on raw ones, 29 on standardised ones.
#[test]
fn columns_of_unequal_variance_are_no_factors() {
    let mut rng = Seed(13).rng(0);
    let mut b = normal(30, 3, &mut rng);
    b.outer_iter_mut().enumerate().for_each(|(j, mut row)| row *= 0.2 + 0.15 * j as f64);
    let (pool, _) = factors(2000, &b, 0.5, &mut rng);
    let (x, y) = factors(40, &b, 0.5, &mut rng);
    let (new, truth) = factors(2000, &b, 0.5, &mut rng);
    let sd = pool.std_axis(Axis(0), 0.0);
    let standard = &pool / &sd;
    let choose = |kind: Kind, x: &Array2<f64>| kind.choose(x.view(), None, Seed(1), &Silent).unwrap();
    for (kind, x) in [(Kind::Fa, &standard), (Kind::Fa, &pool), (Kind::Ppca, &pool), (Kind::Contrastive, &standard)] {
        let found = choose(kind, x);
        assert_eq!((found.size, found.at_limit()), (3, false), "{kind:?}");
    }
    let fooled = choose(Kind::Ppca, &standard);
    assert!(fooled.at_limit(), "{fooled:?}");
    // The same rows by another unit: a density changes by the units' product.
    let units = 2.0 * 2000.0 * sd.mapv(f64::ln).sum();
    assert!(choose(Kind::Ppca, &pool).criterion < fooled.criterion + units - 1000.0);
    assert!((choose(Kind::Fa, &pool).criterion - choose(Kind::Fa, &standard).criterion - units).abs() < 1.0);

    let risk = |representation: &dyn Representation, sd: &Array1<f64>| {
        let method = PretrainThenFit { representation, head: Head::Ols };
        let (x, new) = (&x / sd, &new / sd);
        let y = Target::Numbers(y.clone());
        let predictor = method.fit((&pool / sd).view(), x.view(), &y, Seed(1), &Silent).unwrap();
        predictor.risk(new.view(), &Target::Numbers(truth.clone())).unwrap()
    };
    let ppca = Ppca { rank: 3 };
    let rescaled = Rescaled { representation: &ppca, factors: sd.clone() };
    let raw = risk(&ppca, &Array1::ones(30));
    assert!((risk(&rescaled, &sd) - raw).abs() < 1e-9 * raw, "{raw}");
    assert!(rescaled.fit(pool.slice(s![.., ..5]), Seed(1), &Silent).is_err());
}

fn planner(representation: &dyn Representation, head: Head, supervised: Head) -> Planner<'_> {
    Planner {
        representation,
        head,
        supervised,
        pool_sizes: vec![50, 200],
        label_sizes: vec![8, 16, 32],
        repeats: 20,
        test_share: 0.4,
    }
}

#[test]
fn the_plan_finds_the_gain_and_does_not_depend_on_threads() {
    let mut rng = Seed(7).rng(0);
    let b = normal(15, 2, &mut rng);
    let (pool, _) = factors(200, &b, 1.0, &mut rng);
    let (x, y) = factors(60, &b, 1.0, &mut rng);
    let y = Target::Numbers(y);
    let run = |threads: usize| {
        let pool_of = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let plan = planner(&Ppca { rank: 2 }, Head::Ols, Head::Ols);
        pool_of.install(|| plan.plan(pool.view(), x.view(), &y, Seed(1), &Silent).unwrap())
    };
    let surface = run(1);
    assert_eq!(surface, run(2));
    // Least squares pays for 15 coefficients instead of 2.
    assert!(surface.gap(1, 2).mean > 0.5, "{:?}", surface.gap(1, 2));
    assert!((surface.gap(1, 0).mean - (surface.supervised_risk(0).mean - surface.risk(1, 0).mean)).abs() < 1e-12);
    let at = surface.break_even(1, Seed(1));
    assert!(at.labels.is_infinite() && at.interval.0 <= at.labels && at.labels <= at.interval.1, "{at:?}");
    let (labels, unlabelled) = (surface.more_labels().unwrap(), surface.more_unlabelled().unwrap());
    assert_eq!((labels.from, labels.to, unlabelled.from, unlabelled.to), (16, 32, 50, 200));
}

/// The informative condition: y hangs on a direction of the noise that no factor has, so pretraining must lose.
#[test]
fn the_plan_says_when_pretraining_loses() {
    let mut rng = Seed(8).rng(0);
    let mut b = 2.0 * normal(10, 2, &mut rng);
    b.row_mut(9).fill(0.0);
    let (pool, _) = factors(200, &b, 0.0, &mut rng);
    let (x, _) = factors(80, &b, 0.0, &mut rng);
    let y = Target::Numbers(x.column(9).mapv(|v| v + 0.1 * rng.normal()).to_vec());
    let plan = Planner { label_sizes: vec![12, 24, 48], ..planner(&Ppca { rank: 2 }, Head::Ols, Head::Ridge(None)) };
    let surface = plan.plan(pool.view(), x.view(), &y, Seed(1), &Silent).unwrap();
    assert!(surface.gap(1, 2).high < 0.0, "{:?}", surface.gap(1, 2));
    assert!(surface.break_even(1, Seed(1)).labels < 48.0);
}

#[test]
fn classes_are_planned_with_every_kind() {
    let mut rng = Seed(9).rng(0);
    let (pool, _) = clouds(200, 6, &mut rng);
    let (x, y) = clouds(60, 6, &mut rng);
    for kind in [Kind::Gmm, Kind::Ppca, Kind::Fa] {
        let representation = kind.of_size(3);
        let head = if kind == Kind::Gmm { Head::ClusterTable } else { Head::Logistic(None) };
        let plan = planner(representation.as_ref(), head, Head::Logistic(None));
        let surface = plan.plan(pool.view(), x.view(), &y, Seed(1), &Silent).unwrap();
        assert!(surface.risk(1, 2).mean < 0.15, "{kind:?} {:?}", surface.risk(1, 2));
    }
}

#[test]
fn bad_input_is_an_error_that_says_what_to_do() {
    let mut rng = Seed(10).rng(0);
    let b = normal(8, 2, &mut rng);
    let (pool, _) = factors(40, &b, 0.3, &mut rng);
    let (x, y) = factors(12, &b, 0.3, &mut rng);
    let numbers = Target::Numbers(y.clone());
    let classes = |codes: Vec<u32>| Target::Classes { codes, count: 2 };
    let two = classes((0..12).map(|i| i % 2).collect());
    let fit = |rank: usize, head: Head, pool: &Array2<f64>, x: &Array2<f64>, y: &Target| {
        let method = PretrainThenFit { representation: &Ppca { rank }, head };
        method.fit(pool.view(), x.view(), y, Seed(1), &Silent).err().map(|e| e.to_string()).unwrap_or_default()
    };
    let narrow = x.slice(s![.., ..5]).to_owned();
    let mut hole = pool.clone();
    hole[[3, 2]] = f64::NAN;
    let mut bad_y = y.clone();
    bad_y[4] = f64::INFINITY;
    for (message, part) in [
        (fit(8, Head::Ols, &pool, &x, &numbers), "rank: got 8; use 1 to 7"),
        (fit(0, Head::Ols, &pool, &x, &numbers), "rank"),
        (fit(2, Head::Ols, &pool.slice(s![..2, ..]).to_owned(), &x, &numbers), "rank"),
        (fit(2, Head::Ols, &pool.slice(s![..0, ..]).to_owned(), &x, &numbers), "at least one row"),
        (fit(2, Head::Ols, &hole, &x, &numbers), "row 3, column 2"),
        (fit(2, Head::Ols, &(&pool * f64::INFINITY), &x, &numbers), "finite"),
        (fit(2, Head::Ols, &(&pool * 1e200), &x, &numbers), "ordinary size"),
        (fit(2, Head::Ols, &(&pool * 1e-200), &x, &numbers), "ordinary size"),
        (fit(2, Head::Ols, &(&pool * 0.0 + 1.0), &x, &numbers), "alike"),
        (fit(2, Head::Ols, &pool, &narrow, &numbers), "got 5 columns; the unlabelled rows have 8"),
        (fit(2, Head::Ols, &pool, &x, &Target::Numbers(y[..5].to_vec())), "there are 12 labelled rows"),
        (fit(2, Head::Ols, &pool, &x.slice(s![..1, ..]).to_owned(), &Target::Numbers(vec![1.0])), "at least 2"),
        (fit(2, Head::Ols, &pool, &x, &Target::Numbers(bad_y)), "row 4"),
        (fit(2, Head::Ols, &pool, &x, &two), "ClusterTable"),
        (fit(2, Head::Logistic(None), &pool, &x, &numbers), "Ridge"),
        (fit(2, Head::Logistic(None), &pool, &x, &classes(vec![1; 12])), "at least 2 classes"),
        (fit(2, Head::Logistic(None), &pool, &x, &classes(vec![7; 12])), "2 classes"),
        (fit(2, Head::Ridge(Some(-1.0)), &pool, &x, &numbers), "at least 0"),
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    let good = planner(&Ppca { rank: 2 }, Head::Ols, Head::Ridge(None));
    let sizes = |m: Vec<usize>, n: Vec<usize>| Planner {
        pool_sizes: m,
        label_sizes: n,
        ..planner(&Ppca { rank: 2 }, Head::Ols, Head::Ols)
    };
    for plan in [
        sizes(vec![], vec![4]),
        sizes(vec![20], vec![]),
        sizes(vec![41], vec![4]),
        sizes(vec![20], vec![8]),
        sizes(vec![20], vec![1, 4]),
        sizes(vec![30, 20], vec![4]),
        Planner { repeats: 1, ..sizes(vec![20], vec![4]) },
        Planner { test_share: 0.0, ..sizes(vec![20], vec![4]) },
        Planner { test_share: f64::NAN, ..sizes(vec![20], vec![4]) },
    ] {
        assert!(plan.plan(pool.view(), x.view(), &numbers, Seed(1), &Silent).is_err(), "{:?}", plan.pool_sizes);
    }
    assert!(good.plan(pool.view(), narrow.view(), &numbers, Seed(1), &Silent).is_err());
    let predictor = PretrainThenFit { representation: &Ppca { rank: 2 }, head: Head::Ols }
        .fit(pool.view(), x.view(), &numbers, Seed(1), &Silent)
        .unwrap();
    assert!(predictor.predict(narrow.view()).is_err());
    assert!(predictor.risk(x.view(), &two).is_err());
    struct Stopped;
    impl Progress for Stopped {
        fn cancelled(&self) -> bool {
            true
        }
    }
    let fit = sizes(vec![20], vec![4]).plan(pool.view(), x.view(), &numbers, Seed(1), &Stopped);
    assert!(matches!(fit, Err(Error::Cancelled)));
}

#[test]
fn constant_columns_and_repeated_rows_have_defined_answers() {
    let mut rng = Seed(11).rng(0);
    let b = normal(6, 2, &mut rng);
    let (mut pool, _) = factors(40, &b, 0.3, &mut rng);
    pool.column_mut(3).fill(5.0);
    let mut x = pool.slice(s![..10, ..]).to_owned();
    let first = x.row(0).to_owned();
    x.outer_iter_mut().skip(5).for_each(|mut row| row.assign(&first));
    let y = Target::Numbers(x.column(0).to_vec());
    let flat = array![[1.0, 2.0], [1.0, 2.0], [3.0, 6.0], [3.0, 6.0]];
    for (pool, x, y, rank) in [
        (&pool, &x, &y, 2),
        // Rows on a line: no noise is left, and the floor keeps the model finite.
        (&flat, &flat, &Target::Numbers(vec![1.0, 1.0, 2.0, 2.0]), 1),
    ] {
        let method = PretrainThenFit { representation: &Ppca { rank }, head: Head::Ols };
        let predictor = method.fit(pool.view(), x.view(), y, Seed(1), &Silent).unwrap();
        let risk = predictor.risk(x.view(), y).unwrap();
        assert!(risk.is_finite() && risk < 2.0, "{risk}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    /// Whatever the numbers: a finite answer or an error, never a panic.
    #[test]
    fn nothing_panics(
        cells in prop::collection::vec(prop_oneof![-3.0..3.0_f64, Just(0.0), -1e300..1e300_f64], 40),
        y in prop::collection::vec(prop_oneof![-3.0..3.0_f64, Just(0.0)], 10),
        rank in 0..5_usize,
    ) {
        let x = Array2::from_shape_vec((10, 4), cells).unwrap();
        let numbers = Target::Numbers(y.clone());
        let classes = Target::Classes { codes: y.iter().map(|v| u32::from(*v > 0.0)).collect(), count: 2 };
        for kind in [Kind::Ppca, Kind::Fa, Kind::Gmm] {
            let representation = kind.of_size(rank);
            for (head, y) in [(Head::Ols, &numbers), (Head::Ridge(None), &numbers), (Head::ClusterTable, &classes)] {
                let method = PretrainThenFit { representation: representation.as_ref(), head };
                if let Ok(predictor) = method.fit(x.view(), x.view(), y, Seed(1), &Silent) {
                    let risk = predictor.risk(x.view(), y).unwrap();
                    prop_assert!(risk.is_finite(), "{kind:?} {head:?} {risk}");
                }
            }
        }
    }

    /// Shifting the columns moves nothing.
    #[test]
    fn predictions_follow_shifts(by in -50.0..50.0_f64) {
        let mut rng = Seed(12).rng(0);
        let b = normal(6, 2, &mut rng);
        let (pool, _) = factors(60, &b, 0.3, &mut rng);
        let (x, y) = factors(12, &b, 0.3, &mut rng);
        let y = Target::Numbers(y);
        let method = PretrainThenFit { representation: &Ppca { rank: 2 }, head: Head::Ols };
        let moved = |by: f64| {
            let predictor = method.fit((&pool + by).view(), (&x + by).view(), &y, Seed(1), &Silent).unwrap();
            predictor.risk((&x + by).view(), &y).unwrap()
        };
        prop_assert!((moved(by) - moved(0.0)).abs() < 1e-8);
    }
}

#[test]
fn factors_of_one_row_are_what_bayes_says() {
    // One factor, one informative column: E[z | x] = b (x - mu) / (b^2 + s2).
    let model = FactorModel { mean: vec![1.0, 0.0], loadings: array![[2.0], [0.0]], noise: vec![0.5, 0.5] };
    let z = model.transform(array![[3.0, 9.0]].view()).unwrap();
    assert!((z[[0, 0]] - 2.0 * 2.0 / 4.5).abs() < 1e-12);
}
