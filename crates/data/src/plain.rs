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

/// The digits that eight bytes start with.
struct Digits {
    count: usize,
    /// Their values, the last digit in the highest byte and zeros below the first.
    values: u64,
}

impl Digits {
    #[inline]
    fn of(bytes: [u8; 8]) -> Digits {
        let each = |byte| u64::from_le_bytes([byte; 8]);
        let values = u64::from_le_bytes(bytes) ^ each(b'0');
        // The high bit of each byte above 9.
        let others = (((values & each(0x7f)) + each(0x76)) | values) & each(0x80);
        let count = others.trailing_zeros() as usize / 8;
        Digits { count, values: values.unbounded_shl(64 - 8 * count as u32) }
    }

    /// The number: neighbours are joined to tens, those to hundreds, those to the whole.
    #[inline]
    fn number(&self) -> u64 {
        let tens = (self.values.wrapping_mul(1 + (10 << 8)) >> 8) & 0x00ff_00ff_00ff_00ff;
        let hundreds = (tens.wrapping_mul(1 + (100 << 16)) >> 16) & 0x0000_ffff_0000_ffff;
        hundreds.wrapping_mul(1 + (10_000 << 32)) >> 32
    }
}

impl Plain {
    /// The number that `bytes` start with, up to `separator` or their end: of at most 18 digits, without zeros before it.
    #[inline(always)]
    pub(crate) fn at_start(bytes: &[u8], separator: u8) -> Option<Plain> {
        let negative = bytes.first() == Some(&b'-');
        let start = usize::from(negative);
        let eight = |at: usize| bytes.get(at..).and_then(|rest| rest.first_chunk()).map(|eight| Digits::of(*eight));
        // Most numbers have at most eight digits.
        let Some(whole) = eight(start).filter(|whole| whole.count < 8) else {
            return Plain::byte_by_byte(bytes, separator);
        };
        let end = start + whole.count;
        let zeros = whole.count > 1 && bytes[start] == b'0';
        if whole.count == 0 || zeros {
            return None;
        }
        if bytes[end] == separator {
            return Some(Plain { negative, digits: whole.number(), count: whole.count, fraction: None, length: end });
        }
        if bytes[end] != b'.' {
            return None;
        }
        let Some(part) = eight(end + 1).filter(|part| whole.count + part.count <= 8) else {
            return Plain::byte_by_byte(bytes, separator);
        };
        let length = end + 1 + part.count;
        let all = Digits { count: whole.count + part.count, values: part.values | whole.values >> (8 * part.count) };
        let plain = Plain { negative, digits: all.number(), count: all.count, fraction: Some(part.count), length };
        (bytes[length] == separator).then_some(plain)
    }

    /// [`Plain::at_start`] for numbers of many digits, and at the end of a row.
    fn byte_by_byte(bytes: &[u8], separator: u8) -> Option<Plain> {
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
        // Signs come in no order that a processor could foresee, so there is no branch.
        Some(f64::from_bits(size.to_bits() | u64::from(self.negative) << 63))
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
        fn eight_bytes_at_once_are_as_good_as_one(cell in "-?[0-9]{0,10}[.]?[0-9]{0,10}[x,.]?[ -~]{0,12}") {
            let shown = |plain: Option<Plain>| plain.map(|p| (p.negative, p.digits, p.count, p.fraction, p.length));
            for separator in [b',', b'.', b'x'] {
                let slow = Plain::byte_by_byte(cell.as_bytes(), separator);
                prop_assert_eq!(shown(Plain::at_start(cell.as_bytes(), separator)), shown(slow));
            }
        }

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
