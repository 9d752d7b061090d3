//! Rocchio: the query moved towards the middle of the documents that it found.
//!
//! Rocchio, "Relevance Feedback in Information Retrieval", in The SMART Retrieval System, 1971, without documents taken for
//! irrelevant.

use super::rm3::COMMON;
use super::{Feedback, Found, heaviest};
use crate::{Index, Query};
use quadrat_core::{Area, Card, Method, Settings};
use std::collections::BTreeMap;

/// Rocchio: parameters.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct Rocchio {
    /// Documents looked at.
    #[param(default = 10, from = 1)]
    pub documents: usize,
    /// Words added at most.
    #[param(default = 10, from = 1)]
    pub terms: usize,
    /// Weight of the query.
    #[param(default = 1.0, from = 0)]
    pub alpha: f64,
    /// Weight of the documents' mean.
    #[param(default = 0.75, from = 0)]
    pub beta: f64,
}

impl Method for Rocchio {
    const CARD: Card = Card {
        slug: "rocchio",
        aliases: &[],
        title: "Rocchio's feedback",
        paper: "Rocchio, Relevance Feedback in Information Retrieval, The SMART Retrieval System, 1971",
        area: Area::Retrieval,
        verbs: &["retrieve search"],
        summary: "Moves a query's words towards the mean of the first documents found, all as vectors of length 1.",
        useful_when: "query expansion where every document found shall count alike, classical relevance feedback",
        cost: "time of two searches and of counting the words of the documents looked at",
        params: Self::PARAMS,
    };
}

impl Feedback for Rocchio {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn documents(&self) -> usize {
        self.documents
    }

    fn revise(&self, index: &Index, query: &Query, found: &[Found]) -> Query {
        let mut mean: BTreeMap<&str, f64> = BTreeMap::new();
        for Found { words, .. } in found {
            let length = words.values().map(|count| f64::from(*count).powi(2)).sum::<f64>().sqrt();
            for (word, count) in words {
                *mean.entry(word).or_default() += f64::from(*count) / length / found.len() as f64;
            }
        }
        mean.retain(|word, _| index.frequency(word) as f64 <= COMMON * index.len() as f64);
        let added = heaviest(mean, self.terms);
        let norm = |weights: &mut dyn Iterator<Item = f64>| weights.map(|w| w * w).sum::<f64>().sqrt();
        let of_added = norm(&mut added.iter().map(|(_, weight)| *weight));
        let of_query = norm(&mut query.words.iter().map(|(_, weight)| f64::from(*weight)));
        let mut revised = Query::default();
        query.words.iter().for_each(|(word, w)| revised.add(word, (self.alpha * f64::from(*w) / of_query) as f32));
        added.iter().for_each(|(word, w)| revised.add(word, (self.beta * w / of_added) as f32));
        revised
    }
}
