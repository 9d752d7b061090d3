//! ADORE: the query encoder against the negatives that it would really return.
//!
//! Zhan, Mao, Liu, Guo, Zhang, Ma, "Optimizing Dense Retrieval Model Training with Hard Negatives", SIGIR 2021, arXiv 2104.08051,
//! and its authors' program. The vectors of the documents are frozen, so that an index of them stays valid; every step
//! searches it with the query vectors of that very step, and weighs each pair of a relevant document and a negative by how much
//! exchanging the two would move the measure.
//!
//! As in the authors' program a query whose list has none of its relevant documents gets them behind its end; that some are missing
//! while others are there changes nothing, unless `append-missing` says so.

use super::encoder::Trained;
use super::{DualEncoder, RetrieverTraining, Task};
use crate::dense::{Found, search};
use crate::losses::{Label, PairWeight, lambda_pairs};
use ndarray::{Array2, ArrayView2, Axis};
use quadrat_core::{Area, Card, Error, Lists, Method, Progress, Result, Seed, Settings, Within, checkpoint};

/// ADORE: parameters.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct Adore {
    /// Documents that a search returns.
    #[param(default = 200, from = 2, unit = "documents")]
    pub k: usize,
    /// What a pair weighs.
    #[param(default = PairWeight::Mrr)]
    pub weight: PairWeight,
    /// Ranks that have a gain; list stands for all that a search returns.
    #[param(none = "list", from = 1, unit = "ranks")]
    pub cut: Option<usize>,
    /// Whether relevant documents that a search misses are put behind its end even where others are found.
    #[param(default = false)]
    pub append_missing: bool,
    /// Steps.
    #[param(default = 600, from = 1)]
    pub steps: usize,
    /// Queries of a step; all if there are fewer.
    #[param(default = 64, from = 1, unit = "queries")]
    pub batch: usize,
    /// Step size of Adam at first; it falls to 0.
    #[param(default = 0.002, above = 0)]
    pub rate: f64,
}

impl Method for Adore {
    const CARD: Card = Card {
        slug: "adore",
        aliases: &[],
        title: "ADORE: dynamic hard negatives for the query encoder",
        paper: "Zhan, Mao, Liu, Guo, Zhang, Ma, Optimizing Dense Retrieval Model Training with Hard Negatives, SIGIR 2021, \
                arXiv 2104.08051",
        area: Area::Retrieval,
        verbs: &["retrieve train"],
        summary: "Trains the query encoder alone on what an exact search with it returns at every step; the documents' vectors, and \
                  an index of them, stay as they are.",
        useful_when: "improve search without encoding the documents again, train the query encoder, optimise MRR or NDCG of a \
                      dense retriever",
        cost: "time O(documents x batch x dims) a step; memory O((documents + words) x dims)",
        params: Self::PARAMS,
    };
}

/// A loss and how it changes with the queries.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The loss.
    pub value: f64,
    /// Queries x dims: its derivative by each value of the queries' vectors.
    pub slope: Array2<f32>,
}

impl RetrieverTraining for Adore {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn train(&self, encoder: &mut DualEncoder, task: &Task, seed: Seed, progress: &dyn Progress) -> Result<Vec<f64>> {
        task.check(encoder.words().nrows())?;
        let documents = encoder.documents(task.documents);
        let mut trained = Trained::new(encoder.query_words(), self.rate, self.steps);
        let draws = seed.stream("adore");
        let mut losses = Vec::with_capacity(self.steps);
        progress.begin("adore", Some(self.steps as u64));
        for step in 0..self.steps {
            let mut rng = draws.rng(step as u64);
            let batch: Vec<u32> =
                rng.sample(task.queries.rows(), self.batch).into_iter().map(|query| query as u32).collect();
            let relevant: Lists = batch.iter().map(|query| task.relevant[*query as usize].iter().copied()).collect();
            let queries = trained.embed(task.queries, &batch);
            let Step { value, slope } = self.step(documents.view(), queries.view(), &relevant, &Within(progress))?;
            trained.add(task.queries, &batch, &slope);
            trained.step();
            progress.note(&format!("loss {value:.4}"));
            losses.push(value);
            progress.advance(1);
        }
        encoder.set_queries(trained.words);
        Ok(losses)
    }
}

impl Adore {
    /// The loss of some queries' vectors, whatever made them, among the documents' vectors: searches, labels, weighs. `relevant`
    /// lists the relevant rows of each query.
    ///
    /// # Errors
    /// No documents or queries, a query without a relevant document, a row that is not there, fewer documents than `k`; as
    /// [`search`].
    pub fn step(
        &self,
        documents: ArrayView2<f32>,
        queries: ArrayView2<f32>,
        relevant: &Lists,
        progress: &dyn Progress,
    ) -> Result<Step> {
        super::check_relevant(documents.nrows(), queries.nrows(), relevant)?;
        if documents.nrows() < self.k {
            return Err(Error::input("k", self.k, format!("there are {} documents: ask for fewer", documents.nrows())));
        }
        checkpoint(progress)?;
        let found = search(documents, queries, self.k, None, progress)?;
        let lists: Vec<Vec<u32>> =
            relevant.iter().enumerate().map(|(query, own)| self.list(&found, query, own)).collect();
        let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
        let score = |query: usize, place: usize| match (found.of(query).1.get(place), lists[query].get(place)) {
            (Some(score), _) => *score,
            // The sum as the search computes it.
            (None, Some(row)) => {
                let pairs = queries.row(query).into_iter().zip(documents.row(*row as usize));
                pairs.fold(0.0, |sum: f32, (a, b)| a.mul_add(*b, sum))
            }
            (None, None) => 0.0,
        };
        let label = |query: usize, place: usize| match lists[query].get(place) {
            Some(row) if relevant[query].contains(row) => Label::Relevant,
            Some(_) => Label::Negative,
            None => Label::Absent,
        };
        let shape = (queries.nrows(), longest);
        let scores = Array2::from_shape_fn(shape, |(query, place)| score(query, place));
        let labels = Array2::from_shape_fn(shape, |(query, place)| label(query, place));
        let loss = lambda_pairs(scores.view(), labels.view(), self.weight, self.cut.unwrap_or(self.k))?;
        let mut slope = Array2::zeros(queries.dim());
        for ((rows, weights), mut slope) in lists.iter().zip(loss.slope.outer_iter()).zip(slope.axis_iter_mut(Axis(0)))
        {
            for (row, weight) in rows.iter().zip(weights) {
                slope.scaled_add(*weight, &documents.row(*row as usize));
            }
        }
        Ok(Step { value: loss.value, slope })
    }

    /// What a query's loss is of: what the search found, and relevant documents behind it.
    fn list(&self, found: &Found, query: usize, own: &[u32]) -> Vec<u32> {
        let mut list = found.of(query).0.to_vec();
        let missing: Vec<u32> = own.iter().copied().filter(|row| !list.contains(row)).collect();
        if self.append_missing || missing.len() == own.len() {
            list.extend(missing);
        }
        list
    }
}
