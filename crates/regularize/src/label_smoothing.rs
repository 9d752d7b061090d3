//! Label smoothing: a little of every target goes to all classes alike.

use quadrat_core::{Area, Card, Error, Param, Result};
use quadrat_nn::{Batch, Parameters, Run, TrainMethod};

/// Label smoothing (Szegedy et al. 2016): s = (1 − ε) y + ε / K.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LabelSmoothing {
    /// ε, 0 to below 1.
    pub rate: f32,
}

impl Default for LabelSmoothing {
    fn default() -> Self {
        LabelSmoothing { rate: 0.1 }
    }
}

impl LabelSmoothing {
    /// The method's card.
    pub const CARD: Card = Card {
        slug: "label-smoothing",
        aliases: &[],
        title: "Label smoothing",
        paper: "Szegedy et al., CVPR 2016, arXiv 1512.00567",
        area: Area::Regularize,
        verbs: &["train"],
        summary: "Gives a small equal share of every target to all classes.",
        useful_when: "my classifier is overconfident; a simple baseline for softer targets",
        cost: "none",
        params: &[Param { name: "rate", default: "0.1", help: "share given to all classes alike, 0 to below 1" }],
    };
}

impl TrainMethod for LabelSmoothing {
    fn name(&self) -> &str {
        "label-smoothing"
    }

    fn settings(&self) -> String {
        format!("rate={}", self.rate)
    }

    fn begin(&mut self, run: &Run<'_>, _: &mut Parameters) -> Result<()> {
        if !(0.0..1.0).contains(&self.rate) {
            return Err(Error::input("rate", self.rate, "0 to below 1"));
        }
        if !run.loss.is_classification() {
            return Err(Error::input("label-smoothing", format!("loss {:?}", run.loss), "it needs classes"));
        }
        Ok(())
    }

    fn prepare(&mut self, batch: &mut Batch) -> Result<()> {
        let share = self.rate / batch.targets.ncols() as f32;
        batch.targets.mapv_inplace(|s| (1.0 - self.rate) * s + share);
        Ok(())
    }
}
