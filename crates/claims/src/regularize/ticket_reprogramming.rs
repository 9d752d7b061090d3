//! Lottery tickets on new tasks: what does sparsity cost after transfer that the upstream accuracy hides?

mod adaptation;

use super::{figures, resized, split};
use crate::Trial;
use crate::figures::point;
use adaptation::{few_of_each, fine_tune, probe, prompt, reshuffled, textures};
use ndarray::{Array2, Axis, concatenate};
use quadrat_core::{Error, Evidence, Plot, Relation, Result, Seed, Series, Silent, stats};
use quadrat_nn::{At, ConvNet, Samples, Trainer};
use quadrat_numeric::calibration::{self, Scheme};
use quadrat_regularize::{FixedMask, Prompt, Rewind, Ticket, TicketMaker, VisualPrompt, classes_of, upstream_accuracy};

/// The size of the experiment.
struct Plan {
    /// Images of each ten classes of the source.
    source: usize,
    epochs: usize,
    rounds: usize,
    /// Rounds whose tickets are transferred.
    states: &'static [usize],
    /// Images of each class to adapt to, and the epochs of a prompt.
    shots: &'static [(usize, usize)],
    /// Images of a target to test on.
    test: usize,
    repeats: u64,
}

/// Share of the survivors that a round removes: two of the usual rounds of a fifth at once.
const RATE: f64 = 0.36;

/// Pixels of a side of the source images.
const SIDE: usize = 28;

/// Images of a target that only a temperature is fitted on.
const HELD: usize = 200;

/// The targets, and the pixels of a side at which they are shown.
const TARGETS: [(&str, usize); 3] = [("digits", 16), ("turned", 20), ("textures", 16)];

const METHODS: [&str; 2] = ["probe", "prompt"];

/// What both are cheaper than: all weights trained further.
const FINE_TUNED: &str = "fine-tune";

const DENSE: &str = "dense";

/// Runs the experiment.
pub fn run(trial: &Trial) -> Result<Evidence> {
    let plan = trial.at(
        Plan { source: 150, epochs: 1, rounds: 2, states: &[1, 2], shots: &[(1, 2)], test: 100, repeats: 1 },
        Plan { source: 1_500, epochs: 4, rounds: 3, states: &[1, 3], shots: &[(10, 40)], test: 500, repeats: 2 },
        Plan {
            source: 2_000,
            epochs: 4,
            rounds: 4,
            states: &[2, 4],
            shots: &[(1, 100), (10, 100), (50, 30)],
            test: 800,
            repeats: 5,
        },
    );
    let mut evidence = plan.expectations();
    trial.progress.begin("repetitions", Some(plan.repeats));
    for repeat in 0..plan.repeats {
        quadrat_core::checkpoint(trial.progress)?;
        let seed = trial.seed.stream("ticket-reprogramming").stream(&repeat.to_string());
        plan.repetition(repeat, seed, &mut evidence)?;
        plan.summaries(repeat, &mut evidence);
        trial.progress.advance(1);
    }
    evidence.notes.push(plan.count(&evidence));
    evidence.plots = METHODS.iter().map(|method| plan.plot(method, &evidence)).collect();
    identities(&mut evidence)?;
    Ok(evidence)
}

fn density(state: usize) -> f64 {
    (1.0 - RATE).powi(state as i32)
}

fn ticket(state: usize) -> String {
    format!("ticket {:.2}", density(state))
}

fn random(state: usize) -> String {
    format!("random {:.2}", density(state))
}

fn cell(figure: &str, target: &str, method: &str, shots: usize) -> String {
    format!("{figure}/{target}/{method}/{shots}")
}

impl Plan {
    fn expectations(&self) -> Evidence {
        let shots: Vec<usize> = self.shots.iter().map(|(shots, _)| *shots).collect();
        let mut evidence = Evidence {
            paper: "On some new tasks a reprogrammed ticket of ResNet-50 is clearly worse than the reprogrammed dense \
                    network although both do equally well upstream, more so with few images; the dense network is \
                    always better calibrated, by linear probing and by visual prompting."
                .into(),
            experiment: format!(
                "Source: ten classes of digits (MNIST) and ten of clothes (Fashion-MNIST), {} images of either; \
                 convolutions of 16 and 32 channels with batch normalisation, 128 units, {} epochs. {} rounds of \
                 pruning, each of the smallest {RATE} of all surviving weights but the first convolution's, set back \
                 to an early step. New tasks: scikit-learn's digits at 16 x 16; other clothes, upside down and \
                 inverted, at 20 x 20; which of seven photographs a square of 16 x 16 comes from (to adapt to from \
                 the left halves, to test on from the right ones); {shots:?} images a class. A probe sees them in the \
                 middle of a black image, a prompt within its border. Figures on {} images that neither saw.",
                self.source, self.epochs, self.rounds, self.test
            ),
            ..Evidence::default()
        };
        let last = self.states[self.states.len() - 1];
        for &state in self.states.iter().filter(|state| density(**state) > 0.25) {
            let says = format!("upstream, the ticket of density {:.2} is within a point of dense", density(state));
            evidence.expect(&says, "upstream accuracy", &ticket(state), Some(DENSE), Relation::Within(0.01));
        }
        let ours = ticket(last);
        let says = format!("prompted, the ticket of density {:.2} is less accurate than dense", density(last));
        evidence.expect(&says, "mean accuracy/prompt", &ours, Some(DENSE), Relation::Below(0.0));
        let says = "the dense network has the lower ECE in most cells (task, method, images a class, ticket)";
        evidence.expect(says, "share of cells with the lower ECE", DENSE, None, Relation::Above(0.5));
        let says = "always, as the abstract has it (expected to fail in some cells: small networks, ECE as defined)";
        evidence.report(says, "share of cells with the lower ECE", DENSE, None, Relation::Above(0.999));
        let says = "in most cells after a temperature was fitted";
        evidence.report(says, "share of cells with the lower scaled ECE", DENSE, None, Relation::Above(0.5));
        let says = "the ticket loses less under a probe than under a prompt";
        evidence.report(says, "loss under probe minus loss under prompt", &ours, None, Relation::Below(0.0));
        if let (Some(few), Some(many), true) = (shots.first(), shots.last(), shots.len() > 1) {
            let says = format!("the ticket loses more with {few} than with {many} images a class");
            evidence.report(&says, "loss with few minus loss with many", &ours, None, Relation::Above(0.0));
        }
        for method in METHODS {
            let says = format!("{method}: the ticket is more accurate than random pruning of the same counts");
            let metric = format!("mean accuracy/{method}");
            evidence.report(&says, &metric, &ours, Some(&random(last)), Relation::Above(0.0));
        }
        let says = "fine-tuned, the ticket is less accurate than dense";
        let metric = format!("mean accuracy/{FINE_TUNED}");
        evidence.report(says, &metric, &ours, Some(DENSE), Relation::Below(0.0));
        for &state in self.states {
            for (target, _) in TARGETS {
                for (method, &(shots, _)) in METHODS.iter().flat_map(|m| self.shots.iter().map(move |s| (m, s))) {
                    for (figure, relation) in [
                        ("accuracy", Relation::Below(0.0)),
                        ("ece", Relation::Above(0.0)),
                        ("nll", Relation::Above(0.0)),
                    ] {
                        let says =
                            format!("{target}, {method}, {shots} a class: {} has the worse {figure}", ticket(state));
                        let metric = cell(figure, target, method, shots);
                        evidence.report(&says, &metric, &ticket(state), Some(DENSE), relation);
                    }
                }
            }
        }
        evidence.notes.extend([
            format!(
                "Every state and control is trained for as many epochs as the dense network. A round prunes what two \
                 of the paper's do. Adaptation: Adam at 0.01, tenfold down at 50 and 72%; a probe 100 epochs, a prompt \
                 {} for {shots:?} images a class; the last epoch counts, none is selected. Fine-tuning, the reference: a \
                 fresh head, all that is alive trained for 50 epochs, Adam at 0.001.",
                self.shots.iter().map(|(_, epochs)| epochs.to_string()).collect::<Vec<_>>().join(", ")
            ),
            format!(
                "ECE: 15 bins of equal width over all test images, from probabilities. Scaled ECE: after one \
                 temperature fitted on {HELD} images apart. Repetitions draw rows, starts, tickets and controls anew."
            ),
        ]);
        evidence
    }

    fn repetition(&self, repeat: u64, seed: Seed, evidence: &mut Evidence) -> Result<()> {
        let most = self.shots.iter().map(|(shots, _)| *shots).max().unwrap_or(0);
        let (source, upstream, turned) = self.source_data(most, seed)?;
        let pool = 10 * most.max(20) * 2;
        let (digits, digits_test) = split("digits", pool.min(1_797 - self.test - HELD), self.test + HELD, seed)?;
        let sized = |s: &Samples, from: usize, to: usize| -> Result<Samples> {
            Ok(s.with_inputs(resized(&s.inputs, from, to)?))
        };
        let targets = [
            (sized(&digits, 8, TARGETS[0].1)?, sized(&digits_test, 8, TARGETS[0].1)?),
            (sized(&turned.0, SIDE, TARGETS[1].1)?, sized(&turned.1, SIDE, TARGETS[1].1)?),
            (
                textures(TARGETS[2].1, pool, false, seed.stream("squares"))?,
                textures(TARGETS[2].1, self.test + HELD, true, seed.stream("other squares"))?,
            ),
        ];
        let network = ConvNet { norm: true, ..ConvNet::new([1, SIDE, SIDE], 20) };
        let trainer = Trainer { epochs: self.epochs, batch: 64, rate: 2e-3, seed, ..Trainer::default() };
        let steps = self.epochs * source.len().div_ceil(trainer.batch);
        let maker = TicketMaker {
            rounds: self.rounds,
            rate: RATE,
            rewind: Rewind::Step((steps / 20).max(1)),
            exclude: vec!["conv1.weight".into()],
            ..TicketMaker::default()
        };
        let states = maker.run(&trainer, &network, &source, &Silent)?;
        let mut arms = vec![(DENSE.to_owned(), states[0].clone())];
        for &state in self.states {
            let masks = reshuffled(&states[state], seed.stream("control"));
            let mut pattern = FixedMask { masks: masks.clone() };
            let fit = trainer.fit(&network, &source, None, &mut [&mut pattern], &Silent)?;
            let control = Ticket { masks, parameters: fit.parameters, density: states[state].density };
            arms.push((random(state), control));
        }
        for &state in self.states {
            arms.push((ticket(state), states[state].clone()));
        }
        for (arm, state) in &arms {
            evidence.measure(arm, "upstream accuracy", repeat, upstream_accuracy(&network, state, &upstream)?);
            for ((name, side), (train, test)) in TARGETS.iter().zip(&targets) {
                for &(shots, epochs) in self.shots {
                    let few = few_of_each(train, shots)?;
                    for method in METHODS {
                        let own = seed.stream(name).stream(&shots.to_string());
                        let scores = match method {
                            "probe" => probe(&network, &state.parameters, &few, test, *side, own)?,
                            _ => prompt(&network, &state.parameters, &few, test, *side, epochs, own)?,
                        };
                        record(evidence, arm, repeat, (*name, method, shots), &scores, test)?;
                    }
                    let own = seed.stream(name).stream(&shots.to_string());
                    let scores = fine_tune(&network, state, &few, test, *side, own)?;
                    record(evidence, arm, repeat, (*name, FINE_TUNED, shots), &scores, test)?;
                }
            }
        }
        Ok(())
    }

    /// Twenty classes to train on and to test upstream, and the clothes that become a new task: rows to adapt to and
    /// to test on. No image is used twice.
    fn source_data(&self, most: usize, seed: Seed) -> Result<(Samples, Samples, (Samples, Samples))> {
        const UPSTREAM: usize = 500;
        let pool = 10 * most.max(20) * 2;
        let (digits, digits_test) = split("mnist", self.source, UPSTREAM, seed)?;
        let (clothes, rest) = split("fashion-mnist", self.source, UPSTREAM + pool + self.test + HELD, seed)?;
        let rows = |from: usize, n: usize| (from as u32..(from + n) as u32).collect::<Vec<_>>();
        let twenty = |digits: &Samples, clothes: &Samples| {
            let joined = concatenate(Axis(0), &[digits.inputs.view(), clothes.inputs.view()]);
            let joined = joined.map_err(|e| Error::numeric("images", e.to_string()))?;
            let mut classes = classes_of(digits)?.to_vec();
            classes.extend(classes_of(clothes)?.iter().map(|label| label + 10));
            Samples::classes(joined, classes, 20)
        };
        let source = twenty(&digits, &clothes)?;
        let upstream = twenty(&digits_test, &rest.select(&rows(0, UPSTREAM)))?;
        let turned = |s: Samples| s.with_inputs(turned(&s.inputs));
        let adapt = turned(rest.select(&rows(UPSTREAM, pool)));
        let test = turned(rest.select(&rows(UPSTREAM + pool, self.test + HELD)));
        Ok((source, upstream, (adapt, test)))
    }

    /// Every cell's metric name without the figure's.
    fn cells(&self) -> impl Iterator<Item = (&'static str, &'static str, usize)> {
        TARGETS.into_iter().flat_map(move |(target, _)| {
            METHODS
                .into_iter()
                .flat_map(move |method| self.shots.iter().map(move |(shots, _)| (target, method, *shots)))
        })
    }

    /// Means over cells, and what the dense network wins, of one repetition.
    fn summaries(&self, repeat: u64, evidence: &mut Evidence) {
        let at = |evidence: &Evidence, arm: &str, metric: &str| {
            let found = evidence.values(arm, metric).into_iter().find(|(r, _)| *r == repeat);
            found.map_or(f64::NAN, |(_, value)| value)
        };
        let mut arms = vec![DENSE.to_owned()];
        arms.extend(self.states.iter().flat_map(|&state| [ticket(state), random(state)]));
        let mean_of = |evidence: &Evidence, arm: &str, keep: &dyn Fn(&(&str, &str, usize)) -> bool| {
            let cells = self.cells().filter(|c| keep(c));
            let values: Vec<f64> = cells.map(|(t, m, s)| at(evidence, arm, &cell("accuracy", t, m, s))).collect();
            stats::mean(&values)
        };
        for arm in &arms {
            for method in METHODS {
                let mean = mean_of(evidence, arm, &|(_, m, _)| *m == method);
                evidence.measure(arm, &format!("mean accuracy/{method}"), repeat, mean);
            }
            let cells = TARGETS.into_iter().flat_map(|(target, _)| self.shots.iter().map(move |(s, _)| (target, *s)));
            let tuned: Vec<f64> =
                cells.map(|(target, s)| at(evidence, arm, &cell("accuracy", target, FINE_TUNED, s))).collect();
            evidence.measure(arm, &format!("mean accuracy/{FINE_TUNED}"), repeat, stats::mean(&tuned));
        }
        let (few, many) = (self.shots[0].0, self.shots[self.shots.len() - 1].0);
        for &state in self.states {
            let arm = ticket(state);
            let loss = |keep: &dyn Fn(&(&str, &str, usize)) -> bool| {
                mean_of(evidence, DENSE, keep) - mean_of(evidence, &arm, keep)
            };
            let by_method = loss(&|(_, m, _)| *m == "probe") - loss(&|(_, m, _)| *m == "prompt");
            let by_shots = loss(&|(_, _, s)| *s == few) - loss(&|(_, _, s)| *s == many);
            evidence.measure(&arm, "loss under probe minus loss under prompt", repeat, by_method);
            evidence.measure(&arm, "loss with few minus loss with many", repeat, by_shots);
        }
        for (figure, metric) in
            [("ece", "share of cells with the lower ECE"), ("scaled ece", "share of cells with the lower scaled ECE")]
        {
            let pairs = self.states.iter().flat_map(|&state| self.cells().map(move |c| (ticket(state), c)));
            let won: Vec<f64> = pairs
                .map(|(arm, (t, m, s))| {
                    let metric = cell(figure, t, m, s);
                    f64::from(u8::from(at(evidence, DENSE, &metric) < at(evidence, &arm, &metric)))
                })
                .collect();
            evidence.measure(DENSE, metric, repeat, stats::mean(&won));
        }
    }

    /// In how many cells the dense network's ECE, averaged over repetitions, is the lower one.
    fn count(&self, evidence: &Evidence) -> String {
        let mean = |arm: &str, metric: &str| {
            stats::mean(&evidence.values(arm, metric).into_iter().map(|(_, v)| v).collect::<Vec<_>>())
        };
        let pairs: Vec<_> =
            self.states.iter().flat_map(|&state| self.cells().map(move |c| (ticket(state), c))).collect();
        let lower = pairs.iter().filter(|(arm, (t, m, s))| {
            let metric = cell("ece", t, m, *s);
            mean(DENSE, &metric) < mean(arm, &metric)
        });
        let (won, all) = (lower.count(), pairs.len());
        let (low, high) = stats::clopper_pearson(won, all, 0.95);
        format!(
            "Over the mean of repetitions the dense network has the lower ECE in {won} of {all} cells ({low:.2} to \
             {high:.2} of them, were cells independent)."
        )
    }

    fn plot(&self, method: &str, evidence: &Evidence) -> Plot {
        let mut arms = vec![(DENSE.to_owned(), 1.0)];
        arms.extend(self.states.iter().map(|&state| (ticket(state), density(state))));
        let series = TARGETS.into_iter().flat_map(|(target, _)| self.shots.iter().map(move |(s, _)| (target, *s)));
        let series = series.map(|(target, shots)| {
            let metric = cell("ece", target, method, shots);
            let point = |(arm, density): &(String, f64)| point(evidence, arm, &metric, *density, 0.0);
            Series { name: format!("{target}, {shots} a class"), points: arms.iter().map(point).collect() }
        });
        Plot {
            title: format!("Calibration by {method}"),
            x: "density".into(),
            y: "ECE".into(),
            log_x: true,
            log_y: false,
            series: series.collect(),
        }
    }
}

/// Images upside down and inverted.
fn turned(images: &Array2<f32>) -> Array2<f32> {
    let last = images.ncols() - 1;
    Array2::from_shape_fn(images.dim(), |(row, i)| 1.0 - images[[row, last - i]])
}

/// Figures of a cell: a temperature is fitted on the first rows, the others are tested on.
fn record(
    evidence: &mut Evidence,
    arm: &str,
    repeat: u64,
    (target, method, shots): (&str, &str, usize),
    scores: &Array2<f32>,
    test: &Samples,
) -> Result<()> {
    let labels = classes_of(test)?;
    let (held, scores) = scores.view().split_at(Axis(0), HELD);
    let (held_labels, labels) = labels.split_at(HELD);
    let p = calibration::probabilities(scores, 1.0);
    for (figure, value) in figures(&p, labels)? {
        let (figure, value) = if figure == "error" { ("accuracy", 1.0 - value) } else { (figure, value) };
        evidence.measure(arm, &cell(figure, target, method, shots), repeat, value);
    }
    let scaled = calibration::probabilities(scores, calibration::temperature(held, held_labels)?);
    let ece = calibration::ece(scaled.view(), labels, 15, Scheme::EqualWidth)?;
    evidence.measure(arm, &cell("scaled ece", target, method, shots), repeat, ece);
    Ok(())
}

/// What must hold exactly.
fn identities(evidence: &mut Evidence) -> Result<()> {
    let mut rng = Seed(3).rng(0);
    let inputs = Array2::from_shape_fn((40, 64), |_| rng.uniform() as f32);
    let data = Samples::classes(inputs, (0..40).map(|i| i % 4).collect(), 4)?;
    let network = ConvNet { filters: vec![4], hidden: 8, norm: true, ..ConvNet::new([1, 8, 8], 4) };
    let trainer = Trainer { epochs: 2, batch: 10, seed: Seed(5), ..Trainer::default() };
    let maker = TicketMaker { rounds: 3, rewind: Rewind::Step(2), ..TicketMaker::default() };
    let states = maker.run(&trainer, &network, &data, &Silent)?;
    let plain = trainer.fit(&network, &data, None, &mut [], &Silent)?;
    let same = f64::from(u8::from(plain.parameters.fingerprint() == states[0].parameters.fingerprint()));
    evidence.identity("no round is dense training, bit for bit", same, 1.0, 0.0);
    let all: usize = states[1].masks.iter().map(|(_, mask)| mask.len()).sum();
    for (round, state) in states.iter().enumerate().skip(1) {
        let kept = state.density * all as f64;
        let name = format!("weights kept after {round} rounds of a fifth");
        evidence.identity(&name, kept, all as f64 * 0.8f64.powi(round as i32), round as f64);
        let mut awake = 0;
        for (name, mask) in &state.masks {
            let weights = state.parameters.get(name)?.values();
            awake += weights.iter().zip(mask).filter(|(w, alive)| !**alive && **w != 0.0).count();
        }
        evidence.identity(&format!("dead weights that are not zero after {round} rounds"), awake as f64, 0.0, 0.0);
    }
    let small = data.inputs.select(Axis(1), &(0..16).collect::<Vec<_>>());
    let few = data.with_inputs(small);
    let prompt = Prompt::new(&network, [1, 8, 8], [1, 4, 4], 4)?;
    let method = VisualPrompt { epochs: 3, ..VisualPrompt::default() };
    let fitted = method.fit(&prompt, &plain.parameters, &few, Seed(1), &Silent)?;
    let backbone = plain.parameters.iter().zip(fitted.iter());
    let differing = backbone.filter(|(own, after)| own.values() != after.values()).count();
    evidence.identity("arrays of the network that a prompt changed", differing as f64, 0.0, 0.0);
    let batch = few.batch(At { epoch: 0, step: 0 }, &(0..40).collect::<Vec<_>>());
    let (_, slopes) = quadrat_nn::gradients(&prompt, &fitted, trainer.loss, &batch, Seed(0))?;
    let place = fitted.position("prompt.program")?;
    let inside: f32 = (2..6).flat_map(|y| (2..6).map(move |x| y * 8 + x)).map(|i| slopes[place][i].abs()).sum();
    evidence.identity("gradient of the program under the image", f64::from(inside), 0.0, 0.0);
    Ok(())
}
