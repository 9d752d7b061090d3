//! Progressive self-knowledge distillation: each row's target is softened by what the network said of it an epoch ago.
//!
//! Kim, Ji, Yoon and Hwang, "Self-Knowledge Distillation with Progressive Refinement of Targets", ICCV 2021
//! (arXiv 2006.12000). In epoch t of T the target of row i is
//!
//! > s = (1 − αₜ) onehot(y) + αₜ Qᵢ,  αₜ = α t / T,
//!
//! with Qᵢ the probabilities that the network gave to row i in epoch t − 1, taken without a gradient. The first epoch is
//! plain cross-entropy. The paper speaks of the network after epoch t − 1 ([`Teacher::EpochEnd`]); the authors' program
//! keeps what was predicted while row i was being trained, which saves a pass ([`Teacher::OnTheFly`], the default).
//!
//! The gradient at the scores is p − s. Where pᵢ ≥ α Qᵢ for all wrong classes, its absolute sum is 2 (γₜ − α γₜ₋₁) with
//! γ = 1 − p(true class): against cross-entropy (2 γₜ) rows that the network has learnt lose weight, rows it is
//! forgetting keep theirs.
//!
//! Before a method that mixes rows (and says so in [`Batch::mixed`]), the soft targets are mixed like the inputs, and the
//! table is only written from batches that were not mixed. (How the authors treat mixed batches could not be verified.)
//! A row that was only ever met in mixtures, or not at all, keeps its target, as does a mixture; how many targets were
//! softened is told where it is not all of them. With mixup take the teacher of the epoch's end, and name this method
//! first.
//!
//! The paper's α = 0.8 is worth tuning: in the recorded claim 0.2 or 0.8 was best on clean images and 0.05 to 0.2 on rows of
//! which three labels in ten were drawn at random. Against cross-entropy whose decay was tuned too, the log-likelihood gained
//! a few percent at most, not the third that the paper has at one fixed decay.

use ndarray::ArrayView2;
use quadrat_core::{Area, Card, Choice, Error, Method, Result, Settings};
use quadrat_nn::{Batch, EpochEnd, MethodState, Parameters, Run, TrainMethod};
use quadrat_numeric::calibration;

/// Where the soft targets come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum Teacher {
    /// The prediction made while the row was trained an epoch ago: no extra pass.
    OnTheFly,
    /// The network at the end of the last epoch, in evaluation mode: one more pass over the rows each epoch.
    EpochEnd,
}

/// How the weight of the soft part grows over a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum Growth {
    /// αₜ = α t / T, as in the paper.
    Linear,
    /// αₜ = α (1 − cos(π t / T)) / 2.
    Cosine,
    /// αₜ = α from the second epoch on.
    Constant,
}

/// Progressive self-knowledge distillation.
///
/// ```
/// use quadrat_core::{Seed, Silent};
/// use quadrat_nn::{Mlp, Samples, Trainer};
/// use quadrat_regularize::PsKd;
/// let inputs = ndarray::Array2::from_shape_fn((40, 2), |(i, j)| ((i * (j + 1)) % 7) as f32);
/// let samples = Samples::classes(inputs, (0..40).map(|i| (i % 7 > 3) as u32).collect(), 2)?;
/// let mut method = PsKd::default();
/// let trainer = Trainer { epochs: 5, seed: Seed(1), ..Trainer::default() };
/// let fit = trainer.fit(&Mlp::new(2, &[16], 2), &samples, None, &mut [&mut method], &Silent)?;
/// assert_eq!(fit.curve.len(), 5);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, Settings)]
pub struct PsKd {
    /// Weight α of the soft part in the last epoch.
    #[param(default = 0.8, from = 0, to = 1)]
    pub alpha: f32,
    /// How it grows.
    #[param(default = Growth::Linear)]
    pub growth: Growth,
    /// Where the soft part comes from.
    #[param(default = Teacher::OnTheFly)]
    pub teacher: Teacher,
    /// What the network said; empty before a run.
    pub memory: Predictions,
}

/// What the network said of each row an epoch ago.
#[derive(Debug, Clone, Default)]
pub struct Predictions {
    /// Q: rows x classes, NaN where nothing was seen yet.
    table: Vec<f32>,
    classes: usize,
    epochs: usize,
    /// Targets since the second epoch: those that were softened, and all.
    softened: usize,
    met: usize,
}

impl Method for PsKd {
    const CARD: Card = Card {
        slug: "ps-kd",
        aliases: &["pskd", "self-distillation"],
        title: "Progressive self-knowledge distillation",
        paper: "Kim, Ji, Yoon and Hwang, ICCV 2021, arXiv 2006.12000",
        area: Area::Regularize,
        verbs: &["train"],
        summary: "Softens each row's target, a little more every epoch, with what the same network predicted for that \
                  row one epoch earlier: no teacher, no extra pass, one parameter.",
        useful_when: "my classifier is overconfident; its probabilities are badly calibrated; better probabilities \
                      without a teacher network or a second model",
        cost: "rows x classes numbers (4 bytes each) of memory; no measurable time beside training",
        params: Self::PARAMS,
    };
}

impl PsKd {
    /// αₜ for epoch t from 1 to T. The first epoch has nothing to mix in.
    pub fn alpha_at(&self, t: usize) -> f32 {
        if t <= 1 {
            return 0.0;
        }
        let share = t as f32 / self.memory.epochs.max(1) as f32;
        self.alpha
            * match self.growth {
                Growth::Linear => share,
                Growth::Cosine => 0.5 * (1.0 - (std::f32::consts::PI * share).cos()),
                Growth::Constant => 1.0,
            }
    }

    /// The probabilities that the table holds for a row, if it was seen.
    pub fn remembered(&self, row: usize) -> Option<&[f32]> {
        let q = self.memory.table.get(row * self.memory.classes..(row + 1) * self.memory.classes)?;
        q.iter().all(|v| v.is_finite()).then_some(q)
    }

    fn remember(&mut self, rows: impl Iterator<Item = usize>, scores: ArrayView2<f32>) {
        let p = calibration::probabilities(scores, 1.0);
        for (row, p) in rows.zip(p.outer_iter()) {
            // Rows beside the training rows, unlabelled ones say, have no place.
            let place = row * self.memory.classes..(row + 1) * self.memory.classes;
            let q = self.memory.table.get_mut(place).into_iter().flatten();
            q.zip(p).for_each(|(q, p)| *q = *p);
        }
    }
}

impl TrainMethod for PsKd {
    fn name(&self) -> &str {
        "ps-kd"
    }

    fn settings(&self) -> String {
        format!("alpha={} growth={:?} teacher={:?}", self.alpha, self.growth, self.teacher)
    }

    fn begin(&mut self, run: &Run<'_>, _: &mut Parameters) -> Result<()> {
        if !(0.0..=1.0).contains(&self.alpha) {
            return Err(Error::input("alpha", self.alpha, "0 to 1"));
        }
        run.needs_classes("ps-kd")?;
        let classes = run.data.outputs();
        let table = vec![f32::NAN; run.data.len() * classes];
        self.memory = Predictions { table, classes, epochs: run.epochs, softened: 0, met: 0 };
        Ok(())
    }

    fn prepare(&mut self, batch: &mut Batch) -> Result<()> {
        let alpha = self.alpha_at(batch.at.epoch + 1);
        if alpha == 0.0 {
            return Ok(());
        }
        let k = self.memory.classes;
        for (&row, mut target) in batch.rows.iter().zip(batch.targets.outer_iter_mut()) {
            let q = self.memory.table.get(row as usize * k..(row as usize + 1) * k);
            if let Some(q) = q.filter(|q| !batch.mixed && q.iter().all(|v| v.is_finite())) {
                target.iter_mut().zip(q).for_each(|(s, q)| *s = (1.0 - alpha) * *s + alpha * q);
                self.memory.softened += 1;
            }
            self.memory.met += 1;
        }
        Ok(())
    }

    fn observes(&self) -> bool {
        self.teacher == Teacher::OnTheFly
    }

    fn observe(&mut self, batch: &Batch, outputs: ArrayView2<f32>) -> Result<()> {
        if !batch.mixed {
            self.remember(batch.rows.iter().map(|&row| row as usize), outputs);
        }
        Ok(())
    }

    fn end_epoch(&mut self, _: usize, model: &mut dyn EpochEnd) -> Result<()> {
        if self.teacher == Teacher::EpochEnd {
            let outputs = model.training_outputs()?;
            self.remember(0..outputs.nrows(), outputs.view());
        }
        Ok(())
    }

    fn found(&self) -> Vec<(String, f64)> {
        let Predictions { softened, met, .. } = self.memory;
        let share = ("ps-kd: share of targets that were softened".to_owned(), softened as f64 / met as f64);
        if softened < met { vec![share] } else { Vec::new() }
    }

    fn save(&self) -> MethodState {
        let numbers = [("softened", self.memory.softened), ("met", self.memory.met)];
        MethodState {
            numbers: numbers.map(|(name, n)| (name.to_owned(), n as f64)).into(),
            arrays: [("table".to_owned(), self.memory.table.clone())].into(),
        }
    }

    fn load(&mut self, mut state: MethodState, _: &mut Parameters) -> Result<()> {
        let table = state.arrays.remove("table").unwrap_or_default();
        if table.len() != self.memory.table.len() {
            let want = format!("{} for these rows and classes", self.memory.table.len());
            return Err(Error::input("checkpoint of ps-kd", format!("{} probabilities", table.len()), want));
        }
        self.memory.table = table;
        let count = |name: &str| {
            let wrong = || Error::input("checkpoint of ps-kd", format!("no `{name}`"), "one that ps-kd wrote");
            state.numbers.get(name).map(|n| *n as usize).ok_or_else(wrong)
        };
        (self.memory.softened, self.memory.met) = (count("softened")?, count("met")?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};
    use proptest::prelude::*;
    use quadrat_core::{Seed, Silent};
    use quadrat_nn::{At, Mlp, Samples, Trainer};

    fn batch(epoch: usize, rows: &[u32], targets: Array2<f32>) -> Batch {
        let samples = Samples::values(Array2::ones((rows.len(), 1)), targets).unwrap();
        let all: Vec<u32> = (0..rows.len() as u32).collect();
        Batch { rows: rows.to_vec(), ..samples.batch(At { epoch, step: 0 }, &all) }
    }

    fn begun(epochs: usize) -> PsKd {
        PsKd {
            memory: Predictions { table: vec![f32::NAN; 9], classes: 3, epochs, ..Predictions::default() },
            ..PsKd::default()
        }
    }

    #[test]
    fn targets_mix_with_what_was_said_an_epoch_ago() {
        let mut method = PsKd { alpha: 0.4, ..begun(2) };
        let first = batch(0, &[1], array![[1.0, 0.0, 0.0]]);
        method.observe(&first, array![[0.7f32.ln(), 0.2f32.ln(), 0.1f32.ln()]].view()).unwrap();
        let mut second = batch(1, &[1], array![[1.0, 0.0, 0.0]]);
        method.prepare(&mut second).unwrap();
        for (s, golden) in second.targets.iter().zip([0.88, 0.08, 0.04]) {
            assert!((s - golden).abs() < 1e-6);
        }
    }

    #[test]
    fn alpha_grows_to_its_ceiling_and_starts_at_nothing() {
        let method = begun(10);
        assert_eq!(method.alpha_at(1), 0.0);
        assert!((method.alpha_at(5) - 0.4).abs() < 1e-6 && (method.alpha_at(10) - 0.8).abs() < 1e-6);
        let constant = PsKd { growth: Growth::Constant, ..begun(10) };
        assert_eq!((constant.alpha_at(1), constant.alpha_at(2)), (0.0, 0.8));
    }

    #[test]
    fn a_row_that_was_not_seen_keeps_its_target_and_that_is_told() {
        let (mut method, mut second) = (begun(5), batch(1, &[2, 1], array![[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]));
        method.memory.table[3..6].copy_from_slice(&[0.0, 0.5, 0.5]);
        method.prepare(&mut second).unwrap();
        assert_eq!(second.targets.row(0).to_vec(), [0.0, 1.0, 0.0]);
        assert!(second.targets[[1, 1]] > 0.0);
        assert_eq!(method.found(), [("ps-kd: share of targets that were softened".to_owned(), 0.5)]);
    }

    #[test]
    fn mixed_batches_teach_nothing() {
        let mut method = begun(5);
        let mixed = Batch { mixed: true, ..batch(0, &[0], array![[1.0, 0.0, 0.0]]) };
        method.observe(&mixed, array![[1.0, 0.0, 0.0]].view()).unwrap();
        assert!(method.remembered(0).is_none());
    }

    #[test]
    fn both_teachers_train_and_numbers_are_refused() {
        let inputs = Array2::from_shape_fn((30, 2), |(i, j)| ((i * (j + 1)) % 7) as f32);
        let samples = Samples::classes(inputs.clone(), (0..30).map(|i| (i % 2) as u32).collect(), 2).unwrap();
        let trainer = Trainer { epochs: 3, seed: Seed(1), ..Trainer::default() };
        for teacher in [Teacher::OnTheFly, Teacher::EpochEnd] {
            let mut method = PsKd { teacher, ..PsKd::default() };
            trainer.fit(&Mlp::new(2, &[8], 2), &samples, None, &mut [&mut method], &Silent).unwrap();
            let q = method.remembered(7).unwrap();
            assert!((q.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        }
        let numbers = Samples::values(inputs, Array2::ones((30, 1))).unwrap();
        let trainer = Trainer { loss: quadrat_nn::Loss::SquaredError, ..trainer };
        assert!(trainer.fit(&Mlp::new(2, &[8], 1), &numbers, None, &mut [&mut PsKd::default()], &Silent).is_err());
    }

    proptest! {
        /// Where p is at least alpha Q off the true class, the pull is 2 (gamma now - alpha gamma then), else it is more.
        #[test]
        fn the_gradient_is_rescaled_as_the_paper_says(
            p in prop::collection::vec(0.01f64..1.0, 4), q in prop::collection::vec(0.01f64..1.0, 4), alpha in 0.0f64..1.0
        ) {
            let normal = |v: Vec<f64>| { let sum: f64 = v.iter().sum(); v.into_iter().map(|x| x / sum).collect::<Vec<_>>() };
            let (p, q) = (normal(p), normal(q));
            let target = |i: usize| (1.0 - alpha) * f64::from(u8::from(i == 0)) + alpha * q[i];
            let pull: f64 = (0..4).map(|i| (p[i] - target(i)).abs()).sum();
            let said = 2.0 * ((1.0 - p[0]) - alpha * (1.0 - q[0]));
            if (1..4).all(|i| p[i] >= alpha * q[i]) {
                prop_assert!((pull - said).abs() < 1e-9);
            } else {
                prop_assert!(pull > said);
            }
        }
    }
}
