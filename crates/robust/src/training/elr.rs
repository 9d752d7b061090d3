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

    /// λ ln(1 − ⟨t, p⟩) of a row, and its gradient at the scores.
    #[inline(always)]
    fn term(&self, t: &[f32], scores: &[f32], gradient: &mut [f32]) -> f32 {
        ops::softmax_into(scores, gradient);
        let p = gradient;
        let clamped = |p: f32| p.clamp(CLAMP, 1.0 - CLAMP);
        let all: f32 = p.iter().map(|p| clamped(*p)).sum();
        let (mut said, mut free) = (0.0, 0.0);
        for (p, t) in p.iter().zip(t) {
            let t = self.moved(*t, clamped(*p), all);
            said += t * clamped(*p);
            free += if clamped(*p) == *p { t * p } else { 0.0 };
        }
        let rest = 1.0 - said;
        for (p, t) in p.iter_mut().zip(t) {
            let own = if clamped(*p) == *p { self.moved(*t, *p, all) } else { 0.0 };
            *p *= self.lambda * (free - own) / rest;
        }
        self.lambda * rest.ln()
    }
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

    fn prepare(&mut self, batch: &mut Batch) -> Result<()> {
        if batch.mixed {
            return Err(Error::input(
                "elr",
                "a batch of mixtures",
                "rows as they are: leave the method that mixes them out",
            ));
        }
        Ok(())
    }

    fn loss(&self, _: &mut Forward, piece: &Piece, outputs: &Tensor<2>, rows: Tensor<1>) -> Result<Tensor<1>> {
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
            p.mapv_inplace(|p| p.clamp(CLAMP, 1.0 - CLAMP));
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
mod tests {
    use super::*;
    use ndarray::Array2;
    use proptest::prelude::*;
    use quadrat_core::{Seed, Silent};
    use quadrat_nn::{At, Mlp, Samples, Trainer};

    fn begun(rows: usize, classes: usize) -> Elr {
        let memory = Memory { table: vec![0.0; rows * classes], classes, labels: vec![0; rows] };
        Elr { memory, ..Elr::default() }
    }

    fn batch(rows: &[u32], classes: usize) -> Batch {
        Batch::new(At { epoch: 0, step: 0 }, rows, Array2::zeros((rows.len(), 1)), Array2::zeros((rows.len(), classes)))
    }

    /// In double precision, from the definition.
    fn value(elr: &Elr, t: &[f32], scores: &[f64]) -> f64 {
        let all: f64 = scores.iter().map(|z| z.exp()).sum();
        let p: Vec<f64> = scores.iter().map(|z| (z.exp() / all).clamp(1e-4, 1.0 - 1e-4)).collect();
        let (beta, sum) = (f64::from(elr.beta), p.iter().sum::<f64>());
        let said = |moved: &[f64]| moved.iter().zip(&p).map(|(t, p)| t * p).sum::<f64>();
        let moved: Vec<f64> = t.iter().zip(&p).map(|(t, p)| beta * f64::from(*t) + (1.0 - beta) * p / sum).collect();
        f64::from(elr.lambda) * (1.0 - said(&moved)).ln()
    }

    /// Three batches as PyTorch computes them; `tests/golden/training.py` says how.
    #[test]
    fn terms_gradients_and_means_are_pytorchs() {
        #[derive(serde::Deserialize)]
        struct Step {
            scores: Vec<f32>,
            term: Vec<f32>,
            gradient: Vec<f32>,
            table: Vec<f32>,
        }
        let golden = include_str!("../../tests/golden/training.json");
        let golden: serde_json::Value = serde_json::from_str(golden).unwrap();
        let steps: Vec<Step> = serde_json::from_value(golden["elr"].clone()).unwrap();
        let mut elr = begun(8, 4);
        let near = |a: f32, b: f32| (a - b).abs() < 1e-5 * (1.0 + b.abs());
        for Step { scores, term, gradient, table } in steps {
            for (row, scores) in scores.chunks_exact(4).enumerate() {
                let mut found = [0.0; 4];
                let loss = elr.term(elr.of(row as u32).unwrap(), scores, &mut found);
                let golden = &gradient[4 * row..4 * row + 4];
                assert!(near(loss, term[row]), "{loss} {}", term[row]);
                assert!(found.iter().zip(golden).all(|(a, b)| near(*a, *b)), "{found:?} {golden:?}");
            }
            let rows: Vec<u32> = (0..8).collect();
            elr.observe(&batch(&rows, 4), ArrayView2::from_shape((8, 4), &scores).unwrap()).unwrap();
            assert!(elr.memory.table.iter().zip(&table).all(|(a, b)| near(*a, *b)));
        }
    }

    proptest! {
        /// t held at what it is at the scores, finite differences of the term are its gradient, and both are those of the
        /// definition.
        #[test]
        fn the_gradient_is_that_of_the_definition(
            scores in prop::collection::vec(-2.0f32..2.0, 4),
            t in prop::collection::vec(0.0f32..0.25, 4),
            lambda in 0.5f32..7.0,
        ) {
            let elr = Elr { lambda, ..begun(1, 4) };
            let mut gradient = [0.0; 4];
            let found = elr.term(&t, &scores, &mut gradient);
            let wide: Vec<f64> = scores.iter().map(|z| f64::from(*z)).collect();
            prop_assert!((f64::from(found) - value(&elr, &t, &wide)).abs() < 1e-5);
            // With beta 1 the mean does not move: it is put where it moved to.
            let p = calibration::probabilities(ArrayView2::from_shape((1, 4), &scores).unwrap(), 1.0);
            let moved: Vec<f32> = t.iter().zip(&p).map(|(t, p)| elr.moved(*t, *p, 1.0)).collect();
            let held = Elr { beta: 1.0, ..elr };
            for k in 0..4 {
                let at = |step: f64| {
                    let mut wide = wide.clone();
                    wide[k] += step;
                    value(&held, &moved, &wide)
                };
                let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
                prop_assert!((f64::from(gradient[k]) - slope).abs() < 1e-4 * (1.0 + slope.abs()), "{slope} {gradient:?}");
            }
        }

        /// After m visits a row's entries sum to 1 - beta^m.
        #[test]
        fn rows_fill_up(scores in prop::collection::vec(-9.0f32..9.0, 3), visits in 1usize..9) {
            let mut elr = begun(3, 3);
            for _ in 0..visits {
                elr.observe(&batch(&[1], 3), ArrayView2::from_shape((1, 3), &scores).unwrap()).unwrap();
            }
            let sum: f32 = elr.of(1).unwrap().iter().sum();
            prop_assert!((sum - (1.0 - 0.7f32.powi(visits as i32))).abs() < 1e-5);
            prop_assert!(elr.of(0).unwrap().iter().chain(elr.of(2).unwrap()).all(|t| *t == 0.0));
        }
    }

    #[test]
    fn extreme_scores_stay_finite_and_clamped_entries_pass_nothing() {
        let elr = begun(1, 3);
        for scores in [[1e4, -1e4, 0.0], [-300.0, 300.0, 0.0], [0.0, 0.0, 0.0]] {
            let mut gradient = [f32::NAN; 3];
            let loss = elr.term(&[1.0, 0.0, 0.0], &scores, &mut gradient);
            assert!(loss.is_finite() && gradient.iter().all(|g| g.is_finite()), "{scores:?}: {loss} {gradient:?}");
            assert!(scores[0] == 0.0 || gradient == [0.0; 3], "{scores:?}: {gradient:?}");
        }
    }

    #[test]
    fn the_order_within_an_epoch_and_rows_beside_do_not_matter() {
        let scores = Array2::from_shape_fn((4, 3), |(i, j)| ((i * 5 + j * 7) % 4) as f32);
        let (mut one, mut two) = (begun(4, 3), begun(4, 3));
        one.observe(&batch(&[0, 1, 2, 3], 3), scores.view()).unwrap();
        for row in [3, 0, 2, 1] {
            one.of(row).unwrap();
            two.observe(&batch(&[row, 77], 3), scores.select(ndarray::Axis(0), &[row as usize, 0]).view()).unwrap();
        }
        assert_eq!(one.memory.table, two.memory.table);
    }

    #[test]
    fn without_strength_it_is_cross_entropy_and_numbers_and_mixtures_are_refused() {
        let inputs = Array2::from_shape_fn((40, 2), |(i, j)| ((i * (j + 1)) % 7) as f32);
        let samples = Samples::classes(inputs.clone(), (0..40).map(|i| i % 3).collect(), 3).unwrap();
        let (network, trainer) = (Mlp::new(2, &[8], 3), Trainer { epochs: 3, seed: Seed(1), ..Trainer::default() });
        let plain = trainer.fit(&network, &samples, None, &mut [], &Silent).unwrap();
        let mut nothing = Elr { lambda: 0.0, ..Elr::default() };
        let same = trainer.fit(&network, &samples, None, &mut [&mut nothing], &Silent).unwrap();
        assert_eq!(plain.parameters.fingerprint(), same.parameters.fingerprint());
        assert!(nothing.prepare(&mut Batch { mixed: true, ..batch(&[0], 3) }).is_err());
        for wrong in [Elr { lambda: f32::NAN, ..Elr::default() }, Elr { beta: 1.0, ..Elr::default() }] {
            assert!(trainer.fit(&network, &samples, None, &mut [&mut wrong.clone()], &Silent).is_err());
        }
        let numbers = Samples::values(inputs, Array2::ones((40, 1))).unwrap();
        let trainer = Trainer { loss: quadrat_nn::Loss::SquaredError, ..trainer };
        assert!(trainer.fit(&Mlp::new(2, &[8], 1), &numbers, None, &mut [&mut Elr::default()], &Silent).is_err());
    }
}
