use super::contrast::info_nce;
use super::*;
use quadrat_core::Silent;
use quadrat_nn::{Loss, Mlp, Samples, Trainer, Training, initialise, ops, tensor_of};

const WIDTH: usize = 64;

/// The loss from its definition, in double precision.
#[test]
fn the_contrast_is_its_definition() {
    let mut rng = Seed(4).rng(0);
    let mut rows = |n: usize| Array2::from_shape_simple_fn((n, WIDTH), || rng.normal() as f32);
    let (outputs, mut own, mut queue) = (rows(3), rows(3), rows(7));
    for keys in [&mut own, &mut queue] {
        keys.outer_iter_mut().for_each(|mut k| k /= k.dot(&k).sqrt());
    }
    let flat = |x: &Array2<f32>| x.iter().copied().collect::<Vec<f32>>();
    let losses = info_nce(tensor_of(outputs.view(), false), &flat(&own), &flat(&queue)).unwrap();
    let found: Vec<f32> = losses.into_data().try_to_vec().unwrap();
    for ((q, k), found) in outputs.outer_iter().zip(own.outer_iter()).zip(found) {
        let q = q.mapv(f64::from) / f64::from(q.dot(&q).sqrt());
        let power = |key: ndarray::ArrayView1<f32>| (q.dot(&key.mapv(f64::from)) / 0.2).exp();
        let all = power(k) + queue.outer_iter().map(power).sum::<f64>();
        assert!((f64::from(found) - (all / power(k)).ln()).abs() < 1e-4);
    }
    let alone = info_nce(tensor_of(outputs.view(), false), &flat(&own), &[]).unwrap();
    assert!(alone.into_data().try_to_vec::<f32>().unwrap().iter().all(|v| v.abs() < 1e-6));
}

/// Three clusters in eight columns, the last one rare.
fn samples() -> Samples {
    let mut rng = Seed(2).rng(0);
    let labels: Vec<u32> = (0..90).map(|i| [0, 1, 0, 1, 0, 1, 0, 1, 2][i % 9]).collect();
    let inputs = Array2::from_shape_fn((90, 8), |(i, j)| {
        (if j % 3 == labels[i] as usize { 2.0 } else { 0.0 } + 0.5 * rng.normal()) as f32
    });
    Samples::classes(inputs, labels, 3).unwrap()
}

fn method() -> Rcal {
    Rcal { contrast: 3, ..Rcal::default() }
}

fn trainer(epochs: usize) -> Trainer {
    Trainer { epochs, batch: 32, rate: 5e-3, seed: Seed(1), ..Trainer::default() }
}

#[test]
fn classes_are_balanced_by_draws_in_features_that_saw_no_label() {
    let (network, samples) = (Mlp::new(8, &[16], 3), samples());
    let mut method = method();
    let start = initialise(&network, Seed(0)).unwrap();
    trainer(1).fit_from(&network, start.clone(), &samples, None, &mut [&mut method], &Silent).unwrap();
    assert_eq!(method.state.bank.dim(), (90, 16));
    // 40, 40 and 10 rows.
    assert_eq!(method.state.drawn_labels, [2; 30]);
    let wrong = samples.labels().unwrap().iter().rev().copied().collect();
    let other = Samples::classes(samples.inputs.clone(), wrong, 3).unwrap();
    let mut again = self::method();
    trainer(1).fit_from(&network, start, &other, None, &mut [&mut again], &Silent).unwrap();
    assert_eq!(again.state.bank, method.state.bank, "labels do not matter to the features");
    assert_ne!(again.state.drawn_labels.len(), 0);
}

/// With all weight on the tie, features stay; without it they move.
#[test]
fn the_tie_holds_features_where_they_were() {
    let (network, samples) = (Mlp::new(8, &[16], 3), samples());
    let moved = |beta: f32| {
        let mut method = Rcal { beta, mixup: 0.0, ..method() };
        let start = initialise(&network, Seed(0)).unwrap();
        let fit = trainer(20).fit_from(&network, start, &samples, None, &mut [&mut method], &Silent).unwrap();
        let now = features(&network, &fit.parameters, &samples).unwrap();
        (&now - &method.state.bank).mapv(|d| d * d).sum()
    };
    assert!(moved(100.0) < 0.2 * moved(0.0), "{} {}", moved(100.0), moved(0.0));
}

#[test]
fn the_last_layer_steps_on_drawn_rows_by_the_gradient_of_their_cross_entropy() {
    let network = Mlp::new(8, &[16], 3);
    let parameters = initialise(&network, Seed(0)).unwrap();
    let run = |look: &mut dyn FnMut(&Run<'_>)| {
        let samples = samples();
        look(&Run { network: &network, data: &samples, loss: Loss::CrossEntropy, epochs: 1, steps: 1, seed: Seed(0) });
    };
    let mut name = String::new();
    run(&mut |run| name = LastLayer::name("test", run, &parameters).unwrap());
    let layer = LastLayer::read(&parameters, &name).unwrap();
    let mut rng = Seed(3).rng(0);
    let z = Array2::from_shape_simple_fn((5, 16), || rng.normal() as f32);
    let labels = [0, 1, 2, 2, 0];
    let loss = |layer: &LastLayer| {
        let scores = layer.scores(z.view());
        let each = scores.outer_iter().zip(labels).map(|(z, label)| {
            let total = ops::softmax_into(&z.to_vec(), &mut [0.0; 3]);
            f64::from(total - z[label])
        });
        each.sum::<f64>() / 5.0
    };
    let gradient = layer.cross_entropy(z.view(), &labels.map(|label| label as u32));
    for at in [[0, 3], [2, 15]] {
        let moved = |by: f32| {
            let mut layer = layer.clone();
            layer.weight[at] += by;
            loss(&layer)
        };
        let slope = (moved(1e-2) - moved(-1e-2)) / 2e-2;
        assert!((slope - f64::from(gradient.weight[at])).abs() < 1e-3);
    }
    let mut written = parameters.clone();
    LastLayer { weight: &layer.weight + 1.0, bias: &layer.bias - 1.0 }.write(&mut written, &name).unwrap();
    assert_eq!(LastLayer::read(&written, &name).unwrap().weight, &layer.weight + 1.0);
}

#[test]
fn a_run_goes_on_where_it_stopped() {
    let (network, samples) = (Mlp::new(8, &[16], 3), samples());
    let start = initialise(&network, Seed(0)).unwrap();
    let trainer = trainer(4);
    let whole = trainer.fit_from(&network, start.clone(), &samples, None, &mut [&mut method()], &Silent).unwrap();
    let path = std::env::temp_dir().join(format!("quadrat-rcal-{}.ckpt", std::process::id()));
    let (mut one, mut two) = (method(), method());
    let mut first: [&mut dyn TrainMethod; 1] = [&mut one];
    let mut training = Training::begin(&trainer, &network, start.clone(), &samples, &mut first).unwrap();
    (0..2).for_each(|_| training.epoch(None, &Silent).unwrap());
    training.save(&path).unwrap();
    let mut second: [&mut dyn TrainMethod; 1] = [&mut two];
    let mut training = Training::begin(&trainer, &network, start, &samples, &mut second).unwrap();
    training.restore(&path).unwrap();
    while !training.is_done() {
        training.epoch(None, &Silent).unwrap();
    }
    std::fs::remove_file(&path).unwrap();
    assert_eq!(training.finish().unwrap().parameters.fingerprint(), whole.parameters.fingerprint());
}
