//! The list of verbs. One file a verb: its options; open, build, run, write, report.

mod allocate;
mod ask;
mod balance;
mod check;
mod compare;
mod data;
mod enlarge;
mod estimate;
mod finetune;
mod held_back;
mod holdout;
mod judgement;
mod learned;
mod list;
mod order;
mod predict;
mod quantise;
mod roles;
mod sample;
mod select;
mod show;
mod split;
mod tickets;
mod train;
mod work;

use crate::args::Run;
use crate::output::Reply;
use crate::terminal::Terminal;
use allocate::Allocate;
use ask::Ask;
use balance::Balance;
use check::Check;
use clap::{Parser, Subcommand};
use compare::Compare;
use data::Data;
use enlarge::Enlarge;
use estimate::Estimate;
use finetune::Apply;
use holdout::Holdout;
use list::List;
use order::Order;
use predict::{Evaluate, Predict};
use quadrat::Result;
use quantise::Quantise;
use sample::Sample;
use select::Select;
use show::Show;
pub use show::parameters;
use split::SplitFile;
use tickets::Tickets;
use train::Train;

/// Choose, make and check samples.
#[derive(Parser, Debug)]
#[command(name = "quadrat", version, arg_required_else_help = true, disable_help_subcommand = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// The catalogue of methods, searched in your own words
    List(List),
    /// A method's card: what it does, parameters, cost, paper, last result of its claim
    Show(Show),
    /// The built-in data sets, what a file holds, or the file in another format
    #[command(subcommand)]
    Data(Data),
    /// Rows of a file -> a subset, with weights where the method defines them
    Select(Select),
    /// A labelled file -> a file whose classes are balanced
    Balance(Balance),
    /// Rows of numbers -> new rows from the law that a method learns of them
    Sample(Sample),
    /// A file -> training sets with test sets near them (interpolation) and far from them (extrapolation)
    Split(SplitFile),
    /// A stream of row numbers for a trainer: another part of the rows in every epoch
    Order(Order),
    /// Labelled rows of many tasks -> how many to buy of each source task for the good of one target task
    Allocate(Allocate),
    /// The selectors against each other and against random, on your data
    Compare(Compare),
    #[command(subcommand)]
    Holdout(Holdout),
    /// Numbers with their errors: which inputs a model's variance comes from, how hard a task is to generalise on
    #[command(subcommand)]
    Estimate(Estimate),
    /// Twenty questions on a table of items: asks, hears yes or no, and says which item it is
    Ask(Ask),
    /// A labelled file or images -> a model, trained with any of the training methods
    Train(Train),
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
    /// Re-run the claim of a method's paper; exit code 0: holds, 1: does not hold or inconclusive, 2: error
    Check(Check),
}

impl Command {
    /// Seed, threads and form of the answer, of the verbs that compute something.
    fn shared(&self) -> Option<&Run> {
        match self {
            Command::Select(args) => Some(&args.work.run),
            Command::Balance(args) => Some(&args.work.run),
            Command::Sample(args) => Some(&args.work.run),
            Command::Split(args) => Some(&args.run),
            Command::Order(args) => Some(&args.run),
            Command::Allocate(args) => Some(&args.run),
            Command::Compare(args) => Some(&args.run),
            Command::Ask(args) => Some(&args.run),
            Command::Train(args) => Some(&args.run),
            Command::Tickets(args) => Some(&args.run),
            Command::Quantise(args) => Some(&args.run),
            Command::Enlarge(args) => Some(&args.run),
            Command::Predict(args) => Some(&args.run),
            Command::Eval(args) => Some(&args.run),
            Command::Check(args) => Some(&args.run),
            Command::Estimate(args) => Some(args.shared()),
            Command::List(_) | Command::Show(_) | Command::Data(_) | Command::Holdout(_) | Command::Apply(_) => None,
        }
    }

    /// Whether to print JSON.
    pub fn wants_json(&self) -> bool {
        match self {
            Command::List(List { json, .. })
            | Command::Show(Show { json, .. })
            | Command::Data(Data::List { json } | Data::Show { json, .. } | Data::Convert { json, .. }) => *json,
            Command::Apply(apply) => apply.json,
            Command::Holdout(holdout) => holdout.wants_json(),
            _ => self.shared().is_some_and(|run| run.json),
        }
    }

    /// How many threads to use, where the user says so.
    pub fn threads(&self) -> Option<usize> {
        self.shared().and_then(|run| run.threads)
    }

    /// Does what the verb says; `parameters` are its method's.
    pub fn run(&self, parameters: &[(String, String)]) -> Result<Reply> {
        match self {
            Command::List(args) => list::run(args),
            Command::Show(args) => show::run(args),
            Command::Data(args) => data::run(args),
            Command::Select(args) => with_terminal(|terminal| select::run(args, parameters, terminal)),
            Command::Balance(args) => with_terminal(|terminal| balance::run(args, parameters, terminal)),
            Command::Sample(args) => with_terminal(|terminal| sample::run(args, parameters, terminal)),
            Command::Split(args) => with_terminal(|terminal| split::run(args, terminal)),
            Command::Order(args) => with_terminal(|terminal| order::run(args, parameters, terminal)),
            Command::Allocate(args) => with_terminal(|terminal| allocate::run(args, terminal)),
            Command::Compare(args) => with_terminal(|terminal| compare::run(args, terminal)),
            Command::Holdout(args) => holdout::run(args),
            Command::Estimate(args) => with_terminal(|terminal| estimate::run(args, terminal)),
            Command::Ask(args) if args.train.is_some() => with_terminal(|terminal| ask::train(args, terminal)),
            Command::Ask(args) => ask::play(args),
            Command::Train(args) => with_terminal(|terminal| train::run(args, parameters, terminal)),
            Command::Tickets(args) => with_terminal(|terminal| tickets::run(args, terminal)),
            Command::Quantise(args) => with_terminal(|terminal| quantise::run(args, terminal)),
            Command::Enlarge(args) => with_terminal(|terminal| enlarge::run(args, terminal)),
            Command::Apply(args) => finetune::apply(args),
            Command::Predict(args) => with_terminal(|terminal| predict::run(args, terminal)),
            Command::Eval(args) => with_terminal(|terminal| predict::evaluate(args, terminal)),
            Command::Check(args) => with_terminal(|terminal| check::run(args, terminal)),
        }
    }
}

/// Runs a long job with a progress bar that is gone afterwards.
fn with_terminal(job: impl FnOnce(&Terminal) -> Result<Reply>) -> Result<Reply> {
    let terminal = Terminal::open()?;
    let reply = job(&terminal);
    terminal.clear();
    reply
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }
}
