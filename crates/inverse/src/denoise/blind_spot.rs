//! A pixel told by those around it.
//!
//! The idea of Noise2Void (Krull, Buchholz, Jug: CVPR 2019, arXiv 1811.10980) with a network that is blind by its make (Laine et
//! al. 2019, arXiv 1901.10277): right where pixels do not share noise, and of no use for photographs, whose pixels do.

use super::course::{Course, Learning};
use super::model::{Denoiser, Way};
use ndarray::{Array3, ArrayView3};
use quadrat_core::{Area, Card, Method, Progress, Result, Rng, Seed, Settings};

/// Denoising by a blind-spot network on pictures as they are.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct BlindSpot {
    #[param(flatten)]
    /// Network and training.
    pub course: Course,
}

impl Method for BlindSpot {
    const CARD: Card = Card {
        slug: "blind-spot",
        aliases: &["noise2void"],
        title: "A blind-spot network",
        paper: "Krull, Buchholz, Jug: Noise2Void: Learning Denoising from Single Noisy Images. CVPR 2019, arXiv 1811.10980; the network: \
                Lee, Son, Lee, CVPR 2022, arXiv 2203.11799",
        area: Area::Inverse,
        verbs: &["denoise"],
        summary: "Cleans pictures by a network that learns from noisy ones alone to tell each pixel by those around it: for noise that \
                  neighbouring pixels do not share.",
        useful_when: "white noise, independent pixel noise, raw sensor data, microscopy, simulated images, no ground truth",
        cost: "training: 3 x steps x batch x patch² x the network's numbers; a picture: its pixels x the network's numbers",
        params: Self::PARAMS,
    };
}

impl BlindSpot {
    /// Learns from noisy pictures (channels x height x width, from 0 to 1; any sizes, the same channels).
    ///
    /// # Errors
    /// As [`Sdap::fit`](super::Sdap::fit).
    pub fn fit(&self, images: &[Array3<f32>], seed: Seed, progress: &dyn Progress) -> Result<Denoiser> {
        let pairs = |patch: ArrayView3<f32>, _: &mut Rng| Ok(vec![[patch.to_owned(), patch.to_owned()]]);
        let learning = Learning { stride: 1, pairs: &pairs, counted: Vec::new(), schedule: self.course.schedule() };
        let (net, parameters) = self.course.learn(images, &learning, seed, progress)?;
        Denoiser::new(net, parameters, Way::Whole)
    }
}
