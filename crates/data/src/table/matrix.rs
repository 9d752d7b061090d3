//! Columns of numbers, texts and vectors as arrays.

use super::Table;
use crate::moments::Moment;
use crate::source::Form;
use crate::{Column, ColumnType, Missing, arrays, bytes, cell, spell};
use arrow_array::{Array, ArrayRef, Float64Array};
use ndarray::Array2;
use quadrat_core::{Error, Result};
use rayon::prelude::*;

impl Table {
    /// The columns as numbers, one row a sample; booleans are 0 and 1, dates, times and durations count days and seconds
    /// ([`Moment`]).
    ///
    /// # Errors
    /// A column that is unknown or none of these; an infinity; a missing value unless `missing` keeps it as NaN. (NaN
    /// written in a file is a missing value too.)
    pub fn numeric<S: AsRef<str>>(&self, names: &[S], missing: Missing) -> Result<Array2<f64>> {
        let (columns, place) = self.wanted(names)?;
        let mut moments = vec![None; columns.len()];
        for (&c, moment) in columns.iter().zip(&mut moments) {
            let Column { name, kind } = &self.columns[c];
            if kind.is_numeric() {
                continue;
            }
            *moment = self.moment(name)?;
            if moment.is_none() {
                return Err(Error::input(
                    format!("{}, column `{name}`", self.name),
                    format!("values of type {kind}"),
                    "a numeric column is needed here; leave this one out of the features, or encode it first",
                ));
            }
        }
        let width = place.len();
        let coded = !self.codes.is_empty();
        let mut values = self.zeros::<f64>(width)?;
        self.fill(&mut values, width, |part, mut chunk| {
            let mut row = self.parts()[part].start;
            self.read(part, None, &columns, Form::Native, &mut |batch| {
                let number = |((array, &c), moment): ((&ArrayRef, &usize), &Option<Moment>)| match moment {
                    Some(moment) => self.moments(array, row, c, *moment),
                    None => self.numbers(array, row, c),
                };
                let numbers: Vec<Float64Array> =
                    batch.iter().zip(&columns).zip(&moments).map(number).collect::<Result<_>>()?;
                let length = batch.first().map_or(0, |array| array.len());
                let Some((target, rest)) = std::mem::take(&mut chunk).split_at_mut_checked(width * length) else {
                    return Ok(());
                };
                chunk = rest;
                if target.is_empty() {
                    return Ok(());
                }
                let mut finite = true;
                for (at, &p) in place.iter().enumerate() {
                    let cells = target[at..].iter_mut().step_by(width).zip(numbers[p].values());
                    cells.for_each(|(cell, value)| *cell = *value);
                    if let Some(nulls) = numbers[p].nulls().filter(|nulls| nulls.null_count() > 0) {
                        let cells = target[at..].iter_mut().step_by(width).zip(nulls);
                        cells.filter(|(_, valid)| !valid).for_each(|(cell, _)| *cell = f64::NAN);
                    }
                    if coded && moments[p].is_none() {
                        let cells = target[at..].iter_mut().step_by(width);
                        cells.filter(|cell| self.codes.has_number(**cell)).for_each(|cell| *cell = f64::NAN);
                    }
                }
                target.iter().for_each(|value| finite &= value.is_finite());
                let wrong = |value: &f64| !value.is_finite() && (missing == Missing::Error || value.is_infinite());
                if !finite && let Some(at) = target.iter().position(wrong) {
                    return Err(self.not_a_number(target[at], row + at / width, columns[place[at % width]]));
                }
                row += length;
                Ok(())
            })
        })?;
        self.shaped(width, values)
    }

    /// A column as texts; numbers in the file's own spelling where the file is text. A missing value is an empty text;
    /// a text such as `NA` or `None` is a text here.
    ///
    /// # Errors
    /// An unknown column.
    pub fn strings(&self, name: &str) -> Result<Vec<String>> {
        let column = self.index(name)?;
        let mut texts = vec![String::new(); self.rows()];
        self.fill(&mut texts, 1, |part, rows| {
            let mut rows = rows.iter_mut();
            self.texts(part, column, &mut |text| {
                if let Some(row) = rows.next() {
                    *row = text.filter(|text| !self.codes.has(text)).unwrap_or_default().into_owned();
                }
                Ok(())
            })
        })?;
        Ok(texts)
    }

    /// The texts of several columns as one text a row, a paragraph a column.
    ///
    /// # Errors
    /// An unknown column.
    pub fn paragraphs<S: AsRef<str>>(&self, names: &[S]) -> Result<Vec<String>> {
        let mut texts = vec![String::new(); self.rows()];
        for name in names {
            for (text, part) in texts.iter_mut().zip(self.strings(name.as_ref())?) {
                if !text.is_empty() {
                    text.push('\n');
                }
                text.push_str(&part);
            }
        }
        Ok(texts)
    }

    /// A column of vectors: lists of numbers, or texts that hold JSON lists of numbers. All must have the same width.
    ///
    /// # Errors
    /// An unknown column, or one of another type; a missing vector or number, or a vector of another width than the
    /// first row's.
    pub fn embedding(&self, name: &str) -> Result<Array2<f32>> {
        let column = self.index(name)?;
        let kind = self.columns[column].kind;
        if !matches!(kind, ColumnType::Embedding(_) | ColumnType::Tags | ColumnType::Text) {
            return Err(Error::input(
                format!("{}, column `{name}`", self.name),
                format!("values of type {kind}"),
                "an embedding is a column of lists of numbers; or give an npy file with one row a sample",
            ));
        }
        let width = match kind {
            ColumnType::Embedding(width) if width > 0 => width,
            _ => self.first_width(column)?,
        };
        let mut values = self.zeros::<f32>(width)?;
        self.fill(&mut values, width, |part, mut chunk| {
            let mut row = self.parts()[part].start;
            self.read(part, None, &[column], Form::Native, &mut |batch| {
                for array in batch {
                    for i in 0..array.len() {
                        let Some((target, rest)) = std::mem::take(&mut chunk).split_at_mut_checked(width) else {
                            break;
                        };
                        chunk = rest;
                        arrays::vector(&array, i, target).map_err(|why| self.error(row + i, column, &why))?;
                    }
                    row += array.len();
                }
                Ok(())
            })
        })?;
        self.shaped(width, values)
    }

    fn first_width(&self, column: usize) -> Result<usize> {
        let mut width = Err(self.missing(0, column));
        let first = self.parts().iter().position(|part| !part.is_empty()).unwrap_or(0);
        self.read(first, Some(&[0]), &[column], Form::Native, &mut |batch| {
            if let Some(array) = batch.first().filter(|array| !array.is_empty()) {
                width = arrays::width(array, 0).map_err(|why| self.error(0, column, &why));
            }
            Ok(())
        })?;
        width
    }

    /// `decode` on each part's share of `values` (`width` a row), in parallel.
    fn fill<T: Send>(
        &self,
        values: &mut [T],
        width: usize,
        decode: impl Fn(usize, &mut [T]) -> Result<()> + Sync,
    ) -> Result<()> {
        let mut rest = values;
        let mut chunks = Vec::new();
        for part in self.parts() {
            let (chunk, others) = rest.split_at_mut(part.len() * width);
            chunks.push(chunk);
            rest = others;
        }
        self.progress.begin("reading columns", Some(chunks.len() as u64));
        let decode = |(part, chunk)| {
            decode(part, chunk)?;
            self.progress.advance(1);
            Ok(())
        };
        let done: Vec<Result<()>> = chunks.into_par_iter().enumerate().map(decode).collect();
        done.into_iter().collect()
    }

    /// The distinct columns in the file's order, and where each wanted one is among them.
    fn wanted<S: AsRef<str>>(&self, names: &[S]) -> Result<(Vec<usize>, Vec<usize>)> {
        let wanted: Vec<usize> = names.iter().map(|name| self.index(name.as_ref())).collect::<Result<_>>()?;
        let mut columns = wanted.clone();
        columns.sort_unstable();
        columns.dedup();
        let place = wanted.iter().map(|c| columns.partition_point(|d| d < c)).collect();
        Ok((columns, place))
    }

    /// A decoded batch of a numeric column in double precision; texts that were overridden to be numbers are parsed.
    pub(crate) fn numbers(&self, array: &ArrayRef, first: usize, column: usize) -> Result<Float64Array> {
        if let Some(numbers) = arrays::to_f64(array) {
            return Ok(numbers);
        }
        let mut numbers = Vec::with_capacity(array.len());
        let mut wrong = None;
        spell::texts(array, &mut |text| {
            let text = text.map(str::trim).filter(|t| !self.codes.mean_missing(t));
            let number = text.and_then(|t| cell::parse_float(t).or(cell::parse_boolean(t).map(f64::from)));
            if text.is_some() && number.is_none() && wrong.is_none() {
                wrong = Some(numbers.len());
            }
            numbers.push(number);
        })
        .map_err(|why| self.error(first, column, &why))?;
        match wrong {
            Some(i) => Err(self.error(first + i, column, "the value is no number")),
            None => Ok(numbers.into()),
        }
    }

    /// Room for `width` values a row, all the default.
    fn zeros<T: Copy + Default + Send + Sync>(&self, width: usize) -> Result<Vec<T>> {
        self.rows().checked_mul(width).and_then(bytes::zeros).ok_or_else(|| {
            let why = format!("no memory for {} rows of {width} values; use fewer columns or rows", self.rows());
            Error::data(&self.name, None, why)
        })
    }

    fn shaped<T>(&self, width: usize, values: Vec<T>) -> Result<Array2<T>> {
        Array2::from_shape_vec((self.rows(), width), values).map_err(|e| Error::data(&self.name, None, e.to_string()))
    }

    fn not_a_number(&self, value: f64, row: usize, column: usize) -> Error {
        if value.is_nan() {
            return self.missing(row, column);
        }
        let why = "the value is infinite: correct it, leave the column out, or have `inf` read as a missing value";
        self.error(row, column, why)
    }
}
