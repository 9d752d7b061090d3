use super::*;
use crate::coder::BitString;
use crate::from_fn;
use proptest::prelude::*;
use quadrat_core::{Seed, Silent, stats};
use std::collections::HashMap;

/// Four tokens whose scores depend on the two before; token 0 ends, and cannot come first.
fn trigram() -> impl LanguageModel {
    let scores = |prefix: &[u32], out: &mut [f32]| {
        let [a, b] = [1, 2].map(|back| prefix.len().checked_sub(back).map_or(4, |at| prefix[at]));
        let mut rng = Seed(17).rng(u64::from(5 * a + b));
        out.iter_mut().for_each(|score| *score = 1.5 * rng.normal() as f32);
        if prefix.is_empty() {
            out[0] = f32::NEG_INFINITY;
        }
    };
    from_fn(4, scores).ending(&[0])
}

/// The three texts of a model that always ends: 1 0, 2 0, 2 1 0.
fn finite() -> impl LanguageModel {
    let scores = |prefix: &[u32], out: &mut [f32]| {
        let p: [f32; 3] = match prefix {
            [] => [0.0, 0.25, 0.75],
            [2] => [0.4, 0.6, 0.0],
            _ => [1.0, 0.0, 0.0],
        };
        out.iter_mut().zip(p).for_each(|(score, p)| *score = p.ln());
    };
    from_fn(3, scores).ending(&[0])
}

fn coder(model: &dyn LanguageModel, dims: usize) -> AriEl<'_> {
    AriEl::new(model, VolumeCoding { dims, longest: 1000 })
}

fn drawn(coder: &AriEl, n: usize, seed: u64) -> Vec<Vec<u32>> {
    let all = coder.sample(PointSet::Independent, n, Seed(seed), &Silent).unwrap();
    all.into_iter().map(|decoded| decoded.tokens).collect()
}

/// Probability of a sentence, by the model's scores alone.
fn probability(model: &dyn LanguageModel, sentence: &[u32]) -> f64 {
    let mut state = model.begin();
    let (mut scores, mut p, mut all) = (vec![0.0; model.vocabulary()], Vec::new(), 1.0);
    for token in sentence {
        state.scores(&mut scores).unwrap();
        softmax(&scores, &mut p);
        all *= p[*token as usize];
        state.push(&[*token]).unwrap();
    }
    all
}

#[test]
fn boxes_of_a_finite_language_fill_the_cube_and_lie_apart() {
    let model = finite();
    for dims in [1, 2, 3] {
        let coder = coder(&model, dims);
        let boxes = [vec![1, 0], vec![2, 0], vec![2, 1, 0]].map(|sentence| coder.encode(&sentence).unwrap());
        let volume = |own: &VolumeBox| own.low.iter().zip(&own.up).map(|(low, up)| up - low).product::<f64>();
        assert!((boxes.iter().map(volume).sum::<f64>() - 1.0).abs() < 1e-12);
        for (own, p) in boxes.iter().zip([0.25, 0.3, 0.45]) {
            assert!((own.log_volume.exp() - p).abs() < 1e-8 && (volume(own) - own.log_volume.exp()).abs() < 1e-12);
        }
        for (i, a) in boxes.iter().enumerate() {
            let apart = |b: &VolumeBox| (0..dims).any(|axis| a.up[axis] <= b.low[axis] || b.up[axis] <= a.low[axis]);
            assert!(boxes.iter().skip(i + 1).all(apart));
        }
    }
    let whole = coder(&model, 2).encode(&[]).unwrap();
    assert_eq!((whole.low, whole.up, whole.log_volume), (vec![0.0; 2], vec![1.0; 2], 0.0));
}

#[test]
fn volumes_are_probabilities_and_points_in_a_box_are_its_sentence() {
    let model = trigram();
    let coder = coder(&model, 16);
    let mut rng = Seed(2).rng(0);
    let mut sentences = drawn(&coder, 300, 1);
    sentences.sort_unstable();
    sentences.dedup();
    for sentence in sentences.iter().filter(|sentence| sentence.len() < 60) {
        let own = coder.encode(sentence).unwrap();
        assert!((own.log_volume - probability(&model, sentence).ln()).abs() < 1e-6, "{sentence:?}");
        let point: Vec<f64> = own.low.iter().zip(&own.up).map(|(low, up)| low + rng.uniform() * (up - low)).collect();
        for point in [point, own.centre(), own.low.clone()] {
            let decoded = coder.decode(&point).unwrap();
            assert_eq!((&decoded.tokens, decoded.ended, decoded.log_volume), (sentence, true, own.log_volume));
        }
    }
}

#[test]
fn exact_boxes_come_back_at_any_length_for_two_bits_a_dimension() {
    let model = trigram();
    let mut rng = Seed(3).rng(0);
    for dims in [1, 2, 16] {
        let coder = coder(&model, dims);
        for length in [0, 1, 2, 15, 500] {
            let sentence: Vec<u32> =
                (0..length).map(|_| 1 + rng.below(3) as u32).chain([0]).skip(usize::from(length == 0)).collect();
            let own = coder.encode_exact(&sentence).unwrap();
            let bits: usize = own.bits.iter().map(BitString::len).sum();
            assert!(bits as f64 <= -own.log_volume / std::f64::consts::LN_2 + 2.0 * dims as f64 + 0.01);
            let decoded = AriEl::new(&model, VolumeCoding { dims, longest: sentence.len().max(1) })
                .decode_exact(&own.bits)
                .unwrap();
            assert_eq!(decoded.tokens[..sentence.len()], sentence, "{dims} {length}");
            let (centre, precise) = own.centre();
            assert!(!precise || sentence.is_empty() || coder.decode_point(&centre).unwrap().tokens == sentence);
            assert_eq!(precise, length < 500 && (dims > 1 || bits <= 52));
        }
    }
}

/// Chi-square against the law of the model, cells of 20 expected and more, the rest in one: one false alarm in a million.
#[test]
fn uniform_points_are_draws_from_the_model() {
    let (model, n) = (trigram(), 40_000);
    for (dims, points) in [(1, PointSet::Independent), (2, PointSet::Independent), (16, PointSet::Independent)] {
        let mut counts: HashMap<Vec<u32>, usize> = HashMap::new();
        for decoded in coder(&model, dims).sample(points, n, Seed(5), &Silent).unwrap() {
            *counts.entry(decoded.tokens).or_default() += 1;
        }
        let cells: Vec<(f64, f64)> = sentences_above(&model, 20.0 / n as f64)
            .into_iter()
            .map(|(sentence, p)| (counts.get(&sentence).copied().unwrap_or(0) as f64, n as f64 * p))
            .collect();
        let rest = cells.iter().fold((n as f64, n as f64), |(a, b), (c, e)| (a - c, b - e));
        let square = |(c, e): &(f64, f64)| (c - e).powi(2) / e;
        let statistic = cells.iter().map(square).sum::<f64>() + square(&rest);
        assert!(
            cells.len() > 50 && stats::chi_square_tail(statistic, cells.len() as f64) > 1e-6,
            "{dims}: {statistic}"
        );
    }
}

/// The sentences of at least this probability.
fn sentences_above(model: &dyn LanguageModel, least: f64) -> Vec<(Vec<u32>, f64)> {
    let (mut found, mut open) = (Vec::new(), vec![Vec::new()]);
    while let Some(prefix) = open.pop() {
        for token in 0..model.vocabulary() as u32 {
            let longer = [prefix.clone(), vec![token]].concat();
            match probability(model, &longer) {
                p if p < least => {}
                p if token == 0 => found.push((longer, p)),
                _ => open.push(longer),
            }
        }
    }
    found
}

/// The mean of n indicators of a first token over a lattice is off by less than 1/n, and unbiased over starts: the mean of 400 within
/// five standard errors, one alarm in two million.
#[test]
fn even_points_are_even_draws() {
    let model = trigram();
    let p = probability(&model, &[2]);
    let share = |points, dims, seed| {
        let all = coder(&model, dims).sample(points, 64, Seed(seed), &Silent).unwrap();
        all.iter().filter(|decoded| decoded.tokens[0] == 2).count() as f64 / 64.0
    };
    for (points, dims) in [(PointSet::Lattice, 1), (PointSet::Sobol, 1), (PointSet::Sobol, 4)] {
        let shares: Vec<f64> = (0..400).map(|seed| share(points, dims, seed)).collect();
        // An interval of the axis has two ends, each in one of 64 cells.
        assert!(shares.iter().all(|share| (share - p).abs() <= 2.0 / 64.0), "{points:?}");
        let error = stats::standard_deviation(&shares) / 20.0;
        assert!((stats::mean(&shares) - p).abs() < 5.0 * error, "{points:?}");
    }
}

#[test]
fn draws_do_not_depend_on_threads() {
    let model = trigram();
    let coder = coder(&model, 3);
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(one.install(|| drawn(&coder, 50, 9)), drawn(&coder, 50, 9));
}

#[test]
fn a_prompt_is_not_coded() {
    let model = trigram();
    let after = coder(&model, 2).after(&[1, 3]);
    let own = after.encode(&[2, 0]).unwrap();
    let p = probability(&model, &[1, 3, 2, 0]) / probability(&model, &[1, 3]);
    assert!((own.log_volume - p.ln()).abs() < 1e-6);
    assert_eq!(after.decode(&own.centre()).unwrap().tokens, [2, 0]);
    let digests = [coder(&model, 2), coder(&model, 3), after].map(|coder| coder.digest().unwrap());
    assert!(digests[0] != digests[1] && digests[0] != digests[2]);
    assert_eq!(coder(&model, 2).digest().unwrap(), digests[0]);
    assert_ne!(coder(&finite(), 2).digest().unwrap(), digests[0]);
}

#[test]
fn what_cannot_be_coded_is_said() {
    let model = trigram();
    let some = coder(&model, 2);
    let long = vec![1; 2000];
    let says = |error: quadrat_core::Error, says: &str| assert!(error.to_string().contains(says), "{error}");
    says(some.encode(&[0]).unwrap_err(), "token 1 of a sentence: got 0; it has probability 0");
    says(some.encode(&[1, 9]).unwrap_err(), "token 2 of a sentence: got 9; below 4");
    says(some.encode_exact(&[1, 0, 2]).unwrap_err(), "token 3 of a sentence: got 2; nothing after");
    says(some.encode(&long).unwrap_err(), "use more dimensions, or code exactly");
    says(some.decode(&[0.5]).unwrap_err(), "got 1 dimensions; 2, as coded");
    says(some.decode(&[0.5, f64::NAN]).unwrap_err(), "coordinate 2");
    says(some.decode_exact(&[]).unwrap_err(), "got 0 dimensions");
    says(coder(&model, 0).decode(&[]).unwrap_err(), "dims: got 0");
    says(coder(&model, 1).after(&[7]).digest().unwrap_err(), "below 4");
    says(some.sample(PointSet::Lattice, 3, Seed(1), &Silent).unwrap_err(), "1 for a lattice");
    says(coder(&model, 2000).sample(PointSet::Sobol, 3, Seed(1), &Silent).unwrap_err(), "use 1 to 1024");
    assert!(some.sample(PointSet::Sobol, 0, Seed(1), &Silent).unwrap().is_empty());
    let stuck = from_fn(2, |_: &[u32], out: &mut [f32]| out.fill(f32::NEG_INFINITY));
    says(coder(&stuck, 1).decode(&[0.5]).unwrap_err(), "0 above 0");
    let broken = from_fn(2, |_: &[u32], out: &mut [f32]| out.fill(f32::NAN));
    assert!(coder(&broken, 1).encode(&[1]).is_err());
    let single = from_fn(1, |_: &[u32], out: &mut [f32]| out.fill(0.0));
    let decoded = AriEl::new(&single, VolumeCoding { dims: 1, longest: 5 }).decode(&[0.3]).unwrap();
    assert_eq!((decoded.tokens, decoded.ended, decoded.log_volume), (vec![0; 5], false, 0.0));
}

proptest! {
    /// Points outside the cube are moved into it, all others decode to a sentence whose box they lie in.
    #[test]
    fn every_point_lies_in_the_box_of_its_sentence(point in prop::collection::vec(-0.2f64..1.2, 3)) {
        let model = trigram();
        let coder = AriEl::new(&model, VolumeCoding { dims: 3, longest: 12 });
        let decoded = coder.decode(&point).unwrap();
        let own = coder.encode(&decoded.tokens).unwrap();
        prop_assert_eq!(own.log_volume, decoded.log_volume);
        for ((z, low), up) in point.iter().zip(&own.low).zip(&own.up) {
            let z = z.clamp(0.0, 1.0 - f64::EPSILON / 2.0);
            prop_assert!(*low <= z && z < *up);
        }
        prop_assert!(coder.decode_point(&point).is_ok());
    }
}
