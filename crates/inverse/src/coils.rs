//! Several coils, each of which sees the image with a sensitivity of its own.

use crate::encoding::{images, rows_too};
use crate::{Encoding, Real};
use quadrat_core::{Error, Result};
use rayon::prelude::*;
use rustfft::num_complex::Complex;

/// y_c = A (s_c x) for each coil c (SENSE: Pruessmann, Weiger, Scheidegger and Boesiger 1999): the samples of all coils, one coil behind
/// the other. The coils share the plan of A.
pub struct Sense<T, E> {
    inner: E,
    maps: Vec<Complex<T>>,
}

impl<T: Real, E: Encoding<T>> Sense<T, E> {
    /// For the coils' sensitivities at each pixel, coils x pixels.
    ///
    /// # Errors
    /// No coil, another number of pixels than an image has, sensitivities that are not finite.
    pub fn new(inner: E, maps: Vec<Complex<T>>) -> Result<Self> {
        let pixels = inner.pixels();
        if maps.is_empty() || !maps.len().is_multiple_of(pixels) {
            let want = format!("coils x {:?} complex numbers, at least one coil", inner.shape());
            return Err(Error::input("sensitivities", format!("{} numbers", maps.len()), want));
        }
        if let Some(place) = maps.iter().position(|s| !(s.re.is_finite() && s.im.is_finite())) {
            let got = format!("one of coil {} that is not finite", place / pixels);
            return Err(Error::input("sensitivities", got, "finite numbers: set those outside the body to 0"));
        }
        Ok(Sense { inner, maps })
    }

    /// How many coils there are.
    pub fn coils(&self) -> usize {
        self.maps.len() / self.inner.pixels()
    }

    /// The image as each coil sees it.
    fn seen(&self, image: &[Complex<T>]) -> Vec<Complex<T>> {
        let coils = self.maps.par_chunks(image.len());
        coils.flat_map_iter(|map| map.iter().zip(image).map(|(s, x)| *s * *x)).collect()
    }

    /// The sum of what the coils see, each times the conjugate of its sensitivity.
    fn together(&self, seen: &[Complex<T>], image: &mut [Complex<T>]) {
        image.fill(Complex::new(T::zero(), T::zero()));
        for (map, seen) in self.maps.chunks(image.len()).zip(seen.chunks(image.len())) {
            image.iter_mut().zip(map.iter().zip(seen)).for_each(|(x, (s, y))| *x = *x + s.conj() * *y);
        }
    }
}

impl<T: Real, E: Encoding<T>> Encoding<T> for Sense<T, E> {
    fn shape(&self) -> &[usize] {
        self.inner.shape()
    }

    fn samples(&self) -> usize {
        self.coils() * self.inner.samples()
    }

    fn forward(&self, from: &[Complex<T>], samples: &mut [Complex<T>]) -> Result<()> {
        images(from.len(), self.pixels(), samples.len(), self.samples())?;
        let count = self.samples();
        let mut each = from.chunks(self.pixels()).zip(samples.chunks_mut(count));
        each.try_for_each(|(image, samples)| self.inner.forward(&self.seen(image), samples))
    }

    fn adjoint(&self, samples: &[Complex<T>], to: &mut [Complex<T>]) -> Result<()> {
        images(to.len(), self.pixels(), samples.len(), self.samples())?;
        let mut seen = vec![Complex::new(T::zero(), T::zero()); self.maps.len()];
        let pixels = self.pixels();
        for (samples, image) in samples.chunks(self.samples()).zip(to.chunks_mut(pixels)) {
            self.inner.adjoint(samples, &mut seen)?;
            self.together(&seen, image);
        }
        Ok(())
    }

    fn normal(&self, image: &[Complex<T>], out: &mut [Complex<T>]) -> Result<()> {
        images(image.len(), self.pixels(), out.len(), self.pixels())?;
        let mut seen = self.seen(image);
        let mut back = seen.clone();
        let pixels = self.pixels();
        let coils = seen.par_chunks_mut(pixels).zip(back.par_chunks_mut(pixels));
        coils.map(|(seen, back)| self.inner.normal(seen, back)).collect::<Result<()>>()?;
        self.together(&back, out);
        Ok(())
    }
}

rows_too!(Sense<T, E>, E: Encoding<T>);

/// The root of the sum of squares of coils' images, coils x pixels: what is taken for the image where no sensitivities are known.
pub fn root_sum_of_squares<T: Real>(coils: &[Complex<T>], pixels: usize) -> Vec<T> {
    let square =
        |pixel: usize| coils.iter().skip(pixel).step_by(pixels.max(1)).map(|v| v.norm_sqr().double()).sum::<f64>();
    (0..pixels).map(|pixel| T::of(square(pixel).sqrt())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::masks::{radial_golden, varden2d};
    use crate::nufft::{Gridding, Nufft};
    use crate::{Fft, MaskedFft};
    use quadrat_core::Seed;
    use quadrat_numeric::operator::check_operator;

    fn noise(count: usize) -> Vec<Complex<f64>> {
        let mut rng = Seed(8).stream("coils").rng(0);
        (0..count).map(|_| Complex::new(rng.normal(), rng.normal())).collect()
    }

    #[test]
    fn coils_have_an_exact_adjoint_and_normal_operator() {
        let mask = varden2d([8, 6], 0.5, 0.1, Seed(1)).unwrap();
        let cartesian = Sense::new(MaskedFft::<f64>::new(&mask).unwrap(), noise(3 * 48)).unwrap();
        check_operator(&cartesian).unwrap();
        assert_eq!((cartesian.coils(), cartesian.samples()), (3, 3 * 24));
        let spokes = radial_golden([8, 6], 3).unwrap();
        let plan = Nufft::<f64>::new(&[8, 6], spokes.view(), Gridding::for_tolerance(1e-6).unwrap()).unwrap();
        let radial = Sense::new(plan, noise(2 * 48)).unwrap();
        check_operator(&radial).unwrap();
        let image = noise(48);
        for op in [&cartesian as &dyn Encoding<f64>, &radial] {
            let (mut samples, mut want, mut got) = (vec![image[0]; op.samples()], image.clone(), image.clone());
            op.forward(&image, &mut samples).unwrap();
            op.adjoint(&samples, &mut want).unwrap();
            op.normal(&image, &mut got).unwrap();
            assert!(got.iter().zip(&want).all(|(a, b)| (a - b).norm() < 1e-10));
        }
    }

    #[test]
    fn one_coil_that_sees_everything_changes_nothing() {
        let plain = Fft::<f64>::new(&[4, 5]).unwrap();
        let image = noise(20);
        let want = plain.transform(&image).unwrap();
        let sense = Sense::new(plain, vec![Complex::new(1.0, 0.0); 20]).unwrap();
        let mut got = image.clone();
        Encoding::forward(&sense, &image, &mut got).unwrap();
        assert_eq!(got, want);
        assert_eq!(root_sum_of_squares(&[Complex::new(3.0, 0.0), Complex::new(0.0, 4.0)], 1), [5.0]);
    }

    #[test]
    fn wrong_sensitivities_are_refused() {
        let plain = || Fft::<f64>::new(&[4, 5]).unwrap();
        assert!(Sense::new(plain(), vec![]).is_err());
        assert!(Sense::new(plain(), noise(21)).is_err());
        let mut maps = noise(40);
        maps[30].im = f64::NAN;
        assert!(Sense::new(plain(), maps).err().unwrap().to_string().contains("coil 1"));
    }
}
