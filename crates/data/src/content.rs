//! A file's content: in memory, or left on disk and read piece by piece.
//!
//! A long text stays on disk. Memory that is touched for the first time costs more than reading what the system has at
//! hand anyway, and a table needs no more than where its rows are. A file is not mapped into memory: one that another
//! program cuts short would end the process.

use crate::bytes::{self, STANDARD};
use crate::encoding;
use memchr::{memchr, memchr_iter};
use quadrat_core::{Error, Progress, Result, checkpoint};
use rayon::prelude::*;
use std::cell::Cell;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The bytes of a file.
pub(crate) enum Content {
    Memory(Vec<u8>),
    Disk(Disk),
}

/// A file that stays open: renamed or replaced it is still the one that was opened; written to, by its length and time, it is
/// refused.
pub(crate) struct Disk {
    file: File,
    path: PathBuf,
    length: usize,
    modified: Option<SystemTime>,
    head: Vec<u8>,
}

/// A text longer than this stays on disk; so much of it tells format, dialect and encoding.
const HEAD_BYTES: usize = 1 << 21;

/// Pieces are counted, copied and searched in blocks of this size.
const BLOCK: usize = 1 << 18;

/// Beyond the bytes that are asked for, where a line is to be read to its end.
const SLACK: usize = 1 << 12;

/// A longer buffer is not kept for the next piece.
const KEPT_BUFFER: usize = 1 << 23;

thread_local! {
    /// Taken while in use, so that a piece read while another is looked at gets one of its own.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Content {
    /// The content of a file; it stays on disk if it is a long text in UTF-8, the encoding that was `told`.
    pub(crate) fn open(path: &Path, told: Option<&str>, progress: &dyn Progress) -> Result<Content> {
        match Disk::open(path, HEAD_BYTES)?.filter(|disk| disk.is_text() && encoding::is_utf8(told)) {
            Some(disk) => Ok(Content::Disk(disk)),
            None => Ok(Content::Memory(bytes::read(path, progress)?)),
        }
    }

    /// The content brought into memory.
    pub(crate) fn into_memory(self, progress: &dyn Progress) -> Result<Vec<u8>> {
        match self {
            Content::Memory(bytes) => Ok(bytes),
            Content::Disk(disk) => disk.read_whole(progress),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Content::Memory(bytes) => bytes.len(),
            Content::Disk(disk) => disk.length,
        }
    }

    /// All that is in memory, or the first megabytes of a file on disk.
    pub(crate) fn head(&self) -> &[u8] {
        match self {
            Content::Memory(bytes) => bytes,
            Content::Disk(disk) => &disk.head,
        }
    }

    /// The head as text, without a character that its end cuts.
    pub(crate) fn head_text(&self) -> &str {
        let head = self.head();
        let whole = std::str::from_utf8(head).map_or_else(|e| e.valid_up_to(), str::len);
        std::str::from_utf8(&head[..whole]).unwrap_or_default()
    }

    /// Hands a piece to `look`.
    pub(crate) fn with<R>(&self, span: Range<usize>, look: impl FnOnce(&[u8]) -> Result<R>) -> Result<R> {
        match self {
            Content::Memory(bytes) => look(&bytes[span]),
            Content::Disk(disk) => buffered(|buffer| look(disk.read(buffer, span)?)),
        }
    }

    /// Hands what lies between `from` and `until` to `look`, to the end of its last line; and whether the content ends
    /// there.
    pub(crate) fn with_lines<R>(
        &self,
        from: usize,
        until: usize,
        look: impl FnOnce(&[u8], bool) -> Result<R>,
    ) -> Result<R> {
        let length = self.len();
        let line_end = |bytes: &[u8], searched: usize| memchr(b'\n', &bytes[searched..]).map(|n| searched + n + 1);
        match self {
            Content::Memory(bytes) => {
                let end = line_end(bytes, until - 1).unwrap_or(length);
                look(&bytes[from..end], end == length)
            }
            Content::Disk(disk) => buffered(|buffer| {
                let mut searched = until - 1 - from;
                let mut more = SLACK;
                loop {
                    let to = length.min(from + searched + 1 + more);
                    let bytes = disk.read(buffer, from..to)?;
                    if let Some(end) = line_end(bytes, searched).or((to == length).then_some(bytes.len())) {
                        return look(&bytes[..end], from + end == length);
                    }
                    (searched, more) = (bytes.len() - 1, 2 * bytes.len());
                }
            }),
        }
    }

    /// Where the first line that ends between two places ends; read bit by bit, since most lines are short.
    pub(crate) fn line_end(&self, from: usize, until: usize) -> Result<Option<usize>> {
        let mut at = from;
        while at < until {
            let block = at..until.min(at + SLACK.max(at - from));
            let end = block.end;
            if let Some(found) = self.with(block, |bytes| Ok(memchr(b'\n', bytes)))? {
                return Ok(Some(at + found + 1));
            }
            at = end;
        }
        Ok(None)
    }

    /// The line of a place; counts from 1. What can no longer be read has no lines.
    pub(crate) fn line_of(&self, at: usize) -> u64 {
        let count = |start: usize| {
            let block = start..at.min(start + BLOCK);
            self.with(block, |bytes| Ok(memchr_iter(b'\n', bytes).count() as u64)).unwrap_or(0)
        };
        (0..at).step_by(BLOCK).map(count).sum::<u64>() + 1
    }
}

/// Runs a step with this thread's buffer.
fn buffered<R>(step: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    let mut buffer = BUFFER.take();
    let done = step(&mut buffer);
    if buffer.len() <= KEPT_BUFFER {
        BUFFER.set(buffer);
    }
    done
}

impl Disk {
    /// A file of more than `least` bytes; nothing for a shorter one, or for what is no file (a pipe, standard input).
    pub(crate) fn open(path: &Path, least: usize) -> Result<Option<Disk>> {
        let io = |e| Error::io(path, e);
        if path == Path::new(STANDARD) || !std::fs::metadata(path).map_err(io)?.is_file() {
            return Ok(None);
        }
        let file = File::open(path).map_err(io)?;
        let about = file.metadata().map_err(io)?;
        let Some(length) = usize::try_from(about.len()).ok().filter(|length| *length > least) else { return Ok(None) };
        let modified = about.modified().ok();
        let mut disk = Disk { file, path: path.to_path_buf(), length, modified, head: Vec::new() };
        let mut head = Vec::new();
        disk.read(&mut head, 0..least)?;
        disk.head = head;
        Ok(Some(disk))
    }

    /// Whether the head is of a text in UTF-8 with line feeds: of no other encoding, and not compressed.
    fn is_text(&self) -> bool {
        let utf8 = std::str::from_utf8(&self.head).map_or_else(|e| e.error_len().is_none(), |_| true);
        utf8 && memchr(b'\n', &self.head).is_some() && memchr(0, &self.head).is_none()
    }

    /// Reads a piece into a buffer, whose length only grows.
    fn read<'b>(&self, buffer: &'b mut Vec<u8>, span: Range<usize>) -> Result<&'b [u8]> {
        if buffer.len() < span.len() {
            buffer.resize(span.len(), 0);
        }
        let piece = &mut buffer[..span.len()];
        self.fill(piece, span.start)?;
        Ok(piece)
    }

    /// All of it, read side by side.
    fn read_whole(&self, progress: &dyn Progress) -> Result<Vec<u8>> {
        let Some(mut bytes) = bytes::zeros(self.length) else {
            let why = format!("there is no memory for its {} bytes, which must be there as a whole", self.length);
            return Err(Error::data(self.path.display().to_string(), None, why));
        };
        progress.begin("reading", Some(self.length.div_ceil(bytes::BLOCK) as u64));
        bytes.par_chunks_mut(bytes::BLOCK).enumerate().try_for_each(|(i, block)| {
            checkpoint(progress)?;
            progress.advance(1);
            self.fill(block, i * bytes::BLOCK)
        })?;
        Ok(bytes)
    }

    /// Reads what stands from a place on, and makes sure that it is still what it was.
    fn fill(&self, piece: &mut [u8], at: usize) -> Result<()> {
        let mut done = 0;
        while done < piece.len() {
            match read_at(&self.file, &mut piece[done..], (at + done) as u64) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::io(&self.path, e)),
            }
        }
        let about = self.file.metadata().map_err(|e| Error::io(&self.path, e))?;
        if done < piece.len() || about.len() != self.length as u64 || about.modified().ok() != self.modified {
            return Err(self.changed());
        }
        Ok(())
    }

    fn changed(&self) -> Error {
        let why = "the file was changed while it was read; start again once nothing writes to it";
        Error::data(self.path.display().to_string(), None, why)
    }
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> std::io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, at)
}

#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> std::io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, at)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use quadrat_core::Silent;

    /// A file of this content in a folder of its own, and what was opened of it; `least` as for [`Disk::open`].
    pub(crate) fn on_disk(bytes: &[u8], least: usize) -> (tempfile::TempDir, Content) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, bytes).unwrap();
        let disk = Disk::open(&path, least).unwrap().unwrap();
        (folder, Content::Disk(disk))
    }

    #[test]
    fn pieces_are_the_same_on_disk_and_in_memory() {
        let text: Vec<u8> =
            (0..40_000_u32).flat_map(|i| format!("{}\n", "x".repeat(i as usize % 97)).into_bytes()).collect();
        let long = [b"y\n".as_slice(), &vec![b'z'; 3 * SLACK], b"\nend"].concat();
        for bytes in [text, long] {
            let (_folder, disk) = on_disk(&bytes, 1);
            let memory = Content::Memory(bytes.clone());
            assert_eq!((disk.len(), disk.head()), (bytes.len(), &bytes[..1]));
            for (from, until) in [(0, 1), (0, 2), (0, 3), (2, 5), (1, bytes.len()), (bytes.len() - 4, bytes.len() - 2)]
            {
                let piece = |content: &Content| {
                    let lines = content.with_lines(from, until, |bytes, whole| Ok((bytes.to_vec(), whole))).unwrap();
                    (lines, content.with(from..until, |bytes| Ok(bytes.to_vec())).unwrap(), content.line_of(until))
                };
                assert!(piece(&disk) == piece(&memory), "{from} {until}");
            }
            assert!(disk.into_memory(&Silent).unwrap() == bytes);
        }
    }

    #[test]
    fn a_file_that_was_changed_is_refused() {
        let (folder, disk) = on_disk(b"a\nb\n", 1);
        let path = folder.path().join("a");
        std::fs::rename(&path, folder.path().join("b")).unwrap();
        std::fs::write(&path, "x\ny\n").unwrap();
        // A piece read while another is looked at.
        let read = disk.with(0..2, |outer| disk.with(2..4, |inner| Ok([outer, inner].concat())));
        assert_eq!(read.unwrap(), b"a\nb\n");
        for content in ["a\nb\nc\n", "a\n"] {
            std::fs::write(folder.path().join("b"), content).unwrap();
            let error = disk.with(0..2, |_| Ok(())).unwrap_err().to_string();
            assert!(error.contains("changed while it was read; start again"), "{error}");
        }
    }

    #[test]
    fn only_long_texts_in_utf_8_stay_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let long = |line: &[u8]| line.repeat(HEAD_BYTES / line.len() + 1);
        for (bytes, told, disk) in [
            (long("é,1\n".as_bytes()), None, true),
            (long(b"a,1\n"), Some("utf8"), true),
            (long(b"a,1\n"), Some("latin1"), false),
            (long(b"\xe9,1\n"), None, false),
            (long(b"a\0,\0\n\0"), None, false),
            (long(b"a,1\r"), None, false),
            (b"a,1\n".to_vec(), None, false),
        ] {
            std::fs::write(&path, &bytes).unwrap();
            let content = Content::open(&path, told, &Silent).unwrap();
            assert_eq!(matches!(content, Content::Disk(_)), disk);
            assert!(content.into_memory(&Silent).unwrap() == bytes);
        }
        assert!(matches!(Content::open(&folder.path().join("b"), None, &Silent), Err(Error::Io { .. })));
    }
}
