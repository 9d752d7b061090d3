//! Small pictures out of a large one: which pixels of it each takes.
//!
//! Noise of neighbouring pixels is alike in a photograph; that of pixels some steps apart is not. Sub-images that take such pixels
//! are pictures of one scene with noise of their own.

use ndarray::{Array2, Array3, ArrayView3, Axis};
use quadrat_core::{Error, Result, Rng};

/// A way to take small pictures out of a large one.
pub trait Resampler2d: Sync {
    /// The places for a picture of this height and width, all channels alike.
    ///
    /// # Errors
    /// A picture that it cannot divide: the nearest size is said.
    fn places(&self, size: [usize; 2], rng: &mut Rng) -> Result<Places>;
}

/// Where the pixels of some sub-images of one size lie in the picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// Sub-images x pixels; a place is row times width plus column.
    of: Array2<u32>,
    /// Height and width of a sub-image.
    small: [usize; 2],
    /// Height and width of the picture.
    large: [usize; 2],
}

impl Places {
    /// How many sub-images there are.
    pub fn len(&self) -> usize {
        self.of.nrows()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Height and width of a sub-image.
    pub fn size(&self) -> [usize; 2] {
        self.small
    }

    /// The places of all sub-images.
    pub fn all(&self) -> &Array2<u32> {
        &self.of
    }

    /// Sub-image `j`, below [`Places::len`], of a picture (channels x height x width).
    pub fn take(&self, image: ArrayView3<f32>, j: usize) -> Array3<f32> {
        let ([h, w], width) = (self.small, self.large[1]);
        let places = self.of.row(j);
        Array3::from_shape_fn((image.dim().0, h, w), |(c, y, x)| {
            let place = places[y * w + x] as usize;
            image[[c, place / width, place % width]]
        })
    }

    /// All sub-images.
    pub fn split(&self, image: ArrayView3<f32>) -> Vec<Array3<f32>> {
        (0..self.len()).map(|j| self.take(image, j)).collect()
    }

    /// The picture that these are the sub-images of; pixels that none of them has are 0.
    ///
    /// # Errors
    /// Another number of sub-images, or others of another size.
    pub fn merge(&self, images: &[Array3<f32>]) -> Result<Array3<f32>> {
        let ([h, w], [height, width]) = (self.small, self.large);
        let channels = images.first().map_or(0, |image| image.dim().0);
        if images.len() != self.len() || images.iter().any(|image| image.dim() != (channels, h, w)) {
            let got = format!("{} of {:?}", images.len(), images.first().map(|image| image.dim()));
            return Err(Error::input("sub-images", got, format!("{} of {h} x {w} pixels", self.len())));
        }
        let mut whole = Array3::zeros((channels, height, width));
        for (image, places) in images.iter().zip(self.of.outer_iter()) {
            for (small, mut large) in image.outer_iter().zip(whole.axis_iter_mut(Axis(0))) {
                small.iter().zip(places).for_each(|(v, at)| large[[*at as usize / width, *at as usize % width]] = *v);
            }
        }
        Ok(whole)
    }
}

/// Every f-th pixel: f² sub-images, a picture each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PixelShuffle {
    /// f.
    pub factor: usize,
}

impl Resampler2d for PixelShuffle {
    fn places(&self, size: [usize; 2], _: &mut Rng) -> Result<Places> {
        let f = self.factor;
        let cells = cells(size, f)?;
        let of = Array2::from_shape_fn((f * f, cells[0] * cells[1]), |(j, cell)| {
            let (y, x) = (cell / cells[1] * f + j / f, cell % cells[1] * f + j % f);
            (y * size[1] + x) as u32
        });
        Ok(Places { of, small: cells, large: size })
    }
}

/// p² sub-images that take one pixel of every p x p cell each, in an order drawn for every cell: together they have all pixels, and
/// each is a picture of the scene in random samples (Pan et al. 2023, arXiv 2307.16825).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RandomSubSamples {
    /// p.
    pub stride: usize,
}

impl Resampler2d for RandomSubSamples {
    fn places(&self, size: [usize; 2], rng: &mut Rng) -> Result<Places> {
        let p = self.stride;
        let cells = cells(size, p)?;
        let inside: Vec<u32> = (0..p * p).map(|i| (i / p * size[1] + i % p) as u32).collect();
        let mut order = inside.clone();
        let mut of = Array2::zeros((p * p, cells[0] * cells[1]));
        for (cell, mut column) in of.columns_mut().into_iter().enumerate() {
            let corner = ((cell / cells[1] * size[1] + cell % cells[1]) * p) as u32;
            // A shuffle of any order is as good as one of the first.
            rng.shuffle(&mut order);
            column.iter_mut().zip(&order).for_each(|(place, inside)| *place = corner + inside);
        }
        Ok(Places { of, small: cells, large: size })
    }
}

/// Two neighbours of every 2 x 2 cell, which two being drawn (Huang et al. 2021, arXiv 2101.02824).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neighbor2Neighbor;

impl Resampler2d for Neighbor2Neighbor {
    fn places(&self, size: [usize; 2], rng: &mut Rng) -> Result<Places> {
        let cells = cells(size, 2)?;
        let mut of = Array2::zeros((2, cells[0] * cells[1]));
        // Once around the cell: the next place is a neighbour.
        let around = [0, 1, size[1] as u32 + 1, size[1] as u32];
        for (cell, mut column) in of.columns_mut().into_iter().enumerate() {
            let corner = (2 * (cell / cells[1] * size[1] + cell % cells[1])) as u32;
            let (first, turn) = (rng.below(4), 1 + 2 * rng.below(2));
            column[0] = corner + around[first];
            column[1] = corner + around[(first + turn) % 4];
        }
        Ok(Places { of, small: cells, large: size })
    }
}

/// Rows and columns of cells of `p` x `p` pixels.
fn cells(size: [usize; 2], p: usize) -> Result<[usize; 2]> {
    if p == 0 {
        return Err(Error::input("stride", 0, "at least 1"));
    }
    if let Some(side) = size.into_iter().find(|side| *side == 0 || !side.is_multiple_of(p)) {
        let near = (side.saturating_add(p / 2) / p).max(1) * p;
        return Err(Error::input(
            "side of a patch",
            side,
            format!("a multiple of the stride {p}: the nearest is {near}"),
        ));
    }
    if size[0].checked_mul(size[1]).is_none_or(|n| u32::try_from(n).is_err()) {
        return Err(Error::input("picture", format!("{} x {}", size[0], size[1]), "fewer than 4,294,967,296 pixels"));
    }
    Ok(size.map(|side| side / p))
}

#[cfg(test)]
mod tests;
