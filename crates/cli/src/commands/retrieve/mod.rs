//! `quadrat retrieve`: find rows, and measure how well.

mod eval;

use super::with_terminal;
use crate::args::Run;
use crate::output::Reply;
use clap::Subcommand;
use eval::Eval;
use quadrat::Result;

/// Find the documents that a question asks for: index, search, measure
#[derive(Subcommand, Debug)]
pub enum Retrieve {
    /// A run and judgements -> how good the run is
    Eval(Eval),
}

impl Retrieve {
    /// As [`Command::shared`](super::Command).
    pub fn shared(&self) -> &Run {
        match self {
            Retrieve::Eval(args) => &args.run,
        }
    }

    pub fn run(&self) -> Result<Reply> {
        with_terminal(|terminal| match self {
            Retrieve::Eval(args) => eval::run(args, terminal),
        })
    }
}
