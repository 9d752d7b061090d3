//! FixMatch: what the network is sure of by a weak view, it must recognise in a strong one.
//!
//! Sohn et al., "FixMatch: Simplifying Semi-Supervised Learning with Consistency and Confidence", NeurIPS 2020 (arXiv 2001.07685),
//! eq. 4: with p the probabilities by the weak view of an unlabelled row, without a gradient,
//!
//! > L = CE(labelled) + λ mean over unlabelled rows of 1[max p ≥ τ] CE(strong view, argmax p).
//!
//! Distribution alignment (Berthelot et al. 2020, arXiv 1911.09785) first divides p by its running mean, and is on by default: with
//! four labels a class one class otherwise takes over in some runs. The authors average weights with 0.999 (`--average`).

use super::{Memory, Rule, Views, likeliest};
use ndarray::ArrayView2;
use quadrat_core::{Area, Card, Method, Result, Settings};
use quadrat_nn::{Batch, EpochEnd, Forward, MethodState, Parameters, Piece, Run, Tensor, TrainMethod};

/// FixMatch.
#[derive(Debug, Clone, Settings)]
pub struct FixMatch {
    /// When a row teaches.
    #[param(flatten)]
    pub rule: Rule,
    /// How rows are changed.
    #[param(flatten)]
    pub views: Views,
    /// What a run remembers.
    pub memory: Memory,
}

impl Method for FixMatch {
    const CARD: Card = Card {
        slug: "fixmatch",
        aliases: &[],
        title: "FixMatch",
        paper: "Sohn et al., NeurIPS 2020, arXiv 2001.07685",
        area: Area::Robust,
        verbs: &["train"],
        summary: "Teaches itself from rows without labels: what it is sure of by a weak view it must recognise in a strong one.",
        useful_when: "few labels and many rows without; semi-supervised learning; labels are expensive; pseudo-labels",
        cost: "a pass over 1 + 2 x ratio times as many rows",
        params: Self::PARAMS,
    };
}

impl TrainMethod for FixMatch {
    fn name(&self) -> &str {
        "fixmatch"
    }

    fn settings(&self) -> String {
        format!("{} {}", self.rule.told(), self.views.told())
    }

    fn begin(&mut self, run: &Run<'_>, _: &mut Parameters) -> Result<()> {
        self.rule.check()?;
        self.memory = Memory::begin("fixmatch", run)?;
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
        let taught = self.memory.teach(&self.rule, outputs, &p, &parts.strong, |_| self.rule.tau);
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
        self.memory.found("fixmatch")
    }

    fn save(&self) -> MethodState {
        self.memory.save()
    }

    fn load(&mut self, mut state: MethodState, _: &mut Parameters) -> Result<()> {
        self.memory.load(&mut state);
        Ok(())
    }
}
