//! Arrays of numbers with any number of axes, real or complex: images, samples of k-space, masks, trajectories.
//!
//! Read from `.npy` (also compressed), `.npz` with one array, and the pair `.cfl` and `.hdr` that BART writes.

use crate::{bytes, cfl, numpy, zip};
use quadrat_core::{Error, Result, Silent, write_atomic_bytes};
use std::path::Path;

/// An array of numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Numbers {
    /// The length of each axis, the slowest first.
    pub shape: Vec<usize>,
    /// Real and imaginary parts, the last axis fastest.
    pub values: Vec<[f64; 2]>,
    /// Whether the file's numbers are complex.
    pub complex: bool,
}

impl Numbers {
    /// That the numbers are complex, as `what` must be.
    ///
    /// # Errors
    /// Real ones.
    pub fn complex(&self, what: &str) -> Result<()> {
        if self.complex {
            return Ok(());
        }
        let want = "complex numbers: magnitudes alone have lost what belongs where; save the complex array (numpy's complex64)";
        Err(Error::input(what, format!("real numbers of shape {:?}", self.shape), want))
    }
}

/// Whether a name is one of BART's pairs.
fn is_cfl(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "cfl" || ending == "hdr")
}

/// Reads an array.
///
/// ```
/// use quadrat_data::numbers::{Numbers, read, write};
/// let path = std::env::temp_dir().join(format!("quadrat-numbers-{}.npy", std::process::id()));
/// let samples = Numbers { shape: vec![1, 2], values: vec![[1.0, -1.0], [0.5, 0.0]], complex: true };
/// write(&path, &samples, true)?;
/// assert_eq!(read(&path)?, samples);
/// # std::fs::remove_file(&path).unwrap();
/// # Ok::<(), quadrat_core::Error>(())
/// ```
///
/// # Errors
/// A file that cannot be read or holds no array of numbers, several arrays, or nothing.
pub fn read(path: &Path) -> Result<Numbers> {
    let name = path.display().to_string();
    let error = |why: String| Error::data(&name, None, why);
    let found = if is_cfl(path) {
        cfl::read(path)?
    } else {
        let mut content = bytes::decompress(&name, bytes::read(path, &Silent)?, &Silent)?;
        if content.starts_with(b"PK") {
            let mut entries = zip::read(&content).map_err(error)?;
            if entries.len() != 1 {
                let names: Vec<&str> = entries.iter().map(|entry| entry.name.trim_end_matches(".npy")).collect();
                return Err(error(format!(
                    "it holds {} arrays ({}); save the one that is meant alone",
                    names.len(),
                    names.join(", ")
                )));
            }
            content = entries.swap_remove(0).content;
        }
        numpy::numbers(content).map_err(error)?
    };
    if found.values.is_empty() {
        return Err(error(format!("no number in an array of shape {:?}", found.shape)));
    }
    Ok(found)
}

/// Writes an array: `.npy`, in single precision where `single`, or BART's pair, which is always in single precision. Each file appears
/// whole or not at all.
///
/// # Errors
/// Another ending, a file that cannot be written, real numbers of more than 16 axes for BART.
pub fn write(path: &Path, numbers: &Numbers, single: bool) -> Result<()> {
    if is_cfl(path) {
        return cfl::write(path, numbers);
    }
    match path.extension().is_some_and(|ending| ending == "npy") {
        true => write_atomic_bytes(path, &numpy::npy_of(numbers, single)),
        false => Err(Error::input("output", path.display(), "a name that ends with .npy or .cfl")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    fn some(shape: &[usize], complex: bool) -> Numbers {
        let value = |i: usize| [i as f64 + 0.5, if complex { -(i as f64) } else { 0.0 }];
        Numbers { shape: shape.to_vec(), values: (0..shape.iter().product()).map(value).collect(), complex }
    }

    /// Bytes that numpy.save (NumPy 2.4.6) writes of numpy.asfortranarray([[1+2j, 3+4j, 5j], [6, 7-1j, 8]], '<c8' and '>c16').
    #[test]
    fn complex_arrays_of_either_order_are_read() {
        let values = [[1.0_f64, 2.0], [3.0, 4.0], [0.0, 5.0], [6.0, 0.0], [7.0, -1.0], [8.0, 0.0]];
        let columns = [0, 3, 1, 4, 2, 5].map(|i: usize| values[i]);
        let file = |descr: &str, parts: Vec<u8>| {
            let header = format!("{{'descr': '{descr}', 'fortran_order': True, 'shape': (2, 3), }}\n");
            [b"\x93NUMPY\x01\x00".as_slice(), &(header.len() as u16).to_le_bytes(), header.as_bytes(), &parts].concat()
        };
        let small = columns.iter().flatten().flat_map(|v| (*v as f32).to_le_bytes()).collect();
        let big = columns.iter().flatten().flat_map(|v: &f64| v.to_be_bytes()).collect();
        for bytes in [file("<c8", small), file(">c16", big)] {
            let got = numpy::numbers(bytes).unwrap();
            assert_eq!(got, Numbers { shape: vec![2, 3], values: values.to_vec(), complex: true });
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = folder();
        for (shape, complex) in [(vec![2, 3, 4], true), (vec![5], true), (vec![3, 2], false), (vec![], false)] {
            for single in [true, false] {
                let path = folder.path().join("array.npy");
                let numbers = some(&shape, complex);
                write(&path, &numbers, single).unwrap();
                assert_eq!(read(&path).unwrap(), numbers);
            }
        }
        let path = folder.path().join("array.cfl");
        let numbers = some(&[3, 2, 4], true);
        write(&path, &numbers, true).unwrap();
        assert_eq!(read(&path).unwrap(), numbers);
        assert_eq!(read(&folder.path().join("array.hdr")).unwrap(), numbers);
    }

    #[test]
    fn what_is_no_array_of_numbers_is_refused() {
        let folder = folder();
        let refused = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            read(&path).unwrap_err().to_string()
        };
        assert!(refused("a.npy", b"hello").contains("not an npy file"));
        assert!(refused("b.npy", &numpy::npy_of(&some(&[0, 2], true), true)).contains("no number"));
        let cut = numpy::npy_of(&some(&[4], true), true);
        assert!(refused("c.npy", &cut[..cut.len() - 3]).contains("does not fit"));
        assert!(write(&folder.path().join("a.txt"), &some(&[1], true), true).is_err());
        assert!(some(&[1], false).complex("k-space").is_err());
    }
}
