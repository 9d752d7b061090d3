//! Label smoothing: a little of every target goes to all classes alike.

use quadrat_core::{Area, Card, Error, Method, Result, Settings};
use quadrat_nn::{Batch, Parameters, Run, TrainMethod};

/// Label smoothing (Szegedy et al. 2016): s = (1 − ε) y + ε / K.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct LabelSmoothing {
    /// Share ε that all classes get alike.
    #[param(default = 0.1, from = 0, below = 1)]
    pub rate: f32,
}

impl Method for LabelSmoothing {
    const CARD: Card = Card {
        slug: "label-smoothing",
        aliases: &[],
        title: "Label smoothing",
        paper: "Szegedy et al., CVPR 2016, arXiv 1512.00567",
        area: Area::Regularize,
        verbs: &["train"],
        summary: "Gives a small equal share of every target to all classes.",
        useful_when: "my classifier is overconfident; a simple baseline for softer targets",
        cost: "none",
        params: Self::PARAMS,
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
        run.needs_classes("label-smoothing")
    }

    fn prepare(&mut self, batch: &mut Batch) -> Result<()> {
        let share = self.rate / batch.targets.ncols() as f32;
        batch.targets.mapv_inplace(|s| (1.0 - self.rate) * s + share);
        Ok(())
    }
}
