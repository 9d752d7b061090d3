//! Tests of the whole method; a straight line with a decay has a best response in closed form.

use super::hyper::{softplus, softplus_inverse};
use super::*;
use crate::augment::shift_between;
use ndarray::Array1;
use proptest::prelude::*;
use quadrat_core::{Seed, Silent};
use quadrat_nn::{
    ConvNet, Inputs, Loss, Mlp, Network, Optimizer, Role, Schedule, Spec, Trainer, Training, mean_loss, predict,
};
use quadrat_numeric::linalg;

/// w·x.
struct Line(usize);

impl Network for Line {
    fn inputs(&self) -> usize {
        self.0
    }
    fn outputs(&self) -> usize {
        1
    }
    fn parameters(&self) -> Vec<Spec> {
        vec![Spec::new("line.weight", &[1, self.0], Role::Weight, quadrat_nn::Init::Normal(0.3))]
    }
    fn forward(&self, forward: &mut Forward, inputs: &Inputs) -> Result<Tensor<2>> {
        forward.linear("line", inputs.numbers())
    }
}

/// Few noisy rows for a line, and many to validate.
fn lines() -> (Samples, Samples) {
    let mut rng = Seed(4).rng(0);
    let mut rows = |n: usize| {
        let x = Array2::from_shape_simple_fn((n, 4), || rng.normal() as f32);
        let truth = Array1::from(vec![1.0f32, -0.5, 0.0, 0.25]);
        let y = x.dot(&truth).mapv(|y| y + 1.5 * rng.normal() as f32).insert_axis(Axis(1));
        Samples::values(x, y).unwrap()
    };
    (rows(12), rows(300))
}

/// Ridge regression with mean squared errors and λ/2 ‖w‖²: w*(λ) = Q (Λ + λ)⁻¹ Qᵀ c, for the Hessian Q Λ Qᵀ.
struct Ridge {
    eigenvalues: Vec<f64>,
    axes: Array2<f64>,
    c: Array1<f64>,
}

impl Ridge {
    fn of(samples: &Samples) -> Self {
        let (x, y) = numbers(samples);
        let scale = 2.0 / x.nrows() as f64;
        let (values, axes) = linalg::symmetric_eigen((x.t().dot(&x) * scale).view()).unwrap();
        Ridge { eigenvalues: values.to_vec(), axes, c: x.t().dot(&y) * scale }
    }
    /// w*(λ), or with `power` 2 (Λ + λ)⁻¹ w*(λ).
    fn weights(&self, decay: f64, power: i32) -> Array1<f64> {
        let mut turned = self.axes.t().dot(&self.c);
        turned.iter_mut().zip(&self.eigenvalues).for_each(|(t, e)| *t /= (e + decay).powi(power));
        self.axes.dot(&turned)
    }
}

fn numbers(samples: &Samples) -> (Array2<f64>, Array1<f64>) {
    let rows: Vec<u32> = (0..samples.len() as u32).collect();
    (samples.inputs.mapv(f64::from), samples.wanted(&rows).column(0).mapv(f64::from))
}

fn validation_loss(w: &Array1<f64>, samples: &Samples) -> f64 {
    let (x, y) = numbers(samples);
    (x.dot(w) - y).mapv(|r| r * r).mean().unwrap()
}

fn decay(value: f64, scale: f64) -> Vec<Hyper> {
    vec![Hyper { value, scale, ..Hyper::weight_decay() }]
}

fn line_trainer(epochs: usize) -> Trainer {
    Trainer {
        epochs,
        batch: 12,
        rate: 0.02,
        schedule: Schedule::Cosine,
        optimizer: Optimizer::adamw(0.0),
        loss: Loss::SquaredError,
        pieces: 1,
        seed: Seed(2),
        ..Trainer::default()
    }
}

#[test]
fn the_response_of_a_ridge_is_the_best_response() {
    let (train, validation) = lines();
    let mut method = SelfTuningNetwork {
        hypers: decay(0.5, 0.2),
        validation: Validation::Rows(validation.clone()),
        variant: Variant::Centred,
        rate: 0.0,
        scale_rate: 0.0,
        ..SelfTuningNetwork::default()
    };
    let (network, trainer) = (Line(4), line_trainer(4000));
    let start = quadrat_nn::initialise(&network, Seed(1)).unwrap();
    let mut methods: [&mut dyn TrainMethod; 1] = [&mut method];
    let mut training = Training::begin(&trainer, &network, start, &train, &mut methods).unwrap();
    while !training.is_done() {
        training.epoch(None, &Silent).unwrap();
    }
    let values = |name: &str| -> Array1<f64> {
        training.parameters().get(name).unwrap().values().iter().map(|&v| f64::from(v)).collect()
    };
    let gate = values("line.gate.weight")[0];
    let (w, answer) = (values("line.weight"), values("line.response.weight") * gate);
    let ridge = Ridge::of(&train);
    let (best, slope) = (ridge.weights(0.5, 1), 1.0 / (1.0 + (-softplus_inverse(0.5)).exp()));
    let exact = ridge.weights(0.5, 2) * -slope;
    let apart =
        |a: &Array1<f64>, b: &Array1<f64>| (a - b).mapv(|v| v * v).sum().sqrt() / b.mapv(|v| v * v).sum().sqrt();
    assert!(apart(&w, &best) < 0.03, "weights {w} against {best}");
    assert!(apart(&answer, &exact) < 0.1, "answer {answer} against {exact}");
    // The gradient of the validation loss along the answer is the implicit function theorem's.
    let (x, y) = numbers(&validation);
    let along = |w: &Array1<f64>, answer: &Array1<f64>| 2.0 * (x.dot(w) - &y).dot(&x.dot(answer)) / x.nrows() as f64;
    let (found, exact) = (along(&w, &answer), along(&best, &exact));
    assert!((found / exact - 1.0).abs() < 0.1, "{found} against {exact}");
}

#[test]
fn a_decay_moves_to_where_the_ridge_validates_best() {
    let (train, validation) = lines();
    let ridge = Ridge::of(&train);
    let loss = |decay: f64| validation_loss(&ridge.weights(decay, 1), &validation);
    for variant in [Variant::Plain, Variant::Centred] {
        for start in [0.02, 5.0] {
            let mut method = SelfTuningNetwork {
                hypers: decay(start, 0.5),
                validation: Validation::Rows(validation.clone()),
                variant,
                warmup: 200,
                ..SelfTuningNetwork::default()
            };
            line_trainer(1200).fit(&Line(4), &train, None, &mut [&mut method], &Silent).unwrap();
            let end = method.tuned.strengths()[0].1;
            let up = loss(start * 1.01) < loss(start);
            assert_eq!(end > start, up, "{variant:?} from {start} to {end}");
            assert!(loss(end) < loss(start), "{variant:?} from {start} to {end}");
        }
    }
}

fn classes(n: usize) -> Samples {
    let mut rng = Seed(3).rng(0);
    let labels: Vec<u32> = (0..n).map(|i| (i % 3) as u32).collect();
    let inputs = Array2::from_shape_fn((n, 64), |(i, j)| (f64::from(labels[i] * (j as u32 % 3)) + rng.normal()) as f32);
    Samples::classes(inputs, labels, 3).unwrap()
}

#[test]
fn folded_weights_give_the_gated_outputs() {
    let convolutions = ConvNet { filters: vec![4, 8], hidden: 16, ..ConvNet::new([1, 8, 8], 3) };
    let normed = ConvNet { norm: true, ..convolutions.clone() };
    let networks: [&dyn Network; 3] = [&Mlp::new(64, &[32, 16], 3), &convolutions, &normed];
    let (train, validation) = (classes(60), classes(33));
    let trainer = Trainer { epochs: 3, batch: 16, rate: 5e-3, ..Trainer::default() };
    for network in networks {
        for variant in [Variant::Plain, Variant::Centred] {
            let hypers = vec![
                Hyper { value: 0.4, ..Hyper::dropout("*") },
                Hyper::input_noise(),
                Hyper::label_smoothing(),
                Hyper::weight_decay(),
            ];
            let mut method = SelfTuningNetwork {
                hypers,
                validation: Validation::Rows(validation.clone()),
                variant,
                ..SelfTuningNetwork::default()
            };
            let fit = trainer.fit(network, &train, Some(&validation), &mut [&mut method], &Silent).unwrap();
            let best = method.tuned.best().unwrap();
            // Three ways: through the gates, through replaced weights in evaluation, and folded.
            let replaced = fit.curve[best.epoch - 1].validation_loss.unwrap();
            let scores = predict(network, &fit.parameters, validation.inputs.view(), &[]).unwrap();
            let folded = mean_loss(trainer.loss, &scores, &validation);
            assert!((best.loss - replaced).abs() < 1e-5 && (best.loss - folded).abs() < 1e-5, "{variant:?}");
            assert!(fit.curve.iter().all(|epoch| epoch.validation_loss.unwrap() >= best.loss - 1e-6));
            assert_eq!(fit.parameters.len(), network.parameters().len());
        }
    }
}

#[test]
fn a_share_is_held_out_and_everything_is_recorded() {
    let samples = classes(50);
    let mut method = SelfTuningNetwork::default();
    let network = Mlp::new(64, &[8], 3);
    let trainer = Trainer { epochs: 3, batch: 10, ..Trainer::default() };
    trainer.fit(&network, &samples, None, &mut [&mut method], &Silent).unwrap();
    let mut order: Vec<u32> = (0..50).rev().collect();
    method.order(0, &mut order).unwrap();
    assert_eq!(order.len(), 40);
    // Four batches an epoch, one epoch of warm-up: a validation step after steps 6, 8, 10 and 12.
    let schedule = method.tuned.schedule();
    assert_eq!(schedule.steps, [0, 6, 8, 10, 12]);
    assert_eq!((schedule.at(5), schedule.at(6)), (&schedule.values[0][..], &schedule.values[1][..]));
    assert_eq!(method.tuned.validation_steps(), 4);
    let kept = &method.tuned.best().unwrap().strengths;
    let told: Vec<_> = kept.iter().map(|(strength, value)| (strength.to_string(), *value)).collect();
    assert_eq!(method.found(), told);
    assert_eq!(told.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["dropout input", "dropout fc1"]);
    let mut again = schedule.clone();
    trainer.fit(&network, &samples, None, &mut [&mut again], &Silent).unwrap();
}

#[test]
fn a_decay_is_drawn_once_a_batch_and_others_row_by_row() {
    let hypers = vec![Hyper::weight_decay(), Hyper::input_noise()];
    let tuned = Tuned::begin(hypers, Vec::new(), classes(9), Vec::new(), Seed(1));
    let noise = tuned.noise("training", 3, 9);
    assert!(noise.column(0).iter().all(|v| *v == noise[[0, 0]]));
    assert!((1..9).all(|i| noise[[i, 1]] != noise[[0, 1]]));
}

/// Images of `shape` in a batch, all numbers different and above 0.
fn images(rows: usize, shape: [usize; 3]) -> Batch {
    let width = shape.iter().product();
    let inputs = Array2::from_shape_fn((rows, width), |(i, j)| 1.0 + (i * width + j) as f32);
    let samples = Samples::classes(inputs, vec![0; rows], 2).unwrap();
    samples.batch(At { epoch: 0, step: 0 }, &(0..rows as u32).collect::<Vec<_>>())
}

/// Every image is a shift of its original; of 25 shifts the rarest happens once in 64 images, so that one of the four
/// such is missing among 1,000 with a chance below 1e-6.
#[test]
fn shifts_go_as_far_as_they_may_and_all_happen() {
    let (shape, before) = ([2, 8, 6], images(1_000, [2, 8, 6]));
    let mut after = before.clone();
    // 0.3 of 8 and 6 pixels: between -2.4 and 2.4, and between -1.8 and 1.8.
    Strength::Shift(Some(shape)).apply(&mut after, &[0.3; 1_000], &mut Seed(1).rng(0)).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for (old, new) in before.inputs.outer_iter().zip(after.inputs.outer_iter()) {
        seen.insert(shift_between(&old.to_vec(), &new.to_vec(), [8, 6], 2).expect("a shift"));
    }
    assert_eq!(seen.len(), 25);
}

#[test]
fn cutout_clears_squares_and_nothing_at_none() {
    let before = images(300, [2, 8, 6]);
    let mut after = before.clone();
    Strength::Cutout(Some([2, 8, 6])).apply(&mut after, &[0.5; 300], &mut Seed(1).rng(0)).unwrap();
    let mut whole = 0;
    for (old, new) in before.inputs.outer_iter().zip(after.inputs.outer_iter()) {
        let dead: Vec<usize> = (0..96).filter(|i| new[*i] == 0.0).collect();
        assert!((0..96).all(|i| new[i] == old[i] || dead.contains(&i)));
        // The same rectangle in both channels, three pixels each way where the image is not at its end.
        let (one, other) = dead.split_at(dead.len() / 2);
        assert!(one.iter().zip(other).all(|(a, b)| a + 48 == *b));
        let sides = [6, 1].map(|step| one.iter().map(|i| i / step % if step == 6 { 8 } else { 6 }).collect::<Vec<_>>());
        let span = |at: &Vec<usize>| at.iter().max().unwrap() - at.iter().min().unwrap() + 1;
        let (high, wide) = (span(&sides[0]), span(&sides[1]));
        assert!(high <= 3 && wide <= 3 && one.len() == high * wide, "{one:?}");
        whole += usize::from(one.len() == 9);
    }
    assert!(whole > 0 && whole < 300);
    for strength in [Strength::Cutout(Some([2, 8, 6])), Strength::Shift(Some([2, 8, 6]))] {
        strength.apply(&mut before.clone(), &[f32::INFINITY; 300], &mut Seed(1).rng(0)).unwrap();
    }
    let mut after = before.clone();
    for strength in [Strength::Cutout(Some([2, 8, 6])), Strength::Shift(Some([2, 8, 6]))] {
        strength.apply(&mut after, &[0.0; 300], &mut Seed(1).rng(0)).unwrap();
    }
    assert_eq!(after.inputs, before.inputs);
}

/// Bars that lie across or upright: in training in the middle, in validation there, or up to two pixels away. Only where
/// they move are shifts found useful (of a dozen seeds all ended above 0.4 where they move and below 0.001 where not).
#[test]
fn shifts_grow_where_validation_images_move() {
    let bars = |n: usize, most: usize, seed: u64| {
        let mut rng = Seed(seed).rng(0);
        let mut inputs = Array2::<f32>::from_shape_simple_fn((n, 64), || 0.3 * rng.normal() as f32);
        let mut labels = Vec::new();
        for mut row in inputs.outer_iter_mut() {
            let upright = rng.below(2);
            let (y, x) = (3 + rng.below(2 * most + 1) - most, 3 + rng.below(2 * most + 1) - most);
            (0..3).for_each(|i| row[if upright == 1 { (y + i - 1) * 8 + x } else { y * 8 + x + i - 1 }] += 1.0);
            labels.push(upright as u32);
        }
        Samples::classes(inputs, labels, 2).unwrap()
    };
    let found = |most: usize, seed: u64| {
        let validation = Validation::Rows(bars(150, most, seed + 10));
        let hypers = vec![Hyper::shift()];
        let mut method = SelfTuningNetwork { hypers, validation, rate: 0.1, ..SelfTuningNetwork::default() };
        let trainer = Trainer { epochs: 25, batch: 50, rate: 0.003, seed: Seed(seed), ..Trainer::default() };
        trainer.fit(&Mlp::new(64, &[32], 2), &bars(300, 0, seed), None, &mut [&mut method], &Silent).unwrap();
        method.tuned.strengths()[0].1
    };
    for seed in 0..2 {
        let (moved, still) = (found(2, seed), found(0, seed));
        assert!(moved > 0.2 && still < 0.02, "{moved} {still}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let (train, network) = (classes(30), Mlp::new(64, &[8], 3));
    let refused = |method: SelfTuningNetwork, words: &str| {
        let trainer = Trainer { epochs: 3, batch: 10, ..Trainer::default() };
        let error = trainer.fit(&network, &train, None, &mut [&mut method.clone()], &Silent).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    let with = |hyper: Hyper| SelfTuningNetwork { hypers: vec![hyper], ..SelfTuningNetwork::default() };
    refused(with(Hyper { value: 0.0, ..Hyper::dropout("fc1") }), "the end of (0, 0.9); start inside, at 0.045");
    refused(with(Hyper { value: f64::NAN, ..Hyper::input_noise() }), "start between 0 and inf");
    refused(with(Hyper { value: -1.0, ..Hyper::input_noise() }), "start between 0 and inf");
    refused(with(Hyper { range: (0.0, 1.5), ..Hyper::dropout("fc1") }), "at most 1");
    refused(with(Hyper { range: (0.5, 0.5), ..Hyper::label_smoothing() }), "an upper end above it");
    refused(with(Hyper { scale: 0.0, ..Hyper::dropout("fc1") }), "scale of dropout fc1");
    refused(with(Hyper { scale: f64::INFINITY, ..Hyper::dropout("fc1") }), "a positive number");
    refused(with(Hyper { strength: Strength::Shift(Some([1, 4, 4])), ..Hyper::shift() }), "images of channels");
    refused(with(Hyper::dropout("fc7")), "the network drops out at: input, fc1");
    let validation = |validation| SelfTuningNetwork { validation, ..SelfTuningNetwork::default() };
    refused(SelfTuningNetwork { hypers: vec![], ..SelfTuningNetwork::default() }, "hyperparameters: got none");
    let twice = vec![Hyper::input_noise(), Hyper::input_noise()];
    refused(SelfTuningNetwork { hypers: twice, ..SelfTuningNetwork::default() }, "input noise twice");
    refused(SelfTuningNetwork { warmup: 3, ..SelfTuningNetwork::default() }, "nothing would be tuned");
    refused(SelfTuningNetwork { train_steps: 0, ..SelfTuningNetwork::default() }, "at least 1");
    refused(SelfTuningNetwork { rate: f64::NAN, ..SelfTuningNetwork::default() }, "rate");
    refused(validation(Validation::Share(0.0)), "a share that leaves rows");
    refused(validation(Validation::Share(f64::NAN)), "a share that leaves rows");
    refused(validation(Validation::Rows(train.clone())), "rows that are not trained on");
    refused(validation(Validation::Rows(train.select(&[]))), "no rows");
    refused(validation(Validation::Rows(lines().0)), "training has rows of 64 numbers with 3 classes");
    let mut holed = classes(9);
    holed.inputs[[2, 3]] = f32::NAN;
    refused(validation(Validation::Rows(holed)), "NaN in row 2, column 3");
}

#[test]
fn text_says_what_to_tune() {
    assert_eq!(Hyper::parse("dropout:fc1=0.3").unwrap(), Hyper { value: 0.3, ..Hyper::dropout("fc1") });
    assert_eq!(Hyper::parse("dropout").unwrap(), Hyper::dropout("*"));
    assert_eq!(Hyper::parse(" decay = 0.01").unwrap(), Hyper { value: 0.01, ..Hyper::weight_decay() });
    let wide = Hyper { strength: Strength::Shift(Some([1, 28, 14])), value: 0.1, ..Hyper::shift() };
    assert_eq!(Hyper::parse("shift:1x28x14=0.1").unwrap(), wide);
    assert_eq!(Hyper::parse("cutout").unwrap(), Hyper::cutout());
    for wrong in ["", "drop", "dropout=x", "noise=0", "smoothing=0.95", "noise:fc1", "shift:3", "cutout=1"] {
        assert!(Hyper::parse(wrong).is_err(), "{wrong}");
    }
    // Commas part a method's parameters on the command line.
    let build = |tune: &str| crate::build("stn", &quadrat_core::Params::from([("tune", tune)]));
    assert!(build("dropout:fc1=0.3+noise+smoothing+decay+shift+cutout").is_ok() && build("dropout,noise").is_err());
    let named =
        hyper::expand(&[Hyper::dropout("*"), Hyper { value: 0.5, ..Hyper::dropout("a") }], &["a", "b"].map(Into::into));
    let named: Vec<_> = named.unwrap().into_iter().map(|h| (h.strength.to_string(), h.value)).collect();
    assert_eq!(named, [("dropout b".to_owned(), 0.05), ("dropout a".to_owned(), 0.5)]);
}

#[test]
fn softplus_and_its_inverse_hold_at_extremes() {
    for y in [1e-300, 1e-12, 0.5, 1.0, 30.0, 800.0, 1e300] {
        assert!((softplus(softplus_inverse(y)) / y - 1.0).abs() < 1e-12, "{y}");
    }
    assert_eq!((softplus(-1e4), softplus(1e4)), (0.0, 1e4));
}

proptest! {
    /// Values and free coordinates are each other's inverses, and values stay in their range.
    #[test]
    fn maps_invert_each_other(u in -12.0f64..12.0, low in 0.0f64..0.4, width in 0.05f64..0.5, open in any::<bool>()) {
        let range = if open { (low, f64::INFINITY) } else { (low, low + width) };
        let hyper = Hyper { range, ..Hyper::input_noise() };
        let value = hyper.at(u);
        prop_assert!(range.0 < value && value < range.1);
        prop_assert!((hyper.free(value) - u).abs() < 1e-6 * (1.0 + u.abs()), "{u} {value}");
    }
}
