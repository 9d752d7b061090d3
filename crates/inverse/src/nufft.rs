//! Fourier transforms at any frequencies (NUFFT, types 1 and 2), in two and three dimensions.
//!
//! The sample at coordinate k, in cycles per field of view from -N/2 to N/2 along each axis, is
//! y(k) = 1/√(pixels) Σ_n x_n exp(-2πi k·(n - N/2)/N): on whole numbers the centred orthonormal transform of [`Fft`](crate::Fft). An image is
//! divided by the transform of a kernel (Kaiser-Bessel: Jackson, Meyer, Nishimura and Macovski 1991; its shape by Beatty, Nishimura and
//! Pauly 2005), put into a finer grid, transformed, and read off between the grid's points. The adjoint does the transpose of each step.

mod density;
mod kernel;
mod points;
mod toeplitz;

pub use density::{pipe_menon, ramp};
pub use kernel::Gridding;
pub use toeplitz::{Compensated, Toeplitz};

use crate::encoding::{check_shape, images, rows_too};
use crate::fft::{End, Layout, Pass};
use crate::{Encoding, Real};
use ndarray::ArrayView2;
use points::{Grid, Points};
use quadrat_core::{Error, Result};
use rayon::prelude::*;
use rustfft::FftDirection;
use rustfft::num_complex::Complex;

/// A plan for the samples of one trajectory: it never changes, and threads share it.
///
/// Time for an image: the fast transform of the finer grid, and width^axes for each sample. Memory: 30 bytes a sample for the plan, the
/// finer grid for each image that is in work. The same bits for any number of threads and images at once.
///
/// ```
/// use ndarray::array;
/// use quadrat_inverse::{Complex, Encoding, nufft::{Gridding, Nufft}};
/// // One bright pixel right of the middle: samples of modulus 1/8 whose phase turns with the coordinate of the last axis.
/// let mut image = vec![Complex::new(0.0, 0.0); 64];
/// image[4 * 8 + 5] = Complex::new(1.0, 0.0);
/// let plan = Nufft::<f64>::new(&[8, 8], array![[0.3, 2.0], [1.7, 0.0]].view(), Gridding::for_tolerance(1e-6)?)?;
/// let mut samples = vec![Complex::new(0.0, 0.0); 2];
/// plan.forward(&image, &mut samples)?;
/// assert!((samples[0] - Complex::new(0.0, -0.125)).norm() < 1e-6);
/// assert!((samples[1] - Complex::new(0.125, 0.0)).norm() < 1e-6);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub struct Nufft<T> {
    shape: Vec<usize>,
    grid: Grid,
    points: Points<T>,
    /// From an image to the grid, one axis after the other, and back.
    there: Vec<Pass<T>>,
    back: Vec<Pass<T>>,
}

impl<T: Real> Nufft<T> {
    /// A plan for images of a shape and coordinates of points x axes, the slowest axis first, in cycles per field of view.
    ///
    /// # Errors
    /// Another number of axes than two or three, a side below 2, no point, coordinates that are NaN or outside [-N/2, N/2], a gridding
    /// outside its limits.
    pub fn new(shape: &[usize], coordinates: ArrayView2<f64>, gridding: Gridding) -> Result<Self> {
        check_shape(shape)?;
        check(shape, coordinates)?;
        gridding.check()?;
        let sides: Vec<usize> = shape.iter().map(|pixels| gridding.side(*pixels)).collect();
        if let Some(side) = sides.iter().find(|side| **side < gridding.width) {
            let want = format!("at least {} points: take larger images or a narrower kernel", gridding.width);
            return Err(Error::input("finer grid", format!("{side} points along an axis"), want));
        }
        let grid = Grid::new(&sides, gridding.width);
        let ends = |axis: usize| {
            let (pixels, side) = (shape[axis], sides[axis]);
            let scale = 1.0 / (pixels as f64).sqrt();
            let factors = (0..pixels).map(|j| T::of(scale / gridding.transform(j, pixels, side))).collect();
            let image = End { count: pixels, shift: side - pixels / 2, factors };
            (side, image, End { count: side, shift: 0, factors: Vec::new() })
        };
        let there = (0..shape.len()).map(ends).map(|(n, image, grid)| Pass::new(n, FftDirection::Forward, image, grid));
        let back = (0..shape.len()).map(ends).map(|(n, image, grid)| Pass::new(n, FftDirection::Inverse, grid, image));
        Ok(Nufft {
            shape: shape.to_vec(),
            grid,
            points: Points::new(coordinates, shape, grid, &gridding),
            there: there.collect(),
            back: back.collect(),
        })
    }

    fn zeros(count: usize) -> Vec<Complex<T>> {
        vec![Complex::new(T::zero(), T::zero()); count]
    }

    /// The finer grid of an image, and what lies beyond it.
    fn gridded(&self, image: &[Complex<T>]) -> Vec<Complex<T>> {
        let mut data = Self::zeros(0);
        for (axis, pass) in self.there[..self.shape.len() - 1].iter().enumerate() {
            let from = if axis == 0 { image } else { &data };
            let inner = from.len() / self.shape[axis];
            let side = self.side(axis);
            let mut out = Self::zeros(inner * side);
            pass.run(from, Layout::dense(inner), &mut out, side);
            data = out;
        }
        let mut grid = Self::zeros(self.grid.len());
        if let Some(last) = self.there.last() {
            let inner = data.len() / self.shape[self.shape.len() - 1];
            last.run(&data, Layout::dense(inner), &mut grid[self.grid.corner()..], self.grid.stride);
        }
        self.grid.go_around(&mut grid);
        grid
    }

    /// The transpose of [`Nufft::gridded`], once what lies beyond is folded.
    fn ungridded(&self, grid: &[Complex<T>], image: &mut [Complex<T>]) {
        let lines: usize = self.grid.sides.iter().product::<usize>() / self.grid.sides[0];
        let mut data = Self::zeros(lines * self.shape[0]);
        self.back[0].run(grid, self.grid.layout(), &mut data, self.shape[0]);
        for (axis, pass) in self.back.iter().enumerate().skip(1) {
            let inner = data.len() / self.side(axis);
            let mut out = Self::zeros(inner * self.shape[axis]);
            pass.run(&data, Layout::dense(inner), &mut out, self.shape[axis]);
            data = out;
        }
        image.copy_from_slice(&data);
    }

    /// Points of the finer grid along an axis of the image.
    fn side(&self, axis: usize) -> usize {
        self.grid.sides[if axis > 0 && axis + 1 == self.shape.len() { 2 } else { axis }]
    }
}

/// That coordinates are such of an image of this shape.
pub(crate) fn check(shape: &[usize], coordinates: ArrayView2<f64>) -> Result<()> {
    if !(2..=3).contains(&shape.len()) || shape.iter().any(|side| *side < 2) {
        return Err(Error::input("shape of the image", format!("{shape:?}"), "two or three axes, sides of at least 2"));
    }
    let (points, axes) = coordinates.dim();
    if points == 0 || axes != shape.len() || u32::try_from(points).is_err() {
        let want = format!("points x {}, for images of shape {shape:?}, at least one point", shape.len());
        return Err(Error::input("trajectory", format!("{points} x {axes} numbers"), want));
    }
    for ((point, axis), k) in coordinates.indexed_iter() {
        let half = shape[axis] as f64 / 2.0;
        if !(-half..=half).contains(k) {
            let what = format!("trajectory, point {point}, axis {axis}");
            let want = format!("cycles per field of view from -{half} to {half}, for a side of {}", shape[axis]);
            return Err(Error::input(what, k, want));
        }
    }
    Ok(())
}

impl<T: Real> Encoding<T> for Nufft<T> {
    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn samples(&self) -> usize {
        self.points.len()
    }

    fn forward(&self, from: &[Complex<T>], samples: &mut [Complex<T>]) -> Result<()> {
        images(from.len(), self.pixels(), samples.len(), self.samples())?;
        let each = from.par_chunks(self.pixels()).zip(samples.par_chunks_mut(self.samples()));
        each.for_each(|(image, samples)| self.points.interpolate(&self.gridded(image), samples));
        Ok(())
    }

    fn adjoint(&self, samples: &[Complex<T>], to: &mut [Complex<T>]) -> Result<()> {
        images(to.len(), self.pixels(), samples.len(), self.samples())?;
        let each = samples.par_chunks(self.samples()).zip(to.par_chunks_mut(self.pixels()));
        each.for_each(|(samples, image)| {
            let mut grid = Self::zeros(self.grid.len());
            self.points.spread(samples, &mut grid);
            self.ungridded(&grid, image);
        });
        Ok(())
    }
}

rows_too!(Nufft<T>);

#[cfg(test)]
mod tests;
