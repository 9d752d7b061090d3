//! Exact neighbours against the double loop over all pairs.

use ndarray::{Array2, ArrayView2, array};
use proptest::prelude::*;
use quadrat_core::{Error, Progress, Seed, Silent};
use quadrat_numeric::neighbours::{Metric, Neighbours, nearest, nearest_f32, nearest_plus, squared_distance};

/// All pairs, each row's distances sorted by distance, then number.
fn by_double_loop(
    base: ArrayView2<f64>,
    queries: ArrayView2<f64>,
    own: Option<&[usize]>,
    k: usize,
    distance: impl Fn(&[f64], &[f64]) -> f64,
) -> Neighbours {
    let (mut index, mut squared) = (Vec::new(), Vec::new());
    for (q, query) in queries.outer_iter().enumerate() {
        let mut all: Vec<(f64, u32)> = base
            .outer_iter()
            .enumerate()
            .filter(|(i, _)| own.is_none_or(|own| own[q] != *i))
            .map(|(i, row)| (distance(query.as_slice().unwrap(), row.as_slice().unwrap()), i as u32))
            .collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        index.extend(all[..k].iter().map(|(_, i)| *i));
        squared.extend(all[..k].iter().map(|(s, _)| *s));
    }
    Neighbours { k, index, squared }
}

/// Rows that are hard for a filter by matrix products.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Plain,
    /// A common offset so large that only the last digits differ.
    Offset,
    /// Tight clusters far apart: single precision cannot tell rows of a cluster apart.
    FarClusters,
    /// Whole numbers 0..3: many exact ties and duplicates.
    Grid,
    /// Every other column constant, one column a million times as wide as the others.
    Uneven,
    /// One row a billion times as far out as the others.
    Outlier,
}

fn rows(n: usize, d: usize, kind: Kind, seed: u64) -> Array2<f64> {
    let mut rng = Seed(seed).rng(0);
    Array2::from_shape_fn((n, d), |(i, j)| match kind {
        Kind::Plain => rng.normal(),
        Kind::Offset => 1e9 + rng.normal(),
        Kind::FarClusters => (i % 5) as f64 * 1e7 + rng.normal(),
        Kind::Grid => rng.below(3) as f64,
        Kind::Uneven if j % 2 == 0 => 7.25,
        Kind::Uneven => rng.normal() * if j == 1 { 1e6 } else { 1.0 },
        Kind::Outlier => rng.normal() * if i == 3 { 1e9 } else { 1.0 },
    })
}

const KINDS: [Kind; 6] = [Kind::Plain, Kind::Offset, Kind::FarClusters, Kind::Grid, Kind::Uneven, Kind::Outlier];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// The same rows, in the same order, at the same distances to the last bit: by the tree and by the filter.
    #[test]
    fn neighbours_are_those_of_the_double_loop(
        n in 2_usize..400,
        queries in 1_usize..40,
        d in prop::sample::select(vec![1_usize, 2, 3, 7, 8, 9, 16, 30, 67]),
        k in 1_usize..12,
        kind in prop::sample::select(KINDS.to_vec()),
        scale in prop::sample::select(vec![1.0, 1e-75, 1e80]),
        among_themselves: bool,
        seed: u64,
    ) {
        let base = rows(n, d, kind, seed) * scale;
        let own: Vec<usize> = (0..n).collect();
        let k = k.min(n - 1);
        let (queries, own) = match among_themselves {
            true => (base.clone(), Some(own.as_slice())),
            false => (rows(queries, d, kind, seed ^ 1) * scale, None),
        };
        let got = nearest(base.view(), queries.view(), own, k, &Silent).unwrap();
        prop_assert_eq!(got, by_double_loop(base.view(), queries.view(), own, k, squared_distance));
    }

    /// In single precision too, and by the angle.
    #[test]
    fn single_precision_rows(
        n in 2_usize..300,
        d in prop::sample::select(vec![2_usize, 8, 9, 40, 100]),
        k in 1_usize..6,
        kind in prop::sample::select(KINDS.to_vec()),
        seed: u64,
    ) {
        let base = rows(n, d, kind, seed).mapv(|v| v as f32);
        let wide = base.mapv(f64::from);
        let own: Vec<usize> = (0..n).collect();
        let k = k.min(n - 1);
        let got = nearest_f32(base.view(), base.view(), Some(&own), k, Metric::Euclidean, &Silent).unwrap();
        prop_assert_eq!(got, by_double_loop(wide.view(), wide.view(), Some(&own), k, squared_distance));

        let cosine = |a: &[f64], b: &[f64]| {
            let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            let lengths = product(a, a).sqrt() * product(b, b).sqrt();
            if lengths == 0.0 { 1.0 } else { 1.0 - product(a, b) / lengths }
        };
        let got = nearest_f32(base.view(), base.view(), Some(&own), k, Metric::Cosine, &Silent).unwrap();
        let want = by_double_loop(wide.view(), wide.view(), Some(&own), k, cosine);
        for (i, (got_squared, want_squared)) in got.squared.iter().zip(&want.squared).enumerate() {
            // The order of additions differs, so rows as near to each other as rounding may swap places.
            prop_assert!((got_squared - want_squared).abs() <= 1e-14 * d as f64, "{i}: {got_squared} {want_squared}");
            let (a, b) = (base.row(i / k), base.row(got.index[i] as usize));
            let actual = cosine(&a.mapv(f64::from).to_vec(), &b.mapv(f64::from).to_vec());
            prop_assert!((actual - got_squared).abs() <= 1e-14 * d as f64);
        }
    }
}

#[test]
fn sizes_beyond_one_block_and_one_product() {
    for (kind, d) in KINDS.into_iter().flat_map(|kind| [(kind, 5), (kind, 20)]) {
        let base = rows(2500, d, kind, 9);
        let queries = rows(600, d, kind, 10);
        let got = nearest(base.view(), queries.view(), None, 3, &Silent).unwrap();
        assert!(got == by_double_loop(base.view(), queries.view(), None, 3, squared_distance), "{kind:?} {d}");
    }
}

#[test]
fn tiny_and_huge_values_keep_their_order() {
    for d in [1, 20] {
        for (scale, reported) in [(1e-200, 0.0), (1e-310, 0.0), (1e150, 4e300), (1e300, f64::INFINITY)] {
            let mut base = Array2::zeros((4, d));
            base.column_mut(0).assign(&(array![0.0, 1.0, 3.0, -4.0] * scale));
            let near = nearest(base.view(), base.view(), Some(&[0, 1, 2, 3]), 1, &Silent).unwrap();
            assert_eq!(near.index, [1, 0, 1, 0], "{scale}");
            assert!((near.squared[2] - reported).abs() <= 1e-12 * reported || near.squared[2] == reported, "{scale}");
        }
    }
}

#[test]
fn a_tiny_column_beside_a_constant_one_has_an_answer() {
    // The squares of the tiny column vanish, so all rows coincide and go by number, as in the double loop.
    let base = Array2::from_shape_fn((100, 20), |(i, j)| if j == 0 { 1.0 } else { (100 - i) as f64 * 1e-200 });
    let own: Vec<usize> = (0..100).collect();
    let want = by_double_loop(base.view(), base.view(), Some(&own), 4, squared_distance);
    assert_eq!(nearest(base.view(), base.view(), Some(&own), 4, &Silent).unwrap(), want);
    assert_eq!(nearest_plus(base.view(), base.view(), Some(&own), 4, |_, _| 0.0, &Silent).unwrap(), want);
    let tiny = &base.slice(ndarray::s![.., 1..]) * 1e-100;
    assert_eq!(nearest_plus(tiny.view(), tiny.view(), Some(&own), 4, |_, _| 0.0, &Silent).unwrap(), want);
    let huge = &base * 1e200;
    assert!(nearest_plus(huge.view(), huge.view(), Some(&own), 4, |_, _| 0.0, &Silent).is_err());
}

#[test]
fn an_extra_distance_counts() {
    let base = rows(500, 15, Kind::Plain, 12);
    let extra = |query: usize, row: usize| ((query * 7 + row * 3) % 5) as f64;
    let near = nearest_plus(base.view(), base.view(), None, 6, extra, &Silent).unwrap();
    for query in 0..500 {
        let row = |i: usize| base.row(i).to_slice().unwrap();
        let mut all: Vec<(f64, u32)> =
            (0..500).map(|i| (squared_distance(row(query), row(i)) + extra(query, i), i as u32)).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        assert!(near.of(query).0.iter().eq(all[..6].iter().map(|(_, i)| i)));
    }
}

#[test]
fn equal_rows_go_by_number_and_a_query_is_left_out_once() {
    for d in [2, 20] {
        let base = Array2::from_elem((50, d), 1.0 / 3.0);
        let near = nearest(base.view(), base.view(), Some(&(0..50).collect::<Vec<_>>()), 3, &Silent).unwrap();
        assert_eq!(near.of(0).0, [1, 2, 3]);
        assert_eq!(near.of(2).0, [0, 1, 3]);
        assert_eq!(near.of(40), (&[0_u32, 1, 2][..], &[0.0; 3][..]));
        assert_eq!(near.len(), 50);
    }
}

#[test]
fn a_view_that_is_not_contiguous_gives_the_same() {
    let x = rows(300, 40, Kind::Plain, 4);
    let transposed = x.t().as_standard_layout().into_owned();
    let straight = nearest(x.view(), x.view(), None, 2, &Silent).unwrap();
    assert_eq!(straight, nearest(transposed.t(), transposed.t(), None, 2, &Silent).unwrap());
}

#[test]
fn zero_rows_are_at_cosine_distance_one() {
    let mut x = rows(30, 20, Kind::Plain, 5).mapv(|v| v as f32);
    x.row_mut(7).fill(0.0);
    let near = nearest_f32(x.view(), x.view(), None, 30, Metric::Cosine, &Silent).unwrap();
    assert_eq!(near.of(7).1, [1.0; 30]);
    assert_eq!(near.of(7).0, (0..30).collect::<Vec<u32>>());
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let x = rows(3000, 30, Kind::FarClusters, 6);
    let run = |threads| {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| {
            let flat = nearest(x.view(), x.view(), None, 4, &Silent).unwrap();
            let tree = nearest(x.slice(ndarray::s![.., ..3]), x.slice(ndarray::s![.., ..3]), None, 4, &Silent).unwrap();
            (flat, tree)
        })
    };
    assert!(run(1) == run(2));
}

struct Stopped;
impl Progress for Stopped {
    fn cancelled(&self) -> bool {
        true
    }
}

#[test]
fn bad_inputs_are_named() {
    for d in [3, 20] {
        let x = rows(10, d, Kind::Plain, 1);
        let mut nan = x.clone();
        nan[[4, 1]] = f64::NAN;
        let mut infinite = x.clone();
        infinite[[9, 2]] = f64::INFINITY;
        let (empty, narrow) = (Array2::zeros((0, d)), Array2::zeros((2, d - 1)));
        let own: Vec<usize> = (0..10).collect();
        let cases = [
            (nearest(x.view(), x.view(), None, 0, &Silent), "number of neighbours: got 0; use 1 to 10"),
            (nearest(x.view(), x.view(), Some(&own), 10, &Silent), "number of neighbours: got 10; use 1 to 9"),
            (nearest(empty.view(), x.view(), None, 1, &Silent), "base: got 0 rows"),
            (nearest(x.view(), narrow.view(), None, 1, &Silent), "queries: got"),
            (nearest(nan.view(), x.view(), None, 1, &Silent), "base, row 4, column 1: got NaN"),
            (nearest(x.view(), infinite.view(), None, 1, &Silent), "queries, row 9, column 2: got inf"),
            (nearest(x.view(), x.view(), Some(&own[1..]), 1, &Silent), "own rows: got 9"),
            (nearest(x.view(), x.view(), Some(&[10; 10]), 1, &Silent), "own row: got 10"),
        ];
        for (result, start) in cases {
            let message = result.unwrap_err().to_string();
            assert!(message.starts_with(start), "{message}");
        }
        assert!(nearest(x.view(), empty.view(), None, 1, &Silent).unwrap().is_empty());
        assert!(matches!(nearest(x.view(), x.view(), None, 1, &Stopped), Err(Error::Cancelled)));
    }
}
