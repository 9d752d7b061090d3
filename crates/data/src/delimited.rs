//! CSV and TSV (RFC 4180).
//!
//! The file stays in memory as it is, with the place where each row starts; cells are found again when they are asked
//! for. That way a selection copies the user's own bytes, and a column nobody asks for is never decoded. Finding rows
//! is a search for line feeds (`memchr`) except in lines with a quotation mark, which are walked field by field; a
//! general-purpose CSV crate would do the same work but hand out unescaped fields instead of the spans we need.

use crate::cell::{self, Look};
use crate::source::{Form, Source, Visit};
use crate::{Column, ColumnType};
use arrow_array::ArrayRef;
use arrow_array::builder::{BooleanBuilder, Float64Builder, Int64Builder, LargeStringBuilder};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use memchr::{memchr, memchr_iter, memchr2};
use quadrat_core::{Error, Progress, Result, checkpoint};
use rayon::prelude::*;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

pub(crate) struct Delimited {
    file: String,
    text: String,
    separator: u8,
    header: Range<usize>,
    /// Where each row starts, then the end of the text.
    starts: Vec<usize>,
    columns: Vec<Column>,
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
        separator: u8,
        overrides: &[(String, ColumnType)],
        progress: &dyn Progress,
    ) -> Result<Self> {
        let text = utf8(file, bytes)?;
        let mut at = if text.starts_with('\u{feff}') { 3 } else { 0 };
        let rows = find_rows(file, text.as_bytes(), separator, &mut at, progress)?;
        let Some((&header, starts)) = rows.split_first().filter(|(_, rest)| rest.len() > 1) else {
            let (line, why) = if rows.len() < 2 {
                (None, "the file is empty: there must be a first row with the columns' names, then one row a sample")
            } else {
                (Some(1), "there is a header but no row under it")
            };
            return Err(Error::data(file, line, why));
        };
        let starts = starts.to_vec();
        let header = header..header + content(&text[header..starts[0]]).len();
        let names = header_names(file, &text[header.clone()], separator)?;
        let parts = parts(&starts, PART_BYTES);
        let mut csv = Delimited {
            file: file.to_owned(),
            text,
            separator,
            header,
            starts,
            columns: names.into_iter().map(|name| Column { name, kind: ColumnType::Text }).collect(),
            schema: Arc::new(Schema::empty()),
            parts,
        };
        let kinds = csv.infer(progress)?;
        for (column, inferred) in csv.columns.iter_mut().zip(kinds) {
            column.kind = overrides.iter().find(|(name, _)| *name == column.name).map_or(inferred, |(_, kind)| *kind);
        }
        let fields: Vec<Field> = csv.columns.iter().map(|c| Field::new(&c.name, data_type(c.kind), true)).collect();
        csv.schema = Arc::new(Schema::new(fields));
        Ok(csv)
    }

    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }

    pub(crate) fn separator(&self) -> u8 {
        self.separator
    }

    /// The header's own bytes, a byte-order mark included, without the line end.
    pub(crate) fn header(&self) -> &str {
        &self.text[..self.header.end]
    }

    /// The row's own bytes without the line end.
    pub(crate) fn row(&self, row: usize) -> &str {
        content(&self.text[self.starts[row]..self.starts[row + 1]])
    }

    /// The line end that the file uses.
    pub(crate) fn line_end(&self) -> &'static str {
        if self.text[self.header.end..].starts_with("\r\n") { "\r\n" } else { "\n" }
    }

    /// One look at every cell: the narrowest type that holds a whole column.
    fn infer(&self, progress: &dyn Progress) -> Result<Vec<ColumnType>> {
        progress.begin("looking at the cells", Some(self.parts.len() as u64));
        let look = |part: &Range<usize>| {
            checkpoint(progress)?;
            progress.advance(1);
            self.look_at(part.clone())
        };
        let seen: Vec<Result<Vec<Seen>>> = self.parts.par_iter().map(look).collect();
        let mut total = vec![Seen::default(); self.columns.len()];
        for part in seen {
            for (total, part) in total.iter_mut().zip(part?) {
                total.merge(part);
            }
        }
        Ok(total.into_iter().map(Seen::kind).collect())
    }

    fn look_at(&self, rows: Range<usize>) -> Result<Vec<Seen>> {
        let mut seen = vec![Seen::default(); self.columns.len()];
        for row in rows {
            let mut fields = 0;
            for field in Fields::new(self.row(row), self.separator) {
                if let Some(seen) = seen.get_mut(fields) {
                    seen.add(field);
                }
                fields += 1;
            }
            if fields != self.columns.len() {
                let why = format!(
                    "{fields} field{} where the header has {}; make the row complete, or quote a value that holds a separator",
                    if fields == 1 { "" } else { "s" },
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
        let mut builders: Vec<Builder> = columns.iter().map(|&c| Builder::new(self.columns[c].kind, form)).collect();
        let mut read = |row: usize| -> Result<()> {
            let mut wanted = columns.iter().zip(&mut builders).peekable();
            for (column, field) in Fields::new(self.row(row), self.separator).enumerate() {
                let Some((_, builder)) = wanted.next_if(|(wanted, _)| **wanted == column) else {
                    if wanted.peek().is_none() {
                        break;
                    }
                    continue;
                };
                builder.push(field).map_err(|cell| self.wrong(row, column, &cell))?;
            }
            Ok(())
        };
        match rows {
            Some(rows) => rows.iter().try_for_each(|&row| read(row))?,
            None => self.parts[part].clone().try_for_each(read)?,
        }
        visit(builders.into_iter().map(Builder::finish).collect())
    }

    fn line(&self, row: usize) -> u64 {
        line_of(&self.text, self.starts[row])
    }
}

/// The content as text, or an error that names the first line that is not UTF-8.
pub(crate) fn utf8(file: &str, bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        let line = memchr_iter(b'\n', &e.as_bytes()[..at]).count() as u64 + 1;
        let byte = e.as_bytes()[at];
        Error::data(
            file,
            line,
            format!("byte 0x{byte:02X} is not UTF-8; convert the file first (iconv -f latin1 -t utf-8)"),
        )
    })
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

/// The row without its line end and the blank lines after it.
pub(crate) fn content(row: &str) -> &str {
    let ends = row.bytes().rev().take_while(|b| matches!(b, b'\n' | b'\r')).count();
    &row[..row.len() - ends]
}

/// Where each row starts, then where the last one ends. Blank lines are no rows.
fn find_rows(file: &str, text: &[u8], separator: u8, at: &mut usize, progress: &dyn Progress) -> Result<Vec<usize>> {
    let mut starts = Vec::new();
    let mut quote = memchr(b'"', text).unwrap_or(text.len());
    let mut look_again = 0;
    while *at < text.len() {
        let start = *at;
        if start >= look_again {
            checkpoint(progress)?;
            look_again = start + (1 << 24);
        }
        let line_end = memchr(b'\n', &text[start..]).map_or(text.len(), |n| start + n + 1);
        if quote < start {
            quote = memchr(b'"', &text[start..]).map_or(text.len(), |n| start + n);
        }
        *at = if quote < line_end { row_with_quotes(file, text, separator, start)? } else { line_end };
        if text[start..*at].iter().any(|b| !matches!(b, b'\n' | b'\r')) {
            starts.push(start);
        }
    }
    starts.push(text.len());
    Ok(starts)
}

/// Walks a row field by field and returns where the next one starts.
fn row_with_quotes(file: &str, text: &[u8], separator: u8, start: usize) -> Result<usize> {
    let error = |at: usize, why: &str| Err(Error::data(file, memchr_iter(b'\n', &text[..at]).count() as u64 + 1, why));
    let mut at = start;
    loop {
        if text.get(at) == Some(&b'"') {
            let opened = at;
            at += 1;
            loop {
                let Some(closing) = memchr(b'"', &text[at..]) else {
                    return error(opened, "a quotation mark opens a field and is never closed");
                };
                at += closing + 1;
                if text.get(at) != Some(&b'"') {
                    break;
                }
                at += 1;
            }
            let rest = &text[at..];
            let ends = rest.is_empty()
                || rest[0] == separator
                || rest[0] == b'\n'
                || rest.starts_with(b"\r\n")
                || rest == b"\r";
            if !ends {
                return error(
                    at,
                    "text after a closing quotation mark; write a quotation mark inside a quoted field twice",
                );
            }
        }
        match memchr2(separator, b'\n', &text[at..]) {
            None => return Ok(text.len()),
            Some(n) if text[at + n] == b'\n' => return Ok(at + n + 1),
            Some(n) => at += n + 1,
        }
    }
}

fn header_names(file: &str, header: &str, separator: u8) -> Result<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    for (column, field) in Fields::new(header, separator).enumerate() {
        let name = match unquoted(field).trim() {
            "" => format!("column {}", column + 1),
            name => name.to_owned(),
        };
        names.push(name);
    }
    let mut sorted: Vec<&String> = names.iter().collect();
    sorted.sort_unstable();
    if let Some(twice) = sorted.windows(2).find(|w| w[0] == w[1]) {
        return Err(Error::data(file, 1, format!("two columns are called `{}`; names must differ", twice[0])));
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

/// The fields of a row as they stand, quotation marks included.
struct Fields<'a> {
    rest: Option<&'a str>,
    separator: u8,
}

impl<'a> Fields<'a> {
    fn new(row: &'a str, separator: u8) -> Self {
        Fields { rest: Some(row), separator }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest?;
        let bytes = rest.as_bytes();
        let mut from = 0;
        if bytes.first() == Some(&b'"') {
            from = 1;
            while let Some(closing) = memchr(b'"', &bytes[from..]) {
                from += closing + 1;
                if bytes.get(from) != Some(&b'"') {
                    break;
                }
                from += 1;
            }
        }
        match memchr(self.separator, &bytes[from..]) {
            Some(n) => {
                self.rest = Some(&rest[from + n + 1..]);
                Some(&rest[..from + n])
            }
            None => {
                self.rest = None;
                Some(rest)
            }
        }
    }
}

/// A field's value.
fn unquoted(field: &str) -> Cow<'_, str> {
    match field.strip_prefix('"').and_then(|f| f.strip_suffix('"')) {
        Some(inner) if inner.contains('"') => Cow::Owned(inner.replace("\"\"", "\"")),
        Some(inner) => Cow::Borrowed(inner),
        None => Cow::Borrowed(field),
    }
}

/// `text` as a field, in quotation marks where it needs them.
pub(crate) fn push_field(out: &mut Vec<u8>, text: &str, separator: u8) {
    let special = |b: u8| b == separator || matches!(b, b'"' | b'\n' | b'\r');
    if text.bytes().any(special) || text.is_empty() {
        out.push(b'"');
        out.extend_from_slice(text.replace('"', "\"\"").as_bytes());
        out.push(b'"');
    } else {
        out.extend_from_slice(text.as_bytes());
    }
}

/// What the cells of a column looked like.
#[derive(Debug, Clone, Default)]
struct Seen {
    integer: bool,
    big: bool,
    float: bool,
    boolean: bool,
    text: bool,
}

impl Seen {
    fn add(&mut self, field: &str) {
        if self.text {
            return;
        }
        match cell::look(&unquoted(field)) {
            Look::Missing => {}
            Look::Integer => self.integer = true,
            Look::Big => self.big = true,
            Look::Float => self.float = true,
            Look::Boolean => self.boolean = true,
            Look::Text => self.text = true,
        }
    }

    fn merge(&mut self, other: Seen) {
        self.integer |= other.integer;
        self.big |= other.big;
        self.float |= other.float;
        self.boolean |= other.boolean;
        self.text |= other.text;
    }

    fn kind(self) -> ColumnType {
        let number = self.integer || self.big || self.float;
        match self {
            Seen { text: true, .. } => ColumnType::Text,
            Seen { boolean: true, .. } if number => ColumnType::Text,
            Seen { boolean: true, .. } => ColumnType::Boolean,
            Seen { float: true, .. } => ColumnType::Float,
            // Identifiers too long for 64 bits would lose their last digits as numbers.
            Seen { big: true, .. } => ColumnType::Text,
            Seen { integer: true, .. } => ColumnType::Integer,
            _ => ColumnType::Text,
        }
    }
}

enum Builder {
    Integer(Int64Builder),
    Float(Float64Builder),
    Boolean(BooleanBuilder),
    Text(LargeStringBuilder),
    /// The spelling of a number or boolean.
    Spelling(LargeStringBuilder),
}

impl Builder {
    fn new(kind: ColumnType, form: Form) -> Self {
        match kind {
            ColumnType::Integer | ColumnType::Float | ColumnType::Boolean if form == Form::Text => {
                Builder::Spelling(LargeStringBuilder::new())
            }
            ColumnType::Integer => Builder::Integer(Int64Builder::new()),
            ColumnType::Float => Builder::Float(Float64Builder::new()),
            ColumnType::Boolean => Builder::Boolean(BooleanBuilder::new()),
            _ => Builder::Text(LargeStringBuilder::new()),
        }
    }

    /// Appends a field; the error is the cell that does not fit.
    fn push<'a>(&mut self, field: &'a str) -> std::result::Result<(), Cow<'a, str>> {
        let cell = unquoted(field);
        if let Builder::Text(b) = self {
            // `""` is an empty text, nothing at all is a missing one.
            b.append_option((!field.is_empty()).then_some(&cell));
            return Ok(());
        }
        let trimmed = cell.trim_matches([' ', '\t']);
        let missing = cell::is_missing(trimmed);
        let fits = match self {
            Builder::Integer(b) => fit(missing, trimmed.parse().ok(), |v| b.append_option(v)),
            Builder::Float(b) => fit(missing, cell::parse_float(trimmed), |v| b.append_option(v)),
            Builder::Boolean(b) => fit(missing, cell::parse_boolean(trimmed), |v| b.append_option(v)),
            Builder::Spelling(b) => fit(missing, Some(trimmed), |v| b.append_option(v)),
            Builder::Text(_) => true,
        };
        if fits { Ok(()) } else { Err(cell) }
    }

    fn finish(self) -> ArrayRef {
        match self {
            Builder::Integer(mut b) => Arc::new(b.finish()),
            Builder::Float(mut b) => Arc::new(b.finish()),
            Builder::Boolean(mut b) => Arc::new(b.finish()),
            Builder::Text(mut b) | Builder::Spelling(mut b) => Arc::new(b.finish()),
        }
    }
}

/// Appends a parsed value or a missing one; false when there is neither.
fn fit<T>(missing: bool, value: Option<T>, mut append: impl FnMut(Option<T>)) -> bool {
    let fits = missing || value.is_some();
    if fits {
        append(value.filter(|_| !missing));
    }
    fits
}
