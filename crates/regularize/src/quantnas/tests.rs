//! Identities of the search, and a search from end to end.

use super::networks::{entropy, expected_cost, shuffled, softmax};
use super::*;
use ndarray::Array2;
use quadrat_core::Silent;
use quadrat_nn::predict;
use quadrat_nn::tensor_of;

fn tiny() -> QuantNas {
    let op = |kernel, groups| Op { kernel, groups };
    QuantNas {
        space: Space { ops: vec![op(1, 1), op(3, 1)], channels: 3, cells: 1, body: 2, ..Space::default() },
        size: [6, 6],
        epochs: 3,
        warmup: 1,
        batch: 4,
        ..QuantNas::default()
    }
}

/// Smooth pictures and their halves.
fn pairs(n: usize) -> Samples {
    let large = Array2::from_shape_fn((n, 3 * 144), |(i, j)| {
        let (y, x) = (j / 12 % 12, j % 12);
        0.5 + 0.4 * ((x as f32 * (0.3 + 0.1 * i as f32)).sin() * (y as f32 * 0.4).cos())
    });
    let small = resize(large.view(), 3, [12, 12], [6, 6]).unwrap();
    Samples::values(small, large).unwrap()
}

#[test]
fn the_entropy_weight_follows_its_schedule() {
    let search = QuantNas { entropy: 1.0, ..QuantNas::default() };
    let golden = [0.0, 0.0, 0.0602, 0.1431, 0.2408, 0.3495, 0.4669, 0.5916, 0.7225, 0.8588, 1.0];
    for (epoch, want) in (9..20).zip(golden) {
        assert!((search.entropy_weight(epoch) - want).abs() < 1e-4, "{epoch}: {}", search.entropy_weight(epoch));
    }
    assert_eq!(search.entropy_weight(3), 0.0);
}

#[test]
fn entropy_and_cost_have_the_gradients_of_finite_differences() {
    let space = Space::default();
    let place = &space.places()[0];
    let n = space.ops_of(place).len() * space.bits.len();
    let (h, _) = entropy(&vec![0.0; n]);
    assert!((h - (n as f64).ln()).abs() < 1e-12);
    let scores: Vec<f32> = (0..n).map(|i| (i as f32 * 0.7).sin()).collect();
    let (_, by_entropy) = entropy(&scores);
    let (_, by_cost) = expected_cost(&space, place, &scores, 8, 8);
    for k in 0..n {
        let moved = |d: f32| {
            let mut moved = scores.clone();
            moved[k] += d;
            moved
        };
        let slope = |f: &dyn Fn(&[f32]) -> f64| (f(&moved(1e-2)) - f(&moved(-1e-2))) / 2e-2;
        assert!((slope(&|a| entropy(a).0) - by_entropy[k]).abs() < 1e-3);
        let cost = slope(&|a| expected_cost(&space, place, a, 8, 8).0);
        assert!((cost - by_cost[k]).abs() < 1e-3 * cost.abs().max(1.0));
    }
}

/// With all weight on one choice the expected cost is the final count.
#[test]
fn search_and_final_count_agree() {
    let space = Space::default();
    let genotype = space.draw(&mut Seed(8).rng(0));
    let mut expected = 0.0;
    for place in space.places() {
        let (op, bits) = space.chosen(&genotype, &place).unwrap();
        let (ops, widths) = (space.ops_of(&place), space.bits_of(&place));
        let chosen =
            ops.iter().position(|o| *o == op).unwrap() * widths.len() + widths.iter().position(|b| *b == bits).unwrap();
        let scores: Vec<f32> = (0..ops.len() * widths.len()).map(|i| if i == chosen { 200.0 } else { 0.0 }).collect();
        assert!((softmax(&scores)[chosen] - 1.0).abs() < 1e-12);
        expected += expected_cost(&space, &place, &scores, 24, 24).0;
    }
    let count = space.bit_ops(&genotype, 24, 24).unwrap();
    assert!((expected / count - 1.0).abs() < 1e-9);
}

#[test]
fn pixels_are_shuffled_to_their_places() {
    let rows = tensor_of(Array2::from_shape_fn((1, 8), |(_, i)| i as f32).view(), false);
    let image = shuffled(rows.reshape([1, 4, 1, 2]), 2);
    assert_eq!(image.dims(), [1, 1, 2, 4]);
    let values: Vec<f32> = image.into_data().try_into_vec().unwrap();
    assert_eq!(values, [0.0, 2.0, 1.0, 3.0, 4.0, 6.0, 5.0, 7.0]);
}

/// A network whose last layers are zero is the interpolation.
#[test]
fn what_layers_add_is_added_to_the_interpolated_image() {
    let (search, data) = (tiny(), pairs(3));
    let genotype = search.space.uniform(Op { kernel: 3, groups: 1 }, 4);
    let net = Net { space: &search.space, layers: Layers::Chosen(&genotype), height: 6, width: 6 };
    let mut parameters = initialise(&net, Seed(1)).unwrap();
    start_steps(&search.space, &mut parameters).unwrap();
    let last = |name: &str| name.starts_with("widen.3x3") || name.starts_with("tail.3x3");
    for parameter in parameters.iter_mut().filter(|p| last(&p.name) && p.shape.len() == 4) {
        parameter.update(|w| w.fill(0.0));
    }
    let enlarged = predict(&net, &parameters, data.inputs.view(), &[]).unwrap();
    let wanted = resize(data.inputs.view(), 3, [6, 6], [12, 12]).unwrap();
    assert!(enlarged.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-5));
}

#[test]
fn a_search_ends_in_a_network_that_enlarges() {
    let data = pairs(12);
    for mode in [Mode::Noise(Noise::Gaussian), Mode::Noise(Noise::Uniform), Mode::Direct] {
        for adq in [true, false] {
            let search = QuantNas { mode, space: Space { adq, ..tiny().space }, ..tiny() };
            let report = search.search(&data, Seed(1), &Silent).unwrap();
            assert_eq!((report.trace.len(), report.best.choices.len()), (3, 4));
            assert!(report.trace.iter().all(|epoch| epoch.loss.is_finite()));
            let again = search.search(&data, Seed(1), &Silent).unwrap();
            assert_eq!((&report.best, &report.trace), (&again.best, &again.trace));
            let made = search.train(&report.best, &data, 2, Seed(2), &Silent).unwrap();
            assert_eq!(made.enlarge(data.inputs.view(), search.size).unwrap().dim(), (12, 3 * 144));
            assert!(made.bit_ops().unwrap() > 0.0);
        }
    }
}

#[test]
fn a_strong_budget_buys_cheap_layers() {
    let dear = QuantNas { eta: 50.0, alpha_rate: 0.1, epochs: 6, ..tiny() };
    let report = dear.search(&pairs(40), Seed(1), &Silent).unwrap();
    assert!(report.last.choices.iter().all(|choice| choice.op.kernel == 1 && choice.bits == 4), "{:?}", report.last);
    assert!(report.trace[5].cost < report.trace[0].cost);
}

#[test]
fn what_does_not_fit_is_said() {
    let data = pairs(4);
    let wrong = |search: QuantNas| assert!(search.search(&data, Seed(1), &Silent).is_err());
    wrong(QuantNas { warmup: 3, ..tiny() });
    wrong(QuantNas { eta: f64::NAN, ..tiny() });
    wrong(QuantNas { size: [5, 6], ..tiny() });
    wrong(QuantNas { space: Space { channels: 4, ..tiny().space }, ..tiny() });
    assert!(tiny().search(&pairs(1), Seed(1), &Silent).is_err());
    assert!(tiny().train(&Genotype { choices: vec![] }, &data, 1, Seed(1), &Silent).is_err());
}

#[test]
fn an_enlarger_is_read_back_as_it_was_saved() {
    let (search, pairs) = (tiny(), pairs(6));
    let genotype = search.space.draw(&mut Seed(1).rng(0));
    let made = search.train(&genotype, &pairs, 1, Seed(2), &Silent).unwrap();
    let path = std::env::temp_dir().join(format!("quadrat-enlarger-{}.safetensors", std::process::id()));
    made.save(&path).unwrap();
    let again = Enlarger::load(&path).unwrap();
    assert_eq!(again.genotype, genotype);
    let enlarged = |by: &Enlarger| by.enlarge(pairs.inputs.view(), search.size).unwrap();
    assert_eq!(enlarged(&again), enlarged(&made));
    std::fs::write(&path, "nothing of the kind").unwrap();
    assert!(Enlarger::load(&path).is_err());
    std::fs::remove_file(&path).unwrap();
    assert!(Enlarger::load(&path).is_err());
}
