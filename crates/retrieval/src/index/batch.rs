//! Documents on their way into a segment.

use super::segment::{self, Content, Segment, TakesList};
use crate::Analyser;
use crate::impacts::WeighedDocument;
use crate::store::{self, Segment as _};
use quadrat_core::Result;
use rayon::prelude::*;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::Path;

/// A document to add.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The user's name of it.
    pub id: String,
    /// What it says.
    pub text: String,
}

/// Documents in memory, with their lists.
#[derive(Debug, Default)]
pub struct Batch {
    documents: Vec<Document>,
    lengths: Vec<u32>,
    /// Term by number, and number by term.
    terms: Vec<String>,
    numbers: HashMap<String, u32>,
    /// Term and occurrences or impact, document after document.
    counts: Vec<(u32, u32)>,
    ends: Vec<usize>,
}

impl Batch {
    /// Counts the words of more documents.
    pub fn extend(&mut self, documents: Vec<Document>, analyser: &Analyser) {
        self.count(documents.len(), |at, found| analyser.words(&documents[at].text, |word| found(word, 1)));
        self.documents.extend(documents);
    }

    /// Takes more documents with the impacts of their words; 0 is none.
    pub fn extend_weighed(&mut self, documents: Vec<WeighedDocument>, impacts: &[Vec<u32>]) {
        self.count(documents.len(), |at, found| {
            let words = documents[at].weights.iter().zip(&impacts[at]).filter(|(_, impact)| **impact > 0);
            words.for_each(|((word, _), impact)| found(word, *impact));
        });
        self.documents.extend(documents.into_iter().map(|document| document.document));
    }

    /// Adds up the values of each word that `each` finds in one of so many documents.
    fn count(&mut self, documents: usize, each: impl Fn(usize, &mut dyn FnMut(&str, u32)) + Sync) {
        // On all threads, in pieces with dictionaries of their own.
        const PIECE: usize = 512;
        let piece = |from: usize| Piece::of(PIECE * from..documents.min(PIECE * (from + 1)), &each);
        let pieces: Vec<Piece> = (0..documents.div_ceil(PIECE)).into_par_iter().map(piece).collect();
        for piece in pieces {
            let numbers: Vec<u32> = piece.terms.into_iter().map(|term| self.number(term)).collect();
            self.counts.extend(piece.counts.into_iter().map(|(term, count)| (numbers[term as usize], count)));
            let before = self.ends.last().copied().unwrap_or(0);
            self.ends.extend(piece.ends.into_iter().map(|end| before + end));
            self.lengths.extend(piece.lengths);
        }
    }

    fn number(&mut self, term: String) -> u32 {
        if let Some(number) = self.numbers.get(&term) {
            return *number;
        }
        let number = self.terms.len() as u32;
        self.terms.push(term.clone());
        self.numbers.insert(term, number);
        number
    }
}

/// Postings that are held in memory before they become a segment: about 200 MB.
const HELD: usize = 1 << 24;

impl store::Batch for Batch {
    fn len(&self) -> usize {
        self.documents.len()
    }

    fn is_full(&self) -> bool {
        self.counts.len() >= HELD
    }

    fn ids(&self) -> impl Iterator<Item = &str> {
        self.documents.iter().map(|document| document.id.as_str())
    }

    fn write(&self, path: &Path) -> Result<()> {
        segment::write(path, self)
    }
}

/// What one thread counts.
struct Piece {
    terms: Vec<String>,
    counts: Vec<(u32, u32)>,
    ends: Vec<usize>,
    lengths: Vec<u32>,
}

impl Piece {
    fn of(documents: Range<usize>, each: &impl Fn(usize, &mut dyn FnMut(&str, u32))) -> Piece {
        let mut piece = Piece { terms: Vec::new(), counts: Vec::new(), ends: Vec::new(), lengths: Vec::new() };
        let mut numbers: HashMap<String, u32> = HashMap::new();
        let mut words = Vec::new();
        for document in documents {
            words.clear();
            each(document, &mut |word, value| {
                let number = numbers.get(word).copied().unwrap_or_else(|| {
                    let number = piece.terms.len() as u32;
                    piece.terms.push(word.to_owned());
                    numbers.insert(word.to_owned(), number);
                    number
                });
                words.push((number, value));
            });
            piece.lengths.push(words.len() as u32);
            words.sort_unstable();
            let same = words.chunk_by(|a, b| a.0 == b.0);
            piece.counts.extend(same.map(|same| (same[0].0, same.iter().map(|(_, value)| value).sum::<u32>())));
            piece.ends.push(piece.counts.len());
        }
        piece
    }
}

impl Content for Batch {
    fn lists(&self, each: &mut TakesList) -> Result<()> {
        let mut starts = vec![0_usize; self.terms.len() + 1];
        self.counts.iter().for_each(|(term, _)| starts[*term as usize + 1] += 1);
        for term in 0..self.terms.len() {
            starts[term + 1] += starts[term];
        }
        let (mut docs, mut values) = (vec![0; self.counts.len()], vec![0; self.counts.len()]);
        let (mut place, mut from) = (starts.clone(), 0);
        for (doc, end) in self.ends.iter().enumerate() {
            for (term, count) in &self.counts[from..*end] {
                let at = &mut place[*term as usize];
                (docs[*at], values[*at]) = (doc as u32, *count);
                *at += 1;
            }
            from = *end;
        }
        let mut order: Vec<usize> = (0..self.terms.len()).collect();
        order.sort_unstable_by(|a, b| self.terms[*a].cmp(&self.terms[*b]));
        order.into_iter().try_for_each(|term| {
            let span = starts[term]..starts[term + 1];
            each(&self.terms[term], &docs[span.clone()], &values[span])
        })
    }

    fn lengths(&self) -> &[u32] {
        &self.lengths
    }

    fn ids(&self, each: &mut dyn FnMut(&str) -> Result<()>) -> Result<()> {
        self.documents.iter().try_for_each(|document| each(&document.id))
    }

    fn texts(&self, each: &mut dyn FnMut(&str) -> Result<()>) -> Result<()> {
        self.documents.iter().try_for_each(|document| each(&document.text))
    }
}

/// Several segments as one, without the documents that are gone.
pub struct Merged<'a> {
    segments: &'a [Segment],
    lengths: Vec<u32>,
    /// The new number of each document of each segment.
    numbers: Vec<Vec<Option<u32>>>,
}

impl<'a> Merged<'a> {
    /// Of these, the oldest first.
    pub fn new(segments: &'a [Segment]) -> Merged<'a> {
        let mut lengths = Vec::new();
        let numbers = segments
            .iter()
            .map(|segment| {
                let mut number = |doc: u32| {
                    lengths.push(segment.length(doc));
                    lengths.len() as u32 - 1
                };
                (0..segment.documents()).map(|doc| segment.has(doc).then(|| number(doc))).collect()
            })
            .collect();
        Merged { segments, lengths, numbers }
    }

    fn kept(&self) -> impl Iterator<Item = (&'a Segment, u32)> {
        self.segments.iter().zip(&self.numbers).flat_map(|(segment, numbers)| {
            numbers.iter().enumerate().filter(|(_, number)| number.is_some()).map(move |(doc, _)| (segment, doc as u32))
        })
    }
}

impl Content for Merged<'_> {
    fn lists(&self, each: &mut TakesList) -> Result<()> {
        // The next term of each segment, the least first.
        let mut next: BTreeMap<(&str, usize), usize> = BTreeMap::new();
        let ahead = |segment: usize, term: usize| {
            (term < self.segments[segment].terms()).then(|| ((self.segments[segment].term(term), segment), term))
        };
        next.extend((0..self.segments.len()).filter_map(|segment| ahead(segment, 0)));
        let (mut docs, mut values) = (Vec::new(), Vec::new());
        while let Some(((term, segment), rank)) = next.pop_first() {
            let numbers = &self.numbers[segment];
            if let Some(list) = self.segments[segment].list(rank) {
                list.each(|doc, value| {
                    if let Some(Some(number)) = numbers.get(doc as usize) {
                        docs.push(*number);
                        values.push(value);
                    }
                });
            }
            next.extend(ahead(segment, rank + 1));
            if next.first_key_value().is_none_or(|((other, _), _)| *other != term) {
                if !docs.is_empty() {
                    each(term, &docs, &values)?;
                }
                docs.clear();
                values.clear();
            }
        }
        Ok(())
    }

    fn lengths(&self) -> &[u32] {
        &self.lengths
    }

    fn ids(&self, each: &mut dyn FnMut(&str) -> Result<()>) -> Result<()> {
        self.kept().try_for_each(|(segment, doc)| each(segment.id(doc)))
    }

    fn texts(&self, each: &mut dyn FnMut(&str) -> Result<()>) -> Result<()> {
        self.kept().filter(|(segment, _)| segment.has_texts()).try_for_each(|(segment, doc)| each(segment.text(doc)))
    }
}
