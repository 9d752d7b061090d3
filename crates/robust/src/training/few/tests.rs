use super::*;
use ndarray::array;
use proptest::prelude::*;
use quadrat_core::Silent;
use quadrat_nn::{At, Beside, Mlp, Samples, TrainMethod, Trainer, TwoViews, initialise};

fn samples(rows: usize, seed: u64) -> Samples {
    let mut rng = Seed(seed).rng(0);
    let labels: Vec<u32> = (0..rows).map(|i| (i % 3) as u32).collect();
    let inputs = Array2::from_shape_fn((rows, 4), |(i, j)| {
        (if labels[i] as usize == j { 2.0 } else { 0.0 } + 0.5 * rng.normal()) as f32
    });
    Samples::classes(inputs, labels, 3).unwrap()
}

/// Trains with six labelled rows and sixty others beside them; the network's parameters.
fn fit(methods: &mut [&mut dyn TrainMethod], epochs: usize) -> u64 {
    let (labelled, pool) = (samples(6, 1), samples(60, 2));
    let (seed, unchanged) = (Seed(5), |_: &mut [f32], _: &mut quadrat_core::Rng| {});
    let twice = TwoViews { source: &pool, view: &unchanged, seed };
    let both = Beside { labelled: &labelled, unlabelled: &twice, ratio: 5, seed };
    let network = Mlp::new(4, &[8], 3);
    let trainer = Trainer { epochs, batch: 6, rate: 0.01, seed: Seed(1), ..Trainer::default() };
    let start = initialise(&network, Seed(1)).unwrap();
    trainer.fit_from(&network, start, &both, None, methods, &Silent).unwrap().parameters.fingerprint()
}

/// From the definition, rank by rank.
fn literal(p: &[f32], tau: f32) -> (usize, f32) {
    let mut sorted = p.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let mut confidence = f32::NAN;
    for r in 2..p.len() {
        // Summed from the smallest, as the fast one does.
        let rest = sorted[r..].iter().rev().fold(0.0, |sum, p| sum + p);
        confidence = sorted[0] / (sorted[0] + rest);
        if confidence >= tau {
            return (r, confidence);
        }
    }
    (p.len() - 1, confidence)
}

#[test]
fn shrinking_is_the_definitions() {
    let mut rng = Seed(3).rng(0);
    for i in 0..100_000 {
        let classes = 3 + i % 9;
        // Every other row has ties.
        let draw = |rng: &mut quadrat_core::Rng| if i % 2 == 0 { rng.below(4) as f64 } else { rng.uniform().powi(3) };
        let p: Vec<f32> = (0..classes).map(|_| draw(&mut rng) as f32 + 1e-3).collect();
        let sum: f32 = p.iter().sum();
        let p: Vec<f32> = p.into_iter().map(|p| p / sum).collect();
        let tau = 0.5 + 0.49 * rng.uniform() as f32;
        let found = shrink(ArrayView1::from(&p), tau).unwrap();
        assert_eq!((found.from, found.confidence), literal(&p, tau), "{p:?} {tau}");
        assert!(found.order.windows(2).all(|pair| p[pair[0] as usize] >= p[pair[1] as usize]));
    }
    assert_eq!(shrink(array![0.5f32, 0.5].view(), 0.9), None);
}

#[test]
fn what_was_taken_away_gets_no_gradient() {
    let shrunk = shrink(array![0.45f32, 0.40, 0.10, 0.05].view(), 0.7).unwrap();
    let (mut gradient, scores) = ([0.0; 4], [0.3f32, 5.0, -0.2, 0.1]);
    let loss = shrunk.loss(&scores, 2.0, &mut gradient);
    let sum: f32 = [0, 2, 3].iter().map(|k| scores[*k].exp()).sum();
    assert!((loss - (sum.ln() - scores[0])).abs() < 1e-6);
    for (k, g) in gradient.iter().enumerate() {
        let wanted = match k {
            1 => 0.0,
            0 => 2.0 * (scores[0].exp() / sum - 1.0),
            _ => 2.0 * scores[k].exp() / sum,
        };
        assert!((g - wanted).abs() < 1e-6, "{gradient:?}");
    }
}

#[test]
fn methods_agree_where_their_papers_say_so() {
    let sure = Rule { tau: 1e-3, ..Rule::default() };
    let fixmatch = |rule: Rule, views: Views| FixMatch { rule, views, memory: Memory::default() };
    // Methods draw from streams of their own names: without chance in the views they see the same ones.
    let still = Views { noise: 0.0, gaps: 0.0, ..Views::default() };
    let fix = fit(&mut [&mut fixmatch(sure, still)], 3);
    // With every row sure nothing is shrunk.
    let mut shrinking = ShrinkMatch { rule: sure, views: still, ..ShrinkMatch::default() };
    assert_eq!(fit(&mut [&mut shrinking], 3), fix);
    // What counts nothing teaches nothing.
    let idle = Rule { lambda: 0.0, ..Rule::default() };
    let mut flexible = FlexMatch { rule: idle, views: still, ..FlexMatch::default() };
    assert_eq!(fit(&mut [&mut fixmatch(idle, still)], 2), fit(&mut [&mut flexible], 2));
    // Before its warm-up is over, sample adaptive augmentation changes nothing; afterwards it does.
    let views = Views::default();
    let plain = fit(&mut [&mut fixmatch(sure, views)], 3);
    let beside = |warmup: f64| {
        fit(&mut [&mut fixmatch(sure, views), &mut SampleAdaptive { warmup, ..SampleAdaptive::default() }], 3)
    };
    assert!(beside(1.0) == plain && beside(0.0) != plain);
}

proptest! {
    /// The mean over a batch of what `pull` gives is the weighted sum over the rows taught, and so is its gradient.
    #[test]
    fn taught_rows_pull_by_their_weights(scores in prop::collection::vec(-3.0f32..3.0, 12), soft in 0.0f32..0.3) {
        let p = [1.0 - soft, soft / 2.0, soft / 2.0];
        let outputs = quadrat_nn::tensor_of(ArrayView2::from_shape((4, 3), &scores).unwrap(), false);
        let target = |row: usize| match row {
            0 => Some((Target::Class(2), 0.5)),
            _ => Some((Target::Soft(&p), 2.0)),
        };
        let losses: Vec<f32> = pull(&outputs, &(1..3), 2, target).into_data().try_to_vec().unwrap();
        let cost = |row: usize, wanted: [f32; 3]| {
            let z = &scores[3 * row..3 * row + 3];
            let total = z.iter().map(|z| z.exp()).sum::<f32>().ln();
            z.iter().zip(wanted).map(|(z, s)| s * (total - z)).sum::<f32>()
        };
        let mean = losses.iter().sum::<f32>() / 4.0;
        let wanted = (0.5 * cost(1, [0.0, 0.0, 1.0]) + 2.0 * cost(2, p)) / 2.0;
        prop_assert!((mean - wanted).abs() < 1e-4, "{mean} {wanted}");
        prop_assert!(losses[0] == 0.0 && losses[3] == 0.0);
    }
}

#[test]
fn alignment_divides_by_what_was_said_lately() {
    let mut memory = Memory { classes: 2, first: 0, pool: 2, ..Memory::default() };
    let outputs = array![[0.9f32.ln(), 0.1f32.ln()], [0.7f32.ln(), 0.3f32.ln()], [0.0, 0.0], [0.0, 0.0]];
    let parts = Parts { weak: 0..2, strong: 2..4 };
    let rule = Rule::default();
    let p = memory.said(&rule, outputs.view(), &parts);
    // The mean is (0.8, 0.2).
    let wanted = (0.9 / 0.8) / (0.9 / 0.8 + 0.1 / 0.2);
    assert!((p[[0, 0]] - wanted).abs() < 1e-5, "{p}");
    for _ in 0..40 {
        memory.keep(outputs.view(), &parts, 1);
    }
    assert_eq!(memory.ring.len(), 2 * RING);
    let plain = memory.said(&Rule { align: false, ..rule }, outputs.view(), &parts);
    assert!((plain[[0, 0]] - 0.9).abs() < 1e-5);
}

#[test]
fn thresholds_of_classes_are_the_papers() {
    let memory = Memory { classes: 3, pool: 10, ..Memory::default() };
    let last = [Some(0); 4].into_iter().chain([Some(1); 2]).chain([None; 4]).collect();
    let flex = FlexMatch { memory, last, ..FlexMatch::default() };
    // sigma = (4, 2, 0), four never sure: beta = (1, 0.5, 0).
    let wanted = [0.95, 0.95 * 0.5 / 1.5, 0.0];
    assert!(flex.thresholds().iter().zip(wanted).all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-6));
}

#[test]
fn harder_views_are_halves_of_two() {
    // Sides below 8 are not shifted, so that the halves can be seen.
    for shape in [Some([2, 6, 7]), None] {
        let views = Views { shape, ..Views::default() };
        let saa = SampleAdaptive { views, ..SampleAdaptive::default() };
        let plain: Vec<f32> = (0..84).map(|i| i as f32 / 84.0).collect();
        let (mut across, mut scratch) = (0, Vec::new());
        for seed in 0..40 {
            let mut rng = Seed(seed).rng(0);
            let [mut one, mut two] = [plain.clone(), plain.clone()];
            views.changed(&mut one, &mut rng, &mut scratch);
            views.changed(&mut two, &mut rng, &mut scratch);
            let made = saa.composite(&plain, &mut Seed(seed).rng(0), &mut scratch);
            let [_, h, w] = shape.unwrap_or([1, 1, 84]);
            let halves = |second: &dyn Fn(usize) -> bool| {
                (0..84).all(|i| made[i].to_bits() == if second(i) { two[i] } else { one[i] }.to_bits())
            };
            let (left, top) = (halves(&|i| i % w < w / 2), halves(&|i| i / w % h < h / 2));
            assert!(left || top, "{shape:?}");
            across += usize::from(left);
        }
        // Both ways in 40 draws, but with a probability of 2e-12; numbers have only one.
        assert!(if shape.is_some() { (1..40).contains(&across) } else { across == 40 }, "{across}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let trainer = Trainer { epochs: 1, ..Trainer::default() };
    let alone = |method: &mut dyn TrainMethod| {
        let fit = trainer.fit(&Mlp::new(4, &[8], 3), &samples(6, 1), None, &mut [method], &Silent);
        fit.unwrap_err().to_string()
    };
    for error in [alone(&mut FixMatch::default()), alone(&mut SampleAdaptive::default())] {
        assert!(error.contains("--unlabelled FILE"), "{error}");
    }
    let two = Samples::classes(samples(6, 1).inputs, vec![0, 1, 0, 1, 0, 1], 2).unwrap();
    let (seed, unchanged) = (Seed(5), |_: &mut [f32], _: &mut quadrat_core::Rng| {});
    let both =
        Beside { labelled: &two, unlabelled: &TwoViews { source: &two, view: &unchanged, seed }, ratio: 1, seed };
    let error = trainer.fit(&Mlp::new(4, &[8], 2), &both, None, &mut [&mut ShrinkMatch::default()], &Silent);
    assert!(error.unwrap_err().to_string().contains("at least 3"));
    // Rows that do not come twice.
    let both = Beside { labelled: &two, unlabelled: &two, ratio: 1, seed };
    let error = trainer.fit(&Mlp::new(4, &[8], 2), &both, None, &mut [&mut FixMatch::default()], &Silent);
    assert!(error.unwrap_err().to_string().contains("two views of each"));
}

/// An image's views are images, and a step of the same seed gives the same ones.
#[test]
fn views_stay_in_range_and_come_again() {
    let image = Views { shape: Some([1, 8, 8]), flip: true, ..Views::default() };
    let rows = Array2::from_shape_fn((6, 64), |(i, j)| ((i * 7 + j) % 10) as f32 / 10.0);
    let view = |views: &Views| {
        let mut batch = Batch::new(At { epoch: 0, step: 4 }, &[0, 1, 2, 3, 2, 3], rows.clone(), Array2::zeros((6, 2)));
        let memory = Memory { first: 2, pool: 4, classes: 2, seed: Seed(1), ..Memory::default() };
        memory.view(views, &mut batch).unwrap();
        batch.inputs
    };
    let views = view(&image);
    assert!(views.iter().all(|v| (-1e-6..=1.0 + 1e-6).contains(v)));
    assert_eq!(views, view(&image));
    let numbers = view(&Views::default());
    let apart = |from: usize| {
        let d = &numbers.slice(s![from..from + 2, ..]) - &rows.slice(s![from..from + 2, ..]);
        d.iter().map(|d| f64::from(d * d)).sum::<f64>()
    };
    assert!(apart(2) > 0.0 && apart(4) > apart(2), "{} {}", apart(2), apart(4));
}
