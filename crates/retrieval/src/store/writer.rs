//! Additions and deletions.

use super::manifest::{Lock, Manifest, Part};
use super::{Batch, Segment, Segments, Setup};
use crate::Set;
use quadrat_core::{Error, Result, write_atomic_bytes};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Changes an index. Nothing that it does counts before [`Writer::commit`]; one at a time.
#[derive(Debug)]
pub struct Writer<S: Segment> {
    folder: PathBuf,
    manifest: Manifest,
    /// Where each document is: segment and number there, or the batch.
    ids: HashMap<String, Option<(usize, u32)>>,
    batch: S::Batch,
    /// Documents to delete, segment by segment.
    gone: Vec<Set>,
    changed: Vec<bool>,
    _lock: Lock,
}

impl<S: Segment> Writer<S> {
    /// Makes an empty index in a folder that is there; it exists from the first [`Writer::commit`] on.
    pub fn create(folder: &Path, setup: Setup) -> Result<Self> {
        let lock = Lock::take(folder)?;
        Writer::of(folder, Manifest::new(setup), lock)
    }

    /// Changes the index in `folder`.
    pub fn open(folder: &Path) -> Result<Self> {
        // No lock is left in a folder that is no index; and what was read before the lock may be old by now.
        Manifest::read(folder)?;
        let lock = Lock::take(folder)?;
        Writer::of(folder, Manifest::read(folder)?, lock)
    }

    fn of(folder: &Path, manifest: Manifest, lock: Lock) -> Result<Self> {
        manifest.sweep(folder);
        let segments: Segments<S> = Segments::of(folder, &manifest.segments)?;
        let mut ids = HashMap::with_capacity(segments.live());
        for (at, (_, segment)) in segments.iter().enumerate() {
            let live = (0..segment.documents()).filter(|doc| segment.has(*doc));
            ids.extend(live.map(|doc| (segment.id(doc).to_owned(), Some((at, doc)))));
        }
        let set = |segment: &S| segment.gone().cloned().unwrap_or_else(|| Set::none(segment.documents() as usize));
        let gone: Vec<Set> = segments.iter().map(|(_, segment)| set(segment)).collect();
        let changed = vec![false; gone.len()];
        Ok(Writer { folder: folder.to_owned(), manifest, ids, batch: S::Batch::default(), gone, changed, _lock: lock })
    }

    /// What the index is made with.
    pub fn setup(&self) -> &Setup {
        &self.manifest.setup
    }

    /// Takes names for documents that [`Writer::hold`] adds next: all, or none if one is a document's already.
    pub fn claim<'a>(&mut self, ids: impl Iterator<Item = &'a str> + Clone) -> Result<()> {
        for (at, id) in ids.clone().enumerate() {
            if self.ids.contains_key(id) {
                for added in ids.take(at) {
                    self.ids.remove(added);
                }
                let want = "ids are unique: delete the other document first, or name another column of ids";
                return Err(Error::input("document id", format!("`{id}` twice"), want));
            }
            self.ids.insert(id.to_owned(), None);
        }
        Ok(())
    }

    /// Adds documents to those in memory.
    pub fn hold(&mut self, add: impl FnOnce(&mut S::Batch)) -> Result<()> {
        add(&mut self.batch);
        if self.batch.is_full() { self.flush() } else { Ok(()) }
    }

    /// Deletes a document; false if there is none of that name.
    pub fn delete(&mut self, id: &str) -> Result<bool> {
        match self.ids.get(id) {
            Some(Some((segment, doc))) => {
                self.gone[*segment].insert(*doc as usize);
                self.changed[*segment] = true;
            }
            // Added just now: it must be in a segment before it can be taken out of one.
            Some(None) => {
                self.flush()?;
                return self.delete(id);
            }
            None => return Ok(false),
        }
        self.ids.remove(id);
        Ok(true)
    }

    /// Writes what is held as a segment.
    fn flush(&mut self) -> Result<()> {
        let batch = std::mem::take(&mut self.batch);
        if batch.len() == 0 {
            return Ok(());
        }
        let file = self.manifest.name("segment");
        batch.write(&self.folder.join(&file))?;
        let at = self.gone.len();
        for (doc, id) in batch.ids().enumerate() {
            self.ids.insert(id.to_owned(), Some((at, doc as u32)));
        }
        self.gone.push(Set::none(batch.len()));
        self.changed.push(false);
        self.manifest.segments.push(Part { file, deleted: None });
        Ok(())
    }

    /// Makes all changes count, at once, and opens the index.
    pub fn commit(mut self) -> Result<Segments<S>> {
        self.flush()?;
        for at in 0..self.gone.len() {
            if self.changed[at] {
                let name = self.manifest.name("deleted");
                self.gone[at].write(&self.folder.join(&name))?;
                self.manifest.segments[at].deleted = Some(name);
            }
        }
        self.merge()?;
        self.manifest.write(&self.folder)?;
        self.manifest.sweep(&self.folder);
        Segments::of(&self.folder, &self.manifest.segments)
    }

    /// Merges the last segments until each is larger than all later ones together, and rewrites those that are mostly gone.
    fn merge(&mut self) -> Result<()> {
        let live: Vec<usize> = self.gone.iter().map(|gone| gone.len() - gone.count()).collect();
        let mostly_gone: Vec<bool> = live.iter().zip(&self.gone).map(|(live, gone)| 2 * live < gone.len()).collect();
        let (mut from, mut sum) = (live.len(), 0);
        while from > 0 && (from == live.len() || live[from - 1] <= sum) {
            from -= 1;
            sum += live[from];
        }
        let mut parts = Vec::new();
        for (at, anew) in mostly_gone.iter().enumerate().take(from) {
            parts.extend(self.merged(at..at + 1, *anew)?);
        }
        if from < live.len() {
            parts.extend(self.merged(from..live.len(), from + 1 < live.len() || mostly_gone[from])?);
        }
        self.manifest.segments = parts;
        Ok(())
    }

    /// Some segments as one, if any document is left; a single one stays as it is unless it is to be written `anew`.
    fn merged(&mut self, of: std::ops::Range<usize>, anew: bool) -> Result<Option<Part>> {
        if !anew {
            return Ok(self.manifest.segments.get(of.start).cloned());
        }
        let open =
            |at: usize| S::open(&self.folder.join(&self.manifest.segments[at].file), Some(self.gone[at].clone()));
        let segments: Vec<S> = of.map(open).collect::<Result<_>>()?;
        if segments.iter().all(|segment| segment.live() == 0) {
            return Ok(None);
        }
        let file = self.manifest.name("segment");
        S::merge(&self.folder.join(&file), &segments)?;
        Ok(Some(Part { file, deleted: None }))
    }
}

/// A file that names documents: their number, the words of the set, and a sum over both.
impl Set {
    fn write(&self, path: &Path) -> Result<()> {
        let mut bytes = (self.len() as u64).to_le_bytes().to_vec();
        bytes.extend(self.words().iter().flat_map(|word| word.to_le_bytes()));
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        write_atomic_bytes(path, &bytes)
    }

    pub(super) fn read(path: &Path) -> Result<Set> {
        let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
        let damaged =
            || Error::data(path.display().to_string(), None, "the list of deleted documents is damaged: restore it");
        let (content, sum) = bytes.split_last_chunk::<4>().ok_or_else(damaged)?;
        if crc32fast::hash(content) != u32::from_le_bytes(*sum) {
            return Err(damaged());
        }
        let mut numbers = content.chunks_exact(8).map(|eight| u64::from_le_bytes(eight.try_into().unwrap_or_default()));
        let len = numbers.next().ok_or_else(damaged)? as usize;
        Set::from_words(numbers.collect(), len).ok_or_else(damaged)
    }
}
