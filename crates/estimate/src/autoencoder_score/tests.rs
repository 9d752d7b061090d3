//! The paper's statements where they are exact, and the answers to bad input.

use super::*;
use crate::chains::{Chains, Kernel};
use crate::score::{IsotropicMixture, Quadrature};
use ndarray::array;

fn normal_rows(n: usize, covariance_root: &Array2<f64>, seed: u64) -> Array2<f64> {
    let mut rng = Seed(seed).rng(0);
    Array2::from_shape_simple_fn((n, covariance_root.ncols()), || rng.normal()).dot(&covariance_root.t())
}

/// On N(0, S) the best linear r is R = S (S + s^2 I)^-1 for both criteria, with the score -(S + s^2 I)^-1 x of the smoothed
/// law; S here is the covariance of the rows themselves.
#[test]
fn a_linear_network_learns_the_closed_form() {
    let root = array![[1.0, 0.0], [0.6, 0.5]];
    let mut x = normal_rows(2000, &root, 1);
    let mean = x.mean_axis(Axis(0)).unwrap();
    x -= &mean;
    let s = 0.5;
    let smoothed = x.t().dot(&x) / 2000.0 + Array2::<f64>::eye(2) * (s * s);
    let inverse = quadrat_numeric::linalg::solve(smoothed.view(), Array2::eye(2).view()).unwrap();
    for criterion in [Criterion::Denoising, Criterion::Contractive(Penalty::Hutchinson)] {
        for skip in [true, false] {
            let learner = ScoreAutoencoder {
                noise: vec![s],
                criterion,
                hidden: Vec::new(),
                skip,
                learning_rate: 0.01,
                steps: 3000,
                batch: 256,
                standardise: false,
            };
            let model = learner.fit(x.view(), Seed(2), &Silent).unwrap();
            let jacobian = model.jacobian(array![0.0, 0.0].view());
            let error = (&jacobian + &inverse).mapv(|v| v * v).sum().sqrt() / inverse.mapv(|v| v * v).sum().sqrt();
            assert!(error < 0.02, "{criterion:?} skip {skip}: {error}");
            assert!(model.asymmetry(array![0.0, 0.0].view()) < 0.03);
        }
    }
}

fn ring(modes: usize, radius: f64, deviation: f64) -> IsotropicMixture {
    let angle = |i: usize| std::f64::consts::TAU * i as f64 / modes as f64;
    let centres =
        Array2::from_shape_fn((modes, 2), |(i, j)| radius * if j == 0 { angle(i).cos() } else { angle(i).sin() });
    IsotropicMixture::equal(centres, deviation).unwrap()
}

/// Relative L2 error of the model's score under the law of `at`.
fn relative_error(model: &dyn ScoreModel, truth: &IsotropicMixture, at: ArrayView2<f64>) -> f64 {
    let exact = truth.score(at);
    let norm = |a: &Array2<f64>| a.iter().map(|v| v * v).sum::<f64>().sqrt();
    norm(&(model.score(at) - &exact)) / norm(&exact)
}

#[test]
fn a_network_learns_the_score_of_the_smoothed_law() {
    let law = ring(3, 1.5, 0.6);
    let x = law.sample(20_000, &mut Seed(3).rng(0));
    let at = |s: f64| law.smoothed(s).sample(2000, &mut Seed(4).rng(0));
    let fit = |noise: &[f64], criterion| {
        let learner = ScoreAutoencoder {
            noise: noise.to_vec(),
            criterion,
            hidden: vec![64],
            steps: 1500,
            standardise: false,
            learning_rate: 5e-3,
            ..ScoreAutoencoder::default()
        };
        learner.fit(x.view(), Seed(5), &Silent).unwrap()
    };
    let s = 0.4;
    let model = fit(&[s], Criterion::Denoising);
    let (smoothed, plain) = (law.smoothed(s), &law);
    let error = relative_error(&model, &smoothed, at(s).view());
    assert!(error < 0.15, "denoising: {error}");
    assert!(error < 0.7 * relative_error(&model, plain, at(s).view()), "it is the smoothed law that is learnt");
    let contractive = relative_error(&fit(&[0.2], Criterion::Contractive(Penalty::Exact)), plain, at(0.0).view());
    assert!(contractive < 0.3, "contractive: {contractive}");
    let useless = relative_error(&fit(&[0.2], Criterion::Plain), plain, at(0.0).view());
    assert!(useless > 0.9, "plain: {useless}");

    // Two noises: the score of the equal mixture of the two smoothed laws.
    let both = fit(&[0.3, 0.9], Criterion::Denoising);
    let rows = at(0.6);
    let (narrow, wide) = (law.smoothed(0.3), law.smoothed(0.9));
    let odds = narrow.log_density(rows.view()).into_iter().zip(wide.log_density(rows.view()));
    let share = odds.map(|(a, b)| 1.0 / (1.0 + (b - a).exp())).collect::<Array1<f64>>().insert_axis(Axis(1));
    let exact = narrow.score(rows.view()) * &share + wide.score(rows.view()) * &(1.0 - &share);
    let norm = |a: &Array2<f64>| a.iter().map(|v| v * v).sum::<f64>().sqrt();
    let error = norm(&(both.score(rows.view()) - &exact)) / norm(&exact);
    assert!(error < 0.15, "mixture of noises: {error}");

    // What follows from the score.
    let modes = model.modes(array![[1.4, 0.1], [-0.8, 1.2]].view(), 1e-5, 2000).unwrap();
    let uphill = |row: usize| smoothed.log_density(modes.view())[row];
    assert!(uphill(0) > smoothed.log_density(array![[1.4, 0.1]].view())[0] && modes[[0, 0]] > 1.0, "{modes}");
    assert!(model.anomaly(modes.view()).unwrap().iter().all(|a| *a < 1e-2));
    assert!(model.anomaly(array![[4.0, 4.0]].view()).unwrap()[0] > 1.0);
    let ends = [array![[0.0, 0.0]], array![[1.5, 0.0]]];
    let found = model.log_ratio(ends[0].view(), ends[1].view(), Quadrature::default()).unwrap()[0];
    let exact = smoothed.log_density(ends[1].view())[0] - smoothed.log_density(ends[0].view())[0];
    assert!((found - exact).abs() < 0.15, "{found} {exact}");
    let drawn = Chains { kernel: Kernel::Metropolis, burn_in: 200, ..Chains::default() }
        .run(&model, x.slice(s![..16, ..]), 50, Seed(6), &Silent)
        .unwrap();
    assert!((0.2..0.55).contains(&drawn.acceptance), "{}", drawn.acceptance);
}

#[test]
fn units_are_folded_into_the_score() {
    let x = normal_rows(300, &array![[1.0, 0.0], [0.5, 1.0]], 7);
    let units = array![1e6, 1e-6];
    let shift = array![-3e7, 5.0];
    let learner = ScoreAutoencoder { steps: 200, ..ScoreAutoencoder::default() };
    let plain = learner.fit(x.view(), Seed(8), &Silent).unwrap();
    let scaled = learner.fit((&x * &units + &shift).view(), Seed(8), &Silent).unwrap();
    let at = array![[0.3, -0.4], [1.5, 2.0]];
    let (a, b) = (plain.score(at.view()), scaled.score((&at * &units + &shift).view()) * &units);
    assert!((&a - &b).iter().all(|e| e.abs() < 1e-3), "{a} {b}");
    // The derivative is the score's own, checked by differences.
    for (model, at, unit) in
        [(&plain, at.row(0).to_owned(), array![1.0, 1.0]), (&scaled, &at.row(1) * &units + &shift, units)]
    {
        let jacobian = model.jacobian(at.view()) * &unit * &unit.clone().insert_axis(Axis(1));
        for column in 0..2 {
            let mut move_by = Array1::zeros(2);
            move_by[column] = 1e-2 * unit[column];
            let of = |at: Array1<f64>| model.score(at.insert_axis(Axis(0)).view()).row(0).to_owned() * &unit;
            let difference = (of(&at + &move_by) - of(&at - &move_by)) / 2e-2;
            assert!((&difference - &jacobian.column(column)).iter().all(|e| e.abs() < 2e-2), "{difference} {jacobian}");
        }
    }
}

#[test]
fn held_out_rows_choose_the_noise() {
    let x = ring(2, 1.5, 0.3).sample(3000, &mut Seed(9).rng(0));
    let learner = ScoreAutoencoder { steps: 600, hidden: vec![32], learning_rate: 5e-3, ..ScoreAutoencoder::default() };
    let (noise, losses) = choose_noise(&learner, x.view(), &[0.1, 1.5], Seed(10), &Silent).unwrap();
    assert_eq!(noise, 0.1, "{losses:?}");
    assert!(choose_noise(&learner, x.view(), &[], Seed(10), &Silent).is_err());
    assert!(choose_noise(&learner, x.slice(s![..5, ..]), &[0.1], Seed(10), &Silent).is_err());
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let x = ring(3, 1.0, 0.3).sample(1500, &mut Seed(11).rng(0));
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let learner = ScoreAutoencoder { steps: 50, ..ScoreAutoencoder::default() };
            let (noise, losses) = choose_noise(&learner, x.view(), &[0.1, 0.3], Seed(12), &Silent).unwrap();
            let model = ScoreAutoencoder { noise: vec![noise], ..learner }.fit(x.view(), Seed(12), &Silent).unwrap();
            (losses, model.score(x.view()), model)
        })
    };
    assert_eq!(run(1), run(2));
}

#[test]
fn bad_arguments_are_errors() {
    struct Stopped;
    impl Progress for Stopped {
        fn cancelled(&self) -> bool {
            true
        }
    }
    let x = normal_rows(20, &Array2::eye(2), 13);
    let quick = ScoreAutoencoder { steps: 5, ..ScoreAutoencoder::default() };
    let fit = |learner: &ScoreAutoencoder, x: &Array2<f64>| learner.fit(x.view(), Seed(0), &Silent);
    for noise in [vec![], vec![0.0], vec![-1.0], vec![f64::NAN], vec![0.1, f64::INFINITY]] {
        assert!(fit(&ScoreAutoencoder { noise, ..quick.clone() }, &x).is_err());
    }
    let contractive = Criterion::Contractive(Penalty::Exact);
    for learner in [
        ScoreAutoencoder { steps: 0, ..quick.clone() },
        ScoreAutoencoder { batch: 1, ..quick.clone() },
        ScoreAutoencoder { hidden: vec![3, 0], ..quick.clone() },
        ScoreAutoencoder { learning_rate: f64::NAN, ..quick.clone() },
        ScoreAutoencoder { learning_rate: 1e30, steps: 200, ..quick.clone() },
        ScoreAutoencoder { hidden: vec![3, 3], criterion: contractive, ..quick.clone() },
        ScoreAutoencoder { hidden: vec![], criterion: Criterion::ContractiveEncoder, ..quick.clone() },
        ScoreAutoencoder { noise: vec![0.1, 0.2], criterion: contractive, ..quick.clone() },
    ] {
        assert!(fit(&learner, &x).is_err(), "{learner:?}");
    }
    let constant = array![[1.0, 0.1], [2.0, 0.1], [4.0, 0.1]];
    for (what, x) in [
        ("NaN", &x * f64::NAN),
        ("infinity", &x / 0.0),
        ("one row", x.slice(s![..1, ..]).to_owned()),
        ("no rows", Array2::zeros((0, 2))),
        ("no columns", Array2::zeros((5, 0))),
        ("constant column", constant.clone()),
    ] {
        assert!(fit(&quick, &x).is_err(), "{what}");
    }
    let error = fit(&quick, &constant).unwrap_err().to_string();
    assert!(error.starts_with("column 1"), "{error}");
    // Defined: duplicates, two rows, huge and tiny values, constant columns that are not standardised.
    for x in [array![[1.0, 2.0], [1.0, 2.0], [3.0, 4.0]], array![[0.0, 1.0], [1.0, 0.0]], &x * 1e150, &x * 1e-150] {
        let model = fit(&quick, &x).unwrap();
        assert!(model.score(x.view()).iter().all(|v| v.is_finite()), "{x}");
    }
    assert!(fit(&ScoreAutoencoder { standardise: false, ..quick.clone() }, &constant).is_ok());
    assert!(matches!(quick.fit(x.view(), Seed(0), &Stopped), Err(Error::Cancelled)));
    let model = fit(&quick, &x).unwrap();
    assert!(model.reconstruct(x.slice(s![.., ..1])).is_err() && model.anomaly((&x / 0.0).view()).is_err());
    assert!(model.modes(x.view(), 0.0, 5).is_err());
    assert_eq!(model.losses().len(), 1);
}
