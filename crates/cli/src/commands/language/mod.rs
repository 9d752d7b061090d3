//! `quadrat language`: models of text: make them, draw from them, measure them.

mod decode;
mod diversity;
mod encode;
mod generate;
#[cfg(feature = "networks")]
mod hyperfit;
mod model;
mod points;
mod score;
mod texts;
#[cfg(feature = "networks")]
mod train;

use super::with_terminal;
use crate::args::Run;
use crate::output::Reply;
use clap::Subcommand;
use decode::DecodePoints;
use diversity::MeasureTexts;
use encode::EncodeSentences;
use generate::Generate;
#[cfg(feature = "networks")]
use hyperfit::HyperfitModel;
use quadrat::Result;
use score::ScoreTexts;
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
    /// Sentences -> points of the unit cube, by a model
    Encode(EncodeSentences),
    /// Points of the unit cube -> sentences, by a model
    Decode(DecodePoints),
    /// Texts -> how varied they are, and whether they quote
    Diversity(MeasureTexts),
    /// A model and a few texts -> a model whose greedy text does not loop
    #[cfg(feature = "networks")]
    Hyperfit(Box<HyperfitModel>),
}

impl Language {
    /// As [`Command::shared`](super::Command).
    pub fn shared(&self) -> &Run {
        match self {
            #[cfg(feature = "networks")]
            Language::Train(args) => &args.run,
            Language::Generate(args) => &args.run,
            Language::Score(args) => &args.run,
            Language::Encode(args) => &args.run,
            Language::Decode(args) => &args.run,
            Language::Diversity(args) => &args.run,
            #[cfg(feature = "networks")]
            Language::Hyperfit(args) => &args.run,
        }
    }

    pub fn run(&self) -> Result<Reply> {
        with_terminal(|terminal| match self {
            #[cfg(feature = "networks")]
            Language::Train(args) => train::run(args, terminal),
            Language::Generate(args) => generate::run(args, terminal),
            Language::Score(args) => score::run(args, terminal),
            Language::Encode(args) => encode::run(args, terminal),
            Language::Decode(args) => decode::run(args, terminal),
            Language::Diversity(args) => diversity::run(args),
            #[cfg(feature = "networks")]
            Language::Hyperfit(args) => hyperfit::run(args, terminal),
        })
    }
}
