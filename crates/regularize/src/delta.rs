//! Changes to a few weights of a network: small to keep, exact to apply and to take back.

use quadrat_core::{Error, Result, write_atomic_bytes};
use quadrat_nn::{Parameters, ops::Pattern};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The changed entries of one kernel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Change {
    name: String,
    /// Flat indices, ascending.
    at: Vec<u32>,
    /// Bits of the old and the new values: differences would not undo exactly.
    old: Vec<u32>,
    new: Vec<u32>,
}

/// Changes to a few weights of a network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Delta {
    changes: Vec<Change>,
}

impl Delta {
    /// The changes at the given places of each kernel, from old values to those of `parameters`.
    pub(crate) fn between<'a>(
        old: impl Iterator<Item = (&'a str, &'a Pattern, &'a [f32])>,
        parameters: &Parameters,
    ) -> Result<Self> {
        let change = |(name, pattern, old): (&str, &Pattern, &[f32])| {
            let new = parameters.get(name)?.dense();
            Ok(Change {
                name: name.to_owned(),
                at: pattern.indices().map(|i| i as u32).collect(),
                old: old.iter().map(|v| v.to_bits()).collect(),
                new: pattern.indices().map(|i| new[i].to_bits()).collect(),
            })
        };
        Ok(Delta { changes: old.map(change).collect::<Result<_>>()? })
    }

    /// How many weights it changes.
    pub fn len(&self) -> usize {
        self.changes.iter().map(|change| change.at.len()).sum()
    }

    /// Whether it changes none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Put the new values in.
    ///
    /// # Errors
    /// A network that does not hold the old values: the delta belongs to another one, or is applied already.
    pub fn apply(&self, parameters: &mut Parameters) -> Result<()> {
        self.replace(parameters, |change| (&change.old, &change.new))
    }

    /// Put the old values back: the network is then what it was, bit for bit.
    ///
    /// # Errors
    /// A network that does not hold the new values.
    pub fn remove(&self, parameters: &mut Parameters) -> Result<()> {
        self.replace(parameters, |change| (&change.new, &change.old))
    }

    fn replace(&self, parameters: &mut Parameters, order: impl Fn(&Change) -> (&[u32], &[u32])) -> Result<()> {
        for change in &self.changes {
            let values = parameters.get(&change.name)?.dense();
            let (from, _) = order(change);
            let fits = |(i, bits): (&u32, &u32)| values.get(*i as usize).is_some_and(|v| v.to_bits() == *bits);
            if !change.at.iter().zip(from).all(fits) {
                let want = "the network that was fine-tuned, without the delta to apply it, with it to remove it";
                return Err(Error::input("delta", format!("other weights in `{}`", change.name), want));
            }
        }
        for change in &self.changes {
            let (_, to) = order(change);
            let parameter = parameters.get_mut(&change.name)?;
            parameter.relax();
            parameter.update(|w| {
                change.at.iter().zip(to).for_each(|(i, bits)| w[*i as usize] = f32::from_bits(*bits));
            });
        }
        Ok(())
    }

    /// Write it to a file (JSON).
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let wrong = |e: serde_json::Error| Error::data(path.display().to_string(), None, e.to_string());
        write_atomic_bytes(path, &serde_json::to_vec(self).map_err(wrong)?)
    }

    /// Read what [`Delta::save`] wrote.
    ///
    /// # Errors
    /// No such file, or no delta.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
        serde_json::from_slice(&bytes).map_err(|e| Error::data(path.display().to_string(), None, e.to_string()))
    }
}
