//! `quadrat holdout`: a hold-out set behind a mechanism, with its budget in a ledger on disk.

use super::held_back::HoldBack;
use super::{roles, work};
use crate::args::Reading;
use crate::output::{self, Reply, check_place, count, figure, table, wrap};
use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use quadrat::data::{Categories, Column, ColumnType, Format, Missing, Table, Values, builtin, write_resampled};
use quadrat::estimate::adaptive_data_analysis::{
    self as holdout, Fingerprint, Guarantee, Ladder, Ledger, Mechanism, Naive, Noise, NoiseAddition, Plan, Pmw, Query,
    QueryMechanism, Recorded, Source, Split, Thresholdout, secret_seed,
};
use quadrat::held_out::{Domain, HeldOut, Seen, each_once, numbers};
use quadrat::{ColumnUse, Error, OnMissing, Part, Result, Target, TargetKind, UsedColumn, Wish, check_vacant};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const ABOUT: &str = "\
A hold-out set that stays honest: answers about it from a budget that is kept on disk

`init` takes a labelled file and puts a ledger beside it: some rows for training, the others held out, in a random split
that the ledger keeps. Whoever runs `ask` must own the ledger; the team must not read it, for it holds the labels and the
seed of the noise: on Unix nobody but its owner can, elsewhere put it where the team has no access. The team gets the file that --publish writes: all rows in their order, with the target of the held-out
rows left empty. It sends back predictions for ALL rows of that file, in its order or with its --id column, and hears an
answer, what the answer guarantees, and how many are left.

Every answer is on disk before it is shown. The same question again gets the same answer, free of charge.";

const EXAMPLES: &str = "\
Example:
  quadrat holdout plan --rows 20000 --queries 200
  quadrat holdout init --in builtin:pima --target class --ledger ledger --publish team.csv
  quadrat holdout ask --ledger ledger --where class=positive
  quadrat holdout status --ledger ledger";

#[derive(Subcommand, Debug)]
#[command(about = "A hold-out set that stays honest: answers about it from a budget that is kept on disk",
          long_about = ABOUT, after_help = EXAMPLES)]
pub enum Holdout {
    /// What can be certified, before anything is asked
    Plan(PlanArgs),
    /// A labelled file -> a new ledger
    Init(Box<Init>),
    /// A question -> an answer from the budget
    Ask(Ask),
    /// What was asked, and what is left
    Status(Status),
}

impl Holdout {
    /// Whether to print JSON.
    pub fn wants_json(&self) -> bool {
        match self {
            Holdout::Plan(PlanArgs { json, .. })
            | Holdout::Ask(Ask { json, .. })
            | Holdout::Status(Status { json, .. }) => *json,
            Holdout::Init(args) => args.json,
        }
    }
}

#[derive(Args, Debug)]
pub struct PlanArgs {
    /// Rows that are held out
    #[arg(long, value_name = "N")]
    pub rows: usize,
    /// Questions
    #[arg(long, value_name = "N", default_value_t = QUERIES)]
    pub queries: u64,
    /// Probability with which all answers are valid together
    #[arg(long, value_name = "P", default_value_t = 0.95)]
    pub confidence: f64,
    /// Elements of the domain, for pmw
    #[arg(long, value_name = "N")]
    pub domain: Option<usize>,
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub json: bool,
}

/// Questions where nobody says how many.
const QUERIES: u64 = 100;

#[derive(Args, Debug)]
pub struct Init {
    /// The labelled rows, in random order or not; a file as for `select`, or builtin:NAME
    #[arg(long = "in", value_name = "FILE")]
    pub input: String,
    /// Column with each row's class; needed for predictions
    #[arg(long, value_name = "COLUMN")]
    pub target: Option<String>,
    /// Folder to make
    #[arg(long, value_name = "FOLDER")]
    pub ledger: PathBuf,
    /// Who answers
    #[arg(long, value_enum, default_value_t = Method::Thresholdout)]
    pub method: Method,
    /// Share of the rows that the team may train on [default: 0.5 for thresholdout, else 0]
    #[arg(long, value_name = "SHARE")]
    pub train_share: Option<f64>,
    /// Column of groups, such as patients: none is both for training and held out
    #[arg(long, value_name = "COLUMN", conflicts_with = "time")]
    pub groups: Option<String>,
    /// Column of times: the latest rows are held out
    #[arg(long, value_name = "COLUMN")]
    pub time: Option<String>,
    /// Questions that will be answered, where the guarantee depends on it [default: 100]
    #[arg(long, value_name = "N")]
    pub queries: Option<u64>,
    /// Thresholdout: answers that may come from the held-out rows [default: a hundredth of them, at least 10]
    #[arg(long, value_name = "N")]
    pub budget: Option<u64>,
    /// Probability with which all certified answers are valid together [default: 0.95]
    #[arg(long, value_name = "P")]
    pub confidence: Option<f64>,
    /// Thresholdout and pmw: the constants of the theory in place of the authors' experiments
    #[arg(long)]
    pub certified: bool,
    /// Ladder: `auto` (one standard error), `planned` (narrowest certified width), or the step itself [default: auto]
    #[arg(long, value_name = "auto|planned|STEP")]
    pub step: Option<String>,
    /// Pmw: the columns whose combinations are the domain; other columns cannot be asked about, and which values occur
    /// in these counts as known
    #[arg(long, value_name = "A,B,C")]
    pub domain: Vec<String>,
    /// Column that names each row, so that predictions may come in any order
    #[arg(long, value_name = "COLUMN")]
    pub id: Option<String>,
    /// Write the file for the team (.csv or .tsv): the target of held-out rows is left empty
    #[arg(long, value_name = "FILE")]
    pub publish: Option<PathBuf>,
    #[command(flatten)]
    pub reading: Reading,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// Who answers.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// The training rows, until the held-out rows disagree
    Thresholdout,
    /// The held-out rows, with normal noise
    Gaussian,
    /// The held-out rows, with Laplace noise
    Laplace,
    /// The held-out rows, only for what is clearly better than before
    Ladder,
    /// A synthetic distribution over the combinations of a few columns, until the held-out rows disagree
    Pmw,
    /// The held-out rows, without protection
    Naive,
    /// Fresh held-out rows for every question
    Split,
}

#[derive(Args, Debug)]
#[command(group(ArgGroup::new("question").required(true)))]
pub struct Ask {
    /// The ledger's folder
    #[arg(long, value_name = "FOLDER")]
    pub ledger: PathBuf,
    /// A file of predictions for all rows, in the rows' order or with the ledger's id column: how accurate are they?
    #[arg(long, value_name = "FILE", group = "question")]
    pub predictions: Option<String>,
    /// The column with the predictions [default: the target's name, `prediction`, or the only column]
    #[arg(long, value_name = "COLUMN", requires = "predictions")]
    pub column: Option<String>,
    /// The mean of a numeric column
    #[arg(long, value_name = "COLUMN", group = "question")]
    pub mean: Option<String>,
    /// The least and the largest value that count for --mean; values outside count as the nearer end. Truth values need
    /// none
    #[arg(long, value_name = "LOW,HIGH", value_delimiter = ',', requires = "mean", allow_negative_numbers = true)]
    pub range: Vec<f64>,
    /// The quadrant correlation of two columns, from -1 to 1: how much more often they are on the same side of their
    /// training means than on different sides
    #[arg(long, value_name = "A,B", group = "question")]
    pub correlation: Vec<String>,
    /// The share of rows with this value in this column; give it again for rows that have all of several values
    #[arg(long = "where", value_name = "COLUMN=VALUE", group = "question")]
    pub conditions: Vec<String>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct Status {
    /// The ledger's folder
    #[arg(long, value_name = "FOLDER")]
    pub ledger: PathBuf,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// Plans, makes, asks or shows a ledger.
pub fn run(args: &Holdout) -> Result<Reply> {
    match args {
        Holdout::Plan(args) => plan(args),
        Holdout::Init(args) => init(args),
        Holdout::Ask(args) => ask(args),
        Holdout::Status(args) => status(args),
    }
}

fn plan(args: &PlanArgs) -> Result<Reply> {
    let plan = holdout::plan(args.rows, args.queries, 1.0 - args.confidence)?;
    let beta = 1.0 - args.confidence;
    let pmw = args.domain.map(|size| holdout::pmw_plan(args.rows, args.queries, size, beta)).transpose()?;
    let ladder = Ladder::planned(args.rows, args.queries, beta)?;
    let budget = default_budget(args.rows);
    let thresholdout = Thresholdout::planned(args.rows, args.rows, args.queries, budget, beta)?;
    let certified = |guarantee: Guarantee| guarantee.half_width().unwrap_or(1.0);
    let mut widths = vec![
        ("split", plan.split, "fresh rows for each question".to_owned()),
        ("gaussian", plan.gaussian.half_width, format!("standard deviation {}", figure(plan.gaussian.scale))),
        ("laplace", plan.laplace.half_width, format!("scale {}", figure(plan.laplace.scale))),
        ("thresholdout", certified(thresholdout.guarantee()), format!("--certified, --budget {budget}")),
        ("ladder", certified(ladder.guarantee()), "--step planned; of the least loss among all".to_owned()),
    ];
    if let Some(pmw) = &pmw {
        widths.push(("pmw", pmw.half_width, format!("--certified, at most {} updates", pmw.updates)));
    }
    let head = ["method", "certified half-width", ""].map(str::to_owned).to_vec();
    let rows = widths.iter().map(|(name, width, how)| {
        let vacuous = if *width >= holdout::VACUOUS { " (promises nothing)" } else { "" };
        vec![(*name).to_owned(), format!("{}{vacuous}", figure(*width)), how.clone()]
    });
    let mut text = format!(
        "{} adaptive questions about {} held-out rows, all answers valid together with probability {}\n",
        count(args.queries as usize),
        count(args.rows),
        args.confidence
    );
    text.push_str(&table(&std::iter::once(head).chain(rows).collect::<Vec<_>>(), &[]));
    text.push_str(&advice(&plan));
    if let Some(pmw) = pmw.filter(|pmw| pmw.vacuous) {
        text.push_str(&format!("pmw promises something from about {} rows on.\n", rows_needed(pmw.rows_needed)));
    }
    let value = json!({
        "plan": output::json(&plan)?,
        "thresholdout": certified(thresholdout.guarantee()),
        "ladder": certified(ladder.guarantee()),
        "pmw": output::json(&pmw)?,
    });
    Ok(Reply::new(text, value))
}

fn advice(plan: &Plan) -> String {
    if plan.vacuous {
        return format!(
            "Nothing can be certified: that takes about {} rows, or fewer questions. The default constants of \
             thresholdout and ladder still prevent most overfitting, as a rule of thumb.\n",
            rows_needed(plan.rows_needed)
        );
    }
    format!("Of noise and fresh rows, {} is narrowest.\n", plan.best)
}

fn rows_needed(rows: f64) -> String {
    if rows.is_finite() { count(rows as usize) } else { "more than 10^15".to_owned() }
}

/// What the ledger keeps beside the mechanism.
#[derive(Serialize, Deserialize)]
struct About {
    /// The file, by its full path, or builtin:NAME.
    input: String,
    /// Its content's hash: questions about columns read it again.
    sha256: String,
    /// How it is read.
    #[serde(flatten)]
    reading: Reading,
    #[serde(flatten)]
    held_out: HeldOut,
}

fn default_budget(rows: usize) -> u64 {
    (rows as u64 / 100).max(10)
}

fn init(args: &Init) -> Result<Reply> {
    check_options(args)?;
    check_vacant(&args.ledger)?;
    let (table, dropped) = complete(work::read(&args.input, &args.reading)?, args.reading.on_missing()?)?;
    if let Some(path) = &args.publish {
        check_publish(args, &table, path)?;
    }
    let about = about(args, &table)?;
    let rows = &about.held_out;
    let mechanism = mechanism(args, &about, &table)?;
    if let (Some(path), Some(target)) = (&args.publish, &args.target) {
        publish(&table, target, rows, path)?;
    }
    let mut uses = uses(args, &table, rows)?;
    uses.warnings.extend(dropped);
    let held_out = rows.order.len() - rows.train;
    let (name, guarantee, remaining) = (mechanism.name(), mechanism.guarantee(), mechanism.remaining());
    Ledger::create(&args.ledger, mechanism, output::json(&about)?)?;
    let mut text = format!(
        "{name}: {} rows held out of {}, {} for training\n",
        count(held_out),
        count(rows.order.len()),
        count(rows.train)
    );
    text.push_str(&format!("answers left: {}\n", left(remaining)));
    text.push_str(&wrap(&promise(name, guarantee), 0, 100));
    text.push_str(&format!("wrote {}: keep it from those who ask\n", args.ledger.display()));
    if let Some(path) = &args.publish {
        text.push_str(&format!("wrote {}: for those who ask\n", path.display()));
    }
    let mut value = json!({
        "method": name,
        "rows": rows.order.len(),
        "train_rows": rows.train,
        "holdout_rows": held_out,
        "remaining": remaining,
        "guarantee": output::json(&guarantee)?,
        "ledger": args.ledger,
        "publish": args.publish,
    });
    roles::tell(&table, &uses, &mut text, &mut value);
    Ok(Reply::new(text, value))
}

/// The rows that are asked about: with --missing drop those without a gap in any column that is not excluded, since any of
/// them may be asked about; and what is to be said of it.
fn complete(table: Table, on_missing: OnMissing) -> Result<(Table, Vec<String>)> {
    match on_missing {
        OnMissing::Refuse | OnMissing::Category => Ok((table, Vec::new())),
        OnMissing::Drop => {
            let asked = table.columns().iter().filter(|column| !table.excluded().contains(&column.name));
            let mut all = ColumnUse::default();
            all.used = asked.map(|column| UsedColumn::new(&column.name, Part::Category)).collect();
            Ok((all.settle(&table, OnMissing::Drop)?, all.warnings))
        }
        OnMissing::Impute(_) | OnMissing::Indicate => {
            let want = "answers are about values that are there: leave rows without one out (drop), or let no name be a \
                        value of its own (category)";
            Err(Error::input("--missing", "values to be filled in", want))
        }
    }
}

/// Whether no value is a value of its own.
fn missing(reading: &Reading) -> Result<Missing> {
    Ok(if reading.on_missing()? == OnMissing::Category { Missing::Keep } else { Missing::Error })
}

/// What the columns are used as before anything is asked.
fn uses(args: &Init, table: &Table, rows: &HeldOut) -> Result<ColumnUse> {
    let named =
        [(&args.target, Part::Target), (&args.id, Part::Name), (&args.groups, Part::Group), (&args.time, Part::Time)];
    let parts = named.into_iter().filter_map(|(name, part)| Some((name.as_deref()?, part)));
    let domain = rows.domain.iter().map(|domain| (domain.column.as_str(), Part::Category));
    let unread = match args.method {
        Method::Pmw => "not in --domain: cannot be asked about",
        _ => "read only if a question names it",
    };
    let wish = Wish { parts: parts.chain(domain).collect(), unread: Some(unread), ..Wish::default() };
    let mut uses = ColumnUse::choose(table, &wish)?;
    if let Some(target) = &args.target {
        let classes = Categories { codes: rows.labels.clone(), names: rows.classes.clone() };
        uses.look_at_classes(target, &classes);
    }
    rows.domain.iter().for_each(|domain| uses.count_levels(&domain.column, domain.values.len()));
    Ok(uses)
}

/// That no option of another method is given.
fn check_options(args: &Init) -> Result<()> {
    use Method::{Gaussian, Ladder, Laplace, Naive, Pmw, Split, Thresholdout};
    let counted = args.certified || args.step.as_deref().is_some_and(|step| step != "auto");
    let of: [(bool, &str, &[Method]); 5] = [
        (args.budget.is_some(), "--budget", &[Thresholdout]),
        (args.certified, "--certified", &[Thresholdout, Pmw]),
        (args.step.is_some(), "--step", &[Ladder]),
        (!args.domain.is_empty(), "--domain", &[Pmw]),
        (args.queries.is_some() && !counted, "--queries", &[Gaussian, Laplace, Split]),
    ];
    for (given, option, methods) in of {
        if given && !methods.contains(&args.method) {
            let names: Vec<String> = methods.iter().map(|m| format!("--method {}", m.name())).collect();
            let more = if option == "--queries" { ", --certified or --step planned" } else { "" };
            return Err(Error::input("option", option, format!("it belongs to {}{more}", names.join(" and "))));
        }
    }
    if args.confidence.is_some() && (args.method == Naive || args.queries.is_none() && !counted) {
        let fixed = [Gaussian, Laplace, Split].contains(&args.method);
        if !fixed {
            let want = "it belongs to a method that certifies: gaussian, laplace, split, --certified, --step planned";
            return Err(Error::input("option", "--confidence", want));
        }
    }
    Ok(())
}

impl Method {
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// The labels, the names of rows, and a random split.
fn about(args: &Init, table: &Table) -> Result<About> {
    let share = args.train_share.unwrap_or(if args.method == Method::Thresholdout { 0.5 } else { 0.0 });
    if !(0.0..1.0).contains(&share) {
        return Err(Error::input("--train-share", share, "use 0 or more and less than 1"));
    }
    let rows = table.rows();
    if u32::try_from(rows).is_err() {
        return Err(Error::input("rows", rows, "a ledger takes up to 2^32"));
    }
    let (mut labels, mut classes) = (Vec::new(), Vec::new());
    if let Some(target) = &args.target {
        let found = classes_of(table, target)?;
        (labels, classes) = (found.codes, found.names);
    }
    let mut ids = Vec::new();
    if let Some(id) = &args.id {
        ids = table.strings(id)?;
        each_once(&ids, &format!("{}, column `{id}`", table.name()))?;
    }
    let (mut order, train) = order(args, table, share)?;
    // Held-out rows stay in random order, since `split` takes them in turn; training rows have no order.
    order[..train].sort_unstable();
    let named = work::listed("--domain", &args.domain, table)?;
    each_once(&named, "--domain")?;
    let mut domain = Vec::new();
    for column in named {
        let values = table.categories(&column, missing(&args.reading)?)?.names;
        domain.push(Domain { column, values });
    }
    Ok(About {
        input: full_name(&args.input)?,
        sha256: hash(&args.input)?,
        reading: args.reading.clone(),
        held_out: HeldOut {
            target: args.target.clone(),
            classes,
            labels,
            id: args.id.clone(),
            ids,
            order,
            train,
            domain,
        },
    })
}

/// The classes that a target names: predictions of a quantity are never exactly right.
fn classes_of(table: &Table, target: &str) -> Result<Categories> {
    let found = Target::of(table, target, None)?;
    if found.kind == TargetKind::Classes {
        return Ok(found.classes);
    }
    let want = format!(
        "predictions are right or wrong, so the target must name classes: write --types {target}=category if these \
         numbers do, cut a quantity into classes beforehand, or leave --target out and ask for --mean"
    );
    Err(Error::input(format!("--target {target}"), found.said, want))
}

/// The rows to train on, then those held out in random order, and how many the former are.
fn order(args: &Init, table: &Table, share: f64) -> Result<(Vec<u32>, usize)> {
    let (groups, time) = (args.groups.as_deref(), args.time.as_deref());
    let mut order: Vec<u32> = (0..table.rows() as u32).collect();
    secret_seed()?.rng(0).shuffle(&mut order);
    let Some(column) = groups.or(time) else {
        return Ok((order, (share * table.rows() as f64).round() as usize));
    };
    if share == 0.0 {
        let want = "above 0: the column divides the training rows from those held out";
        return Err(Error::input(format!("--train-share, with `{column}`"), share, want));
    }
    let how = HoldBack { share: 1.0 - share, groups, time, seed: secret_seed()? };
    let Some((split, how)) = how.split(Some(table), None, table.rows())? else {
        return Err(Error::input("--train-share", share, "below 1"));
    };
    for warning in &how.warnings {
        eprintln!("quadrat: note: {warning}");
    }
    // Those held out stay in the order that was drawn.
    let train: std::collections::HashSet<u32> = split.train.iter().map(|row| *row as u32).collect();
    let (mut first, rest): (Vec<u32>, Vec<u32>) = order.into_iter().partition(|row| train.contains(row));
    first.extend(rest);
    Ok((first, train.len()))
}

fn full_name(input: &str) -> Result<String> {
    if input.starts_with("builtin:") {
        return Ok(input.to_owned());
    }
    let path = std::path::absolute(input).map_err(|e| Error::io(input, e))?;
    Ok(path.to_string_lossy().into_owned())
}

fn hash(input: &str) -> Result<String> {
    let bytes = match input.strip_prefix("builtin:") {
        Some(name) => builtin::find(name)?.bytes()?.0,
        None => std::fs::read(input).map_err(|e| Error::io(input, e))?,
    };
    Ok(Fingerprint::of_bytes(&bytes).to_string())
}

fn mechanism(args: &Init, about: &About, table: &Table) -> Result<Mechanism> {
    let (train, rows) = (about.held_out.train, about.held_out.order.len() - about.held_out.train);
    let queries = args.queries.unwrap_or(QUERIES);
    let beta = 1.0 - args.confidence.unwrap_or(0.95);
    let budget = args.budget.unwrap_or(default_budget(rows));
    Ok(match args.method {
        Method::Thresholdout if args.certified => Thresholdout::planned(train, rows, queries, budget, beta)?.into(),
        Method::Thresholdout => Thresholdout::experiment(train, rows, Some(budget))?.into(),
        Method::Gaussian => NoiseAddition::planned(Noise::Gaussian, rows, queries, beta)?.into(),
        Method::Laplace => NoiseAddition::planned(Noise::Laplace, rows, queries, beta)?.into(),
        Method::Ladder => ladder(args.step.as_deref().unwrap_or("auto"), rows, queries, beta)?.into(),
        Method::Naive => Naive::new(rows).into(),
        Method::Split => Split::new(rows, queries, beta)?.into(),
        Method::Pmw => {
            let counts = about.held_out.counts(table, missing(&about.reading)?)?;
            if args.certified { Pmw::planned(&counts, queries, beta)? } else { Pmw::heuristic(&counts)? }.into()
        }
    })
}

fn ladder(step: &str, rows: usize, queries: u64, beta: f64) -> Result<Ladder> {
    match step {
        "auto" => Ladder::auto(rows, true),
        "planned" => Ladder::planned(rows, queries, beta),
        step => {
            let wrong = |_| Error::input("--step", format!("`{step}`"), "use auto, planned, or a number such as 0.01");
            Ladder::fixed(rows, step.parse().map_err(wrong)?, queries, beta)
        }
    }
}

/// That the file for the team can be written as the file that was read.
fn check_publish(args: &Init, table: &Table, path: &Path) -> Result<()> {
    check_place(path)?;
    let text = |format| matches!(format, Format::Csv | Format::Tsv);
    if !text(table.format()) || !text(Format::of_path(path)?.0) {
        let want = "it is written from .csv or .tsv to .csv or .tsv; `quadrat select --budget 100%` converts";
        return Err(Error::input("--publish", path.display(), want));
    }
    if args.target.is_none() {
        return Err(Error::input("--publish", path.display(), "name the column to leave empty with --target"));
    }
    Ok(())
}

/// All rows as they are, with the target of held-out rows left empty.
fn publish(table: &Table, target: &str, rows: &HeldOut, path: &Path) -> Result<()> {
    let mut columns = Vec::new();
    for Column { name, kind } in table.columns() {
        let values = if name != target && *kind == ColumnType::Text {
            Values::Text(table.strings(name)?)
        } else {
            let Categories { mut codes, mut names } = table.categories(name, Missing::Keep)?;
            if name == target {
                let none = names.iter().position(String::is_empty).unwrap_or(names.len());
                names.resize(names.len().max(none + 1), String::new());
                rows.rows(Seen::HeldOut).iter().for_each(|row| codes[*row as usize] = none as u32);
            }
            Values::Category { codes, names }
        };
        columns.push((name.clone(), values));
    }
    write_resampled(table, &[], &columns, path)
}

fn ask(args: &Ask) -> Result<Reply> {
    let mut ledger = Ledger::open(&args.ledger)?;
    if ledger.torn() {
        eprintln!("quadrat: note: a last line that a kill had torn was dropped; its answer was never given");
    }
    if ledger.exposed() {
        eprintln!("quadrat: note: {}", exposed(&args.ledger));
    }
    let about: About = serde_json::from_value(ledger.header().about.clone()).map_err(|e| {
        Error::data(args.ledger.display().to_string(), None, format!("not a ledger of this command: {e}"))
    })?;
    let method = ledger.mechanism().name();
    let Question { query, what, table, uses } = question(args, &about, method)?;
    let recorded = ledger.ask(query.as_ref(), &what).map_err(exhausted)?;
    let given = given(&recorded, method);
    let Recorded { entry, cached } = recorded;
    let mut text =
        format!("{what}: {}\n{}", figure(given.value), wrap(&promise(method, entry.answer.guarantee), 0, 100));
    text.push_str(&match entry.answer.source {
        Source::Train => "from the training rows: the held-out rows agree\n".to_owned(),
        Source::Holdout => "from the held-out rows\n".to_owned(),
        Source::Synthetic => "from the synthetic distribution: the held-out rows agree\n".to_owned(),
        Source::Unchanged => "unchanged: not clearly better than the best before\n".to_owned(),
    });
    let cost = if cached { "on record before, free" } else { "now on record" };
    text.push_str(&format!("answer {}, {cost}; answers left: {}\n", entry.n + 1, left(ledger.remaining())));
    let mut value = json!({
        "method": method,
        "question": what,
        "value": given.value,
        "half_width": given.half_width,
        "guarantee": output::json(&entry.answer.guarantee)?,
        "source": output::json(&entry.answer.source)?,
        "spent": entry.answer.spent,
        "number": entry.n + 1,
        "cached": cached,
        "answered": ledger.entries().len(),
        "remaining": ledger.remaining(),
    });
    roles::tell(&table, &uses, &mut text, &mut value);
    Ok(Reply::new(text, value))
}

/// An answer as it is shown.
struct Given {
    value: f64,
    half_width: Option<f64>,
}

/// The ladder keeps losses; people ask for accuracies.
fn given(recorded: &Recorded, method: &str) -> Given {
    let answer = recorded.entry.answer;
    let value = if method == "ladder" { 1.0 - answer.value } else { answer.value };
    Given { value, half_width: answer.guarantee.half_width() }
}

fn exhausted(error: Error) -> Error {
    match error {
        Error::Exhausted { what, answered, todo } => {
            let todo = format!(
                "{todo} (`quadrat holdout init` on a file of them). Questions that were answered can be asked again"
            );
            Error::Exhausted { what, answered, todo }
        }
        other => other,
    }
}

/// What is asked.
struct Question {
    /// Over the mechanism's rows.
    query: Box<dyn Query>,
    /// In words.
    what: String,
    /// The file that was read for it, and which of its columns.
    table: Table,
    uses: ColumnUse,
}

impl Question {
    fn new(
        table: Table,
        parts: Vec<(&str, Part)>,
        unread: &'static str,
        query: impl Query + 'static,
        what: String,
    ) -> Result<Question> {
        let uses = ColumnUse::choose(&table, &Wish { parts, unread: Some(unread), ..Wish::default() })?;
        Ok(Question { query: Box::new(query), what, table, uses })
    }
}

fn question(args: &Ask, about: &About, method: &str) -> Result<Question> {
    const UNASKED: &str = "not asked about";
    let only = |fits: bool, takes: &str| match fits {
        true => Ok(()),
        false => Err(Error::input("question", format!("to a ledger of {method}"), format!("it answers {takes} only"))),
    };
    only(method != "pmw" || !args.conditions.is_empty(), "--where")?;
    only(method != "ladder" || args.predictions.is_some(), "--predictions")?;
    let rows = &about.held_out;
    // Thresholdout looks at the training rows too, the others at the held-out rows alone.
    let seen = if method == "thresholdout" { Seen::All } else { Seen::HeldOut };
    if let Some(file) = &args.predictions {
        let table = work::read(file, &Reading::default())?;
        let column = match &args.column {
            Some(column) => column.clone(),
            None => rows.predictions_column(&table)?.to_owned(),
        };
        let right = rows.right(&table, &column)?;
        let query = rows.share(seen, |row| right[row] != (method == "ladder"));
        let id = rows.id.as_deref().filter(|id| table.column(id).is_ok());
        let parts = std::iter::once((column.as_str(), Part::Prediction)).chain(id.map(|id| (id, Part::Name))).collect();
        return Question::new(table, parts, "no prediction", query, format!("accuracy of {file}"));
    }
    let table = about.table()?;
    if !args.conditions.is_empty() {
        let known = table.column_names();
        let conditions = args.conditions.iter().map(|text| condition(text, &known)).collect::<Result<Vec<_>>>()?;
        let query = match method {
            "pmw" => rows.marginal(&conditions)?,
            _ => {
                let all = HeldOut::fulfils(&table, &conditions, missing(&about.reading)?)?;
                rows.share(seen, |row| all[row])
            }
        };
        let what = format!("share of rows with {}", args.conditions.join(" and "));
        let parts = conditions.iter().map(|(column, _)| (*column, Part::Category)).collect();
        return Question::new(table.clone(), parts, UNASKED, query, what);
    }
    if let Some(column) = &args.mean {
        let values = numbers(&table, column)?;
        let training: Vec<f64> = rows.of_training(&values).collect();
        let (low, high) = range(&args.range, table.column(column)?.kind, column, &training)?;
        let query = rows.mean(seen, &values, (low, high));
        let what = format!("mean of {column} between {low} and {high}");
        return Question::new(table, vec![(column, Part::Number)], UNASKED, query, what);
    }
    let pair = work::listed("--correlation", &args.correlation, &table)?;
    let [a, b] = pair.as_slice() else {
        return Err(Error::input("--correlation", args.correlation.join(","), "name two columns: A,B"));
    };
    let query = rows.correlation(seen, &table, [a, b])?;
    let parts = vec![(a.as_str(), Part::Number), (b.as_str(), Part::Number)];
    Question::new(table, parts, UNASKED, query, format!("quadrant correlation of {a} and {b}"))
}

/// Between which values a mean is taken: as given, or those of truth values. It is said beforehand, since one that followed
/// the held-out rows would tell of them; of the training rows everybody may know.
fn range(given: &[f64], kind: ColumnType, column: &str, training: &[f64]) -> Result<(f64, f64)> {
    match *given {
        // Text that reached this point has two names, which count as 0 and 1.
        [] if !matches!(kind, ColumnType::Integer | ColumnType::Float) => Ok((0.0, 1.0)),
        [] => {
            let [low, high] = [f64::min, f64::max].map(|end| training.iter().copied().fold(f64::NAN, end));
            let known = match training {
                [] => String::new(),
                _ => format!(" (in the training rows it goes from {low} to {high})"),
            };
            let want = format!(
                "give the least and the largest value that count: --range LOW,HIGH{known}. Nothing was asked, nothing is spent"
            );
            Err(Error::input(format!("--mean {column}"), "no --range", want))
        }
        [low, high] => {
            let outside = training.iter().filter(|v| !(low..=high).contains(*v)).count();
            if outside > 0 {
                let (outside, all) = (count(outside), count(training.len()));
                eprintln!(
                    "quadrat: note: {outside} of {all} training rows have a {column} outside {low} to {high}: they count as \
                     the nearer end, and so do such held-out rows"
                );
            }
            Ok((low, high))
        }
        _ => Err(Error::input("--range", format!("{} numbers", given.len()), "write LOW,HIGH")),
    }
}

/// COLUMN=VALUE, where either may hold an equals sign: the longest name that is a column's, else up to the first sign.
fn condition<'a>(text: &'a str, known: &[&str]) -> Result<(&'a str, &'a str)> {
    let mut cuts = text.match_indices('=').map(|(at, _)| (text[..at].trim(), text[at + 1..].trim()));
    let first = cuts.next();
    let longest = cuts.chain(first).filter(|(column, _)| known.contains(column)).max_by_key(|(column, _)| column.len());
    longest.or(first).ok_or_else(|| Error::input("--where", format!("`{text}`"), "write COLUMN=VALUE"))
}

impl About {
    /// The file, unless it changed.
    fn table(&self) -> Result<Table> {
        if hash(&self.input)? != self.sha256 {
            let want = "questions about columns need the file as it was; predictions can still be asked about";
            return Err(Error::input(&self.input, "another content than when the ledger was made", want));
        }
        Ok(complete(work::read(&self.input, &self.reading)?, self.reading.on_missing()?)?.0)
    }
}

fn status(args: &Status) -> Result<Reply> {
    let ledger = Ledger::read(&args.ledger)?;
    let method = ledger.mechanism().name();
    let about = &ledger.header().about;
    let rows = |key: &str| about.get(key).and_then(Value::as_array).map_or(0, Vec::len);
    let train = about.get("train").and_then(Value::as_u64).unwrap_or(0) as usize;
    let held_out = rows("order").saturating_sub(train);
    let spent = ledger.entries().iter().filter(|entry| entry.answer.spent).count();
    let mut text = format!(
        "{method}: {} rows held out, {} for training\nanswered: {}, of which {} cost a part of the budget; answers left: {}\n",
        count(held_out),
        count(train),
        count(ledger.entries().len()),
        count(spent),
        left(ledger.remaining())
    );
    text.push_str(&wrap(&promise(method, ledger.guarantee()), 0, 100));
    if ledger.torn() {
        text.push_str("a last line was torn by a kill; its answer was never given, and the next question drops it\n");
    }
    if ledger.exposed() {
        text.push_str(&wrap(&exposed(&args.ledger), 0, 100));
    }
    let shown = |entry: &holdout::Entry| given(&Recorded { entry: entry.clone(), cached: true }, method);
    const LAST: usize = 20;
    let head = ["answer", "question", "value", "from"].map(str::to_owned).to_vec();
    let skipped = ledger.entries().len().saturating_sub(LAST);
    let lines = ledger.entries()[skipped..].iter().map(|entry| {
        let source = format!("{:?}", entry.answer.source).to_lowercase();
        vec![count(entry.n as usize + 1), entry.what.clone(), figure(shown(entry).value), source]
    });
    if !ledger.entries().is_empty() {
        text.push_str(&table(&std::iter::once(head).chain(lines).collect::<Vec<_>>(), &[0, 2]));
    }
    let answers = ledger.entries().iter().map(|entry| {
        let given = shown(entry);
        json!({
            "number": entry.n + 1, "question": entry.what, "value": given.value, "half_width": given.half_width,
            "source": entry.answer.source, "spent": entry.answer.spent, "time": entry.time,
        })
    });
    let value = json!({
        "method": method,
        "target": about.get("target"),
        "train_rows": train,
        "holdout_rows": held_out,
        "created": ledger.header().created,
        "answered": ledger.entries().len(),
        "spent": spent,
        "remaining": ledger.remaining(),
        "guarantee": output::json(&ledger.guarantee())?,
        "torn": ledger.torn(),
        "exposed": ledger.exposed(),
        "answers": answers.collect::<Vec<_>>(),
    });
    Ok(Reply::new(text, value))
}

fn exposed(ledger: &Path) -> String {
    let place = ledger.display();
    format!("others can read this ledger, with the held-out labels and the noise in it: `chmod -R go= {place}`")
}

fn left(remaining: Option<u64>) -> String {
    remaining.map_or_else(|| "no limit".to_owned(), |n| count(n as usize))
}

/// A guarantee in words.
fn promise(method: &str, guarantee: Guarantee) -> String {
    let what = if method == "ladder" { "the best accuracy so far is" } else { "all answers together are" };
    match guarantee {
        Guarantee::Certified { half_width, .. } if half_width >= holdout::VACUOUS => {
            "certified: nothing; there are too few rows for so many questions (`quadrat holdout plan`)".to_owned()
        }
        Guarantee::Certified { half_width, confidence } => format!(
            "certified: {what} within ±{} of the population's with probability {}",
            figure(half_width),
            figure(confidence)
        ),
        Guarantee::Heuristic { half_width } => format!(
            "rule of thumb: {what} within ±{} of the population's; not certified (`quadrat holdout plan` says what can be)",
            figure(half_width)
        ),
        Guarantee::None => {
            "guaranteed: nothing, once a question depends on an answer (choose another --method)".to_owned()
        }
    }
}
