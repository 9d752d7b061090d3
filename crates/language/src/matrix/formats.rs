//! How checkpoints write numbers: floats of 16 and 32 bits, and the blocks of a few bits a number that llama.cpp names.
//!
//! A block holds its numbers as small integers q, and scales in half precision. Every number is scale x q + offset, rounded once: so it
//! has the bits that ggml and its Python package give it, whose products are exact in single precision.

use super::lanes::{LANES, Lanes};

/// A way to write a row of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Single precision.
    F32,
    /// Half precision.
    F16,
    /// The upper half of single precision.
    Bf16,
    /// 32 numbers d q, q of 4 bits from -8.
    Q4_0,
    /// 32 numbers d q + m, q of 4 bits from 0.
    Q4_1,
    /// 32 numbers d q, q of 8 bits.
    Q8_0,
    /// 256 numbers, each 32 of which have a scale and an offset of 6 bits.
    Q4K,
    /// 256 numbers of 6 bits, each 16 of which have a scale of 8 bits.
    Q6K,
}

impl Format {
    /// All of them, with the names that GGUF gives them.
    pub const ALL: &[(Format, &str)] = &[
        (Format::F32, "F32"),
        (Format::F16, "F16"),
        (Format::Bf16, "BF16"),
        (Format::Q4_0, "Q4_0"),
        (Format::Q4_1, "Q4_1"),
        (Format::Q8_0, "Q8_0"),
        (Format::Q4K, "Q4_K"),
        (Format::Q6K, "Q6_K"),
    ];

    /// Numbers of a block.
    pub fn values(self) -> usize {
        match self {
            Format::F32 | Format::F16 | Format::Bf16 => 1,
            Format::Q4_0 | Format::Q4_1 | Format::Q8_0 => 32,
            Format::Q4K | Format::Q6K => 256,
        }
    }

    /// Bytes of a block.
    pub fn bytes(self) -> usize {
        match self {
            Format::F32 => 4,
            Format::F16 | Format::Bf16 => 2,
            Format::Q4_0 => 18,
            Format::Q4_1 => 20,
            Format::Q8_0 => 34,
            Format::Q4K => 144,
            Format::Q6K => 210,
        }
    }

    /// Writes the numbers of a row, which must be whole blocks.
    #[inline(always)]
    pub(super) fn unpack<L: Lanes>(self, lanes: L, row: &[u8], out: &mut [f32]) {
        match self {
            Format::F32 => each(lanes, row, out, single),
            Format::F16 => each(lanes, row, out, f16),
            Format::Bf16 => each(lanes, row, out, bf16),
            Format::Q4_0 => each(lanes, row, out, q4_0),
            Format::Q4_1 => each(lanes, row, out, q4_1),
            Format::Q8_0 => each(lanes, row, out, q8_0),
            Format::Q4K => each(lanes, row, out, q4_k),
            Format::Q6K => each(lanes, row, out, q6_k),
        }
    }
}

#[inline(always)]
fn each<L: Lanes, const B: usize, const V: usize>(
    lanes: L,
    row: &[u8],
    out: &mut [f32],
    unpack: impl Fn(L, &[u8; B], &mut [f32; V]),
) {
    // Loops, not closures: only what is inlined here is compiled for the processor's vectors.
    for (block, out) in row.as_chunks::<B>().0.iter().zip(out.as_chunks_mut::<V>().0) {
        unpack(lanes, block, out);
    }
}

/// A number in half precision: its exponent and fraction at single precision's places, scaled by what the exponents' zeros differ.
#[inline(always)]
fn half(bytes: &[u8; 2]) -> f32 {
    const SCALE: f32 = f32::from_bits((112 + 127) << 23);
    let bits = u32::from(u16::from_le_bytes(*bytes));
    let size = (bits & 0x7fff) << 13;
    let value = if size >= 0x7c00 << 13 { size | 0xff << 23 } else { (f32::from_bits(size) * SCALE).to_bits() };
    f32::from_bits(value | (bits & 0x8000) << 16)
}

#[inline(always)]
fn single<L: Lanes>(_: L, bytes: &[u8; 4], out: &mut [f32; 1]) {
    out[0] = f32::from_le_bytes(*bytes);
}

#[inline(always)]
fn f16<L: Lanes>(_: L, bytes: &[u8; 2], out: &mut [f32; 1]) {
    out[0] = half(bytes);
}

#[inline(always)]
fn bf16<L: Lanes>(_: L, bytes: &[u8; 2], out: &mut [f32; 1]) {
    out[0] = f32::from_bits(u32::from(u16::from_le_bytes(*bytes)) << 16);
}

/// The first `N` bytes from `at` on.
#[inline(always)]
fn part<const N: usize>(bytes: &[u8], at: usize) -> &[u8; N] {
    const { assert!(N > 0) };
    bytes[at..].first_chunk().unwrap_or(&[0; N])
}

/// The lower half of every byte of a word; shifted, the upper one.
const NIBBLES: u64 = 0x0f0f_0f0f_0f0f_0f0f;
/// The lowest two bits of every byte.
const PAIRS: u64 = 0x0303_0303_0303_0303;

#[inline(always)]
fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(*part(bytes, at))
}

/// scale q + offset of eight numbers q.
#[inline(always)]
fn line<L: Lanes>(lanes: L, scale: f32, q: L::Vector, offset: f32, out: &mut [f32; LANES]) {
    *out = lanes.store(lanes.mul_add(lanes.load(&[scale; LANES]), q, lanes.load(&[offset; LANES])));
}

/// 32 nibbles, those of the lower halves first.
#[inline(always)]
fn nibbles<L: Lanes>(lanes: L, scale: f32, offset: f32, bytes: &[u8; 16], out: &mut [f32; 32]) {
    for (at, out) in out.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
        let word = word(bytes, at % 2 * LANES) >> (at / 2 * 4);
        line(lanes, scale, lanes.bytes(word & NIBBLES), offset, out);
    }
}

#[inline(always)]
fn q4_0<L: Lanes>(lanes: L, block: &[u8; 18], out: &mut [f32; 32]) {
    let d = half(part(block, 0));
    nibbles(lanes, d, -8.0 * d, part(block, 2), out);
}

#[inline(always)]
fn q4_1<L: Lanes>(lanes: L, block: &[u8; 20], out: &mut [f32; 32]) {
    nibbles(lanes, half(part(block, 0)), half(part(block, 2)), part(block, 4), out);
}

#[inline(always)]
fn q8_0<L: Lanes>(lanes: L, block: &[u8; 34], out: &mut [f32; 32]) {
    let d = half(part(block, 0));
    for (at, out) in out.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
        line(lanes, d, lanes.signed_bytes(word(block, 2 + at * LANES)), 0.0, out);
    }
}

/// d and dmin, scales and offsets of eight groups in 12 bytes, then the low and high nibbles of four pairs of groups.
#[inline(always)]
fn q4_k<L: Lanes>(lanes: L, block: &[u8; 144], out: &mut [f32; 256]) {
    let (d, min) = (half(part(block, 0)), half(part(block, 2)));
    let six: &[u8; 12] = part(block, 4);
    for (group, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let (scale, offset) = match group {
            0..4 => (six[group] & 63, six[group + 4] & 63),
            _ => (six[group + 4] & 15 | six[group - 4] >> 6 << 4, six[group + 4] >> 4 | six[group] >> 6 << 4),
        };
        let (scale, offset) = (d * f32::from(scale), min * f32::from(offset));
        for (at, out) in out.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
            let word = word(block, 16 + 32 * (group / 2) + at * LANES) >> (4 * (group % 2));
            line(lanes, scale, lanes.bytes(word & NIBBLES), -offset, out);
        }
    }
}

/// Low four bits, high two bits, scales of 16 groups, d; a half of the block has its four quarters beside each other.
#[inline(always)]
fn q6_k<L: Lanes>(lanes: L, block: &[u8; 210], out: &mut [f32; 256]) {
    let d = half(part(block, 208));
    let scales: &[u8; 16] = part(block, 192);
    for (n, out) in out.as_chunks_mut::<128>().0.iter_mut().enumerate() {
        for (quarter, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
            for (at, out) in out.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
                let scale = d * f32::from(scales[8 * n + 2 * quarter + at / 2] as i8);
                let low = word(block, 64 * n + 32 * (quarter % 2) + at * LANES) >> (4 * (quarter / 2)) & NIBBLES;
                let high = word(block, 128 + 32 * n + at * LANES) >> (2 * quarter) & PAIRS;
                line(lanes, scale, lanes.bytes(low | high << 4), -32.0 * scale, out);
            }
        }
    }
}
