//! Plain cross-entropy over every place: what the other losses are measured by.
//!
//! With `prior` 0.5 every logit begins at 0, and the background's gradient is C times as large for each of its places as an object's; 0.01 is
//! RetinaNet's beginning (Lin et al. 2017), auto that of `sampling-free`. The sum is divided by foreground + images.

use super::batch::{Dense, no, yes};
use super::{DenseLoss, Prior};
use quadrat_core::{Area, Card, Method, Result, Settings};

/// Cross-entropy over all places, unweighted.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct DenseCrossEntropy {
    /// Probability that each class begins with; auto is its measured share.
    #[param(none = "auto", above = 0, below = 1)]
    pub prior: Option<f64>,
}

impl Method for DenseCrossEntropy {
    const CARD: Card = Card {
        slug: "dense-cross-entropy",
        aliases: &["dense-ce"],
        title: "Plain cross-entropy of a detector",
        paper: "textbook; beginnings of 0.01 as in Lin et al., ICCV 2017, arXiv 1708.02002",
        area: Area::Robust,
        verbs: &["train"],
        summary: "Cross-entropy over all places of an image, with nothing against the background but where it begins.",
        useful_when: "a baseline for detectors, plain loss over all anchors",
        cost: "one pass over the logits",
        params: Self::PARAMS,
    };
}

impl DenseLoss for DenseCrossEntropy {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn start(&self, prior: &Prior) -> f64 {
        self.prior.unwrap_or_else(|| prior.each())
    }

    fn classes(&self, batch: &Dense, _: &mut Vec<f64>, gradient: &mut [f32]) -> Result<f64> {
        let scale = 1.0 / (batch.foreground() + batch.images()) as f32;
        Ok(batch.sum(gradient, |z| no(z, scale), |z| yes(z, scale)))
    }
}
