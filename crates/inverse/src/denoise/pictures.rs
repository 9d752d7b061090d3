//! What is asked of pictures, and their borders.

use ndarray::{Array3, ArrayView3};
use quadrat_core::{Error, Result};

/// That a picture has pixels, and that they are numbers from 0 to 1. `name` stands in errors.
///
/// # Errors
/// No channel, row or column; NaN; values outside 0 to 1, with what they are.
pub fn check(name: &str, image: ArrayView3<f32>) -> Result<()> {
    if image.is_empty() {
        return Err(Error::input(name, format!("{:?}", image.dim()), "channels x height x width, at least 1 each"));
    }
    if let Some(((c, y, x), v)) = image.indexed_iter().find(|(_, v)| !v.is_finite()) {
        let got = format!("{v} in channel {c}, row {y}, column {x}");
        return Err(Error::input(name, got, "finite numbers: fill what is missing first"));
    }
    let (least, most) = image.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), v| (a.min(*v), b.max(*v)));
    if least < 0.0 || most > 1.0 {
        let want = match most > 1.5 && least >= 0.0 {
            true => "values from 0 to 1: divide bytes by 255 (`from_bytes`), numbers of 16 bits by 65535",
            false => "values from 0 to 1: scale or clip them first",
        };
        return Err(Error::input(name, format!("values from {least} to {most}"), want));
    }
    Ok(())
}

/// A picture of bytes, 255 becoming 1.
pub fn from_bytes(image: ArrayView3<u8>) -> Array3<f32> {
    image.mapv(|v| f32::from(v) / 255.0)
}

/// The place that a place outside `0..n` mirrors, the first and the last not repeated.
pub(super) fn mirrored(i: isize, n: usize) -> usize {
    let period = 2 * (n as isize - 1).max(1);
    let i = i.rem_euclid(period);
    (i.min(period - i) as usize).min(n - 1)
}

/// The picture with so many pixels more at each side, mirrored: top, bottom, left, right.
pub(super) fn padded(image: ArrayView3<f32>, [top, bottom, left, right]: [usize; 4]) -> Array3<f32> {
    let (c, h, w) = image.dim();
    let rows: Vec<usize> = (0..h + top + bottom).map(|y| mirrored(y as isize - top as isize, h)).collect();
    let columns: Vec<usize> = (0..w + left + right).map(|x| mirrored(x as isize - left as isize, w)).collect();
    Array3::from_shape_fn((c, rows.len(), columns.len()), |(c, y, x)| image[[c, rows[y], columns[x]]])
}

/// The picture with sides that `stride` divides, mirrored at the bottom and at the right.
pub(super) fn even(image: ArrayView3<f32>, stride: usize) -> Array3<f32> {
    let (_, h, w) = image.dim();
    padded(image, [0, h.next_multiple_of(stride) - h, 0, w.next_multiple_of(stride) - w])
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn places_are_mirrored_as_numpy_mirrors_them() {
        // numpy.pad([0, 1, 2], (5, 5), "reflect"), NumPy 2.4.6.
        let found: Vec<usize> = (-5..8).map(|i| mirrored(i, 3)).collect();
        assert_eq!(found, [1, 0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2, 1]);
        assert_eq!((-2..3).map(|i| mirrored(i, 1)).collect::<Vec<_>>(), [0; 5]);
        let image = array![[[0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [0.7, 0.8, 0.9_f32]]];
        let wider = even(image.view(), 2);
        assert_eq!(
            wider,
            array![[[0.1, 0.2, 0.3, 0.2], [0.4, 0.5, 0.6, 0.5], [0.7, 0.8, 0.9, 0.8], [0.4, 0.5, 0.6, 0.5]]]
        );
    }

    #[test]
    fn pictures_that_are_none_are_refused() {
        let flat = |v: f32| Array3::from_elem((1, 2, 2), v);
        assert!(check("picture", flat(0.5).view()).is_ok());
        for (image, says) in [
            (Array3::zeros((1, 0, 2)), "at least 1 each"),
            (flat(f32::NAN), "NaN in channel 0, row 0, column 0"),
            (flat(200.0), "divide bytes by 255"),
            (flat(-0.1), "values from -0.1 to -0.1"),
            (flat(1.2), "scale or clip"),
        ] {
            let error = check("picture", image.view()).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        assert_eq!(from_bytes(array![[[0, 255, 51]]].view()), array![[[0.0, 1.0, 0.2]]]);
    }
}
