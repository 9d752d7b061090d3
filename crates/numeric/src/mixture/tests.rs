use super::*;
use crate::linalg::solve_lower;
use ndarray::{ArrayView1, Axis, array};

const KINDS: [Covariance; 5] =
    [Covariance::Identity, Covariance::Spherical, Covariance::Diagonal, Covariance::Shared, Covariance::Full];

/// `k` clouds of unit width in `d` columns, centres of standard deviation `apart`.
fn clouds(n: usize, d: usize, k: usize, apart: f64, seed: u64) -> Array2<f64> {
    let mut rng = Seed(seed).rng(0);
    let centres = Array2::from_shape_simple_fn((k, d), || apart * rng.normal());
    Array2::from_shape_fn((n, d), |(i, j)| centres[[i % k, j]] + rng.normal())
}

/// ln p by the definition, with dense covariances.
fn dense(mixture: &Mixture, row: ArrayView1<f64>) -> f64 {
    let d = row.len();
    let covariance = |k: usize| match &mixture.covariances {
        Covariances::Spherical(v) => Array2::eye(d) * v[k],
        Covariances::Diagonal(v) => Array2::from_diag(&v.row(k)),
        Covariances::Shared(matrix) => matrix.clone(),
        Covariances::Full(matrices) => matrices[k].clone(),
    };
    let density = |k: usize| {
        let lower = cholesky(covariance(k).view()).unwrap();
        let moved = (&row - &mixture.means.row(k)).insert_axis(Axis(1));
        let white = solve_lower(lower.view(), moved.view()).unwrap();
        let log = -0.5 * (white.iter().map(|v| v * v).sum::<f64>() + d as f64 * std::f64::consts::TAU.ln());
        mixture.weights[k] * (log - lower.diag().mapv(f64::ln).sum()).exp()
    };
    (0..mixture.weights.len()).map(density).sum::<f64>().ln()
}

#[test]
fn likelihoods_never_fall_and_are_those_of_the_definition() {
    let x = clouds(600, 4, 3, 2.0, 1);
    for covariance in KINDS {
        for equal_weights in [false, true] {
            let method = GaussianMixture { covariance, equal_weights, ..GaussianMixture::new(3) };
            let fit = method.fit(x.view(), Seed(2), &Silent).unwrap();
            for pair in fit.path.windows(2) {
                assert!(pair[1] >= pair[0] - 1e-10, "{covariance:?} {pair:?}");
            }
            let direct = x.outer_iter().map(|row| dense(&fit.mixture, row)).sum::<f64>() / 600.0;
            let ours = fit.mixture.log_likelihood(x.view()).unwrap();
            assert!((ours - fit.path.last().unwrap()).abs() < 1e-9, "{covariance:?}");
            assert!((ours - direct).abs() < 1e-9, "{covariance:?} {ours} {direct}");
            let shares = fit.mixture.responsibilities(x.view()).unwrap();
            assert!(shares.outer_iter().all(|row| (row.sum() - 1.0).abs() < 1e-12));
            let mean = shares.mean_axis(Axis(0)).unwrap();
            assert!(equal_weights || (&mean - &fit.mixture.weights).iter().all(|v| v.abs() < 1e-3));
        }
    }
}

/// scikit-learn 1.9.1: five rounds of `GaussianMixture(2, tol=0, max_iter=5, reg_covar=0)` from equal weights, the
/// means of both groups of rows and unit precisions, for x_ij = sin(0.7 i j) + 0.5 cos(0.3 i^2 + j) + (2 for odd j
/// where 3 divides i), i to 40, j to 6, counted from 1: `score(x)`, the first weight, `predict_proba(x)[[0, 1, 7], 0]`.
#[test]
fn scikit_learn_takes_the_same_rounds() {
    let x = Array2::from_shape_fn((40, 6), |(i, j)| {
        let (i, j) = (i as f64 + 1.0, j as f64 + 1.0);
        let extra = if i % 3.0 == 0.0 { 2.0 * (j % 2.0) } else { 0.0 };
        (0.7 * i * j).sin() + 0.5 * (0.3 * i * i + j).cos() + extra
    });
    let group = |third: bool| {
        let rows: Vec<usize> = (0..40).filter(|i| ((i + 1) % 3 == 0) == third).collect();
        x.select(Axis(0), &rows).mean_axis(Axis(0)).unwrap()
    };
    let means = ndarray::stack![Axis(0), group(true), group(false)];
    for (covariance, covariances, score, weight, shares) in [
        (
            Covariance::Spherical,
            Covariances::Spherical(Array1::ones(2)),
            -7.676669156034687,
            0.32506550408440876,
            [0.000194651664269478, 4.121988606374705e-06, 1.0490285753100283e-10],
        ),
        (
            Covariance::Diagonal,
            Covariances::Diagonal(Array2::ones((2, 6))),
            -7.462290066861618,
            0.3249313247774559,
            [1.476223176901857e-07, 3.954131307466058e-18, 4.903157435427251e-24],
        ),
        (Covariance::Shared, Covariances::Shared(Array2::eye(6)), -5.4615436078660435, 0.325, [0.0; 3]),
        (Covariance::Full, Covariances::Full(vec![Array2::eye(6); 2]), -2.1585738052567254, 0.325, [0.0; 3]),
    ] {
        let method = GaussianMixture { covariance, rounds: 5, tolerance: 0.0, ..GaussianMixture::new(2) };
        let start = Mixture { weights: array![0.5, 0.5], means: means.clone(), covariances };
        let fit = method.refine(start, x.view(), &Silent).unwrap().mixture;
        let found = fit.log_likelihood(x.view()).unwrap();
        assert!((found - score).abs() < 1e-8 * score.abs(), "{covariance:?} {found}");
        assert!((fit.weights[0] - weight).abs() < 1e-10, "{covariance:?}");
        let all = fit.responsibilities(x.view()).unwrap();
        for (row, share) in [0, 1, 7].into_iter().zip(shares) {
            assert!((all[[row, 0]] - share).abs() < 1e-8 * share.max(1e-6), "{covariance:?} {row}");
        }
    }
}

/// At a maximum of the likelihood every parameter equals its own update.
#[test]
fn the_end_is_a_fixed_point() {
    let x = clouds(400, 3, 2, 3.0, 5);
    for covariance in KINDS {
        let method = GaussianMixture { covariance, starts: 1, tolerance: 0.0, rounds: 500, ..GaussianMixture::new(2) };
        let fit = method.fit(x.view(), Seed(3), &Silent).unwrap();
        let again = GaussianMixture { rounds: 1, ..method }.refine(fit.mixture.clone(), x.view(), &Silent).unwrap();
        let moved = &again.mixture.means - &fit.mixture.means;
        assert!(moved.iter().all(|v| v.abs() < 1e-6), "{covariance:?} {moved}");
    }
}

#[test]
fn the_clouds_are_found() {
    let x = clouds(900, 10, 5, 3.0, 4);
    for covariance in KINDS {
        let fit = GaussianMixture { covariance, ..GaussianMixture::new(5) }.fit(x.view(), Seed(1), &Silent).unwrap();
        let shares = fit.mixture.responsibilities(x.view()).unwrap();
        let label = |i: usize| (0..5).max_by(|a, b| shares[[i, *a]].total_cmp(&shares[[i, *b]])).unwrap();
        let right = (5..900).filter(|i| label(*i) == label(i % 5)).count();
        assert!(right > 885, "{covariance:?} {right}");
    }
}

/// Draws of every kind have the mixture's mean and covariance, to five standard errors of theirs (once in a million).
#[test]
fn draws_have_the_moments_of_the_mixture() {
    let matrix = |off: f64| array![[1.0, off], [off, 2.0]];
    let n = 20_000;
    for covariances in [
        Covariances::Spherical(array![0.5, 2.0]),
        Covariances::Diagonal(array![[1.0, 3.0], [0.2, 0.5]]),
        Covariances::Shared(matrix(0.7)),
        Covariances::Full(vec![matrix(0.7), matrix(-0.9)]),
    ] {
        let of = |k: usize| match &covariances {
            Covariances::Spherical(v) => Array2::eye(2) * v[k],
            Covariances::Diagonal(v) => Array2::from_diag(&v.row(k)),
            Covariances::Shared(c) => c.clone(),
            Covariances::Full(all) => all[k].clone(),
        };
        let (weights, means) = (array![0.3, 0.7], array![[-1.0, 0.0], [2.0, 1.0]]);
        let centre = weights.dot(&means);
        let expected = (0..2).fold(Array2::<f64>::zeros((2, 2)), |sum, k| {
            let off = (&means.row(k) - &centre).insert_axis(Axis(1));
            sum + (of(k) + off.dot(&off.t())) * weights[k]
        });
        let mixture = Mixture { weights, means, covariances: covariances.clone() };
        let x = mixture.sample(n, &mut Seed(9).rng(0)).unwrap();
        let off = &x - &centre;
        for i in 0..2 {
            let error = (expected[[i, i]] / n as f64).sqrt();
            assert!(off.column(i).mean().unwrap().abs() < 5.0 * error, "{covariances:?}");
            for j in 0..2 {
                let products = &off.column(i) * &off.column(j);
                let error = products.std(1.0) / (n as f64).sqrt();
                let found = products.mean().unwrap();
                assert!((found - expected[[i, j]]).abs() < 5.0 * error, "{covariances:?} {i} {j} {found}");
            }
        }
    }
    let flat =
        Mixture { weights: array![1.0], means: array![[0.0, 0.0]], covariances: Covariances::Shared(matrix(9.0)) };
    assert!(flat.sample(1, &mut Seed(0).rng(0)).is_err());
}

#[test]
fn results_do_not_depend_on_threads_or_on_where_the_rows_lie() {
    let x = clouds(700, 3, 3, 2.0, 6);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let method = GaussianMixture { covariance: Covariance::Full, ..GaussianMixture::new(3) };
        pool.install(|| method.fit(x.view(), Seed(7), &Silent).unwrap())
    };
    assert_eq!(run(1), run(2));
    let near = GaussianMixture::new(3).fit(x.view(), Seed(7), &Silent).unwrap();
    let far = GaussianMixture::new(3).fit((&x + 1e6).view(), Seed(7), &Silent).unwrap();
    assert!((near.path.last().unwrap() - far.path.last().unwrap()).abs() < 1e-6);
}

#[test]
fn bad_input_is_an_error_that_names_the_component() {
    let x = clouds(60, 3, 2, 2.0, 8);
    let full = GaussianMixture { covariance: Covariance::Full, ..GaussianMixture::new(2) };
    let mut constant = x.clone();
    constant.column_mut(1).fill(4.0);
    let message = full.fit(constant.view(), Seed(1), &Silent).unwrap_err().to_string();
    assert!(message.contains("component") && message.contains("singular"), "{message}");
    assert!(GaussianMixture::new(2).fit(constant.view(), Seed(1), &Silent).is_ok());
    let pairs = array![[0.0, 0.0], [0.0, 0.0], [1.0, 1.0], [1.0, 1.0]];
    assert!(GaussianMixture::new(2).fit(pairs.view(), Seed(1), &Silent).is_err());
    assert!(GaussianMixture::new(3).fit(pairs.view(), Seed(1), &Silent).is_err());
    let one = GaussianMixture { covariance: Covariance::Identity, ..GaussianMixture::new(1) };
    assert!(one.fit(pairs.view(), Seed(1), &Silent).is_ok());
    for (x, k) in [
        (x.clone(), 0),
        (x.clone(), 61),
        (&x * f64::NAN, 2),
        (&x * f64::INFINITY, 2),
        (&x * 1e200, 2),
        (&x * 1e-200, 2),
        (&x * 0.0, 1),
        (x.slice(s![..1, ..]).to_owned(), 1),
        (x.slice(s![..0, ..]).to_owned(), 1),
    ] {
        assert!(GaussianMixture::new(k).fit(x.view(), Seed(1), &Silent).is_err(), "{k}");
    }
    let fit = GaussianMixture::new(2).fit(x.view(), Seed(1), &Silent).unwrap();
    assert!(fit.mixture.responsibilities(x.slice(s![.., ..2])).is_err());
    assert!(GaussianMixture::new(3).refine(fit.mixture, x.view(), &Silent).is_err());
    assert!(GaussianMixture { starts: 0, ..GaussianMixture::new(2) }.fit(x.view(), Seed(1), &Silent).is_err());
    struct Stopped;
    impl Progress for Stopped {
        fn cancelled(&self) -> bool {
            true
        }
    }
    assert!(matches!(GaussianMixture::new(2).fit(x.view(), Seed(1), &Stopped), Err(Error::Cancelled)));
}
