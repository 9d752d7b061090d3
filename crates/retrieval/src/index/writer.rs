//! Additions and deletions.

use super::batch::{Batch, Merged};
use super::manifest::{Lock, Manifest, Part};
use super::segment::{self, Segment};
use super::{Document, Index, Kind, Setup};
use crate::{Analyser, Set};
use quadrat_core::{Error, Result, write_atomic_bytes};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Postings that are held in memory before they become a segment: about 200 MB.
const HELD: usize = 1 << 24;

/// Changes an index. Nothing that it does counts before [`Writer::commit`]; one at a time.
#[derive(Debug)]
pub struct Writer {
    folder: PathBuf,
    manifest: Manifest<Setup>,
    /// Where each document is: segment and number there, or the batch.
    ids: HashMap<String, Option<(usize, u32)>>,
    batch: Batch,
    /// Documents to delete, segment by segment.
    gone: Vec<Set>,
    changed: Vec<bool>,
    _lock: Lock,
}

impl Writer {
    /// Makes an empty index in a folder that is there; it exists from the first [`Writer::commit`] on.
    pub fn create(folder: &Path, setup: Setup) -> Result<Writer> {
        Writer::of(folder, Manifest::new(setup))
    }

    /// Changes the index in `folder`.
    ///
    /// # Errors
    /// As [`Index::open`]; another program is changing it.
    pub fn open(folder: &Path) -> Result<Writer> {
        let manifest = Manifest::read(folder)?;
        Writer::of(folder, manifest)
    }

    fn of(folder: &Path, manifest: Manifest<Setup>) -> Result<Writer> {
        let lock = Lock::take(folder)?;
        manifest.sweep(folder);
        let index = Index::of(folder, &manifest)?;
        let mut ids = HashMap::with_capacity(index.len());
        for (at, segment) in index.segments.iter().enumerate() {
            let live = (0..segment.documents())
                .filter(|doc| !segment.gone.as_ref().is_some_and(|gone| gone.has(*doc as usize)));
            ids.extend(live.map(|doc| (segment.id(doc).to_owned(), Some((at, doc)))));
        }
        let gone: Vec<Set> = index
            .segments
            .iter()
            .map(|segment| segment.gone.clone().unwrap_or_else(|| Set::none(segment.documents() as usize)))
            .collect();
        let changed = vec![false; gone.len()];
        Ok(Writer { folder: folder.to_owned(), manifest, ids, batch: Batch::default(), gone, changed, _lock: lock })
    }

    /// What the index is made with.
    pub fn setup(&self) -> &Setup {
        &self.manifest.kind
    }

    fn analyser(&self) -> Analyser {
        let Kind::Bm25 { analyser, .. } = self.manifest.kind.kind;
        analyser
    }

    /// Adds documents. Empty texts are documents that no query finds.
    ///
    /// # Errors
    /// An id that a document has already.
    pub fn add(&mut self, documents: Vec<Document>) -> Result<()> {
        for (at, Document { id, .. }) in documents.iter().enumerate() {
            if self.ids.contains_key(id) {
                for added in &documents[..at] {
                    self.ids.remove(&added.id);
                }
                let want = "ids are unique: delete the other document first, or name another column of ids";
                return Err(Error::input("document id", format!("`{id}` twice"), want));
            }
            self.ids.insert(id.clone(), None);
        }
        self.batch.extend(documents, &self.analyser());
        if self.batch.postings() >= HELD { self.flush() } else { Ok(()) }
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
        segment::write(&self.folder.join(&file), &batch)?;
        let at = self.gone.len();
        for (doc, id) in batch.ids().enumerate() {
            self.ids.insert(id.to_owned(), Some((at, doc as u32)));
        }
        self.gone.push(Set::none(batch.len()));
        self.changed.push(false);
        self.manifest.segments.push(Part { file, deleted: None });
        Ok(())
    }

    /// Makes all changes count, at once.
    ///
    /// # Errors
    /// The operating system's refusal: the index stays as it was.
    pub fn commit(mut self) -> Result<Index> {
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
        Index::of(&self.folder, &self.manifest)
    }

    /// Merges the last segments until each is larger than all later ones together, and rewrites those that are mostly gone.
    fn merge(&mut self) -> Result<()> {
        let live: Vec<usize> = self.gone.iter().map(|gone| gone.len() - gone.count()).collect();
        let mut from = live.len();
        let mut sum = 0;
        while from > 0 && live[from - 1] <= sum.max(1) || from == live.len() && from > 0 {
            from -= 1;
            sum += live[from];
        }
        let mut parts = Vec::new();
        for at in 0..from {
            let mostly_gone = 2 * live[at] < self.gone[at].len();
            parts.extend(if mostly_gone { self.merged(at..at + 1)? } else { Some(self.manifest.segments[at].clone()) });
        }
        if from < live.len() {
            let alone = from + 1 == live.len() && 2 * live[from] >= self.gone[from].len();
            parts.extend(if alone {
                Some(self.manifest.segments[from].clone())
            } else {
                self.merged(from..live.len())?
            });
        }
        self.manifest.segments = parts;
        Ok(())
    }

    /// Some segments as one, if any document is left.
    fn merged(&mut self, of: std::ops::Range<usize>) -> Result<Option<Part>> {
        let open = |at: usize| {
            let gone = &self.gone[at];
            Segment::open(&self.folder.join(&self.manifest.segments[at].file), Some(gone.clone()))
        };
        let segments: Vec<Segment> = of.map(open).collect::<Result<_>>()?;
        if segments.iter().all(|segment| segment.live() == 0) {
            return Ok(None);
        }
        let file = self.manifest.name("segment");
        segment::write(&self.folder.join(&file), &Merged::new(&segments))?;
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
