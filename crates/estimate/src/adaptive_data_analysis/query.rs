//! Statistical queries: what a mechanism may ask of the rows.
//!
//! A query q gives each row a value in [0, 1], and what is wanted is its mean. Models are costly and rows are few, so a
//! query is taken as its values on the rows, computed once by the caller: numbers, a closure over row numbers, or one
//! bit a row. Bits are the common case (right or wrong, above or below), and their means are counts of bits.

use quadrat_core::{Error, Result};
use quadrat_numeric::bits;
use sha2::{Digest, Sha256};
use std::ops::Range;

/// A statistical query, evaluated on the rows (or, for a mechanism over a finite domain, on the domain's elements).
pub trait Query {
    /// Number of rows.
    fn rows(&self) -> usize;

    /// The value of one of those rows, within [`Query::range`].
    fn value(&self, row: usize) -> f64;

    /// The least and the largest value that a row can have. Mechanisms work on [0, 1]; the range is mapped there and
    /// back.
    fn range(&self) -> (f64, f64) {
        (0.0, 1.0)
    }

    /// The values of `rows`, mapped to [0, 1].
    ///
    /// # Errors
    /// Rows past the end; a range that is empty or not finite; a value outside it, or NaN.
    fn values(&self, rows: Range<usize>) -> Result<Vec<f64>> {
        let mut values = Vec::with_capacity(rows.len());
        each(self, rows, |value| values.push(value))?;
        Ok(values)
    }

    /// The mean over `rows`, mapped to [0, 1].
    ///
    /// # Errors
    /// As [`Query::values`]; no rows.
    fn mean(&self, rows: Range<usize>) -> Result<f64> {
        let count = rows.len();
        let mut sum = 0.0;
        each(self, rows, |value| sum += value)?;
        mean(sum, count)
    }

    /// A fingerprint of the query: equal for equal values in an equal range, however they are held.
    ///
    /// # Errors
    /// As [`Query::values`].
    fn fingerprint(&self) -> Result<Fingerprint> {
        let values = self.values(0..self.rows())?;
        Ok(match Bits::from_values(&values) {
            Some(bits) => {
                Fingerprint::of(self.range(), bits.len, true, bits.words.iter().map(|word| word.to_le_bytes()))
            }
            None => Fingerprint::of(self.range(), values.len(), false, values.iter().map(|value| value.to_le_bytes())),
        })
    }
}

fn mean(sum: f64, count: usize) -> Result<f64> {
    if count == 0 {
        return Err(Error::input("query", "no rows", "a mean needs at least one"));
    }
    Ok(sum / count as f64)
}

fn check_rows(rows: &Range<usize>, len: usize) -> Result<()> {
    if rows.end > len || rows.start > rows.end {
        let got = format!("values for {len} rows");
        return Err(Error::input("query", got, format!("rows {} to {} are asked for", rows.start, rows.end)));
    }
    Ok(())
}

/// Checks each value and hands it on, mapped to [0, 1].
fn each<Q: Query + ?Sized>(query: &Q, rows: Range<usize>, mut take: impl FnMut(f64)) -> Result<()> {
    check_rows(&rows, query.rows())?;
    let (low, high) = query.range();
    if !(low.is_finite() && high.is_finite() && low < high) {
        return Err(Error::input(
            "query's range",
            format!("{low} to {high}"),
            "use two finite numbers, low below high",
        ));
    }
    let scale = high - low;
    for row in rows {
        let value = query.value(row);
        if !(value >= low && value <= high) {
            let want = format!("use {low} to {high}, or state another range");
            return Err(Error::input(format!("query, row {row}"), value, want));
        }
        take((value - low) / scale);
    }
    Ok(())
}

impl Query for &[f64] {
    fn rows(&self) -> usize {
        self.len()
    }

    fn value(&self, row: usize) -> f64 {
        self[row]
    }
}

impl Query for Vec<f64> {
    fn rows(&self) -> usize {
        self.len()
    }

    fn value(&self, row: usize) -> f64 {
        self[row]
    }
}

/// A query as a closure over row numbers, with values in a stated range.
///
/// ```
/// use quadrat_estimate::adaptive_data_analysis::{Each, Query};
/// let (x, y) = ([0.2, -0.4, 0.9], [1.0, -1.0, 1.0]);
/// let agreement = Each::new(3, (-1.0, 1.0), |row| x[row] * y[row]);
/// assert!((agreement.mean(0..3)? - 0.75).abs() < 1e-12, "0.5 between -1 and 1 is 0.75 between 0 and 1");
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub struct Each<F> {
    rows: usize,
    range: (f64, f64),
    value: F,
}

impl<F: Fn(usize) -> f64> Each<F> {
    /// A query over `rows` rows whose values lie in `range`.
    pub fn new(rows: usize, range: (f64, f64), value: F) -> Self {
        Each { rows, range, value }
    }
}

impl<F: Fn(usize) -> f64> Query for Each<F> {
    fn rows(&self) -> usize {
        self.rows
    }

    fn value(&self, row: usize) -> f64 {
        (self.value)(row)
    }

    fn range(&self) -> (f64, f64) {
        self.range
    }
}

/// One bit a row, 64 rows a word; bits past the end are 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bits {
    words: Vec<u64>,
    len: usize,
}

impl Bits {
    /// The bits of `bit(0)` to `bit(len - 1)`.
    pub fn from_fn(len: usize, mut bit: impl FnMut(usize) -> bool) -> Self {
        let word = |w: usize| {
            (64 * w..len.min(64 * w + 64)).enumerate().fold(0, |word, (i, row)| word | (u64::from(bit(row)) << i))
        };
        Bits { words: (0..len.div_ceil(64)).map(word).collect(), len }
    }

    /// Bits from words of 64, the first row lowest; what the last word has too many is cleared.
    ///
    /// # Errors
    /// Another number of words than `len` rows fill.
    pub fn from_words(mut words: Vec<u64>, len: usize) -> Result<Self> {
        if words.len() != len.div_ceil(64) {
            let want = format!("{len} rows fill {}", len.div_ceil(64));
            return Err(Error::input("bits", format!("{} words", words.len()), want));
        }
        if let Some(last) = words.last_mut() {
            *last &= mask(len);
        }
        Ok(Bits { words, len })
    }

    /// Bits of values that are all 0 or 1; `None` for others.
    pub fn from_values(values: &[f64]) -> Option<Self> {
        values.iter().all(|v| *v == 0.0 || *v == 1.0).then(|| Bits::from_fn(values.len(), |row| values[row] == 1.0))
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The words, the first row in the lowest bit of the first.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// The bit of a row below [`Bits::len`].
    pub fn get(&self, row: usize) -> bool {
        self.words[row / 64] >> (row % 64) & 1 == 1
    }
}

impl Query for Bits {
    fn rows(&self) -> usize {
        self.len
    }

    fn value(&self, row: usize) -> f64 {
        f64::from(u8::from(self.get(row)))
    }

    fn mean(&self, rows: Range<usize>) -> Result<f64> {
        check_rows(&rows, self.len)?;
        mean(count(&rows, &self.words, None) as f64, rows.len())
    }

    fn fingerprint(&self) -> Result<Fingerprint> {
        Ok(Fingerprint::of((0.0, 1.0), self.len, true, self.words.iter().map(|word| word.to_le_bytes())))
    }
}

/// The share of rows on which two columns of bits agree, such as predictions and labels: no third column is made.
pub struct Agreement<'a> {
    left: &'a Bits,
    right: &'a Bits,
}

impl<'a> Agreement<'a> {
    /// The agreement of two columns over the same rows.
    ///
    /// # Errors
    /// Different numbers of rows.
    pub fn new(left: &'a Bits, right: &'a Bits) -> Result<Self> {
        if left.len != right.len {
            return Err(Error::input("bits", format!("{} and {} rows", left.len, right.len), "give equally many"));
        }
        Ok(Agreement { left, right })
    }
}

impl Query for Agreement<'_> {
    fn rows(&self) -> usize {
        self.left.len
    }

    fn value(&self, row: usize) -> f64 {
        f64::from(u8::from(self.left.get(row) == self.right.get(row)))
    }

    fn mean(&self, rows: Range<usize>) -> Result<f64> {
        check_rows(&rows, self.left.len)?;
        let differing = count(&rows, &self.left.words, Some(&self.right.words));
        mean((rows.len() as u64 - differing) as f64, rows.len())
    }
}

/// The lowest `len % 64` bits, all of them for a multiple of 64.
fn mask(len: usize) -> u64 {
    if len.is_multiple_of(64) { u64::MAX } else { (1 << (len % 64)) - 1 }
}

/// The number of ones among `rows` of `left`, or of the places where it differs from `right`.
fn count(rows: &Range<usize>, left: &[u64], right: Option<&[u64]>) -> u64 {
    if rows.is_empty() {
        return 0;
    }
    let (first, last) = (rows.start / 64, (rows.end - 1) / 64);
    let ones = |at: usize, mask: u64| u64::from(((left[at] ^ right.map_or(0, |right| right[at])) & mask).count_ones());
    let (head, tail) = (u64::MAX << (rows.start % 64), mask(rows.end));
    if first == last {
        return ones(first, head & tail);
    }
    let middle = first + 1..last;
    let inner = match right {
        None => bits::count_ones(&left[middle]),
        Some(right) => bits::count_differing(&left[middle.clone()], &right[middle]),
    };
    ones(first, head) + inner + ones(last, tail)
}

/// A SHA-256, usually of a query's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// SHA-256 of any bytes, such as a file's.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Fingerprint(Sha256::digest(bytes).into())
    }

    fn of(range: (f64, f64), rows: usize, packed: bool, words: impl Iterator<Item = [u8; 8]>) -> Self {
        let mut hash = Sha256::new();
        hash.update(range.0.to_le_bytes());
        hash.update(range.1.to_le_bytes());
        hash.update((rows as u64).to_le_bytes());
        hash.update([u8::from(packed)]);
        words.for_each(|word| hash.update(word));
        Fingerprint(hash.finalize().into())
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bits_are_the_same_query_as_their_values(
            bits in prop::collection::vec(any::<bool>(), 1..300),
            other in prop::collection::vec(any::<bool>(), 300),
            (a, b) in (0usize..300, 0usize..300),
        ) {
            let n = bits.len();
            let (start, end) = ((a % n).min(b % n), (a % n).max(b % n) + 1);
            let packed = Bits::from_fn(n, |row| bits[row]);
            let values: Vec<f64> = bits.iter().map(|b| f64::from(u8::from(*b))).collect();
            prop_assert_eq!(packed.mean(start..end).unwrap(), values.mean(start..end).unwrap());
            prop_assert_eq!(packed.values(0..n).unwrap(), values.clone());
            prop_assert_eq!(packed.fingerprint().unwrap(), values.fingerprint().unwrap());
            prop_assert_eq!(Bits::from_values(&values).unwrap(), packed.clone());
            prop_assert_eq!(Bits::from_words(packed.words().to_vec(), n).unwrap(), packed.clone());

            let right = Bits::from_fn(n, |row| other[row]);
            let agreement = Agreement::new(&packed, &right).unwrap();
            let slow: Vec<f64> = (0..n).map(|row| f64::from(u8::from(bits[row] == other[row]))).collect();
            prop_assert_eq!(agreement.mean(start..end).unwrap(), slow.mean(start..end).unwrap());
            prop_assert_eq!(agreement.fingerprint().unwrap(), slow.fingerprint().unwrap());
        }
    }

    #[test]
    fn values_outside_their_range_are_named() {
        let three = |bad: f64| vec![0.0, bad, 1.0];
        for (bad, part) in [(f64::NAN, "NaN"), (1.5, "1.5"), (-0.1, "-0.1"), (f64::INFINITY, "inf")] {
            let error = three(bad).mean(0..3).unwrap_err().to_string();
            assert!(error.starts_with(&format!("query, row 1: got {part}; use 0 to 1")), "{error}");
            assert!(three(bad).fingerprint().is_err());
        }
        let wide = Each::new(3, (-2.0, 2.0), |row| row as f64);
        assert_eq!(wide.values(0..3).unwrap(), [0.5, 0.75, 1.0]);
        for range in [(1.0, 1.0), (2.0, 1.0), (f64::NAN, 1.0), (0.0, f64::INFINITY)] {
            assert!(Each::new(3, range, |_| 1.0).mean(0..3).unwrap_err().to_string().contains("range"));
        }
        assert!(three(0.5).mean(0..4).unwrap_err().to_string().contains("3 rows"));
        assert!(three(0.5).mean(1..1).unwrap_err().to_string().contains("no rows"));
        assert!(Vec::<f64>::new().mean(0..0).is_err());
        assert!(Bits::from_words(vec![1], 65).is_err());
        assert!(Agreement::new(&Bits::from_fn(3, |_| true), &Bits::from_fn(4, |_| true)).is_err());
    }

    #[test]
    fn another_range_is_another_query() {
        let query = |range| Each::new(2, range, |_| 0.0);
        let same = [query((0.0, 1.0)).fingerprint().unwrap(), vec![0.0, 0.0].fingerprint().unwrap()];
        assert_eq!(same[0], same[1]);
        assert_ne!(same[0], query((0.0, 2.0)).fingerprint().unwrap());
        assert_ne!(same[0], vec![0.0, 0.0, 0.0].fingerprint().unwrap());
    }
}
