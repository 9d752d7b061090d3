//! A file of documents with their lists of postings. It is written once and never changed: documents that come later are
//! another segment, documents that go are marked in a file beside it.
//!
//! ```text
//! magic | postings | lists | terms | lengths | ids | texts | where each begins and ends, and its CRC-32 | trailer
//! ```
//!
//! Terms are sorted, so that a list is found by bisection and segments are merged by walking along them together.

use super::postings::{self, Bound, List};
use crate::Set;
use quadrat_core::{Error, Mapped, Result, write_atomic};
use std::collections::HashMap;
use std::io::Write;
use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

const MAGIC: &[u8; 8] = b"quadratS";
const SECTIONS: usize = 7;
/// Bytes of a section's entry, of what stands behind the entries, and of a list's entry.
const ENTRY: usize = 20;
const TRAILER: usize = 24;
const LIST: usize = 20;

/// Documents, opened.
#[derive(Debug)]
pub struct Segment {
    bytes: Mapped,
    postings: Range<usize>,
    lists: Range<usize>,
    terms: Texts,
    lengths: Range<usize>,
    ids: Texts,
    texts: Texts,
    documents: u32,
    /// Sum of all lengths but those of documents that are gone.
    pub total: u64,
    /// Documents that were deleted.
    pub gone: Option<Set>,
    /// What had to be counted: [`Segment::count`] of terms that were asked for.
    counted: Mutex<HashMap<usize, [u64; 2]>>,
}

/// Texts one after the other, and where each ends.
#[derive(Debug, Clone)]
struct Texts {
    ends: Range<usize>,
    bytes: Range<usize>,
}

impl Texts {
    fn get<'a>(&self, file: &'a [u8], at: usize) -> &'a [u8] {
        let ends = &file[self.ends.clone()];
        let end = |at: usize| number64(ends, at) as usize;
        let from = if at == 0 { 0 } else { end(at - 1) };
        file[self.bytes.clone()].get(from..end(at)).unwrap_or_default()
    }

    fn len(&self) -> usize {
        self.ends.len() / 8
    }

    /// Of `section`: the ends, then the texts. None where they do not fit or are no UTF-8.
    fn new(file: &[u8], section: Range<usize>, count: usize) -> Option<Texts> {
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

fn number32(bytes: &[u8], at: usize) -> u32 {
    bytes.get(4 * at..4 * at + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_le_bytes)
}

fn number64(bytes: &[u8], at: usize) -> u64 {
    bytes.get(8 * at..8 * at + 8).and_then(|eight| eight.try_into().ok()).map_or(0, u64::from_le_bytes)
}

impl Segment {
    /// Opens a file and looks at all of it, so that no search meets what it cannot read.
    ///
    /// # Errors
    /// A file that is cut, damaged, or of another kind.
    pub fn open(path: &Path, gone: Option<Set>) -> Result<Segment> {
        let bytes = Mapped::open(path)?;
        let damaged = |why: &str| {
            let todo = "the file is damaged: restore it, or make the index anew";
            Error::data(path.display().to_string(), None, format!("{why}; {todo}"))
        };
        let sections = sections(&bytes).map_err(damaged)?;
        let [postings, lists, terms, lengths, ids, texts, counts] = sections;
        let documents = number32(&bytes[counts.clone()], 0);
        let count = number32(&bytes[counts], 1) as usize;
        let texts_of = |section: Range<usize>, count: usize, what: &str| {
            Texts::new(&bytes, section, count).ok_or_else(|| damaged(&format!("{what} do not fit")))
        };
        let terms = texts_of(terms, count, "its terms")?;
        let ids = texts_of(ids, documents as usize, "its ids")?;
        let texts = match texts.is_empty() {
            true => Texts { ends: texts.clone(), bytes: texts },
            false => texts_of(texts, documents as usize, "its texts")?,
        };
        if lengths.len() != 4 * documents as usize || lists.len() != LIST * count {
            return Err(damaged("its parts do not fit each other"));
        }
        if gone.as_ref().is_some_and(|gone| gone.len() != documents as usize) {
            return Err(damaged("the list of deleted documents is another segment's"));
        }
        let total = (0..documents as usize)
            .filter(|doc| !gone.as_ref().is_some_and(|gone| gone.has(*doc)))
            .map(|doc| u64::from(number32(&bytes[lengths.clone()], doc)))
            .sum();
        let counted = Mutex::default();
        let segment = Segment { postings, lists, terms, lengths, ids, texts, documents, total, gone, bytes, counted };
        for term in 0..count {
            let sound = segment.list(term).is_some_and(|list| list.is_sound(documents));
            if !sound || term > 0 && segment.term(term - 1) >= segment.term(term) {
                return Err(damaged("a list of postings cannot be read"));
            }
        }
        Ok(segment)
    }

    /// Number of documents, those included that are gone.
    pub fn documents(&self) -> u32 {
        self.documents
    }

    /// Number of documents that are there.
    pub fn live(&self) -> usize {
        self.documents as usize - self.gone.as_ref().map_or(0, Set::count)
    }

    /// Number of terms.
    pub fn terms(&self) -> usize {
        self.terms.len()
    }

    /// The term of that rank in the order of bytes.
    pub fn term(&self, at: usize) -> &str {
        str::from_utf8(self.terms.get(&self.bytes, at)).unwrap_or_default()
    }

    /// Its documents.
    pub fn list(&self, at: usize) -> Option<List<'_>> {
        let entry = self.bytes[self.lists.clone()].get(at * LIST..(at + 1) * LIST)?;
        let start = number64(entry, 0) as usize;
        let bound = Bound { most: number32(entry, 3), least: number32(entry, 4) };
        List::new(self.bytes[self.postings.clone()].get(start..)?, number32(entry, 2) as usize, bound)
    }

    /// In how many documents that are there it occurs.
    pub fn frequency(&self, at: usize) -> u64 {
        match &self.gone {
            Some(_) => self.count(at)[0],
            None => self.list(at).map_or(0, |list| list.count as u64),
        }
    }

    /// In how many documents that are there it occurs, and how often.
    pub fn count(&self, at: usize) -> [u64; 2] {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        *counted.entry(at).or_insert_with(|| {
            let mut count = [0; 2];
            let is_gone = |doc| self.gone.as_ref().is_some_and(|gone| gone.has(doc as usize));
            if let Some(list) = self.list(at) {
                list.each(|doc, value| {
                    if !is_gone(doc) {
                        count[0] += 1;
                        count[1] += u64::from(value);
                    }
                });
            }
            count
        })
    }

    /// The rank of a term.
    pub fn find(&self, term: &str) -> Option<usize> {
        let (mut low, mut high) = (0, self.terms());
        while low < high {
            let middle = (low + high) / 2;
            match self.terms.get(&self.bytes, middle).cmp(term.as_bytes()) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// Words of a document.
    pub fn length(&self, doc: u32) -> u32 {
        number32(&self.bytes[self.lengths.clone()], doc as usize)
    }

    /// The user's name of a document.
    pub fn id(&self, doc: u32) -> &str {
        str::from_utf8(self.ids.get(&self.bytes, doc as usize)).unwrap_or_default()
    }

    /// A document as it was given; nothing where texts are not kept.
    pub fn text(&self, doc: u32) -> &str {
        if self.texts.len() == 0 {
            return "";
        }
        str::from_utf8(self.texts.get(&self.bytes, doc as usize)).unwrap_or_default()
    }

    /// Bytes of all postings and of all.
    pub fn size(&self) -> (usize, usize) {
        (self.postings.len(), self.bytes.len())
    }

    /// Whether it keeps texts.
    pub fn has_texts(&self) -> bool {
        self.texts.len() > 0
    }
}

/// Where the sections lie, once their sums are right.
fn sections(bytes: &[u8]) -> Result<[Range<usize>; SECTIONS], &'static str> {
    let cut = "it is cut short or no segment of an index";
    if !bytes.starts_with(MAGIC) || !bytes.ends_with(MAGIC) || bytes.len() < MAGIC.len() + SECTIONS * ENTRY + TRAILER {
        return Err(cut);
    }
    let (rest, trailer) = bytes.split_at(bytes.len() - TRAILER);
    let (rest, entries) = rest.split_at(rest.len() - SECTIONS * ENTRY);
    if number32(trailer, 0) != SECTIONS as u32 || number32(trailer, 1) != crc32fast::hash(entries) {
        return Err("its table of contents has another sum than it says");
    }
    let mut sections = [const { 0..0 }; SECTIONS];
    for (entry, section) in entries.chunks_exact(ENTRY).zip(&mut sections) {
        let (start, end) = (number64(entry, 0) as usize, number64(entry, 1) as usize);
        let content = rest.get(start..end).ok_or(cut)?;
        if crc32fast::hash(content) != number32(entry, 4) {
            return Err("a part has another sum than it says");
        }
        *section = start..end;
    }
    Ok(sections)
}

/// What a segment is made from, in the order of its file: the lists by ascending terms, then the documents.
pub trait Content {
    /// Hands over each term with its documents and values.
    fn lists(&self, each: &mut dyn FnMut(&str, &[u32], &[u32]) -> Result<()>) -> Result<()>;
    /// Length of each document.
    fn lengths(&self) -> &[u32];
    /// Name of each document.
    fn ids(&self, each: &mut dyn FnMut(&str) -> Result<()>) -> Result<()>;
    /// Text of each document; none for those of no document.
    fn texts(&self, each: &mut dyn FnMut(&str) -> Result<()>) -> Result<()>;
}

/// Writes a segment under a temporary name and renames it.
pub fn write(path: &Path, content: &dyn Content) -> Result<()> {
    write_atomic(path, |out| {
        let mut sink = Sink { out, path, at: 0, sum: crc32fast::Hasher::new(), entries: Vec::new(), start: 0 };
        sink.put(MAGIC)?;
        sink.begin();
        let (mut table, mut names, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        let mut bytes = Vec::new();
        let first = sink.at;
        content.lists(&mut |term, docs, values| {
            bytes.clear();
            let bound = postings::encode(docs, values, |doc| content.lengths()[doc as usize], &mut bytes);
            table.extend((sink.at - first).to_le_bytes());
            [docs.len() as u32, bound.most, bound.least].iter().for_each(|n| table.extend(n.to_le_bytes()));
            names.extend(term.as_bytes());
            ends.extend((names.len() as u64).to_le_bytes());
            sink.put(&bytes)
        })?;
        let terms = table.len() / LIST;
        sink.end();
        sink.section(&[&table])?;
        sink.section(&[&ends, &names])?;
        let lengths: Vec<u8> = content.lengths().iter().flat_map(|length| length.to_le_bytes()).collect();
        sink.section(&[&lengths])?;
        sink.texts(|each| content.ids(each))?;
        sink.texts(|each| content.texts(each))?;
        sink.section(&[&(content.lengths().len() as u32).to_le_bytes(), &(terms as u32).to_le_bytes()])?;
        sink.finish()
    })
}

/// Sections on their way to a file.
struct Sink<'a, W> {
    out: &'a mut W,
    path: &'a Path,
    at: u64,
    start: u64,
    sum: crc32fast::Hasher,
    entries: Vec<u8>,
}

impl<W: Write> Sink<'_, W> {
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.at += bytes.len() as u64;
        self.sum.update(bytes);
        self.out.write_all(bytes).map_err(|e| Error::io(self.path, e))
    }

    fn begin(&mut self) {
        self.start = self.at;
        self.sum = crc32fast::Hasher::new();
    }

    fn end(&mut self) {
        self.entries.extend(self.start.to_le_bytes());
        self.entries.extend(self.at.to_le_bytes());
        self.entries.extend(self.sum.clone().finalize().to_le_bytes());
    }

    fn section(&mut self, parts: &[&[u8]]) -> Result<()> {
        self.begin();
        parts.iter().try_for_each(|part| self.put(part))?;
        self.end();
        Ok(())
    }

    /// Ends first: the texts are walked through twice rather than held.
    fn texts(&mut self, walk: impl Fn(&mut dyn FnMut(&str) -> Result<()>) -> Result<()>) -> Result<()> {
        self.begin();
        let mut end = 0_u64;
        walk(&mut |text| {
            end += text.len() as u64;
            self.put(&end.to_le_bytes())
        })?;
        walk(&mut |text| self.put(text.as_bytes()))?;
        self.end();
        Ok(())
    }

    fn finish(mut self) -> Result<()> {
        let entries = std::mem::take(&mut self.entries);
        self.put(&entries)?;
        self.put(&(SECTIONS as u32).to_le_bytes())?;
        self.put(&crc32fast::hash(&entries).to_le_bytes())?;
        self.put(&[0; 8])?;
        self.put(MAGIC)
    }
}
