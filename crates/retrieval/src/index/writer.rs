//! Documents into an index of words, and out of it.

use super::segment::Segment;
use super::weights::Weights;
use super::{Document, Index};
use crate::impacts::WeighedDocument;
use crate::store::{self, Setup};
use quadrat_core::{Error, Result};
use rayon::prelude::*;
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
        Weights::of(folder, &setup)?;
        store::Writer::create(folder, setup).map(Writer)
    }

    /// Changes the index in `folder`.
    ///
    /// # Errors
    /// As [`Index::open`]; another program is changing it.
    pub fn open(folder: &Path) -> Result<Writer> {
        Weights::of(folder, &Setup::read(folder)?)?;
        store::Writer::open(folder).map(Writer)
    }

    /// What the index is made with.
    pub fn setup(&self) -> &Setup {
        self.0.setup()
    }

    /// Adds documents. Empty texts are documents that no query finds.
    ///
    /// # Errors
    /// An id that a document has already: then none of them is added. An index of impacts.
    pub fn add(&mut self, documents: Vec<Document>) -> Result<()> {
        let (analyser, weights) = Weights::of(Path::new(""), self.setup())?;
        if let Weights::Impacts(_) = weights {
            return Err(Error::input("documents", "texts", "words with weights: this index holds impacts"));
        }
        self.0.claim(documents.iter().map(|document| document.id.as_str()))?;
        self.0.hold(|batch| batch.extend(documents, &analyser))
    }

    /// Adds documents with their words' weights. One without a word is a document that no query finds.
    ///
    /// # Errors
    /// A word twice, or a weight that is none ([`Impacts::of`](crate::Impacts::of)); an id that a document has already: then none of
    /// them is added. An index of texts.
    pub fn add_weighed(&mut self, documents: Vec<WeighedDocument>) -> Result<()> {
        let (_, Weights::Impacts(impacts)) = Weights::of(Path::new(""), self.setup())? else {
            return Err(Error::input("documents", "words with weights", "texts: this index counts their words"));
        };
        let found: Vec<Vec<u32>> = documents.par_iter().map(|document| impacts.of(document)).collect::<Result<_>>()?;
        self.0.claim(documents.iter().map(|document| document.document.id.as_str()))?;
        self.0.hold(|batch| batch.extend_weighed(documents, &found))
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
