use super::*;
use crate::{Denoiser, Grid, Level, Plan, Schedule, Solver, data_prediction};
use ndarray::{Array2, ArrayView2, array};
use proptest::prelude::*;
use quadrat_core::{Seed, Silent};
use quadrat_numeric::linalg::solve;

fn plan(calls: usize) -> Plan {
    Solver::Dpmpp2m.plan(Schedule::Cosine, &Grid::LogSnr, calls).unwrap()
}

/// A measurement that is not linear: squares and a product.
fn squares() -> impl ForwardModel {
    forward_fn(
        [2, 1, 2],
        |s, phi, o| {
            o[0] = phi[0] * s[0] * s[0];
            o[1] = s[0] * s[1];
        },
        |s, phi, u, g| {
            g[0] = 2.0 * phi[0] * s[0] * u[0] + s[1] * u[1];
            g[1] = s[0] * u[1];
        },
    )
}

proptest! {
    /// Gradients of every measurement are central differences.
    #[test]
    fn measurements_are_differentiated(seed in any::<u64>()) {
        let mut rng = Seed(seed).rng(0);
        let squares = squares();
        let all: [&dyn ForwardModel; 3] = [&Mask { signal: 4 }, &Projection { signal: 3, observed: 2 }, &squares];
        for forward in all {
            let mut normals = |n: usize| (0..n).map(|_| rng.normal()).collect::<Vec<f64>>();
            let (signal, phi, cotangent) = (normals(forward.signal()), normals(forward.parameters()), normals(forward.observed()));
            let mut gradient = vec![f64::NAN; signal.len()];
            forward.pull_back(&signal, &phi, &cotangent, &mut gradient);
            for (j, found) in gradient.iter().enumerate() {
                let moved = |by: f64| {
                    let (mut signal, mut out) = (signal.clone(), vec![f64::NAN; cotangent.len()]);
                    signal[j] += by;
                    forward.apply(&signal, &phi, &mut out);
                    out.iter().zip(&cotangent).map(|(o, u)| o * u).sum::<f64>()
                };
                prop_assert!((found - (moved(1e-5) - moved(-1e-5)) / 2e-5).abs() < 1e-7);
            }
        }
    }
}

#[test]
fn what_no_measurement_sees_is_told() {
    let mask = Mask { signal: 4 };
    let phi = array![[1.0, 0.0, 0.0, 0.0], [1.0, 0.0, 1.0, 0.0]];
    assert_eq!(covered(&mask, phi.view(), Seed(1)).unwrap(), 0.5);
    assert!(covered(&mask, Array2::zeros((0, 4)).view(), Seed(1)).is_err());
    assert!(covered(&mask, phi.view().slice(ndarray::s![.., ..3]), Seed(1)).is_err());
}

/// Noise of a measurement. A trained network would predict it as part of the observation; the formula here does not, so it is small.
const NOISE: f64 = 0.01;

/// S ~ N(0, Σ), observations <φ, S> + noise: the best network, in closed form.
struct Gaussian {
    covariance: Array2<f64>,
}

impl Gaussian {
    /// Mean and covariance of S given rows of φ, what was observed with them and each one's noise.
    fn given(&self, phi: ArrayView2<f64>, observed: ArrayView2<f64>, noise: &[f64]) -> (Array2<f64>, Array2<f64>) {
        let across = phi.dot(&self.covariance);
        let spread =
            across.dot(&phi.t()) + Array2::from_diag(&noise.iter().map(|s| s * s).collect::<ndarray::Array1<f64>>());
        let gain = solve(spread.view(), across.view()).unwrap();
        (observed.dot(&gain), &self.covariance - &across.t().dot(&gain))
    }
}

impl SignalModel for Gaussian {
    fn signals(&self, x: ArrayView2<f64>, at: &Level, phi: ArrayView2<f64>, context: &[Seen]) -> Result<Array2<f64>> {
        let (mut rows, mut seen) = (phi.to_owned(), &x / at.alpha);
        let mut noise = vec![(NOISE * NOISE + at.ratio() * at.ratio()).sqrt()];
        for Seen { parameters, observed } in context {
            rows.push_row(parameters.row(0)).unwrap();
            let column = observed.broadcast((x.nrows(), 1)).unwrap();
            seen.push_column(column.column(0)).unwrap();
            noise.push(NOISE);
        }
        Ok(self.given(rows.view(), seen.view(), &noise).0)
    }
}

/// With the best network for normal signals the draws follow their formulas: the target's law given the context, and signals of the
/// covariance of E[S | context, target]; with a second target, of E[S | context, both]. 20,000 draws; means within 4.5 standard errors,
/// covariances within 4.5 too, of which each variance's is √(2/n) (about 30 figures: a false alarm in 5,000 runs). What the solver adds is
/// kept below a tenth of that by 60 calls.
#[test]
fn draws_follow_the_formulas_for_normal_signals() {
    let root = array![[1.0, 0.0, 0.0, 0.0], [0.6, 0.8, 0.0, 0.0], [-0.3, 0.2, 0.7, 0.0], [0.1, 0.5, -0.4, 0.9]];
    let model = Gaussian { covariance: root.dot(&root.t()) };
    let forward = Projection { signal: 4, observed: 1 };
    let plan = plan(60);
    let context = [Seen { parameters: array![[0.5, 0.5, 0.5, 0.5]], observed: array![[0.8]] }];
    let targets = array![[0.0, 1.0, 0.0, 1.0], [1.0, -1.0, 0.3, 0.0]];
    let n = 20_000;
    let sampler = SignalSampler { model: &model, forward: &forward, plan: &plan, guidance: 1.0, temperature: 1.0 };
    let (mean, covariance) = model.given(context[0].parameters.view(), context[0].observed.view(), &[NOISE]);
    for k in 1..=2 {
        let phi = targets.slice(ndarray::s![..k, ..]);
        let drawn = sampler.draw(&context, phi, n, Seed(1), &Silent).unwrap();
        assert_eq!((drawn.observations.len(), drawn.signals.dim()), (k, (n, 4)));
        // o given the context, and what signals are given both: A o with A from the joint law.
        let across = phi.dot(&covariance);
        let spread = across.dot(&phi.t()) + NOISE * NOISE * Array2::<f64>::eye(k);
        let gain = solve(spread.view(), across.view()).unwrap();
        let signals = across.t().dot(&gain);
        let mut observed = drawn.observations[0].clone();
        if k == 2 {
            observed.push_column(drawn.observations[1].column(0)).unwrap();
        }
        for (found, wanted_mean, wanted) in
            [(&observed, mean.dot(&phi.t()), &spread), (&drawn.signals, mean.clone(), &signals)]
        {
            let off = found - &wanted_mean;
            let means = off.mean_axis(ndarray::Axis(0)).unwrap();
            let moments = off.t().dot(&off) / n as f64;
            for i in 0..means.len() {
                let error = (wanted[[i, i]] / n as f64).sqrt();
                assert!(means[i].abs() < 4.5 * error + 1e-9, "mean {i}: off by {} for {error}", means[i]);
                for j in 0..means.len() {
                    let error = ((wanted[[i, i]] * wanted[[j, j]] + wanted[[i, j]].powi(2)) / n as f64).sqrt();
                    let off = moments[[i, j]] - wanted[[i, j]];
                    assert!(off.abs() < 4.5 * error + 1e-9, "{k} targets, covariance {i}, {j}: {off} for {error}");
                }
            }
        }
    }
}

/// Where everything is measured and nothing is given, the denoiser of observations is that of signals, to the bit; guidance is a line from
/// the answer without context through that with it.
#[test]
fn identity_and_guidance() {
    let root = array![[1.0, 0.0], [0.5, 0.7]];
    struct Plain(Gaussian);
    impl SignalModel for Plain {
        fn signals(&self, x: ArrayView2<f64>, _: &Level, _: ArrayView2<f64>, context: &[Seen]) -> Result<Array2<f64>> {
            Ok(x.dot(&self.0.covariance) + context.len() as f64)
        }
    }
    let model = Plain(Gaussian { covariance: root.dot(&root.t()) });
    let (mask, ones) = (Mask { signal: 2 }, array![[1.0, 1.0]]);
    let at = Schedule::Cosine.level(0.4);
    let x = array![[0.3, -1.0], [2.0, 0.1]];
    let denoiser = ForwardDenoiser::new(&model, &mask, ones.view(), &[], 1.0).unwrap();
    let signals = denoiser.signals(x.view(), &at).unwrap();
    assert_eq!(data_prediction(&denoiser, x.view(), &at).unwrap(), signals);
    let context = [Seen { parameters: ones.clone(), observed: ones.clone() }];
    let guided = ForwardDenoiser::new(&model, &mask, ones.view(), &context, 3.0).unwrap();
    let moved = guided.signals(x.view(), &at).unwrap() - &signals;
    assert!(moved.iter().all(|v| (v - 3.0).abs() < 1e-12), "{moved}");
    // Half of the numbers hidden: observed as 0, whatever the signal.
    let half = array![[0.0, 1.0], [1.0, 0.0]];
    let each = ForwardDenoiser::new(&model, &mask, half.view(), &[], 1.0).unwrap();
    let seen = each.predict(x.view(), &at).unwrap();
    assert_eq!(seen, &signals * &half);
    for (phi, context, guidance) in [
        (array![[1.0]], vec![], 1.0),
        (Array2::zeros((0, 2)), vec![], 1.0),
        (array![[f64::NAN, 1.0]], vec![], 1.0),
        (ones.clone(), vec![Seen { parameters: array![[1.0]], observed: ones.clone() }], 1.0),
        (ones.clone(), vec![Seen { parameters: ones.clone(), observed: array![[1.0]] }], 1.0),
        (ones.clone(), vec![Seen { parameters: ones.clone(), observed: array![[f64::INFINITY, 1.0]] }], 1.0),
        (ones.clone(), vec![], f64::NAN),
    ] {
        assert!(ForwardDenoiser::new(&model, &mask, phi.view(), &context, guidance).is_err());
    }
    let three = Array2::ones((3, 2));
    assert!(ForwardDenoiser::new(&model, &mask, three.view(), &[], 1.0).unwrap().predict(x.view(), &at).is_err());
    let plan = plan(4);
    let sampler = SignalSampler { model: &model, forward: &mask, plan: &plan, guidance: 1.0, temperature: 1.0 };
    assert!(sampler.draw(&[], ones.view(), 0, Seed(1), &Silent).is_err());
    assert!(sampler.draw(&[], Array2::zeros((0, 2)).view(), 3, Seed(1), &Silent).is_err());
    let cold = SignalSampler { temperature: 0.0, ..sampler };
    assert!(cold.draw(&[], ones.view(), 3, Seed(1), &Silent).is_err());
}

#[cfg(feature = "networks")]
mod trained {
    use super::*;
    use crate::forward_models::network::Measured;
    use quadrat_core::stats;

    /// Four observations of each of `n` points on two opposite sides, by random directions.
    fn data(n: usize, each: usize, seed: u64) -> (Vec<usize>, Array2<f64>, Array2<f64>) {
        let (mut ids, mut phi, mut observed) = (Vec::new(), Array2::zeros((0, 2)), Array2::zeros((0, 1)));
        for i in 0..n {
            let mut rng = Seed(seed).rng(i as u64);
            let side = if rng.below(2) == 0 { 1.0 } else { -1.0 };
            let signal = [side + 0.1 * rng.normal(), 0.5 * side + 0.1 * rng.normal()];
            for _ in 0..each {
                let angle = std::f64::consts::TAU * rng.uniform();
                let row = [angle.cos(), angle.sin()];
                ids.push(i);
                phi.push_row(ndarray::ArrayView1::from(&row)).unwrap();
                observed.push_row(array![row[0] * signal[0] + row[1] * signal[1]].view()).unwrap();
            }
        }
        (ids, phi, observed)
    }

    const FORWARD: Projection = Projection { signal: 2, observed: 1 };

    fn fit(
        settings: &ForwardModels,
        (ids, phi, observed): &(Vec<usize>, Array2<f64>, Array2<f64>),
    ) -> Result<SignalNetwork> {
        let rows = Observations { signals: ids, parameters: phi.view(), observed: observed.view() };
        Ok(settings.fit(&FORWARD, rows, &[64, 64], Seed(1), &Silent)?.0)
    }

    /// The loss's gradient at a signal is a difference, novel view or not, through a measurement that is not linear; where all is measured
    /// it is the mean square, to the bit.
    #[test]
    fn the_loss_is_differentiated() {
        let squares = squares();
        let measured = Measured { forward: &squares, deviation: 1.3 };
        let mut rng = Seed(2).rng(0);
        for novel in [0.0, 1.0] {
            let mut wanted: Vec<f32> = (0..8).map(|_| rng.normal() as f32).collect();
            (wanted[0], wanted[4]) = (1.0, novel);
            let signal = [0.7f32, -0.4];
            let mut gradient = [0.0; 2];
            measured.of(&signal, &wanted, &mut gradient);
            for j in 0..2 {
                let moved = |by: f32| {
                    let mut signal = signal;
                    signal[j] += by;
                    measured.of(&signal, &wanted, &mut [0.0; 2])
                };
                let step = 2f32.powi(-9);
                let wanted = (moved(step) - moved(-step)) / f64::from(2.0 * step);
                assert!(
                    (f64::from(gradient[j]) - wanted).abs() < 1e-3 * wanted.abs().max(1.0),
                    "{} for {wanted}",
                    gradient[j]
                );
            }
        }
        let mask = Mask { signal: 3 };
        let plain = Measured { forward: &mask, deviation: 1.0 };
        let (signal, target) = ([0.5f32, -1.25, 2.0], [0.25f32, 1.0, -3.0]);
        let wanted: Vec<f32> = [1.0, 1.0, 1.0, 1.0].into_iter().chain(target).chain([0.0; 7]).collect();
        let squares: f64 = signal.iter().zip(target).map(|(s, o)| f64::from(s - o).powi(2)).sum::<f64>() / 3.0;
        assert_eq!(plain.of(&signal, &wanted, &mut [0.0; 3]), squares);
    }

    /// Points on two sides, one direction seen that does not tell the sides apart: draws land on both, where regression would stand in the
    /// middle; and a direction that does tell is obeyed.
    #[test]
    fn draws_are_on_both_sides_and_obey_the_context() {
        let settings = ForwardModels { epochs: 60, rate: 3e-3, batch: 128, ..ForwardModels::default() };
        let network = fit(&settings, &data(1500, 3, 3)).unwrap();
        let plan = plan(12);
        let sampler =
            SignalSampler { model: &network, forward: &FORWARD, plan: &plan, guidance: 1.0, temperature: 1.0 };
        let draw = |phi: [f64; 2], o: f64| {
            let context = [Seen { parameters: array![phi], observed: array![[o]] }];
            let drawn = sampler.draw(&context, array![[0.9, 0.45]].view(), 200, Seed(4), &Silent).unwrap();
            drawn.signals.column(0).to_vec()
        };
        let root = 1.25f64.sqrt();
        let blind = draw([-0.5 / root, 1.0 / root], 0.0);
        let right = blind.iter().filter(|v| **v > 0.0).count();
        assert!((40..160).contains(&right), "{right} of 200 on the right side");
        let near = |v: &&f64| (v.abs() - 1.0).abs() < 0.4;
        assert!(blind.iter().filter(near).count() > 160, "{blind:?}");
        assert!(stats::mean(&draw([1.0 / root, 0.5 / root], root)) > 0.8);
        assert!(stats::mean(&draw([1.0 / root, 0.5 / root], -root)) < -0.8);
    }

    #[test]
    fn threads_change_no_bit_and_contexts_are_bounded() {
        let rows = data(60, 4, 5);
        let settings = ForwardModels { epochs: 2, contexts: 2, without: 0.0, ..ForwardModels::default() };
        let plan = plan(3);
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let network = fit(&settings, &rows).unwrap();
                let sampler =
                    SignalSampler { model: &network, forward: &FORWARD, plan: &plan, guidance: 1.0, temperature: 1.0 };
                let context = [Seen { parameters: array![[1.0, 0.0]], observed: array![[0.5]] }];
                sampler.draw(&context, array![[0.0, 1.0], [1.0, 0.0]].view(), 9, Seed(2), &Silent).unwrap()
            })
        };
        assert_eq!(run(1), run(2));
        let network = fit(&settings, &rows).unwrap();
        let sampler =
            SignalSampler { model: &network, forward: &FORWARD, plan: &plan, guidance: 1.0, temperature: 1.0 };
        let four = array![[0.0, 1.0], [1.0, 0.0], [0.6, 0.8], [0.8, 0.6]];
        assert!(sampler.draw(&[], four.view(), 9, Seed(2), &Silent).is_err(), "a third context");
        let guided = SignalSampler { guidance: 2.0, ..sampler };
        let wrong = guided.draw(&[], four.view(), 9, Seed(2), &Silent).unwrap_err().to_string();
        assert!(wrong.contains("never trained without context"), "{wrong}");
    }

    #[test]
    fn what_cannot_be_learnt_from_is_refused() {
        let settings = ForwardModels { epochs: 1, ..ForwardModels::default() };
        let good = data(10, 2, 1);
        fit(&settings, &good).unwrap();
        type Given = (Vec<usize>, Array2<f64>, Array2<f64>);
        let refused = |change: &dyn Fn(&mut Given), words: &str| {
            let mut rows = good.clone();
            change(&mut rows);
            let message = fit(&settings, &rows).map(|_| ()).unwrap_err().to_string();
            assert!(message.contains(words), "{words}: {message}");
        };
        refused(&|rows| rows.0[3] = 77, "1 observation");
        refused(&|rows| rows.1.fill(0.5), "nothing beyond the context");
        refused(&|rows| rows.2.fill(0.0), "all of them 0");
        refused(&|rows| rows.1[[2, 1]] = f64::NAN, "parameters, row 2");
        refused(&|rows| rows.2[[2, 0]] = f64::INFINITY, "observations, row 2");
        refused(&|rows| rows.1 = Array2::zeros((20, 3)), "as the forward model");
        refused(&|rows| rows.2 = Array2::zeros((20, 2)), "as the forward model");
        refused(&|rows| rows.0.truncate(7), "as many of each");
        refused(&|rows| *rows = (vec![], Array2::zeros((0, 2)), Array2::zeros((0, 1))), "as many of each");
        for settings in [
            ForwardModels { epochs: 0, ..settings.clone() },
            ForwardModels { batch: 0, ..settings.clone() },
            ForwardModels { contexts: 0, ..settings.clone() },
            ForwardModels { without: 1.0, ..settings.clone() },
            ForwardModels { rate: f64::NAN, ..settings.clone() },
        ] {
            assert!(fit(&settings, &good).is_err(), "{settings:?}");
        }
    }
}
