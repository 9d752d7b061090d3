//! `quadrat estimate`: one file an estimator.

pub mod inductive_bias;
pub mod sobol;

use crate::args::Run;
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
    /// Seed, threads and form of the answer.
    pub fn run(&self) -> &Run {
        match self {
            Estimate::InductiveBias(args) => &args.run,
            Estimate::Sobol(args) => &args.run,
        }
    }
}
