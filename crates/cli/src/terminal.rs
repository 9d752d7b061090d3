//! Progress bars for people, and the way a job is stopped.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use quadrat::{Error, Progress, Result, Silent};
use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Progress on the terminal: a bar where standard error is one, nothing in a pipe. Ctrl-C (or a polite kill) asks the
/// job to stop at its next checkpoint; a second one ends the program at once.
#[derive(Clone)]
pub struct Terminal {
    bar: ProgressBar,
    stop: Arc<AtomicBool>,
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
        let target =
            if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let terminal = Terminal { bar: ProgressBar::with_draw_target(None, target), stop };
        Ok(OPEN.get_or_init(|| terminal).clone())
    }

    /// Takes the bar off the screen.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Progress for Terminal {
    fn begin(&self, what: &str, total: Option<u64>) {
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
        self.bar.inc(n);
    }

    fn note(&self, how: &str) {
        self.bar.set_message(how.to_owned());
    }

    fn cancelled(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
