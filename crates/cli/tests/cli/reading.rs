//! Files as people have them, on the command line: what is assumed is said, options decide, rows come out as they went in.

use crate::common::Folder;
use std::io::Write;
use std::process::{Command, Output, Stdio};

/// Runs `quadrat` with something on standard input.
fn piped(folder: &Folder, words: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quadrat"));
    command.args(words).current_dir(folder.path("")).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

/// What a run said on standard error.
fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn what_is_assumed_is_said_with_its_option() {
    let folder = Folder::new("assumed");
    let rows: String = (1..31).map(|i| format!("{i}.1,{}.2,{}\n", i * 3, if i % 3 == 0 { "a" } else { "b" })).collect();
    folder.write("h.csv", &rows);
    folder.write("s.csv", &rows.replace(',', ";"));
    folder.write("d.csv", "n;x\n1;0,5\n2;1.000,25\n");
    folder.write("t.csv", "rooms,price\n1,950\n2,\"1,037\"\n");
    folder.write("one.csv", "a\n1\n\n3\n");
    folder.write("two.csv", "a,b\n1,x\n\n3,y\n");
    folder.write("z.csv", "zip,n\n00123,1\n90210,2\n");
    folder.write("a.json", "[\n  {\"a\": 1},\n  {\"a\": 2},\n  {\"a\": 3}\n]\n");
    folder.write("w.json", "{\"n\": 2, \"data\": [{\"a\": 1}, {\"a\": 2}]}\n");
    for (file, rows, kinds, words) in [
        ("h.csv", 30, vec!["float", "float", "text"], vec!["--header"]),
        ("s.csv", 30, vec!["float", "float", "text"], vec!["`;`", "--separator", "--header"]),
        ("d.csv", 2, vec!["integer", "float"], vec!["`;`", "`x`", "--decimal"]),
        ("t.csv", 2, vec!["integer", "integer"], vec!["`price`", "--thousands"]),
        ("one.csv", 3, vec!["integer"], vec!["1 blank line", "line 3"]),
        ("two.csv", 2, vec!["integer", "text"], vec!["1 blank line was skipped"]),
        ("z.csv", 2, vec!["text", "integer"], vec!["`zip`", "--types"]),
        ("a.json", 3, vec!["integer"], vec![]),
        ("w.json", 2, vec!["integer"], vec!["`data`"]),
    ] {
        let output = folder.run(&format!("quadrat data show {file} --json"));
        let errors = said(&output);
        let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(shown["rows"], rows, "{file}");
        let found: Vec<&str> =
            shown["columns"].as_array().unwrap().iter().map(|c| c["type"].as_str().unwrap()).collect();
        assert_eq!(found, kinds, "{file}");
        let notes = shown["notes"].to_string();
        assert!(words.iter().all(|word| errors.contains(word) && notes.contains(word)), "{file}\n{errors}\n{notes}");
        assert_eq!(words.is_empty(), errors.is_empty(), "{file}\n{errors}");
    }
    for (line, rows) in [
        ("quadrat data show h.csv --header --json", 29),
        ("quadrat data show h.csv --no-header --json", 30),
        ("quadrat data show s.csv --separator ; --no-header --json", 30),
        ("quadrat data show d.csv --separator ; --decimal , --thousands . --json", 2),
    ] {
        let output = folder.run(line);
        assert_eq!(said(&output), "", "{line}");
        let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(shown["rows"], rows, "{line}");
    }
    assert!(folder.fails("quadrat data show h.csv --header --no-header").contains("cannot be used with"));
    assert!(folder.fails("quadrat data show h.csv --separator ab").contains("one character"));
}

#[test]
fn kept_rows_keep_dialect_and_encoding() {
    let folder = Folder::new("kept");
    std::fs::write(folder.path("l.csv"), b"n;x\nJos\xe9;0,5\nZo\xeb;1,5\n").unwrap();
    let refused = folder.fails("quadrat select --in l.csv --method random --budget 2 --out o.csv");
    assert!(refused.contains("l.csv:2") && refused.contains("--encoding windows-1252"), "{refused}");
    folder.ok("quadrat select --in l.csv --encoding latin1 --method random --budget 2 --out o.csv");
    let out = std::fs::read(folder.path("o.csv")).unwrap();
    assert!(out.starts_with(b"n;x") && out.windows(4).any(|w| w == b"Jos\xe9") && out.windows(3).any(|w| w == b"1,5"));
}

#[test]
fn rows_flow_through_pipes() {
    let folder = Folder::new("pipes");
    let csv = b"a,b\n1,x\n2,y\n3,z\n";
    let select = ["select", "--in", "-", "--method", "random", "--budget", "3", "--seed", "1"];
    let words = |out: &[&'static str]| [&select[..], out].concat();
    let output = piped(&folder, &words(&["--out", "-"]), csv);
    let errors = said(&output);
    assert!(errors.contains("standard input") && errors.contains("3 of 3"), "{errors}");
    let rows = String::from_utf8(output.stdout).unwrap();
    assert!(rows.starts_with("a,b") && rows.lines().count() == 4 && rows.contains("2,y"), "{rows}");
    let output = piped(&folder, &words(&["--out=-.jsonl"]), csv);
    said(&output);
    let rows = String::from_utf8(output.stdout).unwrap();
    assert!(rows.lines().count() == 3 && rows.contains("{\"a\":2,\"b\":\"y\""), "{rows}");
    // The format of standard input is in its bytes, or told; compression comes off.
    let output = piped(&folder, &["data", "show", "-"], b"[{\"a\": 1}, {\"a\": 2}]");
    assert!(said(&output).is_empty() && String::from_utf8(output.stdout).unwrap().contains("JSON, 2 rows"));
    let output = piped(&folder, &["data", "show", "-", "--format", "tsv"], b"a\tb\n1\t2\n");
    assert!(said(&output).is_empty() && String::from_utf8(output.stdout).unwrap().contains("TSV, 1 rows"));
    folder.write("t.csv", "a,b\n1,x\n2,y\n3,z\n");
    folder.ok("quadrat select --in t.csv --method random --budget 3 --out t.csv.xz");
    let packed = std::fs::read(folder.path("t.csv.xz")).unwrap();
    let output = piped(&folder, &["data", "show", "-"], &packed);
    assert!(String::from_utf8(output.stdout).unwrap().contains("3 rows"));
    assert_eq!(folder.files(), ["t.csv", "t.csv.xz"]);
}

#[test]
fn what_is_no_table_is_refused_with_the_line_that_helps() {
    let folder = Folder::new("no-table");
    folder.write("a.xlsx", "PK");
    for (input, line) in [
        ("a.xlsx", "libreoffice --headless --convert-to csv"),
        ("https://example.org/a.csv", "curl -L -o a.csv"),
        ("a.sqlite", "sqlite3 -header -csv"),
    ] {
        let message = folder.fails(&format!("quadrat data show {input}"));
        assert!(message.contains(line), "{message}");
    }
    let message = folder.fails("quadrat select --in builtin:iris --method random --budget 3 --out a.libsvm");
    assert!(message.contains("--target") && folder.files() == ["a.xlsx"], "{message}");
}
