//! Encoders that learn to rank.

use crate::common::Folder;

/// 120 documents, and a question for each that shares no word with it.
pub fn write_task(folder: &Folder) {
    let [mut documents, mut queries, mut qrels] = [const { String::new() }; 3];
    for i in 0..120 {
        let (a, b, c) = (i % 8, i % 15, i % 11);
        documents.push_str(&format!(
            "{{\"id\": \"d{i}\", \"title\": \"part\", \"body\": \"engine{a} wheel{b} brake{c}\"}}\n"
        ));
        queries.push_str(&format!("q{i}\tmotor{a} tyre{b} stopper{c}\n"));
        qrels.push_str(&format!("q{i} 0 d{i} 1\nq{i} 0 d{} 0\n", (i + 1) % 120));
    }
    folder.write("parts.jsonl", &documents);
    folder.write("asked.tsv", &queries);
    folder.write("answers.txt", &qrels);
}

const LINE: &str =
    "quadrat retrieve train --queries asked.tsv --qrels answers.txt --in parts.jsonl --text title,body --dims 24";

#[test]
fn methods_train_one_after_the_other() {
    let folder = Folder::new("retriever");
    write_task(&folder);
    let methods = "--method star:mined=50,warm-up=60,steps=120 --method adore:k=50,steps=60";
    let told = folder.json(&format!("{LINE} {methods} --out model --json"));
    let stages = told["stages"].as_array().unwrap();
    let mrr: Vec<f64> = stages.iter().map(|stage| stage["quality"]["mrr@10"].as_f64().unwrap()).collect();
    assert_eq!((mrr.len(), &told["queries"], &told["held_back"]), (3, &108.into(), &12.into()));
    assert!(mrr[1] > mrr[0] + 0.1 && mrr[2] > mrr[0] + 0.1, "{mrr:?}");
    let files = ["index.json", "query-word-vectors.npy", "training.json", "word-vectors.npy", "words.tsv"];
    for file in files {
        assert!(folder.path("model").join(file).is_file(), "{file}");
    }
    // The folder is an index that is asked in words, and takes more documents.
    let found =
        folder.json("quadrat retrieve search --index model --queries asked.tsv --k 10 --out trained.trec --json");
    assert_eq!((&found["documents"], &found["queries"]), (&120.into(), &120.into()));
    let judged = folder.json("quadrat retrieve eval --run trained.trec --qrels answers.txt --metrics mrr@10 --json");
    assert!(judged["means"]["mrr@10"].as_f64().unwrap() > mrr[0] + 0.1);
    folder.write("late.jsonl", &folder.read("parts.jsonl").lines().next().unwrap().replace("d0", "late"));
    let text = folder.ok("quadrat retrieve add --index model --in late.jsonl");
    assert!(text.contains("121 documents"), "{text}");
    // The same seed gives the same bytes, whatever the threads.
    folder.ok(&format!("{LINE} {methods} --out again --threads 1"));
    for file in ["query-word-vectors.npy", "word-vectors.npy", "words.tsv"] {
        let read = |name: &str| std::fs::read(folder.path(name).join(file)).unwrap();
        assert!(read("model") == read("again"), "{file}");
    }
    let text = folder.ok(&format!("{LINE} --method adore:k=50,steps=5 --validation 0 --out all"));
    assert!(text.contains("120 queries to learn from and 0 held back"), "{text}");
}

#[test]
fn documents_learn_words_that_they_lack() {
    let folder = Folder::new("retriever-sparse");
    write_task(&folder);
    let methods =
        "--method star:mined=50,warm-up=60,steps=120 --method inference-free-sparse:lambda=0.1,rate=0.002,steps=200";
    let told = folder.json(&format!("{LINE} {methods} --out sparse --json"));
    let stages = told["stages"].as_array().unwrap();
    let mrr: Vec<f64> = stages.iter().map(|stage| stage["quality"]["mrr@10"].as_f64().unwrap()).collect();
    // Untrained and trained teacher, BM25, the student.
    assert!(mrr.len() == 4 && mrr[2] == 0.0 && mrr[3] > 0.8, "{mrr:?}");
    let sparse = &told["sparse"];
    assert!(sparse["trained"]["active"].as_f64() > sparse["bm25"]["active"].as_f64(), "{sparse}");
    let found = folder.json("quadrat retrieve search --index sparse --query \"motor3 tyre3 stopper3\" --json");
    assert_eq!(found["results"][0]["hits"][0]["document"], "d3");
    folder.ok(&format!("{LINE} {methods} --out again --threads 1"));
    for file in ["000001.segment", "expansion-in.npy", "expansion-out.npy", "words.tsv"] {
        let read = |name: &str| std::fs::read(folder.path(name).join(file)).unwrap();
        assert!(read("sparse") == read("again"), "{file}");
    }
    for (methods, part) in [
        ("--method inference-free-sparse --method star", "it comes last"),
        ("--method inference-free-sparse:lamda=1", "lambda"),
        ("--method inference-free-sparse:lambda=1000000000,rate=0.1", "a smaller one"),
    ] {
        let told = folder.fails(&format!("{LINE} {methods} --out x"));
        assert!(told.contains(part), "{methods}: {told}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let folder = Folder::new("retriever-errors");
    write_task(&folder);
    folder.write("strange.txt", "q1 0 d1 1\nq2 0 nobody 1\n");
    folder.write("none.txt", "q1 0 d1 0\n");
    folder.write("few.txt", "q1 0 d1 1\nq2 0 d2 1\n");
    for (line, part) in [
        ("--qrels strange.txt --method star --out m", "`nobody`, relevant to query `q2`"),
        ("--qrels none.txt --method star --out m", "no query of asked.tsv has a relevant document"),
        ("--method star:mined=120 --out m", "only 119 rows are not relevant"),
        ("--method adore:k=121 --out m", "there are 120 documents"),
        ("--method adore:k=50,steps=2 --method star --out m", "adore"),
        ("--method star:negatives=lexical --out m", "in-batch"),
        ("--method ance --out m", "star"),
        ("--method star --validation 1 --out m", "validation"),
        ("--method star --spread 0 --out m", "--spread"),
        ("--method star --dims 0 --out m", "--dims"),
        ("--method star --out parts.jsonl", "a file of that name"),
    ] {
        let line = if line.contains("--qrels") {
            format!("{} {line}", LINE.replace(" --qrels answers.txt", ""))
        } else {
            format!("{LINE} {line}")
        };
        let message = folder.fails(&line);
        assert!(message.contains(part), "{line}\n{message}");
    }
    let output = folder.run(&format!(
        "{} --qrels few.txt --validation 0 --method adore:k=20,steps=2 --out few",
        LINE.replace(" --qrels answers.txt", "")
    ));
    let notes = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && notes.contains("left out: 118 of 120, such as q0"), "{notes}");
}

#[test]
fn a_rewriter_learns_from_an_index_and_is_asked_through_it() {
    let folder = Folder::new("rewriter");
    write_task(&folder);
    folder.ok(&format!("{LINE} --method star:mined=50,warm-up=60,steps=120 --out model"));
    let line = "quadrat retrieve train --index model --queries asked.tsv --qrels answers.txt";
    let told = folder.json(&format!("{line} --method lol-prf:documents=3,temperature=2 --out rewriter --json"));
    let stages = told["stages"].as_array().unwrap();
    assert_eq!((stages.len(), &told["queries"], &told["documents"]), (4, &108.into(), &3.into()));
    for file in ["transform.npy", "attention.npy", "ranks.npy", "rewriter.json"] {
        assert!(folder.path("rewriter").join(file).is_file(), "{file}");
    }
    // Without feedback the search is the plain one.
    let search = "quadrat retrieve search --index model --queries asked.tsv --k 5";
    folder.ok(&format!("{search} --out plain.trec"));
    folder.ok(&format!("{search} --prf lol-prf:model=rewriter,documents=0 --out none.trec"));
    folder.ok(&format!("{search} --prf lol:model=rewriter --out three.trec"));
    assert_eq!(folder.read("plain.trec"), folder.read("none.trec"));
    assert_ne!(folder.read("plain.trec"), folder.read("three.trec"));
    for (line, part) in [
        (format!("{search} --prf rm3"), "an index of words"),
        (format!("{search} --prf lol-prf"), "lol-prf:model=FOLDER"),
        (format!("{search} --prf lol-prf:model=rewriter,terms=3"), "takes model and documents"),
        (format!("{search} --prf lol-prf:model=model"), "rewriter.json"),
        (format!("{line} --method lol-prf:documents=1,compare=2 --out m"), "2 sizes"),
        (format!("{line} --method lol-prf --method star --out m"), "only encoders of texts take several"),
        (format!("{line} --in parts.jsonl --method lol-prf --out m"), "--in"),
        (line.replace("--index model ", "") + " --method lol-prf --out m", "--index"),
    ] {
        let message = folder.fails(&line);
        assert!(message.contains(part), "{line}\n{message}");
    }
}
