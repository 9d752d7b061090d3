use super::wavelet::Wavelets;
use super::*;
use crate::masks::{Pattern, radial_golden, usual_centre, varden1d, varden2d};
use crate::nufft::{Compensated, Gridding, Nufft};
use crate::{Fft, MaskedFft, Sense};
use quadrat_core::{Params, Silent};

type C = Complex<f64>;

/// An ellipse with two smaller ones in it, of values 0.2 to 1.
fn phantom(height: usize, width: usize) -> Vec<C> {
    let value = |place: usize| {
        let y = (place / width) as f64 / height as f64 - 0.5;
        let x = (place % width) as f64 / width as f64 - 0.5;
        let inside = |cy: f64, cx: f64, ry: f64, rx: f64| ((y - cy) / ry).powi(2) + ((x - cx) / rx).powi(2) < 1.0;
        let mut sum = 0.0;
        for (ellipse, add) in
            [((0.0, 0.0, 0.42, 0.34), 0.6), ((0.1, 0.05, 0.12, 0.2), 0.4), ((-0.2, -0.1, 0.08, 0.06), -0.4)]
        {
            let (cy, cx, ry, rx) = ellipse;
            sum += if inside(cy, cx, ry, rx) { add } else { 0.0 };
        }
        Complex::new(sum, 0.0)
    };
    (0..height * width).map(value).collect()
}

fn noise(count: usize, size: f64) -> Vec<C> {
    let mut rng = Seed(3).stream("recon").rng(0);
    (0..count).map(|_| Complex::new(size * rng.normal(), size * rng.normal())).collect()
}

fn samples(op: &dyn Encoding<f64>, image: &[C], size: f64) -> Vec<C> {
    let mut samples = noise(op.samples(), size);
    let mut clean = samples.clone();
    op.forward(image, &mut clean).unwrap();
    samples.iter_mut().zip(clean).for_each(|(n, y)| *n += y);
    samples
}

/// |got - want| / |want|.
fn off(got: &[C], want: &[C]) -> f64 {
    let difference: f64 = got.iter().zip(want).map(|(a, b)| (a - b).norm_sqr()).sum();
    (difference / square(want)).sqrt()
}

fn all() -> Vec<Box<dyn Reconstructor<f64>>> {
    vec![
        Box::new(ZeroFilled {}),
        Box::new(CgSense::default()),
        Box::new(TotalVariation::default()),
        Box::new(WaveletL1::default()),
    ]
}

#[test]
fn a_full_grid_gives_the_image_back() {
    let image = phantom(32, 32);
    let op = MaskedFft::new(&Pattern::new(&[32, 32], vec![true; 1024]).unwrap()).unwrap();
    let y = samples(&op, &image, 0.0);
    for (method, most) in [(0, 1e-12), (1, 1e-7)] {
        let got = all()[method].reconstruct(&y, &op, &Silent).unwrap();
        assert!(off(&got, &image) < most, "{}: {}", all()[method].card().slug, off(&got, &image));
    }
}

#[test]
fn penalties_beat_zero_filling() {
    let image = phantom(48, 48);
    let mask = varden2d([48, 48], 0.3, usual_centre(0.3), Seed(2)).unwrap();
    let op = MaskedFft::new(&mask).unwrap();
    let y = samples(&op, &image, 0.005);
    let got: Vec<f64> = all().iter().map(|m| off(&m.reconstruct(&y, &op, &Silent).unwrap(), &image)).collect();
    assert!((got[0] - got[1]).abs() < 0.01, "{got:?}");
    assert!(got[2] < 0.4 * got[0] && got[3] < 0.8 * got[0], "{got:?}");
}

#[test]
fn spokes_are_gridded_and_fitted() {
    let image = phantom(48, 48);
    let spokes = radial_golden([48, 48], 20).unwrap();
    let gridding = Gridding::for_tolerance(1e-5).unwrap();
    let truth = Nufft::<f64>::new(&[48, 48], spokes.view(), Gridding::for_tolerance(1e-9).unwrap()).unwrap();
    let op = Compensated::new(&[48, 48], spokes.view(), gridding).unwrap();
    quadrat_numeric::operator::check_operator(&op).unwrap();
    let y = op.samples_of(&samples(&truth, &image, 0.002));
    let got: Vec<f64> = all().iter().map(|m| off(&m.reconstruct(&y, &op, &Silent).unwrap(), &image)).collect();
    assert!(got[0] < 0.6 && got[1] < 0.9 * got[0] && got[2] < 0.2 * got[1], "{got:?}");
}

#[test]
fn coils_fill_what_one_does_not_see() {
    let image = phantom(32, 32);
    let mask = crate::masks::uniform([32, 32], 2, 4).unwrap();
    let maps: Vec<C> = (0..4 * 1024)
        .map(|place| {
            let (coil, y, x) = (place / 1024, place / 32 % 32, place % 32);
            let (cy, cx) = ([0.0, 0.0, 31.0, 31.0][coil], [0.0, 31.0, 0.0, 31.0][coil]);
            let far = (y as f64 - cy).powi(2) + (x as f64 - cx).powi(2);
            Complex::from_polar((-far / 900.0).exp(), 0.3 * coil as f64)
        })
        .collect();
    let op = Sense::new(MaskedFft::new(&mask).unwrap(), maps).unwrap();
    let y = samples(&op, &image, 0.0);
    let cg = CgSense { iterations: 60, l2: 0.0 }.reconstruct(&y, &op, &Silent).unwrap();
    assert!(off(&cg, &image) < 0.01, "{}", off(&cg, &image));
}

/// At the minimum A'(A x - y) = -D'p with |p| at most λ, so that for D'p = λ D'(D x / |D x|) + o the objective cannot fall along any
/// direction; more steps change next to nothing.
#[test]
fn total_variation_comes_to_its_minimum() {
    let image = phantom(24, 20);
    let mask = varden1d([24, 20], 0.5, 0.1, Seed(4)).unwrap();
    let op = MaskedFft::new(&mask).unwrap();
    let y = samples(&op, &image, 0.02);
    let method = |iterations| TotalVariation { weight: 0.02, iterations };
    let [some, many] = [1000, 5000].map(|n| method(n).reconstruct(&y, &op, &Silent).unwrap());
    assert!(off(&some, &many) < 5e-3, "{}", off(&some, &many));
    let Start { peak, gain, .. } = Start::of(&y, &op).unwrap();
    let objective = |x: &[C]| {
        let mut made = y.clone();
        op.forward(x, &mut made).unwrap();
        let misfit: f64 = made.iter().zip(&y).map(|(a, b)| (a - b).norm_sqr()).sum();
        let edge = |place: usize| {
            let (row, column) = (place / 20, place % 20);
            let down = if row + 1 < 24 { (x[place + 20] - x[place]).norm_sqr() } else { 0.0 };
            let right = if column + 1 < 20 { (x[place + 1] - x[place]).norm_sqr() } else { 0.0 };
            (down + right).sqrt()
        };
        misfit / 2.0 + 0.02 * peak * gain * (0..480).map(edge).sum::<f64>()
    };
    let least = objective(&many);
    for (item, size) in [(0, 1e-2), (1, 1e-3), (2, 1e-4)] {
        let mut rng = Seed(9).stream("direction").rng(item);
        let moved: Vec<C> = many.iter().map(|v| v + Complex::new(rng.normal(), rng.normal()) * size).collect();
        assert!(objective(&moved) > least);
    }
    for towards in [&image, &vec![Complex::new(0.0, 0.0); 480], &some] {
        let moved: Vec<C> = many.iter().zip(towards).map(|(a, b)| a * 0.99 + b * 0.01).collect();
        assert!(objective(&moved) > least - 1e-9);
    }
}

#[test]
fn wavelets_are_orthonormal() {
    for shape in [vec![32, 64], vec![16, 16], vec![16, 32, 16], vec![96]] {
        let wavelets = Wavelets::new(&shape, 3).unwrap();
        let image = noise(shape.iter().product(), 1.0);
        let mut weights = image.clone();
        wavelets.transform(&mut weights);
        assert!((square(&weights) / square(&image) - 1.0).abs() < 1e-12);
        assert!(off(&weights, &image) > 0.1);
        wavelets.inverse(&mut weights);
        assert!(off(&weights, &image) < 1e-12, "{shape:?}");
    }
    assert!(Wavelets::new(&[15, 16], 3).is_err());
    assert!(Wavelets::new(&[8, 16], 3).is_err());
}

#[test]
fn scales_of_samples_and_of_the_encoding_change_nothing() {
    let image = phantom(32, 32);
    let mask = varden2d([32, 32], 0.4, 0.1, Seed(2)).unwrap();
    let plain = Sense::new(MaskedFft::new(&mask).unwrap(), vec![Complex::new(1.0, 0.0); 1024]).unwrap();
    let louder = Sense::new(MaskedFft::new(&mask).unwrap(), vec![Complex::new(7.0, 0.0); 1024]).unwrap();
    let y = samples(&plain, &image, 0.01);
    let times = |by: f64| y.iter().map(|v| v * by).collect::<Vec<C>>();
    for method in all() {
        let want = method.reconstruct(&y, &plain, &Silent).unwrap();
        let scaled: Vec<C> = want.iter().map(|v| v * 1e-6).collect();
        assert!(off(&method.reconstruct(&times(1e-6), &plain, &Silent).unwrap(), &scaled) < 1e-6);
        assert!(off(&method.reconstruct(&times(7.0), &louder, &Silent).unwrap(), &want) < 1e-6);
    }
}

#[test]
fn single_precision_and_threads_agree() {
    let image = phantom(32, 32);
    let op = MaskedFft::<f64>::new(&varden2d([32, 32], 0.4, 0.1, Seed(2)).unwrap()).unwrap();
    let y = samples(&op, &image, 0.01);
    let single = MaskedFft::<f32>::new(&varden2d([32, 32], 0.4, 0.1, Seed(2)).unwrap()).unwrap();
    let y32: Vec<Complex<f32>> = y.iter().map(|v| Complex::new(v.re as f32, v.im as f32)).collect();
    for slug in ["zero-filled", "cg", "total-variation", "wavelet"] {
        let method = crate::reconstructor(slug, &Params::none()).unwrap();
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| method.reconstruct(&y32, &single, &Silent).unwrap())
        };
        let one = run(1);
        assert!(one == run(2), "{slug}");
        let want = all().into_iter().find(|m| m.card().is_called(slug)).unwrap().reconstruct(&y, &op, &Silent).unwrap();
        let got: Vec<C> = one.iter().map(|v| Complex::new(f64::from(v.re), f64::from(v.im))).collect();
        assert!(off(&got, &want) < 1e-3, "{slug}: {}", off(&got, &want));
    }
}

struct Stopped;

impl Progress for Stopped {
    fn cancelled(&self) -> bool {
        true
    }
}

#[test]
fn wrong_samples_are_refused_and_runs_stop() {
    let op = Fft::<f64>::new(&[16, 16]).unwrap();
    let mut y = noise(256, 1.0);
    for method in all() {
        let refused = |y: &[C]| method.reconstruct(y, &op, &Silent).unwrap_err().to_string();
        assert!(refused(&y[..100]).contains("100 samples"));
        assert!(refused(&vec![Complex::new(0.0, 0.0); 256]).contains("nothing but zeros"));
    }
    for method in &all()[1..] {
        let stopped = method.reconstruct(&y, &op, &Stopped).unwrap_err();
        assert!(matches!(stopped, Error::Cancelled), "{}", method.card().slug);
    }
    y[7].im = f64::NAN;
    for method in all() {
        assert!(method.reconstruct(&y, &op, &Silent).unwrap_err().to_string().contains("sample 7"));
    }
    assert!(crate::reconstructor("tv", &Params::from([("weight", "-1")])).is_err());
    assert!(crate::reconstructor("tv", &Params::from([("levels", "3")])).is_err());
    assert!(crate::reconstructor("total-variaton", &Params::none()).is_err());
    let odd = Fft::<f64>::new(&[9, 16]).unwrap();
    assert!(WaveletL1::default().reconstruct(&noise(144, 1.0), &odd, &Silent).is_err());
}
