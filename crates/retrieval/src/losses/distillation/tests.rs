use super::*;
use ndarray::array;
use proptest::prelude::*;
use quadrat_core::Seed;

fn close(found: &Array2<f32>, expected: &Array2<f32>, within: f32) {
    let apart = (found - expected).mapv(f32::abs);
    assert!(apart.iter().all(|v| *v < within), "{found} {expected}");
}

/// Targets, loss and slope as PyTorch computes them: min-max by hand, `KLDivLoss(reduction="batchmean")` of `log_softmax` and `softmax`,
/// which is what sentence-transformers' `SparseDistillKLDivLoss` has at temperature 1.
#[test]
fn figures_are_what_pytorch_computes() {
    let dense = array![[0.9, 0.1, 0.3, 0.7], [0.2, 0.2, 0.2, 0.2]];
    let sparse = array![[12.0, 3.0, 0.0, 18.0], [4.0, 8.0, 6.0, 0.0]];
    let targets = ensemble_targets(&[dense.view(), sparse.view()], Some(30.0)).unwrap();
    close(&targets, &array![[25.0, 2.5, 3.75, 26.25], [7.5, 15.0, 11.25, 0.0]], 1e-4);
    let raw = ensemble_targets(&[dense.view(), sparse.view()], None).unwrap();
    close(&raw, &((dense + sparse) / 2.0), 1e-6);
    let scores = array![[2.5, 1.0, -0.5, 3.0], [0.5, 1.5, 2.0, -1.0]];
    let targets = array![[2.0, 0.5, 1.0, 4.0], [0.0, 3.0, 1.5, -1.0]];
    let loss = kl_distillation(scores.view(), targets.view()).unwrap();
    assert!((loss.value - 0.312_346_566_532_272_9).abs() < 1e-12, "{}", loss.value);
    close(&loss.slope, &array![[0.1155, 0.0258, -0.0120, -0.1293], [0.0401, -0.2259, 0.1796, 0.0062]], 1e-4);
}

fn draw(seed: u64, shape: (usize, usize), spread: f64) -> Array2<f32> {
    let mut rng = Seed(seed).rng(0);
    Array2::from_shape_simple_fn(shape, || (rng.normal() * spread * 1024.0).round() as f32 / 1024.0)
}

proptest! {
    #[test]
    fn normalised_scores_do_not_depend_on_units(seed in any::<u64>(), queries in 1..4_usize, candidates in 2..9_usize,
                                                factor in 0.01_f32..100.0, shift in -50.0_f32..50.0) {
        let (one, other) = (draw(seed, (queries, candidates), 3.0), draw(seed ^ 1, (queries, candidates), 3.0));
        let targets = ensemble_targets(&[one.view(), other.view()], Some(1.0)).unwrap();
        prop_assert!(targets.iter().all(|target| (0.0..=1.0).contains(target)));
        let moved = one.mapv(|score| score * factor + shift);
        let again = ensemble_targets(&[moved.view(), other.view()], Some(1.0)).unwrap();
        // Of a range of 0.03 the epsilon and the rounding of `moved` may take a thousandth.
        let ranges = one.outer_iter().map(|row| row.iter().fold(f32::MIN, |a, b| a.max(*b)) - row.iter().fold(f32::MAX, |a, b| a.min(*b)));
        let least = ranges.fold(f32::INFINITY, f32::min);
        prop_assume!(least * factor > 0.03);
        close(&again, &targets, 2e-3);
    }

    #[test]
    fn slopes_are_differences_of_shares(seed in any::<u64>(), candidates in 1..9_usize) {
        let (scores, targets) = (draw(seed, (1, candidates), 2.0), draw(seed ^ 1, (1, candidates), 2.0));
        let loss = kl_distillation(scores.view(), targets.view()).unwrap();
        let softmax = |values: &Array2<f32>| {
            let powers = values.mapv(|value| f64::from(value).exp());
            let sum = powers.sum();
            powers / sum
        };
        let expected = softmax(&scores) - softmax(&targets);
        prop_assert!(loss.slope.iter().zip(&expected).all(|(found, expected)| (f64::from(*found) - expected).abs() < 1e-6));
        prop_assert!(loss.value > -1e-12);
        for (place, slope) in loss.slope.indexed_iter() {
            let h = 1.0 / 1024.0;
            let moved = |by: f32| {
                let mut scores = scores.clone();
                scores[place] += by;
                kl_distillation(scores.view(), targets.view()).unwrap().value
            };
            prop_assert!(((moved(h) - moved(-h)) / (2.0 * f64::from(h)) - f64::from(*slope)).abs() < 1e-4);
        }
        prop_assert!(kl_distillation(scores.view(), scores.view()).unwrap().value.abs() < 1e-12);
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let two = array![[1.0, 2.0]];
    let error = |teachers: &[ArrayView2<f32>], scale| ensemble_targets(teachers, scale).unwrap_err().to_string();
    assert!(error(&[], None).contains("at least one"));
    assert!(error(&[array![[1.0]].view()], Some(30.0)).contains("at least two"));
    assert!(error(&[two.view(), array![[1.0], [2.0]].view()], Some(30.0)).contains("1 x 2"));
    assert!(error(&[array![[f32::NAN, 1.0]].view()], None).contains("finite"));
    let error = |scores: Array2<f32>| kl_distillation(scores.view(), two.view()).unwrap_err().to_string();
    assert!(error(array![[1.0]]).contains("1 x 1 scores"));
    assert!(error(array![[1.0, f32::INFINITY]]).contains("finite"));
    let far = kl_distillation(array![[3e38, -3e38]].view(), array![[-3e38, 3e38]].view()).unwrap();
    assert!(far.value.is_finite() && far.slope.iter().all(|v| v.is_finite()));
}
