use super::*;
use ndarray::Array2;
use quadrat_core::Silent;
use quadrat_nn::{ConvNet, Mlp, Network, Optimizer, Samples, Schedule, Trainer, initialise};

fn samples(width: usize) -> Samples {
    let mut rng = Seed(2).rng(0);
    let inputs = Array2::from_shape_fn((48, width), |_| rng.normal() as f32);
    Samples::classes(inputs, (0..48).map(|i| i % 4).collect(), 4).unwrap()
}

fn networks() -> Vec<Box<dyn Network>> {
    let convolutions = ConvNet { filters: vec![4, 8], hidden: 16, norm: true, ..ConvNet::new([1, 8, 8], 4) };
    vec![Box::new(Mlp::new(64, &[70, 16], 4)), Box::new(convolutions)]
}

fn trainer(epochs: usize) -> Trainer {
    Trainer { epochs, batch: 16, rate: 5e-3, schedule: Schedule::Constant, seed: Seed(3), ..Trainer::default() }
}

fn start(network: &dyn Network) -> Parameters {
    initialise(network, Seed(7)).unwrap()
}

fn train(network: &dyn Network, sara: &mut Sara, epochs: usize) -> Parameters {
    let samples = samples(network.inputs());
    trainer(epochs).fit_from(network, start(network), &samples, None, &mut [sara], &Silent).unwrap().parameters
}

/// Keeps the gradients of the first step, and the parameters after it.
#[derive(Default)]
struct First {
    gradients: Vec<Vec<f32>>,
    after: Option<Parameters>,
}

impl TrainMethod for First {
    fn name(&self) -> &str {
        "first"
    }
    fn gradients(&mut self, at: At, _: &Parameters, gradients: &mut [Vec<f32>]) -> Result<()> {
        if at.step == 0 {
            self.gradients = gradients.to_vec();
        }
        Ok(())
    }
    fn after_step(&mut self, at: At, parameters: &mut Parameters) -> Result<()> {
        if at.step == 0 {
            self.after = Some(parameters.clone());
        }
        Ok(())
    }
}

fn same_bits(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

#[test]
fn only_the_smallest_weights_move() {
    for network in networks() {
        let base = start(&*network);
        let mut sara = Sara::default();
        let tuned = train(&*network, &mut sara, 3);
        let theta = sara.selected.threshold;
        let (mut moved, mut all) = (0, 0);
        for (old, new) in base.iter().zip(tuned.iter()) {
            assert_eq!((&old.name, old.len(), old.trainable), (&new.name, new.len(), new.trainable));
            let (old_values, new_values) = (old.values(), new.values());
            if old.role != Role::Weight {
                assert!(same_bits(&old_values, &new_values), "{}", old.name);
                continue;
            }
            all += old.len();
            for (old, new) in old_values.iter().zip(&new_values).filter(|(o, n)| o.to_bits() != n.to_bits()) {
                assert!(old.abs() < theta, "{old} became {new}");
                moved += 1;
            }
        }
        let budget = (0.1 * all as f64).round() as usize;
        assert_eq!(sara.selected.base.iter().map(|(_, p, _)| p.alive()).sum::<usize>(), budget);
        assert!(moved <= budget && moved > budget / 2, "{moved} of {budget}");
    }
}

#[test]
fn gradients_are_the_dense_ones_gathered() {
    for network in networks() {
        for fraction in [0.05, 0.3, 1.0] {
            let samples = samples(network.inputs());
            let mut dense = First::default();
            trainer(1).fit_from(&*network, start(&*network), &samples, None, &mut [&mut dense], &Silent).unwrap();
            let (mut sara, mut sparse) =
                (Sara { select: Select::Fraction(fraction), lambda: 0.0, ..Sara::default() }, First::default());
            let mut methods: [&mut dyn TrainMethod; 2] = [&mut sara, &mut sparse];
            trainer(1).fit_from(&*network, start(&*network), &samples, None, &mut methods, &Silent).unwrap();
            let base = start(&*network);
            for (name, pattern, _) in &sara.selected.base {
                let place = base.position(name).unwrap();
                let wanted = pattern.gather(&dense.gradients[place]).unwrap();
                assert_eq!(wanted.len(), sparse.gradients[place].len());
                for (a, b) in wanted.iter().zip(&sparse.gradients[place]) {
                    assert!((a - b).abs() < 1e-6, "{name}: {a} {b}");
                }
            }
            let reached = sparse.gradients.iter().flatten().count();
            assert_eq!(reached, sara.selected.base.iter().map(|(_, p, _)| p.alive()).sum::<usize>());
        }
    }
}

/// With everything selected a step is AdamW's on the kernels.
#[test]
fn a_step_of_everything_is_adamw() {
    let network = Mlp::new(64, &[70, 16], 4);
    let samples = samples(64);
    let mut sara = Sara { select: Select::Fraction(1.0), lambda: 0.0, progressive: None, ..Sara::default() };
    let mut first = First::default();
    let trainer = Trainer { optimizer: Optimizer::adamw(0.01), ..trainer(1) };
    let mut methods: [&mut dyn TrainMethod; 2] = [&mut sara, &mut first];
    trainer.fit_from(&network, start(&network), &samples, None, &mut methods, &Silent).unwrap();
    let (base, after) = (start(&network), first.after.unwrap());
    for (place, parameter) in base.iter().enumerate().filter(|(_, p)| p.role == Role::Weight) {
        let (mut w, gradient) = (parameter.values(), &first.gradients[place]);
        let (mut m, mut v) = (vec![0.0; w.len()], vec![0.0; w.len()]);
        quadrat_nn::ops::step::adamw(&mut w, gradient, &mut m, &mut v, 1, trainer.rate, 0.9, 0.999, 1e-8, 0.01);
        assert!(same_bits(&w, &after.get(&parameter.name).unwrap().dense()), "{}", parameter.name);
    }
}

#[test]
fn the_second_selection_is_among_the_first_and_freezes_what_has_grown() {
    for network in networks() {
        let mut sara = Sara { select: Select::Fraction(0.05), progressive: Some(0.5), ..Sara::default() };
        let mut half = Half(None);
        let samples = samples(network.inputs());
        let mut methods: [&mut dyn TrainMethod; 2] = [&mut sara, &mut half];
        let tuned =
            trainer(6).fit_from(&*network, start(&*network), &samples, None, &mut methods, &Silent).unwrap().parameters;
        let half = half.0.unwrap();
        let (mut settled, mut kept) = (0, 0);
        for (name, pattern, _) in &sara.selected.base {
            let now = sara.selected.trained.iter().find(|(n, _)| n == name);
            let now: Vec<usize> = now.map(|(_, p)| p.indices().collect()).unwrap_or_default();
            let first: Vec<usize> = pattern.indices().collect();
            assert!(now.iter().all(|i| first.contains(i)));
            let (middle, end) = (half.get(name).unwrap().dense(), tuned.get(name).unwrap().dense());
            for i in first {
                let inside = middle[i].abs() < sara.selected.threshold;
                assert_eq!(inside, now.contains(&i), "{name}");
                if inside {
                    kept += 1;
                } else {
                    settled += 1;
                    assert_eq!(middle[i].to_bits(), end[i].to_bits());
                }
            }
        }
        assert!(settled > 0 && kept > 0, "{settled} settled, {kept} kept");
    }
}

#[test]
fn a_selection_that_has_grown_as_a_whole_is_kept() {
    let network = Mlp::new(64, &[70, 16], 4);
    let mut sara = Sara { select: Select::Budget(1), progressive: Some(0.1), lambda: 0.0, ..Sara::default() };
    let tuned = train(&network, &mut sara, 4);
    let (name, pattern, old) = &sara.selected.base[0];
    assert!(tuned.get(name).unwrap().dense()[pattern.indices().next().unwrap()].abs() > sara.selected.threshold);
    assert_eq!((old.len(), sara.selected.trained.len()), (1, 1));
}

/// Keeps the parameters after the ninth of eighteen steps.
struct Half(Option<Parameters>);

impl TrainMethod for Half {
    fn name(&self) -> &str {
        "half"
    }
    fn after_step(&mut self, at: At, parameters: &mut Parameters) -> Result<()> {
        if at.step + 1 == 9 {
            self.0 = Some(parameters.clone());
        }
        Ok(())
    }
}

fn nuclear_norm(values: &[f32], pattern: &Pattern) -> f64 {
    let mut dense = vec![0.0; pattern.rows() * pattern.cols()];
    pattern.scatter(values, &mut dense).unwrap();
    let a = Array2::from_shape_vec((pattern.rows(), pattern.cols()), dense).unwrap().mapv(f64::from);
    let gram = linalg::product(a.t(), a.view()).unwrap();
    linalg::symmetric_eigen(gram.view()).unwrap().0.into_iter().map(|v| v.max(0.0).sqrt()).sum()
}

#[test]
fn the_penalty_is_the_gradient_of_the_nuclear_norm() {
    for (rows, cols) in [(5, 5), (7, 4), (4, 7)] {
        let mut rng = Seed(5).rng(rows as u64);
        // A generic matrix with a sixth of its entries off the pattern has full rank.
        let mask: Vec<bool> = (0..rows * cols).map(|i| i % 6 != 1).collect();
        let pattern = Pattern::from_mask(&mask, rows, cols).unwrap();
        let values: Vec<f32> = (0..pattern.alive()).map(|_| rng.normal() as f32).collect();
        let slope = nuclear_subgradient(&values, &pattern).unwrap();
        for i in 0..values.len() {
            let moved = |step: f32| {
                let mut moved = values.clone();
                moved[i] += step;
                nuclear_norm(&moved, &pattern)
            };
            let difference = (moved(1e-3) - moved(-1e-3)) / 2e-3;
            assert!((difference - f64::from(slope[i])).abs() < 2e-3, "{rows} x {cols}, {i}: {difference}");
        }
    }
}

/// Keeps the values of a kernel at every sixteenth step.
struct Moving(Vec<Vec<f32>>);

impl TrainMethod for Moving {
    fn name(&self) -> &str {
        "moving"
    }
    fn gradients(&mut self, at: At, parameters: &Parameters, _: &mut [Vec<f32>]) -> Result<()> {
        if at.step.is_multiple_of(KEPT) {
            self.0.push(parameters.get("fc2.weight")?.values());
        }
        Ok(())
    }
}

/// When it is computed anew, the penalty's gradient has not turned far.
#[test]
fn the_penalty_turns_slowly() {
    let network = Mlp::new(80, &[70, 72], 4);
    let (mut sara, mut moving) = (Sara { progressive: None, ..Sara::default() }, Moving(Vec::new()));
    let trainer = Trainer { rate: 1e-3, ..trainer(40) };
    let base = trainer.fit(&network, &samples(80), None, &mut [], &Silent).unwrap().parameters;
    let mut methods: [&mut dyn TrainMethod; 2] = [&mut sara, &mut moving];
    trainer.fit_from(&network, base, &samples(80), None, &mut methods, &Silent).unwrap();
    let pattern = &sara.selected.base.iter().find(|(name, ..)| name == "fc2.weight").unwrap().1;
    let turned = moving.0.iter().map(|values| nuclear_subgradient(values, pattern).unwrap()).collect::<Vec<_>>();
    assert!(turned.len() > 6);
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    for (time, pair) in turned.windows(2).enumerate() {
        let cosine = dot(&pair[0], &pair[1]) / (dot(&pair[0], &pair[0]) * dot(&pair[1], &pair[1])).sqrt();
        // Adam begins with its longest steps: 0.83 and 0.86 were measured there, 0.93 to 0.97 afterwards.
        let least = if time < 2 { 0.75 } else { 0.9 };
        assert!(cosine > least, "{time}: {cosine}");
    }
}

/// It is computed once in sixteen steps for each matrix, kept in checkpoints, and forgotten at the second selection.
#[test]
fn the_penalty_is_kept_between_decompositions() {
    let network = Mlp::new(80, &[70, 72], 4);
    let mut sara = Sara { progressive: None, ..Sara::default() };
    train(&network, &mut sara, 20);
    let steps: Vec<usize> = sara.selected.penalties.values().map(|(step, _)| *step).collect();
    assert_eq!(steps.len(), 2);
    assert!(steps.iter().all(|step| (60 - KEPT..60).contains(step)), "{steps:?}");
    let state = sara.save();
    let mut again = Sara { selected: sara.selected.clone(), ..sara.clone() };
    again.selected.penalties.clear();
    again.load(state, &mut start(&network)).unwrap();
    assert_eq!(again.selected.penalties, sara.selected.penalties);
}

/// Of a matrix u vᵀ it is u vᵀ / (|u| |v|), whatever the decomposition does with the null space; of zeros it is zero.
#[test]
fn the_penalty_of_a_matrix_without_full_rank_is_finite() {
    let (u, v) = ([1.0f32, -2.0, 0.5, 3.0], [2.0f32, 0.0, -1.0, 4.0, 1.0]);
    let pattern = Pattern::from_mask(&[true; 20], 4, 5).unwrap();
    let values: Vec<f32> = u.iter().flat_map(|u| v.map(|v| u * v)).collect();
    let length = |x: &[f32]| x.iter().map(|x| x * x).sum::<f32>().sqrt();
    let slope = nuclear_subgradient(&values, &pattern).unwrap();
    for (s, w) in slope.iter().zip(&values) {
        assert!((s - w / (length(&u) * length(&v))).abs() < 1e-6);
    }
    assert_eq!(nuclear_subgradient(&[0.0; 20], &pattern).unwrap(), [0.0; 20]);
    assert!(nuclear_subgradient(&[f32::NAN; 20], &pattern).is_err());
}

#[test]
fn the_penalty_reaches_what_is_trained() {
    let network = Mlp::new(80, &[70, 72], 4);
    let tuned = |lambda, min_side| {
        let mut sara = Sara { lambda, min_side, ..Sara::default() };
        train(&network, &mut sara, 2).fingerprint()
    };
    assert_ne!(tuned(0.0, 64), tuned(0.1, 64));
    assert_eq!(tuned(0.0, 64), tuned(0.1, 80), "no matrix is that large");

    let mut sara = Sara { lambda: 0.1, ..Sara::default() };
    let mut parameters = start(&network);
    let data = samples(80);
    let run = Run {
        network: &network,
        data: &data,
        loss: quadrat_nn::Loss::CrossEntropy,
        epochs: 2,
        steps: 3,
        seed: Seed(1),
    };
    sara.begin(&run, &mut parameters).unwrap();
    let mut penalised = std::collections::BTreeSet::new();
    for step in 0..20 {
        let mut gradients: Vec<Vec<f32>> =
            parameters.iter().map(|p| vec![0.0; if p.trainable { p.len() } else { 0 }]).collect();
        sara.gradients(At { epoch: 0, step }, &parameters, &mut gradients).unwrap();
        let touched: Vec<usize> = (0..gradients.len()).filter(|&i| gradients[i].iter().any(|g| *g != 0.0)).collect();
        assert_eq!(touched.len(), 1, "one matrix a step");
        penalised.insert(parameters.iter().nth(touched[0]).unwrap().name.clone());
    }
    assert_eq!(penalised.into_iter().collect::<Vec<_>>(), ["fc1.weight", "fc2.weight"]);
}

#[test]
fn the_delta_is_all_that_changed_and_comes_off_exactly() {
    for network in networks() {
        let base = start(&*network);
        let mut sara = Sara::default();
        let tuned = train(&*network, &mut sara, 3);
        let delta = sara.delta(&tuned).unwrap().unwrap();
        assert_eq!(delta.len(), sara.memory(&tuned).trainable);
        let mut parameters = base.clone();
        delta.apply(&mut parameters).unwrap();
        assert_eq!(parameters.fingerprint(), tuned.fingerprint());
        delta.remove(&mut parameters).unwrap();
        assert_eq!(parameters.fingerprint(), base.fingerprint());
        assert!(delta.remove(&mut parameters).is_err(), "it is off");
        let mut other = initialise(&*network, Seed(8)).unwrap();
        let before = other.fingerprint();
        let error = delta.apply(&mut other).unwrap_err().to_string();
        assert!(error.contains("the delta belongs to"), "{error}");
        assert_eq!(other.fingerprint(), before, "nothing is half applied");
    }
    let mut sara = Sara::default();
    train(&Mlp::new(64, &[70, 16], 4), &mut sara, 1);
    assert!(sara.delta(&start(&Mlp::new(64, &[20, 16], 4))).is_err(), "a network of another size");
}

#[test]
fn memory_counts_what_is_selected() {
    let network = Mlp::new(100, &[100, 100], 4);
    let mut sara = Sara { select: Select::Budget(1_000), ..Sara::default() };
    assert_eq!(sara.memory(&start(&network)).trainable, 0);
    let tuned = train(&network, &mut sara, 1);
    let all = 100 * 100 * 2 + 400 + 204;
    let memory = sara.memory(&tuned);
    assert_eq!(memory, Memory { trainable: 1_000, bytes: 12_000, place_bytes: 20_000, dense_bytes: 12 * all });
}

#[test]
fn controls_take_as_many_other_weights() {
    let network = Mlp::new(64, &[70, 16], 4);
    let base = start(&network);
    let chosen = |pick| {
        let mut sara = Sara { select: Select::Budget(300), pick, lambda: 0.0, ..Sara::default() };
        train(&network, &mut sara, 1);
        sara.selected.base
    };
    let mean = |chosen: &[(String, Arc<Pattern>, Vec<f32>)]| {
        let values: Vec<f32> = chosen.iter().flat_map(|(_, _, old)| old.iter().map(|w| w.abs())).collect();
        assert_eq!(values.len(), 300);
        values.iter().sum::<f32>() / 300.0
    };
    let all: Vec<f32> = base.iter().filter(|p| p.role == Role::Weight).flat_map(|p| p.values()).collect();
    let overall = all.iter().map(|w| w.abs()).sum::<f32>() / all.len() as f32;
    assert!(mean(&chosen(Pick::Smallest)) < 0.1 * overall);
    assert!(mean(&chosen(Pick::Largest)) > 2.0 * overall);
    assert!((mean(&chosen(Pick::Random)) / overall - 1.0).abs() < 0.3);
}

#[test]
fn what_does_not_fit_is_refused() {
    let network = Mlp::new(64, &[70, 16], 4);
    let refused = |mut sara: Sara, base: Parameters| {
        let fit = trainer(1).fit_from(&network, base, &samples(64), None, &mut [&mut sara], &Silent);
        fit.map(|_| ()).unwrap_err().to_string()
    };
    let with = |select| Sara { select, ..Sara::default() };
    let error = refused(with(Select::Threshold(1e-12)), start(&network));
    assert!(error.contains("a tenth of the weights are below"), "{error}");
    for fraction in [0.0, -0.1, 1.1, f64::NAN] {
        assert!(refused(with(Select::Fraction(fraction)), start(&network)).contains("above 0 and at most 1"));
    }
    for share in [0.0, 1.0, f64::NAN] {
        let sara = Sara { progressive: Some(share), ..Sara::default() };
        assert!(refused(sara, start(&network)).contains("between 0 and 1"));
    }
    let mut zero = start(&network);
    zero.iter_mut().for_each(|p| p.update(|w| w.fill(0.0)));
    assert!(refused(Sara::default(), zero).contains("a trained network"));
}
