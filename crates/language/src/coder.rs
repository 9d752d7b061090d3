//! A range coder: symbols into a string of bits and back, at the price that the model's probabilities set.
//!
//! Both sides must divide the line in exactly the same way, or all that follows the first difference is lost. Probabilities in floating
//! point are no ground for that, so each step's are turned into whole [`Frequencies`] once, and all else is integers. Martin, "Range
//! encoding: an algorithm for removing redundancy from a digitised message", 1979, with 64 bits for the range: of these at least 48 count
//! when it is divided into 2^30 parts, so that a symbol costs at most 6e-6 bits more than its part of the line. A carry runs back into what
//! was written. The last symbol takes what the division leaves, so that there is no gap, and every string of bits means something.

use quadrat_core::{Error, Result};

/// The parts of a table are 2^30 in all.
pub const PARTS: u32 = 1 << BITS;
const BITS: u32 = 30;
/// Stretches of a table's parts in its index, and parts of one.
const BUCKETS: u32 = 1 << 12;
const BUCKET: u32 = PARTS / BUCKETS;
/// The range is made wider by 16 bits while it is below.
const LEAST: u64 = 1 << 48;

/// How many of [`PARTS`] each symbol has, as cumulative sums.
///
/// ```
/// use quadrat_language::coder::{Frequencies, RangeDecoder, RangeEncoder};
/// let table = Frequencies::of(&[0.5, 0.25, 0.25])?;
/// let message = [0, 0, 2, 1];
/// let mut encoder = RangeEncoder::new();
/// message.iter().for_each(|symbol| encoder.push(table.interval(*symbol)));
/// let bits = encoder.finish();
/// // Six bits of surprise, and one to end.
/// assert_eq!(bits.len(), 7);
/// let mut decoder = RangeDecoder::new(bits.chunks());
/// assert!(message.iter().all(|symbol| decoder.pull(&table) == *symbol));
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Frequencies {
    cumulative: Vec<u32>,
    /// Of a table that is used often: the symbols that equally many parts apart belong to, so that a search begins near its end.
    index: Vec<u32>,
}

/// A symbol's parts: `start..end` of [`PARTS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// The first.
    pub start: u32,
    /// The one after the last.
    pub end: u32,
}

impl Interval {
    /// Whether the symbol has none.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Its share of the line.
    pub fn share(self) -> f64 {
        f64::from(self.end - self.start) / f64::from(PARTS)
    }
}

impl Frequencies {
    /// The table of probabilities, which need not sum to 1, with an index, for many symbols.
    ///
    /// # Errors
    /// As [`set`](Frequencies::set).
    pub fn of(probabilities: &[f64]) -> Result<Self> {
        let mut table = Frequencies::default();
        table.set(probabilities)?;
        table.index = (0..=BUCKETS).map(|at| table.symbol((at * BUCKET).min(PARTS - 1)) as u32).collect();
        Ok(table)
    }

    /// Takes over other probabilities, for one symbol or few. A symbol whose probability is above 0 has at least one part, however small it is, so that whatever
    /// can come can be coded; one of probability 0 has none.
    ///
    /// # Errors
    /// A probability that is negative or no number, none above 0, or more symbols than a table of 2^30 parts has room for.
    pub fn set(&mut self, probabilities: &[f64]) -> Result<()> {
        let (mut sum, mut possible) = (0.0, 0_u32);
        for (symbol, &p) in probabilities.iter().enumerate() {
            if !(p >= 0.0 && p.is_finite()) {
                return Err(Error::input(
                    format!("probability of symbol {symbol}"),
                    p,
                    "a finite number of at least 0",
                ));
            }
            sum += p;
            possible += u32::from(p > 0.0);
        }
        if possible == 0 || possible > PARTS / 2 || !sum.is_finite() {
            let want = "1 to 2^29 symbols above 0, and a finite sum";
            return Err(Error::input("probabilities", format!("{possible} above 0, sum {sum}"), want));
        }
        self.index.clear();
        self.cumulative.clear();
        self.cumulative.push(0);
        let scale = f64::from(PARTS - possible) / sum;
        let (mut before, mut met) = (0.0, 0);
        for &p in probabilities {
            before += p;
            met += u32::from(p > 0.0);
            // One part each, and the rest by the rounded cumulative sum: no symbol is off by more than one part.
            let end = if met == possible { PARTS } else { met + (before * scale) as u32 };
            self.cumulative.push(end);
        }
        Ok(())
    }

    /// Number of symbols.
    pub fn len(&self) -> usize {
        self.cumulative.len().saturating_sub(1)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The parts of a symbol; none for one that is not there.
    pub fn interval(&self, symbol: usize) -> Interval {
        match self.cumulative.get(symbol..symbol.saturating_add(2)) {
            Some(&[start, end]) => Interval { start, end },
            _ => Interval { start: PARTS, end: PARTS },
        }
    }

    /// The symbol that a part belongs to.
    pub fn symbol(&self, part: u32) -> usize {
        let at = (part / BUCKET) as usize;
        match self.index.get(at..at + 2) {
            Some(&[first, last]) => {
                let starts = &self.cumulative[first as usize + 1..=last as usize];
                first as usize + starts.partition_point(|&start| start <= part)
            }
            _ => self.symbol_by(|start| start <= part),
        }
    }

    /// The last symbol with parts for whose first one `begins` holds; it must hold for the beginning of the line and, once it does not,
    /// no more.
    pub(crate) fn symbol_by(&self, begins: impl Fn(u32) -> bool) -> usize {
        let starts = &self.cumulative[..self.len()];
        starts.partition_point(|&start| start < PARTS && begins(start)).saturating_sub(1)
    }

    /// The symbol with the most parts, of equal ones the first.
    pub fn likeliest(&self) -> Option<usize> {
        let parts = |symbol: &usize| self.cumulative[symbol + 1] - self.cumulative[*symbol];
        (0..self.len()).rev().max_by_key(parts)
    }

    /// The cumulative sums, from 0 to [`PARTS`].
    pub fn cumulative(&self) -> &[u32] {
        &self.cumulative
    }
}

/// A finite string of bits: a binary fraction, of which the first bit counts a half.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BitString {
    bytes: Vec<u8>,
    bits: usize,
}

impl BitString {
    /// The first `bits` bits of some bytes, each from its highest bit on.
    ///
    /// # Errors
    /// Fewer bytes than that takes.
    pub fn new(mut bytes: Vec<u8>, bits: usize) -> Result<Self> {
        if bits > 8 * bytes.len() {
            let want = format!("at most {}, what {} bytes hold", 8 * bytes.len(), bytes.len());
            return Err(Error::input("bits", bits, want));
        }
        bytes.truncate(bits.div_ceil(8));
        if let Some(last) = bytes.last_mut().filter(|_| !bits.is_multiple_of(8)) {
            *last &= 0xff << (8 - bits % 8);
        }
        Ok(BitString { bytes, bits })
    }

    /// Number of bits.
    pub fn len(&self) -> usize {
        self.bits
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bits == 0
    }

    /// The bits, eight a byte, the last one filled up with zeros.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bits, sixteen at a time, then zeros.
    pub fn chunks(&self) -> impl Iterator<Item = u16> + '_ {
        self.bytes.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]))
    }

    /// The middle of the fractions that begin so, and whether double precision has it exactly.
    pub fn middle(&self) -> (f64, bool) {
        let mut digits = 0_u64;
        for (at, byte) in self.bytes.iter().take(8).enumerate() {
            digits |= u64::from(*byte) << (56 - 8 * at);
        }
        let exact = self.bits <= 52;
        let half = if exact { 1 << (63 - self.bits) } else { 0 };
        // What does not fit is cut off, not rounded up: a fraction stays below 1.
        (((digits | half) >> 11) as f64 * 0.5_f64.powi(53), exact)
    }
}

/// Writes symbols.
#[derive(Debug, Clone)]
pub struct RangeEncoder {
    low: u64,
    range: u64,
    bytes: Vec<u8>,
}

impl Default for RangeEncoder {
    fn default() -> Self {
        RangeEncoder { low: 0, range: u64::MAX, bytes: Vec::new() }
    }
}

impl RangeEncoder {
    /// Nothing written.
    pub fn new() -> Self {
        RangeEncoder::default()
    }

    /// Writes a symbol, which must have a part: what is written after one that has none cannot be read.
    pub fn push(&mut self, Interval { start, end }: Interval) {
        let part = self.range >> BITS;
        let before = part * u64::from(start);
        let (low, carry) = self.low.overflowing_add(before);
        self.low = low;
        if carry {
            self.carry();
        }
        self.range = if end == PARTS { self.range - before } else { part * u64::from(end - start) };
        debug_assert!(self.range > 0, "a symbol without a part");
        while self.range < LEAST {
            self.bytes.extend_from_slice(&((self.low >> 48) as u16).to_be_bytes());
            self.low <<= 16;
            self.range <<= 16;
        }
    }

    /// Adds one at the place before `low`.
    fn carry(&mut self) {
        for byte in self.bytes.iter_mut().rev() {
            *byte = byte.wrapping_add(1);
            if *byte != 0 {
                break;
            }
        }
    }

    /// The shortest string all of whose continuations decode to what was written: at most 2 bits longer than what the symbols' shares ask
    /// for.
    pub fn finish(mut self) -> BitString {
        if self.bytes.is_empty() && self.range == u64::MAX {
            return BitString::default();
        }
        let (low, up) = (u128::from(self.low), u128::from(self.low) + u128::from(self.range));
        let fits = |bits: &u32| (low.div_ceil(1 << (64 - bits)) + 1) << (64 - bits) <= up;
        let bits = (1..64).find(fits).unwrap_or(64);
        let end = low.div_ceil(1 << (64 - bits)) << (64 - bits);
        if end >> 64 == 1 {
            self.carry();
        }
        let written = 8 * self.bytes.len();
        self.bytes.extend_from_slice(&(end as u64).to_be_bytes());
        self.bytes.truncate((written + bits as usize).div_ceil(8));
        BitString { bytes: self.bytes, bits: written + bits as usize }
    }
}

/// Reads symbols.
#[derive(Debug, Clone)]
pub struct RangeDecoder<I> {
    chunks: I,
    /// Where the string lies above the range's beginning, always below `range`.
    above: u64,
    range: u64,
}

impl<I: Iterator<Item = u16>> RangeDecoder<I> {
    /// Reads bits, sixteen at a time; after their end zeros.
    pub fn new(mut chunks: I) -> Self {
        let above = (0..4).fold(0, |bits, _| bits << 16 | u64::from(chunks.next().unwrap_or(0)));
        RangeDecoder { chunks, above: above.min(u64::MAX - 1), range: u64::MAX }
    }

    /// The next symbol, by the same table that it was written with.
    pub fn pull(&mut self, table: &Frequencies) -> usize {
        let part = self.range >> BITS;
        let symbol = table.symbol((self.above / part).min(u64::from(PARTS - 1)) as u32);
        let Interval { start, end } = table.interval(symbol);
        let before = part * u64::from(start);
        self.above -= before;
        self.range = if end == PARTS { self.range - before } else { part * u64::from(end - start) };
        while self.range < LEAST {
            self.above = self.above << 16 | u64::from(self.chunks.next().unwrap_or(0));
            self.range <<= 16;
        }
        symbol
    }
}

#[cfg(test)]
mod tests;
