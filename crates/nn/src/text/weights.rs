//! A model's arrays by name: all that are asked for, in the shapes asked for, and none left over.

use crate::checkpoint::ArrayFile;
use quadrat_core::{Error, Result};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A safetensors file whose arrays are taken one by one.
pub(super) struct Weights {
    path: PathBuf,
    file: ArrayFile,
    /// What the names of all its arrays begin with: "", or a word such as `bert.` in a model that has a task of its own
    /// on top.
    prefix: String,
    left: BTreeSet<String>,
}

impl Weights {
    /// Opens a file. `known` is an array that must be there, whatever stands before its name.
    pub fn open(path: &Path, known: &str) -> Result<Self> {
        let file = ArrayFile::open(path)?;
        let left: BTreeSet<String> = file.names().into_iter().collect();
        let prefixes = left.iter().filter_map(|name| name.strip_suffix(known));
        let prefix = prefixes.filter(|prefix| prefix.is_empty() || prefix.ends_with('.')).min_by_key(|p| p.len());
        let Some(prefix) = prefix.map(str::to_owned) else {
            let why = format!("`{known}` is missing: these are not the weights of the model that config.json names");
            return Err(Error::data(path.display().to_string(), None, why));
        };
        Ok(Weights { path: path.to_owned(), file, prefix, left })
    }

    /// An array's numbers, in the order of the file.
    pub fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let full = format!("{}{name}", self.prefix);
        self.left.remove(&full);
        let (found, values) = self.file.read(&full)?;
        if found != shape {
            let why = format!("`{full}` has shape {found:?}; by config.json it has {shape:?}");
            return Err(Error::data(self.path.display().to_string(), None, why));
        }
        Ok(values)
    }

    /// The weight and bias of a linear layer, the weight with a row for each input.
    pub fn linear(&mut self, name: &str, [inputs, outputs]: [usize; 2]) -> Result<Linear> {
        self.stacked(&[name], [inputs, outputs])
    }

    /// Linear layers of the same input as one, their outputs side by side.
    pub fn stacked(&mut self, names: &[&str], [inputs, outputs]: [usize; 2]) -> Result<Linear> {
        let all = names.len() * outputs;
        let (mut weight, mut bias) = (vec![0.0; inputs * all], Vec::with_capacity(all));
        for (part, name) in names.iter().enumerate() {
            let rows = self.take(&format!("{name}.weight"), &[outputs, inputs])?;
            for (output, row) in rows.chunks_exact(inputs.max(1)).enumerate() {
                let column = part * outputs + output;
                row.iter().enumerate().for_each(|(input, value)| weight[input * all + column] = *value);
            }
            bias.extend(self.take(&format!("{name}.bias"), &[outputs])?);
        }
        Ok(Linear { weight, bias })
    }

    /// Scale and shift of a normalisation.
    pub fn norm(&mut self, name: &str, width: usize) -> Result<[Vec<f32>; 2]> {
        Ok([self.take(&format!("{name}.weight"), &[width])?, self.take(&format!("{name}.bias"), &[width])?])
    }

    /// That nothing was left over but what an encoder does not use: a pooler, places that follow from their numbers, what
    /// stands beside the prefix.
    pub fn finish(self) -> Result<()> {
        let own = self.left.iter().filter_map(|name| name.strip_prefix(&self.prefix));
        let idle = |name: &&str| name.starts_with("pooler.") || name.ends_with("position_ids");
        let extra: Vec<&str> = own.filter(|name| !idle(name)).collect();
        let Some(first) = extra.first() else { return Ok(()) };
        let more = if extra.len() > 1 { format!(" and {} more", extra.len() - 1) } else { String::new() };
        let why = format!("`{first}`{more} is no part of the model that config.json names");
        Err(Error::data(self.path.display().to_string(), None, why))
    }
}

/// A linear layer: a row of weights for each input, and a bias for each output.
#[derive(Debug)]
pub(super) struct Linear {
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
}
