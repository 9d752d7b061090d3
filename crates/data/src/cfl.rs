//! The pair of files in which BART keeps an array: NAME.hdr with the lengths of the axes, the fastest first, and NAME.cfl with complex
//! numbers in single precision, the lowest byte first.
//!
//! BART numbers axes (read, phase 1, phase 2, coil, ...), most of which have length 1: those are left out, so that 256 x 256 x 1 x 8
//! is read as 8 x 256 x 256.

use crate::numbers::Numbers;
use quadrat_core::{Error, Result, write_atomic_bytes};
use std::path::Path;

/// Axes that BART has.
const AXES: usize = 16;

pub(crate) fn read(path: &Path) -> Result<Numbers> {
    let header = path.with_extension("hdr");
    let name = header.display().to_string();
    let text = std::fs::read_to_string(&header).map_err(|e| Error::io(&header, e))?;
    let mut lines = text.lines().skip_while(|line| !line.starts_with("# Dimensions")).skip(1);
    let sides: Option<Vec<usize>> =
        lines.next().and_then(|line| line.split_whitespace().map(|n| n.parse().ok()).collect());
    let sides =
        sides.filter(|sides| !sides.is_empty() && sides.len() <= 32 && !sides.contains(&0)).ok_or_else(|| {
            Error::data(&name, None, "a line `# Dimensions` and the lengths of the axes under it are needed".to_owned())
        })?;
    let content = path.with_extension("cfl");
    let bytes = std::fs::read(&content).map_err(|e| Error::io(&content, e))?;
    let needed = sides.iter().try_fold(8_usize, |n, side| n.checked_mul(*side));
    if needed != Some(bytes.len()) {
        let why = format!("{} bytes, which does not fit the axes {sides:?} of {name}", bytes.len());
        return Err(Error::data(content.display().to_string(), None, why));
    }
    let part = |bytes: &[u8; 4]| f64::from(f32::from_le_bytes(*bytes));
    let values = bytes.as_chunks::<4>().0.as_chunks::<2>().0.iter().map(|[re, im]| [part(re), part(im)]).collect();
    Ok(Numbers { shape: sides.into_iter().rev().filter(|side| *side != 1).collect(), values, complex: true })
}

pub(crate) fn write(path: &Path, numbers: &Numbers) -> Result<()> {
    if numbers.shape.len() > AXES {
        let got = format!("{} axes", numbers.shape.len());
        return Err(Error::input("array for BART", got, format!("at most {AXES}")));
    }
    let sides = numbers.shape.iter().rev().copied().chain(std::iter::repeat(1)).take(AXES);
    let sides: Vec<String> = sides.map(|side| side.to_string()).collect();
    write_atomic_bytes(&path.with_extension("hdr"), format!("# Dimensions\n{}\n", sides.join(" ")).as_bytes())?;
    let parts = numbers.values.iter().flatten().flat_map(|v| (*v as f32).to_le_bytes());
    write_atomic_bytes(&path.with_extension("cfl"), &parts.collect::<Vec<u8>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_of_length_1_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k.cfl");
        std::fs::write(
            folder.path().join("k.hdr"),
            "# Dimensions\n3 2 1 2 1 1 1 1 1 1 1 1 1 1 1 1\n# Command\nphantom -k\n",
        )
        .unwrap();
        let bytes: Vec<u8> = (0..24).flat_map(|i| (i as f32).to_le_bytes()).collect();
        std::fs::write(&path, bytes).unwrap();
        let got = read(&path).unwrap();
        assert_eq!(got.shape, [2, 2, 3]);
        assert_eq!(got.values[4], [8.0, 9.0]);
        std::fs::write(folder.path().join("k.hdr"), "# Dimensions\n3 3\n").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("does not fit"));
        std::fs::write(folder.path().join("k.hdr"), "3 3\n").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("# Dimensions"));
        std::fs::write(folder.path().join("k.hdr"), "# Dimensions\n99999999999 99999999999 99999999999\n").unwrap();
        assert!(read(&path).is_err());
    }
}
