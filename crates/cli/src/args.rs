//! The command line as clap sees it, and the options that belong to the chosen method.
//!
//! A method's parameters (`--k 5`, `--ratio 1.0`) are not known to clap: they come from the method's card. So every
//! `--name value` pair that the verb itself does not know is set aside first ([`split`]) and handed to the method,
//! which says what it takes.

use crate::commands::allocate::Allocate;
use crate::commands::ask::Ask;
use crate::commands::enlarge::Enlarge;
use crate::commands::estimate::Estimate;
use crate::commands::finetune::Apply;
use crate::commands::holdout::Holdout;
use crate::commands::predict::{Evaluate, Predict};
use crate::commands::quantise::Quantise;
use crate::commands::tickets::Tickets;
use crate::commands::train::Train;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use quadrat::data::ColumnType;
use quadrat::numeric::impute::Fill;
use quadrat::{Error, OnMissing, Result};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Choose, make and check samples.
#[derive(Parser, Debug)]
#[command(name = "quadrat", version, arg_required_else_help = true, disable_help_subcommand = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// The catalogue of methods, searched in your own words
    List(List),
    /// A method's card: what it does, parameters, cost, paper, last result of its claim
    Show(Show),
    /// The built-in data sets, or what a file holds
    #[command(subcommand)]
    Data(Data),
    /// Rows of a file -> a subset, with weights where the method defines them
    Select(Select),
    /// A labelled file -> a file whose classes are balanced
    Balance(Balance),
    /// Rows of numbers -> new rows from the law that a method learns of them
    Sample(Sample),
    /// A file -> training sets with test sets near them (interpolation) and far from them (extrapolation)
    Split(SplitFile),
    /// A stream of row numbers for a trainer: another part of the rows in every epoch
    Order(Order),
    /// Labelled rows of many tasks -> how many to buy of each source task for the good of one target task
    Allocate(Allocate),
    /// The selectors against each other and against random, on your data
    Compare(Compare),
    #[command(subcommand)]
    Holdout(Holdout),
    /// Numbers with their errors: which inputs a model's variance comes from, how hard a task is to generalise on
    #[command(subcommand)]
    Estimate(Estimate),
    /// Twenty questions on a table of items: asks, hears yes or no, and says which item it is
    Ask(Ask),
    /// A labelled file or images -> a model, trained with any of the training methods
    Train(Train),
    /// A network pruned round by round: what that costs on its own task and on a new one
    Tickets(Tickets),
    /// Images -> a small network with few bits that enlarges such images
    Quantise(Quantise),
    /// Images -> larger ones, by a network that `quantise` made
    Enlarge(Enlarge),
    /// The small change of a fine-tuning, put on a model or taken off exactly
    Apply(Apply),
    /// Rows or images -> the same with what a model says of them
    Predict(Predict),
    /// How good a model is on labelled rows or images
    Eval(Evaluate),
    /// Re-run the claim of a method's paper; exit code 0: holds, 1: does not hold or inconclusive, 2: error
    Check(Check),
}

impl Command {
    /// Seed, threads and form of the answer, of the verbs that compute something.
    fn run(&self) -> Option<&Run> {
        match self {
            Command::Select(args) => Some(&args.work.run),
            Command::Balance(args) => Some(&args.work.run),
            Command::Sample(args) => Some(&args.work.run),
            Command::Split(args) => Some(&args.run),
            Command::Order(args) => Some(&args.run),
            Command::Allocate(args) => Some(&args.run),
            Command::Compare(args) => Some(&args.run),
            Command::Ask(args) => Some(&args.run),
            Command::Train(args) => Some(&args.run),
            Command::Tickets(args) => Some(&args.run),
            Command::Quantise(args) => Some(&args.run),
            Command::Enlarge(args) => Some(&args.run),
            Command::Predict(args) => Some(&args.run),
            Command::Eval(args) => Some(&args.run),
            Command::Check(args) => Some(&args.run),
            Command::Estimate(args) => Some(args.run()),
            Command::List(_) | Command::Show(_) | Command::Data(_) | Command::Holdout(_) | Command::Apply(_) => None,
        }
    }

    /// Whether to print JSON.
    pub fn wants_json(&self) -> bool {
        match self {
            Command::List(List { json, .. })
            | Command::Show(Show { json, .. })
            | Command::Data(Data::List { json } | Data::Show { json, .. }) => *json,
            Command::Apply(apply) => apply.json,
            Command::Holdout(holdout) => holdout.wants_json(),
            _ => self.run().is_some_and(|run| run.json),
        }
    }

    /// How many threads to use, where the user says so.
    pub fn threads(&self) -> Option<usize> {
        self.run().and_then(|run| run.threads)
    }
}

/// Flags of every verb that computes something.
#[derive(Args, Debug)]
pub struct Run {
    /// Seed of all randomness: same seed, same result
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Threads to use; the result does not depend on it [default: all cores]
    #[arg(long)]
    pub threads: Option<usize>,
    /// Print one JSON object instead of tables
    #[arg(long)]
    pub json: bool,
}

/// How an input file is read, where it does not say so itself.
#[derive(Args, Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
#[command(next_help_heading = "How files are read")]
pub struct Reading {
    /// Types of columns that are to be read differently: integer, float, boolean, text or category
    #[arg(long, value_name = "A=TYPE,B=TYPE")]
    pub types: Vec<String>,
    /// Format of the input, where its name does not tell: csv, tsv, jsonl, parquet, arrow, npy, npz, ...
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Between two fields: a character, or `tab`
    #[arg(long, value_name = "CHARACTER")]
    pub separator: Option<String>,
    /// Decimal sign of numbers
    #[arg(long, value_name = "CHARACTER")]
    pub decimal: Option<char>,
    /// Sign between the thousands of numbers
    #[arg(long, value_name = "CHARACTER")]
    pub thousands: Option<char>,
    /// Around fields that hold a separator
    #[arg(long, value_name = "CHARACTER")]
    pub quote: Option<char>,
    /// What lines start with that are no rows
    #[arg(long, value_name = "TEXT")]
    pub comment: Option<String>,
    /// The first row is data: columns are called column 1, column 2, ...
    #[arg(long)]
    pub no_header: bool,
    /// The first row holds the columns' names, whatever it looks like
    #[arg(long, conflicts_with = "no_header")]
    pub header: bool,
    /// Encoding of the texts, such as windows-1252 or utf-16le
    #[arg(long, value_name = "NAME")]
    pub encoding: Option<String>,
    /// What else stands for a missing value, in every column
    #[arg(long, value_name = "A,B,C", value_delimiter = ',', allow_hyphen_values = true)]
    pub missing_codes: Vec<String>,
    /// Columns that nothing is to be learnt from; they are written as all others
    #[arg(long, value_name = "A,B,C")]
    pub exclude: Vec<String>,
    /// Rows that lack a value in a column in use: refuse the file, drop these rows, impute (see --impute), or let no
    /// name be a category of its own [default: refuse]
    #[arg(long, value_enum, value_name = "refuse|drop|impute|category", hide_possible_values = true)]
    pub missing: Option<Missing>,
    /// What takes the place of a missing number: the column's median, its mean, or the mean of the 5 nearest rows; of a
    /// missing name, the most frequent one. `indicator`: the median, with a column more that says where a number was
    /// missing; no name is a category of its own [default: median]
    #[arg(long, value_enum, value_name = "median|mean|knn|indicator", hide_possible_values = true)]
    pub impute: Option<Impute>,
}

/// What is to be done where a value is missing.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Missing {
    Refuse,
    Drop,
    Impute,
    Category,
}

/// What takes the place of a missing number.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Impute {
    Median,
    Mean,
    Knn,
    Indicator,
}

impl Reading {
    /// What is to be done about missing values.
    pub fn on_missing(&self) -> Result<OnMissing> {
        let filled = match self.impute {
            Some(Impute::Mean) => OnMissing::Impute(Fill::Mean),
            Some(Impute::Knn) => OnMissing::Impute(Fill::Nearest),
            Some(Impute::Indicator) => OnMissing::Indicate,
            Some(Impute::Median) | None => OnMissing::Impute(Fill::Median),
        };
        match (self.missing, self.impute) {
            (Some(Missing::Impute), _) | (None, Some(_)) => Ok(filled),
            (Some(other), Some(_)) => {
                let got = format!("it with --missing {other:?}").to_lowercase();
                Err(Error::input("--impute", got, "it belongs to --missing impute"))
            }
            (Some(Missing::Drop), None) => Ok(OnMissing::Drop),
            (Some(Missing::Category), None) => Ok(OnMissing::Category),
            (Some(Missing::Refuse) | None, None) => Ok(OnMissing::Refuse),
        }
    }

    /// What is to be done about missing values by a verb that makes rows: they have the file's own columns.
    pub fn on_missing_in_made(&self) -> Result<OnMissing> {
        match self.on_missing()? {
            OnMissing::Indicate => {
                let want = "new rows have the file's own columns: use median, mean or knn";
                Err(Error::input("--impute", "indicator", want))
            }
            other => Ok(other),
        }
    }

    /// As the reader takes it.
    pub fn told(&self) -> Result<quadrat::data::Reading> {
        let separator = self.separator.as_deref().map(|given| {
            let mut characters = given.chars();
            match (given, characters.next(), characters.next()) {
                ("tab" | "\\t", _, _) => Ok('\t'),
                (_, Some(one), None) => Ok(one),
                _ => Err(Error::input("--separator", format!("`{given}`"), "one character, or `tab`")),
            }
        });
        Ok(quadrat::data::Reading {
            types: types(&self.types)?,
            format: self.format.as_deref().map(str::parse).transpose()?,
            separator: separator.transpose()?,
            decimal: self.decimal,
            thousands: self.thousands,
            quote: self.quote,
            comment: self.comment.clone(),
            header: self.header.then_some(true).or(self.no_header.then_some(false)),
            encoding: self.encoding.clone(),
            missing_codes: self.missing_codes.clone(),
        })
    }
}

/// Entries COLUMN=TYPE between commas, either of which may stand in a column's name: an entry ends with a type.
fn types(given: &[String]) -> Result<Vec<(String, ColumnType)>> {
    let mut types = Vec::new();
    for list in given {
        let mut entry = String::new();
        for piece in list.split(',') {
            entry = if entry.is_empty() { piece.to_owned() } else { format!("{entry},{piece}") };
            if let Some((name, kind)) = entry.rsplit_once('=').and_then(|(n, k)| Some((n, k.trim().parse().ok()?))) {
                types.push((name.trim().to_owned(), kind));
                entry.clear();
            }
        }
        if let Some((_, kind)) = entry.rsplit_once('=') {
            kind.trim().parse::<ColumnType>()?;
        }
        if !entry.is_empty() {
            return Err(Error::input("--types", format!("`{entry}`"), "write COLUMN=TYPE, such as zip=text"));
        }
    }
    Ok(types)
}

#[derive(Args, Debug)]
pub struct List {
    /// Words to search for, such as "too few examples of one class"
    pub words: Vec<String>,
    /// Print one JSON array of cards
    #[arg(long)]
    pub json: bool,
    /// Print the table of methods for the README
    #[arg(long, conflicts_with = "json")]
    pub markdown: bool,
}

#[derive(Args, Debug)]
pub struct Show {
    /// The method's name or short form
    pub method: String,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Subcommand, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one of it, made once")]
pub enum Data {
    /// The built-in data sets
    List {
        /// Print one JSON array
        #[arg(long)]
        json: bool,
    },
    /// Columns, types and size of a file or a built-in set
    Show {
        /// A file, or builtin:NAME
        input: String,
        #[command(flatten)]
        reading: Reading,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

/// Flags of every verb that works on a file.
#[derive(Args, Debug)]
pub struct Work {
    /// Input: .csv, .tsv, .json, .jsonl, .parquet, .arrow, .feather, .npy, .npz, .arff, .dat (KEEL) or .libsvm, also
    /// compressed; a folder or a pattern of Parquet files; or builtin:NAME
    #[arg(long = "in", value_name = "FILE")]
    pub input: String,
    /// Output file, whose ending chooses the format; - is standard output in the input's format, -.jsonl in another
    #[arg(long, value_name = "FILE", allow_hyphen_values = true)]
    pub out: Option<PathBuf>,
    /// The method; `quadrat list` shows them all
    #[arg(long)]
    pub method: String,
    /// Numeric columns to use [default: all numeric columns without another role]
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

/// Which columns say what of the rows to choose from.
#[derive(Args, Debug)]
pub struct Columns {
    /// Column with each row's class
    #[arg(long, value_name = "COLUMN")]
    pub target: Option<String>,
    /// Text columns: joined, and turned into hashed TF-IDF features
    #[arg(long, value_name = "A,B,C")]
    pub text: Vec<String>,
    /// Dimensions of the features made from text [default: 64]
    #[arg(long, value_name = "N", requires = "text")]
    pub text_dim: Option<usize>,
    /// A column of fixed-size lists, or an .npy file with one row for each row of the input
    #[arg(long, value_name = "COLUMN|FILE.npy")]
    pub embedding: Option<String>,
    /// Column with each row's quality; larger is better
    #[arg(long, value_name = "COLUMN")]
    pub score: Option<String>,
    /// Column with each row's labels: a list, or text separated by `|`, `;` or `,`
    #[arg(long, value_name = "COLUMN")]
    pub labels: Option<String>,
}

#[derive(Args, Debug)]
pub struct Select {
    #[command(flatten)]
    pub work: Work,
    /// Rows to choose: a number, or a share of the input such as 2%
    #[arg(long, value_name = "ROWS|SHARE%")]
    pub budget: String,
    #[command(flatten)]
    pub columns: Columns,
    /// Column with the response of a regression: a column of the matrix for sensitivity-sampling, no feature elsewhere
    #[arg(long, value_name = "COLUMN")]
    pub response: Option<String>,
    /// Standardise numeric columns: `auto` does unless the method's answer is about the raw numbers
    #[arg(long, value_enum, default_value_t = Standardise::Auto)]
    pub standardise: Standardise,
    /// For mig: where the labels lie: a column of vectors (a label lies at the mean of its rows) or a file with a row a
    /// label, its name and its numbers [default: their names, encoded as texts]
    #[arg(long, value_name = "COLUMN|FILE", requires = "labels", conflicts_with = "label_edges")]
    pub label_embedding: Option<String>,
    /// For mig: a file with an edge between two labels a row: label, label and, if it is not 1, weight
    #[arg(long, value_name = "FILE", requires = "labels")]
    pub label_edges: Option<String>,
    /// For mig: rows that you have already, in a file with the same columns: what they cover counts as covered
    #[arg(long, value_name = "FILE")]
    pub owned: Option<String>,
    /// For diversify-conquer: choose in rounds of your own. Keeps the run in this file; each call draws --budget new rows
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Scores of the rows of the last round, or of all rounds, in the order in which they were written: a file with one
    /// new column of numbers
    #[arg(long, value_name = "FILE", requires = "state")]
    pub scores: Option<String>,
    /// Print the estimated cost first
    #[arg(long, action = ArgAction::SetTrue)]
    pub explain: bool,
}

/// Whether numeric columns get mean 0 and standard deviation 1 before a method sees them.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standardise {
    Auto,
    Yes,
    No,
}

#[derive(Args, Debug)]
pub struct Balance {
    #[command(flatten)]
    pub work: Work,
    /// Column with each row's class
    #[arg(long, value_name = "COLUMN")]
    pub target: String,
    /// Take each value of the target as a class [default: names, truth values, at most 20 different whole numbers]
    #[arg(long)]
    pub classes: bool,
    /// Nominal columns: their names, `none`, or `auto` for columns of text, truth values and categories in which a
    /// value is shared by two rows on average (left out if the method takes numbers only)
    #[arg(long, value_name = "auto|none|A,B,C", default_value = "auto")]
    pub categorical: Vec<String>,
    /// Scale of the numeric columns while neighbours are looked for: as they are, mean 0 and deviation 1, or median 0 and
    /// distance 1 between the quartiles
    #[arg(long, value_enum, default_value_t = ColumnScale::None)]
    pub scale: ColumnScale,
}

/// The scale of columns while neighbours are looked for.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnScale {
    None,
    Standard,
    Robust,
}

impl From<ColumnScale> for quadrat::robust::Scale {
    fn from(scale: ColumnScale) -> Self {
        match scale {
            ColumnScale::None => quadrat::robust::Scale::None,
            ColumnScale::Standard => quadrat::robust::Scale::Standard,
            ColumnScale::Robust => quadrat::robust::Scale::Robust,
        }
    }
}

#[derive(Args, Debug)]
pub struct Sample {
    #[command(flatten)]
    pub work: Work,
    /// Rows to draw
    #[arg(long, value_name = "N")]
    pub rows: usize,
}

#[derive(Args, Debug)]
pub struct SplitFile {
    /// The rows to cut, or with --test the training rows; a file as for `select`, or builtin:NAME
    #[arg(long = "in", value_name = "FILE")]
    pub input: String,
    /// The test rows, with the columns of the first file that are used
    #[arg(long, value_name = "FILE")]
    pub test: Option<String>,
    /// Folder to make: a folder a fold, in each the rows of either file in that file's own format
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// Split once, into train and test: this share of the rows to test on, class by class where --target has classes
    #[arg(long, value_name = "SHARE",
          conflicts_with_all = ["test", "protocol", "folds", "balanced", "restarts", "purge", "sizes", "per_query",
                                "far", "text", "embedding", "features", "relevant"])]
    pub hold_out: Option<f64>,
    /// With --hold-out: column of groups, such as patients, of which none is on both sides
    #[arg(long, value_name = "COLUMN", requires = "hold_out", conflicts_with = "time")]
    pub groups: Option<String>,
    /// With --hold-out: column of times; the latest rows are tested on
    #[arg(long, value_name = "COLUMN", requires = "hold_out")]
    pub time: Option<String>,
    /// `extrapolation`: folds of similar rows; `resample`: training sets near and far from the rows of --test
    #[arg(long, value_enum, default_value_t = Protocol::Extrapolation)]
    pub protocol: Protocol,
    /// Buckets of similar rows, each a fold's extrapolation test [default: 5]
    #[arg(long, value_name = "N")]
    pub folds: Option<usize>,
    /// Buckets of equal size, and equally many training rows in every fold
    #[arg(long)]
    pub balanced: bool,
    /// Starts of k-means, of which the best counts [default: 5]
    #[arg(long, value_name = "N")]
    pub restarts: Option<usize>,
    /// Leave out training rows at least this similar to an extrapolation test row, such as 0.9
    #[arg(long, value_name = "SIMILARITY", allow_negative_numbers = true)]
    pub purge: Option<f64>,
    /// Protocol resample: training rows on either side, one or more numbers
    #[arg(long, value_name = "N,N", value_delimiter = ',')]
    pub sizes: Vec<usize>,
    /// Protocol resample: in place of sizes, how many nearest training rows of each test row [default: 10]
    #[arg(long, value_name = "N,N", value_delimiter = ',', conflicts_with = "sizes")]
    pub per_query: Vec<usize>,
    /// Protocol resample: rows among this many nearest of a test row are not far [default: as many as were taken]
    #[arg(long, value_name = "N")]
    pub exclude_nearest: Option<usize>,
    /// Protocol resample: which of the far rows [default: random]
    #[arg(long, value_enum)]
    pub far: Option<Far>,
    /// Text columns: joined, and turned into hashed TF-IDF features; compared by cosine
    #[arg(long, value_name = "A,B,C")]
    pub text: Vec<String>,
    /// Dimensions of the features made from text [default: 64]
    #[arg(long, value_name = "N", requires = "text")]
    pub text_dim: Option<usize>,
    /// A column of fixed-size lists, or (without --test) an .npy file with a row for each row; compared by cosine
    #[arg(long, value_name = "COLUMN|FILE.npy")]
    pub embedding: Option<String>,
    /// Numeric columns, standardised and compared by Euclidean distance [default: all that are numeric]
    #[arg(long, value_name = "A,B,C")]
    pub features: Vec<String>,
    /// Column with each row's class, which is no feature
    #[arg(long, value_name = "COLUMN")]
    pub target: Option<String>,
    /// Column with each row's relevant documents (a list, or text separated by `|`, `;` or `,`): reports how many test
    /// rows share one with the training rows
    #[arg(long, value_name = "COLUMN")]
    pub relevant: Option<String>,
    #[command(flatten)]
    pub run: Run,
    /// Write a self-contained HTML page about the run
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    pub reading: Reading,
}

/// How a file is split.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Extrapolation,
    Resample,
}

/// Which of the rows that are far from the test rows.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Far {
    Random,
    Farthest,
}

#[derive(Args, Debug)]
pub struct Order {
    /// Rows to draw from
    #[arg(long, value_name = "N", required_unless_present = "input", conflicts_with = "input")]
    pub rows: Option<usize>,
    /// Input whose rows to draw from, as for `select`
    #[arg(long = "in", value_name = "FILE")]
    pub input: Option<String>,
    #[command(flatten)]
    pub reading: Reading,
    /// Column of the input with each row's class, for draws that keep the classes' shares
    #[arg(long, value_name = "COLUMN", requires = "input")]
    pub target: Option<String>,
    /// Column of the input with each row's weight, for draws in proportion to it
    #[arg(long, value_name = "COLUMN", requires = "input")]
    pub score: Option<String>,
    /// The method; `quadrat list` shows them all
    #[arg(long, default_value = "rs2")]
    pub method: String,
    /// Rows of an epoch: a number, or a share of the rows such as 10%
    #[arg(long, value_name = "ROWS|SHARE%")]
    pub fraction: String,
    /// Epochs, each of that many rows
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub epochs: usize,
    /// Where to: .npy (a matrix of unsigned integers, one row an epoch) or .txt (one row number a line)
    /// [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Keep the stream's state in this file; if it exists, go on from there
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    #[command(flatten)]
    pub run: Run,
}

#[derive(Args, Debug)]
pub struct Compare {
    /// Input, as for `select`
    #[arg(long = "in", value_name = "FILE")]
    pub input: String,
    #[command(flatten)]
    pub columns: Columns,
    /// Numeric columns to use [default: all numeric columns without another role]
    #[arg(long, value_name = "A,B,C")]
    pub features: Vec<String>,
    /// Rows to choose, each a number or a share such as 2% of the rows that are not kept for testing
    #[arg(long, value_name = "A,B,C", value_delimiter = ',', default_value = "1%,2%,5%")]
    pub budgets: Vec<String>,
    /// Repetitions, each with a split of its own
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub seeds: usize,
    /// Selectors to compare [default: all]; random and rs2 are always there
    #[arg(long, value_name = "A,B,C", value_delimiter = ',')]
    pub methods: Vec<String>,
    /// Share of the rows that only measure
    #[arg(long, value_name = "SHARE", default_value_t = 0.2)]
    pub test_share: f64,
    /// Column of groups, such as patients, of which none is on both sides of a split
    #[arg(long, value_name = "COLUMN", conflicts_with = "time")]
    pub groups: Option<String>,
    /// Column of times: the latest rows measure, in every repetition
    #[arg(long, value_name = "COLUMN")]
    pub time: Option<String>,
    /// Rows that each training run sees, counted with repetition
    #[arg(long, value_name = "N", default_value_t = 200_000)]
    pub visits: usize,
    /// A gain of accuracy that is not worth having: selectors shown to gain no more are called no better than random
    #[arg(long, value_name = "POINTS", default_value_t = 1.0)]
    pub margin: f64,
    #[command(flatten)]
    pub run: Run,
    /// Keep what was heard in this file; if it exists, go on from there
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Write a self-contained HTML page about the run
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    pub reading: Reading,
}

#[derive(Args, Debug)]
pub struct Check {
    /// The method whose claim to run
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub method: Option<String>,
    /// Run every claim
    #[arg(long)]
    pub all: bool,
    /// How large: `smoke` takes seconds and gives no verdict, `quick` up to 2 minutes, `full` up to 15
    #[arg(long, value_enum, default_value_t = Scale::Quick)]
    pub scale: Scale,
    #[command(flatten)]
    pub run: Run,
    /// Write the records as JSON
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Write a self-contained HTML page about the run
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Keep each record as FOLDER/METHOD.SCALE.json and rewrite FOLDER/CLAIMS.md
    #[arg(long, value_name = "FOLDER")]
    pub record: Option<PathBuf>,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    Smoke,
    Quick,
    Full,
}

impl From<Scale> for quadrat::Scale {
    fn from(scale: Scale) -> Self {
        match scale {
            Scale::Smoke => quadrat::Scale::Smoke,
            Scale::Quick => quadrat::Scale::Quick,
            Scale::Full => quadrat::Scale::Full,
        }
    }
}

/// The options of the verb, and those left for its method.
#[derive(Debug, PartialEq, Eq)]
pub struct Split {
    /// What clap is to parse, from the program's name on.
    pub own: Vec<String>,
    /// `--name value` pairs for the method; a name without a value gets "true".
    pub parameters: Vec<(String, String)>,
    /// The method, where one is named.
    pub method: Option<String>,
}

/// Sets the method's options aside: those of verbs with a `--method` that `command` does not list.
pub fn split(command: &clap::Command, arguments: impl IntoIterator<Item = String>) -> Split {
    let mut left = arguments.into_iter().peekable();
    let mut split = Split { own: left.by_ref().take(2).collect(), parameters: Vec::new(), method: None };
    let verb = split.own.get(1).and_then(|verb| command.find_subcommand(verb));
    let Some(verb) = verb.filter(|verb| verb.get_arguments().any(|a| a.get_long() == Some("method"))) else {
        split.own.extend(left);
        return split;
    };
    while let Some(argument) = left.next() {
        let Some(option) = argument.strip_prefix("--").filter(|option| !option.is_empty()) else {
            split.own.push(argument);
            continue;
        };
        let (name, inline) = match option.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (option.to_owned(), None),
        };
        let known = verb.get_arguments().find(|a| a.get_long() == Some(name.as_str()));
        let takes_value = known.is_none_or(|a| a.get_action().takes_values()) && name != "help";
        let value = inline.or_else(|| left.next_if(|next| takes_value && !next.starts_with("--")));
        if known.is_none() && name != "help" {
            split.parameters.push((name, value.unwrap_or_else(|| "true".to_owned())));
            continue;
        }
        if name == "method" {
            split.method.clone_from(&value);
        }
        split.own.push(format!("--{name}"));
        split.own.extend(value);
    }
    split
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn names_may_hold_commas_and_equals_signs() {
        let typed = |text: &str| types(&[text.to_owned()]);
        let of = |name: &str, kind| (name.to_owned(), kind);
        for (text, expected) in [
            ("zip=text", vec![of("zip", ColumnType::Text)]),
            ("a=b=float,zip=text", vec![of("a=b", ColumnType::Float), of("zip", ColumnType::Text)]),
            ("Income, annual=integer", vec![of("Income, annual", ColumnType::Integer)]),
            ("a=1,b=2=category", vec![of("a=1,b=2", ColumnType::Category)]),
        ] {
            assert_eq!(typed(text).unwrap(), expected, "{text}");
        }
        for text in ["zip", "zip=word", "zip=text,b", "=", "zip="] {
            assert!(typed(text).is_err(), "{text}");
        }
    }

    #[test]
    fn options_of_the_method_are_set_aside() {
        for (line, own, parameters) in [
            ("quadrat list a b", "quadrat list a b", ""),
            (
                "quadrat balance --in a.csv --k 5 --target y --method smote --ratio=1.0 --out b.csv",
                "quadrat balance --in a.csv --target y --method smote --out b.csv",
                "k=5 ratio=1.0",
            ),
            ("quadrat select --norm --method mig --budget=2%", "quadrat select --method mig --budget 2%", "norm=true"),
            ("quadrat select --method mig --help", "quadrat select --method mig --help", ""),
            ("quadrat select --shift -3 --json x", "quadrat select --json x", "shift=-3"),
            ("quadrat check --all --k 3", "quadrat check --all --k 3", ""),
            ("quadrat", "quadrat", ""),
        ] {
            let split = split(&Cli::command(), words(line));
            assert_eq!(split.own, words(own), "{line}");
            let got: Vec<String> = split.parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
            assert_eq!(got, words(parameters), "{line}");
        }
    }
}
