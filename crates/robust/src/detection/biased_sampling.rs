//! Biased sampling: some places of each image, drawn so that foreground is up to half of them.
//!
//! Ren, He, Girshick and Sun, "Faster R-CNN", NeurIPS 2015 (arXiv 1506.01497), section 3.1.3: 256 anchors an image, at most half of
//! them foreground, made up with background; the mean over all that were drawn. There boxes are learnt from the drawn
//! foreground alone; here from all of it, as with the other losses.

use super::batch::{Block, Dense, corrected, no, sweep, yes};
use super::{DenseLoss, Prior};
use quadrat_core::{Area, Card, Method, Result, Settings};

/// Sampling of places, with foreground at most half.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct BiasedSampling {
    /// Places drawn from each image.
    #[param(default = 256, from = 2)]
    pub places: usize,
    /// Probability that each class begins with.
    #[param(default = 0.5, above = 0, below = 1)]
    pub prior: f64,
}

impl Method for BiasedSampling {
    const CARD: Card = Card {
        slug: "biased-sampling",
        aliases: &["random-sampling-of-anchors"],
        title: "Biased sampling of anchors",
        paper: "Ren, He, Girshick, Sun, Faster R-CNN, NeurIPS 2015, arXiv 1506.01497",
        area: Area::Robust,
        verbs: &["train"],
        summary: "Cross-entropy of a detector over 256 places of each image, up to half of them foreground.",
        useful_when: "train an object detector, boxes, fixed share of foreground and background",
        cost: "one pass over the drawn places' logits",
        params: Self::PARAMS,
    };
}

impl DenseLoss for BiasedSampling {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn start(&self, _: &Prior) -> f64 {
        self.prior
    }

    fn classes(&self, batch: &Dense, _: &mut Vec<f64>, gradient: &mut [f32]) -> Result<f64> {
        let mut chosen = Vec::new();
        for image in 0..batch.images() {
            let labels = batch.labels(image);
            let mut rng = batch.rng(image);
            let mut drawn = vec![false; labels.len()];
            let mut left = self.places;
            for (yes, most) in
                [((|label| label > 0) as fn(i32) -> bool, self.places / 2), (|label| label == 0, usize::MAX)]
            {
                let those: Vec<usize> = (0..labels.len()).filter(|at| yes(labels[*at])).collect();
                let count = left.min(most).min(those.len());
                rng.sample(those.len(), count).into_iter().for_each(|i| drawn[those[i]] = true);
                left -= count;
            }
            chosen.extend(drawn);
        }
        let classes = batch.class_count();
        let scale = 1.0 / chosen.iter().filter(|chosen| **chosen).count().max(1) as f32;
        let of_block = |block: Block| {
            let places = block.logits.chunks_exact(classes).zip(block.gradient.chunks_exact_mut(classes));
            let mut total = 0.0;
            for (place, (z, d)) in places.enumerate() {
                if !chosen[block.first + place] {
                    d.fill(0.0);
                    continue;
                }
                total += sweep(z, d, |z| no(z, scale));
                let label = &block.labels[place..=place];
                total += corrected(classes, z, d, label, |z| no(z, scale), |z| yes(z, scale));
            }
            total
        };
        Ok(batch.each_block(gradient, of_block).into_iter().sum())
    }
}
