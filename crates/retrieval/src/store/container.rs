//! A file of sections, each with a sum: written once, from front to back, and looked at as a whole when it is opened.
//!
//! ```text
//! magic | section | section | ... | where each begins and ends, and its CRC-32 | trailer
//! ```
//!
//! Sections begin at multiples of 64 bytes, so that numbers in a mapped file lie where processors want them.

use quadrat_core::{Error, Mapped, Result, write_atomic};
use std::io::Write;
use std::ops::Range;
use std::path::Path;

/// Bytes of a section's entry, and of what stands behind the entries.
const ENTRY: usize = 20;
const TRAILER: usize = 24;
const ALIGNED: u64 = 64;

/// Texts one after the other, and where each ends.
#[derive(Debug, Clone)]
pub struct Texts {
    ends: Range<usize>,
    bytes: Range<usize>,
}

impl Texts {
    /// Text number `at`.
    pub fn get<'a>(&self, file: &'a [u8], at: usize) -> &'a [u8] {
        let ends = &file[self.ends.clone()];
        let end = |at: usize| number64(ends, at) as usize;
        let from = if at == 0 { 0 } else { end(at - 1) };
        file[self.bytes.clone()].get(from..end(at)).unwrap_or_default()
    }

    /// Number of texts.
    pub fn len(&self) -> usize {
        self.ends.len() / 8
    }

    /// Of no texts.
    pub fn none() -> Texts {
        Texts { ends: 0..0, bytes: 0..0 }
    }

    /// Of `section`: the ends, then the texts. None where they do not fit or are no UTF-8.
    pub fn new(file: &[u8], section: Range<usize>, count: usize) -> Option<Texts> {
        let middle = section.start.checked_add(count.checked_mul(8)?).filter(|middle| *middle <= section.end)?;
        let texts = Texts { ends: section.start..middle, bytes: middle..section.end };
        let ends = file[texts.ends.clone()].chunks_exact(8).map(|end| number64(end, 0));
        let mut before = 0;
        for end in ends {
            if end < before || end > texts.bytes.len() as u64 {
                return None;
            }
            before = end;
        }
        let whole = std::str::from_utf8(&file[texts.bytes.clone()]).ok()?;
        (0..count).all(|at| whole.is_char_boundary(number64(&file[texts.ends.clone()], at) as usize)).then_some(texts)
    }
}

/// Whole number `at` of 32 bits.
pub fn number32(bytes: &[u8], at: usize) -> u32 {
    bytes.get(4 * at..4 * at + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_le_bytes)
}

/// Whole number `at` of 64 bits.
pub fn number64(bytes: &[u8], at: usize) -> u64 {
    bytes.get(8 * at..8 * at + 8).and_then(|eight| eight.try_into().ok()).map_or(0, u64::from_le_bytes)
}

/// What is wrong with a file, and what to do.
pub fn damaged(path: &Path, why: &str) -> Error {
    let todo = "the file is damaged: restore it, or make the index anew";
    Error::data(path.display().to_string(), None, format!("{why}; {todo}"))
}

/// Maps a file of `N` sections.
///
/// # Errors
/// A file that is cut, damaged, or of another kind.
pub fn open<const N: usize>(path: &Path, magic: &[u8; 8]) -> Result<(Mapped, [Range<usize>; N])> {
    let bytes = Mapped::open(path)?;
    let sections = sections(&bytes, magic).map_err(|why| damaged(path, why))?;
    Ok((bytes, sections))
}

/// Where the sections lie, once their sums are right.
fn sections<const N: usize>(bytes: &[u8], magic: &[u8; 8]) -> Result<[Range<usize>; N], &'static str> {
    let cut = "it is cut short or no segment of an index";
    if !bytes.starts_with(magic) || !bytes.ends_with(magic) || bytes.len() < magic.len() + N * ENTRY + TRAILER {
        return Err(cut);
    }
    let (rest, trailer) = bytes.split_at(bytes.len() - TRAILER);
    let (rest, entries) = rest.split_at(rest.len() - N * ENTRY);
    let idle = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
    if number32(trailer, 0) != N as u32 || !idle(&trailer[8..16]) || number32(trailer, 1) != crc32fast::hash(entries) {
        return Err("its table of contents has another sum than it says");
    }
    let mut sections = [const { 0..0 }; N];
    let mut before = magic.len();
    for (entry, section) in entries.chunks_exact(ENTRY).zip(&mut sections) {
        let (start, end) = (number64(entry, 0) as usize, number64(entry, 1) as usize);
        let content = rest.get(start..end).ok_or(cut)?;
        if !rest.get(before..start).is_some_and(idle) {
            return Err("its parts do not lie one behind the other");
        }
        before = end;
        if crc32fast::hash(content) != number32(entry, 4) {
            return Err("a part has another sum than it says");
        }
        *section = start..end;
    }
    Ok(sections)
}

/// Writes a file of sections under a temporary name and renames it.
pub fn write(path: &Path, magic: &[u8; 8], fill: impl FnOnce(&mut Sink) -> Result<()>) -> Result<()> {
    write_atomic(path, |out| {
        let mut sink = Sink { out, path, at: 0, sum: crc32fast::Hasher::new(), entries: Vec::new(), start: 0 };
        sink.put(magic)?;
        fill(&mut sink)?;
        sink.finish(magic)
    })
}

/// Sections on their way to a file.
pub struct Sink<'a> {
    out: &'a mut dyn Write,
    path: &'a Path,
    at: u64,
    start: u64,
    sum: crc32fast::Hasher,
    entries: Vec<u8>,
}

impl Sink<'_> {
    /// More of the section at hand.
    pub fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.at += bytes.len() as u64;
        self.sum.update(bytes);
        self.out.write_all(bytes).map_err(|e| Error::io(self.path, e))
    }

    /// Where the section at hand has come to.
    pub fn place(&self) -> u64 {
        self.at - self.start
    }

    /// A section begins.
    pub fn begin(&mut self) -> Result<()> {
        let gap = self.at.next_multiple_of(ALIGNED) - self.at;
        self.put(&[0; ALIGNED as usize][..gap as usize])?;
        self.start = self.at;
        self.sum = crc32fast::Hasher::new();
        Ok(())
    }

    /// It ends.
    pub fn end(&mut self) {
        self.entries.extend(self.start.to_le_bytes());
        self.entries.extend(self.at.to_le_bytes());
        self.entries.extend(self.sum.clone().finalize().to_le_bytes());
    }

    /// A section of these parts.
    pub fn section(&mut self, parts: &[&[u8]]) -> Result<()> {
        self.begin()?;
        parts.iter().try_for_each(|part| self.put(part))?;
        self.end();
        Ok(())
    }

    /// A section of texts, ends first: the texts are walked through twice rather than held.
    pub fn texts(&mut self, walk: impl Fn(&mut dyn FnMut(&str) -> Result<()>) -> Result<()>) -> Result<()> {
        self.begin()?;
        let mut end = 0_u64;
        walk(&mut |text| {
            end += text.len() as u64;
            self.put(&end.to_le_bytes())
        })?;
        walk(&mut |text| self.put(text.as_bytes()))?;
        self.end();
        Ok(())
    }

    fn finish(&mut self, magic: &[u8; 8]) -> Result<()> {
        let entries = std::mem::take(&mut self.entries);
        self.put(&entries)?;
        self.put(&((entries.len() / ENTRY) as u32).to_le_bytes())?;
        self.put(&crc32fast::hash(&entries).to_le_bytes())?;
        self.put(&[0; 8])?;
        self.put(magic)
    }
}
