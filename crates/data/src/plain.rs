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
        let mut at = start;
        let mut digits = 0_u64;
        let mut point = None;
        while let Some(&byte) = bytes.get(at) {
            let digit = byte.wrapping_sub(b'0');
            if digit < 10 {
                digits = digits.wrapping_mul(10).wrapping_add(u64::from(digit));
            } else if byte == b'.' && point.is_none() && separator != b'.' {
                point = Some(at);
            } else if byte == separator {
                break;
            } else {
                return None;
            }
            at += 1;
        }
        let fraction = point.map(|point| at - point - 1);
        let count = at - start - usize::from(point.is_some());
        let whole = count - fraction.unwrap_or(0);
        let zeros = whole > 1 && bytes[start] == b'0';
        let plain = whole > 0 && count <= 18 && !zeros;
        plain.then_some(Plain { negative: start == 1, digits, count, fraction, length: at })
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
