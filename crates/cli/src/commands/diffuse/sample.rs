//! `quadrat diffuse sample`: rows of numbers -> new rows like them, without training.

use super::points::{Opened, Points, Spread, solver};
use super::steering::{Drawn, Steering, Way};
use crate::args::Run;
use crate::output::{Reply, check_out, check_place, count, figure, seconds, table};
use crate::report::{Block, Page, map};
use clap::Args;
use quadrat::diffusion::{Plan, Solver, integrate, noise};
use quadrat::{Choice, Error, Progress, Result, Seed, stats};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Instant;

#[derive(Args, Debug)]
pub struct DrawSamples {
    #[command(flatten)]
    pub points: Points,
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
    /// Output file, whose ending chooses the format; - is standard output in the input's format, -.jsonl in another
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
    args.out.as_deref().map_or(Ok(()), check_out)?;
    args.report.as_deref().map_or(Ok(()), check_place)?;
    let opened = args.points.open(args.out.as_deref(), progress)?;
    let started = Instant::now();
    let seed = Seed(args.run.seed);
    let drawn = draw(args, way, &opened, seed, progress)?;
    let took = started.elapsed().as_secs_f64();
    let Drawn { how, more, .. } = &drawn;
    let rows = opened.unscaled(&drawn.rows);
    if let Some(out) = &args.out {
        progress.begin("writing", None);
        opened.write(&rows, more.as_ref().map(|(name, values)| (*name, &values[..])), out)?;
    }
    let mut text = format!(
        "{} new rows after {} of {} in {} (seed {})\n  a normal of {} standard deviations around each row; {how}\n",
        count(rows.nrows()),
        count(opened.x.nrows()),
        opened.input.name(),
        seconds(took),
        args.run.seed,
        figure(opened.width)
    );
    let old = opened.unscaled(&opened.x);
    let weights = more.as_ref().filter(|(name, _)| *name == "weight").map(|(_, weights)| &weights[..]);
    let mut lines = vec![["column", "mean", "new mean", "deviation", "new deviation"].map(str::to_owned).to_vec()];
    for (column, name) in opened.columns.iter().enumerate() {
        let [old, new] = [&old, &rows].map(|x| x.column(column).to_vec());
        let (new_mean, new_deviation) = weighed(&new, weights);
        let means = [stats::mean(&old), new_mean];
        let deviations = [stats::standard_deviation(&old), new_deviation];
        let figures = means.into_iter().chain(deviations).map(figure);
        lines.push(std::iter::once(name.clone()).chain(figures).collect());
    }
    text.push_str(&table(&lines, &[1, 2, 3, 4]));
    if let Some(path) = &args.report {
        let title = format!("{} new rows after {}", count(rows.nrows()), opened.input.name());
        let mut page =
            Page::new(title, "Rows drawn from noise through the exact denoiser of a normal around each row.");
        page.blocks.push(Block::Facts(vec![
            ("Drawn by".into(), how.clone()),
            ("Width of the normals".into(), format!("{} standard deviations", figure(opened.width))),
            ("Seed".into(), args.run.seed.to_string()),
            ("Time".into(), seconds(took)),
        ]));
        page.section("Columns", [Block::Table { rows: lines, right: vec![1, 2, 3, 4] }]);
        page.section("Map", map::of_new(&old, &rows, seed)?);
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
        (None, Some(path)) => read_plan(path, &args.points)?,
        (None, None) => {
            let solver = args.solver.unwrap_or(Solver::Dpmpp2m);
            solver.plan(opened.schedule.clone(), &grid, args.steps.unwrap_or(20))?
        }
    };
    let start = noise(&plan, rows, opened.columns.len(), seed);
    let solver = match &args.plan {
        Some(path) => format!("the plan {}", path.display()),
        None => args.solver.unwrap_or(Solver::Dpmpp2m).name().to_owned(),
    };
    Ok(Drawn {
        rows: integrate(&plan, &opened.denoiser, start, seed, progress)?,
        more: None,
        how: format!("{solver}, {} calls of the model each", plan.calls()),
        json: json!({ "solver": solver, "calls": plan.calls() }),
    })
}

/// A plan from a file, once it is clear that it can be run and is for this schedule.
fn read_plan(path: &Path, points: &Points) -> Result<Plan> {
    let text = crate::commands::work::text(path)?;
    let plan: Plan = serde_json::from_str(&text).map_err(|error| {
        Error::data(path.display().to_string(), error.line() as u64, format!("not a plan: {error}"))
    })?;
    plan.check()?;
    let schedule = points.schedule.into();
    if plan.schedule != schedule {
        let want = format!("the plan is for {:?}: give that one by --schedule", plan.schedule);
        return Err(Error::input("--plan", format!("the schedule {schedule:?}"), want));
    }
    Ok(plan)
}
