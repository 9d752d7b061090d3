//! Images that are few wavelets.

use super::{Reconstructor, Start, bound};
use crate::masks::strides;
use crate::{Encoding, Real};
use quadrat_core::{Area, Card, Error, Method, Progress, Result, Seed, Settings, checkpoint};
use rustfft::num_complex::Complex;

/// min ½ |A x - y|² + λ |Ψ x|₁ by FISTA, with Ψ the orthonormal wavelet transform of Daubechies with four vanishing moments on a ring. The
/// coarsest means are not penalised. The ring is turned by another random number of pixels at every step, so that no place is favoured
/// (cycle spinning: Coifman and Donoho 1995; Figueiredo and Nowak 2003); the turns do not depend on the samples.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct WaveletL1 {
    /// Weight of the wavelets (λ), as a share of the brightest pixel of the adjoint's image.
    #[param(default = 0.005, from = 0)]
    pub weight: f64,
    /// Steps.
    #[param(default = 100, from = 1)]
    pub iterations: usize,
    /// Times that the image is halved at most; sides stay even and at least 16 before each.
    #[param(default = 4, from = 1, to = 12)]
    pub levels: usize,
}

impl Method for WaveletL1 {
    const CARD: Card = Card {
        slug: "wavelet-l1",
        aliases: &["wavelet", "wavelets", "l1-wavelet"],
        title: "Sparse wavelets",
        paper: "Lustig, Donoho, Pauly: Sparse MRI. Magnetic Resonance in Medicine 58, 2007; Beck, Teboulle: A fast iterative \
                shrinkage-thresholding algorithm. SIAM Journal on Imaging Sciences 2, 2009",
        area: Area::Inverse,
        verbs: &["reconstruct"],
        summary: "The image of few wavelets that agrees with the samples: compressed sensing that keeps smooth shades better than total \
                  variation.",
        useful_when: "compressed sensing MRI, sparse reconstruction, undersampled k-space without training data",
        cost: "one normal operator and two wavelet transforms a step; memory seven images a coil",
        params: Self::PARAMS,
    };
}

impl<T: Real> Reconstructor<T> for WaveletL1 {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn reconstruct(
        &self,
        samples: &[Complex<T>],
        op: &dyn Encoding<T>,
        progress: &dyn Progress,
    ) -> Result<Vec<Complex<T>>> {
        let wavelets = Wavelets::new(op.shape(), self.levels)?;
        let Start { image: target, gain, peak } = Start::of(samples, op)?;
        let most = bound(op)?;
        let threshold = T::of(self.weight) * gain * peak / most;
        let mut image: Vec<Complex<T>> = target.iter().map(|v| v.unscale(gain)).collect();
        let mut ahead = image.clone();
        let mut slope = image.clone();
        let mut momentum = 1.0_f64;
        progress.begin("wavelet-l1", Some(self.iterations as u64));
        for round in 0..self.iterations {
            checkpoint(progress)?;
            op.normal(&ahead, &mut slope)?;
            let stepped = ahead.iter().zip(&slope).zip(&target).map(|((x, s), t)| *x - (*s - *t).unscale(most));
            let mut next: Vec<Complex<T>> = stepped.collect();
            let mut rng = Seed(0).stream("turn").rng(round as u64);
            let turn: Vec<usize> = op.shape().iter().map(|side| rng.below(*side)).collect();
            next = turned(&next, op.shape(), &turn, false);
            wavelets.shrink(&mut next, threshold);
            next = turned(&next, op.shape(), &turn, true);
            let after = (1.0 + (1.0 + 4.0 * momentum * momentum).sqrt()) / 2.0;
            let share = T::of((momentum - 1.0) / after);
            ahead.iter_mut().zip(next.iter().zip(&image)).for_each(|(a, (n, x))| *a = *n + (*n - *x).scale(share));
            image = next;
            momentum = after;
            progress.advance(1);
        }
        Ok(image)
    }
}

/// The image with pixel `turn` first, around the ends; or back again.
fn turned<T: Real>(image: &[Complex<T>], shape: &[usize], turn: &[usize], back: bool) -> Vec<Complex<T>> {
    let strides = strides(shape);
    let from = |place: usize| -> usize {
        let axis = |a: usize| {
            let by = if back { shape[a] - turn[a] } else { turn[a] };
            (place / strides[a] + by) % shape[a] * strides[a]
        };
        (0..shape.len()).map(axis).sum()
    };
    (0..image.len()).map(|place| image[from(place)]).collect()
}

/// Low-pass filter of Daubechies' wavelet with four vanishing moments.
const LOW: [f64; 8] = [
    0.230_377_813_308_896_5,
    0.714_846_570_552_915_6,
    0.630_880_767_929_858_9,
    -0.027_983_769_416_859_854,
    -0.187_034_811_719_093_1,
    0.030_841_381_835_560_764,
    0.032_883_011_666_885_2,
    -0.010_597_401_785_069_032,
];

/// The transform for images of a shape.
pub(super) struct Wavelets {
    shape: Vec<usize>,
    levels: usize,
}

impl Wavelets {
    pub(super) fn new(shape: &[usize], most: usize) -> Result<Self> {
        let fits = |level: &usize| shape.iter().all(|side| side.is_multiple_of(2 << level) && side >> level >= 16);
        let levels = (0..most).take_while(fits).count();
        if levels == 0 {
            let want = "even sides of at least 16: crop the image, or take total variation";
            return Err(Error::input("shape of the image for wavelets", format!("{shape:?}"), want));
        }
        Ok(Wavelets { shape: shape.to_vec(), levels })
    }

    /// Makes all wavelets' weights smaller by `threshold`, to 0 at most.
    fn shrink<T: Real>(&self, image: &mut [Complex<T>], threshold: T) {
        self.transform(image);
        let strides = strides(&self.shape);
        let coarse = |place: usize| {
            let inside = |(stride, side): (&usize, &usize)| place / stride % side < side >> self.levels;
            strides.iter().zip(&self.shape).all(inside)
        };
        for (place, weight) in image.iter_mut().enumerate() {
            let size = weight.norm();
            if size <= threshold && !coarse(place) {
                *weight = Complex::new(T::zero(), T::zero());
            } else if !coarse(place) {
                *weight = weight.scale((size - threshold) / size);
            }
        }
        self.inverse(image);
    }

    pub(super) fn transform<T: Real>(&self, image: &mut [Complex<T>]) {
        (0..self.levels).for_each(|level| self.along_all(image, level, analyse));
    }

    pub(super) fn inverse<T: Real>(&self, image: &mut [Complex<T>]) {
        (0..self.levels).rev().for_each(|level| self.along_all(image, level, synthesise));
    }

    /// One step on every line, along every axis, of the part that holds the means so far.
    fn along_all<T: Real>(&self, image: &mut [Complex<T>], level: usize, step: fn(&[Complex<T>], &mut [Complex<T>])) {
        let strides = strides(&self.shape);
        let part: Vec<usize> = self.shape.iter().map(|side| side >> level).collect();
        for axis in 0..part.len() {
            let side = part[axis];
            let (mut line, mut out) = (vec![image[0]; side], vec![image[0]; side]);
            for number in 0..part.iter().product::<usize>() / side {
                let mut rest = number;
                let mut start = 0;
                for other in (0..part.len()).rev().filter(|other| *other != axis) {
                    start += rest % part[other] * strides[other];
                    rest /= part[other];
                }
                line.iter_mut().enumerate().for_each(|(i, v)| *v = image[start + i * strides[axis]]);
                step(&line, &mut out);
                out.iter().enumerate().for_each(|(i, v)| image[start + i * strides[axis]] = *v);
            }
        }
    }
}

/// Means in the first half, details in the second.
fn analyse<T: Real>(line: &[Complex<T>], out: &mut [Complex<T>]) {
    let half = line.len() / 2;
    for i in 0..half {
        let [mut mean, mut detail] = [Complex::new(T::zero(), T::zero()); 2];
        for (k, tap) in LOW.iter().enumerate() {
            let value = line[(2 * i + k) % line.len()];
            mean = mean + value.scale(T::of(*tap));
            detail = detail + value.scale(high(k));
        }
        out[i] = mean;
        out[half + i] = detail;
    }
}

/// The transpose of [`analyse`], which is its inverse.
fn synthesise<T: Real>(line: &[Complex<T>], out: &mut [Complex<T>]) {
    let half = line.len() / 2;
    out.fill(Complex::new(T::zero(), T::zero()));
    for i in 0..half {
        for (k, tap) in LOW.iter().enumerate() {
            let place = &mut out[(2 * i + k) % line.len()];
            *place = *place + line[i].scale(T::of(*tap)) + line[half + i].scale(high(k));
        }
    }
}

/// The high-pass filter: the low-pass one backwards with changing signs.
fn high<T: Real>(k: usize) -> T {
    T::of(if k.is_multiple_of(2) { LOW[7 - k] } else { -LOW[7 - k] })
}
