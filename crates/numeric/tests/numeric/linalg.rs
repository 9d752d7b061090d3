//! Decompositions against their definitions.

use ndarray::{Array2, Axis, array, s};
use proptest::prelude::*;
use quadrat_core::{Seed, stats};
use quadrat_numeric::Csr;
use quadrat_numeric::linalg::{
    Pca, cholesky, gram, orthonormal, product, product_squared_lengths, sketch, solve, solve_lower, symmetric_eigen,
    thin_r, truncated_svd, whitening,
};

fn normal(n: usize, d: usize, seed: u64) -> Array2<f64> {
    let mut rng = Seed(seed).rng(0);
    Array2::from_shape_fn((n, d), |_| rng.normal())
}

fn assert_near(a: &Array2<f64>, b: &Array2<f64>, tolerance: f64) {
    assert_eq!(a.dim(), b.dim());
    let far = (a - b).iter().fold(0.0, |m: f64, v| m.max(v.abs()));
    assert!(far <= tolerance, "{far} > {tolerance}");
}

fn leverage(x: &Array2<f64>) -> Vec<f64> {
    product_squared_lengths(x.view(), whitening(x.view(), None).unwrap().view()).unwrap()
}

#[test]
fn the_parallelism_of_the_program_around_is_left_alone() {
    let before = faer::get_global_parallelism();
    faer::set_global_parallelism(faer::Par::rayon(3));
    let x = normal(200, 5, 1);
    let a = gram(x.view(), None).unwrap();
    assert!(thin_r(x.view()).nrows() == 5 && cholesky(a.view()).is_ok() && symmetric_eigen(a.view()).is_ok());
    assert!(solve(a.view(), a.view()).is_ok() && whitening(x.slice(s![..3, ..]), None).is_ok());
    assert_eq!(format!("{:?}", faer::get_global_parallelism()), format!("{:?}", faer::Par::rayon(3)));
    faer::set_global_parallelism(before);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn products_of_blocks(n in 0_usize..3000, d in 1_usize..20, weighted: bool, seed: u64) {
        let x = normal(n, d, seed);
        let weights: Vec<f64> = (0..n).map(|i| (i % 4) as f64).collect();
        let mut scaled = x.clone();
        if weighted {
            scaled.outer_iter_mut().zip(&weights).for_each(|(mut row, w)| row *= *w);
        }
        let got = gram(x.view(), weighted.then_some(weights.as_slice())).unwrap();
        assert_near(&got, &x.t().dot(&scaled), 1e-11 * (n + 1) as f64);
        let b = normal(d, 3, seed ^ 1);
        assert_near(&product(x.view(), b.view()).unwrap(), &x.dot(&b), 1e-12);
        let lengths = product_squared_lengths(x.view(), b.view()).unwrap();
        let want = x.dot(&b).map_axis(Axis(1), |row| row.dot(&row));
        prop_assert!(lengths.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-11 * (1.0 + b)));
    }

    #[test]
    fn r_of_blocks_is_r(n in 1_usize..9000, d in 1_usize..9, seed: u64) {
        let x = normal(n, d, seed);
        let r = thin_r(x.view());
        prop_assert_eq!(r.dim(), (n.min(d), d));
        for ((i, j), v) in r.indexed_iter() {
            prop_assert!(i <= j || *v == 0.0);
            prop_assert!(i != j || *v >= 0.0);
        }
        assert_near(&r.t().dot(&r), &x.t().dot(&x), 1e-12 * (n * d) as f64);
    }

    #[test]
    fn systems_and_factors(d in 1_usize..30, seed: u64) {
        let x = normal(2 * d + 2, d, seed);
        let a = x.t().dot(&x);
        let l = cholesky(a.view()).unwrap();
        assert_near(&l.dot(&l.t()), &a, 1e-11 * d as f64);
        let b = normal(d, 2, seed ^ 2);
        assert_near(&a.dot(&solve(a.view(), b.view()).unwrap()), &b, 1e-8);
        assert_near(&l.dot(&solve_lower(l.view(), b.view()).unwrap()), &b, 1e-9);
        let (values, vectors) = symmetric_eigen(a.view()).unwrap();
        prop_assert!(values.is_sorted_by(|a, b| a >= b));
        assert_near(&vectors.t().dot(&vectors), &Array2::eye(d), 1e-12 * (d + 1) as f64);
        let scaled = &vectors * &ndarray::Array1::from(values);
        assert_near(&scaled.dot(&vectors.t()), &a, 1e-11 * d as f64);
        for column in vectors.columns() {
            let largest = column.iter().fold(0.0_f64, |m, v| if v.abs() > m.abs() { *v } else { m });
            prop_assert!(largest > 0.0);
        }
    }
}

#[test]
fn leverage_scores_do_not_mind_condition_or_rank() {
    let x = normal(3000, 6, 1);
    let want = leverage(&x);
    assert!((want.iter().sum::<f64>() - 6.0).abs() < 1e-10);
    // Any invertible map of the columns leaves them as they are: here one of condition 1e6 on top of scales 1e-120..1e120.
    let mut mixed = x.clone();
    let first = x.column(0).to_owned();
    let almost = x.column(1).mapv(|v| v * 1e-6) + &first;
    mixed.column_mut(1).assign(&almost);
    mixed.column_mut(2).mapv_inplace(|v| v * 1e120);
    mixed.column_mut(3).mapv_inplace(|v| v * 1e-20);
    // Columns that add nothing: a copy, a sum, zeros.
    let sum = &first + &x.column(4);
    let extended = ndarray::concatenate![
        Axis(1),
        mixed,
        first.insert_axis(Axis(1)),
        sum.insert_axis(Axis(1)),
        Array2::zeros((3000, 1))
    ];
    assert_eq!(whitening(extended.view(), None).unwrap().ncols(), 6);
    for (a, b) in leverage(&extended).iter().zip(&want) {
        assert!((a - b).abs() < 1e-8, "{a} {b}");
    }
    assert!(whitening(Array2::zeros((5, 3)).view(), None).unwrap().ncols() == 0);
    assert_eq!(leverage(&Array2::zeros((5, 3))), [0.0; 5]);
    // Fewer rows than columns: every row is needed.
    assert!(leverage(&normal(4, 9, 2)).iter().all(|l| (l - 1.0).abs() < 1e-10));
    // A weight of 2 is the row twice.
    let weights: Vec<f64> = (0..3000).map(|i| if i < 100 { 2.0 } else { 1.0 }).collect();
    let doubled = ndarray::concatenate![Axis(0), x, x.slice(s![..100, ..])];
    let v = whitening(x.view(), Some(&weights)).unwrap();
    let got = product_squared_lengths(x.view(), v.view()).unwrap();
    assert!(got.iter().zip(&leverage(&doubled)).all(|(a, b)| (a - b).abs() < 1e-12));
}

#[test]
fn a_basis_of_nearly_dependent_columns_is_orthonormal() {
    // Powers of numbers in 0..1: condition about 1e12.
    let x = Array2::from_shape_fn((2000, 16), |(i, j)| (i as f64 / 2000.0).powi(j as i32));
    let q = orthonormal(x.view()).unwrap();
    assert_near(&q.t().dot(&q), &Array2::eye(q.ncols()), 1e-13);
    assert_eq!(q.ncols(), 16);
    // It spans the columns.
    assert_near(&q.dot(&q.t().dot(&x)), &x, 1e-10);
}

#[test]
fn principal_components_of_known_data() {
    // Independent columns of standard deviations 3, 2, 1 about a far mean, turned by a known rotation.
    let (c, s) = (0.6, 0.8);
    let turn = array![[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]];
    let mut z = normal(20_000, 3, 3);
    for (j, sd) in [3.0, 2.0, 1.0].into_iter().enumerate() {
        z.column_mut(j).mapv_inplace(|v| v * sd);
    }
    let x = z.dot(&turn) + 1e6;
    let pca = Pca::fit(x.view(), 2).unwrap();
    // The largest relative error of a sample variance of 20,000 normals is below 5 sqrt(2 / n) = 0.05.
    assert!((pca.variances[0] / 9.0 - 1.0).abs() < 0.05 && (pca.variances[1] / 4.0 - 1.0).abs() < 0.05);
    assert!((pca.components[[0, 0]] - 0.6).abs() < 0.02 && (pca.components[[1, 0]] - 0.8).abs() < 0.02);
    let coordinates = pca.transform(x.view()).unwrap();
    for j in 0..2 {
        let column = coordinates.column(j).to_vec();
        assert!(stats::mean(&column).abs() < 1e-6);
        assert!((stats::variance(&column) - pca.variances[j]).abs() < 1e-6);
    }
    let flat = Pca::fit(Array2::from_elem((3, 2), 5.0).view(), 2).unwrap();
    assert_eq!(flat.variances, [0.0, 0.0]);
    assert_eq!(Pca::fit(array![[1.0, 2.0]].view(), 1).unwrap().variances, [0.0]);
}

#[test]
fn sparse_singular_values_are_the_dense_ones() {
    // Rank 5 and a little noise, in 40 of 1000 columns.
    let dense = normal(300, 5, 4).dot(&normal(5, 40, 5)) + normal(300, 40, 6) * 1e-3;
    let mut sparse = Csr::new(1000);
    for row in dense.outer_iter() {
        sparse.push_row(row.iter().enumerate().map(|(j, v)| (25 * j as u32, *v as f32)));
    }
    let found = truncated_svd(&sparse, 5, Seed(1)).unwrap();
    let (values, vectors) = symmetric_eigen(dense.t().dot(&dense).view()).unwrap();
    for j in 0..5 {
        assert!((found.singular[j] / values[j].sqrt() - 1.0).abs() < 1e-5);
        let want = dense.dot(&vectors.column(j));
        let far = want.iter().zip(found.coordinates.column(j)).map(|(a, b)| (a - f64::from(*b)).abs());
        assert!(far.fold(0.0, f64::max) < 1e-3 * values[0].sqrt());
    }
    // Beyond the rank there are zeros; rows without words and matrices without words have coordinates 0.
    let mut small = Csr::new(9);
    small.push_row([(2, 3.0)]);
    small.push_row([]);
    small.push_row([(2, 4.0)]);
    let found = truncated_svd(&small, 3, Seed(1)).unwrap();
    assert!((found.singular[0] - 5.0).abs() < 1e-6 && found.singular[1..] == [0.0, 0.0]);
    assert!((found.coordinates[[2, 0]] - 4.0).abs() < 1e-6 && found.coordinates[[1, 0]] == 0.0);
    let mut empty = Csr::new(3);
    empty.push_row([]);
    assert_eq!(truncated_svd(&empty, 2, Seed(1)).unwrap().coordinates, Array2::<f32>::zeros((1, 2)));
}

#[test]
fn a_sketch_keeps_the_gram_matrix_on_average() {
    // The mean over 400 sketches of ||S x||^2 is ||x||^2; the variance of one is at most 2 ||x||^4 / rows.
    let x = normal(200, 2, 7);
    let want = x.t().dot(&x);
    for nonzeros in [1, 4] {
        let mut mean = Array2::zeros((2, 2));
        for seed in 0..400 {
            let small = sketch(x.view(), 16, nonzeros, Seed(seed)).unwrap();
            mean = mean + small.t().dot(&small) / 400.0;
        }
        // Five standard errors.
        let tolerance = 5.0 * want[[0, 0]].max(want[[1, 1]]) * (2.0_f64 / 16.0 / 400.0).sqrt();
        assert_near(&mean, &want, tolerance);
    }
    // With as many non-zeros as rows every row of the sketch holds each row of x, up to sign.
    let one = sketch(array![[6.0]].view(), 4, 4, Seed(1)).unwrap();
    assert!(one.iter().all(|v| v.abs() == 3.0));
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let x = normal(5000, 12, 8);
    let mut sparse = Csr::new(500);
    let mut rng = Seed(9).rng(0);
    for _ in 0..2000 {
        let mut columns: Vec<u32> = rng.sample(500, 6).into_iter().map(|c| c as u32).collect();
        columns.sort_unstable();
        sparse.push_row(columns.into_iter().map(|c| (c, 1.0 + (c % 3) as f32)));
    }
    let run = |threads| {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| {
            let skewed = x.dot(&Array2::from_diag(&array![1., 1e9, 1., 1., 1., 1., 1., 1., 1., 1., 1., 1e-9]));
            (
                thin_r(x.view()),
                orthonormal(skewed.view()).unwrap(),
                Pca::fit(x.view(), 4).unwrap(),
                truncated_svd(&sparse, 20, Seed(1)).unwrap(),
                sketch(x.view(), 40, 2, Seed(1)).unwrap(),
            )
        })
    };
    assert!(run(1) == run(2));
}

#[test]
fn bad_inputs_are_named() {
    let x = normal(4, 3, 1);
    let mut nan = x.clone();
    nan[[2, 0]] = f64::NAN;
    let mut csr = Csr::new(2);
    csr.push_row([(1, f32::NAN)]);
    let mut past = Csr::new(2);
    past.push_row([(2, 1.0)]);
    let singular = array![[1.0, 1.0], [1.0, 1.0]];
    let cases = [
        (gram(x.view(), Some(&[1.0])).unwrap_err(), "weights: got 1"),
        (product(x.view(), x.view()).unwrap_err(), "factor: got 4 rows"),
        (cholesky(x.view()).unwrap_err(), "matrix: got 4 rows, 3 columns"),
        (cholesky((-&singular).view()).unwrap_err(), "Cholesky factor: the matrix is not positive definite"),
        (solve(singular.view(), array![[1.0], [2.0]].view()).unwrap_err(), "linear system: the matrix is singular"),
        (
            solve_lower(array![[0.0]].view(), array![[1.0]].view()).unwrap_err(),
            "triangular system: the diagonal's entry 0",
        ),
        (symmetric_eigen(array![[f64::NAN]].view()).unwrap_err(), "matrix, row 0, column 0: got NaN"),
        (whitening(nan.view(), None).unwrap_err(), "matrix, row 2, column 0: got NaN"),
        (whitening(x.view(), Some(&[1.0, -1.0, 1.0, 1.0])).unwrap_err(), "weight of row 1: got -1"),
        (Pca::fit(x.view(), 4).unwrap_err(), "dimensions: got 4; use 1 to 3"),
        (Pca::fit(nan.view(), 1).unwrap_err(), "points, row 2, column 0: got NaN"),
        (Pca::fit(x.view(), 1).unwrap().transform(x.slice(s![.., ..2])).unwrap_err(), "factor: got 3 rows"),
        (truncated_svd(&csr, 1, Seed(0)).unwrap_err(), "matrix: got NaN"),
        (truncated_svd(&past, 1, Seed(0)).unwrap_err(), "column: got 2"),
        (truncated_svd(&Csr::new(2), 1, Seed(0)).unwrap_err(), "dimensions: got 1"),
        (truncated_svd(&csr, 3, Seed(0)).unwrap_err(), "dimensions: got 3"),
        (sketch(x.view(), 2, 3, Seed(0)).unwrap_err(), "non-zeros: got 3; use 1 to 2"),
        (sketch(nan.view(), 2, 1, Seed(0)).unwrap_err(), "matrix, row 2, column 0: got NaN"),
    ];
    for (error, start) in cases {
        assert!(error.to_string().starts_with(start), "{error}");
    }
}
