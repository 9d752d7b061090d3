use super::*;
use ndarray::array;
use proptest::prelude::*;
use quadrat_core::{Rng, Seed};

fn normals(n: usize, d: usize, rng: &mut Rng) -> Array2<f64> {
    Array2::from_shape_fn((n, d), |_| rng.normal())
}

fn kernels(x: ArrayView2<f64>) -> Vec<Kernel> {
    let d = x.ncols();
    vec![Kernel::poly(3, d), Kernel::linear(d), Kernel::Energy, Kernel::rbf(x).unwrap()]
}

/// k as its definition has it.
fn plain(kernel: &Kernel, u: ndarray::ArrayView1<f64>, v: ndarray::ArrayView1<f64>) -> f64 {
    let square = u.iter().zip(v).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
    match kernel {
        Kernel::Poly { degree, gamma, offset } => (gamma * u.dot(&v) + offset).powi(*degree as i32),
        Kernel::Rbf { widths } => widths.iter().map(|w| (-square / (2.0 * w * w)).exp()).sum(),
        Kernel::Energy => -square.sqrt(),
    }
}

fn by_loop(x: &Array2<f64>, y: &Array2<f64>, kernel: &Kernel) -> f64 {
    let mean = |u: &Array2<f64>, v: &Array2<f64>, same: bool| {
        let pairs = (0..u.nrows()).flat_map(|i| (0..v.nrows()).map(move |j| (i, j))).filter(|(i, j)| !same || i != j);
        let each: Vec<f64> = pairs.map(|(i, j)| plain(kernel, u.row(i), v.row(j))).collect();
        stats::mean(&each)
    };
    mean(x, x, true) + mean(y, y, true) - 2.0 * mean(x, y, false)
}

/// Blocks agree with the double loop to 12 digits, on sizes around the block's.
#[test]
fn values_are_those_of_the_double_loop() {
    let mut rng = Seed(1).rng(0);
    for (n, m, d) in [(2, 2, 1), (3, 7, 2), (BLOCK, 2 * BLOCK + 1, 3), (BLOCK + 1, 40, 17)] {
        let (x, y) = (normals(n, d, &mut rng), 0.5 + 1.5 * normals(m, d, &mut rng));
        for kernel in kernels(y.view()) {
            let (found, _) = mmd2(x.view(), y.view(), &kernel).unwrap();
            let wanted = by_loop(&x, &y, &kernel);
            let scale = plain(&kernel, y.row(0), y.row(1)).abs().max(1.0);
            assert!((found - wanted).abs() < 1e-12 * scale, "{kernel:?} {n} {m} {d}: {found} for {wanted}");
        }
    }
}

/// Central differences with a step of 1e-5: their own error is about 1e-9.
#[test]
fn gradients_are_differences() {
    let mut rng = Seed(2).rng(0);
    let (x, y) = (normals(9, 3, &mut rng), 1.0 + normals(5, 3, &mut rng));
    for kernel in kernels(y.view()) {
        let (_, gradient) = mmd2(x.view(), y.view(), &kernel).unwrap();
        for (at, found) in gradient.indexed_iter() {
            let moved = |by: f64| {
                let mut x = x.clone();
                x[at] += by;
                mmd2(x.view(), y.view(), &kernel).unwrap().0
            };
            let wanted = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((found - wanted).abs() < 1e-7, "{kernel:?} at {at:?}: {found} for {wanted}");
        }
    }
}

/// Of equal laws the mean of 2,000 draws is within 4.5 standard errors of 0 (four kernels: a false alarm in 37,000 runs), and draws below
/// 0 are there: about half of them and never fewer than a tenth.
#[test]
fn equal_laws_have_a_mean_of_zero() {
    let kernels = kernels(normals(50, 2, &mut Seed(3).rng(0)).view());
    for (at, kernel) in kernels.iter().enumerate() {
        let one = |i: u64| {
            let mut rng = Seed(4).stream(&at.to_string()).rng(i);
            mmd2(normals(12, 2, &mut rng).view(), normals(8, 2, &mut rng).view(), kernel).unwrap().0
        };
        let found: Vec<f64> = (0..2000).map(one).collect();
        let error = stats::standard_deviation(&found) / 2000f64.sqrt();
        assert!(stats::mean(&found).abs() < 4.5 * error, "{kernel:?}: {} for {error}", stats::mean(&found));
        assert!(found.iter().filter(|v| **v < 0.0).count() > 200, "{kernel:?}");
    }
}

/// Degree 1: |mean x - mean y|² / D, each square less the rows' own part.
#[test]
fn the_linear_kernel_compares_means() {
    let mut rng = Seed(5).rng(0);
    let (x, y) = (normals(7, 4, &mut rng), 2.0 + normals(5, 4, &mut rng));
    let square = |rows: &Array2<f64>| {
        let (n, sum) = (rows.nrows() as f64, rows.sum_axis(Axis(0)));
        (sum.dot(&sum) - rows.iter().map(|v| v * v).sum::<f64>()) / (n * (n - 1.0))
    };
    let across = x.mean_axis(Axis(0)).unwrap().dot(&y.mean_axis(Axis(0)).unwrap());
    let wanted = (square(&x) + square(&y) - 2.0 * across) / 4.0;
    for kernel in [Kernel::linear(4), Kernel::poly(1, 4)] {
        let (found, _) = mmd2(x.view(), y.view(), &kernel).unwrap();
        assert!((found - wanted).abs() < 1e-12, "{kernel:?}: {found} for {wanted}");
    }
}

/// ±1 has the moments 0, 1, 0, 1; 0 or ±√2 has 0, 1, 0, 2. Degree 3 does not see it, the others do: 400 draws of 60 rows, 4.5 standard
/// errors (a false alarm in 150,000 runs of the one, and a power beyond 0.999 of each of the others).
#[test]
fn degree_three_is_blind_to_fourth_moments() {
    let mut rng = Seed(6).rng(0);
    let draws = |kernel: &Kernel, rng: &mut Rng| -> (f64, f64) {
        let one = |_| {
            let x = Array2::from_shape_fn((60, 1), |_| if rng.below(2) == 0 { 1.0 } else { -1.0 });
            let y = Array2::from_shape_fn((60, 1), |_| [0.0, 0.0, -1.0, 1.0][rng.below(4)] * std::f64::consts::SQRT_2);
            mmd2(x.view(), y.view(), kernel).unwrap().0
        };
        let found: Vec<f64> = (0..400).map(one).collect();
        (stats::mean(&found), stats::standard_deviation(&found) / 20.0)
    };
    let (mean, error) = draws(&Kernel::poly(3, 1), &mut rng);
    assert!(mean.abs() < 4.5 * error, "{mean} for {error}");
    for kernel in [Kernel::poly(4, 1), Kernel::Energy, Kernel::Rbf { widths: vec![0.5] }] {
        let (mean, error) = draws(&kernel, &mut rng);
        assert!(mean > 4.5 * error, "{kernel:?}: {mean} for {error}");
    }
}

#[test]
fn threads_change_no_bit() {
    let mut rng = Seed(7).rng(0);
    let (x, y) = (normals(700, 5, &mut rng), normals(300, 5, &mut rng));
    for kernel in kernels(y.view()) {
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| (mmd2(x.view(), y.view(), &kernel).unwrap(), Kernel::rbf(x.view()).unwrap()))
        };
        assert_eq!(run(1), run(2));
    }
}

proptest! {
    /// Rows far away, rows twice and rows on the other side do not break a kernel of differences: moving both sides changes nothing.
    #[test]
    fn differences_stay_when_both_sides_move(n in 2..20_usize, m in 2..20_usize, by in -1e3..1e3_f64, seed in any::<u64>()) {
        let mut rng = Seed(seed).rng(0);
        let (mut x, y) = (normals(n, 2, &mut rng), normals(m, 2, &mut rng));
        x.row_mut(0).assign(&y.row(0));
        let copy = x.row(0).to_owned();
        x.row_mut(n - 1).assign(&copy);
        for kernel in [Kernel::Energy, Kernel::Rbf { widths: vec![0.3, 2.0] }] {
            let (value, gradient) = mmd2(x.view(), y.view(), &kernel).unwrap();
            let (moved, at_moved) = mmd2((&x + by).view(), (&y + by).view(), &kernel).unwrap();
            // Rounding moves 1,000 + x by 1e-13; equal rows are told apart by that with the energy kernel, to its root.
            prop_assert!((value - moved).abs() < 1e-5, "{} and {}", value, moved);
            prop_assert!(gradient.iter().chain(&at_moved).all(|v| v.is_finite()));
        }
    }
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let good = array![[0.0, 1.0], [2.0, 3.0]];
    let compare = |x: &Array2<f64>, y: &Array2<f64>, kernel: &Kernel| mmd2(x.view(), y.view(), kernel);
    for (what, x) in [
        ("one row", array![[1.0, 2.0]]),
        ("no row", Array2::zeros((0, 2))),
        ("another width", array![[1.0], [2.0]]),
        ("NaN", array![[0.0, f64::NAN], [1.0, 1.0]]),
        ("infinity", array![[0.0, f64::INFINITY], [1.0, 1.0]]),
    ] {
        assert!(compare(&x, &good, &Kernel::Energy).is_err(), "{what}");
        assert!(compare(&good, &x, &Kernel::Energy).is_err(), "{what}");
    }
    let none = Array2::zeros((3, 0));
    assert!(compare(&none, &none, &Kernel::Energy).is_err());
    for kernel in [
        Kernel::poly(0, 2),
        Kernel::Poly { degree: 2, gamma: 0.0, offset: 1.0 },
        Kernel::Poly { degree: 2, gamma: 1.0, offset: f64::NAN },
        Kernel::Rbf { widths: vec![] },
        Kernel::Rbf { widths: vec![1.0, 0.0] },
        Kernel::Rbf { widths: vec![f64::INFINITY] },
    ] {
        assert!(compare(&good, &good, &kernel).is_err(), "{kernel:?}");
    }
    for rows in [Array2::zeros((0, 2)), array![[1.0]], array![[1.0], [1.0], [1.0]], array![[1.0], [f64::NAN]]] {
        assert!(Kernel::rbf(rows.view()).is_err());
    }
}

/// Random Fourier features: inner products come near the normal kernel (4,096 frequencies: six deviations of 1/√4096 are 0.1), gradients
/// are differences, and closures are asked.
#[test]
fn features_are_differentiated() {
    let mut rng = Seed(8).rng(0);
    let (x, u) = (normals(4, 3, &mut rng), normals(4, 10, &mut rng));
    let many = Fourier::new(3, 4096, 1.5, Seed(9)).unwrap().of(x.view()).unwrap();
    for (i, j) in [(0, 1), (2, 3), (1, 1)] {
        let wanted = plain(&Kernel::Rbf { widths: vec![1.5] }, x.row(i), x.row(j));
        assert!((many.row(i).dot(&many.row(j)) - wanted).abs() < 0.1);
    }
    let few = Fourier::new(3, 5, 1.5, Seed(9)).unwrap();
    let squares = features_fn(|x| Ok(x.mapv(|v| v * v)), |x, u| Ok(2.0 * &x * u));
    let three = u.slice(s![.., ..3]).to_owned();
    let cases: [(&dyn Features, &Array2<f64>); 3] = [(&few, &u), (&squares, &three), (&Identity, &three)];
    for (features, u) in cases {
        let gradient = features.pull_back(x.view(), u.view()).unwrap();
        for (at, found) in gradient.indexed_iter() {
            let moved = |by: f64| {
                let mut x = x.clone();
                x[at] += by;
                (features.of(x.view()).unwrap() * u).sum()
            };
            assert!((found - (moved(1e-5) - moved(-1e-5)) / 2e-5).abs() < 1e-7);
        }
    }
    assert!(few.of(u.view()).is_err() && few.pull_back(x.view(), x.view()).is_err());
    for (columns, frequencies, width) in [(0, 1, 1.0), (1, 0, 1.0), (1, 1, 0.0), (1, 1, f64::NAN)] {
        assert!(Fourier::new(columns, frequencies, width, Seed(1)).is_err());
    }
}
