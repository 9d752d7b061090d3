//! Where the rows of a JSON file are: an object a line, an array of objects, an object around such an array, or objects
//! one after the other over several lines each.

use crate::bytes::lines_of;
use crate::dialect::content;
use crate::json::{self, Malformed, Value};
use memchr::memchr;
use quadrat_core::Silent;
use std::ops::Range;

/// The rows of a file.
pub(crate) struct Shape {
    /// Where each row starts, then where the last one ends at the latest.
    pub(crate) starts: Vec<usize>,
    pub(crate) form: Form,
    /// The member of an object around the array whose elements the rows are.
    pub(crate) member: Option<String>,
}

/// How rows follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Lines,
    Array,
    /// Objects that take several lines.
    Objects,
}

impl Shape {
    /// Finds the rows of a text from `at` on; with `promised_lines` a single line is a row, whatever it holds. A text whose first
    /// line is no object and that starts none either is left to be refused line by line.
    pub(crate) fn of(text: &str, at: usize, promised_lines: bool) -> Result<Shape, Malformed> {
        let first = at + text[at..].len() - text[at..].trim_start().len();
        let shape = |starts, form| Shape { starts, form, member: None };
        match text.as_bytes().get(first) {
            Some(b'[') => Ok(shape(json::objects(text, first)?, Form::Array)),
            Some(b'{') => {
                let end = memchr(b'\n', &text.as_bytes()[first..]).map_or(text.len(), |n| first + n);
                let line = text[first..end].trim_end();
                match json::members(line, &mut |_, _, _| Ok(())) {
                    Ok(()) if !promised_lines && text[end..].trim().is_empty() => {
                        Ok(around(text, first..end)?.unwrap_or_else(|| shape(lines(text, at), Form::Lines)))
                    }
                    // The line breaks off, so that the object goes on below.
                    Err(Malformed { at: broken, .. }) if broken >= line.len() && end < text.len() => {
                        let starts = json::sequence(text, first)?;
                        if let [one, end] = starts[..]
                            && let Some(array) = around(text, one..end)?
                        {
                            return Ok(array);
                        }
                        Ok(shape(starts, Form::Objects))
                    }
                    _ => Ok(shape(lines(text, at), Form::Lines)),
                }
            }
            _ => Ok(shape(lines(text, at), Form::Lines)),
        }
    }

    /// The row's own bytes.
    pub(crate) fn row<'a>(&self, text: &'a str, row: usize) -> &'a str {
        let bytes = &text[self.starts[row]..self.starts[row + 1]];
        match self.form {
            Form::Lines => content(bytes),
            Form::Array | Form::Objects => &bytes[..bytes.rfind('}').map_or(0, |last| last + 1)],
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
    Ok(Some(Shape { starts: json::objects(text, at)?, form: Form::Array, member: Some(key) }))
}

/// Where each line starts, then the end. Blank lines are no rows.
fn lines(text: &str, mut at: usize) -> Vec<usize> {
    if let Ok(Some(starts)) = lines_of(text.as_bytes(), at, &Silent) {
        return starts;
    }
    let bytes = text.as_bytes();
    let mut starts = Vec::new();
    while at < bytes.len() {
        let end = memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |n| at + n + 1);
        if !content(&text[at..end]).trim_start_matches([' ', '\t']).is_empty() {
            starts.push(at);
        }
        at = end;
    }
    starts.push(bytes.len());
    starts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Result<(Vec<&str>, Form), Malformed> {
        let shape = Shape::of(text, 0, false)?;
        Ok(((0..shape.starts.len() - 1).map(|row| shape.row(text, row)).collect(), shape.form))
    }

    #[test]
    fn rows_are_found_in_every_shape() {
        for (text, expected, form) in [
            ("{\"a\":1}\n\n{\"a\":2}\n", vec!["{\"a\":1}", "{\"a\":2}"], Form::Lines),
            ("{\"a\":1}", vec!["{\"a\":1}"], Form::Lines),
            ("{\"a\":}\n{\"a\":1}\n", vec!["{\"a\":}", "{\"a\":1}"], Form::Lines),
            (" [ {\"a\":1} ,\n {\"a\":{\"b\":2}}\n] \n", vec!["{\"a\":1}", "{\"a\":{\"b\":2}}"], Form::Array),
            ("[{\"a\":\"}]\"}]", vec!["{\"a\":\"}]\"}"], Form::Array),
            ("[]", vec![], Form::Array),
            ("{\"n\":2,\"data\":[{\"a\":1},{\"a\":2}],\"m\":{}}\n", vec!["{\"a\":1}", "{\"a\":2}"], Form::Array),
            ("{\n \"e\": [], \"data\": [\n  {\"a\": 1}\n ]\n}\n", vec!["{\"a\": 1}"], Form::Array),
            ("{\n\"a\":1\n}\n{\n\"a\":2}", vec!["{\n\"a\":1\n}", "{\n\"a\":2}"], Form::Objects),
            ("{\n\"a\":1\n}\n", vec!["{\n\"a\":1\n}"], Form::Objects),
            ("", vec![], Form::Lines),
            ("x\n", vec!["x"], Form::Lines),
        ] {
            assert_eq!(rows(text), Ok((expected, form)), "{text}");
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
