//! What a scanner does to an image: linear maps from complex images to complex samples.
//!
//! An [`Encoding`] is what reconstructions ask. Each of this crate is a [`LinearOp`](quadrat_numeric::operator::LinearOp) too, on rows
//! whose complex numbers are pairs re, im one behind the other.

use crate::Real;
use ndarray::{Array2, ArrayView2};
use quadrat_core::{Error, Result};
use rustfft::num_complex::Complex;

/// A linear map from complex images to complex samples, and its conjugate transpose.
///
/// Both take any number of images at once, one behind the other; each is mapped for itself, the same for any number of threads.
pub trait Encoding<T: Real>: Sync {
    /// The sides of an image, the slowest axis first.
    fn shape(&self) -> &[usize];

    /// Samples of an image.
    fn samples(&self) -> usize;

    /// The samples of each image.
    ///
    /// # Errors
    /// Lengths that are no multiples, of one number, of an image's and of its samples'.
    fn forward(&self, images: &[Complex<T>], samples: &mut [Complex<T>]) -> Result<()>;

    /// The conjugate transpose: an image for the samples of each.
    ///
    /// # Errors
    /// As for [`Encoding::forward`].
    fn adjoint(&self, samples: &[Complex<T>], images: &mut [Complex<T>]) -> Result<()>;

    /// The adjoint of the forward map of one image, which some encodings have a shorter way to.
    ///
    /// # Errors
    /// As for [`Encoding::forward`].
    fn normal(&self, image: &[Complex<T>], out: &mut [Complex<T>]) -> Result<()> {
        let mut samples = vec![Complex::new(T::zero(), T::zero()); self.samples()];
        self.forward(image, &mut samples)?;
        self.adjoint(&samples, out)
    }

    /// Pixels of an image.
    fn pixels(&self) -> usize {
        self.shape().iter().product()
    }
}

impl<T: Real, E: Encoding<T> + ?Sized> Encoding<T> for &E {
    fn shape(&self) -> &[usize] {
        (**self).shape()
    }

    fn samples(&self) -> usize {
        (**self).samples()
    }

    fn forward(&self, images: &[Complex<T>], samples: &mut [Complex<T>]) -> Result<()> {
        (**self).forward(images, samples)
    }

    fn adjoint(&self, samples: &[Complex<T>], images: &mut [Complex<T>]) -> Result<()> {
        (**self).adjoint(samples, images)
    }

    fn normal(&self, image: &[Complex<T>], out: &mut [Complex<T>]) -> Result<()> {
        (**self).normal(image, out)
    }
}

/// How many images two slices hold.
///
/// # Errors
/// None, or not the same number.
pub(crate) fn images(given: usize, pixels: usize, taken: usize, samples: usize) -> Result<usize> {
    let count = given / pixels.max(1);
    if count == 0 || given != count * pixels || taken != count * samples {
        let got = format!("{given} complex numbers of images and {taken} of samples");
        let want = format!("{pixels} an image and {samples} for its samples, for at least one image");
        return Err(Error::input("encoding", got, want));
    }
    Ok(count)
}

/// That an image has sides.
pub(crate) fn check_shape(shape: &[usize]) -> Result<()> {
    let pixels = shape.iter().try_fold(1_usize, |n, side| n.checked_mul(*side));
    if shape.is_empty() || pixels.is_none_or(|n| n == 0 || n > 1 << 34) {
        let want = "at least one axis, sides of at least 1, at most 2^34 pixels";
        return Err(Error::input("shape of the image", format!("{shape:?}"), want));
    }
    Ok(())
}

/// Rows of pairs re, im through one of the two maps, from rows of `from` complex numbers to rows of `to`.
pub(crate) fn by_rows<T: Real>(
    rows: ArrayView2<f64>,
    [from, to]: [usize; 2],
    map: impl Fn(&[Complex<T>], &mut [Complex<T>]) -> Result<()>,
) -> Result<Array2<f64>> {
    if rows.ncols() != 2 * from {
        let want = format!("rows of {} numbers, re and im of {from}", 2 * from);
        return Err(Error::input("encoding", format!("rows of {} numbers", rows.ncols()), want));
    }
    let count = rows.nrows();
    let mut out = Array2::zeros((count, 2 * to));
    if count == 0 {
        return Ok(out);
    }
    let flat: Vec<f64> = rows.iter().copied().collect();
    let given: Vec<Complex<T>> =
        flat.as_chunks::<2>().0.iter().map(|[re, im]| Complex::new(T::of(*re), T::of(*im))).collect();
    let mut made = vec![Complex::new(T::zero(), T::zero()); count * to];
    map(&given, &mut made)?;
    out.iter_mut().zip(made.iter().flat_map(|v| [v.re, v.im])).for_each(|(out, v)| *out = v.double());
    Ok(out)
}

/// An encoding as an operator on rows of pairs.
macro_rules! rows_too {
    ($type:ty $(, $generic:ident: $bound:path)*) => {
        impl<T: $crate::Real $(, $generic: $bound)*> quadrat_numeric::operator::LinearOp for $type {
            fn inputs(&self) -> usize {
                2 * $crate::Encoding::<T>::pixels(self)
            }

            fn outputs(&self) -> usize {
                2 * $crate::Encoding::<T>::samples(self)
            }

            fn forward(&self, x: ndarray::ArrayView2<f64>) -> quadrat_core::Result<ndarray::Array2<f64>> {
                let [from, to] = [$crate::Encoding::<T>::pixels(self), $crate::Encoding::<T>::samples(self)];
                $crate::encoding::by_rows::<T>(x, [from, to], |x, y| $crate::Encoding::forward(self, x, y))
            }

            fn adjoint(&self, y: ndarray::ArrayView2<f64>) -> quadrat_core::Result<ndarray::Array2<f64>> {
                let [from, to] = [$crate::Encoding::<T>::samples(self), $crate::Encoding::<T>::pixels(self)];
                $crate::encoding::by_rows::<T>(y, [from, to], |y, x| $crate::Encoding::adjoint(self, y, x))
            }
        }
    };
}
pub(crate) use rows_too;
