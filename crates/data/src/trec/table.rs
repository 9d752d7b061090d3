//! Lines about documents, grouped by query.
//!
//! Ids stay where they are in the file's text. To number each distinct document costs a look at memory far away for every line,
//! which took most of the time of reading; what is asked of a document is asked within its query.

use super::Ids;
use quadrat_core::{Error, Result};
use rayon::prelude::*;
use std::cmp::Ordering;
use std::collections::HashMap;

/// Bytes of text that a thread reads at a time.
const PART: usize = 1 << 20;

/// Documents with values, query after query.
#[derive(Debug, Clone, Default)]
pub struct Table<T> {
    text: String,
    pub queries: Ids,
    /// Where each query's lines end.
    ends: Vec<usize>,
    documents: Vec<Span>,
    values: Vec<T>,
}

/// A part of a text.
#[derive(Debug, Clone, Copy, Default)]
pub struct Span {
    start: usize,
    length: u32,
}

impl Span {
    /// Where `part`, which is a part of `text`, stands in it.
    fn of(text: &str, part: &str) -> Span {
        Span { start: part.as_ptr() as usize - text.as_ptr() as usize, length: part.len() as u32 }
    }

    /// Appends a text.
    pub fn push(text: &mut String, part: &str) -> Span {
        let start = text.len();
        text.push_str(part);
        Span { start, length: part.len() as u32 }
    }

    fn within(self, text: &str) -> &str {
        &text[self.start..self.start + self.length as usize]
    }
}

/// Line number from 1, query, document and value.
type Line<T> = (usize, Span, Span, T);

impl<T: Copy + Send + Sync> Table<T> {
    /// Reads the lines of a text that are not blank. `parse` gives a line's query, document and value, nothing for one to be
    /// skipped, or what is wrong with it.
    pub fn read(
        file: &str,
        text: String,
        parse: impl for<'a> Fn(&'a str) -> std::result::Result<Option<(&'a str, &'a str, T)>, String> + Sync,
    ) -> Result<Self> {
        let parts = parts(&text);
        // The lines of a part and how many it has; or an error and its line within the part.
        let of_part = |part: &&str| {
            let mut lines = Vec::new();
            for (number, line) in filled(part) {
                if let Some((query, document, value)) = parse(line).map_err(|why| (number, why))? {
                    lines.push((number, Span::of(&text, query), Span::of(&text, document), value));
                }
            }
            Ok((part.lines().count(), lines))
        };
        let found: Vec<std::result::Result<_, (usize, String)>> = parts.par_iter().map(of_part).collect();
        let (mut all, mut before) = (Vec::new(), 0);
        for part in found {
            let (count, lines) = part.map_err(|(number, why)| Error::data(file, (before + number) as u64, why))?;
            all.extend(
                lines.into_iter().map(|(number, query, document, value)| (before + number, query, document, value)),
            );
            before += count;
        }
        Table::of(file, text, all)
    }

    /// Groups lines by query; refuses a document that comes twice.
    pub fn of(file: &str, text: String, lines: Vec<Line<T>>) -> Result<Self> {
        let mut queries = Ids::default();
        let mut last = ("", 0);
        let mut numbered: Vec<(u32, Line<T>)> = Vec::with_capacity(lines.len());
        for line in lines {
            let query = line.1.within(&text);
            // Most often it is the last line's.
            if numbered.is_empty() || query != last.0 {
                last = (query, queries.number(query));
            }
            numbered.push((last.1, line));
        }
        numbered.sort_by_key(|(query, _)| *query);
        let groups: Vec<&[(u32, Line<T>)]> = numbered.chunk_by(|a, b| a.0 == b.0).collect();
        let twice = |group: &&[(u32, Line<T>)]| {
            let mut seen = HashMap::with_capacity(group.len());
            group.iter().find_map(|(_, (number, query, document, _))| {
                let first = seen.insert(document.within(&text), *number)?;
                Some((first, *number, *query, *document))
            })
        };
        if let Some((first, number, query, document)) = groups.par_iter().find_map_first(twice) {
            let (query, document) = (query.within(&text), document.within(&text));
            let why = format!("document `{document}` comes twice for query `{query}`, first in line {first}");
            return Err(Error::data(file, number as u64, why));
        }
        let ends = groups.iter().scan(0, |end, group| {
            *end += group.len();
            Some(*end)
        });
        let ends = ends.collect();
        let (documents, values) = numbered.iter().map(|(_, line)| (line.2, line.3)).unzip();
        Ok(Table { text, queries, ends, documents, values })
    }

    /// With the documents of each query in another order.
    pub fn ordered(mut self, compare: impl Fn((&str, T), (&str, T)) -> Ordering + Sync) -> Self {
        let text = &self.text;
        let in_order = |query: u32| {
            let span = self.span(query);
            let mut lines: Vec<(Span, T)> =
                self.documents[span.clone()].iter().copied().zip(self.values[span].iter().copied()).collect();
            lines.sort_unstable_by(|a, b| compare((a.0.within(text), a.1), (b.0.within(text), b.1)));
            lines
        };
        let all: Vec<Vec<(Span, T)>> = (0..self.ends.len() as u32).into_par_iter().map(in_order).collect();
        (self.documents, self.values) = all.into_iter().flatten().unzip();
        self
    }

    fn span(&self, query: u32) -> std::ops::Range<usize> {
        let query = query as usize;
        let start = if query == 0 { 0 } else { self.ends[query - 1] };
        start..self.ends[query]
    }

    /// The values of a query.
    pub fn values(&self, query: u32) -> &[T] {
        &self.values[self.span(query)]
    }

    /// The documents and values of a query.
    pub fn of_query(&self, query: u32) -> impl ExactSizeIterator<Item = (&str, T)> {
        let documents = self.documents[self.span(query)].iter().map(|document| document.within(&self.text));
        documents.zip(self.values(query).iter().copied())
    }
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

/// The lines that are not blank, with their numbers from 1.
pub fn filled(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines()).filter(|(_, line)| !line.trim_ascii().is_empty())
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
