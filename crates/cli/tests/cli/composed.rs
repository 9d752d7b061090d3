//! Encoders of queries that are something and words about it.

use crate::common::{Folder, Numbers};
use std::fs;

/// 160 references of six values, what is to change, and the targets that have it changed.
pub fn write_pairs(folder: &Folder) {
    let mut numbers = Numbers::new(9);
    let header = "a,b,c,d,e,f\n";
    let (mut references, mut targets) = (header.to_owned(), header.to_owned());
    let (mut words, mut tags) = (String::new(), String::new());
    for row in 0..160 {
        let values: Vec<f64> = (0..6).map(|_| 2.0 * numbers.next() - 1.0).collect();
        let way = row % 4;
        let line = |add: f64| {
            let moved =
                values.iter().enumerate().map(|(at, v)| format!("{:.4}", v + if at == way { add } else { 0.0 }));
            moved.collect::<Vec<_>>().join(",") + "\n"
        };
        references.push_str(&line(0.0));
        targets.push_str(&line(2.0));
        let word = ["red", "blue", "small", "large"][way];
        let (kind, silent) = (if way < 2 { "colour" } else { "size" }, row % 10 == 9);
        words.push_str(&if silent { "\n".to_owned() } else { format!("make it {word}\n") });
        tags.push_str(&if silent {
            "{}\n".to_owned()
        } else {
            format!("{{\"{kind}\": [\"{word}\"], \"mood\": null}}\n")
        });
    }
    folder.write("refs.csv", &references);
    folder.write("targets.csv", &targets);
    folder.write("words.txt", &words);
    folder.write("tags.jsonl", &tags);
    folder.write(
        "examples.jsonl",
        "{\"tags\": {\"colour\": \"red\"}, \"text\": \"A red one please.\"}\n{\"tags\": {\"size\": [\"small\"]}, \"text\": \"Make it small!\"}\n",
    );
    for name in ["refs", "targets"] {
        folder.ok(&format!("quadrat data convert --in {name}.csv --out {name}.npy"));
    }
}

const LINE: &str = "quadrat retrieve train --queries refs.npy --targets targets.npy --dims 16";

#[test]
fn an_encoder_is_trained_and_used() {
    let folder = Folder::new("composed");
    write_pairs(&folder);
    for (at, (method, words)) in [
        ("multi-grained-uncertainty:epochs=25,batch=24,rate=0.01", "--words words.txt"),
        ("viml:epochs=25,batch=24,rate=0.01,text-dropout=0.3", "--tags tags.jsonl --examples examples.jsonl"),
        ("viml:epochs=25,batch=24,rate=0.01", "--tags tags.jsonl"),
    ]
    .into_iter()
    .enumerate()
    {
        let told = folder.json(&format!("{LINE} {words} --method {method} --out m{at} --json"));
        let found = |stage: usize, key: &str| told["stages"][stage]["recall"][key].as_f64().unwrap();
        assert_eq!(
            (&told["queries"], &told["held_back"], &told["without_words"]),
            (&144.into(), &16.into(), &16.into())
        );
        assert!(
            found(1, "r@10") > found(0, "r@10") + 0.3 && found(1, "median_rank") < found(0, "median_rank"),
            "{told}"
        );
        // The same seed gives the same bytes, whatever the threads.
        folder.ok(&format!("{LINE} {words} --method {method} --out again{at} --threads 1"));
        for file in ["words.npy", "words.tsv", "reference-0.npy", "target-0.npy", "gate-0.npy", "weights.npy"] {
            let read = |name: &str| fs::read(folder.path(name).join(file)).unwrap();
            assert!(read(&format!("m{at}")) == read(&format!("again{at}")), "{file}");
        }
    }
    folder.ok("quadrat retrieve compose --model m0/ --queries refs.npy --words words.txt --out vectors.npy");
    folder.ok("quadrat retrieve compose --model m0/ --queries refs.npy --out bare.npy");
    folder.ok("quadrat retrieve compose --model m0/ --targets targets.npy --out gallery.npy");
    assert!(fs::read(folder.path("vectors.npy")).unwrap() != fs::read(folder.path("bare.npy")).unwrap());
    let items: String = (0..160).map(|row| format!("{{\"id\": \"p{row}\"}}\n")).collect();
    let queries: String = (0..160).map(|row| format!("q{row}\twhatever\n")).collect();
    folder.write("items.jsonl", &items);
    folder.write("queries.tsv", &queries);
    folder.ok("quadrat retrieve index --in items.jsonl --id id --vectors gallery.npy --kind dense --out pictures");
    let search = "quadrat retrieve search --index pictures --queries queries.tsv --vectors vectors.npy --k 10 --json";
    let told = folder.json(search);
    let own = |(row, answer): (usize, &serde_json::Value)| {
        answer["hits"].as_array().unwrap().iter().any(|hit| hit["document"] == format!("p{row}"))
    };
    let right = told["results"].as_array().unwrap().iter().enumerate().filter(|answer| own(*answer)).count();
    assert!(right > 120, "{right}");
}

#[test]
fn sentences_may_be_vectors_or_absent() {
    let folder = Folder::new("composed-vectors");
    write_pairs(&folder);
    let method = "--method mgur:epochs=2,composer=concat";
    folder.ok(&format!("{LINE} --words targets.npy {method} --out vectors"));
    folder.ok("quadrat retrieve compose --model vectors --queries refs.npy --words targets.npy --out a.npy");
    folder.ok(&format!("{LINE} {method} --validation 0 --out bare"));
    folder.ok("quadrat retrieve compose --model bare --queries refs.npy --out b.npy");
    for (line, part) in [
        ("compose --model vectors --queries refs.npy --words words.txt --out c.npy", "vectors (.npy)"),
        ("compose --model bare --queries refs.npy --words words.txt --out c.npy", "knows no words"),
        ("compose --model vectors --queries refs.npy --out c.csv", ".npy"),
        ("compose --model nowhere --queries refs.npy --out c.npy", "model.json"),
    ] {
        let message = folder.fails(&format!("quadrat retrieve {line}"));
        assert!(message.contains(part), "{line}\n{message}");
    }
}

#[test]
fn tags_become_sentences() {
    let folder = Folder::new("describe");
    write_pairs(&folder);
    let line = "quadrat retrieve describe --tags tags.jsonl";
    let told = folder.json(&format!("{line} --examples examples.jsonl --method analogy --out a.txt --json"));
    assert_eq!((&told["sentences"], &told["empty"]), (&160.into(), &16.into()), "{told}");
    let text = folder.read("a.txt");
    assert_eq!(
        text.lines().take(4).collect::<Vec<_>>(),
        ["A red one please.", "A blue one please.", "Make it small!", "Make it large!"]
    );
    assert_eq!((text.lines().count(), text.lines().nth(9)), (160, Some("")));
    folder.ok(&format!("{line} --method tags --out b.txt"));
    folder.ok(&format!("{line} --method template --out c.txt"));
    assert_eq!(folder.read("b.txt").lines().next(), Some("colour: red"));
    assert_eq!(folder.read("c.txt").lines().next(), Some("The colour is red."));
    folder.write("bad.jsonl", "{\"colour\": \"red\"}\n{\"colour\": 3}\n");
    folder.write("silent.jsonl", "{\"tags\": {\"colour\": \"red\"}}\n");
    for (line, part) in [
        ("--tags tags.jsonl --out d.txt", "analogy prompting needs at least one (tags, sentence) pair"),
        ("--tags bad.jsonl --method tags --out d.txt", "bad.jsonl:2"),
        ("--tags tags.jsonl --examples silent.jsonl --out d.txt", "silent.jsonl:1"),
        ("--tags nowhere.jsonl --method tags --out d.txt", "nowhere.jsonl"),
    ] {
        let message = folder.fails(&format!("quadrat retrieve describe {line}"));
        assert!(message.contains(part), "{line}\n{message}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let folder = Folder::new("composed-errors");
    write_pairs(&folder);
    folder.write("few.txt", "make it red\n");
    folder.write("two.csv", "a,b\n1,2\n3,4\n");
    folder.ok("quadrat data convert --in two.csv --out two.npy");
    let method = "--method multi-grained-uncertainty --out m";
    for (line, part) in [
        (format!("--queries refs.npy {method}"), "--targets"),
        (format!("--queries refs.npy --targets two.npy {method}"), "2 rows where"),
        (
            format!("--queries refs.npy --targets targets.npy --words few.txt {method}"),
            "few.txt: 1 lines where there are 160",
        ),
        (
            format!("--queries refs.npy --targets targets.npy --tags bad --examples e --words few.txt {method}"),
            "cannot be used",
        ),
        (format!("--queries refs.npy --targets targets.npy --qrels q {method}"), "--qrels"),
        (format!("--queries refs.npy --targets targets.npy --spread 2 {method}"), "--spread"),
        (format!("--queries refs.npy --targets targets.npy --validation 1 {method}"), "--validation"),
        (format!("--queries refs.npy --targets targets.npy --dims 0 {method}"), "dims"),
        (
            format!("--queries refs.npy --targets targets.npy --method viml {method}"),
            "only encoders of texts take several",
        ),
        ("--queries refs.npy --targets targets.npy --method viml:text-dropout=2 --out m".to_owned(), "text-dropout"),
        ("--queries refs.npy --targets targets.npy --method mgur:epochs=0 --out m".to_owned(), "epochs"),
        ("--queries words.txt --targets targets.npy --method star --out m".to_owned(), "--targets"),
        ("--queries words.txt --in refs.csv --method star --out m".to_owned(), "--qrels"),
    ] {
        let message = folder.fails(&format!("quadrat retrieve train {line}"));
        assert!(message.contains(part), "{line}\n{message}");
    }
}
