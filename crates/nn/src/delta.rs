//! What a fine-tuning changed, kept apart from the network: small, exact to put on and to take off.

use crate::ops::Pattern;
use crate::parameters::Parameters;
use quadrat_core::{Error, Result, write_atomic_bytes};
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;

/// The change of one kernel.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    name: String,
    how: How,
    /// Places (flat, ascending) whose old values must be kept, and these.
    at: Vec<u32>,
    old: Vec<f32>,
}

#[derive(Debug, Clone, PartialEq)]
enum How {
    /// New values at the places.
    Entries(Vec<f32>),
    /// A product of two thin matrices is added everywhere. Taking it off again would round: the places are those that
    /// subtraction does not bring back.
    Product(Thin),
}

/// B (outputs x rank) and A (rank x inputs), each row by row.
#[derive(Debug, Clone, PartialEq)]
struct Thin {
    a: Vec<f32>,
    b: Vec<f32>,
    rank: usize,
}

impl Thin {
    /// Add `sign` times B A.
    fn add(&self, sign: f32, w: &mut [f32]) {
        let inputs = self.a.len() / self.rank;
        let mut row = vec![0.0; inputs];
        for (w, b) in w.chunks_exact_mut(inputs).zip(self.b.chunks_exact(self.rank)) {
            row.fill(0.0);
            for (b, a) in b.iter().zip(self.a.chunks_exact(inputs)) {
                row.iter_mut().zip(a).for_each(|(d, a)| *d += b * a);
            }
            w.iter_mut().zip(&row).for_each(|(w, d)| *w += sign * d);
        }
    }
}

impl Change {
    /// The entries of a pattern, from old values to those of `after`.
    ///
    /// # Errors
    /// Parameters of another network.
    pub fn entries(name: &str, pattern: &Pattern, old: &[f32], after: &Parameters) -> Result<Self> {
        let new = pattern.gather(&after.get(name)?.dense())?;
        let at = pattern.indices().map(|i| i as u32).collect();
        Ok(Change { name: name.to_owned(), how: How::Entries(new), at, old: old.to_vec() })
    }

    /// B A added to a kernel that had the values `old`: B is outputs x rank, A rank x inputs, row by row.
    ///
    /// # Errors
    /// Matrices that do not fit the kernel.
    pub fn product(name: &str, old: &[f32], a: Vec<f32>, b: Vec<f32>, rank: usize) -> Result<Self> {
        let thin = Thin { a, b, rank };
        if !thin.fits(old.len()) {
            let got = format!("{} and {} numbers of rank {rank}", thin.b.len(), thin.a.len());
            return Err(Error::input(name, got, format!("thin matrices whose product has {} numbers", old.len())));
        }
        let mut back = old.to_vec();
        thin.add(1.0, &mut back);
        thin.add(-1.0, &mut back);
        let rounded: Vec<usize> = (0..old.len()).filter(|&i| back[i].to_bits() != old[i].to_bits()).collect();
        Ok(Change {
            name: name.to_owned(),
            how: How::Product(thin),
            old: rounded.iter().map(|&i| old[i]).collect(),
            at: rounded.into_iter().map(|i| i as u32).collect(),
        })
    }

    /// Make the change in the kernel's values, all entries in order.
    pub fn put_on(&self, w: &mut [f32]) {
        match &self.how {
            How::Entries(new) => self.at.iter().zip(new).for_each(|(i, v)| w[*i as usize] = *v),
            How::Product(thin) => thin.add(1.0, w),
        }
    }

    fn take_off(&self, w: &mut [f32]) {
        if let How::Product(thin) = &self.how {
            thin.add(-1.0, w);
        }
        self.at.iter().zip(&self.old).for_each(|(i, v)| w[*i as usize] = *v);
    }

    /// Whether a kernel of so many entries can be changed.
    fn fits(&self, entries: usize) -> bool {
        let inside = self.at.iter().all(|i| (*i as usize) < entries);
        let whole = self.at.len() == self.old.len();
        inside
            && whole
            && match &self.how {
                How::Entries(new) => new.len() == self.at.len(),
                How::Product(thin) => thin.fits(entries),
            }
    }
}

impl Thin {
    fn fits(&self, entries: usize) -> bool {
        let (a, b, rank) = (self.a.len(), self.b.len(), self.rank);
        rank > 0 && a > 0 && a.is_multiple_of(rank) && b.is_multiple_of(rank) && (a / rank) * (b / rank) == entries
    }
}

/// What a fine-tuning changed in a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Delta {
    method: String,
    /// Fingerprints of the network without and with it.
    base: u64,
    result: u64,
    changes: Vec<Change>,
}

/// What a delta file's header says.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    method: String,
    base: String,
    result: String,
    changes: Vec<Named>,
}

/// The kernel that the arrays `N.…` of a delta file belong to, and how it was changed.
#[derive(Debug, Serialize, Deserialize)]
struct Named {
    name: String,
    product: bool,
}

/// The one key of our headers.
const HEADER: &str = "quadrat-delta";

impl Delta {
    /// The changes that `method` made, in a network that has the parameters `after` with them.
    ///
    /// # Errors
    /// Changes of another network.
    pub fn new(method: &str, changes: Vec<Change>, after: &Parameters) -> Result<Self> {
        let mut delta = Delta { method: method.to_owned(), base: 0, result: after.fingerprint(), changes };
        let mut base = after.clone();
        delta.change(&mut base, Change::take_off)?;
        delta.base = base.fingerprint();
        Ok(delta)
    }

    /// The method that made it.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// How many numbers it holds for the change itself: new values, or entries of thin matrices.
    pub fn len(&self) -> usize {
        let size = |change: &Change| match &change.how {
            How::Entries(new) => new.len(),
            How::Product(thin) => thin.a.len() + thin.b.len(),
        };
        self.changes.iter().map(size).sum()
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// That these are the parameters it belongs to, without it.
    ///
    /// # Errors
    /// They are others, or have it already.
    pub fn check_base(&self, parameters: &Parameters) -> Result<()> {
        self.check(parameters, self.base, self.result, "it is on already")
    }

    /// Put the changes in.
    ///
    /// # Errors
    /// A network that is not the one that was fine-tuned, or has the changes already. It is then left as it was.
    pub fn apply(&self, parameters: &mut Parameters) -> Result<()> {
        self.check_base(parameters)?;
        self.replace(parameters, Change::put_on, self.result)
    }

    /// Take the changes out: the network is then what it was, bit for bit.
    ///
    /// # Errors
    /// A network that does not have the changes. It is then left as it was.
    pub fn remove(&self, parameters: &mut Parameters) -> Result<()> {
        self.check(parameters, self.result, self.base, "it is not on")?;
        self.replace(parameters, Change::take_off, self.base)
    }

    fn check(&self, parameters: &Parameters, wanted: u64, other: u64, if_other: &str) -> Result<()> {
        let found = parameters.fingerprint();
        if found == wanted {
            return Ok(());
        }
        let got = format!("a model with fingerprint {found:016x}");
        let want = match found == other {
            true => if_other.to_owned(),
            false => format!("the delta belongs to {:016x}, and makes {:016x} of it", self.base, self.result),
        };
        Err(Error::input("delta", got, want))
    }

    fn replace(&self, parameters: &mut Parameters, how: fn(&Change, &mut [f32]), wanted: u64) -> Result<()> {
        let mut changed = parameters.clone();
        self.change(&mut changed, how)?;
        if changed.fingerprint() != wanted {
            return Err(Error::input("delta", "other numbers than were saved", "a file that was not changed"));
        }
        *parameters = changed;
        Ok(())
    }

    fn change(&self, parameters: &mut Parameters, how: fn(&Change, &mut [f32])) -> Result<()> {
        for change in &self.changes {
            let parameter = parameters.get_mut(&change.name)?;
            parameter.relax();
            if !change.fits(parameter.len()) {
                let got =
                    format!("places or sizes that `{}` of {} numbers does not have", change.name, parameter.len());
                return Err(Error::input("delta", got, "a delta of this network"));
            }
            parameter.update(|w| how(change, w));
        }
        Ok(())
    }

    /// Write it to a safetensors file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut arrays: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
        for (n, change) in self.changes.iter().enumerate() {
            let mut floats = |name: &str, shape: Vec<usize>, values: &[f32]| {
                let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                arrays.push((format!("{n}.{name}"), Dtype::F32, shape, bytes));
            };
            match &change.how {
                How::Entries(new) => floats("new", vec![new.len()], new),
                How::Product(Thin { a, b, rank }) => {
                    floats("a", vec![*rank, a.len() / rank], a);
                    floats("b", vec![b.len() / rank, *rank], b);
                }
            }
            floats("old", vec![change.old.len()], &change.old);
            let places = change.at.iter().flat_map(|i| i.to_le_bytes()).collect();
            arrays.push((format!("{n}.at"), Dtype::U32, vec![change.at.len()], places));
        }
        let named =
            |change: &Change| Named { name: change.name.clone(), product: matches!(change.how, How::Product(_)) };
        let header = Header {
            method: self.method.clone(),
            base: format!("{:016x}", self.base),
            result: format!("{:016x}", self.result),
            changes: self.changes.iter().map(named).collect(),
        };
        let wrong = |why: String| Error::data(path.display().to_string(), None, why);
        let views: Vec<(&str, TensorView)> = arrays
            .iter()
            .map(|(name, dtype, shape, bytes)| Ok((name.as_str(), TensorView::new(*dtype, shape.clone(), bytes)?)))
            .collect::<std::result::Result<_, safetensors::SafeTensorError>>()
            .map_err(|e| wrong(e.to_string()))?;
        let header = serde_json::to_string(&header).map_err(|e| wrong(e.to_string()))?;
        let bytes = serialize(views, Some(HashMap::from([(HEADER.to_owned(), header)])));
        write_atomic_bytes(path, &bytes.map_err(|e| wrong(e.to_string()))?)
    }

    /// Read what [`Delta::save`] wrote.
    ///
    /// # Errors
    /// No such file, or no delta.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
        Delta::parse(&bytes).map_err(|why| Error::data(path.display().to_string(), None, why))
    }

    fn parse(bytes: &[u8]) -> std::result::Result<Self, String> {
        let (_, about) = SafeTensors::read_metadata(bytes).map_err(|e| format!("not a safetensors file: {e}"))?;
        let header = about.metadata().as_ref().and_then(|all| all.get(HEADER));
        let header = header.ok_or("not a delta: `quadrat train --from MODEL --delta FILE` writes one")?;
        let header: Header = serde_json::from_str(header).map_err(|e| format!("damaged header: {e}"))?;
        let tensors = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
        let four = |name: String, dtype: Dtype| {
            let tensor = tensors.tensor(&name).map_err(|e| format!("`{name}`: {e}"))?;
            if tensor.dtype() != dtype {
                return Err(format!("`{name}` holds {:?}, not {dtype:?}", tensor.dtype()));
            }
            let numbers: Vec<[u8; 4]> = tensor.data().chunks_exact(4).map(|v| [v[0], v[1], v[2], v[3]]).collect();
            Ok((tensor.shape().to_vec(), numbers))
        };
        let floats = |name: String| {
            let (shape, numbers) = four(name, Dtype::F32)?;
            Ok::<_, String>((shape, numbers.into_iter().map(f32::from_le_bytes).collect::<Vec<_>>()))
        };
        let mut changes = Vec::new();
        for (n, Named { name, product }) in header.changes.into_iter().enumerate() {
            let how = if product {
                let ((shape, a), (_, b)) = (floats(format!("{n}.a"))?, floats(format!("{n}.b"))?);
                How::Product(Thin { a, b, rank: shape.first().copied().unwrap_or(0) })
            } else {
                How::Entries(floats(format!("{n}.new"))?.1)
            };
            let at = four(format!("{n}.at"), Dtype::U32)?.1.into_iter().map(u32::from_le_bytes).collect();
            changes.push(Change { name, how, at, old: floats(format!("{n}.old"))?.1 });
        }
        let print = |text: &str| u64::from_str_radix(text, 16).map_err(|_| format!("damaged fingerprint `{text}`"));
        Ok(Delta { method: header.method, base: print(&header.base)?, result: print(&header.result)?, changes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::Role;
    use proptest::prelude::*;

    fn parameters(values: &[f32]) -> Parameters {
        let mut parameters = Parameters::default();
        parameters.add_values("w".into(), vec![2, values.len() / 2], Role::Weight, values.to_vec()).unwrap();
        parameters
    }

    const BASE: [f32; 6] = [1.0, 0.1, 3.0, 4.0, 0.0, 6.0];

    fn entries() -> (Delta, Parameters) {
        let pattern = Pattern::from_indices(&[1, 4], 2, 3).unwrap();
        let new = parameters(&[1.0, 0.5, 3.0, 4.0, -0.0, 6.0]);
        let change = Change::entries("w", &pattern, &[0.1, 0.0], &new).unwrap();
        (Delta::new("sara", vec![change], &new).unwrap(), new)
    }

    fn product(old: &[f32], a: Vec<f32>, b: Vec<f32>, rank: usize) -> (Delta, Parameters) {
        let change = Change::product("w", old, a, b, rank).unwrap();
        let mut new = old.to_vec();
        change.put_on(&mut new);
        let new = parameters(&new);
        (Delta::new("lora", vec![change], &new).unwrap(), new)
    }

    /// Values come back as bits: 0 and -0 are told apart, and no difference is rounded.
    #[test]
    fn it_is_put_on_and_taken_off_exactly() {
        let thin = product(&BASE, vec![0.3, 1e-9, 2.0], vec![0.1, -7.0], 1);
        for (delta, new) in [entries(), thin] {
            let base = parameters(&BASE);
            let mut w = base.clone();
            delta.check_base(&w).unwrap();
            delta.apply(&mut w).unwrap();
            assert_eq!(w.fingerprint(), new.fingerprint());
            assert!(delta.apply(&mut w).unwrap_err().to_string().contains("on already"), "twice");
            delta.remove(&mut w).unwrap();
            assert_eq!(w.fingerprint(), base.fingerprint());
            assert!(delta.remove(&mut w).unwrap_err().to_string().contains("not on"));
            assert!(!delta.is_empty());
        }
        assert_eq!((entries().0.len(), entries().0.method()), (2, "sara"));
    }

    proptest! {
        /// Whatever the sizes of the numbers: adding and subtracting alone would lose small ones under large ones.
        #[test]
        fn products_come_off_bit_for_bit(
            old in prop::collection::vec(prop::num::f32::NORMAL | prop::num::f32::ZERO | prop::num::f32::SUBNORMAL, 8),
            a in prop::collection::vec(-1e3f32..1e3, 8), b in prop::collection::vec(-1e3f32..1e3, 4)
        ) {
            let base = parameters(&old);
            let (delta, new) = product(&old, a, b, 2);
            let mut w = new;
            delta.remove(&mut w).unwrap();
            prop_assert_eq!(w.fingerprint(), base.fingerprint());
        }
    }

    #[test]
    fn another_network_is_refused_and_left_alone() {
        let (delta, _) = entries();
        for other in [&[1.0, 0.2, 3.0, 4.0, 0.0, 6.0][..], &[1.0, 0.1], &[1.0, 0.1, 3.0, 4.0, 0.0, 6.5]] {
            let mut other = parameters(other);
            let before = other.fingerprint();
            assert!(delta.apply(&mut other).unwrap_err().to_string().contains("the delta belongs to"));
            assert!(delta.remove(&mut other).is_err());
            assert_eq!(other.fingerprint(), before);
        }
        assert!(delta.apply(&mut Parameters::default()).is_err());
        assert!(Change::product("w", &BASE, vec![0.0; 4], vec![0.0; 2], 1).is_err(), "4 x 2 numbers for 6");
        assert!(Change::product("w", &BASE, vec![], vec![], 0).is_err());
    }

    #[test]
    fn files_are_read_back_and_checked() {
        let path = std::env::temp_dir().join(format!("quadrat-delta-{}.safetensors", std::process::id()));
        for (delta, _) in [entries(), product(&BASE, vec![0.3, 0.1, 2.0], vec![0.1, -7.0], 1)] {
            delta.save(&path).unwrap();
            assert_eq!(Delta::load(&path).unwrap(), delta);
            let bytes = std::fs::read(&path).unwrap();
            for end in [0, 8, bytes.len() / 2, bytes.len() - 1] {
                std::fs::write(&path, &bytes[..end]).unwrap();
                assert!(Delta::load(&path).is_err());
            }
            // A number that was changed on the way is found out.
            let mut wrong = bytes.clone();
            let place = wrong.len() - 5;
            wrong[place] ^= 1;
            std::fs::write(&path, &wrong).unwrap();
            let wrong = Delta::load(&path).unwrap();
            let mut w = parameters(&BASE);
            let on = wrong.apply(&mut w).is_ok();
            assert!(!on || wrong.remove(&mut w).is_err());
        }
        std::fs::remove_file(&path).unwrap();
        assert!(Delta::load(&path).is_err());
    }
}
