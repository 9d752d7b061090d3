//! Bo1: words that the documents found have more often than chance would give them.
//!
//! Amati, "Probability Models for Information Retrieval Based on Divergence from Randomness", thesis, Glasgow 2003: the weight of
//! a word is the information of its frequency in the documents found, under Bose-Einstein statistics with its frequency in the
//! collection. The weights are mixed with the query's as in Terrier, without a parameter.

use super::{Feedback, Found, heaviest};
use crate::{Index, Query};
use quadrat_core::{Area, Card, Method, Settings};
use std::collections::BTreeMap;

/// Bo1: parameters.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct Bo1 {
    /// Documents looked at.
    #[param(default = 3, from = 1)]
    pub documents: usize,
    /// Words added at most.
    #[param(default = 10, from = 1)]
    pub terms: usize,
}

impl Method for Bo1 {
    const CARD: Card = Card {
        slug: "bo1",
        aliases: &["bose-einstein"],
        title: "Bo1: divergence from randomness",
        paper: "Amati, Probability Models for Information Retrieval Based on Divergence from Randomness, Glasgow 2003",
        area: Area::Retrieval,
        verbs: &["retrieve search"],
        summary: "Adds to a query the words that the first documents found have far more often than chance gives them.",
        useful_when: "query expansion without a weight to choose, few documents to learn from",
        cost: "time of two searches and of reading the lists of all words of the documents looked at, once a word",
        params: Self::PARAMS,
    };
}

impl Feedback for Bo1 {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn documents(&self) -> usize {
        self.documents
    }

    fn revise(&self, index: &Index, query: &Query, found: &[Found]) -> Query {
        let mut counts: BTreeMap<&str, f64> = BTreeMap::new();
        for (word, count) in found.iter().flat_map(|found| &found.words) {
            *counts.entry(word).or_default() += f64::from(*count);
        }
        for (word, weight) in &mut counts {
            // Expected occurrences in a document.
            let p = index.occurrences(word) as f64 / index.len() as f64;
            *weight = *weight * ((1.0 + p) / p).log2() + (1.0 + p).log2();
        }
        let added = heaviest(counts, self.terms);
        let most = added.first().map_or(1.0, |(_, weight)| *weight);
        let own = query.words.iter().map(|(_, weight)| *weight).fold(0.0, f32::max);
        let mut revised = Query::default();
        query.words.iter().for_each(|(word, weight)| revised.add(word, weight / own));
        added.iter().for_each(|(word, weight)| revised.add(word, (weight / most) as f32));
        revised
    }
}
