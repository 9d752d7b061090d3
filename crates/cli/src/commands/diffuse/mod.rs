//! `quadrat diffuse`: samples from noise.

mod certify;
mod points;
mod sample;
mod search;
mod steering;

use super::with_terminal;
use crate::args::Run;
use crate::output::Reply;
use certify::CertifySolver;
use clap::Subcommand;
use quadrat::Result;
use sample::DrawSamples;
use search::SearchSolver;

/// Diffusion: draw rows like yours from noise, find the solver for few calls, look whether a solver is right
#[derive(Subcommand, Debug)]
pub enum Diffuse {
    /// Rows of numbers -> new rows like them
    Sample(Box<DrawSamples>),
    /// Rows of numbers and a number of model calls -> the solver that draws best with so many
    Search(Box<SearchSolver>),
    /// A solver -> whether it converges as it should, against laws that are known
    Certify(CertifySolver),
}

impl Diffuse {
    /// As [`Command::shared`](super::Command).
    pub fn shared(&self) -> &Run {
        match self {
            Diffuse::Sample(args) => &args.run,
            Diffuse::Search(args) => &args.run,
            Diffuse::Certify(args) => &args.run,
        }
    }

    pub fn run(&self) -> Result<Reply> {
        with_terminal(|terminal| match self {
            Diffuse::Sample(args) => sample::run(args, terminal),
            Diffuse::Search(args) => search::run(args, terminal),
            Diffuse::Certify(args) => certify::run(args, terminal),
        })
    }
}
