//! A file of samples, and its columns on demand.

use crate::arrow_file::ArrowFile;
use crate::cell::Codes;
use crate::delimited::Delimited;
use crate::format::Format;
use crate::held::Held;
use crate::jsonl::Jsonl;
use crate::moments::Moment;
use crate::numpy::Numpy;
use crate::origin::Origin;
use crate::parquet_file::{self, Parquet};
use crate::shuffle::{Shuffle, bytes_of};
use crate::source::{Form, Source, Visit};
use crate::view::View;
use crate::{
    Column, ColumnType, Missing, Reading, arff, arrays, builtin, bytes, cell, holds, json, libsvm, refused, spell, zip,
};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, Float64Array};
use ndarray::Array2;
use quadrat_core::{Error, Lists, Progress, Result, Silent, checkpoint, nearest};
use rayon::prelude::*;
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// A file of samples: one row a sample, columns decoded when they are asked for.
///
/// Decoded columns come in the order of the file's rows; the file itself is kept (text formats) or read again
/// (Parquet), so that the user's rows can be written as they were. See the [crate](crate) for the formats.
#[derive(Clone)]
pub struct Table {
    name: String,
    format: Format,
    columns: Vec<Column>,
    pub(crate) body: Arc<Body>,
    notes: Vec<String>,
    pub(crate) codes: Codes,
    pub(crate) view: Option<Arc<View>>,
    pub(crate) excluded: Vec<String>,
    pub(crate) target: Option<String>,
    progress: Arc<dyn Progress + Send>,
}

pub(crate) enum Body {
    Delimited(Delimited),
    Jsonl(Jsonl),
    Parquet(Parquet),
    Arrow(ArrowFile),
    Numpy(Numpy),
    Held(Held),
}

impl Body {
    /// A Parquet or Arrow file.
    fn columnar(name: &str, format: Format, origin: Origin, overrides: &[(String, ColumnType)]) -> Result<Body> {
        if format == Format::Parquet {
            return Ok(Body::Parquet(Parquet::open(name, vec![(name.to_owned(), origin)], overrides)?));
        }
        Ok(Body::Arrow(ArrowFile::open(name, origin, overrides)?))
    }
}

/// A column of categories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Categories {
    /// Category of each row: an index into `names`.
    pub codes: Vec<u32>,
    /// The categories in order: by value where all are numbers, else by their characters.
    pub names: Vec<String>,
}

/// A column of label lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    /// Labels of each row: indices into `names`, ascending, each once.
    pub rows: Lists,
    /// The labels in order: by value where all are numbers, else by their characters.
    pub names: Vec<String>,
}

impl Table {
    /// Opens a file, whose format its ending (csv, tsv, jsonl, ndjson, parquet, npy, npz; with .gz or .zst around it)
    /// or its first bytes tell, or a built-in set by `builtin:NAME`.
    ///
    /// `overrides` gives columns another type than the inferred one.
    ///
    /// # Errors
    /// A file that cannot be read, is no table of its format, or has no rows; an override of an unknown column or one
    /// that the column's values contradict.
    pub fn open(name: &str, overrides: &[(String, ColumnType)]) -> Result<Table> {
        Table::open_with(name, &Reading::typed(overrides), Arc::new(Silent))
    }

    /// [`Table::open`] with all that can be said about how to read the file. It reports to `progress` and stops when
    /// that says so, as do all later reads and writes of the table's rows.
    ///
    /// # Errors
    /// As [`Table::open`], and [`Error::Cancelled`].
    pub fn open_with(name: &str, reading: &Reading, progress: Arc<dyn Progress + Send>) -> Result<Table> {
        let overrides = &reading.types;
        if let Some(set) = name.strip_prefix("builtin:") {
            let table = builtin::find(set)?.table(overrides)?;
            let codes = Codes::new(&reading.missing_codes);
            return Ok(Table { name: name.to_owned(), codes, progress, ..table });
        }
        refused::by_name(name)?;
        if name == bytes::STANDARD {
            return Table::parse("standard input", bytes::read(Path::new(name), &*progress)?, reading, progress);
        }
        if let Some(files) = parquet_file::files(name)? {
            let origins = files.into_iter().map(|path| (path.display().to_string(), Origin::Path(path))).collect();
            let parquet = Parquet::open(name, origins, overrides)?;
            return Table::new(name, Format::Parquet, Body::Parquet(parquet), reading, Vec::new(), progress);
        }
        let path = Path::new(name);
        let format = reading.format.or_else(|| Format::of_path(path).ok().map(|(format, _)| format));
        if let Some(format) = format.filter(|format| format.keeps_levels() && path.is_file()) {
            let origin = Origin::Path(path.to_path_buf());
            let body = Body::columnar(name, format, origin, overrides)?;
            return Table::new(name, format, body, reading, Vec::new(), progress);
        }
        Table::parse(name, bytes::read(path, &*progress)?, reading, progress)
    }

    /// Opens another file, which reports to the same progress as this one.
    ///
    /// # Errors
    /// As [`Table::open_with`].
    pub fn open_beside(&self, name: &str) -> Result<Table> {
        Table::open_with(name, &Reading::default(), Arc::clone(&self.progress))
    }

    /// A table from a file's content; `name` is what messages call it, and its ending tells the format.
    ///
    /// # Errors
    /// As [`Table::open`].
    pub fn from_bytes(name: &str, bytes: Vec<u8>, overrides: &[(String, ColumnType)]) -> Result<Table> {
        Table::parse(name, bytes, &Reading::typed(overrides), Arc::new(Silent))
    }

    fn parse(name: &str, bytes: Vec<u8>, reading: &Reading, progress: Arc<dyn Progress + Send>) -> Result<Table> {
        let overrides = &reading.types;
        let bytes = bytes::decompress(name, bytes, &*progress)?;
        refused::by_content(name, &bytes)?;
        if bytes.starts_with(b"PK\x03\x04")
            && Format::by_name(name) != Some(Format::Npz)
            && let Some((inner, content)) = zip::only_file(name, &bytes)?
        {
            let told = Reading { format: reading.format.or(Format::by_name(&inner)), ..reading.clone() };
            return Table::parse(name, content, &told, progress);
        }
        let mut notes = Vec::new();
        let mut format = match reading.format {
            Some(format) => format,
            None => {
                let format = Format::of_content(name, &bytes)?;
                if Format::by_name(name).is_none() && format == Format::Csv {
                    notes.push(format!("{name} is read as {format}; say otherwise with --format"));
                }
                format
            }
        };
        let body = match format {
            Format::Csv | Format::Tsv => {
                Body::Delimited(Delimited::parse(name, bytes, format, reading, &mut notes, &*progress)?)
            }
            Format::Jsonl | Format::Json => {
                let jsonl = Jsonl::parse(name, bytes, format, reading, &mut notes, &*progress)?;
                if Format::by_name(name).is_some_and(|promised| promised != jsonl.format()) {
                    notes.push(format!("{name} is read as {}", jsonl.format()));
                }
                format = jsonl.format();
                Body::Jsonl(jsonl)
            }
            Format::Parquet | Format::Arrow | Format::ArrowStream => {
                Body::columnar(name, format, Origin::Memory(bytes.into()), overrides)?
            }
            Format::Npy => Body::Numpy(Numpy::npy(name, bytes, overrides)?),
            Format::Npz => Body::Numpy(Numpy::npz(name, &bytes, overrides)?),
            Format::Arff | Format::Keel => Body::Held(arff::parse(name, bytes, reading, &mut notes, &*progress)?),
            Format::Libsvm => Body::Held(libsvm::parse(name, bytes, reading, &mut notes, &*progress)?),
        };
        Table::new(name, format, body, reading, notes, progress)
    }

    fn new(
        name: &str,
        format: Format,
        body: Body,
        reading: &Reading,
        notes: Vec<String>,
        progress: Arc<dyn Progress + Send>,
    ) -> Result<Table> {
        let columns = match &body {
            Body::Delimited(csv) => csv.columns().to_vec(),
            Body::Jsonl(jsonl) => jsonl.columns().to_vec(),
            Body::Parquet(parquet) => parquet.columns().to_vec(),
            Body::Arrow(arrow) => arrow.columns().to_vec(),
            Body::Numpy(numpy) => numpy.columns().to_vec(),
            Body::Held(held) => held.columns().to_vec(),
        };
        let codes = Codes::new(&reading.missing_codes);
        let body = Arc::new(body);
        let table = Table {
            name: name.to_owned(),
            format,
            columns,
            body,
            notes,
            codes,
            view: None,
            excluded: Vec::new(),
            target: None,
            progress,
        };
        for (column, _) in &reading.types {
            table.index(column)?;
        }
        Ok(table)
    }

    /// The file's name as the user gave it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file's format.
    pub fn format(&self) -> Format {
        self.format
    }

    /// What was assumed or skipped when the file was read, a sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.parts().last().map_or(0, |part| part.end)
    }

    /// Names and types of all columns, in the file's order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The names of all columns, in the file's order.
    pub fn column_names(&self) -> Vec<&str> {
        self.columns.iter().map(|c| c.name.as_str()).collect()
    }

    /// The names of the columns that [`Table::numeric`] reads, in the file's order.
    pub fn numeric_columns(&self) -> Vec<&str> {
        self.names_where(ColumnType::is_numeric)
    }

    /// The columns of a built-in set that are neither features nor the target (`split`, a name, a text); none of a file.
    pub fn others(&self) -> &'static [&'static str] {
        let set = self.name.strip_prefix("builtin:").and_then(|set| builtin::find(set).ok());
        set.map_or(&[], |set| set.others)
    }

    /// The names of the columns of whole numbers, in the file's order.
    pub fn integer_columns(&self) -> Vec<&str> {
        self.names_where(|kind| kind == ColumnType::Integer)
    }

    fn names_where(&self, fits: impl Fn(ColumnType) -> bool) -> Vec<&str> {
        self.columns.iter().filter(|c| fits(c.kind)).map(|c| c.name.as_str()).collect()
    }

    /// A column's name and type.
    ///
    /// # Errors
    /// An unknown name: the nearest ones are offered.
    pub fn column(&self, name: &str) -> Result<&Column> {
        self.index(name).map(|at| &self.columns[at])
    }

    /// Whether the named columns, all the table's if none is named, can be written to a file of this name: for verbs to
    /// ask before their work. Gives what the file will not say, a sentence each.
    ///
    /// # Errors
    /// A name whose ending is none that is written, or a column of a type or with values that the format does not hold;
    /// the error says which does.
    pub fn check_output(&self, path: &Path, columns: &[&str]) -> Result<Vec<String>> {
        holds::check(self, path, columns)
    }

    /// The line (row, in formats without lines) to name in a message about `row`; counts from 1.
    pub fn line(&self, row: usize) -> u64 {
        self.source().line(self.row(row))
    }

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

    /// A column as categories, whatever its type: numbers count as equal when they are spelt alike. Empty texts and the
    /// usual spellings of a missing value (`NA`, `None`, `?`) are missing here.
    ///
    /// # Errors
    /// An unknown column; a missing value unless `missing` keeps it as the category with the empty name.
    pub fn categories(&self, name: &str, missing: Missing) -> Result<Categories> {
        let column = self.index(name)?;
        let parts = self.each_part(name, |(names, codes): &mut (Names, Vec<u32>), row, text| {
            let value = text.as_deref().filter(|text| !self.codes.mean_missing(text));
            if value.is_none() && missing == Missing::Error {
                return Err(self.missing(row, column));
            }
            codes.push(names.code(value.unwrap_or_default()));
            Ok(())
        })?;
        let (names, renamed) = Names::merge(parts.iter().map(|(names, _)| names));
        let codes = parts.iter().zip(renamed).flat_map(|((_, codes), new)| codes.iter().map(move |c| new[*c as usize]));
        Ok(Categories { codes: codes.collect(), names })
    }

    /// A column of label lists: lists of texts or numbers, or texts that hold a JSON list or labels between
    /// separators. Without a given `separator` it is the first of `|`, `;` and `,` that the column holds. Spaces around
    /// labels don't count; a missing value is a row without labels.
    ///
    /// # Errors
    /// An unknown column; a text that starts with `[` and is no JSON list of texts and numbers.
    pub fn labels(&self, name: &str, separator: Option<&str>) -> Result<Labels> {
        let column = self.index(name)?;
        let separator = match separator {
            Some(separator) => separator,
            None => self.usual_separator(name)?,
        };
        let parts = self.each_part(name, |(names, rows): &mut (Names, Lists), row, text| {
            let text = text.as_deref().map_or("", str::trim);
            let text = if self.codes.mean_missing(text) { "" } else { text };
            let labels: Vec<String> = if text.starts_with('[') {
                json::labels(text).ok_or_else(|| {
                    self.error(row, column, "a list must be JSON: [\"a\", \"b\"], of texts or numbers")
                })?
            } else if separator.is_empty() {
                vec![text.to_owned()]
            } else {
                text.split(separator).map(|label| label.trim().to_owned()).collect()
            };
            rows.push(labels.iter().filter(|l| !l.is_empty()).map(|l| names.code(l)));
            Ok(())
        })?;
        let (names, renamed) = Names::merge(parts.iter().map(|(names, _)| names));
        let items = parts.iter().map(|(_, rows)| rows.items().len()).sum();
        let mut rows = Lists::with_capacity(self.rows(), items);
        let mut own = Vec::new();
        for ((_, part), new) in parts.into_iter().zip(renamed) {
            for row in part.iter() {
                own.extend(row.iter().map(|label| new[*label as usize]));
                own.sort_unstable();
                own.dedup();
                rows.push(own.drain(..));
            }
        }
        Ok(Labels { rows, names })
    }

    /// The first of the usual separators that a column of texts holds; none when labels come as lists or alone.
    fn usual_separator(&self, name: &str) -> Result<&'static str> {
        const USUAL: [&str; 3] = ["|", ";", ","];
        let parts = self.each_part(name, |found: &mut [bool; 3], _, text| {
            let text = text.as_deref().filter(|text| !text.trim_start().starts_with('['));
            for (found, separator) in found.iter_mut().zip(USUAL) {
                *found |= text.is_some_and(|text| text.contains(separator));
            }
            Ok(())
        })?;
        Ok((0..3).find(|&s| parts.iter().any(|found| found[s])).map_or("", |s| USUAL[s]))
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
    fn texts(&self, part: usize, column: usize, each: &mut dyn FnMut(Option<Cow<str>>) -> Result<()>) -> Result<()> {
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

    pub(crate) fn source(&self) -> &dyn Source {
        match &*self.body {
            Body::Delimited(csv) => csv,
            Body::Jsonl(jsonl) => jsonl,
            Body::Parquet(parquet) => parquet,
            Body::Arrow(arrow) => arrow,
            Body::Numpy(numpy) => numpy,
            Body::Held(held) => held,
        }
    }

    /// A column's place, or an error that offers the nearest names.
    pub(crate) fn index(&self, name: &str) -> Result<usize> {
        self.columns.iter().position(|c| c.name == name).ok_or_else(|| {
            let near = nearest(name, self.columns.iter().map(|c| c.name.as_str()));
            Error::input(
                format!("{}, column", self.name),
                format!("`{name}`"),
                format!("did you mean {}?", near.join(" or ")),
            )
        })
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

    fn missing(&self, row: usize, column: usize) -> Error {
        self.error(row, column, "the value is missing; fill it in, leave the row out, or leave the column out")
    }

    fn error(&self, row: usize, column: usize, why: &str) -> Error {
        Error::data(&self.name, self.line(row), format!("column `{}`: {why}", self.columns[column].name))
    }
}

/// Bytes of decoded rows that are in memory at a time when rows stream through.
const STREAMED_BYTES: usize = 1 << 27;

/// Names numbered as they come.
#[derive(Default)]
struct Names {
    codes: HashMap<String, u32>,
    names: Vec<String>,
}

impl Names {
    fn code(&mut self, name: &str) -> u32 {
        if let Some(&code) = self.codes.get(name) {
            return code;
        }
        let code = self.names.len() as u32;
        self.codes.insert(name.to_owned(), code);
        self.names.push(name.to_owned());
        code
    }

    /// All names in order, and each part's numbers among them.
    fn merge<'a>(parts: impl Iterator<Item = &'a Names> + Clone) -> (Vec<String>, Vec<Vec<u32>>) {
        let mut names: Vec<&String> = parts.clone().flat_map(|p| &p.names).collect();
        names.sort_unstable();
        names.dedup();
        let numbers: Option<Vec<f64>> = names.iter().map(|n| cell::parse_float(n.trim())).collect();
        if let Some(numbers) = numbers {
            let mut by_value: Vec<(f64, &String)> = numbers.into_iter().zip(names).collect();
            by_value.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(b.1)));
            names = by_value.into_iter().map(|(_, name)| name).collect();
        }
        let place: HashMap<&str, u32> = names.iter().enumerate().map(|(i, n)| (n.as_str(), i as u32)).collect();
        let renamed = parts.map(|p| p.names.iter().map(|n| place[n.as_str()]).collect()).collect();
        (names.into_iter().cloned().collect(), renamed)
    }
}
