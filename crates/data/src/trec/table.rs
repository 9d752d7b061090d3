//! Lines about documents, grouped by query.
//!
//! Ids stay where they are in the file's text. To number each distinct document costs a look at memory far away for every line,
//! which took most of the time of reading; what is asked of a document is asked within its query.

use super::Ids;
use quadrat_core::{Error, Result};
use rayon::prelude::*;
use std::cmp::Ordering;
use std::collections::HashSet;

/// Bytes of text that a thread reads at a time.
const PART: usize = 1 << 20;

/// Documents with values, query after query.
#[derive(Debug, Clone, Default)]
pub struct Table<T> {
    text: String,
    pub queries: Ids,
    /// Where each query's lines end.
    ends: Vec<usize>,
    lines: Vec<Line<T>>,
}

/// Where the id of a document stands in the text, and its value: 16 bytes.
#[derive(Debug, Clone, Copy)]
struct Line<T> {
    start: usize,
    length: u32,
    value: T,
}

/// Lines of a part of the text, and how many follow one another with the same query.
struct Part<'a, T> {
    lines: Vec<Line<T>>,
    queries: Vec<(&'a str, usize)>,
}

/// What a line says: query, document and value, which are parts of it; or what is wrong.
pub type Said<'a, T> = std::result::Result<(&'a str, &'a str, T), String>;

impl<T: Copy + Send + Sync> Table<T> {
    /// Reads the lines of a text that are not blank. Refuses a document that comes twice for a query.
    pub fn read(file: &str, text: String, parse: impl for<'a> Fn(&'a str) -> Said<'a, T> + Sync) -> Result<Self> {
        let parts: Vec<Result<Part<T>>> =
            parts(&text).into_par_iter().map(|part| read(file, &text, part, &parse)).collect();
        // The first error of the file, whichever thread came first.
        let parts = parts.into_iter().collect::<Result<Vec<_>>>()?;

        let mut queries = Ids::default();
        let mut pieces: Vec<Vec<&[Line<T>]>> = Vec::new();
        for Part { lines, queries: runs } in &parts {
            let mut rest = lines.as_slice();
            for (query, count) in runs {
                let number = queries.number(query) as usize;
                pieces.resize_with(queries.len(), Vec::new);
                let (piece, after) = rest.split_at(*count);
                pieces[number].push(piece);
                rest = after;
            }
        }
        let (mut lines, mut ends) = (Vec::with_capacity(parts.iter().map(|part| part.lines.len()).sum()), Vec::new());
        for pieces in pieces {
            pieces.into_iter().for_each(|piece| lines.extend_from_slice(piece));
            ends.push(lines.len());
        }
        let table = Table { text: String::new(), queries, ends, lines };
        let twice = |query: u32| {
            let mut seen = HashSet::with_capacity(table.lines_of(query).len());
            table.documents(query, &text).find(|id| !seen.insert(*id)).map(|id| (query, id))
        };
        let twice = (0..table.ends.len() as u32).into_par_iter().find_map_first(twice);
        if let Some((query, document)) = twice {
            let first = table.documents(query, &text).find(|id| *id == document).unwrap_or(document);
            let (query, first) = (table.queries.get(query), line_number(&text, first));
            let why = format!("document `{document}` comes twice for query `{query}`, first in line {first}");
            return Err(Error::data(file, line_number(&text, document), why));
        }
        Ok(Table { text, ..table })
    }

    /// With the documents of each query in another order.
    pub fn ordered(mut self, compare: impl Fn((&str, T), (&str, T)) -> Ordering + Sync) -> Self {
        let text = &self.text;
        let mut rest = self.lines.as_mut_slice();
        let mut of_queries = Vec::with_capacity(self.ends.len());
        let mut start = 0;
        for end in &self.ends {
            let (lines, after) = rest.split_at_mut(end - start);
            of_queries.push(lines);
            (rest, start) = (after, *end);
        }
        of_queries.into_par_iter().for_each(|lines| {
            lines.sort_unstable_by(|a, b| compare((a.document(text), a.value), (b.document(text), b.value)));
        });
        self
    }

    fn lines_of(&self, query: u32) -> &[Line<T>] {
        let query = query as usize;
        let start = if query == 0 { 0 } else { self.ends[query - 1] };
        &self.lines[start..self.ends[query]]
    }

    fn documents<'a>(&self, query: u32, text: &'a str) -> impl Iterator<Item = &'a str> {
        self.lines_of(query).iter().map(|line| line.document(text))
    }

    /// The documents and values of a query.
    pub fn of(&self, query: u32) -> impl ExactSizeIterator<Item = (&str, T)> {
        self.lines_of(query).iter().map(|line| (line.document(&self.text), line.value))
    }
}

/// Reads a part of a text.
fn read<'a, T>(
    file: &str,
    text: &'a str,
    part: &'a str,
    parse: &impl for<'l> Fn(&'l str) -> Said<'l, T>,
) -> Result<Part<'a, T>> {
    let mut found = Part { lines: Vec::with_capacity(part.len() / 32), queries: Vec::new() };
    for line in part.lines().filter(|line| !line.trim_ascii().is_empty()) {
        let (query, document, value) = parse(line).map_err(|why| Error::data(file, line_number(text, line), why))?;
        found.lines.push(Line { start: offset(text, document), length: document.len() as u32, value });
        match found.queries.last_mut() {
            Some((last, count)) if *last == query => *count += 1,
            _ => found.queries.push((query, 1)),
        }
    }
    Ok(found)
}

impl<T> Line<T> {
    fn document<'a>(&self, text: &'a str) -> &'a str {
        &text[self.start..self.start + self.length as usize]
    }
}

/// Where a part of a text starts in it.
fn offset(text: &str, part: &str) -> usize {
    part.as_ptr() as usize - text.as_ptr() as usize
}

/// The number of the line, from 1, that a part of a text is in.
fn line_number(text: &str, part: &str) -> u64 {
    text.as_bytes()[..offset(text, part)].iter().filter(|byte| **byte == b'\n').count() as u64 + 1
}

/// Parts of a text that end with a line.
fn parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::with_capacity(text.len() / PART + 1);
    let mut rest = text;
    while !rest.is_empty() {
        let bytes = rest.as_bytes();
        let end = bytes.iter().skip(PART).position(|byte| *byte == b'\n').map_or(rest.len(), |at| PART + at + 1);
        let (part, after) = rest.split_at(end);
        parts.push(part);
        rest = after;
    }
    parts
}

/// The `N` fields of a line, or how many it has.
pub fn fields<const N: usize>(line: &str) -> std::result::Result<[&str; N], usize> {
    let mut fields = [""; N];
    let mut found = 0;
    for field in line.split_ascii_whitespace() {
        if let Some(place) = fields.get_mut(found) {
            *place = field;
        }
        found += 1;
    }
    if found == N { Ok(fields) } else { Err(found) }
}
