//! k-space on a grid of which some samples are taken.

use crate::encoding::{images, rows_too};
use crate::masks::Pattern;
use crate::{Encoding, Fft, Real};
use quadrat_core::{Error, Result};
use rustfft::num_complex::Complex;

/// y = M F x: the samples of a mask, in the order of the grid, of the centred orthonormal Fourier transform.
pub struct MaskedFft<T> {
    fft: Fft<T>,
    kept: Vec<bool>,
    places: Vec<usize>,
}

impl<T: Real> MaskedFft<T> {
    /// For the samples of a mask.
    ///
    /// # Errors
    /// None that a pattern has not had.
    pub fn new(mask: &Pattern) -> Result<Self> {
        let places = (0..mask.kept().len()).filter(|place| mask.kept()[*place]).collect();
        Ok(MaskedFft { fft: Fft::new(mask.shape())?, kept: mask.kept().to_vec(), places })
    }

    /// The samples that are taken of full k-spaces, one behind the other.
    ///
    /// # Errors
    /// Another number of places than the mask has.
    pub fn taken(&self, full: &[Complex<T>]) -> Result<Vec<Complex<T>>> {
        let pixels = self.fft.pixels();
        if full.is_empty() || !full.len().is_multiple_of(pixels) {
            let got = format!("{} samples", full.len());
            return Err(Error::input("k-space", got, format!("{pixels} an image, for shape {:?}", self.fft.shape())));
        }
        Ok(full.chunks(pixels).flat_map(|full| self.places.iter().map(|place| full[*place])).collect())
    }

    /// Places of the samples in the grid.
    pub fn places(&self) -> &[usize] {
        &self.places
    }

    /// The transform without the mask.
    pub fn fft(&self) -> &Fft<T> {
        &self.fft
    }
}

impl<T: Real> Encoding<T> for MaskedFft<T> {
    fn shape(&self) -> &[usize] {
        self.fft.shape()
    }

    fn samples(&self) -> usize {
        self.places.len()
    }

    fn forward(&self, from: &[Complex<T>], samples: &mut [Complex<T>]) -> Result<()> {
        images(from.len(), self.pixels(), samples.len(), self.samples())?;
        for (image, samples) in from.chunks(self.pixels()).zip(samples.chunks_mut(self.samples())) {
            let full = self.fft.transform(image)?;
            samples.iter_mut().zip(&self.places).for_each(|(sample, place)| *sample = full[*place]);
        }
        Ok(())
    }

    fn adjoint(&self, samples: &[Complex<T>], to: &mut [Complex<T>]) -> Result<()> {
        images(to.len(), self.pixels(), samples.len(), self.samples())?;
        for (samples, image) in samples.chunks(self.samples()).zip(to.chunks_mut(self.pixels())) {
            let mut full = vec![Complex::new(T::zero(), T::zero()); self.pixels()];
            samples.iter().zip(&self.places).for_each(|(sample, place)| full[*place] = *sample);
            image.copy_from_slice(&self.fft.inverse(&full)?);
        }
        Ok(())
    }

    fn normal(&self, image: &[Complex<T>], out: &mut [Complex<T>]) -> Result<()> {
        images(image.len(), self.pixels(), out.len(), self.pixels())?;
        let mut full = self.fft.transform(image)?;
        full.iter_mut()
            .zip(&self.kept)
            .filter(|(_, kept)| !**kept)
            .for_each(|(v, _)| *v = Complex::new(T::zero(), T::zero()));
        out.copy_from_slice(&self.fft.inverse(&full)?);
        Ok(())
    }
}

rows_too!(MaskedFft<T>);
