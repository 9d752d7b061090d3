//! ARFF (Weka) and KEEL's .dat: attributes with their types, then rows.
//!
//! A nominal attribute is a column of categories that keeps all its levels in their order, whether a row has them or
//! not. Rows may be sparse (`{2 5.1, 7 yes}`): what they leave out is 0, or the first level.

use crate::held::Held;
use crate::{ColumnType, Reading, arrays, encoding, spell};
use arrow_array::builder::LargeStringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, DictionaryArray, Float64Array, Int32Array, Int64Array, StringArray};
use arrow_schema::Field;
use quadrat_core::{Error, Progress, Result, checkpoint};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// One attribute and its cells so far.
struct Attribute {
    name: String,
    cells: Cells,
}

enum Cells {
    /// Whole as long as every cell is.
    Number {
        values: Vec<Option<f64>>,
        whole: Option<Vec<Option<i64>>>,
    },
    Nominal {
        levels: Vec<String>,
        places: HashMap<String, i32>,
        codes: Vec<Option<i32>>,
    },
    Text(LargeStringBuilder),
}

pub(crate) fn parse(
    file: &str,
    bytes: Vec<u8>,
    reading: &Reading,
    notes: &mut Vec<String>,
    progress: &dyn Progress,
) -> Result<Held> {
    let (text, _) = encoding::decode(file, bytes, reading.encoding.as_deref(), notes)?;
    let mut attributes: Vec<Attribute> = Vec::new();
    let mut outputs: Vec<String> = Vec::new();
    let mut rows: Vec<u64> = Vec::new();
    let mut in_data = false;
    for (line, content) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
        let error = |why: String| Error::data(file, line, why);
        let content = content.trim();
        if content.is_empty() || content.starts_with('%') {
            continue;
        }
        if in_data {
            if line % (1 << 16) == 0 {
                checkpoint(progress)?;
            }
            push_row(&mut attributes, content).map_err(error)?;
            rows.push(line);
            continue;
        }
        let (keyword, rest) = content.split_once(char::is_whitespace).unwrap_or((content, ""));
        match keyword.to_lowercase().as_str() {
            "@relation" | "@inputs" | "@input" => {}
            "@outputs" | "@output" => outputs.extend(rest.split(',').map(|name| name.trim().to_owned())),
            "@attribute" => attributes.push(attribute(rest.trim()).map_err(error)?),
            "@data" => in_data = true,
            _ => {
                let shown: String = content.chars().take(40).collect();
                return Err(error(format!("found `{shown}` where @relation, @attribute or @data is expected")));
            }
        }
    }
    if !in_data {
        return Err(Error::data(file, None, "there is no @data line: the rows follow it"));
    }
    if !outputs.is_empty() {
        notes.push(format!("{file} says that its target is {}", outputs.join(", ")));
    }
    let (names, arrays) = attributes.into_iter().map(|attribute| (attribute.name, attribute.cells.finish())).unzip();
    Held::new(file, names, arrays, rows, reading)
}

/// `name type`, where the name may be in quotation marks.
fn attribute(declared: &str) -> std::result::Result<Attribute, String> {
    let (name, kind) = match declared.chars().next() {
        Some(quote @ ('\'' | '"')) => {
            let (token, rest) = quoted(&declared[1..], quote)?;
            (token, rest)
        }
        _ => {
            let end = declared.find(|c: char| c.is_whitespace() || c == '{').unwrap_or(declared.len());
            (declared[..end].to_owned(), &declared[end..])
        }
    };
    let kind = kind.trim();
    let word = kind.split(|c: char| c.is_whitespace() || matches!(c, '[' | '{')).next().unwrap_or_default();
    let cells = match word.to_lowercase().as_str() {
        "" if kind.starts_with('{') => {
            let inside = kind[1..].trim_end().strip_suffix('}').ok_or("a list of levels that is never closed")?;
            let levels: Vec<String> =
                tokens(inside)?.into_iter().map(|token| token.unwrap_or_else(|| "?".to_owned())).collect();
            let places: HashMap<String, i32> = (0..).zip(&levels).map(|(code, level)| (level.clone(), code)).collect();
            if places.len() < levels.len() {
                return Err(format!("attribute `{name}` has a level twice"));
            }
            Cells::Nominal { levels, places, codes: Vec::new() }
        }
        "numeric" | "integer" => Cells::Number { values: Vec::new(), whole: Some(Vec::new()) },
        "real" => Cells::Number { values: Vec::new(), whole: None },
        "string" | "date" => Cells::Text(LargeStringBuilder::new()),
        other => {
            return Err(format!(
                "attribute `{name}` is of type `{other}`; numeric, integer, real, string, date and levels in braces are read"
            ));
        }
    };
    Ok(Attribute { name, cells })
}

fn push_row(attributes: &mut [Attribute], row: &str) -> std::result::Result<(), String> {
    if let Some(sparse) = row.strip_prefix('{') {
        let inside = sparse.strip_suffix('}').ok_or("a sparse row that is never closed")?;
        let mut given: Vec<Option<Option<String>>> = vec![None; attributes.len()];
        for entry in split(inside)? {
            let entry = entry.trim();
            if entry.is_empty() {
                continue;
            }
            let (place, value) = entry.split_once(char::is_whitespace).ok_or("a sparse row is {PLACE VALUE, ...}")?;
            let cell = place.parse().ok().and_then(|place: usize| given.get_mut(place));
            *cell.ok_or_else(|| format!("there is no attribute {place}, counted from 0"))? = Some(cell_of(value)?);
        }
        return attributes.iter_mut().zip(given).try_for_each(|(attribute, cell)| match cell {
            Some(cell) => attribute.push(cell.as_deref()),
            None => attribute.push_default(),
        });
    }
    let cells = tokens(row)?;
    if cells.len() != attributes.len() {
        let n = cells.len();
        return Err(format!(
            "{n} value{} where there are {} attributes",
            if n == 1 { "" } else { "s" },
            attributes.len()
        ));
    }
    attributes.iter_mut().zip(cells).try_for_each(|(attribute, cell)| attribute.push(cell.as_deref()))
}

impl Attribute {
    fn push(&mut self, cell: Option<&str>) -> std::result::Result<(), String> {
        match &mut self.cells {
            Cells::Text(texts) => texts.append_option(cell),
            Cells::Nominal { places, codes, .. } => codes.push(match cell {
                None => None,
                Some(level) => match places.get(level) {
                    Some(&code) => Some(code),
                    None => return Err(format!("attribute `{}` has no level `{level}`", self.name)),
                },
            }),
            Cells::Number { values, whole } => {
                let value = cell.map(|cell| {
                    let number = cell.parse::<f64>().ok();
                    number.ok_or_else(|| format!("attribute `{}`: `{cell}` is no number", self.name))
                });
                values.push(value.transpose()?);
                let integer = cell.map(|cell| cell.parse::<i64>().ok());
                match (&mut *whole, integer) {
                    (Some(_), Some(None)) => *whole = None,
                    (Some(whole), integer) => whole.push(integer.flatten()),
                    (None, _) => {}
                }
            }
        }
        Ok(())
    }

    /// What a sparse row leaves out.
    fn push_default(&mut self) -> std::result::Result<(), String> {
        let first = match &self.cells {
            Cells::Nominal { levels, .. } => levels.first().cloned(),
            Cells::Number { .. } => Some("0".to_owned()),
            Cells::Text(_) => Some(String::new()),
        };
        self.push(first.as_deref())
    }
}

impl Cells {
    fn finish(self) -> ArrayRef {
        match self {
            Cells::Text(mut texts) => Arc::new(texts.finish()),
            Cells::Number { whole: Some(whole), .. } => Arc::new(Int64Array::from(whole)),
            Cells::Number { values, .. } => Arc::new(Float64Array::from(values)),
            Cells::Nominal { levels, codes, .. } => {
                // Codes are places in the list of levels.
                Arc::new(DictionaryArray::new(Int32Array::from(codes), Arc::new(StringArray::from(levels))))
            }
        }
    }
}

/// The cells between commas; `None` for `?` and KEEL's `<null>`.
fn tokens(row: &str) -> std::result::Result<Vec<Option<String>>, String> {
    split(row)?.into_iter().map(cell_of).collect()
}

/// The pieces between commas outside quotation marks. Without a comma, tabs do, as in Weka.
fn split(row: &str) -> std::result::Result<Vec<&str>, String> {
    let separator = if row.contains(',') { ',' } else { '\t' };
    let mut pieces = Vec::new();
    let (mut from, mut at) = (0, 0);
    let mut fresh = true;
    while let Some(c) = row[at..].chars().next() {
        if fresh && matches!(c, '\'' | '"') {
            let (_, rest) = quoted(&row[at + 1..], c)?;
            at = row.len() - rest.len();
            fresh = false;
            continue;
        }
        if c == separator {
            pieces.push(&row[from..at]);
            from = at + 1;
        }
        // A quotation mark opens where a value starts: after a separator, or after the place in a sparse row.
        fresh = c == separator || c.is_whitespace();
        at += c.len_utf8();
    }
    pieces.push(&row[from..]);
    Ok(pieces)
}

/// A cell's value.
fn cell_of(piece: &str) -> std::result::Result<Option<String>, String> {
    let piece = piece.trim();
    match piece.chars().next() {
        Some(quote @ ('\'' | '"')) => {
            let (value, rest) = quoted(&piece[1..], quote)?;
            if rest.is_empty() {
                Ok(Some(value))
            } else {
                Err(format!("text after a closing quotation mark: `{rest}`"))
            }
        }
        _ if matches!(piece, "?" | "<null>" | "") => Ok(None),
        _ => Ok(Some(piece.to_owned())),
    }
}

/// The text up to a closing quotation mark, and what follows. A backslash keeps the next character.
fn quoted(text: &str, quote: char) -> std::result::Result<(String, &str), String> {
    let mut value = String::new();
    let mut rest = text.char_indices();
    while let Some((at, c)) = rest.next() {
        match c {
            '\\' => match rest.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, 't')) => value.push('\t'),
                Some((_, 'r')) => value.push('\r'),
                Some((_, c)) => value.push(c),
                None => break,
            },
            c if c == quote => return Ok((value, &text[at + 1..])),
            c => value.push(c),
        }
    }
    Err("a quotation mark is never closed".to_owned())
}

/// A file of these columns. A column of categories keeps its levels; so does one of texts or booleans that has few, since
/// the programs that read ARFF predict levels, not texts.
pub(crate) fn bytes(columns: &[(&str, ArrayRef)]) -> std::result::Result<Vec<u8>, String> {
    let mut out = b"@relation rows\n\n".to_vec();
    let mut texts: Vec<Option<Vec<Option<String>>>> = Vec::new();
    for (name, array) in columns {
        out.extend_from_slice(b"@attribute ");
        push_word(&mut out, name);
        let kind = arrays::column_type(&Field::new(*name, array.data_type().clone(), true));
        if matches!(kind, ColumnType::Integer | ColumnType::Float) {
            out.extend_from_slice(if kind == ColumnType::Integer { b" integer\n" } else { b" real\n" });
            texts.push(None);
            continue;
        }
        if matches!(kind, ColumnType::Tags | ColumnType::Embedding(_) | ColumnType::Other) {
            return Err(format!(
                "column `{name}` does not fit into ARFF (numbers, texts and categories); write .jsonl or .parquet"
            ));
        }
        let mut cells: Vec<Option<String>> = Vec::with_capacity(array.len());
        spell::texts(array, &mut |text| cells.push(text.map(str::to_owned)))?;
        let levels: Option<Vec<String>> = match array.as_any_dictionary_opt() {
            Some(dictionary) => {
                let mut levels = Vec::new();
                spell::texts(dictionary.values(), &mut |level| levels.extend(level.map(str::to_owned)))?;
                Some(levels)
            }
            None => {
                let levels: BTreeSet<&String> = cells.iter().flatten().collect();
                let few = levels.len() <= MOST_LEVELS && 2 * levels.len() <= cells.len();
                few.then(|| levels.into_iter().cloned().collect())
            }
        };
        match levels {
            Some(levels) => {
                out.extend_from_slice(b" {");
                for (i, level) in levels.iter().enumerate() {
                    out.extend_from_slice(if i > 0 { b"," } else { b"" });
                    push_word(&mut out, level);
                }
                out.extend_from_slice(b"}\n");
            }
            None => out.extend_from_slice(b" string\n"),
        }
        texts.push(Some(cells));
    }
    out.extend_from_slice(b"\n@data\n");
    for row in 0..columns.first().map_or(0, |(_, array)| array.len()) {
        for (column, ((_, array), texts)) in columns.iter().zip(&texts).enumerate() {
            out.extend_from_slice(if column > 0 { b"," } else { b"" });
            match texts {
                None if !push_number(&mut out, array, row)? => out.push(b'?'),
                None => {}
                Some(cells) => match &cells[row] {
                    Some(text) => push_word(&mut out, text),
                    None => out.push(b'?'),
                },
            }
        }
        out.push(b'\n');
    }
    Ok(out)
}

/// A number as Java reads it, which has its own word for infinity; `false` where there is none.
pub(crate) fn push_number(out: &mut Vec<u8>, array: &ArrayRef, row: usize) -> spell::Spelt<bool> {
    if spell::is_missing(array, row) {
        return Ok(false);
    }
    let start = out.len();
    spell::push_plain(out, array, row)?;
    if out.ends_with(b"inf") {
        out.extend_from_slice(b"inity");
        out[start..].iter_mut().filter(|b| **b == b'i').take(1).for_each(|b| *b = b'I');
    }
    let nan = out[start..] == *b"NaN";
    if nan {
        out.truncate(start);
    }
    Ok(!nan)
}

/// Texts with more values than this stay texts.
const MOST_LEVELS: usize = 256;

/// `text` as a value or name: in quotation marks unless it is a plain word.
pub(crate) fn push_word(out: &mut Vec<u8>, text: &str) {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '+' | ':' | '/');
    if !text.is_empty() && text.chars().all(plain) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'\'');
    for c in text.chars() {
        match c {
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\'' | '\\' => out.extend_from_slice(&[b'\\', c as u8]),
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'\'');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_split_and_unquoted() {
        let some =
            |cells: &[&str]| cells.iter().map(|cell| (*cell != "-").then(|| (*cell).to_owned())).collect::<Vec<_>>();
        for (row, expected) in [
            ("1, 2 ,x", some(&["1", "2", "x"])),
            ("'a, b',\"c'd\",?", some(&["a, b", "c'd", "-"])),
            ("'it\\'s', <null>,don't", some(&["it's", "-", "don't"])),
            ("1\t2", some(&["1", "2"])),
            ("1,,2", some(&["1", "-", "2"])),
        ] {
            assert_eq!(tokens(row), Ok(expected), "{row}");
        }
        assert!(tokens("'a").is_err() && tokens("'a'b,1").is_err());
        for text in ["plain", "a b", "it's", "a\\b\n", "", "é,?", "{x}"] {
            let mut out = Vec::new();
            push_word(&mut out, text);
            assert_eq!(tokens(std::str::from_utf8(&out).unwrap()), Ok(vec![Some(text.to_owned())]));
        }
    }
}
