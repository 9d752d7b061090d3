//! Texts as vectors by a model: sentence encoders of BERT's kind, from a folder of the user's.

mod bert;
mod cache;
mod config;
mod folder;
mod steps;
mod tokens;
mod weights;

use bert::{Bert, Room};
use cache::{Cache, Kept, Key};
use folder::Folder;
use ndarray::Array2;
use quadrat_core::{Error, Progress, Result, Seed, checkpoint};
use quadrat_numeric::{Encoded, TextEncoder};
use rayon::prelude::*;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use steps::Step;
use tokens::Tokens;

/// A sentence encoder (Reimers and Gurevych 2019): a text's tokens through a transformer, its rows pooled to one vector.
///
/// Read are folders as sentence-transformers writes them, and as transformers does: `config.json` of BERT, DistilBERT,
/// RoBERTa, XLM-RoBERTa, CamemBERT or MPNet, `model.safetensors` in 16, 32 or 64 bits, `tokenizer.json`, and `modules.json`
/// with Transformer, Pooling (all of sentence-transformers' ways), Dense and Normalize. The vectors are those of
/// sentence-transformers: the cosine to them is 1 within 1e-6.
///
/// A vector does not depend on the other texts, nor on the number of threads. Cost: about 2 operations for each number in
/// the transformer's blocks and each token, on all threads; memory: the weights in single precision, and some megabytes a
/// thread.
#[derive(Debug)]
pub struct SentenceEncoder {
    folder: Folder,
    tokens: Tokens,
    network: Bert,
    /// Where vectors are kept, and the sum over the model's files.
    cache: Option<(PathBuf, [u8; 32])>,
}

/// Vectors of texts, and what it took to make them.
#[derive(Debug, Clone, PartialEq)]
pub struct Vectors {
    /// One row a text.
    pub rows: Array2<f32>,
    /// Tokens that went through the model.
    pub tokens: u64,
    /// Texts that were longer than the model takes: the rest of them is not in their vectors.
    pub cut: usize,
    /// Texts whose vectors were there from an earlier time.
    pub cached: usize,
    /// What a user should know.
    pub notes: Vec<String>,
}

/// Texts between two visits to the cache: some seconds of work, which are lost when a job is stopped.
const BLOCK: usize = 256;

impl SentenceEncoder {
    /// Reads a model.
    ///
    /// # Errors
    /// A file that is missing, damaged or says what is not known here, by name: what is known is said.
    pub fn open(folder: &Path) -> Result<Self> {
        let folder = Folder::read(folder)?;
        let tokens = Tokens::open(&folder)?;
        let network = Bert::open(folder.config.clone(), &folder.weights)?;
        Ok(SentenceEncoder { folder, tokens, network, cache: None })
    }

    /// Keep vectors in this folder, which is made, and take them from there when the same model meets the same text
    /// again. Vectors are known by sums over the model's files and the text, and checked when they are read; 2 GiB are
    /// kept at most, the newest of all models. A folder that cannot be written is a note, no error.
    ///
    /// # Errors
    /// A file of the model that cannot be read any more.
    pub fn cached_in(mut self, folder: PathBuf) -> Result<Self> {
        self.cache = Some((folder, self.folder.fingerprint()?));
        Ok(self)
    }

    /// Numbers in a vector.
    pub fn dims(&self) -> usize {
        self.folder.dims()
    }

    /// Most tokens of a text, special ones too; what is longer is cut.
    pub fn longest(&self) -> usize {
        self.folder.longest
    }

    /// The vectors of texts. An empty text has that of the special tokens alone.
    ///
    /// # Errors
    /// A model that gives numbers that are not finite; cancelled: what was done until then is in the cache.
    pub fn vectors(&self, texts: &[String], progress: &dyn Progress) -> Result<Vectors> {
        let mut notes = self.folder.notes.clone();
        // Each text once; `places` leads from a text to the one that is like it.
        let keys: Vec<Key> = texts.par_iter().map(|text| cache::key(text)).collect();
        let mut known: HashMap<Key, usize> = HashMap::new();
        let mut different: Vec<(Key, &str)> = Vec::new();
        let mut places = Vec::with_capacity(texts.len());
        for (key, text) in keys.into_iter().zip(texts) {
            places.push(*known.entry(key).or_insert_with(|| {
                different.push((key, text));
                different.len() - 1
            }));
        }
        let own: Vec<Key> = different.iter().map(|(key, _)| *key).collect();
        let mut cache = self.open_cache(&mut notes);
        let mut kept = cache.as_mut().map_or_else(|| vec![None; own.len()], |cache| cache.find(&own));
        if let Some(damaged) = cache.as_ref().map(|cache| cache.damaged).filter(|damaged| *damaged > 0) {
            notes.push(format!("kept vectors were damaged in {damaged} files: what is missing now is computed again"));
        }
        let cached = places.iter().filter(|place| kept[**place].is_some()).count();
        let missing: Vec<usize> = (0..own.len()).filter(|place| kept[*place].is_none()).collect();
        progress.begin("texts to vectors", Some(missing.len() as u64));
        let tokens = AtomicU64::new(0);
        for block in missing.chunks(BLOCK) {
            let texts: Vec<&str> = block.iter().map(|place| different[*place].1).collect();
            let made = self.compute(&texts, &tokens, progress)?;
            let keys: Vec<Key> = block.iter().map(|place| own[*place]).collect();
            if let Some(Err(error)) = cache.as_ref().map(|cache| cache.keep(&keys, &made)) {
                notes.push(unkept(&error));
                cache = None;
            }
            block.iter().zip(made).for_each(|(place, made)| kept[*place] = Some(made));
        }
        if let Some(cache) = cache.filter(|_| !missing.is_empty()) {
            cache.bound();
        }
        let all = || places.iter().filter_map(|place| kept[*place].as_ref());
        let cut = all().filter(|kept| kept.cut).count();
        if cut > 0 {
            let (all, most) = (texts.len(), self.longest());
            let rest = "their rest is not in their vectors";
            notes.push(format!("{cut} of {all} texts go beyond the model's {most} tokens: {rest}"));
        }
        let rows = all().flat_map(|kept| kept.vector.iter().copied()).collect();
        let rows = Array2::from_shape_vec((texts.len(), self.dims()), rows);
        let rows = rows.map_err(|e| Error::numeric("texts to vectors", e.to_string()))?;
        Ok(Vectors { rows, tokens: tokens.into_inner(), cut, cached, notes })
    }

    /// What is kept of this model's vectors, if any are to be.
    fn open_cache(&self, notes: &mut Vec<String>) -> Option<Cache> {
        let (root, fingerprint) = self.cache.as_ref()?;
        Cache::open(root, fingerprint, self.dims()).map_err(|error| notes.push(unkept(&error))).ok()
    }

    /// Vectors by the network, texts of neighbouring places together.
    fn compute(&self, texts: &[&str], tokens: &AtomicU64, progress: &dyn Progress) -> Result<Vec<Kept>> {
        let read: Vec<tokens::Read> = texts.par_iter().map(|text| self.tokens.read(text)).collect::<Result<_>>()?;
        let parts = parts(&read);
        let vectors = parts.into_par_iter().map_init(Room::default, |room, part| {
            checkpoint(progress)?;
            let ids: Vec<&[u32]> = part.iter().map(|read| read.ids.as_slice()).collect();
            let width = self.network.width();
            let mut rows = self.network.rows(&ids, room);
            let mut kept = Vec::with_capacity(part.len());
            for read in part {
                let own;
                (own, rows) = rows.split_at(read.ids.len() * width);
                let vector = Step::all(&self.folder.steps, own, width);
                if vector.iter().any(|v| !v.is_finite()) {
                    let why = "gives numbers that are not finite: are its weights damaged?";
                    return Err(Error::data(self.folder.weights.display().to_string(), None, why));
                }
                kept.push(Kept { vector, cut: read.cut });
            }
            tokens.fetch_add(ids.iter().map(|ids| ids.len() as u64).sum(), Ordering::Relaxed);
            progress.advance(part.len() as u64);
            Ok(kept)
        });
        Ok(vectors.collect::<Result<Vec<Vec<Kept>>>>()?.concat())
    }
}

/// Said where no file can be written.
fn unkept(error: &Error) -> String {
    format!("vectors are not kept for the next time: {error}")
}

/// Texts in parts for one thread each: many tokens in a part where there are many, but parts for many threads first.
fn parts(read: &[tokens::Read]) -> Vec<&[tokens::Read]> {
    let all: usize = read.iter().map(|read| read.ids.len()).sum();
    let most = (all / 32).clamp(64, 512);
    let (mut parts, mut first, mut used) = (Vec::new(), 0, 0);
    for (i, next) in read.iter().enumerate() {
        if used > 0 && used + next.ids.len() > most {
            parts.push(&read[first..i]);
            (first, used) = (i, 0);
        }
        used += next.ids.len();
    }
    parts.push(&read[first..]);
    parts
}

impl TextEncoder for SentenceEncoder {
    fn encode(&self, texts: &[String], _: Seed, progress: &dyn Progress) -> Result<Encoded> {
        if texts.is_empty() {
            return Err(Error::input("texts", 0, "there must be at least one"));
        }
        let Vectors { rows, notes, .. } = self.vectors(texts, progress)?;
        Ok(Encoded { rows, notes })
    }
}

#[cfg(test)]
mod tests;
