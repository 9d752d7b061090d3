//! A file of documents with their vectors, in single precision, as they lie in memory.

use crate::Set;
use crate::store;
use crate::store::container::{self, Texts, damaged, number32};
use ndarray::{Array2, ArrayView2, aview2};
use quadrat_core::{Error, Mapped, Result};
use std::ops::Range;
use std::path::Path;

const MAGIC: &[u8; 8] = b"quadratV";

/// Documents, opened.
#[derive(Debug)]
pub struct Segment {
    bytes: Mapped,
    values: Range<usize>,
    ids: Texts,
    documents: u32,
    columns: usize,
    gone: Option<Set>,
}

impl Segment {
    /// Values of a vector.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Bytes of the file.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Documents x values.
    pub fn rows(&self) -> ArrayView2<'_, f32> {
        // Sections lie at multiples of 64 bytes, and `open` has looked at the shape: this does not fail.
        let values = bytemuck::try_cast_slice(&self.bytes[self.values.clone()]).unwrap_or_default();
        ArrayView2::from_shape((self.documents as usize, self.columns), values).unwrap_or(aview2::<f32, 0>(&[]))
    }
}

impl store::Segment for Segment {
    type Batch = Batch;

    fn open(path: &Path, gone: Option<Set>) -> Result<Segment> {
        if cfg!(target_endian = "big") {
            return Err(Error::data(
                path.display().to_string(),
                None,
                "indexes of vectors are read on little-endian machines",
            ));
        }
        let (bytes, [values, ids, counts]) = container::open(path, MAGIC)?;
        let (documents, columns) = (number32(&bytes[counts.clone()], 0), number32(&bytes[counts], 1) as usize);
        let ids = Texts::new(&bytes, ids, documents as usize).ok_or_else(|| damaged(path, "its ids do not fit"))?;
        if (documents as usize).checked_mul(4 * columns) != Some(values.len()) {
            return Err(damaged(path, "its parts do not fit each other"));
        }
        Ok(Segment { bytes, values, ids, documents, columns, gone })
    }

    fn documents(&self) -> u32 {
        self.documents
    }

    fn gone(&self) -> Option<&Set> {
        self.gone.as_ref()
    }

    fn id(&self, doc: u32) -> &str {
        str::from_utf8(self.ids.get(&self.bytes, doc as usize)).unwrap_or_default()
    }

    fn merge(path: &Path, segments: &[Segment]) -> Result<()> {
        let kept = || {
            segments.iter().flat_map(|segment| {
                (0..segment.documents()).filter(|doc| segment.has(*doc)).map(move |doc| (segment, doc))
            })
        };
        container::write(path, MAGIC, |sink| {
            sink.begin()?;
            let (mut documents, mut columns) = (0_u32, 0);
            for (segment, doc) in kept() {
                let row = 4 * segment.columns;
                let start = segment.values.start + row * doc as usize;
                sink.put(&segment.bytes[start..start + row])?;
                (documents, columns) = (documents + 1, segment.columns);
            }
            sink.end();
            sink.texts(|each| kept().try_for_each(|(segment, doc)| each(segment.id(doc))))?;
            sink.section(&[&documents.to_le_bytes(), &(columns as u32).to_le_bytes()])
        })
    }
}

/// Documents on their way into a segment.
#[derive(Debug, Default)]
pub struct Batch {
    ids: Vec<String>,
    values: Vec<f32>,
}

/// Values that are held in memory before they become a segment: 256 MB.
const HELD: usize = 1 << 26;

impl Batch {
    /// More of them.
    pub fn extend(&mut self, ids: Vec<String>, vectors: &Array2<f32>) {
        self.ids.extend(ids);
        self.values.extend(vectors.iter());
    }
}

impl store::Batch for Batch {
    fn len(&self) -> usize {
        self.ids.len()
    }

    fn is_full(&self) -> bool {
        self.values.len() >= HELD
    }

    fn ids(&self) -> impl Iterator<Item = &str> {
        self.ids.iter().map(String::as_str)
    }

    fn write(&self, path: &Path) -> Result<()> {
        container::write(path, MAGIC, |sink| {
            sink.section(&[bytemuck::cast_slice(&self.values)])?;
            sink.texts(|each| self.ids.iter().try_for_each(|id| each(id)))?;
            let columns = self.values.len() / self.ids.len().max(1);
            sink.section(&[&(self.ids.len() as u32).to_le_bytes(), &(columns as u32).to_le_bytes()])
        })
    }
}
