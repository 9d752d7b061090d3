//! Types of columns through the verbs: what is kept stays what it was, what is made fits, and what a format does not hold
//! is refused before the work.

use crate::common::Folder;

/// A file of another program from the data layer's tests.
fn other(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/tests/others").join(name);
    path.to_str().unwrap().to_owned()
}

#[test]
fn booleans_and_whole_numbers_stay_what_they_are() {
    let folder = Folder::new("types-booleans");
    let mut csv = "x,n,smoker,y\n".to_owned();
    for i in 1..=40 {
        let smoker = if i % 3 == 0 { "True" } else { "False" };
        csv.push_str(&format!("{i}.5,{},{smoker},{}\n", i * 7 % 13, if i > 30 { "ill" } else { "well" }));
    }
    folder.write("b.csv", &csv);
    for ending in ["csv", "tsv", "jsonl", "parquet", "arrow", "npz"] {
        folder.ok(&format!("quadrat balance --in b.csv --target y --method smote --out b2.{ending}"));
        let shown = folder.json(&format!("quadrat data show b2.{ending} --json"));
        let kinds: Vec<&str> =
            shown["columns"].as_array().unwrap().iter().map(|c| c["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["float", "integer", "boolean", "text"], "{ending}");
    }
    let text = folder.read("b2.csv");
    assert!(text.starts_with(&csv), "kept rows are the file's own");
    assert!(text[csv.len()..].lines().all(|line| line.contains(",True,") || line.contains(",False,")), "{text}");
}

#[test]
fn pandas_files_go_through_the_verbs() {
    let folder = Folder::new("types-pandas");
    let pandas = other("pandas.parquet");
    for ending in ["parquet", "arrow"] {
        folder.ok(&format!("quadrat select --in {pandas} --method random --budget 5 --out s.{ending}"));
        folder.ok(&format!(
            "quadrat balance --in {pandas} --target grade --method random-over-sampling --out b.{ending}"
        ));
        assert_eq!(folder.json(&format!("quadrat data show s.{ending} --json"))["rows"], 5);
    }
    let error = folder.fails(&format!("quadrat select --in {pandas} --method random --budget 5 --out s.csv"));
    assert!(error.contains("column `month`") && error.contains("pandas.period"), "{error}");
    folder.ok(&format!("quadrat select --in {} --method random --budget 6 --out t.csv", other("brotli.parquet")));
    assert!(folder.read("t.csv").contains("09:30:0"), "{}", folder.read("t.csv"));
}

#[test]
fn a_folder_of_parquet_is_one_table() {
    let folder = Folder::new("types-folder");
    std::fs::create_dir(folder.path("parts")).unwrap();
    folder.write("a.csv", "x,y\n1,a\n2,b\n3,a\n");
    for part in 0..3 {
        folder.ok(&format!(
            "quadrat select --in a.csv --method top-score --score x --budget 100% --seed {part} --out parts/{part}.parquet"
        ));
    }
    for input in ["parts", "parts/*.parquet"] {
        folder.ok(&format!("quadrat select --in {input} --method top-score --score x --budget 100% --out all.arrow"));
        assert_eq!(folder.json("quadrat data show all.arrow --json")["rows"], 9);
    }
}

#[test]
fn a_file_is_converted_whole() {
    let folder = Folder::new("types-convert");
    let csv = "name,n,x,ok\n\"a, b\",1,0.5,true\nc,,-2.25,false\nd,3,,true\n";
    folder.write("t.csv", csv);
    for ending in ["jsonl", "parquet", "arrow", "csv.gz", "tsv"] {
        folder.ok(&format!("quadrat data convert --in t.csv --out t.{ending}"));
        let said = folder.json(&format!("quadrat data convert --in t.{ending} --out back.csv --json"));
        assert_eq!((&said["rows"], &said["columns"]), (&3.into(), &4.into()), "{said}");
        assert_eq!(folder.read("back.csv"), csv, "{ending}");
    }
    assert_eq!(folder.ok("quadrat data convert --in t.csv --out=-"), csv);
    for (line, says) in [
        ("--in t.csv --out t.libsvm", "--target"),
        ("--in t.csv --target x --out t.libsvm", "`name`"),
        ("--in t.csv --out t.xlsx", "xlsx"),
        ("--in t.csv --missing drop --out u.csv", "nothing is left out"),
    ] {
        let message = folder.fails(&format!("quadrat data convert {line}"));
        assert!(message.contains(says), "{line}\n{message}");
    }
}
