//! Strengths tuned while training: one run against a search of many, from any start, and is the schedule worth keeping?

use crate::Trial;
use crate::networks::split;
use ndarray::{Array1, Array2};
use quadrat_core::{Evidence, Plot, Relation, Result, Rng, Seed, Series, Silent};
use quadrat_nn::{
    At, Batch, EpochEnd, Mlp, Optimizer, Parameters, Samples, Schedule, TrainMethod, Trainer, mean_loss, predict,
};
use quadrat_numeric::linalg;
use quadrat_regularize::{Hyper, SelfTuningNetwork, Strength, Strengths, Validation, Variant};
use std::time::Instant;

/// The size of the experiment.
struct Plan {
    rows: [usize; 3],
    hidden: &'static [usize],
    epochs: usize,
    searches: usize,
    repeats: u64,
}

const OURS: &str = "self-tuning";
const CENTRED: &str = "self-tuning, centred";
const SEARCH: &str = "random search, as many passes";
const SITES: [&str; 3] = ["input", "fc1", "fc2"];
const STARTS: [f64; 3] = [0.05, 0.3, 0.6];
const GRID: [f64; 5] = [0.1, 0.2, 0.35, 0.5, 0.65];

/// A pass over a row costs about twice as much in structured layers; a validation step is counted as a training step.
const STRUCTURED: usize = 2;

/// Runs the experiment.
pub fn run(trial: &Trial) -> Result<Evidence> {
    let wide: &[usize] = &[256, 256];
    let plan = trial.at(
        Plan { rows: [200, 80, 100], hidden: &[32, 32], epochs: 3, searches: 4, repeats: 1 },
        Plan { rows: [3_000, 1_000, 2_000], hidden: wide, epochs: 10, searches: 6, repeats: 2 },
        Plan { rows: [3_000, 1_000, 2_000], hidden: wide, epochs: 30, searches: 25, repeats: 3 },
    );
    let data = "fashion-mnist";
    let mut evidence = plan.expectations(data);
    trial.progress.begin("repetitions", Some(plan.repeats));
    for repeat in 0..plan.repeats {
        let seed = trial.seed.stream("self-tuning-network").stream(&repeat.to_string());
        let [train, validation, test] = plan.rows;
        let (rows, test) = split(data, train + validation, test, seed)?;
        let all: Vec<u32> = (0..rows.len() as u32).collect();
        let (train, validation) = all.split_at(train);
        let (train, validation) = (rows.select(train), rows.select(validation));
        Repetition { plan: &plan, trial, train, validation, test, seed, repeat }.run(&mut evidence)?;
        trial.progress.advance(1);
    }
    identities(&mut evidence)?;
    Ok(evidence)
}

impl Plan {
    fn expectations(&self, data: &str) -> Evidence {
        let [train, validation, test] = self.rows;
        let mut evidence = Evidence {
            paper:
                "One run of a self-tuning network beats grid, random and Bayesian search in less time (LSTM on Penn \
                    Treebank, CNN on CIFAR-10); the dropout schedule it finds beats the best fixed value."
                    .into(),
            experiment: format!(
                "{data}, {train} training, {validation} validation and {test} test rows; MLP with hidden layers {:?}, \
                 {} epochs of Adam at 0.001, batches of 128. Tuned: dropout of the inputs and of both hidden layers \
                 (0 to 0.9) and the standard deviation of input noise. Random search draws {} times: rates uniform on \
                 the same range, noise log-uniform on 0.01 to 1. Every arm returns its epoch with the lowest \
                 validation loss.",
                self.hidden, self.epochs, self.searches
            ),
            ..Evidence::default()
        };
        let below = Relation::Below(0.0);
        evidence.expect(
            "its validation loss is at most that of random search with as many passes",
            "validation loss",
            OURS,
            Some(SEARCH),
            below,
        );
        evidence.expect(
            "from starts of 0.05, 0.3 and 0.6 the rates end within 0.1 of each other",
            "largest spread of final rates",
            OURS,
            None,
            Relation::Below(0.1),
        );
        evidence.expect(
            "training with the recorded schedule has a lower test loss than with its final values",
            "test loss",
            "recorded schedule",
            Some("final values"),
            below,
        );
        for (arm, rival) in [
            (OURS, "random search, all"),
            (OURS, "fixed 0.2/0.5/0.5"),
            (OURS, "grid of one rate"),
            (OURS, "none"),
            (CENTRED, OURS),
        ] {
            for metric in ["validation loss", "test loss"] {
                evidence.report(&format!("{arm} has a lower {metric} than {rival}"), metric, arm, Some(rival), below);
            }
        }
        evidence.report(
            "random search needs ten runs or more on average to reach it",
            "runs of random search to reach it",
            OURS,
            None,
            Relation::Above(10.0),
        );
        evidence.report(
            "a training step costs at most 2.2 times a plain one",
            "time of a step, in plain steps",
            OURS,
            None,
            Relation::Below(2.2),
        );
        evidence.notes.push(
            "Passes: a row through structured layers counts twice, validation steps included; random search gets its \
             number of runs rounded up. Its loss at k runs is the mean of the best of k over all orders of its runs. \
             All arms select on the validation rows; only test losses are free of that."
                .into(),
        );
        evidence
    }
}

/// One split with all arms.
struct Repetition<'a> {
    plan: &'a Plan,
    trial: &'a Trial<'a>,
    train: Samples,
    validation: Samples,
    test: Samples,
    seed: Seed,
    repeat: u64,
}

impl Repetition<'_> {
    fn network(&self) -> Mlp {
        Mlp::new(self.train.inputs.ncols(), self.plan.hidden, self.train.outputs())
    }

    fn trainer(&self, epochs: usize) -> Trainer {
        let optimizer = Optimizer::adamw(0.0);
        Trainer { epochs, optimizer, schedule: Schedule::Constant, seed: self.seed, ..Trainer::default() }
    }

    fn test_loss(&self, parameters: &Parameters) -> Result<f64> {
        let scores = predict(&self.network(), parameters, self.test.inputs.view(), &[])?;
        Ok(mean_loss(self.trainer(1).loss, &scores, &self.test))
    }

    /// Lowest validation loss and the test loss at that epoch, with given strengths.
    fn with(&self, mut strengths: Strengths) -> Result<(f64, f64)> {
        quadrat_core::checkpoint(self.trial.progress)?;
        let mut keep = KeepBest { validation: &self.validation, best: None };
        let mut methods: [&mut dyn TrainMethod; 2] = [&mut strengths, &mut keep];
        let fit = self.trainer(self.plan.epochs).fit(&self.network(), &self.train, None, &mut methods, &Silent)?;
        Ok((keep.best.map_or(f64::NAN, |best| best.0), self.test_loss(&fit.parameters)?))
    }

    fn tuner(&self, start: f64, variant: Variant) -> SelfTuningNetwork {
        let rate = |site| Hyper { value: start, ..Hyper::dropout(site) };
        let mut hypers = SITES.map(rate).to_vec();
        hypers.push(Hyper::input_noise());
        let validation = Validation::Rows(self.validation.clone());
        SelfTuningNetwork { hypers, validation, variant, ..SelfTuningNetwork::default() }
    }

    /// As [`Repetition::with`], with tuned strengths; also the method after the run.
    fn tuned(&self, start: f64, variant: Variant) -> Result<(f64, f64, SelfTuningNetwork)> {
        quadrat_core::checkpoint(self.trial.progress)?;
        let mut method = self.tuner(start, variant);
        let trainer = self.trainer(self.plan.epochs);
        let fit = trainer.fit(&self.network(), &self.train, None, &mut [&mut method], &Silent)?;
        let reached = method.tuned.best().map_or(f64::NAN, |best| best.loss);
        Ok((reached, self.test_loss(&fit.parameters)?, method))
    }

    fn run(&self, evidence: &mut Evidence) -> Result<()> {
        let mut record = |arm: &str, (validation, test): (f64, f64)| {
            evidence.measure(arm, "validation loss", self.repeat, validation);
            evidence.measure(arm, "test loss", self.repeat, test);
        };
        let rates = |rates: [f64; 3], noise: f64| {
            let dropouts = SITES.into_iter().zip(rates).map(|(site, rate)| (Strength::Dropout(site.into()), rate));
            Strengths::constant(dropouts.chain([(Strength::InputNoise, noise)]))
        };
        record("none", self.with(rates([0.0; 3], 0.0))?);
        record("fixed 0.2/0.5/0.5", self.with(rates([0.2, 0.5, 0.5], 0.0))?);
        let grid = GRID.iter().map(|&rate| self.with(rates([rate; 3], 0.0))).collect::<Result<Vec<_>>>()?;
        record("grid of one rate", best_of(&grid));

        let mut rng = self.seed.stream("search").rng(0);
        let draw = |rng: &mut Rng| {
            let dropouts = [0; 3].map(|_| 0.9 * rng.uniform());
            self.with(rates(dropouts, 0.01 * 100f64.powf(rng.uniform())))
        };
        let searched = (0..self.plan.searches).map(|_| draw(&mut rng)).collect::<Result<Vec<_>>>()?;
        record("random search, all", best_of(&searched));

        let mut final_rates = Vec::new();
        let mut first = None;
        for start in STARTS {
            let (validation, test, method) = self.tuned(start, Variant::Plain)?;
            final_rates.push(method.tuned.strengths());
            if first.is_none() {
                record(OURS, (validation, test));
                first = Some((validation, method));
            } else {
                record(&format!("{OURS} from {start}"), (validation, test));
            }
        }
        let (validation, test, centred) = self.tuned(STARTS[0], Variant::Centred)?;
        record(CENTRED, (validation, test));
        let Some((reached, method)) = first else { return Ok(()) };
        record("recorded schedule", self.with(method.tuned.schedule().clone())?);
        record("final values", self.with(Strengths::constant(method.tuned.strengths()))?);

        let passes = STRUCTURED
            * (self.train.len() * self.plan.epochs
                + method.tuned.validation_steps() as usize * method.batch.min(self.validation.len()));
        let runs = passes.div_ceil(self.train.len() * self.plan.epochs);
        let losses: Vec<f64> = searched.iter().map(|(validation, _)| *validation).collect();
        evidence.measure(SEARCH, "validation loss", self.repeat, mean_best(&losses, runs));
        let needed = (1..=losses.len()).find(|&k| mean_best(&losses, k) <= reached).unwrap_or(losses.len() + 1);
        evidence.measure(OURS, "runs of random search to reach it", self.repeat, needed as f64);
        evidence.measure(OURS, "passes, in plain runs", self.repeat, runs as f64);
        for (j, (strength, value)) in final_rates[0].iter().enumerate() {
            evidence.measure(OURS, &format!("final {strength}"), self.repeat, *value);
            let centred = centred.tuned.strengths()[j].1;
            evidence.measure(CENTRED, &format!("final {strength}"), self.repeat, centred);
        }
        let spread = (0..SITES.len()).map(|j| {
            let values = final_rates.iter().map(|rates| rates[j].1);
            values.clone().fold(f64::MIN, f64::max) - values.fold(f64::MAX, f64::min)
        });
        evidence.measure(OURS, "largest spread of final rates", self.repeat, spread.fold(0.0, f64::max));
        if self.repeat == 0 {
            evidence.plots.push(plot(method.tuned.schedule()));
        }
        self.cost(evidence)
    }

    /// Seconds of a structured training step over those of a plain one, medians of alternating epochs.
    fn cost(&self, evidence: &mut Evidence) -> Result<()> {
        let trainer = self.trainer(2);
        let time = |method: &mut dyn TrainMethod| -> Result<f64> {
            let start = Instant::now();
            trainer.fit(&self.network(), &self.train, None, &mut [method], &Silent)?;
            Ok(start.elapsed().as_secs_f64())
        };
        let all = SITES.map(|site| (Strength::Dropout(site.into()), 0.3));
        let mut ratios = Vec::new();
        for _ in 0..3 {
            let plain = time(&mut Strengths::constant(all.clone()))?;
            let without_rounds = SelfTuningNetwork { train_steps: usize::MAX, ..self.tuner(0.3, Variant::Plain) };
            let ours = time(&mut SelfTuningNetwork { keep_best: false, ..without_rounds })?;
            ratios.push(ours / plain);
        }
        ratios.sort_by(f64::total_cmp);
        evidence.measure(OURS, "time of a step, in plain steps", self.repeat, ratios[1]);
        Ok(())
    }
}

/// The run with the lowest validation loss.
fn best_of(runs: &[(f64, f64)]) -> (f64, f64) {
    runs.iter().copied().fold((f64::INFINITY, f64::NAN), |best, run| if run.0 < best.0 { run } else { best })
}

/// Mean of the lowest of the first `k` losses over all orders of them.
fn mean_best(losses: &[f64], k: usize) -> f64 {
    let mut sorted = losses.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (n, k) = (sorted.len(), k.min(sorted.len()));
    // The lowest is the i-th if it is among the k and the i before it are not.
    let mut none_before = 1.0;
    let mut mean = 0.0;
    for (i, loss) in sorted.iter().enumerate() {
        let hit = (k as f64 / (n - i) as f64).min(1.0);
        mean += none_before * hit * loss;
        none_before *= 1.0 - hit;
    }
    mean
}

/// How the strengths went.
fn plot(schedule: &Strengths) -> Plot {
    let series = |(j, name): (usize, &Strength)| {
        let point =
            |(step, values): (&usize, &Vec<f32>)| [*step as f64, values[j].into(), values[j].into(), values[j].into()];
        Series { name: name.to_string(), points: schedule.steps.iter().zip(&schedule.values).map(point).collect() }
    };
    Plot {
        title: "Strengths of one self-tuning run".into(),
        x: "training step".into(),
        y: "dropout rate, standard deviation of noise".into(),
        log_x: false,
        log_y: false,
        series: schedule.names.iter().enumerate().map(series).collect(),
    }
}

/// Returns the parameters of the epoch with the lowest validation loss, as the self-tuning network does.
struct KeepBest<'a> {
    validation: &'a Samples,
    best: Option<(f64, Vec<Vec<f32>>)>,
}

impl TrainMethod for KeepBest<'_> {
    fn name(&self) -> &str {
        "keep-best"
    }

    fn end_epoch(&mut self, epoch: usize, model: &mut dyn EpochEnd) -> Result<()> {
        let rows: Vec<u32> = (0..self.validation.len() as u32).collect();
        let batch: Batch = self.validation.batch(At { epoch, step: 0 }, &rows);
        let loss = model.loss(&batch)?;
        if self.best.as_ref().is_none_or(|best| loss < best.0) {
            self.best = Some((loss, model.parameters().iter().map(|p| p.values()).collect()));
        }
        Ok(())
    }

    fn finish(&mut self, parameters: &mut Parameters) -> Result<()> {
        let best = self.best.iter().flat_map(|best| &best.1);
        parameters.iter_mut().zip(best).try_for_each(|(parameter, values)| parameter.set(values))
    }
}

/// What must hold exactly.
fn identities(evidence: &mut Evidence) -> Result<()> {
    // Ridge: w*(lambda) is w of least squares, gated along each axis by a sigmoid of an affine function of ln lambda.
    let mut rng = Seed(1).rng(0);
    let x = Array2::from_shape_simple_fn((30, 4), || rng.normal());
    let y = Array1::from_shape_simple_fn(30, || rng.normal());
    let (squares, axes) = linalg::symmetric_eigen(x.t().dot(&x).view())?;
    let turned = axes.t().dot(&x.t().dot(&y));
    let mut apart = 0.0f64;
    for log_decay in [-6.0, -1.0, 0.0, 2.0, 5.0f64] {
        for (d, c) in squares.iter().zip(&turned) {
            let gate = 1.0 / (1.0 + (log_decay - d.ln()).exp());
            apart = apart.max((gate * c / d - c / (d + log_decay.exp())).abs());
        }
    }
    evidence.identity("a ridge's best response is gated by sigmoids", apart, 0.0, 1e-12);
    evidence.identity("mean of the best of 2 of 1, 2, 3", mean_best(&[3.0, 1.0, 2.0], 2), 4.0 / 3.0, 1e-12);

    let inputs = Array2::from_shape_fn((60, 3), |(i, j)| ((i * (2 * j + 3) + j) % 11) as f32 / 11.0);
    let samples = Samples::classes(inputs, (0..60).map(|i| (i % 3) as u32).collect(), 3)?;
    let rows: Vec<u32> = (0..60).collect();
    let (train, validation) = (samples.select(&rows[..40]), samples.select(&rows[40..]));
    let network = Mlp::new(3, &[16], 3);
    let trainer = Trainer { epochs: 4, batch: 8, rate: 0.01, seed: Seed(5), ..Trainer::default() };
    for variant in [Variant::Plain, Variant::Centred] {
        let held = Validation::Rows(validation.clone());
        let mut method = SelfTuningNetwork { variant, validation: held, ..SelfTuningNetwork::default() };
        let fit = trainer.fit(&network, &train, None, &mut [&mut method], &Silent)?;
        let scores = predict(&network, &fit.parameters, validation.inputs.view(), &[])?;
        let folded = mean_loss(trainer.loss, &scores, &validation);
        let gated = method.tuned.best().map_or(f64::NAN, |best| best.loss);
        evidence.identity(&format!("{variant:?}: folded weights have the gated loss"), folded, gated, 1e-5);
    }
    Ok(())
}
