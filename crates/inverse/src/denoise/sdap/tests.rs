use super::super::course::Course;
use super::super::{ApBsn, BlindSpot, Dbsn, Refine};
use super::*;
use ndarray::s;
use proptest::prelude::*;
use quadrat_core::Silent;

fn noisy(channels: usize, height: usize, width: usize, seed: u64) -> Array3<f32> {
    let mut rng = Seed(seed).rng(0);
    Array3::from_shape_fn((channels, height, width), |(c, y, x)| {
        let clean = 0.5 + 0.3 * (0.3 * y as f64 + 0.2 * x as f64 + c as f64).sin();
        (clean + 0.1 * rng.normal()).clamp(0.0, 1.0) as f32
    })
}

fn tiny(steps: usize) -> Sdap {
    let course = Course {
        base: Some(4),
        modules: Some(1),
        patch: Some(20),
        batch: Some(2),
        steps: Some(steps),
        ..Course::of(Size::Tiny)
    };
    Sdap { course, ..Sdap::default() }
}

#[test]
fn pairs_go_around_in_a_circle() {
    let image = noisy(3, 20, 20, 1);
    let all = Sdap { terms: Some(25), ..Sdap::default() }.pairs(image.view(), &mut Seed(1).rng(0)).unwrap();
    assert_eq!(all.len(), 25);
    for (j, [_, target]) in all.iter().enumerate() {
        assert_eq!(target, &all[(j + 1) % 25][0]);
    }
    // No pixel of an input is in its target: noise is never told by itself.
    let numbered = Array3::from_shape_fn((1, 20, 20), |(_, y, x)| (20 * y + x) as f32);
    for target in [Target::Next, Target::Any] {
        let sdap = Sdap { target, terms: Some(7), ..Sdap::default() };
        let pairs = sdap.pairs(numbered.view(), &mut Seed(2).rng(0)).unwrap();
        assert_eq!(pairs.len(), 7);
        for [input, target] in &pairs {
            assert!(input.iter().all(|v| !target.iter().any(|w| v == w)));
        }
    }
    let same = Sdap { target: Target::Same, ..Sdap::default() };
    assert!(same.pairs(image.view(), &mut Seed(3).rng(0)).unwrap().iter().all(|[a, b]| a == b));
}

/// A few terms have the mean of all: 5,000 draws each, means within 4.5 standard errors (a false alarm in 150,000).
#[test]
fn a_few_terms_have_the_same_expectation() {
    let image = noisy(1, 10, 10, 4);
    let loss = |terms: usize, i: u64| {
        let sdap = Sdap { terms: Some(terms), ..Sdap::default() };
        let pairs = sdap.pairs(image.view(), &mut Seed(terms as u64).rng(i)).unwrap();
        let each = pairs.iter().map(|[a, b]| (a - b).mapv(|v| f64::from(v.abs())).mean().unwrap());
        each.sum::<f64>() / pairs.len() as f64
    };
    let [all, some] = [25, 3].map(|terms| (0..5000).map(|i| loss(terms, i)).collect::<Vec<f64>>());
    let [all, some] = [all, some].map(|v| (quadrat_core::stats::mean(&v), quadrat_core::stats::standard_deviation(&v)));
    let error = ((all.1.powi(2) + some.1.powi(2)) / 5000.0).sqrt();
    assert!((all.0 - some.0).abs() < 4.5 * error, "{all:?} {some:?}");
}

/// With independent noise of deviation σ, E|f(y_j) − y_(j+1)|² − E|f(y_j) − x_(j+1)|² = σ², for a fixed f: within 4.5 standard
/// errors. Here f is a blind-spot network with random weights.
#[test]
fn a_noisy_target_costs_the_variance_and_nothing_else() {
    let (side, sigma, runs) = (10, 0.2, 400);
    let net = Dbsn { channels: 1, base: 4, modules: 1 };
    let denoiser = Denoiser::new(net, net.fresh(Seed(1)).unwrap(), Way::Whole).unwrap();
    let clean = Array3::from_shape_fn((1, side, side), |(_, y, x)| 0.3 + 0.02 * (y + x) as f32);
    let excess = |i: u64| {
        let mut rng = Seed(7).rng(i);
        let noisy = clean.mapv(|v| v + (sigma * rng.normal()) as f32);
        let places = RandomSubSamples { stride: 5 }.places([side, side], &mut rng).unwrap();
        let j = rng.below(25);
        let told = denoiser.answer(places.take(noisy.view(), j), &Silent).unwrap();
        let next = (j + 1) % 25;
        let error = |target: Array3<f32>| (&told - &target).mapv(|v| f64::from(v * v)).mean().unwrap();
        error(places.take(noisy.view(), next)) - error(places.take(clean.view(), next))
    };
    let found: Vec<f64> = (0..runs).map(excess).collect();
    let error = quadrat_core::stats::standard_deviation(&found) / f64::from(runs as u32).sqrt();
    let mean = quadrat_core::stats::mean(&found);
    assert!((mean - sigma * sigma).abs() < 4.5 * error, "{mean} ± {error}");
}

#[test]
fn learning_lowers_noise_and_gives_the_same_bits_on_any_number_of_threads() {
    let clean = Array3::from_shape_fn((1, 60, 61), |(_, y, x)| 0.5 + 0.004 * (y as f32 - x as f32));
    let mut rng = Seed(3).rng(0);
    let noisy = clean.mapv(|v: f32| (v + 0.1 * rng.normal() as f32).clamp(0.0, 1.0));
    let error = |image: &Array3<f32>| (image - &clean).mapv(|v| f64::from(v * v)).mean().unwrap().sqrt();
    let course = Course { steps: Some(100), base: Some(16), patch: Some(60), ..tiny(1).course };
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let sdap = Sdap { course, ..Sdap::default() }.fit_restore(&noisy, Seed(1), &Silent).unwrap();
            let short = Course { steps: Some(3), ..course };
            let refine = Refine { times: 2, replaced: 0.16 };
            let ap_bsn = ApBsn { refine, course: short, ..ApBsn::default() };
            let ap_bsn = ap_bsn.fit(std::slice::from_ref(&noisy), Seed(2), &Silent).unwrap();
            let blind = BlindSpot { course: short }.fit(std::slice::from_ref(&noisy), Seed(2), &Silent).unwrap();
            use super::super::ImageRestorer;
            [sdap, ap_bsn.restore(noisy.view(), &Silent).unwrap(), blind.restore(noisy.view(), &Silent).unwrap()]
        })
    };
    let found = run(2);
    assert_eq!(found, run(1));
    // A hundred steps are few: what they take away is a beginning.
    assert!(error(&found[0]) < 0.95 * error(&noisy), "{} of {}", error(&found[0]), error(&noisy));
}

#[test]
fn models_come_back_from_their_folder() {
    use super::super::ImageRestorer;
    let folder = tempfile::tempdir().unwrap();
    let image = noisy(3, 23, 21, 5);
    let denoiser = tiny(2).fit(std::slice::from_ref(&image), Seed(1), &Silent).unwrap();
    denoiser.save(folder.path()).unwrap();
    let back = Denoiser::load(folder.path()).unwrap();
    assert_eq!((back.network(), back.way()), (denoiser.network(), denoiser.way()));
    let restore = |d: &Denoiser, way| d.asked(way).restore(image.view(), &Silent).unwrap();
    let refine = Refine { times: 2, replaced: 0.2 };
    for way in [*denoiser.way(), Way::Whole, Way::Mosaic { stride: 3, refine, seed: 4 }] {
        let restored = restore(&denoiser, way);
        assert_eq!(restored, restore(&back, way));
        assert!(restored.dim() == image.dim() && restored.iter().all(|v| (0.0..=1.0).contains(v)));
    }
    let error = back.restore(noisy(1, 23, 21, 5).view(), &Silent).unwrap_err().to_string();
    assert!(error.contains("channels of the picture: got 1; 3, as the network has"), "{error}");
    std::fs::write(folder.path().join("model.safetensors"), b"nothing").unwrap();
    assert!(Denoiser::load(folder.path()).is_err());
    assert!(Denoiser::load(&folder.path().join("none")).is_err());
    let other = quadrat_nn::Parameters::new(quadrat_nn::Spec::linear("a", 1, 1, 1.0), Seed(0)).unwrap();
    quadrat_nn::save_parameters(&folder.path().join("model.safetensors"), &other, &serde_json::json!({})).unwrap();
    assert!(Denoiser::load(folder.path()).unwrap_err().to_string().contains("no denoiser"));
}

#[test]
fn bad_input_is_refused_with_what_would_do() {
    let image = noisy(1, 24, 30, 6);
    let fit = |sdap: Sdap, images: &[Array3<f32>]| sdap.fit(images, Seed(0), &Silent).unwrap_err().to_string();
    let course = tiny(1).course;
    let with = |course: Course| Sdap { course, ..Sdap::default() };
    let mut missing = image.clone();
    missing[[0, 3, 4]] = f32::NAN;
    let colours = noisy(3, 30, 30, 1);
    for (error, says) in [
        (fit(tiny(1), &[]), "pictures: got 0"),
        (
            fit(with(Course { patch: Some(22), ..course }), std::slice::from_ref(&image)),
            "a multiple of the stride 5: the nearest is 20",
        ),
        (fit(with(Course { patch: Some(40), ..course }), &[colours.clone(), colours.clone()]), "patch=30 would fit"),
        (fit(tiny(1), &[noisy(1, 4, 30, 1)]), "at least 20 x 20"),
        (fit(tiny(1), &[image.mapv(|v| v * 255.0)]), "divide bytes by 255"),
        (fit(tiny(1), &[image.clone(), missing]), "picture 1: got NaN in channel 0, row 3, column 4"),
        (fit(tiny(1), &[image.clone(), colours]), "channels of picture 1: got 3; 1, as the first"),
        (fit(with(Course { base: Some(5), ..course }), std::slice::from_ref(&image)), "an even number"),
        (fit(Sdap { stride: 1, ..tiny(1) }, std::slice::from_ref(&image)), "stride"),
        (fit(Sdap { test_stride: 0, ..tiny(1) }, std::slice::from_ref(&image)), "test stride"),
        (fit(Sdap { terms: Some(0), ..tiny(1) }, std::slice::from_ref(&image)), "terms"),
    ] {
        assert!(error.contains(says), "{error}");
    }
    let wrong = ApBsn { refine: Refine { times: 1, replaced: 1.5 }, course, ..ApBsn::default() };
    assert!(
        wrong
            .fit(std::slice::from_ref(&image), Seed(0), &Silent)
            .unwrap_err()
            .to_string()
            .contains("a share from 0 to 1")
    );
    assert!(
        ApBsn { stride: 0, course, ..ApBsn::default() }.fit(std::slice::from_ref(&image), Seed(0), &Silent).is_err()
    );
    struct Stop;
    impl Progress for Stop {
        fn cancelled(&self) -> bool {
            true
        }
    }
    assert!(matches!(tiny(5).fit(&[image], Seed(0), &Stop), Err(Error::Cancelled)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Odd sides: the picture is mirrored a little beyond its border, and comes back in its own size; what the mirroring added
    /// changes nothing further away than the network reaches.
    #[test]
    fn any_size_is_restored(height in 1usize..24, width in 1usize..24, stride in 1usize..4) {
        use super::super::ImageRestorer;
        let net = Dbsn { channels: 1, base: 2, modules: 1 };
        let way = Way::Parts { stride, enhance: false };
        let denoiser = Denoiser::new(net, net.fresh(Seed(1)).unwrap(), way).unwrap();
        let image = noisy(1, height, width, 2);
        let restored = denoiser.restore(image.view(), &Silent).unwrap();
        prop_assert_eq!(restored.dim(), image.dim());
        let (h, w) = (height / stride * stride, width / stride * stride);
        if h > 0 && w > 0 {
            let cut = denoiser.restore(image.slice(s![.., ..h, ..w]), &Silent).unwrap();
            let far = stride * (net.reach() + 1);
            let (h, w) = (h.saturating_sub(far), w.saturating_sub(far));
            let worst = |a: &Array3<f32>| (&a.slice(s![.., ..h, ..w]) - &cut.slice(s![.., ..h, ..w])).mapv(f32::abs).fold(0.0, |m, v| f32::max(m, *v));
            prop_assert!(worst(&restored) < 1e-6);
        }
    }
}
