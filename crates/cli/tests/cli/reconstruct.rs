//! `quadrat reconstruct` and `quadrat nufft`: images from k-space, and back.

use crate::common::Folder;
use std::f64::consts::TAU;

const SIDE: usize = 16;

/// An npy file of single precision: complex numbers, or the real parts alone.
fn npy(folder: &Folder, name: &str, shape: &[usize], values: &[(f64, f64)], complex: bool) {
    let shape: String = shape.iter().map(|side| format!("{side}, ")).collect();
    let descr = if complex { "<c8" } else { "<f4" };
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}\n");
    let mut bytes = [b"\x93NUMPY\x01\x00".as_slice(), &(header.len() as u16).to_le_bytes(), header.as_bytes()].concat();
    for (re, im) in values {
        bytes.extend((*re as f32).to_le_bytes());
        if complex {
            bytes.extend((*im as f32).to_le_bytes());
        }
    }
    std::fs::write(folder.path(name), bytes).unwrap();
}

/// The shape and the complex numbers of an npy file.
fn read(folder: &Folder, name: &str) -> (String, Vec<(f64, f64)>) {
    let bytes = std::fs::read(folder.path(name)).unwrap();
    let length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = String::from_utf8(bytes[10..10 + length].to_vec()).unwrap();
    let shape = header.split(['(', ')']).nth(1).unwrap().to_owned();
    let data = &bytes[10 + length..];
    let parts: Vec<f64> = if header.contains("<c16") {
        data.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect()
    } else {
        data.as_chunks().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect()
    };
    (shape, parts.as_chunks::<2>().0.iter().map(|[re, im]| (*re, *im)).collect())
}

/// A bright block on a darker one.
fn image() -> Vec<(f64, f64)> {
    let inside = |i: usize, low: usize, high: usize| f64::from(u8::from((low..high).contains(&i)));
    let value =
        |i: usize, j: usize| 0.5 * inside(i, 3, 13) * inside(j, 4, 12) + 0.5 * inside(i, 6, 9) * inside(j, 6, 11);
    (0..SIDE * SIDE).map(|place| (value(place / SIDE, place % SIDE), 0.0)).collect()
}

/// The definition of the transform at a frequency in cycles per field of view.
fn sample(image: &[(f64, f64)], ky: f64, kx: f64) -> (f64, f64) {
    let mut sum = (0.0, 0.0);
    for (place, (re, im)) in image.iter().enumerate() {
        let [y, x] = [(place / SIDE) as f64 - 8.0, (place % SIDE) as f64 - 8.0];
        let (sine, cosine) = (-TAU * (ky * y + kx * x) / SIDE as f64).sin_cos();
        sum = (sum.0 + re * cosine - im * sine, sum.1 + re * sine + im * cosine);
    }
    (sum.0 / SIDE as f64, sum.1 / SIDE as f64)
}

fn spokes() -> Vec<(f64, f64)> {
    let place = |i: usize| {
        let (radius, angle) = ((i % 32) as f64 / 32.0 - 0.5, (i / 32) as f64 * 1.941_611);
        (SIDE as f64 * radius * angle.sin(), SIDE as f64 * radius * angle.cos())
    };
    (0..32 * 13).map(place).collect()
}

fn measured(name: &str) -> Folder {
    let folder = Folder::new(name);
    write_measured(&folder);
    folder
}

/// k-space on a grid with a mask of lines, and on spokes.
pub fn write_measured(folder: &Folder) {
    let image = image();
    npy(folder, "image.npy", &[SIDE, SIDE], &image, true);
    let grid = |place: usize| sample(&image, (place / SIDE) as f64 - 8.0, (place % SIDE) as f64 - 8.0);
    npy(folder, "k.npy", &[SIDE, SIDE], &(0..256).map(grid).collect::<Vec<_>>(), true);
    let taken = |place: usize| (f64::from(u8::from([1, 4, 6, 7, 8, 9, 10, 13].contains(&(place % SIDE)))), 0.0);
    npy(folder, "mask.npy", &[SIDE, SIDE], &(0..256).map(taken).collect::<Vec<_>>(), false);
    npy(folder, "lines.npy", &[SIDE], &(0..16).map(taken).collect::<Vec<_>>(), false);
    let spokes = spokes();
    let coordinates: Vec<(f64, f64)> = spokes.iter().flat_map(|(y, x)| [(*y, 0.0), (*x, 0.0)]).collect();
    npy(folder, "traj.npy", &[13, 32, 2], &coordinates, false);
    npy(folder, "s.npy", &[13, 32], &spokes.iter().map(|(y, x)| sample(&image, *y, *x)).collect::<Vec<_>>(), true);
}

fn off(got: &[(f64, f64)], want: &[(f64, f64)]) -> f64 {
    let size = |v: &mut dyn Iterator<Item = (f64, f64)>| v.map(|(re, im)| re * re + im * im).sum::<f64>().sqrt();
    size(&mut got.iter().zip(want).map(|(a, b)| (a.0 - b.0, a.1 - b.1))) / size(&mut want.iter().copied())
}

#[test]
fn an_image_is_made_of_what_was_measured_on_a_grid() {
    let folder = measured("reconstruct-grid");
    let line = "quadrat reconstruct --kspace k.npy --mask mask.npy --method total-variation --out image.npy --report report.html";
    folder.ok(line);
    let (shape, got) = read(&folder, "image.npy");
    assert_eq!(shape.trim_end_matches([',', ' ']), "16, 16");
    let told =
        folder.json("quadrat reconstruct --kspace k.npy --mask lines.npy --method zero-filled --out zero.npy --json");
    assert_eq!((&told["samples"], &told["acceleration"]), (&128.into(), &2.0.into()));
    let (_, zero) = read(&folder, "zero.npy");
    assert!(off(&got, &image()) < 0.5 * off(&zero, &image()), "{} {}", off(&got, &image()), off(&zero, &image()));
    let page = folder.read("report.html");
    assert!(page.contains("data:image/png") && page.contains("total-variation"));
    folder.ok(&format!("{line} --threads 1"));
    assert!(read(&folder, "image.npy").1 == got, "the same bits at one thread");
    for out in ["out.png", "out.cfl"] {
        folder
            .ok(&format!("quadrat reconstruct --kspace k.npy --method wavelet --levels 1 --iterations 5 --out {out}"));
    }
    assert!(std::fs::read(folder.path("out.png")).unwrap().starts_with(b"\x89PNG"));
    assert!(folder.read("out.hdr").contains("16 16 1"));
    folder.ok("quadrat reconstruct --kspace out.cfl --method zero-filled --out again.npy");
}

#[test]
fn an_image_is_made_of_what_was_measured_on_a_trajectory() {
    let folder = measured("reconstruct-spokes");
    folder.ok("quadrat nufft --image image.npy --trajectory traj.npy --out samples.npy");
    let (shape, samples) = read(&folder, "samples.npy");
    assert_eq!(shape.trim_end_matches([',', ' ']), "13, 32");
    let want: Vec<(f64, f64)> = spokes().iter().map(|(y, x)| sample(&image(), *y, *x)).collect();
    assert!(off(&samples, &want) < 1e-6, "{}", off(&samples, &want));
    let short = "quadrat reconstruct --kspace samples.npy --trajectory traj.npy --shape 16x16 --method";
    for (method, most) in [("gridded", 0.5), ("cg", 0.2), ("total-variation", 0.1)] {
        folder.ok(&format!("{short} {method} --out {method}.npy --report page.html"));
        let got = off(&read(&folder, &format!("{method}.npy")).1, &image());
        assert!(got < most, "{method}: {got}");
    }
    let told = folder.json(
        "quadrat nufft --adjoint --samples samples.npy --trajectory traj.npy --shape 16x16 --out back.npy --json",
    );
    assert!(told["notes"].as_str().unwrap().contains("--units cycles"), "{told}");
    let (shape, back) = read(&folder, "back.npy");
    assert_eq!(shape.trim_end_matches([',', ' ']), "16, 16");
    // <A x, A x> = <x, A' A x>.
    let square: f64 = samples.iter().map(|(re, im)| re * re + im * im).sum();
    let product: f64 = back.iter().zip(image()).map(|(a, x)| a.0 * x.0).sum();
    assert!((square / product - 1.0).abs() < 1e-9, "{square} {product}");
}

/// The same trajectory in radians is found out, and the images are the same.
#[test]
fn other_units_are_found() {
    let folder = measured("reconstruct-units");
    let turned: Vec<(f64, f64)> = spokes().iter().flat_map(|(y, x)| [*y, *x]).map(|k| (k * TAU / 16.0, 0.0)).collect();
    npy(&folder, "radians.npy", &[13 * 32, 2], &turned, false);
    folder.ok("quadrat reconstruct --kspace s.npy --trajectory traj.npy --shape 16x16 --method cg --out one.npy");
    let output = folder
        .run("quadrat reconstruct --kspace s.npy --trajectory radians.npy --shape 16x16 --method cg --out two.npy");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.contains("radians per pixel"), "{said}");
    assert!(off(&read(&folder, "two.npy").1, &read(&folder, "one.npy").1) < 1e-3);
    let error = folder.fails("quadrat nufft --image image.npy --trajectory radians.npy --units pixels --out x.npy");
    assert!(error.contains("from -8 to 8"), "{error}");
}

#[test]
fn coils_come_together() {
    let folder = measured("reconstruct-coils");
    let image = image();
    let map = |coil: usize, place: usize| {
        let j = (place % SIDE) as f64 / 15.0;
        let size = if coil == 0 { j } else { 1.0 - j };
        (size * 0.8, size * if coil == 0 { 0.6 } else { -0.6 })
    };
    let maps: Vec<(f64, f64)> = (0..512).map(|i| map(i / 256, i % 256)).collect();
    let seen = |coil: usize| -> Vec<(f64, f64)> {
        (0..256).map(|i| (image[i].0 * maps[coil * 256 + i].0, image[i].0 * maps[coil * 256 + i].1)).collect()
    };
    let both = [seen(0), seen(1)];
    let grid = |i: usize| sample(&both[i / 256], (i % 256 / SIDE) as f64 - 8.0, (i % SIDE) as f64 - 8.0);
    npy(&folder, "coils.npy", &[2, SIDE, SIDE], &(0..512).map(grid).collect::<Vec<_>>(), true);
    npy(&folder, "maps.npy", &[2, SIDE, SIDE], &maps, true);
    let line = "quadrat reconstruct --kspace coils.npy --mask lines.npy --method cg --iterations 60";
    folder.ok(&format!("{line} --sensitivities maps.npy --out with.npy"));
    let got = read(&folder, "with.npy").1;
    assert!(off(&got, &image) < 0.2, "{}", off(&got, &image));
    let told = folder.json(&format!("{line} --out without.npy --json"));
    assert_eq!((&told["coils"], &told["complex"]), (&2.into(), &false.into()));
    let error = folder.fails("quadrat reconstruct --kspace k.npy --method cg --sensitivities maps.npy --out x.npy");
    assert!(error.contains("sensitivities maps.npy: got an array of shape [2, 16, 16]; 1 x [16, 16]"), "{error}");
}

#[test]
fn what_does_not_fit_is_refused() {
    let folder = measured("reconstruct-refused");
    npy(&folder, "small.npy", &[8, 8], &[(1.0, 0.0); 64], false);
    npy(&folder, "real.npy", &[16, 16], &[(1.0, 0.0); 256], false);
    npy(&folder, "zeros.npy", &[16, 16], &[(0.0, 0.0); 256], true);
    let mut lost = vec![(1.0, 0.0); 256];
    lost[20].1 = f64::NAN;
    npy(&folder, "nan.npy", &[16, 16], &lost, true);
    npy(&folder, "far.npy", &[416, 2], &[(30.0, 0.0); 832], false);
    npy(&folder, "edge.npy", &[16], &[[(1.0, 0.0); 4].as_slice(), &[(0.0, 0.0); 12]].concat(), false);
    folder.write("text.npy", "no array");
    for (line, part) in [
        (
            "--kspace k.npy --mask small.npy --method tv --out x.npy",
            "mask: got an array of shape [8, 8]; shape [16, 16]",
        ),
        ("--kspace real.npy --mask mask.npy --method tv --out x.npy", "complex numbers: magnitudes alone"),
        ("--kspace zeros.npy --mask mask.npy --method tv --out x.npy", "nothing but zeros"),
        ("--kspace zeros.npy --method tv --out x.npy", "nothing but zeros"),
        ("--kspace nan.npy --mask mask.npy --method tv --out x.npy", "at [1, 4] (from 0)"),
        ("--kspace text.npy --method tv --out x.npy", "not an npy file"),
        ("--kspace none.npy --method tv --out x.npy", "none.npy"),
        ("--kspace k.npy --method tv --out x.txt", ".npy, .cfl or .png"),
        ("--kspace k.npy --method tv --weight -1 --out x.npy", "weight"),
        ("--kspace k.npy --method tv --wieght 1 --out x.npy", "--weight"),
        ("--kspace k.npy --method total-varation --out x.npy", "`total-variation`"),
        ("--kspace k.npy --shape 15x15 --method tv --out x.npy", "(coils x) 225 numbers"),
        ("--kspace k.npy --shape 16by16 --method tv --out x.npy", "such as 256x256"),
        ("--kspace s.npy --trajectory traj.npy --method cg --out x.npy", "--shape 256x256"),
        ("--kspace k.npy --trajectory traj.npy --shape 16x16 --method cg --out x.npy", "each of the 416 points"),
        (
            "--kspace s.npy --trajectory far.npy --shape 16x16 --method cg --out x.npy",
            "coordinates up to 30; at most 0.5",
        ),
        ("--kspace s.npy --trajectory traj.npy --shape 16x16x16 --method cg --out x.npy", "... x 3"),
    ] {
        let error = folder.fails(&format!("quadrat reconstruct {line}"));
        assert!(error.contains(part), "{line}: {error}");
    }
    for (line, part) in [
        ("--image nan.npy --trajectory traj.npy --out x.npy", "finite numbers"),
        ("--image image.npy --trajectory traj.npy --tolerance 1 --out x.npy", "1e-13 to 0.1"),
        ("--image image.npy --trajectory traj.npy --out x.png", ".npy or .cfl"),
        ("--image image.npy --out x.npy", "--trajectory"),
        ("--adjoint --samples k.npy --trajectory traj.npy --shape 16x16 --out x.npy", "each of the 416 points"),
        ("--adjoint --samples real.npy --trajectory traj.npy --shape 16x16 --out x.npy", "real numbers"),
    ] {
        let error = folder.fails(&format!("quadrat nufft {line}"));
        assert!(error.contains(part), "{line}: {error}");
    }
    let output = folder.run("quadrat reconstruct --kspace k.npy --mask edge.npy --method zero-filled --out x.npy");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.contains("leaves out the middle"), "{said}");
}
