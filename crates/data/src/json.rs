//! A small JSON scanner that hands out spans.
//!
//! A tree of values would cost an allocation for each of them; we need the places of a few keys, numbers parsed to the
//! last bit, and long texts skipped at the speed of `memchr`. As Python's `json` does, `NaN` and the infinities are
//! taken for numbers.

use memchr::{memchr, memchr2};
use std::borrow::Cow;

/// A value, still as it is spelt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    Boolean(bool),
    Number(&'a str),
    /// What stands between the quotation marks.
    Text(&'a str),
    /// Brackets included.
    Array(&'a str),
    /// Braces included.
    Object(&'a str),
}

/// Why a text is no JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed {
    /// Place in the text, in bytes.
    pub(crate) at: usize,
    pub(crate) why: &'static str,
}

impl Malformed {
    /// What is said of a row that is no object.
    pub(crate) fn no_object(self) -> String {
        format!("not a JSON object: {} (at character {})", self.why, self.at + 1)
    }
}

type Scan<T> = std::result::Result<T, Malformed>;

/// Takes the members of an object.
type Visit<'v, 'a> = &'v mut dyn FnMut(&'a str, usize, Value<'a>) -> Scan<()>;

/// Nesting deeper than this is refused rather than let it exhaust the stack.
const DEEPEST: usize = 128;

/// Visits the members of the one object that `text` is: raw key (see [`unescape`]), where the value starts, and value.
pub(crate) fn members<'a>(text: &'a str, visit: Visit<'_, 'a>) -> Scan<()> {
    let mut scanner = Scanner { text, at: 0, depth: 0 };
    scanner.space();
    scanner.expect(b'{', "expected an object: { ... }")?;
    scanner.object(visit)?;
    scanner.end()
}

/// The value that a text starts with.
pub(crate) fn value_at(text: &str) -> Option<Value<'_>> {
    Scanner { text, at: 0, depth: 1 }.value().ok()
}

/// Visits the elements of the one array that `text` is.
pub(crate) fn elements<'a>(text: &'a str, visit: &mut dyn FnMut(Value<'a>) -> Scan<()>) -> Scan<()> {
    let mut scanner = Scanner { text, at: 0, depth: 0 };
    scanner.space();
    scanner.expect(b'[', "expected an array: [ ... ]")?;
    scanner.array(visit)?;
    scanner.end()
}

/// Where the objects of the array that starts at `at` start, then where the array ends.
pub(crate) fn objects(text: &str, at: usize) -> Scan<Vec<usize>> {
    let mut scanner = Scanner { text, at, depth: 0 };
    scanner.expect(b'[', "expected an array: [ ... ]")?;
    let mut starts = Vec::new();
    scanner.space();
    while scanner.peek() != Some(b']') {
        if !starts.is_empty() {
            scanner.expect(b',', "expected a comma or a closing bracket")?;
            scanner.space();
        }
        starts.push(scanner.at);
        scanner.whole_object()?;
    }
    starts.push(scanner.at);
    scanner.at += 1;
    // An object around the array has been scanned to its end.
    if text[..at].trim_start_matches('\u{feff}').trim_start().is_empty() {
        scanner.end()?;
    }
    Ok(starts)
}

/// Where each of the objects that follow one another from `at` on starts, then where the last one ends.
pub(crate) fn sequence(text: &str, at: usize) -> Scan<Vec<usize>> {
    let mut scanner = Scanner { text, at, depth: 0 };
    let mut starts = Vec::new();
    let mut end = at;
    while scanner.at < text.len() {
        starts.push(scanner.at);
        scanner.whole_object()?;
        end = scanner.at;
        scanner.space();
    }
    starts.push(end);
    Ok(starts)
}

/// `object` without the white space between its values, so that it fits a line.
pub(crate) fn push_compact(out: &mut Vec<u8>, object: &str) {
    let mut rest = object.as_bytes();
    while let Some(n) = memchr(b'"', rest) {
        out.extend(rest[..n].iter().filter(|b| !b.is_ascii_whitespace()));
        let text = &rest[n..];
        let mut end = 1;
        while let Some(m) = memchr2(b'"', b'\\', &text[end.min(text.len())..]) {
            end += m + 1;
            if text[end - 1] == b'"' {
                break;
            }
            end += 1;
        }
        let end = end.min(text.len());
        out.extend_from_slice(&text[..end]);
        rest = &text[end..];
    }
    out.extend(rest.iter().filter(|b| !b.is_ascii_whitespace()));
}

/// The numbers of an array of numbers.
pub(crate) fn numbers(text: &str) -> Option<Vec<f64>> {
    let mut values = Vec::new();
    let mut others = false;
    let scanned = elements(text, &mut |value| {
        match value {
            Value::Number(n) => values.extend(n.parse::<f64>().ok()),
            _ => others = true,
        }
        Ok(())
    });
    (scanned.is_ok() && !others).then_some(values)
}

/// The labels of an array of texts and numbers.
pub(crate) fn labels(text: &str) -> Option<Vec<String>> {
    let mut labels = Vec::new();
    let mut others = false;
    let scanned = elements(text, &mut |value| {
        match value {
            Value::Number(n) => labels.push(n.to_owned()),
            Value::Text(raw) => match unescape(raw) {
                Some(label) => labels.push(label.trim().to_owned()),
                None => others = true,
            },
            _ => others = true,
        }
        Ok(())
    });
    (scanned.is_ok() && !others).then_some(labels)
}

/// A string without its escapes; `None` when an escape stands for no character, or when there are control characters
/// among escapes.
pub(crate) fn unescape(raw: &str) -> Option<Cow<'_, str>> {
    let Some(first) = memchr(b'\\', raw.as_bytes()) else { return Some(Cow::Borrowed(raw)) };
    if raw.bytes().fold(false, |control, b| control | (b < b' ')) {
        return None;
    }
    let mut text = String::with_capacity(raw.len());
    text.push_str(&raw[..first]);
    let mut rest = &raw[first..];
    while let Some(escaped) = rest.strip_prefix('\\') {
        let (c, after) = escape(escaped)?;
        text.push(c);
        let plain = memchr(b'\\', after.as_bytes()).unwrap_or(after.len());
        text.push_str(&after[..plain]);
        rest = &after[plain..];
    }
    Some(Cow::Owned(text))
}

/// The character that an escape stands for, and what follows it; `escaped` starts after the backslash.
fn escape(escaped: &str) -> Option<(char, &str)> {
    let unit = |s: &str| u16::from_str_radix(s.get(..4)?, 16).ok();
    let c = match escaped.as_bytes().first()? {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let first = unit(&escaped[1..])?;
            if !(0xd800..0xdc00).contains(&first) {
                return Some((char::from_u32(u32::from(first))?, &escaped[5..]));
            }
            let second = escaped[5..].strip_prefix("\\u")?;
            let c = char::decode_utf16([first, unit(second)?]).next()?.ok()?;
            return Some((c, &second[4..]));
        }
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        _ => return None,
    };
    Some((c, &escaped[1..]))
}

/// `text` as a JSON string.
pub(crate) fn push_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            c if c < ' ' => out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes()),
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Scanner<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn fail<T>(&self, why: &'static str) -> Scan<T> {
        Err(Malformed { at: self.at, why })
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8, why: &'static str) -> Scan<()> {
        if self.peek() != Some(byte) {
            return self.fail(why);
        }
        self.at += 1;
        Ok(())
    }

    fn end(&mut self) -> Scan<()> {
        self.space();
        if self.at < self.text.len() { self.fail("something follows the value") } else { Ok(()) }
    }

    /// Passes over an object.
    fn whole_object(&mut self) -> Scan<()> {
        if self.peek() != Some(b'{') {
            return self.fail("expected an object: a table is an array of objects, [{\"a\": 1}, {\"a\": 2}]");
        }
        self.value()?;
        self.space();
        Ok(())
    }

    /// After the opening brace.
    fn object(&mut self, visit: Visit<'_, 'a>) -> Scan<()> {
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.space();
            self.expect(b'"', "expected a key in quotation marks")?;
            let key = self.string()?;
            self.space();
            self.expect(b':', "expected a colon after the key")?;
            self.space();
            let at = self.at;
            let value = self.value()?;
            visit(key, at, value)?;
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return self.fail("expected a comma or a closing brace"),
            }
        }
        self.at += 1;
        Ok(())
    }

    /// After the opening bracket.
    fn array(&mut self, visit: &mut dyn FnMut(Value<'a>) -> Scan<()>) -> Scan<()> {
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            let value = self.value()?;
            visit(value)?;
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return self.fail("expected a comma or a closing bracket"),
            }
        }
        self.at += 1;
        Ok(())
    }

    fn value(&mut self) -> Scan<Value<'a>> {
        self.space();
        let start = self.at;
        match self.peek() {
            Some(b'"') => {
                self.at += 1;
                self.string().map(Value::Text)
            }
            Some(b'{') => {
                self.nested(|s| s.object(&mut |_, _, _| Ok(())))?;
                Ok(Value::Object(&self.text[start..self.at]))
            }
            Some(b'[') => {
                self.nested(|s| s.array(&mut |_| Ok(())))?;
                Ok(Value::Array(&self.text[start..self.at]))
            }
            Some(b't') => self.word("true").map(|_| Value::Boolean(true)),
            Some(b'f') => self.word("false").map(|_| Value::Boolean(false)),
            Some(b'n') => self.word("null").map(|_| Value::Null),
            Some(b'N') => self.word("NaN").map(Value::Number),
            Some(b'I') => self.word("Infinity").map(Value::Number),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.fail("expected a value"),
        }
    }

    fn nested(&mut self, inside: impl FnOnce(&mut Self) -> Scan<()>) -> Scan<()> {
        if self.depth == DEEPEST {
            return self.fail("nested more than 128 deep");
        }
        self.at += 1;
        self.depth += 1;
        inside(self)?;
        self.depth -= 1;
        Ok(())
    }

    fn word(&mut self, word: &'static str) -> Scan<&'a str> {
        let start = self.at;
        if !self.text[start..].starts_with(word) {
            return self.fail("expected a value");
        }
        self.at += word.len();
        Ok(&self.text[start..self.at])
    }

    fn number(&mut self) -> Scan<Value<'a>> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'I') {
            self.word("Infinity")?;
            return Ok(Value::Number(&self.text[start..self.at]));
        }
        let zero = self.peek() == Some(b'0');
        if self.digits() > 1 && zero {
            return self.fail("a number with a leading zero");
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits();
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'-' | b'+')) {
                self.at += 1;
            }
            self.digits();
        }
        // Each of the three parts must end in a digit.
        let bytes = &self.text.as_bytes()[start..self.at];
        let whole = bytes.iter().enumerate().all(|(i, b)| match b {
            b'.' | b'e' | b'E' => {
                i > 0 && bytes[i - 1].is_ascii_digit() && i + 1 < bytes.len() && !matches!(bytes[i + 1], b'e' | b'E')
            }
            b'-' | b'+' => bytes.get(i + 1).is_some_and(u8::is_ascii_digit),
            _ => true,
        });
        if whole { Ok(Value::Number(&self.text[start..self.at])) } else { self.fail("a number that breaks off") }
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }

    /// After the opening quotation mark.
    fn string(&mut self) -> Scan<&'a str> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        loop {
            let Some(n) = memchr2(b'"', b'\\', &bytes[self.at..]) else {
                return self.fail("a quotation mark opens a text and is never closed");
            };
            self.at += n + 1;
            if bytes[self.at - 1] == b'"' {
                return Ok(&self.text[start..self.at - 1]);
            }
            match bytes.get(self.at) {
                Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
                Some(b'u')
                    if bytes.get(self.at + 1..self.at + 5).is_some_and(|h| h.iter().all(u8::is_ascii_hexdigit)) =>
                {
                    self.at += 5;
                }
                _ => return self.fail("an escape that JSON does not know"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scan(text: &str) -> Scan<Value<'_>> {
        let mut scanner = Scanner { text, at: 0, depth: 0 };
        let value = scanner.value()?;
        scanner.end().map(|()| value)
    }

    #[test]
    fn members_come_as_they_are_spelt() {
        let mut seen = Vec::new();
        let text = r#" {"a" : 1.50, "b\n":"x\"y","c":[1, 2],"d":{"e":null},"f":true,"g":NaN} "#;
        members(text, &mut |key, at, value| {
            assert_eq!(value_at(&text[at..]), Some(value));
            seen.push((key, value));
            Ok(())
        })
        .unwrap();
        let expected = [
            ("a", Value::Number("1.50")),
            (r"b\n", Value::Text(r#"x\"y"#)),
            ("c", Value::Array("[1, 2]")),
            ("d", Value::Object(r#"{"e":null}"#)),
            ("f", Value::Boolean(true)),
            ("g", Value::Number("NaN")),
        ];
        assert_eq!(seen, expected);
        assert_eq!(unescape(r#"x\"yA"#).unwrap(), "x\"yA");
        assert_eq!(unescape(r"\ud800"), None);
        assert_eq!(numbers("[1, -2.5e1]"), Some(vec![1.0, -25.0]));
        assert_eq!(numbers("[1, \"a\"]"), None);
    }

    #[test]
    fn deep_nesting_is_an_error_and_no_stack_overflow() {
        assert!(scan(&"[".repeat(1_000_000)).is_err());
        assert!(scan(&format!("{}{}", "[".repeat(100), "]".repeat(100))).is_ok());
    }

    #[test]
    fn texts_survive_writing_and_reading() {
        let text = "a\"b\\c\n\r\t\u{1}é☃";
        let mut out = Vec::new();
        push_text(&mut out, text);
        assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
    }

    #[test]
    fn white_space_between_values_goes() {
        let compact = |text: &str| {
            let mut out = Vec::new();
            push_compact(&mut out, text);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(compact("{\n  \"a b\" : [1, 2],\n\t\"c\\\" \": \"x  y\" }"), "{\"a b\":[1,2],\"c\\\" \":\"x  y\"}");
        assert_eq!((compact("{}"), compact("\"a\\")), ("{}".to_owned(), "\"a\\".to_owned()));
    }

    proptest! {
        // serde_json is the referee, except where we follow Python (NaN) or let control characters and single
        // surrogates pass until they are decoded.
        #[test]
        fn accepts_what_json_is(text in r#"([\[\]{}:,"0-9eE.+ -]|null|true|"a":|\\n|\\x){0,12}"#) {
            prop_assert_eq!(scan(&text).is_ok(), serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{}", text);
        }

        // Quotation marks without a backslash end a string and cannot be inside.
        #[test]
        fn escapes_stand_for_what_json_says(
            raw in r#"([a-zé/☃\t]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4}|\\ud[89a-f][0-9a-f]{2}){0,8}\\?"#
        ) {
            let json = serde_json::from_str::<String>(&format!("\"{raw}\"")).ok();
            if raw.contains('\\') {
                prop_assert_eq!(unescape(&raw).map(Cow::into_owned), json, "{}", raw);
            } else {
                prop_assert_eq!(unescape(&raw), Some(Cow::Borrowed(raw.as_str())));
            }
        }
    }
}
