use super::noising::Noised;
use super::*;
use crate::{Grid, MixtureDenoiser, Schedule, Solver, integrate, noise};
use ndarray::{Array1, array};
use quadrat_core::{Silent, stats};
use quadrat_nn::{At, Source};
use quadrat_numeric::mixture::{Covariances, Mixture};

fn rows(n: usize, seed: u64) -> Array2<f64> {
    let mut rng = Seed(seed).rng(0);
    Array2::from_shape_fn((n, 2), |(_, j)| if j == 0 { 1.0 + rng.normal() } else { 0.5 * rng.normal() })
}

fn start() -> At {
    At { epoch: 0, step: 0 }
}

/// A network learns the exact denoiser of one normal law, in every parametrisation: within a tenth of the data's deviation, where
/// answering the data's mean would miss by more than four tenths.
#[test]
fn networks_learn_the_posterior_mean() {
    let data = rows(2000, 1);
    let exact = MixtureDenoiser::new(Mixture {
        weights: array![1.0],
        means: array![[1.0, 0.0]],
        covariances: Covariances::Diagonal(array![[1.0, 0.25]]),
    })
    .unwrap();
    for parametrisation in <Parametrisation as quadrat_core::Choice>::CHOICES.iter().map(|choice| choice.value) {
        let mut network = NetworkDenoiser::mlp(2, &[48, 48], Seed(1)).unwrap().with(parametrisation);
        let course = Denoising { epochs: 60, rate: 3e-3, ..Denoising::default() };
        course.fit(&mut network, Noising::of(data.view()), None, Seed(1), &Silent).unwrap();
        for schedule in [Schedule::linear(), Schedule::edm(), Schedule::Flow] {
            let at = schedule.level(schedule.time_of(-(0.7f64.ln())));
            let x = exact.sample(400, &at, Seed(3)).unwrap();
            let [found, wanted] = [
                crate::data_prediction(&network, x.view(), &at).unwrap(),
                crate::data_prediction(&exact, x.view(), &at).unwrap(),
            ];
            let off: Vec<f64> = found.iter().zip(&wanted).map(|(a, b)| (a - b).powi(2)).collect();
            assert!(
                stats::mean(&off).sqrt() < 0.1,
                "{parametrisation:?} on {schedule:?}: {}",
                stats::mean(&off).sqrt()
            );
        }
    }
}

/// The ambient loss is stationary at the clean posterior mean, whatever noise rows have: at 200,000 draws the mean of its gradient along
/// a constant and along the sample is within 4.5 standard errors of 0 (two figures a level and arm: a false alarm in 30,000 runs).
#[test]
fn noisy_rows_teach_the_clean_posterior_mean() {
    let n = 200_000;
    let mut rng = Seed(4).rng(0);
    let clean = Array2::from_shape_fn((n, 1), |_| rng.normal());
    for (own, clamp) in [(0.0, false), (0.5, false), (1.5, false), (0.5, true)] {
        let sigma = vec![own; n];
        let noisy = clean.mapv(|v| v + own * rng.normal());
        let mut network = NetworkDenoiser::mlp(1, &[4], Seed(1)).unwrap();
        network.purpose.deviation = 1.0;
        let rows = Noising { noise: Some(&sigma), clamp, ..Noising::of(noisy.view()) };
        let all: Vec<u32> = (0..n as u32).collect();
        let batch = Noised { rows, denoiser: &network, seed: Seed(2) }.batch(start(), &all).unwrap();
        let (mut flat, mut along) = (Vec::new(), Vec::new());
        for i in 0..n {
            let ratio = (4.0 * f64::from(batch.inputs[[i, 1]])).exp();
            let Weights { skip, out, input } = network.weights(ratio);
            let z = f64::from(batch.inputs[[i, 0]]) / input;
            let answer = (z / (1.0 + ratio * ratio) - skip * z) / out;
            let weight = batch.weights.as_ref().map_or(1.0, |weights| f64::from(weights[i]));
            let gradient = weight * (answer - f64::from(batch.targets[[i, 0]]));
            flat.push(gradient);
            along.push(gradient * z * input);
        }
        for values in [flat, along] {
            let error = stats::standard_deviation(&values) / (n as f64).sqrt();
            let mean = stats::mean(&values);
            assert!(mean.abs() < 4.5 * error, "noise {own}, clamp {clamp}: {mean} for an error of {error}");
        }
    }
}

/// Levels of noisy rows lie above their own noise, and rows said to be clean are as rows of which nothing is said, to the bit.
#[test]
fn clean_rows_are_the_case_of_no_noise() {
    let (data, mut network) = (rows(300, 1), NetworkDenoiser::mlp(2, &[4], Seed(1)).unwrap());
    network.purpose.deviation = 0.8;
    let all: Vec<u32> = (0..300).collect();
    let batch = |rows: Noising<'_>| Noised { rows, denoiser: &network, seed: Seed(2) }.batch(start(), &all).unwrap();
    let (plain, zeros) = (batch(Noising::of(data.view())), vec![0.0; 300]);
    let said = batch(Noising { noise: Some(&zeros), ..Noising::of(data.view()) });
    assert_eq!((&plain.inputs, &plain.targets, &plain.weights), (&said.inputs, &said.targets, &said.weights));
    let sigma: Vec<f64> = (0..300).map(|i| if i % 2 == 0 { 0.0 } else { 4.0 }).collect();
    let mixed = batch(Noising { noise: Some(&sigma), ..Noising::of(data.view()) });
    for i in (1..300).step_by(2) {
        assert!(f64::from(4.0 * mixed.inputs[[i, 2]]).exp() >= 4.0 * (1.0 - 1e-5));
        assert_eq!(mixed.inputs.row(i - 1), plain.inputs.row(i - 1));
    }
}

#[test]
fn files_and_interruptions_change_no_bit() {
    let folder = tempfile::tempdir().unwrap();
    let (data, course) = (rows(200, 1), Denoising { epochs: 4, ..Denoising::default() });
    let fresh = || NetworkDenoiser::mlp(2, &[16], Seed(1)).unwrap();
    let mut whole = fresh();
    course.fit(&mut whole, Noising::of(data.view()), None, Seed(1), &Silent).unwrap();
    // Cut off after the second epoch, and taken up again.
    struct Cut(std::sync::atomic::AtomicUsize);
    impl quadrat_core::Progress for Cut {
        fn cancelled(&self) -> bool {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 4
        }
    }
    let (path, mut halves) = (folder.path().join("state.safetensors"), fresh());
    let cut = Cut(0.into());
    assert!(course.fit(&mut halves, Noising::of(data.view()), Some(&path), Seed(1), &cut).is_err());
    let mut halves = fresh();
    course.fit(&mut halves, Noising::of(data.view()), Some(&path), Seed(1), &Silent).unwrap();
    assert_eq!(whole.parameters.fingerprint(), halves.parameters.fingerprint());
    let file = folder.path().join("model.safetensors");
    whole.save(&file, serde_json::json!({"columns": ["a", "b"]})).unwrap();
    let (loaded, notes) = NetworkDenoiser::load(&file).unwrap();
    assert_eq!((loaded.purpose(), notes["columns"][1].as_str()), (whole.purpose(), Some("b")));
    let at = Schedule::edm().level(0.5);
    assert_eq!(loaded.predict(data.view(), &at).unwrap(), whole.predict(data.view(), &at).unwrap());
    assert!(NetworkDenoiser::load(&path).is_err() && NetworkDenoiser::load(folder.path()).is_err());
}

/// Gradients through the network against central differences, on a schedule that scales samples.
#[test]
fn what_is_pulled_back_is_the_jacobian() {
    let mut network = NetworkDenoiser::conditional_mlp(2, &[16, 16], [3, 1], Seed(1)).unwrap();
    network.purpose.deviation = 0.7;
    let network = network.of_class(2).unwrap().given(array![[0.4]].view()).unwrap();
    let at = Schedule::linear().level(0.4);
    let (x, u) = (array![[0.3, -0.2], [1.0, 2.0]], array![[1.0, -0.5], [0.2, 0.8]]);
    let (_, found) = network.pull_back(x.view(), &at, &mut |_| Ok(u.clone())).unwrap();
    for (i, j) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let at_moved = |by: f64| {
            let mut x = x.clone();
            x[[i, j]] += by;
            network.predict(x.view(), &at).unwrap().row(i).dot(&u.row(i))
        };
        let difference = (at_moved(1e-2) - at_moved(-1e-2)) / 2e-2;
        assert!((found[[i, j]] - difference).abs() < 2e-3, "{} for {difference}", found[[i, j]]);
    }
}

/// Two classes far apart: samples asked for one are of it, and without a class both come.
#[test]
fn classes_are_asked_for() {
    let n = 1000;
    let mut rng = Seed(1).rng(0);
    let classes: Vec<u32> = (0..n as u32).map(|i| i % 2).collect();
    let centre = |class: u32| if class == 0 { -1.0 } else { 1.0 };
    let data = Array2::from_shape_fn((n, 1), |(i, _)| centre(classes[i]) + 0.1 * rng.normal());
    let mut network = NetworkDenoiser::conditional_mlp(1, &[48, 48], [2, 0], Seed(1)).unwrap();
    let learnt = Noising { classes: Some(&classes), ..Noising::of(data.view()) };
    let course = Denoising { epochs: 100, rate: 3e-3, ..Denoising::default() };
    course.fit(&mut network, learnt, None, Seed(1), &Silent).unwrap();
    let plan = Solver::Dpmpp2m.plan(Schedule::edm(), &Grid::Karras, 15).unwrap();
    let draw = |denoiser: &NetworkDenoiser| {
        let starts = noise(&plan, 400, 1, Seed(2));
        integrate(&plan, denoiser, starts, Seed(2), &Silent).unwrap().into_iter().collect::<Array1<f64>>()
    };
    let above = |draws: &Array1<f64>| draws.iter().filter(|v| **v > 0.0).count() as f64 / 400.0;
    assert!(above(&draw(&network.of_class(0).unwrap())) < 0.05);
    assert!(above(&draw(&network.of_class(1).unwrap())) > 0.95);
    assert!((0.25..0.75).contains(&above(&draw(&network))));
}

#[test]
fn what_does_not_fit_is_refused() {
    let data = rows(20, 1);
    let fit = |network: &mut NetworkDenoiser, rows: Noising| {
        Denoising { epochs: 1, ..Denoising::default() }.fit(network, rows, None, Seed(1), &Silent)
    };
    let mut mlp = NetworkDenoiser::mlp(2, &[4], Seed(1)).unwrap();
    let (few, negative, nan) = (vec![0.1; 3], vec![-1.0; 20], array![[1.0, f64::NAN]]);
    let classes = vec![0u32; 20];
    let plain = Noising::of(data.view());
    for (what, rows) in [
        ("no rows", Noising::of(data.slice(s![..0, ..]))),
        ("one column", Noising::of(data.slice(s![.., ..1]))),
        ("not finite", Noising::of(nan.view())),
        ("few noises", Noising { noise: Some(&few), ..plain }),
        ("a negative noise", Noising { noise: Some(&negative), ..plain }),
        ("classes that it does not take", Noising { classes: Some(&classes), ..plain }),
        ("a condition that it does not take", Noising { condition: Some(data.view()), ..plain }),
        ("never with a class", Noising { without: 1.0, ..plain }),
    ] {
        assert!(fit(&mut mlp, rows).is_err(), "{what}");
    }
    let same = Array2::ones((20, 2));
    assert!(fit(&mut mlp, Noising::of(same.view())).is_err(), "rows that are all the same");
    assert!(NetworkDenoiser::mlp(0, &[4], Seed(1)).is_err() && NetworkDenoiser::mlp(2, &[0], Seed(1)).is_err());
    assert!(mlp.of_class(0).is_err() && mlp.given(data.view()).is_err());
    let odd = NetworkDenoiser::unet(UNet::new([1, 30, 28], 16), Seed(1)).unwrap_err().to_string();
    assert!(odd.contains("multiple of 4") && odd.contains("32"), "{odd}");
    assert!(NetworkDenoiser::unet(UNet::new([1, 8, 8], 12), Seed(1)).is_err());
    let unet = NetworkDenoiser::unet(UNet::new([1, 8, 8], 16), Seed(1)).unwrap();
    assert_eq!(unet.predict(Array2::zeros((2, 64)).view(), &Schedule::edm().level(1.0)).unwrap().dim(), (2, 64));
}
