//! A file of documents with their lists of postings: postings, lists, terms, lengths, ids, texts, and the numbers of documents and
//! terms. Terms are sorted, so that a list is found by bisection and segments are merged by walking along them together.

use super::batch::{Batch, Merged};
use super::postings::{self, Bound, List};
use crate::Set;
use crate::store;
use crate::store::container::{self, Texts, damaged, number32, number64};
use quadrat_core::{Mapped, Result};
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use store::Segment as _;

const MAGIC: &[u8; 8] = b"quadratS";
/// Bytes of a list's entry.
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
    gone: Option<Set>,
    /// What had to be counted: [`Segment::count`] of terms that were asked for.
    counted: Mutex<HashMap<usize, [u64; 2]>>,
}

impl Segment {
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
            if let Some(list) = self.list(at) {
                list.each(|doc, value| {
                    if self.has(doc) {
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

impl store::Segment for Segment {
    type Batch = Batch;

    /// Opens a file and looks at all of it, so that no search meets what it cannot read.
    fn open(path: &Path, gone: Option<Set>) -> Result<Segment> {
        let (bytes, sections) = container::open(path, MAGIC)?;
        let damaged = |why: &str| damaged(path, why);
        let [postings, lists, terms, lengths, ids, texts, counts] = sections;
        let documents = number32(&bytes[counts.clone()], 0);
        let count = number32(&bytes[counts], 1) as usize;
        let texts_of = |section: Range<usize>, count: usize, what: &str| {
            Texts::new(&bytes, section, count).ok_or_else(|| damaged(&format!("{what} do not fit")))
        };
        let terms = texts_of(terms, count, "its terms")?;
        let ids = texts_of(ids, documents as usize, "its ids")?;
        let texts = match texts.is_empty() {
            true => Texts::none(),
            false => texts_of(texts, documents as usize, "its texts")?,
        };
        if lengths.len() != 4 * documents as usize || lists.len() != LIST * count {
            return Err(damaged("its parts do not fit each other"));
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

    fn documents(&self) -> u32 {
        self.documents
    }

    fn gone(&self) -> Option<&Set> {
        self.gone.as_ref()
    }

    fn id(&self, doc: u32) -> &str {
        str::from_utf8(self.ids.get(&self.bytes, doc as usize)).unwrap_or_default()
    }

    fn merge(path: &Path, segments: &[Segment]) -> Result<()> {
        write(path, &Merged::new(segments))
    }
}

/// Takes a term with its documents and values.
pub type TakesList<'a> = dyn FnMut(&str, &[u32], &[u32]) -> Result<()> + 'a;

/// What a segment is made from, in the order of its file: the lists by ascending terms, then the documents.
pub trait Content {
    /// Hands over each term with its documents and values.
    fn lists(&self, each: &mut TakesList) -> Result<()>;
    /// Length of each document.
    fn lengths(&self) -> &[u32];
    /// Name of each document.
    fn ids(&self, each: &mut dyn FnMut(&str) -> Result<()>) -> Result<()>;
    /// Text of each document; none for those of no document.
    fn texts(&self, each: &mut dyn FnMut(&str) -> Result<()>) -> Result<()>;
}

/// Writes a segment.
pub fn write(path: &Path, content: &dyn Content) -> Result<()> {
    container::write(path, MAGIC, |sink| {
        let (mut table, mut names, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        let mut bytes = Vec::new();
        sink.begin()?;
        content.lists(&mut |term, docs, values| {
            bytes.clear();
            let bound = postings::encode(docs, values, |doc| content.lengths()[doc as usize], &mut bytes);
            table.extend(sink.place().to_le_bytes());
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
        sink.section(&[&(content.lengths().len() as u32).to_le_bytes(), &(terms as u32).to_le_bytes()])
    })
}
