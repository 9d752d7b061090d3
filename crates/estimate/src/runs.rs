//! Runs of an expensive model, kept as they end, so that none is ever done twice.
//!
//! A journal is a text file of one JSON object a line: first the program and the names of its inputs, then every run with
//! its point and its outputs, or why it failed and how often it was tried. A line is written when its run ends, so that a
//! kill loses nothing but the runs in progress; a line that was cut off is dropped on the next opening. Points are looked
//! up by their exact bits: more calls on the same Sobol' sequence find all earlier runs. The file is locked while it is
//! open.

use quadrat_core::{Error, Result, write_atomic};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What the first line says of the format.
const FORMAT: &str = "runs 1";

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// With outputs; NaN where one was not finite.
    Outputs(Vec<f64>),
    /// Without an answer.
    Failed {
        /// What went wrong the last time.
        why: String,
        /// How often it was tried.
        attempts: usize,
    },
}

/// The first line of a journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Header {
    quadrat: String,
    program: String,
    inputs: Vec<String>,
}

/// Any other line.
#[derive(Serialize, Deserialize)]
struct Line {
    x: Vec<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    y: Option<Vec<Option<f64>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failed: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attempts: Option<usize>,
}

/// The runs of one program, in memory and, if opened on a file, on disk.
///
/// ```
/// use quadrat_estimate::runs::{Outcome, Runs};
/// let runs = Runs::in_memory("./model {a}", &["a".to_owned()]);
/// assert_eq!(runs.find(&[0.5]), None);
/// runs.keep(&[0.5], Outcome::Outputs(vec![1.25]))?;
/// assert_eq!(runs.find(&[0.5]), Some(Outcome::Outputs(vec![1.25])));
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Runs {
    header: Header,
    held: Mutex<Held>,
    file: Option<PathBuf>,
}

#[derive(Debug, Default)]
struct Held {
    known: HashMap<Vec<u64>, usize>,
    ended: Vec<(Vec<f64>, Outcome)>,
    file: Option<File>,
}

impl Runs {
    /// Runs that are kept in memory only.
    pub fn in_memory(program: &str, inputs: &[String]) -> Runs {
        let header = Header { quadrat: FORMAT.into(), program: program.into(), inputs: inputs.to_vec() };
        Runs { header, held: Mutex::default(), file: None }
    }

    /// The runs in a journal, which is made if it is not there, and to which new ones are added.
    ///
    /// # Errors
    /// A file that is no journal, is of another program or other inputs, or is in use; the operating system's refusal.
    pub fn open(path: &Path, program: &str, inputs: &[String]) -> Result<Runs> {
        let at = |e| Error::io(path, e);
        let mut runs = Runs::in_memory(program, inputs);
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(at)?;
        file.try_lock().map_err(|e| match e {
            TryLockError::WouldBlock => Error::input(
                "runs",
                path.display(),
                "another program is adding to this file: wait, or name another file",
            ),
            TryLockError::Error(e) => at(e),
        })?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(at)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        // Only what begins like a journal is touched: a torn line goes, a file of something else is refused.
        let begins = br#"{"quadrat":"#;
        let ours = bytes.iter().zip(begins).all(|(a, b)| a == b);
        if !ours {
            let why = "this is no file of runs: name one that Quadrat made, or a new one";
            return Err(Error::data(path.display().to_string(), 1, why));
        }
        let text = String::from_utf8_lossy(&bytes[..whole]);
        let mut lines = (1_u64..).zip(text.lines());
        match lines.next() {
            None => {
                file.set_len(0).map_err(at)?;
                file.write_all(&line(&runs.header)?).map_err(at)?;
            }
            Some((_, first)) => {
                let wrong = |e: serde_json::Error| Error::data(path.display().to_string(), 1, e.to_string());
                runs.check(path, &serde_json::from_str(first).map_err(wrong)?)?;
                if whole < bytes.len() {
                    file.set_len(whole as u64).map_err(at)?;
                }
            }
        }
        let held = runs.held.get_mut().unwrap_or_else(PoisonError::into_inner);
        for (number, text) in lines {
            let wrong = |why: String| Error::data(path.display().to_string(), number, why);
            let line: Line = serde_json::from_str(text).map_err(|e| wrong(format!("not a run: {e}")))?;
            if line.x.len() != inputs.len() {
                return Err(wrong(format!("{} inputs where the program has {}", line.x.len(), inputs.len())));
            }
            let outcome = match (line.y, line.failed) {
                (Some(y), None) => Outcome::Outputs(y.into_iter().map(|y| y.unwrap_or(f64::NAN)).collect()),
                (None, Some(why)) => Outcome::Failed { why, attempts: line.attempts.unwrap_or(1) },
                _ => return Err(wrong("a run has either outputs (y) or a reason why it failed".to_owned())),
            };
            held.take(&line.x, outcome);
        }
        held.file = Some(file);
        runs.file = Some(path.to_path_buf());
        Ok(runs)
    }

    fn check(&self, path: &Path, found: &Header) -> Result<()> {
        let differs = match found {
            _ if found.quadrat != FORMAT => format!("format `{}`; this version reads `{FORMAT}`", found.quadrat),
            _ if found.inputs != self.header.inputs => format!("inputs {}", found.inputs.join(", ")),
            _ if found.program != self.header.program => format!("runs of `{}`", found.program),
            _ => return Ok(()),
        };
        let want = format!(
            "this time it is `{}` with {}; name another file, so that runs of different models are never mixed",
            self.header.program,
            self.header.inputs.join(", ")
        );
        Err(Error::input(format!("runs {}", path.display()), differs, want))
    }

    /// How the run at a point ended, if it was done.
    pub fn find(&self, x: &[f64]) -> Option<Outcome> {
        let held = self.held();
        held.known.get(&bits(x)).map(|at| held.ended[*at].1.clone())
    }

    /// Keeps a run that has just ended.
    ///
    /// # Errors
    /// The operating system's refusal to write.
    pub fn keep(&self, x: &[f64], outcome: Outcome) -> Result<()> {
        let text = line(&Line::of(x, &outcome))?;
        let mut held = self.held();
        held.take(x, outcome);
        match &mut held.file {
            // One call: a kill leaves whole lines, or one torn line at the end.
            Some(file) => {
                file.write_all(&text).map_err(|e| Error::io(self.file.as_deref().unwrap_or(Path::new("")), e))
            }
            None => Ok(()),
        }
    }

    /// How many points have outputs.
    pub fn answered(&self) -> usize {
        self.held().ended.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Outputs(_))).count()
    }

    /// The journal, if there is one.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Writes all runs into a new journal.
    ///
    /// # Errors
    /// The operating system's refusal.
    pub fn save(&self, path: &Path) -> Result<()> {
        let held = self.held();
        write_atomic(path, |out| {
            let mut write = |text: Vec<u8>| out.write_all(&text).map_err(|e| Error::io(path, e));
            write(line(&self.header)?)?;
            held.ended.iter().try_for_each(|(x, outcome)| write(line(&Line::of(x, outcome))?))
        })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// The last outcome of a point is the one that counts.
    fn take(&mut self, x: &[f64], outcome: Outcome) {
        match self.known.get(&bits(x)) {
            Some(at) => self.ended[*at].1 = outcome,
            None => {
                self.known.insert(bits(x), self.ended.len());
                self.ended.push((x.to_vec(), outcome));
            }
        }
    }
}

impl Line {
    fn of(x: &[f64], outcome: &Outcome) -> Line {
        let x = x.to_vec();
        match outcome {
            // JSON has no NaN.
            Outcome::Outputs(y) => {
                let y = y.iter().map(|y| y.is_finite().then_some(*y)).collect();
                Line { x, y: Some(y), failed: None, attempts: None }
            }
            Outcome::Failed { why, attempts } => {
                Line { x, y: None, failed: Some(why.clone()), attempts: Some(*attempts) }
            }
        }
    }
}

fn bits(x: &[f64]) -> Vec<u64> {
    x.iter().map(|x| x.to_bits()).collect()
}

fn line(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec(value).map_err(|e| Error::numeric("a line of runs", e.to_string()))?;
    text.push(b'\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names() -> Vec<String> {
        ["a", "b"].map(str::to_owned).to_vec()
    }

    /// A file that goes away with the test.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Place {
            let path = std::env::temp_dir().join(format!("quadrat-{name}-{}.jsonl", std::process::id()));
            let _ = std::fs::remove_file(&path);
            Place(path)
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// Whatever the numbers, a run that was kept is found again to the bit; a torn last line costs that line only.
        #[test]
        fn runs_come_back_to_the_bit(points in prop::collection::vec((any::<f64>(), any::<f64>(), any::<f64>()), 1..20), torn in 1_usize..12) {
            let place = Place::new("runs-bits");
            let finite = points.into_iter().filter(|(a, b, y)| a.is_finite() && b.is_finite() && y.is_finite());
            let points: Vec<_> = finite.collect();
            let runs = Runs::open(&place.0, "p", &names()).unwrap();
            for (a, b, y) in &points {
                runs.keep(&[*a, *b], Outcome::Outputs(vec![*y, f64::NAN])).unwrap();
            }
            drop(runs);
            let mut file = OpenOptions::new().append(true).open(&place.0).unwrap();
            file.write_all(&br#"{"x":[1.0,2.0],"y":[3.0]}"#[..torn]).unwrap();
            drop(file);
            for _ in 0..2 {
                let runs = Runs::open(&place.0, "p", &names()).unwrap();
                for (i, (a, b, y)) in points.iter().enumerate() {
                    if points[i + 1..].iter().any(|(c, d, _)| c.to_bits() == a.to_bits() && d.to_bits() == b.to_bits()) {
                        continue;
                    }
                    let Some(Outcome::Outputs(found)) = runs.find(&[*a, *b]) else { panic!() };
                    prop_assert!(found[0].to_bits() == y.to_bits() && found[1].is_nan());
                }
            }
            prop_assert!(std::fs::read_to_string(&place.0).unwrap().ends_with('\n'));
        }
    }

    #[test]
    fn other_programs_other_files_and_open_journals_are_refused() {
        let place = Place::new("runs-refused");
        let runs = Runs::open(&place.0, "p {a} {b}", &names()).unwrap();
        runs.keep(&[1.0, 2.0], Outcome::Failed { why: "exit".into(), attempts: 2 }).unwrap();
        let busy = Runs::open(&place.0, "p {a} {b}", &names()).unwrap_err().to_string();
        assert!(busy.contains("another program"), "{busy}");
        drop(runs);
        for (program, inputs, part) in
            [("q {a} {b}", names(), "runs of `p {a} {b}`"), ("p {a} {b}", vec!["b".into()], "inputs a, b")]
        {
            let error = Runs::open(&place.0, program, &inputs).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains("never mixed"), "{error}");
        }
        let again = Runs::open(&place.0, "p {a} {b}", &names()).unwrap();
        assert_eq!(again.find(&[1.0, 2.0]), Some(Outcome::Failed { why: "exit".into(), attempts: 2 }));
        again.keep(&[1.0, 2.0], Outcome::Outputs(vec![4.0])).unwrap();
        assert_eq!(again.answered(), 1);
        drop(again);
        for (text, part) in [
            ("a,b\n1,2\n", "no file of runs"),
            ("{\"quadrat\":\"runs 9\",\"program\":\"p\",\"inputs\":[]}\n", "runs 9"),
            ("{\"quadrat\":\"runs 1\",\"program\":\"p\",\"inputs\":[\"a\",\"b\"]}\n{\"x\":[1.0]}\n", ":2: 1 inputs"),
            (
                "{\"quadrat\":\"runs 1\",\"program\":\"p\",\"inputs\":[\"a\",\"b\"]}\n{\"x\":[1.0,2.0]}\n",
                ":2: a run has",
            ),
            ("{\"quadrat\":\"runs 1\",\"program\":\"p\",\"inputs\":[\"a\",\"b\"]}\nhello\n", ":2: not a run"),
        ] {
            std::fs::write(&place.0, text).unwrap();
            let error = Runs::open(&place.0, "p", &names()).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
            assert_eq!(std::fs::read_to_string(&place.0).unwrap(), text);
        }
    }
}
