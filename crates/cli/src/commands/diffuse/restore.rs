//! `quadrat diffuse restore`: conditions -> the rows that belong to them, all from one start that was chosen once.

use super::model::Spread;
use super::network::Kept;
use super::points::Points;
use super::solver;
use crate::args::Run;
use crate::commands::work;
use crate::output::{Reply, check_out, check_place, count, figure, json, seconds};
use crate::parameters::with_parameters;
use crate::reading::Reading;
use clap::Args;
use quadrat::data::{Values, write_selection};
use quadrat::diffusion::boundary::{BoundaryCondition, BoundarySearch, Conditional, Pairs};
use quadrat::diffusion::minority::Distance;
use quadrat::diffusion::{NetworkDenoiser, Schedule, Solver};
use quadrat::{Choice, Error, Method, Progress, Result, Seed, Settings, write_atomic_bytes};
use serde_json::json as object;
use std::path::PathBuf;
use std::time::Instant;

#[derive(Args, Debug)]
pub struct RestoreRows {
    /// Folder that `diffuse train --conditions` made
    #[arg(long, value_name = "FOLDER")]
    pub model: PathBuf,
    /// Rows whose conditions and true values are both known, to choose the start by; 20 or more
    #[arg(long, value_name = "FILE", required_unless_present = "start")]
    pub pairs: Option<String>,
    /// How it is chosen
    #[arg(
        long,
        value_name = "optimal-boundary-conditions[:KEY=VALUE,...]",
        default_value = "optimal-boundary-conditions"
    )]
    pub method: String,
    /// The solver
    #[arg(long, value_name = "NAME", value_parser = solver(), default_value = "ddim")]
    pub solver: Solver,
    /// Model calls of a row
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub steps: usize,
    /// Where the steps lie
    #[arg(long, value_enum, default_value_t = Spread::LogSnr)]
    pub grid: Spread,
    /// The chosen start: written with --pairs, read without, with the solver that it was chosen for
    #[arg(long, value_name = "FILE.json")]
    pub start: Option<PathBuf>,
    /// Rows with the columns of the conditions
    #[arg(long = "in", value_name = "FILE")]
    pub input: String,
    #[command(flatten)]
    pub reading: Reading,
    /// The rows with the restored columns; the ending chooses the format
    #[arg(long, value_name = "FILE", allow_hyphen_values = true)]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub run: Run,
}

impl RestoreRows {
    fn points(&self, input: &str) -> Points {
        Points { input: Some(input.to_owned()), features: Vec::new(), reading: self.reading.clone() }
    }
}

/// Chooses the start, or takes the one that was chosen, and restores.
pub fn run(args: &RestoreRows, progress: &dyn Progress) -> Result<Reply> {
    args.out.as_deref().map_or(Ok(()), check_out)?;
    let (denoiser, kept) = Kept::load(&args.model)?;
    let given = kept.told(&args.points(&args.input), progress)?;
    let started = Instant::now();
    let (chosen, mut text) = match &args.pairs {
        Some(pairs) => choose(args, pairs, (&denoiser, &kept), progress)?,
        None => (read(args)?, String::new()),
    };
    progress.begin("restoring", None);
    let (rows, _) = chosen.solve(&denoiser, &chosen.plan, given.x.view(), progress)?;
    let rows = kept.form.unscaled(&rows);
    let took = started.elapsed().as_secs_f64();
    let names = kept.form.names();
    if let Some(out) = &args.out {
        let columns = names.iter().zip(rows.columns());
        let columns: Vec<_> = columns.map(|(name, v)| (name.clone(), Values::Float(v.to_vec()))).collect();
        write_selection(&given.input, &(0..rows.nrows()).collect::<Vec<_>>(), &columns, out)?;
    }
    let said = format!(
        "{} rows of {} restored ({}), {} calls of the model each, in {}\n",
        count(rows.nrows()),
        args.input,
        names.join(", "),
        chosen.plan.calls(),
        seconds(took)
    );
    text.insert_str(0, &said);
    match &args.out {
        Some(out) => text.push_str(&format!("wrote {}\n", out.display())),
        None => text.push_str("nothing was written: add --out FILE\n"),
    }
    let mut value = object!({
        "method": BoundarySearch::CARD.slug,
        "rows": rows.nrows(),
        "restored": names,
        "calls": chosen.plan.calls(),
        "start": json(&chosen)?,
        "seed": args.run.seed,
        "seconds": took,
        "out": args.out,
    });
    given.tell(&mut text, &mut value);
    Ok(Reply::new(text, value))
}

/// The start that is best on the pairs.
fn choose(
    args: &RestoreRows,
    pairs: &str,
    (denoiser, kept): (&NetworkDenoiser, &Kept),
    progress: &dyn Progress,
) -> Result<(BoundaryCondition, String)> {
    args.start.as_deref().map_or(Ok(()), check_place)?;
    let (name, own) = with_parameters("--method", &args.method)?;
    if !BoundarySearch::CARD.is_called(name) {
        return Err(Error::input("--method", format!("`{name}`"), "optimal-boundary-conditions"));
    }
    let search = BoundarySearch::from_params(&own.into_iter().collect())?;
    let points = args.points(pairs);
    let [clean, told] = [kept.rows(&points, None, progress)?, kept.told(&points, progress)?];
    let [low, high] = Schedule::edm().times();
    let schedule = Schedule::Exploding { sigma: [low.max(denoiser.purpose().least), high] };
    let plan = args.solver.plan(schedule, &args.grid.into(), args.steps)?;
    let both = Pairs { clean: clean.x.view(), conditions: told.x.view() };
    let found = search.fit(denoiser as &dyn Conditional, &plan, both, Distance::L2, Seed(args.run.seed), progress)?;
    let middle = quadrat::stats::median(&found.scores);
    let mut text = format!(
        "  start {} of {} by {} with {} calls: mean distance {} on the pairs, where the middle one has {}\n",
        count(found.index + 1),
        count(found.scores.len()),
        args.solver.name(),
        plan.calls(),
        figure(found.score),
        figure(middle)
    );
    if let Some(warning) = &found.warning {
        text.push_str(&crate::output::wrap(warning, 2, 100));
    }
    if let Some(path) = &args.start {
        write_atomic_bytes(path, format!("{}\n", json(&found)?).as_bytes())?;
        text.push_str(&format!("wrote {}\n", path.display()));
    }
    Ok((found, text))
}

/// A start from a file.
fn read(args: &RestoreRows) -> Result<BoundaryCondition> {
    let Some(path) = &args.start else {
        return Err(Error::input(
            "--pairs",
            "nothing",
            "rows to choose a start by, or --start with one that was chosen",
        ));
    };
    let wrong = |e: serde_json::Error| {
        Error::data(path.display().to_string(), e.line() as u64, format!("not a start of `diffuse restore`: {e}"))
    };
    serde_json::from_str(&work::text(path)?).map_err(wrong)
}
