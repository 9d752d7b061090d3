//! The options that say which model is asked about, and where its runs come from.

use super::simulator::External;
use clap::Args;
use std::path::PathBuf;

/// A model with uncertain inputs.
#[derive(Args, Debug)]
pub struct Asked {
    /// TOML file that lists the inputs in order, each with a name and a law
    #[arg(long, value_name = "FILE")]
    pub problem: PathBuf,
    #[command(flatten)]
    pub external: External,
    /// Write the points at which to run the model, and stop
    #[arg(long, value_name = "FILE.csv", requires = "calls")]
    pub write_design: Option<PathBuf>,
    /// Read such a file with columns of results added, its rows in the same order; an empty cell is a run that failed
    #[arg(long, value_name = "FILE", conflicts_with = "calls")]
    pub read_results: Option<String>,
    /// Runs of the model in all
    #[arg(long, value_name = "N")]
    pub calls: Option<usize>,
    /// Columns of --read-results that are outputs [default: all numeric columns that are no inputs]
    #[arg(long, value_name = "A,B,C", requires = "read_results")]
    pub outputs: Vec<String>,
}
