//! ReconResNet: images from undersampled k-space by a residual network, and the measured samples put back.
//!
//! Chatterjee, Breitkopf, Sarasaen, Yassin, Rose, Nürnberger, Speck, "ReconResNet: Regularised residual learning for MR image
//! reconstruction of undersampled Cartesian and radial data" (Computers in Biology and Medicine 143, 2022; arXiv 2103.09203). What an
//! [`Acquisition`] gives without a model (zero-filled or gridded, as a magnitude) is the input of [`Regularised`], a network of residual
//! blocks with spatial dropout; it answers an image from 0 to 1. [`Consistency`] then says what becomes of the samples that were
//! measured.
//!
//! Images are real and not negative, one coil. Instance normalisation takes an image's brightness away, so that the network can only
//! answer a usual one; the answer is therefore scaled to fit the measured samples by least squares, and k-space may come in any unit.
//!
//! ```
//! use ndarray::Array2;
//! use quadrat_core::{Seed, Silent};
//! use quadrat_inverse::masks::varden2d;
//! use quadrat_inverse::reconresnet::{Acquisition, Cartesian, ReconResNet};
//! let disc = |size: f32| {
//!     Array2::from_shape_fn((16, 16), |(i, j)| if (i as f32 - 7.5).hypot(j as f32 - 7.5) < size { 0.8 } else { 0.0 })
//! };
//! let half = Cartesian::new(&varden2d([16, 16], 0.5, 0.1, Seed(1))?)?;
//! let method = ReconResNet { features: 4, down: 1, blocks: 1, epochs: 2, ..ReconResNet::default() };
//! let (model, curve) = method.fit(&[disc(4.0), disc(6.0)], &[&half], None, Seed(2), &Silent)?;
//! let image = model.reconstruct(&half, &half.measure(disc(5.0).view())?)?;
//! assert_eq!((image.dim(), curve.len()), ((16, 16), 2));
//! # Ok::<(), quadrat_core::Error>(())
//! ```

mod acquisition;
mod consistency;
mod model;
mod network;
mod training;
mod unet;
mod vary;

pub use acquisition::{Acquisition, Cartesian, Radial};
pub use consistency::Consistency;
pub use model::{Architecture, Model};
pub use network::Regularised;
pub use training::Course;
pub use unet::PlainUNet;
pub use vary::vary;

use ndarray::Array2;
use quadrat_core::{Area, Card, Method, Progress, Result, Seed, Settings};
use quadrat_nn::{Epoch, Schedule};
use std::path::Path;

/// The network, its training, and what follows it; the defaults are the authors', but for the number of epochs, which the paper does
/// not say, and the variation of slices.
#[derive(Debug, Clone, PartialEq, Settings)]
pub struct ReconResNet {
    /// Channels at full size, twice as many at each size below.
    #[param(default = 64, from = 1)]
    pub features: usize,
    /// How often the size is halved.
    #[param(default = 2, from = 1, to = 6)]
    pub down: usize,
    /// Residual blocks at the smallest size.
    #[param(default = 14, from = 1)]
    pub blocks: usize,
    /// Share of channels that a residual block drops in training.
    #[param(default = 0.2, from = 0, below = 1)]
    pub dropout: f32,
    /// How often all slices are visited.
    #[param(default = 100, from = 1)]
    pub epochs: usize,
    /// Slices in a step.
    #[param(default = 1, from = 1)]
    pub batch: usize,
    /// The first learning rate of Adam, a tenth of it after every 50 epochs.
    #[param(default = 1e-4, above = 0)]
    pub rate: f64,
    /// Whether slices are bent, turned, mirrored and changed in contrast anew in every epoch.
    #[param(default = true)]
    pub vary: bool,
    /// What becomes of the measured samples.
    #[param(flatten)]
    pub consistency: Consistency,
}

impl Method for ReconResNet {
    const CARD: Card = Card {
        slug: "reconresnet",
        aliases: &["recon-resnet"],
        title: "ReconResNet: regularised residual learning",
        paper: "Chatterjee, Breitkopf, Sarasaen, Yassin, Rose, Nürnberger, Speck: ReconResNet: Regularised Residual Learning for MR Image \
                Reconstruction of Undersampled Cartesian and Radial Data. Computers in Biology and Medicine 143, 2022, arXiv 2103.09203",
        area: Area::Inverse,
        verbs: &["reconstruct"],
        summary: "Magnetic resonance images from few lines or spokes of k-space: a residual network with spatial dropout takes the artefacts \
                  off the zero-filled image, and the measured samples are put back.",
        useful_when: "undersampled k-space, accelerated MRI, aliasing or streaking artefacts, reconstruct without an iterative solver, \
                      Cartesian or radial sampling, several sampling patterns with one network",
        cost: "training about three forward passes a slice and epoch; a forward pass of the default network takes 68 billion multiply-adds \
               for 256 x 256 pixels; memory 4 bytes a parameter (17 million), five times in training, and the activations of a batch",
        params: Self::PARAMS,
    };
}

impl ReconResNet {
    /// The network that these settings describe.
    pub fn architecture(&self) -> Architecture {
        let ReconResNet { features, down, blocks, dropout, .. } = *self;
        Architecture::Residual { features, down, blocks, dropout }
    }

    /// The course of the training that they describe.
    pub fn course(&self) -> Course {
        // Tenfold down after every 50 epochs.
        let at = (1..=self.epochs.saturating_sub(1) / 50).map(|n| (50 * n) as f64 / self.epochs as f64).collect();
        let schedule = Schedule::Steps { at, factor: 0.1 };
        Course { epochs: self.epochs, batch: self.batch, rate: self.rate, schedule, vary: self.vary }
    }

    /// Trains on slices of one size from 0 to 1, each measured in every epoch by one of the acquisitions, drawn by chance. With a
    /// `checkpoint` the state after each epoch is kept there, and a run that finds one goes on from it, with the same bits.
    ///
    /// # Errors
    /// No slice or no acquisition, slices of other sizes than the acquisitions', numbers outside 0 to 1; a loss that is not finite; a checkpoint of another run; cancelled.
    pub fn fit(
        &self,
        slices: &[Array2<f32>],
        acquisitions: &[&dyn Acquisition],
        checkpoint: Option<&Path>,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<(Model, Vec<Epoch>)> {
        let (mut model, curve) =
            self.course().train(self.architecture(), slices, acquisitions, checkpoint, seed, progress)?;
        model.consistency = self.consistency;
        Ok((model, curve))
    }
}

#[cfg(test)]
mod tests;
