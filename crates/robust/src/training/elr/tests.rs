use super::*;
use ndarray::Array2;
use proptest::prelude::*;
use quadrat_core::{Seed, Silent};
use quadrat_nn::{At, Mlp, Samples, Trainer};

fn begun(rows: usize, classes: usize) -> Elr {
    let memory = Memory { table: vec![0.0; rows * classes], classes, labels: vec![0; rows] };
    Elr { memory, ..Elr::default() }
}

fn batch(rows: &[u32], classes: usize) -> Batch {
    Batch::new(At { epoch: 0, step: 0 }, rows, Array2::zeros((rows.len(), 1)), Array2::zeros((rows.len(), classes)))
}

/// In double precision, from the definition.
fn value(elr: &Elr, t: &[f32], scores: &[f64]) -> f64 {
    let all: f64 = scores.iter().map(|z| z.exp()).sum();
    let p: Vec<f64> = scores.iter().map(|z| (z.exp() / all).clamp(1e-4, 1.0 - 1e-4)).collect();
    let (beta, sum) = (f64::from(elr.beta), p.iter().sum::<f64>());
    let said = |moved: &[f64]| moved.iter().zip(&p).map(|(t, p)| t * p).sum::<f64>();
    let moved: Vec<f64> = t.iter().zip(&p).map(|(t, p)| beta * f64::from(*t) + (1.0 - beta) * p / sum).collect();
    f64::from(elr.lambda) * (1.0 - said(&moved)).ln()
}

/// Three batches as PyTorch computes them; `tests/golden/training.py` says how.
#[test]
fn terms_gradients_and_means_are_pytorchs() {
    #[derive(serde::Deserialize)]
    struct Step {
        scores: Vec<f32>,
        term: Vec<f32>,
        gradient: Vec<f32>,
        table: Vec<f32>,
    }
    let golden = include_str!("../../../tests/golden/training.json");
    let golden: serde_json::Value = serde_json::from_str(golden).unwrap();
    let steps: Vec<Step> = serde_json::from_value(golden["elr"].clone()).unwrap();
    let mut elr = begun(8, 4);
    let near = |a: f32, b: f32| (a - b).abs() < 1e-5 * (1.0 + b.abs());
    for Step { scores, term, gradient, table } in steps {
        for (row, scores) in scores.chunks_exact(4).enumerate() {
            let mut found = [0.0; 4];
            let loss = elr.term(elr.of(row as u32).unwrap(), scores, &mut found);
            let golden = &gradient[4 * row..4 * row + 4];
            assert!(near(loss, term[row]), "{loss} {}", term[row]);
            assert!(found.iter().zip(golden).all(|(a, b)| near(*a, *b)), "{found:?} {golden:?}");
        }
        let rows: Vec<u32> = (0..8).collect();
        elr.observe(&batch(&rows, 4), ArrayView2::from_shape((8, 4), &scores).unwrap()).unwrap();
        assert!(elr.memory.table.iter().zip(&table).all(|(a, b)| near(*a, *b)));
    }
}

proptest! {
    /// t held at what it is at the scores, finite differences of the term are its gradient, and both are those of the
    /// definition.
    #[test]
    fn the_gradient_is_that_of_the_definition(
        scores in prop::collection::vec(-2.0f32..2.0, 4),
        t in prop::collection::vec(0.0f32..0.25, 4),
        lambda in 0.5f32..7.0,
    ) {
        let elr = Elr { lambda, ..begun(1, 4) };
        let mut gradient = [0.0; 4];
        let found = elr.term(&t, &scores, &mut gradient);
        let wide: Vec<f64> = scores.iter().map(|z| f64::from(*z)).collect();
        prop_assert!((f64::from(found) - value(&elr, &t, &wide)).abs() < 1e-5);
        // With beta 1 the mean does not move: it is put where it moved to.
        let p = calibration::probabilities(ArrayView2::from_shape((1, 4), &scores).unwrap(), 1.0);
        let moved: Vec<f32> = t.iter().zip(&p).map(|(t, p)| elr.moved(*t, *p, 1.0)).collect();
        let held = Elr { beta: 1.0, ..elr };
        for k in 0..4 {
            let at = |step: f64| {
                let mut wide = wide.clone();
                wide[k] += step;
                value(&held, &moved, &wide)
            };
            let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
            prop_assert!((f64::from(gradient[k]) - slope).abs() < 1e-4 * (1.0 + slope.abs()), "{slope} {gradient:?}");
        }
    }

    /// After m visits a row's entries sum to 1 - beta^m.
    #[test]
    fn rows_fill_up(scores in prop::collection::vec(-9.0f32..9.0, 3), visits in 1usize..9) {
        let mut elr = begun(3, 3);
        for _ in 0..visits {
            elr.observe(&batch(&[1], 3), ArrayView2::from_shape((1, 3), &scores).unwrap()).unwrap();
        }
        let sum: f32 = elr.of(1).unwrap().iter().sum();
        prop_assert!((sum - (1.0 - 0.7f32.powi(visits as i32))).abs() < 1e-5);
        prop_assert!(elr.of(0).unwrap().iter().chain(elr.of(2).unwrap()).all(|t| *t == 0.0));
    }
}

#[test]
fn extreme_scores_stay_finite_and_clamped_entries_pass_nothing() {
    let elr = begun(1, 3);
    for scores in [[1e4, -1e4, 0.0], [-300.0, 300.0, 0.0], [0.0, 0.0, 0.0]] {
        let mut gradient = [f32::NAN; 3];
        let loss = elr.term(&[1.0, 0.0, 0.0], &scores, &mut gradient);
        assert!(loss.is_finite() && gradient.iter().all(|g| g.is_finite()), "{scores:?}: {loss} {gradient:?}");
        assert!(scores[0] == 0.0 || gradient == [0.0; 3], "{scores:?}: {gradient:?}");
    }
}

#[test]
fn the_order_within_an_epoch_and_rows_beside_do_not_matter() {
    let scores = Array2::from_shape_fn((4, 3), |(i, j)| ((i * 5 + j * 7) % 4) as f32);
    let (mut one, mut two) = (begun(4, 3), begun(4, 3));
    one.observe(&batch(&[0, 1, 2, 3], 3), scores.view()).unwrap();
    for row in [3, 0, 2, 1] {
        one.of(row).unwrap();
        two.observe(&batch(&[row, 77], 3), scores.select(ndarray::Axis(0), &[row as usize, 0]).view()).unwrap();
    }
    assert_eq!(one.memory.table, two.memory.table);
}

#[test]
fn without_strength_it_is_cross_entropy_and_numbers_and_mixtures_are_refused() {
    let inputs = Array2::from_shape_fn((40, 2), |(i, j)| ((i * (j + 1)) % 7) as f32);
    let samples = Samples::classes(inputs.clone(), (0..40).map(|i| i % 3).collect(), 3).unwrap();
    let (network, trainer) = (Mlp::new(2, &[8], 3), Trainer { epochs: 3, seed: Seed(1), ..Trainer::default() });
    let plain = trainer.fit(&network, &samples, None, &mut [], &Silent).unwrap();
    let mut nothing = Elr { lambda: 0.0, ..Elr::default() };
    let same = trainer.fit(&network, &samples, None, &mut [&mut nothing], &Silent).unwrap();
    assert_eq!(plain.parameters.fingerprint(), same.parameters.fingerprint());
    for wrong in [Elr { lambda: f32::NAN, ..Elr::default() }, Elr { beta: 1.0, ..Elr::default() }] {
        assert!(trainer.fit(&network, &samples, None, &mut [&mut wrong.clone()], &Silent).is_err());
    }
    let numbers = Samples::values(inputs, Array2::ones((40, 1))).unwrap();
    let trainer = Trainer { loss: quadrat_nn::Loss::SquaredError, ..trainer };
    assert!(trainer.fit(&Mlp::new(2, &[8], 1), &numbers, None, &mut [&mut Elr::default()], &Silent).is_err());
}

/// A loop of one's own takes the steps that training takes.
#[test]
fn one_pass_is_cross_entropy_and_the_term() {
    let labels: Vec<u32> = (0..200).map(|i| i % 5).collect();
    let mut rng = Seed(4).rng(0);
    let mut own = Elr::default().over(labels.clone(), 5).unwrap();
    let mut hooked = begun(200, 5);
    for step in 0..3 {
        let rows: Vec<u32> = (0..150).map(|i| (i * 7 + step) % 200).collect();
        let scores = Array2::from_shape_simple_fn((150, 5), || 3.0 * rng.normal() as f32);
        let (loss, gradient) = own.step(&rows, scores.view()).unwrap();
        let p = calibration::probabilities(scores.view(), 1.0);
        let mut mean = 0.0;
        for (i, row) in rows.iter().enumerate() {
            let mut by = [0.0; 5];
            let term = hooked.term(hooked.of(*row).unwrap(), scores.row(i).as_slice().unwrap(), &mut by);
            let label = labels[*row as usize] as usize;
            mean += f64::from(term - p[[i, label]].ln()) / 150.0;
            for k in 0..5 {
                let wanted = (by[k] + p[[i, k]] - f32::from(u8::from(k == label))) / 150.0;
                assert!((gradient[[i, k]] - wanted).abs() < 1e-6, "{} {wanted}", gradient[[i, k]]);
            }
        }
        assert!((loss - mean).abs() < 1e-5, "{loss} {mean}");
        hooked.observe(&batch(&rows, 5), scores.view()).unwrap();
        let apart = own.memory.table.iter().zip(&hooked.memory.table).map(|(a, b)| (a - b).abs());
        assert!(apart.fold(0.0, f32::max) < 1e-6);
    }
    let scores = Array2::zeros((1, 5));
    let mut nan = scores.clone();
    nan[[0, 2]] = f32::NAN;
    let before = own.memory.table.clone();
    for (rows, scores, says) in
        [(vec![200], scores.clone(), "below 200"), (vec![0, 1], scores, "2 rows of 5 classes"), (vec![7], nan, "row 7")]
    {
        let error = own.step(&rows, scores.view()).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    assert_eq!(own.memory.table, before, "what fails leaves nothing behind");
    assert!(Elr::default().over(vec![3], 3).is_err());
}
