//! How the rows of a JSON file follow each other: an object a line, an array of objects, an object around such an array,
//! or objects one after the other over several lines each.

use crate::dialect::content;
use crate::json::{self, Malformed, Value};
use memchr::memchr;
use std::ops::Range;

/// The rows of a file.
#[derive(Debug, PartialEq)]
pub(crate) enum Shape {
    /// An object a line; blank lines are no rows.
    Lines,
    /// Where each object starts, then where the last one ends at the latest.
    Array {
        starts: Vec<usize>,
        /// The member of an object around the array.
        member: Option<String>,
    },
    /// Objects that take several lines, as in an array.
    Objects { starts: Vec<usize> },
}

impl Shape {
    /// The shape of a text from `at` on; with `promised_lines` a single line is a row, whatever it holds. Nothing where
    /// the text is not `whole` and what is missing decides. A text whose first line is no object and that starts none
    /// either is left to be refused line by line.
    pub(crate) fn of(text: &str, at: usize, promised_lines: bool, whole: bool) -> Result<Option<Shape>, Malformed> {
        let first = at + text[at..].len() - text[at..].trim_start().len();
        match text.as_bytes().get(first) {
            Some(b'[') if whole => Ok(Some(Shape::Array { starts: json::objects(text, first)?, member: None })),
            Some(b'[') => Ok(None),
            Some(b'{') => {
                let end = memchr(b'\n', &text.as_bytes()[first..]).map_or(text.len(), |n| first + n);
                let line = text[first..end].trim_end();
                match json::members(line, &mut |_, _, _| Ok(())) {
                    Ok(()) if !promised_lines && text[end..].trim().is_empty() => {
                        if whole {
                            Ok(around(text, first..end)?.or(Some(Shape::Lines)))
                        } else {
                            Ok(None)
                        }
                    }
                    // The line breaks off, so that the object goes on below.
                    Err(Malformed { at: broken, .. }) if broken >= line.len() && (end < text.len() || !whole) => {
                        if !whole {
                            return Ok(None);
                        }
                        let starts = json::sequence(text, first)?;
                        if let [one, end] = starts[..]
                            && let Some(array) = around(text, one..end)?
                        {
                            return Ok(Some(array));
                        }
                        Ok(Some(Shape::Objects { starts }))
                    }
                    _ => Ok(Some(Shape::Lines)),
                }
            }
            _ => Ok(Some(Shape::Lines)),
        }
    }

    /// The object's own bytes, in those from its start to the next one's.
    pub(crate) fn object<'a>(&self, row: &'a str) -> &'a str {
        match self {
            Shape::Lines => {
                // Blank lines may follow.
                let object = row.trim_end_matches([' ', '\t', '\n', '\r']).len();
                content(row[object..].find('\n').map_or(row, |end| &row[..object + end]))
            }
            Shape::Array { .. } | Shape::Objects { .. } => &row[..row.rfind('}').map_or(0, |last| last + 1)],
        }
    }
}

/// The rows in the first member of an object that is an array of objects.
fn around(text: &str, object: Range<usize>) -> Result<Option<Shape>, Malformed> {
    let mut found = None;
    json::members(&text[object.clone()], &mut |key, at, value| {
        if let Value::Array(array) = value
            && found.is_none()
            && array[1..].trim_start().starts_with('{')
        {
            found = Some((key.to_owned(), object.start + at));
        }
        Ok(())
    })
    .map_err(|e| Malformed { at: object.start + e.at, ..e })?;
    let Some((key, at)) = found else { return Ok(None) };
    Ok(Some(Shape::Array { starts: json::objects(text, at)?, member: Some(key) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of a text in one piece, and whether they are lines, of an array, or objects over several lines.
    fn rows(text: &str) -> Result<(Vec<&str>, char), Malformed> {
        let shape = Shape::of(text, 0, false, true)?.unwrap();
        let (starts, form) = match &shape {
            Shape::Lines => return Ok((text.lines().filter(|line| !line.is_empty()).collect(), 'l')),
            Shape::Array { starts, .. } => (starts, 'a'),
            Shape::Objects { starts } => (starts, 'o'),
        };
        Ok((starts.windows(2).map(|pair| shape.object(&text[pair[0]..pair[1]])).collect(), form))
    }

    #[test]
    fn rows_are_found_in_every_shape() {
        for (text, expected, form) in [
            ("{\"a\":1}\n\n{\"a\":2}\n", vec!["{\"a\":1}", "{\"a\":2}"], 'l'),
            ("{\"a\":1}", vec!["{\"a\":1}"], 'l'),
            ("{\"a\":}\n{\"a\":1}\n", vec!["{\"a\":}", "{\"a\":1}"], 'l'),
            (" [ {\"a\":1} ,\n {\"a\":{\"b\":2}}\n] \n", vec!["{\"a\":1}", "{\"a\":{\"b\":2}}"], 'a'),
            ("[{\"a\":\"}]\"}]", vec!["{\"a\":\"}]\"}"], 'a'),
            ("[]", vec![], 'a'),
            ("{\"n\":2,\"data\":[{\"a\":1},{\"a\":2}],\"m\":{}}\n", vec!["{\"a\":1}", "{\"a\":2}"], 'a'),
            ("{\n \"e\": [], \"data\": [\n  {\"a\": 1}\n ]\n}\n", vec!["{\"a\": 1}"], 'a'),
            ("{\n\"a\":1\n}\n{\n\"a\":2}", vec!["{\n\"a\":1\n}", "{\n\"a\":2}"], 'o'),
            ("{\n\"a\":1\n}\n", vec!["{\n\"a\":1\n}"], 'o'),
            ("", vec![], 'l'),
            ("x\n", vec!["x"], 'l'),
        ] {
            assert_eq!(rows(text), Ok((expected, form)), "{text}");
        }
        // The beginning of a longer text tells no more than that it is lines.
        for (text, lines) in [
            ("{\"a\":1}\n{\"a\"", true),
            ("{\"a\":1}\n", false),
            ("{\"a\":1", false),
            ("{\n\"a\"", false),
            ("[{\"a\":1}]", false),
            ("x\n", true),
        ] {
            assert_eq!(Shape::of(text, 0, false, false), Ok(lines.then_some(Shape::Lines)), "{text}");
        }
        for text in [
            "[1]",
            "[{\"a\":1}",
            "[{\"a\":1} {\"a\":2}]",
            "[{}] x",
            "{\n\"a\":1\n",
            "{\n\"a\":1,}\n",
            "{\n}\n[1]",
            "[[1]]",
        ] {
            assert!(rows(text).is_err(), "{text}");
        }
    }
}
