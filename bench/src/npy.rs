//! Reads the arrays that the Python scripts write with `numpy.save`.

use ndarray::Array2;
use quadrat_core::{Error, Result};
use quadrat_numeric::Points;

/// A C-ordered matrix of little-endian float32 or float64, as numpy saves one.
pub fn read(path: &str) -> Result<Points> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    let unfit = || Error::data(path, None, "not a C-ordered matrix of float32 or float64 in npy format 1");
    let length = usize::from(u16::from_le_bytes([*bytes.get(8).ok_or_else(unfit)?, *bytes.get(9).ok_or_else(unfit)?]));
    let header = bytes.get(10..10 + length).and_then(|h| std::str::from_utf8(h).ok()).ok_or_else(unfit)?;
    let shape = header.split(['(', ')']).nth(1).ok_or_else(unfit)?;
    let sizes: Vec<usize> = shape.split(',').filter_map(|s| s.trim().parse().ok()).collect();
    let ([n, d], data) = (<[usize; 2]>::try_from(sizes).map_err(|_| unfit())?, &bytes[10 + length..]);
    if !header.contains("'fortran_order': False") || !bytes.starts_with(b"\x93NUMPY\x01") {
        return Err(unfit());
    }
    if header.contains("'<f4'") {
        let values = data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        Array2::from_shape_vec((n, d), values).map(Points::F32).map_err(|_| unfit())
    } else if header.contains("'<f8'") {
        let values = data.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect();
        Array2::from_shape_vec((n, d), values).map(Points::F64).map_err(|_| unfit())
    } else {
        Err(unfit())
    }
}
