//! Panics of the readers of Parquet and Arrow are announced as caught, so that a program can keep quiet about them.

use quadrat_data::{Table, panic_becomes_error, write_selection};
use std::sync::atomic::{AtomicUsize, Ordering};

static ANNOUNCED: AtomicUsize = AtomicUsize::new(0);
static SURPRISES: AtomicUsize = AtomicUsize::new(0);

#[test]
fn panics_on_damaged_footers_are_announced() {
    let csv = b"a,b\n1,x\n2,y\n".to_vec();
    let table = Table::from_bytes("a.csv", csv, &[]).unwrap();
    let files = ["parquet", "arrow", "arrows"].map(|ending| {
        let path = std::env::temp_dir().join(format!("quadrat-panics-{}.{ending}", std::process::id()));
        write_selection(&table, &[0, 1], &[], &path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        (format!("a.{ending}"), bytes)
    });
    let usual = std::panic::take_hook();
    // It stays for the other tests of this process, whose panics it shows as ever.
    std::panic::set_hook(Box::new(move |panic| {
        if panic_becomes_error() {
            ANNOUNCED.fetch_add(1, Ordering::SeqCst);
        } else {
            SURPRISES.fetch_add(1, Ordering::SeqCst);
            usual(panic);
        }
    }));
    for (name, bytes) in &files {
        for at in 4..bytes.len() {
            for byte in [0, 0xff, bytes[at] ^ 1, bytes[at] ^ 0x40] {
                let mut damaged = bytes.clone();
                damaged[at] = byte;
                if let Ok(table) = Table::from_bytes(name, damaged, &[]) {
                    table.column_names().iter().for_each(|column| drop(table.strings(column)));
                }
            }
        }
    }
    assert_eq!(SURPRISES.load(Ordering::SeqCst), 0);
    assert!(!panic_becomes_error());
    println!("{} panics, all announced", ANNOUNCED.load(Ordering::SeqCst));
}
