//! Impacts in place of counts.

use super::*;
use crate::{Asked, Impacts, WeighedDocument};
use proptest::strategy::Strategy as _;
use quadrat_core::Seed;

fn setup(impacts: Impacts) -> Setup {
    Setup::of(Kind::Impacts { analyser: Analyser::default(), impacts, column: "weights".into() })
}

fn weighed(id: impl ToString, weights: &[(&str, f32)]) -> WeighedDocument {
    let weights = weights.iter().map(|(word, weight)| ((*word).to_owned(), *weight)).collect();
    WeighedDocument { document: document(id, ""), weights }
}

fn written(folder: &Folder, impacts: Impacts, documents: &[WeighedDocument]) -> Index {
    let mut writer = Writer::create(&folder.0, setup(impacts)).unwrap();
    writer.add_weighed(documents.to_vec()).unwrap();
    writer.commit().unwrap()
}

/// All scores by the definition, the heaviest word first.
fn by_hand(index: &Index, impacts: Impacts, documents: &[WeighedDocument], query: &Query) -> Vec<Hit> {
    let weigh = |word: &str| index.weights.of_query(index.frequency(word), documents.len() as u64);
    let mut words: Vec<(&str, f32)> =
        query.words.iter().map(|(word, weight)| (&**word, weight * weigh(word))).collect();
    words.sort_by(|a, b| b.1.total_cmp(&a.1));
    let mut hits: Vec<Hit> = Vec::new();
    for (number, document) in (0..).zip(documents) {
        let steps = impacts.of(document).unwrap();
        let mut score = 0.0;
        for (word, weight) in &words {
            if let Some(at) = document.weights.iter().position(|(other, _)| other == word) {
                score += weight * steps[at] as f32;
            }
        }
        if score > 0.0 {
            hits.push(Hit { document: number, score: score * impacts.step });
        }
    }
    hits.sort_by(|a, b| b.cmp(a));
    hits
}

/// Bags of words `w0` to `w29` with few different weights, so that equal scores abound, or with many.
fn bags(
    count: impl Into<prop::collection::SizeRange>,
) -> impl proptest::strategy::Strategy<Value = Vec<WeighedDocument>> {
    let word = (0.0_f64..1.0).prop_map(|u| format!("w{}", (30.0 * u * u) as u32));
    let weight = prop_oneof![(0_u32..4).prop_map(|weight| weight as f32), 0.0_f32..9.0];
    let bag = prop::collection::btree_map(word, weight, 0..12);
    let named = |bags: Vec<BTreeMap<String, f32>>| {
        let named = bags.into_iter().enumerate();
        named
            .map(|(id, bag)| WeighedDocument { document: document(id, ""), weights: bag.into_iter().collect() })
            .collect()
    };
    prop::collection::vec(bag, count).prop_map(named)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_strategy_finds_the_same(documents in bags(1..600), query in texts(1), k in 1_usize..40,
                                     asked in prop::sample::select(vec![Asked::Idf, Asked::One])) {
        let folder = Folder::new("impacts");
        let impacts = Impacts::up_to(9.0, asked).unwrap();
        let index = written(&folder, impacts, &documents);
        prop_assert_eq!(index.len(), documents.len());
        let query = index.query(&query[0]);
        let mut expected = by_hand(&index, impacts, &documents, &query);
        let third = Set::of(documents.len(), (0..documents.len()).step_by(3));
        let of_third: Vec<Hit> = expected.iter().copied().filter(|hit| third.has(hit.document as usize)).take(k).collect();
        expected.truncate(k);
        for strategy in STRATEGIES {
            prop_assert_eq!(&index.search(&query, k, Search { strategy, only: None }).unwrap(), &expected, "{:?}", strategy);
            prop_assert_eq!(&index.search(&query, k, Search { strategy, only: Some(&third) }).unwrap(), &of_third, "{:?}", strategy);
        }
    }

    #[test]
    fn history_leaves_no_trace(documents in bags(1..120), cut in any::<prop::sample::Index>(), gone in prop::collection::vec(any::<prop::sample::Index>(), 0..30),
                               query in texts(1)) {
        let (folder, fresh) = (Folder::new("impacts-history"), Folder::new("impacts-fresh"));
        let impacts = Impacts::up_to(9.0, Asked::Idf).unwrap();
        let (first, second) = documents.split_at(cut.index(documents.len()));
        drop(written(&folder, impacts, first));
        let mut writer = Writer::open(&folder.0).unwrap();
        writer.add_weighed(second.to_vec()).unwrap();
        let mut left = documents.clone();
        for at in gone {
            if !left.is_empty() {
                prop_assert!(writer.delete(&left.remove(at.index(left.len())).document.id).unwrap());
            }
        }
        let (index, fresh) = (writer.commit().unwrap(), written(&fresh, impacts, &left));
        prop_assert_eq!((index.len(), index.mean_length()), (fresh.len(), fresh.mean_length()));
        let named = |index: &Index| -> Vec<(String, f32)> {
            let hits = index.search(&index.query(&query[0]), 20, Search::default()).unwrap();
            hits.into_iter().map(|hit| (index.id(hit.document).to_owned(), hit.score)).collect()
        };
        prop_assert_eq!(named(&index), named(&fresh));
    }
}

/// BM25 is a bag of weights f / (f + K) for each document, and idf for the question's words.
#[test]
fn bm25_is_a_case_of_it() {
    let (folder, of_impacts) = (Folder::new("bm25"), Folder::new("bm25-impacts"));
    let mut rng = Seed(3).rng(0);
    let texts: Vec<String> = (0..500)
        .map(|_| {
            (0..rng.below(15))
                .map(|_| format!("w{}", (60.0 * rng.uniform().powi(2)) as u32))
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect();
    let index = index_of(&folder, kind(Form::Lucene), &texts.iter().map(String::as_str).collect::<Vec<_>>());
    let Kind::Bm25 { bm25, .. } = kind(Form::Lucene) else { panic!() };
    let bags: Vec<BTreeMap<&str, f32>> = texts
        .iter()
        .map(|text| {
            let norm = bm25.norm(text.split_whitespace().count() as u32, index.mean_length());
            let mut bag: BTreeMap<&str, f32> = BTreeMap::new();
            text.split_whitespace().for_each(|word| *bag.entry(word).or_default() += 1.0);
            bag.values_mut().for_each(|f| *f /= *f + norm);
            bag
        })
        .collect();
    let documents: Vec<WeighedDocument> = bags
        .iter()
        .enumerate()
        .map(|(id, bag)| weighed(id, &bag.iter().map(|(word, weight)| (*word, *weight)).collect::<Vec<_>>()))
        .collect();
    let quantised = written(&of_impacts, Impacts::up_to(1.0, Asked::Idf).unwrap(), &documents);
    for query in (0..60).map(|i| index.query(&format!("w{i} w{} w{} w{}", i / 2, i / 7, (i * 7) % 60))) {
        let query = Query { words: query.words.into_iter().map(|(word, _)| (word, 1.0)).collect() };
        // Before it is quantised: the same scores, and hence the same ranking but for ties of rounding.
        let mut words: Vec<(&str, f32)> =
            query.words.iter().map(|(word, _)| (&**word, bm25.weight(index.frequency(word).max(1), 500))).collect();
        words.sort_by(|a, b| b.1.total_cmp(&a.1));
        let product = |bag: &BTreeMap<&str, f32>| {
            words.iter().fold(0.0_f32, |sum, (word, weight)| sum + weight * bag.get(word).copied().unwrap_or(0.0))
        };
        let mut expected: Vec<Hit> = (0..)
            .zip(&bags)
            .map(|(document, bag)| Hit { document, score: product(bag) })
            .filter(|hit| hit.score > 0.0)
            .collect();
        expected.sort_by(|a, b| b.cmp(a));
        expected.truncate(20);
        assert_eq!(index.search(&query, 20, Search::default()).unwrap(), expected);
        // After: within half a step for each word.
        let within: f32 = words.iter().map(|(_, weight)| weight / 510.0).sum::<f32>() * 1.001;
        for hit in quantised.search(&query, 20, Search::default()).unwrap() {
            assert!((hit.score - product(&bags[hit.document as usize])).abs() <= within, "{hit:?}");
        }
    }
}

#[test]
fn a_word_counts_once_and_weighs_what_was_set() {
    let documents = [weighed("a", &[("cat", 2.0), ("dog", 0.5)]), weighed("b", &[("cat", 1.0)]), weighed("c", &[])];
    for (asked, cat) in [(Asked::One, 1.0), (Asked::Idf, (1.0_f32 + 1.5 / 2.5).ln())] {
        let folder = Folder::new("once");
        let index = written(&folder, Impacts::up_to(2.0, asked).unwrap(), &documents);
        let hits = index.search(&index.query("cat cat zebra"), 3, Search::default()).unwrap();
        assert_eq!(hits.iter().map(|hit| hit.document).collect::<Vec<_>>(), [0, 1]);
        assert!((hits[0].score - 2.0 * cat).abs() < 1e-6, "{hits:?} {cat}");
        assert!((hits[1].score - cat).abs() < 0.5 * 2.0 / 255.0, "a step's half: {hits:?} {cat}");
        assert_eq!((index.len(), index.postings(), index.mean_length()), (3, 3, 1.0));
    }
}

#[test]
fn what_is_no_weight_is_refused() {
    let folder = Folder::new("weights");
    let impacts = Impacts::up_to(2.0, Asked::One).unwrap();
    let mut writer = Writer::create(&folder.0, setup(impacts)).unwrap();
    for (weights, part) in [
        (&[("cat", -1.0)][..], "weight of `cat` in document `a`: got -1"),
        (&[("cat", f32::NAN)], "weight of `cat` in document `a`: got NaN"),
        (&[("cat", f32::INFINITY)], "finite"),
        (&[("cat", 1.0), ("cat", 1.0)], "got it twice"),
        (&[("cat", 600.0)], "make the index anew"),
    ] {
        let error = writer.add_weighed(vec![weighed("b", &[]), weighed("a", weights)]).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    let error = writer.add(vec![document("a", "cat")]).unwrap_err().to_string();
    assert!(error.contains("holds impacts"), "{error}");
    writer.add_weighed(vec![weighed("a", &[("cat", 500.0), ("dog", 0.003)])]).unwrap();
    let index = writer.commit().unwrap();
    assert_eq!(index.postings(), 1, "below half a step there is nothing");
    let error = index.search(&index.query("cat"), 0, Search::default()).unwrap_err().to_string();
    assert!(error.contains("k: got 0"), "{error}");
    let error = Impacts::up_to(0.0, Asked::One).unwrap_err().to_string();
    assert!(error.contains("largest weight"), "{error}");
    let texts = Folder::new("weights-texts");
    drop(index_of(&texts, kind(Form::Lucene), &PETS));
    let error = Writer::open(&texts.0).unwrap().add_weighed(vec![weighed("z", &[])]).unwrap_err().to_string();
    assert!(error.contains("counts their words"), "{error}");
}
