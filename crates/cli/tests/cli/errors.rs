//! What goes wrong says what to do, exits with 2 and leaves nothing behind.

use crate::common::{Folder, rows_csv, train_csv};

#[test]
fn names_that_do_not_exist_get_the_nearest() {
    let folder = Folder::new("names");
    folder.write("train.csv", &train_csv(50));
    for (line, parts) in [
        ("quadrat show smoet", vec!["`smoet`", "did you mean `smote`"]),
        ("quadrat select --in train.csv --method mgi --budget 5 --out o.csv", vec!["`mgi`", "`mig`"]),
        (
            "quadrat select --in train.csv --method smote --budget 5 --out o.csv",
            vec!["quadrat select", "quadrat balance"],
        ),
        (
            "quadrat balance --in train.csv --target lable --method smote --out o.csv",
            vec!["train.csv", "`lable`", "`label`"],
        ),
        (
            "quadrat balance --in train.csv --target label --features widht --method smote --out o.csv",
            vec!["`widht`", "`width`"],
        ),
        ("quadrat balance --in train.csv --target label --method smote --kk 5 --out o.csv", vec!["`--kk`", "--k"]),
        (
            "quadrat balance --in train.csv --tarqet label --target label --method smote --out o.csv",
            vec!["`--tarqet`", "--target"],
        ),
        ("quadrat select --in builtin:lettre --method random --budget 5 --out o.csv", vec!["`lettre`", "`letter`"]),
        ("quadrat check smoet --scale smoke", vec!["`smoet`", "`smote`"]),
        ("quadrat check d2 --scale smoke", vec!["`d2`", "no claim of their own", "smote", "sara"]),
    ] {
        let message = folder.fails(line);
        assert!(parts.iter().all(|part| message.contains(part)), "{line}\n{message}");
    }
}

#[test]
fn values_out_of_range_say_what_is_allowed() {
    let folder = Folder::new("values");
    folder.write("train.csv", &train_csv(50));
    for (line, parts) in [
        ("quadrat select --in train.csv --method random --budget 51 --out o.csv", vec!["--budget", "`51`", "1 to 50"]),
        ("quadrat select --in train.csv --method random --budget 0% --out o.csv", vec!["--budget", "`0%`", "2%"]),
        (
            "quadrat balance --in train.csv --target label --method smote --k 0 --out o.csv",
            vec!["k: got `0`", "at least 1"],
        ),
        ("quadrat balance --in train.csv --target label --method smote --k 30 --out o.csv", vec!["rare", "10"]),
        ("quadrat balance --in train.csv --target label --method smote --categorical label --out o.csv", vec!["label"]),
        (
            "quadrat select --in train.csv --method random --budget 5 --threads 0 --out o.csv",
            vec!["--threads", "at least 1"],
        ),
        (
            "quadrat select --in train.csv --method random --budget 5 --types id --out o.csv",
            vec!["--types", "COLUMN=TYPE"],
        ),
        ("quadrat select --in train.csv --method random --budget 5 --out o.xlsx", vec!["o.xlsx", ".csv"]),
        ("quadrat select --in train.csv --method top-score --budget 5 --out o.csv", vec!["score"]),
        (
            "quadrat select --in train.csv --features id --method k-center --budget 5 --out o.csv",
            vec!["`id`", "numeric"],
        ),
    ] {
        let message = folder.fails(line);
        assert!(parts.iter().all(|part| message.contains(part)), "{line}\n{message}");
    }
}

#[test]
fn files_that_cannot_be_read_or_written() {
    let folder = Folder::new("files");
    folder.write("rows.csv", &rows_csv(20));
    folder.write("ragged.csv", "a,b\n1,2\n3\n");
    folder.write("gap.csv", "a,b\n1,2\n,4\n");
    folder.write("broken.jsonl", "{\"a\": 1}\n{\"a\": \n");
    folder.write("empty.csv", "");
    folder.write("not.parquet", "PAR1 and then nothing");
    for (line, parts) in [
        ("quadrat select --in absent.csv --method random --budget 5 --out o.csv", vec!["absent.csv", "No such file"]),
        (
            "quadrat select --in rows.csv --method random --budget 5 --out no/such/o.csv",
            vec!["no/such/o.csv", "No such file"],
        ),
        ("quadrat select --in rows.csv --method random --budget 5 --out o.csv --report no/r.html", vec!["no/r.html"]),
        ("quadrat select --in ragged.csv --method random --budget 1 --out o.csv", vec!["ragged.csv:3"]),
        ("quadrat select --in gap.csv --method k-center --budget 1 --out o.csv", vec!["gap.csv:3", "`a`", "missing"]),
        ("quadrat select --in broken.jsonl --method random --budget 1 --out o.csv", vec!["broken.jsonl:2"]),
        ("quadrat select --in empty.csv --method random --budget 1 --out o.csv", vec!["empty.csv"]),
        ("quadrat select --in not.parquet --method random --budget 1 --out o.csv", vec!["not.parquet"]),
    ] {
        let message = folder.fails(line);
        assert!(parts.iter().all(|part| message.contains(part)), "{line}\n{message}");
        assert!(!message.contains("panicked"), "{message}");
    }
}

#[test]
fn json_says_errors_in_json_too() {
    let folder = Folder::new("json-error");
    let output = folder.run("quadrat select --in absent.csv --method random --budget 5 --json");
    assert_eq!(output.status.code(), Some(2));
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(value["error"].as_str().unwrap().contains("absent.csv"));
}

#[test]
fn wrong_lines_exit_with_2() {
    let folder = Folder::new("lines");
    for line in ["quadrat", "quadrat selct", "quadrat select", "quadrat check", "quadrat check smote --all"] {
        folder.fails(line);
    }
}

/// A job that is stopped ends with 130 and leaves nothing half-written.
#[cfg(unix)]
#[test]
fn an_interrupted_job_leaves_nothing() {
    use std::process::{Command, Stdio};
    let folder = Folder::new("interrupt");
    let mut job = Command::new(env!("CARGO_BIN_EXE_quadrat"))
        .args(["check", "smote", "--scale", "full", "--out", "record.json"])
        .current_dir(folder.path("."))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(Command::new("kill").args(["-INT", &job.id().to_string()]).status().unwrap().success());
    assert_eq!(job.wait().unwrap().code(), Some(130));
    assert!(folder.files().is_empty(), "{:?}", folder.files());
}
