//! Points of sentences in a file: coordinates for whoever works with them, and the bits that decode without loss.
//!
//! An .npz has the matrix `X` (a point a row), the matrices `bits` (how many binary digits of each coordinate tell the sentence from all
//! others) and `digits` (these digits, [`GROUP`] at a time, the groups of a coordinate side by side), and the vector `digest` of the model
//! and the way it was coded with. A table of numbers alone is read as points too.

use crate::commands::work;
use crate::reading::Reading;
use ndarray::{Array1, Array2};
use quadrat::data::{Missing, write_arrays};
use quadrat::language::ariel::ExactBox;
use quadrat::language::coder::BitString;
use quadrat::{Error, Result};
use std::path::Path;

/// Binary digits in a number of `digits`: single precision holds them exactly.
const GROUP: usize = 24;

/// Points that were read.
pub struct Points {
    /// The points, one a row.
    pub coordinates: Array2<f64>,
    /// Their digits, where they were written by us.
    pub bits: Option<Vec<Vec<BitString>>>,
    /// What they were coded with.
    pub digest: Option<f64>,
}

/// A digest as the file has it: a number that double precision holds.
pub fn short(digest: u64) -> f64 {
    (digest >> 12) as f64
}

/// Writes the boxes of sentences.
pub fn write(path: &Path, boxes: &[ExactBox], dims: usize, digest: u64) -> Result<()> {
    let groups =
        boxes.iter().flat_map(|own| &own.bits).map(|bits| bits.len().div_ceil(GROUP)).max().unwrap_or(0).max(1);
    let mut points = Array2::zeros((boxes.len(), dims));
    let mut lengths = Array2::zeros((boxes.len(), dims));
    let mut digits = Array2::zeros((boxes.len(), dims * groups));
    for (row, own) in boxes.iter().enumerate() {
        let centre = own.centre().0;
        for (axis, (bits, z)) in own.bits.iter().zip(centre).enumerate() {
            (points[[row, axis]], lengths[[row, axis]]) = (z, bits.len() as f64);
            for (group, bytes) in bits.bytes().chunks(GROUP / 8).enumerate() {
                let number = (0..GROUP / 8).fold(0_u32, |n, at| n << 8 | bytes.get(at).copied().map_or(0, u32::from));
                digits[[row, axis * groups + group]] = f64::from(number);
            }
        }
    }
    let digest = Array1::from_elem(boxes.len(), short(digest));
    let arrays = [
        ("X", points.view().into_dyn()),
        ("bits", lengths.view().into_dyn()),
        ("digits", digits.view().into_dyn()),
        ("digest", digest.view().into_dyn()),
    ];
    write_arrays(path, &arrays)
}

/// Reads what [`write`] wrote, or any table of numbers.
pub fn read(file: &str, reading: &Reading) -> Result<Points> {
    let table = work::read(file, reading)?;
    let numbers = table.columns().iter().filter(|column| column.kind.is_numeric() && column.name != "digest");
    let names: Vec<&str> = numbers.map(|column| column.name.as_str()).collect();
    if names.is_empty() || table.rows() == 0 {
        return Err(Error::input(file, "no numbers", "a point a row, a numeric column a dimension"));
    }
    let coordinates = table.numeric(&names, Missing::Error)?;
    let has = |name: &str| table.columns().iter().any(|column| column.name == name);
    let digest = match has("digest") {
        true => table.numeric(&["digest"], Missing::Error)?.first().copied(),
        false => None,
    };
    let bits = match has("bits") && has("digits") {
        true => Some(exact(file, &table.embedding("bits")?, &table.embedding("digits")?)?),
        false => None,
    };
    Ok(Points { coordinates, bits, digest })
}

fn exact(file: &str, lengths: &Array2<f32>, digits: &Array2<f32>) -> Result<Vec<Vec<BitString>>> {
    let groups = digits.ncols() / lengths.ncols().max(1);
    let whole = |v: &f32, most: f32| v.fract() == 0.0 && (0.0..=most).contains(v);
    let fits =
        lengths.iter().all(|v| whole(v, (groups * GROUP) as f32)) && digits.iter().all(|v| whole(v, 16_777_215.0));
    if !fits || digits.ncols() != groups * lengths.ncols() {
        return Err(Error::data(file, None, "`bits` and `digits` are not as `language encode` writes them"));
    }
    let axis = |(row, axis): (usize, usize)| {
        let numbers = (0..groups).map(|group| digits[[row, axis * groups + group]] as u32);
        let bytes = numbers.flat_map(|number| number.to_be_bytes().into_iter().skip(1)).collect();
        BitString::new(bytes, lengths[[row, axis]] as usize)
    };
    (0..lengths.nrows()).map(|row| (0..lengths.ncols()).map(|at| axis((row, at))).collect()).collect()
}
