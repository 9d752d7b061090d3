use super::*;
use proptest::prelude::*;
use quadrat_core::Seed;

/// Bytes as a part of a mapped file.
fn part(bytes: &[u8]) -> Part {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("quadrat-matrix-{}-{number}", std::process::id()));
    std::fs::write(&path, bytes).unwrap();
    let file = Arc::new(Mapped::open(&path).unwrap());
    std::fs::remove_file(&path).unwrap();
    Part::new(&file, 0..bytes.len()).unwrap()
}

/// The numbers of blocks, which the processor's vectors and plain code must give alike.
fn unpacked(format: Format, bytes: &[u8]) -> Vec<f32> {
    let mut plain = vec![0.0; bytes.len() / format.bytes() * format.values()];
    let mut values = plain.clone();
    format.unpack(lanes::Plain, bytes, &mut plain);
    Matrix::new(part(bytes), format, [1, values.len()]).unwrap().row(0, &mut values);
    assert!(values.iter().zip(&plain).all(|(a, b)| a.to_bits() == b.to_bits()));
    values
}

/// Bytes i x 37 + 11 with given scales in half precision, as `gguf.quants.dequantize` of the Python package gguf reads them: some of the
/// numbers, their sum, and the sum of each times its place.
#[test]
fn blocks_hold_the_numbers_that_the_reference_reads() {
    let block = |n: usize, scales: &[(usize, u16)]| {
        let mut bytes: Vec<u8> = (0..n).map(|i| (i * 37 + 11) as u8).collect();
        scales.iter().for_each(|(at, half)| bytes[*at..at + 2].copy_from_slice(&half.to_le_bytes()));
        bytes
    };
    // In half precision: 0.3, 0.125, -0.3, 0.01.
    let (third, eighth, minus, hundredth) = (0x34cd, 0x3000, 0xb4cd, 0x211f);
    type Case<'a> = (Format, Vec<u8>, &'a [(usize, f32)], [f64; 2]);
    let cases: [Case; 4] = [
        (
            Format::Q4K,
            block(144, &[(0, eighth), (2, minus)]),
            &[(0, 57.927_49), (1, 15.302_49), (31, 38.552_49), (63, 13.701_172), (100, 24.201_66), (255, 18.751_709)],
            [9867.8125, 1_281_674.843_75],
        ),
        (
            Format::Q6K,
            block(210, &[(208, hundredth)]),
            &[(0, -14.313_057), (1, 16.963_623), (63, -5.801_239), (128, -3.510_749_8), (255, -0.600_128_2)],
            [46.129_852_294_921_875, 7_799.745_849_609_375],
        ),
        (
            Format::Q4_0,
            block(18, &[(0, third)]),
            &[(0, -0.900_146_5), (1, 0.600_097_66), (31, 0.0)],
            [-6.301_025_390_625, -149.124_267_578_125],
        ),
        (
            Format::Q8_0,
            block(34, &[(0, third)]),
            &[(0, 25.504_15), (1, 36.605_957), (31, -14.402_344)],
            [-52.808_593_75, -2_371.585_937_5],
        ),
    ];
    for (format, bytes, some, sums) in cases {
        let values = unpacked(format, &bytes);
        some.iter().for_each(|(at, value)| assert_eq!(values[*at], *value, "{format:?} {at}"));
        let wide = || values.iter().map(|value| f64::from(*value)).enumerate();
        assert_eq!(wide().map(|(_, value)| value).sum::<f64>(), sums[0], "{format:?}");
        assert_eq!(wide().map(|(at, value)| at as f64 * value).sum::<f64>(), sums[1], "{format:?}");
    }
}

/// d = .1268 and m = -.7305 in half precision; the first nibbles of the block in SmolLM2 whose numbers 0 and 16 are these.
#[test]
fn a_block_of_smollm2_has_its_first_numbers() {
    let mut block = vec![0_u8; 20];
    block[..2].copy_from_slice(&0x300f_u16.to_le_bytes());
    block[2..4].copy_from_slice(&0xb9d8_u16.to_le_bytes());
    block[4] = 0x45;
    let values = unpacked(Format::Q4_1, &block);
    assert_eq!((values[0], values[16], values[1]), (-0.096_313_48, -0.223_144_53, -0.730_468_75));
}

#[test]
fn halves_have_their_values() {
    for (bits, value) in [
        (0x0000_u16, 0.0),
        (0x0001, 5.960_464_5e-8),
        (0x03ff, 6.097_555e-5),
        (0x0400, 6.103_515_6e-5),
        (0x3555, 0.333_251_95),
        (0xc000, -2.0),
        (0x7bff, 65504.0),
        (0xfc00, f32::NEG_INFINITY),
    ] {
        assert_eq!(unpacked(Format::F16, &bits.to_le_bytes()), [value], "{bits:04x}");
    }
    assert!(unpacked(Format::F16, &0x7e00_u16.to_le_bytes())[0].is_nan());
    assert_eq!(unpacked(Format::Bf16, &[0x80, 0x3f, 0, 0xc0]), [1.0, -2.0]);
}

/// The order of additions that the module promises.
fn promised(row: &[f32], x: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 8];
    row.iter().zip(x).enumerate().for_each(|(i, (a, b))| sums[i % 8] = a.mul_add(*b, sums[i % 8]));
    let four: [f32; 4] = std::array::from_fn(|lane| sums[lane] + sums[lane + 4]);
    (four[0] + four[2]) + (four[1] + four[3])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn a_product_depends_on_its_row_and_vector_alone(
        (format, _) in prop::sample::select(Format::ALL), rows in 1..110_usize, blocks in 1..40_usize, tokens in 0..9_usize,
        seed in any::<u64>(),
    ) {
        let mut rng = Seed(seed).rng(0);
        let cols = blocks * format.values();
        // Exponents that leave no infinities: the second byte of every pair is small.
        let bytes: Vec<u8> = (0..rows * blocks * format.bytes()).map(|i| (rng.below(256) as u8) & if i % 2 == 1 { 0xbf } else { 0xff }).collect();
        let matrix = Matrix::new(part(&bytes), format, [rows, cols]).unwrap();
        let x: Vec<f32> = (0..tokens * cols).map(|_| rng.normal() as f32).collect();
        let mut out = vec![0.0; tokens * rows];
        matrix.product(&x, &mut out);
        let mut row = vec![0.0; cols];
        for at in 0..rows {
            matrix.row(at, &mut row);
            for (token, x) in x.chunks(cols).enumerate() {
                let (found, want) = (out[token * rows + at], promised(&row, x));
                prop_assert!(found.to_bits() == want.to_bits() || (found.is_nan() && want.is_nan()), "{found} {want}");
            }
        }
    }
}

#[test]
fn a_matrix_fills_its_part_with_whole_blocks() {
    let bytes = part(&[0; 36]);
    assert!(Matrix::new(bytes.clone(), Format::Q4_0, [2, 32]).is_some());
    for (format, shape) in [(Format::Q4_0, [1, 64 - 32]), (Format::Q4_0, [2, 16]), (Format::F32, [usize::MAX, 8])] {
        assert!(Matrix::new(bytes.clone(), format, shape).is_none(), "{shape:?}");
    }
    assert!(Part::new(&bytes.file, 30..40).is_none());
}
