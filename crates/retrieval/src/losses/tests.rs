use super::Label::{Absent, Negative, Relevant};
use super::*;
use ndarray::{array, s};
use proptest::prelude::*;
use quadrat_core::Seed;

type Function = fn(ArrayView2<f32>, ArrayView2<Label>) -> Result<Loss>;

/// All losses.
const ALL: [Function; 6] = [
    pairwise_logistic,
    |scores, labels| lambda_pairs(scores, labels, PairWeight::One, 5),
    |scores, labels| lambda_pairs(scores, labels, PairWeight::Mrr, 5),
    |scores, labels| lambda_pairs(scores, labels, PairWeight::Ndcg, 3),
    |scores, labels| info_nce(scores, labels, 1.0),
    |scores, labels| info_nce(scores, labels, 0.3),
];

/// Scores in 1024ths, so that a small step is exact, and labels of all kinds.
fn draw(seed: u64, queries: usize, candidates: usize) -> (Array2<f32>, Array2<Label>) {
    let mut rng = Seed(seed).rng(0);
    let scores =
        Array2::from_shape_simple_fn((queries, candidates), || (rng.normal() * 2048.0).round() as f32 / 1024.0);
    let labels = scores.mapv(|_| [Relevant, Negative, Negative, Absent][rng.below(4)]);
    (scores, labels)
}

proptest! {
    #[test]
    fn slopes_agree_with_differences_and_cancel(seed in any::<u64>(), queries in 1..4_usize, candidates in 1..9_usize) {
        let (scores, labels) = draw(seed, queries, candidates);
        for loss in ALL {
            let found = loss(scores.view(), labels.view()).unwrap();
            prop_assert!(found.value >= 0.0);
            for slope in found.slope.outer_iter() {
                prop_assert!(slope.iter().map(|v| f64::from(*v)).sum::<f64>().abs() < 1e-6);
            }
            for (place, slope) in found.slope.indexed_iter() {
                let h = 1.0 / 1024.0;
                let moved = |by: f32| {
                    let mut scores = scores.clone();
                    scores[place] += by;
                    loss(scores.view(), labels.view()).unwrap().value
                };
                let difference = (moved(h) - moved(-h)) / (2.0 * f64::from(h));
                prop_assert!((difference - f64::from(*slope)).abs() < 1e-4, "{} {}", difference, slope);
            }
        }
    }

    #[test]
    fn what_is_left_out_changes_nothing(seed in any::<u64>(), batch in 1..6_usize) {
        // STAR without hard negatives is the loss within the batch.
        let (scores, _) = draw(seed, batch, 2 * batch);
        let labels = Array2::from_shape_fn((batch, 2 * batch), |(i, j)| match j {
            _ if i == j => Relevant,
            _ if j < batch => Negative,
            _ => Absent,
        });
        for loss in ALL {
            let all = loss(scores.view(), labels.view()).unwrap();
            let within = loss(scores.slice(s![.., ..batch]), labels.slice(s![.., ..batch])).unwrap();
            prop_assert_eq!(all.value, within.value);
            prop_assert_eq!(all.slope.slice(s![.., ..batch]), within.slope);
            prop_assert!(all.slope.slice(s![.., batch..]).iter().all(|v| *v == 0.0));
        }
    }

    #[test]
    fn within_a_batch_it_is_the_same_loss(seed in any::<u64>(), n in 2..9_usize, temperature in 0.05..2.0_f64) {
        let (scores, _) = draw(seed, n, n);
        let labels = Array2::from_shape_fn((n, n), |(i, j)| if i == j { Relevant } else { Negative });
        let want = info_nce(scores.view(), labels.view(), temperature).unwrap();
        let found = in_batch(scores.view(), temperature).unwrap();
        prop_assert!((want.value - found.value).abs() < 2e-6 * (1.0 + want.value), "{} {}", want.value, found.value);
        prop_assert!((&want.slope - &found.slope).iter().all(|d| d.abs() < 1e-5 / temperature as f32));
        let back = info_nce(scores.t(), labels.view(), temperature).unwrap();
        let both = symmetric_in_batch(scores.view(), temperature).unwrap();
        prop_assert!((0.5 * (want.value + back.value) - both.value).abs() < 2e-6 * (1.0 + both.value));
        prop_assert!(((&want.slope + &back.slope.t()) * 0.5 - &both.slope).iter().all(|d| d.abs() < 1e-5 / temperature as f32));
    }

    #[test]
    fn pairs_that_all_weigh_one_are_the_pairwise_loss(seed in any::<u64>(), candidates in 2..12_usize, cut in 1..12_usize) {
        let (scores, labels) = draw(seed, 1, candidates);
        let weighted = lambda_pairs(scores.view(), labels.view(), PairWeight::One, cut).unwrap();
        prop_assert_eq!(weighted, pairwise_logistic(scores.view(), labels.view()).unwrap());
    }
}

/// Losses and slopes as PyTorch computes them; `tests/golden/losses.py` says how.
#[test]
fn losses_are_what_pytorch_computes() {
    let scores = array![[2.5, 1.0, -0.5, 3.0, 0.25], [0.5, 1.5, 2.0, -1.0, 1.25], [4.0, 0.0, 1.0, 2.0, -3.0]];
    let labels = array![
        [Relevant, Negative, Negative, Negative, Absent],
        [Negative, Relevant, Absent, Negative, Negative],
        [Negative, Negative, Relevant, Negative, Negative]
    ];
    let lists = array![[3.0, 2.5, 1.0, 0.25, -2.0], [5.0, 4.0, 3.5, 3.25, 0.0]];
    let of_lists =
        array![[Negative, Relevant, Negative, Relevant, Negative], [Negative, Negative, Negative, Negative, Relevant]];
    let close = |loss: Result<Loss>, value: f64, slope: Array2<f64>| {
        let loss = loss.unwrap();
        assert!((loss.value - value).abs() < 1e-12, "{} {value}", loss.value);
        let apart = (loss.slope.mapv(f64::from) - slope).mapv(f64::abs);
        assert!(apart.iter().all(|v| *v < 1e-7), "{apart}");
    };
    close(
        pairwise_logistic(scores.view(), labels.view()),
        0.688_542_910_995_421_5,
        array![
            [-0.08523107, 0.01824255, 0.00474259, 0.06224593, 0.0],
            [0.02689414, -0.07826231, 0.0, 0.00758582, 0.04378235],
            [0.09525741, 0.02689414, -0.19705603, 0.07310586, 0.00179862]
        ],
    );
    close(
        lambda_pairs(lists.view(), of_lists.view(), PairWeight::Mrr, 4),
        1.356_372_834_863_380_6,
        array![
            [0.08468039, -0.02892728, 0.00725021, -0.06544755, 0.00244424],
            [0.12416339, 0.06137586, 0.04044532, 0.03008353, -0.25606811]
        ],
    );
    close(
        info_nce(scores.view(), labels.view(), 0.5),
        2.635_649_492_179_295_5,
        array![
            [-0.48985769, 0.0088028, 0.00043827, 0.48061663, 0.0],
            [0.05159746, -0.28541013, 0.0, 0.00256889, 0.23124378],
            [0.65287105, 0.00021901, -0.66504836, 0.01195775, 5.4e-07]
        ],
    );
}

#[test]
fn weights_can_be_checked_by_hand() {
    let (scores, labels) = (array![[0.0, 0.0, 0.0]], array![[Negative, Relevant, Negative]]);
    let value = |weight, cut| lambda_pairs(scores.view(), labels.view(), weight, cut).unwrap().value / 2_f64.ln();
    // |1/2 - 1| and |1/2 - 1/3|; beyond the cut the gain is 0.
    assert!((value(PairWeight::Mrr, 3) - (0.5 + 1.0 / 6.0) / 2.0).abs() < 1e-12);
    assert!((value(PairWeight::Mrr, 2) - (0.5 + 0.5) / 2.0).abs() < 1e-12);
    assert!((value(PairWeight::Mrr, 1) - (1.0 + 0.0) / 2.0).abs() < 1e-12);
    let second = 1.0 / 3_f64.log2();
    assert!((value(PairWeight::Ndcg, 3) - ((1.0 - second) + (second - 0.5)) / 2.0).abs() < 1e-12);
    // Two queries of which one has no pair.
    let (scores, labels) = (array![[0.0, 0.0], [0.0, 0.0]], array![[Relevant, Negative], [Negative, Negative]]);
    let loss = lambda_pairs(scores.view(), labels.view(), PairWeight::One, 2).unwrap();
    assert!((loss.value - 2_f64.ln() / 2.0).abs() < 1e-12);
    assert_eq!(loss.slope, array![[-0.25, 0.25], [0.0, 0.0]]);
}

#[test]
fn far_scores_do_not_overflow() {
    let (scores, labels) = (array![[-3e38, 3e38], [3e38, -3e38]], array![[Relevant, Negative], [Relevant, Negative]]);
    for loss in ALL {
        let found = loss(scores.view(), labels.view()).unwrap();
        assert!(found.value.is_finite() && found.slope.iter().all(|v| v.is_finite()), "{found:?}");
    }
    let found = symmetric_in_batch(array![[-3e38, 3e38], [3e38, -3e38]].view(), 0.5).unwrap();
    assert!(found.slope.iter().all(|v| v.is_finite()), "{found:?}");
    let nothing = pairwise_logistic(array![[1.0]].view(), array![[Relevant]].view()).unwrap();
    assert_eq!((nothing.value, nothing.slope), (0.0, array![[0.0]]));
}

#[test]
fn what_does_not_fit_is_refused() {
    let (scores, labels) = (array![[0.0, f32::NAN], [0.0, 1.0]], array![[Relevant, Absent], [Relevant, Negative]]);
    for loss in ALL {
        assert!(loss(scores.view(), labels.view()).is_ok());
        let told =
            |scores: &Array2<f32>, labels: ArrayView2<Label>| loss(scores.view(), labels).unwrap_err().to_string();
        assert!(told(&array![[0.0, 1.0], [0.0, f32::INFINITY]], labels.view()).contains("query 1, candidate 1"));
        assert!(told(&scores, labels.slice(s![..1, ..])).contains("2 x 2 scores"));
    }
    let (scores, labels) = (array![[0.0]], array![[Relevant]]);
    for (scores, part) in [
        (array![[0.0]], "two pairs"),
        (array![[0.0, 1.0]], "1 x 2"),
        (array![[0.0, f32::NAN], [0.0, 0.0]], "candidate 1"),
    ] {
        assert!(symmetric_in_batch(scores.view(), 1.0).unwrap_err().to_string().contains(part), "{part}");
    }
    assert!(in_batch(array![[0.0, 0.0], [0.0, 0.0]].view(), 0.0).unwrap_err().to_string().contains("above 0"));
    for temperature in [0.0, -1.0, f64::NAN] {
        assert!(info_nce(scores.view(), labels.view(), temperature).unwrap_err().to_string().contains("above 0"));
    }
    assert!(lambda_pairs(scores.view(), labels.view(), PairWeight::Mrr, 0).unwrap_err().to_string().contains("cut"));
}
