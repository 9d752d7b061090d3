//! A program of the user's that answers one line for each line that it reads.

use crate::process::{CommandLine, TICK, kill};
use quadrat::{Error, Progress, Result, checkpoint};
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The longest line that is read.
const LONGEST: usize = 64 << 20;

/// How long a program may take to end once its input or its output is closed.
const LEAVE: Duration = Duration::from_millis(500);

/// The program, started when it is first asked, and again where it ended well after an answer.
pub struct Program<'a> {
    /// Where its command line was given.
    option: &'static str,
    line: CommandLine,
    limit: Duration,
    progress: &'a dyn Progress,
    running: Option<Running>,
}

/// A program that has been started.
struct Running {
    child: Child,
    input: Option<ChildStdin>,
    output: Receiver<Vec<u8>>,
    /// What it has written and nobody has read yet.
    heard: Vec<u8>,
    complaints: Arc<Mutex<Vec<u8>>>,
    answered: bool,
}

/// What a program answered to a line.
pub enum Said {
    /// A line.
    Line(String),
    /// None, and why.
    Fault(String),
}

/// What came of one line.
enum Heard {
    Line(String),
    /// It had ended before it read the line, and after it answered all others.
    Gone,
    Fault(String),
}

impl<'a> Program<'a> {
    pub fn new(option: &'static str, line: CommandLine, limit: Duration, progress: &'a dyn Progress) -> Self {
        Program { option, line, limit, progress, running: None }
    }

    fn start(&self) -> Result<Running> {
        let mut command = self.line.command(str::to_owned);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|e| {
            let got = format!("`{}` did not start: {e}", command.get_program().display());
            Error::input(self.option, got, "name a program that runs here")
        })?;
        // Both are read as they come, or a program that fills one would wait for ever; of what nobody has asked for only as
        // much as the channel holds.
        let (send, output) = mpsc::sync_channel(16);
        if let Some(pipe) = child.stdout.take() {
            std::thread::spawn(move || pump(pipe, |bytes| send.send(bytes.to_vec()).is_ok()));
        }
        let complaints = Arc::new(Mutex::new(Vec::new()));
        if let Some(pipe) = child.stderr.take() {
            let kept = Arc::clone(&complaints);
            std::thread::spawn(move || {
                pump(pipe, |bytes| {
                    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                    kept.extend_from_slice(bytes);
                    // Only the last words are ever shown.
                    let old = kept.len().saturating_sub(1 << 16);
                    kept.drain(..old);
                    true
                });
            });
        }
        let input = child.stdin.take();
        Ok(Running { child, input, output, heard: Vec::new(), complaints, answered: false })
    }

    /// Its answer to a line, which ends in a line break.
    pub fn say(&mut self, line: &str) -> Result<Said> {
        // A program that ends well after each answer is started again; one that then says nothing has a fault.
        for _ in 0..2 {
            let mut running = match self.running.take() {
                Some(running) => running,
                None => self.start()?,
            };
            match running.ask(line, self.limit, self.progress)? {
                Heard::Line(text) => {
                    self.running = Some(running);
                    return Ok(Said::Line(text));
                }
                Heard::Fault(why) => return Ok(Said::Fault(why)),
                Heard::Gone => {}
            }
        }
        Ok(Said::Fault("it ends as soon as it is started".to_owned()))
    }

    /// Ends it, so that the next line begins anew.
    pub fn restart(&mut self) {
        self.running = None;
    }
}

impl Running {
    fn ask(&mut self, line: &str, limit: Duration, progress: &dyn Progress) -> Result<Heard> {
        while self.heard.is_empty() {
            match self.output.try_recv() {
                Ok(bytes) => self.heard.extend(bytes),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Ok(self.ended()),
            }
        }
        if !self.heard.is_empty() {
            return Ok(Heard::Fault(format!("it wrote what nobody asked for: {}", self.quoted())));
        }
        let written = self.input.as_mut().map(|input| input.write_all(line.as_bytes()).and_then(|()| input.flush()));
        if !matches!(written, Some(Ok(()))) {
            return Ok(self.ended());
        }
        let deadline = Instant::now() + limit;
        let mut searched = 0;
        loop {
            if let Some(end) = self.heard[searched..].iter().position(|byte| *byte == b'\n').map(|at| searched + at) {
                let line: Vec<u8> = self.heard.drain(..=end).collect();
                self.answered = true;
                return Ok(Heard::Line(String::from_utf8_lossy(&line[..end]).into_owned()));
            }
            if self.heard.len() > LONGEST {
                return Ok(Heard::Fault(format!("its line is longer than {} MiB", LONGEST >> 20)));
            }
            checkpoint(progress)?;
            if Instant::now() >= deadline {
                let so_far = match self.heard.is_empty() {
                    true => self.last_words(),
                    false => format!("; so far it has written {}", self.quoted()),
                };
                return Ok(Heard::Fault(format!("no whole line within {} s{so_far}", limit.as_secs_f64())));
            }
            searched = self.heard.len();
            match self.output.recv_timeout(TICK.min(deadline.saturating_duration_since(Instant::now()))) {
                Ok(bytes) => self.heard.extend(bytes),
                Err(RecvTimeoutError::Disconnected) => return Ok(self.ended()),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// What it means that its output is closed.
    fn ended(&mut self) -> Heard {
        let status = self.leave();
        let how = status.map_or_else(|| "it has closed its output".to_owned(), |status| format!("it ended ({status})"));
        if !self.heard.is_empty() {
            return Heard::Fault(format!("{how} in the middle of a line: {}", self.quoted()));
        }
        if self.answered && status.is_some_and(|status| status.success()) {
            return Heard::Gone;
        }
        Heard::Fault(format!("{how}{}", self.last_words()))
    }

    /// Its status, if it ends soon.
    fn leave(&mut self) -> Option<ExitStatus> {
        let deadline = Instant::now() + LEAVE;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(1)),
                _ => return None,
            }
        }
    }

    fn quoted(&self) -> String {
        let text: String = String::from_utf8_lossy(&self.heard).trim_end().chars().take(120).collect();
        format!("`{}`", text.replace(char::is_control, " "))
    }

    /// The last line of its standard error.
    fn last_words(&self) -> String {
        // What it wrote just before it ended may still be on its way.
        std::thread::sleep(Duration::from_millis(20));
        let text = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&text);
        let last = text.lines().rev().map(str::trim).find(|line| !line.is_empty());
        last.map_or_else(String::new, |line| {
            format!("; its last words: `{}`", line.chars().take(200).collect::<String>())
        })
    }
}

impl Drop for Running {
    /// A program that has no more input ends by itself; one that does not is ended with all that it started.
    fn drop(&mut self) {
        self.input = None;
        if self.leave().is_none() {
            kill(&mut self.child);
        }
    }
}

/// Hands on what comes, as long as `take` wants it.
fn pump(mut pipe: impl Read, mut take: impl FnMut(&[u8]) -> bool) {
    let mut buffer = vec![0; 1 << 14];
    loop {
        match pipe.read(&mut buffer) {
            Ok(0) => return,
            Ok(read) => {
                if !take(&buffer[..read]) {
                    return;
                }
            }
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}
