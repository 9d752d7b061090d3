//! Weights as bounded functions of free variables: smaller extremes, fewer zeros, and better networks?

use super::{accuracy, split};
use crate::Trial;
use quadrat_core::{Evidence, Relation, Result, Seed, Silent};
use quadrat_nn::{Mlp, Optimizer, Parameters, Samples, Schedule, TrainMethod, Trainer, initialise};
use quadrat_regularize::{Compander, WeightCompander};

/// A small or noisy training set.
#[derive(Clone, Copy)]
struct Setting {
    name: &'static str,
    data: &'static str,
    train: usize,
    test: usize,
    noise: f64,
    epochs: usize,
}

/// What an arm may choose: learning rate, decay, and the compander's scale.
#[derive(Clone, Copy)]
struct Choice {
    rate: f64,
    decay: f64,
    scale: Option<f32>,
}

const PLAIN: &str = "weight decay";
const OURS: &str = "weight decay and compander";

/// Runs the experiment.
pub fn run(trial: &Trial) -> Result<Evidence> {
    let digits = |epochs| Setting { name: "300 digits", data: "digits", train: 300, test: 1_000, noise: 0.0, epochs };
    let clothes =
        Setting { name: "2,000 clothes", data: "fashion-mnist", train: 2_000, test: 4_000, noise: 0.0, epochs: 40 };
    let noisy = Setting { name: "2,000 noisy MNIST", data: "mnist", train: 2_000, test: 4_000, noise: 0.2, epochs: 40 };
    let land = Setting { name: "satimage", data: "satimage", train: 1_000, test: 3_000, noise: 0.0, epochs: 40 };
    let (settings, repeats) =
        trial.at((vec![digits(2)], 1), (vec![digits(60)], 3), (vec![digits(60), clothes, noisy, land], 8));
    let mut evidence = expectations(&settings);
    trial.progress.begin("repetitions", Some(repeats * settings.len() as u64));
    let (rates, decays, scales): (&[f64], &[f64], &[f32]) = trial.at(
        (&[0.05][..], &[5e-4][..], &[3.0][..]),
        (&[0.02, 0.1][..], &[5e-4, 5e-3][..], &[2.0, 3.0, 6.0][..]),
        (&[0.02, 0.1][..], &[5e-4, 5e-3][..], &[2.0, 3.0, 6.0][..]),
    );
    for setting in &settings {
        let seed = trial.seed.stream("weight-compander").stream(setting.name);
        let (plain, ours) = setting.tune(rates, decays, scales, seed.stream("tuning"))?;
        evidence.notes.push(format!(
            "{}: chosen on a split apart: rate {} and decay {} for weights as they are, rate {}, decay {} and a = {} \
             deviations for the compander.",
            setting.name,
            plain.rate,
            plain.decay,
            ours.rate,
            ours.decay,
            ours.scale.unwrap_or_default()
        ));
        for repeat in 0..repeats {
            quadrat_core::checkpoint(trial.progress)?;
            setting.repetition(repeat, plain, ours, seed.stream(&repeat.to_string()), &mut evidence)?;
            trial.progress.advance(1);
        }
    }
    identities(&mut evidence)?;
    Ok(evidence)
}

fn expectations(settings: &[Setting]) -> Evidence {
    let mut evidence = Evidence {
        paper: "On top of standard regularisation the compander improves accuracy; it limits large weights, and fewer \
                weights are near zero. (Its tables could not be read.)"
            .into(),
        experiment: "MLP with two layers of 256 rectified units, gradient descent with Nesterov momentum along a cosine, \
                     batches of 64. Each arm has its learning rate and decay chosen on a split apart: six trainings for \
                     weights as they are (two decays, three rates), and as many for the compander (four, then three \
                     scales at the best). Beside them: dropout 0.3, each with and without the compander, and weights \
                     clipped to its bound."
            .into(),
        ..Evidence::default()
    };
    for setting in settings {
        let name = setting.name;
        for (what, metric) in [
            ("the largest weight, in root mean squares, falls by a tenth or more", "max over rms"),
            ("the weights' kurtosis falls", "kurtosis"),
            ("fewer weights are within a tenth of the root mean square", "near zero"),
        ] {
            let margin = if metric == "max over rms" { -0.1 } else { 0.0 };
            let metric = format!("{metric}/{name}");
            let relation = Relation::Below(margin);
            evidence.expect(&format!("{name}: {what}"), &metric, "compander against same decay", None, relation);
        }
        let says = format!("{name}: the compander is more accurate than tuned weight decay alone");
        evidence.report(&says, &format!("accuracy/{name}"), OURS, Some(PLAIN), Relation::Above(0.0));
        let says = format!("{name}: with dropout too, the compander is more accurate");
        let (with, without) = ("dropout and compander", "dropout");
        evidence.report(&says, &format!("accuracy/{name}"), with, Some(without), Relation::Above(0.0));
        let says = format!("{name}: the compander is more accurate than clipping to its bound");
        evidence.report(&says, &format!("accuracy/{name}"), OURS, Some("clipped"), Relation::Above(0.0));
    }
    evidence.notes.push(
        "The function is the arctangent compander: the paper's own form could not be verified. Structure is compared \
         between two trainings that differ in the compander alone (same rate, decay, start and order of rows); the \
         relative change is averaged over the three kernels."
            .into(),
    );
    evidence
}

impl Setting {
    fn split(&self, seed: Seed) -> Result<(Samples, Samples)> {
        let (mut train, test) = split(self.data, self.train, self.test, seed)?;
        if let quadrat_nn::Targets::Classes { labels, classes } = &mut train.targets {
            let mut rng = seed.stream("noise").rng(0);
            for label in labels.iter_mut() {
                if rng.uniform() < self.noise {
                    *label = rng.below(*classes) as u32;
                }
            }
        }
        Ok((train, test))
    }

    fn trainer(&self, choice: Choice, seed: Seed) -> Trainer {
        Trainer {
            epochs: self.epochs,
            batch: 64,
            rate: choice.rate,
            schedule: Schedule::Cosine,
            optimizer: Optimizer::sgd(choice.decay),
            seed,
            ..Trainer::default()
        }
    }

    /// Train one arm; returns its parameters.
    fn fit(&self, choice: Choice, dropout: f32, train: &Samples, seed: Seed) -> Result<(Mlp, Parameters)> {
        let network = Mlp { dropout, ..Mlp::new(train.inputs.ncols(), &[256, 256], train.outputs()) };
        let mut compander = choice.scale.map(|scale| WeightCompander { scale, ..WeightCompander::default() });
        let mut methods: Vec<&mut dyn TrainMethod> = compander.iter_mut().map(|m| m as &mut dyn TrainMethod).collect();
        let fit = self.trainer(choice, seed).fit(&network, train, None, &mut methods, &Silent)?;
        Ok((network, fit.parameters))
    }

    /// The best choice without and with the compander: equally many trainings each.
    fn tune(&self, rates: &[f64], decays: &[f64], scales: &[f32], seed: Seed) -> Result<(Choice, Choice)> {
        let (train, test) = self.split(seed)?;
        let judge = |choice: Choice| -> Result<f64> {
            let (network, parameters) = self.fit(choice, 0.0, &train, seed)?;
            accuracy(&network, &parameters, &test)
        };
        let best = |choices: Vec<Choice>| -> Result<Choice> {
            let mut best = (f64::MIN, choices[0]);
            for choice in choices {
                let reached = judge(choice)?;
                if reached > best.0 {
                    best = (reached, choice);
                }
            }
            Ok(best.1)
        };
        let grid = |rates: &[f64], scale: Option<f32>| -> Vec<Choice> {
            rates.iter().flat_map(|&rate| decays.iter().map(move |&decay| Choice { rate, decay, scale })).collect()
        };
        let mut more = rates.to_vec();
        more.push((rates[0] * rates[rates.len() - 1]).sqrt());
        let plain = best(grid(&more, None))?;
        let middle = best(grid(rates, Some(scales[scales.len() / 2])))?;
        let ours = best(scales.iter().map(|&s| Choice { scale: Some(s), ..middle }).collect())?;
        Ok((plain, ours))
    }

    fn repetition(&self, repeat: u64, plain: Choice, ours: Choice, seed: Seed, evidence: &mut Evidence) -> Result<()> {
        let (train, test) = self.split(seed)?;
        let unregularised = Choice { decay: 0.0, ..plain };
        let bare = Choice { scale: None, ..ours };
        let arms = [
            ("none", unregularised, 0.0),
            (PLAIN, plain, 0.0),
            (OURS, ours, 0.0),
            ("dropout", plain, 0.3),
            ("dropout and compander", ours, 0.3),
        ];
        let mut record = |arm: &str, metric: &str, value: f64| {
            evidence.measure(arm, &format!("{metric}/{}", self.name), repeat, value);
        };
        let mut companded = None;
        for (arm, choice, dropout) in arms {
            let (network, parameters) = self.fit(choice, dropout, &train, seed)?;
            record(arm, "accuracy", accuracy(&network, &parameters, &test)?);
            if arm == OURS {
                companded = Some(parameters);
            }
        }
        let network = Mlp::new(train.inputs.ncols(), &[256, 256], train.outputs());
        let mut clip = Clip { bounds: Vec::new(), scale: ours.scale.unwrap_or(3.0) };
        let fit = self.trainer(bare, seed).fit(&network, &train, None, &mut [&mut clip], &Silent)?;
        record("clipped", "accuracy", accuracy(&network, &fit.parameters, &test)?);
        let (_, same_decay) = self.fit(bare, 0.0, &train, seed)?;
        if let Some(companded) = companded {
            let changes = structure(&companded)?.into_iter().zip(structure(&same_decay)?);
            for ((metric, with), (_, without)) in changes {
                record("compander against same decay", metric, with / without - 1.0);
            }
        }
        Ok(())
    }
}

/// Mean over kernels of: largest weight over root mean square, kurtosis, share within a tenth of the root mean square.
fn structure(parameters: &Parameters) -> Result<[(&'static str, f64); 3]> {
    let mut sums = [0.0; 3];
    let kernels = ["fc1.weight", "fc2.weight", "fc3.weight"];
    for name in kernels {
        let w: Vec<f64> = parameters.get(name)?.values().into_iter().map(f64::from).collect();
        let n = w.len() as f64;
        let square = w.iter().map(|w| w * w).sum::<f64>() / n;
        let fourth = w.iter().map(|w| w.powi(4)).sum::<f64>() / n;
        let top = w.iter().fold(0.0f64, |top, w| top.max(w.abs()));
        let small = w.iter().filter(|w| w.abs() < 0.1 * square.sqrt()).count() as f64 / n;
        for (sum, value) in sums.iter_mut().zip([top / square.sqrt(), fourth / (square * square), small]) {
            *sum += value / kernels.len() as f64;
        }
    }
    Ok([("max over rms", sums[0]), ("kurtosis", sums[1]), ("near zero", sums[2])])
}

/// Weights clipped to the compander's bound after every step: the bound without the bending.
struct Clip {
    bounds: Vec<(String, f32)>,
    scale: f32,
}

impl TrainMethod for Clip {
    fn name(&self) -> &str {
        "clip"
    }

    fn begin(&mut self, _: &quadrat_nn::Run<'_>, parameters: &mut Parameters) -> Result<()> {
        for parameter in parameters.iter().filter(|p| p.role == quadrat_nn::Role::Weight) {
            let w = parameter.values();
            let rms = (w.iter().map(|w| w * w).sum::<f32>() / w.len() as f32).sqrt();
            self.bounds.push((parameter.name.clone(), self.scale * rms * Compander::Arctan.bound()));
        }
        Ok(())
    }

    fn after_step(&mut self, _: quadrat_nn::At, parameters: &mut Parameters) -> Result<()> {
        for (name, bound) in &self.bounds {
            parameters.get_mut(name)?.update(|w| w.iter_mut().for_each(|w| *w = w.clamp(-bound, *bound)));
        }
        Ok(())
    }
}

/// The function's golden values, and what a small step on free variables does to weights.
fn identities(evidence: &mut Evidence) -> Result<()> {
    for (v, w) in [(0.0, 0.0), (0.1, 0.197_395_6), (0.5, std::f64::consts::FRAC_PI_4), (2.0, 1.325_817_7)] {
        let found = Compander::Arctan.weight(v, 1.0, 0.5);
        evidence.identity(&format!("arctan compander of {v} (a 1, b 0.5)"), f64::from(found), w, 1e-6);
        let back = Compander::Arctan.free(found, 1.0, 0.5);
        evidence.identity(&format!("its inverse at {v}"), f64::from(back), f64::from(v), 1e-5);
    }
    // One plain step of size eta on the free variables moves w by -eta (a/b)^2 cos^4(w/a) dL/dw, to first order.
    let inputs = ndarray::Array2::from_shape_fn((6, 5), |(i, j)| ((i * 3 + j * 2) % 7) as f32 / 3.0 - 1.0);
    let samples = Samples::classes(inputs, vec![0, 1, 0, 1, 1, 0], 2)?;
    let (network, eta) = (Mlp::new(5, &[8], 2), 1e-3);
    let start = initialise(&network, Seed(1))?;
    let mut method = WeightCompander { expansion: 1.5, ..WeightCompander::default() };
    let optimizer = Optimizer::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 };
    let trainer = Trainer { epochs: 1, rate: eta, schedule: Schedule::Constant, optimizer, ..Trainer::default() };
    let fit = trainer.fit_from(&network, start.clone(), &samples, None, &mut [&mut method], &Silent)?;
    let batch = samples.batch(quadrat_nn::At { epoch: 0, step: 0 }, &[0, 1, 2, 3, 4, 5]);
    let (_, slopes) = quadrat_nn::gradients(&network, &start, trainer.loss, &batch, Seed(0))?;
    let (mut apart, mut all) = (0.0, 0.0);
    for (name, a, b) in &method.layers {
        let (before, after) = (start.get(name)?.values(), fit.parameters.get(name)?.values());
        for ((w, moved), g) in before.iter().zip(after).zip(&slopes[start.position(name)?]) {
            let predicted = -eta * f64::from((a / b).powi(2) * (w / a).cos().powi(4) * g);
            apart += (f64::from(moved - w) - predicted).powi(2);
            all += predicted * predicted;
        }
    }
    evidence.identity("a step on free variables, relative distance to theory", (apart / all).sqrt(), 0.0, 1e-2);
    // The network starts as it would without the compander.
    let samples = Samples::classes(ndarray::Array2::from_elem((4, 5), 0.3), vec![0, 1, 0, 1], 2)?;
    let network = Mlp::new(5, &[8], 2);
    let start = initialise(&network, Seed(1))?;
    let trainer = Trainer { epochs: 1, rate: 1e-12, seed: Seed(1), ..Trainer::default() };
    let fit =
        trainer.fit_from(&network, start.clone(), &samples, None, &mut [&mut WeightCompander::default()], &Silent)?;
    let pairs = start.iter().zip(fit.parameters.iter()).flat_map(|(a, b)| a.values().into_iter().zip(b.values()));
    let apart = pairs.map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
    evidence.identity("the network starts as without the compander", apart, 0.0, 1e-6);
    Ok(())
}
