//! Images from k-space without training.
//!
//! Each method takes an [`Encoding`], which says how samples come of an image, and its samples. Weights of penalties are in units that the
//! samples set themselves (the brightest pixel of the adjoint's image, and what the encoding does to that image), so that a setting means
//! the same for any scale of samples and encoding.

mod cg;
mod total_variation;
mod wavelet;

pub use cg::CgSense;
pub use total_variation::TotalVariation;
pub use wavelet::WaveletL1;

use crate::{Encoding, Real};
use quadrat_core::{Area, Card, Error, Method, Progress, Result, Seed, Settings};
use rustfft::num_complex::Complex;

/// Makes an image of samples.
pub trait Reconstructor<T: Real>: Sync {
    /// What the method is.
    fn card(&self) -> &'static Card;

    /// The image of samples that `op` is said to have made.
    ///
    /// # Errors
    /// Another number of samples than the encoding has, samples that are not finite or all 0, a run that was cancelled.
    fn reconstruct(
        &self,
        samples: &[Complex<T>],
        op: &dyn Encoding<T>,
        progress: &dyn Progress,
    ) -> Result<Vec<Complex<T>>>;
}

/// The adjoint's image at the scale that comes nearest to the samples: zero-filled of samples on a grid, gridded of
/// [density-compensated](crate::nufft::Compensated) ones.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct ZeroFilled {}

impl Method for ZeroFilled {
    const CARD: Card = Card {
        slug: "zero-filled",
        aliases: &["gridded", "gridding", "adjoint"],
        title: "Zero-filled and gridded images",
        paper: "Jackson, Meyer, Nishimura, Macovski: Selection of a convolution function for Fourier inversion using gridding. IEEE \
                Transactions on Medical Imaging 10, 1991; the textbook's inverse transform of zeros in place of what was not sampled",
        area: Area::Inverse,
        verbs: &["reconstruct"],
        summary: "The image that k-space is if what was not sampled is 0: at once, with the artefacts of undersampling. Of samples on a \
                  trajectory each counts by how much of k-space it stands for.",
        useful_when: "first look at MRI k-space, inverse Fourier transform, gridding of radial or spiral data, baseline of a reconstruction",
        cost: "one adjoint and one normal operator; memory two images a coil",
        params: Self::PARAMS,
    };
}

impl<T: Real> Reconstructor<T> for ZeroFilled {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn reconstruct(&self, samples: &[Complex<T>], op: &dyn Encoding<T>, _: &dyn Progress) -> Result<Vec<Complex<T>>> {
        let Start { mut image, gain, .. } = Start::of(samples, op)?;
        image.iter_mut().for_each(|v| *v = v.unscale(gain));
        Ok(image)
    }
}

/// Where iterations start from.
struct Start<T> {
    /// A' y.
    image: Vec<Complex<T>>,
    /// |A x|² / |x|² for that image; 1 if it is 0.
    gain: T,
    /// The largest modulus of A' y / gain, the image that is nearest to the samples along this direction.
    peak: T,
}

impl<T: Real> Start<T> {
    fn of(samples: &[Complex<T>], op: &dyn Encoding<T>) -> Result<Self> {
        if samples.len() != op.samples() {
            let want = format!("{}, as many as the encoding has", op.samples());
            return Err(Error::input("k-space", format!("{} samples", samples.len()), want));
        }
        if let Some(place) = samples.iter().position(|v| !(v.re.is_finite() && v.im.is_finite())) {
            let want = "finite numbers: leave lost samples out of the mask or the trajectory";
            return Err(Error::input(
                format!("k-space, sample {place}"),
                format!("{} + {} i", samples[place].re.double(), samples[place].im.double()),
                want,
            ));
        }
        if samples.iter().all(|v| v.norm_sqr() == T::zero()) {
            let want = "at least one sample that is not 0: is the mask that of this k-space?";
            return Err(Error::input("k-space", "nothing but zeros", want));
        }
        let mut image = vec![Complex::new(T::zero(), T::zero()); op.pixels()];
        op.adjoint(samples, &mut image)?;
        let mut through = image.clone();
        op.normal(&image, &mut through)?;
        let gain = dot(&image, &through) / square(&image);
        let gain = if gain > 0.0 { T::of(gain) } else { T::one() };
        let brightest = image.iter().map(|v| v.norm().double()).fold(0.0, f64::max);
        Ok(Start { image, gain, peak: T::of(brightest) / gain })
    }
}

/// Re ⟨a, b⟩, summed in double precision.
fn dot<T: Real>(a: &[Complex<T>], b: &[Complex<T>]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a.re.double() * b.re.double() + a.im.double() * b.im.double()).sum()
}

fn square<T: Real>(a: &[Complex<T>]) -> f64 {
    dot(a, a)
}

/// A bound on |A|² by at most 20 rounds of the power method and a tenth on top.
fn bound<T: Real>(op: &dyn Encoding<T>) -> Result<T> {
    let mut rng = Seed(0).stream("norm").rng(0);
    let mut image: Vec<Complex<T>> =
        (0..op.pixels()).map(|_| Complex::new(T::of(rng.normal()), T::of(rng.normal()))).collect();
    let mut through = image.clone();
    let mut found = 0.0;
    for _ in 0..20 {
        let length = T::of(square(&image).sqrt());
        if length == T::zero() {
            break;
        }
        image.iter_mut().for_each(|v| *v = v.unscale(length));
        op.normal(&image, &mut through)?;
        let before = std::mem::replace(&mut found, dot(&image, &through));
        if (found - before).abs() < 1e-4 * found {
            break;
        }
        std::mem::swap(&mut image, &mut through);
    }
    Ok(T::of(1.1 * found).max(T::min_positive_value()))
}

#[cfg(test)]
mod tests;
