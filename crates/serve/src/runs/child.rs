//! One run as a program of its own.

use super::queue::Live;
use super::record::{Content, Record, State};
use crate::memory;
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Between two looks at a run.
const TICK: Duration = Duration::from_millis(10);
/// Between two looks at its memory.
const LOOK: Duration = Duration::from_millis(250);
/// How long a run may take to stop when it is asked to.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of a run's notes that are kept.
const MOST_NOTES: usize = 1 << 20;

/// Whether a run is to stop.
#[derive(Debug, Default)]
pub struct Stop(AtomicBool);

impl Stop {
    /// Asks it to.
    pub fn ask(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn asked(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Starts the run, follows it to its end, and says in the record how it ended.
pub fn run(record: &mut Record, program: &Path, root: &Path, place: &Path, live: &watch::Sender<Live>, stop: &Stop) {
    let input = record.input.as_ref().map(|input| root.join(input)).filter(|path| path.is_file());
    // The digest is taken while the run works: it must not wait for it.
    let content = std::thread::spawn(move || input.and_then(|path| Content::of(&path)));
    let ended = start(record, program, root, place).and_then(|child| follow(child, place, live, stop));
    record.content = content.join().ok().flatten();
    match ended {
        Ok(End { code, notes, killed }) => {
            record.code = code;
            record.state = match code {
                Some(0) => State::Done,
                _ if stop.asked() => State::Cancelled,
                _ => State::Failed,
            };
            if record.state == State::Failed {
                record.error = Some(killed.unwrap_or_else(|| last_error(&notes)));
            }
        }
        Err(error) => {
            record.state = State::Failed;
            record.error = Some(error.to_string());
        }
    }
    // What a run that did not end well has said may be half of something.
    let said = place.join(PART);
    let _ = match record.state {
        State::Done => std::fs::rename(said, place.join("stdout.json")),
        _ => std::fs::remove_file(said),
    };
}

/// Standard output until the run is over.
pub const PART: &str = "stdout.part";

fn start(record: &Record, program: &Path, root: &Path, place: &Path) -> std::io::Result<Child> {
    let mut command = Command::new(program);
    command.args(&record.words).current_dir(root);
    command.env("QUADRAT_PROGRESS", "json").env("QUADRAT_STOP", "stdin");
    command.stdin(Stdio::piped()).stdout(File::create(place.join(PART))?).stderr(Stdio::piped());
    command.spawn()
}

/// How a run ended.
struct End {
    code: Option<i32>,
    notes: String,
    /// Why it was killed, where the user did not ask for it.
    killed: Option<String>,
}

fn follow(mut child: Child, place: &Path, live: &watch::Sender<Live>, stop: &Stop) -> std::io::Result<End> {
    // The run stops once its standard input ends: when we let go of it, or when we are gone.
    let mut held = child.stdin.take();
    let errors = child.stderr.take();
    let heard = live.clone();
    let listener = std::thread::spawn(move || errors.map(|errors| listen(errors, &heard)).unwrap_or_default());
    let room = memory::free();
    let (mut asked, mut looked, mut killed) = (None, Instant::now(), None);
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if stop.asked() && asked.is_none() {
            asked = Some(Instant::now());
            held = None;
        }
        if asked.is_some_and(|asked: Instant| asked.elapsed() > PATIENCE) {
            child.kill()?;
        }
        if looked.elapsed() > LOOK {
            looked = Instant::now();
            if let Some((used, room)) = memory::used(child.id()).zip(room).filter(|(used, room)| used > room) {
                killed = Some(memory::too_much(used, room));
                child.kill()?;
            }
        }
        std::thread::sleep(TICK);
    };
    drop(held);
    let notes = listener.join().unwrap_or_default();
    let part = place.join("stderr.part");
    File::create(&part)?.write_all(notes.as_bytes())?;
    std::fs::rename(part, place.join("stderr.txt"))?;
    Ok(End { code: status.code(), notes, killed })
}

/// Hears progress, and returns all else that is said.
fn listen(errors: impl Read, live: &watch::Sender<Live>) -> String {
    let mut notes = String::new();
    let mut lines = BufReader::new(errors);
    let mut line = Vec::new();
    while lines.by_ref().take(MOST_NOTES as u64).read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        let text = String::from_utf8_lossy(&line);
        match serde_json::from_str::<Value>(&text) {
            Ok(said) if said.is_object() => {
                live.send_modify(|live| hear(live, &said));
            }
            _ if notes.len() + text.len() <= MOST_NOTES => notes.push_str(&text),
            _ => {}
        }
        line.clear();
    }
    notes
}

fn hear(live: &mut Live, said: &Value) {
    if let Some(what) = said["begin"].as_str() {
        (live.what, live.at, live.note) = (what.to_owned(), 0, String::new());
        live.total = said["total"].as_u64();
    }
    if let Some(at) = said["at"].as_u64() {
        live.at = at;
    }
    if let Some(note) = said["note"].as_str() {
        note.clone_into(&mut live.note);
    }
}

/// What the run said last of what is wrong.
fn last_error(notes: &str) -> String {
    let mut said = notes.lines().filter(|line| !line.starts_with("quadrat: note: ") && !line.trim().is_empty());
    let line = said.next_back().unwrap_or("it ended without a word");
    line.strip_prefix("quadrat: ").unwrap_or(line).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_heard_and_notes_are_kept() {
        let live = watch::Sender::new(Live {
            state: State::Running,
            what: String::new(),
            at: 0,
            total: None,
            note: String::new(),
        });
        let said = "{\"begin\":\"reading\",\"total\":7}\nquadrat: note: gaps\n{\"at\":3}\n{\"note\":\"half\"}\n\
                    quadrat: no such column\n";
        let notes = listen(said.as_bytes(), &live);
        assert_eq!(notes, "quadrat: note: gaps\nquadrat: no such column\n");
        assert_eq!(last_error(&notes), "no such column");
        let now = live.borrow().clone();
        assert_eq!((now.what.as_str(), now.at, now.total, now.note.as_str()), ("reading", 3, Some(7), "half"));
        assert_eq!(last_error(""), "it ended without a word");
    }
}
