//! Options that several verbs share.

use crate::reading::Reading;
use clap::Args;
use std::path::PathBuf;

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
    /// Make the features from text by a sentence encoder: a folder as sentence-transformers or transformers writes it
    #[arg(long, value_name = "FOLDER", requires = "text", conflicts_with = "text_dim")]
    pub encoder: Option<PathBuf>,
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
