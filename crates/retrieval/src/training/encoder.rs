//! Two encoders, and the steps that train them.

use super::bags::{embed, scatter};
use ndarray::{Array2, ArrayView2};
use quadrat_core::{Error, Result, Seed, stats};
use quadrat_numeric::Csr;
use quadrat_numeric::layers::descend;
use quadrat_numeric::linalg::truncated_svd;

/// An encoder of documents and one of queries: a vector for each word, of which a text is the weighted sum.
///
/// Both share their words' vectors until [`Adore`](super::Adore) gives the queries their own.
#[derive(Debug, Clone, PartialEq)]
pub struct DualEncoder {
    words: Array2<f32>,
    query_words: Option<Array2<f32>>,
}

impl DualEncoder {
    /// The untrained encoder: latent semantic analysis (Deerwester et al. 1990), whose words' vectors are the right singular vectors
    /// of the documents' bags (0 for words that no document has), all times one number. `dims` values a vector, of which those beyond the number of words are left out
    /// and those beyond the rank are 0.
    ///
    /// That number makes `spread` the standard deviation of the scores of queries and documents. The losses see differences of
    /// scores: with a spread far below 1 every pair looks undecided and all words move at once, far above it nearly all pairs
    /// look settled; between 1 and 4 training does what it is for.
    ///
    /// Cost: that of [`truncated_svd`].
    ///
    /// # Errors
    /// No documents; a `dims` of 0.
    pub fn start(documents: &Csr, queries: &Csr, dims: usize, spread: f64, seed: Seed) -> Result<DualEncoder> {
        let mut words = right_vectors(documents, dims, seed)?;
        let some = |bags: &Csr| {
            embed(words.view(), bags, &all(bags).into_iter().step_by(bags.rows() / 512 + 1).collect::<Vec<_>>())
        };
        let scores = some(queries).dot(&some(documents).t());
        let usual = stats::standard_deviation(&scores.iter().map(|score| f64::from(*score)).collect::<Vec<_>>());
        // Both vectors of a score are scaled.
        let factor = if usual > 0.0 { (spread / usual).sqrt() } else { 1.0 };
        words.mapv_inplace(|value| value * factor as f32);
        Ok(DualEncoder { words, query_words: None })
    }

    /// Words x dims: vectors of words that were trained before, those in documents and those in queries.
    ///
    /// # Errors
    /// Tables of different shapes; a value that is not finite.
    pub fn of(words: Array2<f32>, query_words: Array2<f32>) -> Result<DualEncoder> {
        if words.dim() != query_words.dim() {
            let got = format!("{:?} and {:?}", words.dim(), query_words.dim());
            return Err(Error::input("word vectors of documents and queries", got, "two tables of one shape"));
        }
        if words.iter().chain(&query_words).any(|value| !value.is_finite()) {
            return Err(Error::input("word vectors", "a value that is not finite", "train the encoder again"));
        }
        let own = words != query_words;
        Ok(DualEncoder { words, query_words: own.then_some(query_words) })
    }

    /// Words x dims: the vectors of the words in documents.
    pub fn words(&self) -> ArrayView2<'_, f32> {
        self.words.view()
    }

    /// The same for words in queries.
    pub fn query_words(&self) -> ArrayView2<'_, f32> {
        self.query_words.as_ref().unwrap_or(&self.words).view()
    }

    /// A row for each document. Bags must be of the vocabulary that the encoder was made with.
    pub fn documents(&self, bags: &Csr) -> Array2<f32> {
        embed(self.words(), bags, &all(bags))
    }

    /// A row for each query. Bags must be of the vocabulary that the encoder was made with.
    pub fn queries(&self, bags: &Csr) -> Array2<f32> {
        embed(self.query_words(), bags, &all(bags))
    }

    /// Whether queries and documents share their words' vectors.
    pub fn is_shared(&self) -> bool {
        self.query_words.is_none()
    }

    pub(super) fn set_shared(&mut self, words: Array2<f32>) {
        self.words = words;
    }

    pub(super) fn set_queries(&mut self, words: Array2<f32>) {
        self.query_words = Some(words);
    }
}

/// The right singular vectors of some bags, a row for each word; 0 beyond the rank.
pub(super) fn right_vectors(bags: &Csr, dims: usize, seed: Seed) -> Result<Array2<f32>> {
    let found = truncated_svd(bags, dims.min(bags.cols), seed)?;
    // With A = U S V^T, V is A^T (U S) / S^2.
    let mut words = Array2::zeros((bags.cols, found.singular.len()));
    scatter(bags, &all(bags), found.coordinates.view(), &mut words);
    let least = 1e-6 * found.singular.first().copied().unwrap_or(0.0);
    for (mut column, singular) in words.columns_mut().into_iter().zip(&found.singular) {
        let factor = if *singular > least { 1.0 / (singular * singular) } else { 0.0 };
        column.mapv_inplace(|value| value * factor as f32);
    }
    Ok(words)
}

/// All rows.
pub(super) fn all(bags: &Csr) -> Vec<u32> {
    (0..bags.rows() as u32).collect()
}

/// Words' vectors that are trained, by Adam with a rate that falls linearly to 0 over all steps.
pub(super) struct Trained {
    pub words: Array2<f32>,
    slope: Array2<f32>,
    first: Array2<f32>,
    second: Array2<f32>,
    rate: f64,
    steps: usize,
    done: usize,
}

impl Trained {
    pub fn new(words: ArrayView2<f32>, rate: f64, steps: usize) -> Self {
        let zeros = Array2::zeros(words.dim());
        let (slope, first, second) = (zeros.clone(), zeros.clone(), zeros);
        Trained { words: words.to_owned(), slope, first, second, rate, steps, done: 0 }
    }

    pub fn embed(&self, bags: &Csr, texts: &[u32]) -> Array2<f32> {
        embed(self.words.view(), bags, texts)
    }

    /// Adds what the derivatives by the vectors of some texts say of the words.
    pub fn add(&mut self, bags: &Csr, texts: &[u32], slopes: &Array2<f32>) {
        scatter(bags, texts, slopes.view(), &mut self.slope);
    }

    pub fn step(&mut self) {
        let rate = self.rate * (1.0 - self.done as f64 / self.steps as f64);
        self.done += 1;
        descend(&mut self.words, &mut self.slope, &mut self.first, &mut self.second, rate, self.done as i32);
    }
}
