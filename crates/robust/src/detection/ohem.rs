//! OHEM: all foreground, and of the background only what is hardest.
//!
//! Shrivastava, Gupta and Girshick, "Training Region-based Object Detectors with Online Hard Example Mining", CVPR 2016
//! (arXiv 1604.03540), in the form of single-stage detectors (Liu et al., SSD, ECCV 2016): in each image the foreground and the three
//! times as many places of the background with the largest loss; the sum is divided by the number of foreground places.
//! An image without foreground teaches nothing.

use super::batch::{Block, Dense, corrected, no, sweep, yes};
use super::{DenseLoss, Prior};
use quadrat_core::{Area, Card, Method, Result, Settings};

/// Hard example mining.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct Ohem {
    /// Places of the background for each of the foreground.
    #[param(default = 3, from = 1)]
    pub ratio: usize,
    /// Probability that each class begins with.
    #[param(default = 0.01, above = 0, below = 1)]
    pub prior: f64,
}

impl Method for Ohem {
    const CARD: Card = Card {
        slug: "ohem",
        aliases: &["hard-example-mining"],
        title: "Online hard example mining",
        paper: "Shrivastava, Gupta, Girshick, CVPR 2016, arXiv 1604.03540; ratio of Liu et al., SSD, ECCV 2016",
        area: Area::Robust,
        verbs: &["train"],
        summary: "Cross-entropy of a detector over the foreground and the hardest places of the background.",
        useful_when: "train an object detector, boxes, most background is easy",
        cost: "one pass over the logits, and a partial sort of the places",
        params: Self::PARAMS,
    };
}

impl DenseLoss for Ohem {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn start(&self, _: &Prior) -> f64 {
        self.prior
    }

    fn classes(&self, batch: &Dense, _: &mut Vec<f64>, gradient: &mut [f32]) -> Result<f64> {
        let classes = batch.class_count();
        let scale = 1.0 / batch.foreground().max(1) as f32;
        // The loss of every place; ignored ones cost nothing.
        let of_block = |block: Block| {
            let Block { labels, logits, gradient, .. } = block;
            let places = logits.chunks_exact(classes).zip(gradient.chunks_exact_mut(classes)).zip(labels);
            let of_place = |((z, d), label): ((&[f32], &mut [f32]), &i32)| {
                if *label < 0 {
                    d.fill(0.0);
                    return 0.0;
                }
                let background = sweep(z, d, |z| no(z, scale));
                background + corrected(classes, z, d, &[*label], |z| no(z, scale), |z| yes(z, scale))
            };
            places.map(of_place).collect::<Vec<f64>>()
        };
        let losses = batch.each_block(gradient, of_block).concat();
        let mut chosen = vec![false; losses.len()];
        let places = losses.len() / batch.images();
        for image in 0..batch.images() {
            let (first, labels) = (image * places, batch.labels(image));
            let of_label = |yes: fn(i32) -> bool| (0..places).filter(|at| yes(labels[*at])).collect::<Vec<_>>();
            let foreground = of_label(|label| label > 0);
            let mut background = of_label(|label| label == 0);
            let most = (self.ratio * foreground.len()).min(background.len());
            if most > 0 && most < background.len() {
                let harder = |a: &usize, b: &usize| losses[first + b].total_cmp(&losses[first + a]).then(a.cmp(b));
                background.select_nth_unstable_by(most - 1, harder);
            }
            foreground.iter().chain(&background[..most]).for_each(|at| chosen[first + at] = true);
        }
        batch.each_block(gradient, |block| {
            for (place, d) in block.gradient.chunks_exact_mut(classes).enumerate() {
                if !chosen[block.first + place] {
                    d.fill(0.0);
                }
            }
        });
        Ok(losses.iter().zip(chosen).filter(|(_, chosen)| *chosen).map(|(loss, _)| loss).sum())
    }
}
