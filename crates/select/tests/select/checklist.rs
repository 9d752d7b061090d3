//! One checklist for every selector: the same bad inputs, the same odd inputs, the same promise about threads.

use ndarray::Array2;
use proptest::prelude::*;
use quadrat_core::{Error, Params, Progress, Seed, Silent};
use quadrat_numeric::Points;
use quadrat_select::{Pool, Selection, Selector, build, selectors};
use std::collections::HashSet;

/// Every selector with its default parameters.
fn every_selector() -> Vec<Box<dyn Selector>> {
    selectors().iter().map(|card| build(card.slug, &Params::none()).unwrap()).collect()
}

/// A pool of which everything is known: points on a coarse grid (so that ties and duplicates occur), scores, classes,
/// labels.
fn pool(rows: usize) -> Pool {
    let mut rng = Seed(9).stream("checklist").rng(0);
    let points = Array2::from_shape_simple_fn((rows, 4), || rng.below(7) as f64 - 2.5);
    Pool::of_points(Points::F64(points))
        .with_scores((0..rows).map(|_| rng.below(20) as f64 / 20.0).collect())
        .with_classes((0..rows).map(|_| rng.below(3) as u32).collect())
        .with_labels((0..rows).map(|_| (0..rng.below(4)).map(|_| rng.below(9) as u32).collect()).collect())
}

/// The same points, stored column by column.
fn column_major(points: &Points) -> Points {
    fn turned<T: Clone>(x: &Array2<T>) -> Array2<T> {
        x.t().as_standard_layout().into_owned().reversed_axes()
    }
    match points {
        Points::F32(x) => Points::F32(turned(x)),
        Points::F64(x) => Points::F64(turned(x)),
    }
}

/// What must hold of every selection. Methods that draw by probability leave out rows of probability 0: on degenerate
/// pools they may return fewer rows than the budget, never more.
fn check(name: &str, pool: &Pool, budget: usize, chosen: &Selection) {
    assert!(
        !chosen.indices.is_empty() && chosen.indices.len() <= budget,
        "{name}: {} of {budget}",
        chosen.indices.len()
    );
    assert!(chosen.indices.iter().all(|row| *row < pool.rows), "{name}");
    let distinct: HashSet<_> = chosen.indices.iter().collect();
    assert_eq!(distinct.len(), chosen.indices.len(), "{name}: rows are chosen at most once");
    for (what, values) in [("weights", &chosen.weights), ("scores", &chosen.scores)] {
        if let Some(values) = values {
            assert_eq!(values.len(), chosen.indices.len(), "{name}: {what}");
            assert!(values.iter().all(|v| !v.is_nan()), "{name}: {what} {values:?}");
        }
    }
    assert!(chosen.weights.iter().flatten().all(|w| w.is_finite() && *w > 0.0), "{name}: {:?}", chosen.weights);
}

fn message(result: quadrat_core::Result<Selection>, name: &str, case: &str) -> String {
    match result {
        Ok(_) => panic!("{name} accepted {case}"),
        Err(error @ Error::Input { .. }) => error.to_string(),
        Err(other) => panic!("{name} on {case}: {other}"),
    }
}

#[test]
fn bad_input_is_refused_by_all() {
    let good = pool(30);
    for selector in every_selector() {
        let name = selector.card().slug;
        let select = |pool: &Pool, budget| selector.select(pool, budget, Seed(1), &Silent);
        for (case, pool, budget, text) in [
            ("no rows", Pool::of_rows(0), 1, "pool: got 0 rows"),
            ("a budget of 0", good.clone(), 0, "budget: got 0"),
            ("a budget beyond the rows", good.clone(), 31, "budget: got 31; use 1 to 30"),
            ("too few scores", good.clone().with_scores(vec![1.0; 29]), 3, "scores: got 29 rows"),
            ("too many classes", good.clone().with_classes(vec![0; 31]), 3, "classes: got 31 rows"),
            ("too few labels", good.clone().with_labels(vec![vec![0]; 29]), 3, "labels: got 29 rows"),
            (
                "an infinite score",
                good.clone().with_scores([vec![1.0; 29], vec![f64::INFINITY]].concat()),
                3,
                "score of row 29",
            ),
            (
                "a missing score",
                good.clone().with_scores([vec![f64::NAN], vec![1.0; 29]].concat()),
                3,
                "score of row 0",
            ),
        ] {
            let error = message(select(&pool, budget), name, case);
            assert!(error.contains(text), "{name} on {case}: {error}");
        }
        let needs = selector.needs();
        for (needed, part) in
            [(needs.points, "points"), (needs.scores, "scores"), (needs.classes, "classes"), (needs.labels, "labels")]
        {
            if needed {
                let bare = Pool::of_rows(30);
                let without = match part {
                    "points" => Pool { points: None, ..good.clone() },
                    "scores" => Pool { scores: None, ..good.clone() },
                    "classes" => Pool { classes: None, ..good.clone() },
                    _ => Pool { labels: None, ..good.clone() },
                };
                assert!(message(select(&without, 3), name, "a missing part").contains(part), "{name} {part}");
                message(select(&bare, 3), name, "a bare pool");
            }
        }
        if needs.points {
            for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                let mut points = good.points.as_ref().unwrap().to_f64().into_owned();
                points[[17, 2]] = bad;
                let spoilt = Pool { points: Some(Points::F64(points)), ..good.clone() };
                let error = message(select(&spoilt, 3), name, "a value that is not finite");
                assert!(error.contains("row 17, column 2"), "{name}: {error}");
            }
            let empty = Pool { points: Some(Points::F64(Array2::zeros((30, 0)))), ..good.clone() };
            assert!(message(select(&empty, 3), name, "no columns").contains("columns"), "{name}");
        }
    }
}

#[test]
fn odd_input_has_a_defined_answer() {
    let plain = pool(30);
    let with_points = |points: Array2<f64>| Pool { points: Some(Points::F64(points)), ..plain.clone() };
    let grid = plain.points.as_ref().unwrap().to_f64().into_owned();
    let mut constant = grid.clone();
    constant.column_mut(1).fill(7.0);
    let cases = [
        ("all rows", plain.clone(), 30),
        ("one of many", plain.clone(), 1),
        ("a constant column", with_points(constant), 12),
        ("equal rows", with_points(Array2::from_elem((30, 4), 3.25)), 12),
        ("rows of zeros", with_points(Array2::zeros((30, 4))), 12),
        ("tiny values", with_points(&grid * 1e-30), 12),
        ("large values", with_points(&grid * 1e12), 12),
        ("one class", plain.clone().with_classes(vec![0; 30]), 12),
        ("equal scores", plain.clone().with_scores(vec![0.5; 30]), 12),
        ("scores of zero", plain.clone().with_scores(vec![0.0; 30]), 12),
        ("rows without labels", plain.clone().with_labels(vec![vec![]; 30]), 12),
        ("one row", pool(1), 1),
        ("two rows", pool(2), 2),
    ];
    for selector in every_selector() {
        let name = selector.card().slug;
        for (case, pool, budget) in &cases {
            let turned = Pool { points: pool.points.as_ref().map(column_major), ..pool.clone() };
            let (found, of_turned) =
                (selector.select(pool, *budget, Seed(1), &Silent), selector.select(&turned, *budget, Seed(1), &Silent));
            assert_eq!(found.as_ref().ok(), of_turned.ok().as_ref(), "{name} on {case}, column-major");
            match found {
                Ok(chosen) => check(&format!("{name} on {case}"), pool, *budget, &chosen),
                // A method may find that nothing can be done with such rows, if it says so.
                Err(Error::Numeric { why, .. }) => assert!(!why.is_empty(), "{name} on {case}"),
                Err(Error::Input { want, .. }) => assert!(!want.is_empty(), "{name} on {case}"),
                Err(other) => panic!("{name} on {case}: {other}"),
            }
        }
    }
}

#[test]
fn how_points_lie_in_memory_changes_nothing() {
    let pool = pool(300);
    let single = Points::F32(pool.points.as_ref().unwrap().to_f32().into_owned());
    for points in [pool.points.clone().unwrap(), single] {
        let by_rows = Pool { points: Some(points), ..pool.clone() };
        let by_columns = Pool { points: by_rows.points.as_ref().map(column_major), ..pool.clone() };
        let part: Vec<usize> = (0..250).collect();
        for selector in every_selector() {
            let select = |pool: &Pool| selector.select(pool, 20, Seed(3), &Silent).unwrap();
            assert_eq!(select(&by_rows), select(&by_columns), "{}", selector.card().slug);
            assert_eq!(select(&by_rows.take(&part)), select(&by_columns.take(&part)), "{}", selector.card().slug);
        }
    }
}

#[test]
fn same_seed_same_bits_at_one_and_two_threads() {
    let pool = pool(3000);
    let threads = |n| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
    for selector in every_selector() {
        let name = selector.card().slug;
        let run = || selector.select(&pool, 40, Seed(5), &Silent).unwrap();
        let (one, two) = (threads(1).install(run), threads(2).install(run));
        check(name, &pool, 40, &one);
        assert_eq!(one.weights.is_some(), selector.weighs(), "{name}");
        assert_eq!(one.indices.len(), 40, "{name}: an ordinary pool fills the budget");
        assert_eq!(one, two, "{name}");
        assert_eq!(one, run(), "{name}");
    }
}

#[test]
fn defaults_on_the_card_are_the_defaults_of_the_method() {
    let pool = pool(200);
    for card in selectors() {
        let typed: Params = card.params.iter().map(|param| (param.name, param.default)).collect();
        let select = |params| build(card.slug, &params).unwrap().select(&pool, 15, Seed(2), &Silent).unwrap();
        assert_eq!(select(typed), select(Params::none()), "{}", card.slug);
    }
}

#[test]
fn the_user_can_stop_long_methods() {
    struct Stop;
    impl Progress for Stop {
        fn cancelled(&self) -> bool {
            true
        }
    }
    let pool = pool(500);
    for selector in every_selector() {
        let name = selector.card().slug;
        // Methods whose work is a single pass over the rows have no place to stop at.
        if ["random", "top-score", "stratified"].contains(&name) {
            continue;
        }
        let result = selector.select(&pool, 50, Seed(1), &Stop);
        assert!(matches!(result, Err(Error::Cancelled)), "{name} went on");
    }
}

#[test]
fn costs_are_estimates_that_grow_with_the_work() {
    for selector in every_selector() {
        let name = selector.card().slug;
        // A table so small that no method has reason to change to a cheaper way on the large one and cost less there.
        let (small, large) = (selector.cost(100, 10, 10), selector.cost(100_000, 10, 10_000));
        for cost in [small, large, selector.cost(0, 0, 0), selector.cost(1, 1, 1)] {
            assert!(cost.operations.is_finite() && cost.operations >= 0.0, "{name}: {cost:?}");
            assert!(cost.bytes.is_finite() && cost.bytes >= 0.0, "{name}: {cost:?}");
        }
        assert!(large.operations > small.operations && large.bytes > small.bytes, "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Any finite pool and budget: a proper selection or an error, never a panic.
    #[test]
    fn no_pool_makes_a_selector_panic(
        values in prop::collection::vec(
            prop_oneof![(-9_i8..9).prop_map(f64::from), prop::num::f64::NORMAL, Just(0.0)], 3..36,
        ),
        cols in 1_usize..4,
        share in 0.0_f64..=1.0,
        by_columns: bool,
        seed: u64,
    ) {
        let rows = (values.len() / cols).max(1);
        let values: Vec<f64> = values.into_iter().cycle().take(rows * cols).collect();
        let scores = values.iter().take(rows).map(|v| v.abs().min(1e6)).collect();
        let points = Array2::from_shape_vec((rows, cols), values).unwrap();
        let points = Points::F64(points);
        let pool = Pool::of_points(if by_columns { column_major(&points) } else { points })
            .with_scores(scores)
            .with_classes((0..rows).map(|i| (i % 3) as u32).collect());
        let budget = 1 + (share * (rows - 1) as f64) as usize;
        for selector in every_selector() {
            if let Ok(chosen) = selector.select(&pool, budget, Seed(seed), &Silent) {
                check(selector.card().slug, &pool, budget, &chosen);
            }
        }
    }
}
