use super::*;
use proptest::prelude::*;
use quadrat_core::Silent;
use std::io::Write;

/// A header of 352 bytes, little-endian, for 2 x 3 x 4 numbers of 16 bits with voxels of 2 mm, and 0, 1, 2, ... behind it.
fn file() -> Vec<u8> {
    let mut bytes = vec![0; 352];
    put(&mut bytes, 0, 348i32.to_le_bytes());
    for (i, side) in [3i16, 2, 3, 4].into_iter().enumerate() {
        put(&mut bytes, 40 + 2 * i, side.to_le_bytes());
    }
    put(&mut bytes, 70, 4i16.to_le_bytes());
    for (i, side) in [1f32, 2.0, 2.0, 2.0].into_iter().enumerate() {
        put(&mut bytes, 76 + 4 * i, side.to_le_bytes());
    }
    put(&mut bytes, 108, 352f32.to_le_bytes());
    put(&mut bytes, 344, *b"n+1\0");
    bytes.extend((0..24i16).flat_map(i16::to_le_bytes));
    bytes
}

fn put<const N: usize>(bytes: &mut [u8], at: usize, what: [u8; N]) {
    bytes[at..at + N].copy_from_slice(&what);
}

/// The file with other floats at these places.
fn with(floats: &[(usize, f32)], shorts: &[(usize, i16)]) -> Vec<u8> {
    let mut bytes = file();
    floats.iter().for_each(|(at, v)| put(&mut bytes, *at, v.to_le_bytes()));
    shorts.iter().for_each(|(at, v)| put(&mut bytes, *at, v.to_le_bytes()));
    bytes
}

#[test]
fn numbers_lie_first_axis_fastest() {
    let volume = Volume::decode(&file(), None).unwrap();
    assert_eq!(volume.values.dim(), (2, 3, 4));
    for ((i, j, k), v) in volume.values.indexed_iter() {
        assert_eq!(*v, (i + 2 * j + 6 * k) as f32);
    }
    let slices = volume.slices();
    assert_eq!((slices.len(), slices[1][[1, 2]]), (4, 11.0));
}

#[test]
fn scaling_is_as_in_nibabel() {
    let slope = |slope: f32, intercept: f32| Volume::decode(&with(&[(112, slope), (116, intercept)], &[]), None);
    for (a, b, want) in
        [(0.0, 9.0, 7.0), (f32::NAN, 9.0, 7.0), (f32::INFINITY, 9.0, 7.0), (-1.0, 0.5, -6.5), (2.0, 1.0, 15.0)]
    {
        assert_eq!(slope(a, b).unwrap().values[[1, 0, 1]], want, "{a} {b}");
    }
    assert!(slope(2.0, f32::NAN).unwrap_err().contains("NaN is added"));
}

/// Golden: nibabel 5.4.2, `get_best_affine` and `aff2axcodes` of the same headers.
#[test]
fn orientations_are_nibabels() {
    let volume =
        |floats: &[(usize, f32)], shorts: &[(usize, i16)]| Volume::decode(&with(floats, shorts), None).unwrap();
    let near = |volume: &Volume, want: [[f64; 4]; 3]| {
        let off = volume.affine.iter().flatten().zip(want.iter().flatten()).map(|(a, b)| (a - b).abs());
        assert!(off.fold(0.0, f64::max) < 1e-6, "{:?}", volume.affine);
    };
    let plain = volume(&[], &[]);
    near(&plain, [[-2.0, 0.0, 0.0, 1.0], [0.0, 2.0, 0.0, -2.0], [0.0, 0.0, 2.0, -3.0]]);
    assert_eq!(plain.orientation(), "LAS");
    let sides = [(76, -1.0), (80, 1.0), (84, 2.0), (88, 3.0), (268, 4.0), (272, 5.0), (276, 6.0)];
    let q = volume(&[&sides[..], &[(256, 0.1), (260, 0.2), (264, 0.3)]].concat(), &[(252, 1)]);
    near(
        &q,
        [
            [0.73999998, -1.03283426, -1.29283424, 4.0],
            [0.59641713, 1.59999997, 0.1964171, 5.0],
            [-0.31094474, 0.61094476, -2.69999999, 6.0],
        ],
    );
    assert_eq!(q.orientation(), "RAI");
    let half = volume(&[&[(76, 1.0)], &sides[1..], &[(260, 1.0)]].concat(), &[(252, 1)]);
    near(&half, [[-1.0, 0.0, 0.0, 4.0], [0.0, 2.0, 0.0, 5.0], [0.0, 0.0, -3.0, 6.0]]);
    assert_eq!(half.orientation(), "LAI");
    let s = volume(&[(284, 3.0), (300, -1.0), (304, 2.0), (312, 5.0), (292, 7.0)], &[(252, 1), (254, 2)]);
    near(&s, [[0.0, 3.0, 0.0, 7.0], [0.0, -1.0, 2.0, 0.0], [5.0, 0.0, 0.0, 0.0]]);
    assert_eq!(s.orientation(), "SRA");
}

#[test]
fn all_kinds_of_numbers_are_read_in_both_orders() {
    let mut big = vec![0; 352];
    put(&mut big, 0, 348i32.to_be_bytes());
    for (i, side) in [3i16, 1, 1, 2].into_iter().enumerate() {
        put(&mut big, 40 + 2 * i, side.to_be_bytes());
    }
    put(&mut big, 344, *b"n+1\0");
    let kinds: [(i16, Vec<u8>, f32); 10] = [
        (2, vec![200, 201], 201.0),
        (256, vec![1, 0xfe], -2.0),
        (4, [(-3i16).to_be_bytes(), 4i16.to_be_bytes()].concat(), 4.0),
        (512, [3u16.to_be_bytes(), 65_535u16.to_be_bytes()].concat(), 65_535.0),
        (8, [3i32.to_be_bytes(), (-70_000i32).to_be_bytes()].concat(), -70_000.0),
        (768, [3u32.to_be_bytes(), 70_000u32.to_be_bytes()].concat(), 70_000.0),
        (16, [3f32.to_be_bytes(), 0.25f32.to_be_bytes()].concat(), 0.25),
        (64, [3f64.to_be_bytes(), 0.125f64.to_be_bytes()].concat(), 0.125),
        (1024, [3i64.to_be_bytes(), (-5i64).to_be_bytes()].concat(), -5.0),
        (1280, [3u64.to_be_bytes(), 5u64.to_be_bytes()].concat(), 5.0),
    ];
    for (code, numbers, want) in kinds {
        let mut bytes = big.clone();
        put(&mut bytes, 70, code.to_be_bytes());
        bytes.extend(numbers);
        assert_eq!(Volume::decode(&bytes, None).unwrap().values[[0, 0, 1]], want, "{code}");
    }
}

#[test]
fn several_volumes_must_be_chosen_from() {
    // 2 x 3 x 2 x 2.
    let bytes = with(&[], &[(40, 4), (46, 2), (48, 2)]);
    let why = Volume::decode(&bytes, None).unwrap_err();
    assert!(why.contains("2 volumes (4 dimensions)"), "{why}");
    assert_eq!(Volume::decode(&bytes, Some(1)).unwrap().values[[0, 0, 0]], 12.0);
    assert!(Volume::decode(&bytes, Some(2)).unwrap_err().contains("volume 2 is asked for"));
    // A fourth axis of length 1 is none.
    assert!(Volume::decode(&with(&[], &[(40, 4), (48, 1)]), None).is_ok());
    assert!(Volume::decode(&with(&[], &[(40, 2)]), None).unwrap().values.dim() == (2, 3, 1));
}

#[test]
fn what_is_not_read_is_named() {
    let cut = file()[..390].to_vec();
    let marked = |mark: &[u8; 4]| {
        let mut bytes = file();
        put(&mut bytes, 344, *mark);
        bytes
    };
    let second = {
        let mut bytes = file();
        put(&mut bytes, 0, 540i32.to_le_bytes());
        bytes
    };
    for (bytes, words) in [
        (vec![1; 100], "100 bytes"),
        (vec![0; 400], "does not begin with 348"),
        (second, "NIfTI-2"),
        (marked(b"ni1\0"), "another file (.img)"),
        (marked(b"\0\0\0\0"), "ANALYZE"),
        (with(&[], &[(70, 32)]), "complex (code 32)"),
        (with(&[], &[(70, 1792)]), "complex"),
        (with(&[], &[(70, 2048)]), "complex"),
        (with(&[], &[(70, 128)]), "colours"),
        (with(&[], &[(70, 1536)]), "128 bits"),
        (with(&[], &[(70, 7)]), "unknown kind"),
        (with(&[], &[(40, 0)]), "0 dimensions"),
        (with(&[], &[(40, 5), (48, 1), (50, 2)]), "more than 4 dimensions"),
        (with(&[], &[(44, -1)]), "-1 voxels along dimension 2"),
        (with(&[(108, f32::NAN)], &[]), "byte NaN"),
        (cut, "cut off"),
        (with(&[], &[(42, i16::MAX), (44, i16::MAX), (46, i16::MAX)]), "cut off"),
    ] {
        let why = Volume::decode(&bytes, None).unwrap_err();
        assert!(why.contains(words), "{words}: {why}");
    }
}

#[test]
fn compression_is_seen_by_the_first_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("brain.nii");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&file()).unwrap();
    std::fs::write(&path, packed.finish().unwrap()).unwrap();
    assert_eq!(Volume::read(&path, None, &Silent).unwrap(), Volume::decode(&file(), None).unwrap());
    std::fs::write(&path, b"text").unwrap();
    let error = Volume::read(&path, None, &Silent).unwrap_err().to_string();
    assert!(error.contains("brain.nii") && error.contains("no NIfTI file"), "{error}");
}

proptest! {
    /// No damage makes it panic or take memory that the file does not have.
    #[test]
    fn damaged_files_are_errors_or_volumes(at in 0usize..400, byte: u8, length in 0usize..400, volume in 0usize..3) {
        let mut bytes = file();
        bytes[at.min(399)] = byte;
        bytes.truncate(length);
        let _ = Volume::decode(&bytes, Some(volume));
    }
}
