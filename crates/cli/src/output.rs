//! What a command says: a table for people or one JSON value, never both.

use quadrat::data::{Format, is_standard_output};
use quadrat::{Error, Result, write_atomic_bytes};
use serde::Serialize;
use serde_json::Value;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a command has to say.
pub struct Reply {
    /// For people.
    pub text: String,
    /// For programs.
    pub json: Value,
    /// The exit code.
    pub code: u8,
}

impl Reply {
    /// A reply of a command that succeeded.
    pub fn new(text: String, json: Value) -> Self {
        Reply { text, json, code: 0 }
    }
}

/// Whether standard output is taken by a command's data, so that what it says goes to standard error.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// [`check_place`] for a file of rows, which may also be `-`: standard output.
pub fn check_out(path: &Path) -> Result<()> {
    Format::check_output(path)?;
    if is_standard_output(path) {
        TAKEN.store(true, Ordering::Relaxed);
        return Ok(());
    }
    check_place(path)
}

/// Prints a line to standard output, or to standard error where standard output holds the data. A reader that has gone away (`| head`) is no error.
pub fn print(text: &str) {
    let mut out: Box<dyn std::io::Write> =
        if TAKEN.load(Ordering::Relaxed) { Box::new(std::io::stderr()) } else { Box::new(std::io::stdout().lock()) };
    let _ = out.write_all(text.trim_end().as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
}

/// `value` as JSON.
pub fn json(value: &impl Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(|e| Error::numeric("JSON", e.to_string()))
}

/// Writes `value` to a file.
pub fn write_json(path: &Path, value: &Value) -> Result<()> {
    write_atomic_bytes(path, format!("{value:#}\n").as_bytes())
}

/// An error unless a file can be made at `path`: better now than after an hour's work.
pub fn check_place(path: &Path) -> Result<()> {
    if path.is_dir() || path.file_name().is_none() {
        return Err(Error::input("output file", path.display(), "name a file, not a folder"));
    }
    let probe = path.with_file_name(format!(".quadrat.{}.probe", std::process::id()));
    OpenOptions::new().write(true).create_new(true).open(&probe).map_err(|e| Error::io(path, e))?;
    fs::remove_file(&probe).map_err(|e| Error::io(path, e))
}

/// Rows of text in aligned columns; `right` tells which columns are numbers. The first row is the head.
pub fn table(rows: &[Vec<String>], right: &[usize]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| rows.iter().filter_map(|row| row.get(c)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::from(" ");
        for (c, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            let _ =
                if right.contains(&c) { write!(line, " {cell:>width$} ") } else { write!(line, " {cell:<width$} ") };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// `text` in lines of at most `width` characters, each after `indent` blanks.
pub fn wrap(text: &str, indent: usize, width: usize) -> String {
    let mut wrapped = String::new();
    let mut column = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && indent + column + 1 + length > width {
            wrapped.push('\n');
            column = 0;
        }
        if column == 0 {
            wrapped.extend(std::iter::repeat_n(' ', indent));
        } else {
            wrapped.push(' ');
            column += 1;
        }
        wrapped.push_str(word);
        column += length;
    }
    wrapped.push('\n');
    wrapped
}

/// 1234567 as "1,234,567".
pub fn count(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A figure with four significant digits.
pub fn figure(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let magnitude = value.abs().log10().floor() as i32;
    if !(-4..7).contains(&magnitude) {
        return format!("{value:.3e}");
    }
    let decimals = (3 - magnitude).max(0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Bytes in the unit one would say.
pub fn bytes(bytes: f64) -> String {
    scaled(bytes, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB"])
}

/// Operations in the unit one would say.
pub fn operations(operations: f64) -> String {
    scaled(operations, 1000.0, &["operations", "thousand", "million", "billion", "trillion", "quadrillion"])
}

fn scaled(mut value: f64, step: f64, units: &[&str]) -> String {
    let mut unit = 0;
    while value >= step && unit + 1 < units.len() {
        value /= step;
        unit += 1;
    }
    let decimals = usize::from(value < 10.0 && unit > 0);
    format!("{value:.decimals$} {}", units[unit])
}

/// Seconds as one would say them.
pub fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 0.001 => "under 1 ms".to_owned(),
        s if s < 1.0 => format!("{:.0} ms", 1000.0 * s),
        s if s < 60.0 => format!("{s:.1} s"),
        s if s < 3600.0 => format!("{:.0} min {:.0} s", (s / 60.0).floor(), s % 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([count(0), count(999), count(1_000), count(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
        for (value, text) in
            [(0.0, "0"), (1.0, "1"), (0.12345, "0.1235"), (-12.5, "-12.5"), (123_456.0, "123456"), (1e-9, "1.000e-9")]
        {
            assert_eq!(figure(value), text);
        }
        assert_eq!([bytes(10.0), bytes(1536.0), bytes(3e9)], ["10 B", "1.5 KiB", "2.8 GiB"]);
        assert_eq!(operations(2.5e9), "2.5 billion");
        assert_eq!(
            [seconds(0.02), seconds(5.0), seconds(90.0), seconds(7200.0)],
            ["20 ms", "5.0 s", "1 min 30 s", "2.0 h"]
        );
    }

    #[test]
    fn tables_align_and_texts_wrap() {
        let rows = [vec!["a".to_owned(), "n".to_owned()], vec!["long".to_owned(), "12".to_owned()]];
        assert_eq!(table(&rows, &[1]), "  a      n\n  long  12\n");
        assert_eq!(wrap("one two three", 2, 9), "  one two\n  three\n");
    }
}
