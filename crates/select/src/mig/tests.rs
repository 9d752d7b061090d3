use super::*;
use crate::greedy::dense_greedy;
use ndarray::Array2;
use proptest::prelude::*;
use quadrat_core::Silent;
use quadrat_numeric::Points;

/// The sheet's example: six samples on four labels, of which 0-1 and 1-2 are close.
fn example() -> (Pool, LabelGraph) {
    let labels = vec![vec![0], vec![0, 1], vec![2], vec![3], vec![1, 2], vec![0, 3]];
    let pool = Pool::of_rows(6).with_labels(labels).with_scores(vec![1.0, 1.0, 2.0, 0.6, 0.8, 0.6]);
    (pool, LabelGraph::from_edges(4, &[(0, 1, 0.95), (1, 2, 0.9)]).unwrap())
}

fn random_pool(seed: u64) -> (Pool, LabelGraph) {
    let mut rng = Seed(seed).stream("mig test").rng(0);
    let (n, l) = (5 + rng.below(40), 2 + rng.below(8));
    // Few distinct scores and labels: ties abound, and some rows have no label at all.
    let labels = (0..n).map(|_| (0..rng.below(4)).map(|_| rng.below(l) as u32).collect()).collect();
    let scores = (0..n).map(|_| rng.below(4) as f64 * 0.37).collect();
    let edges: Vec<(u32, u32, f64)> = (0..l)
        .flat_map(|a| (0..a).map(move |b| (a as u32, b as u32)))
        .map(|(a, b)| (a, b, if rng.below(3) == 0 { 0.9 + 0.1 * rng.uniform() } else { 0.0 }))
        .collect();
    (Pool::of_rows(n).with_labels(labels).with_scores(scores), LabelGraph::from_edges(l, &edges).unwrap())
}

#[test]
fn golden_values_of_the_sheet() {
    let (pool, graph) = example();
    let pow = Phi::Pow { a: 1e-6, beta: 0.8 };
    for (phi, graph, picks, gains) in [
        (pow, Some(graph.clone()), [2, 3, 1, 0], [21.354350, 7.607487, 6.827142, 0.739353]),
        (Phi::Exp { alpha: 1.0 }, Some(graph), [2, 1, 3, 0], [1.684211, 0.764577, 0.6, 0.436938]),
        (pow, None, [2, 0, 3, 1], [25.358291, 12.679146, 7.607487, 6.739573]),
    ] {
        let mig = Mig { phi, graph, ..Mig::default() };
        let chosen = mig.select(&pool, 4, Seed(0), &Silent).unwrap();
        assert_eq!(chosen.indices, picks);
        // The golden values have six decimals; p_i is held in single precision, 6e-8 relative.
        for (got, want) in chosen.scores.unwrap().iter().zip(gains) {
            assert!((got - want).abs() < 6e-7 + 6e-8 * want, "{got} {want}");
        }
    }
    let (pool, graph) = example();
    let mig = Mig { graph: Some(graph), ..Mig::default() };
    let mut information = mig.information_of(&pool, Seed(0), &Silent).unwrap();
    [2, 3, 1, 0].into_iter().for_each(|row| information.add(row));
    for (z, want) in information.z.iter().zip([1.012821, 1.307018, 1.289474, 0.6]) {
        assert!((z - want).abs() < 6e-7, "{z} {want}");
    }
}

#[test]
fn lazy_is_the_dense_arg_max_bit_for_bit() {
    for seed in 0..200 {
        let (pool, graph) = random_pool(seed);
        for (phi, gain) in [
            (Phi::Pow { a: 1e-6, beta: 0.8 }, Gain::Gradient),
            (Phi::Exp { alpha: 1.0 }, Gain::Gradient),
            (Phi::Pow { a: 1e-6, beta: 0.8 }, Gain::Exact),
            (Phi::Exp { alpha: 0.5 }, Gain::Exact),
            (Phi::Sqrt, Gain::Exact),
        ] {
            let mig = Mig { phi, gain, graph: Some(graph.clone()), norm: seed % 2 == 0, ..Mig::default() };
            let lazy = mig.select(&pool, pool.rows, Seed(0), &Silent).unwrap();
            let mut information = mig.information_of(&pool, Seed(0), &Silent).unwrap();
            let (rows, gains) = dense_greedy(&mut information, pool.rows, pool.rows);
            assert_eq!((lazy.indices, lazy.scores.as_ref()), (rows, Some(&gains)), "seed {seed} {phi:?} {gain:?}");
            assert!(gains.windows(2).all(|pair| pair[0] >= pair[1]), "gains grow: {gains:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn exact_greedy_keeps_its_bound(seed in 0_u64..1_000_000, budget in 1_usize..5) {
        let (mut pool, graph) = random_pool(seed);
        let n = pool.rows.min(14);
        pool.rows = n;
        pool.labels = pool.labels.map(|labels| labels.iter().take(n).map(|row| row.to_vec()).collect());
        pool.scores.as_mut().unwrap().truncate(n);
        let budget = budget.min(n);
        let phi = Phi::Exp { alpha: 1.0 };
        let mig = Mig { phi, gain: Gain::Exact, graph: Some(graph), ..Mig::default() };
        let value = |rows: &[usize]| mig.information(&pool, rows, Seed(0), &Silent).unwrap();
        let subsets = (0_u32..1 << n).filter(|set| set.count_ones() as usize == budget);
        let best = subsets
            .map(|set| value(&(0..n).filter(|row| set >> row & 1 == 1).collect::<Vec<_>>()))
            .fold(0.0, f64::max);
        let greedy = mig.select(&pool, budget, Seed(0), &Silent).unwrap();
        let reached = value(&greedy.indices);
        // Gains are differences of the information: they add up to it.
        prop_assert!((greedy.scores.unwrap().iter().sum::<f64>() - reached).abs() < 1e-9);
        prop_assert!(reached >= (1.0 - (-1.0_f64).exp()) * best - 1e-12, "{reached} of {best}");
    }
}

#[test]
fn no_propagation_is_no_graph_and_linear_phi_ranks_by_mass() {
    for seed in 0..50 {
        let (pool, graph) = random_pool(seed);
        let all = |mig: Mig| mig.select(&pool, pool.rows, Seed(0), &Silent).unwrap();
        let cut = all(Mig { graph: Some(graph.clone()), prop_weight: 0.0, ..Mig::default() });
        let none = all(Mig { graph: Some(LabelGraph::identity(graph.labels())), ..Mig::default() });
        assert_eq!((&cut.indices, &cut.scores), (&none.indices, &none.scores));
        let phi = Phi::Pow { a: 1e-6, beta: 1.0 };
        let linear = Mig { phi, graph: Some(graph), ..Mig::default() };
        let p = linear.information_of(&pool, Seed(0), &Silent).unwrap().p;
        let mass: Vec<f64> = (0..pool.rows).map(|i| p.row(i).1.iter().map(|v| f64::from(*v)).sum()).collect();
        assert_eq!(all(linear).indices, crate::top_score::best_first(&mass, pool.rows));
    }
}

#[test]
fn owned_rows_count_as_covered() {
    let (pool, graph) = example();
    let mig = Mig { graph: Some(graph), ..Mig::default() };
    let whole = mig.select(&pool, 4, Seed(0), &Silent).unwrap();
    let rest = Mig { initial: whole.indices[..2].to_vec(), ..mig.clone() }.select(&pool, 2, Seed(0), &Silent).unwrap();
    assert_eq!(rest.indices, whole.indices[2..]);
    let error = Mig { initial: vec![2, 2, 3], ..mig.clone() }.select(&pool, 5, Seed(0), &Silent).unwrap_err();
    assert!(error.to_string().contains("at most 4"), "{error}");
    assert!(Mig { initial: vec![6], ..mig }.select(&pool, 1, Seed(0), &Silent).is_err());
}

#[test]
fn bad_input_is_named() {
    let pool = || Pool::of_rows(2).with_labels(vec![vec![0], vec![5]]);
    let good = Mig::default();
    for (pool, mig, text) in [
        (pool().with_scores(vec![1.0, -0.5]), good.clone(), "score of row 1: got -0.5"),
        (pool().with_scores(vec![1.0, 1e31]), good.clone(), "score of row 1"),
        (pool(), Mig { graph: Some(LabelGraph::identity(5)), ..good.clone() }, "label of row 1: got 5"),
        (pool(), Mig { phi: Phi::Pow { a: 0.0, beta: 0.8 }, ..good.clone() }, "slope would be infinite"),
        (pool(), Mig { phi: Phi::Pow { a: 1.0, beta: 1.5 }, ..good.clone() }, "beta: got 1.5"),
        (pool(), Mig { phi: Phi::Exp { alpha: f64::NAN }, ..good.clone() }, "alpha: got NaN"),
        (pool(), Mig { phi: Phi::Sqrt, ..good.clone() }, "use `exact`"),
        (pool(), Mig { prop_weight: -1.0, ..good.clone() }, "prop-weight: got -1"),
        (Pool::of_rows(2).with_labels(vec![vec![0], vec![u32::MAX]]), good.clone(), "number labels from 0"),
        (Pool::of_rows(2), good, "labels: got nothing"),
    ] {
        let error = mig.select(&pool, 1, Seed(0), &Silent).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
}

#[test]
fn scores_scaled_to_mean_one_choose_alike_at_any_scale() {
    let (pool, graph) = example();
    let mig = Mig { scale: Scaling::Mean1, graph: Some(graph), ..Mig::default() };
    let chosen = mig.select(&pool, 6, Seed(0), &Silent).unwrap().indices;
    for factor in [1e-200, 1e3, 1e200] {
        let scores = pool.scores.iter().flatten().map(|s| s * factor).collect();
        assert_eq!(mig.select(&pool.clone().with_scores(scores), 6, Seed(0), &Silent).unwrap().indices, chosen);
    }
}

/// Three far blobs of very different size and direction: six rows must come from all three.
#[test]
fn a_pool_without_labels_is_covered_by_its_clusters() {
    let points = Array2::from_shape_fn((120, 2), |(i, j)| {
        let blob = usize::from(i >= 100) + usize::from(i >= 115);
        [[0.0, 0.0], [60.0, -60.0], [60.0, 90.0]][blob][j] + ((i * 7 + j * 3) % 11) as f64 * 0.1
    });
    let pool = Pool::of_points(Points::F64(points));
    let chosen = Mig::default().select(&pool, 6, Seed(3), &Silent).unwrap();
    let blobs: std::collections::HashSet<_> = chosen.indices.iter().map(|i| (i / 100, i / 115)).collect();
    assert_eq!(blobs.len(), 3, "{:?}", chosen.indices);
    let classes: Vec<u32> = (0..120).map(|i| u32::from(i == 0)).collect();
    let chosen = Mig::default().select(&pool.clone().with_classes(classes.clone()), 4, Seed(3), &Silent).unwrap();
    assert!(chosen.indices.contains(&0), "the class is a label too: {:?}", chosen.indices);
    let only = Pool::of_rows(120).with_classes(classes);
    assert_eq!(Mig::default().select(&only, 2, Seed(3), &Silent).unwrap().indices, [0, 1]);
}

/// With phi = sqrt, exact gains and no edges, MIG is apricot's feature-based selection.
#[test]
fn feature_based_selection_as_apricot_ranks_it() {
    let golden: serde_json::Value = serde_json::from_str(include_str!("../../tests/golden/apricot.json")).unwrap();
    let golden = &golden["feature_based"];
    let scores: Vec<f64> = serde_json::from_value(golden["scores"].clone()).unwrap();
    let labels: Vec<Vec<u32>> = serde_json::from_value(golden["labels"].clone()).unwrap();
    let picks: Vec<usize> = serde_json::from_value(golden["picks"].clone()).unwrap();
    let gains: Vec<f64> = serde_json::from_value(golden["gains"].clone()).unwrap();
    let mig = Mig { phi: Phi::Sqrt, gain: Gain::Exact, norm: false, ..Mig::default() };
    let pool = Pool::of_rows(labels.len()).with_labels(labels).with_scores(scores);
    let chosen = mig.select(&pool, picks.len(), Seed(0), &Silent).unwrap();
    assert_eq!(chosen.indices, picks);
    for (got, want) in chosen.scores.unwrap().iter().zip(gains) {
        assert!((got - want).abs() < 1e-9, "{got} {want}");
    }
}
