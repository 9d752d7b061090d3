//! Focal loss: places that are already right count less, the more so the surer they are.
//!
//! Lin, Goyal, Girshick, He and Dollar, "Focal Loss for Dense Object Detection", ICCV 2017 (arXiv 1708.02002), eq. 5:
//! -alpha_t (1 - p_t)^gamma ln p_t, summed over all logits and divided by the number of foreground places; every class begins with
//! probability 0.01.

use super::batch::Dense;
use super::{DenseLoss, Prior};
use quadrat_core::{Area, Card, Method, Result, Settings};
use quadrat_numeric::elementary::{exp, logistic};

/// Focal loss.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct Focal {
    /// Weight of the foreground; the background's is the rest to 1.
    #[param(default = 0.25, from = 0, to = 1)]
    pub alpha: f32,
    /// How fast places that are right lose weight; 0 is cross-entropy.
    #[param(default = 2.0, from = 0)]
    pub gamma: f32,
    /// Probability that each class begins with.
    #[param(default = 0.01, above = 0, below = 1)]
    pub prior: f64,
}

impl Method for Focal {
    const CARD: Card = Card {
        slug: "focal",
        aliases: &["focal-loss"],
        title: "Focal loss",
        paper: "Lin, Goyal, Girshick, He, Dollar, Focal Loss for Dense Object Detection, ICCV 2017, arXiv 1708.02002",
        area: Area::Robust,
        verbs: &["train"],
        summary: "Cross-entropy of a detector in which places that are already right count less.",
        useful_when: "train an object detector, boxes, easy background, foreground-background imbalance",
        cost: "one pass over the logits",
        params: Self::PARAMS,
    };
}

/// scale p^gamma softplus(z), the loss of a logit that should say no, and its slope scale p^gamma (gamma (1 - p) softplus(z) + p).
#[inline(always)]
fn no(z: f32, scale: f32, gamma: f32, power: impl Fn(f32, f32) -> f32) -> (f32, f32) {
    let (p, softplus) = logistic(z);
    // ln p = z - softplus(z).
    let weight = scale * power(p, z - softplus);
    (weight * softplus, weight * (gamma * (1.0 - p) * softplus + p))
}

impl DenseLoss for Focal {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn start(&self, _: &Prior) -> f64 {
        self.prior
    }

    fn classes(&self, batch: &Dense, _: &mut Vec<f64>, gradient: &mut [f32]) -> Result<f64> {
        let (share, gamma) = (1.0 / batch.foreground().max(1) as f32, self.gamma);
        let (background, object) = ((1.0 - self.alpha) * share, self.alpha * share);
        // One that should say yes is the mirror image of one that should say no.
        let mirrored = |(loss, slope): (f32, f32)| (loss, -slope);
        Ok(if gamma == 2.0 {
            let power = |p: f32, _| p * p;
            batch.sum(gradient, |z| no(z, background, gamma, power), |z| mirrored(no(-z, object, gamma, power)))
        } else {
            let power = |_, ln: f32| exp(gamma * ln);
            batch.sum(gradient, |z| no(z, background, gamma, power), |z| mirrored(no(-z, object, gamma, power)))
        })
    }
}
