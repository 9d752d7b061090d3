//! The verbs that train, prune, fine-tune and ask networks: all that needs the network layer, which takes most of a first
//! build and is left out without the feature `networks`.

mod detection;
mod enlarge;
mod finetune;
mod impute;
mod judgement;
mod learned;
mod predict;
mod quantise;
mod series;
mod solve;
mod tickets;
mod train;

use super::with_terminal;
use crate::args::Run;
use crate::output::Reply;
use clap::Subcommand;
use enlarge::Enlarge;
use finetune::Apply;
use impute::Impute;
use predict::{Evaluate, Predict};
use quadrat::Result;
use quantise::Quantise;
use solve::Solve;
use tickets::Tickets;
use train::Train;

#[derive(Subcommand, Debug)]
pub enum Networks {
    /// A labelled file or images -> a model, trained with any of the training methods
    Train(Box<Train>),
    /// A network pruned round by round: what that costs on its own task and on a new one
    Tickets(Tickets),
    /// Images -> a small network with few bits that enlarges such images
    Quantise(Quantise),
    /// Images -> larger ones, by a network that `quantise` made
    Enlarge(Enlarge),
    /// The small change of a fine-tuning, put on a model or taken off exactly
    Apply(Apply),
    /// Rows or images -> the same with what a model says of them
    Predict(Predict),
    /// How good a model is on labelled rows or images
    Eval(Evaluate),
    /// Series with holes -> draws of what the holes may hold
    Impute(Impute),
    /// A differential equation -> its solution, by a network and points that move
    Solve(Box<Solve>),
}

impl Networks {
    /// As [`Command::shared`](super::Command).
    pub fn shared(&self) -> Option<&Run> {
        match self {
            Networks::Train(args) => Some(&args.run),
            Networks::Tickets(args) => Some(&args.run),
            Networks::Quantise(args) => Some(&args.run),
            Networks::Enlarge(args) => Some(&args.run),
            Networks::Predict(args) => Some(&args.run),
            Networks::Eval(args) => Some(&args.run),
            Networks::Impute(args) => Some(&args.run),
            Networks::Solve(args) => Some(&args.run),
            Networks::Apply(_) => None,
        }
    }

    pub fn wants_json(&self) -> bool {
        match self {
            Networks::Apply(apply) => apply.json,
            _ => self.shared().is_some_and(|run| run.json),
        }
    }

    pub fn run(&self, parameters: &[(String, String)]) -> Result<Reply> {
        match self {
            Networks::Train(args) => with_terminal(|terminal| train::run(args, parameters, terminal)),
            Networks::Tickets(args) => with_terminal(|terminal| tickets::run(args, terminal)),
            Networks::Quantise(args) => with_terminal(|terminal| quantise::run(args, terminal)),
            Networks::Enlarge(args) => with_terminal(|terminal| enlarge::run(args, terminal)),
            Networks::Apply(args) => finetune::apply(args),
            Networks::Predict(args) => with_terminal(|terminal| predict::run(args, terminal)),
            Networks::Eval(args) => with_terminal(|terminal| predict::evaluate(args, terminal)),
            Networks::Impute(args) => impute::run(args),
            Networks::Solve(args) => with_terminal(|terminal| solve::run(args, parameters, terminal)),
        }
    }
}
