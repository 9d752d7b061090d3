//! One photograph as it is: upright, in its own depth, with its transparency and its colour profile.
//!
//! What works on a single photograph gives back one that is to be looked at beside it. So nothing is dropped as in
//! [`decode`](super::decode), where pictures become rows of a training set.

use image::{
    DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder, ImageFormat, ImageReader, codecs::png::PngEncoder,
};
use ndarray::{Array2, Array3, Axis, s};
use quadrat_core::{Error, Result};
use std::io::Cursor;
use std::path::Path;

/// A photograph.
#[derive(Debug, Clone, PartialEq)]
pub struct Photo {
    /// `c x h x w` from 0 to 1, one channel if the file is grey and three if it has colours. Turned as the file's EXIF
    /// orientation says.
    pub pixels: Array3<f32>,
    /// How opaque each pixel is, if the file says so. Colours are not multiplied with it.
    pub alpha: Option<Array2<f32>>,
    /// Bits of a number in the file, 8 or 16.
    pub bits: u8,
    /// The file's ICC profile.
    pub profile: Option<Vec<u8>>,
}

impl Photo {
    /// Reads a PNG or JPEG file.
    ///
    /// # Errors
    /// A file that cannot be read, is neither, or is damaged; one that takes more than 512 MiB.
    pub fn read(path: &Path) -> Result<Photo> {
        let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
        Photo::decode(&path.display().to_string(), &bytes)
    }

    /// The bytes of such a file; `name` stands in errors.
    ///
    /// # Errors
    /// As [`Photo::read`].
    pub fn decode(name: &str, bytes: &[u8]) -> Result<Photo> {
        let fail = |why: String| Error::data(name, None, why);
        let damaged = |e: image::ImageError| fail(format!("damaged image: {e}"));
        let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| fail(e.to_string()))?;
        if !matches!(reader.format(), Some(ImageFormat::Png | ImageFormat::Jpeg)) {
            return Err(fail("neither a PNG nor a JPEG image".to_owned()));
        }
        let mut decoder = reader.into_decoder().map_err(damaged)?;
        let orientation = decoder.orientation().map_err(damaged)?;
        let profile = decoder.icc_profile().map_err(damaged)?;
        let mut image = DynamicImage::from_decoder(decoder).map_err(damaged)?;
        image.apply_orientation(orientation);
        let colour = image.color();
        let bits = if colour.bytes_per_pixel() / colour.channel_count() > 1 { 16 } else { 8 };
        let (height, width) = (image.height() as usize, image.width() as usize);
        let (channels, values) = match (colour.has_color(), colour.has_alpha()) {
            (false, false) => (1, image.to_luma32f().into_raw()),
            (false, true) => (2, image.to_luma_alpha32f().into_raw()),
            (true, false) => (3, image.to_rgb32f().into_raw()),
            (true, true) => (4, image.to_rgba32f().into_raw()),
        };
        let all = Array3::from_shape_vec((height, width, channels), values).map_err(|e| fail(e.to_string()))?;
        let all = all.permuted_axes([2, 0, 1]);
        let colours = if colour.has_color() { 3 } else { 1 };
        let pixels = all.slice(s![..colours, .., ..]).as_standard_layout().into_owned();
        let alpha = colour.has_alpha().then(|| all.index_axis(Axis(0), colours).to_owned());
        Ok(Photo { pixels, alpha, bits, profile })
    }

    /// The bytes of a PNG file with these pixels, in the same depth, with transparency and profile; values outside 0 to 1 are cut
    /// off.
    ///
    /// # Errors
    /// Another number of channels than 1 or 3, no pixel, transparency of another size.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let (channels, height, width) = self.pixels.dim();
        let colour = match (channels, self.alpha.is_some(), self.bits) {
            (1, false, 8) => ExtendedColorType::L8,
            (1, true, 8) => ExtendedColorType::La8,
            (3, false, 8) => ExtendedColorType::Rgb8,
            (3, true, 8) => ExtendedColorType::Rgba8,
            (1, false, 16) => ExtendedColorType::L16,
            (1, true, 16) => ExtendedColorType::La16,
            (3, false, 16) => ExtendedColorType::Rgb16,
            (3, true, 16) => ExtendedColorType::Rgba16,
            _ => {
                return Err(Error::input(
                    "photograph",
                    format!("{channels} channels of {} bits", self.bits),
                    "1 or 3 of 8 or 16",
                ));
            }
        };
        if let Some(alpha) = self.alpha.as_ref().filter(|alpha| alpha.dim() != (height, width)) {
            return Err(Error::input("transparency", format!("{:?}", alpha.dim()), format!("{height} x {width}")));
        }
        let most = if self.bits == 16 { 65_535.0 } else { 255.0 };
        let mut bytes = Vec::with_capacity(4 * height * width * usize::from(self.bits / 8));
        let mut put = |v: f32| {
            let v = (v.clamp(0.0, 1.0) * most).round() as u16;
            match self.bits {
                16 => bytes.extend(v.to_ne_bytes()),
                _ => bytes.push(v as u8),
            }
        };
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            (0..channels).for_each(|c| put(self.pixels[[c, y, x]]));
            self.alpha.iter().for_each(|alpha| put(alpha[[y, x]]));
        }
        let mut file = Vec::new();
        let mut encoder = PngEncoder::new(&mut file);
        if let Some(profile) = &self.profile {
            let unfit = |e: image::error::UnsupportedError| Error::input("profile", "an ICC profile", e.to_string());
            encoder.set_icc_profile(profile.clone()).map_err(unfit)?;
        }
        let wrong = |e: image::ImageError| Error::input("image", format!("{height} x {width} pixels"), e.to_string());
        encoder.write_image(&bytes, width as u32, height as u32, colour).map_err(wrong)?;
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn png(colour: ExtendedColorType, bytes: &[u8], [width, height]: [u32; 2], profile: Option<&[u8]>) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = PngEncoder::new(&mut file);
        if let Some(profile) = profile {
            encoder.set_icc_profile(profile.to_vec()).unwrap();
        }
        encoder.write_image(bytes, width, height, colour).unwrap();
        file
    }

    #[test]
    fn every_kind_comes_back_as_it_was() {
        use ExtendedColorType::{L8, L16, La8, La16, Rgb8, Rgb16, Rgba8, Rgba16};
        for (colour, numbers, deep) in [
            (L8, 1, false),
            (La8, 2, false),
            (Rgb8, 3, false),
            (Rgba8, 4, false),
            (L16, 1, true),
            (La16, 2, true),
            (Rgb16, 3, true),
            (Rgba16, 4, true),
        ] {
            let count = 2 * 3 * numbers * if deep { 2 } else { 1 };
            let bytes: Vec<u8> = (0..count).map(|i| (i * 37 % 251) as u8).collect();
            let file = png(colour, &bytes, [3, 2], Some(b"a profile"));
            let photo = Photo::decode("a.png", &file).unwrap();
            assert_eq!(photo.bits, if deep { 16 } else { 8 });
            assert_eq!(photo.pixels.dim(), (if numbers > 2 { 3 } else { 1 }, 2, 3));
            assert_eq!(photo.alpha.is_some(), numbers % 2 == 0);
            assert_eq!(photo.profile.as_deref(), Some(&b"a profile"[..]));
            let again = photo.encode().unwrap();
            assert_eq!(Photo::decode("again", &again).unwrap(), photo, "{colour:?}");
            let raw = image::load_from_memory(&again).unwrap();
            assert_eq!(raw.as_bytes(), &bytes[..], "{colour:?}");
        }
    }

    /// A JPEG of a dark left and a bright right half whose EXIF orientation says "turn by a quarter" (6): dark above, bright below.
    #[test]
    fn orientation_is_applied() {
        let mut jpeg = Vec::new();
        let pixels: Vec<u8> = (0..16 * 8).map(|i| if i % 16 < 8 { 20 } else { 220 }).collect();
        image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 95)
            .write_image(&pixels, 16, 8, ExtendedColorType::L8)
            .unwrap();
        // APP1 with one entry: tag 0x0112, a short, 6.
        let tiff = [b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".as_slice()].concat();
        let mut marked = jpeg[..2].to_vec();
        marked.extend([0xff, 0xe1]);
        marked.extend(((tiff.len() + 2) as u16).to_be_bytes());
        marked.extend(&tiff);
        marked.extend(&jpeg[2..]);
        let photo = Photo::decode("a.jpg", &marked).unwrap();
        assert_eq!(photo.pixels.dim(), (1, 16, 8));
        assert!(photo.pixels[[0, 2, 4]] < 0.2 && photo.pixels[[0, 13, 4]] > 0.8);
        assert_eq!(Photo::decode("a.jpg", &jpeg).unwrap().pixels.dim(), (1, 8, 16));
    }

    #[test]
    fn what_is_no_photograph_is_refused() {
        assert!(Photo::decode("a.gif", b"GIF89a").unwrap_err().to_string().contains("a.gif: neither"));
        let file = png(ExtendedColorType::L8, &[1, 2], [2, 1], None);
        assert!(Photo::decode("a.png", &file[..40]).unwrap_err().to_string().contains("damaged"));
        assert!(Photo::read(Path::new("nowhere.png")).is_err());
        let photo = Photo { pixels: array![[[0.5]]], alpha: None, bits: 8, profile: None };
        assert!(Photo { bits: 12, ..photo.clone() }.encode().is_err());
        assert!(Photo { pixels: Array3::zeros((2, 1, 1)), ..photo.clone() }.encode().is_err());
        assert!(Photo { alpha: Some(Array2::zeros((1, 2))), ..photo }.encode().is_err());
    }
}
