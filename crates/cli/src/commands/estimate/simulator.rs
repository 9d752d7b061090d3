//! An external program as a model: many runs in parallel, kept, timed out, tried again, and never done twice.

use super::program::{Ended, Program};
use crate::output::count;
use crate::process;
use clap::Args;
use ndarray::{Array2, ArrayView2};
use quadrat::estimate::runs::{Outcome, Runs};
use quadrat::estimate::sobol::Input;
use quadrat::{Error, Progress, Result, checkpoint};
use rayon::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// How a program is run.
#[derive(Args, Debug)]
pub struct External {
    /// Program to run for each point, with {NAME} where the input NAME goes; it prints one number or more (outputs)
    #[arg(long, value_name = "COMMAND", requires = "calls")]
    pub command: Option<String>,
    /// Keep every run in this file as it ends, and take from it those that are there: a stopped job goes on
    #[arg(long, value_name = "FILE", requires = "command")]
    pub runs: Option<PathBuf>,
    /// End a run that takes longer; it has then failed
    #[arg(long, value_name = "SECONDS", requires = "command")]
    pub timeout: Option<f64>,
    /// Try a run that fails this many times more
    #[arg(long, value_name = "N", requires = "command", default_value_t = 0)]
    pub retries: usize,
}

/// What `--help` says about programs.
pub const HELP: &str = "\
With --command, --threads says how many of your program run at a time. A run that prints nan, fails, or takes longer
than --timeout is left out, counted and said; the others go on. With --runs FILE nothing is computed twice, in this job
or a later one with the same program: stopped jobs go on, more --calls use all earlier runs. Runs that failed are tried
again only if --retries allows it. Use a new FILE when the program itself has changed.";

/// Runs without one good answer after which a job stops: a program that never works.
const HOPELESS: usize = 10;

/// A program with all its runs.
pub struct Simulator<'a> {
    program: Program,
    runs: Runs,
    limit: Option<Duration>,
    attempts: usize,
    progress: &'a dyn Progress,
    /// Numbers that a run prints.
    width: OnceLock<usize>,
    tally: Mutex<Tally>,
    /// Whether a run has had an answer, and how many had none.
    works: AtomicBool,
    bad: AtomicUsize,
}

/// What became of the points that were asked for.
#[derive(Default)]
struct Tally {
    /// Runs that were made now, each try counted.
    made: usize,
    /// Points whose runs were there already.
    found: usize,
    /// Points with finite outputs, as many as other points have.
    good: usize,
    /// Points whose runs failed.
    failed: usize,
    /// Points with an output that is not finite.
    not_finite: usize,
    /// The first point without an answer, and why.
    first: Option<(String, String)>,
}

impl<'a> Simulator<'a> {
    /// A program and the runs that were kept of it.
    pub fn open(external: &External, command: &str, inputs: &[Input], progress: &'a dyn Progress) -> Result<Self> {
        let program = Program::parse(command, inputs)?;
        let limit = external.timeout.map(|seconds| process::limit("--timeout", seconds)).transpose()?;
        let runs = match &external.runs {
            Some(path) => Runs::open(path, command, program.inputs())?,
            None => Runs::in_memory(command, program.inputs()),
        };
        let attempts = external.retries.saturating_add(1);
        Ok(Simulator {
            program,
            runs,
            limit,
            attempts,
            progress,
            width: OnceLock::new(),
            tally: Mutex::default(),
            works: AtomicBool::new(false),
            bad: AtomicUsize::new(0),
        })
    }

    /// The outputs at every point; NaN where a run has none. A point that comes up again is not run again.
    ///
    /// # Errors
    /// A program that does not start, or of whose first runs none has an answer; a job that was stopped.
    pub fn run(&self, x: ArrayView2<f64>) -> Result<Array2<f64>> {
        let points: Vec<Vec<f64>> = x.rows().into_iter().map(|x| x.to_vec()).collect();
        let (mut seen, mut asked) = (HashMap::new(), Vec::new());
        let places: Vec<usize> = points
            .iter()
            .map(|x| {
                *seen.entry(x.iter().map(|x| x.to_bits()).collect::<Vec<u64>>()).or_insert_with(|| {
                    asked.push(x);
                    asked.len() - 1
                })
            })
            .collect();
        self.progress.begin("running the model", Some(asked.len() as u64));
        let one = |x: &&Vec<f64>| {
            checkpoint(self.progress)?;
            let ended = self.point(x)?;
            self.give_up(x, &ended)?;
            self.progress.advance(1);
            Ok(ended)
        };
        let ended = asked.par_iter().with_max_len(1).map(one).collect::<Result<Vec<Ended>>>()?;
        let mut widths: BTreeMap<usize, usize> = BTreeMap::new();
        ended.iter().flatten().for_each(|y| *widths.entry(y.len()).or_default() += 1);
        let most = widths.into_iter().max_by_key(|(_, times)| *times).map_or(1, |(width, _)| width);
        let width = *self.width.get_or_init(|| most);
        let mut tally = self.tally();
        // In the points' order, so that what is said does not depend on which run ended first.
        for (x, ended) in asked.into_iter().zip(&ended) {
            let (printed, why) = match ended {
                Ok(y) if y.len() != width => {
                    (false, Some(format!("it printed {} numbers where other runs printed {width}", y.len())))
                }
                ended => (ended.is_ok(), fault(ended)),
            };
            match (why, printed) {
                (None, _) => tally.good += 1,
                (Some(why), printed) => {
                    let count = if printed { &mut tally.not_finite } else { &mut tally.failed };
                    *count += 1;
                    tally.first.get_or_insert_with(|| (self.program.point(x), why));
                }
            }
        }
        let mut outputs = Array2::from_elem((points.len(), width), f64::NAN);
        for (mut out, place) in outputs.rows_mut().into_iter().zip(places) {
            if let Some(y) = ended[place].as_ref().ok().filter(|y| y.len() == width) {
                out.iter_mut().zip(y).for_each(|(out, y)| *out = *y);
            }
        }
        Ok(outputs)
    }

    /// The run at a point: the one that was kept, or as many tries as it takes and the user allows.
    fn point(&self, x: &[f64]) -> Result<Ended> {
        let (mut tried, mut last) = (0, String::new());
        match self.runs.find(x) {
            Some(Outcome::Outputs(y)) => {
                self.tally().found += 1;
                return Ok(Ok(y));
            }
            Some(Outcome::Failed { why, attempts }) => (tried, last) = (attempts, why),
            None => {}
        }
        if tried >= self.attempts {
            self.tally().found += 1;
            return Ok(Err(last));
        }
        while tried < self.attempts {
            let ended = self.program.once(x, self.limit, self.progress);
            // A program that ends because the user stops the job has not failed.
            checkpoint(self.progress)?;
            self.tally().made += 1;
            tried += 1;
            match ended? {
                Ok(y) => {
                    self.runs.keep(x, Outcome::Outputs(y.clone()))?;
                    return Ok(Ok(y));
                }
                Err(why) => last = why,
            }
        }
        self.runs.keep(x, Outcome::Failed { why: last.clone(), attempts: tried })?;
        Ok(Err(last))
    }

    /// An error once many runs have ended and none of them with an answer: a program that never works.
    fn give_up(&self, x: &[f64], ended: &Ended) -> Result<()> {
        let Some(why) = fault(ended) else {
            self.works.store(true, Ordering::Relaxed);
            return Ok(());
        };
        let bad = self.bad.fetch_add(1, Ordering::Relaxed) + 1;
        if bad >= HOPELESS && !self.works.load(Ordering::Relaxed) {
            let want = format!("none of the first {bad} runs has an answer; try the command by hand at this point");
            return Err(Error::input(self.program.point(x), why, want));
        }
        Ok(())
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What became of the runs, for JSON.
    pub fn json(&self) -> Value {
        let tally = self.tally();
        json!({
            "made": tally.made, "found": tally.found, "failed": tally.failed, "not_finite": tally.not_finite,
            "file": self.runs.file(),
        })
    }

    /// What became of the runs, in a line of text, where it is not just that all were made.
    pub fn summary(&self) -> Option<String> {
        let tally = self.tally();
        let found = (tally.found > 0).then(|| format!("{} runs were there already", count(tally.found)));
        let kept = self.runs.file().map(|file| format!("all are kept in {}", file.display()));
        let parts: Vec<String> = found.into_iter().chain(kept).collect();
        (!parts.is_empty()).then(|| format!("{} runs made now; {}", count(tally.made), parts.join("; ")))
    }

    /// A warning about points without an answer.
    pub fn warning(&self) -> Option<String> {
        let tally = self.tally();
        let (point, why) = tally.first.as_ref()?;
        let points = tally.good + tally.failed + tally.not_finite;
        Some(format!(
            "{} of {} points have no answer ({} runs failed, {} printed something that is not finite); the first is {point}: \
             {why}",
            count(tally.failed + tally.not_finite),
            count(points),
            count(tally.failed),
            count(tally.not_finite)
        ))
    }

    /// After an error: keeps the finished runs in a new file beside the problem's, unless they are in one already.
    pub fn rescue(&self, problem: &Path) {
        let answered = self.runs.answered();
        if answered == 0 {
            return;
        }
        let file = match self.runs.file() {
            Some(file) => file.to_path_buf(),
            None => {
                let name = |i: usize| match i {
                    0 => problem.with_extension("runs.jsonl"),
                    i => problem.with_extension(format!("runs-{i}.jsonl")),
                };
                let Some(file) = (0..1000).map(name).find(|file| !file.exists()) else { return };
                if let Err(e) = self.runs.save(&file) {
                    eprintln!("quadrat: warning: the finished runs could not be kept: {e}");
                    return;
                }
                file
            }
        };
        eprintln!(
            "quadrat: {} finished runs are kept in {file}; the same command with --runs {file} goes on from there",
            count(answered),
            file = file.display()
        );
    }
}

/// Why a run has no answer, if it has none.
fn fault(ended: &Ended) -> Option<String> {
    match ended {
        Ok(y) => {
            let y = y.iter().find(|y| !y.is_finite())?;
            Some(format!("it printed {y}; print one finite number or more, and nothing else"))
        }
        Err(why) => Some(why.clone()),
    }
}
