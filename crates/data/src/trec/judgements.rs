//! Which documents are relevant.

use super::table::{Said, Table, fields};
use super::{Ids, Run, text};
use quadrat_core::{Error, Progress, Result};
use rayon::prelude::*;
use serde::Deserialize;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// How relevant documents were found to be: for each query documents with levels, whole numbers of which those above 0 are
/// relevant.
#[derive(Debug, Clone, Default)]
pub struct Judgements(Table<i32>);

/// A line of JSON, with the names that BEIR's tables and the data sets of MTEB have.
#[derive(Deserialize)]
struct Judgement {
    #[serde(rename = "query-id")]
    query: Id,
    #[serde(rename = "corpus-id")]
    document: Id,
    score: i32,
}

/// Ids are texts or whole numbers.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Id {
    Text(String),
    Number(i64),
}

impl Id {
    pub(super) fn text(self) -> String {
        match self {
            Id::Text(text) => text,
            Id::Number(number) => number.to_string(),
        }
    }
}

impl Judgements {
    /// Reads judgements, whose first line tells their form:
    ///
    /// - TREC's: query, a field that is not looked at, document and level, separated by white space;
    /// - BEIR's: query, document and level, separated by tabs, with or without a line of names above, the last of
    ///   which is `score` (`qrels/test.tsv`);
    /// - JSON Lines with the keys `query-id`, `corpus-id` and `score`.
    ///
    /// A folder is one of BEIR's: its `qrels/test.tsv`, or what else is in `qrels/` if it is alone there. Blank lines are
    /// skipped. The file's text and 16 bytes a line stay in memory.
    ///
    /// # Errors
    /// A file that cannot be read or is no UTF-8; none or several in a folder; no judgement; with its number, a line of another
    /// form, with a level that is no whole number of 32 bits, or with a document that its query has already.
    pub fn read(path: &Path, progress: &dyn Progress) -> Result<Judgements> {
        let file = if path.is_dir() { in_folder(path)? } else { path.to_path_buf() };
        let name = file.display().to_string();
        let text = text(&file, &name, progress)?;
        let first = text.trim_ascii_start().lines().next().unwrap_or_default();
        let table = if first.starts_with('{') {
            Table::read(&name, by_tabs_from_json(&name, &text)?, |line| level(by_tabs(line)?))?
        } else if first.matches('\t').count() == 2 {
            let text = without_names(text);
            Table::read(&name, text, |line| level(by_tabs(line)?))?
        } else {
            Table::read(&name, text, |line| level(by_space(line)?))?
        };
        if table.queries.is_empty() {
            return Err(Error::data(name, None, "no judgement in it"));
        }
        Ok(Judgements(table))
    }

    /// The queries, in the order of their first lines.
    pub fn queries(&self) -> &Ids {
        &self.0.queries
    }

    /// The documents and levels of a query, in the file's order.
    pub fn of(&self, query: u32) -> impl ExactSizeIterator<Item = (&str, i32)> {
        self.0.of(query)
    }

    /// For each judged query the levels of the documents that the run has for it, best first, where they are judged; nothing
    /// where the run has no such query. O(lines), shared by the threads.
    pub fn ranked(&self, run: &Run) -> Vec<Vec<Option<i32>>> {
        let of_query = |query: u32| {
            let Some(answer) = run.queries().find(self.queries().get(query)) else { return Vec::new() };
            let judged: HashMap<&str, i32> = self.of(query).collect();
            run.of(answer).map(|(document, _)| judged.get(document).copied()).collect()
        };
        (0..self.queries().len() as u32).into_par_iter().map(of_query).collect()
    }
}

fn level([query, document, level]: [&str; 3]) -> Said<'_, i32> {
    let value = level.parse::<i32>().map_err(|_| format!("the level `{level}` is no whole number"))?;
    Ok((query, document, value))
}

/// Lines of JSON as a table between tabs, line for line.
fn by_tabs_from_json(name: &str, text: &str) -> Result<String> {
    let mut table = String::with_capacity(text.len());
    for (number, line) in (1..).zip(text.lines()) {
        if !line.trim_ascii().is_empty() {
            let fail = |why: String| Error::data(name, number, why);
            let Judgement { query, document, score } = serde_json::from_str(line).map_err(|e| {
                let want = "a judgement is {\"query-id\": ID, \"corpus-id\": ID, \"score\": WHOLE NUMBER}";
                fail(format!("{e}; {want}"))
            })?;
            let (query, document) = (query.text(), document.text());
            if [&query, &document].iter().any(|id| id.contains(['\t', '\n', '\r'])) {
                return Err(fail("an id has no tabs and no line breaks".to_owned()));
            }
            table.push_str(&format!("{query}\t{document}\t{score}"));
        }
        table.push('\n');
    }
    Ok(table)
}

/// BEIR's line of names above the columns becomes a blank one, so that lines keep their numbers.
fn without_names(mut text: String) -> String {
    let end = text.find('\n').unwrap_or(text.len());
    let third = text[..end].rsplit('\t').next().unwrap_or_default().trim_ascii();
    if third.eq_ignore_ascii_case("score") {
        text.replace_range(..end, "");
    }
    text
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
