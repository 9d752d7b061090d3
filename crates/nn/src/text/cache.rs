//! Vectors that were computed once, kept in files for the next time.
//!
//! A file holds a block of vectors with a sum over all of it, and is written whole or not at all: a job that is stopped
//! keeps the blocks it has finished, two jobs at once do not meet, and a damaged file is noticed, thrown away and computed
//! again. Texts are known by their sums alone; no text is kept.

use quadrat_core::{Error, Result, write_atomic_bytes};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What a text is known by.
pub(super) type Key = [u8; 16];

/// What is kept of a text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Kept {
    pub vector: Vec<f32>,
    /// Whether the text was longer than the model takes.
    pub cut: bool,
}

/// All vectors of all models together take no more room than this; the oldest blocks go first.
const MOST_BYTES: u64 = 2 << 30;

const MAGIC: &[u8; 8] = b"QUADVEC1";
const ENDING: &str = "vectors";
/// The magic, the number of vectors and that of their dimensions.
const HEAD: usize = 16;
const SUM: usize = 32;

/// One model's vectors in a folder.
pub(super) struct Cache {
    folder: PathBuf,
    dims: usize,
    blocks: Vec<PathBuf>,
    /// The block of each text, and its place there.
    index: HashMap<Key, (usize, usize)>,
    /// Files that were thrown away.
    pub damaged: usize,
}

/// A text's key.
pub(super) fn key(text: &str) -> Key {
    let sum: [u8; 32] = Sha256::digest(text.as_bytes()).into();
    std::array::from_fn(|i| sum[i])
}

impl Cache {
    /// The vectors of a model, which `fingerprint` tells from others. Makes the folder.
    pub fn open(root: &Path, fingerprint: &[u8; 32], dims: usize) -> Result<Self> {
        let name: String = fingerprint[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        let folder = root.join(name);
        fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, e))?;
        let mut cache = Cache { folder, dims, blocks: Vec::new(), index: HashMap::new(), damaged: 0 };
        for path in files(&cache.folder) {
            match keys(&path, dims) {
                Some(keys) => {
                    let block = cache.blocks.len();
                    cache.index.extend(keys.into_iter().enumerate().map(|(place, key)| (key, (block, place))));
                    cache.blocks.push(path);
                }
                None => cache.throw_away(&path),
            }
        }
        Ok(cache)
    }

    fn throw_away(&mut self, path: &Path) {
        self.damaged += 1;
        let _ = fs::remove_file(path);
    }

    /// What is kept of these texts, each in its place.
    pub fn find(&mut self, keys: &[Key]) -> Vec<Option<Kept>> {
        let mut wanted: HashMap<usize, Vec<(usize, usize)>> = HashMap::new();
        for (text, key) in keys.iter().enumerate() {
            if let Some(&(block, place)) = self.index.get(key) {
                wanted.entry(block).or_default().push((text, place));
            }
        }
        let mut found = vec![None; keys.len()];
        for (block, places) in wanted {
            let path = self.blocks[block].clone();
            match block_of(&path, self.dims) {
                Some(mut kept) => places.into_iter().for_each(|(text, place)| found[text] = kept[place].take()),
                None => self.throw_away(&path),
            }
        }
        found
    }

    /// Keeps a block of vectors.
    pub fn keep(&self, keys: &[Key], kept: &[Kept]) -> Result<()> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend((keys.len() as u32).to_le_bytes());
        bytes.extend((self.dims as u32).to_le_bytes());
        bytes.extend(keys.as_flattened());
        for kept in kept {
            bytes.extend(u32::from(kept.cut).to_le_bytes());
            bytes.extend(kept.vector.iter().flat_map(|v| v.to_le_bytes()));
        }
        let sum: [u8; SUM] = Sha256::digest(&bytes).into();
        bytes.extend(sum);
        let name: String = sum[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        write_atomic_bytes(&self.folder.join(format!("{name}.{ENDING}")), &bytes)
    }

    /// Takes the oldest blocks of all models away where there is too much.
    pub fn bound(&self) {
        let Some(models) = self.folder.parent().and_then(|root| fs::read_dir(root).ok()) else { return };
        let mut all: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for path in models.flatten().flat_map(|model| files(&model.path())) {
            if let Ok(about) = path.metadata() {
                all.push((about.modified().unwrap_or(SystemTime::UNIX_EPOCH), about.len(), path));
            }
        }
        all.sort_unstable();
        let mut room: u64 = all.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, bytes, path) in all {
            if room <= MOST_BYTES {
                break;
            }
            room -= bytes;
            let _ = fs::remove_file(path);
        }
    }
}

/// The blocks in a folder, in the order of their names.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|e| e == ENDING)).collect();
    files.sort();
    files
}

/// The number of vectors that a block's first bytes promise, if it is a block of this width and of the length for it.
fn promised(head: &[u8], length: u64, dims: usize) -> Option<usize> {
    let number = |at: usize| Some(u32::from_le_bytes(*head.get(at..)?.first_chunk()?) as usize);
    let (n, width) = (number(8)?, number(12)?);
    let whole = HEAD + n * (size_of::<Key>() + 4 + 4 * width) + SUM;
    (head.starts_with(MAGIC) && width == dims && whole as u64 == length).then_some(n)
}

/// The keys of a block. They are believed without the sum over the block: whoever follows one to its vector checks that.
fn keys(path: &Path, dims: usize) -> Option<Vec<Key>> {
    let mut file = File::open(path).ok()?;
    let mut head = [0; HEAD];
    file.read_exact(&mut head).ok()?;
    let n = promised(&head, file.metadata().ok()?.len(), dims)?;
    let mut keys = vec![0; n * size_of::<Key>()];
    file.read_exact(&mut keys).ok()?;
    Some(keys.as_chunks().0.to_vec())
}

/// A block's vectors, each to be taken, if its sum is right.
fn block_of(path: &Path, dims: usize) -> Option<Vec<Option<Kept>>> {
    let bytes = fs::read(path).ok()?;
    let n = promised(&bytes, bytes.len() as u64, dims)?;
    let (content, sum) = bytes.split_at(bytes.len() - SUM);
    if Sha256::digest(content)[..] != *sum {
        return None;
    }
    let records = content[HEAD + n * size_of::<Key>()..].chunks_exact(4 + 4 * dims);
    let record = |record: &[u8]| {
        let (cut, vector) = record.split_at(4);
        let vector = vector.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        Some(Kept { vector, cut: cut[0] == 1 })
    };
    Some(records.map(record).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(values: &[f32], cut: bool) -> Kept {
        Kept { vector: values.to_vec(), cut }
    }

    #[test]
    fn what_was_kept_is_found_and_what_is_damaged_is_not() {
        let root = std::env::temp_dir().join(format!("quadrat-cache-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        let print = [7; 32];
        let keys = ["a", "b", "c", "d"].map(key);
        let values = [kept(&[1.0, f32::MIN_POSITIVE], false), kept(&[-0.0, 2.0], true), kept(&[3.0, 4.0], false)];
        let cache = Cache::open(&root, &print, 2).unwrap();
        cache.keep(&keys[..2], &values[..2]).unwrap();
        cache.keep(&keys[2..3], &values[2..]).unwrap();
        cache.bound();

        let mut cache = Cache::open(&root, &print, 2).unwrap();
        let found = cache.find(&keys);
        assert!(found[..3].iter().flatten().eq(&values) && found[3].is_none(), "{found:?}");
        assert!(found[1].as_ref().is_some_and(|kept| kept.vector[0].is_sign_negative()) && cache.damaged == 0);
        assert_eq!(Cache::open(&root, &[8; 32], 2).unwrap().find(&keys), [const { None }; 4], "another model");

        // Whichever byte of a block is changed: no wrong vector comes out, and the other block still does.
        let folder = cache.folder.clone();
        let blocks = files(&folder);
        for block in &blocks {
            let whole = fs::read(block).unwrap();
            for at in 0..=whole.len() {
                let mut bytes = whole.clone();
                match bytes.get_mut(at) {
                    Some(byte) => *byte ^= 0x10,
                    None => bytes.truncate(at / 2),
                }
                fs::write(block, bytes).unwrap();
                let mut cache = Cache::open(&root, &print, 2).unwrap();
                let found = cache.find(&keys);
                assert!(found.iter().zip(&values).all(|(kept, v)| kept.as_ref().is_none_or(|k| k == v)), "byte {at}");
                assert!(found.iter().flatten().count() < 3, "byte {at}");
                // A key that is no longer one of ours leads nobody to its block.
                assert!(cache.damaged == 1 || block.exists());
                fs::write(block, &whole).unwrap();
            }
        }
        assert!(Cache::open(&root, &print, 2).unwrap().find(&keys)[..3].iter().flatten().eq(&values));
        fs::remove_dir_all(&root).unwrap();
    }
}
