//! Pixels whose surroundings look alike, averaged.
//!
//! Buades, Coll, Morel: A non-local algorithm for image denoising (CVPR 2005), in the form of scikit-image's `denoise_nl_means` with
//! `fast_mode` (Froment, IPOL 4, 2014): all pixels of a patch count alike, the variance that noise alone makes is taken off each
//! distance, and patches that differ by more than 5 in the exponent count for nothing. Two things are scikit-image's own and kept, so
//! that values are the same: a patch of 5 x 5 looks at 4 x 4 pixels (the first row and column are left out, but counted in the mean),
//! and the pixel itself counts twice. What noise there is, [`noise_deviation`] tells, which takes it to be white: of noise that pixels
//! share it sees too little.

use super::ImageRestorer;
use super::pictures::{check, padded};
use ndarray::{Array3, ArrayView3, Axis};
use quadrat_core::{Area, Card, Error, Method, Progress, Result, Settings, checkpoint};
use quadrat_numeric::{elementary::exp, vectorised};
use rayon::prelude::*;

/// Non-local means.
///
/// Cost: pixels x channels x (2 distance + 1)²; memory for the picture three times.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct NonLocalMeans {
    /// Side of the patches that are compared; an even one counts as the next odd one.
    #[param(default = 5, from = 2, unit = "pixels")]
    pub patch: usize,
    /// How far away patches are looked for.
    #[param(default = 6, from = 1, unit = "pixels")]
    pub distance: usize,
    /// How different patches may be, in standard deviations of the noise.
    #[param(default = 0.8, above = 0)]
    pub cutoff: f64,
    /// Standard deviation of the noise, white being 1; none: estimated from the picture.
    #[param(none = "estimated", from = 0)]
    pub sigma: Option<f64>,
}

impl Method for NonLocalMeans {
    const CARD: Card = Card {
        slug: "non-local-means",
        aliases: &["nlm"],
        title: "Non-local means",
        paper: "Buades, Coll, Morel: A non-local algorithm for image denoising. CVPR 2005; Froment: Parameter-Free Fast Pixelwise \
                Non-Local Means Denoising. IPOL 4, 2014",
        area: Area::Inverse,
        verbs: &["denoise"],
        summary: "Averages pixels whose surroundings look alike. It learns nothing and takes a second; it takes the noise to be white.",
        useful_when: "quick denoising, white noise, repeated texture, no training",
        cost: "pixels x channels x (2 x distance + 1)²",
        params: Self::PARAMS,
    };
}

/// Exponents beyond which a weight is 0.
const FAR: f32 = 5.0;
/// Rows that are done together.
const BAND: usize = 16;

impl ImageRestorer for NonLocalMeans {
    fn restore(&self, image: ArrayView3<f32>, progress: &dyn Progress) -> Result<Array3<f32>> {
        check("picture", image)?;
        let sigma = match self.sigma {
            Some(sigma) if !sigma.is_finite() || sigma < 0.0 => {
                return Err(Error::input("sigma", sigma, "a standard deviation of 0 or more"));
            }
            Some(sigma) => sigma,
            None => noise_deviation(image),
        };
        let cutoff = self.cutoff * sigma;
        if self.cutoff.is_nan() || self.cutoff <= 0.0 || self.patch < 2 || self.distance == 0 {
            let got = format!("patch {}, distance {}, cutoff {}", self.patch, self.distance, self.cutoff);
            return Err(Error::input(
                "non-local means",
                got,
                "a patch of at least 2, a distance of at least 1, a cutoff above 0",
            ));
        }
        // Rounding alone leaves that in a flat picture.
        if cutoff < 1e-6 {
            return Ok(image.to_owned());
        }
        let (channels, height, width) = image.dim();
        let half = self.patch / 2;
        let around = padded(image, [half + self.distance; 4]);
        let side = (2 * half + 1) as f64;
        let scale = (1.0 / (channels as f64 * cutoff * cutoff * side * side)) as f32;
        let excess = (2.0 * sigma * sigma * channels as f64) as f32;
        progress.begin("non-local means", Some(height as u64));
        let bands: Vec<[usize; 2]> = (0..height).step_by(BAND).map(|y| [y, (y + BAND).min(height)]).collect();
        let done = bands.par_iter().map(|[from, to]| {
            checkpoint(progress)?;
            let sum = self.band(around.view(), [*from, *to], width, [scale, excess]);
            progress.advance((to - from) as u64);
            Ok(sum)
        });
        let done: Vec<Result<Vec<f32>>> = done.collect();
        let mut out = Array3::zeros(image.raw_dim());
        for ([from, to], rows) in bands.iter().zip(done) {
            let rows = rows?;
            for (mut plane, rows) in out.outer_iter_mut().zip(rows.chunks_exact((to - from) * width)) {
                let to = plane.slice_mut(ndarray::s![*from..*to, ..]);
                to.into_iter().zip(rows).for_each(|(to, v)| *to = v.clamp(0.0, 1.0));
            }
        }
        Ok(out)
    }
}

impl NonLocalMeans {
    /// The means of some rows, channel by channel. `around` is the picture with its surroundings.
    fn band(
        &self,
        around: ArrayView3<f32>,
        [from, to]: [usize; 2],
        width: usize,
        [scale, excess]: [f32; 2],
    ) -> Vec<f32> {
        let (channels, wide, d, half) = (around.dim().0, around.dim().2, self.distance, self.patch / 2);
        let (rows, window) = (to - from, 2 * half);
        let across = width + window - 1;
        let plane = around.dim().1 * wide;
        let Some(pixels) = around.to_slice() else { return Vec::new() };
        let mut squares = vec![0.0_f32; (rows + window - 1) * across];
        let (mut columns, mut weights) = (vec![0.0_f32; across], vec![0.0_f32; width]);
        let (mut sums, mut totals) = (vec![0.0_f32; channels * rows * width], vec![0.0_f32; rows * width]);
        for shift in 0..(2 * d + 1) * (2 * d + 1) {
            let (dy, dx) = (shift / (2 * d + 1), shift % (2 * d + 1));
            let times = if dy == d && dx == d { 2.0 } else { 1.0 };
            vectorised(
                #[inline(always)]
                || {
                    // Of each pixel of a patch of this band: how much it differs from the one the shift away.
                    for (y, squares) in squares.chunks_exact_mut(across).enumerate() {
                        squares.fill(-excess);
                        for c in 0..channels {
                            let here = &pixels[c * plane + (from + y + d + 1) * wide + d + 1..][..across];
                            let there = &pixels[c * plane + (from + y + dy + 1) * wide + dx + 1..][..across];
                            let pairs = squares.iter_mut().zip(here.iter().zip(there));
                            pairs.for_each(|(s, (a, b))| *s += (a - b) * (a - b));
                        }
                    }
                    for y in 0..rows {
                        columns.copy_from_slice(&squares[y * across..][..across]);
                        for k in 1..window {
                            let row = &squares[(y + k) * across..][..across];
                            columns.iter_mut().zip(row).for_each(|(sum, v)| *sum += v);
                        }
                        weights.copy_from_slice(&columns[..width]);
                        for k in 1..window {
                            weights.iter_mut().zip(&columns[k..]).for_each(|(sum, v)| *sum += v);
                        }
                        for w in weights.iter_mut() {
                            let far = w.max(0.0) * scale;
                            *w = if far > FAR { 0.0 } else { times * exp(-far) };
                        }
                        let total = &mut totals[y * width..][..width];
                        total.iter_mut().zip(&weights).for_each(|(total, w)| *total += w);
                        for c in 0..channels {
                            let there = &pixels[c * plane + (from + y + dy + half) * wide + dx + half..][..width];
                            let sum = &mut sums[(c * rows + y) * width..][..width];
                            sum.iter_mut().zip(weights.iter().zip(there)).for_each(|(sum, (w, v))| *sum += w * v);
                        }
                    }
                },
            );
        }
        for sums in sums.chunks_exact_mut(rows * width) {
            sums.iter_mut().zip(&totals).for_each(|(sum, total)| *sum /= total);
        }
        sums
    }
}

/// The high-pass filter of Daubechies' wavelet of two vanishing moments.
const HIGH: [f64; 4] =
    [-0.482_962_913_144_690_25, 0.836_516_303_737_469, -0.224_143_868_041_857_35, -0.129_409_522_550_921_45];
/// The third quartile of the normal law.
const QUARTILE: f64 = 0.674_489_750_196_081_7;

/// The standard deviation of white noise in a picture, mean over channels: the median of the finest diagonal wavelet coefficients,
/// zeros left out, over what it is for a normal law (Donoho and Johnstone 1994; as scikit-image's `estimate_sigma`). 0 where all
/// are zero.
pub fn noise_deviation(image: ArrayView3<f32>) -> f64 {
    let of_channel = |plane: ndarray::ArrayView2<f32>| {
        let rows: Vec<Vec<f64>> =
            plane.outer_iter().map(|row| high(&row.iter().map(|v| f64::from(*v)).collect::<Vec<_>>())).collect();
        let across = rows.first().map_or(0, Vec::len);
        let columns = (0..across).flat_map(|x| high(&rows.iter().map(|row| row[x]).collect::<Vec<_>>()));
        let mut sizes: Vec<f64> = columns.map(f64::abs).filter(|v| *v > 0.0).collect();
        sizes.sort_unstable_by(f64::total_cmp);
        match sizes.len() {
            0 => 0.0,
            n => (sizes[(n - 1) / 2] + sizes[n / 2]) / 2.0 / QUARTILE,
        }
    };
    let channels = image.len_of(Axis(0)).max(1);
    image.outer_iter().map(of_channel).sum::<f64>() / channels as f64
}

/// Every second value of the filtered signal, which is mirrored at its ends with the end repeated.
fn high(signal: &[f64]) -> Vec<f64> {
    let n = signal.len() as isize;
    let at = |i: isize| {
        let i = i.rem_euclid(2 * n);
        signal[i.min(2 * n - 1 - i) as usize]
    };
    let value = |k: isize| HIGH.iter().enumerate().map(|(j, f)| f * at(2 * k + 1 - j as isize)).sum();
    (0..(n + 3) / 2).map(value).collect()
}

#[cfg(test)]
mod tests;
