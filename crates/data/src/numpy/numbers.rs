//! Arrays of any number of axes, real or complex, as numbers.

use super::read::{NpyArray, Parsed};
use super::write::header;
use crate::arrays;
use crate::numbers::Numbers;

/// The numbers of an npy file's bytes, the last axis fastest.
pub(crate) fn numbers(bytes: Vec<u8>) -> Parsed<Numbers> {
    let (mut array, complex) = NpyArray::parse_parts(bytes)?;
    let mut shape = std::mem::take(&mut array.shape);
    array.shape = vec![shape.iter().product()];
    if complex {
        shape.pop();
    }
    let fortran = std::mem::replace(&mut array.fortran, false);
    let columns = array.columns()?;
    let [(_, cells)] = columns.as_slice() else { return Err("structured elements; numbers are needed".to_owned()) };
    let decoded = cells.decode(0..cells.rows)?;
    let parts = arrays::to_f64(&decoded).ok_or("texts or times; numbers are needed")?;
    let parts = parts.values();
    let in_memory: Vec<[f64; 2]> = match complex {
        true => parts.as_chunks::<2>().0.to_vec(),
        false => parts.iter().map(|v| [*v, 0.0]).collect(),
    };
    let values = if fortran { last_axis_fastest(&in_memory, &shape) } else { in_memory };
    Ok(Numbers { shape, values, complex })
}

/// Turns an array whose first axis is fastest into one whose last axis is.
pub(crate) fn last_axis_fastest(values: &[[f64; 2]], shape: &[usize]) -> Vec<[f64; 2]> {
    let place = |mut index: usize| {
        let mut stride = values.len();
        shape.iter().rev().fold(0, |place, side| {
            stride /= side;
            let at = index % side;
            index /= side;
            place + at * stride
        })
    };
    (0..values.len()).map(|index| values[place(index)]).collect()
}

/// The bytes of an npy file of numbers, in single precision.
pub(crate) fn npy_of(numbers: &Numbers, single: bool) -> Vec<u8> {
    let descr = match (numbers.complex, single) {
        (true, true) => "'<c8'",
        (true, false) => "'<c16'",
        (false, true) => "'<f4'",
        (false, false) => "'<f8'",
    };
    let shape: String = numbers.shape.iter().map(|side| format!("{side}, ")).collect();
    let mut out = header(descr, &format!("({})", shape.trim_end()));
    for value in numbers.values.iter().flat_map(|v| &v[..if numbers.complex { 2 } else { 1 }]) {
        match single {
            true => out.extend_from_slice(&(*value as f32).to_le_bytes()),
            false => out.extend_from_slice(&value.to_le_bytes()),
        }
    }
    out
}
