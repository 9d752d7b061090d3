//! The lines of the guide, as they are typed.

use crate::common::{Folder, mixed_csv, pool_jsonl, rows_csv, train_csv};

/// The lines of `text` that are not its first, as a set to look rows up in.
fn lines(text: &str) -> Vec<&str> {
    text.lines().skip(1).collect()
}

#[test]
fn select_mig_from_a_builtin_set() {
    let folder = Folder::new("mig-letter");
    let said = folder.ok(
        "quadrat select --in builtin:letter --target class --method mig --budget 2% --seed 1 --out subset.parquet --report report.html",
    );
    assert!(said.contains("400 of 20,000 rows") && said.contains("seed 1"), "{said}");
    assert_eq!(folder.files(), ["report.html", "subset.parquet"]);
    let described = folder.json("quadrat data show subset.parquet --json");
    assert_eq!((&described["rows"], described["columns"].as_array().unwrap().len()), (&400.into(), 17));
    let report = folder.read("report.html");
    for part in ["<svg", "Classes before and after", "Map of the pool", "Coverage against random", "--budget 2%"] {
        assert!(report.contains(part), "{part}");
    }
    assert!(!report.contains("http://") && !report.contains("https://") && !report.contains("<script"));
}

#[test]
fn select_mig_from_texts() {
    let folder = Folder::new("mig-text");
    folder.write("pool.jsonl", &pool_jsonl(1500));
    folder.ok("quadrat select --in pool.jsonl --text instruction,response --score quality --method mig --budget 1000 --out subset.jsonl");
    let pool = folder.read("pool.jsonl");
    let subset = folder.read("subset.jsonl");
    assert_eq!(subset.lines().count(), 1000);
    let known: std::collections::HashSet<&str> = pool.lines().collect();
    assert!(subset.lines().all(|line| known.contains(line)), "rows are the user's own, byte for byte");
}

#[test]
fn select_a_coreset_with_weights() {
    let folder = Folder::new("coreset");
    folder.write("rows.csv", &rows_csv(2000));
    folder.ok("quadrat select --in rows.csv --method sensitivity --p 1 --budget 500 --out core.csv          # adds a weight column");
    let core = folder.read("core.csv");
    assert_eq!(core.lines().next(), Some("a,b,c,weight"));
    let rows = folder.read("rows.csv");
    let known: std::collections::HashSet<&str> = rows.lines().collect();
    let mut total = 0.0;
    for line in lines(&core) {
        let (own, weight) = line.rsplit_once(',').unwrap();
        assert!(known.contains(own), "{own}");
        total += weight.parse::<f64>().unwrap();
    }
    assert_eq!(lines(&core).len(), 500);
    // The weights estimate the number of rows; sensitivity draws spread it, but not by half.
    assert!((1000.0..3000.0).contains(&total), "{total}");

    let again =
        folder.fails("quadrat select --in core.csv --method sensitivity --budget 50 --features a,b --out twice.csv");
    assert!(again.contains("weight") && again.contains("--no-weights"), "{again}");
}

#[test]
fn select_by_embedding_from_parquet() {
    let folder = Folder::new("embedding");
    let mut numbers = crate::common::Numbers::new(9);
    let text: String = (0..3000)
        .map(|i| {
            let vec: Vec<String> = (0..8).map(|_| format!("{:.4}", numbers.next() + f64::from(i % 3))).collect();
            format!("{{\"id\": {i}, \"vec\": [{}]}}\n", vec.join(", "))
        })
        .collect();
    folder.write("big.jsonl", &text);
    folder.ok("quadrat select --in big.jsonl --method random --budget 100% --out big.parquet");
    folder.ok("quadrat select --in big.parquet --embedding vec --method diversify-conquer --clusters 512 --rounds 3 --budget 5% --out subset.parquet");
    let described = folder.json("quadrat data show subset.parquet --json");
    assert_eq!(described["rows"], 150);
    assert_eq!(described["columns"][1]["type"], "embedding of 8 numbers");
}

#[test]
fn balance_by_smote() {
    let folder = Folder::new("smote");
    folder.write("train.csv", &train_csv(200));
    let said = folder.ok("quadrat balance --in train.csv --target label --method smote --k 5 --ratio 1.0 --out balanced.csv --report report.html");
    assert!(said.contains("200 rows of train.csv became 320, 120 of them new"), "{said}");
    let (before, after) = (folder.read("train.csv"), folder.read("balanced.csv"));
    assert!(after.starts_with(&before), "kept rows come first, byte for byte");
    let made: Vec<&str> = after[before.len()..].lines().collect();
    assert_eq!(made.len(), 120);
    for line in made {
        let cells: Vec<&str> = line.split(',').collect();
        assert_eq!((cells[0], cells[3]), ("", "rare"), "{line}");
        // Inside the box that the rare rows span.
        let (width, height): (f64, f64) = (cells[1].parse().unwrap(), cells[2].parse().unwrap());
        assert!((2.0..3.0).contains(&width) && (2.0..12.0).contains(&height), "{line}");
    }
    assert!(folder.read("report.html").contains("synthetic"));
}

#[test]
fn balance_mixed_columns_by_smote_nc() {
    let folder = Folder::new("smote-nc");
    folder.write("mixed.csv", &mixed_csv(200));
    folder.ok("quadrat balance --in mixed.csv --target y --method smote-nc --categorical auto --out balanced.csv");
    let (before, after) = (folder.read("mixed.csv"), folder.read("balanced.csv"));
    assert!(after.starts_with(&before));
    let made: Vec<&str> = after[before.len()..].lines().collect();
    assert_eq!(made.len(), 120);
    for line in made {
        let known = ["Oslo", "Rome", "\"Bath, UK\""].iter().any(|city| line.contains(city));
        assert!(known && line.ends_with(",yes") && (line.contains(",true,") || line.contains(",false,")), "{line}");
    }
}

#[test]
fn list_and_show() {
    let folder = Folder::new("list");
    assert!(folder.ok("quadrat list").contains("smote"));
    let found = folder.ok("quadrat list \"too few examples of one class\"");
    assert!(found.lines().take(12).any(|line| line.starts_with("smote")), "{found}");
    assert!(folder.ok("quadrat show smote").contains("--k"));
    assert!(folder.ok("quadrat data list").contains("letter"));
    let cards = folder.json("quadrat list --json");
    let names: Vec<&str> = cards.as_array().unwrap().iter().map(|card| card["slug"].as_str().unwrap()).collect();
    for wanted in ["mig", "diversify-conquer", "sensitivity-sampling", "smote", "random"] {
        assert!(names.contains(&wanted), "{wanted} of {names:?}");
    }
    assert!(folder.json("quadrat data list --json").as_array().unwrap().len() > 10);
    assert_eq!(folder.json("quadrat show smote --json")["slug"], "smote");
    assert!(folder.ok("quadrat balance --method smote --help").contains("--k "));
}

#[test]
fn check_all_claims_at_smoke_scale() {
    let folder = Folder::new("check");
    let checked = folder.json("quadrat check --all --scale smoke --json --out claims.json --report claims.html");
    let records = checked["records"].as_array().unwrap();
    assert!(records.iter().any(|record| record["slug"] == "smote"), "{checked}");
    assert!(records.iter().all(|record| record["verdict"].is_null()), "smoke scale gives no verdict");
    assert_eq!(folder.files(), ["claims.html", "claims.json"]);
    assert!(folder.ok("quadrat check smote --scale smoke --record kept").contains("smote"));
    assert!(folder.read("kept/CLAIMS.md").contains("[smote](claims/smote.md)"));
    assert!(folder.read("kept/claims/smote.md").contains("# smote"));
}
