//! `holdout`: a leaderboard that survives kills and crowds.

use crate::common::{Folder, Numbers};
use serde_json::Value;
use std::collections::HashSet;
use std::path::Path;
use std::process::{Command, Stdio};

/// Labels y, a measure x that knows something of them, a city, and an id.
fn labelled(rows: usize) -> String {
    let mut numbers = Numbers::new(5);
    let mut text = String::from("id,x,city,y\n");
    for i in 0..rows {
        let y = if numbers.next() < 0.5 { "yes" } else { "no" };
        let x = numbers.next() * 0.6 + if y == "yes" { 0.4 } else { 0.0 };
        let city = ["Oslo", "Rome", "\"Bath, UK\""][(3.0 * numbers.next()) as usize];
        text.push_str(&format!("r{i},{x:.4},{city},{y}\n"));
    }
    text
}

/// Predictions: the true label with probability `share`, by a stream of their own.
fn predictions(labelled: &str, share: f64, stream: u64) -> String {
    let mut numbers = Numbers::new(stream);
    let mut text = String::from("id,y\n");
    for line in labelled.lines().skip(1) {
        let (id, y) = (line.split(',').next().unwrap(), line.rsplit(',').next().unwrap());
        let other = if y == "yes" { "no" } else { "yes" };
        text.push_str(&format!("{id},{}\n", if numbers.next() < share { y } else { other }));
    }
    text
}

fn status(folder: &Folder) -> Value {
    folder.json("quadrat holdout status --ledger ledger --json")
}

#[test]
fn a_team_runs_a_leaderboard() {
    let folder = Folder::new("holdout");
    let rows = labelled(400);
    folder.write("labelled.csv", &rows);
    folder.write("p.csv", &predictions(&rows, 0.8, 1));
    let said = folder.ok("quadrat holdout init --in labelled.csv --target y --ledger ledger --method thresholdout");
    assert!(said.contains("200 rows held out of 400, 200 for training") && said.contains("rule of thumb"), "{said}");
    let first = folder.json("quadrat holdout ask --ledger ledger --predictions p.csv --json");
    assert!((first["value"].as_f64().unwrap() - 0.8).abs() < 0.3, "{first}");
    assert_eq!((&first["number"], &first["cached"]), (&1.into(), &false.into()));
    assert_eq!(first["guarantee"]["kind"], "heuristic");
    let again = folder.json("quadrat holdout ask --ledger ledger --predictions p.csv --json");
    assert_eq!((&again["value"], &again["cached"], &again["answered"]), (&first["value"], &true.into(), &1.into()));
    let said = folder.ok("quadrat holdout status --ledger ledger");
    assert!(said.contains("accuracy of p.csv") && said.contains("answered: 1"), "{said}");
    assert_eq!(folder.files(), ["labelled.csv", "ledger", "p.csv"]);
}

#[test]
fn the_published_file_hides_the_held_out_labels_and_ids_bring_rows_together() {
    let folder = Folder::new("holdout-publish");
    let rows = labelled(200);
    folder.write("labelled.csv", &rows);
    folder.ok(
        "quadrat holdout init --in labelled.csv --target y --id id --train-share 0.3 --ledger ledger --publish team.csv",
    );
    let team = folder.read("team.csv");
    let mut hidden = 0;
    for (ours, theirs) in rows.lines().zip(team.lines()).skip(1) {
        let blank = theirs.ends_with(',');
        hidden += usize::from(blank);
        assert!(if blank { ours.starts_with(theirs) } else { ours == theirs }, "{ours}\n{theirs}");
    }
    assert_eq!(hidden, 140);

    let p = predictions(&rows, 0.7, 2);
    let mut lines: Vec<&str> = p.lines().skip(1).collect();
    lines.reverse();
    folder.write("ordered.csv", &p);
    folder.write("reversed.csv", &format!("id,y\n{}\n", lines.join("\n")));
    folder.write(
        "plain.csv",
        &p.lines().map(|line| format!("{}\n", line.split(',').nth(1).unwrap())).collect::<String>(),
    );
    let ask = |file: &str| folder.json(&format!("quadrat holdout ask --ledger ledger --predictions {file} --json"));
    let first = ask("ordered.csv");
    for file in ["reversed.csv", "plain.csv"] {
        let same = ask(file);
        assert_eq!((&same["value"], &same["cached"]), (&first["value"], &true.into()), "{file}");
    }
}

#[test]
fn every_method_answers_and_says_what_it_promises() {
    let folder = Folder::new("holdout-methods");
    let rows = labelled(600);
    folder.write("labelled.csv", &rows);
    folder.write("p.csv", &predictions(&rows, 0.8, 3));
    for (method, options, question, kind) in [
        ("thresholdout", "--certified --queries 10", "--predictions p.csv", "certified"),
        ("gaussian", "--queries 5", "--predictions p.csv", "certified"),
        ("laplace", "--queries 5 --confidence 0.9", "--mean x --range 0,1", "certified"),
        ("ladder", "", "--predictions p.csv", "heuristic"),
        ("ladder", "--step planned --queries 50", "--predictions p.csv", "certified"),
        ("ladder", "--step 0.05", "--predictions p.csv", "certified"),
        ("naive", "", "--mean x --range 0,2", "none"),
        ("naive", "--train-share 0.5", "--correlation x,y", "none"),
        ("split", "--queries 4", "--where city=Rome", "certified"),
        ("pmw", "--domain city,y", "--where city=Rome --where y=yes", "heuristic"),
        ("pmw", "--domain city,y --certified", "--where \"city=Bath, UK\"", "certified"),
    ] {
        let init =
            format!("quadrat holdout init --in labelled.csv --target y --ledger ledger --method {method} {options}");
        let made = folder.json(&format!("{init} --json"));
        assert_eq!(made["guarantee"]["kind"], kind, "{init}");
        let answer = folder.json(&format!("quadrat holdout ask --ledger ledger {question} --json"));
        assert_eq!((&answer["method"], &answer["guarantee"]["kind"]), (&method.into(), &kind.into()));
        let value = answer["value"].as_f64().unwrap();
        // Plain answers are near the truth; the data has 600 rows and nothing is searched for here.
        let truth = match question.split(' ').next() {
            Some("--predictions") => 0.8,
            // Above 0.5 are five of six rows of one class and one of six of the other.
            Some("--correlation") => 0.67,
            _ => 0.5,
        };
        if ["naive", "ladder"].contains(&method) {
            assert!((value - truth).abs() < 0.15, "{method} {question}: {value}");
        }
        std::fs::remove_dir_all(folder.path("ledger")).unwrap();
    }
}

#[test]
fn a_spent_budget_is_an_error_that_says_what_to_do() {
    let folder = Folder::new("holdout-spent");
    let rows = labelled(100);
    folder.write("labelled.csv", &rows);
    for i in 0..4 {
        folder.write(&format!("p{i}.csv"), &predictions(&rows, 0.6, 10 + i));
    }
    folder.ok("quadrat holdout init --in labelled.csv --target y --ledger ledger --method split --queries 3");
    for i in 0..3 {
        let answer = folder.json(&format!("quadrat holdout ask --ledger ledger --predictions p{i}.csv --json"));
        assert_eq!(answer["remaining"], 2 - i);
    }
    let message = folder.fails("quadrat holdout ask --ledger ledger --predictions p3.csv");
    for part in ["split: no answer is left after 3", "fresh rows", "quadrat holdout init"] {
        assert!(message.contains(part), "{message}");
    }
    let again = folder.json("quadrat holdout ask --ledger ledger --predictions p1.csv --json");
    assert_eq!(again["cached"], true);
    assert_eq!((&status(&folder)["answered"], &status(&folder)["remaining"]), (&3.into(), &0.into()));
}

#[test]
fn what_does_not_fit_costs_nothing() {
    let folder = Folder::new("holdout-errors");
    let rows = labelled(100);
    folder.write("labelled.csv", &rows);
    folder.write("p.csv", &predictions(&rows, 0.6, 1));
    folder.write("short.csv", "y\nyes\nno\n");
    folder.write("maybe.csv", &predictions(&rows, 0.6, 1).replacen(",no", ",maybe", 1));
    folder.write("gap.csv", &predictions(&rows, 0.6, 1).replacen(",no", ",", 1));
    folder.write("many.csv", "a,b\n1,2\n");
    for (options, part) in [
        ("--method thresholdout --target Y", "`y`"),
        ("--train-share 1", "--train-share"),
        ("--train-share 0", "training rows"),
        ("--train-share 0.9", "at least 30"),
        ("--method pmw", "--domain"),
        ("--method pmw --domain city,y,city", "twice"),
        ("--method ladder --step nought", "--step"),
        ("--method ladder --budget 5", "--budget"),
        ("--method gaussian --certified", "--certified"),
        ("--method naive --queries 5", "--queries"),
        ("--method naive --confidence 0.9", "--confidence"),
        ("--method gaussian --confidence 1", "below 1"),
        ("--method gaussian --queries 0", "at least 1"),
        ("--method split --queries 101", "at most 100"),
        ("--id city", "twice"),
        ("--publish team.parquet", ".csv"),
        ("--publish no/such/team.csv", "No such file"),
    ] {
        let target = if options.contains("--target") { "" } else { "--target y" };
        let message =
            folder.fails(&format!("quadrat holdout init --in labelled.csv {target} --ledger ledger {options}"));
        assert!(message.contains(part), "{options}: {message}");
    }
    let wide: String = (0..102).map(|i| format!("{i},{i},{i}\n")).collect();
    folder.write("wide.csv", &format!("a,b,c\n{wide}"));
    let message = folder.fails("quadrat holdout init --in wide.csv --ledger ledger --method pmw --domain a,b,c");
    assert!(message.contains("a: 102, b: 102, c: 102") && message.contains("2^20"), "{message}");

    folder.ok("quadrat holdout init --in labelled.csv --target y --id id --ledger ledger");
    for (line, part) in [
        ("init --in labelled.csv --target y --ledger ledger", "not empty"),
        ("ask --ledger nowhere --predictions p.csv", "No such file"),
        ("ask --ledger ledger", "--predictions"),
        ("ask --ledger ledger --predictions absent.csv", "absent.csv"),
        ("ask --ledger ledger --predictions short.csv", "all 100 rows"),
        ("ask --ledger ledger --predictions maybe.csv", "`maybe`"),
        ("ask --ledger ledger --predictions gap.csv", "missing"),
        ("ask --ledger ledger --predictions many.csv", "--column"),
        ("ask --ledger ledger --predictions p.csv --column yy", "`y`"),
        ("ask --ledger ledger --mean city", "numeric"),
        ("ask --ledger ledger --mean x --range 1,0", "range"),
        ("ask --ledger ledger --mean x --range 1", "LOW,HIGH"),
        ("ask --ledger ledger --mean x", "--range LOW,HIGH (in the training rows it goes from 0."),
        ("ask --ledger ledger --correlation x", "A,B"),
        ("ask --ledger ledger --where city", "COLUMN=VALUE"),
        ("ask --ledger ledger --where city=Paris", "`Paris`"),
        ("status --ledger nowhere", "No such file"),
        ("plan --rows 10", "at least 30"),
    ] {
        let message = folder.fails(&format!("quadrat holdout {line}"));
        assert!(message.contains(part), "{line}: {message}");
    }
    folder.write("labelled.csv", &labelled(101));
    let message = folder.fails("quadrat holdout ask --ledger ledger --mean x --range 0,1");
    assert!(message.contains("another content"), "{message}");
    folder.ok("quadrat holdout ask --ledger ledger --predictions p.csv");
    assert_eq!(status(&folder)["answered"], 1);
}

/// Ages do not lie between 0 and 1: the question must say where they do, and one that does not costs nothing.
#[test]
fn a_mean_needs_its_range() {
    let folder = Folder::new("holdout-range");
    let mut numbers = Numbers::new(3);
    let rows: String = (0..200)
        .map(|i| format!("{:.1},{},{},{}\n", 20.0 + 60.0 * numbers.next(), i % 2 == 0, ["f", "m"][i % 2], i % 3))
        .collect();
    folder.write("people.csv", &format!("age,smokes,sex,group\n{rows}"));
    let init = "quadrat holdout init --in people.csv --ledger ledger --method gaussian --queries 3";
    folder.ok(init);
    for column in ["age", "group"] {
        let message = folder.fails(&format!("quadrat holdout ask --ledger ledger --mean {column}"));
        assert!(message.contains("--range LOW,HIGH.") && message.contains("nothing is spent"), "{message}");
    }
    assert_eq!((&status(&folder)["answered"], &status(&folder)["remaining"]), (&0.into(), &3.into()));
    for (question, truth) in [("age --range 20,80", 50.0), ("smokes", 0.5), ("sex", 0.5)] {
        let answer = folder.json(&format!("quadrat holdout ask --ledger ledger --mean {question} --json"));
        // The noise of 3 questions to 200 rows has a standard deviation of about 0.1 of the range.
        let scale = if truth > 1.0 { 60.0 } else { 1.0 };
        assert!((answer["value"].as_f64().unwrap() - truth).abs() < 0.5 * scale, "{answer}");
    }
    folder
        .ok(&init.replace("ledger ledger", "ledger second").replace("gaussian --queries 3", "naive --train-share 0.5"));
    let output = folder.run("quadrat holdout ask --ledger second --mean age --range 0,1");
    let note = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && note.contains("100 of 100 training rows have a age outside 0 to 1"), "{note}");
}

#[test]
fn a_quantity_is_no_class() {
    let folder = Folder::new("holdout-quantity");
    let mut numbers = Numbers::new(4);
    let rows: String =
        (0..200).map(|i| format!("{:.5},{i},{}.0,{},c{}\n", numbers.next(), i % 2, i % 40, i % 40)).collect();
    folder.write("rows.csv", &format!("y,number,half,code,name\n{rows}"));
    let init = |target: &str| format!("quadrat holdout init --in rows.csv --ledger {target} --target {target}");
    for (target, part) in
        [("y", "a number, for not all are whole"), ("number", "--types number=category"), ("code", "--mean")]
    {
        let message = folder.fails(&init(target));
        assert!(message.contains(part), "{message}");
    }
    folder.ok(&init("half"));
    folder.ok(&init("name"));
    folder.ok(&format!("{} --types code=category", init("code")));
}

#[cfg(unix)]
#[test]
fn the_ledger_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new("holdout-modes");
    folder.write("labelled.csv", &labelled(100));
    folder.ok("quadrat holdout init --in labelled.csv --target y --ledger ledger");
    let mode = |name: &str| std::fs::metadata(folder.path(name)).unwrap().permissions().mode() & 0o777;
    let modes = || ["ledger", "ledger/header.json", "ledger/answers.jsonl"].map(mode);
    assert_eq!(modes(), [0o700, 0o600, 0o600]);
    folder.ok("quadrat holdout ask --ledger ledger --mean x --range 0,1");
    assert_eq!((modes(), &status(&folder)["exposed"]), ([0o700, 0o600, 0o600], &false.into()));
    // As a copy, or a ledger of an earlier version.
    for (name, mode) in [("ledger", 0o755), ("ledger/header.json", 0o644)] {
        std::fs::set_permissions(folder.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let said = folder.ok("quadrat holdout status --ledger ledger");
    assert!(said.contains("others can read") && said.contains("chmod -R go= ledger"), "{said}");
}

#[test]
fn the_plan_says_what_is_worth_nothing() {
    let folder = Folder::new("holdout-plan");
    let small = folder.ok("quadrat holdout plan --rows 500 --queries 2000 --domain 1024");
    assert!(small.contains("Nothing can be certified") && small.contains("pmw promises something from"), "{small}");
    let large = folder.json("quadrat holdout plan --rows 1000000 --queries 2000 --json");
    assert_eq!((&large["plan"]["best"], &large["plan"]["vacuous"]), (&"gaussian".into(), &false.into()));
}

#[test]
fn the_example_in_the_help_runs() {
    let folder = Folder::new("holdout-help");
    let help = folder.ok("quadrat holdout --help");
    let lines: Vec<&str> = help.lines().map(str::trim).filter(|line| line.starts_with("quadrat holdout ")).collect();
    assert_eq!(lines.len(), 4, "{help}");
    assert!(help.contains("must own the ledger") && help.contains("predictions for ALL rows"), "{help}");
    lines.into_iter().for_each(|line| drop(folder.ok(line)));
}

fn asking(folder: &Path, predictions: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quadrat"));
    command.args(["holdout", "ask", "--ledger", "ledger", "--json", "--predictions", predictions]);
    command.current_dir(folder).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Twelve processes at once want answers of a budget of seven.
#[test]
fn a_crowd_spends_each_answer_once() {
    let folder = Folder::new("holdout-crowd");
    let rows = labelled(300);
    folder.write("labelled.csv", &rows);
    for i in 0..12 {
        folder.write(&format!("p{i}.csv"), &predictions(&rows, 0.6, 20 + i));
    }
    folder.ok("quadrat holdout init --in labelled.csv --target y --ledger ledger --method gaussian --queries 7");
    let place = folder.path(".");
    let crowd: Vec<_> = (0..12).map(|i| asking(&place, &format!("p{i}.csv")).spawn().unwrap()).collect();
    let mut numbers = HashSet::new();
    let mut refused = 0;
    for process in crowd {
        let output = process.wait_with_output().unwrap();
        let value: Value = serde_json::from_slice(&output.stdout).unwrap();
        match output.status.code() {
            Some(0) => assert!(numbers.insert(value["number"].as_u64().unwrap()), "a number twice: {value}"),
            code => {
                assert_eq!(code, Some(2), "{value}");
                assert!(value["error"].as_str().unwrap().contains("no answer is left after 7"), "{value}");
                refused += 1;
            }
        }
    }
    assert_eq!((numbers.len(), refused), (7, 5));
    assert_eq!(numbers, (1..=7).collect());
    assert_eq!((&status(&folder)["answered"], &status(&folder)["remaining"]), (&7.into(), &0.into()));
}

/// Processes that are killed at any moment: what was shown is on record, and the ledger goes on.
#[test]
fn a_kill_never_gives_an_answer_for_free() {
    let folder = Folder::new("holdout-kill");
    let rows = labelled(300);
    folder.write("labelled.csv", &rows);
    folder.ok("quadrat holdout init --in labelled.csv --target y --ledger ledger --method gaussian --queries 1000");
    let place = folder.path(".");
    let mut shown = Vec::new();
    for i in 0..25u64 {
        folder.write("p.csv", &predictions(&rows, 0.6, 50 + i));
        let mut process = asking(&place, "p.csv").spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(2 * i % 30));
        let _ = process.kill();
        let output = process.wait_with_output().unwrap();
        if let Ok(value) = serde_json::from_slice::<Value>(&output.stdout) {
            shown.push(value);
        }
    }
    let kept = status(&folder);
    let answers = kept["answers"].as_array().unwrap();
    assert!(answers.len() >= shown.len());
    for value in &shown {
        let at = value["number"].as_u64().unwrap() as usize - 1;
        assert_eq!(answers[at]["value"], value["value"], "an answer that was shown is on record");
    }
    assert_eq!(kept["remaining"].as_u64().unwrap() + answers.len() as u64, 1000);
    // A tail that was torn in the middle of a write.
    let path = folder.path("ledger/answers.jsonl");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend_from_slice(b"{\"n\":99,\"time\":17");
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(status(&folder)["torn"], true);
    folder.write("p.csv", &predictions(&rows, 0.6, 99));
    folder.ok("quadrat holdout ask --ledger ledger --predictions p.csv");
    assert_eq!(status(&folder)["torn"], false);
    assert_eq!(status(&folder)["answered"].as_u64().unwrap() as usize, answers.len() + 1);
}

#[test]
fn groups_and_times_divide_training_rows_from_those_held_out() {
    let folder = Folder::new("holdout-groups");
    let text = (0..200).fold("who,when,y\n".to_owned(), |t, i| t + &format!("P{},{i},{}\n", i / 8, i % 2));
    folder.write("d.csv", &text);
    let held = |options: &str, name: &str| {
        let line = format!("quadrat holdout init --in d.csv --target y --ledger {name} --publish {name}.csv {options}");
        folder.ok(&line);
        // The target of held-out rows is left empty.
        let text = folder.read(&format!("{name}.csv"));
        let rows = text.lines().skip(1).enumerate().filter(|(_, line)| line.ends_with(','));
        rows.map(|(row, _)| row).collect::<Vec<_>>()
    };
    let rows = held("--groups who", "a");
    assert!(!rows.is_empty() && (0..200).all(|row| rows.contains(&row) == rows.contains(&(row / 8 * 8))), "{rows:?}");
    assert_eq!(held("--time when --train-share 0.75", "b"), (150..200).collect::<Vec<_>>());
    let message = folder.fails("quadrat holdout init --in d.csv --target y --ledger c --groups who --train-share 0");
    assert!(message.contains("above 0"), "{message}");
}
