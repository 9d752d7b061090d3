//! The training loop's promises: same bits for any number of threads, exact resuming, hooks that leave no trace.

#![allow(clippy::unwrap_used, clippy::panic)]

use ndarray::Array2;
use quadrat_core::{Error, Progress, Seed, Silent};
use quadrat_nn::*;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Two noisy half-moons, more or less.
fn samples(n: usize) -> Samples {
    let mut rng = Seed(9).rng(0);
    let labels: Vec<u32> = (0..n).map(|i| (i % 3) as u32).collect();
    let inputs = Array2::from_shape_fn((n, 4), |(i, j)| {
        let class = labels[i] as f64;
        (class * (j as f64 - 1.5) + 0.5 * rng.normal()) as f32
    });
    Samples::classes(inputs, labels, 3).unwrap()
}

fn images(n: usize) -> Samples {
    let mut rng = Seed(8).rng(0);
    let labels: Vec<u32> = (0..n).map(|i| (i % 2) as u32).collect();
    let inputs = Array2::from_shape_fn((n, 64), |(i, j)| {
        (f64::from(labels[i]) * f64::from(j as u32 % 2) + 0.3 * rng.normal()) as f32
    });
    Samples::classes(inputs, labels, 2).unwrap()
}

/// Every model, with samples that it can learn.
fn models() -> Vec<(Model, Samples, Loss)> {
    let shape = [1, 8, 8];
    let next = Array2::from_shape_fn((12, 6), |(i, j)| ((i + j + 1) % 5) as f32);
    let tokens = Samples::values(Array2::zeros((12, 0)), next).unwrap();
    let tokens = tokens.with("tokens", Array2::from_shape_fn((12, 6), |(i, j)| ((i + j) % 5) as u32)).unwrap();
    let noise = Array2::from_shape_fn((6, 64), |(i, j)| ((i * j) % 7) as f32 / 7.0);
    let picture = Array2::from_shape_fn((6, 64), |(i, j)| ((i + j) % 5) as f32 / 5.0);
    let transformer = Transformer::causal(5, 6, 8, 2, 1);
    let llama = Transformer { tied: true, ..Transformer::llama(5, 6, 8, [4, 2], 12, 1) };
    let bert = Transformer::bert(5, 6, 8, 2, 1);
    let sentences =
        Samples::values(Array2::zeros((8, 0)), Array2::from_shape_fn((8, 8), |(i, j)| ((i + j) % 3) as f32))
            .and_then(|s| s.with("tokens", Array2::from_shape_fn((8, 6), |(i, j)| ((i * j) % 5) as u32)))
            .and_then(|s| s.with("types", Array2::from_shape_fn((8, 6), |(_, j)| u32::from(j > 2))))
            .and_then(|s| s.with("mask", Array2::from_shape_fn((8, 6), |(i, j)| f32::from(u8::from(j < 3 + i % 3)))))
            .unwrap();
    let conditioned = Samples::values(noise.clone(), picture.clone())
        .and_then(|s| s.with("time", Array2::from_shape_fn((6, 1), |(i, _)| 0.1 * i as f32)))
        .and_then(|s| s.with("condition", Array2::from_shape_fn((6, 2), |(i, j)| (i * j) as f32 / 3.0)))
        .unwrap();
    let dropped = Mlp { dropout: 0.2, input_dropout: 0.1, ..Mlp::new(4, &[12, 12], 3) };
    vec![
        (Model::Mlp(dropped), samples(30), Loss::CrossEntropy),
        (
            Model::ConvNet(ConvNet {
                filters: vec![3, 4],
                hidden: 8,
                norm: true,
                dropout: 0.2,
                ..ConvNet::new(shape, 2)
            }),
            images(12),
            Loss::CrossEntropy,
        ),
        (
            Model::ResNet(ResNet { width: 4, blocks: vec![1, 1], ..ResNet::new(shape, 2) }),
            images(12),
            Loss::Focal { gamma: 2.0 },
        ),
        (Model::Vit(Vit { width: 8, heads: 2, layers: 1, ..Vit::new(shape, 2) }), images(12), Loss::CrossEntropy),
        (
            Model::Vit(Vit { width: 8, heads: 2, layers: 2, prompts: vec![2, 0], ..Vit::new(shape, 2) }),
            images(12),
            Loss::CrossEntropy,
        ),
        (
            Model::UNet(UNet { classes: 3, ..UNet::new(shape, 16) }),
            Samples::values(noise, picture)
                .and_then(|s| s.with("time", Array2::from_shape_fn((6, 1), |(i, _)| 0.1 * i as f32)))
                .and_then(|s| s.with("class", Array2::from_shape_fn((6, 1), |(i, _)| i as u32 % 3)))
                .unwrap(),
            Loss::SquaredError,
        ),
        (
            Model::UNet(UNet { levels: vec![1], attention: vec![0, 1], condition: 2, ..UNet::new(shape, 16) }),
            conditioned,
            Loss::SquaredError,
        ),
        (Model::Transformer(transformer), tokens.clone(), Loss::Tokens { vocabulary: 5 }),
        (Model::Transformer(llama), tokens, Loss::Tokens { vocabulary: 5 }),
        (Model::Transformer(bert), sentences, Loss::SquaredError),
    ]
}

fn trainer(loss: Loss, epochs: usize) -> Trainer {
    Trainer {
        epochs,
        batch: 5,
        rate: 1e-2,
        loss,
        average: Some(0.9),
        clip: Some(5.0),
        seed: Seed(4),
        ..Trainer::default()
    }
}

fn on_threads<T: Send>(n: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap().install(work)
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for (model, samples, loss) in models() {
        let print = |threads| {
            on_threads(threads, || {
                let trainer = Trainer { patience: Some(1), ..trainer(loss, 2) };
                let fit = trainer.fit(&model, &samples, Some(&samples), &mut [], &Silent).unwrap();
                (fit.parameters.fingerprint(), fit.best, format!("{:?}", fit.curve))
            })
        };
        assert_eq!(print(1), print(2), "{model:?}");
        assert_eq!(print(2), print(3), "{model:?}");
    }
}

#[test]
fn a_training_taken_up_again_goes_on_as_if_nothing_had_happened() {
    let path = std::env::temp_dir().join(format!("quadrat-nn-resume-{}.safetensors", std::process::id()));
    for (model, samples, loss) in models() {
        for optimizer in [Optimizer::adamw(0.01), Optimizer::sgd(1e-3)] {
            let trainer = Trainer { optimizer, rate: 1e-3, patience: Some(3), ..trainer(loss, 4) };
            let whole = trainer.fit(&model, &samples, Some(&samples), &mut [], &Silent).unwrap();
            let start = || initialise(&model, trainer.seed.stream("parameters")).unwrap();
            let mut none: [&mut dyn TrainMethod; 0] = [];
            let mut first = Training::begin(&trainer, &model, start(), &samples, &mut none).unwrap();
            first.epoch(Some(&samples), &Silent).unwrap();
            first.epoch(Some(&samples), &Silent).unwrap();
            first.save(&path).unwrap();
            let mut none: [&mut dyn TrainMethod; 0] = [];
            let mut second = Training::begin(&trainer, &model, start(), &samples, &mut none).unwrap();
            second.restore(&path).unwrap();
            assert_eq!(second.epochs_done(), 2);
            while !second.is_done() {
                second.epoch(Some(&samples), &Silent).unwrap();
            }
            let fit = second.finish().unwrap();
            assert_eq!(fit.parameters.fingerprint(), whole.parameters.fingerprint(), "{model:?}");
            assert_eq!((fit.curve, fit.best), (whole.curve, whole.best));
        }
    }
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_checkpoint_of_another_training_is_refused_and_what_differs_is_named() {
    let path = std::env::temp_dir().join(format!("quadrat-nn-other-{}.safetensors", std::process::id()));
    let (rows, network) = (samples(30), Mlp::new(4, &[8], 3));
    let base = Trainer { epochs: 3, batch: 8, seed: Seed(1), ..Trainer::default() };
    let begun = |trainer: &Trainer, network: &Mlp, rows: &Samples, idle: bool, save: bool| {
        let mut idle = idle.then_some(Idle(0));
        let mut methods: Vec<&mut dyn TrainMethod> = idle.iter_mut().map(|m| m as _).collect();
        let start = initialise(network, trainer.seed.stream("parameters")).unwrap();
        let mut training = Training::begin(trainer, network, start, rows, &mut methods).unwrap();
        if save {
            training.epoch(Some(rows), &Silent).unwrap();
            training.save(&path).unwrap();
            return String::new();
        }
        match training.restore(&path) {
            Ok(()) => training.epoch(Some(&samples(12)), &Silent).unwrap_err().to_string(),
            Err(e) => e.to_string(),
        }
    };
    begun(&base, &network, &rows, false, true);
    let mut flipped = rows.clone();
    flipped.inputs[[3, 1]] += 1e-6;
    let weighed = rows.clone().weighed(&(1..=30).map(f64::from).collect::<Vec<_>>()).unwrap();
    let relabelled = Samples::classes(rows.inputs.clone(), vec![0; 30], 3).unwrap();
    let with = |change: fn(&mut Trainer)| {
        let mut trainer = base.clone();
        change(&mut trainer);
        begun(&trainer, &network, &rows, false, false)
    };
    for (message, names) in [
        (with(|t| t.seed = Seed(2)), "seed 1, not 2"),
        (with(|t| t.epochs = 30), "epochs 3, not 30"),
        (with(|t| t.rate = 0.1), "learning rate 0.001, not 0.1"),
        (with(|t| t.optimizer = Optimizer::sgd(0.0)), "optimiser"),
        (with(|t| t.schedule = Schedule::Constant), "schedule Cosine, not Constant"),
        (with(|t| t.loss = Loss::Focal { gamma: 2.0 }), "loss CrossEntropy, not Focal"),
        (with(|t| t.batch = 9), "batch 8, not 9"),
        (with(|t| t.average = Some(0.9)), "average none, not 0.9"),
        (with(|t| t.patience = Some(4)), "patience none, not 4"),
        (begun(&base, &network, &flipped, false, false), "training rows"),
        (begun(&base, &network, &relabelled, false, false), "training rows"),
        (begun(&base, &network, &weighed, false, false), "training rows"),
        (begun(&base, &Mlp { dropout: 0.5, ..Mlp::new(4, &[9], 3) }, &rows, false, false), "network"),
        (begun(&base, &network, &rows, true, false), "methods none, not idle"),
        (begun(&base, &network, &rows, false, false), "validation rows"),
    ] {
        assert!(message.contains(names), "{names}: {message}");
    }
    std::fs::remove_file(path).unwrap();
}

#[test]
fn the_best_epoch_is_returned_and_a_hopeless_run_stops() {
    // Labels that follow from nothing: what is learnt of them is noise, and the validation loss soon rises.
    let mut rng = Seed(7).rng(0);
    let mut noise = |n: usize| {
        let inputs = Array2::from_shape_fn((n, 8), |_| rng.normal() as f32);
        Samples::classes(inputs, (0..n).map(|_| rng.below(2) as u32).collect(), 2).unwrap()
    };
    let (train, held) = (noise(80), noise(80));
    let network = Mlp::new(8, &[64], 2);
    for average in [None, Some(0.9)] {
        let trainer = Trainer { epochs: 200, batch: 16, rate: 5e-3, patience: Some(5), average, ..Trainer::default() };
        let fit = trainer.fit(&network, &train, Some(&held), &mut [], &Silent).unwrap();
        let best = fit.best.unwrap();
        assert_eq!(fit.curve.len(), best + 5, "{:?}", fit.curve);
        let losses: Vec<f64> = fit.curve.iter().map(|e| e.validation_loss.unwrap()).collect();
        assert!(losses.iter().all(|loss| *loss >= losses[best - 1]));
        // The curve is that of the parameters that are returned, to the bit.
        let outputs = predict(&network, &fit.parameters, held.inputs.view(), &[]).unwrap();
        assert_eq!(mean_loss(Loss::CrossEntropy, &outputs, &held), losses[best - 1]);
        // Without validation rows there is nothing to judge by.
        let fit = Trainer { epochs: 7, ..trainer }.fit(&network, &train, None, &mut [], &Silent).unwrap();
        assert_eq!((fit.curve.len(), fit.best), (7, None));
    }
}

#[test]
fn a_slow_average_does_not_ruin_a_short_run() {
    let rows = samples(150);
    let network = Mlp::new(4, &[32], 3);
    let trainer = Trainer { epochs: 20, batch: 32, rate: 5e-3, seed: Seed(2), ..Trainer::default() };
    let accuracy = |average| {
        let fit = Trainer { average, ..trainer.clone() }.fit(&network, &rows, Some(&rows), &mut [], &Silent).unwrap();
        fit.curve.last().unwrap().validation_accuracy.unwrap()
    };
    let (plain, averaged) = (accuracy(None), accuracy(Some(0.999)));
    assert!(averaged > plain - 0.03, "{averaged} for {plain}");
}

#[test]
fn a_row_of_twice_the_weight_counts_as_two_rows() {
    let rows = samples(3);
    let network = Mlp::new(4, &[8], 3);
    let parameters = initialise(&network, Seed(1)).unwrap();
    let gradient = |samples: &Samples, rows: &[u32]| {
        let batch = samples.batch(At { epoch: 0, step: 0 }, rows);
        gradients(&network, &parameters, Loss::CrossEntropy, &batch, Seed(0)).unwrap()
    };
    let twice = gradient(&rows, &[0, 0, 1, 2]);
    let weighed = gradient(&rows.clone().weighed(&[2.0, 1.0, 1.0]).unwrap(), &[0, 1, 2]);
    assert!((twice.0 - weighed.0).abs() < 1e-6);
    for (a, b) in twice.1.iter().flatten().zip(weighed.1.iter().flatten()) {
        assert!((a - b).abs() < 1e-6, "{a} {b}");
    }
}

/// InfoNCE (van den Oord et al. 2018) in the batch: each row of the first half is asked for its twin among all of the second,
/// by inner products.
struct Contrast;

impl BatchLoss for Contrast {
    fn of(&self, _: &Batch, outputs: Tensor<2>) -> quadrat_core::Result<Tensor<1>> {
        let [n, width] = outputs.dims();
        let (first, second) = (outputs.clone().slice([0..n / 2, 0..width]), outputs.slice([n / 2..n, 0..width]));
        let twins = (0..n as u32 / 2).collect();
        Ok(ops::token_cross_entropy(first.matmul(second.transpose()), twins).mean())
    }
}

impl TrainMethod for Contrast {
    fn name(&self) -> &str {
        "contrast"
    }
    fn batch_loss(&self) -> Option<&dyn BatchLoss> {
        Some(self)
    }
}

/// Looks at the gradients of one step.
struct Seen(Vec<Vec<f32>>);

impl TrainMethod for Seen {
    fn name(&self) -> &str {
        "seen"
    }
    fn gradients(&mut self, _: At, _: &Parameters, gradients: &mut [Vec<f32>]) -> quadrat_core::Result<()> {
        self.0 = gradients.to_vec();
        Ok(())
    }
}

/// Rows and noisy copies of them.
fn views_of(rows: &Samples) -> TwoViews<'_> {
    let view =
        &|row: &mut [f32], rng: &mut quadrat_core::Rng| row.iter_mut().for_each(|v| *v += 0.2 * rng.normal() as f32);
    TwoViews { source: rows, view, seed: Seed(2) }
}

#[test]
fn a_loss_of_the_whole_batch_has_the_gradient_of_one_whole_pass() {
    let rows = samples(12);
    let views = views_of(&rows);
    let network = Mlp { activation: Activation::Tanh, ..Mlp::new(4, &[16], 3) };
    // One piece is one pass; with dropout pieces would draw differently.
    for loss in [Loss::Nothing, Loss::CrossEntropy] {
        let gradient = |pieces: usize, threads: usize| {
            on_threads(threads, || {
                let (mut seen, trainer) =
                    (Seen(Vec::new()), Trainer { epochs: 1, batch: 12, loss, pieces, ..Trainer::default() });
                let fit = trainer.fit(&network, &views, None, &mut [&mut Contrast, &mut seen], &Silent).unwrap();
                (seen.0, fit.curve[0].train_loss, fit.parameters.fingerprint())
            })
        };
        let (whole, split) = (gradient(1, 1), gradient(5, 1));
        assert_eq!(split, gradient(5, 3), "threads");
        assert!((whole.1 - split.1).abs() < 1e-6);
        for (a, b) in whole.0.iter().flatten().zip(split.0.iter().flatten()) {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
    }
    // Along the gradient the loss falls as it says.
    let trainer = Trainer { epochs: 60, batch: 12, rate: 1e-2, loss: Loss::Nothing, ..Trainer::default() };
    let fit = trainer.fit(&network, &views, Some(&views), &mut [&mut Contrast], &Silent).unwrap();
    let losses: Vec<f64> = fit.curve.iter().map(|epoch| epoch.validation_loss.unwrap()).collect();
    assert!(losses[59] < 0.6 * losses[0], "{} to {}", losses[0], losses[59]);
}

/// Asks for the outputs of all training rows.
struct Asks(usize);

impl TrainMethod for Asks {
    fn name(&self) -> &str {
        "asks"
    }
    fn end_epoch(&mut self, _: usize, model: &mut dyn EpochEnd) -> quadrat_core::Result<()> {
        self.0 = model.training_outputs()?.nrows();
        Ok(())
    }
}

#[test]
fn unlabelled_rows_beside_leave_the_loss_of_the_labelled_ones() {
    let (rows, others) = (samples(12), samples(40));
    let network = Mlp::new(4, &[16], 3);
    let trainer = Trainer { epochs: 1, batch: 5, ..Trainer::default() };
    let alone = trainer.fit(&network, &rows, None, &mut [], &Silent).unwrap();
    let both = Beside { labelled: &rows, unlabelled: &others, ratio: 2, seed: Seed(1) };
    let mut asks = Asks(0);
    let beside = trainer.fit(&network, &both, None, &mut [&mut asks], &Silent).unwrap();
    assert_eq!(asks.0, 12);
    assert!((alone.curve[0].train_loss - beside.curve[0].train_loss).abs() < 1e-5);
    let (a, b) = (alone.parameters.get("fc1.weight").unwrap(), beside.parameters.get("fc1.weight").unwrap());
    assert!(a.values().iter().zip(b.values()).all(|(a, b)| (a - b).abs() < 1e-4));
}

#[test]
fn windows_over_a_stream_of_tokens_are_learnt() {
    let tokens: Vec<u32> = (0..200).map(|i| [0, 1, 2, 3, 4][i % 5]).collect();
    let windows = TokenWindows::new(tokens, 6, 3).unwrap();
    let network = Transformer::causal(5, 6, 8, 2, 1);
    let trainer =
        Trainer { epochs: 20, batch: 8, rate: 1e-2, loss: Loss::Tokens { vocabulary: 5 }, ..Trainer::default() };
    let fit = trainer.fit(&network, &windows, Some(&windows), &mut [], &Silent).unwrap();
    assert!(fit.curve[19].validation_loss.unwrap() < 0.1, "{:?}", fit.curve[19]);
    let wrong = Trainer { loss: Loss::SquaredError, ..trainer };
    assert!(wrong.fit(&network, &windows, None, &mut [], &Silent).is_err());
}

/// Does nothing, but draws.
struct Idle(u64);

impl TrainMethod for Idle {
    fn name(&self) -> &str {
        "idle"
    }
    fn begin(&mut self, run: &Run<'_>, _: &mut Parameters) -> quadrat_core::Result<()> {
        self.0 = run.seed.rng(0).next_u64();
        Ok(())
    }
}

#[test]
fn a_method_that_changes_nothing_leaves_no_trace() {
    let (model, samples, loss) = models().remove(0);
    let plain = trainer(loss, 2).fit(&model, &samples, None, &mut [], &Silent).unwrap();
    let mut idle = Idle(0);
    let with = trainer(loss, 2).fit(&model, &samples, None, &mut [&mut idle], &Silent).unwrap();
    assert_eq!(plain.parameters.fingerprint(), with.parameters.fingerprint());
    assert_ne!(idle.0, 0);
}

#[test]
fn gradients_are_those_of_finite_differences() {
    for (model, samples, loss) in models() {
        // Chance would differ between evaluations.
        let model = match model {
            Model::Mlp(m) => Model::Mlp(Mlp { dropout: 0.0, input_dropout: 0.0, ..m }),
            Model::ConvNet(m) => Model::ConvNet(ConvNet { dropout: 0.0, norm: false, ..m }),
            other => other,
        };
        let parameters = initialise(&model, Seed(2)).unwrap();
        let batch = samples.batch(At { epoch: 0, step: 0 }, &[0, 1, 2, 3]);
        let loss_of = |p: &Parameters| gradients(&model, p, loss, &batch, Seed(0)).unwrap();
        let (_, found) = loss_of(&parameters);
        for (i, parameter) in parameters.iter().enumerate().filter(|(_, p)| p.trainable) {
            let n = found[i].len() as f64;
            let length = found[i].iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
            // Random directions: along the gradient that was found nothing would show that entries of it are missing.
            let mut missed = Vec::new();
            for draw in 0..4 {
                let mut rng = Seed(9).stream(&parameter.name).rng(draw);
                let direction: Vec<f64> = (0..found[i].len()).map(|_| rng.normal()).collect();
                let step = 2e-3 / n.sqrt();
                let moved = |sign: f64| {
                    let mut moved = parameters.clone();
                    let along = |w: &mut [f32]| {
                        w.iter_mut().zip(&direction).for_each(|(w, d)| *w += (sign * step * d) as f32);
                    };
                    moved.get_mut(&parameter.name).unwrap().update(along);
                    loss_of(&moved).0
                };
                let slope = (moved(1.0) - moved(-1.0)) / (2.0 * step);
                let wanted: f64 = found[i].iter().zip(&direction).map(|(g, d)| f64::from(*g) * d).sum();
                // The loss is in single precision, and rectifiers bend it within a step.
                let slack = 0.05 * length + 1e-4 * n.sqrt();
                if (slope - wanted).abs() >= slack {
                    missed.push((slope, wanted));
                }
            }
            // A bend may lie in the way of one direction; a wrong gradient shows in most.
            assert!(missed.len() < 2, "{model:?}, {}: {missed:?}", parameter.name);
        }
    }
}

/// An infinity is named by row and column before it makes the loss infinite.
#[test]
fn inputs_that_are_not_finite_are_named() {
    let samples = Samples::classes(Array2::zeros((6, 3)), vec![0, 1, 0, 1, 0, 1], 2).unwrap();
    for wrong in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
        let mut bad = samples.clone();
        bad.inputs[[4, 2]] = wrong;
        let network = Mlp::new(3, &[4], 2);
        let trainer = Trainer { epochs: 1, ..Trainer::default() };
        let error = trainer.fit(&network, &bad, None, &mut [], &Silent).unwrap_err().to_string();
        assert!(error.contains("row 4, column 2"), "{error}");
        let parameters = initialise(&network, Seed(1)).unwrap();
        let error = predict(&network, &parameters, bad.inputs.view(), &[]).unwrap_err().to_string();
        assert!(error.contains("row 4, column 2"), "{error}");
    }
}

#[test]
fn a_saved_model_is_the_model() {
    let path = std::env::temp_dir().join(format!("quadrat-nn-model-{}.safetensors", std::process::id()));
    for (model, samples, _) in models() {
        let parameters = initialise(&model, Seed(3)).unwrap();
        let notes = serde_json::json!({ "classes": ["a", "b"] });
        save_model(&path, &model, &parameters, &notes).unwrap();
        let (read, weights, kept) = load_model(&path).unwrap();
        assert_eq!((&read, &kept), (&model, &notes));
        assert_eq!(weights.fingerprint(), parameters.fingerprint());
        let outputs = |m: &Model, p| predict(m, p, &samples, &[]).unwrap();
        assert_eq!(outputs(&read, &weights), outputs(&model, &parameters));
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        assert!(load_model(&path).is_err());
        std::fs::write(&path, b"nothing of the kind").unwrap();
        assert!(load_model(&path).is_err());
    }
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(load_model(&path), Err(Error::Io { .. })));
}

#[test]
fn a_decoder_says_what_the_whole_pass_says() {
    let plain = Transformer::causal(7, 9, 8, 2, 2);
    let llama = Transformer::llama(7, 9, 16, [4, 2], 12, 2);
    let neighbours = ops::Rotary { pairing: ops::Pairing::Neighbours, base: 100.0 };
    let turned = Transformer { style: Style { rotary: Some(neighbours), ..llama.style }, tied: true, ..llama.clone() };
    for network in [&plain, &llama, &turned] {
        let parameters = initialise(network, Seed(1)).unwrap();
        let tokens = Array2::from_shape_fn((2, 9), |(i, j)| ((3 * i + 2 * j) % 7) as u32);
        let (none, others) = (Array2::zeros((2, 0)), Others::from([("tokens".to_owned(), tokens.clone().into())]));
        let whole = predict(network, &parameters, Rows::new(none.view(), &others), &[]).unwrap();
        let mut decoder = Decoder::new(network, &parameters).unwrap();
        let mut at = 0;
        for length in [3, 1, 1, 4] {
            let scores = decoder.next(&tokens.slice(ndarray::s![.., at..at + length]).to_owned()).unwrap();
            at += length;
            for ((row, k), score) in scores.indexed_iter() {
                assert!((score - whole[[row, (at - 1) * 7 + k]]).abs() < 1e-4);
            }
        }
        assert!(decoder.next(&Array2::zeros((2, 1))).is_err(), "the context is full");
        let mut decoder = Decoder::new(network, &parameters).unwrap();
        assert!(decoder.next(&Array2::from_elem((1, 1), 7)).is_err());
        decoder.next(&Array2::zeros((2, 1))).unwrap();
        assert!(decoder.next(&Array2::zeros((1, 1))).is_err(), "another number of sequences");
        assert!(Decoder::new(&Transformer { causal: false, ..network.clone() }, &parameters).is_err());
    }
}

/// What fills a row up changes nothing, and neither do types or positions that nobody sees.
#[test]
fn padding_is_not_seen() {
    let network = Transformer::bert(11, 6, 8, 2, 2);
    let parameters = initialise(&network, Seed(1)).unwrap();
    let encoded = |fill: u32| {
        let tokens = Array2::from_shape_fn((2, 6), |(i, j)| if j < 2 + 2 * i { (i + 3 * j) as u32 % 11 } else { fill });
        let mask = Array2::from_shape_fn((2, 6), |(i, j)| f32::from(u8::from(j < 2 + 2 * i)));
        let types = Array2::from_shape_fn((2, 6), |(_, j)| u32::from(j == 1));
        let others = [("tokens", Entries::from(tokens)), ("mask", mask.into()), ("types", types.into())];
        let others: Others = others.into_iter().map(|(name, entries)| (name.to_owned(), entries)).collect();
        predict(&network, &parameters, Rows::new(Array2::zeros((2, 0)).view(), &others), &[]).unwrap()
    };
    let (first, second) = (encoded(0), encoded(9));
    assert!(first.iter().zip(&second).all(|(a, b)| (a - b).abs() < 1e-6));
}

/// The form in which transformers and U-Nets were saved before they had settings.
#[test]
fn older_configurations_are_read() {
    for (old, new) in [
        (
            r#"{"model":"transformer","vocabulary":7,"context":9,"width":8,"heads":2,"layers":2,"causal":true}"#,
            Model::Transformer(Transformer::causal(7, 9, 8, 2, 2)),
        ),
        (
            r#"{"model":"unet","shape":[1,8,8],"width":16,"classes":3}"#,
            Model::UNet(UNet { classes: 3, ..UNet::new([1, 8, 8], 16) }),
        ),
    ] {
        assert_eq!(serde_json::from_str::<Model>(old).unwrap(), new);
    }
}

#[test]
fn networks_learn() {
    let samples = samples(300);
    let network = Mlp::new(4, &[32], 3);
    let fit = Trainer { epochs: 20, batch: 16, rate: 5e-3, seed: Seed(1), ..Trainer::default() };
    let fit = fit.fit(&network, &samples, Some(&samples), &mut [], &Silent).unwrap();
    let last = fit.curve.last().unwrap();
    assert!(last.validation_accuracy.unwrap() > 0.95, "{last:?}");
    assert!(last.train_loss < fit.curve[0].train_loss);
    let images = images(100);
    let network = ResNet { width: 4, blocks: vec![1, 1], ..ResNet::new([1, 8, 8], 2) };
    let fit = Trainer { epochs: 10, batch: 20, rate: 5e-3, seed: Seed(1), ..Trainer::default() };
    let fit = fit.fit(&network, &images, Some(&images), &mut [], &Silent).unwrap();
    assert!(fit.curve.last().unwrap().validation_accuracy.unwrap() > 0.95, "running statistics count too");
}

#[test]
fn what_does_not_fit_is_said() {
    let samples = samples(30);
    let network = Mlp::new(4, &[8], 3);
    let fit = |trainer: Trainer, network: &dyn Network| trainer.fit(network, &samples, None, &mut [], &Silent);
    let wrong = |trainer: Trainer| assert!(matches!(fit(trainer, &network), Err(Error::Input { .. })));
    wrong(Trainer { epochs: 0, ..Trainer::default() });
    wrong(Trainer { batch: 0, ..Trainer::default() });
    wrong(Trainer { pieces: 0, ..Trainer::default() });
    wrong(Trainer { rate: f64::NAN, ..Trainer::default() });
    wrong(Trainer { clip: Some(0.0), ..Trainer::default() });
    wrong(Trainer { average: Some(1.0), ..Trainer::default() });
    wrong(Trainer { patience: Some(0), ..Trainer::default() });
    wrong(Trainer { loss: Loss::Focal { gamma: -1.0 }, ..Trainer::default() });
    wrong(Trainer { loss: Loss::SquaredError, ..Trainer::default() });
    assert!(fit(Trainer::default(), &Mlp::new(5, &[8], 3)).is_err());
    assert!(fit(Trainer::default(), &Mlp::new(4, &[8], 2)).is_err());
    assert!(fit(Trainer::default(), &Mlp::new(4, &[0], 3)).is_err());
    let diverging = Trainer { rate: 1e30, optimizer: Optimizer::sgd(0.0), epochs: 5, batch: 10, ..Trainer::default() };
    assert!(matches!(fit(diverging, &network), Err(Error::Numeric { .. })));
    assert!(predict(&network, &initialise(&network, Seed(0)).unwrap(), Array2::zeros((2, 5)).view(), &[]).is_err());
    let none = predict(&network, &initialise(&network, Seed(0)).unwrap(), Array2::zeros((0, 4)).view(), &[]).unwrap();
    assert_eq!(none.dim(), (0, 3));
}

/// Stops after some steps.
struct Impatient(AtomicUsize);

impl Progress for Impatient {
    fn advance(&self, _: u64) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
    fn cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= 3
    }
}

#[test]
fn a_training_can_be_stopped() {
    let stopped = Trainer { batch: 5, ..Trainer::default() };
    let stopped = stopped.fit(&Mlp::new(4, &[8], 3), &samples(30), None, &mut [], &Impatient(AtomicUsize::new(0)));
    assert!(matches!(stopped, Err(Error::Cancelled)));
}

#[test]
fn piece_sizes_and_single_rows_are_no_trouble() {
    for n in [1, 2, 3, 7] {
        let fit = Trainer { epochs: 2, batch: 4, pieces: 3, ..Trainer::default() };
        let rows: Vec<u32> = (0..n).collect();
        let fit = fit.fit(&Mlp::new(4, &[8], 3), &samples(30).select(&rows), None, &mut [], &Silent).unwrap();
        assert!(fit.curve.iter().all(|epoch| epoch.train_loss.is_finite()));
    }
}
