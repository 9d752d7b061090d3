//! `quadrat estimate inductive-bias`: how many bits beyond the training set a task takes.

mod task;

use crate::args::Run;
use crate::commands::roles;
use crate::output::{Reply, check_place, count, figure, json, seconds, table, wrap};
use crate::parameters::Declared;
use crate::reading::Reading;
use crate::report::{Block, Page, svg};
use clap::{Args, ValueEnum};
use quadrat::estimate::inductive_bias::{
    Bias, Fit, GpPosterior, HypothesisSampler, Kernel, Means, Question, Retrain, Space, median_distance,
    reference_error, required_bias, residual_variance,
};
use quadrat::numeric::learners::MlpRegressor;
use quadrat::stats::{mean, t_interval};
use quadrat::{Choice, Error, Plot, Progress, Result, Seed, Series, catalogue, checkpoint, find};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Instant;
use task::{Split, Task};

const HELP: &str = "Examples:
  quadrat estimate inductive-bias --in builtin:iris --target class
  quadrat estimate inductive-bias --in train.csv --target y --space kernel:rbf --eps 0.1,0.05 --json";

/// Bits beyond the training set that generalising takes, within a space of hypotheses.
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub struct InductiveBias {
    /// The rows; a file as for `select`, or builtin:NAME
    #[arg(long = "in", value_name = "FILE")]
    pub input: String,
    /// Column to predict: classes become one column each, of 0 and 1
    #[arg(long, value_name = "COLUMN")]
    pub target: String,
    /// Test rows with the same columns [default: a share of the input is split off]
    #[arg(long, value_name = "FILE")]
    pub test: Option<String>,
    /// Share of the input that only tests
    #[arg(long, value_name = "SHARE", default_value_t = 0.25, conflicts_with = "test")]
    pub test_share: f64,
    /// Random splits; the interval is over them [default: 5, and 1 for networks]
    #[arg(long, value_name = "N", conflicts_with = "test")]
    pub repeats: Option<usize>,
    #[command(flatten)]
    pub question: Declared<Question>,
    /// Sampled hypotheses behind a fit [default: 10000 for kernels, 100 for networks]
    #[arg(long, value_name = "N")]
    pub samples: Option<usize>,
    /// Networks: passes over the training rows
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub epochs: usize,
    /// Whether the target is a class [default: text, categories, truth values, and at most 20 different whole numbers]
    #[arg(long, value_enum, default_value_t = Kind::Auto)]
    pub task: Kind,
    /// Most training rows to use, and most test rows; of more, a random part
    #[arg(long, value_name = "N", default_value_t = 4000)]
    pub max_rows: usize,
    /// Numeric columns to use, standardised [default: all that are numeric but the target]
    #[arg(long, value_name = "A,B,C")]
    pub features: Vec<String>,
    #[command(flatten)]
    pub run: Run,
    /// Write a self-contained HTML page about the run
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    pub reading: Reading,
}

/// What the target is.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Auto,
    Classification,
    Regression,
}

/// What a space says of one split.
struct Finding {
    biases: Vec<Bias>,
    sigma: Option<f64>,
    noise: Option<f64>,
    mean_error: Option<f64>,
    training_error: Option<f64>,
}

/// Splits, asks the space about each split, and prints what it takes to reach each error.
pub fn run(args: &InductiveBias, progress: &dyn Progress) -> Result<Reply> {
    let question = args.question.settings()?;
    let question = Question { fit: fit(args, &question)?, ..question };
    check_options(args, &question)?;
    if let Some(report) = &args.report {
        check_place(report)?;
    }
    let started = Instant::now();
    let seed = Seed(args.run.seed);
    let task = Task::read(args)?;
    let splits =
        task.splits(args, args.repeats.unwrap_or(if matches!(question.space, Space::Network { .. }) { 1 } else { 5 }))?;
    let given = question.eps.is_some();
    let mut targets = question.eps.clone().unwrap_or_default();
    progress.begin("reference model", Some(splits.len() as u64));
    let reference = splits
        .iter()
        .map(|split| {
            checkpoint(progress)?;
            progress.advance(1);
            Ok(split.own_units(reference_error(split.train(), split.test(), seed)?))
        })
        .collect::<Result<Vec<f64>>>();
    let reference = match reference {
        Ok(errors) => Some(mean(&errors)),
        Err(Error::Cancelled) => return Err(Error::Cancelled),
        Err(error) if !given => return Err(error),
        Err(_) => None,
    };
    if !given {
        targets.extend(reference);
        if targets.iter().any(|eps| *eps <= 0.0) {
            let want = "a ridge model makes no error at all on these rows: name the errors to reach";
            return Err(Error::input("--eps", "nothing", want));
        }
    }
    progress.begin("splits", Some(splits.len() as u64));
    let mut findings = Vec::with_capacity(splits.len());
    for (at, split) in (0..).zip(&splits) {
        checkpoint(progress)?;
        let eps: Vec<f64> = targets.iter().map(|eps| eps / split.scale).collect();
        findings.push(find_bias(
            args,
            &question,
            split,
            &eps,
            Seed(seed.stream("split").rng(at).next_u64()),
            progress,
        )?);
        progress.advance(1);
    }
    let outcome = Outcome { args, question, task: &task, splits: &splits, targets, reference, findings };
    let notes = outcome.notes();
    for note in &notes {
        eprintln!("quadrat: note: {note}");
    }
    outcome.reply(&notes, started.elapsed().as_secs_f64())
}

/// The law to fit; none for the exact route.
fn fit(args: &InductiveBias, question: &Question) -> Result<Option<Fit>> {
    let network = matches!(question.space, Space::Network { .. });
    match args.question.given("fit") {
        None if network => Ok(Some(Fit::Ncx2)),
        Some("exact") if network => {
            Err(Error::input("--fit", "`exact`", "a network's error has no law of its own: use ncx2 or another fit"))
        }
        _ => Ok(question.fit),
    }
}

fn check_options(args: &InductiveBias, question: &Question) -> Result<()> {
    let Question { space, sigma, noise, fit, eps, .. } = question;
    let idle = [
        (sigma.is_some() && *space != Space::Rbf, "--sigma", "it belongs to --space kernel:rbf"),
        (noise.is_some() && matches!(space, Space::Network { .. }), "--noise", "it belongs to kernels"),
        (args.samples.is_some() && fit.is_none(), "--samples", "the exact route does not sample: choose a --fit"),
    ];
    if let Some((_, option, want)) = idle.iter().find(|(idle, _, _)| *idle) {
        return Err(Error::input("option", format!("`{option}`"), *want));
    }
    if let Some(eps) = eps.iter().flatten().find(|eps| !(**eps > 0.0 && eps.is_finite())) {
        return Err(Error::input("--eps", eps, "errors must be finite and above 0"));
    }
    for (option, given, least) in
        [("--repeats", args.repeats.unwrap_or(1), 1), ("--max-rows", args.max_rows, 3), ("--epochs", args.epochs, 1)]
    {
        if given < least {
            return Err(Error::input(option, given, format!("use at least {least}")));
        }
    }
    if !(args.test_share > 0.0 && args.test_share < 1.0) {
        return Err(Error::input("--test-share", args.test_share, "use a share between 0 and 1"));
    }
    Ok(())
}

/// What the space says of one split, for each error (in the split's units).
fn find_bias(
    args: &InductiveBias,
    question: &Question,
    split: &Split,
    eps: &[f64],
    seed: Seed,
    progress: &dyn Progress,
) -> Result<Finding> {
    let Question { space, unit, fit, .. } = *question;
    let fitted = |sampler: &dyn HypothesisSampler, fit: Fit, samples: usize| -> Result<Vec<Bias>> {
        let losses = sampler.sample_losses(args.samples.unwrap_or(samples), seed, progress)?;
        eps.iter().map(|eps| required_bias(&losses, *eps, fit, unit, seed)).collect()
    };
    if let Space::Network { width, depth } = space {
        let net = MlpRegressor { width, depth, epochs: args.epochs, ..MlpRegressor::default() };
        let (train, test) = (split.train(), split.test());
        let square = |y: ndarray::ArrayView2<f64>, of: ndarray::ArrayView2<f64>| {
            (&of - &y).iter().map(|e| e * e).sum::<f64>() / y.len() as f64
        };
        let family = Retrain(|seed| Ok(square(test.y, net.fit(train.x, train.y, seed)?.predict(test.x).view())));
        let one = net.fit(train.x, train.y, seed)?.predict(train.x);
        let training_error = Some(split.own_units(square(train.y, one.view())));
        let biases = fitted(&family, fit.unwrap_or_default(), 100)?;
        return Ok(Finding { biases, sigma: None, noise: None, mean_error: None, training_error });
    }
    let sigma = question.sigma.unwrap_or_else(|| median_distance(split.train().x));
    let (kernel, noise) = match space {
        Space::Rbf => (Kernel::Rbf { sigma }, 0.0),
        _ => (Kernel::Linear, if question.noise.is_none() { residual_variance(split.train())? } else { 0.0 }),
    };
    let noise = question.noise.map_or(noise, |noise| noise / split.scale);
    let posterior = GpPosterior::new(kernel, noise, split.train(), split.test())?;
    let biases = match fit {
        None => posterior.curve(eps, unit)?,
        Some(fit) => fitted(&posterior, fit, 10_000)?,
    };
    Ok(Finding {
        biases,
        sigma: (space == Space::Rbf).then_some(sigma),
        noise: Some(split.own_units(noise)),
        mean_error: Some(split.own_units(posterior.mean_error)),
        training_error: Some(split.own_units(posterior.training_error)),
    })
}

/// Bits of a number's digits: more information than that for each number of the answer singles out nothing.
const MOST_BITS: f64 = 53.0;

struct Outcome<'a> {
    args: &'a InductiveBias,
    question: Question,
    task: &'a Task,
    splits: &'a [Split],
    targets: Vec<f64>,
    reference: Option<f64>,
    findings: Vec<Finding>,
}

/// The information for one error, over all splits.
struct Line {
    eps: f64,
    value: f64,
    interval: Option<(f64, f64)>,
    splits: Vec<Bias>,
}

impl Outcome<'_> {
    /// With several splits, the mean and its t interval (widened for the rows that splits share); with one, its own.
    fn line(&self, at: usize) -> Line {
        let splits: Vec<Bias> = self.findings.iter().map(|finding| finding.biases[at]).collect();
        let values: Vec<f64> = splits.iter().map(|bias| bias.value).collect();
        let (value, interval) = match splits.as_slice() {
            [one] => (one.value, one.interval),
            _ => {
                let (train, test) = self.sizes();
                let interval = t_interval(&values, 0.95, test as f64 / train as f64);
                (interval.mean, Some((interval.low.max(0.0), interval.high)))
            }
        };
        Line { eps: self.targets[at], value, interval, splits }
    }

    /// The space as it was typed.
    fn space(&self) -> String {
        self.args.question.value("space").to_owned()
    }

    fn lines(&self) -> Vec<Line> {
        (0..self.targets.len()).map(|at| self.line(at)).collect()
    }

    fn sizes(&self) -> (usize, usize) {
        self.splits.first().map_or((0, 0), |split| (split.train().x.nrows(), split.test().x.nrows()))
    }

    fn average(&self, of: impl Fn(&Finding) -> Option<f64>) -> Option<f64> {
        let values: Vec<f64> = self.findings.iter().filter_map(of).collect();
        (!values.is_empty()).then(|| mean(&values))
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = self.task.notes.clone();
        let (training, noise) = (self.average(|f| f.training_error), self.average(|f| f.noise).unwrap_or(0.0));
        let spread = mean(&self.splits.iter().map(|split| split.spread).collect::<Vec<_>>());
        if let Some(error) = training.filter(|error| *error > 0.01 * spread && noise == 0.0) {
            let cure = match self.question.space {
                Space::Network { .. } => "train longer (--epochs) or wider",
                _ => "allow for it with --noise",
            };
            notes.push(format!(
                "the space does not fit the training rows: an error of {} remains, of a variance of {}; {cure}",
                figure(error),
                figure(spread)
            ));
        }
        let (_, test) = self.sizes();
        let numbers = test * self.task.classes.len().max(1);
        for line in self.lines() {
            if line.value.is_finite() && line.value > MOST_BITS * self.question.unit.of_bits(numbers as f64) {
                let reach = self.average(|f| f.mean_error).map_or_else(String::new, |error| {
                    format!(" (those that fit the training rows err by about {})", figure(error))
                });
                notes.push(format!(
                    "eps {} is out of reach of this space{reach}: {} {} are more than {MOST_BITS} bits for each of the {} \
                     numbers to be predicted, as many as a number has, and say how little its hypotheses differ, not how \
                     hard the task is; allow for noise in the training rows (--noise) or name a larger --eps",
                    figure(line.eps),
                    figure(line.value),
                    self.question.unit.name(),
                    count(numbers)
                ));
            }
            if line.splits.iter().any(|bias| bias.extrapolated) {
                let eps = figure(line.eps);
                notes.push(format!("eps {eps} is below every sampled error: the fitted law alone speaks there"));
            }
            if line.splits.iter().any(|bias| bias.above_median) {
                let eps = figure(line.eps);
                notes.push(format!("more than half of the hypotheses reach eps {eps}: there is little to be known"));
            }
            if line.value.is_infinite() {
                notes.push(format!("no hypothesis of this space reaches eps {}", figure(line.eps)));
            }
        }
        notes
    }

    fn reply(&self, notes: &[String], took: f64) -> Result<Reply> {
        let card = find(&catalogue(), "inductive-bias")?;
        let (train, test) = self.sizes();
        let name = self.question.fit.map_or("exact", Fit::name);
        let what = match self.task.classes.len() {
            0 => format!("regression on {}", self.args.target),
            classes => format!("classification of {} ({classes} classes, one-hot)", self.args.target),
        };
        let mut facts = vec![
            ("task".to_owned(), what),
            ("space".to_owned(), self.space()),
            ("training and test rows".to_owned(), format!("{} and {}", count(train), count(test))),
            ("splits".to_owned(), self.splits.len().to_string()),
            ("information from".to_owned(), name.to_owned()),
        ];
        let figures = [
            ("sigma", self.average(|f| f.sigma)),
            ("noise variance", self.average(|f| f.noise)),
            ("error of ridge on random features", self.reference),
            ("error of the space's mean", self.average(|f| f.mean_error)),
            ("error left on training rows", self.average(|f| f.training_error)),
        ];
        for (name, value) in figures {
            facts.extend(value.map(|value| (name.to_owned(), figure(value))));
        }
        let (lines, rows) = (self.lines(), self.table());
        if let Some(path) = &self.args.report {
            let lead = format!(
                "Information beyond the training rows that singles out the hypotheses of {} which reach a test error.",
                self.space()
            );
            let mut page = Page::new(format!("Required inductive bias of {}", self.args.input), lead);
            page.section("What it takes", [Block::Table { rows: rows.clone(), right: vec![0, 1] }]);
            if lines.len() > 1 {
                let caption = "Information against the test error to reach; bars show 95% intervals.".to_owned();
                page.section("Curve", [Block::Figure { drawing: svg::curves(&self.plot(&lines))?, caption }]);
            }
            page.section("How", [Block::Facts(facts.clone())]);
            page.section("Columns", roles::blocks(&self.task.uses));
            page.section("Notes", notes.iter().map(|note| Block::Text(note.clone())));
            page.finish(path, Some(card))?;
        }
        let mut text = table(&rows, &[0, 1]);
        text.push('\n');
        text.push_str(&table(&facts.iter().map(|(a, b)| vec![a.clone(), b.clone()]).collect::<Vec<_>>(), &[]));
        text.push_str(&wrap(&format!("took {}", seconds(took)), 2, 100));
        if let Some(path) = &self.args.report {
            text.push_str(&format!("wrote {}\n", path.display()));
        }
        let bias: Vec<Value> = lines.iter().map(line_json).collect::<Result<_>>()?;
        let mut value = json!({
            "method": card.slug,
            "input": self.args.input,
            "target": self.args.target,
            "task": if self.task.classes.is_empty() { "regression" } else { "classification" },
            "classes": self.task.classes,
            "features": self.task.features,
            "space": self.space(),
            "fit": name,
            "unit": self.question.unit,
            "rows": { "train": train, "test": test },
            "splits": self.splits.len(),
            "sigma": self.average(|f| f.sigma),
            "noise": self.average(|f| f.noise),
            "reference_error": self.reference,
            "mean_error": self.average(|f| f.mean_error),
            "training_error": self.average(|f| f.training_error),
            "eps_given": self.question.eps.is_some(),
            "bias": bias,
            "notes": notes,
            "seed": self.args.run.seed,
            "seconds": took,
        });
        roles::tell(&self.task.table, &self.task.uses, &mut text, &mut value);
        Ok(Reply::new(text, value))
    }

    fn table(&self) -> Vec<Vec<String>> {
        let row = |line: &Line| {
            let interval = line.interval.filter(|(low, high)| low.is_finite() || high.is_finite());
            let interval = interval.map(|(low, high)| format!("[{}, {}]", figure(low), figure(high)));
            vec![figure(line.eps), figure(line.value), interval.unwrap_or_default()]
        };
        let head = ["test error", self.question.unit.name(), "95% interval"].map(str::to_owned).to_vec();
        std::iter::once(head).chain(self.lines().iter().map(row)).collect()
    }

    fn plot(&self, lines: &[Line]) -> Plot {
        let mut points: Vec<[f64; 4]> = lines
            .iter()
            .filter(|line| line.value.is_finite())
            .map(|line| {
                let (low, high) = line.interval.unwrap_or((line.value, line.value));
                [line.eps, line.value, low, high]
            })
            .collect();
        points.sort_by(|a, b| a[0].total_cmp(&b[0]));
        Plot {
            title: "Information against test error".to_owned(),
            x: "test error (mean square)".to_owned(),
            y: self.question.unit.name().to_owned(),
            log_x: true,
            log_y: false,
            series: vec![Series { name: self.space(), points }],
        }
    }
}

fn line_json(line: &Line) -> Result<Value> {
    let laws = line
        .splits
        .iter()
        .filter_map(|bias| if let Means::Fit(law) = bias.means { Some(json(&law)) } else { None })
        .collect::<Result<Vec<Value>>>()?;
    Ok(json!({
        "eps": line.eps,
        "value": line.value,
        "interval": line.interval,
        "splits": line.splits.iter().map(|bias| bias.value).collect::<Vec<_>>(),
        "laws": laws,
        "ks_distance": line.splits.iter().filter_map(|bias| bias.ks_distance).collect::<Vec<_>>(),
        "extrapolated": line.splits.iter().any(|bias| bias.extrapolated),
        "above_median": line.splits.iter().any(|bias| bias.above_median),
    }))
}
