//! One checklist for all that cleans a picture: the same bad inputs, the same odd ones, the same promise about threads.

use super::*;
use ndarray::Array3;
use quadrat_core::{Error, Seed, Silent};

/// A way to clean a picture by what it learns from it, if it learns.
type Cleaner = fn(&Array3<f32>, &dyn Progress) -> Result<Array3<f32>>;

fn course() -> Course {
    let (base, modules, patch, steps) = (Some(4), Some(1), Some(20), Some(2));
    Course { base, modules, patch, batch: Some(1), steps, ..Course::of(Size::Tiny) }
}

const ALL: [(&str, Cleaner); 4] = [
    ("sdap", |image, progress| Sdap { course: course(), ..Sdap::default() }.fit_restore(image, Seed(1), progress)),
    ("ap-bsn", |image, progress| {
        let method = ApBsn { course: course(), ..ApBsn::default() };
        method.fit(std::slice::from_ref(image), Seed(1), progress)?.restore(image.view(), progress)
    }),
    ("blind-spot", |image, progress| {
        let method = BlindSpot { course: course() };
        method.fit(std::slice::from_ref(image), Seed(1), progress)?.restore(image.view(), progress)
    }),
    ("non-local-means", |image, progress| NonLocalMeans::default().restore(image.view(), progress)),
];

fn noisy(channels: usize, height: usize, width: usize) -> Array3<f32> {
    let mut rng = Seed(4).stream("checklist").rng(0);
    Array3::from_shape_simple_fn((channels, height, width), || (0.5 + 0.1 * rng.normal()).clamp(0.0, 1.0) as f32)
}

#[test]
fn bad_pictures_are_refused_by_all() {
    let with = |v: f32| {
        let mut image = noisy(3, 24, 26);
        image[[1, 2, 3]] = v;
        image
    };
    for (name, clean) in ALL {
        for (image, text) in [
            (with(f32::NAN), "channel 1, row 2, column 3"),
            (with(f32::INFINITY), "channel 1, row 2, column 3"),
            (with(200.0), "divide bytes by 255"),
            (with(-0.25), "scale or clip"),
            (Array3::zeros((3, 0, 26)), "at least 1 each"),
            (Array3::zeros((0, 24, 26)), "at least 1 each"),
        ] {
            let error = clean(&image, &Silent).unwrap_err();
            assert!(matches!(error, Error::Input { .. }) && error.to_string().contains(text), "{name}: {error}");
        }
        let small = clean(&noisy(3, 9, 26), &Silent);
        match name {
            // It learns nothing: a single pixel is its own mean.
            "non-local-means" => assert!(small.is_ok() && clean(&noisy(1, 1, 1), &Silent).is_ok()),
            _ => assert!(small.unwrap_err().to_string().contains("patch"), "{name}"),
        }
    }
}

#[test]
fn odd_pictures_have_a_defined_answer() {
    for (name, clean) in ALL {
        for image in [
            noisy(1, 21, 40),
            noisy(4, 20, 20),
            Array3::zeros((3, 24, 24)),
            Array3::ones((3, 24, 24)),
            Array3::from_elem((1, 33, 20), 1e-30),
        ] {
            let answer = clean(&image, &Silent).unwrap();
            assert_eq!(answer.dim(), image.dim(), "{name}");
            assert!(answer.iter().all(|v| (0.0..=1.0).contains(v)), "{name}");
        }
    }
}

#[test]
fn bits_do_not_depend_on_threads() {
    let image = noisy(3, 30, 41);
    for (name, clean) in ALL {
        let [one, two] = [1, 2].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| clean(&image, &Silent)).unwrap()
        });
        assert!(one == two, "{name}");
    }
}
