use super::*;
use ndarray::{Array2, concatenate};
use quadrat_core::{Seed, Silent};

/// The pictures of `bench/denoise.py --golden`: a ramp with sines of squares upon it.
fn pictures() -> [Array3<f32>; 2] {
    let grey = Array2::from_shape_fn((24, 21), |(y, x)| {
        let i = (21 * y + x) as f64;
        (0.8 * y as f64 / 23.0 + 0.1 * (0.9 * i * i).sin()).clamp(0.0, 1.0)
    });
    let grey = grey.insert_axis(Axis(0));
    let colour = concatenate![Axis(0), grey, 1.0 - &grey, (0.5 * &grey + 0.2).mapv(|v| v.clamp(0.0, 1.0))];
    [grey, colour].map(|image| image.mapv(|v| v as f32))
}

/// scikit-image 0.26.0 with PyWavelets 1.8.0. Its exponential function is an approximation within a few hundredths (Schraudolph
/// 1999), ours is exact: values agree to three thousandths, deviations of the noise to rounding.
#[test]
fn values_are_scikit_images() {
    let table: [(usize, f64, [&[f32]; 3], f64); 4] = [
        (0, 0.061_507_035, [&[0.07157188], &[0.39527467], &[0.749_173_6]], 200.316_564_5),
        (0, 0.05, [&[0.05350215], &[0.39402914], &[0.7442085]], 200.190_427_1),
        (
            1,
            0.051_255_861,
            [
                &[0.06783032, 0.9321697, 0.23391517],
                &[0.3950736, 0.6049264, 0.39753678],
                &[0.7487362, 0.2512638, 0.5743681],
            ],
            704.940_568_2,
        ),
        (
            1,
            0.05,
            [
                &[0.06547632, 0.9345237, 0.23273817],
                &[0.39517376, 0.6048262, 0.39758688],
                &[0.74826974, 0.25173023, 0.5741349],
            ],
            704.930_501_5,
        ),
    ];
    for (which, sigma, places, total) in table {
        let image = &pictures()[which];
        let given = if sigma == 0.05 { Some(sigma) } else { None };
        if given.is_none() {
            let found = noise_deviation(image.view());
            assert!((found - sigma).abs() < 1e-6, "{found} for {sigma}");
        }
        let found = NonLocalMeans { sigma: given, ..NonLocalMeans::default() }.restore(image.view(), &Silent).unwrap();
        for ((y, x), golden) in [(0, 0), (12, 10), (23, 20)].into_iter().zip(places) {
            for (c, golden) in golden.iter().enumerate() {
                assert!((found[[c, y, x]] - golden).abs() < 3e-3, "{} for {golden}", found[[c, y, x]]);
            }
        }
        let sum: f64 = found.iter().map(|v| f64::from(*v)).sum();
        assert!((sum / total - 1.0).abs() < 1e-3, "{sum} for {total}");
    }
}

/// By hand, in double precision: the mean over all shifts with the weights of the definition.
#[test]
fn means_are_those_of_the_definition() {
    let image = &pictures()[1];
    let sigma = 0.07;
    let means = NonLocalMeans { patch: 4, distance: 2, cutoff: 1.1, sigma: Some(sigma) };
    let found = means.restore(image.view(), &Silent).unwrap();
    let (_, h, w) = image.dim();
    let at = |c: usize, y: isize, x: isize| {
        let mirror = |i, n| super::super::pictures::mirrored(i, n);
        f64::from(image[[c, mirror(y, h), mirror(x, w)]])
    };
    for (y, x) in [(0, 0), (11, 20), (17, 3)] {
        let (mut total, mut sums) = (0.0, [0.0; 3]);
        for (dy, dx) in (-2..=2).flat_map(|dy| (-2..=2).map(move |dx| (dy, dx))) {
            let mut far = 0.0;
            for (py, px) in (-1..=2).flat_map(|py| (-1..=2).map(move |px| (py, px))) {
                let difference = |c| at(c, y + py, x + px) - at(c, y + py + dy, x + px + dx);
                far += (0..3).map(|c| difference(c) * difference(c) - 2.0 * sigma * sigma).sum::<f64>();
            }
            let far = f64::max(far, 0.0) / (3.0 * 25.0 * (1.1 * sigma).powi(2));
            if far <= 5.0 {
                let weight = if dy == 0 && dx == 0 { 2.0 } else { 1.0 } * (-far).exp();
                total += weight;
                (0..3).for_each(|c| sums[c] += weight * at(c, y + dy, x + dx));
            }
        }
        for c in 0..3 {
            assert!((f64::from(found[[c, y as usize, x as usize]]) - sums[c] / total).abs() < 1e-5);
        }
    }
}

/// White noise is told to a hundredth on 256 x 256 pixels (its standard error there is 0.0075 of it: a false alarm in 15,000 runs
/// at 4 standard errors); threads and bands change no bit; a flat picture stays.
#[test]
fn noise_is_told_and_threads_do_not_matter() {
    let mut rng = Seed(1).rng(0);
    let image = Array3::from_shape_fn((1, 256, 256), |(_, y, _)| 0.3 + 0.001 * y as f32 + 0.05 * rng.normal() as f32);
    let found = noise_deviation(image.view());
    assert!((found / 0.05 - 1.0).abs() < 0.03, "{found}");
    let some = image.slice(ndarray::s![.., ..70, ..50]);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| NonLocalMeans::default().restore(some, &Silent).unwrap())
    };
    assert_eq!(run(1), run(2));
    let flat = Array3::from_elem((3, 7, 9), 0.4_f32);
    assert_eq!(NonLocalMeans::default().restore(flat.view(), &Silent).unwrap(), flat);
    assert_eq!(
        NonLocalMeans::default().restore(Array3::from_elem((1, 1, 1), 0.4).view(), &Silent).unwrap()[[0, 0, 0]],
        0.4
    );
}

#[test]
fn bad_input_is_refused() {
    let image = pictures()[0].clone();
    let means = NonLocalMeans::default();
    for (wrong, says) in [
        (NonLocalMeans { sigma: Some(f64::NAN), ..means }, "sigma"),
        (NonLocalMeans { sigma: Some(-1.0), ..means }, "sigma"),
        (NonLocalMeans { cutoff: 0.0, ..means }, "a cutoff above 0"),
        (NonLocalMeans { patch: 1, ..means }, "a patch of at least 2"),
    ] {
        let error = wrong.restore(image.view(), &Silent).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    assert!(means.restore(image.mapv(|v| v * 255.0).view(), &Silent).is_err());
    assert!(means.restore(Array3::zeros((1, 0, 4)).view(), &Silent).is_err());
}
