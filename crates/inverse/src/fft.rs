//! Centred orthonormal Fourier transforms of images of any number of axes.
//!
//! The frequency 0 and the origin of the image stand at index N/2 (rounded down) of each axis, as in SigPy and in files of k-space: F =
//! fftshift · FFT · ifftshift / √N. So F is unitary and its adjoint is its inverse. Transforms of one axis are rustfft's.

use crate::encoding::{check_shape, images, rows_too};
use crate::{Encoding, Real};
use quadrat_core::Result;
use rayon::prelude::*;
use rustfft::num_complex::Complex;
use rustfft::{FftDirection, FftPlanner};
use std::sync::Arc;

/// Columns that are transformed together: eight complex single-precision numbers are one line of the cache.
const BLOCK: usize = 8;

/// Which places of a transform's axis have numbers: the j-th is at place j + `shift`, around the end, times the j-th factor.
pub(crate) struct End<T> {
    pub(crate) count: usize,
    pub(crate) shift: usize,
    /// One a number, or none for 1.
    pub(crate) factors: Vec<T>,
}

impl<T: Real> End<T> {
    fn factor(&self, j: usize) -> T {
        self.factors.get(j).copied().unwrap_or_else(T::one)
    }
}

/// Where the numbers of an array with one long first axis stand: (j, row, column) at start + j slice + row stride + column.
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) start: usize,
    pub(crate) slice: usize,
    pub(crate) stride: usize,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
}

impl Layout {
    /// Of an array without gaps whose other axes have `inner` numbers.
    pub(crate) fn dense(inner: usize) -> Layout {
        Layout { start: 0, slice: inner, stride: inner, rows: 1, columns: inner }
    }
}

/// A transform along the first axis of an array, which becomes the last: as many of these as there are axes, and all are transformed and
/// stand in their old order. Only the numbers that are there are read, and only those that are wanted are written.
pub(crate) struct Pass<T> {
    fft: Arc<dyn rustfft::Fft<T>>,
    taken: End<T>,
    given: End<T>,
}

impl<T: Real> Pass<T> {
    pub(crate) fn new(length: usize, direction: FftDirection, taken: End<T>, given: End<T>) -> Self {
        Pass { fft: FftPlanner::new().plan_fft(length, direction), taken, given }
    }

    /// Line (row, column) is written to `output` from (row · columns + column) · `stride` on.
    pub(crate) fn run(&self, input: &[Complex<T>], from: Layout, output: &mut [Complex<T>], stride: usize) {
        let length = self.fft.len();
        let zero = Complex::new(T::zero(), T::zero());
        let buffers = || (vec![zero; BLOCK * length], vec![zero; self.fft.get_inplace_scratch_len()]);
        let lines = from.rows * from.columns;
        let blocks = output[..(lines - 1) * stride + self.given.count].par_chunks_mut(BLOCK * stride);
        // Little work is not worth a thread of its own.
        let least = (1 << 14) / (BLOCK * length);
        blocks.enumerate().with_min_len(least.max(1)).for_each_init(buffers, |(block, scratch), (at, out)| {
            let lines = BLOCK * at..(BLOCK * (at + 1)).min(lines);
            let block = &mut block[..lines.len() * length];
            self.gather(input, from, lines, block);
            self.fft.process_with_scratch(block, scratch);
            for (line, out) in block.chunks(length).zip(out.chunks_mut(stride)) {
                self.put(line, &mut out[..self.given.count]);
            }
        });
    }

    /// Fills a block of lines.
    fn gather(&self, input: &[Complex<T>], from: Layout, lines: std::ops::Range<usize>, block: &mut [Complex<T>]) {
        let length = self.fft.len();
        if self.taken.count < length {
            block.fill(Complex::new(T::zero(), T::zero()));
        }
        let place = |line: usize| from.start + line / from.columns * from.stride + line % from.columns;
        let first = place(lines.start);
        let together = place(lines.end - 1) - first + 1 == lines.len();
        for j in 0..self.taken.count {
            let factor = self.taken.factor(j);
            let to = (j + self.taken.shift) % length;
            let slice = &input[j * from.slice..];
            if together {
                let values = &slice[first..first + lines.len()];
                values.iter().enumerate().for_each(|(i, v)| block[i * length + to] = v.scale(factor));
            } else {
                lines
                    .clone()
                    .enumerate()
                    .for_each(|(i, line)| block[i * length + to] = slice[place(line)].scale(factor));
            }
        }
    }

    /// What is wanted of a transformed line.
    fn put(&self, line: &[Complex<T>], out: &mut [Complex<T>]) {
        let count = out.len();
        let head = (line.len() - self.given.shift).min(count);
        out[..head].copy_from_slice(&line[self.given.shift..self.given.shift + head]);
        out[head..].copy_from_slice(&line[..count - head]);
        out.iter_mut().zip(&self.given.factors).for_each(|(v, factor)| *v = v.scale(*factor));
    }
}

/// Passes along all axes of an array without gaps, the first first.
pub(crate) fn all_axes<T: Real>(passes: &[Pass<T>], data: &[Complex<T>]) -> Vec<Complex<T>> {
    let mut out = Vec::new();
    for (axis, pass) in passes.iter().enumerate() {
        let from = if axis == 0 { data } else { &out };
        let inner = from.len() / pass.taken.count;
        let mut next = vec![Complex::new(T::zero(), T::zero()); inner * pass.given.count];
        pass.run(from, Layout::dense(inner), &mut next, pass.given.count);
        out = next;
    }
    out
}

/// The centred orthonormal Fourier transform of images of one shape.
///
/// Time N log N, memory two images. The same bits for any number of threads.
///
/// ```
/// use quadrat_inverse::{Complex, Fft};
/// let fft = Fft::<f64>::new(&[8])?;
/// let ones = fft.transform(&[Complex::new(1.0, 0.0); 8])?;
/// assert!((ones[4].re - 8f64.sqrt()).abs() < 1e-12 && ones[5].norm() < 1e-12);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub struct Fft<T> {
    shape: Vec<usize>,
    there: Vec<Pass<T>>,
    back: Vec<Pass<T>>,
}

impl<T: Real> Fft<T> {
    /// For images of these sides.
    ///
    /// # Errors
    /// No axis or one of 0.
    pub fn new(shape: &[usize]) -> Result<Self> {
        check_shape(shape)?;
        let pass = |side: usize, direction| {
            let centre = (side - side / 2) % side;
            let scale = vec![T::of(1.0 / (side as f64).sqrt()); side];
            let taken = End { count: side, shift: centre, factors: Vec::new() };
            Pass::new(side, direction, taken, End { count: side, shift: centre, factors: scale })
        };
        let passes = |direction| shape.iter().map(|side| pass(*side, direction)).collect();
        Ok(Fft { shape: shape.to_vec(), there: passes(FftDirection::Forward), back: passes(FftDirection::Inverse) })
    }

    /// F of an image.
    ///
    /// # Errors
    /// Another number of pixels.
    pub fn transform(&self, image: &[Complex<T>]) -> Result<Vec<Complex<T>>> {
        images(image.len(), self.pixels(), self.pixels(), self.pixels())?;
        Ok(all_axes(&self.there, image))
    }

    /// F⁻¹ of a k-space.
    ///
    /// # Errors
    /// Another number of samples.
    pub fn inverse(&self, samples: &[Complex<T>]) -> Result<Vec<Complex<T>>> {
        images(samples.len(), self.pixels(), self.pixels(), self.pixels())?;
        Ok(all_axes(&self.back, samples))
    }

    fn each(&self, passes: &[Pass<T>], from: &[Complex<T>], to: &mut [Complex<T>]) -> Result<()> {
        images(from.len(), self.pixels(), to.len(), self.pixels())?;
        for (from, to) in from.chunks(self.pixels()).zip(to.chunks_mut(self.pixels())) {
            to.copy_from_slice(&all_axes(passes, from));
        }
        Ok(())
    }
}

impl<T: Real> Encoding<T> for Fft<T> {
    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn samples(&self) -> usize {
        self.pixels()
    }

    fn forward(&self, images: &[Complex<T>], samples: &mut [Complex<T>]) -> Result<()> {
        self.each(&self.there, images, samples)
    }

    fn adjoint(&self, samples: &[Complex<T>], images: &mut [Complex<T>]) -> Result<()> {
        self.each(&self.back, samples, images)
    }

    fn normal(&self, image: &[Complex<T>], out: &mut [Complex<T>]) -> Result<()> {
        images(image.len(), self.pixels(), out.len(), self.pixels())?;
        out.copy_from_slice(image);
        Ok(())
    }
}

rows_too!(Fft<T>);

#[cfg(test)]
mod tests;
