//! `quadrat retrieve`: find rows, and measure how well.

mod compare;
mod compose;
mod describe;
mod documents;
#[cfg(feature = "networks")]
mod embed;
mod eval;
mod index;
mod judging;
mod mine;
mod opened;
mod recommender;
mod rewriter;
mod search;
mod size;
mod train;
mod weighed;

use super::with_terminal;
use crate::args::Run;
use crate::output::Reply;
use clap::Subcommand;
use compare::Compare;
use compose::Compose;
use describe::DescribeRows;
#[cfg(feature = "networks")]
use embed::Embed;
use eval::Eval;
use index::{Add, Delete, MakeIndex};
use mine::Mine;
use quadrat::Result;
use recommender::Recommend;
use search::SearchIndex;
use train::TrainRetriever;

/// Find the documents that a question asks for: index, search, measure
#[derive(Subcommand, Debug)]
pub enum Retrieve {
    /// Documents -> an index that finds them
    Index(Box<MakeIndex>),
    /// More documents into an index
    Add(Add),
    /// Documents out of an index
    Delete(Delete),
    /// Questions -> the documents that answer them, best first
    Search(SearchIndex),
    /// Texts -> a vector each, by a sentence encoder
    #[cfg(feature = "networks")]
    Embed(Embed),
    /// Questions and their relevant documents -> documents that look relevant and are not, to train on
    Mine(Mine),
    /// What was asked and what answers it -> what ranks: encoders, weights of words, rewriters of queries, recommenders
    Train(Box<TrainRetriever>),
    /// A user -> the items that he or she will like, best first
    Recommend(Recommend),
    /// Queries with words, or their targets -> vectors, by an encoder of yours
    Compose(Compose),
    /// Tags -> a sentence each, to train on
    Describe(DescribeRows),
    /// A run and judgements -> how good the run is
    Eval(Eval),
    /// Runs and judgements -> which run is better, and whether by more than chance
    Compare(Compare),
}

impl Retrieve {
    /// As [`Command::shared`](super::Command).
    pub fn shared(&self) -> &Run {
        match self {
            Retrieve::Index(args) => &args.run,
            Retrieve::Add(args) => &args.run,
            Retrieve::Delete(args) => &args.run,
            Retrieve::Search(args) => &args.run,
            #[cfg(feature = "networks")]
            Retrieve::Embed(args) => &args.run,
            Retrieve::Mine(args) => &args.run,
            Retrieve::Train(args) => &args.run,
            Retrieve::Recommend(args) => &args.run,
            Retrieve::Compose(args) => &args.run,
            Retrieve::Describe(args) => &args.run,
            Retrieve::Eval(args) => &args.run,
            Retrieve::Compare(args) => &args.run,
        }
    }

    pub fn run(&self) -> Result<Reply> {
        with_terminal(|terminal| match self {
            Retrieve::Index(args) => index::make(args, terminal),
            Retrieve::Add(args) => index::add(args, terminal),
            Retrieve::Delete(args) => index::delete(args),
            Retrieve::Search(args) => search::run(args, terminal),
            #[cfg(feature = "networks")]
            Retrieve::Embed(args) => embed::run(args, terminal),
            Retrieve::Mine(args) => mine::run(args, terminal),
            Retrieve::Train(args) => train::run(args, terminal),
            Retrieve::Recommend(args) => recommender::run(args, terminal),
            Retrieve::Compose(args) => compose::run(args),
            Retrieve::Describe(args) => describe::run(args),
            Retrieve::Eval(args) => eval::run(args, terminal),
            Retrieve::Compare(args) => compare::run(args, terminal),
        })
    }
}
