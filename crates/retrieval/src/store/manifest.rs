//! The one file that says which files an index is made of. Replacing it is what makes an addition or a deletion happen.

use super::Setup;
use quadrat_core::{Error, Result, write_atomic_bytes};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::path::Path;

const NAME: &str = "index.json";
const FORMAT: &str = "quadrat-index";
const VERSION: u32 = 1;

/// What is in an index's folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    format: String,
    version: u32,
    /// What the index is set with.
    #[serde(flatten)]
    pub setup: Setup,
    /// Its segments, the oldest first.
    pub segments: Vec<Part>,
    /// Number of the next file.
    pub next: u64,
}

/// A segment's files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The segment.
    pub file: String,
    /// Which of its documents were deleted.
    pub deleted: Option<String>,
}

impl Manifest {
    /// Of an index without documents.
    pub fn new(setup: Setup) -> Manifest {
        Manifest { format: FORMAT.into(), version: VERSION, setup, segments: Vec::new(), next: 1 }
    }

    /// Of the index in `folder`.
    ///
    /// # Errors
    /// No index there; one of a newer version, of another kind, or a damaged one.
    pub fn read(folder: &Path) -> Result<Manifest> {
        let path = folder.join(NAME);
        let file = path.display().to_string();
        let text = std::fs::read(&path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => {
                Error::input("index", folder.display(), "a folder that `quadrat retrieve index` made")
            }
            _ => Error::io(&path, e),
        })?;
        // The version first: a newer file may look otherwise.
        #[derive(Deserialize)]
        struct Head {
            format: String,
            version: u32,
        }
        let head: Head = serde_json::from_slice(&text).map_err(|e| Error::data(&file, None, e.to_string()))?;
        if head.format != FORMAT {
            return Err(Error::data(file, None, format!("`{}` is no {FORMAT}", head.format)));
        }
        if head.version > VERSION {
            let why = format!(
                "an index of version {}, and this program reads up to {VERSION}: use a newer one, or make the index anew",
                head.version
            );
            return Err(Error::data(file, None, why));
        }
        serde_json::from_slice(&text).map_err(|e| Error::data(file, None, e.to_string()))
    }

    /// Puts it in its place.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(NAME);
        let text = serde_json::to_vec_pretty(self)
            .map_err(|e| Error::data(path.display().to_string(), None, e.to_string()))?;
        write_atomic_bytes(&path, &text)
    }

    /// A name for a new file.
    pub fn name(&mut self, ending: &str) -> String {
        let name = format!("{:06}.{ending}", self.next);
        self.next += 1;
        name
    }

    /// Removes what is no part of the index any more, or was left by a program that was killed.
    pub fn sweep(&self, folder: &Path) {
        let used =
            |name: &str| self.segments.iter().any(|part| part.file == name || part.deleted.as_deref() == Some(name));
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let ours = name.as_bytes().first().is_some_and(u8::is_ascii_digit)
                && (name.contains(".segment") || name.contains(".deleted"));
            if ours && !used(&name) {
                // Another program may have it open where that forbids removal: the next sweep will do.
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

/// Held while an index is changed: of two programs the second is refused.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "the lock is the open file")] File);

impl Lock {
    /// Of the index in `folder`.
    pub fn take(folder: &Path) -> Result<Lock> {
        let path = folder.join("lock");
        let file = File::create(&path).map_err(|e| Error::io(&path, e))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock(file)),
            Err(std::fs::TryLockError::WouldBlock) => {
                let want = "another program is changing it: wait until that is done";
                Err(Error::input("index", folder.display(), want))
            }
            Err(std::fs::TryLockError::Error(e)) => Err(Error::io(&path, e)),
        }
    }
}
