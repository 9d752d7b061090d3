use super::*;
use crate::decode::Quotes;
use proptest::prelude::*;
use quadrat_core::Params;

fn law(chain: Chain, history: &[u32], scores: &[f32]) -> Law {
    let mut law = Law::default();
    Decoder::from(chain).law(history, scores, &mut law).unwrap();
    law
}

fn logs(p: &[f32]) -> Vec<f32> {
    p.iter().map(|p| p.ln()).collect()
}

/// What transformers 5.24 keeps of the same scores, but for ties: there the k-th's equals all stay, here the lower tokens do.
#[test]
fn filters_keep_what_they_say() {
    let p = logs(&[0.5, 0.25, 0.2, 0.05]);
    let chain = Chain::default;
    for (chain, scores, kept) in [
        (chain(), p.clone(), vec![0, 1, 2, 3]),
        (Chain { top_k: Some(2), ..chain() }, vec![3.0, 2.0, 2.0, 2.0, 1.0], vec![0, 1]),
        (Chain { top_k: Some(9), ..chain() }, vec![1.0, 2.0], vec![0, 1]),
        (Chain { top_k: Some(1), ..chain() }, vec![-0.0, 0.0], vec![0]),
        (Chain { top_p: 0.69, ..chain() }, logs(&[0.5, 0.2, 0.2, 0.1]), vec![0, 1]),
        (Chain { top_p: 0.49, ..chain() }, logs(&[0.5, 0.2, 0.2, 0.1]), vec![0]),
        (Chain { top_p: 0.3, ..chain() }, vec![1.0; 4], vec![0, 1]),
        (Chain { top_p: 1e-9, ..chain() }, vec![1.0; 4], vec![0]),
        (Chain { min_p: 0.49, ..chain() }, p.clone(), vec![0, 1]),
        (Chain { typical: 0.5, ..chain() }, p.clone(), vec![0, 1, 2]),
        (Chain { temperature: 0.0, ..chain() }, vec![1.0, 3.0, 3.0], vec![1]),
        (Chain { temperature: 1e-300, ..chain() }, vec![1.0, 3.0, 2.0], vec![1]),
        (chain(), vec![0.0, f32::NEG_INFINITY, 1.0], vec![0, 2]),
        // Each filter sees the law that the one before it left: .5 and .25 are .67 and .33 after top-k.
        (Chain { top_k: Some(2), top_p: 0.6, ..chain() }, p.clone(), vec![0]),
        (Chain { top_p: 0.9, ..chain() }, vec![f32::NEG_INFINITY, 0.0, f32::NEG_INFINITY], vec![1]),
    ] {
        assert_eq!(law(chain.clone(), &[], &scores).tokens(), kept, "{chain:?} {scores:?}");
    }
}

#[test]
fn a_law_can_be_made_in_the_room_of_any_other() {
    let (decoder, mut law) = (Decoder::default(), Law::default());
    for (scores, kept) in [
        (vec![f32::NEG_INFINITY, 0.0, 1.0], vec![1, 2]),
        (vec![0.0, 1.0], vec![0, 1]),
        (vec![2.0, 1.0], vec![0, 1]),
        (vec![2.0, 1.0, 0.0], vec![0, 1, 2]),
    ] {
        decoder.law(&[], &scores, &mut law).unwrap();
        assert_eq!(law.tokens(), kept);
    }
}

#[test]
fn penalties_change_scores_as_ctrl_says() {
    let penalised = |chain: Chain, history: &[u32]| {
        let mut out = Vec::new();
        chain.penalise(history, &[2.0, -2.0, 1.0], &mut out).to_vec()
    };
    let chain = Chain { repetition_penalty: 2.0, ..Chain::default() };
    assert_eq!(penalised(chain.clone(), &[0, 1, 1]), [1.0, -4.0, 1.0], "once, however often it came");
    assert_eq!(penalised(Chain { penalty_window: Some(1), ..chain }, &[0, 1, 2, 2]), [2.0, -2.0, 0.5]);
    let chain = Chain { presence_penalty: 0.5, frequency_penalty: 0.25, ..Chain::default() };
    assert_eq!(penalised(chain.clone(), &[1, 1, 7]), [2.0, -3.0, 1.0]);
    assert_eq!(penalised(chain, &[]), [2.0, -2.0, 1.0]);
}

#[test]
fn what_is_forbidden_does_not_come_where_there_is_another() {
    let quotes = Quotes::new(&[vec![1, 0], vec![2, 0], vec![2, 1], vec![2, 2]], 2);
    let decoder = |chain| Decoder { chain, blockers: vec![Arc::new(quotes.clone())] };
    let mut found = Law::default();
    for (temperature, history, tokens, forced) in [
        (1.0, [0], vec![0, 1, 2], false),
        (1.0, [1], vec![1, 2], false),
        (0.0, [1], vec![1], false),
        (1.0, [2], vec![0], true),
        (0.0, [2], vec![0], true),
    ] {
        let chain = Chain { temperature, ..Chain::default() };
        decoder(chain).law(&history, &[3.0, 2.0, 1.0], &mut found).unwrap();
        assert_eq!((found.tokens(), found.forced()), (&tokens[..], forced), "{temperature} {history:?}");
    }
    let greedy = Chain { temperature: 0.0, no_repeat: Some(1), ..Chain::default() };
    assert_eq!(law(greedy, &[0, 2], &[3.0, 2.0, 2.5]).tokens(), [1]);
    // The filters go first: the one token that top-k leaves is forbidden.
    let first = Chain { top_k: Some(1), no_repeat: Some(1), ..Chain::default() };
    assert!(law(first, &[0], &[3.0, 2.0]).forced());
}

#[test]
fn scores_that_are_no_law_and_settings_out_of_range_are_refused() {
    let decoder = Decoder::default();
    for (scores, why) in [
        (vec![0.0, f32::NAN], "token 1 has the score NaN"),
        (vec![f32::INFINITY, 0.0], "token 0 has the score inf"),
        (vec![f32::NEG_INFINITY; 2], "no token"),
        (vec![], "no token"),
    ] {
        let error = decoder.law(&[], &scores, &mut Law::default()).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
    for (name, value) in
        [("top-k", "0"), ("top-p", "0"), ("top-p", "1.1"), ("min-p", "1"), ("temperature", "-1"), ("typical", "0")]
    {
        let error = Chain::from_params(&Params::from([(name, value)])).unwrap_err().to_string();
        assert!(error.starts_with(name), "{error}");
    }
}

/// The law by sorting and adding, as the settings are told.
fn by_sorting(chain: &Chain, scores: &[f32]) -> Vec<(u32, f64)> {
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weight = |s: f32| ((f64::from(s) - f64::from(most)) / chain.temperature).exp();
    let mut law: Vec<(u32, f64, f32)> = (0..).zip(scores).map(|(t, &s)| (t, weight(s), s)).collect();
    law.sort_by(|a, b| b.2.total_cmp(&a.2).then(a.0.cmp(&b.0)));
    law.truncate(chain.top_k.unwrap_or(usize::MAX));
    let whole = |law: &[(u32, f64, f32)]| law.iter().map(|(_, w, _)| w).sum::<f64>();
    let first = |law: &mut Vec<(u32, f64, f32)>, p: f64| {
        let (mut sum, need) = (0.0, p * whole(law) - 1e-12);
        let reached = law.iter().position(|(_, w, _)| {
            sum += w;
            sum >= need
        });
        law.truncate(reached.map_or(law.len(), |last| last + 1));
    };
    if chain.typical < 1.0 {
        let total = whole(&law);
        let entropy: f64 = law.iter().map(|(_, w, _)| -w / total * (w / total).ln()).sum();
        let off = |w: f64| (-(w / total).ln() - entropy).abs();
        law.sort_by(|a, b| off(a.1).total_cmp(&off(b.1)).then(a.0.cmp(&b.0)));
        first(&mut law, chain.typical);
        law.sort_by(|a, b| b.2.total_cmp(&a.2).then(a.0.cmp(&b.0)));
    }
    if chain.top_p < 1.0 {
        first(&mut law, chain.top_p);
    }
    let best = law.iter().map(|(_, w, _)| *w).fold(0.0, f64::max);
    law.retain(|(_, w, _)| *w >= chain.min_p * best);
    let total = whole(&law);
    law.sort_by_key(|(token, _, _)| *token);
    law.into_iter().map(|(token, w, _)| (token, w / total)).collect()
}

proptest! {
    /// Random scores and settings: the same tokens as by sorting, with the same probabilities, which sum to 1.
    #[test]
    fn the_chain_is_what_sorting_gives(
        scores in prop::collection::vec(-6.0f32..6.0, 1..400), temperature in 0.3f64..2.0, k in prop::option::of(1usize..500),
        typical in 0.05f64..1.3, p in 0.05f64..1.3, min_p in 0.0f64..0.3,
    ) {
        let chain = Chain { temperature, top_k: k, typical: typical.min(1.0), top_p: p.min(1.0), min_p, ..Chain::default() };
        let want = by_sorting(&chain, &scores);
        let got = law(chain, &[], &scores);
        prop_assert_eq!(got.tokens().to_vec(), want.iter().map(|(t, _)| *t).collect::<Vec<_>>());
        let mut dense = Vec::new();
        got.fill(scores.len(), &mut dense);
        prop_assert!((dense.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        for (token, p) in want {
            prop_assert!((got.probability(token) - p).abs() < 1e-12 && dense[token as usize] == got.probability(token));
        }
    }

    /// The k best are those of a sort, of equal scores the lower tokens.
    #[test]
    fn the_best_are_those_of_a_sort(scores in prop::collection::vec(-3i8..3, 1..2000), k in 1usize..300) {
        let scores: Vec<f32> = scores.into_iter().map(f32::from).collect();
        let mut order: Vec<u32> = (0..scores.len() as u32).collect();
        order.sort_by(|a, b| scores[*b as usize].total_cmp(&scores[*a as usize]).then(a.cmp(b)));
        order.truncate(k);
        order.sort_unstable();
        let kept = law(Chain { top_k: Some(k), ..Chain::default() }, &[], &scores);
        prop_assert_eq!(kept.tokens(), order);
    }

    /// A run that is forbidden never comes while there is something else.
    #[test]
    fn runs_do_not_come_twice(seed in 0u64..1000, n in 1usize..4) {
        let model = crate::from_fn(12, |prefix: &[u32], out: &mut [f32]| {
            out.iter_mut().enumerate().for_each(|(i, s)| *s = ((prefix.len() * 7 + i * 3) % 5) as f32);
        });
        let decoder = Decoder::from(Chain { no_repeat: Some(n), ..Chain::default() });
        let request = crate::decode::Request::new(&[], 10);
        let mut rng = crate::decode::stream(quadrat_core::Seed(seed), 0);
        let text = crate::decode::generate(&model, &decoder, &request, &mut rng, &quadrat_core::Silent, &mut |_| {
            std::ops::ControlFlow::Continue(())
        }).unwrap();
        let mut runs: Vec<&[u32]> = text.tokens.windows(n).collect();
        runs.sort();
        runs.dedup();
        prop_assert_eq!((runs.len(), text.forced), (11 - n, 0));
    }
}
