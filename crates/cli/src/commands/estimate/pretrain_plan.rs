//! `quadrat estimate pretrain-plan`: does pretraining on unlabelled rows pay, and would more of them or more labels?

use super::has_classes;
use super::inductive_bias::Kind as Task;
use crate::args::Run;
use crate::commands::{roles, work};
use crate::output::{Reply, check_place, count, figure, seconds, table, wrap};
use crate::parameters::Declared;
use crate::reading::Reading;
use crate::report::{Block, Page, svg};
use clap::Args;
use ndarray::{Array1, Array2, Axis};
use quadrat::data::Table;
use quadrat::estimate::pretrain_mle_erm::{
    BreakEven, Choice, Doubling, Head, Kind, PlanSettings, Planner, Rescaled, RiskSurface, Target,
};
use quadrat::numeric::learners::Standard;
use quadrat::stats::Interval;
use quadrat::{
    Choice as _, ColumnUse, Error, Nominal, Part, Plot, Progress, Result, Seed, Series, Silent, Wish, catalogue, find,
};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Instant;

const HELP: &str = "Examples:
  quadrat estimate pretrain-plan --unlabelled pool.csv --labelled few.csv --target y --report report.html
  quadrat estimate pretrain-plan --unlabelled pool.csv --labelled few.csv --target y --representation gmm --k 8 --json";

/// Whether a representation learnt from unlabelled rows saves labels, and what pays next: labels or unlabelled rows.
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub struct PretrainPlan {
    /// Rows without labels; a file as for `select`, or builtin:NAME. A target column in it is not looked at
    #[arg(long, value_name = "FILE")]
    pub unlabelled: String,
    /// Rows with labels and the same numeric columns
    #[arg(long, value_name = "FILE")]
    pub labelled: String,
    /// Column to predict, in the labelled rows
    #[arg(long, value_name = "COLUMN")]
    pub target: String,
    #[command(flatten)]
    pub settings: Declared<PlanSettings>,
    /// Whether the target is a class [default: text, categories, truth values, and at most 20 different whole numbers]
    #[arg(long, value_enum, default_value_t = Task::Auto)]
    pub task: Task,
    /// Numeric columns to use, standardised on the unlabelled rows; ppca and gmm, which have one variance for all columns,
    /// take them as they are where BIC finds that better [default: all that are numeric but the target]
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

/// Most unlabelled rows that a size is chosen on.
const MOST_FOR_BIC: usize = 5000;
/// Steps of the grid, each half as large as the next.
const POOL_STEPS: usize = 4;
const LABEL_STEPS: usize = 5;

/// Both files as arrays.
struct Rows {
    features: Vec<String>,
    /// Standardised on the pool; what that took out of each column.
    deviations: Array1<f64>,
    uses: ColumnUse,
    file: Table,
    pool: Array2<f64>,
    x: Array2<f64>,
    y: Target,
    classes: Vec<String>,
}

/// Reads, chooses a size, measures the risk surface, and says what follows.
pub fn run(args: &PretrainPlan, progress: &dyn Progress) -> Result<Reply> {
    let started = Instant::now();
    args.settings.check_effect()?;
    let settings = args.settings.settings()?;
    let PlanSettings { representation: kind, repeats, test_share, .. } = settings;
    if let Some(report) = &args.report {
        check_place(report)?;
    }
    let seed = Seed(args.run.seed);
    let rows = Rows::read(args)?;
    let given = settings.rank.or(settings.k);
    let (choice, raw) = rows.size(kind, given, seed, progress)?;
    let size = choice.size;
    let (head, supervised) = match rows.y {
        Target::Numbers(_) => (Head::Ridge(None), Head::Ridge(None)),
        Target::Classes { .. } if kind == Kind::Gmm => (Head::ClusterTable, Head::Logistic(None)),
        Target::Classes { .. } => (Head::Logistic(None), Head::Logistic(None)),
    };
    let labelled = rows.x.nrows();
    let train = labelled.saturating_sub(Planner::held_out(test_share, labelled));
    if train < 2 {
        let want = "a split needs at least 2 labels to train on and 1 to test: label more rows or hold out fewer";
        return Err(Error::input(format!("{}, labelled rows", args.labelled), labelled, want));
    }
    let representation = kind.of_size(size);
    let rescaled = Rescaled { representation: representation.as_ref(), factors: rows.deviations.clone() };
    let planner = Planner {
        representation: if raw { &rescaled } else { representation.as_ref() },
        head,
        supervised,
        // A grid begins where the model can still be fitted, or with the whole pool, whose error then says why not.
        pool_sizes: Planner::halvings(rows.pool.nrows(), (2 * size + 2).min(rows.pool.nrows()), POOL_STEPS),
        label_sizes: Planner::halvings(train, 4.min(train), LABEL_STEPS),
        repeats,
        test_share,
    };
    let surface = planner.plan(rows.pool.view(), rows.x.view(), &rows.y, seed, progress)?;
    Outcome { args, settings, rows: &rows, choice, raw, surface, seed }.reply(started.elapsed().as_secs_f64())
}

impl Rows {
    fn read(args: &PretrainPlan) -> Result<Rows> {
        let (pool, few) = (work::read(&args.unlabelled, &args.reading)?, work::read(&args.labelled, &args.reading)?);
        let (mut uses, mut labelled) = columns(args, &pool, &few)?;
        let on_missing = args.reading.on_missing()?;
        let (pool, few) = (uses.settle(&pool, on_missing)?, labelled.settle(&few, on_missing)?);
        // Gaps of the few rows are filled by what the many teach.
        let mut read = uses.numbers_and_gaps(&[&pool, &few], &Silent)?.into_iter();
        let features = uses.numbers_as_read();
        let (Some(unlabelled), Some(x)) = (read.next(), read.next()) else {
            return Err(Error::input("files", "nothing", "name both"));
        };
        let (y, classes) = match has_classes(&few, &args.target, args.task)? {
            false => {
                let numbers = labelled.numbers(&[&few], Part::Target, &Silent)?;
                (Target::Numbers(numbers.into_iter().flatten().collect()), Vec::new())
            }
            true => {
                let found = labelled.categories(&few, &args.target)?;
                labelled.look_at_classes(&args.target, &found);
                (Target::Classes { codes: found.codes, count: found.names.len() }, found.names)
            }
        };
        uses.used.extend(labelled.used.into_iter().filter(|used| used.part == Part::Target));
        uses.warnings.extend(labelled.warnings);
        if y.len() < 2 {
            let want = "there must be at least 2: label more rows";
            return Err(Error::input(format!("{}, labelled rows", args.labelled), y.len(), want));
        }
        if classes.len() == 1 {
            let want = "there must be at least 2 classes: label rows of another";
            return Err(Error::input(
                format!("{}, target", args.labelled),
                format!("one class, `{}`", classes.join("")),
                want,
            ));
        }
        // Units are the file's business: both sides get columns on the pool's scale.
        let standard = Standard::fit(unlabelled.view(), &vec![1.0; unlabelled.nrows()]);
        let (pool, x) = (standard.apply(unlabelled.view()), standard.apply(x.view()));
        let deviations = unlabelled.std_axis(Axis(0), 0.0);
        Ok(Rows { features, uses, file: few, deviations, pool, x, y, classes })
    }

    /// The size, as given or of smallest BIC on unlabelled rows, and whether it is that of the columns as they are. Only
    /// families with one variance for all columns know a difference between both.
    fn size(&self, kind: Kind, given: Option<usize>, seed: Seed, progress: &dyn Progress) -> Result<(Choice, bool)> {
        let sample = seed.stream("rows for a size").rng(0).sample(self.pool.nrows(), MOST_FOR_BIC);
        let standard = self.pool.select(Axis(0), &sample);
        let choice = kind.choose(standard.view(), given, seed, progress)?;
        // Columns that are constant or of a size that has no square are not worth a second look.
        let ordinary = self.deviations.iter().all(|sd| (1e-100..1e100).contains(sd));
        if !(ordinary && matches!(kind, Kind::Ppca | Kind::Gmm)) {
            return Ok((choice, false));
        }
        let raw = kind.choose((standard * &self.deviations).view(), given, seed, progress)?;
        // The same density in other units; a standard deviation each was estimated as well.
        let m = sample.len() as f64;
        let units: f64 = self.deviations.iter().map(|sd| 2.0 * m * sd.ln() + m.ln()).sum();
        Ok(if raw.criterion < choice.criterion + units { (raw, true) } else { (choice, false) })
    }
}

/// The columns to use of both files: those asked for, or all numeric ones, which must then be the same in both.
fn columns(args: &PretrainPlan, pool: &Table, few: &Table) -> Result<(ColumnUse, ColumnUse)> {
    let asked = work::listed("--features", &args.features, pool)?;
    let numbers = Wish { features: &asked, numbers: true, nominal: Nominal::Named(Vec::new()), ..Wish::default() };
    let target = vec![(args.target.as_str(), Part::Target)];
    let in_few = ColumnUse::choose(few, &Wish { parts: target.clone(), ..numbers.clone() })?;
    // The pool may have the target's column too, which is no feature then.
    let parts = if pool.column(&args.target).is_ok() { target } else { Vec::new() };
    let mut in_pool = ColumnUse::choose(pool, &Wish { parts, ..numbers })?;
    in_pool.used.retain(|used| used.part != Part::Target);
    // What is left out of one file cannot be learnt from in the other.
    let of = |uses: &ColumnUse, other: &ColumnUse| -> Vec<String> {
        let left_out = |name: &&str| other.left_out.iter().any(|out| out.name == **name);
        uses.names(Part::Number).into_iter().filter(|name| !left_out(name)).map(str::to_owned).collect()
    };
    let (ours, theirs) = (of(&in_pool, &in_few), of(&in_few, &in_pool));
    let only = |a: &[String], b: &[String]| -> Vec<String> { a.iter().filter(|n| !b.contains(n)).cloned().collect() };
    let (in_pool_only, in_few_only) = (only(&ours, &theirs), only(&theirs, &ours));
    if !(in_pool_only.is_empty() && in_few_only.is_empty()) {
        let listed = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let got = format!(
            "{} in {} and {} in {}; only in the former: {}, only in the latter: {}",
            ours.len(),
            pool.name(),
            theirs.len(),
            few.name(),
            listed(&in_pool_only),
            listed(&in_few_only)
        );
        let want = "both files need the same numeric columns: name the ones to use with --features";
        return Err(Error::input("numeric columns", got, want));
    }
    if ours.is_empty() {
        let what = format!("{}, features", pool.name());
        return Err(Error::input(what, "no numeric columns", "give a file with numeric columns"));
    }
    let elsewhere: Vec<String> = in_pool.names(Part::Number).into_iter().map(str::to_owned).collect();
    for name in elsewhere.iter().filter(|name| !ours.contains(name)) {
        in_pool.leave_out(pool, name, "left out of the other file");
    }
    Ok((in_pool, in_few))
}

struct Outcome<'a> {
    args: &'a PretrainPlan,
    settings: PlanSettings,
    rows: &'a Rows,
    choice: Choice,
    /// Whether the representation saw the columns as they are.
    raw: bool,
    surface: RiskSurface,
    seed: Seed,
}

/// What an interval says of a gain.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    Gain,
    Loss,
    Open,
}

fn sign(gain: Interval) -> Sign {
    match (gain.low > 0.0, gain.high < 0.0) {
        (true, _) => Sign::Gain,
        (_, true) => Sign::Loss,
        _ => Sign::Open,
    }
}

fn with_interval(gain: Interval) -> String {
    format!("{} [{}, {}]", figure(gain.mean), figure(gain.low), figure(gain.high))
}

impl Outcome<'_> {
    fn loss(&self) -> &'static str {
        if self.rows.classes.is_empty() { "mean squared error" } else { "error rate" }
    }

    fn last(&self) -> (usize, usize) {
        (self.surface.pool_sizes.len() - 1, self.surface.label_sizes.len() - 1)
    }

    fn break_evens(&self) -> Vec<BreakEven> {
        (0..self.surface.pool_sizes.len()).map(|m| self.surface.break_even(m, self.seed)).collect()
    }

    /// A number of labels at which both are even.
    fn labels(&self, at: f64) -> String {
        let sizes = &self.surface.label_sizes;
        let (first, last) = (sizes.first().copied().unwrap_or(0), sizes.last().copied().unwrap_or(0));
        if at == 0.0 {
            format!("below {}", count(first))
        } else if at.is_infinite() {
            format!("above {}", count(last))
        } else {
            count(at.round() as usize)
        }
    }

    /// What follows, in words: what pretraining brings, where labels catch up, and what would pay next.
    fn words(&self) -> Vec<String> {
        let (m, n) = self.last();
        let surface = &self.surface;
        let (pool, labels) = (count(surface.pool_sizes[m]), count(surface.label_sizes[n]));
        let gap = surface.gap(m, n);
        let (loss, alone) = (self.loss(), figure(surface.supervised_risk(n).mean));
        let by = format!("the held-out {loss} by {}, from {alone}", with_interval(gap));
        let loses = Interval { mean: -gap.mean, low: -gap.high, high: -gap.low, ..gap };
        let raised = format!("the held-out {loss} by {}, from {alone}", with_interval(loses));
        let first = match sign(gap) {
            Sign::Gain => format!("With {pool} unlabelled rows and {labels} labels pretraining pays: it lowers {by}."),
            Sign::Loss => format!(
                "With {pool} unlabelled rows and {labels} labels pretraining hurts: it raises {raised}. The target seems to \
                 hang on what the representation leaves out; try another one or a larger size."
            ),
            Sign::Open => format!(
                "With {pool} unlabelled rows and {labels} labels no effect of pretraining can be told from chance: it lowers {by}."
            ),
        };
        let even = surface.break_even(m, self.seed);
        let range = format!("{} to {}", self.labels(even.interval.0), self.labels(even.interval.1));
        let second = match even.labels {
            0.0 => format!("At none of the numbers of labels tried is pretraining ahead (break-even: {range} labels)."),
            at if at.is_infinite() => {
                format!("Labels alone do not catch up within the {labels} there are (break-even: {range} labels).")
            }
            at => format!("Labels alone catch up at about {} of them ({range}).", self.labels(at)),
        };
        [Some(first), Some(second), self.advice(), self.doubt()].into_iter().flatten().collect()
    }

    /// What is to be said against the size.
    fn doubt(&self) -> Option<String> {
        let given = self.settings.rank.or(self.settings.k).is_some();
        (!given && self.choice.at_limit()).then(|| {
            format!(
                "Take all this with care: BIC chose size {} where {} is the largest it could, so {} hardly describes these \
                 rows. Try another --representation, or give the size.",
                self.choice.size,
                self.choice.most,
                self.settings.representation.name()
            )
        })
    }

    /// What would pay next.
    fn advice(&self) -> Option<String> {
        let labels = self.surface.more_labels()?;
        let step = |step: Doubling, of: &str| {
            let (from, to) = (count(step.from), count(step.to));
            format!("the step from {from} to {to} {of} lowered it by {}", with_interval(step.gain))
        };
        let of_labels = step(labels, "labels");
        let Some(unlabelled) = self.surface.more_unlabelled() else {
            return Some(format!("{of_labels}; the pool is too small to say what more of it would bring."));
        };
        let of_rows = step(unlabelled, "unlabelled rows");
        let verdict = match (sign(labels.gain), sign(unlabelled.gain)) {
            (Sign::Gain, Sign::Gain) if labels.gain.mean >= unlabelled.gain.mean => "Both pay, labels more",
            (Sign::Gain, Sign::Gain) => "Both pay, unlabelled rows more",
            (Sign::Gain, _) => "More labels pay; more unlabelled rows bring nothing that can be told from chance",
            (_, Sign::Gain) => "More unlabelled rows pay; more labels bring nothing that can be told from chance",
            _ => "Neither more labels nor more unlabelled rows bring anything that can be told from chance",
        };
        Some(format!("{verdict}: with all else at its largest, {of_labels}, and {of_rows}."))
    }

    fn risks(&self) -> Vec<Vec<String>> {
        let surface = &self.surface;
        let head = ["labels".to_owned(), "labels alone".to_owned()];
        let pools = surface.pool_sizes.iter().map(|m| format!("{} unlabelled", count(*m)));
        let row = |(n, labels): (usize, &usize)| {
            let risks = (0..surface.pool_sizes.len()).map(|m| figure(surface.risk(m, n).mean));
            [count(*labels), figure(surface.supervised_risk(n).mean)].into_iter().chain(risks).collect()
        };
        std::iter::once(head.into_iter().chain(pools).collect())
            .chain(surface.label_sizes.iter().enumerate().map(row))
            .collect()
    }

    fn evens(&self) -> Vec<Vec<String>> {
        let (_, n) = self.last();
        let labels = count(self.surface.label_sizes[n]);
        let head = ["unlabelled rows".to_owned(), "break-even labels".to_owned(), "95% over splits".to_owned()];
        let head = head.into_iter().chain([format!("gain at {labels} labels"), "95% interval".to_owned()]).collect();
        let row = |(m, even): (usize, BreakEven)| {
            let gap = self.surface.gap(m, n);
            vec![
                count(self.surface.pool_sizes[m]),
                self.labels(even.labels),
                format!("{} to {}", self.labels(even.interval.0), self.labels(even.interval.1)),
                figure(gap.mean),
                format!("[{}, {}]", figure(gap.low), figure(gap.high)),
            ]
        };
        std::iter::once(head).chain(self.break_evens().into_iter().enumerate().map(row)).collect()
    }

    fn plot(&self) -> Plot {
        let surface = &self.surface;
        let series = |name: String, of: &dyn Fn(usize) -> Interval| {
            let point = |(n, labels): (usize, &usize)| {
                let risk = of(n);
                [*labels as f64, risk.mean, risk.low, risk.high]
            };
            Series { name, points: surface.label_sizes.iter().enumerate().map(point).collect() }
        };
        let alone = series("labels alone".to_owned(), &|n| surface.supervised_risk(n));
        let pools = surface.pool_sizes.iter().enumerate();
        let pools = pools.map(|(m, size)| series(format!("{} unlabelled rows", count(*size)), &|n| surface.risk(m, n)));
        Plot {
            title: "Held-out risk".to_owned(),
            x: "labels".to_owned(),
            y: self.loss().to_owned(),
            log_x: true,
            log_y: false,
            series: std::iter::once(alone).chain(pools).collect(),
        }
    }

    fn reply(&self, took: f64) -> Result<Reply> {
        let (args, rows) = (self.args, self.rows);
        let card = find(&catalogue(), "pretrain-mle-erm")?;
        let task = match rows.classes.len() {
            0 => format!("regression on {}", args.target),
            classes => format!("classification of {} ({classes} classes)", args.target),
        };
        let chosen =
            if self.settings.rank.or(self.settings.k).is_some() { "given" } else { "by BIC on unlabelled rows" };
        let scale = if self.raw { "columns as they are" } else { "columns standardised" };
        let facts = [
            ("task".to_owned(), task.clone()),
            ("columns".to_owned(), count(rows.features.len())),
            ("rows".to_owned(), format!("{} unlabelled, {} labelled", count(rows.pool.nrows()), count(rows.x.nrows()))),
            (
                "representation".to_owned(),
                format!("{} of size {} ({chosen}), {scale}", self.settings.representation.name(), self.choice.size),
            ),
            (
                "splits".to_owned(),
                format!("{}, {}% held out", self.settings.repeats, figure(100.0 * self.settings.test_share)),
            ),
        ];
        let (words, risks, evens) = (self.words(), self.risks(), self.evens());
        if let Some(path) = &args.report {
            let lead = format!("Held-out {} of {task}, with and without pretraining on unlabelled rows.", self.loss());
            let mut page = Page::new(format!("Does pretraining pay for {}?", args.labelled), lead);
            page.section("In words", words.iter().map(|word| Block::Text(word.clone())));
            let caption = "Bands are 95% intervals over random splits of the labelled rows.".to_owned();
            let right = (0..risks[0].len()).collect();
            page.section(
                "Risk over labels and unlabelled rows",
                [
                    Block::Figure { drawing: svg::curves(&self.plot())?, caption },
                    Block::Table { rows: risks.clone(), right },
                ],
            );
            page.section(
                "Where labels alone catch up",
                [Block::Table { rows: evens.clone(), right: vec![0, 1, 2, 3, 4] }],
            );
            page.section("How", [Block::Facts(facts.to_vec())]);
            page.section("Columns", roles::blocks(&rows.uses));
            page.finish(path, Some(card))?;
        }
        let (mut text, mut value) = (String::new(), self.json(card.slug, &words, took));
        for word in &words {
            text.push_str(&wrap(word, 0, 100));
        }
        text.push_str(&format!("\nHeld-out {}:\n", self.loss()));
        text.push_str(&table(&risks, &(0..risks[0].len()).collect::<Vec<_>>()));
        text.push('\n');
        text.push_str(&table(&evens, &[0, 1, 2, 3, 4]));
        text.push('\n');
        text.push_str(&table(&facts.map(|(a, b)| vec![a, b]), &[]));
        text.push_str(&wrap(&format!("took {}", seconds(took)), 2, 100));
        roles::tell(&rows.file, &rows.uses, &mut text, &mut value);
        if let Some(path) = &args.report {
            text.push_str(&format!("wrote {}\n", path.display()));
        }
        Ok(Reply::new(text, value))
    }

    fn json(&self, slug: &str, words: &[String], took: f64) -> Value {
        let (args, rows, surface) = (self.args, self.rows, &self.surface);
        let sizes = |of: &dyn Fn(usize) -> Interval| -> Vec<Value> {
            (0..surface.label_sizes.len()).map(|n| interval_json(of(n))).collect()
        };
        let pools = self.break_evens().into_iter().enumerate().map(|(m, even)| {
            json!({
                "unlabelled": surface.pool_sizes[m],
                "risk": sizes(&|n| surface.risk(m, n)),
                "gap": sizes(&|n| surface.gap(m, n)),
                // Null where labels alone never catch up.
                "break_even_labels": even.labels,
                "break_even_interval": even.interval,
            })
        });
        let step = |step: Option<Doubling>| {
            step.map(|step| json!({ "from": step.from, "to": step.to, "gain": interval_json(step.gain) }))
        };
        json!({
            "method": slug,
            "unlabelled": args.unlabelled,
            "labelled": args.labelled,
            "target": args.target,
            "task": if rows.classes.is_empty() { "regression" } else { "classification" },
            "loss": self.loss(),
            "classes": rows.classes,
            "features": rows.features,
            "rows": { "unlabelled": rows.pool.nrows(), "labelled": rows.x.nrows() },
            "representation": self.settings.representation.name(),
            "size": self.choice.size,
            "largest_size": self.choice.most,
            "standardised": !self.raw,
            "size_given": self.settings.rank.or(self.settings.k).is_some(),
            "labels": surface.label_sizes,
            "supervised_risk": sizes(&|n| surface.supervised_risk(n)),
            "pretrained": pools.collect::<Vec<_>>(),
            "more_labels": step(surface.more_labels()),
            "more_unlabelled": step(surface.more_unlabelled()),
            "words": words,
            "splits": self.settings.repeats,
            "seed": args.run.seed,
            "seconds": took,
        })
    }
}

fn interval_json(interval: Interval) -> Value {
    json!({ "mean": interval.mean, "low": interval.low, "high": interval.high })
}
