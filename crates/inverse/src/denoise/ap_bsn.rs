//! Every fifth pixel, told by the others of its kind.
//!
//! Lee, Son, Lee: AP-BSN: Self-Supervised Denoising for Real-World Images via Asymmetric PD and Blind-Spot Network (CVPR 2022,
//! arXiv 2203.11799). A patch is taken apart into pictures of every fifth pixel, which lie beside each other with a gap of zeros
//! (the mosaic), and a blind-spot network has to tell the mosaic itself. In the end the stride is 2, and what that leaves is
//! taken away by random-replacing refinement, R³ ([`Refine`]).

use super::course::{Course, Learning};
use super::model::{Denoiser, Way};
use super::pictures::{even, padded};
use ndarray::{Array3, ArrayView3, Zip, s};
use quadrat_core::{Area, Card, Error, Method, Progress, Result, Rng, Seed, Settings};
use quadrat_nn::Schedule;
use serde::{Deserialize, Serialize};

/// Denoising by regular sub-images and a blind-spot network.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct ApBsn {
    /// Distance of the pixels that lie beside each other in training.
    #[param(default = 5, from = 1, unit = "pixels")]
    pub stride: usize,
    /// The same, in the end.
    #[param(default = 2, from = 1, unit = "pixels")]
    pub test_stride: usize,
    #[param(flatten)]
    /// The refinement.
    pub refine: Refine,
    #[param(flatten)]
    /// Network and training.
    pub course: Course,
}

/// Random-replacing refinement: in the first answer some values are noisy again, the network tells them by the others, which are
/// clean by now, and the mean of several such answers counts.
#[derive(Debug, Clone, Copy, PartialEq, Settings, Serialize, Deserialize)]
pub struct Refine {
    /// How often the answer is looked at again; 0: never.
    #[param(default = 8)]
    pub times: usize,
    /// Share of values that are noisy again.
    #[param(default = 0.16, from = 0, to = 1)]
    pub replaced: f64,
}

impl Method for ApBsn {
    const CARD: Card = Card {
        slug: "ap-bsn",
        aliases: &[],
        title: "AP-BSN: asymmetric pixel-shuffle and a blind-spot network",
        paper: "Lee, Son, Lee: AP-BSN: Self-Supervised Denoising for Real-World Images via Asymmetric PD and Blind-Spot Network. CVPR \
                2022, arXiv 2203.11799",
        area: Area::Inverse,
        verbs: &["denoise"],
        summary: "Cleans photographs by a network that learns from noisy ones alone: every fifth pixel is told by the others of its kind, \
                  and never by itself. SDAP comes from it.",
        useful_when: "noisy photos without clean versions, camera noise, no ground truth",
        cost: "training: 3 x steps x batch x patch² x the network's numbers; a picture: 9 times its pixels x the network's numbers",
        params: Self::PARAMS,
    };
}

/// Zeros around each picture of a mosaic.
const GAP: usize = 2;

impl ApBsn {
    /// Learns from noisy pictures (channels x height x width, from 0 to 1; any sizes, the same channels).
    ///
    /// # Errors
    /// As [`Sdap::fit`](super::Sdap::fit).
    pub fn fit(&self, images: &[Array3<f32>], seed: Seed, progress: &dyn Progress) -> Result<Denoiser> {
        if self.stride == 0 || self.test_stride == 0 {
            return Err(Error::input("stride", 0, "at least 1"));
        }
        if !(0.0..=1.0).contains(&self.refine.replaced) {
            return Err(Error::input("replaced", self.refine.replaced, "a share from 0 to 1"));
        }
        let side = self.course.sizes().patch.next_multiple_of(self.stride);
        let channels = images.first().map_or(0, |image| image.dim().0);
        let pixels = mosaic(Array3::ones((channels, side, side)).view(), self.stride);
        let pairs = |patch: ArrayView3<f32>, _: &mut Rng| {
            let seen = mosaic(patch, self.stride);
            Ok(vec![[seen.clone(), seen]])
        };
        let learning = Learning {
            stride: self.stride,
            pairs: &pairs,
            counted: pixels.iter().map(|v| *v == 1.0).collect(),
            // A tenth of the rate after each 8 of 20 epochs.
            schedule: Schedule::Steps { at: vec![0.4, 0.8], factor: 0.1 },
        };
        let (net, parameters) = self.course.learn(images, &learning, seed, progress)?;
        let way = Way::Mosaic { stride: self.test_stride, refine: self.refine, seed: seed.stream("refine").0 };
        Denoiser::new(net, parameters, way)
    }
}

/// Pictures of every `stride`-th pixel beside each other, zeros around each. Sides must be multiples of the stride; at stride 1
/// there is one picture and no gap.
fn mosaic(image: ArrayView3<f32>, stride: usize) -> Array3<f32> {
    let (c, h, w) = image.dim();
    if stride == 1 {
        return image.to_owned();
    }
    let side = |n: usize| n + 2 * GAP * stride;
    let mut whole = Array3::zeros((c, side(h), side(w)));
    for (y, x) in (0..stride * stride).map(|i| (i / stride, i % stride)) {
        let part = image.slice(s![.., y..;stride, x..;stride]);
        place(&mut whole, [y, x], part.dim()).assign(&part);
    }
    whole
}

/// The picture that a mosaic is of.
fn unmosaic(whole: &mut Array3<f32>, stride: usize) -> Array3<f32> {
    let (c, h, w) = whole.dim();
    if stride == 1 {
        return whole.clone();
    }
    let side = |n: usize| n - 2 * GAP * stride;
    let mut image = Array3::zeros((c, side(h), side(w)));
    for (y, x) in (0..stride * stride).map(|i| (i / stride, i % stride)) {
        let mut part = image.slice_mut(s![.., y..;stride, x..;stride]);
        let dim = part.dim();
        part.assign(&place(whole, [y, x], dim));
    }
    image
}

/// Where a part lies in a mosaic.
fn place(
    whole: &mut Array3<f32>,
    [y, x]: [usize; 2],
    (_, h, w): (usize, usize, usize),
) -> ndarray::ArrayViewMut3<'_, f32> {
    let (top, left) = (y * (h + 2 * GAP) + GAP, x * (w + 2 * GAP) + GAP);
    whole.slice_mut(s![.., top..top + h, left..left + w])
}

/// What a network answers for the mosaic of a picture.
pub(super) fn in_mosaic(
    denoiser: &Denoiser,
    image: ArrayView3<f32>,
    stride: usize,
    progress: &dyn Progress,
) -> Result<Array3<f32>> {
    let (_, h, w) = image.dim();
    let mut answer = denoiser.answer(mosaic(even(image, stride).view(), stride), progress)?;
    Ok(unmosaic(&mut answer, stride).slice(s![.., ..h, ..w]).to_owned())
}

/// R³: the mean of answers for the first one, some of whose values are those of the noisy picture. Which, at time t, is drawn from
/// `seed.rng(t)`.
pub(super) fn averaged(
    denoiser: &Denoiser,
    noisy: ArrayView3<f32>,
    first: Array3<f32>,
    refine: Refine,
    seed: Seed,
    progress: &dyn Progress,
) -> Result<Array3<f32>> {
    if refine.times == 0 {
        return Ok(first);
    }
    let (_, h, w) = noisy.dim();
    let mut sum = Array3::zeros(noisy.raw_dim());
    for time in 0..refine.times {
        let (mut rng, mut some) = (seed.rng(time as u64), first.clone());
        Zip::from(&mut some).and(noisy).for_each(|v, noisy| {
            if rng.uniform() < refine.replaced {
                *v = *noisy;
            }
        });
        let answer = denoiser.answer(padded(some.view(), [GAP; 4]), progress)?;
        sum += &answer.slice(s![.., GAP..GAP + h, GAP..GAP + w]);
    }
    Ok(sum / refine.times as f32)
}

#[cfg(test)]
mod tests;
