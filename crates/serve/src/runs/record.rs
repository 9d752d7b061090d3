//! What is known of a run.

use crate::command::{Form, Plan};
use quadrat::{Error, Result, write_atomic_bytes};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It waits for its turn.
    Queued,
    /// It works.
    Running,
    /// It ended well.
    Done,
    /// It ended with an error.
    Failed,
    /// The user stopped it.
    Cancelled,
    /// The server ended before it did.
    Interrupted,
}

impl State {
    /// Whether nothing more happens.
    pub fn is_over(self) -> bool {
        !matches!(self, State::Queued | State::Running)
    }

    /// As a word.
    pub fn word(self) -> &'static str {
        match self {
            State::Queued => "waiting",
            State::Running => "running",
            State::Done => "done",
            State::Failed => "failed",
            State::Cancelled => "cancelled",
            State::Interrupted => "interrupted",
        }
    }
}

/// A run as its folder tells it. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its number.
    pub id: u64,
    /// How far it is.
    pub state: State,
    /// The form that it was made of.
    pub form: Form,
    /// The words after the program's name.
    pub words: Vec<String>,
    /// The method, where one is named.
    pub method: Option<String>,
    /// The input, as it was typed.
    pub input: Option<String>,
    /// What was in it.
    pub content: Option<Content>,
    /// The output's name in the folder.
    pub out: Option<String>,
    /// When it was asked for.
    pub queued: u64,
    /// When it began.
    pub started: Option<u64>,
    /// When it was over.
    pub ended: Option<u64>,
    /// The program's exit code.
    pub code: Option<i32>,
    /// Why it failed.
    pub error: Option<String>,
}

impl Record {
    /// A run that waits.
    pub fn new(id: u64, form: Form, plan: Plan) -> Self {
        let Plan { words, method, input, out } = plan;
        let (content, started, ended, code, error) = (None, None, None, None, None);
        Record {
            id,
            state: State::Queued,
            form,
            words,
            method,
            input,
            content,
            out,
            queued: now(),
            started,
            ended,
            code,
            error,
        }
    }

    /// Seconds that it worked.
    pub fn seconds(&self) -> Option<f64> {
        let (started, ended) = self.started.zip(self.ended)?;
        Some(ended.saturating_sub(started) as f64 / 1000.0)
    }

    /// Writes it into its folder.
    ///
    /// # Errors
    /// The operating system refuses.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).map_err(|e| Error::numeric("run.json", e.to_string()))?;
        write_atomic_bytes(&folder.join("run.json"), &text)
    }

    /// Reads it; none where there is no record.
    pub fn read(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(folder.join("run.json")).ok()?).ok()
    }
}

/// What was in an input: the same digest is the same file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// SHA-256.
    pub sha256: String,
    /// Size.
    pub bytes: u64,
}

impl Content {
    /// Of a file; none of a folder or of what cannot be read.
    pub fn of(path: &Path) -> Option<Self> {
        let mut file = File::open(path).ok()?;
        let (mut hash, mut bytes, mut block) = (Sha256::new(), 0, vec![0; 1 << 16]);
        loop {
            match file.read(&mut block).ok()? {
                0 => break,
                read => {
                    hash.update(&block[..read]);
                    bytes += read as u64;
                }
            }
        }
        let sha256 = hash.finalize().iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        Some(Content { sha256, bytes })
    }
}

/// Milliseconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_millis() as u64)
}
