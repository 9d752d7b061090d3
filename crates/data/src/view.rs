//! Some of a table's rows as a table of its own.

use crate::Table;
use crate::source::{Form, Visit};
use arrow_array::Array;
use quadrat_core::{Error, Result};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;

/// The rows of a file that a table shows, ascending.
pub(crate) struct View {
    rows: Vec<usize>,
    /// Where the rows of each of the file's parts are among them.
    parts: Vec<Range<usize>>,
}

impl View {
    fn new(rows: Vec<usize>, parts: &[Range<usize>]) -> View {
        let place = |row: usize| rows.partition_point(|r| *r < row);
        let parts = parts.iter().map(|part| place(part.start)..place(part.end)).collect();
        View { rows, parts }
    }
}

/// Which values are missing in some columns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gaps {
    /// Rows without a value, column by column, in the order in which the columns were named.
    pub counts: Vec<usize>,
    /// Whether each row lacks a value in any of them.
    pub rows: Vec<bool>,
}

impl Gaps {
    /// How many rows lack a value.
    pub fn incomplete(&self) -> usize {
        self.rows.iter().filter(|gap| **gap).count()
    }
}

impl Table {
    /// These rows alone (ascending, each once) as a table: it has the same columns, counts its rows from 0, and writes
    /// them as they are in the file. The file itself is shared, not copied.
    ///
    /// # Errors
    /// Rows past the end, or not in ascending order.
    pub fn of_rows(&self, rows: &[usize]) -> Result<Table> {
        if rows.windows(2).any(|pair| pair[0] >= pair[1]) || rows.last().is_some_and(|row| *row >= self.rows()) {
            let want = format!("{} has {} rows: name them in ascending order, each once", self.name(), self.rows());
            return Err(Error::input("rows", format!("{} rows", rows.len()), want));
        }
        let rows = rows.iter().map(|row| self.row(*row)).collect();
        let mut some = self.clone();
        some.view = Some(Arc::new(View::new(rows, self.source().parts())));
        Ok(some)
    }

    /// The number that the file itself gives to a row, from 0: another one only in a table [`Table::of_rows`].
    pub fn row(&self, row: usize) -> usize {
        self.view.as_ref().map_or(row, |view| view.rows.get(row).copied().unwrap_or(row))
    }

    /// All rows of the file.
    pub fn whole(&self) -> Table {
        let mut whole = self.clone();
        whole.view = None;
        whole
    }

    /// The columns named as no one's business, which no verb uses unless it is told to.
    pub fn excluded(&self) -> &[String] {
        &self.excluded
    }

    /// The same table with columns that nothing is to be learnt from; they are written like all others.
    ///
    /// # Errors
    /// An unknown column.
    pub fn without(mut self, columns: &[String]) -> Result<Table> {
        columns.iter().try_for_each(|name| self.column(name).map(drop))?;
        self.excluded = columns.to_vec();
        Ok(self)
    }

    /// The column that is to be predicted, where one was named.
    pub fn target(&self) -> Option<&str> {
        self.target.as_deref()
    }

    /// The same table with a column that is to be predicted: formats that have a place for it (libsvm, KEEL) put it
    /// there.
    ///
    /// # Errors
    /// An unknown column.
    pub fn with_target(mut self, column: &str) -> Result<Table> {
        self.target = Some(self.column(column)?.name.clone());
        Ok(self)
    }

    /// Which rows lack a value in which of the columns. (NaN is a missing value too.)
    ///
    /// # Errors
    /// An unknown column; a cell that is no number in a column that was said to hold numbers.
    pub fn gaps<S: AsRef<str>>(&self, names: &[S]) -> Result<Gaps> {
        let mut gaps = Gaps { counts: vec![0; names.len()], rows: vec![false; self.rows()] };
        let places: Vec<usize> = names.iter().map(|name| self.index(name.as_ref())).collect::<Result<_>>()?;
        let mut columns = places.clone();
        columns.sort_unstable();
        columns.dedup();
        let (numeric, others): (Vec<usize>, Vec<usize>) =
            columns.into_iter().partition(|c| self.columns()[*c].kind.is_numeric());
        let look = |part: usize, span: &Range<usize>| -> Result<Vec<(usize, usize)>> {
            let (mut found, mut row) = (Vec::new(), span.start);
            self.read(part, None, &numeric, Form::Native, &mut |batch| {
                for (array, column) in batch.iter().zip(&numeric) {
                    let read = self.numbers(array, row, *column)?;
                    let value = |i: &usize| read.is_valid(*i).then(|| read.value(*i)).filter(|v| !v.is_nan());
                    let missing = |i: &usize| value(i).is_none_or(|v| self.codes.has_number(v));
                    found.extend((0..array.len()).filter(missing).map(|i| (row + i, *column)));
                }
                row += batch.first().map_or(0, |array| array.len());
                Ok(())
            })?;
            Ok(found)
        };
        let mut found: Vec<Vec<(usize, usize)>> = Vec::new();
        if !numeric.is_empty() {
            let parts: Vec<Result<_>> =
                self.parts().par_iter().enumerate().map(|(part, span)| look(part, span)).collect();
            found = parts.into_iter().collect::<Result<_>>()?;
        }
        for column in others {
            let name = self.columns()[column].name.clone();
            found.extend(self.each_part(&name, |found: &mut Vec<(usize, usize)>, row, text| {
                if text.is_none_or(|text| self.codes.mean_missing(&text)) {
                    found.push((row, column));
                }
                Ok(())
            })?);
        }
        for (row, column) in found.into_iter().flatten() {
            gaps.rows[row] = true;
            let named = gaps.counts.iter_mut().zip(&places).filter(|(_, place)| **place == column);
            named.for_each(|(count, _)| *count += 1);
        }
        Ok(gaps)
    }

    /// The rows of each part: together all rows, in order.
    pub(crate) fn parts(&self) -> &[Range<usize>] {
        self.view.as_ref().map_or_else(|| self.source().parts(), |view| &view.parts)
    }

    /// [`Source::read`] by the rows of this table.
    pub(crate) fn read_part(
        &self,
        part: usize,
        rows: Option<&[usize]>,
        columns: &[usize],
        form: Form,
        visit: Visit,
    ) -> Result<()> {
        let Some(view) = &self.view else { return self.source().read(part, rows, columns, form, visit) };
        let rows: Vec<usize> = match rows {
            Some(rows) => rows.iter().map(|row| self.row(*row)).collect(),
            None => view.rows[view.parts[part].clone()].to_vec(),
        };
        if rows.is_empty() { Ok(()) } else { self.source().read(part, Some(&rows), columns, form, visit) }
    }
}
