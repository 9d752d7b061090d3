use super::*;
use crate::verify::branches;
use proptest::prelude::*;
use quadrat_core::{Seed, stats};

/// The probabilities with which a rule gives each token and accepts a draft, over all drafts and choices.
fn output(rule: &dyn DraftSelector, p: &[f64], q: &[f64], k: usize) -> (Vec<f64>, f64) {
    let law = branches(1_000_000, |chance| {
        let mut left = p.to_vec();
        let mut drafts = Vec::new();
        while drafts.len() < k && left.iter().any(|&p| p > 0.0) {
            let draft = chance.pick(&left);
            drafts.push(draft as u32);
            if !rule.replaces() {
                left[draft] = 0.0;
            }
        }
        let found = rule.select(p, q, &drafts, chance, &mut Vec::new())?;
        Ok((found.token, found.accepted.is_some()))
    })
    .unwrap();
    let mut tokens = vec![0.0; q.len()];
    law.iter().for_each(|((token, _), mass)| tokens[*token as usize] += mass);
    (tokens, law.iter().filter(|((_, accepted), _)| *accepted).map(|(_, mass)| mass).sum())
}

const RULES: [&dyn DraftSelector; 4] =
    [&KSeq, &OtmExact, &Recursive { replacement: true }, &Recursive { replacement: false }];

/// Values of the method's own equations, worked out in high precision by another program.
#[test]
fn golden_values() {
    let (p, q) = ([0.5, 0.3, 0.2], [0.2, 0.3, 0.5]);
    let (r, s) = ([0.7, 0.1, 0.1, 0.1], [0.1, 0.2, 0.3, 0.4]);
    for (p, q, k, rho, acceptance, best) in [
        (&p[..], &q[..], 1, 1.0, 0.7, 0.7),
        (&p, &q, 2, 1.456_776_436_3, 0.791_355_287_3, 0.86),
        (&p, &q, 3, 1.792_593_028_3, 0.858_518_605_7, 0.988),
        (&r, &s, 2, 1.638_986_691_9, 0.591_696_007_6, 0.61),
        (&r, &s, 3, f64::NAN, 0.717_381_203_6, 0.757),
    ] {
        let found = k_seq_rho(p, q, k).unwrap();
        assert!(rho.is_nan() || (found - rho).abs() < 1e-9, "{found} for {rho}");
        assert!((KSeq.acceptance(p, q, k).unwrap() - acceptance).abs() < 1e-9);
        assert!((optimal_acceptance(p, q, k).unwrap() - best).abs() < 1e-12);
        assert!((OtmExact.acceptance(p, q, k).unwrap() - best).abs() < 1e-12);
    }
    let mut left = Vec::new();
    k_seq::residual(&r, &s, 2, k_seq_rho(&r, &s, 2).unwrap(), &mut left);
    let total: f64 = left.iter().sum();
    for (left, want) in left.iter().zip([0.0, 0.088_418, 0.333_333, 0.578_249]) {
        assert!((left / total - want).abs() < 1e-6);
    }
}

#[test]
fn laws_and_drafts_that_are_none_are_refused() {
    let ask = |p: &[f64], q: &[f64], drafts: &[u32]| {
        KSeq.select(p, q, drafts, &mut Seed(1).rng(0), &mut Vec::new()).unwrap_err().to_string()
    };
    let half = [0.5, 0.5];
    for (p, q, drafts, why) in [
        (&half[..], &[1.0, 0.0, 0.0][..], vec![0], "2 tokens"),
        (&[0.5, 0.4], &half, vec![0], "a sum of 0.9"),
        (&half, &[1.5, -0.5], vec![0], "law of the target: got -0.5"),
        (&half, &[f64::NAN, 0.5], vec![0], "a sum of NaN"),
        (&[f64::INFINITY, 0.5], &half, vec![0], "a sum of inf"),
        (&[1.0, 0.0], &half, vec![0, 1], "token 1"),
        (&half, &half, vec![2], "token 2"),
        (&half, &half, vec![], "drafts: got 0"),
        (&[], &[], vec![], "a sum of"),
    ] {
        let error = ask(p, q, &drafts);
        assert!(error.contains(why), "{error}");
    }
    let wide = vec![1.0 / 17.0; 17];
    assert!(OtmExact.acceptance(&wide, &wide, 2).unwrap_err().to_string().contains("17 tokens"));
    assert!(MaximalCoupling.acceptance(&half, &half, 2).is_err());
    assert!(Recursive { replacement: false }.acceptance(&wide, &wide, 8).unwrap_err().to_string().contains("orders"));
    let mut rng = Seed(1).rng(0);
    let twice = Recursive { replacement: false }.select(&half, &[0.0, 1.0], &[0, 0], &mut rng, &mut Vec::new());
    assert!(twice.unwrap_err().to_string().contains("without replacement"));
}

#[test]
fn laws_at_the_ends() {
    let mut rng = Seed(1).rng(0);
    for rule in RULES {
        // Disjoint: no draft can be right.
        let found = rule.select(&[1.0, 0.0], &[0.0, 1.0], &[0], &mut rng, &mut Vec::new()).unwrap();
        assert_eq!(found, Selection { token: 1, accepted: None });
        assert!(rule.acceptance(&[1.0, 0.0], &[0.0, 1.0], 1).unwrap().abs() < 1e-12);
        // The same: the first is.
        let found = rule.select(&[0.5, 0.5], &[0.5, 0.5], &[1], &mut rng, &mut Vec::new()).unwrap();
        assert_eq!(found, Selection { token: 1, accepted: Some(0) });
        // One token.
        assert!((rule.acceptance(&[1.0], &[1.0], 1).unwrap() - 1.0).abs() < 1e-12);
    }
    assert_eq!(k_seq_rho(&[0.5, 0.5], &[0.5, 0.5], 8).unwrap(), 1.0);
    // Without replacement two drafts hold a target that lives on two tokens; with it they may be the same.
    let (p, q) = ([0.5, 0.5, 0.0], [0.3, 0.7, 0.0]);
    assert!((Recursive { replacement: false }.acceptance(&p, &q, 2).unwrap() - 1.0).abs() < 1e-12);
    assert!(KSeq.acceptance(&p, &q, 2).unwrap() < 0.99);
}

/// Laws with zeros, and equal ones.
fn laws(tokens: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = (Vec<f64>, Vec<f64>)> {
    let law = |n: usize| {
        prop::collection::vec(prop_oneof![1 => Just(0.0), 4 => 1e-6f64..1.0], n).prop_filter_map("no mass", |weights| {
            let total: f64 = weights.iter().sum();
            (total > 0.0).then(|| weights.into_iter().map(|w| w / total).collect::<Vec<f64>>())
        })
    };
    tokens
        .prop_flat_map(move |n| (law(n), law(n), 0..8))
        .prop_map(|(p, q, same)| if same == 0 { (q.clone(), q) } else { (p, q) })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every rule, over all drafts and all of its choices: exactly the target's law, and the acceptance that it says.
    #[test]
    fn every_rule_keeps_the_targets_law((p, q) in laws(2..=4), k in 1usize..=3) {
        for rule in RULES {
            let (tokens, accepted) = output(rule, &p, &q, k);
            tokens.iter().zip(&q).for_each(|(got, want)| assert!((got - want).abs() < 1e-12, "{got} for {want}, {p:?} {q:?}"));
            prop_assert!((accepted - rule.acceptance(&p, &q, k).unwrap()).abs() < 1e-12);
        }
        let (tokens, accepted) = output(&MaximalCoupling, &p, &q, 1);
        prop_assert!(tokens.iter().zip(&q).all(|(got, want)| (got - want).abs() < 1e-12));
        prop_assert!((accepted - MaximalCoupling.acceptance(&p, &q, 1).unwrap()).abs() < 1e-12);
    }

    /// The closed form is the largest flow; K-SEQ is within its bound of it; more drafts are never worse.
    #[test]
    fn the_optimum_is_the_largest_flow_and_k_seq_is_near((p, q) in laws(1..=6)) {
        let mut before = 0.0;
        for k in 1..=3 {
            let best = optimal_acceptance(&p, &q, k).unwrap();
            prop_assert!((OtmExact.acceptance(&p, &q, k).unwrap() - best).abs() < 1e-12);
            let ours = KSeq.acceptance(&p, &q, k).unwrap();
            let bound = 1.0 - (1.0 - 1.0 / k as f64).powi(k as i32);
            prop_assert!(ours <= best + 1e-12 && ours >= bound * best - 1e-12 && ours >= before - 1e-12);
            before = ours;
            let recursive = Recursive { replacement: true }.acceptance(&p, &q, k).unwrap();
            prop_assert!(recursive <= best + 1e-12);
        }
    }

    /// In large vocabularies: accepted mass and residual make up the target's law.
    #[test]
    fn accepted_and_residual_mass_make_up_the_target((p, q) in laws(1..=1000), k in 1usize..=16) {
        let rho = k_seq_rho(&p, &q, k).unwrap();
        prop_assert!(rho >= 1.0 && rho <= k as f64);
        let any = KSeq.acceptance(&p, &q, k).unwrap();
        let beta: f64 = p.iter().zip(&q).map(|(p, q)| p.min(q / rho)).sum();
        prop_assert!((rho * beta - any).abs() < 1e-10);
        let mut left = Vec::new();
        k_seq::residual(&p, &q, k, rho, &mut left);
        // No entry is cut off but by rounding: what is left is what none of the drafts took.
        prop_assert!((left.iter().sum::<f64>() - (1.0 - any)).abs() < 1e-12);
        let share = if beta > 0.0 { any / beta } else { 0.0 };
        for ((p, q), left) in p.iter().zip(&q).zip(&left) {
            prop_assert!((p.min(q / rho) * share + left - q).abs() < 1e-12);
        }
    }
}

mod loops {
    use super::*;
    use crate::decode::{Chain, Decoder, Finish, Request, stream};
    use crate::verify::prove;
    use crate::{LanguageModel, from_fn};
    use quadrat_core::Silent;
    use std::ops::ControlFlow;

    /// A model whose scores depend on the last `order` tokens.
    pub fn markov(tokens: usize, order: usize, seed: u64) -> impl LanguageModel {
        from_fn(tokens, move |text: &[u32], out: &mut [f32]| {
            let known = &text[text.len().saturating_sub(order)..];
            let state = known.iter().fold(7 + known.len() as u64, |state, &token| 31 * state + u64::from(token));
            let mut rng = Seed(seed).rng(state);
            out.iter_mut().for_each(|score| *score = 1.5 * rng.normal() as f32);
        })
    }

    /// All choices of all rules, with settings on both sides: the law of whole texts is the target's to the last digits.
    #[test]
    fn whole_texts_have_the_targets_law() {
        let (target, draft) = (markov(3, 2, 1), markov(3, 1, 2));
        let plain = Chain::default();
        for chain in [
            plain.clone(),
            Chain { temperature: 0.7, ..plain.clone() },
            Chain { top_k: Some(2), repetition_penalty: 1.3, ..plain.clone() },
            Chain { top_p: 0.8, ..plain.clone() },
            Chain { min_p: 0.3, no_repeat: Some(3), ..plain.clone() },
            Chain { temperature: 0.0, ..plain.clone() },
        ] {
            let decoder = Decoder::from(chain.clone());
            for selector in RULES {
                let parts =
                    Speculator { target: &target, draft: &draft, decoder: &decoder, selector, drafts: 2, length: 2 };
                let step = |text: &[u32], left: usize, chance: &mut dyn crate::Chance| parts.block(text, left, chance);
                let proof = prove(&target, &decoder, &[0], 4, &Silent, step).unwrap();
                assert!(proof.holds(), "{chain:?}: {proof:?}");
            }
        }
    }

    #[test]
    fn drafters_that_need_no_model_keep_the_law_from_an_empty_text_on() {
        let target = markov(3, 2, 5);
        let decoder = Decoder::default();
        let (recent, lookup) = (recent(3, 3), lookup(3, 2));
        for draft in [&recent as &dyn LanguageModel, &lookup] {
            let parts = Speculator { target: &target, draft, decoder: &decoder, selector: &KSeq, drafts: 2, length: 2 };
            let step = |text: &[u32], left: usize, chance: &mut dyn crate::Chance| parts.block(text, left, chance);
            assert!(prove(&target, &decoder, &[], 4, &Silent, step).unwrap().holds());
        }
    }

    fn go_on(_: &[u32]) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    #[test]
    fn drafts_of_the_target_itself_are_all_accepted() {
        let target = markov(5, 1, 3);
        let decoder = Decoder::default();
        let parts =
            Speculator { target: &target, draft: &target, decoder: &decoder, selector: &KSeq, drafts: 1, length: 3 };
        let found = parts.generate(&Request::new(&[1], 40), &mut stream(Seed(1), 0), &Silent, &mut go_on).unwrap();
        assert_eq!((found.calls, &found.emitted[..]), (10, &[4; 10][..]));
        assert_eq!((found.block_efficiency(), found.text.finish), (4.0, Finish::Length));
        assert_eq!(found.text.log_probabilities.len(), 40);
    }

    #[test]
    fn texts_end_where_they_should_and_parts_must_fit() {
        let target = markov(5, 1, 3);
        let decoder = Decoder::default();
        let parts = |draft, drafts, length| Speculator {
            target: &target,
            draft,
            decoder: &decoder,
            selector: &KSeq,
            drafts,
            length,
        };
        let request = Request { ends: vec![2], ..Request::new(&[1], 500) };
        for i in 0..20 {
            let found = parts(&target, 3, 4).generate(&request, &mut stream(Seed(2), i), &Silent, &mut go_on).unwrap();
            assert_eq!(found.text.finish, Finish::End);
            assert_eq!(found.text.tokens.iter().position(|t| *t == 2), Some(found.text.tokens.len() - 1));
        }
        let mut three =
            |tokens: &[u32]| if tokens.len() == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        let request = Request::new(&[], 500);
        let found = parts(&target, 3, 4).generate(&request, &mut stream(Seed(2), 0), &Silent, &mut three).unwrap();
        assert_eq!((found.text.tokens.len(), found.text.finish), (3, Finish::Stop));
        let other = markov(4, 1, 1);
        for (parts, why) in [
            (parts(&other, 1, 1), "4 tokens"),
            (parts(&target, 0, 1), "drafts: got 0"),
            (parts(&target, 1, 0), "length: got 0"),
        ] {
            let error = parts.generate(&request, &mut stream(Seed(2), 0), &Silent, &mut go_on).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        let exact = Speculator { selector: &OtmExact, ..parts(&target, 5, 1) };
        assert!(exact.check().unwrap_err().to_string().contains("1 to 4"));
    }

    /// The calls that are planned for texts are the mean of those that the loop takes for texts of the same law; six standard errors of
    /// the difference: one alarm in five hundred million for each of the cases.
    #[test]
    fn what_was_planned_is_what_happens() {
        let (target, draft) = (markov(6, 2, 1), markov(6, 1, 2));
        let decoder = Decoder::from(Chain { temperature: 0.8, ..Chain::default() });
        let (count, tokens) = (400, 60);
        for rule in [Rule::KSeq, Rule::Recursive] {
            let grid = Plan { rules: vec![rule], drafts: vec![3], lengths: vec![2] };
            let parts = Speculator {
                target: &target,
                draft: &draft,
                decoder: &decoder,
                selector: rule.selector(),
                drafts: 3,
                length: 2,
            };
            let (mut planned, mut taken) = (Vec::new(), Vec::new());
            for i in 0..count {
                let request = Request::new(&[0], tokens);
                let found = parts.generate(&request, &mut stream(Seed(4), i), &Silent, &mut go_on).unwrap();
                taken.push(found.calls as f64);
                // Texts of the loop's own, which are the target's, but of other draws.
                let other = parts.generate(&request, &mut stream(Seed(5), i), &Silent, &mut go_on).unwrap();
                let texts = [(request.prompt, other.text.tokens)];
                let row = plan(&target, &draft, &decoder, &texts, &grid, &Silent).unwrap()[0];
                assert!(row.acceptance <= row.best + 1e-12);
                planned.push(tokens as f64 / row.tokens_a_call);
            }
            let spread = ((stats::variance(&planned) + stats::variance(&taken)) / count as f64).sqrt();
            let off = stats::mean(&planned) - stats::mean(&taken);
            assert!(off.abs() < 6.0 * spread, "{rule:?}: {off} of {}, spread {spread}", stats::mean(&taken));
        }
    }

    #[test]
    fn plans_that_cannot_be_made_are_refused() {
        let model = markov(3, 1, 1);
        let decoder = Decoder::default();
        let ask = |texts: &[(Vec<u32>, Vec<u32>)], grid: &Plan| {
            plan(&model, &model, &decoder, texts, grid, &Silent).unwrap_err().to_string()
        };
        let texts = [(vec![0], vec![1, 2])];
        let usual = Plan::default();
        assert!(ask(&[], &usual).contains("no token"));
        assert!(ask(&texts, &Plan { rules: vec![Rule::Exact], ..usual.clone() }).contains("exact"));
        assert!(ask(&texts, &Plan { drafts: vec![0], ..usual }).contains("at least 1"));
        // One draft is all that the maximal coupling takes.
        let grid = Plan { rules: vec![Rule::MaximalCoupling], drafts: vec![1, 2], lengths: vec![1] };
        let rows = plan(&model, &model, &decoder, &texts, &grid, &Silent).unwrap();
        assert!(rows.len() == 1 && (rows[0].acceptance - 1.0).abs() < 1e-6, "{rows:?}");
    }
}
