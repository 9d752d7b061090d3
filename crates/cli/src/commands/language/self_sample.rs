//! `quadrat language self-sample`: problems with one solution each -> a model that writes such programs.

use crate::args::Run;
use crate::commands::work;
use crate::output::{Reply, check_place, count, figure, seconds, table, write_json};
use crate::parameters::Declared;
use crate::reading::Reading;
use crate::report::{Block, Page};
use clap::Args;
use quadrat::language::solve::{Learnt, Outcome, SelfSampling, SolutionBuffer, StraightLine, Task, pass_at_k};
use quadrat::nn::{Model, save_model};
use quadrat::{Error, Method, Progress, Result, Seed, check_vacant, stats, write_atomic, write_atomic_folder};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

#[derive(Args, Debug)]
pub struct SelfSample {
    /// A file of rows with a problem, a program that solves it (lines of `name = expression`, the last one of `answer`), and the answer
    #[arg(long, value_name = "FILE")]
    pub tasks: String,
    /// The column of problems
    #[arg(long, value_name = "COLUMN", default_value = "problem")]
    pub problem: String,
    /// The column of programs
    #[arg(long, value_name = "COLUMN", default_value = "program")]
    pub program: String,
    /// The column of answers, numbers
    #[arg(long, value_name = "COLUMN", default_value = "answer")]
    pub answer: String,
    #[command(flatten)]
    pub settings: Declared<SelfSampling>,
    /// Share of the tasks, drawn by chance, that is held back to measure
    #[arg(long, value_name = "SHARE", default_value_t = 0.2)]
    pub held_back: f64,
    /// Programs that are drawn for each task held back
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub draws: usize,
    /// Folder to make: the model, its words, and all solutions found
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    /// Write a self-contained HTML page about the run
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    pub run: Run,
    #[command(flatten)]
    pub reading: Reading,
}

/// How an outcome is told.
const OUTCOMES: [(Outcome, &str); 7] = [
    (Outcome::Full, "new solutions"),
    (Outcome::Partial, "new beginnings"),
    (Outcome::Duplicate, "known already"),
    (Outcome::Prefix, "beginnings of known ones"),
    (Outcome::TooLong, "right, but longer than known"),
    (Outcome::NoMatch, "no match"),
    (Outcome::NotExecutable, "do not run"),
];

/// Learns, measures on tasks held back, writes the folder.
pub fn run(args: &SelfSample, progress: &dyn Progress) -> Result<Reply> {
    check_vacant(&args.out)?;
    args.report.as_deref().map_or(Ok(()), check_place)?;
    args.settings.check_effect()?;
    let settings = args.settings.settings()?;
    if !(0.0..1.0).contains(&args.held_back) || args.draws == 0 {
        let got = format!("{} and {}", args.held_back, args.draws);
        return Err(Error::input("--held-back and --draws", got, "a share from 0 to below 1, and at least 1"));
    }
    let mut tasks = tasks(args)?;
    let (seed, started) = (Seed(args.run.seed), Instant::now());
    seed.stream("split").rng(0).shuffle(&mut tasks);
    let kept = tasks.len() - (tasks.len() as f64 * args.held_back).floor() as usize;
    let (train, held_back) = tasks.split_at(kept);
    let learnt = settings.fit(train, StraightLine::default(), seed, progress)?;
    progress.begin("measuring", None);
    let passed = passed(args, &learnt, held_back, settings.temperature, seed.stream("held back"))?;
    let about = about(args, &learnt, &passed, started.elapsed().as_secs_f64());
    write_atomic_folder(&args.out, |folder| save(folder, &learnt, train, &about))?;
    let mut text = told(&about);
    text.push_str(&format!("wrote {}\n", args.out.display()));
    if let Some(path) = &args.report {
        page(&about).finish(path, Some(&SelfSampling::CARD))?;
        text.push_str(&format!("wrote {}\n", path.display()));
    }
    Ok(Reply::new(text, about))
}

fn tasks(args: &SelfSample) -> Result<Vec<Task<f64>>> {
    let table = work::read(&args.tasks, &args.reading)?;
    let [problems, programs, answers] =
        [&args.problem, &args.program, &args.answer].map(|column| table.strings(column));
    let rows = problems?.into_iter().zip(programs?).zip(answers?);
    let task = |(row, ((problem, program), answer)): (usize, ((String, String), String))| {
        let number = answer.trim().replace(',', "").parse::<f64>().ok().filter(|answer| answer.is_finite());
        let line = Some(row as u64 + 1);
        let wrong = || Error::data(&args.tasks, line, format!("`{answer}` in `{}` is no number", args.answer));
        let task = Task { problem, program, answer: number.ok_or_else(wrong)? };
        // Said here, where the row is known.
        let seeded = SolutionBuffer::seed(StraightLine::default(), &task.program, task.answer);
        seeded.map_err(|error| Error::data(&args.tasks, line, error.to_string()))?;
        Ok(task)
    };
    rows.enumerate().map(task).collect()
}

/// pass@k for k of 1, 10, 100 as far as there are draws.
fn passed(
    args: &SelfSample,
    learnt: &Learnt<StraightLine>,
    tasks: &[Task<f64>],
    temperature: f64,
    seed: Seed,
) -> Result<Vec<(usize, f64)>> {
    if tasks.is_empty() {
        return Ok(Vec::new());
    }
    let problems: Vec<&str> = tasks.iter().map(|task| task.problem.as_str()).collect();
    let drawn = learnt.solver.solve(&problems, args.draws, temperature, seed)?;
    let right = |(task, programs): (&Task<f64>, Vec<String>)| {
        let buffer = SolutionBuffer::seed(StraightLine::default(), &task.program, task.answer)?;
        Ok(programs.iter().filter(|program| buffer.solves(program)).count())
    };
    let right = tasks.iter().zip(drawn).map(right).collect::<Result<Vec<usize>>>()?;
    let at = |k: usize| {
        let each = right.iter().map(|c| pass_at_k(args.draws, *c, k)).collect::<Result<Vec<f64>>>()?;
        Ok((k, stats::mean(&each)))
    };
    [1, 10, 100].into_iter().filter(|k| *k <= args.draws).map(at).collect()
}

fn about(args: &SelfSample, learnt: &Learnt<StraightLine>, passed: &[(usize, f64)], took: f64) -> Value {
    let solutions: Vec<f64> = learnt.buffers.iter().map(|buffer| buffer.full().len() as f64).collect();
    let partial: usize = learnt.buffers.iter().map(|buffer| buffer.partial().len() - 1).sum();
    let outcomes: serde_json::Map<String, Value> = OUTCOMES
        .iter()
        .map(|(outcome, told)| (told.replace([' ', ','], "_"), learnt.counts.of(*outcome).into()))
        .collect();
    json!({
        "tasks": args.tasks,
        "learnt_from": learnt.buffers.len(),
        "words": learnt.solver.words.len(),
        "samples": learnt.counts.offered(),
        "outcomes": outcomes,
        "solutions_a_task": stats::mean(&solutions),
        "beginnings_kept": partial,
        "pass_at": passed.iter().map(|(k, share)| (k.to_string(), json!(share))).collect::<serde_json::Map<_, _>>(),
        "seed": args.run.seed,
        "seconds": took,
        "out": args.out,
        "report": args.report,
    })
}

/// The model, its words, and the programs known of each task, the reference first.
fn save(folder: &Path, learnt: &Learnt<StraightLine>, tasks: &[Task<f64>], about: &Value) -> Result<()> {
    let solver = &learnt.solver;
    let notes = json!({ "words": solver.words, "tokens": solver.tokens });
    save_model(
        &folder.join("model.safetensors"),
        &Model::Transformer(solver.network.clone()),
        &solver.parameters,
        &notes,
    )?;
    write_json(&folder.join("quadrat.json"), about)?;
    let path = folder.join("solutions.jsonl");
    write_atomic(&path, |file| {
        for (task, buffer) in tasks.iter().zip(&learnt.buffers) {
            let programs: Vec<String> = buffer.full().iter().map(|program| program.join("\n")).collect();
            let line = json!({ "problem": task.problem, "answer": task.answer, "programs": programs });
            writeln!(file, "{line}").map_err(|e| Error::io(&path, e))?;
        }
        Ok(())
    })
}

/// What became of the samples, and how often held-back tasks are solved.
fn rows(about: &Value) -> [Vec<Vec<String>>; 2] {
    let all = about["samples"].as_f64().unwrap_or(0.0);
    let outcome = |(_, told): &(Outcome, &str)| {
        let number = about["outcomes"][told.replace([' ', ','], "_")].as_f64().unwrap_or(0.0);
        vec![(*told).to_owned(), count(number as usize), format!("{:.1}%", 100.0 * number / all.max(1.0))]
    };
    let head = ["samples", "programs", "share"].map(str::to_owned).to_vec();
    let outcomes = std::iter::once(head).chain(OUTCOMES.iter().map(outcome)).collect();
    let passed = about["pass_at"].as_object().into_iter().flatten();
    let passed =
        passed.map(|(k, share)| vec![format!("pass@{k}"), figure(share.as_f64().unwrap_or(f64::NAN))]).collect();
    [outcomes, passed]
}

fn told(about: &Value) -> String {
    let number = |name: &str| about[name].as_f64().unwrap_or(0.0);
    let mut text = format!(
        "a solver of {} tasks in {}: {} solutions a task, {} beginnings beside them\n",
        count(number("learnt_from") as usize),
        seconds(number("seconds")),
        figure(number("solutions_a_task")),
        count(number("beginnings_kept") as usize)
    );
    let [outcomes, passed] = rows(about);
    text.push_str(&table(&outcomes, &[1, 2]));
    text.push_str(&table(&passed, &[1]));
    text
}

fn page(about: &Value) -> Page {
    let mut page = Page::new("Self-sampled solutions".to_owned(), SelfSampling::CARD.summary);
    page.blocks.push(Block::Text(told(about).lines().next().unwrap_or_default().to_owned()));
    let [outcomes, passed] = rows(about);
    page.section("What became of the samples", [Block::Table { rows: outcomes, right: vec![1, 2] }]);
    page.section("Tasks held back", [Block::Table { rows: passed, right: vec![1] }]);
    page
}
