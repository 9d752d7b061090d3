//! Random pruning at initialisation: does the gap to dense training close as networks grow?

use super::{accuracy, split};
use crate::Trial;
use crate::figures::point;
use quadrat_core::{Evidence, Plot, Relation, Result, Seed, Series, Silent, stats};
use quadrat_nn::{Mlp, Optimizer, Samples, Schedule, TrainMethod, Trainer};
use quadrat_regularize::{FixedMask, Layer, RandomPruning, Rule, densities, global_masks};

/// The size of the experiment.
struct Plan {
    train: usize,
    test: usize,
    epochs: usize,
    widths: &'static [usize],
    densities: &'static [f64],
    repeats: u64,
}

/// Runs the experiment.
pub fn run(trial: &Trial) -> Result<Evidence> {
    let plan = trial.at(
        Plan { train: 300, test: 200, epochs: 1, widths: &[16, 32], densities: &[0.1], repeats: 1 },
        Plan { train: 4_000, test: 2_000, epochs: 15, widths: &[64, 256], densities: &[0.05], repeats: 3 },
        Plan {
            train: 4_000,
            test: 2_000,
            epochs: 15,
            widths: &[32, 64, 128, 256, 512],
            densities: &[0.1, 0.05, 0.02],
            repeats: 4,
        },
    );
    let mut evidence = plan.expectations();
    trial.progress.begin("repetitions", Some(plan.repeats));
    for repeat in 0..plan.repeats {
        plan.repetition(repeat, trial.seed.stream("random-pruning").stream(&repeat.to_string()), &mut evidence)?;
        trial.progress.advance(1);
    }
    plan.slopes(&mut evidence);
    evidence.plots = vec![plan.plot(&evidence)];
    identities(&mut evidence)?;
    Ok(evidence)
}

fn arm(rule: &str, density: f64) -> String {
    format!("{rule} {density}")
}

impl Plan {
    fn expectations(&self) -> Evidence {
        let mut evidence = Evidence {
            paper:
                "The wider and deeper a network, the smaller the gap between training it dense and training a random \
                    sparse pattern of it; layer-wise ratios matter, positions do not; a randomly pruned Wide ResNet-50 \
                    beats the dense one on ImageNet."
                    .into(),
            experiment: format!(
                "Clothes (fashion-mnist), {} training images, MLP 784-W-W-10 for W = {:?}; {} epochs of gradient \
                 descent with Nesterov momentum from 0.1 along a cosine, decay 5e-4, batches of 128. Beside random \
                 patterns: the dense network, a dense one with as many weights, SNIP's positions, the same reshuffled \
                 within layers, and pruning by magnitude after training followed by as many epochs again.",
                self.train, self.widths, self.epochs
            ),
            ..Evidence::default()
        };
        let (low, wide) = (self.densities[self.densities.len() / 2], self.widths[self.widths.len() - 1]);
        let says = format!("the gap to the dense network at density {low} falls with log2 of the width");
        evidence.expect(&says, "slope of the gap", &arm("erk", low), None, Relation::Below(0.0));
        let says = format!("at width {wide} and density {low} a sparse network beats a dense one of as many weights");
        evidence.expect(
            &says,
            &format!("accuracy/{wide}"),
            &arm("erk", low),
            Some(&arm("dense small", low)),
            Relation::Above(0.0),
        );
        let says =
            format!("at width {wide} SNIP's own positions are worth no more than reshuffled ones, within half a point");
        let (own, shuffled) = (arm("snip positions", low), arm("snip reshuffled", low));
        evidence.expect(&says, &format!("accuracy/{wide}"), &own, Some(&shuffled), Relation::Within(0.005));
        let least = self.densities[self.densities.len() - 1];
        for rule in ["erk", "snip ratio"] {
            let says = format!("at width {wide} and density {least} {rule} is ahead of uniform");
            let (ours, uniform) = (arm(rule, least), arm("uniform", least));
            evidence.report(&says, &format!("accuracy/{wide}"), &ours, Some(&uniform), Relation::Above(0.0));
        }
        let says =
            format!("at width {wide} a random pattern of {low} is as good as pruning after training, within a point");
        let (ours, after) = (arm("erk", low), arm("magnitude after training", low));
        evidence.report(&says, &format!("accuracy/{wide}"), &ours, Some(&after), Relation::Above(-0.01));
        evidence.notes.push(
            "Densities count the entries of the three kernels; biases are always trained. Repetitions draw their own \
             split, start and patterns."
                .into(),
        );
        evidence
    }

    fn repetition(&self, repeat: u64, seed: Seed, evidence: &mut Evidence) -> Result<()> {
        let (train, test) = split("fashion-mnist", self.train, self.test, seed)?;
        let trainer = Trainer {
            epochs: self.epochs,
            rate: 0.1,
            schedule: Schedule::Cosine,
            optimizer: Optimizer::sgd(5e-4),
            seed,
            ..Trainer::default()
        };
        for &width in self.widths {
            let network = Mlp::new(784, &[width, width], 10);
            let mut record =
                |name: &str, value: f64| evidence.measure(name, &format!("accuracy/{width}"), repeat, value);
            let fit = |method: Option<&mut dyn TrainMethod>| {
                let mut methods: Vec<&mut dyn TrainMethod> = method.into_iter().collect();
                trainer.fit(&network, &train, None, &mut methods, &Silent)
            };
            let dense = fit(None)?;
            record("dense", accuracy(&network, &dense.parameters, &test)?);
            for &density in self.densities {
                let rules = [
                    ("uniform", Rule::Uniform, false),
                    ("erk", Rule::Erk, false),
                    ("erk rescaled", Rule::Erk, true),
                    ("snip ratio", Rule::Snip, false),
                ];
                for (name, rule, rescale) in rules {
                    let mut method = RandomPruning { density, rule, rescale, ..RandomPruning::default() };
                    let sparse = fit(Some(&mut method))?;
                    record(&arm(name, density), accuracy(&network, &sparse.parameters, &test)?);
                }
                let (own, shuffled) = snip_masks(&network, &train, density, seed)?;
                for (name, masks) in [("snip positions", own), ("snip reshuffled", shuffled)] {
                    let sparse = fit(Some(&mut FixedMask { masks }))?;
                    record(&arm(name, density), accuracy(&network, &sparse.parameters, &test)?);
                }
                let small = Mlp::new(784, &[narrowed(width, density); 2], 10);
                let fitted = trainer.fit(&small, &train, None, &mut [], &Silent)?;
                record(&arm("dense small", density), accuracy(&small, &fitted.parameters, &test)?);
                let masks = global_masks(&dense.parameters, &[], 1.0 - density, true, &[])?;
                let mut pruned = FixedMask { masks };
                let tuned =
                    trainer.fit_from(&network, dense.parameters.clone(), &train, None, &mut [&mut pruned], &Silent)?;
                record(&arm("magnitude after training", density), accuracy(&network, &tuned.parameters, &test)?);
            }
        }
        Ok(())
    }

    /// The gap's slope over log2 of the width, for each repetition.
    fn slopes(&self, evidence: &mut Evidence) {
        let x: Vec<f64> = self.widths.iter().map(|w| (*w as f64).log2()).collect();
        let mean_x = stats::mean(&x);
        let mut slopes = Vec::new();
        for &density in self.densities {
            for repeat in 0..self.repeats {
                let at = |arm: &str, width: usize| {
                    let values = evidence.values(arm, &format!("accuracy/{width}"));
                    values.iter().find(|(r, _)| *r == repeat).map_or(f64::NAN, |(_, v)| *v)
                };
                let gaps: Vec<f64> =
                    self.widths.iter().map(|&w| at("dense", w) - at(&arm("erk", density), w)).collect();
                let mean = stats::mean(&gaps);
                let cross: f64 = x.iter().zip(&gaps).map(|(x, g)| (x - mean_x) * (g - mean)).sum();
                slopes.push((density, repeat, cross / x.iter().map(|x| (x - mean_x).powi(2)).sum::<f64>()));
            }
        }
        for (density, repeat, slope) in slopes {
            evidence.measure(&arm("erk", density), "slope of the gap", repeat, slope);
        }
    }

    fn plot(&self, evidence: &Evidence) -> Plot {
        let mut names = vec!["dense".to_owned()];
        names.extend(self.densities.iter().map(|d| arm("erk", *d)));
        let series = names.into_iter().map(|name| {
            let point = |width: &usize| point(evidence, &name, &format!("accuracy/{width}"), *width as f64, 0.0);
            Series { points: self.widths.iter().map(point).collect(), name }
        });
        Plot {
            title: "Accuracy of random sparse networks".into(),
            x: "width".into(),
            y: "test accuracy".into(),
            log_x: true,
            log_y: false,
            series: series.collect(),
        }
    }
}

/// The width of a dense network with about `density` of the weights of one of this width.
fn narrowed(width: usize, density: f64) -> usize {
    let weights = |w: f64| 794.0 * w + w * w;
    let budget = density * weights(width as f64);
    (((794f64.powi(2) + 4.0 * budget).sqrt() - 794.0) / 2.0).round().max(1.0) as usize
}

type Masks = Vec<(String, Vec<bool>)>;

/// The masks of SNIP (largest |w g| over all layers, on one batch), and as many positions in each layer drawn anew.
fn snip_masks(network: &Mlp, train: &Samples, density: f64, seed: Seed) -> Result<(Masks, Masks)> {
    let parameters = quadrat_nn::initialise(network, seed.stream("parameters"))?;
    let batch =
        train.batch(quadrat_nn::At { epoch: 0, step: 0 }, &(0..128.min(train.len() as u32)).collect::<Vec<_>>());
    let (_, gradients) = quadrat_nn::gradients(network, &parameters, quadrat_nn::Loss::CrossEntropy, &batch, seed)?;
    let mut scores = parameters.clone();
    for (parameter, gradient) in scores.iter_mut().zip(&gradients) {
        parameter.update(|w| w.iter_mut().zip(gradient).for_each(|(w, g)| *w *= g));
    }
    let own = global_masks(&scores, &[], 1.0 - density, true, &[])?;
    let shuffled = own.iter().enumerate().map(|(i, (name, mask))| {
        let alive = mask.iter().filter(|alive| **alive).count();
        let drawn = quadrat_regularize::random_mask(mask.len(), alive, &mut seed.stream("reshuffled").rng(i as u64));
        (name.clone(), drawn)
    });
    let shuffled = shuffled.collect();
    Ok((own, shuffled))
}

/// The densities of the sheet's two networks.
fn identities(evidence: &mut Evidence) -> Result<()> {
    let layer = |shape: &[usize]| Layer { name: format!("{shape:?}"), shape: shape.to_vec() };
    let mlp = [layer(&[300, 784]), layer(&[100, 300]), layer(&[10, 100])];
    for (density, golden) in [
        (0.2, [0.162_241, 0.469_362, 1.0]),
        (0.1, [0.079_568, 0.230_189, 1.0]),
        (0.05, [0.038_484, 0.111_334, 0.918_507]),
        (0.02, [0.015_394, 0.044_534, 0.367_403]),
    ] {
        let found = densities(&mlp, Rule::Erk, density)?;
        for (i, (a, b)) in found.iter().zip(golden).enumerate() {
            evidence.identity(&format!("erk density of layer {} at {density}", i + 1), *a, b, 1e-6);
        }
        let kept: f64 = mlp.iter().zip(&found).map(|(l, d)| d * l.entries() as f64).sum();
        let all: f64 = mlp.iter().map(|l| l.entries() as f64).sum();
        evidence.identity(&format!("erk meets its budget at {density}"), kept / all, density, 1e-9);
    }
    let kept = densities(&mlp, Rule::UniformPlus, 0.95)?;
    let sum: f64 = mlp.iter().zip(&kept).map(|(l, d)| d * l.entries() as f64).sum();
    let all: f64 = mlp.iter().map(|l| l.entries() as f64).sum();
    evidence.identity("uniform-plus meets its budget", sum / all, 0.95, 1e-9);
    Ok(())
}
