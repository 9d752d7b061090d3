//! Values of SigPy 0.1.27 (`sigpy.fft`, centred and orthonormal by default), and the definition.

use super::*;
use proptest::prelude::*;
use quadrat_core::Seed;
use quadrat_numeric::operator::{LinearOp, check_operator};

fn noise(count: usize, item: u64) -> Vec<Complex<f64>> {
    let mut rng = Seed(5).stream("fft").rng(item);
    (0..count).map(|_| Complex::new(rng.normal(), rng.normal())).collect()
}

fn far(a: &[Complex<f64>], b: &[Complex<f64>]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).norm()).fold(0.0, f64::max)
}

/// The definition, along one axis of `side` with `inner` numbers after it.
fn by_definition(data: &[Complex<f64>], side: usize, inner: usize) -> Vec<Complex<f64>> {
    let half = (side / 2) as f64;
    let sum = |place: usize| {
        let (before, k, after) = (place / (side * inner), place / inner % side, place % inner);
        let term = |n: usize| {
            let angle = -2.0 * std::f64::consts::PI * (k as f64 - half) * (n as f64 - half) / side as f64;
            data[(before * side + n) * inner + after] * Complex::from_polar(1.0 / (side as f64).sqrt(), angle)
        };
        (0..side).map(term).sum()
    };
    (0..data.len()).map(sum).collect()
}

#[test]
fn a_point_and_a_constant_are_what_sigpy_says() {
    let one = |side: usize, at: usize| {
        (0..side).map(|i| Complex::new(f64::from(u8::from(i == at)), 0.0)).collect::<Vec<Complex<f64>>>()
    };
    for (side, value) in [(8, 0.35355339059327373), (5, 0.447213595499958)] {
        let got = Fft::new(&[side]).unwrap().transform(&one(side, side / 2)).unwrap();
        assert!(got.iter().all(|v| (v - value).norm() < 1e-15));
    }
    let got = Fft::<f64>::new(&[8]).unwrap().transform(&[Complex::new(1.0, 0.0); 8]).unwrap();
    assert!((got[4].re - 2.8284271247461903).abs() < 1e-14);
    assert!(got.iter().enumerate().all(|(i, v)| i == 4 || v.norm() < 1e-15));
}

#[test]
fn all_axes_follow_the_definition() {
    for shape in [vec![7], vec![6, 9], vec![3, 4, 5], vec![1, 10], vec![16, 1]] {
        let image = noise(shape.iter().product(), 1);
        let mut want = image.clone();
        for axis in 0..shape.len() {
            want = by_definition(&want, shape[axis], shape[axis + 1..].iter().product());
        }
        let fft = Fft::new(&shape).unwrap();
        let got = fft.transform(&image).unwrap();
        assert!(far(&got, &want) < 1e-13, "{shape:?}");
        assert!(far(&fft.inverse(&got).unwrap(), &image) < 1e-13, "{shape:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]
    #[test]
    fn the_transform_is_unitary(height in 1_usize..30, width in 1_usize..30, seed in 0_u64..1000) {
        let fft = Fft::new(&[height, width]).unwrap();
        let image = noise(height * width, seed);
        let size = |v: &[Complex<f64>]| v.iter().map(Complex::norm_sqr).sum::<f64>();
        let got = fft.transform(&image).unwrap();
        prop_assert!((size(&got) / size(&image) - 1.0).abs() < 1e-12);
        prop_assert!(far(&fft.inverse(&got).unwrap(), &image) < 1e-12);
    }
}

#[test]
fn rows_of_pairs_have_an_exact_adjoint() {
    let fft = Fft::<f64>::new(&[5, 6]).unwrap();
    check_operator(&fft).unwrap();
    assert!((fft.norm().unwrap() - 1.0).abs() < 1e-9);
    check_operator(&Fft::<f32>::new(&[5, 6]).unwrap()).unwrap();
}

#[test]
fn lengths_are_checked() {
    assert!(Fft::<f64>::new(&[]).is_err());
    assert!(Fft::<f64>::new(&[4, 0]).is_err());
    let fft = Fft::<f64>::new(&[4, 4]).unwrap();
    assert!(fft.transform(&noise(15, 0)).is_err());
    assert!(fft.inverse(&[]).is_err());
    let mut out = noise(16, 0);
    assert!(Encoding::forward(&fft, &noise(32, 0), &mut out).is_err());
    assert!(LinearOp::forward(&fft, ndarray::Array2::zeros((1, 31)).view()).is_err());
}
