use super::zoo::{PROMPT, target};
use super::*;
use crate::decode::{Chain, Decoder, Request, generate, stream};
use crate::from_fn;
use quadrat_core::{Error, Result, Seed, Silent};
use std::ops::ControlFlow;

/// Any ready decoder is a sampler.
fn plain(decoder: &Decoder) -> impl Fn(u64) -> Result<Vec<u32>> + Sync {
    move |seed| {
        let model = target();
        let request = Request::new(&PROMPT, 3);
        let text = generate(&model, decoder, &request, &mut stream(Seed(seed), 0), &Silent, &mut |_| {
            ControlFlow::Continue(())
        })?;
        Ok(text.tokens)
    }
}

#[test]
fn generate_is_not_refuted_and_other_settings_are() {
    let target = target();
    let (asked, other) = (Decoder::default(), Decoder::from(Chain { temperature: 1.3, ..Chain::default() }));
    let cells = Cells::of(&target, &asked, &PROMPT, 3, 20, &Silent).unwrap();
    assert!((cells.probabilities().iter().sum::<f64>() - 1.0).abs() < 1e-12 && cells.tokens() == 3);
    assert!(!test(&cells, Test::default(), Seed(1), &Silent, plain(&asked)).unwrap().refutes());
    let found = test(&cells, Test::default(), Seed(1), &Silent, plain(&other)).unwrap();
    assert!(found.refutes() && found.draws > 1000, "{found:?}");
}

/// The planned draws have the power that was asked for: of 400 tests of a law at exactly the difference to catch, the share that
/// refutes is at least .9 but for five standard errors of it (one alarm in three million).
#[test]
fn power_is_what_was_planned() {
    let law = |p: f64| {
        from_fn(2, move |_: &[u32], out: &mut [f32]| out.copy_from_slice(&[p.ln() as f32, (1.0 - p).ln() as f32]))
    };
    let cells = Cells::of(&law(0.5), &Decoder::default(), &[], 1, 8, &Silent).unwrap();
    let asked = Test { variation: 0.1, power: 0.9, ..Test::default() };
    let (mut refuted, runs) = (0.0, 400);
    for run in 0..runs {
        let sampler = |seed: u64| Ok(vec![u32::from(Seed(seed).rng(0).uniform() > 0.6)]);
        refuted += f64::from(u8::from(test(&cells, asked, Seed(run), &Silent, sampler).unwrap().refutes()));
    }
    let share = refuted / runs as f64;
    assert!(share > 0.9 - 5.0 * (0.9 * 0.1 / runs as f64).sqrt() && share < 0.99, "{share}");
}

#[test]
fn cells_of_a_large_vocabulary_are_few_and_whole() {
    let model = from_fn(50_000, |text: &[u32], out: &mut [f32]| {
        out.iter_mut().enumerate().for_each(|(i, s)| *s = -((i + 7 * text.len()) as f32).ln_1p());
    });
    let cells = Cells::of(&model, &Decoder::default(), &[], 4, 64, &Silent).unwrap();
    let total: f64 = cells.probabilities().iter().sum();
    assert!((total - 1.0).abs() < 1e-9 && (60..100).contains(&cells.probabilities().len()), "{total}");
    for text in [vec![], vec![0], vec![0, 0, 0, 0, 3], vec![49_999, 1, 2, 3]] {
        assert!(cells.find(&text) < cells.probabilities().len());
    }
}

#[test]
fn texts_that_cannot_come_refute_by_themselves() {
    let cells =
        Cells::of(&target(), &Decoder::from(Chain { top_k: Some(1), ..Chain::default() }), &PROMPT, 2, 9, &Silent)
            .unwrap();
    let test = |sampler: fn(u64) -> Result<Vec<u32>>| {
        super::test(&cells, Test { draws: Some(200), ..Test::default() }, Seed(1), &Silent, sampler)
    };
    // One text alone can come: there is nothing to compare.
    assert!(test(|_| Ok(vec![2, 1])).unwrap_err().to_string().contains("cells"));
    let cells =
        Cells::of(&target(), &Decoder::from(Chain { top_k: Some(2), ..Chain::default() }), &PROMPT, 2, 9, &Silent)
            .unwrap();
    let found = super::test(&cells, Test { draws: Some(200), ..Test::default() }, Seed(1), &Silent, |_| Ok(vec![0, 0]))
        .unwrap();
    assert!(found.refutes() && found.statistic.is_infinite());
}

#[test]
fn what_cannot_be_verified_is_an_error() {
    let cells = Cells::of(&target(), &Decoder::default(), &PROMPT, 3, 27, &Silent).unwrap();
    for bad in [0.0, 1.0, f64::NAN] {
        assert!(Test { variation: bad, ..Test::default() }.plan(&cells).is_err());
        assert!(Test { power: bad, ..Test::default() }.plan(&cells).is_err());
    }
    let fails = |_| Err(Error::input("decoder", "nothing", "tokens"));
    assert!(test(&cells, Test::default(), Seed(1), &Silent, fails).is_err());
    let nothing = prove(&target(), &Decoder::default(), &PROMPT, 2, &Silent, |_, _, _| Ok(Vec::new()));
    assert!(nothing.unwrap_err().to_string().contains("at least one token"));
    let endless = branches(10, |chance| Ok((0..8).map(|_| chance.pick(&[1.0, 1.0])).sum::<usize>()));
    assert!(endless.unwrap_err().to_string().contains("more than 10"));
}
