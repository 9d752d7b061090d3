//! `quadrat levels sample`: which level to play next, for a trainer at the other end of two pipes.

use super::maps;
use super::requests::{Named, StateFile};
use crate::args::Run;
use crate::output::{Reply, check_place, count, figure, json, write_json};
use crate::parameters::Declared;
use crate::report::{Block, Page};
use clap::Args;
use quadrat::select::levels::LevelSampler;
use quadrat::{Error, Result, Seed, catalogue, find};
use serde_json::json;
use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[derive(Args, Debug)]
#[command(after_help = "\
A trainer writes one JSON object a line and reads one for each:
  {\"ask\": 2}                                  {\"levels\": [\"a.txt\", \"c.txt\"]}
  {\"tell\": \"a.txt\", \"advantages\": [0.1, -0.3], \"return\": 0.6}
                                              {\"level\": \"a.txt\", \"score\": 0.2}
  {\"updated\": true}                           {\"updated\": true}
  {\"propose\": \"new.txt\", \"advantages\": [0.4], \"return\": 0.2}
                                              {\"level\": \"new.txt\", \"entered\": true, \"left\": null}
  {\"weights\": true}                           {\"weights\": {\"a.txt\": 0.7, \"c.txt\": 0.3}}
Steps are told as advantages, as returns with values, or as td_errors, policies (probabilities of the actions) or losses, as
the strategy needs them. An episode that goes on has \"done\": false, and with several on one level \"actor\" says whose
it is. A line that does not fit is answered by {\"error\": \"...\"} and changes nothing.

A file that ends with .txt must be a map that can be solved; others are the trainer's own and are not opened.

Example:
  python trainer.py   # which starts: quadrat levels sample --levels maps/ --state plr.json")]
pub struct SampleLevels {
    /// Folder with a file for each level
    #[arg(long, value_name = "FOLDER")]
    pub levels: PathBuf,
    /// Keep the sampler's state in this file; if it exists, go on from there
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// The most levels, those proposed by the trainer counted [default: those there are]
    #[arg(long, value_name = "N")]
    pub capacity: Option<usize>,
    #[command(flatten)]
    pub sampler: Declared<LevelSampler>,
    #[command(flatten)]
    pub run: Run,
    /// Write a self-contained HTML page about the levels in the end
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

/// While lines come the state is written at least this often.
const UNSAVED: Duration = Duration::from_secs(1);

/// Answers lines until they end.
pub fn run(args: &SampleLevels) -> Result<Reply> {
    for path in [&args.state, &args.report].into_iter().flatten() {
        check_place(path)?;
    }
    args.sampler.check_effect()?;
    let folder = maps::names(&args.levels)?;
    for name in folder.iter().filter(|name| name.ends_with(maps::ENDING)) {
        maps::read(&args.levels.join(name))?;
    }
    let mut named = open(args, folder)?;
    if std::io::stdin().is_terminal() {
        eprintln!("quadrat: note: write one JSON object a line, such as {{\"ask\": 1}}; `--help` has them all");
    }
    let mut out = std::io::stdout().lock();
    let (mut saved, mut unsaved, mut lines, mut refused) = (Instant::now(), false, 0, 0);
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|e| Error::io("standard input", e))?;
        if line.trim().is_empty() {
            continue;
        }
        lines += 1;
        let (answer, updated) = match named.answer(&line) {
            Ok(answer) => answer,
            Err(error) => {
                refused += 1;
                (json!({ "error": error.to_string() }), false)
            }
        };
        // Whoever hears an answer may rely on it: the state is there before.
        if let Some(path) = args.state.as_deref().filter(|_| updated || saved.elapsed() >= UNSAVED) {
            save(path, &named)?;
            (saved, unsaved) = (Instant::now(), false);
        } else {
            unsaved = true;
        }
        // A trainer that has gone away ends the lines.
        if writeln!(out, "{answer}").and_then(|()| out.flush()).is_err() {
            break;
        }
    }
    drop(out);
    if let Some(path) = args.state.as_deref().filter(|path| unsaved || !path.exists()) {
        save(path, &named)?;
    }
    finish(args, &named, lines, refused)
}

fn open(args: &SampleLevels, folder: Vec<String>) -> Result<Named> {
    let sampler = args.sampler.settings()?;
    let kept = args.state.as_deref().filter(|path| path.exists());
    let Some(path) = kept else {
        let capacity = args.capacity.unwrap_or(folder.len());
        return Named::new(folder, capacity, sampler, Seed(args.run.seed));
    };
    let what = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    let file: StateFile = serde_json::from_slice(&bytes).map_err(|e| Error::data(&what, None, e.to_string()))?;
    let capacity = args.capacity.unwrap_or(file.replay.capacity);
    let mut fresh = file.replay.clone();
    (fresh.sampler, fresh.seed, fresh.capacity) = (sampler, args.run.seed, capacity);
    Named::resume(file, path, &folder, &fresh)
}

fn save(path: &Path, named: &Named) -> Result<()> {
    write_json(path, &json(&named.file())?)
}

fn finish(args: &SampleLevels, named: &Named, lines: usize, refused: usize) -> Result<Reply> {
    let state = named.replay.state();
    let scored = state.levels.iter().filter(|level| level.score.is_some()).count();
    // Standard output is for answers.
    eprintln!(
        "quadrat: {} lines, {} refused; {} levels, {} with a score, {} draws",
        count(lines),
        count(refused),
        count(state.levels.len()),
        count(scored),
        count(state.draws as usize)
    );
    if let Some(path) = &args.report {
        let weights = named.replay.weights().unwrap_or_else(|_| vec![0.0; named.names().len()]);
        let mut order: Vec<usize> = (0..weights.len()).collect();
        order.sort_by(|a, b| weights[*b].total_cmp(&weights[*a]).then(a.cmp(b)));
        let score = |slot: usize| state.levels[slot].score.map_or_else(|| "none yet".to_owned(), figure);
        let row = |slot: &usize| vec![named.names()[*slot].clone(), figure(weights[*slot]), score(*slot)];
        let head = ["level", "probability", "score"].map(str::to_owned).to_vec();
        let rows = std::iter::once(head).chain(order.iter().take(30).map(row)).collect();
        let lead = format!("{} levels, {scored} with a score, after {} draws.", weights.len(), state.draws);
        let mut page = Page::new("Levels to play", lead);
        page.section("The likeliest next", [Block::Table { rows, right: vec![1, 2] }]);
        page.finish(path, Some(find(&catalogue(), "dred")?))?;
    }
    let value = json!({
        "method": "dred",
        "levels": state.levels.len(),
        "scored": scored,
        "draws": state.draws,
        "lines": lines,
        "refused": refused,
        "state": args.state,
    });
    Ok(Reply::new(String::new(), value))
}
