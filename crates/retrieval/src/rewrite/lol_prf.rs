//! LoL: a rewriter for which more feedback is not worse.
//!
//! Zhu, Pang, Lan, Shen, Cheng, "LoL: A Comparative Regularization Loss over Query Reformulation Losses for Pseudo-Relevance
//! Feedback", SIGIR 2022, arXiv 2204.11545, and its authors' program. A rewriter that is given more documents drifts: among those it
//! adds are wrong ones. So each query of a step is rewritten several times, from nested parts of one list of documents, and where the
//! larger part has the larger loss, the difference is a loss as well.
//!
//! The rewriter is [`Rewriter`], not the paper's transformer; documents of the feedback are drawn without replacement in random order, as
//! in the authors' program, and smaller parts begin the larger ones. Left to choose were the step size and the temperature (below: for
//! vectors of length 1), and what to do with a query that fewer documents answer: it draws from what is there.

use super::comparative::{comparative_hinge, feedback_sizes};
use super::rewriter::{Rewriter, Trace};
use crate::dense::search;
use crate::training::check_relevant;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};
use quadrat_core::{
    Area, Card, Error, Lists, Method, Progress, Result, Rng, Seed, Settings, Within, checkpoint, stats,
};
use quadrat_numeric::layers::descend;
use std::collections::BTreeSet;

/// LoL: parameters.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct LolPrf {
    /// Documents of the first search that a revision may see, K.
    #[param(default = 5, from = 1)]
    pub documents: usize,
    /// Revisions that a query's first one is compared with, c.
    #[param(default = 1, from = 0, unit = "revisions")]
    pub compare: usize,
    /// Weight of the comparison, lambda; 0 trains as without it.
    #[param(default = 1.0, from = 0)]
    pub lambda: f64,
    /// Whether the revision with less feedback is taken for given in the comparison.
    #[param(default = false)]
    pub detach: bool,
    /// Whether relevant documents are left out of the feedback in training, where nearly every query finds its own.
    #[param(default = false)]
    pub without_relevant: bool,
    /// Documents of each query's first search against which the losses are taken, all queries' together.
    #[param(default = 20, from = 1)]
    pub pool: usize,
    /// Revisions of each query in all, compared ones among them.
    #[param(default = 12, from = 1, unit = "revisions")]
    pub epochs: usize,
    /// Revisions of a step.
    #[param(default = 36, from = 1, unit = "revisions")]
    pub batch: usize,
    /// What scores are divided by in the losses; for vectors of length 1.
    #[param(default = 0.08, above = 0)]
    pub temperature: f64,
    /// Share of a document's vector that is added before training.
    #[param(default = 0.5, from = 0)]
    pub beta: f64,
    /// Step size of Adam at first; it falls to 0.
    #[param(default = 0.001, above = 0)]
    pub rate: f64,
}

impl Method for LolPrf {
    const CARD: Card = Card {
        slug: "lol-prf",
        aliases: &["lol"],
        title: "LoL: loss over loss for learned feedback",
        paper: "Zhu, Pang, Lan, Shen, Cheng, LoL: A Comparative Regularization Loss over Query Reformulation Losses for \
                Pseudo-Relevance Feedback, SIGIR 2022, arXiv 2204.11545",
        area: Area::Retrieval,
        verbs: &["retrieve train", "retrieve search"],
        summary: "Trains a rewriter of queries that learns from the documents found, and is punished where more of them make it worse.",
        useful_when: "pseudo-relevance feedback for dense retrieval, query drift, a query rewriter that is safe for any number of \
                      documents",
        cost: "training O(revisions x (pool + dims) x dims) a step; a search costs two",
        params: Self::PARAMS,
    };
}

/// What was learnt, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Learnt {
    /// The rewriter.
    pub rewriter: Rewriter,
    /// Of each step the mean loss of all revisions.
    pub losses: Vec<f64>,
    /// Of each step what the comparison added, before its weight.
    pub comparisons: Vec<f64>,
}

/// What the losses are taken against.
struct Corpus {
    /// Their vectors, divided by the temperature.
    scaled: Array2<f32>,
    /// Of each query the places of its relevant documents.
    relevant: Vec<Vec<usize>>,
}

impl LolPrf {
    /// Trains a rewriter for the vectors of `documents` and `queries`, rows of as many values. `relevant` lists the relevant rows of each
    /// query.
    ///
    /// Cost: one search of all queries, then a step for each `batch` of revisions; memory O(revisions of a step x documents of the
    /// pool). Bits do not depend on the number of threads.
    ///
    /// # Errors
    /// No documents or queries, a query without a relevant document, a row that is not there; more comparisons than the sizes of
    /// feedback allow; as [`search`]; numbers that grow beyond single precision; the user's cancelling.
    pub fn train(
        &self,
        documents: ArrayView2<f32>,
        queries: ArrayView2<f32>,
        relevant: &Lists,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Learnt> {
        check_relevant(documents.nrows(), queries.nrows(), relevant)?;
        let revisions = 1 + self.compare;
        if revisions > self.documents + 1 {
            let want = format!("with {} documents there are {} sizes of feedback", self.documents, self.documents + 1);
            return Err(Error::input("compare", self.compare, want));
        }
        let own = relevant.iter().map(<[u32]>::len).max().unwrap_or(0);
        let found = search(documents, queries, self.pool.max(self.documents) + own, None, &Within(progress))?;
        let lists: Vec<&[u32]> = (0..queries.nrows()).map(|query| found.of(query).0).collect();
        let feedback: Vec<Vec<u32>> = lists
            .iter()
            .zip(relevant.iter())
            .map(|(list, own)| {
                let rows = list.iter().copied().filter(|row| !(self.without_relevant && own.contains(row)));
                rows.take(self.documents).collect()
            })
            .collect();
        let corpus = Corpus::new(
            documents,
            lists.iter().map(|list| &list[..self.pool.min(list.len())]),
            relevant,
            self.temperature,
        );

        let mut adam = Adam::new(Rewriter::rocchio(documents.ncols(), self.documents, self.beta as f32));
        let a_step = (self.batch / revisions).clamp(1, queries.nrows());
        let epochs = (self.epochs / revisions).max(1);
        let steps = epochs * queries.nrows().div_ceil(a_step);
        let draws = seed.stream("lol-prf");
        let (mut losses, mut comparisons) = (Vec::with_capacity(steps), Vec::with_capacity(steps));
        progress.begin("lol-prf", Some(steps as u64));
        for epoch in 0..epochs {
            let mut rng = draws.rng(epoch as u64);
            let mut order: Vec<usize> = (0..queries.nrows()).collect();
            rng.shuffle(&mut order);
            for batch in order.chunks(a_step) {
                checkpoint(progress)?;
                let drawn =
                    batch.iter().map(|query| self.draw(&feedback[*query], &mut rng)).collect::<Result<Vec<_>>>()?;
                let step = Step { documents, queries, corpus: &corpus, batch, drawn: &drawn };
                let (loss, comparison) = step.slope(&adam.rewriter, self, &mut adam.slope)?;
                adam.step(self.rate * (1.0 - losses.len() as f64 / steps as f64));
                progress.note(&format!("loss {loss:.4}, worse by more feedback {comparison:.4}"));
                losses.push(loss);
                comparisons.push(comparison);
                progress.advance(1);
            }
        }
        Ok(Learnt { rewriter: adam.rewriter, losses, comparisons })
    }

    /// The documents of a query's revisions, the most first: each begins the one before it.
    fn draw(&self, feedback: &[u32], rng: &mut Rng) -> Result<Vec<Vec<u32>>> {
        let sizes = feedback_sizes(self.documents, 1 + self.compare, rng)?;
        let order = rng.sample(feedback.len(), feedback.len());
        let first = |size: &usize| order.iter().take(*size).map(|at| feedback[*at]).collect();
        Ok(sizes.iter().map(first).collect())
    }
}

impl Corpus {
    fn new<'a>(
        documents: ArrayView2<f32>,
        pools: impl Iterator<Item = &'a [u32]>,
        relevant: &'a Lists,
        temperature: f64,
    ) -> Self {
        let rows: BTreeSet<u32> = pools.flatten().chain(relevant.items()).copied().collect();
        let rows: Vec<u32> = rows.into_iter().collect();
        let places = |own: &[u32]| own.iter().filter_map(|row| rows.binary_search(row).ok()).collect();
        let relevant = relevant.iter().map(places).collect();
        let picked: Vec<usize> = rows.iter().map(|row| *row as usize).collect();
        Corpus { scaled: documents.select(Axis(0), &picked) / temperature as f32, relevant }
    }

    /// The cross-entropy of the corpus with the lowest of a query's relevant documents as its class, the others left out; the scores
    /// become its derivatives by them.
    fn loss(&self, query: usize, scores: &mut [f32]) -> f64 {
        let own = &self.relevant[query];
        let lowest = own.iter().copied().min_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap_or(0);
        let left = f64::from(scores[lowest]);
        own.iter().filter(|place| **place != lowest).for_each(|place| scores[*place] = f32::NEG_INFINITY);
        let most = f64::from(scores.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let sum: f64 = scores.iter().map(|score| (f64::from(*score) - most).exp()).sum();
        scores.iter_mut().for_each(|score| *score = ((f64::from(*score) - most).exp() / sum) as f32);
        scores[lowest] -= 1.0;
        most + sum.ln() - left
    }
}

/// Queries of a step with the documents of their revisions.
struct Step<'a> {
    documents: ArrayView2<'a, f32>,
    queries: ArrayView2<'a, f32>,
    corpus: &'a Corpus,
    batch: &'a [usize],
    drawn: &'a [Vec<Vec<u32>>],
}

impl Step<'_> {
    /// The mean loss and the comparison; derivatives by the rewriter's parts are added to `slope`.
    fn slope(&self, rewriter: &Rewriter, method: &LolPrf, slope: &mut Rewriter) -> Result<(f64, f64)> {
        let revisions = 1 + method.compare;
        let given: Vec<(usize, Vec<ArrayView1<f32>>)> = self
            .batch
            .iter()
            .zip(self.drawn)
            .flat_map(|(query, parts)| parts.iter().map(|part| (*query, part)))
            .map(|(query, part)| (query, part.iter().map(|row| self.documents.row(*row as usize)).collect()))
            .collect();
        let mut revised = Array2::zeros((given.len(), self.queries.ncols()));
        let mut traces: Vec<Trace> = Vec::with_capacity(given.len());
        for ((query, documents), mut row) in given.iter().zip(revised.outer_iter_mut()) {
            let (new, trace) = rewriter.trace(self.queries.row(*query), documents);
            row.assign(&new);
            traces.push(trace);
        }
        let mut scores = revised.dot(&self.corpus.scaled.t());
        let mut losses = Array2::zeros((self.batch.len(), revisions));
        for ((loss, (query, _)), mut scores) in losses.iter_mut().zip(&given).zip(scores.outer_iter_mut()) {
            *loss = scores.as_slice_mut().map_or(f64::NAN, |scores| self.corpus.loss(*query, scores));
        }
        let comparison = comparative_hinge(losses.view(), method.detach)?;
        let by_query = scores.dot(&self.corpus.scaled);
        let share = 1.0 / losses.len() as f64;
        let weights = comparison.slope.iter().map(|slope| (share + method.lambda * slope) as f32);
        for (((query, documents), trace), (by_query, weight)) in
            given.iter().zip(&traces).zip(by_query.outer_iter().zip(weights))
        {
            rewriter.pull_back(self.queries.row(*query), documents, trace, (&by_query * weight).view(), slope);
        }
        Ok((stats::mean(losses.as_slice().unwrap_or_default()), comparison.value))
    }
}

/// Adam over the three parts.
struct Adam {
    rewriter: Rewriter,
    slope: Rewriter,
    moments: [Rewriter; 2],
    done: i32,
}

impl Adam {
    fn new(rewriter: Rewriter) -> Self {
        let zeros = Rewriter {
            transform: Array2::zeros(rewriter.transform.dim()),
            attention: Array2::zeros(rewriter.attention.dim()),
            ranks: Array1::zeros(rewriter.ranks.len()),
        };
        Adam { rewriter, slope: zeros.clone(), moments: [zeros.clone(), zeros], done: 0 }
    }

    fn step(&mut self, rate: f64) {
        self.done += 1;
        let (to, by, [m, v], done) = (&mut self.rewriter, &mut self.slope, &mut self.moments, self.done);
        descend(&mut to.transform, &mut by.transform, &mut m.transform, &mut v.transform, rate, done);
        descend(&mut to.attention, &mut by.attention, &mut m.attention, &mut v.attention, rate, done);
        descend(&mut to.ranks, &mut by.ranks, &mut m.ranks, &mut v.ranks, rate, done);
    }
}
