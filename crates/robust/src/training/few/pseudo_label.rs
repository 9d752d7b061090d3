//! Pseudo-labels: what the network is sure of becomes the label of a row without one.
//!
//! Lee, "Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method for Deep Neural Networks", ICML 2013 workshop, with
//! the threshold that later work added. The row that is taught is the one that was looked at: no stronger view of it.

use super::{Memory, Rule, Views, likeliest};
use ndarray::ArrayView2;
use quadrat_core::{Area, Card, Method, Result, Settings};
use quadrat_nn::{Batch, EpochEnd, Forward, MethodState, Parameters, Piece, Run, Tensor, TrainMethod};

/// Pseudo-labels.
#[derive(Debug, Clone, Settings)]
pub struct PseudoLabel {
    /// When a row teaches.
    #[param(flatten)]
    pub rule: Rule,
    /// How rows are changed, all of them weakly.
    #[param(flatten)]
    pub views: Views,
    /// What a run remembers.
    pub memory: Memory,
}

impl Method for PseudoLabel {
    const CARD: Card = Card {
        slug: "pseudo-label",
        aliases: &["pseudo-labels", "self-training"],
        title: "Pseudo-labels",
        paper: "Lee, ICML 2013 workshop on challenges in representation learning",
        area: Area::Robust,
        verbs: &["train"],
        summary: "Takes what the network is sure of for the label of a row that has none.",
        useful_when: "few labels and many rows without; the simple baseline of semi-supervised learning",
        cost: "a pass over 1 + 2 x ratio times as many rows",
        params: Self::PARAMS,
    };
}

impl TrainMethod for PseudoLabel {
    fn name(&self) -> &str {
        "pseudo-label"
    }

    fn settings(&self) -> String {
        format!("{} {}", self.rule.told(), self.views.told())
    }

    fn begin(&mut self, run: &Run<'_>, _: &mut Parameters) -> Result<()> {
        self.rule.check()?;
        self.memory = Memory::begin("pseudo-label", run)?;
        self.views.begin(run)
    }

    fn reads_unlabelled(&self) -> bool {
        true
    }

    fn whole_batch(&self) -> bool {
        true
    }

    fn prepare(&mut self, batch: &mut Batch) -> Result<()> {
        self.memory.view_weakly(&self.views, batch)
    }

    fn loss(&self, _: &mut Forward, piece: &Piece, outputs: &Tensor<2>, rows: Tensor<1>) -> Result<Tensor<1>> {
        let parts = self.memory.parts(piece.batch)?;
        let p = self.memory.said(&self.rule, piece.scores(outputs)?.view(), &parts);
        let taught = self.memory.teach(&self.rule, outputs, &p, &parts.weak, |_| self.rule.tau);
        Ok(rows + taught)
    }

    fn observes(&self) -> bool {
        true
    }

    fn observe(&mut self, batch: &Batch, outputs: ArrayView2<f32>) -> Result<()> {
        let parts = self.memory.parts(batch)?;
        let p = self.memory.said(&self.rule, outputs, &parts);
        let sure = p.outer_iter().filter(|p| likeliest(*p).1 >= self.rule.tau).count();
        self.memory.keep(outputs, &parts, sure);
        Ok(())
    }

    fn end_epoch(&mut self, _: usize, _: &mut dyn EpochEnd) -> Result<()> {
        self.memory.end_epoch();
        Ok(())
    }

    fn found(&self) -> Vec<(String, f64)> {
        self.memory.found("pseudo-label")
    }

    fn save(&self) -> MethodState {
        self.memory.save()
    }

    fn load(&mut self, mut state: MethodState, _: &mut Parameters) -> Result<()> {
        self.memory.load(&mut state);
        Ok(())
    }
}
