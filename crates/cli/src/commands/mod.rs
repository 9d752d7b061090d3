//! The list of verbs. One file a verb: its options; open, build, run, write, report.

mod allocate;
mod ask;
mod audit;
mod balance;
mod certify;
mod check;
mod compare;
mod data;
#[cfg(feature = "networks")]
mod denoise;
mod diffuse;
mod encoder;
mod estimate;
mod held_back;
mod holdout;
mod language;
mod levels;
mod line_program;
mod list;
#[cfg(feature = "networks")]
mod networks;
mod nufft;
mod order;
mod reconstruct;
mod retrieve;
mod roles;
mod sample;
mod select;
mod serve;
mod show;
mod split;
mod word_encoder;
mod work;

use crate::args::Run;
use crate::output::Reply;
use crate::terminal::Terminal;
use allocate::Allocate;
use ask::Ask;
use audit::Audit;
use balance::Balance;
use check::Check;
use clap::{Parser, Subcommand};
use compare::Compare;
use data::Data;
#[cfg(feature = "networks")]
use denoise::Denoise;
use diffuse::Diffuse;
use estimate::Estimate;
use holdout::Holdout;
use language::Language;
use levels::Levels;
use list::List;
#[cfg(feature = "networks")]
use networks::Networks;
use nufft::FourierAnywhere;
use order::Order;
use quadrat::Result;
use reconstruct::Reconstructing;
use retrieve::Retrieve;
use sample::Sample;
use select::Select;
use serve::Serve;
use show::Show;
pub use show::parameters;
use split::SplitFile;

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
    /// A labelled file -> which trouble it has, and which command mends it
    Audit(Audit),
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
    #[command(subcommand)]
    Language(Language),
    #[command(subcommand)]
    Levels(Levels),
    #[command(subcommand)]
    Diffuse(Diffuse),
    #[command(subcommand)]
    Retrieve(Retrieve),
    /// Samples of k-space -> the image, by a method without training or a network; `train`: images -> the network
    Reconstruct(Box<Reconstructing>),
    /// An image -> its Fourier transform at any frequencies, and back by the adjoint
    Nufft(FourierAnywhere),
    /// A noisy photograph -> a clean one, by what is learnt from noisy ones alone
    #[cfg(feature = "networks")]
    Denoise(Denoise),
    /// Twenty questions on a table of items: asks, hears yes or no, and says which item it is
    Ask(Ask),
    #[cfg(feature = "networks")]
    #[command(flatten)]
    Networks(Networks),
    /// Re-run the claim of a method's paper, or certify a program; exit code 0: holds, 1: does not hold or inconclusive, 2: error
    Check(Check),
    /// The catalogue as a page in the browser: search, read, run, compare
    Serve(Serve),
}

impl Command {
    /// Seed, threads and form of the answer, of the verbs that compute something.
    fn shared(&self) -> Option<&Run> {
        match self {
            Command::Audit(args) => Some(&args.run),
            Command::Select(args) => Some(&args.work.run),
            Command::Balance(args) => Some(&args.work.run),
            Command::Sample(args) => Some(&args.work.run),
            Command::Split(args) => Some(&args.run),
            Command::Order(args) => Some(&args.run),
            Command::Allocate(args) => Some(&args.run),
            Command::Compare(args) => Some(&args.run),
            Command::Ask(args) => Some(&args.run),
            Command::Check(args) => Some(&args.run),
            Command::Reconstruct(args) => Some(args.shared()),
            Command::Nufft(args) => Some(&args.run),
            #[cfg(feature = "networks")]
            Command::Networks(networks) => networks.shared(),
            Command::Estimate(args) => Some(args.shared()),
            Command::Language(args) => Some(args.shared()),
            Command::Levels(args) => Some(args.shared()),
            Command::Diffuse(args) => Some(args.shared()),
            Command::Retrieve(args) => Some(args.shared()),
            #[cfg(feature = "networks")]
            Command::Denoise(args) => Some(&args.run),
            Command::List(_) | Command::Show(_) | Command::Data(_) | Command::Holdout(_) | Command::Serve(_) => None,
        }
    }

    /// Whether to print JSON.
    pub fn wants_json(&self) -> bool {
        match self {
            Command::List(List { json, .. })
            | Command::Show(Show { json, .. })
            | Command::Data(Data::List { json } | Data::Show { json, .. } | Data::Convert { json, .. }) => *json,
            #[cfg(feature = "networks")]
            Command::Networks(networks) => networks.wants_json(),
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
            Command::Audit(args) => with_terminal(|terminal| audit::run(args, terminal)),
            Command::Select(args) => with_terminal(|terminal| select::run(args, parameters, terminal)),
            Command::Balance(args) => with_terminal(|terminal| balance::run(args, parameters, terminal)),
            Command::Sample(args) => with_terminal(|terminal| sample::run(args, parameters, terminal)),
            Command::Split(args) => with_terminal(|terminal| split::run(args, terminal)),
            Command::Order(args) => with_terminal(|terminal| order::run(args, parameters, terminal)),
            Command::Allocate(args) => with_terminal(|terminal| allocate::run(args, terminal)),
            Command::Compare(args) => with_terminal(|terminal| compare::run(args, terminal)),
            Command::Holdout(args) => holdout::run(args),
            Command::Estimate(args) => with_terminal(|terminal| estimate::run(args, terminal)),
            Command::Language(args) => args.run(),
            Command::Levels(args) => args.run(),
            Command::Diffuse(args) => args.run(),
            Command::Retrieve(args) => args.run(),
            Command::Reconstruct(args) => with_terminal(|terminal| args.run(parameters, terminal)),
            Command::Nufft(args) => with_terminal(|terminal| nufft::run(args, terminal)),
            #[cfg(feature = "networks")]
            Command::Denoise(args) => with_terminal(|terminal| denoise::run(args, parameters, terminal)),
            Command::Ask(args) if args.train.is_some() => with_terminal(|terminal| ask::train(args, terminal)),
            Command::Ask(args) => ask::play(args),
            #[cfg(feature = "networks")]
            Command::Networks(networks) => networks.run(parameters),
            Command::Check(args) => with_terminal(|terminal| check::run(args, terminal)),
            Command::Serve(args) => serve::run(args),
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
