//! FlexMatch: FixMatch with a threshold for each class, lower while the class is hard to learn.
//!
//! Zhang et al., "FlexMatch: Boosting Semi-Supervised Learning with Curriculum Pseudo Labeling", NeurIPS 2021 (arXiv 2110.08263),
//! eq. 5 to 10: σ(c) counts the unlabelled rows whose last prediction above τ was class c, and
//!
//! > β(c) = σ(c) / max(max σ, rows never above τ),  threshold of c = τ β(c) / (2 − β(c)).
//!
//! Rows are counted at τ itself, whatever their class's threshold.

use super::{Memory, Rule, Views, likeliest};
use ndarray::ArrayView2;
use quadrat_core::{Area, Card, Error, Method, Result, Settings};
use quadrat_nn::{Batch, EpochEnd, Forward, MethodState, Parameters, Piece, Run, Tensor, TrainMethod};

/// FlexMatch.
#[derive(Debug, Clone, Settings)]
pub struct FlexMatch {
    /// When a row teaches.
    #[param(flatten)]
    pub rule: Rule,
    /// How rows are changed.
    #[param(flatten)]
    pub views: Views,
    /// What a run remembers.
    pub memory: Memory,
    /// The class of each unlabelled row's last prediction above τ; empty before a run.
    pub last: Vec<Option<u32>>,
}

impl Method for FlexMatch {
    const CARD: Card = Card {
        slug: "flexmatch",
        aliases: &[],
        title: "FlexMatch",
        paper: "Zhang et al., NeurIPS 2021, arXiv 2110.08263",
        area: Area::Robust,
        verbs: &["train"],
        summary: "FixMatch whose threshold is lower for classes that the network finds hard.",
        useful_when: "few labels and many rows without; some classes are learnt late; semi-supervised learning",
        cost: "a pass over 1 + 2 x ratio times as many rows; 8 bytes an unlabelled row",
        params: Self::PARAMS,
    };
}

impl FlexMatch {
    /// The threshold of each class.
    pub(super) fn thresholds(&self) -> Vec<f32> {
        let mut sigma = vec![0_usize; self.memory.classes];
        self.last.iter().flatten().for_each(|class| sigma[*class as usize] += 1);
        let never = self.last.iter().filter(|last| last.is_none()).count();
        let most = sigma.iter().copied().max().unwrap_or(0).max(never).max(1) as f32;
        let threshold = |n: usize| {
            let beta = n as f32 / most;
            self.rule.tau * beta / (2.0 - beta)
        };
        sigma.into_iter().map(threshold).collect()
    }
}

impl TrainMethod for FlexMatch {
    fn name(&self) -> &str {
        "flexmatch"
    }

    fn settings(&self) -> String {
        format!("{} {}", self.rule.told(), self.views.told())
    }

    fn begin(&mut self, run: &Run<'_>, _: &mut Parameters) -> Result<()> {
        self.rule.check()?;
        self.memory = Memory::begin("flexmatch", run)?;
        self.last = vec![None; self.memory.pool];
        self.views.begin(run)
    }

    fn reads_unlabelled(&self) -> bool {
        true
    }

    fn whole_batch(&self) -> bool {
        true
    }

    fn prepare(&mut self, batch: &mut Batch) -> Result<()> {
        self.memory.view(&self.views, batch).map(drop)
    }

    fn loss(&self, _: &mut Forward, piece: &Piece, outputs: &Tensor<2>, rows: Tensor<1>) -> Result<Tensor<1>> {
        let parts = self.memory.parts(piece.batch)?;
        let p = self.memory.said(&self.rule, piece.scores(outputs)?.view(), &parts);
        let thresholds = self.thresholds();
        let taught = self.memory.teach(&self.rule, outputs, &p, &parts.strong, |class| thresholds[class]);
        Ok(rows + taught)
    }

    fn observes(&self) -> bool {
        true
    }

    fn observe(&mut self, batch: &Batch, outputs: ArrayView2<f32>) -> Result<()> {
        let parts = self.memory.parts(batch)?;
        let p = self.memory.said(&self.rule, outputs, &parts);
        let thresholds = self.thresholds();
        let mut taught = 0;
        for (p, row) in p.outer_iter().zip(&batch.rows[parts.weak.clone()]) {
            let (class, sure) = likeliest(p);
            taught += usize::from(sure >= thresholds[class]);
            if sure >= self.rule.tau {
                self.last[self.memory.place(*row)] = Some(class as u32);
            }
        }
        self.memory.keep(outputs, &parts, taught);
        Ok(())
    }

    fn end_epoch(&mut self, _: usize, _: &mut dyn EpochEnd) -> Result<()> {
        self.memory.end_epoch();
        Ok(())
    }

    fn found(&self) -> Vec<(String, f64)> {
        self.memory.found("flexmatch")
    }

    fn save(&self) -> MethodState {
        let mut state = self.memory.save();
        let last = self.last.iter().map(|last| last.map_or(-1.0, |class| class as f32)).collect();
        state.arrays.insert("last".to_owned(), last);
        state
    }

    fn load(&mut self, mut state: MethodState, _: &mut Parameters) -> Result<()> {
        self.memory.load(&mut state);
        let last = state.arrays.remove("last").unwrap_or_default();
        if last.len() != self.last.len() {
            let want = format!("{} for these rows", self.last.len());
            return Err(Error::input("checkpoint of flexmatch", format!("{} predictions", last.len()), want));
        }
        self.last = last.into_iter().map(|last| (last >= 0.0).then_some(last as u32)).collect();
        Ok(())
    }
}
