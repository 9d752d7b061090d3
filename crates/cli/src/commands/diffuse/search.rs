//! `quadrat diffuse search`: a model and a number of its calls -> the solver that draws best with so many.

use super::model::ModelOf;
use crate::args::Run;
use crate::output::{self, Reply, check_place, count, figure, json, seconds, table};
use crate::parameters::Declared;
use crate::report::{Block, Page, svg};
use clap::Args;
use quadrat::diffusion::{Corrector, EndPoints, First, Form, Plan, Relaxation, Scored, SolverSearch, named_plans};
use quadrat::{Error, Method, Plot, Progress, Result, Seed, Series};
use serde_json::json as object;
use std::path::PathBuf;
use std::time::Instant;

#[derive(Args, Debug)]
pub struct SearchSolver {
    #[command(flatten)]
    pub model: ModelOf,
    #[command(flatten)]
    pub search: Declared<SolverSearch>,
    /// Noises from which plans are scored; as many fresh ones say how good the best is
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub noises: usize,
    /// Write the best plan, for `diffuse sample --plan`
    #[arg(long, value_name = "FILE.json")]
    pub out: Option<PathBuf>,
    /// Write a self-contained HTML page about the search
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    pub run: Run,
}

/// Searches, scores the best again on fresh noises, and writes the plan.
pub fn run(args: &SearchSolver, progress: &dyn Progress) -> Result<Reply> {
    let settings = args.search.settings()?;
    if args.noises == 0 {
        return Err(Error::input("--noises", 0, "at least 1"));
    }
    for path in [&args.out, &args.report].into_iter().flatten() {
        check_place(path)?;
    }
    let opened = args.model.open(None, None, progress)?;
    opened.check_denoiser()?;
    let started = Instant::now();
    let seed = Seed(args.run.seed);
    let schedule = &opened.schedule;
    let fit = EndPoints::new(&*opened.denoiser, schedule, args.noises, seed.stream("fit"))?;
    let mean = vec![0.0; opened.dims()];
    let found = settings.search(schedule, Some(&mean), &|plan| fit.score(plan), seed, progress)?;
    let fresh = EndPoints::new(&*opened.denoiser, schedule, args.noises, seed.stream("fresh"))?;
    let took = started.elapsed().as_secs_f64();
    let (Some(best), Some(named)) = (found.best(), found.best_named()) else {
        return Err(Error::numeric("solver search", "no plan has a finite score"));
    };
    let mut shown = vec![best.clone()];
    shown.extend(found.scored.iter().filter(|scored| scored.name.is_some() && *scored != best).take(4).cloned());
    let ddim = named_plans(schedule, settings.calls)?.into_iter().find(|(name, _)| name == "ddim uniform");
    let mut lines = vec![["solver", "error", "on fresh noises"].map(str::to_owned).to_vec()];
    let name = |scored: &Scored| scored.name.clone().unwrap_or_else(|| "searched".to_owned());
    for scored in &shown {
        lines.push(vec![name(scored), figure(scored.score), figure(fresh.score(&scored.plan)?)]);
    }
    if let Some((name, plan)) = ddim.filter(|(ddim, _)| !shown.iter().any(|s| s.name.as_deref() == Some(ddim))) {
        lines.push(vec![name, figure(fit.score(&plan)?), figure(fresh.score(&plan)?)]);
    }
    let errors = [fresh.score(&best.plan)?, fresh.score(&named.plan)?];
    let gain = 100.0 * (1.0 - errors[0] / errors[1]);
    let mut text = format!(
        "{}: {} plans of {} calls in {} (seed {})\n  errors are distances to a fine solution from the same noise, in standard \
         deviations of the columns\n",
        SolverSearch::CARD.slug,
        count(found.scored.len()),
        settings.calls,
        seconds(took),
        args.run.seed
    );
    text.push_str(&table(&lines, &[1, 2]));
    let (size, than) = (figure(gain.abs()), if gain >= 0.0 { "below" } else { "above" });
    text.push_str(&format!("  on fresh noises {size}% {than} the best named solver\n"));
    let steps = describe(&best.plan);
    text.push_str(&table(&steps, &[0, 1, 3]));
    if let Some(out) = &args.out {
        output::write_json(out, &json(&best.plan)?)?;
    }
    if let Some(path) = &args.report {
        let mut page = Page::new(format!("A solver of {} calls", settings.calls), SolverSearch::CARD.summary);
        page.section("Errors", [Block::Table { rows: lines, right: vec![1, 2] }]);
        page.section("The plan", [Block::Table { rows: steps, right: vec![0, 1, 3] }]);
        let points = found.path.iter().zip(1..).map(|(score, plans)| [f64::from(plans), *score, *score, *score]);
        let plot = Plot {
            title: "The search".into(),
            x: "plans scored".into(),
            y: "least error so far".into(),
            log_x: false,
            log_y: true,
            series: vec![Series { name: "least error".into(), points: points.collect() }],
        };
        let caption = "The first plans are the named solvers; the error is that on the noises of the fit.".to_owned();
        page.section("The search", [Block::Figure { drawing: svg::curves(&plot)?, caption }]);
        page.finish(path, Some(&SolverSearch::CARD))?;
    }
    for path in [&args.out, &args.report].into_iter().flatten() {
        text.push_str(&format!("wrote {}\n", path.display()));
    }
    let mut value = object!({
        "method": SolverSearch::CARD.slug,
        "calls": settings.calls,
        "evaluations": found.scored.len(),
        "error": best.score,
        "fresh_error": errors[0],
        "best_named": named.name,
        "best_named_error": named.score,
        "best_named_fresh_error": errors[1],
        "plan": best.plan,
        "seed": args.run.seed,
        "seconds": took,
        "out": args.out,
        "report": args.report,
    });
    opened.tell(&mut text, &mut value);
    Ok(Reply::new(text, value))
}

/// A plan as a table, a step a line.
fn describe(plan: &Plan) -> Vec<Vec<String>> {
    let mut rows =
        vec![["from time", "to", "form", "order", "points", "relaxed", "corrected"].map(str::to_owned).to_vec()];
    for (k, step) in plan.steps.iter().enumerate() {
        let form = match (step.form, k, &plan.first) {
            (_, 0, First::Noise) => "all noise",
            (_, 0, First::Mean(_)) => "the mean",
            (Form::Data, ..) => "data",
            (Form::Noise, ..) => "noise",
        };
        let relaxed = match step.relaxation {
            Relaxation::Bh1 if step.order > 1 => "bh1".to_owned(),
            Relaxation::Bh2 if step.order > 1 => "bh2".to_owned(),
            Relaxation::Linear(c) if step.order > 1 => format!("1 + {} h", figure(c)),
            _ => "no".to_owned(),
        };
        let corrected = match step.corrector {
            Corrector::None => "no",
            Corrector::Pseudo => "yes",
            Corrector::Implicit => "yes, and asked again",
        };
        let times = [plan.times[k], plan.times[k + 1]].map(figure);
        let rest = [form.to_owned(), step.order.to_string(), step.points.to_string(), relaxed, corrected.to_owned()];
        rows.push(times.into_iter().chain(rest).collect());
    }
    rows
}
