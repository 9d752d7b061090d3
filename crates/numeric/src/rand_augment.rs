//! RandAugment's fourteen operations on small images, and cut-out.
//!
//! Cubuk, Zoph, Shlens and Le, "RandAugment", NeurIPS 2020 (arXiv 1909.13719), with the operations and ranges that semi-supervised
//! methods took over from FixMatch (Sohn et al. 2020, arXiv 2001.07685, appendix D): each magnitude is drawn anew. An
//! operation is Pillow's of the same name, without the rounding to bytes between them; those that are defined on bytes
//! (equalise, posterise, solarise) see the nearest byte. Moved images are filled with black, nearest pixels are taken.
//!
//! Images are rows of numbers from 0 to 1, channels x height x width; three channels are red, green and blue.

use quadrat_core::Rng;

/// An operation with its magnitude.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Operation {
    /// Darkest to 0, lightest to 1, channel by channel.
    AutoContrast,
    /// Towards black: 0 is black, 1 the image.
    Brightness(f32),
    /// Towards grey: 0 is grey, 1 the image.
    Colour(f32),
    /// Towards the mean grey: 0 is that, 1 the image.
    Contrast(f32),
    /// As many pixels of each brightness, channel by channel.
    Equalise,
    /// The image.
    Identity,
    /// The highest of eight bits that are kept.
    Posterise(u32),
    /// Counter-clockwise, in degrees.
    Rotate(f32),
    /// Towards a smoothed image: 0 is that, 1 the image.
    Sharpness(f32),
    /// Columns a row further down.
    ShearX(f32),
    /// Rows a column further right.
    ShearY(f32),
    /// What is at least as light as this (0 to 1) is inverted.
    Solarise(f32),
    /// To the left, as a share of the width.
    TranslateX(f32),
    /// Upwards, as a share of the height.
    TranslateY(f32),
}

/// Shares of red, green and blue in grey, as in ITU-R 601 and Pillow.
const GREY: [f32; 3] = [0.299, 0.587, 0.114];

impl Operation {
    /// One of the fourteen, its magnitude uniform in its range.
    pub fn draw(rng: &mut Rng) -> Operation {
        let kind = rng.below(14);
        let mut between = |low: f32, high: f32| low + (high - low) * rng.uniform() as f32;
        match kind {
            0 => Operation::AutoContrast,
            1 => Operation::Brightness(between(0.05, 0.95)),
            2 => Operation::Colour(between(0.05, 0.95)),
            3 => Operation::Contrast(between(0.05, 0.95)),
            4 => Operation::Equalise,
            5 => Operation::Identity,
            6 => Operation::Posterise(4 + rng.below(5) as u32),
            7 => Operation::Rotate(between(-30.0, 30.0)),
            8 => Operation::Sharpness(between(0.05, 0.95)),
            9 => Operation::ShearX(between(-0.3, 0.3)),
            10 => Operation::ShearY(between(-0.3, 0.3)),
            11 => Operation::Solarise(between(0.0, 1.0)),
            12 => Operation::TranslateX(between(-0.3, 0.3)),
            _ => Operation::TranslateY(between(-0.3, 0.3)),
        }
    }

    /// Changes an image of `shape` = [channels, height, width]. `scratch` is memory to be used again. Cost: one or two passes
    /// over the pixels.
    pub fn apply(self, image: &mut [f32], shape: [usize; 3], scratch: &mut Vec<f32>) {
        let [channels, h, w] = shape;
        let pixels = h * w;
        if pixels == 0 || image.len() != channels * pixels {
            return;
        }
        match self {
            Operation::Identity => {}
            Operation::AutoContrast => image.chunks_exact_mut(pixels).for_each(auto_contrast),
            Operation::Equalise => image.chunks_exact_mut(pixels).for_each(equalise),
            Operation::Brightness(share) => image.iter_mut().for_each(|v| *v *= share),
            Operation::Contrast(share) => {
                let all: f64 = (0..pixels).map(|i| f64::from(grey(image, pixels, i))).sum();
                let mean = ((all / pixels as f64 * 255.0 + 0.5).floor() / 255.0) as f32;
                image.iter_mut().for_each(|v| *v = mean + share * (*v - mean));
            }
            Operation::Colour(share) if channels == 3 => {
                for i in 0..pixels {
                    let grey = grey(image, pixels, i);
                    for channel in 0..3 {
                        let v = &mut image[channel * pixels + i];
                        *v = grey + share * (*v - grey);
                    }
                }
            }
            Operation::Colour(_) => {}
            Operation::Posterise(bits) => {
                let kept = !(0xff_u8.checked_shr(bits).unwrap_or(0));
                image.iter_mut().for_each(|v| *v = f32::from(byte(*v) & kept) / 255.0);
            }
            Operation::Solarise(from) => {
                image.iter_mut().filter(|v| f32::from(byte(**v)) >= from * 255.0).for_each(|v| *v = 1.0 - *v);
            }
            Operation::Sharpness(share) => {
                image.chunks_exact_mut(pixels).for_each(|plane| sharpen(plane, [h, w], share, scratch));
            }
            Operation::Rotate(degrees) => {
                let (sin, cos) = (-degrees).to_radians().sin_cos();
                let (x, y) = (w as f32 / 2.0, h as f32 / 2.0);
                let map = [cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y];
                affine(image, shape, map, scratch);
            }
            Operation::ShearX(share) => affine(image, shape, [1.0, share, 0.0, 0.0, 1.0, 0.0], scratch),
            Operation::ShearY(share) => affine(image, shape, [1.0, 0.0, 0.0, share, 1.0, 0.0], scratch),
            Operation::TranslateX(share) => affine(image, shape, [1.0, 0.0, share * w as f32, 0.0, 1.0, 0.0], scratch),
            Operation::TranslateY(share) => affine(image, shape, [1.0, 0.0, 0.0, 0.0, 1.0, share * h as f32], scratch),
        }
    }
}

/// `operations` drawn operations one after the other, then a grey square of at most `cut_out` of the width.
pub fn rand_augment(
    image: &mut [f32],
    shape: [usize; 3],
    operations: usize,
    cut_out: f32,
    rng: &mut Rng,
    scratch: &mut Vec<f32>,
) {
    for _ in 0..operations {
        Operation::draw(rng).apply(image, shape, scratch);
    }
    let [_, h, w] = shape;
    let side = cut_out * rng.uniform() as f32 * w as f32;
    let (x, y) = (rng.uniform() as f32 * w as f32, rng.uniform() as f32 * h as f32);
    if side > 0.0 && h * w > 0 {
        let span = |middle: f32, n: usize| {
            let from = (middle - side / 2.0).max(0.0);
            from as usize..n.min((from + side).round() as usize)
        };
        for plane in image.chunks_exact_mut(h * w) {
            for row in plane.chunks_exact_mut(w).take(span(y, h).end).skip(span(y, h).start) {
                row[span(x, w)].fill(0.5);
            }
        }
    }
}

/// Moves one channel of an image, mirrored left to right first if asked for; what becomes free is 0.
pub fn move_plane(
    plane: &mut [f32],
    [h, w]: [usize; 2],
    [down, right]: [isize; 2],
    mirrored: bool,
    old: &mut Vec<f32>,
) {
    old.clear();
    old.extend_from_slice(plane);
    for (i, pixel) in plane.iter_mut().enumerate() {
        let (y, x) = (i / w, if mirrored { w - 1 - i % w } else { i % w });
        let from = y.checked_add_signed(-down).zip(x.checked_add_signed(-right));
        *pixel = from.filter(|(y, x)| *y < h && *x < w).map_or(0.0, |(y, x)| old[y * w + x]);
    }
}

/// The nearest byte.
fn byte(v: f32) -> u8 {
    (v * 255.0 + 0.5) as u8
}

fn grey(image: &[f32], pixels: usize, i: usize) -> f32 {
    match image.len() / pixels {
        3 => (0..3).map(|channel| GREY[channel] * image[channel * pixels + i]).sum(),
        channels => (0..channels).map(|channel| image[channel * pixels + i]).sum::<f32>() / channels as f32,
    }
}

fn auto_contrast(plane: &mut [f32]) {
    let (low, high) = plane.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
    if high > low {
        let scale = 1.0 / (high - low);
        plane.iter_mut().for_each(|v| *v = (*v - low) * scale);
    }
}

fn equalise(plane: &mut [f32]) {
    let mut counts = [0_usize; 256];
    plane.iter().for_each(|v| counts[usize::from(byte(*v))] += 1);
    let last = counts.iter().rev().find(|n| **n > 0).copied().unwrap_or(0);
    let step = (plane.len() - last) / 255;
    if step == 0 {
        return;
    }
    let mut below = step / 2;
    let levels = counts.map(|n| {
        let level = (below / step).min(255) as f32 / 255.0;
        below += n;
        level
    });
    plane.iter_mut().for_each(|v| *v = levels[usize::from(byte(*v))]);
}

/// Pillow's smoothing: a pixel counts five times its neighbours; the border stays.
fn sharpen(plane: &mut [f32], [h, w]: [usize; 2], share: f32, old: &mut Vec<f32>) {
    if h < 3 || w < 3 {
        return;
    }
    old.clear();
    old.extend_from_slice(plane);
    for y in 1..h - 1 {
        let [above, here, below] = [y - 1, y, y + 1].map(|y| &old[y * w..(y + 1) * w]);
        for x in 1..w - 1 {
            let around: f32 = [above, here, below].iter().map(|row| row[x - 1] + row[x] + row[x + 1]).sum();
            let smooth = (around + 4.0 * here[x]) / 13.0;
            plane[y * w + x] = smooth + share * (here[x] - smooth);
        }
    }
}

/// Each pixel from where [a, b, c, d, e, f] leads: x' = a x + b y + c, y' = d x + e y + f, of pixels' middles.
fn affine(image: &mut [f32], [channels, h, w]: [usize; 3], [a, b, c, d, e, f]: [f32; 6], old: &mut Vec<f32>) {
    old.clear();
    old.extend_from_slice(image);
    let pixels = h * w;
    for y in 0..h {
        let down = y as f32 + 0.5;
        for x in 0..w {
            let right = x as f32 + 0.5;
            let (from_x, from_y) = (a * right + b * down + c, d * right + e * down + f);
            let inside = from_x >= 0.0 && from_y >= 0.0 && from_x < w as f32 && from_y < h as f32;
            let from = if inside { from_y as usize * w + from_x as usize } else { 0 };
            for channel in 0..channels {
                let v = old[channel * pixels + from];
                image[channel * pixels + y * w + x] = if inside { v } else { 0.0 };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quadrat_core::Seed;

    #[derive(serde::Deserialize)]
    struct Case {
        operation: String,
        magnitude: f32,
        channels: usize,
        pixels: String,
    }

    #[derive(serde::Deserialize)]
    struct Golden {
        sides: [usize; 2],
        images: Vec<String>,
        cases: Vec<Case>,
    }

    fn bytes(hexadecimal: &str) -> Vec<u8> {
        (0..hexadecimal.len()).step_by(2).map(|i| u8::from_str_radix(&hexadecimal[i..i + 2], 16).unwrap()).collect()
    }

    fn named(name: &str, m: f32) -> Operation {
        match name {
            "autocontrast" => Operation::AutoContrast,
            "brightness" => Operation::Brightness(m),
            "colour" => Operation::Colour(m),
            "contrast" => Operation::Contrast(m),
            "equalise" => Operation::Equalise,
            "posterise" => Operation::Posterise(m as u32),
            "rotate" => Operation::Rotate(m),
            "sharpness" => Operation::Sharpness(m),
            "shear-x" => Operation::ShearX(m),
            "shear-y" => Operation::ShearY(m),
            "solarise" => Operation::Solarise(m / 255.0),
            "translate-x" => Operation::TranslateX(m),
            "translate-y" => Operation::TranslateY(m),
            other => panic!("{other}"),
        }
    }

    /// `tests/golden/rand_augment.py` says how the file was made.
    #[test]
    fn operations_are_pillows() {
        let golden: Golden = serde_json::from_str(include_str!("../tests/golden/rand_augment.json")).unwrap();
        let [h, w] = golden.sides;
        for Case { operation, magnitude, channels, pixels } in golden.cases {
            let (original, pixels) = (bytes(&golden.images[usize::from(channels == 3)]), bytes(&pixels));
            let mut image: Vec<f32> = original.iter().map(|b| f32::from(*b) / 255.0).collect();
            named(&operation, magnitude).apply(&mut image, [channels, h, w], &mut Vec::new());
            let off = image.iter().zip(&pixels).filter(|(v, b)| (**v * 255.0 - f32::from(**b)).abs() > 1.51).count();
            // Two roundings to bytes. Pillow moves images by whole numbers of 1/65536 pixels: a pixel on the border of two may be the other.
            let most =
                if matches!(operation.as_str(), "rotate" | "shear-x" | "shear-y") { pixels.len() / 50 } else { 0 };
            assert!(off <= most, "{operation} {magnitude} of {channels}: {off} of {} pixels", pixels.len());
        }
    }

    /// Whatever is drawn, images stay images; flat ones, tiny ones and empty ones too.
    #[test]
    fn images_stay_images() {
        for (i, shape) in [[1, 28, 28], [3, 32, 32], [2, 5, 7], [1, 1, 1], [3, 1, 9], [1, 0, 0]].into_iter().enumerate()
        {
            let mut rng = Seed(3).rng(i as u64);
            let n: usize = shape.iter().product();
            let (mut scratch, flat) = (Vec::new(), vec![0.25; n]);
            for _ in 0..300 {
                let mut image: Vec<f32> = (0..n).map(|_| rng.uniform() as f32).collect();
                rand_augment(&mut image, shape, 3, 0.5, &mut rng, &mut scratch);
                assert!(image.iter().all(|v| (-1e-6..=1.0 + 1e-6).contains(v)), "{shape:?}");
                let mut same = flat.clone();
                Operation::AutoContrast.apply(&mut same, shape, &mut scratch);
                Operation::Equalise.apply(&mut same, shape, &mut scratch);
                assert_eq!(same, flat);
            }
        }
    }

    /// All fourteen happen: of 2,000 draws one is missing with a probability below 1e-62.
    #[test]
    fn every_operation_is_drawn() {
        let mut rng = Seed(1).rng(0);
        let drawn: std::collections::HashSet<_> =
            (0..2_000).map(|_| std::mem::discriminant(&Operation::draw(&mut rng))).collect();
        assert_eq!(drawn.len(), 14);
    }
}
