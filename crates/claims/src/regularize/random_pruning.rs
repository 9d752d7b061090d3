//! Random pruning at initialisation: does the gap to dense training close as networks grow?

mod network;

use crate::figures::{point, slope};
use crate::networks::{self, figures, images, parts};
use crate::tune::tune;
use crate::{Repetitions, Trial};
use network::Normalised;
use quadrat_core::{By, Evidence, Plot, Relation, Result, Seed, Series};
use quadrat_nn::{At, Loss, Parameters, Samples, initialise, predict};
use quadrat_numeric::{calibration, metrics};
use quadrat_regularize::{FixedMask, Layer, RandomPruning, Rule, classes_of, densities, global_masks, random_mask};

/// The size of the experiment.
struct Plan {
    train: usize,
    test: usize,
    epochs: usize,
    widths: &'static [usize],
    most: usize,
}

/// Share of the kernels' entries that is alive.
const DENSITY: f64 = 0.05;
const SIDE: usize = 14;
const PIXELS: usize = SIDE * SIDE;
const CLASSES: usize = 10;

const DENSE: &str = "dense";
const RANDOM: &str = "random";
const SMALL: &str = "dense small";
const UNIFORM: &str = "random, uniform";
const POSITIONS: &str = "snip positions";
const RESHUFFLED: &str = "snip reshuffled";
const AFTER: &str = "magnitude after training";

const SLOPE: &str = "slope of the gap";

/// Clothes to learn, and digits, which are none of them.
struct Data {
    clothes: Samples,
    digits: Samples,
}

/// The learning rates found for dense and sparse networks of each width, and for the small dense one.
struct Rates {
    widths: Vec<(f64, f64)>,
    small: f64,
}

/// Runs the experiment.
pub fn run(trial: &Trial) -> Result<Evidence> {
    let plan = trial.at(
        Plan { train: 200, test: 100, epochs: 2, widths: &[16, 32], most: 2 },
        Plan { train: 1_000, test: 2_000, epochs: 100, widths: &[32, 128], most: 12 },
        Plan { train: 1_000, test: 2_000, epochs: 100, widths: &[32, 64, 128, 256], most: 20 },
    );
    let data = Data { clothes: images("fashion-mnist", SIDE)?, digits: images("mnist", SIDE)? };
    let mut evidence = plan.evidence();
    let rates = plan.tuned(&data, trial.seed.stream("tuning"), &mut evidence)?;
    let one = |seed| plan.repetition(&data, &rates, seed);
    trial.repeat(&mut evidence, Repetitions { part: "random pruning", pilot: 5, most: plan.most }, one)?;
    evidence.plots = vec![plan.plot(&evidence)];
    identities(&mut evidence)?;
    Ok(evidence)
}

fn accuracy(width: usize) -> String {
    format!("accuracy/{width}")
}

impl Plan {
    /// What the paper says, what is done here, and what is expected: written down before anything is measured.
    fn evidence(&self) -> Evidence {
        let widest = self.widest();
        let at = accuracy(widest);
        let mut e = Evidence::new(
            "The wider and deeper a network, the smaller the gap between training it dense and training a random sparse \
             pattern of it; layer-wise ratios matter, positions do not; a randomly pruned Wide ResNet-50 beats the dense \
             one on ImageNet, and is better calibrated.",
            format!(
                "Clothes (fashion-mnist) at {SIDE} x {SIDE} pixels, {} training images; two layers of W units with batch \
                 normalisation, W = {:?}; {} epochs of gradient descent with Nesterov momentum from a tuned rate to 0 along \
                 a cosine, decay 5e-4, batches of 128. Random patterns keep {DENSITY} of the kernels' entries, spread by ERK. \
                 Beside them: the dense network, and at W = {widest} a dense one that trains as many numbers, ratios \
                 without ERK, SNIP's positions, the same reshuffled within layers, and pruning by magnitude after training \
                 followed by as many epochs again. Accuracy on {} other images.",
                self.train, self.widths, self.epochs, self.test
            ),
        );
        let says = "the gap to the dense network falls with each doubling of the width";
        e.expect(says, SLOPE, RANDOM, None, Relation::Below(0.0)).matters(0.01);
        let says = format!("W = {widest}: the sparse network beats a dense one that trains as many numbers");
        e.expect(&says, &at, RANDOM, Some(SMALL), Relation::Above(0.0)).matters(0.01);
        let says = format!("W = {widest}: the dense network has learnt something");
        e.gate(&says, &at, DENSE, None, Relation::Above(0.75));
        for (says, arm, rival, relation) in [
            ("the gap to the dense network is below a point", RANDOM, DENSE, Relation::Above(-0.01)),
            (
                "SNIP's positions are worth as much as reshuffled ones, within half a point",
                POSITIONS,
                RESHUFFLED,
                Relation::Within(0.005),
            ),
            ("ERK is ahead of uniform ratios", RANDOM, UNIFORM, Relation::Above(0.0)),
            ("as good as pruning after training, within a point", RANDOM, AFTER, Relation::Above(-0.01)),
        ] {
            e.report(&format!("W = {widest}: {says}"), &at, arm, Some(rival), relation);
        }
        for (metric, by) in [("nll", By::Ratio), ("ece", By::Mean)] {
            let limit = if by == By::Ratio { 1.0 } else { 0.0 };
            let says = format!("W = {widest}: the sparse network has the lower {metric} than the dense one");
            e.report(&says, metric, RANDOM, Some(DENSE), Relation::Below(limit)).by(by);
        }
        let says = format!(
            "W = {widest}: the sparse network tells digits from clothes by its surest class no worse, to a point"
        );
        e.report(&says, "auroc of digits", RANDOM, Some(DENSE), Relation::Above(-0.01));
        e.notes = vec![
            "Densities count the entries of the three kernels; scales, shifts and the outputs' biases are always trained, and \
             are counted where numbers of trained numbers are made equal. ECE has 15 bins of equal width. One grid of rates for \
             dense and sparse networks of each width and for the small dense one, on a split apart, with as much training; \
             other sparse patterns have the rate of the random one, pruning after training that of the dense network. \
             Repetitions draw rows, start and pattern anew, the rows from one set of 6,000."
                .into(),
            "Changed after the first records: 15 epochs were too few for sparse networks, and theirs started with smaller \
             activations than dense ones, since nothing was normalised; 100 epochs, normalised networks and tuned rates now. \
             The small dense network had fewer trained numbers, biases not being counted. That positions do not matter is \
             reported, no longer decided: the paper says it of ratios, and shows it beside its claim."
                .into(),
        ];
        e
    }

    fn widest(&self) -> usize {
        self.widths.last().copied().unwrap_or(1)
    }

    /// One grid of rates for each arm that differs in kind, on a split apart.
    fn tuned(&self, data: &Data, seed: Seed, evidence: &mut Evidence) -> Result<Rates> {
        let [train, test] = parts(&data.clothes, [self.train, self.test], seed);
        let mut search = |arm: String, network: Normalised, sparse: bool| {
            tune(evidence, (&arm, "rate"), &[0.03, 0.1, 0.3], |rate| {
                let mut random = pruning(Rule::Erk);
                let method = sparse.then_some(&mut random as _);
                let fitted = network.fit(&train, (self.epochs, rate), None, method, seed)?;
                networks::accuracy(&network, &fitted, &test).map(|share| 1.0 - share)
            })
        };
        let widths = self.widths.iter().map(|&width| {
            let network = Normalised { width };
            Ok((
                search(format!("{DENSE} {width}"), network, false)?,
                search(format!("{RANDOM} {width}"), network, true)?,
            ))
        });
        let widths = widths.collect::<Result<_>>()?;
        let small = Normalised { width: self.widest() }.narrowed(DENSITY);
        Ok(Rates { widths, small: search(SMALL.to_owned(), small, false)? })
    }

    fn repetition(&self, data: &Data, rates: &Rates, seed: Seed) -> Result<Vec<(&'static str, String, f64)>> {
        let [train, test] = parts(&data.clothes, [self.train, self.test], seed);
        let [digits] = parts(&data.digits, [self.test], seed);
        let (mut found, mut gaps) = (Vec::new(), Vec::new());
        for (&width, &(dense_rate, sparse_rate)) in self.widths.iter().zip(&rates.widths) {
            let network = Normalised { width };
            let own = |network: Normalised, fitted: &Parameters| networks::accuracy(&network, fitted, &test);
            let dense = network.fit(&train, (self.epochs, dense_rate), None, None, seed)?;
            let random = network.fit(&train, (self.epochs, sparse_rate), None, Some(&mut pruning(Rule::Erk)), seed)?;
            let reached = [own(network, &dense)?, own(network, &random)?];
            gaps.push(reached[0] - reached[1]);
            found.extend([DENSE, RANDOM].into_iter().zip(reached).map(|(arm, share)| (arm, accuracy(width), share)));
            if width < self.widest() {
                continue;
            }
            for (arm, fitted) in [(DENSE, &dense), (RANDOM, &random)] {
                let sure = |images: &Samples| -> Result<_> {
                    Ok(calibration::probabilities(predict(&network, fitted, images.inputs.view(), &[])?.view(), 1.0))
                };
                let (known, strange) = (sure(&test)?, sure(&digits)?);
                let told =
                    figures(&known, classes_of(&test)?)?.into_iter().filter(|(name, _)| ["nll", "ece"].contains(name));
                found.extend(told.map(|(name, value)| (arm, name.to_owned(), value)));
                let surest = known
                    .outer_iter()
                    .chain(strange.outer_iter())
                    .map(|p| p.fold(0.0f64, |top, p| top.max(f64::from(*p))));
                let is_known: Vec<bool> = (0..known.nrows() + strange.nrows()).map(|row| row < known.nrows()).collect();
                let auroc = metrics::auc(&is_known, &surest.collect::<Vec<_>>())?;
                found.push((arm, "auroc of digits".to_owned(), auroc));
            }
            let small = network.narrowed(DENSITY);
            let fitted = small.fit(&train, (self.epochs, rates.small), None, None, seed)?;
            found.push((SMALL, accuracy(width), own(small, &fitted)?));
            let uniform =
                network.fit(&train, (self.epochs, sparse_rate), None, Some(&mut pruning(Rule::Uniform)), seed)?;
            found.push((UNIFORM, accuracy(width), own(network, &uniform)?));
            let (positions, reshuffled) = snip_masks(network, &train, seed)?;
            for (arm, masks) in [(POSITIONS, positions), (RESHUFFLED, reshuffled)] {
                let fitted =
                    network.fit(&train, (self.epochs, sparse_rate), None, Some(&mut FixedMask { masks }), seed)?;
                found.push((arm, accuracy(width), own(network, &fitted)?));
            }
            let masks = global_masks(&dense, &[], 1.0 - DENSITY, true, &[])?;
            let mut pruned = FixedMask { masks };
            let fitted = network.fit(&train, (self.epochs, dense_rate), Some(&dense), Some(&mut pruned), seed)?;
            found.push((AFTER, accuracy(width), own(network, &fitted)?));
        }
        let doublings: Vec<f64> = self.widths.iter().map(|width| (*width as f64).log2()).collect();
        found.push((RANDOM, SLOPE.to_owned(), slope(&doublings, &gaps)));
        Ok(found)
    }

    fn plot(&self, evidence: &Evidence) -> Plot {
        let series = [DENSE, RANDOM].map(|arm| {
            let at = |width: &usize| point(evidence, arm, &accuracy(*width), *width as f64, 0.0);
            Series { name: arm.to_owned(), points: self.widths.iter().map(at).collect() }
        });
        Plot {
            title: format!("Accuracy of dense networks and of random patterns of {DENSITY}"),
            x: "width".into(),
            y: "test accuracy".into(),
            log_x: true,
            log_y: false,
            series: series.into(),
        }
    }
}

fn pruning(rule: Rule) -> RandomPruning {
    RandomPruning { density: DENSITY, rule, ..RandomPruning::default() }
}

type Masks = Vec<(String, Vec<bool>)>;

/// The masks of SNIP (largest |w g| over all layers, on one batch), and as many positions in each layer drawn anew.
fn snip_masks(network: Normalised, train: &Samples, seed: Seed) -> Result<(Masks, Masks)> {
    let parameters = initialise(&network, seed.stream("parameters"))?;
    let rows: Vec<u32> = (0..128.min(train.len() as u32)).collect();
    let batch = train.batch(At { epoch: 0, step: 0 }, &rows);
    let (_, gradients) = quadrat_nn::gradients(&network, &parameters, Loss::CrossEntropy, &batch, seed)?;
    let mut scores = parameters;
    for (parameter, gradient) in scores.iter_mut().zip(&gradients).filter(|(_, gradient)| !gradient.is_empty()) {
        parameter.update(|w| w.iter_mut().zip(gradient).for_each(|(w, g)| *w *= g));
    }
    let own = global_masks(&scores, &[], 1.0 - DENSITY, true, &[])?;
    let shuffled = (0..).zip(&own).map(|(i, (name, mask))| {
        let alive = mask.iter().filter(|alive| **alive).count();
        (name.clone(), random_mask(mask.len(), alive, &mut seed.stream("reshuffled").rng(i)))
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
