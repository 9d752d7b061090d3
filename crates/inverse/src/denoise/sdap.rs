//! Random sub-samples that tell each other.
//!
//! Pan, Liu, Liao, Cao, Ren: Random Sub-Samples Generation for Self-Supervised Real Image Denoising (ICCV 2023, arXiv 2307.16825).
//! A patch is taken apart into p² sub-images, each with one pixel of every p x p cell, drawn anew at every step
//! ([`RandomSubSamples`]). A blind-spot network is shown one and asked for the next, y_(j+1); in a circle, each is asked for once:
//!
//! Σⱼ mean |BSN(yⱼ) − y_((j+1) mod p²)|
//!
//! Noise of the two is nearly independent, so that a mean over draws is the clean value; and what differs between their scenes is
//! the perturbation that the paper is about. What is learnt at stride 5 is applied at stride 2, where texture survives.
//!
//! Ours beside the paper: pictures of odd sides (it wants even ones), a sum over a few drawn j ([`Sdap::terms`], with the same mean
//! and a step that costs less), a rate that falls in the end of short trainings, and other targets ([`Target`]) to compare with.

use super::ImageRestorer;
use super::course::{Course, Learning, Size};
use super::model::{Denoiser, Way};
use super::resample::{RandomSubSamples, Resampler2d};
use ndarray::{Array3, ArrayView3};
use quadrat_core::{Area, Card, Choice, Error, Method, Progress, Result, Rng, Seed, Settings};

/// Denoising by random sub-samples.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct Sdap {
    /// Side of the cells of which each sub-image takes one pixel, in training.
    #[param(default = 5, from = 2, unit = "pixels")]
    pub stride: usize,
    /// The same when a picture is cleaned: pixels that are so far apart are shown to the network together.
    #[param(default = 2, from = 1)]
    pub test_stride: usize,
    /// Whether the network looks at its whole answer once more: it takes away the pattern of the parts.
    #[param(default = true)]
    pub enhance: bool,
    /// Terms of the loss that a step takes, drawn of stride²; none: 1, but all where the size is official. Few terms of large
    /// patches teach more than all of small ones, whose sub-images are smaller than what the network looks at.
    #[param(none = "auto", from = 1)]
    pub terms: Option<usize>,
    /// What a sub-image is to tell.
    #[param(default = Target::Next)]
    pub target: Target,
    #[param(flatten)]
    /// Network and training.
    pub course: Course,
}

/// What a sub-image is to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum Target {
    /// The next one in the circle.
    Next,
    /// Another one, at a distance that is drawn for the patch.
    Any,
    /// Itself.
    Same,
}

impl Method for Sdap {
    const CARD: Card = Card {
        slug: "sdap",
        aliases: &["random-sub-samples"],
        title: "SDAP: self-supervised denoising by random sub-samples",
        paper: "Pan, Liu, Liao, Cao, Ren: Random Sub-Samples Generation for Self-Supervised Real Image Denoising. ICCV 2023, arXiv \
                2307.16825",
        area: Area::Inverse,
        verbs: &["denoise"],
        summary: "Cleans photographs by a network that learns from noisy ones alone, the very picture included: random samples of a patch \
                  have to tell the next ones, so that noise which neighbouring pixels share is not learnt.",
        useful_when: "noisy photos without clean versions, camera noise, grain, high ISO, microscope or scanner images, denoise one picture \
                      by itself, no ground truth",
        cost: "training: 3 x steps x batch x patch² x terms / stride² x the network's numbers; a picture: twice its pixels x the network's \
               numbers (126,000 small, 3.7 million official)",
        params: Self::PARAMS,
    };
}

impl Sdap {
    /// Learns from noisy pictures (channels x height x width, from 0 to 1; any sizes, the same channels).
    ///
    /// # Errors
    /// No picture; pixels that are no numbers from 0 to 1; different channels; a picture smaller than a patch; a patch that the
    /// stride does not divide; an odd base; a loss that is not finite; cancelled.
    pub fn fit(&self, images: &[Array3<f32>], seed: Seed, progress: &dyn Progress) -> Result<Denoiser> {
        self.check()?;
        let pairs = |patch: ArrayView3<f32>, rng: &mut Rng| self.pairs(patch, rng);
        let schedule = self.course.schedule();
        let learning = Learning { stride: self.stride, pairs: &pairs, counted: Vec::new(), schedule };
        let (net, parameters) = self.course.learn(images, &learning, seed, progress)?;
        Denoiser::new(net, parameters, Way::Parts { stride: self.test_stride, enhance: self.enhance })
    }

    /// Learns from a picture and cleans it: what the paper calls S.
    ///
    /// # Errors
    /// As [`Sdap::fit`].
    pub fn fit_restore(&self, image: &Array3<f32>, seed: Seed, progress: &dyn Progress) -> Result<Array3<f32>> {
        self.fit(std::slice::from_ref(image), seed, progress)?.restore(image.view(), progress)
    }

    /// Pairs of sub-images of a patch: all of the circle, or a few of them drawn without repetition.
    pub(super) fn pairs(&self, patch: ArrayView3<f32>, rng: &mut Rng) -> Result<Vec<[Array3<f32>; 2]>> {
        let places = RandomSubSamples { stride: self.stride }.places([patch.dim().1, patch.dim().2], rng)?;
        let all = places.len();
        let ahead = match self.target {
            Target::Next => 1,
            Target::Any => 1 + rng.below(all - 1),
            Target::Same => 0,
        };
        let chosen = match self.terms() {
            terms if terms < all => rng.sample(all, terms),
            _ => (0..all).collect(),
        };
        Ok(chosen.into_iter().map(|j| [j, (j + ahead) % all].map(|j| places.take(patch, j))).collect())
    }

    fn terms(&self) -> usize {
        let usual = if self.course.size == Size::Official { usize::MAX } else { 1 };
        self.terms.unwrap_or(usual)
    }

    fn check(&self) -> Result<()> {
        if self.stride < 2 {
            return Err(Error::input("stride", self.stride, "at least 2"));
        }
        if self.test_stride == 0 {
            return Err(Error::input("test stride", 0, "at least 1"));
        }
        if self.terms == Some(0) {
            return Err(Error::input("terms", 0, "at least 1"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
