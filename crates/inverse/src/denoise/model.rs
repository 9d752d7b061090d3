//! A trained network as a restorer of pictures.

use super::ImageRestorer;
use super::ap_bsn::{Refine, averaged, in_mosaic};
use super::dbsn::Dbsn;
use super::pictures::{check, even};
use super::resample::{PixelShuffle, Resampler2d};
use super::tiles::answers;
use ndarray::{Array3, ArrayView3, s};
use quadrat_core::{Error, Progress, Result, Seed};
use quadrat_nn::{Parameters, load_parameters, save_parameters};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// How a network is asked about a picture.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "way", rename_all = "kebab-case")]
pub enum Way {
    /// About every `stride`-th pixel, each such picture by itself; then, to `enhance`, about the whole answer once more, which
    /// takes away the pattern of the parts.
    Parts {
        /// The stride.
        stride: usize,
        /// Whether the answer is looked at once more.
        enhance: bool,
    },
    /// About every `stride`-th pixel, such pictures beside each other in one with a gap; then about answers in which a few pixels
    /// are noisy again.
    Mosaic {
        /// The stride.
        stride: usize,
        /// How often, and how many pixels.
        refine: Refine,
        /// What the pixels are drawn by.
        seed: u64,
    },
    /// About the picture as it is.
    Whole,
}

/// A trained network, and how it is asked. Any size of picture will do: sides that the stride does not divide are mirrored a little
/// beyond the border.
///
/// Cost: [`Dbsn::work`] multiplications a pixel, twice with `enhance`, once more for each time that is refined.
#[derive(Debug, Clone)]
pub struct Denoiser {
    net: Dbsn,
    parameters: Parameters,
    way: Way,
}

/// The file within a model's folder.
const WEIGHTS: &str = "model.safetensors";

/// What the file says of the network.
#[derive(Debug, Serialize, Deserialize)]
struct Notes {
    network: Dbsn,
    #[serde(flatten)]
    way: Way,
}

impl Denoiser {
    /// A network with its parameters.
    ///
    /// # Errors
    /// Parameters of another network; sizes that are none.
    pub fn new(net: Dbsn, mut parameters: Parameters, way: Way) -> Result<Self> {
        net.check()?;
        net.mask(&mut parameters)?;
        Ok(Denoiser { net, parameters, way })
    }

    /// The network.
    pub fn network(&self) -> &Dbsn {
        &self.net
    }

    /// Its parameters.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// How it is asked.
    pub fn way(&self) -> &Way {
        &self.way
    }

    /// The same network, asked in another way.
    pub fn asked(&self, way: Way) -> Self {
        Denoiser { way, ..self.clone() }
    }

    /// What the network alone answers for a picture of any size, tile by tile.
    ///
    /// # Errors
    /// A picture with other channels; cancelled.
    pub fn answer(&self, image: Array3<f32>, progress: &dyn Progress) -> Result<Array3<f32>> {
        let nothing = || Error::numeric("denoiser", "no answer");
        answers(&self.net, &self.parameters, &[image], progress)?.pop().ok_or_else(nothing)
    }

    /// Writes the model into a folder that exists.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<()> {
        let notes = serde_json::to_value(Notes { network: self.net, way: self.way });
        let notes = notes.map_err(|e| Error::numeric("model", e.to_string()))?;
        save_parameters(&folder.join(WEIGHTS), &self.parameters, &serde_json::json!({ "denoise": notes }))
    }

    /// Reads what [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// A folder without a model, a damaged one, or a model of something else.
    pub fn load(folder: &Path) -> Result<Self> {
        let path = folder.join(WEIGHTS);
        let wrong = |why: String| Error::data(path.display().to_string(), None, why);
        let read = |notes: &serde_json::Value| -> Result<Notes> {
            let Some(notes) = notes.get("denoise") else {
                return Err(wrong("it is no denoiser: `quadrat denoise train` makes one".into()));
            };
            serde_json::from_value(notes.clone()).map_err(|e| wrong(e.to_string()))
        };
        let (parameters, notes) = load_parameters(&path, |notes| read(notes)?.network.fresh(Seed(0)))?;
        let Notes { network, way } = read(&notes)?;
        if let Way::Parts { stride: 0, .. } | Way::Mosaic { stride: 0, .. } = way {
            return Err(wrong("a stride of 0".into()));
        }
        Denoiser::new(network, parameters, way)
    }

    /// By parts, each a picture of its own.
    fn by_parts(&self, image: ArrayView3<f32>, stride: usize, progress: &dyn Progress) -> Result<Array3<f32>> {
        let (_, h, w) = image.dim();
        let image = even(image, stride);
        let size = [image.dim().1, image.dim().2];
        let places = PixelShuffle { factor: stride }.places(size, &mut Seed(0).rng(0))?;
        let parts = answers(&self.net, &self.parameters, &places.split(image.view()), progress)?;
        Ok(places.merge(&parts)?.slice(s![.., ..h, ..w]).to_owned())
    }
}

impl ImageRestorer for Denoiser {
    fn restore(&self, image: ArrayView3<f32>, progress: &dyn Progress) -> Result<Array3<f32>> {
        check("picture", image)?;
        let clamped = |image: Array3<f32>| image.mapv_into(|v| v.clamp(0.0, 1.0));
        Ok(clamped(match self.way {
            Way::Parts { stride, enhance } => {
                let first = clamped(self.by_parts(image, stride, progress)?);
                if enhance { self.answer(first, progress)? } else { first }
            }
            Way::Mosaic { stride, refine, seed } => {
                let first = in_mosaic(self, image, stride, progress)?;
                averaged(self, image, first, refine, Seed(seed), progress)?
            }
            Way::Whole => self.answer(image.to_owned(), progress)?,
        }))
    }
}
