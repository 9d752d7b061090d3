use super::target::Reward;
use super::*;
use crate::{Denoiser, MixtureDenoiser, Path, Prediction, Solver, denoiser_fn};
use ndarray::{Array1, ArrayView2, array};
use quadrat_core::{Params, Silent, stats};
use quadrat_numeric::mixture::{Covariances, Mixture};

fn mixture(weights: Array1<f64>, means: Array2<f64>, variances: Array1<f64>) -> MixtureDenoiser {
    MixtureDenoiser::new(Mixture { weights, means, covariances: Covariances::Spherical(variances) }).unwrap()
}

fn two() -> (MixtureDenoiser, MixtureDenoiser) {
    let one = mixture(array![0.6, 0.4], array![[-1.0, 0.3], [1.5, -0.5]], array![0.5, 0.25]);
    let other = mixture(array![0.2, 0.8], array![[0.5, 1.0], [-0.5, -1.0]], array![0.7, 1.0]);
    (one, other)
}

/// A normal law in one dimension.
fn normal(mean: f64, variance: f64) -> MixtureDenoiser {
    mixture(array![1.0], array![[mean]], array![variance])
}

fn curved(y: ArrayView2<f64>) -> Result<(Vec<f64>, Array2<f64>)> {
    let value = |y: ndarray::ArrayView1<f64>| -0.4 * (y[0] - 1.0).powi(2) + (0.7 * y[1]).sin() * y[0];
    let values = y.outer_iter().map(value).collect();
    let mut gradient = y.to_owned();
    for (mut g, y) in gradient.outer_iter_mut().zip(y.outer_iter()) {
        g[0] = -0.8 * (y[0] - 1.0) + (0.7 * y[1]).sin();
        g[1] = 0.7 * (0.7 * y[1]).cos() * y[0];
    }
    Ok((values, gradient))
}

/// First and second derivatives by five points.
fn derivatives(f: impl Fn(f64) -> f64, h: f64) -> (f64, f64) {
    let [a, b, c, d, e] = [-2.0, -1.0, 0.0, 1.0, 2.0].map(|i| f(i * h));
    ((a - 8.0 * b + 8.0 * d - e) / (12.0 * h), (-a + 16.0 * b - 30.0 * c + 16.0 * d - e) / (12.0 * h * h))
}

/// The law that is stated solves the equation of the weighted particles: with τ = -v,
/// ∂ ln p = -div f - ⟨f, ∇ ln p⟩ + z/2 (Δ ln p + |∇ ln p|²) + g, of drift f and rate g as the code has them.
#[test]
fn the_stated_law_is_the_particles_law() {
    let (one, other) = two();
    let schedule = Schedule::linear();
    let ends = [schedule.level(1.0), schedule.level(1e-3)];
    let level = |v: f64| schedule.level(schedule.time_of(-0.5 * v.ln()));
    let targets = [
        Target::annealing(&one, 1.7),
        Target::annealing(&one, 0.6),
        Target::product(&[&one, &other], 1.3),
        Target::guidance(&other, &one, 2.5),
        Target::annealing(&one, 1.0).rewarded(&curved, 1.0),
        Target::guidance(&other, &one, 1.5).rewarded(&curved, 1.0),
    ];
    for (number, target) in targets.iter().enumerate() {
        let models = if number < 2 || number == 4 {
            vec![&one]
        } else if number == 2 {
            vec![&one, &other]
        } else {
            vec![&other, &one]
        };
        let exponents: &[f64] = [&[1.7][..], &[0.6], &[1.3, 1.3], &[-1.5, 2.5], &[1.0], &[-0.5, 1.5]][number];
        let share = |v: f64| target.share(&level(v), [&ends[0], &ends[1]]);
        let reward = |y: &Array2<f64>| if number >= 4 { curved(y.view()).unwrap().0[0] } else { 0.0 };
        let log_p = |y: &Array2<f64>, v: f64| {
            let at = level(v);
            let laws = models.iter().zip(exponents).map(|(model, b)| {
                b * (model.log_density((y * at.alpha).view(), &at).unwrap()[0] + 2.0 * at.alpha.ln())
            });
            laws.sum::<f64>() + share(v) * reward(y)
        };
        for (y, v) in [(array![[0.3, -0.4]], 0.5), (array![[-1.2, 0.9]], 2.0), (array![[2.0, 1.0]], 0.15)] {
            let moved = |j: usize, by: f64| {
                let mut y = y.clone();
                y[[0, j]] += by;
                y
            };
            let by_coordinate = [0, 1].map(|j| derivatives(|by| log_p(&moved(j, by), v), 1e-2));
            let curvature: f64 = by_coordinate.iter().map(|(slope, second)| second + slope * slope).sum();
            let in_time = -derivatives(|by| log_p(&y, v + by), 1e-3 * v).0;
            let look = |y: &Array2<f64>| target.look(y, &level(v), share(v)).unwrap();
            for z in [0.0, 0.4, 1.0, 3.0] {
                // A step so short that it is its own derivative.
                let h = 1e-7 * v;
                let step = Step::new(target.exponent(), z, v, v - h);
                assert!((step.noise.powi(2) / h - z).abs() < 1e-5);
                let drift = |y: &Array2<f64>, j: usize| {
                    let look = look(y);
                    let off = (step.keep - 1.0) * (y[[0, j]] - look.towards[[0, j]]);
                    (off + step.kick * look.share * look.reward.map_or(0.0, |(_, gradient)| gradient[[0, j]])) / h
                };
                let mut sum =
                    0.5 * z * curvature + look(&y).rate[0] - derivatives(|by| share(v + by), 1e-3 * v).0 * reward(&y);
                for (j, (slope, _)) in by_coordinate.iter().enumerate() {
                    sum -= derivatives(|by| drift(&moved(j, by), j), 1e-2).0 + drift(&y, j) * slope;
                }
                let off = (sum - in_time).abs();
                assert!(off < 2e-5, "target {number}, z {z}, v {v}: {sum} for {in_time}");
            }
        }
    }
}

/// A run's weighted mean and variance, and ln Z, in the first column.
fn moments(method: &FeynmanKac, target: &Target, seed: u64) -> [f64; 3] {
    let schedule = Schedule::Exploding { sigma: [0.02, 40.0] };
    let found = method.run(target, &schedule, &Grid::Karras, Seed(seed), &Silent).unwrap();
    let mean_of = |f: &dyn Fn(f64) -> f64| found.shares().iter().zip(found.x.column(0)).map(|(w, x)| w * f(*x)).sum();
    let mean: f64 = mean_of(&|x| x);
    [mean, mean_of(&|x| (x - mean).powi(2)), found.log_z]
}

/// Exact figures against means over runs, within four standard errors (one alarm in 15,000 looks) and `slack` for the steps' length.
fn assert_near(name: &str, runs: &[[f64; 3]], exact: [f64; 3], slack: f64) {
    for (i, exact) in exact.into_iter().enumerate() {
        let column: Vec<f64> = runs.iter().map(|run| run[i]).collect();
        let error = stats::standard_deviation(&column) / (column.len() as f64).sqrt();
        let off = (stats::mean(&column) - exact).abs();
        assert!(
            off < 4.0 * error + slack,
            "{name}, figure {i}: {} for {exact}, standard error {error}",
            stats::mean(&column)
        );
    }
}

/// Powers, products and tilts of normal laws are normal: mean, variance and ln Z.
#[test]
fn normal_laws_combine_to_normal_laws() {
    let (a, b) = (normal(1.0, 0.5), normal(-0.5, 2.0));
    let pull = |y: ArrayView2<f64>| {
        Ok((y.column(0).iter().map(|y| -0.5 * (y - 2.0) * (y - 2.0)).collect(), y.mapv(|y| 2.0 - y)))
    };
    let slack = 0.02;
    for (name, target, factors, z) in [
        ("annealing", Target::annealing(&a, 2.0), vec![(1.0, 0.5, 2.0)], 2.0),
        ("heating", Target::annealing(&a, 0.5), vec![(1.0, 0.5, 0.5)], 1.0),
        ("product", Target::product(&[&a, &b], 1.0), vec![(1.0, 0.5, 1.0), (-0.5, 2.0, 1.0)], 2.0),
        ("guidance", Target::guidance(&b, &a, 1.5), vec![(-0.5, 2.0, -0.5), (1.0, 0.5, 1.5)], 1.0),
        ("reward", Target::annealing(&a, 1.0).rewarded(&pull, 1.0), vec![(1.0, 0.5, 1.0)], 1.0),
    ] {
        // ln of Π N(mᵢ, sᵢ)^bᵢ exp(r) is -(precision y² - 2 linear y + constant) / 2.
        let noised = 0.02f64.powi(2);
        let tilt = if name == "reward" { [1.0, 2.0, 4.0] } else { [0.0; 3] };
        let [precision, linear, constant] = factors.iter().fold(tilt, |[p, l, c], (m, s, b)| {
            let s = s + noised;
            [p + b / s, l + b * m / s, c + b * (m * m / s + (std::f64::consts::TAU * s).ln())]
        });
        let log_z = 0.5 * ((std::f64::consts::TAU / precision).ln() + linear * linear / precision - constant);
        let exact = [linear / precision, 1.0 / precision, log_z];
        let method = FeynmanKac { particles: 512, steps: 80, noise: z, ..FeynmanKac::default() };
        let runs: Vec<[f64; 3]> = (0..24).map(|seed| moments(&method, &target, seed)).collect();
        assert_near(name, &runs, exact, slack);
    }
}

/// ln Z and the moments of a mixture's power against sums over a fine grid, whatever resamples and when.
#[test]
fn powers_of_mixtures_agree_with_quadrature() {
    let model = mixture(array![0.6, 0.4], array![[-1.0], [1.5]], array![0.5, 0.25]);
    let at = Schedule::edm().level(0.02);
    let points = Array2::from_shape_fn((20_001, 1), |(i, _)| -10.0 + i as f64 * 1e-3);
    let logs = model.log_density(points.view(), &at).unwrap();
    for (power, noise, scheme, threshold) in [
        (0.5, 1.0, Resampling::Systematic, 0.0),
        (1.2, 1.0, Resampling::Stratified, 1.0),
        (1.5, 2.0, Resampling::Residual, 0.5),
        (1.5, 2.0, Resampling::Multinomial, 0.5),
    ] {
        let sum = |f: &dyn Fn(f64) -> f64| -> f64 {
            logs.iter().zip(&points).map(|(log, y)| 1e-3 * f(*y) * (power * log).exp()).sum()
        };
        let total = sum(&|_| 1.0);
        let mean = sum(&|y| y) / total;
        let exact = [mean, sum(&|y| (y - mean).powi(2)) / total, total.ln()];
        let method = FeynmanKac { particles: 256, islands: 2, steps: 100, noise, threshold, resampling: scheme };
        let runs: Vec<[f64; 3]> =
            (0..24).map(|seed| moments(&method, &Target::annealing(&model, power), seed)).collect();
        assert_near(&format!("power {power}, {scheme:?}"), &runs, exact, 0.02);
    }
}

/// One model as it is: nothing to correct, and without noise the engine's DPM-Solver++(2M).
#[test]
fn one_model_as_it_is_takes_no_weights() {
    let (one, _) = two();
    let schedule = Schedule::linear();
    let method = FeynmanKac { particles: 50, steps: 20, noise: 0.0, ..FeynmanKac::default() };
    let target = Target::annealing(&one, 1.0);
    let found = method.run(&target, &schedule, &Grid::LogSnr, Seed(4), &Silent).unwrap();
    assert!(found.log_weights.iter().all(|w| w.abs() < 1e-9) && found.log_z.abs() < 1e-9);
    assert!(found.ess.iter().all(|ess| (ess - 50.0).abs() < 1e-9) && found.unique == [50; 20]);
    assert_eq!(found.calls, 21);
    let plan = Solver::Dpmpp2m.plan(schedule.clone(), &Grid::LogSnr, 21).unwrap();
    let start = Island::start(50, &target, &schedule.level(1.0), Seed(4).stream("island 0"));
    let mut path = Path::start(&plan, start.y * schedule.level(1.0).alpha, Seed(4)).unwrap();
    (0..20).for_each(|_| assert!(path.step(&one).is_ok()));
    let end = path.state() / schedule.level(plan.times[20]).alpha;
    assert!((&found.x - &end).iter().all(|off| off.abs() < 1e-9));
    // With noise, what one exact step of the noising taken back has: keep v'/v, variance v' (1 - v'/v).
    let step = Step::new(1.0, 1.0, 4.0, 3.0);
    assert!((step.keep - 0.75).abs() < 1e-14 && (step.noise.powi(2) - 0.75).abs() < 1e-14);
}

#[test]
fn islands_are_put_together_by_their_weights() {
    let (one, _) = two();
    let target = Target::annealing(&one, 2.0);
    let method = FeynmanKac { particles: 64, islands: 3, steps: 30, ..FeynmanKac::default() };
    let all = method.run(&target, &Schedule::edm(), &Grid::Karras, Seed(6), &Silent).unwrap();
    assert_eq!(all.x.dim(), (192, 2));
    assert!((log_mean_exp(&all.log_weights)).abs() < 1e-12);
    let alone =
        FeynmanKac { islands: 1, ..method }.run(&target, &Schedule::edm(), &Grid::Karras, Seed(6), &Silent).unwrap();
    for i in 0..64 {
        assert_eq!(all.x.row(i), alone.x.row(i));
        let log = alone.log_weights[i] + alone.log_z;
        assert!((all.log_weights[i] + all.log_z - log).abs() < 1e-9);
    }
    let drawn = all.draw(500, Seed(1)).unwrap();
    assert_eq!(drawn.dim(), (500, 2));
    assert!(all.unique.iter().all(|n| *n <= 192) && all.unique.is_sorted_by(|a, b| a >= b));
    assert!(all.ess.iter().all(|ess| *ess > 0.0 && *ess <= 192.0 + 1e-9));
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let (one, other) = two();
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let method = FeynmanKac { particles: 700, islands: 2, steps: 20, ..FeynmanKac::default() };
        let target = Target::product(&[&one, &other], 1.5).rewarded(&curved, 1.0);
        pool.install(|| method.run(&target, &Schedule::edm(), &Grid::Karras, Seed(9), &Silent).unwrap())
    };
    assert_eq!(run(1), run(2));
}

/// Guidance whose law has no finite integral: 20/v - 19/v' is below 0 for variances v = 2 and v' = 0.01.
#[test]
fn samples_that_run_away_are_reported() {
    let (wide, narrow) = (normal(0.0, 2.0), normal(0.0, 0.01));
    let method = FeynmanKac { particles: 64, ..FeynmanKac::default() };
    let schedule = Schedule::Exploding { sigma: [1e-3, 10.0] };
    let run = method.run(&Target::guidance(&narrow, &wide, 20.0), &schedule, &Grid::Karras, Seed(1), &Silent);
    let error = run.unwrap_err().to_string();
    assert!(error.contains("ran away at level"), "{error}");
}

#[test]
fn what_cannot_be_run_is_refused() {
    let (one, other) = two();
    let method = FeynmanKac { particles: 8, steps: 5, ..FeynmanKac::default() };
    let says = |method: &FeynmanKac, target: &Target| {
        method.run(target, &Schedule::edm(), &Grid::Karras, Seed(1), &Silent).unwrap_err().to_string()
    };
    let good = Target::annealing(&one, 2.0);
    for (method, word) in [
        (FeynmanKac { particles: 0, ..method.clone() }, "particles: got 0"),
        (FeynmanKac { particles: 1, ..method.clone() }, "particles: got 1"),
        (FeynmanKac { steps: 0, ..method.clone() }, "steps"),
        (FeynmanKac { islands: 0, ..method.clone() }, "islands"),
        (FeynmanKac { noise: -0.1, ..method.clone() }, "noise: got -0.1"),
        (FeynmanKac { noise: f64::NAN, ..method.clone() }, "noise"),
        (FeynmanKac { noise: f64::INFINITY, ..method.clone() }, "noise"),
        (FeynmanKac { threshold: 1.5, ..method.clone() }, "threshold"),
        (FeynmanKac { threshold: f64::NAN, ..method.clone() }, "threshold"),
    ] {
        let found = says(&method, &good);
        assert!(found.contains(word), "{found}");
    }
    let narrow = normal(0.0, 1.0);
    let nan = denoiser_fn(2, Prediction::Data, |x: ArrayView2<f64>, at: &Level| {
        Ok(if at.sigma < 1.0 { &x * f64::NAN } else { x.to_owned() })
    });
    let short = denoiser_fn(2, Prediction::Data, |_: ArrayView2<f64>, _: &Level| Ok(Array2::zeros((1, 2))));
    let none = denoiser_fn(0, Prediction::Data, |x: ArrayView2<f64>, _: &Level| Ok(x.to_owned()));
    let (few, endless): (&Reward, &Reward) =
        (&|y: ArrayView2<f64>| Ok((vec![0.0], y.to_owned())), &|y: ArrayView2<f64>| {
            Ok((vec![f64::INFINITY; y.nrows()], y.to_owned()))
        });
    let one_ref = &one as &dyn Denoiser;
    for (target, word) in [
        (Target::new(vec![]), "models: got none"),
        (Target::product(&[], 1.0), "models: got none"),
        (Target::annealing(&one, 0.0), "a sum of 0"),
        (Target::annealing(&one, -1.0), "a sum of -1"),
        (Target::new(vec![(one_ref, 1.0), (&other, -1.0)]), "a sum of 0"),
        (Target::annealing(&one, f64::NAN), "exponent: got NaN"),
        (Target::guidance(&one, &other, f64::INFINITY), "exponent"),
        (Target::product(&[&one, &narrow], 1.0), "of 1 numbers beside one of 2"),
        (Target::annealing(&none, 1.0), "at least 1"),
        (Target::product(&[&one, &nan], 1.0), "term 1"),
        (Target::annealing(&short, 1.0), "denoiser"),
        (Target::annealing(&one, 1.0).rewarded(few, 1.0), "a value for each of 8 rows"),
        (Target::annealing(&one, 1.0).rewarded(endless, 1.0), "not finite for sample 0"),
        (Target::annealing(&one, 1.0).rewarded(&curved, 0.0), "width"),
        (Target::annealing(&one, 1.0).rewarded(&curved, f64::NAN), "width"),
    ] {
        let found = says(&method, &target);
        assert!(found.contains(word), "{found}");
    }
    assert!(says(&method, &Target::annealing(&nan, 1.0)).contains("level "));
    let grid = Grid::Given(vec![5.0, 4.0]);
    assert!(method.run(&good, &Schedule::edm(), &grid, Seed(1), &Silent).is_err());
    let schedule = Schedule::Exploding { sigma: [1.0, 0.5] };
    assert!(method.run(&good, &schedule, &Grid::Karras, Seed(1), &Silent).is_err());
    struct Stopped;
    impl Progress for Stopped {
        fn cancelled(&self) -> bool {
            true
        }
    }
    let stopped = method.run(&good, &Schedule::edm(), &Grid::Karras, Seed(1), &Stopped);
    assert!(matches!(stopped, Err(Error::Cancelled)));
}

#[test]
fn settings_are_read() {
    let params: Params = [("particles", "64"), ("resampling", "residual"), ("noise", "0")].into_iter().collect();
    let found = FeynmanKac::from_params(&params).unwrap();
    assert_eq!(
        found,
        FeynmanKac { particles: 64, resampling: Resampling::Residual, noise: 0.0, ..FeynmanKac::default() }
    );
    assert!(FeynmanKac::from_params(&[("particles", "1")].into_iter().collect()).is_err());
}
