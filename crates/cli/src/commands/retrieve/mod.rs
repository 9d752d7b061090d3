//! `quadrat retrieve`: find rows, and measure how well.

#[cfg(feature = "networks")]
mod embed;
mod eval;

use super::with_terminal;
use crate::args::Run;
use crate::output::Reply;
use clap::Subcommand;
#[cfg(feature = "networks")]
use embed::Embed;
use eval::Eval;
use quadrat::Result;

/// Find the documents that a question asks for: index, search, measure
#[derive(Subcommand, Debug)]
pub enum Retrieve {
    /// Texts -> a vector each, by a sentence encoder
    #[cfg(feature = "networks")]
    Embed(Embed),
    /// A run and judgements -> how good the run is
    Eval(Eval),
}

impl Retrieve {
    /// As [`Command::shared`](super::Command).
    pub fn shared(&self) -> &Run {
        match self {
            #[cfg(feature = "networks")]
            Retrieve::Embed(args) => &args.run,
            Retrieve::Eval(args) => &args.run,
        }
    }

    pub fn run(&self) -> Result<Reply> {
        with_terminal(|terminal| match self {
            #[cfg(feature = "networks")]
            Retrieve::Embed(args) => embed::run(args, terminal),
            Retrieve::Eval(args) => eval::run(args, terminal),
        })
    }
}
