use super::training::Networks;
use super::*;
use crate::GenerativeModel;
use ndarray::{array, s};
use quadrat_core::{Params, Silent, stats};
use quadrat_numeric::layers::Layers;
use quadrat_numeric::linalg::{gram, symmetric_eigen};

fn circle(rows: usize, seed: u64) -> Array2<f64> {
    let mut rng = Seed(seed).rng(0);
    let angles: Vec<f64> = (0..rows).map(|_| std::f64::consts::TAU * rng.uniform()).collect();
    Array2::from_shape_fn((rows, 2), |(i, k)| if k == 0 { angles[i].cos() } else { angles[i].sin() })
}

/// A line in space: 1 + 2 z along (2, -1, 2) / 3.
fn line(rows: usize, seed: u64) -> Array2<f64> {
    let mut rng = Seed(seed).rng(0);
    let z: Vec<f64> = (0..rows).map(|_| rng.normal()).collect();
    Array2::from_shape_fn((rows, 3), |(i, k)| 1.0 + 2.0 * z[i] * [2.0, -1.0, 2.0][k] / 3.0)
}

fn networks(latent: usize, columns: usize, encoder: bool) -> Networks {
    let mut rng = Seed(7).rng(0);
    let mut random = |sizes: &[usize]| {
        Layers::random(
            sizes,
            quadrat_numeric::layers::Activation::Tanh,
            quadrat_numeric::layers::Start::Uniform,
            &mut rng,
        )
    };
    let mut log_sigma = random(&[0, 1]);
    log_sigma.layers[0].1[0] = -0.4;
    Networks {
        decoder: random(&[latent, 6, columns]),
        encoder: encoder.then(|| random(&[columns, 6, 2 * latent])),
        log_sigma,
    }
}

/// Compares derivatives with differences of `loss`, along each parameter's own axis; single precision leaves 1e-3.
fn agree_with_differences(networks: &Networks, slopes: &Networks, loss: impl Fn(&Networks) -> f64) {
    let h = 1e-2_f32;
    let part = |networks: &mut Networks, which: usize| match which {
        0 => Some(networks.decoder.clone()),
        1 => networks.encoder.clone(),
        _ => Some(networks.log_sigma.clone()),
    };
    let put = |networks: &mut Networks, which: usize, layers: Layers<f32>| match which {
        0 => networks.decoder = layers,
        1 => networks.encoder = Some(layers),
        _ => networks.log_sigma = layers,
    };
    for which in 0..3 {
        let Some(slope) = part(&mut slopes.clone(), which) else { continue };
        for at in 0..slope.layers.len() {
            let (w, b) = slope.layers[at].clone();
            let moved = |change: &dyn Fn(&mut Layers<f32>, f32)| {
                let by = |step: f32| {
                    let mut other = networks.clone();
                    let mut layers = part(&mut other, which).unwrap();
                    change(&mut layers, step);
                    put(&mut other, which, layers);
                    loss(&other)
                };
                (by(h) - by(-h)) / (2.0 * f64::from(h))
            };
            for (place, slope) in w.indexed_iter() {
                let found = moved(&|layers, step| layers.layers[at].0[place] += step);
                assert!((found - f64::from(*slope)).abs() < 2e-3, "{which} {at} {place:?}: {found} {slope}");
            }
            for (place, slope) in b.indexed_iter() {
                let found = moved(&|layers, step| layers.layers[at].1[place] += step);
                assert!((found - f64::from(*slope)).abs() < 2e-3, "{which} {at} {place}: {found} {slope}");
            }
        }
    }
}

fn zeros(networks: &Networks) -> Networks {
    Networks {
        decoder: networks.decoder.zeros(),
        encoder: networks.encoder.as_ref().map(Layers::zeros),
        log_sigma: networks.log_sigma.zeros(),
    }
}

#[test]
fn quadrature_slopes_are_derivatives() {
    let net = networks(2, 3, false);
    let x = line(5, 1).mapv(|v| v as f32);
    let points = array![[0.1_f32, -0.5], [1.0, 0.3], [-0.7, 0.8], [0.4, 0.0]];
    let mut slopes = zeros(&net);
    quadrature::slopes(&net, &points, x.view(), &mut slopes);
    agree_with_differences(&net, &slopes, |net| -stats::mean(&quadrature::log_densities(net, &points, x.view())));
}

#[test]
fn slopes_of_the_bounds_are_derivatives() {
    let net = networks(2, 3, true);
    let x = line(5, 2).mapv(|v| v as f32 * 0.5);
    for k in [1, 4] {
        let mut slopes = zeros(&net);
        variational::slopes(&net, x.clone(), k, false, &mut Seed(3).rng(0), &mut slopes);
        agree_with_differences(&net, &slopes, |net| {
            let mut rng = Seed(3).rng(0);
            let encoder = net.encoder.as_ref().unwrap();
            let bound = |row| variational::log_bound(net, encoder, x.slice(s![row..row + 1, ..]), k, &mut rng);
            -stats::mean(&(0..5).map(bound).collect::<Vec<_>>())
        });
    }
    // With the closed divergence: the same draws, and the divergence in place of its draw.
    let mut slopes = zeros(&net);
    variational::slopes(&net, x.clone(), 1, true, &mut Seed(3).rng(0), &mut slopes);
    agree_with_differences(&net, &slopes, |net| {
        let encoder = net.encoder.as_ref().unwrap();
        let code = encoder.outputs(x.view());
        let mut rng = Seed(3).rng(0);
        let z = Array2::from_shape_fn((5, 2), |(row, d)| {
            code[[row, d]] + (0.5 * code[[row, 2 + d]]).exp() * rng.normal() as f32
        });
        let s2 = f64::from(net.sigma()).powi(2);
        let miss = (&x - &net.decoder.outputs(z.view())).mapv(|v| f64::from(v * v)).sum() / 5.0;
        let constant = 1.5 * (std::f64::consts::TAU * s2).ln();
        0.5 * miss / s2 + constant + variational::divergences(encoder, x.view()).iter().sum::<f64>()
    });
}

/// Linear decoder, one latent dimension: probabilistic PCA, whose maximum Tipping and Bishop (1999) give: s^2 is the mean
/// of the discarded eigenvalues. The fit's own s and mean log-likelihood agree with it to what Adam's last steps leave.
#[test]
fn a_linear_decoder_is_probabilistic_pca() {
    let x = line(400, 4);
    let t = 0.5;
    for bound in [Bound::Quadrature { m: 64 }, Bound::Elbo] {
        let method = PerturbedMle {
            latent: 1,
            hidden: vec![],
            bound,
            noise: Noise::Fixed(t),
            redraw: false,
            batch: 400,
            rate: 3e-3,
            steps: 4000,
            ..PerturbedMle::default()
        };
        let fit = method.fit(x.view(), Seed(5), &Silent).unwrap();
        // The very noise it was given: a single draw, in the networks' units.
        let scaling = Scaling::of(x.view()).unwrap();
        let inside = InstanceNoise { t: t / scaling.scale, redraw: false };
        let noisy = inside.perturb(scaling.to_networks(x.view()).view(), 0, Seed(5)).unwrap() * scaling.scale;
        let centred = &noisy - &noisy.mean_axis(Axis(0)).unwrap();
        let mut eigen = symmetric_eigen((gram(centred.view(), None).unwrap() / 400.0).view()).unwrap().0;
        eigen.sort_by(|a, b| b.total_cmp(a));
        let s2 = 0.5 * (eigen[1] + eigen[2]);
        assert!((fit.sigma - s2.sqrt()).abs() < 0.03 * s2.sqrt(), "{bound:?}: {} {}", fit.sigma, s2.sqrt());
        let best = -0.5 * (3.0 * std::f64::consts::TAU.ln() + eigen[0].ln() + 2.0 * s2.ln() + 3.0);
        let logs = fit.log_lik_by_quadrature((noisy + &scaling.centre).view(), 512, Seed(0)).unwrap();
        let found = stats::mean(&logs);
        assert!(found < best + 1e-3 && found > best - 0.02, "{bound:?}: {found} {best}");
    }
}

/// Rows on a line: the likelihood has no upper bound, s falls to its floor of 1e-4 and takes it along.
#[test]
fn without_noise_the_likelihood_runs_away() {
    let x = line(300, 6);
    let fit = |t| {
        let method = PerturbedMle {
            latent: 1,
            hidden: vec![],
            bound: Bound::Elbo,
            noise: Noise::Fixed(t),
            batch: 300,
            rate: 3e-3,
            steps: 4000,
            ..PerturbedMle::default()
        };
        method.fit(x.view(), Seed(1), &Silent).unwrap()
    };
    let (plain, perturbed) = (fit(0.0), fit(0.3));
    assert!(plain.sigma < 0.05 && perturbed.sigma > 0.25, "{} {}", plain.sigma, perturbed.sigma);
    let mean = |fit: &Fitted| stats::mean(&fit.log_lik(x.view(), 64, Seed(0)).unwrap());
    assert!(mean(&plain) > mean(&perturbed) + 2.0);
}

/// E|x~|^2 = E|x|^2 + D t^2 (a mean over 20,000 rows, five standard errors: one false alarm in two million), and a row is
/// never farther from its noisy self than W1 says.
#[test]
fn noise_has_its_moments_and_its_distance() {
    let x = circle(20_000, 1);
    let noise = InstanceNoise { t: 0.3, redraw: true };
    let noisy = noise.perturb(x.view(), 0, Seed(2)).unwrap();
    let squares: Vec<f64> = noisy.rows().into_iter().map(|row| row.dot(&row)).collect();
    let reach = 5.0 * stats::standard_deviation(&squares) / 20_000_f64.sqrt();
    assert!((stats::mean(&squares) - (1.0 + 2.0 * 0.09)).abs() < reach);
    let part = |a: &Array2<f64>| a.slice(s![..300, ..]).to_owned();
    let w1 = wasserstein1(part(&x).view(), part(&noisy).view()).unwrap();
    let moved = (&part(&x) - &part(&noisy)).map_axis(Axis(1), |row| row.dot(&row).sqrt()).mean().unwrap();
    assert!(w1 <= moved + 1e-12 && w1 <= 0.3 * 2_f64.sqrt(), "{w1} {moved}");
    assert_ne!(noisy, noise.perturb(x.view(), 1, Seed(2)).unwrap());
    let once = InstanceNoise { t: 0.3, redraw: false };
    assert_eq!(once.perturb(x.view(), 0, Seed(2)).unwrap(), once.perturb(x.view(), 9, Seed(2)).unwrap());
    assert!(InstanceNoise { t: f64::NAN, redraw: true }.perturb(x.view(), 0, Seed(2)).is_err());
}

/// The bound rises with the number of draws and ends at the likelihood: .01 nat at 10,000.
#[test]
fn more_draws_tighten_the_bound() {
    let x = circle(200, 3);
    let method =
        PerturbedMle { latent: 1, hidden: vec![16], noise: Noise::Fixed(0.3), steps: 600, ..PerturbedMle::default() };
    let fit = method.fit(x.view(), Seed(4), &Silent).unwrap();
    let mean = |k| stats::mean(&fit.log_lik(x.view(), k, Seed(5)).unwrap());
    let bounds = [1, 10, 100, 10_000].map(mean);
    assert!(bounds.windows(2).all(|pair| pair[0] < pair[1] + 0.005), "{bounds:?}");
    let exact = stats::mean(&fit.log_lik_by_quadrature(x.view(), 4096, Seed(0)).unwrap());
    assert!((bounds[3] - exact).abs() < 0.01, "{bounds:?} {exact}");
    assert_eq!(fit.divergences.len(), 1);
    assert_eq!(fit.encode(x.view()).unwrap().unwrap().dim(), (200, 1));
}

#[test]
fn much_noise_is_what_the_decoder_finds() {
    let method = PerturbedMle {
        latent: 1,
        hidden: vec![16],
        noise: Noise::Fixed(8.0),
        bound: Bound::Quadrature { m: 32 },
        steps: 800,
        batch: 300,
        ..PerturbedMle::default()
    };
    let fit = method.fit(circle(300, 5).view(), Seed(6), &Silent).unwrap();
    assert!((fit.sigma / 8.0 - 1.0).abs() < 0.05, "{}", fit.sigma);
}

/// Rows that spread alike in all directions are where an s that learns too early silences the encoder: it then ends at 0.71.
#[test]
fn the_encoder_is_heard_on_a_circle() {
    let method = PerturbedMle { latent: 1, noise: Noise::Fixed(0.0), steps: 2000, ..PerturbedMle::default() };
    for seed in 0..3 {
        let fit = method.fit(circle(500, seed).view(), Seed(seed), &Silent).unwrap();
        assert!(fit.sigma < 0.35, "seed {seed}: {}", fit.sigma);
    }
}

#[test]
fn a_level_is_chosen_by_distance_and_ties_go_to_more_noise() {
    assert_eq!(choose(&[(0.0, 0.3), (0.1, 0.1), (0.2, 0.1005), (0.3, 0.2)]), 2);
    assert_eq!(choose(&[(0.2, 0.1), (0.1, 0.1)]), 0);
    assert_eq!(choose(&[]), 0);
    let method = PerturbedMle {
        latent: 1,
        hidden: vec![16],
        bound: Bound::Quadrature { m: 64 },
        noise: Noise::Grid(vec![0.1, 20.0]),
        steps: 800,
        ..PerturbedMle::default()
    };
    let fit = method.fit(circle(300, 7).view(), Seed(8), &Silent).unwrap();
    assert_eq!((fit.t, fit.validation.len()), (0.1, 2));
    assert!(fit.validation[0].1 < fit.validation[1].1);
    // With noise or without, the same points of Z: 4,000 squares average to s^2, four standard errors (once in 16,000).
    let noise = (fit.sample_noisy(2000, Seed(9)) - fit.sample(2000, Seed(9))).mapv(|v| v * v / fit.sigma.powi(2));
    assert!((noise.mean().unwrap() - 1.0).abs() < 4.0 * (2.0_f64 / 4000.0).sqrt());
    assert_eq!(fit.decode(array![[0.0]].view()).unwrap().dim(), (1, 2));
    assert!(fit.decode(array![[0.0, 1.0]].view()).is_err());
    assert!(fit.log_density(array![[1.0, 0.0]].view(), Seed(0)).unwrap().unwrap()[0].is_finite());
}

#[test]
fn bad_rows_and_settings_are_refused() {
    let good = circle(60, 1);
    let quick = PerturbedMle { latent: 1, hidden: vec![4], steps: 5, noise: Noise::Fixed(0.1), ..Default::default() };
    let check = |method: &PerturbedMle, x: &Array2<f64>, part: &str| {
        let error = method.fit(x.view(), Seed(0), &Silent).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    let with = |row: usize, column: usize, value: f64| {
        let mut x = good.clone();
        x[[row, column]] = value;
        x
    };
    check(&quick, &with(3, 1, f64::NAN), "rows, row 3, column 1: got NaN");
    check(&quick, &with(0, 0, f64::INFINITY), "got inf");
    check(&quick, &Array2::zeros((0, 2)), "rows: got 0");
    check(&quick, &good.slice(s![..1, ..]).to_owned(), "rows: got 1");
    check(&quick, &Array2::from_shape_fn((60, 2), |(i, k)| if k == 0 { 3.0 } else { i as f64 }), "constant column");
    check(&quick, &(&good * 1e200), "change the columns' units");
    check(&quick, &(&good * 1e-200), "change the columns' units");
    let cases: [(PerturbedMle, &str); 14] = [
        (PerturbedMle { latent: 3, ..quick.clone() }, "latent dimensions: got 3"),
        (PerturbedMle { latent: 0, ..quick.clone() }, "latent dimensions: got 0"),
        (PerturbedMle { noise: Noise::Fixed(-1.0), ..quick.clone() }, "noise level: got -1"),
        (PerturbedMle { noise: Noise::Fixed(f64::NAN), ..quick.clone() }, "noise level: got NaN"),
        (PerturbedMle { noise: Noise::Grid(vec![]), ..quick.clone() }, "noise levels: got 0"),
        (PerturbedMle { noise: Noise::Grid(vec![0.1, -0.1]), ..quick.clone() }, "noise level: got -0.1"),
        (PerturbedMle { prior: Prior::Uniform, ..quick.clone() }, "use a normal prior, or quadrature"),
        (PerturbedMle { bound: Bound::Iwae { k: 0 }, ..quick.clone() }, "draws of the bound: got 0"),
        (PerturbedMle { bound: Bound::Quadrature { m: 1 }, ..quick.clone() }, "quadrature points: got 1"),
        (PerturbedMle { sigma: Sigma::Fixed(0.0), ..quick.clone() }, "sigma: got 0"),
        (PerturbedMle { sigma: Sigma::Learned { floor: -1.0 }, ..quick.clone() }, "floor of sigma: got -1"),
        (PerturbedMle { hidden: vec![4, 0], ..quick.clone() }, "units of a hidden layer: got 0"),
        (PerturbedMle { batch: 0, ..quick.clone() }, "batch: got 0"),
        (PerturbedMle { rate: f64::INFINITY, ..quick.clone() }, "rate: got inf"),
    ];
    for (method, part) in &cases {
        check(method, &good, part);
    }
    let wide = Array2::from_shape_fn((60, 6), |(i, k)| (i * (k + 1)) as f64);
    let deep = PerturbedMle { latent: 4, bound: Bound::Quadrature { m: 9 }, ..quick.clone() };
    check(&deep, &wide, "fixed points cover at most 3");
    check(&PerturbedMle { rate: 1e30, ..quick.clone() }, &good, "training diverged");
    // Duplicates and units far from 1 are none of its business.
    let repeated = Array2::from_shape_fn((60, 2), |(i, k)| 1e6 * ((i % 2 + k) % 2) as f64);
    assert!(quick.fit(repeated.view(), Seed(0), &Silent).is_ok());
    let tiny = PerturbedMle { noise: Noise::Fixed(1e-10), ..quick };
    let fit = tiny.fit((&good * 1e-9).view(), Seed(0), &Silent).unwrap();
    assert!(fit.log_lik(array![[f64::NAN, 0.0]].view(), 5, Seed(0)).is_err());
    assert!(fit.log_lik(array![[0.0]].view(), 5, Seed(0)).is_err());
    assert!(fit.log_lik(good.view(), 0, Seed(0)).is_err());
    assert_eq!(fit.sample(0, Seed(0)).dim(), (0, 2));
}

#[test]
fn parameters_of_the_command_line() {
    let method = PerturbedMle::from_params(&Params::from([
        ("bound", "quadrature:128"),
        ("prior", "uniform"),
        ("noise", "0.2"),
        ("hidden", "32"),
        ("latent", "1"),
    ]))
    .unwrap();
    let expected = PerturbedMle {
        latent: 1,
        prior: Prior::Uniform,
        hidden: vec![32, 32],
        bound: Bound::Quadrature { m: 128 },
        noise: Noise::Fixed(0.2),
        ..PerturbedMle::default()
    };
    assert_eq!(method, expected);
    assert_eq!(PerturbedMle::from_params(&Params::none()).unwrap(), PerturbedMle::default());
    for (name, value) in [("bound", "iwae"), ("bound", "iwae:x"), ("noise", "-1"), ("rate", "0"), ("hidden", "0")] {
        assert!(PerturbedMle::from_params(&Params::from([(name, value)])).is_err(), "{name} {value}");
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let x = circle(120, 9);
        let method = PerturbedMle {
            latent: 1,
            hidden: vec![8],
            bound: Bound::Iwae { k: 3 },
            noise: Noise::Grid(vec![0.0, 0.1, 0.2]),
            steps: 60,
            ..PerturbedMle::default()
        };
        pool.install(|| {
            let fit = method.fit(x.view(), Seed(1), &Silent).unwrap();
            let rows = fit.sample(2500, Seed(2));
            (fit.log_lik(x.view(), 5, Seed(3)).unwrap(), rows, fit)
        })
    };
    assert_eq!(run(1), run(2));
}

#[test]
fn a_fit_can_be_stopped() {
    struct Stopped;
    impl Progress for Stopped {
        fn cancelled(&self) -> bool {
            true
        }
    }
    let method = PerturbedMle { steps: 100_000, ..PerturbedMle::default() };
    assert!(matches!(method.fit(circle(60, 1).view(), Seed(0), &Stopped), Err(Error::Cancelled)));
}
