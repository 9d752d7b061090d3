//! A trained network: asked, saved and read.

use super::network::mirror;
use super::{Acquisition, Consistency, PlainUNet, Regularised};
use crate::Complex;
use ndarray::{Array2, ArrayView2, s};
use quadrat_core::{Error, Result, Seed, write_atomic_folder};
use quadrat_nn::{Network, Parameters, initialise, load_parameters, predict, save_parameters};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::Path;

/// A network for images of any size.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "network", rename_all = "lowercase")]
pub enum Architecture {
    /// [`Regularised`].
    Residual {
        /// Channels at full size.
        features: usize,
        /// How often the size is halved.
        down: usize,
        /// Residual blocks.
        blocks: usize,
        /// Share of channels that a block drops in training.
        dropout: f32,
    },
    /// [`PlainUNet`].
    UNet {
        /// Channels at full size.
        features: usize,
    },
}

impl Architecture {
    /// The network for images of this size.
    ///
    /// # Errors
    /// No channels or blocks, a share of dropped channels outside 0 to below 1, more than six halvings.
    pub fn at(&self, shape: [usize; 2]) -> Result<Box<dyn Network>> {
        match *self {
            Architecture::Residual { features, down, blocks, dropout } => {
                if features == 0 || blocks == 0 || down > 6 {
                    let got = format!("{features} channels, {blocks} blocks, {down} halvings");
                    return Err(Error::input("network", got, "at least one channel and block, at most 6 halvings"));
                }
                if !(0.0..1.0).contains(&dropout) {
                    return Err(Error::input("dropout", dropout, "a share from 0 to below 1"));
                }
                Ok(Box::new(Regularised { shape, features, down, blocks, dropout }))
            }
            Architecture::UNet { features: 0 } => Err(Error::input("network", "no channels", "at least one")),
            Architecture::UNet { features } => Ok(Box::new(PlainUNet { shape, features })),
        }
    }

    /// The sides, not smaller than these, that the network takes.
    pub(super) fn sides(&self, shape: [usize; 2]) -> [usize; 2] {
        let unit = match *self {
            Architecture::Residual { down, .. } => 1 << down.min(6),
            Architecture::UNet { .. } => 2,
        };
        shape.map(|side| side.next_multiple_of(unit).max(4 * unit))
    }
}

/// A network with its parameters, and what follows it.
#[derive(Debug, Clone)]
pub struct Model {
    /// The network.
    pub architecture: Architecture,
    /// What it has learnt.
    pub parameters: Parameters,
    /// What becomes of the measured samples.
    pub consistency: Consistency,
}

/// The model's file in its folder.
const FILE: &str = "model.safetensors";

impl Model {
    /// What the network answers to a magnitude image of any size and unit, from 0 to 1: sides that it does not take are filled with
    /// the mirrored image and cut again.
    ///
    /// # Errors
    /// An image that is 0 everywhere, negative or not finite, or has no pixel.
    pub fn enhance(&self, image: ArrayView2<f32>) -> Result<Array2<f32>> {
        let Some(image) = input(&image.to_owned()) else {
            return Err(Error::input(
                "image",
                "0 everywhere, or not finite",
                "finite numbers, not all 0, none negative",
            ));
        };
        let (h, w) = image.dim();
        let shape = self.architecture.sides([h, w]);
        let network = self.architecture.at(shape)?;
        let row = quadrat_numeric::matrix((1, shape[0] * shape[1]), filled(&image, shape).into_iter().collect())?;
        let answer = predict(&*network, &self.parameters, row.view(), &[])?;
        let answer = quadrat_numeric::matrix(shape.into(), answer.into_iter().collect::<Vec<f32>>())?;
        Ok(answer.slice(s![..h, ..w]).to_owned())
    }

    /// The image of measured samples: the acquisition's start, enhanced, scaled to fit the samples, and these put back.
    ///
    /// # Errors
    /// Another number of samples than the acquisition takes, samples that are 0 everywhere or not finite.
    pub fn reconstruct(&self, acquisition: &dyn Acquisition, samples: &[Complex<f32>]) -> Result<Array2<f32>> {
        check(samples)?;
        let answer = self.enhance(acquisition.start(samples)?.view())?;
        let scale = acquisition.scale(answer.view(), samples)?;
        self.consistent(acquisition, samples, answer * scale)
    }

    /// The measured samples put back into an image in their unit; the magnitude of what comes of it.
    ///
    /// # Errors
    /// Another number of samples or pixels than the acquisition has.
    pub fn consistent(
        &self,
        acquisition: &dyn Acquisition,
        samples: &[Complex<f32>],
        image: Array2<f32>,
    ) -> Result<Array2<f32>> {
        if self.consistency == Consistency::Off {
            return Ok(image);
        }
        let corrected = acquisition.corrected(image.view(), samples, self.consistency)?;
        quadrat_numeric::matrix(image.dim(), corrected.iter().map(|v| v.norm()).collect())
    }

    /// Writes the model into a folder that must not be there yet, with `notes` of the caller's.
    ///
    /// # Errors
    /// The folder exists or cannot be written.
    pub fn save(&self, folder: &Path, notes: Value) -> Result<()> {
        write_atomic_folder(folder, |inside| {
            let about = json!({ "reconresnet": self.architecture, "consistency": self.consistency, "notes": notes });
            save_parameters(&inside.join(FILE), &self.parameters, &about)
        })
    }

    /// Reads what [`save`](Self::save) wrote, with the notes.
    ///
    /// # Errors
    /// A folder without a model, or with one of another kind, or a damaged one.
    pub fn load(folder: &Path) -> Result<(Self, Value)> {
        let path = folder.join(FILE);
        let wrong = |why: String| Error::data(path.display().to_string(), None, why);
        let architecture = |about: &Value| -> Result<Architecture> {
            let none = || wrong("it is no model of this kind: `quadrat reconstruct train` makes one".into());
            let own = about.get("reconresnet").ok_or_else(none)?;
            serde_json::from_value(own.clone()).map_err(|e| wrong(e.to_string()))
        };
        let (parameters, mut about) = load_parameters(&path, |about| {
            let architecture = architecture(about)?;
            // The parameters do not depend on the size.
            initialise(&*architecture.at(architecture.sides([1; 2]))?, Seed(0))
        })?;
        let consistency =
            serde_json::from_value(about["consistency"].clone()).map_err(|e| wrong(format!("consistency: {e}")))?;
        Ok((Model { architecture: architecture(&about)?, parameters, consistency }, about["notes"].take()))
    }
}

/// That samples say something.
fn check(samples: &[Complex<f32>]) -> Result<()> {
    if let Some(i) = samples.iter().position(|y| !y.re.is_finite() || !y.im.is_finite()) {
        return Err(Error::input(format!("sample {i}"), samples[i], "finite numbers"));
    }
    if samples.iter().all(|y| y.re == 0.0 && y.im == 0.0) {
        return Err(Error::input("samples", "0 everywhere", "measured k-space"));
    }
    Ok(())
}

/// An image divided by its largest number; none for one that is 0 everywhere, negative somewhere or not finite.
pub(super) fn input(image: &Array2<f32>) -> Option<Array2<f32>> {
    let most = image.iter().copied().fold(0.0, f32::max);
    let fine = image.iter().all(|v| v.is_finite() && *v >= 0.0);
    (most > 0.0 && fine).then(|| image / most)
}

/// An image that goes on below and to the right as its own mirror image.
pub(super) fn filled(image: &Array2<f32>, shape: [usize; 2]) -> Array2<f32> {
    let (h, w) = image.dim();
    Array2::from_shape_fn(shape, |(i, j)| image[[mirror(i as isize, h), mirror(j as isize, w)]])
}
