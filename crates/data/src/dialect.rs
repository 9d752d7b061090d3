//! How a delimited file is spelt: its separator and quotation mark, its comments, whether it names its columns.
//!
//! What the user does not say is proposed from the first rows. A proposal that is not what the file's ending promises
//! is said in a note with the option that overrules it.

use crate::cell::{self, Look};
use crate::plain::Plain;
use crate::rows::Wrong;
use crate::{Format, Reading};
use memchr::{memchr, memchr_iter, memchr2, memrchr_iter};
use quadrat_core::{Error, Result};
use std::borrow::Cow;

/// How the rows of a file are spelt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dialect {
    pub(crate) separator: u8,
    pub(crate) quote: u8,
    /// What a line starts with that is no row.
    pub(crate) comment: Option<String>,
    /// Whether the first row holds the columns' names.
    pub(crate) header: bool,
}

/// Proposals look at so many rows at most, within so many bytes.
const SAMPLE_ROWS: usize = 100;
const SAMPLE_BYTES: usize = 1 << 20;

impl Dialect {
    /// As we write a file from the beginning: RFC 4180, but for the separator.
    pub(crate) fn plain(separator: u8) -> Self {
        Dialect { separator, quote: b'"', comment: None, header: true }
    }

    /// What the user said, and what the first rows from `at` on say of the rest.
    pub(crate) fn of(
        file: &str,
        text: &str,
        at: usize,
        format: Format,
        reading: &Reading,
        notes: &mut Vec<String>,
    ) -> Result<Dialect> {
        let separator = one_byte("separator", reading.separator)?;
        let quote = one_byte("quote", reading.quote)?;
        if separator.is_some() && separator == quote.or(Some(b'"')) {
            return Err(Error::input("separator", "the quotation mark", "the two must differ"));
        }
        if reading.comment.as_deref() == Some("") {
            return Err(Error::input("comment", "nothing", "give what comment lines start with, such as #"));
        }
        let sample = sample(&text[at..]);
        let usual = if format == Format::Tsv { b'\t' } else { b',' };
        let mut dialect = Dialect { quote: quote.unwrap_or(b'"'), ..Dialect::plain(separator.unwrap_or(usual)) };
        let comment = reading.comment.as_deref().unwrap_or("#");
        let lines: Vec<&str> = sample.lines().filter(|line| !line.trim().is_empty()).collect();
        let hashes = lines.iter().take_while(|line| line.starts_with('#')).count();
        // A comment line in the sample would only be in the way; where `#` starts the names, they are left out of it.
        let is_row = |line: &&str| hashes == 0 && reading.comment.is_none() || !line.starts_with(comment);
        let kept: String = sample.split_inclusive('\n').filter(is_row).collect();
        let rest = if kept.trim().is_empty() { sample } else { &kept };
        if separator.is_none() {
            dialect.guess_separator(file, rest, usual, quote.is_some(), notes);
        }
        dialect.comment = reading.comment.clone();
        let (mut rows, _) = dialect.rows(rest);
        if reading.comment.is_none() && hashes > 0 && hashes < lines.len() {
            let width = rows.first().map(Vec::len);
            let names: Vec<&str> = Fields::new(lines[0], &dialect).collect();
            if hashes > 1 || Some(names.len()) != width {
                notes.push(format!("{file}: lines that start with # are comments; say otherwise with --comment"));
                dialect.comment = Some("#".to_owned());
            } else {
                rows.insert(0, names);
            }
        }
        dialect.header = match reading.header {
            Some(header) => header,
            None => guess_header(file, &dialect, &rows, notes),
        };
        Ok(dialect)
    }

    /// The separator by which the first rows fall into as many fields as the first one.
    fn guess_separator(&mut self, file: &str, sample: &str, usual: u8, quoted: bool, notes: &mut Vec<String>) {
        let quotes: &[u8] = if quoted { &[self.quote] } else { b"\"'" };
        for &quote in quotes {
            if quote == b'\'' && !sample.contains('\'') {
                continue;
            }
            let fit: Vec<u8> = [usual, b',', b';', b'\t', b'|']
                .into_iter()
                .filter(|&separator| Dialect { quote, ..Dialect::plain(separator) }.fits(sample))
                .collect();
            let Some(&first) = fit.first() else { continue };
            (self.separator, self.quote) = (first, quote);
            let name = |byte: u8| if byte == b'\t' { "a tab".to_owned() } else { format!("`{}`", char::from(byte)) };
            if let Some(other) = fit.iter().find(|other| **other != first) {
                notes.push(format!(
                    "{file}: its rows fall into columns at {} and at {} alike; {} is taken, say otherwise with --separator",
                    name(first),
                    name(*other),
                    name(first)
                ));
            } else if first != usual {
                notes.push(format!("{file}: columns are separated by {}; say otherwise with --separator", name(first)));
            }
            if quote != b'"' {
                notes.push(format!("{file}: fields are quoted by `'`; say otherwise with --quote"));
            }
            return;
        }
        let first = sample.lines().next().unwrap_or_default();
        if let Some(other) = [b';', b'\t', b'|'].into_iter().find(|b| first.as_bytes().contains(b))
            && !first.as_bytes().contains(&usual)
        {
            let shown = char::from(other).escape_default();
            notes.push(format!(
                "{file}: read as one column, though its first line holds `{shown}`; name the separator with --separator"
            ));
        }
    }

    /// Whether the rows of a sample have as many fields as the first, two at least; one in ten may be a mistake.
    fn fits(&self, sample: &str) -> bool {
        let (rows, broken) = self.rows(sample);
        let Some(width) = rows.first().map(Vec::len) else { return false };
        let odd = rows.iter().filter(|row| row.len() != width).count();
        width > 1 && 10 * (odd + usize::from(broken)) <= rows.len()
    }

    /// The fields of a sample's rows, and whether a row broke off the sample's rules.
    fn rows<'a>(&self, sample: &'a str) -> (Vec<Vec<&'a str>>, bool) {
        let mut rows = Vec::new();
        let mut at = 0;
        while at < sample.len() {
            let Ok(Some(next)) = row_end(sample.as_bytes(), self, at, true) else { return (rows, true) };
            let row = content(&sample[at..next]);
            if !row.is_empty() {
                rows.push(Fields::new(row, self).collect());
            }
            at = next;
        }
        (rows, false)
    }
}

/// Excel's first line `sep=;`, which is no row: where the rows start, and the separator.
pub(crate) fn named_separator(text: &str, at: usize) -> (usize, Option<char>) {
    let line = text[at..].split_inclusive('\n').next().unwrap_or_default();
    let mut named = line.trim_end_matches(['\n', '\r']).strip_prefix("sep=").unwrap_or_default().chars();
    match (named.next(), named.next()) {
        (Some(separator), None) => (at + line.len(), Some(separator)),
        _ => (at, None),
    }
}

/// A told character, which must be one byte.
fn one_byte(what: &str, told: Option<char>) -> Result<Option<u8>> {
    match told {
        Some(c) if !c.is_ascii() || matches!(c, '\n' | '\r' | '\0') => {
            Err(Error::input(what, format!("`{}`", c.escape_default()), "use one ASCII character"))
        }
        told => Ok(told.map(|c| c as u8)),
    }
}

/// The first lines of a text.
fn sample(text: &str) -> &str {
    let mut end = SAMPLE_BYTES.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let whole = end == text.len();
    let head = &text[..end];
    match memchr_iter(b'\n', head.as_bytes()).nth(SAMPLE_ROWS) {
        Some(end) => &head[..=end],
        None if whole => head,
        None => &head[..head.rfind('\n').map_or(0, |end| end + 1)],
    }
}

/// Whether the first row names the columns. It does when a column has a text above its numbers. It does not when its
/// cells look as those below do: fractions above numbers, dates above dates, classes that come again.
fn guess_header(file: &str, dialect: &Dialect, rows: &[Vec<&str>], notes: &mut Vec<String>) -> bool {
    let Some((first, below)) = rows.split_first().filter(|(_, below)| !below.is_empty()) else { return true };
    let plain = |field: &str| unquoted(field, dialect.quote).trim().to_owned();
    let number = |look: Look| !matches!(look, Look::Missing | Look::Text | Look::Boolean);
    let mut whole: Vec<i64> = Vec::new();
    let (mut alike, mut repeated, mut texts) = (false, 0, 0);
    for (column, cell) in first.iter().enumerate() {
        let cell = plain(cell);
        let cells: Vec<String> = below.iter().filter_map(|row| row.get(column)).map(|field| plain(field)).collect();
        let looks: Vec<Look> = cells.iter().map(|cell| cell::look(cell)).filter(|l| *l != Look::Missing).collect();
        let numbers = !looks.is_empty() && looks.iter().all(|look| number(*look));
        let booleans = !looks.is_empty() && looks.iter().all(|look| *look == Look::Boolean);
        let look = cell::look(&cell);
        if look == Look::Missing {
            continue;
        }
        if numbers || booleans {
            // A text above numbers or booleans is a name.
            if !(numbers && number(look) || booleans && look == Look::Boolean) {
                return true;
            }
            match cell.parse::<i64>() {
                Ok(n) if look == Look::Integer => whole.push(n),
                _ => alike = true,
            }
        } else {
            texts += 1;
            repeated += usize::from(cells.contains(&cell));
            let same = cells.iter().filter(|other| shape(other) == shape(&cell)).count();
            alike |= cell.starts_with(|c: char| c.is_ascii_digit()) && 10 * same >= 9 * cells.len();
        }
    }
    let ascending = whole.windows(2).all(|pair| pair[0] < pair[1]);
    if alike || 2 * repeated > texts || !ascending {
        let shown: Vec<String> = first.iter().take(3).map(|cell| format!("`{}`", plain(cell))).collect();
        notes.push(format!(
            "{file}: the first row ({}{}) looks like data, so the columns are called `column 1`, `column 2`, ...; if it \
             holds their names, use --header",
            shown.join(", "),
            if first.len() > 3 { ", ..." } else { "" }
        ));
        return false;
    }
    if let Some(one) = whole.first() {
        notes.push(format!(
            "{file}: the first row is taken for the columns' names, though it holds numbers (`{one}`) as the rows below; if \
             it is data, use --no-header"
        ));
    }
    true
}

/// A text with its digits and letters made alike, to see that two are dates or times of one form.
fn shape(text: &str) -> String {
    let alike = |c: char| {
        if c.is_ascii_digit() {
            '0'
        } else if c.is_alphabetic() {
            'a'
        } else {
            c
        }
    };
    text.chars().map(alike).collect()
}

/// The row without its line end and the blank lines after it.
pub(crate) fn content(row: &str) -> &str {
    let ends = row.bytes().rev().take_while(|b| matches!(b, b'\n' | b'\r')).count();
    &row[..row.len() - ends]
}

/// Where the row that starts at `start` ends and the next one starts. Nothing if that is not in this text, which goes on
/// unless it is `whole`.
pub(crate) fn row_end(text: &[u8], dialect: &Dialect, start: usize, whole: bool) -> Result<Option<usize>, Wrong> {
    let Dialect { separator, quote, .. } = *dialect;
    let mut at = start;
    loop {
        if text.get(at) == Some(&quote) {
            let opened = at;
            at += 1;
            loop {
                let Some(closing) = memchr(quote, &text[at..]) else {
                    let why = "a quotation mark opens a field and is never closed";
                    return if whole { Err(Wrong::new(opened, why)) } else { Ok(None) };
                };
                at += closing + 1;
                if text.get(at) != Some(&quote) {
                    break;
                }
                at += 1;
            }
            let rest = &text[at..];
            let ends = rest.is_empty()
                || rest[0] == separator
                || rest[0] == b'\n'
                || rest.starts_with(b"\r\n")
                || rest == b"\r";
            if !ends {
                let why = "text after a closing quotation mark; write a quotation mark inside a quoted field twice";
                return Err(Wrong::new(at, why));
            }
        }
        match memchr2(separator, b'\n', &text[at..]) {
            None => return Ok(Some(text.len())),
            Some(n) if text[at + n] == b'\n' => return Ok(Some(at + n + 1)),
            Some(n) => at += n + 1,
        }
    }
}

/// The fields of a row as they stand, quotation marks included.
#[derive(Clone)]
pub(crate) struct Fields<'a> {
    rest: Option<&'a str>,
    separator: u8,
    quote: u8,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(row: &'a str, dialect: &Dialect) -> Self {
        Fields { rest: Some(row), separator: dialect.separator, quote: dialect.quote }
    }
}

impl Fields<'_> {
    /// The next field's number, if that is spelt plainly; [`Fields::pass`] goes on after it.
    #[inline(always)]
    pub(crate) fn plain(&self) -> Option<Plain> {
        Plain::at_start(self.rest?.as_bytes(), self.separator)
    }

    #[inline]
    pub(crate) fn pass(&mut self, number: &Plain) {
        self.rest = self.rest.and_then(|rest| rest.get(number.length + 1..));
    }

    /// Whether there is no next field.
    pub(crate) fn is_done(&self) -> bool {
        self.rest.is_none()
    }
}

impl<'a> Fields<'a> {
    /// The field after `skipped` others, in a row where `after` follow it: it is searched from the nearer end.
    pub(crate) fn skip_to(&mut self, skipped: usize, after: usize) -> Option<&'a str> {
        let rest = self.rest?;
        if skipped < 3 || memchr(self.quote, rest.as_bytes()).is_some() {
            return self.nth(skipped);
        }
        let separator = if after < skipped {
            memrchr_iter(self.separator, rest.as_bytes()).nth(after)
        } else {
            memchr_iter(self.separator, rest.as_bytes()).nth(skipped - 1)
        };
        self.rest = separator.map(|at| &rest[at + 1..]);
        self.next()
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest?;
        let bytes = rest.as_bytes();
        let mut from = 0;
        if bytes.first() == Some(&self.quote) {
            from = 1;
            while let Some(closing) = memchr(self.quote, &bytes[from..]) {
                from += closing + 1;
                if bytes.get(from) != Some(&self.quote) {
                    break;
                }
                from += 1;
            }
        }
        match near(self.separator, &bytes[from..]) {
            Some(n) => {
                let (field, others) = rest.split_at(from + n);
                self.rest = Some(&others[1..]);
                Some(field)
            }
            None => {
                self.rest = None;
                Some(rest)
            }
        }
    }
}

/// [`memchr`] for a byte that is mostly a few bytes away, where starting that takes longer than the search.
fn near(byte: u8, bytes: &[u8]) -> Option<usize> {
    const LOW: u64 = u64::from_le_bytes([1; 8]);
    let pattern = u64::from_le_bytes([byte; 8]);
    let mut at = 0;
    while at < 24
        && let Some(word) = bytes[at..].first_chunk()
    {
        let differs = u64::from_le_bytes(*word) ^ pattern;
        // The high bit of each byte that is zero (and of some above the first one).
        let same = differs.wrapping_sub(LOW) & !differs & (LOW << 7);
        if same != 0 {
            return Some(at + same.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    memchr(byte, &bytes[at..]).map(|n| at + n)
}

/// A field's value.
pub(crate) fn unquoted(field: &str, quote: u8) -> Cow<'_, str> {
    let mark = char::from(quote);
    match field.strip_prefix(mark).and_then(|f| f.strip_suffix(mark)) {
        Some(inner) if memchr(quote, inner.as_bytes()).is_some() => {
            Cow::Owned(inner.replace(&format!("{mark}{mark}"), &mark.to_string()))
        }
        Some(inner) => Cow::Borrowed(inner),
        None => Cow::Borrowed(field),
    }
}

/// `text` as a field, in quotation marks where it needs them.
pub(crate) fn push_field(out: &mut Vec<u8>, text: &str, dialect: &Dialect) {
    let Dialect { separator, quote, .. } = *dialect;
    let special = |b: u8| b == separator || b == quote || matches!(b, b'\n' | b'\r');
    let comment = dialect.comment.as_deref().is_some_and(|comment| text.starts_with(comment));
    if text.bytes().any(special) || text.is_empty() || comment {
        let mark = char::from(quote);
        out.push(quote);
        out.extend_from_slice(text.replace(mark, &format!("{mark}{mark}")).as_bytes());
        out.push(quote);
    } else {
        out.extend_from_slice(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> (char, char, bool, usize) {
        let mut notes = Vec::new();
        let dialect = Dialect::of("a", text, 0, Format::Csv, &Reading::default(), &mut notes).unwrap();
        (char::from(dialect.separator), char::from(dialect.quote), dialect.header, notes.len())
    }

    #[test]
    fn first_rows_tell_the_dialect() {
        for (text, expected) in [
            // Separators.
            ("a,b\n1,2\n3,4\n", (',', '"', true, 0)),
            ("a;b\n1,5;2,5\n3,5;4,5\n", (';', '"', true, 1)),
            ("a\tb\n1\t2\n", ('\t', '"', true, 1)),
            ("a|b|c\n1|2|3\n", ('|', '"', true, 1)),
            ("a\n1\n\n3\n", (',', '"', true, 0)),
            ("id,tags\n1,x;y\n2,y;z\n", (',', '"', true, 0)),
            ("id,tags;more\n1,x;y\n2,y;z\n", (',', '"', true, 1)),
            ("a,b\n'x,y',2\n'z,y',3\n", (',', '\'', true, 1)),
            ("text\nwhat; he said\n\"a\nb\"\n", (',', '"', true, 0)),
            ("a;b;c\nx\ny\nz\n", (',', '"', true, 1)),
            // Headers.
            ("1.5,a\n2.5,b\n3.5,b\n", (',', '"', false, 1)),
            ("1.5,a\n2.5,b\n3.5,a\n", (',', '"', false, 1)),
            ("5,3,1\n4,2,9\n", (',', '"', false, 1)),
            ("1990,1991,1992\n4,2,9\n5,5,5\n", (',', '"', true, 1)),
            ("country,1990,1991\nfr,4,2\nde,5,3\n", (',', '"', true, 1)),
            ("name,1990\nx,4\ny,5\nz,u\n", (',', '"', true, 0)),
            ("p,x,s\ne,x,s\np,y,s\n", (',', '"', false, 1)),
            ("name,city\nx,y\nz,w\n", (',', '"', true, 0)),
            ("2020-01-02,x\n2020-01-03,y\n", (',', '"', false, 1)),
            ("day,x\n2020-01-03,y\n", (',', '"', true, 0)),
            ("ok,y\ntrue,a\nfalse,b\n", (',', '"', true, 0)),
            ("true,y\ntrue,a\nfalse,b\n", (',', '"', false, 1)),
            (",a\n0,x\n1,y\n", (',', '"', true, 0)),
            ("0.5\n0.25\n", (',', '"', false, 1)),
            ("\"x\"\n\"NA\"\n1\n", (',', '"', true, 0)),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
    }

    #[test]
    fn comments_are_seen_above_the_rows() {
        let comment = |text: &str| {
            let mut notes = Vec::new();
            let dialect = Dialect::of("a", text, 0, Format::Csv, &Reading::default(), &mut notes).unwrap();
            (dialect.comment.is_some(), dialect.header, notes.len())
        };
        assert_eq!(comment("# made by hand, in haste, today\na,b\n1,2\n"), (true, true, 1));
        assert_eq!(comment("# one\n# two\na,b\n1,2\n"), (true, true, 1));
        assert_eq!(comment("#a,b\n1,2\n3,4\n"), (false, true, 0));
        assert_eq!(comment("#a\n#b\n#c\n"), (false, true, 0));
        assert_eq!(comment("a,b\n#1,2\n"), (false, true, 0));
    }

    #[test]
    fn separators_are_found_near_and_far() {
        for length in 0..60 {
            for place in 0..length {
                let mut bytes = vec![b'x'; length];
                (place..length).step_by(3).for_each(|at| bytes[at] = b',');
                bytes[..place].iter_mut().step_by(2).for_each(|b| *b = b'-');
                assert_eq!(near(b',', &bytes), Some(place));
            }
            assert_eq!(near(b',', &vec![0xac; length]), None);
        }
    }

    #[test]
    fn what_is_told_is_checked() {
        for reading in [
            Reading { separator: Some('\n'), ..Reading::default() },
            Reading { separator: Some('§'), ..Reading::default() },
            Reading { separator: Some('"'), ..Reading::default() },
            Reading { quote: Some('€'), ..Reading::default() },
            Reading { comment: Some(String::new()), ..Reading::default() },
        ] {
            assert!(Dialect::of("a", "a,b\n1,2\n", 0, Format::Csv, &reading, &mut Vec::new()).is_err());
        }
    }
}
