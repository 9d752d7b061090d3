use super::*;
use ndarray::{array, concatenate};
use quadrat_core::Silent;

/// Rows with exactly this mean and covariance: ± sqrt(d (n - 1) / n) times each column of a root, n = 2 d.
fn rows(mean: [f64; 2], covariance: [[f64; 2]; 2], copies: usize) -> Array2<f64> {
    let n = 4 * copies;
    let root =
        cholesky(array![covariance[0], covariance[1]].view()).unwrap() * ((n - 1) as f64 * 2.0 / n as f64).sqrt();
    let row = |i: usize| &root.column(i % 4 / 2) * [1.0, -1.0][i % 2] + Array1::from(mean.to_vec());
    let all: Vec<Array1<f64>> = (0..n).map(row).collect();
    ndarray::stack(Axis(0), &all.iter().map(|row| row.view()).collect::<Vec<_>>()).unwrap()
}

/// Two heads and a rare class with these moments: the numbers of the printed formulas by hand.
fn three() -> Labelled {
    let parts = [
        rows([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]], 13),
        rows([3.0, 0.0], [[2.0, 0.0], [0.0, 0.5]], 8),
        rows([1.0, 1.0], [[0.5, 0.1], [0.1, 0.4]], 1),
    ];
    let y = parts.iter().zip(0..).flat_map(|(part, class)| std::iter::repeat_n(class, part.nrows())).collect();
    Labelled::new(concatenate(Axis(0), &parts.each_ref().map(|part| part.view())).unwrap(), y)
}

/// All rows count, and heads of three quarters of the rows are the first two classes.
fn method() -> Rcal {
    Rcal { q: 2, threshold: f64::INFINITY, heads: 0.75, ..Rcal::default() }
}

fn near(a: impl IntoIterator<Item = f64>, b: impl IntoIterator<Item = f64>) -> bool {
    a.into_iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9)
}

#[test]
fn a_rare_class_borrows_as_printed() {
    // The mean variance of the heads is 1.125.
    let calibrated = Rcal { alpha: 0.1 / 1.125, ..method() }.calibrate(&three(), &Silent).unwrap();
    let [head, other, tail] = [0, 1, 2].map(|class| calibrated.classes[class].clone().unwrap());
    assert!(near(head.mean, [0.0, 0.0]) && near(head.covariance, [1.0, 0.0, 0.0, 1.0]) && head.lenders.is_empty());
    assert!(near(other.mean, [3.0, 0.0]) && near(other.covariance, [2.0, 0.0, 0.0, 0.5]));
    // n d: 52 x 2 and 32 x 5.
    let (near_one, far_one) = (104.0 / 264.0, 160.0 / 264.0);
    assert_eq!(tail.lenders.iter().map(|(class, _)| *class).collect::<Vec<_>>(), [0, 1]);
    assert!(near(tail.lenders.iter().map(|(_, w)| *w), [near_one, far_one]));
    assert!(near(tail.mean, [0.7 + 0.3 * 3.0 * far_one, 0.7]));
    let entry = |own: f64, a: f64, b: f64| 0.7 * own + 0.3 * (near_one * a + far_one * b) + 0.1;
    let expected = [entry(0.5, 1.0, 2.0), entry(0.1, 0.0, 0.0), entry(0.1, 0.0, 0.0), entry(0.4, 1.0, 0.5)];
    assert!(near(tail.covariance, expected));
}

#[test]
fn lenders_by_nearness_turn_the_weights_round() {
    let weights = |lenders| {
        let calibrated = Rcal { lenders, ..method() }.calibrate(&three(), &Silent).unwrap();
        calibrated.classes[2].clone().unwrap().lenders
    };
    assert!(weights(Lenders::Farther)[0].1 < weights(Lenders::Farther)[1].1);
    let nearer = [52.0 * (-2.0_f64 / 3.5).exp(), 32.0 * (-5.0_f64 / 3.5).exp()];
    let sum = nearer[0] + nearer[1];
    assert!(near(weights(Lenders::Nearer).iter().map(|(_, w)| *w), nearer.map(|w| w / sum)));
}

#[test]
fn nothing_borrowed_leaves_the_classes_own_moments() {
    let calibrated = Rcal { gamma: 0.0, alpha: 0.0, ..method() }.calibrate(&three(), &Silent).unwrap();
    let tail = calibrated.classes[2].clone().unwrap();
    assert!(near(tail.mean, [1.0, 1.0]) && near(tail.covariance, [0.5, 0.1, 0.1, 0.4]));
}

/// E μ' = γ Σ w μ_c + (1 − γ) μ_k and its variance (1 − γ)² Σ_k / n_k + γ² Σ w² Σ_c / n_c, with weights that are fixed because
/// there is one head. 4,000 repetitions; each mean within 5 of its standard errors: false alarms below 1e-5.
#[test]
fn borrowed_means_have_the_error_that_theory_says() {
    let (head, tail, gamma, runs) = (40, 6, 0.3, 4000);
    let method = Rcal { gamma, threshold: f64::INFINITY, ..Rcal::default() };
    let mut errors = Vec::new();
    for run in 0..runs {
        let mut rng = Seed(8).rng(run);
        let x =
            Array2::from_shape_fn((head + tail, 1), |(i, _)| if i < head { 2.0 + rng.normal() } else { rng.normal() });
        let data = Labelled::new(x, (0..head + tail).map(|i| u32::from(i >= head)).collect());
        errors.push(method.calibrate(&data, &Silent).unwrap().classes[1].clone().unwrap().mean[0].powi(2));
    }
    let (bias, variance) = (gamma * 2.0, 0.49 / tail as f64 + gamma * gamma / head as f64);
    let expected = bias * bias + variance;
    let spread = (2.0 * variance * variance + 4.0 * bias * bias * variance).sqrt() / (runs as f64).sqrt();
    let found = errors.iter().sum::<f64>() / runs as f64;
    assert!((found - expected).abs() < 5.0 * spread, "{found} {expected}");
}

/// Mean and covariance of 20,000 draws within 5 standard errors of the law's: false alarms below 1e-5.
#[test]
fn draws_follow_their_law() {
    let law =
        ClassLaw { rows: 9, mean: array![1.0, -2.0], covariance: array![[2.0, 0.6], [0.6, 0.5]], lenders: Vec::new() };
    let n = 20_000;
    let drawn = law.draw(n, Seed(3)).unwrap();
    let mean = drawn.mean_axis(Axis(0)).unwrap();
    let covariance = gram((&drawn - &mean).view(), None).unwrap() / (n - 1) as f64;
    for i in 0..2 {
        assert!((mean[i] - law.mean[i]).abs() < 5.0 * (law.covariance[[i, i]] / n as f64).sqrt());
        for j in 0..2 {
            let (ii, jj, ij) = (law.covariance[[i, i]], law.covariance[[j, j]], law.covariance[[i, j]]);
            let error = ((ii * jj + ij * ij) / n as f64).sqrt();
            assert!((covariance[[i, j]] - ij).abs() < 5.0 * error, "{covariance}");
        }
    }
    assert_eq!(law.draw(5, Seed(3)).unwrap(), drawn.slice(ndarray::s![..5, ..]), "more draws leave the first ones");
}

#[test]
fn wrong_labels_are_left_out_and_few_rows_have_an_answer() {
    let mut rng = Seed(1).rng(0);
    // Two classes far apart; five rows of the second are called the first.
    let x = Array2::from_shape_fn((90, 2), |(i, _)| rng.normal() + if i < 60 { 0.0 } else { 30.0 });
    let y = (0..90).map(|i| u32::from(i >= 65)).collect();
    let data = Labelled::new(x, y);
    let calibrated = Rcal::default().calibrate(&data, &Silent).unwrap();
    assert!(calibrated.kept[60..65].iter().all(|kept| !kept));
    assert!(calibrated.classes[0].clone().unwrap().mean.iter().all(|m| m.abs() < 1.0));
    let made = Rcal::default().resample(&data, Seed(2), &Silent).unwrap();
    assert!(made.notes[0].contains("rows lie apart"), "{:?}", made.notes);

    for rare in [1, 2] {
        let x = Array2::from_shape_fn((20 + rare, 4), |(i, j)| Seed(i as u64).rng(j as u64).normal());
        let data = Labelled::new(x, (0..20 + rare).map(|i| u32::from(i >= 20)).collect());
        let made = Rcal::default().resample(&data, Seed(0), &Silent).unwrap();
        assert_eq!(made.table(&data).counts(), [20, 20]);
        assert!(made.synthetic.iter().all(|v| v.is_finite()));
        assert!(made.origin[20 + rare..].iter().all(|o| matches!(o, Origin::Drawn { near } if *near >= 20)));
    }
    let data = Labelled::new(Array2::ones((9, 3)), vec![0, 0, 0, 0, 0, 0, 1, 1, 1]);
    let made = Rcal::default().resample(&data, Seed(0), &Silent).unwrap();
    assert!(made.synthetic.iter().all(|v| *v == 1.0), "nothing varies");
    let wide = Labelled::new(Array2::zeros((2, COLUMNS + 1)), vec![0, 1]);
    assert!(Rcal::default().calibrate(&wide, &Silent).unwrap_err().to_string().contains("4096"));
}
