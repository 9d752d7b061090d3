//! A' W A as a convolution: two fast transforms of twice the sides, whatever the number of samples.

use super::{Gridding, Nufft};
use crate::encoding::images;
use crate::fft::{End, Pass, all_axes};
use crate::{Encoding, Real};
use ndarray::ArrayView2;
use quadrat_core::{Error, Result};
use rustfft::FftDirection;
use rustfft::num_complex::Complex;

/// The normal operator x ↦ A' W A x of a trajectory's transform A and weights W of its samples.
///
/// A' W A is Toeplitz: it depends on differences of pixels alone, so it is a piece of a convolution on a ring of twice the sides (Fessler,
/// Lee, Olafsson, Shi and Noll 2005).
pub struct Toeplitz<T> {
    shape: Vec<usize>,
    /// The transform of the point-spread function.
    spectrum: Vec<T>,
    there: Vec<Pass<T>>,
    back: Vec<Pass<T>>,
}

impl<T: Real> Toeplitz<T> {
    /// Of a trajectory in cycles per field of view and one weight a sample. The point-spread function is made with `gridding`.
    ///
    /// # Errors
    /// Those of [`Nufft::new`]; another number of weights than samples, weights that are not finite.
    pub fn new(shape: &[usize], coordinates: ArrayView2<f64>, weights: &[T], gridding: Gridding) -> Result<Self> {
        super::check(shape, coordinates)?;
        if weights.len() != coordinates.nrows() || weights.iter().any(|w| !w.is_finite()) {
            let want = format!("{} finite ones, one a sample", coordinates.nrows());
            return Err(Error::input("weights of samples", format!("{} weights", weights.len()), want));
        }
        let double: Vec<usize> = shape.iter().map(|side| 2 * side).collect();
        // The same frequencies turn twice as often in a field of view of twice the size.
        let plan = Nufft::<T>::new(&double, coordinates.mapv(|k| 2.0 * k).view(), gridding)?;
        let weights: Vec<Complex<T>> = weights.iter().map(|w| Complex::new(*w, T::zero())).collect();
        let mut spread = vec![Complex::new(T::zero(), T::zero()); plan.pixels()];
        plan.adjoint(&weights, &mut spread)?;
        // No two pixels are as far apart as the first of the ring; without it the spectrum is real.
        let strides = crate::masks::strides(&double);
        for (place, value) in spread.iter_mut().enumerate() {
            if strides.iter().zip(&double).any(|(stride, side)| (place / stride).is_multiple_of(*side)) {
                *value = Complex::new(T::zero(), T::zero());
            }
        }
        // The plan's scale is that of the double image: 1 / √(2^axes pixels). A' A has 1 / pixels.
        let pixels: usize = shape.iter().product();
        let scale = (plan.pixels() as f64).sqrt() / pixels as f64;
        let full = |side: usize| End { count: side, shift: 0, factors: Vec::new() };
        let to_ring = double.iter().map(|side| End { count: *side, shift: side / 2, factors: Vec::new() });
        let spectrum_passes: Vec<Pass<T>> =
            to_ring.zip(&double).map(|(end, side)| Pass::new(*side, FftDirection::Forward, end, full(*side))).collect();
        let spectrum = all_axes(&spectrum_passes, &spread).iter().map(|v| v.re * T::of(scale)).collect();
        let image = |side: usize, scale: f64| End { count: side, shift: 0, factors: vec![T::of(scale); side] };
        let there = |side: &usize| Pass::new(2 * side, FftDirection::Forward, image(*side, 1.0), full(2 * side));
        let back =
            |side: &usize| Pass::new(2 * side, FftDirection::Inverse, full(2 * side), image(*side, 0.5 / *side as f64));
        let (there, back) = (shape.iter().map(there).collect(), shape.iter().map(back).collect());
        Ok(Toeplitz { shape: shape.to_vec(), spectrum, there, back })
    }

    /// Sides of an image.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// A' W A x.
    ///
    /// # Errors
    /// Another number of pixels.
    pub fn apply(&self, image: &[Complex<T>], out: &mut [Complex<T>]) -> Result<()> {
        let pixels: usize = self.shape.iter().product();
        images(image.len(), pixels, out.len(), pixels)?;
        for (image, out) in image.chunks(pixels).zip(out.chunks_mut(pixels)) {
            let mut ring = all_axes(&self.there, image);
            ring.iter_mut().zip(&self.spectrum).for_each(|(v, s)| *v = v.scale(*s));
            out.copy_from_slice(&all_axes(&self.back, &ring));
        }
        Ok(())
    }
}

/// √W A: a trajectory's transform whose samples count by weights W, with [`Toeplitz`] as its normal operator. What is fitted to
/// [compensated](Compensated::samples_of) samples is fitted to the measured ones with these weights.
pub struct Compensated<T> {
    plan: Nufft<T>,
    roots: Vec<T>,
    normal: Toeplitz<T>,
}

impl<T: Real> Compensated<T> {
    /// With weights that sum to the number of samples, by [`pipe_menon`](super::pipe_menon) of 10 rounds.
    ///
    /// # Errors
    /// Those of [`Nufft::new`].
    pub fn new(shape: &[usize], coordinates: ArrayView2<f64>, gridding: Gridding) -> Result<Self> {
        let plan = Nufft::new(shape, coordinates, gridding)?;
        let weights = super::pipe_menon(&plan, 10)?;
        let normal = Toeplitz::new(shape, coordinates, &weights, gridding)?;
        Ok(Compensated { plan, roots: weights.iter().map(|w| w.sqrt()).collect(), normal })
    }

    /// √W y of measured samples, one coil behind the other.
    pub fn samples_of(&self, measured: &[Complex<T>]) -> Vec<Complex<T>> {
        measured.iter().zip(self.roots.iter().cycle()).map(|(y, root)| y.scale(*root)).collect()
    }

    /// The transform itself.
    pub fn plan(&self) -> &Nufft<T> {
        &self.plan
    }

    /// The weights W.
    pub fn weights(&self) -> Vec<T> {
        self.roots.iter().map(|root| *root * *root).collect()
    }
}

impl<T: Real> Encoding<T> for Compensated<T> {
    fn shape(&self) -> &[usize] {
        self.plan.shape()
    }

    fn samples(&self) -> usize {
        self.plan.samples()
    }

    fn forward(&self, images: &[Complex<T>], samples: &mut [Complex<T>]) -> Result<()> {
        self.plan.forward(images, samples)?;
        samples.iter_mut().zip(self.roots.iter().cycle()).for_each(|(y, root)| *y = y.scale(*root));
        Ok(())
    }

    fn adjoint(&self, samples: &[Complex<T>], images: &mut [Complex<T>]) -> Result<()> {
        self.plan.adjoint(&self.samples_of(samples), images)
    }

    fn normal(&self, image: &[Complex<T>], out: &mut [Complex<T>]) -> Result<()> {
        self.normal.apply(image, out)
    }
}

crate::encoding::rows_too!(Compensated<T>);
