//! An external program as a model: one run a point, its standard output one number or more.

use crate::process::{CommandLine, TICK, kill};
use quadrat::estimate::sobol::Input;
use quadrat::{Error, Progress, Result, checkpoint};
use std::io::Read;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// A command line with places for the inputs.
#[derive(Debug)]
pub struct Program {
    line: CommandLine,
    inputs: Vec<String>,
}

impl Program {
    /// The program of a command line that has a place for every input.
    pub fn parse(command: &str, inputs: &[Input]) -> Result<Program> {
        let inputs: Vec<String> = inputs.iter().map(|input| input.name.clone()).collect();
        if let Some(absent) = inputs.iter().find(|name| !command.contains(&place(name))) {
            let want = format!("write {} where the input goes, or take it out of the problem", place(absent));
            return Err(Error::input("--command", format!("nothing for the input `{absent}`"), want));
        }
        Ok(Program { line: CommandLine::parse("--command", command)?, inputs })
    }

    /// One run, which is ended after `limit` if there is one, or when the user stops the job.
    ///
    /// # Errors
    /// A program that does not start; a job that was stopped. A run that fails is no error: it ends with a reason.
    pub fn once(&self, x: &[f64], limit: Option<Duration>, progress: &dyn Progress) -> Result<Ended> {
        let mut command = self.line.command(|word| self.fill(word, x));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let name = command.get_program().display().to_string();
        let not_run = |e: std::io::Error| {
            let got = format!("`{name}` did not start: {e}");
            Error::input(self.point(x), got, "name a program that runs here")
        };
        let mut child = command.spawn().map_err(not_run)?;
        let ended = wait(&mut child, limit, progress);
        if !matches!(ended, Ok(Some(_))) {
            kill(&mut child);
        }
        let Some((status, [output, errors])) = ended? else {
            let within = limit.map_or_else(String::new, |limit| format!(" within {} s", limit.as_secs_f64()));
            return Ok(Err(format!("no answer{within}")));
        };
        if !status.success() {
            let errors = String::from_utf8_lossy(&errors);
            let last = errors.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no message");
            return Ok(Err(format!("{status}; {}", last.trim())));
        }
        let text = String::from_utf8_lossy(&output);
        let words = text.split(|c: char| c.is_whitespace() || c == ',' || c == ';').filter(|word| !word.is_empty());
        let numbers: Option<Vec<f64>> = words.map(|word| word.parse().ok()).collect();
        Ok(match numbers {
            Some(numbers) if !numbers.is_empty() => Ok(numbers),
            _ => {
                let shown: String = text.trim().chars().take(80).collect();
                Err(format!("it printed `{shown}`; it must print one finite number or more, and nothing else"))
            }
        })
    }

    /// The names of the inputs.
    pub fn inputs(&self) -> &[String] {
        &self.inputs
    }

    /// A point in words.
    pub fn point(&self, x: &[f64]) -> String {
        let at: Vec<String> = self.inputs.iter().zip(x).map(|(name, x)| format!("{name} = {x:?}")).collect();
        format!("the model at {}", at.join(", "))
    }

    fn fill(&self, word: &str, x: &[f64]) -> String {
        // One pass, since an input's number never holds another's place.
        self.inputs.iter().zip(x).fold(word.to_owned(), |word, (name, x)| word.replace(&place(name), &format!("{x:?}")))
    }
}

/// The numbers that a run printed, or why there are none.
pub type Ended = std::result::Result<Vec<f64>, String>;

/// Waits until the program has closed its output and ended: its status with what it printed and complained, or none if
/// time was up.
fn wait(
    child: &mut Child,
    limit: Option<Duration>,
    progress: &dyn Progress,
) -> Result<Option<(ExitStatus, [Vec<u8>; 2])>> {
    let deadline = limit.map(|limit| Instant::now() + limit);
    let left = || deadline.map_or(TICK, |deadline| TICK.min(deadline.saturating_duration_since(Instant::now())));
    let (send, receive) = mpsc::channel();
    // Both are read as they come, or a program that fills one would wait for ever.
    let stdout = child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>);
    let stderr = child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>);
    for (which, pipe) in [stdout, stderr].into_iter().enumerate() {
        let send = send.clone();
        std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = pipe.map(|mut pipe| pipe.read_to_end(&mut text));
            // Nobody listens any more once time is up.
            let _ = send.send((which, text));
        });
    }
    let mut texts = [Vec::new(), Vec::new()];
    let mut open = 2;
    while open > 0 {
        match receive.recv_timeout(left()) {
            Ok((which, text)) => {
                texts[which] = text;
                open -= 1;
            }
            Err(_) => {
                checkpoint(progress)?;
                if left().is_zero() {
                    return Ok(None);
                }
            }
        }
    }
    loop {
        match child.try_wait().map_err(|e| Error::numeric("waiting for the model", e.to_string()))? {
            Some(status) => return Ok(Some((status, texts))),
            None if left().is_zero() => return Ok(None),
            None => {
                checkpoint(progress)?;
                std::thread::sleep(Duration::from_micros(200));
            }
        }
    }
}

fn place(name: &str) -> String {
    format!("{{{name}}}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use quadrat::estimate::Law;

    fn inputs() -> Vec<Input> {
        ["a", "b"].map(|name| Input { name: name.into(), law: Law::Uniform { min: 0.0, max: 1.0 } }).to_vec()
    }

    #[test]
    fn numbers_take_their_places() {
        let program = Program::parse("model --a={a} '{b} {a}'", &inputs()).unwrap();
        let x = [1e-9, 2.5];
        let words: Vec<String> = program.line.words.iter().map(|word| program.fill(word, &x)).collect();
        assert_eq!(words, ["model", "--a=1e-9", "2.5 1e-9"]);
    }

    #[test]
    fn every_input_has_a_place() {
        for (command, part) in [("./model {a}", "`b`"), ("", "`a`")] {
            let error = Program::parse(command, &inputs()).unwrap_err().to_string();
            assert!(error.contains(part), "{command}: {error}");
        }
    }
}
