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
mod table;

pub use ids::Ids;
pub use judgements::Judgements;
pub use queries::read_queries;

use crate::bytes;
use quadrat_core::{Error, Progress, Result, write_atomic};
use std::cmp::Ordering;
use std::io::Write;
use std::path::Path;
use table::{Table, fields};

/// What a system found: for each query documents with scores, best first.
#[derive(Debug, Clone, Default)]
pub struct Run(Table<f32>);

impl Run {
    /// Reads a run; blank lines are skipped. The file's text and 16 bytes a line stay in memory. O(lines x log of a query's lines),
    /// shared by the threads.
    ///
    /// # Errors
    /// A file that cannot be read or is no UTF-8; with its number, a line of fewer or more than six fields, with a score that
    /// is no number, or with a document that its query has already.
    pub fn read(path: &Path, progress: &dyn Progress) -> Result<Run> {
        let name = path.display().to_string();
        let text = text(path, &name, progress)?;
        let table = Table::read(&name, text, |line| {
            let [query, _, document, _, score, _] = fields(line)
                .map_err(|found| format!("{found} fields; a run has six: query Q0 document rank score name"))?;
            let value = score.parse::<f64>().ok().filter(|value| !value.is_nan());
            let value = value.ok_or_else(|| format!("the score `{score}` is no number"))?;
            Ok((query, document, value as f32))
        })?;
        Ok(Run(table.ordered(|(one, a), (other, b)| {
            let by_score = b.partial_cmp(&a).unwrap_or(Ordering::Equal);
            by_score.then_with(|| other.cmp(one))
        })))
    }

    /// The queries, in the order of their first lines.
    pub fn queries(&self) -> &Ids {
        &self.0.queries
    }

    /// The documents and scores of a query, best first.
    pub fn of(&self, query: u32) -> impl ExactSizeIterator<Item = (&str, f32)> {
        self.0.of(query)
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

/// A whole file as text.
fn text(path: &Path, name: &str, progress: &dyn Progress) -> Result<String> {
    let mut plain = bytes::decompress(name, bytes::read(path, progress)?, progress)?;
    if plain.starts_with("\u{feff}".as_bytes()) {
        plain.drain(..3);
    }
    String::from_utf8(plain).map_err(|e| {
        let line = e.as_bytes()[..e.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count() as u64 + 1;
        Error::data(name, line, "not UTF-8: convert the file first")
    })
}

#[cfg(test)]
mod tests;
