//! The splits' identities, their checklist of bad and odd inputs, and the promise about threads.

use ndarray::{Array2, ArrayView2, Axis, concatenate};
use proptest::prelude::*;
use quadrat_core::{Error, Progress, Result, Seed, Silent, stats};
use quadrat_numeric::{Metric, metrics};
use quadrat_select::{
    Buckets, Far, FoldScores, Qrel, ReSTTest, ReSTrain, Resampled, SimilarityKFold, Sizes, Split, nn_similarity,
    overlap_report, regime_contrast, regime_summary,
};
use std::collections::BTreeSet;

/// `rows` points around ten centres in `columns` dimensions.
fn clustered(rows: usize, columns: usize, seed: u64) -> Array2<f32> {
    let centres = |i: usize| Seed(77).stream("centre").rng(i as u64);
    let mut rng = Seed(seed).stream("clustered").rng(0);
    let mut x = Array2::zeros((rows, columns));
    for mut row in x.outer_iter_mut() {
        let mut centre = centres(rng.below(10));
        row.iter_mut().for_each(|v| *v = (2.0 * centre.normal() + 0.5 * rng.normal()) as f32);
    }
    x
}

fn buckets(k: usize, metric: Metric, balanced: bool) -> Buckets {
    Buckets { k, metric, balanced, restarts: 2 }
}

fn set(rows: &[usize]) -> BTreeSet<usize> {
    rows.iter().copied().collect()
}

fn ascending(split: &Split) -> bool {
    [&split.train, &split.interpolation, &split.extrapolation].iter().all(|rows| rows.is_sorted_by(|a, b| a < b))
}

/// The double loop: similarity of each row of `test` to each row of `train`.
fn cosines(train: ArrayView2<f32>, test: ArrayView2<f32>) -> Array2<f64> {
    let unit = |x: ArrayView2<f32>| {
        let mut x = x.mapv(f64::from);
        x.rows_mut().into_iter().for_each(|mut row| row /= row.dot(&row).sqrt());
        x
    };
    unit(test).dot(&unit(train).t())
}

/// The `n` training rows most similar to each test row, together.
fn union_of_top(similarity: &Array2<f64>, n: usize) -> BTreeSet<usize> {
    let mut union = BTreeSet::new();
    for row in similarity.outer_iter() {
        let mut order: Vec<usize> = (0..row.len()).collect();
        order.sort_by(|a, b| row[*b].total_cmp(&row[*a]).then(a.cmp(b)));
        union.extend(&order[..n]);
    }
    union
}

#[test]
fn folds_partition_the_test_rows_and_never_share_a_bucket() {
    let (train, test) = (clustered(600, 6, 1), clustered(200, 6, 2));
    for metric in [Metric::Cosine, Metric::Euclidean] {
        for balanced in [false, true] {
            let folds = ReSTTest { buckets: buckets(5, metric, balanced), purge: None };
            let splits = folds.split(train.view(), test.view(), Seed(3), &Silent).unwrap();
            assert_eq!(splits.iter().map(|s| s.fold).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
            let mut extrapolated: Vec<usize> = splits.iter().flat_map(|s| s.extrapolation.clone()).collect();
            extrapolated.sort_unstable();
            assert_eq!(extrapolated, (0..200).collect::<Vec<_>>(), "every test row is extrapolated to once");
            for split in &splits {
                assert!(ascending(split));
                assert_eq!(split.interpolation.len() + split.extrapolation.len(), 200);
                assert!(set(&split.interpolation).is_disjoint(&set(&split.extrapolation)));
            }
            // A training row is left out of exactly one fold: its bucket's.
            let left_out = |row| splits.iter().filter(|s| s.train.binary_search(&row).is_err()).count();
            if balanced {
                assert!(splits.iter().all(|s| s.train.len() == 480 && s.extrapolation.len() == 40), "600 - 120");
            } else {
                assert!((0..600).all(|row| left_out(row) == 1));
            }
        }
    }
}

#[test]
fn folds_of_one_set_partition_it_and_their_tests_are_equal() {
    let x = clustered(503, 6, 4);
    for balanced in [false, true] {
        let folds = SimilarityKFold { buckets: buckets(5, Metric::Euclidean, balanced), purge: None };
        let splits = folds.split(x.view(), Seed(5), &Silent).unwrap();
        let mut extrapolated = BTreeSet::new();
        for split in &splits {
            assert!(ascending(split) && split.interpolation.len() == split.extrapolation.len());
            let [train, near, far] = [&split.train, &split.interpolation, &split.extrapolation].map(|r| set(r));
            assert!(train.is_disjoint(&near) && train.is_disjoint(&far) && near.is_disjoint(&far));
            assert!(extrapolated.is_disjoint(&far));
            extrapolated.extend(far);
            if !balanced {
                assert_eq!(train.len() + 2 * near.len(), 503);
            }
        }
        if balanced {
            let sizes: BTreeSet<usize> = splits.iter().map(|s| s.train.len()).collect();
            assert_eq!(sizes.len(), 1, "{sizes:?}");
            assert!(splits.iter().all(|s| [100, 101].contains(&s.extrapolation.len())));
            assert_eq!(extrapolated.len(), 503);
        }
    }
}

/// A bucket of four in five rows cannot be matched by as many rows outside: both tests are half of what is outside.
#[test]
fn a_bucket_that_is_too_large_is_sampled() {
    let x = Array2::from_shape_fn((100, 1), |(i, _)| if i < 80 { i as f32 * 1e-3 } else { 100.0 + i as f32 });
    let folds = SimilarityKFold { buckets: buckets(2, Metric::Euclidean, false), purge: None };
    let splits = folds.split(x.view(), Seed(1), &Silent).unwrap();
    let mut sizes: Vec<_> =
        splits.iter().map(|s| (s.train.len(), s.interpolation.len(), s.extrapolation.len())).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [(10, 10, 10), (60, 20, 20)]);
}

/// Mann and Whitney's test of the similarities to the nearest training row. Its false-alarm rate here is 1e-6.
#[test]
fn extrapolation_tests_are_farther_from_the_training_rows() {
    let x = clustered(2000, 8, 6);
    let folds = SimilarityKFold::default();
    for split in folds.split(x.view(), Seed(7), &Silent).unwrap() {
        let rows = |rows: &[usize]| x.select(Axis(0), rows);
        let near = |test: &[usize]| {
            nn_similarity(rows(&split.train).view(), rows(test).view(), Metric::Cosine, &Silent).unwrap()
        };
        let (inside, outside) = (near(&split.extrapolation), near(&split.interpolation));
        let labels = [vec![false; inside.len()], vec![true; outside.len()]].concat();
        let auc = metrics::auc(&labels, &[inside.clone(), outside.clone()].concat()).unwrap();
        let (a, b) = (inside.len() as f64, outside.len() as f64);
        let z = (auc - 0.5) * (12.0 * a * b / (a + b + 1.0)).sqrt();
        assert!(z > 0.0 && stats::chi_square_tail(z * z, 1.0) < 1e-6, "{auc}");
    }
}

#[test]
fn training_sets_near_the_test_rows_are_unions_of_their_nearest() {
    let (train, test) = (clustered(700, 6, 8), clustered(20, 6, 9));
    let similarity = cosines(train.view(), test.view());
    let per_query = ReSTrain { sizes: Sizes::PerQuery(vec![1, 5, 9]), ..ReSTrain::default() };
    let made = per_query.split(train.view(), test.view(), Seed(1), &Silent).unwrap();
    assert_eq!(made.exclude, 9);
    for (sets, n) in made.sets.iter().zip([1, 5, 9]) {
        assert_eq!(set(&sets.interpolation), union_of_top(&similarity, n), "n = {n}");
        assert_eq!((sets.per_query, sets.extrapolation.len()), (n, sets.interpolation.len()));
        assert!(set(&sets.extrapolation).is_disjoint(&union_of_top(&similarity, 9)));
    }
    // By size: n is the smallest that suffices, and the last rank gives its most similar rows.
    let by_size = ReSTrain { sizes: Sizes::Rows(vec![60, 130]), ..ReSTrain::default() };
    let made = by_size.split(train.view(), test.view(), Seed(1), &Silent).unwrap();
    for (sets, size) in made.sets.iter().zip([60, 130]) {
        let (n, rows) = (sets.per_query, set(&sets.interpolation));
        assert_eq!((rows.len(), sets.extrapolation.len()), (size, size));
        let smaller = if n == 1 { BTreeSet::new() } else { union_of_top(&similarity, n - 1) };
        assert!(smaller.len() < size && smaller.is_subset(&rows) && rows.is_subset(&union_of_top(&similarity, n)));
    }
    let whole = ReSTrain { match_sizes: false, ..by_size }.split(train.view(), test.view(), Seed(1), &Silent).unwrap();
    for (sets, size) in whole.sets.iter().zip([60, 130]) {
        assert_eq!(set(&sets.interpolation), union_of_top(&similarity, sets.per_query));
        assert_eq!(sets.extrapolation.len(), size);
    }
    nested_and_disjoint(&made);
    nested_and_disjoint(&whole);
}

fn nested_and_disjoint(made: &Resampled) {
    for (at, sets) in made.sets.iter().enumerate() {
        assert!(set(&sets.interpolation).is_disjoint(&set(&sets.extrapolation)));
        for larger in &made.sets[at..] {
            assert!(set(&sets.interpolation).is_subset(&set(&larger.interpolation)));
            assert!(set(&sets.extrapolation).is_subset(&set(&larger.extrapolation)));
            assert!(set(&sets.interpolation).is_disjoint(&set(&larger.extrapolation)));
        }
    }
}

#[test]
fn the_farthest_rows_are_farthest() {
    let (train, test) = (clustered(300, 4, 10), clustered(12, 4, 11));
    let method = ReSTrain { sizes: Sizes::Rows(vec![40]), far: Far::Farthest, ..ReSTrain::default() };
    let made = method.split(train.view(), test.view(), Seed(1), &Silent).unwrap();
    let closest = nn_similarity(test.view(), train.view(), Metric::Cosine, &Silent).unwrap();
    let mut order: Vec<usize> = (0..300).collect();
    order.sort_by(|a, b| closest[*a].total_cmp(&closest[*b]));
    assert_eq!(set(&made.sets[0].extrapolation), set(&order[..40]));
}

#[test]
fn purging_removes_what_is_too_similar_and_nothing_else() {
    let (train, test) = (clustered(400, 3, 12), clustered(100, 3, 13));
    let plain = ReSTTest { buckets: buckets(4, Metric::Cosine, false), purge: None };
    let before = plain.split(train.view(), test.view(), Seed(1), &Silent).unwrap();
    let after = ReSTTest { purge: Some(0.9), ..plain }.split(train.view(), test.view(), Seed(1), &Silent).unwrap();
    let similarity = cosines(train.view(), test.view());
    let mut gone = 0;
    for (before, after) in before.iter().zip(&after) {
        assert_eq!((&before.interpolation, &before.extrapolation), (&after.interpolation, &after.extrapolation));
        let far = |row: &usize| before.extrapolation.iter().all(|test| similarity[[*test, *row]] < 0.9);
        let kept: Vec<usize> = before.train.iter().copied().filter(far).collect();
        assert_eq!(after.train, kept);
        gone += before.train.len() - kept.len();
    }
    assert!(gone > 0, "the boundary parts near-duplicates");
}

#[test]
fn the_order_of_the_rows_does_not_matter() {
    let (train, test) = (clustered(240, 5, 14), clustered(60, 5, 15));
    let order = |rows: usize, seed| Seed(seed).rng(0).sample(rows, rows);
    let (train_order, test_order) = (order(240, 1), order(60, 2));
    let (shuffled_train, shuffled_test) = (train.select(Axis(0), &train_order), test.select(Axis(0), &test_order));
    let back = |rows: &[usize], order: &[usize]| -> BTreeSet<usize> { rows.iter().map(|row| order[*row]).collect() };
    for balanced in [false, true] {
        let folds = ReSTTest { buckets: buckets(4, Metric::Cosine, balanced), purge: Some(0.99) };
        let a = folds.split(train.view(), test.view(), Seed(1), &Silent).unwrap();
        let b = folds.split(shuffled_train.view(), shuffled_test.view(), Seed(1), &Silent).unwrap();
        let one = SimilarityKFold { buckets: folds.buckets, purge: folds.purge };
        let c = one.split(train.view(), Seed(1), &Silent).unwrap();
        let d = one.split(shuffled_train.view(), Seed(1), &Silent).unwrap();
        for (plain, shuffled, tests) in a
            .iter()
            .zip(&b)
            .map(|(a, b)| (a, b, &test_order))
            .chain(c.iter().zip(&d).map(|(c, d)| (c, d, &train_order)))
        {
            assert_eq!(set(&plain.train), back(&shuffled.train, &train_order));
            assert_eq!(set(&plain.interpolation), back(&shuffled.interpolation, tests));
            assert_eq!(set(&plain.extrapolation), back(&shuffled.extrapolation, tests));
        }
    }
    let resample = ReSTrain { sizes: Sizes::Rows(vec![50]), ..ReSTrain::default() };
    let a = resample.split(train.view(), test.view(), Seed(1), &Silent).unwrap();
    let b = resample.split(shuffled_train.view(), shuffled_test.view(), Seed(1), &Silent).unwrap();
    assert_eq!(set(&a.sets[0].interpolation), back(&b.sets[0].interpolation, &train_order));
    assert_eq!(set(&a.sets[0].extrapolation), back(&b.sets[0].extrapolation, &train_order));
}

fn refused<T>(result: Result<T>, case: &str, part: &str) {
    match result {
        Ok(_) => panic!("accepted {case}"),
        Err(error @ Error::Input { .. }) => assert!(error.to_string().contains(part), "{case}: {error}"),
        Err(other) => panic!("{case}: {other}"),
    }
}

#[test]
fn bad_input_is_refused() {
    let (good, test) = (clustered(40, 3, 16), clustered(12, 3, 17));
    let spoilt = |value: f32| {
        let mut x = good.clone();
        x[[7, 2]] = value;
        x
    };
    let mut zeros = good.clone();
    zeros.row_mut(5).fill(0.0);
    let k = |k| buckets(k, Metric::Cosine, false);
    let folds = |x: &Array2<f32>, method: SimilarityKFold| method.split(x.view(), Seed(1), &Silent);
    let both = |x: &Array2<f32>, y: &Array2<f32>, b: Buckets| {
        ReSTTest { buckets: b, purge: None }.split(x.view(), y.view(), Seed(1), &Silent)
    };
    let near = |x: &Array2<f32>, y: &Array2<f32>, method: ReSTrain| method.split(x.view(), y.view(), Seed(1), &Silent);
    for (case, x, part) in [
        ("no rows", Array2::zeros((0, 3)), "0 rows"),
        ("no columns", Array2::zeros((9, 0)), "0 columns"),
        ("a NaN", spoilt(f32::NAN), "row 7, column 2"),
        ("an infinity", spoilt(f32::INFINITY), "row 7, column 2"),
        ("a row of zeros", zeros.clone(), "row 5: got zeros only"),
    ] {
        refused(folds(&x, SimilarityKFold::default()), case, part);
        refused(both(&x, &test, Buckets::default()), case, part);
        refused(near(&x, &test, ReSTrain::default()), case, part);
        refused(near(&test, &x, ReSTrain { sizes: Sizes::Rows(vec![1]), ..ReSTrain::default() }), case, part);
        refused(nn_similarity(x.view(), test.view(), Metric::Cosine, &Silent), case, part);
    }
    for bad in [0, 1, 41] {
        refused(folds(&good, SimilarityKFold { buckets: k(bad), purge: None }), "folds", "use 2 to 40");
    }
    refused(both(&good, &test, k(13)), "more folds than test rows", "use 2 to 12");
    refused(both(&good, &clustered(12, 4, 1), k(3)), "other columns", "4 columns");
    refused(folds(&clustered(1, 3, 1), SimilarityKFold::default()), "one row", "more rows");
    refused(folds(&clustered(2, 3, 1), SimilarityKFold { buckets: k(2), purge: None }), "two rows", "bucket");
    refused(
        folds(&good, SimilarityKFold { buckets: Buckets { restarts: 0, ..k(3) }, purge: None }),
        "restarts",
        "restarts",
    );
    for bad in [f64::NAN, 1.5, -2.0] {
        refused(folds(&good, SimilarityKFold { buckets: k(3), purge: Some(bad) }), "purge", "purge");
    }
    refused(folds(&good, SimilarityKFold { buckets: k(3), purge: Some(-1.0) }), "purging all", "training rows of fold");
    let equal = Array2::from_elem((30, 3), 1.5);
    refused(folds(&equal, SimilarityKFold { buckets: k(3), purge: None }), "equal rows", "1 different values");
    for (sizes, part) in [
        (Sizes::Rows(vec![]), "size: got none"),
        (Sizes::Rows(vec![5, 0]), "size: got 0; use 1 to 40"),
        (Sizes::Rows(vec![41]), "size: got 41"),
        (Sizes::PerQuery(vec![0]), "per-query: got 0"),
        (Sizes::Rows(vec![35]), "training rows are dissimilar enough"),
    ] {
        refused(near(&good, &test, ReSTrain { sizes, ..ReSTrain::default() }), "sizes", part);
    }
    let few = ReSTrain { sizes: Sizes::PerQuery(vec![2]), exclude: Some(1), ..ReSTrain::default() };
    refused(near(&good, &test, few.clone()), "a small exclusion", "exclude: got 1; use 2");
    refused(near(&good, &test, ReSTrain { exclude: Some(41), ..few.clone() }), "a large exclusion", "exclude: got 41");
    refused(near(&good, &test, ReSTrain { exclude: Some(40), ..few }), "nothing is far", "only 0 training rows");
}

#[test]
fn odd_input_has_a_defined_answer() {
    let good = clustered(60, 3, 18);
    let mut constant = good.clone();
    constant.column_mut(1).fill(7.0);
    let equal = Array2::from_elem((30, 3), 1.5);
    let twice = concatenate(Axis(0), &[good.view(), good.view()]).unwrap();
    for (case, x, balanced) in [
        ("a constant column", &constant, false),
        ("equal rows, balanced", &equal, true),
        ("every row twice", &twice, false),
        ("tiny values", &(&good * 1e-20), false),
        ("large values", &(&good * 1e15), false),
        ("as many folds as fit", &good, true),
    ] {
        for metric in [Metric::Cosine, Metric::Euclidean] {
            let folds = SimilarityKFold { buckets: buckets(4, metric, balanced), purge: None };
            let splits = folds.split(x.view(), Seed(1), &Silent).unwrap();
            assert!(splits.iter().all(|s| !s.train.is_empty() && !s.extrapolation.is_empty()), "{case}");
        }
    }
    // Equal rows are perfectly similar, and no cosine of single precision exceeds 1.
    for metric in [Metric::Cosine, Metric::Euclidean] {
        assert!(
            nn_similarity(good.view(), good.view(), metric, &Silent)
                .unwrap()
                .iter()
                .all(|s| *s <= 1.0 && *s > 1.0 - 1e-9)
        );
    }
    // A bucket without test rows: training rows in three places, test rows in two of them.
    let place = |i: usize, c: usize| if i % 3 == c { 1.0 } else { 0.001 * (i + c) as f32 };
    let train = Array2::from_shape_fn((60, 3), |(i, c)| place(i, c));
    let test = Array2::from_shape_fn((10, 3), |(i, c)| place(3 * i + i % 2, c));
    let folds = ReSTTest { buckets: buckets(3, Metric::Cosine, false), purge: Some(0.999) };
    let splits = folds.split(train.view(), test.view(), Seed(1), &Silent).unwrap();
    let mut sizes: Vec<usize> = splits.iter().map(|s| s.extrapolation.len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [0, 5, 5]);
    // One test row, one training row a side.
    let method = ReSTrain { sizes: Sizes::Rows(vec![1]), ..ReSTrain::default() };
    let made =
        method.split(good.slice(ndarray::s![..2, ..]), good.slice(ndarray::s![..1, ..]), Seed(1), &Silent).unwrap();
    assert_eq!((&made.sets[0].interpolation, &made.sets[0].extrapolation), (&vec![0], &vec![1]));
}

#[test]
fn same_seed_same_bits_at_one_and_two_threads() {
    let (train, test) = (clustered(3000, 10, 19), clustered(500, 10, 20));
    let threads = |n| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
    let run = || {
        let folds = ReSTTest { buckets: buckets(5, Metric::Cosine, true), purge: Some(0.95) };
        let one = SimilarityKFold { purge: Some(0.99), ..SimilarityKFold::default() };
        let resample = ReSTrain { sizes: Sizes::Rows(vec![300, 900]), ..ReSTrain::default() };
        let scores = FoldScores {
            interpolation: (0..100).map(|i| (i, (i % 7) as f64)).collect(),
            extrapolation: (100..190).map(|i| (i, (i % 5) as f64)).collect(),
        };
        (
            folds.split(train.view(), test.view(), Seed(5), &Silent).unwrap(),
            one.split(train.view(), Seed(5), &Silent).unwrap(),
            resample.split(train.view(), test.view(), Seed(5), &Silent).unwrap(),
            nn_similarity(train.view(), test.view(), Metric::Cosine, &Silent).unwrap(),
            regime_summary(&[scores], 500, Seed(5)).unwrap(),
        )
    };
    let (one, two) = (threads(1).install(run), threads(2).install(run));
    assert_eq!(one, two);
    let other = SimilarityKFold::default().split(train.view(), Seed(6), &Silent).unwrap();
    assert_ne!(one.1[0].interpolation, other[0].interpolation, "another seed, another split");
}

#[test]
fn the_user_can_stop() {
    struct Stop;
    impl Progress for Stop {
        fn cancelled(&self) -> bool {
            true
        }
    }
    let (train, test) = (clustered(300, 12, 21), clustered(50, 12, 22));
    let cancelled = |result: Result<()>| assert!(matches!(result, Err(Error::Cancelled)));
    cancelled(ReSTTest::default().split(train.view(), test.view(), Seed(1), &Stop).map(drop));
    cancelled(SimilarityKFold::default().split(train.view(), Seed(1), &Stop).map(drop));
    cancelled(ReSTrain::default().split(train.view(), test.view(), Seed(1), &Stop).map(drop));
    cancelled(nn_similarity(train.view(), test.view(), Metric::Cosine, &Stop).map(drop));
}

#[test]
fn overlap_counts_queries_with_shared_documents() {
    let judged = |query, document, relevance| Qrel { query, document, relevance };
    let train = [judged(0, 1, 1.0), judged(0, 2, 3.0), judged(1, 3, 0.0)];
    // Query 0 shares 1 and 2 (2 named twice), query 1 shares 2, query 2 only the irrelevant 3, query 3 is judged 0.
    let test = [
        judged(0, 1, 1.0),
        judged(0, 2, 2.0),
        judged(0, 2, 2.0),
        judged(1, 2, 1.0),
        judged(2, 3, 1.0),
        judged(3, 1, 0.0),
    ];
    for (threshold, least, queries, overlapping) in [(1.0, 1, 3, 2), (1.0, 2, 3, 1), (2.0, 1, 1, 1), (9.0, 1, 0, 0)] {
        let report = overlap_report(&train, &test, threshold, least).unwrap();
        assert_eq!((report.queries, report.overlapping), (queries, overlapping), "{threshold} {least}");
        let share = if queries == 0 { 0.0 } else { overlapping as f64 / queries as f64 };
        assert_eq!(report.share, share);
    }
    assert_eq!(overlap_report(&[], &[], 1.0, 1).unwrap().queries, 0);
    refused(overlap_report(&train, &test, 1.0, 0), "an overlap of 0", "min_overlap");
    refused(overlap_report(&train, &test, f64::NAN, 1), "a threshold of NaN", "NaN");
    refused(overlap_report(&[judged(0, 0, f64::NAN)], &test, 1.0, 1), "a grade of NaN", "NaN");
}

#[test]
fn summaries_average_both_ways() {
    let fold = |near: &[(usize, f64)], far: &[(usize, f64)]| FoldScores {
        interpolation: near.to_vec(),
        extrapolation: far.to_vec(),
    };
    let folds =
        [fold(&[(0, 1.0), (1, 0.0), (2, 0.5)], &[(3, 0.25)]), fold(&[(3, 1.0)], &[(0, 0.0), (1, 0.5), (2, 1.0)])];
    let summary = regime_summary(&folds, 2000, Seed(1)).unwrap();
    assert_eq!((summary.interpolation.by_fold, summary.interpolation.by_row), (0.75, 0.625));
    assert_eq!((summary.extrapolation.by_fold, summary.extrapolation.by_row), (0.375, 0.4375));
    assert_eq!((summary.gap.mean, summary.relative_drop), (0.375, 0.5));
    assert!(summary.gap.low <= 0.375 && summary.gap.high >= 0.375 && summary.gap.se > 0.0);
    assert_eq!(summary.gap_over_folds.mean, 0.375);
    // The interaction of a model with one that is better by 0.1 far away only.
    let better = folds.clone().map(|f| FoldScores {
        extrapolation: f.extrapolation.iter().map(|(row, score)| (*row, score + 0.1)).collect(),
        ..f
    });
    let contrast = regime_contrast(&folds, &better, 2000, Seed(1)).unwrap();
    assert!((contrast.gap.mean - 0.1).abs() < 1e-12 && contrast.gap.se < 1e-12, "{contrast:?}");
    assert!(contrast.relative_drop.is_nan(), "both are equal near");

    let one_sided = [fold(&[(0, 1.0)], &[])];
    refused(regime_summary(&one_sided, 100, Seed(1)), "one side only", "extrapolation");
    refused(regime_summary(&[], 100, Seed(1)), "no folds", "interpolation");
    refused(regime_summary(&folds, 1, Seed(1)), "one resample", "resamples");
    refused(regime_summary(&[fold(&[(4, f64::NAN)], &[(5, 1.0)])], 100, Seed(1)), "NaN", "score of row 4");
    refused(regime_contrast(&folds, &folds[..1], 100, Seed(1)), "fewer folds", "same rows");
    refused(regime_contrast(&one_sided, &[fold(&[(1, 1.0)], &[])], 100, Seed(1)), "other rows", "same rows");
}

/// 300 experiments of 80 rows with a true gap of 0.3: the 95% interval covers it in 0.95 of them, or a little less (a
/// percentile bootstrap of 40 values a side). Four standard errors around 0.945 leave 0.892..0.998.
#[test]
fn intervals_of_the_gap_cover_as_often_as_they_say() {
    let mut covered = 0;
    for trial in 0..300 {
        let mut rng = Seed(23).stream("coverage").rng(trial);
        let mut scores = |rows: std::ops::Range<usize>, mean: f64| -> Vec<(usize, f64)> {
            rows.map(|row| (row, mean + rng.normal())).collect()
        };
        let fold = FoldScores { interpolation: scores(0..40, 0.3), extrapolation: scores(40..80, 0.0) };
        let gap = regime_summary(&[fold], 400, Seed(trial)).unwrap().gap;
        covered += usize::from(gap.low <= 0.3 && 0.3 <= gap.high);
    }
    assert!((268..=299).contains(&covered), "{covered}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Any finite rows: proper splits or an error, never a panic.
    #[test]
    fn no_rows_make_a_split_panic(
        values in prop::collection::vec(prop_oneof![(-5_i8..5).prop_map(f32::from), -1e18_f32..1e18], 4..60),
        columns in 1_usize..4,
        k in 0_usize..7,
        size in 0_usize..12,
        balanced: bool,
        euclidean: bool,
        purge in prop::option::of(-1.0..1.0),
        seed: u64,
    ) {
        let rows = values.len() / columns;
        let x = Array2::from_shape_vec((rows, columns), values[..rows * columns].to_vec()).unwrap();
        let (train, test) = x.view().split_at(Axis(0), rows / 2);
        let metric = if euclidean { Metric::Euclidean } else { Metric::Cosine };
        let buckets = buckets(k, metric, balanced);
        if let Ok(splits) = (SimilarityKFold { buckets, purge }).split(x.view(), Seed(seed), &Silent) {
            for split in splits {
                let all = [&split.train[..], &split.interpolation, &split.extrapolation].concat();
                prop_assert!(set(&all).len() == all.len() && all.iter().all(|row| *row < rows));
                prop_assert_eq!(split.interpolation.len(), split.extrapolation.len());
            }
        }
        if let Ok(splits) = (ReSTTest { buckets, purge }).split(train, test, Seed(seed), &Silent) {
            let tested: usize = splits.iter().map(|split| split.extrapolation.len()).sum();
            prop_assert_eq!(tested, test.nrows());
        }
        let resample = ReSTrain { sizes: Sizes::Rows(vec![size / 2 + 1, size + 1]), metric, ..ReSTrain::default() };
        if let Ok(made) = resample.split(train, test, Seed(seed), &Silent) {
            nested_and_disjoint(&made);
        }
    }
}
