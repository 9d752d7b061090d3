//! Reading says how far it is, and stops when it is told to.

use quadrat_core::{Error, Progress};
use quadrat_data::{Missing, Reading, Table, write_selection};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Stops a job at its `left`th checkpoint from now.
struct Fuse {
    left: AtomicI64,
    steps: AtomicU64,
}

impl Fuse {
    fn new(left: i64) -> Arc<Self> {
        Arc::new(Fuse { left: AtomicI64::new(left), steps: AtomicU64::new(0) })
    }
}

impl Progress for Fuse {
    fn advance(&self, n: u64) {
        self.steps.fetch_add(n, Ordering::Relaxed);
    }

    fn cancelled(&self) -> bool {
        self.left.fetch_sub(1, Ordering::Relaxed) <= 0
    }
}

const FORMATS: [&str; 6] = ["csv", "jsonl", "parquet", "npz", "csv.gz", "jsonl.zst"];

/// A table of a few parts in every format.
fn files(folder: &str) -> Vec<PathBuf> {
    let folder = std::env::temp_dir().join(format!("quadrat-{folder}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let lines: String =
        (0..9000).map(|i| format!("{{\"n\":{i},\"t\":\"{}\",\"e\":[{i},0.5]}}\n", "long text ".repeat(8))).collect();
    let table = Table::from_bytes("a.jsonl", lines.into_bytes(), &[]).unwrap();
    let rows: Vec<usize> = (0..table.rows()).collect();
    let write = |ending| {
        let path = folder.join(format!("a.{ending}"));
        write_selection(&table, &rows, &[], &path).unwrap();
        path
    };
    FORMATS.into_iter().map(write).collect()
}

#[test]
fn every_question_can_be_stopped_and_asked_again() {
    let paths = files("stopping");
    for path in &paths {
        let name = path.to_str().unwrap();
        let progress = Fuse::new(i64::MAX);
        let table = Table::open_with(name, &Reading::default(), progress.clone()).unwrap();
        type Question<'a> = &'a dyn Fn() -> Result<(), Error>;
        let out = path.with_file_name("out.npz");
        let questions: [Question; 6] = [
            &|| table.numeric(&["n"], Missing::Error).map(drop),
            &|| table.strings("t").map(drop),
            &|| table.categories("n", Missing::Error).map(drop),
            &|| table.labels("t", None).map(drop),
            &|| table.embedding("e").map(drop),
            &|| write_selection(&table, &[8999, 5], &[], &out),
        ];
        for question in questions {
            progress.left.store(0, Ordering::Relaxed);
            assert!(matches!(question(), Err(Error::Cancelled)), "{name}");
            assert!(!out.exists(), "{name}");
            progress.left.store(i64::MAX, Ordering::Relaxed);
            let before = progress.steps.load(Ordering::Relaxed);
            question().unwrap();
            assert!(out.exists() || progress.steps.load(Ordering::Relaxed) > before, "{name}");
        }
        std::fs::remove_file(&out).unwrap();
    }
    std::fs::remove_dir_all(paths[0].parent().unwrap()).unwrap();
}

#[test]
fn opening_can_be_stopped() {
    let paths = files("opening");
    for path in &paths {
        // Only the footer of a Parquet file and the header of an npz file are looked at.
        let name = path.to_str().unwrap();
        let opened = Table::open_with(name, &Reading::default(), Fuse::new(0));
        let lazy = name.ends_with("parquet") || name.ends_with("npz");
        assert!(if lazy { opened.is_ok() } else { matches!(opened, Err(Error::Cancelled)) }, "{name}");
    }
    std::fs::remove_dir_all(paths[0].parent().unwrap()).unwrap();
}
