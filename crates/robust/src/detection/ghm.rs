//! GHM-C: logits count less, the more others have a gradient of about their length.
//!
//! Li, Liu and Wang, "Gradient Harmonized Single-stage Detector", AAAI 2019 (arXiv 1811.05181), eq. 4 to 7 with unit regions, and the authors'
//! program. The length of a logit's gradient is g = |p - p*|; its range 0 to 1 is cut into bins. A logit's
//! cross-entropy counts N / (bins that are not empty x count of its bin), the sum is divided by N, the number of logits. Counts are
//! a moving average that begins at 0, as in the authors' program: first weights are 1 / (1 - momentum) times as large.

use super::batch::{Block, Dense};
use super::{DenseLoss, Prior};
use quadrat_core::{Area, Card, Method, Result, Settings};
use quadrat_numeric::elementary::{ln_1p, logistic};
use quadrat_numeric::vectorised;

/// Cross-entropy harmonised by the density of gradients.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct Ghm {
    /// Bins for lengths of gradients.
    #[param(default = 30, from = 1, to = 10000)]
    pub bins: usize,
    /// Share of the earlier steps in the counts.
    #[param(default = 0.75, from = 0, below = 1)]
    pub momentum: f64,
    /// Probability that each class begins with.
    #[param(default = 0.01, above = 0, below = 1)]
    pub prior: f64,
}

impl Method for Ghm {
    const CARD: Card = Card {
        slug: "ghm",
        aliases: &["ghm-c"],
        title: "Gradient harmonising",
        paper: "Li, Liu, Wang, Gradient Harmonized Single-stage Detector, AAAI 2019, arXiv 1811.05181",
        area: Area::Robust,
        verbs: &["train"],
        summary: "Cross-entropy of a detector in which a logit counts less, the more others have a gradient of the same length.",
        useful_when: "train an object detector, boxes, easy background and outliers both count too much",
        cost: "two passes over the logits",
        params: Self::PARAMS,
    };
}

impl Ghm {
    #[inline(always)]
    fn bin(&self, length: f32) -> usize {
        ((length * self.bins as f32) as usize).min(self.bins - 1)
    }

    /// How many logits have gradients of each length; probabilities are left where the gradient will be.
    fn counts(&self, batch: &Dense, gradient: &mut [f32]) -> Vec<u64> {
        let classes = batch.class_count();
        let of_block = |mut block: Block| {
            let mut counts = vec![0u64; self.bins];
            block.runs(classes, |logits, p, labels| {
                vectorised(
                    #[inline(always)]
                    || logits.iter().zip(p.iter_mut()).for_each(|(z, p)| *p = logistic(*z).0),
                );
                p.iter().for_each(|p| counts[self.bin(*p)] += 1);
                for at in objects(labels, classes) {
                    counts[self.bin(p[at])] -= 1;
                    counts[self.bin(1.0 - p[at])] += 1;
                }
            });
            counts
        };
        let mut counts = vec![0; self.bins];
        for of_block in batch.each_block(gradient, of_block) {
            counts.iter_mut().zip(of_block).for_each(|(sum, more)| *sum += more);
        }
        counts
    }
}

impl DenseLoss for Ghm {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn start(&self, _: &Prior) -> f64 {
        self.prior
    }

    fn classes(&self, batch: &Dense, memory: &mut Vec<f64>, gradient: &mut [f32]) -> Result<f64> {
        let counts = self.counts(batch, gradient);
        memory.resize(self.bins, 0.0);
        for (kept, count) in memory.iter_mut().zip(&counts).filter(|(_, count)| **count > 0) {
            *kept = self.momentum * *kept + (1.0 - self.momentum) * *count as f64;
        }
        let filled = counts.iter().filter(|count| **count > 0).count() as f64;
        // N cancels.
        let weights: Vec<f32> =
            memory.iter().map(|kept| if *kept > 0.0 { (1.0 / (kept * filled)) as f32 } else { 0.0 }).collect();
        let classes = batch.class_count();
        let of_block = |mut block: Block| {
            let mut total = 0.0;
            block.runs(classes, |logits, slopes, labels| {
                let no = |z: f32, p: f32| {
                    let weight = weights[self.bin(p)];
                    // softplus(z), from p without another exponential.
                    let (small, large) = (p.min(1.0 - p), p.max(1.0 - p));
                    (weight * (z.max(0.0) + ln_1p(small / large)), weight * p)
                };
                let kept: Vec<(usize, f32)> = objects(labels, classes).map(|at| (at, slopes[at])).collect();
                total += vectorised(
                    #[inline(always)]
                    || {
                        let mut total = 0.0;
                        for (z, p) in logits.iter().zip(slopes.iter_mut()) {
                            let (loss, slope) = no(*z, *p);
                            total += f64::from(loss);
                            *p = slope;
                        }
                        total
                    },
                );
                for (at, p) in kept {
                    let (loss, slope) = no(-logits[at], 1.0 - p);
                    total += f64::from(loss) - f64::from(no(logits[at], p).0);
                    slopes[at] = -slope;
                }
            });
            total
        };
        Ok(batch.each_block(gradient, of_block).into_iter().sum())
    }
}

/// Where, among places x classes, the logits of objects stand.
fn objects(labels: &[i32], classes: usize) -> impl Iterator<Item = usize> + '_ {
    let those = labels.iter().enumerate().filter(|(_, label)| **label > 0);
    those.map(move |(place, label)| place * classes + *label as usize - 1)
}
