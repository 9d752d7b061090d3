use super::*;
use crate::{Grid, MixtureDenoiser, Schedule, Solver, Step, integrate};
use ndarray::{Array1, array, s};
use proptest::prelude::*;
use quadrat_core::{Silent, stats};
use quadrat_numeric::mixture::{Covariances, Mixture};
use quadrat_numeric::operator::{Mask, Matrix, Separable, operator_fn};

fn schedule() -> Schedule {
    Schedule::linear()
}

/// Three normal laws in the plane, of different shapes.
fn plane() -> MixtureDenoiser {
    let full = |a: f64, b: f64, c: f64| array![[a, b], [b, c]];
    let covariances = Covariances::Full(vec![full(0.4, 0.2, 0.3), full(0.1, -0.05, 0.2), full(0.2, 0.0, 0.05)]);
    let means = array![[-1.5, 0.2], [1.0, 1.0], [0.5, -1.5]];
    MixtureDenoiser::new(Mixture { weights: array![0.5, 0.3, 0.2], means, covariances }).unwrap()
}

/// One normal law in three dimensions.
fn normal() -> MixtureDenoiser {
    let covariance = array![[0.5, 0.2, 0.1], [0.2, 0.4, -0.1], [0.1, -0.1, 0.3]];
    let covariances = Covariances::Shared(covariance);
    MixtureDenoiser::new(Mixture { weights: array![1.0], means: array![[0.3, -0.5, 1.0]], covariances }).unwrap()
}

fn ddim(steps: usize) -> Plan {
    Solver::Ddim.plan(schedule(), &Grid::LogSnr, steps).unwrap()
}

const PLANE: Identity = Identity { dims: 2 };

/// A problem in the plane.
fn problem<'a>(op: &'a dyn LinearOp, y: &'a [f64], denoiser: &'a MixtureDenoiser, plan: &'a Plan) -> Inverse<'a> {
    Inverse { measurement: Measurement { op, y, noise: 0.2 }, denoiser, codec: &PLANE, plan }
}

fn ways() -> [Way; 7] {
    let stsl = |trace, eta| Way::Stsl(Stsl { trace, eta, ..Stsl::default() });
    [
        Way::Unguided,
        Way::Dps { zeta: 0.5 },
        Way::Psld { omega: 0.5, gamma: 0.1 },
        stsl(Trace::Bound, 0.1),
        stsl(Trace::Constant, 0.02),
        stsl(Trace::Literal, 0.02),
        Way::Covariance,
    ]
}

/// Mean distance between rows of one and the other.
fn apart(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
    let all = a.outer_iter().flat_map(|a| b.outer_iter().map(move |b| (&a - &b).mapv(|v| v * v).sum().sqrt()));
    all.sum::<f64>() / (a.nrows() * b.nrows()) as f64
}

fn energy_distance(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
    2.0 * apart(a, b) - apart(a, a) - apart(b, b)
}

/// The law of the data given a noised sample, and its covariance along u, by other means than the denoiser's: conditioning on α x₀ + σ ε.
fn given_noised(denoiser: &MixtureDenoiser, x: &Array1<f64>, at: &Level) -> MixtureDenoiser {
    let scaled = at.alpha * Array2::<f64>::eye(x.len());
    denoiser.given(scaled.view(), x.view(), at.sigma).unwrap()
}

/// Covariance of a mixture.
fn covariance(denoiser: &MixtureDenoiser) -> Array2<f64> {
    let Mixture { weights, means, covariances } = denoiser.mixture();
    let Covariances::Full(all) = covariances else { panic!("full covariances") };
    let mean = weights.dot(means);
    let mut total = Array2::zeros((means.ncols(), means.ncols()));
    for ((weight, m), c) in weights.iter().zip(means.outer_iter()).zip(all) {
        let off = (&m - &mean).insert_axis(ndarray::Axis(1));
        total.scaled_add(*weight, &(c + &off.dot(&off.t())));
    }
    total
}

/// The whole posterior covariance by the denoiser.
fn tweedie(denoiser: &MixtureDenoiser, x: &Array1<f64>, at: &Level) -> Array2<f64> {
    let rows = x.clone().insert_axis(ndarray::Axis(0));
    let times = |j: usize| {
        let u = Array2::from_shape_fn((1, x.len()), |(_, i)| f64::from(u8::from(i == j)));
        denoiser.covariance_times(rows.view(), at, u.view()).unwrap().row(0).to_owned()
    };
    let columns: Vec<Array1<f64>> = (0..x.len()).map(times).collect();
    Array2::from_shape_fn((x.len(), x.len()), |(i, j)| columns[j][i])
}

/// Tweedie's second order to 1e-8, and the bound: the surrogate is below ln p(y | x) at 10,000 random places, weaker with the trace of
/// the Hessian, and is equal where the covariance goes to 0.
#[test]
fn the_surrogate_is_a_bound() {
    let (denoiser, matrix, noise) = (plane(), array![[1.0, 0.5]], 0.3);
    let square = 1.25;
    let mut rng = Seed(7).rng(0);
    for place in 0..10_000 {
        // Near the data half of the time, anywhere else.
        let level = schedule().level(rng.uniform().powi(2) + 1e-3);
        let x = array![rng.normal() * 2.0, rng.normal() * 2.0];
        let y = rng.normal() * 2.0;
        let rows = x.clone().insert_axis(ndarray::Axis(0));
        let mean = denoiser.predict(rows.view(), &level).unwrap().row(0).to_owned();
        let cov = tweedie(&denoiser, &x, &level);
        let known = given_noised(&denoiser, &x, &level);
        if place < 500 {
            let off = (&cov - &covariance(&known)).mapv(f64::abs).sum();
            assert!(off < 1e-8, "the covariance at {x} and {level:?} differs by {off}");
        }
        let Mixture { weights, means, covariances } = known.mixture().clone();
        let Covariances::Full(all) = covariances else { panic!("full covariances") };
        let seen = Mixture {
            weights,
            means: means.dot(&matrix.t()),
            covariances: Covariances::Spherical(
                all.iter().map(|c| matrix.dot(c).dot(&matrix.t())[[0, 0]] + noise * noise).collect(),
            ),
        };
        let exact = seen.log_densities(array![[y]].view()).unwrap()[0];
        let constant = -0.5 * (std::f64::consts::TAU * noise * noise).ln();
        let residual = y - matrix.row(0).dot(&mean);
        let surrogate = |trace: f64| constant - (residual * residual + trace) / (2.0 * noise * noise);
        let spread = matrix.dot(&cov).dot(&matrix.t())[[0, 0]];
        // |A|² σ²/α² (d + σ² tr H), where C = σ²/α² (I + σ² H).
        let looser = square * cov.diag().sum();
        assert!(spread <= looser + 1e-12);
        assert!(surrogate(spread) <= exact + 1e-9, "{} above {exact} at {x}, {level:?}", surrogate(spread));
    }
    let clean = schedule().level(1e-5);
    let x = array![1.0, 1.0];
    let cov = tweedie(&denoiser, &x, &clean);
    assert!(cov.diag().sum() < 1e-4, "no covariance is left: both sides are the law of y given x");
}

/// The surrogate's value for one probe, from data predictions alone.
fn loss(stsl: &Stsl, run: &Run, z: &Array2<f64>, at: &Level, probe: &Array2<f64>) -> f64 {
    let score = |z: &Array2<f64>| {
        let data = run.predict(z.view(), at).unwrap();
        (at.alpha * data - z) / at.sigma.powi(2)
    };
    let left = run.left(run.predict(z.view(), at).unwrap().view()).unwrap();
    let data = 0.5 * left.mapv(|v| v * v).sum() / run.norm.powi(2);
    let (d, square) = (z.ncols() as f64, at.sigma.powi(2));
    let (weight, reach) = match stsl.trace {
        Trace::Bound => (stsl.eta * square * square / (2.0 * at.alpha.powi(2)), at.sigma),
        Trace::Constant => (stsl.eta * square / d, at.sigma),
        Trace::Literal => (stsl.eta * (run.problem.measurement.noise / run.norm).powi(2) / (2.0 * d), 1.0),
    };
    data + weight * (probe * &(score(&(z + &(reach * probe))) - score(z))).sum() / reach
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Gradients against central differences, in samples and in codes.
    #[test]
    fn gradients_are_those_of_the_loss(a in -2.0..2.0f64, b in -2.0..2.0f64, t in 0.05..0.95f64, seed in 0u64..1 << 40) {
        let (denoiser, plan) = (plane(), ddim(3));
        let wide = Matrix::new(array![[1.0, 0.4, -0.3], [0.2, -0.6, 0.8]]).unwrap();
        let flat = Matrix::new(array![[1.0, 0.4]]).unwrap();
        let mut rng = Seed(seed).rng(0);
        let codec = LinearCodec::fit(Array2::from_shape_simple_fn((6, 3), || rng.normal()).view(), 2).unwrap();
        let (z, probe) = (array![[a, b]], array![[rng.normal(), rng.normal()]]);
        let at = Place { step: 1, level: schedule().level(t) };
        let problems = [
            problem(&flat, &[0.7], &denoiser, &plan),
            Inverse { codec: &codec, ..problem(&wide, &[0.7, -0.2], &denoiser, &plan) },
        ];
        for (problem, trace) in problems.into_iter().flat_map(|p| [Trace::Bound, Trace::Constant, Trace::Literal].map(|t| (p, t))) {
            let run = Run::new(problem).unwrap();
            let stsl = Stsl { trace, eta: 0.7, ..Stsl::default() };
            let gradient = stsl.gradient(&run, z.view(), &at, &probe).unwrap();
            for j in 0..2 {
                let moved = |by: f64| {
                    let mut z = z.clone();
                    z[[0, j]] += by;
                    loss(&stsl, &run, &z, &at.level, &probe)
                };
                let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                prop_assert!((slope - gradient[[0, j]]).abs() < 1e-5 * (1.0 + slope.abs()), "{trace:?}: {slope} and {gradient}");
            }
        }
    }
}

/// The randomised trace: its mean over 4,000 probes is tr H within 4 standard errors where probes are short (a false alarm in 16,000 runs
/// for each place), and what probes of the noise's length make of it.
#[test]
fn probes_find_the_trace() {
    let denoiser = plane();
    let mut rng = Seed(3).rng(0);
    let mut bias = Vec::new();
    for t in [0.1, 0.3, 0.6] {
        let at = schedule().level(t);
        let x = array![0.4, 0.3];
        let exact = (tweedie(&denoiser, &x, &at).diag().sum() * (at.alpha / at.sigma).powi(2) - 2.0) / at.sigma.powi(2);
        let e = Array2::from_shape_simple_fn((4000, 2), || rng.normal());
        let rows = Array2::from_shape_fn((4000, 2), |(_, j)| x[j]);
        let score = |z: &Array2<f64>| (at.alpha * denoiser.predict(z.view(), &at).unwrap() - z) / at.sigma.powi(2);
        let found = |reach: f64| {
            let each = (&e * &(score(&(&rows + &(reach * &e))) - score(&rows))).sum_axis(ndarray::Axis(1)) / reach;
            (
                stats::mean(each.as_slice().unwrap()),
                stats::standard_deviation(each.as_slice().unwrap()) / 4000f64.sqrt(),
            )
        };
        let (mean, error) = found(1e-4 * at.sigma);
        assert!((mean - exact).abs() < 4.0 * error + 1e-6 * exact.abs(), "{mean} ± {error}, exactly {exact} at {t}");
        bias.push((found(at.sigma).0 - exact) / exact.abs());
    }
    // Long probes tell the trace in much noise; near the data they reach beyond the mode that a sample is in.
    assert!(bias[2].abs() < 0.05 && bias[0].abs() > 0.5, "{bias:?}");
}

/// A step of DPS for one normal law, every matrix written out.
#[test]
fn a_step_of_dps_is_the_one_by_hand() {
    let denoiser = MixtureDenoiser::new(Mixture {
        weights: array![1.0],
        means: array![[0.5, -1.0]],
        covariances: Covariances::Diagonal(array![[0.25, 0.09]]),
    })
    .unwrap();
    let plan = Plan::uniform(schedule(), vec![0.7, 0.4], Step::FIRST).unwrap();
    let op = Matrix::new(array![[1.0, 2.0]]).unwrap();
    let problem = problem(&op, &[0.3], &denoiser, &plan);
    let zeta = 0.6;
    let found = problem.solve(&Way::Dps { zeta }, 3, Seed(5), &Silent).unwrap();
    assert_eq!((found.denoiser_calls, found.pullback_calls), (0, 1), "the gradient's pass tells the prediction");
    let [from, to] = [schedule().level(0.7), schedule().level(0.4)];
    let start = noise(&plan, 3, 2, Seed(5));
    for i in 0..3 {
        let gain = |v: f64| from.alpha * v / (from.alpha.powi(2) * v + from.sigma.powi(2));
        let (gains, means) = ([gain(0.25), gain(0.09)], [0.5, -1.0]);
        let hat = [0, 1].map(|j| means[j] + gains[j] * (start[[i, j]] - from.alpha * means[j]));
        let left = 0.3 - hat[0] - 2.0 * hat[1];
        for j in 0..2 {
            let ddim = to.sigma / from.sigma * start[[i, j]] + (to.alpha - from.alpha * to.sigma / from.sigma) * hat[j];
            // ∇|r| of one measurement: its sign times -Jᵀ Aᵀ.
            let gradient = -left.signum() * gains[j] * [1.0, 2.0][j];
            let by_hand = ddim - zeta * gradient;
            assert!((found.samples[[i, j]] - by_hand).abs() < 1e-12, "{} and {by_hand}", found.samples[[i, j]]);
        }
    }
}

/// Without a codec and with orthonormal rows, the glue of PSLD is the data term once more.
#[test]
fn glue_doubles_the_data_term_in_pixels() {
    let (denoiser, plan, op) = (plane(), ddim(8), Mask::new(2, vec![1]).unwrap());
    let problem = problem(&op, &[0.9], &denoiser, &plan);
    let solve = |way| problem.solve(&way, 5, Seed(2), &Silent).unwrap().samples;
    let (glued, twice) = (solve(Way::Psld { omega: 0.3, gamma: 0.2 }), solve(Way::Dps { zeta: 0.5 }));
    assert!((&glued - &twice).iter().all(|v| v.abs() < 1e-10));
    assert_eq!(solve(Way::Psld { omega: 0.3, gamma: 0.0 }), solve(Way::Dps { zeta: 0.3 }));
}

/// With a codec, what PSLD subtracts is the gradient of its two lengths, by central differences.
#[test]
fn psld_goes_down_its_two_lengths() {
    let denoiser = plane();
    let plan = Plan::uniform(schedule(), vec![0.5, 0.3], Step::FIRST).unwrap();
    let op = Matrix::new(array![[1.0, 0.4, -0.3], [0.2, -0.6, 0.8]]).unwrap();
    let mut rng = Seed(8).rng(0);
    let codec = LinearCodec::fit(Array2::from_shape_simple_fn((6, 3), || rng.normal()).view(), 2).unwrap();
    let run = Run::new(Inverse { codec: &codec, ..problem(&op, &[0.7, -0.2], &denoiser, &plan) }).unwrap();
    let at = Place { step: 1, level: plan.levels()[0] };
    let z = Array2::from_shape_simple_fn((4, 2), || rng.normal());
    let after = |way: [f64; 2]| {
        let mut path = Path::start(&plan, z.clone(), Seed(1)).unwrap();
        after::step(&run, &mut path, &at, way).unwrap();
        path.end()
    };
    let gradient = after([0.0, 0.0]) - after([0.6, 0.3]);
    let loss = |z: &Array2<f64>| {
        let data = run.predict(z.view(), &at.level).unwrap();
        let left = run.left(data.view()).unwrap();
        let glued = codec.decode(data.view()).unwrap() + op.pseudo_inverse(left.view()).unwrap();
        let off = codec.encode(glued.view()).unwrap() - data;
        0.6 * lengths(left.view()) + 0.3 * lengths(off.view())
    };
    for j in 0..2 {
        let moved = |by: f64| {
            let mut z = z.clone();
            z.column_mut(j).mapv_inplace(|v| v + by);
            loss(&z)
        };
        let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
        let off = (&slope - &gradient.column(j)).mapv(f64::abs).sum();
        assert!(off < 1e-7, "{slope} and {}", gradient.column(j));
    }
}

/// For one normal law the way of the covariance is exact, at every level and at the end, for several solvers.
#[test]
fn the_covariance_is_exact_for_a_normal_law() {
    let (denoiser, codec) = (normal(), Identity { dims: 3 });
    let matrix = array![[1.0, 0.5, 0.0], [0.0, 1.0, -1.0]];
    let op = Matrix::new(matrix.clone()).unwrap();
    let y = [0.4, -0.8];
    let posterior = denoiser.given(matrix.view(), array![0.4, -0.8].view(), 0.3).unwrap();
    for solver in [Solver::Ddim, Solver::Dpmpp2m, Solver::Heun, Solver::Ddpm] {
        let plan = solver.plan(schedule(), &Grid::LogSnr, 11).unwrap();
        let measurement = Measurement { op: &op, y: &y, noise: 0.3 };
        let problem = Inverse { measurement, denoiser: &denoiser, codec: &codec, plan: &plan };
        let found = problem.solve(&Way::Covariance, 4, Seed(9), &Silent).unwrap();
        let exact = integrate(&plan, &posterior, noise(&plan, 4, 3, Seed(9)), Seed(9), &Silent).unwrap();
        let off = (&found.samples - &exact).mapv(f64::abs).sum();
        assert!(off < 1e-9, "{solver:?}: {off}");
        assert_eq!((found.denoiser_calls, found.pullback_calls), (0, 2 * plan.calls()));
    }
}

/// In codes of as many numbers the posterior is that of the samples, moved.
#[test]
fn codes_tell_the_same() {
    let (denoiser, plan) = (normal(), ddim(12));
    let mut rng = Seed(4).rng(0);
    let codec = LinearCodec::fit(Array2::from_shape_simple_fn((9, 3), || rng.normal()).view(), 3).unwrap();
    let x = Array2::from_shape_simple_fn((2, 3), || rng.normal());
    let again = codec.decode(codec.encode(x.view()).unwrap().view()).unwrap();
    assert!((&again - &x).iter().all(|v| v.abs() < 1e-12));
    // A D(z) = (A axes) z + A mean as one matrix on codes.
    let matrix = array![[1.0, 0.5, 0.0]];
    let zero = codec.decode(Array2::zeros((1, 3)).view()).unwrap();
    let columns = codec.decode(Array2::eye(3).view()).unwrap() - &zero;
    let inner = Matrix::new(columns.dot(&matrix.t()).reversed_axes()).unwrap();
    let (op, y) = (Matrix::new(matrix.clone()).unwrap(), 0.7);
    let moved = [y - matrix.row(0).dot(&zero.row(0))];
    for way in [Way::Covariance, Way::Dps { zeta: 0.4 }] {
        let outer = Inverse {
            measurement: Measurement { op: &op, y: &[y], noise: 0.2 },
            denoiser: &denoiser,
            codec: &codec,
            plan: &plan,
        };
        let measurement = Measurement { op: &inner, y: &moved, noise: 0.2 };
        let plain = Inverse { measurement, denoiser: &denoiser, codec: &Identity { dims: 3 }, plan: &plan };
        let [outer, plain] = [outer, plain].map(|p| p.solve(&way, 4, Seed(1), &Silent).unwrap());
        let decoded = codec.decode(plain.samples.view()).unwrap();
        assert!((&outer.samples - &decoded).iter().all(|v| v.abs() < 1e-9), "{way:?}");
        assert!((outer.residuals[12] - plain.residuals[12]).abs() < 1e-9);
    }
    for (rows, codes) in [(Array2::zeros((5, 3)), 1), (x.clone(), 0), (x.clone(), 4), (Array2::zeros((0, 3)), 1)] {
        assert!(LinearCodec::fit(rows.view(), codes).is_err());
    }
}

/// All ways come far nearer to the posterior than no guidance; the distances of 300 samples vary by a few hundredths, the bounds are
/// several times as far.
#[test]
fn guidance_finds_the_posterior() {
    let (denoiser, plan) = (plane(), ddim(40));
    let op = Matrix::new(array![[1.0, 0.4]]).unwrap();
    let problem = problem(&op, &[1.2], &denoiser, &plan);
    let posterior = denoiser.given(array![[1.0, 0.4]].view(), array![1.2].view(), 0.2).unwrap();
    let exact = posterior.sample(300, &Level::CLEAN, Seed(12)).unwrap();
    let distance = |way| energy_distance(&problem.solve(&way, 300, Seed(3), &Silent).unwrap().samples, &exact);
    let unguided = distance(Way::Unguided);
    assert!(unguided > 0.5, "{unguided}");
    let found: Vec<(Way, f64)> = ways().into_iter().skip(1).map(|way| (way, distance(way))).collect();
    println!("unguided {unguided:.3}: {found:.3?}");
    for (way, distance) in found {
        assert!(distance < 0.5 * unguided, "{way:?}: {distance} beside {unguided}");
    }
}

/// On every schedule, STSL as it is set by default.
#[test]
fn schedules_differ_little() {
    let (denoiser, op) = (plane(), Matrix::new(array![[1.0, 0.4]]).unwrap());
    let posterior = denoiser.given(array![[1.0, 0.4]].view(), array![1.2].view(), 0.2).unwrap();
    let exact = posterior.sample(200, &Level::CLEAN, Seed(12)).unwrap();
    for schedule in [Schedule::edm(), Schedule::Cosine, Schedule::Flow, Schedule::scaled_linear()] {
        let plan = Solver::Ddim.plan(schedule, &Grid::LogSnr, 30).unwrap();
        let problem = problem(&op, &[1.2], &denoiser, &plan);
        let distance = |way| energy_distance(&problem.solve(&way, 200, Seed(3), &Silent).unwrap().samples, &exact);
        let (guided, unguided) = (distance(Way::Stsl(Stsl::default())), distance(Way::Unguided));
        println!("{:?} {guided} {unguided}", plan.schedule);
        assert!(guided < 0.5 * unguided, "{:?}: {guided} beside {unguided}", plan.schedule);
    }
}

#[test]
fn calls_and_residuals_are_told() {
    let (denoiser, plan, op) = (plane(), ddim(6), Mask::new(2, vec![0]).unwrap());
    let problem = problem(&op, &[0.5], &denoiser, &plan);
    let counts = ways().map(|way| {
        let found = problem.solve(&way, 2, Seed(1), &Silent).unwrap();
        assert_eq!(found.residuals.len(), 7);
        let left = (0..2).map(|i| (0.5 - found.samples[[i, 0]]).abs() / 0.2).sum::<f64>() / 2.0;
        assert!((found.residuals[6] - left).abs() < 1e-12, "{way:?}");
        (found.denoiser_calls, found.pullback_calls)
    });
    assert_eq!(counts, [(6, 0), (0, 6), (0, 6), (6, 60), (6, 60), (6, 60), (0, 6)]);
    let first = Way::Stsl(Stsl { eta: 0.0, ..Stsl::default() });
    let found = problem.solve(&first, 2, Seed(1), &Silent).unwrap();
    assert_eq!((found.denoiser_calls, found.pullback_calls), (6, 30), "the first order costs half");
}

/// Samples depend on the seed and their number alone.
#[test]
fn threads_and_neighbours_change_no_bit() {
    let (plan, op) = (Solver::Dpmpp2mSde.plan(schedule(), &Grid::LogSnr, 5).unwrap(), Mask::new(2, vec![1]).unwrap());
    let denoiser = plane();
    let problem = problem(&op, &[0.5], &denoiser, &plan);
    for way in ways() {
        let solve = |threads: usize, n: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| problem.solve(&way, n, Seed(6), &Silent).unwrap())
        };
        let one = solve(1, 6);
        assert_eq!(one, solve(2, 6), "{way:?}");
        assert_eq!(one.samples.slice(s![..3, ..]), solve(2, 3).samples, "{way:?}");
        assert_ne!(one.samples, problem.solve(&way, 6, Seed(7), &Silent).unwrap().samples);
    }
}

/// The first samples of STSL are those of the measurement, noised; a blur is not inverted beyond the noise.
#[test]
fn the_start_is_the_measurement() {
    let plan = Plan::uniform(schedule(), vec![0.1, 0.05], Step::FIRST).unwrap();
    let rows = Array2::from_shape_fn((3, 64), |(i, j)| ((i * 7 + j) as f64 * 0.3).sin());
    let (denoiser, codec) = (MixtureDenoiser::kernel(rows.view(), 0.2).unwrap(), Identity { dims: 64 });
    let op = Separable::blur([1, 8, 8], 1.5).unwrap();
    let mut rng = Seed(1).rng(0);
    let y: Vec<f64> = op.forward(rows.slice(s![..1, ..])).unwrap().iter().map(|v| v + 0.1 * rng.normal()).collect();
    let measurement = Measurement { op: &op, y: &y, noise: 0.1 };
    let run = Run::new(Inverse { measurement, denoiser: &denoiser, codec: &codec, plan: &plan }).unwrap();
    let from = schedule().level(0.1);
    let clean = (stsl::start(&run, 2, Seed(1)).unwrap() - noise(&plan, 2, 64, Seed(1))) / from.alpha;
    assert!(clean.iter().all(|v| v.abs() < 3.0), "A⁺ of a blur would be huge");
    let residual = run.residual(clean.view()).unwrap();
    assert!(residual <= 1.0 + 1e-12 && residual > 0.5, "{residual}");
}

#[test]
fn what_cannot_be_solved_is_refused() {
    let (denoiser, plan, op) = (plane(), ddim(3), Mask::new(2, vec![0]).unwrap());
    let good = problem(&op, &[0.5], &denoiser, &plan);
    let refused = |problem: &Inverse, way: Way, n: usize, says: &str| {
        let said = problem.solve(&way, n, Seed(1), &Silent).unwrap_err().to_string();
        assert!(said.contains(says), "{says}: {said}");
    };
    good.solve(&Way::Unguided, 1, Seed(1), &Silent).unwrap();
    refused(&good, Way::Unguided, 0, "samples");
    for y in [&[0.5, 0.5][..], &[], &[f64::NAN], &[f64::INFINITY]] {
        let measurement = Measurement { y, ..good.measurement };
        refused(&Inverse { measurement, ..good }, Way::Unguided, 1, "measurement");
    }
    for noise in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let measurement = Measurement { noise, ..good.measurement };
        refused(&Inverse { measurement, ..good }, Way::Stsl(Stsl::default()), 1, "noise");
    }
    refused(&Inverse { codec: &Identity { dims: 3 }, ..good }, Way::Unguided, 1, "codec");
    let wide = Mask::new(3, vec![0]).unwrap();
    let measurement = Measurement { op: &wide, ..good.measurement };
    refused(&Inverse { measurement, ..good }, Way::Unguided, 1, "operator");
    let blind = Matrix::new(array![[0.0, 0.0]]).unwrap();
    let measurement = Measurement { op: &blind, ..good.measurement };
    refused(&Inverse { measurement, ..good }, Way::Dps { zeta: 1.0 }, 1, "sees something");
    let liar = operator_fn(2, 1, |x| Ok(x.slice(s![.., ..1]).to_owned()), |y| Ok(Array2::zeros((y.nrows(), 2))));
    let measurement = Measurement { op: &liar, ..good.measurement };
    refused(&Inverse { measurement, ..good }, Way::Dps { zeta: 1.0 }, 1, "adjoint");
    let short = operator_fn(2, 1, |x| Ok(x.to_owned()), |y| Ok(Array2::zeros((y.nrows(), 2))));
    let measurement = Measurement { op: &short, ..good.measurement };
    refused(&Inverse { measurement, ..good }, Way::Dps { zeta: 1.0 }, 1, "operator");
    for bad in [-1.0, f64::NAN, f64::INFINITY] {
        refused(&good, Way::Dps { zeta: bad }, 1, "zeta");
        refused(&good, Way::Psld { omega: bad, gamma: 0.1 }, 1, "omega");
        refused(&good, Way::Psld { omega: 1.0, gamma: bad }, 1, "gamma");
        refused(&good, Way::Stsl(Stsl { step: bad, ..Stsl::default() }), 1, "step");
        refused(&good, Way::Stsl(Stsl { eta: bad, ..Stsl::default() }), 1, "eta");
    }
    refused(&good, Way::Stsl(Stsl { step: 0.0, ..Stsl::default() }), 1, "step");
    refused(&good, Way::Stsl(Stsl { inner: 0, ..Stsl::default() }), 1, "inner");
}

/// A model whose products are not finite at low noise, or have the wrong shape.
struct Broken {
    shape: bool,
}

impl Denoiser for Broken {
    fn dims(&self) -> usize {
        2
    }

    fn prediction(&self) -> Prediction {
        Prediction::Data
    }

    fn predict(&self, x: ArrayView2<f64>, _: &Level) -> Result<Array2<f64>> {
        Ok(x.to_owned())
    }
}

impl Differentiable for Broken {
    fn pull_back(
        &self,
        x: ArrayView2<f64>,
        at: &Level,
        cotangent: &mut dyn FnMut(&Array2<f64>) -> Result<Array2<f64>>,
    ) -> Result<(Array2<f64>, Array2<f64>)> {
        let u = cotangent(&x.to_owned())?;
        let factor = if at.sigma < 0.5 { f64::INFINITY } else { 1.0 };
        Ok((x.to_owned(), if self.shape { Array2::zeros((1, 1)) } else { u * factor }))
    }
}

#[test]
fn a_gradient_that_is_not_finite_names_the_step() {
    let (plan, op) = (ddim(4), Mask::new(2, vec![0]).unwrap());
    let sample = plane();
    let good = problem(&op, &[0.5], &sample, &plan);
    let first = plan.levels().iter().position(|level| level.sigma < 0.5).unwrap() + 1;
    for way in [Way::Dps { zeta: 1.0 }, Way::Stsl(Stsl::default())] {
        let said = Inverse { denoiser: &Broken { shape: false }, ..good }.solve(&way, 3, Seed(1), &Silent);
        let said = said.unwrap_err().to_string();
        assert!(said.contains(&format!("step {first} ")) && said.contains("smaller step"), "{said}");
        let said = Inverse { denoiser: &Broken { shape: true }, ..good }.solve(&way, 3, Seed(1), &Silent);
        assert!(said.unwrap_err().to_string().contains("product"));
    }
}

#[test]
fn a_run_can_be_cancelled() {
    struct Stop;
    impl Progress for Stop {
        fn cancelled(&self) -> bool {
            true
        }
    }
    let (denoiser, plan, op) = (plane(), ddim(4), Mask::new(2, vec![0]).unwrap());
    let found = problem(&op, &[0.5], &denoiser, &plan).solve(&Way::Covariance, 1, Seed(1), &Stop);
    assert!(matches!(found, Err(Error::Cancelled)));
}
