//! A table's rows, part by part: decoded in parallel, or handed out in any order.

use super::{Body, Table};
use crate::shuffle::{Shuffle, bytes_of};
use crate::source::{Form, Visit};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use quadrat_core::{Result, checkpoint};
use rayon::prelude::*;
use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;

/// Bytes of decoded rows that are in memory at a time when rows stream through.
const STREAMED_BYTES: usize = 1 << 27;

impl Table {
    /// Parts decode in parallel, each into a `T` of its own: `take` gets every row's number and text, in order.
    pub(crate) fn each_part<T: Default + Send>(
        &self,
        name: &str,
        take: impl Fn(&mut T, usize, Option<Cow<str>>) -> Result<()> + Sync,
    ) -> Result<Vec<T>> {
        let column = self.index(name)?;
        let parts = self.parts();
        self.progress.begin("reading columns", Some(parts.len() as u64));
        let decode = |part: &Range<usize>, number: usize| -> Result<T> {
            let mut taken = T::default();
            let mut row = part.start;
            self.texts(number, column, &mut |text| {
                take(&mut taken, row, text)?;
                row += 1;
                Ok(())
            })?;
            self.progress.advance(1);
            Ok(taken)
        };
        let decoded: Vec<Result<T>> = parts.par_iter().enumerate().map(|(number, part)| decode(part, number)).collect();
        decoded.into_iter().collect()
    }

    /// The texts of a column of a part, one a row. JSON Lines hands out its own; others make a column of them first.
    pub(super) fn texts(
        &self,
        part: usize,
        column: usize,
        each: &mut dyn FnMut(Option<Cow<str>>) -> Result<()>,
    ) -> Result<()> {
        if let (Body::Jsonl(jsonl), None) = (&*self.body, &self.view) {
            checkpoint(&*self.progress)?;
            return jsonl.texts(part, column, each);
        }
        self.read(part, None, &[column], Form::Text, &mut |batch| {
            batch.iter().flat_map(|array| array.as_string::<i64>()).try_for_each(|text| each(text.map(Cow::Borrowed)))
        })
    }

    /// [`Source::read`], with a look at the progress before each batch.
    pub(crate) fn read(
        &self,
        part: usize,
        rows: Option<&[usize]>,
        columns: &[usize],
        form: Form,
        visit: Visit,
    ) -> Result<()> {
        checkpoint(&*self.progress)?;
        self.read_part(part, rows, columns, form, &mut |batch| {
            checkpoint(&*self.progress)?;
            visit(batch)
        })
    }

    /// Hands every decoded batch of a column to `each`, with its part's number; parts are decoded in parallel.
    pub(crate) fn each_batch(
        &self,
        column: usize,
        form: Form,
        each: impl Fn(usize, ArrayRef) -> Result<()> + Sync,
    ) -> Result<()> {
        let parts = self.source().parts().len();
        self.progress.begin("reading columns", Some(parts as u64));
        let done: Vec<Result<()>> = (0..parts)
            .into_par_iter()
            .map(|part| {
                self.read(part, None, &[column], form, &mut |mut batch| {
                    batch.pop().map_or(Ok(()), |array| each(part, array))
                })?;
                self.progress.advance(1);
                Ok(())
            })
            .collect();
        done.into_iter().collect()
    }

    /// Hands the given rows, in the given order, to `each` in batches of some columns (ascending). Rows in ascending
    /// order stream through; others are first collected, in memory or in temporary files in `folder`.
    pub(crate) fn gather(
        &self,
        rows: &[usize],
        columns: &[usize],
        form: Form,
        folder: &Path,
        each: Visit,
    ) -> Result<()> {
        if rows.windows(2).all(|pair| pair[0] < pair[1]) {
            return self.stream(rows, columns, form, each);
        }
        let mut sorted = rows.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let mut shuffle = Shuffle::new(&self.name, rows, &sorted, folder);
        self.stream(&sorted, columns, form, &mut |batch| shuffle.push(batch))?;
        shuffle.finish(each)
    }

    /// Hands ascending rows to `each`. Parts are decoded in parallel as far as a few hundred megabytes hold them.
    fn stream(&self, rows: &[usize], columns: &[usize], form: Form, each: Visit) -> Result<()> {
        let spans = self.parts().iter().enumerate();
        let parts: Vec<(usize, &[usize])> = spans
            .map(|(part, span)| {
                let (from, to) = (rows.partition_point(|r| *r < span.start), rows.partition_point(|r| *r < span.end));
                (part, &rows[from..to])
            })
            .filter(|(_, wanted)| !wanted.is_empty())
            .collect();
        let (mut seen, mut bytes) = (0, 0);
        let mut left = parts.as_slice();
        while let Some((part, wanted)) = left.first() {
            // Before any row is seen, a kilobyte each.
            let fits = STREAMED_BYTES.saturating_mul(seen).checked_div(bytes).unwrap_or(STREAMED_BYTES >> 10);
            let mut window = 0;
            let mut total = 0;
            while window < rayon::current_num_threads()
                && left.get(window).is_some_and(|(_, wanted)| total + wanted.len() <= fits)
            {
                total += left[window].1.len();
                window += 1;
            }
            let mut take = |batch: Vec<ArrayRef>| {
                seen += batch.first().map_or(0, |array| array.len());
                bytes += bytes_of(&batch);
                each(batch)
            };
            if window < 2 {
                self.read(*part, Some(wanted), columns, form, &mut take)?;
                left = &left[1..];
                continue;
            }
            let read: Vec<Result<Vec<Vec<ArrayRef>>>> = left[..window]
                .par_iter()
                .map(|(part, wanted)| {
                    let mut batches = Vec::new();
                    self.read(*part, Some(wanted), columns, form, &mut |batch| {
                        batches.push(batch);
                        Ok(())
                    })?;
                    Ok(batches)
                })
                .collect();
            read.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().try_for_each(take)?;
            left = &left[window..];
        }
        Ok(())
    }
}
