//! Damaged files of every format: an error or a table, never a panic.

use proptest::prelude::*;
use quadrat_data::{Missing, Table, write_selection};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Asks a damaged file for everything; what it answers does not matter, only that it answers.
fn exercise(name: &str, bytes: &[u8]) {
    let Ok(table) = Table::from_bytes(name, bytes.to_vec(), &[]) else { return };
    assert!(table.rows() > 0 && !table.columns().is_empty());
    for column in table.column_names() {
        let numbers = table.numeric(&[column], Missing::Keep);
        assert!(numbers.is_err() || numbers.is_ok_and(|x| x.nrows() == table.rows()));
        let texts = table.strings(column);
        assert!(texts.is_err() || texts.is_ok_and(|texts| texts.len() == table.rows()));
        let _ = table.labels(column, None);
        let _ = table.embedding(column);
        let _ = table.categories(column, Missing::Error);
    }
    let path = free_path(&format!("{name}.jsonl"));
    if write_selection(&table, &[table.rows() - 1, 0], &[], &path).is_ok() {
        std::fs::remove_file(&path).unwrap();
    }
}

/// A place that no other test writes to at the same time.
fn free_path(name: &str) -> PathBuf {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("quadrat-{}-{call}-{name}", std::process::id()))
}

const LINES: &str = "{\"i\":1,\"f\":0.5,\"b\":true,\"t\":\"a\\u00e9\",\"e\":[1,2.5],\"l\":[\"x\"],\"o\":{\"k\":[null]}}\n\
                     {\"i\":-2,\"f\":1e9,\"b\":false,\"t\":\"\",\"e\":[3,4],\"l\":[],\"o\":{}}\n\
                     {\"i\":3,\"f\":null,\"t\":\"z\",\"e\":[5,6],\"l\":[\"y\",\"z\"]}\n";

/// The same small table as a file of the given ending.
fn valid(ending: &str) -> Vec<u8> {
    let table = match ending {
        "npy" => Table::from_bytes("a.csv", b"a,b\n1,2\n3,4\n".to_vec(), &[]),
        "npz" => Table::from_bytes("a.jsonl", b"{\"t\":\"a\",\"e\":[1,2]}\n{\"t\":\"bc\",\"e\":[3,4]}\n".to_vec(), &[]),
        _ => Table::from_bytes("a.jsonl", LINES.as_bytes().to_vec(), &[]),
    }
    .unwrap();
    let path = free_path(&format!("valid.{ending}"));
    let rows: Vec<usize> = (0..table.rows()).collect();
    write_selection(&table, &rows, &[], &path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    bytes
}

/// Some bytes replaced, then perhaps a piece cut out or the end cut off.
fn damaged(mut bytes: Vec<u8>, changes: &[(usize, u8)], cut: Option<(usize, usize)>) -> Vec<u8> {
    let length = bytes.len();
    for (at, byte) in changes {
        bytes[at % length] = *byte;
    }
    if let Some((from, to)) = cut {
        let (from, to) = (from % length, to % (length + 1));
        bytes.drain(from.min(to)..from.max(to));
    }
    bytes
}

fn changes() -> impl Strategy<Value = Vec<(usize, u8)>> {
    let byte = prop_oneof![any::<u8>(), prop::sample::select(b"\",\n\r[]{}:0\xff\x00\\-".to_vec())];
    prop::collection::vec((any::<usize>(), byte), 0..6)
}

fn survives(ending: &str, cases: u32) {
    survives_as(&format!("a.{ending}"), &valid(ending), cases);
}

fn survives_as(name: &str, bytes: &[u8], cases: u32) {
    exercise(name, bytes);
    let cut = prop::option::weighted(0.3, (any::<usize>(), any::<usize>()));
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(changes in changes(), cut in cut, noise in prop::collection::vec(any::<u8>(), 0..64))| {
        exercise(name, &damaged(bytes.to_vec(), &changes, cut));
        exercise(name, &noise);
    });
}

#[test]
fn csv() {
    survives("csv", 400);
    survives("tsv", 100);
}

#[test]
fn jsonl() {
    survives("jsonl", 400);
}

#[test]
fn dialects() {
    let csv = "# by hand\n# twice\nn;x;'y';z\r\n1;0,5;'a''b';00123\r\n\r\n2;1.234,5;?;NA\r\n3;'1 234';\"é\";7\r\n";
    survives_as("a.csv", csv.as_bytes(), 400);
    survives_as("no ending", csv.as_bytes(), 100);
    let wide: Vec<u8> = format!("\u{feff}{csv}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    survives_as("a.csv", &wide, 100);
    survives_as("a.csv", b"1.5,2\n\n\"1,234\",3\n7,\"1,234,567.5\"\n", 200);
}

#[test]
fn json() {
    survives("json", 200);
    survives_as(
        "a.json",
        b"{\n \"n\": 2,\n \"data\": [{\"a\": 1, \"b\": [1]},\n {\"a\": \"x\\n\"}],\n \"m\": {}\n}\n",
        200,
    );
    survives_as("a.jsonl", b"{\n \"a\": 1\n}\n{\n \"a\": {\"b\": \"}\"}\n}\n", 200);
}

#[test]
fn arff_and_libsvm() {
    let arff = "% c\n@relation 'r 1'\n@attribute 'a b' numeric\n@attribute c {x,'y, z'}\n@attribute t string\n\
                @outputs c\n@data\n1.5,x,'it\\'s'\n?,?,?\n{0 2, 2 \"q\"}\n";
    survives_as("a.arff", arff.as_bytes(), 400);
    survives_as("a.libsvm", b"+1 qid:1 1:0.5 7:-2e1 # c\n-1 2:1\n1,2 3:4\n", 400);
}

#[test]
fn parquet() {
    survives("parquet", 1000);
}

#[test]
fn arrow() {
    survives("arrow", 1000);
    survives("arrows", 1000);
}

/// A batch that declares far more rows than its bytes can hold takes no memory for them.
#[test]
fn rows_of_arrow_are_not_believed() {
    for ending in ["arrow", "arrows"] {
        let bytes = valid(ending);
        let rows = Table::from_bytes(&format!("a.{ending}"), bytes.clone(), &[]).unwrap().rows() as i64;
        let places = (0..bytes.len() - 7).filter(|at| bytes[*at..at + 8] == rows.to_le_bytes());
        let mut tried = 0;
        for at in places {
            let mut changed = bytes.clone();
            changed[at..at + 8].copy_from_slice(&(1_i64 << 45).to_le_bytes());
            exercise(&format!("a.{ending}"), &changed);
            tried += 1;
        }
        assert!(tried > 1, "{ending}");
    }
}

#[test]
fn npy() {
    survives("npy", 400);
}

#[test]
fn npz() {
    survives("npz", 400);
}

#[test]
fn compressed() {
    survives("jsonl.gz", 200);
    survives("jsonl.zst", 200);
    survives("jsonl.bz2", 200);
    survives("jsonl.xz", 200);
}
