//! A few photographs, for what needs pixels and not classes: super-resolution, denoising, deconvolution.

use super::carried;
use crate::images;
use ndarray::Array3;
use quadrat_core::Result;

/// A photograph that the program carries: a PNG file of 256 x 256 pixels, grey or in colour.
#[derive(Debug)]
pub struct Photograph {
    /// What it is called.
    pub name: &'static str,
    /// What it shows.
    pub about: &'static str,
    /// On what terms it may be used, and whose it is.
    pub licence: &'static str,
    /// Suggested for measuring; the others are for learning.
    pub test: bool,
}

impl Photograph {
    /// The pixels: `c x 256 x 256` from 0 to 1, one channel (grey) or three (red, green, blue). Decoded at each call, in
    /// a few milliseconds.
    ///
    /// # Errors
    /// None unless the program itself is damaged.
    pub fn pixels(&self) -> Result<Array3<f32>> {
        images::decode(self.name, self.packed()?)
    }

    fn packed(&self) -> Result<&'static [u8]> {
        carried(&format!("photographs/{}.png", self.name))
    }
}

/// All photographs: five to learn from, then two to measure on.
///
/// ```
/// let photographs = quadrat_data::builtin::photographs();
/// let (test, train): (Vec<_>, Vec<_>) = photographs.iter().partition(|p| p.test);
/// assert_eq!((train.len(), test.len()), (5, 2));
/// assert_eq!(test[0].pixels()?.dim(), (3, 256, 256));
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn photographs() -> &'static [Photograph] {
    PHOTOGRAPHS
}

const fn photograph(name: &'static str, about: &'static str, licence: &'static str, test: bool) -> Photograph {
    Photograph { name, about, licence, test }
}

static PHOTOGRAPHS: &[Photograph] = &[
    photograph("coffee", "a cup on a wooden table", "CC0, Rachel Michetti", false),
    photograph("rocket", "a Falcon 9 at its launch", "public domain, SpaceX", false),
    photograph("retina", "the back of an eye", "CC0, Mikael Häggström", false),
    photograph("chelsea", "a cat", "CC0, Stefan van der Walt", false),
    photograph("brick", "a wall, grey", "CC0, CC0Textures (Bricks25)", false),
    photograph("astronaut", "Eileen Collins", "public domain, NASA", true),
    photograph("camera", "a man with a camera, grey", "CC0, Lav Varshney", true),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn photographs_are_what_the_readme_says() {
        let readme = quadrat_builtin::README;
        for photograph in photographs() {
            let Photograph { name, about, licence, test } = photograph;
            let split = if *test { "test" } else { "train" };
            let line =
                format!("- `{name}`: {about}. {licence}. For {split}. {} bytes.", photograph.packed().unwrap().len());
            assert!(readme.lines().any(|l| l == line), "{line}");
            let pixels = photograph.pixels().unwrap();
            let grey = about.ends_with("grey");
            assert_eq!(pixels.dim(), (if grey { 1 } else { 3 }, 256, 256), "{name}");
            // A photograph has light and shade.
            let mean = pixels.mean().unwrap();
            assert!((0.1..0.9).contains(&mean) && pixels.std(0.0) > 0.05, "{name}: {mean}");
        }
    }
}
