use super::*;
use crate::from_fn;
use proptest::prelude::*;

/// By hand, for a small example.
#[test]
fn ratios_by_hand() {
    let text = vec![1, 2, 3, 1, 2, 3, 4];
    let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
    near(type_token_ratio(&text, 96), 4.0 / 7.0);
    near(type_token_ratio(&text, 4), 1.0);
    near(type_token_ratio(&text, 5), 4.0 / 5.0);
    near(distinct(std::slice::from_ref(&text), 2), 4.0 / 6.0);
    near(distinct(&[text.clone(), vec![4, 1]], 2), 5.0 / 7.0);
    near(repetition(&text, 2), 2.0 / 6.0);
    near(repetition(&text, 4), 0.0);
    for nothing in [
        type_token_ratio(&[], 9),
        type_token_ratio(&text, 0),
        distinct(&[], 1),
        distinct(std::slice::from_ref(&text), 0),
        repetition(&text, 8),
    ] {
        assert!(nothing.is_nan());
    }
}

#[test]
fn cycles_at_the_end() {
    let some = |period, tokens| Some(Cycle { period, tokens });
    for (text, found) in [
        (&[][..], None),
        (&[7], None),
        (&[1, 2, 3], None),
        (&[1, 1], some(1, 2)),
        (&[5, 1, 2, 1, 2, 1], some(2, 5)),
        (&[1, 2, 3, 1, 2, 3, 4], None),
        (&[9, 4, 4, 4, 4], some(1, 4)),
        (&[1, 2, 2, 1, 2, 2], some(3, 6)),
    ] {
        assert_eq!(cycle(text), found, "{text:?}");
    }
}

/// nltk 3.10.4: `SmoothingFunction().method2`, `sentence_bleu` of each text against the others, and their mean.
#[test]
fn self_bleu_is_nltks() {
    let a = vec![1, 2, 3, 4, 5, 6];
    for (texts, golden) in NLTK {
        let texts: Vec<Vec<u32>> = texts.iter().map(|text| text.to_vec()).collect();
        let found = self_bleu(&texts).unwrap();
        assert!((found - golden).abs() < 1e-12, "{texts:?}: {found} {golden}");
    }
    assert_eq!(self_bleu(&[a.clone(), a.clone(), a.clone()]).unwrap(), 1.0);
    assert!(self_bleu(&[a]).unwrap_err().to_string().contains("at least 2"));
    assert_eq!(self_bleu(&[vec![], vec![]]).unwrap(), 0.0);
}

#[test]
fn sharpness_of_known_predictions() {
    let model = from_fn(4, |prefix: &[u32], out: &mut [f32]| {
        let certain = [0.0, f32::NEG_INFINITY, f32::NEG_INFINITY, f32::NEG_INFINITY];
        out.copy_from_slice(if prefix.len() % 2 == 1 { &certain } else { &[0.0; 4] });
    });
    let found = sharpness(&model, &[vec![1, 2, 3], vec![0, 0, 0], vec![1]]).unwrap();
    assert_eq!(found, Sharpness { entropy: 4.0_f64.ln() / 2.0, sure: 0.5, positions: 4 });
    assert!(sharpness(&model, &[vec![1]]).unwrap_err().to_string().contains("none of two tokens"));
    assert!(sharpness(&model, &[vec![9, 1]]).is_err());
}

#[test]
fn quotes_by_hand() {
    let sources = Sources::new(&[vec![1, 2, 3, 4], vec![], vec![2, 3, 9, 9, 9]]).unwrap();
    for (text, quote) in [
        (vec![7, 2, 3, 4, 2, 3, 9], Quote { tokens: 3, at: 1, source: 0, from: 1 }),
        (vec![4, 2, 3, 9], Quote { tokens: 3, at: 1, source: 2, from: 0 }),
        (vec![5, 6], Quote::default()),
        (vec![u32::MAX, 6], Quote::default()),
        (vec![], Quote::default()),
    ] {
        assert_eq!(sources.longest_quotes(&[text]), [quote]);
    }
    assert_eq!(Sources::new(&[]).unwrap().longest_quote(&[1]), Quote::default());
    assert!(Sources::new(&[vec![u32::MAX]]).unwrap_err().to_string().contains("below 2^32 - 1"));
}

/// A text that repeats one token as often as suffixes can agree: doubling is not quadratic in it.
#[test]
fn repeating_sources_are_indexed_in_no_time() {
    let sources = Sources::new(&[vec![3; 100_000]]).unwrap();
    assert_eq!(sources.longest_quote(&[1, 3, 3, 3]).tokens, 3);
    let cyclic: Vec<u32> = (0..100_000).map(|i| i % 7).collect();
    assert_eq!(cycle(&cyclic), Some(Cycle { period: 7, tokens: 100_000 }));
}

/// Self-BLEU as it is defined: each text against all others.
fn plain_self_bleu(texts: &[Vec<u32>]) -> f64 {
    let count = |text: &[u32], gram: &[u32]| text.windows(gram.len()).filter(|other| *other == gram).count();
    let bleu = |i: usize| {
        let (text, others) = (&texts[i], texts.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, text)| text));
        let mut log = 0.0;
        for n in 1..=4 {
            let different: HashSet<&[u32]> = text.windows(n).collect();
            let most = |gram: &[u32]| others.clone().map(|other| count(other, gram)).max().unwrap();
            let matches: usize = different.iter().map(|gram| count(text, gram).min(most(gram))).sum();
            let more = usize::from(n > 1);
            log += ((matches + more) as f64 / (text.windows(n).count().max(1) + more) as f64).ln() / 4.0;
        }
        let nearest = others.clone().map(Vec::len).min_by_key(|length| (length.abs_diff(text.len()), *length)).unwrap();
        let brevity = if text.len() >= nearest { 1.0 } else { (1.0 - nearest as f64 / text.len() as f64).exp() };
        log.exp() * brevity
    };
    (0..texts.len()).map(bleu).sum::<f64>() / texts.len() as f64
}

proptest! {
    #[test]
    fn self_bleu_is_its_definition(texts in prop::collection::vec(prop::collection::vec(0u32..5, 0..12), 2..7)) {
        let (found, plain) = (self_bleu(&texts).unwrap(), plain_self_bleu(&texts));
        prop_assert!((found - plain).abs() < 1e-12, "{found} {plain}");
    }

    #[test]
    fn quotes_are_the_longest_there_are(
        sources in prop::collection::vec(prop::collection::vec(0u32..3, 0..15), 0..4),
        text in prop::collection::vec(0u32..4, 0..10)
    ) {
        let quote = Sources::new(&sources).unwrap().longest_quote(&text);
        let shared = |n: usize| text.windows(n.max(1)).any(|own| sources.iter().any(|source| source.windows(n.max(1)).any(|w| w == own)));
        prop_assert!(!shared(quote.tokens + 1));
        if quote.tokens > 0 {
            let there = &sources[quote.source][quote.from..quote.from + quote.tokens];
            prop_assert_eq!(there, &text[quote.at..quote.at + quote.tokens]);
        }
    }

    #[test]
    fn cycles_are_the_longest_there_are(text in prop::collection::vec(0u32..3, 0..20)) {
        let n = text.len();
        let covered = |p: usize| (0..n - p).take_while(|k| text[n - 1 - k] == text[n - 1 - k - p]).count();
        let all = (1..n.max(1)).map(|p| (p, covered(p))).filter(|(p, k)| k >= p);
        let best = all.map(|(p, k)| Cycle { period: p, tokens: p + k }).max_by_key(|c| (c.tokens, usize::MAX - c.period));
        prop_assert_eq!(cycle(&text), best);
    }
}

/// Texts, and what nltk says of them.
const NLTK: &[(&[&[u32]], f64)] = &[
    (&[&[1, 2, 3, 4, 5, 6], &[1, 2, 3, 4, 9], &[7, 2, 3, 4, 5, 6, 1]], 0.7730851435955683),
    (&[&[1, 2], &[1, 2, 3], &[2, 1]], 0.6263535359591779),
    (&[&[1], &[1, 1, 1]], 0.24435956566590358),
    (&[&[1, 2, 3], &[4, 5, 6]], 0.0),
    (
        &[
            &[2, 0, 5, 3, 3, 1],
            &[0, 0, 3, 4],
            &[0, 1, 4, 4, 2, 2, 1],
            &[2, 1, 0, 5],
            &[2, 1, 1, 2, 2, 5, 5],
            &[0, 4, 2, 5, 3, 4, 1, 1],
            &[3, 2, 0, 4, 2, 0],
            &[4, 5, 2, 4, 1, 3, 3],
        ],
        0.4546632033964337,
    ),
];
