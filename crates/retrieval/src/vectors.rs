//! Vectors to documents: an exact index in a folder, to which vectors can be added and from which they can be deleted.

mod segment;
#[cfg(test)]
mod tests;

use crate::store::{self, Kind, Segment as _, Segments, Setup};
use crate::{Hit, Set, dense};
use ndarray::{Array2, ArrayView1, ArrayView2, Axis, aview1};
use quadrat_core::{Error, Progress, Result};
use segment::Segment;
use std::collections::HashSet;
use std::path::Path;

/// An open index of vectors. It stays as it was opened, whatever is added or deleted meanwhile.
///
/// ```
/// use ndarray::array;
/// use quadrat_core::Silent;
/// use quadrat_retrieval::{Kind, Setup, VectorIndex, VectorWriter};
/// # let folder = std::env::temp_dir().join(format!("quadrat-doc-vectors-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder).unwrap();
/// let kind = Kind::Dense { columns: 2, encoder: None };
/// let mut writer = VectorWriter::create(&folder, Setup::of(kind))?;
/// writer.add(vec!["a".into(), "b".into()], array![[1.0, 0.0], [0.5, 2.0]])?;
/// let index = writer.commit()?;
/// let hits = index.search(array![[0.0, 1.0]].view(), 1, None, &Silent)?;
/// assert_eq!((index.id(hits[0][0].document), hits[0][0].score), ("b", 2.0));
/// # drop(index);
/// # std::fs::remove_dir_all(&folder).unwrap();
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug)]
pub struct VectorIndex {
    setup: Setup,
    columns: usize,
    segments: Segments<Segment>,
}

/// Adds vectors to an index, and deletes them. Nothing counts before [`VectorWriter::commit`].
#[derive(Debug)]
pub struct VectorWriter(store::Writer<Segment>);

impl VectorWriter {
    /// Makes an empty index in a folder that is there; it exists from the first [`VectorWriter::commit`] on.
    ///
    /// # Errors
    /// A folder that cannot be written to; a setup of another kind of index.
    pub fn create(folder: &Path, setup: Setup) -> Result<VectorWriter> {
        columns(folder, &setup)?;
        store::Writer::create(folder, setup).map(VectorWriter)
    }

    /// Changes the index in `folder`.
    ///
    /// # Errors
    /// As [`VectorIndex::open`]; another program is changing it.
    pub fn open(folder: &Path) -> Result<VectorWriter> {
        columns(folder, &Setup::read(folder)?)?;
        store::Writer::open(folder).map(VectorWriter)
    }

    /// What the index is made with.
    pub fn setup(&self) -> &Setup {
        self.0.setup()
    }

    /// Adds documents, a row of `vectors` each.
    ///
    /// # Errors
    /// Another number of rows or columns; a value that is not finite; an id that a document has already. Then none is added.
    pub fn add(&mut self, ids: Vec<String>, vectors: Array2<f32>) -> Result<()> {
        let columns = columns(Path::new(""), self.setup())?;
        if vectors.dim() != (ids.len(), columns) {
            let got = format!("{} x {}", vectors.nrows(), vectors.ncols());
            return Err(Error::input(
                "vectors",
                got,
                format!("one for each of {} documents, of {columns} values", ids.len()),
            ));
        }
        if let Some(((row, column), value)) = vectors.indexed_iter().find(|(_, value)| !value.is_finite()) {
            let what = format!("vector of `{}`, column {column} (from 0)", ids[row]);
            return Err(Error::input(what, value, "use finite values"));
        }
        self.0.claim(ids.iter().map(String::as_str))?;
        self.0.hold(|batch| batch.extend(ids, &vectors))
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
    pub fn commit(self) -> Result<VectorIndex> {
        let setup = self.setup().clone();
        VectorIndex::of(Path::new(""), setup, self.0.commit()?)
    }
}

/// How many values a vector has.
fn columns(folder: &Path, setup: &Setup) -> Result<usize> {
    match setup.kind {
        Kind::Dense { columns, .. } => Ok(columns),
        Kind::Bm25 { .. } | Kind::Impacts { .. } => {
            Err(Error::input("index", folder.display(), "an index of vectors; this one holds words"))
        }
    }
}

impl VectorIndex {
    /// Opens the index in `folder`.
    ///
    /// # Errors
    /// No index there, one of a newer version or of words, or a damaged file, which is named.
    pub fn open(folder: &Path) -> Result<VectorIndex> {
        columns(folder, &Setup::read(folder)?)?;
        let (setup, segments) = store::open(folder)?;
        VectorIndex::of(folder, setup, segments)
    }

    fn of(folder: &Path, setup: Setup, segments: Segments<Segment>) -> Result<VectorIndex> {
        let columns = columns(folder, &setup)?;
        if segments.iter().any(|(_, segment)| segment.columns() != columns) {
            let why = format!("a segment has vectors of other than {columns} values: it belongs to another index");
            return Err(Error::data(folder.display().to_string(), None, why));
        }
        Ok(VectorIndex { setup, columns, segments })
    }

    /// The folder of the encoder that made the vectors, if it is known.
    pub fn encoder(&self) -> Option<&str> {
        match &self.setup.kind {
            Kind::Dense { encoder, .. } => encoder.as_deref(),
            Kind::Bm25 { .. } | Kind::Impacts { .. } => None,
        }
    }

    /// Values of a vector.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Number of documents.
    pub fn len(&self) -> usize {
        self.segments.live()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Numbers of documents are below this one; deleted documents keep theirs until their segment is merged.
    pub fn numbers(&self) -> usize {
        self.segments.numbers()
    }

    /// Number of segments.
    pub fn segments(&self) -> usize {
        self.segments.len()
    }

    /// Bytes of all files.
    pub fn size(&self) -> usize {
        self.segments.iter().map(|(_, segment)| segment.size()).sum()
    }

    /// The user's name of a document; empty for a number that no document has.
    pub fn id(&self, document: u32) -> &str {
        self.segments.id(document)
    }

    /// A document's vector; empty for a number that no document has.
    pub fn vector(&self, document: u32) -> ArrayView1<'_, f32> {
        match self.segments.place(document) {
            Some((segment, doc)) => segment.rows().index_axis_move(Axis(0), doc as usize),
            None => aview1(&[]),
        }
    }

    /// The numbers of all documents, in ascending order, and a copy of their vectors.
    pub fn all(&self) -> (Vec<u32>, Array2<f32>) {
        let numbers: Vec<u32> = (0..self.numbers() as u32).filter(|number| self.segments.has(*number)).collect();
        let mut vectors = Array2::zeros((numbers.len(), self.columns));
        for (number, mut to) in numbers.iter().zip(vectors.outer_iter_mut()) {
            to.assign(&self.vector(*number));
        }
        (numbers, vectors)
    }

    /// The documents with these names, as a filter, and how many names no document has.
    pub fn named(&self, ids: &HashSet<&str>) -> (Set, usize) {
        self.segments.named(ids)
    }

    /// The `k` documents with the largest inner products with each query, best first, of equal scores the lower number.
    ///
    /// # Errors
    /// A set of another number of documents; as [`dense::search`].
    pub fn search(
        &self,
        queries: ArrayView2<f32>,
        k: usize,
        only: Option<&Set>,
        progress: &dyn Progress,
    ) -> Result<Vec<Vec<Hit>>> {
        if let Some(only) = only.filter(|only| only.len() != self.numbers()) {
            let want = format!("a set of this index's {} numbers", self.numbers());
            return Err(Error::input("documents to search", only.len(), want));
        }
        let mut best: Vec<Vec<Hit>> = vec![Vec::new(); queries.nrows()];
        for (base, segment) in self.segments.iter() {
            let allowed = (only.is_some() || segment.gone().is_some()).then(|| {
                let may =
                    |doc: &usize| segment.has(*doc as u32) && only.is_none_or(|only| only.has(base as usize + doc));
                Set::of(segment.documents() as usize, (0..segment.documents() as usize).filter(may))
            });
            let found = dense::search(segment.rows(), queries, k, allowed.as_ref().map(Set::words), progress)?;
            for (query, best) in best.iter_mut().enumerate() {
                let (rows, scores) = found.of(query);
                best.extend(rows.iter().zip(scores).map(|(row, score)| Hit { document: base + row, score: *score }));
            }
        }
        for best in &mut best {
            best.sort_unstable_by(|a, b| b.cmp(a));
            best.truncate(k);
        }
        Ok(best)
    }
}
