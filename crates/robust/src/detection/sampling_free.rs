//! Sampling-Free: plain cross-entropy over every place, made to work by two numbers from the data.
//!
//! Chen, Liu, Xu, Wu, Cheng and Chen, "Is Heuristic Sampling Necessary in Training Deep Object Detectors?", IEEE Transactions on
//! Image Processing 2021 (arXiv 1909.04868), and the authors' program. Foreground is so rare that a classifier with all logits at 0 first gets
//! a huge gradient from the background, in which the foreground drowns. Nothing is sampled or weighted against that:
//!
//! 1. *Optimal bias.* f is the share of the foreground that the matcher finds in the training images, pi = f / C. The last
//!    layer begins with the bias -ln((1 - pi) / pi), at which the first loss, -(f ln pi + (C - f) ln(1 - pi)) a place, is least.
//! 2. *Guided loss.* The classes' loss counts w = L_reg / L_cls times, w held constant: its value becomes s L_reg, its gradient
//!    keeps its direction. Without foreground in a batch w is 0.
//! 3. *Adaptive threshold.* Scores begin at pi, so a detection needs a score of C pi = f, not of 0.05.
//!
//! The normaliser of L_cls (foreground + images) cancels in what is trained. That the final version of the paper keeps the third
//! part is not verified; `adaptive-threshold` turns it off.

use super::batch::{Dense, no, yes};
use super::{DenseLoss, Prior};
use quadrat_core::{Area, Card, Method, Result, Settings};

/// Plain cross-entropy with the bias and the weight that the data give it.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct SamplingFree {
    /// Value of the classes' loss over the boxes', s.
    #[param(default = 1.0, above = 0)]
    pub scale: f64,
    /// Probability that each class begins with; auto is its measured share.
    #[param(none = "auto", above = 0, below = 1)]
    pub prior: Option<f64>,
    /// Whether detections need a score of the foreground's share only, not of 0.05.
    #[param(default = true)]
    pub adaptive_threshold: bool,
}

impl Method for SamplingFree {
    const CARD: Card = Card {
        slug: "sampling-free",
        aliases: &["guided-loss"],
        title: "Sampling-free training of detectors",
        paper: "Chen, Liu, Xu, Wu, Cheng, Chen, Is Heuristic Sampling Necessary in Training Deep Object Detectors?, IEEE TIP 2021, arXiv 1909.04868",
        area: Area::Robust,
        verbs: &["train"],
        summary: "Cross-entropy over all places of an image, with the last bias from the foreground's share and a weight from the boxes' loss.",
        useful_when: "train an object detector, boxes, almost every location is background, no focal loss or hard example mining to tune",
        cost: "one pass over the logits, and one that scales their gradient",
        params: Self::PARAMS,
    };
}

/// A classes' loss that there is nothing left to guide in.
const NOTHING: f64 = 1e-12;

impl DenseLoss for SamplingFree {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn start(&self, prior: &Prior) -> f64 {
        self.prior.unwrap_or_else(|| prior.each())
    }

    fn threshold(&self, prior: &Prior) -> f64 {
        if self.adaptive_threshold { prior.foreground } else { 0.05 }
    }

    fn classes(&self, batch: &Dense, _: &mut Vec<f64>, gradient: &mut [f32]) -> Result<f64> {
        let scale = 1.0 / (batch.foreground() + batch.images()) as f32;
        Ok(batch.sum(gradient, |z| no(z, scale), |z| yes(z, scale)))
    }

    fn weight(&self, classes: f64, boxes: f64) -> f64 {
        if classes < NOTHING { 0.0 } else { self.scale * boxes / classes }
    }
}
