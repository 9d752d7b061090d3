//! Words to documents: an exact index in a folder, to which documents can be added and from which they can be deleted.
//!
//! Documents lie in segments ([`segment`]) that are never changed. An addition writes a new segment and then replaces
//! the one small file that lists them, so that a kill at any moment leaves the old index or the new one. As many segments
//! as there are powers of two in the number of documents stay: smaller ones are merged as they pile up (Bentley and Saxe
//! 1980), which costs each document a logarithmic number of copies. Results do not depend on the segments: an index to
//! which documents came one by one, and from which some went, ranks as one made from what is left, to the bit.

mod batch;
mod manifest;
mod postings;
mod search;
mod segment;
#[cfg(test)]
mod tests;
mod writer;

use crate::bm25::{Form, Lifted, Saturating};
use crate::{Analyser, Bm25, Set};
pub use batch::Document;
use manifest::Manifest;
pub use postings::Bound;
use postings::Cursor;
use quadrat_core::{Error, Progress, Result, checkpoint};
use rayon::prelude::*;
use search::{Best, Scope, Sums, Term};
pub use search::{Hit, Strategy, Weigh};
use segment::Segment;
use serde::{Deserialize, Serialize};
use std::path::Path;
pub use writer::Writer;

/// What an index is made with.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Kind {
    /// Words of texts, weighed by [`Bm25`].
    Bm25 {
        /// How texts become words.
        analyser: Analyser,
        /// How words are weighed.
        bm25: Bm25,
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
}

/// An open index. It stays as it was opened, whatever is added or deleted meanwhile.
///
/// ```
/// use quadrat_core::Silent;
/// use quadrat_retrieval::{Analyser, Bm25, Document, Index, Kind, Search, Setup, Writer};
/// # let folder = std::env::temp_dir().join(format!("quadrat-doc-index-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder).unwrap();
/// let documents = [("a", "a cat on a mat"), ("b", "a dog, a cat, a cat")];
/// let kind = Kind::Bm25 { analyser: Analyser::default(), bm25: Bm25::default() };
/// let mut writer = Writer::create(&folder, Setup::of(kind))?;
/// writer.add(documents.map(|(id, text)| Document { id: id.into(), text: text.into() }).into())?;
/// writer.commit()?;
///
/// let index = Index::open(&folder)?;
/// let hits = index.search(&index.query("cat"), 10, Search::default())?;
/// assert_eq!(hits.iter().map(|hit| index.id(hit.document)).collect::<Vec<_>>(), ["b", "a"]);
/// # drop(index);
/// # std::fs::remove_dir_all(&folder).unwrap();
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Index {
    kind: Kind,
    segments: Vec<Segment>,
    /// Number of each segment's first document.
    bases: Vec<u32>,
    /// Documents and words that are there.
    live: u64,
    words: u64,
    /// `K` of each document of each segment.
    norms: Vec<Vec<f32>>,
}

/// What is asked: words with weights, each word once.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Query {
    /// Words, in any order; their shares are added the heaviest first, of equal weights in this order.
    pub words: Vec<(String, f32)>,
}

impl Query {
    /// Adds to a word's weight.
    pub fn add(&mut self, word: &str, weight: f32) {
        match self.words.iter_mut().find(|(known, _)| known == word) {
            Some((_, known)) => *known += weight,
            None => self.words.push((word.to_owned(), weight)),
        }
    }
}

/// How to search.
#[derive(Debug, Clone, Copy, Default)]
pub struct Search<'a> {
    /// How the best are found.
    pub strategy: Strategy,
    /// The documents that may be found; all if none is named.
    pub only: Option<&'a Set>,
}

impl Index {
    /// Opens the index in `folder`.
    ///
    /// # Errors
    /// No index there, one of a newer version, or a damaged file, which is named.
    pub fn open(folder: &Path) -> Result<Index> {
        let mut tries = 0;
        loop {
            let manifest = Manifest::read(folder)?;
            match Index::of(folder, &manifest) {
                // A writer has replaced the list of files, and removed old ones, since it was read.
                Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound && tries < 8 => {
                    tries += 1
                }
                index => return index,
            }
        }
    }

    fn of(folder: &Path, manifest: &Manifest<Setup>) -> Result<Index> {
        let open = |part: &manifest::Part| {
            let gone = part.deleted.as_ref().map(|name| Set::read(&folder.join(name))).transpose()?;
            Segment::open(&folder.join(&part.file), gone)
        };
        let segments: Vec<Segment> = manifest.segments.iter().map(open).collect::<Result<_>>()?;
        let mut bases = vec![0];
        for segment in &segments {
            let next = bases.last().and_then(|base| segment.documents().checked_add(*base));
            bases.push(next.ok_or_else(|| {
                Error::data(folder.display().to_string(), None, "more than 4 billion documents: make two indexes")
            })?);
        }
        let live = segments.iter().map(|segment| segment.live() as u64).sum();
        let words = segments.iter().map(|segment| segment.total).sum();
        let mut index = Index { kind: manifest.kind.kind, segments, bases, live, words, norms: Vec::new() };
        let (Kind::Bm25 { bm25, .. }, mean) = (index.kind, index.mean_length());
        let norms =
            |segment: &Segment| (0..segment.documents()).map(|doc| bm25.norm(segment.length(doc), mean)).collect();
        index.norms = index.segments.iter().map(norms).collect();
        Ok(index)
    }

    /// What it was made with.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// How it reads texts.
    pub fn analyser(&self) -> Analyser {
        let Kind::Bm25 { analyser, .. } = self.kind;
        analyser
    }

    /// Number of documents.
    pub fn len(&self) -> usize {
        self.live as usize
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Numbers of documents are below this one; deleted documents keep theirs until their segment is merged.
    pub fn numbers(&self) -> usize {
        self.bases.last().copied().unwrap_or(0) as usize
    }

    /// Words of a document, on average.
    pub fn mean_length(&self) -> f64 {
        if self.live == 0 { 0.0 } else { self.words as f64 / self.live as f64 }
    }

    /// Number of segments.
    pub fn segments(&self) -> usize {
        self.segments.len()
    }

    /// Bytes of the postings, and of all files.
    pub fn size(&self) -> (usize, usize) {
        self.segments.iter().map(Segment::size).fold((0, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1))
    }

    /// Number of postings.
    pub fn postings(&self) -> usize {
        let of = |segment: &Segment| {
            (0..segment.terms()).filter_map(|term| segment.list(term)).map(|list| list.count).sum::<usize>()
        };
        self.segments.iter().map(of).sum()
    }

    /// Segment of a document, and its number there.
    fn place(&self, document: u32) -> Option<(&Segment, u32)> {
        let segment = self.bases.partition_point(|base| *base <= document).checked_sub(1)?;
        Some((self.segments.get(segment)?, document - self.bases[segment]))
    }

    /// The user's name of a document; empty for a number that no document has.
    pub fn id(&self, document: u32) -> &str {
        self.place(document).map_or("", |(segment, doc)| segment.id(doc))
    }

    /// A document's text.
    pub fn text(&self, document: u32) -> &str {
        self.place(document).map_or("", |(segment, doc)| segment.text(doc))
    }

    /// The documents with these names, as a filter, and how many names no document has.
    pub fn named(&self, ids: &std::collections::HashSet<&str>) -> (Set, usize) {
        let numbers =
            (0..self.numbers()).filter(|number| self.is_there(*number as u32) && ids.contains(self.id(*number as u32)));
        let set = Set::of(self.numbers(), numbers);
        let missing = ids.len() - set.count().min(ids.len());
        (set, missing)
    }

    fn is_there(&self, document: u32) -> bool {
        self.place(document)
            .is_some_and(|(segment, doc)| !segment.gone.as_ref().is_some_and(|gone| gone.has(doc as usize)))
    }

    /// A text as a query: each word counts as often as it occurs.
    pub fn query(&self, text: &str) -> Query {
        let mut query = Query::default();
        self.analyser().words(text, |word| query.add(word, 1.0));
        query
    }

    /// How many documents use a word.
    pub fn frequency(&self, word: &str) -> u64 {
        self.segments.iter().map(|segment| segment.find(word).map_or(0, |term| segment.frequency(term))).sum()
    }

    /// How often all documents together use a word.
    pub fn occurrences(&self, word: &str) -> u64 {
        self.segments.iter().map(|segment| segment.find(word).map_or(0, |term| segment.count(term)[1])).sum()
    }

    /// The `k` best documents for a query, best first, of equal scores the lower number; fewer where fewer have one of its
    /// words. Words that no document has are passed over.
    ///
    /// # Errors
    /// `k` of 0; a weight that is negative or no number.
    pub fn search(&self, query: &Query, k: usize, how: Search) -> Result<Vec<Hit>> {
        self.search_with(query, k, how, &mut Sums::new())
    }

    /// [`Index::search`] for many queries, on all threads.
    ///
    /// # Errors
    /// As there; cancelled.
    pub fn search_all(
        &self,
        queries: &[Query],
        k: usize,
        how: Search,
        progress: &dyn Progress,
    ) -> Result<Vec<Vec<Hit>>> {
        progress.begin("searching", Some(queries.len() as u64));
        let one = |sums: &mut Box<Sums>, query: &Query| {
            checkpoint(progress)?;
            let hits = self.search_with(query, k, how, sums);
            progress.advance(1);
            hits
        };
        queries.par_iter().map_init(Sums::new, one).collect()
    }

    fn search_with(&self, query: &Query, k: usize, how: Search, sums: &mut Sums) -> Result<Vec<Hit>> {
        if k == 0 {
            return Err(Error::input("k", 0, "ask for at least one document"));
        }
        if let Some((word, weight)) = query.words.iter().find(|(_, weight)| !(*weight >= 0.0 && weight.is_finite())) {
            return Err(Error::input(format!("weight of `{word}`"), weight, "weights are 0 or more, and finite"));
        }
        if let Some(only) = how.only.filter(|only| only.len() != self.numbers()) {
            let want = format!("a set of this index's {} numbers", self.numbers());
            return Err(Error::input("documents to search", only.len(), want));
        }
        let Kind::Bm25 { bm25, .. } = self.kind;
        // Of each word its rank in each segment.
        let mut weighed: Vec<(Vec<Option<usize>>, f32)> = Vec::with_capacity(query.words.len());
        let mut lacking = 0.0;
        for (word, weight) in &query.words {
            let ranks: Vec<Option<usize>> = self.segments.iter().map(|segment| segment.find(word)).collect();
            let counted =
                ranks.iter().zip(&self.segments).filter_map(|(rank, segment)| Some(segment.frequency((*rank)?)));
            let frequency = counted.sum();
            if frequency > 0 {
                let weight = weight * bm25.weight(frequency, self.live);
                lacking += bm25.absent(weight);
                weighed.push((ranks, weight));
            }
        }
        weighed.sort_by(|a, b| b.1.total_cmp(&a.1));
        let mut best = Best::new(k);
        for (at, ((segment, norms), base)) in self.segments.iter().zip(&self.norms).zip(&self.bases).enumerate() {
            let term = |(ranks, weight): &(Vec<Option<usize>>, f32)| {
                let list = segment.list(ranks[at]?)?;
                (*weight > 0.0).then(|| Term { cursor: Cursor::new(list), weight: *weight })
            };
            let mut terms: Vec<Term> = weighed.iter().filter_map(term).collect();
            let allowed = |doc: u32| {
                !segment.gone.as_ref().is_some_and(|gone| gone.has(doc as usize))
                    && how.only.is_none_or(|only| only.has((base + doc) as usize))
            };
            let saturating = Saturating { bm25, mean: self.mean_length(), norms };
            if bm25.form == Form::L {
                let weigh = &Lifted(saturating);
                Scope { weigh, documents: segment.documents(), base: *base, allowed: &allowed }.search(
                    &mut terms,
                    how.strategy,
                    &mut best,
                    sums,
                );
            } else {
                let weigh = &saturating;
                Scope { weigh, documents: segment.documents(), base: *base, allowed: &allowed }.search(
                    &mut terms,
                    how.strategy,
                    &mut best,
                    sums,
                );
            }
        }
        let mut hits = best.finish();
        hits.iter_mut().for_each(|hit| hit.score += lacking);
        Ok(hits)
    }
}
