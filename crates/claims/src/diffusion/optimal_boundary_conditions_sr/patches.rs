//! Patches of photographs, and what is looked at in them.

use ndarray::{Array2, ArrayView1, ArrayView2};
use quadrat_core::{Result, Seed, stats};
use quadrat_data::builtin;

/// Pixels of a patch's side, of a patch, and of the small patch.
const SIDE: usize = 8;
pub(super) const DIMS: usize = SIDE * SIDE;
pub(super) const SMALL: usize = DIMS / 4;
/// What is added to a small patch's standard deviation, of pixels from 0 to 1, before it divides: flat patches stay flat.
const FLAT: f64 = 0.02;
/// Pixels of a photograph's side.
const WHOLE: usize = 256;

/// Grey photographs, to learn from and to measure on.
pub(super) struct Patches {
    photographs: [Vec<Array2<f64>>; 2],
}

impl Patches {
    pub(super) fn new() -> Result<Self> {
        let mut photographs = [Vec::new(), Vec::new()];
        for photograph in builtin::photographs() {
            let pixels = photograph.pixels()?;
            let channels = pixels.dim().0;
            let grey = Array2::from_shape_fn((WHOLE, WHOLE), |(y, x)| {
                (0..channels).map(|c| f64::from(pixels[[c, y, x]])).sum::<f64>() / channels as f64
            });
            photographs[usize::from(photograph.test)].push(grey);
        }
        Ok(Patches { photographs })
    }

    /// Patches from random places, and their means of 2 x 2 pixels, less the small patch's brightness and contrast.
    pub(super) fn drawn(&self, test: bool, n: usize, seed: Seed) -> Result<(Array2<f64>, Array2<f64>)> {
        let from = &self.photographs[usize::from(test)];
        let mut patches = Array2::zeros((n, DIMS));
        for (i, mut patch) in patches.outer_iter_mut().enumerate() {
            let mut rng = seed.rng(i as u64);
            let photograph = &from[rng.below(from.len())];
            let [y, x] = [0, 0].map(|_| rng.below(WHOLE - SIDE));
            patch.indexed_iter_mut().for_each(|(p, v)| *v = photograph[[y + p / SIDE, x + p % SIDE]]);
        }
        let mut small = halved(patches.view());
        for (mut patch, mut small) in patches.outer_iter_mut().zip(small.outer_iter_mut()) {
            let brightness = small.sum() / SMALL as f64;
            let contrast = FLAT + stats::standard_deviation(&small.to_vec());
            patch.mapv_inplace(|v| (v - brightness) / contrast);
            small.mapv_inplace(|v| (v - brightness) / contrast);
        }
        Ok((patches, small))
    }
}

/// Means of 2 x 2 pixels.
fn halved(patches: ArrayView2<f64>) -> Array2<f64> {
    Array2::from_shape_fn((patches.nrows(), SMALL), |(i, k)| {
        let (y, x) = (2 * (k / (SIDE / 2)), 2 * (k % (SIDE / 2)));
        let pixel = |dy: usize, dx: usize| patches[[i, (y + dy) * SIDE + x + dx]];
        (pixel(0, 0) + pixel(0, 1) + pixel(1, 0) + pixel(1, 1)) / 4.0
    })
}

/// Each pixel of small patches four times.
pub(super) fn repeated(small: ArrayView2<f64>) -> Array2<f64> {
    Array2::from_shape_fn((small.nrows(), DIMS), |(i, p)| small[[i, p / SIDE / 2 * (SIDE / 2) + p % SIDE / 2]])
}

/// Steps to neighbours: to the right, down, and along both diagonals.
const DIRECTIONS: [[usize; 4]; 4] = [[0, 0, 0, 1], [0, 0, 1, 0], [0, 0, 1, 1], [0, 1, 1, 0]];

/// For each block of 2 x 2 pixels the mean absolute difference to neighbours in four directions, and the mean: what an edge is, whatever its
/// exact place and sign.
pub(super) fn features(patches: ArrayView2<f64>) -> Result<Array2<f64>> {
    let mut found = Array2::zeros((patches.nrows(), 5 * SMALL));
    for (mut row, patch) in found.outer_iter_mut().zip(patches.outer_iter()) {
        let block = |y: usize, x: usize| y / 2 * (SIDE / 2) + x / 2;
        for (y, x) in (0..SIDE).flat_map(|y| (0..SIDE).map(move |x| (y, x))) {
            row[block(y, x)] += patch[y * SIDE + x] / 4.0;
            for (direction, size) in gradients(patch, y, x) {
                row[(1 + direction) * SMALL + block(y, x)] += size / 4.0;
            }
        }
    }
    Ok(found)
}

/// The mean squared difference to the neighbours on the right and below.
pub(super) fn gradient_energy(patches: ArrayView2<f64>) -> f64 {
    let places = || (0..SIDE).flat_map(|y| (0..SIDE).map(move |x| (y, x)));
    let of = |patch: ArrayView1<f64>| {
        let each = places().flat_map(|(y, x)| gradients(patch, y, x)).filter(|(direction, _)| *direction < 2);
        each.map(|(_, size)| size * size).sum::<f64>()
    };
    patches.outer_iter().map(of).sum::<f64>() / patches.nrows() as f64
}

/// Directions in which a pixel has a neighbour, and the absolute differences.
fn gradients(patch: ArrayView1<f64>, y: usize, x: usize) -> Vec<(usize, f64)> {
    let inside = |step: &[usize; 4]| y + step[0].max(step[2]) < SIDE && x + step[1].max(step[3]) < SIDE;
    let size = |[a, b, c, d]: [usize; 4]| (patch[(y + a) * SIDE + x + b] - patch[(y + c) * SIDE + x + d]).abs();
    let all = DIRECTIONS.iter().enumerate().filter(|(_, step)| inside(step));
    all.map(|(direction, step)| (direction, size(*step))).collect()
}
