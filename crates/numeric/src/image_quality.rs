//! How near a picture is to the true one: PSNR, SSIM and root mean squared errors, as scikit-image 0.26 defines them.
//!
//! The range of the numbers (1 for pictures from 0 to 1) is always said: guessed from the data it moves a PSNR by decibels. Of pictures
//! with channels take each channel alone and the mean of the figures.

use ndarray::{Array2, ArrayView2, Axis, Zip};
use quadrat_core::{Error, Result};

/// Peak signal to noise ratio in decibels: 10 lg(range² / mean squared error); infinite for equal pictures.
///
/// # Errors
/// Pictures of different shapes, empty ones or with numbers that are not finite; a range not above 0.
pub fn psnr(truth: ArrayView2<f64>, picture: ArrayView2<f64>, range: f64) -> Result<f64> {
    check(truth, picture)?;
    check_range(range)?;
    Ok(10.0 * (range * range / mean_square(truth, picture)).log10())
}

/// What a root mean squared error is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// The root mean square of the true picture.
    Norm,
    /// Its largest number less its smallest.
    Range,
    /// Its mean.
    Mean,
}

/// Root mean squared error, in units of the true picture.
///
/// # Errors
/// Pictures of different shapes, empty ones or with numbers that are not finite; a unit of 0.
pub fn nrmse(truth: ArrayView2<f64>, picture: ArrayView2<f64>, unit: Unit) -> Result<f64> {
    check(truth, picture)?;
    let size = match unit {
        Unit::Norm => (truth.iter().map(|v| v * v).sum::<f64>() / truth.len() as f64).sqrt(),
        Unit::Range => truth.iter().fold(f64::MIN, |a, b| a.max(*b)) - truth.iter().fold(f64::MAX, |a, b| a.min(*b)),
        Unit::Mean => truth.iter().sum::<f64>() / truth.len() as f64,
    };
    if size == 0.0 {
        return Err(Error::input("true picture", format!("{unit:?} of 0"), "a picture that is not constant 0"));
    }
    Ok(mean_square(truth, picture).sqrt() / size)
}

/// The neighbourhood that SSIM compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// 7 x 7 pixels that count alike, with the covariance of a sample: scikit-image's default.
    Uniform,
    /// 11 x 11 pixels with normal weights of deviation 1.5, with the covariance of a population: the original (Wang et al. 2004).
    Gaussian,
}

impl Window {
    /// The weights along one axis, and what variances are multiplied with.
    fn weights(self) -> (Vec<f64>, f64) {
        match self {
            Window::Uniform => (vec![1.0 / 7.0; 7], 49.0 / 48.0),
            Window::Gaussian => {
                let bell: Vec<f64> = (-5..=5).map(|i| (-0.5 * (f64::from(i) / 1.5).powi(2)).exp()).collect();
                let total: f64 = bell.iter().sum();
                (bell.iter().map(|w| w / total).collect(), 1.0)
            }
        }
    }
}

/// Structural similarity, at most 1 (equal): the mean of [`ssim_map`].
///
/// ```
/// use ndarray::Array2;
/// use quadrat_numeric::image_quality::{Window, ssim};
/// let truth = Array2::from_shape_fn((16, 16), |(i, j)| (i * j) as f64 / 225.0);
/// assert_eq!(ssim(truth.view(), truth.view(), 1.0, Window::Gaussian)?, 1.0);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
///
/// # Errors
/// As [`ssim_map`].
pub fn ssim(truth: ArrayView2<f64>, picture: ArrayView2<f64>, range: f64, window: Window) -> Result<f64> {
    let map = ssim_map(truth, picture, range, window)?;
    Ok(map.sum() / map.len() as f64)
}

/// Structural similarity of the neighbourhood of each pixel that has a whole one: 3 pixels less at each side for [`Window::Uniform`], 5
/// for [`Window::Gaussian`].
///
/// # Errors
/// Pictures of different shapes, smaller than a window or with numbers that are not finite; a range not above 0.
pub fn ssim_map(truth: ArrayView2<f64>, picture: ArrayView2<f64>, range: f64, window: Window) -> Result<Array2<f64>> {
    check(truth, picture)?;
    check_range(range)?;
    let (weights, correction) = window.weights();
    if truth.nrows().min(truth.ncols()) < weights.len() {
        let got = format!("{} x {} pixels", truth.nrows(), truth.ncols());
        return Err(Error::input("pictures", got, format!("at least {0} x {0}, SSIM's window", weights.len())));
    }
    let smooth = |image: Array2<f64>| along(&along(&image, Axis(0), &weights), Axis(1), &weights);
    let [x, y] = [truth, picture].map(|image| smooth(image.to_owned()));
    let [xx, yy, xy] = [(truth, truth), (picture, picture), (truth, picture)].map(|(a, b)| smooth(&a * &b));
    let [c1, c2] = [0.01, 0.03].map(|k| (k * range).powi(2));
    let mut map = xy;
    Zip::from(&mut map).and(&x).and(&y).and(&xx).and(&yy).for_each(|xy, x, y, xx, yy| {
        let [vx, vy, cov] = [xx - x * x, yy - y * y, *xy - x * y].map(|v| correction * v);
        *xy = (2.0 * x * y + c1) * (2.0 * cov + c2) / ((x * x + y * y + c1) * (vx + vy + c2));
    });
    Ok(map)
}

/// Sums of neighbours along an axis, where all of them are there.
fn along(image: &Array2<f64>, axis: Axis, weights: &[f64]) -> Array2<f64> {
    let length = image.len_of(axis) + 1 - weights.len();
    let mut out: Option<Array2<f64>> = None;
    for (from, weight) in weights.iter().enumerate() {
        let shifted = image.slice_axis(axis, (from..from + length).into());
        match &mut out {
            Some(out) => out.scaled_add(*weight, &shifted),
            None => out = Some(&shifted * *weight),
        }
    }
    out.unwrap_or_default()
}

fn mean_square(truth: ArrayView2<f64>, picture: ArrayView2<f64>) -> f64 {
    truth.iter().zip(picture).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / truth.len() as f64
}

fn check(truth: ArrayView2<f64>, picture: ArrayView2<f64>) -> Result<()> {
    if truth.dim() != picture.dim() || truth.is_empty() {
        let size = |image: ArrayView2<f64>| format!("{} x {}", image.nrows(), image.ncols());
        let got = format!("{} pixels beside true ones of {}", size(picture), size(truth));
        return Err(Error::input("picture", got, "pictures of one shape, with pixels"));
    }
    for (what, image) in [("true picture", truth), ("picture", picture)] {
        if let Some(((i, j), v)) = image.indexed_iter().find(|(_, v)| !v.is_finite()) {
            return Err(Error::input(what, format!("{v} at row {i}, column {j}"), "finite numbers"));
        }
    }
    Ok(())
}

fn check_range(range: f64) -> Result<()> {
    if range > 0.0 && range.is_finite() {
        return Ok(());
    }
    Err(Error::input("range", range, "a finite number above 0: the largest value less the smallest there can be"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pictures() -> (Array2<f64>, Array2<f64>) {
        let truth =
            Array2::from_shape_fn((20, 24), |(i, j)| 0.5 + 0.4 * (0.7 * i as f64).sin() * (0.3 * (j * j) as f64).cos());
        let picture = Array2::from_shape_fn((20, 24), |(i, j)| {
            (truth[[i, j]] + 0.1 * (12.9 * i as f64 + 78.2 * j as f64).sin()).clamp(0.0, 1.0)
        });
        (truth, picture)
    }

    /// Golden values of scikit-image 0.26.0 (`skimage.metrics`, range 1; the last SSIM with gaussian_weights, sigma 1.5 and
    /// use_sample_covariance False) on pictures made by a formula.
    #[test]
    fn figures_are_those_of_scikit_image() {
        let (truth, picture) = pictures();
        let (a, b) = (truth.view(), picture.view());
        let table = [
            (psnr(a, b, 1.0), 23.013120612947546),
            (ssim(a, b, 1.0, Window::Uniform), 0.9148175400296849),
            (ssim(a, b, 1.0, Window::Gaussian), 0.907214477441609),
            (nrmse(a, b, Unit::Norm), 0.1326856241970732),
            (nrmse(a, b, Unit::Range), 0.08967696574210425),
            (nrmse(a, b, Unit::Mean), 0.14040284276913906),
        ];
        for (got, want) in table {
            let got = got.unwrap();
            assert!((got - want).abs() < 1e-12 * want, "{got} {want}");
        }
    }

    #[test]
    fn equal_pictures_are_as_near_as_can_be_and_a_shift_is_seen() {
        let (truth, _) = pictures();
        let a = truth.view();
        assert_eq!(psnr(a, a, 1.0).unwrap(), f64::INFINITY);
        assert_eq!(nrmse(a, a, Unit::Norm).unwrap(), 0.0);
        let map = ssim_map(a, a, 1.0, Window::Uniform).unwrap();
        assert_eq!(map.dim(), (14, 18));
        assert!(map.iter().all(|v| (v - 1.0).abs() < 1e-12));
        assert!(ssim(a, (&truth + 0.1).view(), 1.0, Window::Gaussian).unwrap() < 0.99);
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        let (truth, mut picture) = pictures();
        let small = Array2::<f64>::zeros((6, 9));
        let none = Array2::<f64>::zeros((0, 4));
        let said = |result: Result<f64>, word: &str| {
            let error = result.unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        };
        said(psnr(truth.view(), small.view(), 1.0), "20 x 24");
        said(psnr(none.view(), none.view(), 1.0), "pixels");
        said(psnr(truth.view(), truth.view(), 0.0), "range");
        said(ssim(small.view(), small.view(), 1.0, Window::Uniform), "7 x 7");
        said(nrmse(small.view(), small.view(), Unit::Norm), "constant 0");
        picture[[3, 4]] = f64::NAN;
        said(ssim(truth.view(), picture.view(), 1.0, Window::Uniform), "row 3, column 4");
    }
}
