//! What is said of a file's columns, and what becomes of missing values.

use crate::common::{Folder, Numbers};
use serde_json::Value;

/// Names of columns in a JSON answer.
fn used(value: &Value) -> Vec<(&str, &str)> {
    let used = value["columns"]["used"].as_array().unwrap();
    used.iter().map(|c| (c["name"].as_str().unwrap(), c["as"].as_str().unwrap())).collect()
}

fn left_out(value: &Value) -> Vec<(&str, &str)> {
    let out = value["columns"]["left_out"].as_array().unwrap();
    out.iter().map(|c| (c["name"].as_str().unwrap(), c["why"].as_str().unwrap())).collect()
}

fn warnings(value: &Value) -> String {
    value["warnings"].as_array().unwrap().iter().map(|w| w.as_str().unwrap()).collect::<Vec<_>>().join("\n")
}

/// An index, two measures, a name, a text and a class; every seventh measure is missing.
fn gaps_csv(rows: usize) -> String {
    let mut numbers = Numbers::new(11);
    let mut text = String::from(",a,b,city,note,y\n");
    for i in 0..rows {
        let a = if i % 7 == 3 { String::new() } else { format!("{:.3}", numbers.next()) };
        let city = if i % 11 == 5 { "" } else { ["Oslo", "Rome"][i % 2] };
        let class = if i % 5 == 0 { "rare" } else { "common" };
        text.push_str(&format!("{i},{a},{:.3},{city},n{i},{class}\n", numbers.next()));
    }
    text
}

#[test]
fn columns_are_said_in_text_json_and_report() {
    let folder = Folder::new("columns-said");
    folder.write("t.csv", &gaps_csv(60));
    let line =
        "quadrat select --in t.csv --method k-center --budget 5 --target y --features b --out o.csv --report r.html";
    let text = folder.ok(line);
    assert!(text.contains("columns used: b (number); y (target, 2 classes)"), "{text}");
    assert!(text.contains("(not named)"), "{text}");
    assert!(folder.read("r.html").contains("columns used"));
    let value = folder.json("quadrat select --in t.csv --method k-center --budget 5 --target y --exclude a --json");
    assert_eq!(used(&value), [("b", "number"), ("y", "target")]);
    let expected = [("column 1", "has no name"), ("a", "excluded"), ("city", "text"), ("note", "text")];
    assert_eq!(left_out(&value), expected);
    let idle = folder.json("quadrat select --in t.csv --method random --budget 5 --impute mean --json");
    assert!(warnings(&idle).contains("--missing has no effect"), "{idle}");
    // A method that reads no columns has nothing to refuse.
    let random = folder.json("quadrat select --in t.csv --method random --budget 5 --json");
    assert_eq!(used(&random), []);
}

/// Case 3: an index column is neither interpolated nor learnt from.
#[test]
fn index_columns_are_left_alone() {
    let folder = Folder::new("index");
    let rows: String =
        (0..300).map(|i| format!("{i},{},{}\n", (i * 7919 + 13) % 101, if i < 100 { "x" } else { "y" })).collect();
    folder.write("ix.csv", &format!(",a,grade\n{rows}"));
    let value = folder.json("quadrat balance --in ix.csv --target grade --method smote --out b.csv --json");
    assert_eq!(
        (used(&value), left_out(&value)),
        (vec![("a", "number"), ("grade", "target")], vec![("column 1", "has no name")])
    );
    let made = folder.read("b.csv");
    assert!(made.lines().skip(301).all(|line| line.starts_with(',')), "{made}");
    let named = folder
        .json("quadrat balance --in ix.csv --target grade --method smote --features \"a,column 1\" --out c.csv --json");
    assert_eq!(used(&named)[..2], [("column 1", "number"), ("a", "number")]);
}

/// Case 5: one infinity is an error that names its place, in every verb that reads the column.
#[test]
fn an_infinity_is_named() {
    let folder = Folder::new("infinity");
    let rows: String = (1..=60).map(|i| format!("{},{},{}\n", i % 7, i * i, ["u", "v"][i % 2])).collect();
    folder.write("i.csv", &format!("a,b,y\n{rows}3,inf,u\n"));
    for verb in [
        "select --method k-center --budget 4 --out o.csv",
        "balance --target y --method smote --out o.csv",
        "sample --method autoencoder-score --rows 5 --out o.csv",
        "split --out o",
        "compare --target y",
        "train --target y --epochs 1",
    ] {
        let (verb, rest) = verb.split_once(' ').unwrap();
        let message = folder.fails(&format!("quadrat {verb} --in i.csv {rest}"));
        assert!(
            message.contains("i.csv:62") && message.contains("`b`") && message.contains("infinite"),
            "{verb}\n{message}"
        );
    }
    folder.ok("quadrat select --in i.csv --features a --method k-center --budget 4 --out o.csv");
}

/// Case 13: names with commas and equals signs.
#[test]
fn any_name_can_be_named() {
    let folder = Folder::new("names-with-commas");
    let rows: String = (0..20).map(|i| format!("{},{},{}\n", i * 3 % 17, i % 4, i % 2)).collect();
    folder.write("c.csv", &format!("\"Income, annual\",a=b,y\n{rows}"));
    for features in ["Income, annual", "a=b,Income, annual", "y,Income, annual"] {
        folder.ok(&format!(
            "quadrat select --in c.csv --method k-center --features \"{features}\" --budget 3 --out c2.csv"
        ));
    }
    let line =
        "quadrat select --in c.csv --method k-center --types \"Income, annual=float,a=b=category\" --budget 3 --json";
    assert_eq!(used(&folder.json(line)), [("Income, annual", "number"), ("y", "number")]);
    let wrong =
        folder.fails("quadrat select --in c.csv --method k-center --features \"Income\" --budget 3 --out c3.csv");
    assert!(wrong.contains("`Income`") && wrong.contains("Income, annual"), "{wrong}");
}

#[test]
fn missing_values_are_refused_with_a_way_out() {
    let folder = Folder::new("missing-refused");
    folder.write("t.csv", &gaps_csv(60));
    for verb in [
        "select --method k-center --budget 4 --out o.csv",
        "balance --target y --method smote --out o.csv",
        "split --out o",
    ] {
        let (verb, rest) = verb.split_once(' ').unwrap();
        let message = folder.fails(&format!("quadrat {verb} --in t.csv {rest}"));
        for part in
            ["t.csv:5", "9 of 60 rows lack a value in `a` (9)", "--missing drop", "--missing impute", "--exclude"]
        {
            assert!(message.contains(part), "{verb}: {part}\n{message}");
        }
    }
    let words = folder.fails("quadrat balance --in t.csv --target y --method smote-nc --missing category --out o.csv");
    assert!(words.contains("`category` is for names"), "{words}");
    let idle =
        folder.fails("quadrat select --in t.csv --method k-center --budget 4 --missing drop --impute mean --out o.csv");
    assert!(idle.contains("--impute"), "{idle}");
}

#[test]
fn rows_that_lack_a_value_are_left_out() {
    let folder = Folder::new("missing-drop");
    folder.write("t.csv", &gaps_csv(60));
    let line = "quadrat select --in t.csv --method k-center --budget 100% --missing drop --json";
    let value = folder.json(line);
    let rows: Vec<u64> = value["indices"].as_array().unwrap().iter().map(|row| row.as_u64().unwrap()).collect();
    assert_eq!(rows.len(), 51);
    assert!(rows.iter().all(|row| row % 7 != 3) && rows.contains(&58), "numbers of the file's own rows: {rows:?}");
    assert!(warnings(&value).contains("9 of 60 rows lack a value in `a` (9): these rows are left out"));
    folder.ok("quadrat select --in t.csv --method k-center --budget 100% --missing drop --out o.csv");
    let (file, out) = (folder.read("t.csv"), folder.read("o.csv"));
    let known: std::collections::HashSet<&str> = file.lines().collect();
    assert!(out.lines().count() == 52 && out.lines().all(|line| known.contains(line)));
    let split = folder.json("quadrat split --in t.csv --missing drop --folds 2 --json");
    let train = split["splits"][0]["rows"]["train"].as_array().unwrap();
    assert!(train.iter().all(|row| row.as_u64().unwrap() % 7 != 3));
    folder.ok("quadrat balance --in t.csv --target y --method smote --missing drop --out b.csv");
    assert!(folder.read("b.csv").lines().skip(1).all(|line| !line.split(',').nth(1).unwrap().is_empty()));
    let rounds = folder.ok("quadrat order --in t.csv --target city --draw stratified --missing drop --fraction 100%");
    assert!(rounds.lines().all(|row| row.parse::<u64>().unwrap() % 11 != 5), "{rounds}");
}

#[test]
fn gaps_are_filled_for_the_method_alone() {
    let folder = Folder::new("missing-impute");
    folder.write("t.csv", &gaps_csv(80));
    let file = folder.read("t.csv");
    for fill in ["median", "mean", "knn"] {
        let line =
            format!("quadrat balance --in t.csv --target y --method smote-nc --impute {fill} --out {fill}.csv --json");
        let value = folder.json(&line);
        assert!(warnings(&value).contains("`a` ("), "{value}");
        let out = folder.read(&format!("{fill}.csv"));
        assert!(out.starts_with(&file), "kept rows are as they were");
        for line in out[file.len()..].lines() {
            let cells: Vec<&str> = line.split(',').collect();
            assert!(cells[1..4].iter().all(|cell| !cell.is_empty()) && cells[4].is_empty(), "{line}");
        }
    }
    folder.ok("quadrat balance --in t.csv --target y --method smote-nc --exclude a --missing category --out c.csv");
    for line in folder.read("c.csv")[file.len()..].lines() {
        assert!(!line.split(',').nth(3).unwrap().is_empty(), "{line}");
    }
    let sampled = folder.json("quadrat compare --in t.csv --target y --impute knn --methods k-center --seeds 2 --visits 200 --budgets 10 --json");
    assert!(warnings(&sampled).contains("nearest rows"), "{sampled}");
}

#[test]
fn what_stands_out_is_said() {
    let folder = Folder::new("stands-out");
    let mut rows: String = (0..150).map(|i| format!("{},{},c{i}\n", i % 13, i % 7)).collect();
    rows.push_str("0,0,c0\n");
    folder.write("t.csv", &format!("a,b,y\n{rows}"));
    let value = folder.json("quadrat select --in t.csv --method k-center --budget 5 --target y --json");
    let said = warnings(&value);
    for part in ["`y` has 150 classes", "one row only of `y`", "the same as an earlier one"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    folder.ok("quadrat select --in t.csv --method random --budget 100% --out t.parquet");
    let idle = folder.run("quadrat select --in t.parquet --method random --budget 5 --thousands , --json");
    let idle = String::from_utf8(idle.stderr).unwrap();
    assert!(idle.contains("--thousands has no effect"), "{idle}");
}

#[test]
fn a_file_is_shown_column_by_column() {
    let folder = Folder::new("data-show");
    folder.write("t.csv", &(gaps_csv(60) + "60,inf,0.5,Oslo,n60,rare\n"));
    let value = folder.json("quadrat data show t.csv --json");
    let columns = value["columns"].as_array().unwrap();
    let of = |at: usize, key: &str| columns[at][key].clone();
    assert_eq!((of(0, "left_out"), of(0, "different")), ("has no name".into(), 61.into()));
    assert_eq!((of(1, "as"), of(1, "missing")), ("number".into(), 9.into()));
    assert_eq!((of(3, "as"), of(3, "different"), of(3, "missing")), ("category".into(), 2.into(), 5.into()));
    assert_eq!(of(4, "left_out"), "a different text in every row");
    assert!(of(2, "max").as_f64().unwrap() < 1.0);
    assert!(value["notes"].to_string().contains("t.csv:62"), "{}", value["notes"]);
    let text = folder.ok("quadrat data show t.csv");
    assert!(text.contains("Oslo, Rome") && text.contains("left out: has no name"), "{text}");
}

/// Where numbers were missing is a feature of its own; verbs that make rows have no column for it.
#[test]
fn what_is_missing_can_be_a_feature() {
    let folder = Folder::new("missing-indicator");
    folder.write("t.csv", &gaps_csv(80));
    for line in [
        "quadrat select --in t.csv --method k-center --budget 5 --target y --impute indicator --json",
        "quadrat compare --in t.csv --target y --impute indicator --methods k-center --seeds 2 --visits 200 --budgets 10 --json",
        "quadrat split --in t.csv --target y --folds 2 --impute indicator --json",
        "quadrat estimate inductive-bias --in t.csv --target y --space kernel:linear --impute indicator --json",
    ] {
        let value = folder.json(line);
        assert!(used(&value).contains(&("a is missing", "indicator")), "{line}\n{value}");
        assert!(warnings(&value).contains("median"), "{line}\n{value}");
    }
    let text = folder.ok("quadrat select --in t.csv --method k-center --budget 5 --target y --impute indicator");
    assert!(text.contains("a is missing (indicator)"), "{text}");
    for verb in ["balance --target y --method smote", "sample --method autoencoder-score --rows 5"] {
        let message = folder.fails(&format!("quadrat {verb} --in t.csv --impute indicator --out o.csv"));
        assert!(message.contains("--impute") && message.contains("median, mean or knn"), "{message}");
    }
}

/// Dates, times and durations are left out with the reason, or numbers if they are named.
#[test]
fn dates_are_features_if_they_are_named() {
    let folder = Folder::new("dates-named");
    let row = |i: usize| {
        let at = format!("2024-07-{:02}T{:02}:30:00Z", i % 28 + 1, i % 24);
        format!("2024-{:02}-{:02},{at},{:02}:15:00,PT{i}M,{},{}\n", i % 12 + 1, i % 28 + 1, i % 24, i % 7, i % 2)
    };
    folder.write("d.csv", &format!("day,at,clock,took,n,y\n{}", (0..60).map(row).collect::<String>()));
    folder.ok("quadrat select --in d.csv --method random --budget 100% --out d.parquet");
    for file in ["d.csv", "d.parquet"] {
        let line = format!("quadrat select --in {file} --method k-center --target y --budget 5 --json");
        let value = folder.json(&line);
        assert_eq!(used(&value), [("n", "number"), ("y", "target")]);
        for ((name, why), begun) in left_out(&value).into_iter().zip(["dates", "dates", "times", "durations"]) {
            assert!(
                why.starts_with(&format!("{begun} such as ")) && why.ends_with("if they are named"),
                "{name}: {why}"
            );
        }
        let value = folder.json(&format!("{line} --features day,at,clock,took"));
        let counts: Vec<&str> =
            value["columns"]["used"].as_array().unwrap().iter().filter_map(|c| c["counts"].as_str()).collect();
        let expected = ["days since 1970-01-01", "days since 1970-01-01 UTC", "seconds since midnight", "seconds"];
        assert_eq!(counts, expected);
    }
    let text = folder.ok("quadrat select --in d.csv --method k-center --target y --budget 5 --features day,n");
    assert!(text.contains("day (number, days since 1970-01-01)"), "{text}");
    let far =
        folder.json("quadrat select --in d.csv --method k-center --features day --standardise no --budget 3 --json");
    let days: Vec<u64> = far["indices"].as_array().unwrap().iter().map(|row| row.as_u64().unwrap() % 12).collect();
    let span = days.iter().max().unwrap() - days.iter().min().unwrap();
    assert!(span >= 10, "the year's ends are farthest apart: {days:?}");
    let made = folder.fails("quadrat balance --in d.csv --target y --method smote --features day,n --out o.csv");
    assert!(made.contains("dates such as 2024-01-01"), "{made}");
    folder.write("bad.csv", &(folder.read("d.csv") + "soon,2024-07-01T00:30:00Z,09:00,PT1S,1,1\n"));
    let bad = folder.fails("quadrat select --in bad.csv --method k-center --budget 3 --features day --out o.csv");
    assert!(bad.contains("bad.csv:62") && bad.contains("soon"), "{bad}");
}

/// The court fills gaps in each repetition from the rows to choose from: what is held back teaches nothing.
#[test]
fn a_court_keeps_groups_and_later_rows_apart() {
    let folder = Folder::new("court-apart");
    let mut numbers = Numbers::new(5);
    let row = |i: usize| format!("{:.3},p{},2024-07-{:02},{}\n", numbers.next(), i % 9, i % 28 + 1, i % 2);
    folder.write("t.csv", &format!("a,patient,day,y\n{}", (0..90).map(row).collect::<String>()));
    let line = "quadrat compare --in t.csv --target y --methods k-center --seeds 2 --visits 200 --budgets 10 --json";
    let groups = folder.json(&format!("{line} --groups patient --test-share 0.3"));
    assert_eq!(groups["pool"], 60, "three of nine groups of ten rows");
    assert!(used(&groups).contains(&("patient", "group")) && !used(&groups).contains(&("patient", "category")));
    let time = folder.json(&format!("{line} --time day --test-share 0.5"));
    assert!(used(&time).contains(&("day", "time")), "{time}");
    let pool = time["pool"].as_u64().unwrap();
    assert!((40..=50).contains(&pool), "{pool}");
    let said = folder.ok(&format!("{} --time day", line.trim_end_matches(" --json")));
    assert!(said.contains("the latest by `day`"), "{said}");
    let both = folder.fails(&format!("{line} --groups patient --time day"));
    assert!(both.contains("--time"), "{both}");
    let state = format!("{line} --groups patient --state s.json");
    folder.ok(&state);
    let other = folder.fails(&format!("{line} --state s.json"));
    assert!(other.contains("groups"), "{other}");
}

/// Verbs that read columns for something else than features.
#[test]
fn every_verb_says_what_it_read() {
    let folder = Folder::new("columns-everywhere");
    folder.write("t.csv", &gaps_csv(60));
    let order = folder.json("quadrat order --in t.csv --target y --draw stratified --fraction 50% --json");
    assert_eq!(used(&order), [("y", "target")]);
    assert!(left_out(&order).contains(&("city", "not read by this draw")));
    let quiet = folder.run("quadrat order --in t.csv --target y --draw stratified --fraction 50%");
    assert!(String::from_utf8(quiet.stdout).unwrap().lines().all(|line| line.parse::<usize>().is_ok()));
    assert!(String::from_utf8(quiet.stderr).unwrap().contains("columns used: y (target, 2 classes)"));
    let split = "quadrat split --in t.csv --hold-out 0.2 --target y --groups city --missing drop";
    let value = folder.json(&format!("{split} --json"));
    assert_eq!(used(&value), [("y", "target"), ("city", "group")]);
    assert!(warnings(&value).contains("5 of 60 rows lack a value in `city` (5): these rows are left out"), "{value}");
    assert_eq!(value["train"].as_u64().unwrap() + value["test"].as_u64().unwrap(), 55);
    let refused = folder.fails("quadrat split --in t.csv --hold-out 0.2 --target y --groups city");
    assert!(refused.contains("`city` (5)") && refused.contains("--missing drop"), "{refused}");
    assert!(
        warnings(&folder.json("quadrat split --in t.csv --hold-out 0.2 --missing drop --json")).contains("no effect")
    );
    folder.ok(&format!("{split} --report r.html"));
    assert!(folder.read("r.html").contains("columns used"));
    for line in [
        "quadrat ask --in builtin:zoo --answers y,n,y",
        "quadrat ask --in builtin:zoo --features eggs,milk --answers y",
    ] {
        assert!(folder.ok(line).contains("columns used: "), "{line}");
        assert!(!used(&folder.json(&format!("{line} --json"))).is_empty());
    }
    let named = folder.json("quadrat ask --in builtin:zoo --features eggs,milk --answers y --json");
    assert!(left_out(&named).contains(&("hair", "not named")), "{named}");
}

/// A column that numbers the rows is no output; lists of outputs may hold commas.
#[test]
fn estimates_say_which_columns_are_inputs_and_outputs() {
    let folder = Folder::new("columns-estimates");
    folder.write("p.toml", "[[input]]\nname = \"a\"\nlaw = \"uniform\"\nmin = 0\nmax = 1\n");
    let mut numbers = Numbers::new(3);
    let row = |i: usize| {
        let a = numbers.next();
        format!("{i},{a},{},{},x\n", 2.0 * a, a * a)
    };
    folder.write("r.csv", &format!("run,a,\"y, mean\",z,note\n{}", (0..64).map(row).collect::<String>()));
    let line = "quadrat estimate expect --problem p.toml --read-results r.csv --scrambles 0";
    let value = folder.json(&format!("{line} --json"));
    assert_eq!(used(&value), [("a", "number"), ("y, mean", "response"), ("z", "response")]);
    assert_eq!(left_out(&value), [("run", "numbers the rows"), ("note", "text")]);
    assert!(folder.ok(line).contains("columns used: a (number)"));
    let named = folder.json(&format!("{line} --outputs \"y, mean,z\" --json"));
    assert_eq!(named["outputs"][0]["name"], "y, mean");
    folder.ok("quadrat estimate sobol --problem p.toml --calls 64 --order first --write-design d.csv");
    let design: String = folder.read("d.csv").lines().enumerate().fold(String::new(), |text, (i, line)| {
        let result = if i == 0 { "\"y, mean\"".to_owned() } else { line.to_owned() };
        text + line + "," + &result + "\n"
    });
    folder.write("d2.csv", &design);
    let line = "quadrat estimate sobol --problem p.toml --order first --read-results d2.csv --outputs \"y, mean\"";
    assert_eq!(used(&folder.json(&format!("{line} --json"))), [("a", "number"), ("y, mean", "response")]);
    folder.ok(&format!("{line} --report s.html"));
    assert!(folder.read("s.html").contains("columns used"));
}

#[test]
fn a_holdout_says_what_it_read_and_takes_gaps_into_account() {
    let folder = Folder::new("columns-holdout");
    let mut numbers = Numbers::new(9);
    let row = |i: usize| {
        let city = if i % 10 == 3 { "" } else { ["Oslo", "Rome"][i % 2] };
        format!("r{i},{:.3},{city},{},{}\n", numbers.next(), i % 3, ["yes", "no"][i / 2 % 2])
    };
    folder.write("t.csv", &format!("id,\"x, mean\",city,k=v,y\n{}", (0..200).map(row).collect::<String>()));
    let init = |more: &str, ledger: &str| {
        folder.json(&format!("quadrat holdout init --in t.csv --target y --id id --ledger {ledger} {more} --json"))
    };
    let said = init("", "a");
    assert_eq!(used(&said), [("y", "target"), ("id", "name")]);
    assert_eq!(said["columns"]["used"][0]["levels"], 2);
    assert!(left_out(&said).contains(&("city", "read only if a question names it")));
    let pair = folder.json("quadrat holdout ask --ledger a --correlation \"x, mean,k=v\" --json");
    assert_eq!(used(&pair), [("x, mean", "number"), ("k=v", "number")]);
    let share = folder.json("quadrat holdout ask --ledger a --where k=v=1 --json");
    assert_eq!(used(&share), [("k=v", "category")]);
    let gap = folder.fails("quadrat holdout ask --ledger a --where city=Oslo");
    assert!(gap.contains("missing"), "{gap}");
    // No value as a value of its own, or rows with a gap left out, now and later.
    init("--missing category", "b");
    let none = folder.json("quadrat holdout ask --ledger b --where city= --json");
    assert!((none["value"].as_f64().unwrap() - 0.1).abs() < 0.1, "{none}");
    let dropped = init("--missing drop --publish team.csv", "c");
    assert_eq!((&dropped["rows"], folder.read("team.csv").lines().count()), (&180.into(), 181));
    assert!(warnings(&dropped).contains("20 of 200 rows lack a value in `city` (20)"), "{dropped}");
    folder.ok("quadrat holdout ask --ledger c --where city=Oslo");
    let team = folder.read("team.csv");
    let guesses: String =
        team.lines().skip(1).map(|line| format!("{},yes\n", line.split(',').next().unwrap())).collect();
    folder.write("p.csv", &format!("id,y\n{guesses}"));
    let right = folder.json("quadrat holdout ask --ledger c --predictions p.csv --json");
    assert_eq!(used(&right), [("y", "prediction"), ("id", "name")]);
    let filled = folder.fails("quadrat holdout init --in t.csv --target y --ledger d --impute median");
    assert!(filled.contains("--missing"), "{filled}");
    let dated = (0..200).map(|i| format!("2024-01-{:02},{}\n", i % 20 + 1, ["yes", "no"][i % 2])).collect::<String>();
    folder.write("d.csv", &format!("day,y\n{dated}"));
    folder.ok("quadrat holdout init --in d.csv --target y --ledger f");
    let range = folder.fails("quadrat holdout ask --ledger f --mean day");
    assert!(range.contains("--range") && range.contains("19723"), "{range}");
    let mean = folder.json("quadrat holdout ask --ledger f --mean day --range 19723,19742 --json");
    assert!((mean["value"].as_f64().unwrap() - 19732.5).abs() < 3.0, "{mean}");
    let pmw = init("--method pmw --domain \"k=v,y\"", "e");
    assert_eq!(used(&pmw).last(), Some(&("y", "category")));
    assert!(left_out(&pmw).contains(&("city", "not in --domain: cannot be asked about")));
}

/// A model learns from days that are named, and reads later ones with the time of day on the same scale.
#[test]
fn a_model_learns_from_dates_that_are_named() {
    let folder = Folder::new("dates-learnt");
    let day = |i: usize| format!("2024-{:02}-{:02}", i % 12 + 1, i % 28 + 1);
    let rows = |i: usize| format!("{},{},{}\n", day(i), i % 5, if i % 12 < 6 { "early" } else { "late" });
    folder.write("d.csv", &format!("day,n,y\n{}", (0..240).map(rows).collect::<String>()));
    let line = "quadrat train --in d.csv --target y --rate 0.01 --epochs 60 --seed 1";
    let value = folder.json(&format!("{line} --features day --out m --json"));
    assert_eq!(used(&value), [("day", "number"), ("y", "target")]);
    folder.write("later.csv", "day\n2024-02-03T08:00:00\n2024-11-20T23:30:00\n");
    folder.ok("quadrat predict --model m --in later.csv --out p.csv");
    let predicted: Vec<String> =
        folder.read("p.csv").lines().skip(1).map(|line| line.split(',').nth(1).unwrap().to_owned()).collect();
    assert_eq!(predicted, ["early", "late"]);
    let value = folder.json(&format!("{line} --epochs 1 --json").replace("--epochs 60 ", ""));
    assert!(left_out(&value).iter().any(|(name, why)| *name == "day" && why.contains("if they are named")), "{value}");
}

/// Also where it is the target alone that lacks a value.
#[test]
fn a_missing_target_is_told_with_the_ways_out() {
    let folder = Folder::new("missing-target");
    let line = |i: usize| format!("{i}.5,{}\n", ["?", "pos", "neg", "neg"][i % 4]);
    folder.write("m.csv", &format!("x,y\n{}", (0..40).map(line).collect::<String>()));
    for verb in
        ["balance --method smote --out b.csv", "train --hidden 4", "select --method stratified --budget 4 --out s.csv"]
    {
        let said = folder.fails(&format!("quadrat {verb} --in m.csv --target y"));
        assert!(
            said.contains("10 of 40 rows") && said.contains("`y` (10)") && said.contains("--missing drop"),
            "{verb}\n{said}"
        );
    }
}

/// What `select` wrote is read by every verb as rows with weights, which are no feature unless they are named.
#[test]
fn weights_are_no_feature() {
    let folder = Folder::new("weights");
    folder.write("t.csv", &crate::common::train_csv(60));
    folder.ok("quadrat select --in t.csv --method d2 --features width,height --budget 40 --out a.csv");
    let shown = folder.json("quadrat data show a.csv --json");
    assert_eq!((&shown["columns"][4]["name"], &shown["columns"][4]["as"]), (&"weight".into(), &Value::Null), "{shown}");
    for line in [
        "quadrat select --in a.csv --method k-center --budget 5 --json",
        "quadrat balance --in a.csv --target label --method smote --out b.csv --json",
        "quadrat train --in a.csv --target label --epochs 1 --hidden 4 --rate 0.01 --json",
        "quadrat estimate pretrain-plan --unlabelled t.csv --labelled a.csv --target label --repeats 2 --json",
        "quadrat estimate inductive-bias --in a.csv --target label --space kernel:linear --json",
    ] {
        let said = folder.json(line);
        let why = left_out(&said).into_iter().find(|(name, _)| *name == "weight");
        assert!(why.is_none_or(|(_, why)| why.contains("weights of rows")), "{line}\n{said}");
        assert!(used(&said).iter().all(|(name, _)| *name != "weight"), "{line}\n{said}");
    }
    let named = folder.json("quadrat select --in a.csv --method k-center --features weight,width --budget 5 --json");
    assert!(used(&named).contains(&("weight", "number")), "{named}");
    let weighed = folder.json("quadrat train --in a.csv --target label --weight weight --epochs 1 --hidden 4 --json");
    assert!(used(&weighed).contains(&("weight", "weight")), "{weighed}");

    // Weights of a sample of a sample are products: nobody is given wrong ones unasked.
    let again = "quadrat select --in a.csv --method random --budget 10 --out again.csv";
    assert!(folder.fails(again).contains("--no-weights"));
    let said = folder.json(&format!("{again} --no-weights --json"));
    assert!(said["weighted"] == false && warnings(&said).contains("does not count this choice"), "{said}");
    assert_eq!(folder.read("again.csv").lines().next(), Some("id,width,height,label,weight"));
    folder.write("a.libsvm", "1 1:2 2:3\n0 1:4 2:1\n1 1:5 2:2\n");
    let sparse = "quadrat select --in a.libsvm --method random --budget 2 --out b.libsvm";
    assert!(folder.fails(sparse).contains("--no-weights"));
    folder.ok(&format!("{sparse} --no-weights"));
    let idle = folder.json("quadrat select --in t.csv --method k-center --budget 5 --no-weights --json");
    assert!(warnings(&idle).contains("--no-weights changes nothing"), "{idle}");
}

/// What is missing is no text of its own.
#[test]
fn different_texts_are_those_that_are_there() {
    let folder = Folder::new("different-texts");
    folder.write("p.csv", "name,age,city,note\nAda,34,Oslo,a\nBo,?,Rome,b\nCy,29,,\nDi,51,Rome,c\n");
    let shown = folder.json("quadrat data show p.csv --json");
    let of = |at: usize| (shown["columns"][at]["as"].clone(), shown["columns"][at]["left_out"].clone());
    assert_eq!(of(2), (Value::Null, "free text: 2 different ones".into()));
    assert_eq!(of(3), (Value::Null, "a different text in every row".into()));
}
