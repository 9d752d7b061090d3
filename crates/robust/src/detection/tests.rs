//! The sheet of the losses: what must hold of each, and what torchvision says.

use super::*;
use proptest::prelude::*;
use quadrat_core::{Rng, Seed};

const CLASSES: usize = 3;
const PLACES: usize = 40;
const SMOOTH: Regression = Regression::SmoothL1 { beta: 0.11 };

fn every() -> Vec<Box<dyn DenseLoss>> {
    cards().iter().map(|card| build(card.slug, &Params::none()).unwrap()).collect()
}

fn assignments(images: usize, rng: &mut Rng) -> Vec<Assignment> {
    let label = |rng: &mut Rng| match rng.below(8) {
        0 => -1,
        1 => 1 + rng.below(CLASSES) as i32,
        _ => 0,
    };
    let one = |_| {
        let labels = (0..PLACES).map(|_| label(rng)).collect();
        let targets = (0..PLACES).map(|_| std::array::from_fn(|_| 0.5 + rng.uniform() as f32)).collect();
        Assignment { labels, targets, ..Assignment::default() }
    };
    (0..images).map(one).collect()
}

fn outputs(images: usize, spread: f64, rng: &mut Rng) -> Vec<f32> {
    (0..images * PLACES * (CLASSES + 4)).map(|_| (spread * rng.normal()) as f32).collect()
}

fn run(loss: &dyn DenseLoss, outputs: &[f32], assignments: &[Assignment], how: Regression) -> (LossParts, Vec<f32>) {
    let each: Vec<&Assignment> = assignments.iter().collect();
    let batch = Dense::new(outputs, &each, CLASSES, how, Seed(5)).unwrap();
    let mut gradient = vec![f32::NAN; outputs.len()];
    let parts = loss.forward_backward(&batch, &mut Vec::new(), &mut gradient).unwrap();
    (parts, gradient)
}

/// (a) The bias of the measured share makes the first loss least, of a sigmoid and of a softmax.
#[test]
fn the_measured_share_is_the_best_beginning() {
    let (f, classes) = (0.02, 5.0);
    let sigmoid = |p: f64| -(f * p.ln() + (classes - f) * (1.0 - p).ln());
    let softmax = |p: f64| -(f * p.ln() + (1.0 - f) * (1.0 - classes * p).ln());
    let best = Prior { foreground: f, classes: 5 }.each();
    for loss in [&sigmoid as &dyn Fn(f64) -> f64, &softmax] {
        assert!((1..400).map(|i| f64::from(i) * 1e-4).all(|p| loss(best) <= loss(p)));
        assert!(((loss(best + 1e-7) - loss(best - 1e-7)) / 2e-7).abs() < 1e-4);
    }
    let p = |z: f32| 1.0 / (1.0 + f64::from(-z).exp());
    assert!(bias(best, 5, Head::Sigmoid).unwrap().iter().all(|z| (p(*z) / best - 1.0).abs() < 1e-5));
    let scores = bias(best, 5, Head::Softmax).unwrap();
    let total: f64 = scores.iter().map(|z| f64::from(*z).exp()).sum();
    assert!((total - 1.0).abs() < 1e-6 && (f64::from(scores[0]).exp() - (1.0 - f)).abs() < 1e-6);
    for wrong in [0.0, 0.2, f64::NAN] {
        assert!(bias(wrong, 5, Head::Softmax).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// (c) The guided loss has the boxes' value and the plain gradient's direction.
    #[test]
    fn guided_classes_cost_what_boxes_cost(seed in 0u64..1000, scale in 0.5f64..3.0) {
        let mut rng = Seed(seed).rng(0);
        let (assigned, z) = (assignments(2, &mut rng), outputs(2, 2.0, &mut rng));
        let (parts, guided) = run(&SamplingFree { scale, ..SamplingFree::default() }, &z, &assigned, SMOOTH);
        let (plain, gradient) = run(&DenseCrossEntropy::default(), &z, &assigned, SMOOTH);
        prop_assert_eq!((plain.classes, plain.boxes), (parts.classes, parts.boxes));
        prop_assert!((parts.weight * parts.classes - scale * parts.boxes).abs() < 1e-9 * parts.boxes.max(1.0));
        // The weight is a constant for the gradient: logits get it times the plain one, boxes do not feel it.
        let logits = PLACES * CLASSES;
        for (i, (guided, plain)) in guided.iter().zip(&gradient).enumerate() {
            let within = i % (PLACES * (CLASSES + 4)) < logits;
            let wanted = if within { plain * parts.weight as f32 } else { *plain };
            prop_assert!((guided - wanted).abs() <= 1e-6 * wanted.abs().max(1e-3), "{i}");
        }
    }

    /// Every loss has the gradient that it says, with what a step holds fixed (weights, choices) held.
    #[test]
    fn gradients_are_those_of_the_losses(seed in 0u64..1000, which in 0usize..6) {
        let losses = every();
        let loss = &*losses[which];
        let mut rng = Seed(seed).rng(0);
        let (assigned, z) = (assignments(1, &mut rng), outputs(1, 1.0, &mut rng));
        let (_, gradient) = run(loss, &z, &assigned, SMOOTH);
        let (before, _) = run(loss, &z, &assigned, SMOOTH);
        for _ in 0..12 {
            let at = rng.below(PLACES * CLASSES);
            let moved = |step: f32| {
                let mut z = z.clone();
                z[at] += step;
                run(loss, &z, &assigned, SMOOTH).0.classes * before.weight
            };
            let slope = (moved(2e-3) - moved(-2e-3)) / f64::from((z[at] + 2e-3) - (z[at] - 2e-3));
            let far = (slope - f64::from(gradient[at])).abs();
            // GHM's weights and OHEM's choice jump where a logit changes its bin or rank.
            let jumps = ["ghm", "ohem"].contains(&loss.card().slug);
            prop_assert!(far < 2e-3 || jumps, "{} {slope} {}", loss.card().slug, gradient[at]);
        }
    }
}

/// (d) Special cases, and what each loss leaves out.
#[test]
fn losses_agree_where_they_must() {
    let mut rng = Seed(3).rng(0);
    let (assigned, z) = (assignments(2, &mut rng), outputs(2, 2.0, &mut rng));
    let (plain, plain_gradient) = run(&DenseCrossEntropy::default(), &z, &assigned, SMOOTH);
    let count = |of: fn(&i32) -> bool| assigned.iter().flat_map(|a| &a.labels).filter(|l| of(l)).count() as f64;
    let (foreground, labelled) = (count(|l| *l > 0), count(|l| *l >= 0));
    let cases: [(Box<dyn DenseLoss>, f64); 2] = [
        (Box::new(Focal { gamma: 0.0, alpha: 0.5, ..Focal::default() }), 0.5 * (foreground + 2.0) / foreground),
        (Box::new(Ghm { bins: 1, momentum: 0.0, ..Ghm::default() }), (foreground + 2.0) / (labelled * CLASSES as f64)),
    ];
    for (loss, factor) in cases {
        let (parts, gradient) = run(&*loss, &z, &assigned, SMOOTH);
        assert!((parts.classes / (factor * plain.classes) - 1.0).abs() < 1e-6, "{}", loss.card().slug);
        for (i, (d, plain)) in gradient.iter().zip(&plain_gradient).enumerate() {
            let wanted = if i % 280 < 120 { plain * factor as f32 } else { *plain };
            assert!((d - wanted).abs() < 1e-5, "{} {i}", loss.card().slug);
        }
    }
    let all = BiasedSampling { places: 2 * PLACES, ..BiasedSampling::default() };
    let (parts, _) = run(&all, &z, &assigned, SMOOTH);
    assert!((parts.classes * labelled / (plain.classes * (foreground + 2.0)) - 1.0).abs() < 1e-6);
    let (parts, _) = run(&Ohem { ratio: PLACES, ..Ohem::default() }, &z, &assigned, SMOOTH);
    assert!((parts.classes * foreground / (plain.classes * (foreground + 2.0)) - 1.0).abs() < 1e-6);
    let taken = |gradient: &[f32]| {
        let rows = gradient.chunks_exact(280).flat_map(|image| image[..120].chunks_exact(CLASSES));
        rows.filter(|row| row.iter().any(|d| *d != 0.0)).count()
    };
    let (_, gradient) = run(&Ohem { ratio: 1, ..Ohem::default() }, &z, &assigned, SMOOTH);
    assert_eq!(taken(&gradient) as f64, 2.0 * foreground);
    let (_, gradient) = run(&BiasedSampling { places: 8, ..BiasedSampling::default() }, &z, &assigned, SMOOTH);
    assert_eq!(taken(&gradient), 16);
}

/// (b) A head whose weights are near 0 costs the entropy that its bias says.
#[test]
fn the_first_loss_is_the_entropy() {
    let mut rng = Seed(8).rng(0);
    let assigned = assignments(50, &mut rng);
    let prior = estimate_prior(&assigned, CLASSES).unwrap();
    let start = bias(prior.each(), CLASSES, Head::Sigmoid).unwrap()[0];
    let z: Vec<f32> = outputs(50, 0.01, &mut rng).iter().map(|v| v + start).collect();
    let (parts, _) = run(&SamplingFree::default(), &z, &assigned, SMOOTH);
    let places: f64 = assigned.iter().flat_map(|a| &a.labels).filter(|l| **l >= 0).count() as f64;
    let (f, pi, c) = (prior.foreground, prior.each(), CLASSES as f64);
    let wanted = -places * (f * pi.ln() + (c - f) * (1.0 - pi).ln()) / (f * places + 50.0);
    assert!((parts.classes / wanted - 1.0).abs() < 0.01, "{} {wanted}", parts.classes);
}

#[test]
fn the_same_bits_at_one_and_two_threads_and_odd_batches_have_an_answer() {
    let mut rng = Seed(4).rng(0);
    let (assigned, z) = (assignments(5, &mut rng), outputs(5, 2.0, &mut rng));
    let empty = vec![Assignment { labels: vec![0; PLACES], targets: vec![[0.0; 4]; PLACES], ..Assignment::default() }];
    let far: Vec<f32> = (0..280).map(|i| if i % 2 == 0 { 1e4 } else { -1e4 }).collect();
    for loss in every() {
        let slug = loss.card().slug;
        for how in [SMOOTH, Regression::Giou] {
            let at = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| run(&*loss, &z, &assigned, how))
            };
            assert_eq!(at(1), at(2), "{slug}");
            let (parts, gradient) = run(&*loss, &far, &assigned[..1], how);
            assert!(parts.total().is_finite() && gradient.iter().all(|d| d.is_finite()), "{slug} {parts:?}");
            let (parts, gradient) = run(&*loss, &z[..280], &empty, how);
            assert!(parts.boxes == 0.0 && parts.total().is_finite() && gradient[120..].iter().all(|d| *d == 0.0));
            assert!(slug != "sampling-free" || parts.total() == 0.0 && gradient.iter().all(|d| *d == 0.0));
        }
    }
}

#[test]
fn what_does_not_fit_is_refused_in_words() {
    let of = |labels: Vec<i32>| Assignment { targets: vec![[0.0; 4]; labels.len()], labels, ..Assignment::default() };
    let says = |outputs: usize, labels: &[Vec<i32>], classes| {
        let all: Vec<Assignment> = labels.iter().cloned().map(of).collect();
        let each: Vec<&Assignment> = all.iter().collect();
        Dense::new(&vec![0.0; outputs], &each, classes, SMOOTH, Seed(0)).map(|_| ()).unwrap_err().to_string()
    };
    assert!(says(12, &[vec![0, 3]], 2).contains("image 0: got label 3 at place 1; -1 (ignored), 0 (background)"));
    assert!(says(12, &[vec![-1, -1]], 2).contains("no place that is not ignored"));
    assert!(says(12, &[vec![0, 0], vec![0]], 2).contains("image 1"));
    assert!(says(11, &[vec![0, 0]], 2).contains("outputs"));
    assert!(says(8, &[vec![0, 0]], 0).contains("classes"));
    let (one, mut z) = (of(vec![0, 1]), vec![0.0; 12]);
    z[11] = f32::NAN;
    let batch = Dense::new(&z, &[&one], 2, SMOOTH, Seed(0)).unwrap();
    let mut gradient = vec![0.0; 12];
    let error = Focal::default().forward_backward(&batch, &mut Vec::new(), &mut gradient).unwrap_err().to_string();
    assert!(error.contains("image 0 of the batch"), "{error}");
    assert!(Focal::default().forward_backward(&batch, &mut Vec::new(), &mut [0.0]).is_err());
    let seen = Assignment { largest_iou: 0.2149, unmatched: 3, ..of(vec![0, 0]) };
    let error = estimate_prior([&seen], 2).unwrap_err().to_string();
    assert!(error.contains("no anchor matches any object: check scales; largest IoU seen 0.21"), "{error}");
    assert!(estimate_prior([&of(vec![-1])], 2).unwrap_err().to_string().contains("all of them ignored"));
    assert!(build("focl", &Params::none()).is_err());
    assert!(build("ghm", &Params::from([("bins", "0")])).is_err());
}

#[test]
fn torchvision_says_the_same() {
    let golden: serde_json::Value = serde_json::from_str(include_str!("../../tests/golden/detection.json")).unwrap();
    let numbers = |v: &serde_json::Value| -> Vec<f32> { serde_json::from_value(v.clone()).unwrap() };
    let labels: Vec<i32> = serde_json::from_value(golden["labels"].clone()).unwrap();
    let assignment = Assignment { targets: vec![[0.0; 4]; 5], labels, ..Assignment::default() };
    let z = [numbers(&golden["logits"]), vec![0.0; 20]].concat();
    for case in golden["focal"].as_array().unwrap() {
        let part = |name: &str| case[name].as_f64().unwrap();
        let focal = Focal { alpha: part("alpha") as f32, gamma: part("gamma") as f32, ..Focal::default() };
        // Three places are foreground, torchvision's is the sum.
        let (parts, gradient) = run_one(&focal, &z, &assignment);
        assert!((3.0 * parts.classes / part("loss") - 1.0).abs() < 1e-5);
        for (d, wanted) in gradient.iter().zip(numbers(&case["gradient"])) {
            assert!((3.0 * d - wanted).abs() < 2e-6, "{d} {wanted}");
        }
    }
    let boxes: Vec<Bounds> = serde_json::from_value(golden["boxes"].clone()).unwrap();
    for (name, of) in [("iou", iou as fn(Bounds, Bounds) -> f32), ("generalised", generalised_iou)] {
        for (a, row) in boxes.iter().zip(golden[name].as_array().unwrap()) {
            assert!(boxes.iter().zip(numbers(row)).all(|(b, wanted)| (of(*a, *b) - wanted).abs() < 2e-6), "{name}");
        }
    }
    for (most, kept) in golden["kept"].as_object().unwrap() {
        let ours = suppress(&boxes, &numbers(&golden["scores"]), most.parse().unwrap());
        assert_eq!(serde_json::json!(ours), *kept, "{most}");
    }
}

fn run_one(loss: &dyn DenseLoss, outputs: &[f32], assignment: &Assignment) -> (LossParts, Vec<f32>) {
    run(loss, outputs, std::slice::from_ref(assignment), SMOOTH)
}
