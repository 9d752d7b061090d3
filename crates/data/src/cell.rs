//! What a cell of a delimited file says.

/// What a cell looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    Missing,
    Integer,
    /// A whole number that does not fit 64 bits.
    Big,
    Float,
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
        return if digits.len() <= 18 || cell.parse::<i64>().is_ok() { Look::Integer } else { Look::Big };
    }
    if is_decimal(digits) || parse_float(cell).is_some() {
        return Look::Float;
    }
    if parse_boolean(cell).is_some() { Look::Boolean } else { Look::Text }
}

/// Whether a cell without its outer spaces stands for "no value" in a column of numbers or booleans.
pub(crate) fn is_missing(cell: &str) -> bool {
    cell.len() <= 4
        && matches!(cell, "" | "NA" | "N/A" | "NaN" | "nan" | "NAN" | "null" | "NULL" | "Null" | "None" | "?")
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
            (["0", "-7", "+7", " 12 ", "9223372036854775807", "007"], Look::Integer),
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
            (["a", "1,5", ".", "1e", "1 2", "-"], Look::Text),
        ] {
            for cell in cells {
                assert_eq!(look(cell), expected, "{cell:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_looks_like_a_number_parses(cell in "[-+]?[0-9.eE]{0,8}[-+]?[0-9]{0,3}") {
            prop_assert_eq!(matches!(look(&cell), Look::Integer | Look::Float), cell.parse::<f64>().is_ok());
        }
    }
}
