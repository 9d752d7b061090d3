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
            let new = pattern.gather(&parameters.get(name)?.dense())?;
            Ok(Change {
                name: name.to_owned(),
                at: pattern.indices().map(|i| i as u32).collect(),
                old: old.iter().map(|v| v.to_bits()).collect(),
                new: new.iter().map(|v| v.to_bits()).collect(),
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
        let wrong = |why: String| Error::data(path.display().to_string(), None, why);
        let delta: Delta = serde_json::from_slice(&bytes).map_err(|e| wrong(e.to_string()))?;
        let whole = |c: &&Change| c.at.len() == c.old.len() && c.at.len() == c.new.len();
        match delta.changes.iter().find(|c| !whole(c)) {
            Some(c) => Err(wrong(format!("`{}` must have an old and a new value for each place", c.name))),
            None => Ok(delta),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quadrat_nn::Role;

    fn parameters(values: &[f32]) -> Parameters {
        let mut parameters = Parameters::default();
        parameters.add_values("w".into(), vec![2, values.len() / 2], Role::Weight, values.to_vec()).unwrap();
        parameters
    }

    fn delta() -> Delta {
        let pattern = Pattern::from_indices(&[1, 4], 2, 3).unwrap();
        let new = parameters(&[1.0, 0.5, 3.0, 4.0, -0.0, 6.0]);
        Delta::between([("w", &pattern, &[0.1f32, 0.0][..])].into_iter(), &new).unwrap()
    }

    /// Values come back as bits: 0 and -0 are told apart, and no difference is rounded.
    #[test]
    fn it_is_applied_and_removed_exactly() {
        let (delta, base) = (delta(), parameters(&[1.0, 0.1, 3.0, 4.0, 0.0, 6.0]));
        let mut w = base.clone();
        delta.apply(&mut w).unwrap();
        assert_eq!(w.get("w").unwrap().values(), [1.0, 0.5, 3.0, 4.0, -0.0, 6.0]);
        assert!(w.get("w").unwrap().values()[4].is_sign_negative());
        assert!(delta.apply(&mut w).is_err(), "twice");
        delta.remove(&mut w).unwrap();
        assert_eq!(w.fingerprint(), base.fingerprint());
        assert_eq!((delta.len(), delta.is_empty()), (2, false));
    }

    #[test]
    fn another_network_is_refused() {
        let delta = delta();
        assert!(delta.apply(&mut parameters(&[1.0, 0.2, 3.0, 4.0, 0.0, 6.0])).is_err());
        assert!(delta.apply(&mut parameters(&[1.0, 0.1])).is_err());
        assert!(delta.apply(&mut Parameters::default()).is_err());
    }

    #[test]
    fn files_are_read_back_and_checked() {
        let path = std::env::temp_dir().join(format!("quadrat-delta-{}.json", std::process::id()));
        delta().save(&path).unwrap();
        assert_eq!(Delta::load(&path).unwrap(), delta());
        std::fs::write(&path, r#"{"changes":[{"name":"w","at":[1,9],"old":[0],"new":[0,0]}]}"#).unwrap();
        assert!(Delta::load(&path).unwrap_err().to_string().contains("an old and a new value"));
        std::fs::write(&path, "[]").unwrap();
        assert!(Delta::load(&path).is_err());
        std::fs::remove_file(&path).unwrap();
        assert!(Delta::load(&path).is_err());
    }
}
