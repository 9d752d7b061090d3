//! Long texts, which stay on disk.

use quadrat_data::{Missing, Table, write_selection};
use std::fmt::Write;

/// A table of some megabytes, as both kinds of lines.
fn texts() -> [(&'static str, String); 2] {
    let (mut csv, mut jsonl) = ("n,t\n".to_owned(), String::new());
    for i in 0..60_000 {
        let text = format!("{i} ☃ {}", "long ".repeat(i % 20));
        writeln!(csv, "{i}.5,\"{text}\n, {i}\"").unwrap();
        writeln!(jsonl, "{{\"n\": {i}.5, \"t\": \"{text}\"}}").unwrap();
    }
    [("a.csv", csv), ("a.jsonl", jsonl)]
}

#[test]
fn a_long_text_is_read_and_written_from_disk() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in texts() {
        let path = folder.path().join(name);
        std::fs::write(&path, &text).unwrap();
        let disk = Table::open(path.to_str().unwrap(), &[]).unwrap();
        let memory = Table::from_bytes(name, text.into_bytes(), &[]).unwrap();
        // It is still ours when another takes its name.
        std::fs::rename(&path, folder.path().join("renamed")).unwrap();
        assert_eq!((disk.columns(), disk.rows()), (memory.columns(), memory.rows()));
        assert!(disk.numeric(&["n"], Missing::Error).unwrap() == memory.numeric(&["n"], Missing::Error).unwrap());
        assert!(disk.strings("t").unwrap() == memory.strings("t").unwrap());
        assert_eq!(disk.line(59_999), memory.line(59_999));
        let shuffled: Vec<usize> = (0..20_000).map(|i| i * 7919 % 60_000).collect();
        for rows in [shuffled, (100..50_000).step_by(3).collect()] {
            let written = |table: &Table| {
                write_selection(table, &rows, &[], &path).unwrap();
                std::fs::read(&path).unwrap()
            };
            assert!(written(&disk) == written(&memory));
        }
        std::fs::write(folder.path().join("renamed"), "n,t\n").unwrap();
        let changed = disk.strings("t").unwrap_err().to_string();
        assert!(changed.contains("changed while it was read; start again"), "{changed}");
        assert!(write_selection(&disk, &[0], &[], &path).is_err());
    }
}

#[test]
fn a_long_array_comes_into_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.json");
    let [_, (_, lines)] = texts();
    let mut array = format!("[{}]", lines.trim_end().replace('\n', ",\n")).into_bytes();
    std::fs::write(&path, &array).unwrap();
    let table = Table::open(path.to_str().unwrap(), &[]).unwrap();
    assert_eq!(table.strings("t").unwrap()[59_999], format!("59999 ☃ {}", "long ".repeat(59_999 % 20)));
    let last = array.len() - 10;
    array[last] = 0xff;
    std::fs::write(&path, &array).unwrap();
    let error = Table::open(path.to_str().unwrap(), &[]).map(drop).unwrap_err().to_string();
    assert!(error.contains(":60000: byte 0xFF is not UTF-8"), "{error}");
}
