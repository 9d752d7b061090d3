use super::search::Strategy;
use super::*;
use crate::bm25::{Form, Lifted, Saturating};
use crate::{Bm25, Kind};
use proptest::prelude::*;
use quadrat_core::Silent;
use std::collections::BTreeMap;
use std::path::PathBuf;

mod impacts;

/// A folder that is removed afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("quadrat-index-{name}-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn kind(form: Form) -> Kind {
    let bm25 = Bm25 { k1: 1.5, b: 0.75, form, delta: 0.5 };
    Kind::Bm25 { analyser: Analyser::default(), bm25 }
}

fn document(id: impl ToString, text: &str) -> Document {
    Document { id: id.to_string(), text: text.to_owned() }
}

fn index_of(folder: &Folder, kind: Kind, texts: &[&str]) -> Index {
    let mut writer = Writer::create(&folder.0, Setup::of(kind)).unwrap();
    writer.add(texts.iter().enumerate().map(|(id, text)| document(format!("d{id}"), text)).collect()).unwrap();
    writer.commit().unwrap()
}

const PETS: [&str; 5] = ["cat mat", "dog cat cat", "dog dog dog fox", "fox", "cow cat mat dog hen"];

/// Scores of bm25s 0.3.16 (k1 1.5, b 0.75, delta 0.5) for the five documents, and of its own words for those without one.
#[test]
fn scores_are_those_of_bm25s() {
    let lucene = [
        ("cat", [0.253645, 0.307998, 0.0, 0.0, 0.165845]),
        ("dog", [0.0, 0.215599, 0.331690, 0.0, 0.165845]),
        ("cow", [0.0, 0.0, 0.0, 0.0, 0.426552]),
    ];
    let atire = [
        ("cat", [0.600971, 0.729751, 0.0, 0.0, 0.392943]),
        ("dog", [0.0, 0.510826, 0.785886, 0.0, 0.392943]),
        ("cow", [0.0, 0.0, 0.0, 0.0, 1.238029]),
    ];
    let robertson = [("cat", [0.0; 5]), ("dog", [0.0; 5]), ("cow", [0.0, 0.0, 0.0, 0.0, 0.338035])];
    let l = [
        ("cat", [0.741120, 0.842182, 0.336873, 0.336873, 0.589527]),
        ("dog", [0.336873, 0.673746, 0.888118, 0.336873, 0.589527]),
        ("cow", [0.866434, 0.866434, 0.866434, 0.866434, 1.516259]),
    ];
    let plus = [
        ("cat", [1.162041, 1.336784, 0.346574, 0.346574, 0.879764]),
        ("dog", [0.346574, 1.039721, 1.412954, 0.346574, 0.879764]),
        ("cow", [0.895880, 0.895880, 0.895880, 0.895880, 2.274156]),
    ];
    for (form, expected) in
        [(Form::Lucene, lucene), (Form::Atire, atire), (Form::Robertson, robertson), (Form::L, l), (Form::Plus, plus)]
    {
        let folder = Folder::new("golden");
        let index = index_of(&folder, kind(form), &PETS);
        for (word, scores) in expected {
            let hits = index.search(&index.query(word), 5, Search::default()).unwrap();
            for hit in &hits {
                let expected: f64 = scores[hit.document as usize];
                assert!((f64::from(hit.score) - expected).abs() < 2e-6, "{form:?} {word}: {hit:?}, not {expected}");
            }
            // Documents without the word are not found; there all have the same score, the lowest.
            let lowest = scores.iter().copied().fold(f64::INFINITY, f64::min);
            let above = scores.iter().filter(|score| **score > lowest).count();
            assert_eq!(hits.len(), above, "{form:?} {word}");
        }
    }
}

#[test]
fn words_count_as_often_as_they_are_asked() {
    let folder = Folder::new("repeated");
    let index = index_of(&folder, kind(Form::Lucene), &PETS);
    let score = |text: &str| index.search(&index.query(text), 1, Search::default()).unwrap()[0].score;
    assert_eq!(score("cow cow zebra"), 2.0 * score("cow"));
    assert!(index.search(&index.query("zebra"), 3, Search::default()).unwrap().is_empty());
    assert!(index.search(&index.query(""), 3, Search::default()).unwrap().is_empty());
}

#[test]
fn wrong_questions_are_refused() {
    let folder = Folder::new("wrong");
    let index = index_of(&folder, kind(Form::Lucene), &PETS);
    let weighed = |weight: f32| Query { words: vec![("cat".into(), weight)] };
    let short = Set::none(3);
    for (query, k, only, part) in [
        (weighed(1.0), 0, None, "k: got 0"),
        (weighed(-1.0), 3, None, "weight of `cat`"),
        (weighed(f32::NAN), 3, None, "weight of `cat`"),
        (weighed(f32::INFINITY), 3, None, "weight of `cat`"),
        (weighed(1.0), 3, Some(&short), "a set of this index's 5 numbers"),
    ] {
        let error = index.search(&query, k, Search { only, ..Search::default() }).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    assert!(index.search(&weighed(0.0), 3, Search::default()).unwrap().is_empty());
    assert_eq!(index.search(&weighed(1.0), 100, Search::default()).unwrap().len(), 3);
}

/// All scores by the definition, the heaviest word first.
fn by_hand(index: &Index, query: &Query) -> Vec<Hit> {
    let (Weights::Bm25(bm25), analyser) = (index.weights, index.analyser) else { panic!("an index of texts") };
    let mut words: Vec<(&str, f32)> = Vec::new();
    for (word, weight) in &query.words {
        words.push((word, weight * bm25.weight(index.frequency(word), index.len() as u64)));
    }
    words.sort_by(|a, b| b.1.total_cmp(&a.1));
    let mut hits: Vec<Hit> = Vec::new();
    for document in (0..index.numbers() as u32).filter(|document| index.segments.has(*document)) {
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        let mut length = 0;
        analyser.words(index.text(document), |word| {
            *counts.entry(word.to_owned()).or_default() += 1;
            length += 1;
        });
        let norm = bm25.norm(length, index.mean_length());
        let mut score = 0.0;
        for (word, weight) in &words {
            if let Some(count) = counts.get(*word) {
                let saturating = Saturating { bm25, mean: 1.0, norms: &[norm] };
                score += match bm25.form {
                    Form::L => Lifted(saturating).weigh(*weight, *count, 0),
                    _ => saturating.weigh(*weight, *count, 0),
                };
            }
        }
        if score > 0.0 {
            hits.push(Hit { document, score });
        }
    }
    hits.sort_by(|a, b| b.cmp(a));
    let absent = |(word, weight): &(String, f32)| match index.frequency(word) {
        0 => 0.0,
        frequency => bm25.absent(weight * bm25.weight(frequency, index.len() as u64)),
    };
    let lacking: f32 = query.words.iter().map(absent).sum();
    hits.iter_mut().for_each(|hit| hit.score += lacking);
    hits
}

const STRATEGIES: [Strategy; 4] = [Strategy::Auto, Strategy::Taat, Strategy::MaxScore, Strategy::BlockMax];

/// Texts of words `w0` to `w29`, the lower the more common, so that equal texts and equal scores abound.
fn texts(count: impl Into<prop::collection::SizeRange>) -> impl proptest::strategy::Strategy<Value = Vec<String>> {
    use proptest::strategy::Strategy;
    let word = (0.0_f64..1.0).prop_map(|u| format!("w{}", (30.0 * u * u) as u32));
    prop::collection::vec(prop::collection::vec(word, 0..12).prop_map(|words| words.join(" ")), count)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_strategy_finds_the_same(texts in texts(1..600), query in texts(1), k in 1_usize..40,
                                     form in prop::sample::select(vec![Form::Lucene, Form::Robertson, Form::Atire, Form::Plus, Form::L])) {
        let folder = Folder::new("strategies");
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let index = index_of(&folder, kind(form), &texts);
        let query = index.query(&query[0]);
        let mut expected = by_hand(&index, &query);
        let third = Set::of(texts.len(), (0..texts.len()).step_by(3));
        let of_third: Vec<Hit> = expected.iter().copied().filter(|hit| third.has(hit.document as usize)).take(k).collect();
        expected.truncate(k);
        for strategy in STRATEGIES {
            prop_assert_eq!(&index.search(&query, k, Search { strategy, only: None }).unwrap(), &expected, "{:?}", strategy);
            prop_assert_eq!(&index.search(&query, k, Search { strategy, only: Some(&third) }).unwrap(), &of_third, "{:?}", strategy);
        }
    }

    /// Whatever is added and deleted in whatever pieces: the ranking is that of an index made from what is left.
    #[test]
    fn history_leaves_no_trace(steps in prop::collection::vec((texts(0..40), prop::collection::vec(any::<prop::sample::Index>(), 0..15)), 1..7),
                               query in texts(1)) {
        let folder = Folder::new("history");
        let mut left: Vec<(String, String)> = Vec::new();
        let (mut index, mut next) = (None, 0);
        for (texts, gone) in steps {
            let mut writer = match index {
                None => Writer::create(&folder.0, Setup::of(kind(Form::Lucene))).unwrap(),
                Some(_) => Writer::open(&folder.0).unwrap(),
            };
            let ids = next..next + texts.len();
            next = ids.end;
            let added: Vec<(String, String)> = ids.map(|id| id.to_string()).zip(texts).collect();
            writer.add(added.iter().map(|(id, text)| document(id, text)).collect()).unwrap();
            left.extend(added);
            for at in gone {
                if !left.is_empty() {
                    let (id, _) = left.remove(at.index(left.len()));
                    prop_assert!(writer.delete(&id).unwrap());
                    prop_assert!(!writer.delete(&id).unwrap());
                }
            }
            index = Some(writer.commit().unwrap());
        }
        let index = index.unwrap();
        prop_assert_eq!(index.len(), left.len());
        let allowed = 2 + left.len().max(1).ilog2() as usize;
        prop_assert!(index.segments() <= allowed, "{} segments of {} documents", index.segments(), left.len());
        let fresh = Folder::new("fresh");
        let mut writer = Writer::create(&fresh.0, Setup::of(kind(Form::Lucene))).unwrap();
        writer.add(left.iter().map(|(id, text)| document(id, text)).collect()).unwrap();
        let fresh = writer.commit().unwrap();
        let query = index.query(&query[0]);
        for strategy in STRATEGIES {
            let named = |index: &Index| -> Vec<(String, f32)> {
                let hits = index.search(&query, 20, Search { strategy, only: None }).unwrap();
                hits.into_iter().map(|hit| (index.id(hit.document).to_owned(), hit.score)).collect()
            };
            prop_assert_eq!(named(&index), named(&fresh), "{:?}", strategy);
        }
    }

    #[test]
    fn a_damaged_file_is_named(at in any::<prop::sample::Index>(), flip in 1_u8..=255) {
        let folder = Folder::new("damaged");
        drop(index_of(&folder, kind(Form::Lucene), &PETS));
        let path = folder.0.join("000001.segment");
        let mut bytes = std::fs::read(&path).unwrap();
        let place = at.index(bytes.len());
        bytes[place] ^= flip;
        std::fs::write(&path, &bytes).unwrap();
        let error = Index::open(&folder.0).unwrap_err().to_string();
        prop_assert!(error.contains("000001.segment"), "{}", error);
        std::fs::write(&path, &bytes[..place]).unwrap();
        prop_assert!(Index::open(&folder.0).is_err());
    }
}

#[test]
fn threads_and_company_change_nothing() {
    let folder = Folder::new("threads");
    let texts: Vec<String> = (0..2000).map(|i| format!("w{} w{} w{} w{}", i % 7, i % 11, i % 13, i % 101)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let index = index_of(&folder, kind(Form::Lucene), &texts);
    let queries: Vec<Query> = (0..50).map(|i| index.query(&format!("w{} w{}", i % 7, i % 101))).collect();
    let alone: Vec<Vec<Hit>> =
        queries.iter().map(|query| index.search(query, 10, Search::default()).unwrap()).collect();
    for threads in [1, 2, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let together = pool.install(|| index.search_all(&queries, 10, Search::default(), &Silent).unwrap());
        assert_eq!(together, alone);
    }
}

#[test]
fn what_a_killed_writer_left_is_swept_away() {
    let folder = Folder::new("killed");
    drop(index_of(&folder, kind(Form::Lucene), &PETS));
    let mut writer = Writer::open(&folder.0).unwrap();
    writer.add(vec![document("new", "zebra")]).unwrap();
    assert!(writer.delete("new").unwrap(), "it is in a segment now");
    let second = Writer::open(&folder.0).unwrap_err().to_string();
    assert!(second.contains("another program"), "{second}");
    drop(writer); // As a kill would: nothing was committed.
    std::fs::write(folder.0.join("000009.segment.123.part"), b"half").unwrap();
    let index = Index::open(&folder.0).unwrap();
    assert_eq!((index.len(), index.segments()), (5, 1));
    drop(Writer::open(&folder.0).unwrap());
    let mut files: Vec<String> =
        std::fs::read_dir(&folder.0).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    assert_eq!(files, ["000001.segment", "index.json", "lock"]);
}

#[test]
fn an_open_index_stays_as_it_was() {
    let folder = Folder::new("open");
    let before = index_of(&folder, kind(Form::Lucene), &PETS);
    let mut writer = Writer::open(&folder.0).unwrap();
    for id in ["d0", "d1", "d2", "d4"] {
        assert!(writer.delete(id).unwrap());
    }
    let after = writer.commit().unwrap();
    assert_eq!((before.len(), after.len(), after.numbers()), (5, 1, 1), "it was mostly gone, so it was rewritten");
    let query = before.query("cat fox");
    assert_eq!(before.search(&query, 9, Search::default()).unwrap().len(), 5);
    assert_eq!(after.search(&query, 9, Search::default()).unwrap().len(), 1);
    assert_eq!(Index::open(&folder.0).unwrap().id(0), "d3");
    let mut writer = Writer::open(&folder.0).unwrap();
    assert!(writer.delete("d3").unwrap());
    let empty = writer.commit().unwrap();
    assert!(empty.is_empty() && empty.search(&query, 3, Search::default()).unwrap().is_empty());
}

#[test]
fn ids_are_unique_and_other_indexes_refused() {
    let folder = Folder::new("ids");
    drop(index_of(&folder, kind(Form::Lucene), &PETS));
    let mut writer = Writer::open(&folder.0).unwrap();
    for twice in [vec![document("d3", "x")], vec![document("e", "x"), document("e", "y")]] {
        let error = writer.add(twice).unwrap_err().to_string();
        assert!(error.contains("twice"), "{error}");
    }
    writer.add(vec![document("e", "zebra")]).unwrap();
    assert_eq!(writer.commit().unwrap().len(), 6);
    let manifest = folder.0.join("index.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    for (from, to, part) in [
        ("\"version\": 1", "\"version\": 2", "reads up to 1"),
        ("quadrat-index", "other", "is no quadrat-index"),
        ("\"bm25\"", "\"new\"", "unknown variant"),
        ("{", "", "expected"),
    ] {
        std::fs::write(&manifest, text.replacen(from, to, 1)).unwrap();
        let error = Index::open(&folder.0).unwrap_err().to_string();
        assert!(error.contains(part) && error.contains("index.json"), "{error}");
    }
    let error = Index::open(&folder.0.join("none")).unwrap_err().to_string();
    assert!(error.contains("quadrat retrieve index"), "{error}");
}
