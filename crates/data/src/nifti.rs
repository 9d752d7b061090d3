//! NIfTI-1, the usual file of magnetic resonance images: one volume of numbers, with where it lies in space.
//!
//! Read by ourselves: a header of 348 bytes at fixed places is less than the care that the crate `nifti` needs, which gives NaN everywhere
//! where the slope is NaN (what nibabel writes for "no scaling"), reads complex numbers as wrong ones, and goes by the file's ending
//! where the first bytes tell whether it is compressed.
//!
//! As nibabel 5.4 reads them: a slope of 0, NaN or infinity means that numbers are not scaled, and the intercept does not count then
//! either; the affine is the s-form if it has a code, else the q-form, else voxels around the origin with the first axis reversed.

use crate::bytes;
use ndarray::{Array2, Array3, Axis, ShapeBuilder};
use quadrat_core::{Error, Progress, Result};
use std::path::Path;

mod header;

use header::Header;

/// One volume, axes as they lie in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Volume {
    /// Its numbers, scaled as the file says.
    pub values: Array3<f32>,
    /// Where voxel (i, j, k) lies, in millimetres to the right, to the front and up: `affine` times (i, j, k, 1).
    pub affine: [[f64; 4]; 3],
}

impl Volume {
    /// Reads a `.nii` file, compressed or not. Of a file with several volumes (a fourth axis), `volume` says which, from 0.
    ///
    /// Cost: the decompressed file and 4 bytes a voxel in memory.
    ///
    /// # Errors
    /// A file that is no NIfTI-1 file in one piece, or damaged; numbers that are complex, colours or of 128 bits; several volumes and
    /// none chosen; more than four axes; a slope with an intercept that is not finite. All name the file.
    pub fn read(path: &Path, volume: Option<usize>, progress: &dyn Progress) -> Result<Volume> {
        let name = path.display().to_string();
        let content = bytes::decompress(&name, bytes::read(path, progress)?, progress)?;
        Volume::decode(&content, volume).map_err(|why| Error::data(name, None, why))
    }

    fn decode(content: &[u8], volume: Option<usize>) -> std::result::Result<Volume, String> {
        let header = Header::parse(content)?;
        let [x, y, z, volumes] = header.shape;
        let chosen = match volume {
            None if volumes > 1 => {
                return Err(format!("it has {volumes} volumes (4 dimensions): choose one, from 0 to {}", volumes - 1));
            }
            Some(chosen) if chosen >= volumes => {
                return Err(format!("volume {chosen} is asked for, and the last of {volumes} is {}", volumes - 1));
            }
            chosen => chosen.unwrap_or(0),
        };
        let numbers = header.numbers(content, chosen)?;
        // On disk the first axis runs fastest.
        let values = Array3::from_shape_vec((x, y, z).f(), numbers).map_err(|e| e.to_string())?;
        Ok(Volume { values, affine: header.affine() })
    }

    /// Which way the axes point, by the nearest of right, left, anterior, posterior, superior and inferior: `RAS`, say.
    pub fn orientation(&self) -> String {
        let words = [['L', 'R'], ['P', 'A'], ['I', 'S']];
        let mut free = [true; 3];
        // The steepest first, so that no direction is given twice.
        let mut axes: Vec<(usize, usize)> = (0..9).map(|at| (at / 3, at % 3)).collect();
        let size = |axis: usize, to: usize| self.affine[to][axis].abs();
        axes.sort_by(|a, b| size(b.0, b.1).total_cmp(&size(a.0, a.1)));
        let mut found = [' '; 3];
        for (axis, to) in axes {
            if found[axis] == ' ' && free[to] {
                free[to] = false;
                found[axis] = words[to][usize::from(self.affine[to][axis] > 0.0)];
            }
        }
        found.into_iter().collect()
    }

    /// The slices across the last axis, in their order: first axis down, second axis to the right, as the array has them.
    pub fn slices(&self) -> Vec<Array2<f32>> {
        self.values.axis_iter(Axis(2)).map(|slice| slice.as_standard_layout().into_owned()).collect()
    }
}

#[cfg(test)]
mod tests;
