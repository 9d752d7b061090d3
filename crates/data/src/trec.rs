//! Runs and judgements of retrieval, as the field writes them.
//!
//! A run (TREC's format) is a line for each document found, fields separated by white space: query, `Q0`, document, rank,
//! score, and the name of the run. The second, fourth and sixth field are not looked at. Documents are ranked as trec_eval
//! ranks them up to version 9 and pytrec_eval does: by score in single precision, the highest first, equal scores by
//! the bytes of the document's id, the highest first. (Version 10 of trec_eval reads scores in double precision.)
//!
//! What [`Judgements`] are read from is told there. Files may be compressed; `-` is standard input.

mod ids;
mod judgements;
mod queries;

pub use ids::Ids;
pub use judgements::Judgements;
pub use queries::read_queries;

use crate::bytes;
use quadrat_core::{Error, Lists, Progress, Result, write_atomic};
use rayon::prelude::*;
use serde::Deserialize;
use std::cmp::Ordering;
use std::io::Write;
use std::path::Path;

/// What a system found: for each query documents with scores, best first.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// The queries, in the order of their first lines.
    pub queries: Ids,
    /// The documents, in the order of their first lines.
    pub documents: Ids,
    found: Lists,
    scores: Vec<f32>,
}

impl Run {
    /// Reads a run; blank lines are skipped. 8 bytes a line stay in memory, and each id once.
    ///
    /// # Errors
    /// A file that cannot be read or is no UTF-8; with its number, a line of fewer or more than six fields, with a score that
    /// is no number, or with a document that its query has already.
    pub fn read(path: &Path, progress: &dyn Progress) -> Result<Run> {
        let name = path.display().to_string();
        let text = text(path, &name, progress)?;
        let mut lines = Lines::new(&name);
        for (number, line) in filled(&text) {
            let [query, _, document, _, score, _] = fields(line).map_err(|found| {
                let want = "a run has six: query Q0 document rank score name";
                Error::data(&name, number, format!("{found} fields; {want}"))
            })?;
            let value = score.parse::<f64>().ok().filter(|value| !value.is_nan());
            let value = value.ok_or_else(|| Error::data(&name, number, format!("the score `{score}` is no number")))?;
            lines.push(number, query, document, value as f32)?;
        }
        let Lines { queries, documents, mut lines, .. } = lines.grouped()?;
        lines.par_chunk_by_mut(|a, b| a.query == b.query).for_each(|of_query| {
            of_query.sort_unstable_by(|a, b| {
                let by_score = b.value.partial_cmp(&a.value).unwrap_or(Ordering::Equal);
                by_score.then_with(|| documents.get(b.document).cmp(documents.get(a.document)))
            });
        });
        let (found, scores) = apart(lines);
        Ok(Run { queries, documents, found, scores })
    }

    /// The documents and scores of a query, best first.
    pub fn of(&self, query: u32) -> (&[u32], &[f32]) {
        (&self.found[query as usize], &self.scores[self.found.span(query as usize)])
    }
}

/// Writes a run, whole or not at all. `found` says query, document and score, query after query and best first; ranks count
/// from 1. Scores are written so that they are read back as the same numbers.
///
/// # Errors
/// An id or `tag` that [`check_id`] refuses; the file cannot be written.
pub fn write_run<'a>(path: &Path, tag: &str, found: impl IntoIterator<Item = (&'a str, &'a str, f32)>) -> Result<()> {
    check_id("name of the run", tag)?;
    write_atomic(path, |out| {
        let (mut last, mut rank) = ("", 0_usize);
        for (query, document, score) in found {
            rank = if query == last { rank + 1 } else { 1 };
            last = query;
            check_id("query id", query)?;
            check_id("document id", document)?;
            writeln!(out, "{query} Q0 {document} {rank} {score} {tag}").map_err(|e| Error::io(path, e))?;
        }
        Ok(())
    })
}

/// An error unless `id` can stand in a run: better before a search than after it.
///
/// # Errors
/// An empty id, or one with white space, which would be two fields.
pub fn check_id(what: &str, id: &str) -> Result<()> {
    if id.is_empty() || id.contains(char::is_whitespace) {
        return Err(Error::input(what, format!("`{id}`"), "an id of a run has no white space, and is not empty"));
    }
    Ok(())
}

/// A line about a document of a query.
struct Line<T> {
    query: u32,
    document: u32,
    value: T,
    number: u64,
}

/// Lines as they are read.
struct Lines<'a, T> {
    file: &'a str,
    queries: Ids,
    documents: Ids,
    lines: Vec<Line<T>>,
}

impl<'a, T> Lines<'a, T> {
    fn new(file: &'a str) -> Self {
        Lines { file, queries: Ids::default(), documents: Ids::default(), lines: Vec::new() }
    }

    fn push(&mut self, number: u64, query: &str, document: &str, value: T) -> Result<()> {
        if number > u64::from(u32::MAX) {
            return Err(Error::data(self.file, number, format!("at most {} lines can be read", u32::MAX)));
        }
        // Most often it is the last line's.
        let query = match self.lines.last() {
            Some(last) if self.queries.get(last.query) == query => last.query,
            _ => self.queries.number(query),
        };
        let document = self.documents.number(document);
        self.lines.push(Line { query, document, value, number });
        Ok(())
    }

    /// With the lines of each query together; refuses a document that comes twice.
    fn grouped(mut self) -> Result<Self> {
        self.lines.sort_by_key(|line| line.query);
        let mut last: Vec<Option<usize>> = vec![None; self.documents.len()];
        for (at, line) in self.lines.iter().enumerate() {
            let before = last[line.document as usize].replace(at).map(|at| &self.lines[at]);
            if let Some(first) = before.filter(|before| before.query == line.query) {
                let (document, query) = (self.documents.get(line.document), self.queries.get(line.query));
                let why =
                    format!("document `{document}` comes twice for query `{query}`, first in line {}", first.number);
                return Err(Error::data(self.file, line.number, why));
            }
        }
        Ok(self)
    }
}

/// Grouped lines as a list of documents for each query, and the values beside them.
fn apart<T>(lines: Vec<Line<T>>) -> (Lists, Vec<T>) {
    let mut lists = Lists::with_capacity(0, lines.len());
    for of_query in lines.chunk_by(|a, b| a.query == b.query) {
        lists.push(of_query.iter().map(|line| line.document));
    }
    (lists, lines.into_iter().map(|line| line.value).collect())
}

/// Ids are texts or whole numbers.
#[derive(Deserialize)]
#[serde(untagged)]
enum Id {
    Text(String),
    Number(i64),
}

impl Id {
    fn text(self) -> String {
        match self {
            Id::Text(text) => text,
            Id::Number(number) => number.to_string(),
        }
    }
}

/// A whole file as text.
fn text(path: &Path, name: &str, progress: &dyn Progress) -> Result<String> {
    let plain = bytes::decompress(name, bytes::read(path, progress)?, progress)?;
    String::from_utf8(plain).map_err(|e| {
        let line = e.as_bytes()[..e.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count() as u64 + 1;
        Error::data(name, line, "not UTF-8: convert the file first")
    })
}

/// The lines that are not blank, with their numbers from 1.
fn filled(text: &str) -> impl Iterator<Item = (u64, &str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    (1..).zip(text.lines()).filter(|(_, line)| !line.trim_ascii().is_empty())
}

/// The `N` fields of a line, or how many it has.
fn fields<const N: usize>(line: &str) -> std::result::Result<[&str; N], usize> {
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

#[cfg(test)]
mod tests;
