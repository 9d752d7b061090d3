//! How checkpoints write numbers: floats of 16 and 32 bits, and the blocks of a few bits a number that llama.cpp names.
//!
//! A block holds its numbers as small integers q, and scales in half precision. Every number is made by the products and the one sum that
//! are written here; products are exact in single precision, so that a number has the bits that ggml and its Python package give it.

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
    pub(crate) fn unpack(self, row: &[u8], out: &mut [f32]) {
        match self {
            Format::F32 => each(row, out, single),
            Format::F16 => each(row, out, f16),
            Format::Bf16 => each(row, out, bf16),
            Format::Q4_0 => each(row, out, q4_0),
            Format::Q4_1 => each(row, out, q4_1),
            Format::Q8_0 => each(row, out, q8_0),
            Format::Q4K => each(row, out, q4_k),
            Format::Q6K => each(row, out, q6_k),
        }
    }
}

#[inline(always)]
fn each<const B: usize, const V: usize>(row: &[u8], out: &mut [f32], unpack: impl Fn(&[u8; B], &mut [f32; V])) {
    // Loops, not closures: only what is inlined here is compiled for the processor's vectors.
    for (block, out) in row.as_chunks::<B>().0.iter().zip(out.as_chunks_mut::<V>().0) {
        unpack(block, out);
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
fn single(bytes: &[u8; 4], out: &mut [f32; 1]) {
    out[0] = f32::from_le_bytes(*bytes);
}

#[inline(always)]
fn f16(bytes: &[u8; 2], out: &mut [f32; 1]) {
    out[0] = half(bytes);
}

#[inline(always)]
fn bf16(bytes: &[u8; 2], out: &mut [f32; 1]) {
    out[0] = f32::from_bits(u32::from(u16::from_le_bytes(*bytes)) << 16);
}

/// The first `N` bytes from `at` on.
#[inline(always)]
fn part<const N: usize>(bytes: &[u8], at: usize) -> &[u8; N] {
    const { assert!(N > 0) };
    bytes[at..].first_chunk().unwrap_or(&[0; N])
}

#[inline(always)]
fn q4_0(block: &[u8; 18], out: &mut [f32; 32]) {
    let d = half(part(block, 0));
    for (j, byte) in part::<16>(block, 2).iter().enumerate() {
        out[j] = d * (f32::from(byte & 15) - 8.0);
        out[j + 16] = d * (f32::from(byte >> 4) - 8.0);
    }
}

#[inline(always)]
fn q4_1(block: &[u8; 20], out: &mut [f32; 32]) {
    let (d, m) = (half(part(block, 0)), half(part(block, 2)));
    for (j, byte) in part::<16>(block, 4).iter().enumerate() {
        out[j] = d * f32::from(byte & 15) + m;
        out[j + 16] = d * f32::from(byte >> 4) + m;
    }
}

#[inline(always)]
fn q8_0(block: &[u8; 34], out: &mut [f32; 32]) {
    let d = half(part(block, 0));
    for (out, byte) in out.iter_mut().zip(part::<32>(block, 2)) {
        *out = d * f32::from(*byte as i8);
    }
}

/// d and dmin, scales and offsets of eight groups in 12 bytes, then the low and high nibbles of four pairs of groups.
#[inline(always)]
fn q4_k(block: &[u8; 144], out: &mut [f32; 256]) {
    let (d, min) = (half(part(block, 0)), half(part(block, 2)));
    let six: &[u8; 12] = part(block, 4);
    for (group, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let (scale, offset) = match group {
            0..4 => (six[group] & 63, six[group + 4] & 63),
            _ => (six[group + 4] & 15 | six[group - 4] >> 6 << 4, six[group + 4] >> 4 | six[group] >> 6 << 4),
        };
        let (scale, offset) = (d * f32::from(scale), min * f32::from(offset));
        let shift = 4 * (group % 2);
        for (out, byte) in out.iter_mut().zip(part::<32>(block, 16 + 32 * (group / 2))) {
            *out = scale * f32::from(byte >> shift & 15) - offset;
        }
    }
}

/// Low four bits, high two bits, scales of 16 groups, d; a half of the block has its four quarters beside each other.
#[inline(always)]
fn q6_k(block: &[u8; 210], out: &mut [f32; 256]) {
    let d = half(part(block, 208));
    let scales: &[u8; 16] = part(block, 192);
    for (n, out) in out.as_chunks_mut::<128>().0.iter_mut().enumerate() {
        let low: &[u8; 64] = part(block, 64 * n);
        let high: &[u8; 32] = part(block, 128 + 32 * n);
        for (quarter, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
            let low = &low[32 * (quarter % 2)..][..32];
            for (half, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
                let scale = d * f32::from(scales[8 * n + 2 * quarter + half] as i8);
                for (j, out) in out.iter_mut().enumerate() {
                    let at = 16 * half + j;
                    let q = low[at] >> (4 * (quarter / 2)) & 15 | (high[at] >> (2 * quarter) & 3) << 4;
                    *out = scale * (f32::from(q) - 32.0);
                }
            }
        }
    }
}
