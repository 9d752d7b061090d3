use super::*;
use proptest::prelude::*;
use quadrat_core::Silent;
use std::path::PathBuf;

/// A file that goes away with the test.
struct File(PathBuf);

impl File {
    fn new(name: &str, content: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("quadrat-trec-{}-{name}", std::process::id()));
        std::fs::write(&path, content).unwrap();
        File(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn run(name: &str, content: &str) -> Result<Run> {
    Run::read(&File::new(name, content.as_bytes()).0, &Silent)
}

fn judgements(name: &str, content: &str) -> Result<Judgements> {
    Judgements::read(&File::new(name, content.as_bytes()).0, &Silent)
}

fn ids(run: &Run, query: &str) -> Vec<String> {
    run.of(run.queries().find(query).unwrap()).map(|(document, _)| document.to_owned()).collect()
}

#[test]
fn equal_scores_are_ranked_by_id_from_the_highest() {
    let text = "\u{feff}q1 Q0 a 1 1.0 x\n\nq2 Q0 d9 1 -inf x\r\nq1\tQ0  b 2 1.00000001\tx\n q1 Q0 é 3 1 x\nq1 Q0 c 4 2e0 x\nq2 Q0 d10 1 -1e300 x\n";
    let run = run("ties", text).unwrap();
    // 1.00000001 is 1 in single precision, -1e300 is minus infinity.
    assert_eq!(ids(&run, "q1"), ["c", "é", "b", "a"]);
    assert_eq!(ids(&run, "q2"), ["d9", "d10"]);
    assert!(run.of(0).map(|(_, score)| score).eq([2.0, 1.0, 1.0, 1.0]));
    assert_eq!((run.queries().len(), run.of(0).len(), run.queries().find("q3")), (2, 4, None));
    assert!(self::run("empty", "").unwrap().queries().is_empty());
}

#[test]
fn what_is_no_run_is_refused_with_its_line() {
    for (text, part) in [
        ("q Q0 a 1 1.0 x\nq Q0 b 1 2.0\n", ":2: 5 fields; a run has six"),
        ("q Q0 a 1 1.0 x y\n", ":1: 7 fields"),
        ("\nq Q0 a 1 nan x\n", ":2: the score `nan` is no number"),
        ("q Q0 a 1 one x\n", ":1: the score `one`"),
        ("q Q0 a 1 1 x\np Q0 a 1 1 x\nq Q0 a 2 0 x\n", ":3: document `a` comes twice for query `q`, first in line 1"),
    ] {
        let message = run("bad", text).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }
    let latin = File::new("latin", b"q Q0 a 1 1 x\nq Q0 \xe9 1 1 x\n");
    assert!(Run::read(&latin.0, &Silent).unwrap_err().to_string().contains(":2: not UTF-8"));
}

#[test]
fn the_forms_of_judgements_agree() {
    let trec = judgements("trec", "q1 0 a 2\nq2 0 a 0\n\nq1 0 b -1\n").unwrap();
    for (name, text) in [
        ("beir", "query-id\tcorpus-id\tscore\nq1\ta\t2\nq2\ta\t0\nq1\tb\t-1\n"),
        ("headless", "q1\ta\t2\r\nq2\ta\t0\r\nq1\tb\t-1\r\n"),
        (
            "jsonl",
            "{\"query-id\": \"q1\", \"corpus-id\": \"a\", \"score\": 2}\n\
             {\"score\": 0, \"query-id\": \"q2\", \"corpus-id\": \"a\"}\n\
             {\"query-id\": \"q1\", \"corpus-id\": \"b\", \"score\": -1, \"why\": null}\n",
        ),
    ] {
        let other = judgements(name, text).unwrap();
        assert_eq!(other.queries().iter().collect::<Vec<_>>(), ["q1", "q2"], "{name}");
        for query in 0..2 {
            assert!(other.of(query).eq(trec.of(query)), "{name}");
        }
    }
    // Ids as JSON spells them.
    let spelt = judgements("spelt", "{\"query-id\": \"\\u0071\", \"corpus-id\": \"a b\", \"score\": 1}").unwrap();
    assert_eq!(spelt.of(spelt.queries().find("q").unwrap()).next(), Some(("a b", 1)));
    let numbers = judgements("numbers", "{\"query-id\": 7, \"corpus-id\": 8, \"score\": 1}\n").unwrap();
    assert_eq!(numbers.of(numbers.queries().find("7").unwrap()).next(), Some(("8", 1)));
}

#[test]
fn long_files_are_read_in_parts() {
    // Some 3 MB: line numbers count on from part to part.
    let mut text: String =
        (0..120_000).map(|i| format!("q{} Q0 document{i} 0 {} t\n", i % 100, (i * 7919) % 1009)).collect();
    let run = self::run("long", &text).unwrap();
    assert!((0..100).all(|query| run.of(query).len() == 1200));
    assert!(run.of(3).is_sorted_by(|a, b| (a.1, a.0) > (b.1, b.0)));
    text.push_str("q1 Q0 x 0 none t\n");
    let message = self::run("long", &text).unwrap_err().to_string();
    assert!(message.contains(":120001: the score"), "{message}");
}

#[test]
fn what_are_no_judgements_is_refused_with_its_line() {
    for (text, part) in [
        ("q 0 a 1\nq 0 b 1.0\n", ":2: the level `1.0` is no whole number"),
        ("q 0 a 1\nq b 1\n", ":2: 3 fields; a judgement has four"),
        ("q\ta\t1\nq\tb\n", ":2: 2 fields between tabs"),
        ("q\ta\t1.0\n", ":1: the level `1.0`"),
        ("q\ta\thigh\n", ":1: the level `high`"),
        ("query-id\tcorpus-id\tscore\n", "no judgement in it"),
        (" \n", "no judgement in it"),
        ("q 0 a 1\nq 0 a 1\n", ":2: document `a` comes twice for query `q`, first in line 1"),
        ("{\"query-id\": 1}\n", ":1: missing field `corpus-id`"),
        ("{\"query-id\": 1, \"corpus-id\": \"a\\n\", \"score\": 1}", ":1: an id has no tabs and no line breaks"),
        ("q 0 a 3000000000\n", ":1: the level"),
    ] {
        let message = judgements("bad", text).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_folder_of_beir_has_its_judgements_in_qrels() {
    let folder = std::env::temp_dir().join(format!("quadrat-trec-beir-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(folder.join("qrels")).unwrap();
    let read = || Judgements::read(&folder, &Silent);
    assert!(read().unwrap_err().to_string().contains("no table of judgements"));
    std::fs::write(folder.join("qrels/train.tsv"), "q\ta\t1\n").unwrap();
    assert_eq!(read().unwrap().queries().get(0), "q");
    std::fs::write(folder.join("qrels/dev.tsv"), "p\ta\t1\n").unwrap();
    assert!(read().unwrap_err().to_string().contains("2 other files in it: name one"));
    std::fs::write(folder.join("qrels/test.tsv"), "t\ta\t1\n").unwrap();
    assert_eq!(read().unwrap().queries().get(0), "t");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_written_run_is_read_back() {
    let file = File::new("written", b"old");
    let found = [("q1", "b", 0.1_f32), ("q1", "a", 1e-9), ("q2", "b", -3.0)];
    write_run(&file.0, "ours", found).unwrap();
    assert_eq!(
        std::fs::read_to_string(&file.0).unwrap(),
        "q1 Q0 b 1 0.1 ours\nq1 Q0 a 2 0.000000001 ours\nq2 Q0 b 1 -3 ours\n"
    );
    let run = Run::read(&file.0, &Silent).unwrap();
    assert!(run.of(0).eq([("b", 0.1), ("a", 1e-9)]) && run.of(1).eq([("b", -3.0)]));
    for (tag, query, document) in [("a b", "q", "d"), ("t", "", "d"), ("t", "q", "d\u{a0}1")] {
        let message = write_run(&file.0, tag, [(query, document, 1.0)]).unwrap_err().to_string();
        assert!(message.contains("has no white space"), "{message}");
    }
    assert_eq!(Run::read(&file.0, &Silent).unwrap().queries().len(), 2);
}

#[test]
fn unjudged_documents_and_unanswered_queries_are_seen() {
    let run = run("ranked", "q1 Q0 a 1 1 x\nq1 Q0 z 1 3 x\nq1 Q0 b 1 2 x\nq9 Q0 a 1 1 x\n").unwrap();
    let judgements = judgements("judged", "q1 0 a 2\nq0 0 a 1\nq1 0 b -1\nq1 0 gone 1\n").unwrap();
    assert_eq!(judgements.ranked(&run), [vec![None, Some(-1), Some(2)], vec![]]);
}

proptest! {
    /// The order of lines changes nothing; ids are found again.
    #[test]
    fn the_order_of_lines_does_not_matter(
        mut lines in prop::collection::btree_map((0..5_u8, 0..40_u8), 0..4_i8, 0..120)
            .prop_map(|lines| lines.into_iter().collect::<Vec<_>>()),
        seed in any::<u64>(),
    ) {
        let text = |lines: &[((u8, u8), i8)]| -> String {
            lines.iter().map(|((query, document), score)| format!("q{query} Q0 d{document} 0 {score} t\n")).collect()
        };
        let name = format!("order-{seed}");
        let first = run(&name, &text(&lines)).unwrap();
        quadrat_core::Seed(seed).rng(0).shuffle(&mut lines);
        let second = run(&name, &text(&lines)).unwrap();
        prop_assert_eq!(first.queries().len(), second.queries().len());
        for (number, query) in (0..).zip(first.queries().iter()) {
            prop_assert_eq!(ids(&first, query), ids(&second, query));
            prop_assert_eq!(first.queries().find(query), Some(number));
        }
    }
}
