//! The truth is the direct sum; values of SigPy 0.1.27 (`nufft`, `nufft_adjoint`) where the same kernel is asked for.

use super::*;
use crate::masks::radial_golden;
use crate::{Fft, encoding};
use ndarray::{Array2, array};
use quadrat_core::Seed;
use quadrat_numeric::operator::{LinearOp, check_operator};
use rustfft::num_complex::Complex64;

fn noise(count: usize, item: u64) -> Vec<Complex64> {
    let mut rng = Seed(5).stream("nufft").rng(item);
    (0..count).map(|_| Complex::new(rng.normal(), rng.normal())).collect()
}

fn anywhere(shape: &[usize], points: usize, item: u64) -> Array2<f64> {
    let mut rng = Seed(6).stream("trajectory").rng(item);
    Array2::from_shape_fn((points, shape.len()), |(_, axis)| (rng.uniform() - 0.5) * shape[axis] as f64)
}

/// The definition.
fn direct(shape: &[usize], coordinates: &Array2<f64>, image: &[Complex64]) -> Vec<Complex64> {
    let strides = crate::masks::strides(shape);
    let sample = |k: ndarray::ArrayView1<f64>| -> Complex64 {
        let term = |(place, value): (usize, &Complex64)| {
            let turns: f64 = (0..shape.len())
                .map(|axis| {
                    let n = (place / strides[axis] % shape[axis]) as f64 - (shape[axis] / 2) as f64;
                    k[axis] * n / shape[axis] as f64
                })
                .sum();
            value * Complex::from_polar(1.0, -2.0 * std::f64::consts::PI * turns)
        };
        image.iter().enumerate().map(term).sum::<Complex64>() / (image.len() as f64).sqrt()
    };
    coordinates.outer_iter().map(sample).collect()
}

fn single(values: &[Complex64]) -> Vec<Complex<f32>> {
    values.iter().map(|v| Complex::new(v.re as f32, v.im as f32)).collect()
}

fn double(values: &[Complex<f32>]) -> Vec<Complex64> {
    values.iter().map(|v| Complex::new(f64::from(v.re), f64::from(v.im))).collect()
}

/// |got - want| / |want|.
fn off(got: &[Complex64], want: &[Complex64]) -> f64 {
    let size = |v: &mut dyn Iterator<Item = f64>| v.sum::<f64>().sqrt();
    size(&mut got.iter().zip(want).map(|(a, b)| (a - b).norm_sqr())) / size(&mut want.iter().map(Complex::norm_sqr))
}

fn forward<T: Real>(plan: &Nufft<T>, image: &[Complex<T>]) -> Vec<Complex<T>> {
    let mut samples = vec![Complex::new(T::zero(), T::zero()); plan.samples() * (image.len() / plan.pixels())];
    Encoding::forward(plan, image, &mut samples).unwrap();
    samples
}

fn adjoint<T: Real>(plan: &Nufft<T>, samples: &[Complex<T>]) -> Vec<Complex<T>> {
    let mut images = vec![Complex::new(T::zero(), T::zero()); plan.pixels() * (samples.len() / plan.samples())];
    Encoding::adjoint(plan, samples, &mut images).unwrap();
    images
}

#[test]
fn errors_are_those_of_the_table() {
    let shape = [32, 32];
    let coordinates = anywhere(&shape, 2000, 0);
    let image = noise(1024, 0);
    let want = direct(&shape, &coordinates, &image);
    for (oversampling, width, error) in [(1.25, 4, 6.8e-3), (1.25, 6, 3.7e-4), (2.0, 4, 5.9e-4), (2.0, 6, 6.7e-6)] {
        let gridding = Gridding { oversampling, width, exact: true };
        let plan = Nufft::<f64>::new(&shape, coordinates.view(), gridding).unwrap();
        let got = off(&forward(&plan, &image), &want);
        assert!(got < 1.1 * error && got > 0.3 * error, "{oversampling} {width}: {got} instead of {error}");
        if width == 6 && oversampling == 2.0 {
            let plan = Nufft::<f32>::new(&shape, coordinates.view(), gridding).unwrap();
            assert!(off(&double(&forward(&plan, &single(&image))), &want) < 1.1 * error);
        }
    }
}

#[test]
fn tolerances_hold_in_two_and_three_dimensions_and_for_odd_sides() {
    for (shape, points) in [(vec![20, 33], 300), (vec![9, 12, 10], 150), (vec![24, 24], 300), (vec![7, 40], 100)] {
        let coordinates = anywhere(&shape, points, 1);
        let image = noise(shape.iter().product(), 1);
        let want = direct(&shape, &coordinates, &image);
        for tolerance in [1e-1, 1e-2, 1e-3, 1e-6, 1e-9, 1e-12, 1e-13] {
            let Ok(plan) = Nufft::<f64>::new(&shape, coordinates.view(), Gridding::for_tolerance(tolerance).unwrap())
            else {
                panic!("{shape:?} {tolerance}");
            };
            let got = off(&forward(&plan, &image), &want);
            assert!(got < tolerance, "{shape:?}: {got} at tolerance {tolerance}");
            if tolerance >= 1e-6 {
                let plan =
                    Nufft::<f32>::new(&shape, coordinates.view(), Gridding::for_tolerance(tolerance).unwrap()).unwrap();
                let got = off(&double(&forward(&plan, &single(&image))), &want);
                assert!(got < tolerance, "single precision, {shape:?}: {got} at tolerance {tolerance}");
            }
        }
    }
}

#[test]
fn adjoints_are_exact() {
    for shape in [vec![12, 12], vec![13, 8], vec![5, 6, 7]] {
        let coordinates = anywhere(&shape, 50, 2);
        for width in [2, 3, 4, 5, 8, 10] {
            let gridding = Gridding { oversampling: 2.0, width, exact: false };
            let plan = Nufft::<f64>::new(&shape, coordinates.view(), gridding).unwrap();
            check_operator(&plan).unwrap();
            let (x, y) = (noise(plan.pixels(), 3), noise(50, 4));
            let dot = |a: &[Complex64], b: &[Complex64]| a.iter().zip(b).map(|(a, b)| a.conj() * b).sum::<Complex64>();
            let difference = dot(&y, &forward(&plan, &x)) - dot(&adjoint(&plan, &y), &x);
            assert!(difference.norm() < 1e-11, "{shape:?} {width}: {difference}");
            check_operator(&Nufft::<f32>::new(&shape, coordinates.view(), gridding).unwrap()).unwrap();
        }
    }
}

#[test]
fn sigpy_says_the_same() {
    let coordinates = array![[-3.7, 2.3], [0.2, -0.4], [1.1, 2.9], [3.3, -2.6], [-0.6, 0.15]];
    let image: Vec<Complex64> = (0..48).map(|j| Complex::new(f64::from(j + 1).sin(), f64::from(2 * j).cos())).collect();
    let samples = [(1.0, 2.0), (0.0, -1.0), (0.5, 0.0), (2.0, -1.0), (-0.3, 0.7)].map(|(re, im)| Complex::new(re, im));
    let narrow = (
        Gridding { oversampling: 1.25, width: 4, exact: true },
        [
            (0.056793844, -0.014064039),
            (0.596080543, -1.535494464),
            (0.301997863, 0.138292031),
            (0.041390722, -0.133576934),
            (0.655778460, 1.031932001),
        ],
        [
            (-0.007417604, -0.518533485),
            (-0.321279675, -0.595675162),
            (0.206258436, 0.210486134),
            (-0.167329444, -0.017421664),
            (-0.432744393, 0.194404000),
        ],
    );
    let wide = (
        Gridding { oversampling: 2.0, width: 6, exact: true },
        [
            (0.049660599, -0.010030294),
            (0.598617284, -1.536386193),
            (0.304648242, 0.139725853),
            (0.042631886, -0.134139076),
            (0.653160680, 1.024397108),
        ],
        [
            (-0.006069617, -0.518912131),
            (-0.319705552, -0.595933164),
            (0.206749517, 0.210112326),
            (-0.166942014, -0.018492721),
            (-0.431134393, 0.198085935),
        ],
    );
    for (gridding, there, back) in [narrow, wide] {
        let plan = Nufft::new(&[8, 6], coordinates.view(), gridding).unwrap();
        for (got, want) in forward(&plan, &image).iter().zip(there) {
            assert!((got - Complex::new(want.0, want.1)).norm() < 1e-5, "{got} {want:?}");
        }
        let got = adjoint(&plan, &samples);
        for (place, want) in [0, 7, 20, 33, 47].into_iter().zip(back) {
            assert!((got[place] - Complex::new(want.0, want.1)).norm() < 1e-5, "{} {want:?}", got[place]);
        }
    }
}

#[test]
fn whole_coordinates_are_the_fast_transform() {
    let shape = [10, 15];
    let whole = Array2::from_shape_fn((150, 2), |(i, axis)| if axis == 0 { i / 15 } else { i % 15 } as f64);
    let centred = whole - array![[5.0, 7.0]];
    let plan = Nufft::<f64>::new(&shape, centred.view(), Gridding::for_tolerance(1e-12).unwrap()).unwrap();
    let image = noise(150, 5);
    assert!(off(&forward(&plan, &image), &Fft::new(&shape).unwrap().transform(&image).unwrap()) < 1e-12);
}

#[test]
fn threads_and_company_change_no_bit() {
    let shape = [40, 36];
    let coordinates = radial_golden(shape, 21).unwrap();
    let plan = Nufft::<f32>::new(&shape, coordinates.view(), Gridding::for_tolerance(1e-4).unwrap()).unwrap();
    let images = single(&noise(3 * 40 * 36, 6));
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let samples = forward(&plan, &images);
            let back = adjoint(&plan, &samples);
            let toeplitz =
                Toeplitz::new(&shape, coordinates.view(), &vec![1.0; 21 * 80], Gridding::for_tolerance(1e-4).unwrap());
            let mut normal = images.clone();
            toeplitz.unwrap().apply(&images, &mut normal).unwrap();
            (samples, back, normal, pipe_menon(&plan, 3).unwrap())
        })
    };
    let one = run(1);
    assert!(one == run(2));
    let alone = forward(&plan, &images[40 * 36..2 * 40 * 36]);
    assert!(alone == one.0[21 * 80..2 * 21 * 80]);
}

#[test]
fn toeplitz_is_the_normal_operator() {
    for shape in [vec![12, 16], vec![9, 10], vec![6, 7, 8]] {
        let coordinates = anywhere(&shape, 200, 7);
        let gridding = Gridding::for_tolerance(1e-10).unwrap();
        let plan = Nufft::<f64>::new(&shape, coordinates.view(), gridding).unwrap();
        let weights: Vec<f64> = noise(200, 8).iter().map(|v| v.norm()).collect();
        let image = noise(plan.pixels(), 9);
        let mut samples = forward(&plan, &image);
        samples.iter_mut().zip(&weights).for_each(|(y, w)| *y *= *w);
        let want = adjoint(&plan, &samples);
        let toeplitz = Toeplitz::new(&shape, coordinates.view(), &weights, gridding).unwrap();
        let mut got = vec![Complex::new(0.0, 0.0); plan.pixels()];
        toeplitz.apply(&image, &mut got).unwrap();
        assert!(off(&got, &want) < 1e-9, "{shape:?}: {}", off(&got, &want));
    }
}

/// Samples on every point of the grid stand for as much each, and the weighted adjoint of ones is a point within 0.5%.
#[test]
fn a_full_grid_is_a_point() {
    let shape = [24, 24];
    let whole = Array2::from_shape_fn((576, 2), |(i, axis)| if axis == 0 { i / 24 } else { i % 24 } as f64 - 12.0);
    let plan = Nufft::<f64>::new(&shape, whole.view(), Gridding::for_tolerance(1e-6).unwrap()).unwrap();
    let weights = pipe_menon(&plan, 30).unwrap();
    assert!((weights.iter().sum::<f64>() - 576.0).abs() < 1e-9);
    assert!(weights.iter().all(|w| (w - 1.0).abs() < 1e-3));
    let ones: Vec<Complex64> = weights.iter().map(|w| Complex::new(*w, 0.0)).collect();
    let point = adjoint(&plan, &ones);
    let peak = point[12 * 24 + 12].re;
    assert!((peak - 24.0).abs() < 1e-3);
    assert!(point.iter().enumerate().all(|(i, v)| i == 12 * 24 + 12 || v.norm() < 0.005 * peak));
}

/// Dense spokes fill a disc, whose point-spread function is 2 J₁(π r) / (π r); at r = 1, 2, 3 pixels that is 0.1812, -0.0675, 0.0375
/// (scipy.special.j1, SciPy 1.17).
#[test]
fn spokes_fill_a_disc() {
    let shape = [32, 32];
    let coordinates = radial_golden(shape, 101).unwrap();
    let plan = Nufft::<f64>::new(&shape, coordinates.view(), Gridding::for_tolerance(1e-6).unwrap()).unwrap();
    // At the edge of the disc the fixed point gives more weight, since nothing is beyond; |k| does not.
    let both = [(pipe_menon(&plan, 30).unwrap(), 0.05), (ramp(&shape, coordinates.view()).unwrap(), 0.02)];
    for (weights, most) in both {
        assert!(weights.iter().all(|w| *w > 0.0));
        let ones: Vec<Complex64> = weights.iter().map(|w| Complex::new(*w, 0.0)).collect();
        let point = adjoint(&plan, &ones);
        let centre = 16 * 32 + 16;
        for (r, want) in [(1, 0.1812), (2, -0.0675), (3, 0.0375)] {
            for place in [centre + r, centre - r, centre + 32 * r, centre - 32 * r] {
                let got = point[place].re / point[centre].re;
                assert!((got - want).abs() < most, "{r}: {got} {want}");
            }
        }
    }
}

#[test]
fn wrong_plans_are_refused() {
    let gridding = Gridding::for_tolerance(1e-3).unwrap();
    let refused =
        |shape: &[usize], k: Array2<f64>| Nufft::<f64>::new(shape, k.view(), gridding).err().unwrap().to_string();
    assert!(refused(&[8, 8], array![[0.0, 4.1]]).contains("from -4 to 4"));
    assert!(refused(&[8, 8], array![[0.0, f64::NAN]]).contains("point 0, axis 1: got NaN"));
    assert!(refused(&[8, 8], array![[0.0, f64::INFINITY]]).contains("inf"));
    assert!(refused(&[8, 8], Array2::zeros((0, 2))).contains("at least one point"));
    assert!(refused(&[8, 8], Array2::zeros((3, 3))).contains("points x 2"));
    assert!(refused(&[8], Array2::zeros((3, 1))).contains("two or three axes"));
    assert!(refused(&[8, 1], Array2::zeros((3, 2))).contains("sides of at least 2"));
    let with = |oversampling, width| Gridding { oversampling, width, exact: true };
    for gridding in [with(1.0, 4), with(2.0, 1), with(2.0, 17), with(f64::NAN, 4)] {
        assert!(Nufft::<f64>::new(&[8, 8], Array2::zeros((3, 2)).view(), gridding).is_err());
    }
    assert!(Nufft::<f64>::new(&[2, 2], Array2::zeros((3, 2)).view(), with(2.0, 8)).is_err());
    let plan = Nufft::<f64>::new(&[8, 8], Array2::zeros((3, 2)).view(), gridding).unwrap();
    assert!(pipe_menon(&plan, 0).is_err());
    assert!(Encoding::forward(&plan, &noise(63, 0), &mut noise(3, 0)).is_err());
    assert!(Encoding::adjoint(&plan, &noise(3, 0), &mut noise(128, 0)).is_err());
    assert!(LinearOp::forward(&plan, Array2::zeros((1, 3)).view()).is_err());
    assert!(Toeplitz::<f64>::new(&[8, 8], Array2::zeros((3, 2)).view(), &[1.0], gridding).is_err());
    assert!(encoding::images(0, 4, 0, 2).is_err());
}
