//! `quadrat diffuse sample`: rows or a model of them -> new rows like them.

use super::form::{self, Form};
use super::model::{ModelOf, Opened, Spread};
use super::solver;
use super::steering::{Drawn, Steering, Way};
use crate::args::Run;
use crate::output::{Reply, check_out, check_place, count, figure, seconds, table};
use crate::report::{Block, Page, map, sheet};
use clap::Args;
use ndarray::Array2;
use quadrat::diffusion::{Plan, Schedule, Solver, integrate, noise};
use quadrat::{Choice, Error, Progress, Result, Seed, stats};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Instant;

#[derive(Args, Debug)]
pub struct DrawSamples {
    #[command(flatten)]
    pub model: ModelOf,
    /// With a model of classes: draw this one; with --method minority-guidance: rarest, commonest, or a number from 1 (common)
    #[arg(long, value_name = "NAME")]
    pub class: Option<String>,
    /// Rows to draw [default: with feynman-kac all particles, with their weights]
    #[arg(long, value_name = "N")]
    pub rows: Option<usize>,
    /// The solver [default: dpmpp-2m]
    #[arg(long, value_name = "NAME", value_parser = solver(), conflicts_with = "plan")]
    pub solver: Option<Solver>,
    /// Model calls of a row [default: 20, with svdd 50, with feynman-kac 200]
    #[arg(long, value_name = "N", conflicts_with = "plan")]
    pub steps: Option<usize>,
    /// Where the steps lie
    #[arg(long, value_enum, default_value_t = Spread::LogSnr, conflicts_with = "plan")]
    pub grid: Spread,
    /// A plan that `diffuse search` wrote
    #[arg(long, value_name = "FILE.json")]
    pub plan: Option<PathBuf>,
    #[command(flatten)]
    pub steering: Steering,
    /// Output file, whose ending chooses the format; - is standard output in the input's format, -.jsonl in another. Of images a folder
    /// of PNG files, or an .npz file
    #[arg(long, value_name = "FILE", allow_hyphen_values = true)]
    pub out: Option<PathBuf>,
    /// Write a self-contained HTML page about the run
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    pub run: Run,
}

/// Draws, writes the rows and says how they compare.
pub fn run(args: &DrawSamples, progress: &dyn Progress) -> Result<Reply> {
    let way = args.steering.method()?;
    match args.rows {
        Some(0) => return Err(Error::input("--rows", 0, "draw at least 1")),
        None if way != Some(Way::FeynmanKac) => return Err(Error::input("--rows", "nothing", "how many rows to draw")),
        _ => {}
    }
    args.report.as_deref().map_or(Ok(()), check_place)?;
    let class = args.class.as_deref().filter(|_| way != Some(Way::Minority));
    let opened = args.model.open(class, args.out.as_deref(), progress)?;
    if way.is_some() {
        opened.check_denoiser()?;
    }
    let check = if matches!(opened.form, Form::Images { .. }) { form::check_images } else { check_out };
    args.out.as_deref().map_or(Ok(()), check)?;
    let started = Instant::now();
    let seed = Seed(args.run.seed);
    let drawn = draw(args, way, &opened, seed, progress)?;
    let took = started.elapsed().as_secs_f64();
    let Drawn { how, more, .. } = &drawn;
    let more = more.as_ref().map(|(name, values)| (*name, &values[..]));
    if let Some(out) = &args.out {
        progress.begin("writing", None);
        opened.write(&drawn.rows, more, out)?;
    }
    let mut text = format!(
        "{} new {} after {} in {} (seed {})\n  {}{how}\n",
        count(drawn.rows.nrows()),
        if matches!(opened.form, Form::Images { .. }) { "images" } else { "rows" },
        opened.like(),
        seconds(took),
        args.run.seed,
        if opened.rows.is_some() { format!("{}; ", opened.what) } else { String::new() },
    );
    let rows = opened.form.unscaled(&drawn.rows);
    let lines = compared(&opened, &rows, more);
    text.push_str(&table(&lines, &[1, 2, 3, 4]));
    if let Some(path) = &args.report {
        let title = format!("{} new rows after {}", count(rows.nrows()), opened.like());
        let mut page = Page::new(title, "Samples drawn from noise through a model of what noised samples were.");
        page.blocks.push(Block::Facts(vec![
            ("Drawn by".into(), how.clone()),
            ("Model".into(), opened.what.clone()),
            ("Seed".into(), args.run.seed.to_string()),
            ("Time".into(), seconds(took)),
        ]));
        if let Form::Images { shape } = opened.form {
            page.section("Images", [sheet::of(&rows, shape)?]);
        } else {
            page.section("Columns", [Block::Table { rows: lines, right: vec![1, 2, 3, 4] }]);
            let old = opened.rows.as_ref().map(|old| opened.form.unscaled(&old.x));
            page.section("Map", map::of_new(old.as_ref().unwrap_or(&rows), &rows, seed)?);
        }
        page.finish(path, None)?;
    }
    let mut value = drawn.json;
    for (key, more) in [
        ("rows", json!(rows.nrows())),
        ("seed", json!(args.run.seed)),
        ("seconds", json!(took)),
        ("out", json!(args.out)),
        ("report", json!(args.report)),
    ] {
        value[key] = more;
    }
    for path in [&args.out, &args.report].into_iter().flatten() {
        text.push_str(&format!("wrote {}\n", path.display()));
    }
    if args.out.is_none() && args.report.is_none() {
        text.push_str("nothing was written: add --out FILE\n");
    }
    opened.tell(&mut text, &mut value);
    Ok(Reply::new(text, value))
}

/// The columns of new rows beside those of the old ones, or of what the model learnt from; nothing of images.
fn compared(opened: &Opened, rows: &Array2<f64>, more: form::Added) -> Vec<Vec<String>> {
    let Form::Table(columns) = &opened.form else { return Vec::new() };
    let weights = more.filter(|(name, _)| *name == "weight").map(|(_, weights)| weights);
    let mut lines = vec![["column", "mean", "new mean", "deviation", "new deviation"].map(str::to_owned).to_vec()];
    for (column, values) in columns.iter().zip(rows.columns()) {
        let (mean, deviation) = weighed(&values.to_vec(), weights);
        let figures = [column.mean, mean, column.deviation, deviation].map(figure);
        lines.push(std::iter::once(column.name.clone()).chain(figures).collect());
    }
    lines
}

/// Mean and standard deviation, of weighted rows those of their law.
fn weighed(values: &[f64], weights: Option<&[f64]>) -> (f64, f64) {
    let Some(weights) = weights else { return (stats::mean(values), stats::standard_deviation(values)) };
    let total: f64 = weights.iter().sum();
    let mean = values.iter().zip(weights).map(|(v, w)| v * w).sum::<f64>() / total;
    let variance = values.iter().zip(weights).map(|(v, w)| w * (v - mean) * (v - mean)).sum::<f64>() / total;
    (mean, variance.sqrt())
}

/// Draws, with a solver alone or steered.
fn draw(args: &DrawSamples, way: Option<Way>, opened: &Opened, seed: Seed, progress: &dyn Progress) -> Result<Drawn> {
    let (grid, rows) = (args.grid.into(), args.rows.unwrap_or_default());
    let plan = match (way, &args.plan) {
        (Some(Way::FeynmanKac), _) => {
            return args.steering.particles(opened, &grid, args.steps, args.rows, seed, progress);
        }
        (Some(Way::Svdd), _) => {
            return args.steering.rewarded(opened, &grid, args.steps.unwrap_or(50), rows, seed, progress);
        }
        #[cfg(feature = "networks")]
        (Some(Way::Minority), _) => return args.minority(opened, &grid, rows, seed, progress),
        #[cfg(not(feature = "networks"))]
        (Some(Way::Minority), _) => {
            return Err(Error::input("--method", "minority-guidance", "another: this build has no networks"));
        }
        (None, Some(path)) => read_plan(path, &opened.schedule)?,
        (None, None) => match &opened.plan {
            Some(own) if args.solver.is_none() && args.steps.is_none() => own.clone(),
            _ => {
                let solver = args.solver.unwrap_or(Solver::Dpmpp2m);
                solver.plan(opened.schedule.clone(), &grid, args.steps.unwrap_or(20))?
            }
        },
    };
    if let Some(own) = opened.plan.as_ref().filter(|own| **own != plan) {
        let got = format!("another one, of {} calls", plan.calls());
        let want = format!(
            "the plan of {} calls that the model was fine-tuned for: leave out --solver, --steps and --plan",
            own.calls()
        );
        return Err(Error::input("plan", got, want));
    }
    let start = noise(&plan, rows, opened.dims(), seed);
    let solver = match (&args.plan, &opened.plan) {
        (Some(path), _) => format!("the plan {}", path.display()),
        (None, Some(_)) => "the plan that the model was fine-tuned for".to_owned(),
        (None, None) => args.solver.unwrap_or(Solver::Dpmpp2m).name().to_owned(),
    };
    Ok(Drawn {
        rows: integrate(&plan, &*opened.denoiser, start, seed, progress)?,
        more: None,
        how: format!("{solver}, {} calls of the model each", plan.calls()),
        json: json!({ "solver": solver, "calls": plan.calls() }),
    })
}

/// A plan from a file, once it is clear that it can be run and is for this schedule.
fn read_plan(path: &Path, schedule: &Schedule) -> Result<Plan> {
    let text = crate::commands::work::text(path)?;
    let plan: Plan = serde_json::from_str(&text).map_err(|error| {
        Error::data(path.display().to_string(), error.line() as u64, format!("not a plan: {error}"))
    })?;
    plan.check()?;
    if plan.schedule != *schedule {
        let want = format!("the plan is for {:?}: give that one by --schedule", plan.schedule);
        return Err(Error::input("--plan", format!("the schedule {schedule:?}"), want));
    }
    Ok(plan)
}
