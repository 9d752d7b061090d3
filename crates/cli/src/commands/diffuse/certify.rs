//! `quadrat diffuse certify`: a solver against laws that are known.

use super::solver;
use crate::args::Run;
use crate::output::{Reply, figure, json, seconds, table};
use clap::Args;
use quadrat::diffusion::Solver;
use quadrat::diffusion::certify::certify;
use quadrat::{Choice, Progress, Result, Seed};
use std::time::Instant;

#[derive(Args, Debug)]
pub struct CertifySolver {
    /// The solver
    #[arg(long, value_name = "NAME", value_parser = solver())]
    pub solver: Solver,
    #[command(flatten)]
    pub run: Run,
}

/// Certifies. The exit code is 0 when all holds and 1 when something does not.
pub fn run(args: &CertifySolver, progress: &dyn Progress) -> Result<Reply> {
    let started = Instant::now();
    let certificate = certify(args.solver, Seed(args.run.seed), progress)?;
    let took = started.elapsed().as_secs_f64();
    let mut lines = vec![["law", "measured", "allowed", "holds"].map(str::to_owned).to_vec()];
    for item in &certificate.items {
        let holds = if item.holds() { "yes" } else { "no" };
        let allowed = format!("{} to {}", figure(item.allowed[0]), figure(item.allowed[1]));
        lines.push(vec![item.law.clone(), figure(item.measured), allowed, holds.to_owned()]);
    }
    let held = certificate.items.iter().filter(|item| item.holds()).count();
    let mut text = table(&lines, &[1, 2]);
    text.push_str(&format!(
        "{}: {held} of {} laws hold, in {}\n",
        args.solver.name(),
        certificate.items.len(),
        seconds(took)
    ));
    let mut value = json(&certificate)?;
    value["certified"] = certificate.certified().into();
    value["seconds"] = took.into();
    Ok(Reply { text, json: value, code: u8::from(!certificate.certified()) })
}
