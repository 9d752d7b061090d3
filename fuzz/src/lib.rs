//! What every target does with a file: open it and ask for everything. Nothing may panic.
//!
//! ```text
//! cargo +nightly fuzz run csv -- -max_total_time=600
//! ```

use quadrat_data::{Missing, Table};
use std::sync::Once;

/// The fuzzer ends at every panic, also at one that the reader of Parquet would catch and turn into an error: those pass.
fn let_caught_panics_pass() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let fatal = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !quadrat_data::panic_becomes_error() {
                fatal(panic);
            }
        }));
    });
}

/// Opens `bytes` as a file called `name` and decodes every column in every way.
pub fn exercise(name: &str, bytes: &[u8]) {
    let_caught_panics_pass();
    let Ok(table) = Table::from_bytes(name, bytes.to_vec(), &[]) else { return };
    for column in table.column_names() {
        let _ = table.numeric(&[column], Missing::Keep);
        let _ = table.strings(column);
        let _ = table.categories(column, Missing::Error);
        let _ = table.labels(column, None);
        let _ = table.embedding(column);
    }
}
