//! Early-learning regularisation: hold the network to what it said before it began to memorise wrong labels.
//!
//! Liu, Niles-Weed, Razavian and Fernandez-Granda, "Early-Learning Regularization Prevents Memorization of Noisy Labels",
//! NeurIPS 2020 (arXiv 2007.00151). A network first learns what most labels agree on, and only then the wrong ones by heart.
//! Each training row i keeps a running mean of the probabilities p that it was given,
//!
//! > tᵢ ← β tᵢ + (1 − β) p,  and the loss is  CE + λ mean ln(1 − ⟨tᵢ, p⟩)  (eq. 6 and 7), with t held constant.
//!
//! The gradient of the second term at the scores is gₖ = pₖ (⟨t, p⟩ − tₖ) / (1 − ⟨t, p⟩): where t knows the true class it
//! boosts rows with right labels, whose own gradient vanishes, and cancels the pull of wrong ones. t starts at 0, so the first
//! epochs are nearly plain. As in the authors' program p is clamped to [1e-4, 1 − 1e-4] in the term and normalised again
//! in the mean; a clamped entry passes no gradient.
//!
//! Chosen here: t is that of before the step plus the row's own p, as the program has it; a row that comes twice in a batch
//! sees the mean before both, and the last one is kept. Rows beside the training rows (unlabelled ones) have no t and no
//! term. Batches that another method has mixed are refused: what the network says of a mixture belongs to no row. λ is what
//! to tune (the authors take 3 for ten classes, 1 for labels wrong in a pattern, 7 for a hundred classes); β hardly matters.
//! Rare classes: their rows' t may be captured by a frequent class, so weigh classes beside it or see `rcal`.

mod step;

use ndarray::ArrayView2;
use quadrat_core::{Area, Card, Error, Method, Result, Settings};
use quadrat_nn::{Batch, Forward, MethodState, Parameters, Piece, Run, Suspect, Tensor, TrainMethod, ops};
use quadrat_numeric::calibration;

/// Early-learning regularisation.
///
/// ```
/// use quadrat_core::{Seed, Silent};
/// use quadrat_nn::{Mlp, Samples, TrainMethod, Trainer};
/// use quadrat_robust::training::Elr;
/// // Two clusters, and one row of the first with the second's label.
/// let inputs = ndarray::Array2::from_shape_fn((60, 2), |(i, _)| if i < 30 { -1.0 } else { 1.0 } + (i % 7) as f32 / 20.0);
/// let labels = (0..60).map(|i| (i >= 30 || i == 5) as u32).collect();
/// let samples = Samples::classes(inputs, labels, 2)?;
/// let mut elr = Elr::default();
/// let trainer = Trainer { epochs: 30, batch: 20, rate: 0.01, seed: Seed(1), ..Trainer::default() };
/// trainer.fit(&Mlp::new(2, &[16], 2), &samples, None, &mut [&mut elr], &Silent)?;
/// let suspects = elr.suspects().unwrap_or_default();
/// assert_eq!((suspects.len(), suspects[0].row, suspects[0].proposed), (1, 5, 0));
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, Settings)]
pub struct Elr {
    /// Strength λ of the term.
    #[param(default = 3.0, from = 0)]
    pub lambda: f32,
    /// Decay β of what was said of a row.
    #[param(default = 0.7, from = 0, below = 1)]
    pub beta: f32,
    /// What was said of each row; empty before a run.
    pub memory: Memory,
}

/// What was said of each row.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    /// t: rows x classes, 0 where nothing was said yet.
    table: Vec<f32>,
    classes: usize,
    labels: Vec<u32>,
}

/// Probabilities keep this distance from 0 and 1.
const CLAMP: f32 = 1e-4;

impl Method for Elr {
    const CARD: Card = Card {
        slug: "elr",
        aliases: &["early-learning-regularization"],
        title: "Early-learning regularisation",
        paper: "Liu, Niles-Weed, Razavian and Fernandez-Granda, NeurIPS 2020, arXiv 2007.00151",
        area: Area::Robust,
        verbs: &["train"],
        summary: "Holds a network to what it said of each row before it began to memorise wrong labels, and lists the rows \
                  whose labels it doubts.",
        useful_when: "some labels are wrong and I do not know which; test accuracy rises, then falls while training goes on; \
                      find mislabelled rows, noisy annotations, label noise",
        cost: "rows x classes numbers (4 bytes each) of memory; one more pass over the scores of a batch",
        params: Self::PARAMS,
    };
}

impl Elr {
    /// t of a row, unless it is none of the training rows.
    fn of(&self, row: u32) -> Option<&[f32]> {
        let k = self.memory.classes;
        self.memory.table.get(row as usize * k..(row as usize + 1) * k)
    }

    /// An entry of t after the network said p, of which all entries together are `sum`.
    #[inline(always)]
    fn moved(&self, t: f32, p: f32, sum: f32) -> f32 {
        self.beta * t + (1.0 - self.beta) * p / sum
    }

    /// λ ln(1 − ⟨t, p⟩) of a row, and its gradient at the scores; t is first moved.
    #[inline(always)]
    fn term(&self, t: &[f32], scores: &[f32], gradient: &mut [f32]) -> f32 {
        ops::softmax_into(scores, gradient);
        let all = clamped_sum(gradient);
        self.pull(gradient, 0.0, |k, p| self.moved(t[k], clamped(p), all))
    }

    /// λ ln(1 − ⟨t, p⟩), with t by class and p. What is in p becomes `own` times p and the gradient of that.
    #[inline(always)]
    fn pull(&self, p: &mut [f32], own: f32, t: impl Fn(usize, f32) -> f32) -> f32 {
        let (mut said, mut free) = (0.0, 0.0);
        for (k, p) in p.iter().enumerate() {
            let t = t(k, *p);
            said += t * clamped(*p);
            free += if clamped(*p) == *p { t * p } else { 0.0 };
        }
        let rest = 1.0 - said;
        let strength = self.lambda / rest;
        for (k, p) in p.iter_mut().enumerate() {
            let at = if clamped(*p) == *p { t(k, *p) } else { 0.0 };
            *p *= own + strength * (free - at);
        }
        self.lambda * rest.ln()
    }
}

#[inline(always)]
fn clamped(p: f32) -> f32 {
    p.clamp(CLAMP, 1.0 - CLAMP)
}

#[inline(always)]
fn clamped_sum(p: &[f32]) -> f32 {
    p.iter().map(|p| clamped(*p)).sum()
}

impl TrainMethod for Elr {
    fn name(&self) -> &str {
        "elr"
    }

    fn settings(&self) -> String {
        format!("lambda={} beta={}", self.lambda, self.beta)
    }

    fn begin(&mut self, run: &Run<'_>, _: &mut Parameters) -> Result<()> {
        if !(self.lambda >= 0.0 && self.lambda.is_finite()) {
            return Err(Error::input("lambda", self.lambda, "0 or more"));
        }
        if !(0.0..1.0).contains(&self.beta) {
            return Err(Error::input("beta", self.beta, "0 to below 1"));
        }
        let labels = run.labels("elr")?.to_vec();
        let classes = run.data.outputs();
        self.memory = Memory { table: vec![0.0; labels.len() * classes], classes, labels };
        Ok(())
    }

    fn loss(&self, _: &mut Forward, piece: &Piece, outputs: &Tensor<2>, rows: Tensor<1>) -> Result<Tensor<1>> {
        if piece.batch.mixed {
            return Err(Error::input(
                "elr",
                "a batch of mixtures",
                "rows as they are: leave out the method that mixes them",
            ));
        }
        let term = |row: usize, scores: &[f32], gradient: &mut [f32]| match self.of(piece.batch.rows[row]) {
            Some(t) => self.term(t, scores, gradient),
            None => {
                gradient.fill(0.0);
                0.0
            }
        };
        Ok(rows + piece.losses(outputs, term))
    }

    fn observes(&self) -> bool {
        true
    }

    fn observe(&mut self, batch: &Batch, outputs: ArrayView2<f32>) -> Result<()> {
        let mut said = calibration::probabilities(outputs, 1.0);
        for (row, mut p) in batch.rows.iter().zip(said.outer_iter_mut()) {
            p.mapv_inplace(clamped);
            let all = p.sum();
            let t = self.of(*row).into_iter().flatten();
            p.iter_mut().zip(t).for_each(|(p, t)| *p = self.moved(*t, *p, all));
        }
        let k = self.memory.classes;
        for (row, p) in batch.rows.iter().zip(said.outer_iter()) {
            let place = *row as usize * k..(*row as usize + 1) * k;
            self.memory.table.get_mut(place).into_iter().flatten().zip(p).for_each(|(t, p)| *t = *p);
        }
        Ok(())
    }

    fn suspects(&self) -> Option<Vec<Suspect>> {
        let rows = self.memory.labels.iter().zip(self.memory.table.chunks_exact(self.memory.classes.max(1)));
        let doubted = |(row, (given, t)): (usize, (&u32, &[f32]))| {
            let best = t.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)))?;
            let (proposed, confidence) = (best.0 as u32, best.1 / t.iter().sum::<f32>());
            let suspect = Suspect { row: row as u32, given: *given, proposed, confidence };
            (proposed != *given && confidence > 0.0).then_some(suspect)
        };
        let mut suspects: Vec<Suspect> = rows.enumerate().filter_map(doubted).collect();
        suspects.sort_by(|a, b| b.confidence.total_cmp(&a.confidence).then(a.row.cmp(&b.row)));
        Some(suspects)
    }

    fn found(&self) -> Vec<(String, f64)> {
        let suspects = self.suspects().map_or(0, |suspects| suspects.len());
        vec![("elr: labels that it doubts".to_owned(), suspects as f64)]
    }

    fn save(&self) -> MethodState {
        MethodState { arrays: [("table".to_owned(), self.memory.table.clone())].into(), ..MethodState::default() }
    }

    fn load(&mut self, mut state: MethodState, _: &mut Parameters) -> Result<()> {
        let table = state.arrays.remove("table").unwrap_or_default();
        if table.len() != self.memory.table.len() {
            let want = format!("{} for these rows and classes", self.memory.table.len());
            return Err(Error::input("checkpoint of elr", format!("{} probabilities", table.len()), want));
        }
        self.memory.table = table;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
