//! Training of dense retrievers: from pairs of a query and a relevant document to two encoders whose inner product ranks well.
//!
//! The [`DualEncoder`] is one that a processor trains in seconds: a text is a bag of words with weights ([`Vocabulary`]), and its
//! vector the weighted sum of its words' vectors. What the methods are about, which negatives cost what, does not depend on the
//! encoder. Since the encoder is linear its derivative is one scatter of rows, so that training is written on arrays, without an
//! automatic differentiation, and all bits depend on the seed alone, for any number of threads.
//!
//! - [`Star`]: both encoders together, with negatives that were mined once beside those of the batch; and its competitors, as
//!   settings ([`Negatives`]).
//! - [`Adore`]: the query encoder alone, with negatives that are searched afresh at every step.
//! - [`InferenceFreeSparse`]: another encoder, whose documents are bags of weighted words for an inverted index ([`BowExpander`]).
//!
//! Scores are inner products, not cosines, and their scale decides how hard the softplus of a difference pulls: see
//! [`DualEncoder::start`].

mod adore;
mod bags;
mod encoder;
mod inference_free_sparse;
mod lexicon;
mod star;

use crate::dense::search;
use crate::measures::Measure;
pub use adore::{Adore, Step};
pub use bags::Vocabulary;
pub use encoder::DualEncoder;
pub use inference_free_sparse::{
    BowExpander, InferenceFreeSparse, Penalty, SparseTask, Sparsifier, Sparsity, Target, Teachers, flops, l1,
    quality_of_bags, search_bags,
};
pub use lexicon::Lexicon;
use ndarray::ArrayView2;
use quadrat_core::{Card, Entry, Error, Lists, Method, Params, Progress, Result, Seed, stats};
use quadrat_numeric::Csr;
pub use star::{Negatives, Star};
use std::collections::HashSet;

/// Texts as bags of words, and which belong together.
#[derive(Debug, Clone, Copy)]
pub struct Task<'a> {
    /// The documents.
    pub documents: &'a Csr,
    /// The queries.
    pub queries: &'a Csr,
    /// For each query the rows of the documents that are relevant to it, one at least.
    pub relevant: &'a Lists,
}

impl Task<'_> {
    /// That all fits together.
    fn check(&self, words: usize) -> Result<()> {
        check_relevant(self.documents.rows(), self.queries.rows(), self.relevant)?;
        for (what, bags) in [("documents", self.documents), ("queries", self.queries)] {
            if bags.cols != words {
                return Err(Error::input(
                    format!("words of the {what}"),
                    bags.cols,
                    format!("the encoder knows {words}"),
                ));
            }
        }
        Ok(())
    }
}

pub(crate) fn check_relevant(documents: usize, queries: usize, relevant: &Lists) -> Result<()> {
    if documents == 0 || queries == 0 {
        return Err(Error::input(
            "documents and queries",
            format!("{documents} and {queries}"),
            "at least one of each",
        ));
    }
    if relevant.len() != queries {
        return Err(Error::input(
            "lists of relevant documents",
            relevant.len(),
            format!("one for each of {queries} queries"),
        ));
    }
    if let Some(query) = relevant.iter().position(<[u32]>::is_empty) {
        return Err(Error::input(
            format!("query {query} (from 0)"),
            "no relevant document",
            "each query needs at least one",
        ));
    }
    match relevant.items().iter().find(|document| **document as usize >= documents) {
        Some(document) => Err(Error::input("relevant document", document, format!("rows are 0 to {}", documents - 1))),
        None => Ok(()),
    }
}

/// A way to train the encoders.
pub trait RetrieverTraining: Send + Sync {
    /// The method's card.
    fn card(&self) -> &'static Card;

    /// Trains, and returns the loss of each step.
    ///
    /// # Errors
    /// Nothing to learn from, a query without a relevant document, rows that are not there, bags of another vocabulary than the
    /// encoder's, fewer documents than the negatives asked for, numbers that grow beyond single precision; the user's cancelling.
    fn train(&self, encoder: &mut DualEncoder, task: &Task, seed: Seed, progress: &dyn Progress) -> Result<Vec<f64>>;
}

const METHODS: &[Entry<dyn RetrieverTraining>] = &[of::<Star>(), of::<Adore>()];

const fn of<T: RetrieverTraining + Method + 'static>() -> Entry<dyn RetrieverTraining> {
    Entry { card: &T::CARD, build: |params| Ok(Box::new(T::from_params(params)?)) }
}

/// The cards of all methods of training.
pub fn cards() -> Vec<&'static Card> {
    METHODS.iter().map(|method| method.card).chain([&InferenceFreeSparse::CARD]).collect()
}

/// The method called `name` (slug or alias) with the given parameters.
///
/// # Errors
/// An unknown method or parameter (the nearest names are offered), or a value that does not fit.
pub fn build(name: &str, params: &Params) -> Result<Box<dyn RetrieverTraining>> {
    Entry::find(METHODS, "methods of training", name, params)
}

/// How well queries find what is relevant to them, as means over the queries.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quality {
    /// The reciprocal rank of the first relevant document, 0 beyond rank 10.
    pub mrr_at_10: f64,
    /// The share of the relevant documents among the first 100.
    pub recall_at_100: f64,
}

/// Searches with vectors of queries among those of documents, and measures. `relevant` lists the relevant rows of each query.
///
/// # Errors
/// As [`search`]; no documents or queries, a query without a relevant document, a row that is not there.
pub fn quality(
    documents: ArrayView2<f32>,
    queries: ArrayView2<f32>,
    relevant: &Lists,
    progress: &dyn Progress,
) -> Result<Quality> {
    check_relevant(documents.nrows(), queries.nrows(), relevant)?;
    let found = search(documents, queries, 100, None, progress)?;
    Quality::of((0..queries.nrows()).map(|query| found.of(query).0), relevant)
}

impl Quality {
    /// Of the rows found for each query, best first: 100 of them, or as many as there are. `relevant` lists the relevant rows of
    /// each query; a query without one counts as 0.
    ///
    /// # Errors
    /// None for rows as they are asked for.
    pub fn of<'a>(found: impl Iterator<Item = &'a [u32]> + Clone, relevant: &Lists) -> Result<Quality> {
        let mean = |name: &str| {
            let measure = Measure::parse(name)?;
            let of_query = |(ranked, own): (&[u32], &[u32])| {
                let own: HashSet<u32> = own.iter().copied().collect();
                let ranked: Vec<Option<i32>> = ranked.iter().map(|row| own.contains(row).then_some(1)).collect();
                measure.of(&ranked, &vec![1; own.len()])
            };
            Ok(stats::mean(&found.clone().zip(relevant.iter()).map(of_query).collect::<Vec<f64>>()))
        };
        Ok(Quality { mrr_at_10: mean("mrr@10")?, recall_at_100: mean("recall@100")? })
    }
}

#[cfg(test)]
mod tests;
