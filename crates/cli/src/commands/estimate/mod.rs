//! `quadrat estimate`: one file an estimator.

pub mod sobol;

use clap::Subcommand;
use sobol::Sobol;

#[derive(Subcommand, Debug)]
pub enum Estimate {
    /// Sobol' indices of a model: which inputs its output's variance comes from, with errors
    Sobol(Sobol),
}

impl Estimate {
    /// Whether to print JSON.
    pub fn wants_json(&self) -> bool {
        match self {
            Estimate::Sobol(args) => args.json,
        }
    }

    /// How many threads to use, where the user says so.
    pub fn threads(&self) -> Option<usize> {
        match self {
            Estimate::Sobol(args) => args.threads,
        }
    }
}
