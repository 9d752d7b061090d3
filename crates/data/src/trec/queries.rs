//! What is asked.

use super::judgements::Id;
use super::text;
use quadrat_core::{Error, Progress, Result};
use serde::Deserialize;
use std::collections::HashSet;
use std::path::Path;

/// A line of JSON, with the names that BEIR's `queries.jsonl` has.
#[derive(Deserialize)]
struct Line {
    #[serde(rename = "_id", alias = "id", alias = "query-id", alias = "query_id")]
    id: Id,
    #[serde(alias = "query")]
    text: String,
}

/// Names that the first column of a table of queries may have.
const NAMES: [&str; 6] = ["id", "_id", "qid", "query-id", "query_id", "query"];

/// Reads queries, each an id and a text: lines with a tab between (MS MARCO's and TREC's form, with or without a line of names
/// above), or JSON Lines with the keys `_id` (or `id`, `query-id`) and `text` (or `query`). A folder is one of BEIR's: its
/// `queries.jsonl`. Blank lines are skipped.
///
/// # Errors
/// A file that cannot be read or is no UTF-8; no query; with its number, a line of another form or with an id that an earlier
/// one has.
pub fn read_queries(path: &Path, progress: &dyn Progress) -> Result<Vec<(String, String)>> {
    let file = if path.is_dir() { path.join("queries.jsonl") } else { path.to_path_buf() };
    let name = file.display().to_string();
    let content = text(&file, &name, progress)?;
    let mut lines = (1..).zip(content.lines()).filter(|(_, line)| !line.trim_ascii().is_empty()).peekable();
    let json = lines.peek().is_some_and(|(_, first)| first.trim_ascii_start().starts_with('{'));
    let is_head =
        |line: &str| line.split('\t').next().is_some_and(|id| NAMES.contains(&id.to_ascii_lowercase().as_str()));
    if !json {
        lines.next_if(|(_, first)| is_head(first));
    }
    let (mut queries, mut seen) = (Vec::new(), HashSet::new());
    for (number, line) in lines {
        let (id, text) = if json {
            let line: Line = serde_json::from_str(line)
                .map_err(|e| Error::data(&name, number, format!("{e}; a query is {{\"_id\": ID, \"text\": TEXT}}")))?;
            (line.id.text(), line.text)
        } else {
            let (id, text) = line
                .split_once('\t')
                .ok_or_else(|| Error::data(&name, number, "no tab: a line of queries is an id, a tab and the text"))?;
            (id.trim().to_owned(), text.trim().to_owned())
        };
        if !seen.insert(id.clone()) {
            return Err(Error::data(&name, number, format!("the query id `{id}` a second time: ids are unique")));
        }
        queries.push((id, text));
    }
    if queries.is_empty() {
        return Err(Error::data(name, None, "no query in it"));
    }
    Ok(queries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use quadrat_core::Silent;

    #[test]
    fn all_forms_are_read_and_others_refused() {
        let path = std::env::temp_dir().join(format!("quadrat-queries-{}", std::process::id()));
        let two = Ok(vec![("1".to_owned(), "red wine".to_owned()), ("b".to_owned(), "tab\there".to_owned())]);
        for (content, expected) in [
            ("1\tred wine\n\nb\ttab\there\n", two.clone()),
            ("query-id\ttext\r\n1\tred wine\r\nb\ttab\there", two.clone()),
            (
                "{\"_id\": 1, \"text\": \"red wine\"}\n{\"id\": \"b\", \"query\": \"tab\\there\", \"metadata\": {}}\n",
                two,
            ),
            ("", Err("no query in it")),
            ("qid\tquery\n", Err("no query in it")),
            ("1 red wine", Err(":1: no tab")),
            ("1\ta\n1\tb", Err(":2: the query id `1` a second time")),
            ("{\"_id\": 1}", Err("missing field `text`")),
        ] {
            std::fs::write(&path, content).unwrap();
            let read = read_queries(&path, &Silent).map_err(|e| e.to_string());
            match expected {
                Ok(expected) => assert_eq!(read.unwrap(), expected),
                Err(part) => assert!(read.as_ref().is_err_and(|e| e.contains(part)), "{content:?}: {read:?}"),
            }
        }
        std::fs::remove_file(&path).unwrap();
    }
}
