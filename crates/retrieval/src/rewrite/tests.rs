use super::*;
use crate::training::{Quality, quality};
use ndarray::{Array1, Array2, ArrayView1, array};
use proptest::prelude::*;
use quadrat_core::{Error, Lists, Result, Rng, Seed, Silent};

fn unit(rows: usize, columns: usize, rng: &mut Rng) -> Array2<f32> {
    let mut values = Array2::from_shape_simple_fn((rows, columns), || rng.normal() as f32);
    crate::dense::normalise(values.view_mut());
    values
}

#[test]
fn nothing_is_to_pay_where_more_feedback_is_no_worse() {
    let none = comparative_hinge(array![[1.0, 1.0, 2.0], [0.0, 3.0, 3.0]].view(), false).unwrap();
    assert_eq!((none.value, none.slope.sum()), (0.0, 0.0));
    assert_eq!(comparative_hinge(array![[4.0], [1.0]].view(), false).unwrap().value, 0.0);
}

#[test]
fn a_pair_moves_the_loss_with_more_feedback_down_and_the_other_up() {
    let losses = array![[3.0, 1.0], [0.0, 1.0], [2.0, 1.5], [1.0, 1.0]];
    let both = comparative_hinge(losses.view(), false).unwrap();
    assert_eq!(both.value, 0.625);
    assert_eq!(both.slope, array![[0.25, -0.25], [0.0, 0.0], [0.25, -0.25], [0.0, 0.0]]);
    let one = comparative_hinge(losses.view(), true).unwrap();
    assert_eq!(one.slope, array![[0.25, 0.0], [0.0, 0.0], [0.25, 0.0], [0.0, 0.0]]);
}

#[test]
fn a_loss_without_a_value_is_named() {
    let error = comparative_hinge(array![[0.0, 1.0], [0.0, f64::NAN]].view(), false).unwrap_err().to_string();
    assert!(error.contains("query 1, revision 1"), "{error}");
}

proptest! {
    #[test]
    fn exchanging_queries_exchanges_derivatives(values in prop::collection::vec(-5.0..5.0_f64, 12), shift in 0..4_usize) {
        let losses = Array2::from_shape_vec((4, 3), values).unwrap();
        let order: Vec<usize> = (0..4).map(|row| (row + shift) % 4).collect();
        let (plain, moved) = (
            comparative_hinge(losses.view(), false).unwrap(),
            comparative_hinge(losses.select(ndarray::Axis(0), &order).view(), false).unwrap(),
        );
        prop_assert!((plain.value - moved.value).abs() < 1e-12);
        prop_assert_eq!(plain.slope.select(ndarray::Axis(0), &order), moved.slope);
        let growing = losses.outer_iter().all(|row| row[0] <= row[1] && row[1] <= row[2]);
        prop_assert_eq!(growing, plain.value == 0.0);
    }

    #[test]
    fn sizes_differ_and_fall(most in 0..9_usize, count in 0..10_usize, seed: u64) {
        prop_assume!(count <= most + 1);
        let sizes = feedback_sizes(most, count, &mut Seed(seed).rng(0)).unwrap();
        prop_assert_eq!(sizes.len(), count);
        prop_assert!(sizes.windows(2).all(|pair| pair[0] > pair[1]) && sizes.iter().all(|size| *size <= most));
    }

    #[test]
    fn a_new_query_is_as_long_as_the_old_one(seed: u64, documents in 0..5_usize) {
        let mut rng = Seed(seed).rng(0);
        let (rewriter, query, found) = drawn(6, documents, &mut rng);
        let found: Vec<ArrayView1<f32>> = found.outer_iter().collect();
        let new = rewriter.revise(query.view(), &found);
        prop_assert!((new.dot(&new) - query.dot(&query)).abs() < 1e-4 * query.dot(&query));
        if documents == 0 {
            prop_assert_eq!(new, query);
        }
    }
}

#[test]
fn more_sizes_than_there_are_is_an_error() {
    let error = feedback_sizes(1, 3, &mut Seed(0).rng(0)).unwrap_err().to_string();
    assert!(error.contains("0 to 1 are only 2"), "{error}");
}

/// A rewriter whose parts are all at work, a query and documents.
fn drawn(dims: usize, documents: usize, rng: &mut Rng) -> (Rewriter, Array1<f32>, Array2<f32>) {
    let mut rewriter = Rewriter::rocchio(dims, 3, 0.5);
    let mut shake = |part: &mut f32| *part += 0.3 * rng.normal() as f32;
    rewriter.transform.iter_mut().for_each(&mut shake);
    rewriter.attention.iter_mut().for_each(&mut shake);
    rewriter.ranks.iter_mut().for_each(&mut shake);
    let query = Array1::from_shape_simple_fn(dims, || rng.normal() as f32);
    (rewriter, query, unit(documents, dims, rng))
}

#[test]
fn without_learning_it_is_rocchios_rule_with_equal_shares() {
    let mut rng = Seed(4).rng(0);
    let (query, documents) = (Array1::from_iter([3.0_f32, 4.0]), unit(3, 2, &mut rng));
    let found: Vec<ArrayView1<f32>> = documents.outer_iter().collect();
    let new = Rewriter::rocchio(2, 3, 0.5).revise(query.view(), &found);
    let sum = &query + &(documents.sum_axis(ndarray::Axis(0)) * (0.5 / 4.0));
    let wanted = &sum * (5.0 / sum.dot(&sum).sqrt());
    assert!((&new - &wanted).iter().all(|gap| gap.abs() < 1e-5), "{new} {wanted}");
}

#[test]
fn derivatives_are_those_of_differences() {
    let mut rng = Seed(11).rng(0);
    // More documents than ranks: the last rank counts twice.
    let (rewriter, query, documents) = drawn(6, 5, &mut rng);
    let found: Vec<ArrayView1<f32>> = documents.outer_iter().collect();
    let by_query = Array1::from_shape_simple_fn(6, || rng.normal() as f32);
    let mut slope = Rewriter::rocchio(6, 3, 0.0);
    let (_, trace) = rewriter.trace(query.view(), &found);
    rewriter.pull_back(query.view(), &found, &trace, by_query.view(), &mut slope);
    let (towards, _, _) = drawn(6, 0, &mut rng);
    let value = |step: f32| {
        let moved = Rewriter {
            transform: &rewriter.transform + &(&towards.transform * step),
            attention: &rewriter.attention + &(&towards.attention * step),
            ranks: &rewriter.ranks + &(&towards.ranks * step),
        };
        f64::from(moved.revise(query.view(), &found).dot(&by_query))
    };
    let found = (value(0.01) - value(-0.01)) / 0.02;
    let wanted = (&slope.transform * &towards.transform).sum()
        + (&slope.attention * &towards.attention).sum()
        + (&slope.ranks * &towards.ranks).sum();
    assert!((found - f64::from(wanted)).abs() < 2e-3 * found.abs().max(1.0), "{found} {wanted}");
}

/// Documents about a topic each, queries about the topic of a document, and which that is.
fn topics(seed: u64) -> (Array2<f32>, Array2<f32>, Lists) {
    let mut rng = Seed(seed).rng(0);
    let topics = unit(20, 16, &mut rng);
    let near = |row: usize, rng: &mut Rng| &topics.row(row % 20) + &(&unit(1, 16, rng).row(0) * 0.9);
    let fill = |rows: usize, rng: &mut Rng| {
        let mut vectors = Array2::zeros((rows, 16));
        vectors.outer_iter_mut().enumerate().for_each(|(row, mut to)| to.assign(&near(row, rng)));
        crate::dense::normalise(vectors.view_mut());
        vectors
    };
    let (documents, queries) = (fill(200, &mut rng), fill(60, &mut rng));
    // All documents of the query's topic.
    let relevant = (0..60_u32).map(|query| (0..10).map(move |i| query % 20 + 20 * i)).collect();
    (documents, queries, relevant)
}

fn learn(method: LolPrf, seed: u64) -> Result<Learnt> {
    let (documents, queries, relevant) = topics(1);
    method.train(documents.view(), queries.view(), &relevant, Seed(seed), &Silent)
}

const SHORT: LolPrf = LolPrf {
    documents: 5,
    compare: 1,
    lambda: 1.0,
    detach: false,
    without_relevant: false,
    pool: 20,
    epochs: 40,
    batch: 24,
    temperature: 0.08,
    beta: 0.5,
    rate: 0.01,
};

#[test]
fn training_lowers_the_loss_and_finds_more() {
    let learnt = learn(SHORT, 2).unwrap();
    let tenth = learnt.losses.len() / 10;
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
    assert!(mean(&learnt.losses[9 * tenth..]) < mean(&learnt.losses[..tenth]) - 0.05);

    let (documents, _, _) = topics(1);
    let (_, queries, relevant) = topics(1);
    let of = |rewriter: Option<&Rewriter>| -> Quality {
        let first = crate::dense::search(documents.view(), queries.view(), 5, None, &Silent).unwrap();
        let mut revised = queries.clone();
        if let Some(rewriter) = rewriter {
            for (query, mut row) in revised.outer_iter_mut().enumerate() {
                let found: Vec<_> = first.of(query).0.iter().map(|doc| documents.row(*doc as usize)).collect();
                let new = rewriter.revise(row.view(), &found);
                row.assign(&new);
            }
        }
        quality(documents.view(), revised.view(), &relevant, &Silent).unwrap()
    };
    assert!(of(Some(&learnt.rewriter)).recall_at_100 >= of(None).recall_at_100);
}

#[test]
fn a_weight_of_nothing_trains_as_without_the_comparison() {
    let plain = LolPrf { lambda: 0.0, ..SHORT };
    assert_eq!(learn(plain, 3).unwrap(), learn(LolPrf { detach: true, ..plain }, 3).unwrap());
    assert_ne!(learn(plain, 3).unwrap().rewriter, learn(SHORT, 3).unwrap().rewriter);
    // One revision has nothing to compare, whatever the weight.
    let alone = LolPrf { compare: 0, ..SHORT };
    assert_eq!(learn(alone, 3).unwrap(), learn(LolPrf { lambda: 7.0, ..alone }, 3).unwrap());
}

#[test]
fn bits_depend_on_the_seed_alone() {
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| learn(SHORT, 5).unwrap())
    };
    assert_eq!(on(1), on(2));
    assert_ne!(learn(SHORT, 5).unwrap().rewriter, learn(SHORT, 6).unwrap().rewriter);
}

#[test]
fn an_index_is_searched_twice() {
    let (documents, queries, _) = topics(3);
    let folder = std::env::temp_dir().join(format!("quadrat-rewrite-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let kind = crate::Kind::Dense { columns: 16, encoder: None };
    let mut writer = crate::VectorWriter::create(&folder, crate::Setup::of(kind)).unwrap();
    writer.add((0..200).map(|i| i.to_string()).collect(), documents.clone()).unwrap();
    let index = writer.commit().unwrap();
    let rewriter = learn(SHORT, 2).unwrap().rewriter;
    let ask = |rewriter: &Rewriter, k| search(&index, queries.view(), (rewriter, k), 10, None, &Silent);
    assert_eq!(ask(&rewriter, 0).unwrap(), index.search(queries.view(), 10, None, &Silent).unwrap());
    let first = index.search(queries.view(), 3, None, &Silent).unwrap();
    let mut revised = queries.clone();
    for (mut row, hits) in revised.outer_iter_mut().zip(first) {
        let found: Vec<_> = hits.iter().map(|hit| documents.row(hit.document as usize)).collect();
        let new = rewriter.revise(row.view(), &found);
        row.assign(&new);
    }
    assert_eq!(ask(&rewriter, 3).unwrap(), index.search(revised.view(), 10, None, &Silent).unwrap());
    assert!(matches!(ask(&Rewriter::rocchio(4, 3, 0.5), 3), Err(Error::Input { .. })));
    drop(index);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn what_cannot_be_learnt_from_is_said() {
    let (documents, queries, relevant) = topics(1);
    let said = |method: LolPrf, relevant: &Lists, queries: &Array2<f32>| {
        method.train(documents.view(), queries.view(), relevant, Seed(0), &Silent).unwrap_err().to_string()
    };
    assert!(said(LolPrf { documents: 1, compare: 2, ..SHORT }, &relevant, &queries).contains("2 sizes"));
    let mut empty = Lists::default();
    (0..60_u32).for_each(|query| empty.push((query != 17).then_some(query)));
    assert!(said(SHORT, &empty, &queries).contains("query 17"));
    let away: Lists = (0..60_u32).map(|query| [query + 190]).collect();
    assert!(said(SHORT, &away, &queries).contains("rows are 0 to 199"));
    let mut broken = queries.clone();
    broken[[3, 0]] = f32::NAN;
    assert!(said(SHORT, &relevant, &broken).contains("query 3"));
    assert!(said(SHORT, &relevant, &queries.slice(ndarray::s![.., ..9]).to_owned()).contains('9'));
}
