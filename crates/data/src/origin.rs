//! Where the bytes of a columnar file are, and readers kept on a leash.

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use quadrat_core::{Error, Result};
use std::cell::Cell;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

/// Where the bytes are.
pub(crate) enum Origin {
    Path(PathBuf),
    Memory(Bytes),
}

thread_local! {
    /// Whether this thread is in a step that [`guarded`] runs.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic of this thread, now, would be caught and become an error. The readers of Parquet and Arrow panic on
/// some damaged files; a program that does not want to see the message of such a panic asks this in its panic hook.
pub fn panic_becomes_error() -> bool {
    GUARDED.get()
}

/// Runs a step of a reader of `format`. The readers of Parquet and Arrow panic on some damaged files (an unknown type in
/// the footer, a page that does not decode), which must be an error to us like any other damage.
pub(crate) fn guarded<T, E: std::fmt::Display>(
    file: &str,
    format: &str,
    step: impl FnOnce() -> std::result::Result<T, E>,
) -> Result<T> {
    let outside = GUARDED.replace(true);
    let done = catch_unwind(AssertUnwindSafe(step));
    GUARDED.set(outside);
    let why = match done {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(e)) => e.to_string(),
        Err(_) => "the content contradicts itself".to_owned(),
    };
    Err(Error::data(file, None, format!("not a readable {format} file: {why}")))
}

impl Origin {
    /// A reader of its own: readers that share a file handle would move each other's place in it.
    pub(crate) fn open(&self) -> Result<Input> {
        match self {
            Origin::Path(path) => File::open(path).map(Input::File).map_err(|e| Error::io(path, e)),
            Origin::Memory(bytes) => Ok(Input::Memory(bytes.clone())),
        }
    }
}

/// Bytes for a reader that trusts the footer's offsets: spans past the end are refused here before anything is allocated
/// for them.
pub(crate) enum Input {
    File(File),
    Memory(Bytes),
}

impl Length for Input {
    fn len(&self) -> u64 {
        match self {
            Input::File(file) => file.metadata().map_or(0, |m| m.len()),
            Input::Memory(bytes) => bytes.len() as u64,
        }
    }
}

impl ChunkReader for Input {
    type T = Box<dyn Read>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(match self {
            Input::File(file) => {
                let mut file = file.try_clone()?;
                file.seek(SeekFrom::Start(start))?;
                Box::new(std::io::BufReader::new(file))
            }
            Input::Memory(bytes) => Box::new(std::io::Cursor::new(bytes.slice(bytes.len().min(start as usize)..))),
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        if start.checked_add(length as u64).is_none_or(|end| end > self.len()) {
            return Err(ParquetError::EOF(format!("{length} bytes at {start} lie past the end of the file")));
        }
        match self {
            Input::Memory(bytes) => Ok(bytes.slice(start as usize..start as usize + length)),
            Input::File(file) => {
                let mut file = file.try_clone()?;
                file.seek(SeekFrom::Start(start))?;
                let mut bytes = Vec::with_capacity(length);
                file.take(length as u64).read_to_end(&mut bytes)?;
                if bytes.len() < length {
                    return Err(ParquetError::EOF("the file was cut short while it was read".to_owned()));
                }
                Ok(bytes.into())
            }
        }
    }
}
