//! Inference-free learned sparse retrieval: documents learn the weights of their words, and of words they lack, while a query is only
//! split into words.
//!
//! Geng, Wang, Ru, Yang, "Towards Competitive Search Relevance For Inference-Free Learned Sparse Retrievers", 2024, arXiv 2411.04403,
//! and its authors' program. Two things make up for the missing query encoder. A query's words weigh their idf, fixed, while the
//! documents are trained: with u = idf w, what a posting adds to a score, the FLOPS penalty of w is sum over t of
//! (mean of u_t)^2 / idf_t^2, so that it holds back common words and spares the rare ones that tell documents apart. And the student
//! learns from an ensemble of a dense and a sparse teacher, whose scores are brought to one range for each query ([`ensemble_targets`]).
//!
//! Left open by the paper and chosen here: the student ([`BowExpander`], which a processor trains in seconds), which starts at BM25;
//! Adam without weight decay, since the start is worth keeping; hard candidates of BM25's for each query of a batch, mined once.

mod expander;
mod search;
mod sparsity;

use super::check_relevant;
use crate::Asked;
use crate::losses::{Label, Loss, ensemble_targets, info_nce, kl_distillation};
pub use expander::BowExpander;
use expander::Training;
use ndarray::{Array2, ArrayView2, s};
use quadrat_core::{Area, Card, Choice, Error, Lists, Method, Progress, Result, Rng, Seed, Settings, checkpoint};
use quadrat_numeric::Csr;
pub use search::{quality_of_bags, search_bags};
pub use sparsity::{Penalty, Sparsity, flops, l1};

/// Inference-free sparse retrieval: parameters.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct InferenceFreeSparse {
    /// What a query's words weigh while documents are trained.
    #[param(default = Asked::Idf)]
    pub query_weights: Asked,
    /// What the student learns from.
    #[param(flatten)]
    pub target: Target,
    /// What keeps documents short.
    #[param(default = Sparsifier::Flops)]
    pub penalty: Sparsifier,
    /// Weight of the penalty.
    #[param(default = 5.0, from = 0)]
    pub lambda: f64,
    /// Steps over which that weight rises, as the square of the share of them that is done.
    #[param(default = 100, from = 1)]
    pub ramp: usize,
    /// Documents with no more words are left out of the FLOPS penalty; none leaves no document out.
    #[param(none = "none", from = 1, unit = "words")]
    pub spared: Option<usize>,
    /// Rank of the expansion.
    #[param(default = 64, from = 1)]
    pub rank: usize,
    /// Documents that BM25 ranks high for a query and that are not relevant to it, from which hard candidates are drawn.
    #[param(default = 50, from = 1, unit = "documents")]
    pub mined: usize,
    /// Hard candidates drawn for each query of a batch, those of all queries for each.
    #[param(default = 1, unit = "documents")]
    pub hard: usize,
    /// Steps.
    #[param(default = 400, from = 1)]
    pub steps: usize,
    /// Queries of a step; all if there are fewer.
    #[param(default = 32, from = 1, unit = "queries")]
    pub batch: usize,
    /// Step size of Adam at first; it falls to 0.
    #[param(default = 0.0005, above = 0)]
    pub rate: f64,
}

/// What the student learns from.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
#[param(name = "target", default = Distil)]
pub enum Target {
    /// What teachers think of the candidates.
    Distil {
        /// The teachers.
        #[param(default = Teachers::Both)]
        teachers: Teachers,
        /// Where each teacher's scores are brought from 0 to this for each query before they are averaged; raw leaves them as they are.
        #[param(default = 30.0, none = "raw", above = 0)]
        scale: Option<f64>,
    },
    /// Which documents are relevant: InfoNCE among the candidates.
    InfoNce,
}

/// Who teaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum Teachers {
    /// A dense retriever and BM25.
    Both,
    /// A dense retriever.
    Dense,
    /// BM25.
    Sparse,
}

/// What keeps documents short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum Sparsifier {
    /// The squares of the words' mean weights.
    Flops,
    /// The sum of all weights.
    L1,
}

impl Method for InferenceFreeSparse {
    const CARD: Card = Card {
        slug: "inference-free-sparse",
        aliases: &["idf-aware-flops", "splade-doc"],
        title: "Inference-free learned sparse retrieval",
        paper: "Geng, Wang, Ru, Yang, Towards Competitive Search Relevance For Inference-Free Learned Sparse Retrievers, 2024, \
                arXiv 2411.04403",
        area: Area::Retrieval,
        verbs: &["retrieve train"],
        summary: "Trains documents to weigh their words, and words they lack, for questions that are only split into words: an inverted \
                  index that has learnt which words belong together.",
        useful_when: "learned sparse retrieval, document expansion, synonyms in keyword search, semantic search at BM25's cost, \
                      distil a dense retriever into an inverted index",
        cost: "time O(batch x words x rank) a step; memory O(words x (rank + batch))",
        params: Self::PARAMS,
    };
}

/// Documents and queries, and which belong together.
#[derive(Debug, Clone, Copy)]
pub struct SparseTask<'a> {
    /// Documents x words: BM25's impacts ([`Lexicon::documents`](super::Lexicon::documents)).
    pub documents: &'a Csr,
    /// Queries x words ([`Lexicon::queries`](super::Lexicon::queries)).
    pub queries: &'a Csr,
    /// For each query the rows of the documents that are relevant to it, one at least.
    pub relevant: &'a Lists,
    /// What the dense teacher makes of the documents and of the queries: a row each, whose inner product is its score.
    pub dense: Option<(ArrayView2<'a, f32>, ArrayView2<'a, f32>)>,
}

impl SparseTask<'_> {
    fn check(&self, words: usize) -> Result<()> {
        check_relevant(self.documents.rows(), self.queries.rows(), self.relevant)?;
        for (what, bags) in [("documents", self.documents), ("queries", self.queries)] {
            if bags.cols != words {
                let want = format!("the encoder knows {words}");
                return Err(Error::input(format!("words of the {what}"), bags.cols, want));
            }
        }
        match self.dense {
            Some((documents, queries))
                if (documents.nrows(), queries.nrows()) != (self.documents.rows(), self.queries.rows()) =>
            {
                let want = format!("a row for each of {} and {}", self.documents.rows(), self.queries.rows());
                let got = format!("{} and {}", documents.nrows(), queries.nrows());
                Err(Error::input("the dense teacher's documents and queries", got, want))
            }
            _ => Ok(()),
        }
    }
}

/// Queries of a step, a relevant document of each, and then hard candidates, one of each again and again.
struct Batch {
    queries: Vec<u32>,
    documents: Vec<u32>,
}

impl InferenceFreeSparse {
    /// Trains an encoder ([`BowExpander::start`]), and returns the loss of each step, penalty included.
    ///
    /// # Errors
    /// Nothing to learn from, a query without a relevant document, rows that are not there, bags of another lexicon than the encoder's,
    /// no vectors of a dense teacher that is asked for, numbers that grow beyond single precision; the user's cancelling.
    pub fn train(
        &self,
        student: &mut BowExpander,
        task: &SparseTask,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Vec<f64>> {
        task.check(student.asked().len())?;
        progress.begin("inference-free-sparse", Some(self.steps as u64));
        let bm25 = student.bm25(task.documents);
        let mined = self.mine(&bm25, task);
        let asked = student.asked().clone();
        let mut training = Training::new(student, self.rate, self.steps);
        let draws = seed.stream("inference-free-sparse");
        let mut losses = Vec::with_capacity(self.steps);
        for step in 0..self.steps {
            checkpoint(progress)?;
            let batch = self.draw(task, &mined, &mut draws.rng(step as u64));
            let pass = training.student.forward(task.documents, batch.documents.clone());
            let words = |query: usize| task.queries.row(batch.queries[query] as usize).0;
            let score = |(query, document): (usize, usize)| -> f32 {
                words(query).iter().map(|word| asked[*word as usize] * pass.weights[[document, *word as usize]]).sum()
            };
            let scores = Array2::from_shape_fn((batch.queries.len(), batch.documents.len()), score);
            let loss = self.loss(scores.view(), task, &bm25, &batch)?;
            let mut value = loss.value;
            let mut slope = Array2::zeros(pass.weights.dim());
            for ((query, document), by_score) in loss.slope.indexed_iter() {
                words(query)
                    .iter()
                    .for_each(|word| slope[[document, *word as usize]] += by_score * asked[*word as usize]);
            }
            let ramp = ((step + 1) as f64 / self.ramp as f64).min(1.0).powi(2);
            for from in (0..batch.documents.len()).step_by(batch.queries.len()) {
                let slot = s![from..from + batch.queries.len(), ..];
                let penalty = self.penalty(pass.weights.slice(slot));
                value += self.lambda * ramp * penalty.value;
                slope.slice_mut(slot).scaled_add((self.lambda * ramp) as f32, &penalty.slope);
            }
            training.backward(task.documents, &pass, slope);
            training.step();
            progress.note(&format!("loss {value:.4}"));
            losses.push(value);
            progress.advance(1);
        }
        Ok(losses)
    }

    /// For each query what BM25 ranks high and what is not relevant.
    fn mine(&self, bm25: &Csr, task: &SparseTask) -> Vec<Vec<u32>> {
        let most = task.relevant.iter().map(<[u32]>::len).max().unwrap_or(0);
        let mut found = search_bags(bm25, task.queries, self.mined + most);
        for (found, relevant) in found.iter_mut().zip(task.relevant.iter()) {
            found.retain(|document| !relevant.contains(document));
            found.truncate(self.mined);
        }
        found
    }

    fn draw(&self, task: &SparseTask, mined: &[Vec<u32>], rng: &mut Rng) -> Batch {
        let queries: Vec<u32> = rng.sample(task.queries.rows(), self.batch).into_iter().map(|q| q as u32).collect();
        let mut pick = |from: &[u32]| match from.len() {
            0 => rng.below(task.documents.rows()) as u32,
            len => from[rng.below(len)],
        };
        let mut documents: Vec<u32> = queries.iter().map(|query| pick(&task.relevant[*query as usize])).collect();
        for _ in 0..self.hard {
            documents.extend(queries.iter().map(|query| pick(&mined[*query as usize])));
        }
        Batch { queries, documents }
    }

    /// Queries x candidates: how far the scores are from what they should be.
    fn loss(&self, scores: ArrayView2<f32>, task: &SparseTask, bm25: &Csr, batch: &Batch) -> Result<Loss> {
        let Target::Distil { teachers, scale } = self.target else {
            let label = |(query, document): (usize, usize)| {
                let relevant = task.relevant[batch.queries[query] as usize].contains(&batch.documents[document]);
                match (query == document, relevant) {
                    (true, _) => Label::Relevant,
                    (_, true) => Label::Absent,
                    _ => Label::Negative,
                }
            };
            return info_nce(scores, Array2::from_shape_fn(scores.dim(), label).view(), 1.0);
        };
        let mut opinions = Vec::new();
        if teachers != Teachers::Sparse {
            let (documents, queries) = task.dense.ok_or_else(|| {
                Error::input("dense teacher", "no vectors", "give those of documents and queries, or teachers=sparse")
            })?;
            let rows = |rows: &[u32]| rows.iter().map(|row| *row as usize).collect::<Vec<_>>();
            let of = |all: ArrayView2<f32>, of: &[u32]| all.select(ndarray::Axis(0), &rows(of));
            opinions.push(of(queries, &batch.queries).dot(&of(documents, &batch.documents).t()));
        }
        if teachers != Teachers::Dense {
            let score = |(query, document): (usize, usize)| {
                let (words, impacts) = bm25.row(batch.documents[document] as usize);
                let own = |word: &u32| words.binary_search(word).map_or(0.0, |at| impacts[at]);
                task.queries.row(batch.queries[query] as usize).0.iter().map(own).sum()
            };
            opinions.push(Array2::from_shape_fn(scores.dim(), score));
        }
        let opinions: Vec<ArrayView2<f32>> = opinions.iter().map(|scores| scores.view()).collect();
        kl_distillation(scores, ensemble_targets(&opinions, scale)?.view())
    }

    fn penalty(&self, weights: ArrayView2<f32>) -> Penalty {
        match self.penalty {
            Sparsifier::Flops => flops(weights, self.spared),
            Sparsifier::L1 => l1(weights),
        }
    }
}

#[cfg(test)]
mod tests;
