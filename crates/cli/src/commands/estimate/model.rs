//! Which model is asked about, where its runs come from, and what is said of them in the end.

use super::design_file::{self, Results};
use super::problem;
use super::simulator::{External, Simulator};
use crate::commands::roles;
use crate::output::{Reply, check_place, json};
use crate::parameters::Declared;
use clap::Args;
use quadrat::estimate::Calls;
use quadrat::estimate::sobol::Factors;
use quadrat::{Error, Result};
use serde::Serialize;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

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
    #[command(flatten)]
    pub calls: Declared<Calls>,
    /// Columns of --read-results that are outputs [default: all numeric columns that are no inputs]
    #[arg(long, value_name = "A,B,C", requires = "read_results")]
    pub outputs: Vec<String>,
}

impl Asked {
    /// The problem, once it is clear that the design, or the table `out`, can be written.
    pub fn problem(&self, out: Option<&Path>) -> Result<Factors> {
        for (option, path) in [("--write-design", self.write_design.as_deref()), ("--out", out)] {
            let Some(path) = path else { continue };
            check_place(path)?;
            design_file::check_ending(option, path)?;
        }
        problem::read(&self.problem)
    }

    /// What is wrong where nothing says where the model's runs come from.
    pub fn no_runs(&self) -> Error {
        Error::input("model", "nothing", "give --command, --write-design or --read-results")
    }

    /// Runs of the model in all; 0 where they were made elsewhere.
    pub fn calls(&self) -> Result<usize> {
        Ok(self.calls.settings()?.calls.unwrap_or(0))
    }
}

/// What an estimate rests on: the names of the outputs, and where they came from.
pub struct Evidence {
    pub names: Vec<String>,
    /// What is said of a program's runs, and the same for programs.
    runs: Option<(Option<String>, Value)>,
    /// The file that was read.
    read: Option<Results>,
}

impl Evidence {
    /// Runs of a program.
    pub fn of_program(simulator: &Simulator, names: Vec<String>) -> Evidence {
        Evidence { names, runs: Some((simulator.summary(), simulator.json())), read: None }
    }

    /// A file of results.
    pub fn of_file(results: Results) -> Evidence {
        Evidence { names: results.names.clone(), runs: None, read: Some(results) }
    }

    /// The file that was read.
    pub fn read(&self) -> Option<&Results> {
        self.read.as_ref()
    }

    /// What there is to say of a program's runs, as a line.
    pub fn summary(&self) -> String {
        match &self.runs {
            Some((Some(summary), _)) => format!("{summary}\n"),
            _ => String::new(),
        }
    }

    /// The reply, with the figures of each output under its name, and what the runs or the file's columns were.
    pub fn reply<T: Serialize>(self, mut text: String, mut value: Value, outputs: &[T]) -> Result<Reply> {
        let named = |(name, output): (&String, &T)| {
            let mut value = json(output)?;
            value["name"] = json!(name);
            Ok(value)
        };
        value["outputs"] = self.names.iter().zip(outputs).map(named).collect::<Result<_>>()?;
        value["runs"] = json!(self.runs.map(|(_, json)| json));
        if let Some(Results { table, uses, .. }) = &self.read {
            roles::tell(table, uses, &mut text, &mut value);
        }
        Ok(Reply::new(text, value))
    }
}
