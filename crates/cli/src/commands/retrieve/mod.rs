//! `quadrat retrieve`: find rows, and measure how well.

mod compare;
mod eval;
mod judging;

use super::with_terminal;
use crate::args::Run;
use crate::output::Reply;
use clap::Subcommand;
use compare::Compare;
use eval::Eval;
use quadrat::Result;

/// Find the documents that a question asks for: index, search, measure
#[derive(Subcommand, Debug)]
pub enum Retrieve {
    /// A run and judgements -> how good the run is
    Eval(Eval),
    /// Runs and judgements -> which run is better, and whether by more than chance
    Compare(Compare),
}

impl Retrieve {
    /// As [`Command::shared`](super::Command).
    pub fn shared(&self) -> &Run {
        match self {
            Retrieve::Eval(args) => &args.run,
            Retrieve::Compare(args) => &args.run,
        }
    }

    pub fn run(&self) -> Result<Reply> {
        with_terminal(|terminal| match self {
            Retrieve::Eval(args) => eval::run(args, terminal),
            Retrieve::Compare(args) => compare::run(args, terminal),
        })
    }
}
