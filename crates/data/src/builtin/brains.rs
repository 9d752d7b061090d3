//! A few brains, slice by slice, for reconstruction from samples of k-space.

use super::carried;
use crate::images;
use ndarray::{Array2, Axis, s};
use quadrat_core::{Error, Result};

/// Pixels of a slice's side.
pub const BRAIN_SIDE: usize = 128;

/// A brain that the program carries: slices of a T1-weighted magnetic resonance image without the skull.
#[derive(Debug)]
pub struct Brain {
    /// What it is called.
    pub name: &'static str,
    /// Whose it is.
    pub about: &'static str,
    /// On what terms it may be used.
    pub licence: &'static str,
    /// What it is suggested for: `train`, `validation` or `test`.
    pub split: &'static str,
    /// How many slices there are; a third of them of each [`View`].
    pub slices: usize,
}

/// From where a slice is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// From above, with the front on top.
    Axial,
    /// From the front.
    Coronal,
    /// From the side.
    Sagittal,
}

impl Brain {
    /// All slices, [`BRAIN_SIDE`] x [`BRAIN_SIDE`] pixels from 0 to 1, with their views. Decoded at each call, in milliseconds.
    ///
    /// # Errors
    /// None unless the program itself is damaged.
    pub fn slices(&self) -> Result<Vec<(View, Array2<f32>)>> {
        let sheet = images::decode(self.name, self.packed()?)?;
        if sheet.dim() != (1, self.slices * BRAIN_SIDE, BRAIN_SIDE) {
            return Err(Error::data(self.name, None, "the program carries another sheet of slices"));
        }
        let sheet = sheet.index_axis(Axis(0), 0);
        let views = [View::Axial, View::Coronal, View::Sagittal];
        let slice = |i: usize| {
            let rows = i * BRAIN_SIDE..(i + 1) * BRAIN_SIDE;
            (views[3 * i / self.slices], sheet.slice(s![rows, ..]).to_owned())
        };
        Ok((0..self.slices).map(slice).collect())
    }

    fn packed(&self) -> Result<&'static [u8]> {
        carried(&format!("brains/{}.png", self.name))
    }
}

/// All brains. What is for training shares no subject with the rest; validation and the first test are two volumes of one
/// person.
///
/// ```
/// let brains = quadrat_data::builtin::brains();
/// let train = brains.iter().find(|brain| brain.split == "train").unwrap();
/// assert_eq!((train.name, train.slices()?.len()), ("mni152", 36));
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn brains() -> &'static [Brain] {
    BRAINS
}

const fn brain(
    name: &'static str,
    about: &'static str,
    licence: &'static str,
    split: &'static str,
    slices: usize,
) -> Brain {
    Brain { name, about, licence, split, slices }
}

static BRAINS: &[Brain] = &[
    brain("mni152", "the mean of 152 people", "MNI", "train", 36),
    brain("colin27", "one person, the mean of 27 scans", "MNI", "validation", 18),
    brain("colin27-fine", "the same person, with half the voxels' side", "MNI", "test", 30),
    brain("macaque", "the mean of 19 macaques", "CC BY, INIA19", "test", 18),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brains_are_what_the_readme_says() {
        for brain in brains() {
            let Brain { name, about, licence, split, slices } = brain;
            let bytes = brain.packed().unwrap().len();
            let line = format!("- `{name}`: {about}, {slices} slices. {licence}. For {split}. {bytes} bytes.");
            assert!(quadrat_builtin::README.lines().any(|l| l == line), "{line}");
            let all = brain.slices().unwrap();
            for view in [View::Axial, View::Coronal, View::Sagittal] {
                assert_eq!(all.iter().filter(|(other, _)| *other == view).count(), slices / 3, "{name}");
            }
            for (i, (_, slice)) in all.iter().enumerate() {
                // Air all around, a brain in the middle.
                let side = BRAIN_SIDE - 1;
                let border =
                    (0..=side).flat_map(|j| [slice[[0, j]], slice[[side, j]], slice[[j, 0]], slice[[j, side]]]);
                assert!(border.fold(0.0, f32::max) < 0.02, "{name} {i}");
                let share = slice.iter().filter(|v| **v > 0.1).count() as f32 / slice.len() as f32;
                assert!((0.04..0.6).contains(&share), "{name} {i}: {share}");
            }
        }
    }
}
