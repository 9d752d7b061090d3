//! Numbers as nearly all are spelt: digits, with at most a sign before and a point among them.
//!
//! In a file of numbers most of the time goes into looking for the end of each, asking what it looks like, and parsing it.
//! These do all three in one pass over its bytes; whatever is spelt in another way goes the long way, which gives the same.

use crate::cell::Look;

/// A number, taken apart.
pub(crate) struct Plain {
    negative: bool,
    digits: u64,
    /// How many digits there are, and how many of them after the point if there is one.
    count: usize,
    fraction: Option<usize>,
    /// Bytes that it takes.
    pub(crate) length: usize,
}

/// Powers of ten that double precision holds.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

impl Plain {
    /// The number that `bytes` start with, up to `separator` or their end: of at most 18 digits, without zeros before it.
    pub(crate) fn at_start(bytes: &[u8], separator: u8) -> Option<Plain> {
        let start = usize::from(bytes.first() == Some(&b'-'));
        let (whole, digits) = digits_of(bytes, start, 0);
        let mut at = start + whole;
        let mut found = Plain { negative: start == 1, digits, count: whole, fraction: None, length: at };
        if separator != b'.' && bytes.get(at) == Some(&b'.') {
            let (fraction, digits) = digits_of(bytes, at + 1, digits);
            at += 1 + fraction;
            found = Plain { digits, count: whole + fraction, fraction: Some(fraction), length: at, ..found };
        }
        let ends = bytes.get(at).is_none_or(|byte| *byte == separator);
        let zeros = whole > 1 && bytes[start] == b'0';
        (ends && whole > 0 && found.count <= 18 && !zeros).then_some(found)
    }

    pub(crate) fn look(&self) -> Look {
        if self.fraction.is_some() { Look::Float } else { Look::Integer }
    }

    /// Whether thousands are not grouped: a whole number of four digits or more.
    pub(crate) fn is_long(&self) -> bool {
        self.fraction.is_none() && self.count > 3
    }

    pub(crate) fn integer(&self) -> Option<i64> {
        let size = i64::try_from(self.digits).ok().filter(|_| self.fraction.is_none())?;
        Some(if self.negative { -size } else { size })
    }

    /// The nearest double: digits and power of ten are doubles, and the quotient of two is rounded once.
    pub(crate) fn float(&self) -> Option<f64> {
        if self.digits > 1 << 53 {
            return None;
        }
        let size = self.digits as f64 / POWERS.get(self.fraction.unwrap_or(0))?;
        Some(if self.negative { -size } else { size })
    }
}

/// How many digits `bytes` have from `at` on, and the number that `before` becomes with them behind it.
///
/// Eight bytes at a time as one word: a carry marks the first that is no digit, and three products put the others
/// together (Lemire, "Quickly parsing eight digits", 2022).
fn digits_of(bytes: &[u8], at: usize, before: u64) -> (usize, u64) {
    let (mut count, mut number) = (0, before);
    while let Some(eight) = bytes.get(at + count..).and_then(<[u8]>::first_chunk) {
        let values = u64::from_le_bytes(*eight) ^ 0x3030_3030_3030_3030;
        // A carry out of a byte above 9 goes to later bytes only.
        let others = (values.wrapping_add(0x7676_7676_7676_7676) | values) & 0x8080_8080_8080_8080;
        let more = others.trailing_zeros() as usize / 8;
        if more == 0 {
            return (count, number);
        }
        // Digits to the end of the word, zeros before them.
        let values = values << (64 - 8 * more);
        let pairs = values.wrapping_mul(10).wrapping_add(values >> 8) & 0x00ff_00ff_00ff_00ff;
        let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
        let eight = fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff;
        number = number.wrapping_mul(TENS[more]).wrapping_add(eight);
        count += more;
        if more < 8 {
            return (count, number);
        }
    }
    for digit in bytes[(at + count).min(bytes.len())..].iter().map(|byte| byte.wrapping_sub(b'0')) {
        if digit > 9 {
            break;
        }
        number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
        count += 1;
    }
    (count, number)
}

/// Powers of ten for up to eight digits.
const TENS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::look;
    use proptest::prelude::*;

    #[test]
    fn a_number_ends_at_the_separator() {
        let parsed = |text: &str| Plain::at_start(text.as_bytes(), b',').map(|p| (p.float(), p.integer(), p.length));
        assert_eq!(parsed("12,x"), Some((Some(12.0), Some(12), 2)));
        assert_eq!(parsed("-0.50"), Some((Some(-0.5), None, 5)));
        assert_eq!(parsed("5.,"), Some((Some(5.0), None, 2)));
        assert_eq!(parsed("90071992547409.9"), Some((Some(90071992547409.9), None, 16)));
        assert_eq!(parsed("9007199254740993"), Some((None, Some(9_007_199_254_740_993), 16)));
        for text in
            ["", ",", "-", ".5", "1.2.3", "1e5", "007", "00.5", "\"1\"", " 1", "1 ", "+1", "1234567890123456789", "x"]
        {
            assert_eq!(parsed(text), None, "{text}");
        }
        assert!(Plain::at_start(b"1.5", b'.').is_some_and(|plain| plain.length == 1));
    }

    proptest! {
        #[test]
        fn the_short_way_is_the_long_way(cell in "-?[0-9]{0,19}[.]?[0-9]{0,19}") {
            if let Some(plain) = Plain::at_start(cell.as_bytes(), b',') {
                prop_assert_eq!(plain.length, cell.len());
                prop_assert_eq!(plain.look(), look(&cell));
                prop_assert_eq!(plain.integer(), cell.parse::<i64>().ok());
                let float = cell.parse::<f64>().unwrap();
                prop_assert!(plain.float().is_none_or(|v| v.to_bits() == float.to_bits()), "{}", cell);
            }
        }
    }
}
