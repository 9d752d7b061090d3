//! JSON alone on standard output, the same bytes for the same seed, the user's own rows, a README that keeps up.

use crate::common::{Folder, mixed_csv, rows_csv, train_csv};

#[test]
fn same_seed_same_bytes_at_any_number_of_threads() {
    let folder = Folder::new("threads");
    folder.write("rows.csv", &rows_csv(600));
    folder.write("mixed.csv", &mixed_csv(300));
    for (name, line) in [
        ("mig", "quadrat select --in rows.csv --method mig --budget 60"),
        ("sensitivity", "quadrat select --in rows.csv --method sensitivity --budget 60"),
        ("diversify", "quadrat select --in rows.csv --method diversify-conquer --clusters 20 --budget 60"),
        ("random", "quadrat select --in rows.csv --method random --budget 10%"),
        ("smote", "quadrat balance --in mixed.csv --target y --features age --method smote"),
        ("smote-nc", "quadrat balance --in mixed.csv --target y --method smote-nc"),
        ("adasyn", "quadrat balance --in mixed.csv --target y --method adasyn"),
    ] {
        for threads in [1, 2] {
            folder.ok(&format!("{line} --seed 7 --threads {threads} --out {name}-{threads}.csv"));
        }
        assert_eq!(folder.read(&format!("{name}-1.csv")), folder.read(&format!("{name}-2.csv")), "{name}");
    }
    folder.ok("quadrat select --in rows.csv --method random --budget 10% --seed 8 --out other.csv");
    assert_ne!(folder.read("other.csv"), folder.read("random-1.csv"));
}

#[test]
fn json_is_one_object() {
    let folder = Folder::new("json");
    folder.write("train.csv", &train_csv(60));
    let selected =
        folder.json("quadrat select --in train.csv --target label --method random --budget 10 --json --explain");
    assert_eq!((selected["chosen"].as_u64(), selected["rows"].as_u64()), (Some(10), Some(60)));
    assert_eq!(selected["indices"].as_array().unwrap().len(), 10);
    assert_eq!(selected["classes"]["rare"]["before"], 12);
    let balanced = folder.json("quadrat balance --in train.csv --target label --method smote --json --out b.csv");
    assert_eq!((balanced["synthetic"].as_u64(), balanced["parameters"]["k"].as_str()), (Some(36), Some("5")));
}

#[test]
fn formats_change_on_the_way_through() {
    let folder = Folder::new("formats");
    folder.write("train.csv", &train_csv(60));
    folder.ok("quadrat balance --in train.csv --target label --method smote --out b.parquet");
    folder.ok("quadrat select --in b.parquet --method k-center --budget 100% --out b.jsonl.gz");
    folder.ok("quadrat select --in b.jsonl.gz --target label --method stratified --budget 12 --out small.csv.zst");
    let small = folder.json("quadrat data show small.csv.zst --json");
    assert_eq!((&small["rows"], &small["columns"][3]["name"]), (&12.into(), &"label".into()));
}

#[test]
fn an_estimate_comes_before_the_run() {
    let folder = Folder::new("explain");
    folder.write("rows.csv", &rows_csv(100));
    let output = folder.run("quadrat select --in rows.csv --method sensitivity --budget 10 --explain --out o.csv");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("100 rows x 3 features") && said.contains("memory"), "{said}");
}

#[test]
fn no_option_of_a_method_hides_behind_a_common_flag() {
    let folder = Folder::new("flags");
    let cards = folder.json("quadrat list --json");
    for card in cards.as_array().unwrap() {
        // The verbs that take a method's parameters as options of their own; others have theirs in their own help.
        let verbs = card["verbs"].as_array().unwrap().iter().filter_map(|verb| verb.as_str());
        let Some(verb) = verbs.into_iter().find(|verb| ["select", "balance"].contains(verb)) else { continue };
        let help = folder.ok(&format!("quadrat {verb} --help"));
        for parameter in card["params"].as_array().unwrap() {
            let flag = format!("--{} ", parameter["name"].as_str().unwrap());
            assert!(!help.contains(&flag), "{} of {}", flag, card["slug"]);
        }
    }
}

#[test]
fn the_readme_lists_the_methods_as_they_are() {
    let folder = Folder::new("readme");
    let table = folder.ok("quadrat list --markdown");
    let readme = include_str!("../../../../README.md");
    let (_, rest) = readme.split_once("<!-- methods:begin -->\n").unwrap();
    let (written, _) = rest.split_once("<!-- methods:end -->").unwrap();
    assert_eq!(written.trim(), table.trim(), "replace the README's table by the output of `quadrat list --markdown`");
}
