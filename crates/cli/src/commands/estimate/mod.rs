//! `quadrat estimate`: one file an estimator.

mod design_file;
mod expect;
mod inductive_bias;
mod model;
mod pretrain_plan;
mod problem;
mod program;
mod simulator;
mod sobol;

use crate::args::Run;
use crate::output::Reply;
use clap::Subcommand;
use expect::Expectation;
use inductive_bias::{InductiveBias, Kind};
use pretrain_plan::PretrainPlan;
use quadrat::data::{ColumnType, Missing, Table};
use quadrat::{MOST_CLASSES, Progress, Result};
use sobol::Sobol;

#[derive(Subcommand, Debug)]
pub enum Estimate {
    /// Means and probabilities of a model's outputs under the laws of its inputs, with errors
    Expect(Expectation),
    /// Bits beyond the training set that generalising takes, within a space of hypotheses
    InductiveBias(InductiveBias),
    /// Whether pretraining on unlabelled rows saves labels, and whether more of them or more labels pay
    PretrainPlan(PretrainPlan),
    /// Sobol' indices of a model: which inputs its output's variance comes from, with errors
    Sobol(Sobol),
}

impl Estimate {
    /// Seed, threads and form of the answer.
    pub fn shared(&self) -> &Run {
        match self {
            Estimate::Expect(args) => &args.run,
            Estimate::InductiveBias(args) => &args.run,
            Estimate::PretrainPlan(args) => &args.run,
            Estimate::Sobol(args) => &args.run,
        }
    }
}

/// Runs the estimator that is named.
pub fn run(args: &Estimate, progress: &dyn Progress) -> Result<Reply> {
    match args {
        Estimate::Expect(args) => expect::run(args, progress),
        Estimate::InductiveBias(args) => inductive_bias::run(args, progress),
        Estimate::PretrainPlan(args) => pretrain_plan::run(args, progress),
        Estimate::Sobol(args) => sobol::run(args, progress),
    }
}

/// Whether a column to predict holds classes: as the user says, or else by its type.
fn has_classes(table: &Table, target: &str, task: Kind) -> Result<bool> {
    Ok(match (task, table.column(target)?.kind) {
        (Kind::Classification, _) => true,
        (Kind::Regression, _) => false,
        (Kind::Auto, ColumnType::Integer) => table.categories(target, Missing::Error)?.names.len() <= MOST_CLASSES,
        (Kind::Auto, kind) => kind != ColumnType::Float,
    })
}
