//! Documents found.

use crate::common::Folder;
use serde_json::Value;

const DOCS: &str = r#"{"id": "d1", "title": "Engines", "body": "A spark ignition engine burns petrol."}
{"id": "d2", "title": "Boats", "body": "Diesel engines drive most boats; no spark is needed."}
{"id": "d3", "title": "Rivers", "body": "The river runs to the sea."}
{"id": "d4", "title": "", "body": ""}
{"id": "d 5", "title": "Sea", "body": "Boats at sea"}
"#;

/// An index of those, and what belongs to it.
pub fn write_documents(folder: &Folder) {
    folder.write("docs.jsonl", DOCS);
    folder.write("more.jsonl", "{\"id\": \"d6\", \"title\": \"Plugs\", \"body\": \"A spark plug\"}\n");
    folder.write("queries.tsv", "q1\tspark ignition engines\nq2\tboats\nq3\tzebra\n");
    folder.write("gone.txt", "d2\nnobody\n");
    folder.write("ids.txt", "d1\nd2\nd3\n");
    folder.write("judged.txt", "q1 0 d1 1\nq2 0 d2 1\n");
    folder.ok("quadrat retrieve index --in docs.jsonl --id id --text title,body --kind bm25 --out index/");
}

fn found(folder: &Folder, line: &str) -> Vec<String> {
    let told = folder.json(line);
    let hits = told["results"][0]["hits"].as_array().unwrap().clone();
    hits.iter().map(|hit| hit["document"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn documents_are_found_added_and_deleted() {
    let folder = Folder::new("search");
    write_documents(&folder);
    let line = "quadrat retrieve search --index index/ --query \"spark ignition engines\" --k 10";
    let text = folder.ok(line);
    assert!(text.contains("d1") && text.contains("Engines A spark ignition engine burns petrol."), "{text}");
    let json = format!("{line} --json");
    assert_eq!(found(&folder, &json), ["d1", "d2"]);
    let told = folder.json("quadrat retrieve add --index index/ --in more.jsonl --json");
    assert_eq!((&told["added"], &told["documents"]), (&1.into(), &6.into()));
    assert_eq!(found(&folder, &json), ["d1", "d2", "d6"]);
    let told = folder.json("quadrat retrieve delete --index index/ --ids gone.txt --json");
    assert_eq!((&told["deleted"], &told["unknown"][0], &told["documents"]), (&1.into(), &"nobody".into(), &5.into()));
    for strategy in ["auto", "taat", "max-score", "block-max"] {
        assert_eq!(found(&folder, &format!("{json} --strategy {strategy}")), ["d1", "d6"]);
    }
    folder.write("some.txt", "d6\nd3\nd2\n");
    assert_eq!(found(&folder, &format!("{json} --only some.txt")), ["d6"]);
    assert!(folder.ok("quadrat retrieve search --index index --query zebra").contains("nothing was found"));
}

#[test]
fn a_run_is_written_and_measured() {
    let folder = Folder::new("search-run");
    write_documents(&folder);
    folder.write("qrels.txt", "q1 0 d1 1\nq3 0 d3 1\n");
    for prf in ["", "--prf rm3", "--prf rocchio:terms=3", "--prf bo1:documents=1"] {
        let line = "quadrat retrieve search --index index --queries queries.tsv --only ids.txt --k 1000";
        let told = folder.json(&format!("{line} {prf} --out run.trec --json"));
        assert_eq!((&told["queries"], &told["without_results"]), (&3.into(), &serde_json::json!(["q3"])), "{prf}");
        if prf.is_empty() {
            let run = folder.read("run.trec");
            let first: Vec<&str> = run.lines().next().unwrap().split(' ').collect();
            assert_eq!((&first[..4], first[5]), (&["q1", "Q0", "d1", "1"][..], "quadrat"));
            let told = folder.json("quadrat retrieve eval --run run.trec --qrels qrels.txt --metrics mrr --json");
            assert_eq!(told["means"]["mrr"], Value::from(0.5));
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let folder = Folder::new("search-errors");
    write_documents(&folder);
    folder.write(
        "twice.jsonl",
        "{\"id\": \"a\", \"title\": \"\", \"body\": \"x\"}\n{\"id\": \"a\", \"title\": \"\", \"body\": \"y\"}\n",
    );
    folder.write("none.jsonl", "{\"id\": \"a\", \"text\": \"x\"}\n{\"id\": null, \"text\": \"y\"}\n");
    folder.write("bad.tsv", "no tab here\n");
    for (line, part) in [
        ("index --in twice.jsonl --text body --out other", "`a` twice"),
        ("index --in none.jsonl --text text --out other", "no id in column `id`"),
        ("index --in docs.jsonl --id title --text body --out other", "no id in column `title`"),
        ("index --in docs.jsonl --out other", "--text"),
        ("index --in docs.jsonl --text nothing --out other", "nothing"),
        ("index --in docs.jsonl --text body --out index", "not empty"),
        ("index --in docs.jsonl --text body --delta 1 --out other", "--form plus or l"),
        ("index --in docs.jsonl --text body --b 2 --out other", "b: got"),
        ("add --index index --in docs.jsonl", "`d1` twice"),
        ("add --index other --in more.jsonl", "quadrat retrieve index"),
        ("delete --index index --ids missing.txt", "missing.txt"),
        ("search --index index --query cats --k 0", "k: got 0"),
        ("search --index index --queries bad.tsv", "bad.tsv:1: no tab"),
        ("search --index index --queries queries.tsv --out run.trec", "document id: got `d 5`"),
        ("search --index index --query x --prf rm4", "rm3"),
        ("search --index index --query x --prf rm3:weight=2", "weight"),
        ("search --index docs.jsonl --query x", "quadrat retrieve index"),
    ] {
        let message = folder.fails(&format!("quadrat retrieve {line}"));
        assert!(message.contains(part), "{line}\n{message}");
    }
    let mut bytes = std::fs::read(folder.path("index/000001.segment")).unwrap();
    bytes[100] ^= 1;
    std::fs::write(folder.path("index/000001.segment"), bytes).unwrap();
    let message = folder.fails("quadrat retrieve search --index index --query spark");
    assert!(message.contains("000001.segment") && message.contains("damaged"), "{message}");
}

/// A kill at any moment of an addition leaves the old index or the new one.
#[cfg(unix)]
#[test]
fn a_kill_leaves_a_whole_index() {
    let folder = Folder::new("search-kill");
    write_documents(&folder);
    let more: String = (0..30_000)
        .map(|i| format!("{{\"id\": \"m{i}\", \"title\": \"many {i}\", \"body\": \"w{}\"}}\n", i % 997))
        .collect();
    folder.write("many.jsonl", &more);
    for wait in [0, 5, 20, 60, 150, 300, 600] {
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_quadrat"))
            .args(["retrieve", "add", "--index", "index", "--in", "many.jsonl"])
            .current_dir(folder.path(""))
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(wait));
        child.kill().unwrap();
        child.wait().unwrap();
        let told = folder.json("quadrat retrieve search --index index --query \"spark ignition\" --json");
        let documents = told["documents"].as_u64().unwrap();
        assert!(documents == 5 || documents == 30_005, "{documents}");
        if documents > 5 {
            break;
        }
    }
    folder.ok("quadrat retrieve delete --index index --ids gone.txt");
}

/// An index of vectors, found by the questions' own.
#[test]
fn vectors_are_found_added_deleted_and_mined() {
    let folder = Folder::new("search-vectors");
    write_documents(&folder);
    let line = |id: &str, vector: &str| format!("{{\"id\": \"{id}\", \"vec\": {vector}}}\n");
    folder.write("vec.jsonl", &(line("a", "[1, 0]") + &line("b", "[0.5, 2]") + &line("c", "[0, 1]")));
    folder.write("more-vec.jsonl", &line("d", "[0, 3]"));
    folder.write("asked.csv", "x,y\n1,0\n0,1\n0,0\n");
    folder.write("gone-vec.txt", "b\n");
    folder.write("qrels.txt", "q1 0 a 1\nq2 0 c 1\nq2 0 d 0\n");
    folder.ok("quadrat data convert --in asked.csv --out asked.npy");
    let told = folder.json("quadrat retrieve index --in vec.jsonl --vectors vec --kind dense --out dense/ --json");
    assert_eq!((&told["documents"], &told["columns"]), (&3.into(), &2.into()));
    let line = "quadrat retrieve search --index dense --queries queries.tsv --vectors asked.npy --json";
    let second = |told: &Value| -> Vec<String> {
        let hits = told["results"][1]["hits"].as_array().unwrap();
        hits.iter().map(|hit| hit["document"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(second(&folder.json(line)), ["b", "c", "a"]);
    folder.ok("quadrat retrieve add --index dense --in more-vec.jsonl --vectors vec");
    assert_eq!(second(&folder.json(line)), ["d", "b", "c", "a"]);
    folder.ok("quadrat retrieve delete --index dense --ids gone-vec.txt");
    assert_eq!(second(&folder.json(line)), ["d", "c", "a"]);
    // Negatives of each index: what is found and not relevant.
    let mine = "quadrat retrieve mine --queries queries.tsv --qrels qrels.txt --k 2 --out negatives.jsonl";
    folder.ok(&format!("{mine} --index dense/ --vectors asked.npy"));
    let lines: Vec<Value> = folder.read("negatives.jsonl").lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.len(), 2, "the third question has no relevant document");
    assert_eq!(lines[0], serde_json::json!({"query-id": "q1", "positives": ["a"], "negatives": ["c", "d"]}));
    assert_eq!(lines[1]["negatives"], serde_json::json!(["d", "a"]));
    folder.write("qrels.txt", "q1 0 d1 1\n");
    let told = folder.json(&format!("{mine} --index index --json"));
    assert_eq!((&told["queries"], &told["left_out"], &told["short"]), (&1.into(), &2.into(), &1.into()));
    for (line, part) in [
        ("search --index dense --query boats", "name its folder"),
        ("search --index dense --query boats --encoder nowhere", "nowhere"),
        (
            "search --index dense --queries queries.tsv --vectors asked.npy --prf rm3",
            "an index of words; for one of vectors use lol-prf",
        ),
        ("search --index dense --queries queries.tsv --vectors asked.npy --strategy taat", "this one holds vectors"),
        ("search --index index --query boats --vectors asked.npy", "this one holds words"),
        ("add --index index --in docs.jsonl --vectors vec", "--kind dense"),
        ("add --index dense --in docs.jsonl", "--encoder"),
        ("index --in vec.jsonl --vectors vec --kind dense --k1 1 --out other", "--kind bm25"),
        ("index --in vec.jsonl --vectors asked.npy --kind bm25 --text id --out other", "--kind dense"),
        ("index --in more-vec.jsonl --vectors asked.npy --kind dense --out other", "asked.npy"),
        ("mine --queries queries.tsv --qrels qrels.txt --index index --k 0 --out other", "--k"),
    ] {
        let message = folder.fails(&format!("quadrat retrieve {line}"));
        assert!(message.contains(part), "{line}\n{message}");
    }
}

#[test]
fn documents_come_with_weights() {
    let folder = Folder::new("impacts");
    folder.write(
        "weights.jsonl",
        "{\"id\": \"d1\", \"title\": \"Boats\", \"weights\": {\"boat\": 2, \"engine\": 0.5}}\n\
         {\"id\": \"d2\", \"title\": \"Engines\", \"weights\": {\"engine\": 1.5, \"New York\": 1}}\n\
         {\"id\": \"d3\", \"title\": \"Nothing\", \"weights\": {}}\n",
    );
    let line = "quadrat retrieve index --in weights.jsonl --kind impacts --id id --text title --weights weights";
    let told = folder.json(&format!("{line} --query-weights one --out index --json"));
    assert_eq!((&told["documents"], &told["postings"], &told["empty"]), (&3.into(), &4.into(), &1.into()));
    let search = "quadrat retrieve search --index index --query \"engine engine boat zebra\" --json";
    assert_eq!(found(&folder, search), ["d1", "d2"]);
    let hits = folder.json(search)["results"][0]["hits"].clone();
    let score = hits[0]["score"].as_f64().unwrap();
    assert!((score - 2.5).abs() < 2.0 / 255.0, "{score}");
    folder.write("more.jsonl", "{\"id\": \"d4\", \"title\": \"Ships\", \"weights\": {\"boat\": 3}}\n");
    assert_eq!(folder.json("quadrat retrieve add --index index --in more.jsonl --json")["documents"], 4);
    folder.write("gone.txt", "d1\n");
    folder.ok("quadrat retrieve delete --index index --ids gone.txt");
    assert_eq!(found(&folder, search), ["d4", "d2"]);
    folder.write("bad.jsonl", "{\"id\": \"d5\", \"title\": \"x\", \"weights\": {\"boat\": -3}}\n");
    folder.write("list.jsonl", "{\"id\": \"d5\", \"title\": \"x\", \"weights\": [1, 2]}\n");
    for (line, part) in [
        ("quadrat retrieve add --index index --in bad.jsonl", "weight of `boat` in document `d5`: got -3"),
        ("quadrat retrieve add --index index --in list.jsonl", "weights are words and numbers"),
        ("quadrat retrieve search --index index --query boat --prf rm3", "an index of texts"),
        ("quadrat retrieve index --in weights.jsonl --kind impacts --out x", "name the column that holds"),
        (
            "quadrat retrieve index --in weights.jsonl --text title --weights weights --out x",
            "belongs to --kind impacts",
        ),
        ("quadrat retrieve index --in weights.jsonl --kind impacts --weights weights --k1 1 --out x", "--kind bm25"),
    ] {
        let told = folder.fails(line);
        assert!(told.contains(part), "{line}: {told}");
    }
}
