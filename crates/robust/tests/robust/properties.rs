//! What must be true of any table, and of the distributions that are drawn from.

use ndarray::{Array2, ArrayView1, array};
use proptest::prelude::*;
use proptest::strategy::Strategy as _;
use quadrat_core::{Seed, Silent, stats};
use quadrat_robust::{
    Adasyn, Agree, BorderlineSmote, Chain, EditedNearestNeighbours, Gap, Generator, Kind, Labelled, Origin,
    RandomOverSampling, RandomUnderSampling, Resampled, Resampler, Smote, SmoteNc, Strategy, TomekLinks,
};
use std::collections::BTreeMap;

/// Up to three classes, the last one the smallest with at least 6 rows, columns of very different sizes; values on a
/// coarse grid where `coarse`, so that equal distances and duplicates abound.
fn any_table() -> impl proptest::strategy::Strategy<Value = Labelled> {
    (1_usize..20, 6_usize..40, 2_u32..4, any::<bool>(), any::<u64>()).prop_map(|(d, n, classes, coarse, seed)| {
        let y: Vec<u32> = (0..classes).flat_map(|c| std::iter::repeat_n(c, n / (c as usize + 1) + 6)).collect();
        let mut rng = Seed(seed).rng(0);
        let x = Array2::from_shape_fn((y.len(), d), |(row, column)| {
            let value = rng.normal() + f64::from(y[row]);
            let value = if coarse { value.round() } else { value };
            value * 10.0_f64.powi(column as i32 % 5 - 2) + 100.0 * (column % 2) as f64
        });
        Labelled::new(x, y)
    })
}

fn squared(a: ArrayView1<f64>, b: ArrayView1<f64>) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum()
}

/// The synthetic rows with their origins.
fn made(got: &Resampled) -> Vec<(usize, usize, f64, ArrayView1<'_, f64>)> {
    let synthetic = got.origin.iter().filter_map(|o| match *o {
        Origin::Synthetic { base, neighbour, gap } => Some((base, neighbour, gap)),
        _ => None,
    });
    synthetic.zip(got.synthetic.rows()).map(|((b, n, gap), row)| (b, n, gap, row)).collect()
}

fn assert_on_segments(data: &Labelled, got: &Resampled) {
    for (base, neighbour, gap, row) in made(got) {
        assert!((0.0..1.0).contains(&gap) && base != neighbour);
        for ((b, n), value) in data.x.row(base).iter().zip(data.x.row(neighbour)).zip(row) {
            let residual = (value - (b + gap * (n - b))).abs();
            assert!(residual <= 4.0 * f64::EPSILON * b.abs().max(n.abs()), "{residual} at {b} {n} {gap}");
        }
    }
}

/// Whether fewer than `k` of `among` are nearer to `base` than `neighbour` is, up to rounding.
fn is_among_nearest(
    data: &Labelled,
    base: usize,
    neighbour: usize,
    k: usize,
    among: impl Iterator<Item = usize>,
) -> bool {
    let distance = squared(data.x.row(base), data.x.row(neighbour)) * (1.0 - 1e-12);
    among.filter(|&row| row != base && squared(data.x.row(base), data.x.row(row)) < distance).count() < k
}

proptest! {
    #[test]
    fn smote_stays_on_segments_between_near_rows_of_a_class(data in any_table(), seed: u64, k in 1_usize..6) {
        for strategy in [Strategy::Auto, Strategy::Percent(70), Strategy::Percent(200)] {
            let got = Smote { k, strategy, ..Smote::default() }.resample(&data, Seed(seed), &Silent).unwrap();
            assert_on_segments(&data, &got);
            for (base, neighbour, ..) in made(&got) {
                prop_assert_eq!(data.y[base], data.y[neighbour]);
                let class = data.rows_of(data.y[base]);
                prop_assert!(is_among_nearest(&data, base, neighbour, k, class.into_iter()));
            }
        }
    }

    #[test]
    fn the_percent_uses_every_row_equally_often(data in any_table(), seed: u64, hundreds in 1_u32..5, below in 1_u32..100) {
        let smallest = data.classes.len() as u32 - 1;
        let size = data.rows_of(smallest).len();
        let bases = |percent| {
            let method = Smote { strategy: Strategy::Percent(percent), k: 3, ..Smote::default() };
            let got = method.resample(&data, Seed(seed), &Silent).unwrap();
            let mut count = BTreeMap::new();
            made(&got).iter().for_each(|(base, ..)| *count.entry(*base).or_insert(0) += 1);
            count
        };
        let exact = bases(100 * hundreds);
        prop_assert_eq!(exact.keys().copied().collect::<Vec<_>>(), data.rows_of(smallest));
        prop_assert!(exact.values().all(|n| *n == hundreds));
        let some = bases(below);
        prop_assert_eq!(some.len(), size * below as usize / 100);
        prop_assert!(some.values().all(|n| *n == 1));
    }

    #[test]
    fn borderline_bases_are_in_danger(data in any_table(), seed: u64, m in 1_usize..8) {
        for kind in [Kind::One, Kind::Two] {
            let method = BorderlineSmote { k: 3, m, kind, ..BorderlineSmote::default() };
            let got = method.resample(&data, Seed(seed), &Silent).unwrap();
            assert_on_segments(&data, &got);
            for (base, neighbour, gap, _) in made(&got) {
                let class = data.y[base];
                let other = |row: &usize| data.y[*row] != class;
                // Rows of other classes among the m nearest, if all ties fell one way or the other.
                let near: Vec<usize> =
                    (0..data.y.len()).filter(|&r| r != base && is_among_nearest(&data, base, r, m, 0..data.y.len())).collect();
                let others = near.iter().filter(|r| other(r)).count();
                prop_assert!(2 * others >= m, "a safe row is a base");
                prop_assert!(near.len() > m || others < m, "noise is a base");
                match kind {
                    Kind::One => prop_assert!(!other(&neighbour)),
                    Kind::Two => {
                        prop_assert!(!other(&neighbour) || gap < 0.5);
                        prop_assert!(is_among_nearest(&data, base, neighbour, 3, 0..data.y.len()));
                    }
                }
            }
        }
    }

    #[test]
    fn adasyn_follows_the_share_of_other_classes(data in any_table(), seed: u64) {
        let method = Adasyn { k: 4, ..Adasyn::default() };
        // Where no row has a neighbour of another class there is nothing to test.
        if let Ok(got) = method.resample(&data, Seed(seed), &Silent) {
            assert_on_segments(&data, &got);
            for (base, neighbour, ..) in made(&got) {
                let class = data.y[base];
                prop_assert_eq!(class, data.y[neighbour]);
                let near = (0..data.y.len()).filter(|&r| r != base && is_among_nearest(&data, base, r, 4, 0..data.y.len()));
                prop_assert!(near.into_iter().any(|r| data.y[r] != class), "a row among its own is a base");
            }
        }
    }

    #[test]
    fn cleaning_follows_the_definitions(data in any_table(), k in 1_usize..5) {
        // Equal distances leave to the order of rows which neighbour counts: (distance, row) sorts them.
        let n = data.y.len();
        let order = |row: usize| {
            let mut others: Vec<usize> = (0..n).filter(|r| *r != row).collect();
            others.sort_by(|a, b| {
                let (a, b) = (*a, *b);
                direct(&data, row, a).total_cmp(&direct(&data, row, b)).then(a.cmp(&b))
            });
            others
        };
        let near: Vec<Vec<usize>> = (0..n).map(order).collect();
        let smallest = data.classes.len() as u32 - 1;
        let linked = |row: usize| near[near[row][0]][0] == row && data.y[near[row][0]] != data.y[row];
        let expected: Vec<Origin> =
            (0..n).filter(|&row| data.y[row] == smallest || !linked(row)).map(Origin::Kept).collect();
        prop_assert_eq!(TomekLinks::default().resample(&data, Seed(0), &Silent).unwrap().origin, expected);
        for agree in [Agree::All, Agree::Most] {
            let stays = |row: &usize| {
                let mut votes = vec![0; data.classes.len()];
                near[*row][..k].iter().for_each(|r| votes[data.y[*r] as usize] += 1);
                let own = votes[data.y[*row] as usize];
                match agree {
                    Agree::All => own == k,
                    Agree::Most => votes.iter().position(|v| v == votes.iter().max().unwrap()) == Some(data.y[*row] as usize),
                }
            };
            let expected: Vec<Origin> = (0..n).filter(stays).map(Origin::Kept).collect();
            let method = EditedNearestNeighbours { strategy: Strategy::All, k, agree };
            prop_assert_eq!(method.resample(&data, Seed(0), &Silent).unwrap().origin, expected);
        }
    }
}

/// The distance that decides between nearly equal rows must be the very one the search uses.
fn direct(data: &Labelled, a: usize, b: usize) -> f64 {
    quadrat_numeric::neighbours::squared_distance(&data.x.row(a).to_vec(), &data.x.row(b).to_vec())
}

fn fifteen() -> Labelled {
    let mut rng = Seed(9).rng(0);
    let x = Array2::from_shape_fn((45, 3), |_| rng.normal());
    Labelled::new(x, (0..45).map(|row| u32::from(row >= 30)).collect())
}

/// E[x] and E[x²] of the paper's algorithm, per column, by its own definition.
fn moments(data: &Labelled, k: usize) -> Vec<[f64; 2]> {
    let rows = data.rows_of(1);
    let mut sums = vec![[0.0; 2]; data.x.ncols()];
    for &base in &rows {
        let mut others: Vec<usize> = rows.iter().copied().filter(|r| *r != base).collect();
        others.sort_by(|a, b| direct(data, base, *a).total_cmp(&direct(data, base, *b)));
        for &neighbour in &others[..k] {
            for (column, sum) in sums.iter_mut().enumerate() {
                let (b, n) = (data.x[[base, column]], data.x[[neighbour, column]]);
                sum[0] += 0.5 * (b + n);
                // E[gap] = 1/2, E[gap²] = 1/3.
                sum[1] += b * b + b * (n - b) + (n - b).powi(2) / 3.0;
            }
        }
    }
    let pairs = (rows.len() * k) as f64;
    sums.into_iter().map(|[first, second]| [first / pairs, second / pairs]).collect()
}

/// Four standard errors each: one false alarm in about 16,000 per figure, and there are 24 of them.
#[test]
fn moments_are_those_of_the_paper() {
    let data = fifteen();
    let expected = moments(&data, 4);
    let balanced = Strategy::Percent(200_000);
    let uniform = Strategy::Counts([("1".to_owned(), 30_015)].into());
    for strategy in [balanced, uniform] {
        for gap in [Gap::Segment, Gap::PerAttribute] {
            let method = Smote { strategy: strategy.clone(), k: 4, gap, ..Smote::default() };
            let got = method.resample(&data, Seed(2), &Silent).unwrap().synthetic;
            assert_eq!(got.nrows(), 30_000);
            for (column, expected) in got.columns().into_iter().zip(&expected) {
                for (power, expected) in [1, 2].into_iter().zip(expected) {
                    let values: Vec<f64> = column.iter().map(|v| v.powi(power)).collect();
                    let error = stats::standard_deviation(&values) / (values.len() as f64).sqrt();
                    assert!(
                        (stats::mean(&values) - expected).abs() < 4.0 * error,
                        "moment {power}, {strategy:?}, {gap:?}"
                    );
                }
            }
        }
    }
}

/// Pearson's statistic against its 1 - 1e-6 quantile: errs once in a million seeds.
fn assert_uniform(counts: &[usize]) {
    let expected = counts.iter().sum::<usize>() as f64 / counts.len() as f64;
    let statistic: f64 = counts.iter().map(|c| (*c as f64 - expected).powi(2) / expected).sum();
    let p = stats::chi_square_tail(statistic, counts.len() as f64 - 1.0);
    assert!(p > 1e-6, "chi-square {statistic} on {} cells", counts.len());
}

#[test]
fn pairs_and_gaps_are_uniform_in_both_generators() {
    let data = fifteen();
    for generator in [Generator::Streams, Generator::NumpyLegacy] {
        let strategy = Strategy::Counts([("1".to_owned(), 30_015)].into());
        let got = Smote { strategy, k: 4, generator, ..Smote::default() }.resample(&data, Seed(6), &Silent).unwrap();
        let mut pairs = BTreeMap::new();
        let mut gaps = vec![0; 50];
        for (base, neighbour, gap, _) in made(&got) {
            *pairs.entry((base, neighbour)).or_insert(0) += 1;
            gaps[(gap * 50.0) as usize] += 1;
        }
        assert_eq!(pairs.len(), 60);
        assert_uniform(&pairs.into_values().collect::<Vec<_>>());
        assert_uniform(&gaps);
    }
}

#[test]
fn gaps_per_attribute_are_independent_and_shared_gaps_are_not() {
    let data = fifteen();
    for (gap, shared) in [(Gap::Segment, true), (Gap::PerAttribute, false)] {
        let method = Smote { strategy: Strategy::Percent(100_000), gap, ..Smote::default() };
        let got = method.resample(&data, Seed(8), &Silent).unwrap();
        let gaps: Vec<[f64; 3]> = made(&got)
            .iter()
            .map(|(base, neighbour, _, row)| {
                let (b, n) = (data.x.row(*base), data.x.row(*neighbour));
                [0, 1, 2].map(|c| (row[c] - b[c]) / (n[c] - b[c]))
            })
            .collect();
        for (a, b) in [(0, 1), (0, 2), (1, 2)] {
            let products: Vec<f64> = gaps.iter().map(|g| 12.0 * (g[a] - 0.5) * (g[b] - 0.5)).collect();
            // The correlation; under independence its standard error is 1 / sqrt(n). Four of them.
            let correlation = stats::mean(&products);
            let error = 1.0 / (products.len() as f64).sqrt();
            let expected = if shared { 1.0 } else { 0.0 };
            assert!((correlation - expected).abs() < 4.0 * error, "{correlation}");
        }
        let recorded: Vec<f64> = made(&got).iter().map(|(_, _, gap, _)| *gap).collect();
        let means = gaps.iter().map(|g| stats::mean(g));
        assert!(recorded.iter().zip(means).all(|(gap, mean)| (gap - mean).abs() < 1e-6));
    }
}

#[test]
fn classes_have_streams_of_their_own() {
    let data = Labelled::new(
        Array2::from_shape_fn((40, 1), |(i, _)| i as f64),
        [vec![0; 20], vec![1; 10], vec![2; 10]].concat(),
    );
    let got = Smote::default().resample(&data, Seed(0), &Silent).unwrap();
    let gaps: Vec<f64> = made(&got).iter().map(|(_, _, gap, _)| *gap).collect();
    assert!(gaps[..10].iter().all(|gap| !gaps[10..].contains(gap)));
}

#[test]
fn rows_are_kept_and_repeated_with_equal_chances() {
    let data = Labelled::new(Array2::zeros((16, 1)), [vec![0; 12], vec![1; 4]].concat());
    let (mut kept, mut repeated) = (vec![0; 12], vec![0; 4]);
    for seed in 0..3000 {
        for origin in RandomUnderSampling::default().resample(&data, Seed(seed), &Silent).unwrap().origin {
            match origin {
                Origin::Kept(row) if row < 12 => kept[row] += 1,
                _ => {}
            }
        }
        for origin in &RandomOverSampling::default().resample(&data, Seed(seed), &Silent).unwrap().origin[16..] {
            if let Origin::Kept(row) = origin {
                repeated[row - 12] += 1;
            }
        }
    }
    // Draws without replacement vary less than the statistic assumes, so the false-alarm rate is below 1e-6.
    assert_uniform(&kept);
    assert_uniform(&repeated);
    assert_eq!((kept.iter().sum::<usize>(), repeated.iter().sum::<usize>()), (12_000, 24_000));
}

#[test]
fn a_large_category_column_is_cheap() {
    // 2,000 rows with 1,500 categories: codes are compared, nothing is expanded.
    let mut rng = Seed(4).rng(0);
    let x =
        Array2::from_shape_fn((6000, 3), |(_, column)| if column == 2 { rng.below(1500) as f64 } else { rng.normal() });
    let data = Labelled::new(x, (0..6000).map(|row| u32::from(row < 2000)).collect()).with_categorical(vec![2]);
    let got = SmoteNc::default().resample(&data, Seed(0), &Silent).unwrap();
    assert_eq!(got.synthetic.nrows(), 2000);
    let known: Vec<f64> = data.rows_of(1).iter().map(|row| data.x[[*row, 2]]).collect();
    assert!(got.synthetic.column(2).iter().all(|v| known.contains(v)));
}

#[test]
fn chains_tell_origins_in_rows_of_the_first_table() {
    let data = fifteen();
    let repeat = RandomOverSampling { strategy: Strategy::Percent(100), ..Default::default() };
    let half = RandomUnderSampling { strategy: Strategy::All, ..Default::default() };
    let steps: Vec<Box<dyn Resampler>> = vec![
        Box::new(Smote { strategy: Strategy::Percent(200), ..Smote::default() }),
        Box::new(half),
        Box::new(repeat),
    ];
    let chain = Chain::new(steps);
    let got = chain.resample(&data, Seed(5), &Silent).unwrap();
    // 30 and 45 rows, then 30 and 30, then 60 of class 0 (the first of two equally small classes) and 30.
    assert_eq!(got.table(&data).counts(), [60, 30]);
    assert_on_segments(&data, &got);
    let whole = got.table(&data);
    for (origin, row) in got.origin.iter().zip(whole.x.rows()) {
        if let Origin::Kept(i) = origin {
            assert_eq!(row, data.x.row(*i));
        }
    }
    let nothing = Chain::new(vec![]).resample(&data, Seed(5), &Silent).unwrap();
    assert_eq!(nothing, Resampled::of_kept(&data, 0..45));
}

#[test]
fn a_class_without_rows_in_danger_stays() {
    let data = Labelled::new(array![[0.0], [1.0], [2.0], [3.0], [90.0], [91.0], [92.0]], vec![0, 0, 0, 0, 1, 1, 1]);
    let method = BorderlineSmote { k: 1, m: 2, ..BorderlineSmote::default() };
    let made = method.resample(&data, Seed(0), &Silent).unwrap();
    assert!(made.notes.len() == 1 && made.notes[0].contains("none is in danger"), "{:?}", made.notes);
    assert_eq!(Resampled { notes: Vec::new(), ..made }, Resampled::of_kept(&data, 0..7));
    let error = Adasyn { k: 1, ..Adasyn::default() }.resample(&data, Seed(0), &Silent).unwrap_err().to_string();
    assert!(error.ends_with("there is nothing to adapt to: use smote"), "{error}");
}
