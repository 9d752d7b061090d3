//! Weights in a folder as transformers writes it: `model.safetensors`, or several files and an index that says what is where.
//!
//! Files are mapped and tensors stay where they lie; the package `safetensors` checks the headers.

use crate::matrix::{Format, Matrix, Part};
use quadrat_core::{Error, Mapped, Result};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorInfo};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A folder's tensors.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    tensors: BTreeMap<String, Tensor>,
}

#[derive(Debug)]
struct Tensor {
    info: TensorInfo,
    part: Part,
}

/// The part of an index that is needed.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Folder {
    /// Reads the headers of a folder's files.
    ///
    /// # Errors
    /// No such file, a file that is no safetensors or is cut short, a tensor that is in two files, or not where the index has it.
    pub fn open(path: &Path) -> Result<Folder> {
        let mut folder = Folder { path: path.to_owned(), tensors: BTreeMap::new() };
        let (whole, index) = (path.join("model.safetensors"), path.join("model.safetensors.index.json"));
        if whole.is_file() || !index.is_file() {
            folder.read(&whole)?;
            return Ok(folder);
        }
        let bytes = std::fs::read(&index).map_err(|e| Error::io(&index, e))?;
        let wrong = |why: String| Error::data(index.display().to_string(), None, why);
        let Index { weight_map } = serde_json::from_slice(&bytes).map_err(|e| wrong(e.to_string()))?;
        for name in weight_map.values().collect::<BTreeSet<_>>() {
            let plain = Path::new(name).file_name().is_some_and(|own| own == name.as_str());
            if !plain {
                return Err(wrong(format!("`{name}` is no name of a file in this folder")));
            }
            folder.read(&path.join(name))?;
        }
        match weight_map.keys().find(|name| !folder.tensors.contains_key(*name)) {
            Some(name) => Err(wrong(format!("tensor `{name}` is in none of the files"))),
            None => Ok(folder),
        }
    }

    fn read(&mut self, path: &Path) -> Result<()> {
        let file = Arc::new(Mapped::open(path)?);
        let wrong = |why: String| Error::data(path.display().to_string(), None, why);
        let read = SafeTensors::read_metadata(&file);
        let (length, header) = read.map_err(|e| wrong(format!("no safetensors file: {e}")))?;
        for (name, info) in header.tensors() {
            // The header's length is written before it.
            let (from, to) = info.data_offsets;
            let range = from + length + size_of::<u64>()..to + length + size_of::<u64>();
            let part =
                Part::new(&file, range).ok_or_else(|| wrong(format!("tensor `{name}` is not within the file")))?;
            if self.tensors.insert(name.clone(), Tensor { info: info.clone(), part }).is_some() {
                return Err(wrong(format!("tensor `{name}` is in another file too")));
            }
        }
        Ok(())
    }

    /// The names of all tensors.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// A tensor as rows of its last dimension, where it lies. One of a single dimension is one row.
    ///
    /// # Errors
    /// No such tensor, one of another shape or of another type than floats of 16 and 32 bits.
    pub fn matrix(&self, name: &str, shape: &[usize]) -> Result<Matrix> {
        let tensor = self.tensors.get(name).ok_or_else(|| self.wrong(format!("tensor `{name}` is missing")))?;
        let found = &tensor.info.shape;
        if found != shape {
            return Err(self.wrong(format!("tensor `{name}` has shape {found:?}; by config.json it has {shape:?}")));
        }
        let format = match tensor.info.dtype {
            Dtype::F32 => Format::F32,
            Dtype::F16 => Format::F16,
            Dtype::BF16 => Format::Bf16,
            other => {
                let why = format!("tensor `{name}` holds {other:?}: F32, F16 and BF16 are read");
                return Err(self.wrong(why));
            }
        };
        let cols = shape.last().copied().unwrap_or(1);
        let rows = shape.iter().rev().skip(1).product();
        let matrix = Matrix::new(tensor.part.clone(), format, [rows, cols]);
        matrix.ok_or_else(|| self.wrong(format!("tensor `{name}` does not fill its shape {shape:?}")))
    }

    /// An error about this folder.
    pub fn wrong(&self, why: impl Into<String>) -> Error {
        Error::data(self.path.display().to_string(), None, why)
    }
}
