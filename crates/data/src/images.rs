//! Labelled images as arrays: from folders of PNG and JPEG files, and from NumPy's arrays.
//!
//! Pixels are stored as `f32` from 0 to 1 in one array of images, channels, rows, columns; that is what convolutions
//! take, and flattening an image is a reshape without a copy. Colour profiles and orientation tags are not applied, and
//! transparency is dropped.
//!
//! ```no_run
//! use quadrat_core::Silent;
//! use quadrat_data::images::{Channels, Images, Wanted};
//! let wanted = Wanted { size: Some((32, 32)), channels: Some(Channels::Grey) };
//! let birds = Images::read("birds".as_ref(), &wanted, &Silent)?;
//! assert_eq!(birds.pixels.dim(), (birds.names.len(), 1, 32, 32));
//! # Ok::<(), quadrat_core::Error>(())
//! ```

mod folder;
mod from_numpy;
mod photo;
mod pixels;

pub use folder::{Pictures, files, listed};
pub use photo::Photo;
pub use pixels::{Channels, decode, encode, open, resize};

use ndarray::{Array3, Array4, Axis};
use pixels::convert;
use quadrat_core::{Error, Progress, Result, checkpoint};
use std::path::Path;

/// Images of one size, with or without labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Images {
    /// `n x c x h x w`, from 0 (black) to 1; `c` is 1 (grey) or 3 (red, green, blue).
    pub pixels: Array4<f32>,
    /// The class of each image, an index into `classes`; empty where the source has no labels.
    pub labels: Vec<u32>,
    /// The classes in order: by value where all are numbers, else by their characters. Empty without labels.
    pub classes: Vec<String>,
    /// Where each image is from: its file below the folder, with `/` between the parts, or its number in the array.
    pub names: Vec<String>,
}

/// What images are made to fit; the default leaves them as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wanted {
    /// Height and width. An axis that shrinks is averaged over areas, one that grows is interpolated linearly; the
    /// ratio of the sides is not kept. `None`: all images must have one size.
    pub size: Option<(usize, usize)>,
    /// Grey or colour. `None`: what most images are, colour where there are as many of both.
    pub channels: Option<Channels>,
}

impl Images {
    /// Reads images from
    ///
    /// - a folder with a `labels.csv` (or .tsv) of the columns `file` (below the folder) and `label`, in its order;
    /// - a folder with a folder for each class, in the order of the classes' and the files' names;
    /// - a folder of images without labels, in the order of their names;
    /// - an npz file with images in the array `images`, `x` or `x_train` and labels in `labels`, `y` or `y_train`, if it
    ///   has any (numbers or texts); other arrays are not looked at;
    /// - an npy file of images, without labels.
    ///
    /// Image files end in `png`, `jpg` or `jpeg`; hidden files and files of other kinds are passed over, but not images
    /// of other formats. Arrays are `n x h x w`, `n x h x w x c` or `n x c x h x w` with 1 or 3 channels, of bytes (255
    /// is white) or floats from 0 to 1; an array that fits both orders is taken to have its channels last.
    ///
    /// Cost: files are decoded by all threads; 8 bytes a value while they are put together, 4 in the end.
    ///
    /// # Errors
    /// Nothing there that could be read; a damaged image or one of another format; images of different sizes when no
    /// size is asked for; a number of labels that is not that of the images; cancelled. All name the file.
    pub fn read(path: &Path, wanted: &Wanted, progress: &dyn Progress) -> Result<Images> {
        if wanted.size.is_some_and(|(h, w)| !(1..=MOST).contains(&h) || !(1..=MOST).contains(&w)) {
            let got = wanted.size.map(|(h, w)| format!("{h} x {w}")).unwrap_or_default();
            return Err(Error::input("size of the images", got, format!("use 1 to {MOST} pixels on each side")));
        }
        if path.is_dir() { folder::read(path, wanted, progress) } else { from_numpy::read(path, wanted, progress) }
    }
}

/// The longest side that can be asked for.
const MOST: usize = 4096;

/// The images as one array, made to fit. `file` names an image in errors.
fn stack(images: Vec<Array3<f32>>, wanted: &Wanted, file: &dyn Fn(usize) -> String) -> Result<Array4<f32>> {
    let coloured = images.iter().filter(|image| image.dim().0 == 3).count();
    let channels = wanted.channels.unwrap_or(match 2 * coloured >= images.len() {
        true => Channels::Rgb,
        false => Channels::Grey,
    });
    let Some(first) = images.first() else {
        return Err(Error::input("images", 0, "there must be at least one"));
    };
    let (height, width) = wanted.size.unwrap_or((first.dim().1, first.dim().2));
    let shape = (images.len(), channels.count(), height, width);
    let length = [shape.1, height, width].iter().try_fold(shape.0, |n, side| n.checked_mul(*side));
    let Some(values) = length.and_then(crate::bytes::zeros) else {
        return Err(Error::input(
            "images",
            format!("{shape:?}"),
            "there is no memory for them; ask for a smaller size",
        ));
    };
    let mut pixels = Array4::from_shape_vec(shape, values).map_err(|e| Error::input("images", e, "ask for fewer"))?;
    for (i, image) in images.into_iter().enumerate() {
        let (_, h, w) = image.dim();
        if (h, w) != (height, width) {
            let why = format!(
                "{h} x {w} pixels where {} has {height} x {width}; ask for a size to have them resized",
                file(0)
            );
            return Err(Error::data(file(i), None, why));
        }
        pixels.index_axis_mut(Axis(0), i).assign(&convert(image, channels));
    }
    Ok(pixels)
}

/// An image in the size that is asked for, if one is; a step of the progress.
fn fitted(image: Array3<f32>, wanted: &Wanted, progress: &dyn Progress) -> Result<Array3<f32>> {
    checkpoint(progress)?;
    progress.advance(1);
    Ok(match wanted.size {
        Some(size) => resize(image, size),
        None => image,
    })
}

#[cfg(test)]
mod tests;
