//! Rankings measured and compared.

use crate::common::Folder;
use serde_json::Value;

/// Small files: judgements, and two runs.
pub fn write_rankings(folder: &Folder) {
    folder.write("qrels.txt", "q1 0 a 1\nq1 0 b 0\nq1 0 c 2\nq1 0 d -1\nq2 0 a 1\nq3 0 a 0\nq4 0 x 1\n");
    let run = "q1 Q0 a 1 1.0 r\nq1 Q0 b 2 1.0 r\nq1 Q0 c 3 1.0 r\nq1 Q0 d 4 1.0 r\nq1 Q0 z 5 1.0 r\n\
               q2 Q0 b 1 .5 r\nq3 Q0 a 1 1 r\nq9 Q0 a 1 1 r\n";
    folder.write("run.trec", run);
    folder.write("dense.trec", run);
    folder.write("bm25.trec", "q1 Q0 c 1 2 b\nq1 Q0 a 2 1 b\nq2 Q0 a 1 7.5 b\nq4 Q0 y 1 3 b\nq4 Q0 x 2 1 b\n");
}

#[test]
fn a_run_is_measured() {
    let folder = Folder::new("retrieve-eval");
    write_rankings(&folder);
    let line = "quadrat retrieve eval --run run.trec --qrels qrels.txt --metrics ndcg@10,map,mrr@10,recall@100 --json";
    let told = folder.json(line);
    // pytrec_eval's q1; a query that is not answered counts as 0.
    for (name, q1) in [("ndcg@10", 0.527_134), ("map", 0.366_667), ("mrr@10", 1.0 / 3.0), ("recall@100", 1.0)] {
        let near = |found: &Value, expected: f64| (found.as_f64().unwrap() - expected).abs() < 1e-6;
        assert!(near(&told["per_query"]["q1"][name], q1) && near(&told["means"][name], q1 / 4.0), "{name}: {told}");
    }
    assert_eq!(
        (&told["queries"], &told["unanswered"][0], &told["unjudged"][0]),
        (&4.into(), &"q4".into(), &"q9".into())
    );
    let warnings = told["warnings"].to_string();
    for part in
        ["without a line in run.trec count as 0: 1 of 4 (q4)", "queries of run.trec without a judgement", "(q3)"]
    {
        assert!(warnings.contains(part), "{warnings}");
    }
    let text = folder.ok("quadrat retrieve eval --run run.trec --qrels qrels.txt --metrics map,hits@1 --per-query");
    assert!(text.contains("means over 4 queries") && text.contains("q4     0.0000  0.0000"), "{text}");
    // The same judgements in other forms.
    std::fs::create_dir_all(folder.path("beir/qrels")).unwrap();
    folder
        .write("beir/qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\ta\t1\nq1\tc\t2\nq2\ta\t1\nq3\ta\t0\nq4\tx\t1\n");
    let means = |qrels: &str| folder.json(&line.replace("qrels.txt", qrels))["means"].clone();
    assert_eq!(means("beir"), told["means"]);
    assert_eq!(means("beir/"), told["means"]);
    assert_eq!(means("beir/qrels/test.tsv"), told["means"]);
}

/// `golden/retrieval.py` says how the files were made.
#[test]
fn figures_are_those_of_trec_eval() {
    let golden: Value = serde_json::from_str(include_str!("../golden/retrieval.json")).unwrap();
    let folder = Folder::new("retrieve-golden");
    folder.write("run", include_str!("../golden/retrieval-run.txt"));
    folder.write("qrels", include_str!("../golden/retrieval-qrels.txt"));
    let means = golden["means"].as_object().unwrap();
    let names = means.keys().cloned().collect::<Vec<_>>().join(",");
    let told = folder.json(&format!("quadrat retrieve eval --run run --qrels qrels --metrics {names} --json"));
    let near = |a: &Value, b: &Value| (a.as_f64().unwrap() - b.as_f64().unwrap()).abs() < 1e-12;
    for (query, values) in golden["per_query"].as_object().unwrap() {
        for (name, value) in values.as_object().unwrap() {
            let found = &told["per_query"][query][name];
            assert!(near(found, value), "{name} of {query}: {found}, not {value}");
        }
    }
    assert!(means.iter().all(|(name, value)| near(&told["means"][name], value)), "{told}");
    assert_eq!(told["unanswered"].as_array().unwrap().len(), 2);
    assert_eq!(told["unjudged"].as_array().unwrap().len(), 2);
}

#[test]
fn runs_are_compared_query_by_query() {
    let folder = Folder::new("retrieve-compare");
    write_rankings(&folder);
    let line = "quadrat retrieve compare --runs bm25.trec,dense.trec --qrels qrels.txt --report compare.html";
    let text = folder.ok(line);
    assert!(text.contains("2 runs by qrels.txt on 4 queries") && text.contains("wrote compare.html"), "{text}");
    let page = folder.read("compare.html");
    for part in ["map: dense.trec against bm25.trec", "<td>q2</td>", "<svg", "count as 0: 1 of 4 (q4)"] {
        assert!(page.contains(part), "{part}");
    }
    let json = line.replace("--report compare.html", "--metrics mrr --json");
    let told = folder.json(&json);
    let against = &told["runs"][1]["against_first"]["mrr"];
    // bm25: 1, 1, 0, 1/2; dense: 1/3, 0, 0, 0.
    let difference = -(2.0 / 3.0 + 1.0 + 0.5) / 4.0;
    assert!((against["difference"].as_f64().unwrap() - difference).abs() < 1e-12, "{against}");
    assert_eq!((&against["wins"], &against["losses"], &against["ties"]), (&0.into(), &3.into(), &1.into()));
    assert!(against["low"].as_f64().unwrap() < difference && against["high"].as_f64().unwrap() <= 0.0, "{against}");
    assert_eq!(told["per_query"]["q4"]["mrr"], serde_json::json!([0.5, 0.0]));
    // The same seed, the same bits, on any number of threads.
    assert_eq!(folder.json(&format!("{json} --threads 1")), folder.json(&format!("{json} --threads 2")));
    assert_ne!(folder.json(&format!("{json} --seed 1"))["runs"][1], told["runs"][1]);
    // A run is no better than itself.
    let same = folder.json(&json.replace("dense.trec", "bm25.trec"));
    assert_eq!((&same["runs"][1]["against_first"]["mrr"]["p"]), &1.0);
    // One query has no interval.
    folder.write("one.txt", "q1 0 a 1\n");
    let one = folder.json(&json.replace("qrels.txt", "one.txt"));
    assert!(one["runs"][1]["against_first"]["mrr"]["p"].is_null());
    assert!(one["warnings"].to_string().contains("there are no intervals"));
}

#[test]
fn what_does_not_fit_is_refused_in_words() {
    let folder = Folder::new("retrieve-errors");
    write_rankings(&folder);
    folder.write("short.trec", "q1 Q0 a 1 1.0 r\nq1 Q0 b 2 1.0\n");
    folder.write("twice.trec", "q1 Q0 a 1 1.0 r\nq1 Q0 a 2 0.5 r\n");
    folder.write("other.trec", "1 Q0 a 1 1.0 r\n");
    folder.write("levels.txt", "q1 0 a 1.0\n");
    let eval = "quadrat retrieve eval --run run.trec --qrels qrels.txt";
    let compare = "quadrat retrieve compare --runs bm25.trec,dense.trec --qrels qrels.txt";
    for (line, part) in [
        (eval.replace("run.trec", "short.trec"), "short.trec:2: 5 fields; a run has six"),
        (eval.replace("run.trec", "twice.trec"), "twice.trec:2: document `a` comes twice for query `q1`"),
        (eval.replace("run.trec", "other.trec"), "none of its queries (1) is judged in qrels.txt"),
        (eval.replace("run.trec", "none.trec"), "none.trec"),
        (eval.replace("qrels.txt", "levels.txt"), "levels.txt:1: the level `1.0`"),
        (format!("{eval} --metrics map,ndgc"), "measure: got `ndgc`; use one of ndcg[@k]"),
        (format!("{eval} --metrics recall"), "recall@10"),
        (compare.replace("bm25.trec,", ""), "--runs: got 1; name two runs or more"),
        (format!("{compare} --resamples 1"), "--resamples: got 1; use 100 or more"),
        (format!("{compare} --report no/such/page.html"), "no/such/page.html"),
    ] {
        let message = folder.fails(&line);
        assert!(message.contains(part), "{line}\n{message}");
    }
}
