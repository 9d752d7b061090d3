//! Pseudo-relevance feedback: the first documents found are taken for relevant, and the query learns from their words.

mod bo1;
mod rm3;
mod rocchio;

use crate::{Hit, Index, Query, Search};
pub use bo1::Bo1;
use quadrat_core::{Card, Entry, Error, Method, Params, Progress, Result};
pub use rm3::Rm3;
pub use rocchio::Rocchio;
use std::collections::BTreeMap;

/// Makes a better query of a query and what it found.
pub trait Feedback: Send + Sync {
    /// The method's card.
    fn card(&self) -> &'static Card;

    /// How many documents it looks at.
    fn documents(&self) -> usize;

    /// The new query. `found` are the first pass's best documents, at least one and at most as many as it looks at.
    fn revise(&self, index: &Index, query: &Query, found: &[Found]) -> Query;
}

/// A document of the first pass.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Its score there.
    pub score: f32,
    /// Its words, and how often each occurs.
    pub words: BTreeMap<String, u32>,
    /// Number of its words.
    pub length: u32,
}

const METHODS: &[Entry<dyn Feedback>] = &[of::<Rm3>(), of::<Rocchio>(), of::<Bo1>()];

const fn of<T: Feedback + Method + 'static>() -> Entry<dyn Feedback> {
    Entry { card: &T::CARD, build: |params| Ok(Box::new(T::from_params(params)?)) }
}

/// The cards of all methods of feedback.
pub fn cards() -> Vec<&'static Card> {
    METHODS.iter().map(|method| method.card).collect()
}

/// The method called `name` (slug or alias) with the given parameters.
///
/// # Errors
/// An unknown method or parameter (the nearest names are offered), or a value that does not fit.
///
/// ```
/// use quadrat_core::Params;
/// let rm3 = quadrat_retrieval::feedback::build("rm3", &Params::from([("terms", "20")]))?;
/// assert_eq!(rm3.documents(), 10);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn build(name: &str, params: &Params) -> Result<Box<dyn Feedback>> {
    Entry::find(METHODS, "methods of feedback", name, params)
}

/// Searches twice: with each query, and with what `feedback` makes of it. A query that finds nothing stays as it is.
///
/// # Errors
/// As [`Index::search_all`]; an index of impacts, whose documents' texts say nothing of their weights.
pub fn search(
    index: &Index,
    queries: &[Query],
    feedback: &dyn Feedback,
    k: usize,
    how: Search,
    progress: &dyn Progress,
) -> Result<Vec<Vec<Hit>>> {
    if index.has_impacts() {
        return Err(Error::input(
            "feedback",
            "an index of impacts",
            "an index of texts (bm25), whose words can be counted",
        ));
    }
    let first = index.search_all(queries, feedback.documents(), how, progress)?;
    let revised: Vec<Query> = queries
        .iter()
        .zip(first)
        .map(|(query, hits)| {
            let found: Vec<Found> = hits.iter().map(|hit| Found::new(index, hit)).collect();
            if found.is_empty() { query.clone() } else { feedback.revise(index, query, &found) }
        })
        .collect();
    index.search_all(&revised, k, how, progress)
}

impl Found {
    fn new(index: &Index, hit: &Hit) -> Found {
        let mut found = Found { score: hit.score, words: BTreeMap::new(), length: 0 };
        index.analyser().words(index.text(hit.document), |word| {
            *found.words.entry(word.to_owned()).or_default() += 1;
            found.length += 1;
        });
        found
    }
}

/// The `count` heaviest words, the heaviest first, of equal weights the first in the alphabet.
fn heaviest(weights: BTreeMap<&str, f64>, count: usize) -> Vec<(&str, f64)> {
    let mut weights: Vec<(&str, f64)> = weights.into_iter().collect();
    weights.sort_by(|a, b| b.1.total_cmp(&a.1));
    weights.truncate(count);
    weights
}

#[cfg(test)]
mod tests;
