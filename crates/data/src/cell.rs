//! What a cell of a text file says: missing, a number however it is spelt, a boolean, a text.

use std::borrow::Cow;

/// What a cell looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    Missing,
    Integer,
    /// A whole number that does not fit 64 bits.
    Big,
    /// Digits after a leading zero: a code, whose zeros count.
    Code,
    Float,
    /// A number with other marks than a decimal point.
    Dressed(Dress),
    Boolean,
    Text,
}

/// Spaces around numbers don't count: many published tables have them after each comma.
pub(crate) fn look(cell: &str) -> Look {
    let cell = cell.trim_matches([' ', '\t']);
    if is_missing(cell) {
        return Look::Missing;
    }
    let digits = cell.strip_prefix(['-', '+']).unwrap_or(cell);
    if digits.bytes().all(|b| b.is_ascii_digit()) && !digits.is_empty() {
        return match digits.len() {
            2.. if digits.starts_with('0') => Look::Code,
            ..=18 => Look::Integer,
            _ if cell.parse::<i64>().is_ok() => Look::Integer,
            _ => Look::Big,
        };
    }
    if is_decimal(digits) || parse_float(cell).is_some() {
        return Look::Float;
    }
    if parse_boolean(cell).is_some() {
        return Look::Boolean;
    }
    Dress::of(cell).map_or(Look::Text, Look::Dressed)
}

/// Whether a cell without its outer spaces stands for "no value" wherever a value is asked for: in columns of numbers
/// and booleans, and where a column's values are classes or categories.
///
/// These are the spellings that pandas takes for missing, and `?` (the UCI archive), `\N` (databases), `NaT`.
pub(crate) fn is_missing(cell: &str) -> bool {
    match cell.as_bytes() {
        [] => true,
        // Nearly every cell of a table is ruled out by its length or its first byte.
        [b'#' | b'-' | b'1' | b'<' | b'?' | b'N' | b'\\' | b'n', ..] if cell.len() <= 8 => matches!(
            cell,
            "?" | "NA"
                | "N/A"
                | "n/a"
                | "<NA>"
                | "#NA"
                | "#N/A"
                | "#N/A N/A"
                | "NaN"
                | "nan"
                | "NAN"
                | "-NaN"
                | "-nan"
                | "NaT"
                | "1.#IND"
                | "-1.#IND"
                | "1.#QNAN"
                | "-1.#QNAN"
                | "null"
                | "NULL"
                | "Null"
                | "None"
                | "\\N"
        ),
        _ => false,
    }
}

/// What else stands for "no value", because the user says so.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Codes {
    texts: Vec<String>,
    /// The codes that are numbers count however they are spelt: -999 is -999.0.
    numbers: Vec<f64>,
}

impl Codes {
    pub(crate) fn new(codes: &[String]) -> Self {
        let texts: Vec<String> = codes.iter().map(|code| code.trim().to_owned()).collect();
        Codes { numbers: texts.iter().filter_map(|code| parse_float(code)).collect(), texts }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Whether a cell is one of the codes.
    pub(crate) fn has(&self, cell: &str) -> bool {
        if self.is_empty() {
            return false;
        }
        let cell = cell.trim();
        self.texts.iter().any(|code| code == cell) || parse_float(cell).is_some_and(|v| self.has_number(v))
    }

    pub(crate) fn has_number(&self, value: f64) -> bool {
        self.numbers.contains(&value)
    }

    /// Whether a cell is one of the codes or one of the usual spellings.
    pub(crate) fn mean_missing(&self, cell: &str) -> bool {
        is_missing(cell.trim()) || self.has(cell)
    }
}

/// The marks in numbers of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) decimal: char,
    pub(crate) thousands: Option<char>,
}

impl Marks {
    /// The number as everybody spells it: digits and a decimal point. `None` where a mark stands where it cannot.
    pub(crate) fn plain<'a>(&self, cell: &'a str) -> Option<Cow<'a, str>> {
        if cell.bytes().all(|b| b.is_ascii_digit()) {
            return Some(Cow::Borrowed(cell));
        }
        let mut plain = String::with_capacity(cell.len());
        let (mut fraction, mut after_digit) = (false, false);
        let mut rest = cell.chars().peekable();
        while let Some(c) = rest.next() {
            if c == self.decimal {
                fraction = true;
                plain.push('.');
            } else if Some(c) == self.thousands {
                if fraction || !after_digit || !rest.peek().is_some_and(char::is_ascii_digit) {
                    return None;
                }
            } else if c == '.' {
                return None;
            } else {
                plain.push(c);
            }
            after_digit = c.is_ascii_digit();
        }
        Some(Cow::Owned(plain))
    }

    /// [`look`] at a cell with these marks.
    pub(crate) fn look(&self, cell: &str) -> Look {
        let cell = cell.trim_matches([' ', '\t']);
        let undressed = |look| if matches!(look, Look::Dressed(_)) { Look::Text } else { look };
        if is_missing(cell) {
            return Look::Missing;
        }
        // Letters make no number, save for an exponent or an infinity; what they make is seen without the marks.
        if !cell.contains(|c: char| c.is_ascii_digit()) {
            return undressed(look(cell));
        }
        self.plain(cell).map_or(Look::Text, |plain| undressed(look(&plain)))
    }
}

/// How a number is spelt that is not spelt plainly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dress {
    /// The mark between groups of three digits.
    pub(crate) group: Option<char>,
    /// The mark before the fraction.
    pub(crate) decimal: Option<char>,
    /// The one mark, where three digits follow it and it may be either: `1,234`.
    pub(crate) either: Option<char>,
}

impl Dress {
    pub(crate) fn of(cell: &str) -> Option<Dress> {
        let digits = cell.strip_prefix(['-', '+']).unwrap_or(cell);
        let (digits, exponent) = match digits.split_once(['e', 'E']) {
            Some((digits, exponent)) => (digits, Some(exponent)),
            None => (digits, None),
        };
        if !digits.starts_with(|c: char| c.is_ascii_digit()) || digits.len() > 64 {
            return None;
        }
        if exponent.is_some_and(|e| e.parse::<i32>().is_err()) {
            return None;
        }
        let marks = digits.chars().filter(|c| !c.is_ascii_digit());
        let last = marks.clone().next_back()?;
        let known = |c: char| matches!(c, ',' | '.' | '\'' | '’' | ' ' | '\u{a0}' | '\u{202f}');
        let mut runs = digits.split(|c: char| !c.is_ascii_digit()).map(str::len);
        let (first, zero) = (runs.next()?, digits.starts_with('0'));
        let tail = runs.clone().next_back()?;
        if !marks.clone().all(known) || runs.clone().any(|run| run == 0) || (first > 1 && zero) {
            return None;
        }
        let count = marks.clone().count();
        let grouped = |runs: usize| first <= 3 && !zero && digits_after(digits).take(runs).all(|run| run == 3);
        let decimal = matches!(last, ',' | '.');
        let group = marks.clone().next()?;
        let alike = |n: usize| marks.clone().take(n).all(|mark| mark == group);
        let none = Dress { group: None, decimal: None, either: None };
        match count {
            1 if decimal && grouped(1) && exponent.is_none() => Some(Dress { either: Some(last), ..none }),
            1 if decimal => Some(Dress { decimal: Some(last), ..none }),
            _ if alike(count) && grouped(count) && exponent.is_none() => Some(Dress { group: Some(group), ..none }),
            2.. if decimal && last != group && tail > 0 && alike(count - 1) && grouped(count - 1) => {
                Some(Dress { group: Some(group), decimal: Some(last), ..none })
            }
            _ => None,
        }
    }
}

/// The lengths of the runs of digits after the first.
fn digits_after(digits: &str) -> impl Iterator<Item = usize> + '_ {
    digits.split(|c: char| !c.is_ascii_digit()).skip(1).map(str::len)
}

/// Digits with a point, an exponent or both: quicker to see than to parse.
fn is_decimal(unsigned: &str) -> bool {
    let mut bytes = unsigned.bytes().peekable();
    let mut digits = 0;
    while bytes.next_if(u8::is_ascii_digit).is_some() {
        digits += 1;
    }
    if bytes.next_if_eq(&b'.').is_some() {
        while bytes.next_if(u8::is_ascii_digit).is_some() {
            digits += 1;
        }
    }
    if digits > 0 && bytes.next_if(|b| matches!(b, b'e' | b'E')).is_some() {
        let _sign = bytes.next_if(|b| matches!(b, b'-' | b'+'));
        digits = 0;
        while bytes.next_if(u8::is_ascii_digit).is_some() {
            digits += 1;
        }
    }
    digits > 0 && bytes.next().is_none()
}

/// A decimal number or an infinity; `None` for all else, NaN included.
pub(crate) fn parse_float(cell: &str) -> Option<f64> {
    cell.parse::<f64>().ok().filter(|v| !v.is_nan())
}

pub(crate) fn parse_boolean(cell: &str) -> Option<bool> {
    match cell {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cells_look_like_what_they_are() {
        for (cells, expected) in [
            (["", " ", "NA", "NaN", "null", " ? "], Look::Missing),
            (["<NA>", "n/a", "#N/A N/A", "-1.#QNAN", "\\N", "NaT"], Look::Missing),
            (["0", "-7", "+7", " 12 ", "9223372036854775807", "-0"], Look::Integer),
            (["007", "00", "-01", "00123", "01", "000000000000000000000"], Look::Code),
            (
                [
                    "9223372036854775808",
                    "-9223372036854775809",
                    "99999999999999999999",
                    " 1000000000000000000000",
                    "+9223372036854775808",
                    "18446744073709551616",
                ],
                Look::Big,
            ),
            (["1.5", "-.5", "5.", "1e-3", "inf", "+1E5"], Look::Float),
            (["true", "False", "TRUE", "false", "True", "FALSE"], Look::Boolean),
            (["a", "1,", ".", "1e", "12:30", "-"], Look::Text),
            (["none", "na", "2020-01-02", "1.2.3", "01,5", "1,23,456"], Look::Text),
        ] {
            for cell in cells {
                assert_eq!(look(cell), expected, "{cell:?}");
            }
        }
    }

    #[test]
    fn marks_say_what_they_can_be() {
        let dress = |group: &str, decimal: &str, either: &str| {
            let [group, decimal, either] = [group, decimal, either].map(|mark| mark.chars().next());
            Some(Dress { group, decimal, either })
        };
        for (cell, expected) in [
            ("1,234", dress("", "", ",")),
            ("1.234", dress("", "", ".")),
            ("0,234", dress("", ",", "")),
            ("1,5", dress("", ",", "")),
            ("-1234,567", dress("", ",", "")),
            ("1,5e3", dress("", ",", "")),
            ("1,234,567", dress(",", "", "")),
            ("1,234.5", dress(",", ".", "")),
            ("1.234.567,89", dress(".", ",", "")),
            ("1 234", dress(" ", "", "")),
            ("1\u{202f}234,5", dress("\u{202f}", ",", "")),
            ("1'234.50", dress("'", ".", "")),
            ("1,234,56", None),
            ("1234,567,890", None),
            ("1,234,", None),
            ("1, 2", None),
            ("192.168.0.1", None),
            ("a,b", None),
            ("", None),
        ] {
            assert_eq!(Dress::of(cell), expected, "{cell}");
        }
    }

    #[test]
    fn marked_numbers_become_plain() {
        let marks = |decimal, thousands| Marks { decimal, thousands };
        for (marks, cell, plain) in [
            (marks(',', None), "1,5", Some("1.5")),
            (marks(',', None), "1.5", None),
            (marks(',', Some('.')), "-1.234,5e2", Some("-1234.5e2")),
            (marks('.', Some(',')), "1,23,456.5", Some("123456.5")),
            (marks('.', Some(',')), ",5", None),
            (marks('.', Some(',')), "1,,5", None),
            (marks('.', Some(',')), "1.5,000", None),
            (marks(',', Some('\u{a0}')), "12\u{a0}345,5", Some("12345.5")),
            (marks('.', Some(' ')), "12", Some("12")),
        ] {
            assert_eq!(marks.plain(cell).as_deref(), plain, "{cell}");
        }
        let comma = marks(',', None);
        let looks = ["1,5", "12", "1.5", "NA", "True", "0012", "inf", "x1", "1e5"].map(|cell| comma.look(cell));
        use Look::*;
        assert_eq!(looks, [Float, Integer, Text, Missing, Boolean, Code, Float, Text, Float]);
    }

    #[test]
    fn codes_count_however_they_are_spelt() {
        let codes = Codes::new(&["-999".to_owned(), " unknown".to_owned()]);
        assert!(["-999", "-999.0", " -9.99e2", "unknown ", "?", ""].iter().all(|cell| codes.mean_missing(cell)));
        assert!(!["999", "Unknown", "x", "0"].iter().any(|cell| codes.mean_missing(cell)));
        assert!(!Codes::default().has(""));
    }

    proptest! {
        #[test]
        fn whatever_looks_like_a_number_parses(cell in "[-+]?[0-9.eE]{0,8}[-+]?[0-9]{0,3}") {
            prop_assert_eq!(matches!(look(&cell), Look::Integer | Look::Code | Look::Float), cell.parse::<f64>().is_ok());
        }

        #[test]
        fn a_dressed_number_parses_with_its_marks(
            sign in "-?", whole in 0..10_000_000_u32, fraction in "([0-9]{1,5})?", group in "[., ']", decimal in "[.,]"
        ) {
            prop_assume!(group != decimal);
            let digits = whole.to_string();
            let mut dressed = sign.clone();
            for (i, digit) in digits.chars().enumerate() {
                if i > 0 && (digits.len() - i) % 3 == 0 {
                    dressed.push_str(&group);
                }
                dressed.push(digit);
            }
            let mut plain = format!("{sign}{digits}");
            if !fraction.is_empty() {
                dressed = format!("{dressed}{decimal}{fraction}");
                plain = format!("{plain}.{fraction}");
            }
            let [decimal, group] = [decimal, group].map(|mark| mark.chars().next().unwrap());
            let marks = Marks { decimal, thousands: Some(group) };
            prop_assert_eq!(marks.plain(&dressed).map(Cow::into_owned), Some(plain));
            if let Some(dress) = Dress::of(&dressed) {
                prop_assert!(dress.group.is_none_or(|g| g == group));
                prop_assert!(dress.decimal.is_none_or(|d| d == decimal));
            }
        }
    }
}
