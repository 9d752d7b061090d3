//! Sample adaptive augmentation: rows that teach nothing any more get harder views.
//!
//! Gui, Zhao, Qi, Zhou, Wang and Shi, "Enhancing Sample Utilization through Sample Adaptive Augmentation in Semi-Supervised
//! Learning", ICCV 2023 (arXiv 2309.03598). On top of FixMatch and its kin. For each unlabelled row
//!
//! > h ← (1 − α) h + α CE(strong view, argmax of the weak view),
//!
//! whether or not the row is sure enough to teach. After each epoch, once a tenth of the run is over, Otsu's threshold over all h
//! divides the rows: those below are *naive*, and their strong view becomes the halves of two strong views put together,
//! left and right or top and bottom (numbers of other kinds: first and second half of the columns). A row that is hard
//! again becomes ordinary again.
//!
//! α weighs the new loss, 0.999 as in the authors' program, so that h is nearly the last loss; whether the paper's α means that or
//! the past could not be verified. Rows that were not met yet stay ordinary. Name it after the method that it helps, with
//! the same views.

use super::{Memory, Views, likeliest, views};
use ndarray::{ArrayView2, Axis};
use quadrat_core::{Area, Card, Error, Method, Result, Rng, Settings};
use quadrat_nn::{Batch, EpochEnd, MethodState, Parameters, Run, TrainMethod};
use quadrat_numeric::{calibration, otsu};

/// Sample adaptive augmentation.
#[derive(Debug, Clone, Settings)]
pub struct SampleAdaptive {
    /// Weight α of a row's new loss against those before.
    #[param(default = 0.999, above = 0, to = 1)]
    pub alpha: f32,
    /// Share of the run before any row is called naive.
    #[param(default = 0.1, from = 0, to = 1)]
    pub warmup: f64,
    /// How rows are changed.
    #[param(flatten)]
    pub views: Views,
    /// What a run remembers.
    pub memory: Memory,
    /// What a run knows of each unlabelled row.
    pub rows: Rows,
}

/// What a run knows of each unlabelled row; empty before one.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    /// h; not a number before the first visit.
    history: Vec<f32>,
    naive: Vec<bool>,
    epochs: usize,
}

/// Bins of Otsu's histogram.
const BINS: usize = 256;

impl Method for SampleAdaptive {
    const CARD: Card = Card {
        slug: "saa",
        aliases: &["sample-adaptive-augmentation"],
        title: "Sample adaptive augmentation",
        paper: "Gui et al., ICCV 2023, arXiv 2309.03598",
        area: Area::Robust,
        verbs: &["train"],
        summary: "Gives harder views to those unlabelled rows that the network recognises already, beside fixmatch and its kin.",
        useful_when: "few labels, many rows without, and most of these are recognised early; with fixmatch, flexmatch, shrinkmatch",
        cost: "5 bytes an unlabelled row; two more views of each naive one",
        params: Self::PARAMS,
    };
}

impl SampleAdaptive {
    /// Two strong views of a row, half of each.
    pub(super) fn composite(&self, plain: &[f32], rng: &mut Rng, scratch: &mut Vec<f32>) -> Vec<f32> {
        let [mut one, mut two] = [plain.to_vec(), plain.to_vec()];
        self.views.changed(&mut one, rng, scratch);
        self.views.changed(&mut two, rng, scratch);
        let [_, h, w] = self.views.shape.unwrap_or([1, 1, plain.len()]);
        let across = rng.below(2) == 0 || h < 2;
        for (i, (a, b)) in one.iter_mut().zip(two).enumerate() {
            let (y, x) = (i / w % h, i % w);
            if if across { x < w / 2 } else { y < h / 2 } {
                *a = b;
            }
        }
        if self.views.shape.is_some() {
            self.views.weak(&mut one, rng);
        }
        one
    }
}

impl TrainMethod for SampleAdaptive {
    fn name(&self) -> &str {
        "saa"
    }

    fn settings(&self) -> String {
        format!("alpha={} warmup={} {}", self.alpha, self.warmup, self.views.told())
    }

    fn begin(&mut self, run: &Run<'_>, _: &mut Parameters) -> Result<()> {
        if !(self.alpha > 0.0 && self.alpha <= 1.0) {
            return Err(Error::input("alpha", self.alpha, "above 0, at most 1"));
        }
        if !(0.0..=1.0).contains(&self.warmup) {
            return Err(Error::input("warmup", self.warmup, "0 to 1"));
        }
        self.memory = Memory::begin("saa", run)?;
        let pool = self.memory.pool;
        self.rows = Rows { history: vec![f32::NAN; pool], naive: vec![false; pool], epochs: run.epochs };
        self.views.begin(run)
    }

    fn reads_unlabelled(&self) -> bool {
        true
    }

    fn needs_plain(&self) -> bool {
        true
    }

    fn prepare(&mut self, batch: &mut Batch) -> Result<()> {
        let parts = self.memory.parts(batch)?;
        let seed = self.memory.seed.stream("composites").stream(&batch.at.step.to_string());
        let (rows, plain) = (batch.rows.clone(), views::plain(batch)?.clone());
        let naive: Vec<usize> = parts.strong.filter(|i| self.rows.naive[self.memory.place(rows[*i])]).collect();
        let mut scratch = Vec::new();
        for i in naive {
            let own = plain.index_axis(Axis(0), i).to_vec();
            let composite = self.composite(&own, &mut seed.rng(i as u64), &mut scratch);
            batch.inputs.row_mut(i).iter_mut().zip(composite).for_each(|(v, c)| *v = c);
        }
        Ok(())
    }

    fn observes(&self) -> bool {
        true
    }

    fn observe(&mut self, batch: &Batch, outputs: ArrayView2<f32>) -> Result<()> {
        let parts = self.memory.parts(batch)?;
        for (weak, strong) in parts.weak.zip(parts.strong) {
            let class = likeliest(outputs.row(weak)).0;
            let p = calibration::probabilities(outputs.slice(ndarray::s![strong..=strong, ..]), 1.0);
            let loss = -p[[0, class]].max(f32::MIN_POSITIVE).ln();
            let h = &mut self.rows.history[self.memory.place(batch.rows[weak])];
            *h = if h.is_nan() { loss } else { (1.0 - self.alpha) * *h + self.alpha * loss };
        }
        Ok(())
    }

    fn end_epoch(&mut self, epoch: usize, _: &mut dyn EpochEnd) -> Result<()> {
        if ((epoch + 1) as f64) < self.warmup * self.rows.epochs as f64 {
            return Ok(());
        }
        let met: Vec<f32> = self.rows.history.iter().copied().filter(|h| !h.is_nan()).collect();
        if let Some(border) = otsu(&met, BINS) {
            for (naive, h) in self.rows.naive.iter_mut().zip(&self.rows.history).filter(|(_, h)| !h.is_nan()) {
                *naive = if *h == border { *naive } else { *h < border };
            }
        }
        Ok(())
    }

    fn found(&self) -> Vec<(String, f64)> {
        let naive = self.rows.naive.iter().filter(|naive| **naive).count();
        vec![(
            "saa: share of the unlabelled rows that are naive".to_owned(),
            naive as f64 / self.memory.pool.max(1) as f64,
        )]
    }

    fn save(&self) -> MethodState {
        let naive = self.rows.naive.iter().map(|naive| f32::from(u8::from(*naive))).collect();
        let arrays = [("history".to_owned(), self.rows.history.clone()), ("naive".to_owned(), naive)];
        MethodState { arrays: arrays.into(), ..MethodState::default() }
    }

    fn load(&mut self, mut state: MethodState, _: &mut Parameters) -> Result<()> {
        let [history, naive] = ["history", "naive"].map(|name| state.arrays.remove(name).unwrap_or_default());
        if history.len() != self.memory.pool || naive.len() != self.memory.pool {
            let want = format!("{} for these rows", self.memory.pool);
            return Err(Error::input("checkpoint of saa", format!("{} losses", history.len()), want));
        }
        self.rows.history = history;
        self.rows.naive = naive.into_iter().map(|naive| naive > 0.0).collect();
        Ok(())
    }
}
