//! Documents into an index of words, and out of it.

use super::segment::Segment;
use super::{Document, Index};
use crate::store::{self, Kind, Setup};
use crate::{Analyser, Bm25};
use quadrat_core::{Error, Result};
use std::path::Path;

/// Adds documents to an index of words, and deletes them. Nothing counts before [`Writer::commit`].
#[derive(Debug)]
pub struct Writer(store::Writer<Segment>);

impl Writer {
    /// Makes an empty index in a folder that is there; it exists from the first [`Writer::commit`] on.
    ///
    /// # Errors
    /// A folder that cannot be written to; a setup of another kind of index.
    pub fn create(folder: &Path, setup: Setup) -> Result<Writer> {
        words_of(folder, &setup)?;
        store::Writer::create(folder, setup).map(Writer)
    }

    /// Changes the index in `folder`.
    ///
    /// # Errors
    /// As [`Index::open`]; another program is changing it.
    pub fn open(folder: &Path) -> Result<Writer> {
        words_of(folder, &Setup::read(folder)?)?;
        store::Writer::open(folder).map(Writer)
    }

    /// What the index is made with.
    pub fn setup(&self) -> &Setup {
        self.0.setup()
    }

    /// Adds documents. Empty texts are documents that no query finds.
    ///
    /// # Errors
    /// An id that a document has already: then none of them is added.
    pub fn add(&mut self, documents: Vec<Document>) -> Result<()> {
        let (analyser, _) = words_of(Path::new(""), self.setup())?;
        self.0.claim(documents.iter().map(|document| document.id.as_str()))?;
        self.0.hold(|batch| batch.extend(documents, &analyser))
    }

    /// Deletes a document; false if there is none of that name.
    ///
    /// # Errors
    /// The operating system's refusal.
    pub fn delete(&mut self, id: &str) -> Result<bool> {
        self.0.delete(id)
    }

    /// Makes all changes count, at once.
    ///
    /// # Errors
    /// The operating system's refusal: the index stays as it was.
    pub fn commit(self) -> Result<Index> {
        let setup = self.setup().clone();
        Index::of(Path::new(""), &setup, self.0.commit()?)
    }
}

/// What an index of words is set with.
pub(super) fn words_of(folder: &Path, setup: &Setup) -> Result<(Analyser, Bm25)> {
    match setup.kind {
        Kind::Bm25 { analyser, bm25 } => Ok((analyser, bm25)),
        Kind::Dense { .. } => Err(Error::input("index", folder.display(), "an index of words; this one holds vectors")),
    }
}
