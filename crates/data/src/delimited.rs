//! CSV and TSV (RFC 4180, and the dialects that people use).
//!
//! The file stays in memory as it is, with the place where each row starts; cells are found again when they are asked
//! for. That way a selection copies the user's own bytes, and a column nobody asks for is never decoded. Finding rows
//! is a search for line feeds (`memchr`) except in lines with a quotation mark, which are walked field by field; a
//! general-purpose CSV crate would do the same work but hand out unescaped fields instead of the spans we need.

use crate::bytes::{LINES_BLOCK, lines_of};
use crate::cell::{self, Codes, Look, Marks};
use crate::cells::{Builder, Cells};
use crate::dialect::{Dialect, Fields, content, named_separator, row_end, unquoted};
use crate::encoding::{self, Charset};
use crate::infer::{self, Seen};
use crate::source::{Form, Source, Visit};
use crate::{Column, ColumnType, Format, Reading};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use memchr::{memchr, memchr_iter};
use quadrat_core::{Error, Progress, Result, checkpoint};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;

pub(crate) struct Delimited {
    file: String,
    text: String,
    charset: Charset,
    dialect: Dialect,
    /// Up to here the text is no row: a byte-order mark, comments, the header without its line end.
    head: usize,
    /// Where each row starts, then the end of the text.
    starts: Vec<usize>,
    /// Where each row ends, if comments may follow it.
    ends: Vec<usize>,
    columns: Vec<Column>,
    /// The marks in each column's numbers where they are not spelt plainly.
    marks: Vec<Option<Marks>>,
    codes: Codes,
    schema: SchemaRef,
    parts: Vec<Range<usize>>,
}

/// Parts of about this many bytes are decoded at a time: they stay in a core's cache.
const PART_BYTES: usize = 1 << 18;

impl Delimited {
    /// Finds the rows, checks that each has as many fields as the header, and infers the types.
    pub(crate) fn parse(
        file: &str,
        bytes: Vec<u8>,
        format: Format,
        reading: &Reading,
        notes: &mut Vec<String>,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let told = told_marks(reading)?;
        let (mut text, charset) = encoding::decode(file, bytes, reading.encoding.as_deref(), notes)?;
        if memchr(b'\n', text.as_bytes()).is_none() && memchr(b'\r', text.as_bytes()).is_some() {
            notes.push(format!("{file}: its lines end in carriage returns alone; they are written with line feeds"));
            text = text.replace('\r', "\n");
        }
        let start = if text.starts_with('\u{feff}') { 3 } else { 0 };
        let (at, named) = named_separator(&text, start);
        let reading = &Reading { separator: reading.separator.or(named), ..reading.clone() };
        let dialect = Dialect::of(file, &text, at, format, reading, notes)?;
        let Rows { mut starts, mut ends, one_column, blank, comments } =
            find_rows(file, text.as_bytes(), &dialect, at, progress)?;
        if starts.len() < 1 + usize::from(dialect.header) + 1 {
            let (line, why) = if starts.len() < 2 {
                (None, "the file is empty: there must be a first row with the columns' names, then one row a sample")
            } else {
                (Some(line_of(&text, starts[0])), "there is a header but no row under it")
            };
            return Err(Error::data(file, line, why));
        }
        let first = content(&text[starts[0]..ends.first().copied().unwrap_or(starts[1])]);
        let mut head = starts[0];
        let names = if dialect.header {
            let names = header_names(file, line_of(&text, starts[0]), first, &dialect, notes)?;
            head += first.len();
            starts.remove(0);
            ends.drain(..ends.len().min(1));
            names
        } else {
            (1..=Fields::new(first, &dialect).count()).map(|column| format!("column {column}")).collect()
        };
        notes.extend(blank.said(file, if one_column { BLANK_IS_MISSING } else { BLANK_IS_SKIPPED }));
        notes.extend(comments.said(file, COMMENT_IS_SKIPPED));
        let parts = parts(&starts, PART_BYTES);
        let mut csv = Delimited {
            file: file.to_owned(),
            text,
            charset,
            dialect,
            head,
            starts,
            ends,
            columns: names.iter().map(|name| Column { name: name.clone(), kind: ColumnType::Text }).collect(),
            marks: vec![told; names.len()],
            codes: Codes::new(&reading.missing_codes),
            schema: Arc::new(Schema::empty()),
            parts,
        };
        let seen = csv.infer(told, progress)?;
        let separator = csv.dialect.separator;
        let settled = infer::settle(file, &names, &seen, separator, told, &reading.types, notes);
        for (column, (kind, marks)) in settled.into_iter().enumerate() {
            csv.columns[column].kind = kind;
            csv.marks[column] = marks;
        }
        let fields: Vec<Field> = csv.columns.iter().map(|c| Field::new(&c.name, data_type(c.kind), true)).collect();
        csv.schema = Arc::new(Schema::new(fields));
        Ok(csv)
    }

    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }

    pub(crate) fn dialect(&self) -> &Dialect {
        &self.dialect
    }

    pub(crate) fn charset(&self) -> Charset {
        self.charset
    }

    /// The decimal sign of a column's numbers; where it has none, of the file's.
    pub(crate) fn decimal(&self, column: Option<usize>) -> char {
        let of = |marks: &Option<Marks>| marks.map(|marks| marks.decimal);
        let own = column.filter(|&c| self.columns[c].kind == ColumnType::Float);
        match own {
            Some(column) => of(&self.marks[column]).unwrap_or('.'),
            None if self.marks.iter().any(|marks| of(marks) == Some(',')) => ',',
            None => self.marks.first().and_then(of).unwrap_or('.'),
        }
    }

    /// Whether all numbers are spelt plainly.
    pub(crate) fn is_plain(&self) -> bool {
        self.marks.iter().all(Option::is_none)
    }

    /// What stands before the rows as it is, a byte-order mark included; of a header all but the line end.
    pub(crate) fn head(&self) -> &str {
        &self.text[..self.head]
    }

    /// The row's own bytes without the line end.
    pub(crate) fn row(&self, row: usize) -> &str {
        let end = self.ends.get(row).copied().unwrap_or(self.starts[row + 1]);
        content(&self.text[self.starts[row]..end])
    }

    /// The line end that the file uses.
    pub(crate) fn line_end(&self) -> &'static str {
        let first = memchr(b'\n', &self.text.as_bytes()[self.head..]).map_or(0, |n| self.head + n);
        if self.text[..first].ends_with('\r') { "\r\n" } else { "\n" }
    }

    /// One look at every cell.
    fn infer(&self, told: Option<Marks>, progress: &dyn Progress) -> Result<Vec<Seen>> {
        progress.begin("looking at the cells", Some(self.parts.len() as u64));
        let look = |part: &Range<usize>| {
            checkpoint(progress)?;
            progress.advance(1);
            self.look_at(part.clone(), told)
        };
        let seen: Vec<Result<Vec<Seen>>> = self.parts.par_iter().map(look).collect();
        let mut total = vec![Seen::default(); self.columns.len()];
        for part in seen {
            for (total, part) in total.iter_mut().zip(part?) {
                total.merge(part);
            }
        }
        Ok(total)
    }

    fn look_at(&self, rows: Range<usize>, told: Option<Marks>) -> Result<Vec<Seen>> {
        let watch = self.dialect.separator != b',' && told.is_none();
        let usual = told.is_none() && !watch && self.codes.is_empty();
        let mut seen = vec![Seen::default(); self.columns.len()];
        for row in rows {
            let mut fields = 0;
            let mut rest = Fields::new(self.row(row), &self.dialect);
            loop {
                if usual && let Some(number) = rest.next_plain() {
                    seen.get_mut(fields).into_iter().for_each(|seen| seen.add_plain(&number));
                    fields += 1;
                    continue;
                }
                let Some(field) = rest.next() else { break };
                if let Some(seen) = seen.get_mut(fields).filter(|seen| !seen.text) {
                    let cell = unquoted(field, self.dialect.quote);
                    let look = match told {
                        _ if self.codes.has(&cell) => Look::Missing,
                        Some(marks) => marks.look(&cell),
                        None => cell::look(&cell),
                    };
                    seen.add(&cell, look, watch);
                }
                fields += 1;
            }
            if fields != self.columns.len() {
                let why = format!(
                    "{fields} field{} where the {} has {}; make the row complete, or quote a value that holds a separator",
                    if fields == 1 { "" } else { "s" },
                    if self.dialect.header { "header" } else { "first row" },
                    self.columns.len()
                );
                return Err(Error::data(&self.file, self.line(row), why));
            }
        }
        Ok(seen)
    }

    fn wrong(&self, row: usize, column: usize, cell: &str) -> Error {
        let Column { name, kind } = &self.columns[column];
        let shown: String = cell.chars().take(40).collect();
        let why = format!(
            "column `{name}`: found `{shown}` where the type asked for is {kind}; correct it or override the type"
        );
        Error::data(&self.file, self.line(row), why)
    }
}

impl Source for Delimited {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn parts(&self) -> &[Range<usize>] {
        &self.parts
    }

    fn read(&self, part: usize, rows: Option<&[usize]>, columns: &[usize], form: Form, visit: Visit) -> Result<()> {
        let cells = |&column: &usize| Cells {
            builder: Builder::new(self.columns[column].kind, form),
            quote: self.dialect.quote,
            marks: self.marks[column].filter(|_| form == Form::Native),
            codes: &self.codes,
        };
        let mut builders: Vec<Cells> = columns.iter().map(cells).collect();
        let mut read = |row: usize| -> Result<()> {
            let mut fields = Fields::new(self.row(row), &self.dialect);
            let mut next = 0;
            for (&column, cells) in columns.iter().zip(&mut builders) {
                let skipped = column - next;
                next = column + 1;
                if skipped == 0 && cells.push_plain(&mut fields) {
                    continue;
                }
                let Some(field) = fields.nth(skipped) else { break };
                cells.push(field).map_err(|cell| self.wrong(row, column, &cell))?;
            }
            Ok(())
        };
        match rows {
            Some(rows) => rows.iter().try_for_each(|&row| read(row))?,
            None => self.parts[part].clone().try_for_each(read)?,
        }
        visit(builders.into_iter().map(|cells| cells.builder.finish()).collect())
    }

    fn line(&self, row: usize) -> u64 {
        line_of(&self.text, self.starts[row])
    }
}

/// The marks that the user says numbers have.
fn told_marks(reading: &Reading) -> Result<Option<Marks>> {
    let (decimal, thousands) = match (reading.decimal, reading.thousands) {
        (None, None) => return Ok(None),
        (Some(decimal), thousands) => (decimal, thousands),
        (None, Some('.')) => (',', Some('.')),
        (None, thousands) => ('.', thousands),
    };
    let number = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '+');
    if number(decimal) || thousands.is_some_and(number) || thousands == Some(decimal) {
        let want = "use two different marks that are no letter, digit or sign";
        let got = format!("`{decimal}` and `{}`", thousands.map(String::from).unwrap_or_default());
        return Err(Error::input("decimal and thousands", got, want));
    }
    Ok(Some(Marks { decimal, thousands }))
}

/// The line of a place in a text; counts from 1.
pub(crate) fn line_of(text: &str, at: usize) -> u64 {
    memchr_iter(b'\n', &text.as_bytes()[..at]).count() as u64 + 1
}

/// Rows grouped into parts of about `bytes` bytes; `starts` ends with the end of the text.
pub(crate) fn parts(starts: &[usize], bytes: usize) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut first = 0;
    for row in 1..starts.len() {
        if starts[row] - starts[first] >= bytes || row + 1 == starts.len() {
            parts.push(first..row);
            first = row;
        }
    }
    parts
}

/// Where the rows are, the header among them.
struct Rows {
    /// Where each row starts, then the end of the text.
    starts: Vec<usize>,
    /// Where each row ends, in a file with comments.
    ends: Vec<usize>,
    one_column: bool,
    blank: Lines,
    comments: Lines,
}

/// Lines that are no rows like others: how many, and where the first is.
#[derive(Default)]
struct Lines {
    count: usize,
    first: u64,
}

const BLANK_IS_MISSING: [&str; 2] =
    ["blank line is a row whose value is missing", "blank lines are rows whose value is missing"];
const BLANK_IS_SKIPPED: [&str; 2] = ["blank line was skipped", "blank lines were skipped"];
const COMMENT_IS_SKIPPED: [&str; 2] = ["comment line was skipped", "comment lines were skipped"];

impl Lines {
    fn add(&mut self, text: &[u8], at: usize) {
        if self.count == 0 {
            self.first = memchr_iter(b'\n', &text[..at]).count() as u64 + 1;
        }
        self.count += 1;
    }

    fn said(&self, file: &str, [one, many]: [&str; 2]) -> Option<String> {
        match self.count {
            0 => None,
            1 => Some(format!("{file}: 1 {one} (line {})", self.first)),
            n => Some(format!("{file}: {n} {many} (the first is line {})", self.first)),
        }
    }
}

/// Blank lines are no rows, except under the header of one column, where each is a row without a value.
fn find_rows(file: &str, text: &[u8], dialect: &Dialect, mut at: usize, progress: &dyn Progress) -> Result<Rows> {
    let comment = dialect.comment.as_deref().map(str::as_bytes);
    let (mut starts, mut ends, mut one_column) = (Vec::new(), Vec::new(), false);
    let (mut blank, mut comments) = (Lines::default(), Lines::default());
    let quoted = || text.par_chunks(LINES_BLOCK).any(|block| memchr(dialect.quote, block).is_some());
    if text.len() > 4 * LINES_BLOCK
        && comment.is_none()
        && !quoted()
        && let Some(lines) = lines_of(text, at, progress)?
    {
        let first = std::str::from_utf8(&text[lines[0]..lines[1]]).unwrap_or_default();
        let one_column = Fields::new(content(first), dialect).nth(1).is_none();
        return Ok(Rows { starts: lines, ends, one_column, blank, comments });
    }
    let mut quote = memchr(dialect.quote, text).unwrap_or(text.len());
    let mut look_again = 0;
    while at < text.len() {
        let start = at;
        if start >= look_again {
            checkpoint(progress)?;
            look_again = start + (1 << 24);
        }
        let line_end = memchr(b'\n', &text[start..]).map_or(text.len(), |n| start + n + 1);
        if comment.is_some_and(|comment| text[start..].starts_with(comment)) {
            at = line_end;
            comments.add(text, start);
            continue;
        }
        if quote < start {
            quote = memchr(dialect.quote, &text[start..]).map_or(text.len(), |n| start + n);
        }
        at = if quote < line_end { row_end(file, text, dialect, start)? } else { line_end };
        if text[start..at].iter().all(|b| matches!(b, b'\n' | b'\r')) {
            if starts.is_empty() {
                continue;
            }
            blank.add(text, start);
            if !one_column {
                continue;
            }
        }
        if starts.is_empty() {
            let first = std::str::from_utf8(&text[start..at]).unwrap_or_default();
            one_column = Fields::new(first, dialect).nth(1).is_none();
        }
        starts.push(start);
        if comment.is_some() {
            ends.push(at);
        }
    }
    starts.push(text.len());
    Ok(Rows { starts, ends, one_column, blank, comments })
}

fn header_names(
    file: &str,
    line: u64,
    header: &str,
    dialect: &Dialect,
    notes: &mut Vec<String>,
) -> Result<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    let mut unnamed: Vec<String> = Vec::new();
    for (column, field) in Fields::new(header, dialect).enumerate() {
        names.push(match unquoted(field, dialect.quote).trim() {
            "" => {
                let name = format!("column {}", column + 1);
                unnamed.push(format!("`{name}`"));
                name
            }
            name => name.to_owned(),
        });
    }
    let mut sorted: Vec<(&String, usize)> = names.iter().zip(1..).collect();
    sorted.sort_unstable();
    if let Some(twice) = sorted.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        let (name, first, second) = (twice[0].0, twice[0].1, twice[1].1);
        let why = format!(
            "two columns are called `{name}` (columns {first} and {second}); names must differ: rename one, or use \
             --no-header if the first row is data"
        );
        return Err(Error::data(file, line, why));
    }
    if !unnamed.is_empty() {
        let more = if unnamed.len() > 5 { ", ..." } else { "" };
        unnamed.truncate(5);
        notes.push(format!("{file}: a column without a name is called by its place: {}{more}", unnamed.join(", ")));
    }
    Ok(names)
}

fn data_type(kind: ColumnType) -> DataType {
    match kind {
        ColumnType::Integer => DataType::Int64,
        ColumnType::Float => DataType::Float64,
        ColumnType::Boolean => DataType::Boolean,
        _ => DataType::LargeUtf8,
    }
}
