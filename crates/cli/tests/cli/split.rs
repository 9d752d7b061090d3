//! `quadrat split`.

use crate::common::{Folder, Numbers, rows_csv};
use std::collections::HashSet;

/// Questions about five topics, three in four of whose words belong to the topic.
fn queries(rows: usize, seed: u64) -> String {
    let topics = [
        ["oven", "bread", "yeast", "flour", "crust", "dough"],
        ["goal", "league", "striker", "referee", "match", "coach"],
        ["orbit", "comet", "planet", "telescope", "galaxy", "lunar"],
        ["verb", "noun", "tense", "grammar", "syntax", "clause"],
        ["engine", "brake", "clutch", "piston", "tyre", "diesel"],
    ];
    let mut numbers = Numbers::new(seed);
    (0..rows)
        .map(|i| {
            let topic = (5.0 * numbers.next()) as usize;
            let mut word =
                || topics[if numbers.next() < 0.1 { (topic + 1) % 5 } else { topic }][(6.0 * numbers.next()) as usize];
            let text = format!("{} {} {} {}", word(), word(), word(), word());
            format!("{{\"id\": {i}, \"query\": \"{text}\", \"docs\": [\"d{}\"], \"extra\": {{\"n\": null}}}}\n", i % 50)
        })
        .collect()
}

fn lines(folder: &Folder, name: &str) -> Vec<String> {
    folder.read(name).lines().map(str::to_owned).collect()
}

#[test]
fn split_queries_into_folds() {
    let folder = Folder::new("split");
    folder.write("queries.jsonl", &queries(400, 5));
    let said = folder.ok(
        "quadrat split --in queries.jsonl --text query --protocol extrapolation --folds 5 --out splits/ --report report.html",
    );
    assert!(said.contains("400 rows of queries.jsonl") && said.contains("fold-5"), "{said}");
    assert_eq!(folder.files(), ["queries.jsonl", "report.html", "splits"]);
    let all: HashSet<String> = lines(&folder, "queries.jsonl").into_iter().collect();
    let mut extrapolated = HashSet::new();
    for fold in 1..=5 {
        let part = |name: &str| lines(&folder, &format!("splits/fold-{fold}/{name}.jsonl"));
        let (train, near, far) = (part("train"), part("interpolation"), part("extrapolation"));
        let rows: HashSet<String> = [train.clone(), near.clone(), far.clone()].concat().into_iter().collect();
        assert_eq!(rows.len(), train.len() + near.len() + far.len(), "no row twice");
        assert!(rows == all && near.len() == far.len(), "rows are the user's own, byte for byte");
        extrapolated.extend(far);
    }
    assert_eq!(extrapolated, all, "every row is extrapolated to in one fold");
    let report = folder.read("report.html");
    for part in ["Similarity to the nearest training row", "Test rows", "fold-5", "embedding of random numbers"] {
        assert!(report.contains(part), "{part}");
    }
    assert!(!report.contains("http://") && !report.contains("https://") && !report.contains("<script"));

    let again = folder.fails("quadrat split --in queries.jsonl --text query --out splits");
    assert!(again.contains("splits") && again.contains("not empty"), "{again}");
}

#[test]
fn json_says_how_near_and_which_rows() {
    let folder = Folder::new("split-json");
    folder.write("queries.jsonl", &queries(300, 6));
    let line = "quadrat split --in queries.jsonl --text query --relevant docs --balanced --purge 0.99 --seed 3 --json";
    let said = folder.json(line);
    assert_eq!((&said["method"], &said["similarity"]), (&"interp-extrap-split".into(), &"cosine".into()));
    let splits = said["splits"].as_array().unwrap();
    assert_eq!(splits.len(), 5);
    for split in splits {
        let (near, far) = (&split["interpolation"], &split["extrapolation"]);
        assert_eq!((&near["test"], &far["test"]), (&60.into(), &60.into()));
        let median = |side: &serde_json::Value| side["similarity"]["50%"].as_f64().unwrap();
        assert!(median(near) > median(far), "{near} {far}");
        assert!(far["similarity"]["max"].as_f64().unwrap() < 0.99, "purged");
        assert!(near["near_duplicates"].as_u64() > far["near_duplicates"].as_u64());
        assert_eq!(far["relevance_overlap"]["queries"], 60);
        assert!(far["relevance_overlap"]["overlapping"].as_u64().unwrap() > 0, "documents are shared by all topics");
        assert_eq!(split["rows"]["extrapolation"].as_array().unwrap().len(), 60);
    }
    let pick = |value: &serde_json::Value| value["splits"].clone();
    assert_eq!(pick(&folder.json(&format!("{line} --threads 1"))), pick(&folder.json(&format!("{line} --threads 2"))));
}

#[test]
fn a_test_file_keeps_its_own_format() {
    let folder = Folder::new("split-two");
    folder.write("train.jsonl", &queries(300, 7));
    folder.write("more.jsonl", &queries(80, 8));
    folder.ok("quadrat select --in more.jsonl --method random --budget 100% --out test.csv.gz");
    folder.ok("quadrat split --in train.jsonl --test test.csv.gz --text query --folds 4 --out folds");
    let mut rows = 0;
    for fold in 1..=4 {
        assert!(folder.read(&format!("folds/fold-{fold}/train.jsonl")).lines().count() < 300);
        let described = folder.json(&format!("quadrat data show folds/fold-{fold}/extrapolation.csv.gz --json"));
        rows += described["rows"].as_u64().unwrap();
    }
    assert_eq!(rows, 80);

    let said = folder.ok(
        "quadrat split --in train.jsonl --test test.csv.gz --text query --protocol resample --sizes 100,50 --far farthest --out sets",
    );
    assert!(said.contains("size-50") && said.contains("size-100"), "{said}");
    let part = |size: usize, side: &str| -> HashSet<String> {
        lines(&folder, &format!("sets/size-{size}/train-{side}.jsonl")).into_iter().collect()
    };
    for side in ["interpolation", "extrapolation"] {
        assert_eq!((part(50, side).len(), part(100, side).len()), (50, 100));
        assert!(part(50, side).is_subset(&part(100, side)));
    }
    assert!(part(100, "interpolation").is_disjoint(&part(100, "extrapolation")));
    let default = folder.json(
        "quadrat split --in train.jsonl --test test.csv.gz --text query --protocol resample --per-query 1 --json",
    );
    assert_eq!(default["splits"][0]["name"], "per-query-1");
}

#[test]
fn numeric_columns_and_builtin_sets() {
    let folder = Folder::new("split-numeric");
    let said = folder.json("quadrat split --in builtin:iris --target class --folds 3 --out parts --json");
    assert_eq!(said["similarity"], "1 / (1 + Euclidean distance)");
    assert!(folder.read("parts/fold-1/train.csv").lines().count() > 1);
    folder.write("rows.csv", &rows_csv(60));
    assert!(folder.ok("quadrat split --in rows.csv --features a,c --folds 2").contains("nothing was written"));
}

#[test]
fn what_goes_wrong_leaves_nothing_behind() {
    let folder = Folder::new("split-errors");
    folder.write("rows.csv", &rows_csv(20));
    folder.write("other.csv", "a,b\n1,2\n3,4\n");
    folder
        .write("blank.jsonl", "{\"q\": \"red wine\"}\n{\"q\": \"\"}\n{\"q\": \"white wine\"}\n{\"q\": \"red car\"}\n");
    folder.write("file", "");
    for (line, parts) in [
        ("quadrat split --in rows.csv --folds 1 --out o", vec!["folds: got `1`", "at least 2"]),
        ("quadrat split --in rows.csv --folds 21 --out o", vec!["folds: got 21", "2 to 20"]),
        ("quadrat split --in rows.csv --purge 2 --out o", vec!["purge: got `2`", "at most 1"]),
        ("quadrat split --in rows.csv --sizes 5 --out o", vec!["--sizes", "--protocol resample"]),
        ("quadrat split --in rows.csv --protocol resample --out o", vec!["--test", "its file"]),
        (
            "quadrat split --in rows.csv --test rows.csv --protocol resample --folds 3 --out o",
            vec!["--folds", "--protocol extrapolation"],
        ),
        (
            "quadrat split --in rows.csv --test rows.csv --protocol resample --sizes 15 --out o",
            vec!["dissimilar enough", "fewer rows"],
        ),
        ("quadrat split --in rows.csv --test other.csv --folds 2 --out o", vec!["other.csv", "`c`"]),
        ("quadrat split --in rows.csv --test rows.csv --embedding v.npy --out o", vec!["embedding", "column"]),
        ("quadrat split --in rows.csv --text tekst --out o", vec!["`tekst`"]),
        ("quadrat split --in blank.jsonl --text q --folds 2 --out o", vec!["blank.jsonl:2", "no direction"]),
        ("quadrat split --in rows.csv --out file", vec!["file", "a file of that name"]),
        ("quadrat split --in rows.csv --out no/such/folder", vec!["no/such", "No such file"]),
        ("quadrat split --in rows.csv --out o --report .", vec!["output file"]),
        ("quadrat select --in rows.csv --method interp-extrap-split --budget 5 --out o.csv", vec!["quadrat split"]),
    ] {
        let message = folder.fails(line);
        assert!(parts.iter().all(|part| message.contains(part)), "{line}\n{message}");
    }
}

#[test]
fn one_hold_out_is_stratified_or_keeps_groups_and_times_apart() {
    let folder = Folder::new("split-hold-out");
    let mut text = String::from("who,when,x,y\n");
    for i in 0..200 {
        text.push_str(&format!("P{},{},{},{}\n", i / 4, 1000 - i, i % 7, if i % 50 == 0 { "rare" } else { "usual" }));
    }
    folder.write("d.csv", &text);
    let said = folder.ok("quadrat split --in d.csv --hold-out 0.2 --target y --out parts");
    assert!(said.contains("160 rows to train on and 40 to test on") && said.contains("rare"), "{said}");
    let (train, test) = (folder.read("parts/train.csv"), folder.read("parts/test.csv"));
    assert_eq!((train.matches("rare").count(), test.matches("rare").count()), (3, 1));
    let mut both: Vec<&str> = train.lines().skip(1).chain(test.lines().skip(1)).collect();
    let mut all: Vec<&str> = text.lines().skip(1).collect();
    both.sort_unstable();
    all.sort_unstable();
    assert_eq!(both, all, "every row once, as it was");
    let said = folder.json("quadrat split --in d.csv --hold-out 0.2 --groups who --json");
    let side = |name: &str| -> Vec<u64> {
        said["rows"][name].as_array().unwrap().iter().map(|row| row.as_u64().unwrap() / 4).collect()
    };
    assert!(side("train").iter().all(|group| !side("test").contains(group)), "{said}");
    let said = folder.json("quadrat split --in d.csv --hold-out 0.1 --time when --json");
    assert_eq!(said["rows"]["test"], serde_json::json!((0..20).collect::<Vec<_>>()), "the largest are the latest");
    folder.write("twice.csv", "x,y\n1,a\n1,a\n1,a\n1,a\n1,b\n1,b\n");
    let said = folder.json("quadrat split --in twice.csv --hold-out 0.3 --target y --json");
    assert!(said["warnings"].to_string().contains("exact copies"), "{said}");
    for (options, says) in [
        ("--groups who", "--hold-out"),
        ("--hold-out 0.2 --groups who --time when", "cannot be used with"),
        ("--hold-out 1", "below 1"),
        ("--hold-out 0.2 --groups nobody", "did you mean"),
        ("--hold-out 0.2 --folds 3", "cannot be used with"),
    ] {
        let message = folder.fails(&format!("quadrat split --in d.csv {options}"));
        assert!(message.contains(says), "{options}\n{message}");
    }
}
