//! Rare samples: `diffuse score`, and `diffuse sample --method minority-guidance`.

use super::form::Form;
use super::model::{ModelOf, Opened};
use crate::args::Run;
use crate::output::{Reply, check_out, check_place, count, figure, seconds, table};
use crate::parameters::with_parameters;
use crate::report::{Block, Page};
use clap::Args;
use ndarray::Axis;
use quadrat::data::{Values, check_added, write_selection};
use quadrat::diffusion::minority::{Distance, Scores, Scoring};
use quadrat::diffusion::{MinorityGuidance, MixtureDenoiser};
use quadrat::{Error, Method, Progress, Result, Seed, Settings, stats};
use serde_json::json;
use std::path::PathBuf;
use std::time::Instant;

#[derive(Args, Debug)]
pub struct ScoreRows {
    #[command(flatten)]
    pub model: ModelOf,
    /// How rows are scored
    #[arg(long, value_name = "NAME[:KEY=VALUE,...]", default_value = "minority-guidance")]
    pub method: String,
    /// Output: the rows with a column `minority_score`, more is rarer
    #[arg(long, value_name = "FILE", allow_hyphen_values = true)]
    pub out: Option<PathBuf>,
    /// Write a self-contained HTML page about the run
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    pub run: Run,
}

/// The column of scores.
const SCORE: &str = "minority_score";

/// The settings behind `--method minority-guidance:KEY=VALUE`.
pub fn settings(text: &str, weight: Option<f64>) -> Result<MinorityGuidance> {
    let (name, own) = with_parameters("--method", text)?;
    if !MinorityGuidance::CARD.is_called(name) {
        return Err(Error::input("--method", format!("`{name}`"), MinorityGuidance::CARD.slug));
    }
    let weight = weight.map(|weight| ("weight".to_owned(), weight.to_string()));
    MinorityGuidance::from_params(&own.into_iter().chain(weight).collect())
}

/// Scores the rows, and writes them with their scores.
pub fn run(args: &ScoreRows, progress: &dyn Progress) -> Result<Reply> {
    let settings = settings(&args.method, None)?;
    args.out.as_deref().map_or(Ok(()), check_out)?;
    args.report.as_deref().map_or(Ok(()), check_place)?;
    let opened = args.model.open(None, None, progress)?;
    opened.check_denoiser()?;
    let Some(rows) = &opened.rows else {
        return Err(Error::input("--in", "nothing", "the rows to score"));
    };
    if let Some(out) = &args.out {
        check_added(&rows.input, SCORE, out)?;
    }
    let started = Instant::now();
    let found = scores(&settings, &opened, Seed(args.run.seed), progress)?;
    let took = started.elapsed().as_secs_f64();
    if let Some(out) = &args.out {
        let all: Vec<usize> = (0..rows.input.rows()).collect();
        write_selection(&rows.input, &all, &[(SCORE.to_owned(), Values::Float(found.scores.clone()))], out)?;
    }
    let mut text = format!(
        "{}: {} rows scored in {} (seed {})\n  by {}, noised to {} of the data; reconstructions miss by {} of the variance\n",
        MinorityGuidance::CARD.slug,
        count(found.scores.len()),
        seconds(took),
        args.run.seed,
        opened.what,
        figure(found.abar),
        figure(found.error)
    );
    let mut order: Vec<usize> = (0..found.scores.len()).collect();
    order.sort_by(|a, b| found.scores[*b].total_cmp(&found.scores[*a]).then(a.cmp(b)));
    let mut lines = vec![["line", SCORE].map(str::to_owned).to_vec()];
    for row in order.iter().take(10) {
        lines.push(vec![rows.input.line(*row).to_string(), figure(found.scores[*row])]);
    }
    text.push_str(&table(&lines, &[0, 1]));
    if let Some(path) = &args.report {
        let title = format!("How rare the rows of {} are", rows.input.name());
        let mut page = Page::new(title, MinorityGuidance::CARD.summary);
        page.blocks.push(Block::Facts(vec![
            ("Model".into(), opened.what.clone()),
            ("Share of the data in noised rows".into(), figure(found.abar)),
            ("Median score".into(), figure(stats::quantile(&found.scores, 0.5))),
            ("Time".into(), seconds(took)),
        ]));
        page.section("The rarest", [Block::Table { rows: lines, right: vec![0, 1] }]);
        page.finish(path, Some(&MinorityGuidance::CARD))?;
    }
    let mut value = json!({
        "method": MinorityGuidance::CARD.slug,
        "rows": found.scores.len(),
        "abar": found.abar,
        "error": found.error,
        "rarest": order.iter().take(10).map(|row| rows.input.line(*row)).collect::<Vec<_>>(),
        "seed": args.run.seed,
        "seconds": took,
        "out": args.out,
        "report": args.report,
    });
    if let Some(warning) = &found.warning {
        text.push_str(&crate::output::wrap(warning, 2, 100));
        value["warning"] = json!(warning);
    }
    for path in [&args.out, &args.report].into_iter().flatten() {
        text.push_str(&format!("wrote {}\n", path.display()));
    }
    opened.tell(&mut text, &mut value);
    Ok(Reply::new(text, value))
}

/// Parts of the rows, each of which a kernel of the others scores: a kernel takes none of its own rows for rare.
const PARTS: usize = 5;

/// Scores of the rows by the model.
fn scores(settings: &MinorityGuidance, opened: &Opened, seed: Seed, progress: &dyn Progress) -> Result<Scores> {
    let x = opened.rows.as_ref().map(|rows| &rows.x).ok_or_else(|| Error::input("--in", "nothing", "rows to score"))?;
    let distance = match opened.form {
        Form::Table(_) => Distance::L2,
        Form::Images { shape } => Distance::MultiScale(shape),
    };
    let scoring = settings.scoring(distance);
    let Some(width) = opened.width else {
        return scoring.score(&*opened.denoiser, &opened.schedule, x.view(), seed, progress);
    };
    let n = x.nrows();
    if n < 2 * PARTS {
        let want = format!("at least {}, or a trained model: a kernel scores rows that it was not made of", 2 * PARTS);
        return Err(Error::input("rows", n, want));
    }
    let mut order: Vec<usize> = (0..n).collect();
    seed.stream("parts").rng(0).shuffle(&mut order);
    let (mut all, mut abar) = (vec![0.0; n], scoring.abar);
    let mut last = None;
    for part in 0..PARTS {
        let of =
            |own: bool| order.iter().enumerate().filter(move |(i, _)| (i % PARTS == part) == own).map(|(_, row)| *row);
        let (judged, others): (Vec<usize>, Vec<usize>) = (of(true).collect(), of(false).collect());
        let kernel = MixtureDenoiser::kernel(x.select(Axis(0), &others).view(), width)?;
        let rows = x.select(Axis(0), &judged);
        let found = Scoring { abar, ..scoring }.score(&kernel, &opened.schedule, rows.view(), seed, progress)?;
        // The level of the first part, so that scores compare.
        abar = Some(found.abar);
        judged.iter().zip(&found.scores).for_each(|(row, score)| all[*row] = *score);
        last = Some(found);
    }
    let last = last.ok_or_else(|| Error::input("rows", 0, "at least 10"))?;
    Ok(Scores { scores: all, ..last })
}

#[cfg(feature = "networks")]
mod guided {
    use super::super::sample::DrawSamples;
    use super::super::steering::Drawn;
    use super::settings;
    use crate::commands::diffuse::form::Form;
    use crate::commands::diffuse::model::Opened;
    use crate::output::figure;
    use quadrat::diffusion::minority::Distance;
    use quadrat::diffusion::{Grid, MinorityGuidance, Solver, integrate, noise};
    use quadrat::{Error, Method, Progress, Result, Seed};
    use serde_json::json;

    /// Samples of the model that are scored, and teach the classifier.
    const TAUGHT: usize = 4096;

    impl DrawSamples {
        /// Samples led to a class of rarity.
        pub fn minority(
            &self,
            opened: &Opened,
            grid: &Grid,
            rows: usize,
            seed: Seed,
            progress: &dyn Progress,
        ) -> Result<Drawn> {
            let settings = settings(self.steering.method.as_deref().unwrap_or_default(), self.steering.weight)?;
            let class = class(self.class.as_deref().unwrap_or("rarest"), settings.classes)?;
            let plan = Solver::Dpmpp2m.plan(opened.schedule.clone(), grid, 20)?;
            let seen = seed.stream("seen");
            let seen = integrate(&plan, &*opened.denoiser, noise(&plan, TAUGHT, opened.dims(), seen), seen, progress)?;
            let distance = match opened.form {
                Form::Table(_) => Distance::L2,
                Form::Images { shape } => Distance::MultiScale(shape),
            };
            let guide = settings.fit(&*opened.denoiser, &opened.schedule, seen.view(), distance, seed, progress)?;
            let guided = settings.guided(&*opened.denoiser, &guide.classifier, Some(class))?;
            let plan = Solver::Ddpm.plan(opened.schedule.clone(), grid, self.steps.unwrap_or(100))?;
            let drawn = integrate(&plan, &guided, noise(&plan, rows, opened.dims(), seed), seed, progress)?;
            let scores = settings.scoring(distance);
            let told = quadrat::diffusion::minority::Scoring { abar: Some(guide.scores.abar), ..scores };
            let scores = told.score(&*opened.denoiser, &opened.schedule, drawn.view(), seed, progress)?.scores;
            let [new, all] = [&scores, &guide.scores.scores].map(|scores| quadrat::stats::mean(scores));
            let how = format!(
                "minority-guidance: class {} of {} with weight {}, {} calls each; minority score {} on average, of the model's own {}",
                class + 1,
                settings.classes,
                figure(settings.weight),
                plan.calls(),
                figure(new),
                figure(all)
            );
            let json = json!({
                "method": MinorityGuidance::CARD.slug,
                "class": class + 1,
                "classes": settings.classes,
                "weight": settings.weight,
                "calls": plan.calls(),
                "mean_score": new,
                "mean_score_of_model": all,
            });
            Ok(Drawn { rows: drawn, more: Some(("minority_score", scores)), how, json })
        }
    }

    /// The class that a name stands for, from 0.
    fn class(name: &str, classes: usize) -> Result<u32> {
        match name {
            "rarest" => Ok(classes as u32 - 1),
            "commonest" => Ok(0),
            number => match number.parse::<u32>() {
                Ok(class) if (1..=classes as u32).contains(&class) => Ok(class - 1),
                _ => Err(Error::input("--class", format!("`{name}`"), format!("rarest, commonest, or 1 to {classes}"))),
            },
        }
    }
}
