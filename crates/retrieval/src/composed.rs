//! Retrieval where the query is something and words about it: a picture and what should be different, a video and what its music
//! should be like.
//!
//! References, targets and, if one likes, sentences are rows of features from anywhere; row i of each belongs together. The
//! [`ComposedEncoder`] makes one vector of a reference and its sentence ([`Composer`]) and one of a target, whose inner product
//! ranks. It is small and its derivatives are written by hand, so that training takes seconds to minutes without a graphics card; the
//! methods are about the loss and about what training gets to see, and do not depend on it.
//!
//! - [`MultiGrainedUncertainty`]: where a vague sentence fits many targets, the loss is first of blurred targets and then of sharp ones.
//! - [`LanguageGuidedMusic`]: sentences are left out at random, so that the query works without one; [`describe`] writes sentences
//!   where there are tags only.
//!
//! Training runs on one thread, but for what a loss does; all bits depend on the seed alone.

mod composer;
pub mod describe;
mod dropout;
mod encoder;
mod matrices;
mod music;
mod recall;
mod sentences;
mod uncertainty;

pub use composer::Composer;
pub use dropout::ModalityDropout;
pub use encoder::{ComposedEncoder, Shape};
pub use music::{LanguageGuidedMusic, average};
pub use recall::{Recall, ranks, recall};
pub use sentences::Sentences;
pub use uncertainty::{MultiGrainedUncertainty, Noise, Outcome, Parts, Schedule, Uncertainty};

use encoder::Descent;
use ndarray::{Array2, ArrayView2};
use quadrat_core::{Card, Entry, Error, Method, Params, Progress, Result, Seed, Settings, checkpoint, stats};

/// References with words, and the target of each.
#[derive(Debug, Clone, Copy)]
pub struct Task<'a> {
    /// Queries x values.
    pub references: ArrayView2<'a, f32>,
    /// A sentence for each.
    pub sentences: &'a Sentences,
    /// The target of each, queries x values.
    pub targets: ArrayView2<'a, f32>,
}

impl Task<'_> {
    /// That all fits together.
    ///
    /// # Errors
    /// Fewer than two rows, not as many sentences or targets as references, values that are not finite.
    pub fn check(&self) -> Result<()> {
        let n = self.references.nrows();
        if n < 2 {
            return Err(Error::input("queries", n, "InfoNCE needs at least two pairs of a query and a target"));
        }
        if self.targets.nrows() != n {
            return Err(Error::input("targets", self.targets.nrows(), format!("one for each of {n} queries")));
        }
        check_rows("references", self.references)?;
        check_rows("targets", self.targets)?;
        check_sentences(n, self.sentences)
    }
}

fn check_rows(what: &str, rows: ArrayView2<f32>) -> Result<()> {
    match rows.indexed_iter().find(|(_, value)| !value.is_finite()) {
        Some(((row, column), value)) => {
            let what = format!("row {row}, column {column} of the {what} (from 0)");
            Err(Error::input(what, value, "use finite values"))
        }
        None => Ok(()),
    }
}

fn check_sentences(n: usize, sentences: &Sentences) -> Result<()> {
    match sentences.rows() == n {
        true => sentences.check_finite(),
        false => Err(Error::input("sentences", sentences.rows(), format!("one for each of {n} queries, if empty"))),
    }
}

/// A way to train the encoder.
pub trait ComposedTraining: Send + Sync {
    /// The method's card.
    fn card(&self) -> &'static Card;

    /// The composer that it trains.
    fn composer(&self) -> Composer;

    /// Trains, and returns the mean loss of each epoch.
    ///
    /// # Errors
    /// As [`Task::check`]; rows of other widths than the encoder's; numbers that grow beyond single precision; the user's cancelling.
    fn train(
        &self,
        encoder: &mut ComposedEncoder,
        task: &Task,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Vec<f64>>;
}

const METHODS: &[Entry<dyn ComposedTraining>] = &[of::<MultiGrainedUncertainty>(), of::<LanguageGuidedMusic>()];

const fn of<T: ComposedTraining + Method + 'static>() -> Entry<dyn ComposedTraining> {
    Entry { card: &T::CARD, build: |params| Ok(Box::new(T::from_params(params)?)) }
}

/// The cards of all methods of training.
pub fn cards() -> Vec<&'static Card> {
    METHODS.iter().map(|method| method.card).collect()
}

/// The method called `name` (slug or alias) with the given parameters.
///
/// # Errors
/// An unknown method or parameter (the nearest names are offered), or a value that does not fit.
pub fn build(name: &str, params: &Params) -> Result<Box<dyn ComposedTraining>> {
    Entry::find(METHODS, "methods of training", name, params)
}

/// How long and how fast training goes.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct Passes {
    /// Passes over all rows.
    #[param(default = 30, from = 1)]
    pub epochs: usize,
    /// Rows of a step, which are each other's negatives; what is left at the end of a pass waits for the next.
    #[param(default = 64, from = 2, unit = "rows")]
    pub batch: usize,
    /// Step size of Adam at first; it falls to 0.
    #[param(default = 0.001, above = 0)]
    pub rate: f64,
}

/// What a loss sees of a step.
pub struct Batch<'a> {
    /// The rows of the task, in the order of the batch.
    pub rows: &'a [u32],
    /// Rows of length 1.
    pub queries: ArrayView2<'a, f32>,
    /// Rows of length 1.
    pub targets: ArrayView2<'a, f32>,
    /// From 0.
    pub epoch: usize,
    /// A stream of this step's own.
    pub seed: Seed,
}

/// A loss, and its derivatives by queries and targets.
pub type Step = (f64, [Array2<f32>; 2]);

/// The way that all methods go: rows in a new order in each epoch, sentences left out by `dropout`, a loss, a step of Adam. Returns the
/// mean loss of each epoch.
///
/// # Errors
/// As [`ComposedTraining::train`]; what the loss says.
pub fn fit(
    encoder: &mut ComposedEncoder,
    task: &Task,
    (passes, dropout): (Passes, ModalityDropout),
    seed: Seed,
    progress: &dyn Progress,
    loss: &mut dyn FnMut(&Batch) -> Result<Step>,
) -> Result<Vec<f64>> {
    task.check()?;
    encoder.check([task.references.ncols(), task.sentences.width(), task.targets.ncols()])?;
    let n = task.references.nrows();
    let batch = passes.batch.min(n);
    let steps = passes.epochs * (n / batch);
    let (mut descent, mut slope) = (Descent::new(encoder), encoder.zeros());
    let (mut order, mut done): (Vec<u32>, usize) = ((0..n as u32).collect(), 0);
    let mut means = Vec::with_capacity(passes.epochs);
    progress.begin("training", Some(passes.epochs as u64));
    for epoch in 0..passes.epochs {
        checkpoint(progress)?;
        seed.stream("order").rng(epoch as u64).shuffle(&mut order);
        let mut losses = Vec::with_capacity(n / batch);
        for rows in order.chunks_exact(batch) {
            let seed = Seed(seed.stream("step").rng(done as u64).next_u64());
            let mut t = encoder.sentences(task, rows);
            let dropped = dropout.apply(&mut t, rows, seed);
            let forward = encoder.forward(task, rows, t);
            let (queries, targets) = (forward.queries.view(), forward.vectors.view());
            let (value, to) = loss(&Batch { rows, queries, targets, epoch, seed })?;
            let mut to_t = encoder.backward(&forward, to, &mut slope);
            dropout::erase(&mut to_t, &dropped);
            encoder.backward_words(task, rows, to_t.view(), &mut slope);
            let rate = passes.rate * (1.0 - done as f64 / steps as f64);
            descent.step(encoder, &mut slope, rate);
            losses.push(value);
            done += 1;
        }
        means.push(stats::mean(&losses));
        progress.note(&format!("loss {:.4}", means[epoch]));
        progress.advance(1);
    }
    Ok(means)
}

#[cfg(test)]
mod tests;
