use super::super::model::{Denoiser, Way};
use super::super::tiles::{answers, tiled};
use super::*;
use ndarray::{Array2, Array3};
use proptest::prelude::*;
use quadrat_core::Silent;
use quadrat_nn::{evaluate, pull_back};

/// Sines of the place, as `bench/denoise.py` has them.
fn sines(net: &Dbsn) -> Parameters {
    let mut parameters = net.fresh(Seed(0)).unwrap();
    let mut fan = 1.0;
    for (k, p) in parameters.iter_mut().enumerate() {
        if let [_, from, h, w] = p.shape[..] {
            fan = (from * h * w) as f64;
        }
        let values: Vec<f32> = (0..p.len()).map(|i| ((1.3 * i as f64 + k as f64).sin() / fan.sqrt()) as f32).collect();
        p.set(&values).unwrap();
    }
    parameters
}

fn picture(channels: usize, height: usize, width: usize) -> Array3<f32> {
    let mut i = -1.0;
    Array3::from_shape_fn((channels, height, width), |_| {
        i += 1.0;
        (((0.7_f64 * i).sin() + 1.0) / 2.0) as f32
    })
}

/// `python bench/denoise.py --golden`: PyTorch 2.15.0, NumPy 2.4.6.
#[test]
fn answers_are_those_of_the_published_network() {
    let net = Dbsn { channels: 3, base: 4, modules: 2 };
    let image = picture(3, 9, 11);
    let y = &answers(&net, &sines(&net), &[image], &Silent).unwrap()[0];
    for (place, golden) in [([0, 0, 0], 0.412_486_64), ([1, 4, 5], -1.430_219_7), ([2, 8, 10], 0.446_584_4)] {
        assert!((y[place] - golden).abs() < 1e-5, "{} for {golden}", y[place]);
    }
    let sum: f64 = y.iter().map(|v| f64::from(*v)).sum();
    let size: f64 = y.iter().map(|v| f64::from(v.abs())).sum();
    assert!((sum + 55.495_149_88).abs() < 1e-3 && (size - 227.364_955_63).abs() < 1e-3, "{sum} {size}");
}

#[test]
fn the_published_size_has_the_published_numbers() {
    let net = Dbsn { channels: 3, base: 128, modules: 9 };
    let all: usize = net.parameters().iter().map(|spec| spec.shape.iter().product::<usize>()).sum();
    assert_eq!(((all as f64 / 1e4).round(), net.reach()), (366.0, 29));
    // One multiplication a weight and pixel.
    assert_eq!(
        net.work(),
        all - net.parameters().iter().filter(|s| s.role == Role::Bias).map(|s| s.shape[0]).sum::<usize>()
    );
}

/// The gradient of one output at all inputs: exactly zero at its own place whatever the weights, and where it is not zero with
/// weights that are all positive (so that no rectifier hides a path) is the lattice.
#[test]
fn no_output_sees_its_own_pixel_and_all_see_the_lattice() {
    let net = Dbsn { channels: 1, base: 4, modules: 2 };
    let (side, middle) = (19, 9);
    let framed = net.on([side, side]);
    let gradient = |parameters: &Parameters, place: usize, image: &Array3<f32>| {
        let row = image.clone().into_shape_with_order((1, side * side)).unwrap();
        let mut one = |y: &Array2<f32>| {
            let mut one = Array2::zeros(y.raw_dim());
            one[[0, place]] = 1.0;
            Ok(one)
        };
        pull_back(&framed, parameters, row.view(), &mut one).unwrap().1
    };
    let image = picture(1, side, side);
    for seed in 0..3 {
        let parameters = net.fresh(Seed(seed)).unwrap();
        for place in [0, 25, side * middle + middle, side * side - 1] {
            assert_eq!(gradient(&parameters, place, &image)[[0, place]], 0.0);
        }
    }
    let mut positive = net.fresh(Seed(1)).unwrap();
    positive.iter_mut().for_each(|p| p.update(|values| values.iter_mut().for_each(|v| *v = v.abs() + 0.01)));
    let found = gradient(&positive, side * middle + middle, &image);
    for (at, v) in found.iter().enumerate() {
        let offset = [at / side, at % side].map(|i| i as isize - middle as isize);
        assert_eq!(*v != 0.0, net.sees(offset), "{offset:?}: {v}");
    }
}

/// Channels of one pixel are blind to each other too.
#[test]
fn colours_of_a_pixel_do_not_tell_each_other() {
    let net = Dbsn { channels: 3, base: 16, modules: 1 };
    let parameters = net.fresh(Seed(5)).unwrap();
    let (framed, image) = (net.on([7, 7]), picture(3, 7, 7));
    let row = image.into_shape_with_order((1, 3 * 49)).unwrap();
    for channel in 0..3 {
        let mut one =
            |y: &Array2<f32>| Ok(Array2::from_shape_fn(y.raw_dim(), |(_, i)| f32::from(i == channel * 49 + 24)));
        let (_, gradient) = pull_back(&framed, &parameters, row.view(), &mut one).unwrap();
        assert!((0..3).all(|c| gradient[[0, c * 49 + 24]] == 0.0));
        assert!(gradient.iter().any(|v| *v != 0.0));
    }
}

#[test]
fn stored_centres_count_for_nothing_and_are_taken_out() {
    let net = Dbsn { channels: 1, base: 2, modules: 1 };
    let mut parameters = net.fresh(Seed(3)).unwrap();
    let row = picture(1, 6, 6).into_shape_with_order((1, 36)).unwrap();
    let before = evaluate(&net.on([6, 6]), &parameters, row.view()).unwrap();
    parameters.get_mut("branch2.masked.weight").unwrap().update(|v| v[4] = 1e6);
    parameters.get_mut("branch3.masked.weight").unwrap().update(|v| v[12 + 25] = 1e6);
    assert_eq!(evaluate(&net.on([6, 6]), &parameters, row.view()).unwrap(), before);
    net.mask(&mut parameters).unwrap();
    assert_eq!(parameters.get("branch2.masked.weight").unwrap().dense()[4], 0.0);
    assert_eq!(parameters.get("branch3.masked.weight").unwrap().dense()[37], 0.0);
    let denoiser = Denoiser::new(net, parameters, Way::Whole).unwrap();
    assert_eq!(denoiser.answer(picture(1, 6, 6), &Silent).unwrap().into_shape_with_order((1, 36)).unwrap(), before);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Tiles of any size give what the whole picture gives.
    #[test]
    fn tiles_are_the_whole(height in 1usize..40, width in 1usize..40, side in 3usize..20, modules in 1usize..3) {
        let net = Dbsn { channels: 2, base: 4, modules };
        let (parameters, image) = (sines(&net), [picture(2, height, width)]);
        let whole = tiled(&net, &parameters, &image, 1000, &Silent).unwrap();
        let parts = tiled(&net, &parameters, &image, side, &Silent).unwrap();
        let worst = whole[0].iter().zip(&parts[0]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        prop_assert!(worst < 1e-6, "{}", worst);
    }
}

#[test]
fn sizes_that_are_none_are_refused() {
    let net = Dbsn { channels: 1, base: 4, modules: 1 };
    for (wrong, says) in [
        (Dbsn { channels: 0, ..net }, "channels"),
        (Dbsn { base: 5, ..net }, "an even number"),
        (Dbsn { base: 0, ..net }, "an even number"),
        (Dbsn { modules: 0, ..net }, "modules"),
    ] {
        let error = wrong.fresh(Seed(0)).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    let error = answers(&net, &net.fresh(Seed(0)).unwrap(), &[picture(3, 4, 4)], &Silent).unwrap_err().to_string();
    assert!(error.contains("channels of the picture: got 3; 1, as the network has"), "{error}");
}
