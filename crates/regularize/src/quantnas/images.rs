//! Images made smaller and larger, and how alike two are.

use ndarray::{Array2, ArrayView2};
use quadrat_core::{Error, Result};

/// Keys' cubic kernel with a = −1/2.
fn cubic(x: f64) -> f64 {
    let x = x.abs();
    match x {
        x if x < 1.0 => 1.5 * x.powi(3) - 2.5 * x * x + 1.0,
        x if x < 2.0 => -0.5 * x.powi(3) + 2.5 * x * x - 4.0 * x + 2.0,
        _ => 0.0,
    }
}

/// For each new position the old ones it is made of, with their weights; the kernel widens where the axis shrinks, and
/// the edges are repeated.
fn weights(old: usize, new: usize) -> Vec<Vec<(usize, f64)>> {
    let ratio = old as f64 / new as f64;
    let wide = ratio.max(1.0);
    let one = |i: usize| {
        let centre = (i as f64 + 0.5) * ratio - 0.5;
        let (from, to) = ((centre - 2.0 * wide).floor() as i64, (centre + 2.0 * wide).ceil() as i64);
        let taps: Vec<(usize, f64)> = (from..=to)
            .map(|j| (j.clamp(0, old as i64 - 1) as usize, cubic((j as f64 - centre) / wide)))
            .filter(|(_, w)| *w != 0.0)
            .collect();
        let sum: f64 = taps.iter().map(|(_, w)| w).sum();
        taps.into_iter().map(|(j, w)| (j, w / sum)).collect()
    };
    (0..new).map(one).collect()
}

/// The same as a matrix, new x old, row by row.
pub(super) fn interpolation(old: usize, new: usize) -> Vec<f32> {
    let mut matrix = vec![0.0; new * old];
    for (row, taps) in matrix.chunks_mut(old).zip(weights(old, new)) {
        taps.into_iter().for_each(|(j, w)| row[j] += w as f32);
    }
    matrix
}

/// Images (rows of `channels` x h x w) at another size by bicubic interpolation (a = −0.5, widened against aliasing where
/// they shrink). Values may leave the range of the input a little.
///
/// # Errors
/// Rows of another length, or a size of 0.
pub fn resize(images: ArrayView2<f32>, channels: usize, from: [usize; 2], to: [usize; 2]) -> Result<Array2<f32>> {
    let ([h, w], [nh, nw]) = (from, to);
    if images.ncols() != channels * h * w || channels * h * w * nh * nw == 0 {
        let got = format!("rows of {} for {channels} x {h} x {w} to {nh} x {nw}", images.ncols());
        return Err(Error::input("images", got, "rows of channels x height x width, and sizes of at least 1"));
    }
    let (down, across) = (weights(h, nh), weights(w, nw));
    let mut resized = Array2::zeros((images.nrows(), channels * nh * nw));
    for (image, mut out) in images.outer_iter().zip(resized.outer_iter_mut()) {
        for c in 0..channels {
            let mut rows = vec![0.0f64; h * nw];
            for y in 0..h {
                for (x, taps) in across.iter().enumerate() {
                    rows[y * nw + x] = taps.iter().map(|(j, t)| t * f64::from(image[(c * h + y) * w + j])).sum();
                }
            }
            for (y, taps) in down.iter().enumerate() {
                for x in 0..nw {
                    let v: f64 = taps.iter().map(|(j, t)| t * rows[j * nw + x]).sum();
                    out[(c * nh + y) * nw + x] = v as f32;
                }
            }
        }
    }
    Ok(resized)
}

/// Peak signal-to-noise ratio in decibels of the luminance (ITU-R BT.601) of two colour images of 3 x h x w in [0, 1],
/// both rounded to 8 bits, `border` pixels at each edge left out. Infinite for equal images.
///
/// # Errors
/// Images of another size, or nothing left within the border.
pub fn psnr_y(a: &[f32], b: &[f32], h: usize, w: usize, border: usize) -> Result<f64> {
    if a.len() != 3 * h * w || b.len() != a.len() || 2 * border >= h.min(w) {
        let got = format!("{} and {} values, border {border}", a.len(), b.len());
        return Err(Error::input("images", got, format!("3 x {h} x {w} each, the border less than half a side")));
    }
    let byte = |v: f32| f64::from((v.clamp(0.0, 1.0) * 255.0).round());
    let luminance = |image: &[f32], i: usize| {
        let channel = |c: usize| byte(image[c * h * w + i]);
        16.0 + (65.481 * channel(0) + 128.553 * channel(1) + 24.966 * channel(2)) / 255.0
    };
    let mut squares = 0.0;
    for y in border..h - border {
        for x in border..w - border {
            let i = y * w + x;
            squares += (luminance(a, i) - luminance(b, i)).powi(2);
        }
    }
    let mean = squares / ((h - 2 * border) * (w - 2 * border)) as f64;
    Ok(10.0 * (255.0f64 * 255.0 / mean).log10())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_stay_and_lines_stay_lines() {
        let constant = Array2::from_elem((1, 3 * 64), 0.7f32);
        for to in [[16, 16], [4, 4], [5, 9]] {
            let resized = resize(constant.view(), 3, [8, 8], to).unwrap();
            assert!(resized.iter().all(|v| (v - 0.7).abs() < 1e-6));
        }
        let line = Array2::from_shape_fn((1, 16), |(_, i)| i as f32);
        let double = resize(line.view(), 1, [1, 16], [1, 32]).unwrap();
        for i in 8..24 {
            assert!((double[[0, i]] - ((i as f32 + 0.5) / 2.0 - 0.5)).abs() < 1e-5);
        }
        assert!(resize(line.view(), 1, [2, 16], [1, 32]).is_err());
        assert!(resize(line.view(), 1, [1, 16], [0, 32]).is_err());
    }

    #[test]
    fn likeness_of_known_differences() {
        let a = vec![0.5f32; 3 * 64];
        assert_eq!(psnr_y(&a, &a, 8, 8, 1).unwrap(), f64::INFINITY);
        // One level in every channel is 219/255 of a level of luminance.
        let b: Vec<f32> = a.iter().map(|v| v + 1.0 / 255.0).collect();
        let wanted = 20.0 * (255.0f64 * 255.0 / 219.0).log10();
        assert!((psnr_y(&a, &b, 8, 8, 2).unwrap() - wanted).abs() < 1e-6);
        assert!(psnr_y(&a, &b, 8, 8, 4).is_err() && psnr_y(&a, &b[1..], 8, 8, 0).is_err());
    }
}
