//! `quadrat language`: models of text: make them, draw from them, measure them.

#[cfg(feature = "networks")]
mod align;
mod decode;
mod diversity;
mod drafting;
mod encode;
mod generate;
#[cfg(feature = "networks")]
mod hyperfit;
#[cfg(feature = "networks")]
mod masked;
mod model;
mod plan;
mod points;
mod score;
#[cfg(feature = "networks")]
mod self_sample;
mod texts;
#[cfg(feature = "networks")]
mod train;
mod verify;

use super::with_terminal;
use crate::args::Run;
use crate::output::Reply;
#[cfg(feature = "networks")]
use align::AlignModel;
use clap::Subcommand;
use decode::DecodePoints;
use diversity::MeasureTexts;
use encode::EncodeSentences;
use generate::Generate;
#[cfg(feature = "networks")]
use hyperfit::HyperfitModel;
use plan::PlanDrafts;
use quadrat::Result;
#[cfg(feature = "networks")]
use quadrat::language::masked::MaskedTransformer;
use score::ScoreTexts;
pub use score::quality;
#[cfg(feature = "networks")]
use self_sample::SelfSample;
#[cfg(feature = "networks")]
use train::TrainModel;
use verify::Verify;

/// Language models: train, generate, score, align, encode
#[derive(Subcommand, Debug)]
pub enum Language {
    /// Texts -> a model of them
    #[cfg(feature = "networks")]
    Train(Box<TrainModel>),
    /// Prompts -> texts drawn from a model
    Generate(Box<Generate>),
    /// Prompts -> how many tokens a call of a model would give with drafts
    Plan(Box<PlanDrafts>),
    /// A way of drawing -> whether its law is the model's
    Verify(Box<Verify>),
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
            Language::Plan(args) => &args.run,
            Language::Verify(args) => &args.run,
            Language::Score(args) => &args.run,
            Language::Encode(args) => &args.run,
            Language::Decode(args) => &args.run,
            Language::Diversity(args) => &args.run,
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
            Language::Plan(args) => plan::run(args, terminal),
            Language::Verify(args) => verify::run(args, terminal),
            Language::Score(args) => score::run(args, terminal),
            Language::Encode(args) => encode::run(args, terminal),
            Language::Decode(args) => decode::run(args, terminal),
            Language::Diversity(args) => diversity::run(args),
            #[cfg(feature = "networks")]
            Language::Hyperfit(args) => hyperfit::run(args, terminal),
            #[cfg(feature = "networks")]
            Language::Align(args) => align::run(args, terminal),
            #[cfg(feature = "networks")]
            Language::SelfSample(args) => self_sample::run(args, terminal),
        })
    }
}
