use super::super::{DualEncoder, Lexicon, Vocabulary};
use super::*;
use ndarray::array;
use proptest::prelude::*;
use quadrat_core::Silent;

/// Penalty and slope as sentence-transformers' `FlopsLoss` computes them, with and without `threshold=2`.
#[test]
fn flops_is_what_sentence_transformers_computes() {
    let weights = array![[0.5, 0.0, 1.25, 0.0], [0.0, 0.75, 2.0, 0.0], [0.25, 1.0, 0.5, 3.0]];
    let all = flops(weights.view(), None);
    assert!((all.value - 2.965_277_777_777_777_7).abs() < 1e-12, "{}", all.value);
    let spared = flops(weights.view(), Some(2));
    assert!((spared.value - 1.145_833_333_333_333_3).abs() < 1e-12, "{}", spared.value);
    let close = |found: &Array2<f32>, row: usize, expected: [f32; 4]| {
        found.row(row).iter().zip(expected).for_each(|(found, expected)| assert!((found - expected).abs() < 1e-4));
    };
    (0..3).for_each(|row| close(&all.slope, row, [0.1667, 0.3889, 0.8333, 0.6667]));
    close(&spared.slope, 2, [0.0556, 0.2222, 0.1111, 0.6667]);
    (0..2).for_each(|row| close(&spared.slope, row, [0.0; 4]));
    let l1 = l1(weights.view());
    assert!((l1.value - 9.25 / 3.0).abs() < 1e-12 && l1.slope.iter().all(|slope| (slope - 1.0 / 3.0).abs() < 1e-6));
}

proptest! {
    /// FLOPS of the weights is that of what they add to scores, each word's share divided by idf^2.
    #[test]
    fn idf_enters_through_the_match(seed in any::<u64>(), documents in 1..9_usize, words in 1..9_usize) {
        let mut rng = Seed(seed).rng(0);
        let idf: Vec<f64> = (0..words).map(|_| 0.1 + 9.0 * rng.uniform()).collect();
        let weights = Array2::from_shape_simple_fn((documents, words), || rng.uniform() as f32);
        let found = flops(weights.view(), None).value;
        let share = |t: usize| {
            let added: f64 = weights.column(t).iter().map(|w| idf[t] * f64::from(*w)).sum::<f64>() / documents as f64;
            added * added / (idf[t] * idf[t])
        };
        prop_assert!((found - (0..words).map(share).sum::<f64>()).abs() < 1e-6 * found.max(1.0));
    }
}

/// Documents of a few words; a query shares one of them, and has a word that no document has, but which goes with another.
struct Synthetic {
    lexicon: Lexicon,
    documents: Csr,
    queries: [Csr; 2],
    relevant: [Lists; 2],
    dense: (Array2<f32>, Array2<f32>),
}

impl Synthetic {
    fn new() -> Synthetic {
        let mut rng = Seed(5).rng(0);
        let (mut texts, mut asked) = (Vec::new(), [Vec::new(), Vec::new()]);
        let mut relevant = [Lists::default(), Lists::default()];
        for document in 0..240_u32 {
            let about = rng.sample(40, 3);
            let noise: Vec<String> = (0..4).map(|_| format!("n{}", rng.below(8))).collect();
            texts.push(format!("w{} w{} w{} {}", about[0], about[1], about[2], noise.join(" ")));
            // The others' words have a synonym that only queries use. A third is held back.
            let part = usize::from(document % 3 == 0);
            asked[part].push(format!("w{} s{} {}", about[0], about[1], noise[0]));
            relevant[part].push([document]);
        }
        let lexicon = Lexicon::learn(&texts, &asked[0]).unwrap();
        let vocabulary = Vocabulary::learn(texts.iter().chain(&asked[0]).map(String::as_str)).unwrap();
        let (bags, of_queries) = (vocabulary.bags(&texts), vocabulary.bags(&asked[0]));
        let mut encoder = DualEncoder::start(&bags, &of_queries, 24, 2.0, Seed(1)).unwrap();
        let task = super::super::Task { documents: &bags, queries: &of_queries, relevant: &relevant[0] };
        let star = super::super::Star { mined: 50, warm_up: 60, steps: 90, batch: 32, ..Default::default() };
        super::super::RetrieverTraining::train(&star, &mut encoder, &task, Seed(2), &Silent).unwrap();
        let dense = (encoder.documents(&bags), encoder.queries(&of_queries));
        let documents = lexicon.documents(&texts);
        let queries = asked.map(|texts| lexicon.queries(&texts));
        Synthetic { lexicon, documents, queries, relevant, dense }
    }

    fn task(&self) -> SparseTask<'_> {
        let dense = Some((self.dense.0.view(), self.dense.1.view()));
        SparseTask { documents: &self.documents, queries: &self.queries[0], relevant: &self.relevant[0], dense }
    }

    fn start(&self, asked: Asked) -> BowExpander {
        BowExpander::start(&self.documents, self.lexicon.idf(), asked, 16, Seed(1)).unwrap()
    }

    fn quality(&self, documents: &Csr) -> f64 {
        quality_of_bags(documents, &self.queries[1], &self.relevant[1]).unwrap().mrr_at_10
    }
}

const SHORT: fn() -> InferenceFreeSparse = || InferenceFreeSparse {
    lambda: 0.1,
    mined: 20,
    steps: 150,
    ramp: 50,
    batch: 16,
    rate: 0.002,
    ..InferenceFreeSparse::default()
};

#[test]
fn training_finds_words_that_documents_lack() {
    let data = Synthetic::new();
    let bm25 = data.start(Asked::Idf).bm25(&data.documents);
    let before = data.quality(&bm25);
    for method in [
        SHORT(),
        InferenceFreeSparse { query_weights: Asked::One, lambda: 0.01, ..SHORT() },
        InferenceFreeSparse { target: Target::InfoNce, ..SHORT() },
        InferenceFreeSparse { penalty: Sparsifier::L1, lambda: 0.01, ..SHORT() },
        InferenceFreeSparse { target: Target::Distil { teachers: Teachers::Dense, scale: Some(30.0) }, ..SHORT() },
    ] {
        let mut student = data.start(method.query_weights);
        let losses = method.train(&mut student, &data.task(), Seed(2), &Silent).unwrap();
        assert_eq!(losses.len(), 150);
        let after = data.quality(&student.encode(&data.documents, 0.02));
        assert!(after > before + 0.05, "{method:?}: {before} {after}");
    }
}

#[test]
fn training_starts_near_bm25_whatever_queries_weigh() {
    let data = Synthetic::new();
    let bm25 = data.start(Asked::Idf).bm25(&data.documents);
    let [idf, one] = [Asked::Idf, Asked::One].map(|asked| data.start(asked).encode(&data.documents, 0.0));
    assert_eq!(idf.indices, one.indices);
    assert!(idf.values.iter().zip(&one.values).all(|(a, b)| (a - b).abs() < 1e-4));
    for document in 0..data.documents.rows() {
        let (words, weights) = bm25.row(document);
        let (expanded, added) = idf.row(document);
        for (word, weight) in words.iter().zip(weights) {
            let found = added[expanded.binary_search(word).unwrap()];
            assert!((found - weight).abs() <= 0.2 * weight.max(1.0), "{found} {weight}");
        }
    }
    // The sum over a query's words is BM25's score.
    let found = search_bags(&bm25, &data.queries[0], 3);
    assert!(found.iter().all(|found| found.len() == 3));
}

#[test]
fn a_larger_penalty_leaves_fewer_words() {
    let data = Synthetic::new();
    let of = |lambda: f64| {
        let mut student = data.start(Asked::Idf);
        InferenceFreeSparse { lambda, ..SHORT() }.train(&mut student, &data.task(), Seed(2), &Silent).unwrap();
        Sparsity::of(&student.encode(&data.documents, 0.02), &data.queries[1])
    };
    let [free, some, much] = [0.0, 1.0, 1000.0].map(of);
    assert!(free.flops > some.flops && some.flops > much.flops, "{free:?} {some:?} {much:?}");
    assert!(free.active > much.active && much.dead > free.dead, "{free:?} {much:?}");
}

#[test]
fn bits_do_not_depend_on_threads() {
    let data = Synthetic::new();
    let run = |threads: usize, seed: u64| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut student = data.start(Asked::Idf);
            InferenceFreeSparse { steps: 10, ..SHORT() }
                .train(&mut student, &data.task(), Seed(seed), &Silent)
                .unwrap();
            (student.encode(&data.documents, 0.0), student)
        })
    };
    assert_eq!(run(1, 4), run(2, 4));
    assert_ne!(run(1, 4), run(1, 5));
}

#[test]
fn what_does_not_fit_is_refused() {
    let data = Synthetic::new();
    let task = data.task();
    let few = Csr::new(3);
    let bad_rows = (data.dense.0.view(), data.dense.0.view());
    for (bad, part) in [
        (SparseTask { queries: &few, ..task }, "at least one of each"),
        (SparseTask { dense: None, ..task }, "teachers=sparse"),
        (SparseTask { dense: Some(bad_rows), ..task }, "a row for each of 240 and 160"),
        (SparseTask { relevant: &data.relevant[1], ..task }, "one for each of 160 queries"),
    ] {
        let error = SHORT().train(&mut data.start(Asked::Idf), &bad, Seed(0), &Silent).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    let error = BowExpander::start(&data.documents, &[1.0], Asked::Idf, 4, Seed(0)).unwrap_err().to_string();
    assert!(error.contains("one for each of"), "{error}");
    let error = Lexicon::learn(&["?".to_owned()], &[]).unwrap_err().to_string();
    assert!(error.contains("no word in 1"), "{error}");
}
