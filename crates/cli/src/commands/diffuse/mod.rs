//! `quadrat diffuse`: samples from noise.

mod certify;
#[cfg(feature = "networks")]
mod finetune;
mod form;
mod minority;
mod model;
#[cfg(feature = "networks")]
mod network;
mod points;
#[cfg(feature = "networks")]
mod restore;
mod sample;
mod search;
mod solve;
mod steering;
#[cfg(feature = "networks")]
mod train;

use super::with_terminal;
use crate::args::Run;
use crate::output::Reply;
use crate::parameters::choice;
use certify::CertifySolver;
use clap::Subcommand;
#[cfg(feature = "networks")]
use finetune::FinetuneModel;
use minority::ScoreRows;
use quadrat::Result;
#[cfg(feature = "networks")]
use restore::RestoreRows;
use sample::DrawSamples;
use search::SearchSolver;
use solve::SolveInverse;
#[cfg(feature = "networks")]
use train::TrainDenoiser;

/// Diffusion: draw rows like yours from noise, train a model of them, find the solver for few calls, look whether a solver is right
#[derive(Subcommand, Debug)]
pub enum Diffuse {
    /// Rows of numbers or images -> a model of them
    #[cfg(feature = "networks")]
    Train(Box<TrainDenoiser>),
    /// Rows of numbers, or a model -> new rows like them
    Sample(Box<DrawSamples>),
    /// Rows of numbers or a model, and a number of calls -> the solver that draws best with so many
    Search(Box<SearchSolver>),
    /// Rows of numbers, with a model or without -> how rare each is
    Score(Box<ScoreRows>),
    /// A model and rows -> the model for one solver of few calls
    #[cfg(feature = "networks")]
    Finetune(Box<FinetuneModel>),
    /// Measurements of samples, and a model -> samples that fit them
    Solve(Box<SolveInverse>),
    /// A model with conditions, pairs to choose a start by, and conditions -> the rows that belong to them
    #[cfg(feature = "networks")]
    Restore(Box<RestoreRows>),
    /// A solver -> whether it converges as it should, against laws that are known
    Certify(CertifySolver),
}

impl Diffuse {
    /// As [`Command::shared`](super::Command).
    pub fn shared(&self) -> &Run {
        match self {
            #[cfg(feature = "networks")]
            Diffuse::Train(args) => &args.run,
            Diffuse::Sample(args) => &args.run,
            Diffuse::Search(args) => &args.run,
            Diffuse::Score(args) => &args.run,
            #[cfg(feature = "networks")]
            Diffuse::Finetune(args) => &args.run,
            Diffuse::Solve(args) => &args.run,
            #[cfg(feature = "networks")]
            Diffuse::Restore(args) => &args.run,
            Diffuse::Certify(args) => &args.run,
        }
    }

    pub fn run(&self) -> Result<Reply> {
        with_terminal(|terminal| match self {
            #[cfg(feature = "networks")]
            Diffuse::Train(args) => train::run(args, terminal),
            Diffuse::Sample(args) => sample::run(args, terminal),
            Diffuse::Search(args) => search::run(args, terminal),
            Diffuse::Score(args) => minority::run(args, terminal),
            #[cfg(feature = "networks")]
            Diffuse::Finetune(args) => finetune::run(args, terminal),
            Diffuse::Solve(args) => solve::run(args, terminal),
            #[cfg(feature = "networks")]
            Diffuse::Restore(args) => restore::run(args, terminal),
            Diffuse::Certify(args) => certify::run(args, terminal),
        })
    }
}

/// A solver's name, read by clap.
fn solver() -> impl clap::builder::TypedValueParser<Value = quadrat::diffusion::Solver> {
    choice()
}
