//! Noise as a camera makes it: shot and read noise on a mosaic of colours, of which neighbouring pixels then share some.

use ndarray::{Array2, Array3, ArrayView1, ArrayView3, Axis};
use quadrat_core::Rng;

/// A camera. Numbers are shares of the brightest value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Camera {
    /// Variance of the shot noise, as a multiple of the light.
    pub gain: f64,
    /// Standard deviation of the read noise.
    pub read: f64,
}

/// What red, green and blue are multiplied with.
const WHITE: [f64; 3] = [2.0, 1.0, 1.6];
const GAMMA: f64 = 2.2;
/// A normal law of a standard deviation of one pixel.
const LENS: [f64; 5] = [0.0545, 0.2442, 0.4026, 0.2442, 0.0545];

/// The colour of a place of the mosaic: red and green, below them green and blue.
fn colour(y: usize, x: usize) -> usize {
    y % 2 + x % 2
}

impl Camera {
    /// What the camera makes of a scene (a photograph in three colours), without noise and with it in 8 bits. The lens spreads
    /// light over a pixel; noise of the mosaic is normal, its variance `gain` x light + `read`² (Foi et al. 2008); then bilinear
    /// colours, white balance, gamma.
    pub fn shoot(&self, scene: ArrayView3<f32>, rng: &mut Rng) -> (Array3<f32>, Array3<f32>) {
        let (_, h, w) = scene.dim();
        let linear = scene.mapv(|v| f64::from(v).powf(GAMMA));
        let light = Array2::from_shape_fn((h, w), |(y, x)| {
            let c = colour(y, x);
            let tap = |i: usize| spread(linear.index_axis(Axis(0), c).row(inside(y, i, h)), x) * LENS[i];
            (0..5).map(tap).sum::<f64>() / WHITE[c]
        });
        let noisy = light.mapv(|v| v + (self.gain * v + self.read * self.read).sqrt() * rng.normal());
        let round = |v: f32| (v * 255.0).round() / 255.0;
        (developed(&light), developed(&noisy).mapv(round))
    }
}

/// The place `i - 2` away, or the border.
fn inside(y: usize, i: usize, n: usize) -> usize {
    (y + i).saturating_sub(2).min(n - 1)
}

/// The light of a row at a place, spread across.
fn spread(row: ArrayView1<f64>, x: usize) -> f64 {
    (0..5).map(|i| LENS[i] * row[inside(x, i, row.len())]).sum()
}

/// Colours of a mosaic: the mean of the neighbours of that colour in a cell of 3 x 3, weighted 1, 2, 4 from the corner to the centre.
fn developed(mosaic: &Array2<f64>) -> Array3<f32> {
    let (h, w) = mosaic.dim();
    Array3::from_shape_fn((3, h, w), |(c, y, x)| {
        // What is mirrored at the border has the colour of the place it stands for.
        let places = (0..9)
            .map(|i| (mirrored(y + i / 3, h), mirrored(x + i % 3, w), [1.0, 2.0, 1.0][i / 3] * [1.0, 2.0, 1.0][i % 3]));
        // At a place of its own colour, that alone.
        let own = colour(y, x) == c;
        let (mut sum, mut total) = (0.0, 0.0);
        for (i, (y, x, weight)) in places.enumerate() {
            if colour(y, x) == c && (!own || i == 4) {
                sum += weight * mosaic[[y, x]];
                total += weight;
            }
        }
        (sum / total * WHITE[c]).clamp(0.0, 1.0).powf(1.0 / GAMMA) as f32
    })
}

/// The place `i - 1`, mirrored without the border, so that colours keep their places.
fn mirrored(i: usize, n: usize) -> usize {
    match i {
        0 => 1,
        i if i > n => n - 2,
        i => i - 1,
    }
}

/// Brightness of three colours.
pub(super) fn grey(image: ArrayView3<f32>) -> Array3<f32> {
    let luma = |y: usize, x: usize| 0.299 * image[[0, y, x]] + 0.587 * image[[1, y, x]] + 0.114 * image[[2, y, x]];
    Array3::from_shape_fn((1, image.dim().1, image.dim().2), |(_, y, x)| luma(y, x))
}

/// The correlation of noise with that `lag` pixels to the right and below, mean over channels.
pub(super) fn correlation(noise: ArrayView3<f32>, lag: usize) -> f64 {
    let channels = noise.outer_iter().map(|plane| {
        let plane = plane.mapv(f64::from);
        let mean = plane.mean().unwrap_or(0.0);
        let product = |dy: usize, dx: usize| {
            let a = plane.slice(ndarray::s![dy.., dx..]);
            let b = plane.slice(ndarray::s![..plane.nrows() - dy, ..plane.ncols() - dx]);
            (&a - mean).iter().zip(&b - mean).map(|(a, b)| a * b).sum::<f64>() / a.len() as f64
        };
        (product(lag, 0) + product(0, lag)) / 2.0 / product(0, 0)
    });
    channels.sum::<f64>() / noise.len_of(Axis(0)).max(1) as f64
}
