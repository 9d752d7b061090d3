//! Every training method, of whichever area, under the same conditions.

use ndarray::Array2;
use quadrat::nn::{
    self, Beside, ConvNet, Mlp, Network, Samples, Source, TrainMethod, Trainer, Training, TwoViews, initialise, predict,
};
use quadrat::training_method as build;
use quadrat::{Card, Error, Params, Rng, Seed, Silent, regularize, robust};

/// What trains or searches networks of its own.
const NO_HOOKS: [&str; 4] = ["random-sparse-search", "ticket-reprogramming", "quantnas", "ovor"];

fn cards() -> Vec<&'static Card> {
    [robust::training::cards(), regularize::cards()].concat()
}

/// All others, each of which must be built.
fn hooks() -> Vec<&'static str> {
    cards().into_iter().map(|card| card.slug).filter(|slug| !NO_HOOKS.contains(slug)).collect()
}

fn samples() -> Samples {
    let mut rng = Seed(3).rng(0);
    let labels: Vec<u32> = (0..60).map(|i| (i % 3) as u32).collect();
    let inputs =
        Array2::from_shape_fn((60, 64), |(i, j)| (f64::from(labels[i] * (j as u32 % 3)) + rng.normal()) as f32);
    Samples::classes(inputs, labels, 3).unwrap()
}

/// Runs `test` with rows for these methods: for some of them with unlabelled ones beside.
fn with_rows<T>(methods: &[&str], test: impl FnOnce(&dyn Source) -> T) -> T {
    let samples = samples();
    let few = |slug: &&str| build(slug, &Params::none()).unwrap().reads_unlabelled();
    if !methods.iter().any(few) {
        return test(&samples);
    }
    let (seed, unchanged) = (Seed(9), |_: &mut [f32], _: &mut Rng| {});
    let twice = TwoViews { source: &samples, view: &unchanged, seed };
    test(&Beside { labelled: &samples, unlabelled: &twice, ratio: 2, seed })
}

fn networks() -> Vec<Box<dyn Network>> {
    let convolutions = ConvNet { filters: vec![4, 8], hidden: 16, ..ConvNet::new([1, 8, 8], 3) };
    vec![Box::new(Mlp::new(64, &[32, 16], 3)), Box::new(convolutions)]
}

fn trainer() -> Trainer {
    Trainer { epochs: 4, batch: 16, rate: 5e-3, seed: Seed(6), ..Trainer::default() }
}

#[test]
fn every_hook_is_built_and_says_its_name() {
    for slug in hooks() {
        let hook = build(slug, &Params::none()).unwrap_or_else(|e| panic!("{slug}: {e}"));
        assert_eq!(hook.name(), slug);
    }
    for slug in NO_HOOKS {
        assert!(build(slug, &Params::none()).is_err(), "{slug}");
    }
    for card in robust::series::cards() {
        let error = build(card.slug, &Params::none()).err().unwrap().to_string();
        assert!(error.contains("--series"), "{error}");
    }
}

#[test]
fn what_a_fine_tuning_changed_is_put_on_and_taken_off() {
    let samples = samples();
    for slug in hooks() {
        for network in networks() {
            let mut method = build(slug, &Params::none()).unwrap();
            let start = trainer().fit(&*network, &samples, None, &mut [], &Silent).unwrap().parameters;
            let fit = with_rows(&[slug], |rows| {
                trainer().fit_from(&*network, start.clone(), rows, None, &mut [&mut *method], &Silent).unwrap()
            });
            let delta = method.delta(&fit.parameters).unwrap();
            assert_eq!(delta.is_some(), method.fine_tunes(), "{slug}");
            let Some(delta) = delta else { continue };
            let mut parameters = start.clone();
            delta.apply(&mut parameters).unwrap();
            assert_eq!(parameters.fingerprint(), fit.parameters.fingerprint(), "{slug}");
            delta.remove(&mut parameters).unwrap();
            assert_eq!(parameters.fingerprint(), start.fingerprint(), "{slug}");
        }
    }
}

#[test]
fn what_is_said_of_a_mixture_belongs_to_no_row() {
    for pair in [["mixup", "elr"], ["elr", "mixup"]] {
        let mut methods = pair.map(|slug| build(slug, &Params::none()).unwrap());
        let mut hooks: Vec<&mut dyn TrainMethod> = methods.iter_mut().map(|m| &mut **m as _).collect();
        let error = trainer().fit(&*networks()[0], &samples(), None, &mut hooks, &Silent).unwrap_err().to_string();
        assert!(error.contains("a batch of mixtures"), "{pair:?}: {error}");
    }
}

#[test]
fn mixtures_and_earlier_predictions_go_together() {
    for pair in [["mixup", "ps-kd"], ["ps-kd", "mixup"]] {
        let mut methods = pair.map(|slug| build(slug, &Params::none()).unwrap());
        let mut hooks: Vec<&mut dyn TrainMethod> = methods.iter_mut().map(|m| &mut **m as _).collect();
        trainer().fit(&*networks()[0], &samples(), None, &mut hooks, &Silent).unwrap();
        let found: Vec<_> = methods.iter().flat_map(|method| method.found()).collect();
        assert_eq!(found, [("ps-kd: share of targets that were softened".to_owned(), 0.0)], "{pair:?}");
    }
    // Predictions of the epoch's end are of rows by themselves; the mixture is then of softened targets.
    let mut methods =
        [build("ps-kd", &Params::from([("teacher", "epoch-end")])).unwrap(), build("mixup", &Params::none()).unwrap()];
    let mut hooks: Vec<&mut dyn TrainMethod> = methods.iter_mut().map(|m| &mut **m as _).collect();
    trainer().fit(&*networks()[0], &samples(), None, &mut hooks, &Silent).unwrap();
    assert!(methods[0].found().is_empty(), "all were softened");
}

#[test]
fn every_hook_trains_every_network_to_plain_parameters() {
    let samples = samples();
    for slug in hooks() {
        for network in networks() {
            let mut method = build(slug, &Params::none()).unwrap();
            let start = initialise(&*network, trainer().seed.stream("parameters")).unwrap();
            let fit = with_rows(&[slug], |rows| {
                trainer().fit_from(&*network, start.clone(), rows, None, &mut [&mut *method], &Silent)
            });
            let fit = fit.unwrap_or_else(|e| panic!("{slug}: {e}"));
            let names = |p: &nn::Parameters| p.iter().map(|p| (p.name.clone(), p.len())).collect::<Vec<_>>();
            assert_eq!(names(&fit.parameters), names(&start), "{slug} leaves nothing behind");
            let scores = predict(&*network, &fit.parameters, samples.inputs.view(), &[]).unwrap();
            assert!(scores.iter().all(|v| v.is_finite()), "{slug}");
            assert!(fit.curve[3].train_loss.is_finite());
        }
    }
}

#[test]
fn same_seed_same_bits_at_one_and_two_threads() {
    for slug in hooks() {
        for network in networks() {
            let print = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| {
                    let mut method = build(slug, &Params::none()).unwrap();
                    let fit = with_rows(&[slug], |rows| {
                        trainer().fit(&*network, rows, None, &mut [&mut *method], &Silent).unwrap()
                    });
                    fit.parameters.fingerprint()
                })
            };
            assert_eq!(print(1), print(2), "{slug}");
        }
    }
}

#[test]
fn every_hook_goes_on_exactly_where_it_was_saved() {
    let path = std::env::temp_dir().join(format!("quadrat-training-{}.safetensors", std::process::id()));
    for slug in hooks() {
        for network in networks() {
            with_rows(&[slug], |rows| goes_on(slug, &*network, rows, &path));
        }
    }
    std::fs::remove_file(path).unwrap();
}

fn goes_on(slug: &str, network: &dyn Network, rows: &dyn Source, path: &std::path::Path) {
    let trainer = trainer();
    let start = || initialise(network, trainer.seed.stream("parameters")).unwrap();
    let mut method = build(slug, &Params::none()).unwrap();
    let whole = trainer.fit_from(network, start(), rows, None, &mut [&mut *method], &Silent).unwrap();
    for saved_after in [1, 3] {
        let mut method = build(slug, &Params::none()).unwrap();
        let mut methods: [&mut dyn TrainMethod; 1] = [&mut *method];
        let mut first = Training::begin(&trainer, network, start(), rows, &mut methods).unwrap();
        for _ in 0..saved_after {
            first.epoch(None, &Silent).unwrap();
        }
        first.save(path).unwrap();
        let mut method = build(slug, &Params::none()).unwrap();
        let mut methods: [&mut dyn TrainMethod; 1] = [&mut *method];
        let mut second = Training::begin(&trainer, network, start(), rows, &mut methods).unwrap();
        second.restore(path).unwrap();
        while !second.is_done() {
            second.epoch(None, &Silent).unwrap();
        }
        let fit = second.finish().unwrap();
        assert_eq!(fit.parameters.fingerprint(), whole.parameters.fingerprint(), "{slug} after {saved_after}");
    }
}

/// Whether two methods go together or not, nothing panics, and a network that was trained is a plain one.
#[test]
fn every_pair_trains_or_says_why_not() {
    let samples = samples();
    let trainer = Trainer { epochs: 2, ..trainer() };
    for network in networks() {
        for first in hooks() {
            for second in hooks().into_iter().filter(|second| *second != first) {
                let mut pair = [first, second].map(|slug| build(slug, &Params::none()).unwrap());
                let mut hooks: Vec<&mut dyn TrainMethod> = pair.iter_mut().map(|m| &mut **m as _).collect();
                let fit = with_rows(&[first, second], |rows| {
                    trainer.fit(&*network, rows, Some(&samples), &mut hooks, &Silent)
                });
                match fit {
                    Ok(fit) => {
                        let scores = predict(&*network, &fit.parameters, samples.inputs.view(), &[]).unwrap();
                        assert!(scores.iter().all(|v| v.is_finite()), "{first}, {second}");
                    }
                    Err(e) => assert!(matches!(e, Error::Input { .. }), "{first}, {second}: {e}"),
                }
            }
        }
    }
}

#[test]
fn hooks_work_together() {
    let samples = samples();
    let network = Mlp::new(64, &[32, 16], 3);
    let mut methods: Vec<_> =
        ["ps-kd", "label-smoothing", "random-pruning"].map(|slug| build(slug, &Params::none()).unwrap()).into();
    let mut hooks: Vec<&mut dyn TrainMethod> = methods.iter_mut().map(|m| &mut **m as &mut dyn TrainMethod).collect();
    assert!(trainer().fit(&network, &samples, None, &mut hooks, &Silent).is_ok());
}

/// A checkpoint tells settings apart by these words.
#[test]
fn every_parameter_shows_in_the_settings() {
    let other = |default: &str| match default {
        "true" => "false".to_owned(),
        "false" => "true".to_owned(),
        "hard" => "soft".to_owned(),
        number => number.parse::<f64>().map(|v| (v / 2.0).to_string()).unwrap_or_default(),
    };
    for slug in hooks() {
        let card = cards().into_iter().find(|card| card.slug == slug).unwrap();
        let plain = build(slug, &Params::none()).unwrap().settings();
        assert!(card.params.is_empty() || !plain.is_empty(), "{slug} has no settings");
        for param in card.params {
            for value in [other(param.default), "2".to_owned(), "100".to_owned()] {
                // What is no number of this kind is not told apart here.
                if let Ok(method) = build(slug, &Params::from([(param.name, value.as_str())]))
                    && value != param.default
                {
                    assert_ne!(method.settings(), plain, "{slug}: {} {value}", param.name);
                }
            }
        }
    }
}

#[test]
fn unknown_names_and_parameters_are_refused() {
    for slug in hooks() {
        let unknown = build(slug, &Params::from([("no-such-parameter", "1")]));
        assert!(matches!(unknown, Err(Error::Input { .. })), "{slug}");
    }
    assert!(build("nothing", &Params::none()).is_err());
    assert!(build("random-sparse-search", &Params::none()).is_err(), "no hook");
    assert!(build("ps-kd", &Params::from([("alpha", "1.5")])).is_err());
    assert!(build("random-pruning", &Params::from([("density", "0")])).is_err());
    assert!(build("label-smoothing", &Params::from([("rate", "1")])).is_err());
    assert!(build("mixup", &Params::from([("alpha", "0")])).is_err());
    assert!(build("augment", &Params::from([("shape", "28x28")])).is_err());
    assert!(build("augment", &Params::from([("crop", "0")])).is_err());
    assert!(build("input-noise", &Params::from([("deviation", "-1")])).is_err());
    assert!(build("lora", &Params::from([("rank", "0")])).is_err());
    assert!(build("sara", &Params::from([("threshold", "0.1"), ("budget", "5")])).is_err());
    assert!(build("weight-compander", &Params::from([("scale", "-1")])).is_err());
    for (method, name, value) in [
        ("fixmatch", "tau", "1"),
        ("flexmatch", "lambda", "-1"),
        ("shrinkmatch", "gaps", "1"),
        ("pseudo-label", "noise", "-1"),
        ("saa", "alpha", "0"),
        ("saa", "warmup", "2"),
        ("rand-augment", "cut-out", "2"),
        ("elr", "beta", "1"),
        ("elr", "lambda", "-1"),
        ("generalised-cross-entropy", "q", "0"),
        ("bootstrap", "share", "1.5"),
        ("bootstrap", "kind", "medium"),
        ("logit-adjustment", "tau", "-1"),
        ("batchformer", "heads", "0"),
        ("batchformer", "dropout", "1"),
    ] {
        assert!(build(method, &Params::from([(name, value)])).is_err(), "{method} {name}={value}");
    }
}
