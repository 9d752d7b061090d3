//! Clean photographs, learnt from noisy ones alone.
//!
//! The noise of a photograph is alike in neighbouring pixels, for the camera has made colours of a mosaic. A network that tells a
//! pixel by those around it learns to tell its noise as well. What is learnt here sees pixels some steps apart: [`Sdap`] takes
//! random samples of a patch and has one tell the next, [`ApBsn`] takes every fifth pixel and has a network that never sees the
//! pixel it answers for ([`Dbsn`]) tell it by the others. [`BlindSpot`] is that network on the patch as it is, right for noise that
//! pixels do not share. [`NonLocalMeans`] learns nothing.
//!
//! A picture is an array of channels x height x width from 0 to 1. What learns leaves a [`Denoiser`]; that and [`NonLocalMeans`]
//! are [`ImageRestorer`]s. Nothing needs a clean picture, and none is chosen by one.
//!
//! ```
//! use ndarray::Array3;
//! use quadrat_core::{Seed, Silent};
//! use quadrat_inverse::denoise::{Course, Sdap, Size};
//! let mut rng = Seed(1).rng(0);
//! let noisy = Array3::from_shape_fn((1, 80, 81), |(_, y, _)| (y as f32 / 100.0 + 0.1 * rng.uniform() as f32).min(1.0));
//! // A thousand steps and more are usual.
//! let sdap = Sdap { course: Course { steps: Some(2), ..Course::of(Size::Tiny) }, ..Sdap::default() };
//! let clean = sdap.fit_restore(&noisy, Seed(1), &Silent)?;
//! assert_eq!(clean.dim(), noisy.dim());
//! # Ok::<(), quadrat_core::Error>(())
//! ```

mod ap_bsn;
mod blind_spot;
#[cfg(test)]
mod checklist;
mod course;
mod dbsn;
mod model;
mod non_local_means;
mod pictures;
mod resample;
mod sdap;
mod tiles;

pub use ap_bsn::{ApBsn, Refine};
pub use blind_spot::BlindSpot;
pub use course::{Course, Learning, Pairs, Size, Sizes};
pub use dbsn::{Dbsn, Framed};
pub use model::{Denoiser, Way};
pub use non_local_means::{NonLocalMeans, noise_deviation};
pub use pictures::{check, from_bytes};
pub use resample::{Neighbor2Neighbor, PixelShuffle, Places, RandomSubSamples, Resampler2d};
pub use sdap::{Sdap, Target};

use ndarray::{Array3, ArrayView3};
use quadrat_core::{Progress, Result};

/// What makes a better picture of a picture.
pub trait ImageRestorer: Sync {
    /// The picture restored: channels x height x width, from 0 to 1, in the same size.
    ///
    /// # Errors
    /// Pixels that are no numbers from 0 to 1, channels that it does not know; cancelled.
    fn restore(&self, image: ArrayView3<f32>, progress: &dyn Progress) -> Result<Array3<f32>>;
}
