//! The words of a collection as BM25 sees them.

use super::bags::counts;
use crate::Bm25;
use quadrat_core::{Error, Result};
use quadrat_numeric::Csr;
use rayon::prelude::*;
use std::collections::{BTreeMap, HashMap};

/// All words of some documents and queries, in the order of the alphabet, with BM25's weights (Lucene's form, k1 0.9 and b 0.4): the
/// score of a document is the sum of idf x impact over a query's words, so that a sparse encoder can start from it.
#[derive(Debug, Clone)]
pub struct Lexicon {
    words: Vec<String>,
    numbers: HashMap<String, u32>,
    idf: Vec<f32>,
    mean: f64,
    bm25: Bm25,
}

impl Lexicon {
    /// Counts the words of the documents, and takes in those that only the queries have.
    ///
    /// # Errors
    /// Documents without any word.
    pub fn learn(documents: &[String], queries: &[String]) -> Result<Lexicon> {
        let mut frequencies: BTreeMap<String, u64> = BTreeMap::new();
        let mut length = 0_u64;
        for text in documents {
            for (word, count) in counts(text) {
                *frequencies.entry(word).or_default() += 1;
                length += u64::from(count);
            }
        }
        if length == 0 {
            return Err(Error::input("documents", format!("no word in {}", documents.len()), "texts of words"));
        }
        for text in queries {
            counts(text).into_keys().for_each(|word| {
                frequencies.entry(word).or_default();
            });
        }
        let (bm25, n) = (Bm25::default(), documents.len() as u64);
        let idf = frequencies.values().map(|df| bm25.weight(*df, n)).collect();
        let words: Vec<String> = frequencies.into_keys().collect();
        let numbers = words.iter().cloned().zip(0..).collect();
        Ok(Lexicon { words, numbers, idf, mean: length as f64 / n as f64, bm25 })
    }

    /// The words.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// What each weighs in a query.
    pub fn idf(&self) -> &[f32] {
        &self.idf
    }

    /// Texts x words: BM25's impacts f / (f + K), between 0 and 1. Words that are not known count towards the length only.
    pub fn documents(&self, texts: &[String]) -> Csr {
        self.bags(texts, |count, length| count as f32 / (count as f32 + self.bm25.norm(length, self.mean)))
    }

    /// Texts x words: 1 for each known word of a query, however often it occurs.
    pub fn queries(&self, texts: &[String]) -> Csr {
        self.bags(texts, |_, _| 1.0)
    }

    /// `weigh` sees how often a word occurs, and the words of the text.
    fn bags(&self, texts: &[String], weigh: impl Fn(u32, u32) -> f32 + Sync) -> Csr {
        let bag = |text: &String| -> Vec<(u32, f32)> {
            let counts = counts(text);
            let length = counts.values().sum();
            counts.iter().filter_map(|(word, count)| Some((*self.numbers.get(word)?, weigh(*count, length)))).collect()
        };
        let mut bags = Csr::new(self.words.len());
        texts.par_iter().map(bag).collect::<Vec<_>>().into_iter().for_each(|bag| bags.push_row(bag));
        bags
    }
}
