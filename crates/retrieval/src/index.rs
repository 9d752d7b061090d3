//! Words to documents: an exact index in a folder, to which documents can be added and from which they can be deleted.
//!
//! Results do not depend on how documents came into the index: one to which they came one by one, and from which some went, ranks
//! as one made from what is left, to the bit.

mod batch;
mod postings;
mod search;
mod segment;
#[cfg(test)]
mod tests;
mod weights;
mod writer;

use crate::store::{self, Segment as _, Segments, Setup};
use crate::{Analyser, Set};
pub use batch::Document;
pub use postings::Bound;
use postings::Cursor;
use quadrat_core::{Error, Progress, Result, checkpoint};
use rayon::prelude::*;
use search::{Best, Part, Sums, Term};
pub use search::{Hit, Strategy, Weigh};
use segment::Segment;
use std::path::Path;
use weights::{Lengths, Weights};
pub use writer::Writer;

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
    analyser: Analyser,
    weights: Weights,
    segments: Segments<Segment>,
    /// Words of all documents that are there.
    words: u64,
    /// `K` of each document of each segment, for BM25.
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
    /// No index there, one of a newer version or of vectors, or a damaged file, which is named.
    pub fn open(folder: &Path) -> Result<Index> {
        Weights::of(folder, &Setup::read(folder)?)?;
        let (setup, segments) = store::open(folder)?;
        Index::of(folder, &setup, segments)
    }

    fn of(folder: &Path, setup: &Setup, segments: Segments<Segment>) -> Result<Index> {
        let (analyser, weights) = Weights::of(folder, setup)?;
        let words = segments.iter().map(|(_, segment)| segment.total).sum();
        let mut index = Index { analyser, weights, segments, words, norms: Vec::new() };
        let mean = index.mean_length();
        index.norms = index.segments.iter().map(|(_, segment)| weights.norms(segment, mean)).collect();
        Ok(index)
    }

    /// How it reads texts.
    pub fn analyser(&self) -> Analyser {
        self.analyser
    }

    /// Number of documents.
    pub fn len(&self) -> usize {
        self.segments.live()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Numbers of documents are below this one; deleted documents keep theirs until their segment is merged.
    pub fn numbers(&self) -> usize {
        self.segments.numbers()
    }

    /// Words of a document, on average.
    pub fn mean_length(&self) -> f64 {
        if self.is_empty() { 0.0 } else { self.words as f64 / self.len() as f64 }
    }

    /// Number of segments.
    pub fn segments(&self) -> usize {
        self.segments.len()
    }

    /// Bytes of the postings, and of all files.
    pub fn size(&self) -> (usize, usize) {
        self.segments
            .iter()
            .map(|(_, segment)| segment.size())
            .fold((0, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1))
    }

    /// Number of postings.
    pub fn postings(&self) -> usize {
        let of = |segment: &Segment| {
            (0..segment.terms()).filter_map(|term| segment.list(term)).map(|list| list.count).sum::<usize>()
        };
        self.segments.iter().map(|(_, segment)| of(segment)).sum()
    }

    /// The user's name of a document; empty for a number that no document has.
    pub fn id(&self, document: u32) -> &str {
        self.segments.id(document)
    }

    /// A document's text.
    pub fn text(&self, document: u32) -> &str {
        self.segments.place(document).map_or("", |(segment, doc)| segment.text(doc))
    }

    /// The documents with these names, as a filter, and how many names no document has.
    pub fn named(&self, ids: &std::collections::HashSet<&str>) -> (Set, usize) {
        self.segments.named(ids)
    }

    /// Whether postings are impacts rather than counts of words.
    pub fn has_impacts(&self) -> bool {
        matches!(self.weights, Weights::Impacts(_))
    }

    /// A text as a query: each word counts as often as it occurs, and once where postings are impacts.
    pub fn query(&self, text: &str) -> Query {
        let mut query = Query::default();
        self.analyser().words(text, |word| query.add(word, 1.0));
        if self.has_impacts() {
            query.words.iter_mut().for_each(|(_, weight)| *weight = 1.0);
        }
        query
    }

    /// How many documents use a word.
    pub fn frequency(&self, word: &str) -> u64 {
        self.segments.iter().map(|(_, segment)| segment.find(word).map_or(0, |term| segment.frequency(term))).sum()
    }

    /// How often all documents together use a word.
    pub fn occurrences(&self, word: &str) -> u64 {
        self.segments.iter().map(|(_, segment)| segment.find(word).map_or(0, |term| segment.count(term)[1])).sum()
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
        let weights = self.weights;
        // Of each word its rank in each segment.
        let mut weighed: Vec<(Vec<Option<usize>>, f32)> = Vec::with_capacity(query.words.len());
        let mut lacking = 0.0;
        for (word, weight) in &query.words {
            let ranks: Vec<Option<usize>> = self.segments.iter().map(|(_, segment)| segment.find(word)).collect();
            let counted = ranks
                .iter()
                .zip(self.segments.iter())
                .filter_map(|(rank, (_, segment))| Some(segment.frequency((*rank)?)));
            let frequency = counted.sum();
            if frequency > 0 {
                let weight = weight * weights.of_query(frequency, self.len() as u64);
                lacking += weights.absent(weight);
                weighed.push((ranks, weight));
            }
        }
        weighed.sort_by(|a, b| b.1.total_cmp(&a.1));
        let mut best = Best::new(k);
        for (at, ((base, segment), norms)) in self.segments.iter().zip(&self.norms).enumerate() {
            let term = |(ranks, weight): &(Vec<Option<usize>>, f32)| {
                let list = segment.list(ranks[at]?)?;
                (*weight > 0.0).then(|| Term { cursor: Cursor::new(list), weight: *weight })
            };
            let mut terms: Vec<Term> = weighed.iter().filter_map(term).collect();
            let allowed = |doc: u32| segment.has(doc) && how.only.is_none_or(|only| only.has((base + doc) as usize));
            let part = Part { documents: segment.documents(), base, allowed: &allowed };
            let lengths = Lengths { mean: self.mean_length(), norms };
            weights.search(part, lengths, &mut terms, how.strategy, &mut best, sums);
        }
        let mut hits = best.finish();
        hits.iter_mut().for_each(|hit| hit.score = hit.score * weights.unit() + lacking);
        Ok(hits)
    }
}
