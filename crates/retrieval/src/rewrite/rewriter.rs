//! Rocchio's rule with learned parts.

use crate::vectors::VectorIndex;
use crate::{Hit, Set};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};
use quadrat_core::{Error, Progress, Result, Within};

/// Makes a better query of a query and the documents that it found: q + V (a_1 d_1 + .. + a_k d_k), times the number that gives it
/// the length of q. The a are a softmax over the k documents and the query itself, whose own share moves nothing: q B d_i + b_i for
/// the document of rank i, b_0 for the query. Without documents the query comes back as it was, to the bit.
///
/// It keeps the length since a longer query would make every difference of scores larger, and a loss with it, whatever its direction.
#[derive(Debug, Clone, PartialEq)]
pub struct Rewriter {
    /// dims x dims: V, what a document's vector adds to a query.
    pub transform: Array2<f32>,
    /// dims x dims: B, which documents a query listens to.
    pub attention: Array2<f32>,
    /// Of the query, and of each rank; the last one stands for all behind it.
    pub ranks: Array1<f32>,
}

/// What the derivatives of a revision need.
pub(super) struct Trace {
    /// Of the query and of each document.
    shares: Vec<f32>,
    mean: Array1<f32>,
    /// Before it got the query's length, and the factor that gave it.
    sum: Array1<f32>,
    factor: f32,
}

impl Rewriter {
    /// Rocchio's rule with equal shares: V is `beta` times the identity, all else 0.
    pub fn rocchio(dims: usize, documents: usize, beta: f32) -> Rewriter {
        let transform = Array2::from_diag_elem(dims, beta);
        Rewriter { transform, attention: Array2::zeros((dims, dims)), ranks: Array1::zeros(documents + 1) }
    }

    /// Whether the parts fit together: `dims` values a vector, and at least one rank.
    ///
    /// # Errors
    /// They do not.
    pub fn check(&self, dims: usize) -> Result<()> {
        let shapes = [self.transform.dim(), self.attention.dim()];
        if shapes != [(dims, dims); 2] || self.ranks.len() < 2 {
            let got = format!("parts of {shapes:?} and {} ranks", self.ranks.len());
            return Err(Error::input("rewriter", got, format!("two of {dims} x {dims}, and one rank at least")));
        }
        Ok(())
    }

    /// The new query, from the documents' vectors, best first. All vectors have as many values as the rewriter was made for.
    pub fn revise(&self, query: ArrayView1<f32>, documents: &[ArrayView1<f32>]) -> Array1<f32> {
        self.trace(query, documents).0
    }

    pub(super) fn trace(&self, query: ArrayView1<f32>, documents: &[ArrayView1<f32>]) -> (Array1<f32>, Trace) {
        if documents.is_empty() {
            let (mean, sum) = (Array1::zeros(query.len()), query.to_owned());
            return (query.to_owned(), Trace { shares: vec![1.0], mean, sum, factor: 1.0 });
        }
        let listens = query.dot(&self.attention);
        let last = self.ranks.len() - 1;
        let logits = std::iter::once(self.ranks[0]).chain(
            documents.iter().zip(1..).map(|(document, rank)| listens.dot(document) + self.ranks[last.min(rank)]),
        );
        let shares = softmax(logits.collect());
        let mut mean = Array1::zeros(query.len());
        documents.iter().zip(&shares[1..]).for_each(|(document, share)| mean.scaled_add(*share, document));
        let sum = &query + &self.transform.dot(&mean);
        let length = sum.dot(&sum).sqrt();
        // A query that its documents cancel stays what it was: there is no direction to take.
        if length <= f32::MIN_POSITIVE {
            return (query.to_owned(), Trace { shares, mean, sum: query.to_owned(), factor: 1.0 });
        }
        let factor = query.dot(&query).sqrt() / length;
        (&sum * factor, Trace { shares, mean, sum, factor })
    }

    /// Adds to `slope` the derivatives of a loss by the parts, from those by the new query.
    pub(super) fn pull_back(
        &self,
        query: ArrayView1<f32>,
        documents: &[ArrayView1<f32>],
        Trace { shares, mean, sum, factor }: &Trace,
        by_query: ArrayView1<f32>,
        slope: &mut Rewriter,
    ) {
        if documents.is_empty() {
            return;
        }
        // By the sum before it was given a length: what lies along it changes nothing.
        let along = sum.dot(&by_query) / sum.dot(sum).max(f32::MIN_POSITIVE);
        let by_sum = (&by_query - &(sum * along)) * *factor;
        add_outer(&mut slope.transform, by_sum.view(), mean.view());
        let by_mean = self.transform.t().dot(&by_sum);
        let by_share: Vec<f32> = documents.iter().map(|document| by_mean.dot(document)).collect();
        let usual: f32 = by_share.iter().zip(&shares[1..]).map(|(by, share)| by * share).sum();
        slope.ranks[0] -= shares[0] * usual;
        let last = slope.ranks.len() - 1;
        let mut listened = Array1::zeros(query.len());
        for (((document, by), share), rank) in documents.iter().zip(by_share).zip(&shares[1..]).zip(1..) {
            let by_logit = share * (by - usual);
            slope.ranks[last.min(rank)] += by_logit;
            listened.scaled_add(by_logit, document);
        }
        add_outer(&mut slope.attention, query, listened.view());
    }
}

fn softmax(mut logits: Vec<f32>) -> Vec<f32> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    logits.iter_mut().for_each(|v| *v = (*v - most).exp());
    let sum: f32 = logits.iter().sum();
    logits.iter_mut().for_each(|v| *v /= sum);
    logits
}

fn add_outer(matrix: &mut Array2<f32>, rows: ArrayView1<f32>, columns: ArrayView1<f32>) {
    for (mut row, value) in matrix.axis_iter_mut(Axis(0)).zip(rows) {
        row.scaled_add(*value, &columns);
    }
}

/// Searches twice: with each query, and with what the rewriter makes of it and of the `documents` best that it found (fewer where there
/// are fewer; with 0 once). The result is as that of [`VectorIndex::search`].
///
/// # Errors
/// A rewriter for vectors of another number of values; as [`VectorIndex::search`].
pub fn search(
    index: &VectorIndex,
    queries: ArrayView2<f32>,
    (rewriter, documents): (&Rewriter, usize),
    k: usize,
    only: Option<&Set>,
    progress: &dyn Progress,
) -> Result<Vec<Vec<Hit>>> {
    rewriter.check(index.columns())?;
    if documents == 0 {
        return index.search(queries, k, only, progress);
    }
    let first = index.search(queries, documents, only, &Within(progress))?;
    let mut revised = queries.to_owned();
    for (mut query, hits) in revised.outer_iter_mut().zip(first) {
        let found: Vec<ArrayView1<f32>> = hits.iter().map(|hit| index.vector(hit.document)).collect();
        let new = rewriter.revise(query.view(), &found);
        query.assign(&new);
    }
    index.search(revised.view(), k, only, progress)
}
