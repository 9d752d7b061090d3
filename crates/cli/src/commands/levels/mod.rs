//! `quadrat levels`: the environments that an agent is trained on.

mod generate;
mod maps;
mod play;
mod requests;
mod sample;

use super::with_terminal;
use crate::args::Run;
use crate::output::Reply;
use clap::Subcommand;
use generate::GenerateLevels;
use play::PlayLevel;
use quadrat::Result;
use sample::SampleLevels;

/// Levels of reinforcement learning: which to play next, new ones like yours, and a walk through one
#[derive(Subcommand, Debug)]
pub enum Levels {
    /// A folder of levels -> which to play next, for a trainer that says how each went: JSON lines on standard input and output
    Sample(Box<SampleLevels>),
    /// A folder of maps -> new maps like them that can be solved
    Generate(Box<GenerateLevels>),
    /// A map -> a walk through it, by keys
    Play(PlayLevel),
}

impl Levels {
    /// As [`Command::shared`](super::Command).
    pub fn shared(&self) -> &Run {
        match self {
            Levels::Sample(args) => &args.run,
            Levels::Generate(args) => &args.run,
            Levels::Play(args) => &args.run,
        }
    }

    pub fn run(&self) -> Result<Reply> {
        match self {
            Levels::Sample(args) => sample::run(args),
            Levels::Generate(args) => with_terminal(|terminal| generate::run(args, terminal)),
            Levels::Play(args) => play::run(args),
        }
    }
}
