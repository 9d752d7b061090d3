use super::*;
use crate::losses::PairWeight;
use ndarray::{Array2, array};
use quadrat_core::Silent;

/// Documents of a few words of 60 that say what they are about, and words that say nothing; queries have some of both, so that
/// training has to find out which are which.
struct Synthetic {
    documents: Csr,
    queries: [Csr; 2],
    relevant: [Lists; 2],
}

impl Synthetic {
    fn new() -> Synthetic {
        let mut rng = Seed(5).rng(0);
        let mut texts = Vec::new();
        let mut queries = [Vec::new(), Vec::new()];
        let mut relevant = [Lists::default(), Lists::default()];
        for document in 0..240_u32 {
            let mut noise = |n: usize| -> Vec<String> { (0..n).map(|_| format!("n{}", rng.below(80))).collect() };
            let (mut text, mut query) = (noise(6), noise(4));
            let about = rng.sample(60, 4);
            text.extend(about.iter().map(|word| format!("w{word}")));
            query.extend(about.iter().take(3).map(|word| format!("w{word}")));
            texts.push(text.join(" "));
            // A third is held back.
            let part = usize::from(document % 3 == 0);
            queries[part].push(query.join(" "));
            relevant[part].push([document]);
        }
        let vocabulary = Vocabulary::learn(texts.iter().map(String::as_str)).unwrap();
        Synthetic {
            documents: vocabulary.bags(&texts),
            queries: queries.map(|texts| vocabulary.bags(&texts)),
            relevant,
        }
    }

    fn task(&self) -> Task<'_> {
        Task { documents: &self.documents, queries: &self.queries[0], relevant: &self.relevant[0] }
    }

    fn start(&self) -> DualEncoder {
        DualEncoder::start(&self.documents, &self.queries[0], 24, 2.0, Seed(1)).unwrap()
    }

    fn quality(&self, encoder: &DualEncoder) -> Quality {
        let (documents, queries) = (encoder.documents(&self.documents), encoder.queries(&self.queries[1]));
        quality(documents.view(), queries.view(), &self.relevant[1], &Silent).unwrap()
    }
}

const SOURCES: [Negatives; 5] =
    [Negatives::Star, Negatives::InBatch, Negatives::Random, Negatives::Static, Negatives::Refreshed { every: 20 }];

fn short(negatives: Negatives) -> Star {
    Star { negatives, mined: 50, warm_up: 60, steps: 90, batch: 32, ..Star::default() }
}

const SHORT: fn() -> Adore = || Adore { k: 50, steps: 100, batch: 32, ..Adore::default() };

#[test]
fn training_finds_what_was_held_back() {
    let data = Synthetic::new();
    let before = data.quality(&data.start());
    for negatives in SOURCES {
        let mut encoder = data.start();
        let losses = short(negatives).train(&mut encoder, &data.task(), Seed(2), &Silent).unwrap();
        assert_eq!(losses.len(), 150);
        if matches!(negatives, Negatives::InBatch | Negatives::Random) {
            let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
            assert!(mean(&losses[130..]) < 0.7 * mean(&losses[..20]), "{negatives:?}: {losses:?}");
        }
        let after = data.quality(&encoder);
        assert!(after.mrr_at_10 > before.mrr_at_10 + 0.05, "{negatives:?}: {before:?} {after:?}");
    }
    for weight in [PairWeight::Mrr, PairWeight::Ndcg, PairWeight::One] {
        let mut encoder = data.start();
        Adore { weight, ..SHORT() }.train(&mut encoder, &data.task(), Seed(2), &Silent).unwrap();
        let after = data.quality(&encoder);
        assert!(after.mrr_at_10 > before.mrr_at_10 + 0.02, "{weight:?}: {before:?} {after:?}");
    }
}

#[test]
fn adore_leaves_the_documents_alone() {
    let data = Synthetic::new();
    let start = data.start();
    let mut encoder = start.clone();
    SHORT().train(&mut encoder, &data.task(), Seed(3), &Silent).unwrap();
    assert_eq!(encoder.documents(&data.documents), start.documents(&data.documents));
    assert_ne!(encoder.queries(&data.queries[0]), start.queries(&data.queries[0]));
    let error = Star::default().train(&mut encoder, &data.task(), Seed(3), &Silent).unwrap_err().to_string();
    assert!(error.contains("adore"), "{error}");
}

#[test]
fn bits_do_not_depend_on_threads() {
    let data = Synthetic::new();
    let run = |threads: usize, seed: u64| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut encoder = data.start();
            let star = Star { warm_up: 5, steps: 10, ..short(Negatives::Star) };
            star.train(&mut encoder, &data.task(), Seed(seed), &Silent).unwrap();
            Adore { steps: 10, ..SHORT() }.train(&mut encoder, &data.task(), Seed(seed), &Silent).unwrap();
            encoder
        })
    };
    assert_eq!(run(1, 4), run(2, 4));
    assert_ne!(run(1, 4), run(1, 5));
}

#[test]
fn the_first_scores_have_the_spread_asked_for() {
    let data = Synthetic::new();
    let encoder = data.start();
    let scores = encoder.queries(&data.queries[0]).dot(&encoder.documents(&data.documents).t());
    let scores: Vec<f64> = scores.iter().map(|score| f64::from(*score)).collect();
    assert!((stats::standard_deviation(&scores) - 2.0).abs() < 1e-3, "{}", stats::standard_deviation(&scores));
    // Scores are a multiple of those of all words' bags projected on the directions: more dims than the rank change nothing.
    let wide = |dims| DualEncoder::start(&data.documents, &data.queries[0], dims, 2.0, Seed(1)).unwrap();
    assert_eq!(wide(10_000).words().ncols(), data.documents.cols);
}

#[test]
fn a_steps_slope_agrees_with_differences() {
    let mut rng = Seed(6).rng(0);
    let mut matrix =
        |rows, columns| Array2::from_shape_simple_fn((rows, columns), || (rng.normal() * 64.0).round() as f32 / 64.0);
    let (documents, queries) = (matrix(12, 3), matrix(4, 3));
    let relevant: Lists = [vec![0, 3], vec![11], vec![5], vec![7, 8, 9]].into_iter().collect();
    // All documents are found, so that their order alone may change.
    for (weight, k, append_missing) in [(PairWeight::One, 12, false), (PairWeight::One, 3, true)] {
        let adore = Adore { k, weight, append_missing, ..Adore::default() };
        let step = |queries: &Array2<f32>| adore.step(documents.view(), queries.view(), &relevant, &Silent).unwrap();
        let found = step(&queries);
        for (place, slope) in found.slope.indexed_iter() {
            let h = 1.0 / 4096.0;
            let moved = |by: f32| {
                let mut queries = queries.clone();
                queries[place] += by;
                step(&queries).value
            };
            let difference = (moved(h) - moved(-h)) / (2.0 * f64::from(h));
            assert!((difference - f64::from(*slope)).abs() < 1e-3, "{weight:?}: {difference} {slope}");
        }
    }
}

#[test]
fn missing_relevant_documents_stand_behind_the_list() {
    let documents = array![[3.0], [2.0], [1.0], [0.0]];
    let relevant: Lists = [vec![3], vec![0, 3]].into_iter().collect();
    let queries = array![[1.0], [1.0]];
    let value = |append_missing| {
        let adore = Adore { k: 2, weight: PairWeight::One, append_missing, ..Adore::default() };
        adore.step(documents.view(), queries.view(), &relevant, &Silent).unwrap().value
    };
    let soft = |margin: f64| (-margin).exp().ln_1p();
    // Lists 0 1 3, and 0 1 or 0 1 3.
    let first = (soft(-3.0) + soft(-2.0)) / 2.0;
    assert!((value(false) - (first + soft(1.0)) / 2.0).abs() < 1e-6);
    assert!((value(true) - (first + (soft(1.0) + soft(-2.0)) / 2.0) / 2.0).abs() < 1e-6);
}

#[test]
fn alpha_weighs_the_two_means() {
    let data = Synthetic::new();
    let first = |alpha| {
        let star = Star { alpha, steps: 1, warm_up: 0, ..short(Negatives::Star) };
        star.train(&mut data.start(), &data.task(), Seed(2), &Silent).unwrap()[0]
    };
    let (hard, both, pooled) = (first(Some(0.0)), first(Some(1.0)), first(None));
    let within = both - hard;
    assert!((first(Some(0.5)) - (hard + 0.5 * within)).abs() < 1e-9);
    assert!(within.min(hard) < pooled && pooled < within.max(hard), "{within} {hard} {pooled}");
}

#[test]
fn what_does_not_fit_is_refused() {
    let data = Synthetic::new();
    let task = data.task();
    let lists = |first: Vec<u32>| -> Lists {
        std::iter::once(first).chain(task.relevant.iter().skip(1).map(<[u32]>::to_vec)).collect()
    };
    let (none, strange, few) = (lists(vec![]), lists(vec![240]), Lists::default());
    let other = Csr::new(3);
    for (bad, part) in [
        (Task { relevant: &none, ..task }, "query 0 (from 0): got no relevant document"),
        (Task { relevant: &strange, ..task }, "rows are 0 to 239"),
        (Task { relevant: &few, ..task }, "one for each of 160 queries"),
        (Task { documents: &other, ..task }, "at least one of each"),
    ] {
        for name in ["star", "adore"] {
            let method = build(name, &Params::none()).unwrap();
            let error = method.train(&mut data.start(), &bad, Seed(0), &Silent).unwrap_err().to_string();
            assert!(error.contains(part), "{name}: {error}");
        }
    }
    let error = |params: &[(&str, &str)], name: &str| {
        let method = build(name, &params.iter().copied().collect());
        method.and_then(|m| m.train(&mut data.start(), &task, Seed(0), &Silent)).unwrap_err().to_string()
    };
    assert!(error(&[("mined", "240"), ("warm-up", "0")], "star").contains("only 239 rows"));
    assert!(error(&[("k", "241")], "adore").contains("240 documents"));
    assert!(error(&[("alpha", "-1")], "star").contains("alpha"));
    assert!(error(&[("negatives", "lexical")], "star").contains("in-batch"));
    assert!(Vocabulary::learn(["a b", "c"]).unwrap_err().to_string().contains("2 texts"));
}
