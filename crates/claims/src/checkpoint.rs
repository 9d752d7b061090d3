//! Finished repetitions in a file, so that a run of hours survives a stop.
//!
//! One JSON object a line: what run it is, then for each part what was expected and planned, and each repetition's figures
//! as it ends. A line that a kill cut short is dropped.

use crate::{Figure, Scale};
use quadrat_core::{Error, Evidence, Expectation, Plan, Result, write_atomic_bytes};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The finished repetitions of one claim's run.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    file: File,
    parts: HashMap<String, (String, Vec<Expectation>)>,
    figures: HashMap<(String, String, usize), Vec<Figure>>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Run {
        claim: String,
        scale: Scale,
        seed: u64,
        version: String,
    },
    Part {
        part: String,
        experiment: String,
        expected: Vec<Expectation>,
    },
    Planned {
        plan: Plan,
    },
    /// JSON has no NaN: null stands for it.
    Repetition {
        part: String,
        stage: String,
        repetition: usize,
        figures: Vec<(String, String, Option<f64>)>,
    },
}

impl Checkpoint {
    /// Opens the file of a run, or begins one.
    ///
    /// # Errors
    /// The file is of another claim, scale, seed or version; the operating system's refusal.
    pub fn new(path: &Path, claim: &str, scale: Scale, seed: u64) -> Result<Self> {
        let io = |e| Error::io(path, e);
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let head = to_line(&Line::Run { claim: claim.to_owned(), scale, seed, version })?;
        let text = if path.exists() { std::fs::read_to_string(path).map_err(io)? } else { String::new() };
        // Whole lines only; the rest was cut short.
        let text = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
        let mut lines = text.split_inclusive('\n');
        if lines.next().is_some_and(|first| first != head) {
            return Err(another_run(path));
        }
        let whole = if text.is_empty() { &head } else { text };
        write_atomic_bytes(path, whole.as_bytes())?;
        let (mut parts, mut figures) = (HashMap::new(), HashMap::new());
        for line in lines {
            match serde_json::from_str(line).map_err(|_| another_run(path))? {
                Line::Part { part, experiment, expected } => drop(parts.insert(part, (experiment, expected))),
                Line::Repetition { part, stage, repetition, figures: found } => {
                    let figure = |(arm, metric, value): (_, _, Option<f64>)| (arm, metric, value.unwrap_or(f64::NAN));
                    figures.insert((part, stage, repetition), found.into_iter().map(figure).collect());
                }
                Line::Run { .. } | Line::Planned { .. } => {}
            }
        }
        let file = File::options().append(true).open(path).map_err(io)?;
        Ok(Checkpoint { path: path.to_owned(), kept: Mutex::new(Kept { file, parts, figures }) })
    }

    /// Begins a part, or goes on with it.
    pub(crate) fn open(&self, part: &str, evidence: &Evidence) -> Result<()> {
        let said = (evidence.experiment.clone(), evidence.expectations.clone());
        match self.kept().parts.get(part) {
            Some(before) if *before != said => return Err(another_run(&self.path)),
            Some(_) => return Ok(()),
            None => {}
        }
        let line = Line::Part { part: part.to_owned(), experiment: said.0.clone(), expected: said.1.clone() };
        self.append(&line)?;
        self.kept().parts.insert(part.to_owned(), said);
        Ok(())
    }

    pub(crate) fn plan(&self, plan: &Plan) -> Result<()> {
        self.append(&Line::Planned { plan: plan.clone() })
    }

    pub(crate) fn find(&self, part: &str, stage: &str, repetition: usize) -> Option<Vec<Figure>> {
        self.kept().figures.get(&(part.to_owned(), stage.to_owned(), repetition)).cloned()
    }

    pub(crate) fn keep(&self, part: &str, stage: &str, repetition: usize, figures: &[Figure]) -> Result<()> {
        let figure = |(arm, metric, value): &Figure| (arm.clone(), metric.clone(), Some(*value));
        let (part, stage, figures) = (part.to_owned(), stage.to_owned(), figures.iter().map(figure).collect());
        self.append(&Line::Repetition { part, stage, repetition, figures })
    }

    fn append(&self, line: &Line) -> Result<()> {
        let text = to_line(line)?;
        self.kept().file.write_all(text.as_bytes()).map_err(|e| Error::io(&self.path, e))
    }

    /// A panic of another repetition leaves whole lines behind.
    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn to_line(line: &Line) -> Result<String> {
    let text = serde_json::to_string(line).map_err(|e| Error::numeric("writing JSON", e.to_string()))?;
    Ok(text + "\n")
}

fn another_run(path: &Path) -> Error {
    let want = "it holds the repetitions of another run (claim, scale, seed, version or what is expected): name another file, \
                or remove this one";
    Error::input("checkpoint", path.display(), want)
}
