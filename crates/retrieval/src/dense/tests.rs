use super::*;
use ndarray::{Array2, array};
use proptest::prelude::*;
use quadrat_core::{Lists, Seed, Silent};

/// The list as the definition has it: all scores, sorted.
fn brute(rows: ArrayView2<f32>, queries: ArrayView2<f32>, k: usize, allowed: Option<&[u64]>) -> Found {
    let eligible: Vec<usize> = (0..rows.nrows()).filter(|row| scan::is_allowed(allowed, *row)).collect();
    let mut found = Found { k: k.min(eligible.len()), ..Found::default() };
    for query in queries.rows() {
        let score = |row: &usize| rows.row(*row).iter().zip(query).fold(0.0_f32, |sum, (a, b)| a.mul_add(*b, sum));
        let mut all: Vec<(f32, usize)> = eligible.iter().map(|row| (score(row), *row)).collect();
        all.sort_by(|a, b| b.0.partial_cmp(&a.0).unwrap().then(a.1.cmp(&b.1)));
        for (score, row) in all.into_iter().take(k) {
            found.rows.push(row as u32);
            found.scores.push(score);
        }
    }
    found
}

fn normal(n: usize, d: usize, seed: u64) -> Array2<f32> {
    let mut rng = Seed(seed).rng(0);
    Array2::from_shape_simple_fn((n, d), || rng.normal() as f32)
}

/// Few values, so that many scores are equal.
fn coarse(n: usize, d: usize, seed: u64) -> Array2<f32> {
    normal(n, d, seed).mapv(|v| v.round())
}

#[test]
fn long_lists_of_rows_are_searched_alike_in_parts_batches_and_threads() {
    let (rows, queries) = (coarse(9000, 7, 1), coarse(150, 7, 2));
    let expected = brute(rows.view(), queries.view(), 30, None);
    let coded = Int8::of(rows.view()).unwrap();
    for threads in [1, 2, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            assert!(search(rows.view(), queries.view(), 30, None, &Silent).unwrap() == expected);
            assert!(coded.search(rows.view(), queries.view(), 30, None, &Silent).unwrap() == expected);
        });
    }
    let alone = search(rows.view(), queries.slice(ndarray::s![140..141, ..]), 30, None, &Silent).unwrap();
    assert_eq!((&alone.rows[..], &alone.scores[..]), expected.of(140));
    // Columns first in memory.
    let turned = rows.t().as_standard_layout().into_owned();
    assert!(search(turned.t(), queries.view(), 30, None, &Silent).unwrap() == expected);
}

#[test]
fn halves_are_searched_as_the_rounded_rows() {
    let (rows, queries) = (normal(500, 33, 3), normal(20, 33, 4));
    let halves = Halves::of(rows.view()).unwrap();
    let rounded = halves.rows();
    assert!(rows.iter().zip(&rounded).all(|(a, b)| (a - b).abs() <= a.abs() / 2048.0));
    let found = halves.search(queries.view(), 9, None, &Silent).unwrap();
    assert_eq!(found, brute(rounded.view(), queries.view(), 9, None));
    assert!(Halves::of(array![[0.0, 1e5]].view()).unwrap_err().to_string().contains("row 0, column 1"));
}

/// What faiss's IndexFlatIP does there: of equal scores the higher number first for short lists, -1 and -3.4e38 in places beyond the
/// rows, -1 everywhere for a query with NaN, rows with NaN skipped.
#[test]
fn degenerate_searches_have_an_answer_or_an_error() {
    let rows = array![[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]];
    let query = array![[1.0, 0.5]];
    let find = |rows: &Array2<f32>, query: &Array2<f32>, k| search(rows.view(), query.view(), k, None, &Silent);
    let found = find(&rows, &query, 9).unwrap();
    assert_eq!((found.k, found.of(0)), (4, (&[0, 1, 2, 3][..], &[1.0, 1.0, 1.0, 0.5][..])));
    let none = find(&Array2::zeros((0, 2)), &query, 3).unwrap();
    assert_eq!((none.k, none.of(0)), (0, (&[][..], &[][..])));
    assert!(find(&rows, &Array2::zeros((0, 2)), 3).unwrap().rows.is_empty());
    let found = search(rows.view(), query.view(), 2, Some(&[0b1010]), &Silent).unwrap();
    assert_eq!(found.rows, [1, 3]);
    assert_eq!(search(rows.view(), query.view(), 2, Some(&[0]), &Silent).unwrap().k, 0);
    // Zeros of either sign are equal.
    assert_eq!(find(&array![[-0.0], [0.0], [-0.0]], &array![[1.0]], 3).unwrap().rows, [0, 1, 2]);
    let bad = |at: (usize, usize), value: f32| {
        let mut rows = rows.clone();
        rows[at] = value;
        rows
    };
    for (result, part) in [
        (find(&rows, &query, 0), "k: got 0"),
        (find(&rows, &array![[1.0]], 1), "columns of the queries: got 1; rows have 2 columns"),
        (find(&Array2::zeros((3, 0)), &Array2::zeros((1, 0)), 1), "at least 1"),
        (find(&rows, &array![[1.0, f32::NAN]], 1), "query 0, column 1 (from 0): got NaN"),
        (find(&bad((2, 1), f32::NAN), &query, 1), "row 2, column 1 (from 0): got NaN"),
        (find(&bad((3, 0), f32::NEG_INFINITY), &query, 1), "row 3, column 0 (from 0): got -inf"),
        (find(&bad((1, 1), f32::INFINITY), &array![[1.0, 0.0]], 1), "row 1, column 1 (from 0): got inf"),
        (find(&bad((1, 0), 3e38), &array![[2.0, 0.0]], 1), "score of query 0 and row 1: got an infinite one"),
        (search(rows.view(), query.view(), 1, Some(&[]), &Silent), "words of allowed rows: got 0; 1 words"),
        (Int8::of(rows.view()).unwrap().search(rows.t(), query.view(), 1, None, &Silent), "shape of the rows"),
        (Int8::of(bad((2, 1), f32::NAN).view()).map(|_| Found::default()), "row 2, column 1"),
    ] {
        let message = result.unwrap_err().to_string();
        assert!(message.contains(part), "{part}: {message}");
    }
}

#[test]
fn lengths_become_one_and_zeros_stay() {
    let mut rows = array![[3.0, 4.0], [0.0, 0.0], [-1e-30, 0.0]];
    normalise(rows.view_mut());
    assert_eq!(rows, array![[0.6, 0.8], [0.0, 0.0], [-1.0, 0.0]]);
}

#[test]
fn negatives_are_the_best_rows_that_are_not_relevant() {
    let (rows, queries) = (coarse(300, 5, 5), coarse(140, 5, 6));
    let mut rng = Seed(7).rng(0);
    let mut relevant = Lists::default();
    let all = brute(rows.view(), queries.view(), 300, None);
    for query in 0..140 {
        // Some from the top, some from anywhere, one of them twice.
        let top = all.of(query).0[rng.below(8)];
        relevant.push([top, rng.below(300) as u32, rng.below(300) as u32, top]);
    }
    let negatives = mine(rows.view(), queries.view(), &relevant, 12, 2, &Silent).unwrap();
    for query in 0..140 {
        let others = all.of(query).0.iter().filter(|row| !relevant[query].contains(row));
        assert!(negatives.row(query).iter().eq(others.skip(2).take(12)), "{query}");
    }
    let lists = |own: &[&[u32]]| {
        let mut lists = Lists::default();
        own.iter().for_each(|own| lists.push(own.iter().copied()));
        lists
    };
    let two = queries.slice(ndarray::s![..2, ..]);
    for (relevant, k, part) in [
        (lists(&[&[1]]), 5, "lists of relevant rows: got 1; one for each of 2"),
        (lists(&[&[1], &[]]), 5, "query 1: got no relevant row"),
        (lists(&[&[300], &[1]]), 5, "relevant row of query 0: got 300; rows are 0 to 299"),
        (lists(&[&[1], &[1, 2]]), 297, "for query 1 only 298 rows are not relevant, 2 of them to be skipped"),
    ] {
        let message = mine(rows.view(), two, &relevant, k, 2, &Silent).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }
}

proptest! {
    #[test]
    fn every_search_is_the_sorted_list_of_all_scores(
        n in 0..300_usize, d in 1..12_usize, m in 1..20_usize, k in 1..40_usize,
        ties in any::<bool>(), filtered in any::<bool>(), scale in -13..13_i32, seed in any::<u64>(),
    ) {
        let make = if ties { coarse } else { normal };
        let (rows, queries) = (make(n, d, seed) * 10f32.powi(scale), make(m, d, seed ^ 1));
        let mut rng = Seed(seed).rng(1);
        let words: Vec<u64> = (0..n.div_ceil(64)).map(|_| rng.next_u64()).collect();
        let allowed = filtered.then_some(&words[..]);
        let expected = brute(rows.view(), queries.view(), k, allowed);
        prop_assert_eq!(&search(rows.view(), queries.view(), k, allowed, &Silent).unwrap(), &expected);
        let coded = Int8::of(rows.view()).unwrap();
        prop_assert_eq!(&coded.search(rows.view(), queries.view(), k, allowed, &Silent).unwrap(), &expected);
    }

    /// Rows that differ in the last digits only, with a few large columns: codes cannot tell them apart.
    #[test]
    fn codes_lose_no_row_among_near_copies(n in 1..400_usize, d in 1..40_usize, k in 1..20_usize, seed in any::<u64>()) {
        let (base, noise) = (normal(1, d, seed), normal(n, d, seed ^ 1));
        let mut rows = &noise * 1e-6 + &base;
        rows.column_mut(0).mapv_inplace(|v| v * 100.0);
        let queries = normal(3, d, seed ^ 2);
        let expected = brute(rows.view(), queries.view(), k, None);
        let coded = Int8::of(rows.view()).unwrap();
        prop_assert_eq!(&coded.search(rows.view(), queries.view(), k, None, &Silent).unwrap(), &expected);
    }
}
