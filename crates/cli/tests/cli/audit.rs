//! `quadrat audit`: what it says of sound and of troubled files, and that what it tells to do can be done.

use crate::common::{Folder, Numbers};

/// Two clouds that overlap in four columns; a name beside them.
fn sound(rows: usize) -> Vec<String> {
    let mut numbers = Numbers::new(3);
    let mut normal = move || (0..12).map(|_| numbers.next()).sum::<f64>() - 6.0;
    let row = |i: usize| {
        let shift = if i.is_multiple_of(2) { 2.5 } else { 0.0 };
        let x: Vec<String> = (0..4).map(|_| format!("{:.6}", normal() + shift)).collect();
        format!("{},{}", x.join(","), ["Oslo", "Rome", "Bath"][i % 7 % 3])
    };
    (0..rows).map(row).collect()
}

fn csv(rows: &[String], label: impl Fn(usize) -> &'static str) -> String {
    let lines = rows.iter().enumerate().map(|(i, row)| format!("{row},{}\n", label(i)));
    std::iter::once("a,b,c,d,city,y\n".to_owned()).chain(lines).collect()
}

fn class(i: usize) -> &'static str {
    if i.is_multiple_of(2) { "yes" } else { "no" }
}

/// Names of the troubles, in their order.
fn troubles(value: &serde_json::Value) -> Vec<&str> {
    value["findings"].as_array().unwrap().iter().map(|finding| finding["trouble"].as_str().unwrap()).collect()
}

#[test]
fn a_sound_file_needs_no_mending_and_is_left_as_it_is() {
    let folder = Folder::new("audit-sound");
    let text = csv(&sound(400), class);
    folder.write("t.csv", &text);
    let said = folder.ok("quadrat audit --in t.csv --target y --report r.html --suspects s.csv");
    assert!(said.contains("plain training is fine") && said.contains("quadrat train --in t.csv --target y"), "{said}");
    assert_eq!(folder.read("t.csv"), text);
    assert!(folder.read("r.html").contains("plain training is fine"));
    assert!(folder.read("s.csv").starts_with("row,line,given,proposed,confidence\n"));
    let value = folder.json("quadrat audit --in t.csv --target y --json");
    assert_eq!((value["clean"].as_bool(), troubles(&value)), (Some(true), vec![]));
}

/// Every trouble with what mends it: the commands are run as they were printed.
#[test]
fn what_mends_a_trouble_runs() {
    let folder = Folder::new("audit-mends");
    let rows = sound(400);
    let with = |change: &dyn Fn(usize, &str) -> String| -> Vec<String> {
        rows.iter().enumerate().map(|(i, row)| change(i, row)).collect()
    };
    let hole = |row: &str| row.split_once(',').map_or(String::new(), |(_, rest)| format!(",{rest}"));
    let copies: Vec<String> = rows.iter().chain(&rows[..30]).cloned().collect();
    let opposite = |i: usize| class(if i < 400 { i } else { i + 1 });
    let cases = [
        ("imbalance", csv(&rows[..230], |i| if i < 8 { "yes" } else { "no" })),
        ("wrong-labels", csv(&rows, |i| if i % 5 == 2 { class(i + 1) } else { class(i) })),
        ("holes-by-class", csv(&with(&|i, row| if i % 4 == 0 { hole(row) } else { row.to_owned() }), class)),
        ("holes", csv(&with(&|i, row| if i % 17 == 0 { hole(row) } else { row.to_owned() }), class)),
        ("copies-across-labels", csv(&copies, opposite)),
        ("copies", csv(&copies, class)),
        ("constant", csv(&with(&|_, row| row.rsplit_once(',').unwrap().0.to_owned() + ",Oslo"), class)),
    ];
    for (trouble, text) in cases {
        folder.write("my file.csv", &text);
        let value = folder.json("quadrat audit --in \"my file.csv\" --target y --json");
        assert_eq!(troubles(&value), [trouble], "{value:#}");
        let mend = value["findings"][0]["mend"].as_str().unwrap();
        // Words with blanks are quoted for a shell, and here for the test's own reader.
        let epochs = if mend.starts_with("quadrat train") { " --epochs 1" } else { "" };
        folder.ok(&format!("{}{epochs}", mend.replace('\'', "\"")));
    }
}

/// A key, a column that tells the class, and rows without a class.
#[test]
fn columns_are_named_and_rows_without_a_class_counted() {
    let folder = Folder::new("audit-columns");
    let mut lines = csv(&sound(400), class);
    lines = lines.replacen("a,b,", "key,tells,a,b,", 1);
    let text: String = lines
        .lines()
        .enumerate()
        .map(|(i, line)| match i {
            0 => format!("{line}\n"),
            7 => format!("k{i},0,{}\n", line.trim_end_matches("yes")),
            _ => format!("k{i},{},{line}\n", if line.ends_with("yes") { i % 3 } else { 10 + i % 3 }),
        })
        .collect();
    folder.write("t.csv", &text);
    let value = folder.json("quadrat audit --in t.csv --target y --json");
    assert_eq!(troubles(&value), ["leak", "identifier"], "{value:#}");
    assert_eq!(value["findings"][0]["columns"][0], "tells");
    assert_eq!(value["findings"][0]["mend"], "quadrat train --in t.csv --target y --exclude tells");
    assert!(value["notes"][0].as_str().unwrap().contains("1 of 400 rows lacks a value in `y`"), "{}", value["notes"]);
    assert_eq!(value["rows"], 399);
    // Without them there is nothing to find.
    let value = folder.json("quadrat audit --in t.csv --target y --exclude key,tells --json");
    assert_eq!(troubles(&value), Vec::<&str>::new(), "{value:#}");
}

/// Suspects are told by their line, and lines count a head and rows without a class.
#[test]
fn suspects_are_told_by_row_and_line() {
    let folder = Folder::new("audit-suspects");
    let mut numbers = Numbers::new(9);
    let mut text = String::from("a,b,y\n,,\n");
    for i in 0..300 {
        let (a, b) = (numbers.next() + 3.0 * (i % 2) as f64, numbers.next() + 3.0 * (i % 2) as f64);
        text.push_str(&format!("{a:.5},{b:.5},{}\n", class(if i == 41 { 0 } else { i })));
    }
    folder.write("t.csv", &text);
    folder.ok("quadrat audit --in t.csv --target y --suspects s.csv");
    let listed = folder.read("s.csv");
    assert!(listed.lines().nth(1).unwrap().starts_with("42,44,yes,no,1.0"), "{listed}");
}

#[test]
fn what_cannot_be_audited_is_said() {
    let folder = Folder::new("audit-errors");
    folder.write("one.csv", "x,y\n1,a\n2,a\n");
    folder.write("none.csv", "y\na\nb\n");
    folder.write("empty.csv", "x,y\n1,\n2,\n");
    let quantities: String = (0..60).map(|i| format!("{},{i}.5\n", i % 7)).collect();
    folder.write("numbers.csv", &format!("x,y\n{quantities}"));
    for (line, message) in [
        ("--in one.csv --target y", "one class in 2 rows"),
        ("--in none.csv --target y", "columns: got none"),
        ("--in empty.csv --target y", "no row would be left"),
        ("--in numbers.csv --target y", "--classes"),
        ("--in one.csv --target z", "`z`"),
        ("--in one.csv --target y --report nowhere/r.html", "nowhere"),
    ] {
        let said = folder.fails(&format!("quadrat audit {line}"));
        assert!(said.contains(message), "{line}: {said}");
    }
}
