//! One image: decoded, grey or in colour, resized.

use image::{ExtendedColorType, ImageEncoder, ImageFormat, ImageReader, codecs::png::PngEncoder};
use ndarray::{Array3, ArrayView3, Axis};
use quadrat_core::{Error, Result};
use std::io::Cursor;
use std::path::Path;

/// What a pixel says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channels {
    /// One number: how bright it is.
    Grey,
    /// Three numbers: red, green, blue.
    Rgb,
}

impl Channels {
    /// 1 or 3.
    pub fn count(self) -> usize {
        match self {
            Channels::Grey => 1,
            Channels::Rgb => 3,
        }
    }
}

/// A PNG or JPEG file's pixels, `c x h x w` from 0 to 1, with one channel if the file is grey and three if it has
/// colours. 16 bits a channel keep their precision; transparency is dropped. `name` stands in errors.
///
/// # Errors
/// Bytes that are neither PNG nor JPEG, or damaged; an image that takes more than 512 MiB.
pub fn decode(name: &str, bytes: &[u8]) -> Result<Array3<f32>> {
    let fail = |why: String| Error::data(name, None, why);
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| fail(e.to_string()))?;
    if !matches!(reader.format(), Some(ImageFormat::Png | ImageFormat::Jpeg)) {
        return Err(fail("neither a PNG nor a JPEG image".to_owned()));
    }
    let image = reader.decode().map_err(|e| fail(format!("damaged image: {e}")))?;
    let (height, width) = (image.height() as usize, image.width() as usize);
    let (channels, values) = match image.color().has_color() {
        true => (3, image.to_rgb32f().into_raw()),
        false => (1, image.to_luma32f().into_raw()),
    };
    let pixels = Array3::from_shape_vec((height, width, channels), values).map_err(|e| fail(e.to_string()))?;
    Ok(pixels.permuted_axes([2, 0, 1]).as_standard_layout().into_owned())
}

/// An image file's pixels with these channels, as [`decode`] says.
///
/// # Errors
/// A file that cannot be read; as [`decode`].
pub fn open(path: &Path, channels: Channels) -> Result<Array3<f32>> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    Ok(convert(decode(&path.display().to_string(), &bytes)?, channels))
}

/// An image (`1 x h x w` or `3 x h x w`) as a PNG file of 8 bits a channel; values outside 0 to 1 are cut off.
///
/// # Errors
/// Another number of channels, or no pixel.
pub fn encode(image: ArrayView3<f32>) -> Result<Vec<u8>> {
    let (channels, height, width) = image.dim();
    let colour = match channels {
        1 => ExtendedColorType::L8,
        3 => ExtendedColorType::Rgb8,
        _ => return Err(Error::input("channels", channels, "1 or 3")),
    };
    let byte = |v: &f32| (v.clamp(0.0, 1.0) * 255.0).round() as u8;
    let bytes: Vec<u8> = image.permuted_axes([1, 2, 0]).iter().map(byte).collect();
    let mut file = Vec::new();
    PngEncoder::new(&mut file)
        .write_image(&bytes, width as u32, height as u32, colour)
        .map_err(|e| Error::input("image", format!("{height} x {width} pixels"), e.to_string()))?;
    Ok(file)
}

/// The image with these channels. Grey is the luma of ITU-R BT.601, 0.299 red + 0.587 green + 0.114 blue, as most
/// libraries have it; grey in colour is three times the same.
pub(super) fn convert(image: Array3<f32>, channels: Channels) -> Array3<f32> {
    let (has, height, width) = image.dim();
    match (has, channels) {
        (1, Channels::Rgb) => Array3::from_shape_fn((3, height, width), |(_, y, x)| image[[0, y, x]]),
        (3, Channels::Grey) => Array3::from_shape_fn((1, height, width), |(_, y, x)| {
            0.299 * image[[0, y, x]] + 0.587 * image[[1, y, x]] + 0.114 * image[[2, y, x]]
        }),
        _ => image,
    }
}

/// The image (`c x h x w`) in another size, axis by axis: averages over areas where it shrinks, linear interpolation between the
/// centres of pixels where it grows. Both keep a flat image flat and all values between the least and the greatest; an
/// image without pixels becomes black.
pub fn resize(image: Array3<f32>, (height, width): (usize, usize)) -> Array3<f32> {
    let (c, h, w) = image.dim();
    if (h, w) == (height, width) {
        return image;
    }
    if h * w == 0 {
        return Array3::zeros((c, height, width));
    }
    let rows = along(image.view(), Axis(1), &shares(h, height));
    along(rows.view(), Axis(2), &shares(w, width))
}

/// Of each new pixel, the first old one that it takes part of, and its shares of that one and the next ones.
type Shares = Vec<(usize, Vec<f32>)>;

fn shares(from: usize, to: usize) -> Shares {
    let scale = from as f64 / to as f64;
    let of_pixel = |i: usize| {
        if scale <= 1.0 {
            let centre = ((i as f64 + 0.5) * scale - 0.5).clamp(0.0, (from - 1) as f64);
            let first = (centre as usize).min(from.saturating_sub(2));
            let part = (centre - first as f64) as f32;
            return (first, if from == 1 { vec![1.0] } else { vec![1.0 - part, part] });
        }
        let (start, end) = (i as f64 * scale, ((i + 1) as f64 * scale).min(from as f64));
        let (first, last) = (start as usize, (end.ceil() as usize).min(from));
        let overlap = |p: usize| (end.min((p + 1) as f64) - start.max(p as f64)) / (end - start);
        (first, (first..last).map(|p| overlap(p) as f32).collect())
    };
    (0..to).map(of_pixel).collect()
}

fn along(image: ArrayView3<f32>, axis: Axis, shares: &Shares) -> Array3<f32> {
    let mut shape = image.raw_dim();
    shape[axis.index()] = shares.len();
    let mut out = Array3::zeros(shape);
    for (mut to, (first, parts)) in out.axis_iter_mut(axis).zip(shares) {
        for (i, part) in parts.iter().enumerate() {
            to.scaled_add(*part, &image.index_axis(axis, first + i));
        }
    }
    out
}
