//! Which documents are relevant.

use super::{Id, Lines, Run, apart, fields, filled, text};
use crate::trec::Ids;
use quadrat_core::{Error, Lists, Progress, Result};
use rayon::prelude::*;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// How relevant documents were found to be: for each query documents with levels, whole numbers of which those above 0 are
/// relevant.
#[derive(Debug, Clone, Default)]
pub struct Judgements {
    /// The queries, in the order of their first lines.
    pub queries: Ids,
    /// The documents, in the order of their first lines.
    pub documents: Ids,
    judged: Lists,
    levels: Vec<i32>,
}

/// A line of JSON, with the names that BEIR's tables and the data sets of MTEB have.
#[derive(Deserialize)]
struct Judgement {
    #[serde(rename = "query-id")]
    query: Id,
    #[serde(rename = "corpus-id")]
    document: Id,
    score: i32,
}

impl Judgements {
    /// Reads judgements, whose first line tells their form:
    ///
    /// - TREC's: query, a field that is not looked at, document and level, separated by white space;
    /// - BEIR's: query, document and level, separated by tabs, with or without a line of names above (`qrels/test.tsv`);
    /// - JSON Lines with the keys `query-id`, `corpus-id` and `score`.
    ///
    /// A folder is one of BEIR's: its `qrels/test.tsv`, or what else is in `qrels/` if it is alone there. Blank lines are
    /// skipped. 8 bytes a line stay in memory, and each id once.
    ///
    /// # Errors
    /// A file that cannot be read or is no UTF-8; none or several in a folder; no judgement; with its number, a line of another
    /// form, with a level that is no whole number of 32 bits, or with a document that its query has already.
    pub fn read(path: &Path, progress: &dyn Progress) -> Result<Judgements> {
        let file = if path.is_dir() { in_folder(path)? } else { path.to_path_buf() };
        let name = file.display().to_string();
        let text = text(&file, &name, progress)?;
        let mut lines = Lines::new(&name);
        let Some((head, first)) = filled(&text).next() else {
            return Err(Error::data(name, None, "no judgement in it"));
        };
        if first.trim_ascii_start().starts_with('{') {
            for (number, line) in filled(&text) {
                let Judgement { query, document, score } = serde_json::from_str(line).map_err(|e| {
                    let want = "a judgement is {\"query-id\": ID, \"corpus-id\": ID, \"score\": WHOLE NUMBER}";
                    Error::data(&name, number, format!("{e}; {want}"))
                })?;
                lines.push(number, &query.text(), &document.text(), score)?;
            }
        } else {
            let tabs = first.matches('\t').count() == 2;
            for (number, line) in filled(&text) {
                let [query, document, level] =
                    if tabs { by_tabs(line) } else { by_space(line) }.map_err(|why| Error::data(&name, number, why))?;
                let Ok(value) = level.parse::<i32>() else {
                    // Names above the columns.
                    if tabs && number == head && level.starts_with(char::is_alphabetic) {
                        continue;
                    }
                    return Err(Error::data(&name, number, format!("the level `{level}` is no whole number")));
                };
                lines.push(number, query, document, value)?;
            }
        }
        let Lines { queries, documents, lines, .. } = lines.grouped()?;
        let (judged, levels) = apart(lines);
        if levels.is_empty() {
            return Err(Error::data(name, None, "no judgement in it"));
        }
        Ok(Judgements { queries, documents, judged, levels })
    }

    /// The documents and levels of a query.
    pub fn of(&self, query: u32) -> (&[u32], &[i32]) {
        (&self.judged[query as usize], &self.levels[self.judged.span(query as usize)])
    }

    /// For each judged query the levels of the documents that the run has for it, best first, where they are judged; nothing
    /// where the run has no such query. O(lines of the run x log of a query's judgements), shared by the threads.
    pub fn ranked(&self, run: &Run) -> Vec<Vec<Option<i32>>> {
        let numbers: Vec<Option<u32>> = self.documents.iter().map(|document| run.documents.find(document)).collect();
        let of_query = |query: u32| {
            let Some(answer) = run.queries.find(self.queries.get(query)) else { return Vec::new() };
            let (documents, levels) = self.of(query);
            let mut judged: Vec<(u32, i32)> = documents
                .iter()
                .zip(levels)
                .filter_map(|(document, level)| Some((numbers[*document as usize]?, *level)))
                .collect();
            judged.sort_unstable();
            let level = |document: &u32| judged.binary_search_by_key(document, |j| j.0).ok().map(|at| judged[at].1);
            run.of(answer).0.iter().map(level).collect()
        };
        (0..self.queries.len() as u32).into_par_iter().map(of_query).collect()
    }
}

fn by_space(line: &str) -> std::result::Result<[&str; 3], String> {
    let [query, _, document, level] =
        fields(line).map_err(|found| format!("{found} fields; a judgement has four: query 0 document level"))?;
    Ok([query, document, level])
}

fn by_tabs(line: &str) -> std::result::Result<[&str; 3], String> {
    let fields: Vec<&str> = line.split('\t').map(str::trim_ascii).collect();
    fields.try_into().map_err(|fields: Vec<&str>| {
        format!("{} fields between tabs; a judgement has three: query, document, level", fields.len())
    })
}

/// The table of judgements in a folder of BEIR's.
fn in_folder(folder: &Path) -> Result<PathBuf> {
    let place = folder.join("qrels");
    let usual = place.join("test.tsv");
    if usual.is_file() {
        return Ok(usual);
    }
    let entries = std::fs::read_dir(&place).map_err(|e| Error::io(&place, e))?;
    let mut tables: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    tables.sort();
    match tables.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Error::data(place.display().to_string(), None, "no table of judgements in it, such as test.tsv")),
        [first, ..] => {
            let why =
                format!("no test.tsv but {} other files in it: name one, such as {}", tables.len(), first.display());
            Err(Error::data(place.display().to_string(), None, why))
        }
    }
}
