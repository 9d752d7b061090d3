//! `quadrat language`: models of text: make them, draw from them, measure them.

#[cfg(feature = "networks")]
mod align;
mod generate;
#[cfg(feature = "networks")]
mod hyperfit;
#[cfg(feature = "networks")]
mod masked;
mod model;
mod score;
#[cfg(feature = "networks")]
mod self_sample;
mod texts;
#[cfg(feature = "networks")]
mod train;

use super::with_terminal;
use crate::args::Run;
use crate::output::Reply;
#[cfg(feature = "networks")]
use align::AlignModel;
use clap::Subcommand;
use generate::Generate;
#[cfg(feature = "networks")]
use hyperfit::HyperfitModel;
use quadrat::Result;
#[cfg(feature = "networks")]
use quadrat::language::masked::MaskedTransformer;
use score::ScoreTexts;
#[cfg(feature = "networks")]
use self_sample::SelfSample;
#[cfg(feature = "networks")]
use train::TrainModel;

/// Language models: train, generate, score, align, encode
#[derive(Subcommand, Debug)]
pub enum Language {
    /// Texts -> a model of them
    #[cfg(feature = "networks")]
    Train(Box<TrainModel>),
    /// Prompts -> texts drawn from a model
    Generate(Box<Generate>),
    /// Texts -> how likely each is to a model
    Score(ScoreTexts),
    /// A model and a few texts -> a model whose greedy text does not loop
    #[cfg(feature = "networks")]
    Hyperfit(Box<HyperfitModel>),
    /// A model, prompts and a judge -> a model whose answers the judge prefers
    #[cfg(feature = "networks")]
    Align(Box<AlignModel>),
    /// Problems with a solution each -> a model that writes such programs
    #[cfg(feature = "networks")]
    SelfSample(Box<SelfSample>),
}

impl Language {
    /// As [`Command::shared`](super::Command).
    pub fn shared(&self) -> &Run {
        match self {
            #[cfg(feature = "networks")]
            Language::Train(args) => &args.run,
            Language::Generate(args) => &args.run,
            Language::Score(args) => &args.run,
            #[cfg(feature = "networks")]
            Language::Hyperfit(args) => &args.run,
            #[cfg(feature = "networks")]
            Language::Align(args) => &args.run,
            #[cfg(feature = "networks")]
            Language::SelfSample(args) => &args.run,
        }
    }

    pub fn run(&self) -> Result<Reply> {
        with_terminal(|terminal| match self {
            #[cfg(feature = "networks")]
            Language::Train(args) => train::run(args, terminal),
            #[cfg(feature = "networks")]
            Language::Generate(args) if MaskedTransformer::is_in(&args.model) => masked::run(args, terminal),
            Language::Generate(args) => generate::run(args, terminal),
            Language::Score(args) => score::run(args, terminal),
            #[cfg(feature = "networks")]
            Language::Hyperfit(args) => hyperfit::run(args, terminal),
            #[cfg(feature = "networks")]
            Language::Align(args) => align::run(args, terminal),
            #[cfg(feature = "networks")]
            Language::SelfSample(args) => self_sample::run(args, terminal),
        })
    }
}
