//! Programs of the user's: their command lines, and how they are started and ended.

use quadrat::{Error, Result};
use std::process::{Child, Command};
use std::time::Duration;

/// Between two looks at the clock while a program is waited for.
pub const TICK: Duration = Duration::from_millis(50);

/// A command line, split into words.
#[derive(Debug)]
pub struct CommandLine {
    /// The words; with a shell, the whole line as one.
    pub words: Vec<String>,
    /// Whether a shell is called.
    pub shell: bool,
}

impl CommandLine {
    /// Splits the command into words as a shell does; a shell is called only for what words cannot say. `option` is where
    /// the command was given.
    pub fn parse(option: &str, command: &str) -> Result<CommandLine> {
        let shell = needs_shell(command);
        let words = if shell { Some(vec![command.to_owned()]) } else { shlex::split(command) };
        match words {
            Some(words) if words.first().is_some_and(|first| !first.is_empty()) => Ok(CommandLine { words, shell }),
            Some(_) => Err(Error::input(option, "nothing to run", "name a program")),
            None => Err(Error::input(option, format!("`{command}`"), "close its quotes")),
        }
    }

    /// The command with every word put through `fill`.
    pub fn command(&self, fill: impl Fn(&str) -> String) -> Command {
        let mut words = self.words.iter().map(|word| fill(word));
        let mut command = Command::new(if self.shell { "sh".to_owned() } else { words.next().unwrap_or_default() });
        if self.shell {
            command.arg("-c");
        }
        command.args(words);
        // A group of its own: what the program starts ends with it, and Ctrl-C reaches us first.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command
    }
}

/// A limit in seconds.
pub fn limit(option: &str, seconds: f64) -> Result<Duration> {
    if !(seconds > 0.0 && seconds < 1e9) {
        return Err(Error::input(option, seconds, "use a positive number of seconds"));
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// Ends a program and all it has started.
pub fn kill(child: &mut Child) {
    #[cfg(unix)]
    if let Ok(id) = i32::try_from(child.id()) {
        let _ = nix::sys::signal::killpg(nix::unistd::Pid::from_raw(id), nix::sys::signal::Signal::SIGKILL);
    }
    let _ = child.kill();
    let _ = child.wait();
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
            assert_eq!(CommandLine::parse("--command", command).unwrap().shell, shell, "{command}");
        }
    }

    #[test]
    fn commands_that_cannot_run_are_refused() {
        for (command, part) in [("'{a}{b}", "close its quotes"), ("", "name a program"), ("'' x", "name a program")] {
            let error = CommandLine::parse("--command", command).unwrap_err().to_string();
            assert!(error.contains(part), "{command}: {error}");
        }
    }
}
