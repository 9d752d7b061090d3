//! `quadrat denoise`: photographs cleaned by what is learnt from noisy ones.

use crate::common::Folder;
use ndarray::{Array2, Array3};
use quadrat::Seed;
use quadrat::data::images::Photo;
use std::fs;

/// A smooth picture with noise.
fn noisy(channels: usize, [height, width]: [usize; 2], seed: u64) -> Photo {
    let mut rng = Seed(seed).rng(0);
    let pixels = Array3::from_shape_fn((channels, height, width), |(c, y, x)| {
        let clean = 0.5 + 0.004 * (y as f64 - x as f64) + 0.05 * c as f64;
        (clean + 0.1 * rng.normal()).clamp(0.0, 1.0) as f32
    });
    Photo { pixels, alpha: None, bits: 8, profile: None }
}

fn write(folder: &Folder, name: &str, photo: &Photo) {
    fs::write(folder.path(name), photo.encode().unwrap()).unwrap();
}

/// Root mean squared distance from what the picture is without noise.
fn error(photo: &Photo) -> f64 {
    let clean = |(c, y, x): (usize, usize, usize)| 0.5 + 0.004 * (y as f64 - x as f64) + 0.05 * c as f64;
    let squares = photo.pixels.indexed_iter().map(|(at, v)| (f64::from(*v) - clean(at)).powi(2));
    (squares.sum::<f64>() / photo.pixels.len() as f64).sqrt()
}

/// What keeps training short.
const SHORT: &str = "--size tiny --modules 1 --patch 40 --batch 2";

/// One to clean, and a folder of others.
pub fn write_photographs(folder: &Folder) {
    write(folder, "photo.png", &noisy(3, [61, 64], 1));
    fs::create_dir(folder.path("noisy")).unwrap();
    for i in 0..3 {
        write(folder, &format!("noisy/{i}.png"), &noisy(3, [50 + i, 48], 2 + i as u64));
    }
}

#[test]
fn the_lines_of_the_guide_work() {
    let folder = Folder::new("denoise-lines");
    write_photographs(&folder);
    let line =
        format!("quadrat denoise --in photo.png --out clean.png {SHORT} --steps 150 --report report.html --json");
    let told = folder.json(&line);
    assert_eq!((&told["method"], &told["height"], &told["width"]), (&"sdap".into(), &61.into(), &64.into()));
    let clean = Photo::read(&folder.path("clean.png")).unwrap();
    assert_eq!(clean.pixels.dim(), (3, 61, 64));
    let before = error(&noisy(3, [61, 64], 1));
    assert!(error(&clean) < 0.95 * before, "{} of {before}", error(&clean));
    assert!(folder.read("report.html").contains("Before and after"));
    let bytes = fs::read(folder.path("clean.png")).unwrap();
    folder.json(&format!("{line} --threads 1"));
    assert_eq!(fs::read(folder.path("clean.png")).unwrap(), bytes, "the same seed, the same bytes at one thread");

    let text =
        folder.ok(&format!("quadrat denoise train --images noisy/ --method sdap --out model/ {SHORT} --steps 20"));
    assert!(text.contains("3 pictures") && text.contains("by sdap for 20 steps"), "{text}");
    folder.ok("quadrat denoise --in photo.png --model model/ --out clean.png");
    for method in ["ap-bsn", "blind-spot"] {
        let line = format!("quadrat denoise train --images noisy/ --method {method} --out {method} {SHORT} --steps 2");
        folder.ok(&line);
        folder.ok(&format!("quadrat denoise --in photo.png --model {method} --out {method}.png"));
    }
    let told = folder.json("quadrat denoise --in photo.png --method non-local-means --out means.png --json");
    assert!((told["taken_away"].as_f64().unwrap() - 0.1).abs() < 0.03, "{told}");
    assert!(error(&Photo::read(&folder.path("means.png")).unwrap()) < 0.5 * before);
}

#[test]
fn depth_transparency_and_grey_are_kept() {
    let folder = Folder::new("denoise-kinds");
    let alpha = Array2::from_shape_fn((45, 50), |(y, x)| f32::from((y + x) % 2 == 0));
    for (channels, bits, alpha) in [(1, 8, None), (1, 16, Some(alpha.clone())), (3, 16, None), (3, 8, Some(alpha))] {
        let photo = Photo { alpha, bits, profile: Some(b"a profile".to_vec()), ..noisy(channels, [45, 50], 1) };
        write(&folder, "photo.png", &photo);
        folder.ok("quadrat denoise --in photo.png --method non-local-means --out clean.png");
        let clean = Photo::read(&folder.path("clean.png")).unwrap();
        assert_eq!((clean.bits, &clean.alpha, &clean.profile), (bits, &photo.alpha, &photo.profile));
        assert_eq!(clean.pixels.dim(), photo.pixels.dim());
        assert!(clean.pixels != photo.pixels);
    }
}

#[test]
fn bad_input_is_told() {
    let folder = Folder::new("denoise-errors");
    write(&folder, "photo.png", &noisy(1, [60, 60], 1));
    write(&folder, "small.png", &noisy(1, [30, 60], 1));
    write(&folder, "tiny.png", &noisy(1, [3, 60], 1));
    folder.write("text.png", "no picture");
    for name in ["mixed", "none", "grey"] {
        fs::create_dir(folder.path(name)).unwrap();
    }
    write(&folder, "mixed/a.png", &noisy(1, [60, 60], 1));
    write(&folder, "mixed/b.png", &noisy(3, [60, 60], 1));
    write(&folder, "grey/a.png", &noisy(1, [60, 60], 1));
    write(&folder, "colour.png", &noisy(3, [60, 60], 1));
    folder.ok(&format!("quadrat denoise train --images grey --out model {SHORT} --steps 1"));
    for (line, says) in [
        (
            "--in small.png --out c.png --size tiny",
            "small.png: 30 x 60 pixels, smaller than a patch of 80 x 80: `--patch 30` would fit",
        ),
        ("--in tiny.png --out c.png", "needs no patch"),
        ("--in photo.png --out c.png --patch 42", "the nearest is 40"),
        ("--in photo.png --out c.png --base 7 --patch 40", "an even number"),
        ("--in photo.png --out c.jpg", "ends in .png"),
        ("--in text.png --out c.png", "neither a PNG nor a JPEG"),
        ("--in nowhere.png --out c.png", "nowhere.png"),
        ("--in photo.png --out c.png --model nowhere", "nowhere"),
        ("--in colour.png --out c.png --model model", "it is in colours, and model knows grey"),
        ("--in photo.png --out c.png --model model --steps 5", "nothing is learnt"),
        ("--in photo.png --out c.png --method bm3d", "did you mean"),
        ("--in photo.png --out c.png --sizes tiny", "did you mean --size"),
        ("--out c.png", "the photograph"),
        ("train --images mixed --out m --patch 40", "train on grey and coloured pictures apart"),
        ("train --images none --out m", "no images in it"),
        ("train --images grey --out model", "not empty"),
        ("train --images grey --out m --method non-local-means", "learns nothing"),
    ] {
        let error = folder.fails(&format!("quadrat denoise {line}"));
        assert!(error.contains(says), "{line}: {error}");
    }
    assert!(!folder.path("c.png").exists() && !folder.path("m").exists());
}
