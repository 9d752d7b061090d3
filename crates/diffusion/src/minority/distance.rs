//! How far samples are from each other.

use ndarray::{Array2, ArrayView1, ArrayView2, Zip};
use quadrat_core::{Error, Result};

/// Features of samples: a row for each.
pub(super) type Features<'a> = &'a (dyn Fn(ArrayView2<f64>) -> Result<Array2<f64>> + Sync);
/// A number for each pair of rows.
pub(super) type Between<'a> = &'a (dyn Fn(ArrayView2<f64>, ArrayView2<f64>) -> Result<Vec<f64>> + Sync);

/// A distance between samples.
#[derive(Clone, Copy, Default)]
pub enum Distance<'a> {
    /// The Euclidean length of the difference.
    #[default]
    L2,
    /// The sum of its absolute values.
    L1,
    /// For images of channels x height x width: the mean, over the image and its halvings down to one pixel, of the root of the mean
    /// squared difference. Coarse differences count more than fine ones.
    MultiScale([usize; 3]),
    /// The Euclidean distance of features.
    Features(Features<'a>),
    /// Any function of two arrays of rows.
    Pairs(Between<'a>),
}

impl Distance<'_> {
    /// The distance of each row of `a` to the same row of `b`.
    ///
    /// # Errors
    /// Shapes that differ or do not fit, a closure's own error, distances that are not finite (with their row) or too few.
    pub fn between(&self, a: ArrayView2<f64>, b: ArrayView2<f64>) -> Result<Vec<f64>> {
        if a.dim() != b.dim() {
            return Err(Error::input(
                "samples to compare",
                format!("{:?} and {:?}", a.dim(), b.dim()),
                "the same shape",
            ));
        }
        let by_rows = |of: &dyn Fn(ArrayView1<f64>, ArrayView1<f64>) -> f64| -> Vec<f64> {
            a.outer_iter().zip(b.outer_iter()).map(|(a, b)| of(a, b)).collect()
        };
        let found = match self {
            Distance::L2 => by_rows(&|a, b| squared(a, b).sqrt()),
            Distance::L1 => by_rows(&|a, b| Zip::from(a).and(b).fold(0.0, |sum, a, b| sum + (a - b).abs())),
            Distance::MultiScale(shape) => {
                if shape.iter().product::<usize>() != a.ncols() {
                    let want = format!("images of {shape:?} numbers");
                    return Err(Error::input("samples", format!("{} numbers each", a.ncols()), want));
                }
                by_rows(&|a, b| multi_scale((&a - &b).to_vec(), *shape))
            }
            Distance::Features(of) => {
                let (a, b) = (of(a)?, of(b)?);
                if a.dim() != b.dim() {
                    return Err(Error::input("features", format!("{:?} and {:?}", a.dim(), b.dim()), "the same shape"));
                }
                a.outer_iter().zip(b.outer_iter()).map(|(a, b)| squared(a, b).sqrt()).collect()
            }
            Distance::Pairs(of) => of(a, b)?,
        };
        if found.len() != a.nrows() {
            let want = format!("one for each of {} rows", a.nrows());
            return Err(Error::input("distances", format!("{} of them", found.len()), want));
        }
        match found.iter().position(|d| !d.is_finite()) {
            Some(row) => Err(Error::numeric("distance", format!("it is {} at row {row}", found[row]))),
            None => Ok(found),
        }
    }
}

fn squared(a: ArrayView1<f64>, b: ArrayView1<f64>) -> f64 {
    Zip::from(a).and(b).fold(0.0, |sum, a, b| sum + (a - b) * (a - b))
}

/// Of a difference of images.
fn multi_scale(mut image: Vec<f64>, [channels, mut height, mut width]: [usize; 3]) -> f64 {
    let (mut sum, mut levels) = (0.0, 0.0);
    loop {
        sum += (image.iter().map(|v| v * v).sum::<f64>() / image.len().max(1) as f64).sqrt();
        levels += 1.0;
        if height.max(width) <= 1 {
            return sum / levels;
        }
        image = halved(&image, [channels, height, width]);
        (height, width) = (height.div_ceil(2), width.div_ceil(2));
    }
}

/// Means of squares of 2 x 2 pixels, of what there is of them at an odd edge.
fn halved(image: &[f64], [channels, height, width]: [usize; 3]) -> Vec<f64> {
    let (h, w) = (height.div_ceil(2), width.div_ceil(2));
    let mut small = vec![0.0; channels * h * w];
    for (place, mean) in small.iter_mut().enumerate() {
        let (c, y, x) = (place / (h * w), place / w % h, place % w);
        let (ys, xs) = (2 * y..(2 * y + 2).min(height), 2 * x..(2 * x + 2).min(width));
        let among = (ys.len() * xs.len()) as f64;
        let pixels = ys.flat_map(|y| xs.clone().map(move |x| image[(c * height + y) * width + x]));
        *mean = pixels.sum::<f64>() / among;
    }
    small
}
