//! `quadrat reconstruct train` and what it is for.

use crate::common::Folder;
use std::f64::consts::TAU;

const SIDE: usize = 16;

/// A bright disc on a darker one, in slice k of four; the first slice is empty.
fn pixel(i: usize, j: usize, k: usize) -> f64 {
    let far = (i as f64 - 7.5).hypot(j as f64 - 7.0 - k as f64 * 0.5);
    if k == 0 { 0.0 } else { 400.0 * f64::from(u8::from(far < 6.0)) + 300.0 * f64::from(u8::from(far < 2.5)) }
}

/// A NIfTI-1 file of 16 x 16 x 4 numbers of 16 bits, times 0.5.
fn brain(folder: &Folder, name: &str, axes: i16) {
    let mut bytes = vec![0_u8; 352];
    let mut put = |at: usize, what: &[u8]| bytes[at..at + what.len()].copy_from_slice(what);
    put(0, &348_i32.to_le_bytes());
    // With four axes, two volumes of two slices.
    for (i, side) in [axes, 16, 16, if axes == 3 { 4 } else { 2 }, 2].into_iter().enumerate() {
        put(40 + 2 * i, &side.to_le_bytes());
    }
    put(70, &4_i16.to_le_bytes());
    for (at, value) in [(76, 1.0_f32), (80, 1.0), (84, 1.0), (88, 1.0), (108, 352.0), (112, 0.5)] {
        put(at, &value.to_le_bytes());
    }
    put(344, b"n+1\0");
    for k in 0..4 {
        for j in 0..SIDE {
            bytes.extend((0..SIDE).flat_map(|i| ((2.0 * pixel(i, j, k)) as i16).to_le_bytes()));
        }
    }
    std::fs::write(folder.path(name), bytes).unwrap();
}

fn npy(folder: &Folder, name: &str, descr: &str, shape: &str, values: impl Iterator<Item = f64>) {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}\n");
    let mut bytes = [b"\x93NUMPY\x01\x00".as_slice(), &(header.len() as u16).to_le_bytes(), header.as_bytes()].concat();
    bytes.extend(values.flat_map(|v| (v as f32).to_le_bytes()));
    std::fs::write(folder.path(name), bytes).unwrap();
}

/// The transform of the third slice at a frequency in cycles per field of view.
fn sample(ky: f64, kx: f64) -> [f64; 2] {
    let mut sum = [0.0; 2];
    for place in 0..SIDE * SIDE {
        let (i, j) = (place / SIDE, place % SIDE);
        let angle = -TAU * (ky * (i as f64 - 8.0) + kx * (j as f64 - 8.0)) / SIDE as f64;
        sum[0] += pixel(i, j, 2) * angle.cos() / SIDE as f64;
        sum[1] += pixel(i, j, 2) * angle.sin() / SIDE as f64;
    }
    sum
}

/// A brain, and k-space of one of its slices on a grid and on spokes.
fn measured(name: &str) -> Folder {
    let folder = Folder::new(name);
    brain(&folder, "brain.nii", 3);
    let grid = (0..256).flat_map(|place| sample((place / SIDE) as f64 - 8.0, (place % SIDE) as f64 - 8.0));
    npy(&folder, "k.npy", "<c8", "16, 16", grid);
    let kept = |place: usize| f64::from(u8::from([1, 4, 6, 7, 8, 9, 10, 13].contains(&(place % SIDE))));
    npy(&folder, "mask.npy", "<f4", "16, 16", (0..256).map(kept));
    let spokes = (0..32 * 9).map(|i| {
        let (radius, angle) = (16.0 * ((i % 32) as f64 / 32.0 - 0.5), (i / 32) as f64 * 111.246_117_974_981_07);
        [radius * angle.to_radians().sin(), radius * angle.to_radians().cos()]
    });
    npy(&folder, "traj.npy", "<f4", "288, 2", spokes.clone().flatten());
    npy(&folder, "samples.npy", "<c8", "288, ", spokes.flat_map(|[y, x]| sample(y, x)));
    folder
}

/// The options of a network that is trained in a moment.
const TINY: &str = "--features 2 --down 1 --blocks 1 --epochs 2 --batch 2 --rate 0.001";

#[test]
fn a_network_is_trained_on_a_volume_and_makes_images() {
    let folder = measured("reconstruct-train");
    let line = "quadrat reconstruct train --in brain.nii --pattern radial:9 --out model/";
    let told = folder.json(&format!("{line} {TINY} --report training.html --json"));
    assert_eq!((&told["slices"], &told["empty"], &told["shape"][1]), (&3.into(), &1.into(), &16.into()));
    assert!(told["ssim"].as_f64().unwrap() > 0.2, "{told}");
    let page = folder.read("training.html");
    assert!(page.contains("data:image/png") && page.contains("radial:9"));
    let weights = std::fs::read(folder.path("model/model.safetensors")).unwrap();
    folder.ok(&format!("{} {TINY} --threads 1", line.replace("model/", "again/")));
    assert!(std::fs::read(folder.path("again/model.safetensors")).unwrap() == weights, "the same bits at one thread");
    let ask = "quadrat reconstruct --kspace k.npy --mask mask.npy --method reconresnet --model model/ --out image.npy";
    let told = folder.json(&format!("{ask} --report report.html --json"));
    assert_eq!((&told["method"], &told["complex"]), (&"reconresnet".into(), &true.into()));
    // In the unit of the samples: the disc's brightness is 400 to 700.
    let brightest = told["brightest"].as_f64().unwrap();
    assert!((300.0..1200.0).contains(&brightest), "{told}");
    assert!(folder.read("report.html").contains("reconresnet"));
    let spokes = "quadrat reconstruct --kspace samples.npy --trajectory traj.npy --shape 16x16 --method reconresnet --model model --out s.png";
    folder.ok(&format!("{spokes} --consistency soft --lambda 3"));
    assert!(std::fs::read(folder.path("s.png")).unwrap().starts_with(b"\x89PNG"));
}

#[test]
fn all_kinds_of_images_and_patterns_are_taken() {
    let folder = measured("reconstruct-train-kinds");
    brain(&folder, "two.nii", 4);
    npy(&folder, "slices.npy", "<f4", "2, 16, 16", (256..768).map(|at| pixel(at / 16 % 16, at % 16, at / 256)));
    for (i, (images, pattern)) in [
        ("two.nii --volume 1", "lines:0.5"),
        ("slices.npy", "points:0.4,uniform:2"),
        ("brain.nii", "mask:mask.npy"),
        ("brain.nii --size 20", "trajectory:traj.npy"),
        ("builtin:macaque --size 16", "radial:7"),
    ]
    .into_iter()
    .enumerate()
    {
        let line = format!("quadrat reconstruct train --in {images} --pattern {pattern} {TINY} --epochs 1 --out m{i}");
        folder.ok(&line.replace("--epochs 2 ", ""));
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let folder = measured("reconstruct-train-refused");
    brain(&folder, "two.nii", 4);
    let mut cut = std::fs::read(folder.path("brain.nii")).unwrap();
    cut.truncate(600);
    std::fs::write(folder.path("cut.nii"), cut).unwrap();
    npy(&folder, "negative.npy", "<f4", "16, 16", (0..256).map(|at| at as f64 - 5.0));
    npy(&folder, "nothing.npy", "<f4", "16, 16", (0..256).map(|_| 0.0));
    npy(&folder, "nan.npy", "<f4", "16, 16", (0..256).map(|at| if at == 7 { f64::NAN } else { 1.0 }));
    npy(&folder, "line.npy", "<f4", "16, ", (0..16).map(|_| 1.0));
    let train = "quadrat reconstruct train";
    for (words, said) in [
        ("--in two.nii --pattern radial:9", "4 dimensions"),
        ("--in two.nii --volume 2 --pattern radial:9", "the last of 2 is 1"),
        ("--in cut.nii --pattern radial:9", "cut off"),
        ("--in mask.npy --volume 0 --pattern radial:9", "NIfTI"),
        ("--in negative.npy --pattern radial:9", "-5"),
        ("--in nothing.npy --pattern radial:9", "0 everywhere"),
        ("--in nan.npy --pattern radial:9", "NaN"),
        ("--in line.npy --pattern radial:9", "height x width"),
        ("--in builtin:iris --pattern radial:9", "builtin:mni152"),
        ("--in none.nii --pattern radial:9", "none.nii"),
        ("--in brain.nii --pattern radial", "radial:SPOKES"),
        ("--in brain.nii --pattern radial:0", "at least 1"),
        ("--in brain.nii --pattern radial:many", "radial:SPOKES"),
        ("--in brain.nii --pattern spiral:3", "radial:SPOKES"),
        ("--in brain.nii --pattern lines:30", "share above 0"),
        ("--in brain.nii --size 20 --pattern mask:mask.npy", "[20, 20]"),
        ("--in brain.nii --pattern mask:none.npy", "none.npy"),
        ("--in brain.nii --pattern radial:9 --size 2", "8 to 4096"),
        ("--in brain.nii --pattern radial:9 --dropout 1", "below 1"),
        ("--in brain.nii --pattern radial:9 --blocks 0", "at least 1"),
        ("--in brain.nii --pattern radial:9 --lambda 2", "--consistency soft"),
    ] {
        let error = folder.fails(&format!("{train} {words} --out model"));
        assert!(error.contains(said), "{words}: {error}");
    }
    folder
        .ok(&format!("{train} --in brain.nii --pattern radial:9 {TINY} --epochs 1 --out model")
            .replace("--epochs 2 ", ""));
    let ask = "quadrat reconstruct --kspace k.npy --mask mask.npy --method reconresnet --out image.npy";
    npy(&folder, "coils.npy", "<c8", "2, 16, 16", (0..1024).map(|at| (at as f64).sin()));
    for (line, said) in [
        (ask.to_owned(), "--model"),
        (format!("{ask} --model none"), "none"),
        (format!("{ask} --model model --features 3"), "when the model was trained"),
        (format!("{ask} --model model").replace("--kspace k.npy", "--kspace coils.npy"), "2 coils"),
        (format!("{train} --in brain.nii --pattern radial:9 --out model"), "model"),
    ] {
        let error = folder.fails(&line);
        assert!(error.contains(said), "{line}: {error}");
    }
    // A phase that no real image has.
    npy(&folder, "k.npy", "<c8", "16, 16", (0..512).map(|at| (at as f64 * 1.7).sin()));
    let notes = String::from_utf8(folder.run(&format!("{ask} --model model")).stderr).unwrap();
    assert!(notes.contains("real and not negative"), "{notes}");
}
