//! What the postings of an index are worth: BM25's formula of counts and lengths, or the impacts that documents came with.

use super::search::{Best, Part, Scope, Sums, Term};
use super::segment::Segment;
use crate::bm25::{Form, Lifted, Saturating};
use crate::impacts::Asked;
use crate::store::{Kind, Segment as _, Setup};
use crate::{Analyser, Bm25, Impacts, Strategy};
use quadrat_core::{Error, Result};
use std::path::Path;

/// Where a posting's worth comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Weights {
    /// How often a word occurs.
    Bm25(Bm25),
    /// What it came with.
    Impacts(Impacts),
}

/// The lengths of a segment's documents, as far as they matter.
#[derive(Clone, Copy)]
pub struct Lengths<'a> {
    /// Of all documents of the index.
    pub mean: f64,
    /// `K` of each document.
    pub norms: &'a [f32],
}

impl Weights {
    /// What an index of words is set with.
    pub fn of(folder: &Path, setup: &Setup) -> Result<(Analyser, Weights)> {
        match setup.kind {
            Kind::Bm25 { analyser, bm25 } => Ok((analyser, Weights::Bm25(bm25))),
            Kind::Impacts { analyser, impacts, .. } => Ok((analyser, Weights::Impacts(impacts))),
            Kind::Dense { .. } => {
                Err(Error::input("index", folder.display(), "an index of words; this one holds vectors"))
            }
        }
    }

    /// What a word of `df` of `n` documents weighs in a query.
    pub fn of_query(&self, df: u64, n: u64) -> f32 {
        match self {
            Weights::Bm25(bm25) => bm25.weight(df, n),
            Weights::Impacts(Impacts { asked: Asked::Idf, .. }) => {
                (1.0 + (n as f64 - df as f64 + 0.5) / (df as f64 + 0.5)).ln() as f32
            }
            Weights::Impacts(Impacts { asked: Asked::One, .. }) => 1.0,
        }
    }

    /// What a word of that weight adds to a document without it.
    pub fn absent(&self, weight: f32) -> f32 {
        match self {
            Weights::Bm25(bm25) => bm25.absent(weight),
            Weights::Impacts(_) => 0.0,
        }
    }

    /// What a sum of 1 is worth.
    pub fn unit(&self) -> f32 {
        match self {
            Weights::Bm25(_) => 1.0,
            Weights::Impacts(impacts) => impacts.step,
        }
    }

    /// `K` of each document of a segment.
    pub fn norms(&self, segment: &Segment, mean: f64) -> Vec<f32> {
        match self {
            Weights::Bm25(bm25) => (0..segment.documents()).map(|doc| bm25.norm(segment.length(doc), mean)).collect(),
            Weights::Impacts(_) => Vec::new(),
        }
    }

    /// Offers a segment's documents to `best`; the heaviest term comes first.
    pub fn search(
        &self,
        part: Part,
        Lengths { mean, norms }: Lengths,
        terms: &mut [Term],
        strategy: Strategy,
        best: &mut Best,
        sums: &mut Sums,
    ) {
        match *self {
            Weights::Impacts(impacts) => Scope { weigh: &impacts, part }.search(terms, strategy, best, sums),
            Weights::Bm25(bm25) => {
                let weigh = Saturating { bm25, mean, norms };
                match bm25.form {
                    Form::L => Scope { weigh: &Lifted(weigh), part }.search(terms, strategy, best, sums),
                    _ => Scope { weigh: &weigh, part }.search(terms, strategy, best, sums),
                }
            }
        }
    }
}
