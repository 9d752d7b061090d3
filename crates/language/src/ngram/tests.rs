use super::*;
use proptest::prelude::*;
use quadrat_core::Silent;

proptest! {
    /// After every text, seen or not, the probabilities sum to 1, and the scores are their logarithms.
    #[test]
    fn probabilities_sum_to_1(
        texts in prop::collection::vec(prop::collection::vec(0u32..6, 0..30), 1..5), order in 1usize..5, after in prop::collection::vec(0u32..7, 0..5)
    ) {
        prop_assume!(texts.iter().any(|text| !text.is_empty()));
        let after: Vec<u32> = after.into_iter().map(|token| token.min(6)).collect();
        let model = KneserNey::fit(&texts, 7, order, &Silent).unwrap();
        let p: Vec<f64> = (0..7).map(|token| model.probability(&after, token)).collect();
        prop_assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-12 && p.iter().all(|p| *p > 0.0), "{:?}", p);
        let mut state = model.begin();
        state.push(&after).unwrap();
        let mut scores = [0.0; 7];
        state.scores(&mut scores).unwrap();
        for (score, p) in scores.iter().zip(&p) {
            prop_assert!((f64::from(*score) - p.ln()).abs() < 1e-5);
        }
    }
}

#[test]
fn what_cannot_be_counted_is_refused() {
    let fit = |texts: &[Vec<u32>], order| KneserNey::fit(texts, 3, order, &Silent).unwrap_err().to_string();
    assert!(fit(&[vec![0]], 0).contains("order"));
    assert!(fit(&[], 2).contains("no token") && fit(&[vec![]], 2).contains("no token"));
    assert!(fit(&[vec![0, 3]], 2).contains("below 3"));
    // A text shorter than the order, and one token alone.
    let model = KneserNey::fit(&[vec![1]], 1, 4, &Silent);
    assert!(model.is_err());
    let model = KneserNey::fit(&[vec![0]], 1, 4, &Silent).unwrap();
    assert_eq!((model.probability(&[0, 0], 0), model.order()), (1.0, 4));
}

#[test]
fn a_model_comes_back_from_its_parts() {
    let model = KneserNey::fit(&[vec![0, 1, 2, 1, 0, 1]], 3, 3, &Silent).unwrap().with_ends(vec![2]);
    let back: KneserNey = serde_json::from_str(&serde_json::to_string(&model).unwrap()).unwrap();
    assert!(back == model && back.ends() == [2]);
}

/// Values of a program of its own that counts lists of n-grams straight from the definitions (Python, without a trie): order 3, where
/// the counts of bigrams give discounts (1/3, 7/4, 7/3) and those of the other orders give none.
#[test]
fn golden_values() {
    let first = [
        2, 2, 0, 1, 2, 0, 4, 4, 2, 2, 1, 2, 1, 3, 4, 3, 0, 0, 1, 0, 0, 2, 1, 3, 3, 4, 3, 0, 0, 1, 3, 4, 2, 3, 1, 4, 2,
        1, 3, 4,
    ];
    let second = [2, 1, 3, 4, 3, 0, 0, 2, 0, 4, 2, 1, 2, 1, 4, 3, 4, 3, 0, 0];
    let model = KneserNey::fit(&[first.to_vec(), second.to_vec()], 5, 3, &Silent).unwrap();
    for (text, law) in [
        (&[][..], [0.175, 0.13125, 0.34375, 0.175, 0.175]),
        (&[1], [0.254_761_904_8, 0.119_642_857_1, 0.235_119_047_6, 0.195_238_095_2, 0.195_238_095_2]),
        (&[4, 4], [0.063_095_238_1, 0.047_321_428_6, 0.697_916_666_7, 0.080_952_381_0, 0.110_714_285_7]),
        (&[0, 1, 2], [0.258_333_333_3, 0.500_568_181_8, 0.088_068_181_8, 0.091_666_666_7, 0.061_363_636_4]),
        (&[3, 3], [0.111_111_111_1, 0.097_222_222_2, 0.069_444_444_4, 0.111_111_111_1, 0.611_111_111_1]),
        (&[4, 2, 0], [0.090_277_777_8, 0.239_583_333_3, 0.142_361_111_1, 0.069_444_444_4, 0.458_333_333_3]),
    ] {
        for (token, want) in law.into_iter().enumerate() {
            let got = model.probability(text, token as u32);
            assert!((got - want).abs() < 1e-9, "{text:?} {token}: {got} for {want}");
        }
    }
}
