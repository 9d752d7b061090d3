//! `quadrat holdout`: a hold-out set behind a mechanism, with its budget in a ledger on disk.

mod ask;
mod init;
mod plan;
mod status;

use super::work;
use crate::output::{Reply, count, figure};
use crate::parameters::{Declared, choice};
use crate::reading::Reading;
use clap::{ArgGroup, Args, Subcommand};
use quadrat::data::{Missing, Table, builtin};
use quadrat::estimate::adaptive_data_analysis::{
    self as holdout, Certified, Fingerprint, Guarantee, MechanismKind, Recorded,
};
use quadrat::held_out::HeldOut;
use quadrat::{Choice, ColumnUse, Error, OnMissing, Part, Result, UsedColumn};
use serde::{Deserialize, Serialize};
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
    #[command(flatten)]
    pub certified: Declared<Certified>,
    /// Elements of the domain, for pmw
    #[arg(long, value_name = "N")]
    pub domain: Option<usize>,
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub json: bool,
}

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
    #[arg(long, value_parser = choice::<MechanismKind>(), default_value = MechanismKind::Thresholdout.name())]
    pub method: MechanismKind,
    /// Share of the rows that the team may train on [default: 0.5 for thresholdout, else 0]
    #[arg(long, value_name = "SHARE")]
    pub train_share: Option<f64>,
    /// Column of groups, such as patients: none is both for training and held out
    #[arg(long, value_name = "COLUMN", conflicts_with = "time")]
    pub groups: Option<String>,
    /// Column of times: the latest rows are held out
    #[arg(long, value_name = "COLUMN")]
    pub time: Option<String>,
    #[command(flatten)]
    pub promise: Declared<Certified>,
    /// Thresholdout: answers that may come from the held-out rows [default: a hundredth of them, at least 10]
    #[arg(long, value_name = "N")]
    pub budget: Option<u64>,
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

#[derive(Args, Debug)]
#[command(group(ArgGroup::new("question").required(true)))]
pub struct Ask {
    /// The ledger's folder
    #[arg(long, value_name = "FOLDER")]
    pub ledger: PathBuf,
    /// A file of predictions for all rows, in the rows' order or with the ledger's id column: how accurate are they?
    #[arg(long, value_name = "FILE", group = "question")]
    pub predictions: Option<String>,
    /// The column with the predictions [default: `predicted`, `prediction`, the target's name, or the only column]
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
        Holdout::Plan(args) => plan::plan(args),
        Holdout::Init(args) => init::init(args),
        Holdout::Ask(args) => ask::ask(args),
        Holdout::Status(args) => status::status(args),
    }
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

fn hash(input: &str) -> Result<String> {
    let bytes = match input.strip_prefix("builtin:") {
        Some(name) => builtin::find(name)?.bytes()?.0,
        None => std::fs::read(input).map_err(|e| Error::io(input, e))?,
    };
    Ok(Fingerprint::of_bytes(&bytes).to_string())
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

fn default_budget(rows: usize) -> u64 {
    (rows as u64 / 100).max(10)
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
