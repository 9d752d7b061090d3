//! What is measured of an image, what comes back without a model, and how measured samples are put back.

use super::Consistency;
use crate::masks::{Pattern, radial_golden};
use crate::nufft::pipe_menon;
use crate::{Complex, Encoding, Gridding, MaskedFft, Nufft};
use ndarray::{Array2, ArrayView2, Axis, concatenate};
use quadrat_core::{Error, Result};

/// A way to measure images.
pub trait Acquisition: Sync {
    /// Samples of an image, and back.
    fn operator(&self) -> &dyn Encoding<f32>;

    /// The magnitude of the image that samples give without a model.
    ///
    /// # Errors
    /// Another number of samples.
    fn start(&self, samples: &[Complex<f32>]) -> Result<Array2<f32>>;

    /// An answered image with the measured samples put back, complex.
    ///
    /// # Errors
    /// Another number of samples or pixels.
    fn corrected(
        &self,
        image: ArrayView2<f32>,
        samples: &[Complex<f32>],
        how: Consistency,
    ) -> Result<Vec<Complex<f32>>>;

    /// The sides of an image.
    fn shape(&self) -> [usize; 2] {
        match self.operator().shape() {
            [height, width] => [*height, *width],
            _ => [0, 0],
        }
    }

    /// The samples of an image.
    ///
    /// # Errors
    /// An image of another shape.
    fn measure(&self, image: ArrayView2<f32>) -> Result<Vec<Complex<f32>>> {
        let pixels: Vec<Complex<f32>> = image.iter().map(|v| Complex::new(*v, 0.0)).collect();
        let mut samples = vec![Complex::new(0.0, 0.0); self.operator().samples()];
        self.operator().forward(&pixels, &mut samples)?;
        Ok(samples)
    }

    /// What the image is to be multiplied with so that it comes nearest to the samples; 1 for an image without samples of its own.
    ///
    /// # Errors
    /// Another number of samples or pixels.
    fn scale(&self, image: ArrayView2<f32>, samples: &[Complex<f32>]) -> Result<f32> {
        let own = self.measure(image)?;
        if own.len() != samples.len() {
            return Err(wrong(samples.len(), own.len()));
        }
        Ok(share(&own, samples))
    }
}

/// Re⟨own, given⟩ / |own|², in double precision; 1 where `own` is 0.
fn share(own: &[Complex<f32>], given: &[Complex<f32>]) -> f32 {
    let both =
        own.iter().zip(given).map(|(a, b)| f64::from(a.re) * f64::from(b.re) + f64::from(a.im) * f64::from(b.im));
    let square = own.iter().map(|a| f64::from(a.re).powi(2) + f64::from(a.im).powi(2)).sum::<f64>();
    if square > 0.0 { (both.sum::<f64>() / square) as f32 } else { 1.0 }
}

fn wrong(got: usize, want: usize) -> Error {
    Error::input("samples", got, format!("{want}, as the acquisition takes"))
}

fn magnitude(shape: [usize; 2], pixels: &[Complex<f32>], times: f32) -> Result<Array2<f32>> {
    quadrat_numeric::matrix(shape.into(), pixels.iter().map(|v| v.norm() * times).collect())
}

/// Samples of a grid in k-space.
pub struct Cartesian(MaskedFft<f32>);

impl Cartesian {
    /// For the samples of a mask of two axes.
    ///
    /// # Errors
    /// Another number of axes.
    pub fn new(mask: &Pattern) -> Result<Self> {
        if mask.shape().len() != 2 {
            return Err(Error::input("mask", format!("{} axes", mask.shape().len()), "2: height and width"));
        }
        Ok(Cartesian(MaskedFft::new(mask)?))
    }
}

impl Acquisition for Cartesian {
    fn operator(&self) -> &dyn Encoding<f32> {
        &self.0
    }

    fn start(&self, samples: &[Complex<f32>]) -> Result<Array2<f32>> {
        let mut image = vec![Complex::new(0.0, 0.0); self.0.pixels()];
        self.0.adjoint(samples, &mut image)?;
        magnitude(self.shape(), &image, 1.0)
    }

    /// k = y where it was measured, F x elsewhere; F⁻¹ k.
    fn corrected(
        &self,
        image: ArrayView2<f32>,
        samples: &[Complex<f32>],
        how: Consistency,
    ) -> Result<Vec<Complex<f32>>> {
        if samples.len() != self.0.samples() {
            return Err(wrong(samples.len(), self.0.samples()));
        }
        let pixels: Vec<Complex<f32>> = image.iter().map(|v| Complex::new(*v, 0.0)).collect();
        let mut full = self.0.fft().transform(&pixels)?;
        for (place, sample) in self.0.places().iter().zip(samples) {
            full[*place] = how.of(*sample, full[*place]);
        }
        self.0.fft().inverse(&full)
    }
}

/// Samples anywhere in k-space, such as spokes.
pub struct Radial {
    operator: Nufft<f32>,
    /// Weights of the measured samples alone.
    alone: Vec<f32>,
    /// Their weights among all that a full set would have.
    among: Vec<f32>,
}

/// Rounds of the density compensation.
const ROUNDS: usize = 10;
/// Relative error of the transform.
const TOLERANCE: f64 = 1e-5;

impl Radial {
    /// The first `spokes` of `full` spokes, each turned by the golden angle against the one before
    /// ([`radial_golden`](crate::masks::radial_golden)); the paper's full set has 512 for 256 x 256 pixels.
    ///
    /// # Errors
    /// No spoke, more than a full set.
    pub fn golden(shape: [usize; 2], spokes: usize, full: usize) -> Result<Self> {
        if spokes == 0 || spokes > full {
            return Err(Error::input("spokes", spokes, format!("at least 1, at most {full}, the full set")));
        }
        let all = radial_golden(shape, full)?;
        let (measured, missing) = all.view().split_at(Axis(0), all.nrows() / full * spokes);
        Radial::new(shape, measured, missing)
    }

    /// Points of any trajectory; what is missing of a full set are the points of evenly turned spokes, as many as leave no gap.
    ///
    /// # Errors
    /// As for [`Radial::new`].
    pub fn completed(shape: [usize; 2], measured: ArrayView2<f64>) -> Result<Self> {
        let longest = shape[0].max(shape[1]);
        let (spokes, points) = ((longest as f64 * std::f64::consts::FRAC_PI_2).ceil() as usize, 2 * longest);
        let missing = Array2::from_shape_fn((spokes * points, 2), |(place, axis)| {
            let radius = (place % points) as f64 / points as f64 - 0.5;
            let (sine, cosine) = (std::f64::consts::PI * (place / points) as f64 / spokes as f64).sin_cos();
            radius * shape[axis] as f64 * if axis == 0 { sine } else { cosine }
        });
        Radial::new(shape, measured, missing.view())
    }

    /// Points of any trajectory (points x 2, in cycles per field of view, first axis first), and those that are missing of a full set.
    ///
    /// # Errors
    /// Coordinates outside \[-N/2, N/2\] or NaN, none measured.
    pub fn new(shape: [usize; 2], measured: ArrayView2<f64>, missing: ArrayView2<f64>) -> Result<Self> {
        let gridding = Gridding::for_tolerance(TOLERANCE)?;
        let operator = Nufft::<f32>::new(&shape, measured, gridding)?;
        let alone = pipe_menon(&operator, ROUNDS)?;
        let all =
            concatenate(Axis(0), &[measured, missing]).map_err(|e| Error::input("trajectory", e, "two columns"))?;
        let all = Nufft::<f32>::new(&shape, all.view(), gridding)?;
        let weights = pipe_menon(&all, ROUNDS)?;
        let unit = unit(&all, &weights)?;
        let among = weights[..measured.nrows()].iter().map(|w| w * unit).collect();
        Ok(Radial { operator, alone, among })
    }

    /// A' W y.
    fn gridded(&self, weights: &[f32], samples: &[Complex<f32>]) -> Result<Vec<Complex<f32>>> {
        if samples.len() != weights.len() {
            return Err(wrong(samples.len(), weights.len()));
        }
        let weighed: Vec<Complex<f32>> = samples.iter().zip(weights).map(|(y, w)| y.scale(*w)).collect();
        let mut image = vec![Complex::new(0.0, 0.0); self.operator.pixels()];
        self.operator.adjoint(&weighed, &mut image)?;
        Ok(image)
    }
}

/// What A' W A is to be multiplied with to leave a broad bump as it is.
fn unit(all: &Nufft<f32>, weights: &[f32]) -> Result<f32> {
    let (height, width) = (all.shape()[0], all.shape()[1]);
    let far = |i: usize, side: usize| (i as f32 - (side / 2) as f32) / (side as f32 / 8.0);
    let bump = |place: usize| (-0.5 * (far(place / width, height).powi(2) + far(place % width, width).powi(2))).exp();
    let bump: Vec<Complex<f32>> = (0..height * width).map(|place| Complex::new(bump(place), 0.0)).collect();
    let mut samples = vec![Complex::new(0.0, 0.0); all.samples()];
    all.forward(&bump, &mut samples)?;
    samples.iter_mut().zip(weights).for_each(|(y, w)| *y = y.scale(*w));
    let mut back = bump.clone();
    all.adjoint(&samples, &mut back)?;
    Ok(share(&back, &bump))
}

impl Acquisition for Radial {
    fn operator(&self) -> &dyn Encoding<f32> {
        &self.operator
    }

    /// Gridded by the adjoint with density compensation, scaled to fit the samples.
    fn start(&self, samples: &[Complex<f32>]) -> Result<Array2<f32>> {
        let image = magnitude(self.shape(), &self.gridded(&self.alone, samples)?, 1.0)?;
        let scale = self.scale(image.view(), samples)?;
        Ok(image * scale)
    }

    /// The full set is gridded with the measured samples in their places and the image's own in the others. Since gridding the image's own
    /// samples gives the image back (where the set reaches), that is the image plus what the gridded differences of the measured ones
    /// are: so written, nothing is lost in the corners of k-space, and the missing samples need not be computed.
    fn corrected(
        &self,
        image: ArrayView2<f32>,
        samples: &[Complex<f32>],
        how: Consistency,
    ) -> Result<Vec<Complex<f32>>> {
        let own = self.measure(image)?;
        let differences: Vec<Complex<f32>> = own.iter().zip(samples).map(|(own, y)| how.of(*y, *own) - own).collect();
        let mut corrected = self.gridded(&self.among, &differences)?;
        corrected.iter_mut().zip(image).for_each(|(v, x)| v.re += x);
        Ok(corrected)
    }
}
