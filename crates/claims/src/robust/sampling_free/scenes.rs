//! Grey canvases with digits to be found and scraps of other digits between them.

use ndarray::{Array2, Axis};
use quadrat_core::{Result, Rng, Seed};
use quadrat_data::{builtin, images::resize};
use quadrat_numeric::average_precision::Truth;
use quadrat_robust::detection::{Bounds, Object, iou};

/// Pixels on a side of a canvas.
pub const SIDE: usize = 64;
/// Pixels on a side of a digit's picture, and of a scrap.
const DIGIT: usize = 28;
const SCRAP: usize = 8;
/// How bright an empty canvas is.
const GREY: f32 = 0.2;
/// Deviation of the noise.
const NOISE: f64 = 0.05;
/// Most overlap of two digits.
const OVERLAP: f32 = 0.2;

/// Digits to draw from.
pub struct Digits {
    pixels: Array2<f32>,
    labels: Vec<u32>,
}

/// Images (one a row) and what is in each.
pub struct Scenes {
    pub pixels: Array2<f32>,
    pub objects: Vec<Vec<Object>>,
}

impl Digits {
    /// The digits below `classes`.
    pub fn read(classes: usize) -> Result<Self> {
        let (pixels, labels, _) = builtin::labelled("mnist")?;
        let rows: Vec<usize> = (0..labels.len()).filter(|row| (labels[*row] as usize) < classes).collect();
        let pixels = pixels.select(Axis(0), &rows).mapv(|v| (v / 255.0) as f32);
        Ok(Digits { pixels, labels: rows.iter().map(|row| labels[*row]).collect() })
    }

    /// So many scenes; those to test on have digits that those to train on never have.
    pub fn scenes(&self, n: usize, test: bool, seed: Seed) -> Scenes {
        let seed = seed.stream(if test { "test scenes" } else { "training scenes" });
        let mut pixels = Array2::from_elem((n, SIDE * SIDE), GREY);
        let objects = (0..n).map(|i| self.scene(pixels.row_mut(i), test, &mut seed.rng(i as u64))).collect();
        Scenes { pixels, objects }
    }

    /// A digit's row, of the last third for tests.
    fn draw(&self, test: bool, rng: &mut Rng) -> usize {
        // Rows are in no order of classes that matters: thirds are taken by remainders.
        let third = rng.below(self.labels.len() / 3) * 3;
        if test { third + 2 } else { third + rng.below(2) }
    }

    fn scene(&self, mut canvas: ndarray::ArrayViewMut1<f32>, test: bool, rng: &mut Rng) -> Vec<Object> {
        let mut objects: Vec<Object> = Vec::new();
        let mut put = |ink: &[f32], side: usize, [x, y]: [usize; 2]| {
            for (i, ink) in ink.iter().enumerate() {
                let (row, column) = (y + i / side, x + i % side);
                if row < SIDE && column < SIDE {
                    let at = &mut canvas[row * SIDE + column];
                    *at = at.max(GREY + (1.0 - GREY) * ink);
                }
            }
        };
        for _ in 0..4 + rng.below(4) {
            let (row, x, y) = (self.draw(test, rng), rng.below(DIGIT - SCRAP), rng.below(DIGIT - SCRAP));
            let digit = self.pixels.row(row);
            let scrap: Vec<f32> = (0..SCRAP * SCRAP).map(|i| digit[(y + i / SCRAP) * DIGIT + x + i % SCRAP]).collect();
            put(&scrap, SCRAP, [rng.below(SIDE - SCRAP), rng.below(SIDE - SCRAP)]);
        }
        for _ in 0..1 + rng.below(3) {
            let row = self.draw(test, rng);
            let side = (DIGIT as f64 * (0.6 + 0.8 * rng.uniform())).round() as usize;
            let digit = self.pixels.row(row).to_owned();
            let Ok(digit) = digit.into_shape_with_order((1, DIGIT, DIGIT)) else { continue };
            let ink: Vec<f32> = resize(digit, (side, side)).into_iter().collect();
            let Some(tight) = tight(&ink, side) else { continue };
            // A few tries for a place beside the others.
            for _ in 0..10 {
                let at = [rng.below(SIDE - side), rng.below(SIDE - side)];
                let moved = |v: f32, at: usize| v + at as f32;
                let bounds =
                    [moved(tight[0], at[0]), moved(tight[1], at[1]), moved(tight[2], at[0]), moved(tight[3], at[1])];
                if objects.iter().all(|other| iou(other.bounds, bounds) < OVERLAP) {
                    put(&ink, side, at);
                    objects.push(Object { bounds, class: self.labels[row], crowd: false });
                    break;
                }
            }
        }
        canvas.iter_mut().for_each(|v| *v += (NOISE * rng.normal()) as f32);
        objects
    }
}

/// The smallest box around the pixels that can be seen.
fn tight(ink: &[f32], side: usize) -> Option<Bounds> {
    let seen: Vec<[usize; 2]> =
        ink.iter().enumerate().filter(|(_, v)| **v > 0.2).map(|(i, _)| [i % side, i / side]).collect();
    let end = |axis: usize, of: fn(usize, usize) -> usize| seen.iter().map(|at| at[axis]).reduce(of);
    let [left, top] = [end(0, usize::min)?, end(1, usize::min)?];
    let [right, bottom] = [end(0, usize::max)? + 1, end(1, usize::max)? + 1];
    Some([left, top, right, bottom].map(|v| v as f32))
}

impl Scenes {
    /// The objects as figures want them.
    pub fn truth(&self) -> Vec<Truth> {
        let of_image = |(image, objects): (usize, &Vec<Object>)| {
            objects
                .iter()
                .map(move |o| {
                    let [left, top, right, bottom] = o.bounds.map(f64::from);
                    let (width, height) = (right - left, bottom - top);
                    let (bounds, area) = ([left, top, width, height], width * height);
                    Truth { image: image as u32, class: o.class, bounds, area, crowd: false }
                })
                .collect::<Vec<_>>()
        };
        self.objects.iter().enumerate().flat_map(of_image).collect()
    }
}
