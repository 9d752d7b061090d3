//! `quadrat estimate`: one file an estimator.

pub mod inductive_bias;
pub mod sobol;

use clap::Subcommand;
use inductive_bias::InductiveBias;
use sobol::Sobol;

#[derive(Subcommand, Debug)]
pub enum Estimate {
    /// Bits beyond the training set that generalising takes, within a space of hypotheses
    InductiveBias(InductiveBias),
    /// Sobol' indices of a model: which inputs its output's variance comes from, with errors
    Sobol(Sobol),
}

impl Estimate {
    /// Whether to print JSON.
    pub fn wants_json(&self) -> bool {
        match self {
            Estimate::InductiveBias(args) => args.json,
            Estimate::Sobol(args) => args.json,
        }
    }

    /// How many threads to use, where the user says so.
    pub fn threads(&self) -> Option<usize> {
        match self {
            Estimate::InductiveBias(args) => args.threads,
            Estimate::Sobol(args) => args.threads,
        }
    }
}
