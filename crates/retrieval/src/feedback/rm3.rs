//! RM3: the query mixed with a model of the documents that it found.
//!
//! Lavrenko and Croft, "Relevance-Based Language Models", SIGIR 2001 (their model 1), mixed with the query as in Abdul-Jaleel
//! et al., "UMass at TREC 2004". The weights of documents are their scores rather than query likelihoods, as Anserini has
//! it, since what comes before is BM25.

use super::{Feedback, Found, heaviest};
use crate::{Index, Query};
use quadrat_core::{Area, Card, Method, Settings};
use std::collections::BTreeMap;

/// RM3: parameters.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct Rm3 {
    /// Documents looked at.
    #[param(default = 10, from = 1)]
    pub documents: usize,
    /// Words added at most.
    #[param(default = 10, from = 1)]
    pub terms: usize,
    /// Share of the query's own words in the new one.
    #[param(default = 0.5, from = 0, to = 1)]
    pub weight: f64,
}

impl Method for Rm3 {
    const CARD: Card = Card {
        slug: "rm3",
        aliases: &["relevance-model"],
        title: "RM3: a relevance model mixed with the query",
        paper: "Lavrenko, Croft, Relevance-Based Language Models, SIGIR 2001; Abdul-Jaleel et al., UMass at TREC 2004",
        area: Area::Retrieval,
        verbs: &["retrieve search"],
        summary: "Adds to a query the words that the first documents found have in common, each by its share of them.",
        useful_when: "short queries miss documents that use other words, query expansion, higher recall",
        cost: "time of two searches and of counting the words of the documents looked at",
        params: Self::PARAMS,
    };
}

/// A word in more of all documents than this share says nothing about a query (Anserini's bound).
pub(super) const COMMON: f64 = 0.1;

impl Feedback for Rm3 {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn documents(&self) -> usize {
        self.documents
    }

    fn revise(&self, index: &Index, query: &Query, found: &[Found]) -> Query {
        // P(w | R) = sum over documents of P(w | d) P(d | q).
        let scores: f64 = found.iter().map(|found| f64::from(found.score)).sum();
        let mut model: BTreeMap<&str, f64> = BTreeMap::new();
        for Found { score, words, length } in found {
            for (word, count) in words {
                let share = f64::from(*count) / f64::from(*length);
                *model.entry(word).or_default() += share * f64::from(*score) / scores;
            }
        }
        model.retain(|word, _| index.frequency(word) as f64 <= COMMON * index.len() as f64);
        let added = heaviest(model, self.terms);
        let mass: f64 = added.iter().map(|(_, weight)| weight).sum();
        let own: f64 = query.words.iter().map(|(_, weight)| f64::from(*weight)).sum();
        let mut revised = Query::default();
        let weight = if added.is_empty() { 1.0 } else { self.weight };
        query.words.iter().for_each(|(word, of)| revised.add(word, (weight * f64::from(*of) / own) as f32));
        added.iter().for_each(|(word, of)| revised.add(word, ((1.0 - weight) * of / mass) as f32));
        revised
    }
}
