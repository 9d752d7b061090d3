//! STAR: hard negatives that were mined once, kept in check by random ones.
//!
//! Zhan, Mao, Liu, Guo, Zhang, Ma, "Optimizing Dense Retrieval Model Training with Hard Negatives", SIGIR 2021, arXiv 2104.08051,
//! and its authors' program. Random negatives minimise the number of all wrongly ordered pairs, which hard queries
//! dominate; the hardest negatives minimise those at the top, which are bounded for each query. But negatives that another model
//! mined are not those of the model that is trained, and alone they may harm what stands further down: hence both.
//!
//! Here the encoders share all they have, as in the authors' program, where one network encodes both. Left to choose were the
//! optimiser (Adam instead of LAMB, since a bag of words has no layers) and the schedule (the rate falls from the first step: the
//! encoder starts from a solution, not from noise).

use super::encoder::Trained;
use super::{DualEncoder, RetrieverTraining, Task};
use crate::dense::mine;
use crate::losses::{Label, Loss, pairwise_logistic};
use ndarray::{Array2, ArrayView2};
use quadrat_core::{Area, Card, Error, Method, Progress, Result, Rng, Seed, Settings, Within, checkpoint};

/// STAR: parameters.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct Star {
    /// Where negatives come from.
    #[param(flatten)]
    pub negatives: Negatives,
    /// Negatives mined for each query, K.
    #[param(default = 200, from = 1, unit = "documents")]
    pub mined: usize,
    /// Of these, or of all documents, drawn for each query of a batch, h.
    #[param(default = 1, from = 1, unit = "documents")]
    pub hard: usize,
    /// Weight of the in-batch negatives' mean beside that of the hard ones; pooled takes one mean of all pairs.
    #[param(none = "pooled", from = 0)]
    pub alpha: Option<f64>,
    /// Steps with in-batch negatives before the first mining.
    #[param(default = 200)]
    pub warm_up: usize,
    /// Steps after these.
    #[param(default = 400, from = 1)]
    pub steps: usize,
    /// Queries of a step, B; all if there are fewer.
    #[param(default = 64, from = 1, unit = "queries")]
    pub batch: usize,
    /// Step size of Adam at first; it falls to 0.
    #[param(default = 0.002, above = 0)]
    pub rate: f64,
}

/// Where negatives come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Settings)]
#[param(name = "negatives", default = Star)]
pub enum Negatives {
    /// The batch's relevant documents, and hard ones mined once, those of all queries for each.
    Star,
    /// The other queries' relevant documents.
    InBatch,
    /// Any documents, those of all queries for each.
    Random,
    /// The query's own hard ones, mined once.
    Static,
    /// The query's own hard ones, mined again and again as ANCE does (Xiong and others 2021).
    Refreshed {
        /// Steps between two minings.
        #[param(default = 50, from = 1, unit = "steps")]
        every: usize,
    },
}

impl Method for Star {
    const CARD: Card = Card {
        slug: "star",
        aliases: &["star-adore"],
        title: "STAR: stable training with static hard negatives",
        paper: "Zhan, Mao, Liu, Guo, Zhang, Ma, Optimizing Dense Retrieval Model Training with Hard Negatives, SIGIR 2021, \
                arXiv 2104.08051",
        area: Area::Retrieval,
        verbs: &["retrieve train"],
        summary: "Trains the encoders of queries and documents with hard negatives that are mined once, beside in-batch ones.",
        useful_when: "train a dense retriever, fine-tune embeddings for search, hard negative mining, contrastive training of a \
                      dual encoder",
        cost: "time O(words + batch^2 x dims) a step and one exact search of all queries; memory O(words x dims + queries x mined)",
        params: Self::PARAMS,
    };
}

/// What the losses of a step are of: queries, their relevant documents, and then the hard ones, some for each query.
struct Batch {
    queries: Vec<u32>,
    documents: Vec<u32>,
}

impl RetrieverTraining for Star {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn train(&self, encoder: &mut DualEncoder, task: &Task, seed: Seed, progress: &dyn Progress) -> Result<Vec<f64>> {
        task.check(encoder.words().nrows())?;
        if !encoder.is_shared() {
            let want = "train what queries and documents share before what queries have alone (adore)";
            return Err(Error::input("encoder", "one whose queries have words' vectors of their own", want));
        }
        let steps = self.warm_up + self.steps;
        let mut trained = Trained::new(encoder.words(), self.rate, steps);
        let draws = seed.stream("star");
        let (mut mined, mut losses) = (None, Vec::with_capacity(steps));
        progress.begin("star", Some(steps as u64));
        for step in 0..steps {
            checkpoint(progress)?;
            let source = self.source(step);
            if self.mines(step) {
                let all = |rows: usize| (0..rows as u32).collect::<Vec<u32>>();
                let documents = trained.embed(task.documents, &all(task.documents.rows()));
                let queries = trained.embed(task.queries, &all(task.queries.rows()));
                let progress = Within(progress);
                mined = Some(mine(documents.view(), queries.view(), task.relevant, self.mined, 0, &progress)?);
            }
            let batch = self.draw(source, task, mined.as_ref(), &mut draws.rng(step as u64));
            let queries = trained.embed(task.queries, &batch.queries);
            let documents = trained.embed(task.documents, &batch.documents);
            let scores = queries.dot(&documents.t());
            let labels = self.labels(source, task, &batch);
            let loss = self.loss(scores.view(), labels.view(), batch.queries.len())?;
            trained.add(task.queries, &batch.queries, &loss.slope.dot(&documents));
            trained.add(task.documents, &batch.documents, &loss.slope.t().dot(&queries));
            trained.step();
            progress.note(&format!("loss {:.4}", loss.value));
            losses.push(loss.value);
            progress.advance(1);
        }
        encoder.set_shared(trained.words);
        Ok(losses)
    }
}

impl Star {
    /// What needs mining warms up within the batch.
    fn source(&self, step: usize) -> Negatives {
        match self.negatives {
            Negatives::Random => Negatives::Random,
            _ if step < self.warm_up => Negatives::InBatch,
            source => source,
        }
    }

    /// Whether negatives are mined before this step.
    fn mines(&self, step: usize) -> bool {
        match self.source(step) {
            Negatives::Star | Negatives::Static => step == self.warm_up,
            Negatives::Refreshed { every } => (step - self.warm_up).is_multiple_of(every),
            Negatives::InBatch | Negatives::Random => false,
        }
    }

    fn draw(&self, source: Negatives, task: &Task, mined: Option<&Array2<u32>>, rng: &mut Rng) -> Batch {
        let queries: Vec<u32> = rng.sample(task.queries.rows(), self.batch).into_iter().map(|q| q as u32).collect();
        let mut documents = Vec::new();
        for query in &queries {
            let own = &task.relevant[*query as usize];
            documents.push(own[rng.below(own.len())]);
        }
        if source != Negatives::InBatch {
            for query in &queries {
                documents.extend((0..self.hard).map(|_| match mined {
                    Some(mined) => mined[[*query as usize, rng.below(mined.ncols())]],
                    None => rng.below(task.documents.rows()) as u32,
                }));
            }
        }
        Batch { queries, documents }
    }

    /// Queries x documents of the batch. A document that is relevant to a query is no negative of it, wherever it comes from.
    fn labels(&self, source: Negatives, task: &Task, batch: &Batch) -> Array2<Label> {
        let size = batch.queries.len();
        Array2::from_shape_fn((size, batch.documents.len()), |(i, j)| {
            let relevant = task.relevant[batch.queries[i] as usize].contains(&batch.documents[j]);
            let counts = match source {
                Negatives::Star | Negatives::InBatch => true,
                Negatives::Random => j >= size,
                Negatives::Static | Negatives::Refreshed { .. } => j >= size && (j - size) / self.hard == i,
            };
            match (i == j, counts && !relevant) {
                (true, _) => Label::Relevant,
                (_, true) => Label::Negative,
                _ => Label::Absent,
            }
        })
    }

    /// One mean over all pairs, or alpha x that over the in-batch ones and that over the hard ones.
    fn loss(&self, scores: ArrayView2<f32>, labels: ArrayView2<Label>, size: usize) -> Result<Loss> {
        let Some(alpha) = self.alpha else { return pairwise_logistic(scores, labels) };
        let without = |hard: bool| {
            Array2::from_shape_fn(labels.dim(), |(i, j)| match labels[[i, j]] {
                Label::Negative if (j >= size) == hard => Label::Absent,
                label => label,
            })
        };
        let within = pairwise_logistic(scores, without(true).view())?;
        let hard = pairwise_logistic(scores, without(false).view())?;
        Ok(Loss { value: alpha * within.value + hard.value, slope: within.slope * alpha as f32 + hard.slope })
    }
}
