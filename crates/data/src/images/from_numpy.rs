//! Images in NumPy's arrays.

use super::{Images, Wanted, fitted, stack};
use crate::numpy::NpyArray;
use crate::{Missing, Table, bytes, zip};
use ndarray::{Array3, ArrayD, Axis};
use quadrat_core::{Error, Progress, Result};
use std::path::Path;

pub(super) fn read(path: &Path, wanted: &Wanted, progress: &dyn Progress) -> Result<Images> {
    let file = path.display().to_string();
    let fail = |why: String| Error::data(&file, None, why);
    let bytes = bytes::decompress(&file, bytes::read(path, progress)?, progress)?;
    let (images, labels) = if bytes.starts_with(b"PK") {
        let mut entries = zip::read(&bytes).map_err(fail)?;
        let mut take = |names: [&str; 3]| {
            let at = names.iter().find_map(|name| {
                entries.iter().position(|entry| entry.name.strip_suffix(".npy").unwrap_or(&entry.name) == *name)
            });
            at.map(|at| entries.swap_remove(at).content)
        };
        let images = take(["images", "x", "x_train"]);
        let labels = take(["labels", "y", "y_train"]);
        (images.ok_or_else(|| fail("no array in it is called `images`, `x` or `x_train`".to_owned()))?, labels)
    } else if bytes.starts_with(b"\x93NUMPY") {
        (bytes, None)
    } else {
        return Err(fail("neither a folder of images nor an npz or npy file".to_owned()));
    };

    let images = split(NpyArray::parse(images).and_then(pixels).map_err(fail)?);
    let n = images.len();
    progress.begin("images", Some(n as u64));
    let images = images.into_iter().map(|image| fitted(image, wanted, progress)).collect::<Result<Vec<_>>>()?;
    let pixels = stack(images, wanted, &|i| format!("{file}, image {i}"))?;
    let (labels, classes) = match labels {
        Some(labels) => {
            let table = Table::from_bytes(&format!("{file}, labels.npy"), labels, &[])?;
            let [column] = table.column_names()[..] else {
                return Err(fail("the labels have several columns; there must be one label an image".to_owned()));
            };
            let found = table.categories(column, Missing::Error)?;
            if found.codes.len() != n {
                return Err(fail(format!("{} labels for {n} images; there must be one each", found.codes.len())));
            }
            (found.codes, found.names)
        }
        None => (Vec::new(), Vec::new()),
    };
    Ok(Images { pixels, labels, classes, names: (0..n).map(|i| i.to_string()).collect() })
}

/// The pixels as they lie, from 0 to 1, in images, channels, rows, columns.
fn pixels(array: NpyArray) -> std::result::Result<ArrayD<f32>, String> {
    let values = array.pixels()?;
    if let Some(bad) = values.iter().find(|v| !(0.0..=1.0).contains(*v)) {
        return Err(format!("a pixel of {bad}; floats must be from 0 to 1: divide by the value of white"));
    }
    let mut shape = array.shape.clone();
    // Columns first in memory are rows first of the array with its axes reversed.
    if array.fortran {
        shape.reverse();
    }
    let x = ArrayD::from_shape_vec(shape, values).map_err(|e| e.to_string())?;
    let x = if array.fortran { x.reversed_axes() } else { x };
    let channels = |axis: usize| matches!(x.shape()[axis], 1 | 3);
    match x.ndim() {
        _ if x.is_empty() => Err(format!("an array of shape {:?} holds no image", x.shape())),
        3 => Ok(x.insert_axis(Axis(1))),
        4 if channels(3) => Ok(x.permuted_axes(&[0, 3, 1, 2][..])),
        4 if channels(1) => Ok(x),
        _ => Err(format!(
            "an array of shape {:?}; images are n x h x w, n x h x w x c or n x c x h x w with 1 or 3 channels",
            x.shape()
        )),
    }
}

fn split(x: ArrayD<f32>) -> Vec<Array3<f32>> {
    x.axis_iter(Axis(0)).filter_map(|image| image.to_owned().into_dimensionality().ok()).collect()
}
