use super::*;
use ndarray::{Array2, array};
use proptest::prelude::*;
use quadrat_core::Seed;

fn normal(n: usize, p: usize, seed: u64) -> (Array2<f64>, Vec<f64>) {
    let mut rng = Seed(seed).rng(0);
    let a = Array2::from_shape_fn((n, p), |_| rng.normal());
    let b = (0..n).map(|_| rng.normal()).collect();
    (a, b)
}

/// Small whole numbers: full of ties, repeated columns and zero columns.
fn whole(n: usize, p: usize, seed: u64) -> (Array2<f64>, Vec<f64>) {
    let mut rng = Seed(seed).rng(1);
    let mut draw = || rng.below(5) as f64 - 2.0;
    (Array2::from_shape_fn((n, p), |_| draw()), (0..n).map(|_| draw()).collect())
}

/// By how much the conditions of optimality are missed, relative to the largest |a_j . b|.
fn violation(a: &Array2<f64>, b: &[f64], lambda: f64, x: &[f64]) -> f64 {
    let correlate = |v: &ndarray::Array1<f64>| a.t().dot(v);
    let b = ndarray::Array1::from(b.to_vec());
    let unit = correlate(&b).iter().fold(f64::MIN_POSITIVE, |m: f64, c| m.max(c.abs()));
    let c = correlate(&(&b - &a.dot(&ndarray::Array1::from(x.to_vec()))));
    let miss =
        |(c, x): (&f64, &f64)| if *x == 0.0 { (c.abs() - lambda).max(0.0) } else { (c - lambda * x.signum()).abs() };
    c.iter().zip(x).map(miss).fold(0.0, f64::max) / unit
}

fn l1(x: &[f64]) -> f64 {
    x.iter().map(|x| x.abs()).sum()
}

/// The minimum of |x|_1 with A x = b over all supports of at most n independent columns: the optimum of the linear
/// programme is at such a vertex.
fn least_l1_by_enumeration(a: &Array2<f64>, b: &[f64]) -> Option<f64> {
    let (n, p) = a.dim();
    let mut best: Option<f64> = None;
    for subset in 0_u32..1 << p {
        if subset.count_ones() as usize > n {
            continue;
        }
        let columns: Vec<usize> = (0..p).filter(|j| subset >> j & 1 == 1).collect();
        let mut active = Active::new(n);
        if !columns.iter().all(|j| active.push(&a.column(*j).to_vec())) {
            continue;
        }
        if active.residual(b).iter().all(|r| r.abs() < 1e-9) {
            let value = l1(&active.least_squares(b));
            best = Some(best.map_or(value, |best| best.min(value)));
        }
    }
    best
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Everywhere on the path, at breakpoints and between them, the conditions of optimality hold.
    #[test]
    fn the_path_is_optimal(n in 1_usize..12, p in 1_usize..40, ties: bool, seed: u64) {
        let (a, b) = if ties { whole(n, p, seed) } else { normal(n, p, seed) };
        // Whole numbers may tie beyond what the path can follow: then it says so.
        let Ok(path) = lasso_path(a.view(), &b, 0.0, None) else {
            prop_assert!(ties);
            return Ok(());
        };
        prop_assert!(path.knots.windows(2).all(|pair| pair[0].lambda > pair[1].lambda));
        let top = path.lambda_max();
        prop_assert!(violation(&a, &b, 1.5 * top, &path.at(1.5 * top)) == 0.0);
        let mut penalties: Vec<f64> = path.knots.iter().map(|knot| knot.lambda).collect();
        penalties.extend([0.9, 0.5, 0.3, 0.1, 0.03, 0.001].map(|share| share * top));
        for lambda in penalties {
            let miss = violation(&a, &b, lambda, &path.at(lambda));
            prop_assert!(miss < 1e-8, "{miss} at {lambda}");
        }
    }

    /// Descent and homotopy agree: the objective to the gap, and where descent can solve its support exactly, the
    /// conditions to rounding.
    #[test]
    fn descent_meets_the_path(n in 1_usize..12, p in 1_usize..40, share in 0.01_f64..1.2, ties: bool, seed: u64) {
        let (a, b) = if ties { whole(n, p, seed) } else { normal(n, p, seed) };
        // Whole numbers may tie beyond what the path can follow: then it says so.
        let Ok(path) = lasso_path(a.view(), &b, 0.0, None) else {
            prop_assert!(ties);
            return Ok(());
        };
        let lambda = share * path.lambda_max();
        let fit = Lasso { lambda, tol: 1e-12, max_iter: 200_000 }.fit(a.view(), &b).unwrap();
        let objective = |x: &[f64]| {
            let residual = ndarray::Array1::from(b.clone()) - a.dot(&ndarray::Array1::from(x.to_vec()));
            0.5 * residual.dot(&residual) + lambda * l1(x)
        };
        let half = (0.5 * dot(&b, &b)).max(f64::MIN_POSITIVE);
        let apart = (objective(&fit.x) - objective(&path.at(lambda))) / half;
        prop_assert!(fit.gap < 1e-11 && apart.abs() < 1e-10, "gap {}, objectives {apart} apart", fit.gap);
    }

    #[test]
    fn basis_pursuit_is_the_linear_programme(n in 1_usize..5, p in 1_usize..10, ties: bool, seed: u64) {
        let (a, b) = if ties { whole(n, p, seed) } else { normal(n, p, seed) };
        match (basis_pursuit(a.view(), &b), least_l1_by_enumeration(&a, &b)) {
            (Err(error), _) if error.to_string().contains("tie exactly") => prop_assert!(ties, "{error}"),
            (Ok(x), Some(least)) => {
                let reached = a.dot(&ndarray::Array1::from(x.clone()));
                prop_assert!(reached.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-8));
                prop_assert!(x.iter().filter(|x| **x != 0.0).count() <= n);
                prop_assert!((l1(&x) - least).abs() < 1e-7 * (1.0 + least), "{} against {least}", l1(&x));
            }
            (Err(error), None) => prop_assert!(error.to_string().contains("no solution"), "{error}"),
            (found, least) => prop_assert!(false, "{found:?} against {least:?}"),
        }
    }

    /// Units do not matter, however odd.
    #[test]
    fn scaling_scales(exponent in prop::sample::select(vec![-450, -60, 0, 60, 450]), seed: u64) {
        let (a, b) = normal(5, 12, seed);
        let unit = 2.0_f64.powi(exponent);
        let plain = basis_pursuit(a.view(), &b).unwrap();
        let scaled = basis_pursuit((&a * unit).view(), &b).unwrap();
        prop_assert!(plain.iter().zip(&scaled).all(|(plain, scaled)| *plain == scaled * unit));
        let b: Vec<f64> = b.iter().map(|b| b * unit).collect();
        let scaled = basis_pursuit(a.view(), &b).unwrap();
        prop_assert!(plain.iter().zip(&scaled).all(|(plain, scaled)| plain * unit == *scaled));
    }
}

#[test]
fn the_support_stops_growing_where_it_is_told_to() {
    let (a, b) = normal(8, 50, 1);
    let whole = lasso_path(a.view(), &b, 0.0, None).unwrap();
    for most in 1..=8 {
        let path = lasso_path(a.view(), &b, 0.0, Some(most)).unwrap();
        assert!(path.knots.iter().all(|knot| knot.x.len() <= most));
        assert_eq!(path.knots[..], whole.knots[..path.knots.len()]);
        let next = whole.knots.get(path.knots.len() + 1);
        assert!(next.is_none_or(|next| next.x.len() >= most), "it could have gone on");
    }
    assert!(lasso_path(a.view(), &b, 0.0, Some(0)).unwrap().end().iter().all(|x| *x == 0.0));
}

/// Recorded from scikit-learn 1.9.1, `Lasso(alpha=lambda / 5, fit_intercept=False, tol=1e-14)` on the same matrix; its
/// `LassoLars` agrees.
#[test]
fn as_scikit_learn() {
    let a = Array2::from_shape_fn((5, 8), |(i, j)| (((i * 8 + j) * 37 % 101) as f64 - 50.0) / 25.0);
    let b = [1.0, -2.0, 0.5, 3.0, -1.5];
    for (lambda, want) in SKLEARN {
        let fit = Lasso { lambda, ..Lasso::default() }.fit(a.view(), &b).unwrap();
        let path = lasso_path(a.view(), &b, lambda, None).unwrap().end();
        for ((x, exact), want) in fit.x.iter().zip(&path).zip(want) {
            assert!((x - want).abs() < 1e-7 && (exact - want).abs() < 1e-7, "{lambda}: {:?}", fit.x);
        }
    }
}
const SKLEARN: [(f64, [f64; 8]); 3] = [
    (1.0, [-0.4523343424453085, 0.0, 0.0, 0.5348180587867088, 0.0, 0.3747576593086077, 0.09888170452430077, 0.0]),
    (2.0, [-0.23973219747591246, 0.0, 0.0, 0.3813285720497948, 0.0, 0.0, 0.0, 0.0]),
    (4.0, [0.0, 0.0, 0.0, 0.13782014471115195, 0.0, 0.0, 0.0, 0.0]),
];

#[test]
fn of_equal_columns_the_first_is_used() {
    let a = array![[1.0, 1.0, 0.0, 1.0], [0.0, 0.0, 1.0, 0.0]];
    let x = basis_pursuit(a.view(), &[2.0, 1.0]).unwrap();
    assert_eq!(x, [2.0, 0.0, 1.0, 0.0]);
}

#[test]
fn odd_problems_have_defined_answers() {
    let zero = Array2::<f64>::zeros((2, 3));
    assert_eq!(Lasso::default().fit(zero.view(), &[1.0, 2.0]).unwrap().x, [0.0; 3]);
    assert_eq!(lasso_path(zero.view(), &[1.0, 2.0], 0.0, None).unwrap().end(), [0.0; 3]);
    assert_eq!(basis_pursuit(array![[1.0, 2.0]].view(), &[0.0]).unwrap(), [0.0; 2]);
    assert!(basis_pursuit(zero.view(), &[1.0, 2.0]).unwrap_err().to_string().contains("no solution"));
    // lambda = 0 with more rows than columns: least squares.
    let fit = Lasso { lambda: 0.0, ..Lasso::default() }.fit(array![[1.0], [1.0]].view(), &[1.0, 3.0]).unwrap();
    assert!((fit.x[0] - 2.0).abs() < 1e-12, "{fit:?}");
    let one = Lasso { lambda: 1.0, ..Lasso::default() }.fit(array![[2.0]].view(), &[3.0]).unwrap();
    assert!((one.x[0] - 1.25).abs() < 1e-15, "{one:?}");
}

#[test]
fn bad_input_is_named() {
    let a = array![[1.0, 2.0], [3.0, 4.0]];
    let lasso = Lasso::default();
    for (result, part) in [
        (Lasso { lambda: -1.0, ..lasso }.fit(a.view(), &[1.0, 2.0]), "lambda: got -1"),
        (Lasso { lambda: f64::NAN, ..lasso }.fit(a.view(), &[1.0, 2.0]), "lambda: got NaN"),
        (Lasso { tol: -1.0, ..lasso }.fit(a.view(), &[1.0, 2.0]), "tol: got -1"),
        (lasso.fit(a.view(), &[1.0]), "right-hand side: got 1 values; the matrix has 2 rows"),
        (lasso.fit(a.view(), &[1.0, f64::INFINITY]), "right-hand side, row 1: got inf"),
        (lasso.fit(array![[1.0, f64::NAN]].view(), &[1.0]), "matrix, row 0, column 1: got NaN"),
        (lasso.fit(Array2::zeros((0, 2)).view(), &[]), "matrix: got 0 rows"),
    ] {
        let message = result.unwrap_err().to_string();
        assert!(message.starts_with(part), "{message}");
    }
    assert!(lasso_path(a.view(), &[1.0, 2.0], -1.0, None).is_err());
}
