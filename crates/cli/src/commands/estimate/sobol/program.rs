//! An external program as a model: one run a point, its standard output one number or more.

use ndarray::{Array2, ArrayView1, ArrayView2};
use quadrat::estimate::sobol::Input;
use quadrat::{Error, Progress, Result, checkpoint};
use rayon::prelude::*;
use std::process::{Command, Stdio};

/// A command line with places for the inputs.
#[derive(Debug)]
pub struct Program {
    /// The words; with a shell, the whole line as one.
    words: Vec<String>,
    shell: bool,
    inputs: Vec<String>,
}

impl Program {
    /// Splits the command into words as a shell does; a shell is called only for what words cannot say.
    pub fn parse(command: &str, inputs: &[Input]) -> Result<Program> {
        let inputs: Vec<String> = inputs.iter().map(|input| input.name.clone()).collect();
        if let Some(absent) = inputs.iter().find(|name| !command.contains(&place(name))) {
            let want = format!("write {} where the input goes, or take it out of the problem", place(absent));
            return Err(Error::input("--command", format!("nothing for the input `{absent}`"), want));
        }
        let shell = needs_shell(command);
        let words = if shell { Some(vec![command.to_owned()]) } else { shlex::split(command) };
        match words {
            Some(words) if words.first().is_some_and(|first| !first.is_empty()) => Ok(Program { words, shell, inputs }),
            Some(_) => Err(Error::input("--command", "nothing to run", "name a program")),
            None => Err(Error::input("--command", format!("`{command}`"), "close its quotes")),
        }
    }

    /// The outputs at every point, in parallel.
    pub fn run(&self, x: ArrayView2<f64>, progress: &dyn Progress) -> Result<Array2<f64>> {
        progress.begin("running the model", Some(x.nrows() as u64));
        let one = |row: usize| {
            checkpoint(progress)?;
            let outputs = self.once(x.row(row));
            // Ctrl-C reaches the program too: its failure is then ours.
            checkpoint(progress)?;
            progress.advance(1);
            outputs
        };
        let outputs = (0..x.nrows()).into_par_iter().with_max_len(1).map(one).collect::<Result<Vec<_>>>()?;
        let width = outputs.first().map_or(0, Vec::len);
        if let Some(row) = outputs.iter().position(|row| row.len() != width) {
            let got = format!("{} numbers", outputs[row].len());
            return Err(self.failure(x.row(row), &got, &format!("other points gave {width}")));
        }
        let rows = outputs.len();
        let outputs = Array2::from_shape_vec((rows, width), outputs.concat());
        outputs.map_err(|e| Error::numeric("outputs of the model", e.to_string()))
    }

    fn once(&self, x: ArrayView1<f64>) -> Result<Vec<f64>> {
        let filled: Vec<String> = self.words.iter().map(|word| self.fill(word, x)).collect();
        let mut command = if self.shell {
            let mut shell = Command::new("sh");
            shell.arg("-c").args(&filled);
            shell
        } else {
            let mut command = Command::new(&filled[0]);
            command.args(&filled[1..]);
            command
        };
        let output = command.stdin(Stdio::null()).output().map_err(|e| {
            self.failure(x, &format!("`{}` did not start: {e}", filled[0]), "name a program that runs here")
        })?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            let last = errors.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no message");
            return Err(self.failure(x, &output.status.to_string(), last.trim()));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let numbers: Option<Vec<f64>> = text
            .split(|c: char| c.is_whitespace() || c == ',' || c == ';')
            .filter(|word| !word.is_empty())
            .map(|word| word.parse().ok().filter(|number: &f64| number.is_finite()))
            .collect();
        match numbers {
            Some(numbers) if !numbers.is_empty() => Ok(numbers),
            _ => {
                let shown: String = text.trim().chars().take(80).collect();
                Err(self.failure(x, &format!("`{shown}`"), "print one finite number or more, and nothing else"))
            }
        }
    }

    fn fill(&self, word: &str, x: ArrayView1<f64>) -> String {
        // One pass, since an input's number never holds another's place.
        self.inputs.iter().zip(x).fold(word.to_owned(), |word, (name, x)| word.replace(&place(name), &format!("{x:?}")))
    }

    /// An error that names the point.
    fn failure(&self, x: ArrayView1<f64>, got: &str, want: &str) -> Error {
        let at: Vec<String> = self.inputs.iter().zip(x).map(|(name, x)| format!("{name} = {x:?}")).collect();
        Error::input(format!("the model at {}", at.join(", ")), got, want)
    }
}

fn place(name: &str) -> String {
    format!("{{{name}}}")
}

/// Whether the command has something outside quotes that only a shell understands.
fn needs_shell(command: &str) -> bool {
    let mut quote = None;
    let mut escaped = false;
    for c in command.chars() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (None | Some('"'), '\\') => escaped = true,
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            (None, '|' | '&' | ';' | '<' | '>' | '(' | ')' | '*' | '?' | '#' | '~') => return true,
            // Expansions work inside double quotes as well.
            (None | Some('"'), '$' | '`') => return true,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use quadrat::estimate::Law;

    fn inputs() -> Vec<Input> {
        ["a", "b"].map(|name| Input { name: name.into(), law: Law::Uniform { min: 0.0, max: 1.0 } }).to_vec()
    }

    #[test]
    fn a_shell_is_called_only_where_words_do_not_do() {
        for (command, shell) in [
            ("./model {a} {b}", false),
            ("./model '{a};' \"a|b\" {b}", false),
            ("awk 'BEGIN {print $1 * {a} + {b}}'", false),
            ("echo {a} {b} | cut -d' ' -f1", true),
            ("echo \"$HOME\" {a} {b}", true),
            ("echo \\$ {a} {b}", false),
        ] {
            assert_eq!(Program::parse(command, &inputs()).unwrap().shell, shell, "{command}");
        }
    }

    #[test]
    fn numbers_take_their_places() {
        let program = Program::parse("model --a={a} '{b} {a}'", &inputs()).unwrap();
        let x = array![1e-9, 2.5];
        let words: Vec<String> = program.words.iter().map(|word| program.fill(word, x.view())).collect();
        assert_eq!(words, ["model", "--a=1e-9", "2.5 1e-9"]);
    }

    #[test]
    fn commands_that_cannot_run_are_refused() {
        for (command, part) in [("./model {a}", "`b`"), ("'{a}{b}", "close its quotes"), ("", "`a`")] {
            let error = Program::parse(command, &inputs()).unwrap_err().to_string();
            assert!(error.contains(part), "{command}: {error}");
        }
    }
}
