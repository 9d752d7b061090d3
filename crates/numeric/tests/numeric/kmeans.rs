//! k-means against its definition, at its edges, and for any number of threads.

use ndarray::{Array2, ArrayView2, Axis, array};
use proptest::prelude::*;
use quadrat_core::{Progress, Seed, Silent, stats};
use quadrat_numeric::kmeans::{plus_plus, simplified_silhouette};
use quadrat_numeric::{Clustering, Init, KMeans, Metric};

fn mixture(n: usize, d: usize, centres: usize, spread: f64, seed: u64) -> Array2<f32> {
    let mut rng = Seed(seed).rng(0);
    let centre = Array2::from_shape_fn((centres, d), |_| rng.normal());
    Array2::from_shape_fn((n, d), |(i, j)| (centre[[i % centres, j]] + spread * rng.normal()) as f32)
}

fn squared(a: ndarray::ArrayView1<f32>, b: ndarray::ArrayView1<f32>) -> f64 {
    a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum()
}

/// What must hold of every result: nearest centroids, centroids at means (where it converged), the sums.
fn check(x: ArrayView2<f32>, found: &Clustering, converged_to_means: bool) {
    let size = x.iter().fold(0.0, |m: f64, v| m.max(f64::from(*v).abs()));
    // Distances are computed before the centroids are rounded to their place: each coordinate by at most `ulp`.
    let ulp = size * f64::from(f32::EPSILON);
    let rounding = (x.ncols() as f64).sqrt() * ulp;
    let slack = |s: f64| 1e-5 * s + 2.0 * s.sqrt() * rounding + rounding * rounding;
    let mut inertia = 0.0;
    for (i, row) in x.outer_iter().enumerate() {
        let all: Vec<f64> = found.centroids.outer_iter().map(|c| squared(row, c)).collect();
        let own = all[found.assignment[i] as usize];
        let least = all.iter().copied().fold(f64::INFINITY, f64::min);
        assert!(own <= least + slack(least), "row {i}: {own} against {least}");
        assert!((f64::from(found.squared[i]) - own).abs() <= slack(own), "row {i}: {} {own}", found.squared[i]);
        inertia += f64::from(found.squared[i]);
    }
    assert!((inertia - found.inertia).abs() <= 1e-5 * inertia);
    let sizes = found.sizes();
    assert_eq!(sizes.iter().sum::<usize>(), x.nrows());
    for (c, members) in found.members().iter().enumerate() {
        assert_eq!(members.len(), sizes[c]);
        if converged_to_means && !members.is_empty() {
            let mean = x.select(Axis(0), members).mapv(f64::from).mean_axis(Axis(0)).unwrap();
            for (m, got) in mean.iter().zip(found.centroids.row(c)) {
                assert!((m - f64::from(*got)).abs() <= 2.0 * ulp, "{m} {got}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// A fixed point of Lloyd's iteration, from every start, for few and many groups of centroids.
    #[test]
    fn a_converged_result_is_a_fixed_point(
        n in 1_usize..1500,
        k in 1_usize..90,
        d in prop::sample::select(vec![1_usize, 2, 5, 16, 33, 70]),
        init in prop::sample::select(vec![Init::Greedy, Init::PlusPlus, Init::Parallel, Init::Random]),
        spread in prop::sample::select(vec![0.0, 0.05, 0.4, 2.0]),
        offset in prop::sample::select(vec![0.0_f32, 1000.0]),
        seed: u64,
    ) {
        let x = mixture(n, d, 30, spread, seed) + offset;
        let means = KMeans { init, tol: 0.0, max_iter: 1000, ..KMeans::new(k.min(n)) };
        let found = means.fit(x.view(), Seed(seed), &Silent).unwrap();
        prop_assert!(found.converged);
        check(x.view(), &found, true);
    }
}

/// Lloyd's iteration without any bound or product, from the same start.
fn by_double_loop(x: ArrayView2<f32>, start: &[usize], iterations: usize) -> Vec<u32> {
    let mut centroids = x.select(Axis(0), start).mapv(f64::from);
    let mut assignment = vec![0; x.nrows()];
    for round in 0..=iterations {
        for (i, row) in x.outer_iter().enumerate() {
            let distance =
                |c: usize| -> f64 { row.iter().zip(centroids.row(c)).map(|(a, b)| (f64::from(*a) - b).powi(2)).sum() };
            assignment[i] = (0..start.len()).min_by(|a, b| distance(*a).total_cmp(&distance(*b))).unwrap() as u32;
        }
        if round < iterations {
            for c in 0..start.len() {
                let members: Vec<usize> = (0..x.nrows()).filter(|i| assignment[*i] == c as u32).collect();
                if !members.is_empty() {
                    let mean = x.select(Axis(0), &members).mapv(f64::from).mean_axis(Axis(0)).unwrap();
                    centroids.row_mut(c).assign(&mean);
                }
            }
        }
    }
    assignment
}

#[test]
fn the_bounds_change_nothing() {
    // The start is known: k-means++ on the same seed. Five iterations from it, with and without bounds.
    for (n, d, k, spread) in [(1500, 24, 100, 0.3), (1500, 3, 40, 0.5), (1200, 50, 17, 1.0)] {
        let x = mixture(n, d, 60, spread, 3);
        let means = KMeans { init: Init::PlusPlus, tol: 0.0, ..KMeans::new(k) };
        let run = |max_iter| KMeans { max_iter, ..means.clone() }.fit(x.view(), Seed(5), &Silent).unwrap();
        let start = Seed(Seed(5).stream("k-means").rng(0).next_u64());
        let start = plus_plus(x.view(), k, start, &Silent).unwrap();
        let found = run(5);
        assert!(found.converged || found.iterations == 5);
        let want = by_double_loop(x.view(), &start, 5);
        let different = want.iter().zip(&found.assignment).filter(|(a, b)| a != b).count();
        assert_eq!(different, 0, "{n} x {d}, k {k}");
    }
}

#[test]
fn better_starts_and_restarts_lower_the_inertia() {
    let x = mixture(2000, 8, 40, 0.05, 1);
    let mean = |means: KMeans| {
        let runs: Vec<f64> = (0..10).map(|s| means.fit(x.view(), Seed(s), &Silent).unwrap().inertia).collect();
        stats::mean(&runs)
    };
    let random = mean(KMeans { init: Init::Random, ..KMeans::new(40) });
    let plus = mean(KMeans { init: Init::PlusPlus, ..KMeans::new(40) });
    let greedy = mean(KMeans::new(40));
    let parallel = mean(KMeans { init: Init::Parallel, ..KMeans::new(40) });
    let best_of_five = mean(KMeans { restarts: 5, ..KMeans::new(40) });
    assert!(
        plus < 0.7 * random && parallel < 0.7 * random && greedy < 0.9 * plus && best_of_five <= greedy,
        "{random} {plus} {parallel} {greedy} {best_of_five}"
    );
}

#[test]
fn mini_batches_come_near() {
    let x = mixture(5000, 10, 10, 0.1, 2);
    let full = KMeans::new(10).fit(x.view(), Seed(1), &Silent).unwrap();
    let mini = KMeans { batch: Some(500), ..KMeans::new(10) }.fit(x.view(), Seed(1), &Silent).unwrap();
    check(x.view(), &mini, false);
    assert!(mini.inertia < 1.1 * full.inertia, "{} {}", mini.inertia, full.inertia);
    assert!(mini.converged && mini.iterations < 300);
}

#[test]
fn degenerate_tables() {
    let one = array![[3.0_f32, 4.0]];
    let found = KMeans::new(1).fit(one.view(), Seed(0), &Silent).unwrap();
    assert_eq!((found.centroids, found.inertia), (one, 0.0));

    // Fewer distinct rows than clusters: no row is far from its centroid, and every centroid is a number.
    let same = Array2::from_elem((9, 3), 2.5_f32);
    for init in [Init::Greedy, Init::PlusPlus, Init::Parallel, Init::Random] {
        let found = KMeans { init, ..KMeans::new(9) }.fit(same.view(), Seed(0), &Silent).unwrap();
        assert_eq!(found.inertia, 0.0);
        assert!(found.converged && found.assignment.iter().all(|c| *c == 0));
        assert!(found.centroids.iter().all(|v| *v == 2.5));
    }
    // As many clusters as distinct rows: inertia 0, whatever the start.
    let x = Array2::from_shape_fn((60, 2), |(i, j)| ((i % 20) * (j + 1)) as f32);
    for seed in 0..5 {
        for init in [Init::Greedy, Init::PlusPlus, Init::Parallel, Init::Random] {
            let found = KMeans { init, tol: 0.0, ..KMeans::new(20) }.fit(x.view(), Seed(seed), &Silent).unwrap();
            let filled = found.sizes().iter().filter(|s| **s > 0).count();
            assert!(filled == 20, "{init:?} {seed}: {filled}");
            assert!(found.inertia < 1e-6, "{init:?} {seed}: {}", found.inertia);
        }
    }
    for scale in [1e-38_f32, 1e-30, 1e30, 3e37] {
        let x = mixture(200, 6, 4, 0.01, 8) * scale;
        let found = KMeans::new(4).fit(x.view(), Seed(1), &Silent).unwrap();
        let want = KMeans::new(4).fit(mixture(200, 6, 4, 0.01, 8).view(), Seed(1), &Silent).unwrap();
        assert_eq!(found.sizes(), want.sizes(), "{scale}");
        assert!(found.squared.iter().all(|s| s.is_finite()));
    }
}

#[test]
fn cosine_ignores_lengths() {
    let mut x = mixture(600, 20, 6, 0.2, 4);
    let cosine = KMeans { metric: Metric::Cosine, tol: 0.0, ..KMeans::new(6) };
    let plain = cosine.fit(x.view(), Seed(2), &Silent).unwrap();
    for (i, mut row) in x.outer_iter_mut().enumerate() {
        row *= [1.0_f32, 1024.0, 0.125][i % 3];
    }
    let scaled = cosine.fit(x.view(), Seed(2), &Silent).unwrap();
    assert_eq!(plain.assignment, scaled.assignment);
    for c in scaled.centroids.outer_iter() {
        assert!((c.dot(&c) - 1.0).abs() < 1e-5);
    }
    let (row, centroid) = (x.row(17), scaled.centroids.row(scaled.assignment[17] as usize));
    let cos = row.dot(&centroid) / row.dot(&row).sqrt();
    assert!((1.0 - cos - scaled.squared[17]).abs() < 1e-5);
    x.row_mut(17).fill(0.0);
    let zero = cosine.fit(x.view(), Seed(2), &Silent).unwrap();
    assert_eq!(zero.squared[17], 1.0);
}

#[test]
fn seeds_are_drawn_by_squared_distance() {
    // From row 0 (drawn first in a third of the runs) the others are at squared distances 1 and 9.
    let x = array![[0.0_f32], [1.0], [3.0]];
    let mut counts = [0; 2];
    for s in 0..30_000 {
        let seeds = plus_plus(x.view(), 2, Seed(s), &Silent).unwrap();
        if seeds[0] == 0 {
            counts[seeds[1] - 1] += 1;
        }
    }
    // Pearson's test of 1 : 9, one false alarm in a million.
    let n = (counts[0] + counts[1]) as f64;
    let statistic: f64 = counts.iter().zip([0.1, 0.9]).map(|(c, p)| (f64::from(*c) - n * p).powi(2) / (n * p)).sum();
    assert!(stats::chi_square_tail(statistic, 1.0) > 1e-6, "{counts:?}");
    assert!(n > 9000.0);

    let x = Array2::from_shape_fn((12, 2), |(i, _)| (i / 6) as f32);
    let mut seeds = plus_plus(x.view(), 12, Seed(1), &Silent).unwrap();
    seeds.sort_unstable();
    assert_eq!(seeds, (0..12).collect::<Vec<_>>());
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let x = mixture(4000, 24, 50, 0.4, 6);
    for means in [
        KMeans::new(70),
        KMeans { init: Init::Parallel, metric: Metric::Cosine, ..KMeans::new(70) },
        KMeans { init: Init::Random, batch: Some(256), max_iter: 20, ..KMeans::new(70) },
    ] {
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| means.fit(x.view(), Seed(3), &Silent).unwrap())
        };
        assert!(run(1) == run(2));
    }
}

#[test]
fn the_silhouette_peaks_at_the_true_number() {
    let x = mixture(900, 6, 9, 0.02, 11);
    let score = |k| {
        let found = KMeans { restarts: 5, ..KMeans::new(k) }.fit(x.view(), Seed(1), &Silent).unwrap();
        simplified_silhouette(x.view(), found.centroids.view(), Metric::Euclidean, &Silent).unwrap()
    };
    let (few, right, many) = (score(4), score(9), score(18));
    assert!(right > few && right > many && right > 0.9, "{few} {right} {many}");
    assert_eq!(score(1), 0.0);
    // One row half-way, one on its centroid.
    let (x, c) = (array![[1.0_f32], [0.0]], array![[0.0_f32], [2.0]]);
    assert_eq!(simplified_silhouette(x.view(), c.view(), Metric::Euclidean, &Silent).unwrap(), 0.5);
}

struct Stopped;
impl Progress for Stopped {
    fn cancelled(&self) -> bool {
        true
    }
}

#[test]
fn bad_inputs_are_named() {
    let x = mixture(5, 2, 2, 1.0, 1);
    let mut nan = x.clone();
    nan[[3, 1]] = f32::NAN;
    let fit = |means: KMeans, x: &Array2<f32>| means.fit(x.view(), Seed(0), &Silent).unwrap_err().to_string();
    for (message, start) in [
        (fit(KMeans::new(0), &x), "number of clusters: got 0; use 1 to 5"),
        (fit(KMeans::new(6), &x), "number of clusters: got 6; use 1 to 5"),
        (fit(KMeans::new(2), &nan), "points, row 3, column 1: got NaN"),
        (fit(KMeans::new(1), &Array2::zeros((0, 2))), "points: got 0 rows"),
        (fit(KMeans::new(1), &Array2::zeros((2, 0))), "points: got 2 rows, 0 columns"),
        (fit(KMeans { restarts: 0, ..KMeans::new(2) }, &x), "restarts: got 0"),
        (fit(KMeans { max_iter: 0, ..KMeans::new(2) }, &x), "max_iter: got 0"),
        (fit(KMeans { batch: Some(0), ..KMeans::new(2) }, &x), "batch: got 0"),
        (fit(KMeans { tol: f64::NAN, ..KMeans::new(2) }, &x), "tol: got NaN"),
        (plus_plus(x.view(), 6, Seed(0), &Silent).unwrap_err().to_string(), "number of clusters: got 6"),
        (KMeans::new(2).fit(x.view(), Seed(0), &Stopped).unwrap_err().to_string(), "cancelled"),
    ] {
        assert!(message.starts_with(start), "{message}");
    }
}
