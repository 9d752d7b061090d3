//! The exact checks: what must be so for any numbers.

use super::given::Given;
use super::model::Weights;
use super::*;
use ndarray::{Array2, Axis, array};
use proptest::prelude::*;
use quadrat_core::{Rng, Seed, Silent, stats};
use quadrat_nn::{
    At, Forward, Input, Inputs, Loss, Network, Parameters, Samples, Spec, Tensor, Trainer, evaluate, gradients,
    initialise, tensor_of,
};
use quadrat_numeric::calibration;

/// Series of 4 to 7 times and two channels, a part of them missing.
fn values(n: usize, missing: f64, rng: &mut Rng) -> Vec<Array2<f64>> {
    let one = |i: usize, rng: &mut Rng| {
        Array2::from_shape_fn((4 + i % 4, 2), |_| if rng.uniform() < missing { f64::NAN } else { rng.normal() })
    };
    (0..n).map(|i| one(i, rng)).collect()
}

const TIMES: [f64; 7] = [0.0, 1.0, 2.0, 3.5, 4.0, 5.0, 6.0];

fn views(values: &[Array2<f64>]) -> Vec<Series<'_>> {
    values.iter().map(|v| Series { times: &TIMES[..v.nrows()], values: v.view() }).collect()
}

fn samples(n: usize, missing: f64, seed: u64) -> (Samples, Shape) {
    let values = values(n, missing, &mut Seed(seed).rng(0));
    let scale = Scale::fit(&views(&values), &["a".into(), "b".into()]).unwrap();
    let labels: Vec<u32> = (0..n as u32).map(|i| i % 2).collect();
    (scale.samples(&views(&values), Some((&labels, 2))).unwrap(), Shape::of(&scale, 2, 7))
}

fn small() -> SupNotMiwae {
    SupNotMiwae { width: 6, layers: 2, latent: 2, k: 3, test_k: 4, test_j: 2, ..SupNotMiwae::default() }
}

fn model(method: SupNotMiwae, shape: &Shape) -> (Model, Parameters) {
    let model = Model::new(SeriesMethod::SupNotMiwae(method), shape.clone());
    let parameters = initialise(&model, Seed(5)).unwrap();
    (model, parameters)
}

fn numbers(tensor: Tensor<1>) -> Vec<f32> {
    super::given::plain(tensor)
}

/// z ~ N(0, 1), x = a z + ½ noise: the law of x is known, and q is not quite the posterior.
#[test]
fn the_bound_comes_up_to_the_likelihood_from_below() {
    let (a, x, noise) = ([1.0, -0.5, 0.8], [0.7, 0.1, 1.2], 0.25f64);
    let log_normal = |v: f64, variance: f64| -0.5 * (v * v / variance + (std::f64::consts::TAU * variance).ln());
    let precision = 1.0 + a.iter().map(|a| a * a / noise).sum::<f64>();
    let mean = a.iter().zip(x).map(|(a, x)| a * x / noise).sum::<f64>() / precision;
    // ln p(x) = ln p(x | z) + ln p(z) − ln p(z | x) at any z.
    let log_joint =
        |z: f64| log_normal(z, 1.0) + a.iter().zip(x).map(|(a, x)| log_normal(x - a * z, noise)).sum::<f64>();
    let exact = log_joint(0.3) - log_normal(0.3 - mean, 1.0 / precision);
    let (shifted, wide) = (mean + 0.2, 2.0 / precision);
    let mut rng = Seed(11).rng(0);
    let mut of = |k: usize, repeats: usize| {
        let weights = Array2::from_shape_fn((repeats, k), |_| {
            let z = shifted + wide.sqrt() * rng.normal();
            (log_joint(z) - log_normal(z - shifted, wide)) as f32
        });
        let bounds: Vec<f64> = numbers(bound(tensor_of(weights.view(), false))).iter().map(|v| f64::from(*v)).collect();
        stats::mean(&bounds)
    };
    let bounds = [of(1, 20_000), of(5, 4_000), of(1_000, 100)];
    assert!(bounds[0] < bounds[1] && bounds[1] < bounds[2] && bounds[2] < exact + 0.01, "{bounds:?} {exact}");
    assert!(exact - bounds[0] > 0.1 && exact - bounds[2] < 0.05, "{bounds:?} {exact}");
}

#[test]
fn scores_add_up_to_the_bound_of_the_paths() {
    let (samples, shape) = samples(12, 0.4, 1);
    for (k, prior) in [(1, Prior::Normal), (4, Prior::Gp)] {
        let method = SupNotMiwae { k, prior, ..small() };
        let (model, parameters) = model(method.clone(), &shape);
        let scores = evaluate(&model, &parameters, &samples).unwrap();
        let weights = Weights { model: &model, method: &method, k, seed: Seed(0) };
        let weights = evaluate(&weights, &parameters, &samples).unwrap();
        // Probabilities of all classes add up to 1, so that the classes' bounds add up to the bound; with K = 1 to the ELBO.
        let all = numbers(bound(tensor_of(scores.view(), false)));
        for (found, wanted) in all.iter().zip(numbers(bound(tensor_of(weights.view(), false)))) {
            assert!((found + 2f32.ln() - wanted).abs() < 2e-3, "{found} {wanted}");
        }
        let mut mixed = weights.clone();
        (0..k).for_each(|draw| mixed.column_mut(draw).assign(&weights.column((draw + 1) % k)));
        let both = [weights, mixed].map(|w| numbers(bound(tensor_of(w.view(), false))));
        assert!(both[0].iter().zip(&both[1]).all(|(a, b)| (a - b).abs() < 1e-4), "the order of draws counts");
    }
}

#[test]
fn without_holes_the_prediction_is_the_classifiers() {
    let (samples, shape) = samples(8, 0.0, 2);
    let (model, parameters) = model(SupNotMiwae { layers: 2, ..small() }, &shape);
    let plain = Model::new(SeriesMethod::Filled(Fill::Mean, Filled { width: 6, layers: 2 }), shape);
    let said = model.probabilities(&parameters, &samples, Seed(1)).unwrap();
    let wanted = plain.probabilities(&parameters, &samples, Seed(1)).unwrap();
    assert!(said.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-4), "{said} {wanted}");
    let filled = model.impute(&parameters, &samples, 3, Seed(1)).unwrap();
    assert!(filled.index_axis(Axis(0), 2).iter().zip(&samples.inputs).take(8).all(|(a, b)| a == b));
}

#[test]
fn what_is_said_of_a_series_depends_on_no_other() {
    let (samples, shape) = samples(20, 0.5, 3);
    let (model, parameters) = model(small(), &shape);
    let all = model.probabilities(&parameters, &samples, Seed(1)).unwrap();
    let one = model.probabilities(&parameters, &samples.select(&[13]), Seed(1)).unwrap();
    assert!(all.row(13).iter().zip(&one).all(|(a, b)| (a - b).abs() < 1e-6));
    let other = model.probabilities(&parameters, &samples, Seed(2)).unwrap();
    assert!(all != other && calibration::likeliest(all.view()).len() == 20);
    let draws = model.impute(&parameters, &samples, 5, Seed(1)).unwrap();
    assert!((0..20).any(|i| draws[[0, i, 0, 0]] != draws[[1, i, 0, 0]]), "draws differ where nothing was observed");
    let [bound, count] = model.bound_and_draws(&parameters, &samples, Seed(1)).unwrap().unwrap();
    assert!(bound.is_finite() && (1.0..=4.0).contains(&count));
}

#[test]
fn padding_does_not_count() {
    let values = values(3, 0.3, &mut Seed(4).rng(0));
    let scale = Scale::fit(&views(&values), &["a".into(), "b".into()]).unwrap();
    let alone = scale.samples(&views(&values[..1]), None).unwrap();
    let padded = scale.samples(&views(&values), None).unwrap();
    let methods = [
        SeriesMethod::GruD(GruD { width: 5 }),
        SeriesMethod::Filled(Fill::ForwardMask, Filled { width: 5, layers: 2 }),
    ];
    for method in methods {
        let said = [(&alone, 4), (&padded, 6)].map(|(samples, length)| {
            let model = Model::new(method.clone(), Shape::of(&scale, 2, length));
            let parameters = initialise(&model, Seed(5)).unwrap();
            model.probabilities(&parameters, samples, Seed(1)).unwrap().row(0).to_vec()
        });
        assert!(said[0].iter().zip(&said[1]).all(|(a, b)| (a - b).abs() < 1e-6), "{method:?}: {said:?}");
    }
    let priors = [(&alone, 4), (&padded, 6)].map(|(samples, length)| {
        let probe = PriorProbe { model: model(small(), &Shape::of(&scale, 2, length)).0 };
        evaluate(&probe, &Parameters::default(), samples).unwrap()[[0, 0]]
    });
    assert!((priors[0] - priors[1]).abs() < 1e-3, "{priors:?}");
}

/// ln p(z) of the observed values themselves, taken for a path.
struct PriorProbe {
    model: Model,
}

impl Network for PriorProbe {
    fn inputs(&self) -> usize {
        self.model.inputs()
    }
    fn others(&self) -> Vec<Input> {
        self.model.others()
    }
    fn outputs(&self) -> usize {
        1
    }
    fn parameters(&self) -> Vec<Spec> {
        Vec::new()
    }
    fn forward(&self, _: &mut Forward, inputs: &Inputs) -> quadrat_core::Result<Tensor<2>> {
        let given = Given::of(inputs, &self.model.shape)?;
        let [x, _] = given.observed(1)?;
        Ok(Prior::Gp.log_density(&given, 1, x)?.unsqueeze_dim::<2>(1))
    }
}

#[test]
fn the_prior_is_a_gaussian_process() {
    // Two times, one channel twice: ln N(z; 0, [[1.006, c], [c, 1.006]]), c = 1.005 / (1 + 1 / 49).
    let values = [array![[0.5, 0.5], [-1.0, -1.0]], array![[1.0, 1.0], [0.0, 0.0]]];
    let scale = Scale { means: vec![0.0; 2], deviations: vec![1.0; 2], step: 1.0 };
    let samples = scale.samples(&views(&values), None).unwrap();
    let probe = PriorProbe { model: model(small(), &Shape::of(&scale, 2, 2)).0 };
    let found = evaluate(&probe, &Parameters::default(), &samples).unwrap();
    let (v, c) = (1.006f64, 1.005 / (1.0 + 1.0 / 49.0));
    let determinant = v * v - c * c;
    for (i, [a, b]) in [[0.5, -1.0], [1.0, 0.0]].into_iter().enumerate() {
        let square = (v * a * a - 2.0 * c * a * b + v * b * b) / determinant;
        let wanted = 2.0 * -0.5 * (square + determinant.ln() + 2.0 * std::f64::consts::TAU.ln());
        assert!((f64::from(found[[i, 0]]) - wanted).abs() < 1e-3, "{} {wanted}", found[[i, 0]]);
    }
}

/// Minus the bound of the first class, as an output.
struct Objective {
    model: Model,
}

impl Network for Objective {
    fn inputs(&self) -> usize {
        self.model.inputs()
    }
    fn others(&self) -> Vec<Input> {
        self.model.others()
    }
    fn outputs(&self) -> usize {
        1
    }
    fn parameters(&self) -> Vec<Spec> {
        self.model.parameters()
    }
    fn forward(&self, forward: &mut Forward, inputs: &Inputs) -> quadrat_core::Result<Tensor<2>> {
        let n = inputs.rows();
        Ok(self.model.forward(forward, inputs)?.slice([0..n, 0..1]).neg())
    }
}

#[test]
fn gradients_are_slopes_with_the_noise_held() {
    let (samples, shape) = samples(6, 0.4, 6);
    let (model, mut parameters) = model(SupNotMiwae { j: 2, ..small() }, &shape);
    // Decay is at the edge of its ramp nowhere.
    parameters.get_mut("decay.weight").unwrap().set(&[0.2, 0.1]).unwrap();
    let network = Objective { model };
    let batch = Samples { targets: quadrat_nn::Targets::Values(Array2::from_elem((6, 1), -1e3)), ..samples };
    let batch = batch.batch(At { epoch: 0, step: 0 }, &[0, 1, 2, 3, 4, 5]);
    let loss = |parameters: &Parameters| gradients(&network, parameters, Loss::AbsoluteError, &batch, Seed(9)).unwrap();
    let (_, slopes) = loss(&parameters);
    let mut looked = 0;
    for (place, slopes) in slopes.iter().enumerate() {
        let values = parameters.iter().nth(place).unwrap().values();
        let Some((at, slope)) = slopes.iter().enumerate().max_by(|a, b| a.1.abs().total_cmp(&b.1.abs())) else {
            continue;
        };
        let step = 4e-3f32;
        let mut at_step = |by: f32| {
            let mut moved = values.clone();
            moved[at] += by;
            parameters.iter_mut().nth(place).unwrap().set(&moved).unwrap();
            loss(&parameters).0
        };
        let found = (at_step(step) - at_step(-step)) / f64::from(2.0 * step);
        at_step(0.0);
        let name = parameters.iter().nth(place).unwrap().name.clone();
        assert!((found - f64::from(*slope)).abs() < 0.03 * slope.abs() as f64 + 0.05, "{name}: {slope} {found}");
        looked += 1;
    }
    assert!(looked > 15, "all parts have gradients: {looked}");
}

#[test]
fn the_same_seed_gives_the_same_bits_at_any_number_of_threads() {
    let (samples, shape) = samples(24, 0.4, 7);
    for method in cards().iter().map(|card| build(card.slug, &quadrat_core::Params::from([("width", "4")])).unwrap()) {
        let model = Model::new(method, shape.clone());
        let run = |threads: usize| {
            let trainer = Trainer { epochs: 2, batch: 8, seed: Seed(3), ..Trainer::default() };
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let fit = model.fit(&trainer, &samples, Some(&samples), &Silent).unwrap();
                (fit.parameters.fingerprint(), model.probabilities(&fit.parameters, &samples, Seed(1)).unwrap())
            })
        };
        assert!(run(1) == run(2), "{:?}", model.method);
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let names = ["a".to_owned(), "b".to_owned()];
    let nan = f64::NAN;
    let error = |times: &[f64], values: Array2<f64>| {
        Scale::fit(&[Series { times, values: values.view() }], &names).unwrap_err().to_string()
    };
    for (times, values, words) in [
        (vec![0.0, 1.0], array![[1.0, nan], [2.0, nan]], "channel `b`: got no value at all"),
        (vec![0.0, 0.0], array![[1.0, 2.0], [2.0, 1.0]], "times that rise strictly"),
        (vec![1.0, 0.0], array![[1.0, 2.0], [2.0, 1.0]], "0 after 1"),
        (vec![0.0], array![[1.0, 2.0], [2.0, 1.0]], "2 rows of values at 1 times"),
        (vec![0.0], array![[1.0]], "1 channels"),
        (vec![0.0], array![[1.0, f64::INFINITY]], "time 0, channel 1"),
    ] {
        let error = error(&times, values);
        assert!(error.contains(words), "{words}: {error}");
    }
    assert!(Scale::fit(&[], &names).is_err());
    let (samples, shape) = samples(4, 0.2, 8);
    let (model, parameters) = model(small(), &shape);
    assert!(model.impute(&parameters, &samples, 0, Seed(0)).is_err());
    let wrong = Model::new(SeriesMethod::SupNotMiwae(SupNotMiwae { k: 0, ..small() }), shape);
    assert!(wrong.fit(&Trainer::default(), &samples, None, &Silent).unwrap_err().to_string().contains("at least 1"));
    for (name, key, value) in [("supnotmiwae", "beta", "1"), ("supnotmiwae", "k", "0"), ("gru-d", "beta", "0.1")] {
        assert!(build(name, &quadrat_core::Params::from([(key, value)])).is_err(), "{name} {key}");
    }
}

proptest! {
    #[test]
    fn draws_that_count_are_one_to_all(weights in prop::collection::vec(-1e4f32..1e4, 1..30)) {
        let k = weights.len();
        let found = effective_draws(Array2::from_shape_vec((1, k), weights).unwrap().view())[0];
        prop_assert!((1.0..=k as f64).contains(&found));
        let alike = effective_draws(Array2::from_elem((1, k), 3.5).view())[0];
        prop_assert!((alike - k as f64).abs() < 1e-9);
    }

    #[test]
    fn what_is_kept_was_observed(mask in prop::collection::vec(0u8..2, 1..40), rate in 0f32..0.9, seed in 0u64..1000) {
        let mask: Vec<f32> = mask.into_iter().map(f32::from).collect();
        let (kept, log_p) = obs_dropout(&mask, rate, &mut Seed(seed).rng(0));
        prop_assert!(kept.iter().zip(&mask).all(|(kept, mask)| kept <= mask));
        let [all, left] = [&mask, &kept].map(|m| m.iter().sum::<f32>());
        let wanted = left * (1.0 - rate).ln() + if all > left { (all - left) * rate.ln() } else { 0.0 };
        prop_assert!((log_p - wanted).abs() < 1e-3 * (1.0 + wanted.abs()));
    }
}
