//! GGUF files: one file with a model's settings, its vocabulary and its weights, as llama.cpp writes them (versions 2 and 3).
//!
//! The file is mapped, the header read once; tensors stay where they lie. Whatever the header says of lengths, places and types is looked
//! at before it is used: an error names the key or the tensor.

mod header;
#[cfg(test)]
pub(crate) mod tests;
mod value;

pub use value::Value;

use crate::matrix::{Format, Matrix, Part};
use header::Reader;
use quadrat_core::{Error, Mapped, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file that was opened.
#[derive(Debug)]
pub struct Gguf {
    path: PathBuf,
    file: Arc<Mapped>,
    values: BTreeMap<String, Value>,
    tensors: BTreeMap<String, Tensor>,
}

/// Where a tensor lies.
#[derive(Debug)]
struct Tensor {
    /// Slowest first, as everywhere but in the file.
    shape: Vec<usize>,
    format: Format,
    range: Range<usize>,
}

impl Gguf {
    /// Reads a file's header.
    ///
    /// # Errors
    /// No such file, no GGUF, another version, a name twice, a type that is not known, a tensor that is not within the file, not where
    /// the alignment wants it or over another one.
    pub fn open(path: &Path) -> Result<Gguf> {
        let file = Arc::new(Mapped::open(path)?);
        let (values, tensors) = read(&file).map_err(|why| Error::data(path.display().to_string(), None, why))?;
        Ok(Gguf { path: path.to_owned(), file, values, tensors })
    }

    /// What stands under a key, if it is there and of the type asked for.
    pub fn get<'a, T: TryFrom<&'a Value>>(&'a self, key: &str) -> Option<T> {
        self.values.get(key).and_then(|value| value.try_into().ok())
    }

    /// What stands under a key.
    ///
    /// # Errors
    /// Nothing does, or something of another type.
    pub fn need<'a, T: TryFrom<&'a Value>>(&'a self, key: &str) -> Result<T> {
        let found = self.values.get(key).ok_or_else(|| self.wrong(format!("`{key}` is missing")))?;
        found.try_into().map_err(|_| self.wrong(format!("`{key}` is {}, which is of another type", found.told())))
    }

    /// The names of all tensors.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// A tensor as rows of its last dimension (slowest first), where it lies. One of a single dimension is one row.
    ///
    /// # Errors
    /// No such tensor, or one of another shape.
    pub fn matrix(&self, name: &str, shape: &[usize]) -> Result<Matrix> {
        let tensor = self.tensors.get(name).ok_or_else(|| self.wrong(format!("tensor `{name}` is missing")))?;
        if tensor.shape != shape {
            let why = format!("tensor `{name}` has shape {:?}; by the file's settings it has {shape:?}", tensor.shape);
            return Err(self.wrong(why));
        }
        let cols = shape.last().copied().unwrap_or(1);
        let rows = shape.iter().rev().skip(1).product();
        let matrix =
            Part::new(&self.file, tensor.range.clone()).and_then(|part| Matrix::new(part, tensor.format, [rows, cols]));
        matrix.ok_or_else(|| self.wrong(format!("tensor `{name}` does not lie within the file")))
    }

    /// An error about this file.
    pub fn wrong(&self, why: impl Into<String>) -> Error {
        Error::data(self.path.display().to_string(), None, why)
    }
}

type Header = (BTreeMap<String, Value>, BTreeMap<String, Tensor>);

/// The longest name and the most dimensions of a tensor, by the format's definition.
const LONGEST_KEY: u64 = 65_535;
const MOST_DIMENSIONS: u32 = 4;

fn read(bytes: &[u8]) -> Result<Header, String> {
    let mut reader = Reader::new(bytes);
    if reader.take(4, "the file's mark").ok() != Some(b"GGUF") {
        return Err("no GGUF file: it does not begin with `GGUF`".into());
    }
    match reader.u32("the version")? {
        2 | 3 => {}
        version => {
            return Err(format!("GGUF of version {version} (or written on a big-endian machine): 2 and 3 are read"));
        }
    }
    let tensors = reader.u64("the number of tensors")?;
    let settings = reader.u64("the number of settings")?;
    let mut values = BTreeMap::new();
    for _ in 0..settings {
        let key = reader.text("the name of a setting", LONGEST_KEY)?;
        let value = reader.value(&key)?;
        if values.insert(key.clone(), value).is_some() {
            return Err(format!("setting `{key}` is there twice"));
        }
    }
    let mut entries = Vec::new();
    for _ in 0..tensors {
        entries.push(entry(&mut reader)?);
    }
    let alignment = match values.get("general.alignment").map(u32::try_from) {
        None => 32,
        Some(Ok(alignment)) if alignment.is_power_of_two() => alignment as usize,
        Some(_) => return Err("`general.alignment` is no power of two".into()),
    };
    place(entries, reader.at(), bytes.len(), alignment).map(|tensors| (values, tensors))
}

/// A tensor's name, shape, type, and where it begins behind the header.
fn entry(reader: &mut Reader) -> Result<(String, Vec<usize>, Format, usize), String> {
    let name = reader.text("the name of a tensor", LONGEST_KEY)?;
    let dimensions = reader.u32(&name)?;
    if !(1..=MOST_DIMENSIONS).contains(&dimensions) {
        return Err(format!("tensor `{name}` has {dimensions} dimensions: 1 to {MOST_DIMENSIONS} are read"));
    }
    let mut shape = Vec::new();
    for _ in 0..dimensions {
        shape.push(usize::try_from(reader.u64(&name)?).map_err(|e| format!("tensor `{name}`: {e}"))?);
    }
    shape.reverse();
    let format = value::format(reader.u32(&name)?).map_err(|kind| {
        let known: Vec<&str> = Format::ALL.iter().map(|(_, name)| *name).collect();
        format!("tensor `{name}` is quantised as {kind}: {} are read", known.join(", "))
    })?;
    let offset = usize::try_from(reader.u64(&name)?).map_err(|e| format!("tensor `{name}`: {e}"))?;
    Ok((name, shape, format, offset))
}

/// Checks where tensors lie and counts their places from the file's beginning.
fn place(
    mut entries: Vec<(String, Vec<usize>, Format, usize)>,
    header: usize,
    size: usize,
    alignment: usize,
) -> Result<BTreeMap<String, Tensor>, String> {
    let start = header.checked_next_multiple_of(alignment).unwrap_or(usize::MAX);
    entries.sort_by_key(|(_, _, _, offset)| *offset);
    let (mut tensors, mut end, mut names) = (BTreeMap::new(), start, BTreeSet::new());
    for (name, shape, format, offset) in entries {
        if !names.insert(name.clone()) {
            return Err(format!("tensor `{name}` is there twice"));
        }
        if !offset.is_multiple_of(alignment) {
            return Err(format!(
                "tensor `{name}` begins at {offset}, which is no multiple of the alignment {alignment}"
            ));
        }
        let cols = shape.last().copied().unwrap_or(0);
        if !cols.is_multiple_of(format.values()) {
            let want = format.values();
            return Err(format!("tensor `{name}` has rows of {cols} numbers, which are no whole blocks of {want}"));
        }
        let numbers = shape.iter().try_fold(1_usize, |product, n| product.checked_mul(*n));
        let length = numbers.and_then(|n| (n / format.values()).checked_mul(format.bytes()));
        let range = start.checked_add(offset).zip(length).and_then(|(from, n)| Some(from..from.checked_add(n)?));
        let Some(range) = range.filter(|range| range.end <= size) else {
            return Err(format!("tensor `{name}` of shape {shape:?} does not lie within the file's {size} bytes"));
        };
        if range.start < end {
            return Err(format!("tensor `{name}` begins before the one in front of it ends"));
        }
        end = range.end;
        tensors.insert(name, Tensor { shape, format, range });
    }
    Ok(tensors)
}
