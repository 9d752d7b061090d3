//! Progress bars for people, lines for programs, and the way a job is stopped.
//!
//! A program that starts this one can ask for its progress as lines of JSON on standard error (`QUADRAT_PROGRESS=json`), and have
//! the job stop once standard input ends (`QUADRAT_STOP=stdin`): on every system, and also when that program is killed.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use quadrat::{Error, Progress, Result, Silent};
use serde_json::{Value, json};
use std::io::{IsTerminal, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Progress on the terminal: a bar where standard error is one, nothing in a pipe unless lines are asked for. Ctrl-C (or a
/// polite kill) asks the job to stop at its next checkpoint; a second one ends the program at once.
#[derive(Clone)]
pub struct Terminal {
    bar: ProgressBar,
    lines: Option<Arc<Lines>>,
    stop: Arc<AtomicBool>,
}

/// Between two lines that say how far a phase is.
const PAUSE: Duration = Duration::from_millis(100);

/// Progress as lines of JSON: `{"begin":"writing","total":null}`, `{"at":12}`, `{"note":"epoch 3"}`.
#[derive(Default)]
struct Lines {
    /// Steps done, and when that was last said.
    at: Mutex<(u64, Option<Instant>)>,
}

impl Lines {
    fn say(&self, line: &Value) {
        eprintln!("{line}");
    }

    fn begin(&self, what: &str, total: Option<u64>) {
        *self.at.lock().unwrap_or_else(PoisonError::into_inner) = (0, None);
        self.say(&json!({ "begin": what, "total": total }));
    }

    fn advance(&self, n: u64) {
        let mut at = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        at.0 += n;
        if at.1.is_none_or(|said| said.elapsed() >= PAUSE) {
            at.1 = Some(Instant::now());
            self.say(&json!({ "at": at.0 }));
        }
    }
}

/// The one that is open.
static OPEN: OnceLock<Terminal> = OnceLock::new();

/// The open terminal, for what outlives the call it is made in: files report to it whenever they are read.
pub fn open_one() -> Arc<dyn Progress + Send> {
    match OPEN.get() {
        Some(terminal) => Arc::new(terminal.clone()),
        None => Arc::new(Silent),
    }
}

/// What the shell is told after Ctrl-C.
pub const CANCELLED: u8 = 130;

impl Terminal {
    /// Starts listening for Ctrl-C. Once in a program.
    pub fn open() -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        ctrlc::set_handler(move || {
            if flag.swap(true, Ordering::SeqCst) {
                std::process::exit(i32::from(CANCELLED));
            }
        })
        .map_err(|e| Error::input("Ctrl-C", e, "its handler could not be installed"))?;
        let asked = |name, value| std::env::var_os(name).is_some_and(|given| given == value);
        if asked("QUADRAT_STOP", "stdin") {
            stop_with_standard_input(Arc::clone(&stop));
        }
        let lines = asked("QUADRAT_PROGRESS", "json").then(Arc::default);
        let bar = lines.is_none() && std::io::stderr().is_terminal();
        let target = if bar { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let terminal = Terminal { bar: ProgressBar::with_draw_target(None, target), lines, stop };
        Ok(OPEN.get_or_init(|| terminal).clone())
    }

    /// Takes the bar off the screen.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// Asks the job to stop when standard input ends.
fn stop_with_standard_input(stop: Arc<AtomicBool>) {
    std::thread::spawn(move || {
        let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
        stop.store(true, Ordering::SeqCst);
    });
}

impl Progress for Terminal {
    fn begin(&self, what: &str, total: Option<u64>) {
        if let Some(lines) = &self.lines {
            return lines.begin(what, total);
        }
        let template = match total {
            Some(_) => "{prefix:28} {bar:32.cyan/blue} {human_pos}/{human_len} {eta} left  {msg}",
            None => "{prefix:28} {spinner} {human_pos} {elapsed}  {msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
        self.bar.reset();
        match total {
            Some(total) => self.bar.set_length(total),
            None => self.bar.unset_length(),
        }
        self.bar.set_prefix(what.to_owned());
        self.bar.set_message("");
        self.bar.enable_steady_tick(Duration::from_millis(120));
    }

    fn advance(&self, n: u64) {
        match &self.lines {
            Some(lines) => lines.advance(n),
            None => self.bar.inc(n),
        }
    }

    fn note(&self, how: &str) {
        match &self.lines {
            Some(lines) => lines.say(&json!({ "note": how })),
            None => self.bar.set_message(how.to_owned()),
        }
    }

    fn cancelled(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
