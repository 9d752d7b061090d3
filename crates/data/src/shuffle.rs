//! Rows in another order than their file's.
//!
//! Rows are read in the file's order, whatever order they are wanted in. Few are held in memory until the last has come;
//! when they become many they are put aside in temporary files, one for each stretch of the output, and each stretch is
//! brought in order by itself.

use crate::source::Visit;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{Field, Schema};
use arrow_select::interleave::interleave;
use quadrat_core::{Error, Result};
use std::fs::File;
use std::io::{BufReader, BufWriter, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of rows that are held before they are put aside.
const HELD_BYTES: usize = 1 << 27;

/// Stretches of the output, each with a file of its own.
const STRETCHES: usize = 64;

/// Rows handed out at a time.
const BATCH: usize = 8192;

/// Brings rows that come in the file's order into the order in which they are wanted.
pub(crate) struct Shuffle<'a> {
    file: &'a str,
    /// Where temporary files may stand.
    folder: PathBuf,
    held_bytes: usize,
    /// Which row of those that come is wanted where in the output; in the order in which they come.
    wanted: Vec<(usize, usize)>,
    /// How many have come, and how many of `wanted` with them.
    come: usize,
    placed: usize,
    held: Held,
    aside: Vec<Stretch>,
}

/// Batches in memory and, of each row of them that is wanted, where it goes and where it is.
#[derive(Default)]
struct Held {
    batches: Vec<Vec<ArrayRef>>,
    places: Vec<(usize, (usize, usize))>,
    bytes: usize,
}

/// Rows of a stretch of the output in a temporary file, and where each goes.
struct Stretch {
    writer: Option<StreamWriter<BufWriter<File>>>,
    places: Vec<usize>,
}

impl<'a> Shuffle<'a> {
    /// For rows that are wanted in the order `rows` and come in the order `sorted`, each once.
    pub(crate) fn new(file: &'a str, rows: &[usize], sorted: &[usize], folder: &Path) -> Self {
        let mut wanted: Vec<(usize, usize)> =
            rows.iter().enumerate().filter_map(|(to, row)| Some((sorted.binary_search(row).ok()?, to))).collect();
        wanted.sort_unstable();
        let (folder, held) = (folder.to_path_buf(), Held::default());
        Shuffle { file, folder, held_bytes: HELD_BYTES, wanted, come: 0, placed: 0, held, aside: Vec::new() }
    }

    /// Takes the next rows.
    pub(crate) fn push(&mut self, batch: Vec<ArrayRef>) -> Result<()> {
        let length = batch.first().map_or(0, |array| array.len());
        let at = self.held.batches.len();
        while let Some(&(row, to)) = self.wanted.get(self.placed).filter(|(row, _)| *row < self.come + length) {
            self.held.places.push((to, (at, row - self.come)));
            self.placed += 1;
        }
        self.come += length;
        self.held.bytes += bytes_of(&batch);
        self.held.batches.push(batch);
        if self.held.bytes > self.held_bytes { self.put_aside() } else { Ok(()) }
    }

    /// Hands out all rows in the wanted order.
    pub(crate) fn finish(mut self, each: Visit) -> Result<()> {
        if self.aside.is_empty() {
            return self.held.hand_out(self.file, each);
        }
        self.put_aside()?;
        for stretch in std::mem::take(&mut self.aside) {
            self.read_back(stretch)?.hand_out(self.file, each)?;
        }
        Ok(())
    }

    fn put_aside(&mut self) -> Result<()> {
        let length = self.wanted.len().div_ceil(STRETCHES).max(1);
        if self.aside.is_empty() {
            self.aside = (0..STRETCHES).map(|_| Stretch { writer: None, places: Vec::new() }).collect();
        }
        let mut held = std::mem::take(&mut self.held);
        held.places.sort_unstable();
        for some in held.places.chunk_by(|a, b| a.0 / length == b.0 / length) {
            let batch = held.rows(some).map_err(|why| self.failed(&why))?;
            let stretch = &mut self.aside[some[0].0 / length];
            stretch.places.extend(some.iter().map(|(to, _)| *to));
            let fields = batch.iter().enumerate().map(|(c, a)| Field::new(c.to_string(), a.data_type().clone(), true));
            let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
            if stretch.writer.is_none() {
                let file = tempfile::tempfile_in(&self.folder).map_err(|e| Error::io(&self.folder, e))?;
                let writer = StreamWriter::try_new(BufWriter::new(file), &schema);
                stretch.writer = Some(writer.map_err(|e| Error::data(self.file, None, e.to_string()))?);
            }
            if let Some(writer) = &mut stretch.writer {
                let written = RecordBatch::try_new(schema, batch).and_then(|batch| writer.write(&batch));
                written.map_err(|e| Error::data(self.file, None, e.to_string()))?;
            }
        }
        Ok(())
    }

    fn read_back(&self, stretch: Stretch) -> Result<Held> {
        let mut held = Held::default();
        let Some(writer) = stretch.writer else { return Ok(held) };
        let written = writer.into_inner().map_err(|e| self.failed(&e))?;
        let mut file = written.into_inner().map_err(|e| Error::io(&self.folder, e.into_error()))?;
        file.seek(SeekFrom::Start(0)).map_err(|e| Error::io(&self.folder, e))?;
        let mut places = stretch.places.into_iter();
        for batch in StreamReader::try_new(BufReader::new(file), None).map_err(|e| self.failed(&e))? {
            let batch = batch.map_err(|e| self.failed(&e))?;
            let at = held.batches.len();
            held.places.extend(places.by_ref().take(batch.num_rows()).enumerate().map(|(row, to)| (to, (at, row))));
            held.batches.push(batch.columns().to_vec());
        }
        Ok(held)
    }

    fn failed(&self, why: &dyn std::fmt::Display) -> Error {
        Error::data(self.file, None, why.to_string())
    }
}

/// The bytes of a batch's cells.
pub(crate) fn bytes_of(batch: &[ArrayRef]) -> usize {
    batch
        .iter()
        .map(|array| array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size()))
        .sum()
}

impl Held {
    /// The cells at some places, column by column.
    fn rows(&self, places: &[(usize, (usize, usize))]) -> std::result::Result<Vec<ArrayRef>, arrow_schema::ArrowError> {
        let from: Vec<(usize, usize)> = places.iter().map(|(_, from)| *from).collect();
        let columns = self.batches.first().map_or(0, Vec::len);
        (0..columns)
            .map(|c| {
                let column: Vec<&dyn Array> = self.batches.iter().map(|batch| batch[c].as_ref()).collect();
                interleave(&column, &from)
            })
            .collect()
    }

    fn hand_out(mut self, file: &str, each: Visit) -> Result<()> {
        self.places.sort_unstable();
        self.places
            .chunks(BATCH)
            .try_for_each(|some| each(self.rows(some).map_err(|e| Error::data(file, None, e.to_string()))?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Int8Type, Int64Type};
    use arrow_array::{DictionaryArray, Int64Array};

    #[test]
    fn rows_put_aside_come_back_in_order() {
        let rows: Vec<usize> = (0..20_000).map(|i| i * 7919 % 5003).collect();
        let mut sorted = rows.clone();
        sorted.sort_unstable();
        sorted.dedup();
        for held_bytes in [usize::MAX, 10_000, 0] {
            let mut shuffle = Shuffle::new("a", &rows, &sorted, &std::env::temp_dir());
            shuffle.held_bytes = held_bytes;
            for (part, some) in sorted.chunks(700).enumerate() {
                // Each part has its own dictionary.
                let words: DictionaryArray<Int8Type> =
                    some.iter().map(|row| if row % 3 == 0 { None } else { Some(["a", "b", "c"][part % 3]) }).collect();
                let numbers = Int64Array::from_iter_values(some.iter().map(|row| *row as i64));
                shuffle.push(vec![Arc::new(numbers), Arc::new(words)]).unwrap();
            }
            assert_eq!(shuffle.aside.is_empty(), held_bytes == usize::MAX);
            let mut found = Vec::new();
            shuffle
                .finish(&mut |batch| {
                    let missing = (0..batch[1].len()).map(|row| batch[1].is_null(row));
                    found.extend(batch[0].as_primitive::<Int64Type>().values().iter().copied().zip(missing));
                    Ok(())
                })
                .unwrap();
            let expected: Vec<(i64, bool)> = rows.iter().map(|row| (*row as i64, row % 3 == 0)).collect();
            assert!(found == expected, "{held_bytes}");
        }
    }
}
