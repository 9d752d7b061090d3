//! The samplers against laws that are known: those of a Markov chain, in which every hidden token's law is exact.

use super::*;
use ndarray::array;
use proptest::prelude::*;
use quadrat_core::{Method, Params, Seed, Settings, Silent, stats};
use std::collections::BTreeMap;

/// Three tokens that are far from independent; token 3 is the mask.
fn chain() -> MarkovChain {
    let transitions = array![[0.8, 0.15, 0.05], [0.1, 0.2, 0.7], [0.3, 0.6, 0.1]];
    MarkovChain::new(vec![0.5, 0.3, 0.2], transitions.view()).unwrap()
}

/// All texts of `length` tokens out of three.
fn texts(length: u32) -> impl Iterator<Item = Vec<u32>> {
    (0..3_u32.pow(length)).map(move |text| (0..length).map(|place| text / 3_u32.pow(place) % 3).collect())
}

fn furthest(law: &BTreeMap<Vec<u32>, f64>, chain: &MarkovChain) -> f64 {
    texts(4)
        .map(|text| (law.get(&text).copied().unwrap_or(0.0) - chain.log_probability(&text).exp()).abs())
        .fold(0.0, f64::max)
}

fn divergence(law: &BTreeMap<Vec<u32>, f64>, chain: &MarkovChain) -> f64 {
    law.iter().map(|(text, p)| p * (p.ln() - chain.log_probability(text))).sum()
}

fn ancestral(steps: usize, draw: Draw) -> Ancestral {
    Ancestral { steps, schedule: Usual::Linear, draw }
}

fn parallel(calls: usize, order: Order) -> FirstHitting {
    FirstHitting { calls: Some(calls), order, ..FirstHitting::default() }
}

/// Counts against a law, by Pearson's statistic at its 1 - 1e-6 quantile; what is rarer than 5 is put together.
fn fits(samples: &[Vec<u32>], law: &BTreeMap<Vec<u32>, f64>) -> bool {
    let n = samples.len() as f64;
    let mut counts: BTreeMap<&Vec<u32>, f64> = BTreeMap::new();
    samples.iter().for_each(|text| *counts.entry(text).or_default() += 1.0);
    let (mut rare, mut statistic, mut cells) = ((0.0, 0.0), 0.0, 0);
    for (text, p) in law {
        let (found, wanted) = (counts.remove(text).unwrap_or(0.0), n * p);
        if wanted < 5.0 {
            rare = (rare.0 + found, rare.1 + wanted);
        } else {
            statistic += (found - wanted).powi(2) / wanted;
            cells += 1;
        }
    }
    if rare.1 > 5.0 {
        statistic += (rare.0 - rare.1).powi(2) / rare.1;
        cells += 1;
    }
    counts.is_empty() && stats::chi_square_tail(statistic, f64::from(cells - 1)) > 1e-6
}

fn drawn(sampler: &dyn MaskedSampler, model: &dyn MaskedModel, start: &[u32], n: u64) -> Vec<Vec<u32>> {
    (0..n).map(|i| sampler.sample(model, start, &mut Seed(11).rng(i)).unwrap().tokens).collect()
}

#[test]
fn the_chain_gives_the_law_of_a_hidden_token_between_its_neighbours() {
    let chain = chain();
    let all: f64 = texts(4).map(|text| chain.log_probability(&text).exp()).sum();
    assert!((all - 1.0).abs() < 1e-12);
    let entropy: f64 = texts(4).map(|text| chain.log_probability(&text)).map(|log| -log.exp() * log).sum();
    assert!((chain.entropy(4) - entropy).abs() < 1e-12);
    for start in [[3, 3, 3, 3], [3, 1, 3, 3], [0, 3, 3, 2], [3, 3, 2, 3]] {
        let places: Vec<usize> = (0..4).rev().filter(|place| start[*place] == 3).collect();
        let mut rows = vec![0.0; 3 * places.len()];
        chain.predict(&start, &places, &mut rows).unwrap();
        let agrees = |text: &[u32]| text.iter().zip(&start).all(|(token, shown)| *shown == 3 || token == shown);
        for (row, place) in rows.chunks(3).zip(places) {
            let mut wanted = [0.0; 3];
            texts(4)
                .filter(|text| agrees(text))
                .for_each(|t| wanted[t[place] as usize] += chain.log_probability(&t).exp());
            let total: f64 = wanted.iter().sum();
            assert!(row.iter().zip(wanted).all(|(p, w)| (p - w / total).abs() < 1e-12), "{start:?} {place}: {row:?}");
        }
    }
}

#[test]
fn first_hitting_is_the_chain_and_the_steps_come_to_it() {
    let (chain, start) = (chain(), [3; 4]);
    let law = |steps: Vec<Step>| exact_law(&chain, &start, &steps).unwrap();
    assert!(furthest(&law(FirstHitting::default().steps(4).unwrap()), &chain) < 1e-12);
    assert!(furthest(&law(parallel(4, Order::First).steps(4).unwrap()), &chain) < 1e-12);
    let far: Vec<f64> = [1, 2, 4, 8, 16, 32, 64]
        .map(|n| divergence(&law(ancestral(n, Draw::TwoStage).steps().unwrap()), &chain))
        .to_vec();
    assert!(far.windows(2).all(|two| two[1] < two[0]), "{far:?}");
    // The law's error falls as 1 / N, so the divergence, which is of second order in it, as 1 / N^2.
    assert!((far[5] / far[6] - 4.0).abs() < 0.1, "{far:?}");
    let off = |n| furthest(&law(ancestral(n, Draw::TwoStage).steps().unwrap()), &chain);
    assert!((off(32) / off(64) - 2.0).abs() < 0.1);
    let one_call = divergence(&law(parallel(1, Order::First).steps(4).unwrap()), &chain);
    assert!((one_call - far[0]).abs() < 1e-12, "one call is one step");
    let two_calls = divergence(&law(parallel(2, Order::First).steps(4).unwrap()), &chain);
    assert!(two_calls > 1e-3 && two_calls < one_call);
}

#[test]
fn samplers_draw_from_the_laws_of_their_steps() {
    let chain = chain();
    // Also with a prompt, which the law of the rest must heed.
    for start in [[3, 3, 3, 3], [3, 1, 3, 3]] {
        let hidden = start.iter().filter(|token| **token == 3).count();
        let law = |steps: Vec<Step>| exact_law(&chain, &start, &steps).unwrap();
        let fhs = law(FirstHitting::default().steps(hidden).unwrap());
        let few = law(ancestral(3, Draw::TwoStage).steps().unwrap());
        for draw in [Draw::TwoStage, Draw::InverseCdf, Draw::GumbelF64, Draw::GumbelF32] {
            assert!(
                fits(&drawn(&FirstHitting { draw, ..FirstHitting::default() }, &chain, &start, 10_000), &fhs),
                "{draw:?}"
            );
            assert!(fits(&drawn(&ancestral(3, draw), &chain, &start, 10_000), &few), "{draw:?}");
        }
        let two = law(parallel(2, Order::First).steps(hidden).unwrap());
        assert!(fits(&drawn(&parallel(2, Order::First), &chain, &start, 10_000), &two));
        assert!(!fits(&drawn(&parallel(1, Order::First), &chain, &start, 10_000), &fhs), "the test sees a wrong law");
        // Blocks change the order of places, and not the law.
        let blocks = Blocks { size: 3, inner: Box::new(FirstHitting::default()) };
        assert!(fits(&drawn(&blocks, &chain, &start, 10_000), &fhs));
        assert!(!fits(&drawn(&Confidence::default(), &chain, &start, 10_000), &fhs), "a heuristic");
    }
}

/// With rows that do not depend on what is uncovered there is nothing to extrapolate.
#[test]
fn extrapolation_leaves_constant_rows_and_one_call_as_they_are() {
    let row = [0.2, 0.3, 0.5];
    let model = masked_fn(3, 3, |_: &[u32], _: &[usize], rows: &mut [f64]| {
        rows.chunks_mut(3).for_each(|out| out.copy_from_slice(&row));
    });
    let law = exact_law(&model, &[3; 4], &[Step::Set(4)]).unwrap();
    for calls in [1, 2, 4] {
        assert!(fits(&drawn(&parallel(calls, Order::Second), &model, &[3; 4], 10_000), &law), "{calls}");
    }
    let second = parallel(2, Order::Second).sample(&chain(), &[3; 4], &mut Seed(1).rng(0)).unwrap();
    assert_eq!((second.calls, second.draws, second.order.len()), (2, 4, 4));
}

/// The mean of N (1 - (1 - 1/N)^L) calls, over 10,000 texts: within five standard errors and 1%.
#[test]
fn an_unchanged_text_is_not_asked_about_again() {
    let model = masked_fn(2, 2, |_: &[u32], _: &[usize], rows: &mut [f64]| rows.fill(0.5));
    for (steps, length) in [(8, 6), (64, 16)] {
        let wanted = steps as f64 * (1.0 - (1.0 - 1.0 / steps as f64).powi(length as i32));
        for draw in [Draw::TwoStage, Draw::GumbelF64] {
            let calls: Vec<f64> = (0..10_000)
                .map(|i| {
                    ancestral(steps, draw).sample(&model, &vec![2; length], &mut Seed(5).rng(i)).unwrap().calls as f64
                })
                .collect();
            let (mean, error) = (stats::mean(&calls), stats::standard_deviation(&calls) / 100.0);
            assert!(
                (mean - wanted).abs() < 5.0 * error && (mean / wanted - 1.0).abs() < 0.01,
                "{draw:?}: {mean} {wanted}"
            );
        }
    }
    let sample = ancestral(64, Draw::GumbelF64).sample(&model, &[2; 16], &mut Seed(5).rng(0)).unwrap();
    assert!(sample.draws > 300, "a draw for every hidden place in every step: {}", sample.draws);
    assert_eq!(ancestral(64, Draw::TwoStage).sample(&model, &[2; 16], &mut Seed(5).rng(0)).unwrap().draws, 16);
}

/// 1 - alpha at the successive hits are the order statistics of as many uniform numbers: all of them together are uniform, and the
/// first is the largest. Kolmogorov's statistic is above 2.72 / sqrt(n) once in a million.
#[test]
fn hits_are_the_order_statistics_of_uniform_numbers() {
    let n = 2000;
    for schedule in [Usual::Linear, Usual::Cosine] {
        let hit = |i: u64, k: usize| 1.0 - schedule.alpha(hitting_times(5, &schedule, &mut Seed(9).rng(i))[k]);
        let beta = |x: f64, k: usize| quadrat_core::distributions::beta(x, (5 - k) as f64, (k + 1) as f64).below;
        for k in 0..5 {
            let mut ranks: Vec<f64> = (0..n).map(|i| beta(hit(i, k), k)).collect();
            ranks.sort_by(f64::total_cmp);
            let furthest =
                (0..).zip(&ranks).map(|(i, p)| (p - (f64::from(i) + 0.5) / n as f64).abs()).fold(0.0, f64::max);
            assert!(furthest < 2.72 / (n as f64).sqrt(), "{schedule:?} {k}: {furthest}");
        }
    }
}

/// A model that is a table of arbitrary rows, one for each text with hidden tokens and place: rows that belong to no one law.
fn table(seed: u64) -> impl MaskedModel {
    masked_fn(3, 3, move |tokens: &[u32], places: &[usize], rows: &mut [f64]| {
        let text = tokens.iter().fold(0, |text, token| 4 * text + u64::from(*token));
        for (row, place) in rows.chunks_mut(3).zip(places) {
            let mut rng = Seed(seed).rng(16 * text + *place as u64);
            row.iter_mut().for_each(|p| *p = rng.exponential());
            let total: f64 = row.iter().sum();
            row.iter_mut().for_each(|p| *p /= total);
        }
    })
}

/// -log mu of the text's tokens at `places`, with the places hidden.
fn surprise(model: &dyn MaskedModel, text: &[u32], places: &[usize]) -> f64 {
    let mut covered = text.to_vec();
    places.iter().for_each(|place| covered[*place] = 3);
    let mut rows = vec![0.0; 3 * places.len()];
    model.predict(&covered, places, &mut rows).unwrap();
    places.iter().zip(rows.chunks(3)).map(|(place, row)| -row[text[*place] as usize].ln()).sum()
}

#[test]
fn the_bound_is_an_integral_over_time_and_a_mean_over_orders() {
    let model = table(3);
    for text in [[0, 1, 2, 2], [1, 1, 0, 2]] {
        let sum = exact_bound(&model, &text).unwrap();
        // With alpha = 1 - t: the integral over t of 1/t E[surprise of what is hidden], by Gauss's rule, exact for such polynomials.
        let mut integral = 0.0;
        for (t, weight) in quadrat_numeric::special::gauss_legendre(20) {
            for set in 1..16_u32 {
                let places: Vec<usize> = (0..4).filter(|place| set >> place & 1 == 1).collect();
                let n = places.len() as i32;
                integral += weight * t.powi(n - 1) * (1.0 - t).powi(4 - n) * surprise(&model, &text, &places);
            }
        }
        assert!((sum - integral).abs() < 1e-10, "{sum} {integral}");
        let mut orders = Vec::new();
        for code in 0..256_usize {
            let order: Vec<usize> = (0..4).map(|i| code >> (2 * i) & 3).collect();
            if (0..4).all(|place| order.contains(&place)) {
                // A place is filled in while it and all later ones are hidden.
                let one = |i: usize| {
                    let mut covered = text.to_vec();
                    order[i..].iter().for_each(|place| covered[*place] = 3);
                    let mut row = [0.0; 3];
                    model.predict(&covered, &order[i..=i], &mut row).unwrap();
                    -row[text[order[i]] as usize].ln()
                };
                orders.push((0..4).map(one).sum::<f64>());
            }
        }
        assert_eq!(orders.len(), 24);
        assert!((sum - stats::mean(&orders)).abs() < 1e-10);
        let found = bound(&model, &text, 20_000, &mut Seed(4).rng(0)).unwrap();
        assert!((found.nats - sum).abs() < 5.0 * found.error, "{found:?} {sum}");
    }
    let chain = chain();
    let text = [0, 2, 1, 1, 2, 0];
    assert!(
        (exact_bound(&chain, &text).unwrap() + chain.log_probability(&text)).abs() < 1e-12,
        "exact rows leave no gap"
    );
}

#[test]
fn bounds_of_impossible_and_unfit_texts() {
    let never = masked_fn(2, 2, |_: &[u32], _: &[usize], rows: &mut [f64]| {
        rows.chunks_mut(2).for_each(|row| row.copy_from_slice(&[1.0, 0.0]));
    });
    let mut rng = Seed(1).rng(0);
    assert_eq!(exact_bound(&never, &[0, 0]).unwrap(), 0.0);
    assert_eq!(exact_bound(&never, &[0, 1]).unwrap(), f64::INFINITY);
    let found = bound(&never, &[1, 1], 4, &mut rng).unwrap();
    assert_eq!((found.nats, found.error), (f64::INFINITY, f64::INFINITY));
    for text in [&[][..], &[2, 0], &[5]] {
        assert!(exact_bound(&never, text).is_err() && bound(&never, text, 4, &mut rng).is_err(), "{text:?}");
    }
    assert!(bound(&never, &[0], 1, &mut rng).is_err() && exact_bound(&never, &[0; 17]).is_err());
}

#[test]
fn rows_that_are_no_law_are_refused_with_their_place() {
    for (row, what) in [
        ([0.5, 0.4, 0.0], "place 1: got a sum of 0.9"),
        ([0.5, f64::NAN, 0.5], "NaN"),
        ([f64::INFINITY, 0.0, 0.0], "inf"),
        ([1.5, -0.5, 0.0], "at least 0"),
        ([0.5, 0.4, 0.1], "got 0.1 for the mask"),
    ] {
        let model = masked_fn(3, 2, move |_: &[u32], _: &[usize], rows: &mut [f64]| {
            rows.chunks_mut(3).for_each(|out| out.copy_from_slice(&row));
        });
        let samplers: [&dyn MaskedSampler; 3] =
            [&FirstHitting::default(), &ancestral(4, Draw::GumbelF64), &Confidence::default()];
        for sampler in samplers {
            let error = sampler.sample(&model, &[0, 2], &mut Seed(1).rng(0)).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    }
    let nearly = masked_fn(2, 2, |_: &[u32], _: &[usize], rows: &mut [f64]| {
        rows.chunks_mut(2).for_each(|row| row.copy_from_slice(&[0.50004, 0.5]));
    });
    assert!(FirstHitting::default().sample(&nearly, &[2; 3], &mut Seed(1).rng(0)).is_ok());
}

#[test]
fn prompts_stay_and_unfit_ones_are_refused() {
    let chain = chain();
    let mut rng = Seed(1).rng(0);
    let none = FirstHitting::default().sample(&chain, &[0, 1], &mut rng).unwrap();
    assert_eq!((none.tokens, none.calls), (vec![0, 1], 0));
    assert!(FirstHitting::default().sample(&chain, &[], &mut rng).unwrap().tokens.is_empty());
    let one = FirstHitting::default().sample(&chain, &[3], &mut rng).unwrap();
    assert_eq!((one.calls, one.order), (1, vec![0]));
    let error = FirstHitting::default().sample(&chain, &[3, 4], &mut rng).unwrap_err().to_string();
    assert!(error.contains("token 1 of the prompt: got 4; below 3") && error.contains("or 3, the mask"), "{error}");
    for sampler in [parallel(0, Order::First), parallel(3, Order::Second)] {
        assert!(sampler.sample(&chain, &[3, 3, 0], &mut rng).unwrap_err().to_string().contains("1 to 2"));
    }
    let blocks = Blocks { size: 0, inner: Box::new(FirstHitting::default()) };
    assert!(blocks.sample(&chain, &[3], &mut rng).is_err());
    assert!(exact_law(&chain, &[3; 9], &[]).is_err());
}

#[test]
fn chains_of_texts_are_their_pairs_and_unfit_ones_are_refused() {
    let chain = MarkovChain::of_text(&[0, 1, 0, 1, 0, 2], 4, 2.0).unwrap();
    let third = 1.0 / 3.0;
    for (before, token, wanted) in [
        (None, 0, 0.5),
        (None, 3, 0.0),
        (Some(0), 1, 2.0 / 5.0 + 2.0 / 5.0 * third),
        (Some(1), 0, 2.0 / 4.0 + 2.0 / 4.0 * 0.5),
        (Some(2), 1, third),
    ] {
        assert!((chain.probability(before, token) - wanted).abs() < 1e-12, "{before:?} {token}");
    }
    assert!((0..4).all(|token| (chain.row(token).iter().sum::<f64>() - 1.0).abs() < 1e-12));
    for (tokens, weight) in [(&[][..], 1.0), (&[0], 0.0), (&[4], 1.0), (&[0], f64::NAN)] {
        assert!(MarkovChain::of_text(tokens, 4, weight).is_err());
    }
    let rows = array![[0.5, 0.5], [0.0, 1.0]];
    assert!(MarkovChain::new(vec![0.5, 0.4], rows.view()).is_err() && MarkovChain::new(vec![], rows.view()).is_err());
    let absorbing = MarkovChain::new(vec![0.5, 0.5], rows.view()).unwrap();
    let error = absorbing.predict(&[1, 2, 0], &[1], &mut [0.0; 2]).unwrap_err().to_string();
    assert!(error.contains("probability 0"), "{error}");
}

#[test]
fn entropy_is_that_of_the_texts_own_tokens_and_stands_beside_perplexity() {
    assert_eq!(sentence_entropy(&[]), 0.0);
    assert_eq!(sentence_entropy(&[7; 9]), 0.0);
    assert!((sentence_entropy(&[1, 2, 3, 4]) - 4f64.ln()).abs() < 1e-12);
    let judge = crate::from_fn(4, |_: &[u32], scores: &mut [f32]| scores.fill(0.5));
    let judged = generative_perplexity(&judge, &[vec![0, 1, 2], vec![3]]).unwrap();
    assert!((judged.perplexity - 4.0).abs() < 1e-6 && judged.tokens == 4);
    assert!((judged.entropy - 0.5 * 3f64.ln()).abs() < 1e-12);
    assert!(generative_perplexity(&judge, &[vec![4]]).is_err());
    assert!(generative_perplexity::<Vec<u32>>(&judge, &[]).is_err());
}

#[test]
fn settings_make_samplers_and_rows_do_not_depend_on_threads() {
    let chain = chain();
    let read = |params: &[(&str, &str)]| MaskedDecoding::from_params(&params.iter().copied().collect::<Params>());
    assert_eq!(MaskedDecoding::CARD.verbs, ["language generate"]);
    for params in [
        &[][..],
        &[("calls", "2"), ("order", "second")],
        &[("sampler", "ancestral"), ("steps", "20"), ("draw", "gumbel-truncated"), ("schedule", "cosine")],
        &[("sampler", "confidence"), ("calls", "3")],
        &[("block", "2"), ("temperature", "0.5"), ("top-p", "0.9")],
    ] {
        let decoding = read(params).unwrap();
        let rows = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| draw_rows(&chain, &decoding, &[3, 3, 1, 3, 3], 9, Seed(2), &Silent).unwrap())
        };
        let found = rows(1);
        assert_eq!(found, rows(3), "{params:?}");
        assert!(found.iter().all(|sample| sample.tokens[2] == 1 && sample.tokens.iter().all(|token| *token < 3)));
    }
    assert!(read(&[("temperature", "0")]).is_err() && read(&[("calls", "0")]).is_err());
}

proptest! {
    /// Whatever the sampler, every hidden place is uncovered once, the rest stays, and no mask is left.
    #[test]
    fn every_hidden_place_is_uncovered_once(
        start in prop::collection::vec(0_u32..4, 1..12), calls in 1_usize..12, steps in 1_usize..20, size in 1_usize..5, seed: u64
    ) {
        let chain = chain();
        let hidden: Vec<usize> = (0..start.len()).filter(|place| start[*place] == 3).collect();
        let calls = Some(calls.min(hidden.len().max(1)));
        let samplers: [&dyn MaskedSampler; 6] = [
            &FirstHitting { calls, order: Order::First, draw: Draw::GumbelF32 },
            &FirstHitting { calls, order: Order::Second, draw: Draw::TwoStage },
            &ancestral(steps, Draw::GumbelF32),
            &ancestral(steps, Draw::TwoStage),
            &Confidence { calls },
            &Blocks { size, inner: Box::new(ancestral(steps, Draw::InverseCdf)) },
        ];
        for sampler in samplers {
            let sample = sampler.sample(&chain, &start, &mut Seed(seed).rng(0)).unwrap();
            let mut order = sample.order.clone();
            order.sort_unstable();
            prop_assert_eq!(&order, &hidden);
            let kept = sample.tokens.iter().zip(&start).all(|(token, was)| *was == 3 && *token < 3 || token == was);
            prop_assert!(kept, "{:?}", sample.tokens);
        }
    }
}
