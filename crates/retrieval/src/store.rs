//! Folders of documents that come and go, whatever they are found by.
//!
//! Documents lie in segments, files that are never changed. An addition writes a new segment and then replaces the one
//! small file that lists them, so that a kill at any moment leaves the old index or the new one. As many segments
//! as there are powers of two in the number of documents stay: smaller ones are merged as they pile up (Bentley and Saxe
//! 1980), which costs each document a logarithmic number of copies.

pub mod container;
mod manifest;
mod writer;

use crate::{Analyser, Bm25, Impacts, Set};
use manifest::{Manifest, Part};
use quadrat_core::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::path::Path;
pub use writer::Writer;

/// What an index finds documents by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Kind {
    /// Words of texts, weighed by [`Bm25`].
    Bm25 {
        /// How texts become words.
        analyser: Analyser,
        /// How words are weighed.
        bm25: Bm25,
    },
    /// Words with weights of the user's or of a trained encoder.
    Impacts {
        /// How questions become words.
        analyser: Analyser,
        /// How weights become impacts, and what a word weighs that is asked.
        impacts: Impacts,
        /// The column of the user's file that holds words and weights, for files that are added later.
        column: String,
    },
    /// Vectors, by their inner product with a question's.
    Dense {
        /// Values of a vector.
        columns: usize,
        /// The folder of the encoder that made them, if it is known.
        encoder: Option<String>,
    },
}

/// What an index keeps about itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Setup {
    /// What it is made with.
    #[serde(flatten)]
    pub kind: Kind,
    /// The column of the user's file that names documents, for files that are added later.
    pub id: String,
    /// The columns that are their texts.
    pub text: Vec<String>,
}

impl Setup {
    /// For documents that come from no file.
    pub fn of(kind: Kind) -> Setup {
        Setup { kind, id: "id".into(), text: vec!["text".into()] }
    }

    /// Of the index in `folder`.
    ///
    /// # Errors
    /// No index there, or one of a newer version.
    pub fn read(folder: &Path) -> Result<Setup> {
        Ok(Manifest::read(folder)?.setup)
    }
}

/// A segment of some kind of index.
pub trait Segment: Sized {
    /// Documents on their way into one.
    type Batch: Batch;

    /// Opens one, and looks at all of it.
    fn open(path: &Path, gone: Option<Set>) -> Result<Self>;
    /// Number of documents, those included that are gone.
    fn documents(&self) -> u32;
    /// Documents that were deleted.
    fn gone(&self) -> Option<&Set>;
    /// The user's name of a document.
    fn id(&self, doc: u32) -> &str;
    /// Writes several as one, the oldest first, without the documents that are gone.
    fn merge(path: &Path, segments: &[Self]) -> Result<()>;

    /// Whether a document is there.
    fn has(&self, doc: u32) -> bool {
        doc < self.documents() && !self.gone().is_some_and(|gone| gone.has(doc as usize))
    }

    /// Number of documents that are there.
    fn live(&self) -> usize {
        self.documents() as usize - self.gone().map_or(0, Set::count)
    }
}

/// Documents in memory.
pub trait Batch: Default {
    /// Number of documents.
    fn len(&self) -> usize;
    /// Whether it is time to write them.
    fn is_full(&self) -> bool;
    /// Their names.
    fn ids(&self) -> impl Iterator<Item = &str>;
    /// Writes them as a segment.
    fn write(&self, path: &Path) -> Result<()>;
}

/// The open segments of an index, the oldest first: what was there when it was opened, whatever is added or deleted meanwhile.
#[derive(Debug)]
pub struct Segments<S> {
    all: Vec<S>,
    /// Number of each one's first document, and of the next to come.
    bases: Vec<u32>,
}

impl<S: Segment> Segments<S> {
    fn of(folder: &Path, parts: &[Part]) -> Result<Segments<S>> {
        let open = |part: &Part| {
            let gone = part.deleted.as_ref().map(|name| Set::read(&folder.join(name))).transpose()?;
            let path = folder.join(&part.file);
            let segment = S::open(&path, gone)?;
            match segment.gone() {
                Some(gone) if gone.len() != segment.documents() as usize => {
                    Err(container::damaged(&path, "the list of deleted documents is another segment's"))
                }
                _ => Ok(segment),
            }
        };
        let all: Vec<S> = parts.iter().map(open).collect::<Result<_>>()?;
        let mut bases = vec![0_u32];
        for segment in &all {
            let next = bases.last().and_then(|base| segment.documents().checked_add(*base));
            bases.push(next.ok_or_else(|| {
                Error::data(folder.display().to_string(), None, "more than 4 billion documents: make two indexes")
            })?);
        }
        Ok(Segments { all, bases })
    }

    /// Each with the number of its first document.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (u32, &S)> + Clone {
        self.bases.iter().copied().zip(&self.all)
    }

    /// Number of segments.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Number of documents that are there.
    pub fn live(&self) -> usize {
        self.all.iter().map(Segment::live).sum()
    }

    /// Numbers of documents are below this one.
    pub fn numbers(&self) -> usize {
        self.bases.last().copied().unwrap_or(0) as usize
    }

    /// Segment of a document, and its number there.
    pub fn place(&self, document: u32) -> Option<(&S, u32)> {
        let segment = self.bases.partition_point(|base| *base <= document).checked_sub(1)?;
        Some((self.all.get(segment)?, document - self.bases[segment]))
    }

    /// The user's name of a document; empty for a number that no document has.
    pub fn id(&self, document: u32) -> &str {
        self.place(document).map_or("", |(segment, doc)| segment.id(doc))
    }

    /// Whether a document is there.
    pub fn has(&self, document: u32) -> bool {
        self.place(document).is_some_and(|(segment, doc)| segment.has(doc))
    }

    /// The documents with these names, and how many names no document has.
    pub fn named(&self, ids: &HashSet<&str>) -> (Set, usize) {
        let numbers =
            (0..self.numbers()).filter(|number| self.has(*number as u32) && ids.contains(self.id(*number as u32)));
        let set = Set::of(self.numbers(), numbers);
        let missing = ids.len() - set.count().min(ids.len());
        (set, missing)
    }
}

/// Opens the index in `folder`.
///
/// # Errors
/// No index there, one of a newer version, or a damaged file, which is named.
pub fn open<S: Segment>(folder: &Path) -> Result<(Setup, Segments<S>)> {
    let mut tries = 0;
    loop {
        let Manifest { setup, segments, .. } = Manifest::read(folder)?;
        match Segments::of(folder, &segments) {
            // A writer has replaced the list of files, and removed old ones, since it was read.
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound && tries < 8 => tries += 1,
            segments => return Ok((setup, segments?)),
        }
    }
}
