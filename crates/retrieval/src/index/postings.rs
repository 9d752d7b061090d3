//! One term's list of postings: ascending document numbers, each with a whole number (how often the term occurs there, or
//! its impact).
//!
//! Blocks of 128 postings are packed into as many bits as their widest gap and widest value need; what is left over
//! at the end is written in bytes of seven bits. Before the blocks stand their heads, so that a search can pass over a
//! block by its last document or by the best that it can hold without unpacking it.

use bitpacking::{BitPacker, BitPacker4x};

/// Postings of a block.
pub const BLOCK: usize = 128;
/// Bytes of a block's head.
const HEAD: usize = 20;
/// What a cursor says at its end; no document has this number.
pub const END: u32 = u32::MAX;

/// The most that some postings can be worth: the largest value and the shortest document among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Largest value.
    pub most: u32,
    /// Length of the shortest document.
    pub least: u32,
}

impl Bound {
    /// Of no posting.
    pub const NONE: Bound = Bound { most: 0, least: u32::MAX };

    /// Of these and one more.
    pub fn with(self, value: u32, length: u32) -> Bound {
        Bound { most: self.most.max(value), least: self.least.min(length) }
    }
}

/// Appends a list to `out`; `docs` ascend strictly. Returns the bound of all.
pub fn encode(docs: &[u32], values: &[u32], length: impl Fn(u32) -> u32, out: &mut Vec<u8>) -> Bound {
    let packer = BitPacker4x::new();
    let full = docs.len() / BLOCK;
    let heads = out.len();
    out.resize(heads + full * HEAD, 0);
    let (start, mut all, mut before) = (out.len(), Bound::NONE, None);
    for (block, (docs, values)) in docs.chunks_exact(BLOCK).zip(values.chunks_exact(BLOCK)).enumerate() {
        let bound = bound_of(docs, values, &length);
        all = all.with(bound.most, bound.least);
        let bits = [packer.num_bits_strictly_sorted(before, docs), packer.num_bits(values)];
        let place = out.len();
        out.resize(place + packed(bits[0]) + packed(bits[1]), 0);
        let (of_docs, of_values) = out[place..].split_at_mut(packed(bits[0]));
        packer.compress_strictly_sorted(before, docs, of_docs, bits[0]);
        packer.compress(values, of_values, bits[1]);
        before = docs.last().copied();
        let head = Head { last: docs[BLOCK - 1], start: (place - start) as u32, bound, bits };
        out[heads + block * HEAD..][..HEAD].copy_from_slice(&head.bytes());
    }
    let rest = full * BLOCK;
    let mut next = before.map_or(0, |last| last + 1);
    for (&doc, &value) in docs[rest..].iter().zip(&values[rest..]) {
        push_number(doc - next, out);
        push_number(value, out);
        next = doc + 1;
    }
    let tail = bound_of(&docs[rest..], &values[rest..], &length);
    all.with(tail.most, tail.least)
}

fn bound_of(docs: &[u32], values: &[u32], length: impl Fn(u32) -> u32) -> Bound {
    docs.iter().zip(values).fold(Bound::NONE, |bound, (doc, value)| bound.with(*value, length(*doc)))
}

/// Bytes of a block of numbers of so many bits.
fn packed(bits: u8) -> usize {
    usize::from(bits) * BLOCK / 8
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow.
fn push_number(mut number: u32, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Takes a number off the front, if one is there.
fn take_number(bytes: &mut &[u8]) -> Option<u32> {
    let mut number = 0_u32;
    for at in 0..5 {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u32::from(byte & 0x7f).checked_shl(7 * at)?;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

/// What is known of a block without unpacking it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its last document.
    pub last: u32,
    /// Where it begins, from the end of the heads.
    start: u32,
    /// The most that a posting of it can be worth.
    pub bound: Bound,
    /// Bits of a gap and of a value.
    bits: [u8; 2],
}

impl Head {
    fn bytes(&self) -> [u8; HEAD] {
        let mut bytes = [0; HEAD];
        let numbers = [self.last, self.start, self.bound.most, self.bound.least];
        bytes.chunks_exact_mut(4).zip(numbers).for_each(|(place, number)| place.copy_from_slice(&number.to_le_bytes()));
        bytes[16..18].copy_from_slice(&self.bits);
        bytes
    }

    fn of(bytes: &[u8]) -> Head {
        let number = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        Head {
            last: number(0),
            start: number(4),
            bound: Bound { most: number(8), least: number(12) },
            bits: [bytes[16], bytes[17]],
        }
    }
}

/// A list as it lies in a file.
#[derive(Debug, Clone, Copy)]
pub struct List<'a> {
    heads: &'a [u8],
    body: &'a [u8],
    /// Number of postings.
    pub count: usize,
    /// The most that any of them can be worth.
    pub bound: Bound,
}

impl<'a> List<'a> {
    /// The list of `count` postings in `bytes`. None where its heads do not fit.
    pub fn new(bytes: &'a [u8], count: usize, bound: Bound) -> Option<List<'a>> {
        let (heads, body) = bytes.split_at_checked(count / BLOCK * HEAD)?;
        Some(List { heads, body, count, bound })
    }

    /// Whether it can be read: its blocks lie within it, its documents ascend below `documents`, and none is worth more
    /// than the list says.
    pub fn is_sound(&self, documents: u32) -> bool {
        let mut next = 0;
        for head in self.blocks() {
            let end = head.start as usize + packed(head.bits[0]) + packed(head.bits[1]);
            if head.bits.iter().any(|bits| *bits > 32) || end > self.body.len() || head.last < next {
                return false;
            }
            next = head.last.saturating_add(1);
        }
        let mut cursor = Cursor::new(*self);
        if self.count >= BLOCK {
            cursor.load(self.count / BLOCK);
        }
        let mut doc = u64::from(next);
        for _ in 0..self.count % BLOCK {
            if u64::from(cursor.doc()) < doc || cursor.doc() == END {
                return false;
            }
            doc = u64::from(cursor.doc()) + 1;
            cursor.advance();
        }
        self.count > 0 && doc <= u64::from(documents)
    }

    /// Whether postings stand behind the full blocks.
    pub fn has_rest(&self) -> bool {
        !self.count.is_multiple_of(BLOCK)
    }

    /// The heads of its full blocks.
    pub fn blocks(&self) -> impl Iterator<Item = Head> + 'a {
        self.heads.chunks_exact(HEAD).map(Head::of)
    }

    /// Hands over every posting.
    pub fn each(&self, mut found: impl FnMut(u32, u32)) {
        let mut cursor = Cursor::new(*self);
        while cursor.doc() != END {
            found(cursor.doc(), cursor.value());
            cursor.advance();
        }
    }

    fn head(&self, block: usize) -> Option<Head> {
        self.heads.get(block * HEAD..(block + 1) * HEAD).map(Head::of)
    }
}

/// A place in a list.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    /// What it walks along.
    pub list: List<'a>,
    docs: [u32; BLOCK],
    values: [u32; BLOCK],
    block: usize,
    at: usize,
    held: usize,
    /// Where the values lie that were not asked for yet, and how many bits they have.
    packed: Option<(usize, u8)>,
}

impl<'a> Cursor<'a> {
    /// At the list's first posting.
    pub fn new(list: List<'a>) -> Cursor<'a> {
        let mut cursor =
            Cursor { list, docs: [END; BLOCK], values: [0; BLOCK], block: 0, at: 0, held: 0, packed: None };
        cursor.load(0);
        cursor
    }

    /// The document, or [`END`].
    #[inline]
    pub fn doc(&self) -> u32 {
        if self.at < self.held { self.docs[self.at & (BLOCK - 1)] } else { END }
    }

    /// The value of the posting it stands on.
    #[inline]
    pub fn value(&mut self) -> u32 {
        self.unpack_values();
        self.values[self.at & (BLOCK - 1)]
    }

    /// To the next posting.
    #[inline]
    pub fn advance(&mut self) {
        self.at += 1;
        if self.at >= self.held && self.held > 0 {
            self.load(self.block + 1);
        }
    }

    /// To the first posting at or after `doc`.
    #[inline]
    pub fn seek(&mut self, doc: u32) {
        if self.doc() >= doc {
            return;
        }
        if self.docs[self.held - 1] < doc {
            let mut block = self.block + 1;
            while self.list.head(block).is_some_and(|head| head.last < doc) {
                block += 1;
            }
            self.load(block);
        }
        self.at += self.docs[self.at.min(self.held)..self.held].partition_point(|held| *held < doc);
        if self.at >= self.held && self.held > 0 {
            self.load(self.block + 1);
        }
    }

    /// Back to the block that holds the first posting at or after `doc`, wherever it stood.
    pub fn rewind(&mut self, doc: u32) {
        let (mut low, mut high) = (0, self.list.count / BLOCK);
        while low < high {
            let middle = (low + high) / 2;
            match self.list.head(middle) {
                Some(head) if head.last < doc => low = middle + 1,
                _ => high = middle,
            }
        }
        if low == self.block && self.held > 0 {
            self.at = 0;
        } else {
            self.load(low);
        }
        self.seek(doc);
    }

    /// What is left of the postings at hand whose documents are below `end`, and past them.
    #[inline]
    pub fn run(&mut self, end: u32) -> (&[u32], &[u32]) {
        self.unpack_values();
        let from = self.at.min(self.held);
        let docs = &self.docs[from..self.held];
        let to = from
            + if docs.last().is_some_and(|last| *last < end) {
                docs.len()
            } else {
                docs.partition_point(|doc| *doc < end)
            };
        self.at = to;
        (&self.docs[from..to], &self.values[from..to])
    }

    /// After [`Cursor::run`]: the next block, if this one is used up.
    #[inline]
    pub fn refill(&mut self) {
        if self.at >= self.held && self.held > 0 {
            self.load(self.block + 1);
        }
    }

    /// Many blocks are unpacked to see that a document is not there: the values can wait.
    #[inline]
    fn unpack_values(&mut self) {
        if let Some((start, bits)) = self.packed.take() {
            BitPacker4x::new().decompress(&self.list.body[start..], &mut self.values, bits);
        }
    }

    /// Unpacks a block, the last of which is what is left over; past it nothing is held.
    fn load(&mut self, block: usize) {
        let full = self.list.count / BLOCK;
        (self.block, self.at, self.held, self.packed) = (block, 0, 0, None);
        let before = block.checked_sub(1).and_then(|before| self.list.head(before)).map(|head| head.last);
        if let Some(head) = self.list.head(block) {
            let [docs, values] = head.bits;
            // The unpacking of more than 32 bits is undefined: `is_sound` has refused such a list.
            let bytes = self.list.body.get(head.start as usize..).unwrap_or_default();
            if docs > 32 || values > 32 || bytes.len() < packed(docs) + packed(values) {
                return;
            }
            BitPacker4x::new().decompress_strictly_sorted(before, bytes, &mut self.docs, docs);
            self.packed = Some((head.start as usize + packed(docs), values));
            self.held = BLOCK;
        } else if block == full {
            let end = full
                .checked_sub(1)
                .and_then(|last| self.list.head(last))
                .map_or(0, |head| head.start as usize + packed(head.bits[0]) + packed(head.bits[1]));
            let mut bytes = self.list.body.get(end..).unwrap_or_default();
            let mut next = before.map_or(0, |last| last.wrapping_add(1));
            for at in 0..self.list.count % BLOCK {
                let (Some(gap), Some(value)) = (take_number(&mut bytes), take_number(&mut bytes)) else { break };
                self.docs[at] = next.saturating_add(gap);
                self.values[at] = value;
                next = self.docs[at].wrapping_add(1);
                self.held = at + 1;
            }
        }
    }
}

#[cfg(test)]
mod tests;
