//! What keeps documents short, and how short they are.

use ndarray::{Array2, ArrayView2};
use quadrat_numeric::Csr;

/// A penalty and its derivatives.
#[derive(Debug, Clone, PartialEq)]
pub struct Penalty {
    /// The penalty.
    pub value: f64,
    /// Documents x words: its derivative by each weight.
    pub slope: Array2<f32>,
}

/// FLOPS (Paria et al. 2020, arXiv 2004.05665; SPLADE's): the sum over the words of (the mean of the word's weights over the
/// documents)^2, the mean first. Its derivative by a weight is 2 mean / documents. Words that many documents have cost more than the
/// same weight spread over rare ones.
///
/// Documents with no more than `spared` words count as empty ones and are left alone (the threshold of the authors' later models).
///
/// `weights` are documents x words, 0 or more.
pub fn flops(weights: ArrayView2<f32>, spared: Option<usize>) -> Penalty {
    let counts: Vec<bool> = weights
        .outer_iter()
        .map(|weights| spared.is_none_or(|spared| weights.iter().filter(|weight| **weight > 0.0).count() > spared))
        .collect();
    let documents = weights.nrows().max(1) as f64;
    let mut means = vec![0.0_f64; weights.ncols()];
    for (weights, _) in weights.outer_iter().zip(&counts).filter(|(_, counts)| **counts) {
        means.iter_mut().zip(weights).for_each(|(mean, weight)| *mean += f64::from(*weight) / documents);
    }
    let mut slope = Array2::zeros(weights.dim());
    for (mut slope, _) in slope.outer_iter_mut().zip(&counts).filter(|(_, counts)| **counts) {
        slope.iter_mut().zip(&means).for_each(|(slope, mean)| *slope = (2.0 * mean / documents) as f32);
    }
    Penalty { value: means.iter().map(|mean| mean * mean).sum(), slope }
}

/// The rival: the mean over the documents of the sum of their weights.
pub fn l1(weights: ArrayView2<f32>) -> Penalty {
    let documents = weights.nrows().max(1) as f64;
    let value = weights.iter().map(|weight| f64::from(*weight)).sum::<f64>() / documents;
    Penalty { value, slope: Array2::from_elem(weights.dim(), (1.0 / documents) as f32) }
}

/// How sparse a collection is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sparsity {
    /// Words of a document with a weight above 0, on average.
    pub active: f64,
    /// Words that no document has.
    pub dead: usize,
    /// The postings that a query meets for each document: the sum over the words of the share of the queries that ask for one times
    /// the share of the documents that have it.
    pub flops: f64,
}

impl Sparsity {
    /// Of documents and queries, both texts x words.
    pub fn of(documents: &Csr, queries: &Csr) -> Sparsity {
        let count = |bags: &Csr| {
            let mut counts = vec![0_u64; bags.cols];
            let words = bags.indices.iter().zip(&bags.values).filter(|(_, value)| **value > 0.0);
            words.for_each(|(word, _)| counts[*word as usize] += 1);
            counts
        };
        let (has, asks) = (count(documents), count(queries));
        let rows = (documents.rows().max(1) as f64, queries.rows().max(1) as f64);
        let met: f64 = has.iter().zip(&asks).map(|(has, asks)| *has as f64 * *asks as f64).sum();
        Sparsity {
            active: has.iter().sum::<u64>() as f64 / rows.0,
            dead: has.iter().filter(|has| **has == 0).count(),
            flops: met / (rows.0 * rows.1),
        }
    }
}
