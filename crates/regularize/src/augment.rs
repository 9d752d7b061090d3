//! Augmentation of images: each time a row is visited it is shifted, mirrored and cropped anew.

use quadrat_core::{Area, Card, Error, Method, Result, Rng, Seed, Settings};
use quadrat_nn::{Batch, Parameters, Run, TrainMethod};
use quadrat_numeric::rand_augment::move_plane;
use quadrat_numeric::{by_rows, matrix};

/// Random shifts, mirror images and crops of rows that are images (channels x height x width).
#[derive(Debug, Clone, PartialEq, Settings)]
pub struct Augment {
    /// How far an image moves at most in each direction; what becomes free is 0.
    #[param(default = 2, unit = "pixels")]
    pub shift: usize,
    /// Mirror every second image left to right, drawn.
    #[param(default = false)]
    pub flip: bool,
    /// Least share of both sides that is cut out and enlarged again (bilinear); 1 for none.
    #[param(default = 1.0, above = 0, to = 1)]
    pub crop: f32,
    /// CHANNELSxHEIGHTxWIDTH; without it one channel or three of a square.
    #[param(none = "auto", parse = Augment::parse_shape)]
    pub shape: Option<[usize; 3]>,
    /// What is drawn from: a run sets it.
    pub seed: Seed,
}

impl Method for Augment {
    const CARD: Card = Card {
        slug: "augment",
        aliases: &["augmentation"],
        title: "Augmentation of images",
        paper: "He et al., CVPR 2016, arXiv 1512.03385 (shifts and mirror images); Szegedy et al., CVPR 2015, arXiv \
                1409.4842 (crops)",
        area: Area::Regularize,
        verbs: &["train"],
        summary: "Shifts, mirrors and crops each image anew whenever it is visited.",
        useful_when: "too few images; my classifier of images overfits; objects may stand anywhere or face either way",
        cost: "at most a hundred nanoseconds a pixel and visit",
        params: Self::PARAMS,
    };
}

impl Augment {
    /// A shape from text such as `3x32x48`.
    ///
    /// # Errors
    /// Something else.
    pub fn parse_shape(text: &str) -> Result<[usize; 3]> {
        let sides: Option<Vec<usize>> = text.split('x').map(|side| side.trim().parse().ok()).collect();
        let sides = sides.and_then(|sides| <[usize; 3]>::try_from(sides).ok());
        sides.ok_or_else(|| Error::input("shape", format!("`{text}`"), "CHANNELSxHEIGHTxWIDTH, such as 3x32x48"))
    }

    fn change(&self, image: &mut [f32], [h, w]: [usize; 2], rng: &mut Rng, old: &mut Vec<f32>) {
        let mut shift = || rng.below(2 * self.shift + 1) as isize - self.shift as isize;
        let (down, right) = (shift(), shift());
        let mirrored = self.flip && rng.below(2) == 1;
        for plane in image.chunks_mut(h * w) {
            move_plane(plane, [h, w], [down, right], mirrored, old);
        }
        if self.crop < 1.0 {
            let share = f64::from(self.crop) + (1.0 - f64::from(self.crop)) * rng.uniform();
            let (top, left) = (rng.uniform() * (1.0 - share) * h as f64, rng.uniform() * (1.0 - share) * w as f64);
            for plane in image.chunks_mut(h * w) {
                old.clear();
                old.extend_from_slice(plane);
                cut_out(old, plane, [h, w], [top, left], share);
            }
        }
    }
}

/// The shape of images in rows of `width` numbers: as given, or one channel or three of a square.
///
/// # Errors
/// Rows that are not such images.
pub(crate) fn image_shape(given: Option<[usize; 3]>, width: usize) -> Result<[usize; 3]> {
    let square = |channels: usize| {
        let side = (width as f64 / channels as f64).sqrt().round() as usize;
        Some([channels, side, side]).filter(|_| channels * side * side == width)
    };
    let fits = |shape: &[usize; 3]| shape.iter().try_fold(1, |all: usize, n| all.checked_mul(*n)) == Some(width);
    match given {
        Some(shape) => Some(shape).filter(fits),
        None => square(1).or_else(|| square(3)),
    }
    .ok_or_else(|| {
        let shape = given.map_or_else(|| "no shape".to_owned(), |[c, h, w]| format!("shape {c}x{h}x{w}"));
        let got = format!("rows of {width} numbers, {shape}");
        Error::input("images", got, "images of channels x height x width: say their shape")
    })
}

/// Calls `change` with each image of a batch and its row.
///
/// # Errors
/// None: the images keep their size.
pub(crate) fn each_image(batch: &mut Batch, mut change: impl FnMut(usize, &mut [f32])) -> Result<()> {
    let (rows, width) = batch.inputs.dim();
    // A batch may come in any layout from methods before this one.
    let inputs = by_rows(std::mem::take(&mut batch.inputs));
    let mut values: Vec<f32> = inputs.into_iter().collect();
    values.chunks_mut(width.max(1)).enumerate().for_each(|(row, image)| change(row, image));
    batch.inputs = matrix((rows, width), values)?;
    Ok(())
}

/// The part of a plane that begins at `[top, left]` and has this share of its sides, as large as the whole.
fn cut_out(old: &[f32], new: &mut [f32], [h, w]: [usize; 2], [top, left]: [f64; 2], share: f64) {
    // The two neighbours of a position on the old axis, and the share of the second.
    let between = |i: usize, start: f64, n: usize| {
        let at = (start + (i as f64 + 0.5) * share - 0.5).clamp(0.0, (n - 1) as f64);
        (at as usize, (at as usize + 1).min(n - 1), at.fract() as f32)
    };
    for (y, row) in new.chunks_mut(w).enumerate() {
        let (above, below, down) = between(y, top, h);
        for (x, pixel) in row.iter_mut().enumerate() {
            let (before, after, right) = between(x, left, w);
            let across = |y: usize| old[y * w + before] * (1.0 - right) + old[y * w + after] * right;
            *pixel = across(above) * (1.0 - down) + across(below) * down;
        }
    }
}

impl TrainMethod for Augment {
    fn name(&self) -> &str {
        "augment"
    }

    fn settings(&self) -> String {
        format!("shape={:?} shift={} flip={} crop={}", self.shape, self.shift, self.flip, self.crop)
    }

    fn begin(&mut self, run: &Run<'_>, _: &mut Parameters) -> Result<()> {
        run.takes_numbers("augment")?;
        let shape = image_shape(self.shape, run.network.inputs())?;
        if self.shift >= shape[1].min(shape[2]) {
            let got = format!("{} pixels of {} x {}", self.shift, shape[1], shape[2]);
            return Err(Error::input("shift", got, "less than a side"));
        }
        if !(self.crop > 0.0 && self.crop <= 1.0) {
            return Err(Error::input("crop", self.crop, "above 0, at most 1"));
        }
        (self.shape, self.seed) = (Some(shape), run.seed);
        Ok(())
    }

    fn prepare(&mut self, batch: &mut Batch) -> Result<()> {
        let [_, h, w] = image_shape(self.shape, batch.inputs.ncols())?;
        let (mut rng, mut old) = (self.seed.rng(batch.at.step as u64), Vec::new());
        each_image(batch, |_, image| self.change(image, [h, w], &mut rng, &mut old))?;
        Ok(())
    }
}

/// By how much, down and right, `new` is `old` moved; at most `most` pixels each way.
#[cfg(test)]
pub(crate) fn shift_between(old: &[f32], new: &[f32], [h, w]: [usize; 2], most: isize) -> Option<[isize; 2]> {
    let all = (-most..=most).flat_map(|down| (-most..=most).map(move |right| [down, right]));
    all.into_iter().find(|[down, right]| {
        (0..old.len()).all(|i| {
            let (y, x) = ((i / w % h) as isize - down, (i % w) as isize - right);
            let inside = (0..h as isize).contains(&y) && (0..w as isize).contains(&x);
            new[i] == if inside { old[i / (h * w) * h * w + y as usize * w + x as usize] } else { 0.0 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;
    use quadrat_nn::{At, Samples};

    fn batch(width: usize, rows: usize) -> Batch {
        let inputs = Array2::from_shape_fn((rows, width), |(i, j)| 1.0 + (i * width + j) as f32);
        let samples = Samples::classes(inputs, vec![0; rows], 2).unwrap();
        samples.batch(At { epoch: 0, step: 3 }, &(0..rows as u32).collect::<Vec<_>>())
    }

    fn changed(method: Augment, shape: [usize; 3], rows: usize) -> (Batch, Batch) {
        let mut method = Augment { seed: Seed(2), shape: Some(shape), ..method };
        let (before, mut after) = (batch(shape.iter().product(), rows), batch(shape.iter().product(), rows));
        method.prepare(&mut after).unwrap();
        (before, after)
    }

    /// Every image is one of the (2 s + 1)² shifts of its original, all of which appear among many (the chance that one
    /// of nine is missing in 400 is below 1e-19).
    #[test]
    fn shifts_move_whole_images_and_all_shifts_happen() {
        let (before, after) = changed(Augment { shift: 1, ..Augment::default() }, [2, 3, 4], 400);
        let mut seen = std::collections::BTreeSet::new();
        for (old, new) in before.inputs.outer_iter().zip(after.inputs.outer_iter()) {
            seen.insert(shift_between(&old.to_vec(), &new.to_vec(), [3, 4], 1).expect("a shift"));
        }
        assert_eq!(seen.len(), 9);
    }

    /// Images are whole or mirrored; among 400 both within five deviations of a half (one alarm in two million).
    #[test]
    fn flips_mirror_half_of_the_images() {
        let (before, after) = changed(Augment { shift: 0, flip: true, ..Augment::default() }, [1, 3, 5], 400);
        let mut mirrored = 0;
        for (old, new) in before.inputs.outer_iter().zip(after.inputs.outer_iter()) {
            let is = (0..15).all(|i| new[i] == old[i / 5 * 5 + 4 - i % 5]);
            assert!(is || old == new);
            mirrored += usize::from(is);
        }
        assert!((150..=250).contains(&mirrored), "{mirrored}");
    }

    #[test]
    fn crops_stay_within_their_image_and_a_whole_one_is_the_image() {
        let ramp: Vec<f32> = (0..12).map(|i| (i % 4) as f32).collect();
        let mut new = vec![0.0; 12];
        cut_out(&ramp, &mut new, [3, 4], [0.0, 0.0], 1.0);
        assert_eq!(new, ramp);
        // Half the sides from the second column on: positions 1 + (x + 1/2)/2 − 1/2.
        cut_out(&ramp, &mut new, [3, 4], [1.0, 1.0], 0.5);
        assert_eq!(new[..4], [0.75, 1.25, 1.75, 2.25]);
        let (before, after) = changed(Augment { shift: 0, crop: 0.5, ..Augment::default() }, [3, 6, 6], 50);
        for (old, new) in before.inputs.outer_iter().zip(after.inputs.outer_iter()) {
            assert!(new.iter().all(|v| (old[0]..=old[107]).contains(v)));
        }
        assert_eq!(changed(Augment { shift: 0, ..Augment::default() }, [1, 4, 4], 5).1.inputs, batch(16, 5).inputs);
    }

    #[test]
    fn shapes_are_guessed_or_said() {
        assert_eq!(image_shape(None, 784).unwrap(), [1, 28, 28]);
        assert_eq!(image_shape(None, 3072).unwrap(), [3, 32, 32]);
        assert!(image_shape(None, 10).is_err());
        let said = Some(Augment::parse_shape("2x3x5").unwrap());
        assert_eq!(image_shape(said, 30).unwrap(), [2, 3, 5]);
        assert!(image_shape(said, 31).is_err() && Augment::parse_shape("3x4").is_err());
        assert!(image_shape(Some([usize::MAX, 2, 2]), 4).is_err());
    }
}
