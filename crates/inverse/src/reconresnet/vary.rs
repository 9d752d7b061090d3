//! Slices changed by chance, so that few of them teach much.

use ndarray::Array2;
use quadrat_core::Rng;

/// Points of the grid that bends a slice, along each axis.
const KNOTS: usize = 5;
/// Standard deviations: of a knot's move as a share of the side, of the turn in radians, of the logarithm of the size, and of that of the
/// exponent of the contrast.
const MOVE: f64 = 0.015;
const TURN: f64 = 0.2;
const SIZE: f64 = 0.12;
const CONTRAST: f64 = 0.35;

/// A slice (from 0 to 1) mirrored left to right or not, turned, resized, bent smoothly, and its values raised to a power near 1, all by
/// chance. What comes from outside is 0.
///
/// Cost: 20 reads and some 60 multiply-adds a pixel.
pub fn vary(slice: &Array2<f32>, rng: &mut Rng) -> Array2<f32> {
    let (height, width) = slice.dim();
    let side = height.max(width) as f64;
    let mirrored = if rng.uniform() < 0.5 { -1.0 } else { 1.0 };
    let (sine, cosine) = (TURN * rng.normal()).sin_cos();
    let size = (SIZE * rng.normal()).exp();
    let power = (CONTRAST * rng.normal()).exp() as f32;
    let knots: [[[f64; KNOTS]; KNOTS]; 2] =
        std::array::from_fn(|_| std::array::from_fn(|_| std::array::from_fn(|_| MOVE * side * rng.normal())));
    let middle = [(height as f64 - 1.0) / 2.0, (width as f64 - 1.0) / 2.0];
    Array2::from_shape_fn((height, width), |(i, j)| {
        let (y, x) = (i as f64 - middle[0], j as f64 - middle[1]);
        let at = |place: usize, side: usize| place as f64 / side.max(2) as f64 * (KNOTS - 3) as f64;
        let (down, across) = (cubic(at(i, height)), cubic(at(j, width)));
        let bend = |knots: &[[f64; KNOTS]; KNOTS]| -> f64 {
            let line = |row: &[f64; KNOTS]| (0..4).map(|k| across.1[k] * row[across.0 + k]).sum::<f64>();
            (0..4).map(|k| down.1[k] * line(&knots[down.0 + k])).sum()
        };
        let from = [
            size * (cosine * y - sine * x) + bend(&knots[0]) + middle[0],
            mirrored * size * (sine * y + cosine * x) + bend(&knots[1]) + middle[1],
        ];
        between(slice, from).clamp(0.0, 1.0).powf(power)
    })
}

/// The first knot that counts at a place, and the weights of four from it on: cubic B-splines.
fn cubic(at: f64) -> (usize, [f64; 4]) {
    let first = (at as usize).min(KNOTS - 4);
    let t = at - first as f64;
    let u = 1.0 - t;
    let weights = [u.powi(3), 3.0 * t.powi(3) - 6.0 * t * t + 4.0, 3.0 * u.powi(3) - 6.0 * u * u + 4.0, t.powi(3)]
        .map(|w| w / 6.0);
    (first, weights)
}

/// The value between four pixels, by lines; 0 outside.
fn between(slice: &Array2<f32>, [y, x]: [f64; 2]) -> f32 {
    let (top, left) = (y.floor(), x.floor());
    let (down, across) = ((y - top) as f32, (x - left) as f32);
    let pixel = |i: f64, j: f64| {
        let inside = i >= 0.0 && j >= 0.0;
        if inside { slice.get((i as usize, j as usize)).copied().unwrap_or(0.0) } else { 0.0 }
    };
    let line = |i: f64| (1.0 - across) * pixel(i, left) + across * pixel(i, left + 1.0);
    (1.0 - down) * line(top) + down * line(top + 1.0)
}
