//! `quadrat diffuse finetune`: a model and rows -> the model for one solver of few steps.

use super::model::Spread;
use super::network::Kept;
use super::points::Points;
use super::solver;
use crate::args::Run;
use crate::output::{Reply, check_place, count, figure, json, seconds};
use crate::parameters::with_parameters;
use crate::report::{Block, Page, svg};
use clap::Args;
use quadrat::diffusion::mmd::{Identity, MmdFinetune};
use quadrat::diffusion::{Schedule, Solver};
use quadrat::{
    Choice, Error, Method, Plot, Progress, Result, Seed, Series, Settings, check_vacant, write_atomic_folder,
};
use serde_json::json as object;
use std::path::PathBuf;
use std::time::Instant;

#[derive(Args, Debug)]
pub struct FinetuneModel {
    /// Folder that `diffuse train` made
    #[arg(long, value_name = "FOLDER")]
    pub model: PathBuf,
    #[command(flatten)]
    pub points: Points,
    /// How it is fine-tuned
    #[arg(long, value_name = "mmd[:KEY=VALUE,...]", default_value = "mmd")]
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
    /// Folder for the new model, which draws by this solver alone
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    /// Write a self-contained HTML page about the run
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    pub run: Run,
}

/// Fine-tunes, and writes the model with its plan.
pub fn run(args: &FinetuneModel, progress: &dyn Progress) -> Result<Reply> {
    check_vacant(&args.out)?;
    args.report.as_deref().map_or(Ok(()), check_place)?;
    let (name, own) = with_parameters("--method", &args.method)?;
    if !MmdFinetune::CARD.is_called(name) {
        return Err(Error::input("--method", format!("`{name}`"), "mmd"));
    }
    let settings = MmdFinetune::from_params(&own.into_iter().collect())?;
    let (denoiser, kept) = Kept::load(&args.model)?;
    let rows = kept.rows(&args.points, None, progress)?;
    let [low, high] = Schedule::edm().times();
    let schedule = Schedule::Exploding { sigma: [low.max(denoiser.purpose().least), high] };
    let plan = args.solver.plan(schedule, &args.grid.into(), args.steps)?;
    let started = Instant::now();
    let found = settings.fit(&denoiser, &plan, &Identity, rows.x.view(), Seed(args.run.seed), progress)?;
    let took = started.elapsed().as_secs_f64();
    let kept = Kept { plan: Some(found.plan.clone()), ..kept };
    write_atomic_folder(&args.out, |folder| kept.save(&found.denoiser, folder))?;
    let looks = [found.looks.first(), found.looks.get(found.best)].map(|look| look.copied().unwrap_or(f64::NAN));
    let mut text = format!(
        "{}: {} for {} with {} calls, in {} (seed {})\n  distance to rows held back {} before, {} after; samples from the same noise moved \
         by {} of a deviation\n",
        MmdFinetune::CARD.slug,
        args.model.display(),
        args.solver.name(),
        count(plan.calls()),
        seconds(took),
        args.run.seed,
        figure(looks[0]),
        figure(looks[1]),
        figure(found.drift)
    );
    if found.best == 0 {
        text.push_str("  no step was better than the model as it was: that is what was kept\n");
    }
    if let Some(path) = &args.report {
        let mut page = Page::new(format!("A model for {} calls", plan.calls()), MmdFinetune::CARD.summary);
        let every = settings.every as f64;
        let points = found.looks.iter().enumerate().map(|(i, v)| [i as f64 * every, *v, *v, *v]);
        let plot = Plot {
            title: "How far samples are from rows held back".into(),
            x: "steps of training".into(),
            y: "distance".into(),
            log_x: false,
            log_y: false,
            series: vec![Series { name: "held back".into(), points: points.collect() }],
        };
        let caption = "Not the kernel that is trained by; the least is kept.".into();
        page.section("Fine-tuning", [Block::Figure { drawing: svg::curves(&plot)?, caption }]);
        page.finish(path, Some(&MmdFinetune::CARD))?;
    }
    let mut value = object!({
        "method": MmdFinetune::CARD.slug,
        "solver": args.solver.name(),
        "calls": plan.calls(),
        "plan": json(&found.plan)?,
        "held_back_before": looks[0],
        "held_back": looks[1],
        "looks": found.looks,
        "drift": found.drift,
        "seed": args.run.seed,
        "seconds": took,
        "out": args.out,
        "report": args.report,
    });
    text.push_str(&format!("wrote {}\n", args.out.display()));
    rows.tell(&mut text, &mut value);
    Ok(Reply::new(text, value))
}
