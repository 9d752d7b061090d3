use super::*;
use crate::{Analyser, Bm25, Document, Kind, Setup, Writer};
use quadrat_core::Silent;

/// 40 documents: `cat` and `purr` go together, `cat` in 5 of them; the rest is about numbers.
fn index(name: &str) -> (std::path::PathBuf, Index) {
    let folder = std::env::temp_dir().join(format!("quadrat-feedback-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let kind = Kind::Bm25 { analyser: Analyser::default(), bm25: Bm25::default() };
    let mut writer = Writer::create(&folder, Setup::of(kind)).unwrap();
    let text = |i: usize| match i {
        0 => "cat purr purr".to_owned(),
        1..=2 => "the cat will purr".to_owned(),
        3 => "purr whisker".to_owned(),
        _ => format!("the number {i}"),
    };
    writer.add((0..40).map(|i| Document { id: i.to_string(), text: text(i) }).collect()).unwrap();
    let index = writer.commit().unwrap();
    (folder, index)
}

fn found(index: &Index, text: &str, feedback: &dyn Feedback) -> Vec<u32> {
    let hits = search(index, &[index.query(text)], feedback, 10, Search::default(), &Silent).unwrap();
    hits[0].iter().map(|hit| hit.document).collect()
}

#[test]
fn all_methods_find_what_other_words_say() {
    let (folder, index) = index("more");
    let plain: Vec<u32> =
        index.search(&index.query("cat"), 10, Search::default()).unwrap().iter().map(|hit| hit.document).collect();
    assert_eq!(plain, [0, 1, 2]);
    for name in ["rm3", "rocchio", "bo1"] {
        let more = found(&index, "cat", build(name, &Params::none()).unwrap().as_ref());
        assert_eq!(more.get(3), Some(&3), "{name}: {more:?} lacks the document without the word");
        assert!(found(&index, "zebra", build(name, &Params::none()).unwrap().as_ref()).is_empty());
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn without_weight_the_query_stays() {
    let (folder, index) = index("same");
    let query = index.query("cat whisker");
    let expected: Vec<u32> =
        index.search(&query, 10, Search::default()).unwrap().iter().map(|hit| hit.document).collect();
    for (name, parameter, value) in [("rm3", "weight", "1"), ("rocchio", "beta", "0")] {
        let feedback = build(name, &Params::from([(parameter, value)])).unwrap();
        assert_eq!(found(&index, "cat whisker", feedback.as_ref()), expected, "{name}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

/// By hand: two documents of scores 3 and 1, of which the words `the` is too common.
#[test]
fn weights_are_those_of_the_formulas() {
    let (folder, index) = index("hand");
    let document = |score: f32, words: &[(&str, u32)]| Found {
        score,
        words: words.iter().map(|(word, count)| ((*word).to_owned(), *count)).collect(),
        length: words.iter().map(|(_, count)| count).sum(),
    };
    let documents =
        [document(3.0, &[("cat", 1), ("purr", 2), ("the", 1)]), document(1.0, &[("purr", 1), ("whisker", 1)])];
    let query = index.query("cat");
    let close = |revised: Query, expected: &[(&str, f64)]| {
        assert_eq!(revised.words.len(), expected.len(), "{revised:?}");
        for (word, weight) in expected {
            let (_, found) = revised.words.iter().find(|(found, _)| found == word).unwrap();
            assert!((f64::from(*found) - weight).abs() < 1e-6, "{word}: {found}, not {weight}");
        }
    };
    // Shares: cat 3/4 * 1/4, purr 3/4 * 2/4 + 1/4 * 1/2, whisker 1/4 * 1/2; their sum 13/16.
    let rm3 = Rm3 { documents: 2, terms: 3, weight: 0.5 };
    close(
        rm3.revise(&index, &query, &documents),
        &[("cat", 0.5 + 0.5 * 3.0 / 13.0), ("purr", 0.5 * 8.0 / 13.0), ("whisker", 0.5 * 2.0 / 13.0)],
    );
    let (a, b) = (1.0 / (2.0 * 6.0_f64.sqrt()), 1.0 / (2.0 * 2.0_f64.sqrt()));
    let means = [a, 2.0 * a + b, b];
    let norm = means.iter().map(|m| m * m).sum::<f64>().sqrt();
    close(
        Rocchio { documents: 2, terms: 3, alpha: 1.0, beta: 0.75 }.revise(&index, &query, &documents),
        &[("cat", 1.0 + 0.75 * means[0] / norm), ("purr", 0.75 * means[1] / norm), ("whisker", 0.75 * means[2] / norm)],
    );
    // 40 documents; purr occurs 5 times in them, cat 3 times, whisker once, the 38 times.
    let bo1 = |times: f64, all: f64| {
        let p = all / 40.0;
        times * ((1.0 + p) / p).log2() + (1.0 + p).log2()
    };
    let most = bo1(3.0, 5.0);
    close(
        Bo1 { documents: 2, terms: 2 }.revise(&index, &query, &documents),
        &[("cat", 1.0), ("purr", 1.0), ("whisker", bo1(1.0, 1.0) / most)],
    );
    std::fs::remove_dir_all(folder).unwrap();
}

/// What holds for every method: bad parameters are refused, and threads change nothing.
#[test]
fn the_checklist_of_all_methods() {
    let (folder, index) = index("checklist");
    let queries: Vec<Query> = ["cat", "the cat purr", "zebra", "", "number 7"].map(|text| index.query(text)).into();
    for card in cards() {
        let built = build(card.slug, &Params::none()).unwrap();
        assert_eq!(built.card(), card);
        for (name, value) in [("documents", "0"), ("terms", "0"), ("terms", "many"), ("no-such", "1")] {
            assert!(build(card.slug, &Params::from([(name, value)])).is_err(), "{}: {name}={value}", card.slug);
        }
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| search(&index, &queries, built.as_ref(), 10, Search::default(), &Silent).unwrap())
        };
        let once = run(1);
        assert_eq!(once, run(2), "{}", card.slug);
        assert!(once[2].is_empty() && once[3].is_empty() && !once[4].is_empty());
        assert!(once.iter().flatten().all(|hit| hit.score.is_finite() && hit.score > 0.0));
    }
    std::fs::remove_dir_all(folder).unwrap();
}
