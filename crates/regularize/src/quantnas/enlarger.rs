//! What a search leads to: a network of the space that enlarges images.

use super::networks::{Layers, Net};
use super::space::{Genotype, Space};
use ndarray::{Array2, ArrayView2};
use quadrat_core::{Error, Result, Seed};
use quadrat_nn::{Parameters, initialise, load_parameters, predict, save_parameters};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A network of the space, trained with real rounding.
#[derive(Debug, Clone)]
pub struct Enlarger {
    /// Which network.
    pub genotype: Genotype,
    /// Its parameters.
    pub parameters: Parameters,
    pub(super) space: Space,
    pub(super) size: [usize; 2],
}

/// What a file says of an enlarger beside its weights.
#[derive(Serialize, Deserialize)]
struct About {
    space: Space,
    size: [usize; 2],
    genotype: Genotype,
}

impl Enlarger {
    /// Images (rows of 3 x height x width, from 0 to 1) as rows of images [`Enlarger::scale`] times as large. The size
    /// may be another than that of the training images: the layers are convolutions.
    ///
    /// Memory: some 400 bytes for each pixel of an image.
    ///
    /// # Errors
    /// Rows of another length.
    pub fn enlarge(&self, images: ArrayView2<f32>, [height, width]: [usize; 2]) -> Result<Array2<f32>> {
        let net = Net { space: &self.space, layers: Layers::Chosen(&self.genotype), height, width };
        predict(&net, &self.parameters, images, &[])
    }

    /// How many times as large images become on each side.
    pub fn scale(&self) -> usize {
        self.space.scale
    }

    /// Write it to a safetensors file, with the space and the choices in the header.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let about = About { space: self.space.clone(), size: self.size, genotype: self.genotype.clone() };
        let notes = serde_json::to_value(about).map_err(|e| Error::numeric("enlarger", e.to_string()))?;
        save_parameters(path, &self.parameters, &notes)
    }

    /// Read what [`Enlarger::save`] wrote.
    ///
    /// # Errors
    /// No such file, or none of an enlarger.
    pub fn load(path: &Path) -> Result<Enlarger> {
        let mut about = None;
        let (parameters, _) = load_parameters(path, |notes| {
            let wrong =
                |e: serde_json::Error| Error::data(path.display().to_string(), None, format!("no enlarger: {e}"));
            let About { space, size, genotype } = about.insert(About::deserialize(notes).map_err(wrong)?);
            space.check()?;
            space.bit_ops(genotype, size[0], size[1])?;
            let net = Net { space, layers: Layers::Chosen(genotype), height: size[0], width: size[1] };
            initialise(&net, Seed(0))
        })?;
        let About { space, size, genotype } = about.ok_or_else(|| Error::numeric("enlarger", "an empty file"))?;
        Ok(Enlarger { genotype, parameters, space, size })
    }

    /// Bit operations for one image.
    ///
    /// # Errors
    /// None for a network that [`QuantNas::train`](super::QuantNas::train) made.
    pub fn bit_ops(&self) -> Result<f64> {
        self.space.bit_ops(&self.genotype, self.size[0], self.size[1])
    }
}
